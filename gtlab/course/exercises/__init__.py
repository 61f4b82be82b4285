"""The exercises, one module each, and how an answer is judged.

An answer is judged by what it does: a function runs in a temporary local cloud, on random data and through random
partitions (:mod:`gtlab.course.trial`). A verdict names the misconception that it sees, and shows the evidence.
Whatever the answer is, judging it raises nothing.
"""

from __future__ import annotations

import dis
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from gtlab.course.trial import LIMIT_S
from gtlab.localcloud.process import CloudError

# ID → module of this package. The IDs begin with the notebook's number; the files in notebooks/solutions have their
# names, with underscores.
MODULES = {
    "00-farthest-replica": "farthest_replica",
    "01-put-when-ready": "put_when_ready",
    "02-joinable-pairs": "joinable_pairs",
    "03-replica-write": "replica_write",
    "04-safe-sleep": "safe_sleep",
    "05-four-plans": "four_plans",
    "06-lost-writes": "lost_writes",
    "07-safe-basket": "safe_basket",
    "08-one-receipt": "one_receipt",
    "09-failover-drill": "failover_drill",
    "10-five-briefs": "five_briefs",
    "11-deletion-order": "deletion_order",
}


_OF_A_STUB = {"RESUME", "NOP", "POP_TOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "CACHE"}


class Wrong(Exception):
    """Raised by a judge that has seen enough: the answer is wrong. ``tag`` names the misconception in one or two words
    (tests expect it), ``text`` explains it, ``evidence`` is what proves it."""

    def __init__(self, tag: str, text: str, evidence: str = ""):
        super().__init__(text)
        self.tag, self.text, self.evidence = tag, text, evidence


@dataclass(frozen=True)
class Verdict:
    """What became of an answer. ``tag`` is "right", or names the misconception; ``seed`` repeats the trial (None if
    nothing was random)."""

    passed: bool
    tag: str
    text: str
    evidence: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Setting:
    """What a judge is given beside the answer. ``facts`` are the named values that the notebook passes, such as its
    ``lab``; ``seed`` repeats a trial; ``limit_s`` is the time limit of a learner's function."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    limit_s: float = LIMIT_S


@dataclass(frozen=True)
class Exercise:
    """``judge(answer, setting)`` returns the praise of a right answer, and raises Wrong for another. ``wants`` says
    what an answer is, as in "a function lost_writes(records, region)". ``hints`` are three steps, from a question to
    nearly the answer. ``facts`` are the names that the notebook has to pass. ``place``: on what an answer is tried out;
    empty if nothing is random. ``material(seed)`` returns what is given to the learner, if there is such a thing.
    """

    id: str
    title: str
    wants: str
    hints: tuple[str, str, str]
    judge: Callable[[Any, Setting], str]
    facts: tuple[str, ...] = ()
    place: str = "a temporary local cloud"
    material: Callable[[int], Any] | None = None


def find(id: str) -> Exercise:
    """An exercise by its ID, or by the beginning of it ("06"), or the notebook's number ("6"). Raises ValueError, which
    lists the IDs, if there is no such exercise."""
    text = str(id).strip().lower()
    text = f"{text:0>2}" if text.isdecimal() else text
    found = [each for each in MODULES if each == text or (text and each.startswith(text))]
    if len(found) != 1:
        raise ValueError(f"There is no exercise {id!r}. There are: {', '.join(MODULES)}.")
    return importlib.import_module(f"{__name__}.{MODULES[found[0]]}").EXERCISE


def judge(exercise: Exercise, answer: Any, setting: Setting) -> Verdict:
    """The verdict on an answer. Raises TypeError only if the notebook does not pass a fact that the exercise needs, and
    CloudError if the temporary local cloud does not start."""
    missing = [name for name in exercise.facts if setting.facts.get(name) is None]
    if missing:
        raise TypeError(f"The exercise {exercise.id} needs more: check.exercise(…, "
                        f"{', '.join(f'{name}={name}' for name in missing)}).")
    if _is_nothing(answer):
        return Verdict(False, "nothing", f"There is no answer yet. Wanted: {exercise.wants}.")
    seed = setting.seed if exercise.place else None
    try:
        praise = exercise.judge(answer, setting)
    except Wrong as wrong:
        return Verdict(False, wrong.tag, wrong.text, wrong.evidence, seed)
    except CloudError:
        raise
    except Exception as error:  # an answer that no judge expected: still a wrong answer, not an error of the reader's
        return Verdict(False, "wrong-type", f"This answer cannot be judged ({type(error).__name__}: {error}). "
                                            f"Wanted: {exercise.wants}.")
    return Verdict(True, "right", praise, seed=seed)


def function(answer: Any, exercise_wants: str, *arguments: str) -> Callable[..., Any]:
    """The answer, if it is a function that takes these arguments. Raises Wrong."""
    if not callable(answer):
        raise Wrong("no-function", f"{described(answer)} is not a function. Wanted: {exercise_wants}. Pass the "
                                   "function itself, by its name and without parentheses.")
    try:
        inspect.signature(answer).bind(*arguments)
    except TypeError as error:
        raise Wrong("arguments", f"The function cannot be called with ({', '.join(arguments)}): {error}. Wanted: "
                                 f"{exercise_wants}.") from None
    except ValueError:
        pass  # a function written in C
    return answer


def pair(answer: Any, exercise_wants: str) -> tuple[Any, Any]:
    """The two functions of an answer, not yet checked. Raises Wrong."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("no-pair", f"That is {described(answer)}. Wanted: {exercise_wants}.")
    first, second = answer
    if first is None or second is None:
        raise Wrong("nothing", f"One of the two functions is missing. Wanted: {exercise_wants}.")
    return first, second


def check_outcome(outcome: Any, limit_s: float, what: str) -> None:
    """Raise Wrong if a learner's function raised an error or did not end."""
    if outcome.late:
        raise Wrong("endless", f"{what} was still running after {limit_s:g} s and was stopped. Does its loop end if "
                               "what it waits for never comes, or has already come?", last_calls(outcome.calls))
    if outcome.error is not None:
        raise Wrong("raises", f"{what} raised {type(outcome.error).__name__}: {_short(outcome.error)}",
                    outcome.where or last_calls(outcome.calls))


def last_calls(calls: list[Any], number: int = 3) -> str:
    """The last calls of a function, as evidence."""
    lines = [f"{each.operation} in {each.region}: {each.refused or 'accepted'}" for each in calls[-number:]]
    return "\n".join([f"its last calls, of {len(calls)}:", *lines]) if lines else "it made no call"


def described(answer: Any) -> str:
    """An answer in a few words: its type, and its value if that is short."""
    try:
        text = repr(answer)
    except Exception:
        text = ""
    short = " ".join(text.split())
    name = type(answer).__name__
    return f"{short} ({name})" if short and len(short) <= 60 else f"a {name}"


def _is_nothing(answer: Any) -> bool:
    if answer is None or answer is ...:
        return True
    if isinstance(answer, tuple) and answer and all(isinstance(each, FunctionType) for each in answer):
        return all(map(_is_nothing, answer))
    if isinstance(answer, FunctionType):  # a stub: nothing but a docstring and "..."
        steps = {step.opname for step in dis.get_instructions(answer)}
        return steps <= _OF_A_STUB and set(answer.__code__.co_consts) <= {answer.__doc__, None, ...}
    return isinstance(answer, str | list | tuple | dict | set) and not answer


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}…"
