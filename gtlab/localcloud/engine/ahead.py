"""What of a long request is done before it is carried out.

To carry a request out is one step, during which nobody else is served. What takes most of the time of a long one does
not depend on any table: reading its expressions and statements, checking its items and putting them into the form in
which they are stored. :func:`prepared` does that, and may run in another thread: it changes nothing. Each outcome stays
with its part of the request. What is refused is refused later, by the call, in the service's order. A write of large
items, and any long request, is tried on copies of them, too: see :mod:`trials`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from gtlab.localcloud.engine import (
    arguments,
    calls,
    key_conditions,
    legacy,
    partiql,
    partiql_calls,
    reads,
    trials,
    writes,
)
from gtlab.localcloud.engine.database import Database
from gtlab.localcloud.engine.expressions import CONDITION, PROJECTION, UPDATE
from gtlab.localcloud.engine.table import check_attributes
from gtlab.localcloud.engine.targets import PARTIQL
from gtlab.localcloud.engine.terms import Values
from gtlab.localcloud.engine.texts import Prepared, PreparedList
from gtlab.localcloud.model import Call, Refusal

TRIED = trials.OPERATIONS  # those that :func:`trial` is called for


def length(call: Call) -> int:
    """Characters of a request's statements, or of the expressions of a request that may have many."""
    data, operation = call.input, call.operation
    if operation in PARTIQL:
        return sum(len(part["Statement"]) for part in partiql_calls.statements(data))
    parts: list[dict[str, Any]] = []
    if operation in ("TransactWriteItems", "TransactGetItems"):
        parts = [part for action in data["TransactItems"] for part in action.values()]
    elif operation == "BatchGetItem":
        parts = list(data.get("RequestItems", {}).values())
    return sum(len(part.get(name, "")) for part in parts for name in (CONDITION, UPDATE, PROJECTION))


def prepared(call: Call) -> Call:
    """The call with parts that are prepared."""
    prepare = _PREPARE.get(call.operation)
    return call if prepare is None else call._replace(input=prepare(call.input))


def trial(database: Database, call: Call, *, is_long: bool = False) -> trials.Trial | None:
    """What :func:`tried` takes, of a call that looks at large items, or whose request is long (``is_long``); None for
    other calls. (Not in another thread.)"""
    if call.operation not in calls.READS and call.operation not in calls.WRITES:
        return None
    return trials.of(database, call, is_long=is_long)


def tried(trial: trials.Trial, call: Call) -> Call:
    """The call with its trial."""
    trial.run(call, calls.carry_out)
    return call._replace(trial=trial)


def forget(asked: Call, call: Call) -> None:
    """Let go of a call that is over, as it was asked and as it was prepared. Parts of the input may stay, as those of a
    transaction with a token do."""
    if call.trial is not None:
        call.trial.forget()
    for part in _parts(call.input):
        if type(part) is Prepared or type(part) is PreparedList:
            part.outcome = None
    for each in (asked, call) if call.operation in calls.READS or call.operation in calls.WRITES else ():
        for requests in each.input.get("RequestItems", {}).values():
            while isinstance(requests, list) and requests:  # one by one: no other thread runs while one is freed
                requests.pop()
        each.input.clear()


def _parts(data: dict[str, Any]) -> Iterator[Any]:
    yield data
    for several in data.values():
        if isinstance(several, list):
            yield several
            for part in several:
                yield part
                yield from part.values() if isinstance(part, dict) else ()
        elif isinstance(several, dict):
            yield several
            yield from several.values()


def _with_outcome(part: Any, make: Callable[[Any], Any]) -> Any:
    found: Prepared | PreparedList = PreparedList(part) if isinstance(part, list) else Prepared(part)
    try:
        found.outcome = make(part)
    except Refusal as refusal:
        found.outcome = refusal.with_traceback(None)
    return found


def _statements(data: dict[str, Any]) -> dict[str, Any]:
    parts = [_with_outcome(part, _statement) for part in partiql_calls.statements(data)]
    if "Statement" in data:
        return parts[0] if parts else data
    name = "Statements" if "Statements" in data else "TransactStatements"
    return data | {name: parts} if parts else data


def _statement(part: dict[str, Any]) -> partiql.Known:
    known = partiql.read(part)
    partiql_calls.prepare(known)
    if isinstance(known.prepared, partiql_calls.Checked) and known.prepared.item is not None:
        known.prepared.item.pack()
    return known


def _transaction(data: dict[str, Any]) -> dict[str, Any]:
    actions = data["TransactItems"]
    if len(actions) > writes.MOST_TRANSACT_ITEMS:
        return data
    return data | {"TransactItems": [_with_outcome(action, _action) for action in actions]}


def _action(asked: dict[str, Any]) -> writes.Action:
    action = writes.action_of(asked)
    if action.item is not None:
        action.item.pack()
    return action


def _transact_reads(data: dict[str, Any]) -> dict[str, Any]:
    actions = data["TransactItems"]
    if len(actions) > reads.MOST_TRANSACT_ITEMS:
        return data
    return data | {"TransactItems": [{"Get": _with_outcome(action["Get"], reads.projected)} for action in actions]}


def _batch_reads(data: dict[str, Any]) -> dict[str, Any]:
    asked = data.get("RequestItems", {})
    if len(asked) > reads.MOST_BATCH_KEYS:
        return data
    return data | {"RequestItems": {name: _with_outcome(part, reads.projected) for name, part in asked.items()}}


def _batch(data: dict[str, Any]) -> dict[str, Any]:
    asked = data.get("RequestItems", {})
    if sum(map(len, asked.values())) > writes.MOST_BATCH_ITEMS:
        return data
    return data | {"RequestItems": {name: [_write(request) for request in requests]
                                    for name, requests in asked.items()}}


def _write(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"PutRequest": _put(request["PutRequest"])} if "PutRequest" in request else request


def _put(data: dict[str, Any]) -> dict[str, Any]:
    """A request to put an item, which is checked and as it is stored; as it is where the item is refused."""
    try:
        item = check_attributes(data["Item"])
        item.pack()
    except Refusal:
        return data
    return data | {"Item": item}


def _single(data: dict[str, Any]) -> dict[str, Any]:
    """A request whose expressions' values are checked, and what there was before expressions is read."""
    given, joined_by = data, data.get("ConditionalOperator")
    if "ExpressionAttributeValues" in data:
        data = data | {"ExpressionAttributeValues": _with_outcome(given["ExpressionAttributeValues"], Values)}
    try:
        arguments.check_choices(given)
    except Refusal:
        return data
    if "AttributesToGet" in data:
        data = data | {"AttributesToGet": _with_outcome(given["AttributesToGet"], reads.to_get)}
    for name, make in _OLDER.items():
        if name in data:
            data = data | {name: _with_outcome(given[name], functools.partial(make, joined_by))}
    return data


_OLDER: dict[str, Callable[[str | None, dict[str, Any]], Any]] = {
    "Expected": lambda joined_by, given: legacy.expected(given, joined_by),
    "QueryFilter": lambda joined_by, given: reads.older_filter(given, joined_by),
    "ScanFilter": lambda joined_by, given: reads.older_filter(given, joined_by),
    "KeyConditions": lambda _, given: key_conditions.older_tests(given),
    "AttributeUpdates": lambda _, given: legacy.updates(given)}


_PREPARE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(PARTIQL, _statements), "TransactWriteItems": _transaction, "TransactGetItems": _transact_reads,
    "BatchGetItem": _batch_reads, "BatchWriteItem": _batch, "PutItem": lambda data: _single(_put(data)),
    **dict.fromkeys(("GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"), _single)}
