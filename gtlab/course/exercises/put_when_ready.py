"""01: put an item into a table that is still CREATING: catch the refusal, and wait properly."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, function, last_calls
from gtlab.course.trial import Outcome, Trial, trial

_WANTS = "a function put_when_ready(client, table, item)"
_NOT_READY = "ResourceNotFoundException"  # how a put into a table that is CREATING is refused
_PAUSE_S = 0.01   # a caller that asks again sooner than this, most of the time, is a busy loop
_LONG_S = 5.0     # many times what creating a table takes on the network "fast"
_PATIENCE = 1.5   # boto3's waiter asks every 20 s by default, which is right: the usual limit would cut it off
_AN_ITEM = {"Artist": "item_1", "SongTitle": "Song Value 1"}


def _judge(answer: Any, setting: Setting) -> str:
    put = function(answer, _WANTS, "client", "table", "item")
    with trial(setting.seed, network="fast", limit_s=_PATIENCE * setting.limit_s) as made:
        calls, waited_s = _on_a_new_table(put, made)
        if _may_be_a_guess(calls):
            _on_a_slow_table(put, setting, calls, waited_s)
        _on_a_bad_item(put, made)
        refused = sum(call.refused == _NOT_READY for call in calls)
        praise = (f"The item is in the table after {len(calls)} calls, {refused} of which were refused. A refusal that "
                  "waiting does not cure was reported at once.")
        if waited_s > _LONG_S:
            praise += (f" But {waited_s:.0f} s between two questions is long: a table is ready after a few seconds. "
                       'Give the waiter a shorter pause: WaiterConfig={"Delay": 1}.')
        return praise


def _may_be_a_guess(calls: list[Any]) -> bool:
    """Whether these calls can be those of a function that sleeps for a fixed time: none of them saw that the table was
    not ACTIVE (on a busy machine it may be ready before the first call), or only one did, and none that it was."""
    looks = [call.answer["Table"]["TableStatus"] for call in calls if call.operation == "DescribeTable" and call.answer]
    early = sum(call.refused == _NOT_READY for call in calls) + sum(status != "ACTIVE" for status in looks)
    return early == 0 or ("ACTIVE" not in looks and early == 1)


def _on_a_slow_table(put: Any, setting: Setting, calls: list[Any], waited_s: float) -> None:
    """The same where creating a table takes ten times as long."""
    text = ("Your function waited for a guessed time. It worked once; on a busy day it would not, and on most days it "
            "waits too long. Ask DynamoDB again and again instead.")
    if waited_s > _LONG_S:
        raise Wrong("guess", text, f"it waited for {waited_s:.1f} s, and then put the item without asking; most tables "
                                   f"of this trial are ready after one second\n{last_calls(calls)}")
    with trial(setting.seed, network="realistic", limit_s=_PATIENCE * setting.limit_s) as slow:
        region, = slow.regions(1)
        table, client = slow.word("Music"), slow.client(region)
        _create(client, table)
        outcome = slow.run(put, client, table, {"Artist": {"S": "item_1"}, "SongTitle": {"S": "Song Value 1"}})
        code = getattr(outcome.error, "response", {}).get("Error", {}).get("Code")
        if code == _NOT_READY or (outcome.calls and outcome.calls[-1].refused == _NOT_READY and not outcome.late):
            raise Wrong("guess", text, f"on a table that is created more slowly, {last_calls(outcome.calls)}")


def _on_a_new_table(put: Any, made: Trial) -> tuple[list[Any], float]:
    """The calls of a right function, and the longest time in seconds that it waited before one of them."""
    region, = made.regions(1)
    table, word = made.word("Music"), made.word("song")
    item = {"Artist": {"S": "item_1"}, "SongTitle": {"S": word}}
    client = made.client(region)
    _create(client, table)
    began = time.monotonic()
    outcome = made.run(put, client, table, item)
    _judge_calls(outcome, made.limit_s)
    made.until(lambda: made.active(table, region), f"table {table}")
    found = client.get_item(TableName=table, Key=item, ConsistentRead=True).get("Item")
    if found is None:
        raise Wrong("gave-up", "Your function returned, but the item is not in the table. A put that was refused has "
                               "to be sent again when the table is ACTIVE.", last_calls(outcome.calls))
    if found != item:
        raise Wrong("another-item", "An item is in the table, but not the one that your function was given.",
                    f"{found}")
    asked = [began, *(call.ended for call in outcome.calls)]
    waited_s = max(call.at - before for before, call in zip(asked, outcome.calls, strict=False))
    return outcome.calls, waited_s


def _judge_calls(outcome: Outcome, limit_s: float) -> None:
    calls = outcome.calls
    puts = [call for call in calls if call.operation == "PutItem"]
    error = getattr(outcome.error, "response", {}).get("Error", {}).get("Code")
    if error == _NOT_READY:
        raise Wrong("not-caught", "DynamoDB refused your put, because the table was still CREATING, and your function "
                                  "did not catch that. create_table returns before the table is ready.",
                    f"{error}: {outcome.error}")
    check_outcome(outcome, limit_s, "put_when_ready")
    if not calls:
        raise Wrong("no-call", "Your function made no call with the client that it was given. Does it use another "
                               "client, such as one from a cell above?")
    if not puts:
        raise Wrong("no-put", "Your function did not put the item.", last_calls(calls))
    if any(call.operation == "CreateTable" for call in calls):
        raise Wrong("creates", "The table has been created already; creating it again is refused, and does not make it "
                               "ready any sooner.", last_calls(calls))
    pauses = sorted(later.at - earlier.ended for earlier, later in pairwise(calls))
    if len(pauses) >= 5 and pauses[len(pauses) // 2] < _PAUSE_S:
        raise Wrong("busy", "Your function asks again without a pause. AWS throttles such a caller, and its "
                            "calls count against the limits of the whole account. Sleep a little between two "
                            "attempts.",
                    f"{len(calls)} calls, and {1000 * pauses[len(pauses) // 2]:.1f} ms between an answer and the "
                    "next call")


def _on_a_bad_item(put: Any, made: Trial) -> None:
    """The same with an item without its sort key, on a table that is ready: waiting does not cure that."""
    region, = made.regions(1)
    table, client = made.word("Music"), made.client(region)
    _create(client, table)
    made.until(lambda: made.active(table, region), f"table {table}")
    outcome = made.run(put, client, table, {"Artist": {"S": "item_1"}})
    if outcome.late:
        raise Wrong("retries-all", "Your function retries every error. An item without its sort key is refused with a "
                                   "ValidationException, today and tomorrow: waiting does not cure it, so it must be "
                                   "raised.", last_calls(outcome.calls))
    if outcome.error is None:
        raise Wrong("hides-errors",
                    "Your function was given an item without its sort key. DynamoDB refused it with a "
                    "ValidationException, and your function hid that: its caller believes that the item is stored. "
                    "Catch only the refusal that waiting cures.", last_calls(outcome.calls))


def _create(client: Any, table: str) -> None:
    client.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}, {"AttributeName": "SongTitle", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in _AN_ITEM])


EXERCISE = Exercise(
    "01-put-when-ready", "Put as soon as the table is ready", _WANTS,
    hints=(
        "What exactly does DynamoDB answer to a put into a table that is CREATING? Try it, and read the error's code.",
        "Either ask describe_table until TableStatus is ACTIVE, with a short sleep between two questions, or send the "
        "put again after each ResourceNotFoundException. Every other error must leave your function. A table that is "
        "never ready needs a deadline: give up after a minute.",
        'client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1}), and then put_item.'),
    judge=_judge)
