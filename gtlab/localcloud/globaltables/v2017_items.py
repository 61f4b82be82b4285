"""What version 2017.11.29 wrote into its customers' items: the ``aws:rep:`` attributes.

After a customer's put or update the service wrote the item once more, a moment later, with three attributes:
when it was updated, where, and that it is not being deleted. They are worked out from the item's version, which
is kept beside it as in the current version, so they are the same in every Region, and decide nothing. What a
customer writes into them is overwritten.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from gtlab.localcloud.model import Key
from gtlab.localcloud.replication import Delivery, Version

DELETING, UPDATE_TIME, UPDATE_REGION = "aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion"


def marked(item: dict, version: Version, *, deleting: bool = False) -> dict:
    """An item with the attributes that say when and where it was written last."""
    seconds, micros = divmod(version.time_us, 1_000_000)
    # Epoch seconds, milliseconds, and the 001 that every sample of the service's has.
    return item | {DELETING: {"BOOL": deleting}, UPDATE_TIME: {"N": f"{seconds}.{micros // 1000:03d}001"},
                   UPDATE_REGION: {"S": version.region}}


def replicated(old: dict | None, delivery: Delivery) -> list[dict | None]:
    """What a delivery makes of a Region's item, write by write: one for a put, two for the delete of an item."""
    if delivery.item is not None:
        return [marked(delivery.item, delivery.version)]
    return [marked(old, delivery.version, deleting=True), None] if old is not None else []


@dataclass(frozen=True)
class Mark:
    """A second update that is to come, in the Region of the customer's write; ``due`` in seconds."""

    group: str
    region: str
    key: Key
    version: Version
    due: float


class Marks:
    """The second updates that are still to come, in order."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Mark]] = []
        self._order = itertools.count()

    def add(self, mark: Mark) -> None:
        heapq.heappush(self._queue, (mark.due, next(self._order), mark))

    def next_due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def due(self, now: float) -> list[Mark]:
        """What is due by now; it is handed out once."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            found.append(heapq.heappop(self._queue)[2])
        return found
