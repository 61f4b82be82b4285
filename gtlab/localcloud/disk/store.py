"""Rows on disk: one SQLite file with the state of a cloud, and two logs and a seal beside it. This module does not know
what the rows mean. :mod:`rows` has the tables of the SQLite file, :mod:`files` the names of the files.

One process writes them; it holds the state folder's lock. Changes that belong together are appended to a log as one
entry, which takes microseconds; from then on they survive the end of the process. Later, a second thread writes many of
them into SQLite's tables at once (they are "folded"), because that is slow and waits for the disk. Meanwhile, new
changes go to the other log. A log is emptied when all its entries are in the tables; the tables contain the number of
the newest entry that they include.

Nothing that was kept goes missing unnoticed: entries and rows have checksums, entries have consecutive numbers, and the
seal knows the number of the newest one. If entries are missing, the store has what was there before them, and says so.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from gtlab.localcloud.disk.files import LOGS, SEAL, as_sqlites, copy_aside, disk_errors, is_the_disks
from gtlab.localcloud.disk.format import VERSION
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.rows import Change, Damaged, Rows, decoded
from gtlab.localcloud.disk.seal import Seal
from gtlab.localcloud.disk.version import Newer, check

MOST_LOGGED = 32 << 20  # bytes of one log; a write waits until there is room, so that the logs and memory are bounded
_pack = msgspec.msgpack.Encoder().encode


class Store:
    """Opens the files, or creates them. ``damage`` says which changes that were kept are missing, empty if none: the
    files as they were found are then beside them under another name, and the store has what was there before those
    changes. Raises Damaged if the files cannot be read at all, Newer if a newer gtlab wrote them, and sqlite3.Error if
    the disk or its permissions are the reason."""

    def __init__(self, path: Path):
        self.damage = ""
        self._path = path
        self._logs: list[Log] = []                                # the one that is written comes first
        self._beside: list[Log | Seal] = []                       # the files beside SQLite's
        self._is_open = False                                     # whether the file says that there may be more in logs
        self._last = 0                                            # the number of the newest entry
        self._unfolded: list[Change] = []                         # what is in the first log
        self._logged = 0                                          # bytes of that
        self._folding: tuple[list[Change], int] | None = None     # what is in the other one, and its newest entry
        self._fold: Future[None] | None = None                    # while that is brought into the tables
        with disk_errors():
            if path.exists() and path.stat().st_size == 0:  # SQLite would take it for a new one
                raise Damaged("it is empty")
        check(path)
        self._rows = Rows(path)  # used by one thread at a time: the worker's while it folds, otherwise this one
        try:
            version = self._rows.open()
            with disk_errors():
                for ending in LOGS:
                    self._logs.append(Log(path.with_name(path.name + ending)))
                    self._beside.append(self._logs[-1])
                self._seal = Seal(path.with_name(path.name + SEAL))
                self._beside.append(self._seal)
            entries, wrong = self._entries()
            if version < VERSION or not self._rows.has_checksums():
                self._rewrite(version, entries, wrong)
            else:
                self._take_up(entries, wrong)
            self._rows.opened()
            self._seal.set(self._last)
            with disk_errors():
                for log in self._logs:
                    log.empty()
        except (sqlite3.Error, Broken, Damaged, Newer, KeyError, ValueError, TypeError) as error:
            self._rows.close()
            for file in self._beside:
                file.close()
            if isinstance(error, Newer) or is_the_disks(error):
                raise
            raise Damaged(f"{error} is missing" if isinstance(error, KeyError) else str(error)) from None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="fold")

    def _rewrite(self, version: int, entries: dict[int, bytes], wrong: str) -> None:
        """Rewrite what an older version wrote, with what is in the logs: all of it or nothing."""
        aside = copy_aside(self._path) if wrong else None  # as long as the file is as it was
        self._rows.leave_wal()
        with self._rows.transaction():
            self._rows.add_checksums(version)
            self._take_up(entries, wrong, aside)
            if version < 3:
                self._rows.migrate()

    def _take_up(self, entries: dict[int, bytes], wrong: str, aside: Path | None = None) -> None:
        """Fold what the last process left in the logs, as far as the entries follow on; what is missing behind that is
        reported. ``aside`` is where the files were copied to, if they were."""
        self._last, self._is_open = self._rows.logged()
        changes, sealed = [], self._seal.number()
        while self._last + 1 in entries:
            self._last += 1
            changes += decoded(entries[self._last])
        newest = max([self._last, sealed or 0, *entries])
        if missing := newest - self._last:
            self.damage = (f"{missing:,} {'change is' if missing == 1 else 'changes are'} missing "
                           f"({wrong or 'the logs or the file were cut short'})")
        elif wrong or (self._is_open and sealed is None):
            self.damage = f"nothing is known to be missing, but {wrong or 'the seal of the logs is missing'}"
        if self.damage:
            self.damage += f". The files as they were found are kept as {aside or copy_aside(self._path)}"
        self._last = newest
        if changes or self.damage:
            with self._rows.transaction():
                self._rows.apply(changes)
                self._rows.note(self._last, is_open=True)

    def _entries(self) -> tuple[dict[int, bytes], str]:
        """The bodies of the entries in the logs by number, and what is wrong with the logs."""
        found: dict[int, bytes] = {}
        wrong = []
        for log in self._logs:
            try:
                found.update(log.entries())
            except Broken as error:
                wrong.append(str(error))
        return found, " and ".join(wrong)

    def write(self, changes: list[Change]) -> None:
        """Keep all the changes, or none. Raises sqlite3.Error if the disk refuses them."""
        if not self._is_open:
            with self._rows.transaction():
                self._rows.note(self._last, is_open=True)
            self._is_open = True
        body = _pack(changes)
        if self._unfolded and self._logged + len(body) > MOST_LOGGED:
            if self._fold:  # the other log is not empty yet
                self._fold.exception()  # waits; fold() raises it
            self.fold(wait=False)
        try:
            self._logs[0].append(self._last + 1, body)
        except OSError as error:
            raise as_sqlites(error) from error
        self._logged += len(body)
        self._last += 1
        self._seal.set(self._last)
        self._unfolded += changes

    @property
    def is_behind(self) -> bool:
        """Whether a log is more than half full while the other one is still being folded."""
        return self._logged > MOST_LOGGED // 2 and self._fold is not None and not self._fold.done()

    def fold(self, *, wait: bool = True) -> None:
        """Write what is in the logs into the tables. Without ``wait``, only start, unless it is running already. Raises
        sqlite3.Error if the disk refuses it now or refused it the last time: then it stays in its log, and the next
        call tries again."""
        if self._fold and (wait or self._fold.done()):
            ended, self._fold = self._fold, None
            ended.result()
            self._folding = None
        if self._fold is None:
            if self._folding is None and self._unfolded:
                self._folding, self._unfolded, self._logged = (self._unfolded, self._last), [], 0
                self._logs.reverse()
            if self._folding:
                self._fold = self._worker.submit(self._bring_in, *self._folding, self._logs[1])
                if wait:
                    self.fold()

    def _bring_in(self, changes: list[Change], last: int, log: Log) -> None:
        with self._rows.transaction():
            self._rows.apply(changes)
            self._rows.note(last, is_open=True)
        with disk_errors():
            log.empty()

    def rows(self, table: str) -> Iterator[tuple]:
        """Every row of a table, in the order of its key. Raises Damaged at a row that is not as it was written."""
        return self._rows.of(table)

    def count(self) -> int:
        """The number of rows in all tables."""
        return self._rows.count()

    def clear(self) -> None:
        """Delete everything. Raises sqlite3.Error if the disk refuses it: then nothing was deleted."""
        with contextlib.suppress(sqlite3.Error):
            self.fold()
        with self._rows.transaction():
            self._rows.clear()
            self._rows.note(self._last, is_open=True)
        self._unfolded, self._folding, self._logged = [], None, 0
        with disk_errors():
            for log in self._logs:
                log.empty()

    def close(self) -> None:
        folded = False
        with contextlib.suppress(sqlite3.Error):  # then the next start does it
            self.fold()
            if self._is_open:
                self._rows.note(self._last, is_open=False)
            folded = True
        self._worker.shutdown()
        self._rows.close()
        for file in self._beside:
            if folded:
                file.remove()
            else:
                file.close()
