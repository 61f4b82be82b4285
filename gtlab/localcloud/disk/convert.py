"""Which part of the local cloud is stored under which name of the disk format, and back.

A part whose attributes have the names of the format is converted by these; the others are spelled out. An attribute
that the format needs and a part does not have is an error at the next write, so a renaming is noticed at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from gtlab.localcloud import engine
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk import format
from gtlab.localcloud.engine import Database, backups
from gtlab.localcloud.engine.values import StoredItem
from gtlab.localcloud.faults import experiments, fis
from gtlab.localcloud.globaltables import membership, pauses, schedule, v2019
from gtlab.localcloud.model import Change, Key, TableId
from gtlab.localcloud.replication import Delivery, Version
from gtlab.localcloud.tables import autoscaling, streams, tables
from gtlab.localcloud.tables.backups import Row
from gtlab.localcloud.unsettled import Unsettled

T = TypeVar("T")
_EVENTS: dict[str, type[format.Event]] = {
    schedule.CREATE_REPLICA: format.CreateReplica,
    schedule.BACKFILL_REPLICA: format.BackfillReplica,
    schedule.DELETE_REPLICA: format.DeleteReplica,
    schedule.REMOVE_ENTRY: format.RemoveEntry,
    schedule.DISASSOCIATE_REPLICA: format.DisassociateReplica,
    schedule.PROPAGATE_SETTINGS: format.PropagateSettings,
    schedule.PROPAGATE_TTL: format.PropagateTtl,
}
_EVENT_NAMES = {kind: name for name, kind in _EVENTS.items()}


def _as(kind: type[T], part: Any) -> T:
    """A part made into another type by the names of its attributes."""
    return msgspec.convert(part, kind, from_attributes=True)


def documents(cloud: Cloud) -> format.Documents:
    """Everything of a cloud that is not in rows; ``unsettled`` is left out."""
    kept_tables, kept_fis = cloud.tables.saved(), cloud.fis.saved()
    return format.Documents(
        settings=format.Settings(cloud.world.network, cloud.world.seed, cloud.legacy.face),
        knobs=_as(list[format.Knob], [{"knob": knob, "place": place, "value": value}
                                      for knob, place, value in cloud.world.turned()]),
        tables=_as(format.Tables, {"tables": kept_tables.lives, "deleted": kept_tables.ghosts}),
        engine=_as(format.Engine, _engine(cloud.database)),
        streams=format.Streams(cloud.streams.sequence, _as(list[format.Stream], cloud.streams.saved())),
        scaling=[format.Target(*where, described=target.described, policies=target.policies)
                 for where, target in cloud.scaling.saved()],
        groups=_as(format.Groups, cloud.groups.saved()),
        replicas=_replicas(cloud.current.saved()),
        copies=cloud.replication.copies(),
        faults=_as(format.Faults, {"templates": kept_fis.templates, "experiments": kept_fis.experiments,
                                   "pauses": kept_fis.pauses.pauses, "impaired": kept_fis.pauses.impaired}))


def _engine(database: Database) -> dict[str, Any]:
    """What the engine keeps, with the backups as they are described: their items are rows."""
    found = engine.saved(database)
    found["records"][engine.BACKUPS] = [[*where, backups.kept(backup)]
                                        for *where, backup in found["records"][engine.BACKUPS]]
    return found


def restored_records(kept: format.EngineRecords) -> dict[str, list]:
    """What the engine keeps beside its tables, with its own backups."""
    return msgspec.structs.asdict(kept) | {engine.BACKUPS: [
        (account, region, arn, backups.restored(record)) for account, region, arn, record in kept.backups]}


def backup_rows(kept: format.EngineRecords) -> list[Row]:
    """The items of the backups that an older release kept with them."""
    return [Row(engine.RecordId(account, region, arn), Key(pk, sk), item)
            for account, region, arn, record in kept.backups for pk, sk, item in record["items"]]


def restore(cloud: Cloud, kept: format.Documents) -> None:
    """Give a new cloud everything that is not in rows. The engine has its tables and items already."""
    for knob in kept.knobs:
        cloud.world.turn(knob.knob, knob.place, knob.value)
    cloud.tables.restore(_as(tables.Saved, {"lives": kept.tables.tables, "ghosts": kept.tables.deleted}))
    cloud.groups.restore(_as(membership.Saved, kept.groups))
    cloud.current.restore(_as(v2019.Saved, {"states": kept.replicas.groups,
                                              "events": [_event(event) for event in kept.replicas.events]}))
    cloud.scaling.restore(_as(autoscaling.Saved, [
        ((each.account, each.region, each.resource, each.dimension),
         {"described": each.described, "policies": each.policies}) for each in kept.scaling]))
    cloud.fis.restore(fis.Saved(_as(list[experiments.Template], kept.faults.templates),
                                _as(list[experiments.Experiment], kept.faults.experiments),
                                _as(pauses.Saved, {"pauses": kept.faults.pauses, "impaired": kept.faults.impaired})))


def stream_list(kept: format.Streams) -> list[streams.Stream]:
    return _as(list[streams.Stream], kept.streams)


def _replicas(kept: v2019.Saved) -> format.Replicas:
    return format.Replicas(_as(dict[str, format.GroupState], kept.states),
                           [_as(_EVENTS[event.name], event) for event in kept.events])


def _event(kept: format.Event) -> schedule.Event:
    return schedule.Event(kept.due, _EVENT_NAMES[type(kept)], kept.group, kept.region,
                          entry_removed=getattr(kept, "entry_removed", None), settings=getattr(kept, "settings", None))


def item_json(item: dict | None) -> bytes | None:
    """An item as JSON; one that is stored has been encoded already."""
    if item is None:
        return None
    return item.packed[0] if isinstance(item, StoredItem) else format.encode(item)


def unsettled(write: Unsettled) -> format.Unsettled:
    """A write that was answered, and of which only the item is kept yet."""
    table, key, old, _ = write.change
    json = item_json(old)
    written: Any = None if json is None else msgspec.Raw(json)
    return format.Unsettled(table, key, written, write.at, write.by_ttl, list(write.done))


def restored_unsettled(database: Database, kept: format.Unsettled) -> Unsettled:
    """The same, once the engine has its items."""
    table, key = TableId(*kept.table), Key(*kept.key)
    return Unsettled(Change(table, key, kept.old, database.item(table, key)), kept.at, kept.by_ttl, tuple(kept.done))


class Shared:
    """Makes one object of equal keys, and of equal versions: the copies of a global table shared them before, and they
    take more memory than small items."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def items(self, kept: Iterable[tuple[TableId, Key, bytes]]) -> Iterator[tuple[TableId, Key, bytes]]:
        share = self._known.setdefault
        for table, key, json in kept:
            yield table, share(key, key), json

    def versions(self, kept: Iterable[format.Version]) -> Iterator[tuple[str, str, Key, Version, bool]]:
        share = self._known.setdefault
        for each in kept:
            version = Version(each.time_us, each.written)
            yield each.group, each.region, share(each.key, each.key), share(version, version), each.deleted


def delivery(each: Delivery) -> format.Delivery:
    return format.Delivery(each.n, each.group, each.source, each.target, each.key, each.item, each.version.time_us,
                           each.version.region, each.due)


def restored_delivery(kept: format.Delivery) -> Delivery:
    return Delivery(kept.group, kept.source, kept.target, kept.key, kept.item, Version(kept.time_us, kept.written),
                    kept.due, kept.n)
