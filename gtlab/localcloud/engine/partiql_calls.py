"""Carry out PartiQL: ExecuteStatement, BatchExecuteStatement, ExecuteTransaction.

In which order a request is refused, and in which words, is as others captured it on the service in September and
October 2026: parameters, statements, what does not depend on items, tables, keys, items.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine import arguments, partiql, partiql_keys, work
from gtlab.localcloud.engine.charges import READ, WRITE, Charge, consumed, read_units, write_units
from gtlab.localcloud.engine.conditions import Test, compile_condition
from gtlab.localcloud.engine.items import SEGMENTS, KeySchema, Place, Range
from gtlab.localcloud.engine.ordered import Stretch
from gtlab.localcloud.engine.pages import Look, page_charges, read_page, view_of
from gtlab.localcloud.engine.reads import TOO_MUCH_READ, Find, Read, cancelled
from gtlab.localcloud.engine.table import Index, Table, check_attributes
from gtlab.localcloud.engine.terms import find as find_value
from gtlab.localcloud.engine.updates import Update
from gtlab.localcloud.engine.values import TOO_LARGE, Item, StoredItem, item_size
from gtlab.localcloud.engine.writes import (
    TRANSACTION_BYTES,
    Plan,
    Write,
    carry_out,
    charges_of,
    check_size,
    checked_update,
    returned,
)
from gtlab.localcloud.model import Key, Refusal, TableId, invalid, invalid_values

LONGEST_STATEMENT, MOST_BATCH, MOST_TRANSACTION = 8192, 25, 100
_WHERE = ""  # refusals of its conditions name no expression
_MISSES_KEY = "Where clause does not contain a mandatory equality on all key attributes"
_NEEDS_KEY = "Select statements within {} must specify the primary key in the where clause."
_TOO_DEEP = "Nesting Levels have exceeded supported limits"  # of an item after an update, without its other half
_NO_START = "The provided starting key is invalid"
_MULTIPLE_KEYS = ("PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute "
                  "RANGE keys.")
# The codes of a batch's errors, which are not quite the names of the exceptions.
_BATCH_CODES = {"ConditionalCheckFailedException": "ConditionalCheckFailed", "DuplicateItemException": "DuplicateItem",
                "ResourceNotFoundException": "ResourceNotFound", "ValidationException": "ValidationError"}


class Checked(NamedTuple):
    """A statement, with what can be checked of it without a table. ``item``: what an INSERT inserts."""

    statement: partiql.Statement
    test: Test | None = None
    update: Update | None = None
    item: StoredItem | None = None
    bytes: int = 0  # what it counts in a transaction


def _prepared(part: dict[str, Any]) -> Checked:
    """The statement of a request, or of a part of it. Raises Refusal."""
    known = partiql.known(part)
    if known.prepared is None:
        prepare(known)
    if isinstance(known.prepared, Refusal):
        raise known.prepared.with_traceback(None)
    return known.prepared


def prepare(known: partiql.Known) -> None:
    """Make of a statement what does not depend on a table, or find out why it is refused."""
    try:
        known.prepared = _made_of(known.statement)
    except Refusal as refusal:
        known.prepared = refusal


def _made_of(statement: partiql.Statement) -> Checked:
    if isinstance(statement, partiql.Insert):
        item = check_attributes(statement.item)
        check_size(item, TOO_LARGE)
        return Checked(statement, item=item, bytes=item.size)
    select = statement.select if isinstance(statement, partiql.Exists) else statement
    test = None if select.where is None else compile_condition(_WHERE, select.where, select.terms)
    update = Update(statement.actions, statement.terms, name="") if isinstance(statement, partiql.Update) else None
    return Checked(statement, test, update, bytes=item_size(select.terms.constants))


def execute(find: Find, data: dict[str, Any]) -> Write:
    arguments.check_choices(data)
    arguments.check_limit(data)
    _check_lengths(data, "")
    prepared = _prepared(data)
    how = data.get("ReturnConsumedCapacity", "NONE")
    if isinstance(prepared.statement, partiql.Select):
        done = _select(find, prepared.statement, prepared.test, data)
        return Write(done.answer | _one(consumed(done.charges, how)), [], done.charges, done.items)
    if "NextToken" in data:  # our choice: no write has given one
        raise invalid("Invalid NextToken: only a SELECT is continued")
    table = find(partiql.table_of(prepared.statement))
    plan = _plan(table, _key(table, prepared.statement), prepared, data)
    charges = charges_of(plan)
    shown = returned(plan, _returns(prepared.statement))
    return Write({"Items": [shown] if shown else []} | _one(consumed(charges, how)), carry_out([plan]), charges)


def _one(capacity: list[dict]) -> dict[str, Any]:
    return {"ConsumedCapacity": capacity[0]} if capacity else {}


def _returns(statement: partiql.Statement) -> str:
    return statement.returns if isinstance(statement, partiql.Update | partiql.Delete) else "NONE"


def statements(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a request that hold a statement each; none of a request that is refused because they are too many,
    or one of them too long, so that nobody reads megabytes of them."""
    parts, most = [data], 1
    for name, bound in (("Statements", MOST_BATCH), ("TransactStatements", MOST_TRANSACTION)):
        if name in data:
            parts, most = data[name], bound
    is_long = len(parts) > most or any(len(part["Statement"]) > LONGEST_STATEMENT for part in parts)
    return [] if is_long else parts


