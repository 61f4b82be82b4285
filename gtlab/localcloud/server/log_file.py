"""The server's log: standard error, which ``gtlab up`` appends to a file. A repeated error must not fill the disk."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from gtlab import redaction

MOST_BYTES = 4 << 20  # of the file; if it gets larger, its newest half is kept


class LogFile(logging.StreamHandler):
    """Writes to standard error, and bounds it if it is the file ``path``."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = path

    def format(self, record: logging.LogRecord) -> str:
        """An error may quote a request, so it is written without credentials and account ids."""
        return redaction.hide(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        with contextlib.suppress(OSError, ValueError):  # it is no file, or is closed
            self._bound(self.stream.fileno())

    def _bound(self, file: int) -> None:
        found = os.fstat(file)
        if found.st_size > MOST_BYTES and os.path.samestat(found, self._path.stat()):
            _, _, newest = self._path.read_bytes()[-MOST_BYTES // 2:].partition(b"\n")
            os.ftruncate(file, 0)
            os.write(file, b"(Older lines were removed.)\n" + newest)
