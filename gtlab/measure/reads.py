"""What reads prove about the time at which an item became visible. Pure functions: times in, bounds out.

A read that was sent at s and answered at r was served between s and r. Nothing else is certain. Bounds that use only
this are called *hard*; they are at least one round trip wide.

*Refined* bounds estimate when each read was served, as NTP does with its samples. Let m be the best round trip around
that time: the smallest of the neighbouring reads, or the typical smallest one over a longer period if that is less. If
the paths there and back are equally fast at their best, each takes m/2. The rest of a read's time may have been spent
in either direction, so the read was served between s + m/2 and r - m/2.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# A path changes with time (routes, load), so a read is compared with its neighbours. Few neighbours give narrow bounds
# that depend on the symmetry of each read, many give wide ones. NTP takes the best of 8.
NEIGHBOURS = 32
# A busy machine delays all neighbours of a read for a moment, and in one direction only. So the best round trip is at
# most the median of the best ones of this many reads around. For 2,700 probes between Singapore and Virginia, some of
# them on a busy machine, every interval contained the true value, and the intervals were 5 % narrower than with the
# best of 64 alone.
TYPICAL = 1024

# Up to this part of the smallest round trip may be work of the service and the client, before or after the read is
# served.
SERVICE_S = 0.002


class Read(NamedTuple):
    """One answered read of several probes; times are seconds of the monotonic clock. A probe that the answer did not
    cover (UnprocessedKeys) is in neither set."""

    sent: float
    answered: float
    saw: frozenset[int]
    missed: frozenset[int]


class Bounds(NamedTuple):
    """Something happened between ``low`` and ``high`` (seconds); infinite where a bound is not known."""

    low: float
    high: float


class Seen(NamedTuple):
    """When a probe became visible, from ``reads`` reads. ``missed_again`` of them missed it although they were sent
    after a read that had seen it was answered. If ``symmetric`` is false, the reads contradict the refined bounds, and
    ``refined`` equals ``hard``."""

    hard: Bounds
    refined: Bounds
    reads: int
    missed_again: int
    symmetric: bool


def seen(reads: Iterable[Read]) -> dict[int, Seen]:
    """What the reads of one Region prove about each probe."""
    ordered = sorted(reads, key=lambda read: read.sent)
    trips = best_around([read.answered - read.sent for read in ordered])
    # For each probe the hard and the refined bound of when a read was served: the earliest for a read that missed it,
    # the latest for a read that saw it.
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
    """The shortest time of one direction of the smallest round trip, if both directions are equally fast (seconds)."""
    return max(0.0, trip - SERVICE_S) / 2


def best_around(trips: Sequence[float]) -> list[float]:
    """For each round trip in a series, the best one around its time."""
    import pandas as pd

    best = pd.Series(trips, dtype=float).rolling(NEIGHBOURS, center=True, min_periods=1).min()
    typical = best.rolling(TYPICAL, center=True, min_periods=1).median()
    return list(best.where(best < typical, typical))


def best_at(moments: Iterable[float], reads: Iterable[Read]) -> list[float]:
    """The best round trip around each moment, in seconds; 0 if there are no reads."""
    ordered = sorted(reads, key=lambda read: read.sent)
    sent, trips = [read.sent for read in ordered], best_around([read.answered - read.sent for read in ordered])
    return [trips[min(bisect.bisect(sent, moment), len(trips) - 1)] if trips else 0.0 for moment in moments]


def _judged(missed: list[tuple[float, float]], saw: list[tuple[float, float]]) -> Seen:
    hard, again = _between([early for early, _ in missed], [late for late, _ in saw])
    refined, contradictions = _between([early for _, early in missed], [late for _, late in saw])
    # If reads contradict one another under the assumption of symmetric paths, the assumption was wrong.
    symmetric = not contradictions
    return Seen(hard, refined if symmetric else hard, len(missed) + len(saw), again, symmetric)


def _between(missed: list[float], saw: list[float]) -> tuple[Bounds, int]:
    """The bounds, and how many reads missed an item that another read had certainly seen before.

    Eventually consistent reads may do this, because the nodes of a Region receive a write one after another. The bounds
    then cover the whole period: from the last miss before the item was first seen to the first read that saw it after
    the last miss.
    """
    first = min(saw, default=math.inf)
    again = [time for time in missed if time > first]
    low = max((time for time in missed if time <= first), default=-math.inf)
    high = min((time for time in saw if time >= max(again)), default=math.inf) if again else first
    return Bounds(low, high), len(again)
