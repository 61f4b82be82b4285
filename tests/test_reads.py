"""What reads prove: bounds on when a write became visible."""

from __future__ import annotations

import random

import pytest
from support import SOAK

from gtlab.measure import reads
from gtlab.measure.reads import Read


def read(sent: float, answered: float, saw=(), missed=()) -> Read:
    return Read(sent, answered, frozenset(saw), frozenset(missed))


def test_a_read_proves_that_it_was_served_between_sending_and_answer():
    found = reads.seen([read(1.0, 1.2, missed=[7]), read(1.1, 1.3, missed=[7]), read(1.2, 1.4, saw=[7]),
                        read(1.3, 1.5, saw=[7])])[7]
    assert found.hard == (1.1, 1.4) and found.reads == 4 and found.missed_again == 0 and found.symmetric
    # The path takes 0.1 s each way, less what the service may have taken: 2 ms in all.
    assert found.refined == pytest.approx((1.199, 1.301))


def test_all_overlapping_reads_count_not_only_neighbours():
    """A late answer may bring the earlier news: the third read was sent last, and answered first."""
    found = reads.seen([read(1.00, 1.30, saw=[1]), read(1.01, 1.90, missed=[1]), read(1.02, 1.22, saw=[1]),
                        read(0.90, 1.10, missed=[1])])[1]
    assert found.hard == (1.01, 1.22) and found.missed_again == 0


def test_what_a_read_took_beyond_the_smallest_round_trip_is_uncertain():
    found = reads.seen([read(0.0, 0.2, missed=[1]), read(0.3, 0.9, missed=[1]), read(1.0, 1.5, saw=[1])])[1]
    assert found.refined == pytest.approx((0.3 + 0.099, 1.5 - 0.099))


def test_a_read_is_judged_by_the_reads_around_it():
    """The path was shorter once, long ago: that says nothing of now."""
    trips = [0.1] * 40 + [0.2] * 200
    assert reads.best_around(trips)[200] == 0.2 and reads.best_around(trips)[0] == 0.1
    assert all(best <= trip for best, trip in zip(reads.best_around(trips), trips, strict=True))


def test_a_moment_in_which_every_read_was_held_up_does_not_pass_for_a_longer_path():
    trips = [0.2] * 300 + [0.3] * 100 + [0.2] * 300
    assert max(reads.best_around(trips)) == 0.2


def test_the_source_is_as_far_away_as_it_was_at_the_time():
    home = [read(at / 10, at / 10 + (0.004 if at < 2000 else 0.008)) for at in range(4000)]
    assert reads.best_at([5.0, 395.0, 1000.0], reversed(home)) == pytest.approx([0.004, 0.008, 0.008])
    assert reads.best_at([5.0], []) == [0.0]


def test_reads_that_miss_what_was_seen_before_widen_the_interval_and_are_counted():
    found = reads.seen([read(1.0, 1.1, missed=[1]), read(1.1, 1.2, saw=[1]), read(1.3, 1.4, missed=[1]),
                        read(1.5, 1.6, saw=[1])])[1]
    assert found.hard == (1.0, 1.6) and found.missed_again == 1
    assert not found.symmetric and found.refined == found.hard


def test_nothing_is_known_of_what_was_never_seen_but_that_it_was_missed():
    found = reads.seen([read(1.0, 1.1, missed=[1]), read(1.2, 1.3, missed=[1])])[1]
    assert found.hard == (1.2, float("inf"))
    assert reads.seen([read(1.0, 1.1, saw=[2])])[2].hard == (-float("inf"), 1.1)
    assert reads.seen([read(1.0, 1.1)]) == {}  # UnprocessedKeys: neither


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100 if SOAK else 6))
def test_bounds_hold_the_truth_whatever_the_delays(seed):
    """Hard bounds with any delays, refined ones with delays of which each way has the same least."""
    chance, true, least = random.Random(seed), {probe: 1.0 + probe / 10 for probe in range(20)}, 0.1
    found = {"any": [], "alike": []}
    for number in range(600):
        sent = number / 200
        there, back = chance.uniform(0.0, 0.3), chance.uniform(0.0, 0.3)
        alike = (least + chance.expovariate(100), least + chance.expovariate(100))
        if number % 8 == 0:
            alike = (least, least)
        for kind, (way, home) in (("any", (there, back)), ("alike", alike)):
            saw = {probe for probe, when in true.items() if sent + way >= when}
            found[kind].append(read(sent, sent + way + home, saw, true.keys() - saw))
    hard, refined = reads.seen(found["any"]), reads.seen(found["alike"])
    assert hard.keys() == refined.keys() == true.keys()
    for probe, seen in hard.items():
        assert seen.hard.low <= true[probe] <= seen.hard.high
    for probe, seen in refined.items():
        assert seen.refined.low <= true[probe] <= seen.refined.high
        assert seen.refined.high - seen.refined.low < 0.05 and seen.symmetric
