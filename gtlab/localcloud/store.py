"""Rows on disk: one SQLite file that holds what a cloud is. It knows rows, and nothing of what they mean.

Written by one process, which holds the state folder's lock. A transaction that was committed survives the end of the
process at any moment (write-ahead log); the log is brought into the file by a thread of its own, because that waits
for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_APPLICATION, _VERSION = 0x67746C62, 1  # "gtlb"; the version of what follows
_CHECKPOINT_S = 5.0
# Columns of each table; the key is those before the dot.
_TABLES = {
    "documents": "name . body",
    "items": "account region name pk sk . item",
    "versions": "grp region pk sk . time_us written deleted",
    "deliveries": "n . grp source target pk sk item time_us written due",
    "records": "stream shard sequence . at record",
    "tokens": "account region token . answer",
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
        try:
            self._open()
        except (sqlite3.Error, Damaged) as error:
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
        run("PRAGMA wal_autocheckpoint = 0")
        run("PRAGMA cache_size = -8000")  # KiB: what is on disk is in memory already, in a better form
        if application:
            return
        with self.transaction():
            for name, columns in _TABLES.items():
                key = columns.partition(" . ")[0].split()
                run(f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(_columns(name))}, PRIMARY KEY ({', '.join(key)})) "
                    "WITHOUT ROWID")
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done in the block, or nothing of it. Raises sqlite3.Error where the disk does not take it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the disk is full: SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def put(self, table: str, rows: Iterable[tuple]) -> None:
        """Write whole rows, in place of those with the same key."""
        places = ", ".join("?" * len(_columns(table)))
        self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)

    def delete(self, table: str, keys: Iterable[tuple], columns: str = "") -> None:
        """Delete the rows that have these values in ``columns``; without: in the table's key."""
        named = columns.split() or _TABLES[table].partition(" . ")[0].split()
        where = " AND ".join(f"{column} = ?" for column in named)
        self._connection.executemany(f"DELETE FROM {table} WHERE {where}", keys)

    def trim_records(self, stream: str, shard: str, before: str | None) -> None:
        """Delete the records of a shard below a sequence number; None: all of them."""
        self._connection.execute("DELETE FROM records WHERE stream = ? AND shard = ? AND sequence < ?",
                                 (stream, shard, before or "9"))

    def rows(self, table: str) -> sqlite3.Cursor:
        """Every row of a table, in the order of its key."""
        return self._connection.execute(f"SELECT * FROM {table}")

    def clear(self) -> None:
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table}")

    def close(self) -> None:
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


def _columns(table: str) -> list[str]:
    return [column for column in _TABLES[table].split() if column != "."]


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
