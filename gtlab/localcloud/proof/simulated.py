"""A local cloud under a pretend clock, kept on disk, watched and judged: what the simulation and the tests drive.

It stands where the HTTP face stands: every call is saved before anybody is told. What happened in the Regions is
told to a :class:`oracle.Judge` once it is saved, so that its books are what survives a crash.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud import engine
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk.keeper import keep
from gtlab.localcloud.disk.store import ENDINGS
from gtlab.localcloud.globaltables.strong import Hold
from gtlab.localcloud.model import Call, Refusal, TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.proof.oracle import Items, Judge, Stamp, Violation
from gtlab.localcloud.replication import Delivery, Version

ACCOUNT = "111111111111"
BEGAN = 1_800_000_000.0         # what the clock shows at first, epoch seconds
MOST_SETTLING_S = 4 * 3600.0    # what is on its way arrives within this, in a world that is whole
# Three tables, one a kind of global table: version 2019.11.21, version 2017.11.29, strongly consistent.
MUSIC, ALBUMS, CHARTS = "Music", "Albums", "Charts"
TABLE = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in "ps"],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement")
_ITEM_CALLS = (*_WRITES, "GetItem", "Query", "Scan")
_SAVES_UNTIL_TIDY = 300
# Two moments at which the process may end: before a write is saved; when it is, but what it leads to has not begun.
UNSAVED, UNSETTLED = "unsaved", "unsettled"
DOWN, CRASHED = "(Region down)", "(crash)"  # instead of an error's code


class Answer(NamedTuple):
    data: dict | None
    code: str = ""  # of the error; empty where there was none


class _Seen(NamedTuple):
    """Something that the journal was told, with what the item was at that moment."""

    kind: str
    table: TableId
    incarnation: str | None
    at: float
    key: tuple[str, str] | None = None
    item: dict | None = None
    stamp: Stamp | None = None


class Witness(Journal):
    """A journal that remembers all it was told until it was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[_Seen] = []

    def write(self, table: TableId, key: dict, *, deleted: bool, by: str, version: Version | None, at: float) -> None:
        super().write(table, key, deleted=deleted, by=by, version=version, at=at)
        (_, place), = engine.named(table.account, table.region, "GetItem", {"TableName": table.name, "Key": key})
        self._saw("wrote", table, at, tuple(place), engine.item(table, place), version)

    def delivery(self, table: TableId, key: dict, delivery: Delivery, at: float, looked: float) -> None:
        super().delivery(table, key, delivery, at, looked)
        self._saw("arrived", table, at, tuple(delivery.key), delivery.item, delivery.version)

    def discarded(self, table: TableId, key: dict, delivery: Delivery, winner: Version, at: float) -> None:
        super().discarded(table, key, delivery, winner, at)
        conflict = winner.region == table.region and winner != delivery.version
        self._saw("conflict" if conflict else "discarded", table, at, tuple(delivery.key), None, delivery.version)

    def member(self, table: TableId, *, joined: bool, at: float) -> None:
        super().member(table, joined=joined, at=at)
        self._saw("joined" if joined else "left", table, at)

    def _saw(self, kind: str, table: TableId, at: float, key: tuple | None = None, item: dict | None = None,
             version: Version | None = None) -> None:
        incarnation = engine.incarnation(table) if engine.exists(table) else None
        self.seen.append(_Seen(kind, table, incarnation, at, key, item and own(item), version and tuple(version)))


