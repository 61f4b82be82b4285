"""The adapter: one Region's DynamoDB, by the ``ministack`` library. Only this file knows it.

The engine keeps tables and items and evaluates requests and expressions. Streams, TTL, global tables and
statuses over time are not its business here: it is never told of them. Change capture works by key, not by
hook: a request says which items it may change, and each is compared before and after.
"""

from __future__ import annotations

import copy
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
from ministack.core import responses as _responses
from ministack.services import dynamodb as _dynamodb

from gtlab.localcloud.model import Change, Key, Refusal, TableId, invalid

log = logging.getLogger(__name__)
# The library would count a table's items anew at each write; it is asked for far more seldom. Of streams it is never
# told, so that it would look for one at each write in vain.
_dynamodb._update_counts = lambda raw: None
_dynamodb._emit_stream_event = lambda *change: None


class _Json:
    """What the library takes json for, quicker; what it is given was written by msgspec, too."""

    loads = staticmethod(msgspec.json.decode)
    dumps = staticmethod(json.dumps)
    JSONDecodeError = msgspec.DecodeError


_dynamodb.json = _Json
_dynamodb.json_response = lambda answer, status=200: (status, {}, msgspec.json.encode(answer))


def _canonical(number: str, canonicalize=_dynamodb._ddb_canonicalize_number) -> str | None:
    """A number's one form, None for what is none: the library's answer, at once for the plainest."""
    if number.isascii() and number.isdigit() and number[0] != "0" and len(number) <= 38:
        return number
    return canonicalize(number)


_dynamodb._ddb_canonicalize_number = _canonical


def _key_value(attribute: dict | None) -> str | None:
    """A key attribute's value as the text under which its item is filed; None where there is none. 1.0 is the number
    1: the library stores items under a number's one form, and would look for them under any that a client writes."""
    if not attribute:
        return None
    if "N" in attribute:
        return _canonical(attribute["N"]) or attribute["N"]
    return attribute.get("S", attribute.get("B"))


def _filed_under(attribute: dict, extract=_dynamodb._extract_key_val) -> str:
    return _key_value(attribute) if isinstance(attribute, dict) and "N" in attribute else extract(attribute)


_dynamodb._extract_key_val = _filed_under
_NO_SORT_KEY = "__no_sort__"  # what the engine files an item under when its table has no sort key

_DATA_PLANE = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")  # those that name one table
# Handlers that leave their input as it is: what is asked most often need not go to them by way of JSON.
_DIRECT = {"GetItem": _dynamodb._get_item, "PutItem": _dynamodb._put_item, "UpdateItem": _dynamodb._update_item,
           "DeleteItem": _dynamodb._delete_item}
PARTIQL = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")


def call(account: str, region: str, operation: str, data: dict) -> bytes:
    """Carry an operation out in one Region; the JSON of its answer. Raises Refusal, and then nothing changed. An item
    that is put becomes the engine's."""
    if "TableName" in data and operation not in _DATA_PLANE:
        _count(TableId(account, region, data["TableName"]))
    # Whose call it is, until the next one says so: the library's own request_scope takes longer, to put back nobody's.
    _responses._request_account_id.set(account)
    _responses._request_region.set(region)
    if operation in _DIRECT:
        status, _, body = _DIRECT[operation](data)
    else:
        status, body = _asked(operation, data)
    if status >= 400:
        raise _refusal(operation, status, json.loads(body))
    return body if isinstance(body, bytes) else body.encode()


def _asked(operation: str, data: dict) -> tuple[int, bytes | str]:
    """Status and body of the library's answer to a request."""
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    try:
        status, _, body = _finish(_dynamodb.handle_request("POST", "/", headers, msgspec.json.encode(data), {}))
    except ValueError as error:
        if operation != "BatchGetItem":
            raise
        raise invalid(str(error)) from None  # its projection; elsewhere the library looks at it first
    return status, body


def _count(table: TableId) -> None:
    """Bring the figures that a description shows up to date: items, and the bytes that the library takes each for."""
    raw = _raw(table)
    if raw:
        raw["ItemCount"] = sum(map(len, raw["items"].values()))
        raw["TableSizeBytes"] = 200 * raw["ItemCount"]


def write(account: str, region: str, operation: str, data: dict) -> tuple[bytes, list[Change]]:
    """Carry a write out; also what it changed. A write that changes nothing is no change, as on the service."""
    if operation == "TransactWriteItems":
        _check_transaction(account, region, data)
    before = [(table, key, item(table, key)) for table, key in touched(account, region, operation, data)]
    if operation in PARTIQL:
        _unshare(table for table, _, _ in before)
    try:
        body = call(account, region, operation, data)
    except Refusal:
        raise
    except Exception:  # the engine stumbled over what a client sent: undo, and refuse it rather than answer 500
        log.exception("the engine failed on %s", operation)
        for table, key, old in before:
            if item(table, key) is not old:
                apply(table, key, old)
        raise invalid(f"gtlab's local cloud cannot carry out this {operation}; nothing was changed.") from None
    if operation in PARTIQL:  # an INSERT makes an item that was not there to look at before
        known = {(table, key) for table, key, _ in before}
        before += [(table, key, None) for table in partiql_tables(account, region, data) for key, _ in items(table)
                   if (table, key) not in known]
    changes = [Change(table, key, old, item(table, key)) for table, key, old in before]
    for change in changes:
        if change.new is None:
            _drop_empty_partition(change.table, change.key)
    return body, [change for change in changes if change.old != change.new]


