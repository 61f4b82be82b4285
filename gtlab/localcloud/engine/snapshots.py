"""The items of a table as they were at one moment, taken in slices while the table goes on changing.

Nothing is copied at that moment: items are immutable and shared. What a change replaces before it was taken is kept for
the snapshot (copy on write), so a slice is the only work, and the moment itself takes no time.
"""

from __future__ import annotations

from collections.abc import Iterator

from gtlab.localcloud.engine.items import SEGMENTS, Items, Place
from gtlab.localcloud.engine.values import Item, Packed, item_size, unpack
from gtlab.localcloud.model import Key

MOST_ITEMS, MOST_BYTES = 100, 1 << 18  # of a slice: a millisecond or two of work, and of writing to disk


class Snapshot:
    """The items of ``items`` at the moment when this is made. The caller calls :meth:`take` until there are no more."""

    def __init__(self, items: Items):
        self._items = items
        self._after: Place | None = None                  # the place of the item that was taken last
        self._replaced: dict[Key, Item | None] = {}  # what was there before a change, and is not taken yet
        self._scanned = False
        items.snapshots.append(self)

    def before(self, key: Key, old: Item | None) -> None:
        """An item is about to be replaced or deleted, or is new (None)."""
        if not self._scanned and (self._after is None or self._items.place(key)[:3] > self._after[:3]):
            self._replaced.setdefault(key, old)

    def take(self, most: int = MOST_ITEMS) -> tuple[list[Item], bool]:
        """The next items, and whether there may be more."""
        taken: list[Item] = []
        left = MOST_BYTES
        for packed in () if self._scanned else self._items.scan(0, SEGMENTS, self._after):
            item = unpack(packed)
            key = self._items.key_of(item)
            found = self._replaced.pop(key, item) if self._replaced else item
            if found is not None:
                taken.append(found)
                left -= item_size(found)
            if len(taken) >= most or left <= 0:
                self._after = self._items.place(key)
                return taken, True
        self.close()
        while self._replaced:  # what was deleted meanwhile
            if len(taken) >= most or left <= 0:
                return taken, True
            _, old = self._replaced.popitem()
            if old is not None:
                taken.append(old)
                left -= item_size(old)
        return taken, False

    def close(self) -> None:
        """Stop following the table."""
        if not self._scanned:
            self._scanned = True
            self._items.snapshots.remove(self)


def slices(items: list[Packed]) -> Iterator[tuple[list[Item], bool]]:
    """A list of items in slices: the items of each, and whether there are more."""
    taken: list[Item] = []
    left = MOST_BYTES
    for item in map(unpack, items):
        if len(taken) >= MOST_ITEMS or left <= 0:
            yield taken, True
            taken, left = [], MOST_BYTES
        taken.append(item)
        left -= item_size(item)
    yield taken, False
