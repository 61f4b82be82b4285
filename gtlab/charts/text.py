"""How the charts write names, times and text from data."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

from gtlab import regions


def plain_text(value: object) -> str:
    """The value as plain text. Plotly interprets some HTML tags, and text from data may look like a tag."""
    return html.escape(str(value), quote=False)


def text_width(text: str) -> float:
    """About how many pixels 12 px text is wide, at most: precise enough to keep labels apart."""
    return 7.4 * len(html.unescape(text))


def wrap(text: str, size: float, width: float) -> list[str]:
    """The text in lines of at most ``width`` pixels, at a font size in pixels. Only blanks are broken, and
    none between a number and its unit."""
    lines: list[str] = []
    for word in re.split(r" (?!(?:ms|s|%)\b|%)", text):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and 0.58 * size * len(html.unescape(longer)) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def short(text: object, most: int = 24) -> str:
    """The value as plain text of at most this many characters; the end of a longer one is left out."""
    written = str(text)
    return plain_text(written if len(written) <= most else f"{written[: most - 1].rstrip()}…")


def city(code: str) -> str:
    """The place of a Region; empty for a Region that is not in the catalogue."""
    return regions.REGIONS[code].place if code in regions.REGIONS else ""


def place_name(code: str) -> str:
    """Place and code, such as "Singapore (ap-southeast-1)"; only the code for a Region that is not in the catalogue."""
    return regions.label(code) if code in regions.REGIONS else plain_text(code)


def ms(value: float) -> str:
    """A time in milliseconds, such as "3.1 ms", "219 ms" or "1,204 ms"; "not known" if it is missing or infinite."""
    if not math.isfinite(value):
        return "not known"
    return f"{value:.1f} ms" if abs(value) < 9.95 else f"{value:,.0f} ms"


def ms_span(low: float, high: float) -> str:
    """An interval in milliseconds, such as "92-118 ms", with an en dash; "over 92 ms" if it has no upper bound, and a
    single time if both bounds are written in the same way."""
    if not math.isfinite(high):
        return f"over {ms(low)}"
    if ms(low) == ms(high):
        return ms(low)
    return f"{ms(low).removesuffix(' ms')}\N{EN DASH}{ms(high)}"


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "") if part)


def plural(number: int, noun: str) -> str:
    """A number with its noun, such as "1 write" or "2,000 writes"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
