"""The local cloud through random lives under a pretend clock, judged by rules of the test's own.

What the simulation does and checks is in CONTRIBUTING.md. A failure tells the command that shows it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support import SOAK, accept, seed

from gtlab.judging.linearizability import Operation
from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.globaltables.strong import Strong
from gtlab.localcloud.model import TableId
from gtlab.localcloud.proof import command
from gtlab.localcloud.proof.audit import MUSIC
from gtlab.localcloud.proof.oracle import Judge, Violation
from gtlab.localcloud.proof.schedule import HOUR, KEYS, REGIONS, SPARE, Schedule, attributes
from gtlab.localcloud.proof.simulated import ACCOUNT, TABLE, UNSAVED, UNSETTLED, Answer, Simulated
from gtlab.localcloud.proof.simulation import Simulation
from gtlab.localcloud.proof.strong import StrongTable
from gtlab.localcloud.replication import Replication, Version
from gtlab.localcloud.replication.backfill import Backfill
from gtlab.localcloud.replication.links import Links
from gtlab.localcloud.tables.streams import Streams

EVERYWHERE = (*REGIONS, SPARE)
# Random in `make soak`; a failure prints what to do to see it again. Nothing is left behind in the project's folder.
SETTINGS = settings(derandomize=not SOAK, max_examples=400 if SOAK else 40, stateful_step_count=40,
                    deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck),
                    report_multiple_bugs=False,
                    phases=(Phase.generate, Phase.shrink))


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=command.memory()) as made:
        yield Path(made)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.slow
@pytest.mark.long(25)
def test_hundreds_of_hours_with_failures(capfd):
    """Hundreds of hours of three Regions, in which links, Regions, the process and its clock fail."""
    drawn = str(seed(20261127))
    code = command.main(["--hours", "5000" if SOAK else "250", "--seed", drawn])
    told = capfd.readouterr()
    assert code == 0, told.err[-4000:]
    for what in ("partition turned", "outage turned", "crashes", "clock set back", "replicas joined", "replicas left",
                 "deliveries discarded", "linearizable histories", "streams replayed", "(Region down)"):
        assert what in told.out


def test_a_read_that_a_batch_refuses_is_no_read(folder):
    """Such as one that was on its way when its Region left the group. (Seed 458976836 had one after 302 hours.)"""
    table = StrongTable(Schedule(Simulated(folder, 1), 1))
    gone = Answer({"Responses": [{"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}}]})
    key, asked = KEYS[0], Operation(0.0, 1.0, ("set", "w1"))
    table._note(key, asked, Answer({"UnprocessedItems": {}}))
    table._note(key, Operation(2.0, 3.0, ("read",)), gone)
    table.check_histories()
    table._note(key, asked, Answer({"UnprocessedItems": {}}))
    table._note(key, Operation(2.0, 3.0, ("read",)), Answer({"Responses": [{"TableName": "Charts"}]}))
    with pytest.raises(Violation, match="not linearizable"):
        table.check_histories()


@pytest.mark.slow
def test_the_same_seed_does_the_same_whatever_python_hashes_by():
    def digest(hash_seed: str) -> str:
        done = subprocess.run([sys.executable, "-m", "gtlab.localcloud.proof", "--hours", "40", "--seed", "7"],
                              env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("Digest ")[2]

    assert digest("1") == digest("2") != ""


def test_a_wrong_number_of_hours_is_told_without_a_traceback(capfd):
    with pytest.raises(SystemExit):
        command.main(["--hours", "0"])
    assert "a number of hours above 0" in capfd.readouterr().err


# What the simulation would notice: each of these breaks the cloud in one way.

def breaks_accept(patch):
    """Whatever arrives is applied, newer or not."""
    def always(self, delivery):
        return delivery.target in self._copies.get(delivery.group, ())
    patch.setattr(Replication, "is_newer", always)


def breaks_delivery(patch):
    """One delivery in fifty is lost."""
    due = Links.due
    patch.setattr(Links, "due", lambda self, now: (each for each in due(self, now) if each.n % 50))


def breaks_tombstones(patch):
    """Nobody remembers a delete."""
    store = Replication._store

    def forgetful(self, group, region, key, version, item):
        store(self, group, region, key, version, item)
        if item is None:
            del self._copies[group][region].versions[key]
            self._copies[group][region].tombstones.pop(key, None)
    patch.setattr(Replication, "_store", forgetful)


def breaks_order(patch):
    """A write is as old as the clock says, even if its writer saw a newer one."""
    patch.setattr(Replication, "_next_version", lambda self, copy, key, region, now: Version(int(now * 1e6), region))


def breaks_leaving(patch):
    """What is on its way to a Region that leaves stays on its way."""
    drop = Links.drop

    def half(self, group, region, **options):
        queue, held = list(self._queue), dict(self._held)
        drop(self, group, region, **options)
        self._queue, self._held = queue, held
    patch.setattr(Links, "drop", half)


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
    patch.setattr(Strong, "behind", lambda self, call, tables: [])


def breaks_conflicts(patch):
    """A strong table's writers do not see those of other Regions, and write what they had read before."""
    begin = Strong.begin

    def blind(self, call, tables):
        self._being_written.clear()
        return begin(self, call, tables)
    patch.setattr(Strong, "begin", blind)
    patch.setattr(Strong, "_newest", lambda self, group, region, key: None)


