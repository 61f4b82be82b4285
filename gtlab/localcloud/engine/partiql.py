"""PartiQL: a statement becomes the same trees as the expressions of the other calls.

Sources of the grammar: Amazon DynamoDB Developer Guide, "PartiQL for DynamoDB" (statements, functions, operators, data
types), and the parser of PartiQL's reference implementation, whose texts the service's refusals have. Recursive
descent, linear in the length of the statement, which is at most 8,192 characters.

The texts of refusals are the service's where others have captured them (September and October 2026), and in its style
elsewhere. A position in them is line, column and length.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine.expressions import MOST_IN
from gtlab.localcloud.engine.partiql_words import KEYWORDS, OPERATORS, TYPE_NAMES, TYPES_OF_TWO_WORDS
from gtlab.localcloud.engine.terms import Parts, Terms
from gtlab.localcloud.engine.texts import MOST_KEPT, Prepared, kept
from gtlab.localcloud.engine.tokens import Token, TokenReader, joined
from gtlab.localcloud.engine.tree import (
    Arithmetic,
    Assignment,
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
)
from gtlab.localcloud.engine.values import SETS, Value, check, kind, not_a_number, number
from gtlab.localcloud.model import Refusal, invalid, invalid_values

_DEEPEST = 64        # parentheses and functions
_MOST_LEVELS = 31    # of lists and maps in a literal
_LARGEST_INDEX = (1 << 31) - 1
_encode = msgspec.msgpack.Encoder().encode
_PARAMETER = functools.partial(number, as_parameter=True)
_SPACE = r"\s++|--[^\n]*+|/\*(?s:.*?)\*/"
_TOKEN = re.compile(rf"""(?:{_SPACE})*+(?:
    (?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<sign><<|>>|<>|!=|<=|>=|[=<>()\[\]{{}},.:+*?-])
  | (?P<end>;?(?:{_SPACE})*+\Z) )""", re.VERBOSE)
_COMPARATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONDITIONS = {"begins_with": 2, "contains": 2, "attribute_type": 2, "attribute_exists": 1, "attribute_not_exists": 1}
_CLAUSES = frozenset("SELECT FROM WHERE ORDER SET REMOVE RETURNING VALUE GROUP HAVING LIMIT OFFSET JOIN INNER".split())
_TYPES = {"BOOL": "BOOL", "BOOLEAN": "BOOL", "STRING": "S", "NULL": "NULL"}  # after IS
_RETURNS = {("ALL", "OLD"): "ALL_OLD", ("ALL", "NEW"): "ALL_NEW", ("MODIFIED", "OLD"): "UPDATED_OLD",
            ("MODIFIED", "NEW"): "UPDATED_NEW"}
_NO_RIGHT_SIDE = "Missing right-hand side expression of infix operator"
_NO_OPERATION = "Expected data manipulation"
_NO_IDENTIFIER = "Expected identifier for simple path"


class Literals(Terms):
    """The constants of a statement, by the placeholders that stand for them in its trees. ``equal``: the attributes
    that its WHERE asks to be equal to constants, with these, once somebody has looked."""

    __slots__ = ("constants", "equal")

    def __init__(self) -> None:
        super().__init__(None, None)
        self.constants: dict[str, Value] = {}
        self.equal: dict[str, list[Value]] | None = None

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
    whether it is descending. ``fault``: the refusal of what is selected, which comes after that of the index."""

    table: str
    index_name: str | None
    paths: list[tuple[str, Path]] | None
    where: Condition | None
    order: list[tuple[str, bool]]
    terms: Literals
    fault: Refusal | None = None


class Insert(NamedTuple):
    table: str
    item: dict[str, Value]


class Update(NamedTuple):
    table: str
    actions: tuple[Assignment, ...]
    where: Condition | None
    returns: str
    terms: Literals


class Delete(NamedTuple):
    table: str
    where: Condition | None
    returns: str
    terms: Literals


class Exists(NamedTuple):
    """The condition of a transaction that an item is there."""

    select: Select


Statement = Select | Insert | Update | Delete | Exists


def table_of(statement: Statement) -> str:
    return statement.select.table if isinstance(statement, Exists) else statement.table


