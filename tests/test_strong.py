"""Strong consistency across Regions (MRSC), through boto3, under a pretend clock."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError
from support import (
    KEY,
    OHIO,
    OREGON,
    STRONG,
    VIRGINIA,
    add,
    create,
    entries,
    gone,
    invalid,
    item,
    remove,
    replicas,
    table,
    wait_active,
    wait_until,
)
from support import ON_DEMAND as TABLE

from gtlab import regions


@pytest.fixture
def trio(pretend, ohio):
    """Three strongly consistent replicas."""
    replicas(ohio, *create(VIRGINIA, OREGON), **STRONG)
    pretend.wait(20)
    return ohio, pretend.client(VIRGINIA), pretend.client(OREGON)


def test_one_call_makes_three_replicas(trio):
    for client in trio:
        described = table(client)
        assert (described["TableStatus"], described["MultiRegionConsistency"]) == ("ACTIVE", "STRONG")
        assert len(entries(client)) == 2 and set(entries(client).values()) == {"ACTIVE"}
        assert "StreamSpecification" not in described  # streams are optional here


def test_or_two_and_a_witness(pretend, ohio):
    replicas(ohio, *create(VIRGINIA), GlobalTableWitnessUpdates=create(OREGON), **STRONG)
    assert table(ohio)["GlobalTableWitnesses"] == [{"RegionName": OREGON, "WitnessStatus": "CREATING"}]
    pretend.wait(90)
    assert table(ohio)["GlobalTableWitnesses"] == [{"RegionName": OREGON, "WitnessStatus": "ACTIVE"}]
    assert entries(ohio) == {VIRGINIA: "ACTIVE"}
    with gone():  # a witness has no table
        table(pretend.client(OREGON))
    with invalid("Update table delete operation does not include all witnesses."):
        remove(ohio, VIRGINIA)
    ohio.update_table(TableName="Music", ReplicaUpdates=[{"Delete": {"RegionName": VIRGINIA}}],
                      GlobalTableWitnessUpdates=[{"Delete": {"RegionName": OREGON}}])
    assert table(ohio)["GlobalTableWitnesses"][0]["WitnessStatus"] == "DELETING"
    pretend.wait(120)
    assert not {"GlobalTableWitnesses", "Replicas", "MultiRegionConsistency"} & set(table(ohio))
    ohio.delete_table(TableName="Music")


def test_a_strong_read_anywhere_sees_the_newest_and_an_eventual_one_need_not(pretend, trio):
    ohio, virginia, oregon = trio
    ohio.put_item(TableName="Music", Item=KEY)
    assert item(virginia) is None
    assert item(virginia, ConsistentRead=True) == KEY
    assert oregon.query(TableName="Music", ConsistentRead=True, KeyConditionExpression="Artist = :a",
                        ExpressionAttributeValues={":a": KEY["Artist"]})["Items"] == [KEY]
    virginia.delete_item(TableName="Music", Key=KEY)
    assert item(ohio) == KEY and item(ohio, ConsistentRead=True) is None  # old, even where it was written
    pretend.wait(10)
    assert item(oregon) is None


def test_conditions_and_counters_are_judged_against_the_newest(trio):
    ohio, virginia, oregon = trio
    ohio.put_item(TableName="Music", Item=KEY)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        virginia.put_item(TableName="Music", Item=KEY, ConditionExpression="attribute_not_exists(Artist)")
    for client in (ohio, virginia, oregon) * 3:
        client.update_item(TableName="Music", Key=KEY, UpdateExpression="ADD n :one",
                           ExpressionAttributeValues={":one": {"N": "1"}})
    assert item(ohio, ConsistentRead=True)["n"] == {"N": "9"}


def test_writes_and_strong_reads_cost_a_round_trip_to_the_nearest_other_member(pretend, trio):
    ohio, _, oregon = trio

    def took_ms(call, **arguments) -> float:
        began = pretend.now
        call(TableName="Music", **arguments)
        return (pretend.now - began) * 1000

    near, far = regions.rtt_ms(OHIO, VIRGINIA), regions.rtt_ms(OREGON, OHIO)
    assert took_ms(ohio.put_item, Item=KEY) == pytest.approx(near, rel=0.3)
    assert took_ms(ohio.get_item, Key=KEY, ConsistentRead=True) == pytest.approx(near, rel=0.3)
    assert took_ms(oregon.put_item, Item=KEY) == pytest.approx(far, rel=0.3)
    assert took_ms(oregon.get_item, Key=KEY) == 0


def test_two_regions_that_modify_one_item_at_once_conflict(client):
    """On the real clock: a write is on its round trip while another Region's comes."""
    ohio, oregon = client("ap-southeast-1"), client("us-east-1")
    ohio.create_table(**TABLE)
    wait_active(ohio)
    replicas(ohio, *create("us-east-1", "eu-west-1"), **STRONG)
    wait_until(lambda: table(ohio)["TableStatus"] == "ACTIVE", "the group to be ACTIVE")
    refusals, done = [], threading.Event()

    def write(there, value: str) -> None:
        while not done.is_set():
            try:
                there.put_item(TableName="Music", Item=KEY | {"by": {"S": value}})
            except ClientError as error:
                refusals.append(error)
                done.set()

    writers = [threading.Thread(target=write, args=each) for each in ((ohio, "a"), (oregon, "b"))]
    for writer in writers:
        writer.start()
    assert done.wait(120), "no conflict in two minutes"
    for writer in writers:
        writer.join()
    assert refusals[0].response["Error"]["Code"] == "ReplicatedWriteConflictException"
    assert "being modified in another Region" in refusals[0].response["Error"]["Message"]
    ohio.put_item(TableName="Music", Item=KEY | {"by": {"S": "later"}})  # a retry succeeds


