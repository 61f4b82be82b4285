"""The latency of single calls: put, get and strongly consistent get, at home and from afar.

Calls are sent on a schedule, each whether or not the one before was answered, and timed from the moment at which they
were due. A loop that waits for each answer would send least while the service is slowest, and so leave out just those
calls that users would have waited for (coordinated omission).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gtlab import regions as catalogue
from gtlab.lab import Lab, watch
from gtlab.measure.probes import Keys, at_least, delete, description, whole
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply, Wire

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["operation", "region", "ms", "late_ms", "error", "backend"]
_MOST_UNDER_WAY = 64
_PERCENTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p99_9_ms": 0.999, "max_ms": 1.0}


def latency(lab: Lab, table: str, regions: Iterable[str] = (), samples: int = 20, *, strong: bool = False,
            rate: float = 20.0) -> pd.DataFrame:
    """Put and get in each Region, ``rate`` calls a second in each, as seen from where the lab is.

    A row per call: ``operation`` ("put", "get", and with ``strong`` "strong get", a strongly consistent read),
    ``region``, ``ms`` from the moment it was due until its answer, ``late_ms`` of that before it was sent (this
    machine's fault), ``error`` (throttling, a 5xx, a lost connection; None where all was well), ``backend``.
    Connections are open before the first call. The items are deleted afterwards, and after Ctrl-C, which keeps what was
    measured; the frame's ``attrs["stopped"]`` tells so. Raises ValueError for settings that make no sense, and the
    service's error where it refuses.
    """
    import pandas as pd

    whole(samples=samples)
    at_least(1, samples=samples)
    at_least(0.1, rate=rate)
    where = tuple(catalogue.parse(regions)) or lab.regions
    callers, stopped = [_Caller(lab, table, region, samples, strong, rate) for region in where], False
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
    """A row per operation and Region (or what ``by`` names): ``calls``, ``failed`` of them; ``p50_ms``, ``p90_ms``,
    ``p99_ms``, ``p99_9_ms`` and ``max_ms`` of those that were answered; ``backend``.

    A percentile is the smallest time within which at least that share was answered: with fewer than a thousand calls
    p99_9_ms is the slowest."""
    rows = []
    by = list(by)
    for names, found in latencies.groupby([*by, "backend"], sort=False):
        answered = found["ms"][found["error"].isna()]
        rows.append(dict(zip([*by, "backend"], names, strict=True))
                    | {"calls": len(found), "failed": len(found) - len(answered)}
                    | {name: answered.quantile(share, interpolation="higher") for name, share in _PERCENTILES.items()})
    return _frame(rows, [*by, "calls", "failed", *_PERCENTILES, "backend"])


def compare(lab: Lab, tables: str | Iterable[str], regions: Iterable[str] = (), samples: int = 100, *,
            rate: float = 20.0) -> pd.DataFrame:
    """What strong consistency costs here: the latency of every call on tables of either kind, in one table.

    A row per table, operation and Region: ``table``; ``consistency`` across Regions, "eventual" (MREC) or "strong"
    (MRSC); ``operation`` ("put", "get", "strong get"); ``region``, ``place``, ``where`` ("home" or "afar"); the rest as
    in :func:`percentiles`. ``regions`` default to those of the lab's in which the table is. Ctrl-C keeps what was
    measured; tables whose turn had not come are left out. Raises as :func:`latency` does, and ValueError, before
    anything is measured, for a table that is in none of them.
    """
    import pandas as pd

    found, tables = [], [tables] if isinstance(tables, str) else list(tables)
    if not tables:
        raise ValueError("Name at least one table.")
    asked = [(table, *_where_and_kind(lab, table, regions)) for table in tables]
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
    """The Regions in which a table is called, and its consistency across them."""
    statuses = watch.table_statuses(lab, table, lab.regions)
    where = tuple(catalogue.parse(regions)) or tuple(
        region for region, status in statuses.items() if status != watch.ABSENT)
    if not where:
        raise ValueError(f"There is no table {table} in {', '.join(lab.regions)}.")
    described = description(lab, where[0], table)
    return where, "strong" if described.get("MultiRegionConsistency") == "STRONG" else "eventual"


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)


class _Caller:
    """The calls of one Region."""

    def __init__(self, lab: Lab, table: str, region: str, samples: int, strong: bool, rate: float):
        self._lab, self._table, self._region, self._rate = lab, table, region, rate
        self._wire = Wire(lab, region, _MOST_UNDER_WAY)
        self._pool = ThreadPoolExecutor(_MOST_UNDER_WAY, thread_name_prefix=f"calls-{region}")
        keys = Keys(lab.client(region).describe_table(TableName=table)["Table"])
        self._keys = [keys.key(sample) for sample in range(1, samples + 1)]
        reads = [("get", False), *([("strong get", True)] if strong else [])]
        # Signed beforehand, which takes longer than the sending.
        self._calls = [("put", self._wire.signed("put_item", TableName=table, Item=key)) for key in self._keys]
        self._calls += [(name, self._wire.signed("get_item", TableName=table, Key=key, ConsistentRead=consistent))
                        for key in self._keys for name, consistent in reads]
        self._next = 0
        self._found: list[tuple[str, float, Reply]] = []
        self.schedule = Schedule(1 / rate, self._call, catch_up=True, calls=len(self._calls), name=f"calls-{region}")

    def get_ready(self) -> None:
        """Open as many connections as there will be calls under way."""
        get = self._wire.signed("get_item", TableName=self._table, Key=self._keys[0])
        first = self._wire.send(get)
        if first.error and not first.passing:
            raise first.raised("GetItem")
        together = min(_MOST_UNDER_WAY, 2 + math.ceil((first.answered - first.sent) * self._rate))
        list(self._pool.map(self._wire.send, [get] * together))

    @property
    def running(self) -> bool:
        return self.schedule.running or len(self._found) < self._next

    def check(self) -> None:
        for operation, _, reply in self._found:
            if reply.error and not reply.passing:
                raise reply.raised("PutItem" if operation == "put" else "GetItem")

    def rows(self) -> list[tuple]:
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

    def _send(self, operation: str, due: float, request) -> None:
        self._found.append((operation, due, self._wire.send(request)))
