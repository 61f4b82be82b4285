"""The local cloud comes back with all that was in it, however it ended."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import ON_DEMAND, records, wait_until

from gtlab.course.stages import MUSIC
from gtlab.localcloud import engine, process
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.store import DELETE, DELETE_ALL, DELETE_BEFORE, ENDINGS, PUT, Store
from gtlab.localcloud.model import NO_SORT_KEY, Call, Key, TableId

OHIO, VIRGINIA, IRELAND = "us-east-2", "us-east-1", "eu-west-1"
CRASHES = Path(__file__).parents[1] / "benchmarks" / "crashes.py"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    process.down()


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
    lambda path: write_documents(path, "UPDATE documents SET body = '{\"half' WHERE name = 'groups'"),
    lambda path: write_documents(path, "DELETE FROM documents WHERE name = 'tables'"),
], ids=["not a database", "cut off", "empty", "half a document", "a document missing"])
def test_a_damaged_file_is_set_aside_and_told(home, harm):
    cloud, _ = process.up(network="instant")
    at(cloud, OHIO).create_table(**ON_DEMAND)
    put(cloud, OHIO, "precious")
    process.down()
    harm(home / "cloud.sqlite3")
    harmed = (home / "cloud.sqlite3").read_bytes()
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == []
    aside, = home.glob("cloud-damaged-*.sqlite3")
    assert aside.read_bytes() == harmed
    assert str(aside) in process.status(cloud)["note"]
    at(cloud, OHIO).create_table(**ON_DEMAND)  # it works, and keeps
    kill(cloud)
    cloud, _ = process.up()
    assert at(cloud, OHIO).list_tables()["TableNames"] == ["Music"] and process.status(cloud)["note"] == ""


def test_a_damaged_log_is_set_aside_with_its_file_and_told(home):
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
    assert at(cloud, OHIO).list_tables()["TableNames"] == []
    aside, = home.glob(f"cloud-damaged-*.sqlite3{written.name.removeprefix('cloud.sqlite3')}")
    assert aside.read_bytes() == harmed
    note = process.status(cloud)["note"]
    assert f"{written.name} is damaged" in note and "cloud-damaged-" in note


def write_documents(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


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


def test_what_cannot_be_written_to_disk_is_not_acknowledged_and_not_lost_either(tmp_path):
    keeper = keep(tmp_path / "cloud.sqlite3", "instant")
    keeper.cloud.turn("isolate", (OHIO,), None, now=1.0)
    keeper._store.write, whole = full_disk, keeper._store.write
    with pytest.raises(sqlite3.OperationalError):
        keeper.save()
    keeper._store.write = whole
    keeper.save()  # there is room again
    keeper.close()
    keeper = keep(tmp_path / "cloud.sqlite3")
    assert keeper.cloud.world.turned() == [("isolate", (OHIO,), None)]
    keeper.close()


def test_a_write_whose_process_ends_right_after_the_answer_is_replicated_and_told_to_its_stream(tmp_path):
    keeper, now = keep(tmp_path / "cloud.sqlite3", "instant"), 1.8e9

    def call(operation: str, data: dict, service: str = "dynamodb", ask: str = "call") -> dict:
        return msgspec.json.decode(getattr(keeper.cloud, ask)(Call("1" * 12, OHIO, service, operation, data), now))

    call("CreateTable", ON_DEMAND)
    now += 60
    call("UpdateTable", {"TableName": "Music", "ReplicaUpdates": [{"Create": {"RegionName": VIRGINIA}}]})
    now += 3600
    call("PutItem", {"TableName": "Music", "Item": {"Artist": {"S": "a"}, "n": {"N": "1"}}})
    now += 60
    keeper.cloud.tick(now)
    keeper.save()
    call("PutItem", {"TableName": "Music", "Item": {"Artist": {"S": "a"}, "n": {"N": "2"}}}, ask="answer")
    keeper.save()
    for path in tmp_path.glob("cloud.*"):  # as they are at this moment
        shutil.copyfile(path, tmp_path / path.name.replace("cloud", "copy"))
    keeper.close()
    keeper = keep(tmp_path / "copy.sqlite3", clock=lambda: now)
    now += 60
    keeper.cloud.tick(now)
    assert engine.item(TableId("1" * 12, VIRGINIA, "Music"), Key("a", NO_SORT_KEY))["n"] == {"N": "2"}
    told = []
    arn = call("ListStreams", {}, "dynamodbstreams")["Streams"][0]["StreamArn"]
    for shard in call("DescribeStream", {"StreamArn": arn}, "dynamodbstreams")["StreamDescription"]["Shards"]:
        iterator = call("GetShardIterator", {"StreamArn": arn, "ShardId": shard["ShardId"],
                                             "ShardIteratorType": "TRIM_HORIZON"}, "dynamodbstreams")
        told += [record["dynamodb"] for record in call("GetRecords", iterator, "dynamodbstreams")["Records"]]
    assert [(change.get("OldImage", {}).get("n"), change["NewImage"]["n"]) for change in told] == [
        (None, {"N": "1"}), ({"N": "1"}, {"N": "2"})]
    keeper.close()


def full_disk(changes):
    raise sqlite3.OperationalError("database or disk is full")


CHANGES = (
    [(PUT, "records", [("arn", "shard", str(number), 1.0, b"{}") for number in range(5)])],
    [(DELETE_BEFORE, "records", [("arn", "shard", "3")]), (PUT, "tokens", [("a", "r", "t", b"old")])],
    [(PUT, "tokens", [("a", "r", "t", b"new"), ("a", "r", "gone", b"")]), (DELETE, "tokens", [("a", "r", "gone")]),
     (PUT, "items", [("a", "r", "t", "k", "s", b"{}")])],
    [(PUT, "deliveries", [(1, "g", "s", "t", "k", "s", None, 1, "s", 1.0), (2, "g", "s", "t", "k", "s", None, 2, "s",
                                                                            2.0)])],
)


def contents(store: Store) -> dict[str, list]:
    return {"records": [row[2] for row in store.rows("records")], "tokens": list(store.rows("tokens")),
            "items": [row[3] for row in store.rows("items")],
            "deliveries": [row[0] for row in store.rows("deliveries")]}


def left_by_a_crash(path: Path, there: Path) -> Path:
    """The files as they are at this moment, in another folder."""
    there.mkdir()
    for ending in ENDINGS:
        if path.with_name(path.name + ending).exists():
            shutil.copyfile(path.with_name(path.name + ending), there / (path.name + ending))
    return there / path.name


WHOLE = {"records": ["3", "4"], "tokens": [("a", "r", "t", b"new")], "items": ["k"], "deliveries": [1, 2]}


def test_changes_are_folded_in_order_and_come_back_from_any_moment(tmp_path):
    path = tmp_path / "cloud.sqlite3"
    store = Store(path)
    for change in CHANGES:
        store.write(change)
    crashed = [left_by_a_crash(path, tmp_path / "logged")]
    assert contents(store)["records"] == []  # all of it is in the log only
    store.fold()
    assert contents(store) == WHOLE
    crashed.append(left_by_a_crash(path, tmp_path / "folded"))
    store.write([(DELETE, "deliveries", [(1,)]),
                 (PUT, "deliveries", [(3, "g", "s", "t", "k", "s", None, 3, "s", 3.0)])])
    store.write([(DELETE, "deliveries", [(3,)]), (DELETE_ALL, "items", [("a", "r", "t")]),
                 (PUT, "items", [("a", "r", "t", "l", "s", b"{}")])])
    after = WHOLE | {"deliveries": [2], "items": ["l"]}
    crashed.append(left_by_a_crash(path, tmp_path / "the other log"))
    store.close()
    assert [each.name for each in tmp_path.glob("cloud*")] == ["cloud.sqlite3"]  # it needs nothing beside it then
    crashed.append(path)
    for left, expected in zip(crashed, [WHOLE, WHOLE, after, after], strict=True):
        again = Store(left)
        assert contents(again) == expected, left
        again.write([(DELETE, "items", [("a", "r", "t", expected["items"][0], "s")])])
        again.close()
        again = Store(left)
        assert contents(again) == expected | {"items": []}, left
        again.close()


def test_a_log_that_was_folded_but_not_yet_emptied_is_not_folded_again(tmp_path):
    path = tmp_path / "cloud.sqlite3"
    store = Store(path)
    store.write([(PUT, "tokens", [("a", "r", "t", b"old")])])
    left = left_by_a_crash(path, tmp_path / "before")
    store.fold()
    store.write([(PUT, "tokens", [("a", "r", "t", b"new")])])
    store.fold()
    store.close()
    old = left.with_name(left.name + "-log0").read_bytes()
    assert len(old) > 20
    path.with_name(path.name + "-log0").write_bytes(old)
    store = Store(path)
    assert list(store.rows("tokens")) == [("a", "r", "t", b"new")]
    store.close()


def test_of_what_the_disk_did_not_take_nothing_is_lost_and_it_is_tried_again(tmp_path):
    path = tmp_path / "cloud.sqlite3"
    store = Store(path)
    for change in CHANGES[:3]:
        store.write(change)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite waits for it, five seconds, and gives up
    store.fold(wait=False)
    store.write(CHANGES[3])  # meanwhile writes go on
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.fold()
    crashed = left_by_a_crash(path, tmp_path / "crashed")
    other.execute("ROLLBACK")
    other.close()
    store.fold()
    assert contents(store) == WHOLE
    store.close()
    again = Store(crashed)
    assert contents(again) == WHOLE
    again.close()


def test_an_entry_that_was_cut_off_is_left_out_and_a_changed_one_is_damage(tmp_path):
    log = Log(tmp_path / "log")
    for number, body in ((1, b"first"), (2, b"second")):
        log.append(number, body)
    log.close()
    whole = (tmp_path / "log").read_bytes()

    def entries(content: bytes) -> list[tuple[int, bytes]]:
        (tmp_path / "harmed").write_bytes(content)
        harmed = Log(tmp_path / "harmed")
        try:
            return list(harmed.entries())
        finally:
            harmed.close()

    first, both = [(1, b"first")], [(1, b"first"), (2, b"second")]
    assert entries(whole) == both
    begins = len(whole) - len(b"second") - (len(whole) - len(b"firstsecond")) // 2
    for length in range(len(whole)):
        expected = first if length >= begins else []
        assert entries(whole[:length]) == expected, length
    for place in range(len(whole)):
        with pytest.raises(Broken, match="is damaged"):
            entries(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
    again = Log(tmp_path / "log")  # what is appended after a cut-off entry would be lost behind it: it is emptied first
    again.empty()
    again.append(3, b"third")
    assert list(again.entries()) == [(3, b"third")]
    again.close()


def test_a_disk_that_is_full_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    store = Store(tmp_path / "cloud.sqlite3")
    store.write(CHANGES[0])
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with pytest.raises(sqlite3.OperationalError, match="space"):
        store.write(CHANGES[1])
    monkeypatch.undo()
    store.write([(PUT, "items", [("a", "r", "t", "k", "s", b"{}")])])
    crashed = left_by_a_crash(tmp_path / "cloud.sqlite3", tmp_path / "crashed")
    store.close()
    again = Store(crashed)
    assert contents(again) == {"records": list("01234"), "tokens": [], "items": ["k"], "deliveries": []}
    again.close()


def test_a_file_of_version_1_is_taken_up(tmp_path):
    def answers(*tokens: str) -> list[tuple]:
        return [("a", "r", token, b'{"signature":{},"response":{}}') for token in tokens]

    path = tmp_path / "cloud.sqlite3"
    store = Store(path)
    store.write(CHANGES[0])
    store.close()
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("DROP TABLE folded")
    old.execute("DROP TABLE release")
    old.execute("CREATE TABLE changes (n INTEGER PRIMARY KEY, body)")
    for number, change in enumerate(([*CHANGES[1][:1], (PUT, "tokens", answers("t"))],
                                     [(PUT, "tokens", answers("gone")), *CHANGES[2][1:]], CHANGES[3]), start=7):
        old.execute("INSERT INTO changes VALUES (?, ?)", (number, msgspec.msgpack.encode(change)))
    old.execute("PRAGMA user_version = 1")
    old.close()
    store = Store(path)
    assert contents(store) == WHOLE | {"tokens": [("a", "r", "t", b'{"request":{},"answer":{}}')]}
    store.write([(DELETE, "tokens", [("a", "r", "t")])])
    store.close()
    store = Store(path)
    assert contents(store) == WHOLE | {"tokens": []}
    store.close()


def test_no_acknowledged_write_is_lost_by_kill_9(home):
    done = subprocess.run([sys.executable, str(CRASHES), "5"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of these lost                                       0" in done.stdout
