"""The common look: colours, the empty figure, axes, and how text and numbers are written."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from gtlab import regions

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is left out, being unreadable
# on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")

INK, QUIET, GRID = "#1F2933", "#5A6572", "#E6E9ED"
COAST = "#C3CAD1"
WHITE_EDGE = {"color": "white", "width": 1.5}  # around a marker

# A notebook's output is about this wide; only used to judge whether two labels would touch.
NOMINAL_WIDTH = 880


def need(frame: pd.DataFrame, chart: str, *columns: str) -> None:
    """Raise ValueError, naming the chart, for a frame that lacks a column or has no rows."""
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        has = ", ".join(map(str, frame.columns)) or "none"
        raise ValueError(f"{chart} needs the column {lacking[0]!r}. Columns of this frame: {has}.")
    if len(frame) == 0:
        raise ValueError(f"{chart} has nothing to draw: the data frame has no rows.")


def figure(
    frame: pd.DataFrame, *, title: str, height: float, note: str = "", legend: Sequence[str] = ()
) -> go.Figure:
    """An empty figure in the common look; below its title the note and the frame's backends."""
    import plotly.graph_objects as go

    backends = [plain_text(name) for name in unique(frame["backend"])] if "backend" in frame.columns else []
    lines = [line for line in (note, " · ".join(backends)) if line]
    return go.Figure(
        layout={
            "template": {"layout": _LOOK},
            "height": height + 26 * max(0, _legend_rows(legend) - 1),  # what many names take is not the curves' room
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
_LOOK: dict[str, Any] = {
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
    colours: dict[str, str] | None = None,
    *,
    at: Sequence[float] | None = None,
    notes: dict[str, str] | None = None,
    lines: bool = False,
) -> None:
    """Name the rows after Regions, first at the top: code in its colour, the city (and a note) below it."""
    labels = []
    for code in codes:
        colour = darker((colours or {}).get(code, INK))
        below = [text for text in (_place_of(code), (notes or {}).get(code)) if text]
        labels.append(
            f'<span style="color:{colour}"><b>{plain_text(code)}</b></span>'
            + "".join(f'<br><span style="color:{QUIET}">{plain_text(text)}</span>' for text in below)
        )
    row_axis(fig, labels, at or range(len(codes)), lines=lines)


def row_axis(fig: go.Figure, labels: Sequence[str], at: Sequence[float], *, lines: bool = False) -> None:
    # Twenty labels are what the usual figure's height holds.
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
    """Lines that a legend of these names takes in a narrow notebook (700 pixels)."""
    return math.ceil(sum(text_width(name) + 48 for name in names) / 640)


def height_for(rows: float, each: int) -> float:
    return max(300, min(460, 140 + each * rows))


def colour_each(names: Iterable[str]) -> dict[str, str]:
    """A colour for each, in order; after the last one the palette starts anew."""
    return dict(zip(names, cycle(PALETTE), strict=False))


def dash(number: int) -> str:
    """How the line of the so-manyth name of :func:`colour_each` is drawn: another way once colours come again."""
    return ("solid", "dash", "dot")[number // len(PALETTE) % 3]


def faded(colour: str, opacity: float) -> str:
    return f"rgba({','.join(map(str, _red_green_blue(colour)))},{opacity})"


def darker(colour: str) -> str:
    """The same hue, dark enough to be read as text on white."""
    if colour in (INK, QUIET):
        return colour
    return "#" + "".join(f"{int(part * 0.68):02X}" for part in _red_green_blue(colour))


def _red_green_blue(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def unique(values: Iterable[Any]) -> list[Any]:
    """In the order they first appear, without missing ones."""
    return list(dict.fromkeys(value for value in values if not missing(value)))


def missing(value: Any) -> bool:
    return value is None or value != value


def known(frame: pd.DataFrame, *columns: str) -> list[Any]:
    """All values of these columns, without missing ones."""
    return [value for column in columns for value in frame[column] if not missing(value)]


def plain_text(value: Any) -> str:
    """As plain text: plotly reads a few HTML tags, and a label from data may look like one."""
    return html.escape(str(value), quote=False)


def text_width(text: str) -> float:
    """Pixels that 12 px text takes at most, near enough to keep labels apart."""
    return 7.4 * len(html.unescape(text))


def _place_of(code: str) -> str:
    return regions.REGIONS[code].place if code in regions.REGIONS else ""


def place_name(code: str) -> str:
    """City and code; only the code for a Region that is not in the catalogue."""
    return regions.label(code) if code in regions.REGIONS else plain_text(code)


def ms(value: float) -> str:
    """Such as "3.1 ms", "219 ms" or "1,204 ms"."""
    return f"{value:.1f} ms" if abs(value) < 9.95 else f"{value:,.0f} ms"


def ms_span(low: float, high: float) -> str:
    """An interval, such as "92-118 ms", with an en dash."""
    return f"{ms(low).removesuffix(' ms')}\N{EN DASH}{ms(high)}"
