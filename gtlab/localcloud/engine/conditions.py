"""Conditions: a tree becomes a function from an item to True or False.

What depends on the request alone (types of constants, operands that are the same) is checked when the tree is compiled,
as the service does, so that a refusal does not depend on the items.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

from gtlab.localcloud.engine.terms import Parts, Terms, find, shown
from gtlab.localcloud.engine.tree import (
    Between,
    Both,
    Compare,
    Condition,
    Function,
    In,
    Not,
    Operand,
    Path,
    Placeholder,
    Truth,
    misused,
)
from gtlab.localcloud.engine.values import SETS, TYPES, Item, Value, equal, kind, ordered, size
from gtlab.localcloud.model import Refusal, invalid

Test = Callable[[Item], bool]
Getter = Callable[[Item], Value | None]
_ORDERED = ("S", "N", "B")
_SIMPLE = (*_ORDERED, "BOOL", "NULL")  # values of these types are equal where Python's are
_MANY_LOOKS = 8  # into values: from here on, what is found out about a value is kept while an item is tested
_ANY_TYPE = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"  # of an operand that is no constant, in the service's texts


def compile_condition(name: str, tree: Condition, terms: Terms) -> Test:
    """``name`` is the expression's, such as "ConditionExpression". Raises Refusal."""
    context = _Context(name, terms)
    test = _compile(context, tree)
    if context.looks < _MANY_LOOKS:
        return test
    seen = context.seen = _Seen()

    def of_item(item: Item) -> bool:
        try:
            return test(item)
        finally:
            seen.forget()

    return of_item


def operand_paths(tree: Condition, terms: Terms, name: str) -> list[Parts]:
    """The paths that occur in a condition, in their order."""
    found = list[Parts]()

    def walk(node: Condition | Operand) -> None:
        if isinstance(node, Path):
            found.append(terms.path(name, node))
        elif isinstance(node, Function):
            for argument in node.arguments:
                walk(argument)
        elif isinstance(node, In):
            walk(node.operand)
            for option in node.options:
                walk(option)
        elif isinstance(node, Both | Compare):
            walk(node.left)
            walk(node.right)
        elif isinstance(node, Between):
            walk(node.operand)
            walk(node.low)
            walk(node.high)
        elif isinstance(node, Not):
            walk(node.inner)
        elif isinstance(node, Truth):
            walk(node.condition)

    walk(tree)
    return found


def _refused(name: str, why: str) -> Refusal:
    """The refusal of an expression; PartiQL's WHERE has no ``name`` in it."""
    return invalid(f"Invalid {name}: {why}" if name else why)


class _Inside:
    """What a list contains, prepared for many looks into it. Values of simple types are in ``simple``."""

    __slots__ = ("_documents", "_forms", "_hashes", "simple")

    def __init__(self, content: list[Value]):
        self.simple = {_first(member) for member in content}
        self._documents = [member for member in content if kind(member) not in _SIMPLE]
        self._forms: set[Any] | None = None
        self._hashes: set[int] = set()

    def has_document(self, form: Any, hashed: int) -> bool:
        """Whether a document or a set is a member, by its :func:`_form` and the hash of that."""
        if self._forms is None:
            self._forms = set(map(_form, self._documents))
            self._hashes = set(map(hash, self._forms))
        return hashed in self._hashes and form in self._forms


class _Seen:
    """What has been found out about the values of an item and of the request while a condition is tested on that item:
    a condition may look into the same large value a hundred times. Values are known by their identities."""

    __slots__ = ("_equal", "_forms", "_inside", "_ordered")

    def __init__(self) -> None:
        self._equal: dict[tuple[int, int], bool] = {}
        self._forms: dict[int, tuple[Any, int]] = {}
        self._inside: dict[int, _Inside] = {}
        self._ordered: dict[int, Any] = {}

    def forget(self) -> None:
        """Call this after each item: other values then have the identities of its values."""
        for known in (self._equal, self._forms, self._inside, self._ordered):
            known.clear()

    def equal(self, one: Value, other: Value) -> bool:
        found = self._equal.get((id(one), id(other)))
        if found is None:
            found = self._equal[id(one), id(other)] = equal(one, other)
        return found

    def has(self, whole: Value, wanted: Value) -> bool:
        """Whether a list contains a value."""
        inside = self._inside.get(id(whole))
        if inside is None:
            inside = self._inside[id(whole)] = _Inside(whole["L"])
        if kind(wanted) in _SIMPLE:
            return _first(wanted) in inside.simple
        known = self._forms.get(id(wanted))
        if known is None:
            form = _form(wanted)
            known = self._forms[id(wanted)] = form, hash(form)
        return inside.has_document(*known)

    def ordered(self, value: Value) -> Any:
        found = self._ordered.get(id(value))
        if found is None:
            found = self._ordered[id(value)] = ordered(value)
        return found


