"""Every colour of the charts, and what is worked out from a colour."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import cycle
from typing import TypeVar

# The colours of Okabe and Ito, which colour-blind readers can tell apart. Their yellow is left out: it cannot be read
# on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")

INK, QUIET, GRID = "#1F2933", "#5A6572", "#E6E9ED"  # text, less important text, grid lines
COAST, LAND, SEA = "#C3CAD1", "#E3E7EA", "#F7FAFC"
HOME, REPLICA = PALETTE[1], PALETTE[0]
WHITE_EDGE = {"color": "white", "width": 1.5}  # around a marker
LABEL_BACKGROUND = "rgba(255,255,255,0.75)"    # so that a label over a line can be read

# Fill and text colour of each table status. The contrast of the text on its fill is at least 4.5.
STATUS_COLOURS = {
    "CREATING": ("#E69F00", "#000000"),
    "ACTIVE": ("#00704F", "#FFFFFF"),
    "UPDATING": ("#56B4E9", "#000000"),
    "DELETING": ("#B84A00", "#FFFFFF"),
    "absent": ("#DDE1E6", "#333333"),
    # The statuses of an item that gtlab.watch reports.
    "not there": ("#DDE1E6", "#333333"),
    "older": ("#E69F00", "#000000"),
    "there": ("#00704F", "#FFFFFF"),
}
OTHER_STATUS = ("#CC79A7", "#000000")

# Fill and text colour of each step of the timing loop.
LOOP_COLOURS = {
    "put": (PALETTE[0], "#FFFFFF"),
    "sleep": ("#DDE1E6", INK),
    "get": ("#E69F00", "#000000"),
}

Name = TypeVar("Name", bound=Hashable)


def colour_each(names: Iterable[Name]) -> dict[Name, str]:
    """A colour for each name, in order; after the last colour the palette starts again."""
    return dict(zip(names, cycle(PALETTE), strict=False))


def dash(number: int) -> str:
    """The line style of the name at this position (from 0) in :func:`colour_each`: names that share a colour have
    different line styles."""
    return ("solid", "dash", "dot")[number // len(PALETTE) % 3]


def faded(colour: str, opacity: float) -> str:
    """The colour ("#RRGGBB") with an opacity from 0 to 1, as CSS."""
    return f"rgba({','.join(map(str, _red_green_blue(colour)))},{opacity})"


def darker(colour: str) -> str:
    """The same hue ("#RRGGBB"), dark enough to be read as text on white."""
    if colour in (INK, QUIET):
        return colour
    return "#" + "".join(f"{int(part * 0.68):02X}" for part in _red_green_blue(colour))


def _red_green_blue(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
