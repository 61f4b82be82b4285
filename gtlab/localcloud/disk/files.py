"""The files of a store: their names, how damaged ones are set aside, and which errors are the disk's."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

LOGS, SEAL = ("-log0", "-log1"), "-seal"
ENDINGS = ("", "-wal", "-shm", *LOGS, SEAL)  # of the names of the files that belong together


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, and the files beside it. Returns its new name."""
    aside = _free_name(path)
    for ending in ENDINGS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside


def copy_aside(path: Path) -> Path:
    """Copy the files as they are, except what SQLite makes again. Returns the name of the copy."""
    aside = _free_name(path)
    with disk_errors():
        for ending in set(ENDINGS) - {"-shm"}:
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(path.name + ending), aside.with_name(aside.name + ending))
    return aside


def _free_name(path: Path) -> Path:
    """The name under which a damaged file is kept beside the new one."""
    aside = path.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{path.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}{path.suffix}")
    return aside


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raise the operating system's errors as SQLite's, so that callers handle one kind."""
    try:
        yield
    except OSError as error:
        raise as_sqlites(error) from error


def as_sqlites(error: OSError) -> sqlite3.OperationalError:
    raised = sqlite3.OperationalError(error.strerror or str(error))
    raised.sqlite_errorname = "SQLITE_IOERR"
    return raised


def is_the_disks(error: Exception) -> bool:
    """Whether the disk or its permissions caused an error; the file itself may be intact."""
    name = getattr(error, "sqlite_errorname", "")
    return name.removeprefix("SQLITE_").split("_")[0] in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY")
