"""The background process of a learner who is in a class: ``python -m gtlab.classroom.agent``.

It keeps one stream to the board open, sends what the learner does, and carries out what the instructor asks. If the
board is lost it tries again and again, and sends everything again when it is back: the state folder has it all.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from filelock import FileLock, Timeout

from gtlab.classroom import sources, wire
from gtlab.classroom.happening import Happening
from gtlab.classroom.link import BoardError, Link
from gtlab.classroom.membership import join_again, keep, leave
from gtlab.contract import SERVER_VARIABLE
from gtlab.lab import classmate, json_files
from gtlab.localcloud import process

_LOOK_S = 1.0               # between two looks for something to send
_MOST_WAIT_S = 15.0         # between two tries to reach a board that does not answer
_GIVE_UP_S = 24 * 3600.0    # without a board: the class is over
_CLOCK_EVERY_S, _CLOCK_ASKS = 120.0, 6
_CHUNK_BYTES = wire.BODY_BYTES // 2
_NOTES = 12


class Clock:
    """The board's clock, from the fastest of a few requests: it was asked in the middle of it, give or take half of
    the round trip. ``error_ms`` is this half."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset: float | None = None  # from this machine's monotonic clock, which nobody sets
        self.error_ms = 0.0
        self._asked = 0.0

    @property
    def known(self) -> bool:
        return self._offset is not None

    def now(self) -> float:
        """Epoch seconds by the board's clock; by this machine's as long as the board's is not known."""
        return time.time() if self._offset is None else self._monotonic() + self._offset

    def of_board(self, at: float) -> float:
        """A time of this machine's clock (epoch seconds) as the board's clock has it."""
        return at + self.now() - time.time()

    def ask(self, link: Link) -> None:
        """Compare the clocks, if that was long ago. Raises BoardError."""
        if self._asked and self._monotonic() - self._asked < _CLOCK_EVERY_S:
            return
        best = None
        for _ in range(_CLOCK_ASKS):
            began = self._monotonic()
            board = link.ask("clock").get("now")
            ended = self._monotonic()
            if isinstance(board, int | float) and (best is None or ended - began < best[0]):
                best = (ended - began, board - (began + ended) / 2)
        if best is not None:
            self._asked, self._offset, self.error_ms = self._monotonic(), best[1], round(best[0] * 500, 1)


