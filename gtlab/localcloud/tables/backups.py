"""Backups, restored tables, point-in-time recovery, import and export.

Backups are the engine's library's; it would restore a table at once, and without its indexes. There is no S3 and no
past of a table, so what needs them is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.model import Call, Key, Refusal, TableId, invalid
from gtlab.localcloud.tables import replica_tables
from gtlab.localcloud.tables.tables import Tables

_DAYS = range(1, 36)  # that point-in-time recovery reaches back
_ASKED = "_asked"  # in the description of a backup: CreateTable's input for a table like its table
_NO_S3 = "gtlab's local cloud has no S3"


class Backups:
    """``operations``: by name, from (call, input, now) to the output. ``note`` is told of each restored item."""

    def __init__(self, database: Database, tables: Tables, note: Callable[[TableId, Key], object]):
        self._database, self._tables, self._note = database, tables, note
        self.operations: dict[str, Callable[[Call, dict, float], dict]] = {
            "CreateBackup": self._create,
            "RestoreTableFromBackup": self._restore,
            "RestoreTableToPointInTime": self._restore_to_point,
            "DescribeContinuousBackups": self._describe_recovery,
            "UpdateContinuousBackups": self._update_recovery,
            "ExportTableToPointInTime": self._export,
            "ImportTable": self._import,
        }

    def _create(self, call: Call, data: dict, now: float) -> dict:
        answer = engine.control(self._database, call._replace(input=data), now)
        table = TableId(call.account, call.region, data["TableName"])
        kept = self._record(call, answer["BackupDetails"]["BackupArn"])["description"]
        kept[_ASKED] = replica_tables.like(self._database.schema(table))
        kept["BackupDetails"]["BackupCreationDateTime"] = round(now, 3)
        return {"BackupDetails": answer["BackupDetails"] | {"BackupCreationDateTime": round(now, 3)}}

    def _record(self, call: Call, arn: str) -> Any:
        """What is kept of a backup: {"description", "items"}; None where there is none."""
        return self._database.records[engine.BACKUPS].get(engine.RecordId(call.account, call.region, arn))

    def _restore(self, call: Call, data: dict, now: float) -> dict:
        backup = self._record(call, data["BackupArn"])
        if backup is None:
            raise Refusal("BackupNotFoundException", f"Backup not found: {data['BackupArn']}")
        described = backup["description"]
        asked, made = described.get(_ASKED), described["BackupDetails"]["BackupCreationDateTime"]
        source = TableId(call.account, call.region, described["SourceTableDetails"]["TableName"])
        items = [(Key(partition, sort), item) for partition, sort, item in backup["items"]]
        if asked is None:
            if not self._database.exists(source):
                raise invalid("This backup was made by an older gtlab, which needs the table that was backed up: "
                              f"{source.name} does not exist. Nothing was restored.")
            asked = replica_tables.like(self._database.schema(source))
        return self._restored(call, data, asked, items, {
            "SourceBackupArn": data["BackupArn"], "SourceTableArn": source.arn, "RestoreDateTime": made}, now)

    def _restore_to_point(self, call: Call, data: dict, now: float) -> dict:
        name = data.get("SourceTableName") or data.get("SourceTableArn", "").rpartition("/")[2]
        source = TableId(call.account, call.region, name)
        if not self._database.exists(source):
            raise Refusal("TableNotFoundException", f"Table not found: {name}")
        if not self._database.schema(source).get("PointInTimeRecovery"):
            raise _not_recoverable(source)
        if not data.get("UseLatestRestorableTime"):
            raise invalid("gtlab's local cloud does not keep the past of a table: it can be restored to the latest "
                          "time only (UseLatestRestorableTime). Nothing was restored.")
        asked = replica_tables.like(self._database.schema(source))
        return self._restored(call, data, asked, list(self._database.items(source)), {
            "SourceTableArn": source.arn, "RestoreDateTime": round(now, 3)}, now)

    def _restored(self, call: Call, data: dict, asked: dict, items: list[tuple[Key, dict]], summary: dict,
                  now: float) -> dict:
        table = TableId(call.account, call.region, data["TargetTableName"])
        if self._tables.occupied(table, now):
            raise Refusal("TableAlreadyExistsException", f"Table already exists: {table.name}")
        asked = _overridden(asked | {"TableName": table.name}, data)
        engine.create_table(self._database, table, asked, now)
        self._database.amend(table, {"RestoreSummary": summary})
        for key, item in items:
            self._database.apply(table, key, item)
            self._note(table, key)
        self._tables.begin(table, now)
        return {"TableDescription": self._tables.describe(table, now)}

    def _describe_recovery(self, call: Call, data: dict, now: float) -> dict:
        return {"ContinuousBackupsDescription": self._recovery(self._table(call, data), now)}

    def _update_recovery(self, call: Call, data: dict, now: float) -> dict:
        table, asked = self._table(call, data), data["PointInTimeRecoverySpecification"]
        days = asked.get("RecoveryPeriodInDays")
        if days is not None and not asked["PointInTimeRecoveryEnabled"]:
            raise invalid("RecoveryPeriodInDays cannot be specified when point in time recovery is disabled")
        if days is not None and days not in _DAYS:
            bound = "less than or equal to 35" if days > _DAYS[-1] else "greater than or equal to 1"
            raise invalid(f"1 validation error detected: Value '{days}' at 'pointInTimeRecoverySpecification."
                          f"recoveryPeriodInDays' failed to satisfy constraint: Member must have value {bound}")
        known = self._database.schema(table).get("PointInTimeRecovery") or {"since": round(now, 3), "days": _DAYS[-1]}
        self._database.amend(table, {"PointInTimeRecovery": known | ({"days": days} if days else {})
                             if asked["PointInTimeRecoveryEnabled"] else None})
        return {"ContinuousBackupsDescription": self._recovery(table, now)}

    def _export(self, call: Call, data: dict, now: float) -> dict:
        table = TableId(call.account, call.region, data["TableArn"].rpartition("/")[2])
        if table.arn != data["TableArn"] or not self._database.exists(table):
            raise Refusal("TableNotFoundException", f"Table not found: {data['TableArn']}")
        if not self._database.schema(table).get("PointInTimeRecovery"):
            raise _not_recoverable(table)
        raise invalid(f"{_NO_S3} to export a table to. Nothing was exported.")

    def _import(self, call: Call, data: dict, now: float) -> dict:
        raise invalid(f"{_NO_S3} to import a table from. Nothing was created.")

    def _table(self, call: Call, data: dict) -> TableId:
        table = TableId(call.account, call.region, data["TableName"])
        if not self._database.exists(table):
            raise Refusal("TableNotFoundException", f"Table not found: {table.name}")
        return table

    def _recovery(self, table: TableId, now: float) -> dict:
        """ContinuousBackupsDescription."""
        kept = self._database.schema(table).get("PointInTimeRecovery")
        shown = {"PointInTimeRecoveryStatus": "DISABLED"} if not kept else {
            "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": kept["days"],
            "EarliestRestorableDateTime": max(kept["since"], now - kept["days"] * 86400),
            "LatestRestorableDateTime": now}
        return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": shown}


def _not_recoverable(table: TableId) -> Refusal:
    return Refusal("PointInTimeRecoveryUnavailableException",
                   f"Point in time recovery is not enabled for table '{table.name}'")


def _overridden(asked: dict, data: dict) -> dict:
    """CreateTable's input with the settings that a restore replaces."""
    found = dict(asked)
    for name, override in (("BillingMode", "BillingModeOverride"), ("SSESpecification", "SSESpecificationOverride"),
                           ("GlobalSecondaryIndexes", "GlobalSecondaryIndexOverride"),
                           ("LocalSecondaryIndexes", "LocalSecondaryIndexOverride"),
                           ("ProvisionedThroughput", "ProvisionedThroughputOverride"),
                           ("OnDemandThroughput", "OnDemandThroughputOverride")):
        if override in data:
            found[name] = data[override]
    if found["BillingMode"] == "PAY_PER_REQUEST":
        found.pop("ProvisionedThroughput", None)
        found["GlobalSecondaryIndexes"] = [
            {name: value for name, value in index.items() if name != "ProvisionedThroughput"}
            for index in found.get("GlobalSecondaryIndexes", ())]
    with_keys = (found, *found.get("GlobalSecondaryIndexes", ()), *found.get("LocalSecondaryIndexes", ()))
    keys = {each["AttributeName"] for member in with_keys for each in member["KeySchema"]}
    found["AttributeDefinitions"] = [each for each in found["AttributeDefinitions"] if each["AttributeName"] in keys]
    return found
