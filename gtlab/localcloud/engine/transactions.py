"""Checks of TransactWriteItems that the library does not make."""

from __future__ import annotations

from gtlab.localcloud.engine.borrowed import record
from gtlab.localcloud.model import Refusal, TableId, invalid


def check(account: str, region: str, data: dict) -> None:
    """Refuse a transaction with an action that lacks its item's key: the library would store junk, or ignore it."""
    faults = [_fault(account, region, action) for action in data["TransactItems"]]
    if any(faults):
        reasons = [{"Code": "ValidationError", "Message": fault} if fault else {"Code": "None"} for fault in faults]
        codes = ", ".join(reason["Code"] for reason in reasons)
        raise Refusal("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for "
                      f"specific reasons [{codes}]", details={"CancellationReasons": reasons})


def _fault(account: str, region: str, action: dict) -> str | None:
    kinds = [kind for kind in ("ConditionCheck", "Put", "Update", "Delete") if kind in action]
    if len(kinds) != 1:
        raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    part = action[kinds[0]]
    raw = record(TableId(account, region, part["TableName"]))
    if raw is None:
        return None  # the library reports that there is no such table
    names = {element["AttributeName"] for element in raw["KeySchema"]}
    if kinds[0] == "Put":
        missing = sorted(names - set(part["Item"]))
        return (f"One or more parameter values were invalid: Missing the key {missing[0]} in the item" if missing
                else None)
    return None if set(part["Key"]) == names else "The provided key element does not match the schema"
