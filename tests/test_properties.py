"""What holds for all inputs: pages together are the whole, capacity follows from sizes, and two ways to say the same
have the same effect (parameters from before expressions, PartiQL)."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from random import Random
from typing import Any

import pytest
from differential import Calls, make_tables
from drawn_items import Place
from engines import REGION, Database
from support import SOAK, seed

from gtlab.localcloud.model import Refusal

ROUNDS = 5_000 if SOAK else 100


pytestmark = pytest.mark.soak


@pytest.fixture
def drawn() -> Calls:
    return Calls(Random(seed(29)))


@pytest.fixture
def db(drawn: Calls) -> Database:
    """The tables of :mod:`differential`, Two with forty items."""
    made = Database()
    make_tables(made)
    for number in range(40):
        key = {"p": {"S": "abc"[number % 3]}, "s": {"N": str(number)}}
        made("PutItem", TableName="Two", Item=drawn.item(Place("PutItem", REGION, "Two")) | key)
    return made


def place(table: str = "Two", index: str | None = None) -> Place:
    return Place("", REGION, table, index)


def shown(items: list[dict]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


# Pages

def pages(db: Database, operation: str, **asked: Any) -> list[dict]:
    """All answers, each from where the one before ended."""
    found = [db(operation, **asked)]
    while "LastEvaluatedKey" in found[-1]:
        assert len(found) < 200
        found.append(db(operation, **asked, ExclusiveStartKey=found[-1]["LastEvaluatedKey"]))
    return found


def test_pages_together_are_the_whole_in_the_same_order(db, drawn):
    for _ in range(ROUNDS):
        index = drawn.random.choice((None, "Glob", "Some", "Local"))
        asked: dict[str, Any] = {"TableName": "Two"} | ({"IndexName": index} if index else {})
        at, operation = place(index=index), drawn.random.choice(("Query", "Scan"))
        if operation == "Query":
            forward = drawn.random.random() < 0.5
            asked |= {"KeyConditionExpression": drawn.key_condition(at), "ScanIndexForward": forward}
        if drawn.random.random() < 0.5:
            asked["FilterExpression"] = f"attribute_exists({drawn.random.choice('abm')})"
        asked |= {"ExpressionAttributeValues": at.values} if at.values else {}
        whole, limit = db(operation, **asked), drawn.random.randint(1, 9)
        parts = pages(db, operation, **asked, Limit=limit)
        assert [item for part in parts for item in part["Items"]] == whole["Items"], asked
        assert sum(part["ScannedCount"] for part in parts) == whole["ScannedCount"]
        assert all(part["ScannedCount"] == limit for part in parts[:-1])


def test_segments_together_are_the_whole(db, drawn):
    for total in range(1, 12):
        for index in ({}, {"IndexName": "Glob"}):
            parts = [item for number in range(total) for page in pages(
                db, "Scan", TableName="Two", Segment=number, TotalSegments=total, Limit=3, **index)
                for item in page["Items"]]
            assert shown(parts) == shown(db("Scan", TableName="Two", **index)["Items"])


# Sizes and capacity

def size(value: dict) -> int:
    """A value's bytes, by the developer guide ("DynamoDB item sizes and formats")."""
    (kind, content), = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        digits = content.lstrip("-").replace(".", "").strip("0")
        whole = content.lstrip("-").partition(".")[0].lstrip("0")
        even = len(digits) + (len(whole) % 2 if whole else 0)  # two digits a byte, in pairs from the decimal point
        return min(21, (even + 1) // 2 + 1 + content.startswith("-")) if digits else 1
    if kind == "B":
        return len(b64decode(content))
    if kind in ("BOOL", "NULL"):
        return 1
    if kind in ("SS", "NS", "BS"):
        return sum(size({kind[0]: member}) for member in content)
    members = content if kind == "L" else list(content.values())
    names = sum(len(name.encode()) for name in content) if kind == "M" else 0
    return 3 + names + sum(1 + size(member) for member in members)


def item_size(item: dict) -> int:
    return sum(len(name.encode()) + size(value) for name, value in item.items())


def test_capacity_follows_from_the_size_of_the_item(db, drawn):
    """Numbers may differ by some bytes from the guide's approximate rule: sizes that are near a bound are left out."""
    counted, checked = {"ReturnConsumedCapacity": "TOTAL"}, 0
    for _ in range(ROUNDS):
        item = drawn.item(place("One")) | {"fill": {"S": "x" * drawn.random.randrange(20_000)}}
        old = db("GetItem", TableName="One", Key={"p": item["p"]}).get("Item")
        sizes = [item_size(each) for each in (item, old) if each]
        if any(min(each % 1024, -each % 1024) < 40 for each in sizes):
            continue
        checked += 1
        put = db("PutItem", TableName="One", Item=item, **counted)["ConsumedCapacity"]["CapacityUnits"]
        assert put == math.ceil(max(sizes) / 1024), item
        for consistent, factor in ((False, 0.5), (True, 1.0)):
            for operation, asked in (("GetItem", {"Key": {"p": item["p"]}}), ("Query", {
                    "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": item["p"]}})):
                read = db(operation, TableName="One", ConsistentRead=consistent, **asked, **counted)
                assert read["ConsumedCapacity"]["CapacityUnits"] == factor * math.ceil(sizes[0] / 4096), item
    assert checked > ROUNDS / 2


