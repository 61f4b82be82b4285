"""The widgets in a real browser: the Region picker, predictions, the live view and the control panel."""

from __future__ import annotations

import pytest
from browser import (
    EACH_ONCE,
    RUN_ALL,
    UNREADABLE,
    errors,
    load_notebook,
    needs_chromium,
    open_notebook,
    picture,
    run_all,
    run_cells,
    settled,
    violations,
    wait_until_run,
)
from chart_pages import complaints
from support import wait_until

from gtlab.course import progress
from gtlab.lab import Choice, chosen
from gtlab.localcloud import process

pytestmark = [pytest.mark.browser, pytest.mark.long(12), needs_chromium]

CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"""
# Whether JupyterLab looks for extensions that must be built.
BUILD_CHECK = "() => JSON.parse(document.getElementById('jupyter-config-data').textContent).buildCheck"
COUNT = """holds => window.jupyterapp.shell.currentWidget.content.widgets.find(
    ({model}) => model.sharedModel.source.includes(holds)).model.executionCount"""
FOCUSED = """() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"""


def says(page, text: str) -> None:
    page.locator(".gt-message", has_text=text).wait_for()


@pytest.mark.long(40)
def test_gtlab_lab_opens_the_first_notebook_without_a_prompt_and_its_widgets_work(jupyter, theme, fresh_page):
    """One run of the first notebook: most of what such a test costs is its kernel and drawing the notebook."""
    own, page = jupyter.settings(), fresh_page
    load_notebook(page, f"{jupyter.printed}&reset")
    assert not page.evaluate(BUILD_CHECK)
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.title.label") == "00_start_here.ipynb"
    run_all(page)  # far longer than JupyterLab takes to show its prompt
    assert errors(page) == []
    assert page.locator(".Toastify__toast").all_text_contents() == []
    assert jupyter.settings() == own
    prediction_by_mouse_and_by_keyboard(page)
    page.locator(".gt-picker").scroll_into_view_if_needed()
    picker_that_changes_while_it_is_not_on_the_page(page)
    picker_by_mouse(page)
    choose_again(page)
    picker_by_keyboard_and_no_key_of_its_own_reaches_jupyterlab(page)
    choose_again(page)
    picker_can_be_read(page, theme)
    cells_that_were_run_with_an_older_choice_say_so_and_run_with_the_new_one(page)
    question_of_a_kernel_that_was_restarted_saves_nothing(page)


def choose_again(page) -> None:
    """A new picker of a learner who has chosen nothing yet."""
    (process.state_folder() / "choice.json").unlink()
    run_cells(page, "lab = gtlab.connect(")
    run_cells(page, "choose_regions(")
    says(page, "Chosen: Singapore (home), N. Virginia, Ireland.")


def picker_that_changes_while_it_is_not_on_the_page(page) -> None:
    """As in an application that takes cells out of the page while they are not seen, where text has no width."""
    sydney = page.locator(".gt-map").get_by_label("Sydney, Australia")
    page.locator(".gt-picker").evaluate("picker => { picker.style.display = 'none'; }")
    sydney.dispatch_event("click")
    page.locator(".gt-message", has_text="Sydney").wait_for(state="attached")
    page.locator(".gt-picker").evaluate("picker => { picker.style.display = ''; }")
    settled(page)
    assert page.evaluate(UNREADABLE, ".gt-picker") == []
    sydney.click()
    says(page, "Saved: Singapore (home), N. Virginia, Ireland.")


def picker_by_mouse(page) -> None:
    on_map = page.locator(".gt-map")
    on_map.get_by_label("Paris, France").click()
    says(page, "Saved: Singapore (home), N. Virginia, Ireland, Paris.")
    assert chosen() == Choice("ap-southeast-1", ("us-east-1", "eu-west-1", "eu-west-3"))
    assert page.locator(".gt-label", has_text="Paris").count() == 1
    shift_enter_runs_the_cell_and_goes_on(page, "choose_regions(")
    says(page, "Chosen: Singapore (home), N. Virginia, Ireland, Paris.")
    assert chosen() == Choice("ap-southeast-1", ("us-east-1", "eu-west-1", "eu-west-3"))
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


def picker_by_keyboard_and_no_key_of_its_own_reaches_jupyterlab(page) -> None:
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
    assert not page.evaluate("() => Boolean(document.activeElement.closest('.gt-picker'))")
    assert page.evaluate(CELLS) == cells


def cells_that_were_run_with_an_older_choice_say_so_and_run_with_the_new_one(page) -> None:
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


def picker_can_be_read(page, theme) -> None:
    for width, name in EACH_ONCE:
        page.set_viewport_size({"width": width, "height": 900})
        theme(page, name)
        settled(page)
        page.locator(".gt-picker").scroll_into_view_if_needed()
        assert page.evaluate(UNREADABLE, ".gt-picker") == [], (width, name)
        picture(page, f"picker-{width}-{name.lower()}")
        assert violations(page, ".gt-picker") == [], (width, name)


def predicted(id: str, option: str) -> None:
    wait_until(lambda: progress.recorded("predicted").get(id) == option, f"the prediction {id} to be {option}")


def question(page):
    """The widget of the notebook's first question, scrolled into view."""
    page.evaluate("""() => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        const at = notebook.widgets.findIndex(cell => cell.model.sharedModel.source.includes('check.predict'));
        return notebook.scrollToItem(at, 'start');
    }""")
    quiz = page.locator(".gt-quiz:visible").first
    quiz.wait_for()
    return quiz