def batch(find: Find, data: dict[str, Any]) -> Write:
    parts = data["Statements"]
    _check_parts(parts, "statements", MOST_BATCH)
    arguments.check_choices(data)
    prepared = [_prepared_or_refused(part) for part in parts]
    if len({isinstance(each.statement, partiql.Select) for each in prepared if isinstance(each, Checked)}) > 1:
        raise invalid("Read and write requests together in the same batch is not supported.")
    aims = [_aim(find, each) for each in prepared]
    items = [(aim[0].id, aim[1]) for aim in aims if not isinstance(aim, Refusal)]
    if len(set(items)) < len(items):
        raise invalid("Provided list of item keys contains duplicates")
    responses, plans, charges, failed = list[dict](), list[Plan](), list[Charge](), list[Charge]()
    for part, each, aim in zip(parts, prepared, aims, strict=True):
        if isinstance(aim, Refusal):
            responses.append({"Error": _error(aim)})
            continue
        assert isinstance(each, Checked)  # only such a statement has an aim
        table, key = aim
        if isinstance(each.statement, partiql.Select):
            shown, charge = _read_item(table, key, each.statement, consistent=bool(part.get("ConsistentRead")))
            charges.append(charge)
        else:
            try:
                plan = _plan(table, key, each, part)
            except Refusal as refusal:
                responses.append({"Error": _error(refusal), "TableName": table.id.name})
                failed.append(Charge(table.id, None, False, WRITE, write_units(table.items.item(key), each.item)))
                continue
            plans.append(plan)
            shown = returned(plan, _returns(each.statement))
        responses.append({"TableName": table.id.name} | ({"Item": shown} if shown else {}))
    charges += [charge for plan in plans for charge in charges_of(plan)]
    answer: dict[str, Any] = {"Responses": responses}
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"), failed=failed)
    return Write(answer | ({"ConsumedCapacity": capacity} if capacity else {}), carry_out(plans), charges + failed)


def _aim(find: Find, prepared: Checked | Refusal) -> tuple[Table, Key] | Refusal:
    """The item that a statement of a batch names, or why it names none."""
    if isinstance(prepared, Refusal):
        return prepared
    statement = prepared.statement
    try:
        table = find(partiql.table_of(statement))
        if not isinstance(statement, partiql.Select):
            return table, _key(table, statement)
        if statement.index_name is not None:
            _index(table, statement.index_name)
        return table, table.checked_key(_read_key(table, statement, "BatchExecuteStatement"))
    except Refusal as refusal:
        return refusal


