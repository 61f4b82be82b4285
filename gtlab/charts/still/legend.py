"""The legend of a still picture: its lines above or below the plot, and a swatch for each trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.charts.still import marks, text
from gtlab.charts.still.plot import SWATCH, Plot
from gtlab.charts.still.text import Style


def drawn(plot: Plot) -> str:
    """The whole legend as SVG; empty without one."""
    lines, size = plot.legend_rows(), plot.legend_size
    below = ((plot.layout.get("legend") or {}).get("y") or 0) < 0
    first = plot.bottom + 58 if below else plot.top - 12 - 22 * (len(lines) - 1)
    return "".join(_swatch(plot, x, first + 22 * row, trace)
                   + text.element(x + SWATCH + 6, first + 22 * row, str(trace["name"]), Style(size, plot.ink))
                   for row, entries in enumerate(lines) for x, trace in entries)


def _swatch(plot: Plot, x: float, y: float, trace: Mapping[str, Any]) -> str:
    colour, look = plot.colour(trace), trace.get("marker") or {}
    if trace.get("type") == "bar":
        return marks.rect((x + 8, y - 6), (x + 22, y + 6), f'fill="{marks.one(look.get("color"), 0, colour)}"')
    line, mode = trace.get("line") or {}, marks.mode(trace)
    swatch = marks.stroke([(x, y), (x + SWATCH, y)], line, colour) if "lines" in mode else ""
    if "markers" in mode:
        last = len(marks.numbers(trace.get("x"))) - 1
        sizes = [marks.one(look.get("size"), at, 6) for at in range(last + 1)]
        seen = next((at for at, size in enumerate(sizes) if size), 0)
        edge = look.get("line") or {}
        one = {name: marks.one(look.get(name), seen) for name in ("symbol", "color", "size", "opacity")}
        one |= {"line": {name: marks.one(edge.get(name), seen) for name in ("color", "width")},
                "angle": 90 if look.get("angleref") == "previous" else 0}
        swatch += marks.markers([(x + SWATCH / 2, y)], one, str(line.get("color") or colour))
    return swatch
