"""Garbage is collected between answers, and never in a step that grows with the number of items. In a process of its
own, because freezing would keep other tests' garbage."""

from __future__ import annotations

import subprocess
import sys

BEGIN = """
import asyncio, gc, weakref
from gtlab.localcloud.server import garbage as module

class Thing:
    pass

def cycle():
    thing = Thing()
    thing.itself = thing
    return weakref.ref(thing), thing

garbage = module.Garbage()

def calls(number):
    for _ in range(number):
        garbage.carried()
        garbage.sweep()

class Loop(asyncio.SelectorEventLoop):  # with a pretend clock
    now = 0.0

    def time(self):
        return self.now

async def wait(seconds):
    asyncio.get_running_loop().now += seconds
    for _ in range(3):
        await asyncio.sleep(0)

def play(scene):
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(scene)
"""


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_was_kept_is_not_looked_at_again():
    run("""
gc.collect()
gc.freeze()
kept = []
for _ in range(300):
    kept += [Thing() for _ in range(300)]
    garbage.sweep()  # without calls: as deliveries come
calls(module.CALLS * module.OLDER)
assert len(gc.get_objects()) < 10_000, len(gc.get_objects())
first = weakref.ref(kept[0])
kept.clear()
assert first() is None
""")


def test_only_a_process_that_has_frozen_its_start_freezes():
    run("""
kept = [Thing() for _ in range(50_000)]
calls(module.CALLS * module.OLDER)
assert gc.get_freeze_count() == 0
""")


def test_a_frozen_cycle_goes_when_nobody_calls():
    run("""
gc.freeze()
ref, thing = cycle()
calls(module.CALLS * module.OLDER)
del thing
calls(module.CALLS * module.OLDER)
assert ref() is not None and gc.get_freeze_count() > 0

async def main():
    garbage.sweep_all_soon()
    garbage.sweep_all_soon()
    for _ in range(20):
        calls(1)
        await wait(module.QUIET_S / 5)
    assert ref() is not None  # there were calls all the time
    for _ in range(2):  # the first finds that there were calls since it was asked for
        await wait(module.QUIET_S * 1.1)
    assert ref() is None and gc.get_freeze_count() > 0

play(main())
""")


def test_a_full_collection_is_asked_for_after_many_calls():
    run("""
module.ALL = 4
ref, thing = cycle()
gc.collect()
del thing

async def main():
    calls(module.CALLS * 4)
    assert ref() is not None
    await wait(module.QUIET_S * 1.1)
    assert ref() is None

gc.disable()
play(main())
""")
