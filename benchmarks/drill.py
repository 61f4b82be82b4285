"""What do a failover drill and the other measurements find, beside the values that they should find?

- The recovery time of drills whose outage lets requests time out. A client cannot know of the outage before its
  timeout, which is the floor.
- The acknowledged writes that are missing at the failover, beside the writes that the drill sends during one
  replication lag, where the lag is fixed.
- The requests that `measure.plan` expects, beside those that `measure.replication_lag` sends.
- The median and the 99th percentile of `measure.latency`, beside the simulated round trip, which is the floor.

Everything runs on the realistic network (simulated).

Usage: python benchmarks/drill.py [DRILLS]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys

import pandas as pd

import gtlab
from gtlab import drill, measure, regions, stages
from gtlab.lab import Lab
from gtlab.localcloud import process

TIMEOUT_S, RATE, LAG_S = 1.0, 20.0, 1.0
SAMPLES = 100


def drills(lab: Lab, times: int) -> pd.DataFrame:
    """The summaries of several drills, one per row."""
    clients = {region: lab.new_client(region, connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S,
                                      retries={"mode": "standard", "total_max_attempts": 1}) for region in lab.regions}
    with lab.world.lag(LAG_S):
        return pd.concat([drill.summary(drill.run(lab, "Music", clients, lambda: lab.world.outage(lab.home), rate=RATE))
                          for _ in range(times)])


def line(what: str, found: float, floor: float, unit: str) -> str:
    return f"{what:<52}{found:>10.0f}{floor:>10.0f} {unit:<8}{found / floor:>6.2f}x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drills", type=int, nargs="?", default=5)
    times = parser.parse_args().drills
    with process.throwaway("realistic", seed=7):
        lab = gtlab.connect()
        with contextlib.redirect_stdout(sys.stderr):
            stages.ensure_global_table(lab)
        drilled = drills(lab, times)
        planned = measure.plan(lab, "Music", samples=SAMPLES).groupby("what")["requests"].sum()
        lags = measure.replication_lag(lab, "Music", samples=SAMPLES)
        sent = pd.DataFrame(lags.attrs["sent"]).groupby("what")["requests"].sum()
        lab.world.caller(lab.home)
        calls = measure.latency(lab, "Music", samples=SAMPLES)
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, drill.py, {times} drills")
    print(f"{'':<52}{'found':>10}{'expected':>10}{'':<9}{'ratio':>7}")
    recovery, writes, missing = (drilled[column] for column in ("recovery_ms", "missing_writes", "missing_ms"))
    print(line("Recovery, median; a client's timeout", recovery.median(), TIMEOUT_S * 1000, "ms"))
    print(line("Recovery, largest", recovery.max(), TIMEOUT_S * 1000, "ms"))
    print(line("Missing, median; writes sent during one lag", writes.median(), RATE * LAG_S, "writes"))
    print(line("Missing, median; the lag", missing.median(), LAG_S * 1000, "ms"))
    for what, count in sent.items():
        print(line(f"requests of replication_lag, {what}; the plan's", count, planned[what], ""))
    answered = calls[calls["error"].isna()]
    for region, each in answered[answered["operation"] == "get"].groupby("region", sort=False)["ms"]:
        floor = regions.rtt_ms(lab.home, region)
        print(line(f"get from {region}, median; the round trip", each.median(), floor, "ms"))
        print(line(f"get from {region}, 99th percentile", each.quantile(0.99), floor, "ms"))


if __name__ == "__main__":
    main()
