"""Percentiles of measured times that are intervals. One definition for every table and every chart.

A measured time lies between a lower and an upper bound. A percentile of such times is therefore an interval, too: its
lower bound is the percentile of the lower bounds, its upper bound that of the upper bounds. Whatever the true times
within their intervals are, their percentile lies in it. Both use the nearest rank, the ``ceil(share * n)``-th smallest
value: a bound of one of the times, never a mean of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Interval(NamedTuple):
    """A time between two bounds, in the unit of the times that it comes from. ``high`` is ``inf`` if there is no upper
    bound."""

    low: float
    high: float


def percentile(lows: Iterable[float], highs: Iterable[float], share: float) -> Interval:
    """The percentile of times between ``lows`` and ``highs``. ``share`` is between 0 and 1: 0.5 for the median.

    A missing upper bound counts as infinite: the event was not seen. Times whose lower bound is missing are left out,
    because nothing is known about them. Raises ValueError if no time is left, or if ``share`` is not between 0 and 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it must be above 0 and at most 1, such as 0.5 for the median.")
    known = [(low, math.inf if high is None or math.isnan(high) else high)
             for low, high in zip(lows, highs, strict=True) if low is not None and not math.isnan(low)]
    if not known:
        raise ValueError("There is no percentile: no time has a lower bound.")
    place = rank(len(known), share)
    return Interval(sorted(low for low, _ in known)[place], sorted(high for _, high in known)[place])


def median(times: Iterable[float]) -> float:
    """The median of exact times, by the same definition. Missing times are left out; NaN if none is left."""
    known = [time for time in times if not math.isnan(time)]
    return percentile(known, known, 0.5).low if known else math.nan


def rank(count: int, share: float) -> int:
    """The position (from 0) of a percentile among ``count`` sorted values: the nearest rank."""
    # The subtraction undoes the rounding error of shares such as 0.07.
    return max(0, math.ceil(share * count - 1e-9) - 1)
