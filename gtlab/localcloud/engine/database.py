"""The engine's whole state, as one object: tables with their items, other records, and the tokens of transactions.

An operation gets the database that it works on. There is no other place where the engine keeps anything.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine.arguments import check_table_name, failed
from gtlab.localcloud.engine.items import Items, KeySchema
from gtlab.localcloud.engine.table import Table, key_schema, not_found
from gtlab.localcloud.engine.table_rules import check_name
from gtlab.localcloud.engine.values import StoredItem, repacked
from gtlab.localcloud.model import Key, Refusal, TableId, invalid, no_such_table

TAGS, KINESIS, BACKUPS, INSIGHTS, POLICIES, EXPORTS, IMPORTS = KINDS = (
    "tags", "kinesis_destinations", "backups", "contributor_insights", "resource_policies", "exports", "imports")
TOKEN_S = 600.0       # how long the service remembers a transaction's token
_MOST_TOKENS, _MOST_TOKEN_BYTES = 1000, 64 << 20  # more are forgotten before their time, so that memory is bounded


class RecordId(NamedTuple):
    """What identifies a record among those of its kind: ``name`` is a table's name or a resource's ARN."""

    account: str
    region: str
    name: str


class TokenId(NamedTuple):
    """A ClientRequestToken of an account in a Region."""

    account: str
    region: str
    token: str


class Remembered(NamedTuple):
    """A transaction with a token, what was answered, and when (epoch seconds; None where an older release kept it
    without the time). ``read``: the read units of its items, with the name of each one's table; none where an older
    release kept it."""

    request: dict[str, Any]
    answer: dict[str, Any]
    at: float | None
    read: Sequence[tuple[str, float]] = ()

    def has_expired(self, now: float) -> bool:
        return self.at is not None and now >= self.at + TOKEN_S


class Database:
    """``tables``: every table. ``records``: all other records by kind (KINDS) and :class:`RecordId`, with values in the
    shapes of DynamoDB's API. Operations may change both; items change through :class:`Items` or :meth:`apply`."""

    def __init__(self) -> None:
        self.tables: dict[TableId, Table] = {}
        self.records: dict[str, dict[RecordId, Any]] = {kind: {} for kind in KINDS}
        self._tokens: dict[TokenId, Remembered] = {}  # the oldest first
        self._token_bytes: dict[TokenId, int] = {}    # of a transaction and its answer
        self._latest_key: tuple[KeySchema | None, Key | None, dict[str, Any]] = (None, None, {})

    # Tables

    def exists(self, table: TableId) -> bool:
        return table in self.tables

    def table(self, table: TableId) -> Table:
        """Raises Refusal (ResourceNotFoundException, as the operations on tables word it) where there is no such
        table."""
        found = self.tables.get(table)
        if found is None:
            check_name({"TableName": table.name})
            raise no_such_table(table.name)
        return found

    def find(self, account: str, region: str, name: str) -> Table:
        """The table with a name or an ARN. Raises Refusal, as the operations on items word it, where there is none."""
        table = self.tables.get(table_id(account, region, name))
        if table is None:
            check_table_name(name)
            raise not_found()
        return table

    def schema(self, table: TableId) -> dict[str, Any]:
        """What the engine knows of a table's TableDescription: the members that do not change over time. Read only.

        Raises Refusal (ResourceNotFoundException) where there is no such table.
        """
        return self.table(table).described

    def amend(self, table: TableId, members: dict[str, Any]) -> None:
        """Set members of a table's description. None removes one."""
        described = self.tables[table].described
        for name, value in members.items():
            if value is None:
                described.pop(name, None)
            else:
                described[name] = value

    def incarnation(self, table: TableId) -> str:
        """Differs between a table and an earlier one of the same name."""
        return self.schema(table)["TableId"]

    def add(self, table: TableId, described: dict[str, Any]) -> Table:
        """Add an empty table with a description."""
        items = Items(key_schema(described["KeySchema"], described["AttributeDefinitions"]))
        added = self.tables[table] = Table(table, described, items)
        for index in added.indexes():
            items.add_index(index.name, index.schema, index.projected)
        return added

    # Items

    def apply(self, table: TableId, key: Key, new: dict[str, Any] | None) -> None:
        """Put an item into a table that exists, or delete it (None)."""
        items = self.tables[table].items
        if new is None:
            items.delete(key)
        else:
            items.put(key, new)

    def item(self, table: TableId, key: Key) -> dict[str, Any] | None:
        found = self.tables.get(table)
        return None if found is None else found.items.item(key)

    def json(self, table: TableId, key: Key) -> bytes | None:
        """An item as JSON."""
        found = self.tables.get(table)
        packed = None if found is None else found.items.packed(key)
        return None if packed is None else packed[0]

    def size(self, table: TableId, key: Key) -> int:
        """The bytes of an item as the service counts them; 0 where there is none."""
        found = self.tables.get(table)
        packed = None if found is None else found.items.packed(key)
        return 0 if packed is None else packed[1]

    def items(self, table: TableId) -> Iterator[tuple[Key, StoredItem]]:
        """Every item with its key; none where there is no such table."""
        found = self.tables.get(table)
        return iter(()) if found is None else found.items.entries()

    def is_empty(self, table: TableId) -> bool:
        found = self.tables.get(table)
        return found is None or not found.items

    def key_of(self, table: TableId, attributes: dict[str, Any]) -> Key | None:
        """The key of an item with these attributes; None where there is no such table, or where the key is not
        valid."""
        found = self.tables.get(table)
        if found is None or not all(kind in attributes.get(name, ()) for name, kind in found.key.types.items()):
            return None
        try:
            return found.checked_key({name: attributes[name] for name in found.key_names})
        except Refusal:
            return None

    def key_attributes(self, table: TableId, key: Key) -> dict[str, Any]:
        """A primary key as the API writes it. Read only: a write and its deliveries to other Regions, which often
        follow each other, get the same object."""
        schema = self.table(table).key
        known_schema, known_key, attributes = self._latest_key
        if key != known_key or schema != known_schema:
            attributes = {name: {schema.types[name]: value} for name, value in zip(schema.names, key, strict=False)}
            self._latest_key = schema, key, attributes
        return attributes

    # Tokens of transactions

    def token(self, token: TokenId, now: float) -> Remembered | None:
        """The transaction that was carried out with a token, as long as the service remembers it."""
        known = self._tokens.get(token)
        return None if known is None or known.has_expired(now) else known

    def remember(self, token: TokenId, transaction: Remembered) -> None:
        size = len(msgspec.json.encode((transaction.request, transaction.answer)))
        self._tokens.pop(token, None)  # so that it becomes the newest
        self._tokens[token], self._token_bytes[token] = transaction, size

    def forget(self, token: TokenId) -> None:
        """Forget a token, if it is known: its transaction was undone."""
        self._tokens.pop(token, None)
        self._token_bytes.pop(token, None)

    def remembered(self, token: TokenId) -> dict[str, Any] | None:
        """The record of a token; None where there is none."""
        known = self._tokens.get(token)
        return None if known is None else known._asdict()

    def forget_tokens(self, now: float) -> list[TokenId]:
        """Forget the tokens whose time is over, and the oldest ones if there are too many. Returns those."""
        surplus, old = len(self._tokens) - _MOST_TOKENS, list[TokenId]()
        too_large = sum(self._token_bytes.values()) - _MOST_TOKEN_BYTES
        for token, known in self._tokens.items():
            if known.at is None:  # its ten minutes begin now
                self._tokens[token] = known._replace(at=now)
            elif known.has_expired(now) or len(old) < surplus or too_large > 0:
                old.append(token)
                too_large -= self._token_bytes[token]
        for token in old:
            del self._tokens[token], self._token_bytes[token]
        return old


