"""Nothing foreign is ever touched: before the first call that changes a table, ask whether the table is gtlab's.

A table is gtlab's if it carries the tag ``gtlab:run`` of this state folder, if gtlab noted that it was about to create
it (:mod:`gtlab.lab.ownership`), or if it is a replica of such a table. Tables that the user named are allowed too.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from gtlab import regions
from gtlab.contract import RUN_TAG
from gtlab.lab import ownership

OURS, ABSENT = "ours", "absent"  # answers of owner(); others say whose a table is
_LOOKS = ("Describe", "List", "Get", "Query", "Scan", "BatchGet", "TransactGet")  # operations that change nothing
_CREATES = ("CreateTable", "ImportTable", "RestoreTableFromBackup", "RestoreTableToPointInTime")
_STATEMENT = re.compile(r"""^\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+["']?([A-Za-z0-9_.-]+)""", re.IGNORECASE)


class ForeignTable(ValueError):
    """A call would change a table that gtlab did not make; it was not sent."""


class Guard:
    """Refuses calls that change tables of others. ``client`` returns a client of a Region whose calls are not guarded,
    ``allowed`` are names of tables that the user has named, in any Region. Safe to use from several threads."""

    def __init__(self, scope: str, client: Callable[[str], Any], allowed: Collection[str] = ()):
        self._scope, self._client, self._allowed = scope, client, frozenset(allowed)
        self._ours: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def watch(self, client: Any, region: str) -> None:
        """Have every call of a DynamoDB client checked before it is sent."""
        def before(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            self._check(model.name, params, region)

        client.meta.events.register("provide-client-params.dynamodb.*", before)

    def _check(self, operation: str, params: Mapping[str, Any], region: str) -> None:
        if operation.startswith(_LOOKS) or operation in _CREATES:
            return
        for table in set(tables_of(params)) - self._allowed:
            if (region, table) not in self._ours:
                whose = owner(self._client, self._scope, region, table)
                if whose not in (OURS, ABSENT):
                    raise ForeignTable(f"{operation} was not sent: {foreign(table, region, whose)}")
                if whose == OURS:
                    with self._lock:
                        self._ours.add((region, table))
            if operation == "DeleteTable":  # somebody else may create a table of this name afterwards
                with self._lock:
                    self._ours.discard((region, table))


def owner(client: Callable[[str], Any], scope: str, region: str, table: str) -> str:
    """Whose a table is: OURS, ABSENT, the id of another run of gtlab, or an empty string for somebody else's.

    ``client`` returns the client of a Region. Raises botocore's errors.
    """
    try:
        described = client(region).describe_table(TableName=table)["Table"]
    except Exception as error:
        if _code(error) == "ResourceNotFoundException":
            return ABSENT
        raise
    if described["TableStatus"] == "DELETING":
        return ABSENT  # nothing can change it any more, and its tags may be gone
    if ownership.meant(scope, region, described):
        return OURS
    runs = [_run(client(region), described)]
    # A replica has no tags, because tags are not replicated: look at the other members, too.
    for each in described.get("Replicas", ()) if not runs[0] else ():
        runs.append(_run_elsewhere(client(each["RegionName"]), table))
    found = [run for run in runs if run]
    return OURS if ownership.run_id() in found else found[0] if found else ""


def foreign(table: str, region: str, run: str) -> str:
    """The sentence that says whose a table is; ``run`` as :func:`owner` returns it."""
    place = regions.label(region)
    if run:
        return (f"table {table} in {place} was made by another run of gtlab (tag {RUN_TAG}: {run}), and is left alone. "
                "To delete the tables of every run: gtlab clean --backend aws --all-runs")
    return (f"table {table} in {place} is not gtlab's (it has no tag {RUN_TAG}), and is left alone. Choose other "
            "Regions or another account, or allow gtlab to use it: "
            f"gtlab.connect(\"aws\", tables=[\"{table}\"])")


def tables_of(params: Mapping[str, Any]) -> Iterator[str]:
    """The names of the tables that a call names."""
    for key in ("TableName", "GlobalTableName", "ResourceArn"):
        if isinstance(params.get(key), str):
            yield _name(params[key])
    asked = params.get("RequestItems")
    yield from map(_name, asked if isinstance(asked, Mapping) else ())
    for each in params.get("TransactItems") or ():
        yield from (_name(part["TableName"]) for part in each.values() if "TableName" in part)
    statements = [params, *(params.get("Statements") or ()), *(params.get("TransactStatements") or ())]
    for each in statements:
        if isinstance(each, Mapping) and (found := _STATEMENT.match(str(each.get("Statement", "")))):
            yield found.group(1)


def _name(text: str) -> str:
    """A table's name; ``text`` may be its ARN."""
    return text.partition(":table/")[2].partition("/")[0] if ":table/" in text else text


def _run(client: Any, described: Mapping[str, Any]) -> str:
    """The value of a table's tag; empty if it has none, as a table that is being deleted."""
    try:
        pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=described["TableArn"])
        return next((tag["Value"] for page in pages for tag in page["Tags"] if tag["Key"] == RUN_TAG), "")
    except Exception as error:
        if _code(error) in ("ResourceNotFoundException", "ValidationException"):
            return ""
        raise


def _run_elsewhere(client: Any, table: str) -> str:
    try:
        return _run(client, client.describe_table(TableName=table)["Table"])
    except Exception as error:
        if _code(error) == "ResourceNotFoundException":
            return ""
        raise


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
