"""Defects of gtlab: logged, counted, and shown by ``gtlab status``. For a client's mistake, raise Refusal instead."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
MOST_SHOWN = 20  # the newest errors that are shown; all are counted
RETRY_S = 60.0   # until the next attempt at work that failed twice, in seconds


class InternalErrors:
    """``count``: the number of errors since the start."""

    def __init__(self) -> None:
        self.count = 0
        self._newest: deque[dict[str, Any]] = deque(maxlen=MOST_SHOWN)

    def report(self, what: str, error: BaseException) -> None:
        """Log an error with its traceback and count it. ``what`` says what failed."""
        log.error("internal error: %s", what, exc_info=error)
        self.count += 1
        self._newest.append({"at": time.time(), "what": what, "error": f"{type(error).__name__}: {error}"})

    def attempt(self, what: Callable[..., str], action: Callable[..., object], *arguments: Any) -> bool:
        """Carry out work that follows an answer, and retry it once if it fails. Returns whether it succeeded. ``what``
        describes the work: it gets the same arguments, and is called after an error only.

        A caller that gets False keeps the work: what a client was told must not be lost by a defect of gtlab.
        """
        try:
            action(*arguments)
            return True
        except Exception as error:
            self.report(f"{what(*arguments)} failed and was retried", error)
        try:
            action(*arguments)
            return True
        except Exception as error:
            self.report(f"{what(*arguments)} failed twice and is kept", error)
            return False

    def summary(self) -> dict[str, Any]:
        """``count``, and ``newest``: a list of ``at`` (epoch seconds), ``what`` and ``error``, oldest first."""
        return {"count": self.count, "newest": list(self._newest)}