def test_transactions_ttl_and_lsi_are_not_supported(pretend, trio):
    ohio = trio[0]
    with invalid("Transactions are not supported"):
        ohio.transact_write_items(TransactItems=[{"Put": {"TableName": "Music", "Item": KEY}}])
    with invalid("Transactions are not supported"):
        ohio.transact_get_items(TransactItems=[{"Get": {"TableName": "Music", "Key": KEY}}])
    with invalid("Time to Live is not supported"):
        ohio.update_time_to_live(TableName="Music", TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "until"})


def test_leaving_undoes_all_of_it(pretend, trio):
    ohio, virginia, _ = trio
    for alone in (lambda: remove(ohio, VIRGINIA), lambda: virginia.delete_table(TableName="Music")):
        with invalid("Deletion of only one table replica is not supported"):
            alone()
    with invalid("Cannot add replicas to a global table with strong MultiRegionConsistency"):
        add(ohio, "eu-west-1")
    ohio.put_item(TableName="Music", Item=KEY)
    replicas(ohio, *({"Delete": {"RegionName": region}} for region in (VIRGINIA, OREGON)))
    pretend.wait(120)
    assert item(ohio) == KEY and "MultiRegionConsistency" not in table(ohio)
    with gone():
        table(virginia)


@pytest.mark.parametrize(("named", "witnesses", "more", "text"), [
    ([VIRGINIA], [], STRONG, "Unsupported replica count"),
    ([VIRGINIA, OREGON, "eu-west-1"], [], STRONG, "Unsupported replica count"),
    ([VIRGINIA, "us-west-1"], [], STRONG, r"Unsupported Region\(s\) specified .*: \[us-west-1\]."),
    ([VIRGINIA], [OREGON], {}, "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates"),
    ([VIRGINIA], [VIRGINIA], STRONG, "Cannot add a witness in the same region as an existing replica"),
])
def test_groups_that_cannot_be_are_refused(ohio, named, witnesses, more, text):
    asked = {"GlobalTableWitnessUpdates": create(*witnesses)} if witnesses else {}
    with invalid(text):
        replicas(ohio, *create(*named), **asked, **more)
    assert "GlobalTableVersion" not in table(ohio)


def test_only_creates_go_with_the_parameter(ohio):
    with invalid("Only Replica Create actions are supported when MultiRegionConsistency parameter is provided."):
        replicas(ohio, {"Delete": {"RegionName": VIRGINIA}}, **STRONG)


def test_a_table_with_items_cannot_become_strong(ohio):
    ohio.put_item(TableName="Music", Item=KEY)
    with invalid("must be empty"):
        replicas(ohio, *create(VIRGINIA, OREGON), **STRONG)


def test_the_tutorials_own_trio_can_be_strong(pretend):
    singapore = pretend.client("ap-southeast-1")
    singapore.create_table(**TABLE)
    pretend.wait(15)
    replicas(singapore, *create("us-east-1", "eu-west-1"), **STRONG)
    pretend.wait(20)
    assert table(singapore)["MultiRegionConsistency"] == "STRONG"


