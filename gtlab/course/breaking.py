"""Break the local cloud in cells that run on other backends too, where nothing can be broken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from gtlab.lab import Lab
from gtlab.lab.knobs import Knobs

_PAUSE = ("AWS's way: FIS can pause the replication of a replica (06_break_it, part C). Two sides that were separated "
          "would each accept their own write, and afterwards the newer one would replace the other.")
# What AWS has in place of a knob, and what would be seen.
ON_AWS = {
    "partition": _PAUSE,
    "isolate": _PAUSE,
    "outage": "AWS's way: make one client lose the Region (drill.unreachable, in 09_fail_over). If the Region failed, "
              "its requests would end in timeouts or errors, and the other Regions would go on.",
    "lag": "With a longer lag, more reads elsewhere would be stale, and more conditions would pass in two Regions.",
    "slow": "If the way were that slow, the client would give up waiting, and botocore would send the request again.",
    "caller": "Your requests start where this machine is.",
    "throttle": "AWS's way: a maximum throughput (OnDemandThroughput), for writes the same in every Region. A replica "
                "that may write too little would get the items late, one after the other.",
}


class Unbreakable:
    """The knobs of a backend that has none: each says that nothing happens, and can be used as a block of code.
    ``instead`` has a text by knob that is added the first time."""

    def __init__(self, label: str, instead: Mapping[str, str] | None = None):
        self._label, self._instead, self._told = label, instead or {}, set[str]()

    def __getattr__(self, knob: str) -> Callable[..., contextlib.AbstractContextManager]:
        if knob.startswith("_") or not hasattr(Knobs, knob):
            raise AttributeError(f"There is no knob {knob!r}.")

        def refuse(*places: Any, **values: Any) -> contextlib.AbstractContextManager:
            told = f"Not possible on {self._label}: {knob}. Nothing is broken, and all Regions keep replicating."
            more = self._instead.get(knob, "") if knob not in self._told else ""
            self._told.add(knob)
            print("\n→ ".join(filter(None, [told, more])))
            return contextlib.nullcontext()
        return refuse


def world(lab: Lab) -> Knobs | Unbreakable:
    """``lab.world`` on the local cloud; elsewhere an object with the same knobs, which break nothing and say so."""
    return lab.world if lab.simulated else Unbreakable(*("AWS", ON_AWS) if lab.backend == "aws" else (lab.label,))


def last_event(lab: Lab) -> int:
    """The number of the newest event of the journal, for ``lab.events(after=…)``; 0 where there is no journal."""
    return int(lab.events()["n"].max()) if lab.simulated else 0
