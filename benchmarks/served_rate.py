"""How many puts and gets per second do one boto3 client and sixteen achieve, and how long does each call take?

In one run, the local cloud (a global table of three Regions, instant network, state on disk as usual) is compared with
a server that answers `{}` to every request, which is the upper limit for anything that boto3 calls; with moto's server;
and with ministack's own server, whose DynamoDB module was the engine of gtlab 0.1. The last two do not replicate.

One client is measured twice: where the operating system places it and the server, and with both on one core. On two
cores, each process sleeps while the other works. How long a core takes to wake up depends on the machine (a virtual
machine above all) and on how long it has slept, so a small difference between servers becomes larger. On one core
neither process sleeps, and work that a server does after its answer counts as much as work before it.

Usage: python benchmarks/served_rate.py [--calls N] [--rounds N] [--moto PYTHON] [--against FOLDER …]
(`make bench` passes a Python with moto.)

The servers are asked in turns. The column "of first" has the median of the rounds' ratios to the first server, and the
interval that contains it with a confidence of 95 %.

`--against` compares only with the gtlab of other checkouts, for instance of an earlier commit, in each of which
`make setup` was run. With a copy of the first one among them, the figures show how far the machine can be trusted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import boto3
import scipy.stats
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from crashes import REGIONS, TABLE, make_table

from gtlab.localcloud import process

FLOOR = """
import uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=PORT, lifespan="off", log_level="critical", http="httptools", access_log=False)
"""
CLIENTS = (1, 16)
FREE, ONE_CORE = "", ", one core"
PLACES = (FREE, ONE_CORE) if hasattr(os, "sched_setaffinity") else (FREE,)


def client(url: str):
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=64, proxies={})
    return boto3.client("dynamodb", region_name=REGIONS[0], endpoint_url=url, aws_access_key_id="gtlab",
                        aws_secret_access_key="gtlab", config=config)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def served(command: Callable[[int], list[str]], environment: Callable[[int], dict[str, str]] = lambda port: {}
           ) -> Iterator[tuple[str, int]]:
    """Start a server with a command; give its URL and process ID. It has no tables yet."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
                                   env=os.environ | {"HOME": folder} | environment(port))
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client(url).list_tables()
                    break
                except Exception:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise
                    time.sleep(0.1)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def gtlab_cloud() -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["GTLAB_HOME"] = home
        try:
            running, _ = process.up(network="instant", seed=1)
            make_table(running.url)
            yield running.url, running.pid
        finally:
            process.down()


@contextlib.contextmanager
def gtlab_cloud_of(checkout: Path) -> Iterator[tuple[str, int]]:
    """The local cloud of another checkout, started and stopped by that checkout's own command."""
    command = [str(checkout.absolute() / ".venv/bin/python"), "-m", "gtlab"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        def gtlab(*arguments: str) -> str:
            return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, cwd=checkout,
                                  env=os.environ | {"GTLAB_HOME": home}).stdout
        try:
            gtlab("up", "--network", "instant", "--seed", "1")
            running = json.loads(gtlab("status", "--json"))
            make_table(running["url"])
            yield running["url"], running["pid"]
        finally:
            gtlab("down")


