"""What the board shows, computed from the register: pure functions that return data for the page.

The private view has the learners' names. The projector's has none: neither names nor anything of a single learner that
could be recognised, except as one dot or one line among others.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gtlab.classroom import catalogue, wire
from gtlab.classroom.register import Learner, Register

STUCK_MIN, STUCK_HINTS, STUCK_TRIES = 8.0, 2, 3
AWAY_MIN = 90.0  # longer on one cell: a break, or gone
_POINTS = 80     # of the class's curve


class Settings(NamedTuple):
    """What a view depends on besides the register. ``connected`` are the IDs of learners whose process is connected;
    ``now`` is in epoch seconds."""

    connected: Collection[int]
    now: float
    names: bool


def board(register: Register, settings: Settings) -> dict[str, Any]:
    """Everything that the page shows."""
    learners = list(register.learners.values())
    event = register.last("event")
    shown = {
        "name": register.get("name"), "code": register.get("code"), "url": register.get("url", ""),
        "hub": register.get("hub", False),
        "pace": register.get("pace"), "names": settings.names,
        "joined": len(learners), "connected": len(settings.connected),
        "notebooks": _notebooks(learners), "questions": [_question(id, learners) for id in catalogue.questions()],
        "shown": register.get("shown") or _newest(learners), "places": _places(learners), "curve": curve(learners),
        "event": None if event is None else _event(event.n, event.body, learners),
        "notes": [{"n": each.n, "text": each.body["text"], "at": each.at}
                  for each in register.asked if each.kind == "note"][-5:],
    }
    if settings.names:
        shown["learners"] = [_learner(each, settings) for each in learners]
        shown["projector"] = register.get("projector")
        stage = register.last("stage")
        shown["stage"] = None if stage is None else _stage(stage.body["notebook"], stage.at, learners)
    return shown


def _learner(learner: Learner, settings: Settings) -> dict[str, Any]:
    place = learner.records.get("place", {}).get("now")
    minutes = None if place is None else max(0.0, (settings.now - place.at) / 60)
    where = None if place is None else place.value
    position = None if where is None else catalogue.position(where["notebook"], where["cell"])
    solved, tried, hinted = (learner.values(kind) for kind in ("solved", "tried", "hinted"))
    open_ones = {id for id in (*tried, *hinted) if id not in solved}
    why = []
    connected = learner.id in settings.connected
    if connected and minutes is not None and STUCK_MIN <= minutes < AWAY_MIN:
        why.append(f"{minutes:.0f} min on one cell")
    why += [f"{hinted[id]} hints for {id[:2]}" for id in sorted(open_ones) if hinted.get(id, 0) >= STUCK_HINTS]
    why += [f"{tried[id]} tries of {id[:2]}" for id in sorted(open_ones) if tried.get(id, 0) >= STUCK_TRIES]
    return {"id": learner.id, "name": learner.name, "connected": connected,
            "notebook": where["notebook"] if where else None, "cell": position[0] if position else None,
            "cells": position[1] if position else None, "minutes": minutes,
            "predicted": len(learner.values("predicted")), "solved": sorted(id[:2] for id in solved),
            "tried": sorted(id[:2] for id in open_ones), "hints": sum(hinted.values()), "why": why,
            "events": learner.value("takes_part", "events") is not False,
            "clock_ms": learner.value("clock", "now"),
            "answers": learner.values("predicted")}


def _notebooks(learners: Iterable[Learner]) -> list[dict[str, Any]]:
    """For each notebook: how many learners are in it, and how many have solved its exercise."""
    learners = list(learners)
    here = Counter(place["notebook"] for each in learners for place in each.values("place").values())
    solved = Counter(id[:2] for each in learners for id in each.values("solved"))
    predicted = Counter(number for each in learners for number in {id[:2] for id in each.values("predicted")})
    return [{"number": number, "title": catalogue.titles().get(number, ""), "here": here[number],
             "predicted": predicted[number], "solved": solved[number]} for number in catalogue.numbers()]


def _question(id: str, learners: Iterable[Learner]) -> dict[str, Any]:
    """How the answers to a question are spread, and what the learners then measured."""
    question = catalogue.questions()[id]
    counts, measured = Counter[str](), Counter[str]()
    right = revealed = 0
    for learner in learners:
        if (answer := learner.value("predicted", id)) is not None:
            counts[answer] += 1
        if (found := learner.value("revealed", id)) is not None:
            measured[found["measured"]] += 1
            revealed, right = revealed + 1, right + found["right"]
    answered = sum(counts.values())
    return {"id": id, "text": question.text, "answered": answered, "revealed": revealed, "right": right,
            "options": [{"key": key, "text": option.text, "count": counts[key], "measured": measured[key]}
                        for key, option in question.options.items()],
            "finding": spread_in_words(id, counts)}


def spread_in_words(id: str, counts: Mapping[str, int]) -> str:
    """"27 of 41 expected: Only home"."""
    answered = sum(counts.values())
    if not answered:
        return "Nobody has answered yet."
    options = catalogue.options(id) or {}
    most = max(options, key=lambda key: counts.get(key, 0))
    return f"{counts[most]} of {answered} expected: {options[most]}"


def _newest(learners: Iterable[Learner]) -> str | None:
    """The question that was answered last."""
    newest = max((record for each in learners for record in each.records.get("predicted", {}).values()),
                 key=lambda record: record.at, default=None)
    return newest.id if newest else None


def _places(learners: Sequence[Learner]) -> dict[str, Any]:
    """The Regions of everybody, and the lags measured between them (milliseconds): for each pair the middle of the
    learners' medians, as an interval."""
    homes, members, backend = Counter[str](), Counter[str](), _backend(learners)
    lags: dict[str, list[tuple[float, float]]] = {}
    for learner in learners:
        chosen = learner.value("regions", "now") or []
        homes.update(chosen[:1])
        members.update(chosen)
        for pair, value in learner.values("lags").items():
            if value["backend"] != backend:
                continue
            rows = value["rows"]
            low = statistics.median(row[0] for row in rows)
            high = statistics.median(row[1] if row[1] is not None else float("inf") for row in rows)
            lags.setdefault(pair, []).append((low, high))
    links = []
    for pair, found in sorted(lags.items()):
        low, high = (statistics.median(each[at] for each in found) for at in (0, 1))
        source, target = pair.split(">")
        links.append({"source": source, "target": target, "learners": len(found), "low_ms": round(low, 1),
                      "high_ms": None if high == float("inf") else round(high, 1)})
    return {"regions": [{"code": code, "learners": count, "homes": homes[code]} for code, count in
                        sorted(members.items())], "links": links, "backend": wire.BACKENDS.get(backend or "", "")}


