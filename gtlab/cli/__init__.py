"""The ``gtlab`` command: one module for each group of commands.

May import: every room above the wall.
"""

from __future__ import annotations

from gtlab.cli.main import main

__all__ = ["main"]
