"""The local cloud as an ASGI application: called without a socket, as any ASGI server would; and what a defect of its
own leads to."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import pkgutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ON_DEMAND, Pretend, add, asked, item, table

from gtlab.cli.cloud import internal_errors_in_words
from gtlab.contract import CONTROL_PREFIX
from gtlab.localcloud.after_writes import AfterWrites
from gtlab.localcloud.disk import format
from gtlab.localcloud.disk.keeper import Keeper, keep
from gtlab.localcloud.engine import ahead
from gtlab.localcloud.engine.items import IndexedItems, Items
from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.replication import Replication
from gtlab.localcloud.replication.links import Links
from gtlab.localcloud.server import requests
from gtlab.localcloud.server.access import Guard
from gtlab.localcloud.server.app import App
from gtlab.localcloud.server.control import Process
from gtlab.localcloud.server.driver import Driver
from gtlab.localcloud.tables import backups as backups_module
from gtlab.localcloud.tables.indexes import Indexes

SIGNED = "AWS4-HMAC-SHA256 Credential=gtlab/20260101/{region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
KEY = {"Artist": {"S": "item_1"}}


class Client:
    """Calls an application with nothing but what ASGI demands of a server."""

    def __init__(self, keeper: Keeper):
        self.keeper, self.stopped = keeper, False
        self.app = App(keeper, Process("instance", {}, self._stop), Guard())

    def _stop(self) -> None:
        self.stopped = True

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, dict]:
        status, answer = asyncio.run(asked(self.app, method, path, headers, body))
        return status, json.loads(answer)

    def dynamodb(self, operation: str, data: dict, region: str = "us-east-2") -> tuple[int, dict]:
        return self.ask("POST", "/", {"authorization": SIGNED.format(region=region), "content-type":
                                      "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"},
                        json.dumps(data).encode())

    def control(self, what: str, method: str = "GET", body: dict | None = None) -> tuple[int, dict]:
        return self.ask(method, f"{CONTROL_PREFIX}/{what}", {"content-type": "application/json"},
                        b"" if body is None else json.dumps(body).encode())


@pytest.fixture
def client() -> Client:
    made = Client(keep(None, "instant", seed=1))
    assert made.dynamodb("CreateTable", ON_DEMAND)[0] == 200
    return made


def test_any_asgi_server_can_run_it(client):
    assert client.dynamodb("PutItem", {"TableName": "Music", "Item": KEY}) == (200, {})
    assert client.dynamodb("GetItem", {"TableName": "Music", "Key": KEY}) == (200, {"Item": KEY})
    status, told = client.control("status")
    assert status == 200 and told["instance"] == "instance" and [each["name"] for each in told["tables"]] == ["Music"]
    assert client.control("stop", "POST") == (200, {"stopping": True}) and client.stopped
    assert client.control("nothing")[0] == 404


@pytest.mark.parametrize("how", ["error", "refused"])
def test_a_region_that_is_down_answers_503_where_connections_cannot_be_refused(client, how):
    assert client.control("world/outage/us-east-2", "PUT", {"value": how})[0] == 200
    status, told = client.dynamodb("GetItem", {"TableName": "Music", "Key": KEY})
    assert status == 503 and "outage of us-east-2" in told["message"]
    assert client.control("world", "DELETE")[0] == 200
    assert client.dynamodb("GetItem", {"TableName": "Music", "Key": KEY})[0] == 200


def test_it_follows_asgis_lifespan(tmp_path):
    keeper, sent = keep(tmp_path / "cloud.sqlite3", "instant"), []

    async def run() -> None:
        incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict:
            return next(incoming)

        async def send(message: dict) -> None:
            sent.append(message["type"])

        await App(keeper, Process("instance", {}, lambda: None), Guard())({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.sqlite3"]  # closed: its logs are folded and gone


# Defects of our own

def fail(times: float, real=None):
    """A function that raises the first so many times, and does what the real one does from then on."""
    left = [times]

    def function(*arguments, **named):
        if left[0] > 0:
            left[0] -= 1
            raise RuntimeError("a defect")
        return real(*arguments, **named)
    return function


def test_a_defect_in_a_call_is_an_internal_server_error_and_leaves_no_half_write(client, monkeypatch):
    batch = {"RequestItems": {"Music": [{"PutRequest": {"Item": {"Artist": {"S": name}}}} for name in "ab"]}}
    with monkeypatch.context() as patch:
        patch.setattr("gtlab.localcloud.engine.writes.Change", fail(1))
        status, told = client.dynamodb("BatchWriteItem", batch)
    assert status == 500 and told["__type"].endswith("#InternalServerError")
    assert client.dynamodb("Scan", {"TableName": "Music"})[1]["Count"] == 0
    errors = client.control("status")[1]["internal_errors"]
    assert errors["count"] == 1 and errors["newest"][0]["what"] == "BatchWriteItem"
    assert client.dynamodb("BatchWriteItem", batch)[0] == 200  # as an SDK sends it again
    assert client.dynamodb("Scan", {"TableName": "Music"})[1]["Count"] == 2


def test_gtlab_status_says_so_in_a_sentence(client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(AfterWrites, "_record", fail(2))
        client.dynamodb("PutItem", {"TableName": "Music", "Item": KEY})
        errors = client.control("status")[1]["internal_errors"]
    said = internal_errors_in_words(errors, Path("cloud.log"))
    assert "Internal errors of gtlab: 2." in said and "item_1" in said and "retried at the next start: 1" in said


def test_a_defect_in_the_control_api_is_told_in_json_and_counted(client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("gtlab.localcloud.cloud.Cloud.turn", fail(1))
        status, told = client.control("world/outage/us-east-2", "PUT", {"value": "error"})
    assert status == 500 and "internal error" in told["message"]
    assert client.control("status")[1]["internal_errors"]["count"] == 1


def test_a_defect_in_saving_answers_500_and_the_write_is_saved_with_the_next(tmp_path, monkeypatch):
    path = tmp_path / "cloud.sqlite3"
    client = Client(keep(path, "instant"))
    client.dynamodb("CreateTable", ON_DEMAND)
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "_items", fail(1, Keeper._items))
        assert client.dynamodb("PutItem", {"TableName": "Music", "Item": KEY})[0] == 500
    assert client.control("status")[1]["internal_errors"]["count"] == 1
    client.keeper.close()
    again = Client(keep(path))
    assert again.dynamodb("GetItem", {"TableName": "Music", "Key": KEY})[1] == {"Item": KEY}
    again.keeper.close()


def test_nothing_is_done_after_the_end(tmp_path, caplog, monkeypatch):
    """What an answer leaves to do, and what is due, is not carried out once the state is closed."""
    keeper = keep(tmp_path / "cloud.sqlite3", "instant")

    async def run() -> None:
        driver = Driver(keeper, None)
        list_tables = Call("1" * 12, "us-east-2", "dynamodb", "ListTables", {})
        assert driver.carry_out(list_tables) == b'{"TableNames": []}'
        driver.close()
        keeper.cloud.turn("lag", (), 5.0, time.time())  # a change that would be saved
        monkeypatch.setattr(keeper.cloud, "next_due", lambda: 0.0)
        await asyncio.sleep(0)
        driver.turned()
        await asyncio.sleep(0)
        refused = driver.carry_out(list_tables)
        assert isinstance(refused, Refusal) and refused.status == 503

    asyncio.run(run())
    assert caplog.records == []


@pytest.fixture
def pair():
    """A global table of two Regions under the pretend clock: the cloud, and clients of both."""
    pretend = Pretend("instant")
    ohio, virginia = pretend.client("us-east-2"), pretend.client("us-east-1")
    ohio.create_table(**ON_DEMAND, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    pretend.wait(60)
    ohio.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": "us-east-1"}}])
    pretend.wait(120)
    return pretend, ohio, virginia


def there(client, name: str) -> bool:
    return "Item" in client.get_item(TableName="Music", Key={"Artist": {"S": name}})


def put(client, name: str) -> None:
    client.put_item(TableName="Music", Item={"Artist": {"S": name}})


def records(pretend) -> int:
    streams = pretend.client("us-east-2", "dynamodbstreams")
    arn = streams.list_streams()["Streams"][0]["StreamArn"]
    found = 0
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"],
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        found += len(streams.get_records(ShardIterator=iterator)["Records"])
    return found


@pytest.mark.parametrize(("owner", "name"), [(AfterWrites, "_record"), (Replication, "commit"), (Links, "send")])
def test_an_acknowledged_write_replicates_although_a_step_failed_once(pair, monkeypatch, owner, name):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail(1, getattr(owner, name)))
        put(ohio, "one")
    pretend.wait(5)
    assert there(virginia, "one") and records(pretend) == 1
    assert pretend.cloud.errors.count == 1 and not pretend.cloud.changes.failed


def test_a_write_that_fails_for_good_is_kept_and_reported_and_the_others_go_on(pair, monkeypatch, caplog):
    pretend, ohio, virginia = pair
    commit = Replication.commit

    def never_one(self, group, region, key, item, now):
        if key.partition == "one":
            raise RuntimeError("a defect")
        return commit(self, group, region, key, item, now)

    with monkeypatch.context() as patch:
        patch.setattr(Replication, "commit", never_one)
        put(ohio, "one")
        put(ohio, "two")
        pretend.wait(5)
    assert not there(virginia, "one") and there(virginia, "two") and records(pretend) == 2
    shown = pretend.cloud.summary(pretend.now)["internal_errors"]
    assert shown["count"] == 2 and shown["kept"] == 1 and "one" in shown["newest"][-1]["what"]
    assert "a defect" in caplog.text
    pretend.cloud.resume(pretend.now)  # as a restart does, with the defect mended
    pretend.wait(5)
    assert there(virginia, "one") and records(pretend) == 2 and not pretend.cloud.changes.failed


def test_a_write_that_failed_is_kept_over_a_restart(tmp_path, monkeypatch):
    path = tmp_path / "cloud.sqlite3"
    client = Client(keep(path, "instant"))
    client.dynamodb("CreateTable", ON_DEMAND)
    with monkeypatch.context() as patch:
        patch.setattr(AfterWrites, "_record", fail(2))
        assert client.dynamodb("PutItem", {"TableName": "Music", "Item": KEY})[0] == 200
        assert client.control("status")[1]["internal_errors"]["kept"] == 1
    client.keeper.close()
    again = Client(keep(path))
    (event,) = again.keeper.cloud.journal.since(0)
    assert event.kind == "write" and again.control("status")[1]["internal_errors"]["kept"] == 0
    again.keeper.close()


def test_failed_writes_are_written_to_disk_once_and_when_there_are_many_no_write_begins(tmp_path, monkeypatch):
    """Nothing acknowledged is lost, memory and disk are bounded, and a restart carries out what failed."""
    path = tmp_path / "cloud.sqlite3"
    client, wrote = Client(keep(path, "instant")), []
    client.dynamodb("CreateTable", ON_DEMAND)
    with monkeypatch.context() as patch:
        patch.setattr("gtlab.localcloud.unsettled.MOST_FAILED", 3)
        patch.setattr(AfterWrites, "_record", fail(math.inf))
        patch.setattr("gtlab.localcloud.disk.format.failed_row", lambda n, write, real=format.failed_row:
                      wrote.append(n) or real(n, write))
        answers = [client.dynamodb("PutItem", {"TableName": "Music", "Item": {"Artist": {"S": str(n)}}})
                   for n in range(5)]
        assert [status for status, _ in answers] == [200, 200, 200, 500, 500]
        assert "InternalServerError" in answers[3][1]["__type"] and "gtlab status" in answers[3][1]["message"]
        assert client.dynamodb("Scan", {"TableName": "Music"})[1]["Count"] == 3  # a refused write changed nothing
        assert client.dynamodb("ExecuteStatement", {"Statement": 'SELECT * FROM "Music"'})[0] == 200
        errors = client.control("status")[1]["internal_errors"]
        assert errors["kept"] == 3 and errors["refuses_writes"]
        assert "new writes are refused" in internal_errors_in_words(errors, Path("cloud.log"))
        client.keeper.close()
        assert wrote == [1, 2, 3]
        again = Client(keep(path))  # the defect is still there: they fail again, and are still kept
        assert again.control("status")[1]["internal_errors"]["kept"] == 3
        again.keeper.close()
    mended = Client(keep(path))
    assert [event.key["Artist"]["S"] for event in mended.keeper.cloud.journal.since(0)] == ["0", "1", "2"]
    assert mended.dynamodb("PutItem", {"TableName": "Music", "Item": KEY})[0] == 200
    mended.keeper.close()
    assert keep(path).cloud.changes.failed.writes == {}


def test_a_write_that_is_replicated_late_does_not_undo_what_was_written_since(pair, monkeypatch):
    pretend, ohio, virginia = pair
    one = {"Artist": {"S": "one"}}
    with monkeypatch.context() as patch:
        patch.setattr(Replication, "commit", fail(2, Replication.commit))
        ohio.put_item(TableName="Music", Item=one | {"n": {"N": "1"}})
        pretend.wait(5)
    virginia.put_item(TableName="Music", Item=one | {"n": {"N": "2"}})
    pretend.wait(5)
    assert len(pretend.cloud.changes.failed) == 1
    pretend.cloud.resume(pretend.now)
    pretend.wait(5)
    assert item(ohio, one)["n"] == item(virginia, one)["n"] == {"N": "2"}


def test_a_delivery_of_which_it_is_not_known_whether_it_can_arrive_waits(pair, monkeypatch):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        patch.setattr(type(pretend.cloud.world), "reachable", fail(2, type(pretend.cloud.world).reachable))
        put(ohio, "one")
        put(ohio, "two")
        pretend.wait(5)
    pretend.wait(60)
    pretend.wait(60)
    assert there(virginia, "one") and there(virginia, "two") and pretend.cloud.errors.count == 2


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_delivery_that_fails_arrives_all_the_same(pair, monkeypatch, times):
    pretend, ohio, virginia = pair
    with monkeypatch.context() as patch:
        patch.setattr(AfterWrites, "_store", fail(times, AfterWrites._store))
        put(ohio, "one")
        pretend.wait(5)
        assert there(virginia, "one") == (times == 1)  # one that failed twice is put back for a minute
        pretend.wait(150)
    assert there(virginia, "one") and pretend.cloud.errors.count == times
    assert pretend.cloud.replication.links.waiting() == 0


def test_an_event_of_a_global_table_that_fails_happens_later(pair, monkeypatch):
    pretend, ohio, _ = pair
    ohio.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": "us-west-2"}}])
    handlers = pretend.cloud.current.handlers
    with monkeypatch.context() as patch:
        patch.setitem(handlers, "create-replica", fail(2, handlers["create-replica"]))
        pretend.wait(30)
        assert pretend.cloud.errors.count == 2
        pretend.wait(120)
    oregon = pretend.client("us-west-2")
    assert oregon.describe_table(TableName="Music")["Table"]["TableStatus"] == "ACTIVE"


# Long requests

def transaction(count: int) -> tuple[str, dict]:
    """Of so many long statements, which insert the items "0", "1" and so on."""
    return "ExecuteTransaction", {"TransactStatements": [
        {"Statement": f"INSERT INTO Music VALUE {{'Artist': '{n}', 'a': [{'1, ' * 1000}1]}}"} for n in range(count)]}


def batch(count: int) -> tuple[str, dict]:
    """A large body, which puts such items."""
    return "BatchWriteItem", {"RequestItems": {"Music": [
        {"PutRequest": {"Item": {"Artist": {"S": str(n)}, "a": {"L": [{"N": "1"}] * 3000}}}} for n in range(count)]}}


def updates(count: int) -> tuple[str, dict]:
    """A short request, which changes such items."""
    return "TransactWriteItems", {"TransactItems": [
        {"Update": {"TableName": "Music", "Key": {"Artist": {"S": str(n)}}, "UpdateExpression": "REMOVE b"}}
        for n in range(count)]}


@pytest.mark.parametrize(("make", "steps"), [
    (updates, ["gtlab.localcloud.engine.items.unpack"]),
    (transaction, ["gtlab.localcloud.engine.partiql_calls.prepare"]),
    (batch, ["gtlab.localcloud.server.requests.check_input", "gtlab.localcloud.engine.ahead.check_attributes"])])
def test_others_are_served_while_a_long_request_is_prepared(client, monkeypatch, make, steps):
    """Each step of the preparation ends when somebody else has an answer."""
    answered, begun, served = list[tuple[str, int]](), threading.Semaphore(0), threading.Semaphore(0)
    if make is updates:
        client.dynamodb(*batch(10))

    def after_an_answer(step: Callable) -> Callable:
        def function(*arguments):
            if threading.current_thread() is not threading.main_thread():
                begun.release()
                assert served.acquire(timeout=60)
            return step(*arguments)
        return function

    for step in steps:
        monkeypatch.setattr(step, after_an_answer(pkgutil.resolve_name(step)))

    async def ask(operation: str, data: dict) -> None:
        headers = {"authorization": SIGNED.format(region="us-east-2"), "content-type": "application/x-amz-json-1.0",
                   "x-amz-target": f"DynamoDB_20120810.{operation}"}
        status, _ = await asked(client.app, "POST", "/", headers, json.dumps(data).encode())
        answered.append((operation, status))

    async def run() -> None:
        long = asyncio.create_task(ask(*make(10)))
        while not long.done():
            if begun.acquire(blocking=False):
                await ask("GetItem", last)
                served.release()
            await asyncio.sleep(0)

    operation, last = make(0)[0], {"TableName": "Music", "Key": {"Artist": {"S": "9"}}}
    asyncio.run(run())
    assert len(answered) > 10 and answered == [("GetItem", 200)] * (len(answered) - 1) + [(operation, 200)]
    assert len(client.dynamodb("GetItem", last)[1]["Item"]["a"]["L"]) > 1000


def test_a_request_that_is_not_about_items_has_a_megabyte_at_most(client):
    text = "x" * requests.MOST_OTHER
    assert client.dynamodb("PutItem", {"TableName": "Music", "Item": KEY | {"text": {"S": text}}})[0] == 400
    headers = {"authorization": SIGNED.format(region="us-east-2"), "content-type": "application/x-amz-json-1.0"}
    for status, told in (client.dynamodb("ListTables", {"ExclusiveStartTableName": text}),
                         client.ask("POST", "/tags/a", headers | {"authorization": headers["authorization"].replace(
                             "dynamodb", "fis")}, json.dumps({"tags": {"a": text}}).encode()),
                         client.control("world/lag", "PUT", {"value": text})):
        assert status == 413 and "1048576 bytes" in told["message"]
    query = {"authorization": headers["authorization"].replace("dynamodb", "sts"),
             "content-type": "application/x-www-form-urlencoded"}
    status, told = asyncio.run(asked(client.app, "POST", "/", query, b"Action=GetCallerIdentity&a=" + text.encode()))
    assert status == 413 and b"RequestEntityTooLargeException" in told


def test_what_was_prepared_for_a_request_is_let_go(client, monkeypatch):
    """A transaction's token keeps its request for ten minutes."""
    over, forget = threading.Event(), ahead.forget

    def forgotten(*calls: Call) -> None:
        forget(*calls)
        over.set()

    monkeypatch.setattr(ahead, "forget", forgotten)
    operation, data = transaction(10)
    assert client.dynamodb(operation, data | {"ClientRequestToken": "token"}) == (200, {"Responses": []})
    assert over.wait(60)
    kept, = client.keeper.cloud.database._tokens.values()
    assert [part.outcome for part in kept.request["TransactStatements"]] == [None] * 10
    one = Call("1", "us-east-2", "dynamodb", "Scan", {"ExpressionAttributeValues": {":v": {"S": "a"}}})
    made = ahead.prepared(one)
    values = made.input["ExpressionAttributeValues"]
    forget(one, made)
    assert values.outcome is None and one.input == made.input == {}
    assert client.dynamodb(operation, data | {"ClientRequestToken": "token"})[0] == 200


