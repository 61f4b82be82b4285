"""Routes the users of the basket application (:mod:`gtlab.course.basket`) between the stacks of its Regions.

Failing over means that the user is sent to another Region's stack, which uses its own Region's endpoint. In a real
system this module is the load balancer or the DNS record in front of the stacks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.course.basket import TABLE, Stack
from gtlab.failover import Answer, Failover

if TYPE_CHECKING:
    from gtlab.lab import Lab

MODES = ("any Region", "one Region", "your Region")  # where writes go
WRITES = ("add", "order")  # the methods of a stack that write


def stacks(lab: Lab, *, table: str = TABLE, timeout_s: float = 1.0, **protections: bool) -> dict[str, Stack]:
    """A stack for each Region of a lab, by Region. Its clients are in the stack's own Region, wait ``timeout_s``
    seconds for an answer and do not retry. ``protections`` are those of :class:`~gtlab.course.basket.Stack`."""
    patience: dict[str, Any] = {"connect_timeout": timeout_s, "read_timeout": timeout_s,
                                "retries": {"total_max_attempts": 1}}
    return {region: Stack(region, lab.local_client(region, **patience),
                          lab.local_client(region, "dynamodbstreams", **patience), table, **protections)
            for region in lab.regions}


class Router:
    """Sends each request of a user to one Region's stack, one request at a time.

    ``homes`` is each user's home Region. ``mode``, one of MODES, says where writes go: to the stack nearest to the user
    ("any Region"), to the stack of the Region ``writer`` ("one Region"; default: the first stack), or to the stack of
    the user's home Region, wherever the user is ("your Region"; reads go there too). Raises ValueError for another mode
    and for Regions without a stack.
    """

    def __init__(self, stacks: Mapping[str, Stack], homes: Mapping[str, str], mode: str = MODES[0], writer: str = ""):
        if mode not in MODES:
            raise ValueError(f"There is no write mode {mode!r}. Choose one of: {', '.join(MODES)}.")
        self.stacks, self.homes, self.mode = dict(stacks), dict(homes), mode
        self.writer = writer or next(iter(self.stacks))
        self.evacuated: set[str] = set()  # Regions that get no requests
        self.log: list[dict[str, Any]] = []  # a row per answered request, for a data frame; ``ms`` is what it took
        self._door = threading.RLock()
        self._check(self.writer, *self.homes.values())

    def order_of(self, user: str, operation: str, at: str = "") -> list[str]:
        """The Regions whose stacks may answer a request, in order of preference. ``at``: the Region nearest to where
        the user is now (default: the user's home Region). Raises ValueError for an unknown user or Region."""
        if user not in self.homes:
            raise ValueError(f"There is no user {user!r}. The users are: {', '.join(self.homes)}.")
        first = at or self.homes[user]
        self._check(first)
        if self.mode == "your Region":
            first = self.homes[user]
        elif self.mode == "one Region" and operation in WRITES:
            first = self.writer
        near = sorted(self.stacks, key=lambda region: regions.rtt_ms(first, region) if region != first else -1.0)
        return [region for region in near if region not in self.evacuated]

    def send(self, operation: str, user: str, *, at: str = "", **request: Any) -> Answer:
        """Send a request to a stack: ``send("add", "Ann", product="tea", request="r1")``, ``send("order", "Ann",
        request="r2")``, ``send("basket", "Ann")``. Returns the basket as ``response``, and the ``region`` of the stack.

        A Region whose stack does not answer is evacuated, and the user is sent to the next one. The failed stack may
        have carried out the request. It is sent again all the same: a basket that shows the request is not changed. A
        Region that the first attempt has not reached yet cannot show it, and the newest write wins the whole basket.

        Raises NoRegionAnswered if no stack answers.
        """
        with self._door:
            began, order = time.monotonic(), self.order_of(user, operation, at)
            front = Failover({region: self.stacks[region] for region in order})
            answer = front.call(operation, idempotent=True, user=user, **request)
            for region, _ in answer.failures:
                self.evacuate(region)
            self.log.append({"user": user, "operation": operation, "at": at or self.homes[user],
                             "region": answer.region, "failed": [region for region, _ in answer.failures],
                             "ms": 1000 * (time.monotonic() - began), "sent": time.time()})
            return answer

    def evacuate(self, region: str) -> None:
        """Send no more requests to a Region's stack. Raises ValueError for the last Region that is left."""
        self._check(region)
        if not set(self.stacks) - self.evacuated - {region}:
            raise ValueError(f"{region} is the last Region with users. Fail back to another one first.")
        self.evacuated.add(region)

    def behind(self, region: str) -> list[str]:
        """The users whose basket in a Region differs from the one in a Region that is in service: what replication has
        not brought there, or not brought away. It only reads, so it works on AWS too. Raises the error of a stack that
        does not answer."""
        self._check(region)
        others = [self.stacks[other] for other in self.stacks if other not in self.evacuated | {region}]
        return [user for user in self.homes
                if any(other.basket(user) != self.stacks[region].basket(user) for other in others)]

    def fail_back(self, region: str, *, early: bool = False, timeout_s: float = 30.0) -> float:
        """Send users to an evacuated Region again, once nobody is :meth:`behind` there. Until then all requests wait.
        With ``early`` it does not wait: a user who writes there before the newer basket arrives loses one of the two.

        Returns how many seconds the requests waited. Raises TimeoutError after ``timeout_s`` seconds, or the error of
        a stack that does not answer; the Region stays evacuated then.
        """
        self._check(region)
        with self._door:
            began = time.monotonic()
            while not early and (late := self.behind(region)):
                if time.monotonic() - began > timeout_s:
                    raise TimeoutError(f"{region} stays evacuated: after {timeout_s:.0f} s it still lacks the newest "
                                       f"basket of {', '.join(late)}. Is a link to it cut? Try again later.")
                time.sleep(0.05)
            self.evacuated.discard(region)
            return time.monotonic() - began

    def routes(self) -> list[dict[str, str]]:
        """Where each user's requests go now: a row per user with ``user``, ``home``, ``reads`` and ``writes``."""
        return [{"user": user, "home": home, "reads": self.order_of(user, "basket")[0],
                 "writes": self.order_of(user, "add")[0]} for user, home in self.homes.items()]

    def _check(self, *codes: str) -> None:
        for code in codes:
            if code not in self.stacks:
                raise ValueError(f"Region {code!r} has no stack. There are stacks in: {', '.join(self.stacks)}.")
