"""00: which replica is the farthest from home, in milliseconds?"""

from __future__ import annotations

import numbers
from typing import Any

from gtlab import regions
from gtlab.course.exercises import Exercise, Setting, Wrong, described

_WANTS = "the code of one of your replica Regions, as a string"


def _judge(answer: Any, setting: Setting) -> str:
    lab = setting.facts["lab"]
    trips = {region: regions.rtt_ms(lab.home, region) for region in lab.replicas}
    farthest = max(trips.values())
    if not isinstance(answer, str):
        raise _no_text(answer, trips)
    code = answer.strip().lower() if answer.strip().lower() in regions.REGIONS else answer.strip()
    if code in trips:
        if trips[code] == farthest:
            return f"{regions.label(code)} is {farthest:.0f} ms away, there and back."
        raise _another(code, lab, trips)
    if code == lab.home:
        raise Wrong("home", f"{code} is your home Region: the one that the distance is measured from. Wanted: "
                            f"{_WANTS}.",
                    f"from {code} to its own endpoint: {regions.rtt_ms(code, code):.0f} ms")
    raise _no_replica(code, lab, trips)


def _no_text(answer: Any, trips: dict[str, float]) -> Wrong:
    if isinstance(answer, bool):
        return Wrong("wrong-type", f"{answer} is not a Region. Wanted: {_WANTS}.")
    if isinstance(answer, numbers.Real):
        near = [code for code, trip in trips.items() if abs(trip - float(answer)) < 1]
        if near:
            return Wrong("milliseconds", "That is a round trip in milliseconds. The question is which Region: give "
                                         "its code.", f"{near[0]}: {trips[near[0]]:.1f} ms")
        return Wrong("number", f"That is a number, and the answer is a Region. Distance is measured in milliseconds "
                               f"here, not in kilometres. Wanted: {_WANTS}.")
    if hasattr(answer, "index") and hasattr(answer, "iloc"):
        return Wrong("series", f"That is a whole {type(answer).__name__}. Choose one row or column of it: idxmax() "
                               "of a Series returns the label of its largest value.")
    return Wrong("wrong-type", f"That is {described(answer)}. Wanted: {_WANTS}.")


def _another(code: str, lab: Any, trips: dict[str, float]) -> Wrong:
    in_glass = {region: regions.fibre_ms(lab.home, region) for region in trips}
    longer = max(trips, key=lambda region: trips[region])
    evidence = (f"from {lab.home} to {code}: {trips[code]:.0f} ms, but "
                f"replicas with a longer round trip: {sum(trip > trips[code] for trip in trips.values())}")
    if in_glass[code] > in_glass[longer]:
        return Wrong("kilometres", f"{regions.label(code)} is farther on the map, but a packet does not fly straight: "
                                   "compare the round trips, not the kilometres.", evidence)
    if trips[code] == min(trips.values()):
        return Wrong("nearest", f"{regions.label(code)} is the nearest of your replicas. The farthest one has the "
                                "largest rtt_ms.", evidence)
    return Wrong("another", f"{regions.label(code)} is one of your replicas, but not the farthest one.", evidence)


def _no_replica(text: str, lab: Any, trips: dict[str, float]) -> Wrong:
    for code in lab.regions:
        region = regions.get(code)
        if text.casefold() in (region.place.casefold(), region.name.casefold(), regions.label(code).casefold(),
                               region.country.casefold()):
            return Wrong("name", f"{text!r} is the name of a place. Programs use the Region's code: it is in the "
                                 "column region.", f"{region.place} has the code {code}")
    if text in regions.REGIONS:
        return Wrong("no-replica", f"{regions.label(text)} is a Region, but you did not choose it as a replica.",
                     f"your replicas: {', '.join(trips)}")
    return Wrong("unknown", f"{text!r} is not a Region's code. Wanted: {_WANTS}.", f"a code looks like {lab.home}")


EXERCISE = Exercise(
    "00-farthest-replica", "Which replica is farthest away?", _WANTS,
    hints=(
        "Farthest in what unit? A caller does not notice kilometres. Which column of regions.frame() would it notice?",
        "The column is rtt_ms: the round trip from home. Make `region` the index, so that each time has a name.",
        'distances = regions.frame(lab.home, lab.replicas).set_index("region")["rtt_ms"], and then '
        'distances.idxmax().'),
    judge=_judge, facts=("lab",), place="")