def table_id(account: str, region: str, name: str, place: str | None = "tableName") -> TableId:
    """The table that a request names, by its name or its ARN. Raises Refusal for the ARN of something else.

    ``place``: where the request names it, as the operations on items say; None for the operations on tables, which
    word it in another way.
    """
    if name.startswith("arn:"):
        prefix = TableId(account, region, "").arn
        if not name.startswith(prefix) or not _ARN_NAME.fullmatch(name[len(prefix):]):
            raise _wrong_arn(account, region, name, place)
        name = name[len(prefix):]
    return TableId(account, region, name)


_ARN_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_ARN_FORMAT = ("Valid ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:resourceType/resourceName', "
               "where Resource name must have length less than or equal to 255, Resource name must have length greater "
               "than or equal to 3, Resource name must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")


def _wrong_arn(account: str, region: str, arn: str, place: str | None) -> Refusal:
    """What the service says of an ARN that is none of a table of this account and Region, as captured by others."""
    parts = arn.split(":", 5)
    kind, slash, name = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    wrong = ""
    if slash and parts[1] != "aws":
        wrong = "Invalid AWS partition"
    elif slash and kind != "table":
        wrong = "Invalid resource type"
    elif slash and len(name) < 3:
        wrong = "Table name of ARN must have length greater than or equal to 3"
    elif slash and parts[2] == "dynamodb" and _ARN_NAME.fullmatch(name):
        if parts[3] == region and parts[4] != account:
            return Refusal("AccessDeniedException", "Access is denied")
        wrong = "Invalid AWS region"
    shown = arn[:1024]
    if place is not None:
        return invalid("1 validation error detected: " + failed(shown, place, wrong or _ARN_FORMAT))
    return invalid("1 validation error detected: " + (f"{wrong} in '{shown}'" if wrong else _ARN_FORMAT))


