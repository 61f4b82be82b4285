"""The calls that Terraform's AWS provider makes, in its order, and what it reads back.

They follow `internal/service/dynamodb` (table.go, table_replica.go, global_table.go, wait.go) of the provider: which
call creates or changes what, which errors are tried again, and what a wait looks at. Terraform would plan a setting
that does not come back as it was set again forever, so each test applies a configuration and then reads it.
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from support import refused

HOME, AWAY, THIRD = "us-east-2", "us-east-1", "us-west-2"
NAME = "Music"
ATTRIBUTES = [{"AttributeName": name, "AttributeType": "S"} for name in ("Artist", "SongTitle")]
KEYS = [{"AttributeName": "Artist", "KeyType": "HASH"}, {"AttributeName": "SongTitle", "KeyType": "RANGE"}]
BY_TITLE = {"IndexName": "ByTitle", "KeySchema": [{"AttributeName": "SongTitle", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Year", "Label"]}}
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": ATTRIBUTES, "KeySchema": KEYS}
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
PROVISIONED = ON_DEMAND | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}
# What the provider tries again: any ResourceInUseException, limits of simultaneous changes, backups not yet there.
AGAIN = ("ResourceInUseException", "LimitExceededException", "ThrottlingException",
         "ContinuousBackupsUnavailableException")


class Provider:
    """Creates, reads, changes and deletes one table as the provider does, under the pretend clock."""

    def __init__(self, pretend):
        self.pretend = pretend
        self.clients = {region: pretend.client(region) for region in (HOME, AWAY, THIRD)}

    def __call__(self, operation: str, region: str = HOME, **arguments):
        """One call, tried again for as long as the provider would."""
        for _ in range(120):
            try:
                return getattr(self.clients[region], operation)(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] not in AGAIN:
                    raise
            self.pretend.wait(5)
        raise AssertionError(f"{operation} is refused forever: {arguments}")

    def until(self, look, what: str, pending: tuple = ()):
        """Wait as the provider does: a value that is neither the target nor pending is an error."""
        for _ in range(240):
            if (seen := look()) == what:
                return
            assert not pending or seen in pending, f"unexpected state {seen!r}, wanted {what!r} or one of {pending}"
            self.pretend.wait(5)
        raise AssertionError(f"never {what!r}: {look()!r}")

    def table(self, region: str = HOME) -> dict:
        try:
            return self("describe_table", region, TableName=NAME)["Table"]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"
            return {}

    def active(self, region: str = HOME) -> None:
        self.until(lambda: self.table(region).get("TableStatus"), "ACTIVE", ("CREATING", "UPDATING"))

    def update(self, region: str = HOME, **arguments) -> None:
        self("update_table", region, TableName=NAME, **arguments)
        self.active(region)

    def create(self, **arguments) -> None:
        self("create_table", TableName=NAME, **arguments)
        self.active()

    def set_ttl(self, attribute: str, enabled: bool) -> None:
        self("update_time_to_live", TableName=NAME,
             TimeToLiveSpecification={"AttributeName": attribute, "Enabled": enabled})
        on = ("DISABLED", "ENABLED")[enabled]
        self.until(lambda: self.ttl()["TimeToLiveStatus"], on, ("ENABLING", "DISABLING"))

    def ttl(self, region: str = HOME) -> dict:
        return self("describe_time_to_live", region, TableName=NAME)["TimeToLiveDescription"]

    def set_recovery(self, enabled: bool, region: str = HOME, **more) -> None:
        self("update_continuous_backups", region, TableName=NAME,
             PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled, **more})
        on = ("DISABLED", "ENABLED")[enabled]
        self.until(lambda: self.recovery(region)["PointInTimeRecoveryStatus"], on, ("ENABLING",))

    def recovery(self, region: str = HOME) -> dict:
        found = self("describe_continuous_backups", region, TableName=NAME)["ContinuousBackupsDescription"]
        return found["PointInTimeRecoveryDescription"]

    def replica_status(self, region: str) -> str | None:
        """What the provider's wait for a replica looks at."""
        return {entry["RegionName"]: entry["ReplicaStatus"] for entry in self.table().get("Replicas", ())}.get(region)

    def add_replica(self, region: str, **more) -> None:
        self("update_table", TableName=NAME, ReplicaUpdates=[{"Create": {"RegionName": region, **more}}])
        self.until(lambda: self.replica_status(region), "ACTIVE", (None, "CREATING", "UPDATING"))

    def remove_replicas(self, *regions: str) -> None:
        """The provider removes all of them side by side; the second has to be tried again while the first leaves."""
        for region in regions:
            self("update_table", TableName=NAME, ReplicaUpdates=[{"Delete": {"RegionName": region}}])
        for region in regions:
            self.until(lambda region=region: self.replica_status(region), None,
                       ("ACTIVE", "CREATING", "UPDATING", "DELETING"))

    def indexes(self) -> dict[str, dict]:
        return {index["IndexName"]: index for index in self.table().get("GlobalSecondaryIndexes", ())}

    def change_index(self, attributes: list = ATTRIBUTES, **change) -> None:
        """One change of an index for each UpdateTable, then wait for the index, then for the table."""
        self("update_table", TableName=NAME, AttributeDefinitions=attributes, GlobalSecondaryIndexUpdates=[change])
        (action, settings), = change.items()
        wanted = None if action == "Delete" else "ACTIVE"
        self.until(lambda: self.indexes().get(settings["IndexName"], {}).get("IndexStatus"), wanted,
                   ("CREATING", "UPDATING", "DELETING", "ACTIVE"))
        self.active()

    def tags(self, region: str = HOME) -> dict[str, str]:
        arn = self.table(region)["TableArn"]
        return {tag["Key"]: tag["Value"] for tag in self("list_tags_of_resource", region, ResourceArn=arn)["Tags"]}

    def delete(self) -> None:
        self("delete_table", TableName=NAME)
        self.until(self.table, {})


