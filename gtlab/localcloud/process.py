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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import platformdirs
from filelock import FileLock, Timeout

from gtlab import regions
from gtlab.contract import (
    ACCOUNT_HEADER,
    BUILT_IN,
    CLOUD_VARIABLE,
    CONTROL_PREFIX,
    FACES,
    GUARD_VARIABLE,
    HOME_VARIABLE,
    LAG_MODEL_FILE,
    LOCK_FILE,
    LOG_FILE,
    LOOPBACK,
    PROCESS_FILE,
    STATE_FILE,
    TOKEN_VARIABLE,
    Exit,
)
from gtlab.localcloud.liveness import LONGEST_WAIT_S, Liveness, processor_s

_SAY_S = 3.0         # after which a wait is explained
_SAY_AGAIN_S = 5.0   # after which it is said again how far a cloud is
_ASK_S = 5.0         # how long to wait for one answer of a cloud that is looked for, before it is asked again
_ANSWER_S = 30.0     # the same, for a cloud that has been found
# Bytes. glibc gives memory back from these sizes on, and a page of a Scan (a megabyte and more) would get it again from
# the system, in small pieces: half of the page's time. Others than glibc know neither variable.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,256}")  # characters of Bearer tokens that need no quoting in a shell


class CloudError(Exception):
    """The local cloud cannot carry out a request. The message gives the reason and what to do."""


class NotAnswering(CloudError):
    """The process exists, but does not answer and makes no progress."""

    def __init__(self, pid: int | None):
        named = pid or "unknown"
        super().__init__(f"The local cloud (process {named}) is running but does not answer, and it makes no progress. "
                         f"If it was stopped (SIGSTOP), let it continue: kill -CONT {named}. Otherwise end it (it "
                         "keeps its tables): gtlab down")


class Settings(TypedDict, total=False):
    """How to start a cloud; what is left out is as it was the last time.

    ``port``: any free port if the previous one is taken. ``network`` is one of NETWORKS (at first realistic),
    ``legacy_api`` one of FACES (at first historic). ``in_memory``: neither load state from this home nor save any; a
    cloud that is started without it does both. ``listen``: the IP address to listen on instead of the loopback address;
    all requests then need ``token`` (by default the previous token, or a random one). ``shared``: whoever has the join
    code gets a cloud of their own in the process: see :mod:`gtlab.localcloud.server.shared`. ``lag_model``: a document
    such as :func:`gtlab.measure.lag_model.of` returns, or ``{"name": BUILT_IN}``. None is as if left out.
    """

    port: int | None
    network: str | None
    seed: int | None
    legacy_api: str | None
    in_memory: bool | None
    listen: str | None
    token: str | None
    lag_model: Mapping[str, Any] | None
    shared: bool | None


@dataclass(frozen=True)
class Elsewhere:
    """A local cloud that does not belong to this home: its URL, its token (of a shared cloud: ``CODE.SECRET``), and the
    account there, if it is shared."""

    url: str
    token: str | None = field(default=None, repr=False)
    account: str | None = None


Where = int | Elsewhere  # the port of a cloud on this machine, or a cloud elsewhere


@dataclass(frozen=True)
class Running:
    """A running local cloud. ``address`` is the IP address that it listens on. ``token`` is required of all requests;
    None if the cloud accepts only local connections. ``code``: with which others join a shared cloud. ``endpoints`` are
    URLs by Region; ``url`` serves all Regions. ``elsewhere``: it does not belong to this home."""

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
    lag_model: str = BUILT_IN
    code: str | None = field(default=None, repr=False)
    elsewhere: Elsewhere | None = None

    @property
    def url(self) -> str:
        """The URL for requests from this machine."""
        return self.elsewhere.url if self.elsewhere else _url(self.address, self.port)

    @property
    def where(self) -> Where:
        """What :func:`control` and :func:`request` need to reach it."""
        return self.elsewhere or self.port


