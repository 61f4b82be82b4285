"""What expressions and PartiQL statements are parsed into: conditions, operands and the actions of updates.

A tree holds names and placeholders as they were written. :mod:`conditions`, :mod:`projections` and :mod:`updates` give
it a meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Path(NamedTuple):
    """A document path: names (as written, with # for a placeholder) and list indexes."""

    parts: tuple[str | int, ...]


class Placeholder(NamedTuple):
    """A value: ``:name``."""

    name: str


class Function(NamedTuple):
    """A function with its arguments, as an operand or as a condition."""

    name: str
    arguments: tuple[Operand, ...]


class Arithmetic(NamedTuple):
    """``left + right`` or ``left - right``, in a SET clause."""

    operator: str
    left: Operand
    right: Operand


class Truth(NamedTuple):
    """A condition as an operand, in PartiQL: true or false."""

    condition: Condition


Operand = Path | Placeholder | Function | Arithmetic | Truth


class Compare(NamedTuple):
    operator: str  # = <> < <= > >=
    left: Operand
    right: Operand


class Between(NamedTuple):
    operand: Operand
    low: Operand
    high: Operand


class In(NamedTuple):
    operand: Operand
    options: tuple[Operand, ...]


class Not(NamedTuple):
    inner: Condition


class Both(NamedTuple):
    """``left AND right`` or ``left OR right``."""

    operator: str
    left: Condition
    right: Condition


Condition = Compare | Between | In | Not | Both | Function


class Assignment(NamedTuple):
    """One action of an update. ``value`` is None for REMOVE."""

    section: str  # SET, REMOVE, ADD, DELETE
    path: Path
    value: Operand | None


def misused(function: Function) -> str:
    """The name that a refusal has of a function where none is allowed: the first one inside it that is not allowed
    there either, or its own."""
    inside = [each for each in function.arguments if isinstance(each, Function)]
    for each in inside:
        name = misused(each)
        if name != each.name:
            return name
    return next((each.name for each in inside if each.name != "size"), function.name)