@pytest.fixture
def provider(pretend):
    return Provider(pretend)


def test_a_new_table_reads_back_as_nothing_that_was_not_asked_for(provider):
    """The provider's read after a create: each default that it compares with its own."""
    provider.create(**ON_DEMAND, StreamSpecification={"StreamEnabled": False}, SSESpecification={"Enabled": False})
    table = provider.table()
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [table["ProvisionedThroughput"][name] for name in UNITS] == [0, 0]
    assert table["DeletionProtectionEnabled"] is False
    assert not {"StreamSpecification", "SSEDescription", "Replicas", "GlobalSecondaryIndexes", "LocalSecondaryIndexes",
                "LatestStreamArn", "RestoreSummary"} & set(table)
    assert table.get("TableClassSummary", {}).get("TableClass", "STANDARD") == "STANDARD"
    assert provider.ttl() == {"TimeToLiveStatus": "DISABLED"}
    assert provider.recovery() == {"PointInTimeRecoveryStatus": "DISABLED"}
    assert provider.tags() == {}
    provider.delete()


def test_everything_that_a_table_is_created_with_reads_back(provider):
    index = BY_TITLE | {"ProvisionedThroughput": UNITS}
    local = {"IndexName": "ByYear", "KeySchema": [KEYS[0], {"AttributeName": "Year", "KeyType": "RANGE"}],
             "Projection": {"ProjectionType": "KEYS_ONLY"}}
    provider.create(**PROVISIONED | {
        "AttributeDefinitions": [*ATTRIBUTES, {"AttributeName": "Year", "AttributeType": "N"}],
        "GlobalSecondaryIndexes": [index], "LocalSecondaryIndexes": [local], "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "SSESpecification": {"Enabled": True}, "DeletionProtectionEnabled": True,
        "Tags": [{"Key": "Team", "Value": "blue"}]})
    table = provider.table()
    found = table["GlobalSecondaryIndexes"][0]
    assert found["KeySchema"] == index["KeySchema"] and found["IndexStatus"] == "ACTIVE"
    assert sorted(found["Projection"]["NonKeyAttributes"]) == ["Label", "Year"]
    assert {name: found["ProvisionedThroughput"][name] for name in UNITS} == UNITS
    assert table["LocalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert table["LatestStreamArn"].endswith(table["LatestStreamLabel"])
    assert table["SSEDescription"]["Status"] == "ENABLED" and table["SSEDescription"]["SSEType"] == "KMS"
    assert table["SSEDescription"]["KMSMasterKeyArn"].startswith("arn:aws:kms:us-east-2:")
    assert table["DeletionProtectionEnabled"] is True and provider.tags() == {"Team": "blue"}
    with refused("ValidationException", "deletion protection"):
        provider("delete_table", TableName=NAME)
    provider.update(DeletionProtectionEnabled=False)
    provider.delete()


def test_each_setting_changes_by_a_call_of_its_own(provider):
    provider.create(**ON_DEMAND)
    for name in ("expires", "ends"):  # the provider switches off the old attribute first
        provider.set_ttl(name, True)
        assert provider.ttl() == {"TimeToLiveStatus": "ENABLED", "AttributeName": name}
        provider.pretend.wait(3700)  # one change an hour
        provider.set_ttl(name, False)
        provider.pretend.wait(3700)
    provider.set_recovery(True, RecoveryPeriodInDays=7)
    assert provider.recovery()["RecoveryPeriodInDays"] == 7
    provider.set_recovery(False)
    provider.update(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    provider.update(StreamSpecification={"StreamEnabled": False})  # another view type: off, then on
    provider.update(StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"})
    assert provider.table()["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}
    provider.update(TableClass="STANDARD_INFREQUENT_ACCESS")
    assert provider.table()["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    provider.update(SSESpecification={"Enabled": True})
    provider.until(lambda: provider.table()["SSEDescription"]["Status"], "ENABLED", ("ENABLING", "UPDATING"))
    provider.update(SSESpecification={"Enabled": False})
    provider.until(lambda: provider.table().get("SSEDescription", {}).get("Status", "DISABLED"), "DISABLED",
                   ("DISABLING", "UPDATING"))
    provider.update(OnDemandThroughput={"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6})
    assert provider.table()["OnDemandThroughput"] == {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}
    provider.update(OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1})
    assert provider.table().get("OnDemandThroughput", {}).get("MaxReadRequestUnits", -1) == -1
    arn = provider.table()["TableArn"]
    provider("tag_resource", ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    provider("untag_resource", ResourceArn=arn, TagKeys=["a"])
    assert provider.tags() == {"b": "2"}
    provider.delete()


def test_billing_and_capacity_change_together_with_the_indexes(provider):
    provider.create(**PROVISIONED | {"GlobalSecondaryIndexes": [BY_TITLE | {"ProvisionedThroughput": UNITS}]})
    provider.update(BillingMode="PAY_PER_REQUEST")
    assert provider.table()["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    more = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}
    provider.update(BillingMode="PROVISIONED", ProvisionedThroughput=more, GlobalSecondaryIndexUpdates=[
        {"Update": {"IndexName": "ByTitle", "ProvisionedThroughput": UNITS}}])
    for found, units in ((provider.table(), more), (provider.indexes()["ByTitle"], UNITS)):
        assert {name: found["ProvisionedThroughput"][name] for name in units} == units
    provider.change_index(Update={"IndexName": "ByTitle", "ProvisionedThroughput": more})
    assert provider.indexes()["ByTitle"]["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    provider.update(ProvisionedThroughput=UNITS)
    provider.delete()


@pytest.mark.slow
def test_indexes_come_and_go_one_by_one(provider):
    provider.create(**ON_DEMAND)
    year = [*ATTRIBUTES, {"AttributeName": "Year", "AttributeType": "N"}]
    by_year = {"IndexName": "ByYear", "KeySchema": [{"AttributeName": "Year", "KeyType": "HASH"}, KEYS[0]
                                                    | {"KeyType": "RANGE"}], "Projection": {"ProjectionType": "ALL"}}
    provider.change_index(Create=BY_TITLE)
    provider.change_index(year, Create=by_year)
    assert {a["AttributeName"] for a in provider.table()["AttributeDefinitions"]} == {"Artist", "SongTitle", "Year"}
    # Another projection: the index is deleted and created again.
    provider.change_index(year, Delete={"IndexName": "ByTitle"})
    provider.change_index(year, Create=BY_TITLE | {"Projection": {"ProjectionType": "ALL"}})
    assert provider.indexes()["ByTitle"]["Projection"] == {"ProjectionType": "ALL"}
    provider.change_index(Delete={"IndexName": "ByYear"})
    assert {a["AttributeName"] for a in provider.table()["AttributeDefinitions"]} == {"Artist", "SongTitle"}
    provider.delete()


def test_warm_throughput_reads_back_for_table_and_index(provider):
    warm = {"ReadUnitsPerSecond": 15000, "WriteUnitsPerSecond": 5000}
    active = warm | {"Status": "ACTIVE"}
    provider.create(**ON_DEMAND, WarmThroughput=warm, GlobalSecondaryIndexes=[BY_TITLE | {"WarmThroughput": warm}])
    provider.until(lambda: provider.table()["WarmThroughput"], active)
    provider.until(lambda: provider.indexes()["ByTitle"]["WarmThroughput"], active)
    more = {"ReadUnitsPerSecond": 16000, "WriteUnitsPerSecond": 6000}
    provider.update(WarmThroughput=more)
    provider.until(lambda: provider.table()["WarmThroughput"], more | {"Status": "ACTIVE"})
    provider.change_index(Update={"IndexName": "ByTitle", "WarmThroughput": more})
    provider.until(lambda: provider.indexes()["ByTitle"]["WarmThroughput"], more | {"Status": "ACTIVE"})
    provider.delete()


def test_replicas_are_added_one_by_one_set_and_removed_side_by_side(provider):
    provider.create(**ON_DEMAND, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
                    GlobalSecondaryIndexes=[BY_TITLE], Tags=[{"Key": "Team", "Value": "blue"}])
    provider.set_ttl("expires", True)
    provider.set_recovery(True)
    for region in (AWAY, THIRD):
        provider.add_replica(region)
        provider.set_recovery(True, region)
        arn = provider.table(region)["TableArn"]
        assert f":{region}:" in arn and provider.tags(region) == {}
        provider("tag_resource", region, ResourceArn=arn, Tags=[{"Key": "Team", "Value": "blue"}])
        provider.update(region, DeletionProtectionEnabled=True)
    for region in (AWAY, THIRD):  # the read of each replica, in its own Region
        there = provider.table(region)
        assert there["DeletionProtectionEnabled"] is True and there["LatestStreamArn"].split(":")[3] == region
        assert provider.tags(region) == {"Team": "blue"} and provider.ttl(region)["TimeToLiveStatus"] == "ENABLED"
        assert provider.recovery(region)["PointInTimeRecoveryStatus"] == "ENABLED"
    assert {entry["RegionName"] for entry in provider.table()["Replicas"]} == {AWAY, THIRD}
    # Changes of the group after that.
    provider.change_index(Delete={"IndexName": "ByTitle"})
    provider.change_index(Create=BY_TITLE)
    provider.until(lambda: provider.table(AWAY)["GlobalSecondaryIndexes"][0]["IndexStatus"], "ACTIVE", ("CREATING",))
    provider("update_table", TableName=NAME, ReplicaUpdates=[{"Update": {
        "RegionName": AWAY, "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}}])
    provider.until(lambda: provider.replica_status(AWAY), "ACTIVE", ("UPDATING",))
    assert provider.table(AWAY)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    for region in (AWAY, THIRD):
        provider.update(region, DeletionProtectionEnabled=False)
    provider.remove_replicas(AWAY, THIRD)
    assert not provider.table().get("Replicas")
    provider.delete()
    for region in (AWAY, THIRD):
        provider.until(lambda region=region: provider.table(region), {})


def test_strong_consistency_is_asked_for_and_given_up_with_all_members_at_once(provider):
    provider.create(**ON_DEMAND)
    provider("update_table", TableName=NAME, MultiRegionConsistency="STRONG",
             ReplicaUpdates=[{"Create": {"RegionName": AWAY}}],
             GlobalTableWitnessUpdates=[{"Create": {"RegionName": THIRD}}])
    provider.until(lambda: provider.replica_status(AWAY), "ACTIVE", (None, "CREATING", "UPDATING"))
    provider.until(lambda: provider.table()["GlobalTableWitnesses"],
                   [{"RegionName": THIRD, "WitnessStatus": "ACTIVE"}])
    provider.active()
    assert provider.table()["MultiRegionConsistency"] == "STRONG"
    provider("update_table", TableName=NAME, ReplicaUpdates=[{"Delete": {"RegionName": AWAY}}],
             GlobalTableWitnessUpdates=[{"Delete": {"RegionName": THIRD}}])
    provider.until(lambda: provider.replica_status(AWAY), None, ("ACTIVE", "UPDATING", "DELETING"))
    provider.until(lambda: provider.table().get("GlobalTableWitnesses", []), [])
    provider.delete()


def test_the_old_global_table_resource(provider):
    """aws_dynamodb_global_table: tables first, then the group; deleted by removing every replica from it."""
    for region in (HOME, AWAY):
        provider("create_table", region, TableName=NAME, **PROVISIONED, StreamSpecification={
            "StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        provider.active(region)

    def group():
        return provider("describe_global_table", GlobalTableName=NAME)["GlobalTableDescription"]

    provider("create_global_table", GlobalTableName=NAME, ReplicationGroup=[{"RegionName": HOME}])
    provider.until(lambda: group()["GlobalTableStatus"], "ACTIVE", ("CREATING", "DELETING", "UPDATING"))
    provider("update_global_table", GlobalTableName=NAME, ReplicaUpdates=[{"Create": {"RegionName": AWAY}}])
    provider.until(lambda: group()["GlobalTableStatus"], "ACTIVE", ("CREATING", "DELETING", "UPDATING"))
    assert {replica["RegionName"] for replica in group()["ReplicationGroup"]} == {HOME, AWAY}
    assert group()["GlobalTableArn"] == f"arn:aws:dynamodb::{'1' * 12}:global-table/{NAME}"
    provider("update_global_table", GlobalTableName=NAME, ReplicaUpdates=[
        {"Delete": {"RegionName": HOME}}, {"Delete": {"RegionName": AWAY}}])
    provider.pretend.wait(60)
    with refused("GlobalTableNotFoundException"):
        group()
    for region in (HOME, AWAY):
        provider("delete_table", region, TableName=NAME)
        provider.until(lambda region=region: provider.table(region), {})


def test_a_table_is_restored_from_another(provider):
    """restore_source_name: the new table takes over what is not overridden, and is then set as any other."""
    provider("create_table", TableName="Source", **ON_DEMAND, GlobalSecondaryIndexes=[BY_TITLE])
    provider.until(lambda: provider("describe_table", TableName="Source")["Table"]["TableStatus"], "ACTIVE")
    provider("update_continuous_backups", TableName="Source",
             PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    provider("put_item", TableName="Source", Item={"Artist": {"S": "a"}, "SongTitle": {"S": "b"}})
    provider.pretend.wait(600)
    provider("restore_table_to_point_in_time", SourceTableName="Source", TargetTableName=NAME,
             UseLatestRestorableTime=True, BillingModeOverride="PAY_PER_REQUEST")
    provider.until(lambda: provider.table().get("TableStatus"), "ACTIVE", (None, "CREATING", "UPDATING"))
    provider.until(lambda: provider.indexes()["ByTitle"]["IndexStatus"], "ACTIVE", ("CREATING",))
    assert provider("get_item", TableName=NAME, Key={"Artist": {"S": "a"}, "SongTitle": {"S": "b"}})["Item"]
    assert "RestoreSummary" not in provider.table()
    assert provider.recovery()["PointInTimeRecoveryStatus"] == "DISABLED" and provider.tags() == {}
    provider.set_ttl("expires", True)
    provider.delete()


def test_items_policies_and_insights(provider):
    """aws_dynamodb_table_item, _resource_policy and _contributor_insights."""
    provider.create(**ON_DEMAND)
    item = {"Artist": {"S": "a"}, "SongTitle": {"S": "b"}, "Year": {"N": "1"}}
    new = {"ConditionExpression": "attribute_not_exists(#hk)", "ExpressionAttributeNames": {"#hk": "Artist"}}
    provider("put_item", TableName=NAME, Item=item, **new)
    with refused("ConditionalCheckFailedException"):
        provider("put_item", TableName=NAME, Item=item, **new)
    key = {name: item[name] for name in ("Artist", "SongTitle")}
    found = provider("get_item", TableName=NAME, Key=key, ConsistentRead=True, ProjectionExpression="#a_0, #a_1, #a_2",
                     ExpressionAttributeNames={f"#a_{n}": name for n, name in enumerate(item)})
    assert found["Item"] == item
    provider("delete_item", TableName=NAME, Key=key)
    arn = provider.table()["TableArn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "dynamodb:GetItem",
        "Resource": arn}]})
    revision = provider("put_resource_policy", ResourceArn=arn, Policy=policy)["RevisionId"]
    assert provider("get_resource_policy", ResourceArn=arn)["RevisionId"] == revision
    provider("delete_resource_policy", ResourceArn=arn)
    provider("update_contributor_insights", TableName=NAME, ContributorInsightsAction="ENABLE")
    provider.until(lambda: provider("describe_contributor_insights", TableName=NAME)["ContributorInsightsStatus"],
                   "ENABLED", ("ENABLING",))
    provider("update_contributor_insights", TableName=NAME, ContributorInsightsAction="DISABLE")
    provider.until(lambda: provider("describe_contributor_insights", TableName=NAME)["ContributorInsightsStatus"],
                   "DISABLED", ("DISABLING",))
    provider.delete()


def test_auto_scaling_of_a_table_and_its_index(provider, pretend):
    """aws_appautoscaling_target and _policy, on which a provisioned global table depends."""
    provider.create(**PROVISIONED | {"GlobalSecondaryIndexes": [BY_TITLE | {"ProvisionedThroughput": UNITS}]})
    scaling = pretend.client(HOME, "application-autoscaling")
    for resource, dimension, metric in (
            (f"table/{NAME}", "dynamodb:table:WriteCapacityUnits", "DynamoDBWriteCapacityUtilization"),
            (f"table/{NAME}/index/ByTitle", "dynamodb:index:ReadCapacityUnits", "DynamoDBReadCapacityUtilization")):
        target = {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension}
        arn = scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=20)["ScalableTargetARN"]
        look = {"ServiceNamespace": "dynamodb", "ResourceIds": [resource], "ScalableDimension": dimension}
        found, = scaling.describe_scalable_targets(**look)["ScalableTargets"]
        assert (found["MinCapacity"], found["MaxCapacity"], found["ScalableTargetARN"]) == (1, 20, arn)
        assert set(found["SuspendedState"].values()) == {False} and ":role/" in found["RoleARN"]
        assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {}
        settings = {"TargetValue": 70.0, "ScaleInCooldown": 0, "ScaleOutCooldown": 0, "DisableScaleIn": False,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
        scaling.put_scaling_policy(PolicyName="p", PolicyType="TargetTrackingScaling", **target,
                                   TargetTrackingScalingPolicyConfiguration=settings)
        policies = scaling.describe_scaling_policies(PolicyNames=["p"], **target)["ScalingPolicies"]
        assert [policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies] == [settings]
        assert policies[0]["PolicyARN"] and policies[0]["PolicyType"] == "TargetTrackingScaling"
        scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": True})
        scaling.register_scalable_target(**target, MaxCapacity=30)  # keeps what it does not name
        found, = scaling.describe_scalable_targets(**look)["ScalableTargets"]
        assert (found["MinCapacity"], found["MaxCapacity"], found["ScalableTargetARN"]) == (1, 30, arn)
        assert [name for name, on in found["SuspendedState"].items() if on] == ["DynamicScalingInSuspended"]
        scaling.delete_scaling_policy(PolicyName="p", **target)
        assert scaling.describe_scaling_policies(PolicyNames=["p"], **target)["ScalingPolicies"] == []
        scaling.deregister_scalable_target(**target)
        assert scaling.describe_scalable_targets(**look)["ScalableTargets"] == []
    provider.delete()


def test_a_replicas_auto_scaling_has_arns_of_its_own_region(provider, pretend):
    provider.create(**PROVISIONED | {"StreamSpecification": {
        "StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}})
    target = {"ServiceNamespace": "dynamodb", "ResourceId": f"table/{NAME}",
              "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
    scaling = pretend.client(HOME, "application-autoscaling")
    scaling.register_scalable_target(**target, MinCapacity=5, MaxCapacity=20, Tags={"Team": "blue"})
    scaling.put_scaling_policy(**target, PolicyName="p", PolicyType="TargetTrackingScaling",
                               TargetTrackingScalingPolicyConfiguration={
                                   "TargetValue": 70.0, "PredefinedMetricSpecification": {
                                       "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"}})
    provider.add_replica(AWAY)
    away = pretend.client(AWAY, "application-autoscaling")
    found, = away.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    policy, = away.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
    assert {arn.split(":")[3] for arn in (found["ScalableTargetARN"], policy["PolicyARN"])} == {AWAY}
    assert away.list_tags_for_resource(ResourceARN=found["ScalableTargetARN"])["Tags"] == {}
