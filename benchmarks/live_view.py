"""What the live view costs at 20 and at 500 writes per second: share of a core, and bytes per second to the browser.

A local cloud in memory, with a global table in three Regions; another process writes (batches of up to 25 items, which
are journaled as one write each). The kernel's share is this process's, which runs the view and nothing else. The local
cloud's is the difference between two runs, with the view and without it; on a busy machine it may be below zero. Bytes
are the JSON of the view's messages; what the browser spends on drawing is not in here.

Usage: python benchmarks/live_view.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time

import psutil

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


if __name__ == "__main__":
    main()
