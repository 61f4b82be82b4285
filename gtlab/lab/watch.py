"""Wait for a state, show the progress, and return what was seen for a chart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gtlab.lab import Lab, hopeless
from gtlab.lab.describe import ABSENT, in_each
from gtlab.lab.describe import status as table_status
from gtlab.lab.describe import statuses as table_statuses
from gtlab.lab.progress import Board, Progress, Row
from gtlab.regions import REGIONS, label

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ABSENT", "WaitInVain", "global_table", "item", "look", "own", "table_status", "table_statuses", "tables",
           "until"]

_ASK_AGAIN_S = 3.0  # between two questions whether a wait can end
_MOST_PAUSE_S = 0.1  # between two looks at an item that takes long
_REPLICATION = "aws:rep:"  # how the names of the legacy version's attributes begin


def tables(lab: Lab, name: str, status: str = "ACTIVE", regions: Iterable[str] | None = None, *,
           timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a table has a status in every Region (``"absent"``: until it does not exist there any more).

    ``regions`` defaults to the lab's Regions. Returns what was seen: a data frame with a row per Region and period,
    columns ``region``, ``status``, ``start_s``, ``end_s`` (seconds since the waiting began). Raises WaitInVain, a
    TimeoutError, when the time is over, and at once where the wait cannot end.
    """
    where = lab.regions if regions is None else tuple(regions)
    return _watch(lambda: table_statuses(lab, name, where), status, Wait(
        f"table {name} to be {status}", timeout_s, _pause_s(lab), where, lambda: hopeless.down(lab, where),
        lambda seen: hopeless.tables(lab, name, seen) if status == "ACTIVE" else ""))


