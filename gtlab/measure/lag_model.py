"""A model of replication lag for the local cloud, fitted to measurements.

The local cloud draws a lag as half a round trip plus a processing time, which is log-normal. Half the median round trip
between the Regions is subtracted from each measured interval, and a log-normal is fitted to what is left, by maximum
likelihood for intervals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.measure import exported, statistics

if TYPE_CHECKING:
    import pandas as pd

_LEAST_MS = 1.0  # of a processing time: a lag below half a round trip means that the round trip was overestimated
_MOST_SIGMA = 3.0


def of(lags: pd.DataFrame, name: str) -> dict[str, Any]:
    """The model that measured lags give: ``pairs``, with a processing time for each measured pair of Regions, and
    ``others``, the fit to all of them together, for the pairs that were not measured. ``median_s`` are seconds.

    ``lags`` is the data frame of :func:`gtlab.measure.replication_lag` or :func:`gtlab.measure.load`. A pair with too
    few probes gets the fit of all. Raises ValueError if no distribution can be fitted to all of them, and for lags that
    were measured on the local cloud's fast or instant network.
    """
    scaled = [label for label in lags["backend"].unique() if "fast network" in label or "instant network" in label]
    if scaled:
        raise ValueError(f"These lags cannot be a model: they were measured on a scaled network ({scaled[0]}). Measure "
                         "on AWS, or on the realistic network.")
    processing = lags.copy()
    half_ms = [regions.rtt_ms(source, target) / 2
               for source, target in zip(lags["source"], lags["target"], strict=True)]
    for column in ("lag_min_ms", "lag_max_ms"):
        processing[column] = (processing[column] - half_ms).clip(lower=_LEAST_MS)
    pairs = []
    for (source, target), found in processing.groupby(["source", "target"], sort=False):
        fitted = _fit(found)
        if fitted is not None:
            pairs.append({"source": str(source), "target": str(target), **fitted, "probes": len(found)})
    others = _fit(processing.assign(source="all", target="all"))
    if others is None:
        raise ValueError("No lag model can be fitted: at least three probes must have been seen, with lags that "
                         "differ.")
    model = {"others": others, "pairs": pairs, "from": lags.attrs.get("files", [])}
    digest = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()[:4]
    return {"name": f"{name} ({digest})", **model}


def from_files(paths: Iterable[str | Path]) -> dict[str, Any]:
    """The model that exported measurements give, named after the files. Raises ValueError as :func:`of` and
    :func:`gtlab.measure.load` do, and OSError."""
    named = [Path(path) for path in paths]
    return of(exported.load(*named), ", ".join(path.name for path in named))


def _fit(lags: pd.DataFrame) -> dict[str, float] | None:
    """Median and sigma of one log-normal; None if it cannot be estimated."""
    try:
        found = statistics.plain_fit(lags)
    except ValueError:
        return None
    if found is None:
        return None
    median_ms, sigma = found
    return {"median_s": round(median_ms / 1000, 4), "sigma": round(min(sigma, _MOST_SIGMA), 3)}
