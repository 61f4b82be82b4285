"""How gtlab knows which tables it made: a tag at their creation, and a record of intent, written before the call.

A replica that UpdateTable creates carries no tag, because tags are not replicated, and a program may end between its
call and the answer. So the intent is noted first. It is withdrawn if the service refuses the call, and gets the id of
the table if the answer has one.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime
from typing import Any

from gtlab.contract import MADE_FILE, RUN_TAG
from gtlab.lab import json_files

_SLACK_S = 60.0     # by how much the service's clock may be behind this machine's
_SOON_S = 3600.0    # how long after its intent a replica is created at the latest
_MOST = 1000        # intents that are kept
_CONTEXT = "gtlab_intent"


def run_id() -> str:
    """The value of the tag: an id of this state folder, made at first use."""
    found = json_files.read(MADE_FILE).get("run")
    if isinstance(found, str) and found:
        return found
    with json_files.changing(MADE_FILE) as content:
        content["run"] = content.get("run") or uuid.uuid4().hex[:12]
        return str(content["run"])


def watch(client: Any, backend: str, region: str) -> None:
    """Have a DynamoDB client tag the tables that it creates, and note what it asks for. ``backend`` names the backend
    in the records (:attr:`gtlab.lab.clients.Access.scope`). Engines that are not AWS may not know tags: there it only
    notes."""
    def before(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        table = params.get("TableName")
        where = [region] if model.name == "CreateTable" else [
            each["Create"]["RegionName"] for each in params.get("ReplicaUpdates") or () if "RegionName" in
            each.get("Create", {})]
        if not table or not where:
            return
        if model.name == "CreateTable" and backend != "endpoints":
            tags = [tag for tag in params.get("Tags") or () if tag.get("Key") != RUN_TAG]
            params["Tags"] = [*tags, {"Key": RUN_TAG, "Value": run_id()}]
        context[_CONTEXT] = _note(backend, where, table)

    def after(http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if intent := context.pop(_CONTEXT, None):
            refused = 400 <= http_response.status_code < 500
            _settle(intent, None if refused else parsed.get("TableDescription", {}), region)

    for operation in ("CreateTable", "UpdateTable"):
        client.meta.events.register(f"provide-client-params.dynamodb.{operation}", before)
        client.meta.events.register(f"after-call.dynamodb.{operation}", after)


def meant(backend: str, region: str, described: dict[str, Any]) -> bool:
    """Whether an intent explains a table, whose description is given: the intent has its id, or it was noted shortly
    before the table was created."""
    created: datetime | None = described.get("CreationDateTime")  # a table that is being deleted has none
    return any(intent.get("id") == described.get("TableId") if intent.get("id") else created is not None and
               -_SLACK_S <= created.timestamp() - intent["at"] <= _SOON_S
               for intent in _intents(json_files.read(MADE_FILE))
               if (intent["backend"], intent["region"], intent["table"]) == (backend, region, described["TableName"]))


def noted(backend: str) -> set[tuple[str, str]]:
    """The tables that gtlab has noted for a backend: pairs of name and Region."""
    return {(intent["table"], intent["region"]) for intent in _intents(json_files.read(MADE_FILE))
            if intent["backend"] == backend}


def forget(backend: str, region: str, table: str) -> None:
    """Drop the intents of a table that no longer exists."""
    with json_files.changing(MADE_FILE) as content:
        content["intents"] = [intent for intent in _intents(content) if
                              (intent["backend"], intent["region"], intent["table"]) != (backend, region, table)]


def tag_experiments(client: Any) -> None:
    """Have an FIS client tag the experiment templates that it creates."""
    def before(params: dict[str, Any], **_: Any) -> None:
        params["tags"] = {**params.get("tags", {}), RUN_TAG: run_id()}

    client.meta.events.register("provide-client-params.fis.CreateExperimentTemplate", before)


def _note(backend: str, regions: list[str], table: str) -> str:
    call = uuid.uuid4().hex
    with json_files.changing(MADE_FILE) as content:
        content["intents"] = [*_intents(content), *({"call": call, "backend": backend, "region": region, "table": table,
                                                     "at": time.time()} for region in regions)][-_MOST:]
    return call


def _settle(call: str, table: dict[str, Any] | None, region: str) -> None:
    """Withdraw the intents of a refused call (``table`` is None), or give the one of ``region`` the table's id."""
    with json_files.changing(MADE_FILE) as content:
        intents = [intent for intent in _intents(content) if table is not None or intent["call"] != call]
        for intent in intents:
            if table and intent["call"] == call and intent["region"] == region and "TableId" in table:
                intent["id"] = table["TableId"]
        content["intents"] = intents


def _intents(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The intents of the file. What is damaged is left out."""
    found = content.get("intents")
    return [intent for intent in (found if isinstance(found, list) else ())
            if isinstance(intent, dict) and isinstance(intent.get("at"), int | float)
            and {"call", "backend", "region", "table"} <= set(intent)]
