"""The lab's own HTTP API, below ``/_gtlab/v1``: what the local cloud is, its knobs, and its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from json import JSONDecodeError

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.legacy import FACES

PREFIX = "/_gtlab/v1"


def control(cloud: Cloud, instance: str, stop: Callable[[], None]) -> Starlette:
    """``GET status``: what runs here. ``POST stop``: end it. ``GET legacy-api``: how version 2017.11.29 answers;
    ``PUT legacy-api`` with ``{"face": "historic"}`` or ``"2026"`` changes it. ``instance`` tells one cloud from
    another.
    """
    started = time.time()

    async def status(request: Request) -> JSONResponse:
        now = time.time()
        cloud.tick(now)
        return JSONResponse({"instance": instance, "pid": os.getpid(), "started": started, **cloud.summary(now)})

    async def end(request: Request) -> JSONResponse:
        stop()
        return JSONResponse({"stopping": True})

    async def legacy_api(request: Request) -> JSONResponse:
        return JSONResponse({"face": cloud.legacy.face, "faces": FACES})

    async def set_legacy_api(request: Request) -> JSONResponse:
        try:
            asked = await request.json()
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            asked = None
        face = asked.get("face") if isinstance(asked, dict) else None
        if face not in FACES:
            return JSONResponse({"message": f'Send {{"face": "…"}} with one of: {", ".join(FACES)}'}, 400)
        cloud.legacy.face = face
        return await legacy_api(request)

    return Starlette(routes=[
        Route(f"{PREFIX}/status", status), Route(f"{PREFIX}/stop", end, methods=["POST"]),
        Route(f"{PREFIX}/legacy-api", legacy_api), Route(f"{PREFIX}/legacy-api", set_legacy_api, methods=["PUT"])])
