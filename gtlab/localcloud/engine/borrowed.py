"""The operations that are still ``ministack``'s: backups, policies, contributor insights, exports and imports.

No other module of gtlab imports the library. This one calls and replaces its private names, so pyproject.toml pins one
exact release. Before a call, the library is shown the tables and records of the database; afterwards, its records are
taken over.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

import msgspec
from ministack.core import responses as _responses
from ministack.services import dynamodb as _dynamodb

from gtlab.localcloud.engine.database import (
    BACKUPS,
    EXPORTS,
    IMPORTS,
    INSIGHTS,
    KINESIS,
    POLICIES,
    TAGS,
    Database,
    RecordId,
)
from gtlab.localcloud.engine.descriptions import description
from gtlab.localcloud.model import Call, Refusal

log = logging.getLogger(__name__)
logging.getLogger("dynamodb").setLevel(logging.ERROR)  # the library warns about every expression that it refuses


class CannotEvaluate(Exception):
    """The library failed on a request: it has no answer to what the client sent."""


# The exceptions that the library raises for input that it cannot evaluate. Others are defects, or MemoryError.
_STUMBLES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, re.error)
# The dictionaries in which the library keeps its records, by our kinds.
_KEPT = {TAGS: "_tags", KINESIS: "_kinesis_destinations", BACKUPS: "_backups", INSIGHTS: "_contributor_insights",
         POLICIES: "_resource_policies", EXPORTS: "_exports", IMPORTS: "_imports"}
_SNAPSHOT = "_items_snapshot"  # the items in its record of a backup


def run(database: Database, call: Call) -> dict[str, Any]:
    """The library's answer to a request. Raises Refusal, or CannotEvaluate where the library fails on the request: the
    exception is one of ``_STUMBLES`` and was raised in the library. Every other exception is passed on as it is."""
    _responses._request_account_id.set(call.account)
    _responses._request_region.set(call.region)
    _show(database)
    try:
        headers = {"x-amz-target": f"DynamoDB_20120810.{call.operation}"}
        status, _, body = _finish(_dynamodb.handle_request("POST", "/", headers, json.dumps(call.input).encode(), {}))
    except _STUMBLES as error:
        if _is_ours(error.__traceback__):
            raise
        log.warning("the engine cannot evaluate a %s: %s: %s", call.operation, type(error).__name__, error)
        raise CannotEvaluate() from None
    answer = msgspec.json.decode(body)
    if status >= 400:
        raise _refusal(call.operation, status, answer)
    for kind, name in _KEPT.items():
        database.records[kind] = {RecordId(*where): _backup(value) if kind == BACKUPS else value
                                  for where, value in getattr(_dynamodb, name)._data.items()}
    return answer


def _show(database: Database) -> None:
    """Give the library the state of a database."""
    _dynamodb.reset()
    for table in database.tables.values():
        keys = table.key
        _dynamodb._tables.set_scoped(*table.id, table.described | description(table) | {
            "items": table.items, "pk_name": keys.partition[0], "sk_name": keys.sort[0] if keys.sort else None})
    for kind, name in _KEPT.items():
        for where, value in database.records[kind].items():
            getattr(_dynamodb, name).set_scoped(*where, _snapshot(value) if kind == BACKUPS else value)


def _backup(raw: dict[str, Any]) -> dict[str, Any]:
    """The library's record of a backup as it is kept."""
    return {"description": {name: value for name, value in raw.items() if name != _SNAPSHOT},
            "items": [[partition, sort, item] for partition, row in raw.get(_SNAPSHOT, {}).items()
                      for sort, item in row.items()]}


def _snapshot(kept: dict[str, Any]) -> dict[str, Any]:
    rows: defaultdict[str, dict] = defaultdict(dict)
    for partition, sort, item in kept["items"]:
        rows[partition][sort] = item
    return {**kept["description"], _SNAPSHOT: dict(rows)}


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
