"""Carry out PartiQL: ExecuteStatement, BatchExecuteStatement, ExecuteTransaction."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine import arguments, partiql
from gtlab.localcloud.engine.charges import READ, Charge, consumed, read_units
from gtlab.localcloud.engine.conditions import compile_condition, operand_paths
from gtlab.localcloud.engine.items import SEGMENTS, KeySchema, Place, Range, partition_bytes
from gtlab.localcloud.engine.key_conditions import KeyTest, bounds
from gtlab.localcloud.engine.ordered import Stretch
from gtlab.localcloud.engine.pages import Look, page_charges, read_page, view_of
from gtlab.localcloud.engine.reads import Find, Read, cancelled, invalid_part
from gtlab.localcloud.engine.table import Index, Table, check_attributes
from gtlab.localcloud.engine.terms import find as find_value
from gtlab.localcloud.engine.tree import Between, Both, Compare, Condition, Function, In, Operand, Path, Placeholder
from gtlab.localcloud.engine.updates import Update
from gtlab.localcloud.engine.values import Item, Value, item_size, kind, sort_bytes
from gtlab.localcloud.engine.writes import (
    TOO_LARGE,
    TRANSACTION_BYTES,
    Plan,
    Write,
    carry_out,
    charges_of,
    check_size,
    checked_update,
    returned,
)
from gtlab.localcloud.model import Key, Refusal, invalid, invalid_values

MOST_BATCH, MOST_TRANSACTION, MOST_KEYS_IN = 25, 100, 50
_WHERE = ""  # refusals of its conditions name no expression
_MISSES_KEY = "Where clause does not contain a mandatory equality on all key attributes"
_NEEDS_KEY = "Select statements within {} must specify the primary key in the where clause."
# The codes of a batch's errors, which are not quite the names of the exceptions.
_BATCH_CODES = {"ConditionalCheckFailedException": "ConditionalCheckFailed", "DuplicateItemException": "DuplicateItem",
                "ResourceNotFoundException": "ResourceNotFound", "ValidationException": "ValidationError"}


def execute(find: Find, data: dict[str, Any]) -> Write:
    arguments.check_choices(data)
    arguments.check_limit(data)
    statement = partiql.parse(data["Statement"], data.get("Parameters"))
    how = data.get("ReturnConsumedCapacity", "NONE")
    if isinstance(statement, partiql.Select):
        done = _select(find, statement, data)
        return Write(done.answer | _one(consumed(done.charges, how)), [], done.charges, done.items)
    plan, returns = _plan(find, statement, data)
    charges = charges_of(plan)
    shown = returned(plan, returns)
    return Write({"Items": [shown] if shown else []} | _one(consumed(charges, how)), carry_out([plan]), charges)


def _one(capacity: list[dict]) -> dict[str, Any]:
    return {"ConsumedCapacity": capacity[0]} if capacity else {}


def statements(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a request that hold a statement each."""
    for name in ("Statements", "TransactStatements"):
        if name in data:
            return data[name]
    return [data]


def batch(find: Find, data: dict[str, Any]) -> Write:
    parts = data["Statements"]
    _check_count(parts, "statements", MOST_BATCH)
    parsed = [partiql.parse(part["Statement"], part.get("Parameters")) for part in parts]
    if len({isinstance(statement, partiql.Select) for statement in parsed}) > 1:
        raise invalid("All the statements in a batch must be either reads or writes: a batch cannot have both")
    responses, plans, charges = list[dict](), list[Plan](), list[Charge]()
    for part, statement in zip(parts, parsed, strict=True):
        try:
            if isinstance(statement, partiql.Select):
                item, charge = _select_one(find, statement, "BatchExecuteStatement",
                                           consistent=bool(part.get("ConsistentRead")))
                charges.append(charge)
                responses.append({"TableName": charge.table.name} | ({"Item": item} if item else {}))
                continue
            plan, returns = _plan(find, statement, part)
            if any((plan.table.id, plan.key) == (each.table.id, each.key) for each in plans):
                raise invalid("BatchExecuteStatement cannot include multiple operations on one item")
            plans.append(plan)
            shown = returned(plan, returns)
            responses.append({"TableName": plan.table.id.name} | ({"Item": shown} if shown else {}))
        except Refusal as refusal:
            error = {"Code": _BATCH_CODES.get(refusal.code, refusal.code), "Message": refusal.message}
            table = statement.select.table if isinstance(statement, partiql.Exists) else statement.table
            responses.append({"Error": error | refusal.details, "TableName": table})
    charges += [charge for plan in plans for charge in charges_of(plan)]
    answer: dict[str, Any] = {"Responses": responses}
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"))
    return Write(answer | ({"ConsumedCapacity": capacity} if capacity else {}), carry_out(plans), charges)


