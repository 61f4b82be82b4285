"""UpdateTable in one Region, without replicas and streams: its rules, and the changes of the table's description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gtlab.localcloud.engine import table_rules as rules
from gtlab.localcloud.engine.create_table import encryption, global_index, units_of
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.engine.table_rules import BOTH_UNITS, MOST_REQUEST_UNITS, ON_DEMAND, WARM_UNITS
from gtlab.localcloud.model import Refusal, invalid, invalid_values

# What makes a request a change, in the order of the service's text, which also names members that are not public.
_CHANGES = ("ProvisionedThroughput", "BillingMode", "UpdateStreamEnabled", "GlobalSecondaryIndexUpdates",
            "SSESpecification", "ReplicaUpdates", "MultiAccountReplicaReady", "ReplicaTransitRoleArn",
            "MultiRegionConsistency", "DeletionProtectionEnabled", "OnDemandThroughput", "WarmThroughput")
# Members that must be alone in a request, and how the service's text begins.
_ALONE = {"SSESpecification": "Server-Side Encryption modification", "TableClass": "TableClass modification",
          "DeletionProtectionEnabled": "DeletionProtection modification", "WarmThroughput": "WarmThroughput",
          "DisassociationProtectionEnabled": "DisassociationProtection modification"}
_ACTIONS = ("Update", "Create", "Delete")
_DAY_S = 86_400
_SILENT = ("TableName", "AttributeDefinitions")  # they are no changes by themselves
_ONE_AT_A_TIME = ("Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")


# Rules that need no table

def check(asked: dict[str, Any]) -> None:
    """Raise Refusal for an input of UpdateTable that the service refuses, whichever tables there are."""
    if "VectorIndexUpdates" in asked:
        raise invalid("gtlab's local cloud has no vector indexes: VectorIndexUpdates is not supported. Nothing was "
                      "changed.")
    if "GlobalTableSettingsReplicationMode" in asked:
        raise invalid("gtlab's local cloud has global tables within one account only: "
                      "GlobalTableSettingsReplicationMode is not supported. Nothing was changed.")
    check_changes(asked)
    _check_alone(asked, _changes(asked))
    if asked.get("BillingMode") == ON_DEMAND and "ProvisionedThroughput" in asked:
        raise invalid_values(rules.NEITHER_UNITS)
    rules.check_bounds(asked.get("ProvisionedThroughput"))
    if "GlobalSecondaryIndexUpdates" in asked:
        _check_index_updates(asked)
    _check_stream(asked.get("StreamSpecification"))
    rules.check_encryption(asked.get("SSESpecification"))


def check_changes(asked: dict[str, Any]) -> None:
    """Refuse a request with values that cannot be, and one that changes nothing, or nothing of an index.
    MultiRegionConsistency says how to create replicas, and is no change by itself."""
    rules.check_update_shapes(asked)
    changes = _changes(asked)
    if not changes - {"MultiRegionConsistency"}:
        named = [name for name in _CHANGES if name not in changes]
        raise invalid(f"At least one of {', '.join(named)} or TableClass is required")
    for name, index in updated_indexes(asked):
        if index.get("WarmThroughput") == {}:
            raise invalid_values("WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond "
                                 f"specified for index: {name}")


def _changes(asked: dict[str, Any]) -> set[str]:
    """The members of a request that change something. Empty structures and lists do not, and neither do updates of
    witnesses that name no Region."""
    void = {"GlobalTableWitnessUpdates"} if not witness_updates(asked) else set()
    return {name for name, value in asked.items() if name not in _SILENT and value not in ({}, [])} - void


def witness_updates(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """A request's updates of witnesses. The service takes those that name no Region for absent, as captured by others.
    """
    return [each for each in asked.get("GlobalTableWitnessUpdates", ())
            if any(action.get("RegionName") for action in each.values())]


def _check_alone(asked: dict[str, Any], changes: set[str]) -> None:
    creates = any("Create" in update for update in asked.get("GlobalSecondaryIndexUpdates", ()))
    if creates and "WarmThroughput" in changes:
        raise invalid_values("Create global secondary index cannot be specified when updating WarmThroughput")
    for name, what in _ALONE.items():
        beside = changes - ({name, "GlobalSecondaryIndexUpdates"} if name == "WarmThroughput" else {name})
        if name in changes and beside:
            raise invalid_values(f"{what} must be the only operation in the request")
    if "OnDemandThroughput" in changes and changes - {"OnDemandThroughput", "BillingMode"}:
        raise invalid_values("OnDemandThroughput can only be combined with BillingMode in an UpdateTable request")
    if {"StreamSpecification", "ProvisionedThroughput"} <= changes:
        raise invalid_values("You cannot modify stream status while updating table IOPS")


def _check_index_updates(asked: dict[str, Any]) -> None:
    updates = asked["GlobalSecondaryIndexUpdates"]
    if not updates:
        raise invalid_values("List of GlobalSecondaryIndexUpdates is empty")
    seen = set[str]()
    for update in updates:
        if not update:
            raise invalid_values("One of " + ", ".join(f"GlobalSecondaryIndexUpdate.{action}" for action in _ACTIONS)
                                 + " must not be null")
        if len(update) > 1:
            raise invalid_values("Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate "
                                 "object")
        (_, index), = update.items()
        if index["IndexName"] in seen:
            raise invalid_values("Only one global secondary index update per index is allowed simultaneously. Index: "
                                 + index["IndexName"])
        seen.add(index["IndexName"])
        if index.get("WarmThroughput") == {}:
            raise invalid_values("WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond "
                                 f"specified for index: {index['IndexName']}")
    if any("Update" not in update for update in updates):
        if "ProvisionedThroughput" in asked and "BillingMode" not in asked:
            raise invalid_values("You cannot create or delete index while updating table IOPS")
        if "StreamSpecification" in asked:
            raise invalid_values("You cannot create or delete index while changing stream status")


def _check_stream(specification: dict[str, Any] | None) -> None:
    if specification is None:
        return
    if specification["StreamEnabled"] and "StreamViewType" not in specification:
        raise invalid_values("If stream is being enabled then UpdateViewType is required")
    if not specification["StreamEnabled"] and "StreamViewType" in specification:
        raise invalid_values("If stream is being disabled, then UpdateViewType must not be specified")


# Rules for a table

def check_table(table: Table, asked: dict[str, Any], warm: dict[str, dict[str, int]]) -> None:
    """Raise Refusal for an input that passed :func:`check` and that this table does not allow. ``warm``: the warm
    throughput that the table has ("") and that its indexes have, by name."""
    was_on_demand = _is_on_demand(table)
    on_demand = asked.get("BillingMode", ON_DEMAND if was_on_demand else "") == ON_DEMAND
    units = asked.get("ProvisionedThroughput")
    if units and on_demand:
        raise invalid_values(rules.NEITHER_UNITS)
    if asked.get("BillingMode") == "PROVISIONED" and not units:
        raise invalid_values("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
    rules.check_request_units(asked.get("OnDemandThroughput"), on_demand=on_demand, least=_is_a_new_maximum,
                              what="table", texts=("", "the table BillingMode is PROVISIONED"))
    if units and not was_on_demand:
        _check_changes(table.described["ProvisionedThroughput"], units, "table")
    _check_indexes(table, asked, on_demand=on_demand)
    _check_warm(asked.get("WarmThroughput"), warm[""], "table")
    for name, index in updated_indexes(asked):
        _check_warm(index.get("WarmThroughput"), warm[name], f"index {name}")
    specification = asked.get("SSESpecification")
    if specification is not None:
        _check_encryption(table, specification)


def _is_on_demand(table: Table) -> bool:
    return table.described["BillingModeSummary"]["BillingMode"] == ON_DEMAND


def _is_a_new_maximum(units: int) -> bool:
    return units >= 1 or units == -1  # which removes the maximum


def _check_changes(has: dict[str, Any], asked: dict[str, Any], what: str) -> None:
    if all(has[name] == asked[name] for name in BOTH_UNITS):
        told = " ".join(f"Current {name} provisioned for the table: {has[name]}. Requested {name}: {asked[name]}."
                        for name in BOTH_UNITS)
        raise invalid(f"The provisioned throughput for the {what} will not change. The requested value equals the "
                      f"current value. {told} Refer to the Amazon DynamoDB Developer Guide for current limits and how "
                      "to request higher limits.")


def updated_indexes(asked: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and action of the indexes that a request updates."""
    for update in asked.get("GlobalSecondaryIndexUpdates", ()):
        if "Update" in update:
            yield update["Update"]["IndexName"], update["Update"]


