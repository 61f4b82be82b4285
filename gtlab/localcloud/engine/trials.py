"""A call that takes long, carried out on copies in another thread while others are served.

To decode large items, to change them, to count their bytes and to encode them again takes up to a tenth of a second for
each, and a transaction may name a hundred. To find out what is wrong with a request of megabytes takes as long. So such
a call is tried before it is carried out. What comes out is used only if the tables and items that it looked at are then
still the same; otherwise the call is carried out as any other. A Query or a Scan, whose pages are bounded by the work
that they are, and a read of an item without PartiQL or a transaction can only be refused in this way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from gtlab.localcloud.engine import targets
from gtlab.localcloud.engine.database import Database
from gtlab.localcloud.engine.items import IndexedItems, Items, KeySchema
from gtlab.localcloud.engine.ordered import Stretch
from gtlab.localcloud.engine.table import Table, key_schema
from gtlab.localcloud.engine.values import Packed
from gtlab.localcloud.engine.writes import Plan, Write, carry_out_changes
from gtlab.localcloud.model import Call, Key, Refusal, TableId

# What may look at large items for long; of other calls, only long requests are tried.
OPERATIONS = frozenset(("UpdateItem", "BatchWriteItem", "TransactWriteItems", "TransactGetItems", *targets.PARTIQL))
_LARGE = 1 << 18  # bytes of the items that a call looks at, as they are stored: decoding them takes up to 10 ms
_OF_ONE_ITEM = ("UpdateItem", "ExecuteStatement")
_SMALL = 25_000  # bytes of an item that is never looked at for long, and of 25 such items


class Trial:
    """A call on copies of its tables, which have only the items that it looks at. ``answer``: as JSON, of a call that
    was not refused."""

    def __init__(self, call: Call, database: Database, looked_at: dict[tuple[TableId, Key], Packed | None]):
        self._input, self._looked_at, self.answer = call.input, looked_at, b""
        self._tables = {table: database.tables.get(table) for table in targets.named_tables(call)}
        self._described = {table: copy.deepcopy(found.described) for table, found in self._tables.items() if found}
        self._outcome: Write | Refusal | None = None

    def run(self, call: Call, carry_out: Callable[[Database, Call], tuple[Write, bytes]]) -> None:
        """Carry the call out on the copies; ``carry_out`` returns the outcome, and its answer as JSON."""
        copies = Database()
        for table, described in self._described.items():
            copied = {key: item for (where, key), item in self._looked_at.items() if where == table}
            items = _Copies(key_schema(described["KeySchema"], described["AttributeDefinitions"]), copied)
            copies.tables[table] = Table(table, described, items)
        try:
            self._outcome, self.answer = carry_out(copies, call)
        except Refusal as refusal:
            self._outcome = refusal.with_traceback(None)
        except _NotCopied:
            pass

    def holds(self, database: Database, call: Call) -> bool:
        """Whether the call would do the same in the database now. A call that is admitted in part is another one."""
        return (self._outcome is not None and call.input is self._input
                and all(database.tables.get(table) is found for table, found in self._tables.items())
                and all(database.tables[table].described == each for table, each in self._described.items())
                and all(database.tables[table].items.packed(key) == item
                        for (table, key), item in self._looked_at.items()))

    def carry_out(self, database: Database) -> Write:
        """Do to the database what was done to the copies. Raises Refusal if that was refused."""
        if isinstance(self._outcome, Refusal):
            raise self._outcome.with_traceback(None)
        assert self._outcome is not None
        carry_out_changes([Plan(database.tables[change.table], change.key, change.old, change.new)
                           for change in self._outcome.changes])
        return self._outcome

    def forget(self) -> None:
        """Let go of the outcome, when the call is over: to free large items takes long, so they go one by one."""
        outcome, self._outcome = self._outcome, None
        while isinstance(outcome, Write) and outcome.changes:
            outcome.changes.pop()


class _NotCopied(Exception):
    """The call looks at an item that was not copied."""


class _Copies(Items):
    """Items that were copied from a table. They stay as they are: a call looks at all of them before it changes one."""

    __slots__ = ("_copied",)

    def __init__(self, schema: KeySchema, copied: dict[Key, Packed | None]):
        super().__init__(schema)
        self._copied = copied

    def packed(self, key: Key) -> Packed | None:
        if key not in self._copied:
            raise _NotCopied
        return self._copied[key]

    def query(self, *args: Any, **named: Any) -> Iterator[Stretch]:
        raise _NotCopied

    def scan(self, *args: Any, **named: Any) -> Iterator[Stretch]:
        raise _NotCopied

    def index(self, *args: Any) -> IndexedItems:
        raise _NotCopied


def of(database: Database, call: Call, *, is_long: bool) -> Trial | None:
    """The trial of a call that looks at large items, or (``is_long``) whose request is long; None for other calls."""
    if call.input.get("TableName", "").startswith("arn:"):
        return None
    try:
        if not is_long:
            small = _SMALL if call.operation in _OF_ONE_ITEM else _SMALL // 25
            tables = map(database.tables.get, targets.named_tables(call))
            if all(table.items.rows.largest <= small for table in tables if table is not None):
                return None  # most calls
        looked_at = {(table, key): database.tables[table].items.packed(key)
                     for table, key in targets.looked_at(database, call)}
        if not is_long and sum(len(item[0]) for item in looked_at.values() if item) < _LARGE:
            return None
        return Trial(call, database, looked_at)
    except Refusal:  # the call will be refused, too
        return None
