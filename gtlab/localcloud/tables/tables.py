"""The life of a Region's tables: statuses over time, streams switched on and off, TTL, descriptions.

The engine makes and drops tables at once; the service takes a while. What a caller sees of that while is
kept here. A status is worked out from the time it is asked for: nothing has to happen at the moment of change.
"""

from __future__ import annotations

import contextlib
import copy
import json
from dataclasses import dataclass

from gtlab.localcloud import engine
from gtlab.localcloud.model import Key, Refusal, TableId, in_use, invalid, invalid_values, no_such_table
from gtlab.localcloud.tables.streams import SHARDS_ON_DEMAND, VIEW_TYPES, Streams
from gtlab.localcloud.world import World

# What a fresh on-demand table is warm for (units per second), as observed.
_WARM_ON_DEMAND = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}


@dataclass
class Life:
    """What the engine does not know of a table. Times are seconds."""

    created: float
    ready: float                       # CREATING until then
    busy_until: float = 0.0            # UPDATING until then
    stream: str | None = None          # ARN of its stream, enabled or not; the newest
    stream_view: str | None = None     # None while the stream is off
    on_demand_since: float | None = None
    ttl_attribute: str | None = None
    ttl_next_sweep: float = 0.0


@dataclass
class _Ghost:
    """A deleted table that DescribeTable still shows."""

    description: dict
    gone: float


@dataclass
class Saved:
    lives: list[tuple[TableId, Life]]
    ghosts: list[tuple[TableId, _Ghost]]


