"""Projections: the part of an item that some paths name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gtlab.localcloud.engine.terms import Parts
from gtlab.localcloud.engine.values import Item, Value

_MANY = 1000
_Tree = dict[Any, Any]  # a path's parts; an empty tree is the end of a path


class Projection:
    """``paths`` must not contain each other."""

    __slots__ = ("_names", "_places", "_tree")

    def __init__(self, paths: Iterable[Parts]):
        self._tree: _Tree = {}
        for path in paths:
            node = self._tree
            for part in path:
                node = node.setdefault(part, {})
        self._names = None if any(self._tree.values()) else list(self._tree)
        # The place of each name, of a projection that may have far more names than an item.
        self._places = ({name: place for place, name in enumerate(self._names)}
                        if self._names is not None and len(self._names) > _MANY else None)

    def of(self, item: Item) -> Item:
        """The part of the item; empty if no path leads anywhere. The list elements keep their order, without gaps."""
        if self._places is not None and len(item) < len(self._places):
            names = sorted(self._places.keys() & item.keys(), key=self._places.__getitem__)
            return {name: item[name] for name in names}
        if self._names is not None:  # most projections name attributes only
            return {name: item[name] for name in self._names if name in item}
        found = {name: _part(item[name], inner) for name, inner in self._tree.items()
                 if name in item}
        return {name: value for name, value in found.items() if value is not None}


def _part(value: Value, tree: _Tree) -> Value | None:
    if not tree:
        return value
    (kind, content), = value.items()
    parts: list
    if kind == "M":
        parts = [(name, _part(content[name], inner)) for name, inner in tree.items() if name in content]
        found = {name: part for name, part in parts if part is not None}
        return {"M": found} if found else None
    if kind == "L":
        places = sorted(place for place in tree if isinstance(place, int) and place < len(content))
        parts = [_part(content[place], tree[place]) for place in places]
        parts = [part for part in parts if part is not None]
        return {"L": parts} if parts else None
    return None
