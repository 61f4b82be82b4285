"""The data frame of measured replication lags, from the puts and reads of one run."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from gtlab.measure import reads
from gtlab.measure.poller import Poller
from gtlab.measure.probing import Probing
from gtlab.measure.reads import Bounds, Seen, one_way
from gtlab.measure.schedule import Schedule
from gtlab.measure.transport import Reply

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["probe", "source", "target", "sent_at", "sent_ms", "late_ms", "put_ms", "committed_min_ms",
            "committed_max_ms", "missed_ms", "seen_ms", "visible_min_ms", "visible_max_ms", "hard_min_ms",
            "hard_max_ms", "lag_min_ms", "lag_max_ms", "symmetric", "missed_again", "polls", "rtt_ms", "source_rtt_ms",
            "get_ms", "backend"]
_NOTHING = Seen(Bounds(-math.inf, math.inf), Bounds(-math.inf, math.inf), 0, 0, True)


def frame(probing: Probing, backend: str) -> pd.DataFrame:
    """A row per probe and target: the columns and ``attrs`` of :func:`gtlab.measure.replication_lag`."""
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    home, source = _smallest(probing.home), probing.setting.source
    puts = sorted(probing.puts.items())
    source_trips = reads.best_at([put.reply.sent for _, put in puts], list(probing.home.reads))
    found = {poller.region: reads.seen(list(poller.reads)) for poller in probing.pollers}
    trips = {poller.region: (_smallest(poller), _median(poller)) for poller in probing.pollers}
    first = min((put.reply.sent for _, put in puts), default=0.0)
    for (probe, (due, reply)), source_trip in zip(puts, source_trips, strict=True):
        for target in probing.setting.targets:
            seen = found[target].get(probe, _NOTHING)
            rows.append((probe, source, target, probing.wall_s + reply.sent, (reply.sent - first) * 1000,
                         (reply.sent - due) * 1000, *_times_ms(reply, source_trip, seen), trips[target][0] * 1000,
                         home * 1000, trips[target][1] * 1000, backend))
    lags = pd.DataFrame(rows, columns=COLUMNS)
    lags.attrs = {"sent": _sent(probing), "seconds": round(probing.seconds, 1), "not_put": probing.not_put,
                  "polls_late_p99_ms": {poller.region: _late_p99_ms(poller.schedule) for poller in probing.pollers}}
    return lags


def _sent(probing: Probing) -> list[dict[str, Any]]:
    source, write_units = probing.setting.source, float(len(probing.puts) * len(probing.setting.written))
    batches = -(-len(probing.keys_put) // 25)
    sent = [{"region": source, "what": "put", "requests": probing.ended, "units": write_units,
             "failed": probing.not_put, "skipped": 0},
            {"region": source, "what": "delete", "requests": batches, "units": write_units, "failed": 0, "skipped": 0}]
    for poller in (probing.home, *probing.pollers):
        sent.append({"region": poller.region, "what": "read at home" if poller is probing.home else "read",
                     "requests": poller.requests, "units": poller.units, "failed": poller.failed,
                     "skipped": poller.skipped + poller.schedule.skipped})
    return sent


def _times_ms(put: Reply, source_trip: float, seen: Seen) -> tuple[float | bool, ...]:
    """The columns from put_ms to polls."""
    done = put.answered - put.sent
    way = min(one_way(source_trip), done / 2)
    committed = Bounds(way, done - way)
    hard = Bounds(max(0.0, seen.hard.low - put.sent), seen.hard.high - put.sent)
    # An item is not visible elsewhere before it was committed here.
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
    return statistics.median([read.answered - read.sent for read in list(poller.reads)] or [math.nan])


def _late_p99_ms(schedule: Schedule) -> float:
    ordered = sorted(schedule.late_s)
    return round(ordered[int(len(ordered) * 0.99)] * 1000, 1) if ordered else 0.0
