"""The clock of the simulation: processes that do something, wait, and go on, in order of simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count

from gtlab.localcloud.proof.simulated import TABLE, Answer, Simulated

REGIONS = ("ap-southeast-1", "us-east-1", "eu-west-1")
SPARE = "us-east-2"  # a fourth Region that comes and goes
KEYS = [(p, s) for p in ("p1", "p2", "p3") for s in ("a", "b")]
MINUTE, HOUR = 60.0, 3600.0

Process = Iterator[float]  # does something and yields how many seconds it then waits


class Schedule:
    """The simulated cloud, the source of chance, and the processes that wait for their time."""

    def __init__(self, cloud: Simulated, seed: int):
        self.cloud, self.chance = cloud, random.Random(seed)
        self._waiting: list[tuple[float, int, Process]] = []
        self._order, self._names = count(), count(1)

    def start(self, process: Process, after: float = 0.0) -> None:
        """Let a process begin in a number of seconds."""
        heappush(self._waiting, (self.cloud.true + after, next(self._order), process))

    def run(self, until: float, progress: Callable[[], object]) -> None:
        """Run processes up to a time, in epoch seconds. ``progress`` is called after each step."""
        while self._waiting and self._waiting[0][0] <= until:
            at, _, process = heappop(self._waiting)
            self.cloud.advance(max(0.0, at - self.cloud.true))
            wait = next(process, None)
            if wait is not None:
                self.start(process, wait)
            progress()
        self.cloud.advance(max(0.0, until - self.cloud.true))

    # What several processes need

    def until_done(self, what: Callable[[], Answer]) -> Process:
        """Repeat a call until it succeeds."""
        while what().code:
            yield 30.0

    def create_table(self, region: str, name: str) -> Answer:
        return self.cloud.call(region, "CreateTable", TABLE | {"TableName": name})

    def about(self, seconds: float) -> float:
        """An exponentially distributed time with this mean."""
        return self.chance.expovariate(1 / seconds)

    def name(self) -> str:
        """A string that no other write has."""
        return f"w{next(self._names)}"


def attributes(key: tuple[str, str]) -> dict:
    """A key as the API writes it."""
    return {name: {"S": value} for name, value in zip("ps", key, strict=True)}
