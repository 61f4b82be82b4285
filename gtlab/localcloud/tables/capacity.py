"""Capacity: the units that requests consume, and throttling (knob ``throttle`` of :mod:`world`).

Throttling uses two token buckets per table, for reads and for writes. A bucket starts full, gains the table's units
every second, and holds at most ``burst_s`` seconds' worth. A request is served if the bucket holds anything, and may
take more than it holds; then the table refuses requests until the bucket is above zero again. Indexes have no buckets:
reading an index, and updating one, is free.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.engine.charges import Charge, read_units, write_units
from gtlab.localcloud.model import Call, Refusal, TableId
from gtlab.localcloud.world import BURST_S, World

ON_DEMAND_UNITS = {"read": 12_000, "write": 4_000}  # units per second of a new on-demand table, as observed
_LEAST = 1e-3                                       # units: a smaller amount is a rounding error of the clock
_KNOB = {"read": "read_units", "write": "write_units"}
_PROVISIONED = {"read": "ReadCapacityUnits", "write": "WriteCapacityUnits"}
_TEXT = ("The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
         "provisioning level with the UpdateTable API.")
_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems", "ExecuteTransaction")
# Batches: the member of the answer that lists unprocessed requests, and the most requests in one batch.
_UNPROCESSED = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}
_MOST = {"BatchGetItem": 100, "BatchWriteItem": 25}


@dataclass
class _Bucket:
    limits: dict      # the knob's value: setting the knob again refills the bucket
    units: float      # units in the bucket at the time ``at``; negative if more was taken
    at: float         # epoch seconds


class Capacity:
    """The buckets of the tables that are throttled."""

    def __init__(self, database: Database, world: World):
        self._database, self._world = database, world
        self._buckets: dict[tuple[TableId, str], _Bucket] = {}

    def metered(self, tables: Iterable[TableId]) -> list[TableId]:
        """The tables among these that are throttled."""
        if not self._world.throttles():
            return []
        return [table for table in tables if self._world.throttle(*table) is not None]

    def left(self, table: TableId, kind: str, now: float) -> float:
        """The units in a table's bucket: infinite if the table is not throttled, negative if requests took more than
        there was. ``kind`` is "read" or "write"."""
        limits = self._world.throttle(*table)
        return math.inf if limits is None else self._bucket(table, kind, limits, now).units

    def takes_writes(self, table: TableId, now: float) -> bool:
        """Whether a table has capacity for a write."""
        return not self._world.throttles() or self.left(table, "write", now) > _LEAST

    def charge(self, table: TableId, kind: str, units: float, now: float) -> None:
        """Subtract consumed units from a table's bucket, if it is throttled."""
        limits = self._world.throttle(*table)
        if limits is not None:
            self._bucket(table, kind, limits, now).units -= units

    def admit(self, call: Call, metered: list[TableId], now: float) -> tuple[dict, dict]:
        """Split a request by the capacity that is left: the input to carry out, and the unprocessed part of a batch in
        the form of its answer. If nothing can be carried out, raises ProvisionedThroughputExceededException, or
        TransactionCanceledException for a transaction."""
        kind = "read" if call.operation in engine.READS else "write"
        left = {name: self.left(table, kind, now) for table in metered for name in (table.name, table.arn)}
        if call.operation in _UNPROCESSED:
            return _admitted(self._database, call, left)
        dry = {name for name, units in left.items() if units <= _LEAST}
        if dry and call.operation in _TRANSACTIONS:
            raise _cancelled(call.input, dry)
        if dry:
            raise _exceeded()
        return call.input, {}

    def _bucket(self, table: TableId, kind: str, limits: dict, now: float) -> _Bucket:
        """A table's bucket, filled up to the present. It is created at the first use."""
        rate = limits.get(_KNOB[kind], self._own_units(table, kind))
        most = rate * max(1.0, limits.get("burst_s", BURST_S))
        bucket = self._buckets.get((table, kind))
        if bucket is None or bucket.limits is not limits:
            bucket = self._buckets[table, kind] = _Bucket(limits, most, now)
        bucket.units = min(most, bucket.units + rate * max(0.0, now - bucket.at))
        bucket.at = now
        return bucket

    def _own_units(self, table: TableId, kind: str) -> float:
        schema = self._database.schema(table)
        if schema["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST":
            return ON_DEMAND_UNITS[kind]
        return schema["ProvisionedThroughput"][_PROVISIONED[kind]]


def consumed_in_vain(database: Database, call: Call) -> list[Charge]:
    """What a write consumes whose condition failed: as much as replacing the items that it names."""
    factor = 2 if call.operation in _TRANSACTIONS else 1
    named = engine.touched(database, call)
    for action in call.input.get("TransactItems", ()):
        if "ConditionCheck" in action:
            named += engine.named(database, call._replace(operation="GetItem", input=action["ConditionCheck"]))
    return [Charge(table, None, False, "write", factor * write_units(database.item(table, key), None))
            for table, key in named]


def with_unprocessed(call: Call, body: bytes, unprocessed: dict) -> bytes:
    """A batch's answer with the unprocessed requests added."""
    answer, member = json.loads(body), _UNPROCESSED[call.operation]
    answer[member] = answer.get(member, {}) | unprocessed
    return json.dumps(answer, ensure_ascii=False).encode()


def _admitted(database: Database, call: Call, left: dict[str, float]) -> tuple[dict, dict]:
    """Split a batch into the requests that there is capacity for, in their order, and the rest."""
    data = call.input
    served: dict = {}
    unprocessed: dict = {}
    reads = call.operation == "BatchGetItem"
    parts = {name: asked["Keys"] if reads else asked for name, asked in data["RequestItems"].items()}
    if sum(map(len, parts.values())) > _MOST[call.operation]:
        return data, {}  # too long: the engine refuses it
    for name, requests in parts.items():
        fit = len(requests) if name not in left else _fitting(database, call, name, left[name])
        for into, some in ((served, requests[:fit]), (unprocessed, requests[fit:])):
            if some:
                into[name] = data["RequestItems"][name] | {"Keys": some} if reads else some
    if unprocessed and not served:
        raise _exceeded()
    return (data | {"RequestItems": served or data["RequestItems"]} if unprocessed else data), unprocessed


def _fitting(database: Database, call: Call, name: str, left: float) -> int:
    """How many of a table's requests can be served; the last of them may take more units than are left."""
    asked = call.input["RequestItems"][name]
    reads = call.operation == "BatchGetItem"
    requests = asked["Keys"] if reads else asked
    for number, request in enumerate(requests):
        if left <= _LEAST:
            return number
        if reads:
            get = call._replace(operation="GetItem", input={"TableName": name, "Key": request})
            left -= sum(read_units(database.size(table, key), consistent=bool(asked.get("ConsistentRead")))
                        for table, key in engine.named(database, get))
            continue
        alone = call._replace(input={"RequestItems": {name: [request]}})
        new = request.get("PutRequest", {}).get("Item")
        with contextlib.suppress(ValueError):  # not a valid item: the engine refuses the batch
            left -= sum(write_units(database.item(table, key), new) for table, key in engine.touched(database, alone))
    return len(requests)


def _exceeded() -> Refusal:
    return Refusal("ProvisionedThroughputExceededException", _TEXT)


def _cancelled(data: dict, dry: set[str]) -> Refusal:
    """The refusal of a transaction if one of its tables has no capacity left."""
    parts = data.get("TransactItems") or data["TransactStatements"]
    reasons = [{"Code": "ProvisionedThroughputExceeded", "Message": _TEXT} if _names(part, dry) else {"Code": "None"}
               for part in parts]
    codes = ", ".join(reason["Code"] for reason in reasons)
    return Refusal("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for "
                   f"specific reasons [{codes}]", details={"CancellationReasons": reasons})


def _names(part: dict, tables: set[str]) -> bool:
    """Whether one part of a transaction addresses any of these tables."""
    if "Statement" in part:
        return any(table in part["Statement"] for table in tables)
    return any(isinstance(action, dict) and action.get("TableName") in tables for action in part.values())
