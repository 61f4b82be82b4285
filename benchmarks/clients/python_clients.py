"""Everyday use of Python's clients of DynamoDB, as their documentation shows it, against AWS_ENDPOINT_URL (run it with
pytest; README.md in this folder says how): boto3's resource API, pynamodb, aioboto3, awswrangler, the aws command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
ATTRIBUTES = [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}]


@pytest.fixture(scope="module")
def name():
    """A table with a numeric range key and an index, for all clients of this file."""
    resource = boto3.resource("dynamodb")
    table = resource.create_table(
        TableName=f"clients-{uuid.uuid4().hex[:8]}", BillingMode="PAY_PER_REQUEST", KeySchema=KEYS,
        AttributeDefinitions=[*ATTRIBUTES, {"AttributeName": "owner", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[{"IndexName": "byOwner", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
            {"AttributeName": "owner", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}])
    table.wait_until_exists()
    yield table.name
    table.delete()
    table.wait_until_not_exists()


@pytest.fixture
def table(name):
    """The table, emptied."""
    found = boto3.resource("dynamodb").Table(name)
    with found.batch_writer() as batch:
        for item in found.scan(ProjectionExpression="pk, sk")["Items"]:
            batch.delete_item(Key=item)
    return found


def test_boto3_resource_types(table):
    item = {"pk": "types", "sk": Decimal("1.50"), "text": "ü€😀", "empty": "", "big": Decimal("1E+37"),
            "small": Decimal("-1E-130"), "yes": True, "nothing": None, "bytes": Binary(b"\0\xff"),
            "list": [Decimal(1), "a", []], "map": {"a": {"b": {}}}, "texts": {"x", "y"},
            "numbers": {Decimal(1), Decimal("2.5")}, "binaries": {Binary(b"a")}}
    table.put_item(Item=item)
    assert table.get_item(Key={"pk": "types", "sk": Decimal("1.5")})["Item"] == item


def test_boto3_resource_batches_queries_and_filters(table):
    with table.batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
        for number in [*range(60), *range(60)]:
            batch.put_item(Item={"pk": "p", "sk": number, "owner": ("eve", "bob")[number % 2], "n": {"deep": number}})
    assert table.query(KeyConditionExpression=Key("pk").eq("p") & Key("sk").between(10, 19))["Count"] == 10
    answer = table.query(IndexName="byOwner", KeyConditionExpression=Key("owner").eq("bob"), ScanIndexForward=False,
                         Limit=5)
    assert [item["sk"] for item in answer["Items"]] == [59, 57, 55, 53, 51]
    assert set(answer["LastEvaluatedKey"]) == {"pk", "sk", "owner"}
    condition = ((Attr("n.deep").gte(50) | Attr("n.deep").is_in([1, 2])) & ~Attr("owner").begins_with("e")
                 & Attr("gone").not_exists())
    assert table.scan(FilterExpression=condition)["Count"] == 6
    condition = Attr("n").attribute_type("M") & Attr("owner").size().eq(3) & Attr("owner").contains("o")
    assert table.scan(FilterExpression=condition)["Count"] == 30
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(
        TableName=table.name, PaginationConfig={"PageSize": 7, "MaxItems": 30})
    assert sum(len(page["Items"]) for page in pages) == 30
    found = table.meta.client.batch_get_item(RequestItems={table.name: {"Keys": [{"pk": "p", "sk": 1}]}})
    assert found["Responses"][table.name][0]["owner"] == "bob"


def test_boto3_resource_updates_and_refusals(table):
    key = {"pk": "u", "sk": 1}
    table.put_item(Item=key, ConditionExpression=Attr("pk").not_exists())
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(Item=key, ConditionExpression=Attr("pk").not_exists())
    change = "SET a = :one, #c = if_not_exists(#c, :zero) + :one ADD s :s REMOVE b"
    new = table.update_item(Key=key, UpdateExpression=change,
                            ExpressionAttributeNames={"#c": "count"}, ReturnValues="UPDATED_NEW",
                            ExpressionAttributeValues={":one": 1, ":zero": 0, ":s": {"x"}})["Attributes"]
    assert new == {"a": 1, "count": 1, "s": {"x"}}
    legacy = table.update_item(Key=key, AttributeUpdates={"a": {"Action": "ADD", "Value": 4}},
                               Expected={"a": {"Value": 1}}, ReturnValues="ALL_NEW")["Attributes"]
    assert legacy["a"] == 5
    with pytest.raises(ClientError, match="reserved keyword: count"):
        table.update_item(Key=key, UpdateExpression="SET count = :one", ExpressionAttributeValues={":one": 1})
    assert table.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]["a"] == 5
    table.reload()
    assert table.table_status == "ACTIVE" and table.key_schema == KEYS and table.creation_date_time


def test_boto3_reaches_a_replica_in_another_region(table):
    client = boto3.client("dynamodb")
    client.update_table(TableName=table.name, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    away = boto3.client("dynamodb", "eu-west-1")
    waiter = client.get_waiter("table_exists")
    waiter.wait(TableName=table.name, WaiterConfig={"Delay": 1})
    away.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    client.update_table(TableName=table.name, ReplicaUpdates=[{"Delete": {"RegionName": "eu-west-1"}}])
    away.get_waiter("table_not_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    waiter.wait(TableName=table.name, WaiterConfig={"Delay": 1})


def test_pynamodb(table):
    pytest.importorskip("pynamodb")
    from pynamodb.attributes import (
        JSONAttribute,
        ListAttribute,
        MapAttribute,
        NumberAttribute,
        TTLAttribute,
        UnicodeAttribute,
    )
    from pynamodb.exceptions import PutError
    from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
    from pynamodb.models import Model
    from pynamodb.transactions import TransactWrite

    class ByOwner(GlobalSecondaryIndex):
        class Meta:
            index_name, projection = "byOwner", AllProjection()
        owner = UnicodeAttribute(hash_key=True)
        sk = NumberAttribute(range_key=True)

    class Thing(Model):
        class Meta:
            table_name, host, region = table.name, os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
        pk = UnicodeAttribute(hash_key=True)
        sk = NumberAttribute(range_key=True)
        owner = UnicodeAttribute(default="bob")
        points = NumberAttribute(default=0)
        extra = MapAttribute(default=dict)
        notes = ListAttribute(default=list)
        raw = JSONAttribute(null=True)
        ttl = TTLAttribute(null=True)
        by_owner = ByOwner()

    assert Thing.exists() and Thing.describe_table()["TableStatus"] == "ACTIVE"
    thing = Thing("a", 1, extra={"k": 1}, notes=["x"], raw={"j": [1]})
    thing.save(Thing.pk.does_not_exist())
    with pytest.raises(PutError) as refused:
        thing.save(Thing.pk.does_not_exist())
    assert refused.value.cause_response_code == "ConditionalCheckFailedException"
    thing.update([Thing.points.add(2), Thing.notes.set(Thing.notes.append(["y"])), Thing.raw.remove()],
                 condition=(Thing.points < 1) & Thing.owner.contains("o"))
    assert thing.points == 2 and thing.notes == ["x", "y"] and thing.raw is None
    with Thing.batch_write() as batch:
        for number in range(40):
            batch.save(Thing("b", number))
    assert Thing.count("b", Thing.sk >= 30) == 10
    assert [found.sk for found in Thing.by_owner.query("bob", scan_index_forward=False, limit=2)] == [39, 38]
    first = Thing.query("b", limit=15, page_size=10)
    assert len(list(first)) == 15 and len(list(Thing.query("b", last_evaluated_key=first.last_evaluated_key))) == 25
    assert len(list(Thing.scan(Thing.points.is_in(0), segment=0, total_segments=1, page_size=9))) == 40
    with TransactWrite(connection=Thing._get_connection().connection) as transaction:
        transaction.save(Thing("c", 1))
        transaction.condition_check(Thing, "a", 1, condition=Thing.points == 2)
    assert Thing.get("c", 1, consistent_read=True).owner == "bob"


def test_aioboto3(table):
    aioboto3 = pytest.importorskip("aioboto3")

    async def use():
        session = aioboto3.Session()
        async with session.resource("dynamodb") as resource:
            there = await resource.Table(table.name)
            async with there.batch_writer() as batch:
                for number in range(30):
                    await batch.put_item(Item={"pk": "async", "sk": number})
            found = await there.query(KeyConditionExpression=Key("pk").eq("async"), Limit=20)
            assert len(found["Items"]) == 20 and found["LastEvaluatedKey"] == {"pk": "async", "sk": 19}
        async with session.client("dynamodb") as client:
            answers = await asyncio.gather(*[client.get_item(TableName=table.name, Key={
                "pk": {"S": "async"}, "sk": {"N": str(number)}}) for number in range(30)])
            assert all("Item" in answer for answer in answers)
            pages = client.get_paginator("scan").paginate(TableName=table.name, PaginationConfig={"PageSize": 8})
            assert sum([len(page["Items"]) async for page in pages]) == 30
            await (client.get_waiter("table_exists")).wait(TableName=table.name)
    asyncio.run(use())


def test_awswrangler(table, tmp_path):
    wr = pytest.importorskip("awswrangler")
    import pandas as pd
    frame = pd.DataFrame({"pk": ["f"] * 40, "sk": range(40), "name": [f"n{number}" for number in range(40)]})
    wr.dynamodb.put_df(df=frame, table_name=table.name)
    wr.dynamodb.put_items(items=[{"pk": "g", "sk": 1, "name": "x"}], table_name=table.name)
    (tmp_path / "items.json").write_text(json.dumps([{"pk": "h", "sk": 1}]))
    wr.dynamodb.put_json(path=str(tmp_path / "items.json"), table_name=table.name)
    everything = {"table_name": table.name, "allow_full_scan": True, "use_threads": False}
    assert len(wr.dynamodb.read_items(**everything)) == 42
    assert len(wr.dynamodb.read_items(**everything | {"use_threads": 3, "as_dataframe": False})) == 42  # three segments
    found = wr.dynamodb.read_items(table_name=table.name, key_condition_expression=Key("pk").eq("f") & Key("sk").lt(10),
                                   filter_expression=Attr("name").gte("n5"))
    assert sorted(found["sk"]) == [5, 6, 7, 8, 9]
    # "name" is a reserved word: awswrangler finds that out from the service's text and tries again with a placeholder.
    one = wr.dynamodb.read_items(table_name=table.name, partition_values=["g"], sort_values=[1], columns=["name"])
    assert one["name"][0] == "x"
    assert len(wr.dynamodb.read_items(**everything, columns=["pk", "name"])) == 42
    many = wr.dynamodb.read_items(table_name=table.name, partition_values=["f", "f", "g"], sort_values=[1, 2, 1])
    assert len(many) == 3
    statement = f'SELECT pk, sk FROM "{table.name}" WHERE pk = ? AND sk >= ?'
    read = wr.dynamodb.read_partiql_query(statement, parameters=["f", 30])
    assert len(read) == 10
    chunks = wr.dynamodb.read_partiql_query(f'SELECT * FROM "{table.name}"', chunked=True)
    assert sum(map(len, chunks)) == 42
    wr.dynamodb.execute_statement(f"INSERT INTO \"{table.name}\" VALUE {{'pk': ?, 'sk': ?}}", parameters=["i", 1])
    wr.dynamodb.delete_items(items=[{"pk": "f", "sk": number} for number in range(40)], table_name=table.name)
    assert len(wr.dynamodb.read_items(**everything)) == 3


def aws(*words: str):
    """Run the aws command that is installed beside this Python; answer its JSON, or its error text."""
    command = Path(sys.executable).with_name("aws")
    if not command.exists():
        pytest.skip("needs the aws command (pip: awscli)")
    done = subprocess.run([str(command), "dynamodb", *words], text=True, capture_output=True, timeout=120)
    return json.loads(done.stdout or "{}") if done.returncode == 0 else done.stderr


def test_aws_command(table):
    key = '{"pk": {"S": "cli"}, "sk": {"N": "1"}}'
    on = ("--table-name", table.name)
    aws("put-item", *on, "--item", key)
    answer = aws("update-item", *on, "--key", key, "--update-expression", "SET a = :a", "--return-values", "ALL_NEW",
                 "--expression-attribute-values", '{":a": {"S": "é"}}', "--return-consumed-capacity", "INDEXES")
    assert answer["Attributes"]["a"] == {"S": "é"} and answer["ConsumedCapacity"]["CapacityUnits"] == 1
    requests = [{"PutRequest": {"Item": {"pk": {"S": "many"}, "sk": {"N": str(number)}}}} for number in range(25)]
    assert aws("batch-write-item", "--request-items", json.dumps({table.name: requests})) == {"UnprocessedItems": {}}
    query = ("query", *on, "--key-condition-expression", "pk = :p", "--expression-attribute-values",
             '{":p": {"S": "many"}}')
    page = aws(*query, "--page-size", "4", "--max-items", "10")
    assert len(page["Items"]) == 10 and page["NextToken"]
    more = aws(*query, "--starting-token", page["NextToken"])
    assert len(more["Items"]) == 15
    assert aws("scan", *on, "--select", "COUNT")["Count"] == 26
    statement = f"SELECT a FROM \"{table.name}\" WHERE pk='cli'"
    assert aws("execute-statement", "--statement", statement)["Items"] == [{"a": {"S": "é"}}]
    refused = aws("put-item", *on, "--item", key, "--condition-expression", "attribute_not_exists(pk)")
    assert "ConditionalCheckFailedException" in refused
    assert aws("describe-table", *on, "--query", "Table.TableStatus") == "ACTIVE"
    assert "ResourceNotFoundException" in aws("describe-table", "--table-name", "absent")
    assert aws("describe-limits")["AccountMaxReadCapacityUnits"] and aws("describe-endpoints")["Endpoints"]
    assert aws("wait", "table-exists", *on) == {}
