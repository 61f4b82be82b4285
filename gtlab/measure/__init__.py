"""Measurements of a global table: replication lag as an interval, the latency of calls, failover drills.

:func:`plan` shows in advance what a measurement sends and what AWS charges for it; :func:`replication_lag` measures;
:func:`summary`, :func:`widths` and :func:`arrivals` describe the result; :func:`published` returns the service's own
figure; :func:`save` and :func:`load` keep a measurement in a file that can be given away; :func:`latency` times calls,
and :func:`compare` shows what strong consistency costs. Every function returns a data frame. Times are in milliseconds
and come from a monotonic clock. The column ``backend`` says where the figures come from and whether they are simulated.
:mod:`gtlab.statistics` draws conclusions about all writes from the writes that were measured; :mod:`gtlab.drill`
measures a failover.

May import: the lab.
"""

from __future__ import annotations

from gtlab.measure.calls import compare, latency, percentiles
from gtlab.measure.exported import load, save
from gtlab.measure.lag import replication_lag
from gtlab.measure.planning import plan
from gtlab.measure.published import beside_published, published
from gtlab.measure.views import arrivals, beside_lag, summary, widths

__all__ = ["arrivals", "beside_lag", "beside_published", "compare", "latency", "load", "percentiles", "plan",
           "published", "replication_lag", "save", "summary", "widths"]
