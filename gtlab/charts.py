"""Charts of the course: a data frame in, a plotly figure out.

No function here reads the network, keeps state or displays anything. Every figure is plain SVG (lines, bars,
filled outlines) and needs no file from elsewhere, so it draws offline. Times are milliseconds where a
column's name ends in `_ms` and seconds where it ends in `_s`.

A frame may have a column `backend`, such as "simulated: local cloud, realistic network" or "AWS". What it
says is printed under the title, so that a simulated figure cannot be mistaken for a measurement of AWS.

Every function raises ValueError for a frame that lacks a column (and names it) or has no rows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from gtlab import regions

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is left out, being unreadable
# on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")

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

INK, QUIET, GRID = "#1F2933", "#5A6572", "#E6E9ED"
LAND, COAST, SEA = "#E3E7EA", "#C3CAD1", "#F7FAFC"
HOME, REPLICA = PALETTE[1], PALETTE[0]

# A notebook's output is about this wide; only used to judge whether two labels would touch.
NOMINAL_WIDTH = 880


# ------------------------------------------------------------------------------------------------------ map


def region_map(frame: pd.DataFrame) -> go.Figure:
    """Map of a home Region, its replicas, and the round trips between them.

    Columns, as `gtlab.regions.frame` gives them: region, place, latitude, longitude (degrees), role ("home" or
    "replica"), rtt_ms (from home). Needs exactly one home.

    Traces: "land"; one line per replica (named "home to replica"); "replica" (circles) and "home" (a
    diamond). The labels are annotations. The map shows the Regions with some room around them, up to the
    whole world, and is cut at the widest gap between them, so that a line over the Pacific is drawn over the
    Pacific.
    """
    _need(frame, "region_map", "region", "place", "latitude", "longitude", "role", "rtt_ms")
    homes, replicas = frame[frame["role"] == "home"], frame[frame["role"] != "home"]
    if len(homes) != 1:
        raise ValueError(f'region_map needs exactly one row with role "home"; this frame has {len(homes)}.')

    height, top, edge = 440, 84, 12
    view = _View.around(
        list(frame["longitude"]), list(frame["latitude"]), NOMINAL_WIDTH - 2 * edge, height - top - edge
    )
    fig = _figure(
        frame,
        title=f"Home Region {_place(homes['region'].iloc[0])} and its replicas",
        note="Round trips: measured medians (cloudping.co, 2024-25). Lines are not cable routes.",
        height=height,
    )
    fig.add_scatter(**_land(view))
    home = homes.iloc[0]
    spots = {row.region: view.pixel(row.longitude, row.latitude) for row in frame.itertuples()}
    layout = _Labels(view.width, view.height)
    for spot in spots.values():
        layout.block(_Box(*spot, 18, 18))
    arcs = {row.region: _arc(spots[home.region], spots[row.region], layout) for row in replicas.itertuples()}
    for code, arc in arcs.items():
        layout.avoid(arc, code)
        fig.add_scatter(
            x=[view.longitude(x) for x, _ in arc],
            y=[view.latitude(y) for _, y in arc],
            mode="lines",
            line={"color": REPLICA, "width": 2},
            name=f"{home.region} to {code}",
            hoverinfo="skip",
        )
    for rows, colour, symbol, size in ((replicas, REPLICA, "circle", 12), (homes, HOME, "diamond", 15)):
        fig.add_scatter(**_dots(rows, view, colour, symbol, size))
    _label_map(fig, frame, spots, arcs, layout)
    axis = {"visible": False, "fixedrange": True}
    fig.update_xaxes(range=[view.west, view.east], **axis)
    fig.update_yaxes(range=[view.south, view.north], **axis)
    fig.update_layout(plot_bgcolor=SEA, showlegend=False, margin={"l": edge, "r": edge, "t": top, "b": edge})
    return fig


@dataclass(frozen=True)
class _View:
    """The part of the world on the map, and its size in pixels. Longitudes may run on past 180."""

    west: float
    east: float
    south: float
    north: float
    width: float
    height: float

    @classmethod
    def around(cls, longitudes: list[float], latitudes: list[float], width: float, height: float) -> _View:
        """A view of these points with room for their labels, filling `width` x `height` pixels."""
        west, east = _shortest_span(longitudes)
        south, north = min(latitudes), max(latitudes)
        middle_lon, middle_lat = (west + east) / 2, (south + north) / 2
        # Away from the equator a degree of longitude is shorter than one of latitude; else Europe is squat.
        stretch = min(1.5, 1 / math.cos(math.radians(middle_lat)))
        # The outline is too coarse for a closer look than 44 degrees; 1.5 leaves room for labels beside dots.
        wide, tall = max(44.0, (east - west) * 1.5), max(14.0, (north - south) * 1.6)
        scale = min(width / wide, height / (tall * stretch))
        if width / scale > 360:
            scale = width / 360
            stretch = height / scale / max(132.0, (north - south) * 1.2)
        half_lon, half_lat = width / scale / 2, height / scale / stretch / 2
        if half_lon > 150:
            # Nearly all of the world: show all of it, as people know it, unless that would cut a line.
            middle_lon = 10.0 if abs(middle_lon - 10) < half_lon - (east - west) / 2 - 20 else middle_lon
        middle_lat = max(-62 + half_lat, min(84 - half_lat, middle_lat))
        return cls(
            middle_lon - half_lon,
            middle_lon + half_lon,
            middle_lat - half_lat,
            middle_lat + half_lat,
            width,
            height,
        )

    def shift(self, longitude: float) -> float:
        """The same meridian, given as a longitude within this view."""
        return self.west + (longitude - self.west) % 360

    def pixel(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Pixels right of the left edge and below the upper edge."""
        x = (self.shift(longitude) - self.west) / (self.east - self.west) * self.width
        return x, (self.north - latitude) / (self.north - self.south) * self.height

    def longitude(self, x: float) -> float:
        return self.west + x / self.width * (self.east - self.west)

    def latitude(self, y: float) -> float:
        return self.north - y / self.height * (self.north - self.south)