def _check_indexes(table: Table, asked: dict[str, Any], *, on_demand: bool) -> None:
    indexes = {index["IndexName"]: index for index in table.described["GlobalSecondaryIndexes"]}
    locals_ = {index["IndexName"] for index in table.described["LocalSecondaryIndexes"]}
    updates = asked.get("GlobalSecondaryIndexUpdates", ())
    building = sum(index["IndexStatus"] in ("CREATING", "DELETING") for index in indexes.values())
    for update in updates:
        (action, index), = update.items()
        name = index["IndexName"]
        if action == "Create":
            if name in indexes or name in locals_:
                raise invalid("Attempting to create an index which already exists")
            _check_new_index(table, asked, index, on_demand=on_demand)
        elif name in locals_:
            raise invalid(f"Cannot {action.lower()} an index that is not a GlobalSecondaryIndex: {name}")
        elif name not in indexes:
            raise Refusal("ResourceNotFoundException",
                          f"Requested resource not found: Index {name} for table {table.id.name}")
        elif action == "Update":
            _check_index_update(indexes[name], index, on_demand=on_demand, was_on_demand=_is_on_demand(table))
        building += action != "Update"
    if building > 1 and any("Update" not in update for update in updates):
        raise Refusal("LimitExceededException", _ONE_AT_A_TIME)
    new = [update["Create"] for update in updates if "Create" in update]
    if len(indexes) + len(new) > rules.MOST_GLOBAL_INDEXES:
        raise Refusal("LimitExceededException", "GlobalSecondaryIndex count exceeds the per-table limit of "
                      f"{rules.MOST_GLOBAL_INDEXES}")
    if new:
        rules.check_projected((*indexes.values(), *table.described["LocalSecondaryIndexes"], *new))
    if asked.get("BillingMode") == "PROVISIONED" and _is_on_demand(table):
        given = {name for name, index in updated_indexes(asked) if "ProvisionedThroughput" in index}
        for name in indexes:
            if name not in given:
                raise invalid_values(f"ProvisionedThroughput must be specified for index: {name}")


