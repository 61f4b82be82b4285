"""The local cloud through random lives under a pretend clock, judged by rules of the test's own.

What the simulation does and checks is in docs/contributing.md. A failure tells the command that shows it again.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gtlab.localcloud import simulate
from gtlab.localcloud.keeper import Keeper
from gtlab.localcloud.oracle import Judge, Violation
from gtlab.localcloud.replication import Replication, Version
from gtlab.localcloud.simulate import KEYS, REGIONS, SPARE, Simulation
from gtlab.localcloud.simulated import MUSIC, TABLE, Simulated
from gtlab.localcloud.streams import Streams
from gtlab.localcloud.strong import Strong

EVERYWHERE = (*REGIONS, SPARE)
# Random in every run; a failure prints what to do to see it again. Nothing is left behind in the project's folder.
SETTINGS = settings(max_examples=80, stateful_step_count=40, deadline=None, database=None, print_blob=True,
                    suppress_health_check=list(HealthCheck))


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=simulate.memory()) as made:
        yield Path(made)


def test_a_thousand_hours_with_failures(capfd):
    """About forty days of three Regions, in which links, Regions, the process and its clock fail."""
    seed = random.SystemRandom().randrange(2**32)
    code = simulate.main(["--hours", "1000", "--seed", str(seed)])
    told = capfd.readouterr()
    assert code == 0, told.err[-4000:]
    for what in ("partition turned", "outage turned", "crashes", "clock set back", "replicas joined", "replicas left",
                 "deliveries discarded", "linearizable histories", "streams replayed", "(Region down)"):
        assert what in told.out


def test_the_same_seed_does_the_same_whatever_python_hashes_by():
    def digest(hash_seed: str) -> str:
        done = subprocess.run([sys.executable, "-m", "gtlab.localcloud.simulate", "--hours", "40", "--seed", "7"],
                              env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("Digest ")[2]

    assert digest("1") == digest("2") != ""


def test_a_wrong_number_of_hours_is_told_without_a_traceback(capfd):
    with pytest.raises(SystemExit):
        simulate.main(["--hours", "0"])
    assert "a number of hours above 0" in capfd.readouterr().err


# What the simulation would notice: each of these breaks the cloud in one way.

def breaks_accept(patch):
    """Whatever arrives is applied, newer or not."""
    accept = Replication.accept

    def always(self, delivery):
        if not accept(self, delivery):
            self._store(delivery.group, delivery.target, delivery.key, delivery.version, delivery.item)
        return True
    patch.setattr(Replication, "accept", always)


def breaks_delivery(patch):
    """One delivery in fifty is lost."""
    due = Replication.due
    patch.setattr(Replication, "due", lambda self, now: (each for each in due(self, now) if each.n % 50))


def breaks_tombstones(patch):
    """Nobody remembers a delete."""
    store = Replication._store

    def forgetful(self, group, region, key, version, item):
        store(self, group, region, key, version, item)
        if item is None:
            del self._copies[group, region].versions[key]
            self._copies[group, region].tombstones.discard(key)
    patch.setattr(Replication, "_store", forgetful)


def breaks_order(patch):
    """A write is as old as the clock says, even if its writer saw a newer one."""
    patch.setattr(Replication, "_next_version", lambda self, copy, key, region, now: Version(int(now * 1e6), region))


def breaks_leaving(patch):
    """What is on its way to a Region that leaves stays on its way."""
    leave = Replication.leave

    def half(self, group, region):
        queue, held = list(self._queue), dict(self._held)
        leave(self, group, region)
        self._queue, self._held = queue, held
    patch.setattr(Replication, "leave", half)


def breaks_streams(patch):
    """One record in a hundred is left out."""
    record = Streams.record

    def most(self, *arguments, **more):
        if self.sequence % 100:
            return record(self, *arguments, **more)
        self.sequence += 1
    patch.setattr(Streams, "record", most)


def breaks_versions_on_disk(patch):
    """Versions and deliveries are not saved."""
    patch.setattr(Keeper, "_replication", lambda self: [])


def breaks_items_on_disk(patch):
    """Items are not saved."""
    patch.setattr(Keeper, "_items", lambda self: [])


def breaks_strong_reads(patch):
    """A strong table looks at its own Region only."""
    patch.setattr(Strong, "behind", lambda self, call, data, tables: [])


def breaks_conflicts(patch):
    """A strong table's writers do not see those of other Regions, and write what they had read before."""
    begin = Strong.begin

    def blind(self, call, data, tables):
        self._being_written.clear()
        return begin(self, call, data, tables)
    patch.setattr(Strong, "begin", blind)
    patch.setattr(Strong, "_newest", lambda self, group, region, key: None)