def _shortest_span(longitudes: list[float]) -> tuple[float, float]:
    """West and east end of the shortest stretch around the globe that holds all longitudes; east may exceed
    180."""
    ordered = sorted({longitude % 360 for longitude in longitudes})
    following = [*ordered[1:], ordered[0] + 360]
    # The widest gap between neighbours is where the map is cut.
    _, last, first = max(
        (after - before, before, after) for before, after in zip(ordered, following, strict=True)
    )
    west, east = first % 360, last if last >= first % 360 else last + 360
    return (west - 360, east - 360) if (west + east) / 2 > 180 else (west, east)


def _land(view: _View) -> dict[str, Any]:
    """The land in view, as one filled trace; copies to the west and east fill a view across the Pacific."""
    x: list[float | None] = []
    y: list[float | None] = []
    for offset in (-360, 0, 360):
        for ring in regions.land_rings():
            lons, lats = [point[0] + offset for point in ring], [point[1] for point in ring]
            in_view = max(lons) >= view.west and min(lons) <= view.east and max(lats) >= view.south
            if in_view and min(lats) <= view.north:
                x += [*(round(lon, 1) for lon in lons), None]
                y += [*lats, None]
    return {
        "x": x,
        "y": y,
        "mode": "lines",
        "fill": "toself",
        "fillcolor": LAND,
        "line": {"color": COAST, "width": 0.7},
        "name": "land",
        "hoverinfo": "skip",
    }


