"""The pages for instructors agree with the notebooks: minutes, titles, predictions and exercises. And the minutes in
the notebooks' headers are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gtlab import tour
from gtlab.course import exercises, predictions, start

ROOT = Path(__file__).parents[1]
PLANS = ROOT / "docs/instructors.md"
NOTES = ROOT / "docs/instructor-notes.md"
RESULTS = ROOT / "benchmarks/RESULTS.md"
# How long a reader takes, in minutes: CONTRIBUTING.md says so too.
WORD, LINE, PREDICTION, EXERCISE = 1 / 200, 1 / 20, 0.5, 4.0
MARGIN = 5.0  # minutes, since the headers go by steps of five

pytestmark = pytest.mark.skipif(not PLANS.is_file(), reason="needs a checkout")


def minutes() -> dict[str, int]:
    """The minutes that each notebook's header names, by number."""
    headers = {path.stem[:2]: "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
               for path in tour.find_notebooks()}
    return {number: int(re.search(r"\*\*Time\*\* \| (\d+) minutes", header)[1]) for number, header in headers.items()}


def cells(path: Path) -> list[tuple[str, str]]:
    """The kind and the text of each cell of a notebook."""
    return [(cell["cell_type"], "".join(cell["source"]))
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def prose(texts: list[tuple[str, str]]) -> float:
    """The minutes for the words of markdown cells: without addresses, tags and marks."""
    plain = [re.sub(r"\]\([^)]*\)|<[^>]*>|[|*`#>-]", " ", text) for kind, text in texts if kind == "markdown"]
    return WORD * sum(len(text.split()) for text in plain)


def work(texts: list[tuple[str, str]]) -> float:
    """The minutes for what code cells ask of a reader: to read them, to predict, and to solve the exercise."""
    code = [text for kind, text in texts if kind == "code"]
    lines = sum(bool(line.strip()) for text in code for line in text.splitlines())
    asked = sum(text.count("check.predict(") for text in code)
    return LINE * lines + PREDICTION * asked + EXERCISE * sum("check.exercise(" in text for text in code)


def run_minutes() -> dict[str, float]:
    """The minutes that each notebook's cells took on the realistic network, by number."""
    section, = re.findall(r"^## course$.*?(?=^## )", RESULTS.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert re.search("^seconds +realistic", section, flags=re.M), "the first column of figures is read"
    return {number: float(seconds) / 60
            for number, seconds in re.findall(r"^(\d\d)_\w+ +([\d.]+) ", section, flags=re.M)}


def plans() -> dict[str, tuple[int, list[str]]]:
    """The plans by heading: how many minutes the text promises, and the rows of the table."""
    found = {}
    for section in PLANS.read_text(encoding="utf-8").split("\n## ")[1:]:
        if "| Start | Minutes | What |" in section:
            rows = re.findall(r"^\| \d+:\d\d \| .*$", section, flags=re.M)
            found[section.splitlines()[0]] = (int(re.search(r"^(\d+) minutes", section, flags=re.M)[1]), rows)
    return found


@pytest.mark.parametrize("plan", plans() if PLANS.is_file() else [])
def test_a_plan_gives_each_notebook_the_minutes_of_its_header(plan):
    promised, rows = plans()[plan]
    known, at, corrected = minutes(), 0, []
    for row in rows:
        given, what = re.fullmatch(r"\| \S+ \| (\d+) \| (.*) \|", row).groups()
        notebook = re.match(r"\*\*(\d\d) ", what)
        lasts = known.get(notebook[1], int(given)) if notebook else int(given)
        corrected.append(f"| {at // 60}:{at % 60:02d} | {lasts} | {what} |")
        at += lasts
    assert rows == corrected
    assert promised == at, "the rows are longer or shorter than the plan"


def test_the_longest_plan_has_every_notebook():
    _, rows = max(plans().values())
    assert len(plans()) == 3
    assert re.findall(r"\*\*(\d\d) ", "\n".join(rows)) == [notebook.number for notebook in start.NOTEBOOKS]


@pytest.mark.parametrize("notebook", start.NOTEBOOKS, ids=lambda notebook: notebook.number)
def test_the_notes_have_each_prediction_and_exercise(notebook):
    sections = dict(re.findall(r"^## (\d\d .*)\n((?:(?!## ).*\n)*)", NOTES.read_text(encoding="utf-8"), flags=re.M))
    notes = sections[f"{notebook.number} {notebook.title}"]
    named = set(re.findall(r"`(\d\d-[\w-]+)`", notes))
    asked = {question.id for question in predictions.questions(notebook.number)}
    assert asked <= named, "add a row for each prediction"
    assert exercises.find(notebook.number).id in named


@pytest.mark.parametrize("path", tour.find_notebooks(), ids=lambda path: path.stem)
def test_the_minutes_of_a_header_are_those_of_a_reader_and_of_the_cells(path):
    texts, runs = cells(path), run_minutes()
    number = path.stem[:2]
    assert number in runs, "put what gtlab tour --solve prints into benchmarks/RESULTS.md"
    # What is optional comes last, and has minutes of its own.
    main = next((at for at, (kind, text) in enumerate(texts) if kind == "markdown" and re.match("## .*optional", text)),
                len(texts))
    takes = prose(texts[:main]) + work(texts[:main]) + runs[number]
    assert abs(minutes()[number] - takes) < MARGIN, f"{path.stem} takes about {takes:.0f} minutes"
    more = re.search(r"minutes; (\d+) more", texts[0][1])
    assert bool(more) == (main < len(texts))
    if more:
        takes = prose(texts[main:]) + work(texts[main:])
        assert abs(int(more[1]) - takes) < MARGIN, f"the optional part takes about {takes:.0f} minutes"


@pytest.mark.parametrize("path", tour.find_notebooks(), ids=lambda path: path.stem)
def test_a_reader_reads_for_longer_than_the_cells_take(path):
    assert run_minutes()[path.stem[:2]] < prose(cells(path)), "start early what takes long, and use it later"
