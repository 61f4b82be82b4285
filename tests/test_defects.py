"""Defects of gtlab itself behind an answer or in a tick: nothing that was acknowledged is lost, others go on, and
``gtlab status`` shows the error. Each test injects an exception: once, several times, or for good."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import pkgutil
import time
from collections.abc import Callable

import pytest
from support import ON_DEMAND, STRONG, Pretend, add, create, item, records, remove, replicas, table

from gtlab.localcloud.after_writes import AfterWrites
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk.keeper import Keeper, keep
from gtlab.localcloud.engine import Database
from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.engine.snapshots import Snapshot
from gtlab.localcloud.faults.runner import Runner
from gtlab.localcloud.globaltables.membership import Groups
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.globaltables.schedule import Schedule
from gtlab.localcloud.model import Call
from gtlab.localcloud.observe.internal_errors import InternalErrors
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication import Replication
from gtlab.localcloud.replication.backfill import Backfill
from gtlab.localcloud.replication.links import Links
from gtlab.localcloud.server import driver as driver_module
from gtlab.localcloud.server.driver import Driver
from gtlab.localcloud.server.garbage import Garbage
from gtlab.localcloud.tables.backups import Backups
from gtlab.localcloud.tables.slices import Slices
from gtlab.localcloud.tables.streams import Streams
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.unsettled import FailedWrites
from gtlab.localcloud.world import World

STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
DEADLINE_S = 120.0


def fail(real, times: float = 1, *, after: bool = False, first: int = 1):
    """A function that does what the real one does, but raises so many times, from the call with this number on: instead
    of its work, or after it."""
    made = itertools.count(1)

    def function(*arguments, **named):
        fails = first <= next(made) < first + times
        if fails and not after:
            raise RuntimeError("a defect")
        result = real(*arguments, **named)
        if fails:
            raise RuntimeError("a defect")
        return result
    return function


def inject(patch, owner, name: str, times: float = 1, *, after: bool = False) -> None:
    patch.setattr(owner, name, fail(getattr(owner, name), times, after=after))


@pytest.fixture
def pair():
    """A global table of two Regions under the pretend clock: the cloud, and clients of both."""
    pretend = Pretend("instant")
    ohio, virginia = pretend.client("us-east-2"), pretend.client("us-east-1")
    ohio.create_table(**ON_DEMAND, **STREAM)
    pretend.wait(60)
    add(ohio, "us-east-1")
    pretend.wait(120)
    return pretend, ohio, virginia


@pytest.fixture
def legacy_pair():
    """The same in version 2017.11.29."""
    pretend = Pretend("instant")
    ohio, virginia = pretend.client("us-east-2"), pretend.client("us-east-1")
    for client in (ohio, virginia):
        client.create_table(**ON_DEMAND, **STREAM)
    pretend.wait(60)
    ohio.create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": "us-east-2"},
                                                                       {"RegionName": "us-east-1"}])
    pretend.wait(60)
    return pretend, ohio, virginia


def key(name: str) -> dict:
    return {"Artist": {"S": name}}


def put(client, name: str, n: int = 1, **more) -> None:
    client.put_item(TableName="Music", Item=key(name) | {"n": {"N": str(n)}} | more)


def names(client) -> list[str]:
    return sorted(each["Artist"]["S"] for each in client.scan(TableName="Music")["Items"])


def changes(pretend, region: str) -> list[tuple[str, str]]:
    """The records of a table's stream: its key, and what happened."""
    streams = pretend.client(region, "dynamodbstreams")
    arn = streams.list_streams()["Streams"][0]["StreamArn"]
    return [(record["dynamodb"]["Keys"]["Artist"]["S"], record["eventName"]) for record in records(streams, arn)]


def shown(pretend) -> int:
    """How many errors ``gtlab status`` shows."""
    return pretend.cloud.summary(pretend.now)["internal_errors"]["count"]


