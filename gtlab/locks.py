"""Locks that one process at a time can hold, such as the one that the local cloud holds while it exists.

The package filelock has them for every system. It also imports asyncio and more, a third of the processor time of a
short gtlab command. Where filelock would use flock, these locks do so themselves, and each excludes the other's.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["FileLock", "Timeout"]

if sys.platform == "win32":
    from filelock import FileLock, Timeout
else:
    import fcntl

    _POLL_S = 0.05
    _HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)

    class Timeout(TimeoutError):
        """Another process holds the lock."""

    class FileLock:
        """A lock on a file, which is created if it is absent, and stays. ``timeout``: seconds to wait; -1: for ever.
        Use it in a ``with`` statement, or call :meth:`acquire` and :meth:`release`. It ends with the process, too."""

        def __init__(self, path: Path, timeout: float = -1, mode: int = 0o644):
            self._path, self._timeout, self._mode = path, timeout, mode
            self._held: int | None = None  # the open file
            self._other: Any = None  # a lock of filelock

        def acquire(self, timeout: float | None = None) -> FileLock:
            """Take the lock, and return it for a ``with`` statement. Raises Timeout, or OSError if the file cannot be
            opened."""
            seconds = self._timeout if timeout is None else timeout
            deadline = time.monotonic() + seconds
            while not self._take(seconds):
                if 0 <= seconds and time.monotonic() >= deadline:
                    raise Timeout(f"another process holds {self._path}")
                time.sleep(_POLL_S)
            return self

        def release(self) -> None:
            if self._other:
                self._other.release()
            elif self._held is not None:
                fcntl.flock(self._held, fcntl.LOCK_UN)  # a child process may have the file open, too
                os.close(self._held)
            self._other = self._held = None

        def __enter__(self) -> FileLock:
            return self if self._held is not None or self._other else self.acquire()

        def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                     trace: TracebackType | None) -> None:
            self.release()

        def _take(self, seconds: float) -> bool:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, self._mode)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink:  # if not, it was deleted before it was locked
                    self._held = file
                    return True
            except OSError as error:
                if error.errno == errno.ENOSYS:
                    self._instead(seconds)
                    return True
                if error.errno not in _HELD:
                    raise
            finally:
                if self._held is None:
                    os.close(file)
            return False

        def _instead(self, seconds: float) -> None:
            """Lock in filelock's way for a file system without flock, such as some of Lustre's."""
            import filelock

            other = filelock.FileLock(self._path, mode=self._mode)
            try:
                other.acquire(timeout=seconds)
            except filelock.Timeout:
                raise Timeout(f"another process holds {self._path}") from None
            self._other = other
