"""One Region's polls: a BatchGetItem of all probes that are awaited there, at every moment of a schedule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gtlab.lab import Lab
from gtlab.measure.planning import MOST_AT_ONCE
from gtlab.measure.probes import Keys
from gtlab.measure.reads import Read
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import THROTTLED, Reply, Wire

_MOST_UNDER_WAY = 192   # polls; a Region that does not answer gets no more than these
_SIGNED_ANEW_S = 60.0   # a signature holds for five minutes
NEVER = 0               # the number of a probe that is never put: something to ask for while nothing is awaited


class Poller:
    """Polls of one Region. ``reads`` is what was read, ``requests`` how many were sent, ``failed`` those of them that
    were throttled or failed, ``skipped`` those that were not sent because too many were under way. ``units`` is what
    they cost in read units. ``on_seen(probe)`` is called, in another thread, when a probe was seen first."""

    def __init__(self, lab: Lab, table: str, region: str, keys: Keys, every_s: float, consistent: bool,
                 on_seen: Callable[[int], None] = lambda probe: None):
        self.region, self.reads = region, []
        self.requests = self.failed = self.skipped = 0
        self.units = 0.0
        self.error: Exception | None = None
        self._table, self._keys, self._consistent, self._on_seen = table, keys, consistent, on_seen
        self._wire = Wire(lab, region, _MOST_UNDER_WAY)
        self._pool = ThreadPoolExecutor(_MOST_UNDER_WAY, thread_name_prefix=f"polls-{region}")
        self._under_way = threading.Semaphore(_MOST_UNDER_WAY)
        self._awaited: dict[int, None] = {}
        self._changing = threading.Lock()
        self._turn = 0
        self._signed: tuple[tuple[int, ...], float, object] = ((), 0.0, None)
        self.schedule = Schedule(every_s, self._poll, name=f"polls-{region}")

    def warm_up(self) -> None:
        """Sign a request and open a connection, before the schedule starts."""
        reply = self._wire.send(self._request((NEVER,)))
        self._count(reply, 1)

    def watch(self, probe: int) -> None:
        with self._changing:
            self._awaited[probe] = None

    def give_up(self, probe: int) -> None:
        with self._changing:
            self._awaited.pop(probe, None)

    @property
    def awaited(self) -> tuple[int, ...]:
        with self._changing:
            return tuple(self._awaited)

    def stop(self, *, wait: bool) -> None:
        """No more polls; ``wait`` for those under way."""
        self.schedule.stop()
        self._pool.shutdown(wait=wait, cancel_futures=not wait)
        if wait:
            self._wire.close()

    def _poll(self, due: float) -> None:
        if not self._under_way.acquire(blocking=False):
            self.skipped += 1
            return
        asked = self._next()
        self._pool.submit(self._read, self._request(asked), asked)

    def _next(self) -> tuple[int, ...]:
        """Which probes to ask for: all, or where they are more than one batch holds, the next ones."""
        awaited = self.awaited or (NEVER,)
        if len(awaited) <= MOST_AT_ONCE:
            return awaited
        start = self._turn % len(awaited)
        self._turn = start + MOST_AT_ONCE
        return (awaited + awaited)[start:start + MOST_AT_ONCE]

    def _request(self, asked: tuple[int, ...]):
        known, signed_at, request = self._signed
        now = time.perf_counter()
        if asked != known or now - signed_at > _SIGNED_ANEW_S:
            request = self._wire.signed("batch_get_item", RequestItems={self._table: {
                "Keys": [self._keys.key(probe) for probe in asked], "ConsistentRead": self._consistent}})
            self._signed = (asked, now, request)
        return request

    def _read(self, request, asked: tuple[int, ...]) -> None:
        try:
            reply = self._wire.send(request)
        finally:
            self._under_way.release()
        self._count(reply, len(asked))
        if reply.error:
            return
        saw = frozenset(map(self._keys.number, reply.body.get("Responses", {}).get(self._table, ())))
        unknown = frozenset(map(self._keys.number, reply.body.get("UnprocessedKeys", {}).get(
            self._table, {}).get("Keys", ())))
        self.reads.append(Read(reply.sent, reply.answered, saw, frozenset(asked) - saw - unknown))
        for probe in saw:
            with self._changing:
                first = self._awaited.pop(probe, self) is not self
            if first:
                self._on_seen(probe)

    def _count(self, reply: Reply, asked: int) -> None:
        with self._changing:
            self.requests += 1
            if reply.error is None:
                self.units += asked * (1.0 if self._consistent else 0.5)
                return
            self.failed += 1
            if not reply.passing and reply.error not in THROTTLED:
                self.error = self.error or reply.raised("BatchGetItem")
