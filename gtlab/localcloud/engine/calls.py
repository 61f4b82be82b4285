"""Carry out calls in a database: reads and writes of items, and the operations on tables that take no time here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import msgspec

from gtlab.localcloud.engine import (
    arguments,
    backups,
    create_table,
    elsewhere,
    insights,
    pages,
    partiql_calls,
    policies,
    reads,
    tags,
    update_table,
    writes,
)
from gtlab.localcloud.engine.charges import READ, Charge, consumed
from gtlab.localcloud.engine.database import Database, Remembered, TokenId
from gtlab.localcloud.engine.descriptions import LIMITS, delete, description
from gtlab.localcloud.engine.reads import Read
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.engine.table_rules import WARM_UNITS
from gtlab.localcloud.engine.writes import Write
from gtlab.localcloud.model import Call, Change, Key, Refusal, TableId, invalid

_READS: dict[str, Callable[..., Read]] = {
    "GetItem": reads.get_item, "BatchGetItem": reads.batch_get, "TransactGetItems": reads.transact_get,
    "Query": reads.query, "Scan": reads.scan}
_WRITES: dict[str, Callable[..., Write]] = {
    "PutItem": writes.put_item, "UpdateItem": writes.update_item, "DeleteItem": writes.delete_item,
    "BatchWriteItem": writes.batch_write, "TransactWriteItems": writes.transact_write,
    "ExecuteStatement": partiql_calls.execute, "BatchExecuteStatement": partiql_calls.batch,
    "ExecuteTransaction": partiql_calls.transaction}
READS, WRITES = frozenset(_READS), frozenset(_WRITES)  # PartiQL counts as writes
_TOKENS = ("TransactWriteItems", "ExecuteTransaction")
_LONGEST_TOKEN = 36
Operation = Callable[[Database, Call, float], dict[str, Any]]
_encode = msgspec.json.encode


def call(database: Database, call: Call, now: float) -> bytes:
    """Carry out any operation in one Region and return its answer as JSON. ``now`` is in epoch seconds. If it raises
    Refusal, nothing has changed."""
    if call.operation in _READS:
        return read(database, call)[0]
    if call.operation in _WRITES:
        return write(database, call, now)[0]
    return _encode(control(database, call, now))


def read(database: Database, call: Call) -> tuple[bytes, list[Charge]]:
    """Carry out a read; returns its answer as JSON, and what it consumed. Raises Refusal."""
    if call.trial is not None and call.trial.holds(database, call):
        return call.trial.answer, call.trial.carry_out(database).charges
    done = _READS[call.operation](_find(database, call), call.input)
    return pages.encoded(done.answer, done.items), done.charges


def keys_read(database: Database, call: Call, count: int) -> list[Key]:
    """The keys of the first items that a Query or a Scan reads, with those that its filter leaves out. Raises
    Refusal."""
    return reads.keys_read(_find(database, call), call.operation, call.input, count)


def write(database: Database, call: Call, now: float) -> tuple[bytes, list[Change], Iterable[Charge]]:
    """Carry out a write; returns its answer as JSON, its changes, and what it consumed. As on the service, a write that
    leaves an item as it was is not a change. If it raises Refusal, or another exception (a defect of gtlab), nothing
    has changed."""
    token, request = None, call.input
    if call.operation in _TOKENS and "ClientRequestToken" in request:
        _check_token(request["ClientRequestToken"])
        token = TokenId(call.account, call.region, request["ClientRequestToken"])
        request = {name: value for name, value in request.items() if name != "ClientRequestToken"}
        known = database.token(token, now)
        if known is not None:
            if known.request != request:
                raise Refusal("IdempotentParameterMismatchException", "Request token already in use for another "
                              "request with a different payload")
            return _repeated(call, known)
    trial = call.trial if call.trial is not None and call.trial.holds(database, call) else None
    done = trial.carry_out(database) if trial else _WRITES[call.operation](_find(database, call), call.input)
    try:
        answer = trial.answer if trial else pages.encoded(done.answer, done.items)
        if token is not None:
            database.remember(token, Remembered(request, done.answer, now, _read_again(done.charges)))
    except BaseException:
        with ExitStack() as undo:  # it calls each, although one fails
            for change in done.changes:
                undo.callback(database.apply, change.table, change.key, change.old)
            if token is not None:
                undo.callback(database.forget, token)
        raise
    return answer, done.changes, done.charges


def carry_out(database: Database, call: Call) -> tuple[Write, bytes]:
    """Carry out a read, or a write without a token; the outcome, and its answer as JSON. Raises Refusal."""
    if call.operation in _READS:
        read = _READS[call.operation](_find(database, call), call.input)
        done = Write(read.answer, [], read.charges, read.items)
    else:
        done = _WRITES[call.operation](_find(database, call), call.input)
    return done, pages.encoded(done.answer, done.items)


def _check_token(token: str) -> None:
    if not 1 <= len(token) <= _LONGEST_TOKEN:
        bound = f"less than or equal to {_LONGEST_TOKEN}" if token else "greater than or equal to 1"
        arguments.refuse_all([arguments.failed(token[:300], "clientRequestToken", f"Member must have length {bound}")])


def _read_again(charges: Iterable[Charge]) -> list[tuple[str, float]]:
    """What it takes to read the items of a transaction in another one: 4 KB for each two units, where a write has 1 KB
    for each two. Indexes are not read."""
    return [(charge.table.name, charge.units if charge.kind == READ else 2.0 * math.ceil(charge.units / 8))
            for charge in charges if charge.index_name is None]


def _repeated(call: Call, known: Remembered) -> tuple[bytes, list[Change], Iterable[Charge]]:
    """The answer to a transaction that was carried out before with the same token: it consumes what reading its items
    takes, as large as they were then."""
    charges = [Charge(TableId(call.account, call.region, name), None, False, READ, units) for name, units in known.read]
    capacity = consumed(charges, call.input.get("ReturnConsumedCapacity", "NONE"), by_kind=True)
    answer = {name: value for name, value in known.answer.items() if name != "ConsumedCapacity"}
    return _encode(answer | ({"ConsumedCapacity": capacity} if capacity else {})), [], charges


def control(database: Database, call: Call, now: float) -> dict[str, Any]:
    """Carry out an operation that is not about items. Raises Refusal."""
    operation = OPERATIONS.get(call.operation)
    if operation is None:
        raise Refusal("UnknownOperationException", f"{call.operation} is an operation of DynamoDB that gtlab's local "
                                                   "cloud does not have. Nothing was done.")
    return operation(database, call, now)


def _find(database: Database, call: Call) -> reads.Find:
    def find(name: str) -> Table:
        try:
            return database.find(call.account, call.region, name)
        except Refusal:
            arguments.check_values(call.input)
            raise

    return find


# Tables, as they are without time: gtlab.localcloud.tables carries these out with what comes between

def _create_table(database: Database, call: Call, now: float) -> dict[str, Any]:
    create_table.check(call.input)
    return {"TableDescription": description(create_table.create(database, _named(call), call.input, now))}


def _update_table(database: Database, call: Call, now: float) -> dict[str, Any]:
    update_table.check(call.input)
    table = database.table(_named(call))
    least = dict.fromkeys(WARM_UNITS, 0)
    update_table.check_table(table, call.input, {"": least} | {
        index["IndexName"]: least for index in table.described["GlobalSecondaryIndexes"]})
    update_table.change(table, call.input, now)
    return {"TableDescription": description(table)}


def _delete_table(database: Database, call: Call, now: float) -> dict[str, Any]:
    shown = description(database.table(_named(call)))
    if shown["DeletionProtectionEnabled"]:
        raise protected()
    delete(database, _named(call))
    return {"TableDescription": shown | {"TableStatus": "DELETING"}}


def protected() -> Refusal:
    """The refusal to delete a table whose deletion protection is on."""
    return invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion "
                   "protection first.")


def _describe_table(database: Database, call: Call, now: float) -> dict[str, Any]:
    return {"Table": description(database.table(_named(call)))}


def _describe_limits(database: Database, call: Call, now: float) -> dict[str, Any]:
    return dict(LIMITS)


def _named(call: Call) -> TableId:
    return TableId(call.account, call.region, call.input["TableName"])


OPERATIONS: dict[str, Operation] = {
    "CreateTable": _create_table, "UpdateTable": _update_table, "DeleteTable": _delete_table,
    "DescribeTable": _describe_table, "DescribeLimits": _describe_limits, **tags.OPERATIONS, **backups.OPERATIONS,
    **insights.OPERATIONS, **policies.OPERATIONS, **elsewhere.OPERATIONS}
