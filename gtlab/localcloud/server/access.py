"""Access control. The local cloud accepts requests from programs on this machine, and from other machines only with its
token. It refuses requests from web pages of other origins. Signatures are not verified."""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Mapping, Sequence

from gtlab.contract import CALLER_HEADER, LOOPBACK
from gtlab.localcloud.model import Refusal

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_LOOPBACK = (LOOPBACK, "localhost", "[::1]")
_ONCE = frozenset(("host", "origin", "sec-fetch-site", "authorization", "x-amz-security-token", "x-amz-target",
                   "content-type", "content-length", CALLER_HEADER))  # headers that decide how a request is handled


class Guard:
    """``token``: required of every request. None: only requests whose Host is the loopback address are accepted, unless
    whoever calls this guard has ``admitted`` them."""

    def __init__(self, token: str | None = None, *, admitted: bool = False):
        self._token, self._admitted = token.encode() if token else None, admitted

    def check(self, headers: dict[str, str]) -> None:
        """Raise Refusal if a request is not allowed. Header names are in lower case."""
        host = host_of(headers)
        if self._token is None and not self._admitted and host not in _LOOPBACK and host.lower() not in _LOOPBACK:
            raise _denied("The local cloud only accepts requests whose Host is a loopback address: 127.0.0.1, "
                          "localhost or [::1].")
        # Browsers state the origin of the page that sends a request; other programs send neither header.
        if "origin" in headers and headers["origin"] != f"http://{headers['host']}":
            raise _denied("The local cloud does not accept requests from web pages of other origins.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):  # another port is "same-site"
            raise _denied("The local cloud does not accept requests from web pages of other origins.")
        if self._token is not None:
            self._check_token(headers, self._token)

    def _check_token(self, headers: dict[str, str], token: bytes) -> None:
        if not secrets.compare_digest(shown_token(headers).encode(), token):
            if "x-amz-target" in headers or headers.get("authorization", "").startswith("AWS4-"):
                raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid: "
                              "this local cloud requires its token as AWS_SESSION_TOKEN. gtlab env shows it.")
            raise Refusal("UnrecognizedClientException", "This local cloud requires its token: Authorization: Bearer "
                          "TOKEN, or X-Amz-Security-Token. gtlab env shows it.", 401)


def shown_token(headers: Mapping[str, str]) -> str:
    """The token that a request shows; empty if none."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else headers.get("x-amz-security-token", "")


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """A request's headers, with names in lower case. Raises Refusal if a header of ``_ONCE`` occurs twice."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    if len(headers) < len(pairs):
        names = [name.decode("latin-1") for name, _ in pairs]
        twice = sorted(name for name in _ONCE if names.count(name) > 1)
        if twice:
            raise Refusal("BadRequestException", f"The header {twice[0]} occurs more than once; send it once.")
    return headers


def host_of(headers: Mapping[str, str]) -> str:
    """The request's Host without the port. Raises Refusal if the header is missing or invalid."""
    host = _name(headers.get("host", ""))
    if host is None:
        raise Refusal("BadRequestException", "The request needs a Host header: the name or address of this server.")
    return host


@functools.lru_cache(maxsize=64)
def _name(host: str) -> str | None:
    found = _HOST.fullmatch(host)
    return found.group(1) if found else None


def _denied(message: str) -> Refusal:
    return Refusal("AccessDeniedException", message, 403)
