"""The course as the board and the wire know it: its notebooks, their cells, questions and exercises.

The course's modules are imported when they are needed: a learner's process needs few of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from gtlab.course import workingcopy

if TYPE_CHECKING:
    from gtlab.course.predictions import Question


@cache
def numbers() -> tuple[str, ...]:
    """The numbers of the notebooks: "00", "01" and so on."""
    return tuple(sorted(path.name[:2] for path in workingcopy.course_folder().glob("[0-9][0-9]_*.ipynb")))


@cache
def titles() -> Mapping[str, str]:
    from gtlab.course import start

    return {each.number: each.title for each in start.NOTEBOOKS}


@cache
def questions() -> Mapping[str, Question]:
    """All questions by ID, in the order of the course."""
    from gtlab.course import predictions

    return predictions.every()


@cache
def exercises() -> Mapping[str, str]:
    """The exercises' titles by ID."""
    from gtlab.course import exercises

    return {id: exercises.find(id).title for id in exercises.MODULES}


def options(id: str) -> Mapping[str, str] | None:
    """The options of a question: key → text. None if there is no such question."""
    question = questions().get(id)
    return None if question is None else {key: each.text for key, each in question.options.items()}


@cache
def cells() -> Mapping[str, Mapping[str, int]]:
    """For each notebook's number the code cells' IDs, and the place of each among the code cells (from 1)."""
    found: dict[str, dict[str, int]] = {}
    for path in workingcopy.course_folder().glob("[0-9][0-9]_*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        code = [cell.get("id", "") for cell in notebook["cells"] if cell["cell_type"] == "code"]
        found[path.name[:2]] = {id: number for number, id in enumerate(code, start=1)}
    return found


def position(notebook: str, cell: str) -> tuple[int, int] | None:
    """Which code cell of a notebook this is, and how many the notebook has; None if it has no such cell."""
    known = cells().get(notebook, {})
    return (known[cell], len(known)) if cell in known else None