class Tables:
    def __init__(self, world: World, streams: Streams):
        self._world, self._streams = world, streams
        self._lives: dict[TableId, Life] = {}
        self._ghosts: dict[TableId, _Ghost] = {}

    # Looking

    def find(self, table: TableId) -> Life:
        """A table's life; raises ResourceNotFoundException where there is no such table."""
        if not engine.exists(table):
            raise no_such_table(table.name)
        if table not in self._lives:  # the engine made it by itself: restored from a backup, or imported
            self._lives[table] = Life(created=0.0, ready=0.0)
        return self._lives[table]

    def exists(self, table: TableId) -> bool:
        return engine.exists(table)

    def status(self, table: TableId, now: float) -> str:
        life = self.find(table)
        return "CREATING" if now < life.ready else "UPDATING" if now < life.busy_until else "ACTIVE"

    def is_creating(self, table: TableId, now: float) -> bool:
        """Whether there is a table that is not ready yet."""
        life = self._lives.get(table)
        return life is not None and now < life.ready and engine.exists(table)

    def ready_at(self, table: TableId) -> float:
        return self.find(table).ready

    def stream(self, table: TableId) -> str | None:
        """The ARN of a table's stream while it is on."""
        life = self._lives.get(table)
        return life.stream if life and life.stream_view else None

    def stream_view(self, table: TableId) -> str | None:
        return self.find(table).stream_view

    def occupied(self, table: TableId, now: float) -> bool:
        """Whether a table of that name is in the Region, or not quite gone."""
        return engine.exists(table) or (table in self._ghosts and now < self._ghosts[table].gone)

    def protected(self, table: TableId) -> bool:
        return engine.exists(table) and engine.schema(table)["DeletionProtectionEnabled"]

    def describe(self, table: TableId, now: float) -> dict:
        """TableDescription; raises ResourceNotFoundException where there is no such table."""
        ghost = self._ghosts.get(table)
        if ghost and now < ghost.gone:
            return ghost.description
        life = self.find(table)
        description = _ask(table, "DescribeTable")["Table"]
        description["TableStatus"] = self.status(table, now)
        if life.created:
            description["CreationDateTime"] = life.created
        _describe_capacity(description, life, now)
        if life.stream:
            description |= {"LatestStreamArn": life.stream, "LatestStreamLabel": life.stream.rpartition("/")[2]}
        if life.stream_view:
            description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": life.stream_view}
        return description

    # Changing

    def create(self, account: str, region: str, data: dict, now: float) -> TableId:
        table = TableId(account, region, data["TableName"])
        if table in self._ghosts and now < self._ghosts[table].gone:
            raise in_use(f"Attempt to change a resource which is still in use: Table is being deleted: {table.name}")
        if {"GlobalTableSourceArn", "GlobalTableSettingsReplicationMode"} & set(data):
            raise invalid("gtlab's local cloud has global tables within one account only: GlobalTableSourceArn and "
                          "GlobalTableSettingsReplicationMode are not supported. Nothing was created.")
        asked = {name: value for name, value in data.items() if name != "StreamSpecification"}
        view = _stream_view(data.get("StreamSpecification"))
        engine.call(account, region, "CreateTable", asked)
        ready = now + self._world.control_plane_s("create table", region)
        life = self._lives[table] = Life(created=round(now, 3), ready=ready)
        if data.get("BillingMode") == "PAY_PER_REQUEST":
            life.on_demand_since = ready
        if view:
            self._enable_stream(table, life, view, now)
        return table

    def update(self, table: TableId, data: dict, now: float) -> None:
        life = self.find(table)
        if self.status(table, now) != "ACTIVE":
            raise in_use()
        specification = data.get("StreamSpecification")
        view = _stream_view(specification)
        if view and life.stream_view:
            raise invalid(f"Table already has an enabled stream: TableName: {table.name}")
        if specification and not view and not life.stream_view:
            raise invalid(f"Table already has a disabled stream: TableName: {table.name}")
        rest = {name: value for name, value in data.items() if name != "StreamSpecification"}
        if set(rest) - {"TableName"} or not specification:
            engine.call(table.account, table.region, "UpdateTable", rest)
        if data.get("BillingMode") == "PAY_PER_REQUEST":
            life.on_demand_since = now
        if view:
            self._enable_stream(table, life, view, now)
        elif specification:
            self._streams.close(life.stream, now)
            life.stream_view = None
        if set(rest) - {"TableName", "DeletionProtectionEnabled"} or specification:
            life.busy_until = now + self._world.control_plane_s("update table", table.region)

    def delete(self, table: TableId, now: float) -> dict:
        """Delete a table; its last TableDescription, with status DELETING."""
        if table in self._ghosts and now < self._ghosts[table].gone:
            raise in_use(f"Attempt to change a resource which is still in use: Table is being deleted: {table.name}")
        status = self.status(table, now)
        if status != "ACTIVE":
            raise in_use(f"Attempt to change a resource which is still in use: Table: {table.name} is being used.")
        description = self.describe(table, now) | {"TableStatus": "DELETING"}
        engine.call(table.account, table.region, "DeleteTable", {"TableName": table.name})
        life = self._lives.pop(table)
        if life.stream_view:
            self._streams.close(life.stream, now)
        self._ghosts[table] = _Ghost(description, now + self._world.control_plane_s("delete table", table.region))
        return description

    def gone_at(self, table: TableId) -> float:
        """When a table that is being deleted is gone."""
        return self._ghosts[table].gone

    def list(self, account: str, region: str, data: dict, now: float) -> dict:
        """ListTables: a table that is being deleted is still listed."""
        names = {table.name for table, ghost in self._ghosts.items()
                 if (table.account, table.region) == (account, region) and now < ghost.gone}
        names |= {table.name for table in engine.tables() if (table.account, table.region) == (account, region)}
        limit = data.get("Limit", 100)
        if not 1 <= limit <= 100:
            raise invalid(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                          f"Member must have value {'less' if limit > 100 else 'greater'} than or equal to "
                          f"{100 if limit > 100 else 1}")
        page = sorted(name for name in names if name > data.get("ExclusiveStartTableName", ""))
        answer = {"TableNames": page[:limit]}
        if len(page) > limit:
            answer["LastEvaluatedTableName"] = page[limit - 1]
        return answer

    def _enable_stream(self, table: TableId, life: Life, view: str, now: float) -> None:
        shards = SHARDS_ON_DEMAND if life.on_demand_since else 1
        key_schema = engine.schema(table)["KeySchema"]
        stream = self._streams.enable(*table, view_type=view, key_schema=key_schema, shards=shards, now=now)
        life.stream, life.stream_view = stream.arn, view

    # What the service does to the tables of global tables by itself

    def busy(self, table: TableId, until: float) -> None:
        """UPDATING until then."""
        if engine.exists(table):
            self.find(table).busy_until = max(self.find(table).busy_until, until)

    def need_stream(self, table: TableId, now: float) -> None:
        """A replica has a stream: one that is on stays as it is."""
        life = self.find(table)
        if not life.stream_view:
            self._enable_stream(table, life, "NEW_AND_OLD_IMAGES", now)

    def create_replica(self, source: TableId, there: TableId, overrides: dict, *, ready: float, now: float,
                       with_stream: bool) -> None:
        """A table like the source's in another Region, CREATING until ``ready``. Tags and deletion protection are
        each Region's own and not copied."""
        engine.call(there.account, there.region, "CreateTable", _like(engine.schema(source)))
        life = self._lives[there] = Life(created=round(now, 3), ready=ready)
        if engine.schema(there)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST":
            life.on_demand_since = ready
        life.ttl_attribute = self.find(source).ttl_attribute
        if with_stream:
            self._enable_stream(there, life, self.find(source).stream_view or "NEW_AND_OLD_IMAGES", now)
        self.override(there, overrides)

    def override(self, table: TableId, overrides: dict) -> None:
        """Give a replica the settings that it does not share (as ReplicaUpdates names them)."""
        if engine.exists(table):
            schema = engine.schema(table)
            self._update_quietly(table, _overridden({
                "ProvisionedThroughput": schema["ProvisionedThroughput"],
                "OnDemandThroughput": schema.get("OnDemandThroughput", {})}, overrides, only=True))

    def take_settings(self, table: TableId, shared: dict, overrides: dict, now: float) -> None:
        """Change a replica as another one was changed (UpdateTable's input), but for what it overrides."""
        life, view = self.find(table), _stream_view(shared.get("StreamSpecification"))
        if view and not life.stream_view:
            self._enable_stream(table, life, view, now)
        if shared.get("BillingMode") == "PAY_PER_REQUEST":
            life.on_demand_since = now
        rest = {name: value for name, value in shared.items() if name != "StreamSpecification"}
        self._update_quietly(table, _overridden(rest, overrides))

    def drop(self, table: TableId, now: float, until: float) -> None:
        """The service deletes a replica's table; its Region shows it as DELETING for a while."""
        if not engine.exists(table):
            return
        description = self.describe(table, now) | {"TableStatus": "DELETING"}
        engine.call(table.account, table.region, "DeleteTable", {"TableName": table.name})
        life = self._lives.pop(table)
        if life.stream_view:
            self._streams.close(life.stream, now)
        self._ghosts[table] = _Ghost(description, until)

    @staticmethod
    def _update_quietly(table: TableId, settings: dict) -> None:
        """A change that was checked where it was asked for; one that changes nothing here is no matter."""
        if settings:
            with contextlib.suppress(Refusal):
                engine.call(table.account, table.region, "UpdateTable", {"TableName": table.name} | settings)

    # Time to live. The engine's own sweeper would delete behind capture's back, so it is never told.

    def describe_ttl(self, table: TableId) -> dict:
        attribute = self.find(table).ttl_attribute
        if attribute is None:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}}

    def update_ttl(self, table: TableId, data: dict) -> dict:
        life, wanted = self.find(table), data["TimeToLiveSpecification"]
        attribute = wanted["AttributeName"] if wanted["Enabled"] else None
        if not wanted["AttributeName"]:
            raise invalid("TimeToLiveSpecification.AttributeName must not be empty")
        if wanted["Enabled"] and life.ttl_attribute:
            raise invalid("TimeToLive is already enabled")
        if not wanted["Enabled"] and not life.ttl_attribute:
            raise invalid("TimeToLive is already disabled")
        life.ttl_attribute = attribute
        return {"TimeToLiveSpecification": wanted}

    def ttl_expired(self, now: float) -> list[tuple[TableId, Key]]:
        """Items whose time has come, of the tables that are due for a look."""
        expired = []
        for table, life in self._lives.items():
            if life.ttl_attribute is None or now < life.ttl_next_sweep:
                continue
            life.ttl_next_sweep = now + self._world.control_plane_s("ttl sweep", table.region)
            expired += [(table, key) for key, item in engine.items(table)
                        if _expired(item.get(life.ttl_attribute), now)]
        return expired

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


