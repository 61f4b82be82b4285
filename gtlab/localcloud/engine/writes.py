"""Writes: PutItem, UpdateItem, DeleteItem, BatchWriteItem, TransactWriteItems.

Every write is planned first and carried out afterwards: a plan knows the item before and after, and a refusal changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import msgspec

from gtlab.localcloud.engine import arguments, legacy
from gtlab.localcloud.engine.charges import WRITE, Charge, consumed, write_units
from gtlab.localcloud.engine.conditions import Test, compile_condition
from gtlab.localcloud.engine.expressions import CONDITION, UPDATE, parse_condition, parse_update
from gtlab.localcloud.engine.projections import Projection
from gtlab.localcloud.engine.reads import Find, cancelled, invalid_part
from gtlab.localcloud.engine.table import SCHEMA_MISMATCH, Index, Table, check_attributes, check_names
from gtlab.localcloud.engine.terms import Parts, Terms
from gtlab.localcloud.engine.texts import Prepared
from gtlab.localcloud.engine.updates import TOO_LARGE_UPDATE, Update
from gtlab.localcloud.engine.values import ITEM_BYTES, TOO_LARGE, Item, StoredItem, check_depth, item_size
from gtlab.localcloud.model import Change, Key, Refusal, invalid

MOST_BATCH_ITEMS, MOST_TRANSACT_ITEMS = 25, 100
TRANSACTION_BYTES, BATCH_BYTES = 4 << 20, 16 << 20
NO_REQUESTS = "The requestItems parameter is required for BatchWriteItem"
_OLD_ONLY = ("NONE", "ALL_OLD")


class Write(msgspec.Struct, frozen=True):
    """An answer, the changes of items, and what the call consumed. Writes that changed nothing are not changes.
    ``items``: as in :class:`reads.Read`, of a SELECT."""

    answer: dict[str, Any]
    changes: list[Change]
    charges: Iterable[Charge]
    items: list[bytes] | None = None


class Plan(msgspec.Struct, frozen=True):
    """What a write will do to one item. ``paths``: what an update names."""

    table: Table
    key: Key
    old: Item | None
    new: Item | None
    paths: list[Parts] | None = None


def carry_out(plans: Sequence[Plan]) -> list[Change]:
    """Apply plans, all of them or (if there is an exception, which is a defect) none, and return the changes: plans
    that leave an item as it is are none."""
    return carry_out_changes([plan for plan in plans if plan.old != plan.new])


def carry_out_changes(plans: Sequence[Plan]) -> list[Change]:
    """The same, where each plan changes its item."""
    try:
        for plan in plans:
            _store(plan, plan.new, plan.old)
        return [Change(plan.table.id, plan.key, plan.old, plan.new) for plan in plans]
    except BaseException:
        with ExitStack() as undo:  # it calls each, although one fails
            for plan in plans:
                undo.callback(_store, plan, plan.old)
        raise


def _store(plan: Plan, item: Item | None, before: Item | None = None) -> None:
    if item is None:
        plan.table.items.delete(plan.key, before)
    else:
        plan.table.items.put(plan.key, item, before)


# One item

_ITEM_ONLY = frozenset(("TableName", "Item"))  # the members of a request without a condition, which asks for nothing


def put_item(find: Find, data: dict[str, Any]) -> Write:
    if _ITEM_ONLY.issuperset(data):  # most requests
        test = None
    else:
        _check(data, _OLD_ONLY)
        terms = arguments.terms(data, (CONDITION,))
        test = condition(data, terms)
        terms.check_all_used()
    item = check_attributes(data["Item"])
    check_size(item, TOO_LARGE)
    return _single(data, _put(find(data["TableName"]), item), test)


def update_item(find: Find, data: dict[str, Any]) -> Write:
    _check(data, None)
    terms = arguments.terms(data, (UPDATE, CONDITION))
    tree = parse_update(UPDATE, data[UPDATE]) if UPDATE in data else ()
    update = legacy.updates(data["AttributeUpdates"]) if data.get("AttributeUpdates") else Update(tree, terms)
    test = condition(data, terms)
    terms.check_all_used()
    table = find(data["TableName"])
    key = table.checked_key(data["Key"])
    update.check_key(table)
    update.check_types(table)
    old = table.items.item(key)
    _judge(test, old, data)
    if old is None and not update.creates():
        return _finished(data, Plan(table, key, None, None, update.paths))
    new = update.of(old if old is not None else _key_item(table, data["Key"]))
    return _finished(data, checked_update(Plan(table, key, old, new, update.paths), update))


def delete_item(find: Find, data: dict[str, Any]) -> Write:
    _check(data, _OLD_ONLY)
    terms = arguments.terms(data, (CONDITION,))
    test = condition(data, terms)
    terms.check_all_used()
    table = find(data["TableName"])
    key = table.checked_key(data["Key"])
    return _single(data, Plan(table, key, table.items.item(key), None), test)


def _check(data: dict[str, Any], returns: tuple[str, ...] | None) -> None:
    arguments.check_choices(data)
    arguments.check_not_mixed(data)
    if returns and data.get("ReturnValues", "NONE") not in returns:
        raise invalid("Return values set to invalid value")
    arguments.check_operator(data, "Expected")


def condition(data: dict[str, Any], terms: Terms) -> Test | None:
    """The condition of a write. Raises Refusal."""
    if CONDITION in data:
        return compile_condition(CONDITION, parse_condition(CONDITION, data[CONDITION]), terms)
    if data.get("Expected"):
        return legacy.expected(data["Expected"], data.get("ConditionalOperator"))
    return None


def _put(table: Table, item: Item) -> Plan:
    table.check_item(item)
    key = table.key_of(item)
    return Plan(table, key, table.items.item(key), item)


def _key_item(table: Table, given: Item) -> Item:
    """An item that an update creates: the key alone, its numbers in canonical form."""
    return check_attributes({name: given[name] for name in table.key_names})


def checked_update(plan: Plan, update: Update | legacy.Update) -> Plan:
    """The plan of an update. Raises Refusal if the item after it cannot be stored."""
    assert plan.new is not None
    check_names(str(path[0]) for path in update.paths)
    for name in {path[0] for path in update.paths if len(path) > 1}:
        if name in plan.new:  # a value that is not too deep by itself may be so in its place
            check_depth(plan.new[name])
    new = StoredItem(plan.new)
    check_size(new, TOO_LARGE_UPDATE)
    plan.table.check_index_keys(new, update.computed, is_update=isinstance(update, Update))
    return msgspec.structs.replace(plan, new=new)


def check_size(item: StoredItem, text: str) -> None:
    """Refuse an item of too many bytes, with a text."""
    if item.size > ITEM_BYTES:
        raise invalid(text)


def _single(data: dict[str, Any], plan: Plan, test: Test | None) -> Write:
    _judge(test, plan.old, data)
    return _finished(data, plan)


def _judge(test: Test | None, old: Item | None, data: dict[str, Any]) -> None:
    if test is not None and not test(old or {}):
        shown = {"Item": old} if old and data.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
        raise Refusal("ConditionalCheckFailedException", "The conditional request failed", details=shown)


def _finished(data: dict[str, Any], plan: Plan) -> Write:
    charges: Iterable[Charge] = (charge for each in (plan,) for charge in charges_of(each))  # seldom does anybody ask
    answer: dict[str, Any] = {}
    if "ReturnConsumedCapacity" in data:
        charges = list(charges)
        capacity = consumed(charges, data["ReturnConsumedCapacity"])
        if capacity:
            answer["ConsumedCapacity"] = capacity[0]
    if "ReturnValues" in data and (shown := returned(plan, data["ReturnValues"])):
        answer["Attributes"] = shown
    if data.get("ReturnItemCollectionMetrics") == "SIZE" and plan.table.described.get("LocalSecondaryIndexes"):
        answer["ItemCollectionMetrics"] = _metrics(plan)
    return Write(answer, carry_out((plan,)), charges)


def returned(plan: Plan, what: str) -> Item | None:
    """What ReturnValues asks for."""
    if what == "ALL_OLD":
        return plan.old
    if what == "ALL_NEW":
        return plan.new
    if what == "NONE" or plan.paths is None:
        return None
    item = plan.old if what == "UPDATED_OLD" else plan.new
    return Projection(plan.paths).of(item) if item else None


def _metrics(plan: Plan) -> dict[str, Any]:
    partition = plan.table.key.partition[0]
    item = plan.new or plan.old or {partition: {plan.table.key.types[partition]: plan.key.partition}}
    return {"ItemCollectionKey": {partition: item[partition]}, "SizeEstimateRangeGB": [0.0, 1.0]}


def charges_of(plan: Plan, factor: int = 1) -> list[Charge]:
    """What a write consumes in its table and in the indexes that it changes. ``factor`` is that of a transaction, which
    applies to the table only (captured from the service by others in August 2026)."""
    charges = [Charge(plan.table.id, None, False, WRITE, factor * write_units(plan.old, plan.new))]
    if not plan.table.has_indexes():
        return charges
    for index in plan.table.indexes():
        before, after = (_indexed(index, item) for item in (plan.old, plan.new))
        if before == after:
            continue
        moved = before is not None and after is not None and any(
            before[name] != after[name] for name in index.schema.names)
        units = (write_units(before, None) + write_units(None, after)) if moved else write_units(before, after)
        charges.append(Charge(plan.table.id, index.name, index.is_global, WRITE, units))
    return charges


def _indexed(index: Index, item: Item | None) -> Item | None:
    """The part of an item that an index has; None if the item is not in the index."""
    if item is None or not index.schema.fits(item):
        return None
    return item if index.projected is None else {name: value for name, value in item.items() if name in index.projected}


# Batches

def batch_write(find: Find, data: dict[str, Any]) -> Write:
    asked = data.get("RequestItems")
    if not asked:
        raise invalid(NO_REQUESTS)
    arguments.check_choices(data)
    arguments.refuse_all(arguments.wrong_names(asked, arguments.write_requests))
    if not all(1 <= len(requests) <= MOST_BATCH_ITEMS for requests in asked.values()):
        raise invalid("1 validation error detected: " + arguments.failed(
            arguments.write_requests(asked), "requestItems", "Map value must satisfy constraint: [Member must have "
            f"length less than or equal to {MOST_BATCH_ITEMS}, Member must have length greater than or equal to 1]"))
    if sum(map(len, asked.values())) > MOST_BATCH_ITEMS:
        raise invalid("Too many items requested for the BatchWriteItem call")
    plans = [_batch_plan(find, name, request) for name, requests in asked.items() for request in requests]
    if len({(plan.table.id, plan.key) for plan in plans}) < len(plans):
        raise invalid("Provided list of item keys contains duplicates")
    charges = [charge for plan in plans for charge in charges_of(plan)]
    answer: dict[str, Any] = {"UnprocessedItems": {}}
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"))
    if capacity:
        answer["ConsumedCapacity"] = capacity
    metrics = _metrics_by_table(plans, data)
    if metrics:
        answer["ItemCollectionMetrics"] = metrics
    return Write(answer, carry_out(plans), charges)


def _batch_plan(find: Find, name: str, request: dict[str, Any]) -> Plan:
    kinds = [kind for kind in ("PutRequest", "DeleteRequest") if kind in request]
    if len(kinds) != 1:
        raise invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
                      "supported datatypes")  # the service says so of none, too
    table = find(name)
    if kinds[0] == "PutRequest":
        item = check_attributes(request["PutRequest"]["Item"])
        check_size(item, TOO_LARGE)
        if not table.items.schema.fits(item):  # batches have their own text for it
            raise invalid(SCHEMA_MISMATCH)
        return _put(table, item)
    key = table.checked_key(request["DeleteRequest"]["Key"])
    return Plan(table, key, table.items.item(key), None)


def _metrics_by_table(plans: list[Plan], data: dict[str, Any]) -> dict[str, list[dict]]:
    if data.get("ReturnItemCollectionMetrics") != "SIZE":
        return {}
    found: dict[str, list[dict]] = {}
    for plan in plans:
        if plan.table.described.get("LocalSecondaryIndexes"):
            found.setdefault(plan.table.id.name, []).append(_metrics(plan))
    return found


# Transactions

class Action(NamedTuple):
    """One action of a transaction: its condition, and what it makes of the item. ``item``: what a Put puts."""

    kind: str
    part: dict[str, Any]
    test: Test | None
    update: Update | None
    item: StoredItem | None


def transact_write(find: Find, data: dict[str, Any]) -> Write:
    asked = data["TransactItems"]
    if not asked:
        arguments.refuse_all([arguments.failed("[]", "transactItems",
                                               "Member must have length greater than or equal to 1")])
    if len(asked) > MOST_TRANSACT_ITEMS:
        raise arguments.too_long(arguments.objects("TransactWriteItem", asked), "transactItems", MOST_TRANSACT_ITEMS)
    arguments.check_choices(data)
    actions = [action_of(each) for each in asked]
    tables = [_table_of(action, find) for action in actions]
    keyed = list[Plan]()
    for action, table in zip(actions, tables, strict=True):
        try:
            keyed.append(_keyed(action, table))
        except Refusal as refusal:
            raise invalid_part(refusal, len(keyed), len(actions)) from None
    if sum(map(_payload, actions)) > TRANSACTION_BYTES:
        raise invalid("Transaction payload size cannot exceed 4 MB")
    if len({(plan.table.id, plan.key) for plan in keyed}) < len(keyed):
        raise invalid("Transaction request cannot include multiple operations on one item")
    ready, reasons = list[Plan](), list[dict[str, Any]]()
    for action, plan in zip(actions, keyed, strict=True):
        done, reason = _judged(action, plan)
        ready.append(done)
        reasons.append(reason)
    if any(reason["Code"] != "None" for reason in reasons):
        raise cancelled(reasons)
    charges = [charge for plan in ready for charge in charges_of(plan, 2)]
    changing = [plan for action, plan in zip(actions, ready, strict=True) if action.kind != "ConditionCheck"]
    answer: dict[str, Any] = {}
    capacity = consumed(charges, data.get("ReturnConsumedCapacity", "NONE"), by_kind=True)
    if capacity:
        answer["ConsumedCapacity"] = capacity
    metrics = _metrics_by_table(changing, data)
    if metrics:
        answer["ItemCollectionMetrics"] = metrics
    return Write(answer, carry_out(changing), charges)


def action_of(asked: dict[str, Any]) -> Action:
    """The action, with what is wrong with it refused, whichever tables there are."""
    if type(asked) is Prepared:
        return asked.result()
    kinds = [kind for kind in ("ConditionCheck", "Put", "Update", "Delete") if kind in asked]
    if len(kinds) != 1:
        raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    kind, = kinds
    part = asked[kind]
    arguments.check_choices(part)
    terms = arguments.terms(part, (UPDATE, CONDITION) if kind == "Update" else (CONDITION,))
    tree = parse_update(UPDATE, part[UPDATE]) if kind == "Update" else None
    test = condition(part, terms)
    update = Update(tree, terms) if tree is not None else None
    terms.check_all_used()
    item = None
    if kind == "Put":
        item = check_attributes(part["Item"])
        check_size(item, TOO_LARGE)
    else:
        check_attributes(part["Key"])
    return Action(kind, part, test, update, item)


def _table_of(action: Action, find: Find) -> Table:
    """The action's table. Raises Refusal for what is a fault of the request, and does not cancel it."""
    table = find(action.part["TableName"])
    if action.update is not None:
        action.update.check_key(table)
    given = action.part["Key"] if action.item is None else action.item
    for name in table.key_names:  # an empty key is a fault of the request, one of another type cancels it
        if name in given and "" in given[name].values():
            if action.item is None:
                table.checked_key(given)
            else:
                table.check_item(action.item)
    return table


