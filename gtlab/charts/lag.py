"""Replication lag for each target: every probe, or the distribution of the lags."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gtlab.charts.colours import BACK, EDGE, INK, LABEL_BACKGROUND, dash_each, faded
from gtlab.charts.columns import finite, jitter, known, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.text import city, listed, ms_span, place_name, plain_text, plural
from gtlab.intervals import Interval, percentile

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("probe", "source", "target", "lag_min_ms", "lag_max_ms")
_NOTE = ("Each thin bar is one probe: its lag lies between two polls. The mark is the middle. "
         "Box: the interval of the median.")
_HARD_NOTE = ("Each bar is one probe. Pale: its lag certainly lies here. Dark: it lies here if paths are symmetric."
              " Mark: the middle. Box: the interval of the median.")


def lag_by_target(frame: pd.DataFrame) -> go.Figure:
    """The replication lag of every probe, for each target.

    Columns, as `gtlab.measure.replication_lag` returns them: probe (its number), source, target (Region codes),
    lag_min_ms and lag_max_ms (the lag lies between these two); optionally hard_min_ms and hard_max_ms, the wider
    interval that does not assume symmetric paths. If the lag is missing, the probe was not seen at the target; the
    label of the target has the number of such probes.

    Traces, two per target: the intervals of the probes (bars, named after the target) and their midpoints (dots,
    spread over the row only so that they do not hide each other). If there are hard intervals, a trace "target, hard"
    (pale bars) comes before them. The median of the intervals, as `gtlab.intervals.percentile` defines it, is a
    rectangle from its lower to its upper bound, with a label. x is in milliseconds.
    """
    need(frame, "lag_by_target", *_COLUMNS)
    groups = _by_target(frame)
    colours = {name: look(name.split()[-1]).colour for name in groups}
    medians = _medians(groups)
    said = _finding(groups, medians)
    fig = figure(
        frame,
        title=_lag_title(frame),
        note=_HARD_NOTE if _has_hard(frame) else _NOTE,
        height=max(height_for(len(groups), 96), 140 + 64 * len(groups)),
    )
    last = max(finite(known(frame, *_COLUMNS[3:], *(["hard_max_ms"] if _has_hard(frame) else []))), default=1.0)
    for number, (name, rows) in enumerate(groups.items()):
        colour = colours[name]
        bounds = zip(rows["lag_min_ms"].astype(float), rows["lag_max_ms"].astype(float), strict=True)
        seen = rows[[math.isfinite(low) and math.isfinite(high) for low, high in bounds]]
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
            marker={"color": colour, "symbol": _symbol(name), "size": 7 if len(seen) <= 60 else 4},
            name=name,
            text=[ms_span(low, high) for low, high in intervals],
            customdata=[plain_text(probe) for probe in seen["probe"]],
            hovertemplate="probe %{customdata}: %{text}<extra></extra>",
        )
        if name in medians:
            _mark_median(fig, medians[name], number, last)
    region_axis(fig, list(groups), notes=_unseen(groups))
    fig.update_xaxes(title_text="replication lag, milliseconds", range=[0, 1.05 * last])
    fig.update_layout(showlegend=False)
    describe(fig, said, f"Every probe of {plural(len(groups), 'target')} as a bar on an axis of milliseconds. {said}",
             _table(groups, medians))
    return fig


def _has_hard(frame: pd.DataFrame) -> bool:
    return {"hard_min_ms", "hard_max_ms"} <= set(frame.columns)


def _mark_median(fig: go.Figure, median: Interval, row: int, last: float) -> None:
    # Without an upper bound, only the lower one is drawn.
    high = median.high if math.isfinite(median.high) else median.low
    for colour, width in ((BACK, 4.5), (INK, 2)):
        fig.add_shape(type="rect", x0=median.low, x1=high, y0=row - 0.32, y1=row + 0.32,
                      line={"color": colour, "width": width})
    leftwards = high > last / 2  # the label goes towards the middle of the plot
    fig.add_annotation(
        x=high if leftwards else median.low,
        y=row - 0.32,
        text=f"<b>median {ms_span(*median)}</b>",
        showarrow=False,
        xanchor="right" if leftwards else "left",
        yanchor="bottom",
        font={"color": INK, "size": 12},
        bgcolor=LABEL_BACKGROUND,
        borderpad=0,
    )


def _medians(groups: dict[str, pd.DataFrame]) -> dict[str, Interval]:
    return {name: percentile(rows["lag_min_ms"].astype(float), rows["lag_max_ms"].astype(float), 0.5)
            for name, rows in groups.items() if rows["lag_min_ms"].notna().any()}


def _finding(groups: dict[str, pd.DataFrame], medians: dict[str, Interval]) -> str:
    lost = sum(int(rows["lag_max_ms"].isna().sum()) for rows in groups.values())
    missed = f" {plural(lost, 'probe')} {'was' if lost == 1 else 'were'} not seen." if lost else ""
    if not medians:
        return f"No probe was seen at any target.{missed}"
    ordered = sorted(medians, key=lambda name: (medians[name].high, medians[name].low))
    fast, slow = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return f"The median lag to {_place(fast)} is {ms_span(*medians[fast])}.{missed}"
    if medians[fast].high >= medians[slow].low:
        bounds = listed([f"{ms_span(*medians[name])} to {_place(name)}" for name in ordered])
        return f"The median lags overlap and cannot be ranked: {bounds}.{missed}"
    return (f"The median lag is smallest to {_place(fast)}, {ms_span(*medians[fast])}, and largest to {_place(slow)}, "
            f"{ms_span(*medians[slow])}.{missed}")


def _table(groups: dict[str, pd.DataFrame], medians: dict[str, Interval]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name, probes in groups.items():
        p90 = percentile(probes["lag_min_ms"].astype(float), probes["lag_max_ms"].astype(float), 0.9) \
            if name in medians else Interval(math.nan, math.nan)
        rows.append((name, len(probes), int(probes["lag_max_ms"].isna().sum()),
                     *medians.get(name, Interval(math.nan, math.nan)), *p90))
    return pd.DataFrame(rows, columns=["target", "probes", "not_seen", "median_min_ms", "median_max_ms", "p90_min_ms",
                                       "p90_max_ms"])


def _place(name: str) -> str:
    return name if " → " in name else city(name) or name


def _symbol(name: str) -> str:
    return look(name.split()[-1]).symbol


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
    last = 1.08 * max(finite(known(frame, "lag_min_ms", "lag_max_ms")), default=1.0)
    medians = _medians(groups)
    said = _finding(groups, medians)
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
            if certainty == "certainly":  # the symbol of the Region, at a few points
                fig.data[-1].update(mode="lines+markers", marker={
                    "symbol": _symbol(name), "size": _sizes(len(x)), "color": colour, "line": EDGE, "opacity": 1})
    fig.update_xaxes(title_text="milliseconds after the write", range=[0, last])
    fig.update_yaxes(title_text="probes seen", ticksuffix=" %", range=[0, 104], dtick=25)
    describe(fig, said, f"The share of the probes seen over time, from 0 to {last:,.0f} ms, at "
             f"{plural(len(groups), 'target')}. {said}", _table(groups, medians))
    return fig


def _sizes(points: int) -> list[int]:
    """The sizes of the markers of a curve: a few large ones, evenly spread, and none at the ends."""
    shown = {round(points * part) for part in (0.25, 0.5, 0.75)}
    return [10 if at in shown else 0 for at in range(points)]


def _steps(lags: Iterable[float], last: float) -> tuple[list[float], list[float]]:
    """The steps of the empirical distribution (milliseconds, percent), from 0 to `last` milliseconds."""
    everything = list(lags)
    seen = sorted(finite(everything))
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
