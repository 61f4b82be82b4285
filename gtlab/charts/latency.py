"""The latency of calls, compared with the replication lag."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import INK, faded
from gtlab.charts.columns import each_row, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.text import city, listed, ms_span, place_name, plain_text, short

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


_ALIKE = 0.95  # medians from this part of the largest one on are not ranked
_GAP = "\N{EN SPACE}"  # before a value: the line of an interval at the end of the bar would read as a dash
_LISTED = 3  # more of them than this are only counted


def latency_beside_lag(frame: pd.DataFrame) -> go.Figure:
    """The latency of calls and the replication lag side by side: two different quantities.

    Columns, as `gtlab.measure.beside_lag` returns them: operation ("put", "get", "replication lag"), region (where the
    call was served; for the lag, the target), median_ms, p90_ms; optionally median_min_ms and p90_min_ms, if the
    percentiles are intervals whose upper bounds are median_ms and p90_ms. One row per operation and Region.

    Traces: "median" (solid bars) and "P90" (pale, striped bars), horizontal, grouped by operation, with one colour per
    Region and the values at the bars; "interval", a line with ends over a bar from its lower to its upper bound, if
    these differ. x is in milliseconds; the axis is logarithmic, and its title says so, if one value is more than a
    hundred times another.
    """
    need(frame, "latency_beside_lag", "operation", "region", "median_ms", "p90_ms")
    rows = [
        row for name in unique(frame["operation"]) for row in each_row(frame[frame["operation"] == name])
    ]
    # There is room for a heading above the first row of each operation.
    places, headings, at = [], [], 0.0
    for number, row in enumerate(rows):
        if number == 0 or row.operation != rows[number - 1].operation:
            at += 0.75
            headings.append((at - 0.82, short(row.operation, 32)))
        places.append(at)
        at += 1
    said = _finding(rows)
    fig = figure(
        frame,
        title="A call's latency" + (" and the replication lag" if "replication lag" in set(frame["operation"]) else ""),
        note="Solid: median. Striped: 90th percentile (P90). Line: the interval in which it lies." if any(
            _low(row) < row.median_ms for row in rows) else "Solid: median. Striped: 90th percentile (P90).",
        height=max(height_for(at, 46), 140 + 42 * at),
    )
    values = [value for row in rows for value in (_drawn(row, "median_ms"), _drawn(row, "p90_ms")) if value > 0]
    log = bool(values) and max(values) > 100 * min(values)
    _draw_bars(fig, rows, places)
    _mark_intervals(fig, rows, places)
    _write_headings(fig, headings)
    region_axis(fig, [row.region for row in rows], at=places)
    top, low = max(values, default=1.0), min(values, default=1.0)
    # The value that is printed beyond the widest bar needs 40 % of a narrow plot if it is an interval or a bound.
    room = 0.6 if any(len(_span(row, column)) > 9 for row in rows for column in ("median_ms", "p90_ms")) else 0.4
    begin = math.log10(low) - 0.4
    scale = [begin, begin + (math.log10(top) - begin) * (1 + room)] if log else [0, top * (1 + room)]
    fig.update_xaxes(
        title_text="milliseconds (logarithmic scale)" if log else "milliseconds",
        type="log" if log else "linear",
        dtick=1 if log else None,
        range=scale,
    )
    fig.update_yaxes(range=[at - 0.4, -0.35])
    fig.update_layout(barmode="overlay", showlegend=False)
    bounds = [name for name in ("median_min_ms", "median_ms", "p90_min_ms", "p90_ms") if name in frame.columns]
    describe(fig, said, f"Bars of the median and the P90 of {listed(unique(frame['operation']))}, by Region, in "
             f"milliseconds. {said}", frame[["operation", "region", *bounds]])
    return fig


def _draw_bars(fig: go.Figure, rows: list[Any], places: list[float]) -> None:
    """Two bars for each row, with their values."""
    for column, shift, name, opacity in (("median_ms", -0.2, "median", 1.0), ("p90_ms", 0.2, "P90", 0.8)):
        fig.add_bar(
            orientation="h",
            y=[place + shift for place in places],
            x=[_drawn(row, column) for row in rows],
            width=0.38,
            marker={
                "color": [faded(look(row.region).colour, opacity) for row in rows],
                "pattern": {
                    "shape": "" if opacity == 1 else "/",
                    "fgcolor": [look(row.region).colour for row in rows],
                },
            },
            name=name,
            text=[_GAP + _span(row, column) for row in rows],
            textposition="outside",
            textfont={"size": 12, "color": INK},
            cliponaxis=False,
            customdata=[f"{plain_text(row.operation)}, {place_name(row.region)}: {name} {_span(row, column)}"
                        for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
        )


def _write_headings(fig: go.Figure, headings: list[tuple[float, str]]) -> None:
    """``headings``: the place and the text of each."""
    for y, text in headings:
        fig.add_annotation(
            xref="paper",
            x=0,
            y=y,
            text=f"<b>{text}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="middle",
            font={"size": 13, "color": INK},
        )


def _mark_intervals(fig: go.Figure, rows: list[Any], places: list[float]) -> None:
    """A line from the lower to the upper bound, at the end of each bar whose bounds differ."""
    x: list[float | None] = []
    y: list[float | None] = []
    for row, place in zip(rows, places, strict=True):
        for column, shift in (("median_ms", -0.2), ("p90_ms", 0.2)):
            high, low = float(getattr(row, column)), float(getattr(row, column.replace("_ms", "_min_ms"), math.nan))
            if math.isfinite(high) and 0 < low < high:
                x, y = [*x, low, high, None], [*y, place + shift, place + shift, None]
    if x:
        fig.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": INK, "width": 2},
            marker={"symbol": "line-ns", "size": 7, "line": {"color": INK, "width": 2}},
            name="interval",
            hoverinfo="skip",
        )


def _span(row: Any, column: str) -> str:
    """A percentile of a row as text: an interval if the frame has its lower bound."""
    high = float(getattr(row, column))
    return ms_span(float(getattr(row, column.replace("_ms", "_min_ms"), high)), high)


def _drawn(row: Any, column: str) -> float:
    """The end of the bar: the lower bound if there is no upper one."""
    high = float(getattr(row, column))
    low = float(getattr(row, column.replace("_ms", "_min_ms"), high))
    return high if math.isfinite(high) else low if math.isfinite(low) else 0.0


def _finding(rows: list[Any]) -> str:
    known = [row for row in rows if math.isfinite(row.median_ms) and row.median_ms > 0]
    if not known:
        return "No median is known."
    most, least = max(known, key=lambda row: row.median_ms), min(known, key=lambda row: row.median_ms)

    def name(row: Any) -> str:
        way = "to" if row.operation == "replication lag" else "in"
        return f"{row.operation} {way} {city(row.region) or row.region}"

    # Medians of a few calls that differ by a few percent are as good as equal. Intervals show themselves how far apart
    # they are: those that do not overlap are ranked, as in the chart of the lags.
    def margin(row: Any) -> float:
        return 1.0 if all(_low(each) < each.median_ms for each in (row, most)) else _ALIKE

    top = [row for row in known if row.median_ms >= margin(row) * _low(most)]
    said = f"The largest median is that of {name(most)}, {_span(most, 'median_ms')}"
    if len(top) > 1:
        bounds = listed([f"{name(row)}, {_span(row, 'median_ms')}" for row in top])
        said = f"The largest medians are too close to be ranked: {bounds}" if len(top) <= _LISTED else (
            f"{len(top)} medians are too close to be ranked, {_span(most, 'median_ms')} at most")
    return f"{said}." if least in top else f"{said}. The smallest: {name(least)}, {_span(least, 'median_ms')}."


def _low(row: Any) -> float:
    """The lower bound of a row's median."""
    low = float(getattr(row, "median_min_ms", row.median_ms))
    return low if math.isfinite(low) else float(row.median_ms)
