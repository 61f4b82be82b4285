"""Global indexes over time: how long a new one is built, a changed one is updated, and a deleted one is still shown.

As observed on AWS: a new index of a table first gets its resources, while the table is UPDATING; then the table is
ACTIVE again, and the index stays CREATING, and Backfilling, for minutes even if the table is empty. Here it takes
longer if the table is large. Indexes that come with their table are ready with it.
"""

from __future__ import annotations

import math
from typing import Any

from gtlab.localcloud import engine
from gtlab.localcloud.engine import CHANGING, Database
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.internal_errors import RETRY_S, InternalErrors
from gtlab.localcloud.tables.slices import SLICE, Slices
from gtlab.localcloud.world import World

_LOOK_AGAIN_S = 0.1  # until the next look at an index that is still being built when its time is over


class Indexes:
    """The indexes whose status will change. What is known of a change is kept with the index's description, as
    ``CHANGING``: "until" when, and for a new index since when it is "backfilling" (epoch seconds)."""

    def __init__(self, database: Database, world: World, slices: Slices, errors: InternalErrors):
        self._database, self._world, self._slices, self._errors = database, world, slices, errors
        self._due: dict[tuple[TableId, str], float] = {}

    def change(self, table: TableId, asked: dict[str, Any], now: float) -> None:
        """Change a table by an input of UpdateTable that has been checked, its indexes with the time that it takes."""
        updates = asked.get("GlobalSecondaryIndexUpdates", ())
        at_once = {name: value for name, value in asked.items() if name != "GlobalSecondaryIndexUpdates"}
        if any("Delete" not in update for update in updates):
            at_once["GlobalSecondaryIndexUpdates"] = [update for update in updates if "Delete" not in update]
        had = set(self._names(table))
        engine.change_table(self._database.table(table), at_once, now)
        for update in updates:
            (action, index), = update.items()
            name, has = index["IndexName"], index["IndexName"] in had
            if action == "Create" and not has:
                self._create(table, name, now)
            elif action == "Delete" and has:
                until = now + self._world.control_plane_s("delete index", table.region)
                self._begin(table, name, "DELETING", {"until": until})
            elif action == "Update" and has:
                until = now + self._world.control_plane_s("update index", table.region)
                self._begin(table, name, "UPDATING", {"until": until})

    def resources_until(self, table: TableId) -> float:
        """Until when a table is UPDATING because one of its indexes is being created or deleted; 0 if none is."""
        return max((index[CHANGING].get("backfilling", index[CHANGING]["until"])
                    for index in self._indexes(table) if index["IndexStatus"] in ("CREATING", "DELETING")), default=0.0)

    def next_due(self) -> float:
        return min(self._due.values()) if self._due else math.inf

    def tick(self, now: float) -> bool:
        """Carry out all that is due; returns whether there was anything. What fails twice is tried again after RETRY_S.
        """
        due = [where for where, at in self._due.items() if at <= now]
        for where in due:
            if not self._errors.attempt(_about, self._end, *where, now):
                self._due[where] = now + RETRY_S
            elif self._due[where] <= now:  # otherwise it is being built still
                del self._due[where]
        return bool(due)

    def restore(self) -> None:
        """Take up what is known of changes after a restart."""
        self._due = {(table, index["IndexName"]): index[CHANGING]["until"] for table in self._database.tables
                     for index in self._indexes(table) if CHANGING in index}

    def _create(self, table: TableId, name: str, now: float) -> None:
        index = self._database.table(table).built(name)
        self._slices.begin(lambda now: index.build(SLICE), now)
        backfilling = now + self._world.control_plane_s("create index", table.region)
        ready = backfilling + self._world.control_plane_s("backfill index", table.region)
        self._begin(table, name, "CREATING", {"until": ready, "backfilling": backfilling})

    def _begin(self, table: TableId, name: str, status: str, times: dict[str, float]) -> None:
        index = next(each for each in self._indexes(table) if each["IndexName"] == name)
        index |= {"IndexStatus": status, CHANGING: times}
        self._due[table, name] = times["until"]

    def _end(self, table: TableId, name: str, now: float) -> None:
        index = next((each for each in self._indexes(table) if each["IndexName"] == name), None)
        if index is None:
            return
        if index["IndexStatus"] == "DELETING":
            delete = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]}
            engine.change_table(self._database.table(table), delete, now)
        elif index["IndexStatus"] == "CREATING" and self._database.table(table).built(name).is_incomplete():
            self._due[table, name] = now + _LOOK_AGAIN_S
        else:
            del index[CHANGING]
            index["IndexStatus"] = "ACTIVE"

    def _indexes(self, table: TableId) -> list[dict[str, Any]]:
        return self._database.schema(table)["GlobalSecondaryIndexes"] if self._database.exists(table) else []

    def _names(self, table: TableId) -> list[str]:
        return [index["IndexName"] for index in self._indexes(table)]


def _about(table: TableId, name: str, now: float) -> str:
    return f"The next status of the index {name} of {table.name} in {table.region}"
