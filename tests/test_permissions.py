"""Policies that the local cloud checks, under a pretend clock; and the course's own policy: enough, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from support import IRELAND, KEY, ON_DEMAND, SINGAPORE, VIRGINIA, add, create, invalid, refused, remove

import gtlab
from gtlab import cleanup, measure, permissions, streams
from gtlab.cli import main
from gtlab.course import rehearsal as rehearsing
from gtlab.course import start
from gtlab.course.stages import TABLES
from gtlab.localcloud import process
from gtlab.localcloud.accounts.policy import Decision, read

ACCOUNT = "1" * 12  # of the pretend clock's clients
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Music"
DOCS = Path(__file__).parents[1] / "docs"


def statement(*actions: str, effect: str = "Allow", resource: Any = "*", **more: Any) -> dict:
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


def document(*statements: dict) -> dict:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def denied(action: str, resource: str = ""):
    """The service's text, as published by people who were refused."""
    return refused("AccessDenied(Exception)?", re.escape(
        f"User: arn:aws:iam::{ACCOUNT}:user/gtlab is not authorized to perform: {action}"
        + (f" on resource: {resource}" if resource else "")))


@pytest.fixture
def allow(pretend):
    """``allow("dynamodb:PutItem", …)``: from now on, only this."""
    return lambda *actions, **more: pretend.cloud.access.set(ACCOUNT, document(statement(*actions, **more)))


@pytest.fixture
def music(pretend):
    client = pretend.client(VIRGINIA)
    client.create_table(**ON_DEMAND)
    pretend.wait(15)
    return client


# --- calls are not actions ---

TRANSACTION = [{"Put": {"TableName": "Music", "Item": KEY}},
               {"ConditionCheck": {"TableName": "Music", "Key": {"Artist": {"S": "b"}},
                                   "ConditionExpression": "attribute_not_exists(Artist)"}}]


@pytest.mark.parametrize(("call", "given", "actions"), [
    ("put_item", {"TableName": "Music", "Item": KEY}, ["dynamodb:PutItem"]),
    ("get_item", {"TableName": ARN, "Key": KEY}, ["dynamodb:GetItem"]),
    ("transact_write_items", {"TransactItems": TRANSACTION}, ["dynamodb:PutItem", "dynamodb:ConditionCheckItem"]),
    ("transact_get_items", {"TransactItems": [{"Get": {"TableName": "Music", "Key": KEY}}]}, ["dynamodb:GetItem"]),
    ("batch_write_item", {"RequestItems": {"Music": [{"PutRequest": {"Item": KEY}}]}}, ["dynamodb:BatchWriteItem"]),
    ("execute_statement", {"Statement": "SELECT * FROM Music WHERE Artist = 'a'"}, ["dynamodb:PartiQLSelect"]),
    ("execute_statement", {"Statement": "INSERT INTO Music VALUE {'Artist': 'a'}"}, ["dynamodb:PartiQLInsert"]),
    ("execute_statement", {"Statement": "DELETE FROM Music WHERE Artist = 'a'"}, ["dynamodb:PartiQLDelete"]),
    ("batch_execute_statement", {"Statements": [
        {"Statement": "INSERT INTO Music VALUE {'Artist': 'a'}"},
        {"Statement": "UPDATE Music SET n = 1 WHERE Artist = 'b'"}]}, ["dynamodb:PartiQLInsert",
                                                                      "dynamodb:PartiQLUpdate"]),
    ("update_time_to_live", {"TableName": "Music", "TimeToLiveSpecification": {
        "Enabled": True, "AttributeName": "t"}}, ["dynamodb:UpdateTimeToLive"]),
    ("list_tags_of_resource", {"ResourceArn": ARN}, ["dynamodb:ListTagsOfResource"]),
])
def test_what_a_call_on_a_table_needs(music, allow, call, given, actions):
    """With just these actions it is allowed; without any of them it is refused, with its name and the table's."""
    for lacking in actions:
        allow("dynamodb:Nothing", *(action for action in actions if action != lacking))
        with denied(lacking, ARN) as caught:
            getattr(music, call)(**given)
        assert f"because no identity-based policy allows the {lacking} action" in str(caught.value)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    allow(*actions, resource=ARN)
    getattr(music, call)(**given)


