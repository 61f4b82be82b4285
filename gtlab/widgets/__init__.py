"""Widgets: they show a choice, pass it on, and draw the result. Logic belongs in the packages that they call.

May import: the lab, charts and :mod:`gtlab.localcloud.process`.
"""

from __future__ import annotations

from gtlab.widgets.live import live
from gtlab.widgets.panel import panel
from gtlab.widgets.picker import choose_regions
from gtlab.widgets.quiz import quiz
from gtlab.widgets.world import world

__all__ = ["choose_regions", "live", "panel", "quiz", "world"]
