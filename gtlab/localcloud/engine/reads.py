"""Reads: GetItem, BatchGetItem, TransactGetItems, Query, Scan."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine import arguments, legacy, work
from gtlab.localcloud.engine.charges import READ, Charge, consumed, read_units
from gtlab.localcloud.engine.conditions import Test, compile_condition, operand_paths
from gtlab.localcloud.engine.expressions import FILTER, KEY_CONDITION, PROJECTION, parse_condition, parse_projection
from gtlab.localcloud.engine.items import SEGMENTS, Place, Range
from gtlab.localcloud.engine.key_conditions import KeyTests, range_of
from gtlab.localcloud.engine.ordered import Stretch
from gtlab.localcloud.engine.pages import Look, page_charges, read_page, values_in, view_of
from gtlab.localcloud.engine.projections import Projection
from gtlab.localcloud.engine.table import Index, Table, check_names
from gtlab.localcloud.engine.terms import NO_TERMS, Terms, check_apart
from gtlab.localcloud.engine.texts import Prepared, PreparedList
from gtlab.localcloud.engine.values import Item, shown, unpack
from gtlab.localcloud.engine.work import Work
from gtlab.localcloud.model import Key, Refusal, invalid, invalid_values

_AT_ONCE = 50_000  # names of an AttributesToGet that are sorted at once: some 10 ms, during which no other thread runs
MOST_BATCH_KEYS, MOST_TRANSACT_ITEMS = 100, 100
BATCH_BYTES = 16 << 20
TRANSACTION_BYTES = 4 << 20
TOO_MUCH_READ = "Collection size of items in the transaction exceeds the 4 MB limit"
Find = Callable[[str], Table]  # the table with a name or an ARN; raises Refusal


class Read(msgspec.Struct, frozen=True):
    """An answer, and what the call consumed. ``items``: the JSON of each of its "Items", where it has these."""

    answer: dict[str, Any]
    charges: list[Charge]
    items: list[bytes] | None = None


# One item

_KEY_ONLY = frozenset(("TableName", "Key", "ConsistentRead"))  # the members of a request that asks for the whole item


def get_item(find: Find, data: dict[str, Any]) -> Read:
    if _KEY_ONLY.issuperset(data):  # most requests
        terms, project = NO_TERMS, None
    else:
        arguments.check_choices(data)
        arguments.check_not_mixed(data)
        terms = arguments.terms(data, (PROJECTION,))
        project = projection(data, terms)
        terms.check_all_used()
    table = find(data["TableName"])
    if terms.nested:
        _check_scalars(table, terms)
    found = table.items.packed(table.checked_key(data["Key"]))
    units = read_units(found[1] if found else 0, consistent=bool(data.get("ConsistentRead")))
    charges = [Charge(table.id, None, False, READ, units)]
    answer: dict[str, Any] = {} if found is None else {"Item": project(unpack(found)) if project else shown(found)}
    if "ReturnConsumedCapacity" in data:
        answer |= _single(charges, data)
    return Read(answer, charges)


def _check_scalars(table: Table, terms: Terms) -> None:
    for kind in (PROJECTION, FILTER) if terms.nested else ():
        if kind in terms.nested:
            table.check_scalars(terms.nested[kind])


def _single(charges: list[Charge], data: dict[str, Any]) -> dict[str, Any]:
    found = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"))
    return {"ConsumedCapacity": found[0]} if found else {}


def projection(data: dict[str, Any], terms: Terms) -> Callable[[Item], Item] | None:
    """What a ProjectionExpression or an AttributesToGet leaves of an item; None for all of it. Raises Refusal."""
    if PROJECTION in data:
        paths = [terms.path(PROJECTION, path) for path in parse_projection(PROJECTION, data[PROJECTION])]
        check_apart(PROJECTION, paths)
        return Projection(paths).of
    if "AttributesToGet" in data:
        return to_get(data["AttributesToGet"]).of
    return None


class ToGet(NamedTuple):
    """What an AttributesToGet asks for: a projection; and its names, sorted."""

    of: Callable[[Item], Item]
    names: list[str]


def to_get(names: list[str]) -> ToGet:
    """Raises Refusal."""
    if type(names) is PreparedList:
        return names.result()
    if not names:
        arguments.refuse_all([arguments.failed("[]", "attributesToGet",
                                               "Member must have length greater than or equal to 1")])
    if len(set(names)) < len(names):
        times = Counter(names)
        raise invalid_values("Duplicate value in attribute name: " + next(name for name in names if times[name] > 1))
    check_names(names)
    pieces = (sorted(names[at:at + _AT_ONCE]) for at in range(0, len(names), _AT_ONCE))
    return ToGet(Projection((name,) for name in names).of, list(heapq.merge(*pieces)))


# Several items

def batch_get(find: Find, data: dict[str, Any]) -> Read:
    asked = data.get("RequestItems")
    if not asked:
        raise arguments.wrong_length("RequestItems", "greater than or equal to 1")
    arguments.check_choices(data, *arguments.wrong_names(asked, arguments.in_json))
    total = 0
    for name, part in asked.items():
        if not part["Keys"]:
            raise arguments.wrong_length(f"RequestItems.{name}.member.Keys", "greater than or equal to 1")
        if len(part["Keys"]) > MOST_BATCH_KEYS:
            raise arguments.wrong_length(f"RequestItems.{name}.member.Keys", f"less than or equal to {MOST_BATCH_KEYS}")
        total += len(part["Keys"])
    if total > MOST_BATCH_KEYS:
        raise invalid("Too many items requested for the BatchGetItem call")
    # One table's AttributesToGet and another's ProjectionExpression are mixed, too.
    arguments.check_not_mixed({name: value for part in asked.values() for name, value in part.items()})
    projections = [projected(part) for part in asked.values()]  # all of them are read before a table is looked for
    plans = [_batch_part(find, name, part, shows)
             for (name, part), shows in zip(asked.items(), projections, strict=True)]
    tables = [plan.table.id for plan in plans]
    if len(set(tables)) < len(tables):
        raise invalid("Provided list of tables contains duplicates: a table's name and its ARN, or the ARN twice")
    return _batch_read(plans, asked, data)


class _BatchPart(NamedTuple):
    name: str
    table: Table
    keys: list[Key]
    project: Callable[[Item], Item] | None
    consistent: bool


def projected(part: dict[str, Any]) -> tuple[Terms, Callable[[Item], Item] | None]:
    """What a part of a request names, and what it leaves of an item."""
    if type(part) is Prepared:
        return part.result()
    terms = arguments.terms(part, (PROJECTION,))
    project = projection(part, terms)
    terms.check_all_used()
    return terms, project


def _batch_part(find: Find, name: str, part: dict[str, Any],
                shows: tuple[Terms, Callable[[Item], Item] | None]) -> _BatchPart:
    terms, project = shows
    table = find(name)
    _check_scalars(table, terms)
    keys = [table.checked_key(key) for key in part["Keys"]]
    if len(set(keys)) < len(keys):
        raise invalid("Provided list of item keys contains duplicates")
    return _BatchPart(name, table, keys, project, bool(part.get("ConsistentRead")))


def _batch_read(plans: list[_BatchPart], asked: dict[str, Any], data: dict[str, Any]) -> Read:
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    charges, left, is_full, values = list[Charge](), BATCH_BYTES, False, 0
    for plan in plans:
        told = responses.setdefault(plan.name, [])
        units = 0.0
        for place, key in enumerate(plan.keys):
            found = plan.table.items.packed(key)
            size = found[1] if found else 0
            more = values_in(found[0]) if found and plan.project else 0
            is_full = is_full or size > left or (values > 0 and values + more > work.MOST_VALUES)
            if is_full:
                unprocessed[plan.name] = asked[plan.name] | {"Keys": asked[plan.name]["Keys"][place:]}
                break
            left, values = left - size, values + more
            units += read_units(size, consistent=plan.consistent)
            if found is not None:
                told.append(plan.project(unpack(found)) if plan.project else shown(found))
        if units:
            charges.append(Charge(plan.table.id, None, False, READ, units))
    answer: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": unprocessed}
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"))
    return Read(answer | ({"ConsumedCapacity": capacity} if capacity else {}), charges)


def transact_get(find: Find, data: dict[str, Any]) -> Read:
    actions = data["TransactItems"]
    if not actions:
        arguments.refuse_all([arguments.failed("[]", "transactItems",
                                               "Member must have length greater than or equal to 1")])
    if len(actions) > MOST_TRANSACT_ITEMS:
        raise arguments.too_long(arguments.objects("TransactGetItem", actions), "transactItems", MOST_TRANSACT_ITEMS)
    arguments.check_choices(data)
    projections = [projected(action["Get"]) for action in actions]  # all are read before a table is looked for
    plans = []
    for action, (terms, project) in zip(actions, projections, strict=True):
        table = find(action["Get"]["TableName"])
        _check_scalars(table, terms)
        plans.append((table, action["Get"]["Key"], project))
    keys = list[tuple[Table, Key]]()
    for table, given, _ in plans:
        try:
            keys.append((table, table.checked_key(given)))
        except Refusal as refusal:
            raise invalid_part(refusal, len(keys), len(plans)) from None
    if len({(table.id, key) for table, key in keys}) < len(keys):
        raise invalid("Transaction request cannot include multiple operations on one item")
    responses, charges, total = list[dict](), list[Charge](), 0
    for (table, key), (_, _, project) in zip(keys, plans, strict=True):
        found = table.items.packed(key)
        size = found[1] if found else 0
        total += size
        if total > TRANSACTION_BYTES:
            raise invalid(TOO_MUCH_READ)
        charges.append(Charge(table.id, None, False, READ, 2 * read_units(size, consistent=True)))
        responses.append({} if found is None else {"Item": project(unpack(found)) if project else shown(found)})
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"), by_kind=True)
    return Read({"Responses": responses} | ({"ConsumedCapacity": capacity} if capacity else {}), charges)


def cancelled(reasons: list[dict[str, Any]]) -> Refusal:
    """The refusal of a transaction, with a reason for each action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return Refusal("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for "
                   f"specific reasons [{codes}]", details={"CancellationReasons": reasons})


