"""Bars of the status each replica was in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtlab.charts.look import figure, height_for, need, place_name, plain_text, region_axis, unique

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# Fill and text colour of each table status; text keeps a contrast of 4.5 or more on its fill.
STATUS_COLOURS = {
    "CREATING": ("#E69F00", "#000000"),
    "ACTIVE": ("#00704F", "#FFFFFF"),
    "UPDATING": ("#56B4E9", "#000000"),
    "DELETING": ("#B84A00", "#FFFFFF"),
    "absent": ("#DDE1E6", "#333333"),
    # Of an item, as gtlab.watch sees it.
    "not there": ("#DDE1E6", "#333333"),
    "older": ("#E69F00", "#000000"),
    "there": ("#00704F", "#FFFFFF"),
}
OTHER_STATUS = ("#CC79A7", "#000000")


def replica_states(frame: pd.DataFrame) -> go.Figure:
    """Which status each replica was seen in, and when.

    Columns: region, status ("CREATING", "ACTIVE", ..., or "absent"), start_s, end_s (seconds since the
    observation began). One row for each period a replica was seen in one status.

    Traces: one horizontal bar trace a status, named after it, in the order the statuses appear; one bar a
    row.
    """
    need(frame, "replica_states", "region", "status", "start_s", "end_s")
    codes, statuses = unique(frame["region"]), unique(frame["status"])
    fig = figure(
        frame, title="Status of each replica over time", height=height_for(len(codes), 62), legend=statuses
    )
    for status in statuses:
        rows = frame[frame["status"] == status]
        fill, ink = STATUS_COLOURS.get(status, OTHER_STATUS)
        lasted = [end - start for start, end in zip(rows["start_s"], rows["end_s"], strict=True)]
        fig.add_bar(
            orientation="h",
            y=[codes.index(code) for code in rows["region"]],
            base=list(rows["start_s"]),
            x=lasted,
            width=0.62,
            marker={"color": fill, "line": {"color": "white", "width": 1}},
            name=plain_text(status),
            text=[plain_text(status)] * len(rows),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"color": ink, "size": 12},
            customdata=[[place_name(row.region), row.end_s] for row in rows.itertuples()],
            hovertemplate="%{text}, %{base:.1f} to %{customdata[1]:.1f} s<extra>%{customdata[0]}</extra>",
        )
    region_axis(fig, codes)
    last = float(frame["end_s"].max())
    fig.update_xaxes(title_text="seconds since the observation began", range=[0, (last or 1.0) * 1.14])
    _note_ends(fig, frame, codes, last)
    # A bar too short for its word shows none: the legend and the hover text name it.
    fig.update_layout(barmode="overlay", uniformtext={"minsize": 12, "mode": "hide"})
    return fig


def _note_ends(fig: go.Figure, frame: pd.DataFrame, codes: list[str], last: float) -> None:
    """Name the status in which a row ends, where its bar is too short for the word: waiting ends as it begins."""
    for at, code in enumerate(codes):
        end = frame[frame["region"] == code].sort_values("end_s", kind="stable").iloc[-1]
        if end["end_s"] - end["start_s"] < 0.1 * last or not last:
            fig.add_annotation(x=end["end_s"], y=at, text=f"→ {plain_text(end['status'])}", showarrow=False,
                               xanchor="left", font={"size": 12})
