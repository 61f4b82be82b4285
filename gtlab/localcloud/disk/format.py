"""The disk format: what a state folder contains, under names that are written here and nowhere else.

A name in this module is a name on disk. It does not follow when an attribute or a method elsewhere is renamed, and it
is never changed without a new :data:`VERSION` and a step in :mod:`migrate`. :mod:`convert` says which part of the local
cloud belongs to which name. A state folder can be read with this module and :mod:`store` alone: neither imports the
engine.

Small things that change together are *documents*, JSON objects that are written whole. Things of which there are many
(items, versions, deliveries, stream records, tokens, items of backups) are *rows*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from gtlab.localcloud.model import Key, TableId

VERSION = 3

# The columns of each table of rows; those before the dot are the key. ``pk`` and ``sk`` are the values of an item's
# partition key and sort key, as strings; NO_SORT_KEY where a table has no sort key. ``item``, ``record``, ``body`` and
# ``answer`` are JSON. A row whose key is ``n`` is written only once, because no number is used twice.
ROWS = {
    "documents": "name . body",
    "items": "account region name pk sk . item",
    "versions": "grp region pk sk . time_us written deleted",
    "deliveries": "n . grp source target pk sk item time_us written due",
    "records": "stream shard sequence . at record",
    "tokens": "account region token . answer",
    "failed": "n . body",
    "backups": "account region backup pk sk . item",
}
NO_SORT_KEY = "__no_sort__"

Table = tuple[str, str, str]        # account, Region, name
Record = tuple[str, str, str, Any]  # account, Region, a table's name or a resource's ARN, and what is kept of it


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object. All fields must be there and no others. Times are epoch seconds."""


# Documents: settings, knobs

class Settings(_Part):
    """What the local cloud was started with."""

    network: str
    seed: int | None
    legacy_api: str


class Knob(_Part):
    """A knob that is set."""

    knob: Literal["partition", "isolate", "outage", "slow", "lag", "throttle", "caller"]
    place: tuple[str, ...]  # Regions; for a throttle: account, Region and table
    value: Any


# Documents: tables, engine, streams, scaling

class TableTimes(_Part):
    """What happens to a table over time."""

    created: float
    ready: float
    busy_until: float
    stream: str | None           # the ARN of its newest stream
    stream_view: str | None      # None while the stream is off
    on_demand_since: float | None
    ttl_attribute: str | None
    ttl_next_sweep: float


class DeletedTable(_Part):
    """A deleted table that DescribeTable still shows."""

    description: dict            # TableDescription
    gone: float


class Tables(_Part):
    tables: list[tuple[Table, TableTimes]]
    deleted: list[tuple[Table, DeletedTable]]


class EngineRecords(_Part):
    """What the engine keeps beside its tables, in the shapes of DynamoDB's API."""

    tags: list[Record]
    point_in_time_recovery: list[Record]
    kinesis_destinations: list[Record]
    backups: list[Record]        # {"description": BackupDescription, "items": [[pk, sk, item], ...]}, or rows
    contributor_insights: list[Record]
    resource_policies: list[Record]
    exports: list[Record]
    imports: list[Record]


class Engine(_Part):
    tables: list[tuple[Table, dict]]  # each with the members of TableDescription that do not change over time
    records: EngineRecords


class Shard(_Part):
    """One shard of a stream. Its records are rows."""

    id: str
    start: str                   # sequence numbers
    end: str | None


class Stream(_Part):
    account: str
    region: str
    table: str
    label: str
    view_type: str
    key_schema: list[dict]
    created: float
    shards: list[Shard]
    closed: float | None


class Streams(_Part):
    sequence: int                # of the newest record
    streams: list[Stream]


class Target(_Part):
    """A scalable target and its policies by name, in the shapes of Application Auto Scaling's API."""

    account: str
    region: str
    resource: str
    dimension: str
    described: dict
    policies: dict[str, dict]


