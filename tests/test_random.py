"""Random calls on three Regions, all APIs mixed: none answered with a 5xx, and all replicas end alike."""

from __future__ import annotations

import random

import pytest
from botocore.exceptions import ClientError
from support import SOAK, seed

from gtlab.course.stages import MUSIC

pytestmark = pytest.mark.slow

REGIONS = ("ap-southeast-1", "us-east-1", "eu-west-1")
OPERATIONS = 20_000 if SOAK else 1_000
NAMES = [f"artist {number}" for number in range(30)]


class Crowd:
    """Somebody who calls everything, everywhere, without a plan but the seed's."""

    def __init__(self, pretend, seed: int, ttl: bool):
        self.pretend, self.chance, self.ttl = pretend, random.Random(seed), ttl
        self.clients = [pretend.client(region) for region in REGIONS]
        self.done = self.refused = 0

    def key(self) -> dict:
        return {"Artist": {"S": self.chance.choice(NAMES)}, "SongTitle": {"S": self.chance.choice("ab")}}

    def item(self) -> dict:
        return self.key() | {"n": {"N": str(self.chance.randrange(100))},
                             "until": {"N": str(int(self.pretend.now) + self.chance.randrange(-300, 3000))}}

    def act(self) -> None:
        """One call, and a little time."""
        name, arguments = self.chance.choice(self.choices())()
        at = self.chance.randrange(3)
        try:
            answer = getattr(self.clients[at], name)(**arguments)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
            self.done += 1
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error
            assert error.response["Error"]["Code"] and "cannot carry out" not in str(error), error
            self.refused += 1
        self.pretend.wait(self.chance.expovariate(5.0))

    def choices(self) -> list:
        music = {"TableName": "Music"}
        one = {":one": {"N": "1"}}
        return [
            lambda: ("put_item", music | {"Item": self.item()}),
            lambda: ("put_item", music | {"Item": self.item(), "ConditionExpression": "attribute_not_exists(Artist)"}),
            lambda: ("update_item", music | {"Key": self.key(), "UpdateExpression": "ADD n :one",
                                             "ExpressionAttributeValues": one}),
            lambda: ("update_item", music | {"Key": self.key(), "UpdateExpression": "REMOVE n"}),
            lambda: ("delete_item", music | {"Key": self.key()}),
            lambda: ("delete_item", music | {"Key": self.key(), "ConditionExpression": "n > :one",
                                             "ExpressionAttributeValues": one}),
            lambda: ("batch_write_item", {"RequestItems": {"Music": [
                {"PutRequest": {"Item": self.item()}}, {"DeleteRequest": {"Key": self.key()}}]}}),
            lambda: ("transact_write_items", {"TransactItems": [
                {"Put": music | {"Item": self.item()}}, {"Delete": music | {"Key": self.key()}},
                {"ConditionCheck": music | {"Key": self.key(), "ConditionExpression": "attribute_exists(Artist)"}}]}),
            lambda: ("execute_statement", {"Statement": f"UPDATE Music SET n = {self.chance.randrange(9)} WHERE Artist "
                                                        f"= '{self.chance.choice(NAMES)}' AND SongTitle = 'a'"}),
            lambda: ("execute_statement", {"Statement": "DELETE FROM Music WHERE Artist = "
                                                        f"'{self.chance.choice(NAMES)}' AND SongTitle = 'b'"}),
            lambda: ("get_item", music | {"Key": self.key(), "ConsistentRead": self.chance.random() < 0.5}),
            lambda: ("scan", music | {"Limit": 5}),
            lambda: ("query", music | {"KeyConditionExpression": "Artist = :a", "ExpressionAttributeValues": {
                ":a": {"S": self.chance.choice(NAMES)}}}),
            lambda: ("transact_get_items", {"TransactItems": [{"Get": music | {"Key": self.key()}}]}),
            lambda: ("describe_table", music),
            lambda: ("list_tables", {}),
            lambda: ("update_time_to_live", music | {"TimeToLiveSpecification": {
                "Enabled": self.chance.random() < 0.5, "AttributeName": "until"}}) if self.ttl else (
                    "describe_time_to_live", music),
            lambda: ("update_table", music | {"DeletionProtectionEnabled": False}),
            lambda: ("describe_global_table", {"GlobalTableName": "Music"}),
            lambda: ("create_global_table", {"GlobalTableName": "Music", "ReplicationGroup": [
                {"RegionName": self.chance.choice(REGIONS)}]}),
            lambda: ("update_global_table", {"GlobalTableName": "Music", "ReplicaUpdates": [
                {"Create": {"RegionName": self.chance.choice(REGIONS)}}]}),
            lambda: ("update_table", music | {"ReplicaUpdates": [{"Create": {"RegionName": self.chance.choice(
                REGIONS)}}]}),
            lambda: ("update_table", music | {"ReplicaUpdates": [{"Delete": {"RegionName": "sa-east-1"}}]}),
        ]

    def contents(self, at: int) -> list[dict]:
        return sorted(self.clients[at].scan(TableName="Music")["Items"], key=str)


@pytest.mark.soak
@pytest.mark.long(12)
@pytest.mark.parametrize("version", ["2017.11.29", "2019.11.21"])
def test_all_replicas_are_identical_in_the_end(pretend, version):
    # The legacy version does not replicate TTL's deletes: its replicas would differ, as they did.
    crowd = Crowd(pretend, seed=seed(20261123), ttl=version == "2019.11.21")
    if version == "2017.11.29":
        for client in crowd.clients:
            client.create_table(**MUSIC)
        crowd.clients[0].create_global_table(GlobalTableName="Music", ReplicationGroup=[
            {"RegionName": region} for region in REGIONS])
        pretend.wait(30)
    else:
        crowd.clients[0].create_table(**{name: value for name, value in MUSIC.items() if name not in (
            "ProvisionedThroughput", "StreamSpecification")}, BillingMode="PAY_PER_REQUEST")
        for region in REGIONS[1:]:
            pretend.wait(30)
            crowd.clients[0].update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": region}}])
        pretend.wait(30)
    for _ in range(OPERATIONS):
        crowd.act()
    for client in crowd.clients:  # nothing expires any more
        status = client.describe_time_to_live(TableName="Music")["TimeToLiveDescription"]["TimeToLiveStatus"]
        if status == "ENABLED":
            client.update_time_to_live(TableName="Music", TimeToLiveSpecification={
                "Enabled": False, "AttributeName": "until"})
            pretend.wait(60)
    pretend.wait(300)
    assert crowd.done > OPERATIONS // 2 and crowd.refused > OPERATIONS // 10
    assert crowd.contents(0) == crowd.contents(1) == crowd.contents(2) != []
