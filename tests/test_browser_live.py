"""The live view in a real browser: slow motion, 500 writes per second, stale reads; and the keys of plain menus."""

from __future__ import annotations

import pytest
from browser import (
    EACH_ONCE,
    RUN_ALL,
    UNREADABLE,
    errors,
    needs_chromium,
    open_notebook,
    picture,
    run_all,
    settled,
    violations,
    wait_until_run,
)

pytestmark = [pytest.mark.browser, pytest.mark.long(12), needs_chromium]

LAB = """import time
from pathlib import Path
import gtlab
from gtlab import stages, watch, widgets
lab = gtlab.connect(home="ap-southeast-1", replicas="us-east-1, eu-west-1")
lab.world.reset()
stages.ensure_global_table(lab)
key = {"Artist": {"S": "seen"}, "SongTitle": {"S": "live"}}"""
# Writes and reads until a file appears. ``many`` is the number of items in a batch; 20 batches per second.
WRITE = """number = 0
while not done.exists():
    items = [{{"PutRequest": {{"Item": {{"Artist": {{"S": f"item {{number + at}}"}}, "SongTitle": {{"S": "live"}},
                                        "Number": {{"N": str(number)}}}}}}}} for at in range({many})]
    lab.client(lab.home).batch_write_item(RequestItems={{"Music": items}})
    number = (number + {many}) % 5000
    time.sleep(0.05)"""
READ = """lab.world.partition("ap-southeast-1", "eu-west-1")
number = 0
while not done.exists():
    if number % 50 == 0:
        lab.client("ap-southeast-1").put_item(TableName="Music", Item=key | {"Number": {"N": str(number)}})
    lab.client("eu-west-1").get_item(TableName="Music", Key=key)
    time.sleep(0.1)
    number += 1
lab.world.reset()"""
# Notes when each dot on the map appears and goes, in milliseconds of the page.
WATCH = """() => {
    window.dots = new Map();
    new MutationObserver(changes => changes.forEach(change => {
        change.addedNodes.forEach(node => node.querySelector?.('.gt-flight') && dots.set(node, [performance.now()]));
        change.removedNodes.forEach(node => dots.get(node)?.push(performance.now()));
    })).observe(document.querySelector('.gt-live .gt-moving'), {childList: true});
}"""
# Becomes true when no dot on the map was drawn again for half a second: drawing costs the browser processor time.
AT_REST = """() => new Promise(done => {
    let moved = 0;
    const watch = new MutationObserver(changes => moved += changes.filter(
        ({target}) => target.querySelector('.gt-flight')).length);
    watch.observe(document.querySelector('.gt-live .gt-moving'), {subtree: true, attributeFilter: ['transform']});
    setTimeout(() => { watch.disconnect(); done(!moved); }, 500);
})"""
LASTED = "() => [...dots.values()].filter(each => each.length > 1).map(([from, to]) => to - from)"
# The heights of the second cell, each time when the page is drawn, without repetitions.
HEIGHTS = """() => {
    window.cell = window.jupyterapp.shell.currentWidget.content.widgets[1].node;
    window.heights = [];
    const look = () => {
        const now = Math.round(window.cell.getBoundingClientRect().height);
        if (window.heights.at(-1) !== now) window.heights.push(now);
        requestAnimationFrame(look);
    };
    look();
}"""
CELLS = "() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"
DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
LAG_S = 0.4


@pytest.fixture
def beside(jupyter, page, tmp_path):
    """``beside(code)``: a notebook with the live view, whose last cell is the code; it ends when the file ``done`` is
    there, which it is at the test's end."""
    done = tmp_path / "done"

    def opened(code: str):
        name = jupyter.save("live.ipynb", LAB, "widgets.live(lab)", f"done = Path({str(done)!r})\n{code}")
        open_notebook(page, name)
        page.evaluate(RUN_ALL)
        page.locator(".gt-live .gt-map").wait_for()
        return page

    yield opened
    done.touch()
    wait_until_run(page)
    assert errors(page) == []


