"""Timing a global table: replication lag as an interval, and the latency of calls.

:func:`plan` says beforehand what a measurement sends and what AWS takes for it; :func:`replication_lag` measures;
:func:`summary`, :func:`widths` and :func:`arrivals` look at the result; :func:`published` is what the service says of
itself; :func:`latency` times calls, and :func:`compare` says what strong consistency costs. Every function gives a data
frame; times are milliseconds, taken with a monotonic clock. The column ``backend`` says where the figures come from,
and whether they are simulated. What the figures say of all writes, beyond those that were probed, is
:mod:`gtlab.statistics`' affair.
"""

from __future__ import annotations

from gtlab.measure.calls import compare, latency, percentiles
from gtlab.measure.lag import replication_lag
from gtlab.measure.planning import plan
from gtlab.measure.published import beside_published, published
from gtlab.measure.views import arrivals, beside_lag, summary, widths

__all__ = ["arrivals", "beside_lag", "beside_published", "compare", "latency", "percentiles", "plan", "published",
           "replication_lag", "summary", "widths"]
