"""Long calls are tried on copies, and what comes out is used only where nothing has changed since."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from engines import REGION, Database, index

from gtlab.localcloud import engine
from gtlab.localcloud.engine import ahead
from gtlab.localcloud.model import Call, Refusal

VALUE = {":v": {"N": "7"}}
LARGE = {"L": [{"S": ""}] * 40_000}


def tried(db: Database, operation: str, **data) -> Call:
    call = Call(db.account, REGION, "dynamodb", operation, data)
    trial = ahead.trial(db.kept, call)
    assert trial is not None
    return ahead.tried(trial, call)


def carried_out(db: Database, call: Call) -> str | dict:
    """The answer, or the code of the refusal."""
    try:
        return json.loads(engine.call(db.kept, call, db.now))
    except Refusal as refusal:
        return refusal.code


def item(db: Database, key: str = "a") -> dict | None:
    return db("GetItem", TableName="Tab", Key={"p": {"S": key}}).get("Item")


def update(db: Database) -> Call:
    return tried(db, "UpdateItem", TableName="Tab", Key={"p": {"S": "a"}}, UpdateExpression="ADD n :v",
                 ConditionExpression="attribute_not_exists(x)", ExpressionAttributeValues=VALUE,
                 ReturnValues="UPDATED_NEW")


@pytest.fixture
def db() -> Database:
    """It has a table with an index, whose item is large."""
    database = Database()
    database.table("Tab", "p", definitions=[{"AttributeName": "g", "AttributeType": "S"}],
                   GlobalSecondaryIndexes=[index("byG", "g")])
    database.put("Tab", p={"S": "a"}, g={"S": "x"}, large=LARGE)
    return database


def test_what_was_tried_is_done(db, monkeypatch):
    call = update(db)
    assert "n" not in item(db)
    monkeypatch.setattr("gtlab.localcloud.engine.updates.Update.of", None)  # it is not done again
    assert carried_out(db, call) == {"Attributes": {"n": {"N": "7"}}}
    assert item(db) == {"p": {"S": "a"}, "g": {"S": "x"}, "large": LARGE, "n": {"N": "7"}}


def test_what_was_refused_is_refused(db, monkeypatch):
    db.put("Tab", p={"S": "a"}, x={"S": "x"}, large=LARGE)
    call, before = update(db), item(db)
    monkeypatch.setattr("gtlab.localcloud.engine.updates.Update.check_key", None)
    assert carried_out(db, call) == "ConditionalCheckFailedException"
    assert item(db) == before


def delete_table(db: Database) -> None:
    db("DeleteTable", TableName="Tab")


def replace_table(db: Database) -> None:
    delete_table(db)
    db.table("Tab", "p")


def drop_index(db: Database) -> None:
    db("UpdateTable", TableName="Tab", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "byG"}}])


@pytest.mark.parametrize(("change", "answered", "n"), [
    (lambda db: db.put("Tab", p={"S": "a"}, n={"N": "1"}), {"Attributes": {"n": {"N": "8"}}}, "8"),
    (lambda db: db.put("Tab", p={"S": "a"}, x={"N": "1"}), "ConditionalCheckFailedException", None),
    (lambda db: db("DeleteItem", TableName="Tab", Key={"p": {"S": "a"}}), {"Attributes": {"n": {"N": "7"}}}, "7"),
    (replace_table, {"Attributes": {"n": {"N": "7"}}}, "7"), (drop_index, {"Attributes": {"n": {"N": "7"}}}, "7")])
def test_what_was_tried_is_not_used_if_something_has_changed_since(db, monkeypatch, change: Callable, answered, n):
    call, done = update(db), []
    change(db)
    of = engine.trials.Trial.carry_out
    monkeypatch.setattr(engine.trials.Trial, "carry_out", lambda *of_it: done.append(of_it) or of(*of_it))
    assert carried_out(db, call) == answered
    assert done == []
    assert item(db).get("n") == (None if n is None else {"N": n})


def test_a_table_that_is_gone_is_not_found(db):
    call = update(db)
    delete_table(db)
    assert carried_out(db, call) == "ResourceNotFoundException"


def test_a_request_that_is_admitted_in_part_is_carried_out_as_it_is(db):
    requests = [{"DeleteRequest": {"Key": {"p": {"S": "a"}}}}, {"PutRequest": {"Item": {"p": {"S": "b"}}}}]
    call = tried(db, "BatchWriteItem", RequestItems={"Tab": requests})
    assert carried_out(db, call._replace(input={"RequestItems": {"Tab": requests[1:]}})) == {"UnprocessedItems": {}}
    assert (item(db), item(db, "b")) == ({"p": {"S": "a"}, "g": {"S": "x"}, "large": LARGE}, {"p": {"S": "b"}})


def test_indexes_follow_what_was_tried(db):
    carried_out(db, tried(db, "TransactWriteItems", TransactItems=[
        {"Update": {"TableName": "Tab", "Key": {"p": {"S": "a"}}, "UpdateExpression": "SET g = :g",
                    "ExpressionAttributeValues": {":g": {"S": "y"}}}},
        {"ConditionCheck": {"TableName": "Tab", "Key": {"p": {"S": "b"}},
                            "ConditionExpression": "attribute_not_exists(p)"}}]))
    found = [db("Query", TableName="Tab", IndexName="byG", KeyConditionExpression="g = :g",
                ExpressionAttributeValues={":g": {"S": g}})["Count"] for g in "xy"]
    assert found == [0, 1]


def test_a_token_is_remembered_with_what_was_tried(db):
    asked = {"TransactStatements": [{"Statement": "UPDATE Tab SET n = 1 WHERE p = 'a'"}], "ClientRequestToken": "token"}
    first, second = (tried(db, "ExecuteTransaction", **asked) for _ in range(2))
    assert carried_out(db, first) == {"Responses": []}
    db.put("Tab", p={"S": "a"}, n={"N": "2"})
    assert carried_out(db, second) == {"Responses": []}
    assert item(db) == {"p": {"S": "a"}, "n": {"N": "2"}}
    other = asked | {"TransactStatements": [{"Statement": "UPDATE Tab SET n = 3 WHERE p = 'a'"}]}
    assert carried_out(db, Call(db.account, REGION, "dynamodb", "ExecuteTransaction", other)
                       ) == "IdempotentParameterMismatchException"


def test_an_error_undoes_what_was_tried(db, monkeypatch):
    call, before = tried(db, "ExecuteTransaction", ClientRequestToken="token", TransactStatements=[
        {"Statement": "UPDATE Tab SET n = 1 WHERE p = 'a'"}]), item(db)
    monkeypatch.setattr(engine.Database, "remember", None)
    with pytest.raises(TypeError):
        carried_out(db, call)
    assert item(db) == before


def test_small_items_and_pages_are_not_tried(db):
    db.put("Tab", p={"S": "b"})
    for operation, data in (
            ("UpdateItem", {"TableName": "Tab", "Key": {"p": {"S": "b"}}}),
            ("ExecuteStatement", {"Statement": "SELECT * FROM Tab WHERE p = 'a'"}),
            ("BatchWriteItem", {"RequestItems": {"Tab": [{"DeleteRequest": {"Key": {"p": {"S": "a"}}}}] * 26}})):
        assert ahead.trial(db.kept, Call(db.account, REGION, "dynamodb", operation, data)) is None


def test_a_write_that_looks_at_more_than_it_names_is_carried_out_as_any_other(db, monkeypatch):
    looked_at = engine.trials.targets.looked_at
    db.put("Tab", p={"S": "b"}, n={"N": "1"})
    monkeypatch.setattr(engine.trials.targets, "looked_at", lambda *asked: looked_at(*asked)[:1])
    call = tried(db, "TransactWriteItems", TransactItems=[{"Update": {
        "TableName": "Tab", "Key": {"p": {"S": key}}, "UpdateExpression": "ADD n :v",
        "ExpressionAttributeValues": VALUE}} for key in "ab"])
    assert carried_out(db, call) == {}
    assert (item(db)["n"], item(db, "b")["n"]) == ({"N": "7"}, {"N": "8"})


@pytest.mark.parametrize(("operation", "data", "found"), [
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Tab", "Key": {"p": {"S": "a"}},
                                                     "ProjectionExpression": "g"}}]}, [{"Item": {"g": {"S": "x"}}}]),
    ("BatchExecuteStatement", {"Statements": [{"Statement": "SELECT g FROM Tab WHERE p = 'a'"}]},
     [{"TableName": "Tab", "Item": {"g": {"S": "x"}}}]),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": "SELECT g FROM Tab WHERE p = 'a'"}]},
     [{"Item": {"g": {"S": "x"}}}])])
def test_reads_of_several_items_by_their_keys_are_tried(db, monkeypatch, operation, data, found):
    call, again = tried(db, operation, **data), tried(db, operation, **data)
    with monkeypatch.context() as patch:
        patch.setattr("gtlab.localcloud.engine.items.unpack", None)
        assert carried_out(db, call) == {"Responses": found}
    db("DeleteItem", TableName="Tab", Key={"p": {"S": "a"}})
    assert carried_out(db, again) == {"Responses": [{name: told for name, told in found[0].items() if name != "Item"}]}


LONG = [
    ("Scan", {"TableName": "Tab", "FilterExpression": "a ="}, None),
    ("Query", {"TableName": "Tab", "KeyConditions": {}}, None),
    ("GetItem", {"TableName": "Tab", "Key": {"p": {"L": []}}}, None),
    ("BatchGetItem", {"RequestItems": {f"Tab{n}": {"Keys": [{"p": {"S": "a"}}]} for n in range(101)}}, None),
    ("BatchWriteItem", {"RequestItems": {f"Tab{n}": [{"DeleteRequest": {"Key": {}}}] for n in range(101)}}, None),
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Tab", "Key": {"p": {"S": "a"}}}}] * 101}, None),
    ("DeleteItem", {"TableName": "Tab", "Key": {"p": {"M": {}}}}, None),
    ("Scan", {"TableName": "Tab"}, 1), ("Scan", {"TableName": "Tab", "IndexName": "byG"}, 1),
    ("Query", {"TableName": "Tab", "KeyConditionExpression": "p = :p",
               "ExpressionAttributeValues": {":p": {"S": "a"}}}, 1)]


@pytest.mark.parametrize(("operation", "data", "count"), LONG)
def test_a_long_request_that_is_refused_is_refused_as_it_was_tried(db, operation, data, count):
    """Whatever reads pages is carried out as any other."""
    asked = Call(db.account, REGION, "dynamodb", operation, data)
    trial = ahead.trial(db.kept, asked, is_long=True)
    assert trial is not None
    call = ahead.tried(trial, asked)
    assert trial.holds(db.kept, call) is (count is None)
    if count is None:
        refusals = []
        for each in (call, asked):
            with pytest.raises(Refusal) as refused:
                engine.call(db.kept, each, db.now)
            refusals.append((refused.value.code, refused.value.message))
        assert refusals[0] == refusals[1]
    else:
        assert carried_out(db, call)["Count"] == count


def test_what_was_tried_is_let_go(db):
    call = update(db)
    call.trial.forget()
    assert carried_out(db, call) == {"Attributes": {"n": {"N": "7"}}}  # it is done now


def test_a_transaction_that_puts_an_item_without_a_key_is_refused(db):
    call = tried(db, "TransactWriteItems", TransactItems=[
        {"Delete": {"TableName": "Tab", "Key": {"p": {"S": "a"}}}}, {"Put": {"TableName": "Tab", "Item": {}}}])
    assert carried_out(db, call) == "TransactionCanceledException"
    assert [key.partition for _, key in engine.named(db.kept, call)] == ["a"]


def test_the_items_of_a_table_that_has_only_small_ones_are_not_looked_at(db, monkeypatch):
    db.table("Small", "p")
    db.put("Small", p={"S": "a"}, n={"S": "x" * 900})
    monkeypatch.setattr(engine.trials.targets, "looked_at", None)
    for operation, data in (("UpdateItem", {"TableName": "Small", "Key": {"p": {"S": "a"}}}), ("BatchWriteItem", {
            "RequestItems": {"Small": [{"DeleteRequest": {"Key": {"p": {"S": "a"}}}}]}})):
        assert ahead.trial(db.kept, Call(db.account, REGION, "dynamodb", operation, data)) is None
