"""The items of one table in one Region, and its indexes.

Partitions are in a stable hash order, as on the service, where a Scan is not sorted; the items of a partition are
sorted by their sort key. An index of an empty table is kept up to date from the beginning; another one is built in
slices, and kept up to date meanwhile.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple, Protocol

from gtlab.localcloud.engine.ordered import Ordered, Stretch
from gtlab.localcloud.engine.values import (
    Item,
    Packed,
    StoredItem,
    Value,
    item_size,
    kind,
    number,
    sort_bytes,
    sort_bytes_of,
    sorted_as,
    unpack,
)
from gtlab.localcloud.model import NO_SORT_KEY, Batch, Key

SEGMENTS = 1 << 32  # hashes are smaller
_AT_ONCE = 500      # items of a slice of internal work: a millisecond or two
_MOST_KNOWN = 4096  # filed keys that are remembered: of the writes of a second or two
_END = b"\0\0"      # behind a part of a filed key; it sorts before everything that the part could go on with


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


def _part(value: bytes) -> bytes:
    """One part of a filed key: such parts, one behind the other, sort like tuples of their values."""
    return value.replace(b"\0", b"\0\xff") + _END if b"\0" in value else value + _END


def _filed(hash_: int, partition: bytes) -> bytes:
    """The beginning of the filed keys of a partition: they sort like its hash, and then its key."""
    return hash_.to_bytes(4, "big") + _part(partition)


@functools.lru_cache(_MOST_KNOWN)
def _filed_as(key: Key, partition_type: str, sort_type: str | None) -> bytes:
    """Where a table files an item. All Regions keep the same bytes."""
    place = _place(key, partition_type, sort_type)
    filed = _filed(place.hash, place.partition)
    return filed + _part(place.sort) if sort_type else filed


def _place(key: Key, partition_type: str, sort_type: str | None) -> Place:
    partition = sort_bytes_of(partition_type)(key.partition)
    return Place(zlib.crc32(partition), partition, sort_bytes_of(sort_type)(key.sort) if sort_type else b"", key)


def _key_filed_as(filed: bytes, partition_type: str, sort_type: str | None) -> Key:
    """The key of an item that a table, or an index of it, files there: it is in the last parts."""
    parts = [part.replace(b"\0\xff", b"\0") for part in filed[4:-len(_END)].split(_END)]
    if sort_type is None:
        return Key(sorted_as(partition_type, parts[-1]), NO_SORT_KEY)
    return Key(sorted_as(partition_type, parts[-2]), sorted_as(sort_type, parts[-1]))


def partition_bytes(values: Iterator[bytes] | list[bytes]) -> bytes:
    """Several key attributes as one string of bytes, without collisions."""
    parts = list(values)
    return parts[0] if len(parts) == 1 else b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def joined_sort_bytes(values: list[bytes]) -> bytes:
    """Several sort keys as bytes that sort like them, the first one first."""
    if len(values) == 1:
        return values[0]
    return b"".join(map(_part, values))


def key_string(value: Value) -> str:
    """The value of a key attribute as :class:`Key` has it: a number in its canonical form."""
    (type_, content), = value.items()
    return number(content) if type_ == "N" else content


class Follower(Protocol):
    """Learns of the changes of a table's items: where the item is filed, and what it was; None for a new item."""

    def before(self, filed: bytes, old: Packed | None) -> None: ...