# Documents: groups, replicas, copies

class Group(_Part):
    """A global table of either version."""

    id: str
    account: str
    name: str
    version: str
    created: float
    members: list[str]
    joined: dict[str, float]
    settled: float
    complete: bool


class Groups(_Part):
    made: int                    # how many there have ever been
    groups: list[Group]


class Replica(_Part):
    """One Region's replica in a global table of version 2019.11.21."""

    region: str
    source: str
    asked: float
    shown: float
    ready: float
    busy_until: float
    deleting: float | None
    overrides: dict


class GroupState(_Part):
    """What a global table of version 2019.11.21 has beside its members."""

    replicas: dict[str, Replica]
    strong: bool
    witness: str | None
    witness_ready: float
    witness_deleting: bool
    protected: dict[str, bool]


class _Event(_Part, tag_field="event"):
    """Something that is to happen to a replica of a global table of version 2019.11.21."""

    due: float
    group: str
    region: str


class CreateReplica(_Event, tag="create-replica"):
    """A new replica's table appears."""


class BackfillReplica(_Event, tag="backfill-replica"):
    """A new replica is being sent the items that there are."""


class DeleteReplica(_Event, tag="delete-replica"):
    """A replica stops replicating, and its table goes."""

    entry_removed: float         # when its entry in Replicas goes


class RemoveEntry(_Event, tag="remove-entry"):
    """A removed replica is no longer shown."""


class DisassociateReplica(_Event, tag="disassociate-replica"):
    """A replica stops replicating and keeps its table."""


class PropagateSettings(_Event, tag="propagate-settings"):
    """The other replicas take over settings that were changed in ``region``."""

    settings: dict               # UpdateTable's input


class PropagateTtl(_Event, tag="propagate-ttl"):
    """The other replicas take over the TTL setting of ``region``."""


Event = (CreateReplica | BackfillReplica | DeleteReplica | RemoveEntry | DisassociateReplica | PropagateSettings
         | PropagateTtl)


class Replicas(_Part):
    groups: dict[str, GroupState]  # by the group's ID
    events: list[Event]


# Document: faults

class Template(_Part):
    """An experiment template of AWS's fault injection service."""

    account: str
    region: str
    id: str
    token: str
    asked: dict                  # CreateExperimentTemplate's input
    described: dict
    created: float
    updated: float
    tags: dict[str, str]


class Action(_Part):
    id: str
    duration_s: float
    start_after: list[str]
    target: str | None
    status: str
    reason: str
    started: float | None
    ended: float | None
    due: float | None


class Experiment(_Part):
    account: str
    region: str
    id: str
    token: str
    asked: dict                  # StartExperiment's input
    template: str
    described: dict
    tags: dict[str, str]
    created: float
    due: float | None
    actions: dict[str, Action]
    status: str
    reason: str
    started: float | None
    ended: float | None
    found: dict[str, list[Table]]  # by target


class Pause(_Part):
    """One experiment's pause of one replica."""

    table: Table
    experiment: str
    begun: float
    until: float
    strong: bool
    policies: list[str]          # ARNs


class Faults(_Part):
    templates: list[Template]
    experiments: list[Experiment]
    pauses: list[Pause]
    impaired: list[tuple[Table, float, float]]  # pauses of strongly consistent tables that are over: from, to


# Document: unsettled. Rows: failed

class Unsettled(_Part):
    """A write that was answered, and of which only the new item is kept yet."""

    table: Table
    key: tuple[str, str]
    old: dict | None             # the item before the write; its JSON where it is written
    at: float
    by_ttl: bool = False         # whether TTL deleted the item
    done: list[str] = []         # what has been done of it, if a step failed: "stream", "replication"


class Documents(_Part):
    """All documents, by their names."""

    settings: Settings
    knobs: list[Knob]
    tables: Tables
    engine: Engine
    streams: Streams
    scaling: list[Target]
    groups: Groups
    replicas: Replicas
    copies: list[tuple[str, str]]  # group and Region
    faults: Faults
    unsettled: list[Unsettled] = []


