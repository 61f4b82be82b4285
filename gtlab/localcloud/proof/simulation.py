"""``python -m gtlab.localcloud.proof``: a random life of the local cloud under a pretend clock, and its judgement.

Customers write in every Region and change who is a member, while Regions, links, the process and its clock fail. Then
all is mended, and everything must be as docs/contributing.md says. The same seed and hours do the same again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

from tqdm import tqdm

from gtlab.judging.linearizability import Operation, linearization
from gtlab.localcloud import engine
from gtlab.localcloud.model import Call, TableId
from gtlab.localcloud.proof.oracle import Violation
from gtlab.localcloud.proof.simulated import (
    ACCOUNT,
    ALBUMS,
    BEGAN,
    CHARTS,
    MUSIC,
    TABLE,
    UNSAVED,
    UNSETTLED,
    Answer,
    Simulated,
)

REGIONS = ("ap-southeast-1", "us-east-1", "eu-west-1")
SPARE = "us-east-2"  # a fourth Region that comes and goes
KINDS = {"mrec": MUSIC, "legacy": ALBUMS, "mrsc": CHARTS}
KEYS = [(p, s) for p in ("p1", "p2", "p3") for s in ("a", "b")]
MINUTE, HOUR = 60.0, 3600.0

Process = Iterator[float]  # does something, and says how many seconds it then waits


class Simulation:
    """``only``: one of KINDS, or None for all."""

    def __init__(self, folder: Path, seed: int, only: str | None = None):
        self.chance = random.Random(seed)
        self.cloud = Simulated(folder, seed)
        self._waiting: list[tuple[float, int, Process]] = []
        self._order, self._names = count(), count(1)
        self._histories: dict[tuple, list[Operation]] = defaultdict(list)  # of strongly consistent items
        self._ever: set[str] = set()                                       # names of their writes
        kinds = [only] if only else list(KINDS)
        for kind in kinds:
            self._start(getattr(self, f"_{kind}")())
        self._tables = [KINDS[kind] for kind in kinds if kind != "mrsc"]
        for process in (self._failures, self._clock, self._crashes, self._audits):
            self._start(process())

    def run(self, hours: float, progress: Callable[[float], object] = lambda hours: None) -> None:
        """Raises Violation. ``progress`` is told the hours that have passed."""
        until = BEGAN + hours * HOUR
        while self._waiting and self._waiting[0][0] <= until:
            at, _, process = heappop(self._waiting)
            self.cloud.advance(max(0.0, at - self.cloud.true))
            self._go_on(process)
            progress(min(self.cloud.true, until) / HOUR - BEGAN / HOUR)
        self.cloud.advance(max(0.0, until - self.cloud.true))
        self._audit()
        self._check_histories()
        progress(hours)

    def digest(self) -> str:
        """What came out of it: every item, and every count."""
        tables = [[*table, sorted([*key, item] for key, item in engine.items(table))]
                  for table in sorted(engine.tables())]
        counts = [sorted(each.items()) for each in (self.cloud.calls, self.cloud.refused, self.cloud.happened,
                                                    self.cloud.judge.made)]
        return hashlib.sha256(json.dumps([tables, counts], sort_keys=True).encode()).hexdigest()

    def close(self) -> None:
        self.cloud.close()

    def _start(self, process: Process, after: float = 0.0) -> None:
        heappush(self._waiting, (self.cloud.true + after, next(self._order), process))

    def _go_on(self, process: Process) -> None:
        wait = next(process, None)
        if wait is not None:
            self._start(process, wait)

    # Failures

    def _failures(self) -> Process:
        while True:
            yield self._about(2.4 * HOUR)
            for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
                knob, place, value = self._failure()
                lasts = min(self.chance.lognormvariate(math.log(MINUTE), 1.4), HOUR)
                self.cloud.turn(knob, place, value)
                self._start(self._mend(knob, place), lasts)
                self._start(self._busy(), self.chance.uniform(0, 2))
                self._start(self._busy(), max(0.0, lasts - self.chance.uniform(0, 2)))
                if self.chance.random() < 0.4:
                    self._start(self._members_change(), self.chance.uniform(0, lasts))

    def _mend(self, knob: str, place: tuple[str, ...]) -> Process:
        self.cloud.turn_back(knob, place)
        yield from ()

    def _members_change(self) -> Process:
        """Replicas come and go while something is broken, too."""
        here = [table.region for table in engine.tables() if table.name == MUSIC]
        for _ in range(self.chance.choice((1, 2, 3)) if here else 0):
            self._change_music(here, self.cloud.judge.members(MUSIC))
        yield from ()

    def _failure(self) -> tuple[str, tuple[str, ...], object]:
        chance = self.chance
        a, b = chance.sample((*REGIONS, SPARE), 2)
        return chance.choice([
            lambda: ("partition", (a, b), None), lambda: ("partition", (a, b), None),
            lambda: ("isolate", (a,), None), lambda: ("outage", (a,), "timeout"),
            lambda: ("slow", (a, b), chance.uniform(10, 5000)),
            lambda: ("lag", (a, b), chance.choice((0, 0.01, 5, 120))), lambda: ("lag", (), chance.choice((0, 3, 60))),
            lambda: ("throttle", (ACCOUNT, a, chance.choice((MUSIC, ALBUMS))), {"write_units": 1, "burst_s": 2}),
        ])()

    def _clock(self) -> Process:
        while True:
            yield self._about(3 * HOUR)
            self.cloud.set_clock(self.chance.choice((-1, 1)) * self.chance.choice((0.002, 0.05, 0.7, 4.0)))
            self._start(self._busy())

    def _crashes(self) -> Process:
        while True:
            yield self._about(12 * HOUR)
            self._start(self._busy())
            yield self.chance.uniform(0, 2)
            if self.chance.random() < 0.5:
                self.cloud.doomed = self.chance.choice((UNSAVED, UNSETTLED))
            else:
                self.cloud.crash()

    def _audits(self) -> Process:
        while True:
            yield self.chance.uniform(4, 6) * HOUR
            self._audit()
            if self.chance.random() < 0.03:  # nothing for longer than tombstones and records are kept
                for _ in range(7):
                    self.cloud.advance(4 * HOUR)
                    self.cloud.read_streams()
                self._audit()

    def _audit(self) -> None:
        self.cloud.audit()
        if self.cloud.judge.members(CHARTS):
            for key in KEYS[:3]:
                self._read_all(key)

    def _busy(self) -> Process:
        """A little while in which much is written."""
        for table in self._tables:
            self._start(self._writer(table, self.chance.randint(2, 5)), self.chance.uniform(0, 1))
        for _ in range(2):
            self._start(self._customer(), self.chance.uniform(0, 1))
        yield from ()

    # Eventually consistent tables

    def _writer(self, name: str, writes: int) -> Process:
        for _ in range(writes):
            self._write(name)
            yield self.chance.choice((0.0, self._about(0.05), self._about(0.6)))

    def _write(self, name: str) -> None:
        here = [table.region for table in engine.tables() if table.name == name]
        if here:
            self.cloud.call(self.chance.choice(here), *self._random_write(name, self.chance.choice(here)))

    def _random_write(self, name: str, region: str) -> tuple[str, dict]:
        chance, table, key = self.chance, {"TableName": name}, self._key(KEYS)
        named, values = {"#w": "w"}, {":w": {"S": self._name()}, ":n": {"N": "1"}}
        kind = chance.choices(("put", "same", "create", "add", "delete", "delete some", "batch", "transaction",
                               "statement", "get", "query"), (24, 4, 10, 18, 12, 4, 8, 8, 4, 4, 4))[0]
        if kind == "put":
            return "PutItem", table | {"Item": self._item(key)}
        if kind == "same":
            there = [item for _, item in engine.items(TableId(ACCOUNT, region, name))]
            return "PutItem", table | {"Item": chance.choice(there) if there else self._item(key)}
        if kind == "create":
            return "PutItem", table | {"Item": self._item(key), "ConditionExpression": "attribute_not_exists(p)"}
        if kind == "add":
            return "UpdateItem", table | {"Key": key, "UpdateExpression": "ADD n :n SET #w = :w",
                                          "ExpressionAttributeNames": named, "ExpressionAttributeValues": values}
        if kind == "delete":
            return "DeleteItem", table | {"Key": key}
        if kind == "delete some":
            return "DeleteItem", table | {"Key": key, "ConditionExpression": "n >= :n",
                                          "ExpressionAttributeValues": {":n": {"N": "1"}}}
        if kind == "batch":
            first, second = chance.sample(KEYS, 2)
            return "BatchWriteItem", {"RequestItems": {name: [
                {"PutRequest": {"Item": self._item(attributes(first))}},
                {"DeleteRequest": {"Key": attributes(second)}}]}}
        if kind == "transaction":
            first, second, third = chance.sample(KEYS, 3)
            return "TransactWriteItems", {"TransactItems": [
                {"Put": table | {"Item": self._item(attributes(first))}},
                {"Update": table | {"Key": attributes(second), "UpdateExpression": "SET #w = :w",
                                    "ExpressionAttributeNames": named, "ExpressionAttributeValues": {
                                        ":w": {"S": self._name()}}}},
                {"ConditionCheck": table | {"Key": attributes(third), "ConditionExpression": chance.choice(
                    ("attribute_exists(p)", "attribute_not_exists(p)"))}}]}
        if kind == "statement":
            where = f"p = '{key['p']['S']}' AND s = '{key['s']['S']}'"
            return "ExecuteStatement", {"Statement": chance.choice((
                f"UPDATE \"{name}\" SET w = '{self._name()}' WHERE {where}", f'DELETE FROM "{name}" WHERE {where}'))}
        if kind == "get":
            return "GetItem", table | {"Key": key, "ConsistentRead": chance.random() < 0.5}
        return "Query", table | {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": key["p"]}}

    def _item(self, key: dict) -> dict:
        item = key | {"w": {"S": self._name()}, "n": {"N": str(self.chance.randrange(3))}}
        if self.chance.random() < 0.1:
            item["until"] = {"N": str(int(self.cloud.clock) + self.chance.randrange(-60, 2 * 3600))}
        return item

    def _mrec(self) -> Process:
        """Version 2019.11.21: replicas come and go, each asked for in whatever Region."""
        while True:
            here = [table.region for table in engine.tables() if table.name == MUSIC]
            members = self.cloud.judge.members(MUSIC)
            if not here:
                self._create(self.chance.choice(REGIONS), MUSIC)
                yield 15.0
                continue
            for _ in range(self.chance.choice((1, 1, 1, 2))):
                self._change_music(here, members)
            yield self._about(2 * HOUR if len(members) > 2 else 8 * MINUTE)

    def _change_music(self, here: list[str], members: list[str]) -> None:
        chance, music = self.chance, {"TableName": MUSIC}
        asked, other = chance.choice(members or here), chance.choice((*REGIONS, SPARE))
        update = {"ReplicaUpdates": [{"Delete": {"RegionName": other}}]}
        if len(members) < 3 and chance.random() < 0.8:
            other = chance.choice([region for region in REGIONS if region not in members])
            if other in here:  # what was left behind by a removal
                self.cloud.call(other, "DeleteTable", music)
            update = {"ReplicaUpdates": [{"Create": {"RegionName": other}}]}
        else:
            kind = chance.choice(("remove", "remove", "delete", "free", "add", "create", "ttl", "setting"))
            if kind == "delete":
                self.cloud.call(other, "DeleteTable", music)
                return
            if kind == "create":
                self._create(other, MUSIC)
                return
            if kind == "ttl":
                self.cloud.call(asked, "UpdateTimeToLive", music | {"TimeToLiveSpecification": {
                    "Enabled": chance.random() < 0.7, "AttributeName": "until"}})
                return
            if kind == "free":
                self.cloud.call(asked, "UpdateTable", music | {"DisassociationProtectionEnabled": False})
                update = {"ReplicaUpdates": [{"Disassociate": {"RegionName": asked}}]}
            elif kind == "add":
                update = {"ReplicaUpdates": [{"Create": {"RegionName": other}}]}
            elif kind == "setting":
                update = {"OnDemandThroughput": {"MaxReadRequestUnits": chance.randint(1, 99)}}
        self.cloud.call(asked, "UpdateTable", music | update)

    def _legacy(self) -> Process:
        """Version 2017.11.29: members are removed, or deleted, and come back as new tables."""
        for region in REGIONS:
            while self._create(region, ALBUMS).code:
                yield 30.0
        while self.cloud.call(REGIONS[0], "CreateGlobalTable", {"GlobalTableName": ALBUMS, "ReplicationGroup": [
                {"RegionName": region} for region in REGIONS]}).code:
            yield 30.0
        while True:
            yield self._about(6 * HOUR)
            region = self.chance.choice(REGIONS)
            asked = self.chance.choice([other for other in REGIONS if other != region])
            if self.chance.random() < 0.7:
                yield from self._until(lambda: self._change_albums(asked, "Delete", region))  # noqa: B023
                yield self._about(10 * MINUTE)  # it is written to, and takes no part
            yield from self._until(lambda: self.cloud.call(region, "DeleteTable", {"TableName": ALBUMS}))  # noqa: B023
            yield from self._until(lambda: self._create(region, ALBUMS))  # noqa: B023
            yield from self._until(lambda: self._change_albums(asked, "Create", region))  # noqa: B023

    def _change_albums(self, asked: str, kind: str, region: str) -> Answer:
        if kind == "Create":
            for _, item in list(engine.items(TableId(ACCOUNT, region, ALBUMS))):  # a member must be empty at first
                self.cloud.call(region, "DeleteItem", {"TableName": ALBUMS, "Key": {name: item[name] for name in "ps"}})
        return self.cloud.call(asked, "UpdateGlobalTable", {"GlobalTableName": ALBUMS, "ReplicaUpdates": [
            {kind: {"RegionName": region}}]})

    # Strongly consistent tables

    def _mrsc(self) -> Process:
        """Strong global tables are made, used by several at once, taken apart, and their items' histories checked."""
        while True:
            home, near, far = self.chance.sample(REGIONS, 3)
            charts, witnessed = {"TableName": CHARTS}, self.chance.random() < 0.3
            others = [near] if witnessed else [near, far]
            yield from self._until(lambda: self._create(home, CHARTS))  # noqa: B023
            yield 15.0

            def changed(kind: str, others=others, witness=far if witnessed else None) -> dict:
                asked = {"ReplicaUpdates": [{kind: {"RegionName": region}} for region in others]}
                if witness:
                    asked["GlobalTableWitnessUpdates"] = [{kind: {"RegionName": witness}}]
                return asked | ({"MultiRegionConsistency": "STRONG"} if kind == "Create" else {})

            yield from self._until(
                lambda: self.cloud.call(home, "UpdateTable", charts | changed("Create")))  # noqa: B023
            yield 2 * MINUTE
            ends = self.cloud.true + self.chance.uniform(4, 14) * HOUR
            while self.cloud.true < ends:
                for _ in range(3):
                    self._start(self._customer(), self.chance.uniform(0, 0.5))
                yield self._about(2 * HOUR)
            for _ in range(4):  # writes that are still spreading when it is taken apart
                self._start(self._customer())
            yield 1.0
            yield from self._until(
                lambda: self.cloud.call(home, "UpdateTable", charts | changed("Delete")))  # noqa: B023
            for _ in range(4):
                self._start(self._customer())
            yield 2 * MINUTE
            while self.cloud.judge.members(CHARTS):
                yield MINUTE
            for key in KEYS[:3]:
                self._read_all(key)
            yield from self._until(lambda: self.cloud.call(home, "DeleteTable", charts))  # noqa: B023
            yield 3 * MINUTE
            self._check_histories()

    def _customer(self) -> Process:
        """Somebody who reads and writes a strong table, one call after the other, from wherever they are."""
        chance = self.chance
        for _ in range(chance.randint(1, 4)):
            here = [table.region for table in engine.tables() if table.name == CHARTS]
            if not here:
                return
            region, key = chance.choice(here), chance.choice(KEYS[:3])
            what, operation, data = self._strong_call(key)
            call, began, life = Call(ACCOUNT, region, "dynamodb", operation, data), self.cloud.true, self.cloud.life
            away = self.cloud.cloud.world.round_trip_s(chance.choice(REGIONS), region)
            yield away / 2
            hold = self.cloud.begin(call)
            if isinstance(hold, Answer):
                continue
            yield hold.seconds
            answer = self.cloud.finish(call, hold) if life == self.cloud.life else None  # None: it died with the cloud
            if what[0] == "look":
                if answer:
                    self._check_look(answer)
                continue
            yield away / 2
            told = life == self.cloud.life and chance.random() > 0.03
            if answer is None or not told:
                self._note(key, Operation(began, math.inf, what))
            else:
                self._note(key, Operation(began, self.cloud.true, what), answer)
            yield self._about(0.2)

    def _strong_call(self, key: tuple[str, str]) -> tuple[tuple, str, dict]:
        """What is asked for, as :func:`step` takes it, and as a call."""
        name, charts, named = self._name(), {"TableName": CHARTS}, attributes(key)
        item, old = named | {"w": {"S": name}, "n": {"N": "0"}}, {"ReturnValues": "ALL_OLD"}
        kind = self.chance.choices(("put", "create", "add", "delete", "read", "look"), (20, 15, 30, 10, 20, 5))[0]
        if kind in ("put", "create", "add"):
            self._ever.add(name)
        return {
            "put": (("put", name), "PutItem", charts | {"Item": item} | old),
            "create": (("create", name), "PutItem", charts | {
                "Item": item, "ConditionExpression": "attribute_not_exists(p)"}),
            "add": (("add", name), "UpdateItem", charts | {
                "Key": named, "UpdateExpression": "ADD n :n SET w = :w", "ReturnValues": "ALL_NEW",
                "ExpressionAttributeValues": {":n": {"N": "1"}, ":w": {"S": name}}}),
            "delete": (("delete",), "DeleteItem", charts | {"Key": named} | old),
            "read": (("read",), "GetItem", charts | {"Key": named, "ConsistentRead": True}),
            "look": (("look",), "GetItem", charts | {"Key": named}),
        }[kind]

    def _note(self, key: tuple, operation: Operation, answer: Answer | None = None) -> None:
        """Add to an item's history, but for what had no effect."""
        if answer is None:
            self._histories[key].append(operation)
        elif answer.code == "ConditionalCheckFailedException":
            self._histories[key].append(operation._replace(answer=False))
        elif not answer.code:
            found = {"put": "Attributes", "add": "Attributes", "delete": "Attributes", "read": "Item"}
            kind = operation.what[0]
            value = _state(answer.data.get(found[kind])) if kind in found else True
            self._histories[key].append(operation._replace(answer=value))

    def _check_look(self, answer: Answer) -> None:
        """An eventually consistent read shows something that was written once."""
        item = (answer.data or {}).get("Item")
        if item and item["w"]["S"] not in self._ever:
            raise Violation(f"a read of {CHARTS} shows what nobody wrote: {item}")
        self.cloud.judge.made["eventual reads of strong tables"] += 1

    def _read_all(self, key: tuple[str, str]) -> None:
        """A strong read in every Region that has the table."""
        for table in engine.tables():
            if table.name == CHARTS:
                began = self.cloud.true
                answer = self.cloud.call(table.region, "GetItem", {
                    "TableName": CHARTS, "Key": attributes(key), "ConsistentRead": True})
                self._note(key, Operation(began, began, ("read",)), answer)

    def _check_histories(self) -> None:
        for key, history in self._histories.items():
            self.cloud.judge.made["linearizable histories"] += 1
            self.cloud.judge.made["operations in them"] += len(history)
            if linearization(history, None, step) is None:
                raise Violation(f"the history of {key} in {CHARTS} is not linearizable:\n" + "\n".join(
                    f"  {operation.began - BEGAN:.6f} to {operation.ended - BEGAN:.6f}: {operation.what} gave "
                    f"{operation.answer}" for operation in sorted(history)))
        self._histories.clear()

    # Small things

    def _until(self, what: Callable[[], Answer]) -> Process:
        """Ask until it is done."""
        while what().code:
            yield 30.0

    def _create(self, region: str, name: str) -> Answer:
        return self.cloud.call(region, "CreateTable", TABLE | {"TableName": name})

    def _about(self, seconds: float) -> float:
        return self.chance.expovariate(1 / seconds)

    def _key(self, keys: list) -> dict:
        return attributes(self.chance.choice(keys))

    def _name(self) -> str:
        """A text that no other write has."""
        return f"w{next(self._names)}"


