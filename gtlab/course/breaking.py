"""Break the local cloud in cells that run on other backends too, where nothing can be broken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from gtlab.lab import Lab
from gtlab.lab.knobs import Knobs


class Unbreakable:
    """The knobs of a backend that has none: each says that nothing happens, and can be used as a block of code."""

    def __init__(self, label: str):
        self._label = label

    def __getattr__(self, knob: str) -> Callable[..., contextlib.AbstractContextManager]:
        if knob.startswith("_") or not hasattr(Knobs, knob):
            raise AttributeError(f"There is no knob {knob!r}.")

        def refuse(*places: Any, **values: Any) -> contextlib.AbstractContextManager:
            print(f"Not possible on {self._label}: {knob}. Nothing is broken, and all Regions keep replicating.")
            return contextlib.nullcontext()
        return refuse


def world(lab: Lab) -> Knobs | Unbreakable:
    """``lab.world`` on the local cloud; elsewhere an object with the same knobs, which break nothing and say so."""
    return lab.world if lab.simulated else Unbreakable(lab.label)


def last_event(lab: Lab) -> int:
    """The number of the newest event of the journal, for ``lab.events(after=…)``; 0 where there is no journal."""
    return int(lab.events()["n"].max()) if lab.simulated else 0
