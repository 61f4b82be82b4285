"""The failover drill: every write at its time and Region, the outage, the recovery time and the missing writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gtlab.charts.colours import BACK, INK, LABEL_BACKGROUND, QUIET, faded
from gtlab.charts.columns import each_row, finite, jitter, missing, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.text import city, place_name, plural

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
    not seen it), "not acknowledged". Shapes: the outage, and labelled brackets for the recovery time and for the
    missing writes. These are what the drill achieved; RTO and RPO are objectives. x is in seconds.
    """
    need(frame, "failover_timeline", *_COLUMNS)
    first = frame.iloc[0]
    rows = unique([first["lost_region"], *frame["region"]]) + ([NOBODY] if frame["region"].isna().any() else [])
    marks = {name: [row for row in each_row(frame) if _became(row) == name] for name in _LOOKS}
    said = _finding(frame)
    fig = figure(
        frame,
        title=f"Losing {city(first['lost_region']) or first['lost_region']}: who acknowledged each write",
        note="Mark: the answer. Line before it: the wait for the answer.",
        height=max(height_for(len(rows), 110), 140 + 40 * len(rows)),
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
                marker={"color": [look(row.region).colour if name == "acknowledged" else INK for row in found],
                        "symbol": [look(row.region).symbol for row in found] if name == "acknowledged" else None}
                | _LOOKS[name],
                name=name,
                text=[f"write {row.n}, answered after {row.answered_ms - row.sent_ms:,.0f} ms" for row in found],
                hovertemplate=f"%{{text}}: {name}<extra></extra>",
            )
    region_axis(fig, rows)
    last = max(finite([*frame["answered_ms"], *frame["outage_to_ms"]]), default=1.0) / 1000
    fig.update_xaxes(title_text="seconds since the first write", range=[-0.02 * last, 1.03 * last])
    if not missing(first["outage_from_ms"]):
        _mark_outage(fig, frame, rows, last)
    describe(fig, said, f"Every write of a drill as a mark in the row of the Region that acknowledged it, over "
             f"{last:,.1f} seconds. {said}", _table(marks, rows))
    return fig


def _finding(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    acked = frame[frame["region"].notna()]
    gone, lost = int(acked["missing"].astype(bool).sum()), int((acked["fate"] == "lost").sum())
    missed = (f"{plural(gone, 'acknowledged write')} {'was' if gone == 1 else 'were'} missing at the failover, "
              f"and {lost} {'was' if lost == 1 else 'were'} lost")
    if missing(first["outage_from_ms"]):
        return f"There was no outage; {missed}."
    again = acked[acked["sent_ms"] >= first["outage_from_ms"]]["answered_ms"]
    if again.empty:
        return f"No write was acknowledged after the outage began; {missed}."
    return (f"Writes were acknowledged again {_seconds(again.min() - first['outage_from_ms'])} after the outage "
            f"began; {missed}.")


def _table(marks: dict[str, list[Any]], rows: list[str]) -> pd.DataFrame:
    """How many writes had each result in each Region, and how long they waited for the answer at most."""
    import pandas as pd

    found = []
    for name, writes in marks.items():
        for region in rows:
            waits = [row.answered_ms - row.sent_ms for row in writes if _row(row) == region]
            if waits:
                found.append((region, name, len(waits), max(waits)))
    return pd.DataFrame(found, columns=["region", "result", "writes", "longest_wait_ms"])


_LOOKS: dict[str, dict[str, Any]] = {
    "acknowledged": {"size": 7},  # with the look of the Region
    "came late": {"symbol": "circle-open-dot", "size": 12, "line": {"width": 2}},
    "lost": {"symbol": "x", "size": 10, "line": {"color": BACK, "width": 1}},
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


def _mark_outage(fig: go.Figure, frame: pd.DataFrame, rows: list[str], last: float) -> None:
    """Shade the outage and draw what was achieved. ``last`` is the end of the time axis in seconds."""
    first = frame.iloc[0]
    began, ended = first["outage_from_ms"], first["outage_to_ms"]
    if missing(ended):
        ended = frame["answered_ms"].max()
    fig.add_shape(type="rect", x0=began / 1000, x1=ended / 1000, y0=-0.5, y1=len(rows) - 0.5, line={"width": 0},
                  fillcolor=faded(QUIET, 0.13), layer="below")
    name = place_name(first["lost_region"]).split(" (")[0]
    # The text begins or ends at the nearer end of the outage, so that it stays within the plot.
    late = began / 1000 > last / 2
    fig.add_annotation(x=(ended if late else began) / 1000, y=0, text=f"<b>{name} is down</b>", showarrow=False,
                       xanchor="right" if late else "left", font={"size": 12, "color": INK}, yshift=2)
    acked = frame[frame["region"].notna()]
    since = acked[acked["sent_ms"] >= began].sort_values("answered_ms")
    if len(since):
        again = since.iloc[0]
        row = rows.index(again["region"]) - 0.36
        took = _seconds(again["answered_ms"] - began)
        _bracket(fig, Span(began, again["answered_ms"], f"recovery {took}"), row, last)
    gone = acked[acked["missing"].astype(bool)]
    oldest = min(began, gone["answered_ms"].min()) if len(gone) else began
    age = f", {_seconds(began - oldest)}" if len(gone) else ""
    _bracket(fig, Span(oldest, began, f"missing: {plural(len(gone), 'write')}{age}"), 0.36, last)


class Span(NamedTuple):
    """A measured time with its name."""

    from_ms: float
    to_ms: float
    text: str


def _bracket(fig: go.Figure, span: Span, y: float, last: float) -> None:
    """Draw a measured time, with its name beside it. The time axis ends at ``last`` seconds."""
    from_ms, to_ms, text = span
    for x0, x1, half in ((from_ms, to_ms, 0.0), (from_ms, from_ms, 0.06), (to_ms, to_ms, 0.06)):
        fig.add_shape(type="line", x0=x0 / 1000, x1=x1 / 1000, y0=y - half, y1=y + half,
                      line={"color": INK, "width": 2})
    # Beside the bracket, on the side with more room.
    left = from_ms / 1000 > last - to_ms / 1000
    fig.add_annotation(x=(from_ms if left else to_ms) / 1000, y=y, text=f"<b>{text}</b>", showarrow=False,
                       xanchor="right" if left else "left", xshift=-6 if left else 6,
                       font={"size": 12, "color": INK}, bgcolor=LABEL_BACKGROUND, borderpad=0)


def _seconds(value_ms: float) -> str:
    return f"{value_ms / 1000:.1f} s" if value_ms >= 100 else f"{value_ms:.0f} ms"
