"""The predictions of 02_create_the_global_table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth


def _joined(answer: Any) -> Truth:
    """``answer``: the GlobalTableStatus of the response, or the error of the refusal, a dict with Code and Message."""
    if isinstance(answer, Mapping) and answer.get("Code"):
        return Truth("refused", f"the call was refused with {answer['Code']}: {answer.get('Message', '')}")
    if answer not in ("CREATING", "ACTIVE"):
        raise NotMeasured("Pass the GlobalTableStatus of the response, or the error with which the call was refused.")
    return Truth("ready" if answer == "ACTIVE" else "creating", f"the response has the GlobalTableStatus {answer}.")


def _primary(puts: Any) -> Truth:
    """``puts``: a data frame with a row for each Region, home first: region, from_home_ms, in_the_region_ms (how long a
    put took for a client at home, and for one in the Region itself), backend."""
    _, *others = zip(puts["region"], puts["from_home_ms"], puts["in_the_region_ms"], strict=True)
    if not others:
        raise NotMeasured("Pass the puts in two or more Regions, home first.")
    if not str(puts["backend"].iloc[0]).startswith("simulated"):
        raise NotMeasured("Here every call starts at your machine, so this run cannot show how long a program in the "
                          "Region waits. On the local cloud it waits for a few milliseconds.")
    if max(away for _, away, _ in others) <= 1.5 * puts["from_home_ms"].iloc[0] + 2:
        raise NotMeasured("On this network there is no distance, so these puts show nothing about it.")
    measured = ", ".join(f"{regions.get(region).place} {here:.0f} ms ({away:.0f} ms from home)"
                         for region, away, here in others)
    far = all(here > 0.7 * away for _, away, here in others)
    return Truth("home" if far else "here", f"a put by a client in the Region itself: {measured}.")


QUESTIONS = (
    Question(
        "02-ready", "Both tables are ACTIVE, empty and alike. create_global_table joins them, and returns. Is the "
                    "global table ready then?",
        {"ready": Option("Yes: both tables exist already, so there is nothing to create",
                         "The tables exist, but what copies from one to the other has yet to be created."),
         "creating": Option("No: it is still being created",
                            "This time the global table was not CREATING when the call returned."),
         "refused": Option("The call is refused",
                           "AWS refuses it today. The local cloud accepts it, as AWS did when the article was written: "
                           "the tables are empty, and have the same keys and streams with both images.")},
        _joined,
        {"creating": "As with create_table, the response only says that the work has begun. The status is CREATING "
                     "until every member replicates.",
         "ready": "On a network without any delays, creating takes no time. Otherwise the status is CREATING first.",
         "refused": "GlobalTableAlreadyExistsException: an earlier run has joined the tables, and the global table is "
                    "used as it is. ValidationException: this service no longer creates global tables of version "
                    "2017.11.29. AWS does not, and a local cloud with the setting “2026” does not."},
        usual=("creating", "refused")),
    Question(
        "02-primary", "A program in a replica Region puts an item there, with a client of that Region. How long does "
                      "it wait?",
        {"home": Option("The round trip to home, where the global table was created",
                        "The Region in which you made the call has no special role afterwards. There is no primary "
                        "that the replica would have to pass the write on to."),
         "nearest": Option("The round trip to the nearest other Region, which must have a copy",
                           "A second kind of global table works like this: a later notebook shows it. This one copies "
                           "the item after it has answered."),
         "all": Option("The round trip to the farthest Region: every replica must have the item",
                       "Then no write could be faster than the farthest Region, and none would succeed while a Region "
                       "is down."),
         "here": Option("A few milliseconds, wherever it is",
                        "This time each put waited about as long as one from home. This machine was probably too busy: "
                        "run the cells again.")},
        _primary,
        {"here": "Every replica accepts the write, and answers without asking another Region: no Region is the "
                 "primary. So a write takes only the round trip to the replica that you call, and two Regions can "
                 "write the same item at the same time. What happens then is a topic of a later notebook.",
         "home": "If this stays so when you run the cells again, please report it: a replica asks no other Region "
                 "before it answers."},
        usual=("here",)),
)
