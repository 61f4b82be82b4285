"""Replication as a pure state machine: changes and the time go in, due deliveries come out.

No I/O, and no clock of its own. A *copy* is one Region's copy of a global table; an item in it is known
by its key. Every item of every copy has a version beside it (commit time, Region), never in it.
A delivery is applied where its version is newer than the stored one, so replays are harmless and order
across items is free; the deliveries of one item over one link are never reordered. A delete leaves its
version behind as a tombstone, so that an older write which is still on its way cannot bring the item back.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

LOOK_AGAIN_S = 0.2  # between two looks at a link that was cut

Key = Hashable
Lag = Callable[[str, str], float]


class Version(NamedTuple):
    """When and where an item was last written. The newer wins; of two at the same microsecond, the Region
    later in the alphabet (the service documents no rule for ties: this one is ours)."""

    time_us: int
    region: str


@dataclass(frozen=True)
class Delivery:
    """One item on its way from one Region's copy to another's. ``item`` None is a delete."""

    group: str
    source: str
    target: str
    key: Key
    item: dict | None
    version: Version
    due: float  # seconds, on the caller's clock


@dataclass
class _Copy:
    versions: dict[Key, Version] = field(default_factory=dict)
    tombstones: set[Key] = field(default_factory=set)


class Replication:
    """All the copies of all the groups, and all that is on its way between them.

    ``lag(source, target)`` answers the seconds that one delivery takes, ``reachable(source, target)`` whether it can
    arrive: what comes to a link that is cut waits there, and the link is looked at again every LOOK_AGAIN_S.
    """

    def __init__(self, lag: Lag, reachable: Callable[[str, str], bool] = lambda source, target: True):
        self._lag, self._reachable = lag, reachable
        self._copies: dict[tuple[str, str], _Copy] = {}
        self._queue: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._last_due: dict[tuple[str, str, str, Key], float] = {}
        self._held: dict[tuple[str, str], list[Delivery]] = {}  # by link: source and target
        self._look_again: float | None = None

    def join(self, group: str, region: str) -> None:
        """A Region gets a copy, empty as far as replication knows."""
        self._copies.setdefault((group, region), _Copy())

    def adopt(self, group: str, region: str, key: Key, now: float) -> None:
        """An item that a Region had before it joined: it is as old as this moment, and is sent to nobody."""
        self._copies[group, region].versions[key] = Version(int(now * 1e6), region)

    def leave(self, group: str, region: str) -> None:
        """A Region's copy goes. What is on its way to it, or has not left it yet, is dropped."""
        self._copies.pop((group, region), None)
        self._queue = [entry for entry in self._queue
                       if entry[2].group != group or region not in (entry[2].source, entry[2].target)]
        heapq.heapify(self._queue)
        self._held = {link: [delivery for delivery in held if delivery.group != group or region not in link]
                      for link, held in self._held.items()}
        self._last_due = {link: due for link, due in self._last_due.items()
                          if link[0] != group or region not in link[1:3]}

    def regions(self, group: str) -> list[str]:
        return [region for of, region in self._copies if of == group]

    def commit(self, group: str, region: str, key: Key, item: dict | None, now: float) -> Version:
        """A local write took effect in a Region: give it its version and send it to every other copy."""
        copy = self._copies[group, region]
        version = self._next_version(copy, key, region, now)
        self._store(copy, key, version, item)
        for target in self.regions(group):
            if target != region:
                self._send(group, region, target, key, item, version, now)
        return version

    def copy(self, group: str, source: str, target: str, key: Key, item: dict, now: float) -> None:
        """Send an item as it is, under the version that it has: the backfill of a copy that has just joined."""
        self._send(group, source, target, key, item, self._copies[group, source].versions[key], now)

    def due(self, now: float) -> list[Delivery]:
        """What has arrived by now, in order of arrival; it is handed out once."""
        self._release(now)
        arrived = []
        while self._queue and self._queue[0][0] <= now:
            delivery = heapq.heappop(self._queue)[2]
            if not self._reachable(delivery.source, delivery.target):
                self._held.setdefault((delivery.source, delivery.target), []).append(delivery)
                self._look_again = self._look_again or now + LOOK_AGAIN_S
                continue
            link = (delivery.group, delivery.source, delivery.target, delivery.key)
            if self._last_due.get(link) == delivery.due:
                del self._last_due[link]
            arrived.append(delivery)
        return arrived

    def _release(self, now: float) -> None:
        """Let go what waits on links that are no longer cut, in the order in which it came there."""
        if self._look_again is None or now < self._look_again:
            return
        for link in [link for link in self._held if self._reachable(*link)]:
            for delivery in self._held.pop(link):
                heapq.heappush(self._queue, (now, next(self._order), delivery))
        self._look_again = now + LOOK_AGAIN_S if self._held else None

    def accept(self, delivery: Delivery) -> bool:
        """Whether a delivery is to be applied: it is newer than what its target has. If so, it is recorded."""
        copy = self._copies.get((delivery.group, delivery.target))
        if copy is None:
            return False
        stored = copy.versions.get(delivery.key)
        if stored is not None and stored >= delivery.version:
            return False
        self._store(copy, delivery.key, delivery.version, delivery.item)
        return True

    def next_due(self) -> float | None:
        times = [self._queue[0][0]] if self._queue else []
        return min([*times, *([self._look_again] if self._look_again else [])], default=None)

    def waiting(self, group: str | None = None, region: str | None = None) -> int:
        """Deliveries that are on their way; of one group, to or from one Region, if they are named."""
        return sum(group is None or (delivery.group == group and region in (delivery.source, delivery.target))
                   for delivery in self._on_their_way())

    def _on_their_way(self) -> Iterator[Delivery]:
        yield from (entry[2] for entry in self._queue)
        for held in self._held.values():
            yield from held

    def version(self, group: str, region: str, key: Key) -> Version | None:
        copy = self._copies.get((group, region))
        return copy.versions.get(key) if copy else None

    def keys(self, group: str) -> set[Key]:
        """Every item of a group that any copy has a version of."""
        return {key for (of, _), copy in self._copies.items() if of == group for key in copy.versions}

    def lost(self, group: str, region: str, key: Key) -> None:
        """An item went from one copy, and nobody is told: its version stays for a tombstone's time, so that nothing
        older brings it back."""
        copy = self._copies[group, region]
        if key in copy.versions:
            copy.tombstones.add(key)

    def forget_tombstones(self, before: float) -> int:
        """Drop tombstones older than a time, but never one whose item still has a delivery on its way."""
        busy = {(delivery.group, delivery.key) for delivery in self._on_their_way()}
        dropped = 0
        for (group, _), copy in self._copies.items():
            old = [key for key in copy.tombstones
                   if copy.versions[key].time_us < before * 1e6 and (group, key) not in busy]
            for key in old:
                copy.tombstones.discard(key)
                del copy.versions[key]
            dropped += len(old)
        return dropped

    def _next_version(self, copy: _Copy, key: Key, region: str, now: float) -> Version:
        # A write is judged against what its writer saw, so it is newer than that even on a coarse clock.
        seen = copy.versions.get(key)
        time_us = int(now * 1e6)
        return Version(time_us if seen is None else max(time_us, seen.time_us + 1), region)

    @staticmethod
    def _store(copy: _Copy, key: Key, version: Version, item: dict | None) -> None:
        copy.versions[key] = version
        if item is None:
            copy.tombstones.add(key)
        else:
            copy.tombstones.discard(key)

    def _send(self, group: str, source: str, target: str, key: Key, item: dict | None, version: Version,
              now: float) -> None:
        link = (group, source, target, key)
        due = max(now + self._lag(source, target), self._last_due.get(link, 0.0))
        self._last_due[link] = due
        delivery = Delivery(group, source, target, key, item, version, due)
        heapq.heappush(self._queue, (due, next(self._order), delivery))
