"""The local cloud's journal as a data frame: writes, deliveries, discarded deliveries, stale reads, faults.

Columns (COLUMNS); a column that does not apply to an event is empty:

- ``n``: the event's number, rising by one; ``time``: when it took effect in its Region (UTC); ``kind``: ``write``,
  ``delete``, ``delivery``, ``discarded``, ``duplicate``, ``read``, ``join``, ``leave``, ``broken``, ``mended``,
  ``reset``
- ``region``, ``table``, ``key`` (its values, as in "item_1 / Song Value 1"), ``account``: the item
- ``by``: who wrote or deleted it, ``customer`` or ``ttl``
- ``source``: the Region that a delivery came from; ``written_at``: when it was written there (UTC); ``lag_ms``:
  milliseconds from that write to the delivery; ``deleted``: whether it was a delete; ``late_ms``: how much later than
  planned the local cloud processed the delivery, in milliseconds; clients cannot observe this
- ``lost_to``: the Region whose newer version made a delivery be discarded; ``winner_written_at``: when that was written
  (UTC); ``by_ms``: how much newer it was, in milliseconds; ``conflict``: whether neither of the two writes had seen the
  other
- ``stale``: whether another Region had a newer version than the one that was read. Reads that are not stale are in the
  journal only where somebody asked for them (:meth:`gtlab.lab.Lab.all_reads`). ``operation``, such as ``GetItem``;
  ``consistent``: whether it was a strongly consistent read. ``source`` and ``written_at``: where and when the version
  that was read was written, empty if there was no item. ``newer_in`` and ``newer_written_at`` (UTC): the version that
  the read missed; ``behind_ms``: milliseconds from that write to the read. A page of a Query or Scan is one event
  without a key: ``items`` is the number of items on it, ``stale_items`` how many are stale or have not arrived
- ``knob``, ``place`` (codes, separated by commas), ``value``: what was broken or mended
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from gtlab import regions
from gtlab.contract import ALIVE_S, DEFAULT_ACCOUNT, UNITS
from gtlab.localcloud import process

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("write", "delete", "delivery", "discarded", "duplicate", "read", "join", "leave", "broken", "mended",
         "reset")
COLUMNS = ("n", "time", "kind", "region", "source", "table", "key", "by", "written_at", "lag_ms", "late_ms", "deleted",
           "lost_to", "winner_written_at", "by_ms", "conflict", "operation", "consistent", "stale", "newer_in",
           "newer_written_at", "behind_ms", "items", "stale_items", "knob", "place", "value", "account")
_TIMES = ("time", "written_at", "winner_written_at", "newer_written_at")
_TYPES = {"n": "int64", "lag_ms": "float64", "late_ms": "float64", "by_ms": "float64", "behind_ms": "float64",
          "deleted": "boolean", "conflict": "boolean", "consistent": "boolean", "stale": "boolean", "items": "Int64",
          "stale_items": "Int64"}


def frame(ask: Callable[..., dict], after: int = 0, kinds: Iterable[str] | None = None,
          table: str | None = None) -> pd.DataFrame:
    """The events with numbers above ``after``, of these kinds and this table (None: all). ``ask`` sends a GET to the
    control API. Raises ValueError for an unknown kind."""
    import pandas as pd

    wanted = None if kinds is None else {kinds} if isinstance(kinds, str) else set(kinds)
    for kind in (wanted or set()) - set(KINDS):
        raise ValueError(f"There are no events of kind {kind!r}; there are: {', '.join(KINDS)}.")
    rows = [row(event) for event in pages(ask, after)
            if (wanted is None or event["kind"] in wanted) and table in (None, event["table"])]
    found = pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")
    for name in _TIMES:
        found[name] = pd.to_datetime(found[name].astype("float64"), unit="s", utc=True)
    return found.astype(_TYPES)


def pages(ask: Callable[..., dict], after: int = 0) -> Iterator[dict]:
    """The events with numbers above ``after``, as the control API returns them, up to the newest event at the first
    call.
    """
    newest = None
    while True:
        page = ask(f"events?after={after}")
        newest = page["last"] if newest is None else newest
        for event in page["events"]:
            after = event["n"]
            yield event
        if not page["events"] or after >= newest:
            return


def follow(where: process.Where, after: int = 0, *, all_reads: bool = False) -> Iterator[dict]:
    """The events with numbers above ``after`` and new ones as they happen, until the connection ends. With
    ``all_reads`` the journal has reads that are not stale, too, as long as this goes on."""
    with contextlib.suppress(OSError, http.client.HTTPException), process.request(
            where, _stream(after, all_reads), timeout_s=2 * ALIVE_S, accept="text/event-stream") as response:
        for line in response:
            name, _, value = line.decode().partition(": ")
            if name == "data":
                yield json.loads(value)


@contextlib.contextmanager
def all_reads(where: process.Where, after: int) -> Iterator[None]:
    """For a block of code, have the journal note reads that are not stale, too. ``after``: the newest event's number.
    It is a connection that nobody reads from: it ends with the block, whatever becomes of this process."""
    with process.request(where, _stream(after, True), timeout_s=ALIVE_S, accept="text/event-stream") as response:
        response.readline()  # the first line comes when the journal listens
        yield


def _stream(after: int, all_reads: bool) -> str:
    return f"events?after={after}" + ("&reads=all" if all_reads else "")


def row(event: dict) -> dict:
    """An event of the control API as a row of the data frame; times are still epoch seconds."""
    key = event.get("key") or {}
    place = event.get("place")
    return {name: event.get(name) for name in COLUMNS} | {
        "time": event["at"], "place": None if place is None else ", ".join(place),
        "key": " / ".join(str(next(iter(value.values()))) for value in key.values()) or None}


def in_words(event: dict) -> str:
    """One event as a line of text, without its number and time."""
    each = row(event)
    where = f"{each['region'] or '':<15}"
    what = f"{each['table']} {each['key']}"
    if each["kind"] in ("write", "delete"):
        return f"{where} {each['kind']:<10} {what}" + (" by TTL" if each["by"] == "ttl" else "")
    if each["kind"] in ("delivery", "duplicate"):
        return (f"{where} {each['kind']:<10} {what} from {each['source']}, {each['lag_ms']:.0f} ms after it was "
                + ("deleted" if each["deleted"] else "written"))
    if each["kind"] == "discarded":
        unaware = ", and neither knew of the other (a conflict)" if each["conflict"] else ""
        return (f"{where} {'discarded':<10} {what} from {each['source']}: {each['lost_to']} wrote "
                f"{each['by_ms']:.0f} ms later{unaware}")
    if each["kind"] == "read":
        return f"{where} {'stale read' if each['stale'] else 'read':<10} {_read_in_words(each)}"
    if each["kind"] in ("broken", "mended"):
        value = "" if each["value"] is None else f" {each['value']}"
        return f"{where} {each['kind']:<10} {each['knob']} {each['place']}{value}".rstrip()
    return f"{where} {each['kind']:<10} {each['table'] or ''}".rstrip()


# Of faults, in sentences: what they are called, and their values with units.
_NAMES = {"isolate": "Isolation", "slow": "Slow connection", "lag": "Fixed lag", "throttle": "Throttling"}
_VALUES = {"lag": f"{{:g}} {UNITS['lag']}", "slow": f"{{:g}} {UNITS['slow']} more"}


def sentence(event: dict) -> str:
    """A write that lost, a fault, or a change of membership in words for a page, with places for codes; other events as
    :func:`in_words` has them."""
    each = row(event)
    here, what = _place(each["region"]), f"{each['table']} {each['key']}"
    if each["kind"] == "discarded":
        unaware = ", and neither knew of the other: a conflict" if each["conflict"] else ""
        return (f"{what}: the write from {_place(each['source'])} lost in {here}. {_place(each['lost_to'])} wrote "
                f"{each['by_ms']:.0f} ms later{unaware}.")
    if each["kind"] in ("broken", "mended"):
        where = [_place(part) for part in str(each["place"] or "").split(", ") if part and part != DEFAULT_ACCOUNT]
        if each["knob"] == "caller":
            return (f"Everybody calls from {_place(each['value'])}" if each["value"] else
                    "Callers are where they were before")
        value = "" if each["value"] is None else f" ({_VALUES.get(each['knob'], '{}').format(each['value'])})"
        begun = "begins" if each["kind"] == "broken" else "ends"
        name = _NAMES.get(each["knob"], each["knob"].capitalize())
        return f"{name} {begun}: {', '.join(where) or 'everywhere'}{value}"
    if each["kind"] in ("join", "leave"):
        return f"{here} {'joins' if each['kind'] == 'join' else 'leaves'} the global table {each['table']}"
    return " ".join(in_words(event).split())


def _place(value: object) -> str:
    """The place of a Region's code; anything else as it is."""
    return regions.REGIONS[str(value)].place if str(value) in regions.REGIONS else str(value)


def _read_in_words(each: dict) -> str:
    what = (f"{each['table']} {each['key']}" if each["items"] is None else
            f"{each['operation']} of {each['table']}: {each['items']} item{'' if each['items'] == 1 else 's'}")
    if not each["stale"]:
        return what
    count = "" if each["stale_items"] is None else f", {each['stale_items']} stale or not there yet"
    return f"{what}{count}: {each['newer_in']} wrote {each['behind_ms']:.0f} ms before"
