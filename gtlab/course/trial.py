"""A trial of a learner's function: a temporary local cloud of its own, random data from a seed, a record of every call
that the function made, and a limit on its time.

The function runs in a thread. When its time is up, an exception is raised in it, which ends any loop of Python; a
function that sleeps or waits in a call is left behind, and so is its cloud.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from gtlab.lab import Lab
from gtlab.lab.choice import Choice
from gtlab.lab.clients import Access
from gtlab.localcloud import process

LIMIT_S = 20.0
_ON_A_CLOUD = "Checking your answer on a temporary local cloud"
_STOP_S = 3.0  # how long an exception is raised again and again in a function that catches it
_tell: ContextVar[Callable[[str], None]] = ContextVar("tell", default=lambda what: None)
_clouds: dict[str, contextlib.ExitStack] = {}
_labs: dict[str, Lab] = {}


class TimeUp(BaseException):
    """Raised in a function whose time is up. No Exception, so that ``except Exception`` does not catch it."""


@dataclass(frozen=True)
class Called:
    """One boto3 call of a learner's function. ``at`` and ``ended`` are seconds of the monotonic clock; ``answer`` is
    the response, or None if ``refused`` holds the error code."""

    region: str
    operation: str
    parameters: dict[str, Any]
    at: float
    ended: float
    answer: dict[str, Any] | None
    refused: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a function returned, or the ``error`` that it raised, with the line ``where``. ``late``: its time was up."""

    value: Any = None
    error: Exception | None = None
    where: str = ""
    late: bool = False
    calls: list[Called] = field(default_factory=list)