def invalid_part(refusal: Refusal, place: int, count: int) -> Refusal:
    """The refusal of a transaction of which one part does not fit its table. The service stops at the first of them."""
    return cancelled([{"Code": "ValidationError", "Message": refusal.message} if number == place else {"Code": "None"}
                      for number in range(count)])


# Pages

@dataclass(slots=True)
class _Walk:
    """What a Query or a Scan walks through: ``found`` begins with the first item and ends after so many."""

    table: Table
    index: Index | None
    filter: _Filter | None
    project: Callable[[Item], Item] | None
    found: Callable[[int | None], Iterator[Stretch]]


def query(find: Find, data: dict[str, Any]) -> Read:
    return _paged(_queried(find, data), data)


def scan(find: Find, data: dict[str, Any]) -> Read:
    return _paged(_scanned(find, data), data)


def keys_read(find: Find, operation: str, data: dict[str, Any], count: int) -> list[Key]:
    """The keys of the first items that a Query or a Scan reads, with those that its filter leaves out."""
    walk = (_queried if operation == "Query" else _scanned)(find, data)
    return list(walk.table.items.keys_of(walk.found(count)))


def _queried(find: Find, data: dict[str, Any]) -> _Walk:
    _check_page(data, "Querying")
    terms = arguments.terms(data, (FILTER, KEY_CONDITION, PROJECTION))
    if KEY_CONDITION not in data and "KeyConditions" not in data:
        raise invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    conditions = KeyTests(data, terms)
    filter_ = _filter(data, terms)
    project = projection(data, terms)
    terms.check_all_used()
    tests = conditions.found()
    table = find(data["TableName"])
    index = table.index(data["IndexName"]) if "IndexName" in data else None
    _check_consistent(data, index)
    after = None
    if data.get("ExclusiveStartKey"):
        after = table.start_key(data["ExclusiveStartKey"], index, "The provided starting key is invalid")
    schema = index.schema if index else table.key
    asked = range_of(tests, schema)
    if after:
        _check_start(after, asked, any(name in tests for name in schema.sort))
    if PROJECTION in terms.nested:
        table.check_scalars(terms.nested[PROJECTION])
    for name in schema.names:
        if filter_ and name in filter_.names:
            raise invalid(f"{'QueryFilter' if 'QueryFilter' in data else 'Filter Expression'} can only contain "
                          f"non-primary key attributes: Primary key attribute: {name}")
    _check_select(data, index)
    if FILTER in terms.nested:
        table.check_scalars(terms.nested[FILTER])
    ordered, forward = table.ordered(index), data.get("ScanIndexForward", True)
    return _Walk(table, index, filter_, project,
                 lambda most: ordered.query(asked, forward=forward, after=after, most=most))


