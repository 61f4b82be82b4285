"""Drives a cloud by the computer's clock: carries out calls, saves what they change, and does what is due.

The cloud itself has no clock. Here a timer wakes it when the next delivery or step is due. After an answer has been
sent, what follows from it is done in the event loop's next turn, and garbage is collected in small steps.

Callers come first. In each turn of the event loop, every connection whose request has arrived is served. Then long work
(a backlog of deliveries, building an index, copying a table) has a few milliseconds: all of MOST_S if nobody called in
this turn, otherwise as long as the callers took, but LEAST_S at least, so that it always ends. While the disk cannot
keep up, long work waits for it: the room that is left there is the callers'. A caller whose call took long itself, as a
page of a Scan with a filter does, waits for its answer as long again if others call: long calls together have no more
than half of the time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time

from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.engine import READS
from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.server.endpoints import Endpoints
from gtlab.localcloud.server.garbage import Garbage

log = logging.getLogger(__name__)
_INTERNAL = Refusal("InternalServerError", "Internal server error: a defect of gtlab's local cloud. gtlab status shows "
                    "it, and its log has the details.", 500)
MOST_AT_ONCE = 10  # deliveries per tick: less than a millisecond of work
MOST_S, LEAST_S = 0.004, 0.001  # of long work in one turn; saving it takes about as long again
LONG_S = 0.005     # a call that takes longer is a long one
DISK_S = 0.02      # until the next look at a disk that cannot keep up
AGAIN_S = 1.0      # until the next look at what is due, after an error of ours
TIDY_S = 1.0       # delay before the log is folded into the state, so that an item that changes often is stored once
_ENDING = Refusal("ServiceUnavailable", "gtlab's local cloud is ending. Nothing was done.", 503)
_DYNAMODB = ("dynamodb", "dynamodbstreams")


class Driver:
    """Drives one keeper's cloud. ``endpoints`` follow the world's outages; None: one port serves all Regions."""

    def __init__(self, keeper: Keeper, endpoints: Endpoints | None):
        self._keeper, self._endpoints = keeper, endpoints
        self._timer: asyncio.Handle | None = None  # uvloop has no TimerHandle for what is due at once
        self._timer_at = 0.0  # when it fires, by the event loop's clock
        self._waking = self._closed = False
        self._served_s = 0.0  # how long calls have taken since the last tick
        self._short = 0       # calls since the last long one
        self._rested = 0.0    # when long calls have left others as much time as they took
        self.rest_s = 0.0     # how long the answer to the call that was carried out last is to wait
        self.garbage = Garbage()
        self._begun = 0  # jobs of long work before garbage was swept the last time
        self._tidying: asyncio.TimerHandle | None = None
        self.disk_error: str | None = None  # why the state could not be written the last time

    def carry_out(self, call: Call) -> bytes | Refusal:
        """The answer to a call. What it changed is on disk when this returns. While the disk refuses the state, no call
        is carried out."""
        answer: bytes | Refusal
        if self._closed:
            return _ENDING
        if self.disk_error is not None and (refused := self.still_unwritable()):
            return refused
        began = time.perf_counter()
        try:
            answer = self._keeper.cloud.answer(call, time.time())
        except Refusal as refusal:
            answer = refusal
        except Exception as error:
            answer = self.report(call.operation, error)
        finally:
            sweeps = self.garbage.carried()
            if call.service not in _DYNAMODB:
                self.turned()
            elif sweeps or call.operation not in READS:
                self._wake_soon()  # nothing follows from a read, and there is a timer for what was due before
        unsaved = self.save()
        self._took(began, time.perf_counter())
        return answer if unsaved is None else unsaved

    def _took(self, began: float, now: float) -> None:
        """A call was carried out from then until now."""
        self._served_s += now - began
        self.rest_s = 0.0
        if now - began < LONG_S:
            self._short += 1
        elif self._short:
            self._short = 0
            self._rested = max(self._rested, began) + 2 * (now - began)
            self.rest_s = self._rested - now

    def close(self) -> None:
        """Save everything and close the state. What is due afterwards is carried out after the next start."""
        self._closed = True
        for timer in (self._timer, self._tidying):
            if timer:
                timer.cancel()
        self._keeper.close()

    def report(self, what: str, error: Exception) -> Refusal:
        """A defect of gtlab: it is logged, counted in ``gtlab status``, and never reported as the client's error.
        Returns what to answer."""
        self._keeper.cloud.errors.report(what, error)
        return _INTERNAL

    def still_unwritable(self) -> Refusal | None:
        """The refusal to answer with, instead of carrying out a request, if the state could not be written the last
        time and cannot be written now."""
        if self.disk_error is None or self.save() is None:
            return None
        return self._not_saved("Nothing was done.")

    def save(self) -> Refusal | None:
        """Write all changes to disk. Returns the refusal to answer with if that fails: an answer must not confirm a
        change that would be lost if this process ended."""
        try:
            if self._keeper.save():
                self._tidy_soon()
            if self.disk_error is not None:
                log.warning("the state can be written again")
                self.disk_error = None
            return None
        except sqlite3.Error as error:
            if self.disk_error is None:  # the log may be on the same full disk: say it once
                log.exception("the state cannot be written")
            self.disk_error = str(error)
            return self._not_saved("This request may have taken effect.")
        except Exception as error:
            self._keeper.cloud.errors.report("Writing the state to disk", error)
            return _INTERNAL

    def _not_saved(self, effect: str) -> Refusal:
        return Refusal("ServiceUnavailable", f"gtlab's local cloud cannot write its state to disk: {self.disk_error}. "
                       f"{effect} Requests are carried out again as soon as there is room. To go on without the disk: "
                       "gtlab down, then gtlab up --in-memory", 503)

    def _tidy_soon(self) -> None:
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(TIDY_S, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        try:
            self._keeper.save()
            self._keeper.tidy(wait=False)
        except sqlite3.Error:
            log.exception("the state cannot be tidied")
        except Exception as error:
            self._keeper.cloud.errors.report("Folding the state's log", error)

    def turned(self) -> None:
        """Adapt the endpoints to the world's outages, and set the timer. Call this after the world may have changed."""
        if self._closed:
            return
        try:
            self._adapt(self._keeper.cloud.next_due())
        except Exception as error:
            self._look_later(error)

    def _adapt(self, due: float) -> None:
        if self._endpoints:
            self._endpoints.follow(self._keeper.cloud.world)
        self._wake(due)

    def _look_later(self, error: Exception) -> None:
        """An error of ours: report it and look again after AGAIN_S, whatever else fails."""
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer_at = loop.time() + AGAIN_S
        self._timer = loop.call_at(self._timer_at, self._woken)
        self.report("What is due", error)

    def _wake_soon(self) -> None:
        """Carry out what is due after the answer has been sent, so that the client need not wait for it."""
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._waking = False
        self._turn()

    def _wake(self, due: float) -> None:
        """Set a timer for when something is due. A timer that is there stays if it is for an earlier time, because to
        replace it for each call takes time."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(DISK_S if self._keeper.is_behind else 0.0, due - time.time())
        if self._timer is None or at < self._timer_at:
            if self._timer:
                self._timer.cancel()
            self._timer, self._timer_at = loop.call_at(at, self._woken), at

    def _woken(self) -> None:
        self._timer = None
        self._turn()

    def _turn(self) -> None:
        """Carry out what is due, if anything is. There is a timer for the next time, whatever fails."""
        if self._closed:
            return
        try:
            cloud = self._keeper.cloud
            if cloud.changes.unsettled or (due := cloud.next_due()) <= time.time():
                due = self._work()
                self.save()
                self._adapt(due)
            else:
                self._wake(due)
            self._sweep()
        except Exception as error:
            self._look_later(error)
            self.save()

    def _work(self) -> float:
        """Carry out what is due; of long work, as much as there is time for. Returns when more is due."""
        cloud, served_s = self._keeper.cloud, self._served_s
        self._served_s = 0.0
        if self._keeper.is_behind:
            return cloud.tick(time.time(), briefly=True)
        ends = time.perf_counter() + (min(MOST_S, max(LEAST_S, served_s)) if served_s else MOST_S)
        due = cloud.tick(time.time())
        while due <= time.time() and time.perf_counter() < ends:
            due = cloud.tick(time.time())
        return due

    def _sweep(self) -> None:
        begun = self._keeper.cloud.tables.slices.begun
        if begun != self._begun:
            self._begun = begun
            self.garbage.freeze()
        self.garbage.sweep()