def _error(refusal: Refusal) -> dict[str, Any]:
    return {"Code": _BATCH_CODES.get(refusal.code, refusal.code), "Message": refusal.message} | refusal.details


def _prepared_or_refused(part: dict[str, Any]) -> Checked | Refusal:
    try:
        return _prepared(part)
    except Refusal as refusal:
        if refusal.code == "SerializationException":  # the request cannot be read
            raise
        return refusal


def transaction(find: Find, data: dict[str, Any]) -> Write:
    parts = data["TransactStatements"]
    _check_parts(parts, "transactStatements", MOST_TRANSACTION)
    arguments.check_choices(data)
    for part in parts:
        partiql.known(part).check_parameters()
    prepared = [_prepared_part(part, place) for place, part in enumerate(parts)]
    if len({isinstance(each.statement, partiql.Select) for each in prepared}) > 1:
        raise invalid("ExecuteTransaction API does not support both read and write operations in the same request.")
    named = _named(find, prepared)
    if len({(table.id, key) for table, key in named}) < len(named):
        raise invalid("Transaction request cannot include multiple operations on one item")
    how = data.get("ReturnConsumedCapacity", "NONE")
    if isinstance(prepared[0].statement, partiql.Select):
        return _read_transaction(named, prepared, how)
    if sum(each.bytes for each in prepared) > TRANSACTION_BYTES:
        raise invalid("Transaction payload size cannot exceed 4 MB")
    plans, reasons = list[Plan](), list[dict[str, Any]]()
    for part, each, (table, key) in zip(parts, prepared, named, strict=True):
        try:
            plans.append(_plan(table, key, each, part))
            reasons.append({"Code": "None"})
        except Refusal as refusal:
            reasons.append(_error(refusal))
    if len(plans) < len(parts):
        raise cancelled(reasons)
    charges = [charge for plan in plans for charge in charges_of(plan, 2)]
    capacity = consumed(charges, how, by_kind=True)
    return Write({"Responses": []} | ({"ConsumedCapacity": capacity} if capacity else {}), carry_out(plans), charges)


def _prepared_part(part: dict[str, Any], place: int) -> Checked:
    try:
        return _prepared(part)
    except Refusal as refusal:
        raise _failed(refusal, place) from None


def _failed(refusal: Refusal, place: int) -> Refusal:
    """The refusal of a transaction for one of its statements, before it is carried out."""
    if refusal.code != "ValidationException":
        return refusal
    return invalid(f"Validation failed in TransactStatements[{place}]: {refusal.message}")


def _named(find: Find, prepared: list[Checked]) -> list[tuple[Table, Key]]:
    """The items that the statements of a transaction name. A table that is not there and a key that does not fit cancel
    it, but a statement that none could take comes first. Raises Refusal."""
    named, reasons = list[tuple[Table, Key]](), list[dict[str, Any]]()
    for place, each in enumerate(prepared):
        statement = each.statement
        try:
            table = find(partiql.table_of(statement))
        except Refusal as refusal:
            reasons.append(_error(refusal))
            continue
        try:
            given = _given(table, statement)
        except Refusal as refusal:
            raise _failed(refusal, place) from None
        try:
            named.append((table, table.checked_key(given) if each.item is None else _inserted_key(table, each.item)))
            reasons.append({"Code": "None"})
        except Refusal as refusal:
            reasons.append(_error(refusal))
    if len(named) < len(prepared):
        raise cancelled(reasons)
    return named


