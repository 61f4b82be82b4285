"""How many seconds after Run All does the first notebook show its map, the first picture of the course?

JupyterLab runs as `gtlab lab` opens it, with the kernel ready and the local cloud running (realistic network). The time
is from the command Run All until the picture has been drawn in the page. For comparison (floor), the same for a
notebook with a single cell that shows a bare plotly figure. Needs chromium, and a quiet machine.

Usage: python benchmarks/first_chart.py [ROUNDS]
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browser

from gtlab.localcloud import process

BARE = "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2]))"
# The time in the page, so that the distance between this process and the browser is not in it.
TIMED = """selector => new Promise(done => {
    const began = performance.now();
    const look = () => document.querySelector(selector)
        ? requestAnimationFrame(() => done((performance.now() - began) / 1000)) : requestAnimationFrame(look);
    window.jupyterapp.commands.execute('notebook:run-all-cells');
    look();
})"""


def seconds(jupyter: browser.Jupyter, chromium, notebook: str, drawn: str) -> float:
    with browser.watched_page(chromium) as page:
        browser.load_notebook(page, jupyter.url(notebook))
        page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
        took = page.evaluate(TIMED, drawn)
    jupyter.end_kernels()
    return took


def main() -> None:
    if browser.CHROMIUM is None:
        sys.exit("This needs chromium, for example: apt-get install chromium")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as home:
        os.environ["GTLAB_HOME"] = str(Path(home, "gtlab"))
        try:
            with browser.gtlab_lab(Path(home, "user")) as jupyter, browser.chromium() as chromium:
                measured = {
                    "a bare plotly figure (floor)": (jupyter.save("bare.ipynb", BARE), ".js-plotly-plot .main-svg"),
                    "00_start_here, its map": ("00_start_here.ipynb", ".gt-picker svg .gt-point"),
                }
                took = {name: [] for name in measured}
                for _ in range(rounds):  # in turn, so that a change of the machine's load meets both
                    for name, what in measured.items():
                        took[name].append(seconds(jupyter, chromium, *what))
        finally:
            process.down()
    floor = statistics.median(next(iter(took.values())))
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, first_chart.py, "
          f"{rounds} rounds")
    print(f"{'':<32}{'median s':>9}{'slowest s':>11}{'over the floor':>16}")
    for name, each in took.items():
        median = statistics.median(each)
        print(f"{name:<32}{median:>9.1f}{max(each):>11.1f}{median / floor:>15.1f}x")


if __name__ == "__main__":
    main()