def _check_new_index(table: Table, asked: dict[str, Any], index: dict[str, Any], *, on_demand: bool) -> None:
    name, keys = index["IndexName"], rules.names(index["KeySchema"])
    defined = rules.names(asked.get("AttributeDefinitions", ()))
    if not defined:
        raise invalid_values(f"AttributeDefinitions is not specified for index: {name}")
    rules.check_defined(keys, defined)
    types = {each["AttributeName"]: each["AttributeType"] for each in table.described["AttributeDefinitions"]}
    for each in asked["AttributeDefinitions"]:
        has = types.get(each["AttributeName"], each["AttributeType"])
        if each["AttributeType"] != has:
            raise invalid_values(f"Attribute {each['AttributeName']} is a key attribute of type {has} already")
    rules.check_many_keys(index["KeySchema"])
    rules.check_projection(index["Projection"])
    units = index.get("ProvisionedThroughput")
    if on_demand and units:
        raise invalid_values("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: "
                             f"{name} when BillingMode is PAY_PER_REQUEST")
    if not on_demand and not units:
        raise invalid_values(f"Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {name}")
    rules.check_bounds(units)
    _check_index_request_units(index, on_demand=on_demand)


def _check_index_request_units(index: dict[str, Any], *, on_demand: bool) -> None:
    name = index["IndexName"]
    rules.check_request_units(index.get("OnDemandThroughput"), on_demand=on_demand, least=_is_a_new_maximum,
                              what=f"index : {name}",
                              texts=(f" for index: {name}", "the table BillingMode is PROVISIONED"))


def _check_index_update(has: dict[str, Any], asked: dict[str, Any], *, on_demand: bool, was_on_demand: bool) -> None:
    name, units = asked["IndexName"], asked.get("ProvisionedThroughput")
    if on_demand and (units or not (asked.get("OnDemandThroughput") or asked.get("WarmThroughput"))):
        raise invalid_values(f"The only Updates for index: {name} when TableThroughputMode is PAY_PER_REQUEST can be "
                             "to OnDemandThroughput, WarmThroughput")
    _check_index_request_units(asked, on_demand=on_demand)
    if units:
        rules.check_bounds(units)
        if not was_on_demand:
            _check_changes(has["ProvisionedThroughput"], units, f"index {name}")


def _check_warm(asked: dict[str, Any] | None, has: dict[str, int], what: str) -> None:
    """Refuse to lower the warm throughput."""
    for name in WARM_UNITS:
        if asked and name in asked and asked[name] < has[name]:
            raise invalid_values(f"Requested {name} for WarmThroughput for {what} is lower than current "
                                 "WarmThroughput, decreasing WarmThroughput is not supported")


def _check_encryption(table: Table, asked: dict[str, Any]) -> None:
    has = table.described["SSEDescription"] or {}
    enabled = has.get("Status") == "ENABLED"
    if not asked.get("Enabled") and not enabled:
        raise invalid_values("Table is already encrypted by default")
    new = encryption(table.id, asked)
    if enabled and new and "KMSMasterKeyId" in asked and new["KMSMasterKeyArn"] == has["KMSMasterKeyArn"]:
        raise invalid_values("Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if "
                             "you want to change Master Key")


# The change

