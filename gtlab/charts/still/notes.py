"""The shapes and the annotations of a still picture."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from gtlab.charts.still import marks, text
from gtlab.charts.still.plot import Plot
from gtlab.charts.still.text import Style


def shape(plot: Plot, shape: Mapping[str, Any]) -> str:
    """A line, a rectangle, or an outline whose size is in pixels, around a point."""
    if shape.get("type") == "path":
        return _outline(plot, shape)
    x0, x1 = (plot.across(shape.get("xref") or "x", shape.get(end, 0), "x") for end in ("x0", "x1"))
    y0, y1 = (plot.across(shape.get("yref") or "y", shape.get(end, 0), "y") for end in ("y0", "y1"))
    if any(math.isnan(each) for each in (x0, x1, y0, y1)):
        return ""
    line = shape.get("line") or {}
    opacity = f'<g opacity="{shape["opacity"]:g}">' if shape.get("opacity") is not None else "<g>"
    if shape.get("type") == "line":
        drawn = marks.stroke([(x0, y0), (x1, y1)], line, plot.ink)
    else:
        width = line.get("width", 2)
        colour = html.escape(str(line.get("color") or plot.ink))
        edge = f' stroke="{colour}" stroke-width="{width:g}"' if width else ""
        drawn = marks.rect((x0, y0), (x1, y1), f'fill="{html.escape(str(shape.get("fillcolor") or "none"))}"{edge}')
    return f"{opacity}{drawn}</g>" if drawn else ""


def _outline(plot: Plot, shape: Mapping[str, Any]) -> str:
    x = plot.across(shape.get("xref") or "x", shape.get("xanchor"), "x")
    y = plot.across(shape.get("yref") or "y", shape.get("yanchor"), "y")
    if math.isnan(x) or math.isnan(y):
        return ""
    line = shape.get("line") or {}
    # In plotly's outlines, y grows upwards.
    return (f'<path d="{html.escape(shape["path"])}" transform="translate({x:.1f} {y:.1f})scale(1 -1)" fill="none" '
            f'stroke="{html.escape(str(line.get("color") or plot.ink))}" stroke-width="{line.get("width", 2):g}"/>')


def annotation(plot: Plot, note: Mapping[str, Any]) -> str:
    said = str(note.get("text") or "")
    if not said or note.get("visible") is False:
        return ""
    x, y = (_place(plot, note, kind) for kind in "xy")
    if math.isnan(x) or math.isnan(y):
        return ""
    font = note.get("font") or {}
    size, colour = font.get("size") or 13, font.get("color") or plot.ink
    arrow = ""
    if note.get("showarrow", True):
        tip = (x, y)
        x, y = x + float(note.get("ax") or 0), y + float(note["ay"] if note.get("ay") is not None else -30)
        arrow = marks.stroke([(x, y), tip], {"color": note.get("arrowcolor") or colour,
                                             "width": note.get("arrowwidth") or 1}, plot.ink)
    x, y = x + (note.get("xshift") or 0), y - (note.get("yshift") or 0)
    wide, tall = text.width(said, size), text.height(said, size)
    anchor = note.get("xanchor") or "auto"
    if anchor == "auto":
        anchor = _automatic(note, "x")
    left = x - {"left": 0.0, "right": wide}.get(anchor, wide / 2)
    valign = note.get("yanchor") or "auto"
    if valign == "auto":
        valign = _automatic(note, "y")
    top = y - {"top": 0.0, "bottom": tall}.get(valign, tall / 2)
    aligned = {"left": "start", "right": "end"}.get(anchor, "middle")
    box = ""
    if note.get("bordercolor"):
        pad = 2 + (note.get("borderpad") or 0)
        box = marks.rect((left - pad, top), (left + wide + pad, top + tall),
                         f'fill="{html.escape(note.get("bgcolor") or "#fff")}" '
                         f'stroke="{html.escape(note["bordercolor"])}"')
    halo = "#fff" if note.get("bgcolor") and not box else ""
    return arrow + box + text.element(x, top, said, Style(size, colour, aligned, "top", halo,
                                                          note.get("textangle") or 0))


def _place(plot: Plot, note: Mapping[str, Any], kind: str) -> float:
    reference, value = note.get(f"{kind}ref") or kind, note.get(kind, 0)
    axis = plot.axes.get(reference)
    if axis is not None and axis.log and not isinstance(value, str):
        return axis.between(value)  # plotly wants the logarithm here
    return plot.across(reference, value, kind)


def _automatic(note: Mapping[str, Any], kind: str) -> str:
    """plotly's anchor where none is given: on the paper, the nearest third; on an axis, the middle."""
    value = note.get(kind, 0)
    if note.get(f"{kind}ref") != "paper" or note.get("showarrow", True):
        return "center" if kind == "x" else "middle"
    low, high = ("left", "right") if kind == "x" else ("bottom", "top")
    return low if value <= 1 / 3 else high if value >= 2 / 3 else ("center" if kind == "x" else "middle")
