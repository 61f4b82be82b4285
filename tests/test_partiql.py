"""PartiQL as others captured it on the service in October 2026: which statements it takes, what they mean, and what it
says of those that it refuses."""

from __future__ import annotations

import pytest
from engines import Database, index

MALFORMED = "Statement wasn't well formed, can't be processed: "
LEFT_OVER = MALFORMED + "Unexpected token after expression"
MULTI = "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
ITEM = {"p": {"S": "a"}, "s": {"S": "str"}, "ss": {"SS": ["a", "b"]}, "n": {"N": "1"}, "m": {"M": {"sub": {"S": "x"}}},
        "none": {"NULL": True}, "flag": {"BOOL": True}}


@pytest.fixture
def db() -> Database:
    return Database()


@pytest.fixture
def tab(db: Database) -> Database:
    """A table with a string as its key, and one with a number."""
    db.table("Tab", "p")
    db.put("Tab", **ITEM)
    db.table("Num", "k:N")
    for number in ("7310000", "7.3", "-7.3"):
        db.put("Num", k={"N": number})
    return db


def item(db: Database, key: str = "a") -> dict | None:
    return db("GetItem", TableName="Tab", Key={"p": {"S": key}}).get("Item")


def at(statement: str, token: str, after: str = "") -> str:
    """Where a token is, behind another one, as refusals say it."""
    return f"1:{statement.index(token, statement.index(after) + len(after)) + 1}:{len(token)}"


# Grammar

@pytest.mark.parametrize("condition", [
    "k = 7.31e6", "k = 7.31E+6", "k = 731e4", "k = 73100000e-1", "k = 7310000 -- a note", "k = 7310000 /* a note */",
    "/* one * / */ k = 7310000", "-- a note\nk = 7310000",
])
def test_numbers_and_comments_are_read(tab, condition):
    found = tab("ExecuteStatement", Statement=f"SELECT k FROM Num WHERE {condition}")["Items"]
    assert found == [{"k": {"N": "7310000"}}]


def test_a_number_needs_no_digit_before_its_point(tab):
    for literal, found in ((".73e1", "7.3"), ("-.73e1", "-7.3")):
        items = tab("ExecuteStatement", Statement=f"-- a note\nSELECT k FROM Num WHERE k = {literal}")["Items"]
        assert items == [{"k": {"N": found}}]


OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range under "


@pytest.mark.parametrize(("statement", "text"), [
    ("SELECT * FROM Num WHERE k = 1 foo", LEFT_OVER), ("SELECT * FROM Num WHERE k = 1 e5", LEFT_OVER),
    ("SELECT * FROM Num WHERE k = 1)", LEFT_OVER), ("INSERT INTO Num VALUE {'k': 1} foo", LEFT_OVER),
    ("UPDATE Num SET a = 9 WHERE k = 1 foo", LEFT_OVER), ("DELETE FROM Num WHERE k = 1 ORDER BY k", LEFT_OVER),
    ("SELECT * FROM Num ORDER BY k WHERE k = 1", LEFT_OVER), ("INSERT INTO Num t VALUE {'k': 1}", LEFT_OVER),
    *((f"SELECT * FROM Num WHERE k = {end}", MALFORMED) for end in (
        "1e2147483648", "1e99999999999", "1.5e-2147483647", "1 # note", "1 /* note")),
    ("SELECT * FROM Num WHERE", MALFORMED + "Unexpected term"),
    *((statement, "Aliasing is not supported") for statement in (
        "SELECT * FROM Tab t WHERE p = 'a'", "SELECT * FROM Tab AS t WHERE p = 'a'", "DELETE FROM Tab t WHERE p = 'a'",
        "UPDATE Tab t SET a = 3 WHERE p = 'a'", "FROM Tab t WHERE p = 'a' SET a = 3",
        'SELECT * FROM Tab."Index" "t" WHERE p = \'a\'')),
    ("SELECT * FROM Num WHERE k = 1e126", OVERFLOW + "root"), ("INSERT INTO Num VALUE {'k': 1e126}", OVERFLOW + "root"),
    ("INSERT INTO Num VALUE {'k': 1, 'm': {'x': 1e126}}", OVERFLOW + "root.x"),
    ("INSERT INTO Num VALUE {'k': 1, 'l': [1, {'x': 1e126}]}", OVERFLOW + "root[1].x"),
    ("UPDATE Num SET a = -1e-131 WHERE k = 1",
     "Number underflow. Attempting to store a number with magnitude smaller than supported range under root"),
    ("SELECT * FROM Num WHERE k = " + "1" * 39,
     "Attempting to store more than 38 significant digits in a Number under root"),
])
def test_malformed_statements_change_nothing(tab, statement, text):
    before = [tab("Scan", TableName=name)["Items"] for name in ("Tab", "Num")]
    refusal = tab.refusal("ExecuteStatement", Statement=statement)
    assert (refusal.code, refusal.message) == ("ValidationException", text)
    assert [tab("Scan", TableName=name)["Items"] for name in ("Tab", "Num")] == before