def test_a_member_cut_off_from_the_others_serves_eventual_reads_only(pretend, trio):
    ohio, virginia, _ = trio
    ohio.put_item(TableName="Music", Item=KEY)
    pretend.wait(10)
    for other in (VIRGINIA, OREGON):
        pretend.cloud.world.turn("partition", (OHIO, other))
    for call in (lambda: ohio.put_item(TableName="Music", Item=KEY | {"n": {"N": "1"}}),
                 lambda: item(ohio, ConsistentRead=True)):
        with pytest.raises(ClientError, match="InternalServerError"):
            call()
    assert item(ohio) == KEY
    virginia.put_item(TableName="Music", Item=KEY | {"n": {"N": "2"}})  # the others go on
    for other in (VIRGINIA, OREGON):
        pretend.cloud.world.turn_back("partition", (OHIO, other))
    assert item(ohio, ConsistentRead=True) == KEY | {"n": {"N": "2"}}


# Every way in

@pytest.fixture
def slowed(pretend, trio):
    """The trio, with replication slowed: two items that Ohio has acknowledged are on their way to Virginia."""
    ohio, virginia, _ = trio
    pretend.cloud.turn("lag", (OHIO, VIRGINIA), 60.0, pretend.now)
    for name in "ab":
        ohio.put_item(TableName="Music", Item={"Artist": {"S": name}, "n": {"N": "1"}})
    assert item(virginia) is None  # an eventual read shows that they have not arrived
    return ohio, virginia


def _select(client, where: str = "", **more) -> list[dict]:
    return client.execute_statement(Statement=f"SELECT * FROM Music {where}", **more)["Items"]


@pytest.mark.parametrize("read", [
    lambda there: _select(there, "WHERE Artist = 'a'", ConsistentRead=True),
    lambda there: _select(there, "WHERE n = 1 AND Artist IN ['a']", ConsistentRead=True),
    lambda there: [answer["Item"] for answer in there.batch_execute_statement(Statements=[
        {"Statement": "SELECT * FROM Music WHERE Artist = 'a'", "ConsistentRead": True}])["Responses"]],
    lambda there: there.query(TableName="Music", KeyConditionExpression="Artist = :a", ConsistentRead=True,
                              ExpressionAttributeValues={":a": {"S": "a"}})["Items"],
    lambda there: there.scan(TableName="Music", ConsistentRead=True, FilterExpression="Artist = :a",
                             ExpressionAttributeValues={":a": {"S": "a"}})["Items"],
    lambda there: there.batch_get_item(RequestItems={"Music": {"Keys": [KEY], "ConsistentRead": True}})["Responses"][
        "Music"],
    lambda there: next(iter(there.batch_get_item(RequestItems={table(there)["TableArn"]: {
        "Keys": [KEY], "ConsistentRead": True}})["Responses"].values())),
], ids=["select", "select in", "batch of selects", "query", "scan", "batch get", "batch get by arn"])
def test_every_consistent_read_sees_what_was_acknowledged_elsewhere(slowed, read):
    assert [found["n"] for found in read(slowed[1])] == [{"N": "1"}]


def test_statements_that_write_see_what_was_acknowledged_elsewhere(slowed):
    ohio, virginia = slowed
    virginia.execute_statement(Statement="UPDATE Music SET n = n + 1 WHERE Artist = 'a' AND n = 1")
    refused = virginia.batch_execute_statement(Statements=[
        {"Statement": "INSERT INTO Music VALUE {'Artist': 'b'}"}, {"Statement": "INSERT INTO"}])["Responses"]
    assert [each["Error"]["Code"] for each in refused] == ["DuplicateItem", "ValidationError"]
    with pytest.raises(ClientError, match="DuplicateItemException"):
        virginia.execute_statement(Statement="INSERT INTO Music VALUE {'Artist': 'a'}")
    virginia.execute_statement(Statement="DELETE FROM Music WHERE Artist = 'b'")
    assert _select(ohio, ConsistentRead=True) == [{"Artist": {"S": "a"}, "n": {"N": "2"}}]


