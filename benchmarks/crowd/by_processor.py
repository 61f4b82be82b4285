"""The put among recorded learners once more, on a machine that does nothing else: the shared cloud runs in this
process, whose clock is the processor time that it uses, as in turns.py. Sockets and HTTP are not included."""

from __future__ import annotations

import asyncio
import bisect
import functools
import gc
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from turns import Clock, Loop, answered

from gtlab.lab.choice import DEFAULT_HOME, DEFAULT_REPLICAS
from gtlab.localcloud.disk.keeper import Keeper, keep, new_cloud
from gtlab.localcloud.server import driver
from gtlab.localcloud.server.shared import Accounts, Shared

CODE, SECRET = "code", "a secret of enough characters"
ALONE_S, PUTS_PER_S, STARTING_S = 60.0, 20.0, 15.0
KEYS = ("Artist", "SongTitle")


class Stores:
    """Takes a keeper's place for the clock, which waits for what is being written to disk."""

    def __init__(self) -> None:
        self.keepers: list[Keeper] = []
        self._store = self

    @property
    def _fold(self) -> Future[None] | None:
        return next((each._store._fold for each in self.keepers if each._store._fold
                     and not each._store._fold.done()), None)


class Cloud:
    """The shared cloud's application, and requests to it."""

    def __init__(self, folder: Path, clock: Clock, stores: Stores):
        async def opened(account: str) -> Keeper:
            (folder / account).mkdir()
            stores.keepers.append(keep(folder / account / "cloud.sqlite3", "realistic", 1, clock=clock.time,
                                       make=functools.partial(new_cloud, most_at_once=driver.MOST_AT_ONCE)))
            return stores.keepers[-1]

        async def owner(*_: Any) -> None:
            raise RuntimeError("the owner calls nothing")
        self.application = Shared(owner, CODE, Accounts(None), opened)

    async def send(self, raw: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a request."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.decode().split(" ")
        path, _, query = target.partition("?")
        pairs = [line.partition(b":") for line in lines]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
                 "raw_path": path.encode(), "query_string": query.encode(), "scheme": "http", "root_path": "",
                 "headers": [(name.strip().lower(), value.strip()) for name, _, value in pairs]}
        return await answered(self.application, scope, body)

    async def ask(self, account: str, operation: str, **data: Any) -> None:
        status, told = await self.send(
            f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Security-Token: {CODE}."
            f"{SECRET}\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\nAuthorization: AWS4-HMAC-SHA256 Credential="
            f"{account}/20260101/{DEFAULT_HOME}/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n".encode()
            + json.dumps(data).encode())
        if status != 200:
            raise SystemExit(f"{operation}: {told.decode()}")

    async def prepare(self, account: str, table: str) -> None:
        await self.ask(account, "CreateTable", TableName=table, BillingMode="PAY_PER_REQUEST",
                       KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(
                           KEYS, ("HASH", "RANGE"), strict=True)],
                       AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
                       StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        for region in DEFAULT_REPLICAS:
            await asyncio.sleep(900)  # by a clock for which waiting takes no time
            await self.ask(account, "UpdateTable", TableName=table, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        await asyncio.sleep(900)


async def learn(cloud: Cloud, account: str, recording: dict[str, Any]) -> None:
    """A recorded learner's requests to the cloud."""
    chance, loop = random.Random(account), asyncio.get_running_loop()
    began, far = loop.time() + chance.uniform(0, STARTING_S), [0.0]
    for _ in recording["marks"]:
        far.append(far[-1] + recording["think_s"] * chance.uniform(0.5, 1.5))
    lines: dict[int, list[tuple[float, bytes]]] = {}
    for at, line, to, raw in recording["sent"]:
        if to == "cloud":
            due = began + at - recording["began"] + far[bisect.bisect_right(recording["marks"], at)]
            raw = raw.replace("RECORDED_TOKEN", f"{CODE}.{SECRET}").replace("RECORDED_ACCOUNT", account)
            lines.setdefault(line, []).append((due, raw.encode("latin-1")))

    async def send(requests: list[tuple[float, bytes]]) -> None:
        for due, raw in requests:
            await asyncio.sleep(max(0.0, due - loop.time()))
            await cloud.send(raw)
    await asyncio.gather(*map(send, lines.values()))


async def put(cloud: Cloud, account: str, table: str, times: list[float]) -> None:
    """Put items; a put's time counts from the moment when it was due."""
    loop, number = asyncio.get_running_loop(), 0
    began = loop.time()
    while True:
        due = began + number / PUTS_PER_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        number += 1
        await cloud.ask(account, "PutItem", TableName=table, Item={
            "Artist": {"S": f"item_{number % 1000}"}, "SongTitle": {"S": "x" * 100}})
        times.append(1000 * (loop.time() - due))


async def measured(cloud: Cloud, recording: dict[str, Any], accounts: list[str], table: str) -> list[list[float]]:
    """The times of the puts alone, and among all."""
    await asyncio.gather(*(cloud.prepare(account, table) for account in accounts))
    found: list[list[float]] = []
    phases: list[Callable[[], Awaitable[Any]]] = [
        lambda: asyncio.sleep(ALONE_S),
        lambda: asyncio.gather(*(learn(cloud, account, recording) for account in accounts[1:]))]
    for phase in phases:
        found.append([])
        putting = asyncio.ensure_future(put(cloud, accounts[0], table, found[-1]))
        await phase()
        putting.cancel()
    return found


def measure(file: str, learners: str, table: str) -> None:
    """Print the times of the puts alone and among so many recorded learners, as JSON."""
    recording = json.loads(Path(file).read_text())
    clock, stores = Clock(), Stores()
    driver.time = clock
    sys.setswitchinterval(0.0005)  # as the local cloud's process has it
    gc.set_threshold(10_000, 20, 50)
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="gtlab-class-", ignore_cleanup_errors=True) as folder:
        loop = Loop(clock, stores)
        asyncio.set_event_loop(loop)
        cloud = Cloud(Path(folder), clock, stores)
        accounts = [f"{number:012}" for number in range(1, int(learners) + 2)]
        print(json.dumps(loop.run_until_complete(measured(cloud, recording, accounts, table))))
        cloud.application.close()
