"""DescribeTableReplicaAutoScaling and UpdateTableReplicaAutoScaling: the scaling settings of all replicas of a global
table of version 2019.11.21 at once.

The settings are those of Application Auto Scaling in each Region. Those of writes apply to all replicas, those of reads
to one. Texts and shapes: answers that others captured on AWS (October 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gtlab.localcloud.engine.constraints import at_least, check, length, members_of, structure
from gtlab.localcloud.globaltables.replica_status import State
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import Call, Refusal, TableId, invalid
from gtlab.localcloud.tables.autoscaling import AutoScaling, scalable
from gtlab.localcloud.tables.tables import Tables

_CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
_REQUIRED = ("MaximumUnits", "ScalingPolicyUpdate", "MinimumUnits")  # in the order of the service's refusal
_TARGET_VALUES = (10.0, 90.0)
_SETTINGS = structure({"MinimumUnits": at_least(1), "MaximumUnits": at_least(1)})
_UPDATE = structure({
    "GlobalSecondaryIndexUpdates": members_of(structure({
        "IndexName": length(3, 255), "ProvisionedWriteCapacityAutoScalingUpdate": _SETTINGS}, required=("IndexName",))),
    "ProvisionedWriteCapacityAutoScalingUpdate": _SETTINGS,
    "ReplicaUpdates": members_of(structure({
        "ReplicaGlobalSecondaryIndexUpdates": members_of(structure({
            "IndexName": length(3, 255), "ProvisionedReadCapacityAutoScalingUpdate": _SETTINGS},
            required=("IndexName",))),
        "ReplicaProvisionedReadCapacityAutoScalingUpdate": _SETTINGS}))})


@dataclass(frozen=True)
class _Change:
    """New settings of a capacity: of an index, or of the table itself (None); ``kind`` is "Read" or "Write". ``region``
    is None for all replicas."""

    region: str | None
    index: str | None
    kind: str
    settings: dict[str, Any]


class ReplicaScaling:
    """``operations``: by name, from (call, input, now) to the output."""

    def __init__(self, tables: Tables, replicas: Replicas, scaling: AutoScaling):
        self._tables, self._replicas, self._scaling = tables, replicas, scaling
        self.operations: dict[str, Callable[[Call, dict, float], dict]] = {
            "DescribeTableReplicaAutoScaling": self._describe,
            "UpdateTableReplicaAutoScaling": self._update,
        }

    def _describe(self, call: Call, data: dict, now: float) -> dict:
        table = TableId(call.account, call.region, data["TableName"])
        state = self._state(table)
        return {"TableAutoScalingDescription": {
            "TableName": table.name, "TableStatus": self._tables.status(table, now),
            "Replicas": [{"RegionName": region, "ReplicaStatus": replica.status(now)}
                         | self._replica(table._replace(region=region), now)
                         for region, replica in state.replicas.items()]}}

    def _state(self, table: TableId) -> State:
        state = self._replicas.state_of(table)
        if state is None or not self._tables.exists(table):
            raise Refusal("ResourceNotFoundException", f"Global table with name: '{table.name}' does not exist.")
        return state

    # Describing

    def _replica(self, table: TableId, now: float) -> dict[str, Any]:
        """What a replica has; nothing while its table is not there."""
        if not self._tables.exists(table):
            return {}
        found: dict[str, Any] = {
            f"ReplicaProvisioned{kind}CapacityAutoScalingSettings": self._settings(table, None, kind)
            for kind in ("Read", "Write")}
        indexes = [{"IndexName": name, "IndexStatus": "ACTIVE"}
                   | {f"Provisioned{kind}CapacityAutoScalingSettings": self._settings(table, name, kind)
                      for kind in ("Read", "Write")} for name in self._indexes(table, now)]
        return found | ({"GlobalSecondaryIndexes": indexes} if indexes else {})

    def _indexes(self, table: TableId, now: float) -> list[str]:
        """The names of the indexes that are ready."""
        return [index["IndexName"] for index in self._tables.describe(table, now).get("GlobalSecondaryIndexes", ())
                if index.get("IndexStatus", "ACTIVE") == "ACTIVE"]

    def _settings(self, table: TableId, index: str | None, kind: str) -> dict[str, Any]:
        """A target without a policy is shown as if there were none."""
        what = scalable(table, index, kind)
        policies = [{"PolicyName": policy["PolicyName"], _CONFIGURATION: {
            name: value for name, value in policy[_CONFIGURATION].items()
            if name in ("DisableScaleIn", "ScaleInCooldown", "ScaleOutCooldown", "TargetValue")}}
            for policy in self._scaling.describe_policies(*table[:2], what, 0.0)["ScalingPolicies"]
            if _CONFIGURATION in policy]
        if not policies:
            return {"AutoScalingDisabled": True, "ScalingPolicies": []}
        target, = self._scaling.describe_targets(*table[:2], what, 0.0)["ScalableTargets"]
        return {"MinimumUnits": target["MinCapacity"], "MaximumUnits": target["MaxCapacity"],
                "AutoScalingRoleArn": target["RoleARN"], "ScalingPolicies": policies} | (
                    {"AutoScalingDisabled": True} if self._tables.is_on_demand(table) else {})

    # Changing

    def _update(self, call: Call, data: dict, now: float) -> dict:
        """Check the whole request before changing any replica, so that a refused request changes nothing."""
        check(data, _UPDATE)
        table = TableId(call.account, call.region, data["TableName"])
        state, changes = self._state(table), list(_changes(data))
        self._check(table, state, data, now)
        for change in changes:
            _check_settings(table, change)
        for change in changes:
            for region in state.replicas if change.region is None else [change.region]:
                there = table._replace(region=region)
                if self._tables.exists(there):
                    self._apply(there, change, now)
        return self._describe(call, data, now)

    def _check(self, table: TableId, state: State, data: dict, now: float) -> None:
        """Refuse replicas and indexes that are not there."""
        failed = f"Failed to update settings for global table with name: ‘{table.name}’ because"
        named = [update["RegionName"] for update in data.get("ReplicaUpdates", ())]
        absent = [region for region in named
                  if region not in state.replicas or not self._tables.exists(table._replace(region=region))]
        if absent:
            raise Refusal("ResourceNotFoundException",
                          f"{failed} a replica does not exist in regions: ‘[{', '.join(absent)}]’.")
        here = self._indexes(table, now)
        unknown = [update["IndexName"] for update in data.get("GlobalSecondaryIndexUpdates", ())
                   if update["IndexName"] not in here]
        if unknown:
            raise Refusal("ResourceNotFoundException", f"{failed} the global secondary indexes with names: "
                          f"‘[{', '.join(unknown)}]’ do not exist.")
        for update in data.get("ReplicaUpdates", ()):
            there = self._indexes(table._replace(region=update["RegionName"]), now)
            for index in update.get("ReplicaGlobalSecondaryIndexUpdates", ()):
                if index["IndexName"] not in there:
                    raise Refusal("ResourceNotFoundException", f"{failed} a global secondary index with name: "
                                  f"‘{index['IndexName']}’ does not exist in region: ‘{update['RegionName']}’.")

    def _apply(self, table: TableId, change: _Change, now: float) -> None:
        """Give a capacity one policy in place of those that it has, or none."""
        what, settings, where = scalable(table, change.index, change.kind), change.settings, table[:2]
        if self._scaling.describe_targets(*where, what, now)["ScalableTargets"]:
            self._scaling.deregister(*where, what, now)
        if settings.get("AutoScalingDisabled"):
            return
        self._scaling.register(*where, what | {"MinCapacity": settings["MinimumUnits"],
                                               "MaxCapacity": settings["MaximumUnits"]}, now)
        policy = settings["ScalingPolicyUpdate"]
        default = f"DynamoDB{change.kind}CapacityUtilization:{what['ResourceId']}"
        self._scaling.put_policy(*where, what | {
            "PolicyName": policy.get("PolicyName", default), "PolicyType": "TargetTrackingScaling",
            _CONFIGURATION: policy[_CONFIGURATION]}, now)


def _changes(data: dict) -> Iterator[_Change]:
    if "ProvisionedWriteCapacityAutoScalingUpdate" in data:
        yield _Change(None, None, "Write", data["ProvisionedWriteCapacityAutoScalingUpdate"])
    for index in data.get("GlobalSecondaryIndexUpdates", ()):
        if "ProvisionedWriteCapacityAutoScalingUpdate" in index:
            yield _Change(None, index["IndexName"], "Write", index["ProvisionedWriteCapacityAutoScalingUpdate"])
    for replica in data.get("ReplicaUpdates", ()):
        region = replica["RegionName"]
        if "ReplicaProvisionedReadCapacityAutoScalingUpdate" in replica:
            yield _Change(region, None, "Read", replica["ReplicaProvisionedReadCapacityAutoScalingUpdate"])
        for index in replica.get("ReplicaGlobalSecondaryIndexUpdates", ()):
            if "ProvisionedReadCapacityAutoScalingUpdate" in index:
                yield _Change(region, index["IndexName"], "Read", index["ProvisionedReadCapacityAutoScalingUpdate"])


def _check_settings(table: TableId, change: _Change) -> None:
    """Refuse settings that are neither complete nor switch auto scaling off."""
    failed, settings = f"Failed to update settings for global table with name: ‘{table.name}’:", change.settings
    if settings.get("AutoScalingDisabled"):
        if surplus := [name for name in _REQUIRED if name in settings]:
            raise invalid(f"{failed} Parameters {_quoted(surplus)} cannot be specified when auto scaling is being "
                          "disabled.")
        return
    if missing := [name for name in _REQUIRED if name not in settings]:
        raise invalid(f"{failed} Parameters {_quoted(missing)} are required unless auto scaling is being disabled.")
    if settings["MinimumUnits"] > settings["MaximumUnits"]:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
    least, most = _TARGET_VALUES
    value = float(settings["ScalingPolicyUpdate"][_CONFIGURATION]["TargetValue"])
    if not least <= value <= most:
        raise invalid(f"For predefined metric type DynamoDB{change.kind}CapacityUtilization, target value must be "
                      f"between '{least}' and '{most}', but was '{value}'.")


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
