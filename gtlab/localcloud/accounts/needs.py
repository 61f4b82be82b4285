"""What a call needs: actions on resources, by the table of :mod:`gtlab.permissions`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gtlab import permissions
from gtlab.localcloud import engine
from gtlab.localcloud.accounts.policy import Context
from gtlab.localcloud.model import Call, Refusal, TableId

# The members of an input that name one resource of DynamoDB.
_BY_ARN = ("ResourceArn", "TableArn", "BackupArn", "ExportArn", "ImportArn", "StreamArn")
_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems", "ExecuteTransaction")


class Need(NamedTuple):
    """One action on one resource; ``context`` has what conditions compare."""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class Known:
    """What the local cloud knows beside the call. ``members``: the Regions of a table's global table, its own if it has
    none. ``has_role``: whether an account has the service-linked role of a service. ``tags`` of a table."""

    members: Callable[[TableId], Iterable[str]]
    has_role: Callable[[str, str], bool]
    tags: Callable[[TableId], list[dict[str, str]]]


def needs(call: Call, known: Known) -> Iterator[Need]:
    """The actions that a call needs, each with its resource. PartiQL that cannot be parsed needs none: it is refused
    anyway."""
    if permissions.is_exempt(call.service, call.operation):
        return
    rows = permissions.rows_of(call.service, call.operation)
    if not rows:
        for arn in _default_resources(call):
            yield _need(call, permissions.default(call.service, call.operation), arn, known)
        return
    for case, data in _cases(call, known):
        for row in rows:
            if row.case == case:
                for arn in _RESOURCES[row.on](call, data, known):
                    yield from (_need(call, action, arn, known) for action in row.actions)


def _need(call: Call, action: str, arn: str, known: Known) -> Need:
    parts = arn.split(":", 5)
    table = _table_in(parts)
    context: dict[str, tuple[str, ...]] = {
        "aws:requestedregion": (parts[3] if table and parts[3] else call.region,),
        "aws:principalaccount": (call.account,), "aws:principalarn": (user(call.account),)}
    tags = call.input.get("Tags") or ()
    if isinstance(tags, list) and action in ("dynamodb:CreateTable", "dynamodb:TagResource"):
        context |= {f"aws:requesttag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
        context["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
    if table:
        context |= {f"aws:resourcetag/{tag['Key'].lower()}": (tag["Value"],) for tag in known.tags(table)}
    if call.operation in _TRANSACTIONS:
        context["dynamodb:enclosingoperation"] = (call.operation,)
    if action == "iam:CreateServiceLinkedRole":
        context["iam:awsservicename"] = (arn.split("/")[2],)
    if action == "iam:PassRole":
        context["iam:passedtoservice"] = ("fis.amazonaws.com",)
    return Need(action, arn, context)


def _table_in(parts: list[str]) -> TableId | None:
    """The table of an ARN, also of one of its index or stream."""
    kind, _, path = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    if kind != "table" or parts[2] != "dynamodb":
        return None
    return TableId(parts[4], parts[3], path.partition("/")[0])


def user(account: str) -> str:
    """The ARN of the one user that every account of the local cloud has."""
    return f"arn:aws:iam::{account}:user/gtlab"


# The cases of a call, each with the part of the input that it concerns

def _cases(call: Call, known: Known) -> Iterator[tuple[str, dict[str, Any]]]:
    data = call.input
    yield "", data
    if call.operation == "CreateTable":
        yield from ((case, data) for case, name in ((permissions.TAGGED, "Tags"),
                                                    (permissions.PROTECTED, "ResourcePolicy")) if data.get(name))
    elif call.operation == "UpdateTable":
        yield from _of_update(call, known)
    elif call.operation in ("TransactWriteItems", "TransactGetItems"):
        yield from (each for action in data.get("TransactItems", ()) for each in action.items())
    elif call.operation in engine.PARTIQL:
        yield from _of_partiql(call)
    elif call.operation == "CreateExperimentTemplate" and data.get("tags"):
        yield permissions.TAGGED, data
    elif call.operation == "StartExperiment" and not known.has_role(call.account, "fis.amazonaws.com"):
        yield permissions.FIRST_EXPERIMENT, data


def _of_update(call: Call, known: Known) -> Iterator[tuple[str, dict[str, Any]]]:
    updates = call.input.get("ReplicaUpdates") or ()
    if any("Create" in each for each in updates) and not known.has_role(call.account,
                                                                        "replication.dynamodb.amazonaws.com"):
        yield permissions.FIRST, call.input
    names = {"Create": permissions.ADDS, "Delete": permissions.REMOVES, "Disassociate": permissions.LEAVES}
    for each in updates:
        yield from ((names[name], part) for name, part in each.items() if name in names)
    witness = {"Create": permissions.ADDS_WITNESS, "Delete": permissions.REMOVES_WITNESS}
    for each in call.input.get("GlobalTableWitnessUpdates") or ():
        yield from ((witness[name], part) for name, part in each.items() if name in witness)


def _of_partiql(call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        found = engine.partiql_kinds(call)
    except Refusal:
        return
    for kind, table, index in found:
        yield kind, {"TableName": table} | ({"IndexName": index} if index else {})


# Resources

def _arns(call: Call, name: Any, regions: Iterable[str] = ()) -> list[str]:
    """The ARN of a table, given by its name or its ARN, in each Region."""
    if not isinstance(name, str):
        return []
    bare = engine.table_id(call.account, call.region, name).name if name.startswith("arn:") else name
    return [TableId(call.account, region, bare).arn for region in regions or (call.region,)]


def _tables(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    return _arns(call, data.get("TableName", call.input.get("TableName")))


def _index(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    ending = f"/index/{data['IndexName']}" if data.get("IndexName") else ""
    return [arn + ending for arn in _tables(call, data, known)]


def _target(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    """The table in the Region of a replica update; of the legacy calls, in each Region that they name."""
    if "RegionName" in data:
        return _arns(call, call.input.get("TableName"), [data["RegionName"]])
    named = data.get("ReplicationGroup") or [
        part for each in data.get("ReplicaUpdates") or () for part in each.values()]
    regions = [each["RegionName"] for each in named if "RegionName" in each]
    return _arns(call, data.get("GlobalTableName"), regions) if regions else []


def _members(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    here = [TableId(each.split(":")[4], call.region, each.partition("/")[2])
            for each in _arns(call, call.input.get("TableName"))]
    regions = [region for table in here for region in known.members(table)]
    if "RegionName" in data:  # of a witness: the replicas that the same call names take part, too
        updates = [part for each in call.input.get("ReplicaUpdates") or () for part in each.values()]
        regions += [part["RegionName"] for part in (*updates, data) if "RegionName" in part]
    return _arns(call, call.input.get("TableName"), dict.fromkeys(regions))


def _global(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    return [_global_arn(call.account, data["GlobalTableName"])]


def _global_arn(account: str, name: str) -> str:
    return f"arn:aws:dynamodb::{account}:global-table/{name}"


def _fis(kind: str, member: str) -> Callable[[Call, dict[str, Any], Known], list[str]]:
    def arns(call: Call, data: dict[str, Any], known: Known) -> list[str]:
        return [f"arn:aws:fis:{call.region}:{call.account}:{kind}/{data.get(member, '*')}"]
    return arns


def _faults(call: Call, data: dict[str, Any], known: Known) -> list[str]:
    return [f"arn:aws:fis:{call.region}:{call.account}:action/{each.get('actionId', '*')}"
            for each in data.get("actions", {}).values()]


def _role(kind: str) -> Callable[[Call, dict[str, Any], Known], list[str]]:
    def arns(call: Call, data: dict[str, Any], known: Known) -> list[str]:
        return [permissions.role_arn(call.account, permissions.ROLE_OF[kind])]
    return arns


_RESOURCES: dict[str, Callable[[Call, dict[str, Any], Known], list[str]]] = {
    permissions.TABLE: _tables, permissions.INDEX: _index, permissions.TARGET: _target, permissions.MEMBERS: _members,
    permissions.GLOBAL: _global, permissions.TEMPLATE: _fis("experiment-template", "experimentTemplateId"),
    permissions.EXPERIMENT: _fis("experiment", "id"), permissions.FAULT: _faults,
    permissions.PASSED: lambda call, data, known: [data.get("roleArn", "*")],
    permissions.REPLICATION_ROLE: _role(permissions.REPLICATION_ROLE),
    permissions.FIS_ROLE: _role(permissions.FIS_ROLE)}


def _default_resources(call: Call) -> list[str]:
    """The resources that a call names which needs the action of its own name."""
    data = call.input
    if call.service == "fis":
        return _of_fis(call)
    if call.service == "dynamodbstreams" and "ShardIterator" in data:
        return [data["ShardIterator"].partition("|")[0]]  # it begins with the stream's ARN
    if call.service not in ("dynamodb", "dynamodbstreams"):
        return ["*"]
    if isinstance(data.get("RequestItems"), dict):
        return [arn for name in data["RequestItems"] for arn in _arns(call, name)]
    for name in ("TableName", "TargetTableName"):
        if name in data and call.operation != "ListStreams":
            return _arns(call, data[name])
    for name in _BY_ARN:
        if name in data:
            return [data[name]]
    if "GlobalTableName" in data:
        return [_global_arn(call.account, data["GlobalTableName"])]
    return [f"arn:aws:dynamodb:{call.region}:{call.account}:table/*"]


def _of_fis(call: Call) -> list[str]:
    kind = ("experiment-template" if "Template" in call.operation else
            "experiment" if "Experiment" in call.operation else "")
    if "resourceArn" in call.input:
        return [call.input["resourceArn"]]
    if "id" in call.input and kind:
        return [f"arn:aws:fis:{call.region}:{call.account}:{kind}/{call.input['id']}"]
    return ["*"]
