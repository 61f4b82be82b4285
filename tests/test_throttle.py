"""Capacity and throttling, through boto3: exact counts under a pretend clock, and retries against the real server."""

from __future__ import annotations

import itertools
import json
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import IRELAND, KEY, OHIO, ON_DEMAND, VIRGINIA, add, item, refused, table, wait_active, wait_until

from gtlab.localcloud import engine
from gtlab.localcloud.model import Call, TableId

ACCOUNT = "1" * 12
_numbers = itertools.count()
TEXT = ("The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
        "provisioning level with the UpdateTable API.")


def throttle(pretend, region: str = OHIO, name: str = "Music", **limits: float) -> None:
    pretend.cloud.turn("throttle", (ACCOUNT, region, name), limits, pretend.now)


def thing(size: int = 10, name: str | None = None) -> dict:
    """An item of so many bytes, as the service counts them."""
    name = f"{next(_numbers):06}" if name is None else name
    return {"Artist": {"S": name}, "v": {"S": "x" * (size - len(f"Artist{name}v"))}}


def throttled():
    return refused("ProvisionedThroughputExceededException", TEXT)


def takes(call, most: int = 1000) -> int:
    """How many times a call succeeds before it is throttled."""
    for number in range(most):
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            return number
    return most


def put(client, size: int = 10, **more):
    return client.put_item(TableName="Music", Item=thing(size), **more)


def test_it_goes_well_while_burst_credit_lasts_and_then_at_the_tables_rate(pretend, ohio):
    throttle(pretend, write_units=5, burst_s=10)
    assert takes(lambda: put(ohio)) == 50
    with throttled():
        put(ohio)
    for _ in range(3):
        pretend.wait(1)
        assert takes(lambda: put(ohio)) == 5
    pretend.wait(0.2)
    assert takes(lambda: put(ohio)) == 1
    pretend.wait(1000)
    assert takes(lambda: put(ohio)) == 50  # credit is kept for so long and no longer


@pytest.mark.slow
def test_nothing_is_metered_before_and_after(pretend, ohio):
    assert takes(lambda: put(ohio), 200) == 200
    throttle(pretend, write_units=1, burst_s=0)
    assert takes(lambda: put(ohio)) == 1  # at least a second's worth
    pretend.cloud.turn_back("throttle", (ACCOUNT, OHIO, "Music"), pretend.now)
    assert takes(lambda: put(ohio), 200) == 200
    throttle(pretend, write_units=1, burst_s=0)
    assert takes(lambda: put(ohio)) == 1  # a bucket begins full


def test_a_refused_write_changes_nothing(pretend, ohio):
    throttle(pretend, write_units=1, burst_s=1)
    put(ohio)
    with throttled():
        ohio.put_item(TableName="Music", Item=KEY)
    pretend.wait(0.1)
    assert item(ohio) is None  # reads have a bucket of their own


def test_the_last_request_may_take_more_than_there_is_and_it_is_a_debt(pretend, ohio):
    throttle(pretend, write_units=10, burst_s=1)
    put(ohio, size=100 * 1024)
    pretend.wait(9)
    with throttled():
        put(ohio)
    pretend.wait(0.1)
    put(ohio)


@pytest.mark.parametrize(("billing", "limits", "writes", "reads"), [
    ({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}},
     {}, 900, 600),  # the table's own units, and five minutes of them
    ({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}},
     {"read_units": 4, "burst_s": 10}, 30, 40),
    ({}, {"burst_s": 0}, 4000, 12000),
])
def test_units_are_the_tables_own_or_as_set(pretend, ohio, billing, limits, writes, reads):
    ohio.create_table(**ON_DEMAND | billing | {"TableName": "Own"})
    pretend.wait(15)
    throttle(pretend, name="Own", **limits)
    for kind, most in (("write", writes), ("read", reads)):  # all but one, which would take long by calls
        pretend.cloud.capacity.charge(TableId(ACCOUNT, OHIO, "Own"), kind, most - 1, pretend.now)
    assert takes(lambda: ohio.put_item(TableName="Own", Item=thing()), 5) == 1
    assert takes(lambda: ohio.get_item(TableName="Own", Key=KEY, ConsistentRead=True), 5) == 1


