"""One request and its answer under any ASGI server; :class:`connections.Connection` is the same for our own server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Exchange:
    """ASGI has no way to drop a connection, so ``drops`` is false: a Region that refuses connections answers 503."""

    drops = False
    region: str | None = None  # all Regions are at one port

    def __init__(self, send: Send):
        self._send = send

    def hold(self, region: str) -> None:
        """Nothing to prepare: the answer just never comes."""

    def abort(self) -> None:
        """The connection is the server's."""

    def whole_body(self) -> bytes | None:
        """None: the body is read message by message."""
        return None

    async def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole answer. ``headers``: lines, each ended by CR LF."""
        pairs = [(name.lower(), value.strip()) for name, _, value in
                 (line.partition(b":") for line in headers.split(b"\r\n") if line)]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})
        await self._send({"type": "http.response.body", "body": body})


def raw_path(scope: MutableMapping[str, Any]) -> str:
    """The path as the client sent it, still percent-encoded; ASGI servers need not pass it on."""
    return scope["raw_path"].decode("ascii") if scope.get("raw_path") else quote(scope["path"])
