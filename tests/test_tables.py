"""Tables of one Region: their requests, descriptions and settings."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError
from support import ON_DEMAND, invalid, refused, table

from gtlab.localcloud.engine import partiql

KEY = ON_DEMAND["KeySchema"]
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
INDEX = {"IndexName": "Later", "KeySchema": KEY, "Projection": {"ProjectionType": "ALL"}}
PROVISIONED = ON_DEMAND | {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS,
                           "GlobalSecondaryIndexes": [INDEX | {"ProvisionedThroughput": UNITS}]}


@pytest.fixture
def ohio(pretend):
    return pretend.client("us-east-2")


@pytest.fixture
def music(pretend, ohio):
    """An on-demand table with three items."""
    ohio.create_table(**ON_DEMAND)
    pretend.wait(60)
    for name in "abc":
        ohio.put_item(TableName="Music", Item={"Artist": {"S": name}})
    return ohio


# Requests

@pytest.mark.parametrize("operation", ["create_table", "describe_table", "update_table", "delete_table"])
def test_a_missing_table_name_has_its_own_text(ohio, operation):
    with invalid("The parameter 'TableName' is required but was not present in the request$"):
        getattr(ohio, operation)()


@pytest.mark.parametrize(("changed", "text"), [
    ({"KeySchema": [{"AttributeName": "k" * 256, "KeyType": "HASH"}],
      "AttributeDefinitions": [{"AttributeName": "k" * 256, "AttributeType": "S"}]},
     "2 validation errors detected: .*'keySchema.1.member.attributeName' failed to satisfy constraint: Member must "
     "have length less than or equal to 255"),
    ({"ProvisionedThroughput": UNITS}, "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
                                       "BillingMode is PAY_PER_REQUEST"),
    ({"GlobalSecondaryIndexes": [INDEX | {"ProvisionedThroughput": UNITS}]},
     "ProvisionedThroughput should not be specified for index: Later when BillingMode is PAY_PER_REQUEST"),
])
def test_tables_that_cannot_be_created(ohio, changed, text):
    with invalid(text):
        ohio.create_table(**ON_DEMAND | changed)
    assert ohio.list_tables()["TableNames"] == []


@pytest.mark.parametrize(("operation", "asked", "text"), [
    ("describe_table", {"TableName": ""}, "2 validation errors detected: Value '' at 'tableName' failed to satisfy "
     "constraint: Member must have length greater than or equal to 3; Value '' at 'tableName' failed to satisfy "
     "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ("list_tables", {"ExclusiveStartTableName": ""}, "2 validation errors detected: Value '' at "
     "'exclusiveStartTableName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
     "[a-zA-Z0-9_.-]+; Value '' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length "
     "greater than or equal to 3"),
    ("update_table", {"TableName": "Music", "SSESpecification": {"Enabled": True, "SSEType": "KMS",
                                                                 "KMSMasterKeyId": ""}},
     "1 validation error detected: Value '' at 'sSESpecification.kMSMasterKeyId' failed to satisfy constraint: Member "
     "must have length greater than or equal to 1"),
    ("update_table", {"TableName": "Nothing", "TableClass": "STANDARD", "GlobalSecondaryIndexUpdates": [
        {"Update": {"IndexName": "Later", "WarmThroughput": {}}}]},
     "One or more parameter values were invalid: WarmThroughput must have at least one of ReadUnitsPerSecond or "
     "WriteUnitsPerSecond specified for index: Later"),
    ("update_table", {"TableName": "Music", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": ""}},
     "1 validation error detected: Value '' at 'streamSpecification.streamViewType' failed to satisfy constraint: "
     "Member must satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]"),
    ("update_time_to_live", {"TableName": "Music", "TimeToLiveSpecification": {}},
     "2 validation errors detected: Value null at 'timeToLiveSpecification.attributeName' failed to satisfy "
     "constraint: Member must not be null; Value null at 'timeToLiveSpecification.enabled' failed to satisfy "
     "constraint: Member must not be null"),
    ("update_table", {"TableName": "Music", "DeletionProtectionEnabled": False, "AttributeDefinitions": [{}]},
     "2 validation errors detected: Value null at 'attributeDefinitions.1.member.attributeType' failed to satisfy "
     "constraint: Member must not be null; Value null at 'attributeDefinitions.1.member.attributeName' failed to "
     "satisfy constraint: Member must not be null"),
    ("describe_global_table", {"GlobalTableName": ""},
     "TableName must be at least 3 characters long and at most 255 characters long"),
])
def test_empty_values_are_refused_as_others_captured_it(music, operation, asked, text):
    with invalid(re.escape(text) + "$"):
        getattr(music, operation)(**asked)


FORMAT = "Valid ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:resourceType/resourceName', where "


@pytest.mark.parametrize(("arn", "wrong"), [
    ("arn:aws:dynamodb:us-east-1:111111111111:table/Music", "Invalid AWS region"),
    ("arn:aws-cn:dynamodb:us-east-2:111111111111:table/Music", "Invalid AWS partition"),
    ("arn:aws:dynamodb:us-east-2:111111111111:global-table/Music", "Invalid resource type"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Mu", "Table name of ARN must have length greater than or equal to"),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Music/index/Later", ""),
    ("arn:aws:dynamodb:us-east-2:111111111111:", ""), ("arn:aws:dynamodb", ""), ("arn:", ""),
    ("arn:aws:dynamodb:us-east-2:111111111111:table/Mu sic", ""), ("arn:aws:s3:us-east-2:111111111111:table/Music", ""),
])
def test_what_is_the_arn_of_no_table_here_is_refused(music, arn, wrong):
    told = re.escape(f"1 validation error detected: {wrong} in '{arn}'" if wrong and "length" not in wrong else
                     f"1 validation error detected: {wrong or FORMAT}")
    for ask in (music.describe_table, music.delete_table, music.describe_time_to_live,
                music.describe_continuous_backups, music.describe_contributor_insights):
        with invalid(told):
            ask(TableName=arn)
    told = re.escape(f"1 validation error detected: Value '{arn}' at 'tableName' failed to satisfy constraint: "
                     f"{wrong or FORMAT}")
    with invalid(told):
        music.get_item(TableName=arn, Key={"Artist": {"S": "a"}})
    with invalid(told):
        music.batch_get_item(RequestItems={arn: {"Keys": [{"Artist": {"S": "a"}}]}})
    assert music.scan(TableName=table(music)["TableArn"])["Count"] == 3


def test_another_accounts_table_is_not_accessible(music):
    for ask in (music.describe_table, music.scan):
        with refused("AccessDeniedException", "Access is denied"):
            ask(TableName="arn:aws:dynamodb:us-east-2:222222222222:table/Music")


def index_of(client, name: str = "Later") -> dict | None:
    return next((each for each in table(client).get("GlobalSecondaryIndexes", ()) if each["IndexName"] == name), None)


def query(client, name: str = "Later") -> int:
    return client.query(TableName="Music", IndexName=name, KeyConditionExpression="Artist = :a",
                        ExpressionAttributeValues={":a": {"S": "a"}})["Count"]


def test_a_new_index_is_built_for_minutes(pretend, music):
    create = {"AttributeDefinitions": ON_DEMAND["AttributeDefinitions"],
              "GlobalSecondaryIndexUpdates": [{"Create": INDEX}]}
    music.update_table(TableName="Music", **create)
    assert table(music)["TableStatus"] == "UPDATING"
    assert (index_of(music)["IndexStatus"], index_of(music)["Backfilling"]) == ("CREATING", False)
    pretend.wait(60)
    assert table(music)["TableStatus"] == "ACTIVE"
    assert (index_of(music)["IndexStatus"], index_of(music)["Backfilling"]) == ("CREATING", True)
    with invalid("Cannot read from backfilling global secondary index: Later"):
        query(music)
    music.put_item(TableName="Music", Item={"Artist": {"S": "d"}})
    with refused("LimitExceededException", "Only 1 online index can be created or deleted simultaneously per table"):
        music.update_table(TableName="Music", **create | {"GlobalSecondaryIndexUpdates": [
            {"Create": INDEX | {"IndexName": "Another"}}]})
    pretend.wait(1000)
    assert index_of(music)["IndexStatus"] == "ACTIVE" and "Backfilling" not in index_of(music)
    assert query(music) == 1 and music.scan(TableName="Music", IndexName="Later")["Count"] == 4


def test_an_index_is_shown_while_it_is_deleted(pretend, ohio):
    ohio.create_table(**PROVISIONED)
    assert index_of(ohio)["IndexStatus"] == "CREATING"  # with its table
    pretend.wait(60)
    assert index_of(ohio)["IndexStatus"] == "ACTIVE"
    ohio.update_table(TableName="Music", GlobalSecondaryIndexUpdates=[{"Update": {
        "IndexName": "Later", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}}])
    assert (table(ohio)["TableStatus"], index_of(ohio)["IndexStatus"]) == ("ACTIVE", "UPDATING")
    pretend.wait(10)
    ohio.update_table(TableName="Music", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "Later"}}])
    assert (table(ohio)["TableStatus"], index_of(ohio)["IndexStatus"]) == ("UPDATING", "DELETING")
    with invalid("The table does not have the specified index: Later"):
        query(ohio)
    pretend.wait(10)
    assert table(ohio)["TableStatus"] == "ACTIVE" and index_of(ohio) is None


def test_an_index_that_is_not_there_is_named_with_its_table(music):
    with refused("ResourceNotFoundException", "Requested resource not found: Index Nope for table Music"):
        music.update_table(TableName="Music", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "Nope"}}])


@pytest.mark.parametrize(("update", "text"), [
    ({}, "One of GlobalSecondaryIndexUpdate.Update, .* must not be null"),
    ({"Delete": {"IndexName": "Later"}, "Create": INDEX}, "Only one global secondary index action is allowed per"),
])
def test_an_index_update_without_one_action_is_refused(music, update, text):
    with invalid(text):
        music.update_table(TableName="Music", GlobalSecondaryIndexUpdates=[update])
    assert table(music)["TableStatus"] == "ACTIVE"


def test_ttl_cannot_be_switched_by_another_attributes_name(music):
    music.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
    for enabled in (True, False):
        with invalid("TimeToLive is active on a different AttributeName: current AttributeName is ends"):
            music.update_time_to_live(TableName="Music", TimeToLiveSpecification={
                "Enabled": enabled, "AttributeName": "other"})


def test_expired_items_go_in_slices(pretend, music):
    """A call is answered between two slices."""
    for first in range(0, 120, 24):
        music.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": {
            "Artist": {"S": f"{n}"}, "ends": {"N": str(int(pretend.now))}}}} for n in range(first, first + 24)]})
    music.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
    pretend.wait(300)
    counts = [music.scan(TableName="Music")["Count"] for _ in range(5)]
    assert counts == sorted(counts, reverse=True) and counts[0] > 3 and counts[-1] == 3


# Descriptions

def test_a_deleted_tables_answer_has_no_schema(pretend, ohio):
    ohio.create_table(**PROVISIONED)
    pretend.wait(60)
    deleted = ohio.delete_table(TableName="Music")["TableDescription"]
    assert deleted["TableStatus"] == "DELETING" and deleted["TableName"] == "Music"
    assert not {"AttributeDefinitions", "KeySchema", "CreationDateTime"} & set(deleted)


def test_decreases_of_throughput_are_counted_by_the_day(pretend, ohio):
    """A day begins at midnight UTC (API reference)."""
    def decrease(units):
        lower = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
        pretend.wait(60)
        ohio.update_table(TableName="Music", ProvisionedThroughput=lower, GlobalSecondaryIndexUpdates=[{"Update": {
            "IndexName": PROVISIONED["GlobalSecondaryIndexes"][0]["IndexName"], "ProvisionedThroughput": lower}}])
        pretend.wait(60)

    def counted():
        described = table(ohio)
        return [each["ProvisionedThroughput"]["NumberOfDecreasesToday"]
                for each in (described, *described["GlobalSecondaryIndexes"])]

    ohio.create_table(**PROVISIONED)
    pretend.wait(86_400 - pretend.now % 86_400 + 60)  # the next day has just begun
    decrease(4)
    decrease(3)
    assert counted() == [2, 2]
    pretend.wait(86_400)
    assert counted() == [0, 0]
    decrease(2)
    assert counted() == [1, 1]


def test_a_provisioned_table_and_its_index_have_their_warm_throughput(pretend, ohio):
    ohio.create_table(**PROVISIONED)
    pretend.wait(60)
    described = table(ohio)
    for each in (described, *described["GlobalSecondaryIndexes"]):
        assert each["WarmThroughput"] == {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"}
        assert each["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 0


def test_a_table_that_was_on_demand_says_when(pretend, music):
    since = table(music)["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"]
    music.update_table(TableName="Music", BillingMode="PROVISIONED", ProvisionedThroughput={
        "ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    pretend.wait(60)
    assert table(music)["BillingModeSummary"] == {
        "BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": since}


def test_warm_throughput_comes_back_as_it_was_set(pretend, ohio):
    ohio.create_table(**ON_DEMAND, WarmThroughput={"ReadUnitsPerSecond": 15_000, "WriteUnitsPerSecond": 5_000})
    pretend.wait(60)
    ohio.update_table(TableName="Music", WarmThroughput={"WriteUnitsPerSecond": 7_000})
    assert table(ohio)["WarmThroughput"] == {"ReadUnitsPerSecond": 15_000, "WriteUnitsPerSecond": 7_000,
                                             "Status": "ACTIVE"}
    with invalid("Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput"):
        ohio.update_table(TableName="Music", WarmThroughput={"ReadUnitsPerSecond": 14_000})
    with invalid("WarmThroughput must be the only operation in the request"):
        ohio.update_table(TableName="Music", WarmThroughput={"ReadUnitsPerSecond": 16_000},
                          BillingMode="PAY_PER_REQUEST")


def test_encryption_that_is_switched_off_is_shown_until_it_is_off(pretend, ohio):
    ohio.create_table(**ON_DEMAND, SSESpecification={"Enabled": True, "SSEType": "KMS"})
    pretend.wait(60)
    key = table(ohio)["SSEDescription"]["KMSMasterKeyArn"]
    ohio.update_table(TableName="Music", SSESpecification={"Enabled": False})
    assert table(ohio)["SSEDescription"] == {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}
    pretend.wait(600)
    assert "SSEDescription" not in table(ohio)
    ohio.update_table(TableName="Music", TableClass="STANDARD_INFREQUENT_ACCESS")
    assert table(ohio)["TableStatus"] == "UPDATING" and "SSEDescription" not in table(ohio)


# Application Auto Scaling

def test_tags_of_a_scalable_target_come_back(pretend, ohio):
    ohio.create_table(**PROVISIONED)
    pretend.wait(60)
    scaling = pretend.client("us-east-2", "application-autoscaling")
    where = {"ServiceNamespace": "dynamodb", "ResourceId": "table/Music",
             "ScalableDimension": "dynamodb:table:WriteCapacityUnits"}
    arn = scaling.register_scalable_target(**where, MinCapacity=1, MaxCapacity=9, Tags={"a": "1"})["ScalableTargetARN"]
    scaling.tag_resource(ResourceARN=arn, Tags={"b": "2"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "2"}
    target, = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert "Tags" not in target and target["ScalableTargetARN"] == arn
    assert scaling.describe_scaling_activities(ServiceNamespace="dynamodb")["ScalingActivities"] == []
    assert scaling.describe_scheduled_actions(ServiceNamespace="dynamodb")["ScheduledActions"] == []
    with refused("ResourceNotFoundException"):
        scaling.list_tags_for_resource(ResourceARN=arn + "x")


def test_the_ttl_of_a_table_that_is_created_or_deleted_is_not_shown(pretend):
    client = pretend.client("us-east-2")
    client.create_table(**ON_DEMAND)
    with invalid("Cannot describe time to live while table is in CREATING state: Current table state is CREATING"):
        client.describe_time_to_live(TableName="Music")
    pretend.wait(60)
    assert client.describe_time_to_live(TableName="Music")["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    client.delete_table(TableName="Music")
    with invalid("Cannot describe time to live while table is in DELETING state"):
        client.describe_time_to_live(TableName="Music")


def test_an_update_that_changes_nothing_is_refused_before_its_table_is_looked_for(pretend):
    client = pretend.client("us-east-2")
    with invalid("At least one of ProvisionedThroughput, .*, ReplicaTransitRoleArn, MultiRegionConsistency, Deletion"):
        client.update_table(TableName="Missing")
    with invalid("At least one of ProvisionedThroughput, .*, ReplicaTransitRoleArn, DeletionProtectionEnabled, "):
        client.update_table(TableName="Missing", MultiRegionConsistency="EVENTUAL")
    with invalid("Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or "):
        client.update_table(TableName="ab", WarmThroughput={})


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_the_name_of_a_ttl_attribute_has_a_length(music, name):
    with invalid("'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length"):
        music.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": name})


@pytest.mark.parametrize(("operation", "more", "text"), [
    ("describe_stream", {"StreamArn": "x"}, "'streamArn' failed to satisfy constraint: Member must have length"),
    ("describe_stream", {"ExclusiveStartShardId": "shardId-00000000000000000000-00000000"}, "Shard: .* not found"),
    ("describe_stream", {"ShardFilter": {"Type": "SIBLINGS"}}, r"enum value set: \[CHILD_SHARDS\]"),
    ("get_shard_iterator", {"ShardId": "x", "ShardIteratorType": "LATEST"}, "'shardId' failed to satisfy constraint"),
    ("list_streams", {"ExclusiveStartStreamArn": "x"}, "'exclusiveStartStreamArn' failed to satisfy constraint"),
])
def test_arguments_that_no_stream_has_are_refused(pretend, music, operation, more, text):
    music.update_table(TableName="Music", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arn, streams = table(music)["LatestStreamArn"], pretend.client("us-east-2", "dynamodbstreams")
    with pytest.raises(ClientError, match=text):
        getattr(streams, operation)(**({} if operation == "list_streams" else {"StreamArn": arn}) | more)
    shards = streams.describe_stream(StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS"})["StreamDescription"]["Shards"]
    assert shards == []  # no shard ever splits


@pytest.mark.parametrize(("service", "operation", "token", "asked"), [
    ("dynamodb", "list_tables", "ExclusiveStartTableName", {}),
    ("dynamodb", "list_global_tables", "ExclusiveStartGlobalTableName", {}),
    ("dynamodb", "list_backups", "ExclusiveStartBackupArn", {}),
    ("dynamodb", "list_contributor_insights", "NextToken", {}),
    ("dynamodb", "list_exports", "NextToken", {}),
    ("dynamodb", "list_imports", "NextToken", {}),
    ("dynamodb", "execute_statement", "NextToken", {"Statement": "SELECT * FROM Music"}),
    ("dynamodbstreams", "list_streams", "TableName", {}),
    ("dynamodbstreams", "list_streams", "ExclusiveStartStreamArn", {}),
    ("application-autoscaling", "describe_scalable_targets", "NextToken", {"ServiceNamespace": "dynamodb"}),
    ("application-autoscaling", "describe_scaling_policies", "NextToken", {"ServiceNamespace": "dynamodb"}),
    ("application-autoscaling", "describe_scaling_activities", "NextToken", {"ServiceNamespace": "dynamodb"}),
    ("application-autoscaling", "describe_scheduled_actions", "NextToken", {"ServiceNamespace": "dynamodb"}),
    ("cloudwatch", "list_metrics", "NextToken", {"Namespace": "AWS/DynamoDB"}),
    ("fis", "list_experiment_templates", "nextToken", {}),
    ("fis", "list_experiments", "nextToken", {}),
    ("fis", "list_actions", "nextToken", {}),
    ("fis", "list_target_resource_types", "nextToken", {}),
    ("resourcegroupstaggingapi", "get_resources", "PaginationToken", {}),
])
def test_no_list_begins_where_no_answer_ended(pretend, music, service, operation, token, asked):
    there = pretend.client("us-east-2", service)
    getattr(there, operation)(**asked)
    with pytest.raises(ClientError) as refused:
        getattr(there, operation)(**asked, **{token: "/"})
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_each_statement_of_a_request_is_parsed_once(music, monkeypatch):
    begun, parsed = partiql._statement, []
    monkeypatch.setattr(partiql, "_statement", lambda reader: parsed.append(reader.text) or begun(reader))
    texts = [f"SELECT * FROM Music WHERE Artist = 'parsed once {n}'" for n in range(23)]
    texts += ["SELECT * FROM Music WHERE parsed once", f"SELECT * FROM Music WHERE Artist = '{'x' * 5000}'"]
    music.batch_execute_statement(Statements=[{"Statement": text} for text in texts])
    assert parsed == texts


def test_statements_that_are_too_many_or_too_long_are_not_parsed(music, monkeypatch):
    monkeypatch.setattr(partiql, "_statement", None)
    text = "SELECT * FROM Music WHERE Artist = 'not parsed'"
    for ask in (lambda: music.batch_execute_statement(Statements=[{"Statement": text}] * 26),
                lambda: music.execute_transaction(TransactStatements=[{"Statement": text}] * 101),
                lambda: music.execute_statement(Statement=text + " OR Artist = 'x'" * 1000)):
        with invalid("Member must have length less than or equal to"):
            ask()
