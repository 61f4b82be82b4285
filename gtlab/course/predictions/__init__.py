"""The questions that notebooks ask before a cell shows the answer. One module for each notebook, ``n00`` to ``n11``,
holds its QUESTIONS; the truth is computed from what a run measured, by a function beside the question.
"""

from __future__ import annotations

import html
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ANSWERS_VARIABLE = "GTLAB_PREDICTIONS"  # answers for a run without a reader: "03-stale=older,03-strong=no"
NOTEBOOKS = tuple(f"{number:02}" for number in range(12))


class NotMeasured(ValueError):
    """What was passed to ``reveal`` does not show the answer; the text says what to pass."""


@dataclass(frozen=True)
class Option:
    """One answer. ``wrong`` says why it is wrong when something else was measured."""

    text: str
    wrong: str


@dataclass(frozen=True)
class Truth:
    """``option`` is the key of the option that this run has shown to be right; ``measured`` says in one sentence what
    was measured."""

    option: str
    measured: str


@dataclass(frozen=True)
class Question:
    """A question with two to five options.

    ``id`` begins with the notebook's number: ``03-stale``. ``options`` map a short key, which a reader can type, to an
    Option. ``truth`` takes what the notebook measured and returns a Truth; it raises NotMeasured for a value that shows
    nothing (an error of type TypeError, KeyError, AttributeError, IndexError or ValueError counts as that).
    ``because`` explains the truth, whichever option it is; or maps keys of options to explanations. ``usual`` are the
    options that are right, the most usual one first. A run that seems to show another one, because the machine was busy
    or nothing was cut, decides nothing: no option is marked as right, and ``because`` says why.
    """

    id: str
    text: str
    options: Mapping[str, Option]
    truth: Callable[[Any], Truth]
    because: str | Mapping[str, str]
    usual: tuple[str, ...]

    def explanation(self, option: str) -> str:
        return self.because if isinstance(self.because, str) else self.because.get(option, "")


@dataclass(frozen=True)
class Revealed:
    """What :func:`compare` found. ``chosen`` is None without a prediction, ``wrong`` maps the other options to why they
    are wrong."""

    question: Question
    chosen: str | None
    truth: Truth
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def decided(self) -> bool:
        """Whether the run has shown what is right."""
        return self.truth.option in self.question.usual

    @property
    def answer(self) -> str:
        """The option that is right: what the run has shown, or else what is usual."""
        return self.truth.option if self.decided else self.question.usual[0]

    @property
    def right(self) -> bool:
        return self.chosen == self.answer


def questions(notebook: str) -> tuple[Question, ...]:
    """The questions of a notebook ("03"), in the order in which they are asked; empty if it has none."""
    module = f"{__name__}.n{notebook}"
    if importlib.util.find_spec(module) is None:
        return ()
    return importlib.import_module(module).QUESTIONS


def every() -> dict[str, Question]:
    """All questions of the course by ID."""
    return {question.id: question for notebook in NOTEBOOKS for question in questions(notebook)}


def find(id: str) -> Question:
    """A question by its ID. Raises ValueError, which lists the IDs of the notebook (or of all) if there is none."""
    number = str(id)[:2]
    known = {question.id: question for question in questions(number)} if number in NOTEBOOKS else {}
    if id not in known:
        raise ValueError(f"There is no question {id!r}. There are: {', '.join(known or every())}.")
    return known[id]


def given(id: str) -> str | None:
    """The option that the environment variable GTLAB_PREDICTIONS gives for a question; None without one.

    Raises ValueError if the variable cannot be read, or names an option that the question does not have.
    """
    for part in filter(None, map(str.strip, os.environ.get(ANSWERS_VARIABLE, "").split(","))):
        name, equals, option = part.partition("=")
        if not equals:
            raise ValueError(f"{ANSWERS_VARIABLE} has {part!r}; write ID=OPTION, separated by commas.")
        if name.strip() == id:
            return checked(find(id), option.strip())
    return None


def checked(question: Question, option: object) -> str:
    """The key of an option, given by its key or its text in any case. Raises ValueError, which lists the options."""
    asked = str(option).strip().casefold()
    for key, each in question.options.items():
        if asked in (key.casefold(), each.text.casefold()):
            return key
    raise ValueError(f"Question {question.id} has no option {option!r}. Choose one of: {', '.join(question.options)}.")


