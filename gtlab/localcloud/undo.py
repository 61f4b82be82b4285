"""Undo an operation of the control plane that an error of gtlab's interrupted: whoever sends it again finds everything
as it was before.

Such an operation changes descriptions, statuses and memberships, which are few beside the items. So those of the
tables that it names are noted before it, and put back in place; none of the rooms has to know. What grows with the
number of items is left out (``BULK``): an operation replaces such an attribute, or frees what is in it after the call
(:meth:`Slices.later`).
"""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections import defaultdict, deque
from collections.abc import Collection
from typing import Any

from gtlab.localcloud.engine.items import IndexedItems
from gtlab.localcloud.engine.ordered import Ordered
from gtlab.localcloud.engine.snapshots import Snapshot
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.globaltables.membership import Group
from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.observe.internal_errors import InternalErrors
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication.backfill import Backfill
from gtlab.localcloud.tables.streams import Stream
from gtlab.localcloud.world import World

_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
# Parts that these operations do not change, only create, or may change in vain: a backfill may begin again.
_LEFT_OUT = (World, Journal, InternalErrors, IndexedItems, Ordered, Snapshot, Backfill)


class Undo:
    """What ``parts`` of the cloud, and all that they consist of, have at this moment; as a context manager, undoes the
    block if it raises another exception than Refusal. What belongs to tables that a call does not name is left out, so
    that it makes no difference how many there are. ``call`` is None for what changes no tables."""

    def __init__(self, call: Call | None, journal: Journal, *parts: object):
        named = _tables(call) if call else ()
        self._journal, self._last = journal, journal.last
        self._kept: dict[int, tuple[Any, Any]] = {}  # by identity: what it is, and what it has
        left: list[Any] = list(parts)
        while left:
            part = left.pop()
            kind: type = type(part)
            if id(part) in self._kept:
                continue
            has: Any
            found: Collection[Any]
            if kind is dict or kind is defaultdict:
                has = dict(part)
                found = has.values()
            elif kind is list or kind is deque:
                found = has = list(part)
            elif kind is set:
                has, found = set(part), ()
            elif kind is tuple:
                left += part
                continue
            elif _can_change(kind):
                table = _table_of(part)
                if table and table not in named:
                    continue
                has = _attributes(part, kind)
                bulk = getattr(kind, "BULK", ())
                found = [value for name, value in has.items() if name not in bulk]
            else:
                continue
            self._kept[id(part)] = part, has
            left += [each for each in found if type(each) not in _ATOMS]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        if error is not None and not isinstance(error, Refusal):  # what is refused has changed nothing
            self._undo()

    def _undo(self) -> None:
        for part, has in self._kept.values():
            if isinstance(part, list):
                part[:] = has
            elif isinstance(part, deque):
                part.clear()
                part.extend(has)
            elif isinstance(part, dict | set):
                part.clear()
                part.update(has)
            else:
                for name, value in has.items():
                    setattr(part, name, value)
        self._journal.take_back(self._last)


def _tables(call: Call) -> set[tuple[str, str]]:
    """The accounts and names of the tables that an operation may change: those that its input names."""
    return {(call.account, value.partition("table/")[2].partition("/")[0] or value)  # by an ARN, or by the name
            for value in call.input.values() if isinstance(value, str)}


def _table_of(part: object) -> tuple[str, str] | None:
    """The account and the name of the tables that a part belongs to; None for a part of none."""
    if isinstance(part, Table):
        return part.id.account, part.id.name
    if isinstance(part, Stream):
        return part.account, part.table
    return (part.account, part.name) if isinstance(part, Group) else None


@functools.cache
def _can_change(kind: type) -> bool:
    """Whether it is a class of ours whose objects change."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return (kind.__module__.startswith("gtlab.localcloud.") and not issubclass(kind, (tuple, dict, *_LEFT_OUT))
            and not (parameters and parameters.frozen))


def _attributes(part: Any, kind: type) -> dict[str, Any]:
    return {name: getattr(part, name) for name in attribute_names(kind) if hasattr(part, name)}


@functools.cache
def attribute_names(kind: type) -> tuple[str, ...]:
    """The attributes that a class and its methods set in objects. (They are not read from an object's ``__dict__``:
    once it has been asked for, Python 3.11 and 3.12 take longer for each access to the object's attributes, which every
    later request would feel.)"""
    methods = [method for each in kind.__mro__ for method in vars(each).values() if inspect.isfunction(method)]
    found = [step.argval for method in methods for step in dis.get_instructions(method) if step.opname == "STORE_ATTR"]
    slots = [name for each in kind.__mro__ for name in getattr(each, "__slots__", ())]
    return tuple(name for name in dict.fromkeys((*slots, *found))
                 if not isinstance(vars(kind).get(name), (types.FunctionType, property)))
