"""What the service itself does to the tables of global tables: it creates, changes and drops them."""

from __future__ import annotations

import copy

from gtlab.localcloud import engine
from gtlab.localcloud.model import TableId
from gtlab.localcloud.tables.tables import Tables, stream_view


def need_stream(tables: Tables, table: TableId, now: float) -> None:
    """Enable a replica's stream. A stream that is enabled already stays as it is."""
    if not tables.find(table).stream_view:
        tables.enable_stream(table, "NEW_AND_OLD_IMAGES", now)


def create(tables: Tables, source: TableId, there: TableId, *, ready: float, now: float, with_stream: bool) -> None:
    """Create a table like the source's in another Region; it is CREATING until ``ready``. Tags and deletion protection
    are each Region's own and not copied. An attempt that failed half-way can be repeated."""
    if not tables.exists(there):
        engine.create_table(tables.database, there, like(tables.database.schema(source)), now)
    life = tables.find(there)
    life.created, life.ready, life.ttl_attribute = round(now, 3), ready, tables.find(source).ttl_attribute
    if tables.is_on_demand(there):
        life.on_demand_since = ready
    if with_stream and not life.stream_view:
        tables.enable_stream(there, tables.find(source).stream_view or "NEW_AND_OLD_IMAGES", now)


def override(tables: Tables, table: TableId, overrides: dict, now: float) -> None:
    """Give a replica the settings that it does not share, as ReplicaUpdates names them."""
    if tables.exists(table):
        own = _own(tables.database.schema(table), overrides, on_demand=tables.is_on_demand(table))
        _update(tables, table, own, now)


def take_settings(tables: Tables, table: TableId, shared: dict, overrides: dict, now: float) -> None:
    """Change a replica as another one was changed (UpdateTable's input), except for what it overrides."""
    life, view = tables.find(table), stream_view(shared)
    if view and not life.stream_view:
        tables.enable_stream(table, view, now)
    if shared.get("BillingMode") == "PAY_PER_REQUEST":
        life.on_demand_since = now
    _update(tables, table, _without_overridden(shared, overrides), now)
    override(tables, table, overrides, now)


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
                   "OnDemandThroughput" if on_demand else "ProvisionedThroughput"]
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


def _own(schema: dict, overrides: dict, *, on_demand: bool) -> dict:
    """UpdateTable's settings that give a table what it overrides and does not have yet."""
    found: dict = {}
    if "TableClassOverride" in overrides:
        found["TableClass"] = overrides["TableClassOverride"]
    if overrides.get("KMSMasterKeyId") and (schema.get("SSEDescription") or {}).get("Status") == "ENABLED":
        found["SSESpecification"] = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": overrides["KMSMasterKeyId"]}
    if found.get("TableClass") == schema.get("TableClassSummary", {}).get("TableClass"):
        found.pop("TableClass", None)
    found |= _own_units(schema, overrides, on_demand=on_demand)
    indexes = {index["IndexName"]: index for index in overrides.get("GlobalSecondaryIndexes", ())}
    updates = [{"IndexName": index["IndexName"]} | _own_units(index, indexes[index["IndexName"]], on_demand=on_demand)
               for index in schema["GlobalSecondaryIndexes"] if index["IndexName"] in indexes]
    updates = [update for update in updates if len(update) > 1]
    return found | ({"GlobalSecondaryIndexUpdates": [{"Update": update} for update in updates]} if updates else {})


def _own_units(described: dict, overrides: dict, *, on_demand: bool) -> dict:
    """The read units of a table or an index, where it overrides them and has others."""
    if not on_demand:
        units = _units(described["ProvisionedThroughput"])
        own = units | overrides.get("ProvisionedThroughputOverride", {})
        return {"ProvisionedThroughput": own} if own != units else {}
    units = described.get("OnDemandThroughput", {})
    own = overrides.get("OnDemandThroughputOverride", {})
    return {"OnDemandThroughput": own} if own and units.get("MaxReadRequestUnits", -1) != own.get(
        "MaxReadRequestUnits", -1) else {}


def _without_overridden(shared: dict, overrides: dict) -> dict:
    """What another replica's UpdateTable changes in a replica. A key belongs to its Region."""
    found = _with_own_units(shared, overrides)
    if "TableClassOverride" in overrides:
        found.pop("TableClass", None)
    if "SSESpecification" in found:
        found["SSESpecification"] = {name: value for name, value in found["SSESpecification"].items()
                                     if name != "KMSMasterKeyId"}
    indexes = {index["IndexName"]: index for index in overrides.get("GlobalSecondaryIndexes", ())}
    if "GlobalSecondaryIndexUpdates" in found:
        found["GlobalSecondaryIndexUpdates"] = [
            {action: _with_own_units(index, indexes.get(index["IndexName"], {})) for action, index in update.items()}
            for update in found["GlobalSecondaryIndexUpdates"]]
    return found


def _with_own_units(asked: dict, overrides: dict) -> dict:
    """Settings of a table or an index with the read units that a replica overrides."""
    return asked | {name: asked[name] | overrides[f"{name}Override"]
                    for name in ("ProvisionedThroughput", "OnDemandThroughput")
                    if name in asked and f"{name}Override" in overrides}


def _units(throughput: dict) -> dict:
    return {name: throughput[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
