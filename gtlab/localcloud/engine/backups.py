"""On-demand backups: what a backup has, how it is described, and what a table is restored with.

A backup shares its items with the table, because items are immutable. It is filled in slices: see :mod:`snapshots`.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gtlab.localcloud.engine.constraints import at_least, at_most, check, choice, every, length, pattern, structure
from gtlab.localcloud.engine.database import BACKUPS, Database, RecordId, table_id
from gtlab.localcloud.engine.values import Packed, StoredItem
from gtlab.localcloud.model import Call, Refusal, TableId, invalid, invalid_request, invalid_values
from gtlab.regions import REGIONS

CREATING, AVAILABLE, DELETED = "CREATING", "AVAILABLE", "DELETED"
_MOST_LISTED = 100
_NAME = every(pattern("[a-zA-Z0-9_.-]+"), length(3, 255))
_CREATE = structure({"BackupName": _NAME})
_LIST = structure({"Limit": every(at_least(1), at_most(_MOST_LISTED)), "ExclusiveStartBackupArn": length(37, 1024),
                   "BackupType": choice("USER", "SYSTEM", "AWS_BACKUP", "ALL")})
_ARN = structure({"BackupArn": length(37, 1024)})
_ASKED = "_asked"  # on disk, beside the members of BackupDescription
_INDEX_INFO = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput", "OnDemandThroughput")
_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
_FIRST_S, _LAST_S = (datetime.datetime(year, month, day, tzinfo=datetime.UTC).timestamp()
                     for year, month, day in ((1, 1, 1), (9999, 12, 31)))


@dataclass(slots=True)
class Backup:
    """``described``: BackupDescription. ``asked``: CreateTable's input for a table like the one that was backed up;
    None if an older release made the backup. The items are complete when its status is AVAILABLE."""

    BULK: ClassVar = ("items",)  # see gtlab.localcloud.undo
    described: dict[str, Any]
    asked: dict[str, Any] | None
    items: list[Packed] = field(default_factory=list)

    @property
    def details(self) -> dict[str, Any]:
        return self.described["BackupDetails"]

    @property
    def arn(self) -> str:
        return self.details["BackupArn"]

    @property
    def is_complete(self) -> bool:
        return self.details["BackupStatus"] == AVAILABLE

    def source(self, where: RecordId) -> TableId:
        """The table that was backed up."""
        return TableId(where.account, where.region, self.described["SourceTableDetails"]["TableName"])


# What a table has, in the form in which a backup keeps it

def new(database: Database, table: TableId, name: str, described: dict[str, Any], asked: dict[str, Any],
        now: float) -> Backup:
    """A backup without items. ``described`` is the table's TableDescription, with its TimeToLiveDescription."""
    details = {"BackupArn": _new_arn(database, table, name, now), "BackupName": name,
               "BackupSizeBytes": described["TableSizeBytes"], "BackupStatus": CREATING, "BackupType": "USER",
               "BackupCreationDateTime": round(now, 3)}
    source: dict[str, Any] = {member: described[member] for member in (
        "TableName", "TableId", "TableArn", "TableSizeBytes", "KeySchema", "OnDemandThroughput", "ItemCount")
        if member in described}
    source |= {"TableCreationDateTime": described["CreationDateTime"],
               "ProvisionedThroughput": {unit: described["ProvisionedThroughput"][unit] for unit in _UNITS},
               "BillingMode": asked["BillingMode"]}
    return Backup({"BackupDetails": details, "SourceTableDetails": source,
                   "SourceTableFeatureDetails": _features(described)}, asked)


def _new_arn(database: Database, table: TableId, name: str, now: float) -> str:
    while True:
        for number in range(1 << 16):
            ending = zlib.crc32(f"{name} {number}".encode())
            arn = f"{table.arn}/backup/{int(round(now, 3) * 1000):014d}-{ending:08x}"
            if RecordId(table.account, table.region, arn) not in database.records[BACKUPS]:
                return arn
        now += 0.001


def _features(described: dict[str, Any]) -> dict[str, Any]:
    """SourceTableFeatureDetails: only what the table has."""
    found: dict[str, Any] = {}
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if described.get(member):
            found[member] = [_index_info(index) for index in described[member]]
    if described.get("StreamSpecification", {}).get("StreamEnabled"):
        found["StreamDescription"] = described["StreamSpecification"]
    if described.get("TimeToLiveDescription", {}).get("TimeToLiveStatus") == "ENABLED":
        found["TimeToLiveDescription"] = described["TimeToLiveDescription"]
    if described.get("SSEDescription"):
        found["SSEDescription"] = described["SSEDescription"]
    return found


def _index_info(index: dict[str, Any]) -> dict[str, Any]:
    info = {member: index[member] for member in _INDEX_INFO if member in index}
    if "ProvisionedThroughput" in info:
        info["ProvisionedThroughput"] = {unit: info["ProvisionedThroughput"][unit] for unit in _UNITS}
    return info


