"""Find the version of a file's disk format without opening the file with SQLite, which could change it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from gtlab import __version__
from gtlab.contract import HOME_VARIABLE
from gtlab.localcloud.disk.format import VERSION

APPLICATION = 0x67746C62  # "gtlb": SQLite's application_id in gtlab's files
_MAGIC, _HEADER, _VERSION_AT, _APPLICATION_AT = b"SQLite format 3\0", 100, 60, 68  # of SQLite's file format


class Newer(Exception):
    """The state was written in a newer disk format. The text says which gtlab reads it."""

    def __init__(self, path: Path, version: int, release: str | None):
        by, needs = (f"gtlab {release}", f"gtlab {release} or newer") if release else ("a newer gtlab", "a newer gtlab")
        super().__init__(f"The state in {path.parent} was written by {by} (disk format {version}). This is gtlab "
                         f"{__version__}, which reads formats up to {VERSION}. Install {needs}, or use another folder: "
                         f"set {HOME_VARIABLE}.")


def check(path: Path) -> None:
    """Raise Newer if a file has a newer format. A file that does not exist, or that gtlab did not write, passes.

    The version is in the file itself and not only in SQLite's write-ahead log, because it is written before the file
    gets such a log.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER)
    except OSError:  # opening the file says what is wrong
        return
    if len(header) < _HEADER or not header.startswith(_MAGIC) or _number(header, _APPLICATION_AT) != APPLICATION:
        return
    version = _number(header, _VERSION_AT)
    if version > VERSION:
        raise Newer(path, version, _release(path))


def _release(path: Path) -> str | None:
    """The first release that reads a file, as the file says; None if it does not say so."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        found = connection.execute("SELECT gtlab FROM release").fetchone()
        return found and str(found[0])
    return None


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at:at + 4], "big")