def test_a_table_with_tags_needs_one_more_action(pretend, allow):
    client, tagged = pretend.client(VIRGINIA), ON_DEMAND | {"Tags": [{"Key": "gtlab:run", "Value": "1"}]}
    allow("dynamodb:CreateTable")
    with denied("dynamodb:TagResource", ARN):
        client.create_table(**tagged)
    assert not pretend.cloud.database.tables  # a refused call changes nothing
    allow("dynamodb:CreateTable", "dynamodb:TagResource")
    client.create_table(**tagged)


FILLING = ["CreateTable", "CreateTableReplica", "Query", "Scan", "UpdateItem", "PutItem", "GetItem", "DeleteItem",
           "BatchWriteItem"]


def test_a_replica_needs_its_actions_in_its_own_region(pretend, music):
    there = ARN.replace(VIRGINIA, IRELAND)
    role = permissions.role_arn(ACCOUNT, "replication.dynamodb.amazonaws.com")

    def give(*lacking: str) -> None:
        pretend.cloud.access.set(ACCOUNT, document(
            statement("dynamodb:UpdateTable", "dynamodb:DescribeTable", resource=ARN),
            statement("dynamodb:Nothing", *(f"dynamodb:{each}" for each in FILLING if each not in lacking),
                      resource=there),
            statement("iam:Nothing" if "role" in lacking else "iam:CreateServiceLinkedRole", resource=role)))

    give("role")
    with denied("iam:CreateServiceLinkedRole", role):
        add(music, IRELAND)
    for action in FILLING:
        give(action)
        with denied(f"dynamodb:{action}", there):
            add(music, IRELAND)
    give()
    add(music, IRELAND)
    pretend.wait(60)
    give("role", *FILLING)  # it has the role now, but may not remove what it has added
    with denied("dynamodb:DeleteTable", there):
        remove(music, IRELAND)


def test_a_witness_needs_an_action_in_every_region(pretend, music):
    def give(*regions: str) -> None:
        pretend.cloud.access.set(ACCOUNT, document(
            statement("dynamodb:UpdateTable", *(f"dynamodb:{each}" for each in FILLING), "iam:*"),
            statement("dynamodb:CreateGlobalTableWitness", resource=[ARN.replace(VIRGINIA, each) for each in regions])))

    asked = {"TableName": "Music", "MultiRegionConsistency": "STRONG", "ReplicaUpdates": create("us-east-2"),
             "GlobalTableWitnessUpdates": create("us-west-2")}
    for regions, lacking in (((VIRGINIA, "us-east-2"), "us-west-2"), ((VIRGINIA, "us-west-2"), "us-east-2"),
                             (("us-east-2", "us-west-2"), VIRGINIA)):
        give(*regions)
        with denied("dynamodb:CreateGlobalTableWitness", ARN.replace(VIRGINIA, lacking)):
            music.update_table(**asked)
    give(VIRGINIA, "us-east-2", "us-west-2")
    music.update_table(**asked)


