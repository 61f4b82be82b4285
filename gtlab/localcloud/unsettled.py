"""Answered writes whose consequences (stream record, deliveries, journal) are still to be carried out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gtlab.localcloud.engine.values import item_size
from gtlab.localcloud.model import Change

STREAM, REPLICATION = "stream", "replication"  # steps that a restart must not repeat; their names are on disk
MOST_FAILED, MOST_FAILED_BYTES = 1000, 64 << 20  # kept writes; further writes are refused, so that they are bounded


@dataclass(slots=True)
class Unsettled:
    """A write that was answered, and which of its steps are done. ``at``: when it took effect, in epoch seconds."""

    change: Change
    at: float
    by_ttl: bool = False
    done: tuple[str, ...] = ()  # the steps that are done: STREAM, REPLICATION
    late: bool = False          # it failed earlier: other writes of the item may have been carried out since


class FailedWrites:
    """Writes of which a step failed twice, by number. Each is written to disk once: ``unsaved`` has those that are
    not there yet, and ``gone`` the numbers of those that must be deleted there."""

    def __init__(self) -> None:
        self.writes: dict[int, Unsettled] = {}
        self.unsaved: dict[int, Unsettled] = {}
        self.gone: set[int] = set()
        self._last = 0  # the highest number that was used
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.writes)

    @property
    def is_full(self) -> bool:
        return len(self.writes) >= MOST_FAILED or self._bytes >= MOST_FAILED_BYTES

    def add(self, write: Unsettled) -> None:
        """Keep a write. A second attempt, after an error, does not keep it twice."""
        if any(kept is write for kept in self.writes.values()):
            return
        self._last += 1
        self.writes[self._last] = self.unsaved[self._last] = write
        self._bytes += _size(write)

    def take(self) -> list[Unsettled]:
        """Remove and return all writes, oldest first."""
        taken = list(self.writes.values())
        self.gone |= self.writes.keys() - self.unsaved.keys()
        self.writes.clear()
        self.unsaved.clear()
        self._bytes = 0
        return taken

    def saved(self) -> None:
        """Everything is on disk."""
        self.unsaved.clear()
        self.gone.clear()

    def restore(self, kept: Iterable[tuple[int, Unsettled]]) -> None:
        """Load the saved writes, by number."""
        self.writes = dict(kept)
        self._last = max(self.writes, default=0)
        self._bytes = sum(map(_size, self.writes.values()))


def _size(write: Unsettled) -> int:
    return sum(item_size(image) for image in (write.change.old, write.change.new) if image is not None)
