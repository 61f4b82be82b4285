"""03: put an item in a replica Region, and prove that it has reached home."""

from __future__ import annotations

from typing import Any

from gtlab import regions
from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function, last_calls
from gtlab.course.trial import Called, Outcome, Trial, trial
from gtlab.lab.watch import own

_WANTS = "a function write_and_prove(clients, home, table, item) that returns the item as home reads it"
_WRITES = ("PutItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems")
_FEW = 3  # reads at home; a function that polls needs more of them, unless it was lucky
_READS = ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems")


def _judge(answer: Any, setting: Setting) -> str:
    write = function(answer, _WANTS, "clients", "home", "table", "item")
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        return _run(write, made)


def _run(write: Any, made: Trial) -> str:
    where = made.regions(3)
    home, lag_s = where[0], made.random.uniform(0.4, 1.2)
    table = made.table(where)
    key = {"id": {"S": made.word("song")}}
    older, item = key | {"Said": {"S": "older"}}, key | {"Said": {"S": made.word("newer")}}
    made.client(home).put_item(TableName=table, Item=older)
    made.settled()
    after = int(made.lab.events()["n"].max())
    made.lab.world.lag(lag_s)
    outcome = made.run(write, {region: made.client(region) for region in where}, home, table, item)
    if outcome.late and any(call.operation in _READS and call.region == home for call in outcome.calls):
        raise Wrong("endless", f"Your function still waited after {made.limit_s:g} s, although the item had arrived. "
                               "What does its loop compare?", last_calls(outcome.calls))
    check_outcome(outcome, made.limit_s, "write_and_prove")
    written = made.lab.events(after, kinds=["write"], table=table)
    _judge_write(written, home, key["id"]["S"], outcome)
    _judge_proof(outcome, home, older, item, lag_s)
    made.lab.world.reset()
    _judge_patience(write, made, where, table, outcome)
    made.settled()
    found = made.client(home).get_item(TableName=table, Key=key)["Item"]
    if own(found) != item:
        raise Wrong("another-item", "Home has another item than the one that your function was given.", f"{own(found)}")
    return (f"Written in {written['region'].iloc[0]}, and read at home {1000 * lag_s:.0f} ms later at the earliest: "
            "every replica accepts writes, and there is no primary.")


def _judge_write(written: Any, home: str, key: str, outcome: Outcome) -> None:
    if written.empty:
        raise Wrong("no-write", "Nothing was written in the table that your function was given. Does it use the "
                                "notebook's lab or table instead of its arguments?", last_calls(outcome.calls))
    mine = written[written["key"] == key]
    if mine.empty:
        raise Wrong("another-key", "An item was written, but with another key.", f"key written: "
                                                                                 f"{written['key'].iloc[0]}")
    if (mine["region"] == home).any():
        raise Wrong("at-home", f"The item was written at home, in {regions.label(home)}. That it can be read there "
                               "proves nothing about replication. Use the client of a replica.",
                    f"the journal: write of {key} in {home}")


