"""Translates what older versions of the disk format wrote. Pure: bodies of documents and rows go in and come out.

A step is never changed after its release, because it reads what was written in the past.
"""

from __future__ import annotations

import msgspec

# Version 2 (gtlab 0.1.0) stored the names of methods, and those of the engine's library.
_EVENTS = {"_make_replica": "create-replica", "_delete_replica": "delete-replica", "_forget_replica": "remove-entry",
           "_set_free": "disassociate-replica", "_propagate": "propagate-settings", "_propagate_ttl": "propagate-ttl"}
_THIRD_ARGUMENT = {"_delete_replica": "entry_removed", "_propagate": "settings"}
_RECORDS = {"_tags": "tags", "_pitr_settings": "point_in_time_recovery",
            "_kinesis_destinations": "kinesis_destinations", "_backups": "backups",
            "_contributor_insights": "contributor_insights",
            "_resource_policies": "resource_policies", "_exports": "exports", "_imports": "imports"}
_LIBRARYS = ("pk_name", "sk_name")  # what the library derived from a table's KeySchema


def documents_from_2(bodies: dict[str, bytes]) -> dict[str, bytes]:
    """The documents of version 2 as those of version 3. Raises KeyError, ValueError or TypeError for what version 2
    did not write."""
    old = {name: msgspec.json.decode(body) for name, body in bodies.items()}
    sequence, streams = old["streams"]
    new = {
        "settings": old["settings"],
        "knobs": [{"knob": knob, "place": place, "value": value} for knob, place, value in old["knobs"]],
        "tables": {"tables": old["tables"]["lives"], "deleted": old["tables"]["ghosts"]},
        "engine": _engine(old["engine"]),
        "streams": {"sequence": sequence, "streams": [_without_records(stream) for stream in streams]},
        "scaling": [{"account": account, "region": region, "resource": resource, "dimension": dimension, **target}
                    for (account, region, resource, dimension), target in old["scaling"]],
        "groups": old["groups"],
        "replicas": {"groups": old["current"]["states"],
                     "events": [_event(*each) for each in old["current"]["events"]]},
        "copies": old["copies"],
        "faults": {**old["fis"], **old["fis"]["pauses"]},
    }
    if "unsettled" in old:
        new["unsettled"] = [{"table": table, "key": key, "old": before, "at": at}
                            for table, key, before, at in old["unsettled"]]
    return {name: msgspec.json.encode(content) for name, content in new.items()}


def token_from_2(answer: bytes) -> bytes:
    """What was remembered of a transaction in version 2, as in version 3."""
    old = msgspec.json.decode(answer)
    return msgspec.json.encode({"request": old["signature"], "answer": old["response"]})


def _event(due: float, method: str, arguments: list) -> dict:
    event = {"event": _EVENTS[method], "due": due, "group": arguments[0], "region": arguments[1]}
    return event | ({_THIRD_ARGUMENT[method]: arguments[2]} if method in _THIRD_ARGUMENT else {})


def _engine(old: dict) -> dict:
    tables = [[[account, region, name], {member: value for member, value in raw.items() if member not in _LIBRARYS}]
              for account, region, name, raw in old["tables"]]
    records = {_RECORDS[name]: entries for name, entries in old["records"].items()}
    records["backups"] = [[*where, _backup(backup)] for *where, backup in records["backups"]]
    return {"tables": tables, "records": records}


def _backup(old: dict) -> dict:
    rows = old["_items_snapshot"]
    return {"description": {name: value for name, value in old.items() if name != "_items_snapshot"},
            "items": [[partition, sort, item] for partition, row in rows.items() for sort, item in row.items()]}


def _without_records(stream: dict) -> dict:
    shards = [{name: value for name, value in shard.items() if name != "records"} for shard in stream["shards"]]
    return stream | {"shards": shards}
