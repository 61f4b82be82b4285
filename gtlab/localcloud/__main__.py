"""``python -m gtlab.localcloud``: the server process. ``gtlab up`` starts it and knows its state folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import time
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout

from gtlab.localcloud.app import App
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.legacy import FACES, HISTORIC
from gtlab.localcloud.world import NETWORKS, World

ALREADY_RUNS, PORT_IN_USE = 3, 4  # exit codes that ``gtlab up`` understands


def main() -> int:
    options = _options()
    home = options.home
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with FileLock(home / "cloud.lock", timeout=0):  # held as long as this cloud lives
            return asyncio.run(_serve(options, home / "cloud.json"))
    except Timeout:
        return ALREADY_RUNS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gtlab.localcloud")
    parser.add_argument("--home", type=Path, required=True, help="state folder")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--prefer-port", type=int, default=0, help="taken if it is free")
    parser.add_argument("--network", choices=NETWORKS, default="realistic")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--legacy-api", choices=FACES, default=HISTORIC)
    return parser.parse_args()


async def _serve(options: argparse.Namespace, state: Path) -> int:
    listener = _listen(options.port or options.prefer_port)
    if listener is None and not options.port:
        listener = _listen(0)
    if listener is None:
        return PORT_IN_USE
    instance = secrets.token_hex(8)
    cloud = Cloud(World(options.network, options.seed), options.legacy_api)
    app = App(cloud, instance, stop=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(uvicorn.Config(
        app, http="httptools", lifespan="off", log_level="warning", access_log=False, server_header=False,
        date_header=True, timeout_graceful_shutdown=2, backlog=2048, timeout_keep_alive=75))
    app.wake()
    _write(state, {"instance": instance, "pid": os.getpid(), "port": listener.getsockname()[1],
                   "network": options.network, "legacy_api": options.legacy_api, "started": time.time()})
    await server.serve(sockets=[listener])
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
