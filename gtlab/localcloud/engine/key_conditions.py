"""Key conditions: which part of a partition a Query reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gtlab.localcloud.engine.conditions import check_bounds, compile_condition
from gtlab.localcloud.engine.expressions import KEY_CONDITION, parse_condition
from gtlab.localcloud.engine.items import KeySchema, Range, joined_sort_bytes, partition_bytes
from gtlab.localcloud.engine.legacy import checked_values
from gtlab.localcloud.engine.terms import Terms
from gtlab.localcloud.engine.texts import Prepared
from gtlab.localcloud.engine.tree import Between, Both, Compare, Condition, Function, In, Operand, Path, Placeholder
from gtlab.localcloud.engine.values import Value, kind, sort_bytes
from gtlab.localcloud.model import Refusal, invalid, invalid_values

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LEGACY = {"EQ": "=", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">", "BEGINS_WITH": "begins_with", "BETWEEN": "BETWEEN"}
_AFTER = b"\xff" * 1100  # sorts behind every sort key that begins with the same bytes; no key is that long


class KeyTest(NamedTuple):
    """A test of one key attribute."""

    operator: str  # = < <= > >= BETWEEN begins_with; none where it is one that no key can be tested with
    values: tuple[Value, ...]


class KeyTests:
    """The tests that the KeyConditionExpression or the KeyConditions of a Query ask for. What makes an expression no
    key condition is refused by :meth:`found`, because the service looks for it when it has read all expressions."""

    def __init__(self, data: dict[str, Any], terms: Terms):
        """Raises Refusal for what no condition may have."""
        self._found: dict[str, KeyTest] = {}
        self._refusal: Refusal | None = None
        self._legacy = data.get("KeyConditions")
        if KEY_CONDITION not in data:
            return
        tree = parse_condition(KEY_CONDITION, data[KEY_CONDITION])
        try:
            self._found = _from_tree(tree, terms)
        except Refusal as refusal:
            compile_condition(KEY_CONDITION, tree, terms)  # a fault that any condition may have comes first
            self._refusal = refusal

    def found(self) -> dict[str, KeyTest]:
        """The tests by the attributes' names. Raises Refusal."""
        if self._refusal is not None:
            raise self._refusal
        return self._found if self._legacy is None else older_tests(self._legacy)


def range_of(tests: dict[str, KeyTest], schema: KeySchema) -> Range:
    """What of a table or an index with this key the tests allow. Raises Refusal."""
    if len(tests) > len(schema.names) and tests.keys() >= set(schema.partition):
        raise invalid(f"The number of query conditions ({len(tests)}) exceeds the number of key attributes defined in "
                      f"the schema ({len(schema.names)})")
    is_one_other = not tests.keys() <= set(schema.names)
    for name in schema.names:
        if name in tests:
            _check_test(name, tests[name], schema)
        elif name in schema.partition or is_one_other:
            raise invalid(f"Query condition missed key schema element: {name}")
    partition = partition_bytes([sort_bytes(tests[name].values[0]) for name in schema.partition])
    return bounds(partition, tests, schema)


def _check_test(name: str, test: KeyTest, schema: KeySchema) -> None:
    if not test.operator:
        raise invalid("Attempted conditional constraint is not an indexable operation")
    for value in test.values:
        if kind(value) != schema.types[name]:
            raise invalid_values("Condition parameter type does not match schema type")
        if not next(iter(value.values())):
            what = "string" if "S" in value else "binary"
            raise invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
                          f"contain an empty {what} value. Key: {name}")
    if name in schema.partition and test.operator != "=":
        raise invalid("Query key condition not supported")


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


# Expressions: the texts are the service's, as dynalite and others captured them

def _from_tree(tree: Condition, terms: Terms) -> dict[str, KeyTest]:
    tests: dict[str, KeyTest] = {}
    for part in _parts(tree):
        name, test = _test(part, terms)
        if name in tests:
            raise invalid(f"Invalid {KEY_CONDITION}: KeyConditionExpressions must only contain one condition per key")
        tests[name] = test
    return tests


def _parts(tree: Condition) -> Iterator[Compare | Between | Function]:
    """What AND joins, from the left."""
    left = [tree]
    while left:
        part = left.pop()
        if isinstance(part, Both) and part.operator == "AND":
            left += (part.right, part.left)
        elif isinstance(part, Compare | Between | Function):
            yield part
        else:
            raise _wrong_operator("OR" if isinstance(part, Both) else "IN" if isinstance(part, In) else "NOT")


def _test(part: Compare | Between | Function, terms: Terms) -> tuple[str, KeyTest]:
    operands: tuple[Operand, ...]
    if isinstance(part, Compare):
        if part.operator == "<>":
            raise _wrong_operator(part.operator)
        operator, operands = part.operator, (part.left, part.right)
    elif isinstance(part, Between):
        operator, operands = "BETWEEN", (part.operand, part.low, part.high)
    elif part.name == "begins_with":
        operator, operands = part.name, part.arguments
    else:
        raise _wrong_operator(part.name)
    if not isinstance(part, Compare) and not isinstance(operands[0], Path):
        raise _wrong_condition(f"{operator} operator must have the key attribute as its first operand")
    name = _name(operands, terms)
    if not isinstance(operands[0], Path):
        operator = _MIRRORED[operator]
    values = tuple(terms.value(KEY_CONDITION, each) for each in operands if isinstance(each, Placeholder))
    _check_values(operator, values)
    return name, KeyTest(operator, values)


def _name(operands: tuple[Operand, ...], terms: Terms) -> str:
    """The name of the attribute that a test is about."""
    name = None
    for operand in operands:
        if isinstance(operand, Path):
            if name is not None:
                raise _wrong_condition("Multiple attribute names used in one condition")
            path = terms.path(KEY_CONDITION, operand)
            if len(path) > 1:
                raise invalid("KeyConditionExpressions cannot have conditions on nested attributes")
            name = path[0]
        elif not isinstance(operand, Placeholder):
            raise invalid("KeyConditionExpressions cannot contain nested operations")
    if name is None:
        raise _wrong_condition("No key attribute specified")
    return name


def _check_values(operator: str, values: tuple[Value, ...]) -> None:
    """What the service checks of the values in any condition."""
    if operator == "BETWEEN":
        check_bounds(KEY_CONDITION, *values)
    if operator == "=":
        return
    for value in values:
        if kind(value) not in (("S", "B") if operator == "begins_with" else ("S", "N", "B")):
            raise invalid(f"Invalid {KEY_CONDITION}: Incorrect operand type for operator or function; operator or "
                          f"function: {operator}, operand type: {kind(value)}")


def _wrong_operator(operator: str) -> Refusal:
    return invalid(f"Invalid operator used in KeyConditionExpression: {operator}")


def _wrong_condition(why: str) -> Refusal:
    return invalid(f"Invalid condition in KeyConditionExpression: {why}")


# KeyConditions

def older_tests(conditions: dict[str, dict]) -> dict[str, KeyTest]:
    """The tests that a KeyConditions asks for. Raises Refusal."""
    return conditions.result() if type(conditions) is Prepared else dict(_from_legacy(conditions))


def _from_legacy(conditions: dict[str, dict]) -> Iterator[tuple[str, KeyTest]]:
    if not conditions:
        raise invalid("Conditions can be of length 1 or 2 only")
    for name, condition in conditions.items():
        operator = condition["ComparisonOperator"]
        values = checked_values(operator, condition.get("AttributeValueList", []))
        yield name, KeyTest(_LEGACY.get(operator, ""), tuple(values))