def _form(value: Value) -> Any:
    """A value that can be hashed, and is equal to another one's where :func:`equal` says so of both values."""
    (type_, content), = value.items()
    if type_ in SETS:
        return type_, frozenset(content)
    if type_ == "L":
        return type_, tuple(map(_form, content))
    if type_ == "M":
        return type_, frozenset([(name, _form(member)) for name, member in content.items()])
    return type_, content


class _Context:
    """``looks``: how often the condition looks into values. ``seen``: if it does so often."""

    __slots__ = ("_has", "looks", "name", "seen", "terms")

    def __init__(self, name: str, terms: Terms):
        self.name, self.terms, self.looks = name, terms, 0
        self.seen: _Seen | None = None
        self._has: dict[int, Callable[[Value], bool]] = {}

    def has(self, constant: Value) -> Callable[[Value], bool]:
        """Whether a constant contains a value; prepared once, however often the expression names it."""
        found = self._has.get(id(constant))
        if found is None:
            found = self._has[id(constant)] = _has(self, constant)
        return found

    def refused(self, why: str) -> Refusal:
        return _refused(self.name, why)

    def constant(self, operand: Operand) -> Value | None:
        """The operand's value if it is a placeholder."""
        return self.terms.value(self.name, operand) if isinstance(operand, Placeholder) else None

    def wrong_type(self, operator: str, type_: str) -> Refusal:
        return self.refused("Incorrect operand type for operator or function; operator or function: "
                            f"{operator}, operand type: {type_}")

    def check_distinct(self, operator: str, first: Operand, others: tuple[Operand, ...]) -> None:
        if isinstance(first, Path):
            path = self.terms.path(self.name, first)
            if any(isinstance(other, Path) and self.terms.path(self.name, other) == path for other in others):
                raise self.refused("The first operand must be distinct from the remaining operands for this operator "
                                   f"or function; operator: {operator}, first operand: {shown(path)}")


def _compile(context: _Context, tree: Condition) -> Test:
    if isinstance(tree, Both):
        left, right = _compile(context, tree.left), _compile(context, tree.right)
        if tree.operator == "AND":
            return lambda item: left(item) and right(item)
        return lambda item: left(item) or right(item)
    if isinstance(tree, Not):
        inner = _compile(context, tree.inner)
        return lambda item: not inner(item)
    if isinstance(tree, Compare):
        return _comparison(context, tree)
    if isinstance(tree, Between):
        return _between(context, tree)
    if isinstance(tree, In):
        context.check_distinct("IN", tree.operand, tree.options)
        operand = _getter(context, tree.operand)
        constants = [context.constant(option) for option in tree.options]
        if all(constant is not None and kind(constant) in _SIMPLE for constant in constants):
            wanted = {next(iter(constant.items())) for constant in constants if constant is not None}
            return lambda item: _first(operand(item)) in wanted
        options = [_getter(context, option) for option in tree.options]
        context.looks += len(options)

        def is_one_of(item: Item) -> bool:
            value = operand(item)
            return any(_equals(value, option(item), context.seen) for option in options)

        return is_one_of
    return _FUNCTIONS[tree.name](context, tree.arguments)


def _first(value: Value | None) -> tuple[str, Any] | None:
    """The type of a value and its content; None for a document or a set, which cannot be hashed."""
    if value is None:
        return None
    found = next(iter(value.items()))
    return found if found[0] in _SIMPLE else None


def _equals(one: Value | None, other: Value | None, seen: _Seen | None = None) -> bool:
    if one is None or other is None:
        return False
    return equal(one, other) if seen is None or kind(one) in _SIMPLE else seen.equal(one, other)


