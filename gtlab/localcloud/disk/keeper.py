"""Keeps a cloud on disk and takes it up again: tables, items, global tables, versions, tombstones, what is on its way,
streams, knobs. What changed is written by what it is now, all or nothing, before the answer that tells of it.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gtlab.contract import HISTORIC
from gtlab.localcloud import engine, model
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk.store import (
    DELETE,
    DELETE_ALL,
    DELETE_BEFORE,
    PUT,
    Change,
    Damaged,
    Store,
    is_the_disks,
    set_aside,
)
from gtlab.localcloud.faults import fis
from gtlab.localcloud.globaltables import membership, v2019
from gtlab.localcloud.model import Key, TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication import Delivery, Version
from gtlab.localcloud.tables import autoscaling, streams, tables
from gtlab.localcloud.world import World

log = logging.getLogger(__name__)


class _Document(NamedTuple):
    """Something that is written whole whenever it changed."""

    type: Any
    get: Callable[[Cloud], Any]
    put: Callable[[Cloud, Any], None]


def _restore_world(cloud: Cloud, knobs: list[tuple[str, tuple[str, ...], Any]]) -> None:
    for knob, place, value in knobs:
        cloud.world.turn(knob, place, value)


# In the order in which they are taken up; the engine's comes first, with the items.
_DOCUMENTS = {
    "knobs": _Document(list[tuple[str, tuple[str, ...], Any]], lambda cloud: cloud.world.turned(), _restore_world),
    "tables": _Document(tables.Saved, lambda cloud: cloud.tables.saved(),
                        lambda cloud, kept: cloud.tables.restore(kept)),
    "groups": _Document(membership.Saved, lambda cloud: cloud.groups.saved(),
                        lambda cloud, kept: cloud.groups.restore(kept)),
    "current": _Document(v2019.Saved, lambda cloud: cloud.current.saved(),
                         lambda cloud, kept: cloud.current.restore(kept)),
    "scaling": _Document(autoscaling.Saved, lambda cloud: cloud.scaling.saved(),
                         lambda cloud, kept: cloud.scaling.restore(kept)),
    "fis": _Document(fis.Saved, lambda cloud: cloud.fis.saved(), lambda cloud, kept: cloud.fis.restore(kept)),
}


class Settings(msgspec.Struct):
    """What a cloud was started with."""

    network: str = "realistic"
    seed: int | None = None
    legacy_api: str = HISTORIC


class Keeper:
    """Writes what changed in a cloud. ``note`` says what a user should know of the start; empty if nothing."""

    def __init__(self, make: Callable[..., Cloud], settings: Settings, store: Store | None, note: str = ""):
        self.cloud, self._make, self._store, self.note = make(settings), make, store, note
        self._written: dict[str, bytes] = {}             # documents, as they are on disk
        self._incarnations: dict[TableId, str] = {}      # of the tables whose items are on disk
        self._owes = False                               # whether unsettled writes are on disk

    @property
    def in_memory(self) -> bool:
        """Whether nothing is kept."""
        return self._store is None

    def save(self) -> bool:
        """Write what changed since the last time; whether anything did. Raises sqlite3.Error where the disk does not
        take it: then nothing was written, and the next call tries again."""
        cloud, copies, records = self.cloud, self.cloud.replication.unsaved, self.cloud.streams.unsaved
        mine = cloud.unsaved
        mine.settings |= bool(copies.copies)
        owes = bool(cloud.unsettled)
        if not (mine.settings or mine.items or mine.tokens or copies or records.records or records.trimmed):
            return False
        if self._store:
            written, incarnations, changes = self._written, self._incarnations, []
            if mine.settings:
                written, incarnations = dict(written), dict(incarnations)
                changes = self._settings(written, incarnations)
            if mine.items or mine.tokens:
                changes += self._items()
            if copies:
                changes += self._replication()
            if records.records or records.trimmed:
                changes += self._streams()
            if owes or self._owes:
                changes.append(self._unsettled())
            self._store.write([change for change in changes if change[2]])
            self._written, self._incarnations, self._owes = written, incarnations, owes
        for part in (mine, copies, records):
            part.clear()
        return True

    def tidy(self, *, wait: bool = True) -> None:
        """What need not be done before an answer; without ``wait`` it only begins. To be called every now and then.
        Raises sqlite3.Error where the disk does not take it: nothing is lost, and the next call tries again."""
        if self._store:
            self._store.fold(wait=wait)

    def reset(self, now: float) -> None:
        """Begin anew with an empty cloud; only the journal goes on."""
        world, before = self.cloud.world, self.cloud
        self.cloud = self._make(Settings(world.network, world.seed, before.legacy.face), before.journal)
        self.cloud.journal.reset(now)
        self.cloud.unsaved.settings = True
        if self._store:
            self._store.clear()
            self._written, self._incarnations, self._owes = {}, {}, False
        self.save()

    def close(self) -> None:
        if self._store:
            self.save()
            self._store.close()

    def _settings(self, written: dict[str, bytes], incarnations: dict[TableId, str]) -> list[Change]:
        cloud, world = self.cloud, self.cloud.world
        bodies = {name: _encode(document.get(cloud)) for name, document in _DOCUMENTS.items()}
        bodies |= {"settings": _encode(Settings(world.network, world.seed, cloud.legacy.face)),
                   "engine": _encode(engine.saved()),
                   "streams": _encode((cloud.streams.sequence, cloud.streams.saved())),
                   "copies": _encode(cloud.replication.copies())}
        changed = {name: body for name, body in bodies.items() if written.get(name) != body}
        written.update(changed)
        now = {table: engine.incarnation(table) for table in engine.tables()}
        other = [table for table in {*now, *incarnations} if now.get(table) != incarnations.get(table)]
        incarnations.clear()
        incarnations.update(now)
        return [(PUT, "documents", list(changed.items())), (DELETE_ALL, "items", other),
                (PUT, "items", [(*table, *key, _encode(item)) for table in other if table in now
                                for key, item in engine.items(table)])]

    def _items(self) -> list[Change]:
        unsaved, there, gone = self.cloud.unsaved, [], []
        for table, key in unsaved.items:
            item = engine.item(table, key)
            if item is None:
                gone.append((*table, *key))
            else:
                there.append((*table, *key, _encode(item)))
        changes = [(PUT, "items", there), (DELETE, "items", gone)]
        if unsaved.tokens:
            answers = [(token, engine.token(*token)) for token in unsaved.tokens]
            changes += [(PUT, "tokens", [(*token, _encode(answer)) for token, answer in answers if answer is not None]),
                        (DELETE, "tokens", [token for token, answer in answers if answer is None])]
        return changes

    def _replication(self) -> list[Change]:
        replication = self.cloud.replication
        unsaved, known, forgotten = replication.unsaved, [], []
        keys = unsaved.versions
        if unsaved.copies:
            keys = keys | {(*copy, key) for copy in unsaved.copies for key in replication.keys_of(*copy)}
        for group, region, key in keys:
            entry = replication.entry(group, region, key)
            if entry is None:
                forgotten.append((group, region, *key))
            else:
                known.append((group, region, *key, *entry[0], entry[1]))
        return [
            (DELETE_ALL, "versions", list(unsaved.copies)),
            (PUT, "versions", known),
            (DELETE, "versions", forgotten),
            (PUT, "deliveries", [
                (each.n, each.group, each.source, each.target, *each.key,
                 None if each.item is None else _encode(each.item), *each.version, each.due)
                for each in unsaved.sent.values()]),
            (DELETE, "deliveries", [(n,) for n in unsaved.done])]

    def _streams(self) -> list[Change]:
        streams, unsaved = self.cloud.streams, self.cloud.streams.unsaved
        changes = [(PUT, "records", unsaved.records.copy())]
        if not unsaved.trimmed:
            return changes
        begins = [(arn, shard, streams.begins(arn, shard)) for arn, shard in unsaved.trimmed]
        return [*changes,
                (DELETE_BEFORE, "records", [each for each in begins if each[2] is not None]),
                (DELETE_ALL, "records", [each[:2] for each in begins if each[2] is None])]

    def _unsettled(self) -> Change:
        """The writes of which only the items are kept yet: what was there before, and when they took effect."""
        left = self.cloud.unsettled
        if not left:
            return DELETE, "documents", [(_UNSETTLED,)]
        return PUT, "documents", [(_UNSETTLED, _encode([(*change[:3], at) for change, at in left]))]

    def _load(self, documents: dict[str, bytes]) -> None:
        """Take up all that is on disk. Raises Damaged where it cannot be understood."""
        store, cloud = self._store, self.cloud
        decode = msgspec.json.decode
        engine.restore(decode(documents["engine"]),
                       ((TableId(*row[:3]), Key(*row[3:5]), decode(row[5])) for row in store.rows("items")),
                       ((*row[:3], decode(row[3])) for row in store.rows("tokens")))
        for name, document in _DOCUMENTS.items():
            document.put(cloud, _decode(documents[name], document.type))
        sequence, kept = _decode(documents["streams"], tuple[int, list[streams.Stream]])
        cloud.streams.restore(kept, sequence, store.rows("records"))
        cloud.replication.restore(
            _decode(documents["copies"], list[tuple[str, str]]),
            ((row[0], row[1], Key(*row[2:4]), Version(*row[4:6]), bool(row[6])) for row in store.rows("versions")),
            (Delivery(*row[1:4], Key(*row[4:6]), row[6] and decode(row[6]), Version(*row[7:9]), row[9], row[0])
             for row in store.rows("deliveries")))
        unsettled = documents.pop(_UNSETTLED, None)
        if unsettled:
            self._owes = True
            cloud.unsettled = [(model.Change(table, key, old, engine.item(table, key)), at) for table, key, old, at
                               in _decode(unsettled, list[tuple[TableId, Key, dict | None, float]])]
        self._written = documents
        self._incarnations = {table: engine.incarnation(table) for table in engine.tables()}


def keep(path: Path | None, network: str | None = None, seed: int | None = None, legacy_api: str | None = None, *,
         journal: Journal | None = None, clock: Callable[[], float] = time.time,
         most_at_once: float = math.inf) -> Keeper:
    """A cloud as it was left at ``path``, or a new one there; None keeps nothing. What is given takes the place of
    what it was started with. A file that cannot be read is set aside, and ``note`` says so. ``clock`` tells the time,
    epoch seconds; ``most_at_once`` is :class:`Cloud`'s.

    Raises sqlite3.Error where the disk or the folder's permissions are in the way: then nothing is touched.
    """
    given = {"network": network, "seed": seed, "legacy_api": legacy_api}
    given = {name: value for name, value in given.items() if value is not None}

    def make(settings: Settings, journal: Journal | None = journal) -> Cloud:
        return Cloud(World(settings.network, settings.seed), settings.legacy_api, journal, most_at_once)

    if path is None:
        return Keeper(make, msgspec.structs.replace(Settings(), **given), None)
    note = ""
    try:
        return _keep(path, given, note, make, clock)
    except Damaged as damage:
        aside = set_aside(path)
        note = f"The kept state could not be read ({damage}). It was set aside as {aside}; this cloud begins empty."
        log.warning(note)
        return _keep(path, given, note, make, clock)


def _keep(path: Path, given: dict, note: str, make: Callable[..., Cloud], clock: Callable[[], float]) -> Keeper:
    store = Store(path)
    try:
        documents = dict(store.rows("documents"))
        settings = _decode(documents["settings"], Settings) if documents else Settings()
        keeper = Keeper(make, msgspec.structs.replace(settings, **given), store, note)
        if documents:
            keeper._load(documents)
            keeper.cloud.resume(clock())
    except Exception as error:  # whatever a file that is not whole may lead to
        store.close()
        if is_the_disks(error):
            raise
        lacks = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise Damaged(lacks) from error
    keeper.cloud.unsaved.settings = True
    keeper.save()
    return keeper


_UNSETTLED = "unsettled"  # a document that is there only while there are such writes
_encode = msgspec.json.Encoder(enc_hook=list).encode  # of a value, in bytes


def _decode(body: bytes, kind: Any) -> Any:
    return msgspec.json.decode(body, type=kind, dec_hook=lambda _, value: deque(value))
