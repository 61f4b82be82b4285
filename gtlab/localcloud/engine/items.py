"""The items of one table in one Region, and its indexes.

Partitions are in a stable hash order, as on the service, where a Scan is not sorted; the items of a partition are
sorted by their sort key. An index of an empty table is kept up to date from the beginning; another one is built in
slices, and kept up to date meanwhile.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain, islice, repeat
from typing import Any, NamedTuple, Protocol

from sortedcontainers import SortedDict

from gtlab.localcloud.engine.values import Item, Packed, StoredItem, item_size, kind, number, sort_bytes, unpack
from gtlab.localcloud.model import NO_SORT_KEY, Key

SEGMENTS = 1 << 32   # hashes are smaller
_MOST_NEW = 500      # partitions that wait to be sorted: a millisecond or two of work
_MOST_SORTED = 5000  # items of a partition that are sorted to be read: a millisecond or two of work


class Place(NamedTuple):
    """Where an item stands in the order of a table or an index: hash of its partition, the partition, its sort key, and
    (in an index) the item's own key in the table."""

    hash: int
    partition: bytes
    sort: bytes
    key: Key


class Range(NamedTuple):
    """The part of a partition from ``low`` to ``high``, which are bytes of sort keys. None is no bound; both belong to
    the part, unless ``high_open``."""

    partition: bytes
    low: bytes | None = None
    high: bytes | None = None
    high_open: bool = False

    def holds(self, sort: bytes) -> bool:
        """Whether a sort key lies in this part."""
        if self.low is not None and sort < self.low:
            return False
        return self.high is None or sort < self.high or (sort == self.high and not self.high_open)


class KeySchema(NamedTuple):
    """The names and types of a table's or an index's key attributes. A table has one partition key and at most one sort
    key; an index has up to four of each."""

    partition: tuple[str, ...]
    sort: tuple[str, ...]
    types: Mapping[str, str]
    names: tuple[str, ...]  # of both

    def fits(self, item: Item) -> bool:
        """Whether an item has all the attributes of this key, with their types."""
        for name in self.names:
            value = item.get(name)
            if value is None or kind(value) != self.types[name]:
                return False
        return True


def _filed(hash_: int, partition: bytes) -> bytes:
    """Bytes that sort like a partition's hash, and then its key. A tuple of both would take three times the memory."""
    return hash_.to_bytes(4, "big") + partition


def partition_bytes(values: Iterator[bytes] | list[bytes]) -> bytes:
    """Several key attributes as one string of bytes, without collisions."""
    parts = list(values)
    return parts[0] if len(parts) == 1 else b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def joined_sort_bytes(values: list[bytes]) -> bytes:
    """Several sort keys as bytes that sort like them, the first one first."""
    if len(values) == 1:
        return values[0]
    return b"".join(value.replace(b"\x00", b"\x00\xff") + b"\x00\x00" for value in values)


def key_string(value: dict) -> str:
    """The value of a key attribute as :class:`Key` has it: a number in its canonical form."""
    (type_, content), = value.items()
    return number(content) if type_ == "N" else content


class Follower(Protocol):
    """Learns of the changes of a table's items. ``old`` is None for a new item."""

    def before(self, key: Key, old: Item | None) -> None: ...


