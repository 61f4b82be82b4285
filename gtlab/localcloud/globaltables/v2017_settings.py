"""DescribeGlobalTableSettings and UpdateGlobalTableSettings of version 2017.11.29.

Write capacity applies to the whole global table, read capacity to each replica. The service kept no other setting of
the members' tables identical. The error texts are ours, except the one for an unknown global table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gtlab.localcloud.globaltables.membership import Group
from gtlab.localcloud.globaltables.v2017 import Legacy, checked_name
from gtlab.localcloud.model import Refusal, TableId, in_use, invalid, invalid_values
from gtlab.localcloud.tables import replica_tables
from gtlab.localcloud.tables.autoscaling import AutoScaling, scalable
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

_MODES, _CLASSES = ("PROVISIONED", "PAY_PER_REQUEST"), ("STANDARD", "STANDARD_INFREQUENT_ACCESS")
_UNITS = {"Read": "ReadCapacityUnits", "Write": "WriteCapacityUnits"}


@dataclass
class _Plan:
    """The changes of one member: the input of UpdateTable, and the scaling settings by index (None: the table itself)
    and by "Read" or "Write"."""

    table: TableId
    changes: dict = field(default_factory=dict)
    scaling: dict[tuple[str | None, str], dict] = field(default_factory=dict)


class LegacySettings:
    """The two operations: (account, input, now) → output."""

    def __init__(self, world: World, tables: Tables, legacy: Legacy, scaling: AutoScaling):
        self._world, self._tables, self._legacy, self._scaling = world, tables, legacy, scaling

    def describe(self, account: str, data: dict, now: float) -> dict:
        group = self._find(account, data)
        return {"GlobalTableName": group.name,
                "ReplicaSettings": [self._replica(group.table(region), now) for region in group.members]}

    def update(self, account: str, data: dict, now: float) -> dict:
        """Check the whole request before changing any member, so that a refused request changes nothing."""
        group = self._find(account, data)
        _check(data)
        replicas = _by_name(data.get("ReplicaSettingsUpdate", []), "RegionName")
        for region in replicas:
            if region not in group.members:
                raise Refusal("ReplicaNotFoundException",
                              f"Global table: '{group.name}' has no replica in Region: '{region}'.")
        plans = [self._plan(group.table(region), data, replicas.get(region, {})) for region in group.members]
        if any(self._tables.status(plan.table, now) != "ACTIVE" for plan in plans):
            raise in_use()
        for plan in plans:
            self._carry_out(plan, now)
        answer = self.describe(account, data, now)
        for replica in answer["ReplicaSettings"]:
            replica["ReplicaStatus"] = "UPDATING"
        return answer

    def _find(self, account: str, data: dict) -> Group:
        return self._legacy.find(account, checked_name(data), opening="")

    # Describing

    def _replica(self, table: TableId, now: float) -> dict:
        described = self._tables.describe(table, now)
        found = {"RegionName": table.region, "ReplicaStatus": described["TableStatus"]}
        for shown, of in (("ReplicaBillingModeSummary", "BillingModeSummary"),
                          ("ReplicaTableClassSummary", "TableClassSummary")):
            if of in described:
                found[shown] = described[of]
        for kind, units in _UNITS.items():
            found[f"ReplicaProvisioned{kind}CapacityUnits"] = described["ProvisionedThroughput"][units]
            found[f"ReplicaProvisioned{kind}CapacityAutoScalingSettings"] = self._scaled(table, None, kind)
        indexes = [self._index(table, index) for index in described.get("GlobalSecondaryIndexes", [])]
        return found | ({"ReplicaGlobalSecondaryIndexSettings": indexes} if indexes else {})

    def _index(self, table: TableId, index: dict) -> dict:
        found = {"IndexName": index["IndexName"], "IndexStatus": index.get("IndexStatus", "ACTIVE")}
        for kind, units in _UNITS.items():
            if index["ProvisionedThroughput"][units]:  # an index of an on-demand table has no units
                found[f"Provisioned{kind}CapacityUnits"] = index["ProvisionedThroughput"][units]
            found[f"Provisioned{kind}CapacityAutoScalingSettings"] = self._scaled(table, index["IndexName"], kind)
        return found

    def _scaled(self, table: TableId, index: str | None, kind: str) -> dict:
        asked = scalable(table, index, kind)
        target = next(iter(self._scaling.describe_targets(*table[:2], asked, 0.0)["ScalableTargets"]), None)
        if target is None:
            return {"AutoScalingDisabled": True}
        policies = self._scaling.describe_policies(*table[:2], asked, 0.0)["ScalingPolicies"]
        configuration = "TargetTrackingScalingPolicyConfiguration"
        return {"MinimumUnits": target["MinCapacity"], "MaximumUnits": target["MaxCapacity"],
                "AutoScalingDisabled": False, "AutoScalingRoleArn": target["RoleARN"],
                "ScalingPolicies": [{"PolicyName": policy["PolicyName"], configuration: {
                    name: value for name, value in policy[configuration].items() if name in (
                        "DisableScaleIn", "ScaleInCooldown", "ScaleOutCooldown", "TargetValue")}}
                    for policy in policies if configuration in policy]}

    # Changing

    def _plan(self, table: TableId, data: dict, replica: dict) -> _Plan:
        schema, plan = self._tables.database.schema(table), _Plan(table)
        before = schema["BillingModeSummary"]["BillingMode"]
        mode = data.get("GlobalTableBillingMode", before)
        if mode != before:
            plan.changes["BillingMode"] = mode
        group_wide = {"Write": data.get("GlobalTableProvisionedWriteCapacityUnits")}
        asked = group_wide | {"Read": replica.get("ReplicaProvisionedReadCapacityUnits")}
        units = _capacity(mode, schema["ProvisionedThroughput"], asked)
        if units:
            plan.changes["ProvisionedThroughput"] = units
        for kind, of, name in (("Write", data, "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate"),
                               ("Read", replica, "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate")):
            self._plan_scaling(plan, None, kind, of.get(name))
        wanted = replica.get("ReplicaTableClass")
        if wanted and wanted != schema.get("TableClassSummary", {}).get("TableClass", "STANDARD"):
            plan.changes["TableClass"] = wanted
        self._plan_indexes(plan, schema, mode, data, replica)
        return plan

    def _plan_indexes(self, plan: _Plan, schema: dict, mode: str, data: dict, replica: dict) -> None:
        writes = _by_name(data.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", []), "IndexName")
        reads = _by_name(replica.get("ReplicaGlobalSecondaryIndexSettingsUpdate", []), "IndexName")
        indexes = {index["IndexName"]: index for index in schema["GlobalSecondaryIndexes"]}
        for name in (*writes, *reads):
            if name not in indexes:
                raise Refusal("IndexNotFoundException", f"Index not found: Table: '{plan.table.name}' in Region: "
                                                        f"'{plan.table.region}' has no index: '{name}'.")
        changed = []
        for name, index in indexes.items():
            asked = {"Write": writes.get(name, {}), "Read": reads.get(name, {})}
            units = _capacity(mode, index["ProvisionedThroughput"], {
                kind: part.get(f"Provisioned{kind}CapacityUnits") for kind, part in asked.items()})
            if units:
                changed.append({"Update": {"IndexName": name, "ProvisionedThroughput": units}})
            for kind, part in asked.items():
                setting = part.get(f"Provisioned{kind}CapacityAutoScalingSettingsUpdate")
                self._plan_scaling(plan, name, kind, setting)
        if changed:
            plan.changes["GlobalSecondaryIndexUpdates"] = changed

    def _plan_scaling(self, plan: _Plan, index: str | None, kind: str, setting: dict | None) -> None:
        if setting is None:
            return
        setting = self._scaled(plan.table, index, kind) | {"AutoScalingDisabled": False} | setting
        if not setting["AutoScalingDisabled"]:
            if not {"MinimumUnits", "MaximumUnits"} <= set(setting):
                raise invalid_values("MinimumUnits and MaximumUnits are required to enable auto scaling")
            if setting["MinimumUnits"] > setting["MaximumUnits"]:
                raise invalid_values("MaximumUnits cannot be less than MinimumUnits")
        plan.scaling[index, kind] = setting

    def _carry_out(self, plan: _Plan, now: float) -> None:
        if plan.changes:
            replica_tables.take_settings(self._tables, plan.table, plan.changes, {}, now)
        for (index, kind), setting in plan.scaling.items():
            self._scale(plan.table, scalable(plan.table, index, kind), setting, now)
        self._tables.busy(plan.table, now + self._world.control_plane_s("update table", plan.table.region))

    def _scale(self, table: TableId, what: dict, setting: dict, now: float) -> None:
        if setting["AutoScalingDisabled"]:
            if self._scaling.describe_targets(*table[:2], what, now)["ScalableTargets"]:
                self._scaling.deregister(*table[:2], what, now)
            return
        self._scaling.register(*table[:2], what | {"MinCapacity": setting["MinimumUnits"],
                                                   "MaxCapacity": setting["MaximumUnits"]}, now)
        policy = setting.get("ScalingPolicyUpdate")
        if policy:
            default = f"{what['ScalableDimension'].rpartition(':')[2]}Utilization:{what['ResourceId']}"
            self._scaling.put_policy(*table[:2], what | {
                "PolicyName": policy.get("PolicyName", default), "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": policy["TargetTrackingScalingPolicyConfiguration"]}, now)


def _capacity(mode: str, has: dict, asked: dict[str, int | None]) -> dict | None:
    """The new ProvisionedThroughput, or None if it does not change."""
    given = {_UNITS[kind]: units for kind, units in asked.items() if units is not None}
    if mode == "PAY_PER_REQUEST":
        if given:
            raise invalid("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                          "PAY_PER_REQUEST")
        return None
    before = {units: has[units] for units in _UNITS.values()}
    after = before | given
    if 0 in after.values():
        raise invalid_values("ReadCapacityUnits and WriteCapacityUnits must both be specified for every replica and "
                             "index when BillingMode is PROVISIONED")
    return after if after != before else None


def _by_name(settings: list[dict], name: str) -> dict[str, dict]:
    found = {setting[name]: setting for setting in settings}
    if len(found) < len(settings):
        raise invalid_values(f"{name} is named more than once")
    return found


def _check(data: dict) -> None:
    """Refuse values outside the bounds of the API's model, and a request without any setting."""
    if set(data) <= {"GlobalTableName"}:
        raise invalid_values("At least one setting is required")
    _check_bounds(data, "")


def _check_bounds(part: dict, path: str) -> None:
    for name, value in part.items():
        at = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        allowed = {"GlobalTableBillingMode": _MODES, "ReplicaTableClass": _CLASSES}.get(name)
        if allowed and value not in allowed:
            raise invalid(f"1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: "
                          f"Member must satisfy enum value set: [{', '.join(allowed)}]")
        if name.endswith("Units") and value < 1:
            raise invalid(f"1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: "
                          "Member must have value greater than or equal to 1")
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _check_bounds(each, at)
