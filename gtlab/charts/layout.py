"""The layout that all charts share: the empty figure, its axes, and the room that rows and legends need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import BACK, CLEAR, COAST, GRID, INK, PALETTE, QUIET
from gtlab.charts.columns import unique
from gtlab.charts.looks import GLYPHS, look
from gtlab.charts.text import city, plain_text, short, text_width, wrap

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# A notebook's output is about this wide, in pixels. It is used only to decide whether two labels would overlap.
NOMINAL_WIDTH = 880
NARROW = 468  # the width in JupyterLab in a window of 900 pixels with the sidebar open: all text fits into it
_TITLE, _LEGEND, _NOTE = 16, 13, 12  # font sizes in pixels


def figure(
    frame: pd.DataFrame, *, title: str, height: float, note: str = "", legend: Sequence[str] = ()
) -> go.Figure:
    """An empty figure in the common style. The frame's backends stand below the title, so that no picture of it lacks
    them. A notebook shows the ``note`` and the finding below the chart, where text takes the width of the page; plotly
    breaks no lines.

    ``height`` is that of a figure with two lines below its title and one line of a legend. The plot is as high with
    fewer or more lines, and the figure lower or higher. The texts are plain text.

    The legend begins below the texts. Plotly moves the top of the plot to the end of the legend: where the page is
    wider, the legend has fewer lines and the plot is higher.
    """
    from gtlab.charts.chart import Chart

    backends = [str(name) for name in unique(frame["backend"])] if "backend" in frame.columns else []
    room = NARROW - 24
    above = wrap(plain_text(title), _TITLE, room)
    lines = wrap(plain_text(" · ".join(backends)), _NOTE, room) if backends else []
    rows = _legend_rows(legend)
    top = 46 + 21 * (len(above) - 1) + 17 * len(lines)
    tall = height + top - 80 + 28 * max(0, rows - 1)
    return Chart(
        layout={
            "template": {"layout": _TEMPLATE},
            "height": tall,
            "title": {"text": "<br>".join(above), "subtitle": {"text": "<br>".join(lines)},
                      # Plotly moves a title of several lines up by this much.
                      "pad": {"t": 14 if len(above) == 1 else 26}},
            "margin": {"t": top},
            "meta": {"note": note},
            "showlegend": bool(legend),
            "legend": {"y": below_texts(tall, top)},
        }
    )


def below_texts(height: float, top: float) -> float:
    """Where the legend of a figure of this height begins: at its top margin, as a share of the height."""
    return 1 - (top - 4) / height


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
    "paper_bgcolor": BACK,
    "plot_bgcolor": CLEAR,
    "font": {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif", "size": 13, "color": INK},
    "title": {
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 14, "l": 12},
        "font": {"size": _TITLE},
        "subtitle": {"font": {"size": _NOTE, "color": QUIET}},
    },
    "legend": {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "yref": "container",
        "yanchor": "top",
        "tracegroupgap": 4,
        "font": {"size": _LEGEND},
    },
    "modebar": {"bgcolor": CLEAR, "color": QUIET, "activecolor": INK,
                "remove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"]},
    "margin": {"l": 20, "r": 30, "b": 48},
    "hoverlabel": {"font": {"size": 13, "color": INK}, "bgcolor": BACK, "bordercolor": QUIET},
    "xaxis": _AXIS,
    "yaxis": _AXIS,
    "colorway": list(PALETTE),
}


_ARROW = " →<br>"


def region_axis(
    fig: go.Figure,
    codes: Sequence[str],
    *,
    at: Sequence[float] | None = None,
    notes: Mapping[str, str] | None = None,
    lines: bool = False,
) -> None:
    """Label the rows with Regions, the first at the top: the symbol and the code, with the city and a note below. Of a
    row "source → target", the symbol is the target's. A row that does not name a Region has no symbol."""
    labels = []
    for code in codes:
        below = [text for text in (city(code), (notes or {}).get(code)) if text]
        labels.append(
            f"{glyph(code)}<b>{_ARROW.join(short(part) for part in str(code).split(' → '))}</b>"
            + "".join(f'<br><span style="color:{QUIET}">{plain_text(text)}</span>' for text in below)
        )
    row_axis(fig, labels, at or range(len(codes)), lines=lines)


def glyph(name: str) -> str:
    """The symbol of the Region that a name ends with, in its colour, as a character; empty if it names none."""
    code = name.split()[-1] if name.split() else ""
    if "-" not in code:
        return ""
    colour, symbol = look(code)
    return f'<span style="color:{colour}">{GLYPHS[symbol]}</span> '


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
    """How many lines a legend of these names needs in a narrow notebook, beside the labels of rows. Plotly gives each
    entry the width of the longest one if there are several lines."""
    room, widths = NARROW - 165, [text_width(name) * _LEGEND / 12 + 46 for name in names]
    if sum(widths) <= room:
        return int(bool(names))
    return math.ceil(len(names) / max(1, room // max(widths)))


def height_for(rows: float, each: int) -> float:
    """A figure's height for this many rows of ``each`` pixels: from 300 to 460 pixels."""
    return max(300, min(460, 140 + each * rows))
