"""The predictions of 04_time_it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_LONGER = 1.6  # how many times as long counts as longer


def _get(times: Any) -> Truth:
    """``times``: the median time of a get "in the loop", and of an item that was "never written", in milliseconds."""
    if not isinstance(times, Mapping) or not {"in the loop", "never written"} <= set(times):
        raise NotMeasured("Pass the two median times of a get.")
    loop, never = float(times["in the loop"]), float(times["never written"])
    if not (loop > 0 and never > 0):
        raise NotMeasured("Both times must be above zero.")
    option = "distance" if max(loop, never) < _LONGER * min(loop, never) else "lag" if loop > never else "bound"
    return Truth(option, f"a get in the loop took {loop:.0f} ms, a get of an item that was never written {never:.0f} "
                         "ms (medians).")


def _width(widths: Any) -> Truth:
    """``widths``: the data frame of measure.widths."""
    known = widths.dropna(subset=["hard_width_ms", "refined_width_ms"])
    if known.empty:
        raise NotMeasured("No probe has both intervals. Run the measurement again.")
    row = known.sort_values("rtt_ms").iloc[-1]  # the farthest target shows it best
    pale, dark, trip = float(row["hard_width_ms"]), float(row["refined_width_ms"]), float(row["rtt_ms"])
    if not trip > 0:
        raise NotMeasured("There is no distance on this network.")
    grows = [width > 0.7 * trip for width in (pale, dark)]
    option = {(True, False): "pale", (True, True): "both", (False, False): "neither", (False, True): "dark"}[
        grows[0], grows[1]]
    return Truth(option, f"in {row['place']}, with a smallest round trip of {trip:.0f} ms, the pale interval is "
                         f"{pale:.0f} ms wide, the dark one {dark:.0f} ms.")


QUESTIONS = (
    Question(
        "04-get", "What does the time of the get in the loop tell you about replication?",
        {"lag": Option("How long replication took",
                       "The get is sent long after the put, and does not wait for replication. It answers at once, "
                       "with what is there."),
         "bound": Option("How long replication took at most",
                         "The item may have arrived during the sleep, or may not be there yet. The time of the get "
                         "is the same in both cases."),
         "distance": Option("Nothing: it shows how far away the Region is",
                            "This time the two kinds of gets took different times: the machine was busy, or the "
                            "network changed.")},
        _get,
        {"distance": "A get of an item that was never written takes just as long. What you time is the round trip to "
                     "the Region.",
         "lag": "Gets in the loop were slower this time. Run both cells again: nothing in a get waits for replication.",
         "bound": "Gets in the loop were faster this time. Run both cells again."},
        usual=("distance",)),
    Question(
        "04-width", "Which of the two intervals is about as wide as the round trip to the target?",
        {"pale": Option("Only the pale one", "This time both were wide, or both were narrow."),
         "dark": Option("Only the dark one", "The dark one is a part of the pale one, and never wider."),
         "both": Option("Both: nobody can know more from afar than the distance allows",
                        "With many reads on their way at once, and symmetric paths, the moment can be placed within "
                        "the round trip."),
         "neither": Option("Neither: both depend only on how often you read",
                           "Without assumptions, a read may have been served at any moment between its request and its "
                           "answer: that is a round trip.")},
        _width,
        {"pale": "The pale interval grows with the distance. The dark one is as wide as the round trips vary: if the "
                 "paths are symmetric, each direction takes at least half of the smallest round trip, and only the "
                 "rest is unknown.",
         "both": "The paths were not symmetric enough this time, or the machine was busy, so the dark one is wide too.",
         "neither": "On this network the round trips are shorter than the pauses between two reads.",
         "dark": "This should not happen: the dark interval lies in the pale one."},
        usual=("pale",)),
)
