"""Replication lag, target by target: every probe, or their distribution."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from gtlab.charts.look import (
    INK,
    colour_each,
    darker,
    dash,
    faded,
    figure,
    height_for,
    known,
    missing,
    ms,
    ms_span,
    need,
    place_name,
    plain_text,
    region_axis,
    unique,
)

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("probe", "source", "target", "lag_min_ms", "lag_max_ms")
_NOTE = "A lag is only known to lie between two polls: each thin bar is one probe, its dot the middle."
_HARD_NOTE = ("Each probe: pale, where its lag lies for certain; strong, where it lies if paths are symmetric; a dot in"
              " the middle.")


def lag_by_target(frame: pd.DataFrame) -> go.Figure:
    """Every probe's replication lag, target by target.

    Columns: probe (its number), source, target (Region codes), lag_min_ms and lag_max_ms (the lag is known to
    lie between these two); optionally hard_min_ms and hard_max_ms, the wider interval that assumes nothing.
    Missing lags mean that the probe was not seen there; they are counted beside the target.

    Traces, two a target: the probes' intervals (bars; named after the target) and their midpoints (dots,
    spread over the row only so that they do not hide each other); before them, where there are hard intervals,
    these (pale; "target, hard"). The median of the midpoints is a shape with a label.
    """
    need(frame, "lag_by_target", *_COLUMNS)
    groups = _by_target(frame)
    colours = colour_each(groups)
    fig = figure(
        frame,
        title=_lag_title(frame),
        note=_HARD_NOTE if _has_hard(frame) else _NOTE,
        height=max(height_for(len(groups), 96), 140 + 64 * len(groups)),
    )
    for number, (name, rows) in enumerate(groups.items()):
        colour = colours[name]
        seen = rows[rows["lag_min_ms"].notna() & rows["lag_max_ms"].notna()]
        intervals = list(zip(seen["lag_min_ms"], seen["lag_max_ms"], strict=True))
        middles = [(low + high) / 2 for low, high in intervals]
        spread = [number + _jitter(index) * 0.26 for index in range(len(seen))]
        if _has_hard(frame):
            fig.add_scatter(
                x=[x for ends in zip(seen["hard_min_ms"], seen["hard_max_ms"], strict=True) for x in (*ends, None)],
                y=[y for row in spread for y in (row, row, None)],
                mode="lines",
                line={"color": faded(colour, 0.16), "width": 1.5},
                name=f"{name}, hard",
                hoverinfo="skip",
            )
        fig.add_scatter(
            x=[x for low, high in intervals for x in (low, high, None)],
            y=[y for row in spread for y in (row, row, None)],
            mode="lines",
            line={"color": faded(colour, 0.55), "width": 2.5},
            name=name,
            hoverinfo="skip",
        )
        fig.add_scatter(
            x=middles,
            y=spread,
            mode="markers",
            marker={"color": colour, "size": 6 if len(seen) <= 60 else 4},
            name=name,
            text=[ms_span(low, high) for low, high in intervals],
            customdata=[plain_text(probe) for probe in seen["probe"]],
            hovertemplate="probe %{customdata}: %{text}<extra></extra>",
        )
        if middles:
            _mark_median(fig, median(middles), number, colour)
    region_axis(fig, list(groups), colours, notes=_unseen(groups))
    fig.update_xaxes(title_text="replication lag, milliseconds", rangemode="tozero")
    fig.update_layout(showlegend=False)
    return fig


def _has_hard(frame: pd.DataFrame) -> bool:
    return {"hard_min_ms", "hard_max_ms"} <= set(frame.columns)


def _mark_median(fig: go.Figure, middle: float, row: int, colour: str) -> None:
    line = {"color": INK, "width": 2.5}
    fig.add_shape(type="line", x0=middle, x1=middle, y0=row - 0.32, y1=row + 0.32, line=line)
    fig.add_annotation(
        x=middle,
        y=row - 0.32,
        text=f"<b>median {ms(middle)}</b>",
        showarrow=False,
        yanchor="bottom",
        font={"color": darker(colour), "size": 13},
    )


def lag_distribution(frame: pd.DataFrame) -> go.Figure:
    """Share of the probes that had arrived by a given time, target by target, as a band between two step
    curves.

    Columns: as `lag_by_target`. A probe whose lag is missing never arrives, and the curve stays below 100 %.

    Traces, two a target, each named after it: possibly seen by then (upper curve, from lag_min_ms), and
    certainly seen by then (lower curve, from lag_max_ms) with the band between them filled. x in
    milliseconds, y in percent.
    """
    need(frame, "lag_distribution", *_COLUMNS)
    groups = _by_target(frame)
    colours = colour_each(groups)
    last = 1.08 * max(known(frame, "lag_min_ms", "lag_max_ms"), default=1.0)
    fig = figure(
        frame,
        title=_lag_title(frame),
        note="Upper edge: may have arrived by then. Lower edge: has certainly arrived.",
        height=420,
        legend=[_plain(name) for name in groups],
    )
    for number, (name, rows) in enumerate(groups.items()):
        colour = colours[name]
        for column, certainty, width, extra in (
            ("lag_min_ms", "possibly", 1.2, {"showlegend": False}),
            ("lag_max_ms", "certainly", 2.5, {"fill": "tonexty", "fillcolor": faded(colour, 0.22)}),
        ):
            x, y = _steps(rows[column], last)
            fig.add_scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": colour, "width": width, "shape": "hv", "dash": dash(number)},
                name=_plain(name),
                legendgroup=name,
                hovertemplate=f"%{{y:.0f}} % {certainty} seen by %{{x:,.0f}} ms<extra>{_plain(name)}</extra>",
                **extra,
            )
    fig.update_xaxes(title_text="milliseconds after the write", range=[0, last])
    fig.update_yaxes(title_text="probes seen", ticksuffix=" %", range=[0, 104], dtick=25)
    return fig


def _steps(lags: Iterable[float], last: float) -> tuple[list[float], list[float]]:
    """Corners of the empirical distribution, in milliseconds and percent, from 0 to `last`."""
    everything = list(lags)
    seen = sorted(lag for lag in everything if not missing(lag))
    share = 100 / len(everything)
    return [0.0, *seen, last], [0.0, *(share * (rank + 1) for rank in range(len(seen))), share * len(seen)]


def _by_target(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each target, by a name to show: the target's code, with the source's when there are several."""
    several = frame["source"].nunique() > 1
    pairs = unique(zip(frame["source"], frame["target"], strict=True))
    return {
        f"{source} → {target}" if several else target: frame[
            (frame["source"] == source) & (frame["target"] == target)
        ]
        for source, target in pairs
    }


def _unseen(groups: dict[str, pd.DataFrame]) -> dict[str, str]:
    counts = {name: int(rows["lag_max_ms"].isna().sum()) for name, rows in groups.items()}
    return {name: f"{count} of {len(groups[name])} not seen" for name, count in counts.items() if count}


def _lag_title(frame: pd.DataFrame) -> str:
    sources = unique(frame["source"])
    return f"Replication lag from {place_name(sources[0])}" if len(sources) == 1 else "Replication lag"


def _jitter(index: int) -> float:
    """Between -1 and 1, evenly spread, and the same every time: multiples of the golden ratio, wrapped."""
    return (index * 0.6180339887 % 1) * 2 - 1


def _plain(name: str) -> str:
    """A target as a legend names it: with its city, unless a source stands before it."""
    return name if " → " in name else place_name(name)