def check_all_is_over(pretend) -> None:
    """Nothing is on its way, and the sums of what is are right."""
    links = pretend.cloud.replication.links
    assert links.waiting() == 0 and links._bytes == 0 and not any(links._coming.values())
    assert not pretend.cloud.changes.unsettled and not pretend.cloud.changes.failed


# Deliveries

@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", ["_arrived", "_no_longer", "_forget"])
@pytest.mark.parametrize("held", [False, True])
def test_a_delivery_that_cannot_be_handed_out_comes_again(pair, monkeypatch, name, times, after, held):
    """It neither is lost nor holds up the others, also if its link was closed before."""
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, Links, name, times, after=after)
        if held:
            pretend.cloud.turn("partition", ("us-east-1", "us-east-2"), None, pretend.now)
        for n in range(4):
            put(ohio, str(n))
        pretend.wait(1)
        pretend.cloud.turn_back("partition", ("us-east-1", "us-east-2"), pretend.now)
        pretend.wait(1)
        assert len(names(virginia)) == 4 - times and names(ohio) == ["0", "1", "2", "3"]
        pretend.wait(100)
    assert names(virginia) == names(ohio) and shown(pretend) == times
    assert len(changes(pretend, "us-east-1")) == 4
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
def test_a_delivery_that_was_handed_out_is_not_lost(pair, monkeypatch, after):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, AfterWrites, "deliver", after=after)
        put(ohio, "one")
        put(ohio, "two")
        pretend.wait(5)
        pretend.wait(100)
    assert names(virginia) == ["one", "two"] and shown(pretend) == 1
    assert len(changes(pretend, "us-east-1")) == 2
    check_all_is_over(pretend)


def test_a_delivery_that_can_never_be_handed_out_holds_no_call_up(pair, monkeypatch):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, Links, "_no_longer", math.inf)
        put(ohio, "one")
        for _ in range(5):
            pretend.wait(30)
            assert names(ohio) == ["one"] and names(virginia) == []
    pretend.wait(100)
    assert names(virginia) == ["one"]
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), [
    (Database, "apply"), (AfterWrites, "_store"), (Replication, "applied"), (Journal, "delivery")])
def test_a_delivery_of_which_a_step_fails_makes_one_record(pair, monkeypatch, owner, name, after):
    pretend, ohio, virginia = pair
    put(ohio, "one")
    pretend.wait(5)
    with monkeypatch.context() as patch:
        inject(patch, owner, name, 2, after=after)
        put(ohio, "one", 2)
        pretend.wait(5)
        pretend.wait(100)
    assert item(virginia, key("one"))["n"] == {"N": "2"} and shown(pretend)
    assert changes(pretend, "us-east-1") == [("one", "INSERT"), ("one", "MODIFY")]
    check_all_is_over(pretend)


def test_deliveries_that_were_dropped_are_forgotten_although_that_failed(pair, monkeypatch):
    """Otherwise a kept one would arrive in the replica that is added next."""
    pretend, ohio, _ = pair
    pretend.cloud.turn("partition", ("us-east-1", "us-east-2"), None, pretend.now)
    for n in range(3):
        put(ohio, str(n))
    pretend.wait(1)
    sent = {each.n for each in pretend.cloud.replication.links.on_their_way()}
    pretend.cloud.replication.unsaved.clear()  # as if they were on disk
    with monkeypatch.context() as patch:
        inject(patch, Links, "_forget", 2)
        remove(ohio, "us-east-1")
        for _ in range(3):
            pretend.wait(300)
    assert pretend.cloud.replication.unsaved.done == sent and shown(pretend) == 2


# Writes