def state_folder() -> Path:
    """The state folder: GTLAB_HOME, or the platform's folder for a user's program state. Created if absent."""
    named = os.environ.get(HOME_VARIABLE)
    folder = Path(named).expanduser() if named else Path(platformdirs.user_state_dir("gtlab", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CloudError(f"The state folder {folder} cannot be created: {error.strerror}. "
                         "Name another with the environment variable GTLAB_HOME.") from None
    return folder.resolve()


def find() -> Running | None:
    """The local cloud of this home; None if it is not running. A state file that a dead process left behind is ignored.

    Waits for a process that is starting, ending or busy, as long as it makes progress, and says so on stderr. Raises
    NotAnswering if it makes none. Waits for one that is loading its state until all is loaded, and says how far it is.
    """
    loads = _LoadingExplained()
    while True:
        found = _answering()
        if found is None:
            return None
        state, answer = found
        if not answer.get("loading"):
            return Running(state_folder(), state["port"], state["pid"], state["instance"], answer["network"],
                           answer["legacy_api"], state["address"], state["token"], answer["endpoints"],
                           answer["in_memory"], answer["lag_model"], state["code"])
        loads(answer["loading"])
        time.sleep(0.05)


def loading() -> dict | None:
    """How far the local cloud of this home is with loading its state: ``done`` rows of ``rows`` (None while the files
    are being checked). None if it is not loading: it runs, or it does not. Waits and raises as :func:`find`."""
    found = _answering()
    return None if found is None else found[1].get("loading")


def _answering() -> tuple[dict, dict] | None:
    """The content of the state file and the status of this home's cloud, which may still be loading its state; None
    if it is not running."""
    liveness: Liveness | None = None
    explain = _Explanation("The local cloud{process} is running but does not answer yet: waiting for it.")
    while True:
        state = _state()
        if not _alive():
            return None
        if state:
            answer = _ask(state["port"], "status", timeout_s=_ASK_S)
            if answer is not None and answer.get("instance") == state["instance"]:
                return state, answer
        pid = state["pid"] if state else 0
        if liveness is None or liveness.pid != pid:
            liveness = Liveness(pid)
        if not liveness.goes_on():
            raise NotAnswering(pid or None)
        explain(liveness)
        time.sleep(0.05)


def join(elsewhere: Elsewhere) -> Running:
    """A local cloud on another machine, or one that others share. Raises ValueError if it does not let us in,
    CloudError if none answers at the URL."""
    answer = control(elsewhere, "status", timeout_s=_ANSWER_S)
    if "instance" not in answer:
        raise CloudError(f"What answers at {elsewhere.url} is not a local cloud of gtlab.")
    return Running(Path(), 0, answer["pid"], answer["instance"], answer["network"], answer["legacy_api"],
                   token=elsewhere.token, endpoints=dict.fromkeys(regions.REGIONS, elsewhere.url),
                   in_memory=answer["in_memory"], lag_model=answer["lag_model"], elsewhere=elsewhere)


class _Explanation:
    """Tells the user once, on stderr, what a long wait is for."""

    def __init__(self, text: str):
        self._text, self._told = text, False

    def __call__(self, liveness: Liveness) -> None:
        if not self._told and liveness.waited_s > _SAY_S:
            self._told = True
            named = f" (process {liveness.pid})" if liveness.pid else ""
            print(self._text.format(process=named), file=sys.stderr, flush=True)


class _LoadingExplained:
    """Tells the user on stderr how far a cloud is with loading its state, if that takes long: every few seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _SAY_S

    def __call__(self, loading: dict) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _SAY_AGAIN_S
            print(f"The local cloud is loading its state: {loading_in_words(loading)}.", file=sys.stderr, flush=True)


def loading_in_words(loading: dict) -> str:
    """``loading`` of the status, for example "1,200,000 of 3,000,000 rows (40 %)"."""
    done, rows = loading["done"], loading["rows"]
    return "checking its files" if rows is None else f"{done:,} of {rows:,} rows ({done * 100 // max(rows, 1)} %)"


def status(cloud: Running) -> dict:
    """The cloud's report of its status: instance, pid, started, network, seed, legacy_api, tables,
    deliveries_waiting, endpoints (by Region), in_memory, disk_error, note (what a user should know about its start)."""
    return control(cloud.port, "status")


def legacy_face(where: Where, face: str | None = None) -> str:
    """How a running cloud answers the calls of version 2017.11.29 (one of FACES), set to ``face`` if given.

    Raises ValueError for an unknown face, CloudError if no cloud answers.
    """
    if face is not None and face not in FACES:
        raise ValueError(f"There is no legacy API {face!r}. Choose one of: {', '.join(FACES)}.")
    answer = (control(where, "legacy-api") if face is None else control(where, "legacy-api", "PUT", {"face": face}))
    return answer["face"]


def up(**settings: Unpack[Settings]) -> tuple[Running, bool]:
    """Start the cloud of this home, unless it is already running. Returns the cloud and whether it was started now.

    Raises CloudError if the port is in use, or if the running cloud has other settings than requested (all but
    ``seed`` are compared), or does not answer. Raises ValueError for an invalid address or token.
    """
    _check_listen(settings)
    with _start_lock():
        running = find()
        if running:
            _check_same(running, settings)
            return running, False
        return _start(settings), True


def down() -> bool:
    """Stop the cloud of this home. Returns False if it was not running. A process that does not end although it makes
    no progress is killed; what it has acknowledged is on disk."""
    with _start_lock():
        with contextlib.suppress(NotAnswering):
            found = _answering()
            if found is None:
                return False
            _ask(found[0]["port"], "stop", method="POST")
            liveness, explain = Liveness(found[0]["pid"]), _Explanation("The local cloud{process} is ending: waiting.")
            while _alive() and liveness.goes_on():
                explain(liveness)
                time.sleep(0.02)
        if _alive():
            _end_process()
        if not _wait(lambda: not _alive(), 30.0):
            raise CloudError(f"The local cloud (process {(_state() or {}).get('pid')}) is still there, although it was "
                             "killed. Restart the machine if it stays.")
        return True


def newer_release() -> str:
    """Which newer gtlab wrote the state that :func:`reset` would delete, as a text for people; empty if none did, or if
    the local cloud is running."""
    from gtlab.localcloud.disk import version  # not with this module: it loads the description of the disk format

    if find():
        return ""
    try:
        version.check(state_folder() / STATE_FILE)
    except version.Newer as newer:
        return str(newer)
    return ""


def reset() -> list[Path]:
    """Empty the local cloud of this home, whether it is running or not. Returns the damaged state files that were set
    aside earlier; they are not deleted."""
    with _start_lock():
        running = find()
        if running:
            control(running.port, "reset", "POST")
        else:
            for path in (*state_folder().glob(f"{STATE_FILE}*"), state_folder() / LAG_MODEL_FILE):
                try:
                    path.unlink(missing_ok=True)  # including the state's log files
                except OSError as error:
                    raise CloudError(f"The state cannot be deleted: {path}: {error.strerror}") from None
        return sorted(state_folder().glob(f"{Path(STATE_FILE).stem}-damaged-*{Path(STATE_FILE).suffix}"))


@contextlib.contextmanager
def throwaway(network: str = "fast", seed: int | None = None, legacy_api: str | None = None) -> Iterator[Running]:
    """A separate local cloud in a temporary home for the duration of the ``with`` block. This process and the
    processes that it starts use it (GTLAB_HOME), and no cloud elsewhere (GTLAB_CLOUD). The
    cloud and all its data are removed at the end of the block."""
    before = {name: os.environ.pop(name, None) for name in (HOME_VARIABLE, CLOUD_VARIABLE)}
    with tempfile.TemporaryDirectory(prefix="gtlab-", ignore_cleanup_errors=True) as folder:
        os.environ[HOME_VARIABLE] = folder
        try:
            yield up(network=network, seed=seed, legacy_api=legacy_api, in_memory=True)[0]
        finally:
            down()
            del os.environ[HOME_VARIABLE]
            os.environ.update({name: value for name, value in before.items() if value is not None})


@contextlib.contextmanager
def private(network: str = "instant", seed: int | None = None) -> Iterator[Running]:
    """A separate local cloud in memory for the duration of the ``with`` block, which nobody else finds: GTLAB_HOME
    stays as it is. It ends with the block, and with this process, however that ends. Raises CloudError."""
    with tempfile.TemporaryDirectory(prefix="gtlab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [sys.executable, "-m", "gtlab.localcloud", "--home", name, "--network", network, "--in-memory",
                   "--until-input-ends"] + ([] if seed is None else ["--seed", str(seed)])
        # It has nothing of anybody's, so it needs no guard against other users, and those who use it need no token.
        environment = _environment() | {TOKEN_VARIABLE: "", GUARD_VARIABLE: ""}
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
    liveness = Liveness(server.pid)
    while server.poll() is None and liveness.goes_on():
        with contextlib.suppress(OSError, ValueError, KeyError):
            state = json.loads((folder / PROCESS_FILE).read_text())
            answer = _ask(state["port"], "status")
            if answer and answer["instance"] == state["instance"] and not answer.get("loading"):
                return Running(folder, state["port"], state["pid"], state["instance"], network, answer["legacy_api"],
                               endpoints=answer["endpoints"], in_memory=True)
        time.sleep(0.01)
    log = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise CloudError("A separate local cloud could not be started. " + "".join(log[-1:]))


def _apart() -> dict[str, Any]:
    """Options of Popen with which Ctrl-C in the terminal does not reach the process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def _check_listen(settings: Settings) -> None:
    listen, token = settings.get("listen"), settings.get("token")
    if listen is not None:
        try:
            ipaddress.ip_address(listen)
        except ValueError:
            raise ValueError(f"{listen!r} is not an IP address. Give an address of this machine, or 0.0.0.0 for all "
                             "of its addresses.") from None
    if token is not None and listen is None and not settings.get("shared"):
        raise ValueError("A token is only used for remote connections and for a shared cloud: give --listen ADDRESS or "
                         "--shared with it.")
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValueError("A token has 8 to 256 characters, of these: letters, digits, . _ ~ + / = -")


def _check_same(running: Running, asked: Settings) -> None:
    """Raise CloudError if a running cloud has other settings than requested."""
    for what, wanted, has in (("port", asked.get("port"), running.port),
                              ("network", asked.get("network"), running.network),
                              ("legacy API", asked.get("legacy_api"), running.legacy_api),
                              ("address", asked.get("listen"), running.address),
                              ("lag model", (asked.get("lag_model") or {}).get("name"), running.lag_model)):
        if wanted and wanted != has:
            raise CloudError(f"A local cloud is already running, with {what} {has}, not {wanted}. "
                             "Stop it first (it keeps its tables): gtlab down")
    in_memory, token = asked.get("in_memory"), asked.get("token")
    if asked.get("shared") and not running.code:
        raise CloudError("A local cloud is already running, and is not shared. Stop it first (it keeps its tables): "
                         "gtlab down")
    if in_memory is not None and in_memory != running.in_memory:
        raise CloudError("A local cloud is already running, and keeps its state "
                         + ("in memory only. Stop it first (its tables are lost): gtlab down" if running.in_memory else
                            "on disk. Stop it first (it keeps its tables): gtlab down"))
    if token and token != running.token:
        raise CloudError("A local cloud is already running, with another token. Stop it first (it keeps its tables): "
                         "gtlab down")


def _start(settings: Settings) -> Running:
    folder = state_folder()
    port, listen = settings.get("port") or 0, settings.get("listen")
    command = [sys.executable, "-m", "gtlab.localcloud", "--home", str(folder), "--port", str(port)]
    for option, value in (("--network", settings.get("network")), ("--seed", settings.get("seed")),
                          ("--legacy-api", settings.get("legacy_api")), ("--listen", listen)):
        if value is not None:
            command += [option, str(value)]
    for option in ("in_memory", "shared"):
        if settings.get(option):
            command.append(f"--{option.replace('_', '-')}")
    before = (_state() or {}).get("instance")
    try:
        _keep_lag_model(folder / LAG_MODEL_FILE, settings.get("lag_model"))
    except OSError as error:
        raise _unwritable(folder, f"{LAG_MODEL_FILE}: {error.strerror}") from None
    try:
        output = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise _unwritable(folder, f"{LOG_FILE}: {error.strerror}") from None
    with open(output, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=folder, env=_environment() | {TOKEN_VARIABLE: settings.get("token") or ""},
                                   **_apart())
    liveness, explain = Liveness(process.pid), _Explanation("The local cloud{process} is starting: waiting for it.")
    while liveness.goes_on():
        state = _state()
        found = find() if state and state["instance"] != before else None
        if found:
            process.returncode = 0  # the process is meant to outlive this one: silence Popen's ResourceWarning
            return found
        if process.poll() is not None:
            raise _failed_start(process.returncode, settings, folder)
        explain(liveness)
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise CloudError(f"The local cloud did not start: after {liveness.waited_s:.0f} s it made no progress, and was "
                     f"killed. Its log: {folder / LOG_FILE}")


def _keep_lag_model(path: Path, model: Mapping[str, Any] | None) -> None:
    """Write the lag model that the server is to read, or remove it for the built-in one."""
    if model is None:
        return
    if model["name"] == BUILT_IN:
        path.unlink(missing_ok=True)
        return
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(model), encoding="utf-8")
    draft.replace(path)


def _failed_start(code: int, settings: Settings, folder: Path) -> CloudError:
    if code == Exit.PORT_IN_USE:
        return CloudError(f"Port {settings.get('port')} is in use by another program. Choose another port, or leave "
                          "--port out to use any free port.")
    if code == Exit.NO_ADDRESS:
        return CloudError(f"{settings.get('listen')} is not an address of this machine. Give an address of this "
                          "machine, or 0.0.0.0 for all of its addresses.")
    if code == Exit.ALREADY_RUNS:
        return CloudError("Another local cloud of this home is starting or ending. Try again.")
    if code == Exit.NEWER_STATE:
        return CloudError((folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()[-1])
    if code == Exit.DISK and settings.get("in_memory"):
        return _unwritable(folder, "there may be no room on the disk")
    if code == Exit.DISK:
        return CloudError(f"The state in {folder} cannot be read or written. Check that the disk is not full and that "
                          f"you own the folder. The log: {folder / LOG_FILE}. To start without the state: gtlab up "
                          "--in-memory")
    return CloudError(f"The local cloud ended while it was starting (exit code {code}). Its log: {folder / LOG_FILE}")


def _unwritable(folder: Path, reason: str) -> CloudError:
    return CloudError(f"The state folder {folder} cannot be written: {reason}. Even a local cloud in memory needs some "
                      "small files there. Name another folder with the environment variable GTLAB_HOME.")


def _environment() -> dict[str, str]:
    """The environment of a server. This gtlab comes first in PYTHONPATH, so that the server runs the same one."""
    here = str(Path(__file__).resolve().parents[2])
    return MALLOC | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}


def _state() -> dict | None:
    """The content of the state file; None if it is absent, unreadable or invalid."""
    try:
        state = json.loads((state_folder() / PROCESS_FILE).read_text())
        usable = 0 < state["port"] < 65536 and state["pid"] > 0 and isinstance(state["instance"], str)
        state |= {"address": state.get("address", LOOPBACK), "token": state.get("token"), "code": state.get("code")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if usable else None


def _alive() -> bool:
    """Whether the process of this home's cloud exists, even if it does not answer: it holds a lock while it exists."""
    lock = FileLock(state_folder() / LOCK_FILE, mode=0o600)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # the folder has become read-only, so no lock can be tried
        state = _state()
        return state is not None and processor_s(state["pid"]) is not None


@contextlib.contextmanager
def _start_lock() -> Iterator[None]:
    """Allow one start or stop at a time, so that many notebooks opened at once start only one cloud."""
    lock = FileLock(state_folder() / "start.lock", mode=0o600)
    try:
        lock.acquire(timeout=_SAY_S)
    except Timeout:
        print("Another gtlab command starts or stops the local cloud: waiting for it.", file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=LONGEST_WAIT_S)
        except Timeout:
            raise CloudError("Another gtlab command has been starting or stopping the local cloud for "
                             f"{LONGEST_WAIT_S / 60:.0f} minutes. End that command, then try again.") from None
    except OSError:  # a read-only folder: no cloud can be started in it, but a running one can be stopped
        pass
    try:
        yield
    finally:
        lock.release()


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


def control(where: Where, what: str, method: str = "GET", body: dict | None = None, *,
            timeout_s: float | None = None) -> dict:
    """The control API's answer (docs/control-api.md). Raises ValueError with the API's message if the request is not
    valid, CloudError if the cloud cannot carry it out (as when its disk is full) or does not answer. Without
    ``timeout_s``, waits for this home's cloud as long as it makes progress."""
    state = _state()
    pid = state["pid"] if state and state["port"] == where else 0
    liveness, explain = Liveness(pid), _Explanation("The local cloud{process} is busy: waiting for its answer.")
    while True:
        try:
            with request(where, what, method, body, timeout_s=timeout_s or _ANSWER_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise CloudError(_message(error)) from None
            raise ValueError(_message(error)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(where, Elsewhere):
                raise CloudError(f"No local cloud answers at {where.url}: {getattr(error, 'reason', None) or error}. "
                                 "Ask whoever runs it.") from None
            if not _is_timeout(error) or not pid or not _alive():
                raise CloudError("The local cloud has stopped answering. Start it again: gtlab up") from None
            if timeout_s or method == "POST" or not liveness.goes_on():  # POST is not safe to send twice
                raise NotAnswering(pid) from None
            explain(liveness)


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return json.load(error)["message"]
    except (ValueError, KeyError, TypeError, OSError):
        return f"The local cloud answered {error.code}."


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or (isinstance(error, urllib.error.URLError)
                                               and isinstance(error.reason, TimeoutError))


def _ask(port: int, what: str, method: str = "GET", timeout_s: float = 5.0, body: dict | None = None) -> dict | None:
    """The control API's answer, or None if it refuses the request or does not answer."""
    try:
        return control(port, what, method, body, timeout_s=timeout_s)
    except (CloudError, ValueError):
        return None


def request(where: Where, what: str, method: str = "GET", body: dict | None = None, *, timeout_s: float = 30.0,
            accept: str = "application/json"):
    """Send a request to the control API and return the open response. Raises OSError, including urllib's HTTPError."""
    headers = {"Accept": accept} | ({} if body is None else {"Content-Type": "application/json"})
    door = where if isinstance(where, Elsewhere) else _door(where)
    if door.token:
        headers["Authorization"] = f"Bearer {door.token}"
    if door.account:
        headers[ACCOUNT_HEADER] = door.account
    asked = urllib.request.Request(f"{door.url}{CONTROL_PREFIX}/{what}", method=method, headers=headers,
                                   data=None if body is None else json.dumps(body, default=_plain).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    return opener.open(asked, timeout=timeout_s)


def _plain(value: object) -> object:
    """Convert a value that JSON cannot represent: NumPy's numbers to floats, everything else to its ``repr``, which the
    server refuses."""
    return float(value) if isinstance(value, numbers.Real) else repr(value)


def _door(port: int) -> Elsewhere:
    """How to reach the cloud at a port of this machine; the token is known if it is this home's."""
    state = _state()
    if state and state["port"] == port:
        return Elsewhere(_url(state["address"], port), state["token"])
    return Elsewhere(_url(LOOPBACK, port))


def _url(address: str, port: int) -> str:
    reached = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # all addresses include the loopback address
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
