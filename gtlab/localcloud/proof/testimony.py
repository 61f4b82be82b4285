"""What the witness saw in the Regions, told to the judge and counted."""

from __future__ import annotations

from collections import Counter

from gtlab.localcloud.model import TableId
from gtlab.localcloud.proof.audit import ALBUMS
from gtlab.localcloud.proof.oracle import Judge
from gtlab.localcloud.proof.witness import Seen


class Testimony:
    """Tells the judge. ``happened`` counts what was told, by its kind in words. Raises Violation if the judge finds
    that something is wrong."""

    def __init__(self, judge: Judge, happened: Counter[str]):
        self._judge, self._happened = judge, happened
        self._incarnations: dict[TableId, str] = {}

    def tell(self, seen: Seen) -> None:
        table, name = seen.table, seen.table.name
        self.look_at(table, seen.incarnation)
        if seen.kind == "joined":
            self._happened["replicas joined"] += 1
            self._judge.joined(name, table.region, seen.at, backfilled=name != ALBUMS)
        elif seen.kind == "left":
            self._happened["replicas left"] += 1
            self._judge.left(name, table.region)
        elif seen.kind == "wrote":
            self._happened["writes that changed an item"] += 1
            self._judge.wrote(name, table.region, seen.key, seen.item, seen.stamp, seen.at)
        else:
            self._tell_of_delivery(seen)

    def _tell_of_delivery(self, seen: Seen) -> None:
        table, name = seen.table, seen.table.name
        assert seen.stamp is not None  # every delivery has one
        if seen.kind == "arrived":
            self._happened["deliveries applied"] += 1
            self._judge.arrived(name, table.region, seen.key, seen.item, seen.stamp)
        else:
            self._happened["deliveries discarded"] += 1
            self._happened["of those, conflicts"] += seen.kind == "conflict"
            self._judge.discarded(name, table.region, seen.key, seen.stamp)

    def look_at(self, table: TableId, incarnation: str | None) -> None:
        """Tell the judge of a table that was deleted and created again."""
        if incarnation and self._incarnations.get(table) != incarnation:
            self._incarnations[table] = incarnation
            self._judge.begun(table.name, table.region)
