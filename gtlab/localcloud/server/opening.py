"""The application while the kept state is being loaded, which takes a while if there are many items.

``GET status`` and ``POST stop`` are answered at once. A call of an AWS service waits for the state, so that most
clients notice nothing; if that takes long, it gets an answer after which every SDK tries again. As soon as the state is
there, requests go to the application itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping

from gtlab.contract import CONTROL_PREFIX
from gtlab.localcloud.disk.loading import Loading
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import protocols
from gtlab.localcloud.server.access import Guard, headers_of
from gtlab.localcloud.server.answers import Answer, refused, send_answer
from gtlab.localcloud.server.app import App
from gtlab.localcloud.server.control import Process, endpoints_of
from gtlab.localcloud.server.exchange import Exchange, Receive, Send

WAIT_S = 20.0  # how long a call waits; SDKs wait for an answer longer than that


class Opening:
    """An ASGI application in front of another one, which ``app`` has when the state is loaded. ``loading`` says how far
    that is."""

    def __init__(self, loading: Loading, process: Process, guard: Guard, app: asyncio.Future[App]):
        self._loading, self._process, self._guard, self._app = loading, process, guard, app
        self._started = time.time()

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        if self._app.done():
            await self._app.result()(scope, receive, send)
            return
        connection = scope.get("extensions", {}).get("gtlab") or Exchange(send)
        try:
            headers = headers_of(scope["headers"])
            self._guard.check(headers)
            answer = (self._control(scope["method"], scope["path"], headers)
                      if scope["path"].startswith("/_gtlab/") else await self._wait(headers))
        except Refusal as refusal:
            answer = refused(refusal)
        except asyncio.CancelledError:  # the cloud stops
            if isinstance(connection, Exchange):
                raise
            connection.abort()
            return
        if answer is None:
            await self._app.result()(scope, receive, send)
        else:
            await send_answer(connection, answer)

    def _control(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The lab's own API, as far as it needs no state."""
        what = path.removeprefix(f"{CONTROL_PREFIX}/")
        if (method, what) == ("GET", "status"):
            return _json(200, {
                "instance": self._process.instance, "pid": os.getpid(), "started": self._started, "in_memory": False,
                "endpoints": endpoints_of(self._process, headers),
                "loading": {"done": self._loading.done, "rows": self._loading.rows}})
        if (method, what) == ("POST", "stop") and self._process.stop:
            self._process.stop()
            return _json(200, {"stopping": True})
        return _json(503, {"message": f"{self._far()} Until then it answers only GET status and POST stop. Try again."})

    async def _wait(self, headers: dict[str, str]) -> Answer | None:
        """None if the state is loaded in time; otherwise what a call is answered, in the protocol of its client."""
        await asyncio.wait((self._app,), timeout=WAIT_S)
        if self._app.done():
            return None
        answer = refused(Refusal("ServiceUnavailable", f"{self._far()} Nothing was done. Try again.", 503))
        form = protocols.form_of(headers)
        if form is None:
            return answer
        told, kind, more = protocols.answer(form, None, answer.status, answer.body)
        return Answer(answer.status, told, kind, more)

    def _far(self) -> str:
        done, rows = self._loading.done, self._loading.rows
        far = "its files are being checked" if rows is None else f"{done:,} of {rows:,} rows are loaded"
        return f"gtlab's local cloud is loading its state: {far}."


def _json(status: int, told: dict) -> Answer:
    return Answer(status, json.dumps(told).encode(), b"application/json", ((b"retry-after", b"1"),) if status == 503
                  else ())
