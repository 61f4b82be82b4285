"""Ours and other implementations of DynamoDB answer the same random calls. Every difference is explained by a rule, and
each rule has its source."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import dynalite
import peer
import pytest
from differential import TABLES, Calls, drop_tables, make_tables
from engines import REGION, Database
from support import SOAK, Progress, seed

from gtlab.localcloud import engine
from gtlab.localcloud.engine import ahead
from gtlab.localcloud.engine.values import number
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests

CALLS = 200_000 if SOAK else 2_000
READS = ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems")
FOLDER = Path(__file__).parent.parent / "out" / "dynalite"


class Outcome(NamedTuple):
    """What a call led to: an answer, or (None) a refusal by its code and text."""

    answer: Any
    code: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.answer is None else json.dumps(self.answer)[:2000]


class Difference(NamedTuple):
    """Two outcomes of a call that are not the same."""

    operation: str
    data: dict
    ours: Outcome
    theirs: Outcome

    def __str__(self) -> str:
        return f"{self.operation} {json.dumps(self.data)}\nours: {self.ours}\ntheirs: {self.theirs}"


class Rule(NamedTuple):
    """A class of differences in which ours is right, and why."""

    source: str
    fits: Callable[[Difference], object]


class Ours(Database):
    """As the server calls the engine: a body is parsed and checked against the model of the API first."""

    def answer(self, operation: str, body: bytes) -> dict:
        return json.loads(engine.call(self.kept, requests.parse(self._headers(operation), body), self.now))

    def _headers(self, operation: str) -> dict[str, str]:
        return {"x-amz-target": f"DynamoDB_20120810.{operation}", "authorization":
                f"Credential={self.account}/20270101/{REGION}/dynamodb/aws4_request, SignedHeaders=host"}

    def __call__(self, operation: str, **data) -> dict:
        return self.answer(operation, json.dumps(data).encode())


class InPieces(Ours):
    """As the server calls the engine with a large body and large items: decoded in pieces, prepared ahead, and tried
    on copies."""

    def answer(self, operation: str, body: bytes) -> dict:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(requests, "LARGE", 20)
            asked = requests.parse(self._headers(operation), body)
            call = ahead.prepared(asked)
            if trial := ahead.trial(self.kept, call, is_long=True):
                call = ahead.tried(trial, call)
        try:
            engine.named(self.kept, call)
            return json.loads(engine.call(self.kept, call, self.now))
        finally:
            ahead.forget(asked, call)


class Library(Database):
    """``ministack``, which the engine used before."""

    def answer(self, operation: str, body: bytes) -> dict:
        return peer.send(self.account, REGION, operation, body)

    def __call__(self, operation: str, **data) -> dict:
        return self.answer(operation, json.dumps(data).encode())


def outcome(voice: Any, operation: str, body: bytes) -> Outcome:
    try:
        return Outcome(voice.answer(operation, body))
    except Refusal as refusal:
        return Outcome(None, refusal.code, refusal.message)


def is_same(ours: Outcome, theirs: Outcome, texts: bool) -> bool:
    """``texts``: whether refusals must have the same code and text."""
    if ours.answer is None or theirs.answer is None:
        return ours == theirs if texts else ours.answer is theirs.answer
    return ours == theirs or plain(ours.answer) == plain(theirs.answer)


def plain(value: Any) -> Any:
    """An answer with sets, and the items of pages and batches, in one order, with numbers in one spelling; without
    consumed capacity and empty parts."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        if name == "N" and isinstance(inner, str) and inner:
            found[name] = _number(inner)
        elif name in ("SS", "BS", "NS") and isinstance(inner, list):
            found[name] = sorted(map(_number, inner) if name == "NS" else inner, key=json.dumps)
        elif name == "Items":
            found[name] = _ordered(inner)
        elif name == "Responses" and isinstance(inner, dict):
            found[name] = {table: _ordered(items) for table, items in inner.items()}
        elif name != "ConsumedCapacity":
            found[name] = plain(inner)
    return {name: inner for name, inner in found.items() if inner or name not in ("Items", "Item", "Attributes")}


