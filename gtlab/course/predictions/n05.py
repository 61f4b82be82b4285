"""The predictions of 05_build_it_today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth


def _two(answer: Any) -> Truth:
    """``answer``: "accepted", or the message of the refusal."""
    if not isinstance(answer, str) or not answer or answer in ("there", "not there"):
        raise NotMeasured('Pass "accepted", or the message with which the call was refused.')
    if answer == "accepted":
        return Truth("both", "the call was accepted.")
    return Truth("refused", f"the call was refused: {answer}")


def _early_bird(seen: Any) -> Truth:
    """``seen``: the status of the item by Region, home first; "refused" for a Region that refused the put."""
    if not isinstance(seen, Mapping) or len(seen) < 2 or not set(seen.values()) <= {"there", "not there", "refused"}:
        raise NotMeasured("Pass the status of the item in each Region, home first.")
    words = ", ".join(f"{regions.get(region).place}: {status}" for region, status in seen.items())
    home, *others = seen.values()
    if home == "refused":
        return Truth("refused", f"the put was refused ({words}).")
    return Truth("arrives" if set(others) == {"there"} else "lost", f"{words}.")


def _strong(found: Any) -> Truth:
    """``found``: whether each kind of read found the item, {"eventual": bool, "strong": bool}."""
    if not isinstance(found, Mapping) or not all(isinstance(found.get(kind), bool) for kind in ("eventual", "strong")):
        raise NotMeasured("Pass whether each kind of read, eventual and strong, found the item.")
    words = " and ".join(f"the {kind}ly consistent read {'found' if found[kind] else 'did not find'} the item"
                         for kind in ("eventual", "strong"))
    option = {(False, True): "strong", (True, True): "both", (False, False): "neither"}.get(
        (found["eventual"], found["strong"]))
    if option is None:
        raise NotMeasured(f"This cannot be: {words}. Run the cell above again.")
    return Truth(option, f"{words}.")


def _conflict(rounds: Any) -> Truth:
    """``rounds``: for each round of puts at the same time, what each Region answered: "accepted" or a code."""
    if not isinstance(rounds, Sequence) or not rounds or not all(
            isinstance(each, Mapping) and len(each) > 1 for each in rounds):
        raise NotMeasured("Pass the rounds: for each, what each Region answered.")
    refused = [each for each in rounds if set(each.values()) - {"accepted"}]
    return Truth("refused" if refused else "both",
                 f"in {len(refused)} of {len(rounds)} rounds at least one put was refused.")


QUESTIONS = (
    Question(
        "05-early-bird", "While the replica is being created you put an item at home. What becomes of the item?",
        {"refused": Option("The put is refused until the replica is ready",
                           "TableStatus is UPDATING, and in that status a table serves reads and writes as usual."),
         "lost": Option("It stays at home: the replica starts with what was there before",
                        "The replica gets what existed when it was asked for, and everything that is written from then "
                        "on."),
         "arrives": Option("It is stored at home, and the new replica has it too",
                           "This time the item was not in the new replica when the cell looked.")},
        _early_bird,
        {"arrives": "Adding a replica does not interrupt the table. What is written in the meantime is replicated, and "
                    "arrives as soon as the replica is ready.",
         "lost": "Not every Region has the item. Replication is asynchronous: look again in a second.",
         "refused": "Home refused the put: is it still being created, or is a Region down?"},
        usual=("arrives",)),
    Question(
        "05-two", "One UpdateTable call names two new replicas, in two Regions. What does the service do?",
        {"both": Option("It creates both at the same time",
                        "It could, but it does not: for a table of this kind one call creates one replica."),
         "queue": Option("It accepts the call, and creates one after the other",
                         "The service keeps no queue of such work. Your program has to wait and to call again."),
         "refused": Option("It refuses the call", "This time the call was accepted.")},
        _two,
        {"refused": "The service adds one replica at a time: one call for each, and the next call when the replica is "
                    "ACTIVE. A table with strong consistency is the exception, because its members can only be created "
                    "together.",
         "both": "One call made both replicas. This is so for a table with strong consistency."},
        usual=("refused",)),
    Question(
        "05-strong", "You put an item in one Region and read it in another immediately, with both kinds of read. Which "
                     "read finds it?",
        {"both": Option("Both: this table is never stale",
                        "Only its strongly consistent reads are never stale. An eventually consistent read answers "
                        "with what its replica has."),
         "strong": Option("Only the strongly consistent read",
                          "This time the other kind of read found the item as well, or neither did. The copy may be "
                          "early; it need not be."),
         "eventual": Option("Only the eventually consistent read: the other one is refused in this Region",
                            "Every replica of this table accepts both kinds of read."),
         "neither": Option("Neither: copying takes a second",
                           "The put was acknowledged only when a second Region had it, and a strongly consistent read "
                           "sees every acknowledged write.")},
        _strong,
        {"strong": "In any Region of such a table, a strongly consistent read sees every acknowledged write. One way "
                   "to build this, the local cloud's: the write is acknowledged by two of three Regions, the read asks "
                   "two of three, and they have one in common. (To be "
                   "linearizable, it needs a little more.) The eventually consistent read asks nobody, and can be "
                   "stale, as in every global table.",
         "both": "The strongly consistent read had to find it. The other one was lucky: the copy was early.",
         "neither": "That must not happen, if this table is strongly consistent and the put was acknowledged."},
        usual=("strong",)),
    Question(
        "05-conflict", "All three Regions put the same item of this table at the same time. What happens?",
        {"both": Option("All puts are accepted, and the last one stays",
                        "That is the rule of tables with eventual consistency. Here a write is never discarded "
                        "silently after it was acknowledged."),
         "wait": Option("All are accepted: each waits for the one before it",
                        "The service could have been built so. It refuses instead, and leaves it to you whether the "
                        "write still makes sense."),
         "refused": Option("At least one is refused with an error",
                           "In this run no two puts met: each was over before the next one came. Run the cell again.")},
        _conflict,
        {"refused": "ReplicatedWriteConflictException: the item is being modified in another Region. The refused put "
                    "changed nothing, and its program knows it. A write that was acknowledged is not silently "
                    "discarded.",
         "both": "No two puts were on their way at the same moment. If they are, one is refused with "
                 "ReplicatedWriteConflictException."},
        usual=("refused",)),
)
