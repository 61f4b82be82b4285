"""The HTTP face of the local cloud: the DynamoDB API at ``/``, the lab's own API below ``/_gtlab``.

A request is held for half its caller's round trip before the operation and half after it, so that the
operation happens when it would.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sqlite3
import time
import zlib
from collections.abc import Callable

from gtlab.localcloud import control, wire
from gtlab.localcloud.errors import Refusal
from gtlab.localcloud.keeper import Keeper

log = logging.getLogger(__name__)
MAX_BODY = 16 * 1024 * 1024  # the service's limit for a request
_NOT_SAVED = json.dumps(Refusal("ServiceUnavailable", "gtlab's local cloud cannot write its state to disk. Make room, "
                                "or start it with: gtlab up --in-memory").body()).encode()
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class App:
    """An ASGI application around one cloud and its keeper."""

    def __init__(self, keeper: Keeper, instance: str, stop: Callable[[], None]):
        self._keeper = keeper
        self._control = control.control(keeper, instance, stop, self.wake)
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "").rpartition(":")[0] not in _LOCAL_HOSTS and headers.get("host") not in _LOCAL_HOSTS:
            await _send(send, 403, b'{"message": "The local cloud answers to its loopback address only."}')
        elif scope["path"].startswith("/_gtlab/"):
            await self._control(scope, receive, send)
        elif scope["method"] == "GET":
            await _send(send, 200, b"healthy: gtlab local cloud\n", content_type=b"text/plain")
        else:
            await self._dynamodb(headers, receive, send)

    async def _dynamodb(self, headers: dict[str, str], receive, send) -> None:
        try:
            call = wire.parse(headers, await _read(receive))
            away = self._keeper.cloud.world.round_trip_s(call.caller, call.region)
            await _pass(away / 2)
            hold = self._keeper.cloud.begin(call)
            try:
                await _pass(hold.seconds)
                status, body = self._carry_out(call)
            finally:
                self._keeper.cloud.end(hold)
            await _pass(away / 2)
        except Refusal as refusal:
            status, body = refusal.status, json.dumps(refusal.body()).encode()
        await _send(send, status, body)

    def _carry_out(self, call: wire.Call) -> tuple[int, bytes]:
        try:
            answer = 200, self._keeper.cloud.call(call, time.time())
        except Refusal as refusal:
            answer = refusal.status, json.dumps(refusal.body()).encode()
        except Exception:
            log.exception("%s failed", call.operation)
            refusal = Refusal("ValidationException", f"gtlab's local cloud cannot carry out this {call.operation}.")
            answer = 400, json.dumps(refusal.body()).encode()
        finally:
            self.wake()
        return answer if self._saved() else (503, _NOT_SAVED)

    def _saved(self) -> bool:
        """Whether all that has happened is on disk: nobody is told of what the end of this process would undo."""
        try:
            self._keeper.save()
            return True
        except sqlite3.Error:
            log.exception("the state cannot be written")
            return False

    def wake(self) -> None:
        """Have the loop tick the cloud when something is due."""
        loop, due = asyncio.get_running_loop(), self._keeper.cloud.next_due()
        at = loop.time() + max(0.0, due - time.time())
        if self._timer is None or self._timer.cancelled() or at < self._timer.when():
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._keeper.cloud.tick(time.time())
        except Exception:
            log.exception("a tick failed")
        self._saved()
        self.wake()


async def _pass(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


async def _read(receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part, more = message.get("body", b""), message.get("more_body", False)
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise Refusal("RequestEntityTooLargeException", f"A request may have {MAX_BODY} bytes.", 413)
    return b"".join(parts)


async def _send(send, status: int, body: bytes, content_type: bytes = b"application/x-amz-json-1.0") -> None:
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-amz-crc32", str(zlib.crc32(body)).encode()),
        (b"x-amzn-requestid", secrets.token_hex(26).upper().encode()),
    ]})
    await send({"type": "http.response.body", "body": body})
