"""``python -m gtlab.localcloud.proof``: run the simulation and report what it did.

A random life of the local cloud under a simulated clock, and its verdict. Customers write in every Region and change
which Regions are members, while Regions, links, the process and its clock fail. Then everything is mended, and must be
as CONTRIBUTING.md says. The same seed and hours do the same again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from gtlab.localcloud.proof.oracle import Violation
from gtlab.localcloud.proof.schedule import HOUR
from gtlab.localcloud.proof.simulated import BEGAN, Simulated
from gtlab.localcloud.proof.simulation import KINDS, Simulation


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gtlab.localcloud.proof", description=__doc__.split("\n\n")[1])
    parser.add_argument("--hours", type=_hours, default=1000.0, help="simulated time; default: 1000")
    parser.add_argument("--seed", type=int, help="default: a random one, which is printed")
    parser.add_argument("--only", choices=KINDS, help="global tables of one kind only; default: all")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    only = f" --only {options.only}" if options.only else ""
    again = f"{parser.prog} --hours {options.hours:.12g} --seed {seed}{only}"
    print(f"Seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gtlab-simulation-", dir=memory()) as folder:
        simulation = Simulation(Path(folder), seed, options.only)
        bar = tqdm(total=options.hours, unit="h", bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} simulated hours "
                                                             "[{elapsed}<{remaining}]")
        try:
            with bar:
                simulation.run(options.hours, lambda hours: bar.update(hours - bar.n))
        except Violation as violation:
            print(f"\nVIOLATED: {violation}\n\nAfter {(simulation.cloud.true - BEGAN) / HOUR:.2f} simulated hours, "
                  f"seed {seed}. To see it again:\n  {again}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            hours = (simulation.cloud.true - BEGAN) / HOUR
            print(f"\nStopped after {hours:.2f} simulated hours; until then nothing was violated.", file=sys.stderr)
            return 130
        finally:
            simulation.close()
        print(report(simulation.cloud, time.monotonic() - began))
        print(f"No violations. Digest {simulation.digest()[:16]}. The same again: {again}")
    return 0


def memory() -> str | None:
    """A folder in memory, if the system has one: the simulation need not wait for a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def report(cloud: Simulated, wall_s: float) -> str:
    """What was done, as a table in plain text."""
    simulated_s = cloud.true - BEGAN
    lines = ["", f"{simulated_s / HOUR:,.1f} simulated hours in {wall_s:.1f} s: {simulated_s / wall_s:,.0f} simulated "
                 "seconds per second"]
    for title, counts in (("Calls", cloud.calls), ("Refused, by code", cloud.refused),
                          ("What happened", cloud.happened), ("Checks made", cloud.judge.made)):
        lines += ["", f"{title}: {sum(counts.values()):,}", *_rows(counts)]
    return "\n".join([*lines, ""])


def _rows(counts: Counter[str]) -> list[str]:
    return [f"  {number:>10,}  {name}" for name, number in sorted(counts.items(), key=lambda entry: -entry[1])]


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 1e6:
        raise argparse.ArgumentTypeError("a number of hours above 0, at most a million")
    return hours