def cost(pretend, kind: str, call) -> float:
    """The units that a call consumes: what it leaves of a big bucket."""
    pretend.cloud.turn_back("throttle", (ACCOUNT, OHIO, "Music"), pretend.now)
    throttle(pretend, read_units=1000, write_units=1000, burst_s=1)
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] != "ProvisionedThroughputExceededException"
    return 1000 - pretend.cloud.capacity.left(TableId(ACCOUNT, OHIO, "Music"), kind, pretend.now)


def test_what_writes_consume(pretend, ohio):
    def units(call, **arguments) -> float:
        return cost(pretend, "write", lambda: call(TableName="Music", **arguments))

    put, delete, update = ohio.put_item, ohio.delete_item, ohio.update_item
    big, small = thing(3000, "a"), thing(100, "a")
    assert units(put, Item=thing(1024)) == 1
    assert units(put, Item=thing(1025)) == 2
    assert units(put, Item=thing(1500)) == 2
    assert units(put, Item=big) == 3
    assert units(put, Item=small) == 3                         # the larger of old and new
    assert units(put, Item=small) == 1                         # also if it changes nothing
    assert units(put, Item=big) == 3
    assert units(put, Item=big | {"v": {"S": "x"}}, ConditionExpression="attribute_not_exists(v)") == 3  # refused
    assert units(update, Key={"Artist": {"S": "a"}}, UpdateExpression="SET n = :n",
                 ExpressionAttributeValues={":n": {"N": "1"}}) == 3
    assert units(delete, Key={"Artist": {"S": "a"}}) == 3
    assert units(delete, Key={"Artist": {"S": "a"}}) == 1      # there was nothing

    def together(call, **arguments) -> float:
        return cost(pretend, "write", lambda: call(**arguments))

    assert together(ohio.batch_write_item, RequestItems={"Music": [
        {"PutRequest": {"Item": thing(1500, "b")}}, {"PutRequest": {"Item": thing(100, "c")}},
        {"DeleteRequest": {"Key": {"Artist": {"S": "none"}}}}]}) == 4
    assert together(ohio.transact_write_items, TransactItems=[
        {"Put": {"TableName": "Music", "Item": thing(1500, "d")}},
        {"ConditionCheck": {"TableName": "Music", "Key": {"Artist": {"S": "b"}},
                            "ConditionExpression": "attribute_exists(v)"}}]) == 8
    assert together(ohio.execute_statement, Statement="INSERT INTO \"Music\" VALUE {'Artist': 'e', 'v': '"
                                                      + "x" * 1500 + "'}") == 2


def test_what_reads_consume(pretend, ohio):
    for name, size in (("a", 100), ("b", 4097), ("c", 9000)):
        ohio.put_item(TableName="Music", Item=thing(size, name))

    def units(call, **arguments) -> float:
        return cost(pretend, "read", lambda: call(TableName="Music", **arguments))

    def together(call, **arguments) -> float:
        return cost(pretend, "read", lambda: call(**arguments))

    def key(name: str) -> dict:
        return {"Artist": {"S": name}}

    query = {"KeyConditionExpression": "#a = :a", "ExpressionAttributeNames": {"#a": "Artist", "#v": "v"},
             "ExpressionAttributeValues": {":a": {"S": "c"}, ":v": {"S": "none"}}, "FilterExpression": "#v = :v"}
    assert units(ohio.get_item, Key=key("a")) == 0.5
    assert units(ohio.get_item, Key=key("none"), ConsistentRead=True) == 1
    assert units(ohio.get_item, Key=key("b"), ConsistentRead=True) == 2
    assert units(ohio.get_item, Key=key("c"), ProjectionExpression="Artist") == 1.5
    assert units(ohio.query, **query) == 1.5                             # a filter makes nothing cheaper
    assert units(ohio.query, **query, ConsistentRead=True) == 3
    assert units(ohio.scan, ConsistentRead=True) == 4                    # 13,197 bytes together
    assert units(ohio.scan, Select="COUNT") == 2
    assert units(ohio.scan, ScanFilter={"v": {"ComparisonOperator": "NULL"}}) == 2
    assert together(ohio.batch_get_item, RequestItems={"Music": {"Keys": [key("a"), key("b"), key("none")]}}) == 2
    assert together(ohio.transact_get_items, TransactItems=[
        {"Get": {"TableName": "Music", "Key": key(name)}} for name in ("a", "b")]) == 6