def _given(table: Table, statement: partiql.Statement) -> Item:
    """The key attributes that a statement of a transaction names. Raises Refusal for what no transaction has."""
    if isinstance(statement, partiql.Select):
        if statement.index_name is not None:
            raise invalid("Reads on indices are not supported within transactions.")
        return _read_key(table, statement, "ExecuteTransaction")
    if _returns(statement) != "NONE":
        raise invalid("RETURNING clause is not supported in ExecuteTransaction.")
    if isinstance(statement, partiql.Insert):
        return {}
    select = statement.select if isinstance(statement, partiql.Exists) else statement
    values = partiql_keys.key_values(select.where, table.key, select.terms)
    if isinstance(statement, partiql.Exists) and (statement.select.index_name is not None or len(values) < len(
            table.key_names) or len(list(partiql_keys.conjuncts(select.where))) <= len(values)):
        raise invalid("EXISTS() must contain a single item read with additional condition")
    if not isinstance(statement, partiql.Exists) and any(len(each) > 1 for each in values.values()):
        return {}  # which does not fit the table
    return {name: each[0] for name, each in values.items()}


def _read_transaction(named: list[tuple[Table, Key]], prepared: list[Checked], how: str) -> Write:
    if sum(found[1] for table, key in named if (found := table.items.packed(key))) > TRANSACTION_BYTES:
        raise invalid(TOO_MUCH_READ)
    responses, charges = list[dict](), list[Charge]()
    for (table, key), each in zip(named, prepared, strict=True):
        assert isinstance(each.statement, partiql.Select)
        item, charge = _read_item(table, key, each.statement, consistent=True)
        charges.append(msgspec.structs.replace(charge, units=2 * charge.units))
        responses.append({"Item": item} if item else {})
    capacity = consumed(charges, how, by_kind=True)
    return Write({"Responses": responses} | ({"ConsumedCapacity": capacity} if capacity else {}), [], charges)


# What the service's model says of a request

def _check_parts(parts: list[dict[str, Any]], place: str, most: int) -> None:
    if not parts:
        arguments.refuse_all([arguments.failed("[]", place, "Member must have length greater than or equal to 1")])
    if len(parts) > most:
        kind = "BatchStatementRequest" if place == "statements" else "ParameterizedStatement"
        raise arguments.too_long(arguments.objects(kind, parts), place, most)
    for number, part in enumerate(parts, start=1):
        _check_lengths(part, f"{place}.{number}.member.")
        arguments.check_choices(part, within=f"{place}.{number}.member.")


def _check_lengths(part: dict[str, Any], place: str) -> None:
    """Refuse a statement that is empty or too long, and an empty list of parameters."""
    text = part["Statement"]
    if not text.strip():
        arguments.refuse_all([arguments.failed("", place + "statement",
                                               "Member must have length greater than or equal to 1")])
    if len(text) > LONGEST_STATEMENT:
        raise arguments.wrong_length(place + "statement", f"less than or equal to {LONGEST_STATEMENT}")
    if part.get("Parameters") == []:
        arguments.refuse_all([arguments.failed("[]", place + "parameters",
                                               "Member must have length greater than or equal to 1")])


# The key of one item

def key_named(table: Table, statement: partiql.Statement) -> Key:
    """The key of the one item that a statement names. Raises Refusal if it names more, or none."""
    if isinstance(statement, partiql.Insert):
        return table.checked_key({name: statement.item[name] for name in table.key_names if name in statement.item})
    select = statement.select if isinstance(statement, partiql.Exists) else statement
    if isinstance(select, partiql.Select) and select.index_name is not None:
        raise invalid(_MISSES_KEY)
    values = partiql_keys.key_values(select.where, table.key, select.terms)
    if len(values) < len(table.key_names):
        raise invalid(_MISSES_KEY)
    return table.checked_key({name: each[0] for name, each in values.items()})


def _key(table: Table, statement: partiql.Statement) -> Key:
    """The key of the item that a write writes. Raises Refusal."""
    if isinstance(statement, partiql.Exists):
        raise invalid("EXISTS can only be used in ExecuteTransaction write requests.")
    if isinstance(statement, partiql.Insert):
        return _inserted_key(table, statement.item)
    for name, values in partiql_keys.key_values(statement.where, table.key, statement.terms).items():
        if len(values) > 1:
            raise invalid(f"Multiple conditions on same key {name}. Only single item Update/Insert/Delete are "
                          "supported")
    return key_named(table, statement)


