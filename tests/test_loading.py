"""A start with a large state: the server says how far it is, and calls wait or are told to try again."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support import ON_DEMAND, asked, wait_until

from gtlab.contract import CONTROL_PREFIX, STATE_FILE
from gtlab.localcloud import process
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.loading import Loading, Stopped
from gtlab.localcloud.model import Call
from gtlab.localcloud.server import cbor, opening
from gtlab.localcloud.server.access import Guard
from gtlab.localcloud.server.app import App
from gtlab.localcloud.server.control import Process
from gtlab.localcloud.server.opening import Opening

NOW = 1.8e9
GTLAB = Path(sys.executable).with_name("gtlab")
SIGNED = "AWS4-HMAC-SHA256 Credential=gtlab/20260101/us-east-2/{service}/aws4_request, SignedHeaders=host, Signature=0"


def call(operation: str, **data) -> Call:
    return Call("1" * 12, "us-east-2", "dynamodb", operation, data)


@pytest.fixture
def path(tmp_path):
    """A state with twenty items."""
    keeper = keep(tmp_path / "cloud.sqlite3", "instant", 1, clock=lambda: NOW)
    keeper.cloud.call(call("CreateTable", **ON_DEMAND), NOW)
    for n in range(20):
        keeper.cloud.call(call("PutItem", TableName="Music", Item={"Artist": {"S": str(n)}}), NOW + 60)
    keeper.close()
    return tmp_path / "cloud.sqlite3"


# Reading

def test_all_rows_are_counted(path):
    loading = Loading()
    assert (loading.done, loading.rows) == (0, None)
    keeper = keep(path, loading=loading)
    assert loading.rows == loading.done > 20
    keeper.close()


def test_reading_can_be_stopped_and_loses_nothing(path):
    loading = Loading()
    loading.stop()
    with pytest.raises(Stopped):
        keep(path, loading=loading)
    assert list(path.parent.glob("*damaged*")) == []
    keeper = keep(path)
    assert keeper.note == "" and json.loads(keeper.cloud.call(call("Scan", TableName="Music"), NOW + 60))["Count"] == 20
    keeper.close()


def test_regions_share_the_items_that_are_the_same_after_a_restart(tmp_path):
    keeper = keep(tmp_path / "cloud.sqlite3", "instant", 1, clock=lambda: NOW)
    cloud, stream = keeper.cloud, {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    cloud.call(call("CreateTable", **ON_DEMAND, StreamSpecification=stream), NOW)
    cloud.call(call("PutItem", TableName="Music", Item={"Artist": {"S": "a"}}), NOW + 60)
    replica = {"Create": {"RegionName": "eu-west-1"}}
    cloud.call(call("UpdateTable", TableName="Music", ReplicaUpdates=[replica]), NOW + 61)
    while cloud.next_due() < NOW + 600:
        cloud.tick(cloud.next_due())
    keeper.close()
    cloud = keep(tmp_path / "cloud.sqlite3", clock=lambda: NOW + 600).cloud
    tables = [table for table in cloud.database.tables.values() if table.items]
    assert {table.id.region for table in tables} == {"us-east-2", "eu-west-1"}
    one, other = ([key for key, _ in table.items.entries()] for table in tables)
    assert one == other
    (json_here, _), (json_there, _) = (table.items.packed(one[0]) for table in tables)
    assert json_here is json_there
    group, = cloud.groups
    versions = [list(cloud.replication.versions(group.id, region)) for region in group.members]
    assert versions[0] == versions[1] == one and versions[0][0] is versions[1][0]


# Serving meanwhile

class Ask:
    """Asks an application that is opening; ``app`` is set when the state is loaded."""

    def __init__(self) -> None:
        self.loading, self.stopped = Loading(), False
        self.app = asyncio.get_running_loop().create_future()
        about = Process("instance", {"us-east-2": 4711}, self._stop)
        self.opening = Opening(self.loading, about, Guard(), self.app)

    def _stop(self) -> None:
        self.stopped = True

    async def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        return await asked(self.opening, method, path, headers, body)

    async def control(self, what: str, method: str = "GET") -> tuple[int, dict]:
        status, body = await self(method, f"{CONTROL_PREFIX}/{what}", {})
        return status, json.loads(body)

    async def get_item(self) -> tuple[int, dict]:
        status, body = await self("POST", "/", {
            "authorization": SIGNED.format(service="dynamodb"), "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "DynamoDB_20120810.GetItem"}, b'{"TableName": "Music", "Key": {"Artist": {"S": "7"}}}')
        return status, json.loads(body)


def test_it_says_how_far_it_is_and_can_be_stopped():
    async def run() -> None:
        ask = Ask()
        status, told = await ask.control("status")
        assert status == 200 and told["instance"] == "instance" and told["loading"] == {"done": 0, "rows": None}
        assert told["endpoints"] == {"us-east-2": "http://localhost:4711"}
        ask.loading.done, ask.loading.rows = 1_200_000, 3_000_000
        assert (await ask.control("status"))[1]["loading"] == {"done": 1_200_000, "rows": 3_000_000}
        status, told = await ask.control("world")
        assert status == 503 and "1,200,000 of 3,000,000 rows" in told["message"]
        assert await ask.control("stop", "POST") == (200, {"stopping": True}) and ask.stopped

    asyncio.run(run())


def test_a_call_waits_until_the_state_is_loaded(path):
    async def run() -> None:
        ask = Ask()
        waiting = asyncio.ensure_future(ask.get_item())
        await asyncio.sleep(0)
        assert not waiting.done()
        keeper = await asyncio.to_thread(keep, path, loading=ask.loading)
        ask.app.set_result(App(keeper, Process("instance", {}, lambda: None), Guard()))
        assert await waiting == await ask.get_item()
        status, told = await ask.control("status")
        assert status == 200 and told["loading"] is None and [each["name"] for each in told["tables"]] == ["Music"]
        keeper.close()

    asyncio.run(run())


def test_a_call_that_waits_too_long_is_told_to_try_again_in_its_own_protocol(monkeypatch):
    monkeypatch.setattr(opening, "WAIT_S", 0.0)

    async def run() -> None:
        ask = Ask()
        ask.loading.done, ask.loading.rows = 5, 10
        status, told = await ask.get_item()
        assert status == 503 and told["__type"].endswith("#ServiceUnavailable") and "5 of 10 rows" in told["message"]
        status, body = await ask("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", {
            "authorization": SIGNED.format(service="monitoring"), "smithy-protocol": "rpc-v2-cbor"})
        assert status == 503 and "5 of 10 rows" in cbor.decode(body)["message"]

    asyncio.run(run())


# The process

@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    process.down()


@pytest.mark.server
def test_up_waits_for_a_state_that_takes_long_and_status_says_how_far_it_is(home):
    process.up(network="instant")
    process.down()
    for _ in range(5):  # SQLite waits for five seconds; on a slow machine that may be over before this test has looked
        # Another program has locked the file: the start waits for it.
        with contextlib.closing(sqlite3.connect(home / STATE_FILE, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            up = subprocess.Popen([GTLAB, "up"])
            loading = wait_until(functools.partial(_look, up), "the server to answer that it is loading")
            shown = subprocess.run([GTLAB, "status"], capture_output=True, text=True, timeout=300)
        if up.wait(300) == 0:
            break
    assert loading == {"done": 0, "rows": None} and "loading its state: checking its files" in shown.stdout
    assert process.loading() is None and process.find() is not None


def _look(up: subprocess.Popen) -> dict | int | None:
    with contextlib.suppress(process.NotAnswering):
        return up.poll() or process.loading()
    return None
