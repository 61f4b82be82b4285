"""The map of the Regions: dots, the lines between them, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.charts.colours import COAST, EDGE, INK, LAND, QUIET, SEA
from gtlab.charts.columns import each_row, need
from gtlab.charts.labels import Box, Labels
from gtlab.charts.layout import NOMINAL_WIDTH, figure
from gtlab.charts.looks import look
from gtlab.charts.text import ms, place_name, plain_text, text_width
from gtlab.charts.view import View

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def region_map(frame: pd.DataFrame) -> go.Figure:
    """Map of a home Region, its replicas, and the round trips from home to each replica.

    Columns, as `gtlab.regions.frame` returns them: region, place, latitude, longitude (degrees), role ("home" or
    "replica"), rtt_ms (median round trip from home). Raises ValueError unless there is exactly one home.

    Traces: "land"; one line per replica (named "home to replica"); "replica" (circles) and "home" (a diamond). The
    labels are annotations. The map shows the Regions with some room around them, up to the whole world. It is cut at
    the widest gap between them, so that a line across the Pacific is drawn across the Pacific.
    """
    need(frame, "region_map", "region", "place", "latitude", "longitude", "role", "rtt_ms")
    homes, replicas = frame[frame["role"] == "home"], frame[frame["role"] != "home"]
    if len(homes) != 1:
        raise ValueError(f'region_map needs exactly one row with role "home"; this frame has {len(homes)}.')

    height, top, edge = 440, 84, 12
    view = View.around(
        list(frame["longitude"]), list(frame["latitude"]), NOMINAL_WIDTH - 2 * edge, height - top - edge
    )
    fig = figure(
        frame,
        title=f"Home Region {place_name(homes['region'].iloc[0])} and its replicas",
        note="Round trips: measured medians (cloudping.co, 2024-25). Lines are not cable routes.",
        height=height,
    )
    fig.add_scatter(**_land(view))
    home = homes.iloc[0]
    spots = {row.region: view.pixel(row.longitude, row.latitude) for row in each_row(frame)}
    layout = Labels(view.width, view.height)
    for spot in spots.values():
        layout.block(Box(*spot, 18, 18))
    arcs = {row.region: _arc(spots[home.region], spots[row.region], layout) for row in each_row(replicas)}
    for code, arc in arcs.items():
        layout.avoid(arc, code)
        fig.add_scatter(
            x=[view.longitude(x) for x, _ in arc],
            y=[view.latitude(y) for _, y in arc],
            mode="lines",
            line={"color": QUIET, "width": 2},
            name=f"{home.region} to {code}",
            hoverinfo="skip",
        )
    for rows, name in ((replicas, "replica"), (homes, "home")):
        fig.add_scatter(**_dots(rows, view, name))
    _label_map(fig, frame, spots, arcs, layout)
    axis = {"visible": False, "fixedrange": True}
    fig.update_xaxes(range=[view.west, view.east], **axis)
    fig.update_yaxes(range=[view.south, view.north], **axis)
    fig.update_layout(plot_bgcolor=SEA, showlegend=False, margin={"l": edge, "r": edge, "t": top, "b": edge})
    return fig


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


def _arc(
    start: tuple[float, float], end: tuple[float, float], layout: Labels, points: int = 24
) -> list[tuple[float, float]]:
    """A slightly bent line, in pixels: of several bends, the one that is farthest from dots and other lines."""
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
        inner = [Box(x, y, 6, 6) for x, y in arc[3:-3]]
        arcs.append((sum(layout.cost(box) for box in inner) + abs(bend) * 100, arc))
    return min(arcs, key=lambda scored: scored[0])[1]


def _label_map(
    fig: go.Figure,
    frame: pd.DataFrame,
    spots: dict[str, tuple[float, float]],
    arcs: dict[str, list[tuple[float, float]]],
    layout: Labels,
) -> None:
    """Label every dot and line where the label covers least. Among many Regions a line may have no label."""
    crowded = len(frame) > 9
    for row in each_row(frame):
        mark = " (home)" if row.role == "home" else ""
        lines = [row.region + mark] if crowded else [plain_text(row.place) + mark, row.region]
        width, height = max(map(text_width, lines)) + 6, 15 * len(lines) + 4
        box = layout.place(_around(spots[row.region], width, height))
        lines[0] = f"<b>{lines[0]}</b>"
        _annotate_pixel(fig, layout, box, "<br>".join(lines), {"color": INK, "size": 12})
    for row in each_row(frame[frame["role"] != "home"]):
        text, arc = ms(row.rtt_ms), arcs[row.region]
        order = sorted(range(3, len(arc) - 3), key=lambda step: abs(step - len(arc) * 0.5))
        size = (text_width(text) + 8, 19)
        places = [Box(*arc[step], *size) for step in order]
        spot = layout.place_if_free(places, row.region) if crowded else layout.place(places, row.region)
        if spot:
            _annotate_pixel(
                fig, layout, spot, text, {"color": INK, "size": 13}, bgcolor="white", bordercolor=COAST
            )


def _annotate_pixel(
    fig: go.Figure, layout: Labels, box: Box, text: str, font: dict[str, Any], **look: Any
) -> None:
    # Fractions of the plot, not degrees: labels keep their distance in a notebook that is wider than NOMINAL_WIDTH.
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


def _around(spot: tuple[float, float], width: float, height: float) -> Iterator[Box]:
    """Positions for a label near a dot, best first: above, below, at a side, at a corner, then farther away."""
    x, y = spot
    for gap in (11, 22, 36):
        up, side = gap + height / 2, gap + width / 2
        beside = ((0, -up), (0, up), (side, 0), (-side, 0))
        corners = [(across * side * 0.8, down * up * 0.8) for down in (-1, 1) for across in (1, -1)]
        for dx, dy in (*beside, *corners):
            yield Box(x + dx, y + dy, width, height)
