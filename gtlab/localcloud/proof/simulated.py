"""A local cloud under a simulated clock, kept on disk and checked. The simulation and tests drive it.

It takes the place of the HTTP server: every call is saved before its caller gets the answer. A :class:`oracle.Judge`
learns what happened in the Regions once that is saved, so its records are what must survive a crash.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.disk.files import ENDINGS
from gtlab.localcloud.disk.format import Settings
from gtlab.localcloud.disk.keeper import keep, new_cloud
from gtlab.localcloud.engine import Database
from gtlab.localcloud.globaltables.strong import Hold
from gtlab.localcloud.model import Call, Refusal, TableId
from gtlab.localcloud.proof.audit import CHARTS, Auditor
from gtlab.localcloud.proof.image import compare, image_of
from gtlab.localcloud.proof.oracle import Items, Judge, Violation
from gtlab.localcloud.proof.testimony import Testimony
from gtlab.localcloud.proof.witness import Seen, Witness

ACCOUNT = "111111111111"
BEGAN = 1_800_000_000.0         # what the clock shows at first, epoch seconds
MOST_SETTLING_S = 4 * 3600.0    # what is on its way arrives within this, in a world that is whole
TABLE = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in "ps"],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement")
_ITEM_CALLS = (*_WRITES, "GetItem", "Query", "Scan", "BatchGetItem", "BatchExecuteStatement")
_SAVES_UNTIL_TIDY = 300
# Two moments at which the process may end: before a write is saved, or after it but before what it leads to.
UNSAVED, UNSETTLED = "unsaved", "unsettled"
DOWN, CRASHED = "(Region down)", "(crash)"  # instead of an error's code


class Answer(NamedTuple):
    """``data`` is None for an error, and ``code`` the error's code; it is empty if there was none."""

    data: dict | None
    code: str = ""

    def needed(self) -> dict:
        """The data of a call that must succeed. Raises Violation if it did not."""
        if self.data is None:
            raise Violation(f"a call that must succeed was answered {self.code}")
        return self.data