# Two ways to say the same

_OPERATORS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def test_older_filters_find_what_expressions_find(db, drawn):
    """A comparison with an attribute that is not there holds for NE and NOT_CONTAINS only in the older form."""
    for _ in range(ROUNDS):
        name, how = drawn.random.choice("abm"), drawn.random.choice((*_OPERATORS, "BETWEEN", "IN", "CONTAINS", "NULL",
                                                                     "NOT_NULL", "BEGINS_WITH"))
        first, second = sorted((drawn.scalar("N") for _ in range(2)), key=lambda value: float(value["N"]))
        if how in ("EQ", "NE"):
            first = drawn.attribute()
        if how in ("BEGINS_WITH", "CONTAINS"):
            first = drawn.scalar("S")
        values = {"BETWEEN": [first, second], "IN": [first, second], "NULL": [], "NOT_NULL": []}.get(how, [first])
        text = {
            "BETWEEN": f"{name} BETWEEN :0 AND :1", "IN": f"{name} IN (:0, :1)", "CONTAINS": f"contains({name}, :0)",
            "NULL": f"attribute_not_exists({name})", "NOT_NULL": f"attribute_exists({name})",
            "BEGINS_WITH": f"begins_with({name}, :0)"}.get(how) or f"{name} {_OPERATORS[how]} :0"
        older = db("Scan", TableName="Two", ScanFilter={name: {"ComparisonOperator": how} | (
            {"AttributeValueList": values} if values else {})})
        newer = db("Scan", TableName="Two", FilterExpression=text, **({"ExpressionAttributeValues": {
            f":{place}": value for place, value in enumerate(values)}} if values else {}))
        assert shown(older["Items"]) == shown(newer["Items"]), (name, how, values)


def test_older_updates_do_what_expressions_do(drawn):
    older, newer = Database(), Database()
    for each in (older, newer):
        make_tables(each)
    for _ in range(ROUNDS):
        key, name = drawn.key(place("One")), drawn.random.choice("abm")
        action, value = drawn.random.choice((
            ("PUT", drawn.attribute()), ("ADD", {"N": "1.5"}), ("ADD", {"SS": ["a", "z"]}), ("DELETE", {"SS": ["a"]}),
            ("DELETE", None)))
        text = {"PUT": f"SET {name} = :v", "ADD": f"ADD {name} :v", "DELETE": f"DELETE {name} :v"}[action]
        outcomes = []
        update = {"Action": action} | ({"Value": value} if value else {})
        for each, asked in ((older, {"AttributeUpdates": {name: update}}), (newer, {
                "UpdateExpression": text if value else f"REMOVE {name}"} | (
                    {"ExpressionAttributeValues": {":v": value}} if value else {}))):
            try:
                outcomes.append(each("UpdateItem", TableName="One", Key=key, ReturnValues="ALL_NEW", **asked))
            except Refusal as refusal:
                outcomes.append(refusal.code)
        assert outcomes[0] == outcomes[1], (action, name, value)


