"""What fails in the simulation: links, Regions and tables, the computer's clock, and the process."""

from __future__ import annotations

import math
from collections.abc import Callable

from gtlab.localcloud.proof.audit import ALBUMS, MUSIC
from gtlab.localcloud.proof.schedule import HOUR, MINUTE, REGIONS, SPARE, Process, Schedule
from gtlab.localcloud.proof.simulated import ACCOUNT, UNSAVED, UNSETTLED


class Failures:
    """Three processes that never end. ``busy_period`` and ``membership_changes`` make what happens around a failure:
    much is written, and replicas come and go."""

    def __init__(self, schedule: Schedule, busy_period: Callable[[], Process],
                 membership_changes: Callable[[], Process]):
        self._schedule, self._cloud, self._chance = schedule, schedule.cloud, schedule.chance
        self._busy_period, self._membership_changes = busy_period, membership_changes

    def of_the_world(self) -> Process:
        while True:
            yield self._schedule.about(2.4 * HOUR)
            for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
                knob, place, value = self._failure()
                lasts = min(self._chance.lognormvariate(math.log(MINUTE), 1.4), HOUR)
                self._cloud.turn(knob, place, value)
                self._schedule.start(self._mend(knob, place), lasts)
                self._schedule.start(self._busy_period(), self._chance.uniform(0, 2))
                self._schedule.start(self._busy_period(), max(0.0, lasts - self._chance.uniform(0, 2)))
                if self._chance.random() < 0.4:
                    self._schedule.start(self._membership_changes(), self._chance.uniform(0, lasts))

    def _mend(self, knob: str, place: tuple[str, ...]) -> Process:
        self._cloud.turn_back(knob, place)
        yield from ()

    def _failure(self) -> tuple[str, tuple[str, ...], object]:
        chance = self._chance
        a, b = chance.sample((*REGIONS, SPARE), 2)
        return chance.choice([
            lambda: ("partition", (a, b), None), lambda: ("partition", (a, b), None),
            lambda: ("isolate", (a,), None), lambda: ("outage", (a,), "timeout"),
            lambda: ("slow", (a, b), chance.uniform(10, 5000)),
            lambda: ("lag", (a, b), chance.choice((0, 0.01, 5, 120))), lambda: ("lag", (), chance.choice((0, 3, 60))),
            lambda: ("throttle", (ACCOUNT, a, chance.choice((MUSIC, ALBUMS))), {"write_units": 1, "burst_s": 2}),
        ])()

    def of_the_clock(self) -> Process:
        while True:
            yield self._schedule.about(3 * HOUR)
            self._cloud.set_clock(self._chance.choice((-1, 1)) * self._chance.choice((0.002, 0.05, 0.7, 4.0)))
            self._schedule.start(self._busy_period())

    def of_the_process(self) -> Process:
        while True:
            yield self._schedule.about(12 * HOUR)
            self._schedule.start(self._busy_period())
            yield self._chance.uniform(0, 2)
            if self._chance.random() < 0.5:
                self._cloud.doomed = self._chance.choice((UNSAVED, UNSETTLED))
            else:
                self._cloud.crash()
