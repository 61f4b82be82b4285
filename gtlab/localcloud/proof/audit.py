"""Checks everything that a simulated cloud shows: tables, descriptions, and streams from their first record.

Raises Violation if something is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from gtlab.localcloud.model import Refusal, TableId
from gtlab.localcloud.proof.oracle import Items, Violation
from gtlab.localcloud.proof.witness import own

if TYPE_CHECKING:
    from gtlab.localcloud.proof.simulated import Simulated

# Three tables, one for each kind of global table: version 2019.11.21, version 2017.11.29, strongly consistent.
MUSIC, ALBUMS, CHARTS = "Music", "Albums", "Charts"


class Auditor:
    """Checks one simulated cloud, and reads its streams from one audit to the next."""

    def __init__(self, cloud: Simulated):
        self._cloud = cloud
        self._readers: dict[str, StreamReader] = {}

    def audit(self) -> None:
        """Mend everything, wait, and look at everything."""
        self._cloud.settle()
        shown: dict[str, dict[str, Items]] = {}
        for table in self._cloud.database.tables:
            self._cloud.testimony.look_at(table, self._cloud.database.incarnation(table))
            items = self.items(table)
            self._cloud.judge.shows(table.name, table.region, {key: own(item) for key, item in items.items()})
            shown.setdefault(table.name, {})[table.region] = items
        for name in (MUSIC, ALBUMS, CHARTS):
            members = self._cloud.judge.members(name)
            if members:
                copies = {region: shown[name][region] for region in members if region in shown.get(name, {})}
                self._cloud.judge.converged(name, {region: {key: own(item) for key, item in items.items()}
                                                   for region, items in copies.items()})
                self._check_described(name, members)
                self._check_marks(copies)
        self.read_streams()

    def items(self, table: TableId) -> Items:
        """A table's items, by Scan. A table that is being created refuses a Scan, so its items come from the engine."""
        if self._cloud.cloud.tables.status(table, self._cloud.clock) == "CREATING":
            return {tuple(key): item for key, item in self._cloud.database.items(table)}
        shown = self._cloud.call(table.region, "Scan", {"TableName": table.name}).needed()["Items"]
        return {key_of(item): item for item in shown}

    def _check_described(self, name: str, members: list[str]) -> None:
        """The Regions that DescribeTable shows are the members, where none is being added or removed."""
        for region in members:
            described = self._cloud.call(region, "DescribeTable", {"TableName": name}).needed()["Table"]
            replicas = {entry["RegionName"]: entry["ReplicaStatus"] for entry in described.get("Replicas", ())}
            if name != ALBUMS and described["TableStatus"] == "ACTIVE" and set(replicas.values()) == {"ACTIVE"}:
                self._cloud.judge.made["membership shown"] += 1
                if {region, *replicas} != set(members):
                    raise Violation(f"{name} in {region} shows {sorted(replicas)}, the members are {sorted(members)}")

    def _check_marks(self, copies: dict[str, Items]) -> None:
        """What version 2017.11.29 writes into an item is the same everywhere."""
        for key in {key for items in copies.values() for key in items}:
            kinds = {json.dumps(items[key], sort_keys=True) for items in copies.values() if key in items}
            if len({json.dumps(own(json.loads(kind)), sort_keys=True) for kind in kinds}) < len(kinds):
                raise Violation(f"the service's attributes of {key} differ: {kinds}")

    def read_streams(self) -> None:
        """Read the new records of every stream. All records together must give the table's items."""
        for table in self._cloud.database.tables:
            arn = self._cloud.cloud.tables.stream(table)
            if arn:
                reader = self._readers.setdefault(arn, StreamReader(arn))
                reader.read_on(self._cloud.stream_calls(table.region))
                if reader.items != {tuple(key): item for key, item in self._cloud.database.items(table)}:
                    raise Violation(f"the records of {arn} do not rebuild the table's items: {reader.items} is not "
                                    f"{dict(self._cloud.database.items(table))}")
                self._cloud.judge.made["streams replayed"] += 1


class StreamReader:
    """Reads a stream from its first record and applies the records to a copy of the table."""

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
        except Refusal:  # the last record that was read has been trimmed
            iterator = ask("GetShardIterator", asked | {"ShardIteratorType": "TRIM_HORIZON"})
        found: list[dict] = []
        following = iterator["ShardIterator"]
        while following:
            answer = ask("GetRecords", {"ShardIterator": following})
            found += answer["Records"]
            following = answer.get("NextShardIterator") if answer["Records"] else None
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


def key_of(attributes: dict) -> tuple[str, str]:
    return attributes["p"]["S"], attributes["s"]["S"]
