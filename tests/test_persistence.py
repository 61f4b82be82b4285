"""The local cloud comes back with all that was in it, however it ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import IRELAND, OHIO, ON_DEMAND, SOAK, VIRGINIA, records, wait_until

from gtlab.course.stages import MUSIC
from gtlab.localcloud import process
from gtlab.localcloud.disk.rows import DELETE, PUT, Change
from gtlab.localcloud.disk.store import Store

pytestmark = pytest.mark.server

CRASHES = Path(__file__).parents[1] / "benchmarks" / "crashes.py"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    process.down()


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> bytes:
    """The file of a cloud that had a table with an item."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kept")
        patch.setenv("GTLAB_HOME", str(folder))
        cloud, _ = process.up(network="instant")
        try:
            at(cloud, OHIO).create_table(**ON_DEMAND)
            put(cloud, OHIO, "precious")
        finally:
            process.down()
        return (folder / "cloud.sqlite3").read_bytes()


def at(cloud, region: str, service: str = "dynamodb"):
    return boto3.client(service, region_name=region, endpoint_url=cloud.url, aws_access_key_id="gtlab",
                        aws_secret_access_key="gtlab", config=Config(retries={"total_max_attempts": 1}))


def kill(cloud) -> None:
    os.kill(cloud.pid, signal.SIGKILL)
    wait_until(lambda: process.find() is None, "the cloud to be gone")


def table(cloud, region: str) -> dict:
    return at(cloud, region).describe_table(TableName="Music")["Table"]


def make_global_table(cloud) -> None:
    at(cloud, OHIO).create_table(**ON_DEMAND)
    wait_until(lambda: table(cloud, OHIO)["TableStatus"] == "ACTIVE", "the table")
    at(cloud, OHIO).update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])
    wait_until(lambda: [each["ReplicaStatus"] for each in table(cloud, OHIO).get("Replicas", [])] == ["ACTIVE"],
               "the replica")


def put(cloud, region: str, artist: str, **attributes: str) -> None:
    at(cloud, region).put_item(TableName="Music", Item={"Artist": {"S": artist}} | {
        name: {"S": value} for name, value in attributes.items()})


def items(cloud, region: str) -> dict[str, dict]:
    return {item["Artist"]["S"]: item for item in at(cloud, region).scan(TableName="Music")["Items"]}


def world(cloud, method: str, what: str = "") -> None:
    assert process._ask(cloud.port, f"world{what}", method=method) is not None


@pytest.mark.parametrize("end", [kill, lambda cloud: process.down()], ids=["killed", "stopped"])
def test_a_global_table_comes_back_with_what_is_on_its_way(home, end):
    cloud, _ = process.up(network="fast", seed=3)
    make_global_table(cloud)
    put(cloud, OHIO, "here", title="one")
    wait_until(lambda: "here" in items(cloud, VIRGINIA), "the item in Virginia")
    world(cloud, "PUT", f"/partition/{OHIO}/{VIRGINIA}")
    put(cloud, OHIO, "late", title="from Ohio")
    at(cloud, OHIO).delete_item(TableName="Music", Key={"Artist": {"S": "here"}})
    arn = table(cloud, OHIO)["LatestStreamArn"]
    before, seen = table(cloud, OHIO), records(at(cloud, OHIO, "dynamodbstreams"), arn)
    end(cloud)

    cloud, started = process.up()
    assert started and cloud.network == "fast"
    assert table(cloud, OHIO) == before
    assert items(cloud, OHIO).keys() == {"late"} and items(cloud, VIRGINIA).keys() == {"here"}
    assert records(at(cloud, OHIO, "dynamodbstreams"), arn) == seen and len(seen) == 3
    world(cloud, "DELETE")
    wait_until(lambda: items(cloud, VIRGINIA) == items(cloud, OHIO), "the replicas to be alike")
    assert items(cloud, OHIO).keys() == {"late"}
    put(cloud, VIRGINIA, "after", title="new")  # replication goes on, and sequence numbers rise on
    wait_until(lambda: "after" in items(cloud, OHIO), "the new item in Ohio")
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records(at(cloud, OHIO, "dynamodbstreams"), arn)]
    assert len(set(numbers)) == 4 and numbers[-1] > seen[-1]["dynamodb"]["SequenceNumber"]


