"""How much does long work add to the time that other clients wait, on a machine that does nothing else?

The same as other_work.py, but load does not disturb it: the server's application runs in this process, and its clock is
the processor time that it uses. Waiting takes no time, and the thread that writes to disk counts, so this is a machine
with one core that has nothing else to do (with two while nobody calls). Not included are sockets and HTTP, a few tenths
of a millisecond for a call. On a busy machine the processor's caches are cold, so that it is up to twice as slow.

"Turn" is the longest turn of the event loop; "MB" is the memory of this process.
Usage: python benchmarks/turns.py [--items N] [--seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import itertools
import json
import os
import platform
import random
import selectors
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from asgi import answered
from other_work import HEADER, MINE, QUIET, RATE, REGIONS, TABLE, Phase, item, memory_mb, rows

from gtlab.localcloud.disk.keeper import Keeper, keep, new_cloud
from gtlab.localcloud.server import app, driver
from gtlab.localcloud.server.access import Guard
from gtlab.localcloud.server.control import Process

THINKS_S = 0.0005  # between an answer and the next request of a client that calls in a loop


class Clock:
    """Processor time, and the time that was waited."""

    def __init__(self) -> None:
        self._waited, self._began = 0.0, time.time() - time.process_time()

    def time(self) -> float:
        return self._began + time.process_time() + self._waited

    perf_counter = monotonic = time

    def wait(self, seconds: float, keeper: Keeper) -> None:
        """Nothing happens for so long, but on the thread that writes to disk."""
        ends, store = self.time() + seconds, keeper._store
        while self.time() < ends and store._fold and not store._fold.done():
            time.sleep(0.0002)
        self._waited += ends - self.time()  # it may have used more: there is another core while nobody calls


class Loop(asyncio.SelectorEventLoop):
    """An event loop by that clock. ``longest``: its longest turn since that was set to 0."""

    def __init__(self, clock: Clock, keeper: Keeper):
        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> list:
                if timeout:
                    clock.wait(timeout, keeper)
                return super().select(0)
        super().__init__(Selector())
        self.longest, self._clock = 0.0, clock

    def time(self) -> float:
        return self._clock.time()

    def _run_once(self) -> None:
        began = time.process_time()
        super()._run_once()
        self.longest = max(self.longest, time.process_time() - began)


class Cloud:
    """The application, and what one can do with the large table."""

    def __init__(self, application: app.App, items: int):
        self._application, self.items = application, items

    async def raw(self, operation: str, body: bytes, region: str = REGIONS[0]) -> bytes:
        headers = {"host": "localhost", "content-type": "application/x-amz-json-1.0",
                   "x-amz-target": f"DynamoDB_20120810.{operation}", "authorization": "AWS4-HMAC-SHA256 Credential="
                   f"gtlab/20260101/{region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"}
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/",
                 "query_string": b"", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
        status, told = await answered(self._application, scope, body)
        if status != 200:
            raise RuntimeError(f"{operation}: {told.decode()}")
        await asyncio.sleep(THINKS_S)
        return told

    async def __call__(self, operation: str, **data) -> dict:
        return json.loads(await self.raw(operation, json.dumps(data).encode()))

    async def fill(self) -> None:
        for name in (TABLE, MINE):
            await self("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
                       KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
                       AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}])
        await asyncio.sleep(60)
        for name, count in ((MINE, 1000), (TABLE, self.items)):
            for first in range(0, count, 25):
                await self("BatchWriteItem", RequestItems={name: [
                    {"PutRequest": {"Item": item(number)}} for number in range(first, min(count, first + 25))]})

    async def table(self) -> dict:
        try:
            return (await self("DescribeTable", TableName=TABLE))["Table"]
        except RuntimeError as error:
            if "ResourceNotFound" not in str(error):
                raise
            return {}

    async def until(self, is_true: Callable[[dict], object]) -> None:
        while not is_true(await self.table()):
            await asyncio.sleep(0.5)

    async def change(self, **asked) -> None:
        """UpdateTable, and wait until all of the table, its replicas and its indexes is ACTIVE again."""
        await self("UpdateTable", TableName=TABLE, **asked)
        await self.until(lambda table: all(state == "ACTIVE" for state in (
            table["TableStatus"], *(each["ReplicaStatus"] for each in table.get("Replicas", ())),
            *(each["IndexStatus"] for each in table.get("GlobalSecondaryIndexes", ())))))

    async def partiql(self, until_s: float) -> None:
        while asyncio.get_running_loop().time() < until_s:
            number = random.randrange(self.items)
            await self("ExecuteStatement", Parameters=[{"N": str(number)}],
                       Statement=f"UPDATE \"{TABLE}\" SET n=? WHERE p='{item(number)['p']['S']}'")
            await self("BatchExecuteStatement", Statements=[
                {"Statement": f"DELETE FROM \"{TABLE}\" WHERE p='new {number} {at}'"} for at in range(25)])

    async def pages(self, operation: str, token: str, asked: dict) -> None:
        """All pages of a Scan or a SELECT."""
        while True:
            told = await self.raw(operation, json.dumps(asked).encode())
            at = told.find(f'"{token}":'.encode())
            if at < 0:
                return
            member, _ = json.JSONDecoder().raw_decode(told[at:at + 1000].decode().partition(":")[2])
            asked[{"LastEvaluatedKey": "ExclusiveStartKey"}.get(token, token)] = member

    async def back_up(self) -> None:
        arn = (await self("CreateBackup", TableName=TABLE, BackupName="all"))["BackupDetails"]["BackupArn"]
        while (await self("DescribeBackup", BackupArn=arn))["BackupDescription"]["BackupDetails"][
                "BackupStatus"] != "AVAILABLE":
            await asyncio.sleep(0.5)
        await self("DeleteBackup", BackupArn=arn)

    async def probe(self, kind: str, times: list[tuple[float, float]]) -> None:
        """The other client: put or get at a fixed rate that does not wait for slow answers."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in itertools.count():
            due = began + number / RATE
            if loop.time() < due:
                await asyncio.sleep(due - loop.time())
            one = item(random.randrange(1000))
            if kind == "put":
                body = {"TableName": MINE, "Item": one | {"n": {"N": str(number)}}}
            else:
                body = {"TableName": MINE, "Key": {"p": one["p"]}}
            await self.raw("PutItem" if kind == "put" else "GetItem", json.dumps(body).encode())
            times.append((due, (loop.time() - due - THINKS_S) * 1000))


