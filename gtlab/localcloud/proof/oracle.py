"""Checks a simulated cloud by independent rules: what must be true whatever was done to it.

The judge is told what happened in each Region (a write, a delivery, a Region that joins or leaves) and keeps its own
records. It uses nothing of :mod:`replication`. It raises Violation for everything that must never happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

Stamp = tuple[int, str]  # when and where an item was written last: microseconds, Region. The greater wins.
Items = dict[Hashable, dict]


class Violation(Exception):
    """Something that must never happen. The text says what."""


@dataclass
class _Group:
    """One global table from its first member to its last."""

    has: dict[str, dict[Hashable, Stamp]] = field(default_factory=dict)      # by member: what took effect there last
    sent: dict[str, dict[Hashable, Stamp]] = field(default_factory=dict)     # the newest that each is to have
    newest: dict[Hashable, Stamp] = field(default_factory=dict)
    written: dict[tuple[Hashable, Stamp], dict | None] = field(default_factory=dict)  # None: a delete

    def write(self, key: Hashable, stamp: Stamp, item: dict | None) -> None:
        self.written[key, stamp] = item
        self.newest[key] = max(stamp, self.newest.get(key, stamp))
        for sent in self.sent.values():
            sent[key] = max(stamp, sent.get(key, stamp))


class Judge:
    """The records of every table. ``name`` names a global table or a regional one; ``at`` is what the cloud's
    clock showed, in epoch seconds. ``made`` counts the checks by kind."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, _Group] = {}
        self._contents: dict[tuple[Hashable, str], Items] = {}
        self.made: Counter[str] = Counter()

    def members(self, name: Hashable) -> list[str]:
        group = self._groups.get(name)
        return list(group.has) if group else []

    def begun(self, name: Hashable, region: str) -> None:
        """A Region's table is new and empty."""
        self._contents[name, region] = {}

    def joined(self, name: Hashable, region: str, at: float, *, backfilled: bool) -> None:
        """A Region's table became a member. What it has counts as written now. ``backfilled``: it is to get what
        others wrote before, as well."""
        group = self._groups.setdefault(name, _Group())
        group.has[region] = {}
        group.sent[region] = dict(group.newest) if backfilled else {}
        for key, item in self._contents.get((name, region), {}).items():
            stamp = (int(at * 1e6), region)
            group.has[region][key] = stamp
            group.write(key, stamp, item)

    def left(self, name: Hashable, region: str) -> None:
        group = self._groups[name]
        del group.has[region], group.sent[region]
        if not group.has:
            del self._groups[name]

    def wrote(self, name: Hashable, region: str, key: Hashable, item: dict | None, stamp: Stamp | None,
              at: float) -> None:
        """A customer's write or TTL's delete changed an item (None: deleted it); ``stamp`` is what the cloud says."""
        self._put(name, region, key, item)
        group = self._groups.get(name)
        if group is None or region not in group.has:
            self._must(stamp is None, "replication", f"{region} is no member of {name}, but its write takes part")
            return
        seen = group.has[region].get(key)
        # It is as old as the moment it took effect, and newer than what its writer saw, whatever the clock shows.
        wanted = (int(at * 1e6) if seen is None else max(int(at * 1e6), seen[0] + 1), region)
        self._must(stamp == wanted, "version", f"the write of {key} in {region} at {at:.6f} after {seen} should have "
                                               f"version {wanted}, not {stamp}")
        group.has[region][key] = wanted
        group.write(key, wanted, item)

    def arrived(self, name: Hashable, region: str, key: Hashable, item: dict | None, stamp: Stamp) -> None:
        """A delivery took effect in a Region."""
        group = self._groups.get(name)
        self._must(group is not None and region in group.has, "delivery to a member",
                   f"something was delivered to {region}, which is no member of {name}")
        assert group is not None  # otherwise _must has raised
        self._must(group.written.get((key, stamp), ...) == item, "what was delivered was written",
                   f"{key} was delivered to {region} as {item}, which nobody wrote at {stamp}")
        had = group.has[region].get(key)
        if had is not None and had >= stamp and group.written[key, had] is None and item is not None:
            raise Violation(f"a deleted item came back: {key} in {region} was deleted at {had}, and the delivery of an "
                            f"older write of {stamp} took effect")
        self._must(had is None or had < stamp, "order",
                   f"{key} in {region} went back from the write of {had} to that of {stamp}")
        group.has[region][key] = stamp
        self._put(name, region, key, item)

    def discarded(self, name: Hashable, region: str, key: Hashable, stamp: Stamp) -> None:
        """A delivery was dropped because what is there is as new."""
        group = self._groups.get(name)
        had = group.has.get(region, {}).get(key) if group else None
        self._must(had is not None and had >= stamp, "discarded",
                   f"the write of {key} at {stamp} was discarded in {region}, which has only {had}")

    def shows(self, name: Hashable, region: str, items: Items) -> None:
        """A Region's table shows these items: those that it got, and no others."""
        kept = self._contents.setdefault((name, region), {})
        self._must(items == kept, "contents", f"{name} in {region} shows what it should not, or lacks something: "
                                              f"{_difference(items, kept)}")

    def converged(self, name: Hashable, shown: dict[str, Items]) -> None:
        """Nothing is on its way any more: every member shows the newest version of every item."""
        group = self._groups[name]
        self._must(set(shown) == set(group.has), "members", f"{name} should have the members {sorted(group.has)}, not "
                                                            f"{sorted(shown)}")
        for region, items in shown.items():
            newest = {key: group.written[key, stamp] for key, stamp in group.sent[region].items()}
            wanted = {key: item for key, item in newest.items() if item is not None}
            back = [key for key in items if key in newest and newest[key] is None]
            self._must(not back, "deleted items stay away", f"deleted items came back in {region}: {back}")
            self._must(items == wanted, "convergence", f"{name} in {region} does not have the newest versions: "
                                                       f"{_difference(items, wanted)}")

    def _put(self, name: Hashable, region: str, key: Hashable, item: dict | None) -> None:
        contents = self._contents.setdefault((name, region), {})
        if item is None:
            contents.pop(key, None)
        else:
            contents[key] = item

    def _must(self, so: bool, kind: str, otherwise: str) -> None:
        self.made[kind] += 1
        if not so:
            raise Violation(otherwise)


def _difference(items: Items, wanted: Items) -> str:
    return "; ".join(f"{key} is {items.get(key)}, not {wanted.get(key)}" for key in sorted({*items, *wanted}, key=str)
                     if items.get(key) != wanted.get(key))
