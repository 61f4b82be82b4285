"""Strongly consistent global tables in the simulation: their customers, and the histories of their items."""

from __future__ import annotations

import math
from collections import defaultdict

from gtlab.judging.linearizability import Operation, linearization
from gtlab.localcloud.model import Call
from gtlab.localcloud.proof.audit import CHARTS
from gtlab.localcloud.proof.oracle import Violation
from gtlab.localcloud.proof.schedule import HOUR, KEYS, MINUTE, REGIONS, Process, Schedule, attributes
from gtlab.localcloud.proof.simulated import ACCOUNT, BEGAN, Answer


class StrongTable:
    """One table that becomes a strongly consistent global table, is used by several customers, and is taken apart."""

    def __init__(self, schedule: Schedule):
        self._schedule, self._cloud, self._chance = schedule, schedule.cloud, schedule.chance
        self._histories: dict[tuple, list[Operation]] = defaultdict(list)  # by item
        self._ever: set[str] = set()                                       # names of all writes

    def mrsc(self) -> Process:
        """Create a strong global table, let customers use it, take it apart, and check its items' histories."""
        while True:
            home, near, far = self._chance.sample(REGIONS, 3)
            charts, witnessed = {"TableName": CHARTS}, self._chance.random() < 0.3
            others = [near] if witnessed else [near, far]
            yield from self._schedule.until_done(lambda: self._schedule.create_table(home, CHARTS))  # noqa: B023
            yield 15.0

            def changed(kind: str, others=others, witness=far if witnessed else None) -> dict:
                asked = {"ReplicaUpdates": [{kind: {"RegionName": region}} for region in others]}
                if witness:
                    asked["GlobalTableWitnessUpdates"] = [{kind: {"RegionName": witness}}]
                return asked | ({"MultiRegionConsistency": "STRONG"} if kind == "Create" else {})

            yield from self._schedule.until_done(
                lambda: self._cloud.call(home, "UpdateTable", charts | changed("Create")))  # noqa: B023
            yield 2 * MINUTE
            ends = self._cloud.true + self._chance.uniform(4, 14) * HOUR
            while self._cloud.true < ends:
                for _ in range(3):
                    self._schedule.start(self.customer(), self._chance.uniform(0, 0.5))
                yield self._schedule.about(2 * HOUR)
            for _ in range(4):  # writes that are still spreading when it is taken apart
                self._schedule.start(self.customer())
            yield 1.0
            yield from self._schedule.until_done(
                lambda: self._cloud.call(home, "UpdateTable", charts | changed("Delete")))  # noqa: B023
            for _ in range(4):
                self._schedule.start(self.customer())
            yield 2 * MINUTE
            while self._cloud.judge.members(CHARTS):
                yield MINUTE
            for key in KEYS[:3]:
                self.read_everywhere(key)
            yield from self._schedule.until_done(lambda: self._cloud.call(home, "DeleteTable", charts))  # noqa: B023
            yield 3 * MINUTE
            self.check_histories()

    def customer(self) -> Process:
        """A customer in some Region who reads and writes a strong table, one call after the other."""
        chance = self._chance
        for _ in range(chance.randint(1, 4)):
            here = [table.region for table in self._cloud.database.tables if table.name == CHARTS]
            if not here:
                return
            region, key = chance.choice(here), chance.choice(KEYS[:3])
            what, operation, data = self._strong_call(key)
            call, began, life = Call(ACCOUNT, region, "dynamodb", operation, data), self._cloud.true, self._cloud.life
            away = self._cloud.cloud.world.round_trip_s(chance.choice(REGIONS), region)
            yield away / 2
            hold = self._cloud.begin(call)
            if isinstance(hold, Answer):
                continue
            yield hold.seconds
            # None: the process ended while the call was on its round trip
            answer = self._cloud.finish(call, hold) if life == self._cloud.life else None
            if what[0] == "look":
                if answer:
                    self._check_look(answer)
                continue
            yield away / 2
            told = life == self._cloud.life and chance.random() > 0.03
            if answer is None or not told:
                self._note(key, Operation(began, math.inf, what))
            else:
                self._note(key, Operation(began, self._cloud.true, what), answer)
            yield self._schedule.about(0.2)

    def _strong_call(self, key: tuple[str, str]) -> tuple[tuple, str, dict]:
        """What is asked for, as :func:`step` takes it, and as a call."""
        name, charts, named = self._schedule.name(), {"TableName": CHARTS}, attributes(key)
        item, old = named | {"w": {"S": name}, "n": {"N": "0"}}, {"ReturnValues": "ALL_OLD"}
        kind = self._chance.choices(("put", "create", "add", "delete", "read", "look"), (20, 15, 30, 10, 20, 5))[0]
        if kind in ("put", "create", "add"):
            self._ever.add(name)
        if kind != "look" and self._chance.random() < 0.4:
            return self._other_way(kind, key, name)
        calls: dict[str, tuple[tuple, str, dict]] = {
            "put": (("put", name), "PutItem", charts | {"Item": item} | old),
            "create": (("create", name), "PutItem", charts | {
                "Item": item, "ConditionExpression": "attribute_not_exists(p)"}),
            "add": (("add", name), "UpdateItem", charts | {
                "Key": named, "UpdateExpression": "ADD n :n SET w = :w", "ReturnValues": "ALL_NEW",
                "ExpressionAttributeValues": {":n": {"N": "1"}, ":w": {"S": name}}}),
            "delete": (("delete",), "DeleteItem", charts | {"Key": named} | old),
            "read": (("read",), "GetItem", charts | {"Key": named, "ConsistentRead": True}),
            "look": (("look",), "GetItem", charts | {"Key": named}),
        }
        return calls[kind]

    def _other_way(self, kind: str, key: tuple[str, str], name: str) -> tuple[tuple, str, dict]:
        """Like :meth:`_strong_call`, by PartiQL, a batch or a page."""
        named, literal = attributes(key), f"{{'p': '{key[0]}', 's': '{key[1]}', 'w': '{name}', 'n': 0}}"
        where = f"WHERE p = '{key[0]}' AND s = '{key[1]}'"
        if kind == "put":
            item = named | {"w": {"S": name}, "n": {"N": "0"}}
            return ("set", name), "BatchWriteItem", {"RequestItems": {CHARTS: [{"PutRequest": {"Item": item}}]}}
        if kind != "read":
            what, statement = {
                "create": (("create", name), f"INSERT INTO {CHARTS} VALUE {literal}"),
                "add": (("change", name), f"UPDATE {CHARTS} SET n = n + 1 SET w = '{name}' {where} "
                                          "RETURNING ALL NEW *"),
                "delete": (("delete",), f"DELETE FROM {CHARTS} {where} RETURNING ALL OLD *")}[kind]
            return what, "ExecuteStatement", {"Statement": statement}
        consistent, select = {"ConsistentRead": True}, {"Statement": f"SELECT * FROM {CHARTS} {where}"}
        ways: tuple[tuple[str, dict], ...] = (
            ("ExecuteStatement", select | consistent),
            ("ExecuteStatement", {"Statement": f"SELECT * FROM {CHARTS}"} | consistent),
            ("BatchExecuteStatement", {"Statements": [select | consistent]}),
            ("BatchGetItem", {"RequestItems": {CHARTS: {"Keys": [named]} | consistent}}),
            ("Scan", {"TableName": CHARTS} | consistent),
            ("Query", {"TableName": CHARTS, "KeyConditionExpression": "p = :p",
                       "ExpressionAttributeValues": {":p": named["p"]}} | consistent))
        return ("read",), *self._chance.choice(ways)

    def _note(self, key: tuple, operation: Operation, answer: Answer | None = None) -> None:
        """Add an operation to an item's history, unless it had no effect."""
        if answer is None:
            self._histories[key].append(operation)
        elif answer.code in ("ConditionalCheckFailedException", "DuplicateItemException"):
            self._histories[key].append(operation._replace(answer=False))
        elif not answer.code and not _is_refused_in_batch(answer):
            shows = operation.what[0] not in ("set", "create")
            value = _state(_item_in(answer.needed(), key)) if shows else True
            self._histories[key].append(operation._replace(answer=value))

    def _check_look(self, answer: Answer) -> None:
        """Check that an eventually consistent read shows something that was written."""
        item = (answer.data or {}).get("Item")
        if item and item["w"]["S"] not in self._ever:
            raise Violation(f"a read of {CHARTS} shows what nobody wrote: {item}")
        self._cloud.judge.made["eventual reads of strong tables"] += 1

    def read_everywhere(self, key: tuple[str, str]) -> None:
        """A strong read in every Region that has the table."""
        for table in self._cloud.database.tables:
            if table.name == CHARTS:
                began = self._cloud.true
                answer = self._cloud.call(table.region, "GetItem", {
                    "TableName": CHARTS, "Key": attributes(key), "ConsistentRead": True})
                self._note(key, Operation(began, began, ("read",)), answer)

    def check_histories(self) -> None:
        for key, history in self._histories.items():
            self._cloud.judge.made["linearizable histories"] += 1
            self._cloud.judge.made["operations in them"] += len(history)
            if linearization(history, None, step) is None:
                raise Violation(f"the history of {key} in {CHARTS} is not linearizable:\n" + "\n".join(
                    f"  {operation.began - BEGAN:.6f} to {operation.ended - BEGAN:.6f}: {operation.what} gave "
                    f"{operation.answer}" for operation in sorted(history)))
        self._histories.clear()


