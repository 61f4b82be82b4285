"""The exercises: what is wrong with an answer is named, whatever the answer is; the solutions pass.

Each of WRONG is a plausible wrong answer with the tag that its verdict must have. None passes, and none raises. The
answers share one temporary local cloud for each network.
"""

from __future__ import annotations

import ast
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy
import pandas as pd
import pytest
from botocore.exceptions import ClientError
from support import IRELAND, SINGAPORE, SOAK, VIRGINIA, seed

from gtlab import regions
from gtlab.course import exercises, progress, router, solutions, trial
from gtlab.course.exercises import Setting, Verdict
from gtlab.lab import Choice, Lab
from gtlab.lab.clients import Access

pytestmark = pytest.mark.server
SEED = 7
FACTS: dict[str, dict[str, Any]] = {
    "00": {"lab": Lab(Access("local", {}), Choice(SINGAPORE, (VIRGINIA, IRELAND, "us-west-2")))},
}
WRONG: dict[str, dict[str, tuple[Any, str]]] = {}
GIVEN = ("pairs", "plans", "briefs", "steps")  # what notebooks call an exercise's material


@pytest.fixture(scope="module", autouse=True)
def clouds() -> Iterator[None]:
    yield
    trial.end()


def verdict(id: str, answer: Any, limit_s: float = 20.0, at: int = SEED) -> Verdict:
    return exercises.judge(exercises.find(id), answer, Setting(FACTS.get(id, {}), at, limit_s))


def wrong(id: str, tag: str, name: str = ""):
    """A decorator: this function is a wrong answer to an exercise, and its verdict has this tag."""
    def keep(function):
        WRONG.setdefault(id, {})[name or function.__name__] = (function, tag)
        return function
    return keep


def endless(*_: Any) -> None:
    while True:
        pass


def stubborn(*_: Any) -> None:
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def _solution(id: str, at: int = SEED) -> Any:
    exercise = exercises.find(id)
    given = exercise.material(at) if exercise.material else None
    names: dict[str, Any] = dict.fromkeys(GIVEN, given) | {"router": router}
    exec(compile(solutions.text(exercise.id), f"solution {id}", "exec"), names)
    if "answer" in names:
        return names["answer"]
    if exercise.wants.startswith("a pair"):
        return tuple(names[name] for name in exercise.wants.partition("(")[2].rstrip(")").split(", "))
    return names[exercise.wants.removeprefix("a function ").partition("(")[0]]


# --- 00 ---

_TRIPS = regions.frame(SINGAPORE, [VIRGINIA, IRELAND]).set_index("region")["rtt_ms"]
WRONG["00"] = {
    "nothing": ("", "nothing"), "None": (None, "nothing"), "Ellipsis": (..., "nothing"),
    "home": (SINGAPORE, "home"), "the milliseconds": (float(_TRIPS[VIRGINIA]), "milliseconds"),
    "kilometres": (15_540.0, "number"), "metres": (15_540_000, "number"), "True": (True, "wrong-type"),
    "a name": ("N. Virginia", "name"), "AWS's name": ("US East (N. Virginia)", "name"),
    "the nearest replica": ("us-west-2", "nearest"), "another replica": (IRELAND, "another"),
    "no replica": ("eu-central-1", "no-replica"), "no Region": ("virginia-1", "unknown"),
    "a Series": (_TRIPS, "series"), "a data frame": (regions.frame(SINGAPORE, [VIRGINIA]), "series"),
    "a list": ([VIRGINIA], "wrong-type"), "a function": (endless, "wrong-type"),
    "bytes": (b"us-east-1", "wrong-type"), "NaN": (float("nan"), "number"),
}


# --- 01 ---

ITEM_WRONG = {"None": (None, "nothing"), "a number": (3, "no-function"), "a Series": (pd.Series([1]), "no-function"),
              "the wrong arguments": (lambda client: print(client), "arguments"), "endless": (endless, "endless")}
WRONG["01"] = dict(ITEM_WRONG)


@wrong("01", "not-caught")
def puts_at_once(client, table, item):
    client.put_item(TableName=table, Item=item)


@wrong("01", "gave-up")
def catches_and_gives_up(client, table, item):
    try:
        client.put_item(TableName=table, Item=item)
    except client.exceptions.ResourceNotFoundException:
        print("not ready")


@wrong("01", "guess")
def sleeps_and_hopes(client, table, item):
    time.sleep(1.5)
    client.put_item(TableName=table, Item=item)


@wrong("01", "guess")
def sleeps_for_long_and_hopes(client, table, item):
    time.sleep(6)
    client.put_item(TableName=table, Item=item)


@wrong("01", "guess")
def sleeps_once_after_a_refusal(client, table, item):
    try:
        client.put_item(TableName=table, Item=item)
    except client.exceptions.ResourceNotFoundException:
        time.sleep(3)
        client.put_item(TableName=table, Item=item)


@wrong("01", "guess")
def looks_once_and_sleeps(client, table, item):
    if client.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(3)
    client.put_item(TableName=table, Item=item)


