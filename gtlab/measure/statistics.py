"""What measured replication lags say about all writes, not only the probes.

A measured lag is an interval, and every function here treats it as one: the middle is not taken for the lag. ``low``
and ``high`` name the columns with the bounds (milliseconds); the default is the refined bounds of
:func:`gtlab.measure.replication_lag`. If ``high`` is missing, the probe was not seen: its lag is above ``low``. The
functions treat the rows as independent samples of one distribution; the caller must judge whether they are.

scipy does the mathematics. It is imported when a function is called; scipy.stats, which takes longest, only for fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gtlab import intervals

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_PAIR = ["source", "target"]
_FEWEST = 3    # a shifted log-normal has three parameters; a fit to so few probes says little
_GOODNESS_RUNS = 999
_FITTED = ("log-normal", "shifted log-normal")
_POINTS = 200  # of a curve, if no times are given
_SEED = 1      # the same data give the same figures


def percentiles(lags: pd.DataFrame, at: Iterable[float] = (50, 90, 99), *, level: float = 0.95,
                low: str = "lag_min_ms", high: str = "lag_max_ms") -> pd.DataFrame:
    """Percentiles of the lag, with confidence intervals that do not depend on its distribution.

    A row per source, target and percentile: ``source``, ``target``, ``probes``, ``percentile``; ``low_ms`` and
    ``high_ms``, the bounds of this percentile of the probes; ``ci_low_ms`` and ``ci_high_ms``, the bounds of this
    percentile of all writes, with a confidence of at least ``level``; ``backend``. All bounds are in milliseconds.

    ``low_ms`` and ``high_ms`` are those of :func:`gtlab.intervals.percentile`. The confidence interval is the binomial
    one, between order statistics: its lower end comes from the lower ends of the measured intervals, its upper end from
    their upper ends. ``inf`` in ``ci_high_ms`` means that there are too few
    probes for an upper bound (the 99th percentile at 95 % needs 299). A bound that depends on a probe that was not seen
    is ``inf``, too.

    Raises ValueError for a missing column, for a frame without rows, for a percentile that is not between 0 and 100,
    and for a level that is not between 0 and 1.
    """
    import numpy as np
    import pandas as pd

    asked = list(at)
    shares = [percentile / 100 for percentile in asked]
    if not all(0 < share < 1 for share in shares):
        raise ValueError(f"Percentiles must be between 0 and 100; you gave {asked}.")
    _check_level(level)
    rows = []
    for pair, lows, highs, backend in _groups(lags, low, high):
        lows, highs = np.sort(lows), np.sort(highs)
        for share in shares:
            rank = intervals.rank(len(lows), share)
            below, above = _between(len(lows), share, level)
            rows.append((*pair, len(lows), share * 100, lows[rank], highs[rank], 0.0 if below < 0 else lows[below],
                         math.inf if above == len(highs) else highs[above], backend))
    return pd.DataFrame(rows, columns=[*_PAIR, "probes", "percentile", "low_ms", "high_ms", "ci_low_ms", "ci_high_ms",
                                       "backend"])


def _between(count: int, share: float, level: float) -> tuple[int, int]:
    """The indexes of the two order statistics, from 0, between which a quantile is with this confidence: -1 and
    ``count`` if there is none on that side. (The binomial test's, as in scipy.stats.quantile_test.)"""
    import numpy as np
    from scipy import special

    each, rest = np.arange(count + 1), (1 - level) / 2
    below = int(np.argmax(special.bdtr(each, count, share) >= rest)) - 1
    above = int(np.argmax(special.bdtrc(each, count, share) <= rest))
    return below, above


def fit(lags: pd.DataFrame, *, low: str = "lag_min_ms", high: str = "lag_max_ms") -> pd.DataFrame:
    """A log-normal and a shifted log-normal distribution, fitted to the intervals by maximum likelihood.

    A row per source, target and ``distribution`` ("log-normal", "shifted log-normal"):

    - ``source``, ``target``, ``probes``
    - ``shift_ms``: the lower limit of the lag (0 for the log-normal); ``median_ms``: the median, including the shift;
      ``sigma``: the standard deviation of the logarithm of the lag above the shift
    - ``aic``: Akaike's information criterion; the fit with the smaller value is better
    - ``distance``: the largest distance of the fitted curve from the band between the share that had certainly arrived
      and the share that had possibly arrived (0 to 1)
    - ``p_value`` of the Anderson-Darling test of the middles of the intervals, by simulation: a small value, such as
      one below 0.05, means that the lags do not have this distribution. The test treats the shift as known, which
      favours the shifted distribution. Missing if a probe was not seen
    - ``backend``

    All figures of a target are missing if fewer than three probes were seen, or if one lag fits all intervals: the
    distribution cannot be estimated then.

    Raises ValueError as :func:`percentiles` does, and for fewer than three probes.
    """
    import numpy as np
    import pandas as pd

    rows = []
    for pair, lows, highs, backend in _groups(lags, low, high):
        if len(lows) < _FEWEST:
            raise ValueError(f"{len(lows)} probes are too few to fit a distribution; at least {_FEWEST} are needed.")
        if np.isfinite(highs).sum() < _FEWEST or lows.max() <= highs.min():
            rows += [(*pair, len(lows), name, *[math.nan] * 6, backend) for name in _FITTED]
            continue
        from scipy import stats

        with np.errstate(divide="ignore", invalid="ignore"):  # the search also tries impossible values
            data = _censored(lows, highs)
            plain = stats.lognorm.fit(data, floc=0)
            shifted = _shifted(data, lows, highs, plain)
        for name, found in zip(_FITTED, (plain, shifted), strict=True):
            sigma, shift, scale = map(float, found)
            parameters = 2 if name == "log-normal" else 3
            rows.append((*pair, len(lows), name, shift, shift + scale, sigma,
                         2 * parameters + 2 * _unlikely(found, lows, highs), _distance(found, lows, highs),
                         _p_value(lows, highs, shift), backend))
    return pd.DataFrame(rows, columns=[*_PAIR, "probes", "distribution", "shift_ms", "median_ms", "sigma", "aic",
                                       "distance", "p_value", "backend"])


def plain_fit(lags: pd.DataFrame) -> tuple[float, float] | None:
    """Median (milliseconds) and sigma of the log-normal of :func:`fit`, for lags of one source and target; None if it
    cannot be estimated. Faster than :func:`fit`, which also judges the fit. Raises ValueError as :func:`fit` does."""
    import numpy as np

    ((_, lows, highs, _),) = _groups(lags, "lag_min_ms", "lag_max_ms")
    if len(lows) < _FEWEST or np.isfinite(highs).sum() < _FEWEST or lows.max() <= highs.min():
        return None
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        sigma, _, scale = stats.lognorm.fit(_censored(lows, highs), floc=0)
    return float(scale), float(sigma)


def t_visibility(lags: pd.DataFrame, t_ms: Iterable[float] = (), *, level: float = 0.95) -> pd.DataFrame:
    """The chance that a read sees a write t milliseconds after the write was acknowledged (t-visibility: Bailis and
    others, "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012).

    ``lags`` is the data frame of :func:`gtlab.measure.replication_lag`. A row per source, target and t: ``source``,
    ``target``, ``t_ms``; ``certain`` and ``possible``, the shares of the probes that had certainly and possibly become
    visible (0 to 1); ``given_up``, the share of the probes that may have become visible but were no longer polled for;
    ``low`` and ``high``, the confidence band of the chance for any write, with a confidence of ``level`` at each t
    separately (the Clopper-Pearson intervals of both shares); ``distance_ms``, half a round trip to the target;
    ``backend``. Without ``t_ms`` the curve has 200 points and ends when all probes that were seen had arrived.

    t is the time from when the writer received the acknowledgement until the read is served at the target. A read that
    is *sent* from where the measurement ran is served ``distance_ms`` later: add this to the time at which you send it.

    Raises ValueError as :func:`percentiles` does, and for a time that is not a finite number.
    """
    import numpy as np
    import pandas as pd
    from scipy import special

    _check_level(level)
    _need(lags, *_PAIR, "visible_min_ms", "visible_max_ms", "put_ms", "rtt_ms")
    since = lags.assign(_low=lags["visible_min_ms"] - lags["put_ms"], _high=lags["visible_max_ms"] - lags["put_ms"])
    asked = np.array(sorted(t_ms), dtype=float)
    if not np.isfinite(asked).all():
        raise ValueError(f"t_ms must be finite times in milliseconds; you gave {asked.tolist()}.")
    if not len(asked):
        last = np.nanmax(since[["_low", "_high"]].to_numpy())
        asked = np.linspace(0.0, max(1.0, 1.05 * float(last)), _POINTS)
    rows = []
    for pair, lows, highs, backend in _groups(since, "_low", "_high"):
        count = len(lows)
        distance = float(since.loc[(since[_PAIR] == list(pair)).all(axis="columns"), "rtt_ms"].median()) / 2
        possible = np.searchsorted(np.sort(lows), asked, side="right")
        certain = np.searchsorted(np.sort(highs), asked, side="right")
        given_up = np.searchsorted(np.sort(lows[np.isinf(highs)]), asked, side="right")
        # Clopper-Pearson limits; 0 if no probe, and 1 if every probe, has become visible.
        below = np.where(certain == 0, 0.0, special.betaincinv(
            np.maximum(certain, 1), count - certain + 1, (1 - level) / 2))
        above = np.where(possible == count, 1.0, special.betaincinv(
            possible + 1, np.maximum(count - possible, 1), (1 + level) / 2))
        rows += [(*pair, *point, distance, backend) for point in zip(
            asked.tolist(), (certain / count).tolist(), (possible / count).tolist(), (given_up / count).tolist(),
            below.tolist(), above.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=[*_PAIR, "t_ms", "certain", "possible", "given_up", "low", "high", "distance_ms",
                                       "backend"])


def _groups(lags: pd.DataFrame, low: str, high: str) -> Iterator[tuple[tuple[str, str], np.ndarray, np.ndarray, str]]:
    """For each source and target: the pair, the lower and the upper ends of the intervals, the backend."""
    _need(lags, *_PAIR, low, high)
    for pair, found in lags.groupby(_PAIR, sort=False):
        known = found[found[low].notna()]  # an interval without a lower end contains no information
        if known.empty:
            raise ValueError(f"No interval of {pair[1]} has a lower end in {low!r}.")
        lows, highs = known[low].to_numpy(dtype=float), known[high].fillna(math.inf).to_numpy(dtype=float)
        yield ((str(pair[0]), str(pair[1])), lows, highs,
               str(found["backend"].iloc[0]) if "backend" in found.columns else "")


def _need(lags: pd.DataFrame, *columns: str) -> None:
    lacking = [column for column in columns if column not in lags.columns]
    if lacking:
        raise ValueError(f"The data frame lacks the column {lacking[0]!r}. Use the data frame that "
                         "gtlab.measure.replication_lag() returns.")
    if lags.empty:
        raise ValueError("The data frame has no rows.")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must be between 0 and 1, such as 0.95.")


def _censored(lows: np.ndarray, highs: np.ndarray) -> Any:
    import numpy as np
    from scipy import stats

    seen = np.isfinite(highs)
    # For a log-normal, values up to 0 and intervals of zero width have the probability 0.
    floor = np.maximum(lows, 1e-6)
    return stats.CensoredData(interval=np.column_stack([floor[seen], np.maximum(highs[seen], floor[seen] + 1e-6)]),
                              right=floor[~seen])


def _shifted(data: Any, lows: np.ndarray, highs: np.ndarray, plain: Sequence[float]) -> tuple[float, ...]:
    """The best of several fits that start at different shifts, because the likelihood has several local maxima."""
    from scipy import stats

    best, least = tuple(plain), _unlikely(plain, lows, highs)
    for part in (0.25, 0.5, 0.75, 0.9):
        shift = part * float(lows.min())
        rest = (lows - shift)[lows > shift]
        if not len(rest):
            continue
        found = stats.lognorm.fit(data, float(plain[0]), loc=shift, scale=float(sorted(rest)[len(rest) // 2]))
        value = _unlikely(found, lows, highs)
        if 0 <= found[1] < highs.min() and value < least:  # a lag is never negative
            best, least = tuple(found), value
    return best


def _unlikely(found: Sequence[float], lows: np.ndarray, highs: np.ndarray) -> float:
    """The negative log-likelihood of the intervals."""
    import numpy as np
    from scipy import stats

    chances = stats.lognorm.cdf(highs, *found) - stats.lognorm.cdf(lows, *found)
    return float(-np.log(np.maximum(chances, np.finfo(float).tiny)).sum())


def _distance(found: Sequence[float], lows: np.ndarray, highs: np.ndarray) -> float:
    """The largest distance of the curve from the band, at the ends of the intervals, where the band has its steps."""
    import numpy as np
    from scipy import stats

    lows, highs = np.sort(lows), np.sort(highs)
    ends = np.unique(np.concatenate([lows, highs[np.isfinite(highs)]]))
    curve = stats.lognorm.cdf(ends, *found)
    # The curve is compared with both sides of a step.
    below = np.searchsorted(highs, ends, side="right") / len(lows) - curve
    above = curve - np.searchsorted(lows, ends, side="left") / len(lows)
    return float(max(0.0, below.max(), above.max()))


def _p_value(lows: np.ndarray, highs: np.ndarray, shift: float) -> float:
    import numpy as np
    from scipy import stats

    rest = (lows + highs) / 2 - shift
    if not np.isfinite(rest).all() or rest.min() <= 0:
        return math.nan
    return float(stats.goodness_of_fit(stats.norm, np.log(rest), statistic="ad", n_mc_samples=_GOODNESS_RUNS,
                                       rng=np.random.default_rng(_SEED)).pvalue)