def _check_start(after: Place, asked: Range, has_sort: bool) -> None:
    """Refuse a start of a page that is not in what the Query asks for."""
    if has_sort and not asked.holds(after.sort):
        raise invalid("The provided starting key does not match the range key predicate")
    if after.partition != asked.partition:
        raise invalid("The query can return at most one row and cannot be restarted" if has_sort else
                      "The provided starting key is outside query boundaries based on provided conditions")


def _scanned(find: Find, data: dict[str, Any]) -> _Walk:
    _check_page(data, "Scanning")
    terms = arguments.terms(data, (FILTER, PROJECTION))
    project = projection(data, terms)
    _check_segments(data)
    table = find(data["TableName"])
    index = table.index(data["IndexName"]) if "IndexName" in data else None
    filter_ = _filter(data, terms)
    terms.check_all_used()
    _check_consistent(data, index)
    _check_select(data, index)
    _check_scalars(table, terms)
    first, last = _segment(data)
    after = None
    if data.get("ExclusiveStartKey"):
        after = table.start_key(data["ExclusiveStartKey"], index, "The provided starting key is invalid: The provided "
                                "key element does not match the schema")
        if not first <= after.hash < last:
            raise invalid("The provided starting key is invalid: Invalid ExclusiveStartKey. Please use "
                          "ExclusiveStartKey with correct Segment. TotalSegments: "
                          f"{data.get('TotalSegments', 1)} Segment: {data.get('Segment', 0)}")
    ordered = table.ordered(index)
    return _Walk(table, index, filter_, project, lambda most: ordered.scan(first, last, after, most))


