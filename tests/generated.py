"""Requests to every operation of the services that the local cloud has, made from botocore's own models.

:class:`Generator` follows a service's model and fills in what makes a request reach deep code: names, keys and ARNs
that exist, expressions with the names and values that they use, and whatever earlier answers held (iterators, tokens,
identifiers). Most requests are valid; one in six is spoiled in one place.
"""

from __future__ import annotations

import base64
import copy
import json
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from botocore.model import Shape
from drawn_items import Drawn, Place, Schema
from sample_requests import DRAWN, places

from gtlab.localcloud.server.requests import model

SERVICES = ("dynamodb", "dynamodbstreams", "fis", "cloudwatch", "application-autoscaling", "sts")
REGIONS = ("us-east-1", "us-east-2", "us-west-2")  # strong consistency is available among them
ACCOUNT = "300000000001"
SPOILED = 1 / 6    # of the requests
DEEPEST = 7        # levels of structures for which optional members are drawn


MUSIC = Schema({"Artist": "S", "SongTitle": "S"}, {"by_genre": {"genre": "S"}, "by_year": {"Artist": "S", "year": "N"}})
TABLES = {
    "Music": MUSIC,                                     # replicated to all Regions
    "Agreed": Schema({"Artist": "S"}, {}),              # strongly consistent
    "Former": Schema({"Artist": "S", "SongTitle": "S"}, {}),  # a global table of version 2017.11.29
    "Counted": Schema({"id": "N"}, {"by_genre": {"genre": "S", "n": "N"}}),  # provisioned
    "Raw": Schema({"id": "B", "at": "N"}, {}),
}
NEW = Schema({"id": "N"}, {"by_genre": {"genre": "S"}})  # of tables that the requests create
NEWER = [f"New{number}" for number in range(6)]


def schema(table: str) -> Schema:
    return TABLES.get(table, NEW)


class Request(NamedTuple):
    """A request, as :func:`sent` makes it an HTTP request."""

    service: str
    operation: str
    region: str
    data: dict


def described(table: str, on_demand: bool = True) -> dict:
    """CreateTable's input for a table of :data:`TABLES` or a new one."""
    keys, indexes = schema(table)
    units = {} if on_demand else {"ProvisionedThroughput": {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50}}
    attributes = keys | {name: kind for names in indexes.values() for name, kind in names.items()}
    made: dict[str, Any] = {
        "TableName": table, "KeySchema": _elements(keys), "BillingMode": "PAY_PER_REQUEST" if on_demand else
        "PROVISIONED", "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind}
                                                for name, kind in attributes.items()]} | units
    for name, names in indexes.items():
        local = next(iter(names)) == next(iter(keys))
        made.setdefault("LocalSecondaryIndexes" if local else "GlobalSecondaryIndexes", []).append(
            {"IndexName": name, "KeySchema": _elements(names), "Projection": {"ProjectionType": "ALL"}}
            | ({} if local else units))
    return made


def _elements(names: dict[str, str]) -> list[dict]:
    return [{"AttributeName": name, "KeyType": "RANGE" if place else "HASH"} for place, name in enumerate(names)]


def arn(table: str, region: str) -> str:
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}"


