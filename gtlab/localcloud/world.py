"""The simulated world: distances and durations. No I/O; randomness is seeded.

Three delays that are easily confused are separate here: a caller's round trip to a Region, the
replication lag between two Regions, and how long the control plane takes to carry out a change.
All figures are simulated. Times are seconds.

The world can be broken and repaired: see KNOBS. A knob is set to a value at a place, which is a tuple of Regions (for
``throttle``: account, Region and table). Where no knob is set, nothing is broken.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from gtlab import regions
from gtlab.contract import NETWORKS, OUTAGES, PAIRS, UNITS
from gtlab.localcloud.lag_model import DEFAULT, LagModel

FACTORS = dict(zip(NETWORKS, (1.0, 0.1, 0.0), strict=True))  # every duration is multiplied by this

# (shortest, longest) seconds of each step of the control plane. Those marked "ours" are not documented.
CONTROL_PLANE_S = {
    "create table": (5.0, 12.0),
    "update table": (4.0, 8.0),             # ours
    "delete table": (4.0, 8.0),             # ours
    "create index": (24.0, 55.0),           # observed: until the table is ACTIVE again
    "backfill index": (480.0, 930.0),       # observed with an empty table: how much longer the index is CREATING
    "update index": (2.0, 4.0),             # observed
    "delete index": (5.0, 6.0),             # observed
    "replica": (21.0, 28.0),                # observed with an empty source
    "replica with data": (540.0, 690.0),    # observed with one item in the source
    "strong replica": (15.0, 17.0),         # observed
    "witnessed replica": (59.0, 86.0),      # observed
    "replica update": (31.0, 47.0),         # observed: the source's UPDATING when a replica is removed
    "replica gone": (121.0, 244.0),         # observed: until the source no longer lists the replica
    "replica table gone": (10.0, 35.0),     # observed: how much longer the replica's own Region answers
    "delete strong replicas": (55.0, 70.0),  # observed
    "propagate settings": (34.0, 39.0),     # observed: a change of TTL, throughput or table class
    "legacy global table": (3.0, 6.0),      # ours: from "all replicas ready" to GlobalTableStatus ACTIVE
    "contributor insights": (1.0, 3.0),     # observed, with one of 16 s
    "ttl sweep": (60.0, 120.0),             # ours: expired items are deleted within minutes (on "fast": seconds)
}

# (shortest, longest) seconds until version 2017.11.29 wrote a customer's item again, to add its attributes. Ours.
LEGACY_MARK_S = (0.005, 0.02)

_Z90 = 1.2815515655446004  # the standard normal's 90th percentile


MOST_MS, MOST_S, MOST_UNITS = 60_000, 3600, 1_000_000  # the largest values of knobs: 60 seconds, an hour, a million
MOST_TIMES = 1000  # of times_faster
BURST_S = 300  # a table's unused capacity is kept for five minutes, as AWS documents


class Knob(NamedTuple):
    """One way to break the world. ``places``: how many parts its place can have; with 0 parts it is ``()``."""

    name: str
    places: tuple[int, ...]
    check: Callable[[Any], Any]     # returns the value to keep; raises ValueError for an invalid one
    what: str                       # what it does
    value: str = ""                 # what the value is; empty where there is none


def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError("this knob takes no value")


def _number(most: float, unit: str) -> Callable[[Any], float]:
    name = {"s": "seconds", "ms": "milliseconds"}[unit]

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"the value must be a number of {name} from 0 to {most}, not {value!r}")
        return value
    return check


def _outage(value: Any) -> str:
    if not isinstance(value, str) or value not in OUTAGES:
        raise ValueError(f"the value must be one of {', '.join(OUTAGES)}, not {value!r}")
    return value


def _place(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the value must be the code of a Region, not {value!r}")
    return regions.get(value).code


def _throttle(value: Any) -> dict[str, Any]:
    limits = {"read_units": (0, MOST_UNITS), "write_units": (0, MOST_UNITS), "burst_s": (0, MOST_S)}
    value = {} if value is None else value
    if not isinstance(value, dict) or set(value) - set(limits):
        raise ValueError(f"the value may only have {', '.join(limits)}, not {value!r}")
    for name, given in value.items():
        low, high = limits[name]
        if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
            raise ValueError(f"{name} must be a number from {low} to {high}, not {given!r}")
    return value


KNOBS = {knob.name: knob for knob in (
    Knob("partition", (2,), _nothing, "nothing passes between two Regions"),
    Knob("isolate", (1,), _nothing, "nothing passes between a Region and any other; callers reach it"),
    Knob("outage", (1,), _outage, "a Region is down: its endpoint fails, nothing passes to or from it",
         "timeout, refused or error"),
    Knob("slow", (2,), _number(MOST_MS, UNITS["slow"]),
         "a round trip between two Regions takes longer, for callers and for replication", "ms added to a round trip"),
    Knob("lag", (0, 2), _number(MOST_S, UNITS["lag"]),
         "replication takes this long, from a Region to another or everywhere", "seconds"),
    Knob("throttle", (3,), _throttle,
         "a table has no more than its capacity and its burst credit", "read_units, write_units, burst_s"),
    Knob("caller", (0,), _place, "every caller is in this Region", "a Region"),
)}


class World:
    """Draws round trips, replication lags and control-plane times.

    ``network`` scales everything (see NETWORKS). The same ``seed`` gives the same draws on each link,
    whatever happens on the others. ``lag_model`` says how long replication needs beside the distance. ``times_faster``
    is for the control plane only: steps that begin take that part of their time. It is not kept on disk.
    """

    times_faster = 1.0

    def __init__(self, network: str = "realistic", seed: int | None = None, lag_model: LagModel = DEFAULT):
        if network not in NETWORKS:
            raise ValueError(f"no network named {network!r}; choose from {', '.join(NETWORKS)}")
        self.network, self.seed = network, seed if seed is not None else random.SystemRandom().getrandbits(32)
        self._scale = FACTORS[network]
        self.lag_model = lag_model
        self._set: dict[str, dict[tuple[str, ...], Any]] = {name: {} for name in KNOBS}
        self._chance: dict[tuple[str, ...], random.Random] = {}

    def round_trip_s(self, caller: str | None, region: str) -> float:
        """One round trip from a caller in a Region (None: no distance) to a Region's endpoint."""
        caller = self._set["caller"].get((), caller)
        if caller is None:
            return 0.0
        network = self._scale * self._network_s("caller", caller, region) if self._scale else 0.0
        return network + self._slowed_s(caller, region)

    def replication_lag_s(self, source: str, target: str) -> float:
        """From a commit at the source to its arrival at the target: half a round trip, and processing."""
        lags = self._set["lag"]
        if lags:
            fixed: float | None = lags.get((source, target), lags.get(()))
            if fixed is not None:
                return fixed
        slowed = self._slowed_s(source, target) / 2
        if not self._scale:
            return slowed
        chance = self._link("processing", source, target)
        model = self.lag_model.of(source, target)
        processing = chance.lognormvariate(math.log(model.median_s), model.sigma)
        return self._scale * (self._network_s("replication", source, target) / 2 + processing) + slowed

    # Breaking and repairing

    def turn(self, knob: str, place: tuple[str, ...], value: Any = None) -> bool:
        """Set a knob. Returns whether that changed anything. Raises ValueError for an invalid knob, place or value."""
        place = checked_place(knob, place)
        try:
            value = KNOBS[knob].check(value)
        except ValueError as error:
            raise ValueError(f"{knob}: {error}.") from None
        if place in self._set[knob] and self._set[knob][place] == value:
            return False
        self._set[knob][place] = value
        return True

    def turn_back(self, knob: str, place: tuple[str, ...]) -> bool:
        """Clear a knob. Returns whether it had been set. Raises ValueError for an invalid knob or place."""
        place = checked_place(knob, place)
        return self._set[knob].pop(place, self) is not self

    def turned(self) -> list[tuple[str, tuple[str, ...], Any]]:
        """Every knob that is set: its name, place and value."""
        return [(name, place, value) for name, places in self._set.items() for place, value in places.items()]

    def outage(self, region: str) -> str | None:
        """How a Region's endpoint fails (one of OUTAGES); None if it does not."""
        return self._set["outage"].get((region,))

    def outages(self) -> dict[tuple[str, ...], str]:
        """All Regions that are down, as of now."""
        return dict(self._set["outage"])

    def throttle(self, account: str, region: str, table: str) -> dict[str, Any] | None:
        """The limits that are enforced for a table: ``read_units`` and ``write_units`` if they differ from its own,
        and ``burst_s``. None if no limits are enforced."""
        return self._set["throttle"].get((account, region, table))

    def throttles(self) -> bool:
        """Whether limits are enforced for any table."""
        return bool(self._set["throttle"])

    def reachable(self, a: str, b: str) -> bool:
        """Whether anything passes between two Regions."""
        if not (self._set["partition"] or self._set["isolate"] or self._set["outage"]):
            return True
        parted, cut_off = self._set["partition"], (self._set["isolate"], self._set["outage"])
        return not ((parted and _pair(a, b) in parted)
                    or any((region,) in regions_off for regions_off in cut_off if regions_off for region in (a, b)))

    def _slowed_s(self, a: str, b: str) -> float:
        return self._set["slow"].get(_pair(a, b), 0.0) / 1000 if self._set["slow"] else 0.0

    def control_plane_s(self, step: str, region: str) -> float:
        """How long a step of the control plane (a key of CONTROL_PLANE_S) takes this time."""
        usual_s = self._link("control plane", step, region).uniform(*CONTROL_PLANE_S[step])
        return self._scale * usual_s / self.times_faster

    def legacy_mark_s(self, region: str) -> float:
        """From a customer's write to the service's second update of the item (version 2017.11.29)."""
        return self._scale * self._link("legacy mark", region).uniform(*LEGACY_MARK_S)

    def _network_s(self, use: str, a: str, b: str) -> float:
        """A round trip whose median is the matrix's P50 and whose 90th percentile is its P90."""
        p50, p90 = regions.rtt_ms(a, b), regions.rtt_ms(a, b, percentile=90)
        sigma = max(0.0, math.log(p90 / p50)) / _Z90
        return self._link(use, a, b).lognormvariate(math.log(p50), sigma) / 1000

    def _link(self, *names: str) -> random.Random:
        if names not in self._chance:
            self._chance[names] = random.Random(f"{self.seed}:{':'.join(names)}")
        return self._chance[names]


def checked_place(knob: str, place: tuple[str, ...]) -> tuple[str, ...]:
    """A place in the form that is kept. Raises ValueError that says what a valid place is."""
    known = KNOBS.get(knob)
    if known is None:
        raise ValueError(f"There is no knob {knob!r}; there are: {', '.join(KNOBS)}.")
    if len(place) not in known.places:
        wanted = " or ".join({0: "no place", 1: "a Region", 2: "two Regions", 3: "an account, a Region and a table"}[
            number] for number in known.places)
        raise ValueError(f"{knob}: the place must be {wanted}, not {len(place)} names.")
    if knob == "throttle":
        return (place[0], regions.get(place[1]).code, place[2])
    codes = tuple(regions.get(region).code for region in place)
    if len(set(codes)) < len(codes):
        raise ValueError(f"{knob}: the place must be two different Regions, not {codes[0]} twice.")
    return _pair(*codes) if knob in PAIRS else codes


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