def _payload(action: Action) -> int:
    """Bytes of an action's item, or of its key and its values."""
    if action.item is not None:
        return action.item.size
    return item_size(action.part["Key"]) + item_size(action.part.get("ExpressionAttributeValues", {}))


def _keyed(action: Action, table: Table) -> Plan:
    """What the action names, before its condition and its update are evaluated. Raises Refusal."""
    if action.item is not None:
        return _put(table, action.item)
    key = table.checked_key(action.part["Key"])
    return Plan(table, key, table.items.item(key), None)


def _judged(action: Action, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    """The plan of an action, and the reason for cancelling the transaction."""
    part = action.part
    if action.update is not None:
        try:
            action.update.check_types(plan.table)
        except Refusal as refusal:
            return plan, {"Code": "ValidationError", "Message": refusal.message}
    if action.test is not None and not action.test(plan.old or {}):
        shown = {"Item": plan.old} if plan.old and part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
        return plan, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"} | shown
    if action.kind == "ConditionCheck":
        return msgspec.structs.replace(plan, new=plan.old), {"Code": "None"}
    if action.update is not None and (plan.old is not None or action.update.creates()):
        try:
            new = action.update.of(plan.old if plan.old is not None else _key_item(plan.table, part["Key"]))
            plan = checked_update(msgspec.structs.replace(plan, new=new), action.update)
        except Refusal as refusal:
            return plan, {"Code": "ValidationError", "Message": refusal.message}
    return plan, {"Code": "None"}
