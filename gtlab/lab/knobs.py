"""The simulated world's knobs: part Regions, take one down, slow a link, set the lag, throttle a table, move callers.

Each knob takes effect at once, for everybody who uses this local cloud, and returns a handle. Used in a ``with``
statement it puts things back as they were before, also where a cell fails in between::

    with lab.world.partition("us-east-1", "eu-west-1"):
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gtlab import regions
from gtlab.contract import DEFAULT_ACCOUNT, TABLE

if TYPE_CHECKING:
    import pandas as pd

Ask = Callable[..., dict]  # (what, method="GET", body=None) → the control API's answer


class Broken:
    """One knob that was set. ``mend()``, or the end of a ``with`` statement, puts it back as it was before, once. What
    was mended otherwise meanwhile, as by ``lab.world.reset()``, stays so."""

    def __init__(self, ask: Ask, knob: str, place: Sequence[str], value: Any):
        self._ask, self._what = ask, "/".join(["world", knob, *(quote(part, safe="") for part in place)])
        self._knob, self._place = knob, sorted(place) if knob in _PAIRS else list(place)
        self._before, self._mended = self._now(), False
        ask(self._what, "PUT", _body(value))
        self._set = {"knob": knob, "place": self._place, "value": value}

    def mend(self) -> None:
        """Put this knob back as it was before; if it was the same then, as when a cell is run twice, clear it."""
        self._put_back(None if self._before == self._set else self._before)

    def _put_back(self, before: dict | None) -> None:
        if self._mended:
            return
        if before is None:
            self._ask(self._what, "DELETE")
        elif self._now() is not None:
            self._ask(self._what, "PUT", _body(before["value"]))
        self._mended = True

    def _now(self) -> dict | None:
        """This knob as it is set at this moment."""
        return next((each for each in self._ask("world")["knobs"]
                     if each["knob"] == self._knob and each["place"] == self._place), None)

    def __enter__(self) -> Broken:
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back(self._before)

    def __repr__(self) -> str:
        return meaning(self._set) + (" (mended)" if self._mended else "; mend with .mend() or lab.world.reset()")


class Knobs:
    """``lab.world``. Regions are codes. Every knob raises ValueError for a Region that does not exist (UnknownRegion
    says which are near) and for a value that makes no sense, and says what is allowed; and on other backends than the
    local cloud, which do not have these knobs."""

    def __init__(self, ask: Ask, home: str):
        self._ask, self._home = ask, home

    def partition(self, a: str, b: str) -> Broken:
        """Nothing passes between two Regions: replication waits, and catches up when it is mended."""
        return self._turn("partition", [a, b])

    def isolate(self, region: str) -> Broken:
        """Nothing passes between a Region and any other. Callers reach it, as they reach all the others."""
        return self._turn("isolate", [region])

    def outage(self, region: str, how: str = "timeout") -> Broken:
        """A Region is down: nothing passes to or from it, and its endpoint fails. ``how``: ``"timeout"``, requests are
        never answered; ``"refused"``, no connection is made; ``"error"``, every request is answered with a 5xx."""
        return self._turn("outage", [region], how)

    def slow(self, a: str, b: str, added_ms: float) -> Broken:
        """A round trip between two Regions takes ``added_ms`` milliseconds longer, for callers in the one who call the
        other; replication takes half as much longer each way."""
        return self._turn("slow", [a, b], added_ms)

    def lag(self, seconds: float, source: str | None = None, target: str | None = None) -> Broken:
        """Replication takes this many seconds, neither more nor less: from ``source`` to ``target``, or everywhere."""
        if (source is None) != (target is None):
            raise ValueError("lag: name both a source and a target Region, or neither.")
        return self._turn("lag", [] if source is None or target is None else [source, target], seconds)

    def throttle(self, table: str, region: str | None = None, read_units: float | None = None,
                 write_units: float | None = None, burst_s: float | None = None) -> Broken:
        """Hold a table to its capacity (in ``region``; default: the home Region): what is asked beyond it, and beyond
        its burst credit, is refused with ProvisionedThroughputExceededException, and replication into it waits.

        ``read_units`` and ``write_units``, a second, replace the table's own; ``burst_s`` is how many seconds' unused
        capacity it keeps (300, as on AWS). It begins with full credit.
        """
        given = {"read_units": read_units, "write_units": write_units, "burst_s": burst_s}
        where = regions.get(self._home if region is None else region).code
        return Broken(self._ask, "throttle", [DEFAULT_ACCOUNT, where, checked_table(table)],
                      {name: value for name, value in given.items() if value is not None})

    def caller(self, region: str) -> Broken:
        """Every caller is in this Region: "I am in Frankfurt"."""
        return Broken(self._ask, "caller", [], regions.get(region).code)

    def reset(self) -> None:
        """Put everything right. Fault injection experiments that pause replication are stopped too."""
        self._ask("world", "DELETE")

    def state(self) -> pd.DataFrame:
        """What is broken now: a data frame with a row each, columns ``knob``, ``place`` (codes, with commas), ``value``
        and ``meaning`` (in words). Replication that AWS's fault injection service has paused is in it as ``pause``."""
        import pandas as pd

        rows = [(each["knob"], ", ".join(each["place"]), each.get("value"), meaning(each))
                for each in broken(self._ask("world"))]
        return pd.DataFrame(rows, columns=["knob", "place", "value", "meaning"])

    def __repr__(self) -> str:
        found = broken(self._ask("world"))
        return "\n".join(["Broken:", *(f"  {meaning(each)}" for each in found)]) if found else "Nothing is broken."

    def _turn(self, knob: str, places: Sequence[str], value: Any = None) -> Broken:
        return Broken(self._ask, knob, [regions.get(place).code for place in places], value)