def exists(table: TableId) -> bool:
    return _raw(table) is not None


def tables() -> list[TableId]:
    return [TableId(*scoped) for scoped, _ in _dynamodb._tables.all_items()]


def schema(table: TableId) -> dict:
    """The engine's own record of a table: KeySchema, AttributeDefinitions, indexes, throughput. Read only."""
    return _raw(table)


def item(table: TableId, key: Key) -> dict | None:
    raw = _raw(table)
    return raw["items"].get(key.partition, {}).get(key.sort) if raw else None


def items(table: TableId) -> Iterator[tuple[Key, dict]]:
    raw = _raw(table)
    for partition, row in (raw["items"] if raw else {}).items():
        for sort, stored in row.items():
            yield Key(partition, sort), stored


def is_empty(table: TableId) -> bool:
    return next(items(table), None) is None


def key_attributes(table: TableId, key: Key) -> dict:
    """A primary key as the API writes it."""
    raw = _raw(table)
    found = {raw["pk_name"]: {_kind(raw, raw["pk_name"]): key.partition}}
    if raw["sk_name"]:
        found[raw["sk_name"]] = {_kind(raw, raw["sk_name"]): key.sort}
    return found


def _kind(raw: dict, name: str) -> str:
    for each in raw["AttributeDefinitions"]:
        if each["AttributeName"] == name:
            return each["AttributeType"]
    raise KeyError(name)


def apply(table: TableId, key: Key, new: dict | None) -> None:
    """Store a replicated item (None: delete it). It was checked where it was first written."""
    raw = _raw(table)
    row = raw["items"][key.partition]
    if new is None:
        row.pop(key.sort, None)
        _drop_empty_partition(table, key)
    else:
        row[key.sort] = new


def reset() -> None:
    _dynamodb.reset()


# What is kept

# The library's other records: what it holds of tags, backups and the like.
_RECORDS = ("_tags", "_pitr_settings", "_kinesis_destinations", "_backups", "_contributor_insights",
            "_resource_policies", "_exports", "_imports")
_MOST_TOKENS = 1000  # transactions whose tokens are remembered; the library would remember all of them


def saved() -> dict:
    """Every table without its items, and the library's other records, as JSON can hold them."""
    return {"tables": [[*scoped, {name: value for name, value in raw.items() if name != "items"}]
                       for scoped, raw in _dynamodb._tables.all_items()],
            "records": {name: [[*scoped, value] for scoped, value in getattr(_dynamodb, name).all_items()]
                        for name in _RECORDS}}


def restore(kept: dict, kept_items: Iterable[tuple[TableId, Key, dict]],
            tokens: Iterable[tuple[str, str, str, dict]]) -> None:
    """Take up what was kept."""
    reset()
    for account, region, name, raw in kept["tables"]:
        _dynamodb._tables.set_scoped(account, region, name, raw | {"items": defaultdict(dict)})
    for name, entries in kept["records"].items():
        for account, region, key, value in entries:
            getattr(_dynamodb, name).set_scoped(account, region, key, value)
    for table, key, stored in kept_items:
        apply(table, key, stored)
    for account, region, token, answer in tokens:
        _dynamodb._txn_idempotency.set_scoped(account, region, token, answer)


def incarnation(table: TableId) -> str:
    """What tells a table from another one that had its name before."""
    return _raw(table)["TableId"]


def token(account: str, region: str, name: str) -> dict | None:
    """What is remembered of the transaction that had this ClientRequestToken."""
    return _dynamodb._txn_idempotency.get_scoped(account, region, name)


def forget_tokens() -> list[tuple[str, str, str]]:
    """Forget the oldest tokens, so that memory is bounded; which they were."""
    known = [scoped for scoped, _ in _dynamodb._txn_idempotency.all_items()]
    old = known[:-_MOST_TOKENS]
    for scoped in old:
        _dynamodb._txn_idempotency.pop_scoped(*scoped, None)
    return old


def _raw(table: TableId) -> dict | None:
    return _dynamodb._tables._data.get(table)  # what its get_scoped does, asked several times at every call


def _finish(coroutine):
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the engine waited for something")


def _refusal(operation: str, status: int, body: dict) -> Refusal:
    code = body.pop("__type", "InternalServerError").rpartition("#")[2]
    message = body.pop("message", body.pop("Message", ""))
    if code == "UnknownOperationException":
        message = (f"{operation} is an operation of DynamoDB that gtlab's local cloud does not have. "
                   "Nothing was done.")
    return Refusal(code, message, status, body)


