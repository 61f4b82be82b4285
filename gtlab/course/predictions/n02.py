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
    """``puts``: by Region, home first, "accepted" or the code with which a put was refused there."""
    if not isinstance(puts, Mapping) or len(puts) < 2 or not all(isinstance(each, str) for each in puts.values()):
        raise NotMeasured("Pass what became of a put in each of two or more Regions, home first.")
    measured = ", ".join(f"{regions.get(region).place}: {answer}" for region, answer in puts.items())
    accepting = [region for region, answer in puts.items() if answer == "accepted"]
    if accepting == list(puts):
        return Truth("none", f"a put in each Region: {measured}.")
    if accepting == list(puts)[:1]:
        return Truth("first", f"a put in each Region: {measured}.")
    raise NotMeasured(f"These puts show nothing about a primary ({measured}): is something broken? Run "
                      "lab.world.reset() and the cell above again.")


QUESTIONS = (
    Question(
        "02-ready", "Both tables are ACTIVE, empty and alike. create_global_table joins them, and returns. Is the "
                    "global table ready then?",
        {"ready": Option("Yes: both tables exist already, so there is nothing to create",
                         "The tables exist, but what copies from one to the other has yet to be created."),
         "creating": Option("No: it is still being created",
                            "This time the global table was not CREATING when the call returned."),
         "refused": Option("It is refused: two tables cannot become one",
                           "This version joins tables that exist. They must be empty, have the same keys, and have "
                           "streams with both images.")},
        _joined,
        {"creating": "As with create_table, the response only says that the work has begun. The status is CREATING "
                     "until every member replicates.",
         "ready": "On a network without any delays, creating takes no time. Otherwise the status is CREATING first.",
         "refused": "GlobalTableAlreadyExistsException: an earlier run has joined the tables, and the global table is "
                    "used as it is. ValidationException: this service no longer creates global tables of version "
                    "2017.11.29. AWS does not, and a local cloud with the setting “2026” does not."}),
    Question(
        "02-primary", "The tables are replicas of one global table now. Which Region is the primary, the one that "
                      "accepts writes?",
        {"first": Option("Home: the global table was created from there",
                         "The Region in which you made the call has no special role afterwards."),
         "nearest": Option("The one with the shortest round trips to the others",
                           "Distance decides how long copying takes. It does not decide who may write."),
         "elected": Option("The replicas elect one, and elect another one if it fails",
                           "Some databases do that. DynamoDB does not: there is nothing to elect, and nothing to "
                           "promote when a Region fails."),
         "none": Option("None: every replica accepts writes",
                        "This time only one Region accepted the put. On AWS every replica does, unless it is down.")},
        _primary,
        {"none": "Every replica accepts every write, and answers without asking the others. This is why a write is as "
                 "fast as the distance to the nearest replica, and why two Regions can write the same item at the same "
                 "time. What happens then is a topic of a later notebook.",
         "first": "Only home accepted the put, so something is broken: in a global table every replica accepts "
                  "writes."}),
)
