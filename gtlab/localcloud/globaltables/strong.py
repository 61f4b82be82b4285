"""Multi-Region strong consistency (MRSC): reads and writes of a global table whose members agree on every write.

A write or a strongly consistent read takes a round trip to the nearest other member and sees the newest version that
any member has. An eventually consistent read takes no round trip and may be stale. During the round trip of a write,
its item cannot be written in another Region.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from gtlab import regions
from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.globaltables.membership import Group, Groups
from gtlab.localcloud.globaltables.pauses import Pauses
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import Call, Key, Refusal, TableId, invalid
from gtlab.localcloud.replication import Delivery, Replication
from gtlab.localcloud.world import World

_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems", "ExecuteTransaction")


class Hold(NamedTuple):
    """The round trip of a call to another member: its duration, and the items that the call locks during it."""

    seconds: float
    taken: tuple[tuple[str, Key, str], ...] = ()  # the locked items: group, key, Region


NO_HOLD = Hold(0.0)


class Strong:
    """The rules of the data plane that apply only to strongly consistent tables."""

    def __init__(self, database: Database, world: World, replicas: Replicas, groups: Groups, replication: Replication,
                 pauses: Pauses):
        self._database = database
        self._world, self._replicas, self._groups, self._replication = world, replicas, groups, replication
        self._pauses = pauses
        self._being_written: Counter[tuple[str, Key, str]] = Counter()  # group, key, Region

    def check(self, call: Call, tables: list[TableId]) -> None:
        """Refuse transactions: they are not available for strongly consistent tables."""
        if call.operation in _TRANSACTIONS and any(self._members(table) for table in tables):
            raise invalid("Transactions are not supported for global tables with MultiRegionConsistency set to STRONG.")

    def begin(self, call: Call, tables: list[TableId]) -> Hold:
        """Begin an operation's round trip to another member, if it needs one; a write locks its items until the end.

        Raises ReplicatedWriteConflictException if another Region has locked one of the items, and InternalServerError
        (HTTP 500) if no other member is reachable or the replica is paused: then the Region serves only eventually
        consistent reads. The caller must release every hold with :meth:`end`.
        """
        tables = self._agreed(call, tables)
        if not tables:
            return NO_HOLD
        if any(self._paused(table) for table in tables):
            raise Refusal("InternalServerError", "Internal server error: fault injection has paused the replication of "
                          "this replica", 500)
        nearest = [self._nearest(table) for table in tables]
        taken = tuple((group, key, call.region) for group, key in self._written(call))
        if any(other[:2] == mine[:2] and other[2] != call.region for mine in taken for other in self._being_written):
            raise Refusal("ReplicatedWriteConflictException",
                          "One or more items in this request are being modified in another Region")
        hold = Hold(max(self._world.round_trip_s(call.region, member) for member in nearest), taken)
        self._being_written.update(taken)  # last: a call that does not begin releases nothing
        return hold

    def _nearest(self, table: TableId) -> str:
        """The Region of the nearest other member that a table's replica can reach. Raises Refusal if there is none."""
        reached = [member for member in self._members(table) or () if self._world.reachable(table.region, member)
                   and not self._paused(table._replace(region=member))]
        if not reached:
            raise Refusal("InternalServerError",
                          "Internal server error: the replica cannot reach another member of its global table", 500)
        return min(reached, key=lambda member: regions.rtt_ms(table.region, member))

    def end(self, hold: Hold) -> None:
        """Release the operation, whether it succeeded or failed."""
        if hold.taken:
            self._being_written.subtract(hold.taken)
            self._being_written = +self._being_written

    def behind(self, call: Call, tables: list[TableId]) -> list[Delivery]:
        """The changes that an operation must see and the called Region does not have yet, as deliveries to apply
        now."""
        found = []
        for table in self._agreed(call, tables):
            group = self._groups.of(table)
            if group:
                named = engine.named(self._database, call)
                sent = self._sent_by_who_left(group, table.region)
                keys = {key for at, key in named if at == table} or self._arriving(group, table.region)
                found += [newest for key in sorted(keys) if (newest := self._newest(group, table.region, key))]
                found += [delivery for delivery in sent if delivery.key in keys]
        return found

    def _arriving(self, group: Group, region: str) -> set[Key]:
        """The items that a Region's copy may lack: whatever it does not have yet is on its way to it."""
        links = self._replication.links
        if not links.is_behind(group.id, region):
            return set()
        return {delivery.key for delivery in links.on_their_way()
                if delivery.group == group.id and delivery.target == region}

    def _sent_by_who_left(self, group: Group, region: str) -> list[Delivery]:
        """Deliveries to a Region from members that have left, oldest first. While a group is being removed, no
        remaining member may have these changes."""
        if not set(self._replicas.of_group(group).replicas) - set(group.members):
            return []
        return sorted((delivery for delivery in self._replication.links.on_their_way() if delivery.group == group.id
                       and delivery.target == region and delivery.source not in group.members
                       and self._is_news(delivery)), key=lambda delivery: delivery.version)

    def _is_news(self, delivery: Delivery) -> bool:
        known = self._replication.version(delivery.group, delivery.target, delivery.key)
        return known is None or known < delivery.version

    def _newest(self, group: Group, region: str, key: Key) -> Delivery | None:
        versions = {member: self._replication.version(group.id, member, key) for member in group.members}
        known = {member: version for member, version in versions.items() if version is not None}
        best = max(known, key=lambda member: known[member], default=region)
        mine = versions[region]
        if best == region or (mine is not None and mine >= known[best]):
            return None
        item = self._database.item(group.table(best), key)
        return Delivery(group.id, best, region, key, item, known[best], due=0.0)

    def _agreed(self, call: Call, tables: list[TableId]) -> list[TableId]:
        """Of a call's tables, the strongly consistent ones that it writes or reads consistently. An eventually
        consistent read of one needs no other member, whatever else is in the same batch."""
        strong = [table for table in tables if self._members(table)]
        if not strong or _is_write(call):
            return strong
        consistent = _read_consistently(call, tables)
        return [table for table in strong if table in consistent]

    def _paused(self, table: TableId) -> bool:
        """Whether a replica is paused."""
        return bool(self._pauses) and self._pauses.paused(table)

    def _members(self, table: TableId) -> list[str] | None:
        return self._replicas.strong_members(table)

    def _written(self, call: Call) -> list[tuple[str, Key]]:
        if not _is_write(call):
            return []
        return [(group.id, key) for table, key in engine.touched(self._database, call)
                if self._members(table) and (group := self._groups.of(table))]


def _is_write(call: Call) -> bool:
    if call.operation in engine.PARTIQL:
        return engine.partiql_writes(call.input)
    return call.operation in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")


def _read_consistently(call: Call, tables: list[TableId]) -> list[TableId]:
    """The tables that a read reads consistently."""
    data = call.input
    if call.operation == "BatchGetItem":
        return [engine.table_id(call.account, call.region, name) for name, asked in data["RequestItems"].items()
                if asked.get("ConsistentRead")]
    if call.operation == "BatchExecuteStatement":
        statements = [each for each in data["Statements"] if each.get("ConsistentRead")]
        return engine.partiql_tables(call._replace(input={"Statements": statements}))
    return tables if data.get("ConsistentRead") else []
