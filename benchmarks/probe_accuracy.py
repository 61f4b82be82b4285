"""How accurate is each way to measure replication lag: the article's loop, a simple polling loop, and gtlab's?

The journal of the local cloud records when each write was committed and when it took effect in another Region; no
measurement reads it. In one run, each way is compared with the true lags of its own writes: how often its interval
contains the true value, how wide it is, and how far its median and its 99th percentile are from the true ones.
The article's loop gives not an interval but a number, the time of the get. All callers are in the source Region (knob
"caller"), so that its `aws` command sees the distance.

Usage: python benchmarks/probe_accuracy.py [PROBES] [--network N] [--source R] [--target R] [--loop N] [--polled N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

import gtlab
from gtlab import measure, stages
from gtlab.contract import NETWORKS
from gtlab.lab import Lab
from gtlab.localcloud import process

SLEEP_S = 2.0
AWS = shutil.which("aws", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def key() -> dict:
    return {"Artist": {"S": f"item_{uuid.uuid4().hex}"}, "SongTitle": {"S": "Song Value"}}


def article(lab: Lab, source: str, target: str, times: int) -> pd.DataFrame:
    """Put, sleep two seconds, time the get as a command, and take this time for the lag."""
    rows = []
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "gtlab", "AWS_SECRET_ACCESS_KEY": "gtlab", "AWS_PAGER": "",
                                "AWS_ENDPOINT_URL": lab.client(target).meta.endpoint_url, "NO_PROXY": "127.0.0.1"}
    for _ in range(times):
        item = key()
        lab.client(source).put_item(TableName="Music", Item=item)
        time.sleep(SLEEP_S)  # as the article does
        began = time.perf_counter()
        subprocess.run([AWS, "dynamodb", "get-item", "--table-name", "Music", "--key", json.dumps(item),
                        "--region", target], env=environment, check=True, capture_output=True)
        took_ms = (time.perf_counter() - began) * 1000
        rows.append((item["Artist"]["S"], took_ms, took_ms, took_ms))
    return pd.DataFrame(rows, columns=["artist", "low", "high", "estimate"])


def polled(lab: Lab, source: str, target: str, times: int) -> pd.DataFrame:
    """Put, then get repeatedly until a get finds the item; the estimate starts at the answer to the put."""
    rows = []
    for _ in range(times):
        item, missed = key(), 0.0
        sent = time.perf_counter()
        lab.client(source).put_item(TableName="Music", Item=item)
        acknowledged = time.perf_counter()
        while True:
            asked = time.perf_counter()
            if "Item" in lab.client(target).get_item(TableName="Music", Key=item):
                break
            missed = asked
        seen = time.perf_counter()
        rows.append((item["Artist"]["S"], max(0.0, missed - acknowledged) * 1000, (seen - sent) * 1000,
                     (seen - acknowledged) * 1000))
    return pd.DataFrame(rows, columns=["artist", "low", "high", "estimate"])


def truth(lab: Lab, target: str) -> pd.DataFrame:
    """The true lag for each item's Artist: from the commit until the item was in the target Region."""
    events = lab.events(table="Music", kinds=["write", "delivery"])
    events["artist"] = events["key"].str.partition(" / ")[0]
    there = events[(events["kind"] == "delivery") & (events["region"] == target) & ~events["deleted"].fillna(False)]
    return there.set_index("artist")[["lag_ms"]].rename(columns={"lag_ms": "true"})


def judged(name: str, found: pd.DataFrame, true: pd.DataFrame) -> str:
    both = found.join(true, on="artist")
    assert both["true"].notna().all(), "the journal no longer has some of the writes: use fewer probes"
    holds = ((both["low"] <= both["true"]) & (both["true"] <= both["high"])).mean() * 100
    median = both["estimate"].median() - both["true"].median()
    p99 = np.percentile(both["estimate"], 99) - np.percentile(both["true"], 99)
    width = (both["high"] - both["low"]).median()
    return f"{name:<38}{len(both):>7}{holds:>11.2f}{width:>11.1f}{median:>+14.1f}{p99:>+12.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probes", type=int, nargs="?", default=500)
    parser.add_argument("--network", choices=NETWORKS, default="realistic")
    parser.add_argument("--source", default="ap-southeast-1")
    parser.add_argument("--target", default="us-east-1")
    parser.add_argument("--loop", type=int, default=9, help="iterations of the article's loop (in the article: nine)")
    parser.add_argument("--polled", type=int, default=50, help="iterations of the simple polling loop")
    asked = parser.parse_args()
    with process.throwaway(asked.network, seed=7):
        lab = gtlab.connect(home=asked.source, replicas=[asked.target])
        with contextlib.redirect_stdout(sys.stderr):
            stages.ensure_global_table(lab)
        lab.world.caller(asked.source)
        lines = []
        if AWS and asked.loop:
            found = article(lab, asked.source, asked.target, asked.loop)
            lines.append(judged("the article's loop (a number)", found, truth(lab, asked.target)))
        if asked.polled:
            found = polled(lab, asked.source, asked.target, asked.polled)
            lines.append(judged("simple polling loop", found, truth(lab, asked.target)))
        before = lab.events()["n"].max()
        began = time.perf_counter()
        lags = measure.replication_lag(lab, "Music", asked.source, asked.target, asked.probes)
        took = time.perf_counter() - began
        true = truth(lab, asked.target)
        artists = lab.events(int(before), kinds=["write"], table="Music")["key"].str.partition(" / ")[0]
    prefix = artists.iloc[0].rpartition("-")[0]
    lags["artist"] = [f"{prefix}-{probe}" for probe in lags["probe"]]
    for name, kind in (("gtlab, hard interval", "hard"), ("gtlab, refined interval", "lag")):
        found = pd.DataFrame({"artist": lags["artist"], "low": lags[f"{kind}_min_ms"], "high": lags[f"{kind}_max_ms"]})
        lines.append(judged(name, found.assign(estimate=(found["low"] + found["high"]) / 2), true))
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, probe_accuracy.py, "
          f"{asked.network} network, {asked.source} to {asked.target}")
    print(f"{'':<38}{'probes':>7}{'correct %':>11}{'width ms':>11}{'median error':>14}{'P99 error':>12}")
    print("\n".join(lines))
    visible = (lags["visible_max_ms"] - lags["visible_min_ms"]).median()
    print(f"gtlab took {took:.0f} s. Errors in ms. Round trip: smallest {lags['rtt_ms'].iloc[0]:.0f} ms, median "
          f"{lags['get_ms'].iloc[0]:.0f} ms. Width of the arrival alone: {visible:.1f} ms. "
          f"Polls late (P99): {lags.attrs['polls_late_p99_ms'][asked.target]:.1f} ms.")


if __name__ == "__main__":
    main()