@pytest.mark.parametrize("after", [False, True])
def test_a_write_that_could_not_be_queued_replicates(pair, monkeypatch, after):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, AfterWrites, "add", after=after)
        ohio.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": key(name)}} for name in "ab"]})
        pretend.wait(5)
    assert names(virginia) == names(ohio) == ["a", "b"] and shown(pretend) == 1
    assert len(changes(pretend, "us-east-2")) == 2
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["database.Database.remember", "pages.encoded", "calls._read_again"])
def test_a_transaction_that_fails_behind_its_work_is_undone_and_done_when_it_is_sent_again(pair, monkeypatch, name,
                                                                                           after):
    pretend, ohio, virginia = pair
    put(ohio, "old")
    pretend.wait(5)
    asked = {"ClientRequestToken": "token", "TransactItems": [
        {"Put": {"TableName": "Music", "Item": key("new")}}, {"Delete": {"TableName": "Music", "Key": key("old")}}]}
    with monkeypatch.context() as patch:
        path = f"gtlab.localcloud.engine.{name}"
        patch.setattr(path, fail(pkgutil.resolve_name(path), after=after))
        with pytest.raises(RuntimeError):
            ohio.transact_write_items(**asked)
        assert names(ohio) == ["old"]
        ohio.transact_write_items(**asked)  # as an SDK does after a 500
        pretend.wait(5)
    assert names(virginia) == names(ohio) == ["new"]
    assert changes(pretend, "us-east-2") == [("old", "INSERT"), ("new", "INSERT"), ("old", "REMOVE")]


@pytest.mark.parametrize("name", ["put", "delete"])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_transaction_is_undone_although_a_part_of_that_fails(pair, monkeypatch, name, first):
    pretend, ohio, virginia = pair
    for old in ("old 1", "old 2"):
        put(ohio, old)
    pretend.wait(5)
    asked = [{"Put": {"TableName": "Music", "Item": key(new)}} for new in ("new 1", "new 2")] + [
        {"Delete": {"TableName": "Music", "Key": key(old)}} for old in ("old 1", "old 2")]
    with monkeypatch.context() as patch:
        patch.setattr(Items, name, fail(getattr(Items, name), 2, after=True, first=first))
        with contextlib.suppress(RuntimeError):  # after the last one, there is no error
            ohio.transact_write_items(TransactItems=asked)
    assert names(ohio) in (["new 1", "new 2"], ["old 1", "old 2"])
    pretend.wait(5)
    assert names(virginia) == names(ohio)


def test_a_strongly_consistent_write_that_could_not_begin_locks_nothing(monkeypatch):
    pretend = Pretend("instant")
    ohio, virginia = pretend.client("us-east-2"), pretend.client("us-east-1")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    replicas(ohio, *create("us-east-1", "us-west-2"), **STRONG)
    pretend.wait(100)
    with monkeypatch.context() as patch:
        inject(patch, World, "round_trip_s")
        with pytest.raises(RuntimeError):
            put(ohio, "one")
    put(virginia, "one", 2)
    assert item(ohio, key("one"), ConsistentRead=True)["n"] == {"N": "2"}


@pytest.mark.parametrize(("owner", "name", "after"), [
    (Replication, "commit", False), (Replication, "_store", False), (Links, "send", False), (Links, "send", True)])
def test_a_write_that_replicates_in_a_second_attempt_makes_one_record(legacy_pair, monkeypatch, owner, name, after):
    """It keeps its version, so that the other Regions see one change: what was sent twice is a duplicate."""
    pretend, ohio, virginia = legacy_pair
    with monkeypatch.context() as patch:
        inject(patch, owner, name, after=after)
        put(ohio, "one")
        pretend.wait(5)
    assert item(virginia, key("one")) == item(ohio, key("one"))
    assert [event.kind for event in pretend.cloud.journal.since(0)].count("delivery") == 1
    assert changes(pretend, "us-east-1") == [("one", "INSERT")]
    assert changes(pretend, "us-east-2") == [("one", "INSERT"), ("one", "MODIFY")] and shown(pretend) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("times", "kept"), [(1, 1), (math.inf, 0)])
