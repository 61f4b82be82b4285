"""The process that serves a board: the address, the certificate, and connections that send nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock, Timeout
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gtlab.classroom.board import Board
from gtlab.classroom.hub import Hub
from gtlab.classroom.register import Register, RegisterError
from gtlab.contract import LOOPBACK
from gtlab.localcloud import process

REGISTER_FILE = "board.sqlite3"
PORTS = range(8820, 8920)  # of which the first free one is taken at first; later the one before. They are below those
#                            that systems give to clients: a learner's own connection could be given a board's port.
_HEAD_S = 10.0       # from a connection's first moment, or a request's first byte, to the end of its headers
_CONNECTIONS = 2000  # learners need two each


@dataclass(frozen=True)
class Settings:
    """How to serve a board. ``port`` None: as the last time. ``url`` is the address to give to learners, if it differs
    from the board's own, as behind a proxy. ``certificate`` and ``key`` are PEM files; with them the board speaks
    HTTPS. ``hub``: the JupyterHub that the board is a service of, and where it wants the board to listen."""

    listen: str = LOOPBACK
    port: int | None = None
    name: str | None = None
    url: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    hub: Hub | None = None


def on_hub(name: str | None) -> Settings:
    """The settings of a board that a JupyterHub has started. Raises ValueError where none has."""
    hub = Hub()
    return Settings(hub.listen, hub.port, name, hub.origin + hub.path, hub=hub)


@dataclass(frozen=True)
class Served:
    """Where a board is, and with what. ``links`` are the instructor's and the projector's, with their tokens."""

    url: str
    here: str
    code: str
    token: str
    projector: str

    @property
    def links(self) -> tuple[str, str]:
        return f"{self.here}/board#{self.token}", f"{self.here}/projector#{self.projector}"


def register_path() -> Path:
    return process.state_folder() / REGISTER_FILE


@contextlib.contextmanager
def opened() -> Iterator[Register]:
    """This state folder's register, for one process at a time. Raises RegisterError."""
    path = register_path()
    try:
        with FileLock(path.with_suffix(".lock"), timeout=2, mode=0o600):
            register = Register(path)
            try:
                yield register
            finally:
                register.close()
    except Timeout:
        raise RegisterError("The board of this state folder is already running, in another terminal. Use that one, or "
                            "end it with Ctrl-C.") from None


def serve(settings: Settings, started: Callable[[Served], None]) -> None:
    """Serve the board until Ctrl-C. ``started`` is called once it accepts connections.

    Raises ValueError for an invalid address or certificate, and RegisterError.
    """
    _check(settings)
    with opened() as register:
        if settings.name is not None:
            register.set("name", settings.name)
        wanted = [settings.port] if settings.port else [register.get("port")] if register.get("port") else PORTS
        listener, port = _first_free(settings.listen, wanted)
        register.set("port", port)
        scheme = "https" if settings.certificate else "http"
        url = (settings.url or f"{scheme}://{_shown(settings.listen)}:{port}").rstrip("/")
        register.set("url", url)
        register.set("hub", settings.hub is not None)
        here = f"{scheme}://{_shown(settings.listen) if settings.certificate else _near(settings.listen)}:{port}"
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(register, settings, listener, lambda: started(Served(
                url, here, register.get("code"), register.get("token"), register.get("projector")))))


async def _run(register: Register, settings: Settings, listener: socket.socket, started: Callable[[], None]) -> None:
    board = Board(register, settings.hub)
    server = _Server(uvicorn.Config(
        board.application, http=_Patient, ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=_CONNECTIONS, timeout_keep_alive=60,
        timeout_graceful_shutdown=2, backlog=512,
        ssl_certfile=settings.certificate, ssl_keyfile=settings.key), board)
    listener.listen(512)
    started()
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that ends the streams first when it shuts down."""

    def __init__(self, config: uvicorn.Config, board: Board):
        super().__init__(config)
        self._board = board

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._board.stop()
        await super().shutdown(sockets)


class _Patient(HttpToolsProtocol):
    """A connection that is closed if a request's headers do not arrive in time. (uvicorn's waits forever.)

    What it uses of uvicorn's internals is on the list in :mod:`gtlab.localcloud.server.connections`."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(_HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _check(settings: Settings) -> None:
    try:
        ipaddress.ip_address(settings.listen)
    except ValueError:
        raise ValueError(f"{settings.listen!r} is not an IP address. Give an address of this machine, or 0.0.0.0 for "
                         "all of its addresses.") from None
    if settings.url is not None and not settings.url.startswith(("http://", "https://")):
        raise ValueError(f"{settings.url!r} is not an address. It begins with http:// or https://.")
    if bool(settings.certificate) != bool(settings.key):
        raise ValueError("HTTPS needs both files: --certificate and --key.")
    if settings.certificate:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"The certificate {settings.certificate} with the key {settings.key} cannot be used: "
                             f"{error}.") from None


def _first_free(address: str, ports: Sequence[int]) -> tuple[socket.socket, int]:
    """A socket at the first of these ports that is free, and the port. Raises ValueError if none is."""
    for port in ports[:-1]:
        with contextlib.suppress(ValueError):
            return _listen(address, port), port
    return _listen(address, ports[-1]), ports[-1]


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port with another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port of a board that was just killed
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise ValueError(f"The board cannot listen on {address}, port {port}: {error.strerror}. Is another board "
                         "running? Choose another port with --port, or an address of this machine.") from None
    return listener


def _shown(address: str) -> str:
    """The address under which other machines find this one. No packet is sent: the system only looks up which of its
    addresses it would send from."""
    if address not in ("0.0.0.0", "::"):
        return f"[{address}]" if ":" in address else address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation, which nobody has
            return probe.getsockname()[0]
        except OSError:
            return LOOPBACK


def _near(address: str) -> str:
    """The address under which this machine finds itself."""
    return LOOPBACK if address == "0.0.0.0" else "[::1]" if address == "::" else _shown(address)
