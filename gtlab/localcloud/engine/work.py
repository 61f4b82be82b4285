"""How much work a condition is for each item of a page, so that no page holds up other requests for long.

The service reads a megabyte whatever the filter is. Here a page also ends when its filter has worked for about a tenth
of a second: a filter may have 300 operators, operands of megabytes, and fifty thousand items in a page. Clients go on
at LastEvaluatedKey, as behind any page. The figures are ours; filters as people write them do not reach them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gtlab.localcloud.engine.terms import Terms
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
)
from gtlab.localcloud.engine.values import Value, kind, size

PAGE_BYTES = 1 << 20
MOST_VALUES = 250_000       # of a page's items that are decoded, with those inside documents: some 80 ms
_MOST_OPERATIONS = 150_000  # of a page: each takes about a microsecond at most
_MOST_WALKS = 20            # through all values of a page, where each takes some 15 ms
# Bytes of a constant that take as long as an operation: documents are compared member by member.
_DOCUMENT, _OTHER = 8, 512
_PATHS, _SELECTED = 16, 4  # paths that are shown of an item in the time of an operation: of a projection, of a SELECT
_SHOWN = 3                  # operations in whose time a small item is cut to what is shown of it
_VIEW, _NESTED = 3, 10  # operations in whose time a small item is cut to an index, or to paths inside documents


class Work(NamedTuple):
    """Of a filter and of what is shown: ``operations`` for each item; ``walks``: how often the values of an item are
    walked through."""

    operations: int
    walks: int

    def showing(self, paths: int = 0, selected: int = 0, *, is_nested: bool = False, is_cut: bool = False) -> Work:
        """With so many paths of a projection or of a SELECT that are shown of each item. ``is_nested``: some of a
        projection lead into documents; ``is_cut``: what an index lacks is cut off."""
        operations = self.operations + paths // _PATHS + selected // _SELECTED + _NESTED * is_nested + _VIEW * is_cut
        return self._replace(operations=max(operations, _SHOWN) if paths or selected else operations)

    @property
    def most_items(self) -> int:
        return max(1, _MOST_OPERATIONS // max(1, self.operations))

    @property
    def most_bytes(self) -> int:
        return PAGE_BYTES if self.walks <= _MOST_WALKS else PAGE_BYTES * _MOST_WALKS // self.walks


def of_condition(tree: Condition, terms: Terms, name: str) -> Work:
    """The work of a condition; ``name`` is the expression's."""
    operations = walks = 0
    left: list[Condition | Operand] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, Both):
            left += node.left, node.right
        elif isinstance(node, Not):
            left.append(node.inner)
        elif isinstance(node, Truth):
            left.append(node.condition)
        elif isinstance(node, Placeholder):
            operations += _of_constant(terms.value(name, node))
        elif not isinstance(node, Path):
            operands = _operands(node)
            operations += 1
            walks += isinstance(node, Function) or all(isinstance(operand, Path) for operand in operands[:2])
            left += operands
    return Work(operations, walks)


def _operands(node: Condition | Operand) -> list[Operand]:
    if isinstance(node, Compare):
        return [node.left, node.right]
    if isinstance(node, Between):
        return [node.operand, node.low, node.high]
    if isinstance(node, In):
        return [node.operand, *node.options]
    return list(node.arguments) if isinstance(node, Function) else []


def _of_constant(value: Value) -> int:
    return size(value) // (_DOCUMENT if kind(value) in ("L", "M") else _OTHER)


def of_older(given: dict[str, dict[str, Any]]) -> Work:
    """The work of a QueryFilter or a ScanFilter that has been checked."""
    values = [value for condition in given.values() for value in condition.get("AttributeValueList", ())]
    return Work(len(given) + len(values) + sum(map(_of_constant, values)), len(given))


NONE = Work(0, 0)
