"""DynamoDB Streams: a stream for each enabled table and Region, its records, and the four operations that read them.

Local and replicated writes make records alike, as on the service: nothing in a record says which kind it was. A record
holds the item's change in its own Region.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import secrets
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from gtlab.localcloud.engine.constraints import check, choice, every, length, pattern, structure
from gtlab.localcloud.engine.values import Packed, item_size, packed, shown, unpack
from gtlab.localcloud.model import Refusal, TableId, invalid
from gtlab.localcloud.tables import shard_iterators

RETENTION_S = 24 * 3600        # of a record
MOST_RECORDS = 10_000          # a shard keeps its newest: memory is bounded (ours)
MOST_BYTES = 128 << 20         # of all records together, in memory and on disk: the newest are kept (ours)
_ROOM = MOST_BYTES // 16       # how much is freed at once when they are more
_SHARED_FROM = 4096            # bytes of an item from which its records do not have a copy of their own
PAGE_BYTES = 1 << 20           # of the records in one answer of GetRecords, unless the first one is larger
SHARDS_ON_DEMAND = 4           # an on-demand table's stream starts with four, as observed
VIEW_TYPES = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
_WITH_NEW, _WITH_OLD = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"), ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
_FIRST = 1_000_000_000_000_000_000_000  # below every sequence number: all have one length
_IMAGES = ("NewImage", "OldImage")
_SHAPE = structure({"StreamArn": length(37, 1024), "ShardId": length(28, 65), "ExclusiveStartShardId": length(28, 65),
                    "ExclusiveStartStreamArn": length(37, 1024),
                    "TableName": every(length(3, 255), pattern("[a-zA-Z0-9_.-]+")),
                    "ShardFilter": structure({"Type": choice("CHILD_SHARDS"), "ShardId": length(28, 65)}),
                    "ShardIteratorType": choice("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER",
                                                "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"),
                    "SequenceNumber": length(21, 40), "ShardIterator": length(1, 2048)})


def _label_at(now: float) -> str:
    """A stream's label: the time it was enabled, in milliseconds, without a zone."""
    stamp = datetime.fromtimestamp(now, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}"


# A record: its sequence number, its time, the record as JSON (a fraction of what it takes as objects), the bytes of the
# whole record, and its large images by name, None if it has none. These are not in the JSON: they are the table's own
# items, which all Regions and the next record share. A plain tuple, because the garbage collector need not follow it.
Record = tuple[str, float, bytes, int, dict[str, Packed] | None]


def _sized(record: Record) -> dict[str, Any]:
    """A record as GetRecords has it, but for its large images, with its SizeBytes: far more records are written than
    read, so it is worked out here."""
    _, _, body, _, images = record
    found = msgspec.json.decode(body)
    change = found["dynamodb"]
    change["SizeBytes"] = sum(item_size(change[part]) for part in ("Keys", *_IMAGES) if part in change) + sum(
        image[1] for image in (images or {}).values())
    return found


def _whole(sized: dict[str, Any], record: Record) -> dict[str, Any]:
    """The same record with its large images, whose decoding takes long."""
    sized["dynamodb"] |= {name: unpack(image) for name, image in (record[4] or {}).items()}
    return sized


def _json(record: Record) -> bytes:
    """The whole record as JSON."""
    _, _, body, _, images = record
    if images is None:
        return body
    found = msgspec.json.decode(body)
    found["dynamodb"] |= {name: shown(image) for name, image in images.items()}
    return msgspec.json.encode(found)


@dataclass
class Shard:
    BULK: ClassVar = ("records",)                    # see gtlab.localcloud.undo
    id: str
    start: str                                       # first sequence number
    records: deque[Record] = field(default_factory=deque)
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

    records: list[tuple[str, str, Record]] = field(default_factory=list)  # ARN, shard
    trimmed: set[tuple[str, str]] = field(default_factory=set)  # ARN and shard: it begins later, or is gone

    def rows(self) -> list[tuple[str, str, str, float, bytes]]:
        """The records as restore() takes them."""
        return [(arn, shard, *record[:2], record[2] if record[4] is None else _json(record))
                for arn, shard, record in self.records]

    def clear(self) -> None:
        self.records.clear()
        self.trimmed.clear()


