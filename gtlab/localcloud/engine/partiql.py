"""PartiQL: a statement becomes the same trees as the expressions of the other calls.

Source of the grammar: Amazon DynamoDB Developer Guide, "PartiQL for DynamoDB" (statements, functions, operators, data
types). Recursive descent, linear in the length of the statement, which is at most 8,192 characters.

The texts of refusals are the service's where others have captured them (October 2026), and in its style elsewhere. A
position in them is line, column and length.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine.arguments import wrong_length
from gtlab.localcloud.engine.expressions import MOST_IN
from gtlab.localcloud.engine.terms import Parts, Terms
from gtlab.localcloud.engine.tokens import Token, TokenReader, joined
from gtlab.localcloud.engine.tree import (
    Arithmetic,
    Assignment,
    Between,
    Compare,
    Condition,
    Function,
    In,
    Not,
    Operand,
    Path,
    Placeholder,
)
from gtlab.localcloud.engine.values import SETS, Value, check, kind, not_a_number, number
from gtlab.localcloud.model import Refusal, invalid

LONGEST_STATEMENT = 8192
_DEEPEST = 64
_PARAMETER = functools.partial(number, as_parameter=True)
_TOKEN = re.compile(r"""(?:\s++|--[^\n]*+|/\*(?s:.*?)\*/)*+(?:
    (?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<name>[A-Za-z_][A-Za-z0-9_-]*)
  | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) | (?P<sign><<|>>|<>|!=|<=|>=|[=<>()\[\]{},.:+*?-])
  | (?P<end>;?\s*\Z) )""", re.VERBOSE)
_COMPARATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONDITIONS = {"begins_with": 2, "contains": 2, "attribute_type": 2, "attribute_exists": 1, "attribute_not_exists": 1}
_CLAUSES = frozenset("SELECT FROM WHERE ORDER SET REMOVE RETURNING VALUE GROUP HAVING LIMIT OFFSET JOIN INNER".split())
_TYPES = {"BOOL": "BOOL", "BOOLEAN": "BOOL", "STRING": "S", "NULL": "NULL"}  # after IS
_KEYWORDS = frozenset("""SELECT FROM WHERE AND OR NOT IN IS MISSING NULL BETWEEN ORDER BY ASC DESC INSERT INTO VALUE
UPDATE SET REMOVE RETURNING DELETE EXISTS TRUE FALSE""".split())
_RETURNS = {("ALL", "OLD"): "ALL_OLD", ("ALL", "NEW"): "ALL_NEW", ("MODIFIED", "OLD"): "UPDATED_OLD",
            ("MODIFIED", "NEW"): "UPDATED_NEW"}


class Literals(Terms):
    """The constants of a statement, by the placeholders that stand for them in its trees."""

    __slots__ = ("constants",)

    def __init__(self) -> None:
        super().__init__(None, None)
        self.constants: dict[str, Value] = {}

    def add(self, value: Value) -> Placeholder:
        name = f":{len(self.constants)}"
        self.constants[name] = value
        return Placeholder(name)

    def path(self, kind: str, path: Path) -> Parts:
        return path.parts

    def value(self, kind: str, placeholder: Placeholder) -> Value:
        return self.constants[placeholder.name]


class Select(NamedTuple):
    """``paths``: None for all attributes; each with the name that it has in the answer. ``order``: sort keys, each with
    whether it is descending."""

    table: str
    index_name: str | None
    paths: list[tuple[str, Path]] | None
    where: Condition | None
    order: list[tuple[str, bool]]
    terms: Literals


class Insert(NamedTuple):
    table: str
    item: dict[str, Value]


class Update(NamedTuple):
    table: str
    actions: tuple[Assignment, ...]
    where: Condition
    returns: str
    terms: Literals


class Delete(NamedTuple):
    table: str
    where: Condition
    returns: str
    terms: Literals


class Exists(NamedTuple):
    """The condition of a transaction that an item is there."""

    select: Select


Statement = Select | Insert | Update | Delete | Exists


def parse(text: str, parameters: list[Any] | None) -> Statement:
    """A statement with the values of its parameters (``?``). Raises Refusal."""
    return _parse(text, msgspec.msgpack.encode(parameters or []))


@functools.lru_cache(maxsize=8)  # a request's statement is parsed for its tables, for its items, and to carry it out
def _parse(text: str, parameters: bytes) -> Statement:
    if not text.strip():
        raise invalid("1 validation error detected: Value '' at 'statement' failed to satisfy constraint: Member must "
                      "have length greater than or equal to 1")
    if len(text) > LONGEST_STATEMENT:
        raise wrong_length("statement", f"less than or equal to {LONGEST_STATEMENT}")
    reader = _Reader(text, msgspec.msgpack.decode(parameters))
    statement = _statement(reader)
    if reader.next.kind != "end":
        raise reader.left_over()
    reader.check_parameters()
    return statement


class _Reader(TokenReader):
    pattern, deepest = _TOKEN, _DEEPEST

    def __init__(self, text: str, parameters: list[Any]):
        self._used, self._parameters, self.terms = 0, parameters, Literals()
        super().__init__(text)

    def unreadable(self, at: int) -> Refusal:
        return self.refused("")

    def left_over(self) -> Refusal:
        return self.refused("Unexpected token after expression")

    def position(self, token: Token) -> str:
        """Where a token is, as a refusal says it."""
        line_begins = self.text.rfind("\n", 0, token.at) + 1
        return f"{self.text.count(chr(10), 0, token.at) + 1}:{token.at - line_begins + 1}:{len(token.text)}"

    def is_call(self) -> bool:
        """Whether a function comes next."""
        return self.next.kind == "name" and self.following.text == "("

    def number(self, text: str, place: str) -> Value:
        """A number that the statement has, in a value's ``place``."""
        try:
            return {"N": number(text, as_parameter=True)}
        except Refusal as refusal:
            if refusal.message == not_a_number(text).message:
                raise self.refused("") from None
            raise invalid(f"{refusal.message} under {place}") from None

    def unexpected(self) -> Refusal:
        shown = self.next.text.strip()[:50] or "the end"
        return self.refused(f"unexpected {shown} at position {self.next.at + 1}")

    def too_deep(self) -> Refusal:
        return self.refused("it is nested too deeply")

    def refused(self, why: str) -> Refusal:
        return invalid(f"Statement wasn't well formed, can't be processed: {why}")

    def parameter(self) -> Value:
        if self._used >= len(self._parameters):
            raise self.refused("there are fewer parameters than question marks")
        self._used += 1
        return check(self._parameters[self._used - 1], number=_PARAMETER)

    def check_parameters(self) -> None:
        if self._used < len(self._parameters):
            raise self.refused("there are more parameters than question marks")


