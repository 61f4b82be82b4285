"""What the live view costs at 20 and at 500 writes per second: share of a core, and bytes per second to the browser.

A local cloud in memory, with a global table in three Regions; another process writes (batches of up to 25 items, which
are journaled as one write each). The kernel's share is this process's, which runs the view and nothing else. The local
cloud's is the difference between two runs, with the view and without it; on a busy machine it may be below zero. Bytes
are the JSON of the view's messages.

Where there is chromium, a second table has what the browser needs for JupyterLab with the view, without a graphics
card, at 20 writes per second, and while the view is out of sight.

Usage: python benchmarks/live_view.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browser

RATES = (20, 500)  # writes per second, to Singapore; each goes to two other Regions


def write(seconds: float, rate: int) -> None:
    import gtlab

    lab = gtlab.connect()
    client, size = lab.client(lab.home), max(1, rate // 20)
    number, end = 0, time.monotonic() + seconds
    due = time.monotonic()
    while time.monotonic() < end:
        items = [{"PutRequest": {"Item": {"Artist": {"S": f"item {number + at}"}, "SongTitle": {"S": "x"}}}}
                 for at in range(size)]
        client.batch_write_item(RequestItems={"Music": items})
        number = (number + size) % 5000
        due += size / rate
        time.sleep(max(0.0, due - time.monotonic()))


def measured(cloud: psutil.Process, seconds: float, rate: int) -> tuple[float, float]:
    """CPU seconds per second of the cloud and of this process while another writes."""
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(seconds + 4, rate))
    writer.start()
    time.sleep(4)  # until it imports, connects and writes
    before, own = sum(cloud.cpu_times()[:2]), time.process_time()
    start = time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - start
    used = (sum(cloud.cpu_times()[:2]) - before) / took, (time.process_time() - own) / took
    writer.join()
    return used


def drawing(seconds: float) -> None:
    """Print the browser's CPU seconds per second."""
    with tempfile.TemporaryDirectory() as home, browser.gtlab_lab(Path(home)) as jupyter, \
            browser.chromium() as chromium, browser.watched_page(chromium) as page:
        browser.load_notebook(page, jupyter.url(jupyter.save(
            "live.ipynb", "import gtlab\nfrom gtlab import widgets\nwidgets.live(gtlab.connect())")))
        browser.run_all(page)
        page.locator(".gt-live .gt-map").wait_for()
        print(f"{'the view is':>16} {'browser':>8}")
        for name, rate, shift in (("seen, no writes", 0, ""), ("seen", RATES[0], ""),
                                  ("out of sight", RATES[0], "translateY(9000px)")):
            page.evaluate("shift => { document.querySelector('.gt-live').style.transform = shift; }", shift)
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(seconds + 4 if rate else 0, rate))
            writer.start()
            time.sleep(4)
            before, start = browsers(), time.perf_counter()
            time.sleep(seconds)
            print(f"{name:>16} {(browsers() - before) / (time.perf_counter() - start):>8.1%}")
            writer.join()


def browsers() -> float:
    """The CPU seconds of this process's browsers until now."""
    below = psutil.Process().children(recursive=True)
    return sum(sum(each.cpu_times()[:2]) for each in below if "chrom" in each.name())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of each run")
    seconds = parser.parse_args().seconds

    import gtlab
    from gtlab import stages, widgets
    from gtlab.localcloud import process

    with process.throwaway(network="realistic", seed=1) as running:
        lab, cloud = gtlab.connect(), psutil.Process(running.pid)
        stages.ensure_global_table(lab)
        print(f"{'writes/s':>9} {'kernel':>8} {'cloud':>8} {'messages/s':>11} {'KB/s':>7}")
        for rate in RATES:
            cloud_alone, _ = measured(cloud, seconds, rate)
            view, sent = widgets.live(lab), []
            view.send = sent.append
            view._handle_custom_msg({"do": "here", "view": "benchmark"}, [])
            cloud_seen, kernel = measured(cloud, seconds, rate)
            view.close()
            span = seconds + 4
            size = sum(len(json.dumps(each)) for each in sent) / span / 1000
            print(f"{rate:>9} {kernel:>8.1%} {cloud_seen - cloud_alone:>8.1%} {len(sent) / span:>11.1f} {size:>7.1f}")
        if browser.CHROMIUM:
            drawing(seconds)


if __name__ == "__main__":
    main()