# What is kept on disk: see gtlab.localcloud.disk.format

_RECOVERY = "point_in_time_recovery"  # records of older releases; now it is in the description of a table


def saved(database: Database) -> dict[str, Any]:
    """Every table's description ("tables": TableId, TableDescription) and the other records by kind ("records":
    account, Region, name or ARN, value)."""
    return {"tables": [(table.id, table.described) for table in database.tables.values()],
            "records": {kind: [[*where, value] for where, value in kept.items()]
                        for kind, kept in database.records.items()} | {_RECOVERY: []}}


def restore(database: Database, kept_tables: Iterable[tuple[tuple[str, str, str], dict]], records: dict[str, list],
            kept_items: Iterable[tuple[TableId, Key, bytes]],
            tokens: Iterable[tuple[str, str, str, dict]]) -> None:
    """Fill an empty database from a saved state: both parts of :func:`saved`, the items as JSON, table by table, and
    the tokens with the record of each."""
    for where, described in kept_tables:
        database.add(TableId(*where), described)
    for kind, kept in records.items():
        for account, region, name, value in kept:
            if kind != _RECOVERY:
                database.records[kind][RecordId(account, region, name)] = value
            elif value and database.exists(TableId(account, region, name)):
                database.amend(TableId(account, region, name), {"PointInTimeRecovery": {"since": 0.0, "days": 35}})
    _restore_items(database, kept_items)
    for account, region, token, record in tokens:
        database.remember(TokenId(account, region, token),
                          Remembered(record["request"], record["answer"], record.get("at"), record.get("read", ())))


def _restore_items(database: Database, kept: Iterable[tuple[TableId, Key, bytes]]) -> None:
    """Load the items. Most items of a global table are the same in several Regions: these share the bytes, as they did
    before, and only the first one is looked at."""
    for table, rows in itertools.groupby(kept, operator.itemgetter(0)):
        items = database.tables[table].items
        others = [other.items for where, other in database.tables.items()
                  if other.items is not items and (where.account, where.name) == (table.account, table.name)]
        for _, key, json in rows:
            same = (found for other in others if (found := other.packed(key)) is not None and found[0] == json)
            items.load(key, next(same, None) or repacked(json))