class Known:
    """What was read of a statement with its parameters; ``prepared``: what others make of it, or why they refuse it."""

    __slots__ = ("_is_parameter", "_read", "prepared")

    def __init__(self, read: Statement | Refusal, *, is_parameter: bool = False):
        self._read, self._is_parameter = read, is_parameter
        self.prepared: Any = None

    @property
    def statement(self) -> Statement:
        """Raises Refusal if it is not valid."""
        if isinstance(self._read, Refusal):
            raise self._read.with_traceback(None)  # without the frames that it has seen
        return self._read

    def check_parameters(self) -> None:
        """Raise Refusal if a parameter is refused: the service reads them before the statement."""
        if self._is_parameter:
            _ = self.statement


def known(part: dict[str, Any]) -> Known:
    """What a request, or a part of it, says: its Statement with its Parameters. A request is read for its tables, for
    its items, and to carry it out, so the last ones are kept."""
    if type(part) is Prepared:
        return part.result()
    text, given = part["Statement"], _encode(part.get("Parameters"))
    return _known(text, given) if len(text) + len(given) <= MOST_KEPT else read(part)


def read(part: dict[str, Any]) -> Known:
    """The same, read again."""
    try:
        values = [check(value, number=_PARAMETER) for value in part.get("Parameters") or ()]
    except Refusal as refusal:
        return Known(refusal.with_traceback(None), is_parameter=True)
    try:
        return Known(_parsed(part["Statement"], values))
    except Refusal as refusal:
        return Known(refusal.with_traceback(None))


@kept(128)
def _known(text: str, given: bytes) -> Known:
    return read({"Statement": text, "Parameters": msgspec.msgpack.decode(given)})


def _parsed(text: str, values: list[Value]) -> Statement:
    """A statement with the values of its parameters (``?``). Raises Refusal."""
    reader = _Reader(text, values, _tokens(text))
    statement = _statement(reader)
    if reader.next.kind != "end":
        raise reader.left_over()
    reader.check_parameters()
    return statement


class _Reader(TokenReader):
    pattern, deepest = _TOKEN, _DEEPEST

    def __init__(self, text: str, parameters: list[Value], tokens: list[Token] | None = None):
        self._used, self._parameters, self.terms = 0, parameters, Literals()
        super().__init__(text, tokens)

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

    def is_keyword(self) -> bool:
        """Whether a word comes next that is no name."""
        return self.next.kind == "name" and self.next.text.upper() in KEYWORDS

    def number(self, text: str, spot: _Spot) -> Value:
        """A number that the statement has."""
        try:
            return {"N": number(text, as_parameter=True)}
        except Refusal as refusal:
            if refusal.message == not_a_number(text).message:
                raise self.refused("") from None
            raise invalid(f"{refusal.message} under {spot.text}") from None

    def unexpected(self) -> Refusal:
        shown = self.next.text.strip()[:50] or "the end"
        return self.refused(f"unexpected {shown} at position {self.next.at + 1}")

    def no_term(self) -> Refusal:
        """The refusal of what comes next where an operand has to begin."""
        token = self.next
        word = token.text.upper()
        if (token.kind == "name" and word in OPERATORS) or (token.kind == "sign" and token.text in _COMPARATORS):
            return self.refused("Unexpected operator")
        return self.refused("Unexpected keyword" if self.is_keyword() else "Unexpected term")

    def check_right_side(self) -> None:
        """Refuse an operator that nothing follows."""
        if self.next.kind == "end":
            raise self.refused(_NO_RIGHT_SIDE)

    def too_deep(self) -> Refusal:
        return self.refused("it is nested too deeply")

    def refused(self, why: str) -> Refusal:
        return invalid(f"Statement wasn't well formed, can't be processed: {why}")

    def parameter(self) -> Value:
        if self._used >= len(self._parameters):
            raise invalid("Number of parameters in request and statement don't match.")
        self._used += 1
        return self._parameters[self._used - 1]

    def check_parameters(self) -> None:
        if self._used < len(self._parameters):
            raise invalid("Number of parameters in request and statement don't match.")


@functools.lru_cache(maxsize=16)  # programs send the same statement with other parameters
def _tokens(text: str) -> list[Token]:
    return _Reader(text, []).tokens


# Statements

