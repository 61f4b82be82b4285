"""How far the logs go: the number of the newest entry, in a file of its own.

A log that was cut short at the end of an entry looks like a whole log. The seal says how many entries there were.

The number is in mapped memory, so setting it takes no call to the operating system, and it survives the end of the
process at any moment. Two places are written in turn, so that one of them is whole if the process ends while it writes.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path

_NUMBER, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_PLACE = _NUMBER.size + _CHECKSUM.size


class Seal:
    """One file, created if it does not exist. Raises OSError if the disk refuses it."""

    def __init__(self, path: Path):
        self._path, self._next = path, 0
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            lacking = 2 * _PLACE - os.fstat(file).st_size
            if lacking > 0:
                os.lseek(file, 0, os.SEEK_END)
                os.write(file, b"\xff" * lacking)  # no number has this checksum
            self._memory = mmap.mmap(file, 2 * _PLACE)
        finally:
            os.close(file)

    def number(self) -> int | None:
        """The number that was set last; None if there is none, or if the file is damaged."""
        found = [_NUMBER.unpack_from(self._memory, at)[0] for at in (0, _PLACE)
                 if _CHECKSUM.unpack_from(self._memory, at + _NUMBER.size)[0]
                 == zlib.crc32(self._memory[at:at + _NUMBER.size])]
        return max(found, default=None)

    def set(self, number: int) -> None:
        """Note the number of the newest entry. Numbers only increase."""
        body = _NUMBER.pack(number)
        self._memory[self._next:self._next + _PLACE] = body + _CHECKSUM.pack(zlib.crc32(body))
        self._next = _PLACE - self._next

    def close(self) -> None:
        self._memory.close()

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)
