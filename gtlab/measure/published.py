"""The replication lag that the service itself publishes: CloudWatch's metric ReplicationLatency."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gtlab import regions
from gtlab.lab import Lab
from gtlab.measure.probes import at_least, checked

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["source", "target", "minute", "writes", "average_ms", "min_ms", "max_ms", "backend"]
_STATISTICS = ["SampleCount", "Average", "Minimum", "Maximum"]
MOST_MINUTES = 1439  # CloudWatch returns at most 1,440 data points, and the first minute may be incomplete


def published(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), *,
              minutes: int = 15) -> pd.DataFrame:
    """The replication latency that the service published in the last ``minutes``, from one Region to others.

    A row per target and minute in which something arrived: ``source``, ``target``, ``minute`` (its beginning, UTC),
    ``writes`` (how many writes the figures describe: all writes to the table, not only probes), ``average_ms``,
    ``min_ms``, ``max_ms``; ``backend``. Empty if nothing was published: AWS publishes a minute some minutes after its
    end, and does not publish this metric for strongly consistent global tables.

    The figures come from CloudWatch: metric ReplicationLatency, namespace AWS/DynamoDB, dimensions TableName and
    ReceivingRegion, queried in the source Region. AWS charges for the request as for every CloudWatch API request.
    ``source`` defaults to the home Region, ``targets`` to the lab's other Regions.

    Raises ValueError for an invalid argument and on other endpoints, which have no CloudWatch; raises the service's
    error if it refuses the request.
    """
    import pandas as pd

    if lab.backend not in ("local", "aws"):
        raise ValueError(f"Only AWS and the local cloud publish a replication latency; this lab is on {lab.label}.")
    source, chosen = checked(lab, source, targets)
    at_least(1, minutes=minutes)
    if minutes > MOST_MINUTES:
        raise ValueError(f"minutes is {minutes}; CloudWatch returns at most {MOST_MINUTES} at once.")
    end = int(time.time()) + 1
    cloudwatch = lab.client(source, "cloudwatch")
    rows: list[tuple[object, ...]] = []
    for target in chosen:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/DynamoDB", MetricName="ReplicationLatency", Period=60, Statistics=_STATISTICS,
            Dimensions=[{"Name": "TableName", "Value": table}, {"Name": "ReceivingRegion", "Value": target}],
            StartTime=end - 60 * minutes, EndTime=end)
        rows += [(source, target, pd.Timestamp(point["Timestamp"]).tz_convert("UTC"), int(point["SampleCount"]),
                  point["Average"], point["Minimum"], point["Maximum"], lab.label)
                 for point in sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])]
    return pd.DataFrame(rows, columns=_COLUMNS)


def beside_published(lags: pd.DataFrame, service: pd.DataFrame) -> pd.DataFrame:
    """The measured lag next to the latency that the service published for the same minutes.

    ``lags`` is the data frame of :func:`gtlab.measure.replication_lag`, ``service`` that of :func:`published`. A row
    per target: ``target``, ``place``, ``probes`` (those that were seen); ``mean_min_ms`` and ``mean_max_ms``, the
    bounds of their mean lag (refined intervals); ``writes``, ``average_ms``, ``min_ms``, ``max_ms``, the service's
    figures from the minute of the first probe on; ``backend``. The service's figures cover all writes to the table in
    these minutes, including the deletion of the probe items; they are missing if nothing was published. Rounded to 0.1
    ms.
    """
    import pandas as pd

    rows = []
    began = pd.Timestamp(lags["sent_at"].min(), unit="s", tz="UTC").floor("min")
    for (source, target), found in lags.groupby(["source", "target"], sort=False):
        seen = found[found["lag_max_ms"].notna()]
        theirs = service[(service["source"] == source) & (service["target"] == target) & (service["minute"] >= began)]
        writes = theirs["writes"].sum()
        average = (theirs["average_ms"] * theirs["writes"]).sum() / writes if writes else float("nan")
        rows.append((target, regions.get(str(target)).place, len(seen), seen["lag_min_ms"].mean(),
                     seen["lag_max_ms"].mean(), int(writes), average, theirs["min_ms"].min(), theirs["max_ms"].max(),
                     found["backend"].iloc[0]))
    return pd.DataFrame(rows, columns=["target", "place", "probes", "mean_min_ms", "mean_max_ms", "writes",
                                       "average_ms", "min_ms", "max_ms", "backend"]).round(1)