def global_table(lab: Lab, name: str, status: str = "ACTIVE", *, timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a global table (version 2017.11.29) and the tables in all its Regions have a status.

    Returns a data frame as :func:`tables` does, with "global table" as another ``region``. Raises WaitInVain as
    :func:`tables` does, and the service's error if there is no such global table.
    """
    client = lab.client(lab.home)

    def statuses() -> dict[str, str]:
        described = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]
        members = [member["RegionName"] for member in described["ReplicationGroup"]]
        members.sort(key=lambda code: lab.regions.index(code) if code in lab.regions else len(lab.regions))
        return table_statuses(lab, name, members) | {"global table": described["GlobalTableStatus"]}

    return _watch(statuses, status, Wait(
        f"global table {name} to be {status}", timeout_s, _pause_s(lab), (*lab.regions, "global table"),
        lambda: hopeless.down(lab, lab.regions),
        lambda seen: hopeless.down(lab, seen)))


def item(lab: Lab, name: str, key: Mapping[str, Any], regions: Iterable[str] | None = None, *,
         equals: Mapping[str, Any] | None = None, timeout_s: float = 60.0) -> pd.DataFrame:
    """Wait until an item can be read in every Region: any version of it, or the version ``equals``.

    The statuses are "not there", "older" (another version is there) and "there". Only your own attributes are compared:
    see :func:`look`. Returns a data frame as :func:`tables` does. Raises WaitInVain, a TimeoutError, when the time is
    over, and at once where the item cannot arrive: replication is cut, or a Region has no replica.
    """
    where = lab.regions if regions is None else tuple(regions)

    def seen_now() -> dict[str, str]:
        try:
            return look(lab, name, key, where, equals=equals)
        except lab.client(where[0]).exceptions.ResourceNotFoundException:
            if reason := hopeless.tables(lab, name, table_statuses(lab, name, where)):
                raise WaitInVain(reason) from None
            raise

    return _watch(seen_now, "there", Wait(
        "the item to arrive", timeout_s, 0.01, where, lambda: hopeless.down(lab, where),
        lambda seen: hopeless.item(lab, name, key, seen)))


def look(lab: Lab, name: str, key: Mapping[str, Any], regions: Iterable[str] | None = None, *,
         equals: Mapping[str, Any] | None = None, consistent: bool = False) -> dict[str, str]:
    """Read an item once in every Region, all at the same time. Returns "not there", "older" or "there" by Region: see
    :func:`item`. With ``consistent`` the reads are strongly consistent.

    Only your own attributes are compared with ``equals``. The attributes ``aws:rep:…``, which global tables of version
    2017.11.29 add to every item, are ignored.
    """
    where = lab.regions if regions is None else tuple(regions)

    def status(region: str) -> str:
        answer = lab.client(region).get_item(TableName=name, Key=dict(key), ConsistentRead=consistent)
        found = answer.get("Item")
        if found is None:
            return "not there"
        return "there" if equals is None or own(found) == own(equals) else "older"

    return in_each(where, status)


def own(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item without the attributes that global tables of version 2017.11.29 add to it."""
    return {name: value for name, value in item.items() if not name.startswith(_REPLICATION)}


class WaitInVain(TimeoutError):
    """A wait that cannot end, or did not end in time; the text says why and what to do."""


@dataclass(frozen=True)
class Wait:
    """What is waited for, as "table Music to be ACTIVE", and for how long. ``names``: whose statuses are expected.
    ``before`` and ``why`` (given the statuses) say why the wait cannot end, or return an empty string; ``broken`` says
    what is broken that may be the reason why it takes long."""

    what: str
    timeout_s: float
    every_s: float
    names: tuple[str, ...] = ()
    before: Callable[[], str] = str
    why: Callable[[dict[str, str]], str] = field(default=lambda seen: "")
    broken: Callable[[], str] = str


def until(look: Callable[[], dict[str, str]], wanted: str, *, what: str, timeout_s: float, every_s: float,
          lab: Lab | None = None) -> pd.DataFrame:
    """Call ``look`` every ``every_s`` seconds and show the progress, until every status is ``wanted``.

    ``look`` returns statuses by name. Returns a data frame as :func:`tables` does. Raises TimeoutError after
    ``timeout_s`` seconds; ``what`` is named in the message and beside the progress. If what is waited for depends on
    replication in a ``lab``, pass it: while replication is cut or paused there or a Region is down, the progress and
    the message say so. The wait goes on, because nobody knows whether ``look`` needs what is broken.
    """
    return _watch(look, wanted, Wait(what, timeout_s, every_s,
                                     broken=lambda: hopeless.broken(lab) if lab else ""))


def _watch(look: Callable[[], dict[str, str]], wanted: str, wait: Wait) -> pd.DataFrame:
    """:func:`until`, and WaitInVain as soon as it is known that the wait cannot end."""
    import pandas as pd

    shown = Progress()
    broken = wait.broken()
    shown.show(_board(wait, dict.fromkeys(wait.names, "not known yet"), wanted, 0.0, broken=broken))
    if reason := wait.before():
        shown.end(_board(wait, dict.fromkeys(wait.names, "not known"), wanted, 0.0, failed=True))
        raise WaitInVain(reason)
    began, seen = time.monotonic(), look()
    periods: list[tuple[str, str, float, float]] = []
    since = dict.fromkeys(seen, 0.0)
    # In another thread: the questions must not keep the next look waiting.
    pool = ThreadPoolExecutor(1)
    reasons: Future[tuple[str, str]] | None = None
    asked = began
    try:
        while True:
            now = time.monotonic() - began
            if all(status == wanted for status in seen.values()):
                break
            shown.show(_board(wait, seen, wanted, now, broken=broken))
            if reasons is not None and reasons.done():
                reason, broken = reasons.result()
                if reason:
                    raise WaitInVain(reason)
                reasons = None
            if reasons is None and time.monotonic() >= asked:
                reasons = pool.submit(lambda seen: (wait.why(seen), wait.broken()), seen)
                asked = time.monotonic() + _ASK_AGAIN_S
            if now > wait.timeout_s:
                last = ", ".join(f"{name} {status}" for name, status in seen.items())
                raise WaitInVain(f"Waited {wait.timeout_s:.0f} s for {wait.what}. Last seen: {last}. "
                                 + (f"{broken} {hopeless.MEND}" if broken else "Run the cell again to wait longer."))
            time.sleep(max(wait.every_s, min(_MOST_PAUSE_S, now / 50)))  # what it adds to a long wait is hardly seen
            fresh = look()
            at = time.monotonic() - began
            for name, status in fresh.items():
                if seen.get(name) != status:
                    if name in seen:
                        periods.append((name, seen[name], since[name], at))
                    since[name] = at
            seen = fresh
    except BaseException:
        shown.end(_board(wait, seen, wanted, time.monotonic() - began, failed=True, broken=broken))
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    shown.end(_board(wait, seen, wanted, now))
    periods += [(name, status, since[name], now) for name, status in seen.items()]
    order = {name: at for at, name in enumerate(seen)}  # in which charts show the Regions
    periods.sort(key=lambda period: (period[2], order.get(period[0], 0)))
    return pd.DataFrame(periods, columns=["region", "status", "start_s", "end_s"])


def _board(wait: Wait, seen: Mapping[str, str], wanted: str, seconds: float, *, failed: bool = False,
           broken: str = "") -> Board:
    rows = [Row(label(name) if name in REGIONS else name, status, status == wanted)
            for name, status in seen.items()]
    return Board(f"Waiting for {wait.what}", sum(row.done for row in rows), len(rows), seconds, rows, failed, broken)


def _pause_s(lab: Lab) -> float:
    """Seconds between two calls to the control plane. AWS throttles such calls, the local cloud does not."""
    return 0.1 if lab.simulated or lab.rehearsal else 2.0
