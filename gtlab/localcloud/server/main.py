"""The server process. ``gtlab up`` starts it and knows its state folder."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import gc
import json
import logging
import os
import secrets
import signal
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import uvicorn
from filelock import FileLock, Timeout
from uvicorn.loops.auto import auto_loop_factory

from gtlab.contract import (
    ACCOUNTS_FILE,
    ACCOUNTS_FOLDER,
    FACES,
    GUARD_VARIABLE,
    LAG_MODEL_FILE,
    LOCK_FILE,
    LOG_FILE,
    LOOPBACK,
    NETWORKS,
    PROCESS_FILE,
    STATE_FILE,
    TOKEN_VARIABLE,
    Exit,
)
from gtlab.localcloud import lag_model
from gtlab.localcloud.disk.keeper import Keeper, keep, new_cloud
from gtlab.localcloud.disk.loading import Loading, Stopped
from gtlab.localcloud.disk.version import Newer
from gtlab.localcloud.server.access import Guard
from gtlab.localcloud.server.app import App
from gtlab.localcloud.server.connections import Connection
from gtlab.localcloud.server.control import Process
from gtlab.localcloud.server.driver import MOST_AT_ONCE
from gtlab.localcloud.server.endpoints import Endpoints, NoAddress, listen
from gtlab.localcloud.server.limits import Limits
from gtlab.localcloud.server.log_file import LogFile
from gtlab.localcloud.server.opening import Opening
from gtlab.localcloud.server.shared import Accounts, Shared
from gtlab.localcloud.world import World

# A full disk, a full quota, a folder that is read-only or not this user's.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_SOON_S = 0.5  # a state that takes longer to load is loaded while the server answers how far it is
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


def main() -> int:
    options = _options()
    home = options.home
    _keep_private(home)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s",
                        handlers=[LogFile(home / LOG_FILE)])
    try:
        # Held as long as this cloud lives. Others try to get the lock for a moment to see whether it is held.
        with FileLock(home / LOCK_FILE, timeout=2, mode=0o600):
            with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop, where it is installed
                return runner.run(_serve(options, home / PROCESS_FILE))
    except KeyboardInterrupt:  # Ctrl-C where this runs in the foreground; everything is saved and closed
        return 128 + signal.SIGINT
    except Timeout:
        return Exit.ALREADY_RUNS
    except NoAddress:
        return Exit.NO_ADDRESS
    except Newer as error:
        print(error, file=sys.stderr, flush=True)
        return Exit.NEWER_STATE
    except sqlite3.OperationalError as error:
        logging.getLogger(__name__).error("%s: %s", home / STATE_FILE, error)
        return Exit.DISK
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        logging.getLogger(__name__).error("%s: %s", error.filename or home, error.strerror)
        return Exit.DISK


def _keep_private(home: Path) -> None:
    """Let only their owner read the state files: those that are created from now on, and those that are there."""
    os.umask(0o077)
    for path in home.glob(f"{Path(STATE_FILE).stem}*"):
        with contextlib.suppress(OSError):  # another user's: opening it says what is wrong
            path.chmod(0o600)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gtlab.localcloud")
    parser.add_argument("--home", type=Path, required=True, help="state folder")
    parser.add_argument("--port", type=int, default=0, help="0: the previous port, or any free port")
    parser.add_argument("--listen", metavar="ADDRESS", help="an address of this machine; requests then need a token")
    parser.add_argument("--network", choices=NETWORKS, help="default: the previous setting, at first realistic")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--legacy-api", choices=FACES, help="default: the previous setting, at first historic")
    parser.add_argument("--in-memory", action="store_true", help="keep state in memory only")
    parser.add_argument("--shared", action="store_true", help="give everybody who has the join code a cloud")
    parser.add_argument("--until-input-ends", action="store_true", help="stop when standard input ends")
    parser.add_argument("--limits", type=json.loads, default={}, help=argparse.SUPPRESS)  # for tests: limits.Limits
    return parser.parse_args()


class _Before(msgspec.Struct):
    """The settings that a new cloud takes over from the state file of the previous cloud of this home."""

    port: _Port = 0
    endpoints: dict[str, _Port] = {}
    token: str | None = None
    code: str | None = None


class _Server(uvicorn.Server):
    """A server that also closes the Regions' own ports when it shuts down."""

    def __init__(self, config: uvicorn.Config, endpoints: Endpoints):
        super().__init__(config)
        self._endpoints = endpoints

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._endpoints.close()
        await super().shutdown(sockets)


