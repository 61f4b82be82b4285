"""What a trace of plotly is in a still picture: paths of SVG. Points are in pixels; None separates two lines."""

from __future__ import annotations

import html
import math
import zlib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from gtlab.charts.columns import missing

Point = tuple[float, float]
Line = list[Point | None]

_APART = 0.8      # points of a line that are nearer to the last one, in pixels, are left out
_MANY = 1000      # an outline of more points is a coast: it is drawn in whole pixels
_COARSE = 3       # what _APART is for a coast
_MOST_MARKS = 600  # markers of one look; more of them cover each other
_DASHES = {"dash": "7 5", "dot": "2 4", "dashdot": "7 4 2 4", "longdash": "11 5"}
# Outlines of radius 1, as SVG path data.
_SYMBOLS = {
    "diamond": "M0-1.3 1.3 0 0 1.3-1.3 0z", "square": "M-.89-.89H.89V.89H-.89z",
    "cross": "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4z",
    "x": "M0-.45.6-1.05 1.05-.6.45 0 1.05.6.6 1.05 0 .45-.6 1.05-1.05.6-.45 0-1.05-.6-.6-1.05z",
    "triangle-up": "M0-1.15 1.15.58H-1.15z", "triangle-down": "M0 1.15 1.15-.58H-1.15z",
    "triangle-left": "M-1.15 0 .58-1.15V1.15z", "triangle-right": "M1.15 0-.58-1.15V1.15z",
    "pentagon": "M0-1.1 1.05-.34.65.9H-.65L-1.05-.34z", "hexagon": "M0-1.1 .95-.55V.55L0 1.1-.95.55V-.55z",
    "star": "M0-1.4 .32-.44 1.33-.43.51.17.82 1.13 0 .54-.82 1.13-.51.17-1.33-.43-.32-.44z",
    "arrow": "M0 0-.7 1.6H.7z", "circle": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
    "x-thin": "M-1-1 1 1M1-1-1 1", "cross-thin": "M0-1.4V1.4M-1.4 0H1.4", "line-ns": "M0-1.4V1.4",
    "line-ew": "M-1.4 0H1.4",
}


class _Marker(NamedTuple):
    """The look of a marker; sizes are in pixels. Without a colour, ``edge`` is not drawn."""

    symbol: str
    colour: str
    size: float
    edge: str
    edge_width: float
    opacity: float


def path(points: Iterable[Point | None], *, closed: bool = False) -> str:
    """Path data of the lines; points that nobody could tell apart are left out."""
    parts: list[str] = []
    last: Point | None = None
    held: Point | None = None  # a point that was left out: the end of a line is drawn nevertheless
    for point in [*points, None]:
        if point is None or math.isnan(point[0]) or math.isnan(point[1]):
            if held and last:
                parts.append(f"L{_xy(held)}")
            if last and closed:
                parts.append("z")
            last = held = None
        elif last is None:
            parts.append(f"M{_xy(point)}")
            last = point
        elif abs(point[0] - last[0]) + abs(point[1] - last[1]) < _APART:
            held = point
        else:
            parts.append(f"L{_xy(point)}")
            last, held = point, None
    return "".join(parts)


def steps(points: Line, shape: str) -> Line:
    """The points of a line with plotly's shape "hv" or "vh"; other shapes are straight."""
    if shape not in ("hv", "vh"):
        return points
    made: Line = points[:1]
    for before, after in pairwise(points):
        if before is not None and after is not None:
            made.append((after[0], before[1]) if shape == "hv" else (before[0], after[1]))
        made.append(after)
    return made


def stroke(points: Line, look: Mapping[str, Any], colour: str) -> str:
    """A line; ``look`` is plotly's ``line``."""
    width = look.get("width", 2)
    data = path(points)
    if not width or not data:
        return ""
    ink, dash = html.escape(str(look.get("color") or colour)), _DASHES.get(str(look.get("dash")))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{data}" fill="none" stroke="{ink}" stroke-width="{width:g}" stroke-linejoin="round"{dashed}/>'


def fill(points: Line, colour: str, edge: Mapping[str, Any] | None = None) -> str:
    """A filled outline; ``edge`` is plotly's ``line``, if the outline is drawn too."""
    data = coast(points) if len(points) > _MANY else path(points, closed=True)
    look = ""
    if edge and edge.get("width", 2) and edge.get("color"):
        look = f' stroke="{html.escape(str(edge["color"]))}" stroke-width="{edge.get("width", 2):g}"'
    return f'<path d="{data}" fill="{html.escape(colour)}" fill-rule="evenodd"{look}/>'


def coast(points: Line) -> str:
    """Path data of closed outlines with many points, relative and in whole pixels: small, and exact enough for a map.
    Outlines that are hardly visible are left out."""
    rings: list[list[tuple[int, int]]] = [[]]
    for point in points:
        if point is None:
            rings.append([])
            continue
        here = (round(point[0]), round(point[1]))
        if not rings[-1] or abs(here[0] - rings[-1][-1][0]) + abs(here[1] - rings[-1][-1][1]) >= _COARSE:
            rings[-1].append(here)
    return "".join(f"M{ring[0][0]} {ring[0][1]}l" + " ".join(f"{bx - ax} {by - ay}" for (ax, ay), (bx, by) in pairwise(
        ring)).replace(" -", "-") + "z" for ring in rings if len(ring) > 2)


