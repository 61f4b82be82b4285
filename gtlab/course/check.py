"""Self-checks: each looks at your answer, and says in words whether it is right and what to try.

With ``strict=True``, or GTLAB_STRICT=1 in the environment, a wrong answer raises :class:`NotYet`; the course's own
solutions are checked so.
"""

from __future__ import annotations

import contextlib
import numbers
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gtlab import regions as catalogue
from gtlab.course import stages
from gtlab.lab import Lab, watch
from gtlab.measure import drill

if TYPE_CHECKING:
    import pandas as pd


class NotYet(AssertionError):
    """An answer that is not right, in strict mode."""


def farthest_replica(lab: Lab, given: Any, *, strict: bool | None = None) -> None:
    """00: the replica Region with the longest round trip from home."""
    right = max(lab.replicas, key=lambda region: catalogue.rtt_ms(lab.home, region))
    _judge(given == right, given, f"{catalogue.label(right)} is {catalogue.rtt_ms(lab.home, right):.0f} ms away.",
           "Look at the column rtt_ms of regions.frame(), and give the Region's code as text.", strict)


def stream_arn(lab: Lab, region: str, given: Any, *, strict: bool | None = None) -> None:
    """01: the ARN of the stream of the table in a Region."""
    described = lab.client(region).describe_table(TableName=stages.TABLE)["Table"]
    right = described.get("LatestStreamArn")
    hint = "describe_table answers with a Table; look at its keys for one that is about the stream and ends in Arn."
    if given == described["TableArn"]:
        hint = "That is the table's own ARN. The stream's goes on after it: …/stream/…"
    _judge(right is not None and given == right, given, "Each Region's stream has an ARN of its own.", hint, strict)


def members(lab: Lab, given: Any, *, strict: bool | None = None) -> None:
    """02: the Regions of the global table, in any order."""
    right = set(stages.members_of(lab) or lab.regions)
    asked = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else []
    hint = "Collect RegionName from each member of ReplicationGroup into a list of texts."
    if asked and all(isinstance(each, str) for each in asked):
        lacking, extra = sorted(right - set(asked)), sorted(set(asked) - right)
        hint = f"Missing: {', '.join(lacking) or 'none'}. Not a member: {', '.join(extra) or 'none'}."
        twice = sorted({each for each in asked if asked.count(each) > 1})
        hint = f"Named more than once: {', '.join(twice)}." if twice else hint
    right_now = all(isinstance(each, str) for each in asked) and set(asked) == right and len(asked) == len(right)
    _judge(right_now, given, f"{len(right)} replicas, and none of them is the first among equals.", hint, strict)


def item_everywhere(lab: Lab, key: Any, *, strict: bool | None = None, timeout_s: float = 10.0) -> None:
    """03: an item that was written in a replica Region and can be read in every Region."""
    named = (isinstance(key, Mapping) and set(key) == {"Artist", "SongTitle"}
             and all(isinstance(value, Mapping) and isinstance(value.get("S"), str) for value in key.values()))
    missing: list[str] = list(lab.regions)
    if named:
        try:
            watch.item(lab, stages.TABLE, key, timeout_s=timeout_s)
            missing = []
        except TimeoutError:
            missing = [region for region, seen in watch.look(lab, stages.TABLE, key).items() if seen != "there"]
    hint = (f"It is missing in {', '.join(missing)}. Put it with put_item of a replica's client." if named else
            'A key has both Artist and SongTitle, each typed: {"S": "…"}.')
    _judge(not missing, key, "Any replica takes writes; there is no master to send them to.", hint, strict)


def listed_replicas(lab: Lab, table: str, region: str, given: Any, *, strict: bool | None = None) -> None:
    """05: the Regions that DescribeTable lists as Replicas when it is asked in a Region, in any order."""
    described = lab.client(region).describe_table(TableName=table)["Table"]
    right = {entry["RegionName"] for entry in described.get("Replicas", [])}
    codes = isinstance(given, list | tuple | set) and all(isinstance(each, str) for each in given)
    hint = "Ask a client of that Region, and collect RegionName from each entry of Replicas into a list."
    if codes and region in given:
        hint = f"DescribeTable lists the other members only: {region} is the one that you asked."
    _judge(codes and set(given) == right, given, "The Region that you ask is never in its own list.", hint, strict)


def slowest_target(lags: pd.DataFrame, given: Any, *, strict: bool | None = None) -> None:
    """04: the target with the largest median of lag_max_ms."""
    right = lags.groupby("target")["lag_max_ms"].median().idxmax()
    _judge(given == right, given, f"{catalogue.label(right)} saw the writes last, half of the time or more.",
           'Group by "target", take the median of "lag_max_ms"; idxmax() gives the name of the largest.', strict)


def counter(lab: Lab, plus_one: Callable[[str], object], total: Callable[[str], int], *, strict: bool | None = None,
            timeout_s: float = 15.0) -> None:
    """06: plays that are counted on both sides of a partition, none of which is lost.

    Calls ``plus_one(region)`` three times at home and in the first replica Region, while nothing passes between them
    (on AWS, at the same time), and waits until ``total(region)`` says so in every Region.
    """
    sides, plays = (lab.home, lab.replicas[0]), 3
    before = total(lab.home)
    with lab.world.partition(*sides) if lab.simulated else contextlib.nullcontext():
        for _ in range(plays):
            for region in sides:
                plus_one(region)
    wanted, deadline = before + plays * len(sides), time.monotonic() + timeout_s
    while (totals := {region: total(region) for region in lab.regions}) != dict.fromkeys(lab.regions, wanted):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    counted = {region: found - before for region, found in totals.items()}
    _judge(set(totals.values()) == {wanted}, counted, "No item is written in two Regions, so none can lose to another.",
           f"There were {wanted - before} plays. The last writer wins whole items: let each Region have an item of its "
           "own, and total() add them up.", strict)


def rto(drilled: pd.DataFrame, given: Any, *, strict: bool | None = None) -> None:
    """07: how long, in milliseconds, from the beginning of a drill's outage until a write was acknowledged again."""
    right = drill.summary(drilled)["rto_ms"].iloc[0]
    number = isinstance(given, numbers.Real) and not isinstance(given, bool)
    hint = "Of the writes sent since outage_from_ms, take the earliest answered_ms; count from outage_from_ms."
    if number and abs(given * 1000 - right) < 1:
        hint = "That is in seconds; give milliseconds."
    elif number and abs(given - drilled["outage_from_ms"].iloc[0] - right) < 1:
        hint = "That counts from the first write; subtract outage_from_ms."
    _judge(number and abs(given - right) < 1, given,
           "Your timeouts made most of it: nothing in the database fails over.", hint, strict)


def _judge(right: bool, given: Any, praise: str, hint: str, strict: bool | None) -> None:
    if right:
        print(f"✔ Right. {praise}")
        return
    shown = "nothing yet" if given in (None, "", ...) else repr(given)
    text = f"✘ Not yet. Your answer: {shown}. {hint}"
    if strict or (strict is None and os.environ.get("GTLAB_STRICT") == "1"):
        raise NotYet(text)
    print(text)
