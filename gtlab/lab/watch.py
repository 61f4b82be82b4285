"""Wait for something, show progress meanwhile, and keep what was seen for a chart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gtlab.lab import Lab

if TYPE_CHECKING:
    import pandas as pd

ABSENT = "absent"  # a table that a Region does not have
_IN_A_PAGE = str.maketrans({"-": "\N{NON-BREAKING HYPHEN}", ",": ",\N{ZERO WIDTH SPACE}"})  # where a line may end
_REPLICATION = "aws:rep:"  # what the legacy version's attributes are named by


def tables(lab: Lab, name: str, status: str = "ACTIVE", regions: Iterable[str] | None = None, *,
           timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a table has a status in every Region (``"absent"``: until it is gone).

    ``regions`` defaults to the lab's. Gives what was seen: a data frame with a row per Region and period, columns
    ``region``, ``status``, ``start_s``, ``end_s`` (seconds since the waiting began). Raises TimeoutError.
    """
    where = lab.regions if regions is None else tuple(regions)
    return until(lambda: table_statuses(lab, name, where), status,
                 what=f"table {name} to be {status}", timeout_s=timeout_s, every_s=_pause_s(lab))


def global_table(lab: Lab, name: str, status: str = "ACTIVE", *, timeout_s: float = 900.0) -> pd.DataFrame:
    """Wait until a global table (version 2017.11.29) and the tables of all its members have a status.

    Gives the same data frame as :func:`tables`, with a further ``region`` called "global table".
    Raises TimeoutError, and the service's error where there is no such global table.
    """
    client = lab.client(lab.home)

    def statuses() -> dict[str, str]:
        described = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]
        members = [member["RegionName"] for member in described["ReplicationGroup"]]
        return table_statuses(lab, name, members) | {"global table": described["GlobalTableStatus"]}

    return until(statuses, status, what=f"global table {name} to be {status}",
                 timeout_s=timeout_s, every_s=_pause_s(lab))


def item(lab: Lab, name: str, key: Mapping, regions: Iterable[str] | None = None, *, equals: Mapping | None = None,
         timeout_s: float = 60.0) -> pd.DataFrame:
    """Wait until an item can be read in every Region: any version of it, or the one that ``equals`` is.

    Statuses are "not there", "older" (there is another version) and "there"; the data frame is as in :func:`tables`.
    Only your own attributes are compared; see :func:`look`.
    Raises TimeoutError.
    """
    return until(lambda: look(lab, name, key, regions, equals=equals), "there",
                 what="the item to arrive", timeout_s=timeout_s, every_s=0.01)


def look(lab: Lab, name: str, key: Mapping, regions: Iterable[str] | None = None, *, equals: Mapping | None = None,
         consistent: bool = False) -> dict[str, str]:
    """One read of an item in every Region, all at the same time: "not there", "older" or "there" by Region; see
    :func:`item`. ``consistent`` makes them strongly consistent reads.

    Only your own attributes are compared with ``equals``: those named ``aws:rep:…``, which global tables of version
    2017.11.29 put into every item, are left out.
    """
    where = lab.regions if regions is None else tuple(regions)

    def status(region: str) -> str:
        answer = lab.client(region).get_item(TableName=name, Key=dict(key), ConsistentRead=consistent)
        found = answer.get("Item")
        if found is None:
            return "not there"
        return "there" if equals is None or own(found) == own(equals) else "older"

    return _in_each(where, status)


def own(item: Mapping) -> dict:
    """An item without the attributes that global tables of version 2017.11.29 put into it."""
    return {name: value for name, value in item.items() if not name.startswith(_REPLICATION)}


def table_statuses(lab: Lab, name: str, regions: Iterable[str]) -> dict[str, str]:
    """A table's TableStatus, or "absent", by Region; all are asked at the same time."""
    return _in_each(tuple(regions), lambda region: table_status(lab, name, region))


def table_status(lab: Lab, name: str, region: str) -> str:
    """A table's TableStatus in a Region, or "absent"."""
    client = lab.client(region)
    try:
        return client.describe_table(TableName=name)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        return ABSENT


def until(look: Callable[[], dict[str, str]], wanted: str, *, what: str, timeout_s: float,
          every_s: float) -> pd.DataFrame:
    """Look again and again, with a progress bar, until every status is the one that is wanted.

    ``look`` gives statuses by name. The data frame is as in :func:`tables`; raises TimeoutError.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    began, seen, periods = time.monotonic(), look(), []
    since = dict.fromkeys(seen, 0.0)
    with tqdm(total=len(seen), desc=f"Waiting for {what}",
              bar_format="{desc} {bar} {n_fmt}/{total_fmt} in {elapsed}{postfix}") as bar:
        while True:
            bar.n = sum(status == wanted for status in seen.values())
            told = ", ".join(f"{name} {status}" for name, status in seen.items())
            # In a page tqdm's spaces never end a line, so that Region names would be parted at their hyphens.
            bar.set_postfix_str(told.translate(_IN_A_PAGE) if hasattr(bar, "container") else told)
            now = time.monotonic() - began
            if bar.n == len(seen):
                break
            if now > timeout_s:
                raise TimeoutError(f"Waited {timeout_s:.0f} s for {what}; the last look: {seen}. "
                                   "It may still come: run the cell again to wait on.")
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


def _in_each(regions: Sequence[str], ask: Callable[[str], str]) -> dict[str, str]:
    # Far Regions answer late: one thread each.
    with ThreadPoolExecutor(len(regions) or 1) as pool:
        return dict(zip(regions, pool.map(ask, regions), strict=True))


def _pause_s(lab: Lab) -> float:
    """Between two looks at the control plane: AWS limits such calls, the local cloud does not mind them."""
    return 0.1 if lab.simulated else 2.0
