"""How much does long work add to the time that other clients wait?

A table of a million items of 200 bytes gets two more replicas. It is then written by PartiQL, scanned, indexed, backed
up, restarted with its cloud, and deleted. All the time another client puts and gets items of its own table, each at a
fixed rate that does not wait for slow answers: a call's time counts from the moment when it was due. The percentiles of
each kind of work stand beside those of the time without other work; "added" is the difference of the 99th percentiles.

Other programs disturb the figures, because both clients and the server need a processor: on a busy machine, compare
only differences within a run. Usage: python benchmarks/other_work.py [--items N] [--seconds N]
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gtlab.localcloud import process

REGIONS = ("us-east-2", "us-east-1", "eu-west-1")
TABLE, MINE = "Big", "Mine"
RATE = 50.0  # puts per second, and gets per second
DEADLINE_S = 1800.0


class Client:
    """One connection to a Region. Raw HTTP: a client that computes much would disturb what is measured."""

    def __init__(self, port: int, region: str):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Content-Type": "application/x-amz-json-1.0", "Authorization": "AWS4-HMAC-SHA256 Credential="
                         f"gtlab/20260101/{region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"}

    def raw(self, operation: str, body: bytes) -> bytes:
        self._connection.request("POST", "/", body, self._headers | {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{operation}: {answer.status} {told.decode()}")
        return told

    def __call__(self, operation: str, **data) -> dict:
        return json.loads(self.raw(operation, json.dumps(data).encode()))


def item(number: int) -> dict:
    """200 bytes."""
    return {"p": {"S": f"key {number:08}"}, "g": {"S": f"group {number % 1000:04}"}, "n": {"N": str(number)},
            "v": {"S": "x" * 165}}


# The other client, in a process of its own

def probe(port: int) -> None:
    """Put and get until standard input ends; print when each call was due and how many milliseconds it took."""
    ends = threading.Event()
    threads = [threading.Thread(target=_call_at_times, args=[Client(port, REGIONS[0]), kind, ends])
               for kind in ("put", "get")]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ends.set()


def _call_at_times(client: Client, kind: str, ends: threading.Event) -> None:
    began = time.monotonic()
    for number in itertools.count():
        due = began + number / RATE
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if ends.is_set():
            return
        one = item(random.randrange(1000))
        if kind == "put":
            client("PutItem", TableName=MINE, Item=one | {"n": {"N": str(number)}})
        else:
            client("GetItem", TableName=MINE, Key={"p": one["p"]})
        sys.stdout.write(f"{due} {(time.monotonic() - due) * 1000}\n")  # in one piece: there are two threads
        sys.stdout.flush()


class Probe:
    """The other client, seen from here. Call :meth:`end` for its times: (due, milliseconds)."""

    def __init__(self, port: int):
        self._process = subprocess.Popen([sys.executable, __file__, "--probe", str(port)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._times: list[tuple[float, float]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            due, took_ms = line.split()
            self._times.append((float(due), float(took_ms)))

    def end(self) -> list[tuple[float, float]]:
        self._process.stdin.close()
        self._reader.join()
        if self._process.wait():
            raise SystemExit("a call of the other client failed")
        return self._times


# Long work

class Cloud:
    """The local cloud with the large table, and what one can do with it."""

    def __init__(self, port: int, items: int):
        self.port, self.items = port, items

    @property
    def home(self) -> Client:
        """A new connection: the server closes one that is idle for long."""
        return Client(self.port, REGIONS[0])

    def fill(self) -> None:
        home = self.home
        for name in (TABLE, MINE):
            home("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
                 KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
                 AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}])
            until(lambda name=name: self._status(REGIONS[0], name) == "ACTIVE")
        for name, count in ((MINE, 1000), (TABLE, self.items)):
            for first in range(0, count, 25):
                home("BatchWriteItem", RequestItems={name: [
                    {"PutRequest": {"Item": item(number)}} for number in range(first, min(count, first + 25))]})

    def _status(self, region: str, name: str = TABLE) -> str:
        try:
            return Client(self.port, region)("DescribeTable", TableName=name)["Table"]["TableStatus"]
        except RuntimeError as error:
            if "ResourceNotFound" not in str(error):
                raise
            return "GONE"

    def add_replica(self, region: str) -> None:
        self.home("UpdateTable", TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        until(lambda: {"RegionName": region, "ReplicaStatus": "ACTIVE"} in [
            {name: each[name] for name in ("RegionName", "ReplicaStatus")} for each in self._replicas()])
        until(lambda: process.control(self.port, "status")["deliveries_waiting"] < 100)

    def _replicas(self) -> list[dict]:
        return self.home("DescribeTable", TableName=TABLE)["Table"].get("Replicas", [])

    def partiql(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            number = random.randrange(self.items)
            key = item(number)["p"]["S"]
            self.home("ExecuteStatement", Statement=f"UPDATE \"{TABLE}\" SET n=? WHERE p='{key}'",
                      Parameters=[{"N": str(number)}])
            self.home("BatchExecuteStatement", Statements=[
                {"Statement": f"DELETE FROM \"{TABLE}\" WHERE p='new {number} {at}'"} for at in range(25)])

    def partiql_select(self, until_s: float) -> None:
        """A SELECT without a key: it reads the whole table, page by page."""
        token: dict[str, str] = {}
        while time.monotonic() < until_s:
            told = self.home("ExecuteStatement", Statement=f"SELECT p FROM \"{TABLE}\" WHERE n = 7", **token)
            token = {"NextToken": told["NextToken"]} if "NextToken" in told else {}

    def scan(self, filtered: dict) -> None:
        """The whole table, page by page. A page is not decoded but for its end."""
        asked: dict = {"TableName": TABLE} | filtered
        while True:
            told = self.home.raw("Scan", json.dumps(asked).encode())
            last = re.search(rb'"LastEvaluatedKey":(\{"p":\{"S":"[^"]*"\}\})', told)
            if not last:
                return
            asked["ExclusiveStartKey"] = json.loads(last[1])

    def add_index(self) -> None:
        self.home("UpdateTable", TableName=TABLE, AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
                  GlobalSecondaryIndexUpdates=[{"Create": {
                      "IndexName": "ByG", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                      "Projection": {"ProjectionType": "ALL"}}}])
        until(lambda: all(index["IndexStatus"] == "ACTIVE" for index in self.home(
            "DescribeTable", TableName=TABLE)["Table"]["GlobalSecondaryIndexes"]))

    def back_up(self) -> None:
        arn = self.home("CreateBackup", TableName=TABLE, BackupName="all")["BackupDetails"]["BackupArn"]
        until(lambda: self.home("DescribeBackup", BackupArn=arn)["BackupDescription"]["BackupDetails"][
            "BackupStatus"] == "AVAILABLE")
        self.home("DeleteBackup", BackupArn=arn)

    def remove_replica(self, region: str) -> None:
        self.home("UpdateTable", TableName=TABLE, ReplicaUpdates=[{"Delete": {"RegionName": region}}])
        until(lambda: not [each for each in self._replicas() if each["RegionName"] == region])

    def delete(self) -> None:
        until(lambda: self._status(REGIONS[0]) == "ACTIVE")
        self.home("DeleteTable", TableName=TABLE)
        until(lambda: self._status(REGIONS[0]) == "GONE")


def until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        if time.monotonic() > deadline:
            raise SystemExit("it takes too long")
        time.sleep(0.5)


# What was measured

class Phase(NamedTuple):
    what: str
    began: float
    ended: float


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines() if sys.platform == "linux" else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), math.nan)


def at_rank(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(len(values) * share) - 1)]


def rows(phases: list[Phase], times: list[tuple[float, float]], quiet: str) -> Iterator[str]:
    """A line for each phase. "Added" is against the phase of the name ``quiet``. A phase that ended before any call was
    due has no figures."""
    base = math.nan
    for phase in phases:
        during = sorted(ms for due, ms in times if phase.began <= due < phase.ended)
        took = during or [math.nan]
        p99 = at_rank(took, 0.99)
        base = p99 if phase.what == quiet else base
        yield (f"{phase.what:34}{phase.ended - phase.began:>9.0f}{len(during):>8}{at_rank(took, 0.5):>9.1f}{p99:>9.1f}"
               f"{took[-1]:>9.1f}" + (f"{'':>9}" if phase.what == quiet else f"{p99 - base:>+9.1f}"))


HEADER = f"{'ms':34}{'seconds':>9}{'calls':>8}{'p50':>9}{'p99':>9}{'maximum':>9}{'added':>9}"
QUIET = "no other work"


def measured(cloud: Cloud, work: list[tuple[str, Callable[[], object]]]) -> None:
    """Do one piece of work after the other while the other client calls, and print what it measured."""
    other, phases = Probe(cloud.port), []
    time.sleep(2.0)
    for what, do in work:
        began = time.monotonic()
        do()
        phases.append(Phase(what, began, time.monotonic()))
        time.sleep(2.0)
    for line in rows(phases, other.end(), QUIET):
        print(line, flush=True)


def restart(cloud: Cloud) -> Cloud:
    """Stop and start the cloud, and print how soon it answers its status and how soon all is loaded."""
    began = time.monotonic()
    process.down()
    print(f"stopped after {time.monotonic() - began:.1f} s", flush=True)
    began = time.monotonic()
    starting = threading.Thread(target=process.up)
    starting.start()
    answered = None
    while starting.is_alive():
        if answered is None and process.loading():
            answered = time.monotonic() - began
        time.sleep(0.02)
    loaded = time.monotonic() - began
    running = process.find()
    print(f"restarted: status answers after {answered or loaded:.1f} s, all is loaded after {loaded:.1f} s, memory "
          f"{memory_mb(running.pid):,.0f} MB", flush=True)
    return Cloud(running.port, cloud.items)


def play(items: int, seconds: float) -> None:
    running, _ = process.up(network="fast", seed=1)
    cloud = Cloud(running.port, items)
    empty = memory_mb(running.pid)
    began = time.monotonic()
    cloud.fill()
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, other_work.py, {items:,} "
          f"items, filled in {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f}\n{HEADER}", flush=True)

    def pause() -> None:
        time.sleep(seconds)

    def limited(do: Callable[[float], None]) -> Callable[[], None]:
        return lambda: do(time.monotonic() + seconds)

    measured(cloud, [
        (QUIET, pause),
        *((f"a replica is added: {region}", lambda region=region: cloud.add_replica(region)) for region in REGIONS[1:]),
        ("PartiQL writes", limited(cloud.partiql)),
        ("PartiQL reads the whole table", limited(cloud.partiql_select)),
        ("a Scan", lambda: cloud.scan({})),
        ("a Scan with a filter", lambda: cloud.scan({"FilterExpression": "n = :n", "ExpressionAttributeValues": {
            ":n": {"N": "7"}}})),
        ("a backup is made and deleted", cloud.back_up),
        ("an index is added", cloud.add_index)])
    print(f"memory with {items:,} items in {len(REGIONS)} Regions and an index: {memory_mb(running.pid):,.0f} MB, at "
          f"most {memory_mb(running.pid, 'VmHWM'):,.0f} MB (empty: {empty:.0f} MB)", flush=True)
    cloud = restart(cloud)
    measured(cloud, [
        (QUIET, pause), (f"a replica is removed: {REGIONS[2]}", lambda: cloud.remove_replica(REGIONS[2])),
        (f"a replica is removed: {REGIONS[1]}", lambda: cloud.remove_replica(REGIONS[1])),
        ("the table is deleted", cloud.delete)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of what has no end of its own")
    parser.add_argument("--probe", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.probe:
        probe(asked.probe)
        return
    with tempfile.TemporaryDirectory(prefix="gtlab-other-work-", ignore_cleanup_errors=True) as home:
        os.environ["GTLAB_HOME"] = home
        try:
            play(asked.items, asked.seconds)
        finally:
            process.down()


if __name__ == "__main__":
    main()
