"""The journal of events: writes, deliveries, discarded deliveries with the winning version, reads, breaks and repairs.

It shows conflicts and stale reads, which AWS does not report. Memory is bounded: the newest MOST_READS reads are kept,
and the newest MOST_EVENTS other events; of each, no more than have MOST_KEY_BYTES of keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Any, NamedTuple

from gtlab.localcloud.model import TableId
from gtlab.localcloud.replication import Delivery, Version

MOST_EVENTS = 20_000
MOST_KEY_BYTES = 8 << 20  # enough for MOST_EVENTS keys of 400 bytes; a key can have 3 KB, and names of 510 bytes
MOST_READS = 5_000  # apart from the others: a client that reads in a loop must not push the writes out


class Event(NamedTuple):
    """One event. ``n`` increases by one from event to event. ``at``: when it took effect in its Region, in epoch
    seconds. The fields of ``detail`` are described at the method of :class:`Journal` that creates the kind."""

    n: int
    at: float
    kind: str
    region: str | None
    account: str | None
    table: str | None
    key: dict[str, Any] | None      # key attributes, as the API writes them
    detail: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "detail"} | self.detail


class ReadDetail(NamedTuple):
    """What a read saw of an item, or of the items on a page. ``version``: the version of the item that was read, None
    if there was none; ``missed``: a newer version, which another Region has (of a page, the newest of those)."""

    operation: str
    consistent: bool
    version: Version | None = None
    missed: Version | None = None
    items: int | None = None        # of a page: how many items it has
    stale_items: int | None = None  # of a page: how many of them, and of those that are not there yet, are stale


class Journal:
    """``all_reads``: somebody listens who asked for reads that are not stale."""

    def __init__(self) -> None:
        self._events, self._reads = _Kept(MOST_EVENTS), _Kept(MOST_READS)
        self._last = 0
        self._listeners: dict[Callable[[], None], bool] = {}
        self.all_reads = False

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last

    def since(self, n: int, most: int | None = None) -> list[Event]:
        """The events after number ``n``, oldest first; of those that are still kept, the ``most`` oldest."""
        found = self._events.after(n)
        if reads := self._reads.after(n):
            found = sorted(found + reads, key=lambda event: event.n)
        return found if most is None else found[:most]

    def listen(self, listener: Callable[[], None], *, reads: bool = False) -> Callable[[], None]:
        """Call a function after every event. Returns a function that stops this. ``reads``: until then, reads that are
        not stale are journaled, too."""
        self._listeners[listener] = reads
        self.all_reads = any(self._listeners.values())

        def stop() -> None:
            self._listeners.pop(listener, None)
            self.all_reads = any(self._listeners.values())

        return stop

    def write(self, table: TableId, key: dict[str, Any], *, deleted: bool, by: str, version: Version | None,
              at: float) -> None:
        """``write`` or ``delete``: a local change took effect. ``by``: ``customer``, or ``ttl``. ``written_at``: its
        time as replication compares it, epoch seconds; None outside global tables."""
        self._note(at, "delete" if deleted else "write", table, key,
                   {"by": by, "written_at": version.time_us / 1e6 if version else None})

    def delivery(self, table: TableId, key: dict[str, Any], delivery: Delivery, at: float, looked: float) -> None:
        """``delivery``: a change from another Region (``source``) took effect here, ``lag_ms`` after it was written
        there at ``written_at``. ``deleted`` marks a delete. ``late_ms``: how much later than ``at`` the local cloud
        carried it out. Nobody can have seen the old state meanwhile: every call first carries out what is due."""
        self._note(at, "delivery", table, key, _delivered(delivery, at) | {"late_ms": (looked - at) * 1e3})

    def discarded(self, table: TableId, key: dict[str, Any], delivery: Delivery, winner: Version, at: float) -> None:
        """``discarded``: a change from another Region lost against a version here that is newer by ``by_ms`` and was
        written in ``lost_to`` at ``winner_written_at``. ``conflict``: neither writer had seen the other's write;
        otherwise a newer write only overtook an older one. ``duplicate`` instead if both are the same write."""
        if winner == delivery.version:
            self._note(at, "duplicate", table, key, _delivered(delivery, at))
            return
        self._note(at, "discarded", table, key, _delivered(delivery, at) | {
            "lost_to": winner.region, "winner_written_at": winner.time_us / 1e6,
            "by_ms": (winner.time_us - delivery.version.time_us) / 1e3,
            # The winner was written in the target's own Region, before this delivery arrived there.
            "conflict": winner.region == delivery.target})

    def read(self, table: TableId, key: dict[str, Any] | None, read: ReadDetail, at: float) -> None:
        """``read``: an item was read, or a page of a Query or Scan (then without a ``key``, and with the numbers of
        ``items`` and ``stale_items``). ``stale``: another Region has a newer version, written in ``newer_in`` at
        ``newer_written_at``, ``behind_ms`` before the read. ``written_at``: when the version that was read was written,
        in ``source``; None for an item that is not here."""
        seen, missed = read.version, read.missed
        detail: dict[str, Any] = {
            "operation": read.operation, "consistent": read.consistent, "stale": missed is not None,
            "source": seen.region if seen else None, "written_at": seen.time_us / 1e6 if seen else None,
            "newer_in": missed.region if missed else None, "newer_written_at": missed.time_us / 1e6 if missed else None,
            "behind_ms": (at - missed.time_us / 1e6) * 1e3 if missed else None}
        if read.items is not None:
            detail |= {"items": read.items, "stale_items": read.stale_items}
        self._note(at, "read", table, key, detail)

    def member(self, table: TableId, *, joined: bool, at: float) -> None:
        """``join`` or ``leave``: a Region's table became a replica of a global table, or stopped being one."""
        self._note(at, "join" if joined else "leave", table, None, {})

    def world(self, kind: str, knob: str, place: tuple[str, ...], value: object, at: float) -> None:
        """``broken`` or ``mended``: a knob was set to a value at a place, or cleared. A pause of replication by the
        fault injection service is here too, as knob ``pause``: account, Region and table."""
        account, region, table = place if len(place) == 3 else (None, next(iter(place), None), None)
        self._add(Event(self._last + 1, at, kind, region, account, table, None,
                        {"knob": knob, "place": list(place), "value": value}))

    def take_back(self, last: int) -> None:
        """Remove the events after number ``last``: what they say was undone before anybody could see them."""
        self._events.take_back(last)
        self._last = last

    def reset(self, at: float) -> None:
        """``reset``: the cloud started over, empty and with nothing broken."""
        self._add(Event(self._last + 1, at, "reset", None, None, None, None, {}))

    def _note(self, at: float, kind: str, table: TableId, key: dict[str, Any] | None, detail: dict[str, Any]) -> None:
        self._add(Event(self._last + 1, at, kind, table.region, table.account, table.name, key, detail))

    def _add(self, event: Event) -> None:
        self._last = event.n
        (self._reads if event.kind == "read" else self._events).add(event)
        for listener in self._listeners:
            listener()


