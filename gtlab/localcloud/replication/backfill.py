"""What a copy that has just joined is sent: the existing items, in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from gtlab.localcloud.model import Batch, Key
from gtlab.localcloud.replication.deliveries import NEVER, Delivery, Version, Write

if TYPE_CHECKING:
    from gtlab.localcloud.replication.replication import Replication

ItemOf = Callable[[str, Key], dict[str, Any] | None]  # a Region's item with a key, or None


class Backfill:
    """Sends the items that there are now, with their versions, to the copy of the Region ``target``: those of the
    source, and from every other copy the items that are newer there, because deliveries of these to the source do not
    reach the new copy. Deliveries still on their way from Regions that have left are sent, too, if no copy has their
    changes.

    Each item is looked at when its turn comes, as it is then; ``item_of`` answers it. What is written after this was
    made is sent to the new copy by itself, as :meth:`is_sent` is told, and not a second time. Neither is what the
    target has, or gets, from a backfill that was cut short.
    """

    def __init__(self, replication: Replication, group: str, source: str, target: str, item_of: ItemOf):
        self._replication, self._group, self._source, self._target = replication, group, source, target
        self._item_of = item_of
        self._arriving = set[tuple[Key, Version]]()  # on their way to the target, and not from here
        self.begin()

    def begin(self) -> None:
        """Begin, or begin again: a copy has left, with what others were to get from it. What the target has, or gets,
        is not sent again."""
        self._left = self._writes(self._replication.links.listed())
        self._batch = Batch[list[Write | None]]()

    def is_sent(self, key: Key, version: Version) -> None:
        """A change is sent to the new copy by itself."""
        self._arriving.add((key, version))

    def step(self, most: int, now: float) -> bool:
        """Look at so many deliveries or items, and send what is to be sent; whether there may be more."""
        try:
            looked = self._batch.take(lambda: list(islice(self._left, most)))
        except Exception:  # a generator that has raised an exception is over
            self.begin()
            raise
        for write in looked:
            if write is not None:
                self._replication.links.send(write, self._target, now)
        self._batch.done()
        if len(looked) < most:
            self._replication.backfilled(self._group, self._target, self)
        return len(looked) == most

    def _writes(self, on_their_way: Iterator[Delivery]) -> Iterator[Write | None]:
        """What is to be sent, and None for each look that finds nothing: a search for the next one may pass a million.

        The source comes last, or another copy if it has left: what a copy has is left out if the last one has it, or
        something newer, at that moment, and the last one still has as new a version when its turn comes."""
        yield from self._orphans(on_their_way)
        copies = sorted(self._copies(), key=lambda region: region == self._source)
        for region in copies:
            for key in self._replication.keys_of(self._group, region):
                version = self._version(region, key)
                is_newer = region == copies[-1] or version > self._version(copies[-1], key)
                yield (Write(self._group, region, key, self._item_of(region, key), version)
                       if is_newer and self._is_missing(key, version) else None)

    def _orphans(self, on_their_way: Iterator[Delivery]) -> Iterator[Write | None]:
        """The newest delivery of each item, if it is newer than what any copy has: a copy that has it is looked at
        later."""
        newest: dict[Key, Delivery] = {}
        for each in on_their_way:
            if each.group == self._group and each.target == self._target:
                self.is_sent(each.key, each.version)
            elif each.group == self._group:
                newest[each.key] = max(each, newest.get(each.key, each), key=lambda one: one.version)
            yield None
        for key, each in newest.items():
            if (all(each.version > self._version(region, key) for region in self._copies())
                    and self._is_missing(key, each.version)):
                self.is_sent(key, each.version)  # it may arrive in a copy before that copy is looked at
                yield Write(self._group, each.source, key, each.item, each.version)
            else:
                yield None

    def _copies(self) -> list[str]:
        return [region for region in self._replication.regions(self._group) if region != self._target]

    def _version(self, region: str, key: Key) -> Version:
        return self._replication.version(self._group, region, key) or NEVER

    def _is_missing(self, key: Key, version: Version) -> bool:
        return version > self._version(self._target, key) and (key, version) not in self._arriving
