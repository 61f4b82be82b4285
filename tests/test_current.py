"""Global tables of version 2019.11.21, through boto3, on the realistic network under a pretend clock.

Times and texts are those observed on the service; docs/rules.md says which test shows which rule.
"""

from __future__ import annotations

import pytest
from support import (
    IRELAND,
    KEY,
    OHIO,
    VIRGINIA,
    add,
    entries,
    gone,
    invalid,
    item,
    records,
    refused,
    remove,
    replicas,
    table,
)
from support import ON_DEMAND as TABLE

from gtlab.localcloud.globaltables.schedule import NAMES, Event, Schedule
from gtlab.localcloud.model import NO_SORT_KEY, TableId

PROVISIONED = TABLE | {"BillingMode": "PROVISIONED",
                       "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
MORE_THAN_ONE = "more than one create or delete replica actions not allowed"


@pytest.fixture
def trio(pretend, ohio):
    """Clients of Ohio, Virginia and Ireland; Ohio added the two others, one after the other."""
    for region in (VIRGINIA, IRELAND):
        add(ohio, region)
        pretend.wait(30)
    return ohio, pretend.client(VIRGINIA), pretend.client(IRELAND)


def test_one_call_makes_the_replica_and_its_statuses_follow(pretend, ohio):
    virginia = pretend.client(VIRGINIA)
    answer = add(ohio, VIRGINIA)
    assert (answer["TableStatus"], answer["Replicas"]) == ("UPDATING", [])
    assert answer["GlobalTableVersion"] == "2019.11.21"
    assert answer["GlobalTableSettingsReplicationMode"] == "ENABLED_WITH_OVERRIDES"
    with gone():
        table(virginia)
    pretend.wait(8)
    assert entries(ohio) == {VIRGINIA: "CREATING"} and table(ohio)["TableStatus"] == "UPDATING"
    pretend.wait(5)
    assert table(virginia)["TableStatus"] == "CREATING" and entries(virginia) == {OHIO: "ACTIVE"}
    with gone():  # every call but DescribeTable
        item(virginia)
    ohio.put_item(TableName="Music", Item=KEY)  # the source serves while it is UPDATING
    pretend.wait(17)
    assert table(ohio)["TableStatus"] == table(virginia)["TableStatus"] == "ACTIVE"
    assert entries(ohio) == {VIRGINIA: "ACTIVE"}
    assert table(ohio)["Replicas"][0]["WarmThroughput"]["Status"] == "ACTIVE"
    assert item(virginia) == KEY  # a write made during creation arrives too


def test_each_region_lists_the_others_and_is_a_table_of_its_own(pretend, trio):
    ohio, virginia, ireland = trio
    assert list(entries(ohio)) == [VIRGINIA, IRELAND]
    assert set(entries(virginia)) == {OHIO, IRELAND} and set(entries(ireland)) == {OHIO, VIRGINIA}
    tables = [table(client) for client in trio]
    for own in ("TableId", "TableArn", "LatestStreamArn", "LatestStreamLabel", "CreationDateTime"):
        assert len({str(each[own]) for each in tables}) == 3, own
    assert all("MultiRegionConsistency" not in each for each in tables)  # shown only when STRONG
    with gone():
        table(pretend.client("sa-east-1"))  # no member


def test_a_regional_table_has_no_group_keys(ohio):
    assert not {"GlobalTableVersion", "Replicas", "MultiRegionConsistency", "GlobalTableWitnesses",
                "GlobalTableSettingsReplicationMode"} & set(table(ohio))


def test_existing_items_are_backfilled_while_writes_go_on(pretend, ohio):
    for number in range(20):
        ohio.put_item(TableName="Music", Item={"Artist": {"S": str(number)}, "v": {"N": "1"}})
    add(ohio, VIRGINIA)
    pretend.wait(100)
    assert table(ohio)["TableStatus"] == "UPDATING"  # with data it takes nine minutes and more
    ohio.put_item(TableName="Music", Item={"Artist": {"S": "0"}, "v": {"N": "2"}})
    ohio.delete_item(TableName="Music", Key={"Artist": {"S": "1"}})
    pretend.wait(130)  # the table is there by now
    ohio.put_item(TableName="Music", Item={"Artist": {"S": "2"}, "v": {"N": "2"}})
    ohio.delete_item(TableName="Music", Key={"Artist": {"S": "3"}})
    pretend.wait(500)
    virginia = pretend.client(VIRGINIA)
    assert table(virginia)["TableStatus"] == "ACTIVE"
    here, there = (sorted(client.scan(TableName="Music")["Items"], key=str) for client in (ohio, virginia))
    assert here == there and len(here) == 18


def fill(client, count: int) -> None:
    for first in range(0, count, 25):
        client.batch_write_item(RequestItems={"Music": [
            {"PutRequest": {"Item": {"Artist": {"S": str(n)}, "v": {"N": "1"}}}} for n in range(first, first + 25)]})


def everything(client) -> list[dict]:
    return sorted(client.scan(TableName="Music")["Items"], key=str)


def test_a_large_table_is_sent_to_a_new_replica_in_slices_and_it_is_ready_afterwards(pretend, ohio):
    """Other calls are answered between two slices, and what they write is in both Regions in the end."""
    fill(ohio, 1000)
    add(ohio, VIRGINIA)
    virginia, created = pretend.client(VIRGINIA), 0.0
    while not pretend.cloud.tables.exists(TableId("1" * 12, VIRGINIA, "Music")):
        pretend.wait(5)
        created += 5
    counts = []
    for number in range(4):  # each call lets one slice be sent
        counts.append(pretend.cloud.replication.links.waiting())
        ohio.put_item(TableName="Music", Item={"Artist": {"S": str(800 + number)}, "v": {"N": "2"}})
        ohio.delete_item(TableName="Music", Key={"Artist": {"S": str(number)}})
    assert 0 < counts[0] < counts[-1] < 1000
    assert table(virginia)["TableStatus"] == table(ohio)["Replicas"][0]["ReplicaStatus"] == "CREATING"
    while table(virginia)["TableStatus"] != "ACTIVE":
        pretend.wait(5)
    pretend.wait(60)
    assert everything(virginia) == everything(ohio) and len(everything(ohio)) == 996
    assert pretend.cloud.replication.links.waiting() == 0


def test_items_that_were_there_before_keep_their_time_while_they_are_adopted(pretend, ohio):
    """A write that comes before an old item's turn is newer than the item, also if the clock was set back."""
    fill(ohio, 1200)
    add(ohio, VIRGINIA)
    pretend.now -= 2
    ohio.put_item(TableName="Music", Item={"Artist": {"S": "1199"}, "v": {"N": "2"}})
    group = next(iter(pretend.cloud.groups))
    written = pretend.cloud.replication.version(group.id, OHIO, ("1199", NO_SORT_KEY))
    while pretend.cloud.tables.slices:
        pretend.wait(1)
    first = pretend.cloud.replication.version(group.id, OHIO, ("0", NO_SORT_KEY))
    last = pretend.cloud.replication.version(group.id, OHIO, ("1198", NO_SORT_KEY))
    assert first == last < written
    pretend.wait(1000)
    virginia = pretend.client(VIRGINIA)
    while table(virginia)["TableStatus"] != "ACTIVE":
        pretend.wait(30)
    pretend.wait(60)
    assert everything(virginia) == everything(ohio)


def test_writes_replicate_both_ways_and_the_last_writer_wins(pretend, trio):
    ohio, virginia, ireland = trio
    ohio.put_item(TableName="Music", Item=KEY | {"first": {"S": "ohio"}})
    pretend.wait(0.001)
    virginia.put_item(TableName="Music", Item=KEY | {"second": {"S": "virginia"}})
    assert item(ireland) is None
    pretend.wait(10)
    assert item(ohio) == item(virginia) == item(ireland) == KEY | {"second": {"S": "virginia"}}  # the whole item


def test_of_two_writes_at_the_same_microsecond_the_later_region_in_the_alphabet_wins(pretend, trio):
    ohio, virginia, _ = trio
    for client in (ohio, virginia):
        client.put_item(TableName="Music", Item=KEY | {"by": {"S": client.meta.region_name}})
    pretend.wait(10)
    assert item(ohio)["by"] == item(virginia)["by"] == {"S": OHIO}


def test_a_write_that_changes_nothing_takes_no_part(pretend, trio):
    ohio, virginia, _ = trio
    ohio.put_item(TableName="Music", Item=KEY | {"v": {"N": "1"}})
    pretend.wait(10)
    ohio.put_item(TableName="Music", Item=KEY | {"v": {"N": "2"}})
    pretend.wait(0.001)
    virginia.put_item(TableName="Music", Item=KEY | {"v": {"N": "1"}})  # later, but what it has there already
    virginia.delete_item(TableName="Music", Key={"Artist": {"S": "nothing"}})
    pretend.wait(10)
    assert item(ohio) == item(virginia) == KEY | {"v": {"N": "2"}}


def test_conditions_see_the_local_version_and_counters_lose_increments(pretend, trio):
    ohio, virginia, _ = trio
    for client in (ohio, virginia):  # both pass
        client.put_item(TableName="Music", Item=KEY, ConditionExpression="attribute_not_exists(Artist)")
    pretend.wait(10)
    for client in (ohio, virginia):
        client.update_item(TableName="Music", Key=KEY, UpdateExpression="ADD n :one",
                           ExpressionAttributeValues={":one": {"N": "1"}})
        pretend.wait(0.001)
    pretend.wait(10)
    assert item(ohio)["n"] == item(virginia)["n"] == {"N": "1"}


def test_a_batch_of_two_makes_two_records_in_each_regions_stream(pretend, trio):
    ohio = trio[0]
    ohio.batch_write_item(RequestItems={"Music": [
        {"PutRequest": {"Item": {"Artist": {"S": name}}}} for name in ("one", "two")]})
    pretend.wait(10)
    for client in trio:
        region = client.meta.region_name
        found = records(pretend.client(region, "dynamodbstreams"), table(client)["LatestStreamArn"])
        assert [record["eventName"] for record in found] == ["INSERT", "INSERT"]
        assert {record["awsRegion"] for record in found} == {region}


def test_a_transaction_arrives_item_by_item(pretend, trio):
    ohio, virginia, _ = trio
    names = [str(number) for number in range(40)]
    ohio.transact_write_items(TransactItems=[
        {"Put": {"TableName": "Music", "Item": {"Artist": {"S": name}}}} for name in names])
    pretend.wait(0.45)
    half = virginia.scan(TableName="Music")["Count"]
    pretend.wait(10)
    assert 0 < half < 40 and virginia.scan(TableName="Music")["Count"] == 40


def test_a_stream_is_switched_on_and_another_view_type_is_kept(pretend, ohio):
    assert "LatestStreamArn" not in table(ohio)
    add(ohio, VIRGINIA)
    assert table(ohio)["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    with invalid("Disabling Stream is not allowed for a Global Table replica"):
        pretend.wait(30)
        ohio.update_table(TableName="Music", StreamSpecification={"StreamEnabled": False})
    with invalid("Table already has an enabled stream: TableName: Music"):
        ohio.update_table(TableName="Music", StreamSpecification={"StreamEnabled": True,
                                                                  "StreamViewType": "KEYS_ONLY"})


def test_a_replica_copies_its_sources_view_type(pretend):
    ohio = pretend.client(OHIO)
    ohio.create_table(**TABLE, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    pretend.wait(15)
    add(ohio, VIRGINIA)
    pretend.wait(30)
    assert table(pretend.client(VIRGINIA))["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"


def test_removing_deletes_the_table_and_the_region_can_be_added_again(pretend, trio):
    ohio, virginia, _ = trio
    label = table(virginia)["LatestStreamLabel"]
    assert remove(ohio, VIRGINIA)["TableStatus"] == "ACTIVE"
    assert table(ohio)["TableStatus"] == "UPDATING"
    pretend.wait(60)
    assert (table(ohio)["TableStatus"], entries(ohio)) == ("ACTIVE", {VIRGINIA: "DELETING", IRELAND: "ACTIVE"})
    with invalid("because one or more replicas already existed as tables"):
        add(ohio, VIRGINIA)
    pretend.wait(190)
    assert entries(ohio) == {IRELAND: "ACTIVE"}
    pretend.wait(35)
    with gone():
        table(virginia)
    add(ohio, VIRGINIA)
    pretend.wait(30)
    assert table(virginia)["TableStatus"] == "ACTIVE" and table(virginia)["LatestStreamLabel"] != label


def test_group_keys_vanish_with_the_last_other_replica_and_the_stream_stays(pretend, ohio):
    add(ohio, VIRGINIA)
    pretend.wait(30)
    remove(ohio, VIRGINIA)
    pretend.wait(300)
    assert not {"GlobalTableVersion", "Replicas", "GlobalTableSettingsReplicationMode"} & set(table(ohio))
    assert table(ohio)["StreamSpecification"]["StreamEnabled"]
    ohio.delete_table(TableName="Music")


def test_delete_table_in_a_member_region_leaves_the_group(pretend, trio):
    ohio, virginia, ireland = trio
    virginia.delete_table(TableName="Music")
    assert entries(ohio)[VIRGINIA] == "DELETING"
    pretend.wait(60)
    assert list(entries(ohio)) == [IRELAND]
    ohio.put_item(TableName="Music", Item=KEY)
    pretend.wait(10)
    assert item(ireland) == KEY


def test_a_source_of_replicas_cannot_be_deleted_for_a_day_while_they_exist(pretend, trio):
    ohio, virginia, _ = trio
    rule = "acted as a source region for new replica"
    with invalid(rule):
        ohio.delete_table(TableName="Music")
    with invalid(rule):
        remove(virginia, OHIO)
    pretend.wait(24 * 3600)
    remove(virginia, OHIO)
    pretend.wait(60)
    with gone():
        item(ohio)


def test_leaf_first_always_works(pretend, trio):
    ohio = trio[0]
    for region in (IRELAND, VIRGINIA):
        remove(ohio, region)
        pretend.wait(300)
    ohio.delete_table(TableName="Music")
    pretend.wait(10)
    for client in trio:
        assert client.list_tables()["TableNames"] == []


def test_deletion_protection_is_each_regions_own(pretend, trio):
    ohio, virginia, _ = trio
    virginia.update_table(TableName="Music", DeletionProtectionEnabled=True)
    assert not table(ohio)["DeletionProtectionEnabled"]
    with invalid("Cannot delete table Music in region us-east-1 because it has deletion protection enabled"):
        remove(ohio, VIRGINIA)


@pytest.fixture
def by_genre(pretend):
    """Ohio's client, with a provisioned table Music that has the index ByGenre."""
    ohio = pretend.client(OHIO)
    index = {"IndexName": "ByGenre", "KeySchema": [{"AttributeName": "genre", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"},
             "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
    ohio.create_table(**PROVISIONED | {"AttributeDefinitions": [
        *TABLE["AttributeDefinitions"], {"AttributeName": "genre", "AttributeType": "S"}],
        "GlobalSecondaryIndexes": [index], "SSESpecification": {
            "Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "ohios"}})
    pretend.wait(15)
    return ohio


def scale_writes(scaling, resource: str) -> None:
    kind = "index" if "index" in resource else "table"
    target = {"ServiceNamespace": "dynamodb", "ResourceId": resource,
              "ScalableDimension": f"dynamodb:{kind}:WriteCapacityUnits"}
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=10)
    scaling.put_scaling_policy(**target, PolicyName="half", PolicyType="TargetTrackingScaling",
                               TargetTrackingScalingPolicyConfiguration={"TargetValue": 50.0})


def test_capacity_has_to_scale_by_itself(pretend, by_genre):
    ohio, scaling = by_genre, pretend.client(OHIO, "application-autoscaling")
    for resource, kind in (("table/Music", "table"), ("table/Music/index/ByGenre", "index")):
        with invalid(f"{'Table' if kind == 'table' else 'GSI'} write capacity should either be Pay-Per-Request or "
                     "AutoScaled"):
            add(ohio, VIRGINIA)
        scale_writes(scaling, resource)
    add(ohio, VIRGINIA)
    pretend.wait(30)
    assert [each["IndexName"] for each in table(pretend.client(VIRGINIA))["GlobalSecondaryIndexes"]] == ["ByGenre"]
    there = pretend.client(VIRGINIA, "application-autoscaling")
    assert len(there.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]) == 2


def test_shared_settings_follow_and_overrides_stay(pretend, trio):
    ohio, virginia, ireland = trio
    ohio.update_table(TableName="Music", OnDemandThroughput={"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": 40})
    assert table(virginia)["TableStatus"] == "UPDATING"
    pretend.wait(40)
    assert table(virginia)["OnDemandThroughput"] == {"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": 40}
    replicas(ohio, {"Update": {"RegionName": VIRGINIA, "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}})
    assert entries(ohio)[VIRGINIA] == "UPDATING"
    pretend.wait(40)
    assert table(virginia)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert "TableClassSummary" not in table(ireland)
    ohio.update_table(TableName="Music", AttributeDefinitions=[
        *TABLE["AttributeDefinitions"], {"AttributeName": "genre", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": {
            "IndexName": "ByGenre", "KeySchema": [{"AttributeName": "genre", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}}}])
    pretend.wait(40)
    assert [each["IndexName"] for each in table(ireland)["GlobalSecondaryIndexes"]] == ["ByGenre"]


def units(read: int, write: int) -> dict:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def test_a_replicas_own_settings_apply_to_its_indexes_and_only_there(pretend, by_genre):
    ohio, virginia = by_genre, pretend.client(VIRGINIA)
    for resource in ("table/Music", "table/Music/index/ByGenre"):
        scale_writes(pretend.client(OHIO, "application-autoscaling"), resource)
    own = {"ProvisionedThroughputOverride": {"ReadCapacityUnits": 9}, "KMSMasterKeyId": "virginias",
           "GlobalSecondaryIndexes": [{"IndexName": "ByGenre",
                                       "ProvisionedThroughputOverride": {"ReadCapacityUnits": 7}}]}
    add(ohio, VIRGINIA, **own)
    pretend.wait(60)

    def reads_and_writes(client) -> list[tuple[int, int]]:
        described = table(client)
        found = [each["ProvisionedThroughput"] for each in (described, *described["GlobalSecondaryIndexes"])]
        return [(each["ReadCapacityUnits"], each["WriteCapacityUnits"]) for each in found]
    assert (reads_and_writes(ohio), reads_and_writes(virginia)) == ([(1, 1), (1, 1)], [(9, 1), (7, 1)])
    assert table(ohio)["Replicas"][0].items() >= own.items() and "KMSMasterKeyId" not in table(virginia)["Replicas"][0]
    keys = [table(client)["SSEDescription"]["KMSMasterKeyArn"].rpartition("/")[2] for client in (ohio, virginia)]
    assert keys == ["ohios", "virginias"]
    ohio.update_table(TableName="Music", ProvisionedThroughput=units(5, 6), GlobalSecondaryIndexUpdates=[
        {"Update": {"IndexName": "ByGenre", "ProvisionedThroughput": units(3, 4)}}])
    pretend.wait(60)
    assert (reads_and_writes(ohio), reads_and_writes(virginia)) == ([(5, 6), (3, 4)], [(9, 6), (7, 4)])
    virginia.update_table(TableName="Music", GlobalSecondaryIndexUpdates=[
        {"Update": {"IndexName": "ByGenre", "ProvisionedThroughput": units(8, 4)}}])
    assert table(ohio)["Replicas"][0]["GlobalSecondaryIndexes"][0]["ProvisionedThroughputOverride"] == {
        "ReadCapacityUnits": 8}
    pretend.wait(60)
    ohio.update_table(TableName="Music", BillingMode="PAY_PER_REQUEST")
    pretend.wait(60)
    assert not {"ProvisionedThroughputOverride", "GlobalSecondaryIndexes"} & set(table(ohio)["Replicas"][0])
    ohio.update_table(TableName="Music", SSESpecification={"Enabled": False})
    pretend.wait(60)
    pretend.wait(60)
    assert "SSEDescription" not in table(virginia) and "KMSMasterKeyId" not in table(ohio)["Replicas"][0]


BY_ARTIST = {"AttributeDefinitions": TABLE["AttributeDefinitions"], "GlobalSecondaryIndexes": [{
    "IndexName": "ByArtist", "KeySchema": TABLE["KeySchema"], "Projection": {"ProjectionType": "ALL"},
    "OnDemandThroughput": {"MaxReadRequestUnits": 30, "MaxWriteRequestUnits": 40}}]}
OF_VIRGINIA = {"GlobalSecondaryIndexes": [{
    "IndexName": "ByArtist", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 50}}]}


def indexes(client) -> list[tuple[str, int, int]]:
    return [(each["IndexName"], *each["OnDemandThroughput"].values())
            for each in table(client).get("GlobalSecondaryIndexes", ())]


def test_a_replicas_index_has_the_on_demand_limits_of_its_source_and_its_own(pretend):
    ohio, virginia = pretend.client(OHIO), pretend.client(VIRGINIA)
    ohio.create_table(**TABLE | BY_ARTIST)
    pretend.wait(20)
    add(ohio, VIRGINIA, **OF_VIRGINIA)
    pretend.wait(60)
    assert (indexes(ohio), indexes(virginia)) == ([("ByArtist", 30, 40)], [("ByArtist", 50, 40)])
    for update in ({"Delete": {"IndexName": "ByArtist"}}, {"Create": BY_ARTIST["GlobalSecondaryIndexes"][0]}):
        ohio.update_table(TableName="Music", AttributeDefinitions=TABLE["AttributeDefinitions"],
                          GlobalSecondaryIndexUpdates=[update])
        pretend.wait(2000)
    assert indexes(virginia) == [("ByArtist", 30, 40)]  # another index of that name, without a setting of its own
    assert "GlobalSecondaryIndexes" not in table(ohio)["Replicas"][0]


def test_ttl_settings_are_shared_and_tags_are_not(pretend, trio):
    ohio, virginia, _ = trio
    ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    assert {table(client)["TableStatus"] for client in trio} == {"UPDATING"}
    ohio.tag_resource(ResourceArn=table(ohio)["TableArn"], Tags=[{"Key": "team", "Value": "music"}])
    pretend.wait(40)
    described = virginia.describe_time_to_live(TableName="Music")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    assert virginia.list_tags_of_resource(ResourceArn=table(virginia)["TableArn"])["Tags"] == []


def test_an_expired_item_is_deleted_once_and_replicated_as_a_delete(pretend, trio):
    ohio, virginia, _ = trio
    ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    pretend.wait(40)
    ohio.put_item(TableName="Music", Item=KEY | {"until": {"N": str(int(pretend.now) + 5)}})
    pretend.wait(3)
    assert item(virginia)
    for _ in range(200):
        pretend.wait(1)
    assert item(ohio) is None and item(virginia) is None
    who = []
    for client in (ohio, virginia):
        found = records(pretend.client(client.meta.region_name, "dynamodbstreams"), table(client)["LatestStreamArn"])
        who.append([record.get("userIdentity", {}).get("PrincipalId") for record in found
                    if record["eventName"] == "REMOVE"])
    assert who == [["dynamodb.amazonaws.com"], [None]]


def test_a_new_replica_has_its_sources_ttl(pretend, ohio):
    ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    add(ohio, VIRGINIA)
    pretend.wait(30)
    described = pretend.client(VIRGINIA).describe_time_to_live(TableName="Music")["TimeToLiveDescription"]
    assert described["AttributeName"] == "until"


def test_disassociate_waits_for_replication(pretend, trio):
    ohio, virginia, _ = trio
    virginia.update_table(TableName="Music", DisassociationProtectionEnabled=False)
    pretend.cloud.world.turn("partition", (OHIO, VIRGINIA))
    ohio.put_item(TableName="Music", Item=KEY)
    replicas(virginia, {"Disassociate": {"RegionName": VIRGINIA, "DisassociationMode": "WAIT_FOR_REPLICATION"}})
    pretend.wait(120)
    assert "Replicas" in table(virginia)
    pretend.cloud.world.turn_back("partition", (OHIO, VIRGINIA))
    pretend.wait(5)
    assert item(virginia) == KEY and "Replicas" not in table(virginia)


def test_disassociate_keeps_the_table(pretend, trio):
    ohio, virginia, _ = trio
    leave = {"Disassociate": {"RegionName": VIRGINIA, "DisassociationMode": "WAIT_FOR_REPLICATION"}}
    with invalid("disassociation protection"):
        replicas(virginia, leave)
    virginia.update_table(TableName="Music", DisassociationProtectionEnabled=False)
    with invalid("must name the local region"):
        replicas(ohio, leave)
    ohio.put_item(TableName="Music", Item=KEY)
    replicas(virginia, leave)
    pretend.wait(60)
    assert item(virginia) == KEY and "Replicas" not in table(virginia)
    assert list(entries(ohio)) == [IRELAND]
    ohio.delete_item(TableName="Music", Key=KEY)
    pretend.wait(10)
    assert item(virginia) == KEY


@pytest.mark.parametrize(("updates", "more", "text"), [
    ([{"Create": {"RegionName": "sa-east-1"}}, {"Create": {"RegionName": "eu-west-2"}}], {}, MORE_THAN_ONE),
    ([{"Delete": {"RegionName": VIRGINIA}}, {"Delete": {"RegionName": IRELAND}}], {}, MORE_THAN_ONE),
    ([{"Create": {"RegionName": "sa-east-1"}}, {"Delete": {"RegionName": VIRGINIA}}], {},
     "more than one type of replica actions not allowed."),
    ([{"Create": {"RegionName": "sa-east-1"}}], {"DeletionProtectionEnabled": True},
     "Replica modification must be the only operation in the request"),
    ([{"Create": {"RegionName": VIRGINIA}}], {}, "because one or more replicas already existed as tables."),
    ([{"Delete": {"RegionName": "ca-central-1"}}], {},
     r"Please retry the request without these replicas: \[ca-central-1\]."),
    ([{"Update": {"RegionName": "ca-central-1"}}], {}, r"without these replicas: \[ca-central-1\]."),
    ([{"Create": {"RegionName": OHIO}}], {}, "Cannot add or delete the local region through ReplicaUpdates."),
    ([{"Delete": {"RegionName": OHIO}}], {}, "Cannot add or delete the local region through ReplicaUpdates."),
    ([{"Create": {"RegionName": "mars-north-1"}}], {}, "Region mars-north-1 is not supported. The latest version"),
    ([{}], {}, "There are no actions specified in the Replica Update Action of the request."),
    ([{"Create": {}}], {}, "One or more parameter values were invalid$"),
    ([{"Update": {}}], {}, "Value null at 'replicaUpdates.1.member.update.regionName' failed to satisfy constraint: "
                           "Member must not be null$"),
    ([{"Create": {"RegionName": "sa-east-1", "ProvisionedThroughputOverride": {"ReadCapacityUnits": 5}}}], {},
     "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"),
    ([{"Update": {"RegionName": VIRGINIA, "GlobalSecondaryIndexes": [{
        "IndexName": "Nowhere", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 5}}]}}], {},
     "The table does not have the specified index: Nowhere"),
    ([{"Update": {"RegionName": VIRGINIA, "TableClassOverride": "FAST"}}], {}, "Invalid table-class parameter"),
    ([{"Update": {"RegionName": VIRGINIA, "ProvisionedThroughputOverride": {"ReadCapacityUnits": 0}}}], {},
     "'replicaUpdates.1.member.update.provisionedThroughputOverride.readCapacityUnits' failed to satisfy"),
    ([{"Update": {"RegionName": VIRGINIA, "OnDemandThroughputOverride": {"MaxReadRequestUnits": 0}}}], {},
     "outside of valid range"),
    ([{"Update": {"RegionName": VIRGINIA, "KMSMasterKeyId": "key"}}], {}, "encrypted with a KMS key"),
    ([{"Create": {"RegionName": "sa-east-1"}}], {"MultiRegionConsistency": "STRONG"},
     "MultiRegionConsistency parameter is unsupported on existing global table"),
])
def test_mistakes_are_told_in_the_services_words_and_change_nothing(trio, updates, more, text):
    before = [table(client) for client in trio]
    with invalid(text):
        replicas(trio[0], *updates, **more)
    assert [table(client) for client in trio] == before


def test_a_witness_update_with_two_actions_is_refused(ohio):
    witnesses = [{"Create": {"RegionName": VIRGINIA}, "Delete": {"RegionName": VIRGINIA}}]
    for updates in ({}, {"ReplicaUpdates": [{"Create": {"RegionName": "sa-east-1"}}]}):
        with invalid("Each element of GlobalTableWitnessUpdates must have one action"):
            ohio.update_table(TableName="Music", GlobalTableWitnessUpdates=witnesses, **updates)
    assert "Replicas" not in table(ohio)


@pytest.mark.parametrize("witness", [{}, {"Create": {"RegionName": ""}}, {"Delete": {"RegionName": ""}}])
def test_a_witness_update_that_names_no_region_is_no_update(pretend, ohio, witness):
    with invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
                 "GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, "
                 "ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, "
                 "WarmThroughput or TableClass is required"):
        ohio.update_table(TableName="Music", GlobalTableWitnessUpdates=[witness])
    ohio.update_table(TableName="Music", GlobalTableWitnessUpdates=[witness],
                      ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])
    pretend.wait(60)
    assert entries(ohio).keys() == {VIRGINIA} and "GlobalTableWitnesses" not in table(ohio)


def test_a_table_of_that_name_in_the_new_region_is_in_the_way(pretend, ohio):
    pretend.client(VIRGINIA).create_table(**TABLE)
    pretend.wait(15)
    with invalid("because one or more replicas already existed as tables"):
        add(ohio, VIRGINIA)


def test_two_identical_creates_pass(pretend, ohio):
    replicas(ohio, *[{"Create": {"RegionName": VIRGINIA}}] * 2)
    pretend.wait(30)
    assert entries(ohio) == {VIRGINIA: "ACTIVE"}


def test_one_thing_at_a_time(pretend, ohio):
    add(ohio, VIRGINIA)
    with invalid("Create/Update/Delete of replica is not allowed while the replica is being added to table with name: "
                 "‘Music’ in region: ‘us-east-1’"):
        add(ohio, IRELAND)
    with refused("ResourceInUseException", "The resource which you are attempting to change is in use."):
        ohio.update_table(TableName="Music", BillingMode="PROVISIONED",
                          ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    pretend.wait(12)
    with refused("ResourceInUseException", "Table: Music is being used"):
        pretend.client(VIRGINIA).delete_table(TableName="Music")


def test_no_such_table(pretend, ohio):
    with refused("ResourceNotFoundException", "Requested resource not found: Table: Nothing not found"):
        ohio.update_table(TableName="Nothing", ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])


def test_legacy_calls_never_show_it(trio):
    assert trio[0].list_global_tables()["GlobalTables"] == []
    with refused("GlobalTableNotFoundException", "does not exist"):
        trio[0].describe_global_table(GlobalTableName="Music")


def test_a_fresh_on_demand_table_as_described(pretend):
    ohio = pretend.client(OHIO)
    ohio.create_table(**TABLE, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    fresh = table(ohio)
    assert fresh["TableStatus"] == "CREATING" and "WarmThroughput" not in fresh
    assert fresh["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    assert fresh["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0,
                                              "WriteCapacityUnits": 0}
    pretend.wait(12)
    ready = table(ohio)
    assert ready["TableStatus"] == "ACTIVE" and "LastUpdateToPayPerRequestDateTime" in ready["BillingModeSummary"]
    assert (ready["WarmThroughput"]["ReadUnitsPerSecond"], ready["WarmThroughput"]["WriteUnitsPerSecond"]) == (
        12000, 4000)
    streams = pretend.client(OHIO, "dynamodbstreams")
    shards = streams.describe_stream(StreamArn=ready["LatestStreamArn"])["StreamDescription"]["Shards"]
    assert len(shards) == 4 and all(len(shard["ShardId"]) == len("shardId-00000001789760980178-7ffbb64e")
                                    for shard in shards)


def test_global_tables_across_accounts_are_refused_clearly(pretend):
    with invalid("within one account only"):
        pretend.client(OHIO).create_table(**TABLE, GlobalTableSourceArn="arn:aws:dynamodb:us-east-1:1:table/Music")
    assert pretend.client(OHIO).list_tables()["TableNames"] == []


def test_every_event_has_a_handler_and_an_unknown_one_is_refused(pretend):
    assert pretend.cloud.current.handlers.keys() == NAMES
    with pytest.raises(ValueError, match="no event 'melt-replica'"):
        Schedule().restore([Event(0.0, "melt-replica", "group", OHIO)])
