"""The status of a Region's tables over time: what the service shows and the engine does not know. Pure.

A status is worked out from times when it is asked for, so nothing has to happen at the moment it changes. All times are
epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

# WarmThroughput of a new on-demand table (units per second), as observed.
_WARM_ON_DEMAND = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}


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
    description["TableStatus"] = life.status(now)
    if life.created:
        description["CreationDateTime"] = life.created
    _describe_capacity(description, life, now)
    if life.stream:
        description |= {"LatestStreamArn": life.stream, "LatestStreamLabel": life.stream.rpartition("/")[2]}
    if life.stream_view:
        description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": life.stream_view}


def _describe_capacity(description: dict, life: Life, now: float) -> None:
    description["ProvisionedThroughput"].setdefault("NumberOfDecreasesToday", 0)
    if description.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        description.pop("BillingModeSummary", None)
        description.pop("WarmThroughput", None)
        return
    if now < life.ready:  # these two appear only with ACTIVE
        description.pop("WarmThroughput", None)
        description["BillingModeSummary"].pop("LastUpdateToPayPerRequestDateTime", None)
    else:
        description["WarmThroughput"] = dict(_WARM_ON_DEMAND)
        description["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = life.on_demand_since or life.ready
