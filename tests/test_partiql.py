"""PartiQL as others captured it on the service in September and October 2026: which statements it takes, what they
mean, and what it says of those that it refuses."""

from __future__ import annotations

import pytest
from engines import Database, index

from gtlab.localcloud import engine
from gtlab.localcloud.engine import partiql_keys
from gtlab.localcloud.model import NO_SORT_KEY, Call, Key, Refusal, TableId

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
    *((statement, MALFORMED + "Unexpected term") for statement in (
        "SELECT * FROM Num WHERE", "SELECT * FROM Num WHERE;", "SELECT k FROM Num WHERE   ", "DELETE FROM Num WHERE",
        "UPDATE Num SET a = 1 WHERE", "SELECT * FROM Num WHERE NOT", "SELECT * FROM Num WHERE (",
        "SELECT * FROM Absent WHERE", "SELECT * FROM")),
    *((f"SELECT * FROM Num WHERE k = 1 {operator}", MALFORMED + "Missing right-hand side expression of infix operator")
      for operator in ("AND", "OR")),
    ("SELECT * FROM Num WHERE k =", MALFORMED + "Missing right-hand side expression of infix operator"),
    ("SELECT * FROM Num WHERE ORDER BY k", MALFORMED + "Unexpected keyword"),
    *((f"x IS {type_}", "Unsupported operation: IsType") for type_ in (
        "INT4", "INT8", "DOUBLE PRECISION", "CHARACTER VARYING")),
    ("SELECT * FROM Num WHERE k = 1 AND x IS FOO", MALFORMED + "Expected type name"),
    ("SELECT * FROM Num WHERE IS NULL", MALFORMED + "Unexpected operator"),
    ("SELECT * FROM Num WHERE k = LIKE", MALFORMED + "Unexpected operator"),
    *((statement, MALFORMED + "Expected identifier for simple path") for statement in (
        "DELETE FROM", "DELETE FROM   ", "DELETE FROM;", "DELETE FROM WHERE k = 1",
        "UPDATE Num SET set = 1 WHERE k = 1", "UPDATE order SET a = 1 WHERE k = 1")),
    *((statement, "Where clause does not contain a mandatory equality on all key attributes") for statement in (
        "FROM Num SET c = 1", "FROM Num REMOVE a", "FROM Num WHERE a = 1 SET c = 1", "DELETE FROM Num WHERE a = 1",
        "DELETE FROM Num", "UPDATE Num SET c = 1")),
    ("FROM Num SET c = 1 WHERE k = 1", LEFT_OVER), ("FROM Num SET c = 1 WHERE k = 1 SET d = 2", LEFT_OVER),
    ("UPDATE Num REMOVE a, b WHERE k = 7.3", LEFT_OVER),
    ("SELECTT * FROMM Num", LEFT_OVER), ("SLECT * FROM Num WHERE k = 1", MALFORMED + "Expected data manipulation"),
    ("UPDATE Num-1 SET a = 1 WHERE k = 1", MALFORMED + "Expected data manipulation"),
    ("SELECT * FROM Tab.One.Two WHERE p = 'a'", "A path may contain at most 2 components in the FROM clause"),
    *((f"SELECT * FROM {table} WHERE p = 'a'", "Path component cannot be an empty string") for table in (
        '""', 'Tab.""')),
    ("INSERT INTO Tab.One VALUE {'p': 'b'}", "FROM clause may only contain a single table name"),
    ("UPDATE Tab.One SET a = 1 WHERE p = 'a'", "This operation is not supported on an index"),
    ("DELETE FROM Tab.One WHERE p = 'a'", "This operation is not supported on an index"),
    *((f"DELETE FROM Tab WHERE p = 'a' RETURNING {words} *", f"Invalid returning clause: RETURNING {words} *. Only "
       "RETURNING ALL OLD * is allowed in DELETE statements.")
      for words in ("MODIFIED OLD", "ALL NEW", "MODIFIED NEW")),
    *((f"{verb} Tab {action} WHERE p = 'a' AND p = 'b'", "Multiple conditions on same key p. Only single item "
       "Update/Insert/Delete are supported") for verb, action in (("UPDATE", "SET a = 1"), ("DELETE FROM", ""))),
    ("SELECT p FROM Absent WHERE p = 'a' AND s < true",
     "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
    *((f"UPDATE Tab SET n = {value} WHERE p = 'a' AND s = 'x'", "Incorrect operand type for operator or function; "
       f"operator or function: {operator}, operand type: {type_}") for value, operator, type_ in (
        ("'a' + 1", "+", "S"), ("n - null", "-", "NULL"), ("n + [1]", "+", "L"))),
    *((f"SELECT p FROM Tab WHERE attribute_type(s, {value})", "Incorrect operand type for operator or function; "
       f"operator or function: attribute_type, operand type: {type_}")
      for value, type_ in (("1", "N"), ("true", "BOOL"))),
    *((f"SELECT s[{index}] FROM Tab", f"List index is not within the allowable range; index: [{index}] at {place}")
      for index, place in (("-1", "1:11:1"), ("2147483648", "1:10:10"))),
    ("UPDATE Tab SET n = n--1 WHERE p = 'a'",
     "Where clause does not contain a mandatory equality on all key attributes"),
    *((f"UPDATE Tab SET d = {begin * 32}1{end * 32} WHERE p = 'a'",
       f"Nesting Levels have exceeded supported limits under root{part * 32}") for begin, end, part in (
        ("{'a':", "}", ".a"), ("[", "]", "[0]"))),
    ("UPDATE Tab SET ns = <<2, 2.0>> WHERE p = 'a'",
     "One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root"),
    *((f"SELECT p FROM Tab WHERE p = 'a' AND s IN [{values}]",
       "The IN operator is provided with too many operands; number of operands: 101") for values in (
        "'a'" + ", 'a'" * 100,)),
    *((f"SELECT * FROM Tab WHERE n > -{what}", None) for what in ("?", "n")),
    ("SELECT * FROM Tab WHERE p", None),
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
    assert refusal.code == "ValidationException" and text in (None, refusal.message)
    assert [tab("Scan", TableName=name)["Items"] for name in ("Tab", "Num")] == before


@pytest.mark.parametrize(("number", "text"), [
    ("1e2147483648", "The parameter cannot be converted to a numeric value: 1e2147483648"),
    ("1e-2147483648", "The parameter cannot be converted to a numeric value: 1e-2147483648"),
    ("1e2147483647", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
])
def test_the_numbers_of_parameters_are_those_of_java(tab, number, text):
    for statement in ("SELECT * FROM Num WHERE k = ?", "INSERT INTO Num VALUE {'k': 1, 'v': ?}"):
        assert tab.refusal("ExecuteStatement", Statement=statement, Parameters=[{"N": number}]).message == text


def test_a_misspelt_statement_of_several_refuses_itself(tab):
    for operation, name, statement in (("ExecuteTransaction", "TransactStatements", "SELECT * FROM Tab WHERE"),
                                       ("BatchExecuteStatement", "Statements", "SELECT * FROM Tab WHERE")):
        asked = {name: [{"Statement": "SELECT p FROM Tab WHERE p = 'a'"}, {"Statement": statement}]}
        if name == "Statements":
            good, bad = tab(operation, **asked)["Responses"]
            assert good == {"TableName": "Tab", "Item": {"p": {"S": "a"}}}
            assert bad == {"Error": {"Code": "ValidationError", "Message": MALFORMED + "Unexpected term"}}
        else:
            assert tab.refusal(operation, **asked).message == (
                f"Validation failed in TransactStatements[1]: {MALFORMED}Unexpected term")


@pytest.mark.parametrize("name", ["inner", "Order", "size", "VALUE", "date", "int4", "returning"])
def test_a_keyword_is_no_name_without_quotes(tab, name):
    for statement, text in ((f"SELECT m.{name} FROM Tab", "Invalid path dot component"),
                            (f"UPDATE Tab SET m.{name} = 1 WHERE p = 'a'", "Invalid path dot component"),
                            (f"UPDATE Tab SET {name} = 1 WHERE p = 'a'", "Expected identifier for simple path"),
                            (f"UPDATE Tab REMOVE m.{name} WHERE p = 'a'", "Invalid path dot component"),
                            (f"SELECT * FROM Tab WHERE m.{name} = 1", "Invalid path dot component"),
                            (f"SELECT * FROM Tab WHERE attribute_exists(m.{name})", "Invalid path dot component"),
                            (f"SELECT * FROM {name}", "Unexpected keyword")):
        assert tab.refusal("ExecuteStatement", Statement=statement).message == MALFORMED + text
    tab("ExecuteStatement", Statement=f"UPDATE Tab SET m.\"{name}\" = 1 SET \"{name}\" = 2 WHERE p = 'a'")
    found = tab("ExecuteStatement", Statement=f"SELECT m.\"{name}\" FROM Tab WHERE \"{name}\" = 2")["Items"]
    assert found == [{name: {"N": "1"}}]


def test_dynamodbs_reserved_words_are_names(tab):
    tab("ExecuteStatement", Statement="UPDATE Tab SET data = 1 SET name = 2 SET m.status = 3 WHERE p = 'a'")
    assert tab("ExecuteStatement", Statement="SELECT data, m.status FROM Tab WHERE name = 2")["Items"] == [
        {"data": {"N": "1"}, "status": {"N": "3"}}]


def test_a_column_has_its_last_name_and_the_indexes_behind_it(tab):
    tab("ExecuteStatement", Statement="UPDATE Tab SET l = [5, {'x': [6]}] WHERE p = 'a'")
    assert tab("ExecuteStatement", Statement="SELECT l[0], l[1].x[0], m.sub, l[2147483647] FROM Tab "
               "WHERE p = 'a'")["Items"] == [{"l[0]": {"N": "5"}, "x[0]": {"N": "6"}, "sub": {"S": "x"}}]
    assert tab("ExecuteStatement", Statement="SELECT l[-0] FROM Tab WHERE p = 'a'")["Items"] == [{"l[0]": {"N": "5"}}]


def test_a_deep_literal_may_be_as_deep_as_an_attribute(tab):
    tab("ExecuteStatement", Statement=f"UPDATE Tab SET d = {{'a':{'[' * 30}1{']' * 30}}} WHERE p = 'a'")
    found = item(tab)
    assert found and "d" in found


def test_a_literal_has_no_parameters_in_it(tab):
    for value, place, key in (("[?]", "1:21:1", "root[0]"), ("{'k': ?}", "1:26:1", "root.k")):
        refusal = tab.refusal("ExecuteStatement", Statement=f"UPDATE Tab SET x = {value} WHERE p = 'a'",
                              Parameters=[{"S": "v"}])
        assert refusal.message == f"Unsupported data type: Parameter under key {key} at {place}"
    tab("ExecuteStatement", Statement="INSERT INTO Tab VALUE {'p': ?, 'm': ?}", Parameters=[{"S": "b"}, {"M": {}}])
    assert item(tab, "b") == {"p": {"S": "b"}, "m": {"M": {}}}


def test_parameters_come_before_the_statement(tab):
    bad = [{"SS": ["a", "a"]}]
    text = "One or more parameter values were invalid: Input collection [a, a] contains duplicates."
    assert tab.refusal("ExecuteStatement", Statement="UPDATE Tab SET WHERE", Parameters=bad).message == text
    update = {"Statement": "UPDATE Tab SET y = ? WHERE p = 'a'"}
    assert tab.refusal("ExecuteTransaction", TransactStatements=[
        {"Statement": "SELECT"}, update | {"Parameters": bad}]).message == text
    answers = tab("BatchExecuteStatement", Statements=[
        update | {"Parameters": [{"SS": []}]},
        {"Statement": "UPDATE Tab SET z = ? WHERE p = 'a'", "Parameters": [{"N": "1"}]},
        {"Statement": "DELETE FROM Tab WHERE p = ?", "Parameters": [{"N": "1e99999999999"}]}])["Responses"]
    assert [answer.get("Error", {}).get("Message") for answer in answers] == [
        "One or more parameter values were invalid: An string set  may not be empty", None,
        "The parameter cannot be converted to a numeric value: 1e99999999999"]
    assert item(tab) == ITEM | {"z": {"N": "1"}}


def test_as_many_parameters_as_question_marks(tab):
    text = "Number of parameters in request and statement don't match."
    for parameters in ({}, {"Parameters": [{"N": "1"}, {"N": "2"}]}):
        assert tab.refusal("ExecuteStatement", Statement="SELECT * FROM Tab WHERE n = ?", **parameters).message == text
    answer, = tab("BatchExecuteStatement", Statements=[{"Statement": "UPDATE Tab SET n = ?, s = ? WHERE p = ?",
                                                        "Parameters": [{"N": "1"}]}])["Responses"]
    assert answer == {"Error": {"Code": "ValidationError", "Message": text}}


def test_the_models_bounds_refuse_the_whole_request(tab):
    good = {"Statement": "SELECT * FROM Tab WHERE p = 'a'"}
    for part, place, text in (
            ({"Statement": ""}, "statement", "Value '' at '{}' failed to satisfy constraint: Member must have "
                                             "length greater than or equal to 1"),
            ({"Statement": "x" * 8193}, "statement", "Value at '{}' failed to satisfy constraint: Member must have "
                                                     "length less than or equal to 8192"),
            (good | {"Parameters": []}, "parameters", "Value '[]' at '{}' failed to satisfy constraint: Member must "
                                                      "have length greater than or equal to 1")):
        for operation, asked, before in (
                ("ExecuteStatement", part, ""), ("BatchExecuteStatement", {"Statements": [good, part]},
                                                 "statements.2.member."),
                ("ExecuteTransaction", {"TransactStatements": [part]}, "transactStatements.1.member.")):
            assert tab.refusal(operation, **asked).message == (
                "1 validation error detected: " + text.format(before + place))


def test_a_write_is_not_continued(tab):
    tab("ExecuteStatement", Statement="UPDATE Tab SET z = 1 WHERE p = 'a'", Limit=1)  # a limit of reads
    assert tab.refusal("ExecuteStatement", Statement="UPDATE Tab SET z = 2 WHERE p = 'a'", NextToken="x").code == (
        "ValidationException")
    assert item(tab) == ITEM | {"z": {"N": "1"}}


def test_a_long_statement_has_a_thousand_conditions(tab):
    for operator, found in (("OR", 1), ("AND", 0)):
        condition = f" {operator} ".join(["n=1", *["n=2"] * 1000])
        assert len(tab("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE {condition}")["Items"]) == found
    for condition in ("(" * 80 + "n=1" + ")" * 80, "n" + "=1" * 900, "NOT " * 200 + "n=1"):
        assert tab.refusal("ExecuteStatement", Statement=f"SELECT p FROM Tab WHERE {condition}").code == (
            "ValidationException")


# Conditions

@pytest.mark.parametrize(("condition", "holds"), [
    ("attribute_exists(ss)", True), ("ATTRIBUTE_EXISTS(m.sub)", True), ("attribute_exists(m.other)", False),
    ("attribute_exists(ss) = true", True), ("attribute_exists(ss) = false", False),
    ("attribute_exists(ss) <> true", False), ("NOT attribute_not_exists(ss) = false", False),
    ("size(s) = 3", True), ("attribute_type(ss, 'SS')", True), ("none IS NULL", True), ("s IS NULL", False),
    ("s IS NOT NULL", True), ("flag IS BOOL", True), ("s IS STRING", True), ("s IS BOOL", False),
    ("s IS NOT BOOL", True), ("s < 5", False),
    ("attribute_exists(other) = false", True), ("true = attribute_exists(n)", True), ("attribute_exists(n) <> 1", True),
    ("contains(other, 'z') = false", True), ("(n BETWEEN 0 AND 5) = true", True),
    ("(n = 5 OR s = 'x') = false", True), ("attribute_exists(other) IN [true, false]", True),
    ("attribute_exists(n) = attribute_exists(s)", True), ("attribute_exists(n) = flag", True),
    ("attribute_exists(n) = 1", False), ("NOT attribute_exists(n) = true", False),
    ("(attribute_exists(n) = true) = false", False), ("attribute_exists(n) = s", False),
    ("n = - - 1", True), ("n > -/* c */-1", False), ("n BETWEEN - 2 AND +5 AND n IN [- 1, 1]", True),
    ("n>-5;", True), ("(attribute_exists(other) OR attribute_exists(ss))", True), ("(s) = 'str'", True),
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
    assert indexed.refusal("ExecuteStatement", Statement='SELECT COUNT(*) FROM Ind."Many"').message == MULTI
    for table in ("Ind", "Absent", "Ind.One", "Ind.Absent"):
        statement = f"SELECT COUNT(*) FROM {table} WHERE p = 'a'"
        assert indexed.refusal("ExecuteStatement", Statement=statement).message == "Unexpected path component at 1:8:5"
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


@pytest.fixture
def partial(db: Database) -> Database:
    """A table with a global and a local index that do not have all attributes."""
    db.table("Part", "p", "s", definitions=[{"AttributeName": name, "AttributeType": "S"} for name in "gl"],
             GlobalSecondaryIndexes=[index("Glob", "g", projection="INCLUDE", include=("shown",))],
             LocalSecondaryIndexes=[index("Loc", "p", "l", projection="KEYS_ONLY")])
    for n, g in (("1", "y"), ("2", "y2")):
        db.put("Part", p={"S": "p"}, s={"S": n}, g={"S": g}, l={"S": n}, shown={"S": "one"}, hidden={"S": n})
    return db


NOT_PROJECTED = "One or more parameter values were invalid: Secondary index {} does not project one or more filter " \
                "attributes: [{}]"


@pytest.mark.parametrize(("index_name", "condition", "missing"), [
    ("Glob", "g = 'y' AND hidden = '1'", "hidden"), ("Loc", "p = 'p' AND hidden = '1'", "hidden"),
    ("Glob", "g = 'y' AND NOT (hidden = '1' OR shown = 'x')", "hidden"),
    ("Glob", "g = 'y' AND b = '1' AND (a = '2' OR shown = '3')", "a, b"),
    ("Glob", "g = 'y' AND (zz = '1' OR aa = '2' OR mm = '3')", "zz, aa, mm"),
    ("Glob", "(g = 'y' OR g = 'z') AND zz = '1'", "zz"), ("Glob", "g IN ['y', 'z'] AND hidden = '1'", "hidden"),
    ("Glob", "(g = 'b' AND u1 = '1') OR (g = 'q' AND u2 = '1')", "u2"),
    ("Glob", "(g = 'q' AND u1 = '1') OR (g = 'b' AND u2 = '1')", "u1"),
    ("Loc", "p = 'p' AND l BETWEEN '1' AND '2' AND hidden = '1'", "hidden"),
    ("Glob", "g = 'y' AND hidden IS NOT MISSING", "hidden"), ("Glob", "g = 'y' AND begins_with(hidden, '1')", "hidden"),
])
def test_a_filter_by_what_an_index_lacks_is_refused_where_the_key_decides(partial, index_name, condition, missing):
    statement = f"SELECT p FROM Part.{index_name} WHERE {condition}"
    assert partial.refusal("ExecuteStatement", Statement=statement).message == NOT_PROJECTED.format(index_name, missing)


@pytest.mark.parametrize(("index_name", "condition", "found"), [
    ("Glob", "hidden = '1'", ""), ("Loc", "hidden = '1'", ""), ("Glob", "NOT hidden = '1'", "12"),
    ("Glob", "(g = 'y' AND hidden = '1') OR (g = 'y2')", "2"), ("Glob", "g = 'y' AND shown IS NOT MISSING", "1"),
    ("Glob", "(g = 'y' AND shown = '1') OR (g = 'y2' AND aa = '1')", ""), ("Glob", "g > 'a' AND zz = '1'", ""),
    ("Glob", "g = 'y' AND (g = 'z' OR zz = '1')", ""), ("Glob", "(g = 'y' AND zz = '1') OR aa = '1'", ""),
    ("Loc", "p = 'p'", "12"),
])
def test_otherwise_a_filter_sees_what_the_index_has(partial, index_name, condition, found):
    items = partial("ExecuteStatement", Statement=f"SELECT s FROM Part.{index_name} WHERE {condition}")["Items"]
    assert "".join(sorted(item["s"]["S"] for item in items)) == found


def test_what_a_global_index_lacks_is_listed_as_it_is_written(partial):
    for condition in ("", " WHERE g = 'y'"):
        statement = f"SELECT zz, shown, aa FROM Part.Glob{condition}"
        assert partial.refusal("ExecuteStatement", Statement=statement).message == (
            "One or more parameter values were invalid: Global secondary index Glob does not project [zz, aa]")
    found = partial("ExecuteStatement", Statement="SELECT hidden FROM Part.Loc WHERE p = 'p' AND l = '2'")["Items"]
    assert found == [{"hidden": {"S": "2"}}]


# What a WHERE reads

@pytest.fixture
def ranges(db: Database) -> Database:
    db.table("Two", "p", "s")
    for n, flag in (("1", "one"), ("2", "two"), ("3", "three")):
        db.put("Two", p={"S": "r"}, s={"S": n}, flag={"S": flag})
    db.put("Two", p={"S": "other"}, s={"S": "1"}, flag={"S": "one"})
    return db


@pytest.mark.parametrize(("where", "found"), [
    ("p = 'r' AND (s = '1' OR s = '2')", "12"), ("p = 'r' AND s IN ['1', '3']", "13"),
    ("p = 'r' AND (s < '2' OR s > '2' OR s = '2')", "123"), ("p = 'r' AND attribute_exists(p)", "123"),
    ("p = 'r' AND NOT s = '1'", "23"), ("p = 'r' AND s <> '1'", "23"), ("p = 'r' AND s > '0' AND s <> '1'", "23"),
    ("p = 'r' AND s = '1' AND s > '0'", "1"), ("p = 'r' AND s = '1' AND s > '5'", ""), ("p = 'r' OR s = '1'", "1123"),
    ("p > 'q' AND s = '1'", "1"), ("p = 'r' AND p = 'other'", ""), ("(p = 'r' AND s = '1') AND flag = 'one'", "1"),
    ("p IN ['r', 'other'] AND s = '1'", "11"), ("'2' <= s AND 'r' = p", "23"),
    ("p = 'r' AND s BETWEEN '2' AND '3' AND s < '3'", "2"), ("p = 'r' AND begins_with(s, '2')", "2"),
    *((f"p = 'r' AND {left} OR p = 'r' AND s = '2'", found) for left, found in (
        ("NOT s = '1'", "23"), ("s <> '1'", "23"), ("NOT begins_with(s, 'x')", "123"), ("NOT s IN ['1', '3']", "2"),
        ("NOT s > '5'", "123"), ("NOT (s = '1')", "23"))),
    ("p = 'r' OR p = 'r' AND NOT s = '1'", "123"),
    ("p IN [" + ", ".join(f"'{n}'" for n in range(50)) + ", 'r'] OR flag = 'one'", "1123"),
    ("p = 'r' AND flag IN [" + ", ".join(f"'{n}'" for n in range(99)) + ", 'two']", "2"),
])
def test_a_where_reads_each_item_once(ranges, where, found):
    items = ranges("ExecuteStatement", Statement=f"SELECT s FROM Two WHERE {where}")["Items"]
    assert "".join(sorted(item["s"]["S"] for item in items)) == found


OVERLAPPING = "Overlapping conditions with range keys are not supported in where clause"
TOO_MANY = "Too many decomposed read operations for a given query."
WRONG_TYPE = "Key attribute's data type should match its data type in table's schema: Key "


@pytest.mark.parametrize(("where", "text"), [
    *((where, OVERLAPPING) for where in (
        "p IN ['r', 'r']", "p = 'r' OR p = 'r'", "p = 'r' AND (s > '0' OR s < '5')",
        "p = 'r' AND (s = '1' OR flag = 'two')",
        "(p = 'r' AND flag = 'one') OR (p = 'r' AND flag = 'two')", "p = 'r' AND x = '1' OR p = 'r' AND s = '2'",
        "p = 'r' AND x <> '1' OR p = 'r' AND s = '2'", "p = 'r' AND s BETWEEN '1' AND '3' OR p = 'r' AND s = '2'",
        "p = 'r' AND (s < '9' OR s = '1' OR s = '2')")),
    *((where, TOO_MANY) for where in (
        "p IN [" + ", ".join(f"'{n}'" for n in range(51)) + "]",
        "p = 'r' AND s IN [" + ", ".join(f"'{n}'" for n in range(51)) + "]",
        "p IN [" + ", ".join(f"'{n}'" for n in range(26)) + "] AND s IN ['1', '2']",
        " OR ".join(f"p = '{n}'" for n in range(300)),
        " AND ".join(["p = 'r'", *["(s = '1' OR s = '2')"] * 100]))),
    ("p = 1 OR p = 'r'", WRONG_TYPE + "p"), ("p = 'r' AND s IN ['1', 2]", WRONG_TYPE + "s"),
    ("p = 1", WRONG_TYPE + "p"), ("p = 'r' AND s > 1", WRONG_TYPE + "s"),
])
def test_a_where_that_is_not_read(ranges, where, text):
    assert ranges.refusal("ExecuteStatement", Statement=f"SELECT s FROM Two WHERE {where}").message == text


# AWS's DynamoDB Local says so (recorded by others, October 2026, releases 3.2 and 3.3); nobody asked the service.
@pytest.mark.parametrize(("statement", "text"), [
    ("SELECT s FROM Two LIMIT 5", "Unsupported clause: LIMIT at 1:25:1"),
    ("SELECT s, n, s FROM Two WHERE p = 'r'", "Duplicate identifiers in select clause: s"),
    ("SELECT m.s, s FROM Absent", "Duplicate identifiers in select clause: s"),
    ("SELECT l[0], m.l[0] FROM Two", "Duplicate identifiers in select clause: l[0]"),
    ("SELECT s AS x FROM Two WHERE p = 'r'", "Aliasing is not supported"),
])
def test_what_a_select_has_not(ranges, statement, text):
    assert ranges.refusal("ExecuteStatement", Statement=statement).message == text


def test_a_select_goes_on_with_a_token_of_its_own(ranges):
    token = ranges("ExecuteStatement", Statement="SELECT s FROM Two WHERE p = 'r'", Limit=1)["NextToken"]
    for statement, given, text in (("SELECT s FROM Two WHERE p = 'r'", "garbage", "Invalid NextToken"),
                                   ("SELECT s FROM Two", token, "NextToken does not match request")):
        assert ranges.refusal("ExecuteStatement", Statement=statement, NextToken=given).message == text


@pytest.mark.parametrize(("rest", "text"), [
    ("ORDER BY n", "Must have WHERE clause in the statement when using ORDER BY clause."),
    ("WHERE p > 'a' ORDER BY n, s", "Attribute n in ORDER BY clause must be part of the primary key"),
    *((f"WHERE {where} ORDER BY s", "Must have at least one non-optional hash key condition in WHERE clause when using "
       "ORDER BY clause.") for where in ("p > 'a'", "s = '1'", "p = 'r' OR s = '1'")),
    *((f"WHERE {where} ORDER BY s DESC", "Must have hash key in ORDER BY clause when more than one hash key condition "
       "specified in WHERE clause.") for where in ("p IN ['o', 'p']", "p = 'o' OR p = 'p'")),
])
def test_an_order_that_is_not_read(ranges, rest, text):
    assert ranges.refusal("ExecuteStatement", Statement=f"SELECT s FROM Two {rest}").message == text


def test_pages_of_several_ranges_join(ranges):
    for where, order, expected in (("p = 'r' AND s IN ['3', '1', '2']", "", "312"),
                                   ("p = 'r' AND (s > '2' OR s < '2')", " ORDER BY s DESC", "31"),
                                   ("p IN ['other', 'r'] AND s IN ['1', '2']", " ORDER BY p DESC", "211"),
                                   ("p = 'r' AND NOT s = '2' OR p = 'r' AND s = '2'", "", "123")):
        seen, token = list[str](), {}
        while True:
            page = ranges("ExecuteStatement", Statement=f"SELECT s FROM Two WHERE {where}{order}", Limit=1, **token)
            seen += [item["s"]["S"] for item in page["Items"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert "".join(seen if order or "IN" in where else sorted(seen)) == expected


# Batches and transactions

def failed(text: str, place: int = 0) -> str:
    return f"Validation failed in TransactStatements[{place}]: {text}"


def transaction(db: Database, *statements: str) -> Refusal:
    return db.refusal("ExecuteTransaction", TransactStatements=[{"Statement": each} for each in statements])


def codes(refusal: Refusal) -> list[str]:
    assert refusal.code == "TransactionCanceledException"
    return [reason["Code"] for reason in refusal.details["CancellationReasons"]]


NEEDS_KEY = "Select statements within {} must specify the primary key in the where clause."


def test_a_transaction_reads_by_whole_keys_only(ranges):
    for where in ("p = 'r' AND s = '1' AND flag = 'one'", "p = 'r' AND s = '1' AND p = 'other'", "p = 'r'",
                  "p IN ['other'] AND p = 'r' AND s = '1'", "p = 'r' AND s > '1'"):
        assert transaction(ranges, f"SELECT * FROM Two WHERE {where}").message == failed(
            NEEDS_KEY.format("ExecuteTransaction"))
    for where in ("(s = '1') AND p = 'r' AND p = 'r'", "p IN ['r'] AND s IN ['1']",
                  "(p IN ['r']) AND p = 'r' AND s = '1'"):
        assert ranges("ExecuteTransaction", TransactStatements=[
            {"Statement": f"SELECT flag FROM Two WHERE {where}"}])["Responses"] == [{"Item": {"flag": {"S": "one"}}}]
    assert transaction(ranges, "SELECT * FROM Two WHERE p IN ['r', 'r'] AND s = '1'").message == failed(OVERLAPPING)
    assert transaction(ranges, "SELECT * FROM Two WHERE p IN [" + ", ".join(["'v'"] * 101) + "]").message == failed(
        "The IN operator is provided with too many operands; number of operands: 101")


def test_a_batch_reads_by_whole_keys_only(ranges):
    for where, text in (("p IN ['r'] AND s = '1'", None), ("p = 'r' AND s = '1' AND flag = 'one'", NEEDS_KEY),
                        ("p = 'r' AND s = '1' AND p = 'other'", NEEDS_KEY),
                        ("p IN [" + ", ".join(f"'{n}'" for n in range(51)) + "] AND s = '1'", TOO_MANY)):
        answer, = ranges("BatchExecuteStatement", Statements=[
            {"Statement": f"SELECT s FROM Two WHERE {where}"}])["Responses"]
        assert answer == ({"TableName": "Two", "Item": {"s": {"S": "1"}}} if text is None else {
            "Error": {"Code": "ValidationError", "Message": text.format("BatchExecuteStatement")}})


def test_a_transaction_names_each_item_once(ranges):
    select = "SELECT * FROM Two WHERE p = 'r' AND s = '1'"
    assert transaction(ranges, select, "SELECT flag FROM Two WHERE s = '1' AND p = 'r'").message == (
        "Transaction request cannot include multiple operations on one item")
    assert codes(transaction(ranges, select, select, "SELECT * FROM Two WHERE p = 1 AND s = '1'")) == [
        "None", "None", "ValidationError"]


def test_an_index_is_not_read_in_a_transaction(partial):
    for table in ("Part.Glob", "Part.Other"):
        assert transaction(partial, f"SELECT * FROM {table} WHERE p = 'p' AND s = '1'").message == failed(
            "Reads on indices are not supported within transactions.")


def test_a_table_that_is_not_there_cancels_a_transaction(ranges):
    missing, select = "UPDATE Absent SET a = 1 WHERE p = 'x' AND s = '1'", "SELECT * FROM Two WHERE p = 'r' AND s = '1'"
    refusal = transaction(ranges, missing + " RETURNING ALL NEW *", "DELETE FROM Absent WHERE p = 'x'")
    assert codes(refusal) == ["ResourceNotFound"] * 2
    assert refusal.details["CancellationReasons"][0]["Message"] == "Requested resource not found"
    refusal = transaction(ranges, select, "SELECT * FROM Absent.Idx WHERE p = 'x' AND s = '1'")
    assert codes(refusal) == ["None", "ResourceNotFound"]
    assert "Message" not in refusal.details["CancellationReasons"][0]
    returning = "UPDATE Two SET a = 1 WHERE p = 'r' AND s = '1' RETURNING ALL NEW *"
    assert transaction(ranges, missing, returning).message == failed(
        "RETURNING clause is not supported in ExecuteTransaction.", 1)


def test_a_key_that_does_not_fit_cancels_a_transaction(ranges):
    update, mismatch = "UPDATE Two SET a = 1 WHERE ", "The provided key element does not match the schema"
    refusal = transaction(ranges, update + "p = 'r'", update + "p IN ['r'] AND s = '1'",
                          update + "p = 'r' AND s = '1' AND p = 'other'", update + "p = 'r' AND s = 1",
                          update + "p = 'r' AND s = '1'")
    assert codes(refusal) == ["ValidationError"] * 4 + ["None"]
    reasons = refusal.details["CancellationReasons"]
    assert reasons[0]["Message"] == reasons[3]["Message"] == mismatch
    refusal = transaction(ranges, "INSERT INTO Two VALUE {'p': 'new'}", "DELETE FROM Two WHERE s = '1'")
    assert [reason["Message"] for reason in refusal.details["CancellationReasons"]] == [
        "One or more parameter values were invalid: Missing the key s in the item", mismatch]
    refusal = transaction(ranges, "SELECT * FROM Two WHERE p = 'r' AND s = 1")
    assert refusal.details["CancellationReasons"][0]["Message"] == mismatch
    assert len(ranges("Scan", TableName="Two")["Items"]) == 4


def test_what_is_wrong_with_a_statement_is_no_reason_to_cancel(ranges):
    for statement, text in (("INSERT INTO Two VALUE {'p': 'x', 's': '1', 'x': [<<'a', 'a'>>]}",
                             "One or more parameter values were invalid: Input collection [a, a] contains duplicates."),
                            ("UPDATE Two SET n = n + [1] WHERE p = 'r' AND s = '1'", "Incorrect operand type for "
                             "operator or function; operator or function: +, operand type: L"),
                            (f"UPDATE Two SET d = {'[' * 32}1{']' * 32} WHERE p = 'r' AND s = '1'",
                             "Nesting Levels have exceeded supported limits under root" + "[0]" * 32)):
        assert transaction(ranges, statement).message == failed(text)


def test_exists_reads_one_item_by_its_first_key(ranges):
    update = "UPDATE Two SET b = 1 WHERE p = 'other' AND s = '1'"
    exists = "EXISTS(SELECT * FROM Two WHERE {} AND s = '1' AND {} flag = 'one')"
    refusal = transaction(ranges, exists.format("p = 'r'", "p = 'other' AND"), update)
    assert codes(refusal) == ["ConditionalCheckFailed", "None"]
    assert transaction(ranges, exists.format("p IN ['r']", ""), update).message == failed(
        "EXISTS() must contain a single item read with additional condition")
    ranges("ExecuteTransaction", TransactStatements=[{"Statement": each} for each in (
        "EXISTS(SELECT * FROM Two WHERE (p = 'r' AND s = '1') AND nope IS MISSING)", update)])


def test_a_failed_condition_of_a_transaction_shows_its_item_when_asked_to(ranges):
    """Also that of EXISTS, which does the same as a ConditionCheck."""
    statements = ("EXISTS(SELECT * FROM Two WHERE p = 'r' AND s = '1' AND flag = 'no')",
                  "DELETE FROM Two WHERE p = 'other' AND s = '1' AND flag = 'no'")
    asked = [{"Statement": each, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"} for each in statements]
    refusal = ranges.refusal("ExecuteTransaction", TransactStatements=asked)
    assert [(reason["Code"], reason["Item"]["p"]) for reason in refusal.details["CancellationReasons"]] == [
        ("ConditionalCheckFailed", {"S": "r"}), ("ConditionalCheckFailed", {"S": "other"})]


def test_a_batchs_answer_names_the_table_whose_item_was_reached(ranges):
    deep = {"S": "x"}
    for _ in range(31):
        deep = {"M": {"a": deep}}
    ranges("ExecuteStatement", Statement="UPDATE Two SET m = {} WHERE p = 'r' AND s = '1'")
    answers = ranges("BatchExecuteStatement", Statements=[
        {"Statement": "UPDATE Two SET x = 1 WHERE p = 'r' AND s = '2' AND flag = 'one'",
         "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
        {"Statement": "INSERT INTO Two VALUE {'p': 'r', 's': '3'}"},
        {"Statement": "UPDATE Two SET m.deep = ? WHERE p = 'r' AND s = '1'", "Parameters": [deep]},
        {"Statement": "DELETE FROM Two WHERE p = 'r'"}, {"Statement": "DELETE FROM Absent WHERE p = 'r'"},
        {"Statement": "DELETE FROM Two WHERE p = 'other' AND s = '1' RETURNING ALL NEW *"},
        {"Statement": "DELETE FROM Two WHERE p = 'other' AND s = '1' RETURNING ALL OLD *"}])["Responses"]
    assert [(answer.get("Error", {}).get("Code"), answer.get("TableName")) for answer in answers] == [
        ("ConditionalCheckFailed", "Two"), ("DuplicateItem", "Two"), ("ValidationError", "Two"),
        ("ValidationError", None), ("ResourceNotFound", None), ("ValidationError", None), (None, "Two")]
    assert answers[2]["Error"]["Message"] == "Nesting Levels have exceeded supported limits"
    assert "Item" not in answers[0] and answers[6]["Item"]["flag"] == {"S": "one"}


@pytest.mark.parametrize(("operation", "member"), [
    ("BatchExecuteStatement", "Statements"), ("ExecuteTransaction", "TransactStatements")])
def test_what_is_no_choice_refuses_the_whole_request(ranges, operation, member):
    write = {"Statement": "INSERT INTO Two VALUE {'p': 'new', 's': '1'}"}
    wrong = write | {"ReturnValuesOnConditionCheckFailure": "ALL_NEW"}
    place = member[0].lower() + member[1:]
    for asked, text in (
            ({member: [write], "ReturnConsumedCapacity": "LOTS"}, "Value 'LOTS' at 'returnConsumedCapacity' failed to "
             "satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"),
            ({member: [wrong]}, f"Value 'ALL_NEW' at '{place}.1.member.returnValuesOnConditionCheckFailure' failed to "
             "satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]")):
        assert ranges.refusal(operation, **asked).message == "1 validation error detected: " + text
    assert ranges("GetItem", TableName="Two", Key={"p": {"S": "new"}, "s": {"S": "1"}}) == {}


def test_a_transaction_reads_four_megabytes_at_most(ranges):
    for number in range(11):
        ranges("PutItem", TableName="Two", Item={"p": {"S": "big"}, "s": {"S": str(number)}, "x": {"S": "x" * 399_000}})
    reads = [{"Statement": f"SELECT s FROM Two WHERE p = 'big' AND s = '{number}'"} for number in range(11)]
    gets = [{"Get": {"TableName": "Two", "Key": {"p": {"S": "big"}, "s": {"S": str(number)}}}} for number in range(11)]
    assert (ranges.refusal("ExecuteTransaction", TransactStatements=reads).message
            == ranges.refusal("TransactGetItems", TransactItems=gets).message
            == "Collection size of items in the transaction exceeds the 4 MB limit")
    assert len(ranges("ExecuteTransaction", TransactStatements=reads[:10])["Responses"]) == 10


def test_a_batch_names_no_item_twice_and_does_not_mix_reads_and_writes(ranges):
    read, write = ("SELECT * FROM Two WHERE p = 'r' AND s = '1'", "UPDATE Two SET n = 5 WHERE p = 'r' AND s = '1'")
    for second, text in ((read, "Provided list of item keys contains duplicates"),
                         (write, "Read and write requests together in the same batch is not supported.")):
        assert ranges.refusal("BatchExecuteStatement", Statements=[
            {"Statement": read}, {"Statement": second}]).message == text
    arn = f"arn:aws:dynamodb:us-east-1:{ranges.account}:table/Two"
    assert ranges.refusal("BatchExecuteStatement", Statements=[
        {"Statement": write}, {"Statement": f"DELETE FROM \"{arn}\" WHERE s = '1' AND p = 'r'"}]).message == (
            "Provided list of item keys contains duplicates")
    assert ranges("ExecuteStatement", Statement=read)["Items"][0].get("n") != {"N": "5"}


def test_what_failed_of_a_batch_counts_in_the_total_of_its_table(ranges):
    """And nowhere else, as captured; by the larger of the item that is there and the one of the statement."""
    large = {"S": "x" * 2500}
    ranges("PutItem", TableName="Two", Item={"p": {"S": "big"}, "s": {"S": "1"}, "x": large})
    failing = [{"Statement": "INSERT INTO Two VALUE {'p': 'big', 's': '1'}"},
               {"Statement": "INSERT INTO Two VALUE {'p': 'r', 's': '1', 'x': ?}", "Parameters": [large]},
               {"Statement": "UPDATE Two SET x = 1 WHERE p = 'nowhere' AND s = '1'"},
               {"Statement": "DELETE FROM Two WHERE p = 'r'"}]
    good = {"Statement": "INSERT INTO Two VALUE {'p': 'new', 's': '1'}"}
    capacity, = ranges("BatchExecuteStatement", Statements=[*failing, good], ReturnConsumedCapacity="INDEXES")[
        "ConsumedCapacity"]
    assert (capacity["CapacityUnits"], capacity["Table"]["CapacityUnits"]) == (1 + 3 + 3 + 1, 1)
    assert "ConsumedCapacity" not in ranges("BatchExecuteStatement", Statements=failing, ReturnConsumedCapacity="TOTAL")


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


def test_a_long_where_is_looked_through_once_for_its_key(tab, monkeypatch):
    """Also where the request asks for it several times, and where it names the key often."""
    looked, conjuncts = [], partiql_keys.conjuncts
    monkeypatch.setattr(partiql_keys, "conjuncts", lambda where: looked.append(where) or conjuncts(where))
    where = " AND ".join(["p = 'new'"] * 200 + [f"a{n} = {n}" for n in range(200)])
    call = Call(tab.account, "us-east-1", "dynamodb", "ExecuteStatement", {
        "Statement": f"DELETE FROM Tab WHERE {where} AND p = 'new'"})
    assert engine.named(tab.kept, call) == engine.touched(tab.kept, call) == [
        (TableId(tab.account, "us-east-1", "Tab"), Key("new", NO_SORT_KEY))]
    engine.call(tab.kept, call, tab.now)
    assert len(looked) == 1
    with pytest.raises(Refusal, match="Multiple conditions on same key p"):
        tab("ExecuteStatement", Statement=f"DELETE FROM Tab WHERE {where} AND p = 'other'")