def add(database: Database, table: TableId, backup: Backup) -> None:
    database.records[BACKUPS][RecordId(table.account, table.region, backup.arn)] = backup


# Requests

def check_new(data: dict[str, Any]) -> None:
    """Raise Refusal for a CreateBackup that the service refuses, whichever tables there are."""
    check(data, _CREATE)


def find(database: Database, call: Call) -> Backup:
    """The backup that a request names. Raises Refusal where there is none."""
    arn = call.input["BackupArn"]
    check(call.input, _ARN)
    found = database.records[BACKUPS].get(RecordId(call.account, call.region, arn))
    if found is None:
        _check_arn(arn, call.account)
        raise Refusal("BackupNotFoundException", f"Backup not found: {arn}")
    return found


def _check_arn(arn: str, account: str) -> None:
    """Refuse an ARN that no backup of the account can have, as captured by others: first the account, then the table,
    then the rest. The Region may be in any case, and so may the last part."""
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[0] == "arn" and parts[4] != account:
        raise Refusal("AccessDeniedException", "Access is denied")
    named = re.fullmatch(r"table/([a-zA-Z0-9_.-]{3,255})/backup/(.*)", parts[5]) if len(parts) == 6 else None
    if parts[0] != "arn" or named is None:
        raise invalid("Invalid Backup ARN")
    if (parts[1:3] != ["aws", "dynamodb"] or parts[3].lower() not in REGIONS
            or not re.fullmatch(r"[0-9]{14}-[0-9a-fA-F]{8}", named.group(2))):
        raise invalid_request("BackupArn is not valid")


def _describe(database: Database, call: Call, now: float) -> dict[str, Any]:
    return {"BackupDescription": find(database, call).described}


def _list(database: Database, call: Call, now: float) -> dict[str, Any]:
    """In the order of their creation, which is that of their ARNs' last parts."""
    data = call.input
    check(data, _LIST)
    lower, upper = data.get("TimeRangeLowerBound", float("-inf")), data.get("TimeRangeUpperBound", float("inf"))
    if lower > upper:
        raise invalid_values("Time range lower bound must be less than or equal to upper bound")
    if data.get("ExclusiveStartBackupArn", f":::{call.region}:").split(":")[3:4] != [call.region]:
        raise invalid_request("The supplied ExclusiveStartBackupArn does not match the region")
    name = table_id(call.account, call.region, data["TableName"]).name if "TableName" in data else None
    after = _place(data["ExclusiveStartBackupArn"]) if "ExclusiveStartBackupArn" in data else ""
    most, kind = data.get("Limit", _MOST_LISTED), data.get("BackupType", "USER")
    found = sorted((backup for where, backup in database.records[BACKUPS].items()
                    if where[:2] == (call.account, call.region)
                    and name in (None, backup.described["SourceTableDetails"]["TableName"])
                    and kind in (backup.details["BackupType"], "ALL")
                    and lower <= backup.details["BackupCreationDateTime"] < upper
                    and _place(backup.arn) > after), key=lambda backup: _place(backup.arn))
    answer: dict[str, Any] = {"BackupSummaries": [_summary(backup) for backup in found[:most]]}
    if len(found) > most:
        answer["LastEvaluatedBackupArn"] = found[most - 1].arn
    return answer


OPERATIONS: dict[str, Callable[[Database, Call, float], dict[str, Any]]] = {
    "DescribeBackup": _describe, "ListBackups": _list}


def _place(arn: str) -> str:
    """The last part of an ARN: it begins with the time in milliseconds. An older release wrote one digit less."""
    return arn.rpartition("/")[2].rjust(len("00000000000000-00000000"), "0")


def _summary(backup: Backup) -> dict[str, Any]:
    source = backup.described["SourceTableDetails"]
    return {member: source[member] for member in ("TableName", "TableId", "TableArn")} | backup.details


def delete(database: Database, call: Call) -> dict[str, Any]:
    """DeleteBackup. Raises Refusal for a backup that is not complete."""
    backup = find(database, call)
    if not backup.is_complete:
        raise Refusal("BackupInUseException", f"Backup is being created: {backup.arn}")
    del database.records[BACKUPS][RecordId(call.account, call.region, backup.arn)]
    gone = backup.described | {"BackupDetails": backup.details | {"BackupStatus": DELETED}}
    return {"BackupDescription": gone}


# Restoring

