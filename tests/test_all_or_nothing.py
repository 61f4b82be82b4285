"""A defect of gtlab inside an operation of the control plane: nothing of the operation has happened, and the call that
an SDK sends again does what the first one would have done. A defect in what is due later: it is done all the same. An
exception is raised at statements of gtlab's, one at a time, by a trace function."""

from __future__ import annotations

import copy
import inspect
import math
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import SOAK, STRONG, seed

import gtlab.localcloud
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk import convert, format
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.engine import BACKUPS
from gtlab.localcloud.model import Call
from gtlab.localcloud.undo import Undo, attribute_names
from gtlab.localcloud.world import World

ROOT = str(Path(gtlab.localcloud.__file__).parent)
# Statements on lists and numbers, none of which can fail; and what is noted before an operation begins.
UNFAILING = ("engine/ordered.py", "engine/items.py", "localcloud/undo.py")
# They hand over items, and then note that they did.
UNFAILING_IN_CALLS = ("Snapshot.take", "Snapshot._fill", "Listed.take")
# Of what is due: what hands work to others, and catches their errors; and the statements behind a change of a queue.
UNFAILING_WHEN_DUE = ("Cloud.tick", "InternalErrors.attempt", "Links.due", "Links._put", "Streams.record",
                      "Schedule.take", "Current.tick", "Indexes.tick", "Marks.take")
ACCOUNT, OHIO, VIRGINIA, OREGON = "1" * 12, "us-east-2", "us-east-1", "us-west-2"
BEGAN = 1_800_000_000.0
KEYS = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}
ON_DEMAND = KEYS | {"BillingMode": "PAY_PER_REQUEST"}
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
INDEX = {"IndexName": "ByPk", "KeySchema": KEYS["KeySchema"], "Projection": {"ProjectionType": "ALL"}}
POLICY = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},'
          '"Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-2:111111111111:table/Solo"}]}')
ARN = "arn:aws:dynamodb:{}:111111111111:table/{}"
CAPACITY = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Solo",
            "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
