"""What a learner's machine has for the board: records from the files of the state folder, and nothing else.

The board checks them again. What this module leaves out never leaves the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gtlab.classroom import catalogue, wire
from gtlab.contract import CHOICE_FILE
from gtlab.course import progress
from gtlab.lab import classmate, json_files
from gtlab.lab.choice import chosen
from gtlab.localcloud import process


class Own(NamedTuple):
    """A record of this machine's; ``at`` is in epoch seconds by this machine's clock."""

    kind: str
    id: str
    value: Any
    at: float


def gather() -> list[Own]:
    """Everything that the board should have."""
    return [*_progress(), *_place(), *_regions(), *_lags()]


def _progress() -> Iterator[Own]:
    for kind, by_id in progress.entries().items():
        for id, entry in by_id.items():
            value, at = entry["value"], entry.get("at", 0.0)
            if kind == "revealed" and isinstance(value, dict):
                value = {"measured": value.get("measured"), "right": value.get("right")}
            elif kind == "shown":
                value = 1
            elif kind not in ("predicted", "solved", "tried", "hinted"):
                continue
            yield Own(kind, id, value, at)


def _place() -> Iterator[Own]:
    found = json_files.read(classmate.PLACE_FILE)
    notebook, cell = found.get("notebook", ""), found.get("cell", "")
    if not notebook:
        return
    if catalogue.position(notebook, cell) is None:
        cell = ""  # a cell that the learner has added
    yield Own("place", "now", {"notebook": notebook, "cell": cell}, found.get("at", 0.0))


def _regions() -> Iterator[Own]:
    try:
        at = (process.state_folder() / CHOICE_FILE).stat().st_mtime
    except OSError:  # nobody has chosen: the course's own Regions
        at = (classmate.member() or {}).get("joined", 0.0)
    yield Own("regions", "now", list(chosen().regions), at)


def _lags() -> Iterator[Own]:
    for pair, entry in json_files.read(classmate.LAGS_FILE).items():
        if isinstance(entry, dict) and isinstance(entry.get("value"), dict):
            value = entry["value"] | {"backend": wire.backend(str(entry["value"].get("backend")))}
            yield Own("lags", pair, value, entry.get("at", 0.0))
