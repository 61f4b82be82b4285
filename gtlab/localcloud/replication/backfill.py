"""What a copy that has just joined is sent: the existing items, in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from gtlab.localcloud.model import Key
from gtlab.localcloud.replication.deliveries import NEVER, Delivery, Version, Write

if TYPE_CHECKING:
    from gtlab.localcloud.replication.replication import Replication

ItemOf = Callable[[str, Key], dict[str, Any] | None]  # a Region's item with a key, or None


class Backfill:
    """Sends the items that there are now, with their versions, to the copy of the Region ``target``: those of the
    source, and from every other copy the items that are newer there, because deliveries of these to the source do not
    reach the new copy. Deliveries still on their way from Regions that have left are sent, too, if no copy has their
    changes.

    An item that is written before its turn comes is left out: that write is sent to the new copy itself. So is what
    the target has, or gets, from a backfill that was cut short.
    """

    def __init__(self, replication: Replication, group: str, source: str, target: str):
        self._replication, self._group, self._target = replication, group, target
        copies = {region: dict(replication.versions(group, region)) for region in replication.regions(group)
                  if region != target}
        on_their_way = [each for each in replication.links.on_their_way() if each.group == group]
        self._arriving = {(each.key, each.version) for each in on_their_way if each.target == target}
        self._left = _chosen(copies, source)
        self._orphans = _orphans([each for each in on_their_way if each.target != target], list(copies.values()))

    def step(self, most: int, item_of: ItemOf, now: float) -> bool:
        """Look at so many items, and send those that are to be sent; whether there may be more."""
        looked = 0
        for chosen in islice(self._left, most):
            looked += 1
            if chosen is None:
                continue
            region, key, version = chosen
            if self._replication.version(self._group, region, key) == version:
                self._send(Write(self._group, region, key, item_of(region, key), version), now)
        if looked == most:
            return True
        for each in self._orphans:
            self._send(Write(self._group, each.source, each.key, each.item, each.version), now)
        return False

    def _send(self, write: Write, now: float) -> None:
        has = self._replication.version(self._group, self._target, write.key) or NEVER
        if has < write.version and (write.key, write.version) not in self._arriving:
            self._replication.links.send(write, self._target, now)


def _chosen(copies: dict[str, dict[Key, Version]], source: str) -> Iterator[tuple[str, Key, Version] | None]:
    """Region, key and version of each item that is to be sent, and None for each that is not: a search for the next one
    may pass a million."""
    known = copies.get(source, {})
    for region, versions in copies.items():
        for key, version in versions.items():
            is_sent = region == source or key not in known or known[key] < version
            yield (region, key, version) if is_sent else None


def _orphans(on_their_way: list[Delivery], copies: list[dict[Key, Version]]) -> list[Delivery]:
    """The newest delivery of each item, if it is newer than what any copy has."""
    newest: dict[Key, Delivery] = {}
    for each in on_their_way:
        if all(each.version > versions.get(each.key, NEVER) for versions in copies):
            newest[each.key] = max(each, newest.get(each.key, each), key=lambda one: one.version)
    return list(newest.values())
