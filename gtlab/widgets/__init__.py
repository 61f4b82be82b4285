"""Widgets: they show a choice, pass it on, and draw what comes back. Logic belongs in the rooms that they call.

May import: the lab and charts.
"""

from __future__ import annotations

from gtlab.widgets.picker import choose_regions
from gtlab.widgets.world import world

__all__ = ["choose_regions", "world"]