TRACKING = {"PolicyName": "own", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {
    "TargetValue": 70.0, "PredefinedMetricSpecification": {
        "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}}}
SCALING = {"MinimumUnits": 1, "MaximumUnits": 10, "ScalingPolicyUpdate": {
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0}}}
TEMPLATE = {
    "description": "Cut off", "roleArn": "arn:aws:iam::111111111111:role/fis", "stopConditions": [{"source": "none"}],
    "targets": {"All": {"resourceType": "aws:dynamodb:global-table", "selectionMode": "ALL", "resourceArns": [
        ARN.format(VIRGINIA, "Paused")]}},
    "actions": {"pause": {"actionId": "aws:dynamodb:global-table-pause-replication",
                          "parameters": {"duration": "PT9M"}, "targets": {"Tables": "All"}}}}


class Defect(Exception):
    """What is injected."""


def failing(*arguments: object) -> Any:
    raise Defect


class At:
    """A trace function that raises a Defect at the event with this number: a line of gtlab's local cloud is about to
    run, or a function of it begins or ends. ``count``: the events so far. ``unfailing``: functions without events."""

    def __init__(self, number: float, unfailing: Sequence[str] = ()):
        self.number, self.count, self.where, self._unfailing = number, 0, "", unfailing

    def __call__(self, frame: Any, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(ROOT) or name.endswith(UNFAILING):
            return None
        if event != "line" and frame.f_code.co_flags & inspect.CO_GENERATOR:
            return self  # perhaps it is only closed: then nobody would see the error
        if name.endswith("localcloud/cloud.py") and (event == "return" or frame.f_code.co_name == "_all_or_nothing"):
            return self  # the answer is ready, and nothing is left that could fail
        if frame.f_code.co_qualname in self._unfailing:
            return self
        self.count += 1
        if self.count == self.number:
            self.where = f"{event} of {frame.f_code.co_qualname}, {frame.f_code.co_filename}:{frame.f_lineno}"
            raise Defect(self.where)
        return self


class Prepared:
    """A cloud with a table of each kind."""

    def __init__(self, cloud: Cloud | None = None) -> None:
        self.cloud, self.now = cloud or Cloud(World("instant", seed=1)), BEGAN
        self.made: dict[str, str] = {}  # identifiers

    def call(self, operation: str, data: dict[str, Any], region: str = OHIO, service: str = "dynamodb") -> bytes:
        answer = self.cloud.answer(Call(ACCOUNT, region, service, operation, copy.deepcopy(data)), self.now)
        if self.cloud.changes.unsettled:
            self.cloud.settle()
        return answer

    def wait(self, seconds: float = 1000.0) -> None:
        for _ in range(4):
            self.now += seconds / 4
            self.cloud.tick(self.now)

    def prepare(self) -> Prepared:
        self.call("CreateTable", {"TableName": "Solo", "BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS,
                                  "GlobalSecondaryIndexes": [INDEX | {"ProvisionedThroughput": UNITS}]} | KEYS | STREAM)
        self.call("CreateTable", {"TableName": "Plain", "DeletionProtectionEnabled": True} | ON_DEMAND)
        for region in (OHIO, VIRGINIA, OREGON):
            self.call("CreateTable", {"TableName": "Old"} | ON_DEMAND | STREAM, region)
            self.call("CreateTable", {"TableName": "Older"} | ON_DEMAND | STREAM, region)
        for name in ("Music", "Paused", "Strong"):
            self.call("CreateTable", {"TableName": name} | ON_DEMAND | (STREAM if name != "Strong" else {}))
        self.call("CreateGlobalTable", {"GlobalTableName": "Old", "ReplicationGroup": [
            {"RegionName": OHIO}, {"RegionName": VIRGINIA}]})
        for name in ("Music", "Paused"):
            self.call("UpdateTable", {"TableName": name, "ReplicaUpdates": [{"Create": {"RegionName": VIRGINIA}}]})
        self.wait()
        for name in ("Solo", "Plain", "Music", "Old", "Paused"):
            for n in range(3):
                self.call("PutItem", {"TableName": name, "Item": {"pk": {"S": str(n)}}})
        self.wait()
        self.call("TagResource", {"ResourceArn": ARN.format(OHIO, "Solo"), "Tags": [{"Key": "a", "Value": "b"}]})
        self.call("PutResourcePolicy", {"ResourceArn": ARN.format(OHIO, "Solo"), "Policy": POLICY})
        self.call("UpdateContinuousBackups", {"TableName": "Solo", "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": True}})
        self.call("RegisterScalableTarget", CAPACITY | {"MinCapacity": 1, "MaxCapacity": 9}, OHIO,
                  "application-autoscaling")
        self.call("PutScalingPolicy", CAPACITY | TRACKING, OHIO, "application-autoscaling")
        self._made("backup", self.call("CreateBackup", {"TableName": "Solo", "BackupName": "all"}))
        self._made("template", self.call("CreateExperimentTemplate", TEMPLATE | {"clientToken": "t"}, VIRGINIA, "fis"))
        self.wait()
        self._made("experiment", self.call("StartExperiment", {
            "clientToken": "s", "experimentTemplateId": self.made["template"]}, VIRGINIA, "fis"))
        self.wait(20)
        assert self.cloud.fis.pauses
        self.cloud.turn("lag", (), 500.0, self.now)
        self.call("PutItem", {"TableName": "Music", "Item": {"pk": {"S": "on its way"}}})
        self.call("PutItem", {"TableName": "Old", "Item": {"pk": {"S": "on its way"}}})
        self.wait(4)
        return self

    def _made(self, what: str, answer: bytes) -> None:
        pattern = {"backup": rb"arn:[^\"]*/backup/[^\"]*", "template": rb"EXT\w+", "experiment": rb"EXP\w+"}[what]
        self.made[what] = re.search(pattern, answer)[0].decode()  # type: ignore[index]

    def carry_out(self, name: str) -> bytes:
        operation, data, *more = OPERATIONS[name]
        filled = {member: self.made.get(value[1:-1], value) if isinstance(value, str) else value
                  for member, value in data.items()}
        return self.call(operation, filled, *more)

    def state(self) -> dict[str, Any]:
        """Everything that a call can change."""
        cloud = self.cloud
        documents = convert.documents(cloud)
        database, replication = cloud.database, cloud.replication
        links = replication.links
        tables = database.tables
        return {
            **{name: format.encode(getattr(documents, name)) for name in documents.__struct_fields__
               if name != "unsettled"},
            "items": {table: dict(database.items(table)) for table in tables},
            "indexes": {(table, name): (rows.rows.count, rows.bytes) for table, each in tables.items()
                        for name, rows in each.items._indexes.items()},
            "followers": {table: len(each.items.snapshots) for table, each in tables.items()},
            "versions": {(*where, key): replication.entry(*where, key) for where in replication.copies()
                         for key in replication.keys_of(*where)},
            "deliveries": sorted(links.on_their_way(), key=lambda each: each.n), "bytes": links._bytes,
            "coming": {where: dict(coming) for where, coming in links._coming.items() if coming},
            "backfills": sorted(replication._backfills),
            "records": {arn: [list(shard.records) for shard in stream.shards]
                        for arn, stream in cloud.streams._streams.items()},
            "backups": {where: list(backup.items) for where, backup in database.records[BACKUPS].items()},
            "work": (len(cloud.tables.slices._jobs), len(cloud.tables.slices._failed),
                     len(cloud.tables.copies._copies)),
            "due": dict(cloud.tables.indexes._due), "journal": cloud.journal.last,
            "paused": sorted(pause.table for pause in cloud.fis.pauses), "active": sorted(cloud.fis.runner._active),
        }

    def outcome(self) -> dict[str, str]:
        """The state in the end, without what is drawn at random or counts attempts."""
        self.wait()
        return {name: _scrubbed(value) for name, value in self.state().items() if name != "journal"}


def _scrubbed(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else repr(value)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "uuid", text)
    text = re.sub(r'"ready":[0-9.]+', "ready", text)  # a table that is being filled waits for an attempt that failed
    text = re.sub(r"(EX[TP])\w{15}", r"\1", text)
    text = re.sub(r"shardId-(\d+)-[0-9a-f]{8}", r"shardId-\1", text)
    text = re.sub(r"(scalable-target/|scalingPolicy:)[^:'\"]+", r"\1", text)
    text = re.sub(r"(eventID[^0-9a-f]+)[0-9a-f]{32}", r"\1", text)
    return re.sub(r"(CreationDateTime\D+|RevisionId\D+)\d+", r"\1", text)


def replica(*updates: dict, table: str = "Music", **more: Any) -> tuple[str, dict]:
    return "UpdateTable", {"TableName": table, "ReplicaUpdates": list(updates), **more}


def update(table: str = "Solo", **more: Any) -> tuple[str, dict]:
    return "UpdateTable", {"TableName": table, **more}


def scaling(operation: str, **more: Any) -> tuple[str, dict, str, str]:
    return operation, CAPACITY | more, OHIO, "application-autoscaling"


def fis(operation: str, **more: Any) -> tuple[str, dict, str, str]:
    return operation, more, VIRGINIA, "fis"


def index(action: str, table: str = "Solo", **more: Any) -> tuple[str, dict]:
    return update(table, AttributeDefinitions=KEYS["AttributeDefinitions"],
                  GlobalSecondaryIndexUpdates=[{action: more}])


OPERATIONS: dict[str, tuple] = {
    "create": ("CreateTable", {"TableName": "New", "Tags": [{"Key": "a", "Value": "b"}], "ResourcePolicy": POLICY,
                               "GlobalSecondaryIndexes": [INDEX]} | ON_DEMAND | STREAM),
    "delete": ("DeleteTable", {"TableName": "Solo"}),
    "delete a member": ("DeleteTable", {"TableName": "Music"}, VIRGINIA),
    "delete a legacy member": ("DeleteTable", {"TableName": "Old"}),
    "delete a paused member": ("DeleteTable", {"TableName": "Paused"}, VIRGINIA),
    "billing": update(BillingMode="PAY_PER_REQUEST"),
    "billing of a group": update("Music", BillingMode="PAY_PER_REQUEST", OnDemandThroughput={
        "MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 10}),
    "throughput": update(ProvisionedThroughput={"ReadCapacityUnits": 6, "WriteCapacityUnits": 4}),
    "stream on": update("Plain", **STREAM),
    "stream off": update(StreamSpecification={"StreamEnabled": False}),
    "encryption": update(SSESpecification={"Enabled": True, "SSEType": "KMS"}),
    "class": update(TableClass="STANDARD_INFREQUENT_ACCESS"),
    "class of a group": update("Music", TableClass="STANDARD_INFREQUENT_ACCESS"),
    "protection": update("Plain", DeletionProtectionEnabled=False),
    "warm": update(WarmThroughput={"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 20_000}),
    "index": index("Create", **INDEX | {"IndexName": "New", "ProvisionedThroughput": UNITS}),
    "index of a group": index("Create", "Music", **INDEX | {"IndexName": "New"}),
    "index's units": index("Update", IndexName="ByPk", ProvisionedThroughput={
        "ReadCapacityUnits": 6, "WriteCapacityUnits": 4}),
    "no index": index("Delete", IndexName="ByPk"),
    "replica": replica({"Create": {"RegionName": OREGON}}),
    "first replica": replica({"Create": {"RegionName": OREGON}}, table="Plain"),
    "strong replicas": replica({"Create": {"RegionName": VIRGINIA}}, {"Create": {"RegionName": OREGON}},
                               table="Strong", **STRONG),
    "replica's class": replica({"Update": {"RegionName": VIRGINIA,
                                           "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}}),
    "no replica": replica({"Delete": {"RegionName": VIRGINIA}}),
    "no protection": ("UpdateTable", {"TableName": "Music", "DisassociationProtectionEnabled": False}, VIRGINIA),
    "global table": ("CreateGlobalTable", {"GlobalTableName": "Older", "ReplicationGroup": [
        {"RegionName": OHIO}, {"RegionName": VIRGINIA}]}),
    "member": ("UpdateGlobalTable", {"GlobalTableName": "Old", "ReplicaUpdates": [
        {"Delete": {"RegionName": VIRGINIA}}]}),
    "members": ("UpdateGlobalTable", {"GlobalTableName": "Old", "ReplicaUpdates": [
        {"Delete": {"RegionName": VIRGINIA}}, {"Delete": {"RegionName": OHIO}}]}),
    "legacy settings": ("UpdateGlobalTableSettings", {
        "GlobalTableName": "Old", "GlobalTableBillingMode": "PROVISIONED",
        "GlobalTableProvisionedWriteCapacityUnits": 5, "ReplicaSettingsUpdate": [
            {"RegionName": region, "ReplicaProvisionedReadCapacityUnits": 5} for region in (OHIO, VIRGINIA)],
        "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate": SCALING}),
    "tag": ("TagResource", {"ResourceArn": ARN.format(OHIO, "Solo"), "Tags": [{"Key": "b", "Value": "b"}]}),
    "untag": ("UntagResource", {"ResourceArn": ARN.format(OHIO, "Solo"), "TagKeys": ["a"]}),
    "ttl": ("UpdateTimeToLive", {"TableName": "Solo", "TimeToLiveSpecification": {
        "Enabled": True, "AttributeName": "ttl"}}),
    "ttl of a group": ("UpdateTimeToLive", {"TableName": "Music", "TimeToLiveSpecification": {
        "Enabled": True, "AttributeName": "ttl"}}),
    "recovery": ("UpdateContinuousBackups", {"TableName": "Plain", "PointInTimeRecoverySpecification": {
        "PointInTimeRecoveryEnabled": True}}),
    "backup": ("CreateBackup", {"TableName": "Solo", "BackupName": "more"}),
    "no backup": ("DeleteBackup", {"BackupArn": "{backup}"}),
    "restored": ("RestoreTableFromBackup", {"BackupArn": "{backup}", "TargetTableName": "Again"}),
    "restored to a point": ("RestoreTableToPointInTime", {"SourceTableName": "Solo", "TargetTableName": "Again",
                                                          "UseLatestRestorableTime": True}),
    "policy": ("PutResourcePolicy", {"ResourceArn": ARN.format(OHIO, "Solo"), "Policy": POLICY.replace("Get", "Put")}),
    "no policy": ("DeleteResourcePolicy", {"ResourceArn": ARN.format(OHIO, "Solo")}),
    "insights": ("UpdateContributorInsights", {"TableName": "Solo", "ContributorInsightsAction": "ENABLE"}),
    "replicas' scaling": ("UpdateTableReplicaAutoScaling", {
        "TableName": "Music", "ProvisionedWriteCapacityAutoScalingUpdate": SCALING}),
    "target": scaling("RegisterScalableTarget", MinCapacity=2, MaxCapacity=3),
    "targets of a group": scaling("RegisterScalableTarget", ResourceId="table/Music", MinCapacity=2, MaxCapacity=3),
    "no target": scaling("DeregisterScalableTarget"),
    "scaling policy": scaling("PutScalingPolicy", **TRACKING | {"PolicyName": "more"}),
    "no scaling policy": scaling("DeleteScalingPolicy", PolicyName="own"),
    "template": fis("CreateExperimentTemplate", clientToken="more", **TEMPLATE),
    "template's change": fis("UpdateExperimentTemplate", id="{template}", description="Other"),
    "no template": fis("DeleteExperimentTemplate", id="{template}"),
    "experiment": fis("StartExperiment", clientToken="more", experimentTemplateId="{template}"),
    "no experiment": fis("StopExperiment", id="{experiment}"),
}

SOME = ("create", "delete", "delete a member", "delete a legacy member", "index", "strong replicas", "backup",
        "no backup", "restored", "no experiment")


def tried(prepared: Prepared, name: str, number: float) -> tuple[At, bool]:
    """Carry out an operation with a defect at an event; whether it was answered."""
    at = At(number, UNFAILING_IN_CALLS)
    prepared.cloud.tick = lambda now, briefly: now  # type: ignore[method-assign]  # nothing is due
    sys.settrace(at)
    try:
        prepared.carry_out(name)
        return at, True
    except Defect:
        return at, False
    finally:
        sys.settrace(None)
        del prepared.cloud.tick


def problems(name: str, number: int, undisturbed: dict[str, str]) -> Iterator[str]:
    """What is wrong if there is a defect at this event of an operation."""
    prepared = Prepared().prepare()
    before = prepared.state()
    at, answered = tried(prepared, name, number)
    if not answered:
        after = prepared.state()
        if changed := [part for part in before if before[part] != after[part]]:
            yield f"{at.where}: changed {changed}"
        try:
            prepared.carry_out(name)
        except Exception as error:
            yield f"{at.where}: the second call got {type(error).__name__} {error}"
            return
    found = prepared.outcome()
    if other := [part for part in found if found[part] != undisturbed[part]]:
        yield f"{at.where}: {'answered' if answered else 'repeated'}, and in the end others are {other}"


def check(name: str, most: int, drawn: int) -> None:
    """Check an operation with a defect at so many of its events."""
    prepared = Prepared().prepare()
    at, answered = tried(prepared, name, math.inf)
    undisturbed = prepared.outcome()
    assert answered
    for number in random.Random(drawn).sample(range(1, at.count + 1), min(most, at.count)):
        assert list(problems(name, number, undisturbed)) == []


@pytest.mark.parametrize("name", SOME)
def test_a_defect_in_an_operation_undoes_it_and_it_can_be_sent_again(name):
    check(name, 2, seed(8))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_of_every_operation_at_more_statements(name):
    check(name, 300 if SOAK else 17, seed(9))


def test_all_attributes_of_what_is_noted_are_known():
    cloud, call = Prepared().prepare().cloud, Call(ACCOUNT, OHIO, "dynamodb", "DeleteTable", {"TableName": "Music"})
    noted = Undo(call, cloud.journal, cloud.current, cloud.backups, cloud.fis)._kept.values()
    missing = {type(part).__name__: vars(part).keys() - attribute_names(type(part)) for part, _ in noted
               if hasattr(part, "__dict__")}
    assert {"Tables", "Stream", "Group", "State", "Fis"} <= missing.keys()
    assert [name for name, names in missing.items() if names] == []


@pytest.mark.parametrize("name", SOME)
def test_what_was_undone_is_not_on_disk(tmp_path, monkeypatch, name):
    path, states = tmp_path / "cloud.sqlite3", []
    keeper = keep(path, "instant", 1)
    prepared = Prepared(keeper.cloud).prepare()
    for fails in (False, True):
        if fails:
            with monkeypatch.context() as patch:
                patch.setattr("gtlab.localcloud.cloud._json", failing)  # the last step
                with pytest.raises(Defect):
                    prepared.carry_out(name)
        keeper.close()
        keeper = keep(path, clock=lambda: prepared.now)
        assert keeper.note == ""
        prepared.cloud = keeper.cloud
        states.append(prepared.state())
    keeper.close()
    before, after = states
    assert [part for part in before if part != "journal" and before[part] != after[part]] == []


# What is due later

LATER = ("replica", "first replica", "strong replicas", "no replica", "delete a member", "class of a group",
         "ttl of a group", "no index", "global table", "experiment", "no experiment")


def due(name: str, number: float) -> tuple[At, dict[str, str]]:
    """Carry out an operation, and what is due then with a defect at an event; the state in the end, without times."""
    prepared = Prepared().prepare()
    prepared.carry_out(name)
    at = At(number, UNFAILING_WHEN_DUE)
    prepared.now += 600
    sys.settrace(at)
    try:
        prepared.cloud.tick(prepared.now)
    finally:
        sys.settrace(None)
    for _ in range(8):
        prepared.wait()
    assert bool(prepared.cloud.errors.count) == math.isfinite(number)
    state = prepared.state()
    del state["journal"], state["work"]
    return at, {part: re.sub(r"18000\d+(\.\d+)?|1\d{21}|\"sequence\":\d+", "", _scrubbed(
        sorted(value.items(), key=repr) if isinstance(value, dict) else value)) for part, value in state.items()}


def check_due(name: str, most: int, drawn: int) -> None:
    at, undisturbed = due(name, math.inf)
    for number in random.Random(drawn).sample(range(1, at.count + 1), most):
        at, found = due(name, number)
        assert [part for part in found if found[part] != undisturbed[part]] == [], at.where


@pytest.mark.parametrize("name", LATER)
def test_what_is_due_is_done_although_there_was_a_defect(name):
    check_due(name, 3, seed(10))


@pytest.mark.slow
@pytest.mark.parametrize("name", LATER)
def test_the_same_at_more_statements_of_what_is_due(name):
    check_due(name, 300 if SOAK else 30, seed(11))
