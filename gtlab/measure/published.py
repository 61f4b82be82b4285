"""What the service itself says of its replication lag: CloudWatch's metric ReplicationLatency."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gtlab import regions as catalogue
from gtlab.lab import Lab
from gtlab.measure.probes import at_least, checked

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["source", "target", "minute", "writes", "average_ms", "min_ms", "max_ms", "backend"]
_STATISTICS = ["SampleCount", "Average", "Minimum", "Maximum"]
MOST_MINUTES = 1439  # CloudWatch gives 1,440 data points in one answer, and the first minute may be a part of one


def published(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), *,
              minutes: int = 15) -> pd.DataFrame:
    """The replication latency that the service published in the last ``minutes``, from one Region to others.

    A row per target and minute in which something arrived: ``source``, ``target``, ``minute`` (its beginning, UTC),
    ``writes`` (how many the figures are of: all of the table's, not only probes), ``average_ms``, ``min_ms``,
    ``max_ms``; ``backend``. Empty where nothing was published: on AWS a minute is there some minutes after it ended,
    and strongly consistent global tables have no such metric.

    CloudWatch's ReplicationLatency, namespace AWS/DynamoDB, dimensions TableName and ReceivingRegion, asked for in the
    source Region; AWS charges for such a request as for every one of the CloudWatch API. ``source`` defaults to the
    home Region, ``targets`` to the lab's other Regions. Raises ValueError for settings that make no sense and on other
    endpoints, which have no CloudWatch; the service's error where it refuses.
    """
    import pandas as pd

    if lab.backend not in ("local", "aws"):
        raise ValueError(f"Only AWS and the local cloud publish a replication latency; this lab is on {lab.label}.")
    source, chosen = checked(lab, source, targets)
    at_least(1, minutes=minutes)
    if minutes > MOST_MINUTES:
        raise ValueError(f"minutes is {minutes}; CloudWatch gives at most {MOST_MINUTES} at once.")
    end = int(time.time()) + 1
    cloudwatch, rows = lab.client(source, "cloudwatch"), []
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
    """What was measured from outside beside what the service published meanwhile.

    ``lags`` as :func:`gtlab.measure.replication_lag` gives it, ``service`` as :func:`published` does. A row per target:
    ``target``, ``place``, ``probes`` (those that were seen), ``mean_min_ms`` and ``mean_max_ms``, between which their
    mean lag lies (refined intervals); ``writes``, ``average_ms``, ``min_ms``, ``max_ms`` of the service's, from the
    minute of the first probe on; ``backend``. The service's figures are of all the table's writes of these minutes, the
    probes' deletion included; they are missing where nothing was published. Rounded to tenths.
    """
    import pandas as pd

    rows = []
    began = pd.Timestamp(lags["sent_at"].min(), unit="s", tz="UTC").floor("min")
    for (source, target), found in lags.groupby(["source", "target"], sort=False):
        seen = found[found["lag_max_ms"].notna()]
        theirs = service[(service["source"] == source) & (service["target"] == target) & (service["minute"] >= began)]
        writes = theirs["writes"].sum()
        average = (theirs["average_ms"] * theirs["writes"]).sum() / writes if writes else float("nan")
        rows.append((target, catalogue.get(target).place, len(seen), seen["lag_min_ms"].mean(),
                     seen["lag_max_ms"].mean(), int(writes), average, theirs["min_ms"].min(), theirs["max_ms"].max(),
                     found["backend"].iloc[0]))
    return pd.DataFrame(rows, columns=["target", "place", "probes", "mean_min_ms", "mean_max_ms", "writes",
                                       "average_ms", "min_ms", "max_ms", "backend"]).round(1)
