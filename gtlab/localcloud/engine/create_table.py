"""CreateTable: its rules, and the description of the new table.

A table's description has the members of TableDescription that do not change over time; what changes (statuses, streams)
is the task of :mod:`gtlab.localcloud.tables`.
"""

from __future__ import annotations

import copy
import uuid
from typing import Any

from gtlab.localcloud.engine import table_rules as rules
from gtlab.localcloud.engine import tags
from gtlab.localcloud.engine.database import Database
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.engine.table_rules import BOTH_UNITS, MOST_REQUEST_UNITS, ON_DEMAND, WARM_UNITS
from gtlab.localcloud.model import TableId, in_use, invalid, invalid_values

_NEW_ON_DEMAND = dict(zip(WARM_UNITS, (12_000, 4_000), strict=True))  # what a new table on demand can take, as observed
_ABOUT_ON_DEMAND = ("https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
                    "#on-demand-capacity-mode-initial")


# Rules

def check(asked: dict[str, Any]) -> None:
    """Raise Refusal for an input of CreateTable that the service refuses, whichever tables there are."""
    rules.check_create_shapes(asked)
    if {"GlobalTableSourceArn", "GlobalTableSettingsReplicationMode"} & set(asked):
        raise invalid("gtlab's local cloud has global tables within one account only: GlobalTableSourceArn and "
                      "GlobalTableSettingsReplicationMode are not supported. Nothing was created.")
    if "VectorIndexes" in asked:
        raise invalid("gtlab's local cloud has no vector indexes: VectorIndexes is not supported. Nothing was created.")
    _check_throughput(asked)
    _check_keys(asked)
    indexes = (*asked.get("LocalSecondaryIndexes", ()), *asked.get("GlobalSecondaryIndexes", ()))
    if indexes:
        _check_definitions(asked, indexes)
        _check_local(asked)
        _check_global(asked)
        _check_index_names(indexes)
        rules.check_projected(indexes)
    _check_stream(asked.get("StreamSpecification"))
    rules.check_encryption(asked.get("SSESpecification"))
    tags.check_new(asked.get("Tags", []))


def _check_throughput(asked: dict[str, Any]) -> None:
    on_demand, units = asked.get("BillingMode") == ON_DEMAND, asked.get("ProvisionedThroughput")
    if on_demand and units:
        raise invalid_values(rules.NEITHER_UNITS)
    if not on_demand and not units:
        raise invalid_values("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is "
                             "PROVISIONED")
    rules.check_bounds(units)
    rules.check_request_units(asked.get("OnDemandThroughput"), on_demand=on_demand, least=_is_a_maximum, what="table",
                              texts=("", "table BillingMode is PROVISIONED."))
    _check_warm(asked.get("WarmThroughput"), units, "table")


def _is_a_maximum(units: int) -> bool:
    return units >= 1


def _check_warm(warm: dict[str, Any] | None, units: dict[str, Any] | None, what: str) -> None:
    """Refuse less than what a new table or index can take anyway."""
    for name, of in zip(WARM_UNITS, BOTH_UNITS, strict=True):
        if warm and name in warm:
            if not units and warm[name] < _NEW_ON_DEMAND[name]:
                raise invalid_values(f"Requested {name} for WarmThroughput for {what} is lower than initial throughput "
                                     f"for OnDemand. See: {_ABOUT_ON_DEMAND}")
            if units and warm[name] < units[of]:
                raise invalid_values(f"Requested {name} for WarmThroughput for {what} is lower than {of} of "
                                     "ProvisionedThroughput")


def _check_keys(asked: dict[str, Any]) -> None:
    definitions, elements = asked["AttributeDefinitions"], asked["KeySchema"]
    rules.check_once(definitions)
    defined, keys = rules.names(definitions), rules.names(elements)
    if len(keys) > len(defined):
        raise invalid("Invalid KeySchema: Some index key attribute have no definition")
    rules.check_defined(keys, defined)
    rules.check_two_keys(elements)
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if kind in asked and not asked[kind]:
            raise invalid_values(f"List of {kind} is empty")
    has_indexes = "LocalSecondaryIndexes" in asked or "GlobalSecondaryIndexes" in asked
    if not has_indexes and len(keys) != len(defined):
        raise invalid_values("Number of attributes in KeySchema does not exactly match number of attributes defined in "
                             "AttributeDefinitions")


