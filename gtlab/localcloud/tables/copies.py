"""Copies of many items, made in slices: backups, and tables that are restored. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gtlab.localcloud.engine.values import Item
from gtlab.localcloud.model import Batch, TableId
from gtlab.localcloud.observe.internal_errors import RETRY_S
from gtlab.localcloud.tables.slices import Slices


@dataclass(eq=False)
class Copy:
    """One copy that is being made. ``take`` returns the next items, and whether there may be more; ``put`` gets them,
    and gets them again if it fails. ``goes_on`` is called after a slice if there may be more, and ``end`` when all
    items are there; both with the time. ``source`` is the table that is copied, if it is one."""

    take: Callable[[], tuple[list[Item], bool]]
    put: Callable[[list[Item]], None]
    goes_on: Callable[[float], None]
    end: Callable[[float], None]
    source: TableId | None
    batch: Batch[tuple[list[Item], bool]] = field(default_factory=Batch)


class Copies:
    """The copies that are being made. They are part of the long work in ``slices``."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._copies: list[Copy] = []

    def begin(self, copy: Copy, now: float) -> None:
        """Begin a copy with its first slice. A small one is complete afterwards."""
        self._copies.append(copy)
        self._slices.begin(lambda now: self._slice(copy, now), now)

    def copies(self, table: TableId) -> bool:
        """Whether a table is being copied."""
        return any(copy.source == table for copy in self._copies)

    def finish(self, table: TableId, now: float) -> None:
        """Complete all copies of a table at once: it is about to go."""
        for copy in [copy for copy in self._copies if copy.source == table]:
            while self._slice(copy, now):
                pass

    def _slice(self, copy: Copy, now: float) -> bool:
        """Do a slice of a copy; whether there is more to do."""
        if copy not in self._copies:
            return False
        try:
            items, more = copy.batch.take(copy.take)
            copy.put(items)
        except Exception:
            copy.goes_on(now + RETRY_S)  # until the next attempt
            raise
        copy.batch.done()
        (copy.goes_on if more else copy.end)(now)
        if not more:
            self._copies.remove(copy)
        return more