class Items:
    """The items of a table. They are stored packed, and those that callers get are unpacked for them."""

    __slots__ = ("_has_sort", "_indexes", "_new", "_order", "_rows", "_sorted", "_unsorted", "bytes", "count", "schema",
                 "snapshots")

    def __init__(self, schema: KeySchema):
        self.schema = schema
        self.count = self.bytes = 0
        self._has_sort = bool(schema.sort)
        # By the string of the partition key: the items by the string of their sort key. Where the table has no sort
        # key, the one item: a dictionary for each would take more memory than most items.
        self._rows: dict[str, Any] = {}
        # Partitions in the order of a Scan: hash and partition key, in the bytes of _filed → its string. New ones wait
        # in a list, because only a Scan needs the order, and a write should not wait for it.
        self._order: SortedDict = SortedDict()
        self._new: list[str] = []
        # Partition → sort key's bytes → its string, of the partitions with several items: each takes two kilobytes.
        self._sorted: dict[str, SortedDict] = {}
        # Partitions with an item that was put behind a larger one, so that their items in _rows are not in the order of
        # their sort keys. All others are read as they are in _rows, without a search for each item.
        self._unsorted: set[str] = set()
        self._indexes: dict[str, IndexedItems] = {}
        self.snapshots: list[Follower] = []                 # they learn of each change before it is made

    def __bool__(self) -> bool:
        return bool(self._rows)

    # Items

    def packed(self, key: Key) -> Packed | None:
        row = self._rows.get(key.partition)
        return row if row is None or not self._has_sort else row.get(key.sort)

    def item(self, key: Key) -> StoredItem | None:
        found = self.packed(key)
        return None if found is None else unpack(found)

    def entries(self) -> Iterator[tuple[Key, StoredItem]]:
        """Every item with its key."""
        for partition, row in self._rows.items():
            if not self._has_sort:
                yield Key(partition, NO_SORT_KEY), unpack(row)
                continue
            for sort, found in row.items():
                yield Key(partition, sort), unpack(found)

    def key_of(self, item: Item) -> Key:
        """The key of an item whose key attributes have been checked."""
        schema = self.schema
        partition = key_string(item[schema.partition[0]])
        return Key(partition, key_string(item[schema.sort[0]]) if schema.sort else NO_SORT_KEY)

    def put(self, key: Key, item: Item, before: Item | None = None) -> None:
        """``before``: the item that is there, if the caller has unpacked it. Otherwise that is done here, for
        indexes."""
        stored = item if type(item) is StoredItem else StoredItem(item)
        old = self._store(key, stored.packed)
        if self._indexes:
            if before is None and old is not None:
                before = unpack(old)
            for index in self._indexes.values():
                index.change(key, before, stored)

    def load(self, key: Key, found: Packed) -> None:
        """Add an item that was kept."""
        self._store(key, found)
        if self._indexes:
            item = unpack(found)
            for index in self._indexes.values():
                index.change(key, None, item)

    def _store(self, key: Key, new: Packed) -> Packed | None:
        """Put an item, but not into the indexes. Returns the one that it replaces."""
        row, old = self._rows.get(key.partition), self.packed(key)
        if self.snapshots:
            self._tell_snapshots(key, old)
        if row is not None and self._has_sort:
            if old is None:
                self._sort_into(key, row)
            row[key.sort] = new
        else:
            self._rows[key.partition] = {key.sort: new} if self._has_sort else new
        if row is None:
            self._new.append(key.partition)
            if len(self._new) >= _MOST_NEW:
                self._sort_new()
        self.count += old is None
        self.bytes += new[1] - (old[1] if old else 0)
        return old

    def delete(self, key: Key, before: Item | None = None) -> None:
        """``before``: as for :meth:`put`."""
        old = self.packed(key)
        if old is None:
            return
        if self.snapshots:
            self._tell_snapshots(key, old)
        self.count -= 1
        self.bytes -= old[1]
        row = self._rows[key.partition]
        if not self._has_sort or len(row) == 1:
            del self._rows[key.partition]
            self._order.pop(self._filed_as(key.partition), None)
            self._sorted.pop(key.partition, None)
            self._unsorted.discard(key.partition)
        else:
            del row[key.sort]
            del self._sorted[key.partition][self._sort_bytes(key.sort)]
        if self._indexes:
            if before is None:
                before = unpack(old)
            for index in self._indexes.values():
                index.change(key, before, None)

    def _tell_snapshots(self, key: Key, old: Packed | None) -> None:
        item = None if old is None else unpack(old)
        for snapshot in self.snapshots:
            snapshot.before(key, item)

    def _sort_into(self, key: Key, row: dict[str, Packed]) -> None:
        """Add a new item to the order of its partition, which has others."""
        sorted_row = self._sorted.get(key.partition)
        if sorted_row is None:
            sorted_row = self._sorted[key.partition] = SortedDict({self._sort_bytes(sort): sort for sort in row})
        new = self._sort_bytes(key.sort)
        if new < self._sort_bytes(next(reversed(row))):
            self._unsorted.add(key.partition)
        sorted_row[new] = key.sort

    def _sort_bytes(self, sort: str) -> bytes:
        return sort_bytes({self.schema.types[self.schema.sort[0]]: sort})

    def present(self) -> Iterator[Key]:
        """The keys of the items that are there now. The table may change meanwhile: an item that goes may be left
        out."""
        for partition in list(self._rows):
            for sort in list(self._rows.get(partition, ())) if self._has_sort else (NO_SORT_KEY,):
                yield Key(partition, sort)

    def let_go(self, most: int) -> bool:
        """Free so many parts of a table that is gone; whether there are more. To free many at once takes long."""
        for order in (*(index.entries for index in self._indexes.values()), self._order):
            while order and most > 0:
                order.popitem()
                most -= 1
        while self._rows and most > 0:
            partition, row = self._rows.popitem()  # del leaves a gap, and each later look at the end passes all gaps
            sorted_row = self._sorted.get(partition)
            while self._has_sort and row and most > 0:
                row.popitem()
                if sorted_row:
                    sorted_row.popitem()
                most -= 1
            if self._has_sort and row:
                self._rows[partition] = row
            else:
                self._sorted.pop(partition, None)
                self._unsorted.discard(partition)
                most -= 1
        return most <= 0

    def _sort_new(self) -> None:
        """Bring the new partitions into the order."""
        self._order.update({self._filed_as(name): name for name in self._new if name in self._rows})
        self._new.clear()

    def _partition_bytes(self, partition: str) -> bytes:
        return sort_bytes({self.schema.types[self.schema.partition[0]]: partition})

    def _filed_as(self, partition: str) -> bytes:
        found = self._partition_bytes(partition)
        return _filed(zlib.crc32(found), found)

    def place(self, key: Key) -> Place:
        """Where the item with this key stands, or would stand."""
        partition = self._partition_bytes(key.partition)
        return Place(zlib.crc32(partition), partition, self._sort_bytes(key.sort) if self._has_sort else b"", key)

    # In order

    def query(self, asked: Range, *, forward: bool = True, after: Place | None = None) -> Iterator[Packed]:
        """The items of a part of a partition, in their order or backwards, behind a place."""
        name = self._named(asked.partition)
        if name is None:
            return iter(())
        if not self._has_sort:
            return iter((self._rows[name],) if after is None else ())
        if after is None and asked.low is None and asked.high is None:
            return self._whole_partition(name, forward)
        return map(self._rows[name].__getitem__, self._sort_keys(name, asked, forward, after))

    def query_keys(self, asked: Range, *, forward: bool = True, after: Place | None = None) -> Iterator[Key]:
        """The keys of the same items."""
        name = self._named(asked.partition)
        if name is None:
            return iter(())
        if not self._has_sort:
            return iter((Key(name, NO_SORT_KEY),) if after is None else ())
        return map(functools.partial(Key, name), self._sort_keys(name, asked, forward, after))

    def _named(self, partition: bytes) -> str | None:
        """The string of a partition key; None if there is no such partition."""
        if self._new:
            self._sort_new()
        return self._order.get(_filed(zlib.crc32(partition), partition))

    def _sort_keys(self, name: str, asked: Range, forward: bool, after: Place | None) -> Iterator[str]:
        """The strings of the sort keys of a part of a partition."""
        sorted_row = self._sorted.get(name)
        if sorted_row is not None:
            found = _between(sorted_row, asked.low, asked.high, (True, not asked.high_open), forward,
                             after.sort if after else None)
            return map(sorted_row.__getitem__, found)
        only, = self._rows[name]
        sort = self._sort_bytes(only)
        if not asked.holds(sort):
            return iter(())
        if after is not None and not (sort > after.sort if forward else sort < after.sort):
            return iter(())
        return iter((only,))

    def scan(self, first: int, last: int, after: Place | None) -> Iterator[Packed]:
        """The items of the partitions with hashes from ``first`` up to but not including ``last``, behind a place."""
        names = self._names(first, last, after)
        if not self._has_sort:  # a generator, or a function for each partition, would take several times as long
            return map(self._rows.__getitem__, names)
        rest = self.query(Range(after.partition), after=after) if after else ()
        return chain(rest, chain.from_iterable(map(self._whole_partition, names)))

    def scan_keys(self, first: int, last: int, after: Place | None) -> Iterator[Key]:
        """The keys of the same items."""
        names = self._names(first, last, after)
        if not self._has_sort:
            return map(Key, names, repeat(NO_SORT_KEY))
        rest = self.query_keys(Range(after.partition), after=after) if after else ()
        return chain(rest, chain.from_iterable(map(Key, repeat(name), self._sort_keys_of(name)) for name in names))

    def _names(self, first: int, last: int, after: Place | None) -> Iterator[str]:
        """The strings of the partitions of a scan that begin behind a place."""
        if self._new:
            self._sort_new()
        start = _filed(after.hash, after.partition) if after else _filed(first, b"")
        end = _filed(last, b"") if last < SEGMENTS else None
        return map(self._order.__getitem__, self._order.irange(start, end, inclusive=(after is None, False)))

    def _whole_partition(self, name: str, forward: bool = True) -> Iterator[Packed]:
        """The items of a partition, in their order or backwards."""
        row = self._rows[name]
        if name in self._unsorted:
            sorted_row = self._sorted[name]
            if len(row) > _MOST_SORTED:
                names = sorted_row if forward else reversed(sorted_row)
                return map(row.__getitem__, map(sorted_row.__getitem__, names))
            row = self._rows[name] = {sort: row[sort] for sort in sorted_row.values()}
            self._unsorted.discard(name)
        return iter(row.values() if forward else reversed(row.values()))

    def _sort_keys_of(self, name: str) -> Iterator[str]:
        sorted_row = self._sorted.get(name)
        return iter(self._rows[name]) if sorted_row is None else map(sorted_row.__getitem__, sorted_row)

    # Indexes

    def index(self, name: str, schema: KeySchema, projected: frozenset[str] | None = None) -> IndexedItems:
        """The index with this name, key schema and projection. If it is being built, it is completed."""
        index = self.add_index(name, schema, projected)
        while index.is_incomplete():
            index.build(_MOST_NEW)
        return index

    def add_index(self, name: str, schema: KeySchema, projected: frozenset[str] | None = None) -> IndexedItems:
        """The same index, or a new one that has to be built."""
        index = self._indexes.get(name)
        if index is None or index.schema != schema:
            index = self._indexes[name] = IndexedItems(schema, projected, self)
        return index

    def keep_indexes(self, names: set[str]) -> None:
        """Forget indexes that the table no longer has."""
        for name in self._indexes.keys() - names:
            del self._indexes[name]


