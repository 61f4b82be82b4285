"""Where things are in a still picture: its size, its margins, and the pixels of a figure's axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.charts.colours import INK, PALETTE
from gtlab.charts.columns import missing
from gtlab.charts.still import marks, text
from gtlab.charts.still.axis import Axis

WIDTH = 880  # pixels; where there is less room, the picture is scaled down
SWATCH, _GAP = 30, 18  # of the legend, in pixels


class Plot:
    """The plot of a figure of plotly. ``left``, ``right``, ``top`` and ``bottom`` are its edges in pixels, ``axes`` has
    the axes by plotly's names ("x", "y", "x2" …), ``layout`` the figure's layout with its template. ``defs`` are the
    definitions of the SVG by name; ``clip`` names the one that cuts at the edges."""

    def __init__(self, figure: Mapping[str, Any]):
        own = figure.get("layout", {})
        self._template = (own.get("template") or {}).get("layout") or {}
        self.layout = _merged(self._template, own)
        self.traces = [trace for trace in figure.get("data", ()) if trace.get("visible", True) is True
                       and trace.get("type", "scatter") in ("scatter", "scattergl", "bar")]
        self.width, self.height = WIDTH, float(self.layout.get("height") or 450)
        self.ink = (self.layout.get("font") or {}).get("color") or INK
        self._colours = list(self.layout.get("colorway") or PALETTE)
        margin = self.layout.get("margin") or {}
        self.top, self.right = float(margin.get("t", 80)), WIDTH - float(margin.get("r", 30))
        self.bottom, self.left = self.height - float(margin.get("b", 48)), float(margin.get("l", 20))
        self.axes = self._axes()
        self.clip = f"gt-plot-{WIDTH}-{self.left:.0f}-{self.top:.0f}-{self.right:.0f}-{self.bottom:.0f}"
        edge = marks.rect((self.left, self.top), (self.right, self.bottom), "")
        self.defs = {self.clip: f'<clipPath id="{self.clip}">{edge}</clipPath>'}

    def _axes(self) -> dict[str, Axis]:
        """The axes by plotly's names ("x", "y", "x2" …), with their places in pixels."""
        names = {trace.get(f"{kind}axis") or kind for kind in "xy" for trace in self.traces} | {"x", "y"}
        axes = {}
        for name in sorted(names):
            settings = self.layout.get(f"{name[0]}axis{name[1:]}") or {}
            if name[1:]:
                settings = _merged(self._template.get(f"{name[0]}axis") or {}, settings)
            mine = [trace for trace in self.traces if (trace.get(f"{name[0]}axis") or name[0]) == name]
            bars = any(trace.get("type") == "bar" and (trace.get("orientation") == "h") == (name[0] == "x")
                       for trace in mine)
            axes[name] = Axis(settings, [value for trace in mine for value in marks.extent(trace, name[0])],
                              padded=not bars and any("markers" in marks.mode(trace) for trace in mine))
        widest = max((text.width(label, axis.label_size) for axis in _vertical(axes)
                      for _, label in _placed(axis, 300, 0)), default=0.0)
        title = any(axis.title for axis in _vertical(axes))
        if widest:
            self.left = max(self.left, widest + 22 + (20 if title else 0))
        above, rows = self.layout.get("legend") or {}, self.legend_rows()
        if above.get("yref") == "container" and rows:  # it begins there, and the plot below it
            self.top = max(self.top, (1 - above["y"]) * self.height + 22 * len(rows) + 8)
        for name, axis in axes.items():
            first, last = axis.settings.get("domain") or (0, 1)
            if name[0] == "x":
                span = self.right - self.left
                axis.start, axis.end = self.left + first * span, self.left + last * span
            else:
                span = self.bottom - self.top
                axis.start, axis.end = self.bottom - first * span, self.bottom - last * span
        return axes

    def across(self, reference: str, value: Any, kind: str) -> float:
        """The pixel of a position on an axis, or of a fraction of the plot."""
        axis = self.axes.get(reference.removesuffix(" domain"), self.axes[kind])
        if reference == "paper":
            part = float(value)
            return (self.left + part * (self.right - self.left) if kind == "x"
                    else self.bottom - part * (self.bottom - self.top))
        if reference.endswith(" domain"):
            return axis.start + float(value) * (axis.end - axis.start)
        return axis.pixel(value)

    def points(self, trace: Mapping[str, Any]) -> marks.Line:
        """The pixels of a trace's points; None where a coordinate is missing."""
        x, y = self.axes[trace.get("xaxis") or "x"], self.axes[trace.get("yaxis") or "y"]
        return [None if missing(a) or missing(b) else (x.pixel(a), y.pixel(b))
                for a, b in zip(marks.numbers(trace.get("x")), marks.numbers(trace.get("y")), strict=False)]

    def legend_rows(self) -> list[list[tuple[float, Mapping[str, Any]]]]:
        """The entries of each line of the legend, with their pixels from the left; empty without a legend."""
        named = [trace for trace in self.traces if trace.get("showlegend") is not False and trace.get("name")]
        shown = self.layout.get("showlegend")
        if shown is False or (shown is None and len(self.traces) < 2) or not named:
            return []
        size = self.legend_size
        found: list[list[tuple[float, Mapping[str, Any]]]] = [[]]
        x = self.left
        for trace in named:
            wide = SWATCH + 6 + text.width(str(trace["name"]), size) + _GAP
            if found[-1] and x + wide > self.width:
                found.append([])
                x = self.left
            found[-1].append((x, trace))
            x += wide
        return found

    @property
    def legend_size(self) -> float:
        """The font size of the legend, in pixels."""
        return float(((self.layout.get("legend") or {}).get("font") or {}).get("size") or 13)

    def colour(self, trace: Mapping[str, Any]) -> str:
        """The colour of a trace that has none of its own."""
        at = next(at for at, each in enumerate(self.traces) if each is trace)
        return str(self._colours[at % len(self._colours)])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``above``, and those of ``below`` where ``above`` has none."""
    made = dict(below)
    for name, value in above.items():
        before = made.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            made[name] = _merged(before, value)
        elif value is not None:
            made[name] = value
    return made


def _vertical(axes: Mapping[str, Axis]) -> list[Axis]:
    return [axis for name, axis in axes.items() if name[0] == "y" and axis.settings.get("visible") is not False]


def _placed(axis: Axis, start: float, end: float) -> list[tuple[float, str]]:
    axis.start, axis.end = start, end
    return axis.ticks()