class Agent:
    """One membership's process. :meth:`run` returns when the learner has left, or has joined another class."""

    def __init__(self, membership: dict[str, Any]):
        self._membership = membership
        self._link = Link(membership["url"], membership["token"], membership.get("certificate"))
        self.clock = Clock()
        self._own: dict[tuple[str, str], sources.Own] = {}  # what this process itself has to report
        self._sent: dict[tuple[str, str], str] = {}
        self._connected, self._stopped = threading.Event(), threading.Event()
        self._reached = time.monotonic()
        self._heard: Mapping[str, Any] | None = None
        self._happening = Happening(self.clock.now, self._tell)

    def run(self) -> None:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._report)]
        for each in threads:
            each.start()
        try:
            while not self._stopped.is_set():
                found = classmate.member()
                if not found or found["token"] != self._membership["token"]:
                    return
                if time.monotonic() - self._reached > _GIVE_UP_S or _server_ended():
                    return
                if self._heard is not None and self.clock.known:
                    heard, self._heard = self._heard, None
                    if self._happening.heard(heard.get("event")):
                        self._announce(heard["event"])
                self._stopped.wait(self._happening.tick(bool(found.get("events", True))))
        finally:
            self._stopped.set()
            self._happening.end()

    def _tell(self, kind: str, id: str, value: Any) -> None:
        self._own[kind, id] = sources.Own(kind, id, value, time.time())

    # The stream

    def _listen(self) -> None:
        wait = 1.0
        while not self._stopped.is_set():
            try:
                for state in self._link.stream(self._opened):
                    wait = 1.0
                    self._reached = time.monotonic()
                    if self._stopped.is_set() or self._take(state):
                        return
            except BoardError as error:
                if error.status == 410:
                    self._removed()
                    return
                if error.status in (401, 403) and self._joined_again():
                    return
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log(repr(error))
            finally:
                self._lost()
            self._stopped.wait(wait * random.uniform(0.7, 1.3))  # not the whole class at the same moment
            wait = min(_MOST_WAIT_S, wait * 2)

    def _opened(self) -> None:
        self._sent.clear()  # a board that was restored from an older copy gets everything again
        self._connected.set()

    def _lost(self) -> None:
        self._connected.clear()
        if not self._stopped.is_set():
            self._news({"connected": False})

    def _take(self, state: Mapping[str, Any]) -> bool:
        """What the board says. Returns whether this membership is over."""
        if state.get("removed"):
            self._removed()
            return True
        notes = {each["n"]: {"n": each["n"], "text": str(each["text"])[:wire.NOTE_LENGTH]}
                 for each in state.get("notes", ())}
        self._news({"connected": True, "class": str(state.get("class", "")), "pace": state.get("pace")}, notes)
        self._heard = state
        self._stage(state.get("stage"))
        return False

    def _removed(self) -> None:
        leave()
        self._stopped.set()

    def _joined_again(self) -> bool:
        """The board does not know this learner: it has lost its register. Join again with the same code and name."""
        found = classmate.member()
        if not found or found["token"] != self._membership["token"]:
            return True
        try:
            answer = join_again(found)
        except (BoardError, ValueError):
            return False
        keep({**found, "token": str(answer["token"]), "name": str(answer["name"])})
        self._stopped.set()
        return True

    def _news(self, changes: dict[str, Any], notes: Mapping[float, dict[str, Any]] | None = None) -> None:
        """Write what came from the board where the kernels look for it."""
        with contextlib.suppress(OSError, process.CloudError), json_files.changing(classmate.NEWS_FILE) as content:
            content.update(changes)
            kept = {note["n"]: note for note in content.get("notes", ())}
            for n, note in (notes or {}).items():
                kept.setdefault(n, {**note, "got": time.time()})
            content["notes"] = [kept[n] for n in sorted(kept)][-_NOTES:]

    def _announce(self, event: Mapping[str, Any]) -> None:
        """Tell the learner what is about to happen."""
        left = event["starts"] - self.clock.now()
        if event["ends"] <= event["starts"] or self.clock.now() > event["ends"]:
            return
        found = classmate.member() or {}
        if not found.get("events", True):
            return
        when = f"In {left:.0f} s" if left > 0.5 else "Now"
        seconds = event["ends"] - event["starts"]
        self._news({}, {event["n"]: {"n": event["n"], "text": (
            f"{when} your instructor will {event['words']}, in the local cloud of everybody and for {seconds:.0f} s at "
            "most. It is mended by itself. To stay out: gtlab class events off")}})

    # Stages

    def _stage(self, stage: Any) -> None:
        """Bring the local cloud to where a notebook starts, if the instructor has asked for it since the learner
        joined."""
        asked = stage if isinstance(stage, dict) else {}
        n, number = asked.get("n", 0), str(asked.get("notebook", ""))
        known = json_files.read(classmate.NEWS_FILE).get("staged")
        if n == known:
            return
        self._news({"staged": n})
        takes_part = (classmate.member() or {}).get("events", True)
        if known is not None and takes_part and len(number) == 2 and number.isascii() and number.isdigit():
            threading.Thread(target=self._bring, args=[number], daemon=True).start()

    def _bring(self, number: str) -> None:
        self._tell("staged", number, "running")
        done = subprocess.run([sys.executable, "-m", "gtlab", "stage", number], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        self._tell("staged", number, "failed" if done.returncode else "done")

    # Reports

    def _report(self) -> None:
        while not self._stopped.is_set():
            if self._connected.wait(_LOOK_S) and not self._stopped.is_set():
                try:
                    self.clock.ask(self._link)
                    self._tell("clock", "now", self.clock.error_ms)
                    self._send()
                except BoardError as error:
                    if error.status:
                        _log(error)
                    self._stopped.wait(2 * _LOOK_S)
                except (OSError, ValueError, process.CloudError) as error:
                    _log(error)
            self._stopped.wait(_LOOK_S)

    def _send(self) -> None:
        """Send what is new, in parts that the board accepts. Raises BoardError; then nothing counts as sent."""
        found = {(own.kind, own.id): own for own in [*sources.gather(), *list(self._own.values()), self._part()]}
        waiting = {key: own for key, own in found.items() if self._sent.get(key) != _same(own)}
        while waiting:
            part: dict[tuple[str, str], sources.Own] = {}
            size = 0
            for key, own in waiting.items():
                size += len(json.dumps(own))
                if part and (size > _CHUNK_BYTES or len(part) >= wire.RECORDS):
                    break
                part[key] = own
            answer = self._link.ask("report", {"records": [
                [own.kind, own.id, own.value, self.clock.of_board(own.at)] for own in part.values()]})
            for at, reason in answer.get("refused", ()):
                _log(f"The board does not accept record {list(part)[at]}: {reason}")
            for key, own in part.items():
                self._sent[key] = _same(own)
                del waiting[key]

    def _part(self) -> sources.Own:
        found = classmate.member() or self._membership
        return sources.Own("takes_part", "events", bool(found.get("events", True)), time.time())


def _same(own: sources.Own) -> str:
    """The key by which two records count as the same: this process repeats its own with new times."""
    at = own.at if own.kind not in ("takes_part", "clock") else 0
    return json.dumps([own.value, at], sort_keys=True)


def _server_ended() -> bool:
    """Whether the learner's server on a JupyterHub has ended, with which this process ends too. The next one starts it
    again."""
    server = os.environ.get(SERVER_VARIABLE, "")
    if not server.isdigit():
        return False
    try:
        os.kill(int(server), 0)  # only asks whether it exists. (Windows, where this would end it, has no JupyterHub.)
    except OSError:
        return True
    return False


def _log(what: object) -> None:
    print(time.strftime("%H:%M:%S"), what, file=sys.stderr, flush=True)


def main() -> None:
    lock = FileLock(process.state_folder() / classmate.AGENT_FILE, mode=0o600)
    try:
        lock.acquire(timeout=5)
    except Timeout:
        return  # another one runs
    with lock:
        while membership := classmate.member():
            agent = Agent(membership)
            agent.run()
            found = classmate.member()
            if found and found["token"] == membership["token"]:
                return  # no board for a day


if __name__ == "__main__":
    main()