class Generator(Drawn):
    """Draws requests. :meth:`learn` takes the answers, so that later requests use what is in them."""

    def __init__(self, random: Random):
        super().__init__(random, TABLES)
        self.region, self.operation = REGIONS[0], ""  # of the request that is being made
        self._known: dict[tuple[str, str], deque] = {}  # by Region and name
        self._made: set[tuple[str, str]] = set()        # new tables: Region, name
        self._every = [(service, name) for service in SERVICES for name in model(service).operation_names]

    def schema(self, table: str) -> Schema:
        return schema(table)

    def table_of_a_transaction(self) -> str:
        """Strongly consistent tables refuse them."""
        return self.random.choice([name for name in TABLES if name != "Agreed" or self.random.random() < 0.2])

    def item(self, at: Place) -> dict:
        """With an attribute for TTL, and some large ones."""
        found, random = super().item(at), self.random
        if random.random() < 0.3:
            found["until"] = {"N": str(int(time.time()) + random.choice((-100, 5, 10**6)))}
        if random.random() < 0.03:
            found["big"] = {"S": "x" * random.choice((1000, 30_000, 300_000))}
        return found

    # What to ask

    def next(self) -> Request:
        random = self.random
        if random.random() < 0.5:
            service, operation = random.choice(_OFTEN)
        else:
            service, operation = random.choice(self._every)
        self.region, self.operation = region, operation = random.choice(REGIONS), operation
        new = [name for name in NEWER if (region, name) in self._made or random.random() < 0.1]
        table = random.choice([*TABLES, *TABLES, *new])
        if operation in ("CreateTable", "DeleteTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"):
            wanted = [name for name in NEWER if ((region, name) in self._made) == (operation == "DeleteTable")] or NEWER
            table = random.choice(wanted if random.random() < 0.98 else list(TABLES))
        elif "GlobalTable" in operation:
            table = "Former"
        elif "ReplicaAutoScaling" in operation:
            table = random.choice(("Music", "Agreed", table))
        at = Place(operation, region, table)
        shape = model(service).operation_model(operation).input_shape
        data = {} if shape is None else _WHOLE[operation](self, at) if operation in _WHOLE and random.random() < 0.9 \
            else self.value(operation, shape, at, 0)
        if random.random() < SPOILED:
            data = spoiled(data, random)
        return Request(service, operation, region, data)

    def learn(self, request: Request, answer: dict) -> None:
        """Keep what an answer holds that later requests may use: a few strings of each name."""
        where = (request.region, str(request.data.get("TableName") or request.data.get("TargetTableName")))
        if request.operation in ("CreateTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"):
            self._made.add(where)
        elif request.operation == "DeleteTable":
            self._made.discard(where)
        for shard in answer.get("StreamDescription", {}).get("Shards", ()):
            self._keep(request.region, "shard", (answer["StreamDescription"]["StreamArn"], shard["ShardId"]))
        self._learn(request, answer)

    def _learn(self, request: Request, value: object, name: str = "") -> None:
        if isinstance(value, dict) and name != "LastEvaluatedKey":
            for inner, each in value.items():
                self._learn(request, each, inner)
        elif isinstance(value, list):
            for each in value[:20]:
                self._learn(request, each, name)
        elif name == "LastEvaluatedKey" or (isinstance(value, str) and value):
            self._keep(request.region, _known_as(name, str(value), request.operation), value)

    def _keep(self, region: str, name: str, value: object) -> None:
        self._known.setdefault((region, name), deque(maxlen=8)).append(value)

    def known(self, name: str) -> Any:
        """What an earlier answer of this Region held by this name; None where none did."""
        kept = self._known.get((self.region, _known_as(name, "", self.operation)))
        return self.random.choice(kept) if kept else None

    # Values by their shape

    def value(self, name: str, shape: Shape, at: Place, depth: int) -> Any:
        random = self.random
        if name in _BY_NAME:
            found = _BY_NAME[name](self, at)
            if found is not None:
                return found
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, at, depth)
        if kind == "list":
            least = max(1, shape.metadata.get("min", 1))
            return [self.value(_SINGULAR.get(name, name), shape.member, at, depth + 1)
                    for _ in range(random.choice((least, least, least + 1)))]
        if kind == "map":
            return {self.word(): self.value(name, shape.value, at, depth + 1)}
        if kind == "blob":
            return base64.b64encode(random.randbytes(3)).decode()
        if kind == "boolean":
            return random.random() < 0.6
        if kind == "timestamp":
            return int(time.time()) - random.choice((0, 60, 3600, 86400, 10**6))
        if kind != "string":
            least = shape.metadata.get("min", 1)
            drawn = random.randint(int(least), int(min(shape.metadata.get("max", least + 50), least + 50)))
            return drawn if kind in ("integer", "long") else drawn + 0.5
        if shape.enum:
            return random.choice(shape.enum)
        found = self.known(name) if random.random() < 0.8 else None
        return found or self.word() * max(1, -(-shape.metadata.get("min", 1) // 3))

    def _structure(self, shape: Shape, at: Place, depth: int) -> dict:
        random, members = self.random, shape.members
        if "TableName" in members and depth:  # an action of a transaction: about a table of its own
            at = Place(at.operation, at.region, self.table_of_a_transaction())
        elif "ExpressionAttributeNames" in members:
            at = Place(at.operation, at.region, at.table)
        legacy = random.random() < 0.1
        chance = 0.3 if depth < DEEPEST else 0.0
        drawn = [name for name in members if name in shape.required_members or (
            (legacy if name in _LEGACY else not (legacy and name.endswith("Expression"))) and random.random() < chance)]
        if not drawn and members:
            drawn = [random.choice([name for name in members if name not in _LEGACY] or list(members))]
        if shape.name == "TransactWriteItem" or shape.name in _ONE_OF:
            drawn = drawn[:1]
        if "IndexName" in drawn:  # what the expressions are about
            drawn.sort(key=lambda name: name != "IndexName")
        found = {}
        for name in drawn:
            if name not in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
                made = self.value(name, members[name], at, depth + 1)
                if name == "IndexName":
                    at.index = made
                found[name] = made
        if at.names and "ExpressionAttributeNames" in members:
            found["ExpressionAttributeNames"] = at.names
        if at.values and "ExpressionAttributeValues" in members:
            found["ExpressionAttributeValues"] = at.values
        return found

def spoiled(data: dict, random: Random) -> dict:
    """A request with one part dropped, replaced, wrapped or doubled."""
    data = copy.deepcopy(data)
    paths = list(places(data))
    if not paths:
        return data
    *way, last = random.choice(paths)
    part: Any = data
    for name in way:
        part = part[name]
    change = random.choice(("drop", "replace", "replace", "wrap", "twice"))
    if change == "drop":
        del part[last]
    elif change == "wrap":
        part[last] = random.choice(([part[last]], {"M": part[last]}, {"x": part[last]}))
    elif change == "twice" and isinstance(part, list):
        part.extend(copy.deepcopy(part))
    else:
        part[last] = copy.deepcopy(random.choice(DRAWN))
    return data


# Whole inputs whose parts depend on each other

def _create_table(self: Generator, at: Place) -> dict:
    random = self.random
    more = random.choice((
        {}, {}, {"Tags": [{"Key": "k", "Value": "v"}]}, {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}},
        {"SSESpecification": {"Enabled": True}}, {"DeletionProtectionEnabled": False},
        {"ResourcePolicy": _policy(self, at)}))
    on_demand = random.random() < 0.6
    if on_demand and random.random() < 0.1:
        more = more | {"OnDemandThroughput": {"MaxReadRequestUnits": 40, "MaxWriteRequestUnits": 40}}
    return described(at.table, on_demand) | more


def _update_table(self: Generator, at: Place) -> dict:
    random, region = self.random, self.random.choice((*REGIONS, "eu-west-1"))
    index = {"IndexName": "added", "KeySchema": _elements({"genre": "S"}),
             "Projection": {"ProjectionType": "KEYS_ONLY"}}
    units = {"ReadCapacityUnits": random.choice((1, 5, 50)), "WriteCapacityUnits": random.choice((1, 5, 50))}
    return {"TableName": at.table} | random.choice((
        {"BillingMode": "PAY_PER_REQUEST"}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units},
        {"ProvisionedThroughput": units}, {"TableClass": random.choice(("STANDARD", "STANDARD_INFREQUENT_ACCESS"))},
        {"DeletionProtectionEnabled": random.random() < 0.1}, {"SSESpecification": {"Enabled": random.random() < 0.5}},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": random.choice((
            "NEW_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES"))}}, {"StreamSpecification": {"StreamEnabled": False}},
        {"ReplicaUpdates": [{"Create": {"RegionName": region}}]},
        {"ReplicaUpdates": [{"Delete": {"RegionName": region if at.table in NEWER else "eu-west-1"}}]},
        {"ReplicaUpdates": [{"Update": {"RegionName": region, "TableClassOverride": "STANDARD"}}]},
        {"AttributeDefinitions": [{"AttributeName": "genre", "AttributeType": "S"}],
         "GlobalSecondaryIndexUpdates": [{"Create": index}]},
        {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": random.choice(("added", "by_genre"))}}]},
        {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by_genre", "ProvisionedThroughput": units}}]},
        {"OnDemandThroughput": {"MaxReadRequestUnits": 400, "MaxWriteRequestUnits": 400}},
        {"WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}}))


def _query(self: Generator, at: Place) -> dict:
    random = self.random
    at.index = random.choice([None, *schema(at.table).indexes])
    found: dict[str, Any] = {"TableName": at.table} | ({"IndexName": at.index} if at.index else {})
    if random.random() < 0.1:
        name, kind = next(iter(schema(at.table).indexes.get(at.index or "", schema(at.table).keys).items()))
        equals = {"ComparisonOperator": "EQ", "AttributeValueList": [self.scalar(kind)]}
        return found | {"KeyConditions": {name: equals}} | (
            {"QueryFilter": self.legacy(at)} if random.random() < 0.5 else {})
    found["KeyConditionExpression"] = self.key_condition(at)
    return found | _page(self, at)


def _scan(self: Generator, at: Place) -> dict:
    random = self.random
    at.index = random.choice([None, None, *schema(at.table).indexes])
    segments = {"Segment": random.randrange(3), "TotalSegments": 3} if random.random() < 0.2 else {}
    found = {"TableName": at.table} | ({"IndexName": at.index} if at.index else {}) | segments
    return found | ({"ScanFilter": self.legacy(at)} if random.random() < 0.1 else _page(self, at))


def _page(self: Generator, at: Place) -> dict:
    """What a Query and a Scan may be asked besides, with the names and values of all expressions."""
    random, found = self.random, dict[str, Any]()
    if random.random() < 0.4:
        found["FilterExpression"] = self.condition(at)
    if random.random() < 0.3:
        found["ProjectionExpression"] = self.projection(at)
    elif random.random() < 0.3:
        found["Select"] = random.choice(("COUNT", "ALL_PROJECTED_ATTRIBUTES" if at.index else "ALL_ATTRIBUTES"))
    if random.random() < 0.3:
        found["Limit"] = random.randint(1, 5)
    if random.random() < 0.3:
        found["ConsistentRead"] = random.random() < 0.5
    if random.random() < 0.05 and self.known("ExclusiveStartKey"):
        found["ExclusiveStartKey"] = self.known("ExclusiveStartKey")
    if random.random() < 0.3:
        found["ReturnConsumedCapacity"] = random.choice(("TOTAL", "INDEXES", "NONE"))
    return found | ({"ExpressionAttributeNames": at.names} if at.names else {}) | (
        {"ExpressionAttributeValues": at.values} if at.values else {})


def _shard_iterator(self: Generator, at: Place) -> dict:
    stream, shard = self.known("shard") or ("none", "none")
    kind = self.random.choice(("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"))
    number = {"SequenceNumber": self.known("SequenceNumber") or "1"} if "SEQ" in kind else {}
    return {"StreamArn": stream, "ShardId": shard, "ShardIteratorType": kind} | number


def _template(self: Generator, at: Place) -> dict:
    table = self.random.choice(("Music", "Agreed", "Former"))
    named = {"id": self.known("template") or "EXT1"} if at.operation == "UpdateExperimentTemplate" else {
        "clientToken": str(self.random.randrange(10**9)), "tags": {"a": "b"}}
    return named | {"description": "pause", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/fis",
            "stopConditions": [{"source": "none"}],
            "targets": {"Tables": {"resourceType": "aws:dynamodb:global-table", "selectionMode": "ALL",
                                   "resourceArns": [arn(table, at.region)]}},
            "actions": {"pause": {"actionId": "aws:dynamodb:global-table-pause-replication",
                                  "parameters": {"duration": "PT1M"}, "targets": {"Tables": "Tables"}}}}


def _metrics(self: Generator, at: Place) -> dict:
    now, random = int(time.time()), self.random
    metric = {"Namespace": "AWS/DynamoDB", "MetricName": "ReplicationLatency", "Dimensions": [
        {"Name": "TableName", "Value": at.table}, {"Name": "ReceivingRegion", "Value": random.choice(REGIONS)}]}
    times = {"StartTime": now - random.choice((300, 3600, 10**6)), "EndTime": now + 60}
    if at.operation == "GetMetricStatistics":
        return metric | times | {"Period": random.choice((60, 300)), "Statistics": ["Average", "Maximum"]}
    return times | {"MetricDataQueries": [{"Id": "m1", "MetricStat": {
        "Metric": metric, "Period": 60, "Stat": random.choice(("Average", "p99", "SampleCount"))}}]}


def _scaled(self: Generator, at: Place) -> dict:
    kind = self.random.choice(("Read", "Write"))
    table = self.random.choice(("Counted", "Counted", "Counted", "Counted", at.table))
    resource, dimension = self.random.choice((
        (f"table/{table}", f"dynamodb:table:{kind}CapacityUnits"),
        (f"table/{table}/index/by_genre", f"dynamodb:index:{kind}CapacityUnits")))
    found = {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension}
    if at.operation == "RegisterScalableTarget":
        return found | {"MinCapacity": self.random.choice((1, 5)), "MaxCapacity": self.random.choice((5, 50))}
    if at.operation == "PutScalingPolicy":
        settings = {"TargetValue": self.random.choice((20.0, 70.0)), "PredefinedMetricSpecification": {
            "PredefinedMetricType": f"DynamoDB{kind}CapacityUtilization"}}
        return found | {"PolicyName": "p", "PolicyType": "TargetTrackingScaling",
                        "TargetTrackingScalingPolicyConfiguration": settings}
    return found | ({"PolicyName": "p"} if at.operation == "DeleteScalingPolicy" else {})


def _policy(self: Generator, at: Place) -> str:
    action = self.random.choice(("dynamodb:*", "dynamodb:GetItem"))
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": action,
        "Resource": arn(at.table, at.region)}]})


