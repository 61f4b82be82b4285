"""The local cloud's HTTP: the DynamoDB API at ``/``, the lab's own API below ``/_gtlab``.

A request waits for half of its caller's round trip before the operation and for the other half after it, so that the
operation takes effect when it would in reality.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.requests import ClientDisconnect

from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.engine import ahead
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import protocols, requests
from gtlab.localcloud.server.access import Guard, headers_of
from gtlab.localcloud.server.answers import Answer, Client, refused, send_answer
from gtlab.localcloud.server.control import ControlApi, Process
from gtlab.localcloud.server.driver import Driver
from gtlab.localcloud.server.endpoints import REFUSED, TIMEOUT, Endpoints
from gtlab.localcloud.server.exchange import Exchange, Receive, Send, raw_path
from gtlab.localcloud.world import World

T = TypeVar("T")
_METHODS = ("POST", "GET", "PATCH", "DELETE")  # the methods of the AWS APIs that the local cloud has
_JSON_TYPES = ("application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json")
_LONG = 1 << 14  # characters of a request's statements or expressions together: reading them takes some 30 ms


class _Gone(Exception):
    """The client has disconnected."""


class _Down(NamedTuple):
    """The called Region is down; ``outage`` is one of OUTAGES."""

    region: str
    outage: str


class App:
    """An ASGI application around one cloud and its keeper.

    It runs under any ASGI server. Under uvicorn with :class:`gtlab.localcloud.server.connections.Connection` it can
    also drop connections, has a port for each Region, and answers faster.
    """

    def __init__(self, keeper: Keeper, process: Process, guard: Guard, endpoints: Endpoints | None = None):
        """Without ``endpoints``, the server's one port serves all Regions."""
        self._keeper, self._guard, self._endpoints = keeper, guard, endpoints
        self._driver = Driver(keeper, endpoints)
        self._preparing = asyncio.Lock()
        self._control = ControlApi(keeper, process, self._driver).application()

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"gtlab's local cloud supports only HTTP, not {scope['type']}")
        connection = scope.get("extensions", {}).get("gtlab") or Exchange(send)
        try:
            headers = headers_of(scope["headers"])
            self._guard.check(headers)
            if scope["path"].startswith("/_gtlab/"):
                _check_type(headers, ("application/json",))
                await self._control(scope, receive, send)
                return
            answer = await self._aws(scope, headers, connection, receive)
            if isinstance(answer, _Down):
                answer = await _fail(answer, connection, receive)
            await send_answer(connection, answer)
        except Refusal as refusal:
            await send_answer(connection, refused(refusal))
        except (_Gone, ClientDisconnect):
            return
        except asyncio.CancelledError:  # the cloud stops
            if isinstance(connection, Exchange):
                raise
            connection.abort()
        except Exception as error:
            await send_answer(connection, refused(self._driver.report(f"{scope['method']} {scope['path']}", error)))

    async def _run(self, receive: Receive, send: Send) -> None:
        """Handle ASGI's lifespan events. (The process of :mod:`main` does the same work without them.)"""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.turned()
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._endpoints:
                    self._endpoints.close()
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _aws(self, scope: dict, headers: dict[str, str], connection: Client,
                   receive: Receive) -> Answer | _Down:
        """The answer to a call of an AWS service. If the Region is down, returns at once, so that the request is not
        kept in memory while the client waits for its timeout."""
        method, target = scope["method"], raw_path(scope)
        form = protocols.form_of(headers)
        if form is not None:
            if scope["query_string"]:
                target += "?" + scope["query_string"].decode("ascii")
            return await self._in_another_form(form, headers, target, connection, await _read(receive))
        if target == "/" and method in ("GET", "HEAD") and "authorization" not in headers:
            return self._down(connection.region) or _health(connection.region)
        targeted = "x-amz-target" in headers
        methods = ("POST",) if targeted or target == "/" else _METHODS
        if method not in methods:
            return _no_method(methods)
        if targeted and target != "/":
            raise Refusal("UnknownOperationException", f"There is nothing at {target}: operations that X-Amz-Target "
                          "names are called at /.", 404)
        if target != "/" and "authorization" not in headers:
            raise protocols.nothing_at(target)
        _check_type(headers, _JSON_TYPES)
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii")
        body = connection.whole_body()
        if body is None:
            body = await _read(receive)
        if len(body) < requests.LARGE:
            call = requests.parse(headers, body, method, target)
        else:  # what is read beside others takes more memory, which is not for a request that nobody answers
            if down := self._down(requests.identity(headers.get("authorization", ""))[1]):
                return down
            call = await self._beside(requests.parse, headers, body, method, target)
        if connection.region not in (None, call.region):
            raise Refusal("InvalidSignatureException", f"Credential should be scoped to a valid Region, not "
                          f"'{call.region}': this is the endpoint of {connection.region}.")
        if call.operation == "DescribeEndpoints":
            return Answer(200, json.dumps({"Endpoints": [{
                "Address": headers["host"], "CachePeriodInMinutes": 1440}]}).encode())
        return await self._in_time(call, len(body))

    async def _in_another_form(self, form: protocols.Form, headers: dict[str, str], target: str, connection: Client,
                               body: bytes) -> Answer | _Down:
        """The answer to a call that is made in a protocol other than JSON."""
        call = None
        try:
            call = (protocols.parse(form, headers, body, target) if len(body) < requests.LARGE else
                    await self._beside(protocols.parse, form, headers, body, target))
            if call.service == "sts" and connection.region is not None:
                call = call._replace(region=connection.region)  # many clients sign for STS's global endpoint
            if connection.region not in (None, call.region):
                raise Refusal("SignatureDoesNotMatch", f"Credential should be scoped to a valid Region, not "
                              f"'{call.region}': this is the endpoint of {connection.region}.")
            done = await self._in_time(call)
            if isinstance(done, _Down):
                return done
        except Refusal as refusal:
            done = refused(refusal)
        told, kind, more = protocols.answer(form, call, done.status, done.body)
        return Answer(done.status, told, kind, more)

    async def _in_time(self, call: requests.Call, length: int = 0) -> Answer | _Down:
        """Carry out a call in the middle of its round trips. ``length``: the bytes of its body."""
        cloud = self._keeper.cloud  # a reset may replace it while this call waits
        away = cloud.world.round_trip_s(call.caller, call.region)
        if away:
            await asyncio.sleep(away / 2)
        if down := self._down(call.region):
            return down
        asked = call
        is_long = length >= _LONG and (length >= requests.LARGE or ahead.length(call) >= _LONG)
        if is_long:
            call = await self._beside(ahead.prepared, call)
        if (is_long or call.operation in ahead.TRIED) and (
                trial := ahead.trial(cloud.database, call, is_long=is_long)):
            is_long, call = True, await self._beside(ahead.tried, trial, call)
        hold = cloud.begin(call)
        try:
            if hold.seconds:
                await asyncio.sleep(hold.seconds)
                if down := self._down(call.region):
                    return down
            done = self._driver.carry_out(call)
            rest = max(away / 2, self._driver.rest_s)
        finally:
            cloud.end(hold)
            if is_long:  # to free much takes long, too; what follows from the call is done first, and needs the rest
                loop = asyncio.get_running_loop()
                loop.call_soon(loop.run_in_executor, None, ahead.forget, asked, call)
        if rest:
            await asyncio.sleep(rest)
        return refused(done) if isinstance(done, Refusal) else Answer(200, done)

    async def _beside(self, prepare: Callable[..., T], *arguments: Any) -> T:
        """The result of preparing a long request, while others are served: that may take seconds. It is done in another
        thread, which Python interrupts wherever they call. One at a time, so that they have half of the processor at
        least."""
        async with self._preparing:
            return await asyncio.to_thread(prepare, *arguments)

    def _down(self, region: str | None) -> _Down | None:
        if region is None:
            return None
        outage = self._keeper.cloud.world.outage(region)
        return _Down(region, outage) if outage else None

    @property
    def world(self) -> World:
        """The cloud's world, as it is now."""
        return self._keeper.cloud.world

    def turned(self) -> None:
        """Call this after the world may have changed, and once when the event loop runs."""
        self._driver.turned()

    def close(self) -> None:
        """Save everything and close the state, when no request is being served any more."""
        self._driver.close()


