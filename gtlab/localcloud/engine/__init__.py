"""The engine: one Region's DynamoDB. A call goes in; an answer and a list of changes come out. No I/O and no clock.

It stores tables and items in a :class:`Database`, and carries out reads and writes. Streams, TTL, global tables and
statuses over time are the task of other packages.

May import: :mod:`gtlab.localcloud.model`, :mod:`gtlab.regions`.
"""

from __future__ import annotations

from gtlab.localcloud.engine.calls import READS, WRITES, call, control, keys_read, protected, read, write
from gtlab.localcloud.engine.create_table import check as check_create_table
from gtlab.localcloud.engine.create_table import create as create_table
from gtlab.localcloud.engine.database import BACKUPS, Database, RecordId, TokenId, restore, saved, table_id
from gtlab.localcloud.engine.descriptions import delete, description
from gtlab.localcloud.engine.items import key_string
from gtlab.localcloud.engine.table import CHANGING
from gtlab.localcloud.engine.tags import of as tags
from gtlab.localcloud.engine.tags import resources as tagged_resources
from gtlab.localcloud.engine.targets import (
    PARTIQL,
    named,
    named_tables,
    partiql_kinds,
    partiql_tables,
    partiql_writes,
    touched,
)
from gtlab.localcloud.engine.update_table import change as change_table
from gtlab.localcloud.engine.update_table import check as check_update_table
from gtlab.localcloud.engine.update_table import check_changes, decreases_today
from gtlab.localcloud.engine.update_table import check_table as check_update_of

__all__ = [
    "BACKUPS",
    "CHANGING",
    "PARTIQL",
    "READS",
    "WRITES",
    "Database",
    "RecordId",
    "TokenId",
    "call",
    "change_table",
    "check_changes",
    "check_create_table",
    "check_update_of",
    "check_update_table",
    "control",
    "create_table",
    "decreases_today",
    "delete",
    "description",
    "key_string",
    "keys_read",
    "named",
    "named_tables",
    "partiql_kinds",
    "partiql_tables",
    "partiql_writes",
    "protected",
    "read",
    "restore",
    "saved",
    "table_id",
    "tagged_resources",
    "tags",
    "touched",
    "write",
]
