"""Why a wait cannot end: one sentence for people, and what to do. An empty string: it may end, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.lab import describe, events, knobs

if TYPE_CHECKING:
    from gtlab.lab.connection import Lab

MEND = ("To repair everything, run lab.world.reset() (in a terminal: gtlab world reset). Then run this cell again.")


def down(lab: Lab, where: Iterable[str]) -> str:
    """A Region that is to be asked is down: a call to it would not be answered for minutes."""
    found = [each for each in _broken(lab) if each["knob"] == "outage" and each["place"][0] in set(where)]
    return _told("This wait cannot end, because a Region is down", found)


def tables(lab: Lab, name: str, seen: Mapping[str, str]) -> str:
    """Table ``name`` is to become ACTIVE in these Regions, but is absent and nobody is creating it."""
    absent = [region for region, status in seen.items() if status == describe.ABSENT]
    there = [region for region, status in seen.items() if status != describe.ABSENT]
    if not absent:
        return ""
    if not there:
        return (f"This wait cannot end: there is no table {name} in {_names(absent)}. Create it first, then run this "
                "cell again.")
    if any(seen[region] != "ACTIVE" for region in there):
        return ""  # a replica is perhaps being created
    members = _members(lab, name, there[0])
    if members is None:
        return ""
    missing = [region for region in absent if region not in members]
    return (f"This wait cannot end: table {name} does not exist in {_names(missing)}, and nobody is creating it there. "
            f"{_choice(lab, name, members or there)}") if missing else ""


def item(lab: Lab, name: str, key: Mapping[str, Any], seen: Mapping[str, str]) -> str:
    """An item of table ``name`` is to arrive in these Regions, but replication does not lead there, or is cut."""
    missing = [region for region, status in seen.items() if status != "there"]
    source = (_writer(lab, name, key) if lab.simulated else "") or next(
        (region for region, status in seen.items() if status == "there"), "")
    if not source or not missing:
        return ""
    cut = [each for each in _broken(lab) if any(_cuts(each, name, source, region) for region in missing)]
    if cut:
        stuck = [region for region in missing if any(_cuts(each, name, source, region) for each in cut)]
        return _told(f"The item cannot arrive in {_names(stuck)} from {_names([source])}", cut)
    members = _members(lab, name, source)
    strangers = [] if members is None else [region for region in missing if region not in members]
    return (f"The item cannot arrive in {_names(strangers)}: no replica of table {name} in {_names([source])} is "
            f"there. {_choice(lab, name, members or ())}") if strangers else ""


def broken(lab: Lab) -> str:
    """What stops replication between some Regions of the local cloud now, or stops a Region, in one sentence."""
    stops = [each for each in _broken(lab) if each["knob"] in ("partition", "isolate", "outage", "pause")]
    return f"Broken now: {'; '.join(knobs.meaning(each) for each in stops)}." if stops else ""


def _members(lab: Lab, name: str, region: str) -> list[str] | None:
    """The members of a global table; None where the backend does not say."""
    from botocore.exceptions import ClientError

    try:
        return describe.members(lab, name, region)
    except (ClientError, ValueError):
        return None


def _choice(lab: Lab, name: str, members: Iterable[str]) -> str:
    """What to do where the members of a table are not the lab's Regions."""
    listed = list(members)
    others = [region for region in listed if region not in lab.regions]
    has = f"Its members are {_names(listed)}" if len(listed) > 1 else "It is not part of a global table"
    also = f"; {_names(others)} {'is' if len(others) == 1 else 'are'} not in your choice" if others else ""
    do = "Choose the same Regions in 00_start_here" if others else (
        "Run this notebook again from its first cell, which creates what is missing")
    return f"{has}{also}. {do}, or run 11_clean_up, which deletes the table, and start over."


def _writer(lab: Lab, name: str, key: Mapping[str, Any]) -> str:
    """The Region that wrote the newest version of an item, by the journal; empty if the journal does not know."""
    found = ""
    for event in events.pages(lab._control):
        if event["kind"] == "write" and event["table"] == name and event["key"] and all(
                key.get(part) == value for part, value in event["key"].items()):
            found = event["region"]
    return found


def _cuts(each: Mapping[str, Any], table: str, source: str, target: str) -> bool:
    """Whether a fault stops replication of a table from one Region to another."""
    place = each["place"]
    if each["knob"] == "partition":
        return sorted(place) == sorted((source, target))
    if each["knob"] == "pause":
        return place[2] == table and place[1] in (source, target)
    return each["knob"] in ("isolate", "outage") and place[0] in (source, target) and source != target


def _broken(lab: Lab) -> list[dict[str, Any]]:
    return knobs.broken(lab._control("world")) if lab.simulated else []


def _told(what: str, found: Iterable[dict[str, Any]]) -> str:
    lines = [f"  {knobs.meaning(each)}" for each in found]
    return "\n".join([f"{what}:", *lines, MEND]) if lines else ""


def _names(codes: Iterable[str]) -> str:
    return ", ".join(regions.label(code) if code in regions.REGIONS else code for code in codes)
