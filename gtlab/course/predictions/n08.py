"""The predictions of 08_react_once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth


def _receipts(sent: Any) -> Truth:
    """``sent``: the receipts that each Region's consumer sent for one order."""
    if not isinstance(sent, Mapping) or len(sent) < 2:
        raise NotMeasured("Pass the receipts of each Region.")
    number = sum(len(each) for each in sent.values())
    option = "none" if not number else "one" if number == 1 else "each" if all(sent.values()) else "some"
    return Truth(option, ", ".join(f"{regions.get(region).place} sent {len(each)}" for region, each in sent.items())
                 + f": {number} in all.")


def _filter(receipts: Any) -> Truth:
    """``receipts``: those of one order that were sent ``during`` the outage and ``after`` it."""
    during, after = len(receipts["during"]), len(receipts["after"])
    option = "taken" if during else "late" if after else "never"
    return Truth(option, f"{during} receipts were sent during the outage, and {after} after it.")


def _half(seen: Any) -> Truth:
    """``seen``: how many reads in the other Region have seen 0, 1 and 2 items of a transaction of two."""
    if not isinstance(seen, Mapping) or not seen.get(2):
        raise NotMeasured("Pass how many reads saw 0, 1 and 2 items.")
    half = seen.get(1, 0)
    return Truth("half" if half else "whole", f"{half} reads saw one item of the two, {seen.get(0, 0)} saw none, and "
                                              f"{seen[2]} saw both. (They followed each other as fast as possible.)")


def _ttl(removed: Any) -> Truth:
    """``removed``: the userIdentity of the deletion in each Region's stream, empty if it had none."""
    if not isinstance(removed, Mapping) or len(removed) < 2 or not set(map(type, removed.values())) <= {str}:
        raise NotMeasured("TTL has not deleted the basket in all Regions yet. Run the cell above again in a minute.")
    by_ttl = [regions.get(region).place for region, identity in removed.items() if identity]
    option = {0: "none", 1: "one", len(removed): "all"}.get(len(by_ttl), "some")
    return Truth(option, f"the record has it in {', '.join(by_ttl) or 'no Region'}, of {len(removed)} Regions.")


QUESTIONS = (
    Question(
        "08-receipts", "Ann orders once, at home. A consumer in each Region sends a receipt for each order that it "
                       "sees. How many receipts does she get?",
        {"one": Option("One: the order was taken in one Region",
                       "The stream of every Region shows the change, also where it was replicated."),
         "each": Option("One from each Region", "This time not every Region's consumer has seen the order."),
         "some": Option("Two, however many Regions there are: one from home, and one from the fastest replica",
                        "Replicas do not compete. Each gets the order, and each has a stream."),
         "none": Option("None: replicated changes confuse the consumers",
                        "A record of a replicated change looks like any other record.")},
        _receipts,
        {"each": "A replicated write is a change of the replica, and so it is in the replica's stream. Nothing in the "
                 "record says that it was replicated.",
         "one": "Only one consumer has seen the order so far.", "some": "Not all consumers have seen the order yet.",
         "none": "No consumer has seen the order yet."},
        usual=("each",)),
    Question(
        "08-filter", "Home takes Cem's order and fails before its consumer reads it. The consumers filter by their "
                     "Region. When does Cem get a receipt?",
        {"taken": Option("During the outage: another Region's consumer has the record, too",
                         "It has the record, and its filter drops it: the order was taken at home."),
         "late": Option("Only when home works again", "This time home's consumer did not send it after the outage."),
         "never": Option("Never: what a failed Region has not done is lost",
                         "The record stays in home's stream for 24 hours, and its consumer goes on where it stopped.")},
        _filter,
        {"late": "The filter makes one Region responsible for each order, and nobody takes over for it.",
         "taken": "A consumer in another Region sent the receipt.",
         "never": "No consumer has sent the receipt."},
        usual=("late",)),
    Question(
        "08-half", "Two items are written in one transaction at home. Can a read transaction in another Region see "
                   "only one of them?",
        {"whole": Option("No: a transaction takes effect completely or not at all",
                         "That is so in the Region that received it. It is not replicated as a transaction."),
         "half": Option("Yes, for a moment", "This time no read came between the two arrivals. Run the cell again."),
         "locked": Option("No: the read waits, or is refused, until both are there",
                          "The other Region does not know that the two items belong together.")},
        _half,
        {"half": "Replication copies items, not transactions: the two items arrive one by one. A read transaction sees "
                 "its own Region only, and there one of them was missing.",
         "whole": "In each pair both items arrived between two reads. Nothing guarantees that."},
        usual=("half",)),
    Question(
        "08-ttl", "TTL deletes an expired basket. In which Regions' streams does the record say that it was TTL?",
        {"all": Option("In all: the deletion is replicated with everything that belongs to it",
                       "Only the deletion is replicated. Elsewhere the record looks as if a customer had deleted the "
                       "item."),
         "one": Option("In one: the Region whose TTL came first", "This time it was not exactly one Region."),
         "none": Option("In none: a deletion is a deletion",
                        "DynamoDB names itself in `userIdentity`, in the Region where it deleted.")},
        _ttl,
        {"one": "The Region that comes first deletes the item, and replication brings the deletion to the others. "
                "There the record looks like that of a customer's deletion.",
         "none": "The basket was deleted by somebody else, before TTL came.",
         "all": "Each Region deleted it by its own TTL."},
        usual=("one",)),
)
