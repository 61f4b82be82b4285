"""What DynamoDB costs on demand, by Region: known prices with their date and source, and an upper bound for the others.

The figures are in ``gtlab/data/prices.json``. They are list prices, without taxes, free allowances and data transfer
between Regions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from gtlab import regions as catalogue

_MILLION = 1e6
_FIELDS = {"write": ("write_per_million", _MILLION), "read": ("read_per_million", _MILLION),
           "storage": ("storage_per_gb_month", 1.0)}


class Price(NamedTuple):
    """US dollars in one Region: of a write unit, of a read unit, and of a GB during a month. ``bounds`` names those
    that are not known and are upper bounds. ``date`` and ``source`` are empty if none is known."""

    write: float
    read: float
    storage: float
    bounds: tuple[str, ...]
    date: str
    source: str


@cache
def of(region: str) -> Price:
    """The prices of a Region. Raises ValueError for an unknown Region."""
    book, code = _book(), catalogue.get(region).code
    known, others = book["known"].get(code, {}), book["others"]
    basis = book["known"][others["of"]]
    found = {name: known.get(field, others["factor"] * basis[field]) / per for name, (field, per) in _FIELDS.items()}
    bounds = tuple(name for name, (field, _) in _FIELDS.items() if field not in known)
    return Price(**found, bounds=bounds, date=known.get("date", ""), source=known.get("source", ""))


def words(regions: Iterable[str]) -> str:
    """Which prices these are, as text: the dates of the known ones, and for which Regions there are only bounds."""
    codes, others = list(dict.fromkeys(catalogue.get(region).code for region in regions)), _book()["others"]
    known = [f"{code} of {of(code).date}" for code in codes if of(code).date]
    unknown = [code for code in codes if "write" in of(code).bounds or "read" in of(code).bounds]
    parts = [f"on-demand list prices of {', '.join(known)}"] if known else []
    if unknown:
        parts.append(f"for {', '.join(unknown)} an upper bound, {others['factor']:g} times {others['of']}")
    return "; ".join([*parts, "data transfer is not included"])


@cache
def _book() -> Any:
    return json.loads(files("gtlab").joinpath("data/prices.json").read_text(encoding="utf-8"))
