"""DynamoDB Streams: the four operations that read a stream, through boto3, and time through a pretend clock."""

from __future__ import annotations

import pytest
from support import SINGAPORE, VIRGINIA, new_account, records, refused, song, wait_active, wait_until

from gtlab.course.stages import MUSIC
from gtlab.localcloud.model import Refusal, TableId
from gtlab.localcloud.tables.shard_iterators import ITERATOR_LIFE_S
from gtlab.localcloud.tables.streams import RETENTION_S, Streams

VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
ACCOUNT = "300000000001"


@pytest.fixture(scope="module")
def tables(cloud):
    """Clients of Singapore, and the streams (by view type, and "on-demand") of tables that are ACTIVE."""
    import boto3

    account = new_account()

    def make(service, region=SINGAPORE):
        return boto3.client(service, region, endpoint_url=cloud.url, aws_access_key_id=account,
                            aws_secret_access_key="x")

    there = make("dynamodb")
    arns = {}
    for view in VIEWS:
        made = there.create_table(**MUSIC | {"TableName": view, "StreamSpecification": {
            "StreamEnabled": True, "StreamViewType": view}})
        arns[view] = made["TableDescription"]["LatestStreamArn"]
    on_demand = {name: value for name, value in MUSIC.items() if name != "ProvisionedThroughput"}
    arns["on-demand"] = there.create_table(**on_demand | {
        "TableName": "on-demand", "BillingMode": "PAY_PER_REQUEST"})["TableDescription"]["LatestStreamArn"]
    for name in ("deleted", "disabled"):
        arns[name] = there.create_table(**MUSIC | {"TableName": name})["TableDescription"]["LatestStreamArn"]
    for name in arns:
        wait_active(there, name)
    return there, make("dynamodbstreams"), arns, make("dynamodbstreams", VIRGINIA)


def iterator(streams, arn: str, kind: str, sequence: str | None = None) -> str:
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    more = {"SequenceNumber": sequence} if sequence else {}
    return streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]


def genres(found: list[dict]) -> list[str]:
    return [record["dynamodb"]["NewImage"]["genre"]["S"] for record in found]


@pytest.mark.parametrize("view", VIEWS)
def test_view_types(tables, view):
    there, streams, arns, _ = tables
    there.put_item(TableName=view, Item=song(genre="pop"))
    there.put_item(TableName=view, Item=song(genre="rock"))
    there.delete_item(TableName=view, Key=song())
    found = records(streams, arns[view])
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"]
    assert all(record["dynamodb"]["Keys"] == song() and record["dynamodb"]["StreamViewType"] == view
               for record in found)
    new = [record["dynamodb"].get("NewImage", {}).get("genre", {}).get("S") for record in found]
    old = [record["dynamodb"].get("OldImage", {}).get("genre", {}).get("S") for record in found]
    assert new == (["pop", "rock", None] if "NEW" in view else [None] * 3)
    assert old == ([None, "pop", "rock"] if "OLD" in view else [None] * 3)


def test_iterator_types_and_limits(tables):
    there, streams, arns, _ = tables
    arn = arns["NEW_IMAGE"]
    latest = iterator(streams, arn, "LATEST")
    there.put_item(TableName="NEW_IMAGE", Item=song("types", genre="a"))
    there.put_item(TableName="NEW_IMAGE", Item=song("types", genre="b"))
    there.put_item(TableName="NEW_IMAGE", Item=song("types", genre="c"))

    def read(start: str, **more) -> list[dict]:
        return streams.get_records(ShardIterator=start, **more)["Records"]

    found = read(latest)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in found]
    assert genres(found) == ["a", "b", "c"] and numbers == sorted(numbers)
    assert read(iterator(streams, arn, "LATEST")) == []
    assert read(iterator(streams, arn, "TRIM_HORIZON"))[-3:] == found
    assert genres(read(iterator(streams, arn, "AT_SEQUENCE_NUMBER", numbers[1]))) == ["b", "c"]
    assert genres(read(iterator(streams, arn, "AFTER_SEQUENCE_NUMBER", numbers[1]))) == ["c"]
    first = streams.get_records(ShardIterator=latest, Limit=2)
    assert genres(first["Records"]) == ["a", "b"]
    rest = streams.get_records(ShardIterator=first["NextShardIterator"])
    assert genres(rest["Records"]) == ["c"] and rest["NextShardIterator"]  # an open shard goes on
    assert read(latest) == found  # reading takes nothing away


