"""The map of the Regions: dots, the lines between them, and their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.charts.colours import COAST, EDGE, INK, LAND, QUIET, SEA
from gtlab.charts.columns import each_row, need
from gtlab.charts.labels import Labels, Point, boxes
from gtlab.charts.layout import NARROW, NOMINAL_WIDTH, figure
from gtlab.charts.looks import HOME_OUTLINE, look
from gtlab.charts.meta import describe
from gtlab.charts.text import ms, place_name, plain_text, text_width
from gtlab.charts.view import View

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def region_map(frame: pd.DataFrame) -> go.Figure:
    """Map of a home Region, its replicas, and the round trips from home to each replica.

    Columns, as `gtlab.regions.frame` returns them: region, place, latitude, longitude (degrees), role ("home" or
    "replica"), rtt_ms (median round trip from home). Raises ValueError unless there is exactly one home.

    Traces: "land"; one line per replica (named "home to replica"); "replica" and "home" (the symbols of the Regions); a
    shape: the house around the home Region. The labels are annotations. The map shows the Regions with some room around
    them, up to the whole world. It is cut at the widest gap between them, so that a line across the Pacific is drawn
    across the Pacific.
    """
    need(frame, "region_map", "region", "place", "latitude", "longitude", "role", "rtt_ms")
    homes, replicas = frame[frame["role"] == "home"], frame[frame["role"] != "home"]
    if len(homes) != 1:
        raise ValueError(f'region_map needs exactly one row with role "home"; this frame has {len(homes)}.')

    edge, tall = 12, 344
    view = View.around(
        list(frame["longitude"]), list(frame["latitude"]), NOMINAL_WIDTH - 2 * edge, tall
    )
    home = homes.iloc[0]
    fig = figure(
        frame,
        title=f"{place_name(home['region'])} and its replicas",
        note="Round trips: measured medians (cloudping.co, 2024-25). Lines are not cable routes.",
        height=tall + 80 + edge,
    )
    fig.add_scatter(**_land(view))
    anchors = {row.region: _anchor(view, view.pixel(row.longitude, row.latitude), edge) for row in each_row(frame)}
    layout = Labels([(width - 2 * edge, tall) for width in _WIDTHS])
    for anchor in anchors.values():
        layout.block(boxes(anchor, (0, 0), 18, 18))
    layout.block(boxes(anchors[home["region"]], (0, -2), 28, 28))
    spots = {row.region: view.pixel(row.longitude, row.latitude) for row in each_row(frame)}
    begin = spots[home["region"]]
    arcs = {row.region: _arc(begin, spots[row.region], view, layout, edge) for row in each_row(replicas)}
    for code, arc in arcs.items():
        layout.avoid([_anchor(view, point, edge) for point in arc], code)
        fig.add_scatter(
            x=[view.longitude(x) for x, _ in arc],
            y=[view.latitude(y) for _, y in arc],
            mode="lines",
            line={"color": QUIET, "width": 2},
            name=f"{home['region']} to {code}",
            hoverinfo="skip",
        )
    for rows, name in ((replicas, "replica"), (homes, "home")):
        fig.add_scatter(**_dots(rows, view, name))
    _mark_home(fig, view.shift(home["longitude"]), home["latitude"])
    _label_map(fig, frame, anchors, view, layout)
    # A degree is as long in a narrow page as in a wide one: a narrow map shows more to the north and to the south.
    axis = {"visible": False, "fixedrange": True}
    across, down = view.width / (view.east - view.west), view.height / (view.north - view.south)
    fig.update_xaxes(range=[view.west, view.east], constrain="domain", **axis)
    fig.update_yaxes(range=[view.south, view.north], constrain="range", scaleanchor="x", scaleratio=down / across,
                     **axis)
    fig.update_layout(plot_bgcolor=SEA, showlegend=False, margin={"l": edge, "r": edge, "b": edge})
    describe(fig, _finding(home, replicas), _alt(home, replicas), frame[
        ["region", "place", "role", "rtt_ms"]])
    return fig


_WIDTHS = (NARROW, 640, NOMINAL_WIDTH)  # a wider map only has more room around it


def _anchor(view: View, point: Point, edge: float) -> list[Point]:
    """Where a point of the view (pixels) is in a map of each of these widths, whose height stays the same."""
    shares = [(width - 2 * edge) / view.width for width in _WIDTHS]
    return [(point[0] * share, view.height / 2 + (point[1] - view.height / 2) * share) for share in shares]


def _finding(home: pd.Series, replicas: pd.DataFrame) -> str:
    if replicas.empty:
        return f"{home['place']} has no replica."
    ordered = replicas.sort_values("rtt_ms")
    near, far = ordered.iloc[0], ordered.iloc[-1]
    start = f"A round trip from {home['place']} takes {ms(near['rtt_ms'])} to {near['place']}"
    return f"{start}." if len(ordered) == 1 else (
        f"{start}, the nearest of {len(ordered)} replicas, and {ms(far['rtt_ms'])} to {far['place']}, the farthest.")


def _alt(home: pd.Series, replicas: pd.DataFrame) -> str:
    trips = [f"{place_name(row.region)} {ms(row.rtt_ms)}" for row in each_row(replicas)]
    more = [f"and {len(trips) - 6} more"] if len(trips) > 6 else []
    return (f"Map of the home Region {place_name(home['region'])} and its replicas, with round trips: "
            f"{', '.join([*trips[:6], *more]) or 'none'}. {_finding(home, replicas)}")


def _mark_home(fig: go.Figure, longitude: float, latitude: float) -> None:
    """The house around the symbol of the home Region. In plotly's shapes y grows upwards."""
    path = re.sub(r"(-?[.\d]+) (-?[.\d]+)", lambda found: f"{7 * float(found[1]):g} {-7 * float(found[2]):g}",
                  HOME_OUTLINE)
    fig.add_shape(type="path", path=path, xref="x", yref="y", xsizemode="pixel", ysizemode="pixel", xanchor=longitude,
                  yanchor=latitude, line={"color": INK, "width": 1.5})


