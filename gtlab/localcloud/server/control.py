"""The lab's own HTTP API, below ``/_gtlab/v1``: the local cloud's status, its knobs, its journal, and how to stop it.

docs/control-api.md describes it for callers in any language.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gtlab.contract import ACCOUNT, ALIVE_S, CONTROL_PREFIX, DEFAULT_ACCOUNT, FACES, TABLE
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server.access import host_of
from gtlab.localcloud.server.driver import Driver
from gtlab.localcloud.server.exchange import raw_path
from gtlab.localcloud.server.requests import MOST_OTHER
from gtlab.localcloud.world import KNOBS, MOST_TIMES, checked_place

MOST_AT_ONCE = 1000  # events in one answer
READS = ("stale", "all")  # which reads a follower asks for


@dataclass(frozen=True)
class Process:
    """The process that serves the API. ``instance`` identifies it; ``ports`` are the Regions' own. ``stop``: None where
    users cannot stop it. ``shared``: what the status says of a shared cloud."""

    instance: str
    ports: Mapping[str, int]
    stop: Callable[[], None] | None
    shared: Callable[[], dict] | None = None


def endpoints_of(process: Process, headers: Mapping[str, str]) -> dict[str, str]:
    """The Regions' URLs, as the client that sent a request with these headers reaches them. Raises Refusal."""
    return {region: f"http://{host_of(headers)}:{port}" for region, port in process.ports.items()}


