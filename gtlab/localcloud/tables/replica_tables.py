"""What the service itself does to the tables of global tables: it creates, changes and drops them."""

from __future__ import annotations

import copy

from gtlab.localcloud import engine
from gtlab.localcloud.model import TableId
from gtlab.localcloud.tables.table_status import Life
from gtlab.localcloud.tables.tables import Tables, stream_view


def need_stream(tables: Tables, table: TableId, now: float) -> None:
    """Enable a replica's stream. A stream that is enabled already stays as it is."""
    if not tables.find(table).stream_view:
        tables.enable_stream(table, "NEW_AND_OLD_IMAGES", now)


def create(tables: Tables, source: TableId, there: TableId, *, ready: float, now: float, with_stream: bool) -> None:
    """Create a table like the source's in another Region; it is CREATING until ``ready``. Tags and deletion protection
    are each Region's own and not copied."""
    engine.create_table(tables.database, there, like(tables.database.schema(source)), now)
    life = Life(created=round(now, 3), ready=ready, ttl_attribute=tables.find(source).ttl_attribute)
    if tables.is_on_demand(there):
        life.on_demand_since = ready
    tables.add(there, life)
    if with_stream:
        tables.enable_stream(there, tables.find(source).stream_view or "NEW_AND_OLD_IMAGES", now)


def override(tables: Tables, table: TableId, overrides: dict, now: float) -> None:
    """Give a replica the settings that it does not share, as ReplicaUpdates names them."""
    if tables.exists(table):
        schema = tables.database.schema(table)
        _update(tables, table, _overridden({
            "ProvisionedThroughput": schema["ProvisionedThroughput"],
            "OnDemandThroughput": schema.get("OnDemandThroughput", {})}, overrides, only=True), now)


def take_settings(tables: Tables, table: TableId, shared: dict, overrides: dict, now: float) -> None:
    """Change a replica as another one was changed (UpdateTable's input), except for what it overrides."""
    life, view = tables.find(table), stream_view(shared)
    if view and not life.stream_view:
        tables.enable_stream(table, view, now)
    if shared.get("BillingMode") == "PAY_PER_REQUEST":
        life.on_demand_since = now
    _update(tables, table, _overridden(shared, overrides), now)


def drop(tables: Tables, table: TableId, now: float, until: float) -> None:
    """Delete a replica's table; its Region shows it as DELETING for a while. Does nothing if it does not exist."""
    if tables.exists(table):
        tables.remove(table, now).gone = until


def _update(tables: Tables, table: TableId, settings: dict, now: float) -> None:
    """A change that was checked where it was requested."""
    if settings:
        tables.indexes.change(table, settings, now)
        tables.busy(table, tables.indexes.resources_until(table))


def like(schema: dict) -> dict:
    """CreateTable's input for a table like this one."""
    on_demand = schema["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    index_parts = ["IndexName", "KeySchema", "Projection", "WarmThroughput",
                   *([] if on_demand else ["ProvisionedThroughput"])]
    asked = {name: copy.deepcopy(schema[name]) for name in ("TableName", "KeySchema", "AttributeDefinitions")}
    asked["BillingMode"] = "PAY_PER_REQUEST" if on_demand else "PROVISIONED"
    if not on_demand:
        asked["ProvisionedThroughput"] = _units(schema["ProvisionedThroughput"])
    for kind, parts in (("GlobalSecondaryIndexes", index_parts), ("LocalSecondaryIndexes", index_parts[:3])):
        if schema[kind]:
            asked[kind] = [{part: copy.deepcopy(index[part]) for part in parts if part in index}
                           for index in schema[kind] if index.get("IndexStatus") != "DELETING"]
    for name in ("WarmThroughput", "OnDemandThroughput"):
        if name in schema:
            asked[name] = schema[name]
    if "TableClassSummary" in schema:
        asked["TableClass"] = schema["TableClassSummary"]["TableClass"]
    if (schema.get("SSEDescription") or {}).get("Status", "DISABLED") != "DISABLED":
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
