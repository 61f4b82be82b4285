"""Capacity units: the one account of what a call consumes.

Source: Amazon DynamoDB Developer Guide, "DynamoDB read and write operations" (capacity unit consumption).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from gtlab.localcloud.engine.values import Item, item_size
from gtlab.localcloud.model import TableId

READ_BYTES, WRITE_BYTES = 4096, 1024
READ, WRITE = "read", "write"


class Charge(msgspec.Struct, frozen=True):
    """Units that a call consumed in a table, or in one of its indexes."""

    table: TableId
    index_name: str | None
    is_global: bool
    kind: str       # READ or WRITE
    units: float


def read_units(bytes_: int, *, consistent: bool) -> float:
    """The units for reading some bytes at once: 4 KB each, half if eventually consistent."""
    return max(1, math.ceil(bytes_ / READ_BYTES)) * (1.0 if consistent else 0.5)


def write_units(old: Item | None, new: Item | None) -> int:
    """The units for replacing one item with another: 1 KB each; the larger of the two counts."""
    largest = max(item_size(old) if old else 0, item_size(new) if new else 0)
    return max(1, math.ceil(largest / WRITE_BYTES))


def consumed(charges: Iterable[Charge], how: str, *, by_kind: bool = False,
             failed: Iterable[Charge] = ()) -> list[dict[str, Any]]:
    """ConsumedCapacity for each table, in the order of the charges; ``how`` is ReturnConsumedCapacity. ``by_kind``: as
    in transactions, which also have ReadCapacityUnits or WriteCapacityUnits. ``failed``: writes of a batch that failed.
    They count in the total of a table in which something else succeeded, and nowhere else (captured from the service by
    others in August 2026)."""
    if how not in ("TOTAL", "INDEXES"):
        return []
    tables: dict[TableId, list[Charge]] = {}
    for charge in charges:
        tables.setdefault(charge.table, []).append(charge)
    described = {table: _described(table, each, how, by_kind) for table, each in tables.items()}
    for charge in failed:
        if charge.table in described:
            described[charge.table]["CapacityUnits"] += charge.units
    return list(described.values())


def _described(table: TableId, charges: list[Charge], how: str, by_kind: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"TableName": table.name, **_units(charges, by_kind)}
    if how == "INDEXES":
        found["Table"] = _units([charge for charge in charges if charge.index_name is None], by_kind)
        for member, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
            names = dict.fromkeys(charge.index_name for charge in charges
                                  if charge.index_name and charge.is_global is is_global)
            if names:
                found[member] = {name: _units([charge for charge in charges if charge.index_name == name], by_kind)
                                 for name in names}
    return found


def _units(charges: list[Charge], by_kind: bool) -> dict[str, float]:
    found = {"CapacityUnits": float(sum(charge.units for charge in charges))}
    if by_kind:
        for kind, member in ((READ, "ReadCapacityUnits"), (WRITE, "WriteCapacityUnits")):
            units = float(sum(charge.units for charge in charges if charge.kind == kind))
            if units:
                found[member] = units
    return found