class Simulated:
    """One cloud in a folder, from crash to crash. Raises Violation where something is not as it must be.

    ``true`` is the time that has really passed, ``clock`` what the computer's clock shows: it may have been set back.
    """

    def __init__(self, folder: Path, seed: int):
        self.true, self.skew, self.judge, self.witness = BEGAN, 0.0, Judge(), Witness()
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.life = 0            # rises with every crash
        self.doomed: str | None = None  # the next write is followed by a crash: UNSAVED, or UNSETTLED
        self._seeds, self._saves = itertools.count(seed), itertools.count(1)
        self._paths = (folder / f"cloud-{number}.sqlite3" for number in itertools.count(1))
        self._incarnations: dict[TableId, str] = {}
        self._readers: dict[str, _Reader] = {}
        self._path = next(self._paths)
        self._open()

    @property
    def cloud(self) -> Cloud:
        return self._keeper.cloud

    @property
    def clock(self) -> float:
        return self.true + self.skew

    def close(self) -> None:
        self._keeper.close()

    def _open(self) -> None:
        self._keeper = keep(self._path, "realistic", next(self._seeds), journal=self.witness, clock=lambda: self.clock)
        if self._keeper.note:
            raise Violation(self._keeper.note)

    # Time and calls

    def advance(self, seconds: float) -> None:
        """Let time pass, and happen what is due."""
        self.true += seconds
        self._whole(lambda: self.cloud.tick(self.clock), "the passing of time")
        self._saved()

    def call(self, region: str, operation: str, data: dict) -> Answer:
        """A call that takes no time."""
        call = Call(ACCOUNT, region, "dynamodb", operation, data)
        hold = self.begin(call)
        return hold if isinstance(hold, Answer) else self.finish(call, hold)

    def begin(self, call: Call) -> Hold | Answer:
        """What a call waits for before it takes effect; an Answer where it is refused."""
        self.advance(0.0)
        self.calls[call.operation] += 1
        if self.cloud.world.outage(call.region):
            return self._refusal(DOWN)
        try:
            return self._whole(lambda: self.cloud.begin(call), call)
        except Refusal as refusal:
            return self._refused(call, refusal)

    def finish(self, call: Call, hold: Hold) -> Answer:
        """The call takes effect, and that is on disk before its caller has the answer; what it leads to follows."""
        self.advance(0.0)
        doomed = self.doomed if call.operation in _WRITES else None
        image = self.image() if doomed == UNSAVED else None
        before = self._all_items(call.region) if call.operation in _ITEM_CALLS else None
        try:
            answer = Answer(json.loads(self._whole(lambda: self.cloud.answer(call, self.clock), call)))
        except Refusal as refusal:
            answer = self._refused(call, refusal)
        finally:
            self.cloud.end(hold)
        told = []
        if doomed == UNSETTLED:
            self.doomed = None
            told = self._saved()
            self.crash()
        elif not image:
            self._keeper.save()
        self._whole(self.cloud.settle, call)
        if before is not None:
            self._check_told(call, before, self._all_items(call.region), answer, told + self.witness.seen)
        if image:
            self.doomed = None
            self.crash(image)
            return self._refusal(CRASHED)
        self._saved()
        return answer

    def _whole(self, what: Callable[[], Any], name: object) -> Any:
        try:
            return what()
        except Refusal as refusal:
            if not isinstance(name, Call):
                raise Violation(f"{name} raised {refusal.code}: {refusal.message}") from refusal
            raise
        except Exception as error:
            raise Violation(f"{name} raised {type(error).__name__}: {error}") from error

    def _refused(self, call: Call, refusal: Refusal) -> Answer:
        if refusal.status >= 500:
            table = TableId(ACCOUNT, call.region, call.input.get("TableName", ""))
            others = self.cloud.current.replicas.strong_members(table)
            cut_off = others and not any(self.cloud.world.reachable(call.region, other) for other in others)
            if not (cut_off and refusal.code == "InternalServerError"):
                raise Violation(f"{call} was answered {refusal.status}: {refusal.message}")
        if "cannot carry out" in refusal.message:
            raise Violation(f"the engine failed on {call}")
        return self._refusal(refusal.code)

    def _refusal(self, code: str) -> Answer:
        self.refused[code] += 1
        return Answer(None, code)

    def _all_items(self, region: str) -> dict[TableId, dict]:
        return {table: dict(engine.items(table)) for table in engine.tables() if table.region == region}

    def _check_told(self, call: Call, before: dict, after: dict, answer: Answer, saw: list[_Seen]) -> None:
        """What a call changed is what replication was told of, and a refused call changes nothing."""
        changed = {(table, tuple(key)) for table, items in after.items() for key in {*items, *before[table]}
                   if items.get(key) != before[table].get(key)}
        told = {(seen.table, seen.key) for seen in saw if seen.kind == "wrote"}
        brought = {(seen.table, seen.key) for seen in saw if seen.kind == "arrived"}
        if (changed - brought) != (told - brought) or (told and answer.data is None):
            raise Violation(f"{call} changed {changed} and told of {told}; it was answered {answer}")

    # What is kept

    def _saved(self) -> list[_Seen]:
        """Save, and tell the judge what is now known to have happened; what it is told."""
        self._keeper.save()
        if next(self._saves) % _SAVES_UNTIL_TIDY == 0:
            self._tidy()
        seen, self.witness.seen = self.witness.seen, []
        for each in seen:
            self._tell(each)
        return seen

    def _tidy(self) -> None:
        """What the process does every few seconds; a few seconds of the computer's are hours here."""
        self._keeper.tidy()

    def _tell(self, seen: _Seen) -> None:
        table, name = seen.table, seen.table.name
        self._look_at(table, seen.incarnation)
        if seen.kind == "joined":
            self.happened["replicas joined"] += 1
            self.judge.joined(name, table.region, seen.at, backfilled=name != ALBUMS)
        elif seen.kind == "left":
            self.happened["replicas left"] += 1
            self.judge.left(name, table.region)
        elif seen.kind == "wrote":
            self.happened["writes that changed an item"] += 1
            self.judge.wrote(name, table.region, seen.key, seen.item, seen.stamp, seen.at)
        elif seen.kind == "arrived":
            self.happened["deliveries applied"] += 1
            self.judge.arrived(name, table.region, seen.key, seen.item, seen.stamp)
        else:
            self.happened["deliveries discarded"] += 1
            self.happened["of those, conflicts"] += seen.kind == "conflict"
            self.judge.discarded(name, table.region, seen.key, seen.stamp)

    def _look_at(self, table: TableId, incarnation: str | None) -> None:
        if incarnation and self._incarnations.get(table) != incarnation:
            self._incarnations[table] = incarnation
            self.judge.begun(table.name, table.region)

    def image(self) -> dict:
        """All that a crash must not change."""
        replication, current = self.cloud.replication, self.cloud.current
        tables = engine.tables()
        return {
            "tables": {table: engine.incarnation(table) for table in tables},
            "items": {table: dict(engine.items(table)) for table in tables},
            # Without the size: the engine reckons it anew at the next write.
            "descriptions": {table: self.cloud.tables.describe(table, self.clock) | {"TableSizeBytes": 0}
                             for table in tables},
            "versions": {copy: {key: replication.entry(*copy, key) for key in replication.keys_of(*copy)}
                         for copy in replication.copies()},
            "deliveries": sorted(replication.on_their_way(), key=lambda delivery: delivery.n),
            "members": {group.id: (group.version, list(group.members)) for group in self.cloud.groups},
            "replicas": msgspec.json.encode(current.saved(), enc_hook=list),
            "knobs": sorted(self.cloud.world.turned(), key=str),
            "sequence": self.cloud.streams.sequence,
        }

    def crash(self, image: dict | None = None) -> None:
        """The process ends at once, and another takes up what is on disk: all that was saved (``image``), and no
        more. Without an image everything was, and what writes lead to begins anew."""
        left, self._path = self._path, next(self._paths)
        for ending in set(ENDINGS) - {"-shm"}:  # as they are at this moment: nothing is closed or brought in order
            source = left.with_name(left.name + ending)
            if source.exists():
                shutil.copyfile(source, self._path.with_name(self._path.name + ending))
        unsettled = bool(self.cloud.unsettled)
        if image is None:
            self.cloud.settle()
            image = self.image()
        self._keeper.close()  # what that writes goes into the files that are left behind
        for ending in ENDINGS:
            left.with_name(left.name + ending).unlink(missing_ok=True)
        self.witness.seen = []
        self._open()
        self.life += 1
        self.happened["crashes"] += 1
        self.happened["of those, with unsettled writes"] += unsettled
        found = self.image()
        if unsettled:  # how long a delivery takes is left to chance, and numbers that were never on disk come again
            for each in (image, found):
                each["deliveries"] = sorted((delivery[:-2] for delivery in each["deliveries"]), key=str)
        for name, was in image.items():
            if found[name] != was:
                raise Violation(f"after a crash the {name} are not as they were saved: {found[name]} is not {was}")
        self.judge.made["restarts"] += 1

    # The world

    def turn(self, knob: str, place: tuple[str, ...], value: object = None) -> None:
        self.happened[f"{knob} turned"] += 1
        self.cloud.turn(knob, place, value, self.clock)
        self._saved()

    def turn_back(self, knob: str, place: tuple[str, ...]) -> None:
        self.cloud.turn_back(knob, place, self.clock)
        self._saved()

    def mend_all(self) -> None:
        self.cloud.mend_all(self.clock)
        self._saved()

    def set_clock(self, seconds: float) -> None:
        """The computer's clock is set forward, or back by a negative number of seconds."""
        self.happened["clock set forward" if seconds > 0 else "clock set back"] += 1
        self.skew += seconds
        self.advance(0.0)

    # Looking

    def settle(self) -> None:
        """Mend the world and wait until nothing is on its way."""
        self.mend_all()
        began = self.true
        self.advance(10.0)
        while self.cloud.replication.waiting():
            if self.true - began > MOST_SETTLING_S:
                raise Violation(f"{self.cloud.replication.waiting()} deliveries never arrive")
            self.advance(10.0)

    def audit(self) -> None:
        """Mend everything, wait, and look at everything."""
        self.settle()
        shown: dict[str, dict[str, Items]] = {}
        for table in engine.tables():
            self._look_at(table, engine.incarnation(table))
            items = self.items(table)
            self.judge.shows(table.name, table.region, {key: own(item) for key, item in items.items()})
            shown.setdefault(table.name, {})[table.region] = items
        for name in (MUSIC, ALBUMS, CHARTS):
            members = self.judge.members(name)
            if members:
                copies = {region: shown[name][region] for region in members if region in shown.get(name, {})}
                self.judge.converged(name, {region: {key: own(item) for key, item in items.items()}
                                            for region, items in copies.items()})
                self._check_described(name, members)
                self._check_marks(copies)
        self.read_streams()

    def items(self, table: TableId) -> Items:
        """What a table shows, by Scan; a table that is still being created shows nothing, and is looked into."""
        if self.cloud.tables.status(table, self.clock) == "CREATING":
            return {tuple(key): item for key, item in engine.items(table)}
        answer = self.call(table.region, "Scan", {"TableName": table.name})
        if answer.code:
            raise Violation(f"a Scan of {table} was answered {answer.code} in a world that is whole")
        return {key_of(item): item for item in answer.data["Items"]}

    def _check_described(self, name: str, members: list[str]) -> None:
        """The Regions that DescribeTable shows are the members, where none is being added or removed."""
        for region in members:
            described = self.call(region, "DescribeTable", {"TableName": name}).data["Table"]
            replicas = {entry["RegionName"]: entry["ReplicaStatus"] for entry in described.get("Replicas", ())}
            if name != ALBUMS and described["TableStatus"] == "ACTIVE" and set(replicas.values()) == {"ACTIVE"}:
                self.judge.made["membership shown"] += 1
                if {region, *replicas} != set(members):
                    raise Violation(f"{name} in {region} shows {sorted(replicas)}, the members are {sorted(members)}")

    def _check_marks(self, copies: dict[str, Items]) -> None:
        """What version 2017.11.29 writes into an item is the same everywhere."""
        for key in {key for items in copies.values() for key in items}:
            kinds = {json.dumps(items[key], sort_keys=True) for items in copies.values() if key in items}
            if len({json.dumps(own(json.loads(kind)), sort_keys=True) for kind in kinds}) < len(kinds):
                raise Violation(f"the service's attributes of {key} differ: {kinds}")

    def read_streams(self) -> None:
        """Read on in every stream; its records from the first one rebuild the table's items."""
        for table in engine.tables():
            arn = self.cloud.tables.stream(table)
            if arn:
                reader = self._readers.setdefault(arn, _Reader(arn))
                reader.read_on(self._ask_stream(table.region))
                if reader.items != {tuple(key): item for key, item in engine.items(table)}:
                    raise Violation(f"the records of {arn} do not rebuild the table's items: {reader.items} is not "
                                    f"{dict(engine.items(table))}")
                self.judge.made["streams replayed"] += 1

    def _ask_stream(self, region: str) -> Callable[[str, dict], dict]:
        def ask(operation: str, data: dict) -> dict:
            call = Call(ACCOUNT, region, "dynamodbstreams", operation, data)
            return json.loads(self._whole(lambda: self.cloud.call(call, self.clock), call))
        return ask


