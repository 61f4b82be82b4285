"""The course in a real browser: notebooks by Run All. The first is in test_browser_widgets.py; the first three are run
cell by cell in test_browser_keyboard.py, which looks at their charts too."""

from __future__ import annotations

import pytest
from browser import (
    LOOKS,
    RUN_ALL,
    errors,
    needs_chromium,
    open_notebook,
    picture,
    pictures,
    run_all,
    settled,
)
from chart_pages import all_laid_out, charts_drawn, complaints
from support import wait_until

from gtlab import tour

pytestmark = [pytest.mark.browser, pytest.mark.long(12), needs_chromium]


def test_a_term_leads_to_its_entry_in_the_glossary(jupyter, page):
    import nbformat

    name = jupyter.save("terms.ipynb")
    notebook = jupyter.ask("GET", f"contents/{name}")
    notebook["content"]["cells"] = [nbformat.v4.new_markdown_cell("A [late write](glossary.md#lost-write).")]
    jupyter.ask("PUT", f"contents/{name}", notebook)
    open_notebook(page, name)
    page.get_by_role("link", name="late write").click()
    entry = page.locator(".jp-MarkdownViewer h3", has_text="Lost write")
    entry.wait_for()
    top = page.locator(".jp-MarkdownViewer").bounding_box()["y"]
    wait_until(lambda: top - 10 < entry.bounding_box()["y"] < top + 100, "the entry to be at the top")
    picture(page, "glossary")


def test_the_errors_of_cells_and_of_widgets_outputs_are_found(jupyter, page):
    name = jupyter.save("errors.ipynb", "import ipywidgets\noutput = ipywidgets.Output()\ndisplay(output)\n"
                        "with output:\n    {}['inside']", "1 / 0")
    open_notebook(page, name)
    page.evaluate(RUN_ALL)
    page.locator(".jp-OutputArea-output", has_text="ZeroDivisionError").first.wait_for()
    page.locator(".jp-OutputArea-output", has_text="KeyError").first.wait_for()
    found = " ".join(errors(page))
    assert "ZeroDivisionError: division by zero" in found and "KeyError" in found


@pytest.mark.parametrize("notebook", [path.stem for path in tour.find_notebooks()[3:]])
def test_a_notebook_by_run_all(theme, page, notebook):
    open_notebook(page, f"{notebook}.ipynb")
    run_all(page)
    assert errors(page) == []
    charts = charts_drawn(page)
    if notebook.startswith("05"):
        page.locator(".gt-wait", has_text="ACTIVE").first.wait_for(state="attached")
    if not charts:
        return
    with all_laid_out(page):  # one look for each notebook; test_browser_charts.py has every chart in all four
        width, name = LOOKS[int(notebook[:2]) % len(LOOKS)]
        page.set_viewport_size({"width": width, "height": 900})
        theme(page, name)
        settled(page)
        assert complaints(page) == [], (width, name)
        pictures(page, f"{notebook[:2]}-{width}-{name.lower()}")
