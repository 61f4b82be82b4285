"""Timing a global table: replication lag as an interval, and the latency of calls beside it.

Every function gives a data frame; times are milliseconds, taken with a monotonic clock. The column ``backend`` says
where the figures come from, and whether they are simulated.
"""

from __future__ import annotations

import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gtlab import regions as catalogue
from gtlab.lab import Lab

if TYPE_CHECKING:
    import pandas as pd

_LAGS = ["probe", "source", "target", "sent_ms", "put_ms", "missed_ms", "seen_ms", "lag_min_ms", "lag_max_ms",
         "get_ms", "polls", "backend"]
_PAUSE_S = 0.005  # between the answer to one poll and the next one


def replication_lag(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (),
                    samples: int = 20, *, timeout_s: float = 30.0) -> pd.DataFrame:
    """Put items at ``source`` and poll every target until each is seen there.

    ``source`` defaults to the home Region, ``targets`` to the lab's other Regions. Each probe is one put, and from
    its sending on a strongly consistent read after the other in each target. The probe items are deleted at the end,
    and after Ctrl-C, which keeps what was measured.

    A row per probe and target: ``probe`` (from 1), ``source``, ``target``; ``sent_ms``, the put's sending, since the
    first one's; and, since that put's sending, ``put_ms`` (its answer came), ``missed_ms`` (the last poll that did not
    see the item was sent; 0 if there was none), ``seen_ms`` (the first that saw it was answered). The write was
    committed between 0 and put_ms and became visible between missed_ms and seen_ms, so the lag lies between
    ``lag_min_ms`` = missed_ms - put_ms (at least 0) and ``lag_max_ms`` = seen_ms: nothing else is assumed, and the
    interval is at least a round trip wide. ``get_ms`` is the median latency of the polls, ``polls`` their number,
    ``backend`` the lab's label.

    Raises ValueError for targets or a count that make no sense, TimeoutError where an item does not arrive.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    source, targets = _checked(lab, source, targets, samples)
    key_of, items, rows = _key_maker(lab, table, source), [], []
    began = time.perf_counter()
    try:
        with ThreadPoolExecutor(len(targets)) as pool:
            for probe in tqdm(range(1, samples + 1), desc="Probes", unit="probe"):
                items.append(key_of(probe))
                rows += _probe(lab, table, source, targets, probe, items[-1], pool, began, timeout_s)
    except KeyboardInterrupt:
        print(f"Stopped after {len(rows) // len(targets)} of {samples} probes; what was measured is kept.")
    finally:
        _delete(lab, table, source, items)
    return pd.DataFrame(rows, columns=_LAGS)


def _probe(lab: Lab, table: str, source: str, targets: tuple[str, ...], probe: int, key: dict,
           pool: ThreadPoolExecutor, began: float, timeout_s: float) -> list[tuple]:
    sent = time.perf_counter()
    give_up = threading.Event()
    polls = {target: pool.submit(_poll, lab, table, target, key, sent, timeout_s, give_up) for target in targets}
    try:
        lab.client(source).put_item(TableName=table, Item=key)
        put_ms = (time.perf_counter() - sent) * 1000
        found = {target: poll.result() for target, poll in polls.items()}
    except BaseException:
        give_up.set()
        raise
    return [(probe, source, target, (sent - began) * 1000, put_ms, missed_ms, seen_ms,
             max(0.0, missed_ms - put_ms), seen_ms, get_ms, count, lab.label)
            for target, (missed_ms, seen_ms, get_ms, count) in found.items()]


def _poll(lab: Lab, table: str, target: str, key: dict, sent: float, timeout_s: float,
          give_up: threading.Event) -> tuple[float, float, float, int]:
    client, missed_ms, gets = lab.client(target), 0.0, []
    while not give_up.is_set():
        asked = time.perf_counter()
        found = "Item" in client.get_item(TableName=table, Key=key, ConsistentRead=True)
        answered = time.perf_counter()
        gets.append((answered - asked) * 1000)
        if found:
            return missed_ms, (answered - sent) * 1000, statistics.median(gets), len(gets)
        missed_ms = (asked - sent) * 1000
        if answered - sent > timeout_s:
            break
        give_up.wait(_PAUSE_S)
    raise TimeoutError(f"An item put elsewhere was not seen in {target} within {timeout_s:.0f} s. Is table {table} "
                       "there a replica of the source's?")


def latency(lab: Lab, table: str, regions: Iterable[str] = (), samples: int = 20, *,
            strong: bool = False) -> pd.DataFrame:
    """Put and get in each Region, one after the other, as seen from where the lab is.

    A row per call: ``operation`` ("put", "get", and with ``strong`` "strong get", a strongly consistent read),
    ``region``, ``ms``, ``backend``. The items are deleted afterwards.
    """
    import pandas as pd

    rows = []
    for region in tuple(regions) or lab.regions:
        client, key_of = lab.client(region), _key_maker(lab, table, region)
        keys = [key_of(sample) for sample in range(1, samples + 1)]
        client.describe_table(TableName=table)  # opens the connection, which is no part of a call's latency
        try:
            for key in keys:
                put_ms = _timed_ms(client.put_item, TableName=table, Item=key)
                get_ms = _timed_ms(client.get_item, TableName=table, Key=key)
                rows += [("put", region, put_ms, lab.label), ("get", region, get_ms, lab.label)]
                if strong:
                    strong_ms = _timed_ms(client.get_item, TableName=table, Key=key, ConsistentRead=True)
                    rows.append(("strong get", region, strong_ms, lab.label))
        finally:
            _delete(lab, table, region, keys)
    return pd.DataFrame(rows, columns=["operation", "region", "ms", "backend"])


def beside_lag(latencies: pd.DataFrame, lags: pd.DataFrame) -> pd.DataFrame:
    """Latencies of calls and replication lags in one table, for :func:`gtlab.charts.latency_beside_lag`.

    Columns ``operation`` ("put", "get", "replication lag"), ``region``, ``median_ms``, ``p90_ms``, ``backend``.
    A lag is counted at its upper bound, ``lag_max_ms``.
    """
    import pandas as pd

    arrivals = lags.rename(columns={"target": "region", "lag_max_ms": "ms"}).assign(operation="replication lag")
    columns = ["operation", "region", "ms", "backend"]
    everything = pd.concat([latencies[columns], arrivals[columns]])
    grouped = everything.groupby(["operation", "region", "backend"], sort=False)["ms"]
    found = grouped.agg(median_ms="median", p90_ms=lambda ms: ms.quantile(0.9)).reset_index()
    return found[["operation", "region", "median_ms", "p90_ms", "backend"]]


def summary(lags: pd.DataFrame) -> pd.DataFrame:
    """A row per target: ``place``, ``probes``, the bounds of the median lag, the upper bounds of the 90th percentile
    and of the slowest, all in milliseconds, rounded."""
    grouped = lags.groupby("target", sort=False)
    found = grouped.agg(probes=("probe", "count"), median_min_ms=("lag_min_ms", "median"),
                        median_max_ms=("lag_max_ms", "median"), p90_max_ms=("lag_max_ms", lambda ms: ms.quantile(0.9)),
                        slowest_max_ms=("lag_max_ms", "max")).round(0).reset_index()
    found.insert(1, "place", [catalogue.get(target).place for target in found["target"]])
    return found


def arrivals(lags: pd.DataFrame, writes: int = 5) -> pd.DataFrame:
    """The first few probes as :func:`gtlab.charts.arrivals` draws them: a row per write and Region.

    Columns ``write``, ``region``, ``role`` ("source" or "target"), ``sent_ms``, ``seen_min_ms``, ``seen_max_ms`` (since
    the first put's sending), ``backend``.
    """
    import pandas as pd

    rows = []
    for probe, found in lags[lags["probe"] <= writes].groupby("probe"):
        first = found.iloc[0]
        sent = first["sent_ms"]
        rows.append((f"write {probe}", first["source"], "source", sent, sent, sent + first["put_ms"], first["backend"]))
        rows += [(f"write {probe}", row.target, "target", sent, sent + row.missed_ms, sent + row.seen_ms, row.backend)
                 for row in found.itertuples()]
    frame = pd.DataFrame(rows, columns=["write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms", "backend"])
    times = ["sent_ms", "seen_min_ms", "seen_max_ms"]
    frame[times] -= frame["sent_ms"].min()
    return frame


def _checked(lab: Lab, source: str, targets: str | Iterable[str], samples: int) -> tuple[str, tuple[str, ...]]:
    source = catalogue.get(source or lab.home).code
    found = tuple(catalogue.parse(targets)) or tuple(region for region in lab.regions if region != source)
    if source in found:
        raise ValueError(f"{source} is the source; a target is another Region.")
    if not found:
        raise ValueError("There is no target to measure: the lab has one Region.")
    if samples < 1:
        raise ValueError(f"samples is {samples}; at least one is needed.")
    return source, found


def _key_maker(lab: Lab, table: str, region: str) -> Callable[[int], dict]:
    """Keys of probe items that nobody else uses, in a table of any key schema."""
    described = lab.client(region).describe_table(TableName=table)["Table"]
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
    run, names = uuid.uuid4().hex[:8], [each["AttributeName"] for each in described["KeySchema"]]

    def value(kind: str, probe: int) -> str | bytes:
        if kind == "N":
            return str(int(run, 16) * 1_000_000 + probe)
        text = f"gtlab-probe-{run}-{probe}"
        return text.encode() if kind == "B" else text

    return lambda probe: {name: {types[name]: value(types[name], probe)} for name in names}


def _delete(lab: Lab, table: str, region: str, keys: list[dict]) -> None:
    for at in range(0, len(keys), 25):  # the most that one batch may hold
        requests = {table: [{"DeleteRequest": {"Key": key}} for key in keys[at:at + 25]]}
        while requests:
            requests = lab.client(region).batch_write_item(RequestItems=requests).get("UnprocessedItems")


def _timed_ms(call: Callable[..., object], **arguments: object) -> float:
    began = time.perf_counter()
    call(**arguments)
    return (time.perf_counter() - began) * 1000
