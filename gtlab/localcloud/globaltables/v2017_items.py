"""The ``aws:rep:`` attributes that version 2017.11.29 added to its customers' items.

Shortly after a customer's put or update, the service wrote the item a second time with three attributes: the time of
the update, its Region, and whether the item is being deleted. Here the attributes are computed from the item's version,
which is stored beside the item as in the current version. So they are the same in every Region, and conflict
resolution does not use them. Values that a customer writes into them are overwritten.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from gtlab.localcloud.model import Key
from gtlab.localcloud.replication import Delivery, Version

DELETING, UPDATE_TIME, UPDATE_REGION = "aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion"


def marked(item: dict, version: Version, *, deleting: bool = False) -> dict:
    """A copy of the item with the attributes that state when and where it was last written."""
    seconds, micros = divmod(version.time_us, 1_000_000)
    # Epoch seconds, milliseconds, and "001": every published sample from the service ends in 001.
    return item | {DELETING: {"BOOL": deleting}, UPDATE_TIME: {"N": f"{seconds}.{micros // 1000:03d}001"},
                   UPDATE_REGION: {"S": version.region}}


def replicated(old: dict | None, delivery: Delivery) -> list[dict | None]:
    """The writes by which a delivery is applied, in order: one for a put; two for the delete of an existing item."""
    if delivery.item is not None:
        return [marked(delivery.item, delivery.version)]
    return [marked(old, delivery.version, deleting=True), None] if old is not None else []


@dataclass(frozen=True)
class Mark:
    """A pending second update, in the Region of the customer's write. ``due`` is in epoch seconds."""

    group: str
    region: str
    key: Key
    version: Version
    due: float


class Marks:
    """The pending second updates, ordered by time."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Mark]] = []
        self._order = itertools.count()

    def add(self, mark: Mark) -> None:
        heapq.heappush(self._queue, (mark.due, next(self._order), mark))

    def next_due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def take(self, now: float) -> Mark | None:
        """Remove and return the first mark if it is due; None if none is due."""
        return heapq.heappop(self._queue)[2] if self._queue and self._queue[0][0] <= now else None
