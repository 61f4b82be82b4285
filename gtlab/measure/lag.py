"""Replication lag: probe items are put at a source at regular intervals, while every target is polled for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gtlab.lab import Lab, classmate
from gtlab.measure.lag_frame import frame
from gtlab.measure.probes import Keys, delete
from gtlab.measure.probing import Probing
from gtlab.measure.sampling import Sampling, prepare

if TYPE_CHECKING:
    import pandas as pd


def replication_lag(lab: Lab, table: str, source: str = "", targets: str | Iterable[str] = (), samples: int = 20, *,
                    rate: float = 10.0, every_ms: float | None = None, timeout_s: float = 30.0,
                    consistent: bool = False) -> pd.DataFrame:
    """Put ``samples`` items at ``source``, ``rate`` per second, and poll every target until each item is seen there.

    ``source`` defaults to the home Region, ``targets`` to the lab's other Regions. A poll reads all the probes that are
    awaited in a Region. A new poll is sent every ``every_ms`` milliseconds (default: 3 ms times the number of targets,
    so that all targets together get 333 polls per second; a tenth of that on a local cloud that others share), also
    while others have no answer yet. So the precision does not depend on the distance of the Region, and slow answers
    delay nothing. Reads are eventually consistent unless
    ``consistent``. A probe that is not seen within ``timeout_s`` seconds of its put is given up. The probe items are
    deleted at the end, also after Ctrl-C, which keeps what was measured. :func:`plan` shows in advance what is sent.

    A row per probe and target. Times in ``_ms`` count from when the probe's put was sent, unless stated otherwise.

    - ``probe`` (from 1), ``source``, ``target``
    - ``sent_at``: when the put was sent, by this machine's wall clock (epoch seconds); ``sent_ms``: the same, since the
      first put was sent; ``late_ms``: how long after its planned time it was sent
    - ``put_ms``: when the put was answered. It was committed, with certainty, between 0 and put_ms
    - ``committed_min_ms``, ``committed_max_ms``: it was committed between these if the paths to the source are
      symmetric
    - ``missed_ms``, ``seen_ms``: the last read that missed it was sent (0 if there was none), and the first read that
      saw it was answered (missing if there was none). It became visible between the two, with certainty
    - ``visible_min_ms``, ``visible_max_ms``: it became visible between these if the paths to the target are symmetric
    - ``hard_min_ms``, ``hard_max_ms``: bounds of the lag from commit to visibility, without any assumption. This
      interval cannot be narrower than a round trip
    - ``lag_min_ms``, ``lag_max_ms``: the refined bounds of the lag, which assume symmetric paths (see
      :mod:`gtlab.measure.reads`)
    - ``symmetric``: false if the reads contradict this assumption; the refined bounds then equal the hard ones
    - ``missed_again``: how many reads missed it although they were sent after another read had seen it (eventually
      consistent reads may). The interval then ends after the last miss
    - ``polls``: how many reads covered it
    - ``rtt_ms``, ``source_rtt_ms``: the smallest round trips to target and source: what the distance adds for a reader
      where you are, half before the read is served and half after. The lag excludes the reader's distance
    - ``get_ms``: the median latency of a read at the target; ``backend``: the lab's label

    ``attrs`` of the frame: ``sent``, a list of dictionaries with ``region``, ``what``, ``requests`` and ``units`` as in
    a plan, ``failed`` (no answer, or a transient error) and ``skipped`` (not sent, because too many requests had no
    answer); ``polls_late_p99_ms`` by target, the 99th percentile of the polls' delay; ``seconds``; ``not_put``, how
    many probes could not be put.

    If nothing arrives at one of several targets, a message is printed and its probes count as not seen. Raises
    ValueError for invalid arguments and for a target that is not a replica, TimeoutError if nothing arrives at any
    target, and the service's error if it refuses a request.
    """
    setting = prepare(lab, table, source, targets, Sampling(samples, rate, every_ms, timeout_s, consistent))
    keys = Keys(setting.described)
    probing = Probing(lab, table, setting, keys)
    interrupted = False
    try:
        try:
            probing.run()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            probing.stop(wait=False)
            delete(lab, table, setting.source, probing.keys_put)
    except KeyboardInterrupt:  # a second Ctrl-C: what was measured is kept all the same
        interrupted = True
        print(f"Probe items may be left in table {table} in {setting.source}: their keys begin with {keys.prefix}.")
    if interrupted:
        waiting = f" ({probing.waiting} had not arrived and count as not seen)" if probing.waiting else ""
        print(f"Stopped after {len(probing.puts)} of {samples} probes{waiting}; what was measured is kept.")
    lags = frame(probing, lab.label)
    classmate.keep_lags(lags, lab.label)
    return lags
