"""The items of a table as they were at one moment, taken in slices while the table goes on changing.

Nothing is copied at that moment: items are immutable and shared. What a change replaces before it was taken is kept for
the snapshot (copy on write), so a slice is the only work, and the moment itself takes no time.
"""

from __future__ import annotations

from collections.abc import Iterator

from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.engine.values import Item, Packed, item_size, unpack

MOST_ITEMS, MOST_BYTES = 100, 1 << 18  # of a slice: a millisecond or two of work, and of writing to disk


class Snapshot:
    """The items of ``items`` at the moment when this is made. The caller calls :meth:`take` until there are no more."""

    def __init__(self, items: Items):
        self._items = items
        self._next = b""                               # where the next item that is to be taken is filed, or behind it
        self._replaced: dict[bytes, Packed | None] = {}  # what was there before a change, and is not taken yet
        self._scanned = False
        items.snapshots.append(self)

    def before(self, filed: bytes, old: Packed | None) -> None:
        """An item is about to be replaced or deleted, or is new (None)."""
        if not self._scanned and filed >= self._next:
            self._replaced.setdefault(filed, old)

    def take(self, most: int = MOST_ITEMS) -> tuple[list[Item], bool]:
        """The next items, and whether there may be more."""
        taken, left, looked_at = list[Item](), MOST_BYTES, 0
        for stretch in () if self._scanned else self._items.rows.between(self._next, None, most=most):
            for filed, there in zip(stretch.keys, stretch.packed(), strict=True):
                looked_at += 1
                self._next = filed + b"\0"
                packed = self._replaced.pop(filed, there)
                if packed is not None:
                    taken.append(unpack(packed))
                    left -= packed[1]
                if looked_at == most or left <= 0:
                    return taken, True
        self.close()
        while self._replaced:  # what was deleted meanwhile
            if len(taken) >= most or left <= 0:
                return taken, True
            _, old = self._replaced.popitem()
            if old is not None:
                taken.append(unpack(old))
                left -= old[1]
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
