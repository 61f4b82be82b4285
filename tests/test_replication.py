"""The replication core under a pretend clock."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from support import accept

from gtlab.localcloud.replication import Replication
from gtlab.localcloud.replication.links import MOST_SET_ASIDE

HERE, THERE, BEYOND = "ap-southeast-1", "us-east-1", "eu-west-1"


def joined(*regions: str, lag=lambda source, target: 1.0) -> Replication:
    core = Replication(lag)
    for region in regions:
        core.join("g", region)
    return core


def test_a_change_is_due_after_its_lag_and_only_once():
    core = joined(HERE, THERE)
    core.commit("g", HERE, "k", {"v": 1}, now=10.0)
    assert list(core.links.due(10.9)) == []
    delivery, = core.links.due(11.0)
    assert (delivery.target, delivery.item, delivery.due) == (THERE, {"v": 1}, 11.0)
    assert list(core.links.due(99.0)) == [] and core.links.next_due() is None


def test_an_applied_delivery_is_not_sent_on():
    core = joined(HERE, THERE, BEYOND)
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    assert [accept(core, delivery) for delivery in core.links.due(1.0)] == [True, True]
    assert core.links.waiting() == 0


def test_the_newer_version_wins_and_a_replay_is_harmless():
    core = joined(HERE, THERE)
    core.commit("g", HERE, "k", {"v": "old"}, now=1.0)
    core.commit("g", THERE, "k", {"v": "new"}, now=1.5)
    old, new = core.links.due(9.0)
    assert not accept(core, old) and accept(core, new) and not accept(core, new)
    assert core.version("g", HERE, "k") == core.version("g", THERE, "k")


def test_of_two_writes_at_the_same_time_the_later_region_in_the_alphabet_wins():
    core = joined(HERE, THERE)
    core.commit("g", HERE, "k", {"v": HERE}, now=1.0)
    core.commit("g", THERE, "k", {"v": THERE}, now=1.0)
    verdicts = [(delivery.source, accept(core, delivery)) for delivery in core.links.due(9.0)]
    assert verdicts == [(HERE, False), (THERE, True)]


def test_a_write_is_newer_than_what_its_writer_saw_even_if_the_clock_went_back():
    core = joined(HERE, THERE)
    core.commit("g", HERE, "k", {"v": 1}, now=5.0)
    assert [accept(core, delivery) for delivery in core.links.due(6.0)] == [True]
    core.commit("g", THERE, "k", {"v": 2}, now=4.0)
    assert [accept(core, delivery) for delivery in core.links.due(6.0)] == [True]


def test_a_late_write_does_not_bring_a_deleted_item_back():
    lags = iter([5.0, 1.0])
    core = joined(HERE, THERE, lag=lambda source, target: next(lags))
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    core.commit("g", THERE, "k", None, now=1.0)  # deleted there before the write arrived
    verdicts = {delivery.source: accept(core, delivery) for delivery in core.links.due(9.0)}
    assert verdicts == {HERE: False, THERE: True}


def test_one_items_deliveries_keep_their_order_others_need_not():
    lags = iter([5.0, 1.0, 1.0])
    core = joined(HERE, THERE, lag=lambda source, target: next(lags))
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    core.commit("g", HERE, "k", {"v": 2}, now=0.1)
    core.commit("g", HERE, "other", {"v": 3}, now=0.2)
    assert [delivery.item["v"] for delivery in core.links.due(9.0)] == [3, 1, 2]


def test_nothing_is_delivered_to_a_region_that_left_and_what_it_had_sent_arrives():
    core = joined(HERE, THERE, BEYOND)
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    core.commit("g", THERE, "l", {"v": 2}, now=0.0)
    core.leave("g", HERE)
    assert [(delivery.source, delivery.target) for delivery in core.links.due(9.0)] == [
        (HERE, THERE), (HERE, BEYOND), (THERE, BEYOND)]


def test_what_a_closed_link_holds_back_is_set_aside_and_released_in_steps_and_in_order():
    is_open = {THERE: False, BEYOND: True}
    core = Replication(lambda source, target: 1.0, lambda delivery, now: is_open[delivery.target])
    for region in (HERE, THERE, BEYOND):
        core.join("g", region)
    for n in range(2500):
        core.commit("g", HERE, str(n), {"v": n}, now=0.0)
    arrived, steps = 0, 0
    while core.links.set_aside < 2500:
        arrived += len(list(core.links.due(2.0)))
        steps += 1
        assert core.links.set_aside <= steps * MOST_SET_ASIDE
    assert arrived == 2500 and core.links.waiting() == 2500
    is_open[THERE] = True
    first = list(islice(core.links.due(9.0), 10))  # whoever takes them one by one stops when there is enough
    core.commit("g", HERE, "0", {"v": "new"}, now=8.0)
    assert core.links.next_due() <= 9.0
    rest = [delivery for delivery in core.links.due(9.0) if delivery.target == THERE]
    assert [delivery.item["v"] for delivery in first + rest] == [*range(2500), "new"]
    assert core.links.waiting() == 0 and not core.links.is_behind("g", THERE)


def test_deliveries_to_a_copy_that_left_are_forgotten_in_slices_also_after_a_restart():
    core = joined(HERE, THERE, BEYOND)
    for n in range(100):
        core.commit("g", HERE, str(n), {"v": n}, now=0.0)
    kept = list(core.links.on_their_way())
    core.unsaved.clear()
    let_go, slices = core.leave("g", BEYOND), 1
    assert {delivery.target for delivery in core.links.on_their_way()} == {THERE} and core.links.waiting() == 100
    while let_go(10):
        slices += 1
    gone = {delivery.n for delivery in kept if delivery.target == BEYOND}
    assert slices >= 10 and core.unsaved.done == gone
    again = Replication(lambda source, target: 1.0)  # the process ended before they were forgotten
    again.restore([("g", HERE), ("g", THERE)], [], kept)
    assert again.unsaved.done == gone and {delivery.target for delivery in again.links.due(9.0)} == {THERE}


def test_the_versions_of_a_copy_that_left_are_freed_in_slices():
    core = joined(HERE, THERE)
    for n in range(100):
        core.commit("g", HERE, str(n), {"v": n} if n % 2 else None, now=0.0)
    for delivery in core.links.due(9.0):
        accept(core, delivery)
    let_go, slices = core.leave("g", THERE), 1
    assert core.regions("g") == [HERE] and core.version("g", THERE, "1") is None
    while let_go(10):
        slices += 1
    assert slices == 10 and len(core.versions("g", HERE)) == 100


def test_with_the_last_copy_all_that_is_on_its_way_goes():
    core = joined(HERE, THERE)
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    core.leave("g", HERE)
    core.leave("g", THERE)
    assert core.links.waiting() == 0 and list(core.links.due(9.0)) == []


def test_a_new_copy_gets_what_was_on_its_way_to_its_source_and_to_nobody_else():
    core = joined(HERE, THERE, lag=lambda source, target: 50.0)
    items = {(HERE, "old"): {"v": 1}, (THERE, "new"): {"v": 2}}
    core.commit("g", HERE, "old", {"v": 1}, now=0.0)
    core.commit("g", HERE, "gone", {"v": 1}, now=0.0)
    for delivery in core.links.due(50.0):
        accept(core, delivery)
    core.commit("g", THERE, "new", {"v": 2}, now=51.0)
    core.commit("g", THERE, "gone", None, now=51.0)
    core.join("g", BEYOND)
    while core.backfill("g", HERE, BEYOND, lambda region, key: items.get((region, key))).step(1000, now=52.0):
        pass
    arrived = {}
    for delivery in core.links.due(200.0):
        if accept(core, delivery) and delivery.target == BEYOND:
            arrived[delivery.key] = delivery.item
    assert arrived == {"old": {"v": 1}, "new": {"v": 2}, "gone": None}


def filled(core, pause: int, meanwhile) -> dict:
    """What BEYOND has when it has been filled from HERE, and ``meanwhile`` was called after so many steps of one
    look."""
    core.join("g", BEYOND)
    backfill = core.backfill("g", HERE, BEYOND, lambda region, key: {"v": core.version("g", region, key).time_us})
    arrived = {}

    def arrive(until: float) -> None:
        for delivery in core.links.due(until):
            if accept(core, delivery) and delivery.target == BEYOND:
                arrived[delivery.key] = delivery.version.time_us

    steps, more = 0, True
    while more or steps <= pause:
        if steps == pause:
            meanwhile(arrive)
        more = backfill.step(1, now=200.0)
        steps += 1
    arrive(1000.0)
    return arrived


@pytest.mark.parametrize("pause", range(8))
def test_a_new_copy_misses_nothing_that_arrives_at_its_source_while_it_is_filled(pause):
    core = joined(HERE, THERE, lag=lambda source, target: 50.0)
    for key in ("k", "other"):
        core.commit("g", HERE, key, {"v": 1}, now=0.0)
    for delivery in core.links.due(60.0):
        accept(core, delivery)
    core.commit("g", THERE, "k", {"v": 2}, now=170.0)
    assert filled(core, pause, lambda arrive: arrive(220.0)) == {"k": 170_000_000, "other": 0}


@pytest.mark.parametrize("pause", range(8))
@pytest.mark.parametrize("gone", [HERE, THERE])
def test_a_new_copy_misses_nothing_when_another_leaves_while_it_is_filled(gone, pause):
    core = joined(HERE, THERE, lag=lambda source, target: 50.0)
    for key, region in (("k", HERE), ("other", THERE)):
        core.commit("g", region, key, {"v": 1}, now=0.0)
    for delivery in core.links.due(60.0):
        accept(core, delivery)
    core.commit("g", gone, "k", {"v": 2}, now=170.0)
    assert filled(core, pause, lambda arrive: core.leave("g", gone)) == {"k": 170_000_000, "other": 0}


def test_what_is_written_while_a_copy_is_filled_is_sent_to_it_once():
    core = joined(HERE, THERE, lag=lambda source, target: 1.0 if target == THERE else 1e6)
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)

    def write(arrive) -> None:
        core.commit("g", HERE, "k", {"v": 2}, now=200.0)
        arrive(201.0)  # in THERE, which is looked at, too

    assert filled(core, 0, write) == {}
    assert [(each.target, each.version.time_us) for each in core.links.on_their_way()] == [(BEYOND, 200_000_000)]


def test_a_backfill_begins_without_a_look_and_each_step_has_few():
    core = joined(HERE, THERE)
    for number in range(30):
        core.commit("g", HERE, f"k{number}", {"v": 1}, now=0.0)
    for delivery in core.links.due(50.0):
        accept(core, delivery)
    core.commit("g", HERE, "k0", {"v": 2}, now=51.0)
    core.join("g", BEYOND)
    looks, version = [], core.version
    core.version = lambda *where: looks.append(where) or version(*where)
    backfill, steps = core.backfill("g", HERE, BEYOND, lambda region, key: {"v": 1}), 1
    assert not looks
    while backfill.step(10, now=52.0):
        assert len(looks) <= 10 * 3  # the version of the copy, of the source and of the target
        looks.clear()
        steps += 1
    assert steps == 7 and core.links.waiting() == 1 + 30  # a delivery, another look at it, 30 of each copy, and the end


def test_tombstones_are_kept_while_a_delivery_of_their_item_is_on_its_way():
    lags = iter([100.0, 1.0])
    core = joined(HERE, THERE, lag=lambda source, target: next(lags))
    core.commit("g", HERE, "k", {"v": 1}, now=0.0)
    core.commit("g", THERE, "k", None, now=1.0)
    assert core.forget_tombstones(before=50.0) == 0
    for delivery in core.links.due(200.0):
        accept(core, delivery)
    assert core.forget_tombstones(before=50.0) == 2
    assert core.version("g", HERE, "k") is None


def test_what_comes_to_a_cut_link_waits_and_then_arrives_in_order():
    cut = {(HERE, THERE)}
    core = Replication(lambda source, target: 1.0, lambda delivery, now: delivery[1:3] not in cut)
    for region in (HERE, THERE, BEYOND):
        core.join("g", region)
    for number in range(3):
        core.commit("g", HERE, "k", {"v": number}, now=float(number))
    assert [delivery.target for delivery in core.links.due(50.0)] == [BEYOND] * 3
    assert core.links.waiting() == 3 and core.forget_tombstones(before=100.0) == 0
    cut.clear()
    assert core.links.next_due() is not None
    assert [delivery.item["v"] for delivery in core.links.due(60.0) if accept(core, delivery)] == [0, 1, 2]
    assert core.links.next_due() is None


def test_copies_converge_whatever_the_order_of_arrival():
    for seed in range(50):
        chance = random.Random(seed)
        core = joined(HERE, THERE, BEYOND, lag=lambda source, target: chance.expovariate(1.0))  # noqa: B023
        copies = {region: {} for region in (HERE, THERE, BEYOND)}
        newest, now = {}, 0.0

        def settle(until: float) -> None:
            for delivery in core.links.due(until):  # noqa: B023
                if accept(core, delivery):  # noqa: B023
                    copies[delivery.target][delivery.key] = delivery.item  # noqa: B023

        for number in range(200):
            now += chance.expovariate(5.0)
            settle(now)
            region, key = chance.choice((HERE, THERE, BEYOND)), chance.randrange(5)
            item = None if chance.random() < 0.3 else {"v": number}
            copies[region][key] = item
            newest[key] = max(newest.get(key, ((0, ""), None)), (core.commit("g", region, key, item, now), item),
                              key=lambda entry: entry[0])
        settle(1e9)
        assert copies[HERE] == copies[THERE] == copies[BEYOND] == {key: item for key, (_, item) in newest.items()}


@pytest.mark.parametrize(("bytes_", "at_once"), [(10, 10), (39_000, 10), (41_000, 5), (399_000, 1)])
def test_a_backlog_is_carried_out_a_part_at_a_time_and_tells_when(pretend, bytes_, at_once):
    from gtlab.localcloud.cloud import Cloud
    from gtlab.localcloud.world import World

    pretend.cloud = Cloud(World("instant", seed=1), most_at_once=10)
    home = pretend.client(HERE)
    home.create_table(TableName="Music", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[
        {"AttributeName": "k", "AttributeType": "N"}], KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}])
    home.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": THERE}}])
    pretend.wait(1)
    pretend.cloud.turn("partition", (HERE, THERE), None, pretend.now)
    for number in range(25):
        home.put_item(TableName="Music", Item={"k": {"N": str(number)}, "v": {"S": "x" * bytes_}})
    pretend.cloud.turn_back("partition", (HERE, THERE), pretend.now)
    counts = []
    for _ in range(30):
        pretend.wait(1)
        pages = pretend.client(THERE).get_paginator("scan").paginate(TableName="Music", Select="COUNT")
        counts.append(sum(page["Count"] for page in pages))
    assert counts[0] == at_once and counts[-1] == 25  # ten at a look; a read, whose caller waits, leaves the rest
    arrived = [event.at for event in pretend.cloud.journal.since(0) if event.kind == "delivery"]
    assert arrived == sorted(arrived) and len(arrived) == 25 and len(set(arrived)) > 1
