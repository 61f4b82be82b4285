"""What of a table or an index a WHERE reads: one partition or several (a Query each), or everything (a Scan); and the
key of the one item that a write names.

A WHERE is taken apart into branches: the alternatives that OR and IN make of the conditions on the key. Which WHERE is
refused, and why, is as others captured it on the service in September and October 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from gtlab.localcloud.engine.conditions import operand_paths
from gtlab.localcloud.engine.items import KeySchema, Range
from gtlab.localcloud.engine.key_conditions import KeyTest, bounds
from gtlab.localcloud.engine.partiql import Literals
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
)
from gtlab.localcloud.engine.values import Item, Value, kind, sort_bytes
from gtlab.localcloud.model import Refusal, invalid

MOST_READS = 50
_MOST_BRANCHES = 200  # our bound: a WHERE with more than 50 that all name a partition is refused
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Branch(NamedTuple):
    """One alternative of a WHERE: the tests of key attributes, and the other conditions, that all have to hold."""

    tests: tuple[tuple[str, KeyTest], ...] = ()
    filters: tuple[Condition, ...] = ()

    def values(self, name: str) -> list[Value]:
        """The values that an attribute has to be equal to, each once."""
        found = [test.values[0] for tested, test in self.tests if tested == name and test.operator == "="]
        return [value for place, value in enumerate(found) if value not in found[:place]]


class Reads(NamedTuple):
    """The branches of a WHERE and the part of a partition that each reads; ``ranges`` is None for a Scan."""

    branches: list[Branch]
    ranges: list[Range] | None


class _TooMany(Exception):
    """There are more branches than are looked at."""


def conjuncts(where: Condition | None) -> Iterator[Condition]:
    """The conditions that all have to hold."""
    left = [] if where is None else [where]
    while left:
        condition = left.pop()
        if isinstance(condition, Both) and condition.operator == "AND":
            left += condition.right, condition.left
        else:
            yield condition


def reads(where: Condition | None, schema: KeySchema, terms: Literals, *, typed: bool) -> Reads:
    """What a WHERE reads. Raises Refusal; if ``typed``, also for the test of a key with a value of another type, where
    each branch names a partition."""
    if where is None:
        return Reads([], None)
    try:
        found = _spread(where, schema, terms)
    except _TooMany:
        if _pins(where, schema, terms):
            raise _too_many_reads() from None
        return Reads([], None)
    named = [len(branch.values(schema.partition[0])) for branch in found]
    if all(named):
        if len(found) > MOST_READS:
            raise _too_many_reads()
        if typed:
            _check_types(found, schema)
    if any(count != 1 for count in named):
        return Reads(found, None)
    ranges = [_range(branch, schema) for branch in found]
    return Reads(found, None if _overlap(found, ranges, schema, terms) else ranges)


def _too_many_reads() -> Refusal:
    return invalid("Too many decomposed read operations for a given query.")


def _check_types(branches: list[Branch], schema: KeySchema) -> None:
    for branch in branches:
        for name, test in branch.tests:
            if any(kind(value) != schema.types[name] for value in test.values):
                raise invalid("Key attribute's data type should match its data type in table's schema: Key " + name)


def _pins(where: Condition, schema: KeySchema, terms: Literals) -> bool:
    """Whether each branch names a partition."""
    if isinstance(where, Both):
        both = (_pins(each, schema, terms) for each in (where.left, where.right))
        return any(both) if where.operator == "AND" else all(both)
    return any(name == schema.partition[0] for name, _ in _alternatives(where, schema, terms))


def _spread(where: Condition, schema: KeySchema, terms: Literals) -> list[Branch]:
    if isinstance(where, Both) and (where.operator == "AND" or _names_key(where, schema, terms)):
        left, right = (_spread(each, schema, terms) for each in (where.left, where.right))
        if where.operator == "OR":
            found = left + right
        elif len(left) * len(right) > _MOST_BRANCHES:
            raise _TooMany
        else:
            found = [Branch(one.tests + other.tests, one.filters + other.filters) for one in left for other in right]
    else:
        found = [Branch((test,)) for test in _alternatives(where, schema, terms)] or [Branch((), (where,))]
    if len(found) > _MOST_BRANCHES:
        raise _TooMany
    return found


def _names_key(where: Condition, schema: KeySchema, terms: Literals) -> bool:
    if isinstance(where, Both):
        return any(_names_key(each, schema, terms) for each in (where.left, where.right))
    return bool(_alternatives(where, schema, terms))


def _alternatives(where: Condition, schema: KeySchema, terms: Literals) -> list[tuple[str, KeyTest]]:
    """A condition as tests of one key attribute, of which one has to hold; empty if it is none."""
    if isinstance(where, In):
        name, values = _name(where.operand), _constants(where.options, terms)
        if name in schema.names and values is not None:
            return [(name, KeyTest("=", (value,))) for value in values]
        return []
    found = tested(where, terms)
    if found is None or found[0] not in schema.names or (
            found[0] in schema.partition and found[1].operator != "="):
        return []
    return [found]


def tested(condition: Condition, terms: Literals) -> tuple[str, KeyTest] | None:
    """A condition as a test of one attribute, if it is one that a key can have."""
    name: str | None = None
    values: tuple[Operand, ...] = ()
    if isinstance(condition, Compare) and condition.operator != "<>":
        left, right, operator = condition.left, condition.right, condition.operator
        if isinstance(left, Placeholder):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        name, values = _name(left), (right,)
    elif isinstance(condition, Between):
        name, operator, values = _name(condition.operand), "BETWEEN", (condition.low, condition.high)
    elif isinstance(condition, Function) and condition.name == "begins_with":
        name, operator, values = _name(condition.arguments[0]), "begins_with", condition.arguments[1:]
    constants = _constants(values, terms)
    return None if name is None or constants is None else (name, KeyTest(operator, constants))


def _name(operand: Operand) -> str | None:
    return str(operand.parts[0]) if isinstance(operand, Path) and len(operand.parts) == 1 else None


def _constants(operands: Iterable[Operand], terms: Literals) -> tuple[Value, ...] | None:
    """The values of operands; None if one of them is no constant."""
    found = tuple(terms.constants[each.name] for each in operands if isinstance(each, Placeholder))
    return found if len(found) == len(tuple(operands)) else None


def _range(branch: Branch, schema: KeySchema) -> Range:
    """The part of a partition that the tests of the sort key leave."""
    partition = sort_bytes(branch.values(schema.partition[0])[0])
    found = Range(partition)
    for name, test in branch.tests:
        if name in schema.sort and kind(test.values[0]) == schema.types[name]:
            other = bounds(partition, {name: test}, schema)
            if other.low is not None and (found.low is None or other.low > found.low):
                found = found._replace(low=other.low)
            if other.high is not None and (found.high is None or (other.high, not other.high_open) < (
                    found.high, not found.high_open)):
                found = found._replace(high=other.high, high_open=other.high_open)
    return found


def is_empty(asked: Range) -> bool:
    return asked.low is not None and not asked.holds(asked.low)


def _overlap(branches: list[Branch], ranges: list[Range], schema: KeySchema, terms: Literals) -> bool:
    """Whether two branches may read the same item. Raises Refusal, unless one of them has a negated condition on the
    sort key: the service carries that out, here by a Scan."""
    found = False
    if len(branches) < 2:
        return False
    by_partition: dict[bytes, list[tuple[Range, Branch]]] = {}
    for asked, branch in zip(ranges, branches, strict=True):
        if not is_empty(asked):
            by_partition.setdefault(asked.partition, []).append((asked, branch))
    for several in by_partition.values():
        if len(several) < 2:
            continue
        several.sort(key=lambda each: each[0].low or b"")
        reach, holder = several[0]
        for asked, branch in several[1:]:
            if asked.low is None or reach.high is None or reach.holds(asked.low):
                if not any(_negates(each, schema, terms) for each in (*holder.filters, *branch.filters)):
                    raise invalid("Overlapping conditions with range keys are not supported in where clause")
                found = True
            if reach.high is not None and (asked.high is None or asked.high >= reach.high):
                reach, holder = asked, branch
    return found


def _negates(condition: Condition, schema: KeySchema, terms: Literals) -> bool:
    """Whether a condition says what the sort key is not."""
    if not isinstance(condition, Not) and not (isinstance(condition, Compare) and condition.operator == "<>"):
        return False
    return {path[0] for path in operand_paths(condition, terms, "")} == set(schema.sort)


# The key of one item

def read_by_key(found: Reads, schema: KeySchema) -> Item | None:
    """The key that a SELECT of one item names, if it names that and nothing else."""
    if len(found.branches) != 1 or found.branches[0].filters:
        return None
    branch, = found.branches
    values = {name: branch.values(name) for name in schema.names}
    if any(len(each) != 1 for each in values.values()) or any(test.operator != "=" for _, test in branch.tests):
        return None
    return {name: each[0] for name, each in values.items()}


def key_values(where: Condition | None, schema: KeySchema, terms: Literals) -> dict[str, list[Value]]:
    """The values that a statement's WHERE asks the key attributes to be equal to, each once; only of those that it
    names."""
    equal = terms.equal
    if equal is None:
        equal = terms.equal = _equal(where, terms)
    return {name: equal[name] for name in schema.names if name in equal}


def _equal(where: Condition | None, terms: Literals) -> dict[str, list[Value]]:
    """The values that each attribute has to be equal to, each once."""
    found: dict[str, dict[bytes, Value]] = {}
    for condition in conjuncts(where):
        if isinstance(condition, Compare) and condition.operator == "=":
            test = tested(condition, terms)
            if test is not None:
                value, = test[1].values
                found.setdefault(test[0], {}).setdefault(msgspec.json.encode(value, order="sorted"), value)
    return {name: list(values.values()) for name, values in found.items()}


def unprojected(found: Reads, projected: frozenset[str], terms: Literals) -> list[str]:
    """The attributes of filters that an index lacks, which the service refuses where the key decides what is read:
    those of the last branch, in the order of Java's sets, if each branch has one."""
    missing = list[str]()
    for _, branch in sorted(zip(found.ranges or (), found.branches, strict=False), key=lambda each: each[0].partition):
        names = (str(path[0]) for each in branch.filters for path in operand_paths(each, terms, ""))
        missing = [name for name in dict.fromkeys(names) if name not in projected]
        if not missing:
            return []
    return sorted(missing, key=_bucket)


def _bucket(name: str) -> int:
    """The place of a string in a small HashSet of Java."""
    encoded, code = name.encode("utf-16-be", "surrogatepass"), 0
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        code = (31 * code + 256 * high + low) & 0xFFFF_FFFF
    return (code ^ code >> 16) & 15
