"""The settings that a replica does not share with its group: how they change, which are refused, and which apply.

They are kept as ReplicaUpdates names them. What they change in the replica's own table is the task of
:mod:`gtlab.localcloud.tables.replica_tables`.
"""

from __future__ import annotations

from typing import Any

from gtlab.localcloud.engine import table_rules as rules
from gtlab.localcloud.engine.constraints import at_least, check, length, members_of, structure
from gtlab.localcloud.model import invalid, invalid_values

_INDEXES, _PROVISIONED, _ON_DEMAND = "GlobalSecondaryIndexes", "ProvisionedThroughputOverride", (
    "OnDemandThroughputOverride")
_KEY, _CLASS = "KMSMasterKeyId", "TableClassOverride"
_UNITS = structure({"ReadCapacityUnits": at_least(1)})
_ACTION = structure({_PROVISIONED: _UNITS, _INDEXES: members_of(structure({"IndexName": length(3, 255),
                                                                           _PROVISIONED: _UNITS}))})
_SHAPE = structure({"ReplicaUpdates": members_of(structure({"Create": _ACTION, "Update": _ACTION}))})


def check_shapes(data: dict[str, Any]) -> None:
    """Refuse values that no replica can have. Raises Refusal."""
    check(data, _SHAPE)


def check_action(described: dict[str, Any], action: dict[str, Any], *, on_demand: bool) -> None:
    """Refuse settings that do not fit the group's tables, of which one is described. Raises Refusal."""
    if _CLASS in action:
        rules.check_class(action[_CLASS])
    names = {index["IndexName"] for index in described[_INDEXES]}
    for each in (action, *action.get(_INDEXES, ())):
        if "IndexName" in each and each["IndexName"] not in names:
            raise invalid_values(f"The table does not have the specified index: {each['IndexName']}")
        if on_demand and _PROVISIONED in each:
            raise invalid(rules.NEITHER_UNITS)
        of_index = f" for index: {each['IndexName']}" if "IndexName" in each else ""
        rules.check_request_units(each.get(_ON_DEMAND), on_demand=on_demand, least=_is_a_maximum,
                                  what=f"index : {each['IndexName']}" if of_index else "table",
                                  texts=(of_index, "the table BillingMode is PROVISIONED"))
    if _KEY in action and not _is_encrypted(described):
        raise invalid_values("KMSMasterKeyId can only be specified for a replica of a table that is encrypted with a "
                             "KMS key")


def _is_a_maximum(units: int) -> bool:
    return units >= 1 or units == -1  # which removes the maximum


def _is_encrypted(described: dict[str, Any]) -> bool:
    return (described.get("SSEDescription") or {}).get("Status", "DISABLED") != "DISABLED"


def merged(has: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    """A replica's settings after an action. Those of indexes are merged index by index."""
    found = has | {name: value for name, value in action.items() if name not in ("RegionName", _INDEXES)}
    if _INDEXES in action:
        indexes = {index["IndexName"]: index for index in has.get(_INDEXES, ())}
        for index in action[_INDEXES]:
            indexes[index["IndexName"]] = indexes.get(index["IndexName"], {}) | index
        found[_INDEXES] = list(indexes.values())
    return found


def after_update(has: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """A replica's settings after an UpdateTable in its own Region: what it overrides takes the new value."""
    found = {name: value for name, value in _asked(data).items() if name in has}
    indexes = {index["IndexName"]: index for index in has.get(_INDEXES, ())}
    updated = (update["Update"] for update in data.get("GlobalSecondaryIndexUpdates", ()) if "Update" in update)
    changed = [{"IndexName": index["IndexName"]} | {
        name: value for name, value in _asked(index).items() if name in indexes[index["IndexName"]]}
        for index in updated if index["IndexName"] in indexes]
    return merged(has, found | ({_INDEXES: changed} if changed else {}))


def without_indexes(has: dict[str, Any], deleted: list[str]) -> dict[str, Any]:
    """A replica's settings after indexes were deleted: later ones of the same names have none of theirs."""
    indexes = [index for index in has.get(_INDEXES, ()) if index["IndexName"] not in deleted]
    return {name: value for name, value in has.items() if name != _INDEXES} | ({_INDEXES: indexes} if indexes else {})


def _asked(data: dict[str, Any]) -> dict[str, Any]:
    """The settings in an UpdateTable that a replica can override."""
    found: dict[str, Any] = {}
    if "ProvisionedThroughput" in data:
        found[_PROVISIONED] = {"ReadCapacityUnits": data["ProvisionedThroughput"]["ReadCapacityUnits"]}
    if "MaxReadRequestUnits" in data.get("OnDemandThroughput", {}):
        found[_ON_DEMAND] = {"MaxReadRequestUnits": data["OnDemandThroughput"]["MaxReadRequestUnits"]}
    if "TableClass" in data:
        found[_CLASS] = data["TableClass"]
    return found


def applying(has: dict[str, Any], described: dict[str, Any], *, on_demand: bool) -> dict[str, Any]:
    """The settings that apply to the group's tables as they are, of which one is described."""
    hidden = {_PROVISIONED if on_demand else _ON_DEMAND, *(() if _is_encrypted(described) else (_KEY,))}
    names = {index["IndexName"] for index in described[_INDEXES]}
    found = {name: value for name, value in has.items() if name not in hidden and name != _INDEXES}
    indexes = [{name: value for name, value in index.items() if name not in hidden} for index in has.get(_INDEXES, ())
               if index["IndexName"] in names]
    indexes = [index for index in indexes if len(index) > 1]
    return found | ({_INDEXES: indexes} if indexes else {})