class IndexedItems:
    """The items of a table that have the attributes of an index's key, in the order of the index. ``bytes``: the size
    of what the index has of them, which are the attributes ``projected`` (None: all)."""

    __slots__ = ("_items", "_left", "_projected", "bytes", "entries", "schema")

    def __init__(self, schema: KeySchema, projected: frozenset[str] | None, items: Items):
        self.schema, self._projected, self._items = schema, projected, items
        self.bytes = 0
        # (hash, partition, sort key, and the own partition and sort key in the table) → Key. Items with the same sort
        # key in an index are in the order of their own keys.
        self.entries: SortedDict = SortedDict()
        self._left: Iterator[Key] | None = items.present() if items.count else None  # items that may lack here

    # Building

    def is_incomplete(self) -> bool:
        return self._left is not None

    def build(self, most: int) -> bool:
        """Add up to so many of the items that were there before the index; whether there may be more."""
        if self._left is None:
            return False
        key = None
        for key in islice(self._left, most):
            item = self._items.item(key)
            if item is not None and self.schema.fits(item):
                entry = self._entry(key, item)
                if entry not in self.entries:  # it may have been put meanwhile
                    self._add(entry, key, item)
        if key is None:
            self._left = None
        return self._left is not None

    def change(self, key: Key, old: Item | None, new: Item | None) -> None:
        if old is not None and self.schema.fits(old):
            if self._left is None and new is not None and self._is_same(old, new):
                self.bytes += self._size(new) - self._size(old)
                return
            if self.entries.pop(self._entry(key, old), None) is not None:  # it may lack while the index is built
                self.bytes -= self._size(old)
        if new is not None and self.schema.fits(new):
            self._add(self._entry(key, new), key, new)

    def _is_same(self, old: Item, new: Item) -> bool:
        """Whether two items have the same index key."""
        for name in self.schema.names:
            if old[name] != new.get(name):
                return False
        return True

    def _add(self, entry: tuple, key: Key, item: Item) -> None:
        self.entries[entry] = key
        self.bytes += self._size(item)

    def _size(self, item: Item) -> int:
        if self._projected is None:
            return item_size(item)
        return item_size({name: item[name] for name in self._projected if name in item})

    # Places

    def place(self, key: Key, item: Item) -> Place:
        """Where an item that has the index's key stands in the index."""
        partition = partition_bytes([sort_bytes(item[name]) for name in self.schema.partition])
        sort = joined_sort_bytes([sort_bytes(item[name]) for name in self.schema.sort]) if self.schema.sort else b""
        return Place(zlib.crc32(partition), partition, sort, key)

    def _entry(self, key: Key, item: Item) -> tuple[int, bytes, bytes, bytes, bytes]:
        return self._at(self.place(key, item))

    def _at(self, place: Place) -> tuple[int, bytes, bytes, bytes, bytes]:
        own = self._items.place(place.key)
        return place.hash, place.partition, place.sort, own.partition, own.sort

    # In order

    def query(self, asked: Range, *, forward: bool = True, after: Place | None = None) -> Iterator[Packed]:
        """As :meth:`Items.query`."""
        return map(self._packed, self.query_keys(asked, forward=forward, after=after))

    def query_keys(self, asked: Range, *, forward: bool = True, after: Place | None = None) -> Iterator[Key]:
        where = (zlib.crc32(asked.partition), asked.partition)
        low = where if asked.low is None else (*where, asked.low)
        high: tuple = (where[0], asked.partition + b"\x00")  # above everything in this partition, and below the next
        if asked.high is not None:  # above every entry with this sort key and below the next one, or below both
            high = (*where, asked.high) if asked.high_open else (*where, asked.high + b"\x00")
        return self._found(low, high, forward, after)

    def scan(self, first: int, last: int, after: Place | None) -> Iterator[Packed]:
        """As :meth:`Items.scan`."""
        return map(self._packed, self.scan_keys(first, last, after))

    def scan_keys(self, first: int, last: int, after: Place | None) -> Iterator[Key]:
        return self._found((first,), (last,), True, after)

    def _found(self, low: tuple, high: tuple, forward: bool, after: Place | None) -> Iterator[Key]:
        behind = self._at(after) if after else None
        return map(self.entries.__getitem__, _between(self.entries, low, high, (True, False), forward, behind))

    def _packed(self, key: Key) -> Packed:
        found = self._items.packed(key)
        assert found is not None  # the index follows every change
        return found


def _between(row: SortedDict, low, high, inclusive: tuple[bool, bool], forward: bool, after) -> Iterator:
    """The keys of a sorted dictionary between two bounds, behind one of them."""
    if after is not None and forward:
        if low is None or after >= low:
            low, inclusive = after, (False, inclusive[1])
    elif after is not None and (high is None or after <= high):
        high, inclusive = after, (inclusive[0], False)
    if low is not None and high is not None and low > high:
        return iter(())
    return row.irange(low, high, inclusive=inclusive, reverse=not forward)