def _inserted_key(table: Table, item: Item) -> Key:
    table.check_item(item)
    return table.key_of(item)


# Writes

def _plan(table: Table, key: Key, prepared: Checked, part: dict[str, Any]) -> Plan:
    """The plan of a write or of an EXISTS. Raises Refusal."""
    old, statement, update = table.items.item(key), prepared.statement, prepared.update
    if prepared.item is not None:
        if old is not None:
            raise Refusal("DuplicateItemException", "Duplicate primary key exists in table")
        return Plan(table, key, None, prepared.item)
    test = prepared.test
    assert test is not None  # without a WHERE, there is no key
    if isinstance(statement, partiql.Exists):
        if not test(old or {}):
            raise _unmet(old, part)
        return Plan(table, key, old, old)
    if update is not None:
        update.check_key(table)
        update.check_types(table)
    elif old is None:
        return Plan(table, key, None, None)
    if old is None or not test(old):
        raise _unmet(old, part)
    if update is None:
        return Plan(table, key, old, None)
    try:
        return checked_update(Plan(table, key, old, update.of(old), update.paths), update)
    except Refusal as refusal:
        raise invalid(_TOO_DEEP) if refusal.message.startswith(_TOO_DEEP) else refusal from None


def _unmet(old: Item | None, part: dict[str, Any]) -> Refusal:
    shown = {"Item": old} if old and part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
    return Refusal("ConditionalCheckFailedException", "The conditional request failed", details=shown)


# Reads

def _read_key(table: Table, select: partiql.Select, operation: str) -> Item:
    """The key that a SELECT of a batch or a transaction names, and nothing else. Raises Refusal."""
    key = partiql_keys.read_by_key(partiql_keys.reads(select.where, table.key, select.terms, typed=False), table.key)
    if key is None or select.index_name is not None:
        raise invalid(_NEEDS_KEY.format(operation))
    if select.fault is not None:
        raise select.fault
    return key


def _read_item(table: Table, key: Key, select: partiql.Select, *, consistent: bool) -> tuple[Item | None, Charge]:
    item = table.items.item(key)
    size = item_size(item) if item else 0
    charge = Charge(table.id, None, False, READ, read_units(size, consistent=consistent))
    return (None if item is None else _shown(item, select)), charge


def _shown(item: Item, select: partiql.Select) -> Item:
    """What a SELECT returns of an item."""
    if select.paths is None:
        return item
    found = ((name, find_value(item, path.parts)) for name, path in select.paths)
    return {name: value for name, value in found if value is not None}


class _Source(NamedTuple):
    """Where a SELECT reads: in some partitions (a Query each), or everywhere (a Scan, None)."""

    table: Table
    of_index: Index | None
    ranges: list[Range] | None
    forward: bool


def _select(find: Find, select: partiql.Select, test: Test | None, data: dict[str, Any]) -> Read:
    table, index = _table_and_index(find, select)
    if index and index.is_global and data.get("ConsistentRead"):
        raise invalid("Strongly consistent read is not supported on Global Secondary Indexes")
    schema = index.schema if index else table.key
    found = partiql_keys.reads(select.where, schema, select.terms, typed=True)
    source = _Source(table, index, *_ordered(select, schema, found))
    asked = list(dict.fromkeys(str(path.parts[0]) for _, path in select.paths or ()))
    view = view_of(index, asked, set())
    if index and index.projected is not None:
        missing = partiql_keys.unprojected(found, index.projected, select.terms)
        if missing:
            raise invalid_values(f"Secondary index {index.name} does not project one or more filter attributes: "
                                 f"[{', '.join(missing)}]")
    signature = _signature(data, table.id)
    after = _after(source, data.get("NextToken"), signature)
    show = None if select.paths is None else functools.partial(_shown, select=select)
    filtering = work.NONE if select.where is None else work.of_condition(select.where, select.terms, _WHERE)
    shows = filtering.showing(selected=len(select.paths or ()), is_cut=view is not None)
    look = Look(data.get("Limit"), view, test, show, shows)
    page = read_page(_found(source, after), look)
    answer: dict[str, Any] = {}
    if page.end is not None:
        last = table.last_key(page.end, index)
        answer["LastEvaluatedKey"] = last
        answer["NextToken"] = base64.b64encode(msgspec.json.encode([signature, last])).decode()
    charges = page_charges(table, index, page, consistent=bool(data.get("ConsistentRead")))
    return Read(answer, charges, page.items)


