"""Make the pictures of README.md: JupyterLab as `gtlab lab` opens it, seen by a browser.

    python docs/images/make.py [FOLDER]

It uses a temporary local cloud on the realistic network, and needs chromium. FOLDER: where the pictures go (default:
this folder). Look at them before you commit them.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

import browser  # noqa: E402

from gtlab.localcloud import process  # noqa: E402

WIDTH = 1120    # px of the window, without the sidebar: a widget is then about as wide as GitHub's column
SECONDS = 14.0  # of the animation
FRAME_S = 0.1
SLOW = "0.2"    # of the writes in the animation: a fifth of their speed, which the view says

LAB = """import time
import gtlab
from gtlab import charts, measure, stages, widgets
from gtlab.lab import remember
lab = gtlab.connect()
stages.ensure_global_table(lab)"""
PICKER = "widgets.choose_regions(lab.choice, on_choice=remember)"
LIVE = "widgets.live(lab)"
# The Regions write in turn; the cable between Singapore and Ireland is cut; both write one item; the cable is mended.
SCENE = """def put(region, title, **more):
    key = {"Artist": {"S": "No One You Know"}, "SongTitle": {"S": title}}
    lab.client(region).put_item(TableName="Music", Item=key | more)
    if region == lab.home:
        lab.client(lab.replicas[-1]).get_item(TableName="Music", Key=key)  # too early: a stale read

def writes(count, name):
    for number in range(count):
        put(lab.regions[number % 3], f"{name} {number}")
        time.sleep(0.4)

writes(6, "before")
lab.world.partition("ap-southeast-1", "eu-west-1")
put("ap-southeast-1", "Call Me Today", Price={"N": "3"})
put("eu-west-1", "Call Me Today", Price={"N": "5"})
writes(6, "during")
lab.world.reset()
writes(6, "after")"""
ARRIVALS = """charts.arrivals(measure.arrivals(measure.replication_lag(lab, "Music", samples=5, rate=1)))"""


def save(image: Image.Image, path: Path) -> None:
    image.convert("RGB").save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {image.width} x {image.height}")


def shot(page, selector: str) -> Image.Image:
    browser.settled(page)
    return Image.open(io.BytesIO(page.locator(selector).first.screenshot(animations="allow")))


def run_cell(page, number: int) -> None:
    """Begin to run it; do not wait for its end."""
    page.evaluate("""number => {
        window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
        window.jupyterapp.commands.execute('notebook:run-cell');
    }""", number)


def film(page, box: dict, seconds: float) -> list[tuple[float, Image.Image]]:
    """What the browser drew within the box during this time: each frame with its time in seconds."""
    frames: list[tuple[float, bytes]] = []
    seen: list[int] = []
    session = page.context.new_cdp_session(page)

    def keep(event: dict) -> None:
        frames.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        seen.append(event["sessionId"])

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "png"})
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.wait_for_timeout(10)  # receives frames; the browser sends no more before it hears that one was received
        while seen:
            session.send("Page.screencastFrameAck", {"sessionId": seen.pop()})
    session.send("Page.stopScreencast")
    edges = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
    return [(at, Image.open(io.BytesIO(png)).convert("RGB").crop(tuple(map(int, edges)))) for at, png in frames]


def animate(frames: list[tuple[float, Image.Image]], path: Path) -> None:
    """Frames at equal distances, as a WebP that repeats."""
    start, end = frames[0][0], frames[-1][0]
    steps = [start + number * FRAME_S for number in range(int((end - start) / FRAME_S))]
    shown = [[image for at, image in frames if at <= step][-1] for step in steps]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=int(FRAME_S * 1000), loop=0, quality=60,
                  method=4)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {shown[0].width} x {shown[0].height}, {len(shown)} frames of "
          f"{len(frames)} drawn")


def make(jupyter: browser.Jupyter, chromium, folder: Path) -> None:
    name = jupyter.save("pictures.ipynb", LAB, PICKER, LIVE, SCENE, ARRIVALS)
    with browser.watched_page(chromium, viewport={"width": 900, "height": 1000}) as page:
        browser.load_notebook(page, jupyter.url(name))
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        for number in (0, 2):
            run_cell(page, number)
        live = page.locator(".gt-live")
        live.wait_for()
        live.get_by_label("Speed of the writes on the map").select_option(SLOW)
        live.evaluate("view => view.scrollIntoView({block: 'center'})")
        browser.settled(page)
        # Not by a cell: running one would move the page.
        page.evaluate("""code => {
            window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
        }""", SCENE)
        animate(film(page, live.bounding_box(), SECONDS), folder / "live.webp")
    with browser.watched_page(chromium, viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1.5) as page:
        browser.load_notebook(page, jupyter.url(name))
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        for number in (0, 1):
            run_cell(page, number)
        page.locator(".gt-picker .gt-map").get_by_label("São Paulo, Brazil").click()
        page.locator(".gt-message", has_text="São Paulo").wait_for()
        save(shot(page, ".gt-picker"), folder / "picker.png")
        page.locator(".gt-picker .gt-map").get_by_label("São Paulo, Brazil").click()
        run_cell(page, 2)
        live = page.locator(".gt-live")
        live.wait_for()
        live.evaluate("view => view.scrollIntoView({block: 'center'})")
        browser.settled(page)
        known = page.locator(".gt-live .gt-conflict").count()
        run_cell(page, 3)
        page.wait_for_function("known => document.querySelectorAll('.gt-live .gt-conflict').length > known", arg=known)
        save(Image.open(io.BytesIO(live.screenshot())), folder / "live.png")
        browser.wait_until_run(page, 4)
    # Last, because the many reads of a measurement are stale reads in the live view.
    with browser.watched_page(chromium, viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1.5) as page:
        browser.load_notebook(page, jupyter.url(name))
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        for number in (0, 4):
            run_cell(page, number)
        page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
        save(shot(page, ".js-plotly-plot"), folder / "arrivals.png")


def main() -> None:
    if browser.CHROMIUM is None:
        sys.exit("This needs chromium, for example: apt-get install chromium")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["GTLAB_HOME"] = str(Path(home, "gtlab"))
        try:
            with browser.gtlab_lab(Path(home, "user")) as jupyter, browser.chromium() as chromium:
                make(jupyter, chromium, folder)
        finally:
            process.down()


if __name__ == "__main__":
    main()