def _judge_proof(outcome: Outcome, home: str, older: dict, item: dict, lag_s: float) -> None:
    value = outcome.value
    at_home = [call for call in outcome.calls if call.operation in _READS and call.region == home]
    elsewhere = [call for call in outcome.calls if call.operation in _READS and call.region != home]
    if value is None and not at_home:
        raise Wrong("no-proof", "The item was put in a replica, but your function returned nothing: it has not shown "
                                "that the item reached home. Read it there, and return what you read.",
                    last_calls(outcome.calls))
    if not at_home:
        raise Wrong("read-elsewhere" if elsewhere else "not-read",
                    "Your function never read at home. " + (
                        f"It read in {regions.label(elsewhere[-1].region)}, where the item was written: that replica "
                        "has it at once." if elsewhere else "It returned an item that nobody has read there."),
                    last_calls(outcome.calls))
    if not isinstance(value, dict):
        if value is None and _strong(at_home) and _never_saw(at_home, item):
            raise _strong_read(at_home, lag_s)
        raise Wrong("too-early" if _never_saw(at_home, item) and value is None else "wrong-type",
                    "Home did not have the item yet when your function read it. Read again until it is there."
                    if value is None else
                    f"Your function returned {described(value)}. Return the item that home answered: a dict.",
                    _reads(at_home, lag_s))
    if own(value.get("Item", value)) == older or (own(value) != item and _never_saw(at_home, item)):
        if _strong(at_home):
            raise _strong_read(at_home, lag_s)
        raise Wrong("older", "What home answered is the older item with this key: an item that is there need not be "
                             "yours. Compare its attributes with those that you wrote.", _reads(at_home, lag_s))
    if _never_saw(at_home, item):
        raise Wrong("not-read", "Your function returned the item that it had put, but home has never answered it. "
                                "Return what you have read.", _reads(at_home, lag_s))
    if own(value) != item:
        raise Wrong("wrong-type", f"Your function returned {described(value)}. Return the item that home answered, "
                                  "which is in the key Item of the answer.", _reads(at_home, lag_s))


def _judge_patience(write: Any, made: Trial, where: tuple[str, ...], table: str, before: Outcome) -> None:
    """A function that has read a few times only may have slept for a guessed time: run it again, with replication that
    takes longer than the function took."""
    reads = [call for call in before.calls if call.operation in _READS and call.region == where[0]]
    if len(reads) > _FEW:
        return
    lag_s = 1.0 + reads[-1].ended - before.calls[0].at
    key = {"id": {"S": made.word("song")}}
    made.client(where[0]).put_item(TableName=table, Item=key | {"Said": {"S": "older"}})
    made.settled()
    item = key | {"Said": {"S": made.word("newer")}}
    with made.lab.world.lag(lag_s):
        outcome = made.run(write, {region: made.client(region) for region in where}, where[0], table, item)
    at_home = [call for call in outcome.calls if call.operation in _READS and call.region == where[0]]
    if not outcome.late and at_home and _never_saw(at_home, item):
        raise Wrong("guess", "Your function waited for a guessed time, and was lucky once. Replication has no upper "
                             "bound: read again and again until home has the item.", _reads(at_home, lag_s))


def _strong_read(at_home: list[Called], lag_s: float) -> Wrong:
    return Wrong("strong-read", "A strongly consistent read at home sees every write that home has received. It does "
                                "not wait for a write that is still on its way from another Region.",
                 _reads(at_home, lag_s))


def _strong(reads: list[Called]) -> bool:
    return any(call.parameters.get("ConsistentRead") for call in reads)


def _never_saw(reads: list[Called], item: dict) -> bool:
    def found(call: Called) -> list[dict]:
        answer = call.answer or {}
        return [own(each) for each in [answer.get("Item"), *answer.get("Items", ())] if each]
    return not any(item in found(call) for call in reads)


def _reads(reads: list[Called], lag_s: float) -> str:
    first, last = reads[0], reads[-1]
    return (f"{len(reads)} read{'s' * (len(reads) > 1)} at home within {1000 * (last.ended - first.at):.0f} ms; "
            f"replication took {1000 * lag_s:.0f} ms in this trial")


EXERCISE = Exercise(
    "03-replica-write", "Write in a replica, and prove that it reached home", _WANTS,
    hints=(
        "Which client decides in which Region an item is written? And what would a read at home show if nothing had "
        "arrived yet?",
        "clients[region] is the client of a Region. Put with the client of any Region but home. Then read with "
        "clients[home], again and again with a short sleep, until the answer has the attributes that you wrote.",
        'replica = next(region for region in clients if region != home); then, in a loop: found = '
        'clients[home].get_item(TableName=table, Key={"id": item["id"]}).get("Item"), until found == item.'),
    judge=_judge)