# Statements

def _statement(reader: _Reader) -> Statement:
    if reader.is_next("SELECT"):
        return _select(reader)
    if reader.took("INSERT"):
        reader.skip("INTO")
        table = _name(reader)
        if not reader.took("VALUE"):
            raise reader.left_over()
        return Insert(table, _inserted(reader))
    if reader.took("UPDATE"):
        table = _table(reader)
        actions = _actions(reader)
        return Update(table, actions, _where(reader), _returning(reader, tuple(_RETURNS.values())), reader.terms)
    if reader.took("FROM"):
        table, where = _table(reader), _where(reader)
        return Update(table, _actions(reader), where, _returning(reader, tuple(_RETURNS.values())), reader.terms)
    if reader.took("DELETE"):
        reader.skip("FROM")
        table = _table(reader)
        return Delete(table, _where(reader), _returning(reader, ("ALL_OLD",)), reader.terms)
    if reader.took("EXISTS"):
        reader.skip("(")
        exists = Exists(_select(reader))
        reader.skip(")")
        return exists
    raise reader.unexpected()


def _inserted(reader: _Reader) -> dict[str, Value]:
    """The item of an INSERT: a tuple, or a parameter that is a map."""
    if reader.took("{"):
        return _members(reader, None)
    value = _constant(reader)
    if value is None or kind(value) != "M":
        raise reader.refused("VALUE needs a tuple, such as {'name': 'value'}")
    return value["M"]


