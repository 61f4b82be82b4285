"""The predictions of 10_choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_MORE = 1.3  # how many times as long counts as longer


def _write(took_ms: Any) -> Truth:
    """``took_ms``: kind → Region → the time of a put by a program in this Region, in milliseconds."""
    if not isinstance(took_ms, Mapping) or not {"MREC", "MRSC"} <= set(took_ms) or len(took_ms["MRSC"]) != 3:
        raise NotMeasured("Pass the times of a put, by kind and Region.")
    strong = took_ms["MRSC"]
    usual = sum(took_ms["MREC"].values()) / len(took_ms["MREC"])
    nearest = {region: min(regions.rtt_ms(region, other) for other in strong if other != region) for region in strong}
    slowest, fastest = max(strong.values()), min(strong.values())
    if slowest < _MORE * usual:
        option = "free"
    elif slowest < _MORE * fastest:
        option = "same"
    else:
        lonely = max(nearest.values())
        option = "nearest" if nearest[max(strong, key=strong.__getitem__)] > lonely / _MORE else "home"
    said = ", ".join(f"{regions.get(region).place} {ms:.0f} ms (round trip to the nearest member on AWS: "
                     f"{nearest[region]:.0f} ms)"
                     for region, ms in strong.items())
    return Truth(option, f"a strongly consistent put takes in {said}. With eventual consistency: {usual:.0f} ms.")


def _bill(bill: Any) -> Truth:
    """``bill``: a data frame with the kinds as columns and dollars per month as values."""
    full, witness = (float(bill[kind].sum()) for kind in ("MRSC", "MRSC, witness"))
    if not full > 0:
        raise NotMeasured("The bill is zero. Choose more writes, and run the cell again.")
    saved = 1 - witness / full
    option = "third" if 0.25 < saved < 0.4 else "nothing" if abs(saved) < 0.05 else "half"
    return Truth(option, f"(computed from AWS's prices) three replicas cost {full:,.0f} dollars per month, two and a "
                         f"witness {witness:,.0f}.")


def _conflicts(winners: Any) -> Truth:
    """``winners``: kind → how many of two puts were accepted."""
    if not isinstance(winners, Mapping) or not {"MREC", "MRSC"} <= set(winners):
        raise NotMeasured("Pass the number of accepted puts by kind.")
    found = winners["MREC"], winners["MRSC"]
    if not set(found) <= {0, 1, 2} or 0 in found:
        raise NotMeasured("Each kind must have accepted one put or two. Run the cells above again.")
    if found[0] == 1:
        raise NotMeasured("The copy of the first item arrived before the second put was checked, which proves nothing: "
                          "another time it arrives later. Run the cell above again.")
    option = "mrec" if found[1] == 1 else "two"
    return Truth(option, ", ".join(f"{kind}: {number} accepted" for kind, number in winners.items()) + ".")


QUESTIONS = (
    Question(
        "10-write", "In which Region does a put to the strongly consistent table take longest?",
        {"nearest": Option("In the Region whose nearest other member is farthest away",
                           "In these Regions, on this network, the distances to the nearest members are alike."),
         "same": Option("It takes equally long everywhere: all three have to agree",
                        "Two of three are enough, so a write waits for the nearest other member only."),
         "home": Option("In the replicas: they have to ask home",
                        "No member leads. A write in any Region waits for the nearest other one."),
         "free": Option("It takes no longer than in the other kinds of tables",
                        "A write that is acknowledged by one Region only can be lost with it.")},
        _write,
        {"nearest": "A write needs a second Region before it is acknowledged, and takes the nearest. Members that "
                    "have a neighbour pay little. The one that is alone pays the long way, for every write.",
         "same": "The nearest members of these Regions are about equally far away, or the machine was busy.",
         "home": "The times do not follow the distances: the machine is busy, or the network is not simulated.",
         "free": "There is no distance on this network, so nothing can be seen. Choose the realistic one."},
        usual=("nearest",)),
    Question(
        "10-bill", "Two replicas and a witness instead of three replicas: how much of the bill for writes and storage "
                   "does that save?",
        {"nothing": Option("Nothing: it has to store everything too",
                           "It keeps changes, but AWS charges neither write units nor storage for a witness."),
         "third": Option("A third", "This bill has other numbers of replicas."),
         "half": Option("Half: only one of the replicas is really needed",
                        "Two replicas remain, and each is charged in full.")},
        _bill,
        {"third": "Writes and storage are charged for each replica: two instead of three. A witness is charged for "
                  "neither. The promises are the same, but the application can run in two Regions only.",
         "nothing": "The two tables have the same number of replicas here.",
         "half": "The two tables differ by more than one replica here."},
        usual=("third",)),
    Question(
        "10-conflicts", "How many of the two conditional puts are accepted?",
        {"one": Option("One in each kind of table: that is what the condition is for",
                       "A condition of an eventually consistent table is checked against the replica that is asked, "
                       "which may not have the item yet."),
         "mrec": Option("Two with eventual consistency, one with strong consistency",
                        "This time the first put had arrived before the second one was checked."),
         "two": Option("Two in each: a condition holds in one Region",
                       "With strong consistency it is checked against the newest version of all Regions.")},
        _conflicts,
        {"mrec": "An eventually consistent table tells both programs that they were first. Later the newer item "
                 "replaces the other one. Neither program is told; only the stream of the losing Region shows it. A "
                 "strongly consistent table refuses the second put.",
         "two": "The condition did not prevent anything here."},
        usual=("mrec",)),
)
