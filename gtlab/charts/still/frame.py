"""What stands around the plot of a still picture: the background, the grid, the axes' labels, and the title."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from gtlab.charts.colours import GRID, QUIET
from gtlab.charts.still import marks, text
from gtlab.charts.still.plot import Plot
from gtlab.charts.still.text import Style


def background(plot: Plot) -> str:
    colour = plot.layout.get("plot_bgcolor") or "#fff"
    if colour in ("white", "#fff", "rgba(0,0,0,0)"):
        return ""
    return marks.rect((plot.left, plot.top), (plot.right, plot.bottom), f'fill="{html.escape(colour)}"')


def grid(plot: Plot) -> str:
    parts = []
    for name, axis in plot.axes.items():
        settings = axis.settings
        if settings.get("visible") is False or settings.get("showgrid") is False:
            continue
        data = "".join(f"M{at:.1f} {plot.top:g}V{plot.bottom:g}" if name[0] == "x" else
                       f"M{plot.left:.1f} {at:.1f}H{plot.right:g}" for at, _ in axis.ticks())
        parts.append(f'<path d="{data}" stroke="{html.escape(settings.get("gridcolor") or GRID)}" '
                     f'stroke-width="{settings.get("gridwidth") or 1:g}"/>' if data else "")
    return "".join(parts)


def labels(plot: Plot) -> str:
    parts = []
    for name, axis in plot.axes.items():
        settings = axis.settings
        if settings.get("visible") is False:
            continue
        size, colour = axis.label_size, (settings.get("tickfont") or {}).get("color") or plot.ink
        title = axis.title
        look = Style(size=13, colour=(settings.get("title") or {}).get("font", {}).get("color") or QUIET,
                     anchor="middle")
        if name[0] == "x":
            if settings.get("showticklabels") is not False:
                parts += [text.element(at, plot.bottom + 6, label, Style(size, colour, "middle", "top"))
                          for at, label in axis.ticks()]
            parts.append(text.element((axis.start + axis.end) / 2, plot.bottom + 34, title, look))
        else:
            if settings.get("showticklabels") is not False:
                parts += [text.element(plot.left - 8, at, label, Style(size, colour, "end"))
                          for at, label in axis.ticks()]
            if title:
                middle = (axis.start + axis.end) / 2
                parts.append(text.element(12, middle, title, Style(look.size, look.colour, "middle", angle=-90)))
    return "".join(parts)


def heading(plot: Plot) -> str:
    above, below = title(plot.layout)
    settings = plot.layout.get("title") or {}
    settings = settings if isinstance(settings, Mapping) else {}
    size = (settings.get("font") or {}).get("size") or 17
    font = (settings.get("subtitle") or {}).get("font") or {}
    above = text.wrap(above, size, plot.width - 24)
    under = 14 + text.height(above, size)
    return (text.element(12, 12, above, Style(size, plot.ink, valign="top"))
            + text.element(12, under, text.wrap(below, font.get("size") or 13, plot.width - 24),
                           Style(font.get("size") or 13, font.get("color") or QUIET, valign="top")))


def title(layout: Mapping[str, Any]) -> tuple[str, str]:
    """The title and the subtitle."""
    title = layout.get("title") or {}
    if not isinstance(title, Mapping):
        return str(title), ""
    return str(title.get("text") or ""), str((title.get("subtitle") or {}).get("text") or "")