class Trial:
    """One trial. ``lab`` is a lab on the temporary cloud, ``random`` the source of everything that is drawn, ``seed``
    what repeats it. Tables that :meth:`table` creates are new ones, so trials do not disturb each other."""

    def __init__(self, lab: Any, seed: int, limit_s: float):
        self.lab, self.seed, self.limit_s = lab, seed, limit_s
        self.random = random.Random(seed)
        self.calls: list[Called] = []
        self.stuck = False  # a function is still running
        self._streams: dict[tuple[str, str], tuple[list[dict[str, Any]], list[str]]] = {}

    def regions(self, number: int) -> tuple[str, ...]:
        """Regions drawn at random, all different."""
        from gtlab.contract import STRONG_REGIONS

        return tuple(self.random.sample(STRONG_REGIONS, number))

    def word(self, prefix: str) -> str:
        """A name that nobody has used."""
        return f"{prefix}-{self.random.randrange(16**8):08x}-{next(_numbers)}"

    def client(self, region: str, service: str = "dynamodb") -> Any:
        client = self.lab.client(region, service)
        if not getattr(client, "_gtlab_trial", False):
            client._gtlab_trial = True
            client.meta.events.register("before-parameter-build.*.*", _began)
            client.meta.events.register("after-call.*.*", _answered)
        return client

    def table(self, regions: Sequence[str], key: Sequence[str] = ("id",), name: str = "", stream: bool = True) -> str:
        """A new global table of the current version (string keys, on demand) in these Regions, ACTIVE. Its name."""
        name = name or self.word("Trial")
        client = self.client(regions[0])
        client.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"),
                                                                                     strict=False)],
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in key],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        self.until(lambda: self.active(name, regions[0]), f"table {name}")
        for region in regions[1:]:
            client.update_table(TableName=name, ReplicaUpdates=[{"Create": {"RegionName": region}}])
            self.until(lambda region=region: self.active(name, region) and self.active(name, regions[0]),  # type: ignore[misc]
                       f"the replica in {region}")
        return name

    def active(self, table: str, region: str) -> bool:
        from gtlab.lab import describe

        return describe.status(self.lab, table, region) == "ACTIVE"

    def cut(self, a: str, b: str) -> contextlib.AbstractContextManager:
        """Cut the connection between two Regions for a block of code."""
        return self.lab.world.partition(a, b)

    def settled(self) -> None:
        """Wait until nothing is on its way between Regions."""
        self.until(lambda: not process.control(self.lab._where, "status")["deliveries_waiting"], "replication")

    def items(self, table: str, region: str) -> list[dict[str, Any]]:
        """All the items of a table in a Region."""
        return self.client(region).scan(TableName=table, ConsistentRead=True)["Items"]

    def records(self, table: str, region: str) -> list[dict[str, Any]]:
        """All the records of a table's stream in a Region, in order."""
        streams = self.client(region, "dynamodbstreams")
        if (table, region) not in self._streams:
            arn = self.client(region).describe_table(TableName=table)["Table"]["LatestStreamArn"]
            shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
            self._streams[table, region] = [], [streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
                for shard in shards]
        found, iterators = self._streams[table, region]
        for at, iterator in enumerate(iterators):
            answer = streams.get_records(ShardIterator=iterator)  # at most 1,000, more than a trial has
            iterators[at] = answer["NextShardIterator"]
            found += answer["Records"]
        return sorted(found, key=lambda record: int(record["dynamodb"]["SequenceNumber"]))

    def until(self, so: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Wait until something is so. Raises TimeoutError."""
        began = time.monotonic()
        while not so():
            _tell.get()(_ON_A_CLOUD)
            waited = time.monotonic() - began
            if waited > seconds:
                raise TimeoutError(f"The temporary local cloud did not finish {what} within {seconds:.0f} s. Try "
                                   "again.")
            time.sleep(max(0.01, min(0.1, waited / 10)))

    def run(self, function: Callable[..., Any], *arguments: Any) -> Outcome:
        """Call a learner's function, for at most ``limit_s`` seconds. Never raises for what the function does."""
        found: dict[str, Any] = {}
        heard: list[Called] = []

        def call() -> None:
            _heard[threading.get_ident()] = heard
            try:
                found["value"] = function(*arguments)
            except TimeUp:
                found["late"] = True
            except Exception as error:
                found["error"], found["where"] = error, _line(error, function)
            except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
                found["error"] = RuntimeError(f"it raised {type(error).__name__}")
            finally:
                _heard.pop(threading.get_ident(), None)

        thread = threading.Thread(target=call, name="learner's function", daemon=True)
        thread.start()
        deadline = time.monotonic() + self.limit_s
        try:
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(0.05)
                if thread.is_alive():
                    _tell.get()(f"Checking your answer: your code may run for {self.limit_s:g} s")
        finally:  # also after an interrupt from the keyboard
            if thread.is_alive():
                found["late"] = True
                self.stuck = not _stop(thread)
        self.calls += heard
        return Outcome(found.get("value"), found.get("error"), found.get("where", ""), found.get("late", False), heard)


@contextlib.contextmanager
def trial(seed: int, *, network: str = "instant", limit_s: float = LIMIT_S) -> Iterator[Trial]:
    """A trial on a temporary local cloud, which starts on first use and ends with this process. At the end of the block
    nothing is broken in it. Raises CloudError if it does not start."""
    made = Trial(_lab(network), seed, limit_s)
    try:
        _tell.get()(_ON_A_CLOUD)
        made.lab.world.reset()
        yield made
    finally:
        if made.stuck:  # what was left behind may still call it
            _end(network)
        else:
            with contextlib.suppress(process.CloudError, ValueError):
                made.lab.world.reset()


@contextlib.contextmanager
def telling(tell: Callable[[str], None]) -> Iterator[None]:
    """For a block of code, trials call ``tell`` with what they are doing, again and again."""
    before = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(before)


def offline(seed: int, limit_s: float = LIMIT_S) -> Trial:
    """A trial without a cloud, for functions that only calculate."""
    return Trial(None, seed, limit_s)


def end() -> None:
    """Stop the temporary local clouds of this process."""
    for network in list(_clouds):
        _end(network)


atexit.register(end)


def _lab(network: str) -> Lab:
    with _starting:
        if network in _labs:
            try:
                _labs[network].world.state()
                return _labs[network]
            except process.CloudError:  # somebody has stopped it
                _end(network)
        _tell.get()("Checking your answer: starting a temporary local cloud")
        kept = contextlib.ExitStack()
        running = kept.enter_context(process.private(network))
        _clouds[network] = kept
        _labs[network] = Lab(Access("local", running.endpoints), Choice(), running)
        return _labs[network]


def _end(network: str) -> None:
    _labs.pop(network, None)
    kept = _clouds.pop(network, None)
    if kept:
        kept.close()


_starting = threading.RLock()
_heard: dict[int, list[Called]] = {}  # by thread: the calls of the function that runs in it


class _Numbers:
    def __init__(self) -> None:
        self._last, self._lock = 0, threading.Lock()

    def __next__(self) -> int:
        with self._lock:
            self._last += 1
            return self._last


_numbers = _Numbers()


def _began(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["gtlab_trial"] = (time.monotonic(), dict(params))


def _answered(http_response: Any, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    heard = _heard.get(threading.get_ident())
    if heard is None or "gtlab_trial" not in context:
        return
    at, params = context["gtlab_trial"]
    error = parsed.get("Error", {}).get("Code", "") if http_response.status_code >= 300 else ""
    region = context["client_region"]
    heard.append(Called(region, model.name, params, at, time.monotonic(), None if error else parsed, error))


def _stop(thread: threading.Thread) -> bool:
    """Raise TimeUp in a thread until it ends. Returns False if it does not: it waits in a call."""
    deadline = time.monotonic() + _STOP_S
    while thread.is_alive() and time.monotonic() < deadline:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TimeUp))
        thread.join(0.05)
    return not thread.is_alive()


def _line(error: Exception, function: Callable[..., Any]) -> str:
    """The last line of the learner's own file or cell in an error's traceback."""
    own = getattr(getattr(function, "__code__", None), "co_filename", "")
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f"line {lines[-1].lineno}: {lines[-1].line}" if lines and lines[-1].line else ""
