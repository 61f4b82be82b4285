"""The tables and items that a request names, and those that it may change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gtlab.localcloud.engine.storage import items, key_of, tables
from gtlab.localcloud.model import Key, TableId

PARTIQL = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")


def named(account: str, region: str, operation: str, data: dict) -> list[tuple[TableId, Key]]:
    """The items that a request names by their keys, for reading or writing; empty if it names only tables."""
    if operation == "GetItem":
        return _known([(TableId(account, region, data["TableName"]), data["Key"])])
    if operation == "BatchGetItem":
        return _known([(TableId(account, region, name), key) for name, asked in data["RequestItems"].items()
                       for key in asked["Keys"]])
    return touched(account, region, operation, data)


def touched(account: str, region: str, operation: str, data: dict) -> list[tuple[TableId, Key]]:
    """The items that a request may change. Malformed keys are left out: the engine refuses them."""
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        table = TableId(account, region, data["TableName"])
        key = key_of(table, data["Item" if operation == "PutItem" else "Key"])
        return [] if key is None else [(table, key)]
    if operation in PARTIQL:
        return [(table, key) for table in partiql_tables(account, region, data) for key, _ in items(table)]
    if operation == "BatchWriteItem":
        written = _batch(data)
    elif operation == "TransactWriteItems":
        written = _transaction(data)
    else:
        return []
    return list(dict.fromkeys(_known([(TableId(account, region, name), attributes) for name, attributes in written])))


def _batch(data: dict) -> Iterator[tuple[str, dict]]:
    """Table names and the attributes that hold the keys."""
    for name, requests in data["RequestItems"].items():
        for request in requests:
            if "PutRequest" in request:
                yield name, request["PutRequest"]["Item"]
            elif "DeleteRequest" in request:
                yield name, request["DeleteRequest"]["Key"]


def _transaction(data: dict) -> Iterator[tuple[str, dict]]:
    """Table names and the attributes that hold the keys."""
    for action in data["TransactItems"]:
        for kind in ("Put", "Update", "Delete"):
            if kind in action:
                yield action[kind]["TableName"], action[kind]["Item" if kind == "Put" else "Key"]


def _known(found: list[tuple[TableId, dict]]) -> list[tuple[TableId, Key]]:
    keys = ((table, key_of(table, attributes)) for table, attributes in found)
    return [(table, key) for table, key in keys if key is not None]


def partiql_tables(account: str, region: str, data: dict) -> list[TableId]:
    """The tables whose names occur in PartiQL statements that write. Statements that only read are left out."""
    parts = data.get("Statements", data.get("TransactStatements", [data]))
    statements = [part["Statement"] for part in parts]
    writes = [text for text in statements if text.split(None, 1)[:1] and text.split(None, 1)[0].upper() != "SELECT"]
    here = [table for table in tables() if (table.account, table.region) == (account, region)]
    return [table for table in here if any(re.search(rf"(?<![\w.-]){re.escape(table.name)}(?![\w.-])", text)
                                           for text in writes)]
