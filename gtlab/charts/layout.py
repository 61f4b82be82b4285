"""The layout that all charts share: the empty figure, its axes, and the room that rows and legends need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import COAST, GRID, INK, PALETTE, QUIET, darker
from gtlab.charts.columns import unique
from gtlab.charts.text import city, plain_text, text_width

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# A notebook's output is about this wide, in pixels. It is used only to decide whether two labels would overlap.
NOMINAL_WIDTH = 880


def figure(
    frame: pd.DataFrame, *, title: str, height: float, note: str = "", legend: Sequence[str] = ()
) -> go.Figure:
    """An empty figure in the common style. The note and the frame's backends stand below the title."""
    from gtlab.charts.chart import Chart

    backends = [plain_text(name) for name in unique(frame["backend"])] if "backend" in frame.columns else []
    lines = [line for line in (note, " · ".join(backends)) if line]
    return Chart(
        layout={
            "template": {"layout": _TEMPLATE},
            "height": height + 26 * max(0, _legend_rows(legend) - 1),  # a long legend does not shrink the plot
            "title": {"text": title, "subtitle": {"text": "<br>".join(lines)}},
            "margin": {"t": 62 + 16 * len(lines) + 26 * _legend_rows(legend)},
            "showlegend": bool(legend),
        }
    )


_AXIS = {
    "gridcolor": GRID,
    "linecolor": COAST,
    "zeroline": False,
    "automargin": True,
    "separatethousands": True,
    "ticklabelstandoff": 4,
    "title": {"font": {"size": 13, "color": QUIET}},
}
_TEMPLATE: dict[str, Any] = {
    "autosize": True,
    "paper_bgcolor": "white",
    "plot_bgcolor": "white",
    "font": {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif", "size": 13, "color": INK},
    "title": {
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 14, "l": 12},
        "font": {"size": 17},
        "subtitle": {"font": {"size": 13, "color": QUIET}},
    },
    "legend": {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "font": {"size": 13},
    },
    "margin": {"l": 20, "r": 30, "b": 48},
    "hoverlabel": {"font": {"size": 13}},
    "xaxis": _AXIS,
    "yaxis": _AXIS,
    "colorway": list(PALETTE),
}


def region_axis(
    fig: go.Figure,
    codes: Sequence[str],
    colours: Mapping[str, str] | None = None,
    *,
    at: Sequence[float] | None = None,
    notes: Mapping[str, str] | None = None,
    lines: bool = False,
) -> None:
    """Label the rows with Regions, the first at the top: the code in its colour, with the city and a note below it."""
    labels = []
    for code in codes:
        colour = darker((colours or {}).get(code, INK))
        below = [text for text in (city(code), (notes or {}).get(code)) if text]
        labels.append(
            f'<span style="color:{colour}"><b>{plain_text(code)}</b></span>'
            + "".join(f'<br><span style="color:{QUIET}">{plain_text(text)}</span>' for text in below)
        )
    row_axis(fig, labels, at or range(len(codes)), lines=lines)


def row_axis(fig: go.Figure, labels: Sequence[str], at: Sequence[float], *, lines: bool = False) -> None:
    """Label the rows, whose positions on the y axis are ``at``; among very many rows only every second, third …"""
    # A figure of the usual height has room for twenty labels.
    every = math.ceil(len(labels) / max(20, (fig.layout.height - 140) // 40))
    fig.update_yaxes(
        tickvals=list(at)[::every],
        ticktext=list(labels)[::every],
        tickfont={"size": 12},
        ticklabelstandoff=8,
        range=[max(at) + 0.5, min(at) - 0.5],
        showgrid=lines,
        gridcolor=COAST,
        gridwidth=2,
    )


def _legend_rows(names: Sequence[str]) -> int:
    """How many lines a legend of these names needs in a narrow notebook (700 pixels)."""
    return math.ceil(sum(text_width(name) + 48 for name in names) / 640)


def height_for(rows: float, each: int) -> float:
    """A figure's height for this many rows of ``each`` pixels: from 300 to 460 pixels."""
    return max(300, min(460, 140 + each * rows))