def _segment(data: dict[str, Any]) -> tuple[int, int]:
    number, total = data.get("Segment", 0), data.get("TotalSegments", 1)
    return -(-SEGMENTS * number // total), -(-SEGMENTS * (number + 1) // total)


def _check_segments(data: dict[str, Any]) -> None:
    number, total = data.get("Segment"), data.get("TotalSegments")
    if number is not None and total is None:
        raise invalid("The TotalSegments parameter is required but was not present in the request when Segment "
                      "parameter is present")
    if total is None:
        return
    if number is None:
        raise invalid("The Segment parameter is required but was not present in the request when parameter "
                      "TotalSegments is present")
    if total > 1_000_000:
        arguments.refuse_all([arguments.failed(total, "totalSegments",
                                               "Member must have value less than or equal to 1000000")])
    if number >= total:
        raise invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: "
                      f"{number} is not less than TotalSegments: {total}")


def _check_page(data: dict[str, Any], doing: str) -> None:
    arguments.check_choices(data)
    arguments.check_limit(data)
    if "IndexName" in data:
        arguments.check_index_name(data["IndexName"])
    arguments.check_not_mixed(data)
    arguments.check_operator(data, "QueryFilter" if doing == "Querying" else "ScanFilter")
    select, chosen = data.get("Select"), "ProjectionExpression" in data or "AttributesToGet" in data
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in data:
        raise invalid(f"ALL_PROJECTED_ATTRIBUTES can be used only when {doing} an index")
    if select == "SPECIFIC_ATTRIBUTES" and not chosen:
        raise invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get "
                      "SPECIFIC_ATTRIBUTES")
    if chosen and select not in (None, "SPECIFIC_ATTRIBUTES"):
        what = "ProjectionExpression" if "ProjectionExpression" in data else "AttributesToGet"
        shown = "only the Count" if select == "COUNT" else select
        raise invalid(f"Cannot specify the {what} when choosing to get {shown}")


