"""The tables of a store's SQLite file: rows with checksums, and how far the logs are in them."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gtlab import __version__
from gtlab.localcloud.disk import migrate
from gtlab.localcloud.disk.files import is_the_disks
from gtlab.localcloud.disk.format import ROWS, VERSION
from gtlab.localcloud.disk.version import APPLICATION, Newer

# A change: rows, which replace those with the same key; keys of rows to delete; first parts of keys, all of whose rows
# are deleted; or keys of records, with all the shard's records before them deleted.
PUT, DELETE, DELETE_ALL, DELETE_BEFORE = "put", "delete", "delete all", "delete before"
Change = tuple[str, str, list[tuple]]  # one of these, a table, and rows or keys
_NEWEST = ("failed", "backups")  # tables that older files of this version lack
_CHECKSUM = "checksum"  # a column of every table, of the values in the other columns
_pack = msgspec.msgpack.Encoder().encode


class Damaged(Exception):
    """The files were not written by gtlab, or are damaged. The text says how."""


class Rows:
    """The open file. Raises sqlite3.Error if the disk refuses something: then nothing was changed. Used by one thread
    at a time."""

    def __init__(self, path: Path):
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def open(self) -> int:
        """Check the file, or create its tables; its version. Raises Damaged, and Newer if a newer gtlab wrote it."""
        run = self._connection.execute
        if run("PRAGMA quick_check").fetchone()[0] != "ok":
            raise Damaged("SQLite finds it damaged")
        application, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if application not in (0, APPLICATION) or (not application and run("SELECT 1 FROM sqlite_schema").fetchone()):
            raise Damaged("it is not a file of gtlab's")
        if version > VERSION:
            raise Newer(self._path, version, None)
        if not application:
            with self.transaction():  # before the file gets a write-ahead log: see version.check
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

    def opened(self) -> None:
        """The file is in order: create the tables that older files of this version lack, and use a write-ahead log."""
        for table in _NEWEST:
            self._connection.execute(_create(table))
        self._connection.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the file. SQLite brings its own log into it and removes that."""
        self._connection.close()

    # Older versions

    def has_checksums(self) -> bool:
        """Whether the rows have checksums: those of an older release have none."""
        return self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'logged'").fetchone() is not None

    def leave_wal(self) -> None:
        """Write into the file itself from now on, where a new version belongs: see version.check."""
        self._connection.execute("PRAGMA journal_mode = DELETE")

    def add_checksums(self, version: int) -> None:
        """Give the rows of an older release their checksums, and the table that says how far the logs are in them."""
        run = self._connection.execute
        for table in ROWS.keys() - set(_NEWEST):
            run(f"ALTER TABLE {table} ADD COLUMN {_CHECKSUM}")
            rows = run(f"SELECT {', '.join(_columns(table))} FROM {table}").fetchall()
            self._write_rows({table: {row: row for row in rows}})
        last = 0
        if version == 1:  # it kept entries in a table, in place of logs
            for body, in run("SELECT body FROM changes ORDER BY n").fetchall():
                self.apply(decoded(body))
            run("DROP TABLE changes")
        else:
            last, = run("SELECT n FROM folded").fetchone()
            run("DROP TABLE folded")
        self._begin_logs(last)

    def migrate(self) -> None:
        """Bring the contents of a file of version 1 or 2 to the present format."""
        bodies = dict(self.of("documents"))
        if bodies:
            self._connection.execute("DELETE FROM documents")
            self.apply([(PUT, "documents", list(migrate.documents_from_2(bodies).items()))])
        self.apply([(PUT, "tokens", [(account, region, token, migrate.token_from_2(answer))
                                     for account, region, token, answer in list(self.of("tokens"))])])
        self._name_version()

    # The logs

    def _begin_logs(self, last: int) -> None:
        self._connection.execute("CREATE TABLE logged (n INTEGER, open INTEGER, checksum INTEGER)")
        self._connection.execute("INSERT INTO logged VALUES (0, 0, 0)")
        self.note(last, is_open=False)

    def note(self, last: int, *, is_open: bool) -> None:
        """Note how far the logs are in the tables (the number of the newest entry), and whether there may be more in
        the logs."""
        row = (last, int(is_open))
        self._connection.execute("UPDATE logged SET n = ?, open = ?, checksum = ?", (*row, _checksum(row)))

    def logged(self) -> tuple[int, bool]:
        """What :meth:`note` noted. Raises Damaged if that is damaged."""
        (*logged, checksum), = self._connection.execute("SELECT n, open, checksum FROM logged")
        if checksum != _checksum(logged):
            raise Damaged("the number of the newest entry is damaged")
        return logged[0], bool(logged[1])

    def _name_version(self) -> None:
        """Write which version of the format the file has, and which release gave it that version."""
        self._connection.execute("CREATE TABLE release (gtlab TEXT)")
        self._connection.execute("INSERT INTO release VALUES (?)", (__version__,))
        self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    # Rows

    def of(self, table: str) -> Iterator[tuple]:
        """Every row of a table, in the order of its key. Raises Damaged at a row that is not as it was written."""
        try:
            for *row, checksum in self._connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(_key(table))}"):
                if checksum != zlib.crc32(_pack(row)):
                    raise Damaged(f"a row of {table} is damaged")
                yield tuple(row)
        except sqlite3.Error as error:  # a text that is not UTF-8, for example
            if is_the_disks(error):
                raise
            raise Damaged(str(error)) from error

    def count(self) -> int:
        """The number of rows in all tables."""
        return sum(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ROWS)

    def apply(self, changes: list[Change]) -> None:
        """Bring changes into the tables, in their order."""
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

    def clear(self) -> None:
        """Delete every row."""
        for table in ROWS:
            self._connection.execute(f"DELETE FROM {table}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
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


def decoded(entry: bytes) -> list[Change]:
    """The changes of a log's entry. Older releases wrote True and False, which SQLite returns as 1 and 0, so that the
    checksums would differ."""
    changes = msgspec.msgpack.decode(entry, type=list[Change])
    return [(kind, table, [tuple(int(value) if isinstance(value, bool) else value for value in row) for row in rows])
            if table == "versions" else (kind, table, rows) for kind, table, rows in changes]


def _checksum(row: Sequence[Any]) -> int:
    """The checksum of a row's values, none of which is True or False."""
    return zlib.crc32(_pack(row))
