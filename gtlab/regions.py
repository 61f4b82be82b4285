"""The AWS Regions that gtlab knows: their names, their positions, and the round trips between them.

Importing this module reads no file. The round trips and the outline of the map are read on first use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


_EARTH_KM = 6371.0
_FIBRE_KM_PER_MS = 200.0  # light in glass: two thirds of its speed in vacuum


@dataclass(frozen=True, slots=True)
class Region:
    """One AWS Region.

    `name` is AWS's long name. `place` is the short name that AWS uses (a city, a state or a country); where AWS says
    only "Central", it is the city. `latitude` and `longitude` (degrees) are those of a city, not of a data centre: they
    are precise enough for a map of the world, but for nothing else.
    """

    code: str
    name: str
    place: str
    country: str
    latitude: float
    longitude: float


# A new Region also needs a row and a column in both files of round trips in data/, and a look in charts/looks.py.
REGIONS: dict[str, Region] = {
    region.code: region
    for region in (
        Region("ap-southeast-1", "Asia Pacific (Singapore)", "Singapore", "Singapore", 1.35, 103.82),
        Region("us-east-1", "US East (N. Virginia)", "N. Virginia", "United States", 39.04, -77.49),
        Region("eu-west-1", "Europe (Ireland)", "Ireland", "Ireland", 53.35, -6.26),
        Region("us-east-2", "US East (Ohio)", "Ohio", "United States", 39.96, -83.00),
        Region("us-west-1", "US West (N. California)", "N. California", "United States", 37.77, -122.42),
        Region("us-west-2", "US West (Oregon)", "Oregon", "United States", 45.84, -119.70),
        Region("ca-central-1", "Canada (Central)", "Montreal", "Canada", 45.50, -73.57),
        Region("ca-west-1", "Canada West (Calgary)", "Calgary", "Canada", 51.05, -114.07),
        Region("mx-central-1", "Mexico (Central)", "Querétaro", "Mexico", 20.59, -100.39),
        Region("sa-east-1", "South America (Sao Paulo)", "São Paulo", "Brazil", -23.55, -46.63),
        Region("eu-west-2", "Europe (London)", "London", "United Kingdom", 51.51, -0.13),
        Region("eu-west-3", "Europe (Paris)", "Paris", "France", 48.86, 2.35),
        Region("eu-central-1", "Europe (Frankfurt)", "Frankfurt", "Germany", 50.11, 8.68),
        Region("eu-central-2", "Europe (Zurich)", "Zurich", "Switzerland", 47.38, 8.54),
        Region("eu-north-1", "Europe (Stockholm)", "Stockholm", "Sweden", 59.33, 18.07),
        Region("eu-south-1", "Europe (Milan)", "Milan", "Italy", 45.46, 9.19),
        Region("eu-south-2", "Europe (Spain)", "Spain", "Spain", 41.65, -0.89),
        Region("af-south-1", "Africa (Cape Town)", "Cape Town", "South Africa", -33.92, 18.42),
        Region("me-south-1", "Middle East (Bahrain)", "Bahrain", "Bahrain", 26.23, 50.59),
        Region("me-central-1", "Middle East (UAE)", "UAE", "United Arab Emirates", 25.20, 55.27),
        Region("il-central-1", "Israel (Tel Aviv)", "Tel Aviv", "Israel", 32.09, 34.78),
        Region("ap-south-1", "Asia Pacific (Mumbai)", "Mumbai", "India", 19.08, 72.88),
        Region("ap-south-2", "Asia Pacific (Hyderabad)", "Hyderabad", "India", 17.39, 78.49),
        Region("ap-east-1", "Asia Pacific (Hong Kong)", "Hong Kong", "Hong Kong", 22.32, 114.17),
        Region("ap-east-2", "Asia Pacific (Taipei)", "Taipei", "Taiwan", 25.03, 121.57),
        Region("ap-northeast-1", "Asia Pacific (Tokyo)", "Tokyo", "Japan", 35.68, 139.69),
        Region("ap-northeast-2", "Asia Pacific (Seoul)", "Seoul", "South Korea", 37.57, 126.98),
        Region("ap-northeast-3", "Asia Pacific (Osaka)", "Osaka", "Japan", 34.69, 135.50),
        Region("ap-southeast-2", "Asia Pacific (Sydney)", "Sydney", "Australia", -33.87, 151.21),
        Region("ap-southeast-3", "Asia Pacific (Jakarta)", "Jakarta", "Indonesia", -6.21, 106.85),
        Region("ap-southeast-4", "Asia Pacific (Melbourne)", "Melbourne", "Australia", -37.81, 144.96),
        Region("ap-southeast-5", "Asia Pacific (Malaysia)", "Malaysia", "Malaysia", 3.14, 101.69),
        Region("ap-southeast-7", "Asia Pacific (Thailand)", "Thailand", "Thailand", 13.76, 100.50),
    )
}


class UnknownRegion(ValueError):
    """A code that is not in the catalogue. The message suggests similar codes and lists all of them, because its reader
    may be on the command line or use the local cloud from another language."""

    def __init__(self, code: object) -> None:
        near = _near(code) if isinstance(code, str) else []
        meant = f" Did you mean {', '.join(f'{c} = {REGIONS[c].name}' for c in near)}?" if near else ""
        super().__init__(
            f"{code!r} is not a Region that gtlab knows.{meant}"
            f" All {len(REGIONS)}: {', '.join(sorted(REGIONS))}"
        )
        self.code = code
        self.near = near


def get(code: str) -> Region:
    """The Region with this code, such as "eu-west-1". Raises UnknownRegion."""
    region = REGIONS.get(code) if isinstance(code, str) else None
    if region is None:
        raise UnknownRegion(code)
    return region


def label(code: str) -> str:
    """Place and code, such as "Singapore (ap-southeast-1)". Raises UnknownRegion."""
    return f"{get(code).place} ({code})"


def parse(text_or_iterable: str | Iterable[str], *, at_least: int = 0) -> list[str]:
    """Region codes from "us-east-1, eu-west-1" or from an iterable of codes, in the order given.

    Raises UnknownRegion for a code that is not in the catalogue, and ValueError for a code that is given twice or if
    there are fewer than `at_least` codes.
    """
    given = (
        text_or_iterable.replace(",", " ").split() if isinstance(text_or_iterable, str) else text_or_iterable
    )
    codes: list[str] = []
    for item in given:
        code = get(item.strip() if isinstance(item, str) else item).code
        if code in codes:
            raise ValueError(f"{code} is given twice; name each Region once.")
        codes.append(code)
    if len(codes) < at_least:
        raise ValueError(
            f"At least {at_least} {'Region is' if at_least == 1 else 'Regions are'} needed;"
            f" you gave {len(codes)}: {', '.join(codes) or 'none'}."
        )
    return codes


def rtt_ms(a: str, b: str, percentile: int = 50) -> float:
    """The round trip from Region `a` to Region `b` in milliseconds: the median, or the P90 with `percentile=90`.

    These are measurements by cloudping.co: TCP connects from a function in `a` to the DynamoDB endpoint of `b`, over
    one year up to July 2025 (method and licence: gtlab/data/SOURCES.md). For a few pairs the two directions differ. If
    `a` and `b` are equal, it is the round trip from the Region to its own endpoint, a few milliseconds.

    Raises UnknownRegion, and ValueError for a percentile other than 50 and 90.
    """
    if percentile not in _RTT_FILES:
        raise ValueError(f"percentile is {percentile!r}; there are round trips for 50 (median) and 90 only.")
    return _rtt_matrix(percentile)[get(a).code][get(b).code]


def fibre_ms(a: str, b: str) -> float:
    """The time in milliseconds that light needs in a straight glass fibre from `a` to `b` and back (200 km per
    millisecond along the great circle between two cities of these Regions). 0 if both are the same Region.

    Raises UnknownRegion.
    """
    here, there = get(a), get(b)
    y1, y2 = math.radians(here.latitude), math.radians(there.latitude)
    part = (math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2)
            * math.sin(math.radians(there.longitude - here.longitude) / 2) ** 2)
    return 2 * 2 * _EARTH_KM * math.asin(math.sqrt(part)) / _FIBRE_KM_PER_MS


def frame(home: str, replicas: str | Iterable[str]) -> pd.DataFrame:
    """A data frame of `home` and its `replicas`, one row per Region, home first.

    Columns: region, place, country, latitude, longitude (degrees), role ("home" or "replica") and rtt_ms (the median
    round trip from home in milliseconds; for home itself, to its own endpoint). `replicas` is what `parse` accepts.
    Raises the errors of `parse`, and ValueError if home is among the replicas.
    """
    import pandas as pd

    codes = [get(home).code, *parse(replicas)]
    if home in codes[1:]:
        raise ValueError(f"{home} is the home Region and also among the replicas; name it once.")
    rows = [
        {
            "region": code,
            "place": REGIONS[code].place,
            "country": REGIONS[code].country,
            "latitude": REGIONS[code].latitude,
            "longitude": REGIONS[code].longitude,
            "role": "replica" if number else "home",
            "rtt_ms": rtt_ms(home, code),
        }
        for number, code in enumerate(codes)
    ]
    return pd.DataFrame(rows)


@cache
def land_rings() -> list[list[list[float]]]:
    """The outline of the world's land without Antarctica: rings of [longitude, latitude] in degrees.

    Natural Earth 1:110m, public domain (gtlab/data/SOURCES.md). The list is cached and shared: do not change it.
    """
    import json

    rings: list[list[list[float]]] = json.loads(_data("land.json"))
    return rings


_RTT_FILES = {50: "region_rtt_ms.csv", 90: "region_rtt_p90_ms.csv"}


@cache
def _rtt_matrix(percentile: int) -> dict[str, dict[str, float]]:
    lines = [line.split(",") for line in _data(_RTT_FILES[percentile]).split("\n") if line and line[0] != "#"]
    targets = lines[0][1:]
    return {row[0]: dict(zip(targets, map(float, row[1:]), strict=True)) for row in lines[1:]}


def _data(file: str) -> str:
    from pathlib import Path

    return (Path(__file__).parent / "data" / file).read_text(encoding="utf-8").replace("\r\n", "\n")


def _near(text: str) -> list[str]:
    """Up to three codes that `text` may mean: by code, by place, or by AWS's name."""
    from difflib import get_close_matches

    text = text.strip().lower()
    known = {code: code for code in REGIONS}
    for region in REGIONS.values():
        known[region.place.lower()] = region.code
        known[region.name.lower()] = region.code
        known[region.name.partition("(")[2].rstrip(")").lower()] = region.code
    # dict.fromkeys, because a place and a name may match the same code.
    return list(dict.fromkeys(known[match] for match in get_close_matches(text, known, n=3, cutoff=0.75)))