def compare(question: Question, measured: Any, chosen: str | None) -> Revealed:
    """Compare a prediction with what was measured. Raises NotMeasured."""
    try:
        truth = question.truth(measured)
    except NotMeasured:
        raise
    except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
        raise NotMeasured(f"The answer to {question.id} cannot be seen from this {type(measured).__name__} ({error}). "
                          "Run the cells above again, from the prediction on.") from None
    found = Revealed(question, chosen, truth)
    return replace(found, wrong={key: option.wrong for key, option in question.options.items() if key != found.answer})


def asked(question: Question, chosen: str | None) -> str:
    """The question as text, with how to answer it by a line of code."""
    lines = [question.text, *(f"  {'●' if key == chosen else '○'} {key}: {option.text}"
                              for key, option in question.options.items())]
    example = chosen or next(iter(question.options))
    lines.append(f'Your prediction: {chosen}.' if chosen else
                 f'To answer without a mouse or a widget: check.predict("{question.id}", "{example}")')
    return "\n".join(lines)


def over(revealed: Revealed) -> str:
    """What stands below a question after its result was shown: what was answered, and how to be asked again."""
    if revealed.chosen is None:
        return "No answer was given before the result was shown. To answer, run this cell again."
    text = revealed.question.options[revealed.chosen].text
    return f"You answered {_quoted(text)} before the result was shown. To change your answer, run this cell again."


def told(revealed: Revealed) -> str:
    """What was revealed, as text: the measurement, the comparison, and why each wrong option is wrong."""
    lines = [f"Measured: {revealed.truth.measured}", *_verdict(revealed)]
    if revealed.chosen is None:
        lines.append("  (You made no prediction.)")
    lines += [f"  {text}".rstrip() for text in _explained(revealed)]
    lines += [f"{why_not} {because}" for why_not, because in _why_not(revealed)]
    return "\n".join(filter(None, lines))


def shown(revealed: Revealed) -> str:
    """The same as HTML without scripts, below the question. Why the options are wrong that the reader did not choose is
    folded away."""
    def paragraph(text: str, bold: bool = False) -> str:
        inner = html.escape(text)
        return f'<p style="margin:.4em 0">{f"<strong>{inner}</strong>" if bold else inner}</p>' if text else ""

    others = list(_why_not(revealed))
    own = [others.pop(0)] if revealed.chosen is not None and not revealed.right else []
    folded = "".join(paragraph(" ".join(each)) for each in others)
    summary = '<summary style="cursor:pointer">Why not the others?</summary>'
    parts = [f'<p style="margin:0 0 .4em"><em>{html.escape(revealed.question.text)}</em></p>',
             paragraph(f"Measured: {revealed.truth.measured}"),
             *(paragraph(line, bold=True) for line in _verdict(revealed)),
             paragraph("You made no prediction." if revealed.chosen is None else ""),
             *map(paragraph, _explained(revealed)),
             *(paragraph(" ".join(each)) for each in own),
             f"<details>{summary}{folded}</details>" if folded else ""]
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


# As the box of the question: see quiz.css.
_BOX = ("max-width:46em;box-sizing:border-box;margin:2px;padding:8px 14px;font:14px/1.4 var(--jp-ui-font-family,"
        "system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif);border:1px solid var(--jp-border-color1,#c3cad1);"
        "border-radius:4px")


def _verdict(revealed: Revealed) -> list[str]:
    """Whether the prediction was right, in one or two lines."""
    options, right = revealed.question.options, revealed.question.options[revealed.answer].text
    if not revealed.decided:
        predicted = [] if revealed.chosen is None else [f"You predicted: {options[revealed.chosen].text}"]
        return [*predicted, f"This run does not decide it. What usually happens: {right}"]
    if revealed.chosen is None:
        return [f"✔ {right}"]
    if revealed.right:
        return [f"✔ You predicted it: {right}"]
    return [f"✘ You predicted: {options[revealed.chosen].text}", f"✔ It was: {right}"]


def _explained(revealed: Revealed) -> list[str]:
    """Why it is so; before that, if the run decides nothing, why not."""
    texts = map(revealed.question.explanation, dict.fromkeys([revealed.truth.option, revealed.answer]))
    return list(filter(None, texts))


def _why_not(revealed: Revealed) -> Iterator[tuple[str, str]]:
    """Each wrong option as a question, and the answer to it. The reader's own option comes first."""
    for key in sorted(revealed.wrong, key=lambda each: each != revealed.chosen):
        yield f"Why not {_quoted(revealed.question.options[key].text)}?", revealed.wrong[key]


def _quoted(text: str) -> str:
    """In quotation marks; those within it are single ones."""
    return "“" + text.replace("“", "‘").replace("”", "’") + "”"
