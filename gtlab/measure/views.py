"""Summaries of measured lags, and the data frames that the charts need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtlab import regions
from gtlab.intervals import median, percentile

if TYPE_CHECKING:
    import pandas as pd


def summary(lags: pd.DataFrame) -> pd.DataFrame:
    """The measured lags of each target in a few numbers.

    A row per target: ``target``, ``place``, ``probes``, ``not_seen`` (how many of the probes were not seen there);
    ``median_min_ms`` and ``median_max_ms``, the bounds of the median lag; ``p90_max_ms`` and ``slowest_max_ms``, the
    upper bounds of the 90th percentile and of the slowest probe. They come from the refined intervals
    (:func:`gtlab.intervals.percentile`) and are rounded to milliseconds; ``inf`` means that the probe in question was
    not seen. They describe these probes only: for all writes use :func:`gtlab.statistics.percentiles`.
    """
    import pandas as pd

    rows = []
    for target, found in lags.groupby("target", sort=False):
        half, p90, slowest = (percentile(found["lag_min_ms"], found["lag_max_ms"], share) for share in (0.5, 0.9, 1))
        rows.append((target, regions.get(str(target)).place, len(found), int(found["lag_max_ms"].isna().sum()),
                     half.low, half.high, p90.high, slowest.high))
    return pd.DataFrame(rows, columns=["target", "place", "probes", "not_seen", "median_min_ms", "median_max_ms",
                                       "p90_max_ms", "slowest_max_ms"]).round(0)


def widths(lags: pd.DataFrame) -> pd.DataFrame:
    """How precisely the time of arrival is known, compared with the distance.

    A row per target: ``target``, ``place``, ``rtt_ms`` (the smallest round trip to the target), ``hard_width_ms`` and
    ``refined_width_ms`` (the median widths of the intervals), ``symmetric`` (the share of the probes, 0 to 1, for which
    there is a refined interval). Rounded.
    """
    import pandas as pd

    rows = []
    for target, found in lags.groupby("target", sort=False):
        rows.append((target, regions.get(str(target)).place, median(found["rtt_ms"]),
                     median(found["seen_ms"] - found["missed_ms"]),
                     median(found["visible_max_ms"] - found["visible_min_ms"]), found["symmetric"].mean()))
    return pd.DataFrame(rows, columns=["target", "place", "rtt_ms", "hard_width_ms", "refined_width_ms",
                                       "symmetric"]).round({"rtt_ms": 0, "hard_width_ms": 0, "refined_width_ms": 0,
                                                            "symmetric": 3})


def arrivals(lags: pd.DataFrame, writes: int = 5) -> pd.DataFrame:
    """The first probes (``writes`` of them) as :func:`gtlab.charts.arrivals` needs them: a row per write and Region.

    Columns: ``write``, ``region``, ``role`` ("source" or "target"), ``sent_ms``, ``seen_min_ms``, ``seen_max_ms`` (hard
    bounds, in milliseconds since the first put was sent), ``backend``.
    """
    import pandas as pd

    rows = []
    for probe, found in lags[lags["probe"] <= writes].groupby("probe"):
        first = found.iloc[0]
        sent = first["sent_ms"]
        rows.append((f"write {probe}", first["source"], "source", sent, sent, sent + first["put_ms"], first["backend"]))
        rows += [(f"write {probe}", row.target, "target", sent, sent + row.missed_ms, sent + row.seen_ms, row.backend)
                 for row in found.itertuples()]
    frame = pd.DataFrame(rows, columns=["write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms", "backend"])
    times = ["sent_ms", "seen_min_ms", "seen_max_ms"]
    frame[times] -= frame["sent_ms"].min()
    return frame


def beside_lag(latencies: pd.DataFrame, lags: pd.DataFrame | None = None) -> pd.DataFrame:
    """Latencies of calls, and replication lags if given, in one data frame for :func:`gtlab.charts.latency_beside_lag`.

    ``latencies`` is the data frame of :func:`gtlab.measure.latency`, ``lags`` that of
    :func:`gtlab.measure.replication_lag`. Columns: ``operation`` ("put", "get", "replication lag"), ``region``,
    ``median_min_ms`` and ``median_ms``, the bounds of the median, ``p90_min_ms`` and ``p90_ms``, those of the 90th
    percentile (:func:`gtlab.intervals.percentile`), and ``backend``. The bounds of a call's latency are equal. Those of
    a lag come from the refined intervals. Calls that failed are left out.
    """
    import pandas as pd

    answered = latencies[latencies["error"].isna()] if "error" in latencies.columns else latencies
    measured = [answered.assign(low=answered["ms"], high=answered["ms"])]
    if lags is not None:
        measured.append(lags.rename(columns={"target": "region", "lag_min_ms": "low", "lag_max_ms": "high"}).assign(
            operation="replication lag"))
    rows = []
    for times in measured:
        for (operation, region, backend), found in times.groupby(["operation", "region", "backend"], sort=False):
            half, p90 = (percentile(found["low"], found["high"], share) for share in (0.5, 0.9))
            rows.append((operation, region, half.low, half.high, p90.low, p90.high, backend))
    return pd.DataFrame(rows, columns=["operation", "region", "median_min_ms", "median_ms", "p90_min_ms", "p90_ms",
                                       "backend"])
