"""Does the server's memory stay constant under a steady load on a global table of three Regions?

Calls are sent at fixed times, whether or not earlier ones were answered: 100 writes and 200 reads per second, spread
over the Regions, on the fast network. Memory is the resident set size of the server. Usage: python benchmarks/soak.py
[MINUTES] [WRITES PER SECOND] [READS PER SECOND]
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from crashes import REGIONS, TABLE, client, make_table

from gtlab.localcloud import process

ITEMS = 1000
WARM_UP = 1 / 2       # of the run: until the streams and the journal hold their maximum
EVERY_S = 10.0
THREADS = 4           # for each Region and kind of call


class Load:
    """Calls of one kind in one Region at a fixed rate, made by a few threads that share the schedule."""

    def __init__(self, url: str, region: str, kind: str, rate: float, until: float):
        self.region, self.kind, self.rate, self.until = region, kind, rate, until
        self.took_ms: list[float] = []
        self.late, self.failed = 0, []
        self._url, self._began, self._next, self._turn = url, time.monotonic(), 0, threading.Lock()
        self.threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def _run(self) -> None:
        at = client(self._url, self.region)
        while True:
            with self._turn:
                number, self._next = self._next, self._next + 1
            due = self._began + number / self.rate
            if due > self.until:
                return
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            elif wait < -1.0:
                self.late += 1
            began = time.perf_counter()
            try:
                self._call(at, number)
            except Exception as error:  # every error is counted and shown
                self.failed.append(repr(error))
            self.took_ms.append((time.perf_counter() - began) * 1000)

    def _call(self, at, number: int) -> None:
        key = {"id": {"S": f"item {number % ITEMS}"}}
        if self.kind == "write":
            at.put_item(TableName=TABLE, Item=key | {"v": {"N": str(number)}, "by": {"S": self.region},
                                                     "text": {"S": "x" * 200}})
        else:
            at.get_item(TableName=TABLE, Key=key)


def memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def play(minutes: float, writes: float, reads: float) -> None:
    running, _ = process.up(network="fast", seed=1)
    make_table(running.url)
    began = time.monotonic()
    until = began + minutes * 60
    loads = [Load(running.url, region, kind, rate / len(REGIONS), until)
             for region in REGIONS for kind, rate in (("write", writes), ("read", reads))]
    for load in loads:
        for thread in load.threads:
            thread.start()
    samples: list[tuple[float, float]] = []
    print("   minute  memory MB", flush=True)
    while time.monotonic() < until:
        samples.append((time.monotonic() - began, memory_mb(running.pid)))
        if len(samples) % 6 == 1:
            print(f"{samples[-1][0] / 60:>9.1f}  {samples[-1][1]:>9.1f}", flush=True)
        time.sleep(EVERY_S)
    for load in loads:
        for thread in load.threads:
            thread.join()
    samples.append((time.monotonic() - began, memory_mb(running.pid)))
    kept = [sample for sample in samples if sample[0] >= minutes * 60 * WARM_UP]
    slope, _ = statistics.linear_regression([at / 3600 for at, _ in kept], [size for _, size in kept])
    took = {kind: sorted(ms for load in loads if load.kind == kind for ms in load.took_ms)
            for kind in ("write", "read")}
    failed = [fault for load in loads for fault in load.failed]
    seconds = time.monotonic() - began
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, soak.py, "
          f"{minutes:g} minutes")
    for kind, values in took.items():
        print(f"{kind}s per second {len(values) / seconds:>8.1f}   p50 {values[len(values) // 2]:.1f} ms, "
              f"p99 {values[int(len(values) * 0.99)]:.1f} ms")
    print(f"calls sent more than one second late {sum(load.late for load in loads)}, failed {len(failed)} {failed[:3]}")
    print(f"memory: {samples[0][1]:.0f} MB at the start, {kept[0][1]:.1f} after warm-up (half of the run), "
          f"{kept[-1][1]:.1f} at the end, maximum {max(size for _, size in kept):.1f}")
    on_disk = sum(path.stat().st_size for path in process.state_folder().glob("cloud.sqlite3*")) / 2**20
    print(f"slope after warm-up {slope:+.1f} MB per hour; on disk {on_disk:.0f} MB")


def main() -> None:
    numbers = [float(argument) for argument in sys.argv[1:]] + [30.0, 100.0, 200.0][len(sys.argv) - 1:]
    with tempfile.TemporaryDirectory(prefix="gtlab-soak-", ignore_cleanup_errors=True) as home:
        os.environ["GTLAB_HOME"] = home
        try:
            play(*numbers)
        finally:
            process.down()


if __name__ == "__main__":
    main()
