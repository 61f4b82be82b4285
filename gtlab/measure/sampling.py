"""How replication lag is measured: the sampling that a caller asks for, and the setting that results for a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gtlab import regions
from gtlab.lab import Lab, describe
from gtlab.measure.probes import at_least, checked, whole

EVERY_MS = 3.0        # between two polls, of all targets together
SHARED_EVERY_MS = 30.0  # the same on a local cloud that a class shares: it has time for 2,000 calls per second or so
WARM_UP_S = 0.5       # polls before the first put, which open connections and measure round trips
HOME_EVERY_S = 0.1    # between two reads at the source, which measure the distance to it
EXPECTED_LAG_S = 1.0  # AWS: "typically within a second"; used only for what a plan expects
MOST_AT_ONCE = 100    # keys per BatchGetItem call


@dataclass(frozen=True)
class Sampling:
    """``samples`` probes are put, ``rate`` of them per second. Each target is polled every ``every_ms`` milliseconds
    (None: 3 ms times the number of targets; 30 ms on a local cloud that others share), with strongly consistent reads
    if ``consistent``. A probe that is not seen within ``timeout_s`` seconds is given up."""

    samples: int = 20
    rate: float = 10.0
    every_ms: float | None = None
    timeout_s: float = 30.0
    consistent: bool = False

    def check(self) -> None:
        """Raises ValueError for a value that cannot be measured."""
        whole(samples=self.samples)
        at_least(1, samples=self.samples)
        if self.every_ms is not None:
            at_least(1, every_ms=self.every_ms)
        at_least(0.1, rate=self.rate, timeout_s=self.timeout_s)
        if self.samples >= 1_000_000 or self.rate > 100:
            raise ValueError(f"samples is {self.samples} and rate is {self.rate:g}; at most 999,999 samples and a rate "
                             "of 100 per second are possible.")


@dataclass(frozen=True)
class Setting:
    """One measurement of a table that can be made. ``written`` are the Regions that get each write, ``described`` is
    the Table of DescribeTable at the source."""

    source: str
    targets: tuple[str, ...]
    sampling: Sampling
    written: tuple[str, ...]
    described: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def every_s(self) -> float:
        """Seconds between two polls of a target."""
        every_ms = self.sampling.every_ms
        return (EVERY_MS * len(self.targets) if every_ms is None else every_ms) / 1000

    @property
    def putting_s(self) -> float:
        """How many seconds the puts take."""
        return self.sampling.samples / self.sampling.rate

    @property
    def expected_s(self) -> float:
        """How many seconds it polls if the lag is one second."""
        longest_trip_s = max(self._trip_s(target) for target in self.targets)
        return WARM_UP_S + self.putting_s + EXPECTED_LAG_S + longest_trip_s

    @property
    def most_s(self) -> float:
        """How many seconds it polls at most."""
        return WARM_UP_S + self.putting_s + self.sampling.timeout_s

    @property
    def read_units(self) -> float:
        """Read units that the read of one probe consumes: one is a strongly consistent read of up to 4 KB."""
        return 1.0 if self.sampling.consistent else 0.5

    @property
    def most_awaited(self) -> int:
        """How many probes one poll of a target reads at most."""
        return min(MOST_AT_ONCE, self.sampling.samples, math.ceil(self.sampling.rate * self.sampling.timeout_s) + 1)

    def awaited(self, target: str) -> float:
        """How many probes one poll of a target reads on average if the lag is one second."""
        return min(self.most_awaited, self.sampling.rate * (EXPECTED_LAG_S + self._trip_s(target)))

    @property
    def read_units_per_s(self) -> float:
        """Read units per second that the polls of one target consume, if the lag is one second."""
        return max(self.read_units * self.awaited(target) / self.every_s for target in self.targets)

    def _trip_s(self, target: str) -> float:
        return regions.rtt_ms(self.source, target) / 1000


def prepare(lab: Lab, table: str, source: str, targets: str | Iterable[str], sampling: Sampling) -> Setting:
    """The setting of a measurement that can be made.

    Raises ValueError for invalid values, for a target that is not a replica of the source's table, and on AWS for a
    target whose provisioned capacity is too small for the polls; raises the service's error if there is no such table.
    """
    source, chosen = checked(lab, source, targets)
    sampling.check()
    if sampling.every_ms is None and lab.shared:
        sampling = replace(sampling, every_ms=SHARED_EVERY_MS * len(chosen))
    described = describe.table(lab, table, source)
    members = _members(lab, table, source)
    setting = Setting(source, chosen, sampling, tuple(dict.fromkeys((source, *chosen, *sorted(members or ())))),
                      described)
    needed = setting.read_units_per_s
    for target in chosen:
        there = describe.table(lab, table, target)
        if members is not None and target not in members:
            raise ValueError(f"Table {table} in {target} is not a replica of the table in {source}: items that are put "
                             "there never arrive. Replicas of the table: "
                             f"{', '.join(sorted(members - {source})) or 'none'}.")
        has = there.get("ProvisionedThroughput", {}).get("ReadCapacityUnits", 0)
        if lab.backend == "aws" and 0 < has < needed:
            raise ValueError(f"Table {table} has {has} read units per second provisioned in {target}, and polling it "
                             f"needs {needed:,.0f}. Make the table on-demand (BillingMode PAY_PER_REQUEST), or poll "
                             "less often: every_ms, or --every-ms.")
    return setting


def _members(lab: Lab, table: str, source: str) -> set[str] | None:
    """The Regions of the global table; None where they cannot be found out."""
    from botocore.exceptions import ClientError

    if not lab.current_api:
        return None  # another engine has its own way of joining Regions
    try:
        return set(describe.members(lab, table, source))
    except ClientError:  # no permission to ask, or the call does not exist any more
        return None
