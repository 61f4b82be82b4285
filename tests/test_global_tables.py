"""The article's calls against the local cloud, from outside, by boto3: replication between separate copies."""

from __future__ import annotations

import pytest
from support import IRELAND, SINGAPORE, VIRGINIA, read, read_all, records, refused, song, wait_active, wait_until

import gtlab
from gtlab.course.stages import MUSIC
from gtlab.lab.watch import own

pytestmark = pytest.mark.server


def test_a_put_in_one_region_is_absent_elsewhere_and_then_arrives(trio):
    singapore, virginia, ireland = trio
    with gtlab.connect().world.lag(2):  # so that a busy machine, slow to read, is not too late
        singapore.put_item(TableName="Music", Item=song())
    assert read(ireland, song()) is None
    for there in (virginia, ireland):
        assert wait_until(lambda there=there: read(there, song()), "the item to arrive") == song()


def test_every_kind_of_write_replicates(trio):
    singapore, virginia, _ = trio
    singapore.put_item(TableName="Music", Item=song("put"))
    singapore.update_item(TableName="Music", Key=song("update"), UpdateExpression="SET genre = :g",
                          ExpressionAttributeValues={":g": {"S": "pop"}})
    singapore.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": song("batch")}}]})
    singapore.transact_write_items(TransactItems=[{"Put": {"TableName": "Music", "Item": song("transaction")}}])
    singapore.execute_statement(Statement="INSERT INTO \"Music\" VALUE {'Artist': 'item_partiql', "
                                          "'SongTitle': 'Song Value partiql'}")
    for kind in ("put", "update", "batch", "transaction", "partiql"):
        wait_until(lambda kind=kind: read(virginia, song(kind)), f"the {kind} to arrive")
    assert read(virginia, song("update"))["genre"] == {"S": "pop"}
    singapore.execute_statement(Statement="UPDATE \"Music\" SET genre = 'rock' WHERE Artist = 'item_put' "
                                          "AND SongTitle = 'Song Value put'")
    wait_until(lambda: read(virginia, song("put")).get("genre") == {"S": "rock"}, "the PartiQL UPDATE to arrive")


def test_a_number_key_is_the_same_however_it_is_written(pretend):
    """1.0 is 1, as everywhere in DynamoDB, to writes, to reads, and to replication."""
    home, there = pretend.client("us-east-1"), pretend.client("us-west-2")
    home.create_table(TableName="Numbers", BillingMode="PAY_PER_REQUEST", KeySchema=[
        {"AttributeName": "n", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "n", "AttributeType": "N"}])
    pretend.wait(15)
    home.update_table(TableName="Numbers", ReplicaUpdates=[{"Create": {"RegionName": "us-west-2"}}])
    pretend.wait(60)

    def everywhere() -> list:
        pretend.wait(60)
        return [each.scan(TableName="Numbers")["Items"] for each in (home, there)]

    def key(text: str) -> dict:
        return {"n": {"N": text}}

    home.put_item(TableName="Numbers", Item=key("1.0") | {"by": {"S": "put"}})
    assert everywhere() == 2 * [[key("1") | {"by": {"S": "put"}}]]
    assert there.get_item(TableName="Numbers", Key=key("1e0"))["Item"]["by"] == {"S": "put"}
    there.update_item(TableName="Numbers", Key=key("01"), UpdateExpression="SET #b = :b",
                      ExpressionAttributeNames={"#b": "by"}, ExpressionAttributeValues={":b": {"S": "update"}})
    assert everywhere() == 2 * [[key("1") | {"by": {"S": "update"}}]]
    home.transact_write_items(TransactItems=[{"Delete": {"TableName": "Numbers", "Key": key("+1.00")}},
                                             {"Put": {"TableName": "Numbers", "Item": key("20e-1")}}])
    assert everywhere() == 2 * [[key("2")]]
    home.batch_write_item(RequestItems={"Numbers": [{"DeleteRequest": {"Key": key("2.0")}}]})
    assert everywhere() == 2 * [[]]


