"""Version 2017.11.29: what the service wrote into items and streams, the settings calls, and today's refusals."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import IRELAND, SINGAPORE, VIRGINIA, Pretend, read, read_all, records, song, wait_active, wait_until

import gtlab
from gtlab import stages, watch
from gtlab.course.stages import MUSIC
from gtlab.localcloud import process

REGIONS = (SINGAPORE, VIRGINIA, IRELAND)
MARKS = ("aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion")
VERSION_TEXT = ("One or more parameter values were invalid: DynamoDB global tables version 2017.11.29 is not "
                "supported. We recommend using DynamoDB global tables version 2019.11.21, instead of version "
                "2017.11.29 (Legacy).")
NOT_FOUND = "Global table not found: Global table with name: 'Music' does not exist."


@contextlib.contextmanager
def refused(code: str, text: str):
    """A call that is refused with just these words."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response
    assert (error["Error"]["Code"], error["Error"]["Message"]) == (code, text)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


class Article:
    """The article's global table under a pretend clock, ACTIVE everywhere: ``there`` has the clients by Region."""

    def __init__(self, pretend: Pretend, **changes):
        self.pretend = pretend
        self.there = {region: pretend.client(region) for region in REGIONS}
        for client in self.there.values():
            client.create_table(**MUSIC | changes)
        self.home = self.there[SINGAPORE]
        self.home.create_global_table(GlobalTableName="Music", ReplicationGroup=[
            {"RegionName": region} for region in REGIONS])
        pretend.wait(30)

    def settle(self) -> None:
        self.pretend.wait(30)

    def records(self, region: str) -> list[dict]:
        arn = self.there[region].describe_table(TableName="Music")["Table"]["LatestStreamArn"]
        return records(self.pretend.client(region, "dynamodbstreams"), arn)

    def names(self, region: str) -> list[str]:
        return [record["eventName"] for record in self.records(region)]

    def everywhere(self, key: dict | None = None) -> dict | None:
        """The item, aws:rep attributes and all, which is the same in every Region."""
        key = key or song()
        first, *others = [read_all(client, key) for client in self.there.values()]
        assert all(other == first for other in others)
        return first

    def update(self, region: str = SINGAPORE, genre: str = "pop") -> None:
        self.there[region].update_item(TableName="Music", Key=song(), UpdateExpression="SET genre = :g",
                                       ExpressionAttributeValues={":g": {"S": genre}})


@pytest.fixture
def article(pretend) -> Article:
    return Article(pretend)


# What the service wrote


def test_an_item_gets_three_attributes_a_moment_after_the_write_and_the_same_everywhere(article):
    written = article.pretend.now
    article.home.put_item(TableName="Music", Item=song())
    assert read_all(article.home, song()) == song()  # the customer's item, for a moment
    article.pretend.wait(0.02)
    assert set(read_all(article.home, song())) == {*song(), *MARKS}
    assert read_all(article.there[VIRGINIA], song()) is None
    article.settle()
    assert article.everywhere() == song() | {
        "aws:rep:deleting": {"BOOL": False}, "aws:rep:updateregion": {"S": SINGAPORE},
        "aws:rep:updatetime": {"N": f"{int(written)}.{int(written * 1000) % 1000:03d}001"}}
    article.pretend.wait(3.25)
    article.update(VIRGINIA)
    article.settle()
    found = article.everywhere()
    assert found["aws:rep:updateregion"] == {"S": VIRGINIA}
    assert re.fullmatch(r"18\d{8}\.\d{3}001", found["aws:rep:updatetime"]["N"])
    assert float(found["aws:rep:updatetime"]["N"]) > written + 3


def test_every_kind_of_write_is_marked(article):
    article.home.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": song("batch")}}]})
    article.home.transact_write_items(TransactItems=[{"Put": {"TableName": "Music", "Item": song("transaction")}}])
    article.home.execute_statement(Statement="INSERT INTO \"Music\" VALUE {'Artist': 'item_partiql', "
                                             "'SongTitle': 'Song Value partiql'}")
    article.settle()
    for kind in ("batch", "transaction", "partiql"):
        assert set(MARKS) <= set(article.everywhere(song(kind)))


