"""What a DynamoDB-compatible engine supports, found out by asking it.

A table is created, used and deleted again. What counts is the effect, not the answer: an engine that accepts a call
for a replica and creates none does not support replicas. An item counts as replicated once the other endpoint returns
it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from gtlab.lab import ownership

if TYPE_CHECKING:
    import pandas as pd

    from gtlab.lab.connection import Lab

COLUMNS = ["area", "feature", "region", "supported", "detail"]
TABLES, ITEMS, BETWEEN, MEASURING = "tables", "items", "between Regions", "measuring"  # the areas
_BATCHES = "BatchWriteItem, BatchGetItem"
_KEY = "Id"
_EVERY_S = 0.1
_READY_S = 120.0  # how long a table may take until it is ready, or gone
_CLIENT: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 1}}
_ERRORS = (ClientError, BotoCoreError)


class _Lacks(Exception):
    """The engine answered, but what it did is not what DynamoDB does."""


class Row(NamedTuple):
    """One answer; the fields are those of :func:`features`."""

    area: str
    feature: str
    region: str
    supported: bool
    detail: str


def features(lab: Lab, wait_s: float = 10.0) -> pd.DataFrame:
    """Ask the engine of each of the lab's Regions what it supports. This creates a table ``gtlab-features-…``, uses it,
    and deletes it.

    A row per feature: ``area`` ("tables", "items", "between Regions", "measuring"), ``feature``, ``region`` (where it
    was asked, or to which Region the item travelled), ``supported``, ``detail`` (the engine's error, or what was seen).
    The features of tables and items are asked of the home Region. An item is awaited in another Region for ``wait_s``
    seconds.

    Raises ValueError on AWS, where this would cost money and say nothing new, and botocore's error if the home Region's
    endpoint cannot be reached.
    """
    import pandas as pd

    if lab.backend == "aws":
        raise ValueError("What AWS supports is in its documentation; features() asks other engines only.")
    survey = _Survey(lab, wait_s)
    try:
        survey.run()
    finally:
        survey.clean_up()
    return pd.DataFrame(survey.rows, columns=COLUMNS)


class _Survey:
    def __init__(self, lab: Lab, wait_s: float):
        self._lab, self._home, self._wait_s = lab, lab.home, wait_s
        self._clients = {region: lab.new_client(region, **_CLIENT) for region in lab.regions}
        self._table = f"gtlab-features-{uuid.uuid4().hex[:8]}"
        self.rows: list[Row] = []

    def run(self) -> None:
        self._client.list_tables(Limit=1)  # raises the error of an endpoint that is not there
        if not self._creates():
            return
        self._items()
        for region in self._lab.replicas:
            self._between(region)

    @property
    def _client(self) -> Any:
        return self._clients[self._home]

    def _ask(self, area: str, feature: str, ask: Callable[[], object], region: str = "") -> bool:
        """Ask, and note the answer: what ``ask`` returns is the detail if it is a string."""
        try:
            said, supported = ask(), True
        except _Lacks as lack:
            said, supported = str(lack), False
        except _ERRORS as error:
            said, supported = _words(error), False
        except KeyError as error:
            said, supported = f"the answer has no {error}", False
        detail = said if isinstance(said, str) else ""
        self.rows.append(Row(area, feature, region or self._home, supported, detail))
        return supported

    # Tables

    def _creates(self) -> bool:
        streams = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        if not self._ask(TABLES, "CreateTable with a stream", lambda: self._create(self._home, streams)) \
                and not self._ask(TABLES, "CreateTable", lambda: self._create(self._home)):
            return False
        self._ask(TABLES, "records in the stream", self._stream)
        self._ask(TABLES, "tags", self._tags)
        self._ask(TABLES, "UpdateTimeToLive", lambda: self._client.update_time_to_live(
            TableName=self._table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "Expires"}) and None)
        return True

    def _create(self, region: str, stream: dict[str, Any] | None = None) -> None:
        self._clients[region].create_table(
            TableName=self._table, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": _KEY, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": _KEY, "KeyType": "HASH"}],
            **({"StreamSpecification": stream} if stream else {}))
        self._until(lambda: self._status(region) == "ACTIVE", _READY_S,
                    f"the table was not ACTIVE within {_READY_S:g} s")

    def _status(self, region: str) -> str:
        """The table's status in a Region; empty if it is not there."""
        try:
            return str(self._clients[region].describe_table(TableName=self._table)["Table"].get("TableStatus", ""))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return ""
            raise

    def _tags(self) -> None:
        arn = self._client.describe_table(TableName=self._table)["Table"]["TableArn"]
        self._client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
        tags = self._client.list_tags_of_resource(ResourceArn=arn)["Tags"]
        _need({"Key": "a", "Value": "b"} in tags, "the tag was not returned")

    def _stream(self) -> None:
        streams = self._lab.new_client(self._home, "dynamodbstreams", **_CLIENT)
        self._put(self._home, "stream", "1")
        arn = self._client.describe_table(TableName=self._table)["Table"].get("LatestStreamArn")
        _need(bool(arn), "DescribeTable shows no stream")

        def records() -> list[Any]:
            found: list[Any] = []
            for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
                iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"],
                                                      ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
                found += streams.get_records(ShardIterator=iterator)["Records"]
            return found

        self._until(lambda: bool(records()), self._wait_s, f"no record within {self._wait_s:g} s")

    # Items

    def _items(self) -> None:
        client, table = self._client, self._table

        def conditional() -> None:
            try:
                client.put_item(TableName=table, Item=_item("a", "2"),
                                ConditionExpression=f"attribute_not_exists({_KEY})")
            except client.exceptions.ConditionalCheckFailedException:
                return
            raise _Lacks("a put whose condition was false succeeded")

        def counter() -> None:
            added = client.update_item(TableName=table, Key=_key("n"), UpdateExpression="ADD Seen :one",
                                       ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW")
            _need(added["Attributes"]["Seen"] == {"N": "1"}, "the new value was not returned")

        def batch() -> None:
            client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": _item("b", "1")}}]})
            found = client.batch_get_item(RequestItems={table: {"Keys": [_key("b")]}})["Responses"].get(table)
            _need(found == [_item("b", "1")], "the item was not returned")

        def transaction() -> None:
            client.transact_write_items(TransactItems=[
                {"Put": {"TableName": table, "Item": _item("t", "1")}},
                {"ConditionCheck": {"TableName": table, "Key": _key("a"),
                                    "ConditionExpression": f"attribute_exists({_KEY})"}}])
            got = client.transact_get_items(TransactItems=[{"Get": {"TableName": table, "Key": _key("t")}}])
            _need(got["Responses"] == [{"Item": _item("t", "1")}], "the item was not returned")

        def partiql() -> None:
            found = client.execute_statement(Statement=f'SELECT * FROM "{table}" WHERE {_KEY} = \'a\'')["Items"]
            _need(found == [_item("a", "1")], "the item was not returned")

        def query() -> None:
            found = client.query(TableName=table, KeyConditionExpression=f"{_KEY} = :a",
                                 ExpressionAttributeValues={":a": {"S": "a"}})["Items"]
            _need(found == [_item("a", "1")], "the item was not returned")

        def strong() -> None:
            _need(self._get(self._home, "a", ConsistentRead=True) == "1", "the item was not returned")

        asked: dict[str, Callable[[], None]] = {
            "PutItem": lambda: self._put(self._home, "a", "1"), "GetItem, strongly consistent": strong, "Query": query,
            "conditional writes": conditional, "counters (UpdateItem with ADD)": counter, _BATCHES: batch,
            "transactions": transaction, "PartiQL": partiql}
        for feature, ask in asked.items():
            self._ask(ITEMS, feature, ask)

    def _put(self, region: str, name: str, value: str) -> None:
        self._clients[region].put_item(TableName=self._table, Item=_item(name, value))

    def _get(self, region: str, name: str, **more: Any) -> str | None:
        found = self._clients[region].get_item(TableName=self._table, Key=_key(name), **more).get("Item")
        return found["Value"]["S"] if found else None

    # Between Regions

    def _between(self, region: str) -> None:
        if not self._ask(BETWEEN, "the table is in the other Region by itself", lambda: self._until(
                lambda: self._status(region) == "ACTIVE", min(2.0, self._wait_s), "it is not there"), region) \
                and not self._ask(BETWEEN, "UpdateTable adds a replica (2019.11.21)", lambda: self._replica(region),
                                  region):
            if not self._ask(BETWEEN, "the same table can be created there", lambda: self._create(
                    region, {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}), region):
                return
            self._ask(BETWEEN, "CreateGlobalTable joins them (2017.11.29)", lambda: self._joined(region), region)
        arrived = self._ask(BETWEEN, "items are replicated", lambda: self._travels(self._home, region), region)
        back = self._ask(BETWEEN, "items are replicated", lambda: self._travels(region, self._home), self._home)
        if arrived and back:
            self._ask(BETWEEN, "both Regions keep the same of two conflicting writes", lambda: self._converges(region),
                      region)
        self._ask(MEASURING, "replication lag", lambda: self._measurable(arrived), region)

    def _measurable(self, arrived: bool) -> None:
        batches = any(row.feature == _BATCHES and row.supported for row in self.rows)
        _need(batches, "it is measured with BatchWriteItem and BatchGetItem, which this engine lacks")
        _need(arrived, "nothing is replicated, so there is no lag to measure")

    def _replica(self, region: str) -> None:
        def shown() -> bool:
            described = self._client.describe_table(TableName=self._table)["Table"]
            return any(each.get("RegionName") == region for each in described.get("Replicas", ()))

        self._client.update_table(TableName=self._table, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        # DynamoDB shows a new replica within seconds.
        self._until(shown, 2 * self._wait_s, "accepted, but DescribeTable shows no replica")
        self._until(lambda: self._status(region) == self._status(self._home) == "ACTIVE", _READY_S,
                    f"accepted, but there was no table within {_READY_S:g} s")

    def _joined(self, region: str) -> None:
        self._client.create_global_table(GlobalTableName=self._table, ReplicationGroup=[
            {"RegionName": each} for each in (self._home, region)])

    def _travels(self, source: str, target: str) -> str:
        name, began = uuid.uuid4().hex, time.monotonic()
        self._put(source, name, "1")
        self._until(lambda: self._get(target, name) == "1", self._wait_s,
                    f"an item from {source} did not arrive within {self._wait_s:g} s: these are separate copies")
        return f"an item from {source} arrived within {time.monotonic() - began:.1f} s"

    def _converges(self, region: str) -> str:
        name, places = uuid.uuid4().hex, (self._home, region)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda place: self._put(place, name, place), places))
        read: list[str | None] = []

        def same() -> bool:
            time.sleep(_EVERY_S)
            read[:] = [self._get(place, name) for place in places for _ in range(2)]
            return len(set(read)) == 1 and read[0] in places

        self._until(lambda: same() and same() and same(), self._wait_s,
                    f"they still differed after {self._wait_s:g} s")
        return f"the write in {read[0]} won"

    def _until(self, condition: Callable[[], bool], seconds: float, lack: str) -> None:
        """Wait until the condition holds. Raises _Lacks."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise _Lacks(lack)
            time.sleep(_EVERY_S)

    def clean_up(self) -> None:
        """Delete the table wherever it is, the home Region's last. What cannot be deleted is reported."""
        for region in reversed(self._lab.regions):
            try:
                self._until(lambda region=region: self._deleted(region), _READY_S, "")  # type: ignore[misc]
                ownership.forget(self._lab.backend, region, self._table)
            except (*_ERRORS, _Lacks) as error:
                print(f"Table {self._table} could not be deleted in {region}: {error or 'it is still there'}")

    def _deleted(self, region: str) -> bool:
        """Whether the table is gone; asks for its deletion where it is not being deleted yet."""
        status = self._status(region)
        if status and status != "DELETING":
            try:
                self._clients[region].delete_table(TableName=self._table)
            except ClientError as error:  # it is still changing, or a replica of it is
                if error.response["Error"]["Code"] not in ("ResourceInUseException", "ValidationException",
                                                           "ResourceNotFoundException"):
                    raise
        return not status


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Lacks(otherwise)


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return f"{told['Code']}: {told['Message']}" if told.get("Message") else str(told["Code"])
    return str(error)


def _key(name: str) -> dict[str, Any]:
    return {_KEY: {"S": name}}


def _item(name: str, value: str) -> dict[str, Any]:
    return {_KEY: {"S": name}, "Value": {"S": value}}
