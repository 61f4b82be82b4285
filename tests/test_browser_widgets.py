"""The widgets in a real browser: the Region picker by mouse and by keyboard.

Set GTLAB_SCREENSHOTS to a folder to keep pictures of them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_browser import ALL_RUN, CHROMIUM, errors, jupyter, open_and_run, page  # noqa: F401  (fixtures)

from gtlab.lab import Choice, chosen
from gtlab.localcloud import process

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")

CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"""
FOCUSED = """() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"""
# Everything with text in a widget, that is cut off or smaller than 11 px; labels of the map must be within it.
UNREADABLE = """selector => {
    const root = document.querySelector(selector);
    const outer = root.getBoundingClientRect();
    const bad = [];
    for (const node of root.querySelectorAll('*')) {
        const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.getClientRects().length) continue;
        const size = parseFloat(getComputedStyle(node).fontSize);
        const box = node.getBoundingClientRect();
        const map = node.closest('svg.gt-map')?.getBoundingClientRect() ?? outer;
        if (size < 11) bad.push(`${node.textContent}: ${size} px`);
        if (box.left < map.left - 1 || box.right > map.right + 1) bad.push(`${node.textContent}: outside`);
        if (node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== 'inline'
            && !(node instanceof SVGElement)) bad.push(`${node.textContent}: cut off`);
    }
    return bad;
}"""


@pytest.fixture
def first_notebook(jupyter, page):  # noqa: F811
    """The first notebook, run; the choice of Regions is the default before and after."""
    (process.state_folder() / "choice.json").unlink(missing_ok=True)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_and_run(page, f"{jupyter}/lab/tree/00_start_here.ipynb?token=course&reset")
    page.locator(".gt-picker").scroll_into_view_if_needed()
    yield page
    (process.state_folder() / "choice.json").unlink(missing_ok=True)
    assert problems == []


