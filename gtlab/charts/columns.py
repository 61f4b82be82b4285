"""What the charts ask of a data frame's columns."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value", bound=Hashable)


def need(frame: pd.DataFrame, chart: str, *columns: str) -> None:
    """Raise ValueError, with the chart's name, if the frame lacks a column or has no rows."""
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        has = ", ".join(map(str, frame.columns)) or "none"
        raise ValueError(f"{chart} needs the column {lacking[0]!r}. Columns of this frame: {has}.")
    if len(frame) == 0:
        raise ValueError(f"{chart} has nothing to draw: the data frame has no rows.")


def unique(values: Iterable[Value]) -> list[Value]:
    """The different values in the order of their first appearance, without missing ones."""
    return list(dict.fromkeys(value for value in values if not missing(value)))


def each_row(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples. Their type is Any, because the types of the attributes depend on the columns."""
    yield from frame.itertuples()


def missing(value: object) -> bool:
    """Whether a value of a data frame is missing (None, NaN, NaT)."""
    return value is None or value != value


def known(frame: pd.DataFrame, *columns: str) -> list[Any]:
    """All values of these columns, without missing ones."""
    return [value for column in columns for value in frame[column] if not missing(value)]


def finite(values: Iterable[Any]) -> list[float]:
    """The values as numbers, without missing and infinite ones."""
    return [float(value) for value in values if not missing(value) and math.isfinite(value)]


def jitter(number: int) -> float:
    """A displacement between -1 and 1 that keeps dots in a row apart: evenly spread, and the same in each run. The
    values are multiples of the golden ratio, wrapped."""
    return (number * 0.6180339887 % 1) * 2 - 1
