"""``python -m gtlab.localcloud``: the server process. ``gtlab up`` starts it and knows its state folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import socket
import sqlite3
import sys
import time
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout

from gtlab.localcloud.app import App
from gtlab.localcloud.keeper import keep
from gtlab.localcloud.legacy import FACES
from gtlab.localcloud.world import NETWORKS

ALREADY_RUNS, PORT_IN_USE, DISK = 3, 4, 5  # exit codes that ``gtlab up`` understands
STATE_FILE = "cloud.sqlite3"  # in the state folder


def main() -> int:
    options = _options()
    home = options.home
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with FileLock(home / "cloud.lock", timeout=0):  # held as long as this cloud lives
            return asyncio.run(_serve(options, home / "cloud.json"))
    except Timeout:
        return ALREADY_RUNS
    except sqlite3.OperationalError as error:
        logging.getLogger(__name__).error("%s: %s", home / STATE_FILE, error)
        return DISK


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gtlab.localcloud")
    parser.add_argument("--home", type=Path, required=True, help="state folder")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--prefer-port", type=int, default=0, help="taken if it is free")
    parser.add_argument("--network", choices=NETWORKS, help="default: as it was, at first realistic")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--legacy-api", choices=FACES, help="default: as it was, at first historic")
    parser.add_argument("--in-memory", action="store_true", help="keep nothing")
    return parser.parse_args()


async def _serve(options: argparse.Namespace, state: Path) -> int:
    listener = _listen(options.port or options.prefer_port)
    if listener is None and not options.port:
        listener = _listen(0)
    if listener is None:
        return PORT_IN_USE
    instance = secrets.token_hex(8)
    keeper = keep(None if options.in_memory else options.home / STATE_FILE,
                  options.network, options.seed, options.legacy_api)
    app = App(keeper, instance, stop=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(uvicorn.Config(
        app, http="httptools", lifespan="off", log_level="warning", access_log=False, server_header=False,
        date_header=True, timeout_graceful_shutdown=2, backlog=2048, timeout_keep_alive=75))
    app.wake()
    _write(state, {"instance": instance, "pid": os.getpid(), "port": listener.getsockname()[1],
                   "started": time.time()})
    try:
        await server.serve(sockets=[listener])
    finally:
        keeper.close()
    return 0


def _listen(port: int) -> socket.socket | None:
    """A listening socket on loopback, or None where the port is taken."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on: an answer on a kept-open connection would take 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would let two programs share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(2048)
    except OSError:
        listener.close()
        return None
    return listener


def _write(path: Path, content: dict) -> None:
    """Whole or not at all: a reader never sees half a file."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content))
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
