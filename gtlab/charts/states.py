"""Bars that show the status of a table in each Region over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import BACK, CLEAR, INK, OTHER_STATUS, QUIET, STATUS_COLOURS
from gtlab.charts.columns import each_row, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.meta import describe
from gtlab.charts.text import city, listed, place_name, plain_text, short

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


_OF_ITEMS = frozenset({"there", "older", "not there"})  # of `watch.item`
_MOST_TEXTS = 200  # plotly tries the size of each text: with thousands, that takes minutes


def replica_states(frame: pd.DataFrame) -> go.Figure:
    """The status of a table in each Region, and of its global table where it is among the rows, over time.

    Columns, as the functions of `gtlab.watch` return them: region, status ("CREATING", "ACTIVE", …, or "absent"),
    start_s, end_s (seconds since the observation began). One row for each period with one status.

    Traces: one horizontal bar trace per status, named after it, in the order in which the statuses appear; one bar per
    row. x is in seconds.
    """
    need(frame, "replica_states", "region", "status", "start_s", "end_s")
    codes, statuses = unique(frame["region"]), unique(frame["status"])
    said = _finding(frame, codes)
    fig = figure(frame, title="Status in each Region over time", height=height_for(len(codes), 62),
                 legend=[short(status) for status in statuses])
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
            marker={"color": fill, "line": {"color": QUIET if fill == CLEAR else BACK, "width": 1}},
            name=short(status),
            text=[plain_text(status)] * len(rows),
            textposition="inside" if len(frame) <= _MOST_TEXTS else "none",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"color": ink, "size": 12},
            customdata=[[place_name(row.region), row.end_s] for row in each_row(rows)],
            hovertemplate="%{text}, %{base:.1f} to %{customdata[1]:.1f} s<extra>%{customdata[0]}</extra>",
        )
    region_axis(fig, codes)
    last = float(frame["end_s"].max())
    fig.update_xaxes(title_text="seconds since the observation began", range=[0, (last or 1.0) * 1.3])
    _note_ends(fig, frame, codes, last)
    # A bar that is too short for its text has none: the legend and the hover text name the status.
    fig.update_layout(barmode="overlay", uniformtext={"minsize": 12, "mode": "hide"})
    describe(fig, said, f"Bars that show the status of {listed(codes)} over {last:,.1f} seconds. {said}",
             frame[["region", "status", "start_s", "end_s"]])
    return fig


def _finding(frame: pd.DataFrame, codes: list[str]) -> str:
    """When each replica reached its last status."""
    ends = {code: frame[frame["region"] == code].sort_values("end_s", kind="stable").iloc[-1] for code in codes}
    if _OF_ITEMS.issuperset(end["status"] for end in ends.values()):
        return _finding_of_item(ends)
    names = {code: city(code) or ("the global table" if code == "global table" else code) for code in codes}
    if len({end["status"] for end in ends.values()}) > 1:
        return _differing([f"{names[code]} is {end['status']}" for code, end in ends.items()])
    last = max(codes, key=lambda code: ends[code]["start_s"])
    status, when = ends[last]["status"], f"{ends[last]['start_s']:,.1f} s"
    if len(codes) == 1:
        return f"{names[last]} is {status} after {when}."
    first = min(ends[code]["start_s"] for code in codes)
    if first == 0:
        early = [names[code] for code in codes if ends[code]["start_s"] == 0]
        begin = f"{_some(early)} {'is' if len(early) == 1 else 'are'} {status} from the beginning"
        late = "" if len(early) == len(codes) else f", and {names[last]}, the last one, after {when}"
        return f"{begin[0].upper()}{begin[1:]}{late}."
    return f"The first is {status} after {first:,.1f} s, and {names[last]}, the last one, after {when}."


def _finding_of_item(ends: dict[str, Any]) -> str:
    """The same of an item, which is there or not there: not the Region is there, but the item in it."""
    names = {code: city(code) or code for code in ends}
    if len({end["status"] for end in ends.values()}) > 1:
        return _differing([f"the item is {end['status']} in {names[code]}" for code, end in ends.items()])
    last = max(ends, key=lambda code: ends[code]["start_s"])
    status, when = ends[last]["status"], f"{ends[last]['start_s']:,.1f} s"
    early = [names[code] for code, end in ends.items() if end["start_s"] == 0]
    if len(early) == len(ends):
        return f"The item is {status} in {_some(early)} from the beginning."
    late = f"after {when} in {names[last]}" + (", the last one" if len(ends) > 1 else "")
    return f"The item is {status} " + (f"in {_some(early)} from the beginning, and {late}." if early else f"{late}.")


def _differing(said: list[str]) -> str:
    return f"At the end, {listed(said if len(said) <= 4 else [*said[:3], f'{len(said) - 3} more differ'])}."


def _some(names: list[str]) -> str:
    return listed(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])


def _note_ends(fig: go.Figure, frame: pd.DataFrame, codes: list[str], last: float) -> None:
    """Write a row's last status at its end if its bar is too short for the text: that is usual, because waiting ends as
    soon as the status is reached."""
    for at, code in enumerate(codes):
        end = frame[frame["region"] == code].sort_values("end_s", kind="stable").iloc[-1]
        if end["end_s"] - end["start_s"] < 0.1 * last or not last:
            fig.add_annotation(x=end["end_s"], y=at, text=f"→ {short(end['status'], 14)}", showarrow=False,
                               xanchor="left", font={"size": 12, "color": INK})