def _table(reader: _Reader) -> str:
    """The name of a table. Raises Refusal if the statement has an alias for it."""
    name = _name(reader)
    if reader.next.text != ".":
        _check_no_alias(reader)
    return name


def _check_no_alias(reader: _Reader) -> None:
    if reader.next.kind in ("name", "quoted") and reader.next.text.upper() not in _CLAUSES:
        raise invalid("Aliasing is not supported")


def _select(reader: _Reader) -> Select:
    reader.skip("SELECT")
    paths: list[tuple[str, Path]] | None = None
    if not reader.took("*"):
        paths = [_shown(reader)]
        while reader.took(","):
            paths.append(_shown(reader))
    reader.skip("FROM")
    table, index = _table(reader), None
    if reader.took("."):
        index = _name(reader)
        _check_no_alias(reader)
    where = None
    if reader.took("WHERE"):
        where = _either(reader)
    order = []
    if reader.took("ORDER"):
        reader.skip("BY")
        order.append(_ordered(reader))
        while reader.took(","):
            order.append(_ordered(reader))
    _check_not_by_table(reader, table, paths)
    return Select(table, index, paths, where, order, reader.terms)


def _check_not_by_table(reader: _Reader, table: str, paths: list[tuple[str, Path]] | None) -> None:
    """Refuse a table's name before an attribute, as in SQL: here it would be an attribute of that name."""
    for _, path in paths or ():
        if path.parts[0] == table and len(path.parts) > 1:
            raise reader.refused(f"attributes are named without their table: {table}")


def _shown(reader: _Reader) -> tuple[str, Path]:
    if reader.is_call():
        raise invalid(f"Unexpected path component at {reader.position(reader.next)}")
    path = _path(reader)
    names = [part for part in path.parts if isinstance(part, str)]
    return names[-1], path


def _ordered(reader: _Reader) -> tuple[str, bool]:
    name = _name(reader)
    if reader.took("DESC"):
        return name, True
    reader.took("ASC")
    return name, False


def _actions(reader: _Reader) -> tuple[Assignment, ...]:
    actions = list[Assignment]()
    while reader.is_next("SET", "REMOVE"):
        section = reader.take().text.upper()
        actions.append(_action(reader, section))
        while reader.took(","):
            actions.append(_action(reader, section))
    if not actions:
        raise reader.unexpected()
    return tuple(actions)


def _action(reader: _Reader, section: str) -> Assignment:
    path = _path(reader)
    if section == "REMOVE":
        return Assignment(section, path, None)
    reader.skip("=")
    if reader.next.kind == "name" and reader.next.text.lower() in ("set_add", "set_delete"):
        return _set_action(reader, path)
    return Assignment(section, path, _sum(reader))


def _set_action(reader: _Reader, path: Path) -> Assignment:
    name = reader.take()
    shown = name.text.upper()
    reader.skip("(")
    first, arguments = reader.next, _arguments(reader)
    if len(arguments) != 2:
        raise invalid(f"{shown} must have exactly two arguments at {reader.position(name)}")
    if arguments[0] != path:
        raise invalid(f"The first argument to {shown} must equal the assignment value at {reader.position(name)}")
    value = arguments[1]
    if not isinstance(value, Placeholder) or kind(reader.terms.constants[value.name]) not in SETS:
        raise invalid(f"The second argument to {shown} must be a value with type SET at {reader.position(first)}")
    return Assignment("ADD" if shown == "SET_ADD" else "DELETE", path, value)


def _arguments(reader: _Reader) -> list[Operand]:
    """The arguments of a function, up to the parenthesis that closes it."""
    arguments = list[Operand]()
    while not reader.took(")"):
        if arguments:
            reader.skip(",")
        arguments.append(_operand(reader))
    return arguments


def _where(reader: _Reader) -> Condition:
    reader.skip("WHERE")
    return _either(reader)


def _returning(reader: _Reader, allowed: tuple[str, ...]) -> str:
    if not reader.took("RETURNING"):
        return "NONE"
    words = (reader.take().text.upper(), reader.take().text.upper())
    reader.skip("*")
    returns = _RETURNS.get(words, "")
    if returns not in allowed:
        raise reader.refused(f"RETURNING {' '.join(words)} * cannot be used here")
    return returns


