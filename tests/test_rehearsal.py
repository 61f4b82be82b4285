"""The whole path on AWS, rehearsed: the notebooks, the clean-up after a process that was killed at any step, and no
connection to other machines."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from aws_front import Passed, front
from click.testing import CliRunner
from loopback.sitecustomize import Refused
from support import ON_DEMAND, SOAK, VIRGINIA, seed, wait_until

from gtlab import tour
from gtlab.cli.main import main
from gtlab.contract import MADE_FILE, REHEARSAL_VARIABLE
from gtlab.course.rehearsal import ACCOUNT, environment, rehearsal
from gtlab.lab.aws import footprint
from gtlab.localcloud import process

COURSE = tour.find_notebooks()
THEIRS = (("Music", "sa-east-1"), ("Orders", VIRGINIA))  # tables of somebody else, one with a name of the course's

# A learner's program: the tables of the course, an experiment template, and half of a clean-up. It is killed at the
# request whose number is in the environment, before it is sent or after its answer has come.
PROGRAM = """
import json, os, sys
from botocore.httpsession import URLLib3Session

last, when, counted = int(os.environ["KILL_AT"]), os.environ["KILL_WHEN"], os.environ["KILL_COUNTS"]
LOOKS, send = ("Describe", "List", "Get", "Query", "Scan", "BatchGet", "TransactGet"), URLLib3Session.send
sent = {"calls": 0, "changes": 0}

def counting(self, request):
    target = request.headers.get("X-Amz-Target", b"")
    name = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    before = sent[counted]
    sent["calls"] += ready
    sent["changes"] += ready and name != "" and not name.startswith(LOOKS)
    this = before < sent[counted] == last
    if this and when == "before":
        os._exit(9)
    answer = send(self, request)
    if this and when == "after":
        answer.content  # the service has done its work
        os._exit(9)
    return answer

ready, URLLib3Session.send = False, counting
import gtlab
from gtlab import cleanup, stages

lab = gtlab.connect("aws", home="ap-southeast-1", replicas="us-east-1, eu-west-1", yes=True)
ready = True
stages.ensure_witness(lab)
stages.ensure_today(lab)
lab.client(lab.home).put_item(TableName="MusicToday", Item={"Artist": {"S": "early bird"}})
stages.ensure_baskets(lab)
cleanup.clean(lab)
print(json.dumps(sent))
"""


@pytest.fixture
def stranger():
    """``stranger(url)``: creates the tables of somebody else, and gives a function that checks that they are as they
    were."""
    def make(url: str):
        clients = {region: boto3.client("dynamodb", region_name=region, endpoint_url=url, aws_access_key_id=ACCOUNT,
                                        aws_secret_access_key="x") for _, region in THEIRS}
        for table, region in THEIRS:
            clients[region].create_table(**ON_DEMAND | {"TableName": table})
            wait_until(lambda there=clients[region], table=table: there.describe_table(TableName=table)["Table"][
                "TableStatus"] == "ACTIVE", f"table {table}")
            clients[region].put_item(TableName=table, Item={"Artist": {"S": "theirs"}})

        def as_they_were() -> bool:
            return all(clients[region].scan(TableName=table)["Items"] == [{"Artist": {"S": "theirs"}}]
                       for table, region in THEIRS)
        return as_they_were
    return make


def run(at: int, when: str, counts: str) -> str:
    """Run the program until it is killed; what it printed."""
    environment = os.environ | {"KILL_AT": str(at), "KILL_WHEN": when, "KILL_COUNTS": counts}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode in (0, 9), done.stderr
    return done.stdout


@pytest.mark.server
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_process_that_is_killed_at_any_step_leaves_nothing_after_a_clean_up(stranger):
    drawn = random.Random(seed(15))
    with rehearsal("instant") as cloud:
        as_they_were = stranger(cloud.url)
        made = process.state_folder() / MADE_FILE

        def left() -> set[tuple[str, str]]:
            return {(each["name"], each["region"]) for each in process.status(cloud)["tables"]} - set(THEIRS)

        most = json.loads(run(0, "never", "calls").splitlines()[-1])
        assert left() == set() and most["changes"] >= 12
        found: Counter[int] = Counter()
        for trial in range(50 if SOAK else 3):
            counts = drawn.choice(("changes", "changes", "calls"))
            at, when = drawn.randint(1, most[counts]), drawn.choice(("before", "after"))
            print(f"trial {trial}: killed {when} number {at} of {most[counts]} {counts}")
            run(at, when, counts)
            found[len(left())] += 1
            elsewhere = drawn.random() < 0.3  # the clean-up runs on another machine, which has no records
            if elsewhere:
                made.unlink(missing_ok=True)
            done = CliRunner().invoke(main, ["clean", "--backend", "aws", "--yes", *["--all-runs"] * elsewhere])
            assert (done.exit_code, left()) == (0, set()), done.output
            assert "0 left" in done.stdout and as_they_were()
        assert len(found) > 1, found  # it was killed at different steps


def units(passed: Iterable[Passed], notebook: Path) -> Counter[str]:
    """What the requests of an executed notebook consumed, by the time of its run: each write in three Regions."""
    ran = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["papermill"]
    began, ended = (datetime.fromisoformat(ran[name]).replace(tzinfo=UTC).timestamp() for name in (
        "start_time", "end_time"))
    found: Counter[str] = Counter(write=0, read=0)
    for each in passed:
        if began <= each.at <= ended:
            reads = each.operation.startswith(("Get", "Query", "Scan", "BatchGet", "TransactGet", "Execute"))
            found["read" if reads else "write"] += each.units * (1 if reads else 3)
    return found


# What the default run has: a legacy step that is refused, measuring, breaking with what AWS has, cleaning up.
QUICKLY = ("02", "06", "11")


@pytest.mark.notebooks
@pytest.mark.soak
@pytest.mark.long(90)
@pytest.mark.timeout(3600)
def test_the_notebooks_end_well_on_aws_and_leave_nothing(tmp_path, monkeypatch):
    """With `make soak` all twelve, and otherwise three. (In CI, a job of its own runs `gtlab tour --rehearse`.)"""
    names = [] if SOAK else QUICKLY
    refused = tmp_path / "refused"
    monkeypatch.setenv("GTLAB_REFUSED", str(refused))
    with rehearsal("fast") as cloud, front(cloud.url) as aws, environment({REHEARSAL_VARIABLE: aws.url}):
        done = CliRunner().invoke(main, ["tour", *names, "--backend", "aws", "--yes", "--out", str(tmp_path / "out"),
                                         "-p", "fis_role", f"arn:aws:iam::{ACCOUNT}:role/fis", *["--solve"] * SOAK])
        assert done.exit_code == 0, done.output
        assert "This is a rehearsal: a local cloud takes AWS's place" in done.output and "0 left" in done.output
        assert process.status(cloud)["tables"] == []
        written = sorted((tmp_path / "out").glob("*.ipynb"))
        assert len(written) == len(names or COURSE)
        for path in written:
            spent, most = units(aws.passed, path), footprint.NOTEBOOKS[path.stem[:2]]
            print(path.stem, dict(spent))
            assert (spent["write"] <= most.write and spent["read"] <= most.read), f"{path.stem}: {spent}, not {most}"
    assert not any(ACCOUNT in path.read_text(encoding="utf-8") for path in written)  # people share them
    assert not refused.exists(), refused.read_text()


# --- no address outside loopback ---

@pytest.mark.parametrize("host", ["192.0.2.1", "dynamodb.us-east-1.amazonaws.com", "2001:db8::1"])
def test_other_machines_cannot_be_reached_in_any_test(host, tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_REFUSED", str(tmp_path / "refused"))
    with pytest.raises(Refused):
        socket.create_connection((host, 443), timeout=1)
    with pytest.raises(OSError, match="only this machine"):
        urllib.request.urlopen(f"http://[{host}]/" if ":" in host else f"http://{host}/", timeout=1)
    asked = f"import socket; socket.create_connection(({host!r}, 443), timeout=1)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False, timeout=60)
    assert "Refused" in done.stderr and (tmp_path / "refused").read_text().split() == [host] * 3


def test_aws_by_name_is_the_only_backend_that_tries_to_reach_another_machine(tmp_path, monkeypatch):
    """Without an endpoint, boto3's clients of AWS are the ones that are refused: the refusal works for them, too."""
    import gtlab

    monkeypatch.setenv("GTLAB_REFUSED", str(tmp_path / "refused"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv(REHEARSAL_VARIABLE, raising=False)
    with pytest.raises(ValueError, match="does not answer on AWS"):
        gtlab.connect("aws")
    assert (tmp_path / "refused").read_text().split() == ["sts.ap-southeast-1.amazonaws.com"]
