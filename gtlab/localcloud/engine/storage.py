"""The engine's tables and items, and their saved form."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from gtlab.localcloud.engine import borrowed
from gtlab.localcloud.engine.borrowed import key_value, record, token
from gtlab.localcloud.engine.borrowed import store as apply
from gtlab.localcloud.model import NO_SORT_KEY, Key, TableId, no_such_table

__all__ = ["apply", "exists", "forget_tokens", "incarnation", "is_empty", "item", "items", "key_attributes", "key_of",
           "restore", "saved", "schema", "tables", "token", "unshare"]

_MOST_TOKENS = 1000  # transactions whose tokens are remembered; the library would remember all of them


# Tables

def exists(table: TableId) -> bool:
    return record(table) is not None


def tables() -> list[TableId]:
    return [table for table, _ in borrowed.records()]


def schema(table: TableId) -> dict:
    """The engine's own record of a table: KeySchema, AttributeDefinitions, indexes, throughput. Read only.

    Raises Refusal (ResourceNotFoundException) where there is no such table.
    """
    raw = record(table)
    if raw is None:
        raise no_such_table(table.name)
    return raw


def incarnation(table: TableId) -> str:
    """Differs between a table and an earlier one of the same name."""
    return schema(table)["TableId"]


# Items

def item(table: TableId, key: Key) -> dict | None:
    raw = record(table)
    return raw["items"].get(key.partition, {}).get(key.sort) if raw else None


def items(table: TableId) -> Iterator[tuple[Key, dict]]:
    """Every item with its key; none where there is no such table."""
    raw = record(table)
    for partition, row in (raw["items"] if raw else {}).items():
        for sort, stored in row.items():
            yield Key(partition, sort), stored


def is_empty(table: TableId) -> bool:
    return next(items(table), None) is None


def key_of(table: TableId, attributes: dict) -> Key | None:
    """The key of an item with these attributes; None where there is no such table, or where an attribute is missing."""
    raw = record(table)
    if raw is None:
        return None
    partition = key_value(attributes.get(raw["pk_name"]))
    sort = key_value(attributes.get(raw["sk_name"])) if raw["sk_name"] else NO_SORT_KEY
    return None if partition is None or sort is None else Key(partition, sort)


def key_attributes(table: TableId, key: Key) -> dict:
    """A primary key as the API writes it."""
    raw = schema(table)
    found = {raw["pk_name"]: {_type(raw, raw["pk_name"]): key.partition}}
    if raw["sk_name"]:
        found[raw["sk_name"]] = {_type(raw, raw["sk_name"]): key.sort}
    return found


def _type(raw: dict, name: str) -> str:
    for each in raw["AttributeDefinitions"]:
        if each["AttributeName"] == name:
            return each["AttributeType"]
    raise KeyError(name)


def unshare(touched: Iterable[TableId]) -> None:
    """Copy the items of tables. Items are shared between Regions and with stream records, which is safe
    as long as a write replaces an item; a PartiQL UPDATE changes it in place."""
    for table in set(touched):
        for row in schema(table)["items"].values():
            for sort, stored in row.items():
                row[sort] = copy.deepcopy(stored)


# Persistence

def saved() -> dict:
    """Every table's description ("tables": TableId, TableDescription) and the other records by kind ("records")."""
    return {"tables": [(table, borrowed.description(raw)) for table, raw in borrowed.records()],
            "records": borrowed.other_records()}


def restore(kept_tables: Iterable[tuple[tuple[str, str, str], dict]], records: dict[str, list],
            kept_items: Iterable[tuple[TableId, Key, dict]], tokens: Iterable[tuple[str, str, str, dict]]) -> None:
    """Replace the engine's whole state with a saved state: both parts of :func:`saved`, the items, and the tokens with
    the record of each."""
    borrowed.reset()
    for where, described in kept_tables:
        borrowed.put_record(TableId(*where), described)
    for kind, entries in records.items():
        for account, region, key, value in entries:
            borrowed.put_other_record(kind, account, region, key, value)
    for table, item_key, stored in kept_items:
        apply(table, item_key, stored)
    for account, region, name, answer in tokens:
        borrowed.put_token(account, region, name, answer)


def forget_tokens() -> list[tuple[str, str, str]]:
    """Forget the oldest tokens, so that memory is bounded. Returns account, Region and token of each."""
    old = borrowed.tokens()[:-_MOST_TOKENS]
    for each in old:
        borrowed.forget_token(*each)
    return old