def one(settings: Any, at: int, default: Any = None) -> Any:
    """A setting of a trace that may be given once or for each point."""
    if settings is None:
        return default
    if isinstance(settings, str | int | float):
        return settings
    value = settings[at] if at < len(settings) else default
    return default if value is None else value


def markers(points: Line, look: Mapping[str, Any], colour: str) -> str:
    """Markers; ``look`` is plotly's ``marker``. Markers of one look are one element."""
    edge = look.get("line") or {}
    groups: dict[_Marker, list[tuple[Point, float]]] = {}
    seen: set[tuple[Any, ...]] = set()
    for at, point in enumerate(points):
        size = one(look.get("size"), at, 6)
        if point is None or not size or math.isnan(point[0]) or math.isnan(point[1]):
            continue
        symbol = str(one(look.get("symbol"), at, "circle"))
        marker = _Marker(symbol, str(one(look.get("color"), at, colour)), size, str(one(edge.get("color"), at, "")),
                         one(edge.get("width"), at, 0), one(look.get("opacity"), at, 1))
        spot = (marker, round(point[0]), round(point[1]))
        if spot in seen:  # it would cover another one completely
            continue
        seen.add(spot)
        angle = _angle(points, at) if look.get("angleref") == "previous" else one(look.get("angle"), at, 0)
        groups.setdefault(marker, []).append((point, angle))
    return "".join(_group(marker, _thinned(places)) for marker, places in groups.items())


def _thinned(places: list[tuple[Point, float]]) -> list[tuple[Point, float]]:
    every = math.ceil(len(places) / _MOST_MARKS)
    return places[::every]


def _angle(points: Line, at: int) -> float:
    """The direction of the line that leads to a point, in degrees clockwise from upwards."""
    here, before = points[at], points[at - 1] if at else None
    if here is None or before is None:
        return 0.0
    return math.degrees(math.atan2(here[0] - before[0], before[1] - here[1]))


def _group(marker: _Marker, places: list[tuple[Point, float]]) -> str:
    """Markers of one look, at their places, each turned by an angle in degrees."""
    symbol, colour, size, edge, edge_width, opacity = marker
    open_, name = "-open" in symbol, symbol.replace("-open", "").replace("-dot", "")
    look = "" if opacity == 1 else f' opacity="{opacity:g}"'
    colour, edge = html.escape(colour), html.escape(edge)
    if name == "circle" and not open_:  # a line without length and with round ends: the shortest way to draw dots
        data = "".join(f"M{_xy(point)}h0" for point, _ in places)
        dots = f'd="{data}" stroke-linecap="round"{look}'
        around = f'<path {dots} stroke="{edge}" stroke-width="{size + edge_width:g}"/>' if edge and edge_width else ""
        return around + f'<path {dots} stroke="{colour}" stroke-width="{max(1, size - edge_width / 2):g}"/>'
    thin = "-thin" in name or name.startswith("line-")
    if thin or open_:
        look += f' fill="none" stroke="{edge or colour}" stroke-width="{(edge_width or 1.5) * 2 / size:g}"'
    else:
        look += f' fill="{colour}"' + (f' stroke="{edge}" stroke-width="{edge_width * 2 / size:g}"'
                                       if edge and edge_width else "")
    data = _SYMBOLS.get(name, _SYMBOLS["circle"])
    return f"<g{look}>" + "".join(
        f'<path d="{data}" transform="translate({_xy(point)}){f"rotate({angle:.0f})" if angle else ""}'
        f'scale({size / 2:g})"/>' for point, angle in places) + "</g>"


def rect(a: Point, b: Point, look: str) -> str:
    (x0, x1), (y0, y1) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    return f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" {look}/>'


def stripes(colour: str) -> tuple[str, str]:
    """The name and the definition of a pattern of diagonal stripes."""
    name = f"gt-stripes-{zlib.crc32(colour.encode()):x}"
    return name, (f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" '
                  f'patternTransform="rotate(45)"><path d="M1 0V6" stroke="{html.escape(colour)}" '
                  'stroke-width="1.5"/></pattern>')


def mode(trace: Mapping[str, Any]) -> str:
    """How plotly draws a trace: "lines", "markers", "text", or several of them."""
    return str(trace.get("mode") or ("lines+markers" if len(numbers(trace.get("x"))) < 20 else "lines"))


def extent(trace: Mapping[str, Any], kind: str) -> list[Any]:
    """The values of a trace that an axis must show."""
    values = numbers(trace.get(kind))
    if trace.get("type") != "bar" or (trace.get("orientation") == "h") != (kind == "x"):
        return values
    base = trace.get("base")
    ends = [one(base, at, 0) + value for at, value in enumerate(values) if not missing(value)]
    return [0, *ends]


def numbers(values: Any) -> list[Any]:
    """The values of a column of plotly as a list: NumPy's arrays and None too."""
    return [] if values is None else list(values)


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}".replace(".0", "")
