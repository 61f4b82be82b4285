"""Time to live: a table's setting, and which items have expired. Pure."""

from __future__ import annotations

from gtlab.localcloud.engine.constraints import check, length, structure
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.model import Key, invalid
from gtlab.localcloud.tables.slices import SLICE
from gtlab.localcloud.tables.table_status import Life

_SHAPE = structure({"TimeToLiveSpecification": structure({"AttributeName": length(1, 255)})})
_MOST_EXPIRED = 50  # items of a slice that are deleted: with what follows from it, some milliseconds of work
_OLDEST_S = 5 * 365 * 86400  # items that expired longer ago than five years are left alone, as on AWS


def describe(life: Life) -> dict:
    """DescribeTimeToLive's answer."""
    if life.ttl_attribute is None:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": life.ttl_attribute}}


def update(life: Life, data: dict) -> dict:
    """Carry out UpdateTimeToLive; returns its answer."""
    check(data, _SHAPE)
    wanted = data["TimeToLiveSpecification"]
    if life.ttl_attribute and wanted["AttributeName"] != life.ttl_attribute:
        raise invalid("TimeToLive is active on a different AttributeName: current AttributeName is "
                      f"{life.ttl_attribute}")
    if wanted["Enabled"] and life.ttl_attribute:
        raise invalid("TimeToLive is already enabled")
    if not wanted["Enabled"] and not life.ttl_attribute:
        raise invalid("TimeToLive is already disabled")
    life.ttl_attribute = wanted["AttributeName"] if wanted["Enabled"] else None
    return {"TimeToLiveSpecification": wanted}


def has_expired(item: dict, attribute: str, now: float) -> bool:
    """Whether an item's attribute is a number of epoch seconds that have passed."""
    try:
        return now - _OLDEST_S < float(item[attribute]["N"]) <= now
    except (TypeError, KeyError, ValueError):
        return False


class Sweep:
    """One search for the expired items of a table, in slices."""

    def __init__(self, table: Table, attribute: str):
        self.table, self.attribute = table, attribute
        self._keys = table.items.present()
        self._left = list[Key]()  # keys that were taken, and are not looked at yet

    def take(self, now: float) -> tuple[list[Key], bool]:
        """Some expired items, and whether there may be more."""
        keys, expired, looked_at = self._left or self._keys.take(SLICE), list[Key](), 0
        while looked_at < len(keys) and len(expired) < _MOST_EXPIRED:
            item = self.table.items.item(keys[looked_at])
            if item is not None and has_expired(item, self.attribute, now):
                expired.append(keys[looked_at])
            looked_at += 1
        self._left = keys[looked_at:]
        return expired, bool(keys)
