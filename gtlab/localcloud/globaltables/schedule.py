"""What is still to happen to global tables of version 2019.11.21, in order of time. Pure.

Each event has a name of its own in the disk format (:mod:`gtlab.localcloud.disk.format`). Which function carries an
event out is in ``handlers`` of :class:`v2019.Current`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

CREATE_REPLICA = "create-replica"              # a new replica's table appears
BACKFILL_REPLICA = "backfill-replica"          # a new replica is being sent the items that there are
DELETE_REPLICA = "delete-replica"              # a replica stops replicating and its table goes
REMOVE_ENTRY = "remove-entry"                  # a replica is no longer shown in Replicas
DISASSOCIATE_REPLICA = "disassociate-replica"  # a replica stops replicating and keeps its table
PROPAGATE_SETTINGS = "propagate-settings"      # the other replicas take over changed settings
PROPAGATE_TTL = "propagate-ttl"                # the other replicas take over the TTL setting
NAMES = frozenset({CREATE_REPLICA, BACKFILL_REPLICA, DELETE_REPLICA, REMOVE_ENTRY, DISASSOCIATE_REPLICA,
                   PROPAGATE_SETTINGS, PROPAGATE_TTL})


@dataclass(frozen=True)
class Event:
    """Something that is to happen to one replica of a group. ``due`` is in epoch seconds."""

    due: float
    name: str                           # one of NAMES
    group: str                          # the group's ID
    region: str                         # the replica's Region; of a propagation: the Region that was changed
    entry_removed: float | None = None  # DELETE_REPLICA: when the replica's entry in Replicas goes, epoch seconds
    settings: dict | None = None        # PROPAGATE_SETTINGS: UpdateTable's input, without what is not shared


class Schedule:
    """Events in order of time; those of the same time in the order in which they were added."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Event]] = []
        self._order = itertools.count()

    def add(self, event: Event) -> None:
        """Add an event. Raises ValueError if its name is unknown."""
        if event.name not in NAMES:
            raise ValueError(f"there is no event {event.name!r} of a global table")
        heapq.heappush(self._queue, (event.due, next(self._order), event))

    def next_due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def take(self, now: float) -> Event | None:
        """Remove and return the first event if it is due; None if no event is due."""
        return heapq.heappop(self._queue)[2] if self._queue and self._queue[0][0] <= now else None

    def has(self, name: str, group: str, region: str) -> bool:
        """Whether an event is still to happen to a replica."""
        return any((event.name, event.group, event.region) == (name, group, region) for _, _, event in self._queue)

    def saved(self) -> list[Event]:
        return [event for _, _, event in sorted(self._queue, key=lambda entry: entry[:2])]

    def restore(self, kept: Iterable[Event]) -> None:
        """Add the events that were kept. Raises ValueError for an event that this version does not know."""
        for event in kept:
            self.add(event)
