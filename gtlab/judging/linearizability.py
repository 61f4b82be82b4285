"""Whether a concurrent history is linearizable: whether its operations could have happened one at a time, each at a
moment between its beginning and its end.

The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was
tried ("Testing for linearizability", 2017). A history is of one object; linearizability composes, so that every
item of a table is checked by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

UNKNOWN = "unknown"  # the answer of an operation whose caller got none


class Operation(NamedTuple):
    """``what`` was asked and the ``answer``, with the times at which the call began and ended (on any one clock).

    An operation whose caller got no answer has ``ended`` math.inf: it took effect at some time after it began, or
    never. Leave out operations that are known to have had no effect.
    """

    began: float
    ended: float
    what: Any
    answer: Any = UNKNOWN


Step = Callable[[Any, Any], tuple[Hashable, Any]]  # (state, what) → (state, answer)


def linearization(history: Iterable[Operation], initial: Hashable, step: Step) -> list[Operation] | None:
    """The operations in an order in which they could have happened one at a time; None if there is no such order.

    ``step(state, what)`` returns the object's new state and its answer when one caller uses it alone. States are
    hashable. If one operation ends at the moment at which another begins, either may have happened first.
    """
    operations = sorted(history, key=lambda operation: (operation.began, operation.ended))
    answered = sum(1 << at for at, operation in enumerate(operations) if operation.ended < math.inf)
    tried: set[tuple[int, Hashable]] = set()
    # Each entry: which operations have happened, as bits; the state that they left; the last of them, and those before.
    stack: list[tuple[int, Hashable, tuple | None]] = [(0, initial, None)]
    while stack:
        happened, state, order = stack.pop()
        if happened & answered == answered:
            return _unrolled(order)
        for at in reversed(_next(operations, happened)):
            operation = operations[at]
            after, answer = step(state, operation.what)
            if operation.answer != UNKNOWN and operation.answer != answer:
                continue
            found = (happened | 1 << at, after)
            if found not in tried:
                tried.add(found)
                stack.append((*found, (operation, order)))
    return None


def _next(operations: list[Operation], happened: int) -> list[int]:
    """Which operations may come next: those that began before any other that is left had ended."""
    found, horizon = [], math.inf
    # The first one that is left: the lowest bit that is not set.
    for at in range((~happened & (happened + 1)).bit_length() - 1, len(operations)):
        if happened >> at & 1:
            continue
        if operations[at].began > horizon:
            break
        found.append(at)
        horizon = min(horizon, operations[at].ended)
    return found


def _unrolled(order: tuple | None) -> list[Operation]:
    found = []
    while order:
        operation, order = order
        found.append(operation)
    return found[::-1]