def _comparison(context: _Context, tree: Compare) -> Test:
    operator = tree.operator
    left, right = _getter(context, tree.left), _getter(context, tree.right)
    context.check_distinct(operator, tree.left, (tree.right,))
    constants = [context.constant(operand) for operand in (tree.left, tree.right)]
    if operator in ("=", "<>"):
        if constants[1] is not None and kind(constants[1]) in _SIMPLE:
            wanted = constants[1]
            return (lambda item: left(item) == wanted) if operator == "=" else lambda item: left(item) != wanted
        context.looks += 1
        if operator == "=":
            return lambda item: _equals(left(item), right(item), context.seen)
        return lambda item: not _equals(left(item), right(item), context.seen)
    for constant in constants:
        if constant is not None and kind(constant) not in _ORDERED:
            raise context.wrong_type(operator, kind(constant))
    holds = _HOLDS[operator]
    one_of, other_of = _rank(context, left, constants[0]), _rank(context, right, constants[1])

    def test(item: Item) -> bool:
        one, other = one_of(item), other_of(item)
        return one is not None and other is not None and one[0] == other[0] and holds(one[1], other[1])

    return test


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


def _rank(context: _Context, value: Getter, constant: Value | None) -> Callable[[Item], tuple[str, Any] | None]:
    """The type of an operand and what sorts like it among values of its type; None for what has no order. Of a constant
    it is computed once, and not for each item of a page."""
    if constant is not None:
        known = _ranked(constant)
        return lambda item: known
    context.looks += 1
    return lambda item: _ranked(value(item), context.seen)


def _ranked(value: Value | None, seen: _Seen | None = None) -> tuple[str, Any] | None:
    if value is None or kind(value) not in _ORDERED:
        return None
    type_ = kind(value)
    return type_, seen.ordered(value) if seen and type_ == "B" else ordered(value)


def _between(context: _Context, tree: Between) -> Test:
    getters = [_getter(context, each) for each in (tree.operand, tree.low, tree.high)]
    context.check_distinct("BETWEEN", tree.operand, (tree.low, tree.high))
    constants = [context.constant(each) for each in (tree.operand, tree.low, tree.high)]
    check_bounds(context.name, constants[1], constants[2])
    rank, low, high = map(_rank, [context] * 3, getters, constants)

    def test(item: Item) -> bool:
        value, lowest, highest = rank(item), low(item), high(item)
        if value is None or lowest is None or highest is None or not value[0] == lowest[0] == highest[0]:
            return False
        return lowest[1] <= value[1] <= highest[1]

    return test


def check_bounds(name: str, low: Value | None, high: Value | None) -> None:
    """Refuse constant bounds of BETWEEN that no value fits."""
    for bound in (low, high):
        if bound is not None and kind(bound) not in _ORDERED:
            raise _refused(name, "Incorrect operand type for operator or function; operator or function: BETWEEN, "
                                 f"operand type: {kind(bound)}")
    if low is None or high is None:
        return
    bounds = f"lower bound operand: {_java(low)}, upper bound operand: {_java(high)}"
    if kind(low) != kind(high):
        raise _refused(name, f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}")
    if ordered(low) > ordered(high):
        raise _refused(name, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
                             f"{bounds}")


def _java(value: Value) -> str:
    (type_, content), = value.items()
    return f"AttributeValue: {{{type_}:{content}}}"


# Operands

def _getter(context: _Context, operand: Operand) -> Getter:
    if isinstance(operand, Path):
        parts = context.terms.path(context.name, operand)
        if len(parts) == 1:
            first = parts[0]
            return lambda item: item.get(first)
        return lambda item: find(item, parts)
    if isinstance(operand, Placeholder):
        value = context.terms.value(context.name, operand)
        return lambda item: value
    if isinstance(operand, Truth):
        test = _compile(context, operand.condition)
        return lambda item: {"BOOL": test(item)}
    assert isinstance(operand, Function)  # the parser takes sums in updates only
    if operand.name != "size":
        raise context.refused("The function is not allowed to be used this way in an expression; function: "
                              f"{misused(operand)}")
    inner, = operand.arguments
    constant = context.constant(inner)
    if constant is not None and _length(constant) is None:
        raise context.wrong_type("size", kind(constant))
    measured = _getter(context, inner)

    def length(item: Item) -> Value | None:
        value = measured(item)
        found = None if value is None else _length(value)
        return None if found is None else {"N": str(found)}

    return length


