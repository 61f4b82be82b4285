"""Records what a real notebook sends, as a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from typing import NamedTuple

READ_HEADERS = re.compile(rb"(?i)\r\n(content-length|transfer-encoding): *([^\r]*)")


class Sent(NamedTuple):
    """A request of the recorded notebook. ``at`` is in epoch seconds; ``line`` is its connection's number."""

    at: float
    line: int
    to: str
    raw: bytes


class Recorder:
    """A proxy that passes requests on and keeps a copy of them. ``kept`` has the copies, ``url`` the address of each
    server's proxy."""

    def __init__(self, servers: dict[str, int]):
        self.kept: list[Sent] = []
        self.url: dict[str, str] = {}
        self._lines = 0
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._listen(servers))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _listen(self, servers: dict[str, int]) -> None:
        for to, port in servers.items():
            async def client(reader, writer, to=to, port=port):
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await self._line(reader, writer, to, port)
                writer.close()
            server = await asyncio.start_server(client, "127.0.0.1", 0, limit=1 << 22)
            self.url[to] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _line(self, reader, writer, to: str, port: int) -> None:
        self._lines += 1
        line = self._lines
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)

        async def answers() -> None:
            with contextlib.suppress(OSError):
                while part := await behind.read(1 << 16):
                    writer.write(part)
            writer.close()
        answering = asyncio.ensure_future(answers())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                raw = head + await reader.readexactly(length(head))
                self.kept.append(Sent(time.time(), line, to, raw))
                ahead.write(raw)
        finally:
            ahead.close()
            await answering

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def length(head: bytes) -> int:
    return next((int(value) for name, value in READ_HEADERS.findall(head) if name.lower() == b"content-length"), 0)
