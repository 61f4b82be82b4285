"""The local cloud as a background process: start it, find it, stop it.

The process continues to run after the notebook or shell that started it has ended. It keeps its state in one folder,
the home, which the environment variable GTLAB_HOME names. Each home has its own separate cloud.
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

_START_S = 30.0      # the longest time to wait for a start; long enough for a busy machine
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,256}")  # characters of Bearer tokens that need no quoting in a shell


class CloudError(Exception):
    """The local cloud cannot carry out a request. The message gives the reason and what to do."""


@dataclass(frozen=True)
class Running:
    """A running local cloud. ``address`` is the IP address that it listens on. ``token`` is required of all requests;
    None if the cloud accepts only local connections. ``endpoints`` are URLs by Region; ``url`` serves all Regions."""

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
        """The URL for requests from this machine."""
        return _url(self.address, self.port)


def state_folder() -> Path:
    """The state folder: GTLAB_HOME, or the platform's folder for a user's program state. Created if absent."""
    named = os.environ.get(HOME_VARIABLE)
    folder = Path(named).expanduser() if named else Path(platformdirs.user_state_dir("gtlab", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CloudError(f"The state folder {folder} cannot be created: {error.strerror}. "
                         "Name another with the environment variable GTLAB_HOME.") from None
    return folder.resolve()


def find() -> Running | None:
    """The local cloud of this home, if it is running and answers; otherwise None. A state file that a dead process
    left behind is ignored."""
    state = _state()
    if not state:
        return None
    answer = _ask(state["port"], "status", timeout_s=5.0 if _alive() else 0.5)
    if answer is None or answer.get("instance") != state["instance"]:
        return None  # the process is dead, or another program has its port now
    return Running(state_folder(), state["port"], state["pid"], state["instance"], answer["network"],
                   answer["legacy_api"], state["address"], state["token"], answer["endpoints"], answer["in_memory"])


def status(cloud: Running) -> dict:
    """The cloud's report of its status: instance, pid, started, network, seed, legacy_api, tables,
    deliveries_waiting, endpoints (by Region), in_memory, note (what a user should know about its start)."""
    return control(cloud.port, "status")


def legacy_face(port: int, face: str | None = None) -> str:
    """How a running cloud answers the calls of version 2017.11.29 (one of FACES), set to ``face`` if given.

    Raises ValueError for an unknown face, CloudError if no cloud answers.
    """
    if face is not None and face not in FACES:
        raise ValueError(f"There is no legacy API {face!r}. Choose one of: {', '.join(FACES)}.")
    answer = (control(port, "legacy-api") if face is None else control(port, "legacy-api", "PUT", {"face": face}))
    return answer["face"]


def up(port: int = 0, network: str | None = None, seed: int | None = None, legacy_api: str | None = None,
       in_memory: bool | None = None, listen: str | None = None, token: str | None = None) -> tuple[Running, bool]:
    """Start the cloud of this home, unless it is already running. Returns the cloud and whether it was started now.

    ``port`` 0 means the previous port, or any free port. ``network`` is one of NETWORKS, ``legacy_api`` one of FACES;
    None means the previous setting (at first realistic, historic). ``in_memory``: neither load state from this home
    nor save any; a cloud that is started with None does both. ``listen``: the IP address to listen on instead of the
    loopback address; all requests then need ``token`` (None: the previous token, or a random one).

    Raises CloudError if the port is in use, or if the running cloud has another port, network, legacy API, address,
    token or ``in_memory`` than requested. Raises ValueError for an invalid address or token.
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
        if not _wait(lambda: not _alive(), 2.0):  # a process that was just killed holds its lock a moment longer
            raise CloudError("The local cloud of this home runs but does not answer. Stop it with: gtlab down")
        return _start(port, network, seed, legacy_api, bool(in_memory), listen, token), True


def down() -> bool:
    """Stop the cloud of this home. Returns False if it was not running."""
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
    """Empty the local cloud of this home, whether it is running or not. Returns the damaged state files that were set
    aside earlier; they are not deleted."""
    with _start_lock():
        running = find()
        if running:
            control(running.port, "reset", "POST")
        elif _alive():
            raise CloudError("The local cloud of this home runs but does not answer. Stop it with: gtlab down")
        else:
            for path in state_folder().glob(f"{STATE_FILE}*"):  # including its log files
                path.unlink(missing_ok=True)
        return sorted(state_folder().glob(f"{Path(STATE_FILE).stem}-damaged-*{Path(STATE_FILE).suffix}"))


@contextlib.contextmanager
def throwaway(network: str = "fast", seed: int | None = None, legacy_api: str | None = None) -> Iterator[Running]:
    """A separate local cloud in a temporary home for the duration of the ``with`` block. This process and the
    processes that it starts use it (GTLAB_HOME). The cloud and all its data are removed at the end of the block."""
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