def test_lists_in_pages(tables):
    _, streams, arns, elsewhere = tables
    found, start = [], {}
    while True:
        page = streams.list_streams(Limit=2, **start)
        assert len(page["Streams"]) <= 2
        found += [stream["StreamArn"] for stream in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert set(arns.values()) <= set(found) and len(found) == len(set(found))
    only, = streams.list_streams(TableName="KEYS_ONLY")["Streams"]
    assert (only["StreamArn"], only["TableName"]) == (arns["KEYS_ONLY"], "KEYS_ONLY")
    assert elsewhere.list_streams()["Streams"] == []


def test_the_shards_of_an_on_demand_table_in_pages_keep_an_items_records_in_order(tables):
    there, streams, arns, _ = tables
    arn = arns["on-demand"]
    for genre in ("a", "b"):
        for number in range(20):
            there.put_item(TableName="on-demand", Item=song(number, genre=genre))
    ids, start = [], {}
    while True:
        described = streams.describe_stream(StreamArn=arn, Limit=3, **start)["StreamDescription"]
        ids += [shard["ShardId"] for shard in described["Shards"]]
        if "LastEvaluatedShardId" not in described:
            break
        start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
    assert len(ids) == len(set(ids)) == 4
    shards_of, seen = {}, 0
    for shard in ids:
        begin = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        for record in streams.get_records(ShardIterator=begin["ShardIterator"])["Records"]:
            seen += 1
            shards_of.setdefault(record["dynamodb"]["Keys"]["Artist"]["S"], []).append(
                (shard, record["dynamodb"]["NewImage"]["genre"]["S"]))
    assert seen == 40
    for placed in shards_of.values():
        assert [genre for _, genre in placed] == ["a", "b"] and len({shard for shard, _ in placed}) == 1


def test_describe_stream(tables):
    there, streams, arns, _ = tables
    described = streams.describe_stream(StreamArn=arns["OLD_IMAGE"])["StreamDescription"]
    table = there.describe_table(TableName="OLD_IMAGE")["Table"]
    assert (described["StreamStatus"], described["StreamViewType"], described["TableName"]) == (
        "ENABLED", "OLD_IMAGE", "OLD_IMAGE")
    assert described["KeySchema"] == table["KeySchema"] and described["StreamLabel"] == table["LatestStreamLabel"]
    shard, = described["Shards"]
    assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]


@pytest.mark.parametrize("how", ["deleted", "disabled"])
def test_a_closed_stream_stays_readable_and_ends(tables, how):
    there, streams, arns, _ = tables
    arn = arns[how]
    there.put_item(TableName=how, Item=song(genre="last"))
    opened = iterator(streams, arn, "TRIM_HORIZON")
    if how == "deleted":
        there.delete_table(TableName=how)
    else:
        there.update_table(TableName=how, StreamSpecification={"StreamEnabled": False})
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert described["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"]
    for start in (opened, iterator(streams, arn, "TRIM_HORIZON")):
        answer = streams.get_records(ShardIterator=start)
        assert genres(answer["Records"]) == ["last"] and "NextShardIterator" not in answer
    assert arn in [stream["StreamArn"] for stream in streams.list_streams(TableName=how)["Streams"]]


def test_a_stream_that_is_switched_on_again_is_another_one(tables, client):
    there, streams = client(SINGAPORE), client(SINGAPORE, "dynamodbstreams")
    first = there.create_table(**MUSIC)["TableDescription"]["LatestStreamArn"]
    wait_active(there)
    there.put_item(TableName="Music", Item=song("first"))
    there.update_table(TableName="Music", StreamSpecification={"StreamEnabled": False})
    wait_active(there)
    there.put_item(TableName="Music", Item=song("unseen"))
    there.update_table(TableName="Music", StreamSpecification=MUSIC["StreamSpecification"])
    wait_active(there)
    there.put_item(TableName="Music", Item=song("second"))
    second = there.describe_table(TableName="Music")["Table"]["LatestStreamArn"]
    seen = {arn: [record["dynamodb"]["Keys"]["Artist"]["S"] for record in records(streams, arn)]
            for arn in (first, second)}
    assert first != second and seen == {first: ["item_first"], second: ["item_second"]}
    assert len(streams.list_streams(TableName="Music")["Streams"]) == 2


