"""The words beside the marks of a space-time diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gtlab.charts.colours import INK
from gtlab.charts.faults import Fault
from gtlab.charts.history import ARRIVALS, UNDERWAY, WRITES, Happening
from gtlab.charts.labels import Labels, Point, boxes
from gtlab.charts.layout import NARROW, NOMINAL_WIDTH
from gtlab.charts.text import ms, place_name, plain_text, text_width

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHORT = 0.13     # rows: how far before a Region's line a delivery ends that loses
MOST_LABELS = 4  # of a kind: of more labels, none could be read
Groups = list[list[Happening]]


def middle(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


def label(fig: go.Figure, groups: dict[str, Groups], faults: list[Fault], codes: list[str]) -> None:
    """Words beside what matters most, if they are few enough to be read; each where it covers least. Call this when the
    figure has its axes' ranges."""
    lost, won = groups.get("conflict", []), groups.get("wins", [])
    wanted = [(f"<b>{plain_text(fault.knob)}</b>", [_Place((fault.x0 + fault.x1) / 2, fault.top - 0.1, "top center"),
                                                    _Place(fault.x0, fault.top - 0.1, "top right"),
                                                    _Place(fault.x1, fault.top - 0.1, "top left")]) for fault in faults]
    for (event, *more) in lost if len(lost) <= MOST_LABELS else []:
        count = f"{len(more) + 1} × " if more else ""
        winner = place_name(event.old.region) if event.old else ""
        row, from_above = codes.index(event.region), codes.index(event.source) < codes.index(event.region)
        near = _around(event.x, row - 1.6 * SHORT, row + 0.6 * SHORT)
        far = _around(event.x, row - 0.6 * SHORT, row + 1.6 * SHORT)
        wanted.append((f"{count}lost to {winner} by {ms(event.by_ms or 0.0)}", near if from_above else far))
    for (event, *more) in won if len(won) <= MOST_LABELS else []:
        row = codes.index(event.region)
        above, below = row - 0.12, row + 0.12
        wanted.append((f"{len(more) + 1} win" if more else "wins", [
            _Place(event.x, below, "bottom center"), _Place(event.x, above, "top center"),
            *_around(event.x, above, below)]))
    if not wanted:
        return
    plot = _Plot(fig, groups, codes)
    found = [(text, plot.best(text, places)) for text, places in wanted]
    fig.add_scatter(
        x=[round(place.x, 4) for _, place in found], y=[round(place.y, 4) for _, place in found], mode="text",
        text=[text for text, _ in found], textposition=[place.position for _, place in found],
        textfont={"size": 12, "color": INK}, name="labels", showlegend=False, hoverinfo="skip", cliponaxis=False)


class _Place(NamedTuple):
    """Where a label may be: x and y of the data, and plotly's textposition."""

    x: float
    y: float
    position: str

    def shift(self, width: float) -> tuple[float, float]:
        """From the point to the middle of a label of this width, in pixels."""
        down, side = self.position.split()
        return ({"left": -width / 2, "right": width / 2}.get(side, 0.0), -9.0 if down == "top" else 9.0)


def _around(x: float, above: float, below: float) -> list[_Place]:
    """Above and below a mark, at its sides and in its middle; then the same places farther away."""
    return [_Place(x, y, f"{where} {side}")
            for y, where in ((above, "top"), (below, "bottom"), (above - _FARTHER, "top"), (below + _FARTHER, "bottom"))
            for side in ("right", "left", "center")]


class _Plot:
    """Where the labels of a diagram cover least, at each of several widths of the page."""

    def __init__(self, fig: go.Figure, groups: dict[str, Groups], codes: list[str]):
        margin = fig.layout.margin
        tall = fig.layout.height - margin.t - 48 - 28  # the axis and the legend
        self._x, self._y = fig.layout.xaxis.range, fig.layout.yaxis.range
        # In a narrow page the legend has more lines, and the plot is lower.
        self._labels = Labels([(width - _BESIDE, part * tall) for width, part in (
            (NARROW, 0.82), (640, 0.9), (NOMINAL_WIDTH, 1.0))])
        for what in (*WRITES, "wins"):
            for group in groups.get(what, []):
                mark = self._pixels(middle([event.x for event in group]), codes.index(group[0].region))
                self._labels.block(boxes(mark, (0, 0), *((22, 22) if what == "wins" else (14, 14))))
        for what in (*ARRIVALS, UNDERWAY):
            for (event, *more) in groups.get(what, []):
                if more or event.from_x is None:
                    continue  # drawn as a band, which does not hide letters
                a, b = codes.index(event.source), codes.index(event.region)
                steps = [step / _POINTS for step in range(_POINTS + 1)]
                self._labels.avoid([self._pixels(event.from_x + (event.x - event.from_x) * step, a + (b - a) * step)
                                    for step in steps], what)

    def best(self, text: str, places: Sequence[_Place]) -> _Place:
        """The best of these places, which is then taken."""
        width = text_width(text.replace("<b>", "").replace("</b>", "")) + 4
        there = {boxes(self._pixels(place.x, place.y), place.shift(width), width, 15): place for place in places}
        return there[self._labels.place(there)]

    def _pixels(self, x: float, y: float) -> list[Point]:
        (left, right), (bottom, top) = self._x, self._y
        return [((x - left) / (right - left) * wide, (y - top) / (bottom - top) * tall)
                for wide, tall in self._labels.sizes]


_BESIDE = 156  # pixels beside the plot: the labels of the rows, and the right margin
_FARTHER = 0.18  # rows
_POINTS = 16   # of a line that labels keep off
