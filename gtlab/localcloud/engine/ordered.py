"""Packed items in the order of their keys: bytes that :mod:`items` makes of the hash of a partition and of sort keys.

They are kept in runs of up to a thousand neighbours, with the JSON of the items, their sizes and their keys in lists
beside each other: a page takes whole runs at once, and the garbage collector has a few objects to visit for a thousand
items. A list of pairs, or a dictionary beside a sorted list, is three times slower to read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gtlab.localcloud.engine.values import Packed

_MOST = 1000  # items of a run; where one is added, those behind it are moved


class Stretch(NamedTuple):
    """Some neighbours. The lists may be those of the store: they are read before the next change, and not changed.
    ``bytes``: the sum of ``sizes``."""

    keys: Sequence[bytes]
    jsons: list[bytes]
    sizes: Sequence[int]
    bytes: int

    def packed(self) -> Iterator[Packed]:
        return zip(self.jsons, self.sizes, strict=True)


class _Run:
    """Up to a thousand neighbours."""

    __slots__ = ("bytes", "jsons", "keys", "sizes")

    def __init__(self, keys: list[bytes], jsons: list[bytes], sizes: array[int]):
        self.keys, self.jsons, self.sizes = keys, jsons, sizes
        self.bytes = sum(sizes)

    def split(self) -> _Run:
        """Take the upper half away."""
        half = len(self.keys) // 2
        upper = _Run(self.keys[half:], self.jsons[half:], self.sizes[half:])
        del self.keys[half:], self.jsons[half:], self.sizes[half:]
        self.bytes -= upper.bytes
        return upper

    def part(self, first: int, last: int, forward: bool) -> Stretch:
        """The items from one place to (and without) another, or backwards."""
        if forward and first == 0 and last == len(self.keys):
            return Stretch(self.keys, self.jsons, self.sizes, self.bytes)
        keys, jsons, sizes = self.keys[first:last], self.jsons[first:last], self.sizes[first:last]
        if not forward:
            keys.reverse()
            jsons.reverse()
            sizes.reverse()
        return Stretch(keys, jsons, sizes, sum(sizes))


class Ordered:
    """Items by key. ``count`` and ``bytes``: of all of them; ``largest``: the bytes of the largest one that was ever
    put."""

    __slots__ = ("_found", "_place", "_runs", "_sought", "_starts", "bytes", "count", "largest")

    def __init__(self) -> None:
        self.count = self.bytes = self.largest = 0
        self._runs = [_Run([], [], array("I"))]
        self._starts: list[bytes] = []  # the least key that the second run may have, the third, and so on
        # The key that was sought last, the place of its run, and what was found: an item is looked up, written and
        # saved with the same key, and a search in what is in no cache takes most of that time.
        self._sought: bytes | None = None
        self._place = 0
        self._found = self._runs[0], 0, False

    def _seek(self, key: bytes) -> tuple[_Run, int, bool]:
        """The run of a key, the place in it where the key is or would be, and whether it is there."""
        place = bisect_right(self._starts, key)
        run = self._runs[place]
        at = bisect_left(run.keys, key)
        self._sought, self._place = key, place
        self._found = run, at, at < len(run.keys) and run.keys[at] == key
        return self._found

    def find(self, key: bytes) -> Packed | None:
        run, at, is_there = self._found if key is self._sought else self._seek(key)
        return (run.jsons[at], run.sizes[at]) if is_there else None

    def put(self, key: bytes, new: Packed) -> Packed | None:
        """Add an item, or replace the one with this key, which is returned."""
        run, at, is_there = self._found if key is self._sought else self._seek(key)
        old, (json, size) = None, new
        more = size
        if size > self.largest:
            self.largest = size
        if is_there:
            old = run.jsons[at], run.sizes[at]
            run.jsons[at], run.sizes[at] = new
            more -= old[1]
        else:
            run.keys.insert(at, key)
            run.jsons.insert(at, json)
            run.sizes.insert(at, size)
            self.count += 1
            self._found = run, at, True
        run.bytes += more
        self.bytes += more
        if len(run.keys) > _MOST:
            upper = run.split()
            self._runs.insert(self._place + 1, upper)
            self._starts.insert(self._place, upper.keys[0])
            self._sought = None
        return old

    def pop(self, key: bytes) -> Packed | None:
        """Take an item out; None if there is none."""
        run, at, is_there = self._found if key is self._sought else self._seek(key)
        if not is_there:
            return None
        old = run.jsons.pop(at), run.sizes.pop(at)
        del run.keys[at]
        self.count -= 1
        self._found = run, at, False
        run.bytes -= old[1]
        self.bytes -= old[1]
        if not run.keys and self._starts:
            del self._runs[self._place], self._starts[max(self._place - 1, 0)]
            self._sought = None
        return old

    def between(self, low: bytes, high: bytes | None, *, forward: bool = True, most: int | None = None
                ) -> Iterator[Stretch]:
        """The items with keys from ``low`` up to and without ``high`` (None: all above), or backwards, at most so
        many."""
        first = bisect_right(self._starts, low)
        last = len(self._starts) if high is None else bisect_left(self._starts, high)
        for place in range(first, last + 1) if forward else range(last, first - 1, -1):
            keys = self._runs[place].keys
            begin = bisect_left(keys, low) if place == first else 0
            end = bisect_left(keys, high) if place == last and high is not None else len(keys)
            if most is not None and end - begin >= most:
                begin, end = (begin, begin + most) if forward else (end - most, end)
                most = 0
            elif most is not None:
                most -= max(end - begin, 0)
            if begin < end:
                yield self._runs[place].part(begin, end, forward)
            if most == 0:
                return

    def free(self, most: int) -> None:
        """Free up to so many items of those at the end. To free many at once takes long."""
        while self.count and most > 0:
            run = self._runs[-1]
            begin = max(len(run.keys) - most, 0)
            gone, gone_bytes = len(run.keys) - begin, sum(run.sizes[begin:])
            del run.keys[begin:], run.jsons[begin:], run.sizes[begin:]
            run.bytes -= gone_bytes
            self.bytes -= gone_bytes
            self.count -= gone
            most -= gone
            if not run.keys and self._starts:
                del self._runs[-1], self._starts[-1]
        self._sought = None