@pytest.mark.parametrize(("only", "breaks", "what"), [
    ("mrec", breaks_accept, "went back|came back"),
    ("mrec", breaks_delivery, "newest version|deleted items came back"),
    ("mrec", breaks_tombstones, "came back|should have version"),
    ("mrec", breaks_order, "should have version"),
    ("mrec", breaks_leaving, "raised|no member"),
    ("mrec", breaks_streams, "record"),
    ("mrec", breaks_versions_on_disk, "after a crash the (versions|deliveries)"),
    ("mrec", breaks_items_on_disk, "after a crash the items"),
    ("mrsc", breaks_strong_reads, "not linearizable"),
    ("mrsc", breaks_conflicts, "not linearizable"),
    ("legacy", breaks_accept, "went back|came back"),
], ids=lambda value: getattr(value, "__name__", None))
def test_the_simulation_notices(folder, monkeypatch, only, breaks, what):
    breaks(monkeypatch)
    simulation = Simulation(folder, 3, only)
    try:
        with pytest.raises(Violation, match=what):
            simulation.run(300)
    finally:
        monkeypatch.undo()
        simulation.close()


def test_a_violation_tells_what_it_was_and_how_to_see_it_again(monkeypatch, capfd):
    breaks_accept(monkeypatch)
    assert simulate.main(["--hours", "300", "--seed", "3", "--only", "mrec"]) == 1
    told = capfd.readouterr().err
    assert "VIOLATED: " in told and "python -m gtlab.localcloud.simulate --hours 300 --seed 3 --only mrec" in told


# Shorter lives, which hypothesis makes as bad as it can, and then as short as it can.

regions, keys = st.sampled_from(EVERYWHERE), st.sampled_from(KEYS[:3])
seconds = st.sampled_from((0.0, 0.001, 0.3, 2.0, 45.0, 700.0))


class CoreLife(RuleBasedStateMachine):
    """The replication core alone, as its driver would use it."""

    def __init__(self):
        super().__init__()
        self.now, self.lag, self.judge, self.written = 1000.0, 1.0, Judge(), 0
        self.cut: set[frozenset[str]] = set()
        self.copies: dict[str, dict] = {}
        self.core = self.new()
        for region in REGIONS[:2]:
            self.join(region)

    def new(self) -> Replication:
        return Replication(lambda source, target: self.lag,
                           lambda delivery, now: frozenset(delivery[1:3]) not in self.cut)

    @rule(region=regions, key=keys, deleted=st.booleans())
    def write(self, region, key, deleted):
        copy = self.copies.get(region)
        if copy is None or (deleted and key not in copy):
            return
        self.written += 1
        item = None if deleted else {"n": self.written}
        version = self.core.commit("g", region, key, item, self.now)
        self.put(region, key, item)
        self.judge.wrote("g", region, key, item, tuple(version), self.now)

    @rule(region=regions)
    def join(self, region):
        if region not in self.copies:
            source = next(iter(self.copies), None)
            self.copies[region] = {}
            self.core.join("g", region)
            self.judge.begun("g", region)
            self.judge.joined("g", region, self.now, backfilled=True)
            if source:
                self.core.backfill("g", source, region, lambda at, key: self.copies[at].get(key), self.now)

    @rule(region=regions)
    def leave(self, region):
        if region in self.copies and len(self.copies) > 1:
            del self.copies[region]
            self.core.leave("g", region)
            self.judge.left("g", region)

    @rule(a=regions, b=regions)
    def partition(self, a, b):
        self.cut.add(frozenset((a, b)))

    @rule()
    def heal(self):
        self.cut.clear()

    @rule(lag=seconds)
    def slower_or_faster(self, lag):
        self.lag = lag

    @rule(back=st.sampled_from((0.002, 1.0, 4.0)))
    def clock_goes_back(self, back):
        self.now -= back

    @rule(seconds=seconds)
    def wait(self, seconds):
        self.now += seconds
        for delivery in self.core.due(self.now):
            _, _, target, key, item, version, *_ = delivery
            if self.core.accept(delivery):
                self.put(target, key, item)
                self.judge.arrived("g", target, key, item, tuple(version))
            else:
                self.judge.discarded("g", target, key, tuple(version))
        self.core.forget_tombstones(self.now - 2000)

    @rule()
    def restart(self):
        kept, self.core = self.core, self.new()
        self.core.restore(kept.copies(), [(*copy, key, *kept.entry(*copy, key)) for copy in kept.copies()
                                          for key in kept.keys_of(*copy)], list(kept.on_their_way()))

    def put(self, region, key, item):
        if item is None:
            self.copies[region].pop(key, None)
        else:
            self.copies[region][key] = item

    @invariant()
    def each_shows_what_it_got(self):
        for region, copy in self.copies.items():
            self.judge.shows("g", region, copy)

    def teardown(self):
        self.heal()
        for _ in range(100):
            self.wait(100.0)
        assert self.core.waiting() == 0
        self.judge.converged("g", self.copies)