def test_a_batch_that_names_the_table_by_its_arn_is_replicated(slowed):
    ohio, virginia = slowed
    virginia.batch_write_item(RequestItems={table(virginia)["TableArn"]: [
        {"PutRequest": {"Item": {"Artist": {"S": "c"}}}}, {"DeleteRequest": {"Key": KEY}}]})
    found = ohio.scan(TableName="Music", ConsistentRead=True)["Items"]
    assert sorted(each["Artist"]["S"] for each in found) == ["b", "c"]


@pytest.mark.parametrize("ask", [
    lambda there: there.execute_transaction(TransactStatements=[
        {"Statement": "SELECT * FROM Music WHERE Artist = 'a'"}]),
    lambda there: there.execute_transaction(TransactStatements=[{"Statement": "DELETE FROM Music WHERE Artist = 'a'"}]),
    lambda there: there.transact_get_items(TransactItems=[{"Get": {"TableName": "Music", "Key": KEY}}]),
    lambda there: there.transact_write_items(TransactItems=[{"Delete": {
        "TableName": table(there)["TableArn"], "Key": KEY}}]),
], ids=["selects", "writes", "get", "write by arn"])
def test_transactions_of_every_kind_are_refused(slowed, ask):
    with invalid("Transactions are not supported for global tables with MultiRegionConsistency set to STRONG"):
        ask(slowed[1])


@pytest.mark.parametrize("ask", [
    lambda there: _select(there, "WHERE Artist = 'a'", ConsistentRead=True),
    lambda there: there.batch_execute_statement(Statements=[
        {"Statement": "SELECT * FROM Music WHERE Artist = 'a'", "ConsistentRead": True}]),
    lambda there: there.execute_statement(Statement="INSERT INTO Music VALUE {'Artist': 'd'}"),
    lambda there: there.scan(TableName="Music", ConsistentRead=True),
    lambda there: there.batch_get_item(RequestItems={table(there)["TableArn"]: {
        "Keys": [KEY], "ConsistentRead": True}}),
], ids=["select", "batch of selects", "insert", "scan", "batch get by arn"])
def test_a_member_cut_off_refuses_every_consistent_call(pretend, slowed, ask):
    virginia = slowed[1]
    pretend.cloud.turn("isolate", (VIRGINIA,), None, pretend.now)
    with pytest.raises(ClientError, match="InternalServerError"):
        ask(virginia)
    assert _select(virginia) == []


@pytest.mark.parametrize("ask", [
    lambda there: there.batch_get_item(RequestItems={
        "Music": {"Keys": [KEY]}, "Own": {"Keys": [KEY], "ConsistentRead": True}})["Responses"]["Own"],
    lambda there: [each["Item"] for each in there.batch_execute_statement(Statements=[
        {"Statement": "SELECT * FROM Music WHERE Artist = 'a'"},
        {"Statement": "SELECT * FROM Own WHERE Artist = 'a'", "ConsistentRead": True}])["Responses"] if "Item" in each],
], ids=["batch get", "batch of selects"])
def test_an_eventual_read_beside_anothers_consistent_one_needs_no_other_member(pretend, slowed, ask):
    virginia = slowed[1]
    virginia.create_table(**TABLE | {"TableName": "Own"})
    pretend.wait(15)
    virginia.put_item(TableName="Own", Item=KEY)
    pretend.cloud.turn("isolate", (VIRGINIA,), None, pretend.now)
    assert ask(virginia) == [KEY]


def test_a_batch_needs_another_member_of_each_of_its_groups(pretend, trio):
    ohio = trio[0]
    ohio.create_table(**TABLE | {"TableName": "Other"})
    pretend.wait(15)
    ohio.update_table(TableName="Other", ReplicaUpdates=create("eu-west-1", "eu-north-1"), **STRONG)
    pretend.wait(20)
    for region in ("eu-west-1", "eu-north-1"):  # Ohio reaches all members of the table Music
        pretend.cloud.turn("partition", (OHIO, region), None, pretend.now)
    put = [{"PutRequest": {"Item": KEY}}]
    with pytest.raises(ClientError, match="InternalServerError"):
        ohio.batch_write_item(RequestItems={"Music": put, "Other": put})
    assert item(ohio, ConsistentRead=True) is None
    pretend.cloud.mend_all(pretend.now)
    began = pretend.now
    ohio.batch_write_item(RequestItems={"Music": put, "Other": put})
    assert pretend.now - began > regions.rtt_ms(OHIO, "eu-west-1") / 1000 * 0.7  # as long as the farther group takes