_WHOLE: dict[str, Callable[[Generator, Place], dict]] = {
    "CreateTable": _create_table, "UpdateTable": _update_table, "Query": _query, "Scan": _scan,
    "CreateExperimentTemplate": _template, "UpdateExperimentTemplate": _template,
    "GetMetricStatistics": _metrics, "GetMetricData": _metrics,
    "RegisterScalableTarget": _scaled, "DeregisterScalableTarget": _scaled, "PutScalingPolicy": _scaled,
    "DeleteScalingPolicy": _scaled, "GetShardIterator": _shard_iterator,
    "ExecuteStatement": lambda self, at: self.statement(at) | ({"Limit": 2} if self.random.random() < 0.2 else {}),
}


# Members by name

def _table_name(self: Generator, at: Place) -> str:
    return arn(at.table, at.region) if self.random.random() < 0.05 else at.table


def _resource(self: Generator, at: Place) -> str:
    return arn(at.table, at.region) + self.random.choice(("", "", "", "/index/by_genre"))


def _actions_of_tables(self: Generator, at: Place) -> dict:
    """RequestItems of a batch."""
    found: dict[str, Any] = {}
    for table in self.random.sample(list(TABLES), self.random.choice((1, 1, 2))):
        there = Place(at.operation, at.region, table)
        if at.operation == "BatchGetItem":
            found[table] = {"Keys": _different([self.key(there) for _ in range(3)])} | self.random.choice((
                {}, {"ConsistentRead": True}, {"ProjectionExpression": "a, b"}))
        else:
            keys = _different([self.key(there) for _ in range(3)])
            found[table] = [{"DeleteRequest": {"Key": key}} if self.random.random() < 0.4 else {
                "PutRequest": {"Item": self.item(there) | key}} for key in keys]
    return found


