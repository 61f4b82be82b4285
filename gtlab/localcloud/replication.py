"""Replication as a pure state machine: changes and the time go in, due deliveries come out.

No I/O, and no clock of its own. A *copy* is one Region's copy of a global table; an item in it is known
by its key. Every item of every copy has a version beside it (commit time, Region), never in it.
A delivery is applied where its version is newer than the stored one, so replays are harmless and order
across items does not matter; the deliveries of one item over one link are never reordered. A delete leaves its
version behind as a tombstone, so that an older write which is still on its way cannot bring the item back.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gtlab.localcloud.model import Key

LOOK_AGAIN_S = 0.2  # seconds between two checks of links that hold deliveries back

Lag = Callable[[str, str], float]


class Version(NamedTuple):
    """When and where an item was last written. The newer wins; of two at the same microsecond, the Region
    later in the alphabet (the service documents no rule for ties: this one is ours)."""

    time_us: int
    region: str


_NEVER = Version(-1, "")  # older than every other


class Delivery(NamedTuple):
    """One change on its way from one Region's copy to another's. ``item`` is None for a delete. ``n`` numbers the
    deliveries in the order in which they were sent."""

    group: str
    source: str
    target: str
    key: Key
    item: dict[str, Any] | None
    version: Version
    due: float  # seconds, on the caller's clock
    n: int = 0


class _Write(NamedTuple):
    """One change as a copy has it, which is to be sent to other copies. ``item`` is None for a delete."""

    group: str
    source: str
    key: Key
    item: dict[str, Any] | None
    version: Version


@dataclass
class _Copy:
    versions: dict[Key, Version] = field(default_factory=dict)
    tombstones: set[Key] = field(default_factory=set)


@dataclass
class Unsaved:
    """Which parts of the state have changed since this was last cleared, and must be written to disk."""

    copies: set[tuple[str, str]] = field(default_factory=set)         # group and Region: removed, or created again
    versions: set[tuple[str, str, Key]] = field(default_factory=set)  # group, Region, key
    sent: dict[int, Delivery] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)                       # deliveries that are no longer on their way

    def __bool__(self) -> bool:
        return bool(self.versions or self.sent or self.done or self.copies)

    def clear(self) -> None:
        for part in (self.copies, self.versions, self.sent, self.done):
            part.clear()


class Replication:
    """All copies of all groups, and the deliveries that are on their way between them.

    ``lag(source, target)`` answers the seconds that one delivery takes, ``passes(delivery, now)`` whether it can
    arrive. A delivery that cannot arrive waits, and so do those behind it on the same link, which keeps their order.
    Each such link is checked again every LOOK_AGAIN_S.
    """

    def __init__(self, lag: Lag, passes: Callable[[Delivery, float], bool] = lambda delivery, now: True):
        self._lag, self._passes = lag, passes
        self._copies: dict[tuple[str, str], _Copy] = {}
        self._queue: list[tuple[float, int, Delivery]] = []
        self._numbers = itertools.count(1)
        self._last_due: dict[tuple[str, str, str, Key], float] = {}
        self._held: dict[tuple[str, str, str], deque[Delivery]] = {}  # by link: group, source and target
        self._coming: Counter[tuple[str, str]] = Counter()  # deliveries on their way, by group and target
        self._look_again: float | None = None
        self.unsaved = Unsaved()

    def join(self, group: str, region: str) -> None:
        """A Region gets a copy, empty as far as replication knows."""
        self._copies.setdefault((group, region), _Copy())
        self.unsaved.copies.add((group, region))

    def adopt(self, group: str, region: str, key: Key, now: float) -> None:
        """An item that a Region had before it joined: its version is this moment's, and it is not sent."""
        self._copies[group, region].versions[key] = Version(int(now * 1e6), region)
        self.unsaved.versions.add((group, region, key))

    def leave(self, group: str, region: str) -> None:
        """A Region's copy is removed, and deliveries to it are dropped. Deliveries from it still arrive: some members
        may have them already, and copies must not differ for ever. With the last copy, all deliveries are dropped."""
        self._copies.pop((group, region), None)
        self.unsaved.copies.add((group, region))
        last = not self.regions(group)

        def dropped(delivery: Delivery) -> bool:
            gone = delivery.group == group and (last or delivery.target == region)
            if gone:
                self._no_longer(delivery)
            return gone

        self._queue = [entry for entry in self._queue if not dropped(entry[2])]
        heapq.heapify(self._queue)
        held = ((link, deque(delivery for delivery in waiting if not dropped(delivery)))
                for link, waiting in self._held.items())
        self._held = {link: waiting for link, waiting in held if waiting}
        self._last_due = {link: due for link, due in self._last_due.items()
                          if link[0] != group or not (last or link[2] == region)}
        self._coming = +self._coming  # forget the copies of which nothing is left

    def regions(self, group: str) -> list[str]:
        return [region for of, region in self._copies if of == group]

    def commit(self, group: str, region: str, key: Key, item: dict[str, Any] | None, now: float) -> Version:
        """A local write took effect in a Region: give it its version and send it to every other copy."""
        copy = self._copies[group, region]
        version = self._next_version(copy, key, region, now)
        self._store(group, region, key, version, item)
        write = _Write(group, region, key, item, version)
        for of, target in self._copies:
            if of == group and target != region:
                self._send(write, target, now)
        return version

    def backfill(self, group: str, source: str, target: str, item_of: Callable[[str, Key], dict[str, Any] | None],
                 now: float) -> None:
        """Send the existing items, with their versions, to a copy that has just joined: the items of the source, and
        from every other copy the items that are newer there, because deliveries of these to the source do not reach
        the new copy. Deliveries still on their way from Regions that have left are sent, too, if no copy has their
        changes. ``item_of(region, key)`` returns an item, or None."""
        known = self._copies[group, source].versions
        for region in self.regions(group):
            for key, version in self._copies[group, region].versions.items() if region != target else ():
                if region == source or key not in known or known[key] < version:
                    self._send(_Write(group, region, key, item_of(region, key), version), target, now)
        copies = [self._copies[group, region].versions for region in self.regions(group) if region != target]
        newest: dict[Key, Delivery] = {}
        for delivery in self.on_their_way():
            if (delivery.group == group and delivery.target != target
                    and all(delivery.version > versions.get(delivery.key, _NEVER) for versions in copies)):
                newest[delivery.key] = max(delivery, newest.get(delivery.key, delivery), key=lambda each: each.version)
        for delivery in newest.values():
            self._send(_Write(group, delivery.source, delivery.key, delivery.item, delivery.version), target, now)

    def due(self, now: float) -> Iterator[Delivery]:
        """The deliveries that have arrived by now, in order of arrival, each once. Take them one by one: whether the
        next one can arrive is checked only when its turn comes."""
        self._release(now)
        while self._queue and self._queue[0][0] <= now:
            delivery = heapq.heappop(self._queue)[2]
            link = delivery[:3]
            if link in self._held or not self._passes(delivery, now):
                self._held.setdefault(link, deque()).append(delivery)
                self._look_again = self._look_again or now + LOOK_AGAIN_S
                continue
            item_link = (*link, delivery.key)
            if self._last_due.get(item_link) == delivery.due:
                del self._last_due[item_link]
            self._no_longer(delivery)
            yield delivery

    def _release(self, now: float) -> None:
        """Release the deliveries that wait on links that are open again, in the order in which they came."""
        if self._look_again is None or now < self._look_again:
            return
        for link in [link for link, waiting in self._held.items() if self._passes(waiting[0], now)]:
            for delivery in self._held.pop(link):
                heapq.heappush(self._queue, (now, delivery.n, delivery))
        self._look_again = now + LOOK_AGAIN_S if self._held else None

    def _no_longer(self, delivery: Delivery) -> None:
        self._coming[delivery.group, delivery.target] -= 1
        if self.unsaved.sent.pop(delivery.n, None) is None:
            self.unsaved.done.add(delivery.n)

    def put_back(self, delivery: Delivery, due: float) -> None:
        """A delivery that was handed out could not be applied: it is on its way again, until ``due``."""
        again = self.unsaved.sent[delivery.n] = delivery._replace(due=due)
        self.unsaved.done.discard(delivery.n)
        self._coming[delivery.group, delivery.target] += 1
        heapq.heappush(self._queue, (due, again.n, again))

    def is_newer(self, delivery: Delivery) -> bool:
        """Whether a delivery is to be applied: it is newer than what its target has."""
        copy = self._copies.get((delivery.group, delivery.target))
        if copy is None:
            return False
        stored = copy.versions.get(delivery.key)
        return stored is None or stored < delivery.version

    def applied(self, delivery: Delivery) -> None:
        """Record the version of a delivery that was newer, and that its target has now."""
        self._store(delivery.group, delivery.target, delivery.key, delivery.version, delivery.item)

    def next_due(self) -> float | None:
        if not self._queue:
            return self._look_again
        first = self._queue[0][0]
        return first if self._look_again is None or first < self._look_again else self._look_again

    def waiting(self, group: str | None = None, region: str | None = None) -> int:
        """Deliveries that are on their way; of one group, to or from one Region, if they are named."""
        if group is None:
            return len(self._queue) + sum(map(len, self._held.values()))
        return sum(delivery.group == group and region in (delivery.source, delivery.target)
                   for delivery in self.on_their_way())

    def on_their_way(self) -> Iterator[Delivery]:
        yield from (entry[2] for entry in self._queue)
        for held in self._held.values():
            yield from held

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._queue or self._held)

    def is_behind(self, group: str, region: str) -> bool:
        """Whether a delivery is on its way to a Region's copy. If none is, no read there is stale."""
        return self._coming[group, region] > 0

    def missed(self, group: str, region: str, key: Key) -> Version | None:
        """The newest version of an item in another copy, if it is newer than what a Region's copy has; otherwise None.
        An item that neither copy has is not missed: a reader cannot see a difference."""
        mine = self._copies[group, region]
        newest, where = mine.versions.get(key, _NEVER), mine
        for (of, _), copy in self._copies.items():
            if of == group and copy.versions.get(key, _NEVER) > newest:
                newest, where = copy.versions[key], copy
        if where is mine or (key in where.tombstones and (key not in mine.versions or key in mine.tombstones)):
            return None
        return newest

    def version(self, group: str, region: str, key: Key) -> Version | None:
        copy = self._copies.get((group, region))
        return copy.versions.get(key) if copy else None

    def keys(self, group: str) -> set[Key]:
        """Every item of a group that any copy has a version of."""
        return {key for (of, _), copy in self._copies.items() if of == group for key in copy.versions}

    def lost(self, group: str, region: str, key: Key) -> None:
        """An item was deleted in one copy, and no other copy learns of it. Its version stays as a tombstone, so that
        nothing older brings it back."""
        copy = self._copies[group, region]
        if key in copy.versions:
            copy.tombstones.add(key)
            self.unsaved.versions.add((group, region, key))

    def forget_tombstones(self, before: float) -> int:
        """Drop tombstones older than a time, but never one whose item still has a delivery on its way."""
        old = [(group, region, key) for (group, region), copy in self._copies.items() for key in copy.tombstones
               if copy.versions[key].time_us < before * 1e6]
        busy = {(delivery.group, delivery.key) for delivery in self.on_their_way()} if old else set()
        old = [(group, region, key) for group, region, key in old if (group, key) not in busy]
        for group, region, key in old:
            self._copies[group, region].tombstones.discard(key)
            del self._copies[group, region].versions[key]
        self.unsaved.versions.update(old)
        return len(old)

    def _next_version(self, copy: _Copy, key: Key, region: str, now: float) -> Version:
        # A write is judged against what its writer saw, so it is newer than that even on a coarse clock.
        seen = copy.versions.get(key)
        time_us = int(now * 1e6)
        return Version(time_us if seen is None else max(time_us, seen.time_us + 1), region)

    def _store(self, group: str, region: str, key: Key, version: Version, item: dict[str, Any] | None) -> None:
        copy = self._copies[group, region]
        copy.versions[key] = version
        if item is None:
            copy.tombstones.add(key)
        else:
            copy.tombstones.discard(key)
        self.unsaved.versions.add((group, region, key))

    def _send(self, write: _Write, target: str, now: float) -> None:
        group, source, key, item, version = write
        item_link, n = (group, source, target, key), next(self._numbers)
        due, last = now + self._lag(source, target), self._last_due.get(item_link)
        if last is not None and last > due:
            due = last
        delivery = self.unsaved.sent[n] = Delivery(group, source, target, key, item, version, due, n)
        self._put(delivery, item_link)

    def _put(self, delivery: Delivery, item_link: tuple[str, str, str, Key]) -> None:
        self._last_due[item_link] = delivery.due
        self._coming[delivery.group, delivery.target] += 1
        heapq.heappush(self._queue, (delivery.due, delivery.n, delivery))

    # Persistence

    def copies(self) -> list[tuple[str, str]]:
        """Every copy: group and Region."""
        return list(self._copies)

    def keys_of(self, group: str, region: str) -> list[Key]:
        """Every item that a copy has a version of; none where there is no such copy."""
        copy = self._copies.get((group, region))
        return list(copy.versions) if copy else []

    def entry(self, group: str, region: str, key: Key) -> tuple[Version, bool] | None:
        """An item's version in a copy, and whether it is a tombstone."""
        copy = self._copies.get((group, region))
        if copy is None or key not in copy.versions:
            return None
        return copy.versions[key], key in copy.tombstones

    def restore(self, copies: Iterable[tuple[str, str]], entries: Iterable[tuple[str, str, Key, Version, bool]],
                deliveries: Iterable[Delivery]) -> None:
        """Load the saved state. Call this before any other method."""
        self._copies = {copy: _Copy() for copy in copies}
        for group, region, key, version, is_tombstone in entries:
            copy = self._copies[group, region]
            copy.versions[key] = version
            if is_tombstone:
                copy.tombstones.add(key)
        last = 0
        for delivery in sorted(deliveries, key=lambda delivery: delivery.n):
            self._put(delivery, (*delivery[:3], delivery.key))
            last = delivery.n
        self._numbers = itertools.count(last + 1)
