"""What looking for stale reads adds to a GetItem: microseconds in the process, with the look and without it, in turns.

    python benchmarks/stale_reads.py [--rounds 40]

A local cloud in this process, without HTTP and without a disk; a global table in two Regions. "Without": the cloud does
not ask whether a read is stale. The figure is the median over rounds of 500 reads; with and without alternate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.model import Call
from gtlab.localcloud.world import World

HERE, THERE = "ap-southeast-1", "eu-west-1"
READS = 500  # of a round
NOW = 1_800_000_000.0


def ask(cloud: Cloud, region: str, operation: str, now: float, **asked: object) -> None:
    cloud.call(Call("0" * 12, region, "dynamodb", operation, {"TableName": "Music", **asked}), now)


def round_us(cloud: Cloud, region: str, artist: str, now: float) -> float:
    """Microseconds per GetItem, without the consequences of earlier writes."""
    call = Call("0" * 12, region, "dynamodb", "GetItem", {"TableName": "Music", "Key": {"Artist": {"S": artist}}})
    began = time.perf_counter()
    for _ in range(READS):
        cloud.answer(call, now)
    return (time.perf_counter() - began) / READS * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    cloud, now = Cloud(World("instant", seed=1)), NOW
    ask(cloud, HERE, "CreateTable", now, KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    cloud.tick(now := now + 600)
    ask(cloud, HERE, "UpdateTable", now, ReplicaUpdates=[{"Create": {"RegionName": THERE}}])
    cloud.tick(now := now + 600)
    for artist in ("same", "newer here"):
        ask(cloud, HERE, "PutItem", now, Item={"Artist": {"S": artist}, "Text": {"S": "x" * 100}})
    cloud.tick(now := now + 60)
    looks: tuple[Callable, Callable] = (cloud.reads.worth_a_look, lambda tables: False)

    def compare(name: str, region: str, artist: str) -> None:
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for look, into in zip(looks, took, strict=True):
                cloud.reads.worth_a_look = look  # type: ignore[method-assign]
                into.append(round_us(cloud, region, artist, now))
        with_look, without = map(statistics.median, took)
        print(f"{name:<58} {without:>9.1f} {with_look:>9.1f} {with_look - without:>+8.2f}")

    print(f"{'GetItem, µs':<58} {'without':>9} {'with':>9} {'adds':>8}")
    compare("nothing is on its way", THERE, "same")
    cloud.turn("partition", (HERE, THERE), None, now)
    ask(cloud, HERE, "PutItem", now, Item={"Artist": {"S": "newer here"}, "Text": {"S": "y" * 100}})
    cloud.tick(now := now + 1)
    compare("in the Region of the write, one write on its way", HERE, "same")
    compare("in the Region that it goes to, another item", THERE, "same")
    compare("in the Region that it goes to, the item: a stale read", THERE, "newer here")


if __name__ == "__main__":
    main()