def _dots(rows: pd.DataFrame, view: _View, colour: str, symbol: str, size: int) -> dict[str, Any]:
    return {
        "x": [view.shift(longitude) for longitude in rows["longitude"]],
        "y": list(rows["latitude"]),
        "mode": "markers",
        "marker": {"color": colour, "symbol": symbol, "size": size, "line": {"color": "white", "width": 1.5}},
        "name": "home" if symbol == "diamond" else "replica",
        "text": [f"{_place(row.region)}: {_ms(row.rtt_ms)} from home" for row in rows.itertuples()],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _arc(
    start: tuple[float, float], end: tuple[float, float], layout: _Labels, points: int = 24
) -> list[tuple[float, float]]:
    """A slightly bent line in pixels: of several bends, the one clearest of the dots and other lines."""
    (x0, y0), (x1, y1) = start, end
    arcs = []
    for bend in (0.12, -0.12, 0.24, -0.24):
        # Upwards for a positive bend, whichever way the line runs.
        sign = 1 if x1 >= x0 else -1
        xc, yc = (x0 + x1) / 2 + sign * bend * (y1 - y0), (y0 + y1) / 2 - sign * bend * (x1 - x0)
        steps = [step / points for step in range(points + 1)]
        arc = [
            (
                (1 - t) ** 2 * x0 + 2 * t * (1 - t) * xc + t * t * x1,
                (1 - t) ** 2 * y0 + 2 * t * (1 - t) * yc + t * t * y1,
            )
            for t in steps
        ]
        # The ends lie in the dots' own boxes and say nothing.
        inner = [_Box(x, y, 6, 6) for x, y in arc[3:-3]]
        arcs.append((sum(layout.cost(box) for box in inner) + abs(bend) * 100, arc))
    return min(arcs, key=lambda scored: scored[0])[1]


def _label_map(
    fig: go.Figure,
    frame: pd.DataFrame,
    spots: dict[str, tuple[float, float]],
    arcs: dict[str, list[tuple[float, float]]],
    layout: _Labels,
) -> None:
    """Name every dot and line, each where it covers least; among many Regions a line may stay unnamed."""
    crowded = len(frame) > 9
    for row in frame.itertuples():
        mark = " (home)" if row.role == "home" else ""
        lines = [row.region + mark] if crowded else [_text(row.place) + mark, row.region]
        width, height = max(map(_text_width, lines)) + 6, 15 * len(lines) + 4
        box = layout.place(_around(spots[row.region], width, height), always=True)
        lines[0] = f"<b>{lines[0]}</b>"
        colour = HOME if row.role == "home" else REPLICA
        _annotate_pixel(fig, layout, box, "<br>".join(lines), {"color": _darker(colour), "size": 12})
    for row in frame[frame["role"] != "home"].itertuples():
        text, arc = _ms(row.rtt_ms), arcs[row.region]
        order = sorted(range(3, len(arc) - 3), key=lambda step: abs(step - len(arc) * 0.5))
        size = (_text_width(text) + 8, 19)
        box = layout.place((_Box(*arc[step], *size) for step in order), always=not crowded, owner=row.region)
        if box:
            _annotate_pixel(
                fig, layout, box, text, {"color": INK, "size": 13}, bgcolor="white", bordercolor=COAST
            )


def _annotate_pixel(
    fig: go.Figure, layout: _Labels, box: _Box, text: str, font: dict[str, Any], **look: Any
) -> None:
    # Fractions of the plot, not degrees: labels keep their distance when the notebook is wider than assumed.
    fig.add_annotation(
        xref="paper",
        yref="paper",
        x=box.x / layout.width,
        y=1 - box.y / layout.height,
        xanchor="center",
        yanchor="middle",
        text=text,
        font=font,
        showarrow=False,
        borderpad=1,
        **look,
    )


def _around(spot: tuple[float, float], width: float, height: float) -> Iterator[_Box]:
    """Places for a label near a dot, best first: above, below, beside, at the corners, then further out."""
    x, y = spot
    for gap in (11, 22, 36):
        up, side = gap + height / 2, gap + width / 2
        for dx, dy in (
            *((0, -up), (0, up), (side, 0), (-side, 0)),
            *(
                (side * 0.8, -up * 0.8),
                (-side * 0.8, -up * 0.8),
                (side * 0.8, up * 0.8),
                (-side * 0.8, up * 0.8),
            ),
        ):
            yield _Box(x + dx, y + dy, width, height)


@dataclass(frozen=True)
class _Box:
    """A rectangle in pixels, by its centre."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: _Box) -> float:
        """Shared area, in square pixels."""
        across = (self.width + other.width) / 2 - abs(self.x - other.x)
        down = (self.height + other.height) / 2 - abs(self.y - other.y)
        return across * down if across > 0 and down > 0 else 0.0


@dataclass
class _Labels:
    """Puts labels where they cover nothing, as far as that can be done."""

    width: float
    height: float
    taken: list[_Box] = field(default_factory=list)
    soft: list[tuple[str, _Box]] = field(default_factory=list)

    def block(self, box: _Box) -> None:
        """Nothing may cover this."""
        self.taken.append(box)

    def avoid(self, points: Iterable[tuple[float, float]], owner: str) -> None:
        """Better not cover these points of a line; only its owner's own label may sit on it."""
        self.soft += [(owner, _Box(x, y, 6, 6)) for x, y in points]

    def cost(self, box: _Box, owner: str = "") -> float:
        """How bad a place is: outside the plot is worst, then over a dot or a label, then over a line."""
        outside = (
            max(0.0, box.width / 2 - box.x)
            + max(0.0, box.x + box.width / 2 - self.width)
            + max(0.0, box.height / 2 - box.y)
            + max(0.0, box.y + box.height / 2 - self.height)
        )
        hard = sum(box.overlap(other) for other in self.taken)
        return (
            1000 * outside + 10 * hard + sum(box.overlap(point) for line, point in self.soft if line != owner)
        )

    def place(self, candidates: Iterable[_Box], *, always: bool, owner: str = "") -> _Box | None:
        """The best candidate, earlier ones preferred. None if it covers a label, unless `always`."""
        scored = [(self.cost(box, owner) + 3 * rank, box) for rank, box in enumerate(candidates)]
        best = min(scored, key=lambda pair: pair[0])[1]
        if not always and any(best.overlap(other) for other in self.taken):
            return None
        self.block(best)
        return best


# ---------------------------------------------------------------------------------------------- status bars


def replica_states(frame: pd.DataFrame) -> go.Figure:
    """Which status each replica was seen in, and when.

    Columns: region, status ("CREATING", "ACTIVE", ..., or "absent"), start_s, end_s (seconds since the
    observation began). One row for each period a replica was seen in one status.

    Traces: one horizontal bar trace a status, named after it, in the order the statuses appear; one bar a
    row.
    """
    _need(frame, "replica_states", "region", "status", "start_s", "end_s")
    codes, statuses = _unique(frame["region"]), _unique(frame["status"])
    fig = _figure(
        frame, title="Status of each replica over time", height=_height(len(codes), 62), legend=statuses
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
            name=_text(status),
            text=[_text(status)] * len(rows),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"color": ink, "size": 12},
            customdata=[[_place(row.region), row.end_s] for row in rows.itertuples()],
            hovertemplate="%{text}, %{base:.1f} to %{customdata[1]:.1f} s<extra>%{customdata[0]}</extra>",
        )
    _region_axis(fig, codes)
    fig.update_xaxes(title_text="seconds since the observation began", rangemode="tozero")
    # A bar too short for its word shows none: the legend and the hover text name it.
    fig.update_layout(barmode="overlay", uniformtext={"minsize": 12, "mode": "hide"})
    return fig


