"""A shopping basket that runs in several Regions, small enough to read.

Each Region has a whole *stack*: it answers its users, reads and writes at its own Region's DynamoDB endpoint, and reads
its own Region's stream. It never calls another Region. Which stack answers a user is decided in front of the stacks, by
:mod:`gtlab.course.router`. Plain boto3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

TABLE = "Baskets"
_KEPT = 20    # request ids that a basket remembers
_TRIES = 10   # attempts of a write whose version condition fails


class Basket(NamedTuple):
    """``requests`` are the ids of the requests that changed the basket, ``written_in`` is the Region of the newest
    change, and ``order`` is the id of the request that ordered it (empty: none yet)."""

    products: dict[str, int]
    version: int = 0
    requests: tuple[str, ...] = ()
    written_in: str = ""
    order: str = ""


def from_item(item: Mapping[str, Any]) -> Basket:
    return Basket({name: int(count["N"]) for name, count in item["Products"]["M"].items()}, int(item["Version"]["N"]),
                  tuple(each["S"] for each in item["Requests"]["L"]), item["WrittenIn"]["S"], item["Ordered"]["S"])


def to_item(user: str, basket: Basket) -> dict[str, Any]:
    return {"Customer": {"S": user}, "Products": {"M": {name: {"N": str(n)} for name, n in basket.products.items()}},
            "Version": {"N": str(basket.version)}, "Requests": {"L": [{"S": each} for each in basket.requests]},
            "WrittenIn": {"S": basket.written_in}, "Ordered": {"S": basket.order}}


class Change(NamedTuple):
    """A record of a Region's stream: a user's basket before and after (None: it did not exist)."""

    user: str
    old: Basket | None
    new: Basket | None


class Stack:
    """The application in one Region. ``dynamodb`` and ``streams`` are boto3 clients of this Region only.

    To see what each protection is for, switch it off: without ``version_condition`` two requests at the same time
    overwrite each other, without ``idempotency_key`` a request that is sent twice is applied twice. Neither protects
    against a write in another Region that has not arrived yet.
    """

    def __init__(self, region: str, dynamodb: Any, streams: Any, table: str = TABLE, *,
                 version_condition: bool = True, idempotency_key: bool = True):
        self.region, self.table, self._dynamodb, self._streams = region, table, dynamodb, streams
        self._version_condition, self._idempotency_key = version_condition, idempotency_key
        self._iterators: dict[str, str | None] = {}  # by shard; None: this shard has been read to its end

    def basket(self, user: str) -> Basket:
        """The newest version that this Region has. Another Region may have a newer one."""
        found = self._dynamodb.get_item(TableName=self.table, Key={"Customer": {"S": user}}, ConsistentRead=True)
        return from_item(found["Item"]) if "Item" in found else Basket({})

    def add(self, user: str, product: str, request: str, count: int = 1) -> Basket:
        """Add a product. ``request`` is the idempotency key: the same request is applied once, however often it is
        sent, as long as the basket of this Region shows it."""
        return self._write(user, request, lambda old: old._replace(
            products=old.products | {product: old.products.get(product, 0) + count}))

    def order(self, user: str, request: str) -> Basket:
        """Order what is in the basket. The stream's consumer sends the receipt."""
        return self._write(user, request, lambda old: old._replace(order=request))

    def _write(self, user: str, request: str, change: Callable[[Basket], Basket]) -> Basket:
        for _ in range(_TRIES):
            old = self.basket(user)
            if self._idempotency_key and request in old.requests:
                return old
            new = change(old)._replace(version=old.version + 1, written_in=self.region,
                                       requests=(*old.requests, request)[-_KEPT:])
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(Version)"}
            if old.version:  # if the basket has been deleted meanwhile, it must not come back
                condition = {"ConditionExpression": "Version = :seen",
                             "ExpressionAttributeValues": {":seen": {"N": str(old.version)}}}
            try:
                self._dynamodb.put_item(TableName=self.table, Item=to_item(user, new),
                                        **condition if self._version_condition else {})
                return new
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                continue  # another request in this Region was faster: read its basket, and try again
        raise RuntimeError(f"The basket of {user} changed in each of {_TRIES} attempts to write it. "
                           "Send it again.")

    def changes(self) -> list[Change]:
        """The records that came into this Region's stream since the last call; the first call begins at the oldest."""
        arn = self._dynamodb.describe_table(TableName=self.table)["Table"]["LatestStreamArn"]
        for shard in self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            if shard["ShardId"] not in self._iterators:
                self._iterators[shard["ShardId"]] = self._streams.get_shard_iterator(
                    StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        found = []
        for shard_id, iterator in self._iterators.items():
            while iterator:
                answer = self._streams.get_records(ShardIterator=iterator)
                self._iterators[shard_id] = iterator = answer.get("NextShardIterator")
                found += [change(record["dynamodb"]) for record in answer["Records"]]
                if not answer["Records"]:
                    break
        return found

    def receipts(self) -> list[str]:
        """The orders for which this Region's consumer sends a receipt now: the ids of the requests that ordered."""
        return [change.new.order for change in self.changes()
                if change.new and change.new.order and change.new.order != (change.old and change.old.order)]


def change(record: Mapping[str, Any]) -> Change:
    """What a record's ``dynamodb`` part says."""
    old, new = (from_item(record[image]) if image in record else None for image in ("OldImage", "NewImage"))
    return Change(record["Keys"]["Customer"]["S"], old, new)