class Streams:
    """Every stream of every account and Region, by ARN, in the order they were enabled."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self.sequence = 0  # of the newest record, over the whole cloud
        self.bytes = 0     # of all records
        self.unsaved = Unsaved()

    def exists(self, arn: str) -> bool:
        return arn in self._streams

    def find(self, arn: str) -> Stream:
        """Raises KeyError where there is no such stream."""
        return self._streams[arn]

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
        sequence, view_type = self._next_sequence(), stream.view_type
        change: dict[str, Any] = {"ApproximateCreationDateTime": int(now), "Keys": keys, "SequenceNumber": sequence,
                                  "StreamViewType": view_type}
        if new is not None and view_type in _WITH_NEW:
            change["NewImage"] = new
        if old is not None and view_type in _WITH_OLD:
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
        large = _large(change) or None
        body = msgspec.json.encode(record)
        size = len(body) + (sum(image[1] for image in large.values()) if large else 0)
        entry = (sequence, now, body, size, large)
        if len(shard.records) == MOST_RECORDS:
            self._drop_oldest(arn, shard)
        if self.bytes + size > MOST_BYTES:
            self._make_room()
        self.unsaved.records.append((arn, shard.id, entry))  # from here on nothing can fail: a second attempt would
        shard.records.append(entry)                          # append the record again
        self.bytes += size

    def take_back(self, arn: str) -> None:
        """Remove the newest record of all, which is in this stream: what it says did not happen."""
        newest = f"{_FIRST + self.sequence}"
        for shard in self._streams[arn].shards:
            if shard.records and shard.records[-1][0] == newest:
                self.bytes -= shard.records.pop()[3]
                self.unsaved.records.pop()

    def _drop_oldest(self, arn: str, shard: Shard) -> None:
        self.bytes -= shard.records.popleft()[3]
        self.unsaved.trimmed.add((arn, shard.id))

    def _make_room(self) -> None:
        """Forget the oldest records of all streams."""
        oldest = [(shard.records[0][0], arn, shard) for arn, stream in self._streams.items()
                  for shard in stream.shards if shard.records]
        heapq.heapify(oldest)
        while self.bytes > MOST_BYTES - _ROOM and oldest:
            _, arn, shard = oldest[0]
            self._drop_oldest(arn, shard)
            if shard.records:
                heapq.heapreplace(oldest, (shard.records[0][0], arn, shard))
            else:
                heapq.heappop(oldest)

    def trim(self, now: float) -> bool:
        """Forget records older than 24 hours, and closed streams without records. Returns whether a stream went."""
        gone = [arn for arn, stream in self._streams.items() if stream.closed and stream.closed < now - RETENTION_S]
        for arn, stream in self._streams.items():
            for shard in stream.shards:
                if arn in gone:
                    self.unsaved.trimmed.add((arn, shard.id))
                while shard.records and shard.records[0][1] < now - RETENTION_S:
                    self._drop_oldest(arn, shard)
        for arn in gone:
            self.bytes -= sum(record[3] for shard in self._streams[arn].shards for record in shard.records)
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
                shard.records = deque()
            self._streams[stream.arn] = stream
        shards = {(stream.arn, shard.id): shard for stream in streams for shard in stream.shards}
        last, known = "", dict[bytes, Packed]()
        for arn, shard_id, number, at, record in records:
            shard = shards[arn, shard_id]
            entry = _restored(number, at, record, known)
            if len(shard.records) == MOST_RECORDS:
                self._drop_oldest(arn, shard)
            shard.records.append(entry)
            self.bytes += entry[3]
            last = max(last, number)
        self.sequence = max(sequence, int(last or _FIRST) - _FIRST)
        if self.bytes > MOST_BYTES:  # an older release kept more
            self._make_room()

    def begins(self, arn: str, shard_id: str) -> str | None:
        """The sequence number of a shard's oldest record; None where it has none, or is gone."""
        stream = self._streams.get(arn)
        return next((shard.records[0][0] for shard in stream.shards if shard.id == shard_id and shard.records),
                    None) if stream else None

    # The API's operations: (account, region, input, now) → output.

    def list_streams(self, account: str, region: str, data: dict, now: float) -> dict:
        check(data, _SHAPE)
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
        check(data, _SHAPE)
        stream = self._find(account, region, data["StreamArn"])
        shards = stream.shards
        if "ShardFilter" in data:  # the child shards of one: shards never split here
            shards = []
        after = data.get("ExclusiveStartShardId")
        if after is not None:
            ids = [shard.id for shard in stream.shards]
            if after not in ids:
                raise _no_such_shard(after, stream)
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
        check(data, _SHAPE)
        stream = self._find(account, region, data["StreamArn"])
        shard = next((shard for shard in stream.shards if shard.id == data["ShardId"]), None)
        if shard is None:
            raise _no_such_shard(data["ShardId"], stream)
        start = _start(shard, data["ShardIteratorType"], data, now)
        return {"ShardIterator": shard_iterators.encode(stream.arn, shard.id, start, now)}

    def get_records(self, account: str, region: str, data: dict, now: float) -> dict:
        check(data, _SHAPE)
        arn, shard_id, after, issued = shard_iterators.decode(data["ShardIterator"])
        stream = self._find(account, region, arn)
        shard = next((shard for shard in stream.shards if shard.id == shard_id), None)
        if shard is None:
            raise invalid("Invalid ShardIterator")
        shard_iterators.check_age(issued, now)
        limit = _limit(data, 1000)
        fresh, left = list[dict[str, Any]](), PAGE_BYTES
        last = after
        for entry in shard.records:
            if entry[0] <= after or entry[1] < now - RETENTION_S:
                continue
            record = _sized(entry)
            left -= record["dynamodb"]["SizeBytes"]
            if len(fresh) == limit or (fresh and left < 0):
                break
            fresh.append(_whole(record, entry))
            last = entry[0]
        answer: dict = {"Records": fresh}
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


