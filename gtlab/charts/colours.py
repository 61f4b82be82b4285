"""The colours of the charts that do not belong to a Region, and what is calculated from a colour.

The colours of the Regions are in :mod:`gtlab.charts.looks`.

A figure is drawn in the light theme's colours. In JupyterLab's dark theme, the stylesheet of
:mod:`gtlab.charts.theme` replaces each key of :data:`DARK` by its value; all other colours stay as they are, because
their contrast is sufficient in both themes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TypeVar

from gtlab.charts.looks import COLOURS, GREEN, VERMILLION

PALETTE = COLOURS
BACK = "#FFFFFF"
INK, QUIET, GRID = "#1F2933", "#5A6572", "#E6E9ED"  # text, less important text, grid lines
COAST, LAND, SEA = "#C3CAD1", "#EEF1F3", "#FAFBFC"
DARK = {BACK: "#111111", INK: "#E4E8EC", QUIET: "#B3BBC4", GRID: "#2E3338", COAST: "#4C545C", LAND: "#1D2226",
        SEA: "#16191C"}
EDGE = {"color": BACK, "width": 1.5}         # around a marker
LABEL_BACKGROUND = "rgba(255,255,255,0.75)"  # BACK, so that a label over a line can be read
CLEAR = "rgba(0,0,0,0)"

# Fill and text colour of each table status. The contrast of the text on its fill is at least 4.5, that of the fill with
# the background at least 3, in both themes. What is not there has no fill and is drawn as an outline.
AMBER, SKY, PINK = "#B07F00", "#3F8FCF", "#D45FB0"
_ON_FILL = "#000000"
STATUS_COLOURS = {
    "CREATING": (AMBER, _ON_FILL),
    "ACTIVE": (GREEN, _ON_FILL),
    "UPDATING": (SKY, _ON_FILL),
    "DELETING": (VERMILLION, _ON_FILL),
    "absent": (CLEAR, INK),
    # The statuses of an item that gtlab.watch reports.
    "not there": (CLEAR, INK),
    "older": (AMBER, _ON_FILL),
    "there": (GREEN, _ON_FILL),
}
OTHER_STATUS = (PINK, _ON_FILL)

# Fill and text colour of each step of the timing loop.
LOOP_COLOURS = {
    "put": (SKY, _ON_FILL),
    "sleep": (CLEAR, INK),
    "get": (AMBER, _ON_FILL),
}

Name = TypeVar("Name", bound=Hashable)


def dash_each(colours: Mapping[Name, str]) -> dict[Name, str]:
    """A line style for each name: names that share a colour have different line styles, up to four of them."""
    styles = ("solid", "dash", "dot", "dashdot")
    before: Counter[str] = Counter()
    found = {}
    for name, colour in colours.items():
        found[name] = styles[before[colour] % len(styles)]
        before[colour] += 1
    return found


def faded(colour: str, opacity: float) -> str:
    """The colour ("#RRGGBB") with an opacity from 0 to 1, as CSS."""
    return f"rgba({','.join(map(str, red_green_blue(colour)))},{opacity})"


def red_green_blue(colour: str) -> list[int]:
    """Red, green and blue of a colour ("#RRGGBB"), from 0 to 255."""
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
