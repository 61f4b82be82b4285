"""The space-time diagram: what happened in each Region, and how it reached the others."""

from __future__ import annotations

import html
from collections import Counter
from math import log2
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import AMBER, BACK, EDGE, INK, QUIET, faded
from gtlab.charts.columns import missing, need, unique
from gtlab.charts.faults import broken, shade
from gtlab.charts.history import (
    ARRIVALS,
    READS,
    UNDERWAY,
    WRITES,
    Happening,
    happenings,
    together,
    told,
    underway,
    winners,
)
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.play import over_time
from gtlab.charts.spacetime_labels import MOST_LABELS, SHORT, Groups, label, middle
from gtlab.charts.text import listed, ms_span, place_name, plain_text, plural
from gtlab.intervals import median

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_COLUMNS = ("time", "kind", "region", "source", "key", "written_at", "lag_ms", "lost_to", "by_ms", "conflict", "knob",
            "place")
_DRAWN = ("write", "delete", "delivery", "discarded", "read")
MOST_EACH = 40   # events of a kind that are drawn each; more are drawn together
_LEGEND = {      # what is drawn first lies below
    UNDERWAY: "not arrived", "delivery": "delivery", "replaces": "replaces", "overtaken": "overtaken",
    "conflict": "loses", "wins": "wins", "write": "write", "delete": "delete", "read": "read",
    "stale read": "stale read"}
_READS_BELOW = 0.22  # rows: how far below its Region's line a read is drawn


def journal(frame: pd.DataFrame) -> go.Figure:
    """The space-time diagram of the local cloud's journal: see :func:`spacetime`."""
    need(frame, "journal", *_COLUMNS)
    return spacetime(frame)


def spacetime(frame: pd.DataFrame) -> go.Figure:
    """Space-time diagram of the local cloud's journal: one row per Region, time to the right, with a button that draws
    it over time.

    Columns, as `lab.events` returns them: time and written_at (timestamps), kind, region, source, key, lag_ms, lost_to,
    by_ms, conflict, knob, place (codes, separated by commas). Used if they are there: table, account, deleted,
    winner_written_at, and of reads stale, operation, items, stale_items, newer_in, newer_written_at, behind_ms. Events
    of other kinds are left out, which the note says. Raises ValueError if the events contain neither a write nor an
    arrival nor a read.

    Traces, as far as there are such events: "write" and "delete" (the Region's symbol, filled or open); "delivery" (a
    line with an open arrowhead from each write to the place and time at which it took effect), "not arrived" (a dashed
    line from a write that was not in another Region by the last event; at most MOST_EACH), "replaces" (a delivery
    with a filled arrowhead: the Region had another version of the item in these events); "overtaken" and "loses" (a
    dotted line that ends before the row, in a thin or bold cross: a newer write was there; "loses" is a conflict, in
    which neither of the two had seen the other), "wins" (a ring around the write that won a conflict); "read" and
    "stale read" (a stroke or an hourglass below the row); "labels". Of more than MOST_EACH events, those alike and
    close in time are drawn together, which the note says: deliveries as bands (traces "SOURCE, together"), others
    as larger marks. The last trace, "not yet", is what the button moves. Shapes: each fault from "broken" to "mended",
    over the rows of its Regions. x is in seconds since the first event.
    """
    need(frame, "spacetime", *_COLUMNS)
    shown = frame[frame["kind"].isin(_DRAWN)]
    if shown.empty:
        raise ValueError("spacetime has nothing to draw: these events contain no write, no arrival and no read.")
    drawn = frame[frame["kind"].isin((*_DRAWN, "broken", "mended"))]
    written = shown.loc[shown["kind"] != "read", "written_at"]
    begin = min(time for time in (drawn["time"].min(), written.min()) if not missing(time))
    events = happenings(shown, begin, plain_text)
    codes = unique([*(event.region for event in events if event.what in WRITES),
                    *(event.source for event in events if event.source), *(event.region for event in events)])
    last = max(float((drawn["time"].max() - begin).total_seconds()), 0.001)
    waiting = underway(events, last)
    groups = _groups(events if len(waiting) > MOST_EACH else [*events, *waiting], last)
    said = _finding(events, len(waiting))
    fig = figure(
        frame,
        title="What happened: writes, and where they went",
        note=_left_out(frame, groups),
        height=height_for(len(codes), 86),
        legend=[_LEGEND[what] for what in groups],
    )
    faults = list(broken(frame, codes, begin, last))
    for fault in faults:
        shade(fig, fault)
    _draw(fig, groups, codes)
    region_axis(fig, codes, lines=True)
    fig.update_xaxes(title_text="seconds since the first event", range=[-0.03 * last, 1.06 * last], showgrid=False)
    fig.update_yaxes(range=[len(codes) - 0.45, -0.6])
    label(fig, groups, faults, codes)
    fig.update_layout(legend_itemsizing="constant")
    over_time(fig, 0.0, last, "s")
    describe(fig, said, f"{_alt(codes, last, frame)} {said}", _table(events))
    return fig


