"""A coroutine that runs at once, as far as it can without waiting, instead of in the event loop's next turn."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any


def begin(coroutine: Coroutine) -> Coroutine | None:
    """Run a coroutine until it first waits. Returns a coroutine that finishes it; None if it is finished."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return _rest_of(coroutine, [awaited])


async def _rest_of(coroutine: Coroutine, awaited: list) -> Any:
    """Finish a coroutine that was run until it awaited something, which is in a list, so that it can be let go: it may
    have a large result. (Since Python 3.12, tasks do not accept generators.)"""
    return await _resumed(coroutine, awaited.pop())


@types.coroutine
def _resumed(coroutine: Coroutine, awaited: Any) -> Generator:
    while True:
        given: Any
        step: Callable[[Any], Any]
        try:
            given, step = (yield awaited), coroutine.send
        except BaseException as error:
            given, step = error, coroutine.throw
        try:
            awaited = step(given)
        except StopIteration as end:
            return end.value
