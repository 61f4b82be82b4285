"""How many seconds does each notebook of the course take without a browser?

For comparison, an empty notebook is run in the same way (papermill, and a kernel that starts and ends). Each notebook
starts with a new local cloud, because a learner may open any of them first.

Usage: python benchmarks/course.py [NETWORK]
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

import nbformat

from gtlab import tour
from gtlab.localcloud import process

EMPTY_RUNS = 3


def seconds(notebook: Path, network: str) -> float:
    with tempfile.TemporaryDirectory() as out, process.throwaway(network):
        result, = tour.run([notebook], {}, Path(out))
    if not result.ok:
        sys.exit(f"{notebook.name}: {result.error}")
    return result.seconds


def main() -> None:
    network = sys.argv[1] if len(sys.argv) > 1 else "realistic"
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass")], metadata={"kernelspec": {
            "name": "python3", "display_name": "Python 3", "language": "python"}}), empty)
        floor = statistics.median(seconds(empty, network) for _ in range(EMPTY_RUNS))
    took = {notebook.stem: seconds(notebook, network) for notebook in tour.find_notebooks()}
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, course.py, {network}")
    print(f"{'':<32}{'seconds':>8}{'over the floor':>16}")
    print(f"{'an empty notebook (floor)':<32}{floor:>8.1f}")
    for name, each in took.items():
        print(f"{name:<32}{each:>8.1f}{each / floor:>15.1f}x")
    print(f"{'all':<32}{sum(took.values()):>8.1f}")


if __name__ == "__main__":
    main()