def _no_such_shard(shard_id: str, stream: Stream) -> Refusal:
    return Refusal("ResourceNotFoundException", f"Requested resource not found: Shard: {shard_id} in Stream: "
                   f"{stream.arn} not found")


def _large(change: dict[str, Any]) -> dict[str, Packed]:
    """Take the large images out of a record's change."""
    return {name: packed(change.pop(name)) for name in _IMAGES
            if name in change and item_size(change[name]) >= _SHARED_FROM}


def _restored(sequence: str, at: float, body: bytes, known: dict[bytes, Packed]) -> Record:
    """A record from what was kept. ``known``: the large images of other records, by what is in them."""
    if len(body) < _SHARED_FROM:
        return sequence, at, body, len(body), None
    record = msgspec.json.decode(body)
    large = {name: known.setdefault(hashlib.blake2b(image[0], digest_size=16).digest(), image)
             for name, image in _large(record["dynamodb"]).items()}
    body = msgspec.json.encode(record)
    return sequence, at, body, len(body) + sum(image[1] for image in large.values()), large or None


def _start(shard: Shard, kind: str, data: dict, now: float) -> str:
    """The sequence number after which an iterator reads; all numbers have one length, so text compares."""
    if kind == "TRIM_HORIZON":
        return ""
    newest = shard.records[-1][0] if shard.records else shard.start
    if kind == "LATEST":
        return newest
    if kind == "AT_TIMESTAMP":
        at = data.get("Timestamp")
        if at is None:
            raise invalid("Missing required parameter: Timestamp for ShardIteratorType AT_TIMESTAMP")
        if at > now:
            raise invalid("The Timestamp of an iterator must not be in the future")
        first = next((entry[0] for entry in shard.records if int(entry[1]) >= at), None)
        return newest if first is None else str(int(first) - 1)
    sequence = data.get("SequenceNumber")
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
    if not 1 <= limit <= most:
        bound = f"less than or equal to {most}" if limit > most else "greater than or equal to 1"
        raise invalid(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                      f"Member must have value {bound}")
    return limit
