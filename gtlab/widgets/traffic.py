"""What the live view draws, worked out from the journal's events: pure, without a clock and without a browser."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from gtlab import regions
from gtlab.lab.events import sentence

MOST_FLIGHTS = 20   # of one batch, drawn each by itself; where more start, they are drawn as one per link
ROLLING = 21        # deliveries over which a link's lag is taken, as their median
WORDS = 6           # events in words, at most, of one batch

Link = tuple[str, str]  # source and target


class Traffic:
    """Events go in (:meth:`see`), what changed comes out (:meth:`batch`).

    A write is on its way to every other member of its table until its delivery is seen there, or that of a later write
    to the same item. Items are counted as far back as the journal goes.
    """

    def __init__(self, members: Iterable[str], table: str | None = None):
        self._home_members, self._table = tuple(members), table
        self._clear()

    def _clear(self) -> None:
        self._last = 0
        self._joined: dict[tuple, set[str]] = defaultdict(set)                # by account and table
        self._items: dict[str, set[tuple]] = defaultdict(set)                 # by Region
        self._flying: dict[tuple, dict[int, float]] = defaultdict(dict)       # by item and link: number to written_at
        self._waiting: Counter[Link] = Counter()
        self._lags: dict[Link, deque[float]] = defaultdict(lambda: deque(maxlen=ROLLING))
        self._arrived: Counter[Link] = Counter()
        self._lost: Counter[Link] = Counter()
        self._stale: Counter[str] = Counter()                                 # stale reads, by Region
        self._next = 0
        self._drawn: set[int] = set()  # flights that the browser knows
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._started: list[tuple[int, str, str, float]] = []
        self._landed: dict[int, tuple[float, str]] = {}
        self._missed: list[tuple[float, str]] = []  # stale reads: when and where
        self._words: deque[dict[str, Any]] = deque(maxlen=WORDS)
        self._changed = self._restarted = False

    @property
    def members(self) -> tuple[str, ...]:
        """The Regions of the lab, then other Regions that are members of a global table, by code."""
        joined = set().union(*self._joined.values()) if self._joined else set()
        return (*self._home_members, *sorted(joined - set(self._home_members)))

    def see(self, event: Mapping[str, Any]) -> None:
        """Take an event, as the control API has it. Numbers that were seen before are left out."""
        kind, n = event["kind"], event["n"]
        if kind == "reset":
            self._clear()
            self._last, self._changed, self._restarted = n, True, True
            return
        if n <= self._last:
            return
        self._last = n
        if kind in ("broken", "mended"):
            self._tell(event)
            return
        if self._table not in (None, event["table"]) or event["region"] not in regions.REGIONS:
            return
        if kind == "read":
            self._read(event)
            return
        self._changed = True
        {"write": self._write, "delete": self._write, "delivery": self._arrive, "discarded": self._arrive,
         "duplicate": self._arrive, "join": self._join, "leave": self._join}.get(kind, lambda _: None)(event)

    def _join(self, event: Mapping[str, Any]) -> None:
        joined = self._joined[event["account"], event["table"]]
        (joined.add if event["kind"] == "join" else joined.discard)(event["region"])
        self._tell(event)

    def _write(self, event: Mapping[str, Any]) -> None:
        source, item = event["region"], _item(event)
        self._keep(source, item, deleted=event["kind"] == "delete")
        if event["written_at"] is None:
            return
        # Where the journal no longer has the joins, the lab's Regions are the best guess.
        known = self._joined.get((event["account"], event["table"])) or self._home_members
        for target in sorted(known):
            if target != source:
                self._next += 1
                self._flying[item, source, target][self._next] = event["written_at"]
                self._waiting[source, target] += 1
                self._started.append((self._next, source, target, event["written_at"]))

    def _arrive(self, event: Mapping[str, Any]) -> None:
        source, target, item = event["source"], event["region"], _item(event)
        if event["kind"] == "delivery":
            self._keep(target, item, deleted=event["deleted"])
        link, lost = (source, target), event["kind"] == "discarded"
        flying = self._flying.get((item, source, target), {})
        for number in [each for each, written in flying.items() if written <= event["written_at"] + 1e-6]:
            del flying[number]
            self._waiting[link] -= 1
            outcome = "arrived" if not lost else "conflict" if event["conflict"] else "older"
            self._landed[number] = (event["lag_ms"], outcome)
        if not flying:
            self._flying.pop((item, source, target), None)
        self._lags[link].append(event["lag_ms"])
        self._arrived[link] += 1
        if lost:
            self._lost[link] += 1
            self._tell(event)

    def _read(self, event: Mapping[str, Any]) -> None:
        """Count a stale read. There are no words for it: a client that reads in a loop would push out the others."""
        if event["stale"]:
            self._changed = True
            self._stale[event["region"]] += 1
            self._missed.append((event["at"], event["region"]))

    def _keep(self, region: str, item: tuple, *, deleted: bool) -> None:
        (self._items[region].discard if deleted else self._items[region].add)(item)

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._changed = True
        self._words.append({"n": event["n"], "at": event["at"], "kind": event["kind"], "region": event["region"],
                            "source": event.get("source"), "conflict": bool(event.get("conflict")),
                            "text": sentence(dict(event))})

    def lag_ms(self, link: Link) -> float | None:
        """The median lag of the link's last deliveries, in milliseconds; None before the first."""
        return statistics.median(self._lags[link]) if self._lags.get(link) else None

    def state(self) -> dict[str, Any]:
        """What is now: ``items``, ``waiting`` (on the way there) and ``stale`` (stale reads so far) by Region;
        ``links``, a list of source, target, waiting, median lag in ms or None, arrived, and lost."""
        members = self.members
        links = [[a, b, self._waiting[a, b], self.lag_ms((a, b)), self._arrived[a, b], self._lost[a, b]]
                 for a in members for b in members if a != b]
        return {"items": {code: len(self._items[code]) for code in members},
                "waiting": {code: sum(link[2] for link in links if link[1] == code) for code in members},
                "stale": {code: self._stale[code] for code in members}, "links": links}

    def batch(self, after: float = 0.0) -> dict[str, Any] | None:
        """What the browser is to be told since the last batch; None if nothing. Writes from before ``after`` (epoch
        seconds) are history, and so are reads: they are counted and not drawn.

        The state, and ``flights``: number, source, target, expected ms (None: unknown), each on its way or landed
        since; ``landed``: of those, number, lag in ms, and ``arrived``, ``conflict`` or ``older`` (what was there is
        newer); ``streams``: source, target, how many, expected ms, where too many started to be drawn each;
        ``missed``: Region and number of stale reads since; ``words``; ``restarted``: nothing from before will land.
        """
        if not self._changed:
            return None
        started = [(number, a, b) for number, a, b, written_at in self._started if written_at >= after]
        flights = started if len(started) <= MOST_FLIGHTS else []
        self._drawn.update(number for number, *_ in flights)
        landed = [[number, lag_ms, outcome] for number, (lag_ms, outcome) in self._landed.items()
                  if number in self._drawn]
        self._drawn.difference_update(self._landed)
        streams = Counter((a, b) for _, a, b in started) if not flights else Counter()
        told = self.state() | {
            "flights": [[number, a, b, self.lag_ms((a, b))] for number, a, b in flights],
            "landed": landed,
            "streams": [[a, b, count, self.lag_ms((a, b))] for (a, b), count in streams.items()],
            "missed": [[region, count] for region, count in
                       Counter(region for at, region in self._missed if at >= after).items()],
            "words": list(self._words), "restarted": self._restarted}
        self._begin_batch()
        return told


def broken_places(knobs: Iterable[Mapping[str, Any]], members: Iterable[str]) -> dict[str, Any]:
    """What of the world's ``knobs`` is to be seen on a map of these members: ``down``, Regions with how they fail;
    ``alone``, isolated Regions; ``cut``, pairs between which nothing passes (in alphabetical order)."""
    codes, knobs = sorted(members), list(knobs)
    down = {each["place"][0]: each["value"] for each in knobs if each["knob"] == "outage" and each["place"][0] in codes}
    alone = [each["place"][0] for each in knobs if each["knob"] == "isolate" and each["place"][0] in codes]
    parted = {tuple(sorted(each["place"])) for each in knobs if each["knob"] == "partition"}
    cut = [[a, b] for at, a in enumerate(codes) for b in codes[at + 1:]
           if (a, b) in parted or {a, b} & (set(down) | set(alone))]
    return {"down": down, "alone": alone, "cut": cut}


def _item(event: Mapping[str, Any]) -> tuple:
    key = event["key"] or {}
    return (event["account"], event["table"],
            *((name, *next(iter(value.items()))) for name, value in sorted(key.items())))
