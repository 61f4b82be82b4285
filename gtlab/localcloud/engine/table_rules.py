"""What CreateTable and UpdateTable have in common: constraints of their shapes, and the rules for key schemas,
projections, encryption and throughput. Each function raises Refusal.

Texts and their order: the API reference, and answers that others captured on AWS (October 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gtlab.localcloud.engine import constraints
from gtlab.localcloud.engine.constraints import at_least, choice, every, length, members_of, pattern, structure
from gtlab.localcloud.model import invalid, invalid_values

ON_DEMAND = "PAY_PER_REQUEST"
MOST_GLOBAL_INDEXES, MOST_LOCAL_INDEXES = 20, 5
MOST_PROJECTED = 100        # attributes that all indexes of a table together name in their projections
MOST_KEY_ATTRIBUTES = 4     # of a global index: that many HASH, and that many RANGE
MOST_UNITS = 10**12
BOTH_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
MOST_REQUEST_UNITS = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
WARM_UNITS = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
CLASSES = ("STANDARD", "STANDARD_INFREQUENT_ACCESS")
VIEW_TYPES = ("OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE")  # in the order of the service's text

NEITHER_UNITS = "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"


# Constraints of shapes

def _shown_keys(elements: list[dict[str, Any]]) -> str:
    """A key schema in the service's notation."""
    return "[" + ", ".join(f"KeySchemaElement(attributeName={each['AttributeName']}, keyType={each['KeyType']})"
                           for each in elements) + "]"


_NAME = every(length(3, 255), pattern("[a-zA-Z0-9_.-]+"))
_KEY = structure({"AttributeName": length(1, 255), "KeyType": choice("HASH", "RANGE")})
_TWO_KEYS = every(length(1, 2, _shown_keys), members_of(_KEY))
_UNITS = structure({"WriteCapacityUnits": at_least(1), "ReadCapacityUnits": at_least(1)})
_PROJECTION = structure({"ProjectionType": choice("ALL", "INCLUDE", "KEYS_ONLY"),
                         "NonKeyAttributes": every(length(1, 20), members_of(length(1, 255)))})
_GLOBAL_INDEX = structure({"IndexName": _NAME, "KeySchema": every(length(1, None, _shown_keys), members_of(_KEY)),
                           "Projection": _PROJECTION, "ProvisionedThroughput": _UNITS})
_LOCAL_INDEX = structure({"IndexName": _NAME, "KeySchema": _TWO_KEYS, "Projection": _PROJECTION})
_DEFINITIONS = members_of(structure({"AttributeName": length(1, 255), "AttributeType": choice("B", "N", "S")}))
_STREAM = structure({"StreamViewType": choice(*VIEW_TYPES)})
_BILLING_MODE = choice("PROVISIONED", ON_DEMAND)
_ENCRYPTION = structure({"SSEType": choice("AES256", "KMS"), "KMSMasterKeyId": length(1, 2048)})

_TABLE_NAME = structure({"TableName": _NAME})
_CREATE = structure({
    "BillingMode": _BILLING_MODE, "ProvisionedThroughput": _UNITS, "KeySchema": _TWO_KEYS,
    "AttributeDefinitions": _DEFINITIONS, "GlobalSecondaryIndexes": members_of(_GLOBAL_INDEX),
    "LocalSecondaryIndexes": members_of(_LOCAL_INDEX), "StreamSpecification": _STREAM,
    "SSESpecification": _ENCRYPTION}, required=("KeySchema", "AttributeDefinitions"))
_UPDATE = structure({
    "BillingMode": _BILLING_MODE, "ProvisionedThroughput": _UNITS,
    "AttributeDefinitions": _DEFINITIONS,
    "GlobalSecondaryIndexUpdates": members_of(structure({
        "Update": structure({"IndexName": _NAME, "ProvisionedThroughput": _UNITS}), "Create": _GLOBAL_INDEX,
        "Delete": structure({"IndexName": _NAME})})),
    "StreamSpecification": _STREAM, "SSESpecification": _ENCRYPTION})
# Which comes first of several that fail in a restore is not known: this is the order of CreateTable.
_RESTORE = structure({
    "TargetTableName": _NAME, "SourceTableName": _NAME, "SourceTableArn": length(1, 1024),
    "BackupArn": length(37, 1024), "BillingModeOverride": _BILLING_MODE, "ProvisionedThroughputOverride": _UNITS,
    "GlobalSecondaryIndexOverride": members_of(_GLOBAL_INDEX), "LocalSecondaryIndexOverride": members_of(_LOCAL_INDEX),
    "SSESpecificationOverride": _ENCRYPTION})


def check_name(asked: dict[str, Any]) -> None:
    """A table's name: it is reported alone."""
    constraints.check(asked, _TABLE_NAME)


def check_create_shapes(asked: dict[str, Any]) -> None:
    check_name(asked)
    constraints.check(asked, _CREATE)
    check_class(asked.get("TableClass", CLASSES[0]))


def check_update_shapes(asked: dict[str, Any]) -> None:
    check_name(asked)
    constraints.check(asked, _UPDATE)
    check_class(asked.get("TableClass", CLASSES[0]))


