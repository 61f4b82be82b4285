"""Checks of a request's arguments that need no table, in the service's order and with its texts."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gtlab.localcloud.engine.terms import NO_TERMS, Terms
from gtlab.localcloud.engine.values import check
from gtlab.localcloud.model import Refusal, invalid

_MOST_SHOWN = 64_000  # characters of a request's own values in a refusal
_MOST_FAILURES = 1000  # constraints whose failure a refusal shows
_INDEX_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,255}")
_MAP_KEY = re.compile(r"[a-zA-Z0-9_.-]{3,255}|arn:.*", re.DOTALL)
# The values of some arguments, as the service's refusal lists them.
_CHOICES = {
    "ReturnConsumedCapacity": ("INDEXES", "TOTAL", "NONE"),
    "ReturnItemCollectionMetrics": ("SIZE", "NONE"),
    "ReturnValuesOnConditionCheckFailure": ("ALL_OLD", "NONE"),
    "ReturnValues": ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
    "Select": ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
    "ConditionalOperator": ("OR", "AND"),
}
# The members with choices of arguments that are conditions or updates by attribute.
_OF_EACH = dict.fromkeys(("Expected", "QueryFilter", "ScanFilter", "KeyConditions"), ("ComparisonOperator", (
    "IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE",
    "CONTAINS"))) | {"AttributeUpdates": ("Action", ("ADD", "PUT", "DELETE"))}
_WITH_CHOICES = _CHOICES.keys() | _OF_EACH.keys()
# Arguments from before expressions, and the expression that took the place of each.
LEGACY = {"AttributesToGet": "ProjectionExpression", "Expected": "ConditionExpression",
          "AttributeUpdates": "UpdateExpression", "QueryFilter": "FilterExpression", "ScanFilter": "FilterExpression",
          "KeyConditions": "KeyConditionExpression", "ConditionalOperator": None}
_EXPRESSIONS = ("KeyConditionExpression", "ProjectionExpression", "FilterExpression", "UpdateExpression",
                "ConditionExpression")
_NAMES_NEED = ("ExpressionAttributeNames can only be specified when using expressions")


def failed(value: object, place: str, constraint: str) -> str:
    """One failed constraint, in the service's words."""
    return f"Value '{value}' at '{place}' failed to satisfy constraint: {constraint}"


def refuse_all(failures: list[str], count: int | None = None) -> None:
    """Raise Refusal if there are failed constraints. ``count``: how many, if only the first ones are given."""
    if failures:
        count = len(failures) if count is None else count
        errors = "error" if count == 1 else "errors"
        raise invalid(f"{count} validation {errors} detected: " + "; ".join(failures))


