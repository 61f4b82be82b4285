"""What would need another service that the local cloud does not have: S3 for exports and imports, and Kinesis Data
Streams. It is refused, and nothing is changed.

Older releases accepted these calls and did nothing. What they recorded is shown as what it is: it failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from gtlab.contract import ACCOUNT
from gtlab.localcloud.engine.backups import earliest_restorable, shown_time
from gtlab.localcloud.engine.constraints import at_least, at_most, check, choice, every, length, pattern, structure
from gtlab.localcloud.engine.database import EXPORTS, IMPORTS, KINESIS, Database, RecordId, table_id
from gtlab.localcloud.model import Call, Refusal, TableId, invalid, invalid_request, invalid_values

_NO_S3 = "gtlab's local cloud has no S3"
_NO_KINESIS = "gtlab's local cloud has no Kinesis Data Streams"
_MOST_LISTED = 25
_TOKEN_PART, _SHORTEST_TOKEN = 16, 112  # the model's pattern of ListImports' token: groups of 16 hexadecimal digits
_TOKEN = every(length(_SHORTEST_TOKEN, 1024), pattern(f"([0-9a-f]{{{_TOKEN_PART}}})+"))
_EXPORT = structure({
    "S3Bucket": every(length(0, 255), pattern(r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$",
                                              linear=r"[a-z0-9A-Z][.\-\w]*[a-z0-9A-Z]")),
    "S3BucketOwner": pattern(ACCOUNT.pattern), "S3Prefix": length(0, 1024), "S3SseAlgorithm": choice("AES256", "KMS"),
    "S3SseKmsKeyId": length(1, 2048), "ExportFormat": choice("DYNAMODB_JSON", "ION"),
    "ExportType": choice("FULL_EXPORT", "INCREMENTAL_EXPORT"),
    "IncrementalExportSpecification": structure({"ExportViewType": choice("NEW_IMAGE", "NEW_AND_OLD_IMAGES")})})
_SHORTEST_S, _LONGEST_S = 15 * 60, 24 * 3600  # of the period of an incremental export
_STREAM = structure({"StreamArn": length(37, 1024)})
_NEVER_DONE = {"FailureCode": "Unsupported", "FailureMessage": f"{_NO_S3}: an older release recorded this request and "
               "did not carry it out."}


# Exports and imports

def _export(database: Database, call: Call, now: float) -> NoReturn:
    """Refuse an export, in the service's order: the request by itself, the table, the period of an incremental export,
    recovery, the time of a full export."""
    data = call.input
    arn = data["TableArn"]
    check(data, _EXPORT)
    if not arn:
        raise invalid("Invalid TableArn: Invalid Table ARN")
    parts = arn.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:
        raise invalid_values("tableArn is not a valid ARN")
    if parts[4] != call.account:
        raise Refusal("AccessDeniedException", "Access is denied")
    if "/index/" in arn:
        raise invalid_request("Table ARN is invalid.")
    _check_members(data)
    table = TableId(call.account, call.region, arn.rpartition("/")[2])
    if table.arn != arn or not database.exists(table):
        raise Refusal("TableNotFoundException", f"Table not found: {arn}")
    if "IncrementalExportSpecification" in data:
        _check_period(data["IncrementalExportSpecification"], database.schema(table)["CreationDateTime"], now)
    kept = database.schema(table).get("PointInTimeRecovery")
    if not kept:
        raise not_recoverable(table)
    if "ExportTime" in data and not earliest_restorable(kept, now) <= data["ExportTime"] <= now:
        raise _invalid_time("Export Time is invalid")
    raise invalid(f"{_NO_S3} to export a table to. Nothing was exported.")


def _check_members(data: dict[str, Any]) -> None:
    """Refuse members of an export that do not fit together. Which of several comes first is not known."""
    incremental, period = data.get("ExportType"), data.get("IncrementalExportSpecification")
    if period is not None and incremental is None:
        raise invalid_request("Export Type expected to be Incremental Export when incremental export specification is "
                              "provided")
    if period is not None and incremental == "FULL_EXPORT":
        raise invalid_request("When Export Type is Full Export , Incremental Export Specification should not be "
                              "provided")
    if period is None and incremental == "INCREMENTAL_EXPORT":
        raise invalid_request("Incremental Export Specification expected when export type is set as Incremental Export")
    if period is not None and "ExportFromTime" not in period:
        raise invalid_request("ExportFromTime must be provided in IncrementalExportSpecification")
    if "S3SseKmsKeyId" in data and data.get("S3SseAlgorithm") != "KMS":
        raise invalid_request("KMS Key Id is not supported for this encryption type")
    if data.get("FilterSpecification") == {}:
        raise invalid_request("Invalid FilterSpecification: The specification can not be empty")


def _check_period(period: dict[str, Any], created: float, now: float) -> None:
    """Refuse the period of an incremental export. It ends now if the request does not say. The text of a period that is
    too long is ours."""
    begin, end = period["ExportFromTime"], period.get("ExportToTime", now)
    if begin < int(created):  # a request has whole seconds
        raise _invalid_time("Incremental export period from time cannot be less than the table creation time : "
                            f"{shown_time(begin)}")
    if end > now:
        raise _invalid_time("Incremental export period to time cannot be greater than the current time : "
                            f"{shown_time(end)}")
    if begin >= end:
        raise _invalid_time("Incremental export period from time should not be greater or equal to incremental export "
                            "period to time")
    if end - begin < _SHORTEST_S:
        raise _invalid_time("Difference between export period from time and export period to time is less than 15 "
                            "minutes")
    if end - begin > _LONGEST_S:
        raise _invalid_time("Difference between export period from time and export period to time is more than 24 "
                            "hours")


def _invalid_time(why: str) -> Refusal:
    return Refusal("InvalidExportTimeException", why)


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
    _check_arn(arn, call, what)
    known = database.records[kind].get(RecordId(call.account, call.region, arn))
    if known is None:
        raise Refusal(f"{what}NotFoundException", f"{what} not found: {what} not found: {arn}")
    return known | _NEVER_DONE | {f"{what}Status": "FAILED"}


def _check_arn(arn: str, call: Call, what: str) -> None:
    """Refuse an ARN that no export or import of the account and the Region can have: as for a backup, the account is
    checked first."""
    check(call.input, structure({f"{what}Arn": length(37, 1024)}))
    parts = arn.split(":", 5)
    if parts[0] == "arn" and len(parts) == 6 and parts[4] != call.account:
        raise Refusal("AccessDeniedException", "Access is denied")
    if parts[0] != "arn" or len(parts) < 6 or f"/{what.lower()}/" not in parts[5]:
        raise invalid(f"Invalid {what} ARN")
    if parts[3] != call.region:
        raise Refusal(f"{what}NotFoundException", f"{what} not found: Invalid {what.lower()} arn")


def _list_exports(database: Database, call: Call, now: float) -> dict[str, Any]:
    """The newest first: the last part of an ARN begins with the time."""
    page, token = _page(database.records[EXPORTS], call, "MaxResults", newest_first=True)
    return {"ExportSummaries": [{"ExportArn": arn, "ExportStatus": "FAILED",
                                 "ExportType": known.get("ExportType", "FULL_EXPORT")} for arn, known in page], **token}


def _list_imports(database: Database, call: Call, now: float) -> dict[str, Any]:
    page, token = _page(database.records[IMPORTS], call, "PageSize")
    shown = ("TableArn", "S3BucketSource", "InputFormat", "StartTime", "EndTime")
    return {"ImportSummaryList": [{"ImportArn": arn, "ImportStatus": "FAILED"}
                                  | {name: known[name] for name in shown if name in known} for arn, known in page],
            **token}


def _page(kept: dict[RecordId, Any], call: Call, limit: str, *,
          newest_first: bool = False) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    """The records of a page by their ARNs, and the token of the next page."""
    check(call.input, structure({limit: every(at_least(1), at_most(_MOST_LISTED)), "NextToken": _TOKEN}))
    most, after = call.input.get(limit, _MOST_LISTED), call.input.get("NextToken")
    found = sorted(((each.name, known) for each, known in kept.items() if each[:2] == (call.account, call.region)
                    and call.input.get("TableArn") in (None, known.get("TableArn"))), reverse=newest_first,
                   key=lambda one: one[0])
    if after is not None:
        found = [(arn, known) for arn, known in found
                 if (_token(arn) < after if newest_first else _token(arn) > after)]
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
