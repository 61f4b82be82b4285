"""A call at regular intervals, whether or not the work of the call before has ended.

A client that waits for slow answers takes the fewest samples exactly when the system is slowest (coordinated omission).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Schedule:
    """A thread that calls ``do(due)`` every ``every_s`` seconds; ``do`` must not block.

    ``due`` is the planned time of the call, in seconds of the monotonic clock. ``late_s`` has the delay of each call in
    seconds. With ``catch_up`` every call is made, however late; without it, calls whose time has passed are skipped and
    counted in ``skipped``. The schedule ends after ``calls`` calls (0: it continues until :meth:`stop`) or at an
    exception, which is kept in ``error``.
    """

    def __init__(self, every_s: float, do: Callable[[float], None], *, catch_up: bool = False, calls: int = 0,
                 name: str = "schedule"):
        self._every_s, self._do, self._catch_up, self._calls = every_s, do, catch_up, calls
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.late_s: list[float] = []
        self.skipped = 0
        self.error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        due, made = time.perf_counter(), 0
        while not self._stop.wait(max(0.0, due - time.perf_counter())):
            self.late_s.append(time.perf_counter() - due)
            try:
                self._do(due)
            except Exception as error:
                self.error = error
                return
            made += 1
            if made == self._calls:
                return
            due += self._every_s
            behind = int((time.perf_counter() - due) / self._every_s)
            if behind > 0 and not self._catch_up:
                self.skipped += behind
                due += behind * self._every_s
