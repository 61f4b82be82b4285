"""An event of the class in one learner's local cloud: broken at the moment that the board says, and mended again.

Every event has an end, which is known before it begins, so that the local cloud is mended even if the board is lost.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from gtlab.classroom import wire
from gtlab.contract import OUTAGES
from gtlab.lab import elsewhere, json_files
from gtlab.lab.choice import chosen
from gtlab.lab.knobs import Knobs
from gtlab.localcloud import process

EVENT_FILE = "class-event.json"  # the knob that an event has set
_AFTER_S = 25.0   # for how long after the end of an event the arrivals are noted
_EVERY_S = 2.0    # between two looks at the journal
_TICK_S, _NEAR_S = 0.5, 1.0
_UNSET = object()


class Happening:
    """Carries out events, one at a time. ``board_now`` is the board's clock (epoch seconds); ``tell(kind, id, value)``
    is called with what the board should know. Call :meth:`tick` again and again."""

    def __init__(self, board_now: Callable[[], float], tell: Callable[[str, str, Any], None]):
        self._board_now, self._tell = board_now, tell
        self._event: Mapping[str, Any] | None = None
        self._state = ""
        self._arrivals = _Arrivals()
        self._looked = 0.0
        self._broken, self._tried = not clear_leftover(), time.monotonic()

    def heard(self, event: Mapping[str, Any] | None) -> bool:
        """The class's event, as the board sends it whenever something changes. Returns whether it is a new one."""
        if event is None or not _usable(event):
            return False
        new = self._event is None or event["n"] > self._event["n"]
        if new and self._state == "applied":
            self._mend("mended")
        if new:
            self._state, self._arrivals = "", _Arrivals()
        if new or (self._event is not None and event["n"] == self._event["n"]):
            self._event = event
        return new

    def tick(self, takes_part: bool) -> float:
        """Do what is due now. Returns the seconds after which this must be called again."""
        if self._broken and self._state != "applied" and time.monotonic() - self._tried > _EVERY_S:
            # The local cloud did not run when it should have been mended. Its knobs stay set until it is.
            self._broken, self._tried = not clear_leftover(), time.monotonic()
        event = self._event
        if event is None:
            return _TICK_S
        now, starts, ends = self._board_now(), event["starts"], event["ends"]
        if self._state == "" and not takes_part and now < ends:
            self._set("opted out")
        elif self._state == "applied" and not takes_part:
            self._mend("opted out")
        elif self._state == "" and starts <= now < ends:
            self._apply(event)
        elif self._state == "applied" and now >= ends:
            self._mend("mended")
        if takes_part and self._state != "opted out" and starts - 60 < now < ends + _AFTER_S:
            self._look(starts - (now - time.time()))
        if self._state == "" and 0 < starts - now < _NEAR_S:
            return max(0.001, min(starts - now, 0.05))
        return min(_TICK_S, max(0.001, ends - now)) if self._state == "applied" else _TICK_S

    def end(self) -> None:
        """Mend what is broken, as when the learner leaves the class."""
        if self._state == "applied":
            self._mend("mended")

    def _set(self, state: str) -> None:
        self._state = state
        if self._event is not None:
            self._tell("event", str(self._event["n"]), state)

    def _apply(self, event: Mapping[str, Any]) -> None:
        try:
            choice = chosen()
            knobs, first = Knobs(_ask, choice.home), choice.replicas[0]
            place = choice.home if event["place"] == "home" else first
            knob, where, do = {
                "cut": ("partition", [choice.home, first], lambda: knobs.partition(choice.home, first)),
                "isolate": ("isolate", [place], lambda: knobs.isolate(place)),
                "lose": ("outage", [place], lambda: knobs.outage(place, event["value"])),
                "lag": ("lag", [], lambda: knobs.lag(event["value"])),
            }[event["what"]]
            before = next((each["value"] for each in _ask("world")["knobs"]
                           if each["knob"] == knob and each["place"] == sorted(where)), _UNSET)
            with json_files.changing(EVENT_FILE) as content:  # first, so that it is mended whatever happens now
                content.update(knob=knob, place=where, **({} if before is _UNSET else {"before": before}))
            do()
        except process.CloudError:
            self._set("no local cloud")
        except (ValueError, OSError):
            self._set("failed")
        else:
            self._set("applied")

    def _mend(self, state: str) -> None:
        self._broken = not clear_leftover()
        self._set(state)

    def _look(self, start: float) -> None:
        """Note the lags of the writes that have arrived. ``start`` is the event's, by this machine's clock."""
        if time.monotonic() - self._looked < _EVERY_S:
            return
        self._looked = time.monotonic()
        with contextlib.suppress(process.CloudError, ValueError, OSError):
            if self._arrivals.follow(start) and self._event is not None:
                self._tell("arrivals", str(self._event["n"]), self._arrivals.rows())


