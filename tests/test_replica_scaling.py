"""Auto scaling of all replicas of a global table at once."""

from __future__ import annotations

import pytest
from support import IRELAND, OHIO, ON_DEMAND, VIRGINIA, create, invalid, refused, replicas

UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
INDEX = {"IndexName": "Later", "KeySchema": ON_DEMAND["KeySchema"], "Projection": {"ProjectionType": "ALL"}}
OFF = {"AutoScalingDisabled": True, "ScalingPolicies": []}
READS, WRITES = (f"ReplicaProvisioned{kind}CapacityAutoScalingSettings" for kind in ("Read", "Write"))


def settings(least: int = 1, most: int = 10, target: float = 70.0, **policy) -> dict:
    return {"MinimumUnits": least, "MaximumUnits": most, "ScalingPolicyUpdate": {
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": target}, **policy}}


@pytest.fixture
def table(pretend):
    """A global table in two Regions, on demand, with an index."""
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND, GlobalSecondaryIndexes=[INDEX])
    pretend.wait(60)
    replicas(client, *create(VIRGINIA))
    pretend.wait(2000)
    return client


@pytest.fixture
def provisioned(pretend, table):
    """The same with provisioned capacity, whose writes scale."""
    for region in (OHIO, VIRGINIA):
        for resource, dimension in (("table/Music", "table"), ("table/Music/index/Later", "index")):
            where = {"ServiceNamespace": "dynamodb", "ResourceId": resource,
                     "ScalableDimension": f"dynamodb:{dimension}:WriteCapacityUnits"}
            scaling = pretend.client(region, "application-autoscaling")
            scaling.register_scalable_target(**where, MinCapacity=2, MaxCapacity=20)
            scaling.put_scaling_policy(**where, PolicyName="old", PolicyType="TargetTrackingScaling",
                                       TargetTrackingScalingPolicyConfiguration={"TargetValue": 50.0})
    table.update_table(TableName="Music", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS,
                       GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "Later", "ProvisionedThroughput": UNITS}}])
    pretend.wait(2000)
    return table


def scaled(client) -> dict[str, dict]:
    described = client.describe_table_replica_auto_scaling(TableName="Music")["TableAutoScalingDescription"]
    assert (described["TableName"], described["TableStatus"]) == ("Music", "ACTIVE")
    return {replica["RegionName"]: replica for replica in described["Replicas"]}


