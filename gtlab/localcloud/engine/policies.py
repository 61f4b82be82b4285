"""Resource-based policies of tables and streams. They are kept and shown as on the service; nobody evaluates them.

A policy is stored in the form in which the service returns it: without spaces, its members in a fixed order, a list of
one action or resource as a string. Two documents with the same form are the same policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gtlab.localcloud.engine.constraints import check, length, structure
from gtlab.localcloud.engine.database import POLICIES, Database, RecordId
from gtlab.localcloud.model import Call, Refusal, TableId, invalid, invalid_values

MOST_BYTES = 20 * 1024
_REVISION = structure({"ExpectedRevisionId": length(1, 255)})
_NO_POLICY = "NO_POLICY"  # as ExpectedRevisionId: only if the resource has no policy
_OLDEST_VERSION = "2008-10-17"  # of a document that names no version
_VERSIONS = ("2012-10-17", _OLDEST_VERSION)
_DOCUMENT = ("Version", "Id", "Statement")
_STATEMENT = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
              "Condition")
_LISTS = ("Action", "NotAction", "Resource", "NotResource")
_STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator")  # of the policy of a stream, not of a table
# Operations that no resource-based policy allows or denies (developer guide, "DynamoDB API operations supported by
# resource-based policies").
_NO_ACTIONS = (
    "BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction", "CreateTable", "ListTables", "ListStreams",
    "CreateGlobalTable", "DescribeGlobalTable", "DescribeGlobalTableSettings", "ListGlobalTables", "UpdateGlobalTable",
    "UpdateGlobalTableSettings", "DescribeBackup", "DeleteBackup", "RestoreTableFromBackup", "ListBackups",
    "ListContributorInsights", "DescribeExport", "ListExports", "DescribeImport", "ImportTable", "ListImports",
    "DescribeLimits", "DescribeEndpoints")
_NOT_FOUND = "Resource-based policy not found for the provided ResourceArn: "


class Resource(NamedTuple):
    """The table or the stream that an ARN names. ``stream`` is the stream's label, None for the table itself."""

    table: TableId
    stream: str | None


