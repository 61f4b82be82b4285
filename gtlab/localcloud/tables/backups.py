"""Backups, restored tables and point-in-time recovery, with the time and the work that they take.

A backup and a restored table are filled in slices (:mod:`copies`). A table is CREATING until all its items are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from gtlab.localcloud import engine
from gtlab.localcloud.engine import backups
from gtlab.localcloud.engine.backups import Backup, earliest_restorable, shown_time
from gtlab.localcloud.engine.database import BACKUPS, Database, RecordId
from gtlab.localcloud.engine.elsewhere import not_recoverable
from gtlab.localcloud.engine.snapshots import MOST_ITEMS, Listed, Snapshot
from gtlab.localcloud.engine.table_rules import check_restore_shapes
from gtlab.localcloud.engine.values import Item, StoredItem, packed, unpack
from gtlab.localcloud.model import Call, Key, Refusal, TableId, in_use, invalid, invalid_request, invalid_values
from gtlab.localcloud.tables import replica_tables
from gtlab.localcloud.tables.copies import Copy
from gtlab.localcloud.tables.tables import UNFINISHED, Tables

_DAYS = range(1, 36)     # that point-in-time recovery reaches back
_WHILE_FILLED_S = 5.0    # a table that is being filled is not ready for this long; each slice puts it off again
# Operations that do not find a table while it is being restored, as captured by others on the service; the last three
# like their siblings.
_BLIND = ("UpdateTable", "DescribeTimeToLive", "UpdateTimeToLive", "TagResource", "ListTagsOfResource",
          "PutResourcePolicy", "GetResourcePolicy", "DescribeContributorInsights",
          "UntagResource", "DeleteResourcePolicy", "UpdateContributorInsights")
_BLIND_RECOVERY = ("DescribeContinuousBackups", "UpdateContinuousBackups")
_WHILE_RESTORED = frozenset((*_BLIND, *_BLIND_RECOVERY, "CreateTable"))


class Row(NamedTuple):
    """An item of a backup, as it is kept."""

    backup: RecordId
    key: Key
    item: Item


class Unsaved:
    """What has changed since the last :meth:`clear`: new items of backups (``rows``), backups that lost all their items
    (``dropped``), and whether a copy was completed (``settings``)."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.dropped: set[RecordId] = set()
        self.settings = False

    def clear(self) -> None:
        self.rows.clear()
        self.dropped.clear()
        self.settings = False