def test_a_batch_gives_back_what_could_not_be_done(pretend, ohio):
    throttle(pretend, write_units=10, read_units=4, burst_s=1)
    asked = {"Music": [{"PutRequest": {"Item": thing(1500)}} for _ in range(20)]}
    answer = ohio.batch_write_item(RequestItems=asked)
    assert answer["UnprocessedItems"] == {"Music": asked["Music"][5:]}
    assert ohio.scan(TableName="Music", Select="COUNT")["Count"] == 5
    with throttled():
        ohio.batch_write_item(RequestItems=answer["UnprocessedItems"])
    pretend.wait(1)
    keys = [{"Artist": request["PutRequest"]["Item"]["Artist"]} for request in asked["Music"]]
    answer = ohio.batch_get_item(RequestItems={"Music": {"Keys": keys, "ConsistentRead": True}})
    assert len(answer["Responses"]["Music"]) == 4
    assert answer["UnprocessedKeys"] == {"Music": {"Keys": keys[4:], "ConsistentRead": True}}
    with throttled():
        ohio.batch_get_item(RequestItems={"Music": {"Keys": keys}})


def test_a_batch_that_fits_is_carried_out_as_it_is(pretend, ohio, monkeypatch):
    """What was tried with a long request is used only for the same input."""
    throttle(pretend, write_units=40, burst_s=1)
    inputs, write = [], engine.write
    monkeypatch.setattr(engine, "write", lambda database, call, now: inputs.append(call.input) or write(
        database, call, now))
    for count, fits in ((5, True), (25, True), (25, False)):
        asked = {"RequestItems": {"Music": [{"PutRequest": {"Item": thing()}} for _ in range(count)]}}
        pretend.cloud.answer(Call(ACCOUNT, OHIO, "dynamodb", "BatchWriteItem", asked), pretend.now)
        assert (inputs[-1] is asked) is fits


def test_a_table_is_throttled_by_its_arn_too(pretend, ohio):
    arn = ohio.describe_table(TableName="Music")["Table"]["TableArn"]
    throttle(pretend, write_units=10, read_units=4, burst_s=1)
    asked = {arn: [{"PutRequest": {"Item": thing(1500)}} for _ in range(20)]}
    assert ohio.batch_write_item(RequestItems=asked)["UnprocessedItems"] == {arn: asked[arn][5:]}
    with pytest.raises(ohio.exceptions.TransactionCanceledException, match=r"\[ProvisionedThroughputExceeded\]"):
        ohio.transact_write_items(TransactItems=[{"Put": {"TableName": arn, "Item": thing()}}])


def test_a_batch_on_two_tables_does_what_the_other_one_can(pretend, ohio):
    ohio.create_table(**ON_DEMAND | {"TableName": "Other"})
    pretend.wait(15)
    throttle(pretend, write_units=1, burst_s=1)
    put(ohio)
    requests = [{"PutRequest": {"Item": thing()}}]
    answer = ohio.batch_write_item(RequestItems={"Music": requests, "Other": requests})
    assert answer["UnprocessedItems"] == {"Music": requests}
    assert ohio.scan(TableName="Other")["Count"] == 1


def test_a_batch_that_makes_no_sense_is_refused_for_that(pretend, ohio):
    throttle(pretend, write_units=1, burst_s=1)
    with refused("ValidationException", "25"):
        ohio.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": thing()}} for _ in range(30)]})
    with refused("ValidationException", ""):
        ohio.batch_write_item(RequestItems={"Music": [{"PutRequest": {"Item": {"Artist": {}}}}, {}]})


