"""The model of replication's processing time: the built-in one, or one that was fitted to measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from gtlab import regions
from gtlab.contract import BUILT_IN

MOST_NAME = 200
_MOST_S, _MOST_SIGMA = 3600.0, 3.0


class Processing(NamedTuple):
    """A log-normal distribution; ``median_s`` are seconds."""

    median_s: float
    sigma: float


class LagModel(NamedTuple):
    """Processing times by source and target; ``others`` is for the pairs that are not there."""

    name: str
    pairs: Mapping[tuple[str, str], Processing]
    others: Processing

    def of(self, source: str, target: str) -> Processing:
        return self.pairs.get((source, target), self.others) if self.pairs else self.others


# The fit to the raw captures of the service that docs/local-cloud.md describes (us-east-1 ↔ us-east-2, 2026-09-18);
# that the same holds for distant pairs is an assumption.
DEFAULT = LagModel(BUILT_IN, {}, Processing(0.45, 0.5))


def read(document: Any) -> LagModel:
    """The model of a document such as :func:`gtlab.measure.lag_model.of` returns. Raises ValueError for what is none.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError("A lag model must be a JSON object with a name.")
    if not 0 < len(document["name"]) <= MOST_NAME or not document["name"].isprintable():
        raise ValueError(f"A lag model's name has 1 to {MOST_NAME} printable characters.")
    if not isinstance(document.get("pairs"), list):
        raise ValueError("A lag model must have pairs, a list.")
    pairs = {}
    for each in document["pairs"]:
        if not isinstance(each, dict):
            raise ValueError("Each pair of a lag model must be a JSON object.")
        place = (regions.get(str(each.get("source"))).code, regions.get(str(each.get("target"))).code)
        pairs[place] = _processing(each)
    return LagModel(document["name"], pairs, _processing(document.get("others")))


def _processing(given: Any) -> Processing:
    if not isinstance(given, dict):
        raise ValueError('A lag model needs {"median_s": …, "sigma": …} for each pair, and for the others.')
    median_s, sigma = (_number(given.get(name), name) for name in ("median_s", "sigma"))
    if not 0 < median_s <= _MOST_S or not 0 <= sigma <= _MOST_SIGMA:
        raise ValueError(f"A median of {median_s} s or a sigma of {sigma} is not possible: at most {_MOST_S:g} s and "
                         f"{_MOST_SIGMA:g}.")
    return Processing(median_s, sigma)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {value!r}.")
    return float(value)
