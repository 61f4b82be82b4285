"""Long work and callers share one event loop: callers come first, and long work ends all the same."""

from __future__ import annotations

import asyncio
import functools
import shutil
import sqlite3
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from support import OHIO, ON_DEMAND
from uvicorn.loops.auto import auto_loop_factory

from gtlab.localcloud.disk.keeper import Keeper, keep, new_cloud
from gtlab.localcloud.model import Call
from gtlab.localcloud.server import driver as driver_module
from gtlab.localcloud.server.driver import LONG_S, MOST_AT_ONCE, Driver

SLICES = 40
DEADLINE_S = 120.0
Result = TypeVar("Result")


def served(run: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in the event loop that the server has."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(run())


class Job:
    """Long work in slices, each of which takes longer than a turn's share."""

    def __init__(self, keeper: Keeper):
        self.done = 0
        keeper.cloud.tables.slices.begin(self, time.time())

    def __call__(self, now: float) -> bool:
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass
        self.done += 1
        return self.done < SLICES


def opened(path=None) -> Keeper:
    return keep(path, "instant", 1, make=functools.partial(new_cloud, most_at_once=MOST_AT_ONCE))


def call(operation: str, **data) -> Call:
    return Call("1" * 12, OHIO, "dynamodb", operation, data)


def test_a_call_leaves_long_work_to_the_ticks_between_calls():
    keeper = opened()
    job = Job(keeper)
    for number in range(3):
        keeper.cloud.answer(call("ListTables"), time.time())
        assert job.done == number + 1
        keeper.cloud.tick(time.time())
        assert job.done == number + 2
        keeper.cloud.tick(time.time(), briefly=True)
    assert keeper.cloud.next_due() == 0.0


def test_long_work_ends_although_somebody_calls_in_every_turn():
    keeper = opened()

    async def run() -> int:
        driver, job, calls = Driver(keeper, None), Job(keeper), 0
        while keeper.cloud.tables.slices:
            before = job.done
            for _ in range(3):  # as from three connections
                assert driver.carry_out(call("ListTables")) == b'{"TableNames": []}'
            assert job.done == before
            calls += 3
            await asyncio.sleep(0)
        driver.close()
        assert job.done == SLICES
        return calls

    assert 0 < served(run) <= 3 * (SLICES + 2)  # each turn does a slice


def test_work_that_is_due_at_once_may_be_noticed_twice():
    keeper = opened()
    job = Job(keeper)

    async def run() -> None:
        driver, deadline = Driver(keeper, None), time.monotonic() + DEADLINE_S
        driver.turned()
        driver.turned()  # as when gtlab status asks before the loop's next turn
        while job.done < SLICES and time.monotonic() < deadline:
            await asyncio.sleep(0)
        driver.close()

    served(run)
    assert job.done == SLICES


def test_long_work_waits_while_the_disk_cannot_keep_up(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect",
                        lambda *given, **named: connect(*given, **named | {"timeout": DEADLINE_S}))
    keeper = opened(tmp_path / "cloud.sqlite3")

    async def run() -> None:
        driver = Driver(keeper, None)
        driver.carry_out(call("CreateTable", **ON_DEMAND))
        other = sqlite3.connect(tmp_path / "cloud.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # SQLite waits for it
        keeper.tidy(wait=False)
        for number in range(50):
            driver.carry_out(call("PutItem", TableName="Music", Item={
                "Artist": {"S": str(number)}, "v": {"S": "x" * 390_000}}))
        assert keeper.is_behind
        job = Job(keeper)
        for _ in range(5):
            driver.carry_out(call("GetItem", TableName="Music", Key={"Artist": {"S": "1"}}))
            await asyncio.sleep(0.03)
        assert job.done == 1  # its beginning
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(DEADLINE_S):
            while job.done < SLICES:
                await asyncio.sleep(0.01)
        assert not keeper.is_behind
        driver.close()

    served(run)
    again = opened(tmp_path / "cloud.sqlite3")
    assert again.note == ""
    again.close()


def test_what_follows_an_answer_is_on_disk_although_nobody_calls_again(tmp_path, monkeypatch):
    monkeypatch.setattr(driver_module, "TIDY_S", 3600.0)  # it saves, too
    keeper = opened(tmp_path / "cloud.sqlite3")

    async def run() -> None:
        driver = Driver(keeper, None)
        driver.carry_out(call("CreateTable", **ON_DEMAND, StreamSpecification={
            "StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}))
        driver.carry_out(call("PutItem", TableName="Music", Item={"Artist": {"S": "a"}}))
        assert keeper.cloud.changes.unsettled  # the client has its answer, and the stream has no record yet
        async with asyncio.timeout(DEADLINE_S):
            while keeper.cloud.changes.unsettled or keeper.cloud.streams.unsaved.records:
                await asyncio.sleep(0.01)
        for path in tmp_path.glob("cloud.*"):  # as the end of the process would leave them
            shutil.copyfile(path, tmp_path / path.name.replace("cloud", "copy"))
        driver.close()

    served(run)
    copy = opened(tmp_path / "copy.sqlite3")
    assert not copy.cloud.changes.unsettled and copy.cloud.streams.sequence == keeper.cloud.streams.sequence > 0
    copy.close()


def test_the_answer_to_a_long_call_waits_as_long_as_it_took_if_others_call():
    driver = Driver(opened(), None)

    def rest(began: float, took: float) -> float:
        driver._took(began, began + took)
        return round(driver.rest_s, 6)

    assert [rest(0.0, 0.1), rest(0.2, 0.1)] == [0.0, 0.0]  # nobody else calls
    assert rest(0.3, LONG_S / 2) == 0.0
    assert rest(1.0, 0.1) == 0.1
    assert rest(1.1, LONG_S / 2) == 0.0
    assert rest(1.1, 0.1) == 0.2  # another caller's, while the first one rests
    assert rest(1.3, LONG_S / 2) == 0.0
    assert rest(2.0, 0.1) == 0.1
