"""What follows a change of an item: its stream record, its version, its deliveries to the other replicas, the journal.

The client already has its answer, so no step may be lost. A step that fails is retried once. If it fails again, it is
kept and reported by ``gtlab status``, and the next writes are processed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gtlab.localcloud.engine import Database, TokenId
from gtlab.localcloud.engine.charges import write_units
from gtlab.localcloud.engine.values import item_size
from gtlab.localcloud.globaltables.membership import LEGACY, Group, Groups
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.globaltables.v2017_items import Mark, Marks, marked, replicated
from gtlab.localcloud.model import Change, Key, Refusal, TableId
from gtlab.localcloud.observe.internal_errors import RETRY_S, InternalErrors
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.observe.metrics import Metrics
from gtlab.localcloud.replication import Delivery, Replication, Version
from gtlab.localcloud.tables.capacity import Capacity
from gtlab.localcloud.tables.streams import Streams
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.unsettled import MOST_FAILED, REPLICATION, STREAM, FailedWrites, Unsettled
from gtlab.localcloud.world import World

_TTL_IDENTITY = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


@dataclass
class Unsaved:
    """What has changed since the last :meth:`clear`, in addition to what replication and streams track themselves."""

    items: set[tuple[TableId, Key]] = field(default_factory=set)
    tokens: set[TokenId] = field(default_factory=set)
    settings: bool = False                                          # anything else may have changed

    def clear(self) -> None:
        self.items.clear()
        self.tokens.clear()
        self.settings = False


@dataclass(frozen=True)
class Rooms:
    """The parts of the cloud that a change passes through."""

    database: Database
    world: World
    tables: Tables
    streams: Streams
    groups: Groups
    replicas: Replicas
    replication: Replication
    capacity: Capacity
    metrics: Metrics
    journal: Journal
    errors: InternalErrors


class AfterWrites:
    """``unsettled``: writes whose consequences are still to be carried out; ``failed``: those of which a step failed
    twice. Both are kept on disk. ``failed`` is tried again when the cloud starts; while it is full, no write begins.
    ``delivered_bytes``: of the items that deliveries have replaced so far, and of those that they brought."""

    def __init__(self, rooms: Rooms):
        self._rooms = rooms
        self.unsaved = Unsaved()
        self.unsettled: deque[Unsettled] = deque()
        self.failed = FailedWrites()
        self.marks = Marks()
        self.delivered_bytes = 0

    # Writes

    def check_room(self) -> None:
        """Refuse a write that begins while too many earlier writes have failed: it might have to be kept, too."""
        if self.failed.is_full:
            raise Refusal("InternalServerError", f"gtlab's local cloud accepts no more writes: a defect keeps "
                          f"{MOST_FAILED} acknowledged writes from being replicated. They are not lost. To retry them: "
                          "gtlab down, then gtlab up. gtlab status shows the defect.", 500)

    def add(self, changes: Iterable[Change], now: float) -> None:
        """A client's write took effect; :meth:`settle` carries out what follows from it."""
        for change in changes:
            self.unsaved.items.add((change.table, change.key))
            self.unsettled.append(Unsettled(change, now))

    def add_missing(self, changes: Iterable[Change], now: float) -> None:
        """After an error in :meth:`add`: queue the changes that it has not queued."""
        queued = {id(write.change) for write in self.unsettled}
        self.add((change for change in changes if id(change) not in queued), now)

    def settle(self) -> None:
        """Carry out the consequences of the queued writes. A write leaves the queue when its steps are done, or when a
        step has failed twice and it is kept. If it cannot be kept, it stays, and the next call tries again."""
        while self.unsettled:
            write, attempt = self.unsettled[0], self._rooms.errors.attempt
            if not (attempt(_about_write, self._settle, write) or attempt(_about_write, self.failed.add, write)):
                return
            self.unsettled.popleft()

    def retry_failed(self) -> None:
        """After a restart: queue the writes whose steps failed, before the writes that were not settled."""
        for write in reversed(self.failed.take()):
            write.late = True
            self.unsettled.appendleft(write)

    def _settle(self, write: Unsettled) -> None:
        """Carry out the steps that an earlier attempt has not done."""
        change, now = write.change, write.at
        if write.late and not self._rooms.database.exists(change.table):
            return
        key = self._rooms.database.key_attributes(change.table, change.key)
        if STREAM not in write.done:
            if not write.late or change.old != change.new:  # after a restart, ``new`` is what is there now
                self._record(change, now, key, _TTL_IDENTITY if write.by_ttl else None)
            write.done += (STREAM,)
        version = None
        group = self._rooms.groups.of(change.table)
        if group and group.version == LEGACY and write.by_ttl:  # each Region deletes by itself
            if self._rooms.database.item(change.table, change.key) is None:  # not written again since
                self._rooms.replication.lost(group.id, change.table.region, change.key)
        elif group and REPLICATION in write.done:
            version = self._rooms.replication.version(group.id, change.table.region, change.key)
        elif group:
            sent = change
            if write.late:  # what it wrote may have been replaced, and must not replace that elsewhere
                sent = change._replace(new=self._rooms.database.item(change.table, change.key))
            version = self._replicate(group, sent, now)
            write.done += (REPLICATION,)
        self._rooms.journal.write(change.table, key, deleted=change.new is None,
                                  by="ttl" if write.by_ttl else "customer", version=version, at=now)

    def _replicate(self, group: Group, change: Change, now: float) -> Version:
        """The write gets its version, and becomes a delivery to each other member (in :meth:`Replication.commit`)."""
        region = change.table.region
        version = self._rooms.replication.commit(group.id, region, change.key, change.new, now)
        if group.version == LEGACY and change.new is not None:
            self.marks.add(Mark(group.id, region, change.key, version, now + self._rooms.world.legacy_mark_s(region)))
        return version

    # Deliveries

    def deliver(self, delivery: Delivery, now: float, looked: float) -> None:
        """Apply a delivery that has arrived. If that fails twice, the delivery is put back and arrives again after
        RETRY_S."""
        if not self._rooms.errors.attempt(_about_delivery, self.apply_delivery, delivery, now, looked):
            self._rooms.replication.links.put_back(delivery, now + RETRY_S)

    def apply_delivery(self, delivery: Delivery, now: float, looked: float) -> None:
        """Apply a delivery if it is newer than what its target has. Its version is recorded last, so that an attempt
        that failed half-way can be repeated."""
        rooms = self._rooms
        group = rooms.groups.by_id(delivery.group)
        assert group is not None  # when a group ends, its deliveries are dropped
        table = group.table(delivery.target)
        key = self._rooms.database.key_attributes(table, delivery.key)
        if rooms.capacity.metered([table]):
            self._charge_delivery(group, table, delivery, now)
        if not rooms.replication.is_newer(delivery):
            winner = rooms.replication.version(delivery.group, delivery.target, delivery.key)
            assert winner is not None  # a delivery that is not newer has lost to a stored version
            rooms.journal.discarded(table, key, delivery, winner, now)
            return
        old = self._rooms.database.item(table, delivery.key)
        self.delivered_bytes += sum(item_size(item) for item in (old, delivery.item) if item is not None)
        for new in replicated(old, delivery) if group.version == LEGACY else [delivery.item]:
            self._apply(Change(table, delivery.key, old, new), now, key)
            old = new
        rooms.replication.applied(delivery)
        rooms.journal.delivery(table, key, delivery, now, looked)
        self._publish(group, delivery, now)

    def _publish(self, group: Group, delivery: Delivery, now: float) -> None:
        """Record the ReplicationLatency metric. Like the service, record none for strong groups and for a backfill."""
        written = delivery.version.time_us / 1e6
        if written >= group.joined.get(delivery.target, 0.0) and not self._rooms.replicas.is_strong(group.id):
            self._rooms.metrics.replicated(group.table(delivery.source), delivery.target, (now - written) * 1e3, now)

    def _charge_delivery(self, group: Group, table: TableId, delivery: Delivery, now: float) -> None:
        """Charge a delivery like a write, even if the stored item is newer. In the legacy version, a delivery that
        creates or deletes an item consumes twice as much."""
        old = self._rooms.database.item(table, delivery.key)
        twice = group.version == LEGACY and (old is None or delivery.item is None)
        self._rooms.capacity.charge(table, "write", write_units(old, delivery.item) * (2 if twice else 1), now)

    # Writes that the service makes without a request

    def mark_due(self, now: float) -> None:
        """Carry out the legacy version's second updates that are due. One that fails twice is due again after RETRY_S.
        """
        while mark := self.marks.take(now):
            if not self._rooms.errors.attempt(_about_mark, self._mark, mark, now):
                self.marks.add(replace(mark, due=now + RETRY_S))

    def _mark(self, mark: Mark, now: float) -> None:
        """The legacy version's second update. It is not a customer's write, so it does not replicate; if another
        write of the item came first, that write has its own mark."""
        rooms = self._rooms
        if rooms.replication.version(mark.group, mark.region, mark.key) == mark.version:
            group = rooms.groups.by_id(mark.group)
            assert group is not None  # the item has a version, so its group exists
            table = group.table(mark.region)
            old = self._rooms.database.item(table, mark.key)
            if old is not None:
                change = Change(table, mark.key, old, marked(old, mark.version))
                self._apply(change, now, self._rooms.database.key_attributes(table, mark.key))
                if rooms.capacity.metered([table]):
                    rooms.capacity.charge(table, "write", write_units(old, change.new), now)

    def mark_all(self, now: float) -> None:
        """After a restart: queue the second updates that the legacy version had not made yet."""
        for group in self._rooms.groups:
            for table in map(group.table, group.members if group.version == LEGACY else ()):
                for key, item in self._rooms.database.items(table):
                    version = self._rooms.replication.version(group.id, table.region, key)
                    if version and version.region == table.region and marked(item, version) != item:
                        self.marks.add(Mark(group.id, table.region, key, version, now))

    def expire(self, table: TableId, key: Key, now: float) -> None:
        """Delete an item whose TTL has passed, in the Region where it was last written; replication deletes the
        others. In the legacy version each Region deletes by its own settings, and the delete does not replicate."""
        rooms = self._rooms
        group = rooms.groups.of(table)
        change = Change(table, key, self._rooms.database.item(table, key), None)
        version = rooms.replication.version(group.id, table.region, key) if group else None
        if (not group or group.version == LEGACY or version is None or version.region == table.region
                or version.region not in group.members):
            if self.failed.is_full:
                return  # as for a client's write; the next sweep finds the item again
            try:
                self._store(change)
            finally:  # it may have taken effect although it failed
                if change.old is not None and self._rooms.database.item(table, key) is None:
                    self.unsettled.append(Unsettled(change, now, by_ttl=True))
            self.settle()

    def _apply(self, change: Change, now: float, key: dict) -> None:
        """Apply a write that the service makes itself; ``key`` holds the key attributes. A write that changes nothing
        is skipped. The stream record is written first: if the item were stored first, a second attempt would find no
        change and skip the record. If the item cannot be stored, the record is taken back."""
        if change.old != change.new:
            stream, before = self._rooms.tables.stream(change.table), self._rooms.streams.sequence
            try:
                if stream:
                    self._rooms.streams.record(stream, key, change.old, change.new, now)
                self._store(change)
            except Exception:
                if (stream and self._rooms.streams.sequence > before
                        and self._rooms.database.item(change.table, change.key) == change.old):
                    self._rooms.streams.take_back(stream)
                raise

    def _store(self, change: Change) -> None:
        self.unsaved.items.add((change.table, change.key))
        self._rooms.database.apply(change.table, change.key, change.new)

    def _record(self, change: Change, now: float, key: dict, identity: dict | None = None) -> None:
        """Add a record to the table's stream, if it has one."""
        stream = self._rooms.tables.stream(change.table)
        if stream:
            self._rooms.streams.record(stream, key, change.old, change.new, now, identity)


def _about_write(write: Unsettled) -> str:
    table, key = write.change.table, write.change.key
    return f"What follows a write of {table.name} {'/'.join(key)} in {table.region}"


def _about_delivery(delivery: Delivery, now: float, looked: float) -> str:
    return f"A delivery of {'/'.join(delivery.key)} from {delivery.source} to {delivery.target}"


def _about_mark(mark: Mark, now: float) -> str:
    return f"The second update of {'/'.join(mark.key)} in {mark.region}"