# Conditions, the operator that binds least first

def _either(reader: _Reader) -> Condition:
    return joined(reader, "OR", _all)


def _all(reader: _Reader) -> Condition:
    return joined(reader, "AND", _negated)


def _negated(reader: _Reader) -> Condition:
    if reader.took("NOT"):
        reader.nest(+1)
        inner = _negated(reader)
        reader.nest(-1)
        return Not(inner)
    return _single(reader)


def _single(reader: _Reader) -> Condition:
    if reader.is_next("("):
        return reader.in_parentheses(_either)
    name = reader.next.text.lower()
    if reader.is_call() and name in _CONDITIONS:
        return _is_true(reader, _function(reader, name, _CONDITIONS[name]))
    operand = _operand(reader)
    if reader.next.kind == "sign" and reader.next.text in _COMPARATORS:
        operator = _COMPARATORS[reader.take().text]
        return Compare(operator, operand, _operand(reader))
    if reader.took("IS"):
        return _is(reader, operand)
    negated = reader.took("NOT")
    if reader.took("BETWEEN"):
        low = _operand(reader)
        reader.skip("AND")
        found: Condition = Between(operand, low, _operand(reader))
    elif reader.took("IN"):
        found = In(operand, _options(reader))
    else:
        raise reader.unexpected()
    return Not(found) if negated else found


def _is_true(reader: _Reader, test: Condition) -> Condition:
    """A function, which may be compared with true or false."""
    if not reader.is_next("=", "<>", "!="):
        return test
    is_equal = reader.take().text == "="
    value = _constant(reader)
    if value is None or "BOOL" not in value:
        raise reader.refused("a function is compared with true or false")
    return test if value["BOOL"] is is_equal else Not(test)


def _is(reader: _Reader, operand: Operand) -> Condition:
    negated = reader.took("NOT")
    if not isinstance(operand, Path):
        raise reader.refused("IS needs an attribute before it")
    if reader.took("MISSING"):
        return Function("attribute_exists" if negated else "attribute_not_exists", (operand,))
    type_ = _TYPES.get(reader.next.text.upper()) if reader.next.kind == "name" else None
    if type_ is None:
        raise reader.unexpected()
    reader.take()
    test = Function("attribute_type", (operand, reader.terms.add({"S": type_})))
    return Not(test) if negated else test


def _options(reader: _Reader) -> tuple[Operand, ...]:
    if not reader.is_next("(", "["):
        raise reader.unexpected()
    end = ")" if reader.take().text == "(" else "]"
    options = [_operand(reader)]
    while reader.took(","):
        options.append(_operand(reader))
    reader.skip(end)
    if len(options) > MOST_IN:
        raise reader.refused(f"IN takes at most {MOST_IN} values")
    return tuple(options)


def _function(reader: _Reader, name: str, count: int) -> Function:
    reader.skip(reader.next.text.upper(), "(")
    arguments = _arguments(reader)
    if len(arguments) != count:
        raise invalid("Incorrect number of operands for operator or function; operator or function: "
                      f"{name}, number of operands: {len(arguments)}")
    if name in ("attribute_exists", "attribute_not_exists") and not isinstance(arguments[0], Path):
        raise invalid(f"Operator or function requires a document path; operator or function: {name}")
    return Function(name, tuple(arguments))


# Operands and constants

def _operand(reader: _Reader) -> Operand:
    if reader.next.kind == "end":
        raise reader.refused("Unexpected term")
    if reader.is_call() and reader.next.text.lower() == "size":
        return _function(reader, "size", 1)
    if reader.is_call() and reader.next.text.upper() not in ("IN", "NOT", "AND", "OR"):
        raise invalid(f"Unrecognized function: {reader.next.text.lower()} at {reader.position(reader.next)}")
    value = _constant(reader)
    return _path(reader) if value is None else reader.terms.add(value)


def _sum(reader: _Reader) -> Operand:
    left = _term(reader)
    if reader.is_next("+", "-"):
        operator = reader.take().text
        return Arithmetic(operator, left, _term(reader))
    return left


