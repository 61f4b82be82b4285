"""The engine: what one Region's DynamoDB answers, and what it refuses."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from decimal import Decimal
from random import Random

import pytest
from engines import Database, index
from support import seed

from gtlab.localcloud import engine
from gtlab.localcloud.engine import conditions, pages, reads, table_rules, terms, texts, work
from gtlab.localcloud.engine.values import number, sort_bytes, sorted_as
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests


@pytest.fixture
def db(request) -> Database:
    """With the parameter True, each call is prepared as the server does with large ones."""
    return Database(ahead=getattr(request, "param", False))


AHEAD = pytest.mark.parametrize("db", [False, True], indirect=True, ids=["", "ahead"])


# Numbers

@pytest.mark.parametrize(("written", "plain"), [
    ("1.0", "1"), ("1e0", "1"), ("01", "1"), ("-0", "0"), ("0.00", "0"), (".5", "0.5"), ("5.", "5"), ("1E+2", "100"),
    ("-0.0012300", "-0.00123"),
    ("12345678901234567890123456789012345678e2", "1234567890123456789012345678901234567800"),
    ("1e125", "1" + "0" * 125), ("0e125", "0"), ("1e-130", "0." + "0" * 129 + "1"),
])
def test_a_number_has_one_form(db, written, plain):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, n={"N": written})
    assert db("GetItem", TableName="Tab", Key={"p": {"S": "a"}})["Item"]["n"] == {"N": plain}


def test_sets_are_returned_in_their_order(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, s={"SS": ["b", "", "ä", "B"]}, n={"NS": ["10", "-1", "2.5"]},
           b={"BS": ["Ag==", "AQ=="]})
    new = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, UpdateExpression="ADD s :s, n :n, b :b",
             ExpressionAttributeValues={":s": {"SS": ["a"]}, ":n": {"NS": ["3"]}, ":b": {"BS": ["AA=="]}},
             ReturnValues="UPDATED_NEW")["Attributes"]
    assert new == {"s": {"SS": ["", "B", "a", "b", "ä"]}, "n": {"NS": ["-1", "2.5", "3", "10"]},
                   "b": {"BS": ["AA==", "AQ==", "Ag=="]}}


@pytest.mark.parametrize(("written", "told"), [
    ("1e126", "Number overflow"), ("-1e126", "Number overflow"), ("1e-131", "Number underflow"),
    ("1" * 39, "more than 38 significant digits"), ("x", "cannot be converted"), ("", "cannot be converted"),
    ("NaN", "cannot be converted"), ("1" * 12_000 + "x", "cannot be converted"),
    ("1e99999999999", "Number overflow"), ("1e-99999999999", "Number underflow"), ("1e2147483648", "Number overflow"),
    ("1e9223372036854775808", "cannot be converted"), ("0e126", "Number overflow"), ("0e-131", "Number underflow"),
])
def test_a_number_that_cannot_be_stored_is_refused(db, written, told):
    db.table("Tab", "p")
    refusal = db.refusal("PutItem", TableName="Tab", Item={"p": {"S": "a"}, "n": {"N": written}})
    assert refusal.code == "ValidationException" and told in refusal.message and len(refusal.message) < 300


def test_numbers_sort_by_value_and_are_read_from_what_sorts_them():
    random = Random(seed(3))
    numbers = {number(f"{random.choice(['', '-'])}{random.randrange(10**random.randrange(1, 12))}"
                      f"e{random.randrange(-60, 60)}") for _ in range(3000)} | {"0"}
    assert sorted(numbers, key=lambda text: sort_bytes({"N": text})) == sorted(numbers, key=Decimal)
    assert [sorted_as("N", sort_bytes({"N": text})) for text in numbers] == list(numbers)


# Pages

def test_a_page_has_at_most_one_megabyte_before_the_filter(db):
    db.table("Tab", "p", "s:N")
    for n in range(15):
        db.put("Tab", p={"S": "a"}, s={"N": str(n)}, v={"S": "x" * 100_000})
    asked = {"TableName": "Tab", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    page = db("Query", **asked)
    assert page["Count"] == 10 and page["LastEvaluatedKey"] == {"p": {"S": "a"}, "s": {"N": "9"}}
    rest = db("Query", **asked, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [item["s"]["N"] for item in rest["Items"]] == ["10", "11", "12", "13", "14"]
    assert "LastEvaluatedKey" not in rest
    filtered = db("Scan", TableName="Tab", FilterExpression="s < :s", ExpressionAttributeValues={":s": {"N": "2"}})
    assert (filtered["Count"], filtered["ScannedCount"]) == (2, 10) and "LastEvaluatedKey" in filtered


def test_a_limit_counts_before_the_filter_and_gives_a_key_although_nothing_follows(db):
    db.table("Tab", "p", "s:N")
    for n in range(3):
        db.put("Tab", p={"S": "a"}, s={"N": str(n)}, even={"BOOL": n % 2 == 0})
    asked = {"TableName": "Tab", "KeyConditionExpression": "p = :p", "FilterExpression": "even = :no",
             "ExpressionAttributeValues": {":p": {"S": "a"}, ":no": {"BOOL": False}}}
    page = db("Query", **asked, Limit=3)
    assert (page["Count"], page["ScannedCount"]) == (1, 3) and page["LastEvaluatedKey"]["s"] == {"N": "2"}
    last = db("Query", **asked, Limit=3, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert (last["Count"], last["ScannedCount"]) == (0, 0) and "LastEvaluatedKey" not in last


def test_segments_are_disjoint_and_together_the_whole(db):
    db.table("Tab", "p")
    for n in range(200):
        db.put("Tab", p={"S": f"key {n}"})
    parts = [{item["p"]["S"] for item in db("Scan", TableName="Tab", Segment=n, TotalSegments=7)["Items"]}
             for n in range(7)]
    assert all(parts) and sum(map(len, parts)) == 200 == len(set().union(*parts))
    whole = [item["p"]["S"] for item in db("Scan", TableName="Tab")["Items"]]
    assert whole != sorted(whole)  # a Scan is in the order of a hash


def test_batch_get_stops_at_sixteen_megabytes(db):
    db.table("Tab", "p")
    for n in range(45):
        db.put("Tab", p={"S": f"{n}"}, v={"S": "x" * 390_000})
    keys = [{"p": {"S": f"{n}"}} for n in range(45)]
    answer = db("BatchGetItem", RequestItems={"Tab": {"Keys": keys}})
    left = answer["UnprocessedKeys"]["Tab"]["Keys"]
    assert len(answer["Responses"]["Tab"]) == 43 and left == keys[43:]


# Indexes

@pytest.fixture
def indexed(db: Database) -> Database:
    db.table("Tab", "p", "s:N", definitions=[{"AttributeName": "g", "AttributeType": "S"},
                                           {"AttributeName": "l", "AttributeType": "S"}],
             GlobalSecondaryIndexes=[index("Glob", "g", projection="INCLUDE", include=("a",))],
             LocalSecondaryIndexes=[index("Local", "p", "l", projection="KEYS_ONLY")])
    for n in range(4):
        db.put("Tab", p={"S": "p"}, s={"N": str(n)}, g={"S": "g"}, l={"S": f"{9 - n}"}, a={"N": "1"}, b={"N": "2"})
    db.put("Tab", p={"S": "p"}, s={"N": "7"})  # in neither index
    return db


def query(db: Database, index: str, **more) -> dict:
    name = "g" if index == "Glob" else "p"
    return db("Query", TableName="Tab", IndexName=index, KeyConditionExpression=f"{name} = :k",
              ExpressionAttributeValues={":k": {"S": name}} | more.pop("values", {}), **more)


def test_a_global_index_neither_returns_nor_filters_what_it_lacks(indexed):
    page = query(indexed, "Glob")
    assert page["Count"] == 4 and set(page["Items"][0]) == {"p", "s", "g", "a"}
    assert query(indexed, "Glob", FilterExpression="attribute_exists(b)")["Count"] == 0
    for asked in ({"ProjectionExpression": "b"}, {"Select": "ALL_ATTRIBUTES"}, {"ConsistentRead": True}):
        with pytest.raises(Refusal):
            query(indexed, "Glob", **asked)


def test_a_local_index_fetches_what_it_lacks_and_charges_for_it(indexed):
    cheap = query(indexed, "Local", ReturnConsumedCapacity="INDEXES", ConsistentRead=True)
    assert [item["l"]["S"] for item in cheap["Items"]] == ["6", "7", "8", "9"]
    assert set(cheap["Items"][0]) == {"p", "s", "l"}
    assert cheap["ConsumedCapacity"]["CapacityUnits"] == 1
    fetched = query(indexed, "Local", ProjectionExpression="b", ReturnConsumedCapacity="INDEXES", ConsistentRead=True)
    assert fetched["Items"] == [{"b": {"N": "2"}}] * 4
    assert fetched["ConsumedCapacity"]["Table"] == {"CapacityUnits": 4}
    assert fetched["ConsumedCapacity"]["LocalSecondaryIndexes"]["Local"] == {"CapacityUnits": 1}
    assert set(query(indexed, "Local", Select="ALL_ATTRIBUTES")["Items"][0]) == {"p", "s", "g", "l", "a", "b"}


def test_a_local_index_fetches_what_a_filter_names_and_before_it_filters(indexed):
    indexed.put("Tab", p={"S": "p"}, s={"N": "9"}, l={"S": "0"}, b={"N": "3"}, large={"S": "x" * 9000})
    found = query(indexed, "Local", FilterExpression="b = :b", values={":b": {"N": "3"}}, ConsistentRead=True,
                  ReturnConsumedCapacity="INDEXES")
    assert found["Items"] == [{"p": {"S": "p"}, "s": {"N": "9"}, "l": {"S": "0"}}]
    assert found["ConsumedCapacity"]["Table"] == {"CapacityUnits": 4 + 3}  # each item by itself, whether it fits or not
    assert found["ConsumedCapacity"]["LocalSecondaryIndexes"]["Local"] == {"CapacityUnits": 1}
    assert indexed("ExecuteStatement", Statement='SELECT b FROM "Tab"."Local" WHERE p = \'p\' AND l = \'0\'')[
        "Items"] == [{"b": {"N": "3"}}]
    assert "does not project [b]" in indexed.refusal(
        "ExecuteStatement", Statement='SELECT b FROM "Tab"."Glob" WHERE g = \'g\'').message


def test_what_a_local_index_fetches_counts_towards_the_megabyte_of_a_page(indexed):
    for place in range(30):
        indexed.put("Tab", p={"S": "large"}, s={"N": str(place)}, l={"S": str(place % 7)}, b={"S": "x" * 100_000})
    asked = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "large"}}}
    for shown in ({"Select": "ALL_ATTRIBUTES"}, {"ProjectionExpression": "s, b"},
                  {"FilterExpression": "attribute_exists(b)"}):
        found, counts, begin = [], [], {}
        while begin is not None:
            page = indexed("Query", TableName="Tab", IndexName="Local", **asked, **shown, **begin)
            found += [item["s"]["N"] for item in page["Items"]]
            counts.append(page["ScannedCount"])
            begin = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
        assert counts == [10, 10, 10] and len(set(found)) == 30
    page = indexed("ExecuteStatement", Statement='SELECT s, b FROM "Tab"."Local" WHERE p = \'large\'')
    assert len(page["Items"]) == 10 and page["NextToken"]
    assert indexed("Query", TableName="Tab", IndexName="Local", **asked)["Count"] == 30  # the index has these itself


@pytest.mark.parametrize(("update", "told"), [
    ("SET g = :v", "Type mismatch for Index Key g Expected: S Actual: N IndexName: Glob"),
    ("SET g = s, a = :v", "attempted to update the secondary index key to unsupported type"),
    ("SET g = :e, a = :v", "attempted to update a secondary index key to a value that is not supported"),
])
def test_an_update_cannot_give_an_index_a_key_of_another_type(indexed, update, told):
    values = {":v": {"N": "1"}} | ({":e": {"S": ""}} if ":e" in update else {})
    assert told in indexed.refusal("UpdateItem", TableName="Tab", Key={"p": {"S": "p"}, "s": {"N": "1"}},
                                   UpdateExpression=update, ExpressionAttributeValues=values).message


def test_pages_of_an_index_go_on_where_they_stopped(indexed):
    for name, expected in (("Glob", {"p", "s", "g"}), ("Local", {"p", "s", "l"})):
        seen, start = [], {}
        while True:
            page = query(indexed, name, Limit=1, **start)
            seen += [item["s"]["N"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            assert set(page["LastEvaluatedKey"]) == expected
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert sorted(seen) == ["0", "1", "2", "3"]


def test_an_index_follows_every_change(indexed):
    query(indexed, "Glob")  # it is built now
    indexed("UpdateItem", TableName="Tab", Key={"p": {"S": "p"}, "s": {"N": "0"}}, UpdateExpression="SET g = :g",
            ExpressionAttributeValues={":g": {"S": "other"}})
    indexed("UpdateItem", TableName="Tab", Key={"p": {"S": "p"}, "s": {"N": "1"}}, UpdateExpression="REMOVE g")
    indexed("DeleteItem", TableName="Tab", Key={"p": {"S": "p"}, "s": {"N": "2"}})
    indexed.put("Tab", p={"S": "new"}, s={"N": "9"}, g={"S": "g"})
    assert sorted(item["s"]["N"] for item in query(indexed, "Glob")["Items"]) == ["3", "9"]


def test_a_query_refuses_its_own_keys_in_a_filter_and_a_scan_does_not(indexed):
    told = indexed.refusal("Query", TableName="Tab", KeyConditionExpression="p = :p", FilterExpression="s > :s",
                           ExpressionAttributeValues={":p": {"S": "p"}, ":s": {"N": "1"}}).message
    assert told == "Filter Expression can only contain non-primary key attributes: Primary key attribute: s"
    assert query(indexed, "Glob", FilterExpression="s > :s", values={":s": {"N": "1"}})["Count"] == 2
    assert indexed("Scan", TableName="Tab", FilterExpression="s > :s",
                   ExpressionAttributeValues={":s": {"N": "1"}})["Count"] == 3


@pytest.mark.parametrize(("start", "condition", "text"), [
    (("other", "1"), "p = :p", "The provided starting key is outside query boundaries based on provided conditions"),
    (("p", "1"), "p = :p AND s > :n", "The provided starting key does not match the range key predicate"),
    (("other", "1"), "p = :p AND s > :n", "The provided starting key does not match the range key predicate"),
    (("other", "2"), "p = :p AND s > :n", "The query can return at most one row and cannot be restarted"),
])
def test_a_page_begins_in_what_a_query_asks_for(indexed, start, condition, text):
    values = {":p": {"S": "p"}} | ({":n": {"N": "1"}} if ":n" in condition else {})
    asked = {"TableName": "Tab", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    partition, number = start
    assert indexed.refusal("Query", **asked, ExclusiveStartKey={"p": {"S": partition}, "s": {"N": number}}
                           ).message == text
    page = indexed("Query", **asked, ExclusiveStartKey={"p": {"S": "p"}, "s": {"N": "2"}})
    assert [item["s"] for item in page["Items"]] == [{"N": "3"}, {"N": "7"}]


# The texts are those that dynalite captured on the service.
NO_KEY_CONDITIONS = [
    ("p = :p OR s > :n", "Invalid operator used in KeyConditionExpression: OR"),
    ("NOT p = :p", "Invalid operator used in KeyConditionExpression: NOT"),
    ("p IN (:p)", "Invalid operator used in KeyConditionExpression: IN"),
    ("p <> :p", "Invalid operator used in KeyConditionExpression: <>"),
    ("contains(p, :p)", "Invalid operator used in KeyConditionExpression: contains"),
    ("attribute_exists(p)", "Invalid operator used in KeyConditionExpression: attribute_exists"),
    (":p BETWEEN p AND s AND p = :n", "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key "
                                      "attribute as its first operand"),
    ("begins_with(:p, p)", "Invalid condition in KeyConditionExpression: begins_with operator must have the key "
                           "attribute as its first operand"),
    ("size(p) > :n AND s.b > p", "KeyConditionExpressions cannot contain nested operations"),
    ("p > size(s.b)", "KeyConditionExpressions cannot contain nested operations"),
    ("p > s.b", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
    ("begins_with(p, s)", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one "
                          "condition"),
    ("p.b > :p AND p = :p", "KeyConditionExpressions cannot have conditions on nested attributes"),
    (":p > :n", "Invalid condition in KeyConditionExpression: No key attribute specified"),
    ("p = :p AND (s > :n AND p = :p)",
     "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"),
    # What no condition may have comes first, wherever it is.
    ("p.b > :p AND p < :none", "Invalid KeyConditionExpression: An expression attribute value used in expression is "
                               "not defined; attribute value: :none"),
    (":p = :p OR s BETWEEN :n AND :p", "Invalid KeyConditionExpression: The BETWEEN operator requires same data type "
     "for lower and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: "
     "{S:a}"),
    ("begins_with(p, :n)", "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator "
                           "or function: begins_with, operand type: N"),
]


@pytest.mark.parametrize(("expression", "text"), NO_KEY_CONDITIONS, ids=[each[0] for each in NO_KEY_CONDITIONS])
def test_what_is_no_key_condition(indexed, expression, text):
    used = {name: value for name, value in {":p": {"S": "a"}, ":n": {"N": "1"}}.items() if name in expression}
    values = {"ExpressionAttributeValues": used} if used else {}
    assert indexed.refusal("Query", TableName="Tab", KeyConditionExpression=expression, **values).message == text
    assert indexed.refusal("Query", TableName="Nothing", KeyConditionExpression=expression, **values).message == text


@pytest.mark.parametrize(("other", "text"), [
    ({"FilterExpression": ""}, "Invalid FilterExpression: The expression can not be empty;"),
    ({"ProjectionExpression": ""}, "Invalid ProjectionExpression: The expression can not be empty;"),
    ({"FilterExpression": "a = :none"}, "Invalid FilterExpression: An expression attribute value used in expression is "
                                        "not defined; attribute value: :none"),
    ({"ExpressionAttributeNames": {"#n": "n"}}, "Value provided in ExpressionAttributeNames unused in expressions: "
                                                "keys: {#n}"),
])
def test_all_expressions_are_read_before_a_key_condition_is_looked_at(indexed, other, text):
    assert indexed.refusal("Query", TableName="Tab", KeyConditionExpression="attribute_exists(p)",
                           **other).message == text


# Capacity

@pytest.mark.parametrize(("operation", "data", "units"), [
    ("PutItem", {"Item": {"p": {"S": "new"}, "v": {"S": "x" * 1500}}}, 2),
    ("PutItem", {"Item": {"p": {"S": "large"}}}, 381),   # the larger of the two counts
    ("DeleteItem", {"Key": {"p": {"S": "nobody"}}}, 1),
    ("GetItem", {"Key": {"p": {"S": "large"}}, "ConsistentRead": True}, 96),
    ("GetItem", {"Key": {"p": {"S": "large"}}}, 48),
    ("GetItem", {"Key": {"p": {"S": "nobody"}}}, 0.5),
    ("Query", {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "large"}}}, 48),
    ("Scan", {"Select": "COUNT", "FilterExpression": "attribute_exists(nothing)"}, 48),
])
def test_capacity_is_counted_by_size(db, operation, data, units):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "large"}, v={"S": "x" * 390_000})
    assert db(operation, TableName="Tab", ReturnConsumedCapacity="TOTAL", **data)["ConsumedCapacity"] == {
        "TableName": "Tab", "CapacityUnits": units}


def test_batches_and_transactions_have_their_capacity(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, v={"S": "x" * 5000})
    put = {"Item": {"p": {"S": "b"}, "v": {"S": "x" * 1500}}}
    batch = db("BatchGetItem", RequestItems={"Tab": {"Keys": [{"p": {"S": "a"}}, {"p": {"S": "none"}}]}},
               ReturnConsumedCapacity="TOTAL")
    assert batch["ConsumedCapacity"] == [{"TableName": "Tab", "CapacityUnits": 1.5}]
    written = db("BatchWriteItem", RequestItems={"Tab": [{"PutRequest": put}]}, ReturnConsumedCapacity="TOTAL")
    assert written["ConsumedCapacity"] == [{"TableName": "Tab", "CapacityUnits": 2.0}]
    transaction = db("TransactWriteItems", TransactItems=[{"Put": put | {"TableName": "Tab"}}],
                     ReturnConsumedCapacity="TOTAL")
    assert transaction["ConsumedCapacity"] == [{"TableName": "Tab", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}]
    read = db("TransactGetItems", TransactItems=[{"Get": {"TableName": "Tab", "Key": {"p": {"S": "a"}}}}],
              ReturnConsumedCapacity="TOTAL")
    assert read["ConsumedCapacity"] == [{"TableName": "Tab", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]


# Limits on every way in

LARGE = {"S": "x" * (400 * 1024)}


@pytest.mark.parametrize(("operation", "data", "told"), [
    ("PutItem", {"TableName": "Tab", "Item": {"p": {"S": "a"}, "v": LARGE}},
     "Item size has exceeded the maximum allowed size"),
    ("UpdateItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET v = :v",
                    "ExpressionAttributeValues": {":v": LARGE}}, "Item size to update has exceeded the maximum"),
    ("BatchWriteItem", {"RequestItems": {"Tab": [{"PutRequest": {"Item": {"p": {"S": "a"}, "v": LARGE}}}]}},
     "Item size has exceeded the maximum allowed size"),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Tab", "Item": {"p": {"S": "a"}, "v": LARGE}}}]},
     "Item size has exceeded the maximum allowed size"),
    ("TransactWriteItems", {"TransactItems": [{"Update": {
        "TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": LARGE}}}]}, "Transaction cancelled"),
    ("ExecuteStatement", {"Statement": "INSERT INTO Tab VALUE {'p': 'a', 'v': ?}", "Parameters": [LARGE]},
     "Item size has exceeded the maximum allowed size"),
    ("ExecuteStatement", {"Statement": "SELECT * FROM Tab" + " " * 8192}, "less than or equal to 8192"),
    ("GetItem", {"TableName": "Tab", "Key": {"p": {"S": "x" * 2049}}}, "maximum size limit of2048 bytes"),
    ("Scan", {"TableName": "Tab", "FilterExpression": "a = b" + " AND a = b" * 600},
     "Expression size has exceeded the maximum allowed size; expression size: 6005"),
    ("Scan", {"TableName": "Tab", "FilterExpression": "a=b" + " AND a=b" * 301}, "too many operators"),
    ("Scan", {"TableName": "Tab", "FilterExpression": "(" * 200 + "a = b" + ")" * 200}, "Invalid FilterExpression"),
    ("PutItem", {"TableName": "Tab", "Item": {"p": {"S": "a"}, "v" * 65_536: {"S": ""}}}, "name is too large"),
    ("UpdateItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "AttributeUpdates": {"v" * 65_536: {
        "Value": {"S": ""}}}}, "name is too large"),
    ("UpdateItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "AttributeUpdates": {"": {"Value": {"S": ""}}}},
     "Empty attribute name"),
    ("PutItem", {"TableName": "Tab", "Item": {"p": {"S": "a"}, "n": {"N": "x"}, "": {"S": ""}}},
     "Empty attribute name"),
    ("UpdateItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "REMOVE a" + ", a" * 1400},
     "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"),
    ("TransactWriteItems", {"TransactItems": [
        {"Delete": {"TableName": "None", "Key": {"p": {"N": "x"}}}},
        {"Delete": {"TableName": "None", "Key": {"p": {"S": "a"}}, "ConditionExpression": "a = = b"}}]},
     "cannot be converted to a numeric value"),
    ("GetItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "AttributesToGet": ["v" * 65_536]}, "name is too large"),
    ("Scan", {"TableName": "Tab", "FilterExpression": "a = b", "ExpressionAttributeNames": {"#" + "v" * 255: "a"}},
     "contains invalid key"),
])
def test_limits_hold_on_every_way_in(db, operation, data, told):
    db.table("Tab", "p")
    message = db.refusal(operation, **data).message
    assert message.endswith(told) if told.endswith(";") else told in message  # some texts leave the size out
    assert db("Scan", TableName="Tab")["Count"] == 0


def test_a_batch_of_no_writes_is_refused_as_one_without_requests(db):
    for more in ({}, {"RequestItems": None}, {"RequestItems": {}}):
        assert db.refusal("BatchWriteItem", ReturnConsumedCapacity="LOTS", **more).message == (
            "The requestItems parameter is required for BatchWriteItem")


def test_a_batch_has_its_own_text_for_a_wrong_key(db):
    db.table("Tab", "p")
    for item in ({"x": {"S": "a"}}, {"p": {"N": "1"}}, {"p": {"L": []}}):
        assert db.refusal("BatchWriteItem", RequestItems={"Tab": [{"PutRequest": {"Item": item}}]}).message == (
            "The provided key element does not match the schema")
        assert db.refusal("PutItem", TableName="Tab", Item=item).message.startswith("One or more parameter values were")


def test_a_request_of_a_batch_is_one_of_two(db):
    db.table("Tab", "p")
    for request in ({}, {"PutRequest": {"Item": {"p": {"S": "a"}}}, "DeleteRequest": {"Key": {"p": {"S": "a"}}}}):
        assert db.refusal("BatchWriteItem", RequestItems={"Tab": [request]}).message == (
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
            "datatypes")


def test_a_batch_of_no_writes_is_refused(db):
    assert db.refusal("BatchWriteItem", RequestItems={"Tab": []}).message == (
        "1 validation error detected: Value '{Tab=[]}' at 'requestItems' failed to satisfy constraint: Map value must "
        "satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than "
        "or equal to 1]")


def test_values_beside_a_projection_only_are_refused(db):
    db.table("Tab", "p")
    for operation, nulls in (("Scan", "FilterExpression is null"),
                             ("Query", "FilterExpression and KeyConditionExpression are null")):
        asked = {"ProjectionExpression": "a", "ExpressionAttributeValues": {":v": {"S": "c"}}}
        assert db.refusal(operation, TableName="Tab", **asked).message == (
            f"ExpressionAttributeValues can only be specified when using expressions: {nulls}")


_SHOWN = r"com\.amazonaws\.dynamodb\.v20120810\."


@pytest.mark.parametrize(("operation", "data", "told"), [
    ("BatchWriteItem", {"RequestItems": {"Tab": [{"PutRequest": {"Item": {"p": {"S": str(n)}}}} for n in range(26)]}},
     rf"'{{Tab=\[WriteRequest\(putRequest=PutRequest\(item={{p={_SHOWN}AttributeValue@[0-9a-f]{{8}}}}, "
     r"workloadProfileName=null\), deleteRequest=null\), .*\]}' at 'requestItems' failed to satisfy constraint"),
    ("TransactWriteItems", {"TransactItems": [{"Delete": {"TableName": "Tab", "Key": {"p": {"S": str(n)}}}}
                                              for n in range(101)]},
     rf"'\[({_SHOWN}TransactWriteItem@[0-9a-f]{{8}}(, )?){{101}}\]' at 'transactItems' failed to satisfy constraint"),
])
def test_too_many_items_are_shown_in_the_services_notation(db, operation, data, told):
    db.table("Tab", "p")
    assert re.search(told, db.refusal(operation, **data).message)


@pytest.mark.parametrize(("asked", "told"), [
    ({}, "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"),
    ({"Tab": {"Keys": []}}, "Value at 'RequestItems.Tab.member.Keys' failed to satisfy constraint: Member must have "
                            "length greater than or equal to 1"),
    ({"Tab": {"Keys": [{"p": {"S": str(n)}} for n in range(101)]}},
     "Value at 'RequestItems.Tab.member.Keys' failed to satisfy constraint: Member must have length less than or equal "
     "to 100"),
])
def test_a_batch_of_none_or_too_many_keys_is_refused_without_showing_them(db, asked, told):
    db.table("Tab", "p")
    assert db.refusal("BatchGetItem", RequestItems=asked).message == f"1 validation error detected: {told}"


_MAP_KEYS = ("at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have "
             "length less than or equal to 255, Member must have length greater than or equal to 3, Member must "
             "satisfy regular expression pattern: [a-zA-Z0-9_.-]+]")


def test_a_name_that_no_table_can_have_fails_the_map_of_a_batch(db):
    db.table("Tab", "p")
    enum = ("Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value "
            "set: [INDEXES, TOTAL, NONE]")
    keys, put = {"Keys": [{"p": {"S": "é"}}]}, [{"PutRequest": {"Item": {"p": {"S": "x"}}}}]
    for name in ("bad!name", "ab", "n" * 256):
        told = f"""Value '{{"{name}":{{"Keys":[{{"p":{{"S":"é"}}}}]}}}}' {_MAP_KEYS}"""
        assert db.refusal("BatchGetItem", RequestItems={name: keys}).message == f"1 validation error detected: {told}"
        assert db.refusal("BatchGetItem", RequestItems={name: keys}, ReturnConsumedCapacity="BOGUS").message == (
            f"2 validation errors detected: {told}; {enum}")
        told = db.refusal("BatchWriteItem", RequestItems={"Tab": put, name: put}).message
        assert f"{name}=[WriteRequest(putRequest=PutRequest(item={{p=" in told and told.endswith(_MAP_KEYS)
        alone = db.refusal("BatchWriteItem", RequestItems={name: put}, ReturnConsumedCapacity="BOGUS").message
        assert alone == f"1 validation error detected: {enum}"
    assert "ARN" in db.refusal("BatchGetItem", RequestItems={"arn:aws:dynamodb:us-east-1:1:table/!": keys}).message


def test_reads_of_several_items_are_read_before_their_tables_are_looked_for(db):
    db.table("Tab", "p")
    at, bad = {"p": {"S": "a"}}, {"ProjectionExpression": "a,"}
    assert "Syntax error" in db.refusal("BatchGetItem", RequestItems={
        "None": {"Keys": [at]}, "Tab": {"Keys": [at]} | bad}).message
    assert "Syntax error" in db.refusal("TransactGetItems", TransactItems=[
        {"Get": {"TableName": "None", "Key": at}}, {"Get": {"TableName": "Tab", "Key": at} | bad}]).message


def test_a_batch_mixes_no_expression_of_one_table_with_the_attributes_of_another(db):
    for name in ("Tab", "Other"):
        db.table(name, "p")
    at = [{"p": {"S": "a"}}]
    assert db.refusal("BatchGetItem", RequestItems={
        "Tab": {"Keys": at, "ProjectionExpression": "p"}, "Other": {"Keys": at, "AttributesToGet": ["p"]}}).message == (
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{AttributesToGet} Expression parameters: {ProjectionExpression}")


@pytest.mark.parametrize(("update", "told"), [
    ("SET a = :v SET b = :v", 'The "SET" section can only be used once'),
    ("SET m.a = :v, m = :v", "Two document paths overlap with each other"),
    ("SET l[0] = :v REMOVE l.x", "Two document paths conflict with each other"),
    ("SET p = :v", "Cannot update attribute p. This attribute is part of the key"),
    ("SET a = nothing, b = :v", "refers to an attribute that does not exist in the item"),
    ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
    ("", "The expression can not be empty"),
    ("REMOVE a", "unused in expressions: keys: {:v}"),
    ("SET a = if_not_exists(a, b + :v)", 'Syntax error; token: "+"'),
    ("SET a = b - (c + :v)", 'Syntax error; token: "+"'),
    ("SET a = list_append(list_append(a, b), c), b = :v", "not allowed to be used this way in an expression"),
    ("SET set = :v", 'Syntax error; token: "set"'),
    ("SET _a = :v", 'Syntax error; token: "_"'),
])
def test_updates_that_are_refused_everywhere(db, update, told):
    db.table("Tab", "p")
    asked = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": update,
             "ExpressionAttributeValues": {":v": {"N": "1"}}}
    assert told in db.refusal("UpdateItem", **asked).message
    refusal = db.refusal("TransactWriteItems", TransactItems=[{"Update": asked}])
    reasons = refusal.details.get("CancellationReasons", [{"Message": refusal.message}])
    assert told in reasons[0]["Message"]


@pytest.fixture
def keyed(db: Database) -> Database:
    """A table with an index by g (S), and one item without it."""
    db.table("Tab", "p", definitions=[{"AttributeName": "g", "AttributeType": "S"}],
             GlobalSecondaryIndexes=[index("Glob", "g")])
    db.put("Tab", p={"S": "a"}, n={"N": "1"}, t={"S": "x" * 3000})
    return db


WRONG_INDEX_KEY = "Type mismatch for Index Key g Expected: S Actual: {} IndexName: Glob"


@pytest.mark.parametrize(("asked", "text"), [
    # What no item could take is refused before the condition is looked at.
    ({"UpdateExpression": "ADD g :n"}, WRONG_INDEX_KEY.format("N")),
    ({"UpdateExpression": "SET g = if_not_exists(x, :n)"}, WRONG_INDEX_KEY.format("N")),
    ({"UpdateExpression": "SET g = n + :n"}, WRONG_INDEX_KEY.format("N")),
    ({"UpdateExpression": "SET g.x = :n"}, "Key attributes must be scalars; list random access '[]' and map lookup '.' "
                                           "are not allowed: IndexKey: g"),
    ({"UpdateExpression": "SET x = if_not_exists(p[0], :n)"}, "are not allowed: Key: p"),
    ({"UpdateExpression": "SET p = :n"}, "Cannot update attribute p. This attribute is part of the key"),
    ({"AttributeUpdates": {"g": {"Value": {"N": "1"}}}}, WRONG_INDEX_KEY.format("N")),
    ({"AttributeUpdates": {"g": {"Action": "DELETE", "Value": {"SS": ["a"]}}}}, WRONG_INDEX_KEY.format("SS")),
    ({"AttributeUpdates": {"x": {"Action": "ADD", "Value": {"S": "a"}}}}, "ADD action is not supported for the type S"),
    ({"AttributeUpdates": {"x": {"Action": "PUT"}}}, "Only DELETE action is allowed when no attribute value is"),
])
def test_an_update_that_no_item_could_take_is_refused_before_its_condition(keyed, asked, text):
    condition = ({"Expected": {"p": {"Exists": False}}} if "AttributeUpdates" in asked else {
        "ConditionExpression": "attribute_not_exists(p)", "ExpressionAttributeValues": {":n": {"N": "1"}}})
    assert text in keyed.refusal("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, **condition, **asked).message


@pytest.mark.parametrize(("update", "text"), [
    ("SET g = n", "The update expression attempted to update the secondary index key to unsupported type"),
    ("SET g = t", "The update expression attempted to update the secondary index key beyond allowed size limits"),
])
def test_an_update_that_only_this_item_cannot_take(keyed, update, text):
    asked = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": update}
    assert keyed.refusal("UpdateItem", **asked).message == text
    reason, = keyed.refusal("TransactWriteItems", TransactItems=[{"Update": asked}]).details["CancellationReasons"]
    assert reason == {"Code": "ValidationError", "Message": text}


@pytest.mark.parametrize(("operation", "asked"), [
    ("GetItem", {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "ProjectionExpression": "n, g[0]"}),
    ("BatchGetItem", {"RequestItems": {"Tab": {"Keys": [{"p": {"S": "a"}}], "ProjectionExpression": "g.x"}}}),
    ("Scan", {"TableName": "Tab", "FilterExpression": "attribute_exists(g.x)"}),
    ("Query", {"TableName": "Tab", "KeyConditionExpression": "p = :p", "ProjectionExpression": "g.x",
               "ExpressionAttributeValues": {":p": {"S": "a"}}}),
])
def test_a_path_does_not_lead_into_a_key(keyed, operation, asked):
    assert keyed.refusal(operation, **asked).message.endswith("are not allowed: IndexKey: g")


@pytest.mark.parametrize("written", ["1e", "x", "1x"])
def test_a_number_that_is_none_in_an_expressions_values(db, written):
    db.table("Tab", "p")
    asked = {"TableName": "Tab", "FilterExpression": "n = :n", "ExpressionAttributeValues": {":n": {"N": written}}}
    requests.check_input("dynamodb", "Scan", asked)
    assert db.refusal("Scan", **asked).message == (
        "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: "
        f"{written} for key :n")


@pytest.mark.parametrize(("operation", "asked", "text"), [
    ("GetItem", {"Key": {"x": {}}}, "Supplied AttributeValue is empty, must contain exactly one of the supported"),
    ("GetItem", {"Key": {"p": {"S": "a", "N": "1"}}}, "Supplied AttributeValue has more than one datatypes set, must"),
    ("PutItem", {"Item": {"p": {"S": "a"}, "b": {"B": "!"}}}, "Base64 encoded length is expected a multiple of 4 bytes "
                                                              "but found: 1"),
    ("PutItem", {"Item": {"p": {"S": "a"}, "b": {"B": "YR=="}}}, "Invalid last non-pad Base64 character dectected"),
    ("PutItem", {"Item": {"p": {"S": "a"}, "b": {"BS": ["YQ==", "YQ=="]}}},
     "One or more parameter values were invalid: Input collection [YQ==, YQ==]of type BS contains duplicates."),
    ("GetItem", {"Key": {"x": {"S": "a"}}}, "The provided key element does not match the schema"),
    ("PutItem", {"Item": {"p": {"S": "a"}, "n": {"N": ""}}}, "The parameter cannot be converted to a numeric value"),
    ("Scan", {"IndexName": "#"}, "2 validation errors detected: Value '#' at 'indexName' failed to satisfy constraint: "
     "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '#' at 'indexName' failed to satisfy "
     "constraint: Member must have length greater than or equal to 3"),
])
def test_refusals_in_the_services_words(keyed, operation, asked, text):
    assert keyed.refusal(operation, TableName="Tab", **asked).message.startswith(text)


def test_right_hand_sides_see_the_item_as_it_was(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, a={"N": "1"}, b={"N": "2"}, l={"L": [{"N": "0"}, {"N": "1"}]})
    after = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, ReturnValues="ALL_NEW",
               UpdateExpression="SET a = b, b = a, l[9] = :v, l[0] = l[1] REMOVE l[1] ADD s :s",
               ExpressionAttributeValues={":v": {"S": "end"}, ":s": {"NS": ["1.0", "2"]}})["Attributes"]
    assert after == {"p": {"S": "a"}, "a": {"N": "2"}, "b": {"N": "1"}, "l": {"L": [{"N": "1"}, {"S": "end"}]},
                     "s": {"NS": ["1", "2"]}}
    shown = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, ReturnValues="UPDATED_NEW",
               UpdateExpression="SET m = :m", ExpressionAttributeValues={":m": {"M": {"x": {"N": "1"}}}})["Attributes"]
    assert shown == {"m": {"M": {"x": {"N": "1"}}}}
    nested = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, ReturnValues="UPDATED_OLD",
                UpdateExpression="SET m.x = :v", ExpressionAttributeValues={":v": {"N": "5"}})["Attributes"]
    assert nested == {"m": {"M": {"x": {"N": "1"}}}}


def test_an_update_inside_a_document_leaves_what_was_there_before_as_it_was(db):
    before = {"M": {"a": {"L": [{"M": {"b": {"N": "1"}, "s": {"SS": ["x"]}}}, {"S": "x"}]}, "c": {"M": {}}}}
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, q=before)
    answer = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, ReturnValues="ALL_OLD", UpdateExpression=(
        "SET q.a[0].b = :v, q.c.d = q.a, r = q, q.a[7] = q.a[0].b REMOVE q.a[1] ADD q.a[0].s :s"),
        ExpressionAttributeValues={":v": {"N": "2"}, ":s": {"SS": ["y"]}})
    assert answer["Attributes"]["q"] == before
    after = {"M": {"a": {"L": [{"M": {"b": {"N": "2"}, "s": {"SS": ["x", "y"]}}}, {"N": "1"}]},
                   "c": {"M": {"d": before["M"]["a"]}}}}
    assert db("GetItem", TableName="Tab", Key={"p": {"S": "a"}})["Item"] == {"p": {"S": "a"}, "q": after, "r": before}
    for path in ("q.a.b", "q.a[0].b.c", "q[0].b", "q.a[5].b", "q.a[1][0]"):
        refusal = db.refusal("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, UpdateExpression=f"SET {path} = :v",
                             ExpressionAttributeValues={":v": {"N": "2"}})
        assert "document path provided in the update expression is invalid" in refusal.message


def test_values_beyond_the_end_of_a_list_are_appended_in_the_order_of_their_indexes(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, l={"L": [{"S": "0"}, {"SS": ["x"]}, {"S": "2"}]})
    after = db("UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, ReturnValues="ALL_NEW",
               UpdateExpression="SET l[84] = :c, l[17] = :b, l[2] = :a DELETE l[1] :x", ExpressionAttributeValues={
                   ":a": {"S": "a"}, ":b": {"S": "b"}, ":c": {"S": "c"}, ":x": {"SS": ["x"]}})["Attributes"]
    assert [value["S"] for value in after["l"]["L"]] == ["0", "a", "b", "c"]


@pytest.mark.parametrize(("update", "creates"), [
    ({"UpdateExpression": "REMOVE a"}, False), ({"UpdateExpression": "REMOVE a.b, c[1]"}, False),
    ({"UpdateExpression": "DELETE a :s", "ExpressionAttributeValues": {":s": {"SS": ["x"]}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "DELETE"}}}, False),
    ({"AttributeUpdates": {"a": {"Action": "DELETE", "Value": {"SS": ["x"]}}}}, False),
    ({}, True), ({"AttributeUpdates": {}}, True), ({"UpdateExpression": "SET a = p REMOVE b"}, True),
    ({"ConditionExpression": "attribute_not_exists(p)"}, True),
])
def test_an_update_that_only_removes_creates_no_item(db, update, creates):
    db.table("Tab", "p")
    asked = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, **update}
    assert ("Attributes" in db("UpdateItem", **asked, ReturnValues="ALL_NEW")) is creates
    assert db("Scan", TableName="Tab")["Count"] == creates
    if "UpdateExpression" in update:
        asked["Key"] = {"p": {"S": "b"}}
        db("TransactWriteItems", TransactItems=[{"Update": asked}])
        assert db("Scan", TableName="Tab")["Count"] == 2 * creates


@pytest.mark.parametrize(("condition", "holds"), [
    ("(a) = :one", True), ("((a) = :one)", True), ("(a) BETWEEN (:one) AND (:two) AND NOT (a = :two)", True),
    ("a IN ((:two), (:one))", True), ("size((s)) = :two", True), ("NOT NOT a = :two", False),
    ("((a = :one) AND (s = :one)) OR (a) IN (:two)", False),
    ("((a)) = :one", "redundant parentheses"), ("NOT ((a = :one))", "redundant parentheses"),
    ("size(size(s)) = :one", "operator or function: size, operand type: N"),
    ("size(s)", "used this way in an expression; function: size"),
    ("size(begins_with(s, :one))", "used this way in an expression; function: begins_with"),
    ("attribute_exists(a) OR size(begins_with(contains(s, :one), :two))", "in an expression; function: contains"),
    ("begins_with(contains(s, :one), :two) = :one", "used this way in an expression; function: contains"),
    ("begins_with(size(s), size(contains(s, :one))) = :two", "used this way in an expression; function: contains"),
    ("attribute_type(a, s)", "operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"),
    ("a = :one AND AND a = :two", 'Syntax error; token: "AND"'), ("_a = :one", 'Syntax error; token: "_"'),
    ("a = :one" + " OR a = :one" * 150, "too many operators; operator count: 301"),
    ("a = s" + " OR (a = s" * 149 + ")" * 149, False), ("NOT " * 299 + "a = s", True),
    ("a = p" + " AND (a = s OR (a = p" * 74 + "))" * 74, False), ("a=s" + " OR (a=s" * 400, "operator count: 301"),
    ("NOT (" * 150 + "a = s" + ")" * 150, False), ("(" * 4096, 'Syntax error; token: "<EOF>"'),
])
def test_conditions_in_parentheses_and_what_is_refused(db, condition, holds):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, a={"N": "1"}, s={"S": "xy"})
    values = {name: value for name, value in ((":one", {"N": "1"}), (":two", {"N": "2"})) if name in condition}
    asked = {"TableName": "Tab", "FilterExpression": condition} | (
        {"ExpressionAttributeValues": values} if values else {})
    if isinstance(holds, str):
        assert holds in db.refusal("Scan", **asked).message
    else:
        assert db("Scan", **asked)["Count"] == holds


# Transactions

def reasons(refusal: Refusal) -> list[str]:
    return [reason["Code"] for reason in refusal.details["CancellationReasons"]]


def test_a_transaction_stops_at_the_first_part_that_is_not_valid(db):
    db.table("Tab", "p")
    def put(value: dict, **more) -> dict:
        return {"Put": {"TableName": "Tab", "Item": {"p": value}, **more}}
    failing = put({"S": "a"}, ConditionExpression="attribute_exists(p)")
    wrong = put({"N": "1"})
    assert reasons(db.refusal("TransactWriteItems", TransactItems=[failing, wrong, wrong])) == [
        "None", "ValidationError", "None"]
    other = put({"S": "b"}, ConditionExpression="attribute_exists(p)")
    assert reasons(db.refusal("TransactWriteItems", TransactItems=[failing, put({"S": "c"}), other])) == [
        "ConditionalCheckFailed", "None", "ConditionalCheckFailed"]
    get = {"Get": {"TableName": "Tab", "Key": {"q": {"S": "a"}}}}
    assert reasons(db.refusal("TransactGetItems", TransactItems=[get, get])) == ["ValidationError", "None"]


@pytest.mark.parametrize(("expression", "near"), [("!!!", "!!"), ("a !b", "a !b"), ("a, b !", "b !"), ("!", "!")])
def test_what_is_near_an_unknown_character_is_one_token_on_each_side(db, expression, near):
    db.table("Tab", "p")
    refusal = db.refusal("GetItem", TableName="Tab", Key={"p": {"S": "a"}}, ProjectionExpression=expression)
    assert refusal.message == f'Invalid ProjectionExpression: Syntax error; token: "!", near: "{near}"'


def test_a_transaction_is_read_before_its_tables_are_looked_for(db):
    db.table("Tab", "p")
    nowhere, deep = {"Put": {"TableName": "Nowhere", "Item": {"p": {"S": "a"}}}}, {"S": "leaf"}
    for _ in range(32):
        deep = {"M": {"n": deep}}
    check = {"TableName": "Tab", "Key": {"p": {"S": "b"}}, "ConditionExpression": "attribute_not_exists(p)"}
    malformed = {"ConditionCheck": check | {"ConditionExpression": "attribute_not_exists("}}
    unused = {"ConditionCheck": check | {"ExpressionAttributeValues": {":v": {"S": "x"}}}}
    too_deep = {"Put": {"TableName": "Tab", "Item": {"p": {"S": "a"}, "v": deep}}}
    for actions, told in (([nowhere, malformed], "Syntax error"), ([nowhere, unused], "unused in expressions"),
                          ([unused, nowhere], "unused in expressions"), ([malformed, too_deep], "Syntax error"),
                          ([too_deep, malformed], "Nesting Levels"), ([nowhere, too_deep], "Nesting Levels")):
        assert told in db.refusal("TransactWriteItems", TransactItems=actions).message
    assert db.refusal("TransactWriteItems", TransactItems=[nowhere]).code == "ResourceNotFoundException"


@pytest.mark.parametrize("action", [
    {"Put": {"Item": {"p": {"S": ""}}}}, {"Delete": {"Key": {"p": {"S": ""}}}},
    {"Update": {"Key": {"p": {"S": ""}}, "UpdateExpression": "REMOVE a"}},
    {"ConditionCheck": {"Key": {"p": {"S": ""}}, "ConditionExpression": "attribute_not_exists(p)"}},
])
def test_an_empty_key_is_a_fault_of_the_transaction_and_no_reason_to_cancel_it(db, action):
    db.table("Tab", "p")
    (kind, part), = action.items()
    refusal = db.refusal("TransactWriteItems", TransactItems=[{kind: {"TableName": "Tab"} | part}])
    assert (refusal.code, refusal.message) == ("ValidationException", "One or more parameter values are not valid. The "
                                               "AttributeValue for a key attribute cannot contain an empty string "
                                               "value. Key: p")


def test_the_size_of_a_transaction_is_that_of_its_request(db):
    db.table("Tab", "p")
    large = {"S": "x" * 390_000}
    items = [{"p": {"S": str(n)}, "v": large} for n in range(12)]
    for some in (items[:10], items[10:]):
        db("TransactWriteItems", TransactItems=[{"Put": {"TableName": "Tab", "Item": item}} for item in some])
    assert "4 MB" in db.refusal("TransactWriteItems", TransactItems=[
        {"Put": {"TableName": "Tab", "Item": item}} for item in items]).message
    db("TransactWriteItems", TransactItems=[{"Delete": {"TableName": "Tab", "Key": {"p": item["p"]}}}
                                            for item in items])
    assert db("Scan", TableName="Tab")["Count"] == 0


def test_a_repeated_transaction_consumes_what_reading_its_items_takes(db):
    db.table("Tab", "p")
    asked = {"TransactItems": [{"Put": {"TableName": "Tab", "Item": {"p": {"S": "a"}, "v": {"S": "x" * 5000}}}},
                               {"ConditionCheck": {"TableName": "Tab", "Key": {"p": {"S": "b"}},
                                                   "ConditionExpression": "attribute_not_exists(p)"}}],
             "ClientRequestToken": "token", "ReturnConsumedCapacity": "TOTAL"}
    first, again = (db("TransactWriteItems", **asked)["ConsumedCapacity"] for _ in range(2))
    assert first == [{"TableName": "Tab", "CapacityUnits": 12, "WriteCapacityUnits": 12}]
    assert again == [{"TableName": "Tab", "CapacityUnits": 6, "ReadCapacityUnits": 6}]
    gone = {"TransactItems": [{"Delete": {"TableName": "Tab", "Key": {"p": {"S": "a"}}}}], "ClientRequestToken": "gone",
            "ReturnConsumedCapacity": "TOTAL"}
    assert [db("TransactWriteItems", **gone)["ConsumedCapacity"][0]["CapacityUnits"] for _ in range(2)] == [10, 4]
    for token in ("", "x" * 37):
        assert "'clientRequestToken' failed to satisfy" in db.refusal(
            "TransactWriteItems", **asked | {"ClientRequestToken": token}).message


def test_a_transaction_costs_twice_as_much_in_the_table_and_not_in_its_indexes(db):
    db.table("Tab", "p", definitions=[{"AttributeName": "g", "AttributeType": "S"}],
             GlobalSecondaryIndexes=[index("Global", "g")])

    def units(operation: str, **asked) -> list[float]:
        answer = db(operation, **asked, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
        answer, = answer if isinstance(answer, list) else [answer]
        return [answer["CapacityUnits"], answer["Table"]["CapacityUnits"],
                answer["GlobalSecondaryIndexes"]["Global"]["CapacityUnits"]]

    put = {"TableName": "Tab", "Item": {"p": {"S": "a"}, "g": {"S": "x"}, "v": {"S": "v" * 1500}}}
    moved = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET g = :y",
             "ExpressionAttributeValues": {":y": {"S": "y"}}}
    assert units("TransactWriteItems", TransactItems=[{"Put": put}]) == [6, 4, 2]
    assert units("TransactWriteItems", TransactItems=[{"Update": moved}]) == [8, 4, 4]
    assert units("PutItem", **put) == [6, 2, 4]
    assert units("ExecuteTransaction", TransactStatements=[
        {"Statement": """UPDATE "Tab" SET g = 'y' WHERE p = 'a'"""}]) == [8, 4, 4]


# Arguments from before expressions

OPERATORS = (" failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, "
             "EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]")


@AHEAD
@pytest.mark.parametrize(("operation", "more", "told"), [
    ("Scan", {"ConditionalOperator": "AND"}, "ConditionalOperator cannot be used without Filter or Expected"),
    ("Scan", {"ScanFilter": {"a": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"S": "1"}]}}},
     "AttributeValues inside AttributeValueList must be of same type"),
    ("Scan", {"ScanFilter": {"a": {"ComparisonOperator": "CONTAINS", "AttributeValueList": [{"SS": ["a"]}]}}},
     "ComparisonOperator CONTAINS is not valid for SS AttributeValue type"),
    ("DeleteItem", {"Key": {"p": {"S": "a"}}, "Expected": {"a": {"ComparisonOperator": "EQ"}}},
     "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"),
    ("UpdateItem", {"Key": {"p": {"S": "a"}}, "Expected": {"x": {"Value": {"S": "fails"}}},
                    "AttributeUpdates": {"a": {"Action": "ADD", "Value": {"S": "x"}}}},
     "ADD action is not supported for the type S"),
    ("Query", {"KeyConditions": {}}, "Conditions can be of length 1 or 2 only"),
    ("Query", {"KeyConditions": {"p": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "a"}]}}},
     "Attempted conditional constraint is not an indexable operation"),
    ("Query", {"KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}, {"S": "b"}]}}},
     "Invalid number of argument(s) for the EQ ComparisonOperator"),
    ("Query", {"KeyConditions": {"p": {"ComparisonOperator": ""}}, "QueryFilter": {"a": {"ComparisonOperator": "eq"}}},
     f"2 validation errors detected: Value 'eq' at 'queryFilter.a.member.comparisonOperator'{OPERATORS}; "
     f"Value '' at 'keyConditions.p.member.comparisonOperator'{OPERATORS}"),
    ("UpdateItem", {"Key": {"p": {"S": "a"}}, "AttributeUpdates": {"a": {"Action": "SET", "Value": {"S": "x"}}}},
     "1 validation error detected: Value 'SET' at 'attributeUpdates.a.member.action' failed to satisfy constraint: "
     "Member must satisfy enum value set: [ADD, PUT, DELETE]"),
])
def test_older_arguments_that_are_refused(db, operation, more, told):
    db.table("Tab", "p")
    assert told in db.refusal(operation, TableName="Tab", **more).message


@AHEAD
@pytest.mark.parametrize(("joined_by", "holds"), [({}, False), ({"ConditionalOperator": "AND"}, False),
                                                  ({"ConditionalOperator": "OR"}, True)])
def test_older_conditions_are_joined(db, joined_by, holds):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, n={"N": "1"})
    conditions = {name: {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "1"}]} for name in "nm"}
    key = {"TableName": "Tab", "Key": {"p": {"S": "a"}}}
    tests = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}
    for operation, asked in (("Scan", {"TableName": "Tab", "ScanFilter": conditions}), ("Query", {
            "TableName": "Tab", "KeyConditions": tests, "QueryFilter": conditions})):
        assert db(operation, **asked, **joined_by)["Count"] == holds
    asked = key | {"Expected": conditions, "AttributeUpdates": {"x": {"Value": {"S": "y"}}}} | joined_by
    if holds:
        db("UpdateItem", **asked)
    else:
        assert db.refusal("UpdateItem", **asked).code == "ConditionalCheckFailedException"
    assert ("x" in db("GetItem", **key)["Item"]) is holds


@AHEAD
@pytest.mark.parametrize("others", [0, 2000])
def test_attributes_to_get_are_shown_in_their_order(db, others):
    """Also where they are far more than an item has."""
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, n={"N": "1"}, m={"N": "2"})
    names = ["m", *(f"a{n}" for n in range(others)), "n"]
    found = [db("Scan", TableName="Tab", AttributesToGet=names)["Items"][0],
             db("GetItem", TableName="Tab", Key={"p": {"S": "a"}}, AttributesToGet=names)["Item"]]
    assert [list(each.items()) for each in found] == [[("m", {"N": "2"}), ("n", {"N": "1"})]] * 2


@AHEAD
def test_a_refusal_shows_a_thousand_wrong_operators_at_most(db):
    conditions = {f"a{n}": {"ComparisonOperator": "IS", "AttributeValueList": []} for n in range(3000)}
    told = db.refusal("Scan", TableName="Tab", ScanFilter=conditions).message
    assert told.startswith("3000 validation errors detected: Value 'IS' at 'scanFilter.a0.member.comparisonOperator'")
    assert told.count("failed to satisfy constraint") == 1000


@AHEAD
def test_key_conditions_may_stand_beside_other_expressions(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, a={"N": "1"}, b={"N": "2"})
    asked = {"TableName": "Tab", "ProjectionExpression": "a",
             "KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}}
    assert db("Query", **asked)["Items"] == [{"a": {"N": "1"}}]
    assert "Can not use both" in db.refusal(
        "Query", **asked, KeyConditionExpression="p = :p", ExpressionAttributeValues={":p": {"S": "a"}}).message


# PartiQL

@pytest.fixture
def music(db: Database) -> Database:
    db.table("Music", "p", "s:N")
    for n in range(6):
        db.put("Music", p={"S": "ab"[n % 2]}, s={"N": str(n)}, m={"M": {"a": {"N": str(n)}}}, l={"L": [{"N": str(n)}]},
               **({"odd": {"BOOL": True}} if n % 2 else {}))
    return db


@pytest.mark.parametrize(("statement", "found"), [
    ("SELECT s FROM Music WHERE p = 'a'", "024"),
    ("SELECT s FROM \"Music\" WHERE p = 'a' AND s > 0", "24"),
    ("SELECT s FROM Music WHERE p = 'a' AND s BETWEEN 1 AND 3", "2"),
    ("SELECT s FROM Music WHERE p IN ['a', 'b'] AND s < 2", "01"),
    ("SELECT s FROM Music WHERE p = 'a' ORDER BY s DESC", "420"),
    ("SELECT s FROM Music WHERE p IN ['a', 'b'] AND s > 1 ORDER BY p DESC", "5342"),
    ("SELECT s FROM Music WHERE p IN ['b', 'a'] ORDER BY p DESC, s", "135024"),
    ("SELECT s FROM Music WHERE p IN ['b', 'a'] ORDER BY p, p DESC", "420531"),
    ("SELECT s FROM Music WHERE p = 'a' ORDER BY p ASC", "420"),
    ("SELECT s FROM Music WHERE p = 'a' ORDER BY s", "024"),
    ("SELECT s FROM Music WHERE s = 1 OR m.a = 4", "14"),
    ("SELECT s FROM Music WHERE NOT (p = 'a')", "135"),
    ("SELECT s FROM Music WHERE odd IS MISSING", "024"),
    ("SELECT s FROM Music WHERE odd IS NOT MISSING AND l[0] >= 3", "35"),
    ("SELECT s FROM Music WHERE s NOT IN (0, 1, 2, 3)", "45"),
    ("SELECT s FROM Music WHERE begins_with(p, 'b') AND size(l) = 1", "135"),
])
def test_a_select_means_what_it_says(music, statement, found):
    items = music("ExecuteStatement", Statement=statement)["Items"]
    numbers = [item["s"]["N"] for item in items]
    assert "".join(numbers if "ORDER" in statement or "p = 'a'" in statement else sorted(numbers)) == found


def test_a_nested_path_is_not_a_name(music):
    music("ExecuteStatement", Statement="UPDATE Music SET m.a = 7, m.b = 'it''s' REMOVE l[0] WHERE p = 'a' AND s = 0")
    item = music("GetItem", TableName="Music", Key={"p": {"S": "a"}, "s": {"N": "0"}})["Item"]
    assert item == {"p": {"S": "a"}, "s": {"N": "0"}, "m": {"M": {"a": {"N": "7"}, "b": {"S": "it's"}}}, "l": {"L": []}}


def test_statements_that_write(music):
    music("ExecuteStatement", Statement="INSERT INTO Music VALUE {'p': 'c', 's': 1, 'set': <<1, 2>>, 'none': null}")
    again = music.refusal("ExecuteStatement", Statement="INSERT INTO Music VALUE {'p': 'c', 's': 1}")
    assert again.code == "DuplicateItemException"
    shown = music("ExecuteStatement", Parameters=[{"S": "c"}, {"N": "1"}], Statement="UPDATE Music SET n = s + 1 "
                  "SET \"set\" = set_add(\"set\", <<3>>) WHERE p = ? AND s = ? RETURNING ALL NEW *")["Items"]
    assert shown == [{"p": {"S": "c"}, "s": {"N": "1"}, "set": {"NS": ["1", "2", "3"]}, "none": {"NULL": True},
                      "n": {"N": "2"}}]
    failed = music.refusal("ExecuteStatement", Statement="DELETE FROM Music WHERE p = 'c' AND s = 1 AND n = 5")
    assert failed.code == "ConditionalCheckFailedException"
    gone = music("ExecuteStatement", Statement="DELETE FROM Music WHERE p = 'c' AND s = 1 RETURNING ALL OLD *")["Items"]
    assert gone == shown


@pytest.mark.parametrize("statement", [
    "SELECT", "SELECT * FROM Music WHERE", "UPDATE Music SET a = 1", "DELETE FROM Music", "DROP TABLE Music",
    "UPDATE Music SET a = 1 WHERE p = 'a'", "SELECT * FROM Music WHERE p = ?", "SELECT * FROM Music; SELECT",
    "INSERT INTO Music VALUE {'p': 'a', 'p': 'b', 's': 1}", "SELECT * FROM Music WHERE p = 'a", "EXISTS(SELECT)",
    "SELECT * FROM Music ORDER BY s", "SELECT * FROM Music WHERE p IN ['a', 'b'] ORDER BY s",
    "SELECT * FROM Music WHERE p = 1", "SELECT * FROM Music WHERE p = 'a' AND s = '1'", "SELECT Music.s FROM Music",
    "UPDATE Music SET a = 1 WHERE p = 'a' AND s = '2'", "UPDATE Music SET \"\" = 1 WHERE p = 'a' AND s = 2",
    "SELECT * FROM Music WHERE p IN ['a'" + ", 'a'" * 50 + "]",
    "INSERT INTO Music VALUE {'p': 'z', 's': 1, 'x': <<>>}", "(" * 100,
])
def test_a_statement_that_cannot_be_right_is_refused(music, statement):
    before = music("Scan", TableName="Music")["Items"]
    assert music.refusal("ExecuteStatement", Statement=statement).code == "ValidationException"
    assert music("Scan", TableName="Music")["Items"] == before


def test_pages_of_a_select(music):
    seen, token = [], {}
    while True:
        page = music("ExecuteStatement", Statement="SELECT * FROM Music WHERE p IN ['b', 'a']", Limit=2, **token)
        seen += [item["s"]["N"] for item in page["Items"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == list("135024")
    wrong = music.refusal("ExecuteStatement", Statement="SELECT * FROM Music", **token)
    assert wrong.message == "NextToken does not match request"


def test_batches_and_transactions_of_statements(music):
    responses = music("BatchExecuteStatement", Statements=[
        {"Statement": "SELECT s FROM Music WHERE p = 'a' AND s = 0"},
        {"Statement": "SELECT * FROM Music WHERE p = 'a'"},
        {"Statement": "SELECT * FROM Nowhere WHERE p = 'a'"}])["Responses"]
    assert responses[0] == {"TableName": "Music", "Item": {"s": {"N": "0"}}}
    assert [each["Error"]["Code"] for each in responses[1:]] == ["ValidationError", "ResourceNotFound"]
    statements = [{"Statement": "UPDATE Music SET x = 1 WHERE p = 'a' AND s = 0"},
                  {"Statement": "EXISTS(SELECT * FROM Music WHERE p = 'b' AND s = 1 AND m.a = 99)"}]
    refusal = music.refusal("ExecuteTransaction", TransactStatements=statements)
    assert [reason["Code"] for reason in refusal.details["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    statements[1] = {"Statement": "EXISTS(SELECT * FROM Music WHERE p = 'b' AND s = 1 AND m.a = 1)"}
    assert music("ExecuteTransaction", TransactStatements=statements)["Responses"] == []
    read = music("ExecuteTransaction", TransactStatements=[
        {"Statement": "SELECT x FROM Music WHERE p = 'a' AND s = 0"}])["Responses"]
    assert read == [{"Item": {"x": {"N": "1"}}}]


@pytest.mark.parametrize(("second", "told"), [
    ("DELETE FROM Music WHERE p = 'z' AND s = 1", "multiple operations on one item"),
    ("UPDATE Music SET x = 1 WHERE p = 'a' AND s = 0 RETURNING ALL NEW *", "RETURNING clause is not supported"),
    ("UPDATE Music SET x = 1 WHERE p = 'a' AND s = '0'", "[None, ValidationError]"),
    ("SELECT * FROM Music WHERE p = 'a' AND s = 0", "does not support both read and write operations in the same"),
])
def test_a_transaction_of_statements_is_checked_before_it_is_carried_out(music, second, told):
    first = "INSERT INTO Music VALUE {'p': 'z', 's': 1}"
    assert told in music.refusal("ExecuteTransaction", TransactStatements=[
        {"Statement": first}, {"Statement": second}]).message
    music("ExecuteStatement", Statement=first)  # nothing was inserted before


def test_exists_is_of_transactions_only(music):
    text = "EXISTS can only be used in ExecuteTransaction write requests."
    statement = {"Statement": "EXISTS(SELECT * FROM Music WHERE p = 'a' AND s = 0 AND m.a = 1)"}
    assert music.refusal("ExecuteStatement", **statement).message == text
    assert music("BatchExecuteStatement", Statements=[statement])["Responses"][0]["Error"]["Message"] == text


def test_a_read_that_has_no_values_is_not_asked_for_them(music):
    key = {"p": {"S": "a"}, "s": {"N": "0"}}
    assert music("GetItem", TableName="Music", Key=key, ExpressionAttributeValues={":a": {"N": "1"}})["Item"] == music(
        "GetItem", TableName="Music", Key=key)["Item"]


def test_an_inserted_document_may_be_as_deep_as_a_put_one(music):
    deep: dict = {"S": "x"}
    for _ in range(31):
        deep = {"L": [deep]}
    music("ExecuteStatement", Statement="INSERT INTO Music VALUE {'p': 'z', 's': 1, 'deep': ?}", Parameters=[deep])
    assert "Nesting Levels" in music.refusal(
        "ExecuteStatement", Statement="INSERT INTO Music VALUE {'p': 'z', 's': 2, 'deep': ?}",
        Parameters=[{"L": [deep]}]).message


@pytest.mark.parametrize(("sort", "start", "text"), [
    ("", {"h": "x"}, "outside query boundaries based on provided conditions"),
    ("", {"g": "x"}, "outside query boundaries based on provided conditions"),
    (" AND r = :r", {"h": "x"}, "can return at most one row and cannot be restarted"),
    (" AND r = :r", {"r": "x"}, "does not match the range key predicate"),
    (" AND r = :r AND t > :t", {"t": "0"}, "does not match the range key predicate"),
    (" AND r = :r AND t > :t", {"t": None}, "is invalid"),
])
def test_a_start_that_is_not_in_an_index_with_several_keys(db, sort, start, text):
    elements = [{"AttributeName": name, "KeyType": "HASH" if name in "gh" else "RANGE"} for name in "ghrt"]
    db.table("Tab", "p", definitions=[{"AttributeName": name, "AttributeType": "S"} for name in "ghrt"],
             GlobalSecondaryIndexes=[{"IndexName": "Many", "KeySchema": elements,
                                      "Projection": {"ProjectionType": "ALL"}}])
    values = {f":{name}": {"S": name} for name in "ghrt" if f":{name}" in f":g :h{sort}"}
    key = {name: {"S": start.get(name, name)} for name in "pghrt" if start.get(name, name) is not None}
    assert db.refusal("Query", TableName="Tab", IndexName="Many", ExpressionAttributeValues=values,
                      KeyConditionExpression=f"g = :g AND h = :h{sort}", ExclusiveStartKey=key).message.endswith(text)


@pytest.mark.parametrize(("number", "size"), [
    ("0", 1), ("-0", 1), ("1", 2), ("12", 2), ("123", 3), ("1234", 3), ("0042", 2), ("100", 2), ("1010", 3),
    ("1E125", 2), ("12345678901234567890123456789012345678", 20), ("0.0000001", 2), ("1E-100", 2), ("1.5", 3),
    ("15", 2), ("1.200", 3), ("1.234", 4), ("3.14159", 5),
    ("123456", 4), ("100.5", 4), ("0.15", 2), ("-42", 3), ("-3.14159", 6),
])
def test_the_bytes_of_a_number_were_measured_at_the_largest_item(db, number, size):
    db.table("Tab", "p")
    rest = 400 * 1024 - len("p" "k" "n" "v") - size
    db.put("Tab", p={"S": "k"}, n={"N": number}, v={"S": "x" * rest})
    assert "maximum allowed size" in db.refusal("PutItem", TableName="Tab", Item={
        "p": {"S": "k"}, "n": {"N": number}, "v": {"S": "x" * (rest + 1)}}).message


def test_a_value_may_be_too_deep_for_its_place(db):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, m={"M": {}}, l={"L": []})
    deep: dict = {"S": "x"}
    for _ in range(31):
        deep = {"L": [deep]}
    for path in ("m.deep", "l[0]"):
        asked = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": f"SET {path} = :v",
                 "ExpressionAttributeValues": {":v": deep}}
        assert "Nesting Levels" in db.refusal("UpdateItem", **asked).message
        reason, = db.refusal("TransactWriteItems", TransactItems=[{"Update": asked}]).details["CancellationReasons"]
        assert reason["Code"] == "ValidationError" and "Nesting Levels" in reason["Message"]
        db("UpdateItem", **asked | {"ExpressionAttributeValues": {":v": deep["L"][0]}})  # one level less


# Malformed and hostile input

_EQ = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}


@pytest.mark.parametrize("comparison", [
    {"ComparisonOperator": "BETWEEN"}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "a"}]},
    {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "a"}, {"N": "1"}]}, {"ComparisonOperator": "EQ"},
    {"ComparisonOperator": "IN", "AttributeValueList": []}, {"ComparisonOperator": "LIKE"}, {},
    {"ComparisonOperator": "EQ", "AttributeValueList": [{}]}, {"ComparisonOperator": "NULL", **_EQ} | {
        "ComparisonOperator": "NULL"},
])
def test_malformed_comparisons_are_refused_by_the_service(db, comparison):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"})
    for operation, data in (
            ("Scan", {"ScanFilter": {"x": comparison}}), ("Query", {"KeyConditions": {"p": comparison}}),
            ("Query", {"KeyConditions": {"p": _EQ}, "QueryFilter": {"x": comparison}}),
            ("PutItem", {"Item": {"p": {"S": "a"}}, "Expected": {"x": comparison}})):
        if operation != "PutItem" or comparison:  # an empty Expected is one more kind of it
            _refused_by_the_service(operation, {"TableName": "Tab"} | data, db)


@pytest.mark.parametrize("expression", [
    "contains([0])", "a[", "a[x]", "a[-1]", "a[0.5] = :x", "((", "size()", "a = size(", "a in ()", "not", "#", ":",
    "a..b", "a[0][", "contains(a)", "begins_with(a, b, c)", "   ", "\x00", "é", "a = b OR", "a BETWEEN b AND",
    "a IN (b,)", "a <> b <> c", "attribute_exists(size(a))",
])
def test_malformed_expressions_are_refused_in_every_place(db, expression):
    db.table("Tab", "p")
    table, key = {"TableName": "Tab"}, {"Key": {"p": {"S": "a"}}}
    put = table | {"Item": {"p": {"S": "a"}}, "ConditionExpression": expression}
    for operation, data in (
            ("PutItem", put), ("TransactWriteItems", {"TransactItems": [{"Put": put}]}),
            ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": table | key | {
                "ConditionExpression": expression}}]}),
            ("TransactWriteItems", {"TransactItems": [{"Update": table | key | {"UpdateExpression": expression}}]}),
            ("TransactGetItems", {"TransactItems": [{"Get": table | key | {
                "ProjectionExpression": "a," + expression}}]}),
            ("Scan", table | {"FilterExpression": expression}),
            ("Query", table | {"KeyConditionExpression": expression}),
            ("UpdateItem", table | key | {"UpdateExpression": "SET " + expression}),
            *([] if expression == "a <> b <> c" else [  # PartiQL compares a comparison, too
                ("ExecuteStatement", {"Statement": "SELECT * FROM Tab WHERE " + expression})])):
        _refused_by_the_service(operation, data, db)


def _refused_by_the_service(operation: str, data: dict, db) -> None:
    with pytest.raises(Refusal) as refused:
        requests.check_input("dynamodb", operation, data)
        db(operation, **data)
    assert refused.value.code == "ValidationException" and "cannot carry out" not in refused.value.message


# What is repeated in hostile strings, and before and behind it.
_HOSTILE = [("(", ""), ("a", ""), (" ", "x"), ("a.", "a"), ("[0]", ""), ("#", ""), (":", ""), ("NOT ", "a"),
            ("a,", "a"), ("1", "x"), ("9", ""), ("'", ""), ('"', ""), ("-", ""), ("1e", ""), ("{", ""), ("[", ""),
            ("é", ""), ("\x00", ""), ("a = b AND ", "a = b"), ("a + ", "a"), ("SET a = b ", ""), ("<<", ""),
            ("size(", ""), ("\\", ""), ("=", ""), ("arn:", ""), ("0", "1"), ("/*", "*/"), ("--", "\n")]
_SHORT, _LONG = 4_000, 64_000  # characters of a hostile string
_MOST = 4 * _LONG // _SHORT    # times as long may the long one take: linear is 16, and quadratic 256
_LEAST_S = 0.002               # what a request takes in any case


def _hostile_requests(text: str) -> list[tuple[str, dict]]:
    """Requests of every operation of the data plane, with the text in each place that takes one."""
    table, key, value = {"TableName": "Tab"}, {"Key": {"p": {"S": "a"}}}, {":v": {"S": "a"}}
    item = {"Item": {"p": {"S": "a"}}}
    tested = table | item | {"ConditionExpression": "a = :v"}
    found: list[tuple[str, dict]] = [
        ("PutItem", table | {"Item": {"p": {"S": text}}}), ("PutItem", table | {"Item": {"p": {"N": text}}}),
        ("PutItem", table | {"Item": {"p": {"S": "a"}, "n": {"N": text}, "b": {"B": text}, text: {"NS": [text]}}}),
        ("PutItem", table | {"Item": {"p": {"S": "a"}, "n": {"N": "1" + text}}}),
        ("PutItem", table | item | {"ConditionExpression": text}), ("PutItem", table | item | {"ReturnValues": text}),
        ("PutItem", tested | {"ExpressionAttributeValues": {":" + text: {"S": ""}}}),
        ("PutItem", tested | {"ExpressionAttributeValues": {":v": {"N": text}}}),
        ("PutItem", table | item | {"ConditionExpression": "a = #a", "ExpressionAttributeNames": {"#a": text}}),
        ("PutItem", table | item | {"ConditionExpression": "a = #a", "ExpressionAttributeNames": {"#" + text: "a"}}),
        ("PutItem", table | item | {"Expected": {text: {"ComparisonOperator": text}}}),
        ("GetItem", {"TableName": text} | key), ("GetItem", table | {"Key": {"p": {"S": text}}}),
        ("GetItem", table | {"Key": {text: {"S": "a"}}}), ("GetItem", table | key | {"ProjectionExpression": text}),
        ("GetItem", table | key | {"AttributesToGet": [text]}),
        ("DeleteItem", table | key | {"ConditionExpression": text}),
        ("UpdateItem", table | key | {"UpdateExpression": text}),
        ("UpdateItem", table | key | {"UpdateExpression": "SET a = " + text}),
        ("UpdateItem", table | key | {"AttributeUpdates": {text: {"Action": text}}}),
        ("Query", table | {"KeyConditionExpression": text}), ("Query", table | {"IndexName": text}),
        ("Query", table | {"KeyConditionExpression": "p = :v AND " + text, "ExpressionAttributeValues": value}),
        ("Query", table | {"KeyConditions": {text: {"ComparisonOperator": text}}}),
        ("Scan", table | {"FilterExpression": text}), ("Scan", table | {"ExclusiveStartKey": {"p": {"S": text}}}),
        ("Scan", table | {"ScanFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": text}]}}}),
        ("BatchGetItem", {"RequestItems": {text: {"Keys": [key["Key"]]}}}),
        ("BatchGetItem", {"RequestItems": {"Tab": {"Keys": [key["Key"]], "ProjectionExpression": text}}}),
        ("BatchWriteItem", {"RequestItems": {"Tab": [{"PutRequest": {"Item": {"p": {"S": text}}}}] * 26}}),
        ("TransactWriteItems", {"ClientRequestToken": text, "TransactItems": [{"Delete": table | key}]}),
        ("TransactWriteItems", {"TransactItems": [{"Update": table | key | {"UpdateExpression": text}}]}),
        ("TransactGetItems", {"TransactItems": [{"Get": table | key | {"ProjectionExpression": text}}]}),
        ("ExecuteTransaction", {"TransactStatements": [{"Statement": text}]}),
        ("BatchExecuteStatement", {"Statements": [{"Statement": "SELECT * FROM " + text}]}),
        ("ExecuteStatement", {"Statement": "SELECT * FROM Tab WHERE p = ?", "Parameters": [{"N": text}]}),
        ("ExecuteStatement", {"Statement": "SELECT * FROM Tab", "NextToken": text})]
    return found + [("ExecuteStatement", {"Statement": begin + text}) for begin in (
        "", "SELECT ", "SELECT * FROM Tab WHERE ", "SELECT * FROM Tab WHERE a = '", "INSERT INTO Tab VALUE ",
        "UPDATE Tab SET a = ", "DELETE FROM Tab WHERE ")]


_MANY = {":v": {"N": "7"}}
_LONG_LIST = {":v": {"L": [{"L": [{"S": "z"}]}] * 20_000}}


@pytest.mark.parametrize(("asked", "most"), [
    ({"FilterExpression": " OR ".join(["n = :v"] * 150), "ExpressionAttributeValues": _MANY}, 1000),
    ({"FilterExpression": " OR ".join(["n = :v"] * 150), "ExpressionAttributeValues": _MANY, "IndexName": "some"},
     980),
    ({"FilterExpression": " OR ".join(["n = :v"] * 150), "ExpressionAttributeValues": _MANY,
      "ProjectionExpression": "m.a"}, 937),
    ({"FilterExpression": " OR ".join(["n = :v"] * 150), "ExpressionAttributeValues": _MANY,
      "ProjectionExpression": "m"}, 1000),
    ({"FilterExpression": " OR ".join(["n = :v"] * 150), "ExpressionAttributeValues": _MANY, "Limit": 900}, 900),
    ({"FilterExpression": " OR ".join(["n = :v"] * 75), "ExpressionAttributeValues": _MANY}, 2000),
    ({"FilterExpression": "contains(:v, n)", "ExpressionAttributeValues": _LONG_LIST}, 9),
    ({"ScanFilter": {"n": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": str(n)} for n in range(99, 198)]}}},
     1500),
    ({"AttributesToGet": [f"a{n}" for n in range(1600)]}, 1500),
    ({"FilterExpression": "n = :v AND (n = :v OR p <> :v)", "ExpressionAttributeValues": _MANY}, None),
])
def test_a_page_ends_when_its_filter_has_worked_for_long(db, asked, most):
    db.table("Tab", "p", definitions=[{"AttributeName": "g", "AttributeType": "S"}],
             GlobalSecondaryIndexes=[index("some", "g", projection="INCLUDE", include=("n",))])
    for n in range(2500):
        db.put("Tab", p={"S": str(n)}, g={"S": "g"}, n={"N": "5"})
    asked |= {} if {"AttributesToGet", "ProjectionExpression"} & asked.keys() else {"Select": "COUNT"}
    first = db("Scan", TableName="Tab", **asked)
    assert first["ScannedCount"] == (most or 2500) and ("LastEvaluatedKey" in first) == (most is not None)
    if most is None or most < 100:
        return
    scanned, page = first["ScannedCount"], first
    while "LastEvaluatedKey" in page:
        page = db("Scan", TableName="Tab", **asked, ExclusiveStartKey=page["LastEvaluatedKey"])
        scanned += page["ScannedCount"]
    assert scanned == 2500


@pytest.mark.parametrize(("operation", "asked", "shown"), [
    ("Scan", {"FilterExpression": "a[3] = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}, 0),
    ("Scan", {"ProjectionExpression": "p"}, 4), ("Scan", {"AttributesToGet": ["p"]}, 4), ("Scan", {}, 30),
    ("Scan", {"IndexName": "Loc", "ProjectionExpression": "p, a"}, 4), ("Scan", {"IndexName": "Loc"}, 30),
    ("ExecuteStatement", {"Statement": "SELECT p FROM Tab"}, 4),
    ("ExecuteStatement", {"Statement": "SELECT * FROM Tab"}, 30)])
def test_a_page_ends_when_many_values_have_been_decoded(db, monkeypatch, operation, asked, shown):
    """A megabyte may have a million of them. Pages that show whole items decode none."""
    for module in (pages, work):
        monkeypatch.setattr(module, "MOST_VALUES", 40)
    db.table("Tab", "p", "s", definitions=[{"AttributeName": "h", "AttributeType": "S"}],
             LocalSecondaryIndexes=[index("Loc", "p", "h", projection="KEYS_ONLY")])
    for n in range(30):  # eight values each, and one with more than a page has
        db.put("Tab", p={"S": str(n)}, s={"S": "s"}, h={"S": "h"}, a={"L": [{"S": ""}] * (100 if n == 7 else 4)})
    asked = asked if operation == "ExecuteStatement" else asked | {"TableName": "Tab"}
    token, begin = ("NextToken",) * 2 if operation == "ExecuteStatement" else ("LastEvaluatedKey", "ExclusiveStartKey")
    keys, sizes, begins = list[str](), list[int](), dict[str, str | dict]()
    while True:
        page = db(operation, **asked, **begins)
        keys += [item["p"]["S"] for item in page["Items"]]
        sizes.append(page.get("ScannedCount", len(page["Items"])))
        if token not in page:
            break
        begins = {begin: page[token]}
    assert sum(sizes) == 30 and len(set(keys)) == len(keys) == (30 if shown else 0)
    assert max(sizes) <= 5 and len(sizes) > 6 if shown != 30 else sizes == [30]


def test_a_batch_read_ends_when_many_values_have_been_decoded(db, monkeypatch):
    monkeypatch.setattr(work, "MOST_VALUES", 40)
    for name in ("Tab", "Two"):
        db.table(name, "p")
        for n in range(4):
            db.put(name, p={"S": str(n)}, a={"L": [{"S": ""}] * (100 if n == 2 else 10)})
    keys = [{"p": {"S": str(n)}} for n in range(4)]
    asked: dict = {name: {"Keys": keys, "ProjectionExpression": "p"} for name in ("Tab", "Two")}
    left, found = asked, list[tuple[int, int]]()
    while left:
        answer = db("BatchGetItem", RequestItems=left)
        left = answer["UnprocessedKeys"]
        found.append(tuple(len(answer["Responses"].get(name, ())) for name in asked))
    assert found == [(2, 0), (1, 0), (1, 2), (0, 1), (0, 1)]
    whole = {name: {"Keys": keys} for name in asked}  # which is not decoded
    assert db("BatchGetItem", RequestItems=whole)["UnprocessedKeys"] == {}


@pytest.mark.parametrize(("operation", "asked", "most"), [
    ("Scan", {"ProjectionExpression": "n"}, 100), ("Scan", {"AttributesToGet": ["n"]}, 100), ("Scan", {}, 120),
    ("Scan", {"Select": "COUNT"}, 120), ("ExecuteStatement", {"Statement": "SELECT n FROM Tab"}, 100)])
def test_a_page_has_fewer_of_many_small_items_where_each_is_cut(db, monkeypatch, operation, asked, most):
    """A megabyte has a hundred thousand of the smallest items."""
    monkeypatch.setattr(work, "_MOST_OPERATIONS", 300)
    db.table("Tab", "p")
    for n in range(120):
        db.put("Tab", p={"S": str(n)})
    page = db(operation, **asked, **({"TableName": "Tab"} if operation == "Scan" else {}))
    assert page.get("Count", len(page.get("Items", ()))) == most


def test_a_page_of_an_index_decodes_only_what_the_index_has(db, monkeypatch):
    db.table("Tab", "p", definitions=[{"AttributeName": "g", "AttributeType": "S"}],
             GlobalSecondaryIndexes=[index("some", "g", projection="INCLUDE", include=("n",))])
    db.put("Tab", p={"S": "a"}, g={"S": "g"}, n={"M": {"x": {"L": [{"N": "1"}]}}}, q={"S": "x"})
    monkeypatch.setattr(pages, "unpack", None)
    found = db("Scan", TableName="Tab", IndexName="some", Limit=1)
    assert found["Items"] == [{"p": {"S": "a"}, "g": {"S": "g"}, "n": {"M": {"x": {"L": [{"N": "1"}]}}}}]
    assert found["LastEvaluatedKey"] == {"p": {"S": "a"}, "g": {"S": "g"}}


@AHEAD
@pytest.mark.parametrize(("names", "values", "what"), [
    (0, 6, "ExpressionAttributeValues"), (33, 0, "ExpressionAttributeNames"),
    (17, 3, "Combined size of ExpressionAttributeNames and ExpressionAttributeValues"), (16, 2, None)])
def test_names_and_values_have_two_megabytes_together(db, names, values, what):
    db.table("Tab", "p")
    names_given = {f"#n{n}": f"{n:065000}" for n in range(names)} | {"#p": "p"}
    values_given = {f":v{n}": {"S": "x" * 400_000} for n in range(values)} | {":p": {"S": "a"}}
    test = " OR ".join([*(f"attribute_exists({name})" for name in names_given), *(f"#p = {v}" for v in values_given)])
    ask = {"TableName": "Tab", "FilterExpression": test, "ExpressionAttributeNames": names_given,
           "ExpressionAttributeValues": values_given}
    if what is None:
        assert db("Scan", **ask)["Count"] == 0
    else:
        assert db.refusal("Scan", **ask).message == f"{what} exceeds max size"


@AHEAD
def test_a_value_of_an_expression_is_no_larger_than_an_item(db):
    db.table("Tab", "p")
    ask = {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET n = :n",
           "ConditionExpression": "attribute_not_exists(p) OR x < :x"}
    for size, told in ((400 * 1024, None), (400 * 1024 + 1, "ExpressionAttributeValues contains invalid value: Item "
                                            "size has exceeded the maximum allowed size for key :x")):
        given = ask | {"ExpressionAttributeValues": {":n": {"N": "1"}, ":x": {"S": "x" * size}}}
        if told is None:
            db("UpdateItem", **given)
        else:
            assert db.refusal("UpdateItem", **given).message == told


def test_a_page_of_a_select_ends_when_its_condition_has_worked_for_long(db):
    db.table("Tab", "p")
    for n in range(1500):
        db.put("Tab", p={"S": str(n)}, n={"N": "5"})
    many = ", ".join(["p", *(f"a{n}" for n in range(599))])
    assert len(db("ExecuteStatement", Statement=f"SELECT {many} FROM Tab")["Items"]) == 1000
    asked = {"Statement": "SELECT p FROM Tab WHERE " + " OR ".join(["n = 7"] * 149 + ["n = 5"])}
    found, page = [], {"NextToken": None}
    while "NextToken" in page:
        page = db("ExecuteStatement", **asked, **({"NextToken": page["NextToken"]} if page["NextToken"] else {}))
        assert len(page["Items"]) <= 1000
        found += [each["p"]["S"] for each in page["Items"]]
    assert sorted(map(int, found)) == list(range(1500))


def test_a_page_is_shorter_where_its_filter_walks_through_many_large_values(db):
    db.table("Tab", "p")
    for n in range(8):
        db.put("Tab", p={"S": str(n)}, q={"L": [{"S": "z"}] * 30_000})
    asked = {"TableName": "Tab", "ExpressionAttributeValues": {":v": {"S": "a"}}}
    few, many = (db("Scan", **asked, FilterExpression=" OR ".join(["contains(q, :v)"] * walks)) for walks in (20, 80))
    assert (few["ScannedCount"], many["ScannedCount"]) == (8, 4)


@pytest.mark.parametrize(("value", "condition", "holds"), [
    ({"N": "1"}, "contains(:v, a)", True), ({"S": "1"}, "contains(:v, a)", False),
    ({"BOOL": True}, "contains(:v, a)", True), ({"BOOL": False}, "contains(:v, a)", False),
    ({"SS": ["x", "y"]}, "contains(:v, a)", True), ({"L": [{"N": "1"}]}, "contains(:v, a)", True),
    ({"L": [{"N": "2"}]}, "contains(:v, a)", False), ({"NULL": True}, "contains(:v, a)", False),
    ({"N": "1"}, "contains(:set, a)", True), ({"N": "2"}, "contains(:set, a)", False),
    ({"S": "1"}, "contains(:set, a)", False), ({"S": "b"}, "contains(:text, a)", True),
    ({"S": "d"}, "contains(:text, a)", False), ({"B": "Yg=="}, "contains(:text, a)", False),
    ({"N": "1"}, "contains(:map, a)", False), ({"N": "1"}, "contains(:v, b)", False),
    ({"N": "1"}, "a IN (:text, :one)", True), ({"S": "1"}, "a IN (:text, :one)", False),
    ({"L": [{"N": "1"}]}, "a IN (:text, :one)", False), ({"N": "1"}, "b IN (:text, :one)", False),
    ({"N": "1"}, "a IN (:map, :one)", True), ({"M": {"x": {"S": "y"}}}, "a IN (:map, :one)", True),
    ({"N": "1"}, "a = :one", True), ({"S": "1"}, "a = :one", False), ({"S": "1"}, "a <> :one", True),
    ({"N": "1"}, "b = :one", False), ({"N": "1"}, "b <> :one", True), ({"N": "1"}, ":one = a", True),
])
def test_constants_compare_like_any_value(db, value, condition, holds):
    constants = {":v": {"L": [{"N": "1.0"}, {"BOOL": True}, {"SS": ["y", "x"]}, {"L": [{"N": "1"}]}]},
                 ":set": {"NS": ["1", "3"]}, ":text": {"S": "abc"}, ":map": {"M": {"x": {"S": "y"}}},
                 ":one": {"N": "1e0"}}
    db.table("Tab", "p")
    db.put("Tab", p={"S": "1"}, a=value)
    used = {name: each for name, each in constants.items() if re.search(rf"{name}\b", condition)}
    for often in (condition, " AND ".join([condition] * 20)):
        found = db("Scan", TableName="Tab", FilterExpression=often, ExpressionAttributeValues=used)
        assert found["Count"] == holds


_VALUES = [{"S": "1"}, {"S": "12"}, {"N": "1"}, {"B": "YQ=="}, {"B": "YWI="}, {"BOOL": True}, {"NULL": True},
           {"SS": ["a", "1"]}, {"SS": ["1", "a"]}, {"NS": ["1"]}, {"L": []}, {"L": [{"S": "1"}, {"N": "1"}]}, {"M": {}},
           {"L": [{"SS": ["1", "a"]}, {"L": []}, {"M": {"x": {"L": [{"NS": ["2", "1"]}]}}}]},
           {"M": {"x": {"L": [{"NS": ["1", "2"]}]}}}, {"M": {"x": {"L": [{"NS": ["1", "3"]}]}}}]


@pytest.mark.parametrize("test", ["contains(a, b)", "contains(a, :v)", "a = b", "a = :v", "a <> b", "a IN (c, b)",
                                  "begins_with(a, b)", "a < b", "a BETWEEN b AND b", "contains(:v, a)"])
def test_a_condition_means_the_same_however_often_it_looks_into_a_value(db, test):
    db.table("Tab", "p", "s:N")
    for s, (a, b) in enumerate(itertools.product(_VALUES, _VALUES)):
        db.put("Tab", p={"S": "a"}, s={"N": str(s)}, a=a, b=b)
    for value in _VALUES if ":v" in test else [None]:
        if value is not None and test.startswith("contains(:v") and "NULL" in value:
            continue
        used = {":p": {"S": "a"}} | ({":v": value} if value else {})
        once, often = (db("Query", TableName="Tab", KeyConditionExpression="p = :p", FilterExpression=asked,
                          ExpressionAttributeValues=used)["Items"] for asked in (test, " AND ".join([test] * 12)))
        assert once == often


def test_what_a_condition_often_looks_into_is_prepared_once_for_an_item(db, monkeypatch):
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, q={"L": [{"L": [{"N": str(n)}]} for n in range(50)]}, r={"B": "YWJj"})
    formed, put_in_order = [], []
    form, in_order = conditions._form, conditions.ordered
    monkeypatch.setattr(conditions, "_form", lambda value: formed.append(value) or form(value))
    monkeypatch.setattr(conditions, "ordered", lambda value: put_in_order.append(value) or in_order(value))
    for test in ("contains(q, :l)", "contains(r, :b)", "begins_with(r, :b)"):
        assert db.refusal("DeleteItem", TableName="Tab", Key={"p": {"S": "a"}}, ConditionExpression=" OR ".join(
            [test] * 100), ExpressionAttributeValues={":l": {"L": [{"N": "-1"}]}} if ":l" in test else {
                ":b": {"B": "eA=="}}).code == "ConditionalCheckFailedException"
    assert len(formed) == 2 * 50 + 2 and len(put_in_order) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("repeated", "end"), _HOSTILE, ids=[repr(repeated) for repeated, _ in _HOSTILE])
def test_time_grows_linearly_with_hostile_text(db, repeated, end):
    """The processor time of this process, which other processes do not lengthen; the better of two tries."""
    db.table("Tab", "p")

    def seconds(operation: str, data: dict) -> float:
        body, began = json.dumps(data).encode(), time.process_time()
        with contextlib.suppress(Refusal):
            call = requests.parse(headers | {"x-amz-target": f"DynamoDB_20120810.{operation}"}, body)
            call = call._replace(account=db.account)
            engine.named(db.kept, call)
            engine.call(db.kept, call, db.now)
        return time.process_time() - began

    headers = {"authorization": "Credential=111111111111/20270101/us-east-1/dynamodb/aws4_request"}
    texts = [repeated * (size // len(repeated)) + end for size in (_SHORT, _LONG)]
    for (operation, short), (_, long) in zip(*map(_hostile_requests, texts), strict=True):
        if seconds(operation, long) >= _MOST * _LEAST_S:  # most take less, and need no comparison
            least = max(_LEAST_S, min(seconds(operation, short) for _ in range(2)))
            assert any(seconds(operation, long) < _MOST * least for _ in range(2)), (operation, str(short)[:300])


@pytest.mark.slow
@pytest.mark.parametrize(("update", "value", "many"), [
    (lambda times: {"UpdateExpression": "SET " + ", ".join(f"x{n} = list_append(:v, :v)" for n in range(times))},
     {"L": [{"S": "z"}] * 150_000}, 120),
    (lambda times: {"UpdateExpression": "REMOVE " + ", ".join(f"q[{n}]" for n in range(times))}, None, 290),
    (lambda times: {"UpdateExpression": "SET x = :v", "ConditionExpression": " OR ".join(["contains(:v, p)"] * times)},
     {"SS": [str(n) for n in range(20_000)]}, 120),
], ids=["list_append", "remove", "contains"])
def test_an_update_takes_no_longer_the_more_often_it_names_a_large_value(db, update, value, many):
    """By the processor time of this process; the better of two tries."""
    db.table("Tab", "p")
    db.put("Tab", p={"S": "a"}, q={"L": [{"S": "z"}] * 100_000})

    def seconds(times: int) -> float:
        began = time.process_time()
        call = {"TableName": "Tab", "Key": {"p": {"S": "a"}}} | update(times)
        with contextlib.suppress(Refusal):
            db("UpdateItem", **call | ({"ExpressionAttributeValues": {":v": value}} if value else {}))
        return time.process_time() - began

    assert any(seconds(many) < 8 * max(_LEAST_S, seconds(2)) for _ in range(2))


def test_what_is_named_twice_is_found_without_comparing_each_with_each():
    """In a body of a megabyte, that would be a hundred billion comparisons."""
    compared: list[str] = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(self)
            return str.__eq__(self, other)

    names = [Name(n) for n in range(1000)] + [Name("last"), Name("last")]
    assert table_rules.first_twice(names) == "last" and table_rules.first_twice(names[:-1]) is None
    with pytest.raises(Refusal, match="Duplicate value in attribute name: last"):
        reads.projection({"AttributesToGet": names}, terms.NO_TERMS)
    assert len(compared) < 3 * len(names)


def test_of_what_is_read_of_texts_as_much_is_kept_as_of_so_many_characters(monkeypatch):
    """What is made of a text takes up to a hundred bytes for each of its characters."""
    monkeypatch.setattr(texts, "MOST_KEPT", 100)
    made: list[str] = []
    length = texts.kept(50)(lambda kind, text: made.append(text) or len(text))
    short, long = ["a" * n for n in range(1, 8)], ["b" * 60, "c" * 60, "d" * 1000]
    for text in short * 10 + long + long:
        assert length("x", text) == len(text)
    assert made == short + long + long  # each long one displaces the others
    assert length("x", "d" * 1000) == 1000 and made == short + long + long


def test_a_number_of_a_whole_body_is_refused_by_its_length(db):
    db.table("Tab", "p")
    headers = {"authorization": "Credential=111111111111/20270101/us-east-1/dynamodb/aws4_request",
               "x-amz-target": "DynamoDB_20120810.PutItem"}
    for text in ("9" * 3_000_000, "0" * 3_000_000 + "x"):
        body = json.dumps({"TableName": "Tab", "Item": {"p": {"N": text}}}).encode()
        refusal = db.refusal("PutItem", **requests.parse(headers, body).input)
        assert "cannot be converted to a numeric value" in refusal.message and len(refusal.message) < 300


@pytest.mark.slow
@pytest.mark.parametrize("repeated", ["Credential=", "a/", "Credential=a/20270101/a/", " ", "=", "Credential=a/1"])
def test_time_grows_linearly_with_a_hostile_header(repeated):
    def seconds(size: int) -> float:
        began = time.process_time()
        with contextlib.suppress(Refusal):
            requests.parse({"authorization": "Credential=" + repeated * (size // len(repeated)),
                            "x-amz-target": "DynamoDB_20120810.ListTables"}, b"{}")
        return time.process_time() - began
    least = max(_LEAST_S, seconds(_SHORT))
    assert any(seconds(_LONG) < _MOST * least for _ in range(2))
