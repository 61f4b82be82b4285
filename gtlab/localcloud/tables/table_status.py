"""The status of a Region's tables over time: what the service shows and the engine does not know. Pure.

A status is worked out from times when it is asked for, so nothing has to happen at the moment it changes. All times are
epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from gtlab.localcloud.engine import CHANGING, decreases_today

# The warm throughput of a new on-demand table or index (units per second), as observed.
_WARM_ON_DEMAND = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000}
_PROVISIONED = {"ReadUnitsPerSecond": "ReadCapacityUnits", "WriteUnitsPerSecond": "WriteCapacityUnits"}
# DeleteTable answers without these.
_NOT_OF_DELETED = ("AttributeDefinitions", "KeySchema", "CreationDateTime")


@dataclass
class Life:
    """A table from its creation to its deletion."""

    created: float
    ready: float                       # CREATING until then
    busy_until: float = 0.0            # UPDATING until then
    stream: str | None = None          # ARN of its newest stream, enabled or not
    stream_view: str | None = None     # StreamViewType; None while the stream is disabled
    on_demand_since: float | None = None
    ttl_attribute: str | None = None   # None while TTL is disabled
    ttl_next_sweep: float = 0.0        # when expired items are looked for next

    def status(self, now: float) -> str:
        return "CREATING" if now < self.ready else "UPDATING" if now < self.busy_until else "ACTIVE"


@dataclass
class Deleted:
    """A deleted table that DescribeTable still shows as DELETING."""

    description: dict  # its TableDescription
    gone: float        # when it is no longer shown


def describe(description: dict, life: Life, now: float) -> None:
    """Add to the engine's TableDescription what changes over time."""
    description["TableStatus"] = status = life.status(now)
    if life.created:
        description["CreationDateTime"] = life.created
    _describe_indexes(description, new=status == "CREATING", now=now)
    _describe_capacity(description, life, now)
    _describe_warm(description, new=status == "CREATING")
    encryption = description.get("SSEDescription")
    if encryption and encryption["Status"] == "DISABLED":  # it is shown with its key until it is off
        if status == "UPDATING":
            description["SSEDescription"] = encryption | {"Status": "UPDATING"}
        else:
            del description["SSEDescription"]
    if life.stream:
        description |= {"LatestStreamArn": life.stream, "LatestStreamLabel": life.stream.rpartition("/")[2]}
    if life.stream_view:
        description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": life.stream_view}


def _describe_indexes(description: dict, *, new: bool, now: float) -> None:
    """A new table's indexes are CREATING with it. One that is added later is Backfilling after a while."""
    for index in description.get("GlobalSecondaryIndexes", ()):
        times = index.pop(CHANGING, {})
        if new:
            index["IndexStatus"] = "CREATING"
        elif index["IndexStatus"] == "CREATING":
            index["Backfilling"] = now >= times["backfilling"]


def _describe_capacity(description: dict, life: Life, now: float) -> None:
    for each in (description, *description.get("GlobalSecondaryIndexes", ())):
        units = each["ProvisionedThroughput"]
        units["NumberOfDecreasesToday"] = decreases_today(units, now)
    if description["BillingModeSummary"]["BillingMode"] != "PAY_PER_REQUEST" and not life.on_demand_since:
        del description["BillingModeSummary"]  # it is shown from the table's first time on demand, as in AWS's examples
    elif now < life.ready:  # it appears only with ACTIVE
        description["BillingModeSummary"].pop("LastUpdateToPayPerRequestDateTime", None)
    else:
        description["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = life.on_demand_since or life.ready


def _describe_warm(description: dict, *, new: bool) -> None:
    """The warm throughput of a table and its indexes: what was asked for, or else what the capacity mode brings."""
    on_demand = description.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    for each in (description, *description.get("GlobalSecondaryIndexes", ())):
        asked = each.pop("WarmThroughput", None) or {}
        if new and not any(asked.get(name) for name in _PROVISIONED):
            continue
        units = each["ProvisionedThroughput"]
        least = _WARM_ON_DEMAND if on_demand else {name: units[old] for name, old in _PROVISIONED.items()}
        each["WarmThroughput"] = {name: max(asked.get(name, 0), units) for name, units in least.items()} | {
            "Status": "ACTIVE"}


def answer_to_delete(description: dict) -> dict:
    """DeleteTable's answer from the description of the deleted table."""
    return {name: value for name, value in description.items() if name not in _NOT_OF_DELETED}
