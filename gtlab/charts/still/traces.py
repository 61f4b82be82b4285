"""The traces of a still picture: lines, filled outlines, markers, bars, and the texts beside them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from gtlab.charts.colours import INK
from gtlab.charts.columns import missing
from gtlab.charts.still import marks, text
from gtlab.charts.still.plot import Plot
from gtlab.charts.still.text import Style


def drawn(plot: Plot) -> Iterable[str]:
    before: marks.Line = []
    for trace in plot.traces:
        colour = plot.colour(trace)
        if trace.get("type") == "bar":
            yield _bars(plot, trace, colour)
            continue
        points = plot.points(trace)
        pen = trace.get("line") or {}
        line = marks.steps(points, pen.get("shape", "linear"))
        parts = []
        outlined = trace.get("fill") in ("toself", "tonext")
        if outlined:
            parts.append(marks.fill(line, trace.get("fillcolor") or colour, pen))
        elif trace.get("fill") == "tonexty" and before:
            parts.append(marks.fill([*before, *reversed(line)], trace.get("fillcolor") or colour))
        elif trace.get("fill") == "tozeroy" and line:
            ends = [point for point in line if point]
            zero = plot.axes[trace.get("yaxis") or "y"].pixel(0)
            around: marks.Line = [(ends[0][0], zero), *line, (ends[-1][0], zero)]
            parts.append(marks.fill(around, trace.get("fillcolor") or colour))
        before = line
        mode = marks.mode(trace)
        if "lines" in mode and not outlined:
            parts.append(marks.stroke(line, pen, colour))
        if "markers" in mode:
            parts.append(marks.markers(points, trace.get("marker") or {}, str(pen.get("color") or colour)))
        if "text" in mode:
            parts.append(_texts(plot, trace, points))
        opacity = trace.get("opacity")
        inside = "".join(parts)
        # Markers may reach over the edge of the plot, lines may not.
        clip = "" if "markers" in mode else f' clip-path="url(#{plot.clip})"'
        look = clip + (f' opacity="{opacity:g}"' if opacity else "")
        yield f"<g{look}>{inside}</g>" if inside else ""


def _texts(plot: Plot, trace: Mapping[str, Any], points: marks.Line) -> str:
    font, place = trace.get("textfont") or {}, trace.get("textposition")
    parts = []
    for at, point in enumerate(points):
        where = str(marks.one(place, at, "middle center"))
        said = str(marks.one(trace.get("text"), at, ""))
        if point is None or not said:
            continue
        down = {"top": -8, "bottom": 8}.get(where.split()[0], 0)
        side = {"left": -8, "right": 8}.get(where.split()[-1], 0)
        parts.append(text.element(
            point[0] + side, point[1] + down, said,
            Style(marks.one(font.get("size"), at, 12), marks.one(font.get("color"), at, plot.ink),
                  {"left": "end", "right": "start"}.get(where.split()[-1], "middle"),
                  {"top": "bottom", "bottom": "top"}.get(where.split()[0], "middle"))))
    return "".join(parts)


def _bars(plot: Plot, trace: Mapping[str, Any], colour: str) -> str:
    lying = trace.get("orientation") == "h"
    along, across = (plot.axes[trace.get("xaxis") or "x"], plot.axes[trace.get("yaxis") or "y"])
    if not lying:
        along, across = across, along
    lengths, places = (marks.numbers(trace.get(each)) for each in (("x", "y") if lying else ("y", "x")))
    looks, parts = trace.get("marker") or {}, []
    edge = looks.get("line") or {}
    for at, (length, place) in enumerate(zip(lengths, places, strict=False)):
        base = marks.one(trace.get("base"), at, 0)
        if missing(length) or missing(place):
            continue
        first = along.between(min(along.low, along.high)) if along.log and not base else along.pixel(base)
        last = along.pixel(base + length)
        half = marks.one(trace.get("width"), at, 0.8) / 2
        middle = across.number(place) + marks.one(trace.get("offset"), at, -half) + half
        low, high = across.between(middle - half), across.between(middle + half)
        ends = ((first, low), (last, high)) if lying else ((low, first), (high, last))
        ink = str(marks.one(looks.get("color"), at, colour))
        look = f'fill="{html.escape(ink)}"'
        if width := marks.one(edge.get("width"), at, 0):
            line = html.escape(str(marks.one(edge.get("color"), at, "white")))
            look += f' stroke="{line}" stroke-width="{width:g}"'
        if abs(last - first) < 0.05:
            continue
        pattern = looks.get("pattern") or {}
        if marks.one(pattern.get("shape"), at, ""):
            name, made = marks.stripes(str(marks.one(pattern.get("fgcolor"), at, INK)))
            plot.defs[name] = made
            look = f'fill="url(#{name})"'
        parts.append(marks.rect(*ends, look))
        parts.append(_bar_text(plot, trace, at, ends, lying))
    return "".join(parts)


def _bar_text(plot: Plot, trace: Mapping[str, Any], at: int, ends: tuple[marks.Point, marks.Point], lying: bool) -> str:
    said = str(marks.one(trace.get("text"), at, "") or "")
    outside = marks.one(trace.get("textposition"), at, "auto") == "outside"
    font = (trace.get("textfont") or {}) | ({} if outside else trace.get("insidetextfont") or {})
    size, colour = marks.one(font.get("size"), at, 12), marks.one(font.get("color"), at, plot.ink)
    (x0, y0), (x1, y1) = ends
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    if not said or marks.one(trace.get("textposition"), at, "auto") == "none":
        return ""
    if outside:
        return (text.element(x1 + 6, middle[1], said, Style(size, colour)) if lying else
                text.element(middle[0], y1 - 4, said, Style(size, colour, "middle", "bottom")))
    if text.width(said, size) + 6 > abs(x1 - x0) or size > abs(y1 - y0):
        return ""  # as plotly does with uniformtext
    anchor = {"start": "start", "end": "end"}.get(str(trace.get("insidetextanchor")), "middle")
    x = {"start": min(x0, x1) + 4, "end": max(x0, x1) - 4}.get(anchor, middle[0]) if lying else middle[0]
    return text.element(x, middle[1], said, Style(size, colour, anchor if lying else "middle"))
