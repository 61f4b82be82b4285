"""The setting of CloudWatch Contributor Insights, of a table and of each of its global indexes.

Only the setting is here: which keys are used most would be shown by CloudWatch, and the local cloud does not count it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gtlab.localcloud.engine.constraints import at_least, at_most, check, choice, every, structure
from gtlab.localcloud.engine.database import INSIGHTS, Database, RecordId, table_id
from gtlab.localcloud.model import Call, Refusal, TableId, invalid

_ALL_KEYS, _THROTTLED = "ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS"
_MOST_RESULTS = 100
_UPDATE = structure({"ContributorInsightsAction": choice("ENABLE", "DISABLE"),
                     "ContributorInsightsMode": choice(_THROTTLED, _ALL_KEYS)})
_LIST = structure({"MaxResults": every(at_least(1), at_most(_MOST_RESULTS))})
_INDEX = "/index/"  # in the name of a record: between the table's name and the index's
_PLACE = re.compile(rf"[a-zA-Z0-9_.-]{{3,255}}({_INDEX}[a-zA-Z0-9_.-]{{3,255}})?")  # the name of a record, as a token


def update(database: Database, table: TableId, data: dict[str, Any], now: float, settled: float) -> dict[str, Any]:
    """UpdateContributorInsights. ``settled``: when the change will be complete. Asking for what is set already changes
    nothing."""
    check(data, _UPDATE)
    where = _where(database, table, data.get("IndexName"))
    kept = database.records[INSIGHTS]
    known, enable = kept.get(where), data["ContributorInsightsAction"] == "ENABLE"
    mode = data.get("ContributorInsightsMode", _ALL_KEYS)
    is_on = known is not None and known["ContributorInsightsStatus"].startswith("ENABL")
    if enable != is_on or (enable and known is not None and _mode(known) != mode):
        known = kept[where] = {
            "ContributorInsightsStatus": "ENABLING" if enable else "DISABLING", "LastUpdateDateTime": round(settled, 3),
            "ContributorInsightsRuleList": _rules(database, table, data.get("IndexName"), mode, now) if enable else [],
            "ContributorInsightsMode": mode if enable or known is None else _mode(known)}
    return _named(where) | {"ContributorInsightsStatus": _status(known, now)} | (
        {"ContributorInsightsMode": _mode(known)} if known else {})


def _describe(database: Database, call: Call, now: float) -> dict[str, Any]:
    table = table_id(call.account, call.region, call.input["TableName"])
    where = _where(database, table, call.input.get("IndexName"))
    known = database.records[INSIGHTS].get(where)
    status = _status(known, now)
    found = _named(where) | {"ContributorInsightsStatus": status}
    if known is None:
        return found
    if status == "ENABLED":
        found["ContributorInsightsRuleList"] = known["ContributorInsightsRuleList"]
    return found | {"LastUpdateDateTime": min(known["LastUpdateDateTime"], now),
                    "ContributorInsightsMode": _mode(known)}


def _list(database: Database, call: Call, now: float) -> dict[str, Any]:
    """What is enabled or being changed, a table before its indexes."""
    check(call.input, _LIST)
    most = call.input.get("MaxResults", _MOST_RESULTS)
    name = None
    if "TableName" in call.input:
        name = database.table(table_id(call.account, call.region, call.input["TableName"])).id.name
    found = sorted((where.name.split(_INDEX), where, known) for where, known in database.records[INSIGHTS].items()
                   if where[:2] == (call.account, call.region) and _status(known, now) != "DISABLED"
                   and name in (None, where.name.split(_INDEX)[0]))
    after = call.input.get("NextToken", "")
    if "NextToken" in call.input and not _PLACE.fullmatch(after):
        raise invalid("NextToken is not a token of an earlier answer.")
    page = [each for each in found if each[0] > after.split(_INDEX)]
    answer: dict[str, Any] = {"ContributorInsightsSummaries": [
        _named(where) | {"ContributorInsightsStatus": _status(known, now), "ContributorInsightsMode": _mode(known)}
        for _, where, known in page[:most]]}
    if len(page) > most:
        answer["NextToken"] = page[most - 1][1].name
    return answer


OPERATIONS: dict[str, Callable[[Database, Call, float], dict[str, Any]]] = {
    "DescribeContributorInsights": _describe, "ListContributorInsights": _list}


def _where(database: Database, table: TableId, index: str | None) -> RecordId:
    """Where the setting of a table or of an index is kept. Raises Refusal if that is not there."""
    described = database.schema(table)
    if index is None:
        return RecordId(*table)
    if not 3 <= len(index) <= 255:
        raise invalid("IndexName must be at least 3 characters long and at most 255 characters long")
    if index not in (each["IndexName"] for each in described.get("GlobalSecondaryIndexes") or ()):
        raise Refusal("ResourceNotFoundException",
                      f"Requested resource not found: Index: {index} not found for table: {table.name}")
    return RecordId(table.account, table.region, f"{table.name}{_INDEX}{index}")


def _status(known: dict[str, Any] | None, now: float) -> str:
    if known is None:
        return "DISABLED"
    status = known["ContributorInsightsStatus"]
    if now < known["LastUpdateDateTime"]:
        return status
    return {"ENABLING": "ENABLED", "DISABLING": "DISABLED"}.get(status, status)


def _mode(known: dict[str, Any]) -> str:
    return known.get("ContributorInsightsMode", _ALL_KEYS)  # an older release did not keep it


def _named(where: RecordId) -> dict[str, Any]:
    table, *index = where.name.split(_INDEX)
    return {"TableName": table} | ({"IndexName": index[0]} if index else {})


def _rules(database: Database, table: TableId, index: str | None, mode: str, now: float) -> list[str]:
    """The names of CloudWatch's rules: the keys that are accessed (C) and throttled (T) most, by partition key (PK) and
    with the sort key (SK)."""
    found = database.table(table)
    schema = found.index(index).schema if index else found.key
    keys = ("PK", "SK") if schema.sort else ("PK",)
    what = f"{table.name}-{index}" if index else table.name
    return [f"DynamoDBContributorInsights-{key}{kind}-{what}-{int(now * 1000)}"
            for kind in ("C", "T") if kind == "T" or mode == _ALL_KEYS for key in keys]