# ------------------------------------------------------------------------------------------ replication lag


def arrivals(frame: pd.DataFrame) -> go.Figure:
    """Space-time diagram: a line a Region, time to the right, and every write on its way to the other
    Regions.

    Columns: write (its label), region, role ("source" or "target"), sent_ms (when the write was sent, on the
    time axis: 0 for the first), seen_min_ms and seen_max_ms (same axis). The write arrived at a target after
    seen_min_ms, the last poll that did not see it, and before seen_max_ms, the first that did. Both are
    ignored for a source; missing at a target means that it was never seen there. One source row per write;
    one target row per arrival.

    Traces: per arrival a wedge (when it may have been under way), a line to the middle of the interval, and a
    thick bar, all named "write to region"; then "source" (a dot per write) and, if any, "not seen" (crosses
    at the right).
    """
    _need(frame, "arrivals", "write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms")
    sources, targets = frame[frame["role"] == "source"], frame[frame["role"] != "source"]
    origin = {row.write: row.region for row in sources.itertuples()}
    orphans = [write for write in _unique(targets["write"]) if write not in origin]
    if orphans:
        raise ValueError(f'arrivals needs a row with role "source" for every write; none for {orphans[0]!r}.')

    codes = _unique([*sources["region"], *targets["region"]])
    colours = _colours(codes)
    fig = _figure(frame, title="From the write to its arrival in each Region", height=_height(len(codes), 92))
    times = [
        t for column in ("sent_ms", "seen_min_ms", "seen_max_ms") for t in frame[column] if not _missing(t)
    ]
    begin, end = min(0.0, *times), max(times)
    span = (end - begin) or 1.0

    notes = [
        (row.sent_ms, codes.index(row.region), f"<b>{_text(row.write)}</b>", INK)
        for row in sources.itertuples()
    ]
    lost: list[tuple[int, str]] = []
    for row in targets.itertuples():
        start, here = codes.index(origin[row.write]), codes.index(row.region)
        name, colour = f"{_text(row.write)} to {row.region}", colours[row.region]
        if _missing(row.seen_min_ms) or _missing(row.seen_max_ms):
            lost.append((here, name))
            line = {"color": colour, "width": 1.5, "dash": "dot"}
            fig.add_scatter(
                x=[row.sent_ms, end + 0.03 * span], y=[start, here], mode="lines", line=line, name=name
            )
            continue
        for trace in _arrival(row, start, here, colour, name):
            fig.add_scatter(**trace)
        # With more arrivals than this their labels would hide the lines; the hover text still has them.
        if len(targets) <= 15:
            middle = (row.seen_min_ms + row.seen_max_ms) / 2
            text = _span(row.seen_min_ms - row.sent_ms, row.seen_max_ms - row.sent_ms)
            notes.append((middle, here, text, _darker(colour)))
    fig.add_scatter(**_sent(sources, codes, colours))
    if lost:
        fig.add_scatter(**_lost(lost, end + 0.03 * span))
        notes += [(end + 0.03 * span, here, "not seen", INK) for here in sorted({here for here, _ in lost})]

    _region_axis(fig, codes, colours, lines=True)
    fig.update_xaxes(
        title_text="milliseconds since the first write was sent",
        range=[begin - 0.03 * span, end + 0.10 * span],
    )
    fig.update_layout(showlegend=False, margin={"b": 52, "l": 120, "r": 30})
    _note_times(fig, notes)
    return fig


def _sent(sources: pd.DataFrame, codes: list[str], colours: dict[str, str]) -> dict[str, Any]:
    return {
        "x": list(sources["sent_ms"]),
        "y": [codes.index(code) for code in sources["region"]],
        "mode": "markers",
        "marker": {"size": 12, "color": [colours[code] for code in sources["region"]], "line": _WHITE_EDGE},
        "name": "source",
        "text": [_text(write) for write in sources["write"]],
        "hovertemplate": "%{text}: sent at %{x:,.0f} ms<extra></extra>",
    }


def _lost(lost: Sequence[tuple[int, str]], x: float) -> dict[str, Any]:
    return {
        "x": [x] * len(lost),
        "y": [row for row, _ in lost],
        "mode": "markers",
        "marker": {"symbol": "x", "size": 11, "color": INK},
        "name": "not seen",
        "text": [f"{name}: not seen by the last poll" for _, name in lost],
        "hovertemplate": "%{text}<extra></extra>",
    }


_WHITE_EDGE = {"color": "white", "width": 1.5}


