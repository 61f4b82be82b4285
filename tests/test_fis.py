"""AWS's fault injection service: experiments that pause replication, through boto3, mostly under a pretend clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from support import (
    IRELAND,
    KEY,
    OHIO,
    ON_DEMAND,
    OREGON,
    STRONG,
    VIRGINIA,
    add,
    create,
    item,
    refused,
    remove,
    replicas,
    table,
    wait_active,
    wait_until,
)

import gtlab
from gtlab.localcloud import process

ACCOUNT = "1" * 12
PAUSE = "aws:dynamodb:global-table-pause-replication"
SID = "DoNotModifyFisDynamoDbPauseReplicationEXP"


@pytest.fixture
def members(pretend, ohio):
    """An eventually consistent global table: clients of Ohio, Virginia and Ireland."""
    for region in (VIRGINIA, IRELAND):
        add(ohio, region)
        pretend.wait(30)
    return ohio, pretend.client(VIRGINIA), pretend.client(IRELAND)


@pytest.fixture
def strong(pretend, ohio):
    """A strongly consistent one: clients of Ohio, Virginia and Oregon."""
    replicas(ohio, *create(VIRGINIA, OREGON), **STRONG)
    pretend.wait(20)
    return ohio, pretend.client(VIRGINIA), pretend.client(OREGON)


def arn(region: str = VIRGINIA, name: str = "Music", account: str = ACCOUNT) -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"


def pausing(duration: str = "PT5M", target: str = "Replicas", **more) -> dict:
    return {"actionId": PAUSE, "parameters": {"duration": duration}, "targets": {"Tables": target}, **more}


def replica(*arns: str, mode: str = "ALL", **more) -> dict:
    return {"resourceType": "aws:dynamodb:global-table", "selectionMode": mode,
            **({"resourceArns": list(arns)} if arns else {}), **more}


def template(**changes) -> dict:
    """CreateExperimentTemplate's input: pause Virginia's replica for five minutes. None leaves a member out."""
    asked = {"clientToken": "token", "description": "Cut Virginia off", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/fis",
             "stopConditions": [{"source": "none"}], "targets": {"Replicas": replica(arn())},
             "actions": {"pause": pausing()}} | changes
    return {name: value for name, value in asked.items() if value is not None}


def begin(fis, **changes) -> str:
    """Start an experiment from a template of its own; its id."""
    made = fis.create_experiment_template(**template(clientToken=os.urandom(8).hex(), **changes))
    return fis.start_experiment(clientToken=os.urandom(8).hex(),
                                experimentTemplateId=made["experimentTemplate"]["id"])["experiment"]["id"]


def look(fis, experiment: str) -> dict:
    return fis.get_experiment(id=experiment)["experiment"]


def status(fis, experiment: str) -> str:
    return look(fis, experiment)["state"]["status"]


def policy(client, resource: str) -> list[dict] | None:
    try:
        return json.loads(client.get_resource_policy(ResourceArn=resource)["Policy"])["Statement"]
    except client.exceptions.PolicyNotFoundException:
        return None


def test_an_experiment_pauses_replication_both_ways_and_then_it_catches_up(pretend, members):
    ohio, virginia, ireland = members
    fis = pretend.client(VIRGINIA, "fis")
    experiment = begin(fis)
    seen = [status(fis, experiment)]
    for _ in range(3):
        pretend.wait(0.5)
        seen.append(status(fis, experiment))
    assert seen == ["pending", "initiating", "running", "running"]
    ohio.put_item(TableName="Music", Item=KEY | {"by": {"S": "ohio"}})
    virginia.put_item(TableName="Music", Item={"Artist": {"S": "b"}})
    assert item(virginia, {"Artist": {"S": "b"}})  # local traffic goes on
    pretend.wait(240)
    assert item(ireland) == KEY | {"by": {"S": "ohio"}}  # the others go on between themselves
    assert item(virginia) is None and item(ohio, {"Artist": {"S": "b"}}) is None
    pretend.wait(70)
    assert status(fis, experiment) == "completed"
    assert item(virginia) and item(ohio, {"Artist": {"S": "b"}}) and item(ireland, {"Artist": {"S": "b"}})


def test_times_and_actions_states_are_told(pretend, members):
    fis = pretend.client(VIRGINIA, "fis")
    began = pretend.now
    experiment = begin(fis, actions={"pause": pausing("PT2M"), "rest": {
        "actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}, "startAfter": ["pause"]}})
    pretend.wait(30)
    actions = look(fis, experiment)["actions"]
    assert {name: action["state"]["status"] for name, action in actions.items()} == {
        "pause": "running", "rest": "pending"}
    pretend.wait(600)  # however late one looks, things happened at their times
    ended = look(fis, experiment)
    assert ended["creationTime"].timestamp() == began
    assert ended["startTime"].timestamp() == pytest.approx(began, abs=2)
    at = {name: (action["startTime"].timestamp() - began, action["endTime"].timestamp() - began)
          for name, action in ended["actions"].items()}
    assert at == {"pause": pytest.approx((1, 121)), "rest": pytest.approx((121, 181))}
    assert ended["endTime"].timestamp() == pytest.approx(began + 181)


def test_deny_statements_stand_in_the_resource_policies_meanwhile(pretend, members):
    virginia = members[1]
    stream = table(virginia)["LatestStreamArn"]
    mine = {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "dynamodb:GetItem", "Resource": arn()}
    virginia.put_resource_policy(ResourceArn=arn(), Policy=json.dumps({"Version": "2012-10-17", "Statement": mine}))
    begin(pretend.client(VIRGINIA, "fis"))
    pretend.wait(10)
    kept, added = policy(virginia, arn())
    assert kept == mine and added["Effect"] == "Deny" and added["Sid"].startswith(SID)
    assert "dynamodb:PutItem" in added["Action"] and added["Resource"] == arn()
    assert [each["Resource"] for each in policy(virginia, stream)] == [stream]
    pretend.wait(600)
    assert policy(virginia, arn()) == [mine] and policy(virginia, stream) is None


def test_stopping_ends_the_pause(pretend, members):
    ohio, virginia, _ = members
    fis = pretend.client(VIRGINIA, "fis")
    experiment = begin(fis, actions={"pause": pausing(), "later": pausing(startAfter=["pause"])})
    pretend.wait(10)
    ohio.put_item(TableName="Music", Item=KEY)
    assert fis.stop_experiment(id=experiment)["experiment"]["state"]["status"] == "stopping"
    pretend.wait(5)
    ended = look(fis, experiment)
    assert ended["state"]["status"] == "stopped" and item(virginia) == KEY
    assert {name: action["state"]["status"] for name, action in ended["actions"].items()} == {
        "pause": "stopped", "later": "cancelled"}
    with refused("ValidationException", "cannot be stopped: it is stopped"):
        fis.stop_experiment(id=experiment)


def test_two_experiments_on_one_replica_overlap(pretend, members):
    ohio, virginia, _ = members
    fis = pretend.client(VIRGINIA, "fis")
    begin(fis, actions={"pause": pausing("PT1M")})
    begin(fis, actions={"pause": pausing("PT3M")})
    pretend.wait(100)
    ohio.put_item(TableName="Music", Item=KEY)
    pretend.wait(60)
    assert item(virginia) is None and len(policy(virginia, arn())) == 1
    pretend.wait(60)
    assert item(virginia) == KEY and policy(virginia, arn()) is None


def test_what_happened_is_in_the_journal(pretend, members):
    experiment = begin(pretend.client(VIRGINIA, "fis"))
    pretend.wait(600)
    events = [(event.kind, event.detail) for event in pretend.cloud.journal.since(0)
              if event.detail.get("knob") == "pause"]
    place = {"knob": "pause", "place": [ACCOUNT, VIRGINIA, "Music"], "value": {"experiment": experiment}}
    assert events == [("broken", place), ("mended", place)]


@pytest.mark.parametrize("target", [
    replica(arn(name="Other")), replica(resourceTags={"stage": "nowhere"}), replica(arn(), mode="PERCENT(50)")])
def test_an_experiment_without_targets_fails(pretend, members, target):
    fis = pretend.client(VIRGINIA, "fis")
    experiment = begin(fis, targets={"Replicas": target})
    pretend.wait(5)
    assert status(fis, experiment) == "failed"
    assert "empty set: Replicas" in look(fis, experiment)["state"]["reason"]
    skipped = begin(fis, targets={"Replicas": target}, experimentOptions={"emptyTargetResolutionMode": "skip"})
    pretend.wait(5)
    assert (status(fis, skipped), look(fis, skipped)["actions"]["pause"]["state"]["status"]) == ("completed", "skipped")


def test_a_table_that_is_no_replica_is_no_target(pretend, ohio):
    fis = pretend.client(OHIO, "fis")
    experiment = begin(fis, targets={"Replicas": replica(arn(OHIO))})
    pretend.wait(5)
    assert status(fis, experiment) == "failed"


def test_targets_by_tags_and_how_many_of_them(pretend, members):
    ohio, virginia, _ = members
    for name in ("Second", "Third"):
        ohio.create_table(**ON_DEMAND | {"TableName": name})
        pretend.wait(15)
        ohio.update_table(TableName=name, ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])
        pretend.wait(30)
    for name in ("Music", "Second", "Third"):
        virginia.tag_resource(ResourceArn=arn(name=name), Tags=[{"Key": "stage", "Value": "test"}])
    virginia.tag_resource(ResourceArn=arn(name="Third"), Tags=[{"Key": "stage", "Value": "live"}])
    fis = pretend.client(VIRGINIA, "fis")

    def found(mode: str) -> set[str]:
        experiment = begin(fis, targets={"Replicas": replica(resourceTags={"stage": "test"}, mode=mode)})
        pretend.wait(5)
        targets = fis.list_experiment_resolved_targets(experimentId=experiment)["resolvedTargets"]
        fis.stop_experiment(id=experiment)
        return {target["targetInformation"]["arn"] for target in targets}

    assert found("ALL") == found("COUNT(7)") == {arn(), arn(name="Second")}
    assert len(found("COUNT(1)")) == len(found("PERCENT(99)")) == 1


def test_a_deleted_table_ends_its_pause(pretend, members):
    ohio = members[0]
    fis = pretend.client(IRELAND, "fis")
    begin(fis, targets={"Replicas": replica(arn(IRELAND))})
    pretend.wait(5)
    assert [pause.table.region for pause in pretend.cloud.fis.pauses] == [IRELAND]
    remove(ohio, IRELAND)
    pretend.wait(60)
    assert not list(pretend.cloud.fis.pauses)
    pretend.wait(300)


def test_mending_the_world_stops_experiments(pretend, members):
    ohio, virginia, _ = members
    fis = pretend.client(VIRGINIA, "fis")
    experiment = begin(fis)
    pretend.wait(5)
    ohio.put_item(TableName="Music", Item=KEY)
    pretend.cloud.mend_all(pretend.now)
    assert status(fis, experiment) == "stopped" and policy(virginia, arn()) is None
    pretend.wait(5)
    assert item(virginia) == KEY


def test_skip_all_does_nothing_but_find_targets(pretend, members):
    fis = pretend.client(VIRGINIA, "fis")
    made = fis.create_experiment_template(**template())["experimentTemplate"]
    experiment = fis.start_experiment(clientToken="a", experimentTemplateId=made["id"],
                                      experimentOptions={"actionsMode": "skip-all"})["experiment"]["id"]
    pretend.wait(5)
    assert status(fis, experiment) == "completed" and policy(members[1], arn()) is None
    assert len(fis.list_experiment_resolved_targets(experimentId=experiment)["resolvedTargets"]) == 1


# Strong consistency across Regions

def test_a_paused_strong_replica_serves_eventual_reads_only(pretend, strong):
    ohio, virginia, oregon = strong
    virginia.put_item(TableName="Music", Item=KEY)
    pretend.wait(10)
    begin(pretend.client(VIRGINIA, "fis"))
    pretend.wait(5)
    for call in (lambda: virginia.put_item(TableName="Music", Item=KEY | {"n": {"N": "1"}}),
                 lambda: item(virginia, ConsistentRead=True)):
        with pytest.raises(ClientError, match="InternalServerError") as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    ohio.put_item(TableName="Music", Item=KEY | {"n": {"N": "2"}})  # the others go on
    assert item(oregon, ConsistentRead=True) == KEY | {"n": {"N": "2"}}
    pretend.wait(60)
    assert item(virginia) == KEY
    for member in strong:
        with refused("ResourceInUseException", "in use"):
            member.update_table(TableName="Music", DeletionProtectionEnabled=True)
    assert len(policy(virginia, arn())) == 2
    pretend.wait(300)
    assert item(virginia, ConsistentRead=True) == item(virginia) == KEY | {"n": {"N": "2"}}
    ohio.update_table(TableName="Music", DeletionProtectionEnabled=True)


def test_a_strong_replica_can_be_paused_for_5040_minutes_in_seven_days(pretend, strong):
    fis = pretend.client(VIRGINIA, "fis")
    for _ in range(7):
        experiment = begin(fis, actions={"pause": pausing("PT12H")})
        pretend.wait(12 * 3600 + 10)
        assert status(fis, experiment) == "completed"
    failed = begin(fis, actions={"pause": pausing("PT2M")})
    pretend.wait(5)
    assert status(fis, failed) == "failed" and "5040 minutes" in look(fis, failed)["state"]["reason"]
    pretend.wait(4 * 24 * 3600)
    later = begin(fis, actions={"pause": pausing("PT2M")})
    pretend.wait(5)
    assert status(fis, later) == "running"


# The calls

@pytest.mark.parametrize(("changes", "text"), [
    ({"actions": {}}, "1 to 20 actions"),
    ({"actions": {"a": {"actionId": "aws:ec2:stop-instances"}}}, f"no action aws:ec2:stop-instances. It has: {PAUSE}"),
    ({"actions": {"a": pausing("PT30S")}}, "PT1M to PT12H.*'PT30S'"),
    ({"actions": {"a": pausing("5 minutes")}}, "PT1M to PT12H"),
    ({"actions": {"a": pausing("P9999999999999999D")}}, "PT1M to PT12H"),
    ({"actions": {"a": {"actionId": PAUSE, "targets": {"Tables": "Replicas"}}}}, "takes the parameters duration"),
    ({"actions": {"a": pausing() | {"targets": {"Table": "Replicas"}}}}, "the target key of .* is Tables, not Table"),
    ({"actions": {"a": pausing(target="Others")}}, "there is no target Others"),
    ({"actions": {"a": pausing(startAfter=["b"])}}, "startAfter names b"),
    ({"actions": {"a": pausing(startAfter=["b"]), "b": pausing(startAfter=["a"])}}, "a, b wait for one another"),
    ({"stopConditions": []}, "stopConditions must have an element"),
    ({"stopConditions": [{"source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:x"}]}, "no alarms"),
    ({"stopConditions": None}, "stopConditions.*must not be null"),
    ({"roleArn": "fis"}, "roleArn is the ARN of a role"),
    ({"targets": {"Replicas": replica()}}, "either resourceArns or resourceTags"),
    ({"targets": {"Replicas": replica(arn(), mode="SOME")}}, "selectionMode is ALL"),
    ({"targets": {"Replicas": replica(arn(), mode="PERCENT(101)")}}, "selectionMode is ALL"),
    ({"targets": {"Replicas": replica("Music")}}, "Music is not the ARN of a table"),
    ({"targets": {"Replicas": replica(arn(OHIO))}}, "call FIS in that Region"),
    ({"targets": {"Replicas": replica(arn(account="2" * 12))}}, "not a table of this account"),
    ({"targets": {"Replicas": replica(arn()) | {"resourceType": "aws:ec2:instance"}}}, "global-table only"),
    ({"logConfiguration": {"logSchemaVersion": 2}}, "logConfiguration: gtlab's local cloud has neither"),
])
def test_templates_that_make_no_sense_are_refused(pretend, changes, text):
    fis = pretend.client(VIRGINIA, "fis")
    with refused("ValidationException", text):
        fis.create_experiment_template(**template(**changes))
    assert fis.list_experiment_templates()["experimentTemplates"] == []


def test_the_same_token_makes_one_template_and_one_experiment(pretend, members):
    fis = pretend.client(VIRGINIA, "fis")
    first, again = (fis.create_experiment_template(**template())["experimentTemplate"]["id"] for _ in range(2))
    assert first == again and len(fis.list_experiment_templates()["experimentTemplates"]) == 1
    with refused("ConflictException", "clientToken"):
        fis.create_experiment_template(**template(description="another"))
    started = {fis.start_experiment(clientToken="t", experimentTemplateId=first)["experiment"]["id"] for _ in range(2)}
    assert len(started) == len(fis.list_experiments()["experiments"]) == 1


def test_templates_are_looked_at_changed_and_deleted(pretend, members):
    fis, elsewhere = pretend.client(VIRGINIA, "fis"), pretend.client(OHIO, "fis")
    made = fis.create_experiment_template(**template(tags={"a": "1"}))["experimentTemplate"]
    assert made["arn"] == f"arn:aws:fis:{VIRGINIA}:{ACCOUNT}:experiment-template/{made['id']}"
    pretend.wait(10)
    changed = fis.update_experiment_template(id=made["id"], actions={"pause": pausing("PT1H")})["experimentTemplate"]
    assert changed["actions"]["pause"]["parameters"] == {"duration": "PT1H"}
    assert changed["description"] == made["description"] and changed["lastUpdateTime"] > changed["creationTime"]
    with refused("ValidationException", "duration"):
        fis.update_experiment_template(id=made["id"], actions={"pause": pausing("PT1S")})
    assert fis.get_experiment_template(id=made["id"])["experimentTemplate"] == changed
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException, match=made["id"]):
        elsewhere.get_experiment_template(id=made["id"])
    fis.delete_experiment_template(id=made["id"])
    with pytest.raises(fis.exceptions.ResourceNotFoundException):
        fis.start_experiment(clientToken="a", experimentTemplateId=made["id"])


def test_lists_have_pages_and_filters(pretend, members):
    fis = pretend.client(VIRGINIA, "fis")
    for number in range(5):
        begin(fis, description=str(number))
    pages = list(fis.get_paginator("list_experiment_templates").paginate(maxResults=2))
    assert [len(page["experimentTemplates"]) for page in pages] == [2, 2, 1]
    assert [each["description"] for page in pages for each in page["experimentTemplates"]] == list("01234")
    only = pages[0]["experimentTemplates"][0]["id"]
    assert len(fis.list_experiments(experimentTemplateId=only)["experiments"]) == 1
    for wrong in ({"maxResults": 0}, {"nextToken": "no such"}):
        with refused("ValidationException", next(iter(wrong))):
            fis.list_experiments(**wrong)


def test_what_there_is_can_be_asked_for_and_what_there_is_not_is_told(pretend):
    fis = pretend.client(VIRGINIA, "fis")
    assert [action["id"] for action in fis.list_actions()["actions"]] == [PAUSE, "aws:fis:wait"]
    assert fis.get_action(id=PAUSE)["action"]["targets"] == {"Tables": {"resourceType": "aws:dynamodb:global-table"}}
    assert len(fis.list_target_resource_types()["targetResourceTypes"]) == 1
    assert fis.get_target_resource_type(resourceType="aws:dynamodb:global-table")["targetResourceType"]
    for missing in (lambda: fis.get_action(id="aws:fis:nothing"), lambda: fis.get_experiment(id="EXP0"),
                    lambda: fis.get_target_resource_type(resourceType="aws:ec2:instance")):
        with pytest.raises(fis.exceptions.ResourceNotFoundException):
            missing()
    with refused("UnknownOperationException", "GetSafetyLever is an operation of fis that gtlab's local cloud"):
        fis.get_safety_lever(id="x")


def test_tags(pretend):
    fis = pretend.client(VIRGINIA, "fis")
    made = fis.create_experiment_template(**template(tags={"a": "1", "b": "2"}))["experimentTemplate"]["arn"]
    fis.tag_resource(resourceArn=made, tags={"c": "3"})
    fis.untag_resource(resourceArn=made, tagKeys=["a", "b"])
    assert fis.list_tags_for_resource(resourceArn=made)["tags"] == {"c": "3"}
    with pytest.raises(fis.exceptions.ResourceNotFoundException):
        fis.list_tags_for_resource(resourceArn=made + "x")


# The real server

def test_a_notebooks_lab_and_the_aws_command_pause_replication(cloud, client, account):
    virginia, ireland = client(VIRGINIA), client(IRELAND)
    virginia.create_table(**ON_DEMAND)
    wait_active(virginia)
    add(virginia, IRELAND)
    wait_until(lambda: table(virginia)["TableStatus"] == "ACTIVE" and table(virginia)["Replicas"], "two replicas")
    fis = client(IRELAND, "fis")
    experiment = begin(fis, targets={"Replicas": replica(arn(IRELAND, account=account))})
    wait_until(lambda: status(fis, experiment) == "running", "the experiment to run")
    virginia.put_item(TableName="Music", Item=KEY)
    ireland.put_item(TableName="Music", Item={"Artist": {"S": "b"}})
    assert any(paused["place"] == [account, IRELAND, "Music"] for paused in _world(cloud)["paused"])
    shown = _aws(cloud, account, "get-experiment", "--id", experiment)
    assert shown["experiment"]["state"]["status"] == "running"
    assert item(ireland) is None
    _aws(cloud, account, "stop-experiment", "--id", experiment)
    wait_until(lambda: item(ireland) and item(virginia, {"Artist": {"S": "b"}}), "replication to catch up")
    assert status(fis, experiment) == "stopped"


def test_a_lab_has_a_client_of_it(cloud):
    lab = gtlab.connect()
    fis = lab.client(VIRGINIA, "fis")
    assert PAUSE in [action["id"] for action in fis.list_actions()["actions"]]
    with pytest.raises(fis.exceptions.ResourceNotFoundException, match="EXT1"):
        fis.start_experiment(experimentTemplateId="EXT1")


@pytest.mark.parametrize(("method", "path", "body", "code"), [
    ("POST", "/experimentTemplates", b"{", "SerializationException"),
    ("POST", "/experimentTemplates", b"[]", "SerializationException"),
    ("POST", "/experimentTemplates", json.dumps(template(actions="pause")).encode(), "SerializationException"),
    ("POST", "/experimentTemplates", b"{}", "ValidationException"),
    ("POST", "/experiments/EXP0", b"{}", "UnknownOperationException"),
    ("GET", "/experiments//x", None, "UnknownOperationException"),
    ("GET", "/nothing?maxResults=1", None, "UnknownOperationException"),
    ("GET", "/experiments?maxResults=many", None, "SerializationException"),
    ("GET", "/experiments?maxResults=", None, "SerializationException"),
    ("GET", "/experiments/%FF", None, "BadRequestException"),
    ("GET", "/experiments/%C3%A9", None, "ResourceNotFoundException"),
    ("DELETE", "/tags/arn%3Aaws%3Afis%3A%2F", None, "ResourceNotFoundException"),
])
def test_malformed_requests_are_refused(cloud, account, method, path, body, code):
    request = urllib.request.Request(cloud.url + path, body, method=method, headers={
        "content-type": "application/json",
        "authorization": f"AWS4-HMAC-SHA256 Credential={account}/20260101/{VIRGINIA}/fis/aws4_request, Signature=x"})
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=60):
        pass
    assert 400 <= caught.value.code < 500
    assert json.load(caught.value)["__type"].rpartition("#")[2] == code


@pytest.mark.server
def test_experiments_go_on_after_a_restart(tmp_path, monkeypatch, account):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    try:
        virginia, ireland, fis = _clients(process.up(network="fast")[0], account)
        virginia.create_table(**ON_DEMAND)
        wait_active(virginia)
        add(virginia, IRELAND)
        wait_until(lambda: table(virginia)["TableStatus"] == "ACTIVE" and table(virginia)["Replicas"], "two replicas")
        experiment = begin(fis, targets={"Replicas": replica(arn(IRELAND, account=account))})
        wait_until(lambda: status(fis, experiment) == "running", "the experiment to run")
        virginia.put_item(TableName="Music", Item=KEY)
        process.down()
        virginia, ireland, fis = _clients(process.up()[0], account)
        assert status(fis, experiment) == "running" and len(policy(ireland, arn(IRELAND, account=account))) == 1
        virginia.put_item(TableName="Music", Item=KEY | {"n": {"N": "1"}})
        assert item(ireland) is None
        fis.stop_experiment(id=experiment)
        wait_until(lambda: item(ireland) == KEY | {"n": {"N": "1"}}, "replication to catch up")
    finally:
        process.down()


def _clients(cloud, account: str):
    return [boto3.client(service, region_name=region, endpoint_url=cloud.url, aws_access_key_id=account,
                         aws_secret_access_key="x")
            for region, service in ((VIRGINIA, "dynamodb"), (IRELAND, "dynamodb"), (IRELAND, "fis"))]


def _world(cloud) -> dict:
    with urllib.request.urlopen(f"{cloud.url}/_gtlab/v1/world", timeout=60) as answer:
        return json.load(answer)


def _aws(cloud, account: str, *arguments: str) -> dict:
    command = Path(sys.executable).with_name("aws")
    if not command.exists():
        pytest.skip("needs the aws command")
    done = subprocess.run([command, "fis", *arguments, "--region", IRELAND, "--endpoint-url", cloud.url,
                           "--output", "json"], capture_output=True, text=True, timeout=300, env=os.environ | {
        "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "x", "AWS_PAGER": ""})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
