"""All Regions of the local cloud: takes calls and the time, returns answers.

No I/O. Everything runs on one thread, so each operation is atomic.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from gtlab.contract import HISTORIC
from gtlab.localcloud import engine
from gtlab.localcloud.accounts.access import Access
from gtlab.localcloud.accounts.needs import Known
from gtlab.localcloud.after_writes import AfterWrites, Rooms
from gtlab.localcloud.control_plane import ControlPlane
from gtlab.localcloud.engine.charges import Charge
from gtlab.localcloud.engine.values import item_size
from gtlab.localcloud.faults.fis import Fis
from gtlab.localcloud.globaltables.membership import LEGACY, Groups
from gtlab.localcloud.globaltables.replica_scaling import ReplicaScaling
from gtlab.localcloud.globaltables.shared_scaling import SharedScaling
from gtlab.localcloud.globaltables.strong import NO_HOLD, Hold, Strong
from gtlab.localcloud.globaltables.v2017 import Legacy
from gtlab.localcloud.globaltables.v2017_settings import LegacySettings
from gtlab.localcloud.globaltables.v2019 import Current
from gtlab.localcloud.model import Call, Refusal, TableId
from gtlab.localcloud.observe.internal_errors import RETRY_S, InternalErrors
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.observe.metrics import Metrics
from gtlab.localcloud.other_services import CHANGE_SETTINGS, OtherServices
from gtlab.localcloud.reads import Reads
from gtlab.localcloud.replication import Delivery, Replication
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.backups import Backups
from gtlab.localcloud.tables.capacity import (
    Capacity,
    consumed_in_vain,
    with_unprocessed,
)
from gtlab.localcloud.tables.streams import RETENTION_S, Streams
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.tables.time_to_live import Sweep
from gtlab.localcloud.undo import Undo
from gtlab.localcloud.world import World

HOUSEKEEPING_S = 1.0
_SET_ASIDE_IN_THE_TIME = 50  # deliveries that are set aside in the time of one that is carried out
_ON_ITEMS = engine.READS | engine.WRITES
_BYTES_IN_THE_TIME = 40_000  # of large items that are delivered in the time of a small one
_LOOKS = ("Describe", "List", "Get", "Query", "Scan", "BatchGet", "TransactGet")  # operations that change no setting
_JUDGED = ("ConditionalCheckFailedException", "TransactionCanceledException")  # refusals that consume capacity


class Cloud:
    """One local cloud. ``world`` supplies distances and durations; ``now`` is always in epoch seconds.

    ``legacy_api`` is the mode of the version 2017.11.29 API: one of FACES. ``most_at_once``: the most deliveries that
    one :meth:`tick` carries out, so that callers do not wait for a long backlog. With a bound, calls leave long work to
    whoever ticks the cloud between them.
    """

    def __init__(self, world: World, legacy_api: str = HISTORIC, journal: Journal | None = None,
                 most_at_once: float = math.inf):
        self.world, self.errors = world, InternalErrors()
        self.database = engine.Database()
        self.streams = Streams()
        self.tables = Tables(self.database, world, self.streams, self.errors)
        self.journal = journal or Journal()
        self.replication = Replication(world.replication_lag_s, self._passes, item_size, self._not_handed_out)
        self.groups = Groups(self.database, self.replication, self.journal, self.tables.slices)
        self.scaling = AutoScaling(self.database)
        self.current = Current(world, self.tables, self.groups, self.scaling, self.errors)
        self.fis = Fis(world, self.tables, self.groups, self.current.replicas, self.journal)
        self.capacity = Capacity(self.database, world)
        self.metrics = Metrics()
        self.strong = Strong(self.database, world, self.current.replicas, self.groups, self.replication,
                             self.fis.pauses)
        self.legacy = Legacy(world, self.tables, self.groups, face=legacy_api)
        self.legacy_settings = LegacySettings(world, self.tables, self.legacy, self.scaling)
        self._control_plane = ControlPlane(self.tables, self.groups, self.current, self.fis.pauses, self.legacy,
                                           self.legacy_settings).operations
        self.changes = AfterWrites(Rooms(
            self.database, world, self.tables, self.streams, self.groups, self.current.replicas, self.replication,
            self.capacity, self.metrics, self.journal, self.errors))
        self.reads = Reads(self.database, self.groups, self.replication, self.journal)
        self.unsaved = self.changes.unsaved
        self.backups = Backups(self.database, self.tables, lambda table, key: self.unsaved.items.add((table, key)))
        self._control_plane |= self.backups.operations
        self._control_plane |= ReplicaScaling(self.tables, self.current.replicas, self.scaling).operations
        self.access = Access(_known(self.database, self.groups, self.fis))
        shared_scaling = SharedScaling(self.tables, self.current.replicas, self.scaling).operations
        self._others = OtherServices(self.database, self.streams, shared_scaling, self.fis, self.metrics)
        self._events = (self.replication.links.next_due, self.current.schedule.next_due, self.changes.marks.next_due,
                        self.fis.runner.next_due, self.tables.indexes.next_due)
        self._next_housekeeping = 0.0
        # Each is tried by itself, so that one that always fails does not end the others.
        self._housekeeping = (self._forget_tables, self._trim_streams, self._forget_tokens, self._forget_tombstones,
                              self.tables.slices.retry, self._sweep)
        self._most_at_once, self._behind, self._has_backlog = most_at_once, 0.0, False

    def begin(self, call: Call) -> Hold:
        """Begin a call. The result holds how long it travels between Regions before it takes effect (only for
        multi-Region strong consistency).

        Raises Refusal if the call cannot begin. Otherwise the caller must release the result with :meth:`end`.
        """
        if call.operation not in _ON_ITEMS or not self.current.replicas.any_strong():
            return NO_HOLD
        self.settle()
        call = _by_name(call)
        return self.strong.begin(call, engine.named_tables(call))

    def end(self, hold: Hold) -> None:
        self.strong.end(hold)

    def call(self, call: Call, now: float) -> bytes:
        """Carry out a call and return its answer as JSON. If it raises Refusal, nothing has changed."""
        answer = self.answer(call, now)
        self.settle()
        return answer

    def settle(self) -> None:
        """Carry out the consequences of the writes of :meth:`answer`: see :mod:`after_writes`."""
        self.changes.settle()

    def answer(self, call: Call, now: float) -> bytes:
        """Like :meth:`call`, but leaves the consequences of a write to :meth:`settle`, so that the client need not wait
        for them. The difference cannot be observed, because every other operation settles first."""
        self.tick(now, briefly=self._most_at_once < math.inf)
        if self.access:
            self.access.check(call)
        if call.service in self._others:
            if call.service in CHANGE_SETTINGS:
                self._may_change_settings(call)
                return self._all_or_nothing(self._others.answer, call, now)
            return _json(self._others.answer(call, now))
        call = _by_name(call)
        if call.operation in _ON_ITEMS:
            return self._data_plane(call, now)
        self._may_change_settings(call)
        self.backups.check_found(call, now)
        if call.operation in self._control_plane:
            return self._all_or_nothing(self._control, call, now)
        return self._all_or_nothing(functools.partial(engine.control, self.database), call, now)

    def _control(self, call: Call, now: float) -> dict[str, Any]:
        return self._control_plane[call.operation](call, call.input, now)

    def _all_or_nothing(self, operation: Callable[[Call, float], dict[str, Any]], call: Call, now: float) -> bytes:
        """Carry out an operation of the control plane. If an error of ours interrupts it, it is undone, so that the
        client can send it again, as SDKs do."""
        if call.operation.startswith(_LOOKS):
            return _json(operation(call, now))
        with Undo(call, self.journal, self.current, self.backups,
                  self.fis if call.service == "fis" else self.fis.pauses):
            return _json(operation(call, now))

    def _data_plane(self, call: Call, now: float) -> bytes:
        tables, unprocessed = engine.named_tables(call), dict[str, Any]()
        self._check_ready(tables, now)
        strong = self.current.replicas.any_strong()
        if strong:
            self.strong.check(call, tables)
        metered = self.capacity.metered(tables)
        if metered:
            admitted, unprocessed = self.capacity.admit(call, metered, now)
            call = call._replace(input=admitted)
        for delivery in self.strong.behind(call, tables) if strong else ():
            self.changes.apply_delivery(delivery, now, now)
        if call.operation in engine.READS:
            body, charges = engine.read(self.database, call)
            if metered:
                self._consumed(charges, now)
            if self.reads.worth_a_look(tables):
                self.errors.attempt(_about_read, self.reads.note, call, body, now)
        else:
            if call.operation not in engine.PARTIQL or engine.partiql_writes(call.input):
                self.changes.check_room()
            body = self._write(call, bool(metered), now)
        return with_unprocessed(call, body, unprocessed) if unprocessed else body

    def _write(self, call: Call, metered: bool, now: float) -> bytes:
        try:
            body, changes, charges = engine.write(self.database, call, now)
        except Refusal as refusal:
            if metered and refusal.code in _JUDGED:
                self._consumed(consumed_in_vain(self.database, call), now)
            raise
        try:
            self.changes.add(changes, now)
        except Exception as error:  # the write has taken effect: it must not stay in this Region only
            self.errors.report("Noting what a write changed", error)
            self.changes.add_missing(changes, now)
        if "ClientRequestToken" in call.input:
            self.unsaved.tokens.add(engine.TokenId(call.account, call.region, call.input["ClientRequestToken"]))
        if metered:  # the write has taken effect: if an error here failed the call, the client would send it again
            self.errors.attempt(_about_charge, self._consumed, charges, now)
        return body

    def _consumed(self, charges: Iterable[Charge], now: float) -> None:
        for charge in charges:
            if charge.index_name is None:  # indexes have no buckets
                self.capacity.charge(charge.table, charge.kind, charge.units, now)

    def tick(self, now: float, *, briefly: bool = False) -> float:
        """Carry out everything that is due by ``now``, but at most ``most_at_once`` deliveries, and a slice of long
        work. Returns :meth:`next_due`, which is in the past if there is more to do. ``briefly``, because somebody
        waits: leave long work, and a backlog of deliveries that there was before, to later ticks."""
        try:
            if self.changes.unsettled:
                self.changes.settle()
            left = 0 if briefly and self._has_backlog else self._most_at_once
            while (due := self._next_event()) <= now:  # in the order of the due times, even if this call comes late
                if self.current.tick(due):
                    self.unsaved.settings = True
                    self.errors.attempt(_about_pauses, self.fis.pauses.forget_deleted, due)
                step = self.fis.runner.next_due()
                if step is not None and step <= due:
                    self._tick_experiments(due)
                self.unsaved.settings |= self.tables.indexes.tick(due)
                self.changes.mark_due(due)
                set_aside = self.replication.links.set_aside
                for delivery in self.replication.links.due(due) if left > 0 else ():
                    bytes_before = self.changes.delivered_bytes
                    try:
                        self.changes.deliver(delivery, max(due, self._behind), now)
                    except Exception:  # it was handed out, and must not be lost
                        self.replication.links.put_back(delivery, now + RETRY_S)
                        raise
                    left -= 1 + (self.changes.delivered_bytes - bytes_before) // _BYTES_IN_THE_TIME
                    if left <= 0:
                        break
                left -= (self.replication.links.set_aside - set_aside) / _SET_ASIDE_IN_THE_TIME
                if left <= 0:  # the rest takes effect later than it was due: a caller cannot see it yet
                    self._behind = now
                    break
            self._has_backlog = left <= 0
            slices, keeps_house = self.tables.slices, now >= self._next_housekeeping
            if not briefly and slices:
                slices.work(now)
            elif not (keeps_house or slices):  # as after most calls: nothing new can have become due
                return due if due < self._next_housekeeping else self._next_housekeeping
            if keeps_house:
                self._next_housekeeping = now + HOUSEKEEPING_S
                for task in self._housekeeping:
                    self.errors.attempt(_about_housekeeping, task, now)
            return self.next_due()
        except Exception as error:  # what failed is still in its queue, and calls must not wait for it
            self.errors.report("What is due", error)
            return now + HOUSEKEEPING_S

    def _tick_experiments(self, now: float) -> None:
        def step(now: float) -> None:
            with Undo(None, self.journal, self.fis):  # so that the second attempt finds what the first one found
                self.unsaved.settings |= self.fis.tick(now)

        if not self.errors.attempt(_about_experiments, step, now):
            self.fis.abandon(now)

    def resume(self, now: float) -> None:
        """After a restart: carry out the writes whose consequences failed or were not settled, and go on with backups
        and restored tables. An error does not stop the start: the state would be set aside as if it were damaged."""
        self.errors.attempt(_about_resuming, self.backups.resume, now)
        self.changes.retry_failed()
        self.settle()
        self.errors.attempt(_about_resuming, self.changes.mark_all, now)

    def next_due(self) -> float:
        """When :meth:`tick` next has work to do, in epoch seconds."""
        return 0.0 if self.tables.slices else min(self._next_event(), self._next_housekeeping)

    def _next_event(self) -> float:
        first = math.inf
        for next_due in self._events:
            due = next_due()
            if due is not None and due < first:  # runs for every call: min() of a generator takes three times as long
                first = due
        return first

    def summary(self, now: float) -> dict:
        """The settings, tables, waiting deliveries and internal errors, for ``gtlab status``."""
        self.settle()
        return {"network": self.world.network, "seed": self.world.seed, "legacy_api": self.legacy.face,
                "lag_model": self.world.lag_model.name,
                "tables": [{"account": table.account, "region": table.region, "name": table.name,
                            "status": self.tables.status(table, now)} for table in self.database.tables],
                "deliveries_waiting": self.replication.links.waiting(), "policies": self.access.accounts,
                "internal_errors": self.errors.summary() | {"kept": len(self.changes.failed),
                                                            "refuses_writes": self.changes.failed.is_full}}

    # The world

    def turn(self, knob: str, place: tuple[str, ...], value: object, now: float) -> None:
        """Set a knob (KNOBS of :mod:`world`). Raises ValueError for an invalid knob, place or value."""
        self.tick(now)
        if self.world.turn(knob, place, value):
            self._turned("broken", knob, place, value, now)

    def turn_back(self, knob: str, place: tuple[str, ...], now: float) -> None:
        """Clear a knob. Raises ValueError for an invalid knob or place."""
        self.tick(now)
        if self.world.turn_back(knob, place):
            self._turned("mended", knob, place, None, now)

    def mend_all(self, now: float) -> None:
        """Clear all knobs and stop all experiments that pause replication."""
        self.tick(now)
        self.unsaved.settings |= self.fis.stop_all(now)
        for knob, place, _ in self.world.turned():
            self.turn_back(knob, place, now)

    def _turned(self, kind: str, knob: str, place: tuple[str, ...], value: object, now: float) -> None:
        self.unsaved.settings = True  # first: the knob is turned, whether or not the journal can say so
        self.journal.world(kind, knob, place, value, now)

    def _passes(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery can arrive now. If it is not known because of an error, the delivery waits."""
        try:
            return self._can_arrive(delivery, now)
        except Exception as error:
            self.errors.report(f"Whether a delivery from {delivery.source} can arrive in {delivery.target}", error)
            return False

    def _not_handed_out(self, delivery: Delivery, error: Exception) -> None:
        self.errors.report(f"Handing out a delivery from {delivery.source} to {delivery.target} failed: it comes again",
                           error)

    def _can_arrive(self, delivery: Delivery, now: float) -> bool:
        if not self.world.reachable(delivery.source, delivery.target):
            return False
        if self.fis.pauses and self.fis.pauses.stops(delivery):
            return False
        if not self.world.throttles():
            return True
        group = self.groups.by_id(delivery.group)
        return group is None or self.capacity.takes_writes(group.table(delivery.target), now)

    def _may_change_settings(self, call: Call) -> None:
        if not call.operation.startswith(_LOOKS):
            self.unsaved.settings = True

    def _forget_tables(self, now: float) -> None:
        self.unsaved.settings |= self.tables.housekeep(now)

    def _trim_streams(self, now: float) -> None:
        self.unsaved.settings |= self.streams.trim(now)

    def _forget_tokens(self, now: float) -> None:
        self.unsaved.tokens.update(self.database.forget_tokens(now))

    def _forget_tombstones(self, now: float) -> None:
        self.replication.forget_tombstones(now - RETENTION_S)

    def _sweep(self, now: float) -> None:
        """Begin the searches for expired items that are due."""
        for sweep in self.tables.sweeps(now):
            self.tables.slices.begin(functools.partial(self._expire, sweep), now)

    def _expire(self, sweep: Sweep, now: float) -> bool:
        """Delete some expired items; whether there may be more."""
        if not self.tables.is_wanted(sweep):
            return False
        expired, more = sweep.take(now)
        for key in expired:
            self.changes.expire(sweep.table.id, key, now)
        return more

    def _check_ready(self, tables: list[TableId], now: float) -> None:
        """Refuse data operations on a table that is still being created, except on a member of a legacy global table:
        the article never waits, and its commands must work unchanged."""
        for table in tables:
            if self.tables.is_creating(table, now):
                group = self.groups.of(table)
                if group is None or group.version != LEGACY:
                    raise Refusal("ResourceNotFoundException", "Requested resource not found")


