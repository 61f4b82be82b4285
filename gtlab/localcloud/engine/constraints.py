"""Constraints on the members of a request: choices, bounds, lengths, patterns. The service checks them before anything
else, and reports all that fail together.

A rule goes from a value and its place in the request to what fails, in the service's words. Rules are combined as the
request's shapes are; the order of a structure's members is the order of the report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gtlab.localcloud.engine.arguments import failed, refuse_all

Rule = Callable[[Any, str], Iterator[str]]
_MOST_REPORTED = 10


def check(data: dict[str, Any], rule: Rule) -> None:
    """Raise Refusal if anything fails. Members that are missing fail only where they are required."""
    failures = []
    for failure in rule(data, ""):
        failures.append(failure)
        if len(failures) == _MOST_REPORTED:
            break
    refuse_all(failures)


def choice(*allowed: str) -> Rule:
    def rule(value: Any, place: str) -> Iterator[str]:
        if value not in allowed:
            yield failed(value, place, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    return rule


def at_least(least: int) -> Rule:
    def rule(value: Any, place: str) -> Iterator[str]:
        if value < least:
            yield failed(value, place, f"Member must have value greater than or equal to {least}")
    return rule


def at_most(most: int) -> Rule:
    def rule(value: Any, place: str) -> Iterator[str]:
        if value > most:
            yield failed(value, place, f"Member must have value less than or equal to {most}")
    return rule


def length(least: int, most: int | None = None, show: Callable[[Any], str] = str) -> Rule:
    """The length of a text or a list. ``show`` makes the text for the report."""
    def rule(value: Any, place: str) -> Iterator[str]:
        if len(value) < least:
            yield failed(show(value), place, f"Member must have length greater than or equal to {least}")
        elif most is not None and len(value) > most:
            yield failed(show(value), place, f"Member must have length less than or equal to {most}")
    return rule


def pattern(wanted: str, linear: str | None = None) -> Rule:
    """``linear``: a pattern that matches the same texts, in time that is linear in the length of what it does not
    match. It is needed where the pattern of the service, which the report shows, is not."""
    compiled = re.compile(linear or wanted, re.ASCII)

    def rule(value: Any, place: str) -> Iterator[str]:
        if not compiled.fullmatch(value):
            yield failed(value, place, f"Member must satisfy regular expression pattern: {wanted}")
    return rule


def every(*rules: Rule) -> Rule:
    """Several rules for the same value."""
    def rule(value: Any, place: str) -> Iterator[str]:
        for each in rules:
            yield from each(value, place)
    return rule


def members_of(inner: Rule) -> Rule:
    """The members of a list."""
    def rule(value: Any, place: str) -> Iterator[str]:
        for number, member in enumerate(value, start=1):
            yield from inner(member, f"{place}.{number}.member")
    return rule


def structure(rules: dict[str, Rule], required: tuple[str, ...] = ()) -> Rule:
    """The members of a structure by name."""
    def rule(value: Any, place: str) -> Iterator[str]:
        for name, inner in rules.items():
            there = f"{place}.{name[0].lower()}{name[1:]}".lstrip(".")
            if name in value:
                yield from inner(value[name], there)
            elif name in required:
                yield f"Value null at '{there}' failed to satisfy constraint: Member must not be null"
    return rule