def _length(value: Value) -> int | None:
    """What size() says: bytes of a string or a binary value, members of a set, a list or a map."""
    (type_, content), = value.items()
    if type_ in ("S", "B"):
        return size(value)
    return len(content) if type_ in (*SETS, "L", "M") else None


# Functions

def _exists(context: _Context, arguments: tuple[Operand, ...]) -> Test:
    value = _getter(context, arguments[0])
    return lambda item: value(item) is not None


def _exists_not(context: _Context, arguments: tuple[Operand, ...]) -> Test:
    value = _getter(context, arguments[0])
    return lambda item: value(item) is None


def _is_of_type(context: _Context, arguments: tuple[Operand, ...]) -> Test:
    wanted = context.constant(arguments[1])
    if wanted is None or kind(wanted) != "S":
        raise context.wrong_type("attribute_type", _ANY_TYPE if wanted is None else kind(wanted))
    name = wanted["S"]
    if name not in TYPES:
        raise context.refused(f"Invalid attribute type name found; type: {name[:100]}, valid types: "
                              "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
    value = _getter(context, arguments[0])
    return lambda item: name in (value(item) or ())


def _begins(context: _Context, arguments: tuple[Operand, ...]) -> Test:
    context.check_distinct("begins_with", arguments[0], arguments[1:])
    for argument in arguments:
        constant = context.constant(argument)
        if constant is not None and kind(constant) not in ("S", "B"):
            raise context.wrong_type("begins_with", kind(constant))
    whole, prefix = (_getter(context, argument) for argument in arguments)
    context.looks += 1

    def test(item: Item) -> bool:
        value, start = whole(item), prefix(item)
        if value is None or start is None or kind(value) != kind(start) or kind(value) not in ("S", "B"):
            return False
        in_order = context.seen.ordered if context.seen else ordered
        return in_order(value).startswith(in_order(start))

    return test


def _contains(context: _Context, arguments: tuple[Operand, ...]) -> Test:
    context.check_distinct("contains", arguments[0], arguments[1:])
    whole, part = (_getter(context, argument) for argument in arguments)
    constant = context.constant(arguments[0])
    context.looks += 1
    if constant is not None:
        has = context.has(constant)
        return lambda item: (wanted := part(item)) is not None and has(wanted)

    def test(item: Item) -> bool:
        value, wanted = whole(item), part(item)
        if value is None or wanted is None:
            return False
        (type_, content), = value.items()
        if type_ == "L":
            if context.seen:
                return context.seen.has(value, wanted)
            type_ = kind(wanted)
            return wanted in content if type_ in _SIMPLE else any(
                type_ in member and equal(member, wanted) for member in content)
        if type_ in SETS:
            return kind(wanted) == type_[0] and wanted[type_[0]] in content
        if type_ in ("S", "B") and kind(wanted) == type_:
            in_order = context.seen.ordered if context.seen else ordered
            return in_order(wanted) in in_order(value)
        return False

    return test


def _has(context: _Context, value: Value) -> Callable[[Value], bool]:
    """Whether a constant contains a value. What takes as long as the constant is long is done once, and not for each
    item of a page."""
    (type_, content), = value.items()
    if type_ == "L":
        simple = {_first(member) for member in content}
        others = [member for member in content if kind(member) not in _SIMPLE]
        return lambda wanted: (_first(wanted) in simple if kind(wanted) in _SIMPLE
                               else context.seen.has(value, wanted) if context.seen
                               else any(equal(member, wanted) for member in others))
    if type_ in SETS:
        members = frozenset(content)
        return lambda wanted: kind(wanted) == type_[0] and wanted[type_[0]] in members
    if type_ in ("S", "B"):
        text = ordered(value)
        return lambda wanted: kind(wanted) == type_ and ordered(wanted) in text
    return lambda wanted: False


_FUNCTIONS: dict[str, Callable[[_Context, tuple[Operand, ...]], Test]] = {
    "attribute_exists": _exists,
    "attribute_not_exists": _exists_not,
    "attribute_type": _is_of_type,
    "begins_with": _begins,
    "contains": _contains,
}