def change(table: Table, asked: dict[str, Any], now: float) -> None:
    """Change a table's description by an input of UpdateTable that was checked, here or where it was asked for. What
    does not apply to this table (an index that it has already, or does not have) changes nothing."""
    described = table.described
    if (described["SSEDescription"] or {}).get("Status") == "DISABLED" and "SSESpecification" not in asked:
        described["SSEDescription"] = None  # it is off by now
    if "BillingMode" in asked:
        _change_billing(described, asked["BillingMode"], now)
    if "ProvisionedThroughput" in asked and not _is_on_demand(table):
        described["ProvisionedThroughput"] = _changed_units(described["ProvisionedThroughput"],
                                                            asked["ProvisionedThroughput"], now)
    if "SSESpecification" in asked:
        _change_encryption(table, asked["SSESpecification"])
    if "DeletionProtectionEnabled" in asked:
        described["DeletionProtectionEnabled"] = asked["DeletionProtectionEnabled"]
    if "TableClass" in asked:
        described["TableClassSummary"] = {"TableClass": asked["TableClass"], "LastUpdateDateTime": round(now, 3)}
    _change_more_units(described, asked)
    for update in asked.get("GlobalSecondaryIndexUpdates", ()):
        (action, index), = update.items()
        _change_index(table, action, index, asked.get("AttributeDefinitions", ()), now)
    _forget_unused_definitions(table)


def _change_billing(described: dict[str, Any], mode: str, now: float) -> None:
    described["BillingModeSummary"] = {"BillingMode": mode}
    if mode != ON_DEMAND:
        for each in (described, *described["GlobalSecondaryIndexes"]):
            each.pop("OnDemandThroughput", None)
    else:
        described["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = round(now, 3)
        for each in (described, *described["GlobalSecondaryIndexes"]):
            each["ProvisionedThroughput"] = units_of({}, on_demand=True)


def _changed_units(has: dict[str, Any], asked: dict[str, Any], now: float) -> dict[str, Any]:
    """A provisioned throughput after a change, with the times of its latest changes."""
    found = has | {name: asked[name] for name in BOTH_UNITS}
    if any(asked[name] > has[name] for name in BOTH_UNITS):
        found["LastIncreaseDateTime"] = round(now, 3)
    if any(asked[name] < has[name] for name in BOTH_UNITS):
        found |= {"NumberOfDecreasesToday": decreases_today(has, now) + 1, "LastDecreaseDateTime": round(now, 3)}
    return found


def decreases_today(units: dict[str, Any], now: float) -> int:
    """How often a provisioned throughput has been decreased on this day, which begins at midnight UTC."""
    if units.get("LastDecreaseDateTime", 0) // _DAY_S < now // _DAY_S:
        return 0
    return units.get("NumberOfDecreasesToday", 0)


def _change_encryption(table: Table, asked: dict[str, Any]) -> None:
    """A key that is no longer used is kept: it is shown until the change is over."""
    has = table.described["SSEDescription"]
    new = encryption(table.id, asked)
    table.described["SSEDescription"] = new or (has and has | {"Status": "DISABLED"})


def _change_more_units(described: dict[str, Any], asked: dict[str, Any]) -> None:
    """OnDemandThroughput and WarmThroughput of a table or an index."""
    if asked.get("OnDemandThroughput"):
        units = dict.fromkeys(MOST_REQUEST_UNITS, -1) | described.get("OnDemandThroughput", {}) | {
            name: value for name, value in asked["OnDemandThroughput"].items() if name in MOST_REQUEST_UNITS}
        if any(value != -1 for value in units.values()):
            described["OnDemandThroughput"] = units
        else:
            described.pop("OnDemandThroughput", None)
    if asked.get("WarmThroughput"):
        described["WarmThroughput"] = described.get("WarmThroughput", {}) | {
            name: value for name, value in asked["WarmThroughput"].items() if name in WARM_UNITS}


def _change_index(table: Table, action: str, asked: dict[str, Any], definitions: Any, now: float) -> None:
    described, name = table.described, asked["IndexName"]
    indexes = described["GlobalSecondaryIndexes"]
    has = next((index for index in indexes if index["IndexName"] == name), None)
    if action == "Create" and has is None:
        known = rules.names(described["AttributeDefinitions"])
        described["AttributeDefinitions"] += [dict(each) for each in definitions if each["AttributeName"] not in known]
        indexes.append(global_index(table.id, asked, on_demand=_is_on_demand(table)))
    elif action == "Delete" and has is not None:
        table.items.keep_indexes({index.name for index in table.indexes()} - {name})
        indexes.remove(has)  # last, so that an attempt that failed half-way can be repeated
    elif action == "Update" and has is not None:
        if "ProvisionedThroughput" in asked and not _is_on_demand(table):
            has["ProvisionedThroughput"] = _changed_units(has["ProvisionedThroughput"], asked["ProvisionedThroughput"],
                                                          now)
        _change_more_units(has, asked)


def _forget_unused_definitions(table: Table) -> None:
    described = table.described
    with_keys = (described, *described["GlobalSecondaryIndexes"], *described["LocalSecondaryIndexes"])
    used = {element["AttributeName"] for each in with_keys for element in each["KeySchema"]}
    described["AttributeDefinitions"] = [each for each in described["AttributeDefinitions"]
                                         if each["AttributeName"] in used]
