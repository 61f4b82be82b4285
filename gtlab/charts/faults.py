"""What was broken during a space-time diagram, as shaded areas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import QUIET, faded
from gtlab.charts.columns import each_row

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Fault:
    """What was broken: the rows of its Regions, beginning and end in seconds, and its knob."""

    rows: list[int]
    x0: float
    x1: float
    knob: str

    @property
    def top(self) -> float:
        return min(self.rows) if len(self.rows) > 1 else self.rows[0] - 0.3

    @property
    def bottom(self) -> float:
        return max(self.rows) if len(self.rows) > 1 else self.rows[0] + 0.3


def broken(frame: pd.DataFrame, codes: list[str], begin: Any, last: float) -> Iterator[Fault]:
    """Each fault. One that was not mended lasts to the end of the diagram; one from before the first event begins at
    0."""
    def rows_of(place: str) -> list[int]:
        return [codes.index(part) for part in place.split(", ") if part in codes] or list(range(len(codes)))

    since: dict[tuple[str, str], float] = {}
    for row in each_row(frame[frame["kind"].isin(["broken", "mended"])]):
        at = float((row.time - begin).total_seconds())
        before = since.pop((row.knob, row.place), None)
        if row.kind == "broken":
            since[row.knob, row.place] = at
        if before is not None or row.kind == "mended":
            yield Fault(rows_of(row.place), before or 0.0, at, row.knob)
    for (knob, place), began in since.items():
        yield Fault(rows_of(place), began, last, knob)


def shade(fig: go.Figure, fault: Fault) -> None:
    """Shade everything between the rows of a pair of Regions, or the row of a single one."""
    fig.add_shape(type="rect", x0=fault.x0, x1=fault.x1, y0=fault.top, y1=fault.bottom, line={"width": 0},
                  fillcolor=faded(QUIET, 0.15), layer="below")
