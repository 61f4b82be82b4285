"""A small frame for each chart, as the measuring functions return it, and what is drawn from it."""

from __future__ import annotations

import html
import re
from functools import cache

import pandas as pd
import pytest

from gtlab import charts, regions

SIMULATED = "simulated: local cloud, realistic network, built-in lag model"

STATES = pd.DataFrame(
    [
        ("us-east-1", "absent", 0, 9),
        ("us-east-1", "CREATING", 9, 21),
        ("us-east-1", "ACTIVE", 21, 60),
        ("eu-west-1", "ACTIVE", 0, 30),
        ("eu-west-1", "ARCHIVING", 30, 60),
    ],
    columns=["region", "status", "start_s", "end_s"],
)
ARRIVALS = pd.DataFrame(
    [
        ("put Song 1", "ap-southeast-1", "source", 0, None, None),
        ("put Song 1", "us-east-1", "target", 0, 612, 640),
        ("put Song 1", "eu-west-1", "target", 0, 590, 604),
        ("put Song 2", "us-east-1", "source", 100, None, None),
        ("put Song 2", "eu-west-1", "target", 100, None, None),
    ],
    columns=["write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms"],
)
LAGS = pd.DataFrame(
    [
        (number, "ap-southeast-1", target, low + 10 * number, low + 10 * number + 20)
        for target, low in (("us-east-1", 700), ("eu-west-1", 600))
        for number in range(5)
    ],
    columns=["probe", "source", "target", "lag_min_ms", "lag_max_ms"],
)
KEY, PAIR = "<b>Me</b> / 1", "ap-southeast-1, us-east-1"
LATENCY = pd.DataFrame(
    [
        ("put", "ap-southeast-1", 12.0, 20.0),
        ("get", "us-east-1", 221, 236),
        ("replication lag", "us-east-1", 742, 1210),
    ],
    columns=["operation", "region", "median_ms", "p90_ms"],
)
LOOP = pd.DataFrame(
    {
        "item": ["Song 1", "Song 2"],
        "put_ms": [12.0, 14.0],
        "sleep_ms": [1000, 1000],
        "get_ms": [222, 224],
        "found": [True, False],
        "lag_max_ms": [700, 1100],
    }
)
# A drill: home is lost from 1 to 2 s; write 1 had arrived, 2 came late, 3 was overwritten, 6 got no answer.
DRILL = pd.DataFrame(
    [
        (1, 0, 5, "ap-southeast-1", "answered", False, "replaced"),
        (2, 500, 505, "ap-southeast-1", "answered", True, "stays"),
        (3, 800, 805, "ap-southeast-1", "answered", True, "lost"),
        (4, 1000, 2230, "us-east-1", "answered", False, "stays"),
        (5, 2500, 2720, "us-east-1", "answered", False, "stays"),
        (6, 1200, 3200, None, "ReadTimeoutError", False, None),
    ],
    columns=["n", "sent_ms", "answered_ms", "region", "outcome", "missing", "fate"],
).assign(lost_region="ap-southeast-1", outage_from_ms=1000.0, outage_to_ms=2000.0)
EVENTS = pd.DataFrame(
    [
        (0.0, "write", "ap-southeast-1", None, KEY, 0.0, None, None, None, None, None, None),
        (0.5, "delivery", "us-east-1", "ap-southeast-1", KEY, 0.0, 500, None, None, None, None, None),
        (1.0, "broken", None, None, None, None, None, None, None, None, "partition", PAIR),
        (1.5, "write", "ap-southeast-1", None, KEY, 1.5, None, None, None, None, None, None),
        (2.0, "delete", "us-east-1", None, KEY, 2.0, None, None, None, None, None, None),
        (3.0, "mended", None, None, None, None, None, None, None, None, "partition", PAIR),
        (3.1, "discarded", "us-east-1", "ap-southeast-1", KEY, 1.5, 1600, "us-east-1", 500, True, None, None),
        (3.2, "discarded", "us-east-1", "ap-southeast-1", KEY, 0.1, 3100, "us-east-1", 1900, False, None, None),
        (3.3, "join", "eu-west-1", None, None, None, None, None, None, None, None, None),
    ],
    columns=["time", "kind", "region", "source", "key", "written_at", "lag_ms", "lost_to", "by_ms", "conflict", "knob",
             "place"],
)
EVENTS[["time", "written_at"]] = EVENTS[["time", "written_at"]].apply(pd.to_datetime, unit="s", utc=True)
VISIBILITY = pd.DataFrame(
    [
        ("ap-southeast-1", target, t, min(1, t / whole), min(1, (t + 50) / whole), max(0, t / whole - 0.1), 1, 110)
        for target, whole in (("us-east-1", 900), ("eu-west-1", 700))
        for t in range(0, 1001, 50)
    ],
    columns=["source", "target", "t_ms", "certain", "possible", "low", "high", "distance_ms"],
)
CASES = {
    "region_map": regions.frame("ap-southeast-1", "us-east-1,eu-west-1"),
    "replica_states": STATES,
    "arrivals": ARRIVALS,
    "lag_by_target": LAGS,
    "lag_distribution": LAGS,
    "latency_beside_lag": LATENCY,
    "loop_timing": LOOP,
    "t_visibility": VISIBILITY,
    "failover_timeline": DRILL,
    "journal": EVENTS,
    "spacetime": EVENTS,
}
every_chart = pytest.mark.parametrize("name", CASES)


def draw(name, frame=None):
    """The chart of a frame. Without one it is the chart of the case, which is drawn once and shared: only read it."""
    return drawn(name) if frame is None else getattr(charts, name)(frame)


@cache
def drawn(name):
    return draw(name, CASES[name])


def words(fig):
    """Everything written in the figure, and below it in a notebook, without markup."""
    layout = fig.layout
    axes = [layout.xaxis, layout.yaxis]
    texts = [html.escape(layout.meta["finding"]), html.escape(layout.meta["note"]), layout.title.text]
    texts += [layout.title.subtitle.text, *(note.text for note in layout.annotations)]
    texts += [text for axis in axes for text in (axis.title.text, *(axis.ticktext or ()))]
    for trace in fig.data:
        texts += [trace.text] if isinstance(trace.text, str) else list(trace.text or ())
        texts += [trace.name] if layout.showlegend and trace.showlegend is not False else []
    return html.unescape(re.sub("<[^>]*>", " ", " | ".join(text for text in texts if text)))
