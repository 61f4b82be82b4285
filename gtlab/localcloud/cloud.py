"""All Regions together: a call goes in, its answer comes out, and time is told from outside.

No I/O. Everything happens on one thread, so an operation is atomic because nothing else runs meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gtlab.contract import HISTORIC
from gtlab.localcloud import engine
from gtlab.localcloud.faults.fis import OPERATIONS as _FIS
from gtlab.localcloud.faults.fis import Fis
from gtlab.localcloud.globaltables.membership import CURRENT, LEGACY, Group, Groups
from gtlab.localcloud.globaltables.strong import Hold, Strong
from gtlab.localcloud.globaltables.update_table import REPLICA_PARAMETERS
from gtlab.localcloud.globaltables.v2017 import Legacy
from gtlab.localcloud.globaltables.v2017_items import Mark, Marks, marked, replicated
from gtlab.localcloud.globaltables.v2017_settings import LegacySettings
from gtlab.localcloud.globaltables.v2019 import Current
from gtlab.localcloud.model import Call, Change, Key, Refusal, TableId, invalid
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.observe.metrics import Metrics
from gtlab.localcloud.replication import Delivery, Replication
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.capacity import (
    Capacity,
    consumed_by_read,
    consumed_by_write,
    with_unprocessed,
    write_units,
)
from gtlab.localcloud.tables.streams import RETENTION_S, Streams
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

HOUSEKEEPING_S = 1.0
_TTL_IDENTITY = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
_LOOKS = ("Describe", "List", "Get", "Query", "Scan", "BatchGet", "TransactGet")  # what changes no setting
_READS = ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems")
_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems",
           "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")
_JUDGED = ("ConditionalCheckFailedException", "TransactionCanceledException")  # refusals that consume capacity


@dataclass
class Unsaved:
    """What changed since it was last cleared, beside what replication and streams say of themselves."""

    items: set[tuple[TableId, Key]] = field(default_factory=set)
    tokens: set[tuple[str, str, str]] = field(default_factory=set)  # account, Region, ClientRequestToken
    settings: bool = False                                          # anything else may have changed

    def clear(self) -> None:
        self.items.clear()
        self.tokens.clear()
        self.settings = False


class Cloud:
    """One local cloud. ``world`` says how far and how long; ``now`` in every call is epoch seconds.

    ``legacy_api`` is the face of version 2017.11.29: one of FACES. ``most_at_once``: how many deliveries are
    carried out before callers get their turn again.
    """

    def __init__(self, world: World, legacy_api: str = HISTORIC, journal: Journal | None = None,
                 most_at_once: float = math.inf):
        engine.reset()  # the library keeps its tables in the module: one cloud a process
        self.world = world
        self.streams = Streams()
        self.tables = Tables(world, self.streams)
        self.journal = journal or Journal()
        self.replication = Replication(world.replication_lag_s, self._passes)
        self.groups = Groups(self.replication, self.journal)
        self.scaling = AutoScaling()
        self.current = Current(world, self.tables, self.groups, self.scaling)
        self.fis = Fis(world, self.tables, self.groups, self.current.replicas, self.journal)
        self.capacity = Capacity(world)
        self.metrics = Metrics()
        self.strong = Strong(world, self.current.replicas, self.groups, self.replication, self.fis.pauses)
        self.legacy = Legacy(world, self.tables, self.groups, face=legacy_api)
        self.legacy_settings = LegacySettings(world, self.tables, self.legacy, self.scaling)
        self.unsaved = Unsaved()
        self.unsettled: list[tuple[Change, float]] = []  # writes that took effect, and when; the rest is to follow
        self._marks = Marks()
        self._next_housekeeping = 0.0
        self._most_at_once, self._behind = most_at_once, 0.0

    def begin(self, call: Call) -> Hold:
        """How long a call is between Regions before it takes effect (strong consistency across Regions).

        Raises Refusal where it cannot begin. What began is to be ended by :meth:`end`.
        """
        if not self.current.replicas.any_strong() or (call.operation not in _WRITES and call.operation not in _READS):
            return Hold(0.0)
        self.settle()
        data = _by_name(call)
        return self.strong.begin(call, data, _tables(call, data))

    def end(self, hold: Hold) -> None:
        self.strong.end(hold)

    def call(self, call: Call, now: float) -> bytes:
        """Carry a call out; its answer's JSON. Raises Refusal, and then nothing was changed."""
        answer = self.answer(call, now)
        self.settle()
        return answer

    def settle(self) -> None:
        """What the writes of :meth:`answer` lead to: versions, deliveries, stream records, the journal."""
        while self.unsettled:
            change, at = self.unsettled.pop(0)
            self._committed(change, at)

    def answer(self, call: Call, now: float) -> bytes:
        """As :meth:`call`, but what a write leads to is left for :meth:`settle`, so that its caller need not wait for
        it: nobody sees the difference, because everything that happens or is asked begins with that."""
        self.tick(now)
        if call.service == "application-autoscaling":
            self._may_change_settings(call)
            return _json(_operation(_SCALING, call)(self.scaling, call.account, call.region, call.input, now))
        if call.service == "fis":
            self._may_change_settings(call)
            return _json(_operation(_FIS, call)(self.fis, call.account, call.region, call.input, now))
        if call.service == "cloudwatch":
            return _json(_operation(_CLOUDWATCH, call)(self.metrics, call.account, call.region, call.input))
        if call.service == "dynamodbstreams":
            return _json(_STREAM_OPERATIONS[call.operation](self.streams)(call.account, call.region, call.input, now))
        data = _by_name(call)
        self._may_change_settings(call)
        if call.operation in _CONTROL:
            return _json(_CONTROL[call.operation](self, call, data, now))
        if call.operation in _WRITES or call.operation in _READS:
            return self._data_plane(call, data, now)
        return engine.call(call.account, call.region, call.operation, data)

    def _data_plane(self, call: Call, data: dict, now: float) -> bytes:
        tables, unprocessed = _tables(call, data), {}
        self._check_ready(tables, now)
        strong = self.current.replicas.any_strong()
        if strong:
            self.strong.check(call, tables)
        metered = self.capacity.metered(tables)
        if metered:
            data, unprocessed = self.capacity.admit(call, data, metered, now)
        for delivery in self.strong.behind(call, data, tables) if strong else ():
            self._deliver(delivery, now, now)
        if call.operation in _READS:
            body = engine.call(call.account, call.region, call.operation, data)
            if metered:
                self._consumed("read", consumed_by_read(call, data), now)
        else:
            body = self._write(call, data, bool(metered), now)
        return with_unprocessed(call, body, unprocessed) if unprocessed else body

    def _write(self, call: Call, data: dict, metered: bool, now: float) -> bytes:
        try:
            body, changes = engine.write(call.account, call.region, call.operation, data)
        except Refusal as refusal:
            if metered and refusal.code in _JUDGED:
                self._consumed("write", consumed_by_write(call, data, []), now)
            raise
        for change in changes:
            self.unsaved.items.add((change.table, change.key))
            self.unsettled.append((change, now))
        if "ClientRequestToken" in data:
            self.unsaved.tokens.add((call.account, call.region, data["ClientRequestToken"]))
        if metered:
            self._consumed("write", consumed_by_write(call, data, changes), now)
        return body

    def _consumed(self, kind: str, units: Mapping[TableId, float], now: float) -> None:
        for table, consumed in units.items():
            self.capacity.charge(table, kind, consumed, now)

    def tick(self, now: float) -> None:
        """Let happen what was due by now; of a backlog, no more than ``most_at_once`` deliveries, and
        :meth:`next_due` has passed then."""
        self.settle()
        left = self._most_at_once
        while (due := self._next_event()) <= now:  # in the order in which things happen, however late we look
            if self.current.tick(due):
                self.unsaved.settings = True
                self.fis.pauses.forget_deleted(due)
            self.unsaved.settings |= self.fis.tick(due)
            for mark in self._marks.due(due):
                self._mark(mark, due)
            for delivery in self.replication.due(due):
                self._deliver(delivery, max(due, self._behind), now)
                left -= 1
                if left <= 0:  # what is left takes effect later than it was due: nobody who looks now sees it
                    self._behind = now
                    break
            if left <= 0:
                break
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_S
            self._housekeep(now)

    def resume(self, now: float) -> None:
        """Go on after a restart: what writes lead to is settled, and what the legacy version had still to mark in
        customers' items is marked."""
        self.settle()
        for group in self.groups:
            for table in map(group.table, group.members if group.version == LEGACY else ()):
                for key, item in engine.items(table):
                    version = self.replication.version(group.id, table.region, key)
                    if version and version.region == table.region and marked(item, version) != item:
                        self._marks.add(Mark(group.id, table.region, key, version, now))

    def next_due(self) -> float:
        """When :meth:`tick` has something to do next."""
        return min(self._next_event(), self._next_housekeeping)

    def _next_event(self) -> float:
        first = math.inf
        for due in (self.replication.next_due(), self.current.next_due(), self._marks.next_due(), self.fis.next_due()):
            if due is not None and due < first:  # asked at every call: min() of a generator takes thrice as long
                first = due
        return first

    def summary(self, now: float) -> dict:
        """What there is, for ``gtlab status``."""
        self.settle()
        return {"network": self.world.network, "seed": self.world.seed, "legacy_api": self.legacy.face,
                "tables": [{"account": table.account, "region": table.region, "name": table.name,
                            "status": self.tables.status(table, now)} for table in engine.tables()],
                "deliveries_waiting": self.replication.waiting()}

    # The world

    def turn(self, knob: str, place: tuple[str, ...], value: object, now: float) -> None:
        """Break the world, as in KNOBS of :mod:`world`. Raises ValueError for what makes no sense."""
        self.tick(now)
        if self.world.turn(knob, place, value):
            self._turned("broken", knob, place, value, now)

    def turn_back(self, knob: str, place: tuple[str, ...], now: float) -> None:
        """Mend one thing. Raises ValueError for a knob or a place that cannot be."""
        self.tick(now)
        if self.world.turn_back(knob, place):
            self._turned("mended", knob, place, None, now)

    def mend_all(self, now: float) -> None:
        """Put everything right; experiments that pause replication are stopped."""
        self.tick(now)
        self.unsaved.settings |= self.fis.stop_all(now)
        for knob, place, _ in self.world.turned():
            self.turn_back(knob, place, now)

    def _turned(self, kind: str, knob: str, place: tuple[str, ...], value: object, now: float) -> None:
        self.journal.world(kind, knob, place, value, now)
        self.unsaved.settings = True

    def _passes(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery can arrive now."""
        if not self.world.reachable(delivery.source, delivery.target):
            return False
        if self.fis.pauses and self.fis.pauses.stops(delivery):
            return False
        return (not self.world.throttles()
                or self.capacity.takes_writes(self.groups.by_id(delivery.group).table(delivery.target), now))

    # Changes

    def _may_change_settings(self, call: Call) -> None:
        if call.operation not in _WRITES and not call.operation.startswith(_LOOKS):
            self.unsaved.settings = True

    def _committed(self, change: Change, now: float, identity: dict | None = None) -> None:
        key = engine.key_attributes(change.table, change.key)
        self._record(change, now, key, identity)
        group, version = self.groups.of(change.table), None
        if group:
            region = change.table.region
            version = self.replication.commit(group.id, region, change.key, change.new, now)
            if group.version == LEGACY and change.new is not None:
                due = now + self.world.legacy_mark_s(region)
                self._marks.add(Mark(group.id, region, change.key, version, due))
        self.journal.write(change.table, key, deleted=change.new is None, by="ttl" if identity else "customer",
                           version=version, at=now)

    def _mark(self, mark: Mark, now: float) -> None:
        """The legacy version's second update. It is no write of a customer's, so it is sent to nobody; where another
        write of the item came first, that one's own is what counts."""
        if self.replication.version(mark.group, mark.region, mark.key) == mark.version:
            table = self.groups.by_id(mark.group).table(mark.region)
            old = engine.item(table, mark.key)
            if old is not None:
                change = Change(table, mark.key, old, marked(old, mark.version))
                self._apply(change, now, engine.key_attributes(table, mark.key))
                if self.capacity.metered([table]):
                    self.capacity.charge(table, "write", write_units(old, change.new), now)

    def _deliver(self, delivery: Delivery, now: float, looked: float) -> None:
        group = self.groups.by_id(delivery.group)
        table = group.table(delivery.target)
        winner = self.replication.version(delivery.group, delivery.target, delivery.key)
        key = engine.key_attributes(table, delivery.key)
        if self.capacity.metered([table]):
            self._charge_delivery(group, table, delivery, now)
        if not self.replication.accept(delivery):
            self.journal.discarded(table, key, delivery, winner, now)
            return
        self.journal.delivery(table, key, delivery, now, looked)
        self._publish(group, delivery, now)
        old = engine.item(table, delivery.key)
        for new in replicated(old, delivery) if group.version == LEGACY else [delivery.item]:
            self._apply(Change(table, delivery.key, old, new), now, key)
            old = new

    def _publish(self, group: Group, delivery: Delivery, now: float) -> None:
        """The latency that the service publishes: not of strong groups, nor of what a replica is filled with."""
        written = delivery.version.time_us / 1e6
        if written >= group.joined.get(delivery.target, 0.0) and not self.current.replicas.is_strong(group.id):
            self.metrics.replicated(group.table(delivery.source), delivery.target, (now - written) * 1e3, now)

    def _charge_delivery(self, group: Group, table: TableId, delivery: Delivery, now: float) -> None:
        """A delivery consumes what a write does, even if what is there is newer; in the legacy version twice as much
        for an item that is new or goes."""
        old = engine.item(table, delivery.key)
        twice = group.version == LEGACY and (old is None or delivery.item is None)
        self.capacity.charge(table, "write", write_units(old, delivery.item) * (2 if twice else 1), now)

    def _apply(self, change: Change, now: float, key: dict) -> None:
        """A write of the service's own, of the item with this key as the API writes it; one that changes nothing leaves
        no trace."""
        if change.old != change.new:
            self._store(change)
            self._record(change, now, key)

    def _store(self, change: Change) -> None:
        engine.apply(change.table, change.key, change.new)
        self.unsaved.items.add((change.table, change.key))

    def _record(self, change: Change, now: float, key: dict, identity: dict | None = None) -> None:
        """Have the table's stream told of a change."""
        stream = self.tables.stream(change.table)
        if stream:
            self.streams.record(stream, key, change.old, change.new, now, identity)

    def _housekeep(self, now: float) -> None:
        self.unsaved.settings |= self.tables.housekeep(now) | self.streams.trim(now)
        self.unsaved.tokens.update(engine.forget_tokens())
        self.replication.forget_tombstones(now - RETENTION_S)
        for table, key in self.tables.ttl_expired(now):
            self._expire(table, key, now)

    def _expire(self, table: TableId, key: Key, now: float) -> None:
        """Delete an expired item where it was last written; the others get the delete by replication. In the legacy
        version each Region deletes by its own settings, and tells nobody."""
        group = self.groups.of(table)
        if group and group.version == LEGACY:
            change, attributes = Change(table, key, engine.item(table, key), None), engine.key_attributes(table, key)
            self._store(change)
            self._record(change, now, attributes, _TTL_IDENTITY)
            self.journal.write(table, attributes, deleted=True, by="ttl", version=None, at=now)
            self.replication.lost(group.id, table.region, key)
            return
        version = self.replication.version(group.id, table.region, key) if group else None
        if version is None or version.region == table.region or version.region not in group.members:
            change = Change(table, key, engine.item(table, key), None)
            self._store(change)
            self._committed(change, now, _TTL_IDENTITY)

    def _check_ready(self, tables: list[TableId], now: float) -> None:
        """The data plane does not know a table that is still being created. A member of a legacy global table
        is excepted: the article never waits, and its commands are to work as they stand."""
        for table in tables:
            if self.tables.is_creating(table, now):
                group = self.groups.of(table)
                if group is None or group.version != LEGACY:
                    raise Refusal("ResourceNotFoundException", "Requested resource not found")

    # The control plane: (call, input, now) → output

    def _create_table(self, call: Call, data: dict, now: float) -> dict:
        self.current.check.create_table(_table(call, data))
        table = self.tables.create(call.account, call.region, data, now)
        return {"TableDescription": self._described(table, now)}

    def _described(self, table: TableId, now: float) -> dict:
        return self.tables.describe(table, now) | self.current.describe(table, now)

    def _describe_table(self, call: Call, data: dict, now: float) -> dict:
        return {"Table": self._described(_table(call, data), now)}

    def _delete_table(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        self.current.check.delete_table(table, now)
        description = self.tables.delete(table, now)
        group = self.groups.of(table)  # the others go on without it
        if group and group.version == CURRENT:
            self.current.deleted(table, group, now, self.tables.gone_at(table))
        elif group:
            self.groups.leave(group, table.region, now)
        self.fis.pauses.forget_deleted(now)
        return {"TableDescription": description}

    def _update_table(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        self.tables.find(table)
        self.fis.pauses.check_settings(table)
        if REPLICA_PARAMETERS & set(data):
            before = self.tables.status(table, now)
            self.current.update_replicas(table, data, now)
            removal = any("Delete" in update for update in data.get("ReplicaUpdates", ()))
            # A removal's answer still shows the status from before, as observed.
            return {"TableDescription": self._described(table, now) | ({"TableStatus": before} if removal else {})}
        self.current.check.stream(table, data)
        specification = data.get("StreamSpecification")
        group = self.groups.of(table)
        if group and group.version != CURRENT and specification and not specification["StreamEnabled"]:
            raise invalid("One or more parameter values were invalid: Disabling Stream is not allowed for a "
                          "Global Table replica.")
        if set(data) == {"TableName", "DisassociationProtectionEnabled"}:
            self.current.protect(table, data["DisassociationProtectionEnabled"])
        else:
            self.tables.update(table, data, now)
            self.current.updated(table, data, now)
        return {"TableDescription": self._described(table, now)}

    def _update_ttl(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        self.current.check.time_to_live(table)
        self.fis.pauses.check_settings(table)
        answer = self.tables.update_ttl(table, data)
        self.current.ttl_updated(table, now)
        return answer


def _operation(known: dict[str, Callable], call: Call) -> Callable:
    if call.operation not in known:
        raise Refusal("UnknownOperationException", f"{call.operation} is an operation of {call.service} that gtlab's "
                                                   "local cloud does not have. Nothing was done.")
    return known[call.operation]


def _table(call: Call, data: dict) -> TableId:
    return TableId(call.account, call.region, data["TableName"])


def _tables(call: Call, data: dict) -> list[TableId]:
    """The tables that a request of the data plane names."""
    if call.operation in engine.PARTIQL:
        return engine.partiql_tables(call.account, call.region, data)
    if "TableName" in data:
        return [TableId(call.account, call.region, data["TableName"])]
    return [TableId(call.account, call.region, name) for name in dict.fromkeys(_names(call.operation, data))]


def _names(operation: str, data: dict) -> Iterator[str]:
    if operation.startswith("Batch"):
        yield from data.get("RequestItems", ())
    for action in data.get("TransactItems", ()):
        yield from (part["TableName"] for part in action.values() if "TableName" in part)


def _by_name(call: Call) -> dict:
    """The input with a table's ARN, where one stands for its name, made a name."""
    name = call.input.get("TableName", "")
    if not name.startswith("arn:"):
        return call.input
    prefix = TableId(call.account, call.region, "").arn
    if not name.startswith(prefix) or "/" in name[len(prefix):]:
        raise invalid(f"Invalid table ARN for this account and Region: {name}")
    return call.input | {"TableName": name[len(prefix):]}


def _json(answer: dict) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode()


_STREAM_OPERATIONS: dict[str, Callable] = {
    "ListStreams": lambda streams: streams.list_streams,
    "DescribeStream": lambda streams: streams.describe_stream,
    "GetShardIterator": lambda streams: streams.get_shard_iterator,
    "GetRecords": lambda streams: streams.get_records,
}

_CLOUDWATCH: dict[str, Callable] = {
    "GetMetricStatistics": Metrics.get_statistics,
    "GetMetricData": Metrics.get_data,
    "ListMetrics": Metrics.list,
}

_SCALING: dict[str, Callable] = {
    "RegisterScalableTarget": AutoScaling.register,
    "DeregisterScalableTarget": AutoScaling.deregister,
    "DescribeScalableTargets": AutoScaling.describe_targets,
    "PutScalingPolicy": AutoScaling.put_policy,
    "DescribeScalingPolicies": AutoScaling.describe_policies,
    "DeleteScalingPolicy": AutoScaling.delete_policy,
}

_CONTROL: dict[str, Callable[[Cloud, Call, dict, float], dict]] = {
    "CreateTable": Cloud._create_table,
    "DescribeTable": Cloud._describe_table,
    "DeleteTable": Cloud._delete_table,
    "UpdateTable": Cloud._update_table,
    "ListTables": lambda self, call, data, now: self.tables.list_tables(call.account, call.region, data, now),
    "DescribeTimeToLive": lambda self, call, data, now: self.tables.describe_ttl(_table(call, data)),
    "UpdateTimeToLive": Cloud._update_ttl,
    "CreateGlobalTable": lambda self, call, data, now: self.legacy.create(call.account, call.region, data, now),
    "UpdateGlobalTable": lambda self, call, data, now: self.legacy.update(call.account, call.region, data, now),
    "DescribeGlobalTable": lambda self, call, data, now: self.legacy.describe(call.account, data, now),
    "ListGlobalTables": lambda self, call, data, now: self.legacy.list_tables(call.account, data, now),
    "DescribeGlobalTableSettings":
        lambda self, call, data, now: self.legacy_settings.describe(call.account, data, now),
    "UpdateGlobalTableSettings": lambda self, call, data, now: self.legacy_settings.update(call.account, data, now),
}
