"""The tokens of a text, one ahead: what the parsers of expressions and of PartiQL share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from gtlab.localcloud.engine.tree import Both, Condition
from gtlab.localcloud.model import Refusal

Reader = TypeVar("Reader", bound="TokenReader")
Read = TypeVar("Read")


class Token(NamedTuple):
    kind: str  # a group of the pattern: "sign", "name", "end" or another one
    text: str
    at: int


class TokenReader:
    """Reads a text from left to right. A subclass has the pattern, whose group "end" matches the end of the text, and
    the texts of the refusals."""

    pattern: re.Pattern[str]
    deepest: int

    def __init__(self, text: str, tokens: list[Token] | None = None):
        """``tokens``: those of the text, if they are known."""
        self.text, self._at, self._depth = text, 0, 0
        self.tokens = self._split() if tokens is None else tokens
        self.next = self.tokens[0]

    def unreadable(self, at: int) -> Refusal:
        """The refusal of a text in which no token begins at a place."""
        raise NotImplementedError

    def unexpected(self) -> Refusal:
        """The refusal of the next token."""
        raise NotImplementedError

    def too_deep(self) -> Refusal:
        """The refusal of a text that is nested too deeply."""
        raise NotImplementedError

    def count_operator(self) -> None:
        """Called for each operator that joins or negates conditions. Raises Refusal if there are too many."""

    def _split(self) -> list[Token]:
        found, at, kind = list[Token](), 0, ""
        match, text, new = self.pattern.match, self.text, tuple.__new__  # of a NamedTuple it takes half the time
        while kind != "end":
            token = match(text, at)
            if token is None:
                raise self.unreadable(at)
            kind = token.lastgroup or ""
            found.append(new(Token, (kind, token[kind], token.start(kind))))
            at = token.end()
        return found

    @property
    def place(self) -> int:
        """The number of the next token."""
        return self._at

    @property
    def following(self) -> Token:
        """The token after the next one."""
        return self.tokens[min(self._at + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.next
        if token.kind == "end":
            raise self.unexpected()
        self._at += 1
        self.next = self.tokens[self._at]
        return token

    def is_next(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or (in any case of letters) keywords."""
        text = self.next.text  # no string, quoted name or number is spelled like a sign or a keyword
        return text in texts or text.upper() in texts

    def took(self, text: str) -> bool:
        """Whether the next token is this sign or keyword; if so, it is taken."""
        found = self.next.text
        if found != text and found.upper() != text:
            return False
        self._at += 1
        self.next = self.tokens[self._at]
        return True

    def skip(self, *texts: str) -> None:
        """Take these signs and keywords. Raises Refusal if others come."""
        for text in texts:
            if not self.took(text):
                raise self.unexpected()

    def nest(self, change: int) -> None:
        self._depth += change
        if self._depth > self.deepest:
            raise self.too_deep()

    def in_parentheses(self: Reader, read: Callable[[Reader], Read]) -> Read:
        """What ``read`` reads, between parentheses. Raises Refusal if they do not enclose just that."""
        self.skip("(")
        self.nest(+1)
        found = read(self)
        self.skip(")")
        self.nest(-1)
        return found


def joined(reader: Reader, operator: str, part: Callable[[Reader], Condition], *,
           first: Condition | None = None) -> Condition:
    """One condition, or several joined by AND or OR. ``first``: the one that has been read already. A tree of many is
    balanced, so that it is not too deep for Python."""
    conditions = [part(reader) if first is None else first]
    while reader.took(operator):
        reader.count_operator()
        conditions.append(part(reader))
    while len(conditions) > 1:
        paired = [Both(operator, left, right) for left, right in zip(conditions[::2], conditions[1::2], strict=False)]
        conditions = paired + conditions[2 * len(paired):]
    return conditions[0]
