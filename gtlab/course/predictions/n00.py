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
    option = "faster" if ratio < 0.95 else "same" if ratio < 1.05 else "slower"
    return Truth(option, f"the straightest path, to {regions.get(straightest).place}, takes "
                         f"{trips[straightest]:.0f} ms there and back. Light in a straight glass fibre would need "
                         f"{regions.fibre_ms(home, straightest):.0f} ms: the factor is {ratio:.1f}.")


def _far_call(took_ms: Any) -> Truth:
    """``took_ms``: how long the same call took by Region, in milliseconds, home first."""
    if not isinstance(took_ms, Mapping) or len(took_ms) < 2:
        raise NotMeasured("Pass the milliseconds of the call in two or more Regions, home first.")
    (home, near_ms), *others = took_ms.items()
    far, far_ms = max(others, key=lambda each: each[1])
    option = "longer" if far_ms > 1.5 * near_ms + 2 else "same"
    return Truth(option, f"{regions.get(home).place} answered in {near_ms:.0f} ms and {regions.get(far).place} in "
                         f"{far_ms:.0f} ms. The measured round trip between the two on AWS is "
                         f"{regions.rtt_ms(home, far):.0f} ms.")


QUESTIONS = (
    Question(
        "00-light", "How does the measured round trip compare with the time that light in a glass fibre would need?",
        {"slower": Option("It is slower than light, by a factor between one and a few",
                          "The straightest cable here is about as fast as light in glass, which is rare."),
         "same": Option("It is the same: cables are glass fibres",
                        "Cables do not follow the shortest path, and routers and repeaters add delay."),
         "faster": Option("It is faster: AWS has its own network",
                          "AWS's own network uses glass fibre too, and nothing in it is faster than light.")},
        _beside_light,
        "A better network can remove detours, but it cannot remove the distance: no database, at any price, answers "
        "from another continent faster than light arrives there."),
    Question(
        "00-distance", "The same small call goes to your home Region and to the farthest replica. What differs?",
        {"longer": Option("The far answer takes longer, by about the round trip",
                          "Here nothing was longer, because the network of this local cloud has no distances."),
         "same": Option("Nothing: DynamoDB answers in milliseconds everywhere",
                        "DynamoDB itself does answer in milliseconds, but the request and the answer have to travel."),
         "error": Option("The far call is refused: my account lives at home",
                         "An account is not tied to a Region. Any client may call any Region."),
         "random": Option("Sometimes one is faster, sometimes the other",
                          "Times vary from call to call, but by far less than the distance between continents.")},
        _far_call,
        {"longer": "The caller waits for the distance to the Region that it calls. A replica near the caller is the "
                   "only cure, and this is why global tables exist.",
         "same": "Without distances there is nothing to wait for. On AWS, or on the realistic network, there is."}),
)
