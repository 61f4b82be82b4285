"""What measured replication lags say of all writes, beyond those that were probed.

A measured lag is an interval, and every function here takes it as one: nothing is put in its middle. The columns that
hold the intervals are named by ``low`` and ``high``, milliseconds; the refined ones of
:func:`gtlab.measure.replication_lag` by default. A missing ``high`` is a probe that was not seen: later than ``low``.
The rows are taken as independent draws from one distribution; that is the caller's to judge.

scipy does the mathematics; it is imported when a function is called.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_PAIR = ["source", "target"]
_FEWEST = 3    # as many as a shifted log-normal has parameters; what so few say is little
_GOODNESS_RUNS = 999
_FITTED = ("log-normal", "shifted log-normal")
_POINTS = 200  # of a curve, where no times are asked for
_SEED = 1      # the same data, the same figures


def percentiles(lags: pd.DataFrame, at: Iterable[float] = (50, 90, 99), *, level: float = 0.95,
                low: str = "lag_min_ms", high: str = "lag_max_ms") -> pd.DataFrame:
    """Percentiles of the lag, with confidence intervals that assume nothing of its distribution.

    A row per source, target and percentile: ``source``, ``target``, ``probes``, ``percentile``; ``low_ms`` and
    ``high_ms``, between which the percentile of these probes lies; ``ci_low_ms``, ``ci_high_ms``, between which that
    of all writes lies with a confidence of ``level`` at least; ``backend``.

    The confidence interval is the binomial one, between order statistics: the lower from the intervals' lower ends, the
    upper from their upper ends. ``ci_high_ms`` is infinite where there are too few probes to tell (299 for the 99th
    percentile at 95 %), and so is what depends on probes that were not seen. Raises ValueError for columns that are not
    there, a percentile or a level that is none, and a frame without rows.
    """
    import numpy as np
    import pandas as pd
    from scipy import stats

    shares = [percentile / 100 for percentile in at]
    if not all(0 < share < 1 for share in shares):
        raise ValueError(f"Percentiles lie between 0 and 100; these were asked for: {list(at)}.")
    _check_level(level)
    rows = []
    for pair, lows, highs, backend in _groups(lags, low, high):
        lows, highs = np.sort(lows), np.sort(highs)
        for share in shares:
            rank = max(0, math.ceil(share * len(lows) - 1e-9) - 1)
            below = stats.quantile_test(lows, p=share).confidence_interval(level).low
            above = stats.quantile_test(highs, p=share).confidence_interval(level).high
            rows.append((*pair, len(lows), share * 100, lows[rank], highs[rank], 0.0 if math.isnan(below) else below,
                         math.inf if math.isnan(above) else above, backend))
    return pd.DataFrame(rows, columns=[*_PAIR, "probes", "percentile", "low_ms", "high_ms", "ci_low_ms", "ci_high_ms",
                                       "backend"])


def fit(lags: pd.DataFrame, *, low: str = "lag_min_ms", high: str = "lag_max_ms") -> pd.DataFrame:
    """A log-normal distribution, plain and shifted, fitted by maximum likelihood of the intervals.

    A row per source, target and ``distribution`` ("log-normal", "shifted log-normal"): ``source``, ``target``,
    ``probes``; ``shift_ms`` (0 for the plain one; what no lag is below), ``median_ms`` (the shift included), ``sigma``
    (of the logarithm of what is above the shift); ``aic``, Akaike's criterion: of two fits the smaller is the better
    one; ``distance``, how far the fitted curve leaves the band between the shares that have certainly and that have
    possibly arrived, at its worst (0 to 1); ``p_value`` of the Anderson-Darling test of the intervals' middles, by
    simulation: a small one, below 0.05 say, means that lags are not distributed so. It takes the shift as known, and so
    flatters the shifted one. Missing where a probe was not seen. ``backend``. All figures of a target are missing where
    fewer than three probes were seen, or where one and the same lag would fit all intervals: nothing can be told then.

    Raises ValueError as :func:`percentiles` does, and for fewer than three probes.
    """
    import numpy as np
    import pandas as pd
    from scipy import stats

    rows = []
    for pair, lows, highs, backend in _groups(lags, low, high):
        if len(lows) < _FEWEST:
            raise ValueError(f"{len(lows)} probes are too few to fit a distribution; {_FEWEST} at least.")
        if np.isfinite(highs).sum() < _FEWEST or lows.max() <= highs.min():
            rows += [(*pair, len(lows), name, *[math.nan] * 6, backend) for name in _FITTED]
            continue
        with np.errstate(divide="ignore", invalid="ignore"):  # the search tries what is impossible, too
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


def t_visibility(lags: pd.DataFrame, t_ms: Iterable[float] = (), *, level: float = 0.95) -> pd.DataFrame:
    """The chance that a read sees a write, t milliseconds after the write was acknowledged (t-visibility: Bailis and
    others, "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012).

    ``lags`` is as :func:`gtlab.measure.replication_lag` gives it. A row per source, target and t: ``source``,
    ``target``, ``t_ms``; ``certain`` and ``possible``, the shares of the probes that had certainly, and possibly,
    become visible (0 to 1); ``given_up``, the share of those that may have, but were not looked for any more;
    ``low`` and ``high``, the band in which the chance of any write lies with a confidence of ``level``, at each t by
    itself (Clopper and Pearson's, around both shares); ``distance_ms``, half a round trip to the target; ``backend``.
    Without ``t_ms`` the curve has some 200 points, to where all that were seen had arrived.

    t is counted from the acknowledgement's arrival at the writer to the moment at which the read is served at the
    target. A read that is *sent* from where the measurement was made is served ``distance_ms`` later: add it to the
    read's age. Raises ValueError as :func:`percentiles` does, and for a time that is no number.
    """
    import numpy as np
    import pandas as pd
    from scipy import stats

    _check_level(level)
    _need(lags, *_PAIR, "visible_min_ms", "visible_max_ms", "put_ms", "rtt_ms")
    since = lags.assign(_low=lags["visible_min_ms"] - lags["put_ms"], _high=lags["visible_max_ms"] - lags["put_ms"])
    asked = np.array(sorted(t_ms), dtype=float)
    if not np.isfinite(asked).all():
        raise ValueError(f"t_ms are times in milliseconds; these were asked for: {asked.tolist()}.")
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
        # Clopper and Pearson's limits; they are no numbers where nobody, or everybody, has seen it.
        below = np.nan_to_num(stats.beta.ppf((1 - level) / 2, certain, count - certain + 1), nan=0.0)
        above = np.nan_to_num(stats.beta.ppf((1 + level) / 2, possible + 1, count - possible), nan=1.0)
        rows += [(*pair, *point, distance, backend) for point in zip(
            asked.tolist(), (certain / count).tolist(), (possible / count).tolist(), (given_up / count).tolist(),
            below.tolist(), above.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=[*_PAIR, "t_ms", "certain", "possible", "given_up", "low", "high", "distance_ms",
                                       "backend"])


def _groups(lags: pd.DataFrame, low: str, high: str) -> Iterator[tuple[tuple[str, str], np.ndarray, np.ndarray, str]]:
    """For each source and target: the two, the intervals' ends, the backend."""
    _need(lags, *_PAIR, low, high)
    for pair, found in lags.groupby(_PAIR, sort=False):
        known = found[found[low].notna()]  # an interval without a lower end says nothing
        if known.empty:
            raise ValueError(f"No interval of {pair[1]} has a lower end in {low!r}.")
        yield (pair, known[low].to_numpy(dtype=float), known[high].fillna(math.inf).to_numpy(dtype=float),
               found["backend"].iloc[0] if "backend" in found.columns else "")


def _need(lags: pd.DataFrame, *columns: str) -> None:
    lacking = [column for column in columns if column not in lags.columns]
    if lacking:
        raise ValueError(f"The data frame lacks the column {lacking[0]!r}. Give what gtlab.measure.replication_lag() "
                         "gives.")
    if lags.empty:
        raise ValueError("The data frame has no rows.")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it is between 0 and 1, such as 0.95.")


def _censored(lows: np.ndarray, highs: np.ndarray) -> Any:
    import numpy as np
    from scipy import stats

    seen = np.isfinite(highs)
    # A log-normal gives no chance to what is not above 0, nor to an interval without width.
    floor = np.maximum(lows, 1e-6)
    return stats.CensoredData(interval=np.column_stack([floor[seen], np.maximum(highs[seen], floor[seen] + 1e-6)]),
                              right=floor[~seen])


def _shifted(data: Any, lows: np.ndarray, highs: np.ndarray, plain: Sequence[float]) -> tuple[float, float, float]:
    """The better of several searches that begin at different shifts: the likelihood has more than one summit."""
    from scipy import stats

    best, least = tuple(plain), _unlikely(plain, lows, highs)
    for part in (0.25, 0.5, 0.75, 0.9):
        shift = part * float(lows.min())
        rest = (lows - shift)[lows > shift]
        if not len(rest):
            continue
        found = stats.lognorm.fit(data, float(plain[0]), loc=shift, scale=float(sorted(rest)[len(rest) // 2]))
        value = _unlikely(found, lows, highs)
        if 0 <= found[1] < highs.min() and value < least:  # nothing arrives before it was sent
            best, least = tuple(found), value
    return best


def _unlikely(found: Sequence[float], lows: np.ndarray, highs: np.ndarray) -> float:
    """The negative logarithm of the intervals' likelihood."""
    import numpy as np
    from scipy import stats

    chances = stats.lognorm.cdf(highs, *found) - stats.lognorm.cdf(lows, *found)
    return float(-np.log(np.maximum(chances, np.finfo(float).tiny)).sum())


def _distance(found: Sequence[float], lows: np.ndarray, highs: np.ndarray) -> float:
    """How far the curve is outside the band, at the ends of all intervals, where the band has its steps."""
    import numpy as np
    from scipy import stats

    lows, highs = np.sort(lows), np.sort(highs)
    ends = np.unique(np.concatenate([lows, highs[np.isfinite(highs)]]))
    curve = stats.lognorm.cdf(ends, *found)
    # A step is compared on both its sides.
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
