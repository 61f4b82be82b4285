"""Who may ask the board what, and how often. As at the local cloud's door, a token is a Bearer token in a header: no
other web page can have a browser send it."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NoReturn

from starlette.requests import Request

from gtlab.classroom import wire
from gtlab.classroom.register import Learner, Register
from gtlab.classroom.wire import Refused

_PER_S, _BURST = 10.0, 60.0              # requests of one learner
_WRONG_PER_S, _WRONG_BURST = 0.2, 20.0   # wrong codes and wrong tokens from one address
_MOST_ADDRESSES = 4096


class Rates:
    """A token bucket for each key: ``burst`` requests at once, ``per_s`` of them per second in the long run."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic):
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def allows(self, key: object, *, take: bool = True) -> bool:
        now = self._clock()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed and take else left, now)
        while len(self._left) > _MOST_ADDRESSES:  # the one that has not been seen for the longest time
            self._left.popitem(last=False)
        return allowed


class Door:
    """The checks at the board's door."""

    def __init__(self, register: Register):
        self._register = register
        self._requests, self._wrong = Rates(_PER_S, _BURST), Rates(_WRONG_PER_S, _WRONG_BURST)

    def joins(self, request: Request, code: object) -> None:
        """Raise Refused unless the code is the class's join code. After many wrong ones from an address, its further
        ones are refused for a while; the right code is always accepted, because a class may share one address, and a
        code has too many possibilities (more than 10^11) to be found by guessing."""
        if not _same(wire.code(code), self._register.get("code")):
            self.refuse(request, "This is not the code of the class. Ask your instructor for it.", 403)

    def learner(self, request: Request) -> Learner:
        """The learner who sends a request. Raises Refused."""
        learner = self._register.learner_of(bearer(request))
        if learner is None and self._register.was_removed(bearer(request)):
            raise Refused("Your instructor has removed you from this class.", 410)
        if learner is None:
            self.refuse(request, "This token is not a learner's of this class. Join again: gtlab class join", 401)
        if not self._requests.allows(learner.id):
            raise Refused("Too many requests. Wait a moment.", 429)
        return learner

    def instructor(self, request: Request) -> None:
        """Raise Refused unless the request has the instructor's token."""
        if not _same(bearer(request), self._register.get("token")):
            self.refuse(request, "This needs the instructor's token, which gtlab class start prints.", 401)

    def projector(self, request: Request) -> None:
        """Raise Refused unless the request has the projector's token, or the instructor's."""
        given = bearer(request)
        if not _same(given, self._register.get("projector")) and not _same(given, self._register.get("token")):
            self.refuse(request, "This needs the projector's token, which gtlab class start prints.", 401)

    def refuse(self, request: Request, message: str, status: int) -> NoReturn:
        """Raise Refused for a wrong code or token, which counts against the address that it came from."""
        if not self._wrong.allows(request.client.host if request.client else ""):
            raise Refused("Too many wrong codes or tokens from this address. Wait a minute.", 429)
        raise Refused(message, status)


def bearer(request: Request) -> str:
    """The token in the Authorization header; empty without one, or with several."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" and len(token) <= 256 else ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
