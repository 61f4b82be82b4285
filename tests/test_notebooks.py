"""Every notebook of the course, run by papermill as the tour runs them, on a cloud that starts out empty."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

import gtlab
from gtlab import tour
from gtlab.course import predictions, solutions
from gtlab.localcloud import process

pytestmark = pytest.mark.notebooks

COURSE = tour.find_notebooks()
# Only what takes time on purpose is shortened.
QUICK = {"sleep_s": 0.3, "samples": 4, "timeout_s": 0.5, "outage_s": 2.5}
OTHERS = {"home": "eu-central-1", "replicas": "sa-east-1"}  # two Regions, neither of which is in the article
STARTED = ("02_create_the_global_table", "03_verify_replication", "04_time_it", "06_break_it", "07_lose_nothing",
           "08_react_once", "09_fail_over")
MOST_KB = 600  # of an executed notebook, as docs/widgets.md says
WIDEST = 36    # characters of inline code, which is not broken: they fit at 800 px with the sidebar open


@pytest.fixture
def own_cloud():
    with process.throwaway("fast"):
        yield


def run(notebooks, tmp_path, solve=False, **parameters) -> dict:
    """The executed notebooks by stem; fails the test where one failed. ``solve``: with the exercises' solutions."""
    import nbformat  # these two take seconds
    import papermill

    known = {name for path in notebooks for name in papermill.inspect_notebook(path)}
    given = {name: value for name, value in (QUICK | parameters).items() if name in known}
    results = tour.run(notebooks, tour.check_parameters(notebooks, given), tmp_path, progress=False, solve=solve)
    assert [(result.notebook.stem, result.error) for result in results] == [(path.stem, None) for path in notebooks]
    return {path.stem: nbformat.read(tmp_path / path.name, 4) for path in notebooks}


def printed(notebook) -> str:
    return "".join(map(printed_by, notebook.cells))


def printed_by(cell) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


def shown(notebook) -> str:
    return "".join(map(shown_by, notebook.cells))


def shown_by(cell) -> str:
    return "".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", ()))


def said_by(cell) -> str:
    return printed_by(cell) + shown_by(cell)


@pytest.mark.long(250)
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("own_cloud")
def test_the_course_from_a_clean_start_to_its_clean_up_and_again(tmp_path):
    ran = run(COURSE, tmp_path, solve=True)
    assert printed(ran["11_clean_up"]).endswith("0 left.\n")
    for stem, notebook in ran.items():
        said = "".join(map(said_by, notebook.cells))
        assert "✔ Right" in said and "Checking your answer" not in said, stem
        assert "✘ Not yet" not in said or "solution" in str(notebook.cells), stem
        assert (tmp_path / f"{stem}.ipynb").stat().st_size < 1000 * MOST_KB, stem
    record, = (shown_by(cell) for cell in ran["08_react_once"].cells if "in records[other]" in cell.source)
    assert "'Customer': {'S': 'Ann " in record and "'S': 'order of Ann'" in record, "not that of the expired basket"
    broken = ran["06_break_it"]
    assert "the counter is 5." in shown(broken) and "discarded" in shown(broken)
    assert "Ann has the ticket.\nBen has the ticket." in printed(broken) and "{'S': 'Ben'}" in shown(broken)
    run(COURSE[1:3], tmp_path / "again")


@pytest.mark.long(25)
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("own_cloud")
@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_each_notebook_stands_alone_and_runs_twice_in_other_regions(path, tmp_path):
    ran = run([twice(path, tmp_path)], tmp_path / "ran", **OTHERS)[path.stem]
    cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    again = next(at for at, cell in enumerate(cells) if "again" in cell.metadata)
    first, second = ("".join(map(said_by, some)) for some in (cells[:again], cells[again:]))
    if path.stem in STARTED:
        assert "gtlab creates what is missing" in first and "gtlab creates" not in second
    assert gtlab.connect().world.state().empty, "what a notebook breaks, it mends"