_KINDS = {field.name: field for field in msgspec.structs.fields(Documents)}

encode = msgspec.json.Encoder().encode
decode = msgspec.json.decode


def documents(bodies: dict[str, bytes]) -> Documents:
    """Decode all documents. Raises KeyError for one that is missing, ValueError for one that is unknown or is not as
    this format says."""
    unknown = sorted(set(bodies) - set(_KINDS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a document of disk format {VERSION}")
    return Documents(**{name: document(name, bodies[name]) for name, field in _KINDS.items()
                        if field.required or name in bodies})


def document(name: str, body: bytes) -> Any:
    """Decode one document."""
    try:
        return decode(body, type=_KINDS[name].type)
    except msgspec.DecodeError as error:
        raise ValueError(f"{name}: {error}") from None


# Rows

class Version(NamedTuple):
    """An item's version in one Region's copy of a global table."""

    group: str
    region: str
    key: Key
    time_us: int                 # when and where the item was written
    written: str
    deleted: bool


class Delivery(NamedTuple):
    """An item on its way from one Region to another. ``item`` is None for a delete."""

    n: int
    group: str
    source: str
    target: str
    key: Key
    item: dict | None
    time_us: int
    written: str
    due: float


def item_row(table: TableId, key: Key, json: bytes) -> tuple:
    return (*table, *key, json)


def items(rows: Iterable[tuple]) -> Iterator[tuple[TableId, Key, bytes]]:
    """Each item as JSON."""
    table = TableId("", "", "")
    for account, region, name, pk, sk, json in rows:
        if (account, region, name) != tuple(table):
            table = TableId(account, region, name)
        yield table, Key(pk, sk), json


def backup_items(rows: Iterable[tuple]) -> Iterator[tuple[str, str, str, dict]]:
    """Account, Region and ARN of a backup, and an item of it."""
    return ((account, region, arn, decode(item)) for account, region, arn, _, _, item in rows)


def backup_row(backup: tuple[str, str, str], key: Key, item: dict) -> tuple:
    """``backup``: its account, Region and ARN."""
    return (*backup, *key, encode(item))


def version_row(group: str, region: str, key: Key, time_us: int, written: str, deleted: bool) -> tuple:
    """The parts of a :class:`Version` as a row. They come one by one, because every write has some."""
    return (group, region, *key, time_us, written, int(deleted))


def versions(rows: Iterable[tuple]) -> Iterator[Version]:
    return (Version(group, region, Key(pk, sk), time_us, written, bool(deleted))
            for group, region, pk, sk, time_us, written, deleted in rows)


def delivery_row(delivery: Delivery, item: bytes | None) -> tuple:
    """``item``: the delivery's, as JSON."""
    n, group, source, target, key, _, *rest = delivery
    return (n, group, source, target, *key, item, *rest)


def deliveries(rows: Iterable[tuple]) -> Iterator[Delivery]:
    return (Delivery(n, group, source, target, Key(pk, sk), item and decode(item), time_us, written, due)
            for n, group, source, target, pk, sk, item, time_us, written, due in rows)


def failed_row(n: int, write: Unsettled) -> tuple:
    """A write of which a step failed twice; it is tried again at the next start."""
    return (n, encode(write))


def failed(rows: Iterable[tuple]) -> Iterator[tuple[int, Unsettled]]:
    return ((n, decode(body, type=Unsettled)) for n, body in rows)


def token_row(account: str, region: str, token: str, answer: dict) -> tuple:
    """``answer`` is {"request": the transaction, "answer": what was answered}."""
    return (account, region, token, encode(answer))


def tokens(rows: Iterable[tuple]) -> Iterator[tuple[str, str, str, dict]]:
    return ((row[0], row[1], row[2], decode(row[3])) for row in rows)
