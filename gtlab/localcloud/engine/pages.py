"""One page of a Query, a Scan or a SELECT: which items it has, what it shows of them, and what it consumes."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from itertools import accumulate, chain, islice
from typing import Any, NamedTuple, NotRequired, TypedDict

import msgspec

from gtlab.localcloud.engine.charges import READ, Charge, read_units
from gtlab.localcloud.engine.conditions import Test
from gtlab.localcloud.engine.ordered import Stretch
from gtlab.localcloud.engine.table import Index, Table
from gtlab.localcloud.engine.values import Item, item_size, unpack
from gtlab.localcloud.engine.work import MOST_VALUES, NONE, Work
from gtlab.localcloud.model import invalid_values

_AT_ONCE = 500  # items
_LEAST_BYTES = 8  # of the JSON of a value
_encode = msgspec.json.encode
_decode = msgspec.json.decode
_decode_several = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Page(NamedTuple):
    """What one step of a Query or a Scan has read: the JSON of each item as it is shown, and how many items were read.
    ``bytes`` is what the table or the index has of these; ``fetched``: the sizes of the items that a local index
    fetched from its table. ``end``: the last item, if there may be more behind it."""

    items: list[bytes]
    scanned: int
    bytes: int
    end: Item | None
    fetched: list[int]


class Look(NamedTuple):
    """How a page is read: at most ``limit`` items, through a ``view``, those that pass a ``test``, and what ``show``
    leaves of them; None for all of them and all of it. ``work``: of the test and of what is shown."""

    limit: int | None
    view: View | None
    test: Test | None
    show: Callable[[Item], Item] | None
    work: Work = NONE

    @property
    def most(self) -> int | None:
        """How many items the page may have."""
        if not self.work.operations:
            return self.limit
        return self.work.most_items if self.limit is None else min(self.limit, self.work.most_items)


class View(NamedTuple):
    """What a read sees of an index that does not have all attributes. ``fetches``: it asks for more than the index has,
    so each item is fetched from the table; ``cut``: only to filter them, so the answer does not have that."""

    projected: frozenset[str]
    fetches: bool
    cut: bool

    def entry(self, item: Item) -> Item:
        """The part of an item that the index has."""
        return {name: value for name, value in item.items() if name in self.projected}


def view_of(index: Index | None, asked: Collection[str] | None, filtered: set[str]) -> View | None:
    """How an index is read; None if it has all attributes. ``asked``: the attributes that are to be returned, empty for
    those that the index has, None for all of them; ``filtered``: those of the filter. Raises Refusal if a global index
    does not have them, and lists them in the order in which they are given."""
    if index is None or index.projected is None:
        return None
    if index.is_global:
        lacking = [name for name in asked or () if name not in index.projected]
        if lacking:
            raise invalid_values(f"Global secondary index {index.name} does not project [{', '.join(lacking)}]")
        return View(index.projected, fetches=False, cut=False)
    fetches = asked is None or not all(name in index.projected for name in chain(asked, filtered))
    return View(index.projected, fetches, cut=fetches and asked is not None and not asked)


def read_page(found: Iterator[Stretch], look: Look) -> Page:
    """One page: at most so many items and 1 MB, both before the filter. There may be more behind a page that ends at
    one of these limits, even if there is not: the service does not look ahead."""
    if look.view:
        return _page_in_view(found, look, look.view)
    sizes: list[int] | None = None if look.test is None and look.show is None else []
    taken, size, more = _taken(found, look.most, look.work.most_bytes, sizes)
    if sizes is not None and (fit := _decodable(taken)) < len(taken):
        taken, size, more = taken[:fit], sum(sizes[:fit]), True
    end = _decode(taken[-1]) if more and taken else None
    return Page(_shown(taken, look.test, look.show), len(taken), size, end, [])


def _page_in_view(found: Iterator[Stretch], look: Look, view: View) -> Page:
    """A page of an index that does not have all attributes. What it has of an item must be cut out to be counted. What
    it fetches from the table is read, too, so it counts towards the megabyte."""
    items, fetched, scanned, size, total, values = list[bytes](), list[int](), 0, 0, 0, 0
    last: Item | None = None
    most = look.most
    read = None if view.fetches else _entry_decoder(view.projected)
    for packed in islice(chain.from_iterable(map(Stretch.packed, found)), most):
        whole = unpack(packed) if read is None else read(packed[0])
        entry = view.entry(whole) if read is None else whole
        bytes_ = item_size(entry)
        total += bytes_ + (packed[1] if view.fetches else 0)
        values += values_in(packed[0]) if view.fetches else 0
        if (total > look.work.most_bytes or values > MOST_VALUES) and last is not None:
            return Page(items, scanned, size, last, fetched)
        scanned, size, last = scanned + 1, size + bytes_, whole
        seen = entry
        if view.fetches:
            seen = whole
            fetched.append(packed[1])
        if look.test is None or look.test(seen):
            told = entry if view.cut else seen
            items.append(_encode(look.show(told) if look.show else told))
    return Page(items, scanned, size, last if most is not None and scanned >= most else None, fetched)


@functools.lru_cache(maxsize=256)
def _entry_decoder(projected: frozenset[str]) -> Callable[[bytes], Item]:
    """Decodes of an item's JSON what an index has, and skips the rest: an item may be thousands of times as large."""
    make: Any = TypedDict  # built at run time: type checkers accept only literal arguments
    return msgspec.json.Decoder(make("Entry", dict.fromkeys(projected, NotRequired[dict[str, Any]]))).decode