def _different(keys: list[dict]) -> list[dict]:
    return list({json.dumps({name: str(float(value["N"])) if "N" in value else value for name, value in key.items()},
                            sort_keys=True): key for key in keys}.values())


def _statements(self: Generator, at: Place) -> list[dict]:
    reads = self.random.choice((True, True, False, False, None))
    return [self.statement(at, reads) for _ in range(self.random.choice((1, 2, 3)))]


def _identifier(self: Generator, at: Place) -> str | None:
    return self.known("template" if "Template" in at.operation else "experiment") if "Exp" in at.operation else None


def _known_as(name: str, value: str, operation: str) -> str:
    """The name by which a value of an answer, or a parameter that wants one, is known."""
    if value[:3] in ("EXT", "EXP"):
        return "template" if value[:3] == "EXT" else "experiment"
    return f"{operation} token" if name.lower() == "nexttoken" else _ALIASES.get(name, name)


_BY_NAME: dict[str, Callable[[Generator, Place], Any]] = {
    "TableName": _table_name, "GlobalTableName": lambda self, at: at.table,
    "SourceTableName": lambda self, at: self.random.choice(list(TABLES)),
    "TableArn": lambda self, at: arn(at.table, at.region),
    "SourceTableArn": lambda self, at: arn(self.random.choice(list(TABLES)), at.region),
    "TargetTableName": lambda self, at: at.table,
    "IndexName": lambda self, at: self.random.choice([*schema(at.table).indexes, "by_genre"]),
    "RegionName": lambda self, at: self.random.choice((*REGIONS, "eu-west-1")),
    "ResourceArn": _resource, "resourceArn": lambda self, at: self.known("arn"),
    "ResourceARN": lambda self, at: self.known("ScalableTargetARN"),
    "Key": lambda self, at: self.key(at) if at.operation not in ("TagResource", "CreateTable") else self.word(),
    "Item": lambda self, at: self.item(at), "RequestItems": _actions_of_tables,
    "ExclusiveStartKey": lambda self, at: self.known("ExclusiveStartKey") or self.key(at),
    "ConditionExpression": Generator.condition, "FilterExpression": Generator.condition,
    "UpdateExpression": Generator.update, "KeyConditionExpression": Generator.key_condition,
    "ProjectionExpression": Generator.projection, "Expected": Generator.legacy, "QueryFilter": Generator.legacy,
    "ScanFilter": Generator.legacy, "AttributesToGet": lambda self, at: ["a", "b"],
    "AttributeUpdates": lambda self, at: {self.random.choice("abc"): self.random.choice((
        {"Action": "PUT", "Value": self.attribute()}, {"Action": "ADD", "Value": {"N": "1"}}, {"Action": "DELETE"}))},
    "Statements": _statements, "TransactStatements": _statements,
    "AttributeName": lambda self, at: self.random.choice(("until", "genre")),
    "Policy": _policy, "ResourcePolicy": _policy, "roleArn": lambda self, at: f"arn:aws:iam::{ACCOUNT}:role/fis",
    "accountId": lambda self, at: ACCOUNT, "ServiceNamespace": lambda self, at: "dynamodb",
    "ResourceId": lambda self, at: f"table/{at.table}", "Namespace": lambda self, at: "AWS/DynamoDB",
    "MetricName": lambda self, at: "ReplicationLatency", "id": _identifier,
    "experimentId": lambda self, at: self.known("experiment"),
    "experimentTemplateId": lambda self, at: self.known("template"),
    "clientToken": lambda self, at: str(self.random.randrange(10**9)),
    "ReturnValues": lambda self, at: self.random.choice(("NONE", "ALL_OLD") if at.operation != "UpdateItem" else (
        "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")),
    "RecoveryPeriodInDays": lambda self, at: self.random.randint(1, 35),
    "BackupName": lambda self, at: f"backup-{self.random.randrange(9)}",
    "S3Bucket": lambda self, at: "bucket",
}
_SINGULAR = {"Keys": "Key", "ResourceIds": "ResourceId", "resourceArns": "resourceArn"}
_LEGACY = ("Expected", "AttributeUpdates", "KeyConditions", "QueryFilter", "ScanFilter", "ConditionalOperator",
           "AttributesToGet")
