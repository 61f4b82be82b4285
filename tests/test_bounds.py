"""Memory and disk are bounded in bytes: streams, the journal, deliveries, kept writes, tokens and logs. And many tables
and replicas are as good as few."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc

import msgspec
import pytest
from support import IRELAND, KEY, OHIO, ON_DEMAND, SOAK, VIRGINIA, Pretend, add, create, entries, replicas

from gtlab import regions
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.rows import PUT
from gtlab.localcloud.disk.store import MOST_LOGGED, Store
from gtlab.localcloud.engine.database import Database, Remembered, TokenId
from gtlab.localcloud.model import Call, Change, Key, Refusal, TableId
from gtlab.localcloud.observe.journal import MOST_KEY_BYTES, Journal
from gtlab.localcloud.replication import Replication
from gtlab.localcloud.replication.links import MOST_BYTES as MOST_ON_THEIR_WAY
from gtlab.localcloud.server.log_file import MOST_BYTES as MOST_LOG_BYTES
from gtlab.localcloud.tables.streams import MOST_BYTES, MOST_RECORDS, Streams
from gtlab.localcloud.unsettled import MOST_FAILED, MOST_FAILED_BYTES, FailedWrites, Unsettled

MB = 1 << 20
LARGE = 390_000  # bytes of an item
NOW = 1_800_000_000.0
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
TABLE = TableId("1" * 12, OHIO, "Music")


def large(number: int) -> dict:
    return KEY | {"v": {"S": f"{number:06d}" + "x" * LARGE}}


@pytest.fixture
def trio(pretend):
    """A replica in each of three Regions, with streams."""
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND, StreamSpecification=STREAM)
    pretend.wait(60)
    for region in (VIRGINIA, IRELAND):
        replicas(client, *create(region))
        pretend.wait(2000)
    return client


# One large item, written many times in three Regions

class Kept:
    """A cloud whose state is on disk, called as the server calls it."""

    def __init__(self, path):
        self.now = NOW
        self.keeper = keep(path, "instant", 1, clock=lambda: self.now)
        self.cloud = self.keeper.cloud
        self.call("CreateTable", **ON_DEMAND, StreamSpecification=STREAM)
        for region in (VIRGINIA, IRELAND):
            self.call("UpdateTable", TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": region}}])
            self.now += 2000

    def call(self, operation: str, **data) -> dict:
        self.now += 0.01
        body = self.cloud.answer(Call(TABLE.account, OHIO, "dynamodb", operation, data), self.now)
        self.keeper.save()
        self.cloud.tick(self.now + 0.005)
        self.keeper.save()
        return json.loads(body)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [False, True])
def test_a_large_item_that_is_written_many_times_takes_bounded_memory_and_disk(tmp_path, cut):
    """It took 1.2 GB of memory and 800 MB of disk."""
    kept = Kept(tmp_path / "cloud.sqlite3")
    if cut:
        kept.cloud.turn("isolate", (OHIO,), None, kept.now)
    tracemalloc.start()
    try:
        for number in range(150):
            kept.call("PutItem", TableName="Music", Item=large(number))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    files = sum(path.stat().st_size for path in tmp_path.iterdir())
    kept.keeper.close()
    assert peak < (MOST_BYTES if cut else MOST_BYTES // 2) + 4 * MOST_LOGGED
    assert files < 2 * MOST_BYTES + 4 * MOST_LOGGED


def test_all_regions_share_the_images_of_a_large_item(pretend, trio):
    for number in range(3):
        trio.put_item(TableName="Music", Item=large(number))
        pretend.wait(60)
    records = [record for stream in pretend.cloud.streams.saved() for shard in pretend.cloud.streams.find(
        stream.arn).shards for record in shard.records]
    assert len(records) == 9
    images = [image for *_, large in records for image in large.values()]
    assert len(images) == 15 and len({id(json) for json, _ in images}) == 3


# Streams

@pytest.fixture
def streams():
    made = Streams()
    made.stream = made.enable(TABLE, "NEW_AND_OLD_IMAGES", ON_DEMAND["KeySchema"], 1, NOW)
    return made


def records(streams, at: float = NOW, **asked) -> list[dict]:
    """All records, page by page."""
    where = {"StreamArn": streams.stream.arn, "ShardId": streams.stream.shards[0].id}
    iterator, found = streams.get_shard_iterator(*TABLE[:2], where | {"ShardIteratorType": "TRIM_HORIZON"}, at), []
    while True:
        page = streams.get_records(*TABLE[:2], {"ShardIterator": iterator["ShardIterator"], **asked}, at)
        if not page["Records"]:
            return found
        found.append(page["Records"])
        iterator = {"ShardIterator": page["NextShardIterator"]}


def test_streams_keep_their_newest_records_up_to_a_number_of_bytes(streams):
    count = 5 * MOST_BYTES // 4 // LARGE
    for number in range(count):
        streams.record(streams.stream.arn, KEY, None, large(number), NOW + number)
        assert streams.bytes <= MOST_BYTES
    kept = [record["dynamodb"]["NewImage"] for page in records(streams, NOW + count) for record in page]
    assert kept == [large(number) for number in range(count - len(kept), count)]
    assert len(kept) * LARGE > MOST_BYTES * 7 // 8
    streams.close(streams.stream.arn, NOW)
    assert streams.trim(NOW + 2 * 86400) and streams.bytes == 0


def test_the_oldest_records_of_all_streams_go_first(streams):
    other = streams.enable(TABLE._replace(region=VIRGINIA), "NEW_IMAGE", ON_DEMAND["KeySchema"], 1, NOW)
    streams.record(other.arn, KEY, None, large(0), NOW)
    for number in range(MOST_BYTES // LARGE):
        streams.record(streams.stream.arn, KEY, None, large(number), NOW)
    assert not other.shards[0].records and (other.arn, other.shards[0].id) in streams.unsaved.trimmed


def test_a_shard_keeps_a_number_of_small_records(streams):
    for number in range(MOST_RECORDS + 5):
        streams.record(streams.stream.arn, KEY, None, KEY | {"n": {"N": str(number)}}, NOW)
    kept = [record["dynamodb"]["NewImage"]["n"]["N"] for page in records(streams) for record in page]
    assert kept == [str(number) for number in range(5, MOST_RECORDS + 5)]


def test_a_page_of_records_has_at_most_a_megabyte_and_a_thousand_records(streams):
    for number in range(1500):
        value = "x" * (300 if number < 1200 else 90_000)
        streams.record(streams.stream.arn, KEY, None, KEY | {"v": {"S": value}}, NOW)
    pages = records(streams)
    assert len(pages[0]) == 1000
    assert all(sum(record["dynamodb"]["SizeBytes"] for record in page) <= MB for page in pages)
    assert sum(map(len, pages)) == 1500 and len(pages) < 40
    with pytest.raises(Refusal, match="Value '1001' at 'limit' failed to satisfy constraint: Member must have value "
                                      "less than or equal to 1000"):
        records(streams, Limit=1001)


def test_a_record_that_is_larger_than_a_page_is_a_page(streams):
    for number in range(3):
        old, new = {"a": {"S": "x" * LARGE}, **KEY}, {"b": {"S": "y" * LARGE}, "c": {"S": "z" * LARGE}, **KEY}
        streams.record(streams.stream.arn, KEY, old, new, NOW + number)
    assert [len(page) for page in records(streams, NOW + 3)] == [1, 1, 1]


def test_images_are_shared_after_a_restart(streams):
    for number in range(3):
        streams.record(streams.stream.arn, KEY, large(number), large(number + 1), NOW)
    small = KEY | {"n": {"N": "1"}}
    streams.record(streams.stream.arn, KEY, large(3), small, NOW)
    before, rows = records(streams), streams.unsaved.rows()
    again = Streams()
    again.restore(streams.saved(), streams.sequence, rows)
    again.stream = streams.stream
    assert records(again) == before and again.bytes == streams.bytes
    shard, = again.find(streams.stream.arn).shards
    images = [image for *_, large in shard.records for image in (large or {}).values()]
    assert len(images) == 7 and len({id(image) for image in images}) == 4


# The server's log

def test_the_servers_log_keeps_its_newest_lines(tmp_path):
    code = ("import logging, sys; from pathlib import Path; from gtlab.localcloud.server.log_file import LogFile; "
            "logging.basicConfig(handlers=[LogFile(Path(sys.argv[1]))]); "
            "[logging.warning('line %d %s', number, 'x' * 10_000) for number in range(700)]")
    path, other = tmp_path / "cloud.log", tmp_path / "other"
    for file, bounded in ((path, True), (other, False)):
        with file.open("ab") as log:
            subprocess.run([sys.executable, "-c", code, str(path)], stderr=log, check=True, timeout=60)
        lines = file.read_text().splitlines()
        assert "line 699 " in lines[-1]
        assert (file.stat().st_size <= MOST_LOG_BYTES + MB) == bounded
    kept = [int(line.split()[1]) for line in path.read_text().splitlines()[1:]]
    assert kept == list(range(kept[0], 700)) and len(kept) > 150


# Other queues

def test_of_many_deliveries_of_an_item_the_newest_waits():
    core = Replication(lambda source, target: 1.0, lambda delivery, now: is_open, lambda item: MB // 2)
    is_open = False
    for region in (OHIO, VIRGINIA, IRELAND):
        core.join("g", region)
    keys = [Key(str(number), "") for number in range(20)]
    for number in range(1000):
        core.commit("g", OHIO, keys[number % 20], {"n": number}, NOW + number)
        assert list(core.links.due(NOW + number)) == []
        assert core.links.waiting() <= MOST_ON_THEIR_WAY // (MB // 2) + 1
    assert list(core.links.due(NOW + 2000)) == []
    is_open = True
    arrived = list(core.links.due(NOW + 5000))
    assert core.links.is_idle() and not core.links.is_behind("g", VIRGINIA)
    for region in (VIRGINIA, IRELAND):
        of_region = [delivery for delivery in arrived if delivery.target == region]
        assert {delivery.key: delivery.item["n"] for delivery in of_region} == {
            key: 980 + number for number, key in enumerate(keys)}
        assert [delivery.n for delivery in of_region] == sorted(delivery.n for delivery in of_region)


def test_what_was_merged_is_gone_from_disk(pretend, trio):
    pretend.cloud.turn("isolate", (OHIO,), None, pretend.now)
    pretend.cloud.replication.unsaved.clear()
    for number in range(2 * MOST_ON_THEIR_WAY // LARGE):
        # Without boto3, which would take the time for JSON that nobody looks at.
        pretend.cloud.call(Call(TABLE.account, OHIO, "dynamodb", "PutItem",
                                {"TableName": "Music", "Item": large(number)}), pretend.now)
    waiting = {delivery.n for delivery in pretend.cloud.replication.links.on_their_way()}
    assert pretend.cloud.replication.unsaved.sent.keys() == waiting
    pretend.cloud.turn_back("isolate", (OHIO,), pretend.now)
    pretend.wait(60)
    for region in (VIRGINIA, IRELAND):
        found = pretend.client(region).get_item(TableName="Music", Key=KEY)["Item"]
        assert found == large(number)


def test_the_journal_is_bounded_by_the_length_of_its_keys():
    journal = Journal()
    for number in range(6000):
        key = {"Artist": {"S": f"{number:06d}" + "x" * 2000}}
        journal.write(TABLE, key, deleted=False, by="customer", version=None, at=NOW)
    kept = journal.since(0)
    assert sum(len(event.key["Artist"]["S"]) for event in kept) <= MOST_KEY_BYTES
    assert len(kept) > 4000 and kept[-1].n == 6000


def test_writes_that_failed_are_bounded_in_bytes():
    failed = FailedWrites()
    while not failed.is_full:
        failed.add(Unsettled(Change(TABLE, Key("a", ""), large(0), large(1)), NOW))
    assert MOST_FAILED_BYTES <= len(failed) * 2 * LARGE < MOST_FAILED_BYTES + 3 * LARGE and len(failed) < MOST_FAILED
    restored = FailedWrites()
    restored.restore(failed.writes.items())
    assert restored.is_full
    restored.take()
    assert not restored.is_full


def test_remembered_transactions_are_bounded_in_bytes():
    database = Database()
    for number in range(40):
        database.remember(TokenId(*TABLE[:2], str(number)), Remembered({"v": "x" * 4 * MB}, {}, NOW))
    forgotten = database.forget_tokens(NOW)
    assert [each.token for each in forgotten] == [str(number) for number in range(40 - 15)]
    assert database.token(TokenId(*TABLE[:2], "39"), NOW)


def test_the_logs_are_bounded_although_nobody_folds_them(tmp_path):
    store = Store(tmp_path / "cloud.sqlite3")
    body = b"x" * MB
    for number in range(100):  # megabytes: three times as many as the logs may hold
        store.write([(PUT, "documents", [(f"document {number % 10}", body)])])
        assert all(path.stat().st_size <= MOST_LOGGED + 2 * MB for path in tmp_path.iterdir()
                   if "-log" in path.name)
    store.close()
    again = Store(tmp_path / "cloud.sqlite3")
    assert len(list(again.rows("documents"))) == 10 and again.damage == ""
    again.close()


# Many tables, many replicas

def test_a_table_has_a_replica_in_every_region():
    pretend = Pretend("instant")
    ohio = pretend.client(OHIO)
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    ohio.put_item(TableName="Music", Item={"Artist": {"S": "before"}})
    for region in regions.REGIONS.keys() - {OHIO}:
        add(ohio, region)
        pretend.wait(120)
    assert set(entries(ohio).values()) == {"ACTIVE"} and len(entries(ohio)) == len(regions.REGIONS) - 1 == 32
    ohio.put_item(TableName="Music", Item={"Artist": {"S": "after"}})
    pretend.wait(30)
    everywhere = pretend.cloud.database
    assert {everywhere.table(TableId("1" * 12, region, "Music")).items.rows.count for region in regions.REGIONS} == {2}
    assert pretend.cloud.replication.links.is_idle()


@pytest.mark.soak
def test_hundreds_of_tables_are_listed_kept_and_deleted(tmp_path):
    keeper, now, many = keep(tmp_path / "cloud.sqlite3", "instant"), 1.8e9, 500 if SOAK else 120
    names = [f"table{number:03}" for number in range(many)]

    def call(operation: str, **data) -> dict:
        answer = keeper.cloud.call(Call("1" * 12, OHIO, "dynamodb", operation, data), now)
        keeper.save()
        return msgspec.json.decode(answer)

    for name in names:
        call("CreateTable", **ON_DEMAND | {"TableName": name})
    now += 60
    keeper.cloud.tick(now)
    for name in names:
        call("PutItem", TableName=name, Item={"Artist": {"S": name}})
    page = call("ListTables")
    assert page["TableNames"] == names[:100] and page["LastEvaluatedTableName"] == names[99]
    assert len(keeper.cloud.summary(now)["tables"]) == many
    keeper.close()
    keeper = keep(tmp_path / "cloud.sqlite3")
    assert [call("Scan", TableName=name)["Items"] for name in names] == [[{"Artist": {"S": name}}] for name in names]
    for name in names:
        call("DeleteTable", TableName=name)
    now += 60
    keeper.cloud.tick(now)
    assert call("ListTables")["TableNames"] == []
    keeper.close()
