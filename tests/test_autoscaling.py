"""Application Auto Scaling: what is refused, and pages."""

from __future__ import annotations

import pytest
from support import OHIO, invalid, refused

from gtlab.course.stages import MUSIC

WRITES = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Music",
          "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
READS = WRITES | {"ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
TRACKING = {"TargetValue": 70.0, "PredefinedMetricSpecification": {
    "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}}


@pytest.fixture
def scaling(pretend):
    """Ohio's client, with the table's reads and writes registered."""
    pretend.client(OHIO).create_table(**MUSIC)
    made = pretend.client(OHIO, "application-autoscaling")
    for target in (WRITES, READS):
        made.register_scalable_target(**target, MinCapacity=1, MaxCapacity=10)
    return made


@pytest.mark.parametrize(("operation", "asked", "text"), [
    ("register_scalable_target", WRITES | {"ServiceNamespace": "s3"},
     "at 'serviceNamespace' failed to satisfy constraint: Member must satisfy enum value set"),
    ("register_scalable_target", WRITES | {"ScalableDimension": "dynamodb:table:Units"}, "at 'scalableDimension'"),
    ("register_scalable_target", WRITES | {"ResourceId": ""}, "length greater than or equal to 1"),
    ("register_scalable_target", WRITES | {"ServiceNamespace": "ecs"}, "scales dynamodb only"),
    ("describe_scalable_targets", {"ServiceNamespace": "dynamodb", "MaxResults": 0}, "MaxResults"),
    ("describe_scaling_policies", {"ServiceNamespace": "x"}, "at 'serviceNamespace'"),
    ("put_scaling_policy", WRITES | {"PolicyName": "p", "PolicyType": "Other"}, "at 'policyType'"),
    ("put_scaling_policy", WRITES | {"PolicyName": "p"}, "Unsupported policy type .*: StepScaling"),
    ("put_scaling_policy", WRITES | {"PolicyName": "p", "PolicyType": "PredictiveScaling"}, "Unsupported policy type"),
    ("put_scaling_policy", WRITES | {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}, "needs TargetTracking"),
    ("put_scaling_policy", WRITES | {
        "PolicyName": "p" * 257, "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": TRACKING}, "length less than or equal to 256"),
])
def test_what_the_services_model_does_not_allow(scaling, operation, asked, text):
    with invalid(text):
        getattr(scaling, operation)(**asked)
    assert scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []


def test_targets_and_policies_come_in_pages(scaling):
    for target in (WRITES, READS):
        scaling.put_scaling_policy(**target, PolicyName="p", PolicyType="TargetTrackingScaling",
                                   TargetTrackingScalingPolicyConfiguration=TRACKING)
    for ask, name in ((scaling.describe_scalable_targets, "ScalableTargets"),
                      (scaling.describe_scaling_policies, "ScalingPolicies")):
        page = ask(ServiceNamespace="dynamodb", MaxResults=1)
        rest = ask(ServiceNamespace="dynamodb", MaxResults=1, NextToken=page["NextToken"])
        assert "NextToken" not in rest
        assert {each["ScalableDimension"] for each in page[name] + rest[name]} == {
            target["ScalableDimension"] for target in (WRITES, READS)}
        with refused("InvalidNextTokenException"):
            ask(ServiceNamespace="dynamodb", NextToken="x")
        assert ask(ServiceNamespace="ecs")[name] == []
