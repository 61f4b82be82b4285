"""The arguments from before expressions: Expected, QueryFilter, ScanFilter, AttributeUpdates."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from gtlab.localcloud.engine.conditions import Test
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.engine.terms import Parts
from gtlab.localcloud.engine.texts import Prepared
from gtlab.localcloud.engine.updates import sum_of, without
from gtlab.localcloud.engine.values import SETS, TYPES, Item, Value, check, equal, kind, ordered
from gtlab.localcloud.model import invalid, invalid_values

_ORDERED = ("S", "N", "B")
# How many values each operator takes, at least and at most.
_COUNTS = {"EQ": (1, 1), "NE": (1, 1), "LE": (1, 1), "LT": (1, 1), "GE": (1, 1), "GT": (1, 1), "NOT_NULL": (0, 0),
           "NULL": (0, 0), "CONTAINS": (1, 1), "NOT_CONTAINS": (1, 1), "BEGINS_WITH": (1, 1), "IN": (1, 100),
           "BETWEEN": (2, 2)}
_TYPES = dict.fromkeys(("LE", "LT", "GE", "GT", "BETWEEN", "CONTAINS", "NOT_CONTAINS", "IN"), _ORDERED) | {
    "BEGINS_WITH": ("S", "B")}


def expected(given: dict[str, dict], joined_by: str | None) -> Test:
    """The condition that an Expected means. Raises Refusal."""
    if type(given) is Prepared:
        return given.result()
    return _joined([_expected(name, condition) for name, condition in given.items()], joined_by)


def filtered(given: dict[str, dict], joined_by: str | None) -> Test:
    """The condition that a QueryFilter or a ScanFilter means. Raises Refusal."""
    return _joined([_comparison(name, condition["ComparisonOperator"], condition.get("AttributeValueList", []))
                    for name, condition in given.items()], joined_by)


def _joined(tests: list[Test], joined_by: str | None) -> Test:
    if joined_by == "OR":
        return lambda item: any(test(item) for test in tests) if tests else True
    return lambda item: all(test(item) for test in tests)


def _expected(name: str, condition: dict[str, Any]) -> Test:
    values, exists = condition.get("AttributeValueList"), condition.get("Exists")
    how = condition.get("ComparisonOperator")
    if how is not None:
        if exists is not None:
            raise invalid_values(f"Exists and ComparisonOperator cannot be used together for Attribute: {name}")
        if "Value" in condition and values is not None:
            raise invalid_values(f"Value and AttributeValueList cannot be used together for Attribute: {name}")
        if "Value" not in condition and values is None and how not in ("NULL", "NOT_NULL"):
            raise invalid_values(f"Value or AttributeValueList must be used with ComparisonOperator: {how} for "
                                 f"Attribute: {name}")
        return _comparison(name, how, [condition["Value"]] if "Value" in condition else values or [])
    if values is not None:
        raise invalid_values("AttributeValueList can only be used with a ComparisonOperator for Attribute: " + name)
    if exists is False:
        if "Value" in condition:
            raise invalid_values(f"Value cannot be used when Exists is set to false for Attribute: {name}")
        return lambda item: name not in item
    if "Value" not in condition:
        raise invalid_values(f"Value must be provided when Exists is {'null' if exists is None else 'true'} for "
                             f"Attribute: {name}")
    return _comparison(name, "EQ", [condition["Value"]])


def _comparison(name: str, how: str, given: list[Any]) -> Test:
    values, holds = checked_values(how, given), _OPERATORS[how]
    return lambda item: holds(item.get(name), values)


def checked_values(how: str, given: list[Any]) -> list[Value]:
    """The values that a ComparisonOperator compares with. Raises Refusal."""
    fewest, most = _COUNTS[how]
    if not fewest <= len(given) <= most:
        raise invalid_values(f"Invalid number of argument(s) for the {how} ComparisonOperator")
    values = [check(value) for value in given]
    if len(set(map(kind, values))) > 1:
        raise invalid_values("AttributeValues inside AttributeValueList must be of same type")
    for value in values:
        if kind(value) not in _TYPES.get(how, TYPES):
            raise invalid_values(f"ComparisonOperator {how} is not valid for {kind(value)} AttributeValue type")
    if how == "BETWEEN" and ordered(values[0]) > ordered(values[1]):
        raise invalid("The BETWEEN condition was provided a range where the lower bound is greater than the upper "
                      "bound")
    return values


def _same_kind(value: Value | None, other: Value) -> bool:
    return value is not None and kind(value) == kind(other) and kind(value) in _ORDERED


def _compared(value: Value | None, other: Value, holds: Callable) -> bool:
    return value is not None and _same_kind(value, other) and holds(ordered(value), ordered(other))


def _contains(value: Value | None, wanted: Value) -> bool:
    if value is None:
        return False
    (type_, content), = value.items()
    if type_ in SETS:
        return kind(wanted) == type_[0] and wanted[type_[0]] in content
    if type_ == "L":
        return any(equal(member, wanted) for member in content)
    return type_ in ("S", "B") and kind(wanted) == type_ and ordered(wanted) in ordered(value)


_OPERATORS: dict[str, Callable[[Value | None, list[Value]], bool]] = {
    "EQ": lambda value, given: value is not None and equal(value, given[0]),
    "NE": lambda value, given: value is None or not equal(value, given[0]),
    "LE": lambda value, given: _compared(value, given[0], operator.le),
    "LT": lambda value, given: _compared(value, given[0], operator.lt),
    "GE": lambda value, given: _compared(value, given[0], operator.ge),
    "GT": lambda value, given: _compared(value, given[0], operator.gt),
    "NOT_NULL": lambda value, given: value is not None,
    "NULL": lambda value, given: value is None,
    "CONTAINS": lambda value, given: _contains(value, given[0]),
    "NOT_CONTAINS": lambda value, given: value is not None and not _contains(value, given[0]),
    "BEGINS_WITH": lambda value, given: (value is not None and kind(value) == kind(given[0])
                                         and ordered(value).startswith(ordered(given[0]))),
    "IN": lambda value, given: value is not None and any(equal(value, each) for each in given),
    "BETWEEN": lambda value, given: (value is not None and _same_kind(value, given[0])
                                     and ordered(given[0]) <= ordered(value) <= ordered(given[1])),
}


class Update:
    """Raises Refusal if it is not valid."""

    computed = ()  # the attributes whose new values are no constants of the request: none

    def __init__(self, given: dict[str, dict]):
        self._actions: list[tuple[str, str, Value | None]] = []
        for name, update in given.items():
            action = update.get("Action", "PUT")
            if "Value" not in update and action != "DELETE":
                raise invalid_values("Only DELETE action is allowed when no attribute value is specified")
            value = check(update["Value"]) if "Value" in update else None
            if action == "ADD" and value and kind(value) not in ("N", *SETS, "L"):
                raise invalid_values(f"ADD action is not supported for the type {kind(value)}")
            if action == "DELETE" and value and kind(value) not in SETS:
                raise invalid_values(f"DELETE action with value is not supported for the type {kind(value)}")
            self._actions.append((action, name, value))
        self.paths: list[Parts] = [(name,) for name in given]

    def check_key(self, table: Table) -> None:
        """Refuse an update of the key of this table's items."""
        for _, name, _ in self._actions:
            if name in table.key_names:
                raise invalid_values(f"Cannot update attribute {name}. This attribute is part of the key")

    def check_types(self, table: Table) -> None:
        """Refuse an update that no item of this table could take, because of the keys of its indexes."""
        if table.has_indexes():
            table.check_index_types({name: kind(value) for _, name, value in self._actions if value is not None})

    def creates(self) -> bool:
        """Whether the update creates an item that is not there: one that only deletes does not."""
        return any(action != "DELETE" for action, _, _ in self._actions)

    def of(self, before: Item) -> Item:
        """The item after the update. Raises Refusal if the update does not fit the item."""
        after = dict(before)
        for action, name, value in self._actions:
            if value is None:
                after.pop(name, None)
            elif action == "PUT":
                after[name] = value
            elif action == "ADD":
                _add(after, name, value)
            else:
                _delete(after, name, value)
        return after


def updates(given: dict[str, dict]) -> Update:
    """The update that an AttributeUpdates means. Raises Refusal."""
    return given.result() if type(given) is Prepared else Update(given)


def _add(after: Item, name: str, value: Value) -> None:
    old = after.get(name)
    if old is None:
        after[name] = value
    elif kind(old) != kind(value):
        raise invalid("Type mismatch for attribute to update")
    elif "L" in value:
        after[name] = {"L": [*old["L"], *value["L"]]}
    else:
        after[name] = sum_of(old, value)


def _delete(after: Item, name: str, value: Value) -> None:
    old = after.get(name)
    if old is None:
        return
    if kind(old) != kind(value):
        raise invalid("Type mismatch for attribute to update")
    left = without(old, value)
    if left:
        after[name] = left
    else:
        del after[name]
