"""CreateTable and UpdateTable: what the service refuses and the engine's library does not. Pure.

Each function raises Refusal, with the service's text.
"""

from __future__ import annotations

from collections.abc import Iterator

from gtlab.localcloud.model import Refusal, invalid, invalid_values

_LONGEST_NAME = 255  # characters of a key attribute's name
_UNITS = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
_BESIDES_WARM = ("BillingMode", "ProvisionedThroughput", "OnDemandThroughput", "TableClass", "SSESpecification",
                 "StreamSpecification", "DeletionProtectionEnabled", "AttributeDefinitions")


def check_create(data: dict) -> None:
    _check_names(data)
    on_demand = data.get("BillingMode") == "PAY_PER_REQUEST"
    _check_units(data, data.get("GlobalSecondaryIndexes", ()), on_demand=on_demand)


def check_update(data: dict, described: dict) -> None:
    """``described``: the table's description before the update, with its warm throughput."""
    _check_names(data)
    updates = data.get("GlobalSecondaryIndexUpdates", ())
    indexes = {index["IndexName"]: index for index in described.get("GlobalSecondaryIndexes", ())}
    for update in updates:
        if len(update) != 1:
            raise invalid_values("Each element of GlobalSecondaryIndexUpdates must have one action: Create, Update or "
                                 "Delete")
        for kind in ("Update", "Delete"):
            name = update.get(kind, {}).get("IndexName")
            if name is not None and name not in indexes:
                raise Refusal("ResourceNotFoundException", f"Requested resource not found: Index {name} for table "
                              f"{described['TableName']}")
    mode = data.get("BillingMode") or described.get("BillingModeSummary", {}).get("BillingMode")
    changed = [update[kind] for update in updates for kind in ("Create", "Update") if kind in update]
    _check_units(data, changed, on_demand=mode == "PAY_PER_REQUEST")
    if data.get("WarmThroughput") and any(name in data for name in _BESIDES_WARM):
        raise invalid_values("WarmThroughput must be the only operation in the request")
    _check_warm(data.get("WarmThroughput"), described, "table")
    for update in changed:
        if update["IndexName"] in indexes:
            _check_warm(update.get("WarmThroughput"), indexes[update["IndexName"]], f"index {update['IndexName']}")


def _check_names(data: dict) -> None:
    """Refuse names of key attributes that are too long, all of them together."""
    failures = [f"Value '{name}' at '{place}' failed to satisfy constraint: Member must have length less than or equal "
                f"to {_LONGEST_NAME}" for place, name in _names(data) if len(name) > _LONGEST_NAME]
    if failures:
        raise invalid(f"{len(failures)} validation error{'s' if len(failures) > 1 else ''} detected: "
                      + "; ".join(failures))


def _names(data: dict) -> Iterator[tuple[str, str]]:
    """Places and names of the attributes that a request makes keys."""
    for place in ("attributeDefinitions", "keySchema"):
        for number, each in enumerate(data.get(place[0].upper() + place[1:], ()), start=1):
            yield f"{place}.{number}.member.attributeName", each["AttributeName"]
    for place in ("globalSecondaryIndexes", "localSecondaryIndexes"):
        for at, index in enumerate(data.get(place[0].upper() + place[1:], ()), start=1):
            for number, each in enumerate(index["KeySchema"], start=1):
                yield f"{place}.{at}.member.keySchema.{number}.member.attributeName", each["AttributeName"]


def _check_units(data: dict, indexes: list[dict] | tuple, *, on_demand: bool) -> None:
    """Refuse provisioned units of a table or an index that is on demand."""
    if not on_demand:
        return
    if "ProvisionedThroughput" in data:
        raise invalid_values("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                             "PAY_PER_REQUEST")
    for index in indexes:
        if "ProvisionedThroughput" in index:
            raise invalid_values(f"ProvisionedThroughput should not be specified for index: {index['IndexName']} when "
                                 "BillingMode is PAY_PER_REQUEST")


def _check_warm(asked: dict | None, described: dict, what: str) -> None:
    """Refuse to lower the warm throughput."""
    if asked is None:
        return
    if not asked:
        raise invalid_values("WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond "
                             f"specified for {what.replace('index ', 'index: ')}")
    for name in _UNITS:
        if name in asked and asked[name] < described["WarmThroughput"][name]:
            raise invalid_values(f"Requested {name} for WarmThroughput for {what} is lower than current "
                                 "WarmThroughput, decreasing WarmThroughput is not supported")
