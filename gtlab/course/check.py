"""What a notebook asks, and what it says to an answer: predictions (:func:`predict`, :func:`reveal`), exercises
(:func:`exercise`), hints (:func:`hint`), solutions (:func:`solution`), and your progress (:func:`progress`).

With GTLAB_STRICT=1 in the environment, a wrong answer to an exercise raises :class:`NotYet`: ``gtlab tour --solve``
checks the course's solutions in this way. What was predicted and solved is kept: see :mod:`gtlab.course.progress`.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import Any

from gtlab.course import exercises, overview, predictions, solutions, trial
from gtlab.course import progress as records
from gtlab.lab import classmate, display
from gtlab.lab.progress import Doing
from gtlab.localcloud import process

_asked: dict[str, Any] = {}  # the widgets of questions that this process asked, by ID, until their results are shown


class NotYet(AssertionError):
    """A wrong answer in strict mode; the text has the hint."""


def predict(id: str, option: str = "") -> Any:
    """Ask the question ``id`` of this notebook, before the cell that shows the answer.

    Returns a widget to answer by click or keyboard; where there are no widgets, it reads as text. With an ``option``
    (its key or its text) the answer is that. A run without a reader takes its answers from GTLAB_PREDICTIONS, such as
    ``"03-stale=home,03-strong=no"``. The answer is kept, and shown again next time. After :func:`reveal`, the widget
    takes no more answers; the next call asks again. Raises ValueError for an unknown question or option.
    """
    question = predictions.find(id)
    by_code = predictions.checked(question, option) if option else predictions.given(id)
    if by_code:
        _record("predicted", id, by_code)
    from gtlab.widgets.quiz import quiz

    _asked[id] = quiz(question.text, {key: each.text for key, each in question.options.items()},
                      lambda key: records.record("predicted", id, predictions.checked(question, key)),
                      chosen=by_code or _predicted(question) or "",
                      in_words=lambda chosen: predictions.asked(question, chosen or None))
    return _asked[id]


def reveal(id: str, measured: Any) -> None:
    """Compare the prediction ``id`` with what this run ``measured``, and explain every wrong option.

    What to pass is what the cell above has shown; a value that does not show the answer gets a message. A notebook
    shows the comparison as a box, a terminal as text. Raises ValueError for an unknown question.
    """
    question = predictions.find(id)
    try:
        found = predictions.compare(question, measured, _predicted(question))
    except predictions.NotMeasured as error:
        print(error)
        return
    if asked := _asked.pop(id, None):
        asked.end(predictions.over(found))
    display.say(predictions.told(found), predictions.shown(found))
    _record("revealed", id, {"predicted": found.chosen, "measured": found.truth.option, "right": found.right})


def exercise(id: str, answer: Any, *, seed: int | None = None, limit_s: float | None = None, **facts: Any) -> None:
    """Judge an answer to an exercise ("06-lost-writes", or "06"), and say what it shows.

    A function is run in a temporary local cloud of its own, with random data: whatever it does, it does it there, not
    in your lab, whatever its backend is. A line says what is happening until the verdict takes its place. The seed is
    printed, and repeats a trial. ``limit_s`` is the longest time that the function may run (default: 20 s). ``facts``
    are what the exercise needs from the notebook, such as ``lab=lab``.

    Never raises for a wrong answer, except NotYet with GTLAB_STRICT=1. Raises ValueError for an unknown exercise,
    TypeError if a fact is missing, and CloudError if the temporary local cloud cannot start.
    """
    found = exercises.find(id)
    if seed is None:  # what was given to the learner is judged
        seed = 0 if found.material else random.SystemRandom().randrange(10**6)
    doing = Doing()
    try:
        with trial.telling(doing.show):
            verdict = exercises.judge(found, answer, exercises.Setting(facts, seed, limit_s or trial.LIMIT_S))
    except BaseException:
        doing.stop()
        raise
    tries = records.recorded("tried").get(found.id, 0)
    tries = (tries if isinstance(tries, int) else 0) + (verdict.tag != "nothing")
    _record("tried", found.id, tries)
    if verdict.passed and found.id not in records.recorded("solved"):
        _record("solved", found.id, tries)
    text = _in_words(found, verdict)
    if not verdict.passed and os.environ.get("GTLAB_STRICT") == "1":
        doing.stop()
        raise NotYet(text)
    doing.end(text)


def _in_words(found: exercises.Exercise, verdict: exercises.Verdict) -> str:
    lines = [f"✔ Right. {verdict.text}" if verdict.passed else f"✘ Not yet. {verdict.text}"]
    if verdict.evidence:
        lines += ["  Evidence: " + verdict.evidence.replace("\n", "\n    ")]
    if not verdict.passed:
        lines += [f'  A hint: check.hint("{found.id}")']
    if verdict.seed is not None and not found.material:
        lines += [f"  Judged on {found.place}, not in your lab. To repeat this trial: pass "
                  f"seed={verdict.seed} to check.exercise"]
    return "\n".join(lines)


def material(id: str, seed: int = 0) -> Any:
    """What an exercise gives you to work on, such as four pairs of tables. Another ``seed`` gives another set; pass the
    same seed to :func:`exercise`. Raises ValueError for an unknown exercise, and for one without material."""
    found = exercises.find(id)
    if found.material is None:
        raise ValueError(f"The exercise {found.id} has no material. Wanted: {found.wants}.")
    return found.material(seed)


def hint(id: str) -> None:
    """Print the next of the three hints of an exercise; after the third, all of them. Raises ValueError for an unknown
    exercise."""
    found = exercises.find(id)
    kept = records.recorded("hinted").get(found.id, 0)
    number = min(kept if isinstance(kept, int) else 0, len(found.hints) - 1) + 1
    _record("hinted", found.id, number)
    first = 1 if number == len(found.hints) and kept == number else number
    for each in range(first, number + 1):
        print(f"Hint {each} of {len(found.hints)}: {found.hints[each - 1]}")
    if number == len(found.hints):
        print(f'The solution: check.solution("{found.id}")')


def solution(id: str) -> None:
    """Print the solution of an exercise. Raises ValueError for an unknown exercise, and NotOpen if you are in a class
    whose instructor has not opened it yet."""
    found = exercises.find(id)
    classmate.check_open("solutions", found.id[:2])
    _record("shown", found.id, True)
    print(solutions.shown(found.id))


def progress() -> overview.Overview:
    """Your progress: for each notebook, what is predicted, what is solved, and what comes next. A notebook shows it as
    a table."""
    return overview.overview()


def _predicted(question: predictions.Question) -> str | None:
    """The kept prediction, if it is still one of the options."""
    kept = records.recorded("predicted").get(question.id)
    return kept if kept in question.options else None


def _record(kind: str, id: str, value: Any) -> None:
    """Keep progress; a state folder that cannot be written must not stop a notebook."""
    with contextlib.suppress(OSError, process.CloudError):
        records.record(kind, id, value)