def restored_like(asked: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """CreateTable's input for a restored table: what a backup keeps of the table that was backed up, with the settings
    that the request replaces. Table class and warm throughput are not kept. Raises Refusal for settings that do not fit
    the backup."""
    if "VectorIndexOverride" in data:
        raise invalid("gtlab's local cloud has no vector indexes: VectorIndexOverride is not supported. Nothing was "
                      "restored.")
    _check_overrides(asked, data)
    found = {name: value for name, value in asked.items() if name not in ("TableClass", "WarmThroughput")}
    found["TableName"] = data["TargetTableName"]
    for name, override in (("BillingMode", "BillingModeOverride"), ("SSESpecification", "SSESpecificationOverride"),
                           ("GlobalSecondaryIndexes", "GlobalSecondaryIndexOverride"),
                           ("LocalSecondaryIndexes", "LocalSecondaryIndexOverride"),
                           ("ProvisionedThroughput", "ProvisionedThroughputOverride"),
                           ("OnDemandThroughput", "OnDemandThroughputOverride")):
        if override in data:
            found[name] = data[override]
    on_demand = found["BillingMode"] == "PAY_PER_REQUEST"
    if on_demand:
        found.pop("ProvisionedThroughput", None)
    else:
        found.pop("OnDemandThroughput", None)
    dropped = {"WarmThroughput"} | ({"ProvisionedThroughput"} if on_demand else {"OnDemandThroughput"})
    for member, override in (("GlobalSecondaryIndexes", "GlobalSecondaryIndexOverride"),
                             ("LocalSecondaryIndexes", "LocalSecondaryIndexOverride")):
        indexes = found.pop(member, ())
        if override not in data:  # a backup's indexes are made to fit into another billing mode; a request's must fit
            indexes = [{name: value for name, value in index.items() if name not in dropped} for index in indexes]
        if indexes:
            found[member] = indexes
    with_keys = (found, *found.get("GlobalSecondaryIndexes", ()), *found.get("LocalSecondaryIndexes", ()))
    keys = {each["AttributeName"] for member in with_keys for each in member["KeySchema"]}
    found["AttributeDefinitions"] = [each for each in asked["AttributeDefinitions"] if each["AttributeName"] in keys]
    return found


def _check_overrides(asked: dict[str, Any], data: dict[str, Any]) -> None:
    override = data.get("BillingModeOverride")
    mode = override or asked["BillingMode"]
    units = "ProvisionedThroughputOverride" in data
    indexes = data.get("GlobalSecondaryIndexOverride")
    if override == "PAY_PER_REQUEST":
        named = [""] * units + [f" for index {each['IndexName']}" for each in indexes or ()
                                if "ProvisionedThroughput" in each]
        if named:
            raise invalid_request("Cannot override ProvisionedThroughput if BillingMode is overridden to "
                                  f"PAY_PER_REQUEST{named[0]}")
    if units and mode != "PROVISIONED":
        raise invalid_request("Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
    if override == "PROVISIONED" != asked["BillingMode"]:
        kept = asked.get("GlobalSecondaryIndexes", ()) if indexes is None else ()
        named = [""] * (not units) + [f" for index {each['IndexName']}" for each in kept]
        if named:
            raise invalid_request("Must override ProvisionedThroughput if BillingMode is overridden to "
                                  f"PROVISIONED{named[0]}")
    for name in ("MaxReadRequestUnits", "MaxWriteRequestUnits"):
        most = data.get("OnDemandThroughputOverride", {}).get(name)
        if most is not None and mode != "PAY_PER_REQUEST":
            raise invalid_request(f"Cannot override {name} for OnDemandThroughput unless BillingModeOverride is "
                                  "PAY_PER_REQUEST")
        if most is not None and most != -1 and most < 1:
            raise invalid_request(f"Requested {name} for OnDemandThroughput is outside of valid range")
    for member, replaced in (("GlobalSecondaryIndexes", indexes or ()),
                             ("LocalSecondaryIndexes", data.get("LocalSecondaryIndexOverride", ()))):
        known = [_made_of(index) for index in asked.get(member, ())]
        for index in replaced:
            if _made_of(index) not in known:
                raise invalid_request(f"Index {index['IndexName']} does not match a secondary index that existed in "
                                      "the source table and cannot be created during the restore operation")
            if member == "GlobalSecondaryIndexes" and mode == "PROVISIONED" and "ProvisionedThroughput" not in index:
                raise invalid_request(f"Must specify provisioned throughput for index {index['IndexName']}")


def _made_of(index: dict[str, Any]) -> tuple[Any, ...]:
    """What a restore compares of an index: its keys, and what it projects in any order."""
    projection = index["Projection"]
    return index["KeySchema"], projection.get("ProjectionType"), set(projection.get("NonKeyAttributes", ()))


# Point-in-time recovery

def earliest_restorable(kept: dict[str, Any], now: float) -> float:
    """The earliest time that the recovery of a table reaches; ``kept`` is what its schema has of it."""
    return max(kept["since"], now - kept["days"] * 86400)


def shown_time(at: float) -> str:
    """A time as the service's refusals show it. A calendar ends: what lies outside is shown as its first or last
    moment."""
    at = min(max(at, _FIRST_S), _LAST_S)
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# What is kept on disk

def kept(backup: Backup) -> dict[str, Any]:
    """A backup without its items, which are in rows of their own."""
    return {"description": backup.described | ({_ASKED: backup.asked} if backup.asked else {}), "items": []}


def restored(record: dict[str, Any]) -> Backup:
    """A backup from what is kept of it. An older release kept the items with it."""
    described = dict(record["description"])
    asked = described.pop(_ASKED, None)
    return Backup(described, asked, [StoredItem(item).packed for _, _, item in record["items"]])