@pytest.mark.slow
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
    assert command.main(["--hours", "300", "--seed", "3", "--only", "mrec"]) == 1
    told = capfd.readouterr().err
    assert "VIOLATED: " in told and "python -m gtlab.localcloud.proof --hours 300 --seed 3 --only mrec" in told


# What it found.

HOME, NEAR, FAR = REGIONS
ITEM = attributes(KEYS[0]) | {"w": {"S": "w"}}

@pytest.fixture
def life(folder):
    made = Simulated(folder, 1)
    yield made
    made.close()


def ask(life, region: str, operation: str, *, name: str = MUSIC, **data) -> Answer:
    return life.call(region, operation, {"TableName": name} | data)


def update(life, region: str, kind: str, *others: str, **more) -> str:
    """UpdateTable with ReplicaUpdates; the code of its refusal."""
    return ask(life, region, "UpdateTable",
               ReplicaUpdates=[{kind: {"RegionName": other}} for other in others], **more).code


def replicas(life, region: str) -> dict:
    described = ask(life, region, "DescribeTable").data["Table"]
    return {entry["RegionName"]: entry["ReplicaStatus"] for entry in described.get("Replicas", ())}


@pytest.fixture
def music(life):
    """A table in one Region."""
    assert not ask(life, HOME, "CreateTable", **TABLE).code
    life.advance(15.0)
    return life


@pytest.fixture
def trio(music):
    for region in (NEAR, FAR):
        assert not update(music, HOME, "Create", region)
        music.advance(30.0)
    return music


@pytest.fixture
def strong(music):
    assert not update(music, HOME, "Create", NEAR, FAR, MultiRegionConsistency="STRONG")
    music.advance(30.0)
    return music


def strong_read(life, region: str) -> dict | None:
    return ask(life, region, "GetItem", Key=attributes(KEYS[0]), ConsistentRead=True).data.get("Item")


def test_no_table_can_be_created_where_a_replica_is_about_to_be(music):
    assert not update(music, HOME, "Create", NEAR)
    assert ask(music, NEAR, "CreateTable", **TABLE).code == "ResourceInUseException"
    music.advance(60.0)
    assert replicas(music, HOME) == {NEAR: "ACTIVE"}


def test_a_table_cannot_go_before_its_ttl_setting_has_spread(trio):
    assert not ask(trio, FAR, "UpdateTimeToLive",
                   TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}).code
    assert ask(trio, FAR, "DeleteTable").code == "ResourceInUseException"
    trio.advance(60.0)
    assert not ask(trio, FAR, "DeleteTable").code
    trio.advance(60.0)
    trio.audit()


def test_a_replica_that_is_made_anew_while_its_removal_ends_stays(trio):
    assert not update(trio, HOME, "Delete", FAR)
    assert not ask(trio, FAR, "DeleteTable").code
    trio.advance(12.0)
    assert not update(trio, NEAR, "Create", FAR)
    trio.advance(600.0)
    assert set(trio.judge.members(MUSIC)) == set(REGIONS) and replicas(trio, HOME) == {NEAR: "ACTIVE", FAR: "ACTIVE"}


