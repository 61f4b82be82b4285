"""The predictions of 03_verify_replication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_STATUSES = ("there", "older", "not there")


def _at_once(seen: Any) -> Truth:
    """``seen``: what watch.look returned immediately after a put at home (home first): status by Region."""
    statuses = _checked(seen)
    others = dict(list(statuses.items())[1:])
    current = [region for region, status in others.items() if status == "there"]
    option = "home" if not current else "all" if len(current) == len(others) else "some"
    return Truth(option, f"{_words(statuses)}.")


def _strong(seen: Any) -> Truth:
    """``seen``: the same with strongly consistent reads."""
    statuses = _checked(seen)
    others = list(statuses.values())[1:]
    option = "no" if "there" not in others else "yes" if set(others) == {"there"} else "some"
    return Truth(option, f"strongly consistent reads, immediately after the put: {_words(statuses)}.")


def _checked(seen: Any) -> Mapping[str, str]:
    if not isinstance(seen, Mapping) or len(seen) < 2 or not set(seen.values()) <= set(_STATUSES):
        raise NotMeasured("Pass what watch.look returned: the status of the item in each Region, home first.")
    return seen


def _words(statuses: Mapping[str, str]) -> str:
    words = {"there": "the new item", "older": "the older item", "not there": "no item"}
    return ", ".join(f"{regions.get(region).place} read {words[status]}" for region, status in statuses.items())


QUESTIONS = (
    Question(
        "03-stale", "You put an item at home and read it in every Region immediately. Which Regions have it?",
        {"all": Option("All of them: the put was acknowledged",
                       "The acknowledgement comes from one Region. It does not wait for the others."),
         "home": Option("Only home", "The copies usually need a fraction of a second. This time one had arrived "
                                     "already: run the cell again and it may differ."),
         "some": Option("Home and some of the others, such as the nearest",
                        "A near Region gets its copy a little earlier, but this time no copy was there so soon. In the "
                        "few records of the real service, processing took several hundred milliseconds between two "
                        "Regions 15 ms apart."),
         "error": Option("The others answer with an error until they have it",
                         "A replica is a complete table. It answers with what it has: nothing, or an older item.")},
        _at_once,
        {"home": "The put was acknowledged when the item was stored at home. The copies travel afterwards: this is "
                 "asynchronous replication. A read elsewhere is stale until they arrive, and nothing tells you so.",
         "some": "At least one copy had arrived before its read, and at least one had not. The order is not "
                 "guaranteed, and nothing in an answer tells you which of the two you got.",
         "all": "Every copy arrived before its read: the reads came late enough this time. Nothing guarantees it."},
        usual=("home", "some")),
    Question(
        "03-strong", "Does a strongly consistent read find the item in another Region immediately after the write?",
        {"yes": Option("Yes: it promises the latest data",
                       "It promises the latest data of the replica that you ask. It does not ask the other Regions."),
         "some": Option("Yes, in the nearest Region",
                        "A near Region gets its copy a little earlier, but not immediately, and the kind of read "
                        "changes nothing about it."),
         "no": Option("No", "This time every copy had arrived before the read. That was the time of the read, not its "
                            "kind: run the cell again."),
         "error": Option("It is refused in a replica: only the primary can promise that",
                         "There is no primary. Every replica accepts strongly consistent reads, for its own data.")},
        _strong,
        {"no": "A strongly consistent read sees every write that its own replica has received. It does not wait for "
               "writes that are still on their way from another Region.",
         "yes": "The copies were there already, so any read would have found them.",
         "some": "A copy that had arrived was found, one that had not was not: the kind of read made no difference."},
        usual=("no",)),
)