def _statement(reader: _Reader) -> Statement:
    if reader.is_next("SELECT"):
        return _select(reader)
    if reader.took("INSERT"):
        reader.skip("INTO")
        table = _table(reader)
        if reader.is_next("."):
            raise invalid("FROM clause may only contain a single table name")
        if not reader.took("VALUE"):
            raise reader.refused("Unexpected term") if reader.next.kind == "end" else reader.left_over()
        return Insert(table, _inserted(reader))
    if reader.took("UPDATE"):
        table = _written(reader)
        actions = _actions(reader)
        return Update(table, actions, _where(reader), _returning(reader), reader.terms)
    if reader.took("FROM"):
        table, where = _written(reader), _where(reader)
        return Update(table, _actions(reader), where, _returning(reader), reader.terms)
    if reader.took("DELETE"):
        if not reader.took("FROM"):
            raise reader.refused("Expected FROM after DELETE")
        table = _written(reader)
        return Delete(table, _where(reader), _returning(reader, only_old=True), reader.terms)
    if reader.took("EXISTS"):
        reader.skip("(")
        exists = Exists(_select(reader))
        reader.skip(")")
        return exists
    raise _no_statement(reader)


def _no_statement(reader: _Reader) -> Refusal:
    """The refusal of an expression in place of a statement, or of something else."""
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        return reader.no_term()
    reader.take()
    if reader.took("IS"):
        _type_name(reader)
        return reader.left_over() if reader.next.kind != "end" else invalid("Unsupported operation: IsType")
    # A misspelt word and a star are a product, which may be one with a FROM that lacks its SET.
    if reader.took("*") and reader.is_next("FROM"):
        return reader.refused(_NO_OPERATION)
    return reader.left_over()


def _inserted(reader: _Reader) -> dict[str, Value]:
    """The item of an INSERT: a tuple, or a parameter that is a map."""
    if reader.took("{"):
        return _members(reader, None)
    value = _constant(reader)
    if value is None or kind(value) != "M":
        raise reader.refused("VALUE needs a tuple, such as {'name': 'value'}")
    return value["M"]


def _table(reader: _Reader) -> str:
    """The name of a table, in a place that has no other path."""
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        raise reader.refused(_NO_IDENTIFIER)
    return _not_empty(_name(reader))


def _not_empty(name: str) -> str:
    if not name:
        raise invalid("Path component cannot be an empty string")
    return name


def _written(reader: _Reader) -> str:
    """The name of a table that is written to. Raises Refusal if the statement has an index or an alias."""
    name = _table(reader)
    if reader.took("."):
        _not_empty(_part(reader))
        raise invalid("This operation is not supported on an index")
    _check_no_alias(reader)
    return name


def _read(reader: _Reader) -> tuple[str, str | None]:
    """The names of the table and of the index that a SELECT reads."""
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        raise reader.no_term()
    parts = [_not_empty(_name(reader))]
    while reader.took("."):
        parts.append(_not_empty(_part(reader)))
    if len(parts) > 2:
        raise invalid("A path may contain at most 2 components in the FROM clause")
    _check_no_alias(reader)
    return parts[0], parts[1] if len(parts) > 1 else None


def _check_no_alias(reader: _Reader) -> None:
    if reader.next.kind in ("name", "quoted") and reader.next.text.upper() not in _CLAUSES:
        raise invalid("Aliasing is not supported")


def _select(reader: _Reader) -> Select:
    reader.skip("SELECT")
    paths, fault = _selected(reader)
    reader.skip("FROM")
    table, index = _read(reader)
    where, order = _where(reader), []
    if reader.took("ORDER"):
        reader.skip("BY")
        order.append(_ordered(reader))
        while reader.took(","):
            order.append(_ordered(reader))
    if reader.took("LIMIT"):
        raise invalid(f"Unsupported clause: LIMIT at {reader.position(reader.next)}")
    for _, path in paths or ():  # a table's name before an attribute, as in SQL, would be an attribute of that name
        if path.parts[0] == table and len(path.parts) > 1:
            raise reader.refused(f"attributes are named without their table: {table}")
    return Select(table, index, paths, where, order, reader.terms, fault)


def _selected(reader: _Reader) -> tuple[list[tuple[str, Path]] | None, Refusal | None]:
    """What a SELECT shows, None for all attributes; and the refusal of what is no path."""
    if reader.took("*"):
        return None, None
    paths, fault = list[tuple[str, Path]](), None
    while True:
        if reader.is_call():
            fault = fault or invalid(f"Unexpected path component at {reader.position(reader.next)}")
            _skip_call(reader)
        else:
            path = _path(reader)
            column = _column(path)
            if any(column == other for other, _ in paths):
                fault = fault or invalid(f"Duplicate identifiers in select clause: {column}")
            paths.append((column, path))
        if reader.next.kind == "name" and reader.next.text.upper() == "AS":
            raise invalid("Aliasing is not supported")
        if not reader.took(","):
            return paths, fault