def shift_enter_runs_the_cell_and_goes_on(page, holds: str) -> None:
    """As anywhere in the notebook, although the keyboard is in a widget since a click there."""
    assert page.evaluate("() => document.activeElement.closest('.gt-root') !== null")
    before = page.evaluate(COUNT, holds)
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(f"([holds, before]) => ({COUNT})(holds) > before", arg=[holds, before])
    assert holds not in page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.source")


def prediction_by_mouse_and_by_keyboard(page) -> None:
    quiz = question(page)
    quiz.locator(".gt-hint", has_text="No answer was given before the result was shown.").wait_for()
    assert quiz.get_by_role("radio", disabled=True).count() == quiz.get_by_role("radio").count()
    picture(page, "quiz-ended")
    run_cells(page, "check.predict(")
    quiz.get_by_role("radio", disabled=False).first.wait_for()
    cells, press = page.evaluate(CELLS), page.keyboard.press
    quiz.get_by_text("About as long: cables are glass fibres").click()
    predicted("00-light", "same")
    quiz.locator(".gt-hint", has_text="Your prediction is saved.").wait_for()
    shift_enter_runs_the_cell_and_goes_on(page, "check.predict(")
    assert question(page).get_by_role("radio", checked=True).get_attribute("value") == "same"
    quiz.get_by_role("radio", checked=True).focus()
    press("ArrowDown")
    predicted("00-light", "slower")
    for key in ("m", "x", "y", "a", "b", "d", "d", "z"):
        press(key)
    assert page.evaluate(CELLS) == cells, "no key of its own reaches JupyterLab"
    assert quiz.get_by_role("radio", checked=True).get_attribute("value") == "slower"
    assert quiz.get_by_role("group").count() == 1, "a screen reader says the question with the options"
    picture(page, "quiz")
    press("Escape")
    assert not page.evaluate("() => Boolean(document.activeElement.closest('.gt-quiz'))")


def question_of_a_kernel_that_was_restarted_saves_nothing(page) -> None:
    before = progress.recorded("predicted")["00-light"]
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    quiz = question(page)
    quiz.get_by_text("Shorter: AWS has its own network").click()
    quiz.locator(".gt-hint", has_text="the kernel is busy or was restarted").wait_for()
    assert quiz.get_by_role("radio", checked=True).get_attribute("value") == before, "what is saved is marked"


