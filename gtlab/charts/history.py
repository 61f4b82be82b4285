"""The journal's events for a space-time diagram: what each replaced or lost to, and which are drawn together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gtlab.charts.columns import each_row, missing
from gtlab.intervals import median

if TYPE_CHECKING:
    import pandas as pd

WRITES, ARRIVALS = ("write", "delete"), ("delivery", "replaces", "overtaken", "conflict")
UNDERWAY = "underway"
READS = ("read", "stale read")
BINS = 30  # columns of time in which events that look alike are drawn together


class Version(NamedTuple):
    """When (a timestamp, or None) and where an item was written."""

    at: Any
    region: str

    def __str__(self) -> str:
        return f"{_clock(self.at)} in {self.region}"


@dataclass(frozen=True)
class Happening:
    """One event. ``what``: one of WRITES, ARRIVALS, READS and UNDERWAY (:func:`underway`). ``x``: seconds since the
    first event; ``from_x``: of an arrival, when it was written. ``new``: the version that it brought, or that was read;
    ``old``: the version that it replaced, that it lost to, or that a stale read missed."""

    what: str
    x: float
    region: str
    item: str
    time: Any
    source: str = ""
    from_x: float | None = None
    new: Version | None = None
    old: Version | None = None
    ms: float | None = None  # of an arrival its lag, of a stale read how long before it the missed write was
    by_ms: float | None = None
    deleted: bool = False

    def told(self) -> str:
        """The event in words, for the hover text: several lines."""
        if self.what == UNDERWAY:
            return f"{self.item}<br>version: {self.new}<br>not in {self.region} by the end of these events"
        lines = [self.item, f"{self._name()} in {self.region}, {self.x:.3f} s ({_clock(self.time)})"]
        if self.new:
            lines.append(f"{'version read' if self.what in READS else 'version'}: {self.new}")
        elif self.what in READS and not self.item.startswith(_PAGE):
            lines.append("version read: none, the item was not there")
        if self.what in ("overtaken", "conflict"):
            lines.append(f"lost by {self.by_ms:,.0f} ms to the version {self.old}")
        elif self.what == "stale read" and self.ms is not None:
            lines.append(f"missed the version {self.old}, {self.ms:,.0f} ms old")
        elif self.old:
            lines.append(f"replaced the version {self.old}")
        if self.what in ARRIVALS and self.ms is not None:
            lines.append(f"{self.ms:,.0f} ms after it was written")
        return "<br>".join(lines)

    def _name(self) -> str:
        if self.what in ARRIVALS:
            delete = " of a delete" if self.deleted else ""
            loses = {"overtaken": ", overtaken", "conflict": ", lost a conflict"}.get(self.what, "")
            return f"arrival{delete} from {self.source}{loses}"
        return self.what


_PAGE = "page of a "


def happenings(frame: pd.DataFrame, begin: Any, clean: Callable[[object], str]) -> list[Happening]:
    """The writes, arrivals and reads of the journal. ``begin``: the timestamp of x = 0; ``clean``: makes text of data
    safe for a figure."""
    state: dict[tuple[Hashable, ...], Version] = {}
    found = []

    def seconds(when: Any) -> float:
        return float((when - begin).total_seconds())

    for row in each_row(frame):
        item = clean(row.key) if not missing(row.key) else ""
        place = (getattr(row, "account", None), getattr(row, "table", None), row.key, row.region)
        if row.kind in WRITES:
            new = Version(row.time if missing(row.written_at) else row.written_at, row.region)
            found.append(Happening(row.kind, seconds(row.time), row.region, item, row.time, new=new,
                                   old=state.get(place), deleted=row.kind == "delete"))
            state[place] = new
        elif row.kind == "delivery":
            new, old = Version(row.written_at, row.source), state.get(place)
            found.append(Happening("replaces" if old else "delivery", seconds(row.time), row.region, item, row.time,
                                   row.source, seconds(row.written_at), new, old, row.lag_ms,
                                   deleted=_true(getattr(row, "deleted", None))))
            state[place] = new
        elif row.kind == "discarded":
            winner = getattr(row, "winner_written_at", None)
            if missing(winner):
                winner = _later(row)
            found.append(Happening("conflict" if _true(row.conflict) else "overtaken", seconds(row.time), row.region,
                                   item, row.time, row.source, seconds(row.written_at),
                                   Version(row.written_at, row.source), Version(winner, row.lost_to), row.lag_ms,
                                   row.by_ms, _true(getattr(row, "deleted", None))))
        elif row.kind == "read":
            found.append(_read(row, item, seconds(row.time), clean))
    return found


def _later(row: Any) -> Any:
    import pandas as pd

    return row.written_at + pd.Timedelta(milliseconds=float(row.by_ms))


def _read(row: Any, item: str, x: float, clean: Callable[[object], str]) -> Happening:
    stale = _true(row.stale)
    if missing(row.key):
        item = f"{_PAGE}{clean(row.operation)}, {int(row.items)} item{'' if row.items == 1 else 's'}"
        item += f", {int(row.stale_items)} stale or not there" if stale else ""
    seen = None if missing(row.written_at) else Version(row.written_at, row.source)
    return Happening("stale read" if stale else "read", x, row.region, item, row.time, new=seen,
                     old=Version(row.newer_written_at, row.newer_in) if stale else None,
                     ms=row.behind_ms if stale else None)


def winners(events: Iterable[Happening]) -> list[Happening]:
    """The writes that won a conflict, in the order in which they were written."""
    events = list(events)
    won = {(event.item, event.old.region, _us(event.old.at)) for event in events
           if event.what == "conflict" and event.old}
    return [event for event in events if event.what in WRITES and event.new
            and any((event.item, event.new.region, _us(event.new.at) + off) in won for off in (0, -1, 1))]


def underway(events: Iterable[Happening], end: float) -> list[Happening]:
    """For each write that has no arrival in another Region by ``end`` (seconds since the first event), what would be
    that arrival. A Region counts if these events have a write or an arrival in it. Without any arrival, nothing is
    known of replication, and the list is empty."""
    events = list(events)
    arrived = {(event.item, event.source, _us(event.new.at), event.region) for event in events
               if event.what in ARRIVALS and event.new}
    if not arrived:
        return []
    regions = dict.fromkeys(event.region for event in events if event.what in (*WRITES, *ARRIVALS))
    return [Happening(UNDERWAY, end, region, event.item, event.time, event.region, event.x, event.new)
            for event in events if event.what in WRITES and event.new
            for region in regions if region != event.region and not any(
                (event.item, event.region, _us(event.new.at) + off, region) in arrived for off in (0, -1, 1))]


def together(events: list[Happening], most: int, span: float) -> Iterator[list[Happening]]:
    """Groups of events that are drawn as one. Up to ``most`` events, each is a group of its own; more are put together
    if they are alike (what, from where, where) and in the same of BINS columns of time."""
    if len(events) <= most:
        yield from ([event] for event in events)
        return
    width = (span or 1.0) / BINS
    groups: dict[Hashable, list[Happening]] = {}
    for event in events:
        start = event.x if event.from_x is None else event.from_x
        # What was written together and waited must stay apart from what arrived at once: both ends count.
        column = (int(start / width), int(event.x / width / 3))
        groups.setdefault((event.what, event.source, event.region, column), []).append(event)
    yield from groups.values()


def told(group: list[Happening]) -> str:
    """A group in words, for the hover text."""
    if len(group) == 1:
        return group[0].told()
    first, last = group[0], group[-1]
    items = len({event.item for event in group})
    name = {"delivery": "deliveries", "replaces": "deliveries that replaced a version", "overtaken": "deliveries that "
            "were overtaken", "conflict": "deliveries that lost a conflict", "write": "writes", "delete": "deletes",
            "read": "reads", "stale read": "stale reads"}[first.what]
    lines = [f"{len(group)} {name}", f"{items} item{'' if items == 1 else 's'}",
             (f"from {first.source} to " if first.source else "in ") + first.region,
             f"{first.x:.3f} to {last.x:.3f} s"]
    if all(event.ms is not None for event in group):
        what = "missed writes that were" if first.what in READS else "lag"
        middle = median(event.ms for event in group if event.ms is not None)
        lines.append(f"{what} {middle:,.0f} ms{' old' if first.what in READS else ''} at the median")
    return "<br>".join(lines)


def _true(value: object) -> bool:
    return not missing(value) and bool(value)


def _us(at: Any) -> int:
    at_s: float = at.timestamp()
    return round(at_s * 1e6)


def _clock(at: Any) -> str:
    return f"{at:%H:%M:%S.%f}"[:-3] + " UTC"
