"""The pages of executed notebooks: what they hold, and that a browser shows them without a network."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from browser import chromium, needs_chromium
from click.testing import CliRunner

from gtlab.cli import main
from gtlab.course import pages
from gtlab.course.tour import Result, TourError

FIGURE = {"data": [{"type": "bar", "x": ["Ireland"], "y": [87], "name": "</script><b>"}],
          "layout": {"title": {"text": "Ireland is<br>87 ms away"}, "height": 300}}
WIDGETS = {
    "box": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_text", "IPY_MODEL_bar", "IPY_MODEL_gone"]}},
    "text": {"model_name": "HTMLModel", "state": {"value": "us-east-1 <b>ACTIVE</b>"}},
    "bar": {"model_name": "FloatProgressModel", "state": {"value": 2.0, "max": 3.0}},
    "gone": {"model_name": "HTMLModel", "state": {"value": "hidden text", "layout": "IPY_MODEL_none"}},
    "none": {"model_name": "LayoutModel", "state": {"display": "none"}},
    "menu": {"model_name": "DropdownModel",
             "state": {"description": "Home", "_options_labels": ["Ireland", "Ohio"], "index": 1}},
    "out": {"model_name": "OutputModel", "state": {"outputs": [
        {"output_type": "stream", "name": "stdout", "text": "printed <inside>"}]}},
}


def view(name: str, **more: str) -> dict:
    return {pages.VIEW: {"model_id": name}, "text/plain": f"Widget({name})", **more}


@pytest.fixture
def executed():
    """A notebook as it is after its run: no kernel is started here."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    def cell(source: str, *data: dict, **metadata: object):
        return new_code_cell(source, execution_count=1, metadata=metadata,
                             outputs=[new_output("display_data", data=each) for each in data])

    return new_notebook(cells=[
        new_markdown_cell("# Time it\n\n*How long does a write take?*\n\n"
                          "See [the first](00_start.ipynb#top) and [another](08_other.ipynb), [term](glossary.md#t)."),
        cell("draw()", {pages.CHART: FIGURE}),
        cell("wait()", view("box"), view("menu"), view("out"), view("lost")),
        cell("pick()", view("none", **{"text/html": "<svg>the map</svg>"})),
        cell("answer = 42", jupyter={"source_hidden": True}),
    ], metadata={"widgets": {pages.WIDGET_STATE: {"state": WIDGETS}}})


@pytest.fixture
def written(executed, tmp_path) -> Path:
    """The folder of the pages of two notebooks: one that was run, and one that failed before anything was stored."""
    import nbformat

    nbformat.write(executed, tmp_path / "04_time.ipynb")
    folder = tmp_path / "pages"
    pages.prepare(folder)
    pages.write([Result(tmp_path / "04_time.ipynb", True, 90.0, None, 4),
                 Result(tmp_path / "05_lost.ipynb", False, 3.0, "no kernel <here>", 0)], tmp_path, folder)
    return folder


@pytest.mark.slow
def test_widgets_become_still_pictures(executed):
    page = pages.convert(executed, title="Time it")
    assert "us-east-1 <b>ACTIVE</b>" in page and 'max="3" value="2"' in page and "hidden text" not in page
    assert "Home Ohio" in page and "printed &lt;inside&gt;" in page and "<svg>the map</svg>" in page
    assert "Widget(lost)" in page and "widget-state" not in page and "Widget(box)" not in page


def test_a_chart_is_data_that_the_page_draws(executed):
    page = pages.convert(executed, title="Time it")
    assert 'aria-label="Ireland is 87 ms away"' in page and 'src="plotly.min.js"' in page
    data = page.split('<script type="application/json">')[1].split("</script>")[0]
    assert json.loads(data) == FIGURE


def test_a_page_asks_for_nothing_but_the_script_beside_it(executed):
    from bs4 import BeautifulSoup

    page = BeautifulSoup(pages.convert(executed, title="Time it"), "html.parser")
    assert [tag["src"] for tag in page.find_all(src=True)] == ["plotly.min.js"]
    assert page.find_all("link") == []