def picture(page, name: str) -> None:  # noqa: F811
    if folder := os.environ.get("GTLAB_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def says(page, text: str) -> None:  # noqa: F811
    page.locator(".gt-message", has_text=text).wait_for()


def test_the_picker_by_mouse(first_notebook):
    page = first_notebook  # noqa: F811
    on_map = page.locator(".gt-map")
    on_map.get_by_label("Paris, France").click()
    says(page, "Saved: Singapore (home), N. Virginia, Ireland, Paris.")
    assert chosen() == Choice("ap-southeast-1", ("us-east-1", "eu-west-1", "eu-west-3"))
    assert page.locator(".gt-label", has_text="Paris").count() == 1
    on_map.get_by_label("Paris, France").click()
    says(page, "Saved: Singapore (home), N. Virginia, Ireland.")
    on_map.get_by_label("São Paulo, Brazil").click(modifiers=["Shift"])
    says(page, "Saved: São Paulo (home), N. Virginia, Ireland.")
    page.get_by_label("Make Ireland (eu-west-1) home").click()
    says(page, "Saved: Ireland (home), N. Virginia, São Paulo.")
    for place in ("Tokyo, Japan", "Sydney, Australia", "Mumbai, India"):
        on_map.get_by_label(place).click()
        says(page, place.split(",")[0])
    on_map.get_by_label("Cape Town").click()
    says(page, "Cape Town (af-south-1) is not added: this notebook allows 5 replicas.")
    on_map.get_by_label("Ireland, eu-west-1").click()
    says(page, "Choose a home Region")
    assert chosen().home == "eu-west-1"
    picture(page, "picker-mouse")


def test_the_picker_by_keyboard_and_no_key_of_its_own_reaches_jupyterlab(first_notebook):
    page = first_notebook  # noqa: F811
    cells, press = page.evaluate(CELLS), page.keyboard.press
    page.get_by_label("Filter the Regions").focus()
    page.keyboard.type("fran")
    press("ArrowDown")
    assert page.evaluate(FOCUSED).startswith("Frankfurt, Germany, eu-central-1")
    press("Enter")
    says(page, "Saved: Singapore (home), N. Virginia, Ireland, Frankfurt.")
    press("ArrowRight")
    assert page.evaluate(FOCUSED) == "Make Frankfurt (eu-central-1) home"
    press("Space")
    says(page, "Saved: Frankfurt (home), N. Virginia, Ireland, Singapore.")
    press("Escape")
    assert page.evaluate(FOCUSED).startswith("Filter the Regions")
    assert page.get_by_label("Filter the Regions").input_value() == ""
    press("Shift+Tab")  # to the map, where one point can be reached by Tab
    seen = [page.evaluate(FOCUSED)]
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
        press(key)
        seen.append(page.evaluate(FOCUSED))
    assert len(set(seen)) >= 3 and all("-" in name for name in seen)
    for key in ("m", "x", "y", "a", "b", "Shift+M", "d", "d", "z", "j", "k"):
        press(key)
    assert page.evaluate(CELLS) == cells
    assert page.evaluate(FOCUSED) == seen[-1]
    press("Enter")
    says(page, seen[-1].split(",")[0])
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context.model.dirty")
    press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    for _ in range(4):  # the filter, the list, and out of it
        press("Tab")
    assert not page.evaluate("() => Boolean(document.activeElement.closest('.gt-root'))")
    assert page.evaluate(CELLS) == cells


def test_a_cell_that_was_run_with_an_older_choice_says_so_and_runs_with_the_new_one(first_notebook):
    page = first_notebook  # noqa: F811
    page.locator(".gt-map").get_by_label("Paris, France").click()
    says(page, "Cells that you ran with Singapore (home), N. Virginia, Ireland need to run again.")
    page.evaluate("""async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        await panel.sessionContext.session.kernel.requestExecute({code: 'print(lab)'}).done;
        const at = panel.content.widgets.findIndex(cell => cell.model.sharedModel.source.includes('list_tables'));
        panel.content.activeCellIndex = at;
        await window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    page.locator(".jp-OutputArea").get_by_text("run gtlab.connect() again").first.wait_for()
    page.evaluate("""async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        const at = panel.content.widgets.findIndex(cell => cell.model.sharedModel.source.includes('regions.frame('));
        panel.content.activeCellIndex = at;
        await window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    page.locator(".jp-OutputArea table").get_by_text("eu-west-3").wait_for()
    assert errors(page) == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [900, 1400])
def test_the_picker_can_be_read(first_notebook, theme, width):
    page = first_notebook  # noqa: F811
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_timeout(1000)
    page.locator(".gt-picker").scroll_into_view_if_needed()
    assert page.evaluate(UNREADABLE, ".gt-picker") == []
    picture(page, f"picker-{width}-{theme.split()[1].lower()}")
    assert violations(page, ".gt-picker") == []


def violations(page, selector: str) -> list[str]:  # noqa: F811
    """What axe-core finds wrong in an element."""
    from axe_playwright_python.base import AXE_FILE_PATH

    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = page.evaluate("selector => axe.run(selector)", selector)["violations"]
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}: {each['nodes'][0]['failureSummary']}"
            for each in found]


BREAK = """import time
import gtlab
from gtlab import stages, widgets
lab = gtlab.connect(home="ap-southeast-1", replicas="us-east-1, eu-west-1")
lab.world.reset()
stages.ensure_global_table(lab)"""
WRITE = """number = 0
while not done.exists():
    number += 1
    lab.client(lab.home).put_item(TableName="Music", Item={
        "Artist": {"S": f"item {number % 20}"}, "SongTitle": {"S": "live"}, "Number": {"N": str(number)}})
    time.sleep(0.05)"""
# Deliveries from Singapore to a Region, of the live view's table.
ARRIVED = """place => {
    const row = [...document.querySelectorAll('.gt-live tbody tr')].find(row =>
        row.children[0].textContent === 'Singapore' && row.children[1].textContent === place);
    return row ? Number(row.children[4].textContent.replaceAll(',', '')) : 0;
}"""


