"""The live view in a real browser: 500 writes per second, and stale reads."""

from __future__ import annotations

import pytest
from browser import (
    ALL_RUN,
    LOOKS,
    RUN_ALL,
    UNREADABLE,
    errors,
    needs_chromium,
    open_notebook,
    picture,
    settled,
    violations,
)

pytestmark = [pytest.mark.browser, pytest.mark.long(25), needs_chromium]

LAB = """import time
from pathlib import Path
import gtlab
from gtlab import stages, widgets
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
lab.client("ap-southeast-1").put_item(TableName="Music", Item=key | {"Number": {"N": str(time.time())}})
while not done.exists():
    lab.client("eu-west-1").get_item(TableName="Music", Key=key)
    time.sleep(0.1)
lab.world.reset()"""


@pytest.fixture
def beside(jupyter, page, tmp_path):
    """``beside(code)``: a notebook with the live view, whose last cell is the code; it ends when the file ``done`` is
    there, which it is at the test's end."""
    done = tmp_path / "done"

    def opened(code: str):
        name = jupyter.save("live.ipynb", LAB, "widgets.live(lab)", f"done = Path({str(done)!r})\n{code}")
        open_notebook(page, jupyter.url(name))
        page.evaluate(RUN_ALL)
        page.locator(".gt-live .gt-map").wait_for()
        return page

    yield opened
    done.touch()
    page.wait_for_function(ALL_RUN)
    assert errors(page) == []


def test_five_hundred_writes_per_second_are_drawn_as_few_points_with_numbers(beside):
    page = beside(WRITE.format(many=25))
    page.locator(".gt-live summary").click()
    arrived = """() => [...document.querySelectorAll('.gt-live tbody tr')].reduce((sum, row) =>
        sum + Number(row.children[4].textContent.replaceAll(',', '')), 0)"""
    page.wait_for_function(f"() => ({arrived})() > 1500")
    most = page.evaluate("""() => new Promise(done => {
        let most = 0, frames = 0;
        const count = () => {
            most = Math.max(most, document.querySelectorAll('.gt-live .gt-flight').length);
            if (++frames < 60) requestAnimationFrame(count); else done(most);
        };
        count();
    })""")
    assert 0 < most <= 300
    numbers = page.evaluate("() => [...document.querySelectorAll('.gt-live .gt-many')].map(each => each.textContent)")
    assert numbers and all(int(number.replace(",", "")) >= 10 for number in numbers)
    assert page.evaluate(UNREADABLE, ".gt-live") == []
    picture(page, "live-500")


def test_stale_reads_are_marked_at_the_region_that_answered(beside, theme):
    page = beside(READ)
    mark = page.locator(".gt-live .gt-stale")
    mark.filter(has_text="stale ×").wait_for()
    page.locator(".gt-live .gt-label", has_text="stale read").wait_for()
    assert mark.count() == 1
    for width, name in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        theme(page, name)
        settled(page)
        page.locator(".gt-live").scroll_into_view_if_needed()
        assert page.evaluate(UNREADABLE, ".gt-live") == [], (width, name)
        picture(page, f"live-stale-{width}-{name.lower()}")
        assert violations(page, ".gt-live") == [], (width, name)
