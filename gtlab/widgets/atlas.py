"""The map that the widgets share, as data for the browser: outlines as SVG path data, and where each Region is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from gtlab import regions
from gtlab.charts.looks import look
from gtlab.charts.view import View

WIDTH, HEIGHT = 1000, 480
APART = 23.0  # the shortest distance between two Regions on the map of all: two points that can both be clicked
# The inhabited world: without the middle of the Pacific and the polar regions, which would only make it smaller.
_WORLD = View(-138.0, 162.0, -46.0, 72.0, WIDTH, HEIGHT)
_FINE = 2  # outlines are whole numbers of this fraction of a map's unit

Point = tuple[float, float]


def world() -> dict[str, Any]:
    """The map of all Regions: see :func:`around`. Regions that are close together are moved apart (by 40 units at
    most), so that each can be clicked."""
    return _map(_WORLD, _spread(_spots(_WORLD, regions.REGIONS), APART))


def around(codes: Iterable[str]) -> dict[str, Any]:
    """The map of some Regions with room around them, cut at the widest gap between them as the charts' map is.

    ``width`` and ``height`` (units); ``round``: units after which the map repeats, where a line may leave it at one
    edge and come back at the other (more than any line here: none leaves); ``land`` (SVG path data) and its ``scale``;
    and ``spots``: x and y of each Region.
    Raises UnknownRegion.
    """
    places = [regions.get(code) for code in codes]
    view = View.around([place.longitude for place in places], [place.latitude for place in places], WIDTH, HEIGHT)
    return _map(view, _spread(_spots(view, [place.code for place in places]), 2 * APART)) | {"round": 1e6}


def looks(members: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The colour and the symbol of each member, as in every chart, and whether it is home: the first member is."""
    return {code: {"colour": look(code).colour, "symbol": look(code).symbol, "home": not at}
            for at, code in enumerate(members)}


def neighbours(spots: dict[str, Point]) -> dict[str, dict[str, str]]:
    """For each Region, the nearest in each direction as the arrow keys go: ``{code: {"ArrowLeft": code, …}}``.

    Every Region can be reached from every other by arrow keys; a direction in which there is none is left out.
    """
    found = {}
    for code, (x, y) in spots.items():
        nearest = {}
        for arrow, (right, down) in _ARROWS.items():
            scored = []
            for other, (other_x, other_y) in spots.items():
                ahead = (other_x - x) * right + (other_y - y) * down
                aside = abs((other_x - x) * down) + abs((other_y - y) * right)
                if other != code and ahead > 0 and aside <= 2 * ahead:
                    scored.append((ahead + 2 * aside, other))
            if scored:
                nearest[arrow] = min(scored)[1]
        found[code] = nearest
    return found


_ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}


def _map(view: View, spots: dict[str, Point]) -> dict[str, Any]:
    return {"width": view.width, "height": view.height, "round": 360 / (view.east - view.west) * view.width,
            "land": _outlines(view), "scale": 1 / _FINE,
            "spots": {code: [round(x, 1), round(y, 1)] for code, (x, y) in spots.items()}}


def _spots(view: View, codes: Iterable[str]) -> dict[str, Point]:
    return {code: view.pixel(regions.get(code).longitude, regions.get(code).latitude) for code in codes}


def _spread(spots: dict[str, Point], apart: float) -> dict[str, Point]:
    """The points moved as little as it takes to have none nearer to another than ``apart``."""
    moved = dict(spots)
    codes = sorted(moved)
    for _ in range(400):
        calm = True
        for at, a in enumerate(codes):
            for b in codes[at + 1:]:
                (ax, ay), (bx, by) = moved[a], moved[b]
                distance = math.hypot(bx - ax, by - ay)
                if distance >= apart:
                    continue
                calm = False
                push = (apart - distance) / 2 + 0.05
                right, down = ((bx - ax) / distance, (by - ay) / distance) if distance else (1.0, 0.0)
                moved[a], moved[b] = (ax - right * push, ay - down * push), (bx + right * push, by + down * push)
        if calm:
            break
    return moved


@cache
def _outlines(view: View) -> str:
    """The land in view as SVG path data, relative and in whole numbers: a third of the size of the coordinates."""
    path = []
    for offset in (-360, 0, 360):
        for ring in regions.land_rings():
            lons, lats = [point[0] + offset for point in ring], [point[1] for point in ring]
            if max(lons) < view.west or min(lons) > view.east or max(lats) < view.south or min(lats) > view.north:
                continue
            points = [(round((lon - view.west) / (view.east - view.west) * view.width * _FINE),
                       round((view.north - lat) / (view.north - view.south) * view.height * _FINE))
                      for lon, lat in zip(lons, lats, strict=True)]
            path.append(_ring(points))
    return "".join(path)


def _ring(points: list[tuple[int, int]]) -> str:
    x, y = points[0]
    parts = [f"M{x} {y}l"]
    for next_x, next_y in points[1:]:
        if abs(next_x - x) + abs(next_y - y) > 1:
            dx, dy = next_x - x, next_y - y
            parts.append(f"{'' if dx < 0 or parts[-1].endswith('l') else ' '}{dx}{'' if dy < 0 else ' '}{dy}")
            x, y = next_x, next_y
    return "".join(parts) + "z" if len(parts) > 2 else ""
