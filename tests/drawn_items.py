"""Items, keys and expressions of random requests, for tables whose schema is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple


class Schema(NamedTuple):
    """A table's key attributes and indexes: names with types, the partition key first."""

    keys: dict[str, str]
    indexes: dict[str, dict[str, str]]


@dataclass
class Place:
    """Where in a request the generator is: its operation and Region, the table it is about, and what the expressions
    of this part of it use."""

    operation: str
    region: str
    table: str
    index: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict] = field(default_factory=dict)


class Drawn:
    """Draws what requests to these tables consist of."""

    def __init__(self, random: Random, tables: dict[str, Schema]):
        self.random, self.tables = random, tables

    def schema(self, table: str) -> Schema:
        return self.tables[table]

    def word(self) -> str:
        return self.random.choice(("abc", "x-1", "one", "Music", "genre", "A0b", "z" * 30))

    def table_of_a_transaction(self) -> str:
        return self.random.choice(list(self.tables))

    def scalar(self, kind: str) -> dict:
        random = self.random
        return {"S": {"S": random.choice(("a", "b", "c", "pop", "item 1", "é"))},
                "N": {"N": random.choice(("0", "1", "2", "-5", "1.50", "1e2", "1999", "12345678901234567890"))},
                "B": {"B": random.choice(("AAE=", "YQ==", "AA=="))}}[kind]

    def attribute(self, depth: int = 0) -> dict:
        random = self.random
        kind = random.choice(("S", "N", "N", "S", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")
                             if depth < 3 else ("S", "N"))
        if kind in "SNB":
            return self.scalar(kind)
        if kind == "L":
            return {"L": [self.attribute(depth + 1) for _ in range(random.randrange(3))]}
        if kind == "M":
            return {"M": {name: self.attribute(depth + 1) for name in random.sample("qw", random.randrange(3))}}
        return {kind: {"BOOL": random.random() < 0.5, "NULL": True, "SS": random.sample(["a", "b", "c"], 2),
                       "NS": random.sample(["1", "2", "3.5"], 2), "BS": ["AAE=", "YQ=="]}[kind]}

    def key(self, at: Place) -> dict:
        """Of one item of few, so that requests meet items that are there."""
        few = {"S": ("a", "b", "c"), "N": ("1", "2", "10"), "B": ("AAE=", "YQ==")}
        return {name: {kind: self.random.choice(few[kind])} for name, kind in self.schema(at.table).keys.items()}

    def item(self, at: Place) -> dict:
        random = self.random
        found = {name: self.attribute() for name in random.sample("abclm", random.randrange(4))}
        for names in self.schema(at.table).indexes.values():
            found |= {name: self.scalar(kind) for name, kind in names.items() if random.random() < 0.7}
        return found | self.key(at)

    def path(self, at: Place) -> str:
        name = self.random.choice("abclm")
        if self.random.random() < 0.3:
            at.names["#" + name] = name
            name = "#" + name
        return name + (self.random.choice((".q", "[0]", ".w[1].q")) if self.random.random() < 0.2 else "")

    def placed(self, at: Place, value: dict | None = None) -> str:
        name = f":v{len(at.values)}"
        at.values[name] = value or self.attribute()
        return name

    def condition(self, at: Place, depth: int = 0) -> str:
        random = self.random
        choices: list[Callable[[], str]] = [
            lambda: f"{self.path(at)} {random.choice(('=', '<>'))} {self.placed(at)}",
            lambda: f"{self.path(at)} {random.choice(('<', '<=', '>', '>='))} {self.placed(at, self.scalar('N'))}",
            lambda: f"attribute_{random.choice(('exists', 'not_exists'))}({self.path(at)})",
            lambda: f"attribute_type({self.path(at)}, {self.placed(at, {'S': random.choice(('S', 'N', 'L'))})})",
            lambda: f"begins_with({self.path(at)}, {self.placed(at, self.scalar('S'))})",
            lambda: f"contains({self.path(at)}, {self.placed(at, self.scalar('S'))})",
            lambda: f"size({self.path(at)}) > {self.placed(at, self.scalar('N'))}",
            lambda: f"{self.path(at)} BETWEEN {self.placed(at, {'N': '0'})} AND {self.placed(at, {'N': '9'})}",
            lambda: f"{self.path(at)} IN ({self.placed(at)}, {self.placed(at)})",
            lambda: f"NOT {self.condition(at, depth + 1)}",
            lambda: f"({self.condition(at, depth + 1)}) {random.choice(('AND', 'OR'))} {self.condition(at, depth + 1)}",
        ]
        return random.choice(choices[:9] if depth > 2 else choices)()

    def update(self, at: Place) -> str:
        random, names = self.random, random_order(self.random, "abclm")
        one = {"N": "1"}
        clauses = {
            "SET": lambda name: random.choice((
                lambda: f"{name} = {self.placed(at)}",
                lambda: f"{name} = if_not_exists({name}, {self.placed(at, one)}) + {self.placed(at, one)}",
                lambda: f"{name} = list_append(if_not_exists({name}, {self.placed(at, {'L': []})}), "
                        f"{self.placed(at, {'L': [one]})})", lambda: f"{name} = {name} - {self.placed(at, one)}"))(),
            "REMOVE": lambda name: name + random.choice(("", "[0]", ".q")),
            "ADD": lambda name: f"{name} {self.placed(at, random.choice((one, {'SS': ['z']}, {'NS': ['7']})))}",
            "DELETE": lambda name: f"{name} {self.placed(at, {'SS': ['a']})}",
        }
        return " ".join(f"{clause} {clauses[clause](names.pop())}" for clause in random.sample(
            list(clauses), random.choice((1, 1, 2))))

    def key_condition(self, at: Place) -> str:
        random = self.random
        names = self.schema(at.table).indexes.get(at.index or "", self.schema(at.table).keys)
        (name, kind), *more = names.items()
        text = f"{name} = {self.placed(at, self.scalar(kind))}"
        for name, kind in more:
            if random.random() < 0.5:
                if kind == "S" and random.random() < 0.4:
                    text += f" AND begins_with({name}, {self.placed(at, {'S': random.choice(('a', 'i', 'p'))})})"
                elif random.random() < 0.3:
                    low = {"S": {"S": "a"}, "N": {"N": "-5"}, "B": {"B": "AA=="}}[kind]
                    high = {"S": {"S": "z"}, "N": {"N": "99"}, "B": {"B": "YQ=="}}[kind]
                    text += f" AND {name} BETWEEN {self.placed(at, low)} AND {self.placed(at, high)}"
                else:
                    sign = random.choice(("=", "<", "<=", ">", ">="))
                    text += f" AND {name} {sign} {self.placed(at, self.scalar(kind))}"
        return text

    def projection(self, at: Place) -> str:
        return ", ".join(random_order(self.random, ["a", "b", "c.q", "l[0]"])[:self.random.randint(1, 3)])

    def legacy(self, at: Place) -> dict:
        """Conditions of the legacy parameters QueryFilter, ScanFilter and Expected."""
        operator = self.random.choice(("EQ", "NE", "GT", "BETWEEN", "IN", "NULL", "NOT_NULL", "CONTAINS",
                                       "BEGINS_WITH"))
        values = {"BETWEEN": [{"N": "0"}, {"N": "9"}], "NULL": [], "NOT_NULL": []}.get(operator, [self.scalar("S")])
        return {self.random.choice("abc"): {"ComparisonOperator": operator} | ({"AttributeValueList": values} if values
                                                                              else {})}

    def statement(self, at: Place, reads: bool | None = None) -> dict:
        """A PartiQL statement with its parameters. ``reads``: whether it is a SELECT."""
        random = self.random
        table = at.table = self.table_of_a_transaction()
        key = self.key(at)
        where = " AND ".join(f"{name} = ?" for name in key)
        kind = random.randrange(7 if reads is None else 3) + (3 if reads is False else 0)
        if reads and at.operation != "ExecuteStatement":
            return {"Statement": f'SELECT * FROM "{table}" WHERE {where}', "Parameters": list(key.values())}
        index = random.choice([None, *self.schema(table).indexes])
        if kind <= 2:
            place = f'"{table}"' + (f'."{index}"' if index and kind == 2 else "")
            tests = random.choice(("", " WHERE a = 1", " WHERE size(b) > 1 OR NOT c IN [1, 'x']", " WHERE a IS MISSING",
                                   " WHERE begins_with(b, 'a') AND l[0].q BETWEEN 1 AND 2", f" WHERE {where}"))
            return {"Statement": f"SELECT {random.choice(('*', 'a, m.q', 'l[0]'))} FROM {place}{tests}"} | (
                {"Parameters": list(key.values())} if "?" in tests else {})
        if kind == 3:
            more = {"a": self.scalar("N"), "b": self.attribute()}
            return {"Statement": f'INSERT INTO "{table}" VALUE {{' + ", ".join(
                f"'{name}': ?" for name in key | more) + "}", "Parameters": list((key | more).values())}
        if kind <= 4 or (kind == 5 and reads is None):
            change = random.choice(("SET a = 1", "SET b = {'q': [1, 2]} REMOVE c", "SET a = a + 1",
                                    "SET l = list_append(l, [1])", "SET s = set_add(s, <<'a'>>)", "SET m.q = 'x'"))
            more = random.choice(("", " RETURNING ALL NEW *", " AND a > 0"))
            return {"Statement": f'UPDATE "{table}" {change} WHERE {where}{more}', "Parameters": list(key.values())}
        return {"Statement": f'DELETE FROM "{table}" WHERE {where}' + random.choice(("", " RETURNING ALL OLD *")),
                "Parameters": list(key.values())}


def random_order(random: Random, values: Any) -> list:
    return random.sample(list(values), len(values))
