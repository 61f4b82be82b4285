"""The article's timing loop: put, sleep, get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtlab.charts.colours import BACK, CLEAR, EDGE, INK, LOOP_COLOURS, QUIET
from gtlab.charts.columns import finite, missing, need
from gtlab.charts.layout import figure, height_for, row_axis
from gtlab.charts.meta import describe
from gtlab.charts.text import ms, plural, short
from gtlab.intervals import percentile

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


_MOST_TEXTS = 20  # more iterations than this are too narrow for texts


def loop_timing(frame: pd.DataFrame) -> go.Figure:
    """The article's timing loop, one bar per iteration: put in one Region, sleep, get in the other.

    Columns: item (its label), put_ms, sleep_ms, get_ms, found (bool: the get returned the item); optionally lag_max_ms
    (milliseconds from the answer to the put until the item was certainly in the other Region; missing if that is not
    known).

    Traces: stacked bars "put", "sleep", "get"; with lag_max_ms also "arrived" (diamonds on the same time axis,
    at put_ms + lag_max_ms). A diamond within the sleep shows the lag, which the times of the loop do not contain. x is
    in milliseconds.
    """
    need(frame, "loop_timing", "item", "put_ms", "sleep_ms", "get_ms", "found")
    count = len(frame)
    said = _finding(frame)
    fig = figure(
        frame,
        title="The timing loop: put, sleep, get",
        note=_loop_note(frame),
        height=height_for(count, 34),
        legend=["put", "sleep", "get", *(["arrived"] if _knows_lag(frame) else [])],
    )
    rows = list(range(count))
    starts = {
        "put": [0.0] * count,
        "sleep": list(frame["put_ms"]),
        "get": [put + sleep for put, sleep in zip(frame["put_ms"], frame["sleep_ms"], strict=True)],
    }
    for name, (colour, ink) in LOOP_COLOURS.items():
        lasted = list(frame[f"{name}_ms"])
        fig.add_bar(
            orientation="h",
            y=rows,
            base=starts[name],
            x=lasted,
            width=0.8,
            marker={"color": colour, "line": {"color": QUIET if colour == CLEAR else BACK, "width": 1}},
            name=name,
            text=[f"{name} {ms(value)}" for value in lasted],
            textposition="inside" if count <= _MOST_TEXTS and not _covered(frame, name) else "none",
            insidetextanchor=_clear_end(frame, name),
            textangle=0,
            insidetextfont={"color": ink, "size": 12},
            hovertemplate="%{text}<extra></extra>",
        )
    ends = [start + (0.0 if missing(get) else get) for start, get in zip(starts["get"], frame["get_ms"], strict=True)]
    _mark_arrivals(fig, frame)
    for row, (end, found) in enumerate(zip(ends, frame["found"], strict=True)):
        if count > _MOST_TEXTS:
            break  # the finding has the numbers
        fig.add_annotation(
            x=end,
            y=row,
            text="found" if found else "<b>not found</b>",
            showarrow=False,
            xanchor="left",
            xshift=6,
            font={"size": 12, "color": QUIET if found else INK},
        )
    row_axis(fig, [short(item, 18) for item in frame["item"]], rows)
    fig.update_xaxes(title_text="milliseconds since the iteration began", range=[0, max([*finite(ends), 1.0]) * 1.35])
    fig.update_layout(barmode="overlay", uniformtext={"minsize": 12, "mode": "hide"})
    columns = ["item", "put_ms", "sleep_ms", "get_ms", "found", *(["lag_max_ms"] if _knows_lag(frame) else [])]
    describe(fig, said, f"Stacked bars of put, sleep and get for {plural(count, 'iteration')}, in milliseconds. {said}",
             frame[columns])
    return fig


def _finding(frame: pd.DataFrame) -> str:
    found = int(frame["found"].astype(bool).sum())
    took = f"A put takes {_median(frame['put_ms'])} and a get {_median(frame['get_ms'])} at the median"
    return f"{took}; {found} of {plural(len(frame), 'get')} found the item."


def _loop_note(frame: pd.DataFrame) -> str:
    ends = ", which ends by the diamond" if _knows_lag(frame) else ""
    return f"Timed: put and get. Not timed: the replication lag{ends}."


def _median(times: pd.Series) -> str:
    """The median as :mod:`gtlab.intervals` defines it; the bounds of a timed call are equal."""
    known = finite(times)
    return ms(percentile(known, known, 0.5).high) if known else "not known"


def _knows_lag(frame: pd.DataFrame) -> bool:
    return "lag_max_ms" in frame.columns and bool(frame["lag_max_ms"].notna().any())


def _clear_end(frame: pd.DataFrame, name: str) -> str:
    """Where the text of a step is written: at the end of the bar that has no diamonds."""
    if not _knows_lag(frame) or name == "put":
        return "middle"
    if name == "get":
        return "middle"
    return "start" if frame["lag_max_ms"].median() > frame["sleep_ms"].median() / 2 else "end"


def _covered(frame: pd.DataFrame, name: str) -> bool:
    """Whether a diamond lies in the bars of the gets, which are too short for a text beside it."""
    return name == "get" and _knows_lag(frame) and bool((frame["lag_max_ms"] > frame["sleep_ms"]).any())


def _mark_arrivals(fig: go.Figure, frame: pd.DataFrame) -> None:
    if not _knows_lag(frame):
        return
    pairs = zip(frame["put_ms"], frame["lag_max_ms"], strict=True)
    known = [(row, put + lag, lag) for row, (put, lag) in enumerate(pairs) if not missing(lag)]
    fig.add_scatter(
        x=[when for _, when, _ in known],
        y=[row for row, _, _ in known],
        mode="markers",
        marker={"symbol": "diamond", "size": 12, "color": INK, "line": EDGE},
        name="arrived",
        text=[ms(lag) for _, _, lag in known],
        hovertemplate="in the other Region at most %{text} after the put<extra></extra>",
    )