def named(account: str, region: str, operation: str, data: dict) -> list[tuple[TableId, Key]]:
    """The items that a request names by their keys, to read or to write them; none where it names tables only."""
    if operation == "GetItem":
        found = [(data["TableName"], data["Key"])]
    elif operation == "BatchGetItem":
        found = [(name, key) for name, asked in data["RequestItems"].items() for key in asked["Keys"]]
    else:
        return touched(account, region, operation, data)
    keys = ((TableId(account, region, name), _key(TableId(account, region, name), key)) for name, key in found)
    return [(table, key) for table, key in keys if key is not None]


def touched(account: str, region: str, operation: str, data: dict) -> list[tuple[TableId, Key]]:
    """The items that a request may change. What is malformed is left out: the engine refuses it."""
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        table = TableId(account, region, data["TableName"])
        key = _key(table, data["Item" if operation == "PutItem" else "Key"])
        return [] if key is None else [(table, key)]

    def id_of(name: str) -> TableId:
        return TableId(account, region, name)

    if operation == "BatchWriteItem":
        found = [(id_of(name), request["PutRequest"]["Item"] if "PutRequest" in request
                  else request["DeleteRequest"]["Key"])
                 for name, requests in data["RequestItems"].items() for request in requests
                 if "PutRequest" in request or "DeleteRequest" in request]
    elif operation == "TransactWriteItems":
        actions = [(kind, action[kind]) for action in data["TransactItems"]
                   for kind in ("Put", "Update", "Delete") if kind in action]
        found = [(id_of(action["TableName"]), action["Item" if kind == "Put" else "Key"])
                 for kind, action in actions]
    elif operation in PARTIQL:
        return [(table, key) for table in partiql_tables(account, region, data) for key, _ in items(table)]
    else:
        return []
    keys = ((table, _key(table, attributes)) for table, attributes in found)
    return list(dict.fromkeys((table, key) for table, key in keys if key is not None))


def _check_transaction(account: str, region: str, data: dict) -> None:
    """Refuse a transaction whose actions lack their item's key: the engine would store junk, or ignore them."""
    faults = [_transaction_fault(account, region, action) for action in data["TransactItems"]]
    if any(faults):
        reasons = [{"Code": "ValidationError", "Message": fault} if fault else {"Code": "None"} for fault in faults]
        codes = ", ".join(reason["Code"] for reason in reasons)
        raise Refusal("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for "
                      f"specific reasons [{codes}]", details={"CancellationReasons": reasons})


def _transaction_fault(account: str, region: str, action: dict) -> str | None:
    kinds = [kind for kind in ("ConditionCheck", "Put", "Update", "Delete") if kind in action]
    if len(kinds) != 1:
        raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    part = action[kinds[0]]
    raw = _raw(TableId(account, region, part["TableName"]))
    if raw is None:
        return None  # the engine says that there is no such table
    names = {element["AttributeName"] for element in raw["KeySchema"]}
    if kinds[0] == "Put":
        missing = sorted(names - set(part["Item"]))
        return (f"One or more parameter values were invalid: Missing the key {missing[0]} in the item" if missing
                else None)
    return None if set(part["Key"]) == names else "The provided key element does not match the schema"


def _key(table: TableId, attributes: dict) -> Key | None:
    raw = _raw(table)
    if raw is None:
        return None
    partition = _key_value(attributes.get(raw["pk_name"]))
    sort = _key_value(attributes.get(raw["sk_name"])) if raw["sk_name"] else _NO_SORT_KEY
    return None if partition is None or sort is None else Key(partition, sort)


def partiql_tables(account: str, region: str, data: dict) -> list[TableId]:
    """The tables that PartiQL writes may mean. Statements that only read are left out."""
    parts = data.get("Statements", data.get("TransactStatements", [data]))
    statements = [part["Statement"] for part in parts]
    writes = [text for text in statements if text.split(None, 1)[:1] and text.split(None, 1)[0].upper() != "SELECT"]
    here = [table for table in tables() if (table.account, table.region) == (account, region)]
    return [table for table in here if any(re.search(rf"(?<![\w.-]){re.escape(table.name)}(?![\w.-])", text)
                                           for text in writes)]


def _unshare(touched: Iterator[TableId]) -> None:
    """Give tables items of their own. Items are shared between Regions and with stream records, which is safe
    as long as a write replaces an item; a PartiQL UPDATE changes it in place."""
    for table in set(touched):
        for row in _raw(table)["items"].values():
            for sort, stored in row.items():
                row[sort] = copy.deepcopy(stored)


def _drop_empty_partition(table: TableId, key: Key) -> None:
    raw = _raw(table)
    if raw and not raw["items"].get(key.partition, True):
        del raw["items"][key.partition]
