"""Python files, parsed once for all tests that read them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"))


def parsed(text: str) -> ast.Module:
    """Garbage collection pauses meanwhile: it finds nothing in a tree, and takes most of the time."""
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        gc.enable()


def forget() -> None:
    """Let go of the trees: garbage collection would look at their hundreds of thousands of objects in later tests."""
    tree.cache_clear()


def statements(node: ast.AST) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Every statement in a module, a function or another statement, with the node that it stands in. To walk the
    expressions too takes much longer."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, part, ()):
            yield inner, node
            yield from statements(inner)