def test_a_delete_arrives_and_the_item_stays_away(trio):
    singapore, virginia, ireland = trio
    singapore.put_item(TableName="Music", Item=song())
    wait_until(lambda: read(virginia, song()) and read(ireland, song()), "the item to arrive")
    virginia.delete_item(TableName="Music", Key=song())
    wait_until(lambda: read(singapore, song()) is None and read(ireland, song()) is None, "the delete to arrive")


def test_the_last_writer_wins_whole_items_everywhere(trio):
    singapore, virginia, ireland = trio
    singapore.put_item(TableName="Music", Item=song(first="singapore"))
    virginia.put_item(TableName="Music", Item=song(second="virginia"))  # before Singapore's has arrived there
    for there in trio:
        wait_until(lambda there=there: read(there, song()) == song(second="virginia"), "the later write everywhere")
    assert read(ireland, song()) == song(second="virginia")


def test_nothing_but_the_aws_rep_attributes_is_put_into_items(trio):
    singapore, virginia, _ = trio
    singapore.put_item(TableName="Music", Item=song())
    assert wait_until(lambda: read(virginia, song()), "the item to arrive") == song() == read(singapore, song())


def test_each_region_has_a_stream_of_its_own_with_one_record_a_write(trio, client):
    singapore, virginia, _ = trio

    def update():
        singapore.update_item(TableName="Music", Key=song(), UpdateExpression="SET genre = :g",
                              ExpressionAttributeValues={":g": {"S": "pop"}})

    def alike() -> bool:  # at the source too: the service's second update comes a moment later
        return read_all(virginia, song()) == read_all(singapore, song())

    singapore.put_item(TableName="Music", Item=song())
    wait_until(alike, "the put to arrive")
    update()
    wait_until(alike, "the update to arrive")
    update()  # changes nothing: no record, no replication
    seen = {}
    for region, there in ((SINGAPORE, singapore), (VIRGINIA, virginia)):
        arn = there.describe_table(TableName="Music")["Table"]["LatestStreamArn"]
        seen[region] = records(client(region, "dynamodbstreams"), arn)
        assert {record["awsRegion"] for record in seen[region]} == {region} and f":{region}:" in arn
    assert [record["eventName"] for record in seen[SINGAPORE]] == ["INSERT", "MODIFY", "MODIFY", "MODIFY"]
    assert [record["eventName"] for record in seen[VIRGINIA]] == ["INSERT", "MODIFY"]
    here, there = seen[SINGAPORE][0], seen[VIRGINIA][0]
    assert own(here["dynamodb"]["NewImage"]) == own(there["dynamodb"]["NewImage"]) == song()
    assert here["eventID"] != there["eventID"]
    assert here["dynamodb"]["SequenceNumber"] != there["dynamodb"]["SequenceNumber"]


def test_size_bytes_counts_keys_and_images(trio, client):
    singapore = trio[0]
    singapore.put_item(TableName="Music", Item={"Artist": {"S": "ab"}, "SongTitle": {"S": "c"}, "n": {"N": "12"}})
    arn = singapore.describe_table(TableName="Music")["Table"]["LatestStreamArn"]
    record = records(client(SINGAPORE, "dynamodbstreams"), arn)[0]
    keys = len("Artist") + 2 + len("SongTitle") + 1
    assert record["dynamodb"]["SizeBytes"] == keys + keys + len("n") + 2


def test_statuses_lists_and_shapes(trio):
    singapore = trio[0]
    described = wait_until(lambda: (found := singapore.describe_global_table(GlobalTableName="Music")[
        "GlobalTableDescription"])["GlobalTableStatus"] == "ACTIVE" and found, "the global table to be ACTIVE")
    assert described["ReplicationGroup"] == [{"RegionName": region} for region in (SINGAPORE, VIRGINIA, IRELAND)]
    assert described["GlobalTableArn"].startswith("arn:aws:dynamodb::")
    assert described["GlobalTableArn"].endswith(":global-table/Music")
    assert singapore.list_global_tables()["GlobalTables"] == [
        {"GlobalTableName": "Music", "ReplicationGroup": described["ReplicationGroup"]}]
    assert singapore.list_global_tables(RegionName="sa-east-1")["GlobalTables"] == []


