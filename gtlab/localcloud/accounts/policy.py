"""An identity-based policy of IAM: read from JSON, and asked whether it allows an action on a resource.

What gtlab does not evaluate is refused when the policy is read, so that no policy is stricter or laxer here than it
looks. AWS's rules: an explicit Deny wins; otherwise an Allow is needed; actions are compared without regard to case,
resources with it; ``*`` and ``?`` are wildcards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

_ELEMENTS = ("Version", "Id", "Statement")
_STATEMENT = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
_VERSION = "2012-10-17"
MOST_BYTES = 6144  # of a managed policy on AWS; white space does not count there, and does here
# Condition keys that the local cloud knows the values of; those that end in a slash continue with the key of a tag.
KEYS = ("aws:requestedregion", "aws:principalaccount", "aws:principalarn", "aws:tagkeys", "dynamodb:enclosingoperation",
        "iam:awsservicename", "iam:passedtoservice", "aws:requesttag/", "aws:resourcetag/")
Context = Mapping[str, tuple[str, ...]]  # the values of a request by condition key, in lower case


class Decision(Enum):
    """What a policy says of an action."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "no statement allows it"
    DENIED = "a statement denies it"


class _Test(NamedTuple):
    """One line of a condition."""

    compare: Callable[[str, str], bool]
    negated: bool
    quantifier: str       # forallvalues, foranyvalue, or empty
    if_exists: bool
    key: str
    values: tuple[str, ...]

    def holds(self, context: Context) -> bool:
        given = context.get(self.key, ())
        if self.compare is _is_null:
            return any((value.lower() == "true") != bool(given) for value in self.values)
        if not given:
            return self.if_exists or self.quantifier == "forallvalues" or (self.negated and not self.quantifier)
        matches = (any(self.compare(pattern, value) for pattern in self.values) != self.negated for value in given)
        every = self.quantifier == "forallvalues" or (self.negated and not self.quantifier)
        return all(matches) if every else any(matches)


class Statement(NamedTuple):
    allows: bool
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    tests: tuple[_Test, ...]

    def applies(self, action: str, resource: str, context: Context) -> bool:
        return (any(_like(pattern.lower(), action.lower()) for pattern in self.actions) != self.not_actions
                and any(_like(pattern, resource) for pattern in self.resources) != self.not_resources
                and all(test.holds(context) for test in self.tests))


class Policy(NamedTuple):
    """``document`` is the JSON as it was given."""

    document: dict[str, Any]
    statements: tuple[Statement, ...]

    def decide(self, action: str, resource: str, context: Context) -> Decision:
        applying = [each.allows for each in self.statements if each.applies(action, resource, context)]
        if not applying:
            return Decision.NOT_ALLOWED
        return Decision.ALLOWED if all(applying) else Decision.DENIED


