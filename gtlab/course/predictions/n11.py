"""The predictions of 11_clean_up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_RULE = "acted as a source region"


def _first(answers: Any) -> Truth:
    """``answers``: "source" → what the service answered to its DeleteTable, which was tried first: "deleted", or the
    text of the refusal; "replica" → the answer to the second try."""
    if not isinstance(answers, Mapping) or not isinstance(answers.get("source"), str):
        raise NotMeasured("Pass the answers of the source, which is tried first, and of the replica. If one of the "
                          "tables was gone already, run the notebook again from the top: it creates what is missing.")
    if answers["source"] == "deleted":
        return Truth("either", "the table at home was deleted, although its replica was there.")
    if _RULE in answers["source"] and answers.get("replica") == "deleted":
        return Truth("replica", "the table at home: refused, then the replica: deleted.")
    raise NotMeasured(f"A call was refused for another reason: {answers}. Wait a moment, and run the cell again.")


def _items(counts: Any) -> Truth:
    """``counts``: how many items the table that stays had "before" and "after" the deletion of the other one."""
    if not isinstance(counts, Mapping) or not {"before", "after"} <= set(counts) or not counts["before"] > 0:
        raise NotMeasured("Pass the numbers of items before and after, as integers; before, there must be items.")
    before, after = int(counts["before"]), int(counts["after"])
    option = "all" if after >= before else "none" if after == 0 else "some"
    return Truth(option, f"{before} items before the other table was deleted, {after} afterwards.")


QUESTIONS = (
    Question(
        "11-first", "A global table has a table at home, and a replica that was made from it today. Which one can "
                    "be deleted first?",
        {"home": Option("The table at home, since it is the original",
                        "There is no original in a running global table, but there is a source: the Region where "
                        "update_table was called. For 24 hours it cannot be deleted before its replicas."),
         "replica": Option("The replica; the one at home cannot go before it",
                           "This time the table at home could be deleted first: its replica is older than 24 hours, or "
                           "was made elsewhere."),
         "either": Option("Either: each Region's table is a table like any other",
                          "Each is a complete table, but DynamoDB remembers for 24 hours where the replica was made "
                          "from, and refuses to delete that one first."),
         "together": Option("Neither: one call deletes the whole global table",
                            "There is no such call. Each Region's table is deleted by a call of its own; only a "
                            "strongly consistent global table loses its replicas together.")},
        _first,
        {"replica": "This is the 24-hour rule. The source of a replica can be deleted after the replica is gone, or 24 "
                    "hours after it was created. So delete the replicas first, then their source.",
         "either": "The 24-hour rule protects the source of a new replica only. Replicas first works at any time."},
        usual=("replica",)),
    Question(
        "11-items", "One of the two tables is deleted, with all its items. How many of the other one's items are left?",
        {"all": Option("All of them", "Something else has deleted items there in the meantime."),
         "none": Option("None: deletions are replicated like every other write",
                        "The deletion of an item is a write and is replicated. The deletion of a table is not: the "
                        "replica first leaves the global table, and what happens to it then stays there."),
         "some": Option("Those that had not been replicated yet",
                        "Nothing is deleted in the other table, so it does not matter which items the replica had.")},
        _items,
        {"all": "A replica that is deleted leaves the global table, and takes only its own copies with it. The other "
                "replicas keep theirs, and go on replicating among themselves.",
         "none": "Something else has emptied the table.", "some": "Something else has deleted items there."},
        usual=("all",)),
)
