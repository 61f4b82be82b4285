"""Rows on disk: one SQLite file with the state of a cloud, and two logs and a seal beside it. This module does not know
what the rows mean.

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
import functools
import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from gtlab import __version__
from gtlab.localcloud.disk import migrate
from gtlab.localcloud.disk.format import ROWS, VERSION
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.seal import Seal
from gtlab.localcloud.disk.version import APPLICATION, Newer, check

_LOGS, _SEAL = ("-log0", "-log1"), "-seal"
ENDINGS = ("", "-wal", "-shm", *_LOGS, _SEAL)  # of the names of the files that belong together
# A change: rows, which replace those with the same key; keys of rows to delete; first parts of keys, all of whose rows
# are deleted; or keys of records, with all the shard's records before them deleted.
PUT, DELETE, DELETE_ALL, DELETE_BEFORE = "put", "delete", "delete all", "delete before"
Change = tuple[str, str, list[tuple]]  # one of these, a table, and rows or keys
_CHECKSUM = "checksum"  # a column of every table, of the values in the other columns
_pack = msgspec.msgpack.Encoder().encode


class Damaged(Exception):
    """The files were not written by gtlab, or are damaged. The text says how."""


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
        self._folding: tuple[list[Change], int] | None = None     # what is in the other one, and its newest entry
        self._fold: Future[None] | None = None                    # while that is brought into the tables
        with _the_disks():
            if path.exists() and path.stat().st_size == 0:  # SQLite would take it for a new one
                raise Damaged("it is empty")
        check(path)
        # Used by one thread at a time: the worker's while it folds, otherwise this one.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            version = self._open(path)
            with _the_disks():
                for ending in _LOGS:
                    self._logs.append(Log(path.with_name(path.name + ending)))
                    self._beside.append(self._logs[-1])
                self._seal = Seal(path.with_name(path.name + _SEAL))
                self._beside.append(self._seal)
            entries, wrong = self._entries()
            if version < VERSION or not self._has_checksums():
                self._rewrite(version, entries, wrong)
            else:
                self._take_up(entries, wrong)
            self._connection.execute(_create("failed"))  # the newest table: a file that is opened may lack it
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._seal.set(self._last)
            with _the_disks():
                for log in self._logs:
                    log.empty()
        except (sqlite3.Error, Broken, Damaged, Newer, KeyError, ValueError, TypeError) as error:
            self._connection.close()
            for file in self._beside:
                file.close()
            if isinstance(error, Newer) or is_the_disks(error):
                raise
            raise Damaged(f"{error} is missing" if isinstance(error, KeyError) else str(error)) from None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="fold")

    def _open(self, path: Path) -> int:
        """Open a file, or make it; its version. A file of version 1 has version 2 afterwards."""
        run = self._connection.execute
        if run("PRAGMA quick_check").fetchone()[0] != "ok":
            raise Damaged("SQLite finds it damaged")
        application, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if application not in (0, APPLICATION) or (not application and run("SELECT 1 FROM sqlite_schema").fetchone()):
            raise Damaged("it is not a file of gtlab's")
        if version > VERSION:
            raise Newer(path, version, None)
        if not application:
            with self._transaction():  # before the file gets a write-ahead log: see version.check
                for name in ROWS:
                    run(_create(name))
                self._begin_logs(0)
                self._name_version()
            version = VERSION
        elif run("PRAGMA integrity_check(records)").fetchone()[0] != "ok":  # it has an index: see _create
            raise Damaged("SQLite finds it damaged")
        run("PRAGMA synchronous = FULL")  # a log is emptied only when the disk has what was in it
        run("PRAGMA cache_size = -8000")  # KiB: what is on disk is in memory already, in a better form
        return version

    def _has_checksums(self) -> bool:
        return self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'logged'").fetchone() is not None

    def _rewrite(self, version: int, entries: dict[int, bytes], wrong: str) -> None:
        """Rewrite what an older version wrote, with what is in the logs: all of it or nothing."""
        run = self._connection.execute
        aside = self._copy_aside() if wrong else None  # as long as the file is as it was
        run("PRAGMA journal_mode = DELETE")  # the new version belongs in the file itself: see version.check
        with self._transaction():
            for table in ROWS.keys() - {"failed"}:
                run(f"ALTER TABLE {table} ADD COLUMN {_CHECKSUM}")
                rows = run(f"SELECT {', '.join(_columns(table))} FROM {table}").fetchall()
                self._write_rows({table: {row: row for row in rows}})
            last = 0
            if version == 1:  # it kept entries in a table, in the place of logs
                for body, in run("SELECT body FROM changes ORDER BY n").fetchall():
                    self._apply(msgspec.msgpack.decode(body, type=list[Change]))
                run("DROP TABLE changes")
            else:
                last, = run("SELECT n FROM folded").fetchone()
                run("DROP TABLE folded")
            self._begin_logs(last)
            self._take_up(entries, wrong, aside)
            if version < 3:
                bodies = dict(self.rows("documents"))
                if bodies:
                    run("DELETE FROM documents")
                    self._apply([(PUT, "documents", list(migrate.documents_from_2(bodies).items()))])
                self._apply([(PUT, "tokens", [(account, region, token, migrate.token_from_2(answer))
                                              for account, region, token, answer in list(self.rows("tokens"))])])
                self._name_version()

    def _begin_logs(self, last: int) -> None:
        self._connection.execute("CREATE TABLE logged (n INTEGER, open INTEGER, checksum INTEGER)")
        self._connection.execute("INSERT INTO logged VALUES (0, 0, 0)")
        self._note(last, is_open=False)

    def _note(self, last: int, *, is_open: bool) -> None:
        """Note how far the logs are in the tables (the number of the newest entry), and whether there may be more in
        the logs."""
        row = (last, int(is_open))
        self._connection.execute("UPDATE logged SET n = ?, open = ?, checksum = ?", (*row, _checksum(row)))

    def _name_version(self) -> None:
        """Write which version of the format the file has, and which release gave it that version."""
        self._connection.execute("CREATE TABLE release (gtlab TEXT)")
        self._connection.execute("INSERT INTO release VALUES (?)", (__version__,))
        self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _take_up(self, entries: dict[int, bytes], wrong: str, aside: Path | None = None) -> None:
        """Fold what the last process left in the logs, as far as the entries follow on; what is missing behind that is
        reported. ``aside`` is where the files were copied to, if they were."""
        (*logged, checksum), = self._connection.execute("SELECT n, open, checksum FROM logged")
        if checksum != _checksum(logged):
            raise Damaged("the number of the newest entry is damaged")
        self._last, self._is_open = logged[0], bool(logged[1])
        changes, sealed = [], self._seal.number()
        while self._last + 1 in entries:
            self._last += 1
            changes += msgspec.msgpack.decode(entries[self._last], type=list[Change])
        newest = max([self._last, sealed or 0, *entries])
        if missing := newest - self._last:
            self.damage = (f"{missing:,} {'change is' if missing == 1 else 'changes are'} missing "
                           f"({wrong or 'the logs or the file were cut short'})")
        elif wrong or (self._is_open and sealed is None):
            self.damage = f"nothing is known to be missing, but {wrong or 'the seal of the logs is missing'}"
        if self.damage:
            self.damage += f". The files as they were found are kept as {aside or self._copy_aside()}"
        self._last = newest
        if changes or self.damage:
            with self._transaction():
                self._apply(changes)
                self._note(self._last, is_open=True)

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

    def _copy_aside(self) -> Path:
        """Copy the files as they are, except what SQLite makes again."""
        aside = _free_name(self._path)
        with _the_disks():
            for ending in set(ENDINGS) - {"-shm"}:
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(self._path.with_name(self._path.name + ending),
                                    aside.with_name(aside.name + ending))
        return aside

    def write(self, changes: list[Change]) -> None:
        """Keep all the changes, or none. Raises sqlite3.Error if the disk refuses them."""
        if not self._is_open:
            with self._transaction():
                self._note(self._last, is_open=True)
            self._is_open = True
        try:
            self._logs[0].append(self._last + 1, _pack(changes))
        except OSError as error:
            raise _as_sqlites(error) from error
        self._last += 1
        self._seal.set(self._last)
        self._unfolded += changes

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
                self._folding, self._unfolded = (self._unfolded, self._last), []
                self._logs.reverse()
            if self._folding:
                self._fold = self._worker.submit(self._bring_in, *self._folding, self._logs[1])
                if wait:
                    self.fold()

    def _bring_in(self, changes: list[Change], last: int, log: Log) -> None:
        with self._transaction():
            self._apply(changes)
            self._note(last, is_open=True)
        with _the_disks():
            log.empty()

    def _apply(self, changes: list[Change]) -> None:
        latest: dict[str, dict[tuple, tuple | None]] = {}  # table → key → row; of several only the last is written
        for kind, table, rows in changes:
            if kind in (PUT, DELETE):
                width, known = len(_key(table)), latest.setdefault(table, {})
                if kind == DELETE and _is_numbered(table):  # what was put since the last time was never in the table
                    rows = [key for key in rows if known.pop(tuple(key), None) is None]
                known.update((tuple(row[:width]), tuple(row) if kind == PUT else None) for row in rows)
                continue
            self._write_rows(latest)
            latest = {}
            columns = _key(table)
            for key in rows:
                tests = [f"{column} = ?" for column in columns[:len(key)]]
                if kind == DELETE_BEFORE:
                    tests[-1] = tests[-1].replace("=", "<")
                self._connection.execute(f"DELETE FROM {table} WHERE {' AND '.join(tests)}", key)
        self._write_rows(latest)

    def _write_rows(self, latest: dict[str, dict[tuple, tuple | None]]) -> None:
        for table, rows in latest.items():
            places = ", ".join("?" * (len(_columns(table)) + 1))
            self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})",
                                         [(*row, _checksum(row)) for row in rows.values() if row is not None])
            tests = " AND ".join(f"{column} = ?" for column in _key(table))
            self._connection.executemany(f"DELETE FROM {table} WHERE {tests}",
                                         [key for key, row in rows.items() if row is None])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Everything in the block is done, or nothing. A block inside another one belongs to it."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the disk is full: SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def rows(self, table: str) -> Iterator[tuple]:
        """Every row of a table, in the order of its key. Raises Damaged at a row that is not as it was written."""
        for *row, checksum in self._connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(_key(table))}"):
            if checksum != _checksum(row):
                raise Damaged(f"a row of {table} is damaged")
            yield tuple(row)

    def clear(self) -> None:
        """Delete everything. Raises sqlite3.Error if the disk refuses it: then nothing was deleted."""
        with contextlib.suppress(sqlite3.Error):
            self.fold()
        with self._transaction():
            for table in ROWS:
                self._connection.execute(f"DELETE FROM {table}")
            self._note(self._last, is_open=True)
        self._unfolded, self._folding = [], None
        with _the_disks():
            for log in self._logs:
                log.empty()

    def close(self) -> None:
        folded = False
        with contextlib.suppress(sqlite3.Error):  # then the next start does it
            self.fold()
            if self._is_open:
                self._note(self._last, is_open=False)
            folded = True
        self._worker.shutdown()
        self._connection.close()  # which brings SQLite's own log into the file and removes it
        for file in self._beside:
            if folded:
                file.remove()
            else:
                file.close()


@contextlib.contextmanager
def _the_disks() -> Iterator[None]:
    """Raise the operating system's errors as SQLite's, so that callers handle one kind."""
    try:
        yield
    except OSError as error:
        raise _as_sqlites(error) from error


def _as_sqlites(error: OSError) -> sqlite3.OperationalError:
    raised = sqlite3.OperationalError(str(error))
    raised.sqlite_errorname = "SQLITE_IOERR"
    return raised


def is_the_disks(error: Exception) -> bool:
    """Whether the disk or its permissions caused an error; the file itself may be intact."""
    name = getattr(error, "sqlite_errorname", "")
    return name.removeprefix("SQLITE_").split("_")[0] in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY")


def _is_numbered(table: str) -> bool:
    return _key(table) == ["n"]


@functools.cache
def _columns(table: str) -> list[str]:
    return [column for column in ROWS[table].split() if column != "."]


@functools.cache
def _key(table: str) -> list[str]:
    return ROWS[table].partition(" . ")[0].split()


def _create(table: str) -> str:
    """The statement that creates a table. In a table WITHOUT ROWID, each row of a kilobyte or more takes its own pages;
    in an ordinary table with an index, such rows share pages."""
    columns, key = [*_columns(table), _CHECKSUM], _key(table)
    if _is_numbered(table):
        return f"CREATE TABLE IF NOT EXISTS {table} (n INTEGER PRIMARY KEY, {', '.join(columns[1:])})"
    filed = "" if table == "records" else " WITHOUT ROWID"
    return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(key)})){filed}"


def _checksum(row: Sequence[Any]) -> int:
    """The checksum of a row's values. SQLite returns True and False as 1 and 0."""
    return zlib.crc32(_pack([int(value) if isinstance(value, bool) else value for value in row]))


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, and the files beside it. Returns its new name."""
    aside = _free_name(path)
    for ending in ENDINGS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside


def _free_name(path: Path) -> Path:
    """The name under which a damaged file is kept beside the new one."""
    aside = path.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}{path.suffix}")
    return aside
