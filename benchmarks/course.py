"""How many seconds does each notebook of the course take without a browser, and how many of them does it compute?

For comparison, an empty notebook is run in the same way (papermill, and a kernel that starts and ends). Each notebook
starts with a new local cloud, because a learner may open any of them first, and has its exercises solved. The CPU
seconds are those of the kernel, of the local cloud, and of the temporary clouds that judge an exercise. In the other
seconds the notebook measures, or waits for the simulated world: a reader reads on. tests/test_instructors.py compares
the minutes in the notebooks' headers with the seconds in RESULTS.md.

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

import nbformat

from gtlab import tour
from gtlab.localcloud import process

EMPTY_RUNS = 3


def seconds(notebook: Path, network: str, solve: bool) -> tuple[float, float]:
    """How long a notebook takes, and the CPU seconds of the processes that it starts."""
    before = cpu_s()
    with tempfile.TemporaryDirectory() as out, process.throwaway(network):
        result, = tour.run([notebook], {}, Path(out), solve=solve)
    if not result.ok:
        sys.exit(f"{notebook.name}: {result.error}")
    return result.seconds, cpu_s() - before


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
        floor, floor_cpu = map(statistics.median, zip(*(seconds(empty, network, False) for _ in range(EMPTY_RUNS)),
                                                      strict=True))
    took = {notebook.stem: seconds(notebook, network, True) for notebook in tour.find_notebooks()}
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, course.py, {network}")
    print(f"{'':<32}{'seconds':>8}{'CPU s':>8}{'over the floor':>16}")
    print(f"{'an empty notebook (floor)':<32}{floor:>8.1f}{floor_cpu:>8.1f}")
    for name, (each, cpu) in took.items():
        print(f"{name:<32}{each:>8.1f}{cpu:>8.1f}{each / floor:>15.1f}x")
    all_s, all_cpu = map(sum, zip(*took.values(), strict=True))
    print(f"{'all':<32}{all_s:>8.1f}{all_cpu:>8.1f}{all_s / (len(took) * floor):>15.1f}x")


if __name__ == "__main__":
    main()
