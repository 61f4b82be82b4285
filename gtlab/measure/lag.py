"""Replication lag: probe items put at a source on a schedule, and looked for at every target at the same time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gtlab.lab import Lab
from gtlab.measure import planning, reads
from gtlab.measure.poller import Poller
from gtlab.measure.probes import Keys, delete
from gtlab.measure.reads import Bounds, Seen, one_way
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply, Wire

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["probe", "source", "target", "sent_at", "sent_ms", "late_ms", "put_ms", "committed_min_ms",
            "committed_max_ms", "missed_ms", "seen_ms", "visible_min_ms", "visible_max_ms", "hard_min_ms",
            "hard_max_ms", "lag_min_ms", "lag_max_ms", "symmetric", "missed_again", "polls", "rtt_ms", "source_rtt_ms",
            "get_ms", "backend"]
_MOST_PUTS = 64       # under way at once
_LOOK_S = 0.02        # how often the progress is looked at
_NOTHING = Seen(Bounds(-math.inf, math.inf), Bounds(-math.inf, math.inf), 0, 0, True)


def replication_lag(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), samples: int = 20, *,
                    rate: float = 10.0, every_ms: float | None = None, timeout_s: float = 30.0,
                    consistent: bool = False) -> pd.DataFrame:
    """Put items at ``source``, ``rate`` a second, and poll every target until each is seen there.

    ``source`` defaults to the home Region, ``targets`` to the lab's other Regions. A poll reads all the probes that are
    awaited in a Region, and a new one is sent every ``every_ms`` (default: 3 ms a target, so that all targets together
    get 333 a second) while others are still on their way: how finely the arrival is known does not depend on how far
    away the Region is. Nothing waits for a slow answer. Reads are eventually consistent unless ``consistent``. A probe
    that is not seen within ``timeout_s`` of its put is given up. The probe items are deleted at the end, and after
    Ctrl-C, which keeps what was measured. :func:`plan` tells beforehand what all this sends.

    A row per probe and target. Times in ``_ms`` count from the sending of the probe's put, where not said otherwise.

    - ``probe`` (from 1), ``source``, ``target``
    - ``sent_at``: when the put was sent, by this machine's wall clock, epoch seconds; ``sent_ms``: the same, since the
      first put's; ``late_ms``: how long after its moment of the schedule
    - ``put_ms``: its answer came. It was committed, for certain, between 0 and put_ms
    - ``committed_min_ms``, ``committed_max_ms``: between these, if the paths to the source are symmetric
    - ``missed_ms``, ``seen_ms``: the last read that missed it was sent (0 if there was none), the first that saw it was
      answered (missing if none did): it became visible between, for certain
    - ``visible_min_ms``, ``visible_max_ms``: between these, if the paths to the target are symmetric
    - ``hard_min_ms``, ``hard_max_ms``: the lag from commit to visibility lies between; nothing is assumed, and it
      cannot be narrower than a round trip
    - ``lag_min_ms``, ``lag_max_ms``: the refined interval of the lag: it assumes that the paths are symmetric (see
      :mod:`gtlab.measure.reads`)
    - ``symmetric``: False where the reads contradict that; the refined bounds are the hard ones then
    - ``missed_again``: reads that missed it although another had seen it before they were sent (reads that are only
      eventually consistent may); the interval then ends when nobody missed it any more
    - ``polls``: how many reads could tell about it
    - ``rtt_ms``, ``source_rtt_ms``: the smallest round trips to target and source: what the distance adds for a reader
      who is where you are, half before its read is served and half after. The lag holds none of it
    - ``get_ms``: the median latency of a read at the target; ``backend``: the lab's label

    ``attrs`` of the frame: ``sent``, a list of what was sent, with ``region``, ``what``, ``requests``, ``units`` as in
    a plan, ``failed`` (no answer, or a refusal that may pass) and ``skipped`` (not sent: too many under way);
    ``polls_late_p99_ms`` by target; ``seconds``; ``not_put``, how many probes could not be put.

    Where nothing arrives at one of several targets it is said, and its probes are not seen. Raises ValueError for
    settings that make no sense and for a target that is no replica, TimeoutError where nothing arrives anywhere, and
    the service's error where it refuses.
    """
    asked, described = planning.setting(lab, table, source, targets, samples, rate, every_ms, timeout_s, consistent)
    keys = Keys(described)
    run = _Run(lab, table, asked, keys)
    interrupted = False
    try:
        try:
            run.measure()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            run.stop(wait=False)
            delete(lab, table, asked.source, run.keys_put)
    except KeyboardInterrupt:  # the second one: what was measured is kept all the same
        interrupted = True
        print(f"Probe items may be left in table {table}, {asked.source}: their keys begin with {keys.prefix}.")
    if interrupted:
        under_way = f" ({run.waiting} were still on their way, and count as not seen)" if run.waiting else ""
        print(f"Stopped after {len(run.puts)} of {samples} probes{under_way}; what was measured is kept.")
    return run.frame()


class _Run:
    """One measurement: its threads, and what they found."""

    def __init__(self, lab: Lab, table: str, asked: planning.Setting, keys: Keys):
        self._lab, self._table, self._asked, self._keys = lab, table, asked, keys
        self._lacking: dict[int, int] = {}  # probes not yet seen everywhere: in how many Regions
        self._counting = threading.Lock()
        self._arrived = 0
        self._home = Poller(lab, table, asked.source, keys, planning.HOME_EVERY_S, False)
        self._pollers = [Poller(lab, table, target, keys, asked.every_s, asked.consistent, self._seen)
                         for target in asked.targets]
        self._wire = Wire(lab, asked.source, _MOST_PUTS)
        self._putters = ThreadPoolExecutor(_MOST_PUTS, thread_name_prefix="puts")
        self._puts = Schedule(1 / asked.rate, self._put, catch_up=True, calls=asked.samples, name="puts")
        self._begun = self._ended = 0
        self._failed_put: Reply | None = None
        self._not_put = 0
        self._seconds = 0.0
        self.puts: dict[int, tuple[float, Reply]] = {}  # probe → when it was due, how it went
        self.keys_put: list[dict] = []

    @property
    def waiting(self) -> int:
        """How many probes were put, not seen everywhere, and not given up."""
        return len(self._lacking.keys() & self.puts.keys())

    def measure(self) -> None:
        from tqdm.auto import tqdm

        began = time.perf_counter()
        everybody = [self._home, *self._pollers]
        with ThreadPoolExecutor(len(everybody)) as pool:
            list(pool.map(Poller.warm_up, everybody))
        # Of wall and monotonic clock, read at one moment.
        self._wall = time.time() - time.perf_counter()
        for poller in everybody:
            poller.schedule.start()
        self._look(lambda: time.perf_counter() - began < planning.WARM_UP_S)
        self._puts.start()
        with tqdm(total=self._asked.samples, desc="Probes", unit="probe") as bar:
            self._look(self._unfinished, bar)
        self.stop(wait=True)
        self._seconds = time.perf_counter() - began
        if not self.puts and self._failed_put:
            raise self._failed_put.raised("PutItem")
        unseen = [poller.region for poller in self._pollers if not any(read.saw for read in poller.reads)]
        for region in unseen:
            told = (f"An item put elsewhere was not seen in {region} within {self._asked.timeout_s:g} s. "
                    f"Is table {self._table} there a replica of the source's, and is it cut off from it?")
            if len(unseen) == len(self._pollers):
                raise TimeoutError(told)
            print(told)

    def stop(self, *, wait: bool) -> None:
        """End it; ``wait`` for the polls under way. Puts under way are always waited for: one that came after the
        deletion of the probe items would be left."""
        self._puts.stop()
        self._putters.shutdown(wait=True, cancel_futures=True)
        for poller in (self._home, *self._pollers):
            poller.schedule.stop()
        for poller in (self._home, *self._pollers):
            poller.stop(wait=wait)

    def _look(self, on, bar: Any = None) -> None:
        """Wait while there is a reason, with an eye on errors and on probes that take too long."""
        while on():
            time.sleep(_LOOK_S)
            for poller in (self._home, *self._pollers):
                if error := poller.error or poller.schedule.error:
                    raise error
            if self._puts.error:
                raise self._puts.error
            if self._failed_put and not self._failed_put.passing:
                raise self._failed_put.raised("PutItem")
            if bar is not None:
                bar.update(self._arrived - bar.n)
                self._give_up()

    def _unfinished(self) -> bool:
        with self._counting:
            return self._puts.running or self._ended < self._begun or bool(self._lacking)

    def _give_up(self) -> None:
        limit = time.perf_counter() - self._asked.timeout_s
        with self._counting:
            late = [probe for probe in self._lacking if probe in self.puts and self.puts[probe][1].sent < limit]
            for probe in late:
                del self._lacking[probe]
        for probe in late:
            self._forget(probe)

    def _put(self, due: float) -> None:
        with self._counting:
            self._begun += 1
            probe = self._begun
            self._lacking[probe] = len(self._pollers)
        key = self._keys.key(probe)
        self.keys_put.append(key)
        for poller in self._pollers:
            poller.watch(probe)
        self._putters.submit(self._send, probe, due, key)

    def _send(self, probe: int, due: float, key: dict) -> None:
        try:
            reply = self._wire.send(self._wire.signed("put_item", TableName=self._table, Item=key))
            with self._counting:
                if reply.error is None:
                    self.puts[probe] = (due, reply)
                    return
                self._failed_put = reply
                self._not_put += 1
                self._lacking.pop(probe, None)
            self._forget(probe)
        finally:
            with self._counting:
                self._ended += 1

    def _forget(self, probe: int) -> None:
        for poller in self._pollers:
            poller.give_up(probe)

    def _seen(self, probe: int) -> None:
        with self._counting:
            if probe in self._lacking:
                self._lacking[probe] -= 1
                if not self._lacking[probe]:
                    del self._lacking[probe]
                    self._arrived += 1

    # What was found

    def frame(self) -> pd.DataFrame:
        import pandas as pd

        rows, home = [], _smallest(self._home)
        puts = sorted(self.puts.items())
        source_trips = reads.best_at([reply.sent for _, (_, reply) in puts], list(self._home.reads))
        found = {poller.region: reads.seen(list(poller.reads)) for poller in self._pollers}
        trips = {poller.region: (_smallest(poller), _median(poller)) for poller in self._pollers}
        first = min((reply.sent for _, (_, reply) in puts), default=0.0)
        for (probe, (due, reply)), source_trip in zip(puts, source_trips, strict=True):
            for target in self._asked.targets:
                seen = found[target].get(probe, _NOTHING)
                rows.append((probe, self._asked.source, target, self._wall + reply.sent, (reply.sent - first) * 1000,
                             (reply.sent - due) * 1000, *_times_ms(reply, source_trip, seen),
                             trips[target][0] * 1000, home * 1000, trips[target][1] * 1000, self._lab.label))
        frame = pd.DataFrame(rows, columns=_COLUMNS)
        frame.attrs = {"sent": self._sent(), "seconds": round(self._seconds, 1), "not_put": self._not_put,
                       "polls_late_p99_ms": {poller.region: _late_p99_ms(poller.schedule) for poller in self._pollers}}
        return frame

    def _sent(self) -> list[dict]:
        members, source = self._asked.members, self._asked.source
        batches = -(-len(self.keys_put) // 25)
        sent = [{"region": source, "what": "put", "requests": self._ended, "units": float(len(self.puts) * members),
                 "failed": self._not_put, "skipped": 0},
                {"region": source, "what": "delete", "requests": batches, "units": float(len(self.puts) * members),
                 "failed": 0, "skipped": 0}]
        for poller in (self._home, *self._pollers):
            sent.append({"region": poller.region, "what": "read at home" if poller is self._home else "read",
                         "requests": poller.requests, "units": poller.units, "failed": poller.failed,
                         "skipped": poller.skipped + poller.schedule.skipped})
        return sent


def _times_ms(put: Reply, source_trip: float, seen: Seen) -> tuple:
    """The columns from put_ms to polls."""
    done = put.answered - put.sent
    way = min(one_way(source_trip), done / 2)
    committed = Bounds(way, done - way)
    hard = Bounds(max(0.0, seen.hard.low - put.sent), seen.hard.high - put.sent)
    # Nothing is visible elsewhere before it was committed here.
    visible = Bounds(max(committed.low, seen.refined.low - put.sent), seen.refined.high - put.sent)
    symmetric = seen.symmetric and visible.low <= visible.high
    if not symmetric:
        visible = hard
    times = (done, *committed, *hard, *visible, max(0.0, hard.low - done), hard.high,
             max(0.0, visible.low - committed.high), max(0.0, visible.high - committed.low))
    return (*(time * 1000 if math.isfinite(time) else math.nan for time in times), symmetric, seen.missed_again,
            seen.reads)


def _smallest(poller: Poller) -> float:
    return min((read.answered - read.sent for read in list(poller.reads)), default=0.0)


def _median(poller: Poller) -> float:
    import statistics

    return statistics.median([read.answered - read.sent for read in list(poller.reads)] or [math.nan])


def _late_p99_ms(schedule: Schedule) -> float:
    ordered = sorted(schedule.late_s)
    return round(ordered[int(len(ordered) * 0.99)] * 1000, 1) if ordered else 0.0
