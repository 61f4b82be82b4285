"""Random calls of the data plane, for several implementations to answer: every operation and every form of expression,
indexes, transactions, batches, parameters from before expressions, malformed and extreme input."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Collection
from random import Random
from typing import Any

from drawn_items import Drawn, Place, Schema, random_order
from engines import REGION
from generated import spoiled
from support import wait_until

from gtlab.localcloud.model import Refusal

TABLES = {"One": Schema({"p": "S"}, {}),
          "Two": Schema({"p": "S", "s": "N"}, {"Glob": {"g": "S"}, "Some": {"g": "S", "n": "N"},
                                               "Local": {"p": "S", "h": "S"}})}
_OPERATIONS = (["PutItem"] * 3 + ["UpdateItem"] * 4 + ["DeleteItem", "GetItem", "Query", "Query", "Scan", "Scan"]
               + ["BatchGetItem", "BatchWriteItem", "TransactWriteItems", "TransactGetItems", "ExecuteStatement"])
_UNITS = ("TOTAL", "INDEXES", "NONE")
SPOILED, EXTREME, BROKEN = 0.06, 0.03, 0.05  # shares of the calls


def make_tables(voice: Any) -> None:
    for name, (keys, indexes) in TABLES.items():
        attributes = keys | {each: kind for names in indexes.values() for each, kind in names.items()}
        made: dict[str, list[dict]] = {}
        for index, names in indexes.items():
            projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]} if index == "Some" else {
                "ProjectionType": "ALL" if index == "Glob" else "KEYS_ONLY"}
            made.setdefault(f"{'Local' if 'p' in names else 'Global'}SecondaryIndexes", []).append(
                {"IndexName": index, "KeySchema": _schema(names), "Projection": projection})
        voice("CreateTable", TableName=name, KeySchema=_schema(keys), BillingMode="PAY_PER_REQUEST", **made,
              AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind}
                                    for each, kind in attributes.items()])
    wait_until(lambda: all(voice("DescribeTable", TableName=name)["Table"]["TableStatus"] == "ACTIVE"
                           for name in TABLES), "the tables to be ACTIVE")


def drop_tables(voice: Any) -> None:
    for name in TABLES:
        with contextlib.suppress(Refusal):
            voice("DeleteTable", TableName=name)

    def are_gone() -> bool:
        for name in TABLES:
            with contextlib.suppress(Refusal):
                voice("DescribeTable", TableName=name)
                return False
        return True

    wait_until(are_gone, "the tables to be gone")


def _schema(names: dict[str, str]) -> list[dict]:
    return [{"AttributeName": name, "KeyType": "RANGE" if place else "HASH"} for place, name in enumerate(names)]


class Calls(Drawn):
    """Draws calls. :meth:`learn` takes the answers, so that later calls go on with their pages."""

    def __init__(self, random: Random, operations: Collection[str] = ()):
        """``operations``: which ones to draw; without any, all."""
        super().__init__(random, TABLES)
        self._operations = [name for name in _OPERATIONS if not operations or name in operations]
        self._pages: list[tuple[str, dict]] = []  # calls that go on where an answer ended
        self.is_ordinary = True  # of the last call: nothing was spoiled in it

    def next(self) -> tuple[str, dict]:
        random = self.random
        if self._pages and random.random() < 0.5:
            return self._pages.pop()
        operation, table = random.choice(self._operations), random.choice(("One", "Two", "Two"))
        data = getattr(self, f"_{operation}")(Place(operation, REGION, table))
        if random.random() < 0.2:
            data["ReturnConsumedCapacity"] = random.choice(_UNITS)
        chance = random.random()
        self.is_ordinary = chance >= SPOILED + EXTREME + BROKEN
        if chance < SPOILED:
            data = spoiled(data, random)
        elif chance < SPOILED + EXTREME:
            data = self._extreme(data)
        elif chance < SPOILED + EXTREME + BROKEN:
            data = self._broken(data)
        return operation, data

    def learn(self, operation: str, data: dict, answer: object) -> None:
        if isinstance(answer, dict) and answer.get("LastEvaluatedKey") and len(self._pages) < 5:
            self._pages.append((operation, data | {"ExclusiveStartKey": answer["LastEvaluatedKey"]}))

    def update(self, at: Place) -> str:
        """Sometimes of the keys of indexes."""
        if self.random.random() < 0.15:
            name, kind = self.random.choice((("g", "S"), ("h", "S"), ("n", "N"), ("p", "S")))
            return self.random.choice((
                lambda: f"SET {name} = {self.placed(at, self.scalar(kind))}", lambda: f"REMOVE {name}",
                lambda: f"SET {name} = {self.placed(at)}", lambda: f"SET {name} = a",
                lambda: f"ADD {name} {self.placed(at, {'N': '1'})}", lambda: f"REMOVE {name}[0]"))()
        return super().update(at)

    # One item

    def _PutItem(self, at: Place) -> dict:
        return self._with_terms(at, self._about(at, {"Item": self.item(at)}, ("NONE", "ALL_OLD")))

    def _UpdateItem(self, at: Place) -> dict:
        returned = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
        if self.random.random() < 0.15:
            changes = {name: self.random.choice((
                {"Action": "PUT", "Value": self.attribute()}, {"Value": self.attribute()}, {"Action": "DELETE"},
                {"Action": "ADD", "Value": self.random.choice(({"N": "1"}, {"SS": ["z"]}, {"L": [{"N": "1"}]}))},
                {"Action": "DELETE", "Value": {"SS": ["a"]}})) for name in self.random.sample("abclm", 2)}
            expected = {"Expected": self.legacy(at)} if self.random.random() < 0.4 else {}
            return {"TableName": at.table, "Key": self.key(at), "AttributeUpdates": changes,
                    "ReturnValues": self.random.choice(returned)} | expected
        found = self._about(at, {"Key": self.key(at)}, returned, legacy=0.0)
        return self._with_terms(at, found | {"UpdateExpression": self.update(at)})

    def _DeleteItem(self, at: Place) -> dict:
        return self._with_terms(at, self._about(at, {"Key": self.key(at)}, ("NONE", "ALL_OLD")))

    def _about(self, at: Place, data: dict, returned: tuple[str, ...], legacy: float = 0.1) -> dict:
        """A write of one item, perhaps with a condition."""
        chance, random = self.random.random(), self.random
        condition: dict[str, Any] = {}
        if chance < legacy:
            condition = {"Expected": self._expected(at)}
        elif chance < 0.4:
            condition = {"ConditionExpression": self.condition(at)}
        return {"TableName": at.table} | data | condition | (
            {"ReturnValues": random.choice(returned)} if random.random() < 0.7 else {})

    def _expected(self, at: Place) -> dict:
        random = self.random
        if random.random() < 0.5:
            return self.legacy(at)
        return {random.choice("abc"): random.choice(({"Exists": False}, {"Value": self.attribute()},
                                                    {"Exists": True, "Value": self.attribute()}))}

    def _GetItem(self, at: Place) -> dict:
        random = self.random
        more = random.choice(({}, {}, {"AttributesToGet": ["a", "b"]}, {"ProjectionExpression": self.projection(at)}))
        return {"TableName": at.table, "Key": self.key(at)} | more | (
            {"ConsistentRead": True} if random.random() < 0.2 else {})

    # Many items

    def _Query(self, at: Place) -> dict:
        random = self.random
        at.index = random.choice([None, *self.schema(at.table).indexes])
        found: dict[str, Any] = {"TableName": at.table} | ({"IndexName": at.index} if at.index else {})
        if random.random() < 0.3:
            found["ScanIndexForward"] = random.random() < 0.3
        if random.random() < 0.12:
            names = self.schema(at.table).indexes.get(at.index or "", self.schema(at.table).keys)
            (name, kind), *more = names.items()
            found["KeyConditions"] = {name: {"ComparisonOperator": "EQ", "AttributeValueList": [self.scalar(kind)]}}
            for name, kind in more[:random.randrange(2)]:
                values = [self.scalar(kind)]
                found["KeyConditions"][name] = {"ComparisonOperator": random.choice(("EQ", "LT", "LE", "GT", "GE")),
                                                "AttributeValueList": values}
            return found | ({"QueryFilter": self.legacy(at)} if random.random() < 0.4 else {}) | self._limit()
        found["KeyConditionExpression"] = self.key_condition(at)
        return self._with_terms(at, found | self._page(at))

    def _Scan(self, at: Place) -> dict:
        random = self.random
        at.index = random.choice([None, None, *self.schema(at.table).indexes])
        found: dict[str, Any] = {"TableName": at.table} | ({"IndexName": at.index} if at.index else {})
        if random.random() < 0.12:
            more = {"ConditionalOperator": "OR"} if random.random() < 0.3 else {}
            return found | {"ScanFilter": self.legacy(at)} | more
        return self._with_terms(at, found | self._page(at, limited=False))

    def _page(self, at: Place, limited: bool = True) -> dict:
        """A Scan has no limit here: each voice has its items in another order."""
        random, found = self.random, dict[str, Any]()
        if random.random() < 0.4:
            found["FilterExpression"] = self.condition(at)
        if random.random() < 0.25:
            found["ProjectionExpression"] = self.projection(at)
        elif random.random() < 0.3:
            found["Select"] = random.choice(("COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES",
                                             "SPECIFIC_ATTRIBUTES"))
        if random.random() < 0.15:
            found["ConsistentRead"] = random.random() < 0.7
        return found | (self._limit() if limited else {})

    def _limit(self) -> dict:
        return {"Limit": self.random.randint(1, 3)} if self.random.random() < 0.3 else {}

    def _BatchGetItem(self, at: Place) -> dict:
        keys = list({json.dumps(key, sort_keys=True): key for key in (self.key(at) for _ in range(3))}.values())
        more = self.random.choice(({}, {"ConsistentRead": True}, {"ProjectionExpression": self.projection(at)},
                                   {"AttributesToGet": ["a", "p"]}))
        return {"RequestItems": {at.table: {"Keys": keys} | more}}

    def _BatchWriteItem(self, at: Place) -> dict:
        keys = list({json.dumps(key, sort_keys=True): key for key in (self.key(at) for _ in range(3))}.values())
        return {"RequestItems": {at.table: [
            {"DeleteRequest": {"Key": key}} if self.random.random() < 0.4 else {"PutRequest": {
                "Item": self.item(at) | key}} for key in keys]}}

    # Transactions and statements

    def _TransactGetItems(self, at: Place) -> dict:
        return {"TransactItems": [{"Get": {"TableName": at.table, "Key": self.key(at)} | self.random.choice((
            {}, {"ProjectionExpression": self.projection(at)}))} for _ in range(self.random.randint(1, 3))]}

    def _TransactWriteItems(self, at: Place) -> dict:
        actions = []
        for _ in range(self.random.randint(1, 3)):
            there = Place(at.operation, REGION, self.random.choice(("One", "Two")))
            kind = self.random.choice(("Put", "Update", "Delete", "ConditionCheck"))
            action: dict[str, Any] = {"TableName": there.table} | (
                {"Item": self.item(there)} if kind == "Put" else {"Key": self.key(there)})
            if kind == "Update":
                action["UpdateExpression"] = self.update(there)
            if kind == "ConditionCheck" or self.random.random() < 0.3:
                action["ConditionExpression"] = self.condition(there)
            actions.append({kind: self._with_terms(there, action)})
        return {"TransactItems": actions}

    def _ExecuteStatement(self, at: Place) -> dict:
        """A statement about one item: what the library understands of PartiQL."""
        key = self.key(at)
        where, values = " AND ".join(f"{name} = ?" for name in key), list(key.values())
        statement, parameters = self.random.choice((
            (f'SELECT * FROM "{at.table}" WHERE {where}', values),
            (f'INSERT INTO "{at.table}" VALUE {{' + ", ".join(f"'{name}': ?" for name in (*key, "a")) + "}",
             [*values, self.attribute()]),
            (f'UPDATE "{at.table}" SET a = ? WHERE {where}', [self.attribute(), *values]),
            (f'DELETE FROM "{at.table}" WHERE {where}', values)))
        return {"Statement": statement, "Parameters": parameters}

    # What is not as it should be

    def _with_terms(self, at: Place, data: dict) -> dict:
        return data | ({"ExpressionAttributeNames": at.names} if at.names else {}) | (
            {"ExpressionAttributeValues": at.values} if at.values else {})

    def _extreme(self, data: dict) -> dict:
        """A value at the edge of what can be stored, or beyond, in place of another."""
        deep: dict = {"S": "x"}
        for _ in range(self.random.choice((29, 30, 31, 32, 33))):
            deep = {"L": [deep]}
        value = self.random.choice((
            {"N": "1" * 38}, {"N": "1" * 39}, {"N": "1e125"}, {"N": "1e126"}, {"N": "-1e-130"}, {"N": "1e-131"},
            {"N": "-0.0"}, {"N": "0" * 60 + "1"}, {"N": "1." + "0" * 60}, {"S": ""}, {"B": ""}, {"SS": []},
            {"SS": ["a", "a"]}, {"NS": ["1", "1.0"]}, {"S": "x" * 2049}, {"S": "x" * 1025}, {"S": "x" * 410_000},
            {"M": {}}, {"L": []}, {"N": " 1"}, {"N": "1e"}, {"NULL": False}, deep))
        data = copy.deepcopy(data)
        for place in (data.get("Item"), data.get("ExpressionAttributeValues"), data.get("Key")):
            if place:
                place[self.random.choice(list(place))] = value
                break
        return data

    def _broken(self, data: dict) -> dict:
        """An expression with a word dropped, doubled, put in another place, or something added."""
        random, data = self.random, copy.deepcopy(data)
        names = [name for name in data if name.endswith("Expression")]
        if not names:
            return data
        name = random.choice(names)
        words = data[name].split()
        place = random.randrange(len(words))
        change = random.randrange(5)
        if change == 0:
            del words[place]
        elif change == 1:
            words.insert(place, words[place])
        elif change == 2:
            words = random_order(random, words)
        elif change == 3:
            words.insert(place, random.choice(("AND", "(", ")", ",", "NOT", "size", ":v0", "#a", "=", "a.b[", "[1]")))
        else:
            data[name] = random.choice(("", " ", "a", "a = ", "(((a)))", ":v0 = :v0", "size(a)", "SET", "a[0", "#"))
            return data
        data[name] = " ".join(words)
        return data