def test_accounts_are_apart(trio, client):
    stranger = client(SINGAPORE, account="999999999999")
    assert stranger.list_tables()["TableNames"] == []
    assert stranger.list_global_tables()["GlobalTables"] == []
    assert trio[0].list_tables()["TableNames"] == ["Music"]


def test_legacy_calls_take_tables_that_are_still_being_created(client):
    singapore, virginia = client(SINGAPORE), client(VIRGINIA)
    for there in (singapore, virginia):
        assert there.create_table(**MUSIC)["TableDescription"]["TableStatus"] == "CREATING"
    with refused("ResourceNotFoundException", "Requested resource not found"):  # as on AWS
        singapore.put_item(TableName="Music", Item=song())
    made = singapore.create_global_table(GlobalTableName="Music", ReplicationGroup=[
        {"RegionName": SINGAPORE}, {"RegionName": VIRGINIA}])["GlobalTableDescription"]
    assert made["GlobalTableStatus"] == "CREATING"
    singapore.put_item(TableName="Music", Item=song())  # a member of a legacy global table takes it: the article's way
    wait_until(lambda: read(virginia, song()), "the item to arrive")
    wait_until(lambda: singapore.describe_global_table(GlobalTableName="Music")["GlobalTableDescription"][
        "GlobalTableStatus"] == "ACTIVE", "the global table to be ACTIVE")
    wait_active(virginia)


def test_adding_and_removing_a_replica(create, client):
    singapore, virginia = create(SINGAPORE), create(VIRGINIA)
    singapore.create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": SINGAPORE}])
    singapore.put_item(TableName="Music", Item=song("before"))
    answer = singapore.update_global_table(GlobalTableName="Music", ReplicaUpdates=[
        {"Create": {"RegionName": VIRGINIA}}])["GlobalTableDescription"]
    assert answer["ReplicationGroup"] == [{"RegionName": VIRGINIA}, {"RegionName": SINGAPORE}]
    singapore.put_item(TableName="Music", Item=song("joined"))
    wait_until(lambda: read(virginia, song("joined")), "the item to arrive")

    singapore.update_global_table(GlobalTableName="Music", ReplicaUpdates=[{"Delete": {"RegionName": VIRGINIA}}])
    singapore.put_item(TableName="Music", Item=song("left"))
    assert read(virginia, song("joined"))  # only detached: table and data stay
    singapore.update_global_table(GlobalTableName="Music", ReplicaUpdates=[{"Delete": {"RegionName": SINGAPORE}}])
    with refused("GlobalTableNotFoundException", "Global table with name: 'Music' does not exist."):
        singapore.describe_global_table(GlobalTableName="Music")
    assert read(virginia, song("left")) is None


