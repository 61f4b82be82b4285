"""The local cloud as a background process: start it, find it, stop it.

It lives on after the notebook or shell that started it, and keeps its state in one folder, the home, which
the environment variable GTLAB_HOME names. Two homes are two separate clouds.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import numbers
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from gtlab.contract import (
    CONTROL_PREFIX,
    FACES,
    HOME_VARIABLE,
    LOCK_FILE,
    LOG_FILE,
    LOOPBACK,
    PROCESS_FILE,
    STATE_FILE,
    TOKEN_VARIABLE,
    Exit,
)

_START_S = 30.0      # how long a start may take before it is given up; a busy machine needs some of it
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,256}")  # what a Bearer token may have, and no shell heeds


class CloudError(Exception):
    """The local cloud cannot do what was asked; the text says why, and what to do."""


@dataclass(frozen=True)
class Running:
    """A local cloud that answers. ``address`` is the one that it listens on; ``token`` is what it asks everybody for,
    None where it is for this machine only. ``endpoints`` are URLs by Region; at ``url`` all of them are together."""

    folder: Path
    port: int
    pid: int
    instance: str
    network: str
    legacy_api: str
    address: str = LOOPBACK
    token: str | None = field(default=None, repr=False)
    endpoints: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    in_memory: bool = False

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        return _url(self.address, self.port)


def state_folder() -> Path:
    """The state folder: GTLAB_HOME, or the platform's folder for a user's program state. Made if absent."""
    named = os.environ.get(HOME_VARIABLE)
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
                   answer["legacy_api"], state["address"], state["token"], answer["endpoints"], answer["in_memory"])


def status(cloud: Running) -> dict:
    """What the cloud says of itself: instance, pid, started, network, seed, legacy_api, tables,
    deliveries_waiting, endpoints (by Region), in_memory, note (what a user should know of its start)."""
    return control(cloud.port, "status")


def legacy_face(port: int, face: str | None = None) -> str:
    """How a running cloud answers the calls of version 2017.11.29 (one of FACES), set to ``face`` if given.

    Raises ValueError for another face, CloudError where no cloud answers.
    """
    if face is not None and face not in FACES:
        raise ValueError(f"There is no legacy API {face!r}. Choose one of: {', '.join(FACES)}.")
    answer = (control(port, "legacy-api") if face is None else control(port, "legacy-api", "PUT", {"face": face}))
    return answer["face"]


def up(port: int = 0, network: str | None = None, seed: int | None = None, legacy_api: str | None = None,
       in_memory: bool | None = None, listen: str | None = None, token: str | None = None) -> tuple[Running, bool]:
    """The running cloud of this home, started if there is none; and whether it was started now.

    ``port`` 0 takes the last one again, or any free one. ``network`` is one of NETWORKS, ``legacy_api`` one of
    FACES; not given, they are as they were last (at first realistic, historic). ``in_memory``: the cloud
    neither takes up what this home keeps nor keeps anything; not given, one that is started does both. ``listen`` is
    the IP address to listen on, instead of the loopback one; everybody is asked for ``token`` then (not given: the last
    one, or one that is made up).
    Raises CloudError: the port is taken, or a cloud that runs already has another port, network, legacy API, address
    or token than was asked for, or differs in whether it keeps its state. Raises ValueError for an address or a token
    that cannot be.
    """
    _check_listen(listen, token)
    with _start_lock():
        running = find()
        if running:
            _check_same(running, port, network, legacy_api, listen)
            if in_memory is not None and in_memory != running.in_memory:
                raise CloudError("A local cloud runs already, and keeps its state "
                                 + ("in memory only. Stop it first (its tables go with it): gtlab down"
                                    if running.in_memory else
                                    "on disk. Stop it first (it keeps its tables): gtlab down"))
            if token and token != running.token:
                raise CloudError("A local cloud runs already, with another token. Stop it first (it keeps its tables): "
                                 "gtlab down")
            return running, False
        if not _wait(lambda: not _alive(), 2.0):  # one that has just been killed holds its lock a moment longer
            raise CloudError("The local cloud of this home runs but does not answer. Stop it with: gtlab down")
        return _start(port, network, seed, legacy_api, bool(in_memory), listen, token), True


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


def reset() -> list[Path]:
    """Empty the local cloud of this home, running or not. Gives the damaged state files that were set aside in the
    past: they stay."""
    with _start_lock():
        running = find()
        if running:
            control(running.port, "reset", "POST")
        elif _alive():
            raise CloudError("The local cloud of this home runs but does not answer. Stop it with: gtlab down")
        else:
            for path in state_folder().glob(f"{STATE_FILE}*"):  # with the logs beside it
                path.unlink(missing_ok=True)
        return sorted(state_folder().glob(f"{Path(STATE_FILE).stem}-damaged-*{Path(STATE_FILE).suffix}"))


@contextlib.contextmanager
def throwaway(network: str = "fast", seed: int | None = None, legacy_api: str | None = None) -> Iterator[Running]:
    """A local cloud of its own in a temporary home, for as long as the block lasts; this process and the ones it
    starts use it (GTLAB_HOME). It and all that is in it are gone afterwards."""
    before = os.environ.get(HOME_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="gtlab-", ignore_cleanup_errors=True) as folder:
        os.environ[HOME_VARIABLE] = folder
        try:
            yield up(network=network, seed=seed, legacy_api=legacy_api, in_memory=True)[0]
        finally:
            down()
            if before is None:
                del os.environ[HOME_VARIABLE]
            else:
                os.environ[HOME_VARIABLE] = before


def _check_listen(listen: str | None, token: str | None) -> None:
    if listen is not None:
        try:
            ipaddress.ip_address(listen)
        except ValueError:
            raise ValueError(f"{listen!r} is no IP address. Give one of this machine's, or 0.0.0.0 for all.") from None
    if token is not None and listen is None:
        raise ValueError("A token is asked of those who come from elsewhere: give --listen ADDRESS with it.")
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValueError("A token has 8 to 256 characters, of these: letters, digits, . _ ~ + / = -")


def _check_same(running: Running, port: int, network: str | None, legacy_api: str | None, listen: str | None) -> None:
    for what, asked, has in (("port", port, running.port), ("network", network, running.network),
                             ("legacy API", legacy_api, running.legacy_api), ("address", listen, running.address)):
        if asked and asked != has:
            raise CloudError(f"A local cloud runs already, with {what} {has}, not {asked}. "
                             "Stop it first (it keeps its tables): gtlab down")


def _start(port: int, network: str | None, seed: int | None, legacy_api: str | None, in_memory: bool,
           listen: str | None, token: str | None) -> Running:
    folder = state_folder()
    command = [sys.executable, "-m", "gtlab.localcloud", "--home", str(folder), "--port", str(port)]
    for option, value in (("--network", network), ("--seed", seed), ("--legacy-api", legacy_api),
                          ("--listen", listen)):
        if value is not None:
            command += [option, str(value)]
    if in_memory:
        command.append("--in-memory")
    before = (_state() or {}).get("instance")
    # A session of its own: Ctrl-C in the terminal, or the end of the kernel, must not reach it.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    with open(folder / LOG_FILE, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=folder, env=os.environ | {"PYTHONPATH": _python_path(),
                                                                 TOKEN_VARIABLE: token or ""}, **apart)

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
            raise _failed_start(process.returncode, port, listen, folder)
        time.sleep(0.01)
    process.kill()
    raise CloudError(f"The local cloud did not answer within {_START_S:.0f} s. Its log: {folder / LOG_FILE}")


def _failed_start(code: int, port: int, listen: str | None, folder: Path) -> CloudError:
    if code == Exit.PORT_IN_USE:
        return CloudError(f"Port {port} is in use by another program. Choose another, or leave --port out to take "
                          "any free one.")
    if code == Exit.NO_ADDRESS:
        return CloudError(f"{listen} is no address of this machine. Give one that is, or 0.0.0.0 for all.")
    if code == Exit.ALREADY_RUNS:
        return CloudError("Another local cloud of this home is just starting or ending. Try again.")
    if code == Exit.NEWER_STATE:
        return CloudError((folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-1])
    if code == Exit.DISK:
        return CloudError(f"The state in {folder} cannot be read or written: is the disk full, or the folder somebody "
                          f"else's? Its log: {folder / LOG_FILE}. To go on without: gtlab up --in-memory")
    return CloudError(f"The local cloud ended at its start (exit code {code}). Its log: {folder / LOG_FILE}")


def _python_path() -> str:
    """Where this gtlab was imported from, first: the server is the same gtlab as the caller."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def _state() -> dict | None:
    """The state file, or None where it is absent or not ours to read."""
    try:
        state = json.loads((state_folder() / PROCESS_FILE).read_text())
        usable = 0 < state["port"] < 65536 and state["pid"] > 0 and isinstance(state["instance"], str)
        state |= {"address": state.get("address", LOOPBACK), "token": state.get("token")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if usable else None


def _alive() -> bool:
    """Whether a cloud of this home lives, answering or not: it holds its lock as long as it lives."""
    lock = FileLock(state_folder() / LOCK_FILE)
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


def control(port: int, what: str, method: str = "GET", body: dict | None = None, *, timeout_s: float = 30.0) -> dict:
    """The control API's answer (docs/control-api.md). Raises ValueError with its words where it refuses, CloudError
    where no cloud answers."""
    try:
        with request(port, what, method, body, timeout_s=timeout_s) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        try:
            told = json.load(error)["message"]
        except (ValueError, KeyError, TypeError, OSError):
            told = f"The local cloud answered {error.code}."
        raise ValueError(told) from None
    except (OSError, ValueError, http.client.HTTPException):
        raise CloudError("The local cloud has stopped answering. Start it again: gtlab up") from None


def _ask(port: int, what: str, method: str = "GET", timeout_s: float = 5.0, body: dict | None = None) -> dict | None:
    """The control API's answer, or None where there is none."""
    try:
        return control(port, what, method, body, timeout_s=timeout_s)
    except (CloudError, ValueError):
        return None


def request(port: int, what: str, method: str = "GET", body: dict | None = None, *, timeout_s: float = 30.0,
            accept: str = "application/json"):
    """Send a request to the control API; its response, open. Raises OSError, of which urllib's HTTPError is one."""
    headers = {"Accept": accept} | ({} if body is None else {"Content-Type": "application/json"})
    address, token = _door(port)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked = urllib.request.Request(f"{_url(address, port)}{CONTROL_PREFIX}/{what}", method=method, headers=headers,
                                   data=None if body is None else json.dumps(body, default=_plain).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    return opener.open(asked, timeout=timeout_s)


def _plain(value: object) -> object:
    """What JSON has no word for: numpy's numbers as they are, and the rest as text, for the server to refuse."""
    return float(value) if isinstance(value, numbers.Real) else repr(value)


def _door(port: int) -> tuple[str, str | None]:
    """The address that this home's cloud at a port listens on, and its token."""
    state = _state()
    return (state["address"], state["token"]) if state and state["port"] == port else (LOOPBACK, None)


def _url(address: str, port: int) -> str:
    reached = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # all addresses: the loopback one among them
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
