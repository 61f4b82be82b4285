"""An axis of a still picture: where a value is drawn, and which values are written at it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gtlab.charts.columns import missing

_PAD = 0.05  # of the range, beyond the outermost values


@dataclass
class Axis:
    """``settings`` are plotly's. The values ``low`` and ``high`` (their logarithms, on a logarithmic axis) are drawn at
    the pixels ``start`` and ``end``. Strings are drawn in the order of their first appearance, at 0, 1, 2 …"""

    settings: Mapping[str, Any]
    values: list[Any]
    padded: bool = True  # whether the values are kept away from the ends
    low: float = 0.0
    high: float = 1.0
    start: float = 0.0
    end: float = 1.0
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if any(isinstance(value, str) for value in self.values):
            self.names = list(dict.fromkeys(value for value in self.values if isinstance(value, str)))
        self.log = self.settings.get("type") == "log"
        given = self.settings.get("range")
        fitted = self._fit()
        self.low, self.high = given if given is not None and None not in given else fitted
        if self.settings.get("autorange") == "reversed":
            self.low, self.high = self.high, self.low
        if self.low == self.high:
            self.high = self.low + 1

    @property
    def label_size(self) -> float:
        """The font size of the labels, in pixels."""
        return float((self.settings.get("tickfont") or {}).get("size") or 13)

    @property
    def title(self) -> str:
        title = self.settings.get("title") or {}
        return str(title.get("text") or "") if isinstance(title, Mapping) else str(title)

    def number(self, value: Any) -> float:
        """The value as a number on the axis; NaN if it cannot be drawn there."""
        if isinstance(value, str):
            return float(self.names.index(value)) if value in self.names else math.nan
        if missing(value):
            return math.nan
        if self.log:
            return math.log10(value) if value > 0 else math.nan
        return float(value)

    def pixel(self, value: Any) -> float:
        """Where a value is drawn; NaN if it cannot be drawn."""
        return self.between(self.number(value))

    def between(self, number: float) -> float:
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Pixel and text of each tick in view, in plotly's order."""
        settings = self.settings
        if settings.get("tickvals") is not None:
            values, texts = settings["tickvals"], settings.get("ticktext")
            pairs: Iterable[tuple[Any, str]] = zip(
                values, map(self._text, values) if texts is None else texts, strict=False)
        elif self.names:
            pairs = [(name, name) for name in self.names]
        elif self.log:
            low, high = sorted((self.low, self.high))
            powers = [10.0**each for each in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
            pairs = [(power, self._text(power)) for power in powers]
        else:
            pairs = [(each, self._text(each)) for each in self._round_values()]
        edges = sorted((self.start, self.end))
        placed = [(self.pixel(value), str(text)) for value, text in pairs]
        return [(at, text) for at, text in placed if edges[0] - 0.5 <= at <= edges[1] + 0.5]

    def _fit(self) -> tuple[float, float]:
        numbers = [each for each in map(self.number, self.values) if not math.isnan(each)]
        if self.names:
            return -0.5, len(self.names) - 0.5
        low, high = min(numbers, default=0.0), max(numbers, default=1.0)
        pad = _PAD * (high - low) if self.padded else 0.0
        low, high = low - pad, high + _PAD * (high - low)
        return (min(0.0, low) if not self.log and self.settings.get("rangemode") == "tozero" and min(
            numbers, default=0.0) >= 0 else low), high

    def _round_values(self) -> Sequence[float]:
        low, high = sorted((self.low, self.high))
        step = self.settings.get("dtick")
        if not isinstance(step, int | float):
            most = max(2, abs(self.end - self.start) / 90)
            rough = (high - low) / most
            power = 10 ** math.floor(math.log10(rough))
            step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
        first = math.ceil(low / step - 1e-9)
        return [round(at * step, 10) for at in range(first, math.floor(high / step + 1e-9) + 1)]

    def _text(self, value: Any) -> str:
        if not isinstance(value, int | float):
            return str(value)
        said = f"{value:,.10g}" if abs(value) < 1e9 else f"{value:g}"
        return f"{self.settings.get('tickprefix') or ''}{said}{self.settings.get('ticksuffix') or ''}"
