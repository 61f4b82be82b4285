"""gtlab: a laboratory for DynamoDB global tables, on your own machine.

``gtlab.connect()`` gives a lab: one boto3 client per AWS Region, on the local cloud (started if none runs), on
AWS (only when asked for by name), or on any other endpoints. The rest stands around plain boto3 calls:
:mod:`gtlab.watch` waits and shows progress, :mod:`gtlab.measure` times, :mod:`gtlab.charts` draws,
:mod:`gtlab.widgets` lets you choose, :mod:`gtlab.check` checks your answers. ``gtlab.short_errors()`` lets a notebook
show errors without tracebacks.

Importing gtlab starts nothing and imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gtlab.lab import Lab, connect, short_errors

__version__ = "0.2.0.dev0"
__all__ = ["Lab", "connect", "short_errors"]

# The names that notebooks import from gtlab, and the modules behind them.
_NAMES = {
    "basket": "gtlab.course.basket",
    "breaking": "gtlab.course.breaking",
    "charts": "gtlab.charts",
    "check": "gtlab.course.check",
    "classroom": "gtlab.classroom",
    "cleanup": "gtlab.course.cleanup",
    "commands": "gtlab.lab.commands",
    "drill": "gtlab.measure.drill",
    "events": "gtlab.lab.events",
    "failover": "gtlab.failover",
    "lab": "gtlab.lab",
    "measure": "gtlab.measure",
    "progress": "gtlab.course.progress",
    "regions": "gtlab.regions",
    "router": "gtlab.course.router",
    "stages": "gtlab.course.stages",
    "statistics": "gtlab.measure.statistics",
    "streams": "gtlab.lab.streams",
    "tour": "gtlab.course.tour",
    "watch": "gtlab.lab.watch",
    "widgets": "gtlab.widgets",
}


def __getattr__(name: str):
    # Loaded on first use, so that a notebook's first cell is fast.
    if name in __all__:
        return getattr(importlib.import_module("gtlab.lab"), name)
    if name in _NAMES:
        return importlib.import_module(_NAMES[name])
    raise AttributeError(f"module 'gtlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_NAMES])
