"""A separate port for each Region, so that a Region that is down can refuse connections. The shared port cannot."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
from collections.abc import Callable, Iterable, Mapping

from gtlab import regions
from gtlab.contract import OUTAGES
from gtlab.localcloud.server.connections import Connection
from gtlab.localcloud.world import World

TIMEOUT, REFUSED, _ = OUTAGES
_BACKLOG = 2048
# Systems give ports from 32768 (Linux) or 49152 on to outgoing connections. From this range, none of them takes a port
# away while the local cloud restarts.
_PORTS = range(20_000, 32_768)
_BLOCKS = 20  # how many blocks of ports are tried


class NoAddress(Exception):
    """The address does not belong to this machine."""


class Endpoints:
    """The Regions' listening sockets at an address. ``ports``: preferred ports by Region, used if they are free.
    ``connection`` creates the protocol for a connection to a Region's port; ``connections`` returns all open
    connections. No connection is accepted before :meth:`follow` is called in a running event loop. Raises NoAddress."""

    def __init__(self, address: str, ports: Mapping[str, int], connection: Callable[[str], Connection],
                 connections: Callable[[], Iterable[Connection]]):
        self._address, self._connection, self._connections = address, connection, connections
        self._outages: dict[str, str | None] = {}
        self._followed: dict | None = None  # the outages of the world that were followed last
        self._listeners: dict[str, socket.socket] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._opening: set[asyncio.Task] = set()
        block = _free_block(address, len(regions.REGIONS))
        self._reserved = {region: _reserved(address, ports.get(region), block[at] if block else None)
                          for at, region in enumerate(regions.REGIONS)}
        self.ports = {region: kept.getsockname()[1] for region, kept in self._reserved.items()}
        if sys.platform != "linux":
            # On other systems, a connection to a bound port that does not listen times out instead of being refused.
            for kept in self._reserved.values():
                kept.close()

    def follow(self, world: World) -> None:
        """Adapt the ports and the open connections to the Regions' outages: refuse, leave waiting, or serve."""
        down = world.outages()
        if down == self._followed:
            return
        self._followed = down
        for region in regions.REGIONS:
            outage = world.outage(region)
            if region in self._outages and self._outages[region] == outage:
                continue
            self._outages[region] = outage
            for connection in list(self._connections()):
                if ((connection.region == region and outage == REFUSED)
                        or (connection.held_for == region and outage != TIMEOUT)):
                    connection.abort()
            if outage == REFUSED:
                self._close(region)
            elif region not in self._listeners:
                self._open(region)

    def close(self) -> None:
        """Stop accepting connections."""
        for region in list(self._listeners):
            self._close(region)
        for kept in self._reserved.values():
            kept.close()

    def _open(self, region: str) -> None:
        listener = listen(self._address, self.ports[region]) or listen(self._address, 0)
        if listener is None:
            raise OSError(errno.EADDRINUSE, f"no port is free for {region}")
        self.ports[region] = listener.getsockname()[1]
        self._listeners[region] = listener
        # The socket listens from now on; the event loop accepts its connections a moment later.
        task = asyncio.get_running_loop().create_task(self._take_up(region, listener))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _take_up(self, region: str, listener: socket.socket) -> None:
        if self._listeners.get(region) is listener:  # it may have been closed in the meantime
            self._servers[region] = await asyncio.get_running_loop().create_server(
                lambda: self._connection(region), sock=listener, backlog=_BACKLOG)

    def _close(self, region: str) -> None:
        listener = self._listeners.pop(region, None)
        server = self._servers.pop(region, None)
        if server:
            server.close()
        elif listener:
            listener.close()


def listen(address: str, port: int) -> socket.socket | None:
    """A listening socket, or None if the port is in use; port 0: any that is free. Raises NoAddress if the address does
    not belong to this machine."""
    if not port and (block := _free_block(address, 1)):
        port = block[0]
    listener = _bound(address, port)
    if listener is None:
        return None
    try:
        listener.listen(_BACKLOG)
        return listener
    except OSError:
        listener.close()
        return None


def _reserved(address: str, *wanted: int | None) -> socket.socket:
    """A socket bound to the first of the wanted ports that is free, or else to any."""
    for port in (*filter(None, wanted), 0):
        if bound := _bound(address, port):
            return bound
    raise OSError(errno.EADDRINUSE, f"no port is free at {address}")


def _free_block(address: str, size: int) -> range | None:
    """Consecutive free ports. Another local cloud takes another block: with single ports, one of so many would often
    get a port that this one had before a restart."""
    firsts = random.sample(range(_PORTS.start, _PORTS.stop - size, size), _BLOCKS)
    blocks = (range(first, first + size) for first in firsts)
    return next((block for block in blocks if all(_is_free(address, port) for port in block)), None)


def _is_free(address: str, port: int) -> bool:
    """Whether no socket is bound to the port: not even one that does not listen, which ``_bound`` would not notice."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as made:
        try:
            made.bind((address, port))
        except OSError:
            return False
    return True


def _bound(address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With IPPROTO_TCP, asyncio turns Nagle's algorithm off, which would delay answers on open connections by 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # on Windows, this option would let two programs share a port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise NoAddress(address) from None
        return None
    return made