class _Reader:
    """Somebody who reads a stream from its first record on, and keeps a table by it."""

    def __init__(self, arn: str):
        self._arn = arn
        self._last: dict[str, str] = {}
        self.items: Items = {}

    def read_on(self, ask: Callable[[str, dict], dict]) -> None:
        described = ask("DescribeStream", {"StreamArn": self._arn})["StreamDescription"]
        for shard in described["Shards"]:
            for record in self._fresh(ask, shard["ShardId"]):
                self._take(shard["ShardId"], record)

    def _fresh(self, ask: Callable[[str, dict], dict], shard: str) -> list[dict]:
        asked = {"StreamArn": self._arn, "ShardId": shard}
        last = self._last.get(shard, "")
        try:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last} if last else None
            iterator = ask("GetShardIterator", asked | (after or {"ShardIteratorType": "TRIM_HORIZON"}))
        except Refusal:  # the last one that was read is gone by now
            iterator = ask("GetShardIterator", asked | {"ShardIteratorType": "TRIM_HORIZON"})
        found, iterator = [], iterator["ShardIterator"]
        while iterator:
            answer = ask("GetRecords", {"ShardIterator": iterator})
            found += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
        return [record for record in found if record["dynamodb"]["SequenceNumber"] > last]

    def _take(self, shard: str, record: dict) -> None:
        change = record["dynamodb"]
        key, number = key_of(change["Keys"]), change["SequenceNumber"]
        old, new = change.get("OldImage"), change.get("NewImage")
        kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        if number <= self._last.get(shard, "") or self.items.get(key) != old or record["eventName"] != kind:
            raise Violation(f"a record does not go on where the one before ended: {record} after "
                            f"{self._last.get(shard)}, when the item was {self.items.get(key)}")
        self._last[shard] = number
        if new is None:
            del self.items[key]
        else:
            self.items[key] = new


def own(item: dict) -> dict:
    """An item without what version 2017.11.29 writes into it."""
    return {name: value for name, value in item.items() if not name.startswith("aws:rep:")}


def key_of(attributes: dict) -> tuple[str, str]:
    return attributes["p"]["S"], attributes["s"]["S"]
