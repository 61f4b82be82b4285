"""Which IAM actions a call needs, and on which resources; and the least-privilege policy of the course, made from that.

Most calls need the action of their own name on the resource that they name. :data:`CALLS` has the others, because calls
are not actions: a transaction needs the actions of its items, PartiQL has actions of its own, and a replica needs
actions in the Region where it is created. The local cloud checks policies by this table (docs/aws.md shows it), and
:func:`course_policy` is made from it.

Sources, read as stored copies in November 2026: AWS's Service Authorization Reference for DynamoDB, and the DynamoDB
developer guide, "DynamoDB global tables security", "IAM security policies with PartiQL for DynamoDB" and "Using IAM
with DynamoDB transactions". It imports nothing of gtlab.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

# Kinds of resources
TABLE = "the table"                                   # each table that the call names
INDEX = "the index, or the table if none is named"
TARGET = "the table in each Region that is named"
MEMBERS = "the table in every Region of the global table"
GLOBAL = "the global table"
STREAM = "the stream"
TEMPLATE, FAULT, EXPERIMENT = "the experiment template", "each action of the template", "the experiment"
PASSED = "the role that is passed"
REPLICATION_ROLE = "the service-linked role of replication"
FIS_ROLE = "the service-linked role of FIS"

# A table of this name never exists: the checks before the course's first call on AWS ask about it.
PROBE = "gtlab-preflight"

# The service-linked roles, by the service that uses them.
ROLES = {"replication.dynamodb.amazonaws.com": "AWSServiceRoleForDynamoDBReplication",
         "fis.amazonaws.com": "AWSServiceRoleForFIS"}
ROLE_OF = {REPLICATION_ROLE: "replication.dynamodb.amazonaws.com", FIS_ROLE: "fis.amazonaws.com"}

# The prefix of a service's actions, by botocore's name of the service.
PREFIXES = {"dynamodb": "dynamodb", "dynamodbstreams": "dynamodb", "cloudwatch": "cloudwatch", "fis": "fis",
            "application-autoscaling": "application-autoscaling", "resourcegroupstaggingapi": "tag", "sts": "sts"}


class Row(NamedTuple):
    """What a call needs in one case: these actions on this kind of resource. An empty ``case``: always."""

    service: str
    call: str
    case: str
    actions: tuple[str, ...]
    on: str


def _rows(service: str, call: str, *needs: tuple[str, str, str]) -> list[Row]:
    """The rows of a call; each need is its case, its actions (without a prefix: those of the service) and its resource.
    """
    return [Row(service, call, case, tuple(each if ":" in each else f"{PREFIXES[service]}:{each}"
                                           for each in actions.split()), on) for case, actions, on in needs]


# Cases that the local cloud finds in a call's input
TAGGED, PROTECTED = "with tags", "with a resource policy"
ADDS, REMOVES, LEAVES = "adds a replica", "removes a replica", "disassociates itself"
ADDS_WITNESS, REMOVES_WITNESS = "adds a witness", "removes a witness"
FIRST = "the account's first replica"
FIRST_EXPERIMENT = "the account's first experiment"
PUT, UPDATE, DELETE, CHECK, GET = "Put", "Update", "Delete", "ConditionCheck", "Get"
SELECT, INSERT = "SELECT", "INSERT"

_FILLING = "CreateTable CreateTableReplica Query Scan UpdateItem PutItem GetItem DeleteItem BatchWriteItem"
_PARTIQL = ((SELECT, "PartiQLSelect", INDEX), (INSERT, "PartiQLInsert", TABLE),
            ("UPDATE", "PartiQLUpdate", TABLE), ("DELETE", "PartiQLDelete", TABLE))

CALLS: tuple[Row, ...] = tuple(row for rows in (
    _rows("dynamodb", "CreateTable", ("", "CreateTable", TABLE), (TAGGED, "TagResource", TABLE),
          (PROTECTED, "PutResourcePolicy", TABLE)),
    _rows("dynamodb", "UpdateTable", ("", "UpdateTable", TABLE), (ADDS, _FILLING, TARGET),
          (FIRST, "iam:CreateServiceLinkedRole", REPLICATION_ROLE), (REMOVES, "DeleteTable DeleteTableReplica", TARGET),
          (ADDS_WITNESS, "CreateGlobalTableWitness", MEMBERS), (REMOVES_WITNESS, "DeleteGlobalTableWitness", MEMBERS),
          (LEAVES, "DisassociateTableReplica", TABLE)),
    _rows("dynamodb", "UpdateTimeToLive", ("", "UpdateTimeToLive", MEMBERS)),
    _rows("dynamodb", "TransactWriteItems", (PUT, "PutItem", TABLE), (UPDATE, "UpdateItem", TABLE),
          (DELETE, "DeleteItem", TABLE), (CHECK, "ConditionCheckItem", TABLE)),
    _rows("dynamodb", "TransactGetItems", (GET, "GetItem", TABLE)),
    *(_rows("dynamodb", call, *_PARTIQL) for call in ("ExecuteStatement", "BatchExecuteStatement",
                                                      "ExecuteTransaction")),
    _rows("dynamodb", "Query", ("", "Query", INDEX)), _rows("dynamodb", "Scan", ("", "Scan", INDEX)),
    _rows("dynamodb", "CreateGlobalTable", ("", "CreateGlobalTable", GLOBAL), ("", "CreateGlobalTable", TARGET)),
    _rows("dynamodb", "UpdateGlobalTable", ("", "UpdateGlobalTable", GLOBAL), ("", "UpdateGlobalTable", TARGET)),
    _rows("fis", "CreateExperimentTemplate", ("", "CreateExperimentTemplate", TEMPLATE),
          ("", "CreateExperimentTemplate", FAULT), ("", "iam:PassRole", PASSED), (TAGGED, "TagResource", TEMPLATE)),
    _rows("fis", "StartExperiment", ("", "StartExperiment", TEMPLATE), ("", "StartExperiment", EXPERIMENT),
          (FIRST_EXPERIMENT, "iam:CreateServiceLinkedRole", FIS_ROLE)),
) for row in rows)
_EXEMPT = {("sts", "GetCallerIdentity")}  # needs no permission

# What the course calls, beside the calls of CALLS that are named there: with which kind of resource.
_ON_TABLES = ("DescribeTable", "DeleteTable", "ListTagsOfResource", "DescribeTimeToLive", "PutItem", "GetItem",
              "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem")
_ON_STREAMS = ("DescribeStream", "GetShardIterator", "GetRecords")
_IN_COURSE = {  # of CALLS: the cases that the course has
    ("dynamodb", "CreateTable"): ("", TAGGED), ("dynamodb", "UpdateTable"): (
        "", ADDS, FIRST, REMOVES, ADDS_WITNESS, REMOVES_WITNESS), ("dynamodb", "UpdateTimeToLive"): ("",),
    ("dynamodb", "TransactWriteItems"): (PUT,), ("dynamodb", "TransactGetItems"): (GET,),
    ("dynamodb", "Query"): ("",), ("dynamodb", "Scan"): ("",), ("dynamodb", "CreateGlobalTable"): ("",),
    ("dynamodb", "UpdateGlobalTable"): ("",), ("fis", "CreateExperimentTemplate"): ("", TAGGED),
    ("fis", "StartExperiment"): ("", FIRST_EXPERIMENT)}


def default(service: str, call: str) -> str:
    """The action of a call that is not in :data:`CALLS`."""
    return f"{PREFIXES.get(service, service)}:{call}"


def rows_of(service: str, call: str) -> tuple[Row, ...]:
    """The rows of a call in :data:`CALLS`; empty if it needs just the action of its own name."""
    return tuple(row for row in CALLS if (row.service, row.call) == (service, call))


def is_exempt(service: str, call: str) -> bool:
    """Whether a call needs no permission at all."""
    return (service, call) in _EXEMPT


def course_policy(account: str, tables: Iterable[str], regions: Iterable[str] = (),
                  fis_role: str = "gtlab-fis") -> dict[str, Any]:
    """The identity-based policy that allows what the course does on AWS, and nothing else.

    ``account``: 12 digits, or ``*``: an identity-based policy allows nothing in other accounts. ``tables``: the names
    of the course's tables. ``regions``: only in these Regions; in all if there are none. ``fis_role``: the name of the
    role that notebook 06 passes to FIS.
    """
    where, names = list(regions) or ["*"], list(tables)
    rows = [row for row in CALLS if row.case in _IN_COURSE.get((row.service, row.call), ())]
    arns = [f"arn:aws:dynamodb:{region}:{account}:table/{table}" for region in where for table in (*names, PROBE)]
    fis = {TEMPLATE: "experiment-template/*", EXPERIMENT: "experiment/*"}
    on_tables = {action for row in rows if row.on in (TABLE, TARGET, MEMBERS, INDEX) for action in row.actions}
    on_globals = {action for row in rows if row.on == GLOBAL for action in row.actions}
    statements = [
        _allow("CourseTables", on_tables | {default("dynamodb", call) for call in _ON_TABLES}, arns),
        _allow("CourseStreams", {default("dynamodbstreams", call) for call in _ON_STREAMS},
               [f"{arn}/stream/*" for arn in arns]),
        _allow("LegacyGlobalTables", on_globals | {default("dynamodb", "DescribeGlobalTable")},
               [f"arn:aws:dynamodb::{account}:global-table/{table}" for table in names]),
        _allow("Lists", {"dynamodb:ListTables", "tag:GetResources", "cloudwatch:GetMetricStatistics",
                         "fis:ListExperimentTemplates", "fis:ListExperiments"}, ["*"],
               {"StringEquals": {"aws:RequestedRegion": where}} if where != ["*"] else None),
        _allow("FaultInjection", {action for row in rows if row.service == "fis" for action in row.actions
                                  if action.startswith("fis:")} |
               {f"fis:{call}" for call in ("GetExperiment", "StopExperiment", "DeleteExperimentTemplate")},
               [f"arn:aws:fis:{region}:{account}:{kind}" for region in where for kind in fis.values()] +
               [f"arn:aws:fis:{region}:*:action/aws:dynamodb:global-table-pause-replication" for region in where]),
        _allow("PassTheRoleOfFaultInjection", {"iam:PassRole"}, [f"arn:aws:iam::{account}:role/{fis_role}"],
               {"StringEquals": {"iam:PassedToService": "fis.amazonaws.com"}}),
        _allow("ServiceLinkedRoles", {"iam:CreateServiceLinkedRole"}, [role_arn(account, name) for name in ROLES],
               {"StringEquals": {"iam:AWSServiceName": list(ROLES)}}),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def role_arn(account: str, service: str) -> str:
    """The ARN of the service-linked role of a service."""
    return f"arn:aws:iam::{account}:role/aws-service-role/{service}/{ROLES[service]}"


def _allow(sid: str, actions: Iterable[str], resources: list[str],
           condition: dict[str, Any] | None = None) -> dict[str, Any]:
    found = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}
    return found | ({"Condition": condition} if condition else {})