@pytest.fixture
def live_notebook(jupyter, page, tmp_path):  # noqa: F811
    """A notebook with both widgets, whose last cell writes until the test ends."""
    import nbformat

    done = tmp_path / "done"
    cells = [BREAK, "widgets.live(lab)", "widgets.panel(lab)",
             f"from pathlib import Path\ndone = Path({str(done)!r})\n{WRITE}"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{jupyter}/lab?token=course&reset")
    page.wait_for_function("() => window.jupyterapp?.serviceManager?.isReady")
    path = page.evaluate("""async content => {
        const saved = await window.jupyterapp.serviceManager.contents.save(
            'widgets.ipynb', {type: 'notebook', format: 'json', content});
        return saved.path;
    }""", notebook)
    page.goto(f"{jupyter}/lab/tree/{path}?token=course&reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    page.locator(".gt-panel").wait_for(state="attached")
    page.locator(".gt-live summary").click()
    page.wait_for_function(f"({ARRIVED})('Ireland') > 0")
    yield page
    done.touch()
    page.wait_for_function(ALL_RUN)
    assert problems == [] and errors(page) == []


def test_a_partition_pulled_in_the_panel_stops_arrivals_in_the_live_view_while_a_cell_runs(live_notebook):
    page = live_notebook  # noqa: F811
    link = page.get_by_role("button", name="Partition between Singapore and Ireland")
    whole = page.locator(".gt-whole")
    whole.wait_for()
    link.focus()
    page.keyboard.press("Enter")
    page.locator(".gt-done", has_text='lab.world.partition("ap-southeast-1", "eu-west-1")').wait_for()
    page.locator(".gt-done", has_text="gtlab world partition ap-southeast-1 eu-west-1").wait_for()
    page.locator(".gt-live .gt-cut").first.wait_for(state="attached")
    page.wait_for_timeout(1500)  # what was on its way may still arrive
    before, virginia = page.evaluate(ARRIVED, "Ireland"), page.evaluate(ARRIVED, "N. Virginia")
    page.wait_for_function(f"before => ({ARRIVED})('N. Virginia') > before + 20", arg=virginia)
    assert page.evaluate(ARRIVED, "Ireland") == before
    picture(page, "live-cut")
    page.get_by_role("button", name="Put everything right").click()
    whole.wait_for()
    page.wait_for_function(f"before => ({ARRIVED})('Ireland') > before + 20", arg=before)


def test_the_live_view_beside_the_notebook_and_the_panel_can_be_read(live_notebook):
    page = live_notebook  # noqa: F811
    page.get_by_role("button", name="Outage of Ireland").click()
    page.locator(".gt-broken", has_text="Ireland (eu-west-1) is down (timeout)").wait_for()
    page.get_by_label("Knob", exact=True).select_option("throttle")
    for width in (900, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("Light", "Dark"):
            page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
                          f"JupyterLab {theme}")
            page.wait_for_timeout(1000)
            for widget in (".gt-live", ".gt-panel"):
                page.locator(widget).scroll_into_view_if_needed()
                assert page.evaluate(UNREADABLE, widget) == []
                picture(page, f"{widget[4:]}-{width}-{theme.lower()}")
                assert violations(page, widget) == []
    page.locator(".gt-live").get_by_role("button", name="Open beside").click()
    page.locator(".gt-dock .gt-live").wait_for()
    page.wait_for_timeout(500)
    left = page.evaluate("() => document.querySelector('.gt-dock').getBoundingClientRect().left")
    assert page.evaluate("() => document.querySelector('.jp-Notebook').getBoundingClientRect().right") <= left + 1
    assert page.evaluate(UNREADABLE, ".gt-live") == []
    picture(page, "live-beside")
    page.get_by_role("button", name="Back into the cell").click()
    page.locator(".jp-OutputArea .gt-live").wait_for()
    page.get_by_role("button", name="Put everything right").click()