def test_settings_of_writes_apply_to_all_replicas_and_of_reads_to_one(pretend, provisioned):
    before = scaled(provisioned)
    assert before.keys() == {OHIO, VIRGINIA} and before[OHIO][READS] == OFF
    assert before[VIRGINIA][WRITES]["ScalingPolicies"][0]["PolicyName"] == "old"
    provisioned.update_table_replica_auto_scaling(
        TableName="Music", ProvisionedWriteCapacityAutoScalingUpdate=settings(3, 30),
        GlobalSecondaryIndexUpdates=[
            {"IndexName": "Later", "ProvisionedWriteCapacityAutoScalingUpdate": settings(4, 40)}],
        ReplicaUpdates=[{"RegionName": VIRGINIA, "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings(
            5, 50, 60.0, PolicyName="mine")}])
    for client in (provisioned, pretend.client(VIRGINIA)):
        after = scaled(client)
        for region in (OHIO, VIRGINIA):
            writes = after[region][WRITES]
            assert (writes["MinimumUnits"], writes["MaximumUnits"]) == (3, 30) and "AutoScalingDisabled" not in writes
            assert writes["ScalingPolicies"] == [{
                "PolicyName": "DynamoDBWriteCapacityUtilization:table/Music",
                "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0}}]
            index, = after[region]["GlobalSecondaryIndexes"]
            assert index["ProvisionedWriteCapacityAutoScalingSettings"]["MinimumUnits"] == 4
            assert index["ProvisionedReadCapacityAutoScalingSettings"] == OFF and index["IndexStatus"] == "ACTIVE"
        assert after[OHIO][READS] == OFF and after[VIRGINIA][READS]["ScalingPolicies"][0]["PolicyName"] == "mine"
    target, = pretend.client(VIRGINIA, "application-autoscaling").describe_scalable_targets(
        ServiceNamespace="dynamodb", ScalableDimension="dynamodb:table:ReadCapacityUnits")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (5, 50)


def test_what_application_auto_scaling_sets_for_the_writes_of_one_replica_is_set_for_all(pretend, table):
    here, there = (pretend.client(region, "application-autoscaling") for region in (OHIO, VIRGINIA))
    policy = {"PolicyName": "half", "PolicyType": "TargetTrackingScaling",
              "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0}}
    for kind in ("Write", "Read"):
        where = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Music/index/Later",
                 "ScalableDimension": f"dynamodb:index:{kind}CapacityUnits"}
        here.register_scalable_target(**where, MinCapacity=2, MaxCapacity=20, Tags={"team": "music"})
        here.put_scaling_policy(**where, **policy)

    def of_virginia() -> list[tuple[str, int]]:
        found = there.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
        return [(each["ScalableDimension"], each["MaxCapacity"]) for each in found]

    assert of_virginia() == [("dynamodb:index:WriteCapacityUnits", 20)]
    where["ScalableDimension"] = "dynamodb:index:WriteCapacityUnits"
    first, = there.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
    assert first["PolicyName"] == "half" and f":{VIRGINIA}:" in first["PolicyARN"]
    here.register_scalable_target(**where, MaxCapacity=30)
    assert of_virginia() == [("dynamodb:index:WriteCapacityUnits", 30)]
    assert there.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == [first]
    target, = there.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert there.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"] == {}
    there.delete_scaling_policy(**where, PolicyName="half")
    assert scaled(table)[OHIO]["GlobalSecondaryIndexes"][0]["ProvisionedWriteCapacityAutoScalingSettings"] == OFF
    there.deregister_scalable_target(**where)
    targets, = here.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert targets["ScalableDimension"] == "dynamodb:index:ReadCapacityUnits"


def test_auto_scaling_is_switched_off(pretend, provisioned):
    provisioned.update_table_replica_auto_scaling(
        TableName="Music", ProvisionedWriteCapacityAutoScalingUpdate={"AutoScalingDisabled": True})
    assert [replica[WRITES] for replica in scaled(provisioned).values()] == [OFF, OFF]


def test_settings_of_an_on_demand_table_are_kept_and_shown_as_off(table):
    table.update_table_replica_auto_scaling(TableName="Music", ProvisionedWriteCapacityAutoScalingUpdate=settings())
    assert [(replica[WRITES]["AutoScalingDisabled"], replica[WRITES]["MinimumUnits"])
            for replica in scaled(table).values()] == [(True, 1), (True, 1)]


@pytest.mark.parametrize(("asked", "text"), [
    ({}, "Parameters 'MaximumUnits', 'ScalingPolicyUpdate', 'MinimumUnits' are required unless auto scaling is being"),
    ({"MinimumUnits": 1, "MaximumUnits": 2}, "Parameters 'ScalingPolicyUpdate' are required unless"),
    ({"AutoScalingDisabled": True, "MinimumUnits": 1}, "'MinimumUnits' cannot be specified when auto scaling is being"),
    (settings(10, 1), "Maximum capacity cannot be less than minimum capacity"),
    (settings(target=100), "DynamoDBWriteCapacityUtilization, target value must be between '10.0' and '90.0', but was "
                           "'100.0'"),
    (settings(0), "'provisionedWriteCapacityAutoScalingUpdate.minimumUnits' failed to satisfy constraint"),
])
def test_settings_that_are_refused_and_change_nothing(table, asked, text):
    with invalid(text):
        table.update_table_replica_auto_scaling(
            TableName="Music", ProvisionedWriteCapacityAutoScalingUpdate=asked,
            ReplicaUpdates=[{"RegionName": OHIO, "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings()}])
    assert [replica[READS] for replica in scaled(table).values()] == [OFF, OFF]


def test_a_mistake_at_the_end_changes_nothing_at_the_beginning(table):
    with invalid("Maximum capacity cannot be less than minimum capacity"):
        table.update_table_replica_auto_scaling(
            TableName="Music", ProvisionedWriteCapacityAutoScalingUpdate=settings(), ReplicaUpdates=[
                {"RegionName": OHIO, "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings(10, 1)}])
    assert [replica[WRITES] for replica in scaled(table).values()] == [OFF, OFF]


@pytest.mark.parametrize(("asked", "text"), [
    ({"ReplicaUpdates": [{"RegionName": IRELAND}]}, "a replica does not exist in regions"),
    ({"GlobalSecondaryIndexUpdates": [{"IndexName": "nope"}]},
     r"because the global secondary indexes with names: ‘\[nope\]’ do not exist."),
    ({"ReplicaUpdates": [{"RegionName": VIRGINIA, "ReplicaGlobalSecondaryIndexUpdates": [{"IndexName": "nope"}]}]},
     "because a global secondary index with name: ‘nope’ does not exist in region: ‘us-east-1’."),
    ({"TableName": "Nothing"}, "Global table with name: 'Nothing' does not exist."),
])
def test_what_is_not_there(table, asked, text):
    with refused("ResourceNotFoundException", text):
        table.update_table_replica_auto_scaling(**{"TableName": "Music"} | asked)


@pytest.mark.parametrize("asked", [
    {"GlobalSecondaryIndexUpdates": [{"ProvisionedWriteCapacityAutoScalingUpdate": settings()}]},
    {"ReplicaUpdates": [{"RegionName": OHIO, "ReplicaGlobalSecondaryIndexUpdates": [{}]}]},
])
def test_an_index_without_a_name(table, asked):
    with invalid("indexName' failed to satisfy constraint: Member must not be null"):
        table.update_table_replica_auto_scaling(TableName="Music", **asked)


def test_a_regional_table_has_no_such_settings(pretend):
    client = pretend.client(OHIO)
    client.create_table(**ON_DEMAND)
    pretend.wait(60)
    with refused("ResourceNotFoundException", "Global table with name: 'Music' does not exist."):
        client.describe_table_replica_auto_scaling(TableName="Music")