@contextlib.contextmanager
def with_table(server: contextlib.AbstractContextManager[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    with server as (url, pid):
        client(url).create_table(TableName=TABLE, BillingMode="PAY_PER_REQUEST",
                                 AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                                 KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
        yield url, pid


@contextlib.contextmanager
def placed(pids: Sequence[int], place: str) -> Iterator[None]:
    """Run this process and others, with all their threads, on one core if ``place`` is ONE_CORE."""
    if place != ONE_CORE:
        yield
        return
    everywhere = os.sched_getaffinity(0)
    tasks = [int(task.name) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]

    def place_on(cores: set[int]) -> None:
        for task in (0, *tasks):
            with contextlib.suppress(ProcessLookupError):  # a thread that has ended
                os.sched_setaffinity(task, cores)

    try:
        place_on({min(everywhere)})
        yield
    finally:
        place_on(everywhere)


def put(at, number: int) -> None:
    at.put_item(TableName=TABLE, Item={"id": {"S": f"item {number % 1000}"}, "n": {"N": str(number)},
                                       "text": {"S": "x" * 100}})


def get(at, number: int) -> None:
    at.get_item(TableName=TABLE, Key={"id": {"S": f"item {number % 1000}"}})


def measured(clients: Sequence, call: Callable, calls: int, first: int) -> tuple[float, list[float]]:
    """The calls per second of all clients together, and the ms that each call took, with items from ``first`` on."""
    took: list[float] = []

    def run(at, numbers: range) -> None:
        try:
            call(at, numbers[0])
        except ConnectionClosedError:  # the server closed an idle connection
            call(at, numbers[0])
        ready.wait()
        for number in numbers:
            began = time.perf_counter()
            call(at, number)
            took.append((time.perf_counter() - began) * 1000)

    ready, each = threading.Barrier(len(clients) + 1), calls // len(clients)
    threads = [threading.Thread(target=run, args=(at, range(first + number * each, first + (number + 1) * each)))
               for number, at in enumerate(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - began), sorted(took)


def compared_servers(moto: Path | None) -> dict[str, contextlib.AbstractContextManager[tuple[str, int]]]:
    """The servers by name. The first is the upper limit."""
    servers: dict[str, contextlib.AbstractContextManager[tuple[str, int]]] = {
        "a server that answers {} (floor)": served(
            lambda port: [sys.executable, "-c", FLOOR.replace("PORT", str(port))]),
        "gtlab, three replicas": gtlab_cloud(),
        "ministack's own server": with_table(served(
            lambda port: [sys.executable, "-m", "ministack"], lambda port: {"GATEWAY_PORT": str(port)})),
    }
    if moto:
        servers["moto's server"] = with_table(served(
            lambda port: [str(moto.absolute()), "-m", "moto.server", "-p", str(port)]))
    return servers


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=320, help="for each round")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--moto", type=Path, help="a Python in which moto's server is installed")
    parser.add_argument("--against", type=Path, nargs="+", help="other checkouts of gtlab, to compare with them only")
    options = parser.parse_args()
    if options.against:
        servers = {f"gtlab in {folder.name}": gtlab_cloud_of(folder) for folder in options.against}
        servers["gtlab of this checkout"] = gtlab_cloud()
    else:
        servers = compared_servers(options.moto)
    rates: dict[tuple[str, str, str], list[tuple[float, list[float]]]] = {}
    with contextlib.ExitStack() as stack:
        started = {name: stack.enter_context(server) for name, server in servers.items()}
        clients = {name: [client(url) for _ in range(max(CLIENTS))] for name, (url, _) in started.items()}
        pids = [pid for _, pid in started.values()]
        ways = [(count, place) for count in CLIENTS for place in (PLACES if count == 1 else (FREE,))]
        # Short rounds in turn, so that a slow phase of the machine affects all servers; ratios are within a round.
        for number in range(-1, options.rounds):
            for call in (put, get):
                for count, place in ways:
                    with placed(pids, place):
                        for name, of_server in random.sample(list(clients.items()), len(clients)):
                            found = measured(of_server[:count], call, options.calls, (number + 1) * options.calls)
                            if number >= 0:  # the first round is for warming up
                                rates.setdefault((name, call.__name__, f"{count}{place}"), []).append(found)
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, served_rate.py, "
          f"boto3 {boto3.__version__}, medians of {options.rounds} rounds of {options.calls} calls")
    print(f"{'':<34}{'call':>5}{'clients':>13}{'per second':>12}{'of first':>10}{'p50 ms':>23}{'p99 ms':>8}")
    first, order = next(iter(servers)), list(servers)
    for (name, call, clients), rounds in sorted(rates.items(), key=lambda each: (
            int(each[0][2].split(",")[0]), each[0][2], each[0][1], order.index(each[0][0]))):
        rate = statistics.median(rate for rate, _ in rounds)
        firsts = rates[first, call, clients]
        ratios = [mine[0] / its[0] for mine, its in zip(rounds, firsts, strict=True)]
        interval = scipy.stats.quantile_test(ratios).confidence_interval(0.95)
        shown = "" if name == first else f"[{interval.low:.3f}, {interval.high:.3f}]"
        p50, p99 = (statistics.median(took[int(len(took) * part)] for _, took in rounds) for part in (0.5, 0.99))
        print(f"{name:<34}{call:>5}{clients:>13}{rate:>12.0f}{statistics.median(ratios):>10.3f} {shown:<14}"
              f"{p50:>8.2f}{p99:>8.2f}")


if __name__ == "__main__":
    main()