@pytest.mark.parametrize(("number", "text"), [
    ("1e2147483648", "The parameter cannot be converted to a numeric value: 1e2147483648"),
    ("1e-2147483648", "The parameter cannot be converted to a numeric value: 1e-2147483648"),
    ("1e2147483647", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
])
def test_the_numbers_of_parameters_are_those_of_java(tab, number, text):
    for statement in ("SELECT * FROM Num WHERE k = ?", "INSERT INTO Num VALUE {'k': 1, 'v': ?}"):
        assert tab.refusal("ExecuteStatement", Statement=statement, Parameters=[{"N": number}]).message == text


# Conditions

@pytest.mark.parametrize(("condition", "holds"), [
    ("attribute_exists(ss)", True), ("ATTRIBUTE_EXISTS(m.sub)", True), ("attribute_exists(m.other)", False),
    ("attribute_exists(ss) = true", True), ("attribute_exists(ss) = false", False),
    ("attribute_exists(ss) <> true", False), ("NOT attribute_not_exists(ss) = false", False),
    ("size(s) = 3", True), ("attribute_type(ss, 'SS')", True), ("none IS NULL", True), ("s IS NULL", False),
    ("s IS NOT NULL", True), ("flag IS BOOL", True), ("s IS STRING", True), ("s IS BOOL", False),
    ("s IS NOT BOOL", True), ("s < 5", False),
])
def test_functions_and_types_are_conditions(tab, condition, holds):
    found = tab("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE p = 'a' AND {condition}")["Items"]
    assert found == ([{"p": {"S": "a"}}] if holds else [])


OPERANDS = "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of " \
           "operands: "
NO_PATH = "Operator or function requires a document path; operator or function: attribute_exists"


@pytest.mark.parametrize(("condition", "text"), [
    ("attribute_exists('ss')", NO_PATH), ("attribute_exists(?)", NO_PATH), ("attribute_exists()", OPERANDS + "0"),
    ("attribute_exists(ss, n)", OPERANDS + "2"),
    *((f"{function}(ss)", f"Unrecognized function: {function.lower()} at 1:37:{len(function)}")
      for function in ("EXISTS", "set_add", "Other")),
])
def test_functions_that_are_refused(tab, condition, text):
    more = {"Parameters": [{"S": "ss"}]} if "?" in condition else {}
    assert tab.refusal("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE p = 'a' AND {condition}",
                       **more).message == text


@pytest.mark.parametrize("value", [{"BOOL": True}, {"NULL": True}, {"L": []}, {"M": {}}, {"SS": ["a"]}, {"NS": ["1"]},
                                   {"BS": ["AQ=="]}])
def test_what_has_no_order_is_not_compared_by_order(tab, value):
    type_, = value
    for operator in ("<", "<=", ">", ">="):
        assert tab.refusal("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE p = 'a' AND s {operator} ?",
                           Parameters=[value]).message == (
            f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {type_}")
    between = tab.refusal("ExecuteStatement", Statement="SELECT p FROM Tab WHERE p = 'a' AND s BETWEEN ? AND ?",
                          Parameters=[value, value])
    assert between.message.startswith("Incorrect operand type for operator or function; operator or function: BETWEEN")
    for operator, count in (("=", 0), ("<>", 1)):
        assert len(tab("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE p = 'a' AND s {operator} ?",
                       Parameters=[value])["Items"]) == count


# Writes

def test_an_update_may_begin_with_from(tab):
    tab("ExecuteStatement", Statement="from Tab where p = ? and n = 1 set c = ? remove s",
        Parameters=[{"S": "a"}, {"N": "7"}])
    assert item(tab) == {name: value for name, value in ITEM.items() if name != "s"} | {"c": {"N": "7"}}
    shown = tab("ExecuteStatement", Statement="FROM Tab WHERE p = 'a' SET c = 8 RETURNING MODIFIED NEW *")["Items"]
    assert shown == [{"c": {"N": "8"}}]
    for condition in ("p = 'a' AND n = 2", "p = 'b'"):
        assert tab.refusal("ExecuteStatement", Statement=f"FROM Tab WHERE {condition} SET c = 9").code == (
            "ConditionalCheckFailedException")
    assert item(tab, "b") is None
    tab("ExecuteTransaction", TransactStatements=[{"Statement": "FROM Tab WHERE p = 'a' SET c = 10"}])
    answer, = tab("BatchExecuteStatement", Statements=[{"Statement": "FROM Tab WHERE p = 'a' REMOVE m"}])["Responses"]
    found = item(tab)
    assert "Error" not in answer and found and found["c"] == {"N": "10"} and "m" not in found


@pytest.mark.parametrize("function", ["set_add", "set_delete"])
def test_set_functions_that_are_refused(tab, function):
    shown, wrong_type = function.upper(), "An operand in the update expression has an incorrect data type"
    equal = f"The first argument to {shown} must equal the assignment value at {{}}"
    is_set = f"The second argument to {shown} must be a value with type SET at {{first}}"
    for assigned, text in (
            (f"t = {function}(ss, <<'x'>>)", equal), (f"ss = {function}(<<'x'>>, <<'y'>>)", equal),
            (f"ss = {function}(ss, 'x')", is_set), (f"ss = {function}(ss, ['x'])", is_set),
            (f"ss = {function}(ss)", f"{shown} must have exactly two arguments at {{}}"),
            (f"ss = {function}(ss, <<'x'>>, <<'y'>>)", f"{shown} must have exactly two arguments at {{}}"),
            (f"ss = {function}(ss, <<1>>)", wrong_type), (f"s = {function}(s, <<'x'>>)", wrong_type),
            (f"ss = {function}(ss, <<>>)", "Empty bags are not supported"),
            (f"ss = {function}(ss, <<'x', 'x'>>)",
             "One or more parameter values were invalid: Input collection [x, x] contains duplicates.")):
        statement = f"UPDATE Tab SET {assigned} WHERE p = 'a'"
        first = at(statement, "ss", "(") if "(ss" in statement else ""
        assert tab.refusal("ExecuteStatement", Statement=statement).message == text.format(
            at(statement, function), first=first), assigned
    assert item(tab) == ITEM


def test_a_function_is_no_attribute_and_no_value(tab):
    select, insert = "SELECT attribute_exists(ss) FROM Tab", "INSERT INTO Tab VALUE {'p': 'b',\n'ss': set_add(1)}"
    assert tab.refusal("ExecuteStatement", Statement=select).message == "Unexpected path component at 1:8:16"
    assert tab.refusal("ExecuteStatement", Statement=insert).message == (
        "Unsupported data type: set_add under key root at 2:7:7")


# Indexes

@pytest.fixture
def indexed(db: Database) -> Database:
    db.table("Ind", "p", definitions=[{"AttributeName": name, "AttributeType": "S"} for name in "ghr"],
             GlobalSecondaryIndexes=[index("One", "g"), {"IndexName": "Many", "Projection": {"ProjectionType": "ALL"},
                                                         "KeySchema": [
                 {"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "HASH"},
                 {"AttributeName": "r", "KeyType": "RANGE"}]}])
    db.put("Ind", p={"S": "a"}, g={"S": "g"}, h={"S": "h"}, r={"S": "r"})
    return db


def test_an_index_with_several_keys_is_not_read(indexed):
    for statement in ('SELECT * FROM Ind."Many" WHERE g = \'g\' AND h = \'h\'', 'SELECT * FROM Ind."Many"',
                      'SELECT p FROM Ind."Many" WHERE g = 5 ORDER BY r'):
        assert indexed.refusal("ExecuteStatement", Statement=statement).message == MULTI
    assert indexed.refusal("ExecuteStatement", Statement='SELECT * FROM Ind."Many" WHERE').message == (
        MALFORMED + "Unexpected term")
    assert len(indexed("ExecuteStatement", Statement="SELECT p FROM Ind.One WHERE g = 'g'")["Items"]) == 1
    one, many, table = indexed("BatchExecuteStatement", Statements=[
        {"Statement": "SELECT * FROM Ind.One WHERE g = 'g'"}, {"Statement": "SELECT * FROM Ind.Many WHERE g = 'g'"},
        {"Statement": "SELECT p FROM Ind WHERE p = 'a'"}])["Responses"]
    assert one["Error"]["Message"] == (
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause.")
    assert many["Error"]["Message"] == MULTI and table["Item"] == {"p": {"S": "a"}}


def test_an_index_that_is_not_there_comes_before_a_consistent_read(indexed):
    for name, text in (("None", "The table does not have the specified index"),
                       ("One", "Strongly consistent read is not supported on Global Secondary Indexes")):
        assert indexed.refusal("ExecuteStatement", Statement=f"SELECT * FROM Ind.\"{name}\"",
                               ConsistentRead=True).message == text


# Batches and transactions

def test_a_select_of_several_names_its_key_and_nothing_else(tab):
    for condition in ("p = 'a' AND attribute_exists(ss)", "p = 'a' AND n = 1", "n = 1", "p > 'a'"):
        statement = {"Statement": f"SELECT * FROM Tab WHERE {condition}"}
        answer, = tab("BatchExecuteStatement", Statements=[statement])["Responses"]
        assert answer["Error"] == {"Code": "ValidationError", "Message": "Select statements within "
                                   "BatchExecuteStatement must specify the primary key in the where clause."}
        good = {"Statement": "SELECT * FROM Tab WHERE p = 'a'"}
        assert tab.refusal("ExecuteTransaction", TransactStatements=[good, statement]).message == (
            "Validation failed in TransactStatements[1]: Select statements within ExecuteTransaction must specify the "
            "primary key in the where clause.")


def test_exists_needs_a_condition_besides_the_key(tab):
    update = {"Statement": "UPDATE Tab SET z = 1 WHERE p = 'a'"}
    refusal = tab.refusal("ExecuteTransaction", TransactStatements=[
        update, {"Statement": "EXISTS(SELECT * FROM Tab WHERE p = 'b')"}])
    assert refusal.message == ("Validation failed in TransactStatements[1]: EXISTS() must contain a single item read "
                               "with additional condition")
    assert item(tab) == ITEM
