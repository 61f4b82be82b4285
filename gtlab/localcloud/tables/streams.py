"""DynamoDB Streams: a stream for each enabled table and Region, its records, and the four operations that read them.

Local and replicated writes make records alike, as on the service: nothing in a record says which kind it was. A record
holds the item's change in its own Region.
"""

from __future__ import annotations

import random
import secrets
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from gtlab.localcloud.engine.values import item_size
from gtlab.localcloud.model import Refusal, TableId, invalid
from gtlab.localcloud.tables import shard_iterators

RETENTION_S = 24 * 3600        # of a record
MOST_RECORDS = 10_000          # a shard keeps its newest: memory is bounded (ours)
SHARDS_ON_DEMAND = 4           # an on-demand table's stream starts with four, as observed
VIEW_TYPES = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
_FIRST = 1_000_000_000_000_000_000_000  # below every sequence number: all have one length
_ITERATOR_TYPES = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


def _label_at(now: float) -> str:
    """A stream's label: the time it was enabled, in milliseconds, without a zone."""
    stamp = datetime.fromtimestamp(now, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}"


@dataclass
class Shard:
    id: str
    start: str                                       # first sequence number
    # (sequence number, time, record as JSON: a fraction of what it takes as objects)
    records: deque[tuple[str, float, bytes]] = field(default_factory=lambda: deque(maxlen=MOST_RECORDS))
    end: str | None = None                           # set when the stream is closed


@dataclass
class Stream:
    account: str
    region: str
    table: str           # its name
    label: str
    view_type: str
    key_schema: list[dict]
    created: float
    shards: list[Shard]
    closed: float | None = None    # when it was disabled or its table deleted

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.table}/stream/{self.label}"


@dataclass
class Unsaved:
    """What changed since it was last cleared, beside the streams themselves."""

    records: list[tuple[str, str, str, float, bytes]] = field(default_factory=list)  # as restore() takes them
    trimmed: set[tuple[str, str]] = field(default_factory=set)  # ARN and shard: it begins later, or is gone

    def clear(self) -> None:
        self.records.clear()
        self.trimmed.clear()