def test_a_put_and_an_update_make_two_records_at_the_source_and_one_elsewhere(article):
    article.home.put_item(TableName="Music", Item=song())
    article.settle()
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY"]
    assert article.names(VIRGINIA) == article.names(IRELAND) == ["INSERT"]
    customers, services = (record["dynamodb"] for record in article.records(SINGAPORE))
    assert customers["NewImage"] == services["OldImage"] == song()
    assert services["NewImage"] == article.everywhere()
    assert "userIdentity" not in article.records(SINGAPORE)[1]

    article.update()
    article.settle()
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY", "MODIFY", "MODIFY"]
    assert article.names(VIRGINIA) == article.names(IRELAND) == ["INSERT", "MODIFY"]
    before, *changed = (record["dynamodb"]["NewImage"]["aws:rep:updatetime"]
                        for record in article.records(SINGAPORE)[1:])
    assert changed[0] == before != changed[1]  # by this a consumer of the time dropped the duplicate


def test_a_delete_makes_one_record_at_the_source_and_two_elsewhere(article):
    article.home.put_item(TableName="Music", Item=song())
    article.settle()
    there = article.everywhere()
    article.home.delete_item(TableName="Music", Key={name: song()[name] for name in ("Artist", "SongTitle")})
    article.settle()
    assert article.everywhere() is None
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY", "REMOVE"]
    for region in (VIRGINIA, IRELAND):
        first, marked, removed = article.records(region)
        assert [marked["eventName"], removed["eventName"]] == ["MODIFY", "REMOVE"]
        image = marked["dynamodb"]["NewImage"]
        assert image["aws:rep:deleting"] == {"BOOL": True} and image == removed["dynamodb"]["OldImage"]
        assert first["dynamodb"]["NewImage"] == marked["dynamodb"]["OldImage"] == there


def test_a_put_of_the_same_item_counts_and_an_update_to_the_same_value_does_not(article):
    article.home.put_item(TableName="Music", Item=song())
    article.settle()
    first = article.everywhere()
    article.home.put_item(TableName="Music", Item=song())  # a put drops the attributes: something changed
    article.settle()
    second = article.everywhere()
    assert float(second["aws:rep:updatetime"]["N"]) > float(first["aws:rep:updatetime"]["N"])
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY", "MODIFY", "MODIFY"]
    assert article.names(VIRGINIA) == ["INSERT", "MODIFY"]
    article.update()
    article.settle()
    article.update()  # changes nothing
    article.settle()
    assert len(article.names(SINGAPORE)) == 6 and len(article.names(VIRGINIA)) == 3


def test_nothing_goes_round_for_ever(article):
    article.home.put_item(TableName="Music", Item=song())
    article.there[VIRGINIA].put_item(TableName="Music", Item=song(2))
    article.settle()
    seen = {region: len(article.records(region)) for region in REGIONS}
    assert seen == {SINGAPORE: 3, VIRGINIA: 3, IRELAND: 2}
    article.pretend.wait(3600)
    assert {region: len(article.records(region)) for region in REGIONS} == seen
    assert article.pretend.cloud.summary(article.pretend.now)["deliveries_waiting"] == 0


def test_two_writes_in_quick_succession_are_marked_once(article):
    article.home.put_item(TableName="Music", Item=song())
    article.pretend.now += 0.001
    article.update()
    article.settle()
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY", "MODIFY"]
    assert article.names(VIRGINIA) == ["INSERT", "MODIFY"]
    assert watch.own(article.everywhere()) == song(genre="pop")


