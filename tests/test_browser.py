"""The course in a real browser: notebooks by Run All. The first is in test_browser_widgets.py; the first three are run
cell by cell in test_browser_keyboard.py, which looks at their charts too."""

from __future__ import annotations

import pytest
from browser import (
    LOOKS,
    RUN_ALL,
    SEEN,
    errors,
    needs_chromium,
    open_notebook,
    picture,
    pictures,
    run_all,
    run_cells,
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


# Codes in outputs and in text that are broken at the end of a line.
BROKEN_CODES = r"""panel => {
    const codes = /us-east-1|--network|2026-11-28/g, found = {seen: 0, broken: []};
    const walker = document.createTreeWalker(document.querySelector(panel), NodeFilter.SHOW_TEXT);
    for (let node; node = walker.nextNode();) {
        if (node.parentElement.closest('.cm-editor, style, script')) continue;
        for (const {0: code, index} of node.data.matchAll(codes)) {
            const range = document.createRange();
            range.setStart(node, index);
            range.setEnd(node, index + code.length);
            const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
            found.seen += lines > 0;
            if (lines > 1) found.broken.push(node.data);
        }
    }
    return found;
}"""


def test_no_code_is_broken_at_the_end_of_a_line(jupyter, page):
    import nbformat

    words = " ".join(f"{'n' * length} us-east-1 --network 2026-11-28" for length in range(1, 30))
    text = " ".join(f"{'n' * length} `us-east-1` (`--network`)" for length in range(1, 30))
    cells = [nbformat.v4.new_markdown_cell(text)] + [nbformat.v4.new_code_cell(cell) for cell in (
        f"from gtlab.lab import display\ndisplay.Lines().say({words!r})",  # said before a lab is shown
        "import gtlab\nimport pandas as pd\ngtlab.short_errors()\nlab = gtlab.connect()\nlab",
        f"pd.DataFrame([{words.split()[:8]!r}])",
        f"raise ValueError({words!r})")]
    name = jupyter.save("codes.ipynb")
    notebook = jupyter.ask("GET", f"contents/{name}")
    notebook["content"]["cells"] = cells
    jupyter.ask("PUT", f"contents/{name}", notebook)
    page.set_viewport_size({"width": 800, "height": 900})
    open_notebook(page, name)
    with all_laid_out(page):
        run_cells(page, "display.Lines")
        page.locator(f"{SEEN} pre.gt-lab").wait_for()
        assert page.evaluate("() => getComputedStyle(document.querySelector('pre.gt-lab')).wordBreak") == "normal"
        page.evaluate(RUN_ALL)
        page.locator(f"{SEEN} .jp-OutputArea-output", has_text="ValueError").wait_for()
        settled(page)
        found = page.evaluate(BROKEN_CODES, SEEN)
        picture(page, "codes-800")
    assert found["broken"] == [] and found["seen"] > 29 * 8
