"""The board as a web application: pages, the learners' half of the API and the instructor's.

| Request | Token | What |
|---|---|---|
| `GET /` | | how to join, and what a learner's machine sends |
| `GET /board`, `GET /projector` | | the pages; they ask for the rest with the token that follows `#` in their address |
| `GET /api/class` | | the class's name and the notice about what travels |
| `POST /api/join` | join code; on a hub, the user's | `{"code", "name"}`: a learner's token |
| `GET /instructor`, `GET /oauth_callback` | the hub's | on a hub: its admins come to the board this way |
| `GET /api/clock` | learner | the board's clock |
| `GET /api/stream` | learner | server-sent events: the state of the class as learners see it |
| `POST /api/report` | learner | `{"records": [[kind, id, value, at], …]}` |
| `GET /api/view`, `?names=no` | instructor, projector | server-sent events: what the page shows |
| `POST /api/act` | instructor | `{"do": …}`: see :mod:`acts` |
| `GET /api/export?what=` | instructor | CSV |
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from gtlab import regions
from gtlab.charts.looks import HOME_OUTLINE, SYMBOLS, look
from gtlab.classroom import acts, export, views, wire
from gtlab.classroom.door import Door, bearer
from gtlab.classroom.hub import CALLBACK, Hub
from gtlab.classroom.register import Learner, Register
from gtlab.classroom.wire import Refused
from gtlab.contract import ALIVE_S

_PAGE = Path(__file__).parent / "page"
_PAGES = {"/": "join.html", "/board": "board.html", "/projector": "board.html"}
_FILES = {"join.js": "text/javascript", "board.js": "text/javascript", "draw.js": "text/javascript",
          "board.css": "text/css"}
_DRAINED = 16      # how many times the largest body is read, and discarded, so that the client can read the answer
_BODY_S = 20.0     # the longest time for a body to arrive
_REDRAW_S = 0.5    # the shortest time between two states of a page
_MOST_VIEWS = 40   # pages of the instructor's at the same time
_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                 b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"), (b"cross-origin-resource-policy", b"same-origin"),
]


class Board:
    """One class's board. ``application`` is the ASGI application. With a ``hub``, the hub says who somebody is, and
    everything is below the hub's path for the board."""

    def __init__(self, register: Register, hub: Hub | None = None):
        self._register, self._door, self._hub = register, Door(register), hub
        self._connected: dict[int, int] = {}  # learner → the number of their newest stream
        self._streams = 0
        self._views = Counter[str]()
        self._shown, self._told = _Changes(), _Changes()  # what the pages show; what learners get
        self._drawn: dict[bool, tuple[int, float, str]] = {}
        answers: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
            "/api/class": ("GET", self._class), "/api/map": ("GET", self._map), "/api/join": ("POST", self._join),
            "/api/clock": ("GET", self._clock), "/api/stream": ("GET", self._stream),
            "/api/report": ("POST", self._report), "/api/view": ("GET", self._view), "/api/act": ("POST", self._act),
            "/api/export": ("GET", self._export)}
        if hub:
            answers |= {"/instructor": ("GET", hub.to_login), f"/{CALLBACK}": ("GET", self._logged_in)}
        routes: list[BaseRoute] = [
            *(Route(path, _page(_PAGES[path])) for path in _PAGES),
            *(Route(f"/{name}", _page(name, kind)) for name, kind in _FILES.items()),
            *(Route(path, answer, methods=[method]) for path, (method, answer) in answers.items())]
        self.application = Starlette(
            routes=[Mount(hub.path, routes=routes)] if hub else routes,
            middleware=[Middleware(_Headers)],
            exception_handlers={Refused: _refused, HTTPException: _no_such, ClientDisconnect: _gone})

    def stop(self) -> None:
        """End all streams, so that the server can end."""
        self._streams = -1
        self._shown.note()
        self._told.note()

    # The class, for everybody

    async def _class(self, request: Request) -> Response:
        on_hub = {"hub": True} if self._hub else {}
        return JSONResponse({"name": self._register.get("name"), "notice": wire.NOTICE, **on_hub})

    async def _map(self, request: Request) -> Response:
        return Response(_map(), media_type="application/json")

    # Learners

    async def _join(self, request: Request) -> Response:
        asked = wire.fields(await _body(request), "code", "name")
        if self._hub:
            user = await self._hub.user(bearer(request))
            if user is None:
                self._door.refuse(request, "By what the hub says, this token is not of a user who may join.", 401)
            learner, token = self._register.join_as(wire.name(user.name))
        else:
            self._door.joins(request, asked["code"])
            learner, token = self._register.join(wire.name(asked["name"]))
        self._shown.note()
        return JSONResponse({"token": token, "name": learner.name, "class": self._register.get("name")})

    async def _logged_in(self, request: Request) -> Response:
        """Somebody comes back from the hub's login: an admin of the hub gets the board, everybody else the page that
        says how to join."""
        assert self._hub is not None
        user = await self._hub.logged_in(request)
        answer = RedirectResponse(f"{self._hub.path}/board#{self._register.get('token')}" if user.admin
                                  else f"{self._hub.path}/", 302)
        self._hub.forget_login(answer)
        return answer

    async def _clock(self, request: Request) -> Response:
        self._door.learner(request)
        return JSONResponse({"now": time.time()})

    async def _report(self, request: Request) -> Response:
        learner = self._door.learner(request)
        records = wire.fields(await _body(request), "records")["records"]
        if not isinstance(records, list) or len(records) > wire.RECORDS:
            raise Refused(f"records is a list of at most {wire.RECORDS} records.")
        kept, refused, now = [], [], time.time()
        for at, given in enumerate(records):
            try:
                kept.append(wire.record(given, now))
            except Refused as reason:
                refused.append([at, str(reason)])
        if self._register.report(learner, kept):
            self._shown.note()
        return JSONResponse({"kept": len(kept), "refused": refused})

    async def _stream(self, request: Request) -> Response:
        learner = self._door.learner(request)
        return _events(self._for_learner(learner))

    async def _for_learner(self, learner: Learner) -> AsyncIterator[str]:
        """The state of the class as learners see it, whenever it changes. It has nothing of any other learner's. A new
        stream of the same learner ends the older one."""
        self._streams += 1
        mine = self._streams
        if learner.id in self._connected:
            self._told.note()
        self._connected[learner.id] = mine
        self._shown.note()
        last = ""
        try:
            while self._connected.get(learner.id) == mine and self._streams > 0:
                if learner.id not in self._register.learners:
                    yield _data({"removed": True})
                    return
                count, state = self._told.count, acts.for_learners(self._register)
                said = json.dumps(state)
                if said != last:
                    last = said
                    yield _data(state | {"now": time.time(), "you": learner.name})
                if not await self._told.after(count):
                    yield ": alive\n\n"
        finally:
            if self._connected.get(learner.id) == mine:
                del self._connected[learner.id]
                self._shown.note()

    # The instructor

    async def _view(self, request: Request) -> Response:
        names = request.query_params.get("names", "yes") == "yes"
        (self._door.instructor if names else self._door.projector)(request)
        if self._views.total() >= _MOST_VIEWS:
            raise Refused("Too many pages show this board. Close some.", 429)
        return _events(self._for_page(names))

    async def _for_page(self, names: bool) -> AsyncIterator[str]:
        self._views["pages"] += 1
        try:
            while self._streams >= 0:
                count = self._shown.count
                yield f'data: {{"now": {time.time()}, "state": {self._state(names)}}}\n\n'
                await asyncio.sleep(_REDRAW_S)
                await self._shown.after(count)
        finally:
            self._views["pages"] -= 1

    def _state(self, names: bool) -> str:
        """What the page shows, as JSON; computed once for all pages."""
        count, at, text = self._drawn.get(names, (-1, 0.0, ""))
        now = time.time()
        if count != self._shown.count or now - at > ALIVE_S / 2:
            text = json.dumps(views.board(self._register, views.Settings(set(self._connected), now, names)))
            self._drawn[names] = (self._shown.count, now, text)
        return text

    async def _act(self, request: Request) -> Response:
        self._door.instructor(request)
        done = acts.act(self._register, await _body(request))
        self._shown.note()
        self._told.note()
        return JSONResponse(done)

    async def _export(self, request: Request) -> Response:
        self._door.instructor(request)
        what = request.query_params.get("what", "")
        if what not in export.TABLES:
            raise Refused(f"what is one of {', '.join(export.TABLES)}.")
        return Response(export.csv_of(self._register, what), media_type="text/csv; charset=utf-8",
                        headers={"content-disposition": f'attachment; filename="class-{what}.csv"'})


