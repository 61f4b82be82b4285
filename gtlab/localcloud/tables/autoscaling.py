"""Application Auto Scaling: the part of its API that global tables with provisioned capacity require.

Targets and policies are stored and returned, but no capacity is ever scaled.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gtlab.localcloud.engine import Database
from gtlab.localcloud.model import Refusal, TableId, invalid

TABLE_WRITES, INDEX_WRITES = "dynamodb:table:WriteCapacityUnits", "dynamodb:index:WriteCapacityUnits"
WRITES = (TABLE_WRITES, INDEX_WRITES)
_DIMENSIONS = (*WRITES, "dynamodb:table:ReadCapacityUnits", "dynamodb:index:ReadCapacityUnits")
_ROLE = "arn:aws:iam::{account}:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/" \
        "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"


# DynamoDB's capacity can be scaled by this type of policy only (Application Auto Scaling user guide, "Step scaling
# policies" and "Predictive scaling": what they do not support).
_POLICY_TYPE, _CONFIGURATION = "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration"
_MOST_RESULTS = 50  # of a page (API reference, MaxResults)
_TAGS = "Tags"  # of a scalable target, beside the members of its description
# What a target's SuspendedState says as long as nobody suspends anything.
_RUNNING = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}


Operation = Callable[[str, str, dict, float], dict[str, Any]]  # of an account, a Region, an input and the time


@dataclass
class _Target:
    described: dict
    policies: dict[str, dict] = field(default_factory=dict)


Saved = list[tuple[tuple[str, str, str, str], _Target]]


class AutoScaling:
    """Scalable targets by account, Region, resource and dimension. ``operations``: those of the API, by name."""

    def __init__(self, database: Database):
        self._database = database
        self._targets: dict[tuple[str, str, str, str], _Target] = {}
        self.operations: dict[str, Operation] = {
            "RegisterScalableTarget": self.register, "DeregisterScalableTarget": self.deregister,
            "DescribeScalableTargets": self.describe_targets, "PutScalingPolicy": self.put_policy,
            "DescribeScalingPolicies": self.describe_policies, "DeleteScalingPolicy": self.delete_policy,
            "DescribeScalingActivities": self._describe_activities,
            "DescribeScheduledActions": self._describe_scheduled,
            "ListTagsForResource": self._list_tags, "TagResource": self._tag, "UntagResource": self._untag,
        }

    # Persistence

    def saved(self) -> Saved:
        return list(self._targets.items())

    def restore(self, kept: Saved) -> None:
        self._targets = dict(kept)

    # Queries by the rest of the cloud

    def scales_writes(self, table: TableId) -> bool:
        """Whether a table is on demand or has a scaling policy for its write capacity."""
        return self._on_demand(table) or self._has_policy(table, f"table/{table.name}", TABLE_WRITES)

    def scales_index_writes(self, table: TableId) -> bool:
        return self._on_demand(table) or all(
            self._has_policy(table, f"table/{table.name}/index/{index['IndexName']}", INDEX_WRITES)
            for index in self._database.schema(table)["GlobalSecondaryIndexes"])

    def copy(self, source: TableId, there: TableId) -> None:
        """Give a new replica the write-scaling targets and policies of its source, under ARNs of its own Region."""
        for account, region, resource, dimension in list(self._targets):
            if ((account, region) == source[:2] and dimension in WRITES and resource.split("/")[1] == source.name):
                self.copy_capacity(source, there.region, {"ResourceId": resource, "ScalableDimension": dimension})

    def copy_capacity(self, source: TableId, region: str, capacity: dict[str, str]) -> None:
        """Give another Region's replica the target and the policies of one capacity of a table, or none if it has none,
        under ARNs and with tags of its own. ``capacity``: its ResourceId and ScalableDimension."""
        resource, dimension = capacity["ResourceId"], capacity["ScalableDimension"]
        target, there = self._targets.get((*source[:2], resource, dimension)), (
            source.account, region, resource, dimension)
        own = self._targets.pop(there, _Target({"ScalableTargetARN": _target_arn(source.account, region)}))
        if target is not None:
            kept = {name: own.described[name] for name in ("ScalableTargetARN", _TAGS) if name in own.described}
            self._targets[there] = _Target(
                {name: value for name, value in target.described.items() if name != _TAGS} | kept,
                {name: policy | {"PolicyARN": own.policies[name]["PolicyARN"] if name in own.policies
                                 else _policy_arn(source.account, region, policy)}
                 for name, policy in target.policies.items()})

    def _on_demand(self, table: TableId) -> bool:
        return self._database.schema(table)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def _has_policy(self, table: TableId, resource: str, dimension: str) -> bool:
        target = self._targets.get((table.account, table.region, resource, dimension))
        return bool(target and target.policies)

    # The API's operations: (account, region, input, now) → output

    def register(self, account: str, region: str, data: dict, now: float) -> dict:
        key = _key(account, region, data)
        table = TableId(account, region, data["ResourceId"].split("/")[1])
        if not self._database.exists(table):
            raise invalid(f"ResourceId not found for service namespace dynamodb: {data['ResourceId']}")
        known = self._targets.get(key)
        if known is None and not {"MinCapacity", "MaxCapacity"} <= set(data):
            raise invalid("MinCapacity and MaxCapacity are required to register a new scalable target")
        before: dict = known.described if known else {"CreationTime": now}
        described = before | {
            name: data[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension", "MinCapacity",
                                          "MaxCapacity") if name in data}
        described["SuspendedState"] = _RUNNING | before.get("SuspendedState", {}) | data.get("SuspendedState", {})
        if described["MinCapacity"] > described["MaxCapacity"]:
            raise invalid("Maximum capacity cannot be less than minimum capacity")
        described = {"RoleARN": _ROLE.format(account=account),
                     "ScalableTargetARN": _target_arn(account, region)} | described
        if data.get("Tags"):
            described[_TAGS] = described.get(_TAGS, {}) | data["Tags"]
        self._targets[key] = _Target(described, known.policies if known else {})
        return {"ScalableTargetARN": described["ScalableTargetARN"]}

    def deregister(self, account: str, region: str, data: dict, now: float) -> dict:
        self._find(account, region, data)
        del self._targets[_key(account, region, data)]
        return {}

    def describe_targets(self, account: str, region: str, data: dict, now: float) -> dict:
        return _page("ScalableTargets", [  # targets of older state folders have no SuspendedState
            {"SuspendedState": _RUNNING} | {name: value for name, value in target.described.items() if name != _TAGS}
            for target in self._chosen(account, region, data)], data)

    def _list_tags(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"Tags": self._by_arn(account, region, data["ResourceARN"]).described.get(_TAGS, {})}

    def _tag(self, account: str, region: str, data: dict, now: float) -> dict:
        described = self._by_arn(account, region, data["ResourceARN"]).described
        described[_TAGS] = described.get(_TAGS, {}) | data["Tags"]
        return {}

    def _untag(self, account: str, region: str, data: dict, now: float) -> dict:
        described = self._by_arn(account, region, data["ResourceARN"]).described
        described[_TAGS] = {name: value for name, value in described.get(_TAGS, {}).items()
                            if name not in data["TagKeys"]}
        return {}

    def _describe_activities(self, account: str, region: str, data: dict, now: float) -> dict:
        """None: the local cloud does not change capacity by itself."""
        return _page("ScalingActivities", [], data)

    def _describe_scheduled(self, account: str, region: str, data: dict, now: float) -> dict:
        """None: scheduled actions cannot be made."""
        return _page("ScheduledActions", [], data)

    def put_policy(self, account: str, region: str, data: dict, now: float) -> dict:
        target = self._find(account, region, data)
        name, kind = data["PolicyName"], data.get("PolicyType", "StepScaling")
        if kind != _POLICY_TYPE:
            raise invalid(f"Unsupported policy type for service namespace dynamodb: {kind}. It must be {_POLICY_TYPE}.")
        if _CONFIGURATION not in data:
            raise invalid(f"A policy of type {_POLICY_TYPE} needs {_CONFIGURATION}.")
        before = target.policies.get(name, {"PolicyARN": _policy_arn(account, region, data), "CreationTime": now})
        target.policies[name] = before | data
        return {"PolicyARN": target.policies[name]["PolicyARN"], "Alarms": []}

    def describe_policies(self, account: str, region: str, data: dict, now: float) -> dict:
        return _page("ScalingPolicies", [policy for target in self._chosen(account, region, data)
                                         for name, policy in target.policies.items()
                                         if name in data.get("PolicyNames", [name])], data)

    def delete_policy(self, account: str, region: str, data: dict, now: float) -> dict:
        target = self._find(account, region, data)
        if target.policies.pop(data["PolicyName"], None) is None:
            raise Refusal("ObjectNotFoundException", f"No scaling policy found for service namespace: dynamodb, "
                                                     f"policy name: {data['PolicyName']}")
        return {}

    def _by_arn(self, account: str, region: str, arn: str) -> _Target:
        for (owner, where, _, _), target in self._targets.items():
            if (owner, where) == (account, region) and target.described["ScalableTargetARN"] == arn:
                return target
        raise Refusal("ResourceNotFoundException", f"No scalable target registered with the ARN {arn}")

    def _find(self, account: str, region: str, data: dict) -> _Target:
        target = self._targets.get(_key(account, region, data))
        if target is None:
            raise Refusal("ObjectNotFoundException",
                          f"No scalable target registered for service namespace: dynamodb, resource ID: "
                          f"{data['ResourceId']}, scalable dimension: {data['ScalableDimension']}")
        return target

    def _chosen(self, account: str, region: str, data: dict) -> list[_Target]:
        if data["ServiceNamespace"] != "dynamodb":
            return []
        ids = data.get("ResourceIds") or ([data["ResourceId"]] if "ResourceId" in data else None)
        return [target for (owner, where, resource, dimension), target in self._targets.items()
                if (owner, where) == (account, region) and (ids is None or resource in ids)
                and data.get("ScalableDimension") in (None, dimension)]


def _page(name: str, found: list[dict], data: dict) -> dict:
    """A part of a list: from where the last one ended. Raises Refusal for a token that no answer had."""
    most = min(data.get("MaxResults", _MOST_RESULTS), _MOST_RESULTS)
    token = data.get("NextToken", "0")
    if most < 1:
        raise invalid(f"MaxResults must be between 1 and {_MOST_RESULTS}, not {most}.")
    if not (token.isascii() and token.isdecimal() and len(token) < 10):
        raise Refusal("InvalidNextTokenException", "The NextToken is not a token of an earlier answer.")
    begin = int(token)
    more = {"NextToken": str(begin + most)} if len(found) > begin + most else {}
    return {name: found[begin:begin + most]} | more


def _target_arn(account: str, region: str) -> str:
    return f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/{secrets.token_hex(16)}"


def _policy_arn(account: str, region: str, policy: dict) -> str:
    return (f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{secrets.token_hex(16)}:"
            f"resource/dynamodb/{policy['ResourceId']}:policyName/{policy['PolicyName']}")


def _key(account: str, region: str, data: dict) -> tuple[str, str, str, str]:
    resource, dimension = data["ResourceId"], data["ScalableDimension"]
    parts = resource.split("/")
    if data["ServiceNamespace"] != "dynamodb":
        raise invalid(f"gtlab's local cloud scales dynamodb only, not {data['ServiceNamespace']}.")
    if dimension not in _DIMENSIONS:
        raise invalid(f"Unsupported scalable dimension for service namespace dynamodb: {dimension}")
    wanted = ["table", None, "index", None] if ":index:" in dimension else ["table", None]
    if len(parts) != len(wanted) or any(want not in (None, part) for part, want in zip(parts, wanted, strict=True)):
        raise invalid(f"Unsupported resource type for scalable dimension {dimension}: {resource}")
    return account, region, resource, dimension


def scalable(table: TableId, index: str | None, kind: str) -> dict[str, str]:
    """The parameters that identify a capacity: of a table (``index`` None) or of an index, "Read" or "Write"."""
    return {"ServiceNamespace": "dynamodb", "ResourceId": f"table/{table.name}" + (f"/index/{index}" if index else ""),
            "ScalableDimension": f"dynamodb:{'index' if index else 'table'}:{kind}CapacityUnits"}
