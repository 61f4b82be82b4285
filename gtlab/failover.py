"""Failover: a call goes to the Region that you prefer, or to the next one if that Region's endpoint fails.

It works with any boto3 DynamoDB clients, on AWS too. It needs only botocore, so you can copy this file into your
program. It uses only the data plane: an outage may take away the control plane, so a failover must not depend on
DescribeTable or on a change of DNS.

Give the clients short timeouts and few attempts. Otherwise botocore waits and retries before the failover begins::

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

NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)      # no connection: the request had no effect
NO_ANSWER = (ReadTimeoutError, ConnectionClosedError)            # the request was sent: it may have taken effect
_READS = ("get_item", "batch_get_item", "query", "scan", "transact_get_items")


class Answer(NamedTuple):
    """The answer to a call: boto3's ``response``, the ``region`` that it came from, and the Regions that failed before,
    each with its error (``failures``)."""

    response: dict[str, Any]
    region: str
    failures: tuple[tuple[str, Exception], ...]


class NoRegionAnswered(Exception):
    """Every Region failed. ``failures`` has each Region with its error."""

    def __init__(self, failures: tuple[tuple[str, Exception], ...]):
        super().__init__("No Region answered. " + " ".join(f"{region}: {error}" for region, error in failures))
        self.failures = failures


class Failover:
    """Calls the clients in ``clients`` (by Region), in their order: the preferred Region is the first.

    After a failure no call is sent to that Region for ``cooldown_s`` seconds. Then one call tries it again while all
    others still go to other Regions (a half-open circuit breaker). If it answers, all calls go to it again. Safe to use
    from several threads. Raises ValueError without clients.
    """

    def __init__(self, clients: Mapping[str, Any], *, cooldown_s: float = 30.0,
                 clock: Callable[[], float] = time.monotonic):
        if not clients:
            raise ValueError("Give at least one client, by Region.")
        self._clients, self._cooldown_s, self._clock = dict(clients), cooldown_s, clock
        self._try_again: dict[str, float] = {}  # Regions that failed, and when a call may try them again
        self._lock = threading.Lock()

    def call(self, operation: str, *, idempotent: bool = False, **parameters: Any) -> Answer:
        """Make a boto3 call, such as ``call("put_item", TableName=…, Item=…)``, in the first Region that answers.

        A refusal (a failed condition, throttling, invalid input) is an answer: its ClientError is raised, and no other
        Region is tried. A write without an answer, or with a 5xx, may have taken effect. It is sent to another Region
        only if it is ``idempotent``: if it is safe to apply it twice, in two Regions. A put of a whole item usually is;
        ADD never is. Otherwise the error is raised, and you must find out whether the write took effect. (botocore
        retries, too: for such writes set its ``total_max_attempts`` to 1.) Reads are always idempotent.

        Raises NoRegionAnswered if all Regions failed.
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
        """The Regions that failed, and in how many seconds each one is tried again."""
        with self._lock:
            now = self._clock()
            return {region: max(0.0, again - now) for region, again in self._try_again.items()}

    def _order(self) -> Iterator[str]:
        """The Regions to try, in order of preference; those that failed recently come after all others."""
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
            if region in self._try_again:  # this call tries it; other calls wait for the result
                self._try_again[region] = now + self._cooldown_s
            return True

    def _answered(self, region: str) -> None:
        with self._lock:
            self._try_again.pop(region, None)

    def _failed(self, region: str) -> None:
        with self._lock:
            self._try_again[region] = self._clock() + self._cooldown_s