def test_the_last_replica_may_go_while_the_others_are_still_shown(trio):
    trio.advance(25 * HOUR)  # the rule on sources of replicas
    trio.turn("partition", (HOME, NEAR))
    ask(trio, HOME, "PutItem", Item=ITEM)
    assert not update(trio, HOME, "Delete", FAR) and not update(trio, NEAR, "Delete", HOME)
    trio.advance(60.0)
    assert replicas(trio, NEAR) == {HOME: "DELETING", FAR: "DELETING"}
    assert not ask(trio, NEAR, "DeleteTable").code
    trio.advance(10.0)
    assert not ask(trio, NEAR, "CreateTable", **TABLE).code
    trio.advance(10.0)
    assert trio.judge.members(MUSIC) == [] and replicas(trio, NEAR) == {}
    trio.audit()


def test_a_replica_that_is_being_removed_adds_none(trio):
    assert not update(trio, HOME, "Delete", FAR)
    assert update(trio, FAR, "Create", SPARE) == "ResourceInUseException"


def test_a_replica_is_set_free_only_when_those_it_adds_are_there(trio):
    ask(trio, FAR, "PutItem", Item=ITEM)
    ask(trio, FAR, "UpdateTable", DisassociationProtectionEnabled=False)
    trio.turn("partition", (FAR, HOME))
    ask(trio, FAR, "PutItem", Item=ITEM | {"w": {"S": "waits"}})
    assert not update(trio, FAR, "Disassociate", FAR)
    trio.advance(60.0)
    assert not update(trio, FAR, "Create", SPARE)
    trio.mend_all()
    trio.advance(900.0)
    assert set(trio.judge.members(MUSIC)) == {HOME, NEAR, SPARE}
    trio.audit()


def test_a_new_replica_gets_what_a_region_sent_before_it_left(trio):
    trio.turn("isolate", (FAR,))
    ask(trio, FAR, "PutItem", Item=ITEM)
    assert not ask(trio, FAR, "DeleteTable").code
    trio.advance(30.0)
    assert not update(trio, HOME, "Create", SPARE)
    trio.advance(60.0)
    trio.audit()
    assert trio.items(TableId(ACCOUNT, SPARE, MUSIC)) == trio.items(TableId(ACCOUNT, HOME, MUSIC)) == {KEYS[0]: ITEM}


def test_a_name_has_one_global_table(trio):
    assert not ask(trio, SPARE, "CreateTable", **TABLE).code
    trio.advance(15.0)
    assert update(trio, SPARE, "Create", "sa-east-1") == "ValidationException"
    ask(trio, NEAR, "PutItem", Item=ITEM)
    trio.audit()
    assert set(trio.judge.members(MUSIC)) == set(REGIONS)


def test_a_deleted_replica_is_shown_as_such_even_if_the_clock_is_set_back(trio):
    assert not ask(trio, FAR, "DeleteTable").code
    trio.set_clock(-10.0)
    assert replicas(trio, HOME) == {NEAR: "ACTIVE", FAR: "DELETING"}


def test_a_strong_group_that_is_taken_apart_still_shows_the_newest(strong):
    ask(strong, NEAR, "PutItem", Item=ITEM)
    assert not update(strong, HOME, "Delete", NEAR, FAR)
    strong.advance(0.001)
    assert strong_read(strong, HOME) == ITEM
    assert ask(strong, HOME, "Scan", ConsistentRead=True).data["Items"] == [ITEM]


def test_a_strong_group_that_is_cut_off_loses_nothing_when_it_is_taken_apart(strong):
    strong.turn("isolate", (HOME,))
    ask(strong, NEAR, "PutItem", Item=ITEM)
    assert not update(strong, HOME, "Delete", NEAR, FAR)
    strong.advance(300.0)
    strong.mend_all()
    strong.advance(60.0)
    assert strong.judge.members(MUSIC) == [] and strong_read(strong, HOME) == ITEM


# Shorter lives, which hypothesis makes as bad as it can, and then as short as it can.

regions, keys = st.sampled_from(EVERYWHERE), st.sampled_from(KEYS[:3])
seconds = st.sampled_from((0.0, 0.001, 0.3, 2.0, 45.0, 700.0))