def fails_later(first: int, times: int, real):
    """A function that does what the real one does, but raises so many times from the call with this number on."""
    made = itertools.count(1)

    def function(*arguments, **named):
        if first <= next(made) < first + times:
            raise RuntimeError("a defect")
        return real(*arguments, **named)
    return function


def add_index(pretend, ohio) -> Callable[[], object]:
    ohio.update_table(TableName="Music", AttributeDefinitions=[
        {"AttributeName": name, "AttributeType": "S"} for name in ("Artist", "Genre")], GlobalSecondaryIndexUpdates=[
        {"Create": {"IndexName": "ByGenre", "KeySchema": [{"AttributeName": "Genre", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"}}}])
    return lambda: (table(ohio)["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
                    and ohio.scan(TableName="Music", IndexName="ByGenre", Select="COUNT")["Count"])


def add_replica(pretend, ohio) -> Callable[[], object]:
    add(ohio, "us-east-1")
    virginia = pretend.client("us-east-1")
    return lambda: (table(ohio).get("Replicas", [{}])[0].get("ReplicaStatus") == "ACTIVE"
                    and virginia.scan(TableName="Music", Select="COUNT")["Count"])


def restore(pretend, ohio) -> Callable[[], object]:
    arn = ohio.create_backup(TableName="Music", BackupName="all")["BackupDetails"]["BackupArn"]
    for _ in range(200):
        pretend.wait(1)
    assert ohio.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    ohio.restore_table_from_backup(BackupArn=arn, TargetTableName="Again")
    return lambda: (ohio.describe_table(TableName="Again")["Table"]["TableStatus"] == "ACTIVE"
                    and ohio.scan(TableName="Again", Select="COUNT")["Count"])


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("first", [1, 250])
@pytest.mark.parametrize(("work", "owner", "name"), [
    (add_index, IndexedItems, "change"), (add_replica, Replication, "adopt"), (add_replica, Links, "send"),
    (restore, Items, "put"), (restore, backups_module, "packed")])
def test_long_work_that_fails_is_repeated_and_leaves_nothing_out(monkeypatch, work, owner, name, first, times):
    """It fails in the middle of a slice, with the first slice or with a later one."""
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    for n in range(300):
        ohio.put_item(TableName="Music", Item={"Artist": {"S": str(n)}, "Genre": {"S": "a"}})
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails_later(first, times, getattr(owner, name)))
        count, seen = work(pretend, ohio), list[int]()
        for _ in range(300):
            pretend.wait(1)
            with contextlib.suppress(pretend.client("us-east-2").exceptions.ResourceNotFoundException):
                seen += [found] if (found := count()) else []
    assert set(seen) == {300}, "when it is ready, nothing lacks"
    assert pretend.cloud.errors.count == times


@pytest.mark.parametrize("times", [1, 2])
def test_a_status_of_an_index_that_fails_to_change_changes_later(monkeypatch, times):
    pretend = Pretend("instant")
    ohio = pretend.client("us-east-2")
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(Indexes, "_end", fail(times, Indexes._end))
        count = add_index(pretend, ohio)
        put(ohio, "one")
        pretend.wait(200)
        pretend.wait(200)
    assert count() == 0 and table(ohio)["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    assert pretend.cloud.errors.count == times


def test_a_second_update_of_the_legacy_version_that_fails_happens_later(monkeypatch):
    pretend = Pretend("instant")
    ohio, virginia = pretend.client("us-east-2"), pretend.client("us-east-1")
    for client in (ohio, virginia):
        client.create_table(**ON_DEMAND, StreamSpecification={"StreamEnabled": True,
                                                              "StreamViewType": "NEW_AND_OLD_IMAGES"})
    pretend.wait(60)
    ohio.create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": "us-east-2"},
                                                                       {"RegionName": "us-east-1"}])
    pretend.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(AfterWrites, "_mark", fail(2, AfterWrites._mark))
        put(ohio, "one")
        pretend.wait(5)
        assert pretend.cloud.errors.count == 2 and list(item(ohio, {"Artist": {"S": "one"}})) == ["Artist"]
        pretend.wait(120)
    assert item(ohio, {"Artist": {"S": "one"}})["aws:rep:updateregion"] == {"S": "us-east-2"}
