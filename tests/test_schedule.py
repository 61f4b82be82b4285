"""The schedule of a measurement's calls."""

from __future__ import annotations

import time

from support import wait_until

from gtlab.measure.schedule import Schedule


def test_a_schedule_leaves_out_moments_that_passed_by_and_counts_them():
    made = []

    def slow_once(due: float) -> None:
        made.append(due)
        if len(made) == 1:
            time.sleep(0.055)  # the very thing that do() must not do

    schedule = Schedule(0.01, slow_once, calls=4)
    schedule.start()
    wait_until(lambda: not schedule.running, "four calls")
    assert schedule.skipped >= 3 and len(schedule.late_s) == len(made) == 4
    assert round((made[-1] - made[0]) / 0.01) == 3 + schedule.skipped


def test_a_schedule_that_catches_up_makes_every_call():
    made = []

    def slow_once(due: float) -> None:
        made.append(due)
        if len(made) == 1:
            time.sleep(0.055)

    schedule = Schedule(0.01, slow_once, catch_up=True, calls=8)
    schedule.start()
    wait_until(lambda: not schedule.running, "eight calls")
    assert [round(due - made[0], 3) for due in made] == [round(n / 100, 3) for n in range(8)]
    assert schedule.skipped == 0 and max(schedule.late_s) > 0.03
