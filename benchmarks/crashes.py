"""Write, kill -9, restart, compare: does an acknowledged write survive if the local cloud is killed at any moment?

In each round, writers put, increment and delete their own items in three Regions of a global table, and the cloud is
killed while they write. After a restart, every item must have its last acknowledged value, or the value of the one call
that was not answered. Then all replicas must become identical. Usage: python benchmarks/crashes.py [ROUNDS] [SEED]
"""

from __future__ import annotations

import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import partial

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gtlab.localcloud import process

REGIONS = ("us-east-2", "us-east-1", "eu-west-1")
TABLE = "Crash"
WRITERS_A_REGION = 2
DEADLINE_S = 60.0


def client(url: str, region: str):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5, proxies={})
    return boto3.client("dynamodb", region_name=region, endpoint_url=url, aws_access_key_id="gtlab",
                        aws_secret_access_key="gtlab", config=config)


def make_table(url: str) -> None:
    home = client(url, REGIONS[0])
    home.create_table(TableName=TABLE, BillingMode="PAY_PER_REQUEST",
                      AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                      KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    for region in REGIONS[1:]:
        until(lambda: is_ready(home))
        home.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
    until(lambda: is_ready(home) and all(is_ready(client(url, region)) for region in REGIONS))


def is_ready(at) -> bool:
    try:
        table = at.describe_table(TableName=TABLE)["Table"]
    except ClientError:
        return False
    return table["TableStatus"] == "ACTIVE" and all(
        replica["ReplicaStatus"] == "ACTIVE" for replica in table.get("Replicas", []))


def until(condition) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("gave up waiting")
        time.sleep(0.02)


@dataclass
class Writer:
    """Writes items that no other writer writes; ``known`` has the last acknowledged value of each."""

    region: str
    number: int
    chance: random.Random
    known: dict[str, int | None] = field(default_factory=dict)     # item → value, None: deleted
    asked: tuple[tuple[str, int | None], ...] = ()                 # the call that was not answered yet
    acknowledged: int = 0

    def write(self, url: str, ended: threading.Event) -> None:
        at = client(url, self.region)
        while not ended.is_set():
            names = self.chance.sample([f"{self.region}/{self.number}/{n}" for n in range(5)], k=2)
            try:
                getattr(self, self.chance.choice(("put", "put", "count", "delete", "both")))(at, names)
            except (BotoCoreError, ClientError):
                return  # the cloud was killed: nobody knows whether this call took effect
            self.known.update(self.asked)
            self.asked = ()
            self.acknowledged += 1

    def put(self, at, names: list[str]) -> None:
        value = self.chance.randrange(10**9)
        self.asked = ((names[0], value),)
        at.put_item(TableName=TABLE, Item={"id": {"S": names[0]}, "v": {"N": str(value)}})

    def count(self, at, names: list[str]) -> None:
        self.asked = ((names[0], (self.known.get(names[0]) or 0) + 1),)
        at.update_item(TableName=TABLE, Key={"id": {"S": names[0]}}, UpdateExpression="ADD v :one",
                       ExpressionAttributeValues={":one": {"N": "1"}})

    def delete(self, at, names: list[str]) -> None:
        self.asked = ((names[0], None),)
        at.delete_item(TableName=TABLE, Key={"id": {"S": names[0]}})

    def both(self, at, names: list[str]) -> None:
        value = self.chance.randrange(10**9)
        self.asked = tuple((name, value) for name in names)
        at.transact_write_items(TransactItems=[
            {"Put": {"TableName": TABLE, "Item": {"id": {"S": name}, "v": {"N": str(value)}}}} for name in names])

    def lost(self, items: dict[str, int]) -> list[str]:
        """List the wrong items. If the unanswered call took effect, remember its values."""
        took_effect = self.asked and all(items.get(name) == value for name, value in self.asked)
        if took_effect:
            self.known.update(self.asked)
        self.asked = ()
        return [f"{name} is {items.get(name)}, but {value} was acknowledged" for name, value in self.known.items()
                if items.get(name) != value]


def contents(url: str, region: str) -> dict[str, int]:
    pages = client(url, region).get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return {item["id"]["S"]: int(item["v"]["N"]) for page in pages for item in page["Items"]}


def are_alike(url: str) -> bool:
    return contents(url, REGIONS[0]) == contents(url, REGIONS[1]) == contents(url, REGIONS[2])


def play(rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    writers = [Writer(region, number, random.Random(f"{seed}/{region}/{number}"))
               for region in REGIONS for number in range(WRITERS_A_REGION)]
    running, _ = process.up(network="fast", seed=seed)
    make_table(running.url)
    restarts, unanswered = [], 0
    for each in range(1, rounds + 1):
        ended = threading.Event()
        threads = [threading.Thread(target=writer.write, args=(running.url, ended)) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.05, 0.8))  # the moment of the crash is what varies
        os.kill(running.pid, signal.SIGKILL)
        ended.set()
        for thread in threads:
            thread.join()
        began = time.perf_counter()
        running, _ = process.up()
        restarts.append((time.perf_counter() - began) * 1000)
        unanswered += sum(bool(writer.asked) for writer in writers)
        lost = [fault for region in REGIONS for items in [contents(running.url, region)]
                for writer in writers if writer.region == region for fault in writer.lost(items)]
        if lost:
            sys.exit(f"round {each}, seed {seed}: " + "; ".join(lost))
        until(partial(are_alike, running.url))
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, crashes.py, seed {seed}")
    print(f"rounds of write, kill -9, restart, compare     {rounds:>8}")
    print(f"acknowledged writes                            {sum(writer.acknowledged for writer in writers):>8}")
    print(f"  lost                                         {len(lost):>8}")
    print(f"writes not answered because of a kill          {unanswered:>8}")
    print(f"from restart to first answer, median ms        {statistics.median(restarts):>8.0f}")
    print(f"from restart to first answer, slowest ms       {max(restarts):>8.0f}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="gtlab-crashes-", ignore_cleanup_errors=True) as home:
        os.environ["GTLAB_HOME"] = home
        try:
            play(rounds, seed)
        finally:
            process.down()


if __name__ == "__main__":
    main()