def _land(view: View) -> dict[str, Any]:
    """The land in view, as one filled trace. Copies to the west and to the east complete a view across the Pacific."""
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


def _dots(rows: pd.DataFrame, view: View, name: str) -> dict[str, Any]:
    looks = [look(code) for code in rows["region"]]
    return {
        "x": [view.shift(longitude) for longitude in rows["longitude"]],
        "y": list(rows["latitude"]),
        "mode": "markers",
        "marker": {"color": [each.colour for each in looks], "symbol": [each.symbol for each in looks], "size": 14,
                   "line": EDGE},
        "name": name,
        "text": [f"{place_name(row.region)}: {ms(row.rtt_ms)} from home" for row in each_row(rows)],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _arc(start: Point, end: Point, view: View, layout: Labels, edge: float, points: int = 24) -> list[Point]:
    """A slightly bent line, in pixels of the view: of several bends, the one that is farthest from dots and lines."""
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
        # The ends lie in the boxes of the dots: they are the same for every bend.
        inner = [boxes(_anchor(view, point, edge), (0, 0), 6, 6) for point in arc[3:-3]]
        arcs.append((sum(layout.cost(box) for box in inner) + abs(bend) * 100, arc))
    return min(arcs, key=lambda scored: scored[0])[1]


def _label_map(fig: go.Figure, frame: pd.DataFrame, anchors: dict[str, list[Point]], view: View,
               layout: Labels) -> None:
    """Label every dot where the label covers least: the place, and the round trip from home. Where many Regions are
    close together, a dot may have no label: the hover text and the table have them all."""
    crowded = len(frame) > 6
    for row in each_row(frame):
        home = row.role == "home"
        name, trip = plain_text(row.place) + (" (home)" if home else ""), "" if home else ms(row.rtt_ms)
        lines = [name, trip] if crowded else [name, f"{row.region}, {trip}" if trip else row.region]
        lines = [line for line in lines if line]
        width, height = max(map(text_width, lines)) + 6, 15 * len(lines) + 4
        anchor = anchors[row.region]
        places = [boxes(anchor, shift, width, height) for shift in _around(width, height, home)]
        there = layout.place_if_free(places) if crowded and not home else layout.place(places)
        if there:
            text = "<br>".join([f"<b>{lines[0]}</b>", *lines[1:]])
            shift = (there[0].x - anchor[0][0], there[0].y - anchor[0][1])
            _annotate(fig, (view.shift(row.longitude), row.latitude), shift, text)


def _annotate(fig: go.Figure, where: Point, shift: Point, text: str) -> None:
    """Write a text at a distance (pixels) from a place (degrees)."""
    fig.add_annotation(x=where[0], y=where[1], xshift=shift[0], yshift=-shift[1], xanchor="center", yanchor="middle",
                       text=text, font={"color": INK, "size": 12}, showarrow=False, borderpad=1)


def _around(width: float, height: float, home: bool) -> Iterator[Point]:
    """Positions for a label near a dot, best first: above, below, at a side, at a corner, then farther away."""
    for gap in (16, 24) if home else (10, 18):
        up, side = gap + height / 2, gap + width / 2
        yield from ((0, -up), (0, up), (side, 0), (-side, 0))
        yield from ((across * side * 0.8, down * up * 0.8) for down in (-1, 1) for across in (1, -1))
        yield from ((across * width * 0.3, down * up) for down in (-1, 1) for across in (1, -1))
