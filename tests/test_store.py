"""What is kept on disk: the log, the store and the keeper, at any moment and after any failure."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from random import Random

import msgspec
import pytest
from support import OHIO, ON_DEMAND, SOAK, VIRGINIA, seed

from gtlab.localcloud.disk.files import ENDINGS
from gtlab.localcloud.disk.format import ROWS
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.rows import DELETE, DELETE_ALL, DELETE_BEFORE, PUT, Damaged
from gtlab.localcloud.disk.store import Store
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


def test_a_backfill_that_is_cut_short_goes_on_after_a_restart(tmp_path):
    keeper, now = keep(tmp_path / "cloud.sqlite3", "instant"), 1.8e9

    def call(operation: str, data: dict) -> dict:
        answer = keeper.cloud.call(Call("1" * 12, OHIO, "dynamodb", operation, data), now)
        keeper.save()
        return msgspec.json.decode(answer)

    call("CreateTable", ON_DEMAND)
    for first in range(0, 1500, 25):
        call("BatchWriteItem", {"RequestItems": {"Music": [
            {"PutRequest": {"Item": {"Artist": {"S": str(n)}}}} for n in range(first, first + 25)]}})
    call("UpdateTable", {"TableName": "Music", "ReplicaUpdates": [{"Create": {"RegionName": VIRGINIA}}]})
    there = TableId("1" * 12, VIRGINIA, "Music")
    while not keeper.cloud.database.exists(there):
        now += 0.1
        keeper.cloud.tick(now)
        keeper.save()
    assert keeper.cloud.database.tables[there].items.rows.count < 1500
    for path in tmp_path.glob("cloud.*"):  # as they are at this moment
        shutil.copyfile(path, tmp_path / path.name.replace("cloud", "copy"))
    keeper.close()
    keeper = keep(tmp_path / "copy.sqlite3", clock=lambda: now)
    for _ in range(100):  # slices
        now += 1
        keeper.cloud.tick(now)
        keeper.save()
    assert dict(keeper.cloud.database.items(there)) == dict(keeper.cloud.database.items(there._replace(region=OHIO)))
    assert keeper.cloud.tables.status(there, now) == "ACTIVE" and keeper.cloud.replication.links.waiting() == 0
    assert not keeper.cloud.current.schedule.saved()
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
    assert keeper.cloud.database.item(TableId("1" * 12, VIRGINIA, "Music"), Key("a", NO_SORT_KEY))["n"] == {"N": "2"}
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


@pytest.mark.parametrize(("room", "bytes_"), [(7, 0), (7, 2 << 20), (1 << 20, 2 << 20)])
def test_a_disk_that_is_full_leaves_the_log_as_it_was(tmp_path, monkeypatch, room, bytes_):
    """A large entry is written in two parts."""
    store = Store(tmp_path / "cloud.sqlite3")
    store.write(CHANGES[0])
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:room]))
    with pytest.raises(sqlite3.OperationalError, match="space"):
        store.write([*CHANGES[1], (PUT, "items", [("a", "r", "t", "large", "s", b"x" * bytes_)])])
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
    old.execute("DROP TABLE logged")
    for table in ROWS:
        old.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
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


def everything(path: Path) -> tuple[dict[str, list[tuple]], str]:
    """All the rows that are found in the files, and what is reported as damaged."""
    try:
        store = Store(path)
    except (Damaged, sqlite3.Error) as error:
        return {}, f"damaged: {error}"
    try:
        return {table: list(store.rows(table)) for table in ROWS}, store.damage
    except Damaged as error:
        return {}, f"damaged: {error}"
    finally:
        store.close()


def filled(path: Path, rounds: int, random: Random, largest: int = 900) -> Store:
    """A store with rows in its tables, in SQLite's write-ahead log and in a log. ``largest``: bytes of an item. Nothing
    is being folded any more: files that are copied meanwhile are of different moments, which no crash leaves."""
    store = Store(path)
    for n in range(rounds):
        key = ("a", "r", "t", f"{random.randrange(rounds)}", "s")
        store.write([(PUT, "items", [(*key, random.randbytes(random.randrange(largest)))]),
                     (PUT, "records", [("arn", "shard", f"{n:021}", float(n), random.randbytes(200))]),
                     (PUT, "deliveries", [(n, "g", "s", "t", "k", "s", None, n, "s", 3.0)]),
                     (DELETE, "deliveries", [(random.randrange(n + 1),)]),
                     (PUT, "documents", [("settings", random.randbytes(300))])])
        if n == rounds // 2:
            store.fold()
            store._rows._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        elif n > rounds // 2 and n % max(1, rounds // 10) == 0:
            store.fold()
    return store


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("left", ["stopped", "killed"])
def test_whatever_is_damaged_is_never_silent(tmp_path, left):
    """Bits are flipped and files cut short at random places: everything is as it was, or the damage is reported. The
    file itself has more than 50 MB in `make soak`."""
    random = Random(seed(11))
    rounds, largest = (13_500, 10_000) if SOAK else (1_500, 900)
    store = filled(tmp_path / "cloud.sqlite3", rounds, random, largest)
    if left == "stopped":
        store.close()
    path = left_by_a_crash(tmp_path / "cloud.sqlite3", tmp_path / "left")
    if left == "killed":
        store.close()
    whole, damage = everything(left_by_a_crash(path, tmp_path / "whole"))
    assert damage == "" and len(whole["items"]) > 100
    assert path.stat().st_size > (50_000_000 if SOAK else 100_000)
    files = [each for each in path.parent.iterdir() if each.stat().st_size and not each.name.endswith("-shm")]
    assert {each.name.removeprefix("cloud.sqlite3") for each in files} >= (
        {""} if left == "stopped" else {"", "-wal", "-seal"})
    reported, damages = 0, 50 if SOAK else 12
    for file in files:
        for number in range(damages):
            there = tmp_path / f"{file.name}-{number}"
            harmed = left_by_a_crash(path, there)
            target = there / file.name
            content = bytearray(target.read_bytes())
            place = random.randrange(len(content))
            if number % 5 == 0:
                del content[place:]
            else:
                content[place] ^= 1 << random.randrange(8)
            target.write_bytes(content)
            found, damage = everything(harmed)
            assert damage or found == whole, f"{file.name}, damaged at byte {place} of {len(content)}"
            reported += bool(damage)
            shutil.rmtree(there)
    print(f"{len(files) * damages} damages, {reported} reported; the others changed nothing that is read")
    assert reported > len(files) * damages // 5


@pytest.mark.parametrize("gone", ["-log0", "-log1", "-wal", "-seal"])
def test_a_file_that_is_gone_is_reported_unless_nothing_is_missing(tmp_path, gone):
    store = filled(tmp_path / "cloud.sqlite3", 300, Random(5))
    store.fold()
    for n in range(3):
        store.write([(PUT, "items", [("a", "r", "t", f"last {n}", "s", b"{}")])])
    path = left_by_a_crash(tmp_path / "cloud.sqlite3", tmp_path / "left")
    store.close()
    whole, damage = everything(left_by_a_crash(path, tmp_path / "whole"))
    assert damage == ""
    path.with_name(path.name + gone).unlink()
    found, damage = everything(path)
    assert damage or found == whole
    if gone == "-seal":
        assert found == whole and "the seal of the logs is missing" in damage
    assert everything(path) == (found, "")  # it is reported once


def test_after_damage_the_store_has_what_was_there_before_it_and_goes_on(tmp_path):
    store = Store(tmp_path / "cloud.sqlite3")
    for n in range(5):
        store.write([(PUT, "items", [("a", "r", "t", f"{n}", "s", b"{}")])])
    path = left_by_a_crash(tmp_path / "cloud.sqlite3", tmp_path / "left")
    store.close()
    log = path.with_name(path.name + "-log0")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) * 3 // 5])  # at the end of an entry, because all have the same length
    again = Store(path)
    assert [row[3] for row in again.rows("items")] == ["0", "1", "2"]
    assert "2 changes are missing" in again.damage
    aside, = path.parent.glob("cloud-damaged-*.sqlite3-log0")
    assert aside.read_bytes() == whole[: len(whole) * 3 // 5] and aside.name.removesuffix("-log0") in again.damage
    again.write([(PUT, "items", [("a", "r", "t", "new", "s", b"{}")])])
    again.close()
    found, damage = everything(path)
    assert [row[3] for row in found["items"]] == ["0", "1", "2", "new"] and damage == ""
