"""A Region's tables: created, updated, described and deleted, with the time that each step takes on the service.

The engine creates and drops tables at once. What a caller sees meanwhile is kept here, by table (:mod:`table_status`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database, policies
from gtlab.localcloud.engine.constraints import check, every, length, pattern, structure
from gtlab.localcloud.model import TableId, in_use, invalid
from gtlab.localcloud.observe.internal_errors import InternalErrors
from gtlab.localcloud.tables import table_status, time_to_live
from gtlab.localcloud.tables.copies import Copies
from gtlab.localcloud.tables.indexes import Indexes
from gtlab.localcloud.tables.slices import SLICE, Slices
from gtlab.localcloud.tables.streams import SHARDS_ON_DEMAND, Streams
from gtlab.localcloud.tables.table_status import Deleted, Life
from gtlab.localcloud.world import World

_LIST = structure({"ExclusiveStartTableName": every(pattern("[a-zA-Z0-9_.-]+"), length(3, 255))})
# Parameters of UpdateTable that do not make the table UPDATING; what indexes do to it depends on the change.
_NOT_BUSY = {"TableName", "AttributeDefinitions", "DeletionProtectionEnabled", "WarmThroughput",
             "GlobalSecondaryIndexUpdates"}
UNFINISHED = "Unfinished"  # in what is kept of a restored table: not all items are there


@dataclass
class Saved:
    lives: list[tuple[TableId, Life]]
    ghosts: list[tuple[TableId, Deleted]]


class Tables:
    """``database``: what the engine keeps of the tables. ``slices``: long work that is left; ``copies``: the part of it
    that copies items."""

    def __init__(self, database: Database, world: World, streams: Streams, errors: InternalErrors):
        self.database, self.world, self._streams = database, world, streams
        self.slices = Slices(errors)
        self.copies = Copies(self.slices)
        self.indexes = Indexes(database, world, self.slices, errors)
        self._lives: dict[TableId, Life] = {}
        self._ghosts: dict[TableId, Deleted] = {}

    # Looking

    def find(self, table: TableId) -> Life:
        """A table's life; raises ResourceNotFoundException where there is no such table."""
        self.database.table(table)
        if table not in self._lives:  # a new replica; or restored from a backup by an older release
            self._lives[table] = Life(created=0.0, ready=0.0)
        return self._lives[table]

    def exists(self, table: TableId) -> bool:
        return self.database.exists(table)

    def is_on_demand(self, table: TableId) -> bool:
        return self.database.schema(table)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def status(self, table: TableId, now: float) -> str:
        return self.find(table).status(now)

    def is_creating(self, table: TableId, now: float) -> bool:
        """Whether there is a table that is not ready yet."""
        life = self._lives.get(table)
        return life is not None and now < life.ready and self.database.exists(table)

    def ready_at(self, table: TableId) -> float:
        return self.find(table).ready

    def stream(self, table: TableId) -> str | None:
        """The ARN of a table's stream while it is on."""
        life = self._lives.get(table)
        return life.stream if life and life.stream_view else None

    def has_stream(self, arn: str) -> bool:
        """Whether there is a stream, enabled or not."""
        return self._streams.exists(arn)

    def stream_view(self, table: TableId) -> str | None:
        return self.find(table).stream_view

    def occupied(self, table: TableId, now: float) -> bool:
        """Whether a table of that name is in the Region, or not quite gone."""
        return self.database.exists(table) or (table in self._ghosts and now < self._ghosts[table].gone)

    def protected(self, table: TableId) -> bool:
        return self.database.exists(table) and self.database.schema(table)["DeletionProtectionEnabled"]

    def describe(self, table: TableId, now: float) -> dict:
        """TableDescription; raises ResourceNotFoundException where there is no such table."""
        ghost = self._ghosts.get(table)
        if ghost and now < ghost.gone:
            return ghost.description
        life = self.find(table)
        description = engine.description(self.database.table(table))
        table_status.describe(description, life, now)
        restored = self.database.schema(table).get("RestoreSummary")
        if restored and description["TableStatus"] == "CREATING":  # later nothing shows that it was restored
            description["RestoreSummary"] = {name: value for name, value in restored.items() if name != UNFINISHED} | {
                "RestoreInProgress": True}
        return description

    # Changing

    def create(self, account: str, region: str, data: dict, now: float) -> TableId:
        table = TableId(account, region, data["TableName"])
        if table in self._ghosts and now < self._ghosts[table].gone:
            raise in_use(f"Attempt to change a resource which is still in use: Table is being deleted: {table.name}")
        engine.check_create_table(data)
        policy = policies.canonical(data["ResourcePolicy"]) if "ResourcePolicy" in data else None
        self.make(table, data, now)
        if policy is not None:
            policies.attach(self.database, table, policy, now)
        view = stream_view(data)
        if view:
            self.enable_stream(table, view, now)
        return table

    def make(self, table: TableId, data: dict, now: float) -> None:
        """Create a table from an input of CreateTable that has been checked."""
        engine.create_table(self.database, table, data, now)
        self.begin(table, now)

    def update(self, table: TableId, data: dict, now: float) -> None:
        engine.check_update_table(data)
        life = self.find(table)
        if self.status(table, now) != "ACTIVE":
            raise in_use()
        specification, view = data.get("StreamSpecification"), stream_view(data)
        if view and life.stream_view:
            raise invalid(f"Table already has an enabled stream: TableName: {table.name}")
        if specification and not view and not life.stream_view:
            raise invalid(f"Table has no stream to disable: TableName: {table.name}")
        engine.check_update_of(self.database.table(table), data, self._warm(table, now))
        self.indexes.change(table, data, now)
        if data.get("BillingMode") == "PAY_PER_REQUEST":
            life.on_demand_since = now
        if view:
            self.enable_stream(table, view, now)
        elif specification:
            self._disable_stream(life, now)
        life.busy_until = self.indexes.resources_until(table)
        if set(data) - _NOT_BUSY:
            life.busy_until = max(life.busy_until, now + self.world.control_plane_s("update table", table.region))

    def _warm(self, table: TableId, now: float) -> dict[str, dict[str, int]]:
        """The warm throughput of a table ("") and of its indexes, by name."""
        described = self.describe(table, now)
        indexes = described.get("GlobalSecondaryIndexes", ())
        return {"": described["WarmThroughput"]} | {each["IndexName"]: each["WarmThroughput"] for each in indexes}

    def delete(self, table: TableId, now: float, leave: Callable[[float], None]) -> dict:
        """Delete a table; DeleteTable's TableDescription. When all is checked, ``leave`` is called with the time when
        the table will be gone: it is to leave its global table first, so that nothing is sent to a table that is not
        there, whatever fails."""
        if table in self._ghosts and now < self._ghosts[table].gone:
            raise in_use(f"Attempt to change a resource which is still in use: Table is being deleted: {table.name}")
        status = self.status(table, now)
        if status != "ACTIVE":
            raise in_use(f"Attempt to change a resource which is still in use: Table: {table.name} is being used.")
        if self.protected(table):
            raise engine.protected()
        if self.copies.copies(table):
            raise in_use(f"Attempt to change a resource which is still in use: Table is being backed up: {table.name}")
        gone = now + self.world.control_plane_s("delete table", table.region)
        leave(gone)
        deleted = self.remove(table, now)
        deleted.gone = gone
        return table_status.answer_to_delete(deleted.description)

    def list_tables(self, account: str, region: str, data: dict, now: float) -> dict:
        """ListTables: a table that is being deleted is still listed."""
        names = {table.name for table, ghost in self._ghosts.items()
                 if (table.account, table.region) == (account, region) and now < ghost.gone}
        names |= {table.name for table in self.database.tables if (table.account, table.region) == (account, region)}
        limit = data.get("Limit", 100)
        if not 1 <= limit <= 100:
            raise invalid(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                          f"Member must have value {'less' if limit > 100 else 'greater'} than or equal to "
                          f"{100 if limit > 100 else 1}")
        check(data, _LIST)
        page = sorted(name for name in names if name > data.get("ExclusiveStartTableName", ""))
        answer = {"TableNames": page[:limit]}
        if len(page) > limit:
            answer["LastEvaluatedTableName"] = page[limit - 1]
        return answer

    # Steps of the control plane, also of those that the service does by itself

    def begin(self, table: TableId, now: float) -> None:
        """A table that the engine has just created for a caller is CREATING for a while."""
        ready = now + self.world.control_plane_s("create table", table.region)
        life = self._lives[table] = Life(created=round(now, 3), ready=ready)
        if self.is_on_demand(table):
            life.on_demand_since = ready

    def remove(self, table: TableId, now: float) -> Deleted:
        """Delete a table at once. The caller sets ``gone`` of the result, until when it is shown as DELETING. Until the
        table is gone, this can be repeated after an error."""
        self.copies.finish(table, now)
        description = self.describe(table, now) | {"TableStatus": "DELETING"}
        self._disable_stream(self.find(table), now)
        items = engine.delete(self.database, table)
        del self._lives[table]
        deleted = self._ghosts[table] = Deleted(description, now)
        self.slices.later(lambda now: items.let_go(SLICE))
        return deleted

    def put_off(self, table: TableId, until: float) -> None:
        """Show a table as CREATING at least until a time."""
        life = self.find(table)
        life.ready = max(life.ready, until)

    def busy(self, table: TableId, until: float) -> None:
        """Show a table as UPDATING until a time. Does nothing if the table does not exist."""
        if self.database.exists(table):
            life = self.find(table)
            life.busy_until = max(life.busy_until, until)

    def enable_stream(self, table: TableId, view: str, now: float) -> None:
        life = self.find(table)
        shards = SHARDS_ON_DEMAND if life.on_demand_since else 1
        stream = self._streams.enable(table, view, self.database.schema(table)["KeySchema"], shards, now)
        life.stream, life.stream_view = stream.arn, view

    def _disable_stream(self, life: Life, now: float) -> None:
        if life.stream and life.stream_view:
            self._streams.close(life.stream, now)
        life.stream_view = None

    # Time to live

    def describe_ttl(self, table: TableId, now: float) -> dict:
        deleting = table in self._ghosts and now < self._ghosts[table].gone
        if deleting or self.is_creating(table, now):
            state = "DELETING" if deleting else "CREATING"
            raise invalid(f"Cannot describe time to live while table is in {state} state: Current table state is "
                          f"{state}")
        return self.ttl(table)

    def ttl(self, table: TableId) -> dict:
        return time_to_live.describe(self.find(table))

    def update_ttl(self, table: TableId, data: dict) -> dict:
        return time_to_live.update(self.find(table), data)

    def sweeps(self, now: float) -> list[time_to_live.Sweep]:
        """The searches for expired items that are due."""
        found = []
        for table, life in self._lives.items():
            if life.ttl_attribute is not None and now >= life.ttl_next_sweep:
                life.ttl_next_sweep = now + self.world.control_plane_s("ttl sweep", table.region)
                found.append(time_to_live.Sweep(self.database.table(table), life.ttl_attribute))
        return found

    def is_wanted(self, sweep: time_to_live.Sweep) -> bool:
        """Whether a search is still of the same table with the same setting."""
        table = sweep.table
        return (self.database.tables.get(table.id) is table
                and self._lives[table.id].ttl_attribute == sweep.attribute)

    def housekeep(self, now: float) -> bool:
        """Forget what is gone; whether there was any."""
        gone = [table for table, ghost in self._ghosts.items() if now >= ghost.gone]
        for table in gone:
            del self._ghosts[table]
        return bool(gone)

    # What is kept

    def saved(self) -> Saved:
        return Saved(list(self._lives.items()), list(self._ghosts.items()))

    def restore(self, kept: Saved) -> None:
        self._lives, self._ghosts = dict(kept.lives), dict(kept.ghosts)
        self.indexes.restore()


def stream_view(data: dict) -> str | None:
    """The view type that an input of CreateTable or UpdateTable asks for, None where it asks for no stream."""
    specification = data.get("StreamSpecification")
    return specification["StreamViewType"] if specification and specification["StreamEnabled"] else None
