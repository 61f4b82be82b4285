"""A call shown as an ``aws`` command does the same as the call, when it is pasted into a shell."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import SINGAPORE, wait_active

import gtlab
from gtlab.course.stages import MUSIC
from gtlab.lab.commands import as_command

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
TABLE = "Commands"
KEY = {"Artist": {"S": "it's \"quoted\" $HOME `id` \\ !"}, "SongTitle": {"S": "Ünïcödé ☃ 音楽\nsecond line"}}
ITEM = KEY | {
    "nested": {"M": {"list": {"L": [{"N": "1.5"}, {"BOOL": True}, {"NULL": True}]}, "empty": {"M": {}}}},
    "names": {"SS": ["b", "a b"]}, "numbers": {"NS": ["1", "-2"]},
}
BINARY = {"raw": {"B": b"\x00\xff'"}, "raws": {"BS": [b"\x00", b"\x01"]}}

needs_aws = pytest.mark.skipif(not (shutil.which("aws", path=PATH) and shutil.which("sh")),
                               reason="needs a shell and the aws command")


@pytest.fixture(scope="module")
def lab(cloud):
    lab = gtlab.connect()
    there = lab.client(SINGAPORE)
    with contextlib.suppress(there.exceptions.ResourceInUseException):  # set up before; others' tests came in between
        there.create_table(**MUSIC | {"TableName": TABLE})
    wait_active(there, TABLE)
    return lab


@pytest.fixture(scope="module")
def singapore(lab):
    return lab.client(SINGAPORE)


def shell(text: str) -> dict:
    """A command's answer, in a shell as `gtlab env` sets it up."""
    done = subprocess.run(["sh", "-c", f'eval "$(gtlab env)"\n{text}'], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PATH": PATH})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")


def without_metadata(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def comparable(item: dict) -> dict:
    """An item whose sets are in order: DynamoDB's are in none."""
    return {name: {kind: sorted(value) if kind in ("SS", "NS", "BS") else value for kind, value in typed.items()}
            for name, typed in item.items()}


@needs_aws
def test_put_and_get(lab, singapore):
    singapore.put_item(TableName=TABLE, Item=ITEM)
    put = lab.last_command()
    assert put.startswith("aws dynamodb put-item \\\n") and put.endswith(f"--region {SINGAPORE}")
    singapore.delete_item(TableName=TABLE, Key=KEY)
    shell(put)
    found = without_metadata(singapore.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True))
    assert comparable(found["Item"]) == comparable(ITEM)
    get = lab.last_command()
    assert "--consistent-read" in get
    assert comparable(shell(get)["Item"]) == comparable(ITEM)


@needs_aws
def test_query_with_values_and_a_boolean_that_is_false(lab, singapore):
    for year in ("1", "2", "3"):
        singapore.put_item(TableName=TABLE, Item={"Artist": {"S": "many"}, "SongTitle": {"S": year}})
    answer = singapore.query(
        TableName=TABLE, KeyConditionExpression="#a = :a AND SongTitle > :t", ScanIndexForward=False, Limit=2,
        ExpressionAttributeNames={"#a": "Artist"}, ExpressionAttributeValues={":a": {"S": "many"}, ":t": {"S": "1"}})
    command = lab.last_command()
    assert "--no-scan-index-forward" in command
    assert [item["SongTitle"]["S"] for item in answer["Items"]] == ["3", "2"]
    again = shell(command)
    assert (again["Items"], again["LastEvaluatedKey"]) == (answer["Items"], answer["LastEvaluatedKey"])


@needs_aws
def test_create_table(lab, singapore):
    made = singapore.create_table(**MUSIC | {"TableName": "ByCommand"})["TableDescription"]
    command = lab.last_command()
    wait_active(singapore, "ByCommand")
    singapore.delete_table(TableName="ByCommand")
    singapore.get_waiter("table_not_exists").wait(TableName="ByCommand", WaiterConfig={"Delay": 1})
    again = shell(command)["TableDescription"]
    for name in ("TableName", "KeySchema", "AttributeDefinitions", "StreamSpecification", "TableArn"):
        assert again[name] == made[name]
    assert again["ProvisionedThroughput"]["WriteCapacityUnits"] == 1


def test_binary_values_are_base64_and_say_that_they_need_version_2(lab, singapore):
    singapore.put_item(TableName=TABLE, Item={"Artist": {"S": "binary"}, "SongTitle": {"S": "t"}} | BINARY)
    note, command = lab.last_command().split("\n", 1)
    assert note.startswith("#") and "version 2" in note and command.startswith("aws dynamodb put-item")
    assert f'{{"B": "{base64.b64encode(BINARY["raw"]["B"]).decode()}"}}' in command


@needs_aws
def test_binary_values_through_version_2(lab, singapore):
    version = subprocess.run(["aws", "--version"], capture_output=True, text=True, env=os.environ | {"PATH": PATH})
    if version.stdout.startswith("aws-cli/1."):
        pytest.skip("version 1 of the aws command cannot take binary values inside JSON")
    key = {"Artist": {"S": "binary"}, "SongTitle": {"S": "t"}}
    singapore.put_item(TableName=TABLE, Item=key | BINARY)
    command = lab.last_command()
    singapore.delete_item(TableName=TABLE, Key=key)
    shell(command)
    assert comparable(singapore.get_item(TableName=TABLE, Key=key)["Item"]) == comparable(key | BINARY)


def test_every_argument_is_quoted_for_the_shell():
    command = as_command("dynamodb", "PutItem", {"TableName": "a b; rm -rf '$x'"}, SINGAPORE)
    said = subprocess.run(["sh", "-c", "aws() { printf '%s|' \"$@\"; }\n" + command], capture_output=True, text=True)
    assert said.stdout == f"dynamodb|put-item|--table-name|a b; rm -rf '$x'|--region|{SINGAPORE}|"


@pytest.mark.parametrize(("value", "option"), [(True, "--deletion-protection-enabled"),
                                               (False, "--no-deletion-protection-enabled")])
def test_booleans(value, option):
    assert f" {option} " in as_command("dynamodb", "UpdateTable", {"DeletionProtectionEnabled": value}, SINGAPORE)


def test_an_operation_of_the_streams():
    command = as_command("dynamodbstreams", "GetShardIterator", {"ShardIteratorType": "LATEST"}, SINGAPORE)
    assert command.startswith("aws dynamodbstreams get-shard-iterator ") and "--shard-iterator-type LATEST" in command


def test_it_is_shown_as_shell_code_in_a_notebook(lab, singapore):
    singapore.describe_table(TableName=TABLE)
    command = lab.last_command()
    assert command._repr_markdown_() == f"```bash\n{command}\n```" and repr(command) == str(command)


def test_before_any_call_there_is_none_to_show(cloud):
    with pytest.raises(ValueError, match="no call yet"):
        gtlab.connect().last_command()


def test_a_call_stays_as_it_was_made(lab, singapore):
    """What boto3 or the caller does to the request afterwards is not shown."""
    key = {"Artist": {"S": "before"}, "SongTitle": {"S": "t"}}
    singapore.get_item(TableName=TABLE, Key=key)
    key["Artist"]["S"] = "after"
    assert "before" in lab.last_command()
