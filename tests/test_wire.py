"""The door of the DynamoDB API over raw HTTP: whatever comes in, the answer is the service's, and never a 5xx."""

from __future__ import annotations

import copy
import http.client
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_requests import ACCOUNT, KEY, VALID, VALUES, places
from support import SINGAPORE, VIRGINIA, wait_until

from gtlab.course.stages import MUSIC
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests

pytestmark = pytest.mark.server

STREAMS = ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")
STUMBLE = "cannot carry out"  # what gtlab says where the engine failed on something: safe, but no good answer


class Door:
    """One kept-open connection to the local cloud, on which anything can be said."""

    def __init__(self, cloud):
        self.connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)

    def say(self, operation: str, body: object = None, region: str = SINGAPORE, **headers: str | None):
        """Status and answer. A header that is None is left out; ``body`` is sent as it is if it is bytes."""
        service = "DynamoDBStreams" if operation in STREAMS else "DynamoDB"
        sent = {"X-Amz-Target": f"{service}_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{region}/dynamodb/aws4_request, "
                                 "SignedHeaders=host, Signature=0"} | {
            name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.connection.request("POST", "/", content, {name: value for name, value in sent.items()
                                                       if value is not None})
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def ok(self, operation: str, body: object = None, **named):
        status, answer = self.say(operation, body, **named)
        assert status == 200, answer
        return answer

    def state(self) -> object:
        """All that a refused call could have changed in Singapore."""
        names = self.ok("ListTables")["TableNames"]
        return (names, self.ok("ListGlobalTables")["GlobalTables"],
                [(name, self.ok("DescribeTable", {"TableName": name})["Table"].get("StreamSpecification"))
                 for name in names],
                sorted(json.dumps(item, sort_keys=True) for name in ("Music", "Plain")
                       for item in self.ok("Scan", {"TableName": name})["Items"]))


@pytest.fixture(scope="module")
def door(cloud):
    """A door to an account that has: global table Music of two Regions, table Plain with an index, an item each."""
    door = Door(cloud)
    index = {"IndexName": "by_genre", "KeySchema": [{"AttributeName": "genre", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"},
             "ProvisionedThroughput": MUSIC["ProvisionedThroughput"]}
    if not door.ok("ListTables")["TableNames"]:  # set up again where tests of others came in between
        door.ok("CreateTable", MUSIC)
        door.ok("CreateTable", MUSIC, region=VIRGINIA)
        door.ok("CreateTable", MUSIC | {"TableName": "Spare"})
        door.ok("CreateTable", MUSIC | {
            "TableName": "Plain", "GlobalSecondaryIndexes": [index], "StreamSpecification": {"StreamEnabled": False},
            "AttributeDefinitions": [*MUSIC["AttributeDefinitions"], {"AttributeName": "genre", "AttributeType": "S"}]})
        door.ok("CreateGlobalTable", {"GlobalTableName": "Music", "ReplicationGroup": [
            {"RegionName": SINGAPORE}, {"RegionName": VIRGINIA}]})
    for name in ("Music", "Plain", "Spare"):
        wait_until(lambda name=name: door.ok("DescribeTable", {"TableName": name})["Table"]["TableStatus"] == "ACTIVE",
                   f"{name} to be ACTIVE")
    for name in ("Music", "Plain"):
        door.ok("PutItem", {"TableName": name, "Item": KEY | {"n": {"N": "1"}}})
    return door


@pytest.fixture
def unchanged(door):
    """The calls of the test change nothing, and the connection and the cloud are as good as before."""
    before = door.state()
    yield door
    assert door.state() == before


def refused(door: Door, code: str, text: str, operation: str, body: object = None, **named) -> None:
    status, answer = door.say(operation, body, **named)
    assert (status, answer["__type"].rpartition("#")[2]) == (400, code), answer
    assert text in answer["message"] and STUMBLE not in answer["message"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"nonsense", b'{"TableName": "Music", "Item": }', b"\xff\xfe", b"[]", b'"text"', b"17", b"null",
    b'{"TableName": "Music", "Item": {"Artist": {"S": "a"}, "SongTitle": {"S": "t"}}, "Ignored": NaN}',
    b'{"TableName": "Music", "Item": {"n": {"N": Infinity}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"S": "\\ud800"}, "SongTitle": {"S": "t"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"S": "a"}, "SongTitle": {"S": "t"}, "\\udfff": {"S": "t"}}}',
    b"[" * 100_000, b'{"a":' * 100_000, b'{"TableName": "Music"}', b'{"TableName": null, "Item": null}',
    b'{"TableName": "Music", "Item": {"Artist": null, "SongTitle": {"S": "t"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"S": "a"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {}, "SongTitle": {"S": "t"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"S": "a", "N": "1"}, "SongTitle": {"S": "t"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"N": "1"}, "SongTitle": {"S": "t"}}}',
    b'{"TableName": "Music", "Item": {"Artist": {"S": ""}, "SongTitle": {"S": "t"}}}',
], ids=lambda body: body[:60].decode("latin-1"))
def test_bodies_that_are_no_put(unchanged, body):
    status, answer = unchanged.say("PutItem", body)
    assert status == 400 and answer["message"] and STUMBLE not in answer["message"]
    assert answer["__type"].rpartition("#")[2] in ("SerializationException", "ValidationException")


@pytest.mark.parametrize("name", ["TableName", "Item", "ConditionExpression", "ExpressionAttributeValues",
                                  "ReturnValues", "Expected"])
@pytest.mark.parametrize("value", [17, True, 1.5, "text", [], {}, [[]], {"a": 1}], ids=repr)
def test_values_of_the_wrong_type(unchanged, name, value):
    status, answer = unchanged.say("PutItem", {"TableName": "Music", "Item": {}} | {name: value})
    assert status == 400 and answer["message"] and answer["__type"] and STUMBLE not in answer["message"]


def nested(levels: int) -> dict:
    """A value of so many levels, the innermost included."""
    value: dict = {"N": "1"}
    for level in range(levels - 1):
        value = {"M": {"a": value}} if level % 2 else {"L": [value]}
    return value


@pytest.mark.parametrize(("operation", "body", "text"), [
    ("GetItem", {"TableName": 1}, "NUMBER_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": True}, "TRUE_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": {}}, "Start of structure or map found where not expected"),
    ("GetItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
    ("GetItem", {"Key": "a"}, "Unexpected field type"),
    ("GetItem", {"Key": []}, "Unrecognized collection type java.util.Map<java.lang.String, "
                             "com.amazonaws.dynamodb.v20120810.AttributeValue>"),
    ("GetItem", {"Key": {"a": "b"}}, "Unexpected value type in payload"),
    ("GetItem", {"Key": {"a": []}}, "Unrecognized collection type class "
                                    "com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("GetItem", {"Key": {"a": {"B": 1}}}, "only base-64-encoded strings are convertible to bytes"),
    ("GetItem", {"AttributesToGet": "a"}, "Unexpected field type"),
    ("GetItem", {"AttributesToGet": {}}, "Start of structure or map found where not expected"),
    ("GetItem", {"ConsistentRead": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
    ("GetItem", {"ConsistentRead": "maybe"}, "Unexpected token received from parser"),
    ("Scan", {"Limit": "1"}, "STRING_VALUE cannot be converted to Integer"),
    ("CreateTable", {"ProvisionedThroughput": {"ReadCapacityUnits": "1", "WriteCapacityUnits": 1}},
     "STRING_VALUE cannot be converted to Long"),
])
def test_the_services_words_for_values_of_the_wrong_type(operation, body, text):
    with pytest.raises(Refusal) as refused:
        requests.check_input("dynamodb", operation, {"TableName": "Music", "Key": KEY} | body)
    assert (refused.value.code, refused.value.message) == ("SerializationException", text)


@pytest.mark.parametrize(("operation", "body", "most", "type_"), [
    ("Scan", '{"TableName": "Music", "Limit": %d}', 2**31 - 1, "Integer"),
    ("CreateTable", '{"TableName": "Music", "WarmThroughput": {"ReadUnitsPerSecond": %d}}', 2**63 - 1, "Long"),
])
def test_a_number_that_its_type_cannot_hold_is_refused(operation, body, most, type_):
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "authorization":
               "Credential=111111111111/20270101/us-east-1/dynamodb/aws4_request"}
    for number in (most, -most - 1):
        assert requests.parse(headers, (body % number).encode()).input == json.loads(body % number)
    for number in (most + 1, -most - 2, 10**30):
        with pytest.raises(Refusal) as refused:
            requests.parse(headers, (body % number).encode())
        assert (refused.value.code, refused.value.message) == (
            "SerializationException", f"NUMBER_VALUE cannot be converted to {type_}")


def test_an_item_of_32_levels_is_taken(door):
    key = KEY | {"SongTitle": {"S": "deep"}}
    item = key | {"deep": nested(32), "wide": {"L": [{"SS": ["x"]}]}}
    for operation, body in (("PutItem", {"TableName": "Plain", "Item": item}),
                            ("BatchWriteItem", {"RequestItems": {"Plain": [{"PutRequest": {"Item": item}}]}}),
                            ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Plain", "Item": item}}]})):
        door.ok(operation, body)
        assert door.ok("GetItem", {"TableName": "Plain", "Key": key})["Item"] == item
        door.ok("DeleteItem", {"TableName": "Plain", "Key": key})


@pytest.mark.parametrize("levels", [34, 40, 200])
def test_an_item_nested_too_deep_is_refused(unchanged, levels):
    refused(unchanged, "ValidationException", "Nesting Levels", "PutItem",
            {"TableName": "Music", "Item": KEY | {"deep": nested(levels)}})


_NESTED, _NO_NAME = "Nesting Levels have exceeded supported limits", "Empty attribute name"
_ABSENT = {"TableName": "Absent"}
_BAD = {"N": "abc"}


def put(**attributes: dict) -> dict:
    return {"Put": _ABSENT | {"Item": {"a": {"S": "a"}} | attributes}}


@pytest.mark.parametrize(("first", "second", "text"), [
    (put(deep=nested(40)), put(**{"": {"S": "x"}}), _NESTED),
    (put(**{"": {"S": "x"}}), put(deep=nested(100)), _NO_NAME),
    (put(**{"": {"S": "x"}}, deep=nested(100)), put(), _NO_NAME),
    (put(**{"": {"S": "x"}}), {"ConditionCheck": _ABSENT | {
        "Key": KEY, "ConditionExpression": "d = :d", "ExpressionAttributeValues": {":d": nested(100)}}}, _NO_NAME),
    ({"ConditionCheck": _ABSENT | {"Key": KEY, "ConditionExpression": "d = :d", "ExpressionAttributeValues": {
        ":d": nested(40)}}}, put(**{"": {"S": "x"}}), f"ExpressionAttributeValues contains invalid value: {_NESTED}"),
    ({"Delete": _ABSENT | {"Key": {"a": nested(40)}}}, {"Put": put()["Put"] | {"ConditionExpression": "a = = b"}},
     _NESTED),
    ({"Put": put()["Put"] | {"ConditionExpression": "a = = b"}}, {"Delete": _ABSENT | {"Key": {"a": nested(100)}}},
     "Invalid ConditionExpression: Syntax error"),
    ({"Delete": _ABSENT | {"Key": {"a": nested(100)}, "ConditionExpression": "a = = b"}}, put(),
     "Invalid ConditionExpression: Syntax error"),
    (put(**{"": {"S": "x"}}), put(n=_BAD), _NO_NAME), (put(n=_BAD), put(**{"": {"S": "x"}}), "The parameter cannot be"),
])
def test_a_transaction_is_refused_for_its_first_malformed_action(unchanged, first, second, text):
    status, answer = unchanged.say("TransactWriteItems", {"TransactItems": [first, second]})
    assert status == 400 and answer["message"].startswith(text)


@pytest.mark.parametrize("value", [nested(40), nested(100), _BAD])
@pytest.mark.parametrize(("operation", "body"), [
    *((operation, lambda value: _ABSENT | {"Key": {"a": value}})
      for operation in ("GetItem", "DeleteItem", "UpdateItem")),
    ("PutItem", lambda value: _ABSENT | {"Item": {"a": value}}),
    ("Scan", lambda value: _ABSENT | {"ExclusiveStartKey": {"a": value}}),
    ("BatchGetItem", lambda value: {"RequestItems": {"Absent": {"Keys": [{"a": value}]}}}),
    ("BatchWriteItem", lambda value: {"RequestItems": {"Absent": [{"PutRequest": {"Item": {"a": value}}}]}}),
    ("BatchWriteItem", lambda value: {"RequestItems": {"Absent": [{"DeleteRequest": {"Key": {"a": value}}}]}}),
    ("TransactGetItems", lambda value: {"TransactItems": [{"Get": _ABSENT | {"Key": {"a": value}}}]}),
])
def test_malformed_values_come_before_a_table_that_is_not_there(unchanged, operation, body, value):
    status, answer = unchanged.say(operation, body(value))
    assert (status, answer["__type"].rpartition("#")[2]) == (400, "ValidationException")


@pytest.mark.parametrize("value", [nested(40), nested(100), _BAD, {"NS": ["1", "abc"]}, {}])
def test_a_malformed_parameter_refuses_its_own_statement_of_a_batch(unchanged, value):
    good = {"Statement": 'SELECT * FROM "Plain" WHERE Artist = \'a\' AND SongTitle = ?', "Parameters": [{"S": "a"}]}
    bad = good | {"Parameters": [value]}
    answers = unchanged.ok("BatchExecuteStatement", {"Statements": [good, bad]})["Responses"]
    assert "Error" not in answers[0] and answers[1]["Error"]["Code"] == "ValidationError"
    refused(unchanged, "SerializationException", "Base64", "BatchExecuteStatement", {  # what cannot be read at all
        "Statements": [good, good | {"Parameters": [{"B": "!"}]}]})


def test_choices_come_before_the_values_that_are_nested_too_deep(unchanged):
    refused(unchanged, "ValidationException", "Value 'BOGUS' at 'returnValues' failed to satisfy constraint",
            "DeleteItem", _ABSENT | {"Key": {"a": nested(100)}, "ReturnValues": "BOGUS"})


@pytest.mark.parametrize("target", ["DynamoDB_20120810.Fly", "DynamoDB_20120810", "Nothing.PutItem", "", None,
                                    "DynamoDBStreams_20120810.PutItem"])
def test_unknown_operations(unchanged, target):
    refused(unchanged, "UnknownOperationException", "", "-", {}, X_Amz_Target=target)


def test_an_operation_that_gtlab_lacks_says_so(unchanged):
    refused(unchanged, "UnknownOperationException", "gtlab's local cloud does not have",
            "SearchVectors", {"TableName": "Music", "IndexName": "i", "SearchVector": [{"N": "1"}], "TopK": 1})


@pytest.mark.parametrize(("authorization", "code"), [
    (None, "MissingAuthenticationTokenException"), ("", "MissingAuthenticationTokenException"),
    ("garbled", "IncompleteSignatureException"), ("AWS4-HMAC-SHA256 Credential=a/b/c", "IncompleteSignatureException"),
    ("AWS4-HMAC-SHA256 Credential=x/20260101/mars-north-1/dynamodb/aws4_request", "InvalidSignatureException"),
])
def test_who_does_not_say_who_and_where_is_refused(unchanged, authorization, code):
    refused(unchanged, code, "", "PutItem", {"TableName": "Music", "Item": KEY}, Authorization=authorization)


def test_an_unknown_caller_region_is_refused(unchanged):
    refused(unchanged, "ValidationException", "mars-north-1", "PutItem", {"TableName": "Music", "Item": KEY},
            X_Gtlab_Caller="mars-north-1")


def test_a_body_that_is_too_large_is_refused(unchanged, cloud):
    other = Door(cloud)  # the server may close a connection on which too much is coming
    status, answer = other.say("PutItem", b" " * (17 << 20) + json.dumps({"TableName": "Music", "Item": KEY}).encode())
    assert status in (400, 413) and answer["message"] and answer["__type"]
    refused(unchanged, "ValidationException", "size", "PutItem",
            {"TableName": "Music", "Item": KEY | {"n": {"S": "x" * 500_000}}})


@pytest.mark.parametrize("host", ["example.com", "example.com:80", "127.0.0.1.example.com", "169.254.169.254"])
def test_a_foreign_host_is_refused(unchanged, host):
    """What a web page could have a browser send by rebinding a name to 127.0.0.1."""
    status, answer = unchanged.say("PutItem", {"TableName": "Music", "Item": KEY}, Host=host)
    assert status == 403 and answer["message"]


def test_a_kept_open_connection_is_answered_at_once(door):
    """In two pieces and without TCP_NODELAY, each answer would take 40 ms more (Nagle's algorithm against delayed
    acknowledgements)."""
    def took_s() -> float:
        began = time.perf_counter()
        door.ok("GetItem", {"TableName": "Music", "Key": KEY})
        return time.perf_counter() - began

    wait_until(lambda: took_s() < 0.03, "an answer that is not held up")  # a busy machine holds up many, but not all


def test_health_is_told_to_a_plain_get(door):
    door.connection.request("GET", "/")
    response = door.connection.getresponse()
    assert response.status == 200 and b"healthy" in response.read()


@pytest.mark.parametrize(("kind", "action"), [
    ("Put", {"Item": {"SongTitle": {"S": "t"}}}), ("Put", {"Item": {}}),
    ("Put", {"Item": {"Artist": {"N": "1"}, "SongTitle": {"S": "t"}}}),
    ("Update", {"Key": {"Artist": {"S": "a"}}, "UpdateExpression": "SET n = :n",
                "ExpressionAttributeValues": {":n": {"N": "1"}}}),
    ("Delete", {"Key": {"Artist": {"S": "a"}}}),
])
@pytest.mark.parametrize("table", ["Music", "Plain"])
def test_a_transaction_without_the_key_is_refused_whole(unchanged, kind, action, table):
    put = {"Put": {"TableName": table, "Item": {"Artist": {"S": "new"}, "SongTitle": {"S": "new"}}}}
    refused(unchanged, "TransactionCanceledException", "[None, ValidationError]", "TransactWriteItems",
            {"TransactItems": [put, {kind: {"TableName": table, **action}}]})


@pytest.mark.parametrize("action", [{}, {"Put": {"TableName": "Music", "Item": KEY},
                                         "Delete": {"TableName": "Music", "Key": KEY}}])
def test_a_transaction_of_what_is_no_action_is_refused(unchanged, action):
    refused(unchanged, "ValidationException", "only contain one of", "TransactWriteItems", {"TransactItems": [action]})


@pytest.mark.parametrize("bad", [{"Item": {"SongTitle": {"S": "t"}}}, {"Item": {}}])
@pytest.mark.parametrize("table", ["Music", "Plain"])
def test_a_batch_with_a_bad_item_is_refused_whole(unchanged, table, bad):
    good = {"Item": {"Artist": {"S": "new"}, "SongTitle": {"S": "new"}}}
    refused(unchanged, "ValidationException", "key", "BatchWriteItem",
            {"RequestItems": {table: [{"PutRequest": good}, {"PutRequest": bad}]}})


@pytest.mark.parametrize(("operation", "body"), [
    ("BatchExecuteStatement", {"Statements": []}), ("ExecuteTransaction", {"TransactStatements": []}),
    ("TransactWriteItems", {"TransactItems": []}), ("TransactGetItems", {"TransactItems": []}),
    ("BatchWriteItem", {"RequestItems": {}}), ("BatchGetItem", {"RequestItems": {}}),
])
def test_nothing_to_do_is_refused(unchanged, operation, body):
    refused(unchanged, "ValidationException", "", operation, body)


# --- mutated requests ---

@st.composite
def mutated(draw):
    operation, body = draw(st.sampled_from(VALID))
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(places(body))
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        parent = body
        for name in way:
            parent = parent[name]
        change = draw(st.sampled_from(["drop", "replace", "replace", "as list", "as map", "twice"]))
        if change == "drop":
            del parent[last]
        elif change == "replace":
            parent[last] = copy.deepcopy(draw(VALUES))
        elif change == "as list":
            parent[last] = [parent[last]]
        elif change == "as map":
            parent[last] = {"M": parent[last]}
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
    return operation, body


@settings(max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(request=mutated())
def test_no_mutated_request_is_answered_by_a_5xx_or_changes_anything_when_refused(door, request):
    operation, body = request
    if operation in STREAMS:
        arn = door.ok("ListStreams", {"TableName": "Music"})["Streams"][0]["StreamArn"]
        shard = door.ok("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = door.ok("GetShardIterator", {"StreamArn": arn, "ShardId": shard,
                                                "ShardIteratorType": "TRIM_HORIZON"})["ShardIterator"]
        real = {"ARN": arn, "SHARD": shard, "ITERATOR": iterator}
        body = {name: real.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    before = door.state()
    status, answer = door.say(operation, body)
    assert status in (200, 400), answer
    assert isinstance(answer, dict)
    if status == 400:
        assert answer["__type"] and isinstance(answer["message"], str)
        assert door.state() == before


@settings(max_examples=350, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(request=mutated())
def test_what_is_read_quickly_is_read_as_it_is_thoroughly(request):
    operation, body = request
    service, content = "dynamodbstreams" if operation in STREAMS else "dynamodb", json.dumps(body).encode()
    try:
        quick = requests._decoder(service, operation).decode(content)
    except ValueError:
        return  # it is looked at thoroughly then
    thorough = json.loads(content)
    requests.check_input(service, operation, thorough)
    assert json.dumps(quick, sort_keys=True) == json.dumps(thorough, sort_keys=True)


@pytest.mark.parametrize(("levels", "is_quick"), [(1, True), (32, True), (40, False)])
def test_documents_as_deep_as_an_item_can_have_are_read_quickly(monkeypatch, levels, is_quick):
    value = {"S": "x"}
    for level in range(levels):
        value = {"L": [value]} if level % 2 else {"M": {"a": value}}
    data = {"RequestItems": {"Tab": [{"PutRequest": {"Item": {"p": value}}}]}}
    checked, check = [], requests.check_input
    monkeypatch.setattr(requests, "check_input", lambda *given: checked.append(given) or check(*given))
    signed = ("AWS4-HMAC-SHA256 Credential=gtlab/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, "
              "Signature=0")
    call = requests.parse({"authorization": signed, "x-amz-target": "DynamoDB_20120810.BatchWriteItem"},
                          json.dumps(data).encode())
    assert call.input == data and bool(checked) != is_quick
