"""The solutions of the exercises: one file each in the folder ``solutions`` beside the course's notebooks. They are not
copied into a learner's working copy. ``gtlab tour --solve`` runs them in place of the stubs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gtlab.course import exercises
from gtlab.course.workingcopy import course_folder

_MATERIAL = ("pairs", "plans", "briefs", "steps")  # what the notebooks call an exercise's material
TAG = "exercise"  # of the stub's cell, whose metadata name the exercise, too: {"tags": ["exercise"], "exercise": ID}


def path(id: str) -> Path:
    """The file of an exercise's solution; ``id`` is complete. Whether it exists is not checked."""
    return course_folder() / "solutions" / f"{id.replace('-', '_')}.py"


def text(id: str) -> str:
    """The solution of an exercise: the code of the cell that replaces the stub. Raises ValueError if there is none."""
    try:
        return path(id).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ValueError(f"There is no solution of the exercise {id!r}. Install gtlab again.") from None


def shown(id: str) -> str:
    """The solution as it is shown: its code, and for an exercise with lettered material the answer that the code finds.
    Raises ValueError if there is none."""
    code, material = text(id), exercises.find(id).material
    if material is None:
        return code
    found: dict[str, Any] = dict.fromkeys(_MATERIAL, material(0))
    exec(compile(code, str(path(id)), "exec"), found)
    answer = found["answer"]
    return f"{code}\n\n# The answer that this code finds:\n# answer = " + repr(
        answer if isinstance(answer, dict) else "".join(answer))


def solved(notebook: dict) -> int:
    """Put the solutions in place of the stubs of a notebook (as JSON, or nbformat's), and return how many there
    were. Raises ValueError for a stub that names no exercise, or one without a solution."""
    stubs = [cell for cell in notebook["cells"] if TAG in cell["metadata"].get("tags", ())]
    for cell in stubs:
        id = cell["metadata"].get("exercise")
        if not id:
            raise ValueError(f"The cell tagged {TAG!r} does not name its exercise in its metadata: "
                             f"{''.join(cell['source'])[:60]!r}")
        cell["source"] = text(id)
    return len(stubs)
