"""Updates: a tree becomes a function from an item to the item after the update.

Every right-hand side sees the item as it was before the update, and list indexes count in the list as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from gtlab.localcloud.engine.expressions import UPDATE
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.engine.terms import Parts, Terms, check_apart, find
from gtlab.localcloud.engine.tree import Arithmetic, Assignment, Function, Operand, Path, Placeholder
from gtlab.localcloud.engine.values import ITEM_BYTES, SETS, Item, Value, in_order, kind, number
from gtlab.localcloud.model import Refusal, invalid, invalid_values

_EXACT = Context(prec=400)  # enough for any sum of two numbers; values.number then checks the digits
_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_MISSING = "The provided expression refers to an attribute that does not exist in the item"
_NO_PLACE = "The document path provided in the update expression is invalid for update"
TOO_LARGE_UPDATE = "Item size to update has exceeded the maximum allowed size"
_LONG_NAMES = {"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL", "L": "LIST", "M": "MAP",
               "SS": "STRING_SET", "NS": "NUMBER_SET", "BS": "BINARY_SET"}
_Source = Callable[[Item], Value]


class Update:
    """Raises Refusal if the tree is not valid with these terms."""

    __slots__ = ("_actions", "_kinds", "_nested", "computed", "paths")

    def __init__(self, tree: tuple[Assignment, ...], terms: Terms, name: str = UPDATE):
        """``name``: of the expression, for refusals; PartiQL has none."""
        self.paths: list[Parts] = [terms.path(UPDATE, action.path) for action in tree]
        check_apart(name, self.paths)
        try:
            sources = [_source(action, terms) for action in tree]
        except Refusal as refusal:
            raise refusal if name else invalid(refusal.message.removeprefix(f"Invalid {UPDATE}: ")) from None
        self._actions = [(action.section, path, source)
                         for action, path, source in zip(tree, self.paths, sources, strict=True)]
        # The attributes whose new values are no constants of the request.
        self.computed = {path[0] for action, path in zip(tree, self.paths, strict=True)
                         if action.value is not None and not isinstance(action.value, Placeholder)}
        # In the order of list indexes: values beyond the end of a list are appended in this order.
        self._actions.sort(key=lambda action: _place(action[1]))
        self._nested = terms.nested.get(UPDATE, ())
        kinds = ((path[0], _known_kind(action.value, terms)) for action, path in zip(tree, self.paths, strict=True)
                 if len(path) == 1)
        self._kinds = {name: found for name, found in kinds if found is not None}

    def check_key(self, table: Table) -> None:
        """Refuse an update of the key of this table's items."""
        for path in self.paths:
            if path[0] in table.key_names:
                raise invalid_values(f"Cannot update attribute {path[0]}. This attribute is part of the key")

    def check_types(self, table: Table) -> None:
        """Refuse an update that no item of this table could take, because of the keys of its indexes."""
        if self._kinds and table.has_indexes():
            table.check_index_types(self._kinds)
        if self._nested:
            table.check_scalars(self._nested)

    def creates(self) -> bool:
        """Whether the update creates an item that is not there: one that only removes does not."""
        return not self._actions or any(section in ("SET", "ADD") for section, _, _ in self._actions)

    def of(self, before: Item) -> Item:
        """The item after the update; ``before`` is not changed. Raises Refusal if the update does not fit the item."""
        after = dict(before)
        opened = dict[Parts, Value]()
        for path in self.paths:
            if len(path) > 1 and path[0] in after:
                _open(after, path, opened)
        removed: list[Parts] = []
        values = self._values(before)
        for (section, path, _), value in zip(self._actions, values, strict=True):
            new = value if section == "SET" else _changed(before, section, path, value)
            if new is None:
                removed.append(path)
            else:
                _put(after, path, new)
        for path in reversed(removed):  # the elements of a list from the last to the first
            _remove(after, path)
        return after

    def _values(self, before: Item) -> list[Value | None]:
        """The value of each action. Raises Refusal as soon as they are too many for any item: to count the bytes of
        what list_append makes of megabytes, a hundred times, would take minutes."""
        values, members = list[Value | None](), 0
        for section, _, source in self._actions:
            value = source(before) if source else None
            values.append(value)
            if value is not None and section != "DELETE":
                content = value[kind(value)]
                members += len(content) if isinstance(content, list | dict) else 0
                if members > ITEM_BYTES + len(self._actions):  # each has a byte at least, but for an empty one of a set
                    raise invalid(TOO_LARGE_UPDATE)
        return values


def _place(path: Parts) -> int:
    return path[-1] if isinstance(path[-1], int) else -1


def _changed(before: Item, section: str, path: Parts, value: Value | None) -> Value | None:
    """What an ADD, a DELETE or a REMOVE makes of the value at a path; None if nothing is left of it."""
    old = find(before, path)
    if value is None or (section == "DELETE" and old is None):
        return None
    if old is None:
        return value
    if section == "ADD":
        return sum_of(old, value)
    if kind(old) != kind(value):
        raise invalid(_WRONG_TYPE)
    return without(old, value)


def without(old: Value, value: Value) -> Value | None:
    """A set without the members of another one of its type; None if nothing is left: there are no empty sets."""
    gone = set(value[kind(value)])
    left = [member for member in old[kind(old)] if member not in gone]
    return {kind(old): left} if left else None


def sum_of(old: Value, value: Value) -> Value:
    """The sum of two numbers, or the union of two sets. Raises Refusal if their types differ."""
    if kind(old) != kind(value):
        raise invalid(_WRONG_TYPE)
    if "N" in value:
        return {"N": add(old["N"], value["N"])}
    return {kind(old): in_order(kind(old), list({*old[kind(old)], *value[kind(value)]}))}


