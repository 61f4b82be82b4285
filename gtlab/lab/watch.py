"""Wait for a state, show the progress, and return what was seen for a chart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gtlab.lab import Lab
from gtlab.lab.describe import ABSENT, in_each
from gtlab.lab.describe import status as table_status
from gtlab.lab.describe import statuses as table_statuses

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ABSENT", "global_table", "item", "look", "own", "table_status", "table_statuses", "tables", "until"]

# Allow line breaks only between Regions.
_IN_A_PAGE = str.maketrans({"-": "\N{NON-BREAKING HYPHEN}", ",": ",\N{ZERO WIDTH SPACE}"})
_REPLICATION = "aws:rep:"  # how the names of the legacy version's attributes begin


def tables(lab: Lab, name: str, status: str = "ACTIVE", regions: Iterable[str] | None = None, *,
           timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a table has a status in every Region (``"absent"``: until it does not exist there any more).

    ``regions`` defaults to the lab's Regions. Returns what was seen: a data frame with a row per Region and period,
    columns ``region``, ``status``, ``start_s``, ``end_s`` (seconds since the waiting began). Raises TimeoutError.
    """
    where = lab.regions if regions is None else tuple(regions)
    return until(lambda: table_statuses(lab, name, where), status,
                 what=f"table {name} to be {status}", timeout_s=timeout_s, every_s=_pause_s(lab))


def global_table(lab: Lab, name: str, status: str = "ACTIVE", *, timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a global table (version 2017.11.29) and the tables in all its Regions have a status.

    Returns a data frame as :func:`tables` does, with "global table" as another ``region``. Raises TimeoutError, and the
    service's error if there is no such global table.
    """
    client = lab.client(lab.home)

    def statuses() -> dict[str, str]:
        described = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]
        members = [member["RegionName"] for member in described["ReplicationGroup"]]
        return table_statuses(lab, name, members) | {"global table": described["GlobalTableStatus"]}

    return until(statuses, status, what=f"global table {name} to be {status}",
                 timeout_s=timeout_s, every_s=_pause_s(lab))


def item(lab: Lab, name: str, key: Mapping[str, Any], regions: Iterable[str] | None = None, *,
         equals: Mapping[str, Any] | None = None, timeout_s: float = 60.0) -> pd.DataFrame:
    """Wait until an item can be read in every Region: any version of it, or the version ``equals``.

    The statuses are "not there", "older" (another version is there) and "there". Only your own attributes are compared:
    see :func:`look`. Returns a data frame as :func:`tables` does. Raises TimeoutError.
    """
    return until(lambda: look(lab, name, key, regions, equals=equals), "there",
                 what="the item to arrive", timeout_s=timeout_s, every_s=0.01)


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


def until(look: Callable[[], dict[str, str]], wanted: str, *, what: str, timeout_s: float,
          every_s: float) -> pd.DataFrame:
    """Call ``look`` every ``every_s`` seconds, with a progress bar, until every status is ``wanted``.

    ``look`` returns statuses by name. Returns a data frame as :func:`tables` does. Raises TimeoutError after
    ``timeout_s`` seconds; ``what`` is named in the message and beside the bar.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    began, seen = time.monotonic(), look()
    periods: list[tuple[str, str, float, float]] = []
    since = dict.fromkeys(seen, 0.0)
    with tqdm(total=len(seen), desc=f"Waiting for {what}",
              bar_format="{desc} {bar} {n_fmt}/{total_fmt} in {elapsed}{postfix}") as bar:
        while True:
            bar.n = sum(status == wanted for status in seen.values())
            told = ", ".join(f"{name} {status}" for name, status in seen.items())
            # In a notebook the browser breaks tqdm's line only at hyphens, within the names of Regions.
            bar.set_postfix_str(told.translate(_IN_A_PAGE) if hasattr(bar, "container") else told)
            now = time.monotonic() - began
            if bar.n == len(seen):
                break
            if now > timeout_s:
                raise TimeoutError(f"Waited {timeout_s:.0f} s for {what}; last seen: {seen}. "
                                   "Run the cell again to wait longer.")
            time.sleep(every_s)
            fresh = look()
            at = time.monotonic() - began
            for name, status in fresh.items():
                if seen.get(name) != status:
                    if name in seen:
                        periods.append((name, seen[name], since[name], at))
                    since[name] = at
            seen = fresh
    periods += [(name, status, since[name], now) for name, status in seen.items()]
    return pd.DataFrame(periods, columns=["region", "status", "start_s", "end_s"]).sort_values(
        "start_s", kind="stable", ignore_index=True)


def _pause_s(lab: Lab) -> float:
    """Seconds between two calls to the control plane. AWS throttles such calls, the local cloud does not."""
    return 0.1 if lab.simulated else 2.0