def _term(reader: _Reader) -> Operand:
    name = reader.next.text.lower()
    if reader.next.kind == "name" and name in ("list_append", "if_not_exists") and reader.following.text == "(":
        reader.take()
        reader.skip("(")
        reader.nest(+1)
        first = _sum(reader)
        reader.skip(",")
        second = _sum(reader)
        reader.skip(")")
        reader.nest(-1)
        if name == "if_not_exists" and not isinstance(first, Path):
            raise reader.refused("if_not_exists takes an attribute first")
        return Function(name, (first, second))
    value = _constant(reader)
    return _path(reader) if value is None else reader.terms.add(value)


def _constant(reader: _Reader, place: str = "root") -> Value | None:
    """A literal or a parameter; None if there is neither. ``place``: where it is in the value of an attribute."""
    token = reader.next
    if token.kind == "string":
        reader.take()
        return {"S": token.text[1:-1].replace("''", "'")}
    if token.kind == "number":
        reader.take()
        return reader.number(token.text, place)
    if token.kind == "name" and token.text.upper() in ("TRUE", "FALSE", "NULL"):
        word = reader.take().text.upper()
        return {"NULL": True} if word == "NULL" else {"BOOL": word == "TRUE"}
    if reader.took("?"):
        return reader.parameter()
    if reader.is_next("-", "+") and reader.following.kind == "number":
        sign = reader.take().text
        return reader.number(sign + reader.take().text, place)
    if reader.is_next("[", "{", "<<"):
        reader.nest(+1)
        found = _document(reader, place)
        reader.nest(-1)
        return found
    return None


def _document(reader: _Reader, place: str) -> Value:
    opened = reader.take().text
    if opened == "{":
        return check({"M": _members(reader, place)})
    end, members_of_list = ("]" if opened == "[" else ">>"), list[Value]()
    while not reader.took(end):
        if members_of_list:
            reader.skip(",")
        members_of_list.append(_member(reader, f"{place}[{len(members_of_list)}]"))
    if opened == "[":
        return check({"L": members_of_list})
    if not members_of_list:
        raise invalid("Empty bags are not supported")
    kinds = {kind(member) for member in members_of_list}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise reader.refused("a set has at least one member, and all of them are strings, numbers or binary values")
    type_ = kinds.pop()
    return check({type_ + "S": [member[type_] for member in members_of_list]})


def _members(reader: _Reader, place: str | None) -> dict[str, Value]:
    """The members of a tuple up to its end; of an item if there is no ``place``."""
    members: dict[str, Value] = {}
    while not reader.took("}"):
        if members:
            reader.skip(",")
        if reader.next.kind not in ("string", "quoted"):
            raise reader.unexpected()
        token = reader.take()
        name = token.text[1:-1].replace(token.text[0] * 2, token.text[0])
        reader.skip(":")
        if name in members:
            raise reader.refused(f"{name[:100]} occurs twice")
        members[name] = _member(reader, "root" if place is None else f"{place}.{name}")
    return members


def _member(reader: _Reader, place: str) -> Value:
    if reader.is_call():
        raise invalid(f"Unsupported data type: {reader.next.text.lower()} under key {place} at "
                      f"{reader.position(reader.next)}")
    value = _constant(reader, place)
    if value is None:
        raise reader.unexpected()
    return value


def _path(reader: _Reader) -> Path:
    parts: list[str | int] = [_name(reader)]
    while reader.is_next(".", "["):
        if reader.take().text == ".":
            parts.append(_name(reader))
            continue
        token = reader.take()
        if token.kind != "number" or not token.text.isdigit():
            raise reader.refused(f"a list index has to be a number at position {token.at + 1}")
        parts.append(int(token.text[:10]))
        reader.skip("]")
    if len(parts) > _DEEPEST:
        raise reader.refused("a path has too many parts")
    return Path(tuple(parts))


def _name(reader: _Reader) -> str:
    token = reader.next
    if token.kind == "quoted":
        reader.take()
        return token.text[1:-1].replace('""', '"')
    if token.kind != "name" or token.text.upper() in _KEYWORDS:
        raise reader.unexpected()
    return reader.take().text
