"""What the engine shows of a table, DeleteTable, and DescribeLimits."""

from __future__ import annotations

import copy
from typing import Any

from gtlab.localcloud.engine.database import INSIGHTS, KINESIS, POLICIES, TAGS, Database
from gtlab.localcloud.engine.items import Items
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.model import TableId

# The quotas of an account and of a table in one Region, as AWS documents them.
LIMITS = {"AccountMaxReadCapacityUnits": 80_000, "AccountMaxWriteCapacityUnits": 80_000,
          "TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 40_000}
_SHOWN_IF_ANY = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification", "SSEDescription")
_HIDDEN = ("PointInTimeRecovery", "RestoreSummary")  # kept with a table, and shown by other packages


def description(table: Table) -> dict[str, Any]:
    """TableDescription, with the items counted: now, and not only every six hours as on the service. The result belongs
    to the caller."""
    shown = {name: copy.deepcopy(value) for name, value in table.described.items()
             if name not in _HIDDEN and (value or name not in _SHOWN_IF_ANY)}
    for index in (*shown.get("GlobalSecondaryIndexes", ()), *shown.get("LocalSecondaryIndexes", ())):
        items = table.built(index["IndexName"])
        index |= {"ItemCount": items.rows.count, "IndexSizeBytes": items.bytes}
    return shown | {"ItemCount": table.items.rows.count, "TableSizeBytes": table.items.rows.bytes}


def delete(database: Database, table: TableId) -> Items:
    """Delete a table with everything that is kept of it. Backups stay. Returns the items, which are to be let go."""
    for kind in (TAGS, KINESIS, INSIGHTS, POLICIES):
        for record in [record for record in database.records[kind] if record[:2] == table[:2]
                       and _is_of(record.name, table)]:
            del database.records[kind][record]
    return database.tables.pop(table).items


def _is_of(name: str, table: TableId) -> bool:
    """Whether a record's name or ARN is a table's, or one of its indexes' or streams'."""
    return any(name == own or name.startswith(f"{own}/") for own in (table.name, table.arn))
