"""What the instructor asks of the class, and the part of it that is sent to learners."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gtlab.classroom import catalogue, wire
from gtlab.classroom.register import Register
from gtlab.classroom.wire import Refused

_NOTES = 5        # the newest notes that a learner is sent
_REMEMBER_S = 30  # how long an event that is over is still sent, so that a learner who was away mends it


def act(register: Register, asked: Any) -> dict[str, Any]:
    """Carry out what the instructor asks: ``{"do": …}`` and what that needs. Raises Refused."""
    do = asked.get("do") if isinstance(asked, dict) else None
    carry_out = _ACTS.get(do) if isinstance(do, str) else None
    if carry_out is None:
        raise Refused(f"do is one of {', '.join(_ACTS)}.")
    carry_out(register, {name: value for name, value in asked.items() if name != "do"})
    return {"done": do}


def for_learners(register: Register) -> dict[str, Any]:
    """The state of the class as it is sent to every learner."""
    notes = [{"n": each.n, "text": each.body["text"], "at": each.at} for each in register.asked if each.kind == "note"]
    event, stage = register.last("event"), register.last("stage")
    current = event is not None and time.time() < event.body["ends"] + _REMEMBER_S
    return {"class": register.get("name"), "pace": register.get("pace"), "notes": notes[-_NOTES:],
            "event": {"n": event.n, **event.body, "words": wire.event_in_words(event.body)}
            if event is not None and current else None,
            "stage": {"n": stage.n, "notebook": stage.body["notebook"]} if stage else None}


def _note(register: Register, asked: Mapping[str, Any]) -> None:
    register.ask("note", {"text": wire.note(wire.fields(asked, "text")["text"])})


def _pace(register: Register, asked: Mapping[str, Any]) -> None:
    register.set("pace", wire.pace(dict(asked)))


def _event(register: Register, asked: Mapping[str, Any]) -> None:
    wanted, now = wire.event(dict(asked)), time.time()
    before = register.last("event")
    if before is not None and now < before.body["ends"]:
        raise Refused("An event is still running. Mend it first.", 409)
    starts = now + wanted["countdown_s"]
    register.ask("event", wanted | {"starts": starts, "ends": starts + wanted["seconds"]})


def _mend(register: Register, asked: Mapping[str, Any]) -> None:
    wire.fields(dict(asked))
    event, now = register.last("event"), time.time()
    if event is None or now >= event.body["ends"]:
        raise Refused("No event is going on.", 409)
    # Before its start, this calls it off.
    register.change(event, {**event.body, "ends": now, "starts": min(event.body["starts"], now)})


def _stage(register: Register, asked: Mapping[str, Any]) -> None:
    notebook = wire.fields(asked, "notebook")["notebook"]
    if notebook not in catalogue.numbers():
        raise Refused(f"The notebook is one of {', '.join(catalogue.numbers())}.")
    register.ask("stage", {"notebook": notebook})


def _show(register: Register, asked: Mapping[str, Any]) -> None:
    question = wire.fields(asked, "question")["question"]
    if question is not None and (not isinstance(question, str) or question not in catalogue.questions()):
        raise Refused("There is no such question.")
    register.set("shown", question)


def _remove(register: Register, asked: Mapping[str, Any]) -> None:
    learner = wire.fields(asked, "learner")["learner"]
    if isinstance(learner, bool) or not isinstance(learner, int) or learner not in register.learners:
        raise Refused("There is no such learner.", 404)
    register.remove(learner)


def _new_code(register: Register, asked: Mapping[str, Any]) -> None:
    wire.fields(dict(asked))
    register.new_code()


_ACTS: dict[str, Callable[[Register, Mapping[str, Any]], None]] = {
    "note": _note, "pace": _pace, "event": _event, "mend": _mend, "stage": _stage, "show": _show, "remove": _remove,
    "new code": _new_code}
