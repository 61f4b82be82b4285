"""How much delay does the local cloud add to the replication lag, and how long does it take to process a backlog?

The lag of every link is set to a fixed time, so anything beyond it is added by the local cloud. A minimal HTTP client
sends writes at fixed times, whether or not earlier ones were answered (boto3 cannot send a thousand per second on a
small machine). The journal records when each write arrived, and how late the server applied it. Then the home Region is
isolated from the others while it accepts writes, and reconnected.

Usage: python benchmarks/replication.py [--seconds S] [--backlog N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
import urllib.request

from crashes import REGIONS, TABLE, make_table

from gtlab.localcloud import process

LAG_S = 0.5
RATES = (100, 500, 1000)
CONNECTIONS = 16
AT_ONCE = 25  # items in a batch, for the backlog


def ask(url: str, method: str, what: str, body: object = None) -> dict:
    request = urllib.request.Request(f"{url}/_gtlab/v1/{what}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={} if body is None else {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        return json.load(response)


def request(operation: str, data: dict) -> bytes:
    body = json.dumps(data).encode()
    return (f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n"
            "Content-Type: application/x-amz-json-1.0\r\nAuthorization: AWS4-HMAC-SHA256 Credential=gtlab/20260101/"
            f"{REGIONS[0]}/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Connection:
    async def open(self, port: int) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._turn = asyncio.Lock()
        return self

    async def send(self, message: bytes) -> float:
        """Send one request and wait for its answer; return the seconds since the time it was due to be sent."""
        began = time.perf_counter()
        async with self._turn:
            self._writer.write(message)
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                          if line.lower().startswith(b"content-length"))
            answer = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {answer.decode()}")
        return time.perf_counter() - began


def item(number: int, items: int) -> dict:
    """An item with a unique value, because a put that changes nothing is not replicated."""
    return {"id": {"S": f"item {number % items}"}, "n": {"N": str(time.time_ns())}, "text": {"S": "x" * 100}}


async def offer(port: int, rate: int, seconds: float) -> list[float]:
    """Send puts at a fixed rate; return how many seconds each took."""
    connections = [await Connection().open(port) for _ in range(CONNECTIONS)]
    loop, tasks = asyncio.get_running_loop(), []
    began = loop.time()
    for number in range(int(rate * seconds)):
        wait = began + number / rate - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        message = request("PutItem", {"TableName": TABLE, "Item": item(number, 1000)})
        tasks.append(loop.create_task(connections[number % CONNECTIONS].send(message)))
    return await asyncio.gather(*tasks)


async def fill(port: int, count: int) -> None:
    connections = [await Connection().open(port) for _ in range(4)]

    async def run(part: int) -> None:
        for first in range(part * AT_ONCE, count, 4 * AT_ONCE):
            puts = [{"PutRequest": {"Item": item(number, count)}}
                    for number in range(first, min(first + AT_ONCE, count))]
            await connections[part].send(request("BatchWriteItem", {"RequestItems": {TABLE: puts}}))

    await asyncio.gather(*(run(part) for part in range(4)))


def arrivals(url: str, after: int) -> tuple[list[dict], int]:
    """The deliveries in the journal after an event, and the number of the newest event."""
    found = []
    while True:
        page = ask(url, "GET", f"events?after={after}")
        if not page["events"]:
            return found, after
        after = page["events"][-1]["n"]
        found += [event for event in page["events"] if event["kind"] == "delivery"]


def until_delivered(url: str) -> None:
    while ask(url, "GET", "status")["deliveries_waiting"]:
        time.sleep(0.05)


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


def play(seconds: float, backlog: int) -> None:
    running, _ = process.up(network="instant", seed=1)
    url = running.url
    make_table(url)
    ask(url, "PUT", "world/lag", {"value": LAG_S})
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, replication.py, "
          f"lag set to {LAG_S * 1000:.0f} ms, {len(REGIONS)} Regions, {seconds:g} s per rate")
    print(f"{'writes/s':>16}{'arrivals':>10}{'added p50 ms':>14}{'added p99 ms':>14}{'answered p50 ms':>17}"
          f"{'answered p99 ms':>17}")
    for rate in RATES:
        after = arrivals(url, 0)[1]
        began, took, found = time.monotonic(), [], []
        while time.monotonic() - began < seconds:  # in parts that fit into the journal
            took += asyncio.run(offer(running.port, rate, min(seconds, 4000 / rate)))
            until_delivered(url)
            more, after = arrivals(url, after)
            found += more
        added = [event["lag_ms"] + event["late_ms"] - LAG_S * 1000 for event in found]
        print(f"{rate:>16}{len(found):>10}{percentile(added, 0.5):>14.2f}{percentile(added, 0.99):>14.2f}"
              f"{percentile(took, 0.5) * 1000:>17.2f}{percentile(took, 0.99) * 1000:>17.2f}")
    ask(url, "PUT", f"world/isolate/{REGIONS[0]}")
    asyncio.run(fill(running.port, backlog))
    waiting = ask(url, "GET", "status")["deliveries_waiting"]
    ask(url, "DELETE", "world")
    began, answered = time.perf_counter(), []
    while ask(url, "GET", "status")["deliveries_waiting"]:
        before = time.perf_counter()
        asyncio.run(offer(running.port, 10, 0.1))
        answered.append((time.perf_counter() - before) * 1000)
        time.sleep(0.1)
    took = time.perf_counter() - began
    print(f"backlog of {backlog} writes after a partition: {waiting} deliveries in {took:.1f} s, "
          f"{waiting / took:.0f} per second; a put during this time: median {statistics.median(answered):.0f} ms, "
          f"slowest {max(answered):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0, help="for each rate")
    parser.add_argument("--backlog", type=int, default=100_000, help="writes during the partition")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtlab-replication-", ignore_cleanup_errors=True) as home:
        os.environ["GTLAB_HOME"] = home
        try:
            play(options.seconds, options.backlog)
        finally:
            process.down()


if __name__ == "__main__":
    main()