def test_a_failed_write_that_cannot_be_kept_stays_in_the_queue(pair, monkeypatch, times, kept, after):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, Replication, "commit", 2)
        inject(patch, FailedWrites, "add", times, after=after)
        put(ohio, "one")
        put(ohio, "two")
        assert names(ohio) == ["one", "two"]
    pretend.wait(5)
    assert not pretend.cloud.changes.unsettled and len(pretend.cloud.changes.failed) <= 1
    if kept:
        assert len(pretend.cloud.changes.failed) == 1 and names(virginia) == ["two"]
        pretend.cloud.resume(pretend.now)
        pretend.wait(5)
    assert names(virginia) == ["one", "two"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", ["report", "summary"])
def test_work_is_kept_although_its_error_cannot_be_reported(pair, monkeypatch, name, times):
    pretend, ohio, virginia = pair

    class Odd(RuntimeError):
        def __str__(self) -> str:
            raise ValueError("an error that cannot be shown")

    with monkeypatch.context() as patch:
        if name == "report":
            inject(patch, InternalErrors, "report", times)
        patch.setattr("gtlab.localcloud.after_writes._about_delivery", fail(None, times))
        left = [times]

        def apply_delivery(self, *arguments, real=AfterWrites.apply_delivery):
            if left[0]:
                left[0] -= 1
                raise Odd
            return real(self, *arguments)

        patch.setattr(AfterWrites, "apply_delivery", apply_delivery)
        put(ohio, "one")
        pretend.wait(5)
        pretend.wait(100)
    assert names(virginia) == ["one"] and shown(pretend) >= times
    check_all_is_over(pretend)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("owner", "name", "after"), [  # after its record, nothing is left in record() that could fail
    (Streams, "record", False), (AfterWrites, "_record", False), (Replication, "lost", False),
    (Replication, "lost", True), (Database, "apply", False), (Database, "apply", True)])
def test_an_item_of_the_legacy_version_that_expires_has_a_record_and_a_tombstone(legacy_pair, monkeypatch, owner, name,
                                                                                 times, after):
    pretend, ohio, _ = legacy_pair
    ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    put(ohio, "one", ttl={"N": str(int(pretend.now) + 10)})
    pretend.wait(8)
    with monkeypatch.context() as patch:
        inject(patch, owner, name, times, after=after)
        for _ in range(75):
            pretend.wait(4)
    pretend.cloud.resume(pretend.now)  # as after a restart
    pretend.wait(5)
    assert names(ohio) == [] and changes(pretend, "us-east-2")[-1] == ("one", "REMOVE") and shown(pretend)
    group, = pretend.cloud.groups
    (version, is_tombstone), = [pretend.cloud.replication.entry(group.id, "us-east-2", each)
                                for each in pretend.cloud.replication.keys_of(group.id, "us-east-2")]
    assert is_tombstone and version.region == "us-east-2"


def test_a_kept_write_makes_no_record_of_no_change_and_ends_with_its_table(tmp_path, monkeypatch):
    """What it wrote has been deleted since: it has nothing to say."""
    path, now = tmp_path / "cloud.sqlite3", [1_800_000_000.0]

    def call(operation: str, **data) -> None:
        now[0] += 60.0
        keeper.cloud.call(Call("1" * 12, "us-east-2", "dynamodb", operation, {"TableName": "Music"} | data), now[0])
        keeper.save()

    def again() -> Keeper:
        keeper.close()
        return keep(path, "instant", 1, clock=lambda: now[0])

    keeper = keep(path, "instant", 1)
    call("CreateTable", **ON_DEMAND, **STREAM)
    with monkeypatch.context() as patch:
        inject(patch, Streams, "record", 2)
        call("PutItem", Item=key("one"))
    call("DeleteItem", Key=key("one"))
    assert len(keeper.cloud.changes.failed) == 1
    keeper = again()
    stream, = keeper.cloud.streams.saved()
    assert not keeper.cloud.changes.failed
    assert sum(len(shard.records) for shard in keeper.cloud.streams.find(stream.arn).shards) == 1
    with monkeypatch.context() as patch:
        inject(patch, Streams, "record", 2)
        call("PutItem", Item=key("two"))
    call("DeleteTable")
    assert len(keeper.cloud.changes.failed) == 1
    keeper = again()
    assert not keeper.cloud.changes.failed and keeper.cloud.errors.count == 0
    keeper.close()