def _no_method(methods: tuple[str, ...]) -> Answer:
    allowed = ", ".join(methods)
    answer = refused(Refusal("MethodNotAllowedException", f"Only {allowed} is allowed here.", 405))
    return msgspec.structs.replace(answer, headers=((b"allow", allowed.encode()),))


def _check_type(headers: dict[str, str], types: tuple[str, ...]) -> None:
    """Refuse other content types: browsers send the forms of any web page without asking for permission (CORS)."""
    given = headers.get("content-type")
    if given is None:
        empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    else:
        empty = given in types or given.partition(";")[0].strip().lower() in types
    if not empty:
        raise Refusal("UnsupportedMediaTypeException", f"A request with a body needs a Content-Type of "
                      f"{' or '.join(types)}.", 415)


def _health(region: str | None) -> Answer:
    return Answer(200, f"healthy: gtlab local cloud{', ' + region if region else ''}\n".encode(), b"text/plain")


async def _fail(down: _Down, connection: Client, receive: Receive) -> Answer:
    if down.outage == "error" or (down.outage == REFUSED and not connection.drops):
        return refused(Refusal("ServiceUnavailable", "The service is currently unavailable: the local cloud simulates "
                                f"an outage of {down.region}.", 503))
    if down.outage == TIMEOUT:
        connection.hold(down.region)
        while (await receive())["type"] != "http.disconnect":
            pass
    connection.abort()
    raise _Gone


async def _read(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":  # never carry out an incomplete request
            raise _Gone
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
