"""The predictions of 00_start_here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth


def _beside_light(frame: Any) -> Truth:
    """``frame``: a data frame with the columns region and rtt_ms, home first, as regions.frame returns it."""
    home, *others = frame["region"]
    trips = dict(zip(frame["region"], frame["rtt_ms"], strict=True))
    if not others:
        raise NotMeasured("Pass the data frame with the distances of home and its replicas.")
    straightest = min(others, key=lambda region: trips[region] / regions.fibre_ms(home, region))
    ratio = trips[straightest] / regions.fibre_ms(home, straightest)
    option = "faster" if ratio < 0.95 else "same" if ratio < 1.05 else "slower" if ratio < 3 else "much"
    more = ", ".join(f"{regions.get(region).place} {trips[region] / regions.fibre_ms(home, region):.1f}"
                     for region in others if region != straightest)
    return Truth(option, f"the connection that comes closest, to {regions.get(straightest).place}, takes "
                         f"{trips[straightest]:.0f} ms there and back. Light in a straight glass fibre would need "
                         f"{regions.fibre_ms(home, straightest):.0f} ms: the factor is {ratio:.1f}."
                         + (f" The others: {more}." if more else ""))


def _far_call(took_ms: Any) -> Truth:
    """``took_ms``: how long the same call took by Region, in milliseconds, home first."""
    if not isinstance(took_ms, Mapping) or len(took_ms) < 2:
        raise NotMeasured("Pass the milliseconds of the call in two or more Regions, home first.")
    home, *others = took_ms
    quick, slow = min(took_ms.values()), max(took_ms.values())
    trip = max(regions.rtt_ms(home, region) for region in others)
    # On AWS the nearest Region need not be home.
    option = "longer" if slow > 1.5 * quick + 2 else "same"
    return Truth(option, f"the nearest Region answered in {quick:.0f} ms and the farthest in {slow:.0f} ms. The "
                         f"longest round trip from home is {trip:.0f} ms between AWS Regions and on the realistic "
                         f"network, and {trip / 10:.0f} ms on the network “fast”.")


QUESTIONS = (
    Question(
        "00-light", "Take the connection that comes closest to light in a straight glass fibre. How long is its "
                    "measured round trip, compared with that of light?",
        {"faster": Option("Shorter: AWS has its own network",
                          "AWS's own network uses glass fibre too, and nothing in it is faster than light."),
         "same": Option("About as long: cables are glass fibres",
                        "Cables do not follow the shortest path, and routers and repeaters add delay."),
         "slower": Option("1.1 to 3 times as long", "Your Regions are connected more directly, or less so, than most."),
         "much": Option("More than 3 times as long",
                        "Routers add little over such distances: most of the time is spent in the fibre.")},
        _beside_light,
        "A better network can remove detours, but it cannot remove the distance: no database, at any price, answers "
        "from another continent before light could go there and come back.",
        usual=("slower", "same", "faster", "much")),
    Question(
        "00-distance", "The same small call goes to your home Region and to the farthest replica. What differs?",
        {"longer": Option("The far answer takes longer, by about the round trip",
                          "Here nothing was longer, because the network of this local cloud has no distances."),
         "same": Option("Nothing: DynamoDB answers in milliseconds everywhere",
                        "DynamoDB itself does answer in milliseconds, but the request and the answer have to travel."),
         "error": Option("The far call is refused: my account lives at home",
                         "An account is not tied to a Region. Any client may call any Region that is enabled for the "
                         "account."),
         "random": Option("Sometimes one is faster, sometimes the other",
                          "Times vary from call to call, but by far less than the distance between continents.")},
        _far_call,
        {"longer": "The caller waits for the distance to the Region that it calls. A replica near the caller is the "
                   "cure, and this is why global tables exist.",
         "same": "Without distances there is nothing to wait for. On AWS, or on the realistic network, there is."},
        usual=("longer",)),
)