class Simulated:
    """One cloud in a folder, through crashes and restarts. Raises Violation if something is wrong.

    ``true`` is the simulated time, in epoch seconds; ``clock`` is what the computer's clock shows, which may have been
    set back.
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
        self.testimony = Testimony(self.judge, self.happened)
        self._auditor = Auditor(self)
        self._path = next(self._paths)
        self._open()

    @property
    def cloud(self) -> Cloud:
        return self._keeper.cloud

    @property
    def clock(self) -> float:
        return self.true + self.skew

    @property
    def database(self) -> Database:
        return self.cloud.database

    def close(self) -> None:
        self._keeper.close()

    def _open(self) -> None:
        self._keeper = keep(self._path, "realistic", next(self._seeds), make=self._make, clock=lambda: self.clock)
        if self._keeper.note:
            raise Violation(self._keeper.note)

    def _make(self, settings: Settings) -> Cloud:
        cloud = new_cloud(settings, journal=self.witness)
        self.witness.database = cloud.database
        return cloud

    # Time and calls

    def advance(self, seconds: float) -> None:
        """Let time pass and carry out what is due."""
        self.true += seconds
        self._whole(lambda: self.cloud.tick(self.clock), "the passing of time")
        self._saved()

    def call(self, region: str, operation: str, data: dict) -> Answer:
        """A call that takes no time."""
        call = Call(ACCOUNT, region, "dynamodb", operation, data)
        hold = self.begin(call)
        return hold if isinstance(hold, Answer) else self.finish(call, hold)

    def begin(self, call: Call) -> Hold | Answer:
        """Begin a call; returns what it waits for before it takes effect, or an Answer if it is refused."""
        self.advance(0.0)
        self.calls[call.operation] += 1
        if self.cloud.world.outage(call.region):
            return self._refusal(DOWN)
        try:
            return self._whole(lambda: self.cloud.begin(call), call)
        except Refusal as refusal:
            return self._refused(call, refusal)

    def finish(self, call: Call, hold: Hold) -> Answer:
        """Carry the call out and save it before its caller gets the answer. What the write leads to follows."""
        self.advance(0.0)
        doomed = self.doomed if call.operation in _WRITES else None
        image = image_of(self.cloud, self.clock) if doomed == UNSAVED else None
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
            answer = what()
        except Refusal as refusal:
            if not isinstance(name, Call):
                raise Violation(f"{name} raised {refusal.code}: {refusal.message}") from refusal
            raise
        except Exception as error:
            raise Violation(f"{name} raised {type(error).__name__}: {error}") from error
        finally:
            if self.cloud.errors.count:  # the cloud outlives its own errors, and counts them
                newest = self.cloud.errors.summary()["newest"][0]
                raise Violation(f"{name} raised in {newest['what']}: {newest['error']}")
        return answer

    def _refused(self, call: Call, refusal: Refusal) -> Answer:
        if refusal.status >= 500:
            table = TableId(ACCOUNT, call.region, call.input.get("TableName", CHARTS))  # statements, batches: of Charts
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
        return {table: dict(self.database.items(table)) for table in self.database.tables if table.region == region}

    def _check_told(self, call: Call, before: dict, after: dict, answer: Answer, saw: list[Seen]) -> None:
        """Check that replication was told of exactly what a call changed, and that a refused call changed nothing."""
        changed = {(table, tuple(key)) for table, items in after.items() for key in {*items, *before[table]}
                   if items.get(key) != before[table].get(key)}
        told = {(seen.table, seen.key) for seen in saw if seen.kind == "wrote"}
        brought = {(seen.table, seen.key) for seen in saw if seen.kind == "arrived"}
        if (changed - brought) != (told - brought) or (told and answer.data is None):
            raise Violation(f"{call} changed {changed} and told of {told}; it was answered {answer}")

    # What is kept

    def _saved(self) -> list[Seen]:
        """Save, and tell the judge what has happened since the last time; returns that."""
        self._keeper.save()
        if next(self._saves) % _SAVES_UNTIL_TIDY == 0:
            self._tidy()
        seen, self.witness.seen = self.witness.seen, []
        for each in seen:
            self.testimony.tell(each)
        return seen

    def _tidy(self) -> None:
        """What the server does every few seconds. Here it depends on the number of saves, not on time."""
        self._keeper.tidy()

    def crash(self, image: dict | None = None) -> None:
        """End the process at once and start another from what is on disk. That must be what was saved (``image``) and
        nothing else. Without an image, everything was saved, and what writes lead to is done again."""
        left, self._path = self._path, next(self._paths)
        for ending in set(ENDINGS) - {"-shm"}:  # as they are at this moment: nothing is closed or brought in order
            source = left.with_name(left.name + ending)
            if source.exists():
                shutil.copyfile(source, self._path.with_name(self._path.name + ending))
        unsettled = bool(self.cloud.changes.unsettled)
        if image is None:
            self.cloud.settle()
            image = image_of(self.cloud, self.clock)
        self._keeper.close()  # what that writes goes into the files that are left behind
        for ending in ENDINGS:
            left.with_name(left.name + ending).unlink(missing_ok=True)
        self.witness.seen = []
        self._open()
        self.life += 1
        self.happened["crashes"] += 1
        self.happened["of those, with unsettled writes"] += unsettled
        compare(image, image_of(self.cloud, self.clock), sent_again=unsettled)
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
        while self.cloud.replication.links.waiting():
            if self.true - began > MOST_SETTLING_S:
                raise Violation(f"{self.cloud.replication.links.waiting()} deliveries never arrive")
            self.advance(10.0)

    def audit(self) -> None:
        """Mend everything, wait, and look at everything."""
        self._auditor.audit()

    def read_streams(self) -> None:
        """Read the new records of every stream."""
        self._auditor.read_streams()

    def items(self, table: TableId) -> Items:
        """The items that a table shows, by key."""
        return self._auditor.items(table)

    def stream_calls(self, region: str) -> Callable[[str, dict], dict]:
        """A function that calls DynamoDB Streams in a Region."""
        def ask(operation: str, data: dict) -> dict:
            call = Call(ACCOUNT, region, "dynamodbstreams", operation, data)
            return json.loads(self._whole(lambda: self.cloud.call(call, self.clock), call))
        return ask