def transaction(find: Find, data: dict[str, Any]) -> Write:
    parts = data["TransactStatements"]
    _check_count(parts, "transactStatements", MOST_TRANSACTION)
    parsed = [partiql.parse(part["Statement"], part.get("Parameters")) for part in parts]
    if len({isinstance(statement, partiql.Select) for statement in parsed}) > 1:
        raise invalid("All the statements in a transaction must be either reads or writes: use EXISTS for a condition")
    how = data.get("ReturnConsumedCapacity", "NONE")
    if isinstance(parsed[0], partiql.Select):
        return _read_transaction(find, parsed, how)
    _check_transaction(find, parsed)
    plans, reasons = list[Plan](), list[dict[str, Any]]()
    for part, statement in zip(parts, parsed, strict=True):
        try:
            plans.append(_exists(find, statement) if isinstance(statement, partiql.Exists)
                         else _plan(find, statement, part)[0])
            reasons.append({"Code": "None"})
        except Refusal as refusal:
            code = _BATCH_CODES.get(refusal.code, refusal.code)
            reasons.append({"Code": code, "Message": refusal.message} | refusal.details)
    if len(plans) < len(parts):
        raise cancelled(reasons)
    charges = [charge for plan in plans for charge in charges_of(plan, 2)]
    capacity = consumed(charges, how, by_kind=True)
    return Write({"Responses": []} | ({"ConsumedCapacity": capacity} if capacity else {}), carry_out(plans), charges)


def _check_transaction(find: Find, parsed: list[partiql.Statement]) -> None:
    """What is checked before any condition is evaluated. Raises Refusal."""
    named, payload = list[tuple[Any, Key]](), 0
    for place, statement in enumerate(parsed):
        if isinstance(statement, partiql.Update | partiql.Delete) and statement.returns != "NONE":
            raise invalid("RETURNING cannot be used in a transaction")
        table = find(statement.select.table if isinstance(statement, partiql.Exists) else statement.table)
        if isinstance(statement, partiql.Exists) and len(list(_terms_of(statement.select.where))) <= len(
                table.key_names):
            raise _failed(invalid("EXISTS() must contain a single item read with additional condition"), place)
        try:
            named.append((table.id, key_named(table, statement)))
        except Refusal as refusal:
            raise invalid_part(refusal, place, len(parsed)) from None
        payload += item_size(statement.item if isinstance(statement, partiql.Insert) else (
            statement.select if isinstance(statement, partiql.Exists) else statement).terms.constants)
    if len(set(named)) < len(named):
        raise invalid("Transaction request cannot include multiple operations on one item")
    if payload > TRANSACTION_BYTES:
        raise invalid("Transaction payload size cannot exceed 4 MB")


def _read_transaction(find: Find, parsed: list[partiql.Statement], how: str) -> Write:
    responses, charges = list[dict](), list[Charge]()
    for place, statement in enumerate(parsed):
        assert isinstance(statement, partiql.Select)
        try:
            item, charge = _select_one(find, statement, "ExecuteTransaction", consistent=True)
        except Refusal as refusal:
            raise _failed(refusal, place) from None
        charges.append(charge._replace(units=2 * charge.units))
        responses.append({"Item": item} if item else {})
    capacity = consumed(charges, how, by_kind=True)
    return Write({"Responses": responses} | ({"ConsumedCapacity": capacity} if capacity else {}), [], charges)


def _check_count(parts: list, place: str, most: int) -> None:
    if not parts:
        arguments.refuse_all([arguments.failed("[]", place, "Member must have length greater than or equal to 1")])
    if len(parts) > most:
        kind = "BatchStatementRequest" if place == "statements" else "ParameterizedStatement"
        raise arguments.too_long(arguments.objects(kind, parts), place, most)


