"""The learner's connections to the board: plain HTTP requests, and one stream that stays open."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gtlab.contract import ALIVE_S

_ANSWER_S = 10.0
_MOST_LINE = 64 * 1024  # bytes of one line of a stream: the board is not trusted with this machine's memory


class BoardError(Exception):
    """The board refuses a request, or does not answer. ``status`` is 0 without an answer."""

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class Link:
    """Connections to the board at ``url``. ``certificate`` is a PEM file to trust, if the board has one of its own.

    Raises ValueError for an invalid address.
    """

    def __init__(self, url: str, token: str = "", certificate: str | Path | None = None):
        self.url = checked_url(url)
        self._token = token
        context = ssl.create_default_context(cafile=certificate) if self.url.startswith("https") else None
        handlers: list[Any] = [_NoRedirect(), urllib.request.ProxyHandler({})]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, what: str, body: Any = None) -> dict[str, Any]:
        """The answer to a request. Raises BoardError."""
        with self._answer(what, body, _ANSWER_S) as response:
            try:
                answer = json.loads(response.read(_MOST_LINE * 4))
            except (ValueError, RecursionError):
                answer = None
        if not isinstance(answer, dict):
            raise BoardError(f"{self.url} is not a board of gtlab.")
        return answer

    def stream(self, opened: Callable[[], None] = lambda: None) -> Iterator[dict[str, Any]]:
        """The states of the class, as they come. Ends when the connection does. Raises BoardError if it is refused."""
        with self._answer("stream", None, 2.5 * ALIVE_S) as response:
            opened()
            while line := response.readline(_MOST_LINE):
                if line.startswith(b"data: "):
                    try:
                        state = json.loads(line[6:])
                    except (ValueError, RecursionError):
                        return
                    if isinstance(state, dict):
                        yield state

    @contextmanager
    def _answer(self, what: str, body: Any, timeout_s: float) -> Iterator[Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/{what}", data=data, headers=headers)
        try:
            with self._opener.open(request, timeout=timeout_s) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                raise BoardError(_message(error), error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise BoardError(f"The board at {self.url} does not answer ({reason}). Check the address, and that both "
                             "machines are in the same network.") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token is sent to the board only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def checked_url(url: str) -> str:
    """The address of a board without a slash at its end. Raises ValueError."""
    given = url.strip().rstrip("/") if isinstance(url, str) else ""
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or any(each.isspace() or not each.isprintable() for each in given):
        raise ValueError(f"{url!r} is not the address of a board. Your instructor shows it: http://… or https://…")
    return given


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(_MOST_LINE))["message"])[:500]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"The board answered {error.code}."
