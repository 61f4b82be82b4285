"""The class as CSV: one table each for progress, answers, measured lags and events."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from gtlab.classroom import catalogue, wire
from gtlab.classroom.register import Learner, Register

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # with which a spreadsheet begins a formula


def csv_of(register: Register, what: str) -> str:
    """A table of the class, ``what`` of :data:`TABLES`. Times are UTC. A text that a spreadsheet would treat as a
    formula begins with an apostrophe."""
    head, rows = TABLES[what]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    for learner in register.learners.values():
        writer.writerows([_cell(each) for each in (learner.name, *row)] for row in rows(learner, register))
    return "\ufeff" + out.getvalue()  # the mark by which spreadsheets know UTF-8


def _progress(learner: Learner, _: Register) -> Iterator[tuple[Any, ...]]:
    for kind in ("tried", "solved", "hinted", "shown"):
        for id, record in learner.records.get(kind, {}).items():
            yield id[:2], id, kind, record.value, _time(record.at)


def _answers(learner: Learner, _: Register) -> Iterator[tuple[Any, ...]]:
    revealed = learner.values("revealed")
    for id, record in learner.records.get("predicted", {}).items():
        found = revealed.get(id, {})
        yield (id[:2], id, record.value, (catalogue.options(id) or {}).get(record.value, ""),
               found.get("measured", ""), found.get("right", ""), _time(record.at))


def _lags(learner: Learner, _: Register) -> Iterator[tuple[Any, ...]]:
    for pair, record in learner.records.get("lags", {}).items():
        source, target = pair.split(">")
        for row in record.value["rows"]:
            yield source, target, *row, wire.BACKENDS.get(record.value["backend"], ""), _time(record.at)


def _events(learner: Learner, register: Register) -> Iterator[tuple[Any, ...]]:
    """A row for each write that arrived, and one for an event during which none of this learner's arrived."""
    arrivals = learner.values("arrivals")
    for id, state in learner.values("event").items():
        asked = next((each.body for each in register.asked if each.kind == "event" and str(each.n) == id), None)
        what, start = (wire.event_in_words(asked), _time(asked["starts"])) if asked else ("", "")
        for since, lag in arrivals.get(id) or [(None, None)]:
            yield id, what, start, state, since, lag


TABLES: dict[str, tuple[tuple[str, ...], Callable[[Learner, Register], Iterator[tuple[Any, ...]]]]] = {
    "progress": (("learner", "notebook", "exercise", "what", "count", "at"), _progress),
    "answers": (("learner", "notebook", "question", "option", "text", "measured", "right", "at"), _answers),
    "lags": (("learner", "source", "target", "lag_min_ms", "lag_max_ms", "visible_min_ms", "visible_max_ms",
              "backend", "at"), _lags),
    "events": (("learner", "event", "what", "start", "state", "seconds_since_start", "lag_ms"), _events),
}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else "" if value is None else value
