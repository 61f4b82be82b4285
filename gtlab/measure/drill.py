"""A failover drill: write before, during and after an outage, and measure the recovery time and the writes that were
missing after the failover. These are what was achieved, to be compared with your objectives (RTO and RPO).

The writes go through :class:`gtlab.failover.Failover` at regular intervals, whether or not the write before was
answered, as the writes of many users do. They go to a few items; writes to the same item stay in order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError

from gtlab.failover import Failover, NoRegionAnswered
from gtlab.lab import Lab, describe
from gtlab.measure.probes import Keys

if TYPE_CHECKING:
    import pandas as pd

Break = Callable[[], contextlib.AbstractContextManager[object]]
Row = dict[str, Any]
_COLUMNS = ["n", "item", "due_ms", "sent_ms", "answered_ms", "region", "attempts", "outcome", "replaced", "missing",
            "fate", "lost_region", "outage_from_ms", "outage_to_ms", "table", "backend"]
_NUMBER = "gtlab_n"  # the attribute that holds a write's number
_MOST_WAITING = 64  # writes without an answer
_PAUSE_S = 0.05     # between two checks whether the Regions agree


def run(lab: Lab, table: str, clients: Mapping[str, Any], break_it: Break, *,
        before_s: float = 3.0, outage_s: float = 6.0, after_s: float = 4.0, rate: float = 10.0, items: int = 40,
        cooldown_s: float = 2.0, timeout_s: float = 60.0) -> pd.DataFrame:
    """Write ``rate`` times per second: ``before_s`` seconds before an outage, ``outage_s`` seconds during it, and
    ``after_s`` seconds after it.

    ``clients`` by Region, the Region that will be lost first; their timeouts decide how soon the outage is noticed.
    ``break_it()`` returns a context manager that lasts as long as the outage, such as
    ``lambda: lab.world.outage(lab.home)``. Each write puts its number into one of ``items`` items (1 to 100), which is
    chosen at random, with the same choices in each drill. ``cooldown_s`` is that of
    :class:`gtlab.failover.Failover`. The items are deleted at the end, also after Ctrl-C, which ends the outage and
    keeps what was measured.

    A row per write: ``n``, its number; ``item``, the number of the item; ``due_ms``, ``sent_ms`` and ``answered_ms``,
    milliseconds since the first write was due; ``region``, the Region that acknowledged it, or None; ``attempts``, how
    many Regions were tried; ``outcome``, "answered" or the name of the error; ``replaced``, the number that the write
    found in the item and replaced, or None: this shows which write it had seen. Then its result:

    - ``missing``: it was acknowledged by the lost Region, and when the other Region took over, that Region had neither
      it nor a later write to the item. (What the other Region had is known from the first write that it acknowledged;
      for items without such a write, from a strongly consistent read at the end of the outage.)
    - ``fate`` of an acknowledged write, when all Regions agree: "stays" (it is in the item), "replaced" (by a write
      that had seen it), or "lost" (overwritten by a write that had not seen it). None if it was not acknowledged.

    The other columns are the same in every row: ``lost_region``; ``outage_from_ms`` and ``outage_to_ms``, when the
    outage was in force and when its end began (missing if the drill was stopped before); ``table``; ``backend``.

    Raises ValueError for invalid arguments, and TimeoutError if the Regions do not agree ``timeout_s`` seconds after
    the last write.
    """
    import pandas as pd

    pace = _Pace(before_s, outage_s, after_s, rate)
    for name, value in dataclasses.asdict(pace).items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0.")
    if not 1 <= items <= 100:
        raise ValueError(f"items is {items}; it must be from 1 to 100, which one request can read.")
    if len(clients) < 2:
        raise ValueError("A failover needs clients of at least two Regions.")
    drill = _Drill(lab, table, clients, items, cooldown_s)
    try:
        drill.write(break_it, pace)
        rows = drill.judged(drill.agreed(timeout_s))
        return pd.DataFrame(rows, columns=_COLUMNS).astype({"replaced": "Int64", "missing": bool})
    finally:
        drill.clean_up()


@contextlib.contextmanager
def unreachable(client: Any, after_s: float = 1.0) -> Iterator[None]:
    """For a block of code, make a client's calls fail: each waits ``after_s`` seconds and then raises
    ConnectTimeoutError.

    This is for backends that cannot be broken, such as AWS. Only this client loses the Region, which goes on working
    and replicating.
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
    """The results of a drill in one row. ``drilled`` is the data frame of :func:`run`.

    - ``table``, ``lost_region``, ``took_over`` (the Region that took over, or None)
    - ``recovery_ms``: milliseconds from the beginning of the outage to the first acknowledgement of a write that was
      sent during it or later
    - ``missing_writes``: how many acknowledged writes were missing at the failover; ``missing_ms``: how long before the
      outage the oldest of them was acknowledged (0 if there was none)
    - ``newest_there_ms``: how long before the outage the newest write that had arrived was acknowledged
    - of the missing writes, ``came_late``: how many were present after the Region came back; ``missing_lost``: how many
      were overwritten by a write that had not seen them
    - ``lost``: how many of all acknowledged writes were overwritten in this way, including those of the fail-back
    - ``failed``: how many writes no Region acknowledged; ``backend``

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
        return float(max(0.0, began - answered_ms))

    return pd.DataFrame([{
        "table": first["table"], "lost_region": lost_region,
        "took_over": elsewhere["region"].iloc[0] if len(elsewhere) else None,
        "recovery_ms": after["answered_ms"].iloc[0] - began if len(after) else float("nan"),
        "missing_writes": len(missing),
        "missing_ms": age_ms(missing["answered_ms"].min()) if len(missing) else 0.0,
        "newest_there_ms": age_ms(there["answered_ms"].max()) if len(there) else float("nan"),
        "came_late": int((missing["fate"] != "lost").sum()), "missing_lost": int((missing["fate"] == "lost").sum()),
        "lost": int((acked["fate"] == "lost").sum()), "failed": len(drilled) - len(acked),
        "backend": first["backend"]}])


@dataclasses.dataclass(frozen=True)
class _Pace:
    """How long to write before, during and after the outage (seconds), and how many times per second."""

    before_s: float
    outage_s: float
    after_s: float
    rate: float

    @property
    def writes(self) -> int:
        return int((self.before_s + self.outage_s + self.after_s) * self.rate)


class _Drill:
    """One drill: the writes, the state at the end, and the result of each write."""

    def __init__(self, lab: Lab, table: str, clients: Mapping[str, Any], items: int, cooldown_s: float):
        self._lab, self._table, self._clients = lab, table, clients
        self._caller = Failover(clients, cooldown_s=cooldown_s)
        self._home, *self._others = clients
        keys = Keys(describe.table(lab, table, self._home), "drill")
        self._keys = [keys.key(number) for number in range(items)]
        self._stop = threading.Event()
        self._began = 0.0
        self._outage_ms = [float("nan"), float("nan")]
        self._held: dict[str, dict[int, int]] = {}  # at the outage's end, the numbers by item
        self._written: list[Row] = []

    def write(self, break_it: Break, pace: _Pace) -> None:
        for client in self._clients.values():
            client.get_item(TableName=self._table, Key=self._keys[0])  # so that no write has to open a connection
        chance = random.Random(len(self._keys))
        newest: dict[int, Future[Row]] = {}  # by item
        writes: list[Future[Row]] = []
        with ThreadPoolExecutor(_MOST_WAITING) as writers, ThreadPoolExecutor(1) as breaker:
            self._began = time.perf_counter()
            breaking = breaker.submit(self._break, break_it, pace)
            try:
                for n in range(1, pace.writes + 1):
                    due_ms, item = (n - 1) / pace.rate * 1000, chance.randrange(len(self._keys))
                    self._wait_until(due_ms)
                    if breaking.done():
                        breaking.result()  # raises the error of the other thread: a drill needs its outage
                    newest[item] = writers.submit(self._put, n, item, due_ms, newest.get(item))
                    writes.append(newest[item])
            except KeyboardInterrupt:
                print(f"Stopped after {len(writes)} writes; what was measured is kept.")
            finally:
                self._stop.set()
            breaking.result()
        self._written = [write.result() for write in writes]

    def _break(self, break_it: Break, pace: _Pace) -> None:
        self._wait_until(pace.before_s * 1000)
        if self._stop.is_set():
            return
        with break_it():
            self._outage_ms[0] = self._now_ms()
            self._wait_until((pace.before_s + pace.outage_s) * 1000)
            self._held = {region: self._numbers(region) for region in self._others}
            self._outage_ms[1] = self._now_ms()

    def _put(self, n: int, item: int, due_ms: float, earlier: Future[Row] | None) -> Row:
        if earlier:
            wait([earlier])
        row: Row = {"n": n, "item": item, "due_ms": due_ms, "sent_ms": self._now_ms(), "region": None, "replaced": None}
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
            replaced = answer.response.get("Attributes")
            row |= {"attempts": len(answer.failures) + 1, "outcome": "answered", "region": answer.region,
                    "replaced": _number(replaced) if replaced else None}
        return row | {"answered_ms": self._now_ms()}

    def agreed(self, timeout_s: float) -> dict[int, int]:
        """The number in each item, when all Regions have the same. Raises TimeoutError."""
        deadline = time.perf_counter() + timeout_s
        while True:
            found = [self._numbers(region) for region in self._clients]
            if all(each == found[0] for each in found):
                return found[0]
            if time.perf_counter() > deadline:
                raise TimeoutError(f"The Regions did not agree within {timeout_s:.0f} s. Check that table "
                                   f"{self._table} has a replica in each of {', '.join(self._clients)}.")
            time.sleep(_PAUSE_S)

    def judged(self, last: dict[int, int]) -> list[Row]:
        """Every write with its result; ``last`` is the number in each item at the end."""
        began, ended = self._outage_ms
        acked = [row for row in self._written if row["region"]]
        elsewhere = [row for row in acked if row["region"] != self._home and row["sent_ms"] >= began]
        took_over = min(elsewhere, key=lambda row: row["answered_ms"])["region"] if elsewhere else None
        had: dict[int, int | None] = dict(self._held.get(took_over, {})) if took_over else {}
        # Reversed, so that its first write to each item counts.
        had |= {row["item"]: row["replaced"] for row in reversed(acked) if row["region"] == took_over}
        seen = {(row["item"], row["replaced"]) for row in acked if row["replaced"] != row["n"]}

        def missing(row: Row) -> bool:
            return bool(took_over and row["region"] == self._home and row["sent_ms"] < began
                        and (had.get(row["item"]) or 0) < row["n"])

        def fate(row: Row) -> str | None:
            if not row["region"]:
                return None
            if last.get(row["item"]) == row["n"]:
                return "stays"
            return "replaced" if (row["item"], row["n"]) in seen else "lost"

        return [row | {"missing": missing(row), "fate": fate(row), "lost_region": self._home, "outage_from_ms": began,
                       "outage_to_ms": ended, "table": self._table, "backend": self._lab.label}
                for row in self._written]

    def clean_up(self) -> None:
        write = self._lab.client(self._home).batch_write_item
        for at in range(0, len(self._keys), 25):  # the most that one batch may contain
            requests: Row = {self._table: [{"DeleteRequest": {"Key": key}} for key in self._keys[at:at + 25]]}
            while requests:
                requests = write(RequestItems=requests).get("UnprocessedItems") or {}

    def _numbers(self, region: str) -> dict[int, int]:
        """The number in each item of a Region, by strongly consistent reads."""
        asked: Row = {self._table: {"Keys": self._keys, "ConsistentRead": True}}
        found: dict[int, int] = {}
        while asked:
            answer = self._lab.client(region).batch_get_item(RequestItems=asked)
            for item in answer["Responses"][self._table]:
                found[self._keys.index({name: item[name] for name in self._keys[0]})] = _number(item)
            asked = answer.get("UnprocessedKeys") or {}
        return found

    def _wait_until(self, at_ms: float) -> None:
        self._stop.wait(max(0.0, (at_ms - self._now_ms()) / 1000))

    def _now_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _number(item: Mapping[str, Any]) -> int:
    return int(item[_NUMBER]["N"])
