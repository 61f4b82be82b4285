"""Watch replication on a map, as it happens."""

from __future__ import annotations

import time

import traitlets

from gtlab import regions
from gtlab.lab import Lab
from gtlab.widgets import atlas
from gtlab.widgets.drawn import Drawn, script, still_map, style
from gtlab.widgets.follower import Follower
from gtlab.widgets.traffic import Traffic, broken_places

HISTORY_S = 5.0  # writes that are older when the browser hears of them are not drawn


class LiveView(Drawn):
    """What :func:`live` returns. ``close()`` ends it; so does the end of its cell or of the kernel."""

    _esm = script("map.js", "dock.js", "live.js")
    _css = style("map.css", "dock.css", "live.css")

    atlas = traitlets.Dict().tag(sync=True)
    members: traitlets.List = traitlets.List().tag(sync=True)  # home first: code, place, and the look
    state = traitlets.Dict().tag(sync=True)                    # Traffic.state(), as a new view begins with it
    places = traitlets.Dict().tag(sync=True)                   # broken_places()
    title = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)               # why nothing is seen

    def __init__(self, lab: Lab, table: str | None = None):
        self._traffic = Traffic(lab.regions, table)
        self._knobs: list[dict] = []
        super().__init__(title=(f"Table {table}" if table else "All tables") + f" · {lab.label}")
        self._place()
        self._follower = Follower(lab, self._tell)
        self.on_msg(self._hear)

    def _hear(self, _: object, content: dict, __: object) -> None:
        if content["do"] == "here":
            self._follower.seen(content["view"])
        elif content["do"] == "gone":
            self._follower.gone(content["view"])

    def _tell(self, events: list[dict], knobs: list[dict] | None) -> None:
        for event in events:
            self._traffic.see(event)
        if knobs is not None:
            self._knobs = knobs
        if self.problem != self._follower.problem:
            self.problem = self._follower.problem
        told = self._traffic.batch(time.time() - HISTORY_S)
        self._place()
        if told:
            self.send(told)

    def _place(self) -> None:
        members = self._traffic.members
        if members != tuple(each["code"] for each in self.members):
            looks = atlas.looks(members)
            with self.hold_sync():
                self.atlas = atlas.around(members)
                self.members = [{"code": code, "place": regions.get(code).place, "look": looks[code]}
                                for code in members]
                self.state = self._traffic.state()
        places = broken_places(self._knobs, members)
        if places != self.places:
            self.places = places

    def close(self) -> None:
        """End it: its thread, and its view in the browser."""
        if hasattr(self, "_follower"):
            self._follower.stop()
        super().close()

    def still(self) -> str:
        members, state = self._traffic.members, self._traffic.state()
        names = {code: f"{regions.get(code).place}{' (home)' if code == members[0] else ''}: "
                       f"{_count(state['items'][code], 'item')}" for code in members}
        lags = [(a, b, "" if lag is None else f"{lag:.0f} ms")
                for a, b, _, lag, *_ in state["links"] if a == members[0]]
        return still_map(self.atlas, atlas.looks(members), names, lags,
                         f"Live view of {len(members)} Regions. {self.title}. It moves where a kernel runs.")


def live(lab: Lab, table: str | None = None) -> LiveView:
    """A map on which each write travels to the other Regions for as long as it really takes.

    It shows arrivals, writes that lose to newer ones, stale reads, the number of items in each Region and how many
    writes are on their way there, the median lag of each link's last 21 deliveries (ms), cut links and Regions that are
    down.
    ``table``: only this one. It follows the journal while its view is seen, and works while a cell runs. Where more
    than 200 deliveries per second begin, they are drawn as a few points with numbers.

    Raises ValueError on other backends than the local cloud, which have no journal.
    """
    lab._control("world")  # says why, where there is no journal
    return LiveView(lab, table)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
