"""Ours and other implementations of DynamoDB answer the same random calls. Every difference is explained by a rule, and
each rule has its source."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import dynalite
import peer
import pytest
from differential import TABLES, Calls, drop_tables, make_tables
from engines import REGION, Database
from support import SOAK, Progress, seed

from gtlab.localcloud.engine.values import number
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests

CALLS = 200_000 if SOAK else 2_000
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
    """As the server calls the engine: inputs are checked against the model of the API first."""

    def __call__(self, operation: str, **data) -> dict:
        data = copy.deepcopy(data)
        requests.check_input("dynamodb", operation, data)
        return super().__call__(operation, **data)


class Library(Database):
    """``ministack``, which the engine used before."""

    def __call__(self, operation: str, **data) -> dict:
        return peer.call(self.account, REGION, operation, copy.deepcopy(data))


def outcome(voice: Any, operation: str, data: dict) -> Outcome:
    try:
        return Outcome(plain(voice(operation, **data)))
    except Refusal as refusal:
        return Outcome(None, refusal.code, refusal.message)


def plain(value: Any) -> Any:
    """An answer with sets, and the items of pages and batches, in one order; without consumed capacity."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: sorted(inner) if name in ("SS", "NS", "BS") and isinstance(inner, list) else plain(inner)
             for name, inner in value.items() if name != "ConsumedCapacity"}
    if "Items" in found:
        found["Items"] = _ordered(found["Items"])
    if isinstance(found.get("Responses"), dict):
        found["Responses"] = {table: _ordered(items) for table, items in found["Responses"].items()}
    return found


def _ordered(items: list) -> list:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def bring_in_line(ours: Any, voice: Any) -> None:
    """Give a voice the items that ours has."""
    try:
        _put_items(ours, voice)
    except Refusal:  # it has kept what is no item, or lost its tables
        drop_tables(voice)
        make_tables(voice)
        _put_items(ours, voice)


def _put_items(ours: Any, voice: Any) -> None:
    for table, (keys, _) in TABLES.items():
        wanted = {json.dumps({name: item[name] for name in keys}): item
                  for item in ours("Scan", TableName=table)["Items"]}
        for item in voice("Scan", TableName=table)["Items"]:
            key = {name: item.get(name) for name in keys}
            if json.dumps(key) not in wanted:
                voice("DeleteItem", TableName=table, Key=key)
        for item in wanted.values():
            voice("PutItem", TableName=table, Item=item)
        if voice("Scan", TableName=table)["Count"] != len(wanted):
            raise Refusal("Kept", "items that cannot be deleted by their key")


def creates_nothing(operation: str, data: dict) -> bool:
    """Whether a write may be an update that only removes. It creates no item where there is none, which others saw on
    AWS (tests/test_engine.py has the cases); the other voices create one."""
    updates = [data] if operation == "UpdateItem" else [
        action.get("Update", {}) for action in data.get("TransactItems", ()) if isinstance(action, dict)]
    return operation in ("UpdateItem", "TransactWriteItems") and any(
        re.match(r"\s*(REMOVE|DELETE)", str(each.get("UpdateExpression", ""))) or "AttributeUpdates" in each
        for each in updates if isinstance(each, dict))


def compared(voice: Any, is_same: Callable[[Difference], bool], rules: dict[str, Rule], calls: Calls,
             progress: Progress) -> Counter[str]:
    """Let ours and another voice answer, and count the differences by their rule. Fails at one without a rule."""
    ours, counted = Ours(), Counter[str]()
    for each in (ours, voice):
        make_tables(each)
    for done in range(CALLS):
        operation, data = calls.next()
        mine, theirs = (outcome(each, operation, data) for each in (ours, voice))
        calls.learn(operation, data, mine.answer)
        if not progress(done):
            break
        difference = Difference(operation, data, mine, theirs)
        if mine.answer is not None and (creates_nothing(operation, data) or not calls.is_ordinary):
            bring_in_line(ours, voice)  # some keep spellings of a number as different keys
        if mine == theirs or is_same(difference):
            counted["the same"] += 1
            continue
        rule = next((name for name, rule in rules.items() if rule.fits(difference)), None)
        assert rule, str(difference)
        counted[rule] += 1
        if mine.answer is not None or theirs.answer is not None or theirs.code == "Stumbled":
            bring_in_line(ours, voice)
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
    "Invalid [A-Za-z]+Expression|contains invalid|unused in expressions|can only be specified when using|BETWEEN":
        "developer guide: expressions; dynalite, for the text",
    "Member must|validation errors? detected|Item size|exceeded the|attribute name":
        "developer guide: quotas and limits",
    "ComparisonOperator|AttributeValueList|ConditionalOperator|Exists|DELETE action|ADD action|both expression|"
    "Condition parameter|Attempted conditional constraint|[Kk]ey [Cc]ondition|QueryFilter":
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
                      "the library takes any two of them, also a list and a map, for the same", lambda d: re.search(
                          r"{\"(L|M)\": ", json.dumps(d.data))),
    "zeros": Rule("developer guide, numbers: zeros at the ends are trimmed before the 38 digits are counted; the "
                  "library takes a key with more of them for another one", lambda d: re.search(
                      r"\"N\": \"[^\"]*[0.][^\"]{38,}\"", json.dumps(d.data))),
    "removes": Rule("an update that only removes creates no item", lambda d: creates_nothing(d.operation, d.data)),
    "crashed": Rule("an error of the library's own", lambda d: d.theirs.code == "Stumbled"),
}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_library_answers_the_same_or_there_is_a_reason(request):
    def is_same(difference: Difference) -> bool:
        """The library has texts of its own, writes numbers as they came, and leaves empty parts out."""
        ours, theirs = (_without_empty(each.answer) for each in difference[2:])
        return ours == theirs

    calls = Calls(Random(seed(17)))
    compared(Library(), is_same, LIBRARY, calls, Progress(request, "calls to the library", CALLS))


