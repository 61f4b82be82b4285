"""Backups, restored tables and point-in-time recovery; and the settings that are kept beside a table: its resource
policies, Contributor Insights, and what would need S3 or Kinesis."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest
from support import KEY, OHIO, ON_DEMAND, VIRGINIA, Pretend, invalid, refused, table

from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.engine.database import BACKUPS, EXPORTS, RecordId
from gtlab.localcloud.engine.items import Items, KeySchema
from gtlab.localcloud.engine.snapshots import Snapshot
from gtlab.localcloud.model import Call, Refusal

UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
INDEX = {"IndexName": "Later", "KeySchema": ON_DEMAND["KeySchema"], "Projection": {"ProjectionType": "ALL"}}
MANY = 1100  # items, more than two slices


@pytest.fixture
def music(pretend):
    """An on-demand table with three items."""
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND)
    pretend.wait(60)
    fill(client, "abc")
    return client


def fill(client, names, **attributes) -> None:
    names = list(names)
    for at in range(0, len(names), 25):
        client.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": {"Artist": {"S": name}, **attributes}}}
                                                        for name in names[at:at + 25]]})


def back_up(client, name="Tape", **asked) -> str:
    return client.create_backup(TableName="Music", BackupName=name, **asked)["BackupDetails"]["BackupArn"]


def status(client, arn: str) -> str:
    return client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]


def names(client, name: str, region_items=None) -> list[str]:
    found, start = [], {}
    while True:
        page = client.scan(TableName=name, **start)
        found += [item["Artist"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return sorted(found)
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def recover(client, **asked) -> dict:
    return client.update_continuous_backups(TableName="Music", PointInTimeRecoverySpecification={
        "PointInTimeRecoveryEnabled": True, **asked})["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]


# Backups

def test_a_backup_is_creating_in_the_answer_and_available_afterwards(pretend, music):
    details = music.create_backup(TableName="Music", BackupName="Tape")["BackupDetails"]
    assert details["BackupStatus"] == "CREATING" and details["BackupType"] == "USER"
    assert details["BackupCreationDateTime"].timestamp() == pytest.approx(pretend.now, abs=1e-3)
    arn = details["BackupArn"]
    assert arn.startswith(table(music)["TableArn"] + f"/backup/{int(pretend.now * 1000):014d}-")
    described = music.describe_backup(BackupArn=arn)["BackupDescription"]
    assert described["BackupDetails"] == details | {"BackupStatus": "AVAILABLE"}
    assert described["SourceTableDetails"] == {
        "TableName": "Music", "TableId": table(music)["TableId"], "TableArn": table(music)["TableArn"],
        "TableSizeBytes": 21, "KeySchema": ON_DEMAND["KeySchema"], "ItemCount": 3, "BillingMode": "PAY_PER_REQUEST",
        "TableCreationDateTime": table(music)["CreationDateTime"],
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}
    assert described["SourceTableFeatureDetails"] == {}


def test_a_backup_keeps_what_the_service_keeps_of_a_table(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND | {
        "BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS, "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"Enabled": True, "SSEType": "KMS"}, "Tags": [{"Key": "a", "Value": "1"}],
        "GlobalSecondaryIndexes": [INDEX | {"ProvisionedThroughput": UNITS}]})
    pretend.wait(60)
    client.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
    features = client.describe_backup(BackupArn=back_up(client))["BackupDescription"]["SourceTableFeatureDetails"]
    assert features["StreamDescription"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert features["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}
    assert features["SSEDescription"]["Status"] == "ENABLED"
    assert features["GlobalSecondaryIndexes"] == [INDEX | {"ProvisionedThroughput": UNITS}]
    assert features.keys() == {"StreamDescription", "TimeToLiveDescription", "SSEDescription", "GlobalSecondaryIndexes"}


def test_backups_are_listed_by_time_in_pages(pretend, music):
    made = []
    for _ in range(3):  # a name may be used again
        made.append(back_up(music))
        pretend.wait(1)

    def listed(**asked):
        page = music.list_backups(**asked)
        return [each["BackupArn"] for each in page["BackupSummaries"]], page.get("LastEvaluatedBackupArn")

    assert listed() == listed(TableName="Music", BackupType="ALL", Limit=3) == (made, None)
    assert listed(TableName=table(music)["TableArn"]) == (made, None)
    assert listed(Limit=2) == (made[:2], made[1])
    assert listed(Limit=2, ExclusiveStartBackupArn=made[1]) == (made[2:], None)
    music.delete_backup(BackupArn=made[1])
    assert listed(ExclusiveStartBackupArn=made[1]) == (made[2:], None)  # a backup that is gone is a place, too
    times = [each["BackupCreationDateTime"] for each in music.list_backups()["BackupSummaries"]]
    assert listed(TimeRangeLowerBound=times[1]) == listed(TimeRangeLowerBound=times[0].timestamp() + 0.001)
    assert listed(TimeRangeUpperBound=times[1]) == ([made[0]], None)
    assert listed(BackupType="SYSTEM") == listed(BackupType="AWS_BACKUP") == listed(TableName="Nothing") == ([], None)
    assert pretend.client(VIRGINIA).list_backups()["BackupSummaries"] == []
    summary = music.list_backups()["BackupSummaries"][0]
    assert {"TableName", "TableId", "TableArn", "BackupArn", "BackupName", "BackupCreationDateTime", "BackupStatus",
            "BackupType", "BackupSizeBytes"} == summary.keys()


@pytest.mark.parametrize(("asked", "text"), [
    ({"Limit": 101}, "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal"),
    ({"BackupType": "user"}, "Member must satisfy enum value set"),
    ({"TimeRangeLowerBound": 2, "TimeRangeUpperBound": 1},
     "One or more parameter values were invalid: Time range lower bound must be less than or equal to upper bound"),
    ({"ExclusiveStartBackupArn": "arn:aws:dynamodb:us-east-1:111111111111:table/Music/backup/01700000000000-aaaaaaaa"},
     "Invalid Request: The supplied ExclusiveStartBackupArn does not match the region"),
])
def test_lists_that_are_refused(music, asked, text):
    with invalid(text):
        music.list_backups(**asked)


def test_a_backup_that_is_deleted_is_gone_at_once(music):
    arn = back_up(music)
    gone = music.delete_backup(BackupArn=arn)["BackupDescription"]
    assert gone["BackupDetails"]["BackupStatus"] == "DELETED" and gone["SourceTableDetails"]["ItemCount"] == 3
    for call in (music.describe_backup, music.delete_backup):
        with refused("BackupNotFoundException", f"Backup not found: {arn}"):
            call(BackupArn=arn)
    assert music.list_backups()["BackupSummaries"] == []


@pytest.mark.parametrize(("arn", "code", "text"), [
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Music", "ValidationException", "Invalid Backup ARN"),
    ("x" * 48, "ValidationException", "Invalid Backup ARN"),
    *((f"arn:aws:dynamodb:us-east-2:111111111111:{path}/01789732865749-d3df7150", "ValidationException",
       "Invalid Backup ARN") for path in ("TABLE/Music/BACKUP", "table/x/backup", "table//backup", "table/a b/backup",
                                          f"table/{'x' * 256}/backup", "table/bad:table/backup")),
    *((f"arn:{where}:111111111111:table/Music/backup/01789732865749-d3df7150", "ValidationException",
       "Invalid Request: BackupArn is not valid") for where in (
           "aws:s3:us-east-2", "AWS:dynamodb:us-east-2", "aws:dynamodb:us-test-2", "aws:dynamodb:us-east-0")),
    *((f"arn:aws:dynamodb:us-east-2:111111111111:table/Music/backup/{last}", "ValidationException",
       "Invalid Request: BackupArn is not valid") for last in (
           "1789732865749-d3df7150", "001789732865749-d3df7150", "01789732865749-zzzzzzzz", "01789732865749-d3df71500",
           "01-0")),
    *((f"arn:{where}:222222222222:{path}", "AccessDeniedException", "Access is denied") for where, path in (
        ("aws:dynamodb:us-east-2", "table/Music/backup/01-0"), ("AWS:s3:us-test-2", "TABLE/x/backup/01-0"))),
    *((f"arn:aws:dynamodb:{region}:111111111111:table/Music/backup/{last}", "BackupNotFoundException",
       f"Backup not found: arn:aws:dynamodb:{region}:111111111111:table/Music/backup/{last}") for region, last in (
           ("us-east-2", "00000000000000-D3DF7150"), ("US-East-2", "11789732865749-d3df7150"))),
])
def test_arns_that_name_no_backup(music, arn, code, text):
    for ask in (music.describe_backup, music.delete_backup):
        with refused(code, text):
            ask(BackupArn=arn)
    elsewhere = arn.split(":")[3:4] not in ([], [OHIO]) and ":111111111111:" in arn
    with refused("ValidationException" if elsewhere else code, "cross-region restores" if elsewhere else text):
        music.restore_table_from_backup(TargetTableName="Again", BackupArn=arn)


def test_only_a_table_that_is_ready_is_backed_up(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND)
    for name in ("Music", "Nothing"):
        with refused("TableNotFoundException", f"Table not found: {name}"):
            client.create_backup(TableName=name, BackupName="Tape")
    with invalid("Value 'a b' at 'backupName' failed to satisfy constraint: Member must satisfy regular expression"):
        client.create_backup(TableName="Music", BackupName="a b")


# Work in slices

def test_a_backup_has_the_items_of_its_moment_although_it_takes_several_slices(pretend, music):
    fill(music, map(str, range(MANY)))
    before = names(music, "Music")
    arn = back_up(music)
    assert status(music, arn) == "CREATING"
    chosen = random.Random(1)
    step = 0
    while status(music, arn) == "CREATING":  # each call does a slice
        step += 1
        some = [str(chosen.randrange(MANY)) for _ in range(20)]
        for each in set(some):
            music.delete_item(TableName="Music", Key={"Artist": {"S": each}})
        fill(music, [f"new {step} {number}" for number in range(5)])
        fill(music, {str(chosen.randrange(MANY)) for _ in range(20)}, changed={"BOOL": True})
    assert step
    music.restore_table_from_backup(TargetTableName="Again", BackupArn=arn)
    while pretend.cloud.tables.slices:
        pretend.wait(20)
    pretend.wait(20)
    assert names(music, "Again") == before
    assert not [item for item in music.scan(TableName="Again")["Items"] if "changed" in item]


def test_a_snapshot_is_what_the_table_was_in_any_order_of_changes():
    for seed in range(60):
        chosen = random.Random(seed)
        schema = KeySchema(("p",), ("s",), {"p": "S", "s": "N"}, ("p", "s"))
        items = Items(schema)

        def put(value: int, items=items, chosen=chosen) -> None:
            item = {"p": {"S": str(chosen.randrange(6))}, "s": {"N": str(chosen.randrange(8))}, "v": {"N": str(value)}}
            items.put(items.key_of(item), item)

        for value in range(chosen.randrange(40)):
            put(value)
        was = dict(items.entries())
        snapshot, taken, more = Snapshot(items), {}, True
        while more:
            some, more = snapshot.take(most=chosen.randrange(1, 5))
            for item in some:
                assert items.key_of(item) not in taken
                taken[items.key_of(item)] = item
            for value in range(chosen.randrange(6)):
                if chosen.random() < 0.4 and items:
                    items.delete(chosen.choice(items.present().take(100)))
                else:
                    put(1000 + value)
        assert taken == was, f"seed {seed}"
        assert items.snapshots == []


def test_a_slice_is_bounded_in_bytes(music):
    fill(music, map(str, range(8)), large={"S": "x" * 300_000})
    arn = back_up(music)
    assert status(music, arn) == "CREATING"
    while status(music, arn) == "CREATING":
        pass


def test_a_table_that_is_being_copied_is_not_deleted(pretend, music):
    fill(music, map(str, range(MANY)))
    arn = back_up(music)
    with refused("ResourceInUseException", "Table is being backed up: Music"):
        music.delete_table(TableName="Music")
    with refused("BackupInUseException", "Backup is being created"):
        music.delete_backup(BackupArn=arn)
    while status(music, arn) == "CREATING":
        pass
    music.delete_table(TableName="Music")


def test_a_restored_table_is_creating_until_all_its_items_are_there():
    pretend = Pretend("instant")
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND)
    fill(client, map(str, range(MANY)))
    arn = back_up(client)
    while status(client, arn) == "CREATING":
        pass
    client.restore_table_from_backup(TargetTableName="Again", BackupArn=arn)
    assert client.describe_table(TableName="Again")["Table"]["TableStatus"] == "CREATING"
    for call in (lambda: client.delete_backup(BackupArn=arn),
                 lambda: client.restore_table_from_backup(TargetTableName="More", BackupArn=arn)):
        with refused("BackupInUseException", "Backup is being used to restore"):
            call()
    with refused("TableInUseException", "Table: Again is already being restored from backup: arn"):
        client.restore_table_from_backup(TargetTableName="Again", BackupArn=arn)
    while client.describe_table(TableName="Again")["Table"]["TableStatus"] == "CREATING":
        pretend.wait(1)
    assert len(names(client, "Again")) == MANY
    client.delete_backup(BackupArn=arn)


def test_the_items_of_a_backup_are_the_tables_own(pretend, music):
    back_up(music)
    backup, = pretend.cloud.database.records[BACKUPS].values()
    there = {id(item.packed[0]) for _, item in pretend.cloud.database.items(next(iter(pretend.cloud.database.tables)))}
    assert {id(json) for json, _ in backup.items} == there


# Restored tables

def test_a_restored_table_says_where_it_is_from_until_it_is_ready(pretend, music):
    backup = back_up(music)
    source = table(music)["TableArn"]
    music.delete_table(TableName="Music")
    pretend.wait(600)
    fresh = music.restore_table_from_backup(TargetTableName="Again", BackupArn=backup)["TableDescription"]
    assert fresh["TableStatus"] == "CREATING" and fresh["RestoreSummary"]["RestoreInProgress"]
    assert (fresh["RestoreSummary"]["SourceBackupArn"], fresh["RestoreSummary"]["SourceTableArn"]) == (backup, source)
    pretend.wait(600)
    ready = music.describe_table(TableName="Again")["Table"]
    assert ready["TableStatus"] == "ACTIVE" and "RestoreSummary" not in ready
    assert ready["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"].year > 2000
    assert music.scan(TableName="Again")["Count"] == 3
    with refused("TableAlreadyExistsException"):
        music.restore_table_from_backup(TargetTableName="Again", BackupArn=backup)


def test_most_operations_do_not_find_a_table_while_it_is_being_restored(pretend, music):
    arn = music.restore_table_from_backup(TargetTableName="Again", BackupArn=back_up(music))["TableDescription"][
        "TableArn"]
    recovery = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    tags = [{"Key": "a", "Value": "1"}]
    calls = (
        *((name, {"TableName": "Again"} | more) for name, more in (
            ("update_table", {"DeletionProtectionEnabled": True}), ("describe_time_to_live", {}),
            ("update_time_to_live", {"TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True}}),
            ("describe_contributor_insights", {}), ("describe_continuous_backups", {}),
            ("update_continuous_backups", recovery), ("create_backup", {"BackupName": "First"}))),
        ("describe_time_to_live", {"TableName": arn}),
        *((name, {"ResourceArn": arn} | more) for name, more in (
            ("tag_resource", {"Tags": tags}), ("list_tags_of_resource", {}), ("get_resource_policy", {}),
            ("untag_resource", {"TagKeys": ["a"]}), ("delete_resource_policy", {}))))
    for name, asked in calls:
        with (refused("TableNotFoundException", "Table not found: Again$") if "backup" in name else
              refused("ResourceNotFoundException", "Requested resource not found: Table: Again not found$")):
            getattr(music, name)(**asked)
    with refused("ResourceInUseException", "Table is being used: Again$"):
        music.create_table(**ON_DEMAND | {"TableName": "Again"})
    assert music.describe_table(TableName="Again")["Table"]["TableStatus"] == "CREATING"
    pretend.wait(60)
    music.tag_resource(ResourceArn=arn, Tags=tags)
    music.update_continuous_backups(TableName="Again", **recovery)
    assert music.list_tags_of_resource(ResourceArn=arn)["Tags"] == tags
    music.create_table(**ON_DEMAND | {"TableName": "New"})  # a table that is created is found
    music.list_tags_of_resource(ResourceArn=arn.replace("Again", "New"))


def test_a_restored_table_has_only_what_a_backup_keeps(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND | {
        "TableClass": "STANDARD_INFREQUENT_ACCESS", "DeletionProtectionEnabled": True,
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"Enabled": True, "SSEType": "KMS"}, "Tags": [{"Key": "a", "Value": "1"}],
        "OnDemandThroughput": {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50},
        "GlobalSecondaryIndexes": [INDEX]})
    pretend.wait(60)
    fill(client, "a")
    client.restore_table_from_backup(TargetTableName="Again", BackupArn=back_up(client))
    pretend.wait(60)
    again = client.describe_table(TableName="Again")["Table"]
    assert again["SSEDescription"] == table(client)["SSEDescription"]
    assert again["OnDemandThroughput"] == {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50}
    assert [index["IndexName"] for index in again["GlobalSecondaryIndexes"]] == ["Later"]
    assert not again["DeletionProtectionEnabled"] and not {"StreamSpecification", "TableClassSummary"} & again.keys()
    assert client.list_tags_of_resource(ResourceArn=again["TableArn"])["Tags"] == []
    assert client.query(TableName="Again", IndexName="Later", KeyConditionExpression="Artist = :a",
                        ExpressionAttributeValues={":a": {"S": "a"}})["Count"] == 1


def test_what_a_restore_replaces(pretend, music):
    arn = back_up(music)
    music.restore_table_from_backup(TargetTableName="Again", BackupArn=arn, BillingModeOverride="PROVISIONED",
                                    ProvisionedThroughputOverride=UNITS)
    pretend.wait(60)
    assert music.describe_table(TableName="Again")["Table"]["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    for asked, text in (
            ({"ProvisionedThroughputOverride": UNITS},
             "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED"),
            ({"ProvisionedThroughputOverride": UNITS, "BillingModeOverride": "PAY_PER_REQUEST"},
             "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"),
            ({"GlobalSecondaryIndexOverride": [INDEX | {"ProvisionedThroughput": UNITS}],
              "BillingModeOverride": "PAY_PER_REQUEST"},
             "if BillingMode is overridden to PAY_PER_REQUEST for index Later"),
            ({"BillingModeOverride": "PROVISIONED"},
             "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED"),
            ({"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": UNITS,
              "OnDemandThroughputOverride": {"MaxReadRequestUnits": 5}}, "Invalid Request: Cannot override "
             "MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST"),
            ({"OnDemandThroughputOverride": {"MaxWriteRequestUnits": 0}},
             "Invalid Request: Requested MaxWriteRequestUnits for OnDemandThroughput is outside of valid range"),
            ({"TargetTableName": "xx"},
             "TableName must be at least 3 characters long and at most 255 characters long"),
            ({"BackupArn": arn.replace("us-east-2", "us-east-1")},
             "Invalid Request: sseSpecificationOverride must be provided for cross-region restores"),
            ({"BackupArn": arn.replace("us-east-2", "us-east-1"), "SSESpecificationOverride": {"Enabled": False}},
             "restores a backup or a table in its own Region only"),
            ({"GlobalSecondaryIndexOverride": [INDEX]},
             "Invalid Request: Index Later does not match a secondary index that existed in the source table and "
             "cannot be created"),
            ({"BillingModeOverride": "BOGUS"}, "Member must satisfy enum value set"),
            ({"BackupArn": "arn"}, "Value 'arn' at 'backupArn' .* greater than or equal to 37"),
            ({"BillingModeOverride": "BOGUS", "TargetTableName": "not so",
              "ProvisionedThroughputOverride": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
              "LocalSecondaryIndexOverride": [INDEX | {"IndexName": "x", "Projection": {"ProjectionType": "SOME"}}],
              "GlobalSecondaryIndexOverride": [INDEX | {"KeySchema": []}],
              "SSESpecificationOverride": {"SSEType": "DES", "KMSMasterKeyId": ""}},
             r"8 validation errors detected: Value 'not so' at 'targetTableName' .*; Value 'BOGUS' at "
             r"'billingModeOverride' .*; Value '0' at 'provisionedThroughputOverride.readCapacityUnits' .*; Value "
             r"'\[\]' at 'globalSecondaryIndexOverride.1.member.keySchema' .*; Value 'x' at "
             r"'localSecondaryIndexOverride.1.member.indexName' .*; Value 'SOME' at "
             r"'localSecondaryIndexOverride.1.member.projection.projectionType' .*; Value 'DES' at "
             r"'sSESpecificationOverride.sSEType' .*; Value '' at 'sSESpecificationOverride.kMSMasterKeyId' "),
            ({"VectorIndexOverride": []}, "no vector indexes")):
        with invalid(text):
            music.restore_table_from_backup(**{"TargetTableName": "More", "BackupArn": arn} | asked)
    assert music.list_tables()["TableNames"] == ["Again", "Music"]


def test_the_indexes_of_a_backup_can_be_left_out(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND, GlobalSecondaryIndexes=[INDEX])
    pretend.wait(60)
    client.restore_table_from_backup(TargetTableName="Again", BackupArn=back_up(client),
                                     GlobalSecondaryIndexOverride=[])
    assert "GlobalSecondaryIndexes" not in client.describe_table(TableName="Again")["Table"]


def test_the_settings_of_an_index_that_a_restore_replaces_are_applied_or_refused(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND, GlobalSecondaryIndexes=[INDEX])
    pretend.wait(60)
    arn = back_up(client)
    for asked, more, text in (
            ({"ProvisionedThroughput": UNITS}, {}, "ProvisionedThroughput should not be specified for index: Later"),
            ({"ProvisionedThroughput": UNITS, "OnDemandThroughput": {"MaxReadRequestUnits": 5}},
             {"BillingModeOverride": "PROVISIONED", "ProvisionedThroughputOverride": UNITS},
             "MaxReadRequestUnits for OnDemandThroughput for index: Later cannot be specified when"),
            ({"WarmThroughput": {"ReadUnitsPerSecond": 1}}, {}, "ReadUnitsPerSecond for WarmThroughput for index")):
        with invalid(text):
            client.restore_table_from_backup(TargetTableName="Again", BackupArn=arn, **more,
                                             GlobalSecondaryIndexOverride=[INDEX | asked])
    warm = {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 5_000}
    client.restore_table_from_backup(TargetTableName="Again", BackupArn=arn, GlobalSecondaryIndexOverride=[
        INDEX | {"IndexName": "Named", "WarmThroughput": warm}])
    pretend.wait(60)
    index, = client.describe_table(TableName="Again")["Table"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "Named" and index["WarmThroughput"].items() >= warm.items()


def test_a_restored_table_is_no_replica_and_its_items_are_not_sent(pretend, music):
    music.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])
    pretend.wait(2000)
    arn = back_up(music)
    music.restore_table_from_backup(TargetTableName="Again", BackupArn=arn)
    pretend.wait(60)
    assert music.scan(TableName="Again")["Count"] == 3
    assert "Replicas" not in music.describe_table(TableName="Again")["Table"]
    assert pretend.client(VIRGINIA).list_tables()["TableNames"] == ["Music"]


# Point-in-time recovery

def test_nothing_is_exported_or_restored_without_point_in_time_recovery(music):
    arn = table(music)["TableArn"]
    for ask in (lambda: music.export_table_to_point_in_time(TableArn=arn, S3Bucket="bucket"),
                lambda: music.restore_table_to_point_in_time(SourceTableName="Music", TargetTableName="Again",
                                                             UseLatestRestorableTime=True)):
        with refused("PointInTimeRecoveryUnavailableException", "is not enabled for table 'Music'"):
            ask()


def test_the_recovery_period_comes_back_as_it_was_set(music):
    for asked, days in (({}, 35), ({"RecoveryPeriodInDays": 7}, 7), ({}, 7)):
        recover(music, **asked)
        told = music.describe_continuous_backups(TableName="Music")["ContinuousBackupsDescription"]
        assert told["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == days
    with invalid("Value '36' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays'"):
        recover(music, RecoveryPeriodInDays=36)
    for days, text in ((0, "Member must have value greater than or equal to 1"), (
            7, "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")):
        with invalid(text):
            music.update_continuous_backups(TableName="Music", PointInTimeRecoverySpecification={
                "PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": days})


def test_what_would_need_s3_or_the_past_is_refused(pretend, music):
    begun = recover(music)["EarliestRestorableDateTime"]
    pretend.wait(600)
    with invalid("gtlab's local cloud has no S3"):
        music.export_table_to_point_in_time(TableArn=table(music)["TableArn"], S3Bucket="bucket")
    with invalid("gtlab's local cloud has no S3"):
        music.import_table(S3BucketSource={"S3Bucket": "none"}, InputFormat="DYNAMODB_JSON",
                           TableCreationParameters=ON_DEMAND | {"TableName": "Imported"})
    with invalid("gtlab's local cloud does not keep the past of a table"):
        music.restore_table_to_point_in_time(SourceTableName="Music", TargetTableName="Again", RestoreDateTime=begun)
    assert music.list_tables()["TableNames"] == ["Music"]
    assert music.list_exports()["ExportSummaries"] == music.list_imports()["ImportSummaryList"] == []


@pytest.mark.parametrize(("asked", "code", "text"), [
    ({"S3Bucket": ""}, "ValidationException", r"Value '' at 's3Bucket' failed to satisfy constraint: Member must "
     r"satisfy regular expression pattern: \^\[a-z0-9A-Z\]\+\[\\.\\-\\w\]\*\[a-z0-9A-Z\]\+\$$"),
    ({"S3Bucket": "arn:aws:s3:::bucket"}, "ValidationException", "Value 'arn:aws:s3:::bucket' at 's3Bucket' failed"),
    ({"TableArn": ""}, "ValidationException", "Invalid TableArn: Invalid Table ARN$"),
    ({"TableArn": "Music"}, "ValidationException", "values were invalid: tableArn is not a valid ARN$"),
    ({"TableArn": "arn:aws:dynamodb:us-east-2:111111111111:table/Music/index/by_genre"}, "ValidationException",
     r"Invalid Request: Table ARN is invalid\.$"),
    ({"TableArn": "arn:aws:dynamodb:eu-west-1:111111111111:table/Music"}, "TableNotFoundException",
     "Table not found: arn:aws:dynamodb:eu-west-1:111111111111:table/Music$"),
    ({}, "PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table 'Music'$"),
    ({"TableArn": "arn:aws:dynamodb:us-east-2:222222222222:table/Music"}, "AccessDeniedException", "Access is denied$"),
    ({"S3BucketOwner": "me", "ExportFormat": "CSV", "ExportType": "PARTIAL_EXPORT", "S3SseAlgorithm": "aws:kms",
      "IncrementalExportSpecification": {"ExportViewType": "NEW_IMAGES"}}, "ValidationException",
     "5 validation errors detected: Value 'me' at 's3BucketOwner' .*; Value 'aws:kms' at 's3SseAlgorithm' .*; Value "
     "'CSV' at 'exportFormat' .*; Value 'PARTIAL_EXPORT' at 'exportType' .*; Value 'NEW_IMAGES' at "
     "'incrementalExportSpecification.exportViewType' failed to satisfy constraint: Member must satisfy enum value"),
    ({"S3SseKmsKeyId": "key"}, "ValidationException", "Invalid Request: KMS Key Id is not supported for this"),
    ({"S3SseKmsKeyId": "key", "S3SseAlgorithm": "AES256"}, "ValidationException", "KMS Key Id is not supported for"),
    ({"FilterSpecification": {}}, "ValidationException", "Invalid FilterSpecification: The specification can not be"),
])
def test_exports_that_are_refused_in_the_services_words(music, asked, code, text):
    with refused(code, text):
        music.export_table_to_point_in_time(**{"TableArn": table(music)["TableArn"], "S3Bucket": "a.b-C_1"} | asked)


PERIOD = "Incremental export period "


@pytest.mark.parametrize(("type_", "period", "code", "text"), [  # seconds after the table's creation
    (None, (0, None), "ValidationException", "Invalid Request: Export Type expected to be Incremental Export when "
     "incremental export specification is provided$"),
    ("FULL_EXPORT", (0, None), "ValidationException",
     "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided$"),
    ("INCREMENTAL_EXPORT", (None, None), "ValidationException",
     "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification$"),
    ("INCREMENTAL_EXPORT", (None, 1000), "ValidationException", "ExportFromTime must be provided"),
    ("INCREMENTAL_EXPORT", (-1, -2), "InvalidExportTimeException",
     PERIOD + "from time cannot be less than the table creation time : 2027-01-15T07:59:59Z$"),
    ("INCREMENTAL_EXPORT", (9e9, 1e10), "InvalidExportTimeException",
     PERIOD + "to time cannot be greater than the current time : 2343-12-06T01:46:40Z$"),
    ("INCREMENTAL_EXPORT", (60, 60), "InvalidExportTimeException",
     PERIOD + "from time should not be greater or equal to incremental export period to time$"),
    ("INCREMENTAL_EXPORT", (0, 899), "InvalidExportTimeException",
     "Difference between export period from time and export period to time is less than 15 minutes$"),
    ("INCREMENTAL_EXPORT", (0, None), "InvalidExportTimeException",
     "Difference between export period from time and export period to time is more than 24 hours$"),
    ("INCREMENTAL_EXPORT", (0, 900), "PointInTimeRecoveryUnavailableException", "is not enabled for table 'Music'$"),
])
def test_incremental_exports_are_refused_in_the_services_order(pretend, music, type_, period, code, text):
    created = int(table(music)["CreationDateTime"].timestamp())
    pretend.wait(2 * 86400)
    asked = {name: created + at for name, at in zip(("ExportFromTime", "ExportToTime"), period, strict=True)
             if at is not None}
    with refused(code, text):
        music.export_table_to_point_in_time(TableArn=table(music)["TableArn"], S3Bucket="bucket", ExportType=type_,
                                            IncrementalExportSpecification=asked)


def test_the_time_of_an_export_lies_in_the_past_that_is_kept(pretend, music):
    begun = int(recover(music)["EarliestRestorableDateTime"].timestamp())
    arn = table(music)["TableArn"]
    pretend.wait(600)
    for at in (begun - 3600, begun + 3600):
        with refused("InvalidExportTimeException", "Export Time is invalid$"):
            music.export_table_to_point_in_time(TableArn=arn, S3Bucket="bucket", ExportTime=at)
        with refused("InvalidRestoreTimeException", "must be within EarliestRestorableDateTime"):
            music.restore_table_to_point_in_time(SourceTableName="Music", TargetTableName="Again", RestoreDateTime=at)
    for asked in ({"ExportTime": begun + 60}, {"ExportType": "FULL_EXPORT"}):
        with invalid("gtlab's local cloud has no S3"):
            music.export_table_to_point_in_time(TableArn=arn, S3Bucket="bucket", **asked)
    with invalid("Incremental Export Specification expected when export type is set as Incremental Export"):
        music.export_table_to_point_in_time(TableArn=arn, S3Bucket="bucket", ExportType="INCREMENTAL_EXPORT")


@pytest.mark.parametrize(("asked", "code", "text"), [
    ({"UseLatestRestorableTime": True, "RestoreDateTime": 1.8e9}, "ValidationException",
     "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set"),
    ({}, "ValidationException", "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be"),
    ({"RestoreDateTime": 1.7e9}, "InvalidRestoreTimeException",
     "RestoreDateTime '2023-11-14T22:13:20Z' must be within EarliestRestorableDateTime '2027"),
    ({"SourceTableName": "Nothing", "UseLatestRestorableTime": True}, "TableNotFoundException",
     "Table not found: Nothing"),
    ({"SourceTableName": "Nothing"}, "ValidationException", "Either one of RestoreDateTime or UseLatestRestorableTime"),
    ({"SourceTableName": "x", "TargetTableName": "not so"}, "ValidationException",
     "2 validation errors detected: Value 'not so' at 'targetTableName' .*; Value 'x' at 'sourceTableName' "),
    ({"SourceTableArn": "arn", "UseLatestRestorableTime": True}, "ValidationException", "Must provide exactly one of"),
    ({"SourceTableName": None, "UseLatestRestorableTime": True}, "ValidationException",
     "The parameter 'TableName' is required but was not present in the request"),
    ({"SourceTableName": None, "SourceTableArn": "Music", "UseLatestRestorableTime": True}, "ValidationException",
     "values were invalid: sourceTableArn is not a valid ARN"),
    ({"SourceTableName": None, "SourceTableArn": "arn:aws:dynamodb:us-east-2:222222222222:table/Music",
      "UseLatestRestorableTime": True}, "ValidationException",
     "This action is only supported by accounts that match the resource owner’s account"),
    ({"SourceTableName": None, "SourceTableArn": "arn:aws:dynamodb:us-east-1:111111111111:table/Music",
      "UseLatestRestorableTime": True}, "ValidationException", "must be provided for cross-region restores"),
    ({"SourceTableName": None, "SourceTableArn": "arn:aws:dynamodb:us-east-2:111111111111:table/Nothing",
      "UseLatestRestorableTime": True}, "TableNotFoundException", "Table not found: arn:aws:.*/Nothing"),
    ({"TargetTableName": "Music", "UseLatestRestorableTime": True}, "TableAlreadyExistsException",
     "Table already exists: Music"),
])
def test_restores_that_are_refused(music, asked, code, text):
    recover(music)
    with refused(code, text):
        music.restore_table_to_point_in_time(**{"SourceTableName": "Music", "TargetTableName": "Again"} | asked)
    assert music.list_tables()["TableNames"] == ["Music"]


def test_the_latest_state_of_a_table_is_restored(pretend, music):
    recover(music)
    fill(music, map(str, range(MANY)))
    before = names(music, "Music")
    music.restore_table_to_point_in_time(SourceTableName="Music", TargetTableName="Again", UseLatestRestorableTime=True)
    fill(music, ["after"])
    while pretend.cloud.tables.slices:
        pretend.wait(20)
    pretend.wait(20)
    assert names(music, "Again") == before


# What is kept

class Kept:
    """A cloud whose state is in a file, called without HTTP."""

    def __init__(self, path):
        self.path, self.now = path, 1_800_000_000.0
        self.open()

    def open(self) -> None:
        self.keeper = keep(self.path, "instant", 1, clock=lambda: self.now)
        assert self.keeper.note == ""

    def call(self, operation: str, **data) -> dict:
        body = self.keeper.cloud.call(Call("1" * 12, OHIO, "dynamodb", operation, data), self.now)
        self.keeper.save()
        return json.loads(body)

    def crash(self) -> None:
        """Open what is on disk again, as after the end of the process."""
        self.keeper._store.fold()
        self.open()

    def create(self, items: int) -> None:
        self.call("CreateTable", **ON_DEMAND)
        for at in range(0, items, 25):
            self.call("BatchWriteItem", RequestItems={"Music": [
                {"PutRequest": {"Item": {"Artist": {"S": str(number)}}}} for number in range(at, at + 25)]})

    def count(self, name: str) -> int:
        return self.call("DescribeTable", TableName=name)["Table"]["ItemCount"]


@pytest.fixture
def kept(tmp_path):
    made = Kept(tmp_path / "cloud.sqlite3")
    yield made
    made.keeper.close()


def test_a_backup_survives_and_its_items_are_written_once(kept):
    kept.create(50)
    arn = kept.call("CreateBackup", TableName="Music", BackupName="Tape")["BackupDetails"]["BackupArn"]
    kept.call("PutItem", TableName="Music", Item=KEY)
    kept.crash()
    assert kept.call("ListBackups")["BackupSummaries"][0]["BackupStatus"] == "AVAILABLE"
    kept.call("RestoreTableFromBackup", TargetTableName="Again", BackupArn=arn)
    assert kept.count("Again") == 50
    kept.call("DeleteBackup", BackupArn=arn)
    kept.crash()
    assert kept.call("ListBackups")["BackupSummaries"] == []
    assert sqlite3.connect(kept.path).execute("SELECT count(*) FROM backups").fetchone() == (0,)
    assert kept.count("Again") == 50


@pytest.mark.parametrize("operation", ["CreateBackup", "RestoreTableFromBackup", "RestoreTableToPointInTime"])
def test_what_a_crash_interrupted_is_completed(kept, operation):
    kept.create(MANY)
    kept.call("UpdateContinuousBackups", TableName="Music",
              PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    arn = kept.call("CreateBackup", TableName="Music", BackupName="Tape")["BackupDetails"]["BackupArn"]
    if operation == "CreateBackup":
        assert kept.call("ListBackups")["BackupSummaries"][0]["BackupStatus"] == "CREATING"
    else:
        while kept.call("ListBackups")["BackupSummaries"][0]["BackupStatus"] == "CREATING":
            pass
        asked = {"BackupArn": arn} if operation == "RestoreTableFromBackup" else {
            "SourceTableName": "Music", "UseLatestRestorableTime": True}
        kept.call(operation, TargetTableName="Again", **asked)
        assert kept.count("Again") < MANY
    kept.crash()
    if operation == "CreateBackup":
        assert kept.call("ListBackups")["BackupSummaries"][0]["BackupStatus"] == "AVAILABLE"
        kept.call("RestoreTableFromBackup", TargetTableName="Again", BackupArn=arn)
    while kept.call("DescribeTable", TableName="Again")["Table"]["TableStatus"] == "CREATING":
        kept.now += 1
    assert kept.count("Again") == MANY


# Resource policies

ALLOW = {"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": ["dynamodb:GetItem"],
         "Resource": "*"}


def document(*statements: dict, **more: str) -> str:
    return json.dumps({"Version": "2012-10-17", **more, "Statement": list(statements)})


def test_a_policy_that_is_put_again_keeps_its_revision(pretend, music):
    arn = table(music)["TableArn"]
    with refused("PolicyNotFoundException", "Resource-based policy not found for the provided ResourceArn: " + arn):
        music.get_resource_policy(ResourceArn=arn)
    first = music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW))["RevisionId"]
    assert first == str(int(pretend.now * 1000))
    same = ALLOW | {"Action": "dynamodb:GetItem", "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]}}
    again = music.put_resource_policy(ResourceArn=arn, Policy=json.dumps(json.loads(document(same)), indent=1))
    other = music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW, Id="x"))["RevisionId"]
    assert first == again["RevisionId"] != other


def test_a_policy_comes_back_in_the_services_form(music):
    arn = table(music)["TableArn"]
    music.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Statement": {
        "Resource": [arn], "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Principal": {"AWS": "222222222222"},
        "Effect": "allow"}}, indent=2))
    assert music.get_resource_policy(ResourceArn=arn)["Policy"] == (
        '{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},'
        f'"Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":"{arn}"}}]}}')


def test_a_policy_is_changed_only_in_the_expected_revision(music):
    arn, other = table(music)["TableArn"], ALLOW | {"Effect": "Deny"}
    with invalid("Value '' at 'expectedRevisionId' failed to satisfy constraint: Member must have length greater"):
        music.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId="")
    with refused("PolicyNotFoundException", "with revision id 1, but table Music has no associated policy"):
        music.put_resource_policy(ResourceArn=arn, Policy=document(other), ExpectedRevisionId="1")
    first = music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW),
                                      ExpectedRevisionId="NO_POLICY")["RevisionId"]
    with refused("PolicyNotFoundException", f"expecting none to be present for table Music, but a policy exists with "
                 f"revision id {first}"):
        music.put_resource_policy(ResourceArn=arn, Policy=document(other), ExpectedRevisionId="NO_POLICY")
    second = music.put_resource_policy(ResourceArn=arn, Policy=document(other), ExpectedRevisionId=first)["RevisionId"]
    for call in (lambda: music.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=first),
                 lambda: music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW), ExpectedRevisionId=first)):
        with refused("PolicyNotFoundException", f"policy with revision id {first}, but the policy associated to target "
                     f"table Music has revision id {second}"):
            call()
    assert music.get_resource_policy(ResourceArn=arn)["RevisionId"] == second
    assert music.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=second)["RevisionId"] == second


def test_a_deletion_of_a_policy_is_a_revision_too(pretend, music):
    arn = table(music)["TableArn"]
    for _ in range(2):
        assert "RevisionId" not in music.delete_resource_policy(ResourceArn=arn)
    with refused("PolicyNotFoundException", "with revision id 123456789, but table Music has no associated policy"):
        music.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId="123456789")
    first = music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW))["RevisionId"]
    pretend.wait(20)
    assert music.delete_resource_policy(ResourceArn=arn)["RevisionId"] == first
    deleted = str(int(pretend.now * 1000))
    pretend.wait(20)
    assert music.delete_resource_policy(ResourceArn=arn)["RevisionId"] == deleted != first
    with refused("PolicyNotFoundException", "Resource-based policy not found for the provided ResourceArn: " + arn):
        music.get_resource_policy(ResourceArn=arn)
    with refused("PolicyNotFoundException", f"with revision id {first}, but the policy associated to target table "
                 f"Music has revision id {deleted}"):
        music.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=first)
    again = music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW), ExpectedRevisionId="NO_POLICY")
    assert again["RevisionId"] not in (first, deleted)
    assert music.get_resource_policy(ResourceArn=arn)["RevisionId"] == again["RevisionId"]


@pytest.mark.parametrize(("arn", "code", "text"), [
    ("Music", "ValidationException", "ARNs must start with 'arn:': Music"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Nothing", "ResourceNotFoundException",
     "Requested resource not found: Table: Nothing not found"),
    ("arn:aws:dynamodb:us-east-2:222222222222:table/Music", "ValidationException",
     "This action is only supported by accounts that match the resource owner’s account."),
    ("arn:aws:dynamodb:us-east-1:111111111111:table/Music", "ValidationException", "Invalid resource Arn: arn"),
    ("arn:aws-cn:dynamodb:us-east-2:111111111111:table/Music", "ValidationException", "Invalid resource Arn: arn"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Music/index/i", "ValidationException",
     "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: arn"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Music/backup/0170", "ValidationException",
     "Provided Arn is not a DynamoDB resource arn: arn"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Music/stream/2000-01-01T00:00:00.000", "ResourceNotFoundException",
     "Requested resource not found: Stream: 2000-01-01T00:00:00.000 not found for Table: Music"),
])
def test_arns_that_have_no_policy(music, arn, code, text):
    for call in (lambda: music.get_resource_policy(ResourceArn=arn),
                 lambda: music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW)),
                 lambda: music.delete_resource_policy(ResourceArn=arn)):
        with refused(code, text):
            call()


@pytest.mark.parametrize(("policy", "text"), [
    ("nothing", "This policy contains invalid Json"), ("", "This policy contains invalid Json"),
    ("[]", "This policy contains invalid Json"), ("[" * 9999, "This policy contains invalid Json"),
    ("null", "This text appears not to be a policy"), ("{}", r"Syntax error at position \(1,3\)"),
    (document(), "Could not parse the policy: Statement is empty!"), ('{"Statement": [1]}', ""),
    (document(ALLOW, ALLOW), "The Statement Ids in the policy are not unique"),
    (document(ALLOW, Version="2020-01-01"), "The policy must contain a valid version string"),
    (document(ALLOW, Statements="x"), ""), (document({}), "Missing required field Effect"),
    *((document(ALLOW | each), "") for each in (
        {"Sid": 1}, {"Effect": "Maybe"}, {"Action": 1}, {"Action": []}, {"NotAction": "dynamodb:GetItem"},
        {"Resource": "Music"}, {"Principal": "222222222222"}, {"Condition": []}, {"Actions": "dynamodb:GetItem"})),
    *((document({name: value for name, value in ALLOW.items() if name != without}), f"Missing required field {without}")
      for without in ("Effect", "Principal", "Action", "Resource")),
    (document(ALLOW | {"Resource": "arn:aws:dynamodb:us-east-2:111111111111:table/Music/stream/x"}),
     'The relative-id "table/Music/stream/x" is invalid for ARN "arn:'),
])
def test_what_is_no_policy_is_refused(music, policy, text):
    with invalid(f"One or more parameter values were invalid: Invalid policy document: {text}"):
        music.put_resource_policy(ResourceArn=table(music)["TableArn"], Policy=policy)


def test_a_policy_is_not_too_large_and_not_for_everybody(music):
    arn = table(music)["TableArn"]
    with invalid("One or more parameter values were invalid: Maximum policy size of 20480 bytes exceeded"):
        music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW) + " " * 20480)
    for everybody in ("*", {"AWS": "*"}, {"AWS": ["222222222222", "*"]}):
        with invalid("Resource-based policy grants unbounded access in one or more elements."):
            music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW | {"Principal": everybody}))
    for more in ({"Effect": "Deny"}, {"Condition": {"StringEquals": {"aws:PrincipalAccount": "222222222222"}}}):
        music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW | more | {"Principal": "*"}))
    other = arn.replace("Music", "Other")
    music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW | {"Resource": [other, f"{arn}/index/x"]}))


def test_actions_that_a_policy_cannot_have(music):
    music.update_table(TableName="Music", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arn, stream = table(music)["TableArn"], table(music)["LatestStreamArn"]
    for where, actions in ((arn, ["dynamodb:GetRecords", "dynamodb:ListStreams"]), (stream, ["dynamodb:ListStreams"]),
                           (arn, ["dynamodb:ExecuteStatement"]), (arn, ["s3:GetObject", "GetItem"])):
        told = ", ".join(f'"{each}"' for each in actions)
        with invalid(f"Invalid policy document: The following action names are invalid: {told}"):
            music.put_resource_policy(ResourceArn=where, Policy=document(ALLOW | {"Action": [
                *actions, "dynamodb:PartiQLSelect", "dynamodb:*"]}))
    music.put_resource_policy(ResourceArn=stream, Policy=document(ALLOW | {"Action": "dynamodb:getRecords"}))
    music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW | {"Action": "*"}))


def test_a_new_table_of_the_same_name_has_no_policy_and_no_insights(pretend, music):
    arn = table(music)["TableArn"]
    music.put_resource_policy(ResourceArn=arn, Policy=document(ALLOW))
    music.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE")
    music.delete_table(TableName="Music")
    pretend.wait(60)
    music.create_table(**ON_DEMAND)
    pretend.wait(60)
    with refused("PolicyNotFoundException"):
        music.get_resource_policy(ResourceArn=arn)
    assert music.list_contributor_insights()["ContributorInsightsSummaries"] == []


def test_a_table_is_created_with_its_policy(pretend):
    client = pretend.client(OHIO)
    with invalid("Invalid policy document: "):
        client.create_table(**ON_DEMAND, ResourcePolicy="nothing")
    assert client.list_tables()["TableNames"] == []
    client.create_table(**ON_DEMAND, ResourcePolicy=document(ALLOW))
    assert "222222222222" in client.get_resource_policy(ResourceArn=table(client)["TableArn"])["Policy"]


# Contributor Insights

def insights(client, **index) -> dict:
    answer = client.describe_contributor_insights(TableName="Music", **index)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_contributor_insights_are_set_for_a_table_and_each_index(pretend):
    client = pretend.client(OHIO)
    local = {"IndexName": "Local", "Projection": {"ProjectionType": "ALL"},
             "KeySchema": [*ON_DEMAND["KeySchema"], {"AttributeName": "Year", "KeyType": "RANGE"}]}
    client.create_table(TableName="Music", BillingMode="PAY_PER_REQUEST",
                        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}
                                              for name in ("Artist", "Title", "Year")],
                        KeySchema=[*ON_DEMAND["KeySchema"], {"AttributeName": "Title", "KeyType": "RANGE"}],
                        GlobalSecondaryIndexes=[INDEX], LocalSecondaryIndexes=[local])
    with invalid("Table or Index is not in a valid state to update Key Access Insights: TableStatus must be ACTIVE"):
        client.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE")
    pretend.wait(60)
    assert insights(client) == {"TableName": "Music", "ContributorInsightsStatus": "DISABLED"}
    at = int(pretend.now * 1000)
    for index in ({}, {"IndexName": "Later"}):
        begun = client.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE", **index)
        assert begun["ContributorInsightsStatus"] == "ENABLING"
        assert begun["ContributorInsightsMode"] == "ACCESSED_AND_THROTTLED_KEYS"
        assert insights(client, **index)["ContributorInsightsStatus"] == "ENABLING"
    listed = client.list_contributor_insights()["ContributorInsightsSummaries"]
    assert [each.get("IndexName") for each in listed] == [None, "Later"]
    pretend.wait(20)
    assert insights(client)["ContributorInsightsRuleList"] == [
        f"DynamoDBContributorInsights-{kind}-Music-{at}" for kind in ("PKC", "SKC", "PKT", "SKT")]
    assert insights(client, IndexName="Later")["ContributorInsightsRuleList"] == [
        f"DynamoDBContributorInsights-{kind}-Music-Later-{at}" for kind in ("PKC", "PKT")]
    client.update_contributor_insights(TableName="Music", ContributorInsightsAction="DISABLE")
    assert insights(client)["ContributorInsightsStatus"] == "DISABLING"
    pretend.wait(20)
    assert insights(client)["ContributorInsightsStatus"] == "DISABLED"
    assert [each.get("IndexName") for each in client.list_contributor_insights()["ContributorInsightsSummaries"]] == [
        "Later"]
    for index in ("Local", "None"):
        with refused("ResourceNotFoundException", f"Index: {index} not found for table: Music"):
            insights(client, IndexName=index)


def test_insights_that_are_set_already_do_not_change(pretend, music):
    with invalid("IndexName must be at least 3 characters long and at most 255 characters long"):
        music.describe_contributor_insights(TableName="Music", IndexName="")
    off = music.update_contributor_insights(TableName="Music", ContributorInsightsAction="DISABLE")
    assert off["ContributorInsightsStatus"] == "DISABLED" and "ContributorInsightsMode" not in off
    music.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE")
    pretend.wait(20)
    before = insights(music)
    pretend.wait(20)
    again = music.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE")
    assert again["ContributorInsightsStatus"] == "ENABLED" and insights(music) == before
    narrower = music.update_contributor_insights(TableName="Music", ContributorInsightsAction="ENABLE",
                                                 ContributorInsightsMode="THROTTLED_KEYS")
    assert narrower["ContributorInsightsStatus"] == "ENABLING"
    pretend.wait(20)
    rule, = insights(music)["ContributorInsightsRuleList"]
    assert rule.startswith("DynamoDBContributorInsights-PKT-Music-")


def test_insights_are_listed_in_pages(pretend, music):
    for name in "BA":
        music.create_table(**ON_DEMAND | {"TableName": f"{name}able"})
        pretend.wait(60)
        music.update_contributor_insights(TableName=f"{name}able", ContributorInsightsAction="ENABLE")
    first = music.list_contributor_insights(MaxResults=1)
    second = music.list_contributor_insights(MaxResults=1, NextToken=first["NextToken"])
    assert [page["ContributorInsightsSummaries"][0]["TableName"] for page in (first, second)] == ["Aable", "Bable"]
    assert "NextToken" not in second
    with invalid("Value '101' at 'maxResults' failed to satisfy constraint"):
        music.list_contributor_insights(MaxResults=101)
    with refused("ResourceNotFoundException", "Table: Nothing not found"):
        music.list_contributor_insights(TableName="Nothing")


# What there is no service for

def test_streaming_to_kinesis_is_refused(music):
    stream = {"StreamArn": "arn:aws:kinesis:us-east-2:111111111111:stream/none"}
    for call in (music.enable_kinesis_streaming_destination, music.update_kinesis_streaming_destination):
        with invalid("gtlab's local cloud has no Kinesis"):
            call(TableName="Music", **stream)
        with refused("ResourceNotFoundException", "Table: Nothing not found"):
            call(TableName="Nothing", **stream)
        with invalid("Value '' at 'streamArn' failed to satisfy constraint: Member must have length greater than or "
                     "equal to 37$"):
            call(TableName="Nothing", StreamArn="")
    with invalid("KinesisStreamingDestination must be ACTIVE to perform DISABLE operation"):
        music.disable_kinesis_streaming_destination(TableName="Music", **stream)
    assert music.describe_kinesis_streaming_destination(TableName="Music")["KinesisDataStreamDestinations"] == []


@pytest.mark.parametrize(("at", "shown"), [(1e300, "9999-12-31"), (-1e300, "0001-01-01"), (10**40, "9999-12-31")])
def test_a_time_that_no_calendar_has_is_refused(pretend, music, at, shown):
    recover(music)
    restore = {"SourceTableName": "Music", "TargetTableName": "Again", "RestoreDateTime": at}
    export = {"TableArn": table(music)["TableArn"], "S3Bucket": "bucket", "ExportType": "INCREMENTAL_EXPORT",
              "IncrementalExportSpecification": {"ExportFromTime": min(at, pretend.now), "ExportToTime": at}}
    for operation, data, code in (("RestoreTableToPointInTime", restore, "InvalidRestoreTimeException"),
                                  ("ExportTableToPointInTime", export, "InvalidExportTimeException")):
        with pytest.raises(Refusal, match=shown) as refusal:
            pretend.cloud.call(Call("1" * 12, OHIO, "dynamodb", operation, data), pretend.now)
        assert refusal.value.code == code


def test_exports_and_imports_that_are_not_there(music):
    arn = table(music)["TableArn"]
    for what, call, member in (("Export", music.describe_export, "ExportArn"),
                               ("Import", music.describe_import, "ImportArn")):
        there = f"{arn}/{what.lower()}/01"
        for named, code, text in (
                (there, f"{what}NotFoundException", f"{what} not found: {what} not found: {there}$"),
                (there.replace(OHIO, VIRGINIA), f"{what}NotFoundException",
                 f"{what} not found: Invalid {what.lower()} arn$"),
                (there.replace("1" * 12, "2" * 12), "AccessDeniedException", "Access is denied$"),
                (arn, "ValidationException", f"Invalid {what} ARN$"),
                ("x" * 40, "ValidationException", f"Invalid {what} ARN$"),
                (arn + "/other/01", "ValidationException", f"Invalid {what} ARN$"),
                ("foo", "ValidationException", "Member must have length greater than or equal to 37$")):
            with refused(code, text):
                call(**{member: named})
    with invalid("Value '26' at 'pageSize' failed to satisfy constraint"):
        music.list_imports(PageSize=26)


def test_the_newest_export_that_an_older_gtlab_recorded_is_listed_first(pretend, music):
    arns = [f"{table(music)['TableArn']}/export/{number:014d}-00000000" for number in (1, 3, 2)]
    for arn in arns:
        pretend.cloud.database.records[EXPORTS][RecordId("1" * 12, OHIO, arn)] = {"ExportArn": arn}
    found, more = [], {}
    while True:
        page = music.list_exports(MaxResults=2, **more)
        found += [each["ExportArn"] for each in page["ExportSummaries"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == sorted(arns, reverse=True)
