"""What a chart says in words: its finding, its note, its alt text and its table twin.

They are stored in ``layout.meta`` of the figure, so that they stay with it in a notebook file and in an HTML page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MOST_ROWS = 200  # of a table twin; the caller's data frame has all


def describe(fig: go.Figure, finding: str, alt: str, table: pd.DataFrame) -> None:
    """Store what the chart says. ``finding`` is one sentence made from its data, and ``alt`` describes what is drawn
    and repeats the finding only if it must. Only the first 200 rows of ``table`` are stored. The note is the one that
    the figure was made with."""
    rows = [[_plain(value) for value in row] for row in table.head(MOST_ROWS).itertuples(index=False, name=None)]
    note = (fig.layout.meta or {}).get("note", "")
    fig.update_layout(meta={"note": note, "finding": finding, "alt": alt,
                            "table": {"columns": [str(name) for name in table.columns], "rows": rows}})


def finding(fig: go.Figure) -> str:
    """What the chart shows, in one sentence made from its data. Raises ValueError for a figure that is not from
    ``gtlab.charts``."""
    return str(_meta(fig)["finding"])


def alt_text(fig: go.Figure) -> str:
    """The chart in words, for readers who do not see it. Raises ValueError for a figure that is not from
    ``gtlab.charts``."""
    return str(_meta(fig)["alt"])


def table(fig: go.Figure) -> pd.DataFrame:
    """What the chart shows, as a data frame: its table twin, with at most 200 rows. The columns' names hold the units.

    Raises ValueError for a figure that is not from ``gtlab.charts``.
    """
    import pandas as pd

    found = _meta(fig)["table"]
    return pd.DataFrame(found["rows"], columns=found["columns"])


def _meta(fig: go.Figure) -> dict[str, Any]:
    meta = fig.layout.meta
    if not isinstance(meta, dict) or not {"finding", "alt", "table"} <= set(meta):
        raise ValueError("This figure has no finding, alt text and table: only the charts of gtlab.charts have.")
    return meta


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers with one decimal, None for a missing one."""
    if value is None or value != value:
        return None
    if hasattr(value, "item"):  # numpy's
        value = value.item()
    if isinstance(value, float):
        return round(value, 1) if math.isfinite(value) else str(value)
    return value if isinstance(value, bool | int) else str(value)
