"""One client connection: how its data becomes requests, within limits of size and time, and how it is dropped.

uvicorn's own connection has no limits: a client could fill the memory with a header, or keep a connection forever
by sending a byte per minute. The limits are in :mod:`limits`, the time of each stage is kept by :mod:`stopwatch`, and
:mod:`chunks` follows a body that comes in chunks.

This list is all that gtlab relies on of uvicorn's internals; pyproject.toml pins the minor release. ``_Server`` in
:mod:`main` and in :mod:`gtlab.classroom.server` overrides ``shutdown``. The board's connection there uses a small part
of what follows: ``loop``, ``transport`` and four of the callbacks.

Of its event loops: ``auto_loop_factory`` in :mod:`main`, which chooses uvloop where it is installed.

Of ``HttpToolsProtocol``: the constructor's ``config`` (of which :mod:`main` replaces ``loaded_app``), ``server_state``
and ``app_state``; ``connections``, ``tasks``, ``loop``, ``flow``, ``parser``, ``transport``, ``pipeline``, ``scope``,
``cycle``, ``headers``, ``url`` and ``expect_100_continue``; that ``connection_made``, ``connection_lost``,
``shutdown`` and the parser's ``on_…`` callbacks can be extended, that ``on_header`` and ``on_response_complete`` are
replaced whole, and that ``_start_asgi_task(cycle, app)`` starts each request. Of its request cycle: ``run_asgi``,
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
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import eager
from gtlab.localcloud.server.chunks import Chunks
from gtlab.localcloud.server.limits import (
    Limits,
    check_target,
    malformed,
    too_large,
    too_long_a_head,
    too_many_headers,
    too_slow,
)
from gtlab.localcloud.server.stopwatch import Stopwatch

_SHORT_BYTES = 16 * 1024  # a short body; far below the size at which uvicorn stops reading
_CHUNKED = re.compile(rb"(?i)\ntransfer-")  # a request's body may come in chunks
_IDLE, _HEAD, _BODY = "idle", "head", "body"  # waiting for: a request, the end of its headers, the end of its body


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
        self._stopwatch = Stopwatch(self.loop, self._seconds, self._too_slow)
        self._fed = 0               # bytes received of the current request
        self._piece = 0             # bytes of the latest data that belong to no earlier request
        self._chunks: Chunks | None = None  # of a request whose body comes in chunks
        self._offers = False        # the request offers to switch to another protocol (Upgrade)
        self._refusal: Refusal | None = None
        self._deaf = False          # further data is discarded
        self._running: Any = None   # the request that the application is processing
        self._short = False         # pass the request to the application only when its body is complete
        self._held_back: tuple[Any, Any] | None = None  # the cycle and the application to start then
        self._default: list[tuple[bytes, bytes]] | None = None  # headers that every answer has
        self._default_lines = b""   # the same, as they are sent
        self._linger: asyncio.TimerHandle | None = None  # of a refused client, until the connection is dropped

    # For the application

    def hold(self, region: str) -> None:
        """Never answer: the connection stays open until the client disconnects or :meth:`abort` is called."""
        self.held_for, self._deaf = region, True

    def abort(self) -> None:
        """Drop the connection at once; unsent data is lost."""
        self._deaf = True
        self._disconnect()
        if not self.transport.is_closing():  # afterwards, the descriptor may be another connection's
            with contextlib.suppress(OSError):  # so that the client notices at once, before the event loop's next turn
                own = self.transport.get_extra_info("socket")  # with uvloop, an object that cannot shut down
                with socket.fromfd(own.fileno(), own.family, own.type) as same:
                    same.shutdown(socket.SHUT_RDWR)
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
        default = self.server_state.default_headers
        if default is not self._default:  # uvicorn replaces the list when the date changes
            self._default, self._default_lines = default, b"".join([b"%b: %b\r\n" % header for header in default])
        if not cycle.keep_alive:
            headers += b"connection: close\r\n"
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((STATUS_LINE[status], self._default_lines, headers, b"\r\n",
                                       b"" if cycle.scope["method"] == "HEAD" else body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    # For the server

    def shutdown(self) -> None:
        endless = self._running and self._running.response_started  # a stream of events
        incomplete = self._stage is _BODY and self._running is self.cycle  # it would not be carried out
        if self.held_for or endless or incomplete:
            self.abort()
        else:
            super().shutdown()

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that uvloop sends an answer at once, not at the end of its turn
        if len(self.connections) > self._limits.connections:
            self.abort()
        else:
            self._stopwatch.start(_IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stopwatch.end()
        if self._linger is not None:
            self._linger.cancel()
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
            if self._fed > self._limits.head_bytes:
                self._check_fed()
        except (httptools.HttpParserError, _Fault):
            self._refuse(self._refusal or malformed("The request is not valid HTTP/1.1 (RFC 9112)."))
            return
        answers = self._running is not None and not self._running.response_complete
        self._stopwatch.start(None if answers and self._stage is _IDLE else self._stage)

    def _feed(self, data: bytes) -> None:
        if self._stage is _IDLE and not _CHUNKED.search(data):  # most requests
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
        return len(data) if self._chunks is None else self._chunks.end_of_part(data, at)

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
            self._fault(too_long_a_head(limits))
        if self._stage is _BODY and self._fed > limits.body_bytes + limits.head_bytes:
            self._fault(too_large(limits))

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"gtlab": self}  # type: ignore[dict-item]  # no dictionary: this object itself
        self._stage = _HEAD
        self._fed = self._piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))  # as uvicorn's method, which also looks at each for an Expect

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._fault(malformed("The local cloud supports HTTP/1.1 and HTTP/1.0 only."))
        if self._fed > self._limits.head_bytes or len(self.headers) > self._limits.headers:
            self._check_head()
        if self.url != b"/" and (wrong := check_target(self.url)):
            self._fault(wrong)
        fields = dict(self.headers)
        self.expect_100_continue = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        length = int(fields.get(b"content-length", 0))  # the parser refuses a repeated Content-Length
        if length > self._limits.body_bytes:
            self._fault(too_large(self._limits))
        if b"upgrade" in fields and b"websocket" in fields[b"upgrade"].lower():
            self._fault(malformed("The local cloud does not support WebSockets. It sends events as server-sent "
                                  "events: GET /_gtlab/v1/events with Accept: text/event-stream."))
        self._offers = self.parser.should_upgrade()
        if self._offers and self.parser.get_method() == b"CONNECT":  # an offer by itself: declined, it would come again
            self._fault(malformed("The local cloud is not a proxy: CONNECT is not supported."))
        if not self._offers:
            self._stage = _BODY
            self._chunks = Chunks() if b"transfer-encoding" in fields else None
            self._short = (0 < length < _SHORT_BYTES and not self.expect_100_continue
                           and not self.url.startswith(b"/_gtlab"))
            super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """A chunk begins. Refuse one that would be longer than a body may be: its bytes might never arrive."""
        size = self._chunks.begin() if self._chunks else 0
        if size is None:  # the line came together with the end of the head: this body is checked as it arrives
            self._chunks = None
        elif size > self._limits.body_bytes:
            self._fault(too_large(self._limits))

    def on_message_complete(self) -> None:
        if not self._offers:
            super().on_message_complete()
            self._stage = _IDLE
            self._chunks = None
            self._piece = 0
            self._stopwatch.stage = None
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
            self._stopwatch.stage = None
            self._stopwatch.start(_IDLE)

    def _check_head(self) -> None:
        limits, headers = self._limits, self.headers
        if (self._fed > limits.head_bytes
                and len(self.url) + sum([len(name) + len(value) + 4 for name, value in headers]) > limits.head_bytes):
            self._fault(too_long_a_head(limits))
        if len(headers) > limits.headers:
            self._fault(too_many_headers(limits))

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
        rest = eager.begin(cycle.run_asgi(app))
        if rest is not None:
            task = self.loop.create_task(rest)
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def _too_slow(self, stage: str) -> None:
        if self.flow.read_paused:  # the server has stopped reading, so the client is not at fault
            self._stopwatch.start(stage)
        elif stage is _IDLE:
            self.transport.close()
        else:
            self._refuse(too_slow(stage, self._seconds[stage]))

    def _refuse(self, refusal: Refusal) -> None:
        """Send the refusal, if no other answer is being sent, and close the connection."""
        running = self._running
        mine = self._stage is _BODY and running is self.cycle
        can_answer = not running.response_started if mine else running is None or running.response_complete
        self._deaf = True
        self._stopwatch.stop()
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
        self._linger = self.loop.call_later(self._limits.linger_s, self.transport.abort)

    def _disconnect(self) -> None:
        """Inform the application that its client no longer waits for an answer."""
        if self._running and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()

