"""A prediction in a real browser: answered by mouse and by keyboard, kept, and revealed."""

from __future__ import annotations

import pytest
from browser import needs_chromium, open_notebook, picture, run_all
from support import wait_until

from gtlab.course import progress

pytestmark = [pytest.mark.browser, pytest.mark.long(20), needs_chromium]

CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"""


def chosen(id: str, option: str) -> None:
    wait_until(lambda: progress.recorded("predicted").get(id) == option, f"the prediction {id} to be {option}")


def test_a_prediction_by_mouse_and_by_keyboard(jupyter, page):
    open_notebook(page, jupyter.url("00_start_here.ipynb"))
    run_all(page)
    page.evaluate("""() => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        const at = notebook.widgets.findIndex(cell => cell.model.sharedModel.source.includes('check.predict'));
        return notebook.scrollToItem(at, 'start');
    }""")
    quiz = page.locator(".gt-quiz:visible").first
    quiz.wait_for()
    cells, press = page.evaluate(CELLS), page.keyboard.press
    quiz.get_by_text("It is the same: cables are glass fibres").click()
    chosen("00-light", "same")
    quiz.locator(".gt-hint", has_text="Your prediction is saved.").wait_for()
    press("ArrowUp")
    chosen("00-light", "slower")
    for key in ("m", "x", "y", "a", "b", "d", "d", "z"):
        press(key)
    assert page.evaluate(CELLS) == cells, "no key of its own reaches JupyterLab"
    assert quiz.get_by_role("radio", checked=True).get_attribute("value") == "slower"
    assert quiz.get_by_role("group").count() == 1, "a screen reader says the question with the options"
    picture(page, "quiz")
    press("Escape")
    assert not page.evaluate("() => Boolean(document.activeElement.closest('.gt-quiz'))")
