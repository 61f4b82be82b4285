"""The whole picture: margins, axes, traces, shapes, labels and the legend, in plotly's order."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gtlab.charts.colours import GRID, INK, PALETTE, QUIET
from gtlab.charts.columns import missing
from gtlab.charts.still import marks, text
from gtlab.charts.still.axis import Axis
from gtlab.charts.still.text import Style

WIDTH = 880  # pixels; where there is less room, the picture is scaled down
_FONT = "system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif"
_SWATCH, _GAP = 30, 18  # of the legend, in pixels


def svg(figure: Mapping[str, Any]) -> str:
    """A figure of plotly, as its ``to_plotly_json()`` has it, as an SVG element with a title and a description for
    screen readers. The finding stands below the chart, unless the chart itself shows it."""
    return _Picture(figure).svg()


def words(figure: Mapping[str, Any]) -> tuple[str, str]:
    """The finding of a chart, and what it shows as text for readers who cannot see it.

    Both are in ``layout.meta``, as "finding" and "alt", in plain text. Without them, both are the title.
    """
    layout = figure.get("layout", {})
    meta = layout.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    title = text.plain(_title(layout)[0]) or "Chart"
    finding = str(meta.get("finding") or "")
    return finding or title, str(meta.get("alt") or "") or finding or title


def shows(figure: Mapping[str, Any], finding: str) -> bool:
    """Whether the finding is written in the chart itself: in its title, its subtitle or an annotation."""
    layout = figure.get("layout", {})
    written = [*_title(layout), *(str(each.get("text")) for each in layout.get("annotations") or ())]
    return any(" ".join(finding.split()) in " ".join(text.plain(each).split()) for each in written)


def _title(layout: Mapping[str, Any]) -> tuple[str, str]:
    """The title and the subtitle."""
    title = layout.get("title") or {}
    if not isinstance(title, Mapping):
        return str(title), ""
    return str(title.get("text") or ""), str((title.get("subtitle") or {}).get("text") or "")


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


class _Picture:
    def __init__(self, figure: Mapping[str, Any]):
        own = figure.get("layout", {})
        self.template = (own.get("template") or {}).get("layout") or {}
        self.layout = _merged(self.template, own)
        self.traces = [trace for trace in figure.get("data", ()) if trace.get("visible", True) is True
                       and trace.get("type", "scatter") in ("scatter", "scattergl", "bar")]
        self.finding, self.alt = words(figure)
        self.height = float(self.layout.get("height") or 450)
        self.ink = (self.layout.get("font") or {}).get("color") or INK
        self.colours = list(self.layout.get("colorway") or PALETTE)
        self.defs: dict[str, str] = {}
        margin = self.layout.get("margin") or {}
        self.top, self.right = float(margin.get("t", 80)), WIDTH - float(margin.get("r", 30))
        self.bottom, self.left = self.height - float(margin.get("b", 48)), float(margin.get("l", 20))
        self.axes = self._axes()

    def svg(self) -> str:
        shapes = self.layout.get("shapes") or ()
        clip = f"gt-plot-{WIDTH}-{self.left:.0f}-{self.top:.0f}-{self.right:.0f}-{self.bottom:.0f}"
        self.defs[clip] = (f'<clipPath id="{clip}">'
                           + marks.rect((self.left, self.top), (self.right, self.bottom), "") + "</clipPath>")
        below = "".join(self._shape(shape) for shape in shapes if shape.get("layer") in ("below", "between"))
        traces = self._traces()
        above = "".join(self._shape(shape) for shape in shapes if shape.get("layer") not in ("below", "between"))
        parts = [self._background(), self._grid(), f'<g clip-path="url(#{clip})">{below}</g>', *traces, above,
                 self._ticks(), self._heading(), self._legend(),
                 *(self._annotation(each) for each in self.layout.get("annotations") or ())]
        caption, extra = self._caption()
        height = self.height + extra
        inside = "".join([*parts, caption])
        defs = "".join(self.defs.values())
        # Not wider than the page: as an image it fills the page, as an element it is no wider than WIDTH.
        return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height:.0f}" '
                f'width="100%" style="max-width:{WIDTH}px;height:auto;background:#fff" font-family="{_FONT}">'
                f"<title>{html.escape(self.finding)}</title><desc>{html.escape(self.alt)}</desc>"
                f"<defs>{defs}</defs>{inside}</svg>")

    # --- where things are ---

    def _axes(self) -> dict[str, Axis]:
        """The axes by plotly's names ("x", "y", "x2" …), with their places in pixels."""
        names = {trace.get(f"{kind}axis") or kind for kind in "xy" for trace in self.traces} | {"x", "y"}
        axes = {}
        for name in sorted(names):
            settings = self.layout.get(f"{name[0]}axis{name[1:]}") or {}
            if name[1:]:
                settings = _merged(self.template.get(f"{name[0]}axis") or {}, settings)
            mine = [trace for trace in self.traces if (trace.get(f"{name[0]}axis") or name[0]) == name]
            bars = any(trace.get("type") == "bar" and (trace.get("orientation") == "h") == (name[0] == "x")
                       for trace in mine)
            axes[name] = Axis(settings, [value for trace in mine for value in _extent(trace, name[0])],
                              padded=not bars and any("markers" in _mode(trace) for trace in mine))
        widest = max((text.width(label, _size(axis)) for axis in _vertical(axes) for _, label in _placed(axis, 300, 0)),
                     default=0.0)
        title = any(_axis_title(axis) for axis in _vertical(axes))
        if widest:
            self.left = max(self.left, widest + 22 + (20 if title else 0))
        legend = self.layout.get("legend") or {}
        if legend.get("yref") == "container" and self._legend_rows():  # it begins there, and the plot below it
            self.top = max(self.top, (1 - legend["y"]) * self.height + 22 * len(self._legend_rows()) + 8)
        for name, axis in axes.items():
            first, last = axis.settings.get("domain") or (0, 1)
            if name[0] == "x":
                span = self.right - self.left
                axis.start, axis.end = self.left + first * span, self.left + last * span
            else:
                span = self.bottom - self.top
                axis.start, axis.end = self.bottom - first * span, self.bottom - last * span
        return axes

    def _across(self, reference: str, value: Any, kind: str) -> float:
        """The pixel of a position on an axis, or of a fraction of the plot."""
        axis = self.axes.get(reference.removesuffix(" domain"), self.axes[kind])
        if reference == "paper":
            part = float(value)
            return (self.left + part * (self.right - self.left) if kind == "x"
                    else self.bottom - part * (self.bottom - self.top))
        if reference.endswith(" domain"):
            return axis.start + float(value) * (axis.end - axis.start)
        return axis.pixel(value)

    # --- what is drawn ---

    def _background(self) -> str:
        colour = self.layout.get("plot_bgcolor") or "#fff"
        if colour in ("white", "#fff", "rgba(0,0,0,0)"):
            return ""
        return marks.rect((self.left, self.top), (self.right, self.bottom), f'fill="{html.escape(colour)}"')

    def _grid(self) -> str:
        parts = []
        for name, axis in self.axes.items():
            settings = axis.settings
            if settings.get("visible") is False or settings.get("showgrid") is False:
                continue
            data = "".join(f"M{at:.1f} {self.top:g}V{self.bottom:g}" if name[0] == "x" else
                           f"M{self.left:.1f} {at:.1f}H{self.right:g}" for at, _ in axis.ticks())
            parts.append(f'<path d="{data}" stroke="{html.escape(settings.get("gridcolor") or GRID)}" '
                         f'stroke-width="{settings.get("gridwidth") or 1:g}"/>' if data else "")
        return "".join(parts)

    def _ticks(self) -> str:
        parts = []
        for name, axis in self.axes.items():
            settings = axis.settings
            if settings.get("visible") is False:
                continue
            size, colour = _size(axis), (settings.get("tickfont") or {}).get("color") or self.ink
            title = _axis_title(axis)
            look = Style(size=13, colour=(settings.get("title") or {}).get("font", {}).get("color") or QUIET,
                         anchor="middle")
            if name[0] == "x":
                if settings.get("showticklabels") is not False:
                    parts += [text.element(at, self.bottom + 6, label, Style(size, colour, "middle", "top"))
                              for at, label in axis.ticks()]
                parts.append(text.element((axis.start + axis.end) / 2, self.bottom + 34, title, look))
            else:
                if settings.get("showticklabels") is not False:
                    parts += [text.element(self.left - 8, at, label, Style(size, colour, "end"))
                              for at, label in axis.ticks()]
                if title:
                    middle = (axis.start + axis.end) / 2
                    parts.append(text.element(12, middle, title, Style(look.size, look.colour, "middle", angle=-90)))
        return "".join(parts)

    def _traces(self) -> Iterable[str]:
        before: marks.Line = []
        for number, trace in enumerate(self.traces):
            colour = self.colours[number % len(self.colours)]
            if trace.get("type") == "bar":
                yield self._bars(trace, colour)
                continue
            points = self._points(trace)
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
                zero = self.axes[trace.get("yaxis") or "y"].pixel(0)
                around: marks.Line = [(ends[0][0], zero), *line, (ends[-1][0], zero)]
                parts.append(marks.fill(around, trace.get("fillcolor") or colour))
            before = line
            mode = _mode(trace)
            if "lines" in mode and not outlined:
                parts.append(marks.stroke(line, pen, colour))
            if "markers" in mode:
                parts.append(marks.markers(points, trace.get("marker") or {}, str(pen.get("color") or colour)))
            if "text" in mode:
                parts.append(self._texts(trace, points))
            opacity = trace.get("opacity")
            inside = "".join(parts)
            # Markers may reach over the edge of the plot, lines may not.
            clip = "" if "markers" in mode else f' clip-path="url(#{next(iter(self.defs))})"'
            look = clip + (f' opacity="{opacity:g}"' if opacity else "")
            yield f"<g{look}>{inside}</g>" if inside else ""

    def _points(self, trace: Mapping[str, Any]) -> marks.Line:
        x, y = self.axes[trace.get("xaxis") or "x"], self.axes[trace.get("yaxis") or "y"]
        return [None if missing(a) or missing(b) else (x.pixel(a), y.pixel(b))
                for a, b in zip(marks.numbers(trace.get("x")), marks.numbers(trace.get("y")), strict=False)]

    def _texts(self, trace: Mapping[str, Any], points: marks.Line) -> str:
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
                Style(marks.one(font.get("size"), at, 12), marks.one(font.get("color"), at, self.ink),
                      {"left": "end", "right": "start"}.get(where.split()[-1], "middle"),
                      {"top": "bottom", "bottom": "top"}.get(where.split()[0], "middle"))))
        return "".join(parts)

    def _bars(self, trace: Mapping[str, Any], colour: str) -> str:
        lying = trace.get("orientation") == "h"
        along, across = (self.axes[trace.get("xaxis") or "x"], self.axes[trace.get("yaxis") or "y"])
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
                self.defs[name] = made
                look = f'fill="url(#{name})"'
            parts.append(marks.rect(*ends, look))
            parts.append(self._bar_text(trace, at, ends, lying))
        return "".join(parts)

    def _bar_text(self, trace: Mapping[str, Any], at: int, ends: tuple[marks.Point, marks.Point], lying: bool) -> str:
        said = str(marks.one(trace.get("text"), at, "") or "")
        outside = marks.one(trace.get("textposition"), at, "auto") == "outside"
        font = (trace.get("textfont") or {}) | ({} if outside else trace.get("insidetextfont") or {})
        size, colour = marks.one(font.get("size"), at, 12), marks.one(font.get("color"), at, self.ink)
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

    def _shape(self, shape: Mapping[str, Any]) -> str:
        x0, x1 = (self._across(shape.get("xref") or "x", shape.get(end, 0), "x") for end in ("x0", "x1"))
        y0, y1 = (self._across(shape.get("yref") or "y", shape.get(end, 0), "y") for end in ("y0", "y1"))
        if any(math.isnan(each) for each in (x0, x1, y0, y1)):
            return ""
        line = shape.get("line") or {}
        opacity = f'<g opacity="{shape["opacity"]:g}">' if shape.get("opacity") is not None else "<g>"
        if shape.get("type") == "line":
            drawn = marks.stroke([(x0, y0), (x1, y1)], line, self.ink)
        else:
            width = line.get("width", 2)
            colour = html.escape(str(line.get("color") or self.ink))
            edge = f' stroke="{colour}" stroke-width="{width:g}"' if width else ""
            drawn = marks.rect((x0, y0), (x1, y1), f'fill="{html.escape(str(shape.get("fillcolor") or "none"))}"{edge}')
        return f"{opacity}{drawn}</g>" if drawn else ""

    def _annotation(self, note: Mapping[str, Any]) -> str:
        said = str(note.get("text") or "")
        if not said or note.get("visible") is False:
            return ""
        x, y = (self._annotated(note, kind) for kind in "xy")
        if math.isnan(x) or math.isnan(y):
            return ""
        font = note.get("font") or {}
        size, colour = font.get("size") or 13, font.get("color") or self.ink
        arrow = ""
        if note.get("showarrow", True):
            tip = (x, y)
            x, y = x + float(note.get("ax") or 0), y + float(note["ay"] if note.get("ay") is not None else -30)
            arrow = marks.stroke([(x, y), tip], {"color": note.get("arrowcolor") or colour,
                                                 "width": note.get("arrowwidth") or 1}, self.ink)
        x, y = x + (note.get("xshift") or 0), y - (note.get("yshift") or 0)
        wide, tall = text.width(said, size), text.height(said, size)
        anchor = note.get("xanchor") or "auto"
        if anchor == "auto":
            anchor = self._automatic(note, "x")
        left = x - {"left": 0.0, "right": wide}.get(anchor, wide / 2)
        valign = note.get("yanchor") or "auto"
        if valign == "auto":
            valign = self._automatic(note, "y")
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

    def _annotated(self, note: Mapping[str, Any], kind: str) -> float:
        reference, value = note.get(f"{kind}ref") or kind, note.get(kind, 0)
        axis = self.axes.get(reference)
        if axis is not None and axis.log and not isinstance(value, str):
            return axis.between(value)  # plotly wants the logarithm here
        return self._across(reference, value, kind)

    @staticmethod
    def _automatic(note: Mapping[str, Any], kind: str) -> str:
        """plotly's anchor where none is given: on the paper, the nearest third; on an axis, the middle."""
        value = note.get(kind, 0)
        if note.get(f"{kind}ref") != "paper" or note.get("showarrow", True):
            return "center" if kind == "x" else "middle"
        low, high = ("left", "right") if kind == "x" else ("bottom", "top")
        return low if value <= 1 / 3 else high if value >= 2 / 3 else ("center" if kind == "x" else "middle")

    # --- around the plot ---

    def _heading(self) -> str:
        title, below = _title(self.layout)
        settings = self.layout.get("title") or {}
        settings = settings if isinstance(settings, Mapping) else {}
        size = (settings.get("font") or {}).get("size") or 17
        font = (settings.get("subtitle") or {}).get("font") or {}
        title = text.wrap(title, size, WIDTH - 24)
        under = 14 + text.height(title, size)
        return (text.element(12, 12, title, Style(size, self.ink, valign="top"))
                + text.element(12, under, text.wrap(below, font.get("size") or 13, WIDTH - 24),
                               Style(font.get("size") or 13, font.get("color") or QUIET, valign="top")))

    def _legend_rows(self) -> list[list[tuple[float, Mapping[str, Any]]]]:
        """The entries of each line of the legend, with their pixels from the left; empty without a legend."""
        named = [trace for trace in self.traces if trace.get("showlegend") is not False and trace.get("name")]
        shown = self.layout.get("showlegend")
        if shown is False or (shown is None and len(self.traces) < 2) or not named:
            return []
        size = self._legend_size()
        rows: list[list[tuple[float, Mapping[str, Any]]]] = [[]]
        x = self.left
        for trace in named:
            wide = _SWATCH + 6 + text.width(str(trace["name"]), size) + _GAP
            if rows[-1] and x + wide > WIDTH:
                rows.append([])
                x = self.left
            rows[-1].append((x, trace))
            x += wide
        return rows

    def _legend_size(self) -> float:
        return float(((self.layout.get("legend") or {}).get("font") or {}).get("size") or 13)

    def _legend(self) -> str:
        rows, size = self._legend_rows(), self._legend_size()
        below = ((self.layout.get("legend") or {}).get("y") or 0) < 0
        first = self.bottom + 58 if below else self.top - 12 - 22 * (len(rows) - 1)
        return "".join(self._swatch(x, first + 22 * row, trace)
                       + text.element(x + _SWATCH + 6, first + 22 * row, str(trace["name"]), Style(size, self.ink))
                       for row, entries in enumerate(rows) for x, trace in entries)

    def _swatch(self, x: float, y: float, trace: Mapping[str, Any]) -> str:
        colour = self.colours[self.traces.index(trace) % len(self.colours)]
        look = trace.get("marker") or {}
        if trace.get("type") == "bar":
            return marks.rect((x + 8, y - 6), (x + 22, y + 6), f'fill="{marks.one(look.get("color"), 0, colour)}"')
        line, mode = trace.get("line") or {}, _mode(trace)
        drawn = marks.stroke([(x, y), (x + _SWATCH, y)], line, colour) if "lines" in mode else ""
        if "markers" in mode:
            last = len(marks.numbers(trace.get("x"))) - 1
            sizes = [marks.one(look.get("size"), at, 6) for at in range(last + 1)]
            seen = next((at for at, size in enumerate(sizes) if size), 0)
            edge = look.get("line") or {}
            one = {name: marks.one(look.get(name), seen) for name in ("symbol", "color", "size", "opacity")}
            one |= {"line": {name: marks.one(edge.get(name), seen) for name in ("color", "width")},
                    "angle": 90 if look.get("angleref") == "previous" else 0}
            drawn += marks.markers([(x + _SWATCH / 2, y)], one, str(line.get("color") or colour))
        return drawn

    def _caption(self) -> tuple[str, float]:
        """The finding below the chart, and the height that it takes; empty if the chart shows it."""
        if shows({"layout": self.layout}, self.finding):
            return "", 0.0
        said = text.wrap(html.escape(self.finding, quote=False), 14, WIDTH - 24)
        drawn = text.element(12, self.height + 4, said, Style(14, self.ink, valign="top"))
        return drawn, text.height(said, 14) + 12


def _mode(trace: Mapping[str, Any]) -> str:
    return str(trace.get("mode") or ("lines+markers" if len(marks.numbers(trace.get("x"))) < 20 else "lines"))


def _extent(trace: Mapping[str, Any], kind: str) -> list[Any]:
    """The values of a trace that an axis must show."""
    values = marks.numbers(trace.get(kind))
    if trace.get("type") != "bar" or (trace.get("orientation") == "h") != (kind == "x"):
        return values
    base = trace.get("base")
    ends = [marks.one(base, at, 0) + value for at, value in enumerate(values) if not missing(value)]
    return [0, *ends]


def _vertical(axes: Mapping[str, Axis]) -> list[Axis]:
    return [axis for name, axis in axes.items() if name[0] == "y" and axis.settings.get("visible") is not False]


def _placed(axis: Axis, start: float, end: float) -> list[tuple[float, str]]:
    axis.start, axis.end = start, end
    return axis.ticks()


def _size(axis: Axis) -> float:
    return float((axis.settings.get("tickfont") or {}).get("size") or 13)


def _axis_title(axis: Axis) -> str:
    title = axis.settings.get("title") or {}
    return str(title.get("text") or "") if isinstance(title, Mapping) else str(title)