def step(state: tuple | None, what: tuple) -> tuple[tuple | None, object]:
    """One item of a strong table, used by one alone: (name of its last write, counter), None where there is none."""
    kind, *name = what
    if kind == "read":
        return state, state
    if kind == "delete":
        return None, state
    if kind == "put":
        return (*name, "0"), state
    if kind == "create":
        return (state, False) if state else ((*name, "0"), True)
    added = (*name, str(int(state[1] if state else 0) + 1))
    return added, added


def _state(item: dict | None) -> tuple | None:
    return (item["w"]["S"], item["n"]["N"]) if item else None


def attributes(key: tuple[str, str]) -> dict:
    """A key as the API writes it."""
    return {name: {"S": value} for name, value in zip("ps", key, strict=True)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gtlab.localcloud.proof", description=__doc__.split("\n\n")[1])
    parser.add_argument("--hours", type=_hours, default=1000.0, help="simulated time; default: 1000")
    parser.add_argument("--seed", type=int, help="default: a random one, which is told")
    parser.add_argument("--only", choices=KINDS, help="global tables of one kind only; default: all")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    only = f" --only {options.only}" if options.only else ""
    again = f"{parser.prog} --hours {options.hours:.12g} --seed {seed}{only}"
    print(f"Seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gtlab-simulation-", dir=memory()) as folder:
        simulation = Simulation(Path(folder), seed, options.only)
        bar = tqdm(total=options.hours, unit="h", bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} simulated hours "
                                                             "[{elapsed}<{remaining}]")
        try:
            with bar:
                simulation.run(options.hours, lambda hours: bar.update(hours - bar.n))
        except Violation as violation:
            print(f"\nVIOLATED: {violation}\n\nAfter {(simulation.cloud.true - BEGAN) / HOUR:.2f} simulated hours, "
                  f"seed {seed}. To see it again:\n  {again}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            hours = (simulation.cloud.true - BEGAN) / HOUR
            print(f"\nStopped after {hours:.2f} simulated hours; until then nothing was violated.", file=sys.stderr)
            return 130
        finally:
            simulation.close()
        print(report(simulation.cloud, time.monotonic() - began))
        print(f"All as it must be. Digest {simulation.digest()[:16]}. The same again: {again}")
    return 0


def memory() -> str | None:
    """A folder that is kept in memory, where there is one: waiting for a disk is no part of the simulation."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def report(cloud: Simulated, wall_s: float) -> str:
    """What was done, as a table in plain text."""
    simulated_s = cloud.true - BEGAN
    lines = ["", f"{simulated_s / HOUR:,.1f} simulated hours in {wall_s:.1f} s: {simulated_s / wall_s:,.0f} simulated "
                 "seconds a second"]
    for title, counts in (("Calls", cloud.calls), ("Refused, by code", cloud.refused),
                          ("What happened", cloud.happened), ("Checks made", cloud.judge.made)):
        lines += ["", f"{title}: {sum(counts.values()):,}", *_rows(counts)]
    return "\n".join([*lines, ""])


def _rows(counts: Counter[str]) -> list[str]:
    return [f"  {number:>10,}  {name}" for name, number in sorted(counts.items(), key=lambda entry: -entry[1])]


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 1e6:
        raise argparse.ArgumentTypeError("a number of hours above 0, at most a million")
    return hours