LAB = """import time
import gtlab
from gtlab import stages, widgets
lab = gtlab.connect(home="ap-southeast-1", replicas="us-east-1, eu-west-1")
lab.world.reset()
stages.ensure_global_table(lab)"""
WRITE_ONE = """    lab.client(lab.home).put_item(TableName="Music", Item={
        "Artist": {"S": f"item {number % 20}"}, "SongTitle": {"S": "live"}, "Number": {"N": str(number)}})
    time.sleep(0.05)"""
WRITE = f"""number = 0
while not done.exists():
    number += 1
{WRITE_ONE}"""
# Deliveries from Singapore to a Region, of the live view's table.
ARRIVED = """place => {
    const row = [...document.querySelectorAll('.gt-live tbody tr')].find(row =>
        row.children[0].textContent === 'Singapore' && row.children[1].textContent === place);
    return row ? Number(row.children[4].textContent.replaceAll(',', '')) : 0;
}"""


@pytest.fixture
def live_notebook(jupyter, page, tmp_path):
    """A notebook with both widgets, whose last cell writes until the test ends."""
    done = tmp_path / "done"
    name = jupyter.save("widgets.ipynb", LAB, "widgets.live(lab)", "widgets.panel(lab)",
                        f"from pathlib import Path\ndone = Path({str(done)!r})\n{WRITE}")
    open_notebook(page, name)
    page.evaluate(RUN_ALL)
    page.locator(".gt-panel").wait_for(state="attached")
    page.locator(".gt-live summary").click()
    page.wait_for_function(f"({ARRIVED})('Ireland') > 0")
    yield page
    done.touch()
    wait_until_run(page)
    assert errors(page) == []


def arrivals_in_ireland(page) -> int:
    """While 20 writes arrive in Virginia."""
    before, virginia = page.evaluate(ARRIVED, "Ireland"), page.evaluate(ARRIVED, "N. Virginia")
    page.wait_for_function(f"before => ({ARRIVED})('N. Virginia') > before + 20", arg=virginia)
    return page.evaluate(ARRIVED, "Ireland") - before


@pytest.mark.long(20)
def test_the_live_view_and_the_panel_while_a_cell_runs(theme, live_notebook):
    """One notebook, because its kernel and the page take most of the time."""
    a_partition_pulled_in_the_panel_stops_arrivals_in_the_live_view(live_notebook)
    live_view_and_panel_can_be_read_also_beside_the_notebook(live_notebook, theme)


def a_partition_pulled_in_the_panel_stops_arrivals_in_the_live_view(page) -> None:
    link = page.get_by_role("button", name="Partition between Singapore and Ireland")
    whole = page.locator(".gt-whole")
    whole.wait_for()
    link.focus()
    page.keyboard.press("Enter")
    page.locator(".gt-done", has_text='lab.world.partition("ap-southeast-1", "eu-west-1")').wait_for()
    page.locator(".gt-done", has_text="gtlab world partition ap-southeast-1 eu-west-1").wait_for()
    page.locator(".gt-live .gt-cut").first.wait_for(state="attached")
    wait_until(lambda: not arrivals_in_ireland(page), "what was on its way to have arrived")
    assert arrivals_in_ireland(page) == 0
    picture(page, "live-cut")
    page.get_by_role("button", name="Repair everything").click()
    whole.wait_for()
    wait_until(lambda: arrivals_in_ireland(page) >= 20, "arrivals to resume")


