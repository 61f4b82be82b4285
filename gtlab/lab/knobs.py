"""The knobs of the simulated world: separate Regions, take one down, slow a link, set the lag, throttle a table, move
callers.

Each knob takes effect immediately, for everybody who uses this local cloud, and returns a handle. At the end of a
``with`` statement the previous state is restored, also after an error in the block::

    with lab.world.partition("us-east-1", "eu-west-1"):
        ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from gtlab import regions
from gtlab.contract import DEFAULT_ACCOUNT, PAIRS, TABLE, UNITS

if TYPE_CHECKING:
    import pandas as pd


class Ask(Protocol):
    """Sends a request to the control API and returns the answer."""

    def __call__(self, what: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]: ...


class Broken:
    """One knob that was set. ``mend()``, or the end of a ``with`` statement, restores its previous state, once. If it
    has been mended in another way, such as ``lab.world.reset()``, it stays mended."""

    def __init__(self, ask: Ask, knob: str, place: Sequence[str], value: Any):
        self._ask, self._what = ask, "/".join(["world", knob, *(quote(part, safe="") for part in place)])
        self._knob, self._place = knob, sorted(place) if knob in PAIRS else list(place)
        self._before, self._mended = self._now(), False
        ask(self._what, "PUT", _body(value))
        self._as_set = {"knob": knob, "place": self._place, "value": value}

    def mend(self) -> None:
        """Restore the previous state of this knob. If that was the same, as after running a cell twice, clear the knob.
        """
        self._restore(None if self._before == self._as_set else self._before)

    def _restore(self, before: dict | None) -> None:
        if self._mended:
            return
        if before is None:
            self._ask(self._what, "DELETE")
        elif self._now() is not None:
            self._ask(self._what, "PUT", _body(before["value"]))
        self._mended = True

    def _now(self) -> dict | None:
        """The current state of this knob; None if it is not set."""
        return next((each for each in self._ask("world")["knobs"]
                     if each["knob"] == self._knob and each["place"] == self._place), None)

    def __enter__(self) -> Broken:
        return self

    def __exit__(self, *_: object) -> None:
        self._restore(self._before)

    def __repr__(self) -> str:
        return meaning(self._as_set) + (" (mended)" if self._mended else "; mend with .mend() or lab.world.reset()")


class Knobs:
    """``lab.world``. Regions are codes. Every knob raises ValueError for an unknown Region (UnknownRegion suggests
    similar ones) and for an invalid value, and says what is allowed. On other backends than the local cloud, which do
    not have these knobs, every knob raises ValueError."""

    def __init__(self, ask: Ask, home: str):
        self._ask, self._home = ask, home

    def partition(self, a: str, b: str) -> Broken:
        """Cut the connection between two Regions: replication waits, and catches up when the partition is mended."""
        return self._set("partition", [a, b])

    def isolate(self, region: str) -> Broken:
        """Cut the connections between a Region and all others. Callers still reach all Regions."""
        return self._set("isolate", [region])

    def outage(self, region: str, how: str = "timeout") -> Broken:
        """Take a Region down: replication to and from it stops, and its endpoint fails. ``how``: with ``"timeout"``
        requests are never answered, with ``"refused"`` connections are refused, with ``"error"`` every request is
        answered with a 5xx."""
        return self._set("outage", [region], how)

    def slow(self, a: str, b: str, added_ms: float) -> Broken:
        """Make round trips between two Regions ``added_ms`` milliseconds longer for callers in one Region who call the
        other. Replication takes half of that longer in each direction."""
        return self._set("slow", [a, b], added_ms)

    def lag(self, seconds: float, source: str | None = None, target: str | None = None) -> Broken:
        """Make replication take exactly this many seconds, from ``source`` to ``target`` or everywhere."""
        if (source is None) != (target is None):
            raise ValueError("lag: name both a source and a target Region, or neither.")
        return self._set("lag", [] if source is None or target is None else [source, target], seconds)

    def throttle(self, table: str, region: str | None = None, read_units: float | None = None,
                 write_units: float | None = None, burst_s: float | None = None) -> Broken:
        """Limit a table to its capacity in ``region`` (default: the home Region). Requests beyond it and beyond the
        burst credit are refused with ProvisionedThroughputExceededException, and replication into the table waits.

        ``read_units`` and ``write_units``, both per second, replace the table's own capacity; ``burst_s`` is for how
        many seconds unused capacity is kept (default: 300, as on AWS). The table starts with full burst credit.
        """
        given = {"read_units": read_units, "write_units": write_units, "burst_s": burst_s}
        where = regions.get(self._home if region is None else region).code
        return Broken(self._ask, "throttle", [DEFAULT_ACCOUNT, where, checked_table(table)],
                      {name: value for name, value in given.items() if value is not None})

    def caller(self, region: str) -> Broken:
        """Place every caller in this Region, as if you were in Frankfurt."""
        return Broken(self._ask, "caller", [], regions.get(region).code)

    def reset(self) -> None:
        """Mend everything. This also stops fault injection experiments that pause replication."""
        self._ask("world", "DELETE")

    def state(self) -> pd.DataFrame:
        """What is broken now: a data frame with one row per fault and the columns ``knob``, ``place`` (codes, separated
        by commas), ``value`` and ``meaning`` (in words). Replication that AWS's fault injection service has paused has
        the knob ``pause``."""
        import pandas as pd

        rows = [(each["knob"], ", ".join(each["place"]), each.get("value"), meaning(each))
                for each in broken(self._ask("world"))]
        return pd.DataFrame(rows, columns=["knob", "place", "value", "meaning"])

    def __repr__(self) -> str:
        found = broken(self._ask("world"))
        return "\n".join(["Broken:", *(f"  {meaning(each)}" for each in found)]) if found else "Nothing is broken."

    def _set(self, knob: str, places: Sequence[str], value: Any = None) -> Broken:
        return Broken(self._ask, knob, [regions.get(place).code for place in places], value)


_LIMITS = {"read_units": "{:g} read units per second", "write_units": "{:g} write units per second",
           "burst_s": "burst credit for {:g} s"}


def checked_table(name: str) -> str:
    """The name, if a table can have it. Raises ValueError otherwise."""
    if not isinstance(name, str) or not TABLE.fullmatch(name):
        raise ValueError(f"throttle: {name!r} is not a table name; use 3 to 255 letters, digits, _ . or -.")
    return name


def broken(world: dict) -> list[dict]:
    """What is broken, from the control API's answer to ``GET world``: the knobs that are set, and paused replication,
    each with ``knob``, ``place`` and ``value``."""
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
        return f"throttle: {table} in {regions.label(region)} is limited to {limits or 'its own capacity'}"
    names = [regions.label(code) for code in place]
    return f"{each['knob']}: " + {
        "partition": lambda: f"{names[0]} ✕ {names[1]}",
        "isolate": lambda: f"{names[0]} ✕ all others",
        "outage": lambda: f"{names[0]} is down ({value})",
        "slow": lambda: f"{names[0]} – {names[1]}, a round trip takes {value:g} {UNITS['slow']} more",
        "lag": lambda: f"{' → '.join(names) or 'everywhere'}, {value:g} {UNITS['lag']}",
        "caller": lambda: f"everybody calls from {regions.label(value)}",
    }[each["knob"]]()


def _body(value: Any) -> dict:
    return {} if value is None else {"value": value}