async def _serve(options: argparse.Namespace, state: Path) -> int:
    before, address = _before(state), options.listen or LOOPBACK
    listener = listen(address, options.port or before.port)
    if listener is None and not options.port:
        listener = listen(address, 0)
    if listener is None:
        return Exit.PORT_IN_USE
    limits = Limits(**{"connections": _room_for(Limits().connections)} | options.limits)
    endpoints = Endpoints(address, before.endpoints,
                          connections=lambda: cast(set[Connection], server.server_state.connections),
                          connection=lambda region: Connection(config=config, server_state=server.server_state,
                                                               app_state={}, limits=limits, region=region))
    guarded = options.listen or options.shared or os.environ.get(GUARD_VARIABLE)
    token = (os.environ.get(TOKEN_VARIABLE) or before.token or secrets.token_urlsafe(24)) if guarded else None
    code = (before.code or secrets.token_hex(4)) if options.shared else None
    accounts = Accounts(None if options.in_memory or not code else options.home / ACCOUNTS_FILE)

    def stop() -> None:
        server.should_exit = True

    guard, process = Guard(token), Process(
        secrets.token_hex(8), endpoints.ports, stop,
        (lambda: {"code": code, "accounts": sorted(accounts.hashes)}) if code else None)
    _prefer_answers()
    loading, loaded = Loading(), asyncio.get_running_loop().create_future()
    opening = Opening(loading, process, guard, loaded)
    shared = Shared(opening, code, accounts, functools.partial(_account_cloud, options, loaded)) if code else None
    config = uvicorn.Config(
        cast(Any, shared or opening),
        http=cast(Any, functools.partial(Connection, limits=limits)), ws="none", lifespan="off",
        log_level="warning", access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=2,
        backlog=2048)
    config.load()
    server = _Server(config, endpoints)

    async def load() -> App:
        app = App(await _keeper(options, loading), process, guard, endpoints)
        app.turned()
        if shared is None:
            config.loaded_app = app  # for connections from now on; Opening serves those that there are
        loaded.set_result(app)
        return app

    app = asyncio.create_task(load())
    await asyncio.wait((app,), timeout=_SOON_S)
    if app.done():
        app.result()  # raises what is wrong
    else:
        endpoints.follow(World())  # nothing is known of outages yet
    if options.until_input_ends:  # whoever started this holds the other end, and lets go of it however it ends
        threading.Thread(target=_stop_after_input, args=[server], daemon=True).start()
    _write(state, {"instance": process.instance, "pid": os.getpid(), "port": listener.getsockname()[1], "code": code,
                   "started": time.time(), "address": address, "token": token, "endpoints": endpoints.ports})
    try:
        app.add_done_callback(lambda ended: stop() if ended.exception() else None)
        await server.serve(sockets=[listener])
    finally:
        loading.stop()
        if shared:
            shared.close()
        with contextlib.suppress(Stopped):
            (await app).close()
    return 0


async def _account_cloud(options: argparse.Namespace, owners: asyncio.Future[App], account: str) -> Keeper:
    """The cloud of an account of a shared cloud, with the owner's network and lag model. Raises sqlite3.Error and Newer
    as keep()."""
    world = (await asyncio.shield(owners)).world
    folder = options.home / ACCOUNTS_FOLDER / account
    if not options.in_memory:
        folder.mkdir(parents=True, exist_ok=True)
    return await asyncio.to_thread(
        keep, None if options.in_memory else folder / STATE_FILE, world.network, options.seed, options.legacy_api,
        make=functools.partial(new_cloud, most_at_once=MOST_AT_ONCE, lag_model=world.lag_model))


def _lag_model(home: Path) -> tuple[lag_model.LagModel, str]:
    """The lag model of this home, and what a user should know about it; empty if nothing."""
    try:
        return lag_model.read(json.loads((home / LAG_MODEL_FILE).read_text(encoding="utf-8"))), ""
    except FileNotFoundError:
        return lag_model.DEFAULT, ""
    except (OSError, ValueError) as error:
        note = (f"The lag model in {home / LAG_MODEL_FILE} could not be read ({error}): the built-in one is used. "
                "Give the model again: gtlab up --lag-model FILE")
        logging.getLogger(__name__).warning(note)
        return lag_model.DEFAULT, note


async def _keeper(options: argparse.Namespace, loading: Loading) -> Keeper:
    """The cloud with its state, which another thread loads, so that this one can say how far that is. Nobody else uses
    the cloud before it is complete."""
    model, note = _lag_model(options.home)
    gc.disable()  # nothing that is loaded becomes garbage, and looking for some takes longer than loading
    try:
        keeper = await asyncio.to_thread(
            keep, None if options.in_memory else options.home / STATE_FILE, options.network, options.seed,
            options.legacy_api, loading=loading,
            make=functools.partial(new_cloud, most_at_once=MOST_AT_ONCE, lag_model=model))
        keeper.note = f"{keeper.note} {note}".strip()
        return keeper
    finally:
        gc.freeze()  # exclude the objects of the start from every collection: they stay
        gc.enable()


def _stop_after_input(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True


def _prefer_answers() -> None:
    """Tune garbage collection and thread switching for latency."""
    sys.setswitchinterval(0.0005)  # seconds: the thread that writes to disk gives way sooner
    gc.set_threshold(10_000, 20, 50)  # collect more rarely: most new objects are kept (items, records, events)


def _before(state: Path) -> _Before:
    try:
        return msgspec.json.decode(state.read_bytes(), type=_Before)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Before()


def _room_for(connections: int) -> int:
    """How many connections this process may have. Each is an open file, so the limit of open files is raised if
    necessary and possible."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft // 2)


def _write(path: Path, content: dict) -> None:
    """Write a file atomically, so that no reader sees half of it. Only its owner may read it: it may hold a token."""
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    draft.replace(path)