class _Kept:
    """The newest events: at most ``most``, and at most MOST_KEY_BYTES of keys."""

    def __init__(self, most: int):
        self._events, self._most = deque[Event](), most
        self._sizes, self._bytes = deque[int](), 0  # of the events' keys
        self._key: dict[str, Any] | None = None  # of the newest event: a write and its deliveries have the same object
        self._key_size = 0

    def add(self, event: Event) -> None:
        if event.key is not self._key:
            self._key, self._key_size = event.key, _key_bytes(event.key) if event.key else 0
        self._events.append(event)
        self._sizes.append(self._key_size)
        self._bytes += self._key_size
        while len(self._events) > self._most or self._bytes > MOST_KEY_BYTES:
            self._events.popleft()
            self._bytes -= self._sizes.popleft()

    def take_back(self, last: int) -> None:
        while self._events and self._events[-1].n > last:
            self._events.pop()
            self._bytes -= self._sizes.pop()

    def after(self, n: int) -> list[Event]:
        """The events with numbers above ``n``, oldest first."""
        return list(takewhile(lambda event: event.n > n, reversed(self._events)))[::-1]


def _key_bytes(key: dict[str, Any]) -> int:
    """The length of a key's names and values."""
    size = 0
    for name, value in key.items():  # runs for every event: sum() of a generator takes three times as long
        for content in value.values():
            size += len(name) + len(content)
    return size


def _delivered(delivery: Delivery, at: float) -> dict[str, Any]:
    written = delivery.version.time_us / 1e6
    return {"source": delivery.source, "written_at": written, "lag_ms": (at - written) * 1e3,
            "deleted": delivery.item is None}
