"""The copies of each global table: which version of each item a Region has.

A *copy* is one Region's copy of a global table; an item in it is known by its key. Every item of every copy has a
version beside it (commit time, Region), never in it. A delivery is applied where its version is newer than the stored
one, so replays are harmless and order across items does not matter. The deliveries of one item over one link are never
reordered. A delete leaves its version behind as a tombstone, so that an older write which is still on its way cannot
bring the item back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import itemgetter
from typing import Any, ClassVar

from gtlab.localcloud.model import Key
from gtlab.localcloud.replication.backfill import Backfill, ItemOf
from gtlab.localcloud.replication.deliveries import NEVER, Delivery, Unsaved, Version, Write
from gtlab.localcloud.replication.links import Failed, Lag, Links, Passes, Size


@dataclass
class _Copy:
    BULK: ClassVar = ("versions", "tombstones")  # see gtlab.localcloud.undo
    versions: dict[Key, Version] = field(default_factory=dict)
    tombstones: dict[Key, None] = field(default_factory=dict)  # about in the order of their times
    floor: int = -1  # the time of the version, microseconds, of items that are not adopted yet; -1 if there are none

    def old_tombstones(self, before: float) -> Iterator[Key]:
        """The oldest tombstones, as long as they are older than a time."""
        return takewhile(lambda key: self.versions[key].time_us < before * 1e6, self.tombstones)


_NONE: dict[str, _Copy] = {}


class Replication:
    """All copies of all groups. ``links`` has the deliveries that are on their way between them; ``lag``, ``passes``,
    ``size`` and ``failed`` are those of :class:`Links`. ``unsaved``: what is to be written to disk."""

    def __init__(self, lag: Lag, passes: Passes = lambda delivery, now: True, size: Size = lambda item: 0,
                 failed: Failed = lambda delivery, error: None):
        self._copies: dict[str, dict[str, _Copy]] = {}  # by group and Region
        self._backfills: dict[tuple[str, str], Backfill] = {}  # by group and target, as long as the target is a member
        self.unsaved = Unsaved()
        self.links = Links(lag, passes, size, self.unsaved, failed)

    def join(self, group: str, region: str) -> None:
        """A Region gets a copy, empty as far as replication knows."""
        self._copies.setdefault(group, {}).setdefault(region, _Copy())
        self.unsaved.copies.add((group, region))

    def adopt(self, group: str, region: str, key: Key, joined: float) -> None:
        """An item that a Region had before it joined: its version is of that moment, and it is not sent. An item that
        has been written since keeps its version."""
        copy = self._copies[group][region]
        if key not in copy.versions:
            version = copy.versions[key] = Version(int(joined * 1e6), region)
            self.unsaved.versions[group, region, key] = version, False

    def adopting(self, group: str, region: str, joined: float | None) -> None:
        """Until this is called with None, a Region may have items from before it joined that are not adopted yet."""
        self._copies[group][region].floor = -1 if joined is None else int(joined * 1e6)

    def leave(self, group: str, region: str) -> Callable[[int], bool]:
        """A Region's copy is removed, and deliveries to it are dropped. Deliveries from it still arrive: some members
        may have them already, and copies must not differ forever. With the last copy, all deliveries are dropped.

        Returns a function that frees so many of the copy's versions and of these deliveries, and returns whether there
        are more: to free many at once takes long."""
        copies = self._copies.get(group, {})
        gone = copies.pop(region, None) or _Copy()
        self._backfills.pop((group, region), None)
        if not copies:
            self._copies.pop(group, None)
        self.unsaved.copies.add((group, region))
        self.links.drop(group, region, everything=not copies)
        for (of, _), backfill in self._backfills.items():
            if of == group:
                backfill.begin()

        def let_go(most: int) -> bool:
            for _ in range(min(most, len(gone.versions))):
                key, _version = gone.versions.popitem()
                gone.tombstones.pop(key, None)
            return self.links.forget(most) or bool(gone.versions)
        return let_go

    def regions(self, group: str) -> list[str]:
        return list(self._copies.get(group, ()))

    def _copy(self, group: str, region: str) -> _Copy | None:
        return self._copies.get(group, _NONE).get(region)

    def commit(self, group: str, region: str, key: Key, item: dict[str, Any] | None, now: float) -> Version:
        """A local write took effect in a Region: give it its version and send it to every other copy."""
        copies = self._copies[group]
        copy = copies[region]
        version = self._next_version(copy, key, region, now)
        write = Write(group, region, key, item, version)
        for target in copies:
            if target != region:
                self.links.send(write, target, now)
        if self._backfills:
            for target in copies:
                if target != region and (group, target) in self._backfills:
                    self._backfills[group, target].is_sent(key, version)
        # Last: until it is stored, an attempt after an error gives the write the same version again.
        self._store(group, region, key, version, item)
        return version

    def backfill(self, group: str, source: str, target: str, item_of: ItemOf) -> Backfill:
        """What a copy that has just joined is to be sent."""
        made = self._backfills[group, target] = Backfill(self, group, source, target, item_of)
        return made

    def backfilled(self, group: str, target: str, backfill: Backfill) -> None:
        """The backfill of a copy is over."""
        if self._backfills.get((group, target)) is backfill:
            del self._backfills[group, target]

    def is_newer(self, delivery: Delivery) -> bool:
        """Whether a delivery is to be applied: it is newer than what its target has."""
        copy = self._copy(delivery.group, delivery.target)
        if copy is None:
            return False
        stored = copy.versions.get(delivery.key)
        return stored is None or stored < delivery.version

    def applied(self, delivery: Delivery) -> None:
        """Record the version of a delivery that was newer, and that its target has now."""
        self._store(delivery.group, delivery.target, delivery.key, delivery.version, delivery.item)

    def missed(self, group: str, region: str, key: Key) -> Version | None:
        """The newest version of an item in another copy, if it is newer than what a Region's copy has; otherwise None.
        An item that neither copy has is not missed: a reader cannot see a difference."""
        copies = self._copies[group]
        mine = copies[region]
        newest, where = mine.versions.get(key, NEVER), mine
        for copy in copies.values():
            if copy.versions.get(key, NEVER) > newest:
                newest, where = copy.versions[key], copy
        if where is mine or (key in where.tombstones and (key not in mine.versions or key in mine.tombstones)):
            return None
        return newest

    def all_missed(self, group: str, region: str, keys: Iterable[Key]) -> list[Version]:
        """What :meth:`missed` finds for many items, those without it left out. Most of a page's items are newest here,
        and finding that out is quick."""
        copies = self._copies[group]
        mine, others = copies[region].versions.get, [copy.versions.get for where, copy in copies.items()
                                                     if where != region]
        older = []
        for key in keys:
            here = mine(key, NEVER)
            for other in others:
                if other(key, NEVER) > here:
                    older.append(key)
                    break
        return [version for key in older if (version := self.missed(group, region, key))]

    def versions(self, group: str, region: str) -> Mapping[Key, Version]:
        """Every item that a copy has a version of, with the version."""
        return self._copies[group][region].versions

    def version(self, group: str, region: str, key: Key) -> Version | None:
        copy = self._copy(group, region)
        return copy.versions.get(key) if copy else None

    def lost(self, group: str, region: str, key: Key) -> None:
        """An item was deleted in one copy, and no other copy learns of it. Its version stays as a tombstone, so that
        nothing older brings it back."""
        copy = self._copies[group][region]
        if key in copy.versions:
            copy.tombstones[key] = None
            self.unsaved.versions[group, region, key] = copy.versions[key], True

    def forget_tombstones(self, before: float) -> int:
        """Drop tombstones older than a time, but never one whose item still has a delivery on its way. There may be
        many tombstones, and this is called often: of each copy, it looks at the oldest ones only."""
        old = [(group, region, key) for group, copies in self._copies.items() for region, copy in copies.items()
               for key in copy.old_tombstones(before)]
        busy = {(delivery.group, delivery.key) for delivery in self.links.on_their_way()} if old else set()
        old = [(group, region, key) for group, region, key in old if (group, key) not in busy]
        for group, region, key in old:
            del self._copies[group][region].tombstones[key]
            del self._copies[group][region].versions[key]
        self.unsaved.versions |= dict.fromkeys(old)
        return len(old)

    def _next_version(self, copy: _Copy, key: Key, region: str, now: float) -> Version:
        # A write is judged against what its writer saw, so it is newer than that even on a coarse clock.
        seen = copy.versions.get(key)
        return Version(max(int(now * 1e6), (copy.floor if seen is None else seen.time_us) + 1), region)

    def _store(self, group: str, region: str, key: Key, version: Version, item: dict[str, Any] | None) -> None:
        copy = self._copies[group][region]
        copy.versions[key] = version
        if item is None:
            copy.tombstones.pop(key, None)  # so that it becomes the newest
            copy.tombstones[key] = None
        else:
            copy.tombstones.pop(key, None)
        self.unsaved.versions[group, region, key] = version, item is None

    # Persistence

    def copies(self) -> list[tuple[str, str]]:
        """Every copy: group and Region."""
        return [(group, region) for group, copies in self._copies.items() for region in copies]

    def keys_of(self, group: str, region: str) -> list[Key]:
        """Every item that a copy has a version of; none where there is no such copy."""
        copy = self._copy(group, region)
        return list(copy.versions) if copy else []

    def entry(self, group: str, region: str, key: Key) -> tuple[Version, bool] | None:
        """An item's version in a copy, and whether it is a tombstone."""
        copy = self._copy(group, region)
        if copy is None or key not in copy.versions:
            return None
        return copy.versions[key], key in copy.tombstones

    def restore(self, copies: Iterable[tuple[str, str]], entries: Iterable[tuple[str, str, Key, Version, bool]],
                deliveries: Iterable[Delivery]) -> None:
        """Load the saved state. Call this before any other method."""
        for group, region in copies:
            self._copies.setdefault(group, {})[region] = _Copy()
        deleted = list[tuple[int, _Copy, Key]]()
        for group, region, key, version, is_tombstone in entries:
            copy = self._copies[group][region]
            copy.versions[key] = version
            if is_tombstone:
                deleted.append((version.time_us, copy, key))
        for _, copy, key in sorted(deleted, key=itemgetter(0)):
            copy.tombstones[key] = None
        self.links.restore(each for each in deliveries if self._is_expected(each))

    def _is_expected(self, delivery: Delivery) -> bool:
        """Whether there is a copy for a delivery that was kept. It may have been dropped, and not been forgotten yet
        when the process ended."""
        expected = delivery.target in self._copies.get(delivery.group, ())
        if not expected:
            self.unsaved.done.add(delivery.n)
        return expected
