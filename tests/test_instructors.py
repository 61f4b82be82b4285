"""The pages for instructors agree with the notebooks: minutes, titles, predictions and exercises."""

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

pytestmark = pytest.mark.skipif(not PLANS.is_file(), reason="needs a checkout")


def minutes() -> dict[str, int]:
    """The minutes that each notebook's header names, by number."""
    headers = {path.stem[:2]: "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
               for path in tour.find_notebooks()}
    return {number: int(re.search(r"\*\*Time\*\* \| (\d+) minutes", header)[1]) for number, header in headers.items()}


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
