"""One change of the simulated world: what the control API is asked, and the Python line and the command that do the
same. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gtlab.contract import DEFAULT_ACCOUNT, KNOB_NAMES, PAIRS, UNITS
from gtlab.lab.knobs import meaning


@dataclass(frozen=True)
class Action:
    """A knob set at a place to a value, or, with ``off``, cleared there. Places and values are the control API's; of
    ``throttle``, the place is account, Region and table, and the value a dict of read_units, write_units (per second)
    and burst_s (seconds). The knob ``reset`` puts everything right."""

    knob: str
    place: tuple[str, ...] = ()
    value: Any = None
    off: bool = False

    def __post_init__(self) -> None:
        if self.knob not in (*KNOB_NAMES, "reset"):
            raise ValueError(f"There is no knob {self.knob!r}; there are: {', '.join(KNOB_NAMES)}.")

    def do(self, ask: Callable[..., dict]) -> dict:
        """Do it; the world as it is then, as ``GET world`` answers. Raises ValueError and CloudError as ``ask``."""
        if self.knob == "reset":
            return ask("world", "DELETE")
        what = "/".join(["world", self.knob, *(quote(part, safe="") for part in self.place)])
        if self.off:
            return ask(what, "DELETE")
        return ask(what, "PUT", {} if self.value is None else {"value": self.value})

    @property
    def python(self) -> str:
        if self.knob == "reset":
            return "lab.world.reset()"
        arguments = [_text(each) for each in self.place]
        if self.knob == "throttle":
            _, region, table = self.place
            arguments = [_text(table), _text(region),
                         *(f"{name}={_number(each)}" for name, each in (self.value or {}).items())]
        elif self.knob == "lag":
            arguments = [_number(self.value), *(f"{name}={_text(each)}" for name, each in
                                                zip(("source", "target"), self.place, strict=False))]
        elif self.value is not None:
            arguments.append(_text(self.value) if isinstance(self.value, str) else _number(self.value))
        return f"lab.world.{self.knob}({', '.join(arguments)})" + (".mend()" if self.off else "")

    @property
    def command(self) -> str:
        words = ["gtlab", "world", self.knob]
        value = [] if self.off or self.value is None else [self.value]
        if self.knob == "throttle":
            account, region, table = self.place
            words += [table, "--region", region]
            if account != DEFAULT_ACCOUNT:
                words += ["--account", account]
            for name, each in (value[0] if value else {}).items():
                words += [f"--{name.replace('_', '-')}", _number(each)]
        elif self.knob == "outage":
            words += [*self.place, *(["--how", value[0]] if value else [])]
        elif self.knob == "lag":
            words += [*map(_number, value), *self.place]
        else:
            words += [*self.place, *(each if isinstance(each, str) else _number(each) for each in value)]
        return shlex.join([*words, *(["--off"] if self.off else [])])


def asked(content: Mapping[str, Any], knobs: Iterable[Mapping[str, Any]]) -> Action:
    """What the browser asked for: ``do`` is ``turn`` (with knob, place, value), ``toggle`` (set, or cleared if it is
    set), ``mend`` or ``reset``. ``knobs`` are those that are set now. Raises ValueError for a knob that there is not.
    """
    if content["do"] == "reset":
        return Action("reset")
    knob, place = content["knob"], tuple(content["place"])
    if knob == "throttle" and len(place) == 2:
        place = (DEFAULT_ACCOUNT, *place)
    same = [each for each in knobs if each["knob"] == knob and _pair(knob, each["place"]) == _pair(knob, place)]
    if content["do"] == "mend" or (content["do"] == "toggle" and same):
        return Action(knob, place, same[0]["value"] if same else None, off=True)
    return Action(knob, place, content.get("value"))


def listed(knobs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The knobs that are set, for a list: with ``text``, and ``mendable`` (a pause is an experiment's)."""
    return [{"knob": each["knob"], "place": list(each["place"]), "value": each["value"], "text": meaning(dict(each)),
             "mendable": each["knob"] != "pause"} for each in knobs]


def notes(knobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is to be written on a map: ``regions``, texts by Region; ``links``, texts by pair (codes in alphabetical
    order, separated by a space)."""
    regions: dict[str, list[str]] = {}
    links: dict[str, list[str]] = {}
    for each in knobs:
        place, value = each["place"], each["value"]
        if each["knob"] == "throttle":
            regions.setdefault(place[1], []).append(f"{place[2]} throttled")
        elif each["knob"] == "pause":
            regions.setdefault(place[1], []).append(f"{place[2]} paused")
        elif each["knob"] == "caller":
            regions.setdefault(value, []).append("all callers are here")
        elif each["knob"] == "slow":
            links.setdefault(" ".join(sorted(place)), []).append(f"+{value:g} {UNITS['slow']}")
        elif each["knob"] == "lag" and place:
            links.setdefault(" ".join(sorted(place)), []).append(f"lag {value:g} {UNITS['lag']} to {place[1]}")
    return {"regions": regions, "links": links}


def _pair(knob: str, place: Iterable[str]) -> list[str]:
    return sorted(place) if knob in PAIRS else list(place)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