@wrong("01", "busy")
def asks_without_a_pause(client, table, item):
    while client.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        pass
    client.put_item(TableName=table, Item=item)


@wrong("01", "hides-errors")
def catches_everything_once(client, table, item):
    for _ in range(20):
        try:
            return client.put_item(TableName=table, Item=item)
        except ClientError:
            time.sleep(0.1)


@wrong("01", "retries-all")
def retries_everything(client, table, item):
    while True:
        try:
            return client.put_item(TableName=table, Item=item)
        except Exception:
            time.sleep(0.1)


@wrong("01", "no-put")
def only_waits(client, table, item):
    while client.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(0.1)


@wrong("01", "no-call")
def does_nothing(client, table, item):
    print("done")


def is_the_stub(client, table, item):
    """Put the item as soon as the table accepts it."""
    return None


WRONG["01"]["the stub"] = (is_the_stub, "nothing")


@wrong("01", "raises")
def waits_for_another_word(client, table, item):
    while client.describe_table(TableName=table)["TableStatus"] != "ACTIVE":
        time.sleep(0.1)


def waits_as_the_sdk_does(client, table, item):
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    client.put_item(TableName=table, Item=item)


def waits_for_long_between_two_questions(client, table, item):
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 5.5})
    client.put_item(TableName=table, Item=item)


def sleeps_first_and_then_asks(client, table, item):
    time.sleep(1.5)
    while True:
        try:
            return client.put_item(TableName=table, Item=item)
        except client.exceptions.ResourceNotFoundException:
            time.sleep(1)


# --- 03 ---

WRONG["03"] = dict(ITEM_WRONG) | {
    "a key": ({"id": {"S": "me"}}, "no-function"), "stubborn": (stubborn, "endless")}


def _elsewhere(clients, home):
    return next(region for region in clients if region != home)


def _read(client, table, item, **more):
    return client.get_item(TableName=table, Key={"id": item["id"]}, **more).get("Item")


@wrong("03", "at-home")
def put_at_home(clients, home, table, item):
    clients[home].put_item(TableName=table, Item=item)
    return _read(clients[home], table, item)


@wrong("03", "at-home")
def put_everywhere(clients, home, table, item):
    for client in clients.values():
        client.put_item(TableName=table, Item=item)
    return _read(clients[home], table, item)


@wrong("03", "no-proof")
def put_in_a_replica_only(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)


@wrong("03", "read-elsewhere")
def reads_where_it_wrote(clients, home, table, item):
    replica = clients[_elsewhere(clients, home)]
    replica.put_item(TableName=table, Item=item)
    return _read(replica, table, item)