def _table_and_index(find: Find, select: partiql.Select) -> tuple[Table, Index | None]:
    """What a SELECT reads. Its fault comes before a table that is not there, and behind an index that PartiQL does not
    read. Raises Refusal."""
    try:
        table = find(select.table)
        index = _index(table, select.index_name) if select.index_name is not None else None
    except Refusal as refusal:
        raise select.fault if select.fault and refusal.message != _MULTIPLE_KEYS else refusal from None
    if select.fault is not None:
        raise select.fault
    return table, index


def _index(table: Table, name: str) -> Index:
    """The index that a SELECT reads. Raises Refusal."""
    if all(index.name != name for index in table.indexes()):
        raise invalid("The table does not have the specified index")
    index = table.index(name)
    if len(index.schema.partition) > 1 or len(index.schema.sort) > 1:
        raise invalid(_MULTIPLE_KEYS)
    return index


def _signature(data: dict[str, Any], table: TableId) -> str:
    """What a NextToken belongs to."""
    signed = msgspec.json.encode([data["Statement"], data.get("Parameters"), *table])
    return hashlib.sha256(signed).hexdigest()[:16]


def _ordered(select: partiql.Select, schema: KeySchema, found: partiql_keys.Reads) -> tuple[list[Range] | None, bool]:
    """The ranges in the order in which they are read, and whether each is read forward. Raises Refusal."""
    ranges = found.ranges
    if not select.order:
        return ranges, True
    if select.where is None:
        raise invalid("Must have WHERE clause in the statement when using ORDER BY clause.")
    stray = next((name for name, _ in select.order if name not in schema.names), None)
    if stray is not None:
        raise invalid(f"Attribute {stray} in ORDER BY clause must be part of the primary key")
    if ranges is None:
        raise invalid("Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY "
                      "clause.")
    descending = dict(reversed(select.order))  # the first of two terms for one key
    hash_key = schema.partition[0]
    if hash_key not in descending and len({asked.partition for asked in ranges}) > 1:
        raise invalid("Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE "
                      "clause.")
    forward = not all(descending.get(name, True) for name in schema.sort)
    ranges = sorted(ranges, key=lambda asked: asked.low or b"", reverse=not forward)
    ranges.sort(key=lambda asked: asked.partition, reverse=descending.get(hash_key, False))
    return ranges, forward


def _found(source: _Source, after: Place | None) -> Iterator[Stretch]:
    ordered = source.table.ordered(source.of_index)
    if source.ranges is None:
        yield from ordered.scan(0, SEGMENTS, after)
        return
    waiting = after is not None
    for asked in source.ranges:
        here = after if after is not None and asked.partition == after.partition and asked.holds(after.sort) else None
        if waiting and here is None:
            continue
        waiting = False
        yield from ordered.query(asked, forward=source.forward, after=here)


def _after(source: _Source, token: str | None, signature: str) -> Place | None:
    if token is None:
        return None
    try:
        signed, last = msgspec.json.decode(base64.b64decode(token, validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise invalid("Invalid NextToken") from None
    if signed != signature:
        raise invalid("NextToken does not match request")
    if not isinstance(last, dict):
        raise invalid("Invalid NextToken")
    return source.table.start_key(last, source.of_index, _NO_START)