# Long work, and the steps of the control plane

def add_replica(pretend, ohio) -> Callable[[], Callable[[], int]]:
    """Prepares long work, and returns what begins it. That returns what counts its items when all is done."""
    def begin() -> Callable[[], int]:
        add(ohio, "us-east-1")
        return lambda: len(names(pretend.client("us-east-1")))
    return begin


def add_index(pretend, ohio) -> Callable[[], Callable[[], int]]:
    def begin() -> Callable[[], int]:
        ohio.update_table(TableName="Music", AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("Artist", "g")], GlobalSecondaryIndexUpdates=[
            {"Create": {"IndexName": "ByGenre", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"}}}])
        return lambda: ohio.scan(TableName="Music", IndexName="ByGenre", Select="COUNT")["Count"]
    return begin


def _restored(pretend, ohio, arn: str) -> int:
    ohio.restore_table_from_backup(BackupArn=arn, TargetTableName="Again")
    pretend.wait(100)
    pretend.wait(100)
    return ohio.scan(TableName="Again", Select="COUNT")["Count"]


def back_up(pretend, ohio) -> Callable[[], Callable[[], int]]:
    def begin() -> Callable[[], int]:
        arn = ohio.create_backup(TableName="Music", BackupName="all")["BackupDetails"]["BackupArn"]
        return lambda: _restored(pretend, ohio, arn)
    return begin


def restore(pretend, ohio) -> Callable[[], Callable[[], int]]:
    arn = ohio.create_backup(TableName="Music", BackupName="all")["BackupDetails"]["BackupArn"]
    for _ in range(10):
        pretend.wait(1)

    def begin() -> Callable[[], int]:
        ohio.restore_table_from_backup(BackupArn=arn, TargetTableName="Again")
        return lambda: ohio.scan(TableName="Again", Select="COUNT")["Count"]
    return begin


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", ["_writes", "_version", "_is_missing", "_copies"])
def test_a_backfill_that_fails_begins_again(monkeypatch, name, times):
    """A generator that raised an exception goes on with nothing: the rest would be left out."""
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND, **STREAM)
    pretend.wait(60)
    for n in range(120):
        put(ohio, str(n))
    with monkeypatch.context() as patch:
        inject(patch, Backfill, name, times)
        add(ohio, "us-east-1")
        for _ in range(75):
            pretend.wait(4)
    virginia = pretend.client("us-east-1")
    assert names(virginia) == names(ohio) and table(ohio)["Replicas"][0]["ReplicaStatus"] == "ACTIVE"
    assert len(changes(pretend, "us-east-1")) == 120 and shown(pretend) == times


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("first", [1, 250])
@pytest.mark.parametrize(("work", "name"), [
    (add_replica, "items._key_filed_as"), (add_replica, "items.Present.take"), (add_index, "items._key_filed_as"),
    (back_up, "snapshots.unpack"), (restore, "snapshots.unpack")])
def test_long_work_that_cannot_find_its_items_goes_on_later(monkeypatch, work, name, first, times):
    """What a slice has taken when it fails is not left out."""
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    for n in range(300):
        put(ohio, str(n), g={"S": "g"})
    begin = work(pretend, ohio)
    with monkeypatch.context() as patch:
        path = f"gtlab.localcloud.engine.{name}"
        patch.setattr(path, fail(pkgutil.resolve_name(path), times, first=first))
        count = begin()
        for _ in range(150):
            pretend.wait(4)
        errors = shown(pretend)
    assert count() == 300 and errors == (times if first < 3 or name != "items.Present.take" else 0)
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("owner", "name"), [
    (Tables, "enable_stream"), (Groups, "join"), (Groups, "backfill"), (Replication, "join"), (Journal, "member"),
    ("gtlab.localcloud.tables.replica_tables", "override")])
def test_a_replica_is_created_although_a_step_of_it_failed(monkeypatch, owner, name, times, after):
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND, **STREAM)
    pretend.wait(60)
    put(ohio, "one")
    add(ohio, "us-east-1")
    with monkeypatch.context() as patch:
        if isinstance(owner, str):
            patch.setattr(f"{owner}.{name}", fail(lambda *arguments: None, times, after=after))
        else:
            inject(patch, owner, name, times, after=after)
        for _ in range(75):
            pretend.wait(4)
    virginia = pretend.client("us-east-1")
    put(ohio, "two")
    put(virginia, "three")
    pretend.wait(5)
    assert names(virginia) == names(ohio) == ["one", "three", "two"] and shown(pretend)
    assert table(ohio)["Replicas"][0]["ReplicaStatus"] == "ACTIVE"
    group, = pretend.cloud.groups
    assert sorted(group.members) == ["us-east-1", "us-east-2"]
    check_all_is_over(pretend)