def _check_consistent(data: dict[str, Any], index: Index | None) -> None:
    if index is not None and index.is_global and data.get("ConsistentRead"):
        raise invalid("Consistent reads are not supported on global secondary indexes")


def _check_select(data: dict[str, Any], index: Index | None) -> None:
    if index is not None and index.is_global and data.get("Select") == "ALL_ATTRIBUTES" and index.projected is not None:
        raise invalid_values("Select type ALL_ATTRIBUTES is not supported for global secondary index "
                             f"{index.name} because its projection type is not ALL")


class _Filter(NamedTuple):
    test: Test
    names: set[str]  # of the attributes that it looks at
    work: Work


def _filter(data: dict[str, Any], terms: Terms) -> _Filter | None:
    """The filter of a page."""
    if FILTER in data:
        tree = parse_condition(FILTER, data[FILTER])
        names = {str(path[0]) for path in operand_paths(tree, terms, FILTER)}
        return _Filter(compile_condition(FILTER, tree, terms), names, work.of_condition(tree, terms, FILTER))
    given = data.get("QueryFilter") or data.get("ScanFilter")
    return older_filter(given, data.get("ConditionalOperator")) if given else None


def older_filter(given: dict[str, dict], joined_by: str | None) -> _Filter:
    """The filter that a QueryFilter or a ScanFilter means. Raises Refusal."""
    if type(given) is Prepared:
        return given.result()
    return _Filter(legacy.filtered(given, joined_by), set(given), work.of_older(given))


def _paged(walk: _Walk, data: dict[str, Any]) -> Read:
    table, index, filter_, project = walk.table, walk.index, walk.filter, walk.project
    asked = None if data.get("Select") == "ALL_ATTRIBUTES" else _asked(data)
    view = view_of(index, asked, filter_.names if filter_ else set())
    shown = data.get(PROJECTION, "")
    shows = (filter_.work if filter_ else work.NONE).showing(
        shown.count(",") + bool(shown) + len(data.get("AttributesToGet", ())), is_nested="." in shown or "[" in shown,
        is_cut=view is not None)
    look = Look(data.get("Limit"), view, filter_.test if filter_ else None, project, shows)
    page = read_page(walk.found(look.most), look)
    answer: dict[str, Any] = {"Count": len(page.items), "ScannedCount": page.scanned}
    if page.end is not None:
        answer["LastEvaluatedKey"] = table.last_key(page.end, index)
    charges = page_charges(table, index, page, consistent=bool(data.get("ConsistentRead")))
    return Read(answer | _single(charges, data), charges, None if data.get("Select") == "COUNT" else page.items)


def _asked(data: dict[str, Any]) -> list[str]:
    """The attributes that a projection names, sorted."""
    if PROJECTION not in data:
        return to_get(data["AttributesToGet"]).names if "AttributesToGet" in data else []
    names = data.get("ExpressionAttributeNames", {})
    first = [str(path.parts[0]) for path in parse_projection(PROJECTION, data[PROJECTION])]
    return sorted({names.get(name, name) for name in first})