def test_a_tombstone_comes_back_and_keeps_an_older_write_away(home):
    cloud, _ = process.up(network="fast")
    make_global_table(cloud)
    world(cloud, "PUT", f"/partition/{OHIO}/{VIRGINIA}")
    put(cloud, OHIO, "gone", title="older")
    put(cloud, VIRGINIA, "gone", title="newer")
    at(cloud, VIRGINIA).delete_item(TableName="Music", Key={"Artist": {"S": "gone"}})
    kill(cloud)
    cloud, _ = process.up()
    world(cloud, "DELETE")
    wait_until(lambda: process.status(cloud)["deliveries_waiting"] == 0, "all to be delivered")
    assert items(cloud, OHIO) == items(cloud, VIRGINIA) == {}


def test_a_replica_that_was_being_made_is_made(home):
    cloud, _ = process.up(network="fast")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    wait_until(lambda: table(cloud, OHIO)["TableStatus"] == "ACTIVE", "the table")
    at(cloud, OHIO).update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": IRELAND}}])
    kill(cloud)
    cloud, _ = process.up()
    wait_until(lambda: [each["ReplicaStatus"] for each in table(cloud, OHIO).get("Replicas", [])] == ["ACTIVE"],
               "the replica")
    assert table(cloud, IRELAND)["TableStatus"] == "ACTIVE"


def test_settings_tags_ttl_scaling_and_the_legacy_global_table_come_back(home):
    cloud, _ = process.up(network="instant", legacy_api="historic")
    for region in (OHIO, VIRGINIA):
        at(cloud, region).create_table(**MUSIC)
    at(cloud, OHIO).create_global_table(GlobalTableName="Music", ReplicationGroup=[
        {"RegionName": OHIO}, {"RegionName": VIRGINIA}])
    arn = table(cloud, OHIO)["TableArn"]
    at(cloud, OHIO).tag_resource(ResourceArn=arn, Tags=[{"Key": "course", "Value": "gtlab"}])
    at(cloud, OHIO).update_time_to_live(TableName="Music", TimeToLiveSpecification={
        "Enabled": True, "AttributeName": "until"})
    scaling = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Music",
               "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
    at(cloud, OHIO, "application-autoscaling").register_scalable_target(**scaling, MinCapacity=1, MaxCapacity=9)
    described = at(cloud, OHIO).describe_global_table(GlobalTableName="Music")["GlobalTableDescription"]
    kill(cloud)
    cloud, _ = process.up()
    assert at(cloud, OHIO).describe_global_table(GlobalTableName="Music")["GlobalTableDescription"] == described
    assert at(cloud, OHIO).list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "course", "Value": "gtlab"}]
    assert at(cloud, OHIO).describe_time_to_live(TableName="Music")["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    target, = at(cloud, OHIO, "application-autoscaling").describe_scalable_targets(
        ServiceNamespace="dynamodb")["ScalableTargets"]
    assert target["MaxCapacity"] == 9
    at(cloud, OHIO).put_item(TableName="Music", Item={"Artist": {"S": "a"}, "SongTitle": {"S": "b"}})
    wait_until(lambda: at(cloud, VIRGINIA).scan(TableName="Music")["Items"], "the item in Virginia")