def test_what_a_customer_writes_into_the_attributes_is_overwritten(article):
    article.home.put_item(TableName="Music", Item=song() | {
        "aws:rep:updateregion": {"S": "mars-north-1"}, "aws:rep:updatetime": {"N": "9999999999.999001"},
        "aws:rep:deleting": {"BOOL": True}})
    article.pretend.wait(0.1)
    article.update(VIRGINIA)  # it is the later one, whatever the item says
    article.settle()
    found = article.everywhere()
    assert found["aws:rep:updateregion"] == {"S": VIRGINIA} and found["aws:rep:deleting"] == {"BOOL": False}
    assert found["genre"] == {"S": "pop"} and float(found["aws:rep:updatetime"]["N"]) < 1_900_000_000


def test_the_last_writer_wins_and_the_one_who_lost_leaves_no_trace(article):
    article.home.put_item(TableName="Music", Item=song(by="singapore"))
    article.pretend.wait(0.05)  # marked at home, and on its way
    article.there[VIRGINIA].put_item(TableName="Music", Item=song(by="virginia"))
    article.settle()
    found = article.everywhere()
    assert watch.own(found) == song(by="virginia") and found["aws:rep:updateregion"] == {"S": VIRGINIA}
    assert article.names(VIRGINIA) == ["INSERT", "MODIFY"]  # its own; Singapore's was discarded
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY", "MODIFY"]


def test_a_write_that_lost_before_it_was_marked_stays_unmarked(pretend):
    article = Article(pretend)
    pretend.cloud.replication.links._lag = lambda source, target: 0.001  # faster than any second update
    article.there[VIRGINIA].put_item(TableName="Music", Item=song(by="virginia"))
    pretend.now += 0.0005
    article.home.put_item(TableName="Music", Item=song(by="singapore"))
    article.settle()
    found = article.everywhere()
    assert watch.own(found) == song(by="singapore") and found["aws:rep:updateregion"] == {"S": SINGAPORE}
    assert article.names(VIRGINIA) == ["INSERT", "MODIFY"]  # its own, and Singapore's


def test_on_the_instant_network_the_second_update_comes_at_once():
    article = Article(Pretend("instant"))
    article.home.put_item(TableName="Music", Item=song())
    assert set(MARKS) <= set(article.everywhere())
    assert article.names(SINGAPORE) == ["INSERT", "MODIFY"] and article.names(VIRGINIA) == ["INSERT"]


def test_ttl_deletes_are_not_replicated_and_ttl_is_each_regions_own(article):
    expires = {"until": {"N": str(int(article.pretend.now) + 60)}}
    article.home.put_item(TableName="Music", Item=song() | expires)
    article.settle()
    before = article.everywhere()
    article.there[VIRGINIA].update_time_to_live(TableName="Music", TimeToLiveSpecification={
        "Enabled": True, "AttributeName": "until"})
    for _ in range(10):
        article.pretend.wait(60)
    assert read(article.there[VIRGINIA], song()) is None
    assert read_all(article.home, song()) == read_all(article.there[IRELAND], song()) == before
    removal = article.records(VIRGINIA)[-1]
    assert (removal["eventName"], removal["userIdentity"]["PrincipalId"]) == ("REMOVE", "dynamodb.amazonaws.com")
    assert len(article.records(VIRGINIA)) == 2 and len(article.records(IRELAND)) == 1
    article.home.put_item(TableName="Music", Item=song(genre="back"))  # a later write brings it back
    article.settle()
    assert watch.own(article.everywhere()) == song(genre="back")


def test_what_ttl_deleted_is_not_brought_back_by_an_older_write(article):
    article.home.put_item(TableName="Music", Item=song())
    article.settle()

    def version():
        return article.pretend.cloud.replication.version(
            article.pretend.cloud.groups.find("1" * 12, "Music").id, VIRGINIA, ("item_1", "Song Value 1"))

    assert version()
    article.pretend.cloud.replication.links._lag = lambda source, target: 500.0
    article.there[IRELAND].put_item(TableName="Music", Item=song(by="ireland"))  # long on its way
    article.pretend.wait(0.5)
    article.there[VIRGINIA].put_item(TableName="Music", Item=song() | {
        "until": {"N": str(int(article.pretend.now))}})
    article.there[VIRGINIA].update_time_to_live(TableName="Music", TimeToLiveSpecification={
        "Enabled": True, "AttributeName": "until"})
    for _ in range(4):
        article.pretend.wait(60)
    assert read(article.there[VIRGINIA], song()) is None
    article.pretend.wait(500)
    assert read(article.there[VIRGINIA], song()) is None
    for _ in range(26):
        article.pretend.wait(3600)
    assert not version()


