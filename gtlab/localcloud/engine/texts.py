"""What is made of the texts of requests (expressions, statements), and how long it is kept.

Programs send the same few texts again and again, so what was read of the last ones is kept. What is read of a long
request before it is carried out is kept with the request alone: see :mod:`ahead`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from gtlab.localcloud.model import Refusal

MOST_KEPT = 1 << 18  # characters (or bytes) of the texts of which one function keeps the results: 20 to 30 MB of these
Made = TypeVar("Made", bound=Callable)


class _WithOutcome:
    __slots__ = ()
    outcome: Any

    def result(self) -> Any:
        if isinstance(self.outcome, Refusal):
            raise self.outcome.with_traceback(None)
        return self.outcome


class Prepared(_WithOutcome, dict[str, Any]):
    """A part of a long request, with the outcome of what is done for it before the request is carried out: a result,
    or the refusal that the call raises when it gets there."""

    __slots__ = ("outcome",)


class PreparedList(_WithOutcome, list[Any]):
    """The same, of a part that is a list."""

    __slots__ = ("outcome",)


def kept(most: int) -> Callable[[Made], Made]:
    """Keep the last results of a function of texts, so many at most. When they are of more than MOST_KEPT characters
    together, all are forgotten: that takes no time where a result is there, as counting its uses would."""
    def keeping(make: Made) -> Made:
        length = 0

        @functools.lru_cache(maxsize=most)
        def known(*texts):
            nonlocal length
            length += sum(map(len, texts))
            if length > MOST_KEPT:
                length = sum(map(len, texts))
                known.cache_clear()
            return make(*texts)

        return known  # type: ignore[return-value]  # a function of the same arguments

    return keeping