def condition(drawn: Calls, values: list[dict], depth: int = 0) -> tuple[str, str]:
    """A condition as a filter and as PartiQL. ``values``: of the placeholders, in their order."""
    random = drawn.random
    kind, name = random.randrange(9 if depth < 3 else 6), random.choice("abm")

    def placed(value: dict) -> str:
        values.append(value)
        return f":{len(values) - 1}"

    if kind == 0:
        sign, value = random.choice(("=", "<>", "<", "<=", ">", ">=")), placed(drawn.scalar(random.choice("SN")))
        return f"{name} {sign} {value}", f"{name} {sign} ?"
    if kind == 1:
        return f"{name} BETWEEN {placed({'N': '0'})} AND {placed({'N': '50'})}", f"{name} BETWEEN ? AND ?"
    if kind == 2:
        return f"{name} IN ({placed(drawn.attribute())}, {placed(drawn.attribute())})", f"{name} IN [?, ?]"
    if kind == 3:
        return random.choice(((f"attribute_not_exists({name})", f"{name} IS MISSING"),
                              (f"attribute_exists({name})", f"{name} IS NOT MISSING")))
    if kind == 4:
        function, value = random.choice(("begins_with", "contains")), placed(drawn.scalar("S"))
        return f"{function}({name}, {value})", f"{function}({name}, ?)"
    if kind == 5:
        return f"size({name}) > {placed({'N': '1'})}", f"size({name}) > ?"
    if kind == 6:
        native, statement = condition(drawn, values, depth + 1)
        return f"NOT ({native})", f"NOT ({statement})"
    (one, first), (other, second) = condition(drawn, values, depth + 1), condition(drawn, values, depth + 1)
    word = random.choice(("AND", "OR"))
    return f"({one}) {word} ({other})", f"({first}) {word} ({second})"


def test_a_select_finds_what_a_scan_finds(db, drawn):
    for _ in range(ROUNDS):
        values: list[dict] = []
        native, statement = condition(drawn, values)
        parameters = {"Parameters": values} if values else {}
        found = db("ExecuteStatement", Statement=f'SELECT * FROM "Two" WHERE {statement}', **parameters)
        terms = {f":{number}": value for number, value in enumerate(values)}
        scanned = db("Scan", TableName="Two", FilterExpression=native, **(
            {"ExpressionAttributeValues": terms} if terms else {}))
        assert shown(found["Items"]) == shown(scanned["Items"]), (statement, values)


def test_statements_write_what_calls_write(drawn):
    native, spoken = Database(), Database()
    for each in (native, spoken):
        make_tables(each)
    for _ in range(ROUNDS):
        key, value = drawn.key(place()), drawn.attribute()
        where, parameters = " AND ".join(f"{name} = ?" for name in key), list(key.values())
        kind = drawn.random.randrange(4)
        if kind == 0:
            call = ("PutItem", {"Item": key | {"a": value}, "ConditionExpression": "attribute_not_exists(p)"})
            statement = ("INSERT INTO Two VALUE {'p': ?, 's': ?, 'a': ?}", [*parameters, value])
        elif kind == 1:
            call = ("UpdateItem", {"Key": key, "UpdateExpression": "SET a = :v REMOVE b", "ConditionExpression":
                                   "attribute_exists(p)", "ExpressionAttributeValues": {":v": value}})
            statement = (f"UPDATE Two SET a = ? REMOVE b WHERE {where}", [value, *parameters])
        elif kind == 2:
            call = ("UpdateItem", {"Key": key, "UpdateExpression": "SET n = n + :v", "ConditionExpression":
                                   "attribute_exists(p)", "ExpressionAttributeValues": {":v": {"N": "1"}}})
            statement = (f"UPDATE Two SET n = n + ? WHERE {where}", [{"N": "1"}, *parameters])
        else:
            call, statement = ("DeleteItem", {"Key": key}), (f"DELETE FROM Two WHERE {where}", parameters)
        refused = []
        for database, operation, asked in ((native, call[0], {"TableName": "Two"} | call[1]),
                                           (spoken, "ExecuteStatement", {"Statement": statement[0],
                                                                         "Parameters": statement[1]})):
            try:
                database(operation, **asked)
                refused.append(False)
            except Refusal:
                refused.append(True)
        assert refused[0] == refused[1], (call, statement)
        assert shown(native("Scan", TableName="Two")["Items"]) == shown(spoken("Scan", TableName="Two")["Items"])
    assert native("Scan", TableName="Two")["Items"]
