"""The engine: one Region's DynamoDB. A call goes in; an answer and a list of changes come out. No I/O and no clock.

It stores tables and items and carries out reads and writes. Streams, TTL, global tables and statuses over time are the
task of other packages. The control plane (tables, indexes, backups, tags) is still a library's; only :mod:`borrowed`
uses it.

May import: :mod:`gtlab.localcloud.model`.
"""

from __future__ import annotations

from gtlab.localcloud.engine.borrowed import reset
from gtlab.localcloud.engine.calls import call, read, write
from gtlab.localcloud.engine.items import key_string
from gtlab.localcloud.engine.storage import (
    amend,
    amend_backup,
    apply,
    backup,
    exists,
    forget_tokens,
    incarnation,
    is_empty,
    item,
    items,
    key_attributes,
    restore,
    saved,
    schema,
    table_id,
    tables,
    token,
)
from gtlab.localcloud.engine.targets import PARTIQL, named, partiql_tables, partiql_writes, touched

__all__ = [
    "PARTIQL",
    "amend",
    "amend_backup",
    "apply",
    "backup",
    "call",
    "exists",
    "forget_tokens",
    "incarnation",
    "is_empty",
    "item",
    "items",
    "key_attributes",
    "key_string",
    "named",
    "partiql_tables",
    "partiql_writes",
    "read",
    "reset",
    "restore",
    "saved",
    "schema",
    "table_id",
    "tables",
    "token",
    "touched",
    "write",
]
