"""How many seconds does each notebook of the course take without a browser, and how many of them does it compute?

For comparison, an empty notebook is run in the same way (papermill, and a kernel that starts and ends). Each notebook
starts with a new local cloud, because a learner may open any of them first, and has its exercises solved. The CPU
seconds are those of the kernel, of the local cloud, and of the temporary clouds that judge an exercise. *Waits* are the
seconds in which a cell only waits for tables or items and shows its progress. tests/test_instructors.py compares the
minutes in the notebooks' headers with the seconds in RESULTS.md.

Usage: python benchmarks/course.py [NETWORK]
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat

from gtlab import tour
from gtlab.localcloud import process

EMPTY_RUNS = 3
# Runs in each kernel before the first cell: writes down how long each wait took.
NOTES_WAITS = """
import os, time
from gtlab.lab import watch

def noting(*arguments, watching=watch._watch):
    began = time.monotonic()
    try:
        return watching(*arguments)
    finally:
        with open(os.environ["IPYTHONDIR"] + "/waits", "a") as file:
            print(time.monotonic() - began, file=file)

watch._watch = noting
"""


class Took(NamedTuple):
    """How long a notebook took, the CPU seconds of the processes that it started, and how long its cells waited."""

    seconds: float
    cpu_s: float
    waits_s: float


def run(notebook: Path, network: str, solve: bool) -> Took:
    """Run a notebook on a new local cloud."""
    before = cpu_s()
    with tempfile.TemporaryDirectory() as folder, process.throwaway(network):
        startup = Path(folder) / "profile_default/startup"
        startup.mkdir(parents=True)
        (startup / "00.py").write_text(NOTES_WAITS, encoding="utf-8")
        result, = tour.run([notebook], {}, Path(folder) / "out", solve=solve,
                           kernels=tour.Kernels(env={"IPYTHONDIR": folder}))
        waits = Path(folder) / "waits"
        waits_s = sum(map(float, waits.read_text(encoding="utf-8").split())) if waits.exists() else 0.0
    if not result.ok:
        sys.exit(f"{notebook.name}: {result.error}")
    return Took(result.seconds, cpu_s() - before, waits_s)


def cpu_s() -> float:
    """The CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    network = sys.argv[1] if len(sys.argv) > 1 else "realistic"
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass")], metadata={"kernelspec": {
            "name": "python3", "display_name": "Python 3", "language": "python"}}), empty)
        empties = [run(empty, network, False) for _ in range(EMPTY_RUNS)]
    floor = Took(*map(statistics.median, zip(*empties, strict=True)))
    took = {notebook.stem: run(notebook, network, True) for notebook in tour.find_notebooks()}
    took["all"] = Took(*map(sum, zip(*took.values(), strict=True)))
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, course.py, {network}")
    print(f"{'':<32}{'seconds':>8}{'CPU s':>8}{'waits':>8}{'of all':>8}")
    for name, each in {"an empty notebook (floor)": floor, **took}.items():
        share = each.waits_s / each.seconds
        print(f"{name:<32}{each.seconds:>8.1f}{each.cpu_s:>8.1f}{each.waits_s:>8.1f}{share:>8.0%}")


if __name__ == "__main__":
    main()