def test_a_transaction_that_is_repeated_after_a_crash_is_not_carried_out_twice(home):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    count = {"TransactItems": [{"Update": {"TableName": "Music", "Key": {"Artist": {"S": "a"}}, "UpdateExpression":
             "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}}], "ClientRequestToken": "once"}
    at(cloud, OHIO).transact_write_items(**count)
    kill(cloud)
    cloud, _ = process.up()
    at(cloud, OHIO).transact_write_items(**count)
    assert items(cloud, OHIO)["a"]["n"] == {"N": "1"}
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        at(cloud, OHIO).transact_write_items(**count | {"TransactItems": [
            {"Delete": {"TableName": "Music", "Key": {"Artist": {"S": "a"}}}}]})


def test_a_table_that_was_deleted_and_made_anew_comes_back_as_the_new_one(home):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    put(cloud, OHIO, "old")
    at(cloud, OHIO).delete_table(TableName="Music")
    wait_until(lambda: "Music" not in at(cloud, OHIO).list_tables()["TableNames"], "the table to be gone")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    put(cloud, OHIO, "new")
    kill(cloud)
    cloud, _ = process.up()
    assert items(cloud, OHIO).keys() == {"new"} and table(cloud, OHIO)["ItemCount"] == 1


def test_every_kind_of_value_comes_back(home):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    item = {"Artist": {"S": "é☃\u0000\U0001f600"}, "n": {"N": "3.14E+2"}, "b": {"B": b"\x00\xff"}, "t": {"BOOL": True},
            "z": {"NULL": True}, "l": {"L": [{"N": "1"}, {"M": {"deep": {"SS": ["a", "b"]}}}]}, "e": {"S": ""},
            "ns": {"NS": ["1", "2"]}, "bs": {"BS": [b"x"]}}
    at(cloud, OHIO).put_item(TableName="Music", Item=item)
    stored, = at(cloud, OHIO).scan(TableName="Music")["Items"]
    kill(cloud)
    cloud, _ = process.up()
    assert at(cloud, OHIO).scan(TableName="Music")["Items"] == [stored]
    assert at(cloud, OHIO).get_item(TableName="Music", Key={"Artist": item["Artist"]})["Item"]["b"] == item["b"]


@pytest.mark.parametrize("harm", [
    lambda path: path.write_bytes(b"this is no database" * 500),
    lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    lambda path: path.write_bytes(b""),
    lambda path: write(path, [(PUT, "documents", [("groups", b'{"half')])]),
    lambda path: write(path, [(DELETE, "documents", [("tables",)])]),
], ids=["not a database", "cut off", "empty", "half a document", "a document missing"])
def test_a_damaged_file_is_set_aside_and_told(home, harm, kept):
    (home / "cloud.sqlite3").write_bytes(kept)
    harm(home / "cloud.sqlite3")
    harmed = (home / "cloud.sqlite3").read_bytes()
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == []
    aside, = home.glob("cloud-damaged-*.sqlite3")
    assert aside.read_bytes() == harmed
    assert str(aside) in process.status(cloud)["note"]
    at(cloud, OHIO).create_table(**ON_DEMAND)  # it works
    if harmed:
        return
    kill(cloud)  # and keeps
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == ["Music"] and process.status(cloud)["note"] == ""


def test_of_a_damaged_log_what_is_before_the_damage_is_kept_and_the_rest_is_told(home):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)

    def caught_before_it_is_folded() -> Path | None:
        put(cloud, OHIO, "precious", at=str(time.monotonic()))
        os.kill(cloud.pid, signal.SIGSTOP)
        found = next((path for path in home.glob("cloud.sqlite3-log*") if path.stat().st_size), None)
        if found is None:
            os.kill(cloud.pid, signal.SIGCONT)
        return found

    written = wait_until(caught_before_it_is_folded, "a log to be written")
    content = written.read_bytes()
    harmed = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    kill(cloud)
    written.write_bytes(harmed)
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == ["Music"]
    aside, = home.glob(f"cloud-damaged-*.sqlite3{written.name.removeprefix('cloud.sqlite3')}")
    assert aside.read_bytes() == harmed
    note = process.status(cloud)["note"]
    assert f"1 change is missing ({written.name} is damaged" in note and "cloud-damaged-" in note


def write(path: Path, changes: list[Change]) -> None:
    store = Store(path)
    store.write(changes)
    store.close()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_set_aside(home):
    (home / "cloud.sqlite3").mkdir()
    with pytest.raises(process.CloudError, match="in-memory"):
        process.up(network="instant")
    assert (home / "cloud.sqlite3").is_dir()


def test_in_memory_nothing_is_taken_up_and_nothing_kept(home):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    process.down()
    cloud, _ = process.up(network="instant", in_memory=True)
    assert at(cloud, OHIO).list_tables()["TableNames"] == []
    at(cloud, IRELAND).create_table(**ON_DEMAND)
    process.down()
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == ["Music"]
    assert at(cloud, IRELAND).list_tables()["TableNames"] == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_no_acknowledged_write_is_lost_by_kill_9(home):
    done = subprocess.run([sys.executable, str(CRASHES), "50" if SOAK else "5"], capture_output=True, text=True,
                          timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^  lost +0$", done.stdout, re.MULTILINE)
