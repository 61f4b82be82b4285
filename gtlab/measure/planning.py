"""What a measurement of replication lag will send, how long it takes, and what AWS would charge for it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from gtlab import prices
from gtlab.lab import Lab
from gtlab.measure.sampling import HOME_EVERY_S, Sampling, Setting, prepare

if TYPE_CHECKING:
    import pandas as pd

# US dollars per unit, on demand, in us-east-1. A replicated write unit costs the same and is charged in every Region.
_VIRGINIA = prices.of("us-east-1")
PRICES = {"write": _VIRGINIA.write, "read": _VIRGINIA.read}
STORAGE = _VIRGINIA.storage  # US dollars for a GB during a month, after the first 25 GB; in us-east-1
PRICES_FROM = ("on-demand prices of us-east-1 since 2024-11-01, https://aws.amazon.com/dynamodb/pricing/on-demand/; "
               "other Regions differ; data transfer is not included")
_COLUMNS = ["region", "what", "requests", "requests_most", "unit", "units", "units_most", "dollars", "dollars_most"]


class Amount(NamedTuple):
    """An expected value, and the most that is possible."""

    expected: float
    most: float


def plan(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), samples: int = 20, *,
         rate: float = 10.0, every_ms: float | None = None, timeout_s: float = 30.0,
         consistent: bool = False) -> pd.DataFrame:
    """What :func:`replication_lag` would send if it were called with the same arguments. Only descriptions of the table
    are requested.

    A row per Region and kind of request (``what``: "put", "delete", "read", "read at home"): ``requests`` expected (for
    a lag of one second) and ``requests_most``, the upper limit; ``unit`` ("write" or "read"); ``units`` and
    ``units_most`` of on-demand capacity; ``dollars`` and ``dollars_most``, what AWS charges for them. ``attrs`` of the
    frame: ``seconds`` and ``seconds_most``, how long the measurement takes; ``dollars`` and ``dollars_most``, the sums;
    ``prices``, which prices these are, and for which Regions only an upper bound is known (:mod:`gtlab.prices`);
    ``requests_per_s``; ``read_units_per_s`` (per target, expected).

    A write is charged in every Region of the table, at the price there; all of that is in the rows of the source.
    Raises the errors of :func:`replication_lag`.
    """
    return of(prepare(lab, table, source, targets, Sampling(samples, rate, every_ms, timeout_s, consistent)))


def of(setting: Setting) -> pd.DataFrame:
    """The plan of a measurement; the data frame is the one of :func:`plan`."""
    import pandas as pd

    sampling, source = setting.sampling, setting.source
    puts, batches = Amount(sampling.samples, sampling.samples), -(-sampling.samples // 25)
    written = len(setting.written)
    deleted = sampling.samples * written / batches  # units per request, as written
    write = sum(prices.of(region).write for region in setting.written) / written  # on average, per unit
    rows = [_row(source, "put", write, puts, Amount(written, written)),
            _row(source, "delete", write, Amount(batches, batches), Amount(deleted, deleted)),
            _row(source, "read at home", None, _polls(setting, HOME_EVERY_S), Amount(0.5, 0.5))]
    rows += [_row(target, "read", None, _polls(setting, setting.every_s),
                  Amount(setting.read_units * max(1.0, setting.awaited(target)),
                         setting.read_units * setting.most_awaited)) for target in setting.targets]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame.attrs = {"seconds": round(setting.expected_s, 1), "seconds_most": round(setting.most_s, 1),
                   "dollars": float(frame["dollars"].sum()), "dollars_most": float(frame["dollars_most"].sum()),
                   "prices": prices.words(setting.written), "read_units_per_s": round(setting.read_units_per_s),
                   "requests_per_s": round(len(setting.targets) / setting.every_s + sampling.rate + 1 / HOME_EVERY_S)}
    return frame


def words(frame: pd.DataFrame) -> str:
    """A plan as two lines of text."""
    found = frame.attrs
    return (f"{frame['requests'].sum():,} requests in about {found['seconds']:.0f} s "
            f"({found['requests_per_s']:,} per second); "
            f"at most {frame['requests_most'].sum():,} in {found['seconds_most']:.0f} s.\n"
            f"On AWS: about {found['dollars']:.4f} dollars, at most {found['dollars_most']:.4f} ({found['prices']}).")


def _polls(setting: Setting, every_s: float) -> Amount:
    return Amount(math.ceil(setting.expected_s / every_s), math.ceil(setting.most_s / every_s))


def _row(region: str, what: str, write: float | None, requests: Amount,
         units_each: Amount) -> tuple[str | float, ...]:
    """``write``: what a write unit costs; None for reads, which cost what they do in the Region."""
    units, units_most = requests.expected * units_each.expected, requests.most * units_each.most
    unit, price = ("read", prices.of(region).read) if write is None else ("write", write)
    return (region, what, requests.expected, requests.most, unit, units, units_most, units * price, units_most * price)
