"""Charts of the course: a data frame in, a plotly figure out.

No function here reads the network, keeps state or displays anything. Every figure is plain SVG (lines, bars,
filled outlines) and needs no file from elsewhere, so it draws offline. Times are milliseconds where a
column's name ends in `_ms` and seconds where it ends in `_s`.

A frame may have a column `backend`, such as "simulated: local cloud, realistic network" or "AWS". What it
says is printed under the title, so that a simulated figure cannot be mistaken for a measurement of AWS.

Every function raises ValueError for a frame that lacks a column (and names it) or has no rows.
"""

from __future__ import annotations

from gtlab.charts.arrivals import arrivals
from gtlab.charts.failover import failover_timeline
from gtlab.charts.lag import lag_by_target, lag_distribution
from gtlab.charts.latency import latency_beside_lag
from gtlab.charts.look import NOMINAL_WIDTH, PALETTE
from gtlab.charts.loop import loop_timing
from gtlab.charts.map import region_map
from gtlab.charts.spacetime import journal
from gtlab.charts.states import STATUS_COLOURS, replica_states
from gtlab.charts.visibility import t_visibility

__all__ = [
    "NOMINAL_WIDTH",
    "PALETTE",
    "STATUS_COLOURS",
    "arrivals",
    "failover_timeline",
    "journal",
    "lag_by_target",
    "lag_distribution",
    "latency_beside_lag",
    "loop_timing",
    "region_map",
    "replica_states",
    "t_visibility",
]
