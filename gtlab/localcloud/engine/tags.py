"""Tags of tables: TagResource, UntagResource, ListTagsOfResource, and GetResources of AWS's tagging API, which finds a
Region's tables by their tags. Each Region's table has its own tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from gtlab.localcloud.engine.database import TAGS, Database, RecordId
from gtlab.localcloud.engine.table_rules import first_twice
from gtlab.localcloud.model import Call, Refusal, TableId, invalid, invalid_values

MOST_TAGS = 50
MOST_RESOURCES = 100  # in a page of GetResources
_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_SIGNS = "+-=._:/@"


def put(database: Database, table: TableId, tags: list[dict[str, str]]) -> None:
    """Add tags that have been checked to a table; those with the same keys are replaced."""
    where = _record(table)
    merged = {tag["Key"]: tag for tag in (*database.records[TAGS].get(where, ()), *tags)}
    database.records[TAGS][where] = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in merged.values()]


def of(database: Database, table: TableId) -> list[dict[str, str]]:
    """A table's tags, as the API writes them."""
    return list(database.records[TAGS].get(_record(table), ()))


def check_new(tags: list[dict[str, str]]) -> None:
    """Raise Refusal for tags that no table can have. The service checks here, too, whether a tag has both its members.
    """
    for tag in tags:
        _check_key(tag.get("Key"))
        value = tag.get("Value")
        if value is None or len(value) > _LONGEST_VALUE or not _is_legal(value):
            raise invalid(f"The Tag Value provided is invalid, Value: {_shown(value)}")
    twice = first_twice([tag["Key"] for tag in tags])
    if twice is not None:
        raise invalid(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {twice}")
    _check_number(len(tags))


def _check_key(key: str | None) -> None:
    if key is None or not 1 <= len(key) <= _LONGEST_KEY or not _is_legal(key):
        raise invalid(f"The Tag Key provided is invalid, Key: {_shown(key)}")
    if key.lower().startswith("aws:"):
        raise invalid(f"Tag Key cannot be prefixed with aws:, Key: {key}")


def _shown(text: str | None) -> str:
    return "null" if text is None else text


def _is_legal(text: str) -> bool:
    """Letters and digits of any script, spaces, and a few signs."""
    return all(sign in _SIGNS or unicodedata.category(sign)[0] in "LN" or unicodedata.category(sign) == "Zs"
               for sign in text)


def _check_number(number: int) -> None:
    if number > MOST_TAGS:
        raise invalid("Number of Tags exceed the current limit for the provided ResourceArn")


# Operations

def _tag(database: Database, call: Call, now: float) -> dict[str, Any]:
    given = call.input["Tags"]
    if not given:
        raise invalid("Atleast one Tag needs to be provided as Input.")
    check_new(given)
    table = _table(database, call)
    _check_number(len({tag["Key"] for tag in (*of(database, table), *given)}))
    put(database, table, given)
    return {}


def _untag(database: Database, call: Call, now: float) -> dict[str, Any]:
    keys = call.input["TagKeys"]
    if not keys:
        raise invalid("Atleast one Tag Key needs to be provided as Input.")
    for key in keys:
        _check_key(key)
    _check_number(len(keys))
    table = _table(database, call)
    if _record(table) in database.records[TAGS]:
        database.records[TAGS][_record(table)] = [tag for tag in of(database, table) if tag["Key"] not in keys]
    return {}


def _list(database: Database, call: Call, now: float) -> dict[str, Any]:
    """All of them: a table's tags fit in one page, so that no answer has a NextToken."""
    if "NextToken" in call.input:
        raise invalid("NextToken is not a token of an earlier answer: a table's tags are listed in one page.")
    return {"Tags": of(database, _table(database, call))}


def resources(database: Database, call: Call) -> dict[str, Any]:
    """GetResources of the Resource Groups Tagging API: a Region's tables that have or had tags, in pages. The only
    resources here are tables. Raises Refusal."""
    asked = call.input
    size, start = asked.get("ResourcesPerPage", MOST_RESOURCES), asked.get("PaginationToken", "")
    if not 1 <= size <= MOST_RESOURCES:
        raise _invalid_parameter(f"ResourcesPerPage is {size}; from 1 to {MOST_RESOURCES} are possible.")
    if start and not start.startswith("arn:aws:dynamodb:"):
        raise _invalid_parameter("The PaginationToken is not one of an earlier answer.")
    for name in ("TagsPerPage", "IncludeComplianceDetails", "ExcludeCompliantResources"):
        if asked.get(name):
            raise _invalid_parameter(f"gtlab's local cloud does not support {name}.")
    arns, kinds, filters = asked.get("ResourceARNList"), asked.get("ResourceTypeFilters"), asked.get("TagFilters")
    for name in ("ResourceTypeFilters", "TagFilters", "ResourcesPerPage", "PaginationToken"):
        if arns and asked.get(name):
            raise _invalid_parameter(f"ResourceARNList and {name} cannot be in the same request.")
    found = []
    for where, kept in sorted(database.records[TAGS].items()):
        if where[:2] != (call.account, call.region) or where.name <= start or (arns and where.name not in arns):
            continue
        if (kinds and not {"dynamodb", "dynamodb:table"} & set(kinds)) or (filters and not kept):
            continue
        values = {tag["Key"]: tag["Value"] for tag in kept}
        if all(each.get("Key") in values and (not each.get("Values") or values[each["Key"]] in each["Values"])
               for each in filters or ()):
            found.append({"ResourceARN": where.name, "Tags": kept})
    page = found[:size]
    return {"ResourceTagMappingList": page, "PaginationToken": page[-1]["ResourceARN"] if len(found) > size else ""}


def _invalid_parameter(text: str) -> Refusal:
    return Refusal("InvalidParameterException", text)


OPERATIONS: dict[str, Callable[[Database, Call, float], dict[str, Any]]] = {
    "TagResource": _tag, "UntagResource": _untag, "ListTagsOfResource": _list}


def _record(table: TableId) -> RecordId:
    return RecordId(table.account, table.region, table.arn)


def _table(database: Database, call: Call) -> TableId:
    """The table that a request names by its ARN. Raises Refusal."""
    arn = call.input["ResourceArn"]
    if not arn.startswith("arn:"):
        raise invalid_values(f"ARNs must start with 'arn:': {arn}")
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "dynamodb":
        raise invalid_values(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    _, _, _, region, account, resource = parts
    kind, _, path = resource.partition("/")
    name, *rest = path.split("/")
    if rest and rest[0] not in ("index", "stream"):
        raise invalid_values(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    if kind != "table" or rest[:1] == ["index"]:
        raise invalid_values("Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
                             + arn)
    if account != call.account:
        raise Refusal("AccessDeniedException", "Access is denied")
    if (parts[1], region) != ("aws", call.region):
        raise invalid(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    table = TableId(account, region, name)
    if rest or not database.exists(table):  # streams have no tags
        raise Refusal("ResourceNotFoundException", f"Requested resource not found: ResourceArn: {arn} not found")
    return table