def test_other_services_answer_in_their_own_way(pretend, allow, music):
    allow("dynamodb:*")
    with denied("fis:CreateExperimentTemplate",
                f"arn:aws:fis:{VIRGINIA}:{ACCOUNT}:experiment-template/*") as caught:
        pretend.client(VIRGINIA, "fis").create_experiment_template(
            description="x", stopConditions=[{"source": "none"}], actions={}, clientToken="x",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/fis")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with denied("application-autoscaling:DescribeScalableTargets"):
        pretend.client(VIRGINIA, "application-autoscaling").describe_scalable_targets(ServiceNamespace="dynamodb")


def test_authorization_comes_before_everything_else(pretend, allow):
    """Also before the question whether the table exists, and before the text that the legacy call has today."""
    allow("dynamodb:Nothing")
    client = pretend.client(VIRGINIA)
    with denied("dynamodb:GetItem", ARN):
        client.get_item(TableName="Music", Key=KEY)
    with denied("dynamodb:ListTables", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/*"):
        client.list_tables()
    with denied("dynamodb:CreateGlobalTable", f"arn:aws:dynamodb::{ACCOUNT}:global-table/Music"):
        client.create_global_table(GlobalTableName="Music", ReplicationGroup=[{"RegionName": VIRGINIA}])


def test_without_a_policy_everything_is_allowed(pretend, music, allow):
    allow("dynamodb:Nothing")
    with denied("dynamodb:GetItem"):
        music.get_item(TableName="Music", Key=KEY)
    pretend.cloud.access.clear(ACCOUNT)
    music.get_item(TableName="Music", Key=KEY)
    pretend.cloud.access.set("9" * 12, document(statement("dynamodb:Nothing")))  # another account's
    music.get_item(TableName="Music", Key=KEY)


def test_an_explicit_deny_wins_and_says_so(pretend, music):
    pretend.cloud.access.set(ACCOUNT, document(statement("*"), statement("dynamodb:Delete*", effect="Deny")))
    music.put_item(TableName="Music", Item=KEY)
    with refused("AccessDeniedException", re.escape(
            f"dynamodb:DeleteItem on resource: {ARN} with an explicit deny in an identity-based policy")):
        music.delete_item(TableName="Music", Key=KEY)


# --- the policy language ---

def allows(policy: dict, action: str = "dynamodb:PutItem", resource: str = ARN, **context: tuple[str, ...]) -> bool:
    keys = {name.replace("__", ":").replace("_slash_", "/").lower(): value for name, value in context.items()}
    return read(policy).decide(action, resource, keys) is Decision.ALLOWED


@pytest.mark.parametrize(("action", "resource", "yes"), [
    ("dynamodb:PutItem", ARN, True), ("DYNAMODB:putitem", ARN, True), ("dynamodb:Put*", "*", True), ("*", "*", True),
    ("dynamodb:Pu?Item", "arn:aws:dynamodb:*:*:table/Mus?c", True), ("dynamodb:P?Item", ARN, False),
    ("dynamodb:PutItem", ARN.lower(), False), ("dynamodb:PutItem", ARN + "/index/*", False),
    ("dynamodb:PutItem", ARN[:-1] + "*", True), ("dynamodb:GetItem", "*", False),
])
def test_wildcards(action, resource, yes):
    assert allows(document(statement(action, resource=resource))) is yes


def test_what_is_not_named():
    assert allows(document({"Effect": "Allow", "NotAction": "dynamodb:GetItem", "Resource": "*"}))
    assert not allows(document({"Effect": "Allow", "NotAction": "dynamodb:Put*", "Resource": "*"}))
    assert not allows(document({"Effect": "Allow", "Action": "*", "NotResource": ARN}))


@pytest.mark.parametrize(("condition", "given", "yes"), [
    ({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}, {"aws__requestedregion": ("eu-west-1",)},
     True),
    ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {"aws__requestedregion": ("eu-west-1",)}, False),
    ({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}, {"aws__requestedregion": ("eu-west-1",)}, True),
    ({"StringLike": {"aws:RequestedRegion": "eu-*"}}, {"aws__requestedregion": ("eu-west-1",)}, True),
    ({"StringNotLike": {"aws:RequestedRegion": "eu-*"}}, {"aws__requestedregion": ("eu-west-1",)}, False),
    ({"StringEqualsIgnoreCase": {"aws:PrincipalAccount": "a"}}, {"aws__principalaccount": ("A",)}, True),
    ({"StringEquals": {"aws:RequestTag/gtlab": "1"}}, {}, False),
    ({"StringNotEquals": {"aws:RequestTag/gtlab": "1"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:RequestTag/gtlab": "1"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:RequestTag/gtlab": "1"}}, {"aws__requesttag_slash_gtlab": ("2",)}, False),
    ({"Null": {"aws:RequestTag/gtlab": "true"}}, {}, True), ({"Null": {"aws:RequestTag/gtlab": "false"}}, {}, False),
    ({"Null": {"aws:RequestTag/gtlab": False}}, {"aws__requesttag_slash_gtlab": ("2",)}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("a",)}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("a", "c")}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws__tagkeys": ("a", "c")}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    ({"StringEquals": {"aws:RequestedRegion": "x", "aws:PrincipalAccount": "1"}},
     {"aws__requestedregion": ("x",), "aws__principalaccount": ("2",)}, False),
    ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/gtlab"}},
     {"aws__principalarn": ("arn:aws:iam::1:user/gtlab",)}, True),
])
def test_conditions(condition, given, yes):
    assert allows(document(statement("*", Condition=condition)), **given) is yes


def test_conditions_compare_what_a_call_has(pretend, music):
    def give(**condition: Any) -> None:
        pretend.cloud.access.set(ACCOUNT, document(statement("*", Condition={"StringEquals": condition})))

    give(**{"dynamodb:EnclosingOperation": "TransactWriteItems"})
    music.transact_write_items(TransactItems=TRANSACTION)
    with denied("dynamodb:PutItem"):
        music.put_item(TableName="Music", Item=KEY)
    give(**{"aws:RequestedRegion": VIRGINIA})
    music.put_item(TableName="Music", Item=KEY)
    with denied("dynamodb:ListTables"):
        pretend.client(IRELAND).list_tables()
    give(**{"aws:ResourceTag/gtlab:run": "1"})
    with denied("dynamodb:PutItem"):
        music.put_item(TableName="Music", Item=KEY)
    pretend.cloud.access.clear(ACCOUNT)
    music.tag_resource(ResourceArn=ARN, Tags=[{"Key": "gtlab:run", "Value": "1"}])
    give(**{"aws:ResourceTag/gtlab:run": "1"})
    music.put_item(TableName="Music", Item=KEY)


@pytest.mark.parametrize(("given", "why"), [
    ("{", "is not JSON"), ([], "must be a JSON object"), ({"Version": "2012-10-17"}, "has no Statement"),
    ({"Version": "2008-10-17", "Statement": [statement("*")]}, 'Version must be "2012-10-17"'),
    ({"Version": "2012-10-17", "Statements": []}, "element 'Statements'"),
    (document(statement("*", Principal="*")), "names a Principal"),
    (document(statement("*", effect="allow")), "Effect must be Allow or Deny; it is 'allow'"),
    (document({"Effect": "Allow", "Action": "*"}), "either Resource or NotResource"),
    (document(statement("PutItem")), "'PutItem' is not an action"),
    (document(statement("*", resource="Music")), "'Music' is not a resource"),
    (document(statement("*", resource=f"{ARN}/${{aws:username}}")), "policy variables"),
    (document(statement("*", Condition={"DateLessThan": {"aws:CurrentTime": "2026"}})),
     "does not evaluate the condition operator 'DateLessThan'"),
    (document(statement("*", Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "1"}})),
     "does not evaluate the condition key 'dynamodb:LeadingKeys'"),
    (document(statement("*", Condition={"StringEquals": "x"})), "Condition must be an object"),
    (document(statement("*", Condition={"StringEquals": {"aws:RequestedRegion": 1}})), "must be a string"),
    (document(statement("*", Sid="x" * 7000)), "6,144"),
])
def test_what_is_no_policy_or_cannot_be_evaluated_is_refused(given, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        read(given)


# --- the course's own policy ---

def actions_of(policy: dict) -> set[str]:
    return {action for each in policy["Statement"] for action in each["Action"]}


def called() -> Iterator[tuple[str, str]]:
    """The boto3 calls in the code cells of the notebooks: service and operation."""
    import boto3

    root = Path(__file__).parents[1] / "notebooks"
    code = "\n".join("".join(cell["source"]) for path in sorted(root.glob("[01]*.ipynb"))
                     for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code")
    named = set(re.findall(r"\.(\w+)\(", code))
    for service in ("dynamodb", "dynamodbstreams", "fis", "cloudwatch"):
        client = boto3.client(service, region_name=VIRGINIA, aws_access_key_id="x", aws_secret_access_key="x")
        yield from ((service, operation) for method, operation in client.meta.method_to_api_mapping.items()
                    if method in named and method not in ("get_paginator", "get_waiter"))


def test_every_call_of_the_notebooks_is_in_the_policy():
    allowed, calls = actions_of(permissions.course_policy(ACCOUNT, TABLES)), set(called())
    assert len(calls) > 15 and ("dynamodb", "TransactWriteItems") in calls and ("fis", "StartExperiment") in calls
    missing = {}
    for service, operation in calls:
        rows = permissions.rows_of(service, operation)
        needed = {action for row in rows if not row.case for action in row.actions} if rows else {
            permissions.default(service, operation)}
        missing |= {operation: needed - allowed} if needed - allowed else {}
    assert missing == {}


@pytest.mark.server
def test_the_courses_policy_is_enough_and_nothing_in_it_is_unused():
    """A rehearsal with the policy: the checks before the first call, the stages of all notebooks, what the notebooks
    call themselves, measuring, and the clean-up."""
    policy = permissions.course_policy(rehearsing.ACCOUNT, TABLES)
    with rehearsing.rehearsal("instant") as cloud:
        process.control(cloud.port, f"policy?account={rehearsing.ACCOUNT}", "PUT", policy)
        lab = gtlab.connect("aws", home=SINGAPORE, replicas=[VIRGINIA, IRELAND], yes=True)
        for notebook in start.NOTEBOOKS:
            start.bring(lab, notebook, solve=True)
        as_the_notebooks_do(lab)
        measure.replication_lag(lab, "Baskets", samples=3)
        measure.latency(lab, "Baskets", samples=2, strong=True)
        measure.published(lab, "Baskets")
        assert [left for left in cleanup.clean(lab) if not left.foreign] == []
        assert cleanup.survey(lab).groups == []
        asked = process.control(cloud.port, f"policy?account={rehearsing.ACCOUNT}")["asked"]
    assert [each for each in asked if not each["allowed"]] == []  # nothing is missing
    used = {each["action"] for each in asked}
    # An action that was not used, or a resource, could be left out.
    assert actions_of(policy) - used == set()
    for each in policy["Statement"]:
        unused = [pattern for pattern in each["Resource"] if not any(
            pattern_matches(pattern, one["resource"]) for one in asked if one["action"] in each["Action"])]
        # The course reads the streams of some of its tables; which ones is for the reader to choose.
        assert unused == [] or (each["Sid"] == "CourseStreams" and len(unused) < len(each["Resource"])), each["Sid"]


def pattern_matches(pattern: str, resource: str) -> bool:
    return read(document(statement("a:b", resource=pattern))).decide("a:b", resource, {}) is Decision.ALLOWED


def as_the_notebooks_do(lab: gtlab.Lab) -> None:
    """The calls that are in the cells, not in the stages."""
    here, key = lab.client(lab.home), {"Customer": {"S": "Ann"}}
    for kind in ("create_global_table", "update_global_table"):
        with invalid("version 2017.11.29 is not supported"):
            getattr(here, kind)(GlobalTableName="Music", **(
                {"ReplicationGroup": [{"RegionName": each} for each in lab.regions]} if kind.startswith("create") else
                {"ReplicaUpdates": create(IRELAND)}))
    for table in TABLES:  # the legacy calls for each name: the policy has a resource for each
        with refused("GlobalTableNotFoundException"):
            here.describe_global_table(GlobalTableName=table)
        if table == "MusicDraft":  # 05 makes it, tries it out, and deletes it
            here.create_table(**ON_DEMAND | {"TableName": table})
    here.update_time_to_live(TableName="Baskets", TimeToLiveSpecification={"Enabled": True, "AttributeName": "Expires"})
    here.describe_time_to_live(TableName="Baskets")
    here.transact_write_items(TransactItems=[
        {"Put": {"TableName": "Baskets", "Item": {"Customer": {"S": each}}}} for each in ("Ann", "Ben")])
    here.transact_get_items(TransactItems=[{"Get": {"TableName": "Baskets", "Key": key}}])
    here.query(TableName="Baskets", KeyConditionExpression="Customer = :a",
               ExpressionAttributeValues={":a": {"S": "a"}})
    here.scan(TableName="Baskets")
    here.get_item(TableName="Baskets", Key=key)
    here.update_item(TableName="Baskets", Key=key, UpdateExpression="ADD n :n",
                     ExpressionAttributeValues={":n": {"N": "1"}})
    here.delete_item(TableName="Baskets", Key=key)
    streams.Reader(lab, "Baskets", IRELAND).read()
    fis, arn = lab.client(lab.home, "fis"), here.describe_table(TableName="Baskets")["Table"]["TableArn"]
    made = fis.create_experiment_template(
        description="Pause", roleArn=f"arn:aws:iam::{rehearsing.ACCOUNT}:role/gtlab-fis",
        stopConditions=[{"source": "none"}],
        targets={"Tables": {"resourceType": "aws:dynamodb:global-table", "resourceArns": [arn],
                            "selectionMode": "ALL"}},
        actions={"Pause": {"actionId": "aws:dynamodb:global-table-pause-replication",
                           "parameters": {"duration": "PT1M"}, "targets": {"Tables": "Tables"}}})
    template = made["experimentTemplate"]["id"]
    running = fis.start_experiment(experimentTemplateId=template)["experiment"]["id"]
    fis.get_experiment(id=running)
    fis.stop_experiment(id=running)  # the clean-up deletes the template


def test_the_command_prints_the_policy():
    ran = CliRunner().invoke(main, ["policy", "--account", ACCOUNT, "--regions", f"{VIRGINIA},{IRELAND}"])
    assert json.loads(ran.output) == permissions.course_policy(ACCOUNT, TABLES, [VIRGINIA, IRELAND])
    assert len(json.dumps(json.loads(ran.output), separators=(",", ":"))) < 6144  # AWS's limit of a managed policy
    ran = CliRunner().invoke(main, ["policy", "--account", "me"])
    assert ran.exit_code == 1 and "12 digits" in ran.output


@pytest.mark.server
def test_the_local_cloud_is_given_a_policy(tmp_path):
    """By the command; until it stops, also after a reset."""
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document(statement("dynamodb:ListTables"))))
    with process.throwaway("instant") as cloud:
        ran = CliRunner().invoke(main, ["up", "--policy", str(path)])
        assert ran.exit_code == 0 and "Calls are allowed as" in ran.output
        client = gtlab.connect().client(VIRGINIA)
        client.list_tables()
        process.reset()
        with refused("AccessDeniedException", "dynamodb:DescribeTable"):
            client.describe_table(TableName="Music")
        status = CliRunner().invoke(main, ["status"])
        assert "Calls are checked against a policy; accounts: 000000000000" in status.output
        with pytest.raises(ClientError, match=r"AccessDenied.*cloudwatch:ListMetrics because no identity-based policy"):
            gtlab.connect().client(VIRGINIA, "cloudwatch").list_metrics()
        gtlab.connect().client(VIRGINIA, "sts").get_caller_identity()  # needs no permission
        asked = process.control(cloud.port, "policy")["asked"]
        assert {(each["action"], each["allowed"]) for each in asked} == {
            ("dynamodb:ListTables", True), ("dynamodb:DescribeTable", False), ("cloudwatch:ListMetrics", False)}
        ran = CliRunner().invoke(main, ["up", "--policy", "none"])
        assert "everything is allowed" in ran.output
        with refused("ResourceNotFoundException"):
            client.describe_table(TableName="Music")
        path.write_text("{")
        ran = CliRunner().invoke(main, ["up", "--policy", str(path)])
        assert ran.exit_code == 1 and "policy.json is not JSON." in ran.output
        path.write_text(json.dumps(document(statement("*", Condition={"Bool": {"aws:SecureTransport": "true"}}))))
        ran = CliRunner().invoke(main, ["up", "--policy", str(path)])
        assert ran.exit_code == 1 and "does not evaluate the condition operator 'Bool'" in ran.output
        with pytest.raises(ValueError, match="12 digits"):
            process.control(cloud.port, "policy?account=me")


def between(text: str, begin: str, end: str) -> str:
    return text.partition(f"<!-- {begin}")[2].partition("-->\n")[2].partition(f"<!-- {end}")[0]


def table_of_calls() -> str:
    """The calls that need more, or other actions than that of their own name, as a table in Markdown."""
    lines = ["| Call | When | Actions | On |", "|---|---|---|---|"]
    for row in permissions.CALLS:
        if (row.actions != (permissions.default(row.service, row.call),)
                or row.on in (permissions.MEMBERS, permissions.GLOBAL, permissions.TARGET)):
            actions = ", ".join(f"`{each}`" for each in row.actions)
            lines.append(f"| `{row.call}` | {row.case or 'always'} | {actions} | {row.on} |")
    return "\n".join(lines)


def test_the_page_has_the_policy_and_the_table_of_calls_of_the_code():
    text = (DOCS / "aws.md").read_text(encoding="utf-8")
    shown = between(text, "policy:", "end of policy").removeprefix("```json\n").removesuffix("```\n")
    assert json.loads(shown) == permissions.course_policy("*", TABLES)
    assert between(text, "calls:", "end of calls").strip() == table_of_calls()
