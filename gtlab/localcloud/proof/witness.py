"""A journal that remembers what happened in the Regions, until the judge has been told."""

from __future__ import annotations

from typing import NamedTuple

from gtlab.localcloud.engine import Database
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.proof.oracle import Stamp
from gtlab.localcloud.replication import Delivery, Version


class Seen(NamedTuple):
    """Something that the journal was told, with what the item was at that moment."""

    kind: str
    table: TableId
    incarnation: str | None
    at: float
    key: tuple[str, str] | None = None
    item: dict | None = None
    stamp: Stamp | None = None


class Witness(Journal):
    """A journal that remembers all it was told until it was taken. ``database``: of the cloud whose journal it is."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.database = Database()

    def write(self, table: TableId, key: dict, *, deleted: bool, by: str, version: Version | None, at: float) -> None:
        super().write(table, key, deleted=deleted, by=by, version=version, at=at)
        place = self.database.key_of(table, key)
        assert place is not None  # the item has just been written
        self._saw("wrote", table, at, tuple(place), self.database.item(table, place), version)

    def delivery(self, table: TableId, key: dict, delivery: Delivery, at: float, looked: float) -> None:
        super().delivery(table, key, delivery, at, looked)
        self._saw("arrived", table, at, tuple(delivery.key), delivery.item, delivery.version)

    def discarded(self, table: TableId, key: dict, delivery: Delivery, winner: Version, at: float) -> None:
        super().discarded(table, key, delivery, winner, at)
        conflict = winner.region == table.region and winner != delivery.version
        self._saw("conflict" if conflict else "discarded", table, at, tuple(delivery.key), None, delivery.version)

    def member(self, table: TableId, *, joined: bool, at: float) -> None:
        super().member(table, joined=joined, at=at)
        self._saw("joined" if joined else "left", table, at)

    def _saw(self, kind: str, table: TableId, at: float, key: tuple | None = None, item: dict | None = None,
             version: Version | None = None) -> None:
        incarnation = self.database.incarnation(table) if self.database.exists(table) else None
        self.seen.append(Seen(kind, table, incarnation, at, key, item and own(item),
                              (version.time_us, version.region) if version else None))


def own(item: dict) -> dict:
    """An item without what version 2017.11.29 writes into it."""
    return {name: value for name, value in item.items() if not name.startswith("aws:rep:")}
