"""The engine's tables and items, and their saved form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gtlab.localcloud.engine import borrowed
from gtlab.localcloud.engine.arguments import check_table_name
from gtlab.localcloud.engine.borrowed import record, token
from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.engine.table import Table, entries, key_schema, not_found
from gtlab.localcloud.model import Key, Refusal, TableId, invalid, no_such_table

__all__ = ["amend", "amend_backup", "apply", "backup", "exists", "find", "forget_tokens", "incarnation", "is_empty",
           "item", "items", "key_attributes", "key_of", "restore", "saved", "schema", "table_id", "tables",
           "token"]

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


def amend(table: TableId, members: dict) -> None:
    """Set members of a table's description that the library does not keep. None removes one."""
    raw = record(table)
    assert raw is not None
    for name, value in members.items():
        if value is None:
            raw.pop(name, None)
        else:
            raw[name] = value


def incarnation(table: TableId) -> str:
    """Differs between a table and an earlier one of the same name."""
    return schema(table)["TableId"]


# Items

def table_id(account: str, region: str, name: str) -> TableId:
    """The table that a request names, by its name or its ARN. Raises Refusal for the ARN of something else."""
    if name.startswith("arn:"):
        prefix = TableId(account, region, "").arn
        if not name.startswith(prefix) or "/" in name[len(prefix):]:
            raise invalid(f"Invalid table ARN for this account and Region: {name}")
        name = name[len(prefix):]
    return TableId(account, region, name)


def find(account: str, region: str, name: str) -> Table:
    """The table with a name or an ARN. Raises Refusal where there is none."""
    table = _table(table_id(account, region, name))
    if table is None:
        check_table_name(name)
        raise not_found()
    return table


def _table(table: TableId) -> Table | None:
    stored = _items(table)
    raw = record(table)
    return None if stored is None or raw is None else Table(table, raw, stored)


def _items(table: TableId) -> Items | None:
    raw = record(table)
    if raw is None:
        return None
    stored = raw["items"]
    if type(stored) is not Items:  # the library has just created or restored the table
        restored, stored = stored, Items(key_schema(raw["KeySchema"], raw["AttributeDefinitions"]))
        raw["items"] = stored
        for partition, row in restored.items():
            for sort, each in row.items():
                stored.put(Key(partition, sort), each)
    return stored


def apply(table: TableId, key: Key, new: dict | None) -> None:
    """Put an item into a table that exists, or delete it (None)."""
    stored = _items(table)
    assert stored is not None
    if new is None:
        stored.delete(key)
    else:
        stored.put(key, new)


def item(table: TableId, key: Key) -> dict | None:
    stored = _items(table)
    return None if stored is None else stored.item(key)


def items(table: TableId) -> Iterator[tuple[Key, dict]]:
    """Every item with its key; none where there is no such table."""
    found = _table(table)
    return entries(found) if found else iter(())


def is_empty(table: TableId) -> bool:
    found = _table(table)
    return found is None or not found.items


def key_of(table: TableId, attributes: dict) -> Key | None:
    """The key of an item with these attributes; None where there is no such table, or where the key is not valid."""
    found = _table(table)
    if found is None:
        return None
    try:
        return found.checked_key({name: attributes[name] for name in found.key_names if name in attributes})
    except Refusal:
        return None


def key_attributes(table: TableId, key: Key) -> dict:
    """A primary key as the API writes it."""
    stored = _items(table)
    if stored is None:
        raise no_such_table(table.name)
    schema = stored.schema
    attributes = {schema.partition[0]: {schema.types[schema.partition[0]]: key.partition}}
    if schema.sort:
        attributes[schema.sort[0]] = {schema.types[schema.sort[0]]: key.sort}
    return attributes


# Backups

_ASKED = "_asked"  # in the library's record of a backup: CreateTable's input for a table like its table


def amend_backup(table: TableId, arn: str, asked: dict, now: float) -> None:
    """Keep with a new backup what its table is restored from, and when it was made."""
    raw = borrowed.backup(table.account, table.region, arn)
    assert raw is not None
    raw[_ASKED] = asked
    raw["BackupDetails"]["BackupCreationDateTime"] = round(now, 3)


def backup(account: str, region: str, arn: str) -> tuple[dict | None, list[tuple[Key, dict]], TableId, float] | None:
    """A backup: CreateTable's input for its table (None if an older release made it), its items, its table, and when it
    was made. None where there is none."""
    raw = borrowed.backup(account, region, arn)
    if raw is None:
        return None
    source = raw["SourceTableDetails"]
    table = TableId(account, region, source["TableName"])
    return raw.get(_ASKED), list(borrowed.snapshot(raw)), table, raw["BackupDetails"]["BackupCreationDateTime"]


# Persistence

_RECOVERY = "point_in_time_recovery"  # records of older releases; now it is in the description of a table

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
    for kind, kept in records.items():
        for account, region, key, value in kept:
            if kind != _RECOVERY:
                borrowed.put_other_record(kind, account, region, key, value)
            elif value and exists(TableId(account, region, key)):
                amend(TableId(account, region, key), {"PointInTimeRecovery": {"since": 0.0, "days": 35}})
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
