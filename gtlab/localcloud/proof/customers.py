"""Customers who write to tables of eventually consistent global tables, of both versions."""

from __future__ import annotations

from gtlab.localcloud.model import TableId
from gtlab.localcloud.proof.schedule import KEYS, Process, Schedule, attributes
from gtlab.localcloud.proof.simulated import ACCOUNT


class Customers:
    """Writers that call any Region which has the table."""

    def __init__(self, schedule: Schedule):
        self._schedule, self._cloud, self._chance = schedule, schedule.cloud, schedule.chance

    def writer(self, name: str, writes: int) -> Process:
        for _ in range(writes):
            self._write(name)
            yield self._chance.choice((0.0, self._schedule.about(0.05), self._schedule.about(0.6)))

    def _write(self, name: str) -> None:
        here = [table.region for table in self._cloud.database.tables if table.name == name]
        if here:
            self._cloud.call(self._chance.choice(here), *self._random_write(name, self._chance.choice(here)))

    def _random_write(self, name: str, region: str) -> tuple[str, dict]:
        chance, table, key = self._chance, {"TableName": name}, attributes(self._chance.choice(KEYS))
        named, values = {"#w": "w"}, {":w": {"S": self._schedule.name()}, ":n": {"N": "1"}}
        kind = chance.choices(("put", "same", "create", "add", "delete", "delete some", "batch", "transaction",
                               "statement", "get", "query"), (24, 4, 10, 18, 12, 4, 8, 8, 4, 4, 4))[0]
        if kind == "put":
            return "PutItem", table | {"Item": self._item(key)}
        if kind == "same":
            there = [item for _, item in self._cloud.database.items(TableId(ACCOUNT, region, name))]
            return "PutItem", table | {"Item": chance.choice(there) if there else self._item(key)}
        if kind == "create":
            return "PutItem", table | {"Item": self._item(key), "ConditionExpression": "attribute_not_exists(p)"}
        if kind == "add":
            return "UpdateItem", table | {"Key": key, "UpdateExpression": "ADD n :n SET #w = :w",
                                          "ExpressionAttributeNames": named, "ExpressionAttributeValues": values}
        if kind == "delete":
            return "DeleteItem", table | {"Key": key}
        if kind == "delete some":
            return "DeleteItem", table | {"Key": key, "ConditionExpression": "n >= :n",
                                          "ExpressionAttributeValues": {":n": {"N": "1"}}}
        if kind == "batch":
            first, second = chance.sample(KEYS, 2)
            return "BatchWriteItem", {"RequestItems": {name: [
                {"PutRequest": {"Item": self._item(attributes(first))}},
                {"DeleteRequest": {"Key": attributes(second)}}]}}
        if kind == "transaction":
            first, second, third = chance.sample(KEYS, 3)
            return "TransactWriteItems", {"TransactItems": [
                {"Put": table | {"Item": self._item(attributes(first))}},
                {"Update": table | {"Key": attributes(second), "UpdateExpression": "SET #w = :w",
                                    "ExpressionAttributeNames": named, "ExpressionAttributeValues": {
                                        ":w": {"S": self._schedule.name()}}}},
                {"ConditionCheck": table | {"Key": attributes(third), "ConditionExpression": chance.choice(
                    ("attribute_exists(p)", "attribute_not_exists(p)"))}}]}
        if kind == "statement":
            where = f"p = '{key['p']['S']}' AND s = '{key['s']['S']}'"
            return "ExecuteStatement", {"Statement": chance.choice((
                f"UPDATE \"{name}\" SET w = '{self._schedule.name()}' WHERE {where}",
                f'DELETE FROM "{name}" WHERE {where}'))}
        if kind == "get":
            return "GetItem", table | {"Key": key, "ConsistentRead": chance.random() < 0.5}
        return "Query", table | {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": key["p"]}}

    def _item(self, key: dict) -> dict:
        item = key | {"w": {"S": self._schedule.name()}, "n": {"N": str(self._chance.randrange(3))}}
        if self._chance.random() < 0.1:
            item["until"] = {"N": str(int(self._cloud.clock) + self._chance.randrange(-60, 2 * 3600))}
        return item