@pytest.mark.parametrize("how", [(1, False), (1, True), (2, False), (2, True)])
@pytest.mark.parametrize(("kind", "owner", "name"), [
    *((kind, *step) for kind in ("Delete", "Disassociate") for step in (
        (Groups, "leave"), (Replication, "leave"), (Links, "drop"), (Journal, "member"))),
    ("Delete", Tables, "remove"), ("Delete", Streams, "close")])
def test_a_replica_is_removed_although_a_step_of_it_failed(pair, monkeypatch, owner, name, how, kind):
    pretend, ohio, virginia = pair
    put(ohio, "one")
    pretend.wait(5)
    if kind == "Delete":
        remove(ohio, "us-east-1")
    else:
        virginia.update_table(TableName="Music", DisassociationProtectionEnabled=False)
        virginia.update_table(TableName="Music", ReplicaUpdates=[{"Disassociate": {
            "RegionName": "us-east-1", "DisassociationMode": "WAIT_FOR_REPLICATION"}}])
    with monkeypatch.context() as patch:
        inject(patch, owner, name, how[0], after=how[1])
        for _ in range(100):
            pretend.wait(4)
    assert "Replicas" not in table(ohio) and not list(pretend.cloud.groups) and shown(pretend)
    exists = kind == "Disassociate"
    assert [each.region for each in pretend.cloud.database.tables] == ["us-east-2", *(["us-east-1"] if exists else [])]
    put(ohio, "two")
    pretend.wait(5)
    assert names(ohio) == ["one", "two"] and (names(virginia) == ["one"] if exists else True)
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), [
    (Schedule, "add"), (Groups, "new"), (Replicas, "add"), (Groups, "join"),
    (Groups, "adoption"), (Slices, "begin"), (Tables, "busy")])
@pytest.mark.parametrize("kind", ["Create", "Delete"])
def test_a_replica_comes_or_goes_when_a_call_that_failed_is_sent_again(monkeypatch, owner, name, kind, after):
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND, **STREAM)
    pretend.wait(60)
    put(ohio, "one")
    call = add
    if kind == "Delete":
        add(ohio, "us-east-1")
        pretend.wait(200)
        call = remove
    with monkeypatch.context() as patch:
        inject(patch, owner, name, after=after)
        for _ in range(2):  # the second one may be refused, because the first one has begun what was asked
            with contextlib.suppress(RuntimeError, ohio.exceptions.ClientError):
                call(ohio, "us-east-1")
            pretend.wait(1)
    for _ in range(100):
        pretend.wait(4)
    if kind == "Create":
        assert table(ohio)["Replicas"][0]["ReplicaStatus"] == "ACTIVE"
        assert names(pretend.client("us-east-1")) == ["one"]
    else:
        assert "Replicas" not in table(ohio) and len(pretend.cloud.database.tables) == 1
    check_all_is_over(pretend)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), [
    (Groups, "leave"), (Tables, "remove"), (Streams, "close"), (Schedule, "add"), (Journal, "member")])