def test_in_slow_motion_a_write_takes_five_times_as_long(beside):
    page = beside(f"lab.world.lag({LAG_S})\n" + WRITE.format(many=1).replace("0.05", "0.5"))
    # On a busy machine, a dot that is drawn late lasts shorter, and one that is removed late longer. Then there is
    # another write.
    for speed, least_ms, most_ms in (("1", 900 * LAG_S, 2000 * LAG_S), ("0.2", 4500 * LAG_S, 60_000)):
        page.get_by_label("Speed of the writes on the map").select_option(speed)
        page.evaluate(WATCH)
        page.wait_for_function(f"([least, most]) => ({LASTED})().some(ms => least < ms && ms < most)",
                               arg=[least_ms, most_ms])
    page.wait_for_function(f"async () => !await ({AT_REST})()")
    page.evaluate("() => { document.querySelector('.gt-live').style.transform = 'translateY(9000px)'; }")
    page.wait_for_function(AT_REST)  # out of sight
    page.evaluate("() => { document.querySelector('.gt-live').style.transform = ''; }")
    page.wait_for_function(f"async () => !await ({AT_REST})()")


def test_five_hundred_writes_per_second_are_drawn_as_few_points_with_numbers(beside):
    page = beside(WRITE.format(many=25))
    page.locator(".gt-live summary").click()
    arrived = """() => [...document.querySelectorAll('.gt-live tbody tr')].reduce((sum, row) =>
        sum + Number(row.children[4].textContent.replaceAll(',', '')), 0)"""
    page.wait_for_function(f"() => ({arrived})() > 1500")
    most, numbers = page.evaluate("""() => new Promise(done => {
        let most = 0, frames = 0;
        const numbers = new Set();
        const count = () => {
            most = Math.max(most, document.querySelectorAll('.gt-live .gt-flight').length);
            document.querySelectorAll('.gt-live .gt-many').forEach(each => numbers.add(each.textContent));
            if (++frames < 60 || !most || !numbers.size) requestAnimationFrame(count); else done([most, [...numbers]]);
        };
        count();
    })""")
    assert most <= 300
    assert all(int(number.replace(",", "")) >= 10 for number in numbers)
    assert page.evaluate(UNREADABLE, ".gt-live") == []
    picture(page, "live-500")


def test_stale_reads_are_marked_at_the_region_that_answered(theme, beside):
    page = beside(READ)
    mark = page.locator(".gt-live .gt-stale")
    mark.filter(has_text="stale ×").wait_for()
    page.locator(".gt-live .gt-label", has_text="stale read").first.wait_for()
    assert mark.count() == 1
    page.locator(".gt-live .gt-flight").first.wait_for(state="attached")
    page.wait_for_function(AT_REST)  # what waits before a cut link does not move
    for width, name in EACH_ONCE:
        page.set_viewport_size({"width": width, "height": 900})
        theme(page, name)
        settled(page)
        page.locator(".gt-live").scroll_into_view_if_needed()
        assert page.evaluate(UNREADABLE, ".gt-live") == [], (width, name)
        picture(page, f"live-stale-{width}-{name.lower()}")
        assert violations(page, ".gt-live") == [], (width, name)


def test_a_wait_that_is_run_again_does_not_move_the_page(jupyter, page):
    name = jupyter.save("wait.ipynb", LAB, "time.sleep(0.5)\n_ = watch.tables(lab, 'Music')", "'below'")
    open_notebook(page, name)
    run_all(page)
    page.evaluate(HEIGHTS)
    page.evaluate("""async () => {
        window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
        await window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    wait_until_run(page)
    page.wait_for_function("() => !window.cell.style.minHeight")  # afterwards the cell may become lower
    heights = page.evaluate("() => window.heights")
    assert heights[0] > 100 and min(heights) >= heights[0] - 1, heights


def test_a_plain_menu_keeps_its_keys_and_saving_still_works(jupyter, page):
    name = jupyter.save("menu.ipynb", """import ipywidgets
from gtlab.widgets.keys import guarded
guarded(ipywidgets.Dropdown(options=["first", "second", "third"], description="Menu"), name="A menu")""")
    open_notebook(page, name)
    run_all(page)
    menu, cells = page.get_by_label("Menu", exact=True), page.evaluate(CELLS)
    page.get_by_role("group", name="A menu").wait_for()
    menu.focus()
    for key in ("ArrowDown", "m", "x", "y", "a", "b", "d", "d", "j", "k"):
        page.keyboard.press(key)
    assert page.evaluate(CELLS) == cells and page.evaluate("() => document.activeElement.tagName") == "SELECT"
    assert menu.input_value() != "first"
    menu.select_option("third")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.setMetadata('touched', true)")
    page.wait_for_function(DIRTY)
    menu.focus()
    page.keyboard.press("Control+s")
    page.wait_for_function(f"() => !({DIRTY})()")