def _skip_call(reader: _Reader) -> None:
    """Go behind a function, whatever its arguments are."""
    reader.take()
    opened = 0
    while True:
        sign = reader.take().text
        opened += (sign == "(") - (sign == ")")
        if not opened:
            return


def _column(path: Path) -> str:
    """The name that an answer has for a path: its last name, with the indexes behind it."""
    last = max(place for place, part in enumerate(path.parts) if isinstance(part, str))
    return str(path.parts[last]) + "".join(f"[{part}]" for part in path.parts[last + 1:])


def _ordered(reader: _Reader) -> tuple[str, bool]:
    name = _name(reader)
    if reader.took("DESC"):
        return name, True
    reader.took("ASC")
    return name, False


def _actions(reader: _Reader) -> tuple[Assignment, ...]:
    actions = list[Assignment]()
    while reader.is_next("SET", "REMOVE"):
        if reader.take().text.upper() == "REMOVE":  # of one path: several have a REMOVE each
            actions.append(Assignment("REMOVE", _target(reader), None))
            continue
        actions.append(_assignment(reader))
        while reader.took(","):
            actions.append(_assignment(reader))
    if not actions:
        raise reader.refused(_NO_OPERATION)
    return tuple(actions)


def _target(reader: _Reader) -> Path:
    """What an action changes."""
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        raise reader.refused(_NO_IDENTIFIER)
    return _path(reader)


def _assignment(reader: _Reader) -> Assignment:
    path = _target(reader)
    reader.skip("=")
    if reader.next.kind == "name" and reader.next.text.lower() in ("set_add", "set_delete"):
        return _set_action(reader, path)
    return Assignment("SET", path, _sum(reader))


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


def _where(reader: _Reader) -> Condition | None:
    return _condition(reader, _either(reader)) if reader.took("WHERE") else None


def _returning(reader: _Reader, *, only_old: bool = False) -> str:
    if not reader.took("RETURNING"):
        return "NONE"
    words = (reader.take().text.upper(), reader.take().text.upper())
    reader.skip("*")
    if words not in _RETURNS:
        raise reader.refused(f"RETURNING {' '.join(words)} * cannot be used here")
    if only_old and words != ("ALL", "OLD"):
        raise invalid(f"Invalid returning clause: RETURNING {' '.join(words)} *. Only RETURNING ALL OLD * is allowed "
                      "in DELETE statements.")
    return _RETURNS[words]


# Conditions, the operator that binds least first. What stands in parentheses may also be an operand.

_Read = Condition | Operand


def _either(reader: _Reader) -> _Read:
    return _joined(reader, "OR", _all)


def _all(reader: _Reader) -> _Read:
    return _joined(reader, "AND", _negated)


def _joined(reader: _Reader, operator: str, part: Any) -> _Read:
    first = part(reader)
    if not reader.is_next(operator):
        return first

    def condition(reader: _Reader) -> Condition:
        reader.check_right_side()
        return _condition(reader, part(reader))

    return joined(reader, operator, condition, first=_condition(reader, first))


def _condition(reader: _Reader, read: _Read) -> Condition:
    """What is true or false. Raises Refusal for another operand."""
    if isinstance(read, Compare | Between | In | Not | Both) or (
            isinstance(read, Function) and read.name in _CONDITIONS):
        return read
    raise reader.unexpected()


def _value(read: _Read) -> Operand:
    """A condition as an operand, which is true or false; another operand as it is."""
    if isinstance(read, Compare | Between | In | Not | Both) or (
            isinstance(read, Function) and read.name in _CONDITIONS):
        return Truth(read)
    return read


def _negated(reader: _Reader) -> _Read:
    if reader.took("NOT"):
        if reader.next.kind == "end":
            raise reader.no_term()
        reader.nest(+1)
        inner = _condition(reader, _negated(reader))
        reader.nest(-1)
        return Not(inner)
    return _comparison(reader)


def _comparison(reader: _Reader) -> _Read:
    found, chained = _single(reader), 0
    while True:
        if chained:  # a comparison of a comparison is as deep as one in parentheses
            reader.nest(chained)
            reader.nest(-chained)
        chained += 1
        if reader.next.kind == "sign" and reader.next.text in _COMPARATORS:
            operator = _COMPARATORS[reader.take().text]
            reader.check_right_side()
            found = Compare(operator, _value(found), _value(_single(reader)))
        elif reader.took("IS"):
            found = _is(reader, _value(found))
        elif reader.is_next("BETWEEN", "IN") or (reader.is_next("NOT") and reader.following.text.upper() in (
                "BETWEEN", "IN")):
            found = _member_or_between(reader, _value(found))
        else:
            return found


