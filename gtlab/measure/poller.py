"""The polls of one Region: at regular intervals, a BatchGetItem of all probes that are awaited there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gtlab.lab import Lab
from gtlab.measure.probes import Keys
from gtlab.measure.reads import Read
from gtlab.measure.sampling import MOST_AT_ONCE
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply, Sender

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

_MOST_UNDER_WAY = 192    # polls without an answer; no more are sent to a Region that does not answer
_SIGN_AGAIN_S = 60.0     # a signature is valid for five minutes
_NEVER_PUT = 0           # the number of a probe that does not exist: it is polled while no probe is awaited


@dataclass(frozen=True)
class Polling:
    """How a Region is polled: every ``every_s`` seconds, with strongly consistent reads if ``consistent``."""

    every_s: float
    consistent: bool = False


class Poller:
    """Polls one Region.

    ``reads`` are the answered reads; ``requests`` counts the requests that were sent, ``failed`` those of them that
    were throttled or failed, ``skipped`` those that were not sent because too many were without an answer; ``units``
    are the read units that they consumed; ``error`` is the first error that is not transient. ``on_seen(probe)`` is
    called in another thread when a probe is seen for the first time.
    """

    def __init__(self, lab: Lab, table: str, region: str, keys: Keys, polling: Polling,
                 on_seen: Callable[[int], None] = lambda probe: None):
        self.region = region
        self.reads: list[Read] = []
        self.requests = self.failed = self.skipped = 0
        self.units = 0.0
        self.error: Exception | None = None
        self._table, self._keys, self._consistent, self._on_seen = table, keys, polling.consistent, on_seen
        self._sender = Sender(lab, region, _MOST_UNDER_WAY)
        self._pool = ThreadPoolExecutor(_MOST_UNDER_WAY, thread_name_prefix=f"polls-{region}")
        self._under_way = threading.Semaphore(_MOST_UNDER_WAY)
        self._awaited: dict[int, None] = {}  # in the order of the puts
        self._changing = threading.Lock()
        self._turn = 0
        self._signed: tuple[tuple[int, ...], float, AWSPreparedRequest] | None = None
        self.schedule = Schedule(polling.every_s, self._poll, name=f"polls-{region}")

    def warm_up(self) -> None:
        """Sign a request and open a connection, before the schedule starts."""
        reply = self._sender.send(self._request((_NEVER_PUT,)))
        self._count(reply, 1)

    def watch(self, probe: int) -> None:
        with self._changing:
            self._awaited[probe] = None

    def give_up(self, probe: int) -> None:
        with self._changing:
            self._awaited.pop(probe, None)

    def stop(self, *, wait: bool) -> None:
        """Send no more polls; with ``wait``, wait for the answers to those that were sent."""
        self.schedule.stop()
        self._pool.shutdown(wait=wait, cancel_futures=not wait)
        if wait:
            self._sender.close()

    def _poll(self, due: float) -> None:
        if not self._under_way.acquire(blocking=False):
            self.skipped += 1
            return
        asked = self._next()
        self._pool.submit(self._read, self._request(asked), asked)

    def _next(self) -> tuple[int, ...]:
        """The probes to read: all awaited ones, or in turn as many as one batch may contain."""
        with self._changing:
            awaited = tuple(self._awaited) or (_NEVER_PUT,)
        if len(awaited) <= MOST_AT_ONCE:
            return awaited
        start = self._turn % len(awaited)
        self._turn = start + MOST_AT_ONCE
        return (awaited + awaited)[start:start + MOST_AT_ONCE]

    def _request(self, asked: tuple[int, ...]) -> AWSPreparedRequest:
        now = time.perf_counter()
        if self._signed is None or asked != self._signed[0] or now - self._signed[1] > _SIGN_AGAIN_S:
            request = self._sender.signed("batch_get_item", RequestItems={self._table: {
                "Keys": [self._keys.key(probe) for probe in asked], "ConsistentRead": self._consistent}})
            self._signed = (asked, now, request)
        return self._signed[2]

    def _read(self, request: AWSPreparedRequest, asked: tuple[int, ...]) -> None:
        try:
            reply = self._sender.send(request)
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
                first = probe in self._awaited
                self._awaited.pop(probe, None)
            if first:
                self._on_seen(probe)

    def _count(self, reply: Reply, asked: int) -> None:
        with self._changing:
            self.requests += 1
            if reply.error is None:
                self.units += asked * (1.0 if self._consistent else 0.5)
                return
            self.failed += 1
            if not reply.transient:
                self.error = self.error or reply.raised("BatchGetItem")
