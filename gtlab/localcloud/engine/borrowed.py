"""Everything that depends on the insides of ``ministack``, the library from which the engine borrows its control plane:
tables, indexes, backups, tags, policies. The data plane is ours.

No other module of gtlab imports the library. This one calls and replaces its private names, so pyproject.toml pins one
exact release; a new release needs a fresh look at each name below.

Called: ``handle_request``, ``reset``, the request's account and Region in ``core.responses``, and the dictionaries in
which the library keeps its state. Replaced (monkeypatched): see "Replacements". The engine's other modules also read a
table's record, which is the library's dictionary for it: ``TableId``, what DescribeTable shows, and ``items``, in which
:mod:`storage` puts an :class:`~gtlab.localcloud.engine.items.Items`.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any

import msgspec
from ministack.core import responses as _responses
from ministack.services import dynamodb as _dynamodb

from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.model import Key, TableId

log = logging.getLogger(__name__)
logging.getLogger("dynamodb").setLevel(logging.ERROR)  # the library warns about every expression that it refuses


class CannotEvaluate(Exception):
    """The library failed on a request: it has no answer to what the client sent. It may have changed items."""


# Replacements

# Do not recount a table's items at each write: refresh_counts does, when a description is asked for.
_dynamodb._update_counts = lambda raw: None
# Do not look for a stream at each write: gtlab.localcloud.tables.streams has the streams.
_dynamodb._emit_stream_event = lambda *change: None


class _Json:
    """Replaces the library's ``json`` with msgspec, which is faster."""

    loads = staticmethod(msgspec.json.decode)
    dumps = staticmethod(json.dumps)
    JSONDecodeError = msgspec.DecodeError


_dynamodb.json = _Json
_dynamodb.json_response = lambda answer, status=200: (status, {}, msgspec.json.encode(answer))


# Requests

# The exceptions that the library raises for input that it cannot evaluate. Others are defects, or MemoryError.
_STUMBLES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, re.error)


def run(account: str, region: str, operation: str, data: dict) -> tuple[int, bytes]:
    """Status and body of the library's answer to a request. An item that is put belongs to the library afterwards.

    Raises CannotEvaluate where the library fails on the request. The line between that and a defect of gtlab: the
    exception is one of ``_STUMBLES`` and was raised in the library, or in what the library called, and not in one of
    the replacements above. Every other exception is passed on as it is.
    """
    # Kept until the next request sets it: the library's own request_scope also restores it, which costs time.
    _responses._request_account_id.set(account)
    _responses._request_region.set(region)
    try:
        status, _, body = _handled(operation, data)
    except _STUMBLES as error:
        if _is_ours(error.__traceback__):
            raise
        log.warning("the engine cannot evaluate a %s: %s: %s", operation, type(error).__name__, error)
        # For an invalid projection of a BatchGetItem, the library's message is the error text for the client.
        raise CannotEvaluate(str(error) if operation == "BatchGetItem" and type(error) is ValueError else "") from None
    return status, body if isinstance(body, bytes) else body.encode()


def _handled(operation: str, data: dict) -> tuple[int, dict, bytes | str]:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    return _finish(_dynamodb.handle_request("POST", "/", headers, msgspec.json.encode(data), {}))


def _finish(coroutine: Coroutine[Any, Any, tuple]) -> tuple:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the engine waited for something")


