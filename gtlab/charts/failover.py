"""The failover drill: every write at its time and Region, the outage, RTO and RPO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gtlab.charts.colours import INK, PALETTE, QUIET, WHITE_EDGE, colour_each, faded
from gtlab.charts.columns import each_row, jitter, missing, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.text import place_name

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

NOBODY = "no answer"  # the row of writes that no Region acknowledged
_COLUMNS = ("n", "sent_ms", "answered_ms", "region", "outcome", "missing", "fate", "lost_region", "outage_from_ms",
            "outage_to_ms")


def failover_timeline(frame: pd.DataFrame) -> go.Figure:
    """Every write of a failover drill, in the row of the Region that acknowledged it. The outage is shaded.

    Columns, as `gtlab.drill.run` returns them: n, sent_ms, answered_ms, region (missing if no Region acknowledged the
    write), outcome, missing, fate, lost_region, outage_from_ms, outage_to_ms (missing if there was no outage).

    Traces: "waiting" (a line from the sending of each write to its answer), and one trace for each result of a write:
    "acknowledged", "came late" (missing at the failover, present at the end), "lost" (overwritten by a write that had
    not seen it), "not acknowledged". Shapes: the outage, and labelled brackets for RTO and RPO. x is in seconds.
    """
    need(frame, "failover_timeline", *_COLUMNS)
    first = frame.iloc[0]
    rows = unique([first["lost_region"], *frame["region"]]) + ([NOBODY] if frame["region"].isna().any() else [])
    colours = colour_each(rows)
    marks = {name: [row for row in each_row(frame) if _became(row) == name] for name in _LOOKS}
    fig = figure(
        frame,
        title=f"Losing {place_name(first['lost_region'])}: every write, by the Region that acknowledged it",
        note="Mark: the answer. Line before it: the wait for the answer.",
        height=height_for(len(rows), 110),
        legend=[name for name, found in marks.items() if found],
    )
    places = {row.n: rows.index(_row(row)) + 0.18 * jitter(row.n) for row in each_row(frame)}
    fig.add_scatter(
        x=[x for row in each_row(frame) for x in (row.sent_ms / 1000, row.answered_ms / 1000, None)],
        y=[y for row in each_row(frame) for y in (places[row.n], places[row.n], None)],
        mode="lines",
        line={"color": faded(INK, 0.25), "width": 1.5},
        name="waiting",
        hoverinfo="skip",
        showlegend=False,
    )
    for name, found in marks.items():
        if found:
            fig.add_scatter(
                x=[row.answered_ms / 1000 for row in found],
                y=[places[row.n] for row in found],
                mode="markers",
                marker={"color": [colours[_row(row)] for row in found]} | _LOOKS[name],
                name=name,
                text=[f"write {row.n}, answered after {row.answered_ms - row.sent_ms:,.0f} ms" for row in found],
                hovertemplate=f"%{{text}}: {name}<extra></extra>",
            )
    region_axis(fig, rows, colours)
    fig.update_xaxes(title_text="seconds since the first write")
    if not missing(first["outage_from_ms"]):
        _mark_outage(fig, frame, rows)
    return fig


_LOOKS: dict[str, dict[str, Any]] = {
    "acknowledged": {"size": 6},
    "came late": {"symbol": "diamond", "size": 11, "color": PALETTE[3], "line": WHITE_EDGE},
    "lost": {"symbol": "x", "size": 9, "color": INK, "line": {"color": "white", "width": 1}},
    "not acknowledged": {"symbol": "x-thin", "size": 8, "line": {"color": INK, "width": 1.5}},
}


def _became(row: Any) -> str:
    if missing(row.region):
        return "not acknowledged"
    if row.fate == "lost":
        return "lost"
    return "came late" if row.missing else "acknowledged"


def _row(row: Any) -> str:
    return NOBODY if missing(row.region) else row.region


def _mark_outage(fig: go.Figure, frame: pd.DataFrame, rows: list[str]) -> None:
    first = frame.iloc[0]
    began, ended = first["outage_from_ms"], first["outage_to_ms"]
    if missing(ended):
        ended = frame["answered_ms"].max()
    fig.add_shape(type="rect", x0=began / 1000, x1=ended / 1000, y0=-0.5, y1=len(rows) - 0.5, line={"width": 0},
                  fillcolor=faded(QUIET, 0.13), layer="below")
    city = place_name(first["lost_region"]).split(" (")[0]
    fig.add_annotation(x=(began + ended) / 2000, y=0, text=f"<b>{city} is down</b>", showarrow=False,
                       font={"size": 13})
    acked = frame[frame["region"].notna()]
    since = acked[acked["sent_ms"] >= began].sort_values("answered_ms")
    if len(since):
        again = since.iloc[0]
        row = rows.index(again["region"]) - 0.36
        rto_ms = again["answered_ms"] - began
        _bracket(fig, Span(began, again["answered_ms"], f"RTO {_seconds(rto_ms)}"), row, anchor="left", yshift=14)
    gone = acked[acked["missing"].astype(bool)]
    oldest = min(began, gone["answered_ms"].min()) if len(gone) else began
    age = f", {_seconds(began - oldest)}" if len(gone) else ""
    rpo = Span(oldest, began, f"RPO {len(gone)} write{'' if len(gone) == 1 else 's'}{age}")
    _bracket(fig, rpo, 0.36, anchor="right", yshift=-14)


class Span(NamedTuple):
    """A measured time with its name."""

    from_ms: float
    to_ms: float
    text: str


def _bracket(fig: go.Figure, span: Span, y: float, *, anchor: str, yshift: int) -> None:
    """Draw a measured time, with its name at the left or right end."""
    from_ms, to_ms, text = span
    for x0, x1, half in ((from_ms, to_ms, 0.0), (from_ms, from_ms, 0.06), (to_ms, to_ms, 0.06)):
        fig.add_shape(type="line", x0=x0 / 1000, x1=x1 / 1000, y0=y - half, y1=y + half,
                      line={"color": INK, "width": 2})
    fig.add_annotation(x=(from_ms if anchor == "left" else to_ms) / 1000, y=y, text=f"<b>{text}</b>", showarrow=False,
                       xanchor=anchor, yshift=yshift, font={"size": 13})


def _seconds(value_ms: float) -> str:
    return f"{value_ms / 1000:.1f} s" if value_ms >= 100 else f"{value_ms:.0f} ms"