def _arrival(row: Any, start: int, here: int, colour: str, name: str) -> Iterator[dict[str, Any]]:
    """The three traces of one arrival."""
    early, late = row.seen_min_ms, row.seen_max_ms
    quiet = {"name": name, "hoverinfo": "skip"}
    yield {
        "x": [row.sent_ms, early, late, row.sent_ms],
        "y": [start, here, here, start],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": _faded(colour, 0.15),
        "line": {"width": 0},
        **quiet,
    }
    line = {"color": colour, "width": 1.5}
    yield {"x": [row.sent_ms, (early + late) / 2], "y": [start, here], "mode": "lines", "line": line, **quiet}
    lag = _span(early - row.sent_ms, late - row.sent_ms)
    yield {
        "x": [early, late],
        "y": [here, here],
        "mode": "lines",
        "line": {"color": colour, "width": 9},
        "name": name,
        "hovertemplate": f"{name}: {lag} after it was sent<extra></extra>",
    }


def _note_times(fig: go.Figure, notes: Sequence[tuple[float, int, str, str]]) -> None:
    """Write each (time, row, text, colour) above or below its place; skip what would cover another.

    The figure's axes, height and margins must be final.
    """
    (first, last), (below, above), margin = fig.layout.xaxis.range, fig.layout.yaxis.range, fig.layout.margin
    labels = _Labels(NOMINAL_WIDTH - margin.l - margin.r, fig.layout.height - margin.t - margin.b)
    for time_ms, row, text, colour in notes:
        x = (time_ms - first) / (last - first) * labels.width
        y = (row - above) / (below - above) * labels.height
        width = _text_width(text.replace("<b>", "").replace("</b>", "")) + 6
        # At the edge of the plot a label moves inwards, rather than being cut off.
        inside = min(max(x, width / 2), labels.width - width / 2)
        boxes = (_Box(inside, y + shift, width, 16) for shift in (-18, 18))
        free = (box for box in boxes if not any(box.overlap(other) for other in labels.taken))
        box = next(free, None)
        if box is None:
            continue
        labels.block(box)
        fig.add_annotation(
            x=time_ms,
            y=row,
            text=text,
            showarrow=False,
            xshift=inside - x,
            yshift=y - box.y,
            font={"color": colour, "size": 12},
            bgcolor="rgba(255,255,255,0.75)",
            borderpad=0,
        )


def lag_by_target(frame: pd.DataFrame) -> go.Figure:
    """Every probe's replication lag, target by target.

    Columns: probe (its number), source, target (Region codes), lag_min_ms and lag_max_ms (the lag is known to
    lie between these two). Missing lags mean that the probe was not seen there; they are counted beside the
    target.

    Traces, two a target: the probes' intervals (thin bars; named after the target) and their midpoints (dots,
    spread over the row only so that they do not hide each other). The median of the midpoints is a shape with
    a label.
    """
    _need(frame, "lag_by_target", "probe", "source", "target", "lag_min_ms", "lag_max_ms")
    groups = _by_target(frame)
    names = list(groups)
    fig = _figure(frame, title=_lag_title(frame), note=_INTERVALS, height=_height(len(names), 96))
    for number, (name, rows) in enumerate(groups.items()):
        colour = PALETTE[number % len(PALETTE)]
        seen = rows[rows["lag_min_ms"].notna() & rows["lag_max_ms"].notna()]
        lows, highs = list(seen["lag_min_ms"]), list(seen["lag_max_ms"])
        middles = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]
        spread = [number + _jitter(index) * 0.26 for index in range(len(seen))]
        fig.add_scatter(
            x=[x for low, high in zip(lows, highs, strict=True) for x in (low, high, None)],
            y=[y for row in spread for y in (row, row, None)],
            mode="lines",
            line={"color": _faded(colour, 0.45), "width": 2},
            name=name,
            hoverinfo="skip",
        )
        fig.add_scatter(
            x=middles,
            y=spread,
            mode="markers",
            marker={"color": colour, "size": 6},
            name=name,
            text=[_span(low, high) for low, high in zip(lows, highs, strict=True)],
            customdata=[_text(probe) for probe in seen["probe"]],
            hovertemplate="probe %{customdata}: %{text}<extra></extra>",
        )
        if middles:
            _mark_median(fig, median(middles), number, colour)
    _region_axis(fig, names, dict(zip(names, PALETTE * len(names), strict=False)), notes=_unseen(groups))
    fig.update_xaxes(title_text="replication lag, milliseconds", rangemode="tozero")
    fig.update_layout(showlegend=False)
    return fig


def _mark_median(fig: go.Figure, middle: float, row: int, colour: str) -> None:
    line = {"color": INK, "width": 2.5}
    fig.add_shape(type="line", x0=middle, x1=middle, y0=row - 0.32, y1=row + 0.32, line=line)
    fig.add_annotation(
        x=middle,
        y=row - 0.32,
        text=f"<b>median {_ms(middle)}</b>",
        showarrow=False,
        yanchor="bottom",
        font={"color": _darker(colour), "size": 13},
    )


