"""Undo an operation of the control plane that an error of gtlab's interrupted: whoever sends it again finds everything
as it was before.

Such an operation changes descriptions, statuses and memberships, which are few beside the items. So all of them are
noted before it, and put back in place; none of the rooms has to know. What grows with the number of items is left out
(``BULK``): an operation replaces such an attribute, or frees what is in it after the call (:meth:`Slices.later`).
"""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Collection
from typing import Any

from gtlab.localcloud.engine.items import IndexedItems
from gtlab.localcloud.engine.ordered import Ordered
from gtlab.localcloud.engine.snapshots import Snapshot
from gtlab.localcloud.engine.table import Table
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.observe.internal_errors import InternalErrors
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication.backfill import Backfill
from gtlab.localcloud.world import World

_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
# Parts that these operations do not change, only create, or may change in vain: a backfill may begin again.
_LEFT_OUT = (World, Journal, InternalErrors, IndexedItems, Ordered, Snapshot, Backfill)


class Undo:
    """What ``parts`` of the cloud, and all that they consist of, have at this moment; as a context manager, undoes the
    block if it raises another exception than Refusal. What belongs to other accounts than ``account`` is left out: an
    operation changes only its own account's. None: all accounts."""

    def __init__(self, account: str | None, journal: Journal, *parts: object):
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
                if account and getattr(part.id if kind is Table else part, "account", account) != account:
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


@functools.cache
def _can_change(kind: type) -> bool:
    """Whether it is a class of ours whose objects change."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return (kind.__module__.startswith("gtlab.localcloud.") and not issubclass(kind, (tuple, dict, *_LEFT_OUT))
            and not (parameters and parameters.frozen))


@functools.cache
def _slots(kind: type) -> list[str]:
    return [name for each in kind.__mro__ for name in getattr(each, "__slots__", ())]


def _attributes(part: Any, kind: type) -> dict[str, Any]:
    return {**getattr(part, "__dict__", {}), **{name: getattr(part, name) for name in _slots(kind)}}