class ControlApi:
    """The API's operations: from a request to its answer."""

    def __init__(self, keeper: Keeper, process: Process, driver: Driver):
        self._keeper, self._process, self._driver = keeper, process, driver
        self._started = time.time()

    def application(self) -> Starlette:
        """The API as an ASGI application."""
        return Starlette(routes=[
            self._route("GET", "status", self.status), self._route("POST", "stop", self.stop),
            self._route("POST", "reset", self.reset), self._route("GET", "legacy-api", self.legacy_api),
            self._route("PUT", "legacy-api", self.set_legacy_api), self._route("GET", "hurry", self.hurry),
            self._route("PUT", "hurry", self.set_hurry),
            self._route("GET", "policy", self.policy, "account"),
            self._route("PUT", "policy", self.set_policy, "account"),
            self._route("DELETE", "policy", self.clear_policy, "account"), self._route("GET", "world", self.world),
            self._route("DELETE", "world", self.repair), self._route("PUT", "world/{knob}", self.turn),
            self._route("DELETE", "world/{knob}", self.turn_back),
            self._route("PUT", "world/{knob}/{place:path}", self.turn, "account"),
            self._route("DELETE", "world/{knob}/{place:path}", self.turn_back, "account"),
            self._route("GET", "events", self.events, "after", "reads")],
            exception_handlers={404: _no_such, 405: _no_such})

    def _route(self, method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]],
               *parameters: str) -> Route:
        """An endpoint. A query parameter that it does not have is refused, because it may be misspelt."""
        async def checked(request: Request) -> Response:
            unknown = [name for name in request.query_params if name not in parameters]
            if unknown:
                allowed = f"has only {', '.join(parameters)}" if parameters else "has none"
                return _refused(f"There is no query parameter {unknown[0]!r}: {method} {path} {allowed}.")
            if method != "GET" and len(await request.body()) > MOST_OTHER:
                return JSONResponse({"message": f"A request below {CONTROL_PREFIX} may have {MOST_OTHER} bytes."}, 413)
            changes = method != "GET" and path not in ("stop", "reset")  # a reset makes room on the disk
            if changes and (unwritable := self._driver.still_unwritable()):
                return _unavailable(unwritable)
            try:
                return await endpoint(request)
            except (HTTPException, ClientDisconnect, Refusal):
                raise
            except Exception as error:
                self._cloud.errors.report(f"{method} {CONTROL_PREFIX}/{path}", error)
                return JSONResponse({"message": "An internal error in gtlab's local cloud: see gtlab status and its "
                                                "log."}, 500)

        return Route(f"{CONTROL_PREFIX}/{path}", checked, methods=[method])

    @property
    def _cloud(self) -> Cloud:
        return self._keeper.cloud  # a reset replaces it

    def _done(self, answer: dict[str, Any]) -> JSONResponse:
        """The answer to a request that has changed something."""
        unsaved = self._driver.save()
        self._driver.turned()
        return JSONResponse(answer) if unsaved is None else _unavailable(unsaved)

    async def status(self, request: Request) -> JSONResponse:
        now = time.time()
        self._cloud.tick(now)
        self._driver.save()
        self._driver.turned()
        return JSONResponse({"instance": self._process.instance, "pid": os.getpid(), "started": self._started,
                             "note": self._keeper.note, "in_memory": self._keeper.in_memory, "loading": None,
                             "disk_error": self._driver.disk_error,
                             "endpoints": endpoints_of(self._process, dict(request.headers)),
                             "shared": self._process.shared() if self._process.shared else None,
                             **self._cloud.summary(now)})

    async def stop(self, request: Request) -> JSONResponse:
        if self._process.stop is None:
            return _refused("This local cloud is shared: only its owner can stop it. To empty your own part: reset")
        self._process.stop()
        return JSONResponse({"stopping": True})

    async def reset(self, request: Request) -> JSONResponse:
        try:
            self._keeper.reset(time.time())
        except sqlite3.Error as error:
            return JSONResponse({"message": f"The state cannot be deleted from disk: {error}. Nothing was done. "
                                            "To delete its files: gtlab down, then gtlab reset"}, 503)
        self._driver.garbage.sweep_all_soon()  # the cloud that is gone
        return await self.status(request)

    async def legacy_api(self, request: Request) -> JSONResponse:
        return JSONResponse({"face": self._cloud.legacy.face, "faces": FACES})

    async def set_legacy_api(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        face = asked.get("face") if isinstance(asked, dict) else None
        if face not in FACES:
            return _refused(f'Send {{"face": "…"}} with one of: {", ".join(FACES)}')
        self._cloud.legacy.face = face
        self._cloud.unsaved.settings = True
        return self._done({"face": self._cloud.legacy.face, "faces": FACES})

    async def hurry(self, request: Request) -> JSONResponse:
        return JSONResponse({"times": self._cloud.world.times_faster})

    async def set_hurry(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        times = asked.get("times") if isinstance(asked, dict) else None
        if isinstance(times, bool) or not isinstance(times, int | float) or not 1 <= times <= MOST_TIMES:
            return _refused(f'Send {{"times": …}} with a number from 1 to {MOST_TIMES}')
        self._cloud.world.times_faster = float(times)
        return JSONResponse({"times": self._cloud.world.times_faster})

    # The world

    def _world(self) -> dict[str, Any]:
        world = self._cloud.world
        return {"network": world.network, "seed": world.seed,
                "knobs": [{"knob": knob, "place": list(place), "value": value}
                          for knob, place, value in world.turned()],
                "paused": [pause.as_dict() for pause in self._cloud.fis.pauses],
                "can": {knob.name: {"what": knob.what, "places": list(knob.places), "value": knob.value}
                        for knob in KNOBS.values()}}

    async def policy(self, request: Request) -> JSONResponse:
        account = _account(request)
        return account if isinstance(account, JSONResponse) else JSONResponse(self._cloud.access.described(account))

    async def set_policy(self, request: Request) -> JSONResponse:
        account, asked = _account(request), await _body(request)
        if isinstance(account, JSONResponse):
            return account
        try:
            self._cloud.access.set(account, asked)
        except ValueError as error:
            return _refused(str(error))
        return JSONResponse(self._cloud.access.described(account))

    async def clear_policy(self, request: Request) -> JSONResponse:
        account = _account(request)
        if isinstance(account, JSONResponse):
            return account
        self._cloud.access.clear(account)
        return JSONResponse(self._cloud.access.described(account))

    async def world(self, request: Request) -> JSONResponse:
        return JSONResponse(self._world())

    async def turn(self, request: Request) -> JSONResponse:
        asked = await _body(request) if await request.body() else {}
        if not isinstance(asked, dict) or set(asked) - {"value"}:
            return _refused('Send {"value": …}, or nothing for a knob that takes no value')
        try:
            self._cloud.turn(request.path_params["knob"], _place(request), asked.get("value"), time.time())
        except ValueError as error:
            return _refused(str(error))
        return self._done(self._world())

    async def turn_back(self, request: Request) -> JSONResponse:
        try:
            self._cloud.turn_back(request.path_params["knob"], _place(request), time.time())
        except ValueError as error:
            return _refused(str(error))
        return self._done(self._world())

    async def repair(self, request: Request) -> JSONResponse:
        self._cloud.mend_all(time.time())
        return self._done(self._world())

    # The journal

    async def events(self, request: Request) -> JSONResponse | StreamingResponse:
        after = request.headers.get("last-event-id", request.query_params.get("after", "0"))
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            return _refused("after (or Last-Event-ID) must be the number of an event")
        reads = request.query_params.get("reads", "stale")
        streams = "text/event-stream" in request.headers.get("accept", "")
        if reads not in READS:
            return _refused(f"reads is one of: {', '.join(READS)}")
        if reads == "all" and not streams:
            return _refused("reads=all needs Accept: text/event-stream. The journal has reads that are not stale only "
                            "while a client follows it and asks for them")
        self._cloud.tick(time.time())
        self._driver.save()
        journal = self._cloud.journal
        if streams:
            # A number in the future is from before a restart, after which the journal starts at 1 again.
            known = int(after) if int(after) <= journal.last else 0
            return StreamingResponse(self._stream(known, reads == "all"), media_type="text/event-stream",
                                     headers={"cache-control": "no-store"})
        found = journal.since(int(after), MOST_AT_ONCE)
        return JSONResponse({"events": [event.as_dict() for event in found], "last": journal.last})

    async def _stream(self, after: int, all_reads: bool) -> AsyncIterator[str]:
        """Events as they happen, as server-sent events. A reader that is too slow misses the oldest events; their
        numbers show the gap. With ``all_reads`` the journal has all reads while this lasts."""
        journal, more = self._cloud.journal, asyncio.Event()  # a reset keeps the journal
        hang_up = journal.listen(more.set, reads=all_reads)
        try:
            yield ": the events of gtlab's local cloud\n\n"
            while True:
                more.clear()
                found = journal.since(after, MOST_AT_ONCE)
                for event in found:
                    after = event.n
                    yield f"id: {event.n}\nevent: {event.kind}\ndata: {json.dumps(event.as_dict())}\n\n"
                if not found:
                    try:
                        await asyncio.wait_for(more.wait(), ALIVE_S)
                    except TimeoutError:
                        yield ": alive\n\n"
        finally:
            hang_up()


def _place(request: Request) -> tuple[str, ...]:
    """A place as the world keeps it. Raises ValueError for an invalid place."""
    knob = request.path_params["knob"]
    parts = raw_path(request.scope).removeprefix(f"{CONTROL_PREFIX}/world/").split("/")[1:]
    place = tuple(map(unquote, parts))  # from the raw path: a part may contain a slash of its own, as %2F
    if knob == "throttle" and len(place) == 2:
        place = (request.query_params.get("account", DEFAULT_ACCOUNT), *place)
    place = checked_place(knob, place)
    if knob == "throttle" and not ACCOUNT.fullmatch(place[0]):
        raise ValueError(f"throttle: an account is a number of 12 digits, not {place[0]!r}.")
    if knob == "throttle" and not TABLE.fullmatch(place[2]):
        raise ValueError(f"throttle: a table's name has 3 to 255 letters, digits, _ . or -; {place[2]!r} is not valid.")
    return place


def _account(request: Request) -> str | JSONResponse:
    """The account that a query parameter names, or the refusal of what is none."""
    account = request.query_params.get("account", DEFAULT_ACCOUNT)
    return account if ACCOUNT.fullmatch(account) else _refused(f"An account is a number of 12 digits, not {account!r}.")


async def _body(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or a number with more digits than Python accepts
        return None


def _refused(message: str) -> JSONResponse:
    return JSONResponse({"message": message}, 400)


def _unavailable(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"message": refusal.message}, refusal.status)


async def _no_such(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    what = f"There is no {request.method} {request.url.path} here; docs/control-api.md describes the API."
    return JSONResponse({"message": what}, error.status_code, error.headers)
