"""Locks between processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import filelock
import pytest
from support import wait_until

from gtlab import locks
from gtlab.locks import FileLock, Timeout

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there the locks are filelock's")
HOLD = """if True:
    import sys
    from pathlib import Path
    from gtlab.locks import FileLock
    with FileLock(Path(sys.argv[1]), mode=0o600):
        print("held", flush=True)
        sys.stdin.read()"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.lock"


@pytest.fixture
def holder(path):
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdout.readline() == b"held\n"
        yield held
        held.kill()


def test_another_process_waits_and_gets_the_lock_when_its_holder_dies(path, holder):
    with pytest.raises(Timeout, match="another process holds"), FileLock(path, timeout=0.2):
        pass
    assert path.stat().st_mode & 0o777 == 0o600
    holder.kill()
    with FileLock(path, timeout=30):
        pass


def test_with_and_acquire_hold_it_once_and_release_it(path):
    lock, other = FileLock(path), FileLock(path)
    other.release()  # which it does not hold
    with lock.acquire(timeout=0), pytest.raises(Timeout):
        other.acquire(timeout=0)
    with other, pytest.raises(Timeout):
        lock.acquire(timeout=0)
    lock.acquire(timeout=0)
    lock.release()


def test_who_waits_gets_it_when_it_is_released(path):
    lock, got = FileLock(path), []
    with lock:
        waiting = threading.Thread(target=lambda: got.append(FileLock(path).acquire(timeout=60)))
        waiting.start()
    wait_until(lambda: got, "the lock")
    waiting.join()
    got[0].release()


@pytest.mark.parametrize("first", [FileLock, filelock.FileLock])
def test_it_and_filelocks_exclude_each_other(path, first):
    second, = {FileLock, filelock.FileLock} - {first}
    with first(path), pytest.raises(TimeoutError):
        second(path).acquire(timeout=0)
    with second(path):
        pass


def test_a_file_that_was_deleted_before_it_was_locked_does_not_count(path, monkeypatch):
    flock, at = locks.fcntl.flock, []

    def late(file, how):
        if not at:
            at.append(path.unlink())
        flock(file, how)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    with FileLock(path), pytest.raises(Timeout):
        FileLock(path).acquire(timeout=0)


def test_a_file_system_without_flock_is_left_to_filelock(path, monkeypatch):
    def absent(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", absent)
    with pytest.warns(UserWarning, match="flock not supported"), FileLock(path, timeout=0):
        assert path.exists()
    assert not path.exists()


def test_what_is_wrong_with_the_file_is_told(tmp_path):
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(FileNotFoundError), FileLock(tmp_path / "absent" / "a.lock"):
        pass
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_a_command_starts_without_filelock_and_asyncio():
    """They would take a third of its start."""
    code = "import sys, gtlab.cli.main; print(sorted({'filelock', 'asyncio'} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
