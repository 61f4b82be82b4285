"""A bare engine for tests: one account in a database of its own, without the rest of the local cloud."""

from __future__ import annotations

import copy
import json
from itertools import count

import pytest

from gtlab.localcloud import engine
from gtlab.localcloud.engine import ahead
from gtlab.localcloud.model import Call, Refusal

REGION = "us-east-1"
_accounts = count(10**11)


class Database:
    """One account in a database of its own. ``now``: what operations take for the time, epoch seconds. ``ahead``: each
    call is prepared, as the server does with large ones."""

    def __init__(self, ahead: bool = False) -> None:
        self.ahead = ahead
        self.account, self.kept, self.now = str(next(_accounts)), engine.Database(), 1_800_000_000.0

    def __call__(self, operation: str, **data) -> dict:
        call = Call(self.account, REGION, "dynamodb", operation, copy.deepcopy(data))
        return json.loads(engine.call(self.kept, ahead.prepared(call) if self.ahead else call, self.now))

    def refusal(self, operation: str, **data) -> Refusal:
        with pytest.raises(Refusal) as refused:
            self(operation, **data)
        return refused.value

    def table(self, name: str, *keys: str, **more) -> None:
        """A table with these key attributes ("p", "s:N"); the first is the partition key."""
        elements, definitions = [], []
        for place, key in enumerate(keys):
            attribute, _, kind = key.partition(":")
            elements.append({"AttributeName": attribute, "KeyType": "RANGE" if place else "HASH"})
            definitions.append({"AttributeName": attribute, "AttributeType": kind or "S"})
        self("CreateTable", TableName=name, KeySchema=elements, BillingMode="PAY_PER_REQUEST",
             AttributeDefinitions=definitions + more.pop("definitions", []), **more)

    def put(self, table: str, **attributes) -> None:
        self("PutItem", TableName=table, Item=attributes)


def index(name: str, *keys: str, projection: str = "ALL", include: tuple[str, ...] = ()) -> dict:
    found = {"ProjectionType": projection} | ({"NonKeyAttributes": list(include)} if include else {})
    return {"IndexName": name, "Projection": found, "KeySchema": [
        {"AttributeName": key, "KeyType": "RANGE" if place else "HASH"} for place, key in enumerate(keys)]}
