"""Failing over: a call goes to the Region that you prefer, and to the next where that one's endpoint fails.

For any boto3 DynamoDB clients, AWS's own included. It needs nothing but botocore, so that you can copy this file into
a program of yours. Only the data plane is used: a failover that needs DescribeTable, or a change of DNS, needs just
what an outage may have taken away.

Give the clients short timeouts and few attempts, or the failover waits for botocore::

    config = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)      # no connection, so nothing can have taken effect
NO_ANSWER = (ReadTimeoutError, ConnectionClosedError)            # it was sent: it may have taken effect, or not
_READS = ("get_item", "batch_get_item", "query", "scan", "transact_get_items")


class Answer(NamedTuple):
    """``response`` is boto3's, ``region`` where it came from, ``failures`` the Regions that failed before, with how."""

    response: dict
    region: str
    failures: tuple[tuple[str, Exception], ...]


class NoRegionAnswered(Exception):
    """Every Region failed; ``failures`` tells each one and how."""

    def __init__(self, failures: tuple[tuple[str, Exception], ...]):
        super().__init__("No Region answered. " + " ".join(f"{region}: {error}" for region, error in failures))
        self.failures = failures


class Failover:
    """``clients`` by Region, the one you prefer first.

    A Region that failed is left alone for ``cooldown_s`` seconds; then one call tries it again while all the others
    still go elsewhere (a half-open circuit breaker). If it answers, everybody goes back to it. Safe to use from
    several threads.
    """

    def __init__(self, clients: Mapping[str, Any], *, cooldown_s: float = 30.0,
                 clock: Callable[[], float] = time.monotonic):
        if not clients:
            raise ValueError("Give at least one client, by its Region.")
        self._clients, self._cooldown_s, self._clock = dict(clients), cooldown_s, clock
        self._try_again: dict[str, float] = {}  # Regions that failed, and when one call may try them again
        self._lock = threading.Lock()

    def call(self, operation: str, *, idempotent: bool = False, **parameters: Any) -> Answer:
        """Make a boto3 call, such as ``call("put_item", TableName=…, Item=…)``, in the first Region that answers.

        A refusal (a condition that failed, throttling, bad input) is an answer: it is raised and not tried elsewhere.
        A write that got no answer, or a 5xx, may have taken effect. It is sent to another Region only if you say that
        it is ``idempotent``: that it may take effect twice, in two Regions, without harm. A put of a whole item
        usually is, ADD never. Otherwise that error is raised, for you to find out. (botocore sends again too: for
        such writes give it ``total_max_attempts`` 1.) Reads are always idempotent.

        Raises NoRegionAnswered where all of them failed.
        """
        failures: list[tuple[str, Exception]] = []
        for region in self._order():
            try:
                response = getattr(self._clients[region], operation)(**parameters)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    self._answered(region)
                    raise
                failed = error
            except NEVER_SENT + NO_ANSWER as error:
                failed = error
            else:
                self._answered(region)
                return Answer(response, region, tuple(failures))
            self._failed(region)
            failures.append((region, failed))
            if not (idempotent or operation in _READS or isinstance(failed, NEVER_SENT)):
                raise failed
        raise NoRegionAnswered(tuple(failures))

    def resting(self) -> dict[str, float]:
        """The Regions that failed, and in how many seconds each is tried again."""
        with self._lock:
            now = self._clock()
            return {region: max(0.0, again - now) for region, again in self._try_again.items()}

    def _order(self) -> Iterator[str]:
        """Regions to try, in order of preference; those that rest only when all the others have failed."""
        resting = []
        for region in self._clients:
            if self._may_try(region):
                yield region
            else:
                resting.append(region)
        yield from resting

    def _may_try(self, region: str) -> bool:
        with self._lock:
            now = self._clock()
            if now < self._try_again.get(region, now):
                return False
            if region in self._try_again:  # this call tries; the others wait for what becomes of it
                self._try_again[region] = now + self._cooldown_s
            return True

    def _answered(self, region: str) -> None:
        with self._lock:
            self._try_again.pop(region, None)

    def _failed(self, region: str) -> None:
        with self._lock:
            self._try_again[region] = self._clock() + self._cooldown_s