class CloudLife(RuleBasedStateMachine):
    """The whole cloud and what it keeps on disk, by calls."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory(dir=simulate.memory())
        self.cloud, self.written = Simulated(Path(self.folder.name), 1), 0
        self.cloud.call(REGIONS[0], "CreateTable", TABLE | {"TableName": MUSIC})
        self.cloud.advance(15.0)
        for region in REGIONS[1:]:
            self.add(REGIONS[0], region)
            self.cloud.advance(30.0)
        assert set(self.cloud.judge.members(MUSIC)) == set(REGIONS)

    def item(self, key) -> dict:
        self.written += 1
        return simulate._attributes(key) | {"w": {"S": f"w{self.written}"}}

    def ask(self, region, operation, **data):
        self.cloud.call(region, operation, {"TableName": MUSIC} | data)

    @rule(region=regions, key=keys)
    def put(self, region, key):
        self.ask(region, "PutItem", Item=self.item(key))

    @rule(region=regions, key=keys)
    def create(self, region, key):
        self.ask(region, "PutItem", Item=self.item(key), ConditionExpression="attribute_not_exists(p)")

    @rule(region=regions, key=keys)
    def delete(self, region, key):
        self.ask(region, "DeleteItem", Key=simulate._attributes(key))

    @rule(region=regions)
    def transact(self, region):
        one, other = KEYS[:2]
        self.cloud.call(region, "TransactWriteItems", {"TransactItems": [
            {"Put": {"TableName": MUSIC, "Item": self.item(one)}},
            {"Delete": {"TableName": MUSIC, "Key": simulate._attributes(other)}}]})

    @rule(asked=regions, region=regions)
    def add(self, asked, region):
        self.ask(asked, "UpdateTable", ReplicaUpdates=[{"Create": {"RegionName": region}}])

    @rule(asked=regions, region=regions)
    def remove(self, asked, region):
        self.ask(asked, "UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": region}}])

    @rule(region=regions)
    def set_free(self, region):
        self.ask(region, "UpdateTable", DisassociationProtectionEnabled=False)
        self.ask(region, "UpdateTable", ReplicaUpdates=[{"Disassociate": {"RegionName": region}}])

    @rule(region=regions)
    def delete_table(self, region):
        self.ask(region, "DeleteTable")

    @rule(region=regions)
    def create_table(self, region):
        self.ask(region, "CreateTable", **TABLE)

    @rule(region=regions, enabled=st.booleans())
    def time_to_live(self, region, enabled):
        self.ask(region, "UpdateTimeToLive", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "until"})

    @rule(a=regions, b=regions)
    def partition(self, a, b):
        if a != b:
            self.cloud.turn("partition", (a, b))

    @rule(region=regions)
    def outage(self, region):
        self.cloud.turn("outage", (region,), "timeout")

    @rule()
    def heal(self):
        self.cloud.cloud.mend_all(self.cloud.clock)

    @rule(change=st.sampled_from((-4.0, -0.002, 4.0)))
    def clock_is_set(self, change):
        self.cloud.set_clock(change)

    @rule(before_it_is_saved=st.booleans())
    def crash(self, before_it_is_saved):
        if before_it_is_saved:
            self.cloud.doomed = True
        else:
            self.cloud.crash()

    @rule(seconds=seconds)
    def wait(self, seconds):
        self.cloud.advance(seconds)

    def teardown(self):
        if hasattr(self, "cloud"):
            try:
                self.cloud.audit()
            finally:
                self.cloud.close()
                self.folder.cleanup()


CoreLife.TestCase.settings = settings(SETTINGS, max_examples=200, stateful_step_count=60)
CloudLife.TestCase.settings = SETTINGS
TestCoreLife, TestCloudLife = CoreLife.TestCase, CloudLife.TestCase