_PAIRS = ("partition", "slow")
_LIMITS = {"read_units": "{:g} read units a second", "write_units": "{:g} write units a second",
           "burst_s": "burst credit for {:g} s"}


def checked_table(name: str) -> str:
    """A table's name. Raises ValueError for what can be none."""
    if not isinstance(name, str) or not TABLE.fullmatch(name):
        raise ValueError(f"throttle: a table's name has 3 to 255 letters, digits, _ . or -; {name!r} is none.")
    return name


def broken(world: dict) -> list[dict]:
    """What is broken, of the control API's answer to ``GET world``: knobs that are set, and paused replication; each
    with ``knob``, ``place`` and ``value``."""
    return [*world["knobs"], *({"knob": "pause", "place": each["place"], "value": each["experiment"]}
                               for each in world.get("paused", []))]


def meaning(each: dict) -> str:
    """A knob that is set, in words."""
    place, value = each["place"], each["value"]
    if each["knob"] in ("throttle", "pause"):
        account, region, table = place
        table += "" if account == DEFAULT_ACCOUNT else f" of account {account}"
        if each["knob"] == "pause":
            return f"pause: replication of {table} to and from {regions.label(region)} is paused by {value}"
        limits = ", ".join(_LIMITS[name].format(limit) for name, limit in (value or {}).items())
        return f"throttle: {table} in {regions.label(region)} has {limits or 'its own capacity'} and no more"
    names = [regions.label(code) for code in place]
    return f"{each['knob']}: " + {
        "partition": lambda: f"{names[0]} ✕ {names[1]}",
        "isolate": lambda: f"{names[0]} ✕ all others",
        "outage": lambda: f"{names[0]} is down ({value})",
        "slow": lambda: f"{names[0]} – {names[1]}, a round trip takes {value:g} ms more",
        "lag": lambda: f"{' → '.join(names) or 'everywhere'}, {value:g} s",
        "caller": lambda: f"everybody calls from {regions.label(value)}",
    }[each["knob"]]()


def _body(value: Any) -> dict:
    return {} if value is None else {"value": value}
