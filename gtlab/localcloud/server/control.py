"""The lab's own HTTP API, below ``/_gtlab/v1``: what the local cloud is, its knobs, what happened, and its end.

docs/control-api.md describes it for callers in any language.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gtlab.contract import ACCOUNT, ALIVE_S, CONTROL_PREFIX, DEFAULT_ACCOUNT, FACES, TABLE
from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.server.access import host_of
from gtlab.localcloud.world import KNOBS, checked_place

MOST_AT_ONCE = 1000    # events in one answer


def control(keeper: Keeper, instance: str, stop: Callable[[], None], wake: Callable[[], None],
            ports: Mapping[str, int]) -> Starlette:
    """The API as an ASGI application. ``instance`` tells one cloud from another; ``wake`` is called where something
    may be due earlier than it was; ``ports`` are the Regions' own."""
    started = time.time()

    def done(answer: dict) -> JSONResponse:
        keeper.save()
        wake()
        return JSONResponse(answer)

    def world() -> dict:
        return {"network": keeper.cloud.world.network, "seed": keeper.cloud.world.seed,
                "knobs": [{"knob": knob, "place": list(place), "value": value}
                          for knob, place, value in keeper.cloud.world.turned()],
                "paused": [pause.as_dict() for pause in keeper.cloud.fis.pauses],
                "can": {knob.name: {"what": knob.what, "places": list(knob.places), "value": knob.value}
                        for knob in KNOBS.values()}}

    async def status(request: Request) -> JSONResponse:
        now = time.time()
        keeper.cloud.tick(now)
        return done({"instance": instance, "pid": os.getpid(), "started": started, "note": keeper.note,
                     "in_memory": keeper.in_memory,
                     "endpoints": {region: f"http://{host_of(request.headers)}:{port}"
                                   for region, port in ports.items()}, **keeper.cloud.summary(now)})

    async def end(request: Request) -> JSONResponse:
        stop()
        return JSONResponse({"stopping": True})

    async def legacy_api(request: Request) -> JSONResponse:
        return JSONResponse({"face": keeper.cloud.legacy.face, "faces": FACES})

    async def set_legacy_api(request: Request) -> JSONResponse:
        asked = await _asked(request)
        face = asked.get("face") if isinstance(asked, dict) else None
        if face not in FACES:
            return _refused(f'Send {{"face": "…"}} with one of: {", ".join(FACES)}')
        keeper.cloud.legacy.face = face
        keeper.cloud.unsaved.settings = True
        keeper.save()
        return await legacy_api(request)

    async def look(request: Request) -> JSONResponse:
        return JSONResponse(world())

    async def turn(request: Request) -> JSONResponse:
        asked = await _asked(request) if await request.body() else {}
        if not isinstance(asked, dict) or set(asked) - {"value"}:
            return _refused('Send {"value": …}, or nothing for a knob that takes no value')
        try:
            keeper.cloud.turn(request.path_params["knob"], _place(request), asked.get("value"), time.time())
        except ValueError as error:
            return _refused(str(error))
        return done(world())

    async def turn_back(request: Request) -> JSONResponse:
        try:
            keeper.cloud.turn_back(request.path_params["knob"], _place(request), time.time())
        except ValueError as error:
            return _refused(str(error))
        return done(world())

    async def mend(request: Request) -> JSONResponse:
        keeper.cloud.mend_all(time.time())
        return done(world())

    async def reset(request: Request) -> JSONResponse:
        keeper.reset(time.time())
        return await status(request)

    async def events(request: Request) -> JSONResponse | StreamingResponse:
        after = request.headers.get("last-event-id", request.query_params.get("after", "0"))
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            return _refused("after (or Last-Event-ID) is the number of an event")
        keeper.cloud.tick(time.time())
        keeper.save()
        if "text/event-stream" in request.headers.get("accept", ""):
            # A number that is yet to come is from before a restart: the journal has begun anew.
            known = int(after) if int(after) <= keeper.cloud.journal.last else 0
            return StreamingResponse(_stream(keeper, known, request), media_type="text/event-stream",
                                     headers={"cache-control": "no-store"})
        found = keeper.cloud.journal.since(int(after), MOST_AT_ONCE)
        return JSONResponse({"events": [event.as_dict() for event in found], "last": keeper.cloud.journal.last})

    return Starlette(routes=[
        _route("GET", "status", status), _route("POST", "stop", end), _route("POST", "reset", reset),
        _route("GET", "legacy-api", legacy_api), _route("PUT", "legacy-api", set_legacy_api),
        _route("GET", "world", look), _route("DELETE", "world", mend),
        _route("PUT", "world/{knob}", turn), _route("DELETE", "world/{knob}", turn_back),
        _route("PUT", "world/{knob}/{place:path}", turn, "account"),
        _route("DELETE", "world/{knob}/{place:path}", turn_back, "account"),
        _route("GET", "events", events, "after")], exception_handlers={404: _no_such, 405: _no_such})


def _route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]], *parameters: str) -> Route:
    """An endpoint; a request with a query parameter that it does not have is refused, for it may be misspelt."""
    async def checked(request: Request) -> Response:
        unknown = [name for name in request.query_params if name not in parameters]
        if unknown:
            allowed = f"has only {', '.join(parameters)}" if parameters else "has none"
            return _refused(f"There is no query parameter {unknown[0]!r}: {method} {path} {allowed}.")
        return await endpoint(request)

    return Route(f"{CONTROL_PREFIX}/{path}", checked, methods=[method])


def _place(request: Request) -> tuple[str, ...]:
    """A place as the world keeps it. Raises ValueError for one that cannot be."""
    knob = request.path_params["knob"]
    parts = request.scope["raw_path"].decode("ascii").removeprefix(f"{CONTROL_PREFIX}/world/").split("/")[1:]
    place = tuple(map(unquote, parts))  # not of the path as it is read: a part may have a / of its own, as %2F
    if knob == "throttle" and len(place) == 2:
        place = (request.query_params.get("account", DEFAULT_ACCOUNT), *place)
    place = checked_place(knob, place)
    if knob == "throttle" and not ACCOUNT.fullmatch(place[0]):
        raise ValueError(f"throttle: an account is a number of 12 digits, not {place[0]!r}.")
    if knob == "throttle" and not TABLE.fullmatch(place[2]):
        raise ValueError(f"throttle: a table's name has 3 to 255 letters, digits, _ . or -; {place[2]!r} is none.")
    return place


async def _asked(request: Request):
    try:
        return await request.json()
    except (ValueError, RecursionError):  # no JSON, no text, a number of more digits than Python takes
        return None


def _refused(message: str) -> JSONResponse:
    return JSONResponse({"message": message}, 400)


async def _no_such(request: Request, error: HTTPException) -> JSONResponse:
    what = f"There is no {request.method} {request.url.path} here; docs/control-api.md tells what there is."
    return JSONResponse({"message": what}, error.status_code, error.headers)


async def _stream(keeper: Keeper, after: int, request: Request) -> AsyncIterator[str]:
    """Events as they happen, as server-sent events. One who reads too slowly misses the oldest, as the numbers show."""
    journal, more = keeper.cloud.journal, asyncio.Event()  # a reset keeps the journal
    hang_up = journal.listen(more.set)
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
