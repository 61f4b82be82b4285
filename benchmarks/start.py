"""How long do `import gtlab`, the first chart, and `gtlab up` until its first answer take?

Each is run several times and compared with a lower limit (floor) from the same run: a Python process that starts and
ends, and an HTTP server (uvicorn) that answers `{}` as soon as it is running. Usage: python benchmarks/start.py [RUNS]
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

FLOOR = """
import uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=PORT, lifespan="off", log_level="critical")
"""
CHART = """
import gtlab
from gtlab import charts, regions
charts.region_map(regions.frame("ap-southeast-1", ["us-east-1", "eu-west-1"])).to_json()
"""


def python_ms(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - began) * 1000


def floor_ms() -> float:
    """A minimal server: milliseconds from its start to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", FLOOR.replace("PORT", str(port))])
    try:
        return answered_ms(f"http://127.0.0.1:{port}/", began)
    finally:
        process.terminate()
        process.wait()


def up_ms() -> float:
    """`gtlab up` with a new state folder: milliseconds from the start of the command to an answer after its end."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"GTLAB_HOME": home}
        gtlab = [sys.executable, "-m", "gtlab"]
        began = time.perf_counter()
        printed = subprocess.run([*gtlab, "up"], env=environment, check=True, capture_output=True, text=True).stdout
        url = next(word.rstrip(",") for word in printed.split() if word.startswith("http://"))
        took = answered_ms(url, began)
        subprocess.run([*gtlab, "down"], env=environment, check=True, capture_output=True)
        return took


def answered_ms(url: str, began: float) -> float:
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return (time.perf_counter() - began) * 1000
        except OSError:
            time.sleep(0.002)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured: dict[str, Callable[[], float]] = {
        "Python starts and ends (floor)": lambda: python_ms(""),
        "import gtlab": lambda: python_ms("import gtlab"),
        "first chart": lambda: python_ms(CHART),
        "minimal server answers (floor)": floor_ms,
        "gtlab up, and its first answer": up_ms,
    }
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, {runs} runs each, "
          f"{Path(__file__).name}")
    print(f"{'':<34}{'median ms':>10}{'slowest ms':>12}{'over its floor':>16}")
    floor = 0.0
    for name, measure in measured.items():
        times = [measure() for _ in range(runs)]
        median = statistics.median(times)
        floor = median if "floor" in name else floor
        print(f"{name:<34}{median:>10.0f}{max(times):>12.0f}{median / floor:>15.1f}x")


if __name__ == "__main__":
    main()