class _Changes:
    """Counts changes, and wakes those waiting for the next one."""

    def __init__(self) -> None:
        self.count, self._next = 0, asyncio.Event()

    def note(self) -> None:
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, count: int) -> bool:
        """Wait until there are more than ``count`` changes; False after the longest silence."""
        if self.count == count:
            try:
                await asyncio.wait_for(self._next.wait(), ALIVE_S)
            except TimeoutError:
                return False
        return True


class _Headers:
    """Adds the headers that keep browsers from running or showing anything but the board's own files."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)
        await self._app(scope, receive, with_headers)


def _page(name: str, kind: str = "text/html") -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(_PAGE / name, media_type=f"{kind}; charset=utf-8")
    return answer


@cache
def _map() -> str:
    """The map of all Regions, and how each of them is drawn."""
    drawn = {code: {"colour": look(code).colour, "shape": SYMBOLS[look(code).symbol], "place": each.place,
                    "longitude": each.longitude, "latitude": each.latitude} for code, each in regions.REGIONS.items()}
    return json.dumps({"land": regions.land_rings(), "regions": drawn, "house": HOME_OUTLINE})


async def _body(request: Request) -> Any:
    """The JSON of a request. Raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused("The body must have the Content-Type application/json.", 415)
    parts, size = [], 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > _DRAINED * wire.BODY_BYTES:
                    break
                if size <= wire.BODY_BYTES:
                    parts.append(part)
    except TimeoutError:
        raise Refused(f"The body did not arrive within {_BODY_S:g} s.", 408) from None
    if size > wire.BODY_BYTES:
        raise Refused(f"A request has at most {wire.BODY_BYTES} bytes.", 413)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise Refused("The body is not valid JSON.") from None


def _events(stream: AsyncIterator[str]) -> StreamingResponse:
    # The last header keeps nginx from collecting events before it passes them on.
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _data(what: Any) -> str:
    return f"data: {json.dumps(what)}\n\n"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    if error.status in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    return JSONResponse({"message": str(error)}, error.status, headers)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": "There is nothing here."}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)
