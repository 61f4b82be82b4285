"""The latency of single calls: put, get and strongly consistent get, in the home Region and in distant ones.

Calls are sent at regular intervals, whether or not the call before was answered, and timed from when they were due. A
loop that waits for each answer sends the fewest calls exactly when the service is slowest, and so misses the waits that
users would have had (coordinated omission).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gtlab import regions as catalogue
from gtlab.intervals import percentile
from gtlab.lab import Lab, describe
from gtlab.measure.probes import Keys, at_least, delete, whole
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply, Sender

if TYPE_CHECKING:
    import pandas as pd
    from botocore.awsrequest import AWSPreparedRequest

_COLUMNS = ["operation", "region", "ms", "late_ms", "error", "backend"]
_MOST_UNDER_WAY = 64
_PERCENTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p99_9_ms": 0.999, "max_ms": 1.0}


def latency(lab: Lab, table: str, regions: Iterable[str] = (), samples: int = 20, *, strong: bool = False,
            rate: float = 20.0) -> pd.DataFrame:
    """The latency of ``samples`` puts and gets in each Region, ``rate`` calls per second in each, from where the lab
    is.

    A row per call: ``operation`` ("put", "get", and with ``strong`` "strong get", a strongly consistent read);
    ``region``; ``ms``, milliseconds from when the call was due until it was answered; ``late_ms``, the part of it
    before the call was sent, which is a delay of this machine; ``error`` (throttling, a 5xx, a lost connection, or
    None); ``backend``. Connections are opened before the first call. The items are deleted at the end, also after
    Ctrl-C, which keeps what was measured; ``attrs["stopped"]`` of the frame is then true.

    Raises ValueError for invalid arguments, and the service's error if it refuses a request.
    """
    import pandas as pd

    whole(samples=samples)
    at_least(1, samples=samples)
    at_least(0.1, rate=rate)
    where = tuple(catalogue.parse(regions)) or lab.regions
    plan = _Plan(samples, strong, rate)
    callers, stopped = [_Caller(lab, table, region, plan) for region in where], False
    try:
        with ThreadPoolExecutor(len(callers)) as pool:
            list(pool.map(_Caller.get_ready, callers))
        for caller in callers:
            caller.schedule.start()
        while any(caller.running for caller in callers):
            time.sleep(0.02)
    except KeyboardInterrupt:
        stopped = True
        print("Stopped; what was measured is kept.")
    finally:
        for caller in callers:
            caller.stop()
    for caller in callers:
        caller.check()
    frame = pd.DataFrame([row for caller in callers for row in caller.rows()], columns=_COLUMNS)
    frame.attrs["stopped"] = stopped
    return frame


def percentiles(latencies: pd.DataFrame, by: Iterable[str] = ("operation", "region")) -> pd.DataFrame:
    """Percentiles of the latencies that :func:`latency` measured.

    A row per operation and Region (or per value of the columns ``by``): ``calls``, ``failed`` (how many of them
    failed); ``p50_ms``, ``p90_ms``, ``p99_ms``, ``p99_9_ms`` and ``max_ms`` of the calls that were answered;
    ``backend``.

    A percentile is the smallest time within which at least that share of the calls was answered
    (:func:`gtlab.intervals.percentile`). So with fewer than a thousand calls p99_9_ms is the slowest call.
    """
    rows = []
    by = list(by)
    for names, found in latencies.groupby([*by, "backend"], sort=False):
        answered = found["ms"][found["error"].isna()]
        rows.append(dict(zip([*by, "backend"], names, strict=True))
                    | {"calls": len(found), "failed": len(found) - len(answered)}
                    | {name: percentile(answered, answered, share).low if len(answered) else math.nan
                       for name, share in _PERCENTILES.items()})
    return _frame(rows, [*by, "calls", "failed", *_PERCENTILES, "backend"])


def compare(lab: Lab, tables: str | Iterable[str], regions: Iterable[str] = (), samples: int = 100, *,
            rate: float = 20.0) -> pd.DataFrame:
    """What strong consistency costs: the latency of calls on eventually and on strongly consistent global tables.

    A row per table, operation and Region: ``table``; ``consistency`` across Regions, "eventual" (MREC) or "strong"
    (MRSC); ``operation`` ("put", "get", "strong get"); ``region``, ``place``, ``where`` ("home" or "afar"); the other
    columns are those of :func:`percentiles`. ``regions`` defaults to the lab's Regions in which the table exists.
    Ctrl-C keeps what was measured, without the tables that had not been reached.

    Raises the errors of :func:`latency`, and ValueError, before anything is measured, for a table that exists in none
    of the Regions.
    """
    import pandas as pd

    names = [tables] if isinstance(tables, str) else list(tables)
    if not names:
        raise ValueError("Name at least one table.")
    asked = [(table, *_where_and_kind(lab, table, regions)) for table in names]
    found: list[pd.DataFrame] = []
    for table, where, kind in asked:
        latencies = latency(lab, table, where, samples, strong=True, rate=rate)
        found.append(percentiles(latencies).assign(table=table, consistency=kind))
        if latencies.attrs["stopped"]:
            break
    frame = pd.concat(found, ignore_index=True)
    frame["place"] = [catalogue.get(region).place for region in frame["region"]]
    frame["where"] = ["home" if region == lab.home else "afar" for region in frame["region"]]
    return frame[["table", "consistency", "operation", "region", "place", "where", "calls", "failed", *_PERCENTILES,
                  "backend"]]


def _where_and_kind(lab: Lab, table: str, regions: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The Regions in which a table is called, and the kind of its consistency across Regions."""
    statuses = describe.statuses(lab, table, lab.regions)
    where = tuple(catalogue.parse(regions)) or tuple(
        region for region, status in statuses.items() if status != describe.ABSENT)
    if not where:
        raise ValueError(f"There is no table {table} in {', '.join(lab.regions)}.")
    described = describe.table(lab, table, where[0])
    return where, "strong" if described.get("MultiRegionConsistency") == "STRONG" else "eventual"


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class _Plan:
    """``samples`` calls of each operation, ``rate`` calls per second; with strongly consistent reads if ``strong``."""

    samples: int
    strong: bool
    rate: float


