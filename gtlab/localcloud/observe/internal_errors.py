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
        self.count += 1
        self._newest.append({"at": time.time(), "what": what, "error": _shown(error)})
        log.error("internal error: %s", what, exc_info=error)

    def attempt(self, what: Callable[..., str], action: Callable[..., object], *arguments: Any) -> bool:
        """Carry out work that follows an answer, and retry it once if it fails. Returns whether it succeeded. ``what``
        describes the work: it gets the same arguments, and is called after an error only.

        A caller that gets False keeps the work: what a client was told must not be lost by a defect of gtlab. This
        never raises an Exception, even if describing or reporting the error fails.
        """
        try:
            action(*arguments)
            return True
        except Exception as error:
            self._report_attempt(what, arguments, "failed and was retried", error)
        try:
            action(*arguments)
            return True
        except Exception as error:
            self._report_attempt(what, arguments, "failed twice and is kept", error)
            return False

    def _report_attempt(self, what: Callable[..., str], arguments: tuple[Any, ...], ending: str,
                        error: Exception) -> None:
        try:
            self.report(f"{what(*arguments)} {ending}", error)
        except Exception:
            self.count += 1
            self._newest.append({"at": time.time(), "what": f"Work that could not be described {ending}",
                                 "error": _shown(error)})
            log.exception("internal error: an error could not be reported")

    def summary(self) -> dict[str, Any]:
        """``count``, and ``newest``: a list of ``at`` (epoch seconds), ``what`` and ``error``, oldest first."""
        return {"count": self.count, "newest": list(self._newest)}


def _shown(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # the error has a defect, too
        return name