def check_restore_shapes(asked: dict[str, Any]) -> None:
    """Both restores. The length of the new table's name is reported alone, in words of its own."""
    if not 3 <= len(asked["TargetTableName"]) <= 255:
        raise invalid("TableName must be at least 3 characters long and at most 255 characters long")
    constraints.check(asked, _RESTORE)


def check_class(name: str) -> None:
    if name not in CLASSES:
        raise invalid("Invalid table-class parameter provided. Please try again with a valid table-class value: "
                      f"[{', '.join(CLASSES)}].")


# Keys

def names(elements: Iterable[dict[str, Any]]) -> list[str]:
    """The attributes of a key schema, or of attribute definitions."""
    return [each["AttributeName"] for each in elements]


def first_twice(found: list[str]) -> str | None:
    """The first name that is in a list a second time; None if there is none."""
    seen = set[str]()
    for name in found:
        if name in seen:
            return name
        seen.add(name)
    return None


def check_once(definitions: list[dict[str, Any]]) -> None:
    """Each attribute is defined once."""
    twice = first_twice(names(definitions))
    if twice is not None:
        raise invalid(f"Attribute Name is duplicated: {twice}")


def check_defined(keys: list[str], defined: list[str]) -> None:
    """All attributes of a key have definitions."""
    if any(key not in defined for key in keys):
        raise invalid_values("Some index key attributes are not defined in AttributeDefinitions. Keys: "
                             f"[{', '.join(keys)}], AttributeDefinitions: [{', '.join(defined)}]")


def check_two_keys(elements: list[dict[str, Any]]) -> None:
    """The key of a table or of a local index: HASH, and RANGE if there are two."""
    if len(elements) == 2 and elements[0]["AttributeName"] == elements[1]["AttributeName"]:
        raise invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    _check_first(elements)
    if len(elements) == 2 and elements[1]["KeyType"] != "RANGE":
        raise invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def check_many_keys(elements: list[dict[str, Any]]) -> None:
    """The key of a global index: up to four HASH attributes, then up to four RANGE attributes."""
    found, kinds = names(elements), [each["KeyType"] for each in elements]
    if len(set(found)) < len(found):
        raise invalid("The KeySchema contains multiple key attributes with the same name")
    _check_first(elements)
    if kinds != sorted(kinds):  # HASH comes before RANGE in the alphabet too
        raise invalid_values("All HASH key attributes must precede RANGE key attributes in the KeySchema")
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > MOST_KEY_ATTRIBUTES:
            raise invalid_values(f"The KeySchema exceeds the maximum allowed number of {kind} key attributes")


def _check_first(elements: list[dict[str, Any]]) -> None:
    if elements[0]["KeyType"] != "HASH":
        raise invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")


# Projections

def check_projection(projection: dict[str, Any]) -> None:
    kind, more = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        raise invalid_values("Unknown ProjectionType: null")
    if kind == "INCLUDE" and more is None:
        raise invalid_values("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    if kind != "INCLUDE" and more is not None:
        raise invalid_values(f"ProjectionType is {kind}, but NonKeyAttributes is specified")
    twice = first_twice(more or [])
    if twice is not None:
        raise invalid_values(f"Duplicate element in NonKeyAttributes: {twice}")


def check_projected(indexes: Iterable[dict[str, Any]]) -> None:
    """The indexes of a table together do not name too many attributes in their projections. The text is ours."""
    projected = sum(len(index["Projection"].get("NonKeyAttributes", ())) for index in indexes)
    if projected > MOST_PROJECTED:
        raise invalid_values(f"Number of NonKeyAttributes of all indexes exceeds per-table limit of {MOST_PROJECTED}")


# Throughput and encryption

def check_bounds(units: dict[str, Any] | None) -> None:
    for name in BOTH_UNITS:
        if units and units[name] > MOST_UNITS:
            raise invalid(f"Given value {units[name]} for {name} is out of bounds")


def check_request_units(asked: dict[str, Any] | None, *, on_demand: bool, least: Callable[[int], bool], what: str,
                        texts: tuple[str, str]) -> None:
    """Refuse OnDemandThroughput of a provisioned table, or a maximum that ``least`` does not accept. ``texts`` are what
    the service writes before and after "cannot be specified when" for a table or an index; ``what`` is either."""
    given = [name for name in MOST_REQUEST_UNITS if name in (asked or {})]
    if given and not on_demand:
        raise invalid_values(f"{given[0]} for OnDemandThroughput{texts[0]} cannot be specified when {texts[1]}")
    for name in given:
        if asked and not least(asked[name]):
            raise invalid_values(f"Requested {name} for OnDemandThroughput for {what} is outside of valid range")


def check_encryption(asked: dict[str, Any] | None) -> None:
    """Refuse an SSESpecification whose members do not fit together."""
    if asked is None:
        return
    if not asked.get("Enabled"):
        for name in ("SSEType", "KMSMasterKeyId"):
            if name in asked:
                raise invalid_values(f"{name} can not be specified if Enabled is false")
    if asked.get("SSEType") == "AES256":
        raise invalid_values("SSEType AES256 is not supported")
    if "KMSMasterKeyId" in asked and "SSEType" not in asked:
        raise invalid_values("SSEType KMS is required if KMSMasterKeyId is specified")
