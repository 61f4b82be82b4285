"""What a read saw, for the journal: a stale read is one that another Region has a newer version for.

A read costs one look-up per table here, unless something is on its way to its Region's copy, or somebody asked for all
reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.globaltables.membership import Group, Groups
from gtlab.localcloud.model import Call, Key, TableId
from gtlab.localcloud.observe.journal import Journal, ReadDetail
from gtlab.localcloud.replication import Replication

PAGES = ("Query", "Scan")
MOST_LOOKED_AT = 2_000  # deliveries on their way in which a page's missing items are looked for
_FILTERS = ("FilterExpression", "QueryFilter", "ScanFilter")
_ONE_PARTITION = re.compile(r"\s*[#\w.-]+\s*=\s*(:\w+)\s*")  # a key condition that names a partition and no more


class _Page(msgspec.Struct):
    """The part of a page's answer that is needed here: its items are skipped."""

    ScannedCount: int


_scanned = msgspec.json.Decoder(_Page).decode


class Reads:
    """Notes the stale reads in the journal; if somebody asked for them, the other reads, too."""

    def __init__(self, database: Database, groups: Groups, replication: Replication, journal: Journal):
        self._database = database
        self._groups, self._replication, self._journal = groups, replication, journal

    def worth_a_look(self, tables: list[TableId]) -> bool:
        """Whether a read of these tables may be noted. It is called for every read."""
        links = self._replication.links
        if links.is_idle() and not self._journal.all_reads:
            return False
        for table in tables:
            group = self._groups.of(table)
            if group is not None and (self._journal.all_reads or links.is_behind(group.id, table.region)):
                return True
        return False

    def note(self, call: Call, body: bytes, now: float) -> None:
        """Note a read that was carried out; ``body`` is its answer. It is one event per item, or one for a page."""
        if call.operation in PAGES:
            self._page(call, body, now)
            return
        for part, consistent in _gets(call.operation, call.input):
            for table, key in engine.named(self._database, call._replace(operation="GetItem", input=part)):
                group = self._groups.of(table)
                if group is None:
                    continue
                missed = self._replication.missed(group.id, table.region, key)
                if missed or self._journal.all_reads:
                    known = self._replication.entry(group.id, table.region, key)
                    version = known[0] if known and not known[1] else None
                    self._journal.read(table, self._database.key_attributes(table, key), ReadDetail(
                        call.operation, consistent, version, missed), now)

    def _page(self, call: Call, body: bytes, now: float) -> None:
        data = call.input
        table = TableId(call.account, call.region, data["TableName"])
        group = self._groups.of(table)
        if group is None:
            return
        # With those that a filter left out: their newer versions may pass it.
        keys = set(engine.keys_read(self._database, call, _scanned(body).ScannedCount))
        found = self._replication.all_missed(
            group.id, table.region, [*keys, *self._not_there(group, table, keys, data, body)])
        if found or self._journal.all_reads:
            self._journal.read(table, None, ReadDetail(
                call.operation, bool(data.get("ConsistentRead")), None, max(found, default=None),
                items=len(keys), stale_items=len(found)), now)

    def _not_there(self, group: Group, table: TableId, keys: set[Key], data: dict, body: bytes) -> Iterator[Key]:
        """The items on their way here that a page lacks. Only where that is certain: the whole table or one partition
        was read, on one page, without an index and without a filter."""
        condition = data.get("KeyConditionExpression")
        partition = None
        if condition is not None:
            found = _ONE_PARTITION.fullmatch(condition)
            if not found:
                return
            partition = engine.key_string(data["ExpressionAttributeValues"][found[1]])
        if ("KeyConditions" in data or "IndexName" in data or "ExclusiveStartKey" in data or "Segment" in data
                or any(name in data for name in _FILTERS) or b'"LastEvaluatedKey"' in body):
            return
        seen = set(keys)
        for delivery in islice(self._replication.links.on_their_way(), MOST_LOOKED_AT):
            if (delivery.group == group.id and delivery.target == table.region and delivery.key not in seen
                    and partition in (None, delivery.key.partition)):
                seen.add(delivery.key)
                yield delivery.key


def _gets(operation: str, data: dict) -> Iterator[tuple[dict, bool]]:
    """The items that a request reads: each as GetItem's input, and whether the read is consistent."""
    if operation == "GetItem":
        yield data, bool(data.get("ConsistentRead"))
    elif operation == "BatchGetItem":
        for name, asked in data["RequestItems"].items():
            for key in asked["Keys"]:
                yield {"TableName": name, "Key": key}, bool(asked.get("ConsistentRead"))
    else:
        yield from ((action["Get"], True) for action in data["TransactItems"])
