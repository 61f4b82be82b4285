"""The colour and the symbol of each Region: the same in every chart and widget of the course.

Each pair of a colour and a symbol belongs to one Region. Regions that are often used together (the course's default,
the Regions of a strongly consistent table, neighbours) differ in both. The home Region keeps its colour and its symbol;
a house around the symbol and the word "home" mark it.

The colours are three of Okabe and Ito's, a magenta and a brown. Readers with any of the common kinds of colour
blindness can tell them apart. Against the light and the dark background, the contrast of each is at least 3 (WCAG 2.1,
1.4.11, for graphics). That is not enough for text, which is never written in the colour of a Region.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

BLUE, VERMILLION, GREEN, MAGENTA, BROWN = "#0072B2", "#D55E00", "#009E73", "#C8329B", "#7D6B5D"
COLOURS = (BLUE, VERMILLION, GREEN, MAGENTA, BROWN)
# Plotly's name of each symbol, and its outline with about radius 1 around (0, 0), as SVG path data: y grows downwards.
# All commands are absolute, because the shapes of plotly ignore relative ones.
SYMBOLS = {
    "circle": "M-1 0C-1 -.55 -.55 -1 0 -1C.55 -1 1 -.55 1 0C1 .55 .55 1 0 1C-.55 1 -1 .55 -1 0Z",
    "square": "M-.87 -.87L.87 -.87L.87 .87L-.87 .87Z",
    "triangle-up": "M0 -1.2L1.15 .8L-1.15 .8Z",
    "diamond": "M0 -1.25L1.25 0L0 1.25L-1.25 0Z",
    "triangle-down": "M0 1.2L1.15 -.8L-1.15 -.8Z",
    "cross": "M-.42 -1.15L.42 -1.15L.42 -.42L1.15 -.42L1.15 .42L.42 .42L.42 1.15L-.42 1.15L-.42 .42L-1.15 .42"
             "L-1.15 -.42L-.42 -.42Z",
    "star": "M0 -1.3L.33 -.42L1.27 -.37L.54 .21L.8 1.13L0 .6L-.8 1.13L-.54 .21L-1.27 -.37L-.33 -.42Z",
}
GLYPHS = {"circle": "●", "square": "■", "triangle-up": "▲", "diamond": "◆", "triangle-down": "▼", "cross": "✚",
          "star": "★"}  # the symbols as characters, for labels
HOME_OUTLINE = "M0 -2.2L2 -.65L1.6 -.65L1.6 1.65L-1.6 1.65L-1.6 -.65L-2 -.65Z"  # a house around any symbol


class Look(NamedTuple):
    """How a Region is drawn: a colour ("#RRGGBB") and the name of a symbol in :data:`SYMBOLS`."""

    colour: str
    symbol: str


_LOOKS = {
    "ap-southeast-1": Look(BLUE, "circle"),
    "us-east-1": Look(VERMILLION, "square"),
    "eu-west-1": Look(GREEN, "triangle-up"),
    "us-east-2": Look(BROWN, "triangle-up"),
    "us-west-1": Look(BLUE, "star"),
    "us-west-2": Look(MAGENTA, "diamond"),
    "ca-central-1": Look(MAGENTA, "circle"),
    "ca-west-1": Look(GREEN, "cross"),
    "mx-central-1": Look(VERMILLION, "diamond"),
    "sa-east-1": Look(BLUE, "cross"),
    "eu-west-2": Look(BLUE, "diamond"),
    "eu-west-3": Look(BROWN, "cross"),
    "eu-central-1": Look(MAGENTA, "triangle-down"),
    "eu-central-2": Look(VERMILLION, "star"),
    "eu-north-1": Look(BROWN, "circle"),
    "eu-south-1": Look(GREEN, "square"),
    "eu-south-2": Look(VERMILLION, "circle"),
    "af-south-1": Look(MAGENTA, "star"),
    "me-south-1": Look(GREEN, "diamond"),
    "me-central-1": Look(BROWN, "square"),
    "il-central-1": Look(BLUE, "triangle-down"),
    "ap-south-1": Look(MAGENTA, "triangle-up"),
    "ap-south-2": Look(VERMILLION, "triangle-down"),
    "ap-east-1": Look(VERMILLION, "cross"),
    "ap-east-2": Look(BLUE, "triangle-up"),
    "ap-northeast-1": Look(BROWN, "star"),
    "ap-northeast-2": Look(MAGENTA, "square"),
    "ap-northeast-3": Look(GREEN, "triangle-down"),
    "ap-southeast-2": Look(BROWN, "triangle-down"),
    "ap-southeast-3": Look(MAGENTA, "cross"),
    "ap-southeast-4": Look(BLUE, "square"),
    "ap-southeast-5": Look(GREEN, "star"),
    "ap-southeast-7": Look(BROWN, "diamond"),
}


def look(code: str) -> Look:
    """The colour and the symbol of a Region.

    A Region outside the catalogue gets a pair that depends only on its code. A Region of the catalogue may have the
    same pair.
    """
    known = _LOOKS.get(code)
    if known is None:
        number = zlib.crc32(code.encode())
        known = Look(COLOURS[number % len(COLOURS)], tuple(SYMBOLS)[number // len(COLOURS) % len(SYMBOLS)])
    return known
