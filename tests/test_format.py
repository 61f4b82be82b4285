"""The disk format: what a release wrote is read by later ones, and what a later one wrote is left alone."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import gtlab
from gtlab import contract
from gtlab.localcloud import process
from gtlab.localcloud.disk import convert, format
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.rows import PUT
from gtlab.localcloud.disk.store import Store
from gtlab.localcloud.disk.version import Newer
from gtlab.localcloud.globaltables import schedule
from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.world import KNOBS as ALL_KNOBS

STATES = Path(__file__).parent / "data" / "state-0.1.0.zip"
ACCOUNT, OTHER = "1" * 12, "2" * 12
OHIO, VIRGINIA, OREGON, IRELAND, TOKYO = "us-east-2", "us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"
LEFT = 1_800_000_865.0  # what the clock showed when the folders were left
EVERY_TYPE = {
    "p": {"S": "é☃\u0000\U0001f600"}, "r": {"N": "12.5"}, "n": {"N": "314"}, "b": {"B": "AP8="}, "t": {"BOOL": True},
    "z": {"NULL": True}, "l": {"L": [{"N": "1"}, {"M": {"deep": {"SS": ["a", "b"]}}}]}, "e": {"S": ""},
    "ns": {"NS": ["1", "2"]}, "bs": {"BS": ["eA=="]}, "g": {"S": "index"}}
KNOBS = {
    ("partition", (IRELAND, OHIO)): None, ("isolate", ("sa-east-1",)): None, ("outage", ("ap-southeast-1",)): "error",
    ("slow", (VIRGINIA, OHIO)): 250, ("lag", (OHIO, VIRGINIA)): 3600, ("caller", ()): TOKYO,
    ("throttle", (ACCOUNT, OHIO, "Values")): {"write_units": 3, "burst_s": 60}}


class Opened:
    """The local cloud of a state folder, in this process and under a pretend clock."""

    def __init__(self, folder: Path, now: float = LEFT):
        self.now = now
        self.keeper = keep(folder / "cloud.sqlite3", clock=lambda: self.now)
        self.cloud = self.keeper.cloud

    def call(self, region: str, operation: str, service: str = "dynamodb", account: str = ACCOUNT, **data) -> dict:
        answer = json.loads(self.cloud.call(Call(account, region, service, operation, data), self.now))
        self.keeper.save()
        return answer

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.cloud.tick(self.now)
        self.keeper.save()

    def table(self, region: str, name: str) -> dict:
        return self.call(region, "DescribeTable", TableName=name)["Table"]

    def replicas(self, region: str, name: str) -> dict[str, str]:
        return {entry["RegionName"]: entry["ReplicaStatus"] for entry in self.table(region, name)["Replicas"]}

    def items(self, region: str, name: str) -> dict[str, dict]:
        return {item["id"]["S"]: item for item in self.call(region, "Scan", TableName=name)["Items"]}

    def titles(self, region: str, name: str) -> dict[str, str | None]:
        return {key: item.get("title", {}).get("S") for key, item in self.items(region, name).items()}

    def records(self, region: str, name: str) -> list[tuple[str, str]]:
        """The event names and keys in the streams that a table has or had."""
        found = []
        for stream in self.call(region, "ListStreams", "dynamodbstreams", TableName=name)["Streams"]:
            arn = {"StreamArn": stream["StreamArn"]}
            for shard in self.call(region, "DescribeStream", "dynamodbstreams", **arn)["StreamDescription"]["Shards"]:
                iterator = self.call(region, "GetShardIterator", "dynamodbstreams", **arn, ShardId=shard["ShardId"],
                                     ShardIteratorType="TRIM_HORIZON")
                answer = self.call(region, "GetRecords", "dynamodbstreams", **iterator)
                found += [(record["dynamodb"]["SequenceNumber"], record["eventName"],
                           record["dynamodb"]["Keys"]["id"]["S"]) for record in answer["Records"]]
        return [entry[1:] for entry in sorted(found)]


def folder_of(end: str, there: Path) -> Path:
    """A copy of a kept state folder."""
    with zipfile.ZipFile(STATES) as kept:
        kept.extractall(there, [name for name in kept.namelist() if name.startswith(f"{end}/")])
    return there / end


@pytest.fixture(params=["stopped", "killed"])
def opened(request, tmp_path):
    opened = Opened(folder_of(request.param, tmp_path))
    opened.killed = request.param == "killed"
    yield opened
    opened.keeper.close()


def mend(opened: Opened) -> None:
    """Mend the world, stop the experiment, and wait for everything that is in progress."""
    opened.cloud.mend_all(opened.now)
    opened.wait(3700)
    opened.wait(3700)


def test_a_table_of_the_last_release_is_as_it_was_left(opened):
    assert opened.keeper.note == ""
    values = opened.call(OHIO, "Scan", TableName="Values")["Items"]
    assert EVERY_TYPE in values and {"p": {"S": "counter"}, "r": {"N": "0"}, "n": {"N": "1"}} in values
    described = opened.table(OHIO, "Values")
    assert described["TableStatus"] == "ACTIVE" and described["CreationDateTime"] == 1_800_000_000.0
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"] == 2
    assert described["LocalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "INCLUDE",
                                                                  "NonKeyAttributes": ["t"]}
    assert described["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert described["SSEDescription"]["Status"] == "ENABLED" and described["DeletionProtectionEnabled"]
    assert opened.call(OHIO, "Query", TableName="Values", IndexName="by-g", KeyConditionExpression="g = :g",
                       ExpressionAttributeValues={":g": {"S": "index"}})["Items"] == [EVERY_TYPE]
    item = opened.call(TOKYO, "GetItem", account=OTHER, TableName="Binary", Key={"id": {"B": "AP8="}})["Item"]
    assert item["v"] == {"N": "-1.5"}
    assert opened.table(OHIO, "Gone")["TableStatus"] == "DELETING"
    opened.wait(60)
    with pytest.raises(Refusal, match="not found"):
        opened.table(OHIO, "Gone")


def test_what_belongs_to_a_table_is_as_it_was_left(opened):
    arn = opened.table(OHIO, "Values")["TableArn"]
    assert opened.call(OHIO, "ListTagsOfResource", ResourceArn=arn)["Tags"] == [{"Key": "course", "Value": "gtlab"}]
    backups = opened.call(OHIO, "DescribeContinuousBackups", TableName="Values")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    backup, = opened.call(OHIO, "ListBackups")["BackupSummaries"]
    assert backup["BackupName"] == "kept"
    opened.call(OHIO, "RestoreTableFromBackup", TargetTableName="Restored", BackupArn=backup["BackupArn"])
    opened.wait(60)
    assert EVERY_TYPE in opened.call(OHIO, "Scan", TableName="Restored")["Items"]
    assert json.loads(opened.call(OHIO, "GetResourcePolicy", ResourceArn=arn)["Policy"])["Statement"] == []
    insights = opened.call(OHIO, "DescribeContributorInsights", TableName="Values")
    assert insights["ContributorInsightsStatus"] in ("ENABLING", "ENABLED")
    destinations = opened.call(OHIO, "DescribeKinesisStreamingDestination", TableName="Values")
    assert len(destinations["KinesisDataStreamDestinations"]) == 1
    assert len(opened.call(OHIO, "ListExports")["ExportSummaries"]) == 1
    assert len(opened.call(OHIO, "ListImports")["ImportSummaryList"]) == 1
    target, = opened.call(OHIO, "DescribeScalableTargets", "application-autoscaling",
                          ServiceNamespace="dynamodb")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (5, 50)
    policy, = opened.call(OHIO, "DescribeScalingPolicies", "application-autoscaling",
                          ServiceNamespace="dynamodb")["ScalingPolicies"]
    assert policy["PolicyName"] == "half"


def test_a_transaction_of_the_last_release_is_not_carried_out_twice(opened):
    update = {"TableName": "Values", "Key": {"p": {"S": "counter"}, "r": {"N": "0"}}, "UpdateExpression": "ADD n :one",
              "ExpressionAttributeValues": {":one": {"N": "1"}}}
    opened.call(OHIO, "TransactWriteItems", TransactItems=[{"Update": update}], ClientRequestToken="once")
    assert {"p": {"S": "counter"}, "r": {"N": "0"}, "n": {"N": "1"}} in opened.call(OHIO, "Scan",
                                                                                TableName="Values")["Items"]
    with pytest.raises(Refusal) as refused:
        opened.call(OHIO, "TransactWriteItems", TransactItems=[{"Delete": {
            "TableName": "Values", "Key": update["Key"]}}], ClientRequestToken="once")
    assert refused.value.code == "IdempotentParameterMismatchException"


def test_a_legacy_global_table_of_the_last_release_goes_on(opened):
    described = opened.call(OHIO, "DescribeGlobalTable", GlobalTableName="Albums")["GlobalTableDescription"]
    assert described["GlobalTableStatus"] == "ACTIVE" and described["CreationDateTime"] == 1_800_000_060.0
    assert [entry["RegionName"] for entry in described["ReplicationGroup"]] == [OHIO, VIRGINIA, IRELAND]
    item = {"id": {"S": "everywhere"}, "title": {"S": "one"}, "aws:rep:deleting": {"BOOL": False},
            "aws:rep:updatetime": {"N": "1800000090.000001"}, "aws:rep:updateregion": {"S": OHIO}}
    for region in (OHIO, VIRGINIA, IRELAND):
        assert opened.items(region, "Albums")["everywhere"] == item
        assert "deleted" not in opened.items(region, "Albums")
        assert ("INSERT", "everywhere") in opened.records(region, "Albums")
    assert opened.items(OHIO, "Albums")["marked later"]["aws:rep:updateregion"] == {"S": OHIO}  # the mark was pending
    assert opened.items(IRELAND, "Albums").keys() == opened.items(VIRGINIA, "Albums").keys() == {"everywhere"}
    mend(opened)
    for region in (OHIO, VIRGINIA, IRELAND):
        assert opened.items(region, "Albums") == opened.items(OHIO, "Albums")
        assert opened.items(region, "Albums").keys() == {"everywhere", "marked later"}
    kinds = [kind for kind, key in opened.records(OHIO, "Albums") if key == "deleted"]
    assert kinds == ["INSERT", "MODIFY", "REMOVE"]


def test_replicas_and_deliveries_of_the_last_release_go_on(opened):
    assert opened.replicas(OHIO, "Music") == {VIRGINIA: "ACTIVE", IRELAND: "ACTIVE", TOKYO: "DELETING"}
    assert opened.titles(OHIO, "Music")["on its way"] == "to Virginia, in an hour"
    assert opened.titles(VIRGINIA, "Music") == {"everywhere": "one", "on its way": "to Ohio"}
    assert opened.titles(IRELAND, "Music")["everywhere"] == "one"
    assert opened.replicas(OHIO, "Fresh") == {}  # its entry appears some seconds later
    assert opened.replicas(OHIO, "Freed") == {VIRGINIA: "ACTIVE", IRELAND: "ACTIVE"}
    ttl = opened.call(OHIO, "DescribeTimeToLive", TableName="Music")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    assert opened.cloud.replication.links.waiting() == (15 if opened.killed else 11)
    opened.wait(40)
    assert opened.replicas(OHIO, "Fresh") == {VIRGINIA: "ACTIVE"}
    assert opened.call(OREGON, "DescribeTimeToLive", TableName="Paused")["TimeToLiveDescription"] == ttl
    assert opened.table(OREGON, "Paused")["OnDemandThroughput"]["MaxReadRequestUnits"] == 99
    mend(opened)
    assert opened.cloud.replication.links.waiting() == 0
    assert opened.replicas(OHIO, "Music") == {VIRGINIA: "ACTIVE"}
    # Ohio wins the conflict: of two writes at one moment, the one of the later Region in the alphabet.
    left = {"on its way": "to Virginia, in an hour"} | ({"unsettled": None} if opened.killed else {})
    assert opened.titles(OHIO, "Music") == opened.titles(VIRGINIA, "Music") == left
    assert opened.replicas(OHIO, "Freed") == {VIRGINIA: "ACTIVE"}
    assert "Replicas" not in opened.table(IRELAND, "Freed")
    assert opened.titles(OHIO, "Freed").keys() == opened.titles(IRELAND, "Freed").keys() == {
        "waits for the partition to end"}
    assert ("REMOVE", "everywhere") in opened.records(VIRGINIA, "Music")
    opened.call(VIRGINIA, "PutItem", TableName="Fresh", Item={"id": {"S": "new"}})
    opened.wait(60)
    assert opened.titles(OHIO, "Fresh").keys() == {"new"}


def test_a_strong_global_table_of_the_last_release_goes_on(opened):
    described = opened.table(OHIO, "Charts")
    assert described["MultiRegionConsistency"] == "STRONG"
    assert described["GlobalTableWitnesses"] == [{"RegionName": OREGON, "WitnessStatus": "ACTIVE"}]
    assert opened.titles(VIRGINIA, "Charts") == {"agreed": "by two"}
    newest = opened.call(VIRGINIA, "GetItem", TableName="Charts", Key={"id": {"S": "agreed"}}, ConsistentRead=True)
    assert newest["Item"]["title"] == {"S": "by one"}


def test_an_experiment_and_the_knobs_of_the_last_release_go_on(opened):
    assert {(knob, place): value for knob, place, value in opened.cloud.world.turned()} == KNOBS
    assert (opened.cloud.world.network, opened.cloud.world.seed) == ("realistic", 1)
    experiments = opened.call(OREGON, "ListExperiments", "fis")["experiments"]
    assert sorted(each["state"]["status"] for each in experiments) == ["running", "stopped"]
    template, = opened.call(OREGON, "ListExperimentTemplates", "fis")["experimentTemplates"]
    assert template["tags"] == {"lesson": "9"}
    assert [pause.table for pause in opened.cloud.fis.pauses] == [(ACCOUNT, OREGON, "Paused")]
    assert opened.titles(OREGON, "Paused") == {}
    running, = (each["id"] for each in experiments if each["state"]["status"] == "running")
    opened.call(OREGON, "StopExperiment", "fis", id=running)
    opened.wait(10)
    assert opened.titles(OREGON, "Paused").keys() == {"waits for the pause to end"}


def test_streams_of_the_last_release_are_read_on(opened):
    assert opened.records(OHIO, "Gone") == [("INSERT", "in a stream that is closed")]
    before = opened.records(OHIO, "Music")
    assert before[:3] == [("INSERT", "everywhere"), ("INSERT", "deleted"), ("REMOVE", "deleted")]
    opened.call(OHIO, "PutItem", TableName="Music", Item={"id": {"S": "after"}})
    assert opened.records(OHIO, "Music") == [*before, ("INSERT", "after")]


# The format itself

def test_a_change_of_the_format_has_a_new_version():
    """If this fails, the format was changed: give it a new VERSION, a step in migrate.py, a kept folder, and add its
    digest here. Never replace the digest of a version that was released."""
    described = json.dumps([msgspec.json.schema(format.Documents), format.ROWS, format.NO_SORT_KEY], sort_keys=True)
    assert hashlib.sha256(described.encode()).hexdigest()[:12] == {3: "37463ec459e7"}[format.VERSION]


def test_every_event_and_knob_has_a_name_in_the_format():
    assert set(convert._EVENTS) == schedule.NAMES
    assert {kind.__struct_config__.tag for kind in convert._EVENTS.values()} == {
        kind.__struct_config__.tag for kind in format.Event.__args__}
    assert set(format.Knob.__annotations__) == {"knob", "place", "value"}
    assert tuple(ALL_KNOBS) == contract.KNOB_NAMES
    for knob in ALL_KNOBS:
        assert msgspec.convert({"knob": knob, "place": (), "value": None}, format.Knob).knob == knob


def test_a_folder_is_read_without_the_library_of_the_old_engine(tmp_path):
    """The old engine wrote it; its library is not needed to read it."""
    folder = folder_of("killed", tmp_path)
    reads = f"""
