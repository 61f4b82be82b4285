"""Plotly's text, which may contain <b>, <i>, <br> and <span style="color:…">, as text elements of SVG."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser

LINE = 1.3  # distance between two lines, in font sizes
_COLOUR = re.compile(r"color:\s*([^;]+)")


@dataclass(frozen=True)
class Run:
    """Letters of one look. ``colour`` is empty for the colour of the whole text."""

    text: str
    bold: bool = False
    italic: bool = False
    colour: str = ""


@dataclass(frozen=True)
class Style:
    """The look and the place of a text: ``anchor`` is "start", "middle" or "end"; ``valign`` says which part of the
    text is at its y: "top", "middle" or "bottom". ``halo`` is the colour of an outline that keeps lines
    off the letters."""

    size: float = 13
    colour: str = "#1F2933"
    anchor: str = "start"
    valign: str = "middle"
    halo: str = ""
    angle: float = 0


class _Runs(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[list[Run]] = [[]]
        self._looks = [Run("")]
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.lines.append([])
            return
        look = self._looks[-1]
        if tag == "b":
            look = replace(look, bold=True)
        elif tag in ("i", "em"):
            look = replace(look, italic=True)
        elif found := _COLOUR.search(dict(attrs).get("style") or ""):
            look = replace(look, colour=found.group(1).strip())
        self._looks.append(look)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.reverse()
            self._open.remove(tag)
            self._open.reverse()
            self._looks.pop()

    def handle_data(self, data: str) -> None:
        self.lines[-1].append(replace(self._looks[-1], text=data))


def runs(text: str) -> list[list[Run]]:
    """The lines of a text of plotly, each as runs of one look."""
    parser = _Runs()
    parser.feed(text)
    parser.close()
    return parser.lines


def plain(text: str) -> str:
    """The text without tags; lines are separated by blanks."""
    return " ".join("".join(run.text for run in line).strip() for line in runs(text)).strip()


def width(text: str, size: float) -> float:
    """About how many pixels the widest line takes."""
    return max(sum(len(run.text) * size * (0.6 if run.bold else 0.55) for run in line) for line in runs(text))


def wrap(text: str, size: float, room: float) -> str:
    """The text with <br> where a line would be wider than ``room`` pixels. Lines that fit stay as they are."""
    return "<br>".join(line if width(line, size) <= room else _broken(line, size, room)
                       for line in text.split("<br>"))


def _broken(line: str, size: float, room: float) -> str:
    rows: list[str] = [""]
    for word in re.findall(r"(?:<[^>]*>|[^\s<])+", line):  # a tag with blanks in it is one word
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and width(longer, size) > room:
            rows.append(word)
        else:
            rows[-1] = longer
    return "<br>".join(rows)


def height(text: str, size: float) -> float:
    return len(runs(text)) * size * LINE


def element(x: float, y: float, text: str, style: Style) -> str:
    """A text element whose ``style.valign`` edge is at ``y``; empty for an empty text."""
    lines = runs(text)
    if not any(run.text for line in lines for run in line):
        return ""
    up = {"top": 0.0, "middle": 0.5, "bottom": 1.0}[style.valign]
    first = y - up * len(lines) * style.size * LINE + style.size * (LINE / 2 + 0.35)  # a baseline
    look = f'font-size="{style.size:g}" fill="{style.colour}"'
    if style.anchor != "start":
        look += f' text-anchor="{style.anchor}"'
    if style.halo:
        look += f' stroke="{style.halo}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    if style.angle:
        look += f' transform="rotate({style.angle:g} {x:.1f} {y:.1f})"'
    if len(lines) == 1:
        return f'<text x="{x:.1f}" y="{first:.1f}" {look}>{_spans(lines[0])}</text>'
    rows = "".join(f'<tspan x="{x:.1f}" y="{first + at * style.size * LINE:.1f}">{_spans(line)}</tspan>'
                   for at, line in enumerate(lines))
    return f"<text {look}>{rows}</text>"


def _spans(line: Sequence[Run]) -> str:
    parts = []
    for run in line:
        text = html.escape(run.text, quote=False)
        look = "".join((' font-weight="bold"' if run.bold else "", ' font-style="italic"' if run.italic else "",
                        f' fill="{html.escape(run.colour)}"' if run.colour else ""))
        parts.append(f"<tspan{look}>{text}</tspan>" if look else text)
    return "".join(parts)
