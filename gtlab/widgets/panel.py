"""Break the simulated world and mend it, on the map or by form."""

from __future__ import annotations

import traitlets

from gtlab import regions
from gtlab.contract import OUTAGES
from gtlab.lab import Lab, knobs
from gtlab.localcloud import process
from gtlab.widgets import atlas
from gtlab.widgets.actions import Action, asked, listed, notes
from gtlab.widgets.drawn import Drawn, script, still_map, style
from gtlab.widgets.follower import Follower
from gtlab.widgets.traffic import broken_places


class Panel(Drawn):
    """What :func:`panel` returns. ``knobs`` is what is broken now; :meth:`do` is what a click does."""

    _esm = script("map.js", "dock.js", "panel.js")
    _css = style("map.css", "dock.css", "live.css", "panel.css")

    atlas = traitlets.Dict().tag(sync=True)
    members: traitlets.List = traitlets.List().tag(sync=True)    # of the lab, home first: code, place, look
    catalogue: traitlets.List = traitlets.List().tag(sync=True)  # all Regions, the lab's first: code, place
    outages: traitlets.List = traitlets.List(list(OUTAGES)).tag(sync=True)
    knobs: traitlets.List = traitlets.List().tag(sync=True)      # actions.listed()
    places = traitlets.Dict().tag(sync=True)                     # broken_places()
    notes = traitlets.Dict().tag(sync=True)
    last = traitlets.Dict().tag(sync=True)                       # python and command of the last action
    problem = traitlets.Unicode().tag(sync=True)                 # why it was refused, or nothing answers
    title = traitlets.Unicode().tag(sync=True)

    def __init__(self, lab: Lab):
        self._lab, self._codes = lab, lab.regions
        looks = atlas.looks(lab.regions)
        others = sorted(set(regions.REGIONS) - set(lab.regions), key=lambda code: regions.get(code).place)
        super().__init__(
            atlas=atlas.around(lab.regions), title=f"The simulated world · {lab.label}",
            members=[{"code": code, "place": regions.get(code).place, "look": looks[code]} for code in lab.regions],
            catalogue=[{"code": code, "place": regions.get(code).place} for code in (*lab.regions, *others)])
        self._show(knobs.broken(lab._control("world")))
        self._follower = Follower(lab, self._tell)
        self.on_msg(self._hear)

    def do(self, action: Action) -> None:
        """Do it, and show the Python line and the command that do the same. Where it is refused, ``problem`` says
        why."""
        try:
            world = action.do(self._lab._control)
        except (ValueError, process.CloudError) as error:  # one that is raised here would be seen by nobody
            self.problem = str(error)
            return
        with self.hold_sync():
            self.problem, self.last = "", {"python": action.python, "command": action.command}
            self._show(knobs.broken(world))

    def _hear(self, _: object, content: dict, __: object) -> None:
        if content["do"] == "here":
            self._follower.seen(content["view"])
        elif content["do"] == "gone":
            self._follower.gone(content["view"])
        else:
            try:
                self.do(asked(content, self._knobs))
            except ValueError as error:
                self.problem = str(error)

    def _tell(self, _: list[dict], found: list[dict] | None) -> None:
        if found is not None:
            self._show(found)
        if self._follower.problem:
            self.problem = self._follower.problem

    def _show(self, found: list[dict]) -> None:
        self._knobs = found
        with self.hold_sync():
            self.knobs, self.notes = listed(found), notes(found)
            self.places = broken_places(found, self._codes)
        self.keep()

    def close(self) -> None:
        """End it: its thread, and its view in the browser."""
        if hasattr(self, "_follower"):
            self._follower.stop()
        super().close()

    def still(self) -> str:
        home = self._codes[0]
        names = {code: regions.get(code).place + (" (home)" if code == home else "") for code in self._codes}
        broken = "; ".join(each["text"] for each in self.knobs) or "nothing is broken"
        return still_map(self.atlas, atlas.looks(self._codes), names, [(home, code, "") for code in self._codes[1:]],
                         f"{self.title}: {broken}.")


def panel(lab: Lab) -> Panel:
    """A control panel with every knob of ``lab.world``: partition, isolate, outage, slow, lag, throttle, caller.

    A click on a line of the map parts two Regions, or joins them again; a click on a Region takes it down, or up again;
    the form has the rest. It shows what is broken, also what a cell, another notebook or the command line broke, and
    works while a cell runs. Each action is shown as the Python line and the ``gtlab world`` command that do the same.
    Raises ValueError on other backends than the local cloud, which do not have these knobs.
    """
    return Panel(lab)