def lag_distribution(frame: pd.DataFrame) -> go.Figure:
    """Share of the probes that had arrived by a given time, target by target, as a band between two step
    curves.

    Columns: as `lag_by_target`. A probe whose lag is missing never arrives, and the curve stays below 100 %.

    Traces, two a target, each named after it: possibly seen by then (upper curve, from lag_min_ms), and
    certainly seen by then (lower curve, from lag_max_ms) with the band between them filled. x in
    milliseconds, y in percent.
    """
    _need(frame, "lag_distribution", "probe", "source", "target", "lag_min_ms", "lag_max_ms")
    groups = _by_target(frame)
    known = [t for column in ("lag_min_ms", "lag_max_ms") for t in frame[column] if not _missing(t)]
    last = 1.08 * max(known, default=1.0)
    fig = _figure(
        frame,
        title=_lag_title(frame),
        note="Upper edge: may have arrived by then. Lower edge: has certainly arrived.",
        height=420,
        legend=[_plain(name) for name in groups],
    )
    for number, (name, rows) in enumerate(groups.items()):
        colour = PALETTE[number % len(PALETTE)]
        for column, width, extra in (
            ("lag_min_ms", 1.2, {"showlegend": False}),
            ("lag_max_ms", 2.5, {"fill": "tonexty", "fillcolor": _faded(colour, 0.22)}),
        ):
            x, y = _steps(rows[column], last)
            certainty = "certainly" if column == "lag_max_ms" else "possibly"
            fig.add_scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": colour, "width": width, "shape": "hv"},
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
    known = sorted(lag for lag in everything if not _missing(lag))
    share = 100 / len(everything)
    ends = [0.0, *known, last], [0.0, *(share * (rank + 1) for rank in range(len(known))), share * len(known)]
    return ends


_INTERVALS = "A lag is only known to lie between two polls: each thin bar is one probe, its dot the middle."