def _like(schema: dict) -> dict:
    """CreateTable's input for a table like this one."""
    on_demand = schema["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    index_parts = ["IndexName", "KeySchema", "Projection"] + ([] if on_demand else ["ProvisionedThroughput"])
    asked = {name: copy.deepcopy(schema[name]) for name in ("TableName", "KeySchema", "AttributeDefinitions")}
    asked["BillingMode"] = "PAY_PER_REQUEST" if on_demand else "PROVISIONED"
    if not on_demand:
        asked["ProvisionedThroughput"] = _units(schema["ProvisionedThroughput"])
    for kind, parts in (("GlobalSecondaryIndexes", index_parts), ("LocalSecondaryIndexes", index_parts[:3])):
        if schema[kind]:
            asked[kind] = [{part: copy.deepcopy(index[part]) for part in parts if part in index}
                           for index in schema[kind]]
    if "OnDemandThroughput" in schema:
        asked["OnDemandThroughput"] = schema["OnDemandThroughput"]
    if "TableClassSummary" in schema:
        asked["TableClass"] = schema["TableClassSummary"]["TableClass"]
    if schema.get("SSEDescription"):
        asked["SSESpecification"] = {"Enabled": True, "SSEType": schema["SSEDescription"].get("SSEType", "KMS")}
    return asked


def _overridden(settings: dict, overrides: dict, *, only: bool = False) -> dict:
    """UpdateTable's settings with a replica's own in place of the shared ones; ``only``: nothing but its own."""
    found = {} if only else dict(settings)
    reads = overrides.get("ProvisionedThroughputOverride", {}).get("ReadCapacityUnits")
    if reads and settings.get("ProvisionedThroughput"):
        found["ProvisionedThroughput"] = _units(settings["ProvisionedThroughput"]) | {"ReadCapacityUnits": reads}
    most = overrides.get("OnDemandThroughputOverride", {}).get("MaxReadRequestUnits")
    if most and "OnDemandThroughput" in settings:
        found["OnDemandThroughput"] = settings["OnDemandThroughput"] | {"MaxReadRequestUnits": most}
    if "TableClassOverride" in overrides:
        found.pop("TableClass", None)
        if only:
            found["TableClass"] = overrides["TableClassOverride"]
    return found


def _units(throughput: dict) -> dict:
    return {name: throughput[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _ask(table: TableId, operation: str) -> dict:
    return json.loads(engine.call(table.account, table.region, operation, {"TableName": table.name}))


def _stream_view(specification: dict | None) -> str | None:
    """The view type that a StreamSpecification asks for, None where it asks for no stream."""
    if specification is None or not specification["StreamEnabled"]:
        if specification and specification.get("StreamViewType"):
            raise invalid_values("StreamViewType can only be specified when StreamEnabled is true")
        return None
    view = specification.get("StreamViewType")
    if view is None:
        raise invalid_values("StreamViewType is required when StreamEnabled is true")
    if view not in VIEW_TYPES:
        raise invalid(f"1 validation error detected: Value '{view}' at 'streamSpecification.streamViewType' failed "
                      f"to satisfy constraint: Member must satisfy enum value set: [{', '.join(VIEW_TYPES)}]")
    return view


def _describe_capacity(description: dict, life: Life, now: float) -> None:
    description["ProvisionedThroughput"].setdefault("NumberOfDecreasesToday", 0)
    if description.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        description.pop("BillingModeSummary", None)
        description.pop("WarmThroughput", None)
        return
    if now < life.ready:  # these two appear only with ACTIVE
        description.pop("WarmThroughput", None)
        description["BillingModeSummary"].pop("LastUpdateToPayPerRequestDateTime", None)
    else:
        description["WarmThroughput"] = dict(_WARM_ON_DEMAND)
        description["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = life.on_demand_since or life.ready


def _expired(attribute: dict | None, now: float) -> bool:
    """A number of epoch seconds that has passed; what is more than five years old is left alone, as on AWS."""
    try:
        return now - 5 * 365 * 86400 < float(attribute["N"]) <= now
    except (TypeError, KeyError, ValueError):
        return False


