"""Writes what changed in a local cloud to disk, and restores a local cloud from there.

Everything that changed since the last time is written at once, as it is now, before anybody gets an answer that depends
on it: all of it is on disk, or none.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec

from gtlab.contract import HISTORIC
from gtlab.localcloud import engine
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk import convert, format
from gtlab.localcloud.disk.files import is_the_disks, set_aside
from gtlab.localcloud.disk.format import Settings
from gtlab.localcloud.disk.loading import Loading, Stopped
from gtlab.localcloud.disk.rows import DELETE, DELETE_ALL, DELETE_BEFORE, PUT, Change, Damaged
from gtlab.localcloud.disk.store import Store
from gtlab.localcloud.lag_model import DEFAULT, LagModel
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.world import World

log = logging.getLogger(__name__)
_UNSETTLED = "unsettled"  # a document that is on disk only while there are such writes
_NEW = Settings(network="realistic", seed=None, legacy_api=HISTORIC)


class Keeper:
    """Writes what changed in a cloud. ``note`` is what a user should know about the start, empty if nothing."""

    def __init__(self, make: Callable[..., Cloud], settings: Settings, store: Store | None, note: str = ""):
        self.cloud, self._make, self._store, self.note = make(settings), make, store, note
        self._written: dict[str, bytes] = {}             # documents, as they are on disk
        self._incarnations: dict[TableId, str] = {}      # of the tables whose items are on disk
        self._owes = False                               # whether unsettled writes are on disk

    @property
    def in_memory(self) -> bool:
        """Whether nothing is kept on disk."""
        return self._store is None

    @property
    def is_behind(self) -> bool:
        """Whether the disk cannot keep up: if more is written, :meth:`save` may soon have to wait for it."""
        return self._store is not None and self._store.is_behind

    def save(self) -> bool:
        """Write what changed since the last call; returns whether anything did. Raises sqlite3.Error if the disk
        refuses it: then nothing was written, and the next call tries again."""
        cloud = self.cloud
        mine, copies, records = cloud.unsaved, cloud.replication.unsaved, cloud.streams.unsaved
        backups, failed, owes = cloud.backups.unsaved, cloud.changes.failed, bool(cloud.changes.unsettled)
        settings = mine.settings or copies.copies or backups.settings
        items, versions = mine.items or mine.tokens, copies.versions or copies.sent or copies.done or copies.copies
        streamed, backed_up = records.records or records.trimmed, backups.rows or backups.dropped
        kept = failed.unsaved or failed.gone
        if not (items or versions or streamed or settings or backed_up or kept):
            return False
        if self._store:
            written, incarnations, changes = self._written, self._incarnations, []
            if settings:
                written, incarnations = dict(written), dict(incarnations)
                changes = self._settings(written, incarnations)
            if items:
                changes += self._items()
            if versions:
                changes += self._replication()
            if streamed:
                changes += self._streams()
            if backed_up:
                changes += self._backups()
            if owes or self._owes:
                changes.append(self._unsettled())
            if kept:
                changes += self._failed()
            self._store.write([change for change in changes if change[2]])
            self._written, self._incarnations, self._owes = written, incarnations, owes
        if settings or items:
            mine.clear()
        if versions:
            copies.clear()
        if streamed:
            records.clear()
        if settings or backed_up:
            backups.clear()
        if kept:
            failed.saved()
        return True

    def tidy(self, *, wait: bool = True) -> None:
        """Do the slower part of saving, which no answer waits for; call it every few seconds. Without ``wait`` it is
        only started. Raises sqlite3.Error if the disk refuses it: nothing is lost, and the next call tries again."""
        if self._store:
            self._store.fold(wait=wait)

    def reset(self, now: float) -> None:
        """Start over with an empty cloud, whose settings are not saved yet. Only the journal continues. Raises
        sqlite3.Error if the disk refuses it: then nothing was done."""
        if self._store:
            self._store.clear()
            self._written, self._incarnations, self._owes = {}, {}, False
        world, before = self.cloud.world, self.cloud
        self.cloud = self._make(Settings(world.network, world.seed, before.legacy.face), journal=before.journal)
        self.cloud.access.take_over(before.access)
        self.cloud.journal.reset(now)
        self.cloud.unsaved.settings = True

    def close(self) -> None:
        if self._store:
            self.save()
            self._store.close()

    def _settings(self, written: dict[str, bytes], incarnations: dict[TableId, str]) -> list[Change]:
        """Changes of documents, and of the items of tables that are new or gone. Updates both dictionaries."""
        documents = convert.documents(self.cloud)
        bodies = {name: format.encode(getattr(documents, name)) for name in documents.__struct_fields__
                  if name != _UNSETTLED}
        changed = {name: body for name, body in bodies.items() if written.get(name) != body}
        written.update(changed)
        database = self.cloud.database
        now = {table: database.incarnation(table) for table in database.tables}
        other = [table for table in {*now, *incarnations} if now.get(table) != incarnations.get(table)]
        incarnations.clear()
        incarnations.update(now)
        return [(PUT, "documents", list(changed.items())), (DELETE_ALL, "items", [tuple(table) for table in other]),
                (PUT, "items", [format.item_row(table, key, item.packed[0]) for table in other if table in now
                                for key, item in database.items(table)])]

    def _items(self) -> list[Change]:
        unsaved = self.cloud.unsaved
        there, gone = list[tuple](), list[tuple]()
        for table, key in unsaved.items:
            json = self.cloud.database.json(table, key)
            if json is None:
                gone.append((*table, *key))
            else:
                there.append(format.item_row(table, key, json))
        changes = [(PUT, "items", there), (DELETE, "items", gone)]
        if unsaved.tokens:
            remembered = self.cloud.database.remembered
            answers = [(token, remembered(token)) for token in unsaved.tokens]
            changes += [(PUT, "tokens", [format.token_row(*token, answer) for token, answer in answers
                                         if answer is not None]),
                        (DELETE, "tokens", [token for token, answer in answers if answer is None])]
        return changes

    def _replication(self) -> list[Change]:
        replication = self.cloud.replication
        unsaved, known, forgotten = replication.unsaved, [], []
        versions = unsaved.versions
        if unsaved.copies:  # of those that are gone, nothing is kept
            keys = {(*copy, key) for copy in unsaved.copies for key in replication.keys_of(*copy)}
            versions = {where: replication.entry(*where) for where in versions.keys() | keys}
        for (group, region, key), entry in versions.items():
            if entry is None:
                forgotten.append((group, region, *key))
            else:
                (time_us, written), deleted = entry
                known.append(format.version_row(group, region, key, time_us, written, deleted))
        return [
            (DELETE_ALL, "versions", list(unsaved.copies)),
            (PUT, "versions", known),
            (DELETE, "versions", forgotten),
            (PUT, "deliveries", [format.delivery_row(convert.delivery(each), convert.item_json(each.item))
                                 for each in unsaved.sent.values()]),
            (DELETE, "deliveries", [(n,) for n in unsaved.done])]

    def _streams(self) -> list[Change]:
        streams, unsaved = self.cloud.streams, self.cloud.streams.unsaved
        changes = [(PUT, "records", unsaved.rows())]
        if not unsaved.trimmed:
            return changes
        begins = [(arn, shard, streams.begins(arn, shard)) for arn, shard in unsaved.trimmed]
        return [*changes,
                (DELETE_BEFORE, "records", [each for each in begins if each[2] is not None]),
                (DELETE_ALL, "records", [each[:2] for each in begins if each[2] is None])]

    def _backups(self) -> list[Change]:
        unsaved = self.cloud.backups.unsaved
        return [(PUT, "backups", [format.backup_row(*row) for row in unsaved.rows]),
                (DELETE_ALL, "backups", [tuple(backup) for backup in unsaved.dropped])]

    def _unsettled(self) -> Change:
        left = list(map(convert.unsettled, self.cloud.changes.unsettled))
        if not left:
            return DELETE, "documents", [(_UNSETTLED,)]
        return PUT, "documents", [(_UNSETTLED, format.encode(left))]

    def _failed(self) -> list[Change]:
        failed = self.cloud.changes.failed
        rows = [format.failed_row(n, convert.unsettled(write)) for n, write in failed.unsaved.items()]
        return [(PUT, "failed", rows), (DELETE, "failed", [(n,) for n in failed.gone])]

    def _load(self, bodies: dict[str, bytes], loading: Loading) -> None:
        """Restore everything that is on disk. Raises some exception if it is not as the format says."""
        store, cloud, kept = self._store, self.cloud, format.documents(bodies)
        assert store is not None
        shared = convert.Shared()
        loading.rows = store.count()
        loading.done = len(bodies)

        def rows(table: str) -> Iterator[tuple]:
            return loading.counted(store.rows(table))

        engine.restore(cloud.database, kept.engine.tables, convert.restored_records(kept.engine.records),
                       shared.items(format.items(rows("items"))), format.tokens(rows("tokens")))
        cloud.backups.restore(format.backup_items(rows("backups")), convert.backup_rows(kept.engine.records))
        convert.restore(cloud, kept)
        cloud.streams.restore(convert.stream_list(kept.streams), kept.streams.sequence, rows("records"))
        cloud.replication.restore(
            kept.copies, shared.versions(format.versions(rows("versions"))),
            map(convert.restored_delivery, format.deliveries(rows("deliveries"))))
        cloud.changes.failed.restore((n, convert.restored_unsettled(cloud.database, write))
                                     for n, write in format.failed(rows("failed")))
        cloud.changes.unsettled.extend(convert.restored_unsettled(cloud.database, write) for write in kept.unsettled)
        self._owes = bodies.pop(_UNSETTLED, None) is not None
        self._written = bodies
        self._incarnations = {table: cloud.database.incarnation(table) for table in cloud.database.tables}


def new_cloud(settings: Settings, journal: Journal | None = None, most_at_once: float = math.inf,
              lag_model: LagModel = DEFAULT) -> Cloud:
    """An empty local cloud; ``journal`` and ``most_at_once`` are :class:`Cloud`'s, ``lag_model`` is :class:`World`'s.
    """
    return Cloud(World(settings.network, settings.seed, lag_model), settings.legacy_api, journal, most_at_once)


class How(TypedDict, total=False):
    """How :func:`keep` works. ``make`` creates the empty cloud: :func:`new_cloud`, or a ``functools.partial`` of it.
    ``clock`` returns epoch seconds. ``loading`` learns how far the state is read, and can stop it."""

    make: Callable[..., Cloud]
    clock: Callable[[], float]
    loading: Loading


def keep(path: Path | None, network: str | None = None, seed: int | None = None, legacy_api: str | None = None,
         **how: Unpack[How]) -> Keeper:
    """The local cloud whose state is in the file ``path``, or a new one there; None keeps nothing on disk. Settings
    that are given replace those of the last start. A file that cannot be read is set aside, and ``note`` says so.

    Raises sqlite3.Error if the disk or the folder's permissions are the reason, and :class:`version.Newer` if a newer
    gtlab wrote the file: then nothing was touched. Raises :class:`loading.Stopped` if it was stopped.
    """
    given = {"network": network, "seed": seed, "legacy_api": legacy_api}
    given = {name: value for name, value in given.items() if value is not None}
    if path is None:
        return Keeper(how.get("make", new_cloud), msgspec.structs.replace(_NEW, **given), None)
    try:
        return _keep(path, given, "", how)
    except Damaged as damage:
        aside = set_aside(path)
        note = f"The kept state could not be read ({damage}). It was set aside as {aside}; this cloud is empty."
        log.warning(note)
        return _keep(path, given, note, how)


def _keep(path: Path, given: dict, note: str, how: How) -> Keeper:
    store = Store(path)
    try:
        bodies = dict(store.rows("documents"))
        settings = format.document("settings", bodies["settings"]) if bodies else _NEW
        keeper = Keeper(how.get("make", new_cloud), msgspec.structs.replace(settings, **given), store, note)
        if bodies:
            keeper._load(bodies, how.get("loading", Loading()))
            keeper.cloud.resume(how.get("clock", time.time)())
    except Exception as error:  # a damaged file may lead to any error
        store.close()
        if isinstance(error, Damaged | Stopped) or is_the_disks(error):
            raise
        lacks = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise Damaged(lacks) from error
    if store.damage:
        keeper.note = (f"Of the kept state, {store.damage}. This cloud continues with what was there before. "
                       f"{keeper.note}".rstrip())
        log.warning(keeper.note)
    keeper.cloud.unsaved.settings = True
    keeper.save()
    return keeper