@pytest.mark.long(10)
@pytest.mark.usefixtures("own_cloud")
def test_the_first_look_elsewhere_is_stale(tmp_path):
    import nbformat

    path, = tour.find_notebooks(["03"])
    notebook = nbformat.read(path, 4)
    last = next(at for at, cell in enumerate(notebook.cells) if '"Stale:"' in cell.source)
    del notebook.cells[last + 1:]
    nbformat.write(notebook, tmp_path / path.name)
    gtlab.connect().world.lag(5)  # so that a busy machine, slow to look, is not told that all is there already
    ran = run([tmp_path / path.name], tmp_path / "ran")[path.stem]
    assert re.search(r"Stale: .*\(us-east-1\).*\(eu-west-1\)", printed(ran))


def twice(path: Path, folder: Path) -> Path:
    """A copy of a notebook whose cells, all but the parameters, are there twice: Run All in a kernel that ran all."""
    import nbformat

    notebook = nbformat.read(path, 4)
    for number, cell in enumerate(copy.deepcopy(notebook.cells)):
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            cell.id, cell.metadata["again"] = f"again-{number}", True
            notebook.cells.append(cell)
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_notebooks_are_committed_clean_and_in_the_courses_form(path):
    import nbformat
    import papermill

    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].source.startswith("# ") and "**You&nbsp;will&nbsp;learn**" in notebook.cells[0].source
    assert code[1].metadata.get("tags") == ["parameters"]
    assert code[2].source.startswith("gtlab.short_errors()")
    parameters = papermill.inspect_notebook(path)
    assert {"home", "replicas"} <= parameters.keys()
    for name, found in parameters.items():
        assert found["help"] and found["inferred_type_name"] != "None", name
    assert all(len(line) <= 92 for cell in code for line in cell.source.splitlines()), "cut off in JupyterLab"
    prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", prose, flags=re.DOTALL))
    assert [code for code in inline if len(code) > WIDEST or "\n" in code] == []
    assert any("## Summary" in cell.source for cell in notebook.cells[-2:])
    stub, = (cell for cell in code if "exercise" in cell.metadata.get("tags", []))
    id = stub.metadata["exercise"]
    assert id.startswith(path.stem[:2]) and solutions.path(id).is_file()
    assert any(f'check.exercise("{id}"' in each.source for each in code), "the check has a cell of its own"
    assert len(solutions.text(id).splitlines()) <= 30
    assert len(code) / len(notebook.cells) <= 0.55, "prose is at least 45 % of the cells"
    assert all(len(cell.source.splitlines()) <= 10 for cell in code), path.stem
    check_predictions(path.stem[:2], [cell.source for cell in code])


def test_errors_are_shown_without_a_traceback_and_nothing_says_so():
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    cells = ["import gtlab\ngtlab.short_errors()", "def divide():\n    return 1 / 0\ndivide()"]
    notebook = new_notebook(cells=[new_code_cell(each) for each in cells])
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True).execute()
    first, second = notebook.cells
    assert first.outputs == []
    (line,) = second.outputs[0].traceback
    assert "division by zero" in line and "\n" not in line.strip()


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_links_lead_to_notebooks_and_to_terms_of_the_glossary(path):
    import nbformat

    text = (path.parent / "glossary.md").read_text(encoding="utf-8")
    terms = set(re.findall(r'<a id="([^"]+)">', text))
    prose = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([\w.-]+)(?:#([^)]*))?\)", prose)
    for file, anchor in links:
        assert (path.parent / file).is_file() and (not anchor or anchor in terms), (file, anchor)
    linked = {anchor for file, anchor in links if file == "glossary.md"}
    assert len(linked) >= 3, "the first use of each term has a link"
    assert any(file == "further-reading.md" for file, _ in links), "the sources of what it says about AWS"


def check_predictions(number: str, code: list[str]) -> None:
    """Each question of a notebook is asked before it is revealed, in a cell of its own."""
    asked = re.findall(r'check\.predict\("([^"]+)"\)', "\n".join(code))
    assert asked == [question.id for question in predictions.questions(number)]
    for id in asked:
        question, = (at for at, source in enumerate(code) if f'check.predict("{id}")' in source)
        answer, = (at for at, source in enumerate(code) if f'check.reveal("{id}"' in source)
        assert question < answer - 1, f"{id}: a cell between the question and the answer shows the truth"