def _number(text: Any) -> Any:
    try:
        return number(text)
    except (Refusal, TypeError):  # the library keeps what is no number
        return text


def _ordered(items: list) -> list:
    return sorted(map(plain, items), key=lambda item: json.dumps(item, sort_keys=True))


def bring_in_line(ours: Any, voice: Any, tables: Collection[str], every: bool = False) -> None:
    """Give a voice the items that ours has in these tables. ``every``: also those that it seems to have."""
    try:
        _put_items(ours, voice, tables, every)
    except Refusal:  # it has kept what is no item, or lost its tables
        drop_tables(voice)
        make_tables(voice)
        _put_items(ours, voice, TABLES, every=False)


def _put_items(ours: Any, voice: Any, tables: Collection[str], every: bool) -> None:
    for table in tables:
        keys = TABLES[table].keys
        wanted = {json.dumps({name: item[name] for name in keys}): item
                  for item in ours("Scan", TableName=table)["Items"]}
        kept = voice("Scan", TableName=table)["Items"]
        has = {json.dumps({name: item.get(name) for name in keys}): item for item in kept}
        for key in has.keys() - wanted.keys():
            voice("DeleteItem", TableName=table, Key=json.loads(key))
            every = True  # it may have been the same key in another spelling
        missing = [item for key, item in wanted.items() if every or key not in has or plain(item) != plain(has[key])]
        for item in missing:
            voice("PutItem", TableName=table, Item=item)
        if (missing or len(kept) > len(has)) and voice("Scan", TableName=table)["Count"] != len(wanted):
            raise Refusal("Kept", "items that cannot be deleted by their key")


def creates_nothing(operation: str, data: dict) -> bool:
    """Whether a write may be an update that only removes. It creates no item where there is none, which others saw on
    AWS (tests/test_engine.py has the cases); the other voices create one."""
    updates = [data] if operation == "UpdateItem" else [
        action.get("Update", {}) for action in data.get("TransactItems", ()) if isinstance(action, dict)]
    return operation in ("UpdateItem", "TransactWriteItems") and any(
        re.match(r"\s*(REMOVE|DELETE)", str(each.get("UpdateExpression", ""))) or "AttributeUpdates" in each
        for each in updates if isinstance(each, dict))


def _numbers(value: Any) -> list[str]:
    """Every number in a request or an answer, as it is written."""
    return re.findall(r'"N": "([^"]*)"', json.dumps(value))


def conditions(data: dict) -> str:
    """The conditions and filters of a request as text, with the values that they use."""
    found = [data.get(name) for name in ("Expected", "QueryFilter", "ScanFilter")]
    for part in (data, *(each for action in data.get("TransactItems", ()) for each in action.values())):
        text = f"{part.get('ConditionExpression', '')} {part.get('FilterExpression', '')}"
        found += [text, *(value for name, value in part.get("ExpressionAttributeValues", {}).items() if name in text)]
    return json.dumps(found)


def compared(voice: Any, rules: dict[str, Rule], calls: Calls, progress: Progress, *, texts: bool) -> Counter[str]:
    """Let ours and another voice answer, and count the differences by their rule. Fails at one without a rule.
    ``texts``: whether refusals must have the same code and text."""
    ours, counted = Ours(), Counter[str]()
    for each in (ours, voice):
        make_tables(each)
    for done in range(CALLS):
        if not progress(done):
            break
        operation, data = calls.next()
        body = json.dumps(data)
        mine, theirs = (outcome(each, operation, body.encode()) for each in (ours, voice))
        calls.learn(operation, data, mine.answer)
        rule = None
        if is_same(mine, theirs, texts):
            counted["the same"] += 1
        else:
            difference = Difference(operation, data, mine, theirs)
            rule = next((name for name, rule in rules.items() if rule.fits(difference)), None)
            assert rule, str(difference)
            counted[rule] += 1
        if theirs.code == "Stumbled":
            bring_in_line(ours, voice, TABLES)
        elif (mine.answer is not None or (rule and theirs.answer is not None)) and (
                rule or creates_nothing(operation, data) or (not calls.is_ordinary and operation not in READS)):
            spelt = not calls.is_ordinary and any(_number(text) != text for text in _numbers(data))
            bring_in_line(ours, voice, [name for name in TABLES if name in body], every=spelt)
    assert counted["the same"] > counted.total() * 0.8, counted
    progress.say(", ".join(f"{name} {count}" for name, count in counted.most_common()))
    return counted


