"""Expressions: text in, a tree out. One parser for conditions, filters, key conditions, projections and updates.

A tree holds names and placeholders as they were written, so that it can be kept for the next request with the same
text. :mod:`conditions`, :mod:`projections` and :mod:`updates` give it a meaning.

Linear in the length of the text, which is at most 4 KB. Recursive descent, except for conditions in parentheses.

The texts of refusals are the service's, as other projects have captured them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gtlab.localcloud.engine.reserved_words import RESERVED
from gtlab.localcloud.engine.texts import kept
from gtlab.localcloud.engine.tokens import Token, TokenReader
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
    misused,
)
from gtlab.localcloud.model import Refusal, invalid

CONDITION, FILTER, KEY_CONDITION = "ConditionExpression", "FilterExpression", "KeyConditionExpression"
PROJECTION, UPDATE = "ProjectionExpression", "UpdateExpression"
MOST_BYTES, MOST_OPERATORS, MOST_IN, MOST_DEPTH = 4096, 300, 100, 32

# The text

_TOKEN = re.compile(r"""\s*(?:
    (?P<name>[A-Za-z_][A-Za-z0-9_]*) | (?P<alias>\#[A-Za-z0-9_]+) | (?P<value>:[A-Za-z0-9_]+) | (?P<number>[0-9]+)
  | (?P<sign><>|<=|>=|[=<>()\[\],.+-]) | (?P<end>\Z) )""", re.VERBOSE)
_FUNCTIONS = {  # in conditions: the fewest and the most arguments
    "attribute_exists": (1, 1), "attribute_not_exists": (1, 1), "attribute_type": (2, 2), "begins_with": (2, 2),
    "contains": (2, 2), "size": (1, 1)}
_UPDATE_FUNCTIONS = {"if_not_exists": (2, 2), "list_append": (2, 2)}
_COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
# Words that cannot be read as a name: the reserved words of the grammar itself.
_GRAMMAR = {CONDITION: ("AND", "OR", "NOT", "BETWEEN", "IN"), UPDATE: _SECTIONS}


class _Reader(TokenReader):
    pattern, deepest = _TOKEN, MOST_OPERATORS  # operands and functions nest; parenthesized conditions without a bound

    def __init__(self, kind: str, text: str):
        self.kind, self._operators = kind, 0
        super().__init__(text)
        self._closings = self._find_closings()

    def unreadable(self, at: int) -> Refusal:
        start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
        begin, place = start, 0  # of what is near: from the token before to the one after
        while place < at and (before := self.pattern.match(self.text, place)):
            begin, place = before.start(before.lastgroup or 0), before.end()
        after = self.pattern.match(self.text, start + 1)
        near = self.text[begin:after.end() if after else start + 2].strip()
        return self.refused(f'Syntax error; token: "{self.text[start]}", near: "{near}"')

    def unexpected(self) -> Refusal:
        token, before, after = self.next, self.tokens[max(0, self.place - 1)], self.following
        near = self.text[before.at:after.at + len(after.text)].strip()
        shown = token.text[:1] if token.text.startswith("_") else token.text or "<EOF>"  # no name begins with _
        return self.refused(f'Syntax error; token: "{shown}", near: "{near}"')

    def too_deep(self) -> Refusal:
        return self.refused("The expression is nested too deeply")

    def refused(self, why: str) -> Refusal:
        return invalid(f"Invalid {self.kind}: {why}")

    def _find_closings(self) -> dict[int, int]:
        """The numbers of the tokens that open parentheses, with those of the tokens that close them."""
        opened, found = list[int](), dict[int, int]()
        for place, token in enumerate(self.tokens):
            if token.text == "(":
                opened.append(place)
            elif token.text == ")" and opened:
                found[opened.pop()] = place
        return found

    def closing(self, opening: int) -> int:
        """The number of the token that closes a parenthesis; that of the end if none does."""
        return self._closings.get(opening, len(self.tokens) - 1)

    def count_operator(self) -> None:
        self._operators += 1
        if self._operators > MOST_OPERATORS:
            raise self.refused(f"The expression contains too many operators; operator count: {self._operators}")


def _parser(parse: Callable) -> Callable:
    """Check what holds for every expression, and keep the trees of the last texts."""
    @kept(2048)
    def parsed(kind: str, text: str):
        if not text.strip():
            raise invalid(f"Invalid {kind}: The expression can not be empty;")
        length = len(text.encode())
        if length > MOST_BYTES:
            shown = "" if kind == "UpdateExpression" else f" expression size: {length}"  # as captured on the service
            raise invalid(f"Invalid {kind}: Expression size has exceeded the maximum allowed size;{shown}")
        reader = _Reader(kind, text)
        tree = parse(reader)
        if reader.next.kind != "end":
            raise reader.unexpected()
        return tree
    return parsed


@_parser
def parse_condition(reader: _Reader) -> Condition:
    """A condition, a filter or a key condition (``kind``, ``text``). Raises Refusal if it is not valid."""
    return _condition(reader)


@_parser
def parse_projection(reader: _Reader) -> tuple[Path, ...]:
    """The paths of a projection."""
    paths = [_path(reader)]
    while reader.is_next(","):
        reader.take()
        paths.append(_path(reader))
    return tuple(paths)


@_parser
def parse_update(reader: _Reader) -> tuple[Assignment, ...]:
    """The actions of an update, in the order in which they are written."""
    actions, seen = list[Assignment](), set[str]()
    while reader.next.kind != "end":
        if not reader.is_next(*_SECTIONS):
            raise reader.unexpected()
        section = reader.take().text.upper()
        if section in seen:
            raise reader.refused(f'The "{section}" section can only be used once in an update expression;')
        seen.add(section)
        actions.append(_action(reader, section))
        while reader.is_next(","):
            reader.take()
            actions.append(_action(reader, section))
    return tuple(actions)


# Conditions

class _Group:
    """A parenthesized condition, or the whole one, as far as it has been read."""

    def __init__(self) -> None:
        self.either: Condition | None = None  # what OR joins to the rest
        self.all: Condition | None = None     # what AND joins to the rest
        self.negated = False                  # whether the next condition is

    def add(self, condition: Condition) -> None:
        condition = Not(condition) if self.negated else condition
        self.negated = False
        self.all = condition if self.all is None else Both("AND", self.all, condition)

    def so_far(self) -> Condition:
        """All of it; what comes next is joined by OR."""
        assert self.all is not None  # added before
        self.either = self.all if self.either is None else Both("OR", self.either, self.all)
        self.all = None
        return self.either


def _condition(reader: _Reader) -> Condition:
    """Groups are kept on a list, not by recursion: as many as fit into the text may be open."""
    groups = [_Group()]
    while True:
        while reader.took("NOT"):
            reader.count_operator()
            groups[-1].negated = not groups[-1].negated
        if reader.is_next("(") and not _opens_operand(reader):
            _check_not_redundant(reader)
            reader.take()
            groups.append(_Group())
            continue
        groups[-1].add(_single(reader))
        while not reader.took("AND"):
            condition = groups[-1].so_far()
            if reader.took("OR"):
                break
            if len(groups) == 1:
                return condition
            reader.skip(")")
            groups.pop()
            groups[-1].add(condition)
        reader.count_operator()


def _single(reader: _Reader) -> Condition:
    operand = _operand(reader, _FUNCTIONS)
    if isinstance(operand, Function) and operand.name != "size" and not _opens_comparison(reader.next):
        return operand
    if _opens_comparison(reader.next):
        reader.count_operator()
    if reader.next.kind == "sign" and reader.next.text in _COMPARATORS:
        operator = reader.take().text
        return Compare(operator, operand, _operand(reader, _FUNCTIONS))
    if reader.is_next("BETWEEN"):
        reader.take()
        low = _operand(reader, _FUNCTIONS)
        reader.skip("AND")
        return Between(operand, low, _operand(reader, _FUNCTIONS))
    if reader.is_next("IN"):
        reader.take()
        reader.skip("(")
        options = [_operand(reader, _FUNCTIONS)]
        while reader.is_next(","):
            reader.take()
            options.append(_operand(reader, _FUNCTIONS))
        reader.skip(")")
        if len(options) > MOST_IN:
            raise reader.refused("Too many operands for the IN operator; number of operands: "
                                 f"{len(options)}")
        return In(operand, tuple(options))
    if isinstance(operand, Function):
        raise reader.refused("The function is not allowed to be used this way in an expression; function: "
                             f"{misused(operand)}")
    raise reader.unexpected()


def _opens_operand(reader: _Reader) -> bool:
    """Whether the next parenthesis encloses an operand, as in ``(a) = :v``, and not a condition."""
    return _opens_comparison(reader.tokens[min(reader.closing(reader.place) + 1, len(reader.tokens) - 1)])


def _opens_comparison(token: Token) -> bool:
    """Whether a token is the first one behind the first operand of a comparison."""
    return token.text in _COMPARATORS or (token.kind == "name" and token.text.upper() in ("BETWEEN", "IN"))


def _check_not_redundant(reader: _Reader) -> None:
    """Refuse two parentheses that open here and close together: ``((a))``."""
    if reader.following.text == "(" and reader.closing(reader.place + 1) + 1 == reader.closing(reader.place):
        raise reader.refused("The expression has redundant parentheses;")


# Operands

def _operand(reader: _Reader, functions: dict[str, tuple[int, int]]) -> Operand:
    token = reader.next
    if token.kind == "value":
        return Placeholder(reader.take().text)
    if token.kind == "name" and reader.following.text == "(" and reader.following.kind == "sign":
        return _function(reader, functions)
    if reader.is_next("("):  # an operand may stand in parentheses of its own
        _check_not_redundant(reader)
        return reader.in_parentheses(lambda inner: _operand(inner, functions))
    return _path(reader)


def _function(reader: _Reader, functions: dict[str, tuple[int, int]]) -> Function:
    name = reader.take().text
    if name not in functions:
        if name in _FUNCTIONS or name in _UPDATE_FUNCTIONS:
            what = {CONDITION: "a condition", FILTER: "a filter", KEY_CONDITION: "a key condition",
                    UPDATE: "an update", PROJECTION: "a projection"}[reader.kind]
            raise reader.refused(f"The function is not allowed in {what} expression; function: {name}")
        raise reader.refused(f"Invalid function name; function: {name}")
    reader.count_operator()
    reader.skip("(")
    reader.nest(+1)
    arguments = [_operand(reader, functions)]
    while reader.is_next(","):
        reader.take()
        arguments.append(_operand(reader, functions))
    reader.skip(")")
    reader.nest(-1)
    fewest, most = functions[name]
    if not fewest <= len(arguments) <= most:
        raise reader.refused("Incorrect number of operands for operator or function; operator or function: "
                             f"{name}, number of operands: {len(arguments)}")
    if name in ("attribute_exists", "attribute_not_exists", "if_not_exists") and not isinstance(arguments[0], Path):
        raise reader.refused("Operator or function requires a document path; operator or function: " + name)
    if name == "size" and isinstance(arguments[0], Function) and arguments[0].name == "size":
        raise reader.refused("Incorrect operand type for operator or function; operator or function: size, operand "
                             "type: N")
    if name == "list_append" and any(isinstance(each, Function) and each.name == name for each in arguments):
        raise reader.refused(f"The function is not allowed to be used this way in an expression; function: {name}")
    return Function(name, tuple(arguments))


def _path(reader: _Reader) -> Path:
    parts: list[str | int] = [_name(reader)]
    while reader.is_next(".", "["):
        if reader.take().text == ".":
            parts.append(_name(reader))
            continue
        if reader.next.kind != "number":
            raise reader.unexpected()
        parts.append(int(reader.take().text[:10]))
        reader.skip("]")
    if len(parts) > MOST_DEPTH:
        raise reader.refused("The document path has too many nesting elements; nesting levels: "
                             f"{len(parts)}")
    return Path(tuple(parts))


def _name(reader: _Reader) -> str:
    token = reader.next
    if token.kind == "alias":
        return reader.take().text
    if token.kind != "name" or token.text.startswith("_"):
        raise reader.unexpected()
    if token.text.upper() in _GRAMMAR.get(CONDITION if reader.kind in (FILTER, KEY_CONDITION) else reader.kind, ()):
        raise reader.unexpected()
    if token.text.upper() in RESERVED:
        raise reader.refused(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
    return reader.take().text


# Updates

def _action(reader: _Reader, section: str) -> Assignment:
    path = _path(reader)
    if section == "REMOVE":
        return Assignment(section, path, None)
    if section == "SET":
        reader.skip("=")
        return Assignment(section, path, _right_side(reader))
    if reader.next.kind != "value":
        raise reader.unexpected()
    return Assignment(section, path, Placeholder(reader.take().text))


def _right_side(reader: _Reader) -> Operand:
    """An operand, or two with + or - between them: the service takes no longer sums, and none in a function. The whole
    may stand in parentheses."""
    return reader.in_parentheses(_sum) if reader.is_next("(") else _sum(reader)


def _sum(reader: _Reader) -> Operand:
    operand = _operand(reader, _UPDATE_FUNCTIONS)
    if reader.is_next("+", "-"):
        operator = reader.take().text
        reader.count_operator()
        return Arithmetic(operator, operand, _operand(reader, _UPDATE_FUNCTIONS))
    return operand