def test_a_chart_has_its_finding_and_its_alt_text(executed):
    from bs4 import BeautifulSoup

    said = executed.cells[1].outputs[0].data[pages.CHART]["layout"]
    said["meta"] = {"finding": "Ireland is <near>.", "alt": "One bar of 87 ms."}
    page = BeautifulSoup(pages.convert(executed, title="Time it"), "html.parser")
    assert page.select_one(".gt-chart")["aria-label"] == "One bar of 87 ms."
    assert page.select_one("figcaption").get_text() == "Ireland is <near>."
    said["meta"]["finding"] = "Ireland is 87 ms away"  # the chart shows it itself
    assert BeautifulSoup(pages.convert(executed, title="Time it"), "html.parser").select("figcaption") == []


def test_a_page_without_charts_needs_no_script(executed):
    executed.cells = executed.cells[:1]
    assert "<script" not in pages.convert(executed, title="Time it")


@pytest.mark.slow
def test_hidden_solutions_are_folded(executed):
    from bs4 import BeautifulSoup

    page = BeautifulSoup(pages.convert(executed, title="Time it"), "html.parser")
    (folded,) = page.find_all("details")
    assert "answer" in folded.get_text() and not folded.has_attr("open")


def test_links_lead_to_pages_that_exist(executed):
    page = pages.convert(executed, title="Time it", pages=["00_start"])
    assert '<a href="00_start.html#top">the first</a>' in page and ".ipynb" not in page and "another" in page
    assert ", term." in page


def test_the_glossary_beside_the_notebooks_is_a_page_too(executed, tmp_path):
    import nbformat
    from bs4 import BeautifulSoup

    nbformat.write(executed, tmp_path / "04_time.ipynb")
    (tmp_path / "glossary.md").write_text(
        '# Terms\n\n### <a id="t"></a>Time\n\nSee [another](#t) and [it](04_time.ipynb).\n')
    pages.prepare(tmp_path / "pages")
    index = pages.write([Result(tmp_path / "04_time.ipynb", True, 90.0, None, 4)], tmp_path, tmp_path / "pages")
    assert '<a href="glossary.html">Terms</a>' in index.read_text()
    assert '<a href="glossary.html#t">term</a>' in (index.parent / "04_time.html").read_text()
    glossary = BeautifulSoup((index.parent / "glossary.html").read_text(), "html.parser")
    assert glossary.select_one("h3 #t") and [link["href"] for link in glossary.select("p a")] == ["#t", "04_time.html"]


@pytest.mark.slow
def test_the_notebook_stays_as_it_is(executed):
    before = deepcopy(executed)
    pages.convert(executed, title="Time it", failure="x")
    assert executed == before


def test_the_index_names_each_notebook(written):
    index = (written / "index.html").read_text()
    assert '<a href="04_time.html">Time it</a>' in index and "How long does a write take?" in index
    assert "<td>1.5</td><td>ok</td>" in index
    assert "failed</span>: no kernel &lt;here&gt;" in index
    assert "This notebook failed: no kernel &lt;here&gt;" in (written / "05_lost.html").read_text()


def test_what_a_notebook_promises_is_plain_text():
    from nbformat.v4 import new_markdown_cell, new_notebook

    promise = "*Of two `calls`,\nby [the article](glossary.md#article), which?*"
    for source, expected in ((f"# Call\n\n{promise}\n\n| a |", ("Call", "Of two calls, by the article, which?")),
                             ("# Call\n\nNot in italics.", ("Call", "")), ("# Call", ("Call", "")), ("", ("", ""))):
        assert pages.heading(new_notebook(cells=[new_markdown_cell(source)])) == expected


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(TourError, match="it is a file"):
        pages.prepare(tmp_path / "taken")
    answer = CliRunner().invoke(main, ["tour", "00", "--html", str(tmp_path / "taken" / "below")])
    assert answer.exit_code != 0 and "cannot hold the pages" in answer.output + str(answer.exception)
    assert len(answer.output.splitlines()) <= 1


@pytest.mark.browser
@needs_chromium
def test_a_browser_draws_the_chart_offline(written):
    strays, problems = [], []

    def guard(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            strays.append(route.request.url)
            route.abort()

    with chromium() as browser:
        page = browser.new_page(viewport={"width": 900, "height": 900})
        page.route("**/*", guard)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.goto((written / "index.html").as_uri())
        page.get_by_role("link", name="Time it").click()
        page.locator(".gt-chart .bars path").wait_for()
        assert "Ireland is" in page.locator(".gt-chart .gtitle").text_content()
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert (strays, problems) == ([], [])