def test_a_table_that_could_not_be_deleted_is_deleted_when_it_is_asked_again(pair, monkeypatch, owner, name, after):
    """Nothing is sent to it for ever."""
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, owner, name, after=after)
        with pytest.raises(RuntimeError):
            virginia.delete_table(TableName="Music")
    with contextlib.suppress(virginia.exceptions.ResourceNotFoundException, virginia.exceptions.ResourceInUseException):
        virginia.delete_table(TableName="Music")
    put(ohio, "one")
    for _ in range(75):
        pretend.wait(4)
    assert [each.region for each in pretend.cloud.database.tables] == ["us-east-2"]
    assert "Replicas" not in table(ohio) and names(ohio) == ["one"]
    check_all_is_over(pretend)


def test_a_table_whose_backup_always_fails_is_not_deleted_and_status_says_why(monkeypatch):
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    put(ohio, "one")
    with monkeypatch.context() as patch:
        inject(patch, Snapshot, "_fill", math.inf)
        ohio.create_backup(TableName="Music", BackupName="all")
        for _ in range(10):
            pretend.wait(30)
            with pytest.raises(ohio.exceptions.ResourceInUseException, match="Table is being backed up"):
                ohio.delete_table(TableName="Music")
        assert "copying" in pretend.cloud.summary(pretend.now)["internal_errors"]["newest"][-1]["what"]
    pretend.wait(100)
    pretend.wait(1)
    ohio.delete_table(TableName="Music")
    assert not pretend.cloud.database.tables


def test_a_knob_is_saved_although_the_journal_fails(pair, monkeypatch):
    pretend, _, _ = pair
    pretend.cloud.unsaved.clear()
    with monkeypatch.context() as patch:
        inject(patch, Journal, "world")
        with pytest.raises(RuntimeError):
            pretend.cloud.turn("lag", (), 5.0, pretend.now)
    assert pretend.cloud.world.turned() and pretend.cloud.unsaved.settings


@pytest.mark.parametrize("name", ["_step", "_end_action"])
def test_a_pause_ends_although_its_experiment_cannot_go_on(pair, monkeypatch, name):
    pretend, ohio, virginia = pair
    fis = pretend.client("us-east-1", "fis")
    made = fis.create_experiment_template(
        clientToken="token", description="Cut Virginia off", roleArn="arn:aws:iam::111111111111:role/fis",
        stopConditions=[{"source": "none"}],
        targets={"All": {"resourceType": "aws:dynamodb:global-table", "selectionMode": "ALL", "resourceArns": [
            "arn:aws:dynamodb:us-east-1:111111111111:table/Music"]}},
        actions={"pause": {"actionId": "aws:dynamodb:global-table-pause-replication",
                           "parameters": {"duration": "PT1M"}, "targets": {"Tables": "All"}}})
    begun = fis.start_experiment(clientToken="again", experimentTemplateId=made["experimentTemplate"]["id"])
    pretend.wait(10)
    put(ohio, "one")
    pretend.wait(10)
    assert names(virginia) == []
    with monkeypatch.context() as patch:
        inject(patch, Runner, name, math.inf)
        pretend.wait(60)
        pretend.wait(5)
    assert names(virginia) == ["one"] and shown(pretend) == 2
    assert fis.get_experiment(id=begun["experiment"]["id"])["experiment"]["state"]["status"] == "failed"


