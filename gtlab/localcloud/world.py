"""The simulated world: how far apart things are, and how long they take. Pure; chance is seeded.

Three things that learners confuse are kept apart here: a caller's round trip to a Region, the
replication lag between two Regions, and how long the control plane takes to carry a change out.
All figures are simulated. Times are seconds.
"""

from __future__ import annotations

import math
import random

from gtlab import regions

NETWORKS = {"realistic": 1.0, "fast": 0.1, "instant": 0.0}  # what every duration is multiplied by

# Replication's own processing time: log-normal. Median and sigma are the fit to the raw captures of the
# service that docs/local-cloud.md describes (us-east-1 ↔ us-east-2, 2026-09-18); that the same holds for distant pairs
# is an assumption.
PROCESSING_MEDIAN_S = 0.45
PROCESSING_SIGMA = 0.5

# (shortest, longest) seconds of each step of the control plane. Those marked "ours" are not documented.
CONTROL_PLANE_S = {
    "create table": (5.0, 12.0),
    "update table": (4.0, 8.0),             # ours
    "delete table": (4.0, 8.0),             # ours
    "replica": (21.0, 28.0),                # observed with an empty source
    "replica with data": (540.0, 690.0),    # observed with one item in the source
    "strong replica": (15.0, 17.0),         # observed
    "witnessed replica": (59.0, 86.0),      # observed
    "replica update": (31.0, 47.0),         # observed: the source's UPDATING when a replica is removed
    "replica gone": (121.0, 244.0),         # observed: until its entry is gone
    "replica table gone": (10.0, 35.0),     # observed: how much longer its own Region answers
    "delete strong replicas": (55.0, 70.0),  # observed
    "propagate settings": (34.0, 39.0),     # observed: a change of TTL, throughput or table class
    "legacy global table": (3.0, 6.0),      # ours: from "all replicas ready" to GlobalTableStatus ACTIVE
    "ttl sweep": (60.0, 120.0),             # ours: expired items go within minutes, and within seconds on "fast"
}

# (shortest, longest) seconds until version 2017.11.29 wrote a customer's item once more, to mark it. Ours.
LEGACY_MARK_S = (0.005, 0.02)

_Z90 = 1.2815515655446004  # the standard normal's 90th percentile


class World:
    """Draws round trips, replication lags and control-plane times.

    ``network`` scales everything (see NETWORKS). The same ``seed`` gives the same draws on each link,
    whatever happens on the others.
    """

    def __init__(self, network: str = "realistic", seed: int | None = None):
        if network not in NETWORKS:
            raise ValueError(f"no network named {network!r}; choose from {', '.join(NETWORKS)}")
        self.network, self.seed = network, seed if seed is not None else random.SystemRandom().getrandbits(32)
        self._scale = NETWORKS[network]
        self._cut: set[frozenset[str]] = set()
        self._chance: dict[tuple[str, ...], random.Random] = {}

    def round_trip_s(self, caller: str | None, region: str) -> float:
        """One round trip from a caller in a Region (None: nowhere, no distance) to a Region's endpoint."""
        if caller is None or not self._scale:
            return 0.0
        return self._scale * self._network_s("caller", caller, region)

    def replication_lag_s(self, source: str, target: str) -> float:
        """From a commit at the source to its arrival at the target: half a round trip, and processing."""
        if not self._scale:
            return 0.0
        chance = self._link("processing", source, target)
        processing = chance.lognormvariate(math.log(PROCESSING_MEDIAN_S), PROCESSING_SIGMA)
        return self._scale * (self._network_s("replication", source, target) / 2 + processing)

    def cut(self, a: str, b: str) -> None:
        """Part two Regions: nothing passes between them until :meth:`mend`."""
        self._cut.add(frozenset((a, b)))

    def mend(self, a: str, b: str) -> None:
        self._cut.discard(frozenset((a, b)))

    def reachable(self, a: str, b: str) -> bool:
        return frozenset((a, b)) not in self._cut

    def control_plane_s(self, step: str, region: str) -> float:
        """How long a step of the control plane (a key of CONTROL_PLANE_S) takes this time."""
        return self._scale * self._link("control plane", step, region).uniform(*CONTROL_PLANE_S[step])

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
