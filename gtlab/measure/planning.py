"""What a measurement of replication lag will send, how long it takes, and what AWS would charge: known beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gtlab import regions as catalogue
from gtlab.course import stages
from gtlab.lab import Lab
from gtlab.measure.probes import at_least, checked, description, whole

if TYPE_CHECKING:
    import pandas as pd

# Dollars a unit, on demand, in us-east-1: 0.625 and 0.125 a million since 2024-11-01. A write unit that is replicated
# costs the same, once in every Region.
PRICES = {"write": 0.625e-6, "read": 0.125e-6}
PRICES_FROM = ("on-demand prices of us-east-1 since 2024-11-01, https://aws.amazon.com/dynamodb/pricing/on-demand/; "
               "other Regions differ; data transfer is not counted")

EVERY_MS = 3.0       # between two polls, of all targets together
WARM_UP_S = 0.5      # polls before the first put: connections are opened, round trips become known
HOME_EVERY_S = 0.1   # between two reads at the source, which tell how far away it is
EXPECTED_LAG_S = 1.0  # "within a second, typically", says AWS; only for what a plan expects
MOST_AT_ONCE = 100   # keys that one BatchGetItem may ask for
_COLUMNS = ["region", "what", "requests", "requests_most", "unit", "units", "units_most", "dollars", "dollars_most"]


@dataclass(frozen=True)
class Setting:
    """How a measurement runs. ``members`` is how many Regions get each write."""

    source: str
    targets: tuple[str, ...]
    samples: int
    rate: float
    every_s: float
    timeout_s: float
    consistent: bool
    members: int

    @property
    def putting_s(self) -> float:
        return self.samples / self.rate

    @property
    def most_s(self) -> float:
        """The longest that it polls."""
        return WARM_UP_S + self.putting_s + self.timeout_s


def setting(lab: Lab, table: str, source: str, targets: str | Iterable[str], samples: int, rate: float,
            every_ms: float | None, timeout_s: float, consistent: bool) -> tuple[Setting, Mapping]:
    """A setting that can be measured, and DescribeTable's Table at the source. Raises ValueError for parts that make no
    sense, for a target whose table is none of the source's replicas, and on AWS for one whose capacity does not bear
    the polls; the service's error where there is no such table."""
    source, targets = checked(lab, source, targets)
    described = description(lab, source, table)
    if every_ms is None:
        every_ms = EVERY_MS * len(targets)
    whole(samples=samples)
    at_least(1, samples=samples, every_ms=every_ms)
    at_least(0.1, rate=rate, timeout_s=timeout_s)
    if samples >= 1_000_000 or rate > 100:
        raise ValueError(f"samples is {samples} and rate {rate:g}; at most 999,999 and 100 a second are measured.")
    others = {entry["RegionName"] for entry in described.get("Replicas", ())}
    asked = Setting(source, targets, samples, rate, every_ms / 1000, timeout_s, consistent,
                    len(others | {source, *targets}))
    needed = of(asked).attrs["read_units_per_s"]
    # Another engine joins its Regions in a way of its own.
    members = (others or _legacy_members(lab, source, table)) if lab.current_api else None
    for target in targets:
        there = description(lab, target, table)
        if members is not None and target not in members:
            raise ValueError(f"Table {table} in {target} is no replica of the one in {source}: what is put there never "
                             f"arrives. Its replicas: {', '.join(sorted(members - {source})) or 'none'}.")
        has = there.get("ProvisionedThroughput", {}).get("ReadCapacityUnits", 0)
        if lab.backend == "aws" and 0 < has < needed:
            raise ValueError(f"Table {table} has {has} read units a second provisioned in {target}, and polling it "
                             f"takes {needed:,.0f}. Make it on-demand (BillingMode PAY_PER_REQUEST), or poll less "
                             "often: every_ms, or --every-ms.")
    return asked, described


def _legacy_members(lab: Lab, region: str, table: str) -> set[str] | None:
    """The Regions of a global table of version 2017.11.29, which DescribeTable does not tell; None where nobody can."""
    from botocore.exceptions import ClientError

    try:
        return set(stages.members_of(lab, table, region))
    except ClientError:  # no right to ask, or no such call any more
        return None


