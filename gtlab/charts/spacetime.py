"""The journal as a diagram: every write and its deliveries, the discarded ones, and the faults during that time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import INK, QUIET, WHITE_EDGE, colour_each, faded
from gtlab.charts.columns import each_row, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.text import ms, place_name, plain_text

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("time", "kind", "region", "source", "key", "written_at", "lag_ms", "lost_to", "by_ms", "conflict", "knob",
            "place")
Seconds = Callable[[Any], float]  # a timestamp as seconds since the first event
_WRITES, _ARRIVALS = ("write", "delete"), ("delivery", "discarded")


def journal(frame: pd.DataFrame) -> go.Figure:
    """Space-time diagram of the local cloud's journal: one line per Region, time to the right.

    Columns, as `lab.events` returns them: time and written_at (timestamps), kind, region, source, key, lag_ms, lost_to,
    by_ms, conflict, knob, place (codes, separated by commas). Events of kinds that are not named below are left out.
    Raises ValueError if the events contain neither a write nor an arrival.

    Traces: "write" and "delete" (dots), "delivery" (an arrow from each write to the place and time at which it took
    effect), "overtaken" (a dotted line to a cross: a newer write was already there), and "conflict" (the same, if
    neither of the two writes had seen the other). Shapes: each fault from "broken" to "mended", over the rows of its
    Regions. x is in seconds since the first event.
    """
    need(frame, "journal", *_COLUMNS)
    shown = frame[frame["kind"].isin(_WRITES + _ARRIVALS)]
    if shown.empty:
        raise ValueError("journal has nothing to draw: these events contain no write and no arrival.")
    drawn = frame[frame["kind"].isin(_WRITES + _ARRIVALS + ("broken", "mended"))]
    begin = min(drawn["time"].min(), shown["written_at"].min())

    def seconds(when: Any) -> float:
        return float((when - begin).total_seconds())

    wrote = shown[shown["kind"].isin(_WRITES)]
    codes = unique([*wrote["region"], *shown["source"], *shown["region"]])
    colours = colour_each(codes)
    groups = {name: [row for row in each_row(shown) if _what(row) == name] for name in _LEGEND}
    fig = figure(
        frame,
        title="What happened: writes, and where they went",
        height=height_for(len(codes), 100),
        legend=[name for name, rows in groups.items() if rows],
    )
    last = max(map(seconds, drawn["time"]))
    for region_rows, x0, x1, text in _broken(frame, codes, seconds, last):
        _shade(fig, region_rows, x0, x1, text)
    for name, rows in groups.items():
        if rows:
            make = _dots if name in _WRITES else _paths
            fig.add_scatter(**make(rows, name, codes, colours, seconds), name=name)
    region_axis(fig, codes, lines=True)
    span = last or 1.0
    fig.update_xaxes(title_text="seconds", range=[-0.03 * span, last + 0.06 * span])
    fig.update_yaxes(range=[len(codes) - 0.4, -0.6])
    _label_conflicts(fig, groups["conflict"], codes, seconds, last)
    return fig


_LEGEND = ("delivery", "overtaken", "conflict", "write", "delete")  # dots are drawn over lines


def _what(row: Any) -> str:
    """An event's name in the legend."""
    if row.kind != "discarded":
        return str(row.kind)
    return "conflict" if row.conflict else "overtaken"


def _dots(rows: list[Any], name: str, codes: list[str], colours: dict[str, str], seconds: Seconds) -> dict[str, Any]:
    return {
        "x": [seconds(row.time) for row in rows],
        "y": [codes.index(row.region) for row in rows],
        "mode": "markers",
        "marker": {"size": 11, "symbol": "circle" if name == "write" else "square-open",
                   "color": [colours[row.region] for row in rows], "line": WHITE_EDGE if name == "write" else None},
        "text": [f"{name} of {plain_text(row.key)}" for row in rows],
        "hovertemplate": "%{text} at %{x:.2f} s<extra></extra>",
    }


def _paths(rows: list[Any], name: str, codes: list[str], colours: dict[str, str], seconds: Seconds) -> dict[str, Any]:
    """A line from each write to its arrival, with a mark for the result."""
    symbol, size = {"delivery": ("arrow", 11), "overtaken": ("x-thin", 9), "conflict": ("x", 11)}[name]
    ink = INK if name == "conflict" else QUIET
    return {
        "x": [x for row in rows for x in (seconds(row.written_at), seconds(row.time), None)],
        "y": [y for row in rows for y in (codes.index(row.source), codes.index(row.region), None)],
        "mode": "lines+markers",
        "line": {"color": faded(ink, 0.8), "width": 1.5, "dash": "solid" if name == "delivery" else "dot"},
        # No mark at the beginning of a line: the write has a dot there.
        "marker": {"symbol": symbol, "angleref": "previous" if name == "delivery" else "up",
                   "size": [0, size, 0] * len(rows), "opacity": 1,
                   "color": [colours[row.source] if name == "delivery" else ink for row in rows for _ in range(3)],
                   "line": {"width": 2 if name == "overtaken" else 0.5,
                            "color": ink if name == "overtaken" else "white"}},
        "text": [text for row in rows for text in ("", _arrived(row), "")],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _arrived(row: Any) -> str:
    text = f"{plain_text(row.key)} from {row.source}, {ms(row.lag_ms)} after it was written"
    return text if row.kind == "delivery" else f"{text}: lost to {row.lost_to} by {ms(row.by_ms)}"


def _broken(frame: pd.DataFrame, codes: list[str], seconds: Seconds,
            last: float) -> Iterator[tuple[list[int], float, float, str]]:
    """Rows, beginning, end (seconds) and name of each fault. A fault that was not mended lasts to the end of the
    diagram; one from before the first event begins at 0."""
    def rows_of(place: str) -> list[int]:
        return [codes.index(part) for part in place.split(", ") if part in codes] or list(range(len(codes)))

    since: dict[tuple[str, str], float] = {}
    for row in each_row(frame[frame["kind"].isin(["broken", "mended"])]):
        before = since.pop((row.knob, row.place), None)
        if row.kind == "broken":
            since[row.knob, row.place] = seconds(row.time)
        if before is not None or row.kind == "mended":
            yield rows_of(row.place), before or 0.0, seconds(row.time), row.knob
    for (knob, place), began in since.items():
        yield rows_of(place), began, last, knob


def _shade(fig: go.Figure, rows: list[int], x0: float, x1: float, text: str) -> None:
    # For a pair of Regions everything between their rows, for a single Region its row.
    top, bottom = (min(rows), max(rows)) if len(rows) > 1 else (rows[0] - 0.3, rows[0] + 0.3)
    fig.add_shape(type="rect", x0=x0, x1=x1, y0=top, y1=bottom, line={"width": 0}, fillcolor=faded(QUIET, 0.15),
                  layer="below")
    fig.add_annotation(x=(x0 + x1) / 2, y=top, text=f"<b>{plain_text(text)}</b>", showarrow=False, yshift=14,
                       font={"size": 13})


def _label_conflicts(fig: go.Figure, rows: list[Any], codes: list[str], seconds: Seconds, last: float) -> None:
    """Label the crosses if they are few enough for the labels to be readable."""
    if len(rows) > 4:
        return
    for row in rows:
        text = f"lost to {place_name(row.lost_to)} by {ms(row.by_ms)}"
        fig.add_annotation(x=seconds(row.time), y=codes.index(row.region), text=text, showarrow=False, yshift=-18,
                           xanchor="right" if seconds(row.time) > last / 2 else "left", font={"size": 12})