import sys
sys.modules["ministack"] = None
from pathlib import Path
from gtlab.localcloud.disk import format
from gtlab.localcloud.disk.store import Store
store = Store(Path({str(folder)!r}) / "cloud.sqlite3")
kept = format.documents(dict(store.rows("documents")))
described = {{tuple(table): description for table, description in kept.engine.tables}}
assert described["{ACCOUNT}", "{OHIO}", "Values"]["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
assert not [name for description in described.values() for name in description if not name[0].isupper()]
tag, = kept.engine.records.tags
assert tag[3] == [{{"Key": "course", "Value": "gtlab"}}]
backup, = kept.engine.records.backups
assert len(backup[3]["items"]) == 2
items = {{(table.region, table.name, key.partition): format.decode(item)
         for table, key, item in format.items(store.rows("items"))}}
assert items["{IRELAND}", "Albums", "everywhere"]["title"] == {{"S": "one"}}
(_, _, token, kept_of_it), = format.tokens(store.rows("tokens"))
assert token == "once" and kept_of_it["answer"] == {{}}
assert len(list(format.deliveries(store.rows("deliveries")))) == 13
assert {{version.deleted for version in format.versions(store.rows("versions"))}} == {{True, False}}
assert len(kept.unsettled) == 1 and len(kept.replicas.events) == 7
assert sys.modules["ministack"] is None and "gtlab.localcloud.engine" not in sys.modules
store.close()
"""
    done = subprocess.run([sys.executable, "-c", reads], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_folder_of_the_last_release_is_migrated_once(tmp_path):
    folder = folder_of("killed", tmp_path)
    Opened(folder).keeper.close()
    connection = sqlite3.connect(folder / "cloud.sqlite3")
    assert connection.execute("PRAGMA user_version").fetchone() == (format.VERSION,)
    assert connection.execute("SELECT gtlab FROM release").fetchall() == [(gtlab.__version__,)]
    connection.close()
    again = Opened(folder)
    assert again.keeper.note == "" and again.replicas(OHIO, "Music")[TOKYO] == "DELETING"
    again.keeper.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was_and_sets_it_aside(tmp_path):
    path = folder_of("stopped", tmp_path) / "cloud.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    body = json.loads(connection.execute("SELECT body FROM documents WHERE name = 'current'").fetchone()[0])
    body["events"][0][1] = "_dance"
    connection.execute("UPDATE documents SET body = ? WHERE name = 'current'", (json.dumps(body).encode(),))
    connection.close()
    opened = Opened(path.parent)
    aside, = path.parent.glob("cloud-damaged-*.sqlite3")
    assert str(aside) in opened.keeper.note and "_dance" in opened.keeper.note
    opened.keeper.close()
    connection = sqlite3.connect(aside)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM documents WHERE name = 'current'").fetchone() == (1,)
    connection.close()


def change(path: Path, document: str, by) -> None:
    """Change a document of a stopped local cloud."""
    store = Store(path)
    body = json.loads(dict(store.rows("documents"))[document])
    by(body)
    store.write([(PUT, "documents", [(document, json.dumps(body).encode())])])
    store.close()


def add_document(path: Path) -> None:
    store = Store(path)
    store.write([(PUT, "documents", [("weather", b"{}")])])
    store.close()


@pytest.mark.parametrize(("harm", "named"), [
    (lambda path: change(path, "replicas", lambda kept: kept["events"][0].update(event="dance")), "dance"),
    (lambda path: change(path, "knobs", lambda kept: kept[0].update(knob="gravity")), "gravity"),
    (lambda path: change(path, "groups", lambda kept: kept.update(mood="good")), "mood"),
    (lambda path: change(path, "faults", lambda kept: kept["experiments"][0].pop("due")), "due"),
    (add_document, "weather"),
], ids=["event", "knob", "field", "missing field", "document"])
def test_what_this_version_does_not_know_is_damage(tmp_path, harm, named):
    path = folder_of("stopped", tmp_path) / "cloud.sqlite3"
    Opened(path.parent).keeper.close()
    harm(path)
    harmed = path.read_bytes()
    opened = Opened(path.parent)
    aside, = path.parent.glob("cloud-damaged-*.sqlite3")
    assert aside.read_bytes() == harmed
    assert named in opened.keeper.note and str(aside) in opened.keeper.note
    assert opened.call(OHIO, "ListTables")["TableNames"] == []
    opened.keeper.close()


@pytest.fixture
def newer(tmp_path) -> Path:
    """A state folder that gtlab 9.8.7 wrote, in the format after this one, and left with logs beside it."""
    path = folder_of("stopped", tmp_path) / "cloud.sqlite3"
    Opened(path.parent).keeper.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("UPDATE release SET gtlab = '9.8.7'")
    connection.execute(f"PRAGMA user_version = {format.VERSION + 1}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE what_this_version_does_not_know (n)")
    wal = path.with_name(path.name + "-wal").read_bytes()
    connection.close()
    path.with_name(path.name + "-wal").write_bytes(wal)
    path.with_name(path.name + "-log0").write_bytes(b"in a format of its own")
    return path.parent


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("cloud*sqlite3*")}


def test_a_folder_of_a_newer_release_is_not_touched(newer):
    before = state_of(newer)
    with pytest.raises(Newer) as refused:
        keep(newer / "cloud.sqlite3")
    assert f"gtlab 9.8.7 (disk format {format.VERSION + 1})" in str(refused.value)
    assert "Install gtlab 9.8.7 or newer" in str(refused.value)
    assert state_of(newer) == before and len(before) == 3


@pytest.mark.server
def test_up_says_which_gtlab_a_newer_folder_needs(newer, monkeypatch):
    before = state_of(newer)
    monkeypatch.setenv("GTLAB_HOME", str(newer))
    done = subprocess.run([sys.executable, "-m", "gtlab", "up"], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 1 and "Install gtlab 9.8.7 or newer" in done.stderr and str(newer) in done.stderr
    told = [line for line in done.stderr.splitlines() if "is starting: waiting" not in line]  # on a busy machine
    assert len(told) == 1
    assert state_of(newer) == before
    with pytest.raises(process.CloudError, match=r"9\.8\.7"):
        process.up()
    assert process.up(in_memory=True)[1]  # it is not needed for that
    process.down()


@pytest.mark.server
def test_a_reset_names_the_newer_release_before_it_deletes_its_state(newer, monkeypatch):
    before = state_of(newer)
    monkeypatch.setenv("GTLAB_HOME", str(newer))
    reset = functools.partial(subprocess.run, [sys.executable, "-m", "gtlab", "reset"], capture_output=True, text=True)
    asked = reset(input="n\n")
    assert asked.returncode == 1 and state_of(newer) == before
    assert f"was written by gtlab 9.8.7 (disk format {format.VERSION + 1})" in asked.stdout.partition("Go on?")[0]
    assert reset(input="y\n").returncode == 0 and state_of(newer) == {}
    assert "written by" not in reset(input="n\n").stdout  # there is none any more