def _without_empty(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_empty(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: number(inner) if name == "N" and isinstance(inner, str) and inner else sorted(map(number, inner))
             if name == "NS" and isinstance(inner, list) else _without_empty(inner) for name, inner in value.items()}
    return {name: inner for name, inner in found.items() if inner or name not in ("Items", "Item", "Attributes")}


# dynalite's texts are the service's, so that two refusals must be the same. Where they are not: the texts of ours and
# of dynalite, and the source.
OTHER_TEXTS = (
    ("SPECIFIC_ATTRIBUTES|ALL_PROJECTED_ATTRIBUTES|does not project|Consistent reads|Select type|choosing to get", "",
     "API reference, Query and Scan: dynalite does not check these, and finds what else is wrong"),
    ("'tableName'|at 'requestItems'", "ableName|requestItems",
     "API reference: a table's name may be its ARN since 2024, so that its bounds are others"),
    ("typeSet: ALLOWED_FOR", "operand type", "captured by others in October 2026: the text is longer now"),
    ("enum value set", "", "API reference, AttributeAction: dynalite does not check it"),
    ("incorrect data type|does not exist in the item|document path provided",
     "incorrect data type|does not exist in the item|document path provided",
     "two faults of one update: which comes first is not documented"),
    ("Requested resource not found", "length greater than or equal to 3",
     "API reference: a table's name has from 1 to 1,024 characters since 2024"),
    ("Condition parameter type", "Consistent reads", "two faults of one query: which comes first is not documented"),
    ("ConditionalOperator cannot be used", "", "API reference: dynalite does not check this in Scan"),
    ("is not defined", "is not defined", "several undefined values: which is named first is not documented"),
    ("beyond allowed size", "", "API reference, limits of keys: dynalite does not check those of indexes"),
    ("'requestItems.", "at 'requestItems' failed", "API reference: a table's name has from 1 to 1,024 characters"),
    ("a{90,}…|aaaaaaaa, valid types", "a{200}", "ours shows a part of a long value"),
    ("significant digits", "", "developer guide, numbers: 38 digits, of a sum too; dynalite keeps more"),
    ("Nesting Levels", "", "developer guide, quotas: 32 levels, which dynalite does not check"),
    ("exceeded the", "", "API reference, limits of keys: dynalite does not check those of indexes"),
    ("Condition parameter type|is not valid for", "is not valid for|Condition parameter type",
     "a key condition on a value that no key can have: which text comes first is not documented"),
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
    "false": Rule("developer guide, comparators: IN compares with each operand; dynalite finds no false in a list",
                  lambda d: '{"BOOL": false}' in json.dumps(d.data) and "IN" in json.dumps(d.data)),
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

    def is_same(difference: Difference) -> bool:
        ours, theirs = difference.ours, difference.theirs
        if ours.answer is None or theirs.answer is None:
            return ours.answer is theirs.answer and ours.code == theirs.code and ours.text == theirs.text
        return _without_empty(ours.answer) == _without_empty(theirs.answer)

    calls = Calls(Random(seed(19)), dynalite.OPERATIONS)
    with dynalite.running(FOLDER) as voice:
        compared(voice, is_same, DYNALITE, calls, Progress(request, "calls to dynalite", CALLS))