def check_table_name(name: str, place: str = "tableName") -> None:
    if not _TABLE_NAME.fullmatch(name):
        wanted = ("Member must have length less than or equal to 255" if len(name) > 255 else
                  "Member must have length greater than or equal to 1" if not name else
                  "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
        refuse_all([failed(name[:300], place, wanted)])


def check_index_name(name: str) -> None:
    failures = []
    if not _INDEX_NAME.fullmatch(name):
        failures.append(failed(name[:300], "indexName", f"Member must satisfy regular expression pattern: "
                                                        f"{_INDEX_NAME.pattern}"))
    if len(name) < 3:
        failures.append(failed(name, "indexName", "Member must have length greater than or equal to 3"))
    elif len(name) > 255:
        failures.append(failed(name[:300], "indexName", "Member must have length less than or equal to 255"))
    refuse_all(failures)


def check_choices(data: dict[str, Any], *others: str, within: str = "") -> None:
    """Refuse arguments with a value that is none of their choices, all of them together, and behind ``others``.
    ``within``: the place of ``data`` in the request, as the service shows it."""
    if not others and _WITH_CHOICES.isdisjoint(data):  # most requests
        return
    wrong = [(name, data[name], choices) for name, choices in _CHOICES.items()
             if name in data and data[name] not in choices]
    for name, (member, choices) in _OF_EACH.items():
        wrong += [(f"{name}.{attribute}.member.{member[0].lower()}{member[1:]}", each[member], choices)
                  for attribute, each in data.get(name, {}).items() if member in each and each[member] not in choices]
    refuse_all([*others, *(failed(value, within + place[0].lower() + place[1:],
                                     f"Member must satisfy enum value set: [{', '.join(choices)}]")
                           for place, value, choices in wrong[:_MOST_FAILURES])], len(others) + len(wrong))


def wrong_names(asked: dict[str, Any], show: Callable[[dict[str, Any]], str]) -> list[str]:
    """The failure of names that no table can have, in a map by table; an ARN is looked at later. ``show``: the map, as
    the service shows it."""
    if all(_MAP_KEY.fullmatch(name) for name in asked):
        return []
    return [failed(_short(show(asked)), "requestItems", "Map keys must satisfy constraint: [Member must have "
                   "length less than or equal to 255, Member must have length greater than or equal to 3, Member must "
                   "satisfy regular expression pattern: [a-zA-Z0-9_.-]+]")]


def in_json(asked: dict[str, Any]) -> str:
    return msgspec.json.encode(asked).decode()


def check_limit(data: dict[str, Any]) -> None:
    for name, least in (("Limit", 1), ("Segment", 0), ("TotalSegments", 1)):
        if name in data and data[name] < least:
            place = name[0].lower() + name[1:]
            refuse_all([failed(data[name], place, f"Member must have value greater than or equal to {least}")])


def check_not_mixed(data: dict[str, Any]) -> None:
    """Refuse arguments from before expressions beside expressions. The service takes KeyConditions beside all of them
    but KeyConditionExpression."""
    if LEGACY.keys().isdisjoint(data):  # most requests
        return
    old = [name for name in LEGACY if name in data and (name != "KeyConditions" or "KeyConditionExpression" in data)]
    new = [name for name in _EXPRESSIONS if name in data]
    if old and new:
        raise invalid("Can not use both expression and non-expression parameters in the same request: Non-expression "
                      f"parameters: {{{', '.join(old)}}} Expression parameters: {{{', '.join(new)}}}")


def check_operator(data: dict[str, Any], conditions: str) -> None:
    """Refuse a ConditionalOperator without the conditions that it joins."""
    if "ConditionalOperator" in data and not data.get(conditions):
        raise invalid("ConditionalOperator cannot be used without Filter or Expected")


def check_values(data: dict[str, Any]) -> None:
    """Refuse malformed values of the items and keys of a request for one item or several, which the service does before
    it looks for a table."""
    given = [data[name] for name in ("Key", "ExclusiveStartKey") if name in data]
    for part in data.get("RequestItems", {}).values():
        given += part["Keys"] if isinstance(part, dict) else [
            each.get("Item") or each.get("Key", {}) for request in part for each in request.values()]
    given += [action["Get"]["Key"] for action in data.get("TransactItems", ()) if "Get" in action]
    for attributes in given:
        for value in attributes.values():
            check(value)


def terms(data: dict[str, Any], expressions: Iterable[str]) -> Terms:
    """The names and values of a request. Raises Refusal if they are there, and none of these expressions is."""
    names, values = data.get("ExpressionAttributeNames"), data.get("ExpressionAttributeValues")
    uses = not data.keys().isdisjoint(expressions)
    if names is None and values is None and not uses:  # most requests
        return NO_TERMS
    if not uses and names is not None:
        raise invalid(_NAMES_NEED)
    if not uses or (values is not None and "ProjectionExpression" in data):  # a projection has no values
        used = [name for name in expressions if name != "ProjectionExpression"]
        if not used or (uses and any(name in data for name in used)):
            return Terms(names, values if used else None)
        nulls = " and ".join(used) + (" is null" if len(used) == 1 else " are null")
        raise invalid(f"ExpressionAttributeValues can only be specified when using expressions: {nulls}")
    return Terms(names, values)


def wrong_length(place: str, wanted: str) -> Refusal:
    """The refusal of what is too short or too long, where the service does not show it."""
    return invalid(f"1 validation error detected: Value at '{place}' failed to satisfy constraint: Member must have "
                   f"length {wanted}")


def too_long(shown: str, place: str, most: int) -> Refusal:
    return invalid("1 validation error detected: " + failed(_short(shown), place,
                                                            f"Member must have length less than or equal to {most}"))


# Values in the notation of the service's refusals, which is that of Java's toString

def objects(kind: str, values: list) -> str:
    """A list of structures: each is shown by its class and a hash."""
    return "[" + ", ".join(_object(kind, value) for value in values) + "]"


def write_requests(asked: dict[str, list[dict]]) -> str:
    """RequestItems of BatchWriteItem."""
    return _short("{" + ", ".join(f"{name}=[{', '.join(map(_write_request, requests))}]"
                                  for name, requests in asked.items()) + "}")


def _write_request(request: dict[str, Any]) -> str:
    put, delete = request.get("PutRequest"), request.get("DeleteRequest")
    shown_put = f"PutRequest(item={_item(put['Item'])}, workloadProfileName=null)" if put else "null"
    shown_delete = f"DeleteRequest(key={_item(delete['Key'])}, workloadProfileName=null)" if delete else "null"
    return f"WriteRequest(putRequest={shown_put}, deleteRequest={shown_delete})"


def _item(item: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{name}={_object('AttributeValue', value)}" for name, value in item.items()) + "}"


def _object(kind: str, value: object) -> str:
    return f"com.amazonaws.dynamodb.v20120810.{kind}@{zlib.crc32(repr(value).encode('utf-8', 'replace')):08x}"


def _short(shown: str) -> str:
    return shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + "…"
