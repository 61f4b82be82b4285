"""What a lab finds on the local cloud: what is broken, and the tables that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtlab import regions
from gtlab.contract import DEFAULT_ACCOUNT
from gtlab.lab import knobs


def lines(world: Mapping[str, Any], status: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, list[str]]:
    """Lines of text by heading, from the control API's answers to ``GET world`` and ``GET status``. ``chosen`` are the
    Regions of the lab."""
    found: dict[str, list[str]] = {}
    broken = [knobs.meaning(each) for each in knobs.broken(dict(world))]
    if broken:
        waiting = status["deliveries_waiting"]
        found["broken"] = [*broken, *([f"{waiting:,} deliveries are waiting"] if waiting else []),
                           "To repair everything: lab.world.reset()"]
    where: dict[str, list[str]] = {}
    for each in status["tables"]:
        if each["account"] == DEFAULT_ACCOUNT:
            where.setdefault(each["name"], []).append(each["region"])
    if where:
        found["tables"] = [_table(name, codes, chosen) for name, codes in sorted(where.items())]
    return found


def _table(name: str, codes: Sequence[str], chosen: Sequence[str]) -> str:
    ordered = [code for code in chosen if code in codes] + sorted(code for code in codes if code not in chosen)
    others = [regions.get(code).place for code in ordered if code not in chosen]
    note = f"; {', '.join(others)} {'is' if len(others) == 1 else 'are'} not in your choice" if others else ""
    return f"{name} in {', '.join(regions.get(code).place for code in ordered)}{note}"
