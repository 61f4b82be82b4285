"""The charts of the course. Each function takes a data frame and returns a plotly figure.

The functions do not use the network, keep no state and display nothing. Every figure is plain SVG (lines, bars, filled
outlines) and loads no other file, so it works offline. A column whose name ends in `_ms` is in milliseconds, one whose
name ends in `_s` in seconds.

A frame may have a column `backend`, such as "simulated: local cloud, realistic network" or "AWS". The chart prints it
below the title, so that a simulated figure cannot be mistaken for a measurement of AWS.

Every function raises ValueError for a frame that lacks a column (the error names it) or has no rows.

`finding(fig)` returns what a chart shows, in one sentence made from its data; `alt_text(fig)` the chart in words; and
`table(fig)` the chart as a data frame. All three are stored in `fig.layout.meta`. A figure is drawn in dark ink on
white. In a notebook it follows the theme of the page (:mod:`gtlab.charts.theme`).

The colour and the symbol of each Region are in :mod:`gtlab.charts.looks`, all other colours in
:mod:`gtlab.charts.colours`, the layout that all charts share in :mod:`gtlab.charts.layout`.

May import: no other room.
"""

from __future__ import annotations

from gtlab.charts.arrivals import arrivals
from gtlab.charts.colours import PALETTE, STATUS_COLOURS
from gtlab.charts.failover import failover_timeline
from gtlab.charts.lag import lag_by_target, lag_distribution
from gtlab.charts.latency import latency_beside_lag
from gtlab.charts.layout import NOMINAL_WIDTH
from gtlab.charts.looks import look
from gtlab.charts.loop import loop_timing
from gtlab.charts.map import region_map
from gtlab.charts.meta import alt_text, finding, table
from gtlab.charts.spacetime import journal, spacetime
from gtlab.charts.states import replica_states
from gtlab.charts.visibility import t_visibility

__all__ = [
    "NOMINAL_WIDTH",
    "PALETTE",
    "STATUS_COLOURS",
    "alt_text",
    "arrivals",
    "failover_timeline",
    "finding",
    "journal",
    "lag_by_target",
    "lag_distribution",
    "latency_beside_lag",
    "look",
    "loop_timing",
    "region_map",
    "replica_states",
    "spacetime",
    "t_visibility",
    "table",
]