# Where ours refuses a call, by its text, and the source of the rule.
REFUSED = {
    "^SerializationException": "the API's model, for the type of a member; dynalite, for the text",
    "Key attributes must be scalars|Type mismatch for (Index Key|key)|Cannot update attribute":
        "dynalite: captured from the service",
    "document path provided|incorrect data type|that does not exist in the item|secondary index key|ValidationError":
        "API reference, TransactWriteItems: the validation errors of an update",
    "does not project|Select type|SPECIFIC_ATTRIBUTES|can be used only when|Consistent reads|choosing to get|"
    "starting key|can only contain non-primary key|Segment|range key predicate|outside query boundaries":
        "API reference, Query and Scan: Select, ProjectionExpression, ConsistentRead, ExclusiveStartKey",
    "Supplied AttributeValue|numeric value|significant digits|Number (over|under)flow|Nesting Levels|not be empty|"
    "duplicates|value of true|base64|empty (string|binary) value":
        "developer guide: data types; dynalite, for the text",
    "Invalid [A-Za-z]+Expression|Invalid (operator|condition)|KeyConditionExpressions|contains invalid|"
    "unused in expressions|can only be specified when using|BETWEEN":
        "developer guide: expressions; dynalite, for the text",
    "Member must|validation errors? detected|Item size|exceeded the|attribute name":
        "developer guide: quotas and limits",
    "ComparisonOperator|AttributeValueList|ConditionalOperator|Exists|DELETE action|ADD action|both expression|"
    "Condition parameter|Attempted conditional constraint|[Kk]ey [Cc]ondition|Query condition|QueryFilter":
        "API reference: legacy conditional parameters",
    "Return values|well formed|Statement|key element does not match|Missing the key|list of item keys|Transaction|"
    "only contain one of|IndexName|specified index|Requested resource": "API reference, of the operation",
}
# Where another refuses what ours carries out.
LIBRARY_REFUSES = {
    "Action ADD is only supported": "API reference, AttributeUpdates: ADD also takes lists (as dynalite's captures do)",
    "begins_with, operand type: S": "developer guide: begins_with takes strings; the library confuses the operands",
    "Duplicate primary key": "an item that only the library has created",
}
LIBRARY = {
    "refused by ours": Rule("REFUSED", lambda d: d.ours.answer is None and d.theirs.answer is not None and any(
        re.search(text, f"{d.ours.code}: {d.ours.text}") for text in REFUSED)),
    "refused by the library": Rule("LIBRARY_REFUSES", lambda d: d.theirs.answer is None and d.ours.answer is not None
                                   and any(re.search(text, d.theirs.text) for text in LIBRARY_REFUSES)),
    "Exists": Rule("API reference, Expected: Exists true and a Value compares; the library only looks whether it is "
                   "there", lambda d: "Expected" in d.data),
    "index": Rule("developer guide: an index neither returns nor filters what it does not project, and has no "
                  "item without all of its key", lambda d: d.data.get("IndexName")),
    "paths": Rule("API reference, ReturnValues: UPDATED_OLD and UPDATED_NEW return the paths that the update names",
                  lambda d: str(d.data.get("ReturnValues")).startswith("UPDATED")),
    "size": Rule("developer guide, size: of strings, binary values, sets, lists and maps; the library has one of "
                 "numbers", lambda d: "size(" in json.dumps(d.data)),
    "documents": Rule("developer guide, comparators: two lists or two maps are equal if they have the same elements; "
                      "the library takes any two of them, also a list and a map, for the same",
                      lambda d: re.search(r'{"(L|M)": ', conditions(d.data))),
    "zeros": Rule("developer guide, numbers: zeros at the ends are trimmed before the 38 digits are counted; the "
                  "library takes a key with more of them for another one, and another spelling",
                  lambda d: any(len(_number(text)) > 38 or len(text) > 38 for text in _numbers(d.data))
                  or any(_number(text) != text for text in _numbers(d.data.get("Key")))),
    "sums": Rule("developer guide, numbers: 38 digits; the library adds with 28",
                 lambda d: any(len(text) > 28 for text in _numbers(d.ours.answer))),
    "contains": Rule("API reference, CONTAINS: of strings, binary values, sets and lists; the library looks into the "
                     "text of any value", lambda d: '"CONTAINS"' in json.dumps(d.data.get("ScanFilter"))),
    "removes": Rule("an update that only removes creates no item", lambda d: creates_nothing(d.operation, d.data)),
    "crashed": Rule("an error of the library's own", lambda d: d.theirs.code == "Stumbled"),
}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_library_answers_the_same_or_there_is_a_reason(request):
    """The library has texts of its own, writes numbers as they came, and leaves empty parts out."""
    calls = Calls(Random(seed(17)))
    compared(Library(), LIBRARY, calls, Progress(request, "calls to the library", CALLS), texts=False)


