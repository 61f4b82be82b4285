"""A measured replication lag in a file that can be given away: docs/measurement-format.md describes the format.

The file has no account, table, key, endpoint, profile or host; the time of the measurement is rounded to the hour.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtlab import __version__, regions
from gtlab.measure.lag_frame import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

FORMAT, VERSION = "gtlab-replication-lag", 1
_LABELS = ("source", "target")
_DROPPED = ("sent_at", "backend")  # of the data frame: the exact time, and what is written once for all rows
_KEPT = [name for name in COLUMNS if name not in _DROPPED]
_WHOLE = ("probe", "missed_again", "polls")
_MAY_LACK = ("seen_ms", "visible_max_ms", "hard_max_ms", "lag_max_ms", "get_ms", "missed_ms", "visible_min_ms",
             "hard_min_ms", "lag_min_ms")
_HOUR_S = 3600


def save(lags: pd.DataFrame, path: str | Path) -> None:
    """Write the data frame of :func:`gtlab.measure.replication_lag` to a file, without what identifies anybody. Raises
    ValueError if nothing was measured."""
    if lags.empty:
        raise ValueError("Nothing was measured, so there is nothing to export.")
    sent_at = datetime.fromtimestamp(lags["sent_at"].min() // _HOUR_S * _HOUR_S, UTC)
    document = {
        "format": FORMAT, "version": VERSION, "gtlab": __version__, "backend": str(lags["backend"].iloc[0]),
        "hour": sent_at.strftime("%Y-%m-%dT%H:00Z"), "seconds": lags.attrs.get("seconds"),
        "not_put": lags.attrs.get("not_put"), "sent": lags.attrs.get("sent", []), "columns": _KEPT,
        "rows": [[_plain(value) for value in row] for row in lags[_KEPT].itertuples(index=False)]}
    Path(path).write_text(json.dumps(document, allow_nan=False, separators=(",", ":")).replace("],[", "],\n[") + "\n",
                          encoding="utf-8")


def load(*paths: str | Path) -> pd.DataFrame:
    """Measurements that :func:`save` wrote, as one data frame with the columns of
    :func:`gtlab.measure.replication_lag`. ``sent_at`` counts from the beginning of the hour. ``attrs["files"]`` has
    each file's name, backend and hour.

    Raises ValueError for a file that is no such measurement, OSError for one that cannot be read.
    """
    import pandas as pd

    if not paths:
        raise ValueError("Name at least one file.")
    documents = [(Path(path), _document(Path(path))) for path in paths]
    frames = [_frame(document) for _, document in documents]
    lags = pd.concat(frames, ignore_index=True)
    lags.attrs = {"files": [{"file": path.name, "backend": document["backend"], "hour": document["hour"]}
                            for path, document in documents],
                  "sent": [row for _, document in documents for row in document.get("sent") or []]}
    return lags


def _frame(document: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    lags = pd.DataFrame(document["rows"], columns=document["columns"])
    for name in _KEPT:
        if name not in (*_LABELS, *_WHOLE, "symmetric"):
            lags[name] = lags[name].astype(float)
    began = datetime.strptime(document["hour"], "%Y-%m-%dT%H:00Z").replace(tzinfo=UTC).timestamp()
    lags["sent_at"], lags["backend"] = began + lags["sent_ms"] / 1000, document["backend"]
    return lags[list(COLUMNS)]


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not a measurement that gtlab exported: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'{path} is not a measurement that gtlab exported: its "format" is not {FORMAT}.')
    if document.get("version") != VERSION:
        raise ValueError(f"{path} has version {document.get('version')!r} of the format; this gtlab reads version "
                         f"{VERSION}. A newer gtlab may read it.")
    try:
        _check(document)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return document


def _check(document: Mapping[str, Any]) -> None:
    """Raises ValueError, TypeError or KeyError for what is not as the format says."""
    if document["columns"] != _KEPT:
        raise ValueError(f"its columns are not {', '.join(_KEPT)}")
    if not isinstance(document["backend"], str) or not document["backend"]:
        raise ValueError("it has no backend")
    datetime.strptime(document["hour"], "%Y-%m-%dT%H:00Z")
    if not document["rows"]:
        raise ValueError("it has no rows")
    for row in document["rows"]:
        if len(row) != len(_KEPT):
            raise ValueError(f"a row has {len(row)} values, not {len(_KEPT)}")
        _check_row(dict(zip(_KEPT, row, strict=True)))


def _check_row(row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if name in _LABELS:
            regions.get(value)
        elif name == "symmetric":
            if not isinstance(value, bool):
                raise ValueError(f"symmetric is {value!r}, not true or false")
        elif value is None and name in _MAY_LACK:
            continue
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}, not a number")
    if row["lag_max_ms"] is not None and not 0 <= (row["lag_min_ms"] or 0) <= row["lag_max_ms"]:
        raise ValueError(f"a lag is between {row['lag_min_ms']} and {row['lag_max_ms']} ms")


def _plain(value: Any) -> Any:
    """A value of a data frame as JSON has it; times are rounded to a microsecond."""
    if isinstance(value, str):
        return value
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float):
        return round(plain, 3) if math.isfinite(plain) else None
    return plain