def _groups(events: list[Happening], span: float) -> dict[str, Groups]:
    """What is drawn as one, by the keys of _LEGEND, in its order; without those of which there are no events."""
    by_kind = {what: [event for event in events if event.what == what] for what in _LEGEND}
    by_kind["wins"] = winners(events)
    return {what: list(together(found, MOST_EACH, span)) for what, found in by_kind.items() if found}


def _left_out(frame: pd.DataFrame, groups: dict[str, Groups]) -> str:
    """What of the events is not drawn, or not each by itself."""
    joined = {what: (sum(map(len, found)), len(found)) for what, found in groups.items()
              if what != "wins" and len(found) < sum(map(len, found))}
    lines = []
    if joined:
        lines.append("Drawn together where they are close: " + ", ".join(
            f"{count:,} {_many(what)} as {marks}" for what, (count, marks) in joined.items()) + ".")
    other = Counter(frame.loc[~frame["kind"].isin((*_DRAWN, "broken", "mended")), "kind"])
    if other:
        lines.append("Not drawn: " + ", ".join(f"{count} {kind}" for kind, count in sorted(other.items())) + ".")
    return " ".join(lines)


def _many(what: str) -> str:
    return {"delivery": "deliveries", "replaces": "deliveries that replace", "overtaken": "overtaken deliveries",
            "conflict": "lost conflicts"}.get(what, f"{what}s")


# Marks

def _draw(fig: go.Figure, groups: dict[str, Groups], codes: list[str]) -> None:
    for what in ARRIVALS:
        for source in codes:
            bands = [group for group in groups.get(what, []) if len(group) > 1 and group[0].source == source]
            if bands:
                fig.add_scatter(**_bands(bands, codes, source), legendgroup=what)
    lags = [event.ms / 1000 for what in ARRIVALS for group in groups.get(what, []) for event in group if event.ms]
    for what, found in groups.items():
        if what == UNDERWAY:
            fig.add_scatter(**_ways(found, codes, median(lags) if lags else 1.0), name=_LEGEND[what])
            continue
        fig.add_scatter(**(_paths(what, found, codes) if what in ARRIVALS else _marks(what, found, codes)),
                        name=_LEGEND[what], legendgroup=what)


def _size(group: list[Happening], alone: float) -> float:
    """The size of a mark in pixels: that of a single event, and more for several."""
    return round(alone if len(group) == 1 else min(26.0, alone + 2.2 * log2(len(group))), 1)


def _marks(what: str, groups: Groups, codes: list[str]) -> dict[str, Any]:
    """Writes, rings around the winners, and reads."""
    read = what in READS
    symbols: list[str] | str = {"read": "line-ns-open", "stale read": "hourglass", "wins": "circle-open"}.get(what, "")
    alone = {"read": 8, "stale read": 12, "wins": 20 if len(groups) <= MOST_LABELS else 15}.get(what, 11)
    colour: list[str] | str = {"read": QUIET, "stale read": AMBER, "wins": INK}.get(what, "")
    if what in WRITES:
        looks = [look(group[0].region) for group in groups]
        colour = [each.colour for each in looks]
        symbols = [each.symbol + ("-open" if what == "delete" else "") for each in looks]
    edge = {"width": 2} if what in ("wins", "delete", "read") else {**EDGE, "width": 1}
    return {
        "x": [middle([event.x for event in group]) for group in groups],
        "y": [codes.index(group[0].region) + (_READS_BELOW if read else 0) for group in groups],
        "mode": "markers",
        "marker": {"size": [_size(group, alone) for group in groups], "symbol": symbols, "color": colour, "opacity": 1,
                   "line": edge},
        "text": [told(group) for group in groups],
        "hovertemplate": "%{text}<extra></extra>",
    }


_EDGES = {"delivery": {"width": 1.5}, "replaces": {"width": 0.5, "color": BACK},
          "overtaken": {"width": 2, "color": QUIET}, "conflict": {"width": 0.5, "color": BACK}}


