"""One client connection: its limits of size and time, and how it is dropped.

uvicorn's own connection has no limits: a client could fill the memory with a header, or keep a connection for ever
by sending a byte per minute.

This is the one place that relies on uvicorn's internals (with ``_Server`` in :mod:`main`, which overrides
``shutdown``); pyproject.toml pins the minor release. Of ``HttpToolsProtocol``: the constructor's ``config``,
``server_state`` and ``app_state``; ``connections``, ``tasks``, ``loop``, ``flow``, ``parser``, ``transport``,
``pipeline``, ``scope``, ``cycle``, ``headers``, ``url`` and ``expect_100_continue``; that ``connection_made``,
``connection_lost``, ``shutdown`` and the parser's ``on_…`` callbacks can be extended, that ``on_response_complete``
is replaced whole, and that ``_start_asgi_task(cycle, app)`` starts each request. Of its request cycle: ``run_asgi``,
``on_response``, ``scope``, ``body``, ``more_body``, ``disconnected``, ``keep_alive``, ``message_event``,
``response_started`` and ``response_complete``. Of the server's state: ``connections``, ``default_headers`` and
``total_requests``. Beside it: ``STATUS_LINE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gtlab.localcloud.model import Refusal

_TARGET = re.compile(rb"/(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")  # a path with its query string, as a client may write it
_SHORT_BYTES = 16 * 1024  # a short body; far below the size at which uvicorn stops reading
_SIZE_BYTES = 40           # of a chunk's line: its size is at the beginning
_IDLE, _HEAD, _BODY = "idle", "head", "body"  # waiting for: a request, the end of its headers, the end of its body


class Limits(NamedTuple):
    """The limits of one connection, and of the number of connections."""

    head_bytes: int = 32 * 1024         # request line and headers; an AWS session token alone may have 4 KiB
    headers: int = 100
    body_bytes: int = 16 * 1024 * 1024  # the service's limit for a request
    head_s: float = 10.0                # from a request's first byte to the end of its headers
    body_s: float = 30.0                # from the end of the headers to the end of the body
    idle_s: float = 75.0                # between requests, and before the first
    linger_s: float = 2.0               # how long to discard a refused client's data, so that it can read the answer
    connections: int = 4096


class _Fault(Exception):
    """Ends the parsing of a request that is refused."""


class Connection(HttpToolsProtocol):
    """``region``: the Region whose own port the client connected to; None for the shared port. The application finds
    this object as ``scope["extensions"]["gtlab"]``."""

    drops = True  # the connection can be dropped without an answer

    def __init__(self, *args, limits: Limits, region: str | None = None, **options):
        super().__init__(*args, **options)
        self.region = region
        self.held_for: str | None = None
        self._limits = limits
        self._seconds = {_IDLE: limits.idle_s, _HEAD: limits.head_s, _BODY: limits.body_s}
        self._stage = _IDLE
        self._timed: str | None = None  # the stage whose time limit is running
        self._deadline = 0.0            # when that time limit ends, by the event loop's clock
        self._fed = 0               # bytes received of the current request
        self._piece = 0             # bytes of the latest data that belong to no earlier request
        self._chunked = False       # the request's body comes in chunks
        self._left = 0              # bytes of the current chunk that have not been fed to the parser
        self._line = b""            # the line of a chunked body that was fed last: its beginning
        self._line_ended = True     # its end was fed, too
        self._offers = False        # the request offers to switch to another protocol (Upgrade)
        self._refusal: Refusal | None = None
        self._deaf = False          # further data is discarded
        self._running: Any = None   # the request that the application is processing
        self._short = False         # pass the request to the application only when its body is complete
        self._held_back: tuple[Any, Any] | None = None  # the cycle and the application to start then
        self._timer: asyncio.TimerHandle | None = None

    # For the application

    def hold(self, region: str) -> None:
        """Never answer: the connection stays open until the client disconnects or :meth:`abort` is called."""
        self.held_for, self._deaf = region, True

    def abort(self) -> None:
        """Drop the connection at once; unsent data is lost."""
        self._deaf = True
        self._disconnect()
        with contextlib.suppress(OSError):  # so that the client notices at once, before the event loop's next turn
            self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self.transport.abort()

    def whole_body(self) -> bytes | None:
        """The body of the request that the application is processing; None if it is not complete yet."""
        cycle = self._running
        return None if cycle.more_body or cycle.disconnected else bytes(cycle.body)

    async def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole answer to the request that the application is processing. ``headers``: lines, each ended by CR
        LF. One write is faster than ASGI's two messages, which would wake the client twice."""
        cycle = self._running
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if cycle.disconnected:
            return
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        self.transport.write(b"".join([STATUS_LINE[status], *lines, headers, b"\r\n",
                                       b"" if cycle.scope["method"] == "HEAD" else body]))
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    # For the server

    def shutdown(self) -> None:
        if self.held_for or (self._running and self._running.response_started):  # a stream of events has no end
            self.abort()
        else:
            super().shutdown()

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self.abort()
        else:
            self._watch(_IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()
        self._disconnect()
        # Break the reference cycles, so that memory is freed without waiting for the garbage collector.
        self.scope = self._held_back = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._piece = len(data)
        if self._stage is not _IDLE:
            self._fed += len(data)
        try:
            self._feed(data)
            self._check_fed()
        except (httptools.HttpParserError, _Fault):
            self._refuse(self._refusal or _malformed("The request is not valid HTTP/1.1 (RFC 9112)."))
            return
        answers = self._running is not None and not self._running.response_complete
        self._watch(None if answers and self._stage is _IDLE else self._stage)

    def _feed(self, data: bytes) -> None:
        if not self._chunked and not (b"ransfer-" in data or b"RANSFER-" in data):  # most requests
            self._feed_part(data)
            return
        at = 0
        while at < len(data):
            end = self._end_of_part(data, at)
            self._feed_part(data[at:end])
            at = end

    def _end_of_part(self, data: bytes, at: int) -> int:
        """Where to cut data of a request with a chunked body, so that each line that tells a chunk's size is a part."""
        if self._stage is not _BODY:
            end = data.find(b"\n\r\n", at)
            return len(data) if end < 0 else end + 3
        if not self._chunked:
            return len(data)
        if self._left:
            end = min(at + self._left, len(data))
            self._left -= end - at
            return end
        end = data.find(b"\n", at) + 1 or len(data)
        before = b"" if self._line_ended else self._line
        self._line, self._line_ended = (before + data[at:min(end, at + _SIZE_BYTES)])[:_SIZE_BYTES], data[end - 1] == 10
        return end

    def _feed_part(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_offer() + data[upgrade.args[0]:]

    def _head_without_offer(self) -> bytes:
        """The request's head without its Upgrade offer. The offer is ignored, but the parser stops at it, because it
        takes the body for data of the other protocol: so the head is parsed again without the offer."""
        self._offers = False
        kept = [name + b": " + value + b"\r\n" for name, value in self.headers
                if name not in (b"connection", b"upgrade")]
        if not self.parser.should_keep_alive():
            kept.append(b"connection: close\r\n")
        head = b"".join([self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n", *kept, b"\r\n"])
        self.parser = httptools.HttpRequestParser(self)  # the other one ignores what follows an offer to close
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        return head

    def _check_fed(self) -> None:
        """Check the size of unfinished requests: the parser buffers an unfinished header line without reporting it, and
        a chunked body may never end."""
        limits = self._limits
        if self._stage is _HEAD and self._fed > limits.head_bytes:
            self._fault(_too_long_a_head(limits))
        if self._stage is _BODY and self._fed > limits.body_bytes + limits.head_bytes:
            self._fault(_too_large(limits))

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"gtlab": self}  # type: ignore[dict-item]  # no dictionary: this object itself
        self._stage = _HEAD
        self._fed = self._piece

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._fault(_malformed("The local cloud supports HTTP/1.1 and HTTP/1.0 only."))
        self._check_head()
        if self.url != b"/":
            self._check_target()
        fields = dict(self.headers)
        length = int(fields.get(b"content-length", 0))  # the parser refuses a repeated Content-Length
        if length > self._limits.body_bytes:
            self._fault(_too_large(self._limits))
        if b"upgrade" in fields and b"websocket" in fields[b"upgrade"].lower():
            self._fault(_malformed("The local cloud does not support WebSockets. It sends events as server-sent "
                                   "events: GET /_gtlab/v1/events with Accept: text/event-stream."))
        if self.parser.get_method() == b"CONNECT":  # an offer by itself: declined, it would come again
            self._fault(_malformed("The local cloud is not a proxy: CONNECT is not supported."))
        self._offers = self.parser.should_upgrade()
        if not self._offers:
            self._stage = _BODY
            self._chunked = b"transfer-encoding" in fields
            self._short = 0 < length < _SHORT_BYTES and not self.expect_100_continue and not _is_own_api(self.url)
            super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """A chunk begins. Refuse one that would be longer than a body may be: its bytes might never arrive."""
        try:
            self._left = int(self._line.partition(b";")[0], 16)
        except ValueError:  # the line came together with the end of the head: this body is checked as it arrives
            self._chunked = False
            return
        if self._left > self._limits.body_bytes:
            self._fault(_too_large(self._limits))

    def on_message_complete(self) -> None:
        if not self._offers:
            super().on_message_complete()
            self._stage = _IDLE
            self._chunked, self._left, self._line, self._line_ended = False, 0, b"", True
            self._piece = 0
            self._timed = None
            if self._held_back:
                held_back, self._held_back = self._held_back, None
                self._start_now(*held_back)

    def on_response_complete(self) -> None:
        """Like uvicorn's method, but without its timer, because creating a timer for each request takes time."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._stage is _IDLE:
            self._timed = None
            self._watch(_IDLE)

    def _check_head(self) -> None:
        limits, headers = self._limits, self.headers
        # Check the received bytes first: usually they are below the limit, and the sum need not be computed.
        if (self._fed > limits.head_bytes
                and len(self.url) + sum([len(name) + len(value) + 4 for name, value in headers]) > limits.head_bytes):
            self._fault(_too_long_a_head(limits))
        if len(headers) > limits.headers:
            self._fault(Refusal("RequestHeaderFieldsTooLargeException", f"A request may have at most {limits.headers} "
                                "headers.", 431))

    def _check_target(self) -> None:
        if not _TARGET.fullmatch(self.url):
            self._fault(_malformed("The request's target must be a path that begins with / and consists of ASCII "
                                   "characters and %XX escapes."))
        try:
            path = unquote_to_bytes(self.url.partition(b"?")[0]).decode()
        except UnicodeDecodeError:
            path = "\0"
        if "\0" in path:
            self._fault(_malformed("The request's path must be UTF-8 and must not contain NUL."))

    def _fault(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _Fault

    # Starting the application, and time limits

    def _start_asgi_task(self, cycle, app) -> None:
        self._running = cycle
        if self._short and cycle is self.cycle and self._stage is _BODY:
            self._held_back = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def _start_now(self, cycle, app) -> None:
        """Run the application until it first waits; usually it finishes without waiting. Creating a task, and another
        turn of the event loop, would take as long as the request itself. The lab's own API is not started this way,
        because its library needs the current task."""
        coroutine = cycle.run_asgi(app)
        try:
            awaited = coroutine.send(None)
        except StopIteration:
            return
        task = self.loop.create_task(_rest_of(coroutine, awaited))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _watch(self, stage: str | None) -> None:
        """Start the time limit of a stage, or stop it (None)."""
        if stage is self._timed:
            return
        self._timed = stage
        if stage is None:
            return
        self._deadline = self.loop.time() + self._seconds[stage]
        # One timer serves many requests: it usually fires before the deadline, and is then set again.
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer(self._deadline)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._look_at_the_time)

    def _stop_timer(self) -> None:
        self._timed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_time(self) -> None:
        self._timer = None
        if self._timed is not None:
            if self.loop.time() < self._deadline:
                self._set_timer(self._deadline)
            else:
                self._too_slow()

    def _too_slow(self) -> None:
        stage, self._timed = self._timed or _IDLE, None
        if self.flow.read_paused:  # the server has stopped reading, so the client is not at fault
            self._watch(stage)
        elif stage is _IDLE:
            self.transport.close()
        else:
            self._refuse(Refusal("RequestTimeoutException",
                                 f"The request's {stage} did not arrive within {self._seconds[stage]:g} s.", 408))

    def _refuse(self, refusal: Refusal) -> None:
        """Send the refusal, if no other answer is being sent, and close the connection."""
        running = self._running
        mine = self._stage is _BODY and running is self.cycle
        can_answer = not running.response_started if mine else running is None or running.response_complete
        self._deaf = True
        self._stop_timer()
        self._disconnect()
        if not can_answer or self.transport.is_closing():
            self.transport.close()
            return
        body = json.dumps(refusal.body()).encode()
        self.transport.write(b"".join([
            STATUS_LINE[refusal.status], b"content-type: application/x-amz-json-1.0\r\nconnection: close\r\n",
            b"content-length: %d\r\n\r\n" % len(body), body]))
        self.transport.write_eof()
        self.flow.resume_reading()  # closed with bytes unread, the client would be reset before it reads the answer
        self._timer = self.loop.call_later(self._limits.linger_s, self.transport.abort)

    def _disconnect(self) -> None:
        """Inform the application that its client no longer waits for an answer."""
        if self._running and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()


async def _rest_of(coroutine: Coroutine, awaited: Any) -> Any:
    """Finish a coroutine that was run until it awaited ``awaited``. (Since Python 3.12, tasks do not accept
    generators.)"""
    return await _resumed(coroutine, awaited)


@types.coroutine
def _resumed(coroutine: Coroutine, awaited: Any) -> Generator:
    while True:
        given: Any
        step: Callable[[Any], Any]
        try:
            given, step = (yield awaited), coroutine.send
        except BaseException as error:
            given, step = error, coroutine.throw
        try:
            awaited = step(given)
        except StopIteration as end:
            return end.value


def _is_own_api(target: bytes) -> bool:
    return target.startswith(b"/_gtlab")


def _malformed(message: str) -> Refusal:
    return Refusal("BadRequestException", message)


def _too_large(limits: Limits) -> Refusal:
    return Refusal("RequestEntityTooLargeException", f"A request may have {limits.body_bytes} bytes.", 413)


def _too_long_a_head(limits: Limits) -> Refusal:
    return Refusal("RequestHeaderFieldsTooLargeException",
                   f"A request's first line and headers may have {limits.head_bytes} bytes.", 431)