def _known(database: engine.Database, groups: Groups, fis: Fis) -> Known:
    """What policies are checked against."""
    def regions_of(table: TableId) -> list[str]:
        """The Regions of a table's global table; its own if it has none."""
        group = groups.of(table)
        return list(group.members) if group else [table.region]

    def has_role(account: str, service: str) -> bool:
        """Whether an account has a service's service-linked role: it gets one with its first global table, or its first
        experiment, and keeps it here for as long as it has any."""
        if service == "fis.amazonaws.com":
            return fis.has_experiments(account)
        return any(group.account == account for group in groups)

    return Known(regions_of, has_role, lambda table: engine.tags(database, table))


def _by_name(call: Call) -> Call:
    """The call with a table's ARN replaced by its name."""
    name = call.input.get("TableName", "")
    if not name.startswith("arn:"):
        return call
    place = "tableName" if call.operation in _ON_ITEMS else None
    table = engine.table_id(call.account, call.region, name, place)
    return call._replace(input=call.input | {"TableName": table.name})


def _about_charge(charges: Iterable[Charge], now: float) -> str:
    return "The capacity that a write consumes"


def _about_read(call: Call, body: bytes, now: float) -> str:
    return f"What the journal says of a {call.operation} in {call.region}"


def _about_resuming(now: float) -> str:
    return "Going on with what the last process had begun"


def _about_housekeeping(now: float) -> str:
    return "Housekeeping"


def _about_pauses(now: float) -> str:
    return "Ending the pauses of deleted tables"


def _about_experiments(now: float) -> str:
    return "A step of a FIS experiment"


def _json(answer: dict) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode()