def values_in(json: bytes) -> int:
    """How many values an item has, with those inside documents; braces in strings count, too."""
    return json.count(b"{")


def _decodable(taken: list[bytes]) -> int:
    """How many of these items a page may have because they are decoded. It has the first one in any case."""
    if sum(map(len, taken)) < MOST_VALUES * _LEAST_BYTES:
        return len(taken)
    values = accumulate(map(values_in, taken))
    return max(1, next((place for place, count in enumerate(values) if count > MOST_VALUES), len(taken)))


def _taken(found: Iterator[Stretch], limit: int | None, most_bytes: int, all_sizes: list[int] | None
           ) -> tuple[list[bytes], int, bool]:
    """The JSON of a page's items, their size, and whether there may be more. Nothing is looked at one by one but the
    end of the page, which would take most of the time of a Scan. The size of each item is added to ``all_sizes``, if
    somebody wants them."""
    taken, size = list[bytes](), 0
    for stretch in found:
        room = len(stretch.jsons) if limit is None else limit - len(taken)
        if size + stretch.bytes <= most_bytes and len(stretch.jsons) <= room:
            taken += stretch.jsons
            size += stretch.bytes
            if all_sizes is not None:
                all_sizes += stretch.sizes
            if len(taken) == limit:
                return taken, size, True
            continue
        sizes = list(accumulate(stretch.sizes[:room], initial=size))
        fit = bisect_right(sizes, most_bytes) - 1
        if not taken:
            fit = max(fit, 1)  # the first item always fits
        if all_sizes is not None:
            all_sizes += stretch.sizes[:fit]
        return taken + stretch.jsons[:fit], sizes[fit], True
    return taken, size, False


def _shown(taken: list[bytes], test: Test | None, show: Callable[[Item], Item] | None) -> list[bytes]:
    """The JSON of the items that pass a test, and of what is shown of them. Many items are decoded at once, which takes
    a third of the time, but not all, so that they are freed before the garbage collector looks at them."""
    if test is None and show is None:
        return taken
    told = list[bytes]()
    for start in range(0, len(taken), _AT_ONCE):
        several = taken[start:start + _AT_ONCE]
        items = _decode_several(b"[%b]" % b",".join(several))
        if show is None and test is not None:
            told += [json for json, item in zip(several, items, strict=True) if test(item)]
        elif show is not None:
            told += [_encode(show(item)) for item in items if test is None or test(item)]
    return told


def encoded(answer: dict[str, Any], items: list[bytes] | None) -> bytes:
    """An answer as JSON, with its "Items" if there are any. A page of a megabyte is copied once: copies take most of
    the time of a Scan."""
    if items is None:
        return _encode(answer)
    begin = b"{" if not answer else _encode(answer)[:-1] + b","
    if not items:
        return begin + b'"Items":[]}'
    parts = items.copy()
    parts[0] = begin + b'"Items":[' + parts[0]
    parts[-1] += b"]}"
    return b",".join(parts)


def page_charges(table: Table, index: Index | None, page: Page, *, consistent: bool) -> list[Charge]:
    """What a page consumes: its bytes together, and each item that a local index fetched by itself."""
    name, is_global = (index.name, index.is_global) if index else (None, False)
    return [Charge(table.id, name, is_global, READ, read_units(page.bytes, consistent=consistent)),
            *(Charge(table.id, None, False, READ, read_units(size, consistent=consistent)) for size in page.fetched)]
