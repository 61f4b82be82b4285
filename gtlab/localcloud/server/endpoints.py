"""A port of its own for each Region. At the port that all share, a Region that is down cannot refuse connections."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping

from gtlab import regions
from gtlab.contract import OUTAGES
from gtlab.localcloud.server.connections import Connection
from gtlab.localcloud.world import World

TIMEOUT, REFUSED, _ = OUTAGES
_BACKLOG = 2048


class NoAddress(Exception):
    """This machine has no such address."""


class Endpoints:
    """The Regions' listening sockets at an address. ``ports``: taken if they are free. ``connection`` makes the
    protocol of a connection to a Region's port; ``connections`` gives all that there are. Nothing is taken up before
    :meth:`follow` is called in a running event loop. Raises NoAddress."""

    def __init__(self, address: str, ports: Mapping[str, int], connection: Callable[[str], Connection],
                 connections: Callable[[], Iterable[Connection]]):
        self._address, self._connection, self._connections = address, connection, connections
        self._outages: dict[str, str | None] = {}
        self._followed: dict | None = None  # the outages of the world that were followed last
        self._listeners: dict[str, socket.socket] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._opening: set[asyncio.Task] = set()
        self._reserved = {region: _bound(address, ports.get(region, 0)) or _free(address)
                          for region in regions.REGIONS}
        self.ports = {region: kept.getsockname()[1] for region, kept in self._reserved.items()}
        if sys.platform != "linux":
            # Elsewhere the connection to a port that is bound and does not listen is not refused: it times out.
            for kept in self._reserved.values():
                kept.close()

    def follow(self, world: World) -> None:
        """Have the ports, and the connections there are, be as the Regions are: refused, left waiting, or open."""
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
        """Take up no more connections."""
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
        # It listens from here on; that connections are taken up may follow a moment later.
        task = asyncio.get_running_loop().create_task(self._take_up(region, listener))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _take_up(self, region: str, listener: socket.socket) -> None:
        if self._listeners.get(region) is listener:  # it may have been closed again meanwhile
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
    """A listening socket, or None where the port is taken. Raises NoAddress for an address that is not this
    machine's."""
    listener = _bound(address, port)
    if listener is None:
        return None
    try:
        listener.listen(_BACKLOG)
        return listener
    except OSError:
        listener.close()
        return None


def _free(address: str) -> socket.socket:
    bound = _bound(address, 0)
    if bound is None:
        raise OSError(errno.EADDRINUSE, f"no port is free at {address}")
    return bound


def _bound(address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: an answer on a kept-open connection would take 40 ms more.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would let two programs share a port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise NoAddress(address) from None
        return None
    return made
