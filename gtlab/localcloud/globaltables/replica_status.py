"""The statuses of replicas and witnesses over time, as DescribeTable and UpdateTable show them. Pure.

A status is worked out from times when it is asked for, so nothing has to happen at the moment it changes. All times are
epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

REPLICATION_MODE = "ENABLED_WITH_OVERRIDES"  # the GlobalTableSettingsReplicationMode of every group of one account


@dataclass
class Replica:
    """One Region's part in a group. In the table that the group began with, all times have passed."""

    region: str
    source: str = ""              # the Region whose UpdateTable added this replica
    asked: float = 0.0            # when that call was made
    shown: float = 0.0            # when its entry appears in the other members' Replicas
    ready: float = 0.0            # when it becomes ACTIVE
    busy_until: float = 0.0       # UPDATING until then
    deleting: float | None = None  # when its entry begins to show DELETING
    overrides: dict = field(default_factory=dict)  # settings of its own, as in ReplicaUpdates

    def status(self, now: float) -> str:
        if self.deleting is not None and now >= self.deleting:
            return "DELETING"
        return "CREATING" if now < self.ready else "UPDATING" if now < self.busy_until else "ACTIVE"


@dataclass
class State:
    """A group's replicas, in the order in which they were added, and its settings."""

    replicas: dict[str, Replica]                     # by Region
    strong: bool = False                             # MultiRegionConsistency is STRONG
    witness: str | None = None                       # the witness's Region
    witness_ready: float = 0.0                       # when it becomes ACTIVE
    witness_deleting: bool = False
    protected: dict[str, bool] = field(default_factory=dict)  # DisassociationProtectionEnabled by Region

    def witness_status(self, now: float) -> str:
        return "DELETING" if self.witness_deleting else "CREATING" if now < self.witness_ready else "ACTIVE"

    def protects(self, region: str) -> bool:
        """Whether a Region's replica cannot be disassociated; by default it cannot."""
        return self.protected.get(region, True)


def replica_entry(replica: Replica, overrides: dict, warm_throughput: dict | None, now: float) -> dict:
    """A replica as it is listed in Replicas. ``overrides``: its own settings that apply; ``warm_throughput`` is its
    table's, None if the table is not there."""
    status = replica.status(now)
    entry: dict = {"RegionName": replica.region, "ReplicaStatus": status}
    if status == "CREATING":
        return entry
    entry["GlobalTableSettingsReplicationMode"] = REPLICATION_MODE
    if warm_throughput:
        entry["WarmThroughput"] = warm_throughput
    for setting in ("ProvisionedThroughputOverride", "OnDemandThroughputOverride", "KMSMasterKeyId",
                    "GlobalSecondaryIndexes"):
        if setting in overrides:
            entry[setting] = overrides[setting]
    if "TableClassOverride" in overrides:
        entry["ReplicaTableClassSummary"] = {"TableClass": overrides["TableClassOverride"]}
    return entry
