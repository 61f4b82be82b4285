"""Key conditions: which part of a partition a Query reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gtlab.localcloud.engine.conditions import check_bounds
from gtlab.localcloud.engine.expressions import KEY_CONDITION, parse_condition
from gtlab.localcloud.engine.items import KeySchema, Range, joined_sort_bytes, partition_bytes
from gtlab.localcloud.engine.terms import Terms
from gtlab.localcloud.engine.tree import Between, Both, Compare, Condition, Function, Operand, Path, Placeholder
from gtlab.localcloud.engine.values import Value, check, kind, sort_bytes
from gtlab.localcloud.model import Refusal, invalid, invalid_values

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LEGACY = {"EQ": "=", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">", "BEGINS_WITH": "begins_with", "BETWEEN": "BETWEEN"}
_AFTER = b"\xff" * 1100  # sorts behind every sort key that begins with the same bytes; no key is that long


class KeyTest(NamedTuple):
    """A test of one key attribute."""

    operator: str  # = < <= > >= BETWEEN begins_with
    values: tuple[Value, ...]


def range_of(data: dict[str, Any], schema: KeySchema, terms: Terms) -> Range:
    """What the KeyConditionExpression or the KeyConditions of a Query ask for. Raises Refusal."""
    if "KeyConditionExpression" in data:
        tests = _from_expression(data["KeyConditionExpression"], terms)
    elif data.get("KeyConditions"):
        tests = dict(_from_legacy(data["KeyConditions"]))
    else:
        raise invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    return _range(tests, schema)


def _range(tests: dict[str, KeyTest], schema: KeySchema) -> Range:
    for name in schema.partition:
        if name not in tests:
            raise invalid(f"Query condition missed key schema element: {name}")
    if len(tests) > len(schema.names):
        raise invalid(f"The number of query conditions ({len(tests)}) exceeds the number of key attributes defined in "
                      "the schema")
    for name, test in tests.items():
        if name not in schema.names:
            missed = next((each for each in schema.sort if each not in tests), name)
            raise invalid(f"Query condition missed key schema element: {missed}")
        for value in test.values:
            if kind(value) != schema.types[name]:
                raise invalid_values("Condition parameter type does not match schema type")
            if not next(iter(value.values())):
                what = "string" if "S" in value else "binary"
                raise invalid("One or more parameter values are not valid. The AttributeValue for a key attribute "
                              f"cannot contain an empty {what} value. Key: {name}")
    for name in schema.partition:
        if tests[name].operator != "=":
            raise invalid("Query key condition not supported")
    partition = partition_bytes([sort_bytes(tests[name].values[0]) for name in schema.partition])
    return bounds(partition, tests, schema)


def bounds(partition: bytes, tests: dict[str, KeyTest], schema: KeySchema) -> Range:
    """The part of a partition that tests of the sort keys allow. Raises Refusal if they are not from the left."""
    equal: list[bytes] = []
    for place, name in enumerate(schema.sort):
        test = tests.get(name)
        if test is None or test.operator != "=":
            behind = [each for each in schema.sort[place + 1:] if each in tests]
            if behind:  # sort keys of an index are given from the left, and only the last one as a range
                raise _not_equal(tests, schema, behind[-1])
            return _open(partition, equal, test, len(schema.sort) == 1)
        equal.append(sort_bytes(test.values[0]))
    if not schema.sort:
        return Range(partition)
    whole = joined_sort_bytes(equal)
    return Range(partition, whole, whole)


def _not_equal(tests: dict[str, KeyTest], schema: KeySchema, last: str) -> Refusal:
    before = [name for name in schema.sort[:schema.sort.index(last)]
              if name not in tests or tests[name].operator != "="]
    return invalid(f"RANGE key attributes {', '.join(before)} must have equality conditions specified in the query "
                   f"because a condition is present on key attribute {last}")


def _open(partition: bytes, equal: list[bytes], test: KeyTest | None, single: bool) -> Range:
    """The range for a test of the last sort key that is named, behind the ones that are equal to a value."""
    def joined(last: bytes | None, *, end: bytes = b"") -> bytes:
        if single:
            return (last or b"") + end
        parts = [value.replace(b"\x00", b"\x00\xff") + b"\x00\x00" for value in equal]
        if last is not None:
            parts.append(last.replace(b"\x00", b"\x00\xff"))
        return b"".join(parts) + end

    if test is None:
        return Range(partition, joined(None), joined(None, end=_AFTER)) if equal else Range(partition)
    values = [sort_bytes(value) for value in test.values]
    if test.operator == "begins_with":
        return Range(partition, joined(values[0]), joined(values[0], end=_AFTER))
    # In a key of several parts, the end of a part sorts before everything that may follow it.
    end = b"" if single else b"\x00\x00"
    everything = b"" if single else end + _AFTER
    low, high, high_open = None, None, False
    if test.operator == "BETWEEN":
        low, high = joined(values[0]), joined(values[1], end=everything)
    elif test.operator == ">=":
        low = joined(values[0])
    elif test.operator == ">":
        low = joined(values[0], end=b"\x00" if single else everything)
    elif test.operator == "<=":
        high = joined(values[0], end=everything)
    else:
        high, high_open = joined(values[0], end=end), True
    if equal:
        low = joined(None) if low is None else low
        high = joined(None, end=_AFTER) if high is None else high
    return Range(partition, low, high, high_open)


# Expressions

def _from_expression(text: str, terms: Terms) -> dict[str, KeyTest]:
    tests: dict[str, KeyTest] = {}
    for part in _parts(parse_condition(KEY_CONDITION, text)):
        name, test = _test(part, terms)
        if name in tests:
            raise _refused("KeyConditionExpressions must only contain one condition per key")
        tests[name] = test
    return tests


def _parts(tree: Condition) -> Iterator[Compare | Between | Function]:
    while isinstance(tree, Both):
        if tree.operator == "OR":
            raise _refused("Invalid operator used in KeyConditionExpression: OR")
        yield from _parts(tree.right)
        tree = tree.left
    if isinstance(tree, Compare | Between | Function):
        yield tree
        return
    operator = "IN" if hasattr(tree, "options") else "NOT"
    raise _refused(f"Invalid operator used in KeyConditionExpression: {operator}")


def _test(part: Compare | Between | Function, terms: Terms) -> tuple[str, KeyTest]:
    if isinstance(part, Compare):
        operator, left, right = part.operator, part.left, part.right
        if operator == "<>":
            raise _refused("Invalid operator used in KeyConditionExpression: <>")
        if isinstance(left, Placeholder) and isinstance(right, Path):
            operator, left, right = _MIRRORED[operator], right, left
        return _name(left, terms), KeyTest(operator, (_value(right, terms),))
    if isinstance(part, Between):
        low, high = _value(part.low, terms), _value(part.high, terms)
        name = _name(part.operand, terms)
        check_bounds(KEY_CONDITION, low, high)
        return name, KeyTest("BETWEEN", (low, high))
    if part.name != "begins_with":
        raise _refused(f"Invalid operator used in KeyConditionExpression: {part.name}")
    name, value = _name(part.arguments[0], terms), _value(part.arguments[1], terms)
    if kind(value) not in ("S", "B"):
        raise _refused("Incorrect operand type for operator or function; operator or function: begins_with, operand "
                       f"type: {kind(value)}")
    return name, KeyTest("begins_with", (value,))


def _name(operand: Operand, terms: Terms) -> str:
    if not isinstance(operand, Path):
        raise _refused("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
                       if isinstance(operand, Function) else
                       "Invalid condition in KeyConditionExpression: No key attribute specified")
    path = terms.path(KEY_CONDITION, operand)
    if len(path) > 1:
        raise invalid("KeyConditionExpressions cannot have conditions on nested attributes")
    return path[0]


def _value(operand: Operand, terms: Terms) -> Value:
    if not isinstance(operand, Placeholder):
        raise _refused("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
                       if isinstance(operand, Path) else
                       "KeyConditionExpressions cannot contain nested operations")
    return terms.value(KEY_CONDITION, operand)


def _refused(why: str) -> Refusal:
    return invalid(f"Invalid {KEY_CONDITION}: {why}")


# KeyConditions

def _from_legacy(conditions: dict[str, dict]) -> Iterator[tuple[str, KeyTest]]:
    for name, condition in conditions.items():
        operator, given = condition["ComparisonOperator"], condition.get("AttributeValueList", [])
        if operator not in _LEGACY:
            raise invalid("Attempted conditional constraint is not an indexable operation")
        wanted = 2 if operator == "BETWEEN" else 1
        if len(given) != wanted:
            raise invalid_values(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
        yield name, KeyTest(_LEGACY[operator], tuple(check(value) for value in given))
