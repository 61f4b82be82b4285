"""Run benchmarks one after the other and save their output in RESULTS.md, with a description of the machine.

Usage: python benchmarks [--moto PYTHON] [NAME …]; without names, all benchmarks except the long ones
(class_of_fifty, crashes, other_work, soak, turns).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
# Name of the script → its arguments.
USUAL = {"start": [], "served_rate": [], "engine": [], "replication": [], "course": [], "probe_accuracy": ["2000"],
         "drill": ["5"], "live_view": [], "stale_reads": [], "first_chart": []}
LONG = {"class_of_fifty": [], "crashes": ["100", "2026"], "other_work": [], "soak": ["30"], "turns": []}


def machine() -> str:
    """The date, the machine and its load, as a sentence."""
    cpu, memory = platform.processor() or platform.machine(), ""
    try:
        cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M).group(1)
        memory = f", {int(Path('/proc/meminfo').read_text().split()[1]) / 2**20:.0f} GiB"
    except (OSError, AttributeError):  # not Linux
        pass
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    return f"{time.strftime('%Y-%m-%d')}: {platform.system()}, {os.cpu_count()} cores ({cpu}){memory}, {load}."


def keep(name: str, text: str) -> None:
    """Replace the section with this name, or add it at the end."""
    sections = re.split(r"^(?=## )", RESULTS.read_text(), flags=re.M)
    mine = f"## {name}\n\n{text}\n"
    found = [at for at, section in enumerate(sections) if section.startswith(f"## {name}\n")]
    if found:
        sections[found[0]] = mine if found[0] == len(sections) - 1 else mine + "\n"
    else:
        sections[-1] = sections[-1].rstrip("\n") + "\n\n"
        sections.append(mine)
    RESULTS.write_text("".join(sections))


def run(name: str, arguments: list[str]) -> bool:
    on = machine()
    print(f"\n{name}: {on}", flush=True)
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = []
    for line in process.stdout:
        print(line, end="", flush=True)
        printed.append(line)
    if process.wait() == 0:
        shown = " ".join(["python", f"benchmarks/{name}.py", *arguments])
        keep(name, f"{on}\n\n```\n$ {shown}\n{''.join(printed)}```")
    return process.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks")
    known = USUAL | LONG
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"one of {', '.join(known)}; default: {', '.join(USUAL)}")
    parser.add_argument("--moto", help="a Python in which moto's server is installed, for served_rate and engine")
    asked, failed = parser.parse_args(), []
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"there is no benchmark {unknown[0]}; choose from: {', '.join(known)}")
    for name in asked.names or USUAL:
        arguments = known[name] + (["--moto", asked.moto] if asked.moto and name in ("served_rate", "engine") else [])
        if not run(name, arguments):
            failed.append(name)
    if failed:
        print(f"Failed, so the results were not saved: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
