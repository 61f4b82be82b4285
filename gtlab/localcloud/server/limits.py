"""The limits of a client's connection, and the refusals of requests that exceed them or are no HTTP."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gtlab.localcloud.model import Refusal

_TARGET = re.compile(rb"/(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")  # a path with its query string, as a client may write it


class Limits(NamedTuple):
    """The limits of one connection, and of the number of connections."""

    head_bytes: int = 32 * 1024         # request line and headers; an AWS session token alone may have 4 KiB
    headers: int = 100
    body_bytes: int = 16 * 1024 * 1024  # the service's limit for a request
    head_s: float = 10.0                # from a request's first byte to the end of its headers
    body_s: float = 30.0                # from the end of the headers to the end of the body
    idle_s: float = 75.0                # between requests, and before the first
    linger_s: float = 2.0               # how long to discard a refused client's data, so that it can read the answer
    connections: int = 4096


def check_target(target: bytes) -> Refusal | None:
    """What is wrong with the target of a request, if anything."""
    if not _TARGET.fullmatch(target):
        return malformed("The request's target must be a path that begins with / and consists of ASCII characters and "
                         "%XX escapes.")
    try:
        path = unquote_to_bytes(target.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        path = "\0"
    return malformed("The request's path must be UTF-8 and must not contain NUL.") if "\0" in path else None


def malformed(message: str) -> Refusal:
    return Refusal("BadRequestException", message)


def too_large(limits: Limits) -> Refusal:
    return Refusal("RequestEntityTooLargeException", f"A request may have {limits.body_bytes} bytes.", 413)


def too_long_a_head(limits: Limits) -> Refusal:
    return Refusal("RequestHeaderFieldsTooLargeException",
                   f"A request's first line and headers may have {limits.head_bytes} bytes.", 431)


def too_many_headers(limits: Limits) -> Refusal:
    return Refusal("RequestHeaderFieldsTooLargeException", f"A request may have at most {limits.headers} headers.", 431)


def too_slow(stage: str, seconds: float) -> Refusal:
    return Refusal("RequestTimeoutException", f"The request's {stage} did not arrive within {seconds:g} s.", 408)
