"""The links between copies: the deliveries on their way, in their order, and those that a closed link holds back."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gtlab.localcloud.model import Key
from gtlab.localcloud.replication.deliveries import Delivery, Unsaved, Write

LOOK_AGAIN_S = 0.2  # seconds between two checks of links that hold deliveries back
AGAIN_S = 60.0  # seconds until a delivery comes again that an error of ours kept from being handed out
MOST_BYTES = 64 << 20  # of the items on their way; if there are more, the newest write of an item replaces older ones
MOST_SET_ASIDE = 1000  # deliveries that one look at what is due sets aside: after a restart, there may be many

Lag = Callable[[str, str], float]
Passes = Callable[[Delivery, float], bool]
Size = Callable[[dict[str, Any]], int]
Failed = Callable[[Delivery, Exception], None]


class Links:
    """The deliveries that are on their way.

    ``lag(source, target)`` answers the seconds that one delivery takes, ``passes(delivery, now)`` whether it can
    arrive. A delivery that cannot arrive waits, and so do those behind it on the same link, which keeps their order.
    Each such link is checked again every LOOK_AGAIN_S. ``size`` answers the bytes of an item; what is on its way is
    bounded by it. ``unsaved`` learns what is sent, and what no longer is on its way. ``failed`` is told of a delivery
    that an error kept from being handed out: it comes again after AGAIN_S. ``set_aside``: how many deliveries had to
    wait on closed links so far.
    """

    BULK = ("_queue", "_last_due", "_held", "_coming", "_dropped")  # see gtlab.localcloud.undo

    def __init__(self, lag: Lag, passes: Passes, size: Size, unsaved: Unsaved, failed: Failed):
        self._lag, self._passes, self._size, self._unsaved, self._failed = lag, passes, size, unsaved, failed
        self._queue: list[tuple[float, int, Delivery]] = []
        self._numbers = itertools.count(1)
        self._last_due: dict[tuple[str, str, str, Key], float] = {}
        self._held: dict[tuple[str, str, str], deque[Delivery]] = {}  # by link: group, source and target
        # The deliveries on their way, by group and target: the bytes of their items by number. So one that is counted
        # twice, because of an error, does not change the sums.
        self._coming: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        self._look_again: float | None = None
        self._dropped: deque[Delivery] = deque()
        self.set_aside = 0
        self._bytes, self._merge_at = 0, MOST_BYTES  # of the items on their way, and when to merge them

    def send(self, write: Write, target: str, now: float) -> None:
        """Send a change to another copy. It is never due before an earlier one of the same item on the same link."""
        group, source, key, item, version = write
        item_link, n = (group, source, target, key), next(self._numbers)
        due, last = now + self._lag(source, target), self._last_due.get(item_link)
        if last is not None and last > due:
            due = last
        delivery = self._unsaved.sent[n] = Delivery(group, source, target, key, item, version, due, n)
        self._last_due[item_link] = due
        self._put(delivery)
        if self._bytes > self._merge_at:
            self._merge()

    def _put(self, delivery: Delivery) -> None:
        size = 0 if delivery.item is None else self._size(delivery.item)
        heapq.heappush(self._queue, (delivery.due, delivery.n, delivery))
        self._coming[delivery.group, delivery.target][delivery.n] = size
        self._bytes += size

    def _merge(self) -> None:
        """Of several deliveries of an item on one link, keep the newest version: it would replace the others. So what
        is on its way is never much more than what the copies have."""
        newest: dict[tuple[str, str, str, Key], Delivery] = {}
        for delivery in self.on_their_way():
            item_link = (*delivery[:3], delivery.key)
            newest[item_link] = max(delivery, newest.get(item_link, delivery), key=lambda each: (each.version, each.n))
        kept = {delivery.n for delivery in newest.values()}
        self._drop(lambda delivery: delivery.n not in kept)
        self._last_due = {item_link: delivery.due for item_link, delivery in newest.items()}
        self._merge_at = max(MOST_BYTES, 2 * self._bytes)

    def drop(self, group: str, region: str, *, everything: bool) -> None:
        """Drop the deliveries to a Region's copy; with ``everything``, all deliveries of the group. They are no longer
        on their way; :meth:`forget` does the rest of the work, which takes long if they are many."""
        self._dropped, self._held, self._coming = self._dropped.copy(), self._held.copy(), self._coming.copy()
        kept = []  # nothing is changed in place: the call may be undone
        for entry in self._queue:
            delivery = entry[2]
            if delivery.group == group and (everything or delivery.target == region):
                self._dropped.append(delivery)
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._queue = kept
        for link in [link for link in self._held if link[0] == group and (everything or link[2] == region)]:
            self._dropped += self._held.pop(link)
        for copy in [copy for copy in self._coming if copy[0] == group and (everything or copy[1] == region)]:
            self._bytes -= sum(self._coming.pop(copy).values())

    def forget(self, most: int) -> bool:
        """Forget so many deliveries that were dropped; returns whether there are more."""
        for _ in range(min(most, len(self._dropped))):
            delivery = self._dropped[0]
            self._arrived((*delivery[:3], delivery.key), delivery)
            self._forget(delivery)
            self._dropped.popleft()
        return bool(self._dropped)

    def _drop(self, is_dropped: Callable[[Delivery], bool]) -> None:
        def dropped(delivery: Delivery) -> bool:
            gone = is_dropped(delivery)
            if gone:
                self._no_longer(delivery)
            return gone

        self._queue = [entry for entry in self._queue if not dropped(entry[2])]
        heapq.heapify(self._queue)
        held = ((link, deque(delivery for delivery in waiting if not dropped(delivery)))
                for link, waiting in self._held.items())
        self._held = {link: waiting for link, waiting in held if waiting}

    def due(self, now: float) -> Iterator[Delivery]:
        """The deliveries that have arrived by now, in order of arrival, each once. Take them one by one: whether the
        next one can arrive is checked only when its turn comes. There may be more if MOST_SET_ASIDE were set aside."""
        if self._look_again is not None and now >= self._look_again:
            yield from self._released(now)
        stop = self.set_aside + MOST_SET_ASIDE
        while self._queue and self._queue[0][0] <= now and self.set_aside < stop:
            delivery = heapq.heappop(self._queue)[2]
            try:
                link = delivery[:3]
                if link in self._held or not self._passes(delivery, now):
                    self._held.setdefault(link, deque()).append(delivery)
                    self._look_again = self._look_again or now + LOOK_AGAIN_S
                    self.set_aside += 1
                    continue
                self._arrived((*link, delivery.key), delivery)
                self._no_longer(delivery)
            except Exception as error:
                self._put_off(delivery, error, now)
                continue
            yield delivery

    def _released(self, now: float) -> Iterator[Delivery]:
        """The deliveries that waited on links that are open again, in the order in which they came. The others on such
        a link wait until these have been taken."""
        heads = [(waiting[0].n, link) for link, waiting in self._held.items() if self._passes(waiting[0], now)]
        heapq.heapify(heads)
        while heads:
            link = heapq.heappop(heads)[1]
            waiting = self._held[link]
            if not self._passes(waiting[0], now):
                continue
            delivery = waiting.popleft()
            if waiting:
                heapq.heappush(heads, (waiting[0].n, link))
            else:
                del self._held[link]
            try:
                self._arrived((*link, delivery.key), delivery)
                self._no_longer(delivery)
            except Exception as error:
                self._put_off(delivery, error, now)
                continue
            yield delivery
        self._look_again = now + LOOK_AGAIN_S if self._held else None

    def _arrived(self, item_link: tuple[str, str, str, Key], delivery: Delivery) -> None:
        """If it was the last delivery of its item on its link, the next one need not wait for it."""
        if self._last_due.get(item_link) == delivery.due:
            del self._last_due[item_link]

    def _no_longer(self, delivery: Delivery) -> None:
        self._bytes -= self._coming[delivery.group, delivery.target].pop(delivery.n, 0)
        self._forget(delivery)

    def _forget(self, delivery: Delivery) -> None:
        if self._unsaved.sent.pop(delivery.n, None) is None:
            self._unsaved.done.add(delivery.n)

    def put_back(self, delivery: Delivery, due: float) -> None:
        """A delivery that was handed out could not be applied: it is on its way again, until ``due``."""
        again = self._unsaved.sent[delivery.n] = delivery._replace(due=due)
        self._unsaved.done.discard(delivery.n)
        self._bytes -= self._coming[delivery.group, delivery.target].pop(delivery.n, 0)
        self._put(again)

    def _put_off(self, delivery: Delivery, error: Exception, now: float) -> None:
        """Handing out a delivery failed: the others go on, and this one comes again."""
        self.put_back(delivery, now + AGAIN_S)
        self._failed(delivery, error)

    def next_due(self) -> float | None:
        if not self._queue:
            return self._look_again
        first = self._queue[0][0]
        return first if self._look_again is None or first < self._look_again else self._look_again

    def is_late(self, now: float) -> bool:
        """Whether deliveries that are due have not been taken yet."""
        return bool(self._queue) and self._queue[0][0] < now

    def waiting(self, group: str | None = None, region: str | None = None) -> int:
        """Deliveries that are on their way; of one group, to or from one Region, if they are named."""
        if group is None:
            return len(self._queue) + sum(map(len, self._held.values()))
        return sum(delivery.group == group and region in (delivery.source, delivery.target)
                   for delivery in self.on_their_way())

    def on_their_way(self) -> Iterator[Delivery]:
        yield from (entry[2] for entry in self._queue)
        for held in self._held.values():
            yield from held

    def listed(self) -> Iterator[Delivery]:
        """The deliveries that are on their way at this moment. They may be taken later."""
        queue, held = self._queue.copy(), [waiting.copy() for waiting in self._held.values()]
        return itertools.chain((entry[2] for entry in queue), *held)

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._queue or self._held)

    def is_behind(self, group: str, region: str) -> bool:
        """Whether a delivery is on its way to a Region's copy. If none is, no read there is stale."""
        return bool(self._coming.get((group, region)))

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Load the saved deliveries. Call this before any other method."""
        last = 0
        for delivery in sorted(deliveries, key=lambda delivery: delivery.n):
            self._last_due[(*delivery[:3], delivery.key)] = delivery.due
            self._put(delivery)
            last = delivery.n
        self._numbers = itertools.count(last + 1)
