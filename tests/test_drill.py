"""Drills through an outage of the local cloud, and what the checks of the course make of them."""

from __future__ import annotations

import contextlib
import threading

import pytest
from botocore.exceptions import EndpointConnectionError
from support import IRELAND, SINGAPORE, VIRGINIA, regions_with_table, wait_until

import gtlab
from gtlab import drill, stages
from gtlab.failover import Failover
from gtlab.localcloud import process

pytestmark = pytest.mark.server

TRIO = (SINGAPORE, VIRGINIA, IRELAND)
TIMEOUT_S = 1.0  # a busy machine takes a while for a call that nothing holds up
IMPATIENT = {"connect_timeout": TIMEOUT_S, "read_timeout": TIMEOUT_S,
             "retries": {"mode": "standard", "total_max_attempts": 1}}
ITEM = {"Artist": {"S": "Me"}, "SongTitle": {"S": "Song"}}
QUICK = {"before_s": 1.0, "outage_s": 3.0, "after_s": 2.0, "rate": 20, "items": 15, "cooldown_s": 0.3}
WRITES = 120


@pytest.fixture(scope="module")
def lab():
    """A lab in a cloud of its own, with the global table Music in the article's Regions."""
    with process.throwaway("fast", seed=3):
        lab = gtlab.connect()
        stages.ensure_global_table(lab)
        yield lab
        lab.world.reset()


@pytest.fixture
def clients(lab):
    return {region: lab.new_client(region, **IMPATIENT) for region in lab.regions}


def left_over(lab) -> int:
    return sum(len(lab.client(region).scan(TableName="Music")["Items"]) for region in TRIO)


@pytest.mark.parametrize("how", ["timeout", "refused", "error"])
def test_every_kind_of_outage_is_survived_and_left_behind(lab, clients, how):
    failover = Failover(clients, cooldown_s=0.2)
    with lab.world.outage(SINGAPORE, how=how):
        answer = failover.call("put_item", idempotent=True, TableName="Music", Item=ITEM)
        assert answer.region == VIRGINIA and [region for region, _ in answer.failures] == [SINGAPORE]
        assert failover.call("get_item", TableName="Music", Key=ITEM, ConsistentRead=True).response["Item"]
    wait_until(lambda: failover.call("get_item", TableName="Music", Key=ITEM).region == SINGAPORE,
               "the preferred Region to be called again")
    lab.client(VIRGINIA).delete_item(TableName="Music", Key=ITEM)


@pytest.fixture(scope="module")
def drilled(lab):
    """A drill with replication so slow that what was written shortly before the outage is missing elsewhere."""
    clients = {region: lab.new_client(region, **IMPATIENT) for region in lab.regions}
    with lab.world.lag(0.4):
        return drill.run(lab, "Music", clients, lambda: lab.world.outage(SINGAPORE), **QUICK)


def test_a_drill_tells_of_each_write_who_acknowledged_it_and_when(drilled):
    assert list(drilled["n"]) == list(range(1, WRITES + 1)) and set(drilled["outcome"]) == {"answered"}
    assert (drilled["due_ms"] <= drilled["sent_ms"] + 1).all() and (drilled["sent_ms"] < drilled["answered_ms"]).all()
    began, ended = drilled["outage_from_ms"].iloc[0], drilled["outage_to_ms"].iloc[0]
    during = drilled[(drilled["sent_ms"] > began) & (drilled["answered_ms"] < ended)]
    assert len(during) > 3 and set(during["region"]) == {VIRGINIA}
    assert set(drilled[drilled["answered_ms"] < began]["region"]) == {SINGAPORE}
    assert drilled["region"].iloc[-1] == SINGAPORE, "it goes back home"
    assert set(drilled["backend"]) == {"simulated: local cloud, fast network, built-in lag model"}


def test_the_recovery_takes_the_time_until_a_write_is_acknowledged_again(drilled):
    figures = drill.summary(drilled).iloc[0]
    assert (figures["lost_region"], figures["took_over"], figures["failed"]) == (SINGAPORE, VIRGINIA, 0)
    # Somebody has to wait for the timeout first.
    assert figures["recovery_ms"] > 1000 * TIMEOUT_S - 60


def test_missing_is_what_was_on_its_way(drilled):
    figures = drill.summary(drilled).iloc[0]
    # Of a lag of 0.4 s, at 20 writes per second, some eight writes, if the machine sends them on time.
    assert figures["missing_writes"] >= 1 and figures["missing_ms"] > 0
    missing = drilled[drilled["missing"]]
    assert set(missing["region"]) == {SINGAPORE} and (missing["sent_ms"] < drilled["outage_from_ms"].iloc[0]).all()
    assert figures["came_late"] + figures["missing_lost"] == len(missing)


def test_what_is_lost_was_overwritten_by_a_write_that_had_not_seen_it(drilled):
    acked = drilled[drilled["region"].notna()]
    lost = acked[acked["fate"] == "lost"]
    assert len(lost) >= 1
    for row in lost.itertuples():
        later = acked[(acked["item"] == row.item) & (acked["n"] > row.n)]
        assert len(later) and row.n not in set(later["replaced"].dropna())
    stays = acked[acked["fate"] == "stays"]
    assert list(stays["item"]) == sorted(set(stays["item"]), key=list(stays["item"]).index), "one an item"
    replaced = acked[acked["fate"] == "replaced"]
    assert len(stays) >= 1 and len(replaced) >= 1
    for row in replaced.itertuples():
        assert row.n in set(acked[acked["item"] == row.item]["replaced"].dropna())