def _backend(learners: Iterable[Learner]) -> str | None:
    """Where most of the measured lags come from. Lags of other backends, or of another network of the local cloud, are
    not put together with them."""
    found = Counter(value["backend"] for each in learners for value in each.values("lags").values())
    return found.most_common(1)[0][0] if found else None


def curve(learners: Sequence[Learner]) -> dict[str, Any] | None:
    """One t-visibility curve of the class: the share of all probes that a read could certainly, or possibly, see t ms
    after the write was acknowledged. None without measurements.

    All probes of all learners and targets count alike. A probe that was not seen is possible from its last miss on and
    never certain. ``each`` has, for each learner, when half of their probes were certainly visible.
    """
    backend = _backend(learners)
    lows: list[float] = []
    highs: list[float] = []
    each, left_out = [], 0
    for learner in learners:
        values = learner.values("lags").values()
        mine = [row for value in values if value["backend"] == backend for row in value["rows"]]
        left_out += bool(values) and not mine
        if mine:
            lows += [row[2] for row in mine]
            seen = [row[3] if row[3] is not None else float("inf") for row in mine]
            highs += seen
            middle = statistics.median(seen)
            each.append(round(middle, 1) if middle < float("inf") else None)
    if not lows:
        return None
    lows.sort()
    highs.sort()
    ends = highs[:bisect_left(highs, float("inf"))]
    last = 1.05 * max(ends[-1] if ends else lows[-1], 1.0)
    times = [last * step / (_POINTS - 1) for step in range(_POINTS)]
    certain = [bisect_right(highs, t) / len(highs) for t in times]
    possible = [bisect_right(lows, t) / len(lows) for t in times]
    by = highs[max(0, -(-99 * len(highs) // 100) - 1)]
    return {"t_ms": [round(t, 1) for t in times], "certain": certain, "possible": possible, "probes": len(lows),
            "learners": len(each), "medians_ms": each, "left_out": left_out,
            "backend": wire.BACKENDS.get(backend or "", ""),
            "by_99_ms": round(by, 1) if by < float("inf") else None}


def _event(n: int, body: Mapping[str, Any], learners: Iterable[Learner]) -> dict[str, Any]:
    """The newest event: what it does, who carried it out, and the lags of the writes that arrived around it."""
    learners = list(learners)
    states = Counter(state for each in learners if (state := each.value("event", str(n))))
    seen = [each.value("arrivals", str(n)) or [] for each in learners]
    return {"n": n, **body, "words": wire.event_in_words(body), "states": dict(states),
            "arrivals": [rows for rows in seen if rows]}


def _stage(notebook: str, at: float, learners: Iterable[Learner]) -> dict[str, Any]:
    states = Counter(record.value for each in learners
                     if (record := each.records.get("staged", {}).get(notebook)) and record.at >= at)
    return {"notebook": notebook, "at": at, "states": dict(states)}
