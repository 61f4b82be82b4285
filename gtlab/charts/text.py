"""How the charts write names, times and text from data."""

from __future__ import annotations

import html

from gtlab import regions


def plain_text(value: object) -> str:
    """The value as plain text. Plotly interprets some HTML tags, and text from data may look like a tag."""
    return html.escape(str(value), quote=False)


def text_width(text: str) -> float:
    """About how many pixels 12 px text is wide, at most: precise enough to keep labels apart."""
    return 7.4 * len(html.unescape(text))


def city(code: str) -> str:
    """The place of a Region; empty for a Region that is not in the catalogue."""
    return regions.REGIONS[code].place if code in regions.REGIONS else ""


def place_name(code: str) -> str:
    """Place and code, such as "Singapore (ap-southeast-1)"; only the code for a Region that is not in the catalogue."""
    return regions.label(code) if code in regions.REGIONS else plain_text(code)


def ms(value: float) -> str:
    """A time in milliseconds, such as "3.1 ms", "219 ms" or "1,204 ms"."""
    return f"{value:.1f} ms" if abs(value) < 9.95 else f"{value:,.0f} ms"


def ms_span(low: float, high: float) -> str:
    """An interval in milliseconds, such as "92-118 ms", with an en dash."""
    return f"{ms(low).removesuffix(' ms')}\N{EN DASH}{ms(high)}"