@pytest.mark.parametrize("name", ["trim", "forget_tokens", "forget_tombstones"])
def test_housekeeping_goes_on_behind_a_part_of_it_that_always_fails(monkeypatch, name):
    owner = {"trim": Streams, "forget_tokens": Database, "forget_tombstones": Replication}[name]
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    put(ohio, "one", ttl={"N": str(int(pretend.now) + 10)})
    with monkeypatch.context() as patch:
        inject(patch, owner, name, math.inf)
        for _ in range(75):
            pretend.wait(4)
        assert names(ohio) == [] and shown(pretend)


@pytest.mark.parametrize(("owner", "name"), [(Links, "due"), (Runner, "next_due"), (Cloud, "_next_event")])
def test_calls_are_answered_although_what_is_due_always_fails(pair, monkeypatch, owner, name):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        inject(patch, owner, name, math.inf)
        put(ohio, "one")
        assert names(ohio) == ["one"] and shown(pretend)
    pretend.wait(5)
    assert names(virginia) == ["one"]
    check_all_is_over(pretend)


@pytest.mark.parametrize("times", [1, math.inf])
@pytest.mark.parametrize(("owner", "name"), [(Backups, "resume"), (AfterWrites, "mark_all")])
def test_the_state_is_taken_up_although_going_on_with_it_fails(tmp_path, monkeypatch, owner, name, times):
    """It is not taken for damaged, and set aside."""
    path, now = tmp_path / "cloud.sqlite3", 1_800_000_000.0
    keeper = keep(path, "instant", 1)
    for number, (operation, data) in enumerate([("CreateTable", ON_DEMAND), ("PutItem", {"Item": key("one")})]):
        keeper.cloud.call(Call("1" * 12, "us-east-2", "dynamodb", operation, {"TableName": "Music"} | data),
                          now + 60 * number)
    keeper.close()
    inject(monkeypatch, owner, name, times)
    keeper = keep(path, "instant", 1, clock=lambda: now + 120)
    found, = keeper.cloud.database.tables
    assert keeper.note == "" and len(list(keeper.cloud.database.items(found))) == 1
    assert keeper.cloud.errors.count == min(times, 2)
    keeper.close()


# The driver's timers

@pytest.mark.slow  # they wait for the computer's clock
@pytest.mark.parametrize(("owner", "name"), [
    (Cloud, "tick"), (Cloud, "next_due"), (Driver, "_adapt"), (Driver, "_wake"), (Driver, "_sweep"), (Driver, "_work"),
    (Keeper, "save"), (Garbage, "sweep")])
def test_the_timers_go_on_after_an_error(monkeypatch, owner, name):
    """A delivery arrives, although nobody calls again."""
    monkeypatch.setattr(driver_module, "AGAIN_S", 0.05)
    keeper = keep(None, "instant", 1)
    cloud = keeper.cloud

    def call(operation: str, now: float, **data) -> None:
        cloud.call(Call("1" * 12, "us-east-2", "dynamodb", operation, data), now)

    began = time.time() - 500.0
    call("CreateTable", began, **ON_DEMAND, **STREAM)
    call("UpdateTable", began + 60, TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": "us-east-1"}}])
    cloud.tick(began + 200)
    cloud.turn("lag", (), 0.3, time.time())

    async def run() -> None:
        driver = Driver(keeper, None)
        answer = driver.carry_out(Call("1" * 12, "us-east-2", "dynamodb", "PutItem",
                                       {"TableName": "Music", "Item": key("one")}))
        assert answer == b"{}"
        inject(monkeypatch, owner, name, 3)
        async with asyncio.timeout(DEADLINE_S):
            while cloud.errors.count < 3 or not cloud.replication.links.is_idle() or cloud.changes.unsettled:
                await asyncio.sleep(0.01)
        driver.close()

    asyncio.run(run())
    assert [len(list(cloud.database.items(each))) for each in cloud.database.tables] == [1, 1]
