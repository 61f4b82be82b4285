"""What our anywidgets share: ES modules and styles from this folder, and a still picture for readers without a
kernel."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import anywidget

from gtlab.charts.colours import BACK, COAST, INK, LAND, QUIET, SEA
from gtlab.charts.labels import Box, Labels, boxes
from gtlab.charts.looks import HOME_OUTLINE, SYMBOLS

_HERE = Path(__file__).parent
_SIZE = 15  # of the texts in a still picture, in units of the map

@cache
def script(*names: str) -> str:
    """The ES modules of these files as one: a widget's module is loaded from memory, where it can import no other
    file. Only the last one exports. ``SHAPES`` and ``HOME_OUTLINE``, as in :mod:`gtlab.charts.looks`, come before
    them."""
    return "\n".join([f"const SHAPES = {json.dumps(SYMBOLS)};", f"const HOME_OUTLINE = {json.dumps(HOME_OUTLINE)};",
                      *((_HERE / name).read_text(encoding="utf-8") for name in names)])


@cache
def style(*names: str) -> str:
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


# A notebook keeps the widget and its still picture as two outputs, one below the other; only one of them is seen. The
# widget is alive where it has drawn its map, question or table, or has moved beside the notebook and left a hint.
_ALIVE = ":has(.gt-map, .gt-away, .gt-quiz, .gt-world)"
_ONE_OF_TWO = f"""<style>
.jp-OutputArea-child{_ALIVE} + .jp-OutputArea-child:has(.gt-still) {{ display: none; }}
.jp-OutputArea-child:not({_ALIVE}):has(+ .jp-OutputArea-child .gt-still) {{ display: none; }}
</style>"""


class WithStill:
    """A part of a class of widgets, before ipywidgets' own: the output in a notebook also holds :meth:`still`. It is
    seen where the widget is not: in a notebook that is opened again, and in programs that show notebooks without a
    kernel."""

    _still_shown: Any = None  # the output that holds the still picture

    def still(self) -> str:
        """The widget as it is now, as HTML without scripts."""
        raise NotImplementedError

    def keep(self) -> None:
        """Replace the still picture in the notebook with one of the widget as it is now."""
        if self._still_shown is not None:
            self._still_shown.update(self._still_output(), raw=True)

    def _still_output(self) -> dict[str, str]:
        return {"text/html": f'<div class="gt-still">{_ONE_OF_TWO}{self.still()}</div>', "text/plain": ""}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = super()._repr_mimebundle_()  # type: ignore[misc]  # of the class of widgets
        if bundle is None:
            return
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        # The picture is no alternative within the same output: JupyterLab and nbconvert take the widget and show an
        # error, or nothing, where its model is gone.
        display(data | {"text/plain": ""}, raw=True)
        self._still_shown = display(self._still_output(), raw=True, display_id=True)


class Drawn(WithStill, anywidget.AnyWidget):
    """An anywidget with a still picture."""

    def open(self) -> None:
        """Connect to the browser, so that it is answered while a cell runs."""
        super().open()
        if self.comm is not None:
            # JupyterLab sends a widget's messages on a subshell, a thread that is free while a cell runs. ipykernel
            # (7.4) would hand them to the shell that last sent to the browser, which is usually the cell's.
            self.comm._reply_subshell_for = None

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:  # a widget without a view
            return None
        data, metadata = bundle
        return data | {"text/html": self.still()}, metadata


def still_map(atlas: Mapping[str, Any], looks: Mapping[str, Mapping[str, Any]], names: Mapping[str, str],
              links: Iterable[tuple[str, str, str]], says: str) -> str:
    """A map as HTML: the members with their ``names``, a line with its text for each of the ``links`` (from, to, text),
    and below it a sentence, which is also its text for screen readers. The text of a line is left out where it would
    cover another text."""
    lines = list(links)
    ways = [_way(atlas, a, b) for a, b, _ in lines]
    texts = _placed(atlas, looks, names, [(way, text) for way, (_, _, text) in zip(ways, lines, strict=True)])
    parts = [f'<path d="{atlas["land"]}" transform="scale({atlas["scale"]})" fill="{LAND}" stroke="{COAST}"/>']
    for (_, b, _), (x, y, right, down) in zip(lines, ways, strict=True):
        for start in {x, atlas["spots"][b][0] - right}:
            parts.append(f'<path d="M{start:.0f} {y:.0f}l{right:.0f} {down:.0f}" stroke="{QUIET}" fill="none"/>')
    for code, look in looks.items():
        x, y = atlas["spots"][code]
        place = f'transform="translate({x} {y}) scale(8)"'
        parts.append(f'<path d="{SYMBOLS[look["symbol"]]}" {place} fill="{look["colour"]}" stroke="{BACK}" '
                     'stroke-width=".2"/>')
        if look["home"]:
            parts.append(f'<path d="{HOME_OUTLINE}" {place} fill="none" stroke="{INK}" stroke-width=".2"/>')
    said = html.escape(says)
    return (f'<figure style="margin:0;max-width:{atlas["width"]}px"><svg role="img" aria-label="{said}" '
            f'viewBox="0 0 {atlas["width"]} {atlas["height"]}" style="width:100%;background:{SEA}" '
            f'font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="{_SIZE}">'
            f'{"".join(parts)}{texts}</svg><figcaption>{said}</figcaption></figure>')


def _way(atlas: Mapping[str, Any], a: str, b: str) -> tuple[float, float, float, float]:
    """Where a line begins, and how far to the right and down it goes: the short way, perhaps over the map's edge."""
    (ax, ay), (bx, by), around = atlas["spots"][a], atlas["spots"][b], atlas["round"]
    return ax, ay, bx - ax - round((bx - ax) / around) * around, by - ay


def _placed(atlas: Mapping[str, Any], looks: Mapping[str, Mapping[str, Any]], names: Mapping[str, str],
            ways: Iterable[tuple[tuple[float, float, float, float], str]]) -> str:
    """The names of the members and the texts of the lines as SVG, where they do not cover each other."""
    labels = Labels([(atlas["width"], atlas["height"])])
    spots = {code: (float(atlas["spots"][code][0]), float(atlas["spots"][code][1])) for code in looks}
    for code, look in looks.items():
        labels.block(boxes([spots[code]], (0, 0), *((36, 36) if look["home"] else (22, 22))))
    parts = []
    for code, look in looks.items():
        wide, gap = 0.62 * _SIZE * len(names[code]) + 8, 19 if look["home"] else 13
        up, side = gap + _SIZE / 2, gap + wide / 2
        shifts = [(0, -up), (0, up), (side, 0), (-side, 0),
                  *((across * wide * part, down * further) for further in (up, up + 18, up + 36)
                    for down in (-1, 1) for part in (0.0, 0.3, 0.5) for across in (1, -1))]
        parts.append(_text(labels.place([boxes([spots[code]], shift, wide, _SIZE + 3) for shift in shifts])[0],
                           names[code], "bold"))
    for (x, y, right, down), text in ways:
        wide = 0.57 * _SIZE * len(text) + 6
        there = labels.place_if_free(
            boxes([(x + part * right, y + part * down)], (0, -6), wide, _SIZE + 1)
            for part in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)) if text else None
        if there:
            parts.append(_text(there[0], text, "normal"))
    return "".join(parts)


def _text(there: Box, text: str, weight: str) -> str:
    return (f'<text x="{there.x:.0f}" y="{there.y + 0.35 * _SIZE:.0f}" text-anchor="middle" fill="{INK}" '
            f'stroke="{SEA}" stroke-width="4" paint-order="stroke" font-weight="{weight}">{html.escape(text)}</text>')