def test_a_large_request_is_answered_like_any_other(request):
    """However its body is decoded, and whatever is done before it is carried out."""
    operations = ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchWriteItem", "BatchGetItem",
                  "TransactWriteItems", "TransactGetItems", "ExecuteStatement")
    calls = Calls(Random(seed(23)), operations)
    compared(InPieces(), {}, calls, Progress(request, "calls in pieces", CALLS), texts=True)


# dynalite's texts are the service's, so that two refusals must be the same. Where they are not: the texts of ours and
# of dynalite, and the source.
OTHER_TEXTS = (
    ("SPECIFIC_ATTRIBUTES|ALL_PROJECTED_ATTRIBUTES|does not project|Consistent reads|Select type|choosing to get", "",
     "API reference, Query and Scan: dynalite does not check these, and finds what else is wrong"),
    ("'tableName'|at 'requestItems'", "ableName|requestItems",
     "API reference: a table's name may be its ARN since 2024, so that its bounds are others"),
    ("typeSet: ALLOWED_FOR", "operand type", "captured by others in October 2026: the text is longer now"),
    ("action' failed to satisfy constraint: Member must satisfy enum value set", "",
     "API reference, AttributeAction: dynalite does not check it"),
    ("Empty attribute name", "",
     "developer guide, naming rules: names have at least one character; dynalite does not check AttributesToGet"),
    ("bytes for key #", "An expression attribute name used", "dynalite takes an empty name for none"),
    ("incorrect data type|does not exist in the item|document path provided",
     "incorrect data type|does not exist in the item|document path provided",
     "two faults of one update: which comes first is not documented"),
    ("Requested resource not found|Supplied AttributeValue", "length greater than or equal to 3",
     "API reference: a table's name has from 1 to 1,024 characters since 2024"),
    ("Condition parameter type", "is not valid for",
     "a key condition on a value that no key can have: which text comes first is not documented"),
    ("ConditionalOperator cannot be used", "", "API reference: dynalite does not check this in Scan"),
    ("beyond allowed size", "", "API reference, limits of keys: dynalite does not check those of indexes"),
    ("The requestItems parameter is required", "at 'requestItems' failed", "captured by others in October 2026"),
    ("at 'RequestItems", "equestItems|tableName|Attribute", "captured by others in October 2026: the keys are not "
                                                             "shown"),
    ("'requestItems.", "at 'requestItems' failed", "API reference: a table's name has from 1 to 1,024 characters"),
    ("(a{90}|x{90})(…|, valid types)", "a{200}|x{200}", "ours shows a part of a long value"),
    ("significant digits", "", "developer guide, numbers: 38 digits, of a sum too; dynalite keeps more"),
    ("Number (over|under)flow", "",
     "captured by others in October 2026: an exponent is read in full, also that of zero"),
    ("one condition per key", "one condition per key",
     "captured by others in October 2026: the text begins as others do"),
    ("number of query conditions", "number of query conditions",
     "captured by others in October 2026: the text ends with the number of key attributes"),
    ("Nesting Levels", "", "developer guide, quotas: 32 levels, which dynalite does not check"),
    ("exceeded the", "", "API reference, limits of keys: dynalite does not check those of indexes"),
    ("Unexpected field type", "ParameterizedTypeImpl", "dynalite's text is that of a defect which was fixed"),
    ("AttributeValue for a key attribute", "", "API reference: keys of indexes are not empty; dynalite looks at the "
                                               "table's"),
    ("Syntax error|Invalid [A-Za-z]+Expression", "Syntax error", "dynalite's grammar stops at another token"),
    ("Syntax error", "is not defined", "dynalite's grammar takes # and : alone for a name"),
)
DYNALITE = {
    "other text": Rule("OTHER_TEXTS", lambda d: d.ours.answer is None and d.theirs.answer is None and any(
        re.search(ours, d.ours.text) and re.search(theirs, d.theirs.text) for ours, theirs, _ in OTHER_TEXTS)),
    "not checked": Rule("OTHER_TEXTS", lambda d: d.ours.answer is None and d.theirs.answer is not None and any(
        re.search(ours, d.ours.text) for ours, theirs, _ in OTHER_TEXTS if not theirs)),
    "operand": Rule("captured by others: an operand whose type a comparison cannot have is refused",
                    lambda d: "Incorrect operand type" in d.ours.text),
    "converted": Rule("docs/local-cloud.md, guesses: a decimal for an integer and a text for a boolean are refused",
                      lambda d: d.ours.code == "SerializationException" and d.theirs.code != "SerializationException"),
    "false": Rule("developer guide, comparators and functions: false and an empty string are values; dynalite takes "
                  "them for nothing", lambda d: re.search(r'{"(BOOL": false|S": "")}', conditions(d.data) + json.dumps(
                      [d.ours.answer, d.theirs.answer]))),
    "type of nothing": Rule("the same, where the type of an attribute is asked that the answer does not show",
                            lambda d: "attribute_type" in json.dumps(d.data)
                            and re.search(r'{"S": "(S|BOOL)"}', json.dumps(d.data))),
    "documents": Rule("developer guide, comparators: two lists or two maps are equal if they have the same elements; "
                      "in dynalite no two are", lambda d: re.search(r'{"(L|M)": ', conditions(d.data))),
    "Exists": LIBRARY["Exists"], "removes": LIBRARY["removes"],
    "NOT NOT": Rule("developer guide, the grammar of conditions: NOT condition", lambda d: "NOT NOT" in json.dumps(
        d.data) and "Syntax error" in d.theirs.text),
    "size": Rule("docs/local-cloud.md, guesses: the length of a text is that of its UTF-8; dynalite counts characters",
                 lambda d: "size(" in json.dumps(d.data)),
    "order": Rule("developer guide: items of a global index with the same key have no order",
                  lambda d: d.data.get("IndexName") in ("Glob", "Some") and "Limit" in d.data),
    "fetched": Rule("developer guide: a local index fetches from the table what it does not project; dynalite does not",
                    lambda d: d.data.get("IndexName") == "Local"),
    "crashed": Rule("dynalite ended", lambda d: d.theirs.code == "Stumbled"),
}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not SOAK, reason="dynalite is a voice of `make soak` only")
def test_dynalite_answers_the_same_in_the_same_words_or_there_is_a_reason(request):
    reason = dynalite.missing(FOLDER)
    if reason:
        pytest.skip(reason)

    calls = Calls(Random(seed(19)), dynalite.OPERATIONS)
    with dynalite.running(FOLDER) as voice:
        compared(voice, DYNALITE, calls, Progress(request, "calls to dynalite", CALLS), texts=True)