@contextlib.contextmanager
def private(network: str = "instant", seed: int | None = None) -> Iterator[Running]:
    """A separate local cloud in memory for the duration of the ``with`` block, which nobody else finds: GTLAB_HOME
    stays as it is. It ends with the block, and with this process, however that ends. Raises CloudError."""
    with tempfile.TemporaryDirectory(prefix="gtlab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [sys.executable, "-m", "gtlab.localcloud", "--home", name, "--network", network, "--in-memory",
                   "--until-input-ends"] + ([] if seed is None else ["--seed", str(seed)])
        environment = os.environ | {"PYTHONPATH": _python_path(), TOKEN_VARIABLE: ""}
        with open(folder / LOG_FILE, "ab") as log:
            server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder,
                                      env=environment, **_apart())
        try:
            yield _started(server, folder, network)
        finally:
            if server.stdin:
                server.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()
            server.wait()


def _started(server: subprocess.Popen, folder: Path, network: str) -> Running:
    """A server in a folder of its own, as soon as it answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            state = json.loads((folder / PROCESS_FILE).read_text())
            answer = _ask(state["port"], "status")
            if answer and answer["instance"] == state["instance"]:
                return Running(folder, state["port"], state["pid"], state["instance"], network, answer["legacy_api"],
                               endpoints=answer["endpoints"], in_memory=True)
        time.sleep(0.01)
    log = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise CloudError("A local cloud of its own for this purpose does not start. " + "".join(log[-1:]))


def _apart() -> dict[str, Any]:
    """Options of Popen with which Ctrl-C in the terminal does not reach the process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


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
    with open(folder / LOG_FILE, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=folder, env=os.environ | {"PYTHONPATH": _python_path(),
                                                                 TOKEN_VARIABLE: token or ""}, **_apart())

    def started() -> Running | None:
        state = _state()
        return find() if state and state["instance"] != before else None

    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        found = started()
        if found:
            process.returncode = 0  # the process is meant to outlive this one: silence Popen's ResourceWarning
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
    """PYTHONPATH with the location of this gtlab first, so that the server runs the same gtlab as the caller."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def _state() -> dict | None:
    """The content of the state file; None if it is absent, unreadable or invalid."""
    try:
        state = json.loads((state_folder() / PROCESS_FILE).read_text())
        usable = 0 < state["port"] < 65536 and state["pid"] > 0 and isinstance(state["instance"], str)
        state |= {"address": state.get("address", LOOPBACK), "token": state.get("token")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if usable else None


def _alive() -> bool:
    """Whether the process of this home's cloud exists, even if it does not answer: it holds a lock while it exists."""
    lock = FileLock(state_folder() / LOCK_FILE)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def _start_lock():
    """Allow one start or stop at a time, so that many notebooks opened at once start only one cloud."""
    return FileLock(state_folder() / "start.lock").acquire(timeout=2 * _START_S)


def _end_process() -> None:
    """Kill a cloud that does not answer. The lock is held, so the process ID in the state file is the cloud's."""
    state = _state()
    if state:
        with contextlib.suppress(ProcessLookupError):  # a hung process ignores SIGTERM; Windows has no SIGKILL
            os.kill(state["pid"], getattr(signal, "SIGKILL", signal.SIGTERM))


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def control(port: int, what: str, method: str = "GET", body: dict | None = None, *, timeout_s: float = 30.0) -> dict:
    """The control API's answer (docs/control-api.md). Raises ValueError with the API's message if it refuses the
    request, CloudError if no cloud answers."""
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
    """The control API's answer, or None if it refuses the request or does not answer."""
    try:
        return control(port, what, method, body, timeout_s=timeout_s)
    except (CloudError, ValueError):
        return None


def request(port: int, what: str, method: str = "GET", body: dict | None = None, *, timeout_s: float = 30.0,
            accept: str = "application/json"):
    """Send a request to the control API and return the open response. Raises OSError, including urllib's HTTPError."""
    headers = {"Accept": accept} | ({} if body is None else {"Content-Type": "application/json"})
    address, token = _door(port)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked = urllib.request.Request(f"{_url(address, port)}{CONTROL_PREFIX}/{what}", method=method, headers=headers,
                                   data=None if body is None else json.dumps(body, default=_plain).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    return opener.open(asked, timeout=timeout_s)


def _plain(value: object) -> object:
    """Convert a value that JSON cannot represent: NumPy's numbers to floats, everything else to its ``repr``, which the
    server refuses."""
    return float(value) if isinstance(value, numbers.Real) else repr(value)


def _door(port: int) -> tuple[str, str | None]:
    """The address and the token of this home's cloud, if it is the cloud at this port."""
    state = _state()
    return (state["address"], state["token"]) if state and state["port"] == port else (LOOPBACK, None)


def _url(address: str, port: int) -> str:
    reached = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # all addresses include the loopback address
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
