"""Read a table's stream in one Region, and show its records as a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtlab.lab import Lab

if TYPE_CHECKING:
    import pandas as pd


class Reader:
    """Reads the stream of a table in a Region, from now on. ``lab`` is any lab; the client is one of its own.

    AWS recommends at most one reader for each shard of a global table's stream, besides replication.
    """

    def __init__(self, lab: Lab, table: str, region: str):
        self.table, self.region = table, region
        self._streams = lab.client(region, "dynamodbstreams")
        self._arn = lab.client(region).describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._iterators = {shard: self._iterator(shard, "LATEST") for shard in self._shards()}

    def read(self) -> list[dict[str, Any]]:
        """The records since the last call, in the order of the stream."""
        for shard in self._shards():
            if shard not in self._iterators:  # it began after this reader
                self._iterators[shard] = self._iterator(shard, "TRIM_HORIZON")
        found: list[dict[str, Any]] = []
        for shard, iterator in self._iterators.items():
            while iterator:
                answer = self._streams.get_records(ShardIterator=iterator)
                iterator = self._iterators[shard] = answer.get("NextShardIterator")
                found += answer["Records"]
                if not answer["Records"]:
                    break
        return sorted(found, key=lambda record: int(record["dynamodb"]["SequenceNumber"]))

    def _shards(self) -> list[str]:
        shards = self._streams.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        return [shard["ShardId"] for shard in shards]

    def _iterator(self, shard: str, kind: str) -> str | None:
        return self._streams.get_shard_iterator(StreamArn=self._arn, ShardId=shard,
                                                ShardIteratorType=kind)["ShardIterator"]


def frame(records: Iterable[Mapping[str, Any]], attributes: Sequence[str]) -> pd.DataFrame:
    """A row per record: ``stream of`` (the Region), ``event``, and each of the ``attributes`` before and after the
    change, as ``old NAME`` and ``new NAME`` (empty if there was no item, or no such attribute).

    Records in which none of these attributes changed are left out, such as the second write of version 2017.11.29.
    """
    import pandas as pd

    rows = []
    for record in records:
        old, new = ([_value(record["dynamodb"].get(image, {}).get(name)) for name in attributes]
                    for image in ("OldImage", "NewImage"))
        if old != new:
            rows.append((record["awsRegion"], record["eventName"], *old, *new))
    return pd.DataFrame(rows, columns=["stream of", "event", *(f"old {name}" for name in attributes),
                                       *(f"new {name}" for name in attributes)])


def _value(typed: Mapping[str, Any] | None) -> str:
    return "" if typed is None else str(next(iter(typed.values())))