class _InOrder:
    """Items in the order of a table or of an index. ``rows`` has them by their filed keys, which are bytes that sort
    like their places."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows = Ordered()

    def filed(self, place: Place) -> bytes:
        """A place as bytes in its order."""
        raise NotImplementedError

    def query(self, asked: Range, *, forward: bool = True, after: Place | None = None, most: int | None = None
              ) -> Iterator[Stretch]:
        """The items of a part of a partition, in their order or backwards, behind a place; at most so many."""
        partition = _filed(zlib.crc32(asked.partition), asked.partition)
        low = partition if asked.low is None else partition + _part(asked.low)
        if asked.high is None:
            high = _behind(partition)
        else:
            high = partition + _part(asked.high)
            if not asked.high_open:
                high = _behind(high)
        if after is not None and forward:
            low = max(low, self.filed(after) + b"\0")  # which is the next key that there can be
        elif after is not None:
            high = min(high, self.filed(after))
        return self.rows.between(low, high, forward=forward, most=most) if low < high else iter(())

    def scan(self, first: int, last: int, after: Place | None, most: int | None = None) -> Iterator[Stretch]:
        """The items of the partitions with hashes from ``first`` up to but not including ``last``, behind a place; at
        most so many."""
        low = first.to_bytes(4, "big") if after is None else self.filed(after) + b"\0"
        return self.rows.between(low, last.to_bytes(4, "big") if last < SEGMENTS else None, most=most)


def _behind(filed: bytes) -> bytes:
    """The end of what begins with the parts of a filed key."""
    return filed[:-1] + b"\1"


class Items(_InOrder):
    """The items of a table. They are stored packed, and those that callers get are unpacked for them."""

    __slots__ = ("_filed", "_filed_key", "_indexes", "_key_types", "schema", "snapshots")

    def __init__(self, schema: KeySchema):
        super().__init__()
        self.schema = schema
        self._key_types = schema.types[schema.partition[0]], schema.types[schema.sort[0]] if schema.sort else None
        # The key that was asked for last: an item is looked up, written and saved with the same one.
        self._filed_key: Key | None = None
        self._filed = b""
        self._indexes: dict[str, IndexedItems] = {}
        self.snapshots: list[Follower] = []  # they learn of each change before it is made

    def __bool__(self) -> bool:
        return self.rows.count > 0

    # Items

    def packed(self, key: Key) -> Packed | None:
        return self.rows.find(self.filed_as(key))

    def item(self, key: Key) -> StoredItem | None:
        found = self.packed(key)
        return None if found is None else unpack(found)

    def entries(self) -> Iterator[tuple[Key, StoredItem]]:
        """Every item with its key."""
        for stretch in self.rows.between(b"", None):
            for item in map(unpack, stretch.packed()):
                yield self.key_of(item), item

    def key_of(self, item: Item) -> Key:
        """The key of an item whose key attributes have been checked."""
        schema = self.schema
        partition = key_string(item[schema.partition[0]])
        return Key(partition, key_string(item[schema.sort[0]]) if schema.sort else NO_SORT_KEY)

    def keys_of(self, stretches: Iterable[Stretch]) -> Iterator[Key]:
        """The keys of items in the order of the table or of an index of it."""
        for filed in chain.from_iterable(stretch.keys for stretch in stretches):
            yield _key_filed_as(filed, *self._key_types)

    def put(self, key: Key, item: Item, before: Item | None = None) -> None:
        """``before``: the item that is there, if the caller has unpacked it. Otherwise that is done here, for
        indexes."""
        stored = item if type(item) is StoredItem else StoredItem(item)
        filed = self.filed_as(key)
        if self.snapshots:
            self._tell_snapshots(filed)
        old = self.rows.put(filed, stored.packed)
        if self._indexes:
            if before is None and old is not None:
                before = unpack(old)
            for index in self._indexes.values():
                index.change(filed, before, stored)

    def load(self, key: Key, found: Packed) -> None:
        """Add an item that was kept."""
        filed = self.filed_as(key)
        self.rows.put(filed, found)
        if self._indexes:
            item = unpack(found)
            for index in self._indexes.values():
                index.change(filed, None, item)

    def delete(self, key: Key, before: Item | None = None) -> None:
        """``before``: as for :meth:`put`."""
        filed = self.filed_as(key)
        if self.snapshots:
            self._tell_snapshots(filed)
        old = self.rows.pop(filed)
        if self._indexes and old is not None:
            if before is None:
                before = unpack(old)
            for index in self._indexes.values():
                index.change(filed, before, None)

    def _tell_snapshots(self, filed: bytes) -> None:
        old = self.rows.find(filed)
        for snapshot in self.snapshots:
            snapshot.before(filed, old)

    def present(self) -> Present:
        """The keys of the items that are there now, to be taken in slices."""
        return Present(self)

    def let_go(self, most: int) -> bool:
        """Free so many parts of a table that is gone; whether there are more. To free many at once takes long."""
        for rows in (*(index.rows for index in self._indexes.values()), self.rows):
            if rows.count:
                rows.free(most)
                return True
        return False

    # Places

    def place(self, key: Key) -> Place:
        """Where the item with this key stands, or would stand."""
        return _place(key, *self._key_types)

    def filed(self, place: Place) -> bytes:
        return self.filed_as(place.key)

    def filed_as(self, key: Key) -> bytes:
        """Where the item with this key is filed: the bytes of its place."""
        if key is not self._filed_key:
            self._filed_key, self._filed = key, _filed_as(key, *self._key_types)
        return self._filed

    # Indexes

    def index(self, name: str, schema: KeySchema, projected: frozenset[str] | None = None) -> IndexedItems:
        """The index with this name, key schema and projection. If it is being built, it is completed."""
        index = self.add_index(name, schema, projected)
        while index.is_incomplete():
            index.build(_AT_ONCE)
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


class Present:
    """The keys of a table's items, in slices. The table may change meanwhile: an item that goes may be left out, and
    one that comes may be among them. If an attempt to take some fails, the next one takes the same; a generator would
    leave the rest out."""

    __slots__ = ("_items", "_low")

    def __init__(self, items: Items):
        self._items, self._low = items, b""

    def take(self, most: int) -> list[Key]:
        """The next keys, up to so many; fewer only at the end."""
        found = list(self._items.rows.between(self._low, None, most=most))
        keys = list(self._items.keys_of(found))
        if found:
            self._low = found[-1].keys[-1] + b"\0"
        return keys


class IndexedItems(_InOrder):
    """The items of a table that have the attributes of an index's key, in the order of the index; those with the same
    key there are in the order of their own keys. ``bytes``: the size of what the index has of them, which are the
    attributes ``projected`` (None: all)."""

    __slots__ = ("_batch", "_items", "_left", "_projected", "bytes", "schema")

    def __init__(self, schema: KeySchema, projected: frozenset[str] | None, items: Items):
        super().__init__()
        self.schema, self._projected, self._items = schema, projected, items
        self.bytes = 0
        self._left = items.present() if items else None  # items that may lack here
        self._batch = Batch[list[Key]]()  # of these

    # Building

    def is_incomplete(self) -> bool:
        return self._left is not None

    def build(self, most: int) -> bool:
        """Add up to so many of the items that were there before the index; whether there may be more."""
        if self._left is None:
            return False
        left = self._left
        keys = self._batch.take(lambda: left.take(most))
        for key in keys:
            item = self._items.item(key)
            if item is not None:
                self.change(self._items.filed_as(key), item, item)
        self._batch.done()
        if not keys:
            self._left = None
        return self._left is not None

    def change(self, own: bytes, old: Item | None, new: StoredItem | None) -> None:
        """An item that is filed as ``own`` in the table has changed. It may lack here while the index is built."""
        entry = None if new is None else self._entry(new, own)
        before = entry if self._has_same_key(old, new) else None if old is None else self._entry(old, own)
        if before is not None and before != entry:
            self.bytes -= self._size(self.rows.pop(before))
        if new is not None and entry is not None:
            self.bytes += self._size(new.packed) - self._size(self.rows.put(entry, new.packed))

    def _has_same_key(self, old: Item | None, new: Item | None) -> bool:
        """Whether two items have the same index key, or lack the same parts of it."""
        if old is None or new is None:
            return False
        for name in self.schema.names:
            if old.get(name) != new.get(name):
                return False
        return True

    def _size(self, found: Packed | None) -> int:
        """Bytes that the index has of an item."""
        if found is None or self._projected is None:
            return found[1] if found else 0
        return item_size({name: value for name, value in unpack(found).items() if name in self._projected})

    # Places

    def place(self, key: Key, item: Item) -> Place:
        """Where an item that has the index's key stands in the index."""
        return Place(*self._where(item), key)

    def filed(self, place: Place) -> bytes:
        return self._filed_behind(place.hash, place.partition, place.sort, self._items.filed_as(place.key))

    def _where(self, item: Item) -> tuple[int, bytes, bytes]:
        partition = partition_bytes([sort_bytes(item[name]) for name in self.schema.partition])
        sort = joined_sort_bytes([sort_bytes(item[name]) for name in self.schema.sort]) if self.schema.sort else b""
        return zlib.crc32(partition), partition, sort

    def _entry(self, item: Item, own: bytes) -> bytes | None:
        """Where an item is filed here; None if it does not have the index's key."""
        return self._filed_behind(*self._where(item), own) if self.schema.fits(item) else None

    def _filed_behind(self, hash_: int, partition: bytes, sort: bytes, own: bytes) -> bytes:
        return _filed(hash_, partition) + _part(sort) + own[4:]  # without the hash