def _by_target(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each target, by a name to show: the target's code, with the source's when there are several."""
    several = frame["source"].nunique() > 1
    pairs = _unique(zip(frame["source"], frame["target"], strict=True))
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
    sources = _unique(frame["source"])
    return f"Replication lag from {_place(sources[0])}" if len(sources) == 1 else "Replication lag"


def _jitter(index: int) -> float:
    """Between -1 and 1, evenly spread, and the same every time: multiples of the golden ratio, wrapped."""
    return (index * 0.6180339887 % 1) * 2 - 1


# -------------------------------------------------------------------------------------------------- latency


def latency_beside_lag(frame: pd.DataFrame) -> go.Figure:
    """How long calls take beside how long replication takes: two different things.

    Columns: operation ("put", "get", "replication lag"), region (of the call; for the lag, the target),
    median_ms, p90_ms. One row per operation and Region.

    Traces: "median" (solid bars) and "P90" (pale, striped), horizontal, grouped by operation, one colour a
    Region, values printed at the bars. The axis is logarithmic, and says so, when values differ more than a
    hundredfold.
    """
    _need(frame, "latency_beside_lag", "operation", "region", "median_ms", "p90_ms")
    colours = _colours(_unique(frame["region"]))
    rows = [
        row for name in _unique(frame["operation"]) for row in frame[frame["operation"] == name].itertuples()
    ]
    # Room for a heading is left above each operation's first row.
    places, headings, at = [], [], 0.0
    for number, row in enumerate(rows):
        if number == 0 or row.operation != rows[number - 1].operation:
            at += 0.75
            headings.append((at - 0.82, _text(row.operation)))
        places.append(at)
        at += 1
    fig = _figure(
        frame,
        title="A call's latency and the replication lag",
        note="Solid: median. Striped: 90th percentile (P90).",
        height=_height(at, 46),
    )
    values = [value for row in rows for value in (row.median_ms, row.p90_ms) if value > 0]
    log = bool(values) and max(values) > 100 * min(values)
    for column, shift, name, opacity in (("median_ms", -0.2, "median", 1.0), ("p90_ms", 0.2, "P90", 0.35)):
        fig.add_bar(
            orientation="h",
            y=[place + shift for place in places],
            x=[getattr(row, column) for row in rows],
            width=0.38,
            marker={
                "color": [_faded(colours[row.region], opacity) for row in rows],
                "pattern": {
                    "shape": "" if opacity == 1 else "/",
                    "fgcolor": [colours[row.region] for row in rows],
                },
            },
            name=name,
            text=[_ms(getattr(row, column)) for row in rows],
            textposition="outside",
            textfont={"size": 12, "color": INK},
            cliponaxis=False,
            customdata=[f"{_text(row.operation)}, {_place(row.region)}" for row in rows],
            hovertemplate=f"%{{customdata}}: {name} %{{text}}<extra></extra>",
        )
    for y, text in headings:
        fig.add_annotation(
            xref="paper",
            x=0,
            y=y,
            text=f"<b>{text}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="middle",
            font={"size": 13},
        )
    _region_axis(fig, [row.region for row in rows], colours, at=places)
    top, low = max(values, default=1.0), min(values, default=1.0)
    # The widest value is printed beyond its bar: leave room for it.
    scale = [math.log10(low) - 0.4, math.log10(top) + 0.35] if log else [0, top * 1.12]
    fig.update_xaxes(
        title_text="milliseconds (logarithmic scale)" if log else "milliseconds",
        type="log" if log else "linear",
        dtick=1 if log else None,
        range=scale,
    )
    fig.update_yaxes(range=[at - 0.4, -0.35])
    fig.update_layout(barmode="overlay", showlegend=False)
    return fig


def loop_timing(frame: pd.DataFrame) -> go.Figure:
    """The article's timing loop, one bar an iteration: put here, sleep, get there.

    Columns: item (its label), put_ms, sleep_ms, get_ms, found (bool: the get returned the item); optionally
    lag_max_ms (from the put's answer until the item was certainly in the other Region; missing where not
    known).

    Traces: stacked bars "put", "sleep", "get"; with lag_max_ms also "item has arrived" (diamonds on the same
    time axis, at put_ms + lag_max_ms). A diamond within the sleep shows what the loop's own times cannot: the
    lag.
    """
    _need(frame, "loop_timing", "item", "put_ms", "sleep_ms", "get_ms", "found")
    count = len(frame)
    fig = _figure(
        frame,
        title="The timing loop: put, sleep, get",
        note=_loop_note(frame),
        height=_height(count, 34),
        legend=["put", "sleep", "get", "item has arrived"],
    )
    rows = list(range(count))
    starts = {
        "put": [0.0] * count,
        "sleep": list(frame["put_ms"]),
        "get": [put + sleep for put, sleep in zip(frame["put_ms"], frame["sleep_ms"], strict=True)],
    }
    for name, colour, ink in (
        ("put", PALETTE[0], "#FFFFFF"),
        ("sleep", "#DDE1E6", INK),
        ("get", "#E69F00", "#000000"),
    ):
        lasted = list(frame[f"{name}_ms"])
        fig.add_bar(
            orientation="h",
            y=rows,
            base=starts[name],
            x=lasted,
            width=0.8,
            marker={"color": colour, "line": {"color": "white", "width": 0.5}},
            name=name,
            text=[f"{name} {_ms(value)}" for value in lasted],
            textposition="inside",
            insidetextanchor=_clear_end(frame) if name == "sleep" else "middle",
            textangle=0,
            insidetextfont={"color": ink, "size": 12},
            hovertemplate="%{text}<extra></extra>",
        )
    ends = [start + get for start, get in zip(starts["get"], frame["get_ms"], strict=True)]
    _mark_arrivals(fig, frame)
    for row, (end, found) in enumerate(zip(ends, frame["found"], strict=True)):
        if found and count > 20:
            continue
        fig.add_annotation(
            x=end,
            y=row,
            text="found" if found else "<b>not found</b>",
            showarrow=False,
            xanchor="left",
            xshift=6,
            font={"size": 12, "color": QUIET if found else _darker(PALETTE[1])},
        )
    _row_axis(fig, [_text(item) for item in frame["item"]], rows)
    fig.update_xaxes(title_text="milliseconds since the iteration began", range=[0, max(ends) * 1.12])
    fig.update_layout(barmode="overlay", uniformtext={"minsize": 12, "mode": "hide"})
    return fig


def _loop_note(frame: pd.DataFrame) -> str:
    known = "lag_max_ms" in frame.columns and frame["lag_max_ms"].notna().any()
    timed = f"Timed: put (median {_ms(median(frame['put_ms']))}) and get ({_ms(median(frame['get_ms']))})."
    return f"{timed} Not timed: the replication lag{', over by the diamond' if known else ''}."


def _clear_end(frame: pd.DataFrame) -> str:
    """The end of the sleep where the diamonds are not, for its text."""
    if "lag_max_ms" not in frame.columns or frame["lag_max_ms"].isna().all():
        return "middle"
    return "start" if frame["lag_max_ms"].median() > frame["sleep_ms"].median() / 2 else "end"


def _mark_arrivals(fig: go.Figure, frame: pd.DataFrame) -> None:
    if "lag_max_ms" not in frame.columns:
        return
    pairs = zip(frame["put_ms"], frame["lag_max_ms"], strict=True)
    known = [(row, put + lag, lag) for row, (put, lag) in enumerate(pairs) if not _missing(lag)]
    if known:
        fig.add_scatter(
            x=[when for _, when, _ in known],
            y=[row for row, _, _ in known],
            mode="markers",
            marker={"symbol": "diamond", "size": 12, "color": _darker(PALETTE[2]), "line": _WHITE_EDGE},
            name="item has arrived",
            text=[_ms(lag) for _, _, lag in known],
            hovertemplate="in the other Region at most %{text} after the put<extra></extra>",
        )


# ------------------------------------------------------------------------------------------ what they share


def _need(frame: pd.DataFrame, chart: str, *columns: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        has = ", ".join(map(str, frame.columns)) or "none"
        raise ValueError(f"{chart} needs the column {missing[0]!r}. Columns of this frame: {has}.")
    if len(frame) == 0:
        raise ValueError(f"{chart} has nothing to draw: the data frame has no rows.")


def _figure(
    frame: pd.DataFrame, *, title: str, height: float, note: str = "", legend: Sequence[str] = ()
) -> go.Figure:
    """An empty figure in the common look; below its title the note and the frame's backends."""
    import plotly.graph_objects as go

    backends = [_text(name) for name in _unique(frame["backend"])] if "backend" in frame.columns else []
    lines = [line for line in (note, " · ".join(backends)) if line]
    return go.Figure(
        layout={
            "template": {"layout": _LOOK},
            "height": height,
            "title": {"text": title, "subtitle": {"text": "<br>".join(lines)}},
            "margin": {"t": 62 + 16 * len(lines) + 26 * _legend_rows(legend)},
            "showlegend": bool(legend),
        }
    )


_AXIS = {
    "gridcolor": GRID,
    "linecolor": COAST,
    "zeroline": False,
    "automargin": True,
    "separatethousands": True,
    "ticklabelstandoff": 4,
    "title": {"font": {"size": 13, "color": QUIET}},
}
_LOOK: dict[str, Any] = {
    "autosize": True,
    "paper_bgcolor": "white",
    "plot_bgcolor": "white",
    "font": {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif", "size": 13, "color": INK},
    "title": {
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 14, "l": 12},
        "font": {"size": 17},
        "subtitle": {"font": {"size": 13, "color": QUIET}},
    },
    "legend": {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "font": {"size": 13},
    },
    "margin": {"l": 20, "r": 30, "b": 48},
    "hoverlabel": {"font": {"size": 13}},
    "xaxis": _AXIS,
    "yaxis": _AXIS,
    "colorway": list(PALETTE),
}


def _region_axis(
    fig: go.Figure,
    codes: Sequence[str],
    colours: dict[str, str] | None = None,
    *,
    at: Sequence[float] | None = None,
    notes: dict[str, str] | None = None,
    lines: bool = False,
) -> None:
    """Name the rows after Regions, first at the top: code in its colour, the city (and a note) below it."""
    labels = []
    for code in codes:
        colour = _darker((colours or {}).get(code, INK))
        below = [text for text in (_place_of(code), (notes or {}).get(code)) if text]
        labels.append(
            f'<span style="color:{colour}"><b>{_text(code)}</b></span>'
            + "".join(f'<br><span style="color:{QUIET}">{_text(text)}</span>' for text in below)
        )
    _row_axis(fig, labels, at or range(len(codes)), lines=lines)


def _row_axis(fig: go.Figure, labels: Sequence[str], at: Sequence[float], *, lines: bool = False) -> None:
    # Twenty labels are what the tallest figure holds.
    every = math.ceil(len(labels) / 20)
    fig.update_yaxes(
        tickvals=list(at)[::every],
        ticktext=list(labels)[::every],
        tickfont={"size": 12},
        ticklabelstandoff=8,
        range=[max(at) + 0.5, min(at) - 0.5],
        showgrid=lines,
        gridcolor=COAST,
        gridwidth=2,
    )


def _legend_rows(names: Sequence[str]) -> int:
    """Lines that a legend of these names takes in a narrow notebook (700 pixels)."""
    return math.ceil(sum(_text_width(name) + 48 for name in names) / 640)


def _height(rows: float, each: int) -> float:
    return max(300, min(460, 140 + each * rows))


def _colours(codes: Sequence[str]) -> dict[str, str]:
    return {code: PALETTE[number % len(PALETTE)] for number, code in enumerate(codes)}


def _faded(colour: str, opacity: float) -> str:
    return f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},{opacity})"


