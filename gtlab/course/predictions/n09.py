"""The predictions of 09_fail_over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_SLOW = 3.0  # a request that takes this many times as long as the others had to wait for something


def _users(answers: Any) -> Truth:
    """``answers``: the router's log as a data frame, with ``ms`` and ``failed`` of at least two requests."""
    took_ms = [float(each) for each in answers["ms"]]
    failed = [list(each) for each in answers["failed"]]
    if len(took_ms) < 2 or not any(failed):
        raise NotMeasured("No stack has failed in these requests. Run the cells above again.")
    slow = [each > _SLOW * min(took_ms) and bool(missed) for each, missed in zip(took_ms, failed, strict=True)]
    option = "all" if all(map(bool, failed)) else "first" if slow[0] and not any(slow[1:]) else "none"
    return Truth(option, f"the requests took {', '.join(f'{each:.0f}' for each in took_ms)} ms.")


def _early(stories: Any) -> Truth:
    """``stories``: "early" and "patient" → a data frame with a row for each acknowledgement and the column ``lost``."""
    if not isinstance(stories, Mapping) or not {"early", "patient"} <= set(stories):
        raise NotMeasured("Both runs are needed, and they need the local cloud.")
    early, patient = (int(stories[how]["lost"].sum()) for how in ("early", "patient"))
    option = "none" if not early and not patient else "early" if early > patient else "patient" if (
        patient > early) else "same"
    return Truth(option, f"going back early, {early} acknowledged additions were lost; going back when nobody "
                         f"was behind, {patient}.")


def _silence(heard: Any) -> Truth:
    """``heard``: how many arrivals the metric had "counted at its start" and "counted at its end", and how many writes
    were "acknowledged during it": an outage."""
    if not isinstance(heard, Mapping) or not heard.get("acknowledged during it"):
        raise NotMeasured("No write was acknowledged during the outage. This needs the local cloud.")
    new = int(heard["counted at its end"]) - int(heard["counted at its start"])
    return Truth("silence" if new == 0 else "rises",
                 f"{heard['acknowledged during it']} writes were acknowledged during the outage; the metric has {new} "
                 "of them.")


def _order(sizes: Any) -> Truth:
    """``sizes``: the size in each Region, when they agree."""
    if not isinstance(sizes, Mapping) or len(set(sizes.values())) != 1 or not {*sizes.values()} <= {"S", "M"}:
        raise NotMeasured("Pass the size in each Region, once all of them have the same.")
    size = next(iter(sizes.values()))
    places = ", ".join(regions.get(region).place for region in sizes)
    return Truth("ann" if size == "S" else "ben", f"size {size} in {places}.")


def _strong(both: Any) -> Truth:
    """``both``: the summaries of two drills, the asynchronous table's first."""
    (slow, strong_ms), (missing, none) = both["recovery_ms"], both["missing_writes"]
    faster, safer = bool(strong_ms < slow / 2), bool(none == 0 < missing)
    option = {(True, True): "both", (False, True): "loss", (True, False): "time", (False, False): "neither"}[
        faster, safer]
    return Truth(option, f"recovery after {slow:.0f} and {strong_ms:.0f} ms, missing writes {missing} and {none}.")


QUESTIONS = (
    Question(
        "09-users", "Ann's home Region is down and does not answer. How long do her three requests take?",
        {"all": Option("Each takes at least the timeout",
                       "The router remembers which Region failed. Only the first request waits for it."),
         "first": Option("The first takes at least the timeout, the others are fast",
                         "No request had to wait for a timeout this time."),
         "none": Option("All are fast: the router knows that the Region is down",
                        "Nothing informs the router. It has to try, and to wait for an answer that does not come.")},
        _users,
        {"first": "The first request waits for the timeout and is then sent to the next stack. The router evacuates "
                  "the failed Region, and sends the others there at once. That stack calls its own Region's endpoint.",
         "all": "Each request tried the failed Region again.", "none": "The failure was noticed without waiting."},
        usual=("first",)),
    Question(
        "09-early", "In which run are more acknowledged additions missing in the end?",
        {"early": Option("In the one that goes back early", "This time the other run lost more. Compare the two "
                                                            "tables."),
         "patient": Option("In the one that waits: it is away from home for longer",
                           "While requests wait, nothing is written that could overwrite anything."),
         "same": Option("Both lose the same: the outage decides",
                        "The outage decides only about what had not left home. The way back decides about what was "
                        "written elsewhere."),
         "none": Option("Nothing is missing in either: everything is replicated in the end",
                        "Everything is delivered in the end, but a delivery that is older than what it finds is "
                        "discarded.")},
        _early,
        {"early": "The first write at home after an early return is newer than all that was written elsewhere, and "
                  "does not contain it. The newest write wins the whole item.",
         "patient": "The queue was short this time, and the outage came at a bad moment.",
         "same": "The queues of both directions had the same length this time.",
         "none": "Everything had arrived before it could be overwritten."},
        usual=("early",)),
    Question(
        "09-silence", "Home is down, and writes wait in another Region. What does ReplicationLatency for the way "
                      "home show?",
        {"rises": Option("It rises, since the writes wait longer and longer",
                         "A write is counted when it arrives. One that waits is not in any figure."),
         "zero": Option("It falls to zero, since nothing is replicated",
                        "Zero would be a data point. There is none, although a graph may draw the gap as zero."),
         "silence": Option("Nothing: there are no new data points",
                           "This time some writes had arrived and were counted.")},
        _silence,
        {"silence": "The metric measures what arrives. When replication stops, it falls silent, which looks exactly "
                    "like a night without customers. When the Region is back, it reports the long waits, too late.",
         "rises": "Some writes did arrive, and were counted."},
        usual=("silence",)),
    Question(
        "09-order", "Ann puts S, Ben puts M, then Ann's program repeats its put of S elsewhere. Which size remains?",
        {"ben": Option("M: Ben's put is newer than Ann's", "The repetition is a new write, with a time of its own."),
         "ann": Option("S: the repeated put", "This time Ben's put was the newest after all."),
         "refused": Option("M: the repeated put is refused", "Nothing refuses a put without a condition. And a "
                                                             "condition would be checked against what that Region "
                                                             "has.")},
        _order,
        {"ann": "Idempotent is not order-safe. The repetition took effect at the time of the repetition, so it is the "
                "newest write, and Ben's is lost. He was told that it succeeded.",
         "ben": "Ben's put was the last one to take effect."},
        usual=("ann",)),
    Question(
        "09-strong", "The same drill with a strongly consistent table: what will be better?",
        {"both": Option("Both: no write is missing, and the recovery is much faster",
                        "The recovery time is the time until a client gives up waiting. No table can shorten it."),
         "loss": Option("No write is missing; the recovery takes as long",
                        "This time the figures were other ones: perhaps nothing was on its way when home failed."),
         "time": Option("The recovery is much faster; the same writes are missing",
                        "It is the other way round: what is acknowledged is in two Regions."),
         "neither": Option("Neither: it is a matter of routing", "The recovery time is. The data loss is a matter of "
                                                                 "when a write is acknowledged.")},
        _strong,
        {"loss": "Every acknowledged write is in two Regions, so none is missing in a failover, and none is lost on "
                 "the way back. But your program still has to notice the outage, and to call another Region.",
         "both": "No write was missing. That the recovery was faster as well is due to the timeouts or to chance.",
         "time": "Nothing was missing in the asynchronous table either: perhaps nothing was on its way when home "
                 "failed.",
         "neither": "Nothing was missing in the asynchronous table either: perhaps nothing was on its way when home "
                    "failed."
         },
        usual=("loss",)),
)
