"""Collects Python's cyclic garbage in small steps between answers.

Python's automatic collection starts only when allocations exceed deallocations by thousands. As old events and records
are freed while new ones are created, that happens rarely and then takes many milliseconds; a full one looks at every
item of every table. So the youngest objects are collected often, and what outlives that is excluded from later
collections ("frozen"). Objects without cycles, as items are, are freed all the same when the last reference goes. What
is frozen and part of a cycle, as a closed connection may be, is collected at a moment when nobody calls.
"""

from __future__ import annotations

import asyncio
import gc

CALLS = 16           # between two collections of generation 0, which take about half a millisecond each
NEW = 2000           # objects after which there is one anyway: a millisecond of work
OLDER = 8            # of these before one of generation 1, which looks at what was kept meanwhile
ALL = 512 * 64       # of these before a full one, which waits for a quiet moment
QUIET_S = 2.0        # so long without a call


class Garbage:
    """Call :meth:`carried` after each call, and :meth:`sweep` when an answer has been sent or something was done. Only
    a process that has frozen the objects of its start has others frozen."""

    def __init__(self) -> None:
        self._calls = self._seen = self._sweeps = 0
        self._freezes: bool | None = None
        self._waiting: asyncio.TimerHandle | None = None

    def carried(self) -> bool:
        """Note that a call has been carried out. Returns whether it is time to call :meth:`sweep`."""
        self._calls += 1
        return self._is_due()

    def _is_due(self) -> bool:
        return self._calls >= self._seen + CALLS or gc.get_count()[0] >= NEW

    def sweep(self) -> None:
        """Collect the youngest objects if it is time."""
        if not self._is_due():
            return
        self._seen = self._calls
        self._sweeps += 1
        if self._sweeps % OLDER:
            gc.collect(0)
        else:
            gc.collect(1)
            self.freeze()
        if self._sweeps % ALL == 0:
            self.sweep_all_soon()

    def freeze(self) -> None:
        """Exclude all objects that there are now from later collections. Call this after a very large container was
        made: a collection would look at each of its members."""
        if self._freezes is None:
            self._freezes = gc.get_freeze_count() > 0
        if self._freezes:
            gc.freeze()

    def sweep_all_soon(self) -> None:
        """Collect everything at the next quiet moment."""
        if self._waiting is None:
            self._wait(self._calls)

    def _wait(self, calls: int) -> None:
        self._waiting = asyncio.get_running_loop().call_later(QUIET_S, self._sweep_all, calls)

    def _sweep_all(self, calls: int) -> None:
        if calls != self._calls:
            self._wait(self._calls)
            return
        self._waiting = None
        if gc.get_freeze_count():
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        else:
            gc.collect()