def _darker(colour: str) -> str:
    """The same hue, dark enough to be read as text on white."""
    if colour in (INK, QUIET):
        return colour
    return "#" + "".join(f"{int(int(colour[place : place + 2], 16) * 0.68):02X}" for place in (1, 3, 5))


def _unique(values: Iterable[Any]) -> list[Any]:
    """In the order they first appear, without missing ones."""
    return list(dict.fromkeys(value for value in values if not _missing(value)))


def _missing(value: Any) -> bool:
    return value is None or value != value


def _text(value: Any) -> str:
    """As plain text: plotly reads a few HTML tags, and a label from data may look like one."""
    return html.escape(str(value), quote=False)


def _text_width(text: str) -> float:
    """Pixels that 12 px text takes at most, near enough to keep labels apart."""
    return 7.4 * len(html.unescape(text))


def _place_of(code: str) -> str:
    return regions.REGIONS[code].place if code in regions.REGIONS else ""


def _place(code: str) -> str:
    """City and code; only the code for a Region that is not in the catalogue."""
    return regions.label(code) if code in regions.REGIONS else _text(code)


def _plain(name: str) -> str:
    """A target as a legend names it: with its city, unless a source stands before it."""
    return name if " → " in name else _place(name)


def _ms(value: float) -> str:
    """Such as "3.1 ms", "219 ms" or "1,204 ms"."""
    return f"{value:.1f} ms" if abs(value) < 9.95 else f"{value:,.0f} ms"


def _span(low: float, high: float) -> str:
    """An interval, such as "92-118 ms", with an en dash."""
    return f"{_ms(low).removesuffix(' ms')}\N{EN DASH}{_ms(high)}"
