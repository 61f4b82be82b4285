"""Valid requests of every kind, and values and places to spoil them with."""

from __future__ import annotations

from hypothesis import strategies as st
from support import SINGAPORE

from gtlab.course.stages import MUSIC

ACCOUNT = "200000000001"
KEY = {"Artist": {"S": "a"}, "SongTitle": {"S": "t"}}
SQL = "'Artist': 'sql', 'SongTitle': 't'"
WHERE = "WHERE Artist = 'a' AND SongTitle = 't'"
VALID: list[tuple[str, dict]] = [
    (operation, body if name is None else body | {"TableName": name})
    for name in ("Music", "Plain") for operation, body in [
        ("PutItem", {"Item": KEY | {"n": {"N": "2"}, "m": {"M": {"l": {"L": [{"BOOL": True}, {"NULL": True}]}}},
                                    "s": {"SS": ["x", "y"]}, "ns": {"NS": ["1"]}, "b": {"B": "AAE="},
                                    "genre": {"S": "pop"}},
                     "ConditionExpression": "attribute_not_exists(#x) OR n > :n", "ReturnValues": "ALL_OLD",
                     "ExpressionAttributeNames": {"#x": "x"}, "ExpressionAttributeValues": {":n": {"N": "0"}}}),
        ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET #n = #n + :one, l = list_append(:l, :l) REMOVE x ADD s :s",
                        "ExpressionAttributeNames": {"#n": "n"}, "ReturnValues": "UPDATED_NEW",
                        "ExpressionAttributeValues": {":one": {"N": "1"}, ":l": {"L": [{"S": "a"}]},
                                                      ":s": {"SS": ["z"]}}}),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"n": {"Action": "ADD", "Value": {"N": "1"}}}}),
        ("DeleteItem", {"Key": KEY | {"Artist": {"S": "nobody"}}, "ReturnValues": "ALL_OLD",
                        "Expected": {"n": {"Exists": False}}}),
        ("GetItem", {"Key": KEY, "ProjectionExpression": "n, m.l[0], #s", "ExpressionAttributeNames": {"#s": "s"},
                     "ConsistentRead": True}),
        ("Query", {"KeyConditionExpression": "Artist = :a AND begins_with(SongTitle, :t)", "Limit": 2,
                   "ExpressionAttributeValues": {":a": {"S": "a"}, ":t": {"S": ""}, ":n": {"N": "0"}},
                   "FilterExpression": "n BETWEEN :n AND :n OR contains(s, :a)", "ScanIndexForward": False,
                   "ExclusiveStartKey": KEY}),
        ("Query", {"KeyConditions": {"Artist": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}}),
        ("Scan", {"FilterExpression": "size(n) > :n", "ExpressionAttributeValues": {":n": {"N": "0"}}, "Limit": 5,
                  "Segment": 0, "TotalSegments": 2, "Select": "ALL_ATTRIBUTES", "ExclusiveStartKey": KEY}),
    ]
] + [
    ("Query", {"TableName": "Plain", "IndexName": "by_genre", "KeyConditionExpression": "genre = :g",
               "ExpressionAttributeValues": {":g": {"S": "pop"}}}),
    ("BatchWriteItem", {"RequestItems": {
        "Music": [{"PutRequest": {"Item": KEY | {"Artist": {"S": "b"}}}}, {"DeleteRequest": {"Key": KEY | {
            "Artist": {"S": "c"}}}}], "Plain": [{"PutRequest": {"Item": KEY | {"n": {"N": "3"}}}}]}}),
    ("BatchGetItem", {"RequestItems": {"Music": {"Keys": [KEY], "ProjectionExpression": "n"}}}),
    ("TransactWriteItems", {"TransactItems": [
        {"Put": {"TableName": "Music", "Item": KEY | {"Artist": {"S": "d"}}}},
        {"Update": {"TableName": "Plain", "Key": KEY, "UpdateExpression": "SET n = :n",
                    "ExpressionAttributeValues": {":n": {"N": "9"}}}},
        {"Delete": {"TableName": "Plain", "Key": KEY | {"Artist": {"S": "nobody"}}}},
        {"ConditionCheck": {"TableName": "Music", "Key": KEY, "ConditionExpression": "attribute_exists(Artist)"}}],
        "ClientRequestToken": "token"}),
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Music", "Key": KEY}}]}),
    ("ExecuteStatement", {"Statement": 'SELECT * FROM "Music" WHERE Artist = ?', "Parameters": [{"S": "a"}]}),
    ("ExecuteStatement", {"Statement": f"INSERT INTO \"Music\" VALUE {{{SQL}}}"}),
    ("ExecuteStatement", {"Statement": f'UPDATE "Plain" SET n = ? {WHERE}', "Parameters": [{"N": "4"}]}),
    ("ExecuteStatement", {"Statement": f'DELETE FROM "Music" {WHERE}x'}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": f'UPDATE "Music" SET n = 5 {WHERE}'}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": f'UPDATE "Plain" SET n = 6 {WHERE}'}]}),
    ("CreateTable", MUSIC | {"TableName": "Made", "Tags": [{"Key": "k", "Value": "v"}]}),
    ("UpdateTable", {"TableName": "Spare", "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2},
                     "AttributeDefinitions": [{"AttributeName": "genre", "AttributeType": "S"}],
                     "GlobalSecondaryIndexUpdates": [{"Create": {
                         "IndexName": "i", "KeySchema": [{"AttributeName": "genre", "KeyType": "HASH"}],
                         "Projection": {"ProjectionType": "ALL"}}}]}),
    ("UpdateTable", {"TableName": "Spare", "StreamSpecification": {"StreamEnabled": False}}),
    ("DeleteTable", {"TableName": "Absent"}),
    ("DescribeTable", {"TableName": "Music"}),
    ("ListTables", {"Limit": 1, "ExclusiveStartTableName": "A"}),
    ("UpdateTimeToLive", {"TableName": "Spare", "TimeToLiveSpecification": {
        "Enabled": True, "AttributeName": "until"}}),
    ("DescribeTimeToLive", {"TableName": "Spare"}),
    ("TagResource", {"ResourceArn": f"arn:aws:dynamodb:{SINGAPORE}:{ACCOUNT}:table/Spare",
                     "Tags": [{"Key": "k", "Value": "v"}]}),
    ("CreateGlobalTable", {"GlobalTableName": "Spare", "ReplicationGroup": [{"RegionName": SINGAPORE}]}),
    ("UpdateGlobalTable", {"GlobalTableName": "Music", "ReplicaUpdates": [
        {"Create": {"RegionName": "eu-west-1"}}, {"Delete": {"RegionName": "sa-east-1"}}]}),
    ("DescribeGlobalTable", {"GlobalTableName": "Music"}),
    ("ListGlobalTables", {"RegionName": SINGAPORE, "Limit": 3, "ExclusiveStartGlobalTableName": "A"}),
    ("ListStreams", {"TableName": "Music", "Limit": 1}),
    ("DescribeStream", {"StreamArn": "ARN", "Limit": 1, "ExclusiveStartShardId": "shardId-1"}),
    ("GetShardIterator", {"StreamArn": "ARN", "ShardId": "SHARD", "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                          "SequenceNumber": "1000000000000000000001"}),
    ("GetRecords", {"ShardIterator": "ITERATOR", "Limit": 2}),
]

DRAWN: list = [
    None, True, 0, -1, 10**30, 0.5, "", "x", "Absent", "a" * 300, "é\x00'\"", "1e999", "SET", ":n", "#x", [], {},
    [None], [{}], [[]], ["x", "x"], [1], {"": ""}, {"x": None}, {"S": "x"}, {"S": ""}, {"S": 1}, {"N": "NaN"},
    {"N": ""}, {"N": "1x"}, {"N": "1\n"},
    {"N": "1e200"}, {"N": "0" * 50 + "1"}, {"B": "!"}, {"SS": []}, {"SS": ["x", "x"]}, {"NS": ["1", "1.0"]},
    {"L": [{}]}, {"M": {"": {"S": "x"}}},
    {"NULL": False}, {"BOOL": "true"}, {"X": "x"}, {"S": "x", "N": "1"}, {"L": [{"L": [{}]}]},
]
VALUES = st.sampled_from(DRAWN)


def places(value: object, at: tuple = ()):
    """Every place inside a request, as the path that leads there."""
    for name in (value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()):
        yield (*at, name)
        yield from places(value[name], (*at, name))
