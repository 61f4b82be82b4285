"""How far a kept state has been read, for those who wait for it; and a way to stop reading it.

One thread reads, and others look. Nothing here needs a lock: only the reader counts, and a flag is only ever set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """Reading was stopped on request. The files are as they were."""


class Loading:
    """``done``: how many rows have been read, of how many (``rows``; None while the files are being checked)."""

    def __init__(self) -> None:
        self.done = 0
        self.rows: int | None = None
        self._stops = False

    def counted(self, rows: Iterable[T]) -> Iterator[T]:
        """The same rows, counted as they are read. Raises Stopped after :meth:`stop`."""
        for row in rows:
            if self._stops:
                raise Stopped
            self.done += 1
            yield row

    def stop(self) -> None:
        """Have the reader stop soon. Called by another thread."""
        self._stops = True
