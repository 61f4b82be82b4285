"""A thread in the kernel that follows the local cloud for a widget, as long as the widget is seen."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gtlab.lab import Lab, events, knobs
from gtlab.localcloud import process

BATCH_S = 0.1    # between two messages to the browser, at least
LOOK_S = 2.0     # between two looks at the world, where no event says that it changed
UNSEEN_S = 60.0  # without a word from any view: the thread ends, and begins again with the next word
_AGAIN_S = 1.0   # before the next try, where no local cloud answers


class Follower:
    """``tell(events, knobs)`` is called from a thread of its own with new events, oldest first, and with what is broken
    now; at most once in BATCH_S. :meth:`seen` starts the thread and keeps it going; :meth:`gone` and :meth:`stop` end
    it."""

    def __init__(self, lab: Lab, tell: Callable[[list[dict], list[dict] | None], None]):
        self._lab, self._tell = lab, tell
        self._lock, self._seen_at = threading.Lock(), 0.0
        self._views: set[str] = set()
        self._after = 0  # number of the newest event that was read
        self._running: threading.Event | None = None  # set when its thread is to end
        self.problem = ""

    @property
    def running(self) -> bool:
        return self._running is not None and not self._running.is_set()

    def seen(self, view: str) -> None:
        """A view said that it is there."""
        with self._lock:
            self._views.add(view)
            self._seen_at = time.monotonic()
            if not self.running:
                self._running = ended = threading.Event()
                threading.Thread(target=self._run, args=(ended,), name="gtlab follower", daemon=True).start()

    def gone(self, view: str) -> None:
        """A view said that it ends; with the last one, the thread ends too."""
        self._views.discard(view)
        if not self._views:
            self.stop()

    def stop(self) -> None:
        with self._lock:
            if self._running:
                self._running.set()

    def _run(self, ended: threading.Event) -> None:
        arrived: deque[dict[str, Any]] = deque(maxlen=50_000)
        more = threading.Event()
        threading.Thread(target=self._read, args=(ended, arrived, more), name="gtlab events", daemon=True).start()
        looked = 0.0
        while not ended.is_set() and time.monotonic() - self._seen_at < UNSEEN_S:
            more.wait(LOOK_S)
            more.clear()
            found = [arrived.popleft() for _ in range(len(arrived))]
            broken = None
            if time.monotonic() - looked > LOOK_S or any(each["kind"] in _WORLD for each in found):
                looked, broken = time.monotonic(), self._look()
            if not ended.is_set() and (found or broken is not None or self.problem):
                self._tell(found, broken)
            ended.wait(BATCH_S)
        ended.set()

    def _read(self, ended: threading.Event, arrived: deque[dict[str, Any]], more: threading.Event) -> None:
        while not ended.is_set():
            for event in events.follow(self._lab._where, self._after):
                if ended.is_set():
                    return
                if event["n"] <= self._after:  # the local cloud was started again, and its journal with it
                    arrived.append({"kind": "reset", "n": 0, "at": event["at"]})
                self._after = event["n"]
                arrived.append(event)
                more.set()
            ended.wait(_AGAIN_S)

    def _look(self) -> list[dict] | None:
        try:
            found = knobs.broken(self._lab._control("world"))
            self.problem = ""
            return found
        except (process.CloudError, ValueError) as error:
            self.problem = str(error)
            return None


_WORLD = ("broken", "mended", "reset")