def step(state: tuple | None, what: tuple) -> tuple[tuple | None, object]:
    """One item of a strong table under one caller: (name of its last write, counter), or None if there is no item."""
    kind, *name = what
    if kind == "read":
        return state, state
    if kind == "delete":
        return None, state
    if kind == "put":
        return (*name, "0"), state
    if kind == "set":
        return (*name, "0"), True
    if kind == "change" and state is None:
        return None, False
    if kind == "create":
        return (state, False) if state else ((*name, "0"), True)
    added = (*name, str(int(state[1] if state else 0) + 1))
    return added, added


def _item_in(data: dict, key: tuple[str, str]) -> dict | None:
    """The item with a key that an answer shows, in whatever member."""
    found = data.get("Items", [])
    responses = data.get("Responses", [])
    if isinstance(responses, dict):
        found = responses[CHARTS]
    elif responses:
        found = [part["Item"] for part in responses if "Item" in part]
    found = [*found, *(data[name] for name in ("Item", "Attributes") if name in data)]
    return next((item for item in found if (item["p"]["S"], item["s"]["S"]) == key), None)


def _is_refused_in_batch(answer: Answer) -> bool:
    """Whether a batch of one statement was answered with that statement's error, such as that the table is gone."""
    responses = answer.needed().get("Responses", [])
    return isinstance(responses, list) and any("Error" in part for part in responses)


def _state(item: dict | None) -> tuple | None:
    return (item["w"]["S"], item["n"]["N"]) if item else None