class CoreLife(RuleBasedStateMachine):
    """The replication core alone, as its driver would use it."""

    def __init__(self):
        super().__init__()
        self.now = self.latest = 1000.0
        self.lag, self.judge, self.written = 1.0, Judge(), 0
        self.cut: set[frozenset[str]] = set()
        self.copies: dict[str, dict] = {}
        self.fills: dict[str, Backfill] = {}  # that are not over, by the Region of the new copy
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
            # Who comes back does so later than they left: the control plane takes longer than clocks are set back by.
            self.now = self.latest = self.latest + 1.0
            source = next(iter(self.copies), None)
            self.copies[region] = {}
            self.core.join("g", region)
            self.judge.begun("g", region)
            self.judge.joined("g", region, self.now, backfilled=True)
            if source:
                self.fill(region, source)

    def fill(self, region, source):
        self.fills[region] = self.core.backfill("g", source, region, lambda at, key: self.copies[at].get(key))

    @rule(most=st.sampled_from((1, 2, 1000)))
    def go_on_filling(self, most):
        self.fills = {region: fill for region, fill in self.fills.items() if fill.step(most, self.now)}

    @rule(region=regions)
    def leave(self, region):
        if region in self.copies and self.copies.keys() - self.fills.keys() - {region}:
            del self.copies[region]
            self.fills.pop(region, None)
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
        self.latest = max(self.latest, self.now)
        for delivery in self.core.links.due(self.now):
            _, _, target, key, item, version, *_ = delivery
            if accept(self.core, delivery):
                self.put(target, key, item)
                self.judge.arrived("g", target, key, item, tuple(version))
            else:
                self.judge.discarded("g", target, key, tuple(version))
        self.core.forget_tombstones(self.now - 2000)

    @rule()
    def restart(self):
        kept, self.core = self.core, self.new()
        self.core.restore(kept.copies(), [(*copy, key, *kept.entry(*copy, key)) for copy in kept.copies()
                                          for key in kept.keys_of(*copy)], list(kept.links.on_their_way()))
        for region in self.fills:
            self.fill(region, next(each for each in self.copies if each != region))

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
        while self.fills:
            self.go_on_filling(1000)
        for _ in range(100):
            if self.core.links.waiting():
                self.wait(100.0)
        assert self.core.links.waiting() == 0
        self.judge.converged("g", self.copies)


class CloudLife(RuleBasedStateMachine):
    """The whole cloud and what it keeps on disk, by calls."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory(dir=command.memory())
        self.cloud, self.written = Simulated(Path(self.folder.name), 1), 0
        self.cloud.call(REGIONS[0], "CreateTable", TABLE | {"TableName": MUSIC})
        self.cloud.advance(15.0)
        for region in REGIONS[1:]:
            self.add(REGIONS[0], region)
            self.cloud.advance(30.0)
        assert set(self.cloud.judge.members(MUSIC)) == set(REGIONS)

    def item(self, key) -> dict:
        self.written += 1
        return attributes(key) | {"w": {"S": f"w{self.written}"}}

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
        self.ask(region, "DeleteItem", Key=attributes(key))

    @rule(region=regions)
    def transact(self, region):
        one, other = KEYS[:2]
        self.cloud.call(region, "TransactWriteItems", {"TransactItems": [
            {"Put": {"TableName": MUSIC, "Item": self.item(one)}},
            {"Delete": {"TableName": MUSIC, "Key": attributes(other)}}]})

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
        self.cloud.mend_all()

    @rule(change=st.sampled_from((-4.0, -0.002, 4.0)))
    def clock_is_set(self, change):
        self.cloud.set_clock(change)

    @rule(after_a_write=st.sampled_from((None, UNSAVED, UNSETTLED)))
    def crash(self, after_a_write):
        if after_a_write:
            self.cloud.doomed = after_a_write
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


CoreLife.TestCase.settings = settings(SETTINGS, max_examples=1000 if SOAK else 200, stateful_step_count=60)
CloudLife.TestCase.settings = SETTINGS
# Only a failure takes long: it is made shorter for up to five minutes.
TestCoreLife, TestCloudLife = (
    pytest.mark.soak(pytest.mark.slow(pytest.mark.timeout(900)(life.TestCase))) for life in (CoreLife, CloudLife))
