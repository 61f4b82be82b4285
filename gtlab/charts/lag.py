"""Replication lag for each target: every probe, or the distribution of the lags."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from gtlab.charts.colours import INK, darker, dash_each, faded
from gtlab.charts.columns import jitter, known, missing, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.text import ms, ms_span, place_name, plain_text

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("probe", "source", "target", "lag_min_ms", "lag_max_ms")
_NOTE = "Each thin bar is one probe: its lag lies between two polls. The dot is the middle."
_HARD_NOTE = ("Each bar is one probe. Pale: its lag certainly lies here. Strong: it lies here if paths are symmetric."
              " Dot: the middle.")


def lag_by_target(frame: pd.DataFrame) -> go.Figure:
    """The replication lag of every probe, for each target.

    Columns, as `gtlab.measure.replication_lag` returns them: probe (its number), source, target (Region codes),
    lag_min_ms and lag_max_ms (the lag lies between these two); optionally hard_min_ms and hard_max_ms, the wider
    interval that does not assume symmetric paths. If the lag is missing, the probe was not seen at the target; the
    label of the target has the number of such probes.

    Traces, two per target: the intervals of the probes (bars, named after the target) and their midpoints (dots,
    spread over the row only so that they do not hide each other). If there are hard intervals, a trace "target, hard"
    (pale bars) comes before them. The median of the midpoints is a shape with a label. x is in milliseconds.
    """
    need(frame, "lag_by_target", *_COLUMNS)
    groups = _by_target(frame)
    colours = {name: look(name.split()[-1]).colour for name in groups}
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
        spread = [number + jitter(index) * 0.26 for index in range(len(seen))]
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
    """The share of the probes that had arrived by a given time, for each target, as a band between two step curves.

    Columns: as for `lag_by_target`. A probe whose lag is missing never arrives: its target's curves stay below 100 %.

    Traces, two per target and named after it: the share that had possibly arrived (upper curve, from lag_min_ms), and
    the share that had certainly arrived (lower curve, from lag_max_ms); the band between them is filled. x is in
    milliseconds, y in percent.
    """
    need(frame, "lag_distribution", *_COLUMNS)
    groups = _by_target(frame)
    colours = {name: look(name.split()[-1]).colour for name in groups}
    dashes = dash_each(colours)
    last = 1.08 * max(known(frame, "lag_min_ms", "lag_max_ms"), default=1.0)
    fig = figure(
        frame,
        title=_lag_title(frame),
        note="Upper edge: may have arrived by then. Lower edge: has certainly arrived.",
        height=420,
        legend=[_plain(name) for name in groups],
    )
    for name, rows in groups.items():
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
                line={"color": colour, "width": width, "shape": "hv", "dash": dashes[name]},
                name=_plain(name),
                legendgroup=name,
                hovertemplate=f"%{{y:.0f}} % {certainty} seen by %{{x:,.0f}} ms<extra>{_plain(name)}</extra>",
                **extra,
            )
    fig.update_xaxes(title_text="milliseconds after the write", range=[0, last])
    fig.update_yaxes(title_text="probes seen", ticksuffix=" %", range=[0, 104], dtick=25)
    return fig


def _steps(lags: Iterable[float], last: float) -> tuple[list[float], list[float]]:
    """The steps of the empirical distribution (milliseconds, percent), from 0 to `last` milliseconds."""
    everything = list(lags)
    seen = sorted(lag for lag in everything if not missing(lag))
    share = 100 / len(everything)
    return [0.0, *seen, last], [0.0, *(share * (rank + 1) for rank in range(len(seen))), share * len(seen)]


def _by_target(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each target by its displayed name: the code of the target, after the source's if there are several
    sources."""
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


def _plain(name: str) -> str:
    """The name of a target in the legend: with its city, unless the name contains the source."""
    return name if " → " in name else place_name(name)