def plan(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), samples: int = 20, *,
         rate: float = 10.0, every_ms: float | None = None, timeout_s: float = 30.0,
         consistent: bool = False) -> pd.DataFrame:
    """What :func:`replication_lag`, asked the same, would send. It asks for the table's descriptions, and nothing else.

    A row per Region and ``what`` is sent to it ("put", "delete", "read", "read at home"): ``requests`` as expected (a
    lag of a second) and ``requests_most``, beyond which it does not go; ``unit`` ("write" or "read"), ``units`` and
    ``units_most`` of on-demand capacity, ``dollars`` and ``dollars_most`` that AWS takes for them. ``attrs`` of the
    frame: ``seconds`` and ``seconds_most``, how long it runs; ``dollars``, ``dollars_most``, the sums; ``prices``,
    where they are from; ``requests_per_s``, ``read_units_per_s`` (per target, expected).

    Writes are counted in every Region of the table, at the source. Raises as replication_lag does.
    """
    return of(setting(lab, table, source, targets, samples, rate, every_ms, timeout_s, consistent)[0])


def of(asked: Setting) -> pd.DataFrame:
    import pandas as pd

    longest_trip_s = max(_trip_s(asked.source, target) for target in asked.targets)
    polling_s = WARM_UP_S + asked.putting_s + EXPECTED_LAG_S + longest_trip_s
    batches = -(-asked.samples // 25)
    rows = [_row(asked.source, "put", asked.samples, asked.samples, "write", asked.members, asked.members),
            _row(asked.source, "delete", batches, batches, "write",
                 asked.samples * asked.members / batches, asked.samples * asked.members / batches),
            _row(asked.source, "read at home", math.ceil(polling_s / HOME_EVERY_S),
                 math.ceil(asked.most_s / HOME_EVERY_S), "read", 0.5, 0.5)]
    each = 1.0 if asked.consistent else 0.5  # a read unit is one strongly consistent read of up to 4 KB
    most_waiting = min(MOST_AT_ONCE, asked.samples, math.ceil(asked.rate * asked.timeout_s) + 1)
    per_s = 0.0
    for target in asked.targets:
        waiting = min(most_waiting, asked.rate * (EXPECTED_LAG_S + _trip_s(asked.source, target)))
        rows.append(_row(target, "read", math.ceil(polling_s / asked.every_s), math.ceil(asked.most_s / asked.every_s),
                         "read", each * max(1.0, waiting), each * most_waiting))
        per_s = max(per_s, each * waiting / asked.every_s)
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame.attrs = {"seconds": round(polling_s, 1), "seconds_most": round(asked.most_s, 1),
                   "dollars": float(frame["dollars"].sum()), "dollars_most": float(frame["dollars_most"].sum()),
                   "prices": PRICES_FROM, "read_units_per_s": round(per_s),
                   "requests_per_s": round(len(asked.targets) / asked.every_s + asked.rate + 1 / HOME_EVERY_S)}
    return frame


def words(frame: pd.DataFrame) -> str:
    """A plan in a few lines, for people."""
    found = frame.attrs
    return (f"{frame['requests'].sum():,} requests in about {found['seconds']:.0f} s "
            f"({found['requests_per_s']:,} a second); "
            f"at most {frame['requests_most'].sum():,} in {found['seconds_most']:.0f} s.\n"
            f"On AWS: about {found['dollars']:.4f} dollars, at most {found['dollars_most']:.4f} ({found['prices']}).")


def _row(region: str, what: str, requests: int, most: int, unit: str, units_each: float,
         units_each_most: float) -> tuple:
    units, units_most = requests * units_each, most * units_each_most
    return (region, what, requests, most, unit, units, units_most, units * PRICES[unit], units_most * PRICES[unit])


def _trip_s(source: str, target: str) -> float:
    return catalogue.rtt_ms(source, target) / 1000