OTHER_KEY = {"KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
             "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}]}


@pytest.mark.parametrize(("changes", "put", "code", "text"), [
    ({"StreamSpecification": None}, False, "ValidationException", "must have a stream enabled"),
    ({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}, False, "ValidationException",
     "NEW_AND_OLD_IMAGES"),
    (OTHER_KEY, False, "ValidationException", "the same key schema"),
    ({"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}}, False, "ValidationException",
     "the same write capacity"),
    ({}, True, "ValidationException", "contains data"),
])
def test_tables_that_do_not_fit_are_refused_and_nothing_is_changed(create, changes, put, code, text):
    singapore, virginia = create(SINGAPORE), create(VIRGINIA, **changes)
    if put:
        virginia.put_item(TableName="Music", Item=song())
    with refused(code, text):
        singapore.create_global_table(GlobalTableName="Music", ReplicationGroup=[
            {"RegionName": SINGAPORE}, {"RegionName": VIRGINIA}])
    assert singapore.list_global_tables()["GlobalTables"] == []
    singapore.put_item(TableName="Music", Item=song("alone"))
    assert singapore.scan(TableName="Music")["Count"] == 1


@pytest.mark.parametrize(("name", "group", "code", "text"), [
    ("Music", [], "ValidationException", "Global table must have atleast one replica"),
    ("Music", [SINGAPORE, SINGAPORE], "ValidationException", "'ap-southeast-1' is named more than once"),
    ("Music", [SINGAPORE, "mars-north-1"], "ValidationException", "Invalid AWS Region: mars-north-1"),
    ("Music", [SINGAPORE, IRELAND], "TableNotFoundException", "does not exist in Region: 'eu-west-1'"),
    ("Mu", [SINGAPORE], "ValidationException", "TableName must be at least 3 characters long"),
    ("Mu sic", [SINGAPORE], "ValidationException", "regular expression pattern"),
])
def test_groups_that_make_no_sense_are_refused(create, client, name, group, code, text):
    create(SINGAPORE)
    import boto3
    from botocore.config import Config  # botocore's own checks are off: the cloud's are under test
    there = client(SINGAPORE)
    unchecked = boto3.client("dynamodb", region_name=SINGAPORE, endpoint_url=there.meta.endpoint_url,
                             aws_access_key_id=there._request_signer._credentials.access_key,
                             aws_secret_access_key="x", config=Config(parameter_validation=False))
    with refused(code, text):
        unchecked.create_global_table(GlobalTableName=name, ReplicationGroup=[
            {"RegionName": region} for region in group])
    assert there.list_global_tables()["GlobalTables"] == []


def test_updates_that_make_no_sense_are_refused_whole(trio):
    singapore = trio[0]

    def update(*updates):
        singapore.update_global_table(GlobalTableName="Music", ReplicaUpdates=list(updates))

    with refused("ReplicaAlreadyExistsException", "already has a replica in Region: 'eu-west-1'"):
        update({"Delete": {"RegionName": VIRGINIA}}, {"Create": {"RegionName": IRELAND}})
    with refused("ReplicaNotFoundException", "no replica in Region: 'sa-east-1'"):
        update({"Delete": {"RegionName": VIRGINIA}}, {"Delete": {"RegionName": "sa-east-1"}})
    with refused("ValidationException", "cannot contain both"):
        update({"Delete": {"RegionName": VIRGINIA}, "Create": {"RegionName": VIRGINIA}})
    with refused("ValidationException", "One or more parameter values were invalid"):
        update()
    with refused("GlobalTableAlreadyExistsException", "'Music' already exists"):
        singapore.create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": SINGAPORE}])
    with refused("GlobalTableNotFoundException", "Global table with name: 'Nothing' does not exist."):
        singapore.update_global_table(GlobalTableName="Nothing", ReplicaUpdates=[
            {"Delete": {"RegionName": VIRGINIA}}])
    members = singapore.describe_global_table(GlobalTableName="Music")["GlobalTableDescription"]["ReplicationGroup"]
    assert len(members) == 3


def test_a_members_stream_cannot_be_switched_off(trio):
    with refused("ValidationException", "Disabling Stream is not allowed for a Global Table replica"):
        trio[0].update_table(TableName="Music", StreamSpecification={"StreamEnabled": False})


def test_expired_items_are_deleted_by_each_region_that_has_ttl_on(trio, client):
    singapore, virginia, ireland = trio
    singapore.put_item(TableName="Music", Item=song() | {"until": {"N": "1"}})  # older than five years: left alone
    singapore.put_item(TableName="Music", Item=song("old") | {"until": {"N": "1790000000"}})
    wait_until(lambda: read(virginia, song("old")) and read(ireland, song("old")), "the item to arrive")
    for there in (singapore, virginia):
        there.update_time_to_live(TableName="Music", TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "until"})
    wait_until(lambda: read(singapore, song("old")) is None and read(virginia, song("old")) is None,
               "the item to expire", seconds=120)
    assert read(singapore, song())
    assert read(ireland, song("old"))
    identities = []
    for region, there in ((SINGAPORE, singapore), (VIRGINIA, virginia)):
        arn = there.describe_table(TableName="Music")["Table"]["LatestStreamArn"]
        removal = [record for record in records(client(region, "dynamodbstreams"), arn)
                   if record["eventName"] == "REMOVE"]
        assert len(removal) == 1
        identities.append(removal[0].get("userIdentity"))
    assert identities == [{"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}] * 2
