"""The call of an ASGI application without a server. Benchmarks of memory use it, so it imports next to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


async def answered(application: Callable[..., Awaitable[None]], scope: dict, body: bytes) -> tuple[int, bytes]:
    """The status and the body that an application answers, called with nothing but what ASGI demands of a server."""
    sent: list[dict] = []
    incoming = iter([{"type": "http.request", "body": body}])

    async def receive() -> dict:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: dict) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, *parts = sent
    assert start["type"] == "http.response.start"
    return start["status"], b"".join(part.get("body", b"") for part in parts)