def test_a_transaction_is_cancelled_whole(pretend, ohio):
    ohio.create_table(**ON_DEMAND | {"TableName": "Other"})
    pretend.wait(15)
    throttle(pretend, write_units=1, read_units=1, burst_s=1)
    actions = [{"Put": {"TableName": name, "Item": thing()}} for name in ("Other", "Music")]
    ohio.transact_write_items(TransactItems=actions)
    with pytest.raises(ohio.exceptions.TransactionCanceledException, match=r"\[None, ProvisionedThroughputExceeded\]"):
        ohio.transact_write_items(TransactItems=actions)
    gets = [{"Get": {"TableName": "Music", "Key": KEY}}]
    ohio.transact_get_items(TransactItems=gets)
    with pytest.raises(ohio.exceptions.TransactionCanceledException) as caught:
        ohio.transact_get_items(TransactItems=gets)
    assert caught.value.response["CancellationReasons"] == [
        {"Code": "ProvisionedThroughputExceeded", "Message": TEXT}]


def test_lag_grows_at_a_throttled_receiver(pretend, ohio):
    add(ohio, VIRGINIA)
    pretend.wait(30)
    virginia = pretend.client(VIRGINIA)
    throttle(pretend, region=VIRGINIA, write_units=2, burst_s=5)
    for number in range(30):
        ohio.put_item(TableName="Music", Item=KEY | {"Artist": {"S": str(number)}})

    def arrived() -> int:
        return virginia.scan(TableName="Music")["Count"]

    pretend.wait(5)
    assert arrived() == pytest.approx(20, abs=2)   # ten of burst credit, and two a second
    pretend.wait(2)
    assert arrived() == pytest.approx(24, abs=2)
    with throttled():                              # replicated writes have taken what there was
        takes(lambda: put(virginia), 1) or put(virginia)
    pretend.wait(30)
    assert arrived() >= 30
    lags = [event.detail["lag_ms"] for event in pretend.cloud.journal.since(0) if event.kind == "delivery"]
    assert min(lags) < 2000 < 8000 < max(lags)


def test_the_real_server_and_boto3s_own_retries(cloud, client, account):
    virginia, ireland = client(VIRGINIA), client(IRELAND)
    virginia.create_table(**ON_DEMAND)
    wait_active(virginia)
    add(virginia, IRELAND)
    wait_until(lambda: table(virginia)["TableStatus"] == "ACTIVE" and table(virginia)["Replicas"], "two replicas")
    _world(cloud, account, "PUT", {"write_units": 1, "burst_s": 20})  # one per second is slower than any machine puts
    taken = takes(lambda: put(virginia), 200)
    assert 20 <= taken < 200
    patient = boto3.client("dynamodb", region_name=VIRGINIA, endpoint_url=cloud.url, aws_access_key_id=account,
                           aws_secret_access_key="x", config=Config(retries={"mode": "standard", "max_attempts": 8}))
    _world(cloud, account, "PUT", {"write_units": 1, "burst_s": 1})
    retried = [patient.put_item(TableName="Music", Item=thing())["ResponseMetadata"]["RetryAttempts"]
               for _ in range(4)]
    assert any(retried)
    _world(cloud, account, "PUT", {"write_units": 20, "burst_s": 1})
    with patient_batch(patient) as batch:
        for _ in range(30):
            batch.put_item(Item={"Artist": f"batch {next(_numbers)}"})
    _world(cloud, account, "DELETE")
    assert takes(lambda: put(virginia), 50) == 50
    counts = lambda: {each.scan(TableName="Music", Select="COUNT")["Count"] for each in (virginia, ireland)}  # noqa: E731
    wait_until(lambda: counts() == {taken + 4 + 30 + 50}, "both replicas to have every item")


def patient_batch(client):
    resource = boto3.resource("dynamodb", region_name=VIRGINIA, endpoint_url=client.meta.endpoint_url,
                              aws_access_key_id=client._request_signer._credentials.access_key,
                              aws_secret_access_key="x", config=Config(retries={"mode": "standard"}))
    return resource.Table("Music").batch_writer()


def _world(cloud, account: str, method: str, value: dict | None = None) -> None:
    request = urllib.request.Request(f"{cloud.url}/_gtlab/v1/world/throttle/{account}/{VIRGINIA}/Music",
                                     None if value is None else json.dumps({"value": value}).encode(), method=method,
                                     headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60):
        pass
