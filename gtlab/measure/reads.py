"""What reads prove about the moment at which an item became visible. Pure: times go in, bounds come out.

A read that was sent at s and answered at r was served somewhere between. Nothing else is certain; bounds from that
alone are called *hard*. They are at least a round trip wide.

*Refined* bounds place each read on its path, as NTP places its samples. m is the best round trip of its time: the
smallest of the reads around it, or what that typically is for a while, if less. Where the paths there and back take
equally long at their best, each takes half of m, and what a read took beyond m may have been lost on either side: it
was served between s + m/2 and r - m/2.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# A path changes with time (routes, load), so a read is judged by its neighbours. Few of them: narrow bounds that trust
# each read's symmetry; many: the bounds widen. NTP takes the best of 8.
NEIGHBOURS = 32
# A machine that is busy for a moment holds up all of a read's neighbours, and on one side only. So their best counts as
# no longer than the median of the bests of so many reads around. Of 2,700 probes between Singapore and Virginia, some
# on a machine that was kept busy, that held the truth in all, with intervals 5 % narrower than the best of 64 alone.
TYPICAL = 1024

# So much of the smallest round trip may be the service's work and the client's own, before or after the read is served.
SERVICE_S = 0.002


class Read(NamedTuple):
    """One answered read of several probes, times in seconds of one monotonic clock. A probe that it could not tell
    about (UnprocessedKeys) is in neither set."""

    sent: float
    answered: float
    saw: frozenset[int]
    missed: frozenset[int]


class Bounds(NamedTuple):
    """When something happened: not before ``low``, not after ``high``. Infinite where nothing is known."""

    low: float
    high: float


class Seen(NamedTuple):
    """``reads`` could tell about the probe; ``missed_again`` of them missed it though they were sent after another
    had seen it and answered. ``symmetric``: refined bounds could be had; else they are the hard ones."""

    hard: Bounds
    refined: Bounds
    reads: int
    missed_again: int
    symmetric: bool


def seen(reads: Iterable[Read]) -> dict[int, Seen]:
    """What the reads of one Region prove of each probe."""
    ordered = sorted(reads, key=lambda read: read.sent)
    trips = best_around([read.answered - read.sent for read in ordered])
    # Per probe: (hard, refined) earliest service of each read that missed, latest service of each that saw.
    missed: dict[int, list[tuple[float, float]]] = {}
    saw: dict[int, list[tuple[float, float]]] = {}
    for read, trip in zip(ordered, trips, strict=True):
        way = one_way(trip)
        for probe in read.missed:
            missed.setdefault(probe, []).append((read.sent, read.sent + way))
        for probe in read.saw:
            saw.setdefault(probe, []).append((read.answered, read.answered - way))
    return {probe: _judged(missed.get(probe, []), saw.get(probe, [])) for probe in sorted(missed.keys() | saw.keys())}


def one_way(trip: float) -> float:
    """The least that one direction takes, of a smallest round trip, if both take equally long."""
    return max(0.0, trip - SERVICE_S) / 2


def best_around(trips: Sequence[float]) -> list[float]:
    """For each of successive round trips the best of its time."""
    import pandas as pd

    best = pd.Series(trips, dtype=float).rolling(NEIGHBOURS, center=True, min_periods=1).min()
    typical = best.rolling(TYPICAL, center=True, min_periods=1).median()
    return list(best.where(best < typical, typical))


def best_at(moments: Iterable[float], reads: Iterable[Read]) -> list[float]:
    """The best round trip of the time around each moment; 0 where nothing was read."""
    ordered = sorted(reads, key=lambda read: read.sent)
    sent, trips = [read.sent for read in ordered], best_around([read.answered - read.sent for read in ordered])
    return [trips[min(bisect.bisect(sent, moment), len(trips) - 1)] if trips else 0.0 for moment in moments]


def _judged(missed: list[tuple[float, float]], saw: list[tuple[float, float]]) -> Seen:
    hard, again = _between([early for early, _ in missed], [late for late, _ in saw])
    refined, contradictions = _between([early for _, early in missed], [late for _, late in saw])
    # Reads that contradict one another on their supposed places show that the supposition was wrong.
    symmetric = not contradictions
    return Seen(hard, refined if symmetric else hard, len(missed) + len(saw), again, symmetric)


def _between(missed: list[float], saw: list[float]) -> tuple[Bounds, int]:
    """Bounds, and how many reads missed what another had seen for certain before.

    Eventually consistent reads may do that: nodes of a Region learn of a write one by one. Then the bounds hold all of
    it, from the last read that missed before anybody had seen the item to the first that saw it after nobody missed it
    any more.
    """
    first = min(saw, default=math.inf)
    again = [time for time in missed if time > first]
    low = max((time for time in missed if time <= first), default=-math.inf)
    high = min((time for time in saw if time >= max(again)), default=math.inf) if again else first
    return Bounds(low, high), len(again)
