"""How the state folders in ``state-0.1.0.zip`` were made: by gtlab 0.1.0 (commit 9ebc497), which this script needs.

``python write_state_0_1_0.py FOLDER stopped`` or ``killed``. The script drives the local cloud in its own process under
a pretend clock, so that it is known what is in progress at the end. README.md lists what the folders contain.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from gtlab.localcloud.errors import Refusal
from gtlab.localcloud.keeper import keep
from gtlab.localcloud.wire import Call

ACCOUNT, OTHER = "111111111111", "222222222222"
OHIO, VIRGINIA, OREGON, IRELAND, TOKYO = "us-east-2", "us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"
BEGAN = 1_800_000_000.0
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST",
             "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
             "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
EVERY_TYPE = {
    "p": {"S": "é☃\u0000\U0001f600"}, "r": {"N": "12.5"}, "n": {"N": "314"}, "b": {"B": "AP8="}, "t": {"BOOL": True},
    "z": {"NULL": True}, "l": {"L": [{"N": "1"}, {"M": {"deep": {"SS": ["a", "b"]}}}]}, "e": {"S": ""},
    "ns": {"NS": ["1", "2"]}, "bs": {"BS": ["eA=="]}, "g": {"S": "index"}}


class Life:
    def __init__(self, folder: Path):
        self.now = BEGAN
        self.keeper = keep(folder / "cloud.sqlite3", "realistic", 1, clock=lambda: self.now)

    def call(self, region: str, operation: str, service: str = "dynamodb", account: str = ACCOUNT, **data) -> dict:
        answer = json.loads(self.keeper.cloud.call(Call(account, region, service, operation, data), self.now))
        self.keeper.save()
        return answer

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.keeper.cloud.tick(self.now)
        self.keeper.save()

    def turn(self, knob: str, place: tuple[str, ...], value: object = None) -> None:
        self.keeper.cloud.turn(knob, place, value, self.now)
        self.keeper.save()

    def put(self, region: str, name: str, key: str, **attributes: str) -> None:
        self.call(region, "PutItem", TableName=name, Item={"id": {"S": key}} | {
            each: {"S": value} for each, value in attributes.items()})

    def delete(self, region: str, name: str, key: str) -> None:
        self.call(region, "DeleteItem", TableName=name, Key={"id": {"S": key}})

    def replica(self, region: str, name: str, kind: str, *others: str, **more) -> None:
        self.call(region, "UpdateTable", TableName=name, ReplicaUpdates=[
            {kind: {"RegionName": other}} for other in others], **more)


def arn(region: str, name: str) -> str:
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}"


def tables(life: Life) -> None:
    """Tables in one Region: every type of value and of key, indexes, settings and the engine's other records."""
    life.call(OHIO, "CreateTable", TableName="Values", BillingMode="PROVISIONED",
              ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
              AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (
                  ("p", "S"), ("r", "N"), ("g", "S"), ("n", "N"))],
              KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "r", "KeyType": "RANGE"}],
              GlobalSecondaryIndexes=[{"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                                       "Projection": {"ProjectionType": "ALL"},
                                       "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}}],
              LocalSecondaryIndexes=[{"IndexName": "by-n", "KeySchema": [
                  {"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
                  "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["t"]}}],
              TableClass="STANDARD_INFREQUENT_ACCESS", DeletionProtectionEnabled=True,
              SSESpecification={"Enabled": True, "SSEType": "KMS"},
              Tags=[{"Key": "course", "Value": "gtlab"}])
    life.call(TOKYO, "CreateTable", TableName="Binary", BillingMode="PAY_PER_REQUEST", account=OTHER,
              AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "B"}],
              KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    life.call(OHIO, "CreateTable", TableName="Gone", **ON_DEMAND, **STREAM)
    life.wait(30)
    life.call(OHIO, "PutItem", TableName="Values", Item=EVERY_TYPE)
    life.call(TOKYO, "PutItem", account=OTHER, TableName="Binary", Item={"id": {"B": "AP8="}, "v": {"N": "-1.5"}})
    life.put(OHIO, "Gone", "in a stream that is closed")
    count = {"TransactItems": [{"Update": {"TableName": "Values", "Key": {"p": {"S": "counter"}, "r": {"N": "0"}},
             "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}}]}
    life.call(OHIO, "TransactWriteItems", **count, ClientRequestToken="once")
    life.call(OHIO, "UpdateContinuousBackups", TableName="Values",
              PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    life.call(OHIO, "CreateBackup", TableName="Values", BackupName="kept")
    life.call(OHIO, "PutResourcePolicy", ResourceArn=arn(OHIO, "Values"), Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": []}))
    life.call(OHIO, "UpdateContributorInsights", TableName="Values", ContributorInsightsAction="ENABLE")
    life.call(OHIO, "EnableKinesisStreamingDestination", TableName="Values",
              StreamArn=f"arn:aws:kinesis:{OHIO}:{ACCOUNT}:stream/changes")
    life.call(OHIO, "ExportTableToPointInTime", TableArn=arn(OHIO, "Values"), S3Bucket="a-bucket")
    with contextlib.suppress(Refusal):
        life.call(OHIO, "ImportTable", S3BucketSource={"S3Bucket": "a-bucket"}, InputFormat="DYNAMODB_JSON",
                  TableCreationParameters={"TableName": "Imported", **ON_DEMAND})
    target = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Values",
              "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
    life.call(OHIO, "RegisterScalableTarget", "application-autoscaling", **target, MinCapacity=5, MaxCapacity=50)
    life.call(OHIO, "PutScalingPolicy", "application-autoscaling", **target, PolicyName="half",
              PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
                  "TargetValue": 50.0, "PredefinedMetricSpecification": {
                      "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}})


def legacy(life: Life) -> None:
    """A global table of version 2017.11.29 with three members."""
    for region in (OHIO, VIRGINIA, IRELAND):
        life.call(region, "CreateTable", TableName="Albums", **ON_DEMAND, **STREAM)
    life.wait(30)
    life.call(OHIO, "CreateGlobalTable", GlobalTableName="Albums", ReplicationGroup=[
        {"RegionName": region} for region in (OHIO, VIRGINIA, IRELAND)])
    life.wait(30)
    life.put(OHIO, "Albums", "everywhere", title="one")
    life.put(IRELAND, "Albums", "deleted")
    life.wait(10)
    life.delete(VIRGINIA, "Albums", "deleted")
    life.wait(10)


def strong(life: Life) -> None:
    """A strongly consistent global table with a witness."""
    life.call(VIRGINIA, "CreateTable", TableName="Charts", **ON_DEMAND)
    life.wait(30)
    life.call(VIRGINIA, "UpdateTable", TableName="Charts", MultiRegionConsistency="STRONG",
              ReplicaUpdates=[{"Create": {"RegionName": OHIO}}],
              GlobalTableWitnessUpdates=[{"Create": {"RegionName": OREGON}}])
    life.wait(120)
    life.put(VIRGINIA, "Charts", "agreed", title="by two")
    life.wait(10)


def current(life: Life) -> None:
    """Global tables of version 2019.11.21; what is in progress begins in :func:`begun`."""
    for name in ("Music", "Freed", "Paused", "Fresh"):
        life.call(OHIO, "CreateTable", TableName=name, **ON_DEMAND)
    life.wait(30)
    for name, others in (("Music", (VIRGINIA, IRELAND, TOKYO)), ("Freed", (VIRGINIA, IRELAND)), ("Paused", (OREGON,))):
        for region in others:
            life.replica(OHIO, name, "Create", region)
            life.wait(60)
    life.call(OHIO, "UpdateTimeToLive", TableName="Music",
              TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    life.wait(60)
    life.put(OHIO, "Music", "everywhere", title="one")
    life.put(OHIO, "Music", "deleted")
    life.wait(10)
    life.delete(OHIO, "Music", "deleted")
    life.call(IRELAND, "UpdateTable", TableName="Freed", DisassociationProtectionEnabled=False)
    life.wait(10)


def begun(life: Life) -> None:
    """An experiment that runs, knobs that are set, and what takes longer to end than the rest takes to begin."""
    fis = {"clientToken": "template", "description": "Pause Oregon", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/fis",
           "stopConditions": [{"source": "none"}], "tags": {"lesson": "9"},
           "targets": {"Replicas": {"resourceType": "aws:dynamodb:global-table", "selectionMode": "ALL",
                                    "resourceArns": [arn(OREGON, "Paused")]}},
           "actions": {"pause": {"actionId": "aws:dynamodb:global-table-pause-replication",
                                 "parameters": {"duration": "PT12H"}, "targets": {"Tables": "Replicas"}}}}
    made = life.call(OREGON, "CreateExperimentTemplate", "fis", **fis)["experimentTemplate"]["id"]
    over = life.call(OREGON, "StartExperiment", "fis", clientToken="stopped", experimentTemplateId=made)
    life.wait(5)
    life.call(OREGON, "StopExperiment", "fis", id=over["experiment"]["id"])
    life.wait(5)
    life.call(OREGON, "StartExperiment", "fis", clientToken="running", experimentTemplateId=made)
    life.wait(5)
    life.put(OHIO, "Paused", "waits for the pause to end")
    life.turn("partition", (OHIO, IRELAND))
    life.turn("isolate", ("sa-east-1",))
    life.turn("outage", ("ap-southeast-1",), "error")
    life.turn("slow", (OHIO, VIRGINIA), 250)
    life.turn("lag", (OHIO, VIRGINIA), 3600)
    life.turn("throttle", (ACCOUNT, OHIO, "Values"), {"write_units": 3, "burst_s": 60})
    life.turn("caller", (), TOKYO)
    life.put(IRELAND, "Freed", "waits for the partition to end")
    life.replica(IRELAND, "Freed", "Disassociate", IRELAND)
    life.wait(60)  # from now on it is tried again: set free
    life.replica(VIRGINIA, "Music", "Delete", TOKYO)
    life.wait(50)  # deleted, and still shown: forget replica
    life.replica(VIRGINIA, "Music", "Delete", IRELAND)  # delete replica, forget replica
    life.call(OHIO, "UpdateTimeToLive", TableName="Paused",
              TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})  # propagate TTL
    life.call(OHIO, "UpdateTable", TableName="Paused", OnDemandThroughput={"MaxReadRequestUnits": 99})  # settings
    life.call(OHIO, "DeleteTable", TableName="Gone")  # still shown, its stream closed


def on_their_way(life: Life) -> None:
    """Writes that have not arrived everywhere."""
    life.put(OHIO, "Music", "on its way", title="to Virginia, in an hour")
    life.put(VIRGINIA, "Music", "on its way", title="to Ohio")
    life.delete(OHIO, "Music", "everywhere")
    life.put(OHIO, "Charts", "agreed", title="by one")  # on its way to Virginia
    life.replica(OHIO, "Fresh", "Create", VIRGINIA)  # make replica
    life.put(OHIO, "Albums", "marked later", title="two")  # without the service's attributes yet


def main() -> None:
    folder, end = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True)
    life = Life(folder)
    tables(life)
    legacy(life)
    strong(life)
    current(life)
    begun(life)
    if end == "killed":
        fold(life)
    on_their_way(life)
    if end == "stopped":
        life.keeper.close()
        return
  # A write that was answered, and whose process ends before anything follows from it.
    put = Call(ACCOUNT, OHIO, "dynamodb", "PutItem", {"TableName": "Music", "Item": {"id": {"S": "unsettled"}}})
    life.keeper.cloud.answer(put, life.now)
    life.keeper.save()
    os.kill(os.getpid(), signal.SIGKILL)


def fold(life: Life) -> None:
    """Bring the logs into the tables, and SQLite's own log into the file; what comes later stays in the logs."""
    life.keeper.tidy()
    life.keeper._store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    life.put(OHIO, "Music", "on its way", title="in SQLite's own log")
    life.keeper.tidy()


if __name__ == "__main__":
    main()