_ONE_OF = ("WriteRequest", "ReplicaUpdate", "ReplicationGroupUpdate", "GlobalSecondaryIndexUpdate",
           "GlobalTableWitnessGroupUpdate")
_ALIASES = {"LatestStreamArn": "StreamArn", "NextShardIterator": "ShardIterator",
            "StartingSequenceNumber": "SequenceNumber", "LastEvaluatedBackupArn": "BackupArn", "LastEvaluatedKey":
            "ExclusiveStartKey", "ExclusiveStartBackupArn": "BackupArn"}
_OFTEN = [("dynamodb", name) for name in (
    "PutItem", "PutItem", "UpdateItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Query", "Scan", "BatchGetItem",
    "BatchWriteItem", "TransactWriteItems", "TransactGetItems", "ExecuteStatement", "ExecuteStatement",
    "BatchExecuteStatement", "ExecuteTransaction", "CreateTable", "UpdateTable", "UpdateTable", "DescribeTable",
    "UpdateTimeToLive", "CreateBackup", "RestoreTableFromBackup", "UpdateContinuousBackups")] + [
    ("dynamodbstreams", "ListStreams"), ("dynamodbstreams", "DescribeStream"), ("dynamodbstreams", "GetShardIterator"),
    ("dynamodbstreams", "GetRecords"), ("fis", "CreateExperimentTemplate"), ("fis", "StartExperiment"),
    ("fis", "StopExperiment"), ("cloudwatch", "GetMetricStatistics"), ("cloudwatch", "GetMetricData"),
    ("application-autoscaling", "RegisterScalableTarget"), ("application-autoscaling", "PutScalingPolicy")]
