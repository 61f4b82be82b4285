"""The predictions of 01_create_the_tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_STATUSES = ("there", "older", "not there")


def _early(put: Any) -> Truth:
    """``put``: "accepted", or the error of the response, a dict with Code and Message."""
    if put == "accepted":
        return Truth("accepted", "the put was accepted.")
    if not isinstance(put, Mapping) or not put.get("Code"):
        raise NotMeasured('Pass "accepted", or the error with which the put was refused.')
    return Truth("refused", f"the put was refused with {put['Code']}: {put.get('Message', '')}.")


def _other(seen: Any) -> Truth:
    """``seen``: what watch.look returned for the Region of the put and another one, some time after the put."""
    if not isinstance(seen, Mapping) or len(seen) < 2 or not set(seen.values()) <= set(_STATUSES):
        raise NotMeasured("Pass what watch.look returned for two Regions, the Region of the put first.")
    (first, here), (second, there), *_ = seen.items()
    words = {"there": "the item", "older": "an older item", "not there": "no item"}
    return Truth("nothing" if there == "not there" else "item",
                 f"{regions.get(first).place} read {words[here]} and {regions.get(second).place} read {words[there]}.")


QUESTIONS = (
    Question(
        "01-early", "A cell creates a table, and its next line puts an item into it. What happens to the put?",
        {"accepted": Option("It is accepted: create_table has returned",
                            "create_table returns as soon as DynamoDB has noted the request. The table is created "
                            "afterwards."),
         "waits": Option("It waits until the table is ready",
                         "A put is answered immediately. DynamoDB does not keep it until the "
                         "table is ready: waiting is your program's job."),
         "refused": Option("It is refused",
                           "This time the table was ACTIVE already. It existed before you ran the cell, or this local "
                           "cloud has the network “instant”, on which nothing takes time.")},
        _early,
        {"refused": "The table is CREATING, and a table that is still CREATING refuses every read and write. The "
                    "code is the same as for a table that does not exist, so it does not tell you which of the two "
                    "it is.",
         "accepted": "The table was ACTIVE when the put came. A new table is CREATING for some seconds, and refuses a "
                     "put until it is ACTIVE."},
        usual=("refused",)),
    Question(
        "01-other", "Both tables are called Music. You put an item into the first, and a moment later you read it in "
                    "the second. What do you get?",
        {"item": Option("The item: it has had time to be copied",
                        "Nothing copies it. A name is unique within an account and a Region only, so these are two "
                        "tables, and there is no global table yet."),
         "nothing": Option("No item, however long you wait",
                           "The two tables have been joined already, in an earlier run of the course, so the item was "
                           "copied. The next notebook shows how."),
         "error": Option("An error: the name is taken",
                         "A table's name must be unique within an account and a Region. Another Region may have a "
                         "table of the same name.")},
        _other,
        {"nothing": "Each Region created a table of its own, and the two do not know of each other. Having the same "
                    "name is necessary for a global table, but it is not enough.",
         "item": "These tables are replicas of one global table already, so DynamoDB copied the item."},
        usual=("nothing",)),
)