@wrong("03", "not-read")
def returns_what_it_put(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    return item


@wrong("03", "older")
def takes_any_item_for_its_own(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    while not _read(clients[home], table, item):
        time.sleep(0.05)
    return _read(clients[home], table, item)


@wrong("03", "strong-read")
def reads_strongly(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    return _read(clients[home], table, item, ConsistentRead=True)


@wrong("03", "older")
def sleeps_too_little(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    time.sleep(0.2)
    return _read(clients[home], table, item)


@wrong("03", "guess")
def sleeps_long_enough_once(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    time.sleep(2)
    return _read(clients[home], table, item)


def polls_with_a_long_pause(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    while _read(clients[home], table, item) != item:
        time.sleep(1.5)
    return _read(clients[home], table, item)


@wrong("03", "another-key")
def puts_another_key(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item | {"id": {"S": "mine"}})


@wrong("03", "wrong-type")
def returns_a_bool(clients, home, table, item):
    clients[_elsewhere(clients, home)].put_item(TableName=table, Item=item)
    while _read(clients[home], table, item) != item:
        time.sleep(0.05)
    return True


@wrong("03", "no-write")
def writes_nothing(clients, home, table, item):
    return _read(clients[home], table, item)


@wrong("03", "raises")
def puts_with_a_wrong_name(clients, home, table, item):
    clients["replica"].put_item(TableName=table, Item=item)


# --- 02 ---

_PAIRS = _solution("02")
_REFUSED = next(letter for letter, word in _PAIRS.items() if word == "data")
_JOINED = next(letter for letter, word in _PAIRS.items() if word == "joins")
WRONG["02"] = {
    "None": (None, "nothing"), "no pairs": ({}, "nothing"), "the letter that joins": ("A", "no-dict"),
    "a list": (["A", "B"], "no-dict"), "a number": (4, "no-dict"), "a function": (endless, "no-dict"),
    "three pairs": ({"A": "joins", "B": "keys", "C": "data"}, "pairs"), "a fifth": (_PAIRS | {"E": "data"}, "pairs"),
    "True and False": (dict.fromkeys("ABCD", True), "word"),
    "a reason of its own": (_PAIRS | {"A": "capacity"}, "word"),
    "all join": (dict.fromkeys("ABCD", "joins"), "all-join"), "none joins": (dict.fromkeys("ABCD", "data"), "*"),
    "the full table joins": (_PAIRS | {_REFUSED: "joins", _JOINED: "joins"}, "refused-data"),
    "the pair that joins is refused": (_PAIRS | {_JOINED: "stream"}, "joined"),
    "another reason": (_PAIRS | {_REFUSED: "keys"}, "other-reason"),
    "a Series with a wrong one": (pd.Series(_PAIRS | {_REFUSED: "stream"}), "other-reason"),
}


# --- 04 ---

WRONG["04"] = {name: (answer, tag) for name, (answer, tag) in ITEM_WRONG.items() if name != "the wrong arguments"} | {
    "a number of ms": (900, "no-function"), "one argument": (lambda curve: 900.0, "arguments"),
    "None inside": (lambda curve, share: print("?"), "returns-none"),
    "a string": (lambda curve, share: "1 s", "wrong-type"), "NaN": (lambda curve, share: float("nan"), "wrong-type"),
    "the median": (lambda curve, share: _at(curve, 0.5).max(), "median"),
    "the larger mean of medians": (lambda curve, share: _at(curve, 0.5).mean(), "median"),
    "possible, not certain": (lambda curve, share: _at(curve, share, "possible").max(), "possible"),
    "the faster target": (lambda curve, share: _at(curve, share).min(), "one-target"),
    "the average of the targets": (lambda curve, share: _at(curve, share).mean(), "average"),
    "seconds": (lambda curve, share: _at(curve, share).max() / 1000, "seconds"),
    "the slowest of all": (lambda curve, share: 2 * curve["t_ms"].max(), "too-long"),
    "always 99 %": (lambda curve, share: _at(curve, 0.99).max(), "too-long"),
    "a series": (lambda curve, share: _at(curve, share), "series"),
    "a column that is not there": (lambda curve, share: curve["fresh"].max(), "raises"),
    "two seconds, as the article": (lambda curve, share: 2000.0, "*"),
    "something in between": (lambda curve, share: 0.75 * _at(curve, share).max(), "too-short"),
}


def _at(curve: pd.DataFrame, share: float, column: str = "certain") -> pd.Series:
    return curve[curve[column] >= share].groupby("target")["t_ms"].min()


def between_two_points(curve, share):
    return max(numpy.interp(share, points["certain"], points["t_ms"]) for _, points in curve.groupby("target"))


# --- 05 ---

_PLANS = _solution("05")


def _moved(plan: str, step: str, to: int) -> dict[str, str]:
    """The right answer, with one step at another place."""
    given = exercises.find("05").material(SEED)
    letter = given[(given["plan"] == plan) & given["step"].str.contains(step)]["letter"].iloc[0]
    order = _PLANS[plan].replace(letter, "")
    return _PLANS | {plan: order[:to] + letter + order[to:]}


WRONG["05"] = {
    "None": (None, "nothing"), "a string": ("abcde", "no-dict"), "a list": ([*"abcde"], "no-dict"),
    "a number": (7, "no-dict"), "one plan": ({"replicas": "abcde"}, "plans"),
    "numbers": (_PLANS | {"strong": [1, 2, 3, 4, 5]}, "letters"),
    "None as an order": (_PLANS | {"legacy": None}, "plans"),
    "a step is missing": (_PLANS | {"strong": "abcd"}, "steps"),
    "a step twice": (_PLANS | {"strong": "abcda"}, "steps"),
    "a Series with a step too few": (pd.Series(_PLANS | {"legacy": "abc"}), "steps"),
    "as they are listed": (dict.fromkeys(_PLANS, "abcde"), "*"),
    "the second replica before the first is there": (_moved("replicas", "first replica is", 4), "two-at-once"),
    "a replica before the table is there": (_moved("replicas", "on demand", 4), "not-there"),
    "a replica of a provisioned table": (_moved("provisioned", "to on demand", 4), "provisioned"),
    "a replica before the change is done": (_moved("provisioned", "changed table", 4), "not-waited"),
    "the item before the replicas": (_moved("strong", "first item", 2), "data-first"),
    "the item before the join": (_moved("legacy", "first item", 3), "data-first"),
    "the join before both tables are ACTIVE": (_moved("legacy", "create_global_table", 2), "not-waited"),
    "the join before the second table": (_moved("legacy", "in the other Region", 4), "not-there"),
}


# --- 06 ---

WRONG["06"] = {name: (answer, tag) for name, (answer, tag) in ITEM_WRONG.items() if name != "the wrong arguments"} | {
    "one argument": (lambda records: [], "arguments"), "a list": (["value"], "no-function"),
    "None inside": (lambda records, region: print("?"), "returns-none"),
    "a count": (lambda records, region: len(records), "wrong-type"),
    "an empty list": (lambda records, region: [], "none"),
    "the records themselves": (lambda records, region: records, "wrong-type"),
}


def _changes(records):
    for record in records:
        old, new = (record["dynamodb"].get(image) for image in ("OldImage", "NewImage"))
        if old and new:
            yield old, new


@wrong("06", "winners")
def returns_the_winners(records, region):
    return [new["Value"]["S"] for old, new in _changes(records) if new["WrittenIn"]["S"] != region
            and int(new["Version"]["N"]) <= int(old["Version"]["N"])]


@wrong("06", "version")
def compares_versions(records, region):
    return [old["Value"]["S"] for old, new in _changes(records)
            if old["WrittenIn"]["S"] == region != new["WrittenIn"]["S"]
            and int(new["Version"]["N"]) <= int(old["Version"]["N"])]


@wrong("06", "own")
def returns_every_modify(records, region):
    return [old["Value"]["S"] for old, _ in _changes(records)]


@wrong("06", "seen")
def returns_every_replicated_overwrite(records, region):
    return [old["Value"]["S"] for old, new in _changes(records)
            if old["WrittenIn"]["S"] == region != new["WrittenIn"]["S"]]


@wrong("06", "deleted")
def returns_what_was_removed(records, region):
    return [record["dynamodb"]["OldImage"]["Value"]["S"] for record in records if record["eventName"] == "REMOVE"]


@wrong("06", "keys")
def returns_keys(records, region):
    return [old["id"]["S"] for old, new in _changes(records) if int(new["Version"]["N"]) <= int(old["Version"]["N"])]


@wrong("06", "raises")
def expects_both_images(records, region):
    return [record["dynamodb"]["OldImage"]["Value"]["S"] for record in records
            if record["dynamodb"]["NewImage"]["WrittenIn"]["S"] != region]


@wrong("06", "twice")
def returns_each_twice(records, region):
    return 2 * _solution("06")(records, region)


@wrong("06", "missed")
def returns_the_first(records, region):
    return _solution("06")(records, region)[:1]


@wrong("06", "wrong-type")
def returns_images(records, region):
    return [old for old, _ in _changes(records)]


@wrong("06", "missed")
def looks_only_at_equal_first_versions(records, region):
    return [old["Value"]["S"] for old, new in _changes(records)
            if old["WrittenIn"]["S"] == region != new["WrittenIn"]["S"] and new["Version"]["N"] == old["Version"]["N"]
            == "1"]


# --- 07 ---

_ADD, _BASKET = _solution("07")


def _key(customer: str, part: str) -> dict[str, Any]:
    return {"Customer": {"S": customer}, "Part": {"S": part}}


def _whole(client, table, customer, part="all"):
    found = client.get_item(TableName=table, Key=_key(customer, part), ConsistentRead=True).get("Item")
    return {name: int(n["N"]) for name, n in found["Products"]["M"].items()} if found else {}


def _put_whole(client, table, customer, products, part="all", **more):
    client.put_item(TableName=table, Item=_key(customer, part) | {
        "Products": {"M": {name: {"N": str(n)} for name, n in products.items()}}}, **more)


def read_and_put(client, region, table, customer, product, request):
    products = _whole(client, table, customer)
    _put_whole(client, table, customer, products | {product: products.get(product, 0) + 1})


def put_if_unchanged(client, region, table, customer, product, request):
    """A version condition: it is checked in one Region."""
    old = client.get_item(TableName=table, Key=_key(customer, "all"), ConsistentRead=True).get("Item")
    if old and request in old["Requests"]["SS"]:
        return
    products = _whole(client, table, customer)
    version = int(old["Version"]["N"]) if old else 0
    client.put_item(
        TableName=table, Item=_key(customer, "all") | {
            "Products": {"M": {name: {"N": str(n)} for name, n in
                               (products | {product: products.get(product, 0) + 1}).items()}},
            "Version": {"N": str(version + 1)},
            "Requests": {"SS": [*(old["Requests"]["SS"] if old else ()), request]}},
        ConditionExpression="attribute_not_exists(Version) OR Version = :seen",
        ExpressionAttributeValues={":seen": {"N": str(version)}})


def add_to_a_counter(client, region, table, customer, product, request):
    client.update_item(TableName=table, Key=_key(customer, product), UpdateExpression="ADD Amount :one",
                       ExpressionAttributeValues={":one": {"N": "1"}})


def read_counters(client, table, customer):
    items = client.query(TableName=table, KeyConditionExpression="Customer = :c",
                         ExpressionAttributeValues={":c": {"S": customer}})["Items"]
    found: dict[str, int] = {}
    for item in items:
        name = item["Part"]["S"].rpartition("/")[2]
        found[name] = found.get(name, 0) + int(item["Amount"]["N"])
    return found


def add_per_region(client, region, table, customer, product, request):
    add_to_a_counter(client, region, table, customer, f"{region}/{product}", request)


def add_per_region_once(client, region, table, customer, product, request):
    """Remembers requests, but for each Region apart."""
    with contextlib.suppress(client.exceptions.ConditionalCheckFailedException):
        client.update_item(
            TableName=table, Key=_key(customer, f"{region}/{product}"),
            UpdateExpression="ADD Amount :one, Requests :this", ConditionExpression="NOT contains(Requests, :name)",
            ExpressionAttributeValues={":one": {"N": "1"}, ":this": {"SS": [request]}, ":name": {"S": request}})


def add_to_an_item_per_region(client, region, table, customer, product, request):
    """No condition: two requests at the same moment read the same item."""
    item = client.get_item(TableName=table, Key=_key(customer, region), ConsistentRead=True).get("Item")
    requests = item["Requests"]["M"] if item else {}
    client.put_item(TableName=table, Item=_key(customer, region) | {
        "Requests": {"M": requests | {request: {"S": product}}}})


def add_to_an_item_per_region_if_unchanged(client, region, table, customer, product, request):
    """The same with a version condition: right, because each item has one Region, and the reader merges names."""
    while True:
        item = client.get_item(TableName=table, Key=_key(customer, region), ConsistentRead=True).get("Item")
        requests = item["Requests"]["M"] if item else {}
        version = {":seen": {"N": str(len(requests))}}
        new = requests | {request: {"S": product}}
        if len(new) == len(requests):
            return
        try:
            client.put_item(
                TableName=table, Item=_key(customer, region) | {"Requests": {"M": new}, "V": {"N": str(len(new))}},
                **({"ConditionExpression": "V = :seen", "ExpressionAttributeValues": version} if item else {
                    "ConditionExpression": "attribute_not_exists(V)"}))
            return
        except client.exceptions.ConditionalCheckFailedException:
            continue


def merge_regions(client, table, customer):
    items = client.query(TableName=table, KeyConditionExpression="Customer = :c",
                         ExpressionAttributeValues={":c": {"S": customer}})["Items"]
    requests: dict[str, Any] = {}
    for item in items:
        requests |= item["Requests"]["M"]
    products = [product["S"] for product in requests.values()]
    return {product: products.count(product) for product in products}


def add_under_a_new_name(client, region, table, customer, product, request):
    _ADD(client, region, table, customer, product, f"{time.monotonic_ns()}")


WRONG["07"] = {
    "None": (None, "nothing"), "one function": (_ADD, "no-pair"), "a dict": ({"add": _ADD}, "no-pair"),
    "one is missing": ((_ADD, None), "nothing"), "a string and a number": (("add", 3), "no-function"),
    "other arguments": ((lambda client: print(client), _BASKET), "arguments"),
    "endless": ((endless, _BASKET), "endless"),
    "read, then put": ((read_and_put, _whole), "*"), "a version condition": ((put_if_unchanged, _whole), "overwritten"),
    "an item for each Region, without a condition": ((add_to_an_item_per_region, merge_regions), "same-moment"),
    "one counter for all": ((add_to_a_counter, read_counters), "*"),
    "a counter for each Region": ((add_per_region, read_counters), "twice"),
    "a counter for each Region that knows its requests": ((add_per_region_once, read_counters), "twice-elsewhere"),
    "a new name for each attempt": ((add_under_a_new_name, _BASKET), "twice"),
    "an item for each Region": ((lambda client, region, *more: _ADD(client, region, *more[:-1], region), _BASKET),
                                "missed"),
    "no call": ((lambda *arguments: print(), _BASKET), "no-call"),
    "the basket is None": ((_ADD, lambda *arguments: print()), "returns-none"),
    "a list of products": ((_ADD, lambda *arguments: [*_BASKET(*arguments)]), "wrong-type"),
    "a Series": ((_ADD, lambda *arguments: pd.Series(_BASKET(*arguments))), "wrong-type"),
    "another product": ((lambda client, region, table, customer, product, request: _ADD(
        client, region, table, customer, product.upper(), request), _BASKET), "strange"),
    "a wrong table": ((lambda client, region, table, *more: _ADD(client, region, "Basket", *more), _BASKET), "raises"),
}


# --- 08 ---

_ON_RECORD = _solution("08")
WRONG["08"] = {name: (answer, tag) for name, (answer, tag) in ITEM_WRONG.items()} | {
    "sends nothing": (lambda *arguments: print(), "missed")}


def _new(record):
    return record["dynamodb"].get("NewImage")


@wrong("08", "each-region")
def sends_everywhere(record, region, serving, client, table, send):
    if record["eventName"] == "INSERT":
        send(_new(record)["id"]["S"])


@wrong("08", "lost-in-failover")
def filters_by_region(record, region, serving, client, table, send):
    if record["eventName"] == "INSERT" and _new(record)["TakenIn"]["S"] == region:
        _ON_RECORD(record, region, serving, client, table, send)


@wrong("08", "replay")
def takes_over_without_a_mark(record, region, serving, client, table, send):
    taken_in = _new(record)["TakenIn"]["S"] if record["eventName"] == "INSERT" else ""
    if taken_in and region == (taken_in if taken_in in serving else serving[0]):
        send(_new(record)["id"]["S"])


@wrong("08", "again")
def marks_without_a_condition(record, region, serving, client, table, send):
    order = _new(record)
    if order and order["TakenIn"]["S"] == region and "Twice" not in order:
        client.update_item(TableName=table, Key={"id": order["id"]}, ExpressionAttributeValues={":r": {"S": region}},
                           UpdateExpression="SET Receipt = :r" + (", Twice = :r" if "Receipt" in order else ""))
        send(order["id"]["S"])


def _responsible(order, region, serving):
    taken_in = order["TakenIn"]["S"] if order else ""
    return region == (taken_in if taken_in in serving else serving[0])


@wrong("08", "no-condition")
def looks_and_then_marks(record, region, serving, client, table, send):
    order = _new(record)
    if order and _responsible(order, region, serving):
        key = {"id": order["id"]}
        found = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {"Receipt": ""})
        if "Receipt" not in found:
            client.update_item(TableName=table, Key=key, UpdateExpression="SET Receipt = :r",
                               ExpressionAttributeValues={":r": {"S": region}})
            send(order["id"]["S"])


@wrong("08", "no-condition")
def one_puts_the_whole_item_without_a_condition(record, region, serving, client, table, send):
    order = _new(record)
    if order and region == serving[0]:
        found = client.get_item(TableName=table, Key={"id": order["id"]}, ConsistentRead=True).get("Item")
        if found and "Receipt" not in found:
            client.put_item(TableName=table, Item=found | {"Receipt": {"S": region}})
            send(order["id"]["S"])


@wrong("08", "overwritten")
def puts_the_whole_item_with_a_condition(record, region, serving, client, table, send):
    order = _new(record)
    if order and "Receipt" not in order and _responsible(order, region, serving):
        with contextlib.suppress(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName=table, Item=order | {"Receipt": {"S": region}},
                            ConditionExpression="attribute_exists(id) AND attribute_not_exists(Receipt)")
            send(order["id"]["S"])


@wrong("08", "remove")
def expects_a_new_image(record, region, serving, client, table, send):
    record["dynamodb"]["NewImage"]["id"]
    _ON_RECORD(record, region, serving, client, table, send)


_SENT: set[str] = set()


@wrong("08", "memory")
def remembers_in_the_kernel(record, region, serving, client, table, send):
    order = _new(record)
    if order and order["id"]["S"] not in _SENT:
        _SENT.add(order["id"]["S"])
        send(order["id"]["S"])


@wrong("08", "unknown")
def sends_the_key(record, region, serving, client, table, send):
    _ON_RECORD(record, region, serving, client, table, lambda order: send({"S": order}))


@wrong("08", "*")
def leaves_it_to_the_first(record, region, serving, client, table, send):
    """Never finds that the first one has failed, where it fails."""
    order = _new(record)
    if order and order["TakenIn"]["S"] != region and region == serving[0]:
        _ON_RECORD(record, region, serving, client, table, send)


@wrong("08", "raises")
def takes_the_wrong_attribute(record, region, serving, client, table, send):
    send(record["dynamodb"]["NewImage"]["Order"]["S"])


# --- 09 ---

_BUILD, _COME_BACK = _solution("09")


def _patient(timeout_s: float):
    return lambda lab, table, homes: router.Router(router.stacks(lab, table=table, timeout_s=timeout_s), homes)


def _sleep_and_go(pause_s: float):
    def come_back(found, region):
        time.sleep(pause_s)
        found.evacuated.discard(region)
    return come_back


def looks_by_itself(found, region):
    while found.behind(region):
        time.sleep(0.1)
    found.evacuated.discard(region)


WRONG["09"] = {
    "None": (None, "nothing"), "one function": (_BUILD, "no-pair"), "a router": (router.Router, "no-pair"),
    "one is missing": ((_BUILD, None), "nothing"), "a number": ((3, 4), "no-function"),
    "other arguments": ((lambda: print(), _COME_BACK), "arguments"),
    "no router": ((lambda lab, table, homes: router.stacks(lab, table=table), _COME_BACK), "no-router"),
    "nothing is built": ((lambda lab, table, homes: print(), _COME_BACK), "no-router"),
    "another table": ((lambda lab, table, homes: router.Router(router.stacks(lab), homes), _COME_BACK), "table"),
    "a stack too few": ((lambda lab, table, homes: router.Router(dict(list(router.stacks(
        lab, table=table).items())[:2]), dict.fromkeys(homes, lab.home)), _COME_BACK), "stacks"),
    "the patience of boto3": ((_patient(60), _COME_BACK), "slow"), "four seconds": ((_patient(4), _COME_BACK), "slow"),
    "leaves it to the router": ((_BUILD, lambda found, region: found.fail_back(region)), "ready-made"),
    "goes back at once, by the router": ((_BUILD, lambda found, region: found.fail_back(region, early=True)),
                                         "ready-made"),
    "goes back at once": ((_BUILD, lambda found, region: found.evacuated.discard(region)), "early"),
    "sleeps a little": ((_BUILD, _sleep_and_go(0.1)), "early"),
    "sleeps long enough": ((_BUILD, _sleep_and_go(3.5)), "blind"),
    "stays away": ((_BUILD, lambda found, region: print()), "stays-away"),
    "endless": ((_BUILD, endless), "endless"), "raises": ((_BUILD, lambda found, region: found.go(region)), "raises"),
}


# --- 10 ---

_BRIEFS = _solution("10")


def _brief(about: str) -> str:
    given = exercises.find("10").material(SEED)
    return given[given["text"].str.startswith(about)]["brief"].iloc[0]


WRONG["10"] = {
    "None": (None, "nothing"), "a string": ("mrec", "no-dict"), "a list": (["mrec"] * 5, "no-dict"),
    "a number": (5, "no-dict"), "a function": (endless, "no-dict"), "four briefs": ({"A": "mrec"}, "briefs"),
    "True": (dict.fromkeys("ABCDE", True), "choice"), "another kind": (_BRIEFS | {"B": "strong"}, "choice"),
    "payments may be lost": (_BRIEFS | {_brief("A ledger"): "mrec"}, "loss"),
    "a write waits for another continent": (_BRIEFS | {_brief("Likes"): "mrsc"}, "latency"),
    "three Regions and a witness": (_BRIEFS | {_brief("A ledger"): "witness"}, "number"),
    "five strong replicas": (_BRIEFS | {_brief("A product"): "mrsc"}, "number"),
    "a third replica without money": (_BRIEFS | {_brief("Balances"): "mrsc"}, "copies"),
    "TTL in a strong table": (_BRIEFS | {_brief("Sessions"): "witness"}, "ttl"),
    "everything strong": (dict.fromkeys("ABCDE", "mrsc"), "*"),
    "nothing strong": (dict.fromkeys("ABCDE", "mrec"), "loss"),
    "a Series": (pd.Series(dict.fromkeys("ABCDE", "mrec")), "loss"),
}


def test_each_brief_has_one_choice_that_fits():
    from gtlab.course.exercises import five_briefs

    for at in range(40):
        fitting = [[choice for choice in five_briefs.CHOICES if not five_briefs.violations(choice, brief)]
                   for brief in five_briefs.briefs(at).values()]
        assert sorted(map(str, fitting)) == sorted(map(str, [["mrec"]] * 3 + [["mrsc"], ["witness"]])), at


# --- 11 ---

_ORDER = "".join(_solution("11"))


def _step(begins: str) -> str:
    given = exercises.find("11").material(SEED)
    return given[given["step"].str.startswith(begins)]["letter"].iloc[0]


def _last(begins: str) -> str:
    return _ORDER.replace(_step(begins), "") + _step(begins)


WRONG["11"] = {
    "None": (None, "nothing"), "an empty string": ("", "nothing"), "a number": (12345678, "no-order"),
    "numbers": ([1, 2, 3], "no-order"), "a Series of numbers": (pd.Series([1, 2]), "no-order"),
    "a function": (endless, "no-order"), "a step that is none": ("xyz", "letters"),
    "a step twice": (_ORDER + _ORDER[0], "repeated"), "one table only": (_ORDER[:2], "left"),
    "home before its replicas": (_step("MusicToday: delete the table at home") + _ORDER.replace(
        _step("MusicToday: delete the table at home"), ""), "source-first"),
    "one replica is forgotten": (_ORDER.replace(_step("MusicToday: delete the table in the second"), ""),
                                 "source-first"),
    "one of the strong replicas": (_step("MusicStrong: delete the table in one") + _ORDER, "one-of-strong"),
    "strong home first": (_step("MusicStrong: delete the table at home") + _ORDER.replace(
        _step("MusicStrong: delete the table at home"), ""), "one-of-strong"),
    "detach last": (_last("Music: remove"), "detach-late"),
    "home is forgotten": (_ORDER.replace(_step("MusicStrong: delete the table at home"), ""), "left"),
}


def test_members_of_a_legacy_global_table_that_are_not_removed_first_are_mentioned():
    found = verdict("11", _ORDER.replace(_step("Music: remove"), ""))
    assert found.passed and "without removing them" in found.text
    assert "without removing them" not in verdict("11", _ORDER).text


CASES = [pytest.param(id, answer, tag, id=f"{id}-{name}") for id, answers in WRONG.items()
         for name, (answer, tag) in answers.items()]


@pytest.mark.parametrize(("id", "answer", "tag"), CASES)
def test_a_wrong_answer_is_told_what_is_wrong(id, answer, tag):
    found = verdict(id, answer, limit_s=3.0 if tag == "retries-all" else 1.0 if tag == "endless" else 20.0)
    assert (found.passed, tag) == (False, tag if tag == "*" else found.tag), found
    assert (len(found.text) > 20 and found.text[-1] in ".?") or found.tag == "raises"


def test_each_exercise_has_enough_wrong_answers():
    for id in exercises.MODULES:
        tags = {tag for number, answers in WRONG.items() if id.startswith(number) for _, tag in answers.values()}
        assert len(tags) >= 6, (id, tags)


@pytest.mark.soak
@pytest.mark.parametrize("id", [id[:2] for id in exercises.MODULES if not id.startswith("00")])
@pytest.mark.parametrize("number", range(1, 6 if SOAK else 2))
def test_a_solution_passes_with_any_seed(id, number):
    at = seed(number)
    found = verdict(id, _solution(id, at), at=at)
    assert found.passed, found


def test_the_farthest_replica_and_the_waiter_pass():
    assert verdict("00", VIRGINIA).passed and verdict("00", VIRGINIA.upper()).passed
    assert verdict("01", waits_as_the_sdk_does).passed


@pytest.mark.parametrize("id", ["02", "10"])
def test_a_solution_of_lettered_steps_also_shows_its_answer(id):
    shown = solutions.shown(exercises.find(id).id)
    assert verdict(id, ast.literal_eval(shown.rpartition("# answer = ")[2]), at=0).passed


def test_who_looks_by_itself_until_nobody_is_behind_passes():
    found = verdict("09", (_patient(1), looks_by_itself))
    assert found.passed, found


@pytest.mark.long(25)
def test_a_long_pause_between_two_questions_is_no_guess():
    assert verdict("01", sleeps_first_and_then_asks).passed
    slow = verdict("01", waits_for_long_between_two_questions, limit_s=5.2)  # the default has 20 s, and the usual limit
    assert slow.passed and "WaiterConfig" in slow.text
    assert verdict("03", polls_with_a_long_pause).passed


def test_a_sleep_between_two_points_of_the_curve_passes():
    for at in range(6):
        assert verdict("04", between_two_points, at=at).passed, at


def test_an_item_for_each_region_with_a_version_condition_passes():
    assert verdict("07", (add_to_an_item_per_region_if_unchanged, merge_regions)).passed


def test_each_exercise_is_complete():
    for id in exercises.MODULES:
        exercise = exercises.find(id)
        assert exercise.id == id and len(exercise.hints) == 3 and all(exercise.hints) and exercise.wants
        compile(solutions.text(id), id, "exec")
        lines = solutions.text(id).splitlines()
        assert max(map(len, lines)) <= 92, id


def test_a_function_that_cannot_be_stopped_is_left_behind_and_the_world_put_right():
    def sleeps(clients, home, table, item):
        time.sleep(8)

    found = verdict("03", sleeps, limit_s=0.5)
    assert found.tag == "endless"
    assert verdict("03", returns_what_it_put).tag == "not-read", "a new cloud has taken the place of the old one"


def test_an_exercise_is_found_by_the_number_of_its_notebook():
    assert exercises.find("6") is exercises.find(6) is exercises.find("06") is exercises.find("06-lost-writes")
    assert exercises.find("10").id == "10-five-briefs"


def test_an_unknown_exercise_is_an_error():
    with pytest.raises(ValueError, match="There are: 00-farthest-replica"):
        exercises.find("77")
    with pytest.raises(TypeError, match="lab=lab"):
        exercises.judge(exercises.find("00"), VIRGINIA, Setting())


def test_solutions_take_the_place_of_the_stubs():
    stub = {"cell_type": "code", "source": ["answer = ''"], "metadata": {"tags": ["exercise"]}}
    other = {"cell_type": "code", "source": ["1 + 1"], "metadata": {}}
    with pytest.raises(ValueError, match="does not name its exercise"):
        solutions.solved({"cells": [stub]})
    stub["metadata"]["exercise"] = "06-lost-writes"
    notebook = {"cells": [other, stub]}
    assert solutions.solved(notebook) == 1 and notebook["cells"][0]["source"] == ["1 + 1"]
    assert notebook["cells"][1]["source"] == solutions.text("06-lost-writes")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    monkeypatch.delenv("GTLAB_STRICT", raising=False)


def test_checks_print_and_keep_progress(home, capsys, monkeypatch):
    from gtlab import check

    lab = FACTS["00"]["lab"]
    check.exercise("00", "", lab=lab)
    check.exercise("00", IRELAND, lab=lab)
    check.exercise("00-farthest-replica", VIRGINIA, lab=lab)
    shown = capsys.readouterr().out
    assert "✘ Not yet. There is no answer yet." in shown and "check.hint(\"00-farthest-replica\")" in shown
    assert "✔ Right. N. Virginia (us-east-1) is 219 ms away" in shown
    assert progress.recorded("solved") == {"00-farthest-replica": 2}
    monkeypatch.setenv("GTLAB_STRICT", "1")
    with pytest.raises(check.NotYet, match="not the farthest"):
        check.exercise("00", IRELAND, lab=lab)


def test_a_check_that_takes_time_says_what_it_is_doing(home, capsys, monkeypatch):
    from gtlab import check

    shown = []
    with trial.telling(shown.append):
        assert verdict("04-safe-sleep", endless, 0.1).tag == "endless"
    assert shown and set(shown) == {"Checking your answer: your code may run for 0.1 s"}
    check.exercise("04", endless, limit_s=0.1)
    read = capsys.readouterr()
    assert read.out.startswith("✘ Not yet. safe_sleep_ms was still running") and read.err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)  # in a terminal
    check.exercise("04", endless, limit_s=0.1)
    read = capsys.readouterr()
    assert read.out.startswith("✘ Not yet.") and "Checking" not in read.out
    assert "\rChecking your answer: your code may run for 0.1 s … 0 s" in read.err
    assert read.err.rpartition("\r")[2] == "" and read.err.split("\r")[-2].isspace()  # the line is empty again


def test_hints_come_one_after_another(home, capsys):
    from gtlab import check

    for number in (1, 2, 3):
        check.hint("00")
        shown = capsys.readouterr().out
        assert shown.startswith(f"Hint {number} of 3") and shown.count("Hint") == 1
    check.hint("00")
    assert capsys.readouterr().out.count("Hint") == 3
    check.solution("00")
    assert "idxmax()" in capsys.readouterr().out
