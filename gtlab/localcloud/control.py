"""The lab's own HTTP API, below ``/_gtlab/v1``: what the local cloud is, and its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gtlab.localcloud.cloud import Cloud

PREFIX = "/_gtlab/v1"


def control(cloud: Cloud, instance: str, stop: Callable[[], None]) -> Starlette:
    """``GET status``: what runs here. ``POST stop``: end it. ``instance`` tells one cloud from another."""
    started = time.time()

    async def status(request: Request) -> JSONResponse:
        now = time.time()
        cloud.tick(now)
        return JSONResponse({"instance": instance, "pid": os.getpid(), "started": started, **cloud.summary(now)})

    async def end(request: Request) -> JSONResponse:
        stop()
        return JSONResponse({"stopping": True})

    return Starlette(routes=[Route(f"{PREFIX}/status", status), Route(f"{PREFIX}/stop", end, methods=["POST"])])
