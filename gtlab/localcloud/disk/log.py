"""A file to which entries are appended. Each entry is there completely, or not at all.

An appended entry survives the end of the process at any moment, because the operating system has it. Appending is one
write to the end of a file (two for a large entry), which takes some microseconds; a commit of the same size takes
SQLite twenty times as long.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<QII")  # an entry's number, the length of its body, the body's checksum
_SEAL = struct.Struct("<I")    # the checksum of that
_BEFORE = _HEAD.size + _SEAL.size
_LARGE = 1 << 20  # bytes of a body that is written by itself: to put it behind its head would copy it


class Broken(Exception):
    """The file was changed since it was written. The text says where."""


class Log:
    """One file, created if it does not exist. Raises OSError if the disk refuses it."""

    def __init__(self, path: Path):
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._end = os.lseek(self._file, 0, os.SEEK_END)

    def append(self, number: int, body: bytes) -> None:
        """Append an entry. If that fails, the file is as it was before."""
        head = _HEAD.pack(number, len(body), zlib.crc32(body))
        before = head + _SEAL.pack(zlib.crc32(head))
        try:
            for part in (before + body,) if len(body) < _LARGE else (before, body):
                if os.write(self._file, part) < len(part):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise
        self._end += len(before) + len(body)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Number and body of each entry, in the order in which they were appended. An incomplete last entry is left
        out: whether it was acknowledged is known to :mod:`seal`. Raises Broken for other damage, after the entries
        before it."""
        content, at = self._path.read_bytes(), 0
        while len(content) - at >= _BEFORE:
            head = content[at:at + _HEAD.size]
            if _SEAL.unpack_from(content, at + _HEAD.size)[0] != zlib.crc32(head):
                raise Broken(f"{self._path.name} is damaged at byte {at}")
            number, length, checksum = _HEAD.unpack(head)
            body = content[at + _BEFORE:at + _BEFORE + length]
            if len(body) < length:
                return
            if zlib.crc32(body) != checksum:
                raise Broken(f"{self._path.name} is damaged after byte {at}")
            yield number, body
            at += _BEFORE + length

    def empty(self) -> None:
        """Delete all entries."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._end = 0

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)
