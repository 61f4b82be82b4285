"""Choose the home Region and its replicas on a map, or in the list beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import traitlets

from gtlab import regions
from gtlab.lab import Choice
from gtlab.localcloud import process
from gtlab.widgets import atlas
from gtlab.widgets.drawn import Drawn, script, still_map, style

MOST_REPLICAS = 5


@dataclass(frozen=True)
class Draft:
    """A choice in the making: unlike a :class:`~gtlab.lab.Choice` it may lack a home Region or replicas."""

    home: str = ""
    replicas: tuple[str, ...] = ()
    most: int = MOST_REPLICAS

    def press(self, code: str) -> Draft:
        """Choose a Region (as home if there is none, else as a replica), or take it away if it is chosen.

        Raises UnknownRegion, and ValueError where there are as many replicas as allowed.
        """
        name = regions.label(code)
        if code == self.home:
            return replace(self, home="")
        if code in self.replicas:
            return replace(self, replicas=tuple(each for each in self.replicas if each != code))
        if not self.home:
            return replace(self, home=code)
        if len(self.replicas) >= self.most:
            raise ValueError(f"{name} is not added: this notebook allows {_replicas(self.most)}. Take one away first.")
        return replace(self, replicas=(*self.replicas, code))

    def make_home(self, code: str) -> Draft:
        """Choose a Region as home. The home until now takes its place among the replicas, if it was one.

        Raises UnknownRegion.
        """
        regions.get(code)
        replicas = tuple(self.home if each == code else each for each in self.replicas)
        return replace(self, home=code, replicas=tuple(each for each in replicas if each))

    @property
    def missing(self) -> str:
        """What it takes to make this a choice; empty if it is one."""
        if not self.home:
            return "Choose a home Region: the one that you write to."
        return "" if self.replicas else "Choose at least one replica: a global table has two Regions or more."

    @property
    def regions(self) -> tuple[str, ...]:
        return (self.home, *self.replicas) if self.home else self.replicas


class RegionPicker(Drawn):
    """What :func:`choose_regions` returns. ``choice`` is the last complete choice; :meth:`press` and :meth:`make_home`
    do what a click does."""

    _esm = script("map.js", "picker.js")
    _css = style("map.css", "picker.css")

    atlas = traitlets.Dict().tag(sync=True)
    near = traitlets.Dict().tag(sync=True)     # the Region that each arrow key leads to
    catalogue: traitlets.List = traitlets.List().tag(sync=True)  # all Regions by place: code, place, country
    home = traitlets.Unicode().tag(sync=True)
    replicas: traitlets.List = traitlets.List().tag(sync=True)
    looks = traitlets.Dict().tag(sync=True)
    rtt_ms = traitlets.Dict().tag(sync=True)   # round trip from home to every Region
    message = traitlets.Dict().tag(sync=True)  # kind ("kept", "missing", "refused") and text

    def __init__(self, choice: Choice, on_choice: Callable[[Choice], object], most: int = MOST_REPLICAS):
        places = atlas.world()
        catalogue = sorted(({"code": each.code, "place": each.place, "country": each.country}
                            for each in regions.REGIONS.values()), key=lambda each: each["place"])
        super().__init__(atlas=places, near=atlas.neighbours(places["spots"]), catalogue=catalogue)
        self.choice, self._on_choice = choice, on_choice
        # Replicas that were chosen elsewhere are not taken away.
        self._draft = Draft(choice.home, choice.replicas, max(most, len(choice.replicas)))
        self._show("kept", f"Chosen: {_names(choice)}.")
        self.on_msg(self._hear)

    def press(self, code: str) -> None:
        """Choose a Region, or take it away: :meth:`Draft.press`. Why it is refused is in ``message``."""
        self._change(self._draft.press, code)

    def make_home(self, code: str) -> None:
        """Make a Region the home: :meth:`Draft.make_home`."""
        self._change(self._draft.make_home, code)

    def _hear(self, _: object, content: dict, __: object) -> None:
        {"press": self.press, "home": self.make_home}[content["do"]](content["region"])

    def _change(self, step: Callable[[str], Draft], code: str) -> None:
        try:
            draft = step(code)
            if draft.missing:
                self._draft = draft
                self._show("missing", f"Not saved yet. {draft.missing}")
                return
            before, choice = self.choice, Choice(draft.home, draft.replicas)
            if choice != before:
                self._on_choice(choice)
            self._draft, self.choice = draft, choice
            again = "" if choice == before else f" Cells that you ran with {_names(before)} need to run again."
            self._show("kept", f"Saved: {_names(choice)}.{again}")
        except (ValueError, OSError, process.CloudError) as error:  # an error here would be seen by nobody
            self._show("refused", str(error))

    def _show(self, kind: str, text: str) -> None:
        draft = self._draft
        distances = {code: regions.rtt_ms(draft.home, code) for code in regions.REGIONS} if draft.home else {}
        with self.hold_sync():
            self.home, self.replicas, self.rtt_ms = draft.home, list(draft.replicas), distances
            self.looks = atlas.looks(draft.regions)
            self.message = {"kind": kind, "text": text}
        self.keep()

    def still(self) -> str:
        home, replicas = self.choice.home, self.choice.replicas
        names = {code: regions.get(code).place + (" (home)" if code == home else "") for code in self.choice.regions}
        links = [(home, code, f"{regions.rtt_ms(home, code):.0f} ms") for code in replicas]
        trips = ", ".join(f"{regions.get(code).place} {text}" for _, code, text in links)
        says = (f"Home Region {regions.label(home)} and {_replicas(len(replicas))}. Median round trips from "
                f"home: {trips} (cloudping.co, 2024-25).")
        return still_map(self.atlas, atlas.looks(self.choice.regions), names, links, says)


def choose_regions(choice: Choice, on_choice: Callable[[Choice], object], most: int = MOST_REPLICAS) -> RegionPicker:
    """A map and a list on which a home Region and one to ``most`` replicas are chosen, by mouse or keyboard.

    ``on_choice`` is called with each new complete choice. What is missing, and why something is refused, is shown
    below the map, as is a ValueError, OSError or CloudError that ``on_choice`` raises.
    """
    return RegionPicker(choice, on_choice, most)


def _names(choice: Choice) -> str:
    places = [regions.get(code).place for code in choice.regions]
    return f"{places[0]} (home), {', '.join(places[1:])}"


def _replicas(number: int) -> str:
    return f"{number} replica" + ("" if number == 1 else "s")
