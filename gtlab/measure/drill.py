"""A failover drill: write before, through and after an outage; how long it hurt (RTO), and what it cost (RPO).

The writes go through :class:`gtlab.failover.Failover`, one every so often whether the one before is answered or not, as
users send them. All of them go to a few items; writes of one item keep their order.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError

from gtlab.failover import Failover, NoRegionAnswered
from gtlab.lab import Lab

if TYPE_CHECKING:
    import pandas as pd

Break = Callable[[], contextlib.AbstractContextManager]
_COLUMNS = ["n", "item", "due_ms", "sent_ms", "answered_ms", "region", "attempts", "outcome", "replaced", "missing",
            "fate", "lost_region", "outage_from_ms", "outage_to_ms", "table", "backend"]
_NUMBER = "gtlab_n"  # the attribute that holds a write's number
_MOST_WAITING = 64  # writes under way at once
_PAUSE_S = 0.05     # between two looks at whether the Regions agree


def run(lab: Lab, table: str, clients: Mapping[str, Any], break_it: Break, *,
        before_s: float = 3.0, outage_s: float = 6.0, after_s: float = 4.0, rate: float = 10.0, items: int = 40,
        cooldown_s: float = 2.0, timeout_s: float = 60.0) -> pd.DataFrame:
    """Write ``rate`` times a second for ``before_s``, break something for ``outage_s``, mend it, write for ``after_s``.

    ``clients`` by Region, the Region that will be lost first; their timeouts decide how soon anybody notices.
    ``break_it()`` gives a context manager, such as ``lambda: lab.world.outage(lab.home)``. Each write puts its number
    into one of ``items`` items, chosen at random, the same way each time. They are deleted at the end, and after
    Ctrl-C, which mends what is broken and keeps what was measured.

    A row a write: ``n``, its number; ``item``, the item's; ``due_ms``, ``sent_ms`` and ``answered_ms``, since the first
    one was due; ``region``, who answered, None for nobody; ``attempts``, how many Regions were asked; ``outcome``,
    "answered", or the error's name. ``replaced`` is the number that the Region found in the item and replaced, None for
    none: so a write says what it had seen. Then what became of it:

    - ``missing``: it was acknowledged by the Region that was lost, and the one which took over did not have it then,
      nor a later write of that item. (What it had is known from the first write it took; of items that it took none of,
      from a strongly consistent read as the outage ends.)
    - ``fate`` of an acknowledged write, once all Regions agree: "stays", it is there; "replaced", by a write that had
      seen it; "lost", overwritten by one that had not. None for one that nobody acknowledged.

    The rest is the same in every row: ``lost_region``; ``outage_from_ms`` (the outage is in force) and ``outage_to_ms``
    (mending begins), None where it did not come to that; ``table``; ``backend``.

    Raises ValueError for settings that make no sense, TimeoutError where the Regions do not agree ``timeout_s`` after
    the last write.
    """
    import pandas as pd

    for name, value in (("before_s", before_s), ("outage_s", outage_s), ("after_s", after_s), ("rate", rate)):
        if not value > 0:
            raise ValueError(f"{name} is {value}; it has to be above 0.")
    if not 1 <= items <= 100:
        raise ValueError(f"items is {items}; from 1 to 100 can be read at once.")
    if len(clients) < 2:
        raise ValueError("A failover needs clients of two Regions at least.")
    drill = _Drill(lab, table, clients, items, cooldown_s)
    try:
        drill.write(break_it, before_s, outage_s, after_s, rate)
        rows = drill.judged(drill.agreed(timeout_s))
        return pd.DataFrame(rows, columns=_COLUMNS).astype({"replaced": "Int64", "missing": bool})
    finally:
        drill.clean_up()


@contextlib.contextmanager
def unreachable(client: Any, after_s: float = 1.0) -> Iterator[None]:
    """For a block of code, have a client's calls fail: each waits ``after_s`` seconds, and then times out.

    For backends that cannot be broken, such as AWS. Only this program loses the Region: it lives on, and replicates.
    """
    def fail(request: Any, **_: Any) -> None:
        time.sleep(after_s)
        raise ConnectTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send.*.*", fail)
    try:
        yield
    finally:
        client.meta.events.unregister("before-send.*.*", fail)


def summary(drilled: pd.DataFrame) -> pd.DataFrame:
    """A drill in one row.

    ``table``, ``lost_region``, ``took_over``; ``rto_ms``, from the beginning of the outage until a write that was sent
    since was acknowledged; ``rpo_writes``, how many acknowledged writes were missing at the failover, and ``rpo_ms``,
    how long before the outage the oldest of them was acknowledged (0 for none); ``newest_there_ms``, how long before
    it the newest was that had arrived. Of the missing ones: ``came_late``, there after all when the Region came back,
    and ``missing_lost``, overwritten by a write that had not seen them. ``lost``: all acknowledged writes to which that
    happened, those of failing back included. ``failed``: writes that nobody acknowledged. ``backend``.
    Raises ValueError for a drill without any write.
    """
    import pandas as pd

    if drilled.empty:
        raise ValueError("This drill was stopped before its first write.")
    first = drilled.iloc[0]
    began, lost_region = first["outage_from_ms"], first["lost_region"]
    acked = drilled[drilled["region"].notna()]
    after = acked[acked["sent_ms"] >= began].sort_values("answered_ms")
    elsewhere = after[after["region"] != lost_region]
    at_home = acked[(acked["region"] == lost_region) & (acked["sent_ms"] < began)]
    missing, there = acked[acked["missing"]], at_home[~at_home["missing"]]

    def age_ms(answered_ms: float) -> float:
        return max(0.0, began - answered_ms)

    return pd.DataFrame([{
        "table": first["table"], "lost_region": lost_region,
        "took_over": elsewhere["region"].iloc[0] if len(elsewhere) else None,
        "rto_ms": after["answered_ms"].iloc[0] - began if len(after) else float("nan"),
        "rpo_writes": len(missing),
        "rpo_ms": age_ms(missing["answered_ms"].min()) if len(missing) else 0.0,
        "newest_there_ms": age_ms(there["answered_ms"].max()) if len(there) else float("nan"),
        "came_late": int((missing["fate"] != "lost").sum()), "missing_lost": int((missing["fate"] == "lost").sum()),
        "lost": int((acked["fate"] == "lost").sum()), "failed": len(drilled) - len(acked),
        "backend": first["backend"]}])


class _Drill:
    """One drill: the writing, what was found at its end, and the verdict on each write."""

    def __init__(self, lab: Lab, table: str, clients: Mapping[str, Any], items: int, cooldown_s: float):
        self._lab, self._table, self._clients = lab, table, clients
        self._caller = Failover(clients, cooldown_s=cooldown_s)
        self._home, *self._others = clients
        self._keys = _keys(lab, table, self._home, items)
        self._stop = threading.Event()
        self._began = 0.0
        self._outage_ms = [float("nan"), float("nan")]
        self._held: dict[str, dict[int, int]] = {}  # as the outage ended: what each other Region had in each item
        self._written: list[dict] = []

    def write(self, break_it: Break, before_s: float, outage_s: float, after_s: float, rate: float) -> None:
        for client in self._clients.values():
            client.get_item(TableName=self._table, Key=self._keys[0])  # opens a connection, which is no part of a write
        chance, newest, writes = random.Random(len(self._keys)), {}, []
        with ThreadPoolExecutor(_MOST_WAITING) as writers, ThreadPoolExecutor(1) as breaker:
            self._began = time.perf_counter()
            breaking = breaker.submit(self._break, break_it, before_s, before_s + outage_s)
            try:
                for n in range(1, int((before_s + outage_s + after_s) * rate) + 1):
                    due_ms, item = (n - 1) / rate * 1000, chance.randrange(len(self._keys))
                    self._wait_until(due_ms)
                    if breaking.done():
                        breaking.result()  # raises what went wrong there: no drill without an outage
                    newest[item] = writers.submit(self._put, n, item, due_ms, newest.get(item))
                    writes.append(newest[item])
            except KeyboardInterrupt:
                print(f"Stopped after {len(writes)} writes; what was measured is kept.")
            finally:
                self._stop.set()
            breaking.result()
        self._written = [write.result() for write in writes]

    def _break(self, break_it: Break, from_s: float, to_s: float) -> None:
        self._wait_until(from_s * 1000)
        if self._stop.is_set():
            return
        with break_it():
            self._outage_ms[0] = self._now_ms()
            self._wait_until(to_s * 1000)
            self._held = {region: self._numbers(region) for region in self._others}
            self._outage_ms[1] = self._now_ms()

    def _put(self, n: int, item: int, due_ms: float, earlier: Future | None) -> dict:
        if earlier:
            wait([earlier])
        row = {"n": n, "item": item, "due_ms": due_ms, "sent_ms": self._now_ms(), "region": None, "replaced": None}
        try:
            answer = self._caller.call("put_item", idempotent=True, TableName=self._table, ReturnValues="ALL_OLD",
                                       Item=self._keys[item] | {_NUMBER: {"N": str(n)}})
        except NoRegionAnswered as error:
            row |= {"attempts": len(error.failures), "outcome": type(error.failures[-1][1]).__name__}
        except ClientError as error:
            row |= {"attempts": 1, "outcome": error.response["Error"]["Code"]}
        except BotoCoreError as error:
            row |= {"attempts": 1, "outcome": type(error).__name__}
        else:
            row |= {"attempts": len(answer.failures) + 1, "outcome": "answered", "region": answer.region,
                    "replaced": _number(answer.response.get("Attributes"))}
        return row | {"answered_ms": self._now_ms()}

    def agreed(self, timeout_s: float) -> dict[int, int]:
        """What is in each item once every Region has the same."""
        deadline = time.perf_counter() + timeout_s
        while True:
            found = [self._numbers(region) for region in self._clients]
            if all(each == found[0] for each in found):
                return found[0]
            if time.perf_counter() > deadline:
                raise TimeoutError(f"The Regions did not come to agree within {timeout_s:.0f} s. Is table "
                                   f"{self._table} a replica in each of {', '.join(self._clients)}?")
            time.sleep(_PAUSE_S)

    def judged(self, last: dict[int, int]) -> list[dict]:
        """Every write, with the verdict on it."""
        began, ended = self._outage_ms
        acked = [row for row in self._written if row["region"]]
        elsewhere = [row for row in acked if row["region"] != self._home and row["sent_ms"] >= began]
        took_over = min(elsewhere, key=lambda row: row["answered_ms"])["region"] if elsewhere else None
        had: dict[int, int | None] = dict(self._held.get(took_over, {}))
        had |= {row["item"]: row["replaced"] for row in reversed(acked) if row["region"] == took_over}  # its first
        seen = {(row["item"], row["replaced"]) for row in acked if row["replaced"] != row["n"]}

        def missing(row: dict) -> bool:
            return (took_over is not None and row["region"] == self._home and row["sent_ms"] < began
                    and (had.get(row["item"]) or 0) < row["n"])

        def fate(row: dict) -> str | None:
            if not row["region"]:
                return None
            if last.get(row["item"]) == row["n"]:
                return "stays"
            return "replaced" if (row["item"], row["n"]) in seen else "lost"

        return [row | {"missing": missing(row), "fate": fate(row), "lost_region": self._home, "outage_from_ms": began,
                       "outage_to_ms": ended, "table": self._table, "backend": self._lab.label}
                for row in self._written]

    def clean_up(self) -> None:
        for at in range(0, len(self._keys), 25):  # the most that one batch may hold
            requests = {self._table: [{"DeleteRequest": {"Key": key}} for key in self._keys[at:at + 25]]}
            while requests:
                requests = self._lab.client(self._home).batch_write_item(RequestItems=requests).get("UnprocessedItems")

    def _numbers(self, region: str) -> dict[int, int]:
        """The number in each item that a Region has, by strongly consistent reads."""
        asked, found = {self._table: {"Keys": self._keys, "ConsistentRead": True}}, {}
        while asked:
            answer = self._lab.client(region).batch_get_item(RequestItems=asked)
            for item in answer["Responses"][self._table]:
                found[self._keys.index({name: item[name] for name in self._keys[0]})] = _number(item)
            asked = answer.get("UnprocessedKeys")
        return found

    def _wait_until(self, at_ms: float) -> None:
        self._stop.wait(max(0.0, (at_ms - self._now_ms()) / 1000))

    def _now_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _number(item: dict | None) -> int | None:
    return int(item[_NUMBER]["N"]) if item else None


def _keys(lab: Lab, table: str, region: str, count: int) -> list[dict]:
    """Keys that nobody else uses, in a table of any key schema."""
    described = lab.client(region).describe_table(TableName=table)["Table"]
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
    run, names = uuid.uuid4().hex[:8], [each["AttributeName"] for each in described["KeySchema"]]

    def value(kind: str, number: int) -> str | bytes:
        text = f"gtlab-drill-{run}-{number}"
        return {"N": str(int(run, 16) * 1000 + number), "B": text.encode()}.get(kind, text)

    return [{name: {types[name]: value(types[name], number)} for name in names} for number in range(count)]
