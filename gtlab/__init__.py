"""gtlab: a laboratory for DynamoDB global tables, on your own machine.

``gtlab.connect()`` gives a lab: one boto3 client per AWS Region, on the local cloud (started if none runs), on
AWS (only when asked for by name), or on any other endpoints. The rest stands around plain boto3 calls:
:mod:`gtlab.watch` waits and shows progress, :mod:`gtlab.measure` times, :mod:`gtlab.charts` draws,
:mod:`gtlab.widgets` lets you choose, :mod:`gtlab.check` checks your answers.

Importing gtlab starts nothing and imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gtlab.lab import Lab, connect

__version__ = "0.1.0"
__all__ = ["Lab", "connect"]

_ROOMS = ("background", "charts", "check", "commands", "drill", "events", "failover", "lab", "measure", "regions",
          "stages", "statistics", "tour", "watch", "widgets", "world")


def __getattr__(name: str):
    # Rooms are opened when they are first used: a notebook's first cell is quick.
    if name in __all__:
        return getattr(importlib.import_module("gtlab.lab"), name)
    if name in _ROOMS:
        return importlib.import_module(f"gtlab.{name}")
    raise AttributeError(f"module 'gtlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_ROOMS])
