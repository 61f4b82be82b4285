"""Rows on disk: one SQLite file with the state of a cloud, and two logs beside it. This module does not know what the
rows mean.

One process writes them; it holds the state folder's lock. Changes that belong together are appended to a log as one
entry, which takes microseconds; from then on they survive the end of the process. Later, a second thread writes many of
them into SQLite's tables at once (they are "folded"), because that is slow and waits for the disk. Meanwhile, new
changes go to the other log. A log is emptied when all its entries are in the tables; the tables contain the number of
the newest entry that they include.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from gtlab import __version__
from gtlab.localcloud.disk import migrate
from gtlab.localcloud.disk.format import ROWS, VERSION
from gtlab.localcloud.disk.log import Broken, Log
from gtlab.localcloud.disk.version import APPLICATION, Newer, check

_LOGS = ("-log0", "-log1")
ENDINGS = ("", "-wal", "-shm", *_LOGS)  # of the names of the files that belong together
# A change: rows, which replace those with the same key; keys of rows to delete; first parts of keys, all of whose rows
# are deleted; or keys of records, with all the shard's records before them deleted.
PUT, DELETE, DELETE_ALL, DELETE_BEFORE = "put", "delete", "delete all", "delete before"
Change = tuple[str, str, list[tuple]]  # one of these, a table, and rows or keys
_pack = msgspec.msgpack.Encoder().encode


class Damaged(Exception):
    """The files were not written by gtlab, or are damaged. The text says how."""


class Store:
    """Opens the files, or creates them. Raises Damaged if they cannot be read, Newer if a newer gtlab wrote them, and
    sqlite3.Error if the disk or its permissions are the reason."""

    def __init__(self, path: Path):
        self._logs: list[Log] = []                                # the one that is written comes first
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
            self._take_up()
            if version < VERSION:
                self._migrate()
        except (sqlite3.Error, Broken, Damaged, Newer, KeyError, ValueError, TypeError) as error:
            self._connection.close()
            for log in self._logs:
                log.close()
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
                self._begin_logs()
                self._name_version()
            version = VERSION
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA cache_size = -8000")  # KiB: what is on disk is in memory already, in a better form
        if version == 1:  # it kept entries in a table, in the place of logs
            with self._transaction():
                for body, in run("SELECT body FROM changes ORDER BY n").fetchall():
                    self._apply(msgspec.msgpack.decode(body, type=list[Change]))
                run("DROP TABLE changes")
                self._begin_logs()
                run("PRAGMA user_version = 2")
        return version

    def _begin_logs(self) -> None:
        """Note how far the logs are in the tables: the number of the newest entry."""
        self._connection.execute("CREATE TABLE folded (n INTEGER)")
        self._connection.execute("INSERT INTO folded VALUES (0)")

    def _name_version(self) -> None:
        """Write which version of the format the file has, and which release gave it that version."""
        self._connection.execute("CREATE TABLE release (gtlab TEXT)")
        self._connection.execute("INSERT INTO release VALUES (?)", (__version__,))
        self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _migrate(self) -> None:
        """Rewrite what version 2 wrote, all of it or nothing. The logs are empty."""
        run = self._connection.execute
        run("PRAGMA journal_mode = DELETE")  # the new version belongs in the file itself: see version.check
        with self._transaction():
            bodies = dict(self.rows("documents"))
            if bodies:
                run("DELETE FROM documents")
                self._connection.executemany("INSERT INTO documents VALUES (?, ?)",
                                             migrate.documents_from_2(bodies).items())
            for account, region, token, answer in self.rows("tokens").fetchall():
                run("UPDATE tokens SET answer = ? WHERE account = ? AND region = ? AND token = ?",
                    (migrate.token_from_2(answer), account, region, token))
            self._name_version()
        run("PRAGMA journal_mode = WAL")

    def _take_up(self) -> None:
        """Fold what the last process left in the logs."""
        self._last, = self._connection.execute("SELECT n FROM folded").fetchone()
        entries = sorted(entry for log in self._logs for entry in log.entries() if entry[0] > self._last)
        if entries:
            changes = [change for _, body in entries for change in msgspec.msgpack.decode(body, type=list[Change])]
            self._last = entries[-1][0]
            self._bring_in(changes, self._last)
        with _the_disks():
            for log in self._logs:
                log.empty()

    def write(self, changes: list[Change]) -> None:
        """Keep all the changes, or none. Raises sqlite3.Error if the disk refuses them."""
        try:
            self._logs[0].append(self._last + 1, _pack(changes))
        except OSError as error:
            raise _as_sqlites(error) from error
        self._last += 1
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

    def _bring_in(self, changes: list[Change], last: int, log: Log | None = None) -> None:
        with self._transaction():
            self._apply(changes)
            self._connection.execute("UPDATE folded SET n = ?", (last,))
        if log:
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
            places = ", ".join("?" * len(_columns(table)))
            self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})",
                                         [row for row in rows.values() if row is not None])
            tests = " AND ".join(f"{column} = ?" for column in _key(table))
            self._connection.executemany(f"DELETE FROM {table} WHERE {tests}",
                                         [key for key, row in rows.items() if row is None])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Everything in the block is done, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the disk is full: SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def rows(self, table: str) -> sqlite3.Cursor:
        """Every row of a table, in the order of its key."""
        return self._connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(_key(table))}")

    def clear(self) -> None:
        """Delete everything. Raises sqlite3.Error if the disk refuses it: then nothing was deleted."""
        with contextlib.suppress(sqlite3.Error):
            self.fold()
        with self._transaction():
            for table in ROWS:
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.execute("UPDATE folded SET n = ?", (self._last,))
        self._unfolded, self._folding = [], None
        with _the_disks():
            for log in self._logs:
                log.empty()

    def close(self) -> None:
        end = Log.remove
        try:
            self.fold()
        except sqlite3.Error:  # then the next start does
            end = Log.close
        self._worker.shutdown()
        self._connection.close()  # which brings SQLite's own log into the file and removes it
        for log in self._logs:
            end(log)


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
    columns, key = _columns(table), _key(table)
    if _is_numbered(table):
        return f"CREATE TABLE {table} (n INTEGER PRIMARY KEY, {', '.join(columns[1:])})"
    filed = "" if table == "records" else " WITHOUT ROWID"
    return f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(key)})){filed}"


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, and the files beside it. Returns its new name."""
    aside = path.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}{path.suffix}")
    for ending in ENDINGS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside
