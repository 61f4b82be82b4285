"""AWS's own current tutorials (one eventually, one strongly consistent), as they stand, through the real aws command.

The steps and the order of their clean-up are those of the developer guide's page on global tables; the instant network
takes the place of its waits.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gtlab.localcloud import process

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
pytestmark = [pytest.mark.server, pytest.mark.slow,
              pytest.mark.skipif(shutil.which("aws", path=PATH) is None, reason="needs the aws command (pip: awscli)")]

CREATE = """aws dynamodb create-table --table-name MusicTable
    --attribute-definitions AttributeName=Artist,AttributeType=S AttributeName=SongTitle,AttributeType=S
    --key-schema AttributeName=Artist,KeyType=HASH AttributeName=SongTitle,KeyType=RANGE
    --billing-mode PAY_PER_REQUEST {stream} --region us-east-2"""
SONG = """--item '{"Artist": {"S": "The Beatles"}, "SongTitle": {"S": "Hey Jude"}}'"""
KEY = """--key '{"Artist": {"S": "The Beatles"}, "SongTitle": {"S": "Hey Jude"}}'"""
DESCRIBE = ("aws dynamodb describe-table --table-name MusicTable --region us-east-2 --query 'Table.{"
            "TableName:TableName,TableStatus:TableStatus,MultiRegionConsistency:MultiRegionConsistency,"
            "Replicas:Replicas[*].{Region:RegionName,Status:ReplicaStatus},Witnesses:GlobalTableWitnesses}'")


@pytest.fixture
def aws():
    """Runs one aws command in a shell that has evaluated what `gtlab env` prints; gives exit code, answer and error
    text."""
    with process.throwaway("instant"):
        variables = subprocess.run([sys.executable, "-m", "gtlab", "env"], text=True, capture_output=True, check=True)

        def run(command: str):
            script = f"{variables.stdout}\n" + " ".join(command.split())
            done = subprocess.run(["sh", "-c", script], env=os.environ | {"PATH": PATH}, text=True, capture_output=True,
                                  timeout=300)
            return done.returncode, json.loads(done.stdout or "{}"), done.stderr
        yield run


def ok(answer):
    code, output, errors = answer
    assert code == 0, errors
    return output


def replica(action: str, region: str) -> str:
    updates = json.dumps({"TableName": "MusicTable", "ReplicaUpdates": [{action: {"RegionName": region}}]})
    return f"aws dynamodb update-table --region us-east-2 --cli-input-json '{updates}'"


def test_eventual_consistency(aws):
    ok(aws(CREATE.format(stream="--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES")))
    for region in ("us-east-1", "eu-west-1"):
        ok(aws(replica("Create", region)))
    assert ok(aws(DESCRIBE)) == {
        "TableName": "MusicTable", "TableStatus": "ACTIVE", "MultiRegionConsistency": None, "Witnesses": None,
        "Replicas": [{"Region": "us-east-1", "Status": "ACTIVE"}, {"Region": "eu-west-1", "Status": "ACTIVE"}]}
    ok(aws(f"aws dynamodb put-item --table-name MusicTable --region us-east-2 {SONG}"))
    for region in ("us-east-1", "eu-west-1"):
        found = ok(aws(f"aws dynamodb get-item --table-name MusicTable --region {region} {KEY}"))
        assert found["Item"]["SongTitle"] == {"S": "Hey Jude"}
    code, _, errors = aws("aws dynamodb delete-table --table-name MusicTable --region us-east-2")  # too early
    assert code != 0 and "has acted as a source region for new replica(s) being added" in errors
    for region in ("eu-west-1", "us-east-1"):
        ok(aws(replica("Delete", region)))
    ok(aws("aws dynamodb delete-table --table-name MusicTable --region us-east-2"))
    assert process.status(process.find())["tables"] == []


def test_strong_consistency(aws):
    ok(aws(CREATE.format(stream="")))
    ok(aws("aws dynamodb wait table-exists --table-name MusicTable --region us-east-2"))
    ok(aws("""aws dynamodb update-table --table-name MusicTable --region us-east-2
        --replica-updates '[{"Create": {"RegionName": "us-east-1"}}]'
        --global-table-witness-updates '[{"Create": {"RegionName": "us-west-2"}}]'
        --multi-region-consistency STRONG"""))
    assert ok(aws(DESCRIBE)) == {
        "TableName": "MusicTable", "TableStatus": "ACTIVE", "MultiRegionConsistency": "STRONG",
        "Replicas": [{"Region": "us-east-1", "Status": "ACTIVE"}],
        "Witnesses": [{"RegionName": "us-west-2", "WitnessStatus": "ACTIVE"}]}
    ok(aws(f"aws dynamodb put-item --table-name MusicTable --region us-east-2 {SONG}"))
    found = ok(aws(f"aws dynamodb get-item --consistent-read --table-name MusicTable --region us-east-1 {KEY}"))
    assert found["Item"]["Artist"] == {"S": "The Beatles"}
    ok(aws(f"""aws dynamodb update-item --table-name MusicTable --region us-east-1 {KEY}
        --update-expression 'SET Awards = :a' --condition-expression 'attribute_exists(Artist)'
        --expression-attribute-values '{{":a": {{"N": "1"}}}}'"""))
    code, _, errors = aws(replica("Delete", "us-east-1"))
    assert code != 0 and "does not include all witnesses" in errors
    ok(aws("""aws dynamodb update-table --table-name MusicTable --region us-east-2
        --replica-updates '[{"Delete": {"RegionName": "us-east-1"}}]'
        --global-table-witness-updates '[{"Delete": {"RegionName": "us-west-2"}}]'"""))
    ok(aws("aws dynamodb delete-table --table-name MusicTable --region us-east-2"))
