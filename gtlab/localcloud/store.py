"""Rows on disk: one SQLite file that holds what a cloud is. It knows rows, and nothing of what they mean.

Written by one process, which holds the state folder's lock. Changes that belong together are written as one row, which
is as quick as it can be, and survive the end of the process from then on; a while later they are folded into the
tables, many at once. SQLite's log is brought into the file by a thread of its own, because that waits for the disk.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

_APPLICATION, _VERSION = 0x67746C62, 1  # "gtlb"; the version of what follows
_CHECKPOINT_S = 5.0
# A change: rows that are written in place of those with the same key; keys of rows that go; the first parts of keys,
# of which all go; or, for the records of a shard, all that come before one.
PUT, DELETE, DELETE_ALL, DELETE_BEFORE = "put", "delete", "delete all", "delete before"
Change = tuple[str, str, list[tuple]]  # one of these, a table, and rows or keys
# Columns of each table; the key is those before the dot.
_TABLES = {
    "documents": "name . body",
    "items": "account region name pk sk . item",
    "versions": "grp region pk sk . time_us written deleted",
    "deliveries": "n . grp source target pk sk item time_us written due",
    "records": "stream shard sequence . at record",
    "tokens": "account region token . answer",
    "changes": "n . body",
}


class Damaged(Exception):
    """The file is none of ours, or is not whole; the text says in what way."""


class Store:
    """Raises Damaged where the file cannot be understood, sqlite3.Error where the disk is in the way. A file that is
    not there is made."""

    def __init__(self, path: Path):
        self._path = path
        # Only this thread uses the connection but for its last close.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._last, self._unfolded = 0, []
        try:
            self._open()
            for number, body in self._connection.execute("SELECT n, body FROM changes ORDER BY n"):
                self._last = number
                self._unfolded += msgspec.msgpack.decode(body, type=list[Change])
            self.fold()
        except (sqlite3.Error, msgspec.MsgspecError, Damaged) as error:
            self._connection.close()
            if is_the_disks(error):
                raise
            raise Damaged(str(error)) from None
        self._ended = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, name="checkpoints", daemon=True)
        self._checkpoints.start()

    def _open(self) -> None:
        run = self._connection.execute
        if run("PRAGMA quick_check").fetchone()[0] != "ok":
            raise Damaged("SQLite finds it damaged")
        application, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if application not in (0, _APPLICATION) or (not application and run("SELECT 1 FROM sqlite_schema").fetchone()):
            raise Damaged("it is not a file of gtlab's")
        if version > _VERSION:
            raise Damaged("it was written by a newer gtlab")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        # The thread never reaches the end of a log that is being written; past this many pages the writer itself does,
        # and the log begins anew.
        run("PRAGMA wal_autocheckpoint = 4000")
        run("PRAGMA cache_size = -8000")  # KiB: what is on disk is in memory already, in a better form
        if application:
            return
        with self._transaction():
            for name in _TABLES:
                run(_create(name))
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")

    def write(self, changes: list[Change]) -> None:
        """Keep changes: all of them, or none. Raises sqlite3.Error where the disk does not take them."""
        self._connection.execute("INSERT INTO changes VALUES (?, ?)", (self._last + 1, msgspec.msgpack.encode(changes)))
        self._last += 1
        self._unfolded += changes

    @property
    def unfolded(self) -> int:
        """How many rows and keys wait to be folded into the tables."""
        return sum(len(rows) for _, _, rows in self._unfolded)

    def fold(self) -> None:
        """Bring what was written into the tables. Raises sqlite3.Error where the disk does not take it: then it waits
        for the next time."""
        if self._unfolded:
            with self._transaction():
                self._apply(self._unfolded)
                self._connection.execute("DELETE FROM changes")
            self._unfolded = []

    def _apply(self, changes: list[Change]) -> None:
        latest: dict[str, dict[tuple, tuple | None]] = {}  # table → key → row; of several only the last is written
        for kind, table, rows in changes:
            if kind in (PUT, DELETE):
                width = len(_key(table))
                latest.setdefault(table, {}).update(
                    (tuple(row[:width]), tuple(row) if kind == PUT else None) for row in rows)
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
        """All that is done in the block, or nothing of it."""
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
        with self._transaction():
            for table in _TABLES:
                self._connection.execute(f"DELETE FROM {table}")
        self._unfolded = []

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # then the next start folds
            self.fold()
        self._ended.set()
        self._checkpoints.join()
        self._connection.close()  # which brings the log into the file and removes it

    def _checkpoint(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while not self._ended.wait(_CHECKPOINT_S):
                with contextlib.suppress(sqlite3.Error):  # the next one will do it
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def is_the_disks(error: Exception) -> bool:
    """Whether an error is the disk's, or of the permissions on it: the file itself may be in order."""
    name = getattr(error, "sqlite_errorname", "")
    return name.removeprefix("SQLITE_").split("_")[0] in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY")


@functools.cache
def _columns(table: str) -> list[str]:
    return [column for column in _TABLES[table].split() if column != "."]


@functools.cache
def _key(table: str) -> list[str]:
    return _TABLES[table].partition(" . ")[0].split()


def _create(table: str) -> str:
    """The statement that makes a table. A row of a kilobyte or more takes pages of its own where it is filed by its key
    (WITHOUT ROWID); filed by number, with an index beside, such rows are packed."""
    columns, key = _columns(table), _key(table)
    if key == ["n"]:
        return f"CREATE TABLE {table} (n INTEGER PRIMARY KEY, {', '.join(columns[1:])})"
    filed = "" if table == "records" else " WITHOUT ROWID"
    return f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(key)})){filed}"


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, with what SQLite keeps beside it; its new name."""
    aside = path.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}{path.suffix}")
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside
