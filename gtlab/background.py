"""The local cloud as a background process: start it, find it, stop it.

It lives on after the notebook or shell that started it, and keeps its state in one folder, the home, which
the environment variable GTLAB_HOME names. Two homes are two separate clouds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

NETWORKS = ("realistic", "fast", "instant")
LEGACY_APIS = ("historic", "2026")  # version 2017.11.29 as it was, or refused as AWS refuses it today
_START_S = 30.0      # how long a start may take before it is given up; a busy machine needs some of it
_ALREADY_RUNS, _PORT_IN_USE, _DISK = 3, 4, 5  # exit codes of python -m gtlab.localcloud


class CloudError(Exception):
    """The local cloud cannot do what was asked; the text says why, and what to do."""


@dataclass(frozen=True)
class Running:
    """A local cloud that answers."""

    folder: Path
    port: int
    pid: int
    instance: str
    network: str
    legacy_api: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def state_folder() -> Path:
    """The state folder: GTLAB_HOME, or the platform's folder for a user's program state. Made if absent."""
    named = os.environ.get("GTLAB_HOME")
    folder = Path(named).expanduser() if named else Path(platformdirs.user_state_dir("gtlab", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CloudError(f"The state folder {folder} cannot be made: {error.strerror}. "
                         "Name another with the environment variable GTLAB_HOME.") from None
    return folder.resolve()


def find() -> Running | None:
    """The local cloud of this home, if one runs and answers. A state file that a dead one left is ignored."""
    state = _state()
    if not state:
        return None
    answer = _ask(state["port"], "status", timeout_s=5.0 if _alive() else 0.5)
    if answer is None or answer.get("instance") != state["instance"]:
        return None  # dead, or its port is somebody else's by now
    return Running(state_folder(), state["port"], state["pid"], state["instance"], answer["network"],
                   answer["legacy_api"])


def status(cloud: Running) -> dict:
    """What the cloud says of itself: instance, pid, started, network, seed, legacy_api, tables,
    deliveries_waiting."""
    answer = _ask(cloud.port, "status")
    if answer is None:
        raise CloudError("The local cloud has stopped answering. Start it again: gtlab up")
    return answer


def legacy_face(port: int, face: str | None = None) -> str:
    """How a running cloud answers the calls of version 2017.11.29 (one of LEGACY_APIS), set to ``face`` if given.

    Raises ValueError for another face, CloudError where no cloud answers.
    """
    if face is not None and face not in LEGACY_APIS:
        raise ValueError(f"There is no legacy API {face!r}. Choose one of: {', '.join(LEGACY_APIS)}.")
    answer = (_ask(port, "legacy-api") if face is None
              else _ask(port, "legacy-api", method="PUT", body={"face": face}))
    if answer is None:
        raise CloudError("The local cloud has stopped answering. Start it again: gtlab up")
    return answer["face"]


def up(port: int = 0, network: str | None = None, seed: int | None = None, legacy_api: str | None = None,
       in_memory: bool = False) -> tuple[Running, bool]:
    """The running cloud of this home, started if there is none; and whether it was started now.

    ``port`` 0 takes the last one again, or any free one. ``network`` is one of NETWORKS, ``legacy_api`` one of
    LEGACY_APIS; not given, they are as they were last (at first realistic, historic). ``in_memory``: the cloud
    neither takes up what this home keeps nor keeps anything. Raises CloudError: the port is taken, or a cloud that
    runs already has another port, network or legacy API than was asked for.
    """
    with _start_lock():
        running = find()
        if running:
            _check_same(running, port, network, legacy_api)
            return running, False
        if _alive():
            raise CloudError("The local cloud of this home runs but does not answer. Stop it with: gtlab down")
        return _start(port, network, seed, legacy_api, in_memory), True


def down() -> bool:
    """Stop the cloud of this home. False where none ran."""
    with _start_lock():
        running = find()
        if running:
            _ask(running.port, "stop", method="POST")
        elif _alive():
            _end_process()
        else:
            return False
        if not _wait(lambda: not _alive(), 10.0):
            _end_process()
            if not _wait(lambda: not _alive(), 10.0):
                raise CloudError(f"The local cloud (process {(_state() or {}).get('pid')}) does not end.")
        return True


@contextlib.contextmanager
def throwaway(network: str = "fast", seed: int | None = None, legacy_api: str | None = None) -> Iterator[Running]:
    """A local cloud of its own in a temporary home, for as long as the block lasts; this process and the ones it
    starts use it (GTLAB_HOME). It and all that is in it are gone afterwards."""
    before = os.environ.get("GTLAB_HOME")
    with tempfile.TemporaryDirectory(prefix="gtlab-", ignore_cleanup_errors=True) as folder:
        os.environ["GTLAB_HOME"] = folder
        try:
            yield up(network=network, seed=seed, legacy_api=legacy_api, in_memory=True)[0]
        finally:
            down()
            if before is None:
                del os.environ["GTLAB_HOME"]
            else:
                os.environ["GTLAB_HOME"] = before


def _check_same(running: Running, port: int, network: str | None, legacy_api: str | None) -> None:
    for what, asked, has in (("port", port, running.port), ("network", network, running.network),
                             ("legacy API", legacy_api, running.legacy_api)):
        if asked and asked != has:
            raise CloudError(f"A local cloud runs already, with {what} {has}, not {asked}. "
                             "Stop it first (it keeps its tables): gtlab down")


def _start(port: int, network: str | None, seed: int | None, legacy_api: str | None, in_memory: bool) -> Running:
    folder = state_folder()
    command = [sys.executable, "-m", "gtlab.localcloud", "--home", str(folder), "--port", str(port),
               "--prefer-port", str((_state() or {}).get("port", 0))]
    for option, value in (("--network", network), ("--seed", seed), ("--legacy-api", legacy_api)):
        if value is not None:
            command += [option, str(value)]
    if in_memory:
        command.append("--in-memory")
    before = (_state() or {}).get("instance")
    # A session of its own: Ctrl-C in the terminal, or the end of the kernel, must not reach it.
    apart = ({"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
             if sys.platform == "win32" else {"start_new_session": True})
    with open(folder / "cloud.log", "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=folder, env=os.environ | {"PYTHONPATH": _python_path()}, **apart)

    def started() -> Running | None:
        state = _state()
        return find() if state and state["instance"] != before else None

    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        found = started()
        if found:
            process.returncode = 0  # it is no child to wait for: silence Popen's warning about it
            return found
        if process.poll() is not None:
            raise _failed_start(process.returncode, port, folder)
        time.sleep(0.01)
    process.kill()
    raise CloudError(f"The local cloud did not answer within {_START_S:.0f} s. Its log: {folder / 'cloud.log'}")


def _failed_start(code: int, port: int, folder: Path) -> CloudError:
    if code == _PORT_IN_USE:
        return CloudError(f"Port {port} is in use by another program. Choose another, or leave --port out to take "
                          "any free one.")
    if code == _ALREADY_RUNS:
        return CloudError("Another local cloud of this home is just starting or ending. Try again.")
    if code == _DISK:
        return CloudError(f"The state in {folder} cannot be read or written: is the disk full, or the folder somebody "
                          f"else's? Its log: {folder / 'cloud.log'}. To go on without: gtlab up --in-memory")
    return CloudError(f"The local cloud ended at its start (exit code {code}). Its log: {folder / 'cloud.log'}")


def _python_path() -> str:
    """Where this gtlab was imported from, first: the server is the same gtlab as the caller."""
    here = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def _state() -> dict | None:
    """The state file, or None where it is absent or not ours to read."""
    try:
        state = json.loads((state_folder() / "cloud.json").read_text())
        usable = 0 < state["port"] < 65536 and state["pid"] > 0 and isinstance(state["instance"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if usable else None


def _alive() -> bool:
    """Whether a cloud of this home lives, answering or not: it holds its lock as long as it lives."""
    lock = FileLock(state_folder() / "cloud.lock")
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def _start_lock():
    """One start or stop at a time: thirty notebooks opened at once start one cloud."""
    return FileLock(state_folder() / "start.lock").acquire(timeout=2 * _START_S)


def _end_process() -> None:
    """End a cloud that does not answer. It holds the lock, so the process in its state file is the cloud."""
    state = _state()
    if state:
        with contextlib.suppress(ProcessLookupError):  # a hung process does not heed SIGTERM; Windows has no SIGKILL
            os.kill(state["pid"], getattr(signal, "SIGKILL", signal.SIGTERM))


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _ask(port: int, what: str, method: str = "GET", timeout_s: float = 5.0, body: dict | None = None) -> dict | None:
    """The control API's answer, or None where there is none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/_gtlab/v1/{what}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={} if body is None else {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    try:
        with opener.open(request, timeout=timeout_s) as response:
            answer = json.load(response)
    except (OSError, ValueError, urllib.error.HTTPError):
        return None
    return answer if isinstance(answer, dict) else None