def live_view_and_panel_can_be_read_also_beside_the_notebook(page, theme) -> None:
    page.get_by_role("button", name="Outage of Ireland").click()
    page.locator(".gt-broken", has_text="Ireland (eu-west-1) is down (timeout)").wait_for()
    page.get_by_label("Knob", exact=True).select_option("throttle")
    for width, name in EACH_ONCE:
        page.set_viewport_size({"width": width, "height": 900})
        theme(page, name)
        settled(page)
        for widget in (".gt-live", ".gt-panel"):
            page.locator(widget).scroll_into_view_if_needed()
            assert page.evaluate(UNREADABLE, widget) == [], (width, name)
            picture(page, f"{widget[4:]}-{width}-{name.lower()}")
            assert violations(page, widget) == [], (width, name)
    page.locator(".gt-live").get_by_role("button", name="Open beside").click()
    page.locator(".gt-dock .gt-live").wait_for()
    settled(page)
    left = page.evaluate("() => document.querySelector('.gt-dock').getBoundingClientRect().left")
    assert page.evaluate("() => document.querySelector('.jp-Notebook').getBoundingClientRect().right") <= left + 1
    assert page.evaluate(UNREADABLE, ".gt-live") == []
    picture(page, "live-beside")
    page.set_viewport_size({"width": 1280, "height": 800})
    settled(page)
    assert page.locator(".jp-Notebook").bounding_box()["width"] > 420, "with the list of files, too, cells can be read"
    assert page.evaluate(UNREADABLE, ".gt-live") == []
    page.get_by_role("button", name="Back into the cell").click()
    page.locator(".jp-OutputArea .gt-live").wait_for()
    page.get_by_role("button", name="Repair everything").click()


def test_picker_live_view_and_chart_in_notebook_7(jupyter, theme, page_beside):
    page = page_beside
    name = jupyter.save("seven.ipynb", LAB, "from gtlab import charts, regions\n"
                        "charts.region_map(regions.frame(lab.home, lab.replicas))",
                        "from gtlab.lab import remember\nwidgets.choose_regions(lab.choice, on_choice=remember)",
                        "view = widgets.live(lab)\nview", f"for number in range(200):\n{WRITE_ONE}")
    load_notebook(page, jupyter.url(name, app="notebooks"))
    run_all(page)
    assert errors(page) == []
    page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
    page.locator(".gt-live summary").click()
    page.wait_for_function(f"({ARRIVED})('Ireland') > 0 && ({ARRIVED})('N. Virginia') > 0")
    nothing_stays_on_its_way(page)
    page.locator(".gt-picker .gt-map").get_by_label("Paris, France").click()
    says(page, "Saved: Singapore (home), N. Virginia, Ireland, Paris.")
    cells = page.evaluate(CELLS)
    for key in ("m", "x", "d", "d", "ArrowDown"):  # shortcuts of Notebook 7 too
        page.keyboard.press(key)
    assert page.evaluate(CELLS) == cells
    for name in ("Light", "Dark"):
        theme(page, name)
        page.locator(".js-plotly-plot").scroll_into_view_if_needed()
        settled(page)
        assert complaints(page) == [], name
        picture(page, f"notebook-7-chart-{name.lower()}")
        for widget in (".gt-picker", ".gt-live"):
            page.locator(widget).scroll_into_view_if_needed()
            settled(page)
            assert page.evaluate(UNREADABLE, widget) == [], name
            picture(page, f"notebook-7-{widget[4:]}-{name.lower()}")


TELL = """async told => {
    const nothing = '{"flights": [], "landed": [], "streams": [], "missed": [], "words": []}';
    const code = `view.send(view.state | ${nothing} | ${told})`;
    await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code}).done;
}"""


def nothing_stays_on_its_way(page) -> None:
    """Neither a single write of many that were drawn as one point per link, nor what a restart of the local cloud has
    made unknown."""
    flights = page.locator(".gt-live .gt-flight")
    page.locator(".gt-live .gt-map").scroll_into_view_if_needed()
    for told, ends in (('{"streams": [["us-east-1", "eu-west-1", 1, 3000.0]]}', "{}"),
                       ('{"flights": [[-1, "us-east-1", "eu-west-1", 300.0]]}', '{"restarted": True}')):
        wait_until(lambda: flights.count() == 0, "every write to arrive")
        page.evaluate(TELL, told)
        flights.first.wait_for(state="attached")
        page.evaluate(TELL, ends)
    wait_until(lambda: flights.count() == 0, "every write to arrive")