def test_the_journal_of_the_local_cloud_tells_of_the_same_losses(lab, clients):
    before = int(lab.events()["n"].max())
    with lab.world.lag(0.4):
        drilled = drill.run(lab, "Music", clients, lambda: lab.world.outage(SINGAPORE), **QUICK)
    events = lab.events(after=before, kinds=["discarded"])
    overwritten = events[events["conflict"].astype(bool) & (events["source"] == SINGAPORE)]
    lost = drilled[drilled["missing"] & (drilled["fate"] == "lost")]
    items = {int(key.split(" / ")[0].rsplit("-", 1)[1]) for key in overwritten["key"]}
    assert len(lost) >= 1 and set(lost["item"]) <= items


def test_a_drill_leaves_nothing_behind(lab, drilled):
    wait_until(lambda: left_over(lab) == 0, "the drill's items to be gone")
    assert lab.world.state().empty


def test_without_lag_nothing_is_missing(lab, clients):
    with lab.world.lag(0):
        drilled = drill.run(lab, "Music", clients, lambda: lab.world.outage(SINGAPORE, how="refused"),
                            **QUICK)
    figures = drill.summary(drilled).iloc[0]
    assert not figures[["missing_writes", "missing_ms", "came_late", "missing_lost"]].any()
    assert figures["took_over"] == VIRGINIA


def test_a_region_that_only_this_program_loses(lab, clients):
    drilled = drill.run(lab, "Music", clients, lambda: drill.unreachable(clients[SINGAPORE], after_s=0.2),
                        **QUICK | {"outage_s": 0.8})
    assert drill.summary(drilled)["took_over"].iloc[0] == VIRGINIA
    assert clients[SINGAPORE].get_item(TableName="Music", Key=ITEM)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_when_nobody_takes_over_writes_fail_and_say_how(lab, clients):
    def all_down():
        stack = contextlib.ExitStack()
        for region in TRIO[:2]:
            stack.enter_context(drill.unreachable(clients[region], after_s=0.05))
        return stack

    two = {region: clients[region] for region in TRIO[:2]}
    drilled = drill.run(lab, "Music", two, all_down, **QUICK | {"outage_s": 0.5, "cooldown_s": 0.1})
    figures = drill.summary(drilled).iloc[0]
    failed = drilled[drilled["region"].isna()]
    assert figures["failed"] == len(failed) > 3 and figures["missing_writes"] == 0 and figures["recovery_ms"] > 300
    assert set(failed["outcome"]) == {"ConnectTimeoutError"} and failed["fate"].isna().all()


def test_an_interrupted_drill_mends_and_keeps_what_it_has(lab, clients, capsys, monkeypatch):
    writes = []

    def interrupt(self, at_ms, wait=drill._Drill._wait_until):
        if threading.current_thread() is threading.main_thread():
            writes.append(at_ms)
            if at_ms >= 1500:
                raise KeyboardInterrupt
        wait(self, at_ms)

    monkeypatch.setattr(drill._Drill, "_wait_until", interrupt)
    drilled = drill.run(lab, "Music", clients, lambda: lab.world.outage(SINGAPORE), **QUICK)
    assert len(drilled) == len(writes) - 1 < WRITES and "Stopped after" in capsys.readouterr().out
    assert lab.world.state().empty
    wait_until(lambda: left_over(lab) == 0, "the drill's items to be gone")


@pytest.mark.parametrize(("asked", "text"), [
    ({"rate": 0}, "rate is 0"), ({"outage_s": -1}, "outage_s is -1"), ({"items": 101}, "items is 101"),
])
def test_drills_that_make_no_sense_are_explained(lab, clients, asked, text):
    with pytest.raises(ValueError, match=text):
        drill.run(lab, "Music", clients, lambda: lab.world.outage(SINGAPORE), **asked)


def test_a_drill_needs_somewhere_to_go(lab, clients):
    with pytest.raises(ValueError, match="at least two Regions"):
        drill.run(lab, "Music", {SINGAPORE: clients[SINGAPORE]}, lambda: lab.world.outage(SINGAPORE))


def test_what_cannot_be_broken_ends_the_drill(lab, clients):
    with pytest.raises(ValueError, match="mars"):
        drill.run(lab, "Music", clients, lambda: lab.world.outage("mars"), **QUICK)
    wait_until(lambda: left_over(lab) == 0, "the drill's items to be gone")


# --- the tables of today ---

@pytest.mark.parametrize(("ensure", "table"), [(stages.ensure_today, stages.TODAY),
                                               (stages.ensure_strong, stages.STRONG)])
def test_todays_tables_are_created_in_the_background_and_a_call_can_wait_for_them(lab, ensure, table):
    def listed() -> list[str]:
        described = lab.client(SINGAPORE).describe_table(TableName=table)["Table"]
        return [entry["RegionName"] for entry in described.get("Replicas", [])]

    ensure(lab, wait=False)
    assert SINGAPORE in regions_with_table(lab, table)
    wait_until(listed, "its replicas to be begun")
    ensure(lab)
    ensure(lab)
    assert regions_with_table(lab, table) == {*TRIO[:2]} | ({IRELAND} if table == stages.STRONG else set())


def test_a_step_in_the_background_that_fails_is_tried_again():
    tried, done = [], threading.Event()

    def step() -> bool:
        tried.append(1)
        if len(tried) == 1:
            raise EndpointConnectionError(endpoint_url="http://of.a.region.that.is.down")
        done.set()
        return True
    stages._Background().begin(step)
    assert done.wait(60)