class _Arrivals:
    """The lags of writes from the local cloud's journal: a random sample if there are many."""

    def __init__(self) -> None:
        self._after: int | None = None
        self._instance = ""
        self._rows: list[list[float]] = []
        self._count = 0

    def follow(self, start: float) -> bool:
        """Read on in the journal. Returns whether something has arrived. Raises CloudError."""
        cloud = _cloud()
        if cloud is None:
            return False
        if self._after is None or cloud.instance != self._instance:
            self._instance = cloud.instance
            self._after = process.control(cloud.where, "events?after=999999999999")["last"]
        before = self._count
        while found := process.control(cloud.where, f"events?after={self._after}")["events"]:
            self._after = found[-1]["n"]
            for each in found:
                if each["kind"] == "delivery":
                    self._take([round(each["at"] - start, 2), round(each["lag_ms"], 1)])
        return self._count > before

    def _take(self, row: list[float]) -> None:
        self._count += 1
        if len(self._rows) < wire.ARRIVALS:
            self._rows.append(row)
        elif (at := random.randrange(self._count)) < wire.ARRIVALS:
            self._rows[at] = row

    def rows(self) -> list[list[float]]:
        return sorted(self._rows)


def clear_leftover() -> bool:
    """Set the knob of an event as it was before, if an event has set one: also one that an earlier process did not
    mend. Returns whether nothing is left to mend. A knob that somebody has cleared meanwhile stays cleared."""
    left = json_files.read(EVENT_FILE)
    if not left:
        return True
    try:
        what = "/".join(["world", left["knob"], *left["place"]])
        still = any(each["knob"] == left["knob"] and each["place"] == sorted(left["place"])
                    for each in _ask("world")["knobs"])
        if still and "before" in left:
            _ask(what, "PUT", {} if left["before"] is None else {"value": left["before"]})
        elif still:
            _ask(what, "DELETE")
    except process.CloudError:
        return False
    except (ValueError, KeyError, TypeError):
        pass  # a file that cannot be read, or a knob that this local cloud does not have
    with contextlib.suppress(OSError), json_files.changing(EVENT_FILE) as content:
        content.clear()
    return True


def _usable(event: Mapping[str, Any]) -> bool:
    """Whether an event from the board is one that this gtlab knows, with an end that is not far away."""
    try:
        known = event["what"] in wire.EVENTS and event["place"] in wire.EVENTS[event["what"]]
        valued = {"lag": lambda value: isinstance(value, int | float) and 0 <= value <= wire.MOST_LAG_S,
                  "lose": lambda value: value in OUTAGES}.get(event["what"], lambda value: value is None)
        return (known and valued(event["value"]) and isinstance(event["n"], int)
                and event["ends"] - event["starts"] <= wire.MOST_EVENT_S)
    except (KeyError, TypeError):
        return False


def _cloud() -> process.Running | None:
    """The cloud that ``gtlab.connect()`` would use: the one in the environment, or this machine's if it runs. Raises
    CloudError and ValueError as :func:`elsewhere.joined`."""
    url, account, token = elsewhere.named()
    return elsewhere.joined(url, account, token) if url else process.find()


def _ask(what: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
    cloud = _cloud()
    if cloud is None:
        raise process.CloudError("No local cloud is running.")
    return process.control(cloud.where, what, method, body)