def _check_definitions(asked: dict[str, Any], indexes: tuple[dict[str, Any], ...]) -> None:
    """The key attributes of the table and its indexes are exactly those that are defined."""
    defined, used = rules.names(asked["AttributeDefinitions"]), rules.names(asked["KeySchema"])
    for index in indexes:
        keys = rules.names(index["KeySchema"])
        rules.check_defined(keys, defined)
        used += keys
    used = list(dict.fromkeys(used))
    if len(used) < len(defined):
        raise invalid_values(f"Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(defined)}], "
                             f"keys used: [{', '.join(used)}]")


def _check_local(asked: dict[str, Any]) -> None:
    indexes, elements = asked.get("LocalSecondaryIndexes", ()), asked["KeySchema"]
    if indexes and len(elements) < 2:
        raise invalid_values("Table KeySchema does not have a range key, which is required when specifying a "
                             "LocalSecondaryIndex")
    for index in indexes:
        name, keys = index["IndexName"], index["KeySchema"]
        rules.check_two_keys(keys)
        if len(keys) < 2:
            raise invalid_values(f"Index KeySchema does not have a range key for index: {name}")
        own, tables = keys[0]["AttributeName"], elements[0]["AttributeName"]
        if own != tables:
            raise invalid_values("Index KeySchema does not have the same leading hash key as table KeySchema for "
                                 f"index: {name}. index hash key: {own}, table hash key: {tables}")
        rules.check_projection(index["Projection"])
    if len(indexes) > rules.MOST_LOCAL_INDEXES:
        raise invalid_values(f"Number of LocalSecondaryIndexes exceeds per-table limit of {rules.MOST_LOCAL_INDEXES}")