def test_a_detached_table_keeps_the_attributes_and_gets_no_more(article):
    article.home.put_item(TableName="Music", Item=song())
    article.settle()
    before, virginia = article.everywhere(), article.there[VIRGINIA]
    virginia.put_item(TableName="Music", Item=song("last"))  # it leaves before the service has marked this
    article.home.put_item(TableName="Music", Item=song("sent"))  # and before this has come
    article.home.update_global_table(GlobalTableName="Music", ReplicaUpdates=[{"Delete": {"RegionName": VIRGINIA}}])
    article.update(VIRGINIA)
    virginia.put_item(TableName="Music", Item=song("alone"))
    article.settle()
    assert read_all(virginia, song()) == before | {"genre": {"S": "pop"}}
    assert read_all(virginia, song("alone")) == song("alone") and read_all(virginia, song("last")) == song("last")
    assert read(virginia, song("sent")) is None and read(article.there[IRELAND], song("sent"))
    assert read_all(article.home, song()) == before and read(article.home, song("alone")) is None


# Settings

INDEXED = {"AttributeDefinitions": [*MUSIC["AttributeDefinitions"], {"AttributeName": "genre", "AttributeType": "S"}],
           "GlobalSecondaryIndexes": [{"IndexName": "ByGenre", "Projection": {"ProjectionType": "ALL"},
                                       "KeySchema": [{"AttributeName": "genre", "KeyType": "HASH"}],
                                       "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}]}
POLICY = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0}}


def settings_of(client) -> dict[str, dict]:
    found = client.describe_global_table_settings(GlobalTableName="Music")
    assert found["GlobalTableName"] == "Music"
    return {replica["RegionName"]: replica for replica in found["ReplicaSettings"]}


def test_settings_are_described_by_replica(pretend):
    article = Article(pretend, **INDEXED)
    found = settings_of(article.there[VIRGINIA])
    off = {"AutoScalingDisabled": True}
    assert found[IRELAND] == {
        "RegionName": IRELAND, "ReplicaStatus": "ACTIVE", "ReplicaProvisionedReadCapacityUnits": 1,
        "ReplicaProvisionedReadCapacityAutoScalingSettings": off, "ReplicaProvisionedWriteCapacityUnits": 1,
        "ReplicaProvisionedWriteCapacityAutoScalingSettings": off, "ReplicaGlobalSecondaryIndexSettings": [
            {"IndexName": "ByGenre", "IndexStatus": "ACTIVE", "ProvisionedReadCapacityUnits": 1,
             "ProvisionedReadCapacityAutoScalingSettings": off, "ProvisionedWriteCapacityUnits": 1,
             "ProvisionedWriteCapacityAutoScalingSettings": off}]}
    assert set(found) == set(REGIONS)


def test_an_update_shows_every_member_updating_and_then_the_new_settings(pretend):
    article = Article(pretend, **INDEXED)
    answer = article.home.update_global_table_settings(
        GlobalTableName="Music", GlobalTableProvisionedWriteCapacityUnits=5,
        GlobalTableGlobalSecondaryIndexSettingsUpdate=[{
            "IndexName": "ByGenre", "ProvisionedWriteCapacityUnits": 4,
            "ProvisionedWriteCapacityAutoScalingSettingsUpdate": {"MinimumUnits": 2, "MaximumUnits": 20}}],
        GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate={
            "MinimumUnits": 5, "MaximumUnits": 50, "ScalingPolicyUpdate": POLICY},
        ReplicaSettingsUpdate=[{"RegionName": IRELAND, "ReplicaProvisionedReadCapacityUnits": 7,
                                "ReplicaTableClass": "STANDARD_INFREQUENT_ACCESS",
                                "ReplicaGlobalSecondaryIndexSettingsUpdate": [
                                    {"IndexName": "ByGenre", "ProvisionedReadCapacityUnits": 3}]}])
    assert {replica["ReplicaStatus"] for replica in answer["ReplicaSettings"]} == {"UPDATING"}
    assert {replica["ReplicaStatus"] for replica in settings_of(article.home).values()} == {"UPDATING"}
    with refused("ResourceInUseException", "The resource which you are attempting to change is in use."):
        article.home.update_global_table_settings(GlobalTableName="Music", GlobalTableProvisionedWriteCapacityUnits=6)
    article.pretend.wait(8)
    found = settings_of(article.there[IRELAND])
    assert found.keys() == article.there.keys()
    assert {replica["ReplicaStatus"] for replica in found.values()} == {"ACTIVE"}
    for region, replica in found.items():
        index, = replica["ReplicaGlobalSecondaryIndexSettings"]
        assert replica["ReplicaProvisionedWriteCapacityUnits"] == 5 and index["ProvisionedWriteCapacityUnits"] == 4
        assert replica["ReplicaProvisionedReadCapacityUnits"] == (7 if region == IRELAND else 1)
        assert index["ProvisionedReadCapacityUnits"] == (3 if region == IRELAND else 1)
        assert index["ProvisionedWriteCapacityAutoScalingSettings"]["MaximumUnits"] == 20
        assert ("ReplicaTableClassSummary" in replica) == (region == IRELAND)
        scaled = replica["ReplicaProvisionedWriteCapacityAutoScalingSettings"]
        assert (scaled["MinimumUnits"], scaled["MaximumUnits"], scaled["AutoScalingDisabled"]) == (5, 50, False)
        assert scaled["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"] == {"TargetValue": 70.0}
        throughput = article.there[region].describe_table(TableName="Music")["Table"]["ProvisionedThroughput"]
        assert throughput["WriteCapacityUnits"] == 5


def test_the_capacity_mode_is_changed_for_all_and_auto_scaling_is_switched_off_again(article):
    scaling = {"GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate": {"MinimumUnits": 1, "MaximumUnits": 9}}
    article.home.update_global_table_settings(GlobalTableName="Music", **scaling)
    article.pretend.wait(8)
    article.home.update_global_table_settings(
        GlobalTableName="Music", GlobalTableBillingMode="PAY_PER_REQUEST",
        GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate={"AutoScalingDisabled": True})
    article.pretend.wait(8)
    found = settings_of(article.home)
    assert found.keys() == article.there.keys()
    for replica in found.values():
        assert replica["ReplicaBillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert replica["ReplicaProvisionedWriteCapacityUnits"] == 0
        assert replica["ReplicaProvisionedWriteCapacityAutoScalingSettings"] == {"AutoScalingDisabled": True}


def test_on_the_instant_network_the_answer_to_an_update_shows_updating_too():
    article = Article(Pretend("instant"))
    answer = article.home.update_global_table_settings(
        GlobalTableName="Music", GlobalTableBillingMode="PAY_PER_REQUEST")
    assert {replica["ReplicaStatus"] for replica in answer["ReplicaSettings"]} == {"UPDATING"}
    assert {replica["ReplicaStatus"] for replica in settings_of(article.home).values()} == {"ACTIVE"}


@pytest.mark.parametrize(("asked", "code", "text"), [
    ({"ReplicaSettingsUpdate": [{"RegionName": "sa-east-1", "ReplicaProvisionedReadCapacityUnits": 2}]},
     "ReplicaNotFoundException", "Global table: 'Music' has no replica in Region: 'sa-east-1'."),
    ({"GlobalTableGlobalSecondaryIndexSettingsUpdate": [{"IndexName": "Nope", "ProvisionedWriteCapacityUnits": 2}]},
     "IndexNotFoundException",
     f"Index not found: Table: 'Music' in Region: '{SINGAPORE}' has no index: 'Nope'."),
    ({"GlobalTableProvisionedWriteCapacityUnits": 2, "ReplicaSettingsUpdate": [
        {"RegionName": SINGAPORE, "ReplicaGlobalSecondaryIndexSettingsUpdate": [{"IndexName": "Nope"}]}]},
     "IndexNotFoundException",
     f"Index not found: Table: 'Music' in Region: '{SINGAPORE}' has no index: 'Nope'."),
    ({"GlobalTableProvisionedWriteCapacityUnits": 0}, "ValidationException",
     "1 validation error detected: Value '0' at 'globalTableProvisionedWriteCapacityUnits' failed to satisfy "
     "constraint: Member must have value greater than or equal to 1"),
    ({"GlobalTableBillingMode": "FREE"}, "ValidationException",
     "1 validation error detected: Value 'FREE' at 'globalTableBillingMode' failed to satisfy constraint: Member must "
     "satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"),
    ({"GlobalTableBillingMode": "PAY_PER_REQUEST", "GlobalTableProvisionedWriteCapacityUnits": 2},
     "ValidationException", "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                            "PAY_PER_REQUEST"),
    ({"ReplicaSettingsUpdate": [{"RegionName": SINGAPORE}, {"RegionName": SINGAPORE}]}, "ValidationException",
     "One or more parameter values were invalid: RegionName is named more than once"),
    ({}, "ValidationException", "One or more parameter values were invalid: At least one setting is required"),
    ({"GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate": {"MinimumUnits": 9, "MaximumUnits": 2}},
     "ValidationException", "One or more parameter values were invalid: MaximumUnits cannot be less than MinimumUnits"),
])
def test_settings_that_make_no_sense_are_refused_and_change_nothing(article, asked, code, text):
    before = settings_of(article.home)
    with refused(code, text):
        article.home.update_global_table_settings(GlobalTableName="Music", **asked)
    assert settings_of(article.home) == before


def test_settings_of_an_unknown_global_table(pretend):
    client = pretend.client(SINGAPORE)
    client.create_table(**MUSIC)  # a table alone is none
    for call in (client.describe_global_table_settings, client.update_global_table_settings):
        with refused("GlobalTableNotFoundException", "Global table with name: 'Music' does not exist."):
            call(GlobalTableName="Music")


# The face of 2026


@pytest.fixture
def today(cloud):
    """``today(region)``: clients of a cloud of its own that refuses as AWS does today, and checks nothing itself."""
    def make(region: str = SINGAPORE):
        return boto3.client("dynamodb", region_name=region, endpoint_url=running.url, aws_access_key_id="1" * 12,
                            aws_secret_access_key="x", config=Config(
                                retries={"total_max_attempts": 1}, parameter_validation=False))

    with process.throwaway("instant", legacy_api="2026") as running:
        yield make


def test_create_global_table_is_refused_today(today):
    client = today()

    def create(*group, at=client):
        at.create_global_table(GlobalTableName="Music", ReplicationGroup=list(group))

    with refused("ValidationException",
                 "One or more parameter values were invalid: Global table must have atleast one replica"):
        create()
    with refused("ValidationException", "Invalid AWS Region: mars-north-1"):
        create({"RegionName": SINGAPORE}, {"RegionName": "mars-north-1"})
    with refused("ValidationException", "Invalid AWS Region: null"):
        create({})
    with refused("ValidationException", VERSION_TEXT):  # there is no such table, and nobody looks
        create({"RegionName": SINGAPORE}, {"RegionName": VIRGINIA})
    for region in (SINGAPORE, VIRGINIA):
        today(region).create_table(**MUSIC)
    with refused("ValidationException", VERSION_TEXT):  # nor does it help that everything is as it ought to be
        create({"RegionName": SINGAPORE}, {"RegionName": VIRGINIA})
    with refused("ValidationException",
                 "One or more parameter values were invalid: DynamoDB global tables version 2017.11.29 is not "
                 "supported in this region 'ap-south-1', supported regions are : [eu-west-2, eu-west-1, "
                 "ap-southeast-1, ap-southeast-2, ap-northeast-2, eu-central-1, ap-northeast-1, us-east-1, "
                 "us-east-2, us-west-1, us-west-2]"):
        create({"RegionName": SINGAPORE}, at=today("ap-south-1"))


def test_update_global_table_is_refused_today(today):
    client = today()

    def update(*updates):
        client.update_global_table(GlobalTableName="Music", ReplicaUpdates=list(updates))

    create, delete = {"Create": {"RegionName": VIRGINIA}}, {"Delete": {"RegionName": VIRGINIA}}
    with refused("ValidationException", VERSION_TEXT):
        update(create)
    with refused("ValidationException", VERSION_TEXT):
        update(delete, create)
    with refused("GlobalTableNotFoundException", NOT_FOUND):
        update(delete)
    with refused("ValidationException", "One or more parameter values were invalid"):
        update()
    with refused("ValidationException", "A ReplicaUpdate structure cannot contain both a create replica action and a "
                                        "delete replica action"):
        update(create | delete)
    for action in ("Create", "Delete"):
        with refused("ValidationException", "Invalid AWS Region: mars-north-1"):
            update({action: {"RegionName": "mars-north-1"}})


def test_the_other_legacy_calls_answer_today(today):
    client = today()
    with refused("GlobalTableNotFoundException", NOT_FOUND):
        client.describe_global_table(GlobalTableName="Music")
    for call in (client.describe_global_table_settings, client.update_global_table_settings):
        with refused("GlobalTableNotFoundException", "Global table with name: 'Music' does not exist."):
            call(GlobalTableName="Music")
    assert client.list_global_tables()["GlobalTables"] == []
    assert client.list_global_tables(RegionName=VIRGINIA)["GlobalTables"] == []
    with refused("ValidationException", "Invalid AWS Region: mars-north-1"):  # AWS answers 500
        client.list_global_tables(RegionName="mars-north-1")


def test_groups_that_are_there_go_on_replicating_but_are_not_shown(article):
    article.pretend.cloud.legacy.face = "2026"
    with refused("GlobalTableNotFoundException", NOT_FOUND):
        article.home.describe_global_table(GlobalTableName="Music")
    with refused("GlobalTableNotFoundException", NOT_FOUND):
        article.home.update_global_table(GlobalTableName="Music", ReplicaUpdates=[{"Delete": {"RegionName": VIRGINIA}}])
    with refused("GlobalTableNotFoundException", "Global table with name: 'Music' does not exist."):
        article.home.describe_global_table_settings(GlobalTableName="Music")
    assert article.home.list_global_tables()["GlobalTables"] == []
    article.home.put_item(TableName="Music", Item=song())
    article.settle()
    assert set(MARKS) <= set(article.everywhere())
    article.pretend.cloud.legacy.face = "historic"
    assert len(article.home.list_global_tables()["GlobalTables"][0]["ReplicationGroup"]) == 3


# The knob


@pytest.mark.server
def test_the_command_chooses_the_face_and_shows_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        done = subprocess.run([Path(sys.executable).with_name("gtlab"), *arguments], capture_output=True, text=True,
                              timeout=300)
        assert "Traceback" not in done.stderr
        return done

    assert run("up", "--legacy-api", "2017").returncode == 2
    try:
        assert run("up", "--network", "instant", "--legacy-api", "2026").returncode == 0
        assert "2017.11.29: 2026, refused" in run("status").stdout
        assert json.loads(run("status", "--json").stdout)["legacy_api"] == "2026"
        other = run("up", "--legacy-api", "historic")
        assert other.returncode == 1 and "legacy API 2026, not historic" in other.stderr
        assert "gtlab down" in other.stderr
        assert run("up").returncode == run("up", "--legacy-api", "2026").returncode == 0
        assert not gtlab.connect().legacy_api
    finally:
        process.down()
    try:
        assert process.up()[0].legacy_api == "2026"  # as it was
        process.down()
        assert process.up(legacy_api="historic")[0].legacy_api == "historic"
        assert "2017.11.29: historic, as they worked" in run("status").stdout
    finally:
        process.down()


def put_face(cloud: process.Running, body: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(f"{cloud.url}/_gtlab/v1/legacy-api", method="PUT", data=body,
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_control_api_changes_the_face(cloud, client):
    with urllib.request.urlopen(f"{cloud.url}/_gtlab/v1/legacy-api", timeout=60) as answer:
        assert json.load(answer) == {"face": "historic", "faces": ["historic", "2026"]}
    for body in (b"", b"{", b"[]", b'"2026"', b"{}", b'{"face": "2017"}', b'{"face": ["2026"]}', b'{"face": 2026}',
                 b"\xff"):
        status, answer = put_face(cloud, body)
        assert status == 400 and "historic, 2026" in answer["message"]
    assert process.find().legacy_api == "historic"
    try:
        assert put_face(cloud, b'{"face": "2026"}') == (200, {"face": "2026", "faces": ["historic", "2026"]})
        assert process.find().legacy_api == "2026"
        with refused("ValidationException", VERSION_TEXT):
            client(SINGAPORE).create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": SINGAPORE}])
    finally:
        assert put_face(cloud, b'{"face": "historic"}')[0] == 200
    with pytest.raises(ClientError, match="TableNotFoundException"):
        client(SINGAPORE).create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": SINGAPORE}])


def test_the_lab_changes_the_face_for_a_block(cloud, capsys):
    lab = gtlab.connect()
    group = {"GlobalTableName": "LegacyFace", "ReplicationGroup": [{"RegionName": SINGAPORE}]}
    with lab.legacy_face("2026"), lab.expect("ValidationException", because="closed"):
        assert not lab.legacy_api
        lab.client(SINGAPORE).create_global_table(**group)
    assert capsys.readouterr().out == f"ValidationException: {VERSION_TEXT}\n→ closed\n"
    assert lab.legacy_api and process.find().legacy_api == "historic"
    with pytest.raises(ZeroDivisionError), lab.legacy_face("2026"):
        _ = 1 / 0
    assert process.find().legacy_api == "historic"
    with lab.legacy_face("2026"), lab.legacy_face("historic"):
        assert process.find().legacy_api == "historic"
    assert process.find().legacy_api == "historic"
    with pytest.raises(ValueError, match=r"There is no legacy API '2017'\. Choose one of: historic, 2026"), \
            lab.legacy_face("2017"):
        pass
    elsewhere = gtlab.connect(dict.fromkeys(lab.regions, "http://127.0.0.1:1"))
    with pytest.raises(ValueError, match="works on the local cloud only; this lab is on other endpoints"), \
            elsewhere.legacy_face("2026"):
        pass


# The learner's half


@pytest.mark.server
def test_looking_compares_the_customers_attributes_only(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    with process.throwaway("instant"):
        lab = gtlab.connect()
        stages.ensure_global_table(lab)
        lab.client(lab.home).put_item(TableName="Music", Item=song(genre="pop"))
        wait_until(lambda: set(MARKS) <= set(read_all(lab.client(IRELAND), song()) or {}), "the item with its marks")
        found = read_all(lab.client(IRELAND), song())
        there = dict.fromkeys(lab.regions, "there")
        assert watch.look(lab, "Music", watch.own(song()), equals=song(genre="pop")) == there
        assert watch.look(lab, "Music", watch.own(song()), equals=found) == there
        assert watch.look(lab, "Music", watch.own(song()), equals=song()) == dict.fromkeys(lab.regions, "older")
        wait_active(lab.client(IRELAND))
