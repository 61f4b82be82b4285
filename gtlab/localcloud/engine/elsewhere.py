"""What would need another service that the local cloud does not have: S3 for exports and imports, and Kinesis Data
Streams. It is refused, and nothing is changed.

Older releases accepted these calls and did nothing. What they recorded is shown as what it is: it failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from gtlab.localcloud.engine.constraints import at_least, at_most, check, every, length, pattern, structure
from gtlab.localcloud.engine.database import EXPORTS, IMPORTS, KINESIS, Database, RecordId, table_id
from gtlab.localcloud.model import Call, Refusal, TableId, invalid, invalid_values

_NO_S3 = "gtlab's local cloud has no S3"
_NO_KINESIS = "gtlab's local cloud has no Kinesis Data Streams"
_MOST_LISTED = 25
_TOKEN_PART, _SHORTEST_TOKEN = 16, 112  # the model's pattern of ListImports' token: groups of 16 hexadecimal digits
_BUCKET = structure({"S3Bucket": every(length(0, 255), pattern(
    r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$", linear=r"[a-z0-9A-Z][.\-\w]*[a-z0-9A-Z]"))})
_STREAM = structure({"StreamArn": length(37, 1024)})
_NEVER_DONE = {"FailureCode": "Unsupported", "FailureMessage": f"{_NO_S3}: an older release recorded this request and "
               "did not carry it out."}


# Exports and imports

def _export(database: Database, call: Call, now: float) -> NoReturn:
    arn = call.input["TableArn"]
    check(call.input, _BUCKET)
    if not arn:
        raise invalid("Invalid TableArn: Invalid Table ARN")
    if not arn.startswith("arn:"):
        raise invalid_values("tableArn is not a valid ARN")
    if "/index/" in arn:
        raise invalid("Invalid Request: Table ARN is invalid.")
    table = TableId(call.account, call.region, arn.rpartition("/")[2])
    if table.arn != arn or not database.exists(table):
        raise Refusal("TableNotFoundException", f"Table not found: {arn}")
    if not database.schema(table).get("PointInTimeRecovery"):
        raise not_recoverable(table)
    raise invalid(f"{_NO_S3} to export a table to. Nothing was exported.")


def _import(database: Database, call: Call, now: float) -> NoReturn:
    raise invalid(f"{_NO_S3} to import a table from. Nothing was created.")


def not_recoverable(table: TableId) -> Refusal:
    return Refusal("PointInTimeRecoveryUnavailableException",
                   f"Point in time recovery is not enabled for table '{table.name}'")


def _describe_export(database: Database, call: Call, now: float) -> dict[str, Any]:
    return {"ExportDescription": _recorded(database, call, EXPORTS, "Export")}


def _describe_import(database: Database, call: Call, now: float) -> dict[str, Any]:
    return {"ImportTableDescription": _recorded(database, call, IMPORTS, "Import")}


def _recorded(database: Database, call: Call, kind: str, what: str) -> dict[str, Any]:
    """An export or an import that an older gtlab recorded, as failed. ``what`` is "Export" or "Import"."""
    arn = call.input[f"{what}Arn"]
    known = database.records[kind].get(RecordId(call.account, call.region, arn))
    if known is None:
        raise Refusal(f"{what}NotFoundException", f"{what} not found: {arn}")
    return known | _NEVER_DONE | {f"{what}Status": "FAILED"}


def _list_exports(database: Database, call: Call, now: float) -> dict[str, Any]:
    page, token = _page(database.records[EXPORTS], call, "MaxResults")
    return {"ExportSummaries": [{"ExportArn": arn, "ExportStatus": "FAILED",
                                 "ExportType": known.get("ExportType", "FULL_EXPORT")} for arn, known in page], **token}


def _list_imports(database: Database, call: Call, now: float) -> dict[str, Any]:
    page, token = _page(database.records[IMPORTS], call, "PageSize")
    shown = ("TableArn", "S3BucketSource", "InputFormat", "StartTime", "EndTime")
    return {"ImportSummaryList": [{"ImportArn": arn, "ImportStatus": "FAILED"}
                                  | {name: known[name] for name in shown if name in known} for arn, known in page],
            **token}


def _page(kept: dict[RecordId, Any], call: Call, limit: str) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    """The records of a page by their ARNs, and the token of the next page."""
    check(call.input, structure({limit: every(at_least(1), at_most(_MOST_LISTED))}))
    most, after = call.input.get(limit, _MOST_LISTED), call.input.get("NextToken", "")
    found = sorted((each.name, known) for each, known in kept.items()
                   if each[:2] == (call.account, call.region) and _token(each.name) > after
                   and call.input.get("TableArn") in (None, known.get("TableArn")))
    return found[:most], {"NextToken": _token(found[most - 1][0])} if len(found) > most else {}


def _token(arn: str) -> str:
    """An ARN as a token. Tokens have the order of the ARNs."""
    digits = arn.encode().hex().ljust(_SHORTEST_TOKEN, "0")
    return digits + "0" * (-len(digits) % _TOKEN_PART)


# Kinesis Data Streams

def _refuse_kinesis(database: Database, call: Call, now: float) -> NoReturn:
    check(call.input, _STREAM)
    database.table(table_id(call.account, call.region, call.input["TableName"]))
    raise invalid(f"{_NO_KINESIS} to send changes to. Nothing was changed. Use DynamoDB Streams.")


def _disable_kinesis(database: Database, call: Call, now: float) -> NoReturn:
    """No destination is ever active."""
    check(call.input, _STREAM)
    database.table(table_id(call.account, call.region, call.input["TableName"]))
    if "EnableKinesisStreamingConfiguration" in call.input:
        raise invalid("Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters")
    raise invalid("Table is not in a valid state to enable Kinesis Streaming Destination: KinesisStreamingDestination "
                  "must be ACTIVE to perform DISABLE operation.")


def _describe_kinesis(database: Database, call: Call, now: float) -> dict[str, Any]:
    table = database.table(table_id(call.account, call.region, call.input["TableName"])).id
    kept = database.records[KINESIS].get(RecordId(*table), ())
    return {"TableName": table.name, "KinesisDataStreamDestinations": [
        {"StreamArn": each["StreamArn"], "DestinationStatus": "ENABLE_FAILED",
         "DestinationStatusDescription": f"{_NO_KINESIS}."} for each in kept]}


OPERATIONS: dict[str, Callable[[Database, Call, float], dict[str, Any]]] = {
    "ExportTableToPointInTime": _export, "DescribeExport": _describe_export, "ListExports": _list_exports,
    "ImportTable": _import, "DescribeImport": _describe_import, "ListImports": _list_imports,
    "EnableKinesisStreamingDestination": _refuse_kinesis, "UpdateKinesisStreamingDestination": _refuse_kinesis,
    "DisableKinesisStreamingDestination": _disable_kinesis, "DescribeKinesisStreamingDestination": _describe_kinesis}