def resource(account: str, region: str, arn: str) -> Resource:
    """The table or the stream that a policy belongs to. Raises Refusal for the ARN of anything else."""
    if not arn.startswith("arn:"):
        raise invalid_values(f"ARNs must start with 'arn:': {arn}")
    parts = arn.split(":", 5)
    kind, _, path = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    if parts[2:3] != ["dynamodb"] or kind != "table" or not path:
        raise invalid_values(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    if parts[4] != account:
        raise invalid("This action is only supported by accounts that match the resource owner’s account.")
    if (parts[1], parts[3]) != ("aws", region):
        raise invalid_values(f"Invalid resource Arn: {arn}")
    name, *rest = path.split("/")
    if rest[:1] == ["index"]:
        raise invalid_values("Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
                             f"{arn}")
    if rest and (rest[0] != "stream" or len(rest) != 2):
        raise invalid_values(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    return Resource(TableId(account, region, name), rest[1] if rest else None)


def attach(database: Database, table: TableId, document: str, now: float) -> str:
    """Give a table a policy in its :func:`canonical` form; returns its revision."""
    return _attach(database, RecordId(table.account, table.region, table.arn), document, now)


def _attach(database: Database, where: RecordId, document: str, now: float) -> str:
    revision = _revision(database, now)
    database.records[POLICIES][where] = {"Policy": document, "RevisionId": revision}
    return revision


# Operations

def _put(database: Database, call: Call, now: float) -> dict[str, Any]:
    """The policy that the resource has already keeps its revision."""
    where, known = _find(database, call)
    place = resource(call.account, call.region, call.input["ResourceArn"])
    document = canonical(call.input["Policy"], of_stream=place.stream is not None)
    if known is not None and known["Policy"] == document:
        return {"RevisionId": known["RevisionId"]}
    return {"RevisionId": _attach(database, where, document, now)}


def _get(database: Database, call: Call, now: float) -> dict[str, Any]:
    where, known = _find(database, call)
    if known is None or known["Policy"] is None:
        raise Refusal("PolicyNotFoundException", _NOT_FOUND + where.name)
    return {"Policy": known["Policy"], "RevisionId": known["RevisionId"]}


def _delete(database: Database, call: Call, now: float) -> dict[str, Any]:
    """Without an expected revision, a resource without a policy is no error. A deletion is a revision, too: the answer
    has that of the policy, and the answer to another deletion has that of the first one, as captured by others."""
    where, known = _find(database, call)
    if known is None:
        return {}
    if known["Policy"] is not None:
        database.records[POLICIES][where] = {"Policy": None, "RevisionId": _revision(database, now)}
    return {"RevisionId": known["RevisionId"]}


OPERATIONS: dict[str, Callable[[Database, Call, float], dict[str, Any]]] = {
    "PutResourcePolicy": _put, "GetResourcePolicy": _get, "DeleteResourcePolicy": _delete}


def canonical(text: str, of_stream: bool = False) -> str:
    """A policy document in the form in which the service returns it. Raises Refusal for what is no such document."""
    if len(text.encode()) > MOST_BYTES:
        raise invalid_values(f"Maximum policy size of {MOST_BYTES} bytes exceeded")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong("This policy contains invalid Json") from None
    if isinstance(document, list):
        raise _wrong("This policy contains invalid Json")
    if not isinstance(document, dict):
        raise _wrong("This text appears not to be a policy")
    if "Statement" not in document:
        raise _wrong(f"Syntax error at position ({text.count(chr(10)) + 1},{len(text) - text.rfind(chr(10))})")
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    if not statements:
        raise _wrong("Could not parse the policy: Statement is empty!")
    if not all(isinstance(each, dict) for each in statements):
        raise _wrong("each statement must be a JSON object")
    checked = [_statement(each) for each in statements]
    found = {"Version": _OLDEST_VERSION} | document | {"Statement": checked}
    _check_members(found, _DOCUMENT)
    if found["Version"] not in _VERSIONS:
        raise _wrong("The policy must contain a valid version string")
    ids = [each["Sid"] for each in checked if "Sid" in each]
    if not all(isinstance(each, str) for each in ids):
        raise _wrong("a Sid must be a string")
    if len(set(ids)) < len(ids):
        raise _wrong("The Statement Ids in the policy are not unique")
    _check_actions(checked, of_stream)
    for statement in checked:
        _check_resources(statement, of_stream)
        _check_bounded(statement)
    return json.dumps(_in_order(found, _DOCUMENT), ensure_ascii=False, separators=(",", ":"))


def _statement(given: dict[str, Any]) -> dict[str, Any]:
    _check_members(given, _STATEMENT)
    found = dict(given)
    for name in _LISTS:
        if isinstance(found.get(name), list) and len(found[name]) == 1:
            found[name], = found[name]
    if isinstance(found.get("Effect"), str):
        found["Effect"] = found["Effect"].capitalize()
    for name in ("Effect", "Principal", "Action", "Resource"):
        if name not in found and f"Not{name}" not in found:
            raise _wrong(f"Missing required field {name}")
        if name in found and f"Not{name}" in found:
            raise _wrong(f"a statement cannot have both {name} and Not{name}")
    if found["Effect"] not in ("Allow", "Deny"):
        raise _wrong("the Effect of a statement must be Allow or Deny")
    for name in _LISTS:
        if name in found and not _texts(found[name]):
            raise _wrong(f"{name} must be a string or a list of strings")
    if not isinstance(found.get("Condition", {}), dict):
        raise _wrong("a Condition must be a JSON object")
    for name in ("Principal", "NotPrincipal"):
        if isinstance(found.get(name), dict):
            found[name] = {kind: _principal(value) for kind, value in found[name].items()}
        elif found.get(name, "*") != "*":
            raise _wrong(f"{name} must be * or a JSON object")
    return _in_order(found, _STATEMENT)


def _check_actions(statements: list[dict[str, Any]], of_stream: bool) -> None:
    """Refuse actions that a policy of a table, or of a stream, cannot have. Those with wildcards are not compared."""
    never = {each.lower() for each in (*_NO_ACTIONS, *(() if of_stream else _STREAM_ACTIONS))}
    wrong = []
    for action in (each for found in statements for each in _texts(found.get("Action", found.get("NotAction")))):
        service, _, name = action.partition(":")
        if action != "*" and (service.lower() != "dynamodb" or not re.fullmatch("[A-Za-z*?]+", name)
                              or name.lower() in never):
            wrong.append(action)
    if wrong:
        raise _wrong("The following action names are invalid: " + ", ".join(f'"{each}"' for each in wrong))


def _check_resources(statement: dict[str, Any], of_stream: bool) -> None:
    """Any table or index may be named; a stream only in the policy of a stream."""
    for arn in _texts(statement.get("Resource", statement.get("NotResource"))):
        if arn != "*" and not arn.startswith("arn:"):
            raise _wrong(f'Resource {arn} must be in ARN format or "*".')
        path = arn.split(":", 5)[-1]
        if not of_stream and "/stream/" in path:
            raise _wrong(f'The relative-id "{path}" is invalid for ARN "{arn}".')


def _check_bounded(statement: dict[str, Any]) -> None:
    """Refuse what allows everybody everything, without a condition."""
    principal = statement.get("Principal")
    everybody = principal == "*" or (isinstance(principal, dict) and any("*" in _texts(each)
                                                                         for each in principal.values()))
    if everybody and statement["Effect"] == "Allow" and not statement.get("Condition"):
        raise invalid("Resource-based policy grants unbounded access in one or more elements. Please revise the policy "
                      "to ensure least-privilege form of access")


def _check_members(given: dict[str, Any], names: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise _wrong(f"unknown element {unknown[0]}")


def _texts(value: Any) -> list[str]:
    """The strings of a string or a list of strings; none if it is something else."""
    found = value if isinstance(value, list) else [value]
    return found if all(isinstance(each, str) for each in found) else []


def _wrong(why: str) -> Refusal:
    return invalid_values(f"Invalid policy document: {why}")


def _principal(value: Any) -> Any:
    """Principals with an account's ID as the ARN of its root user; one of them as a string."""
    names = [f"arn:aws:iam::{each}:root" if isinstance(each, str) and re.fullmatch(r"\d{12}", each) else each
             for each in (value if isinstance(value, list) else [value])]
    different = [each for at, each in enumerate(names) if each not in names[:at]]
    return different[0] if len(different) == 1 else different


def _in_order(members: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    return {name: members[name] for name in (*order, *members) if name in members}


def _find(database: Database, call: Call) -> tuple[RecordId, dict[str, Any] | None]:
    """Where the policy of a request's resource is kept, and the policy (None in place of a document that was deleted).
    Raises Refusal if the table is not there, or if the policy is not the one that the request expects."""
    check(call.input, _REVISION)
    arn, expected = call.input["ResourceArn"], call.input.get("ExpectedRevisionId")
    table = resource(call.account, call.region, arn).table
    database.table(table)
    where = RecordId(call.account, call.region, arn)
    known = database.records[POLICIES].get(where)
    has_policy = known is not None and known["Policy"] is not None
    if expected is None or expected == (known["RevisionId"] if known else None) or (
            expected == _NO_POLICY and not has_policy):
        return where, known
    if expected == _NO_POLICY:
        raise Refusal("PolicyNotFoundException", f"{_NOT_FOUND}Requested policy update expecting none to be present "
                      f"for table {table.name}, but a policy exists with revision id {known and known['RevisionId']}.")
    but = (f"the policy associated to target table {table.name} has revision id {known['RevisionId']}" if known
           else f"table {table.name} has no associated policy")
    raise Refusal("PolicyNotFoundException", f"{_NOT_FOUND}Requested update for policy with revision id {expected}, "
                  f"but {but}.")


def _revision(database: Database, now: float) -> str:
    """The time of a change in epoch milliseconds, later than that of every other policy."""
    taken = [int(each["RevisionId"]) for each in database.records[POLICIES].values() if each["RevisionId"].isdecimal()]
    return str(max(int(now * 1000), max(taken, default=0) + 1))
