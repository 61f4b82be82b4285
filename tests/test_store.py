"""What is kept on disk: the log, the store and the keeper, at any moment and after any failure."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from support import OHIO, ON_DEMAND, VIRGINIA

from gtlab.localcloud import engine
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.store import DELETE, DELETE_ALL, DELETE_BEFORE, ENDINGS, PUT, Store
from gtlab.localcloud.model import NO_SORT_KEY, Call, Key, TableId


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


def test_of_what_the_disk_did_not_take_nothing_is_lost_and_it_is_tried_again(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **named | {"timeout": 0.1}))
    path = tmp_path / "cloud.sqlite3"
    store = Store(path)
    for change in CHANGES[:3]:
        store.write(change)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite waits for it, five seconds if not told otherwise, and gives up
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
