"""The board as a service of a JupyterHub: the hub knows who somebody is, and who instructs.

A learner's server shows the token that the hub has given it, and the hub says whose it is. An instructor's browser is
sent to the hub's login and comes back with a code, which the hub accepts once (OAuth 2). The requests to the hub are
JupyterHub's own (``jupyterhub.services.auth``), which is imported on a hub only.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gtlab.classroom.wire import Refused
from gtlab.contract import LOOPBACK

CALLBACK = "oauth_callback"  # the path that JupyterHub expects below the board's
_COOKIE = "gtlab-class-login"
_LOGIN_S = 600  # the longest time between two steps of a login


@dataclass(frozen=True)
class User:
    name: str
    admin: bool


class Hub:
    """The hub that has started this process, as the environment describes it. Raises ValueError where none has.

    ``listen`` and ``port``: where the hub's proxy looks for the board; ``path``: what all of its paths begin with.
    """

    def __init__(self) -> None:
        url, prefix = os.environ.get("JUPYTERHUB_SERVICE_URL", ""), os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
        where = urlsplit(url)
        if "JUPYTERHUB_API_TOKEN" not in os.environ or not prefix or not where.port:
            raise ValueError("gtlab class hub is a command for JupyterHub, which starts it as a service with a url. "
                             "Without a hub: gtlab class start")
        self.listen, self.port = _address(where.hostname or LOOPBACK), where.port
        self.path = prefix.rstrip("/")
        self.origin = f"{where.scheme}://{where.netloc}"

    @cached_property
    def _auth(self) -> Any:
        from jupyterhub.services.auth import HubOAuth

        return HubOAuth()

    async def user(self, token: str) -> User | None:
        """Whose token this is, if they may use the board; None if not. Raises Refused if the hub does not answer."""
        from tornado.web import HTTPError

        if not token:
            return None
        try:
            found = await self._auth.user_for_token(token, use_cache=False, sync=False)
        except HTTPError:
            raise Refused("The hub does not answer. Try again in a moment.", 503) from None
        if not found or found.get("kind") != "user" or not self._auth.check_scopes(self._auth.access_scopes, found):
            return None
        return User(str(found["name"]), bool(found.get("admin")))

    # A browser's login

    async def to_login(self, request: Request) -> Response:
        """Send a browser to the hub's login. The cookie binds the answer to this browser."""
        state = secrets.token_urlsafe(24)
        login = self._auth.login_url  # with the board's client ID, and the address to come back to
        answer = RedirectResponse(f"{login}&{urlencode({'state': state})}", 302)
        answer.set_cookie(_COOKIE, state, max_age=_LOGIN_S, path=self.path, httponly=True, samesite="lax",
                          secure=request.headers.get("x-forwarded-proto") == "https")
        return answer

    async def logged_in(self, request: Request) -> User:
        """The user who has come back from the hub's login. Raises Refused."""
        from tornado.web import HTTPError

        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        expected = request.cookies.get(_COOKIE, "")
        if not expected or not code or not hmac.compare_digest(state.encode(), expected.encode()):
            raise Refused("This login was not begun in this browser, or too long ago. Open the board from the hub's "
                          "page again.", 403)
        try:
            token = await self._auth.token_for_code(code, sync=False)
        except HTTPError:
            raise Refused("The hub refuses this login. Open the board from the hub's page again.", 403) from None
        user = await self.user(token)
        if user is None:
            raise Refused("You have no access to this class. Ask whoever runs the hub.", 403)
        return user

    def forget_login(self, answer: Response) -> None:
        answer.delete_cookie(_COOKIE, path=self.path)


def _address(host: str) -> str:
    """Where to listen so that the proxy finds the board at a host. A name is that of the hub's own machine or pod,
    as other machines know it."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return LOOPBACK if host == "localhost" else "0.0.0.0"