def _single(reader: _Reader) -> _Read:
    if reader.is_next("("):
        reader.take()
        if reader.next.kind == "end":
            raise reader.no_term()
        reader.nest(+1)
        found = _either(reader)
        reader.skip(")")
        reader.nest(-1)
        return found
    if reader.is_call():
        name = reader.next.text.lower()
        if name in _CONDITIONS:
            return _function(reader, name, _CONDITIONS[name])
    return _operand(reader)


def _member_or_between(reader: _Reader, operand: Operand) -> Condition:
    negated = reader.took("NOT")
    is_between = reader.take().text.upper() == "BETWEEN"
    reader.check_right_side()
    if is_between:
        low = _operand(reader)
        reader.skip("AND")
        if reader.next.kind == "end":
            raise reader.refused("Expected expression after AND")
        found: Condition = Between(operand, low, _operand(reader))
    else:
        found = In(operand, _options(reader))
    return Not(found) if negated else found


def _is(reader: _Reader, operand: Operand) -> Condition:
    negated = reader.took("NOT")
    word = _type_name(reader)
    if not isinstance(operand, Path):
        raise reader.refused("IS needs an attribute before it")
    if word == "MISSING":
        return Function("attribute_exists" if negated else "attribute_not_exists", (operand,))
    if word not in _TYPES:
        raise invalid(f"IS can be followed by MISSING, {', '.join(_TYPES)}, and not by {word}")
    test = Function("attribute_type", (operand, reader.terms.add({"S": _TYPES[word]})))
    return Not(test) if negated else test


def _type_name(reader: _Reader) -> str:
    """The name of a type, which may be one that no attribute has."""
    word = reader.next.text.upper() if reader.next.kind == "name" else ""
    if (word, reader.following.text.upper()) in TYPES_OF_TWO_WORDS:
        reader.take()
        return f"{word} {reader.take().text.upper()}"
    if word not in TYPE_NAMES:
        raise reader.refused("Expected type name")
    reader.take()
    return word


def _options(reader: _Reader) -> tuple[Operand, ...]:
    if not reader.is_next("(", "["):
        raise reader.unexpected()
    end = ")" if reader.take().text == "(" else "]"
    options = [_operand(reader)]
    while reader.took(","):
        options.append(_operand(reader))
    reader.skip(end)
    if len(options) > MOST_IN:
        raise invalid(f"The IN operator is provided with too many operands; number of operands: {len(options)}")
    return tuple(options)


def _function(reader: _Reader, name: str, count: int) -> Function:
    reader.skip(reader.next.text.upper(), "(")
    reader.nest(+1)
    arguments = _arguments(reader)
    reader.nest(-1)
    if len(arguments) != count:
        raise invalid("Incorrect number of operands for operator or function; operator or function: "
                      f"{name}, number of operands: {len(arguments)}")
    if name in ("attribute_exists", "attribute_not_exists") and not isinstance(arguments[0], Path):
        raise invalid(f"Operator or function requires a document path; operator or function: {name}")
    return Function(name, tuple(arguments))


# Operands and constants

def _operand(reader: _Reader) -> Operand:
    if reader.is_call():
        if reader.next.text.lower() == "size":
            return _function(reader, "size", 1)
        if reader.next.text.upper() not in (*OPERATORS, "NOT"):
            raise invalid(f"Unrecognized function: {reader.next.text.lower()} at {reader.position(reader.next)}")
    value = _constant(reader)
    return _path(reader) if value is None else reader.terms.add(value)


def _sum(reader: _Reader) -> Operand:
    left = _term(reader)
    if reader.is_next("+", "-"):
        operator = reader.take().text
        reader.check_right_side()
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


class _Spot(NamedTuple):
    """Where a literal is in the value of an attribute: as refusals say it, and how deep."""

    level: int = 0
    outer: _Spot | None = None
    part: str | int = "root"  # the name of a map's member, or the number of a list's

    @property
    def text(self) -> str:
        """Put together for a refusal only: for each member of a literal it would take long."""
        if self.outer is None:
            return str(self.part)
        return self.outer.text + (f"[{self.part}]" if isinstance(self.part, int) else f".{self.part}")


_ROOT = _Spot()


