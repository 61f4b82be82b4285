"""How far a learner is: for each notebook, what is predicted, what is solved, and what comes next."""

from __future__ import annotations

import html
from dataclasses import dataclass

from gtlab.course import exercises, predictions, progress, start, workingcopy

_CELL = ('style="text-align:left;padding:.25em 1em .25em 0;border-bottom:1px solid #C3CAD1;color:inherit;'
         'font-weight:inherit"')
_WHOLE = _CELL.removesuffix('"') + ';white-space:nowrap"'


@dataclass(frozen=True)
class Row:
    """A notebook's progress. ``file`` is its file name; ``questions`` and ``exercises`` are the IDs that it has,
    ``predicted`` and ``solved`` those that are done."""

    number: str
    title: str
    file: str
    questions: tuple[str, ...]
    exercises: tuple[str, ...]
    predicted: tuple[str, ...]
    solved: tuple[str, ...]

    @property
    def open(self) -> tuple[str, ...]:
        """What is still to do, in words: first the predictions, then the exercises."""
        return (*(f"predict {id}" for id in self.questions if id not in self.predicted),
                *(f"solve {id}" for id in self.exercises if id not in self.solved))


class Overview:
    """The progress in all notebooks. Notebooks show it as a table; as text it is what ``gtlab progress`` prints."""

    def __init__(self, rows: list[Row]):
        self.rows = rows

    @property
    def next(self) -> Row | None:
        """The first notebook with something to do; None if everything is done."""
        return next((row for row in self.rows if row.open), None)

    @property
    def advice(self) -> str:
        """What to do next, in a sentence."""
        if self.next is None:
            return "Everything is predicted and solved."
        first, *others = self.next.open
        more = f", and {len(others)} more" if others else ""
        return f"Next: {self.next.number} {self.next.title}: {first}{more}."

    def __repr__(self) -> str:
        width = max(len(row.title) for row in self.rows) + 3
        lines = [f"{'Notebook':<{width}}  Predicted  Solved"]
        for row in self.rows:
            mark = "  ← next" if row is self.next else ""
            lines.append(f"{row.number} {row.title:<{width - 3}}  {_of(row.predicted, row.questions):<9}  "
                         f"{_of(row.solved, row.exercises):<6}{mark}".rstrip())
        return "\n".join([*lines, self.advice])

    def _repr_html_(self) -> str:
        """The same as a table, with links to the notebooks; it needs no kernel and no script."""
        rows = "".join(
            f'<tr style="font-weight:{"bold" if row is self.next else "normal"}"'
            f'{" aria-current=step" if row is self.next else ""}><th scope="row" {_CELL}>'
            f'<a href="{html.escape(row.file)}">{row.number} {html.escape(row.title)}</a></th>'
            f"<td {_WHOLE}>{_bar(row.predicted, row.questions)}</td><td {_WHOLE}>{_bar(row.solved, row.exercises)}</td>"
            f"<td {_CELL}>{'next' if row is self.next else ''}</td></tr>" for row in self.rows)
        heads = "".join(f'<th scope="col" {_CELL}>{head}</th>' for head in ("Notebook", "Predicted", "Solved", ""))
        return (f'<table style="border-collapse:collapse;margin:0"><caption style="text-align:left;color:inherit">'
                f"Your progress</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
                f"<p>{html.escape(self.advice)}</p>")


def overview() -> Overview:
    """The progress that is kept in the state folder, for the notebooks of the installed course."""
    predicted, solved = progress.recorded("predicted"), progress.recorded("solved")
    files = {start.find(path.stem).number: path.name for path in workingcopy.course_folder().glob("[0-9][0-9]_*.ipynb")}
    rows = []
    for notebook in start.NOTEBOOKS:
        if notebook.number in files:
            asked = tuple(question.id for question in predictions.questions(notebook.number))
            given = tuple(id for id in exercises.MODULES if id.startswith(notebook.number))
            rows.append(Row(notebook.number, notebook.title, files[notebook.number], asked, given,
                            tuple(id for id in asked if id in predicted), tuple(id for id in given if id in solved)))
    return Overview(rows)


def _of(done: tuple[str, ...], every: tuple[str, ...]) -> str:
    return f"{len(done)} of {len(every)}" if every else "–"


def _bar(done: tuple[str, ...], every: tuple[str, ...]) -> str:
    """A filled circle for each that is done, an empty one for each that is not, and the numbers for screen readers."""
    circles = "●" * len(done) + "○" * (len(every) - len(done))
    return (f'<span aria-hidden="true">{circles} </span>'
            f'<span style="white-space:nowrap">{_of(done, every)}</span>')
