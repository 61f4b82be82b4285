"""The simulation: the processes of a random life of the local cloud, and the checks in between.

Everything random is drawn from one source in a fixed order, so the same seed and hours do the same again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from gtlab.localcloud.proof.audit import ALBUMS, CHARTS, MUSIC
from gtlab.localcloud.proof.customers import Customers
from gtlab.localcloud.proof.failures import Failures
from gtlab.localcloud.proof.membership import Membership
from gtlab.localcloud.proof.schedule import HOUR, KEYS, Process, Schedule
from gtlab.localcloud.proof.simulated import BEGAN, Simulated
from gtlab.localcloud.proof.strong import StrongTable

# The kinds of global tables, each with its table: MREC and MRSC of version 2019.11.21, and version 2017.11.29.
KINDS = {"mrec": MUSIC, "legacy": ALBUMS, "mrsc": CHARTS}


class Simulation:
    """``only``: one of KINDS, or None for all."""

    def __init__(self, folder: Path, seed: int, only: str | None = None):
        self.cloud = Simulated(folder, seed)
        self._schedule = Schedule(self.cloud, seed)
        self._customers, membership = Customers(self._schedule), Membership(self._schedule)
        self._strong = StrongTable(self._schedule)
        failures = Failures(self._schedule, self._busy_period, membership.membership_changes)
        kinds = [only] if only else list(KINDS)
        lives = {"mrec": membership.mrec, "legacy": membership.legacy, "mrsc": self._strong.mrsc}
        for process in (*(lives[kind] for kind in kinds), failures.of_the_world, failures.of_the_clock,
                        failures.of_the_process, self._audits):
            self._schedule.start(process())
        self._tables = [KINDS[kind] for kind in kinds if kind != "mrsc"]

    def run(self, hours: float, progress: Callable[[float], object] = lambda hours: None) -> None:
        """Raises Violation. ``progress`` is called with the simulated hours that have passed."""
        until = BEGAN + hours * HOUR
        self._schedule.run(until, lambda: progress(min(self.cloud.true, until) / HOUR - BEGAN / HOUR))
        self._audit()
        self._strong.check_histories()
        progress(hours)

    def digest(self) -> str:
        """A hash of the outcome: every item, and every count."""
        database = self.cloud.database
        tables = [[*table, sorted([*key, item] for key, item in database.items(table))]
                  for table in sorted(database.tables)]
        counts = [sorted(each.items()) for each in (self.cloud.calls, self.cloud.refused, self.cloud.happened,
                                                    self.cloud.judge.made)]
        return hashlib.sha256(json.dumps([tables, counts], sort_keys=True).encode()).hexdigest()

    def close(self) -> None:
        self.cloud.close()

    def _audits(self) -> Process:
        chance = self._schedule.chance
        while True:
            yield chance.uniform(4, 6) * HOUR
            self._audit()
            if chance.random() < 0.03:  # nothing for longer than tombstones and records are kept
                for _ in range(7):
                    self.cloud.advance(4 * HOUR)
                    self.cloud.read_streams()
                self._audit()

    def _audit(self) -> None:
        self.cloud.audit()
        if self.cloud.judge.members(CHARTS):
            for key in KEYS[:3]:
                self._strong.read_everywhere(key)

    def _busy_period(self) -> Process:
        """A short time in which much is written."""
        schedule = self._schedule
        for table in self._tables:
            schedule.start(self._customers.writer(table, schedule.chance.randint(2, 5)), schedule.chance.uniform(0, 1))
        for _ in range(2):
            schedule.start(self._strong.customer(), schedule.chance.uniform(0, 1))
        yield from ()