def _check_global(asked: dict[str, Any]) -> None:
    on_demand, indexes = asked.get("BillingMode") == ON_DEMAND, asked.get("GlobalSecondaryIndexes", ())
    for index in indexes:
        name, units = index["IndexName"], index.get("ProvisionedThroughput")
        rules.check_many_keys(index["KeySchema"])
        rules.check_projection(index["Projection"])
        if on_demand and units:
            raise invalid_values(f"ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                                 "PAY_PER_REQUEST")
        if not on_demand and not units:
            raise invalid_values(f"ProvisionedThroughput is not specified for index: {name}")
        rules.check_bounds(units)
        rules.check_request_units(
            index.get("OnDemandThroughput"), on_demand=on_demand, least=_is_a_maximum, what=f"index : {name}",
            texts=(f" for index: {name}", "table BillingMode is PROVISIONED."))
        _check_warm(index.get("WarmThroughput"), units, f"index {name}")
    if len(indexes) > rules.MOST_GLOBAL_INDEXES:
        raise invalid_values("GlobalSecondaryIndex count exceeds the per-table limit of "
                             f"{rules.MOST_GLOBAL_INDEXES}")


def _check_index_names(indexes: tuple[dict[str, Any], ...]) -> None:
    twice = rules.first_twice([index["IndexName"] for index in indexes])
    if twice is not None:
        raise invalid_values(f"Duplicate index name: {twice}")


def _check_stream(specification: dict[str, Any] | None) -> None:
    if specification is None:
        return
    if specification["StreamEnabled"] and "StreamViewType" not in specification:
        raise invalid_values("Table is being created with a stream enabled, UpdateViewType is required")
    if not specification["StreamEnabled"] and "StreamViewType" in specification:
        raise invalid_values("Table is being created with a stream disabled, UpdateViewType should not be specified")


# The new table

def create(database: Database, table: TableId, asked: dict[str, Any], now: float) -> Table:
    """Create an empty table from an input of CreateTable that has been checked. Its stream is not created. Raises
    Refusal if the table exists."""
    if database.exists(table):
        raise in_use(f"Table already exists: {table.name}")
    created = database.add(table, _described(table, asked, now))
    if asked.get("Tags"):
        tags.put(database, table, asked["Tags"])
    return created


def _described(table: TableId, asked: dict[str, Any], now: float) -> dict[str, Any]:
    on_demand = asked.get("BillingMode") == ON_DEMAND
    described = {
        "TableName": table.name,
        "KeySchema": copy.deepcopy(asked["KeySchema"]),
        "AttributeDefinitions": copy.deepcopy(asked["AttributeDefinitions"]),
        "TableStatus": "ACTIVE",
        "CreationDateTime": round(now, 3),
        "ItemCount": 0,
        "TableSizeBytes": 0,
        "TableArn": table.arn,
        "TableId": str(uuid.uuid4()),  # random, so that a table never has the ID of an earlier one of its name
        "GlobalSecondaryIndexes": [global_index(table, each, on_demand=on_demand)
                                   for each in asked.get("GlobalSecondaryIndexes", ())],
        "LocalSecondaryIndexes": [_index(table, each) for each in asked.get("LocalSecondaryIndexes", ())],
        "ProvisionedThroughput": units_of(asked, on_demand=on_demand),
        "BillingModeSummary": {"BillingMode": ON_DEMAND if on_demand else "PROVISIONED"},
        "StreamSpecification": None,
        "SSEDescription": encryption(table, asked.get("SSESpecification")),
        "DeletionProtectionEnabled": asked.get("DeletionProtectionEnabled", False),
    }
    if "TableClass" in asked:
        described["TableClassSummary"] = {"TableClass": asked["TableClass"], "LastUpdateDateTime": round(now, 3)}
    return described | _more_units(asked)


def _index(table: TableId, asked: dict[str, Any]) -> dict[str, Any]:
    return {"IndexName": asked["IndexName"], "KeySchema": copy.deepcopy(asked["KeySchema"]),
            "Projection": copy.deepcopy(asked["Projection"]), "IndexSizeBytes": 0, "ItemCount": 0,
            "IndexArn": f"{table.arn}/index/{asked['IndexName']}"}


def global_index(table: TableId, asked: dict[str, Any], *, on_demand: bool) -> dict[str, Any]:
    """The description of a new global index."""
    return _index(table, asked) | {
        "IndexStatus": "ACTIVE", "ProvisionedThroughput": units_of(asked, on_demand=on_demand)} | _more_units(asked)


def units_of(asked: dict[str, Any], *, on_demand: bool) -> dict[str, Any]:
    """The provisioned throughput of a table or an index."""
    units = {} if on_demand else asked.get("ProvisionedThroughput", {})
    return {name: units.get(name, 0) for name in BOTH_UNITS}


def _more_units(asked: dict[str, Any]) -> dict[str, Any]:
    """The throughput of a table or an index beside the provisioned one, where it is asked for."""
    found: dict[str, Any] = {}
    if asked.get("OnDemandThroughput"):
        found["OnDemandThroughput"] = {name: asked["OnDemandThroughput"].get(name, -1) for name in MOST_REQUEST_UNITS}
    if asked.get("WarmThroughput"):
        found["WarmThroughput"] = {name: asked["WarmThroughput"][name] for name in WARM_UNITS
                                   if name in asked["WarmThroughput"]}
    return found


def encryption(table: TableId, asked: dict[str, Any] | None) -> dict[str, Any] | None:
    """SSEDescription; None for the key that is DynamoDB's own. There is no KMS here: a key is named, and not looked
    for."""
    if not asked or not asked.get("Enabled"):
        return None
    return {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": _key_arn(table, asked.get("KMSMasterKeyId"))}


def _key_arn(table: TableId, name: str | None) -> str:
    if name and name.startswith("arn:"):
        return name
    keys = f"arn:aws:kms:{table.region}:{table.account}:"
    return keys + (f"key/{name}" if name and not name.startswith("alias/") else name or "alias/aws/dynamodb")
