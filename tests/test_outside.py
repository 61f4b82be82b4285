"""The course outside JupyterLab: run by nbclient as it is, and shown by nbconvert as it is."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gtlab import tour
from gtlab.localcloud import process

pytestmark = pytest.mark.notebooks

# Those with widgets, waits, a map and other charts; the tour runs all of them with nbclient, too.
FIRST, LATER = tour.find_notebooks(["00", "03"])
SVG = "data:image/svg+xml;base64,"
MOST_KB = 400  # of an executed notebook: people read it and send it


@pytest.fixture(autouse=True)
def own(tmp_path_factory, monkeypatch):
    """A cloud that starts out empty, and folders for Jupyter's files."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(home / name.lower()))
    with process.throwaway("fast"):
        yield


@pytest.mark.timeout(600)
def test_plain_nbconvert_runs_a_notebook_and_keeps_its_pictures(tmp_path):
    copy = tmp_path / LATER.name
    copy.write_bytes(LATER.read_bytes())
    assert_pictures(converted(copy, "--execute"), copy)


@pytest.mark.timeout(600)
def test_bare_nbclient_runs_the_first_notebook_and_it_stays_small_and_keeps_its_pictures(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FIRST, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3",
                   resources={"metadata": {"path": str(tmp_path)}}).execute()
    ran = tmp_path / "ran.ipynb"
    nbformat.write(notebook, ran)
    assert ran.stat().st_size < MOST_KB * 1024
    assert_pictures(converted(ran), ran)


def converted(notebook: Path, *options: str):
    """The page that nbconvert makes of a notebook."""
    from bs4 import BeautifulSoup

    ran = subprocess.run([sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", *options, notebook],
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return BeautifulSoup(notebook.with_suffix(".html").read_text(encoding="utf-8"), "html.parser")


def assert_pictures(page, notebook: Path) -> None:
    from bs4 import BeautifulSoup

    source = "".join("".join(cell["source"]) for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
                     if cell["cell_type"] == "code")
    coded = [image["src"].removeprefix(SVG) for image in page.select(f'img[src^="{SVG}"]')]
    charts = [BeautifulSoup(base64.b64decode(each), "html.parser").svg for each in coded]
    assert len(charts) == source.count("charts.")
    assert all(chart["role"] == "img" and chart.title.text and chart.desc.text for chart in charts)
    maps = page.select(".gt-still svg[role=img]")
    assert ("choose_regions" not in source) or any("Home Region Singapore" in each["aria-label"] for each in maps)
    assert len(page.select(".gt-wait")) >= source.count("watch.")


@pytest.mark.timeout(300)
def test_a_wait_is_one_output_that_was_updated_in_place(tmp_path):
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    cells = ["import gtlab\nfrom gtlab import stages, watch\nlab = gtlab.connect()\nstages.ensure_tables(lab)",
             "_ = watch.tables(lab, 'Music', regions=lab.regions[:2])",
             "lab.world.outage(lab.home)\nwatch.tables(lab, 'Music')"]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True,
                   resources={"metadata": {"path": str(tmp_path)}}).execute()
    created, waited = notebook.cells[0].outputs
    assert "creates what is missing" in created.data["text/plain"] and "2 of 2" in waited.data["text/plain"]
    (quick,) = notebook.cells[1].outputs
    assert quick.data["text/html"].count("<li>") == 2 and "widget" not in "".join(quick.data)
    stopped, error = notebook.cells[2].outputs
    assert "stopped" in stopped.data["text/html"] and error.ename == "WaitInVain" and "reset" in error.evalue