class Backups:
    """``operations``: by name, from (call, input, now) to the output. ``note`` is called with each restored item."""

    def __init__(self, database: Database, tables: Tables, note: Callable[[TableId, Key], object]):
        self._database, self._tables, self._note = database, tables, note
        self.unsaved = Unsaved()
        self.operations: dict[str, Callable[[Call, dict, float], dict]] = {
            "CreateBackup": self._create,
            "DeleteBackup": self._delete,
            "RestoreTableFromBackup": self._restore,
            "RestoreTableToPointInTime": self._restore_to_point,
            "DescribeContinuousBackups": self._describe_recovery,
            "UpdateContinuousBackups": self._update_recovery,
        }

    def check_found(self, call: Call, now: float) -> None:
        """Refuse an operation on a table that is being restored: most do not find it."""
        if call.operation not in _WHILE_RESTORED:
            return
        name = call.input.get("TableName")
        if name is None:
            head = f"arn:aws:dynamodb:{call.region}:{call.account}:table/"
            name = call.input["ResourceArn"].removeprefix(head).partition("/")[0]
        if self._summary_of(TableId(call.account, call.region, name), now) is None:
            return
        if call.operation == "CreateTable":
            raise in_use(f"Table is being used: {name}")
        if call.operation in _BLIND_RECOVERY:
            raise _no_table(name)
        raise Refusal("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")

    def _summary_of(self, table: TableId, now: float) -> dict | None:
        """The RestoreSummary of a table that is being restored; None for any other table, and where there is none."""
        return self._database.schema(table).get("RestoreSummary") if self._tables.is_creating(table, now) else None

    # Backups

    def _create(self, call: Call, data: dict, now: float) -> dict:
        backups.check_new(data)
        table = self._table(call, data)
        if self._tables.is_creating(table, now):
            raise _no_table(table.name)
        described = self._tables.describe(table, now) | self._tables.ttl(table)
        backup = backups.new(self._database, table, data["BackupName"], described,
                             replica_tables.like(self._database.schema(table)), now)
        backups.add(self._database, table, backup)
        answer = {"BackupDetails": dict(backup.details)}
        self._fill(backup, table, now)
        return answer

    def _fill(self, backup: Backup, table: TableId, now: float) -> None:
        items = self._database.table(table).items
        where = RecordId(table.account, table.region, backup.arn)

        def put(taken: list[Item]) -> None:
            rows, new = [Row(where, items.key_of(item), item) for item in taken], [packed(item) for item in taken]
            if backup.items[-len(new):] != new:  # an attempt that failed behind this gets the same items again
                backup.items += new
            self.unsaved.rows += rows

        def end(now: float) -> None:
            backup.details["BackupStatus"] = backups.AVAILABLE
            self.unsaved.settings = True

        self._tables.copies.begin(Copy(Snapshot(items).take, put, lambda now: None, end, table), now)

    def _delete(self, call: Call, data: dict, now: float) -> dict:
        backup = backups.find(self._database, call)
        if self._restored_from(backup, now):
            raise Refusal("BackupInUseException", f"Backup is being used to restore table: {backup.arn}")
        answer = backups.delete(self._database, call)
        gone = RecordId(call.account, call.region, backup.arn)
        self.unsaved.rows = [row for row in self.unsaved.rows if row.backup != gone]
        self.unsaved.dropped.add(gone)
        self._tables.slices.later(lambda now: _let_go(backup.items))
        return answer

    def _restored_from(self, backup: Backup, now: float) -> bool:
        """Whether a table is being restored from a backup."""
        return any(table.described.get("RestoreSummary", {}).get("SourceBackupArn") == backup.arn
                   and self._tables.is_creating(table.id, now) for table in self._database.tables.values())

    # Restored tables

    def _restore(self, call: Call, data: dict, now: float) -> dict:
        check_restore_shapes(data)
        _check_region(call, data["BackupArn"])
        backup = backups.find(self._database, call)
        source = backup.described["SourceTableDetails"]
        asked = backup.asked
        if asked is None:
            known = TableId(call.account, call.region, source["TableName"])
            if not self._database.exists(known):
                raise invalid("This backup was made by an older gtlab, which needs the table that was backed up: "
                              f"{known.name} does not exist. Nothing was restored.")
            asked = replica_tables.like(self._database.schema(known))
        self._check_target(call, data, now)
        if not backup.is_complete:
            raise Refusal("BackupInUseException", f"Backup is being created: {backup.arn}")
        if self._restored_from(backup, now):
            raise Refusal("BackupInUseException", f"Backup is being used to restore another table: {backup.arn}")
        table = self._made(call, data, asked, {
            "SourceBackupArn": backup.arn, "SourceTableArn": source["TableArn"],
            "RestoreDateTime": backup.details["BackupCreationDateTime"]}, now)
        self._restore_items(table, Listed(backup.items).take, None, now)
        return {"TableDescription": self._tables.describe(table, now)}

    def _restore_to_point(self, call: Call, data: dict, now: float) -> dict:
        check_restore_shapes(data)
        if ("SourceTableName" in data) == ("SourceTableArn" in data):
            raise invalid("Must provide exactly one of: sourceTableArn, sourceTableName" if "SourceTableName" in data
                          else "The parameter 'TableName' is required but was not present in the request")
        latest, at = data.get("UseLatestRestorableTime"), data.get("RestoreDateTime")
        if latest and at is not None:
            raise invalid_request("Both RestoreDateTime and UseLatestRestorableTime cannot be set for "
                                  "point-in-time restore request.")
        if not latest and at is None:
            raise invalid_request("Either one of RestoreDateTime or UseLatestRestorableTime must be "
                                  "specified, but not both")
        source = self._source(call, data)
        kept = self._database.schema(source).get("PointInTimeRecovery")
        if not kept:
            raise not_recoverable(source)
        if at is not None:
            earliest = earliest_restorable(kept, now)
            if not earliest <= at <= now:
                raise Refusal("InvalidRestoreTimeException", f"RestoreDateTime '{shown_time(at)}' must be within "
                              f"EarliestRestorableDateTime '{shown_time(earliest)}' and LatestRestorableDateTime "
                              f"'{shown_time(now)}'")
            raise invalid("gtlab's local cloud does not keep the past of a table: it can be restored to the latest "
                          "time only (UseLatestRestorableTime). Nothing was restored.")
        self._check_target(call, data, now)
        table = self._made(call, data, replica_tables.like(self._database.schema(source)), {
            "SourceTableArn": source.arn, "RestoreDateTime": round(now, 3)}, now)
        self._restore_items(table, Snapshot(self._database.table(source).items).take, source, now)
        return {"TableDescription": self._tables.describe(table, now)}

    def _source(self, call: Call, data: dict) -> TableId:
        """The table that a restore to a point in time begins with."""
        arn = data.get("SourceTableArn")
        if arn is None:
            source = TableId(call.account, call.region, data["SourceTableName"])
        else:
            parts = arn.split(":", 5)
            if len(parts) < 6 or parts[0] != "arn":
                raise invalid_values("sourceTableArn is not a valid ARN")
            if parts[4] != call.account:
                raise invalid("This action is only supported by accounts that match the resource owner’s account.")
            source = TableId(call.account, call.region, parts[5].removeprefix("table/"))
            if parts[3] != call.region and source._replace(region=parts[3]).arn == arn:
                raise _elsewhere(data)
        if (arn or source.arn) != source.arn or not self._database.exists(source):
            raise _no_table(arn or source.name)
        return source

    def _check_target(self, call: Call, data: dict, now: float) -> None:
        table = TableId(call.account, call.region, data["TargetTableName"])
        if arn := (self._summary_of(table, now) or {}).get("SourceBackupArn"):
            raise Refusal("TableInUseException", f"Table: {table.name} is already being restored from backup: {arn}")
        if self._tables.occupied(table, now):
            raise Refusal("TableAlreadyExistsException", f"Table already exists: {table.name}")

    def _made(self, call: Call, data: dict, asked: dict, summary: dict, now: float) -> TableId:
        """A restored table without its items."""
        asked = backups.restored_like(asked, data)
        table = TableId(call.account, call.region, asked["TableName"])
        engine.check_create_table(asked)
        self._tables.make(table, asked, now)
        self._database.amend(table, {"RestoreSummary": summary | {UNFINISHED: True}})
        return table

    def _restore_items(self, table: TableId, take: Callable[[], tuple[list[Item], bool]], source: TableId | None,
                       now: float) -> None:
        """Fill a restored table."""
        items = self._database.table(table).items

        def put(taken: list[Item]) -> None:
            for item in taken:
                key = items.key_of(item)
                items.put(key, item)
                self._note(table, key)

        def goes_on(now: float) -> None:
            self._tables.put_off(table, now + _WHILE_FILLED_S)

        def end(now: float) -> None:
            summary = self._database.schema(table)["RestoreSummary"]
            self._database.amend(table, {"RestoreSummary": {
                name: value for name, value in summary.items() if name != UNFINISHED}})
            self.unsaved.settings = True

        self._tables.copies.begin(Copy(take, put, goes_on, end, source), now)

    # Over time

    def restore(self, items: Iterable[tuple[str, str, str, Item]], older: list[Row]) -> None:
        """After a restart: the items of backups, with account, Region and ARN of the backup; and items that the backups
        have already, and that must be written as rows."""
        for account, region, arn, item in items:
            backup = self._database.records[BACKUPS].get(RecordId(account, region, arn))
            if backup is not None:
                backup.items.append(StoredItem(item).packed)
        self.unsaved.rows += older

    def resume(self, now: float) -> None:
        """After a restart: continue with the backups and the restored tables that were not complete. They get what the
        table that is copied has now, where it is not known what it had then."""
        for where, backup in list(self._database.records[BACKUPS].items()):
            source = backup.source(where)
            if not backup.is_complete and self._database.exists(source):
                self._complete(backup, where, source)
            backup.details["BackupStatus"] = backups.AVAILABLE
        for table in list(self._database.tables.values()):
            summary = table.described.get("RestoreSummary", {})
            if not summary.get(UNFINISHED):
                continue
            arn, origin = summary.get("SourceBackupArn"), summary["SourceTableArn"].rpartition("/")[2]
            source = table.id._replace(name=origin)
            if arn is not None:
                found = self._database.records[BACKUPS].get(RecordId(*table.id[:2], arn))
                self._restore_items(table.id, Listed(found.items if found else []).take, None, now)
            elif self._database.exists(source):
                self._restore_items(table.id, Snapshot(self._database.table(source).items).take, source, now)

    def _complete(self, backup: Backup, where: RecordId, source: TableId) -> None:
        items = self._database.table(source).items
        known = {items.key_of(unpack(item)) for item in backup.items}
        for key, item in self._database.items(source):
            if key not in known:
                backup.items.append(packed(item))
                self.unsaved.rows.append(Row(where, key, item))

    # Point-in-time recovery

    def _describe_recovery(self, call: Call, data: dict, now: float) -> dict:
        return {"ContinuousBackupsDescription": self._recovery(self._table(call, data), now)}

    def _update_recovery(self, call: Call, data: dict, now: float) -> dict:
        table, asked = self._table(call, data), data["PointInTimeRecoverySpecification"]
        days = asked.get("RecoveryPeriodInDays")
        if days is not None and days not in _DAYS:
            bound = "less than or equal to 35" if days > _DAYS[-1] else "greater than or equal to 1"
            raise invalid(f"1 validation error detected: Value '{days}' at 'pointInTimeRecoverySpecification."
                          f"recoveryPeriodInDays' failed to satisfy constraint: Member must have value {bound}")
        if days is not None and not asked["PointInTimeRecoveryEnabled"]:
            raise invalid_request("Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")
        known = self._database.schema(table).get("PointInTimeRecovery") or {"since": round(now, 3), "days": _DAYS[-1]}
        self._database.amend(table, {"PointInTimeRecovery": known | ({"days": days} if days else {})
                                     if asked["PointInTimeRecoveryEnabled"] else None})
        return {"ContinuousBackupsDescription": self._recovery(table, now)}

    def _recovery(self, table: TableId, now: float) -> dict:
        """ContinuousBackupsDescription."""
        kept = self._database.schema(table).get("PointInTimeRecovery")
        shown = {"PointInTimeRecoveryStatus": "DISABLED"} if not kept else {
            "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": kept["days"],
            "EarliestRestorableDateTime": earliest_restorable(kept, now), "LatestRestorableDateTime": now}
        return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": shown}

    def _table(self, call: Call, data: dict) -> TableId:
        table = TableId(call.account, call.region, data["TableName"])
        if not self._database.exists(table):
            raise _no_table(table.name)
        return table


def _let_go(items: list) -> bool:
    """Let go of some items; whether there are more. To free many at once would take long."""
    del items[-MOST_ITEMS:]
    return bool(items)


def _check_region(call: Call, arn: str) -> None:
    """A backup is restored in its own Region only."""
    region = (arn.split(":") + [""] * 4)[3]
    if region in ("", call.region) or arn.split(":")[4:5] != [call.account]:
        return
    raise _elsewhere(call.input)


def _elsewhere(data: dict) -> Refusal:
    """The refusal to restore in another Region."""
    if "SSESpecificationOverride" not in data:
        return invalid_request("sseSpecificationOverride must be provided for cross-region restores")
    return invalid("gtlab's local cloud restores a backup or a table in its own Region only. Nothing was restored.")


def _no_table(name: str) -> Refusal:
    return Refusal("TableNotFoundException", f"Table not found: {name}")
