"""What the names and placeholders of a request's expressions stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gtlab.localcloud.engine.texts import Prepared
from gtlab.localcloud.engine.tree import Path, Placeholder
from gtlab.localcloud.engine.values import ITEM_BYTES, TOO_LARGE, Item, Value, check, item_size, size
from gtlab.localcloud.model import Refusal, invalid

_NAME, _VALUE = re.compile(r"#[A-Za-z0-9_]{1,254}"), re.compile(r":[A-Za-z0-9_]{1,254}")
_LONGEST_NAME = 65_535  # bytes of an attribute's name
_MOST_BYTES = 2 << 20     # of all names and values of a request
Parts = tuple[Any, ...]        # a document path with the real names: strings, and ints for list indexes


class Terms:
    """The names (ExpressionAttributeNames) and values (ExpressionAttributeValues) of one request.

    Raises Refusal if one of them is not valid. Keeps which of them the expressions use, and in ``nested`` the paths of
    more than one part, by kind of expression.
    """

    __slots__ = ("_names", "_unused_names", "_unused_values", "_values", "nested")

    def __init__(self, names: dict[str, str] | None, values: dict[str, Any] | None):
        self._names = _checked_names(names) if names is not None else {}
        self._values = _checked_values(values) if values is not None else {}
        if names is not None or values is not None:
            _check_sizes(self._names, self._values)
        self._unused_names, self._unused_values = set(self._names), set(self._values)
        self.nested: dict[str, list[Parts]] = {}

    def path(self, kind: str, path: Path) -> Parts:
        """A path with the real names. ``kind`` is the expression's, for the refusal of a name that is not defined."""
        parts = path.parts
        if any(type(part) is str and part[0] == "#" for part in parts):
            parts = tuple(self._name(kind, part) if isinstance(part, str) and part[0] == "#" else part
                          for part in parts)
        if len(parts) > 1:
            self.nested.setdefault(kind, []).append(parts)
        return parts

    def _name(self, kind: str, alias: str) -> str:
        name = self._names.get(alias)
        if name is None:
            raise invalid(f"Invalid {kind}: An expression attribute name used in the document path is not defined; "
                          f"attribute name: {alias}")
        self._unused_names.discard(alias)
        return name

    def value(self, kind: str, placeholder: Placeholder) -> Value:
        value = self._values.get(placeholder.name)
        if value is None:
            raise invalid(f"Invalid {kind}: An expression attribute value used in expression is not defined; attribute "
                          f"value: {placeholder.name}")
        self._unused_values.discard(placeholder.name)
        return value

    def check_all_used(self) -> None:
        """Raise Refusal if an expression uses too little. Call it when all of them are compiled."""
        if not self._unused_names and not self._unused_values:  # most requests
            return
        for what, unused in (("Names", self._unused_names), ("Values", self._unused_values)):
            if unused:
                raise invalid(f"Value provided in ExpressionAttribute{what} unused in expressions: keys: "
                              f"{{{', '.join(sorted(unused))}}}")


NO_TERMS = Terms(None, None)  # of the requests that have no expressions


def _checked_names(names: dict[str, str]) -> dict[str, str]:
    if not names:
        raise invalid("ExpressionAttributeNames must not be empty")
    for alias, name in names.items():
        if not _NAME.fullmatch(alias):
            raise invalid(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{alias[:260]}"')
        if not name or len(name.encode()) > _LONGEST_NAME:
            raise invalid(f"ExpressionAttributeNames contains invalid value: The name has to have 1 to {_LONGEST_NAME} "
                          f"bytes for key {alias}")
    return names


def _check_sizes(names: dict[str, str], values: dict[str, Value]) -> None:
    """A value is no larger than an item (as others met it on the service). AWS documents the bound of all together; its
    texts are those of Amazon's client for DAX, which checks what the service does."""
    of_names = sum(len(alias) + len(name.encode()) for alias, name in names.items())
    of_values, too_large = (values.size, values.too_large) if type(values) is Values else _sizes(values)
    if too_large is not None:
        raise invalid(f"ExpressionAttributeValues contains invalid value: {TOO_LARGE} for key {too_large}")
    if of_names + of_values > _MOST_BYTES:
        what = ("ExpressionAttributeNames" if of_names > _MOST_BYTES else
                "ExpressionAttributeValues" if of_values > _MOST_BYTES else
                "Combined size of ExpressionAttributeNames and ExpressionAttributeValues")
        raise invalid(f"{what} exceeds max size")


def _sizes(values: dict[str, Value]) -> tuple[int, str | None]:
    """The bytes of all values, and the first of them that is larger than an item."""
    of_all = item_size(values)
    if of_all <= ITEM_BYTES:
        return of_all, None
    return of_all, next((alias for alias in values if size(values[alias]) > ITEM_BYTES), None)


class Values(dict[str, Value]):
    """The values of a long request, checked and with their sizes, before it is carried out. Raises Refusal."""

    __slots__ = ("size", "too_large")

    def __init__(self, given: dict[str, Any]):
        super().__init__(_checked_values(given))
        self.size, self.too_large = _sizes(self)


def _checked_values(values: dict[str, Any]) -> dict[str, Value]:
    if type(values) is Prepared:
        return values.result()
    if not values:
        raise invalid("ExpressionAttributeValues must not be empty")
    checked = {}
    for name, value in values.items():
        if not _VALUE.fullmatch(name):
            raise invalid(f'ExpressionAttributeValues contains invalid key: Syntax error; key: "{name[:260]}"')
        try:
            checked[name] = check(value)
        except Refusal as refusal:
            if refusal.code == "SerializationException":
                raise
            raise invalid(f"ExpressionAttributeValues contains invalid value: {refusal.message} for key {name}"
                          ) from None
    return checked


def find(item: Item, parts: Parts) -> Value | None:
    """The value at a path; None if there is none."""
    value: Value | None = item.get(parts[0])
    for part in parts[1:]:
        if value is None:
            return None
        if isinstance(part, str):
            value = value["M"].get(part) if "M" in value else None
        else:
            value = value["L"][part] if "L" in value and part < len(value["L"]) else None
    return value


def shown(parts: Iterable[str | int]) -> str:
    """A path as the service's refusals show it."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in parts) + "]"


def check_apart(kind: str, paths: Iterable[Parts]) -> None:
    """Refuse two paths of which one contains the other, or of which one treats as a list what the other treats as a
    map."""
    tree: dict = {}
    ends: dict[int, Parts] = {}  # by the id of a node: the path that ends there
    for path in paths:
        node = tree
        for place, part in enumerate(path):
            if id(node) in ends and place:
                raise _apart(kind, "overlap", ends[id(node)], path)
            if node and place and isinstance(next(iter(node)), int) != isinstance(part, int):
                raise _apart(kind, "conflict", _any_end(node, ends), path)
            node = node.setdefault(part, {})
        if id(node) in ends or node:
            raise _apart(kind, "overlap", ends.get(id(node)) or _any_end(node, ends), path)
        ends[id(node)] = path


def _any_end(node: dict, ends: dict[int, Parts]) -> Parts:
    while id(node) not in ends:
        node = next(iter(node.values()))
    return ends[id(node)]


def _apart(kind: str, how: str, one: Parts, two: Parts) -> Refusal:
    why = (f"Two document paths {how} with each other; must remove or rewrite one of these paths; path one: "
           f"{shown(one)}, path two: {shown(two)}")
    return invalid(f"Invalid {kind}: {why}" if kind else why)