class _Caller:
    """Makes the calls of one Region."""

    def __init__(self, lab: Lab, table: str, region: str, plan: _Plan):
        self._lab, self._table, self._region, self._rate = lab, table, region, plan.rate
        self._sender = Sender(lab, region, _MOST_UNDER_WAY)
        self._pool = ThreadPoolExecutor(_MOST_UNDER_WAY, thread_name_prefix=f"calls-{region}")
        keys = Keys(lab.client(region).describe_table(TableName=table)["Table"])
        self._keys = [keys.key(sample) for sample in range(1, plan.samples + 1)]
        reads = [("get", False), *([("strong get", True)] if plan.strong else [])]
        # Requests are signed in advance, because signing takes longer than sending.
        self._calls = [("put", self._sender.signed("put_item", TableName=table, Item=key)) for key in self._keys]
        self._calls += [(name, self._sender.signed("get_item", TableName=table, Key=key, ConsistentRead=consistent))
                        for key in self._keys for name, consistent in reads]
        self._next = 0
        self._found: list[tuple[str, float, Reply]] = []
        self.schedule = Schedule(1 / plan.rate, self._call, catch_up=True, calls=len(self._calls),
                                 name=f"calls-{region}")

    def get_ready(self) -> None:
        """Open as many connections as there will be calls without an answer."""
        get = self._sender.signed("get_item", TableName=self._table, Key=self._keys[0])
        first = self._sender.send(get)
        if first.error and not first.transient:
            raise first.raised("GetItem")
        together = min(_MOST_UNDER_WAY, 2 + math.ceil((first.answered - first.sent) * self._rate))
        list(self._pool.map(self._sender.send, [get] * together))

    @property
    def running(self) -> bool:
        return self.schedule.running or len(self._found) < self._next

    def check(self) -> None:
        for operation, _, reply in self._found:
            if reply.error and not reply.transient:
                raise reply.raised("PutItem" if operation == "put" else "GetItem")

    def rows(self) -> list[tuple[object, ...]]:
        return [(operation, self._region, (reply.answered - due) * 1000, (reply.sent - due) * 1000, reply.error,
                 self._lab.label) for operation, due, reply in self._found]

    def stop(self) -> None:
        self.schedule.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        delete(self._lab, self._table, self._region, self._keys[:self._next])

    def _call(self, due: float) -> None:
        operation, request = self._calls[self._next]
        self._next += 1
        self._pool.submit(self._send, operation, due, request)

    def _send(self, operation: str, due: float, request: AWSPreparedRequest) -> None:
        self._found.append((operation, due, self._sender.send(request)))