def _is_ours(traceback: TracebackType | None) -> bool:
    """Whether gtlab's code raised an exception, or called what raised it, rather than the library's."""
    modules = []
    while traceback is not None:
        modules.append(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    nearest = next((name for name in reversed(modules) if name.startswith(("gtlab.", "ministack."))), "")
    return nearest.startswith("gtlab.")


# State

# The library's other records by our names, and the dictionaries in which it keeps them.
_OTHERS = {"tags": "_tags", "point_in_time_recovery": "_pitr_settings", "kinesis_destinations": "_kinesis_destinations",
           "backups": "_backups", "contributor_insights": "_contributor_insights",
           "resource_policies": "_resource_policies", "exports": "_exports", "imports": "_imports"}
_DERIVED = ("items", "pk_name", "sk_name")  # in its record of a table, beside the members of the table's description
_SNAPSHOT = "_items_snapshot"               # the items in its record of a backup


def reset() -> None:
    _dynamodb.reset()


def record(table: TableId) -> dict | None:
    """The library's record of a table; None where there is no such table."""
    return _dynamodb._tables._data.get(table)  # as its get_scoped does; this is called several times per request


def records() -> Iterator[tuple[TableId, dict]]:
    """Every table with its record."""
    return ((TableId(*scoped), raw) for scoped, raw in _dynamodb._tables.all_items())


def description(raw: dict) -> dict:
    """What a record of a table has of the table's description (TableDescription in the API)."""
    return {name: value for name, value in raw.items() if name not in _DERIVED}


def put_record(table: TableId, described: dict) -> None:
    """Create an empty table from its :func:`description`."""
    keys = {element["KeyType"]: element["AttributeName"] for element in described["KeySchema"]}
    _dynamodb._tables.set_scoped(*table, described | {
        "pk_name": keys["HASH"], "sk_name": keys.get("RANGE"), "items": defaultdict(dict)})


def refresh_counts(table: TableId) -> None:
    """Update the figures that a description shows: items and their bytes."""
    raw = record(table)
    if raw:
        stored = raw["items"]
        raw["ItemCount"], raw["TableSizeBytes"] = (stored.count, stored.bytes) if type(stored) is Items else (0, 0)


def other_records() -> dict[str, list[list]]:
    """The library's other records by kind: account, Region, a name or ARN, and the value in the API's shapes. A backup
    is {"description", "items"}; each of its items is the two parts of its key, and the item."""
    found = {kind: [[*scoped, value] for scoped, value in getattr(_dynamodb, attribute).all_items()]
             for kind, attribute in _OTHERS.items()}
    found["backups"] = [[*where, {
        "description": {name: value for name, value in raw.items() if name != _SNAPSHOT},
        "items": [[partition, sort, item] for partition, row in raw.get(_SNAPSHOT, {}).items()
                  for sort, item in row.items()]}] for *where, raw in found["backups"]]
    return found


def put_other_record(kind: str, account: str, region: str, key: str, value: Any) -> None:
    if kind == "backups":
        rows: defaultdict[str, dict] = defaultdict(dict)
        for partition, sort, item in value["items"]:
            rows[partition][sort] = item
        value = {**value["description"], _SNAPSHOT: dict(rows)}
    getattr(_dynamodb, _OTHERS[kind]).set_scoped(account, region, key, value)


def backup(account: str, region: str, arn: str) -> dict | None:
    """The library's record of a backup."""
    return _dynamodb._backups.get_scoped(account, region, arn)


def snapshot(raw: dict) -> Iterator[tuple[Key, dict]]:
    """The items in a record of a backup."""
    for partition, row in raw.get(_SNAPSHOT, {}).items():
        for sort, item in row.items():
            yield Key(partition, sort), item


def tokens() -> list[tuple[str, str, str]]:
    """Account, Region and ClientRequestToken of the transactions that are remembered, oldest first."""
    return [scoped for scoped, _ in _dynamodb._txn_idempotency.all_items()]


def token(account: str, region: str, name: str) -> dict | None:
    """What is remembered of the transaction with this ClientRequestToken: {"request", "answer"}."""
    known = _dynamodb._txn_idempotency.get_scoped(account, region, name)
    return known and {"request": known["signature"], "answer": known["response"]}


def put_token(account: str, region: str, name: str, kept: dict) -> None:
    _dynamodb._txn_idempotency.set_scoped(account, region, name,
                                          {"signature": kept["request"], "response": kept["answer"]})


def forget_token(account: str, region: str, name: str) -> None:
    _dynamodb._txn_idempotency.pop_scoped(account, region, name, None)
