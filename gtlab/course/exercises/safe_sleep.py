"""04: how long to sleep, so that a given share of the reads that follow is fresh."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function
from gtlab.course.trial import Trial, offline

if TYPE_CHECKING:
    import pandas as pd

_WANTS = "a function safe_sleep_ms(curve, share) that returns milliseconds"
_PROBES = 400
_SHARES = (0.99, 0.9)
_MOST = 1.25  # a sleep that is longer than this times the shortest one is too long


def _judge(answer: Any, setting: Setting) -> str:
    sleep = function(answer, _WANTS, "curve", "share")
    made = offline(setting.seed, setting.limit_s)
    found = []
    for share in _SHARES:
        curve = _curve(made)
        outcome = made.run(sleep, curve.copy(), share)
        check_outcome(outcome, made.limit_s, "safe_sleep_ms")
        found.append(_compare(outcome.value, curve, share))
    return (f"{found[0]:.0f} ms for {_SHARES[0]:.0%} and, on other lags, {found[1]:.0f} ms for {_SHARES[1]:.0%}: the "
            "slowest target decides, and only what has certainly arrived counts.")


def _curve(made: Trial) -> pd.DataFrame:
    """The t-visibility of two targets with random lags, as gtlab.statistics computes it from intervals."""
    import pandas as pd

    from gtlab.measure import statistics

    source, near, far = made.regions(3)
    rows = []
    targets = [(near, made.random.uniform(250, 350)), (far, made.random.uniform(420, 600))]
    made.random.shuffle(targets)
    for target, median_ms in targets:
        for _ in range(_PROBES):
            lag_ms = median_ms * math.exp(made.random.gauss(0, 0.35))
            rows.append((source, target, lag_ms - made.random.uniform(20, 60), lag_ms + made.random.uniform(20, 60),
                         0.0, 100.0, "random lags"))
    lags = pd.DataFrame(rows, columns=["source", "target", "visible_min_ms", "visible_max_ms", "put_ms", "rtt_ms",
                                       "backend"])
    return statistics.t_visibility(lags)


def _first(curve: pd.DataFrame, share: float, column: str = "certain") -> dict[str, float]:
    """By target: the first time at which a column reaches a share; infinite if it never does."""
    return {str(target): float(points.loc[points[column] >= share, "t_ms"].min()) if (points[column] >= share).any()
            else math.inf for target, points in curve.groupby("target")}


def _compare(value: Any, curve: pd.DataFrame, share: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value):
        if value is None:
            raise Wrong("returns-none", "Your function returned nothing. Does it end with return?")
        if hasattr(value, "index") and hasattr(value, "iloc"):
            raise Wrong("series", "Your function returned a whole series: a time for each target or point. One sleep "
                                  "has to be long enough for all targets.")
        raise Wrong("wrong-type", f"Your function returned {described(value)}. Wanted: {_WANTS}.")
    value = float(value)
    needed = _first(curve, share)
    shortest = max(needed.values())
    until = value + _step(curve)  # a time between two points, as interpolation finds it, is right, too
    fresh = {str(target): float(points.loc[points["t_ms"] < until, "certain"].max() or 0.0)
             if (points["t_ms"] < until).any() else 0.0 for target, points in curve.groupby("target")}
    shown = ", ".join(f"{target}: {part:.1%}" for target, part in fresh.items())
    evidence = f"after {value:.0f} ms of sleep, fresh reads in {shown}; wanted: {share:.0%}"
    if min(fresh.values()) >= share:
        certain_of_all = max(_first(curve, share, "low").values())
        most = _MOST * shortest if math.isinf(certain_of_all) else max(_MOST * shortest, certain_of_all)
        if value > most + 1e-6:
            raise Wrong("too-long", f"{value:.0f} ms is longer than {share:.0%} needs. Does your function use the "
                                    "share? The slowest of all writes says nothing about 99 % or 90 % of "
                                    "them.", evidence)
        return value
    raise _too_short(value, curve, share, evidence)


def _step(curve: pd.DataFrame) -> float:
    """The distance of two points of a curve, in milliseconds."""
    return float(curve["t_ms"].max()) / (curve["t_ms"].nunique() - 1) + 1e-6


def _too_short(value: float, curve: pd.DataFrame, share: float, evidence: str) -> Wrong:
    needed, possible = _first(curve, share), _first(curve, share, "possible")
    step = _step(curve)

    def near(other: float) -> bool:
        return abs(value - other) <= 1.5 * step

    if near(max(needed.values()) / 1000) or value < 10:
        return Wrong("seconds", "That is very short. The curve's times are in milliseconds; return milliseconds too.",
                     evidence)
    halves = _first(curve, 0.5)
    if any(near(each) for each in halves.values()) or near(sum(halves.values()) / len(halves)):
        return Wrong("median", "That is about the median: half of the writes need longer. And medians whose intervals "
                               "overlap do not even say which target is slower.", evidence)
    if near(max(possible.values())):
        return Wrong("possible", "By then the writes have possibly arrived. The lag is an interval; a promise "
                                 "needs the share that has certainly arrived.", evidence)
    if near(min(needed.values())):
        return Wrong("one-target", "That is enough for one target, but not for the other one. A sleep has to be long "
                                   "enough for the slowest target.", evidence)
    if near(sum(needed.values()) / len(needed)):
        return Wrong("average", "An average over the targets is too short for the slower one of them.", evidence)
    return Wrong("too-short", "With this sleep, more reads are stale than allowed.", evidence)


EXERCISE = Exercise(
    "04-safe-sleep", "How long must a sleep be?", _WANTS,
    hints=(
        "Which column of the curve says what share of the writes a read is sure to see after t_ms? And how many "
        "targets does a sleep have to be long enough for?",
        "For each target, look for the first t_ms at which the column certain reaches the share. That is one time for "
        "each target; a sleep has to be long enough for all of them.",
        'enough = curve[curve["certain"] >= share]; enough.groupby("target")["t_ms"].min().max().'),
    judge=_judge, place="random lags")