class Streams:
    """Every stream of every account and Region, by ARN, in the order they were enabled."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self.sequence = 0  # of the newest record, over the whole cloud
        self.unsaved = Unsaved()

    def exists(self, arn: str) -> bool:
        return arn in self._streams

    def enable(self, table: TableId, view_type: str, key_schema: list[dict], shards: int, now: float) -> Stream:
        stream = Stream(*table, _label_at(now), view_type, key_schema, now, [])
        while stream.arn in self._streams:  # it was disabled and enabled again within a millisecond
            now += 0.001
            stream.label = _label_at(now)
        start = self._next_sequence()
        stream.shards = [Shard(f"shardId-{int(now * 1000):020d}-{secrets.token_hex(4)}", start)
                         for _ in range(shards)]
        self._streams[stream.arn] = stream
        return stream

    def close(self, arn: str, now: float) -> None:
        """Close a stream to new records. The records that it has stay readable until they are trimmed."""
        stream = self._streams[arn]
        stream.closed = now
        for shard in stream.shards:
            shard.end = shard.records[-1][0] if shard.records else shard.start

    def record(self, arn: str, keys: dict, old: dict | None, new: dict | None, now: float,
               identity: dict | None = None) -> None:
        """Append one change. ``identity`` is the record's userIdentity (a TTL delete has one)."""
        stream = self._streams[arn]
        sequence = self._next_sequence()
        change = {"ApproximateCreationDateTime": int(now), "Keys": keys, "SequenceNumber": sequence,
                  "StreamViewType": stream.view_type}
        if new is not None and stream.view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = new
        if old is not None and stream.view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = old
        record = {
            "eventID": f"{random.getrandbits(128):032x}",
            "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
            "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": stream.region,
            "dynamodb": change,
        }
        if identity:
            record["userIdentity"] = identity
        shard = stream.shards[_spread(keys[stream.key_schema[0]["AttributeName"]], len(stream.shards))]
        entry = (sequence, now, msgspec.json.encode(record))
        if len(shard.records) == MOST_RECORDS:
            self.unsaved.trimmed.add((arn, shard.id))
        shard.records.append(entry)
        self.unsaved.records.append((arn, shard.id, *entry))

    def trim(self, now: float) -> bool:
        """Forget records older than 24 hours, and closed streams without records. Returns whether a stream went."""
        gone = [arn for arn, stream in self._streams.items() if stream.closed and stream.closed < now - RETENTION_S]
        for arn, stream in self._streams.items():
            for shard in stream.shards:
                if arn in gone or (shard.records and shard.records[0][1] < now - RETENTION_S):
                    self.unsaved.trimmed.add((arn, shard.id))
                while shard.records and shard.records[0][1] < now - RETENTION_S:
                    shard.records.popleft()
        for arn in gone:
            del self._streams[arn]
        return bool(gone)

    # What is kept

    def saved(self) -> list[Stream]:
        """Every stream, without its records."""
        return [replace(stream, shards=[replace(shard, records=deque()) for shard in stream.shards])
                for stream in self._streams.values()]

    def restore(self, streams: list[Stream], sequence: int,
                records: Iterable[tuple[str, str, str, float, bytes]]) -> None:
        """Take over what was kept; records as (ARN, shard, sequence number, time, JSON), in order."""
        for stream in streams:
            for shard in stream.shards:
                shard.records = deque(maxlen=MOST_RECORDS)
            self._streams[stream.arn] = stream
        shards = {(stream.arn, shard.id): shard for stream in streams for shard in stream.shards}
        last = ""
        for arn, shard_id, number, at, record in records:
            shards[arn, shard_id].records.append((number, at, record))
            last = max(last, number)
        self.sequence = max(sequence, int(last or _FIRST) - _FIRST)

    def begins(self, arn: str, shard_id: str) -> str | None:
        """The sequence number of a shard's oldest record; None where it has none, or is gone."""
        stream = self._streams.get(arn)
        return next((shard.records[0][0] for shard in stream.shards if shard.id == shard_id and shard.records),
                    None) if stream else None

    # The API's operations: (account, region, input, now) → output.

    def list_streams(self, account: str, region: str, data: dict, now: float) -> dict:
        here = [stream for stream in self._streams.values() if (stream.account, stream.region) == (account, region)
                and data.get("TableName") in (None, stream.table)]
        after = data.get("ExclusiveStartStreamArn")
        names = [stream.arn for stream in here]
        if after in names:
            here = here[names.index(after) + 1:]
        limit = _limit(data, 100)
        answer: dict = {"Streams": [{"StreamArn": stream.arn, "TableName": stream.table, "StreamLabel": stream.label}
                              for stream in here[:limit]]}
        if len(here) > limit:
            answer["LastEvaluatedStreamArn"] = here[limit - 1].arn
        return answer

    def describe_stream(self, account: str, region: str, data: dict, now: float) -> dict:
        stream = self._find(account, region, data["StreamArn"])
        shards = stream.shards
        after = data.get("ExclusiveStartShardId")
        ids = [shard.id for shard in shards]
        if after in ids:
            shards = shards[ids.index(after) + 1:]
        limit = _limit(data, 100)
        described = []
        for shard in shards[:limit]:
            numbers = {"StartingSequenceNumber": shard.start}
            if shard.end:
                numbers["EndingSequenceNumber"] = shard.end
            described.append({"ShardId": shard.id, "SequenceNumberRange": numbers})
        answer: dict = {"StreamArn": stream.arn, "StreamLabel": stream.label, "TableName": stream.table,
                  "StreamStatus": "DISABLED" if stream.closed else "ENABLED", "StreamViewType": stream.view_type,
                  "CreationRequestDateTime": stream.created, "KeySchema": stream.key_schema, "Shards": described}
        if len(shards) > limit:
            answer["LastEvaluatedShardId"] = shards[limit - 1].id
        return {"StreamDescription": answer}

    def get_shard_iterator(self, account: str, region: str, data: dict, now: float) -> dict:
        stream = self._find(account, region, data["StreamArn"])
        shard = next((shard for shard in stream.shards if shard.id == data["ShardId"]), None)
        if shard is None:
            raise Refusal("ResourceNotFoundException", f"Requested resource not found: Shard: {data['ShardId']} "
                                                       f"in Stream: {stream.arn} not found")
        kind, sequence = data["ShardIteratorType"], data.get("SequenceNumber")
        if kind not in _ITERATOR_TYPES:
            raise invalid(f"1 validation error detected: Value '{kind}' at 'shardIteratorType' failed to satisfy "
                          f"constraint: Member must satisfy enum value set: [{', '.join(_ITERATOR_TYPES)}]")
        return {"ShardIterator": shard_iterators.encode(stream.arn, shard.id, _start(shard, kind, sequence, now), now)}

    def get_records(self, account: str, region: str, data: dict, now: float) -> dict:
        arn, shard_id, after, issued = shard_iterators.decode(data["ShardIterator"])
        stream = self._find(account, region, arn)
        shard = next((shard for shard in stream.shards if shard.id == shard_id), None)
        if shard is None:
            raise invalid("Invalid ShardIterator")
        shard_iterators.check_age(issued, now)
        limit = _limit(data, 1000)
        fresh = [entry for entry in shard.records if entry[0] > after and entry[1] >= now - RETENTION_S][:limit]
        answer: dict = {"Records": [_sized(msgspec.json.decode(entry[2])) for entry in fresh]}
        last = fresh[-1][0] if fresh else after
        drained = not shard.records or last >= shard.records[-1][0]
        if not (shard.end and drained):  # a closed shard ends: no next iterator
            answer["NextShardIterator"] = shard_iterators.encode(arn, shard_id, last, now)
        return answer

    def _find(self, account: str, region: str, arn: str) -> Stream:
        stream = self._streams.get(arn)
        if stream is None or (stream.account, stream.region) != (account, region):
            raise Refusal("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
        return stream

    def _next_sequence(self) -> str:
        """22 digits, rising over the whole cloud."""
        self.sequence += 1
        return f"{_FIRST + self.sequence}"


def _sized(record: dict) -> dict:
    """A record with its SizeBytes: far more records are written than read, so it is worked out here."""
    change = record["dynamodb"]
    change["SizeBytes"] = sum(item_size(change[part]) for part in ("Keys", "NewImage", "OldImage") if part in change)
    return record


def _start(shard: Shard, kind: str, sequence: str | None, now: float) -> str:
    """The sequence number after which an iterator reads; all numbers have one length, so text compares."""
    if kind == "TRIM_HORIZON":
        return ""
    if kind == "LATEST":
        return shard.records[-1][0] if shard.records else shard.start
    if not sequence:
        raise invalid(f"Missing required parameter: SequenceNumber for ShardIteratorType {kind}")
    kept = [entry[0] for entry in shard.records if entry[1] >= now - RETENTION_S]
    if sequence < (kept[0] if kept else shard.start):
        raise Refusal("TrimmedDataAccessException",
                      f"The requested sequence number {sequence} is beyond the trim horizon.")
    if sequence not in kept and sequence != shard.start:
        raise invalid(f"Invalid SequenceNumber: {sequence}")
    return sequence if kind == "AFTER_SEQUENCE_NUMBER" else str(int(sequence) - 1)


def _spread(value: dict, shards: int) -> int:
    """The index of a partition key's shard: always the same one, so that an item's records stay in order."""
    return zlib.crc32(msgspec.json.encode(value)) % shards


def _limit(data: dict, most: int) -> int:
    limit = data.get("Limit", most)
    if limit < 1:
        raise invalid(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                      "Member must have value greater than or equal to 1")
    return min(limit, most)
