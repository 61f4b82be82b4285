"""Summaries of measured lags, and the data frames that the charts need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gtlab import regions as catalogue

if TYPE_CHECKING:
    import pandas as pd


def summary(lags: pd.DataFrame) -> pd.DataFrame:
    """The measured lags of each target in a few numbers.

    A row per target: ``target``, ``place``, ``probes``, ``not_seen`` (how many of the probes were not seen there);
    ``median_min_ms`` and ``median_max_ms``, the bounds of the median lag; ``p90_max_ms`` and ``slowest_max_ms``, the
    upper bounds of the 90th percentile and of the slowest probe. They come from the refined intervals and are rounded
    to milliseconds. They describe these probes only: for all writes use :func:`gtlab.statistics.percentiles`.
    """
    import pandas as pd

    rows = []
    for target, found in lags.groupby("target", sort=False):
        high = found["lag_max_ms"].fillna(math.inf)  # not seen: the lag has no upper bound
        p90 = high.quantile(0.9, interpolation="higher")
        rows.append((target, catalogue.get(str(target)).place, len(found), int(found["lag_max_ms"].isna().sum()),
                     found["lag_min_ms"].median(), high.median(), p90, high.max()))
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
        rows.append((target, catalogue.get(str(target)).place, found["rtt_ms"].median(),
                     (found["seen_ms"] - found["missed_ms"]).median(),
                     (found["visible_max_ms"] - found["visible_min_ms"]).median(), found["symmetric"].mean()))
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


def beside_lag(latencies: pd.DataFrame, lags: pd.DataFrame) -> pd.DataFrame:
    """Latencies of calls and replication lags in one data frame, for :func:`gtlab.charts.latency_beside_lag`.

    ``latencies`` is the data frame of :func:`gtlab.measure.latency`, ``lags`` that of
    :func:`gtlab.measure.replication_lag`. Columns: ``operation`` ("put", "get", "replication lag"), ``region``,
    ``median_ms``, ``p90_ms``, ``backend``. The upper end of the refined interval, ``lag_max_ms``, counts as the lag.
    """
    import pandas as pd

    columns = ["operation", "region", "ms", "backend"]
    found = lags.rename(columns={"target": "region", "lag_max_ms": "ms"}).assign(operation="replication lag")
    # The frames' attrs are dropped on purpose: they differ.
    everything = pd.DataFrame([*latencies[columns].itertuples(index=False), *found[columns].itertuples(index=False)])
    grouped = everything.groupby(["operation", "region", "backend"], sort=False)["ms"]
    agreed = grouped.agg(median_ms="median", p90_ms=lambda ms: ms.quantile(0.9)).reset_index()
    return agreed[["operation", "region", "median_ms", "p90_ms", "backend"]]