def test_what_makes_no_sense_is_refused(tables):
    _, streams, arns, elsewhere = tables
    arn = arns["NEW_IMAGE"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    with refused("ResourceNotFoundException", "Stream: .* not found"):
        streams.describe_stream(StreamArn=arn[:-1] + "x")
    with refused("ResourceNotFoundException"):  # an ARN of another Region
        elsewhere.describe_stream(StreamArn=arn)
    with refused("ResourceNotFoundException", "Shard: .* not found"):
        streams.get_shard_iterator(StreamArn=arn, ShardId="shardId-00000000000000000000-00000000",
                                   ShardIteratorType="LATEST")
    with refused("ValidationException", "enum value set"):
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="NEWEST")
    with refused("ValidationException", "SequenceNumber"):
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER")
    for garbage in ("garbage", arn + "|1|garbage", arn + "|1|" + "W10=", "é☃", "|1|bnVsbA=="):
        with refused("ValidationException", "Invalid ShardIterator"):
            streams.get_records(ShardIterator=garbage)
    for number in ("x" * 21, "9" * 25):
        with refused("ValidationException", "SequenceNumber"):
            streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER",
                                       SequenceNumber=number)
    assert wait_until(lambda: streams.list_streams()["Streams"], "an answer as before")


# --- with a pretend clock ---

NOW = 1_790_000_000.0


@pytest.fixture
def pretend():
    """A stream of one shard with records of hours 0 to 2; reading it at any time."""
    streams = Streams()
    arn = streams.enable(TableId(ACCOUNT, SINGAPORE, "Music"), "NEW_IMAGE", MUSIC["KeySchema"], 1, NOW).arn
    for hour in range(3):
        streams.record(arn, song(hour), None, song(hour), NOW + 3600 * hour)
    shard = streams.describe_stream(ACCOUNT, SINGAPORE, {"StreamArn": arn}, NOW)["StreamDescription"]["Shards"][0]

    def start(kind: str, now: float, **more) -> str:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind, **more}
        return streams.get_shard_iterator(ACCOUNT, SINGAPORE, asked, now)["ShardIterator"]

    def read(begin: str, now: float) -> list[dict]:
        return streams.get_records(ACCOUNT, SINGAPORE, {"ShardIterator": begin}, now)["Records"]
    return streams, arn, start, read


def test_an_iterator_begins_at_a_timestamp(pretend):
    _, _, start, read = pretend
    now = NOW + 10_000

    def items(at: float) -> list[str]:
        found = read(start("AT_TIMESTAMP", now, Timestamp=at), now)
        return [record["dynamodb"]["Keys"]["Artist"]["S"] for record in found]

    assert items(NOW + 3600) == ["item_1", "item_2"] == items(NOW + 1)
    assert items(0) == ["item_0", "item_1", "item_2"] and items(NOW + 7201) == []
    for more, text in (({"Timestamp": now + 1}, "future"), ({}, "Timestamp")):
        with pytest.raises(Refusal, match=text):
            start("AT_TIMESTAMP", now, **more)


def test_an_iterator_expires(pretend):
    _, _, start, read = pretend
    begin = start("TRIM_HORIZON", NOW + 10_000)
    assert len(read(begin, NOW + 10_000 + ITERATOR_LIFE_S)) == 3
    with pytest.raises(Refusal) as caught:
        read(begin, NOW + 10_001 + ITERATOR_LIFE_S)
    assert caught.value.code == "ExpiredIteratorException"


@pytest.mark.parametrize("trimmed", [True, False])
def test_records_are_kept_for_24_hours(pretend, trimmed):
    """Whether or not the housekeeping has been by."""
    streams, _, start, read = pretend
    first = read(start("TRIM_HORIZON", NOW + 10_000), NOW + 10_000)[0]["dynamodb"]["SequenceNumber"]
    later = NOW + RETENTION_S + 1800
    if trimmed:
        streams.trim(later)
    kept = read(start("TRIM_HORIZON", later), later)
    assert [record["dynamodb"]["Keys"]["Artist"]["S"] for record in kept] == ["item_1", "item_2"]
    with pytest.raises(Refusal) as caught:
        start("AT_SEQUENCE_NUMBER", later, SequenceNumber=first)
    assert caught.value.code == "TrimmedDataAccessException"


def test_a_closed_stream_goes_with_its_last_record(pretend):
    streams, arn, _, _ = pretend
    streams.close(arn, NOW + 10_000)
    streams.trim(NOW + RETENTION_S)
    assert len(streams.list_streams(ACCOUNT, SINGAPORE, {}, NOW)["Streams"]) == 1
    streams.trim(NOW + RETENTION_S + 10_001)
    assert streams.list_streams(ACCOUNT, SINGAPORE, {}, NOW)["Streams"] == []