def add(one: str, other: str, *, minus: bool = False) -> str:
    """The sum of two numbers, or their difference. Raises Refusal if it cannot be stored."""
    if len(one) < 16 and len(other) < 16 and "." not in one and "." not in other:
        return str(int(one) - int(other) if minus else int(one) + int(other))
    left, right = Decimal(one), Decimal(other)
    return number(str(_EXACT.subtract(left, right) if minus else _EXACT.add(left, right)))


# Places in an item

def _open(item: Item, path: Parts, opened: dict[Parts, Value]) -> None:
    """Copy the documents on the way to a place, and nothing beside it, so that they can be changed. ``opened``: those
    that have been copied, by their paths. Stops where there is no such place: who changes it refuses that."""
    holder: Any = item
    for depth, place in enumerate(path[:-1], 1):
        value = opened.get(path[:depth])
        if value is None:
            if isinstance(place, str) == isinstance(holder, list):  # a name in a list, or a number in a map
                return
            found = holder.get(place) if isinstance(place, str) else holder[place] if place < len(holder) else None
            if found is None or kind(found) not in ("L", "M"):
                return
            value = holder[place] = opened[path[:depth]] = {kind(found): copy.copy(found[kind(found)])}
        holder = value[kind(value)]


def _container(item: Item, path: Parts) -> Value:
    """The list or map that holds the last part of a path."""
    inner = find(item, path[:-1])
    if inner is None or ("M" if isinstance(path[-1], str) else "L") not in inner:
        raise invalid(_NO_PLACE)
    return inner


def _put(item: Item, path: Parts, value: Value) -> None:
    last = path[-1]
    if len(path) == 1:
        item[last] = value
        return
    inner = _container(item, path)
    if isinstance(last, str):
        inner["M"][last] = value
    elif last < len(inner["L"]):
        inner["L"][last] = value
    else:
        inner["L"].append(value)


def _remove(item: Item, path: Parts) -> None:
    last = path[-1]
    if len(path) == 1:
        item.pop(last, None)
        return
    inner = _container(item, path)
    if isinstance(last, str):
        inner["M"].pop(last, None)
    elif last < len(inner["L"]):
        del inner["L"][last]


# Right-hand sides

def _source(action: Assignment, terms: Terms) -> _Source | None:
    if action.value is None:
        return None
    if action.section in ("ADD", "DELETE"):
        assert isinstance(action.value, Placeholder)  # the parser takes nothing else
        value = terms.value(UPDATE, action.value)
        allowed = SETS if action.section == "DELETE" else (*SETS, "N")
        if kind(value) not in allowed:
            raise _refused(f"Incorrect operand type for operator or function; operator: {action.section}, operand "
                           f"type: {_LONG_NAMES[kind(value)]}, typeSet: ALLOWED_FOR_{action.section}_OPERAND")
        return lambda item: value
    return _compile(action.value, terms)


def _compile(operand: Operand, terms: Terms) -> _Source:
    if isinstance(operand, Placeholder):
        value = terms.value(UPDATE, operand)
        return lambda item: value
    if isinstance(operand, Path):
        path = terms.path(UPDATE, operand)

        def read(item: Item) -> Value:
            found = find(item, path)
            if found is None:
                raise invalid(_MISSING)
            return found

        return read
    if isinstance(operand, Arithmetic):
        return _arithmetic(operand, terms)
    assert isinstance(operand, Function)
    first, second = operand.arguments
    if operand.name == "if_not_exists":
        assert isinstance(first, Path)  # the parser takes nothing else
        path, otherwise = terms.path(UPDATE, first), _compile(second, terms)
        return lambda item: find(item, path) or otherwise(item)
    left, right = _compile(first, terms), _compile(second, terms)
    for argument in operand.arguments:
        _check_type("list_append", argument, "L", terms)

    def appended(item: Item) -> Value:
        one, other = left(item), right(item)
        if "L" not in one or "L" not in other:
            raise invalid(_WRONG_TYPE)
        return {"L": [*one["L"], *other["L"]]}

    return appended


def _arithmetic(operand: Arithmetic, terms: Terms) -> _Source:
    left, right, minus = _compile(operand.left, terms), _compile(operand.right, terms), operand.operator == "-"
    for side in (operand.left, operand.right):
        _check_type(operand.operator, side, "N", terms)

    def total(item: Item) -> Value:
        one, other = left(item), right(item)
        if "N" not in one or "N" not in other:
            raise invalid(_WRONG_TYPE)
        return {"N": add(one["N"], other["N"], minus=minus)}

    return total


def _known_kind(operand: Operand | None, terms: Terms) -> str | None:
    """The type of a right-hand side, if it does not depend on the item."""
    if isinstance(operand, Placeholder):
        return kind(terms.value(UPDATE, operand))
    if isinstance(operand, Arithmetic):
        return "N"
    if isinstance(operand, Function):
        return "L" if operand.name == "list_append" else _known_kind(operand.arguments[1], terms)
    return None


def _check_type(operator: str, operand: Operand, wanted: str, terms: Terms) -> None:
    """Refuse a constant of another type."""
    if isinstance(operand, Placeholder):
        value = terms.value(UPDATE, operand)
        if kind(value) != wanted:
            raise _refused("Incorrect operand type for operator or function; operator or function: "
                           f"{operator}, operand type: {kind(value)}")


def _refused(why: str) -> Refusal:
    return invalid(f"Invalid {UPDATE}: {why}")