def read(document: Any) -> Policy:
    """A policy from its document (JSON text, or what it contains). Raises ValueError that says what is wrong, or what
    gtlab does not evaluate."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            raise ValueError("The policy is not JSON.") from None
    if not isinstance(document, dict):
        raise ValueError('The policy must be a JSON object, such as {"Version": "2012-10-17", "Statement": […]}.')
    if len(json.dumps(document)) > MOST_BYTES:
        raise ValueError(f"The policy has more than {MOST_BYTES:,} characters, the most that AWS accepts.")
    _known(document, _ELEMENTS, "The policy")
    if document.get("Version") != _VERSION:
        raise ValueError(f'The policy\'s Version must be "{_VERSION}"; it is {document.get("Version")!r}.')
    if "${" in json.dumps(document):
        raise ValueError("gtlab does not evaluate policy variables (${…}); write the value.")
    statements = _listed(document.get("Statement", []))
    if not statements:
        raise ValueError("The policy has no Statement.")
    return Policy(document, tuple(_statement(each, at) for at, each in enumerate(statements, 1)))


def _statement(given: Any, at: int) -> Statement:
    what = f"Statement {at}"
    if not isinstance(given, dict):
        raise ValueError(f"{what} must be a JSON object.")
    if "Principal" in given or "NotPrincipal" in given:
        raise ValueError(f"{what} names a Principal: an identity-based policy has none. It belongs to the user.")
    _known(given, _STATEMENT, what)
    if given.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"{what}: Effect must be Allow or Deny; it is {given.get('Effect')!r}.")
    actions, resources = _one_of(given, "Action", what), _one_of(given, "Resource", what)
    wrong = [each for each in actions if each != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", each)]
    if wrong:
        raise ValueError(f"{what}: {wrong[0]!r} is not an action, such as dynamodb:PutItem or dynamodb:*.")
    wrong = [each for each in resources if each != "*" and not each.startswith("arn:")]
    if wrong:
        raise ValueError(f"{what}: {wrong[0]!r} is not a resource: an ARN, or *.")
    return Statement(given["Effect"] == "Allow", actions, "NotAction" in given, resources, "NotResource" in given,
                     _condition(given.get("Condition", {}), what))


def _one_of(given: dict[str, Any], name: str, what: str) -> tuple[str, ...]:
    """The strings of the element, or of its opposite: just one of them must be there."""
    there = [each for each in (name, f"Not{name}") if each in given]
    if len(there) != 1:
        raise ValueError(f"{what} must have either {name} or Not{name}.")
    found = _listed(given[there[0]])
    if not found or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{what}: {there[0]} must be a string or a list of strings.")
    return tuple(found)


def _known(given: dict[str, Any], names: Iterable[str], what: str) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"{what} has the element {unknown[0]!r}; known are {', '.join(names)}.")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Conditions

def _equals(pattern: str, value: str) -> bool:
    return pattern == value


def _equals_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


def _like(pattern: str, value: str) -> bool:
    return pattern == "*" or _pattern(pattern).fullmatch(value) is not None


def _is_null(pattern: str, value: str) -> bool:
    raise AssertionError("Null compares no values")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in text), re.S)


_OPERATORS = {"stringequals": (_equals, False), "stringnotequals": (_equals, True),
              "stringequalsignorecase": (_equals_ignoring_case, False),
              "stringnotequalsignorecase": (_equals_ignoring_case, True),
              "stringlike": (_like, False), "stringnotlike": (_like, True),
              "arnequals": (_like, False), "arnlike": (_like, False), "arnnotequals": (_like, True),
              "arnnotlike": (_like, True), "null": (_is_null, False)}


def _condition(given: Any, what: str) -> tuple[_Test, ...]:
    if not isinstance(given, dict) or not all(isinstance(keys, dict) for keys in given.values()):
        raise ValueError(f'{what}: Condition must be an object, such as {{"StringEquals": {{KEY: VALUE}}}}.')
    return tuple(_test(operator, key, values, what) for operator, keys in given.items()
                 for key, values in keys.items())


def _test(operator: str, key: str, values: Any, what: str) -> _Test:
    quantifier, _, name = operator.lower().rpartition(":")
    bare = name.removesuffix("ifexists")
    if bare not in _OPERATORS or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise ValueError(f"{what}: gtlab does not evaluate the condition operator {operator!r}; it knows StringEquals, "
                         "StringLike, ArnLike, their Not and IgnoreCase forms, Null, IfExists, ForAllValues and "
                         "ForAnyValue.")
    known = key.lower()
    if not any(known == each or (each.endswith("/") and known.startswith(each) and known != each) for each in KEYS):
        raise ValueError(f"{what}: gtlab does not evaluate the condition key {key!r}; it knows "
                         "aws:RequestedRegion, aws:PrincipalAccount, aws:PrincipalArn, aws:RequestTag/KEY, "
                         "aws:ResourceTag/KEY, aws:TagKeys, dynamodb:EnclosingOperation, iam:AWSServiceName and "
                         "iam:PassedToService.")
    found = tuple(str(value).lower() if isinstance(value, bool) else value for value in _listed(values))
    if not found or not all(isinstance(value, str) for value in found):
        raise ValueError(f"{what}: the value of {key} must be a string or a list of strings.")
    compare, negated = _OPERATORS[bare]
    return _Test(compare, negated, quantifier, name != bare, known, found)
