"""The items of a table as they were at one moment, taken in slices while the table goes on changing.

Nothing is copied at that moment: items are immutable and shared. What a change replaces before it was taken is kept for
the snapshot (copy on write), so a slice is the only work, and the moment itself takes no time.
"""

from __future__ import annotations

from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.engine.values import Item, Packed, unpack

MOST_ITEMS, MOST_BYTES = 100, 1 << 18  # of a slice: a millisecond or two of work, and of writing to disk


class Snapshot:
    """The items of ``items`` at the moment when this is made. The caller calls :meth:`take` until there are no more."""

    def __init__(self, items: Items):
        self._items = items
        self._next = b""                               # where the next item that is to be taken is filed, or behind it
        self._replaced: dict[bytes, Packed | None] = {}  # what was there before a change, and is not taken yet
        self._scanned = False
        self._taken: list[Item] = []  # for the slice that is being taken: the next attempt goes on if this one fails
        items.snapshots.append(self)

    def before(self, filed: bytes, old: Packed | None) -> None:
        """An item is about to be replaced or deleted, or is new (None)."""
        if not self._scanned and filed >= self._next:
            self._replaced.setdefault(filed, old)

    def take(self, most: int = MOST_ITEMS) -> tuple[list[Item], bool]:
        """The next items, and whether there may be more. If it fails, nothing is lost."""
        more = self._fill(most)
        taken, self._taken = self._taken, []
        return taken, more

    def _fill(self, most: int) -> bool:
        """Take the next items; whether there may be more. An item is unpacked before its place is passed."""
        taken, left, looked_at = self._taken, MOST_BYTES, 0
        for stretch in () if self._scanned else self._items.rows.between(self._next, None, most=most):
            for filed, there in zip(stretch.keys, stretch.packed(), strict=True):
                looked_at += 1
                packed = self._replaced.get(filed, there)
                if packed is not None:
                    taken.append(unpack(packed))
                    left -= packed[1]
                self._next = filed + b"\0"
                self._replaced.pop(filed, None)
                if looked_at == most or left <= 0:
                    return True
        self.close()
        while self._replaced:  # what was deleted meanwhile
            if len(taken) >= most or left <= 0:
                return True
            filed = next(reversed(self._replaced))
            old = self._replaced[filed]
            if old is not None:
                taken.append(unpack(old))
                left -= old[1]
            del self._replaced[filed]
        return False

    def close(self) -> None:
        """Stop following the table."""
        if self in self._items.snapshots:
            self._items.snapshots.remove(self)
        self._scanned = True


class Listed:
    """A list of items in slices."""

    def __init__(self, items: list[Packed]):
        self._items, self._next = items, 0

    def take(self) -> tuple[list[Item], bool]:
        """The next items, and whether there are more. If it fails, nothing is lost."""
        taken, left, end = list[Item](), MOST_BYTES, self._next
        while end < len(self._items) and len(taken) < MOST_ITEMS and left > 0:
            taken.append(unpack(self._items[end]))
            left -= self._items[end][1]
            end += 1
        self._next = end
        return taken, end < len(self._items)