def _paths(what: str, groups: Groups, codes: list[str]) -> dict[str, Any]:
    """A line from each write to its arrival, with a mark for the result. Of a group, only the mark: its line is the
    band."""
    symbol, size = {"delivery": ("triangle-up-open", 9), "replaces": ("triangle-up", 10), "overtaken": ("x-thin", 9),
                    "conflict": ("x", 12)}[what]
    loses = what in ("overtaken", "conflict")
    ink = INK if what == "conflict" else QUIET
    colours = [ink if loses else look(group[0].source).colour for group in groups]
    starts = [middle([event.from_x for event in group if event.from_x is not None]) for group in groups]
    ends = [middle([event.x for event in group]) for group in groups]
    rows = [(codes.index(group[0].source), float(codes.index(group[0].region))) for group in groups]
    if loses:  # what loses does not get in
        rows = [(a, b + SHORT if a > b else b - SHORT) for a, b in rows]
    each = len(groups) <= MOST_EACH // 2
    crowded = any(len(group) > 1 for group in groups)
    sizes = [0 if crowded and not loses and len(group) == 1 else _size(group, size) for group in groups]
    return {
        "x": [x for start, end in zip(starts, ends, strict=True) for x in (start, end, None)],
        "y": [y for a, b in rows for y in (a, b, None)],
        "mode": "lines+markers",
        "line": {"color": faded(ink, 0.8 if each or loses else 0.35), "width": 1.5 if each or loses else 1,
                 "dash": "dot" if loses else "solid"},
        # No mark at the beginning of a line: the write has one there.
        "marker": {"symbol": symbol, "angleref": "up" if loses else "previous",
                   "size": [px for size in sizes for px in (0, size, 0)], "opacity": 1,
                   "color": [colour for colour in colours for _ in range(3)],
                   "line": _EDGES[what]},
        "text": [text for group in groups for text in ("", told(group), "")],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ways(groups: Groups, codes: list[str], lag: float) -> dict[str, Any]:
    """A dashed line for what has not arrived: as far on its way as after ``lag`` (seconds) it would have arrived."""
    x: list[float | None] = []
    y: list[float | None] = []
    for (event,) in groups:
        start, a, b = event.from_x or 0.0, codes.index(event.source), codes.index(event.region)
        x += [round(start, 4), round(event.x, 4), None]
        y += [a, round(a + (b - a) * min(0.75, (event.x - start) / (lag or 1.0)), 4), None]
    return {"x": x, "y": y, "mode": "lines+markers", "line": {"color": QUIET, "width": 1.5, "dash": "dash"},
            "marker": {"symbol": "hexagon-open", "size": [0, 8, 0] * len(groups), "color": QUIET, "opacity": 1,
                       "line": {"width": 1.5}},
            "text": [text for (event,) in groups for text in ("", event.told(), "")],
            "hovertemplate": "%{text}<extra></extra>"}


def _bands(groups: Groups, codes: list[str], source: str) -> dict[str, Any]:
    """Deliveries that are drawn together: from the first and the last write to the first and the last arrival."""
    x: list[float | None] = []
    y: list[int | None] = []
    for group in groups:
        starts = [event.from_x for event in group if event.from_x is not None]
        ends = [event.x for event in group]
        a, b = codes.index(source), codes.index(group[0].region)
        corners = [(min(starts), a), (max(starts), a), (max(ends), b), (min(ends), b)]
        x += [*(round(corner[0], 4) for corner in [*corners, corners[0]]), None]
        y += [*(corner[1] for corner in [*corners, corners[0]]), None]
    return {"x": x, "y": y, "mode": "lines", "line": {"width": 0.5, "color": faded(look(source).colour, 0.5)},
            "fill": "toself", "fillcolor": faded(look(source).colour, 0.18), "name": f"{source}, together",
            "showlegend": False, "hoverinfo": "skip"}


# Words

def _finding(events: list[Happening], waiting: int) -> str:
    """One sentence: how long deliveries took, what lost, what has not arrived (``waiting``), and how many reads were
    stale."""
    counts = Counter(event.what for event in events)
    writes = counts["write"] + counts["delete"]
    lags = [event.ms for event in events if event.what in ARRIVALS and event.ms is not None]
    parts = [f"{plural(writes, 'write')}, {plural(len(lags), 'arrival')} in other Regions"
             + (f" after {ms_span(min(lags), max(lags))}" if lags else "")]
    lost, overtaken = counts["conflict"], counts["overtaken"]
    parts.append(f"{plural(lost, 'arrival')} lost a conflict" if lost else "none lost a conflict")
    if overtaken:
        parts.append(f"{plural(overtaken, 'arrival')} came after a newer write")
    if waiting:
        parts.append(f"{waiting:,} deliver{'y' if waiting == 1 else 'ies'} had not arrived by the end")
    if counts["read"]:
        parts.append(f"{counts['stale read']} of {plural(counts['read'] + counts['stale read'], 'read')} were stale")
    elif counts["stale read"]:
        parts.append(plural(counts["stale read"], "stale read"))
    return "; ".join(parts) + "."


def _alt(codes: list[str], last: float, frame: pd.DataFrame) -> str:
    rows = listed([place_name(code) for code in codes])
    faults = Counter(frame.loc[frame["kind"] == "broken", "knob"])
    broken = "".join(f" Shaded: {knob}{f', {count} times' if count > 1 else ''}." for knob, count in faults.items())
    return (f"Space-time diagram of {last:.2g} seconds: a row for each of {rows}, and time to the right. Points are "
            "writes, slanted lines go from a write to its arrival, crosses are arrivals that lost to a newer write."
            + broken)


def _table(events: list[Happening]) -> pd.DataFrame:
    """The events in their order. ``other_version``: what was replaced, or missed by a read, or won."""
    import pandas as pd

    def version(found: object) -> str | None:
        return None if found is None else str(found)

    return pd.DataFrame(
        [(event.x * 1000, event.region, _LEGEND[event.what], html.unescape(event.item), event.source or None,
          version(event.new), version(event.old), event.ms) for event in events],
        columns=["time_ms", "region", "event", "item", "source", "version", "other_version", "lag_or_age_ms"])