# The key in a WHERE

def _terms_of(where: Condition | None) -> Iterator[Condition]:
    """The conditions that all have to hold."""
    while isinstance(where, Both) and where.operator == "AND":
        yield from _terms_of(where.right)
        where = where.left
    if where is not None:
        yield where


def _comparison(condition: Condition, terms: partiql.Literals) -> tuple[str, KeyTest] | None:
    """A condition as a test of one attribute, if it is one that a key can have."""
    if isinstance(condition, Compare) and condition.operator != "<>":
        left, right, operator = condition.left, condition.right, condition.operator
        if isinstance(left, Placeholder):
            left, right, operator = right, left, {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        if isinstance(left, Path) and len(left.parts) == 1 and isinstance(right, Placeholder):
            return str(left.parts[0]), KeyTest(operator, (terms.constants[right.name],))
        return None
    name: Operand | None = None
    values: tuple[Operand, ...] = ()
    if isinstance(condition, Between):
        name, operator, values = condition.operand, "BETWEEN", (condition.low, condition.high)
    elif isinstance(condition, Function) and condition.name == "begins_with":
        name, operator, values = condition.arguments[0], "begins_with", condition.arguments[1:]
    if not isinstance(name, Path) or len(name.parts) > 1:
        return None
    constants = [terms.constants[value.name] for value in values if isinstance(value, Placeholder)]
    return (str(name.parts[0]), KeyTest(operator, tuple(constants))) if len(constants) == len(values) else None


def _tests(where: Condition | None, schema: KeySchema, terms: partiql.Literals) -> dict[str, KeyTest]:
    """The tests of key attributes that all have to hold, the first of each attribute; values may be of other types."""
    found: dict[str, KeyTest] = {}
    for condition in _terms_of(where):
        named = _comparison(condition, terms)
        if named and named[0] in schema.names:
            found.setdefault(*named)
    return found


def _check_types(tests: dict[str, KeyTest], schema: KeySchema, names: Iterable[str]) -> None:
    """Refuse the test of a key with a value of another type, where the key decides what is read."""
    for name in names:
        if name in tests and any(kind(value) != schema.types[name] for value in tests[name].values):
            raise invalid_values("Condition parameter type does not match schema type")


def _whole_key(table: Table, where: Condition, terms: partiql.Literals) -> Key:
    """The key of the one item that a write or a batch's read names. Raises Refusal."""
    tests = _tests(where, table.key, terms)
    names = table.key_names
    if any(name not in tests or tests[name].operator != "=" for name in names):
        raise invalid(_MISSES_KEY)
    return table.checked_key({name: tests[name].values[0] for name in names})


def key_named(table: Table, statement: partiql.Statement) -> Key:
    """The key of the one item that a statement names. Raises Refusal if it names more, or none."""
    if isinstance(statement, partiql.Insert):
        return table.checked_key({name: statement.item[name] for name in table.key_names if name in statement.item})
    select = statement.select if isinstance(statement, partiql.Exists) else statement
    if select.where is None or (isinstance(select, partiql.Select) and select.index_name is not None):
        raise invalid(_MISSES_KEY)
    return _whole_key(table, select.where, select.terms)


# Writes

def _plan(find: Find, statement: partiql.Statement, part: dict[str, Any]) -> tuple[Plan, str]:
    """The plan of a write, and what it returns. Raises Refusal."""
    if isinstance(statement, partiql.Insert):
        table = find(statement.table)
        item = check_attributes(statement.item)
        check_size(item, TOO_LARGE)
        table.check_item(item)
        key = table.key_of(item)
        if table.items.item(key) is not None:
            raise Refusal("DuplicateItemException", "Duplicate primary key exists in table")
        return Plan(table, key, None, item), "NONE"
    if not isinstance(statement, partiql.Update | partiql.Delete):
        raise invalid("EXISTS can be used in transactions only")
    table = find(statement.table)
    update = Update(statement.actions, statement.terms) if isinstance(statement, partiql.Update) else None
    if update is not None:
        update.check_key(table)
        update.check_types(table)
    key = _whole_key(table, statement.where, statement.terms)
    test = compile_condition(_WHERE, statement.where, statement.terms)
    old = table.items.item(key)
    if old is None and update is None:
        return Plan(table, key, None, None), statement.returns
    if old is None or not test(old):
        shown = {"Item": old} if old and part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
        raise Refusal("ConditionalCheckFailedException", "The conditional request failed", details=shown)
    if update is None:
        return Plan(table, key, old, None), statement.returns
    return checked_update(Plan(table, key, old, update.of(old), update.paths), update), statement.returns


def _exists(find: Find, statement: partiql.Exists) -> Plan:
    """The check of a transaction; it changes nothing."""
    select = statement.select
    table = find(select.table)
    if select.where is None:
        raise invalid(_MISSES_KEY)
    key = _whole_key(table, select.where, select.terms)
    item = table.items.item(key)
    if not compile_condition(_WHERE, select.where, select.terms)(item or {}):
        raise Refusal("ConditionalCheckFailedException", "The conditional request failed")
    return Plan(table, key, item, item)


# Reads

def _select_one(find: Find, select: partiql.Select, operation: str, *, consistent: bool) -> tuple[Item | None, Charge]:
    """The item that a SELECT of a batch or a transaction names by its key, and by nothing else."""
    table = find(select.table)
    if select.index_name is not None:
        _index(table, select.index_name)
    tests = _tests(select.where, table.key, select.terms)
    if (select.index_name is not None or tests.keys() != set(table.key_names)
            or any(test.operator != "=" for test in tests.values()) or len(list(_terms_of(select.where))) > len(tests)):
        raise invalid(_NEEDS_KEY.format(operation))
    assert select.where is not None
    item = table.items.item(_whole_key(table, select.where, select.terms))
    size = item_size(item) if item else 0
    charge = Charge(table.id, None, False, READ, read_units(size, consistent=consistent))
    return (None if item is None else _shown(item, select)), charge


def _failed(refusal: Refusal, place: int) -> Refusal:
    """The refusal of a transaction for one of its statements, before it is carried out."""
    if refusal.code != "ValidationException":
        return refusal
    return invalid(f"Validation failed in TransactStatements[{place}]: {refusal.message}")


def _shown(item: Item, select: partiql.Select) -> Item:
    """What a SELECT returns of an item: each path under its last name."""
    if select.paths is None:
        return item
    found = ((name, find_value(item, path.parts)) for name, path in select.paths)
    return {name: value for name, value in found if value is not None}


class _Source(NamedTuple):
    """Where a SELECT reads: in some partitions (a Query), or everywhere (a Scan, None)."""

    table: Table
    of_index: Index | None
    ranges: list[Range] | None
    forward: bool


def _select(find: Find, select: partiql.Select, data: dict[str, Any]) -> Read:
    table = find(select.table)
    index = _index(table, select.index_name) if select.index_name is not None else None
    if index and index.is_global and data.get("ConsistentRead"):
        raise invalid("Strongly consistent read is not supported on Global Secondary Indexes")
    source = _source(table, index, select)
    test = compile_condition(_WHERE, select.where, select.terms) if select.where is not None else None
    signed = msgspec.json.encode([data["Statement"], data.get("Parameters"), *table.id])
    signature = hashlib.sha256(signed).hexdigest()[:16]
    after = _after(source, data.get("NextToken"), signature)
    asked = {str(path.parts[0]) for _, path in select.paths or ()}
    filtered = {str(path[0]) for path in operand_paths(select.where, select.terms, _WHERE)} if select.where else set()
    view = view_of(index, asked, filtered)
    show = None if select.paths is None else functools.partial(_shown, select=select)
    page = read_page(_found(source, after), Look(data.get("Limit"), view, test, show))
    answer: dict[str, Any] = {}
    if page.end is not None:
        last = table.last_key(page.end, index)
        answer["LastEvaluatedKey"] = last
        answer["NextToken"] = base64.b64encode(msgspec.json.encode([signature, last])).decode()
    charges = page_charges(table, index, page, consistent=bool(data.get("ConsistentRead")))
    return Read(answer, charges, page.items)


def _index(table: Table, name: str) -> Index:
    """The index that a SELECT reads. Raises Refusal."""
    if all(index.name != name for index in table.indexes()):
        raise invalid("The table does not have the specified index")
    index = table.index(name)
    if len(index.schema.partition) > 1 or len(index.schema.sort) > 1:
        raise invalid("PartiQL statements cannot be executed on tables with multi-attribute HASH keys or "
                      "multi-attribute RANGE keys.")
    return index


def _source(table: Table, index: Index | None, select: partiql.Select) -> _Source:
    schema = index.schema if index else table.key
    tests = _tests(select.where, schema, select.terms)
    ranges = None
    if all(name in tests and tests[name].operator == "=" for name in schema.partition):
        _check_types(tests, schema, schema.names)
        partition = partition_bytes([sort_bytes(tests[name].values[0]) for name in schema.partition])
        ranges = [_range(partition, tests, schema)]
    elif len(schema.partition) == 1:
        values = _listed(select.where, schema.partition[0], schema, select.terms)
        if values is not None:
            _check_types(tests, schema, schema.sort)
            ranges = [_range(sort_bytes(value), tests, schema) for value in _in_order(values, select, schema)]
    return _Source(table, index, ranges, _forward(select, schema, ranges))


def _in_order(values: list[Value], select: partiql.Select, schema: KeySchema) -> list[Value]:
    """Partition keys in the order that a SELECT asks for. Raises Refusal for one across partitions."""
    if not select.order or len(values) == 1:
        return values
    name, descending = select.order[0]
    if name not in schema.partition:
        raise invalid("ORDER BY must begin with the partition key where the statement names several partitions")
    return sorted(values, key=sort_bytes, reverse=descending)


def _range(partition: bytes, tests: dict[str, KeyTest], schema: KeySchema) -> Range:
    """The part of a partition that the tests of sort keys allow, from the left without gaps."""
    usable: dict[str, KeyTest] = {}
    for name in schema.sort:
        if name not in tests:
            break
        usable[name] = tests[name]
        if tests[name].operator != "=":
            break
    return bounds(partition, usable, schema)


def _listed(where: Condition | None, name: str, schema: KeySchema, terms: partiql.Literals) -> list[Value] | None:
    """The partition keys of ``name IN [...]``, each once."""
    for condition in _terms_of(where):
        if isinstance(condition, In) and condition.operand == Path((name,)) and all(
                isinstance(option, Placeholder) for option in condition.options):
            values = [terms.constants[option.name] for option in condition.options if isinstance(option, Placeholder)]
            if any(kind(value) != schema.types[name] for value in values):
                raise invalid_values("Condition parameter type does not match schema type")
            if len(values) > MOST_KEYS_IN:
                raise invalid(f"IN takes at most {MOST_KEYS_IN} values of a partition key")
            return list({sort_bytes(value): value for value in values}.values())
    return None


def _forward(select: partiql.Select, schema: KeySchema, ranges: list[Range] | None) -> bool:
    if not select.order:
        return True
    if ranges is None:
        raise invalid("Must have WHERE clause in the statement when using ORDER BY clause.")
    if any(name not in schema.names for name, _ in select.order):
        raise invalid("Variables in ORDER BY must be of primary key attributes")
    return not select.order[-1][1]


def _found(source: _Source, after: Place | None) -> Iterator[Stretch]:
    ordered = source.table.ordered(source.of_index)
    if source.ranges is None:
        yield from ordered.scan(0, SEGMENTS, after)
        return
    waiting = after is not None
    for asked in source.ranges:
        here = after if after is not None and asked.partition == after.partition else None
        if waiting and here is None:
            continue
        waiting = False
        yield from ordered.query(asked, forward=source.forward, after=here)


def _after(source: _Source, token: str | None, signature: str) -> Place | None:
    if token is None:
        return None
    refused = invalid("Invalid NextToken: it does not belong to this statement")
    try:
        signed, last = msgspec.json.decode(base64.b64decode(token, validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise refused from None
    if signed != signature or not isinstance(last, dict):
        raise refused
    return source.table.start_key(last, source.of_index, refused.message)
