"""Carry out calls: the data plane is ours, the rest is the library's."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import msgspec

from gtlab.localcloud.engine import borrowed, partiql_calls, reads, storage, writes
from gtlab.localcloud.engine.charges import Charge
from gtlab.localcloud.engine.reads import Read
from gtlab.localcloud.engine.writes import Write
from gtlab.localcloud.model import Change, Refusal, TableId, invalid

_READS: dict[str, Callable[..., Read]] = {
    "GetItem": reads.get_item, "BatchGetItem": reads.batch_get, "TransactGetItems": reads.transact_get,
    "Query": reads.query, "Scan": reads.scan}
_WRITES: dict[str, Callable[..., Write]] = {
    "PutItem": writes.put_item, "UpdateItem": writes.update_item, "DeleteItem": writes.delete_item,
    "BatchWriteItem": writes.batch_write, "TransactWriteItems": writes.transact_write,
    "ExecuteStatement": partiql_calls.execute, "BatchExecuteStatement": partiql_calls.batch,
    "ExecuteTransaction": partiql_calls.transaction}
_TOKENS = ("TransactWriteItems", "ExecuteTransaction")
_encode = msgspec.json.encode


def read(account: str, region: str, operation: str, data: dict) -> tuple[bytes, list[Charge]]:
    """Carry out a read; returns its answer as JSON, and what it consumed. Raises Refusal."""
    done = _READS[operation](_find(account, region), data)
    return _encode(done.answer), done.charges


def call(account: str, region: str, operation: str, data: dict) -> bytes:
    """Carry out any operation in one Region and return its answer as JSON. If it raises Refusal, nothing has
    changed."""
    if operation in _READS:
        return read(account, region, operation, data)[0]
    if operation in _WRITES:
        return write(account, region, operation, data)[0]
    if "TableName" in data:
        borrowed.refresh_counts(TableId(account, region, data["TableName"]))
    try:
        status, body = borrowed.run(account, region, operation, data)
    except borrowed.CannotEvaluate as stumble:
        raise invalid(str(stumble) or f"gtlab's local cloud cannot carry out this {operation}; nothing was changed."
                      ) from None
    if status >= 400:
        raise _refusal(operation, status, json.loads(body))
    return body


def write(account: str, region: str, operation: str, data: dict) -> tuple[bytes, list[Change], list[Charge]]:
    """Carry out a write; returns its answer as JSON, its changes, and what it consumed. As on the service, a write that
    leaves an item as it was is not a change. If it raises Refusal, or another exception (a defect of gtlab), nothing
    has changed."""
    token = data.get("ClientRequestToken") if operation in _TOKENS else None
    request = {name: value for name, value in data.items() if name != "ClientRequestToken"}
    if token is not None:
        known = storage.token(account, region, token)
        if known is not None:
            if known["request"] != request:
                raise Refusal("IdempotentParameterMismatchException", "Request token already in use for another "
                              "request with a different payload")
            return _encode(known["answer"]), [], []
    done = _WRITES[operation](_find(account, region), data)
    if token is not None:
        borrowed.put_token(account, region, token, {"request": request, "answer": done.answer})
    return _encode(done.answer), done.changes, done.charges


def _find(account: str, region: str) -> reads.Find:
    return functools.partial(storage.find, account, region)


def _refusal(operation: str, status: int, body: dict[str, Any]) -> Refusal:
    """The library's error as a Refusal."""
    code = body.pop("__type", "InternalServerError").rpartition("#")[2]
    message = body.pop("message", body.pop("Message", ""))
    if code == "PolicyNotFoundException" and operation == "GetResourcePolicy":
        message = f"Resource-based policy not found for the provided ResourceArn: {message.rpartition(' ')[2]}"
    if code == "UnknownOperationException":
        message = (f"{operation} is an operation of DynamoDB that gtlab's local cloud does not have. "
                   "Nothing was done.")
    return Refusal(code, message, status, body)
