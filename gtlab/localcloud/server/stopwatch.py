"""The time that a client has for each stage of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping


class Stopwatch:
    """Calls ``late(stage)`` when a stage has lasted longer than its ``seconds``. ``stage`` is the stage whose time is
    running, or None."""

    __slots__ = ("_deadline", "_late", "_loop", "_seconds", "_timer", "_timer_at", "stage")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: Mapping[str, float], late: Callable[[str], None]):
        self._loop, self._seconds = loop, seconds
        self._late: Callable[[str], None] | None = late
        self.stage: str | None = None
        self._deadline = 0.0  # when the stage's time ends, by the event loop's clock
        self._timer: asyncio.Handle | None = None  # uvloop has no TimerHandle for what is due at once
        self._timer_at = 0.0  # when it fires

    def start(self, stage: str | None) -> None:
        """Start the time of a stage, unless it is running; None stops the time."""
        if stage is self.stage:
            return
        self.stage = stage
        if stage is None:
            return
        self._deadline = self._loop.time() + self._seconds[stage]
        # One timer serves many requests: it usually fires before the deadline, and is then set again.
        if self._timer is None or self._timer_at > self._deadline:
            self._set(self._deadline)

    def stop(self) -> None:
        self.stage = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Stop for good, and let go of ``late``, which usually refers back to the owner."""
        self.stop()
        self._late = None

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(at, self._look), at

    def _look(self) -> None:
        self._timer = None
        if self.stage is None:
            return
        if self._loop.time() < self._deadline:
            self._set(self._deadline)
        else:
            stage, self.stage = self.stage, None
            if self._late is not None:
                self._late(stage)