Work = tuple[str, Callable[[], Awaitable[object]]]


def works(cloud: Cloud, seconds: float) -> list[Work]:
    def replica(action: str, region: str) -> Callable[[], Awaitable[object]]:
        return lambda: cloud.change(ReplicaUpdates=[{action: {"RegionName": region}}])

    def scan(**more) -> Callable[[], Awaitable[object]]:
        return lambda: cloud.pages("Scan", "LastEvaluatedKey", {"TableName": TABLE} | more)

    async def delete() -> None:
        await cloud("DeleteTable", TableName=TABLE)
        await cloud.until(lambda table: not table)

    index = {"IndexName": "ByG", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}}
    return [
        (QUIET, lambda: asyncio.sleep(seconds)),
        *((f"a replica is added: {region}", replica("Create", region)) for region in REGIONS[1:]),
        ("PartiQL writes", lambda: cloud.partiql(asyncio.get_running_loop().time() + seconds)),
        ("PartiQL reads the whole table", lambda: cloud.pages("ExecuteStatement", "NextToken", {
            "Statement": f"SELECT p FROM \"{TABLE}\" WHERE n = 7"})),
        ("a Scan", scan()),
        ("a Scan with a filter", scan(FilterExpression="n = :n", ExpressionAttributeValues={":n": {"N": "7"}})),
        ("a backup is made and deleted", cloud.back_up),
        ("an index is added", lambda: cloud.change(
            AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": index}])),
        *((f"a replica is removed: {region}", replica("Delete", region)) for region in REGIONS[:0:-1]),
        ("the table is deleted", delete)]


async def measured(cloud: Cloud, work: list[Work], loop: Loop) -> None:
    times: list[tuple[float, float]] = []
    others = [asyncio.create_task(cloud.probe(kind, times)) for kind in ("put", "get")]
    await asyncio.sleep(2.0)
    base = []
    for what, do in work:
        loop.longest, began = 0.0, loop.time()
        await do()
        phase, turn, memory = Phase(what, began, loop.time()), loop.longest, memory_mb(os.getpid())
        base = base or [phase]
        await asyncio.sleep(2.0)  # the slowest calls are answered after the phase
        print(f"{list(rows([*base, phase], times, QUIET))[-1]:100}{turn * 1000:>7.1f}{memory:>8,.0f}", flush=True)
    for other in others:
        other.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of what has no end of its own")
    asked = parser.parse_args()
    clock = Clock()
    driver.time = clock
    sys.setswitchinterval(0.0005)
    gc.set_threshold(10_000, 20, 50)
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="gtlab-turns-", ignore_cleanup_errors=True) as home:
        keeper = keep(Path(home) / "cloud.sqlite3", "fast", 1, clock=clock.time, make=functools.partial(
            new_cloud, most_at_once=driver.MOST_AT_ONCE))
        loop = Loop(clock, keeper)
        asyncio.set_event_loop(loop)
        application = app.App(keeper, Process("benchmark", {}, None), Guard())
        cloud = Cloud(application, asked.items)
        began = loop.time()
        loop.run_until_complete(cloud.fill())
        print(f"{platform.system()}, Python {platform.python_version()}, turns.py, {asked.items:,} items, filled in "
              f"{loop.time() - began - 60:.0f} s, load {os.getloadavg()[0]:.1f}\n{HEADER:100}{'turn':>7}{'MB':>8}",
              flush=True)
        loop.run_until_complete(measured(cloud, works(cloud, asked.seconds), loop))
        application.close()


if __name__ == "__main__":
    main()