def _constant(reader: _Reader, spot: _Spot = _ROOT) -> Value | None:
    """A literal or a parameter; None if there is neither."""
    token = reader.next
    if token.kind == "string":
        reader.take()
        return {"S": token.text[1:-1].replace("''", "'")}
    if token.kind == "number" or (token.text in ("-", "+") and token.kind == "sign"):
        return _number(reader, spot)
    if token.kind == "name" and token.text.upper() in ("TRUE", "FALSE", "NULL"):
        word = reader.take().text.upper()
        return {"NULL": True} if word == "NULL" else {"BOOL": word == "TRUE"}
    if reader.is_next("?"):
        if spot.level:
            raise _unsupported(reader, "Parameter", spot)
        reader.take()
        return reader.parameter()
    if reader.is_next("[", "{", "<<"):
        reader.nest(+1)
        found = _document(reader, spot)
        reader.nest(-1)
        return found
    return None


def _number(reader: _Reader, spot: _Spot) -> Value:
    """A number behind any number of signs."""
    negative = False
    while reader.is_next("-", "+"):
        negative ^= reader.take().text == "-"
    if reader.next.kind != "number":
        raise reader.no_term() if reader.next.kind == "end" else reader.unexpected()
    return reader.number("-" * negative + reader.take().text, spot)


def _unsupported(reader: _Reader, what: str, spot: _Spot) -> Refusal:
    return invalid(f"Unsupported data type: {what} under key {spot.text} at {reader.position(reader.next)}")


def _document(reader: _Reader, spot: _Spot) -> Value:
    opened = reader.take().text
    if opened == "{":
        return {"M": _members(reader, spot)}
    is_set, level, members, written = opened == "<<", spot.level + 1, list[Value](), list[str]()
    end = ">>" if is_set else "]"
    while not reader.took(end):
        if members:
            reader.skip(",")
        begins = reader.next.at
        members.append(_member(reader, _Spot(level, spot, len(members)), is_set=is_set))
        if is_set:
            written.append(reader.text[begins:reader.next.at].strip())
    if not is_set:
        return {"L": members}
    if not members:
        raise invalid("Empty bags are not supported")
    kinds = {kind(member) for member in members}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise reader.refused("a set has at least one member, and all of them are strings, numbers or binary values")
    type_ = kinds.pop()
    if type_ == "N" and len({member["N"] for member in members}) < len(members):
        raise invalid_values(f"Input collection [{', '.join(written)[:200]}] contains duplicates! under {spot.text}")
    return check({type_ + "S": [member[type_] for member in members]})


def _members(reader: _Reader, spot: _Spot | None) -> dict[str, Value]:
    """The members of a tuple up to its end; of an item if there is no ``spot``."""
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
        members[name] = _member(reader, _ROOT if spot is None else _Spot(spot.level + 1, spot, name))
    return members


def _member(reader: _Reader, spot: _Spot, *, is_set: bool = False) -> Value:
    if spot.level > _MOST_LEVELS and not is_set:
        raise invalid(f"Nesting Levels have exceeded supported limits under {spot.text}")
    if reader.is_call():
        raise _unsupported(reader, reader.next.text.lower(), spot)
    value = _constant(reader, spot)
    if value is None:
        raise reader.unexpected()
    return value


# Names

def _path(reader: _Reader) -> Path:
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        raise reader.no_term()
    parts: list[str | int] = [_name(reader)]
    while reader.is_next(".", "["):
        if reader.take().text == ".":
            parts.append(_part(reader))
            continue
        parts.append(_list_index(reader))
        reader.skip("]")
    if len(parts) > _DEEPEST:
        raise reader.refused("a path has too many parts")
    return Path(tuple(parts))


def _part(reader: _Reader) -> str:
    """The part of a path behind a dot."""
    if reader.next.kind not in ("name", "quoted") or reader.is_keyword():
        raise reader.refused("Invalid path dot component")
    return _name(reader)


def _list_index(reader: _Reader) -> int:
    negative = reader.took("-")
    token = reader.next
    if token.kind != "number" or not token.text.isdigit():
        raise reader.refused(f"a list index has to be a number at position {token.at + 1}")
    reader.take()
    index = int(token.text[:11])
    if index > _LARGEST_INDEX or (negative and index):
        raise invalid(f"List index is not within the allowable range; index: [{'-' * negative}{token.text[:100]}] at "
                      f"{reader.position(token)}")
    return index


def _name(reader: _Reader) -> str:
    token = reader.next
    if token.kind == "quoted":
        reader.take()
        return token.text[1:-1].replace('""', '"')
    if token.kind != "name" or token.text.upper() in KEYWORDS:
        raise reader.unexpected()
    return reader.take().text
