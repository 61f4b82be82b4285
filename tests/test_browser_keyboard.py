"""Notebooks 00 to 02 by keyboard alone, 00 to 04 in `make soak`: only keys are sent to the page, and scripts only look.
The first three have each kind of cell and widget. The first solution is typed; the others arrive as text that is
pasted. What Run All shows of the other notebooks (test_browser.py) is looked at here too: errors, progress, charts."""

from __future__ import annotations

import pytest
from browser import READY, SEEN, errors, load_notebook, needs_chromium, settled
from chart_pages import all_laid_out, charts_drawn, complaints
from support import SOAK

from gtlab import tour
from gtlab.course import progress, solutions
from gtlab.lab import chosen

pytestmark = [pytest.mark.browser, pytest.mark.long(60), pytest.mark.soak, needs_chromium, pytest.mark.timeout(1200)]

CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(({ model }) => ({
    type: model.type, source: model.sharedModel.source, exercise: model.getMetadata('exercise') ?? null }))"""
ACTIVE = "index => window.jupyterapp.shell.currentWidget.content.activeCellIndex === index"
MODE = "mode => window.jupyterapp.shell.currentWidget.content.mode === mode"
INSIDE = "selector => Boolean(document.activeElement.closest(selector))"
IN_NOTEBOOK = "() => window.jupyterapp.shell.currentWidget.content.node.contains(document.activeElement)"
NAME = "() => window.jupyterapp.shell.currentWidget.title.label"
RUN = """index => {
    const panel = window.jupyterapp.shell.currentWidget;
    const { model } = panel.content.widgets[index];
    return model.executionCount !== null && model.executionState !== 'running'
        && panel.sessionContext.session?.kernel?.status === 'idle';
}"""


def test_the_first_notebooks_by_keyboard_alone(jupyter, fresh_page):
    wanted, page = tour.find_notebooks()[:5 if SOAK else 3], fresh_page
    load_notebook(page, f"{jupyter.printed}&reset")
    reach(page, IN_NOTEBOOK)
    exercises = []
    for path in wanted:
        if page.evaluate(NAME) != path.name:
            open_by_name(page, path.name)
        exercises += work_through(page, typing=not exercises)
        assert errors(page) == [], path.stem
        if charts_drawn(page):
            with all_laid_out(page):
                settled(page)
                assert complaints(page) == [], path.stem
        if path.stem.startswith("02"):
            page.locator(f"{SEEN} .gt-wait", has_text="ACTIVE").first.wait_for(state="attached")
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert chosen().replicas == ("us-east-1", "eu-west-1", "eu-central-1")
    assert exercises
    solved = progress.recorded("solved")
    assert {each: solved.get(each) for each in exercises} == dict.fromkeys(exercises, True)


def open_by_name(page, name: str) -> None:
    """By the command palette."""
    page.keyboard.press("Control+Shift+C")
    page.wait_for_function(INSIDE, arg=".lm-CommandPalette")
    page.keyboard.type("open from path")
    page.locator(".lm-CommandPalette-item.lm-mod-active", has_text="Open from Path").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function(INSIDE, arg=".jp-Dialog")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_function(f"name => ({NAME})() === name", arg=name)
    page.wait_for_function(READY)
    reach(page, IN_NOTEBOOK)


def reach(page, where: str, arg: object = None) -> None:
    """Press Tab until the keyboard is there."""
    for _ in range(60):
        if page.evaluate(where, arg):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"60 times Tab do not lead to {where}; the keyboard is at "
                + page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)"))


def work_through(page, typing: bool) -> list[str]:
    """Run each cell, as a learner who answers what is asked. Returns the exercises."""
    cells, press = page.evaluate(CELLS), page.keyboard.press
    for index, cell in enumerate(cells):
        page.wait_for_function(ACTIVE, arg=index)
        page.wait_for_function(MODE, arg="command")
        if cell["exercise"]:
            write(page, solutions.text(cell["exercise"]), typing)
        if index + 1 == len(cells) and cell["type"] == "markdown":
            break  # Shift+Enter would add a cell
        press("Shift+Enter")
        if cell["type"] == "markdown":
            continue
        page.wait_for_function(RUN, arg=index)
        for call, (widget, use) in WIDGETS.items():
            if call in cell["source"]:
                press("ArrowUp")
                page.wait_for_function(ACTIVE, arg=index)
                page.locator(f"{of(index)} {widget}").wait_for()
                reach(page, INSIDE, f"{of(index)} {widget}")
                use(page)
                press("Escape")
                page.wait_for_function(f"selector => !({INSIDE})(selector)", arg=widget)
                press("ArrowDown")
    return [cell["exercise"] for cell in cells if cell["exercise"]]


def of(index: int) -> str:
    """The selector of a cell of the notebook that is seen."""
    return f"{SEEN} .jp-Cell[data-windowed-list-index='{index}']"


def write(page, text: str, typing: bool) -> None:
    """In the place of what is in the cell. The editor indents new lines; that is replaced by the line's own spaces."""
    page.keyboard.press("Enter")
    page.wait_for_function(MODE, arg="edit")
    page.keyboard.press("Control+a")
    if not typing:
        page.keyboard.insert_text(text)
        return
    for number, line in enumerate(text.splitlines()):
        if number:
            page.keyboard.press("Enter")
            page.keyboard.press("Shift+Home")
        if line or number:
            page.keyboard.type(line)
        if number and not line:
            page.keyboard.press("Delete")


def predict(page) -> None:
    for key in ("Space", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_function("() => document.activeElement.closest('label')?.matches('.gt-chosen')")


def choose_frankfurt(page) -> None:
    press = page.keyboard.press
    reach(page, "() => document.activeElement.type === 'search'")
    page.keyboard.type("frankf")
    press("ArrowDown")
    press("Enter")
    page.locator(".gt-message", has_text="Saved: Singapore (home), N. Virginia, Ireland, Frankfurt.").wait_for()
    press("Escape")  # empties the filter


def open_table(page) -> None:
    """The table twin of a chart."""
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.closest('details')?.open")


WIDGETS = {"choose_regions(": (".gt-picker", choose_frankfurt), "check.predict(": (".gt-quiz", predict),
           "charts.replica_states(": (".gt-below", open_table)}
