"""How long do the calls of the bare engine take, without HTTP, disk or replication?

In one run, the engine is compared with `ministack`, the library that gtlab's engine was until 0.1 (with the two
functions replaced that gtlab replaced: it would recount a table's items at each write), and with moto. (ministack keeps
no index: it reads the whole table for each query of one.) Each runs in a
process of its own; the three take turns, round by round. A call goes in as the body of a request (JSON) and comes out
as the body of an answer; the time is the processor's, so other programs disturb it little. The ratio is the median of
the rounds' ratios: above 1, gtlab is faster. All engines allocate memory as gtlab's server does (``process.MALLOC``).

The last lines are memory: what a table of items of 200 bytes adds to the process, per item.

Usage: python benchmarks/engine.py [--moto PYTHON] [--rounds N]   (`make bench` passes a Python with moto.)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ACCOUNT, REGION, NOW = "111111111111", "us-east-1", 1_700_000_000.0
ITEMS = 10_000  # in 100 partitions
TABLES = {
    "Music": {}, "Indexed": {"GlobalSecondaryIndexes": [{
        "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"}}]}}
Answer = Callable[[str, bytes], bytes]  # an operation and a request's body


def create(name: str) -> dict:
    more = TABLES[name]
    keys = [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("psg" if more else "ps")]
    return {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys,
            "AttributeDefinitions": attributes, **more}


def item(number: int) -> dict:
    return {"p": {"S": f"artist {number // 100}"}, "s": {"S": f"song {number % 100:03}"}, "n": {"N": str(number)},
            "g": {"S": f"group {number % 100}"}, "text": {"S": "x" * 150}}


def key(number: int) -> dict:
    return {name: value for name, value in item(number).items() if name in "ps"}


CASES: dict[str, tuple[int, str, Callable[[int], dict]]] = {  # calls in a round, operation, input of the nth call
    "put": (500, "PutItem", lambda n: {"TableName": "Music", "Item": item(n)}),
    "put, in an index too": (500, "PutItem", lambda n: {"TableName": "Indexed", "Item": item(n)}),
    "get": (500, "GetItem", lambda n: {"TableName": "Music", "Key": key(n)}),
    "update with a condition": (500, "UpdateItem", lambda n: {
        "TableName": "Music", "Key": key(n), "UpdateExpression": "SET n = n + :one, extra = :text",
        "ConditionExpression": "attribute_exists(p) AND n > :less", "ExpressionAttributeValues": {
            ":one": {"N": "1"}, ":text": {"S": "y"}, ":less": {"N": "-1"}}}),
    "query of 100": (50, "Query", lambda n: {
        "TableName": "Music", "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": f"artist {n % 100}"}}}),
    "query of an index, 100": (50, "Query", lambda n: {
        "TableName": "Indexed", "IndexName": "by-g", "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": f"group {n % 100}"}}}),
    "scan of 10,000": (1, "Scan", lambda n: {"TableName": "Music"}),  # with the pages that follow
    "transaction of 10": (50, "TransactWriteItems", lambda n: {"TransactItems": [
        {"Put": {"TableName": "Music", "Item": item((10 * n + at) % ITEMS)}} for at in range(10)]}),
    "PartiQL get": (5, "ExecuteStatement", lambda n: {
        "Statement": "SELECT * FROM \"Music\" WHERE p = 'artist 5' AND s = 'song 050'"}),
}


def gtlab() -> Answer:
    import msgspec

    from gtlab.localcloud import engine
    from gtlab.localcloud.model import Call

    database = engine.Database()

    def answer(operation: str, body: bytes) -> bytes:
        return engine.call(database, Call(ACCOUNT, REGION, "dynamodb", operation, msgspec.json.decode(body)), NOW)
    return answer


def ministack() -> Answer:
    import msgspec
    from ministack.core import responses
    from ministack.services import dynamodb

    class Json:
        loads, dumps = staticmethod(msgspec.json.decode), staticmethod(json.dumps)
        JSONDecodeError = msgspec.DecodeError

    dynamodb._update_counts = lambda table: None
    dynamodb._emit_stream_event = lambda *change: None
    dynamodb.json = Json
    dynamodb.json_response = lambda answer, status=200: (status, {}, msgspec.json.encode(answer))
    responses._request_account_id.set(ACCOUNT)
    responses._request_region.set(REGION)

    def answer(operation: str, body: bytes) -> bytes:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        try:
            dynamodb.handle_request("POST", "/", headers, body, {}).send(None)
        except StopIteration as done:
            return done.value[2]
        raise RuntimeError("the library waits for something")
    return answer


def moto() -> Answer:
    from moto.core.request import Request
    from moto.dynamodb.responses import DynamoHandler

    def answer(operation: str, body: bytes) -> bytes:
        request = Request.from_primitives("POST", f"https://dynamodb.{REGION}.amazonaws.com/", {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/dynamodb/aws4_request"}, body)
        return DynamoHandler.dispatch(request)[2].encode()
    return answer


def carry_out(answer: Answer, operation: str, input: dict) -> int:
    """A call; of a scan all pages. Returns the number of items in the answers."""
    count = 0
    while True:
        told = json.loads(answer(operation, json.dumps(input).encode()))
        if "__type" in told:
            raise SystemExit(f"{operation}: {told}")
        count += len(told.get("Items", ()))
        if "LastEvaluatedKey" not in told:
            return count
        input = input | {"ExclusiveStartKey": told["LastEvaluatedKey"]}


def timed_us(answer: Answer, operation: str, inputs: list[dict]) -> float:
    """Microseconds of the processor per call. Building requests and reading answers is not counted."""
    spent = 0.0
    for input in inputs:
        while True:
            body = json.dumps(input).encode()
            began = time.thread_time()
            told = answer(operation, body)
            spent += time.thread_time() - began
            if operation != "Scan":
                break
            read = json.loads(told)
            if "LastEvaluatedKey" not in read:
                break
            input = input | {"ExclusiveStartKey": read["LastEvaluatedKey"]}
    return 1e6 * spent / len(inputs)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(name: str) -> None:
    """The process of one engine: a case in, its time out; then the memory of a table."""
    answer = {"gtlab": gtlab, "ministack": ministack, "moto": moto}[name]()
    held = None
    for name in reversed(TABLES):
        carry_out(answer, "CreateTable", create(name))
        before = resident_bytes() if sys.platform == "linux" else 0
        for number in range(ITEMS):
            carry_out(answer, "PutItem", {"TableName": name, "Item": item(number)})
        held = (resident_bytes() - before) / ITEMS if before else None
    assert carry_out(answer, "Scan", {"TableName": "Music"}) == ITEMS
    assert carry_out(answer, "Query", CASES["query of 100"][2](1)) == 100
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(held, flush=True)
            continue
        calls, operation, input = CASES[line.strip()]
        print(timed_us(answer, operation, [input(n) for n in range(calls)]), flush=True)


class Engine:
    """The process of one engine, as its parent sees it."""

    def __init__(self, name: str, python: str):
        from gtlab.localcloud.process import MALLOC  # here: moto's Python, which runs this file too, has no gtlab

        self.name = name
        self._process = subprocess.Popen([python, __file__, "--serve", name], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, env=MALLOC | os.environ)

    def read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended: {self._process.wait()}")
        return line.strip()

    def ask(self, what: str) -> str:
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self.read()

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moto", help="a Python in which moto is installed")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    pythons = {"gtlab": sys.executable, "ministack": sys.executable} | ({"moto": asked.moto} if asked.moto else {})
    engines = [Engine(name, python) for name, python in pythons.items()]
    for engine in engines:
        engine.read()
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, {ITEMS:,} items, "
          f"medians of {asked.rounds} rounds, microseconds of the processor per call")
    print(f"{'':24}" + "".join(f"{engine.name:>12}" for engine in engines)
          + "".join(f"{engine.name + '/gtlab':>18}" for engine in engines[1:]))
    for case in CASES:
        times: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for round in range(asked.rounds):
            for engine in engines if round % 2 else reversed(engines):
                times[engine.name].append(float(engine.ask(case)))
        ours = times["gtlab"]
        ratios = [statistics.median(other / own for other, own in zip(times[engine.name], ours, strict=True))
                  for engine in engines[1:]]
        print(f"{case:24}" + "".join(f"{statistics.median(took):>12,.1f}" for took in times.values())
              + "".join(f"{ratio:>18.2f}" for ratio in ratios), flush=True)
    held = [engine.ask("memory") for engine in engines]
    if "None" not in held:
        print(f"{'bytes per item':24}" + "".join(f"{float(each):>12,.0f}" for each in held)
              + "".join(f"{float(each) / float(held[0]):>18.2f}" for each in held[1:]))
    for engine in engines:
        engine.end()


if __name__ == "__main__":
    main()
