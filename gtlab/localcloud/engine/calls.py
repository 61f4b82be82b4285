"""Carry out calls. To find the changes of a write, the items that its request names are compared before and after."""

from __future__ import annotations

import json

from gtlab.localcloud.engine import borrowed, storage, transactions
from gtlab.localcloud.engine.targets import PARTIQL, partiql_tables, touched
from gtlab.localcloud.model import Change, Key, Refusal, TableId, invalid

_SHOWS_NO_COUNTS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")  # of those that name one table


def call(account: str, region: str, operation: str, data: dict) -> bytes:
    """Carry out an operation in one Region and return its answer as JSON. An item in a put must not be changed by the
    caller afterwards. If it raises Refusal, nothing has changed, except if a write of several items cannot be
    evaluated; :func:`write` undoes such a write."""
    try:
        return _run(account, region, operation, data)
    except borrowed.CannotEvaluate as stumble:
        raise _not_evaluated(operation, stumble) from None


def write(account: str, region: str, operation: str, data: dict) -> tuple[bytes, list[Change]]:
    """Carry out a write; returns its answer as JSON, and its changes. As on the service, a write that leaves an item
    as it was is not a change. If it raises Refusal, or another exception (a defect of gtlab), nothing has changed."""
    if operation == "TransactWriteItems":
        transactions.check(account, region, data)
    before = [(table, key, storage.item(table, key)) for table, key in touched(account, region, operation, data)]
    if operation in PARTIQL:
        storage.unshare(table for table, _, _ in before)
    request = data.get("ClientRequestToken")
    repeated = request is not None and storage.token(account, region, request) is not None
    try:
        body = _run(account, region, operation, data)
        if operation in PARTIQL:
            before += _inserted(account, region, data, before)
        changes = [Change(table, key, old, storage.item(table, key)) for table, key, old in before]
    except Refusal:
        raise
    except Exception as error:
        if operation in PARTIQL:
            before += _inserted(account, region, data, before)
        for table, key, old in before:
            if storage.item(table, key) is not old:
                storage.apply(table, key, old)
        if request is not None and not repeated:  # otherwise, a retry of the request would be taken for a duplicate
            borrowed.forget_token(account, region, request)
        if isinstance(error, borrowed.CannotEvaluate):
            raise _not_evaluated(operation, error) from None
        raise
    for change in changes:
        if change.new is None:
            borrowed.drop_empty_partition(change.table, change.key)
    return body, [change for change in changes if change.old != change.new]


def _run(account: str, region: str, operation: str, data: dict) -> bytes:
    if "TableName" in data and operation not in _SHOWS_NO_COUNTS:
        borrowed.refresh_counts(TableId(account, region, data["TableName"]))
    status, body = borrowed.run(account, region, operation, data)
    if status >= 400:
        raise _refusal(operation, status, json.loads(body))
    return body


def _inserted(account: str, region: str, data: dict,
              before: list[tuple[TableId, Key, dict | None]]) -> list[tuple[TableId, Key, None]]:
    """The items that PartiQL's INSERT created. Their keys are not known before, because statements are not parsed."""
    known = {(table, key) for table, key, _ in before}
    return [(table, key, None) for table in partiql_tables(account, region, data) for key, _ in storage.items(table)
            if (table, key) not in known]


def _not_evaluated(operation: str, stumble: borrowed.CannotEvaluate) -> Refusal:
    return invalid(str(stumble) or f"gtlab's local cloud cannot carry out this {operation}; nothing was changed.")


def _refusal(operation: str, status: int, body: dict) -> Refusal:
    """The library's error as a Refusal."""
    code = body.pop("__type", "InternalServerError").rpartition("#")[2]
    message = body.pop("message", body.pop("Message", ""))
    if code == "UnknownOperationException":
        message = (f"{operation} is an operation of DynamoDB that gtlab's local cloud does not have. "
                   "Nothing was done.")
    return Refusal(code, message, status, body)
