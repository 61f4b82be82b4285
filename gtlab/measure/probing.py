"""One run of probes: puts at the source and polls of every target, each in threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from gtlab import regions
from gtlab.lab import Lab
from gtlab.lab.progress import Board, Progress
from gtlab.measure.poller import Poller, Polling
from gtlab.measure.probes import Keys, ProbeKey
from gtlab.measure.sampling import HOME_EVERY_S, WARM_UP_S, Setting
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply, Sender

_MOST_PUTS = 64  # without an answer
_CHECK_S = 0.02  # between two checks for errors and for probes that take too long
_SEPARATE = (" These endpoints may be separate engines, which never replicate: gtlab features --endpoint REGION=URL "
             "asks them.")


class Put(NamedTuple):
    """An acknowledged put; ``due`` is its planned time, in seconds of the monotonic clock."""

    due: float
    reply: Reply


class Awaited:
    """The probes that were begun and not yet seen everywhere. Safe to use from several threads."""

    def __init__(self, targets: int):
        self._targets = targets
        self._lacking: dict[int, int] = {}  # by probe: how many targets have not seen it
        self._lock = threading.Lock()
        self.arrived = 0  # probes that were seen everywhere

    def add(self, probe: int) -> None:
        with self._lock:
            self._lacking[probe] = self._targets

    def seen(self, probe: int) -> None:
        """One more target has seen it."""
        with self._lock:
            if probe in self._lacking:
                self._lacking[probe] -= 1
                if not self._lacking[probe]:
                    del self._lacking[probe]
                    self.arrived += 1

    def drop(self, probe: int) -> None:
        with self._lock:
            self._lacking.pop(probe, None)

    def probes(self) -> list[int]:
        with self._lock:
            return list(self._lacking)


class Probing:
    """Runs one measurement. Afterwards ``puts`` has the acknowledged puts by probe, ``pollers`` the polls of each
    target, ``home`` those of the source; ``begun`` counts the puts that were begun, ``not_put`` those that failed."""

    def __init__(self, lab: Lab, table: str, setting: Setting, keys: Keys):
        self.setting = setting
        self._table, self._keys = table, keys
        self._hint = _SEPARATE if lab.backend == "endpoints" else ""
        polling = Polling(setting.every_s, setting.sampling.consistent)
        self._awaited = Awaited(len(setting.targets))
        self.home = Poller(lab, table, setting.source, keys, Polling(HOME_EVERY_S))
        self.pollers = [Poller(lab, table, target, keys, polling, self._awaited.seen) for target in setting.targets]
        self._sender = Sender(lab, setting.source, _MOST_PUTS)
        self._putters = ThreadPoolExecutor(_MOST_PUTS, thread_name_prefix="puts")
        self._schedule = Schedule(1 / setting.sampling.rate, self._put, catch_up=True, calls=setting.sampling.samples,
                                  name="puts")
        self._counting = threading.Lock()
        self._failed_put: Reply | None = None
        self.begun = self.ended = self.not_put = 0
        self.seconds = 0.0
        self.wall_s = 0.0  # the wall clock (epoch seconds) when the monotonic clock was 0
        self.puts: dict[int, Put] = {}
        self.keys_put: list[ProbeKey] = []

    @property
    def waiting(self) -> int:
        """How many probes were put, were not seen everywhere, and were not given up."""
        return len(self.puts.keys() & set(self._awaited.probes()))

    def run(self) -> None:
        """Measure until every probe has been seen everywhere or given up."""
        began = time.perf_counter()
        shown = Progress()
        shown.show(self._board(began))
        everybody = [self.home, *self.pollers]
        with ThreadPoolExecutor(len(everybody)) as pool:
            list(pool.map(Poller.warm_up, everybody))
        self.wall_s = time.time() - time.perf_counter()
        for poller in everybody:
            poller.schedule.start()
        self._wait_while(lambda: time.perf_counter() - began < WARM_UP_S)
        self._schedule.start()
        self._wait_while(self._unfinished, lambda: shown.show(self._board(began)))
        shown.end(self._board(began))
        self.stop(wait=True)
        self.seconds = time.perf_counter() - began
        self._check_arrivals()

    def stop(self, *, wait: bool) -> None:
        """Stop; with ``wait``, wait for the polls that have no answer yet. Puts are always waited for: an item that is
        put after the deletion of the probe items would be left in the table."""
        self._schedule.stop()
        self._putters.shutdown(wait=True, cancel_futures=True)
        for poller in (self.home, *self.pollers):
            poller.schedule.stop()
        for poller in (self.home, *self.pollers):
            poller.stop(wait=wait)

    def _check_arrivals(self) -> None:
        if not self.puts and self._failed_put:
            raise self._failed_put.raised("PutItem")
        unseen = [poller.region for poller in self.pollers if not any(read.saw for read in poller.reads)]
        for region in unseen:
            message = (f"No probe was seen in {region} within {self.setting.sampling.timeout_s:g} s. Check that table "
                       f"{self._table} in {region} is a replica of the source's table, and that {region} is not cut "
                       "off from the source." + self._hint)
            if len(unseen) == len(self.pollers):
                raise TimeoutError(message)
            print(message)

    def _board(self, began: float) -> Board:
        return Board(f"Probes from {regions.label(self.setting.source)} that arrived everywhere",
                     self._awaited.arrived, self.setting.sampling.samples, time.perf_counter() - began)

    def _wait_while(self, condition: Callable[[], bool], show: Callable[[], None] | None = None) -> None:
        """Wait while the condition holds. Raises the first error of a put or a poll that is not transient; with
        ``show``, which shows the progress, also gives up probes that take too long."""
        while condition():
            time.sleep(_CHECK_S)
            for poller in (self.home, *self.pollers):
                if error := poller.error or poller.schedule.error:
                    raise error
            if self._schedule.error:
                raise self._schedule.error
            if self._failed_put and not self._failed_put.transient:
                raise self._failed_put.raised("PutItem")
            if show is not None:
                show()
                self._give_up_late()

    def _unfinished(self) -> bool:
        with self._counting:
            return self._schedule.running or self.ended < self.begun or bool(self._awaited.probes())

    def _give_up_late(self) -> None:
        limit = time.perf_counter() - self.setting.sampling.timeout_s
        for probe in self._awaited.probes():
            put = self.puts.get(probe)
            if put and put.reply.sent < limit:
                self._give_up(probe)

    def _put(self, due: float) -> None:
        with self._counting:
            self.begun += 1
            probe = self.begun
            self._awaited.add(probe)
        key = self._keys.key(probe)
        self.keys_put.append(key)
        for poller in self.pollers:
            poller.watch(probe)
        self._putters.submit(self._send, probe, due, key)

    def _send(self, probe: int, due: float, key: ProbeKey) -> None:
        try:
            reply = self._sender.send(self._sender.signed("put_item", TableName=self._table, Item=key))
            if reply.error is None:
                self.puts[probe] = Put(due, reply)
                return
            with self._counting:
                self._failed_put = reply
                self.not_put += 1
            self._give_up(probe)
        finally:
            with self._counting:
                self.ended += 1

    def _give_up(self, probe: int) -> None:
        self._awaited.drop(probe)
        for poller in self.pollers:
            poller.give_up(probe)
