"""The whole picture: the plot, what is drawn in it and around it, and the finding below it, in plotly's order."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from gtlab.charts.colours import QUIET
from gtlab.charts.still import frame, legend, notes, text, traces
from gtlab.charts.still.plot import WIDTH, Plot
from gtlab.charts.still.text import Style

_FONT = "system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif"


def svg(figure: Mapping[str, Any]) -> str:
    """A figure of plotly, as its ``to_plotly_json()`` has it, as an SVG element with a title and a description for
    screen readers. The finding, unless the chart itself shows it, and the note stand below the chart."""
    plot = Plot(figure)
    finding, alt = words(figure)
    caption, extra = _caption(plot, finding, note(figure))
    drawn = "".join([*_chart(plot), caption])
    # Not wider than the page: as an image it fills the page, as an element it is no wider than WIDTH.
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {plot.height + extra:.0f}" '
            f'width="100%" style="max-width:{WIDTH}px;height:auto;background:#fff" font-family="{_FONT}">'
            f"<title>{html.escape(finding)}</title><desc>{html.escape(alt)}</desc>"
            f"<defs>{''.join(plot.defs.values())}</defs>{drawn}</svg>")


def words(figure: Mapping[str, Any]) -> tuple[str, str]:
    """The finding of a chart, and what it shows as text for readers who cannot see it.

    Both are in ``layout.meta``, as "finding" and "alt", in plain text. Without them, both are the title.
    """
    layout = figure.get("layout", {})
    meta = layout.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    title = text.plain(frame.title(layout)[0]) or "Chart"
    finding = str(meta.get("finding") or "")
    return finding or title, str(meta.get("alt") or "") or finding or title


def note(figure: Mapping[str, Any]) -> str:
    """What is to be known about how a chart is drawn, in plain text; empty where nothing is."""
    meta = figure.get("layout", {}).get("meta")
    return str(meta.get("note") or "") if isinstance(meta, Mapping) else ""


def shows(figure: Mapping[str, Any], finding: str) -> bool:
    """Whether the finding is written in the chart itself: in its title, its subtitle or an annotation."""
    layout = figure.get("layout", {})
    written = [*frame.title(layout), *(str(each.get("text")) for each in layout.get("annotations") or ())]
    return any(" ".join(finding.split()) in " ".join(text.plain(each).split()) for each in written)


def _chart(plot: Plot) -> list[str]:
    shapes, below = plot.layout.get("shapes") or (), ("below", "between")
    under = "".join(notes.shape(plot, shape) for shape in shapes if shape.get("layer") in below)
    lines = list(traces.drawn(plot))
    over = "".join(notes.shape(plot, shape) for shape in shapes if shape.get("layer") not in below)
    return [frame.background(plot), frame.grid(plot), f'<g clip-path="url(#{plot.clip})">{under}</g>', *lines, over,
            frame.labels(plot), frame.heading(plot), legend.drawn(plot),
            *(notes.annotation(plot, each) for each in plot.layout.get("annotations") or ())]


def _caption(plot: Plot, finding: str, note: str) -> tuple[str, float]:
    """What stands below the chart, and the height that it takes."""
    drawn, down = "", 0.0
    lines = [("" if shows({"layout": plot.layout}, finding) else finding, 14, plot.ink), (note, 12, QUIET)]
    for words, size, colour in lines:
        if words:
            said = text.wrap(html.escape(words, quote=False), size, WIDTH - 24)
            drawn += text.element(12, plot.height + 4 + down, said, Style(size, colour, valign="top"))
            down += text.height(said, size) + 4
    return drawn, down + 8 if down else 0.0
