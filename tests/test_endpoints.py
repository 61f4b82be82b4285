"""The backend ``endpoints``: engines that are not AWS, asked what they support. Two servers of ministack, an emulator
of others, stand for two Regions that never replicate; the local cloud's own endpoints for an engine that does."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.config import Config
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, wait_until

import gtlab
from gtlab import measure
from gtlab.cli import main
from gtlab.lab import Choice, Lab
from gtlab.lab.clients import Access
from gtlab.localcloud import process

pytestmark = pytest.mark.server

DOCS = Path(__file__).parents[1] / "docs"
SHORT = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """A server of ministack on a port of this machine; gives its URL."""
    for _ in range(5):  # somebody else may take the port before the server does
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [sys.executable, "-m", "ministack"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            env=os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "HOME": str(folder)})
        try:
            client = boto3.client("dynamodb", region_name=VIRGINIA, endpoint_url=url, aws_access_key_id="x",
                                  aws_secret_access_key="x", config=SHORT)

            def ready(client=client, server=server) -> bool:
                try:
                    client.list_tables()
                except Exception:
                    return server.poll() is not None
                return True

            wait_until(ready, "a server of ministack", 120)
            if server.poll() is None:
                yield url
                return
        finally:
            server.terminate()
            server.wait()
    pytest.fail("no server of ministack could be started")


@pytest.fixture(scope="module")
def urls(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Two engines, each a single Region."""
    with ExitStack() as stack:
        yield {region: stack.enter_context(ministack(tmp_path_factory.mktemp(region)))
               for region in (VIRGINIA, IRELAND)}


@pytest.fixture(scope="module")
def asked(urls):
    """What the two engines say of themselves."""
    return gtlab.connect(urls, home=VIRGINIA, replicas=IRELAND).features(wait_s=1)


def supported(frame, region: str = "") -> dict[str, bool]:
    rows = frame[frame["region"] == region] if region else frame
    return dict(zip(rows["feature"], rows["supported"], strict=True))


def test_two_engines_that_never_replicate_are_noticed(asked):
    told = supported(asked)
    assert told["conditional writes"] and told["BatchWriteItem, BatchGetItem"] and told["PutItem"]
    assert not told["items are replicated"] and not told["replication lag"]
    both = asked[asked["feature"] == "items are replicated"]
    assert list(both["region"]) == [IRELAND, VIRGINIA] and not both["supported"].any()
    assert both["detail"].str.contains("did not arrive within 1 s: these are separate copies").all()


def test_an_engine_that_accepts_a_replica_and_creates_none_does_not_support_it(asked):
    row = asked[asked["feature"].str.startswith("UpdateTable adds a replica")].iloc[0]
    assert not row["supported"] and row["detail"] == "accepted, but DescribeTable shows no replica"


def test_asking_leaves_no_table_behind(urls, asked):
    lab = gtlab.connect(urls, home=VIRGINIA, replicas=IRELAND)
    assert [name for region in lab.regions for name in lab.client(region).list_tables()["TableNames"]
            if name.startswith("gtlab-features")] == []


def test_the_measurement_says_that_nothing_arrives(urls):
    lab = gtlab.connect(urls, home=VIRGINIA, replicas=IRELAND)
    for region in lab.regions:
        lab.client(region).create_table(**ON_DEMAND)
    try:
        with pytest.raises(TimeoutError, match=r"No probe was seen in eu-west-1 within 1 s\..* may be separate "
                                               "engines, which never replicate: gtlab features"):
            measure.replication_lag(lab, "Music", samples=2, timeout_s=1)
        assert lab.client(VIRGINIA).scan(TableName="Music")["Count"] == 0  # the probe items are deleted all the same
        calls = measure.latency(lab, "Music", samples=2)
        assert set(calls["backend"]) == {"other endpoints"} and calls["error"].isna().all()
    finally:
        for region in lab.regions:
            lab.client(region).delete_table(TableName="Music")


def test_the_documented_table_is_what_the_engines_say(asked):
    """docs/other-engines.md has a column of what ministack answered."""
    text = (DOCS / "other-engines.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    heading = next(row for row in rows if row[0] == "Feature")
    column = next(at for at, cell in enumerate(heading) if "MiniStack" in cell)
    documented = {row[0].replace("`", ""): row[column].split()[0].strip(":;,") for row in rows[rows.index(heading) + 2:]
                  if len(row) == len(heading)}
    assert documented == {feature: "yes" if yes else "no" for feature, yes in supported(asked).items()} | {
        "both Regions keep the same of two conflicting writes": "no"}


def test_the_compose_file_has_a_data_centre_for_each_region():
    compose = yaml.safe_load((DOCS / "alternator-compose.yml").read_text(encoding="utf-8"))
    page = (DOCS / "other-engines.md").read_text(encoding="utf-8")
    for name, service in compose["services"].items():
        assert service["configs"][0]["source"] == name and f"dc={name}" in compose["configs"][name]["content"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        port = service["ports"][0].split(":")[1]
        assert f"--endpoint {name}=http://127.0.0.1:{port}" in page, name
    assert "has not been run" in page


def test_an_engine_whose_regions_replicate():
    with process.private("instant", seed=3) as cloud:
        urls = {region: cloud.endpoints[region] for region in (SINGAPORE, IRELAND)}
        lab = gtlab.connect(urls, home=SINGAPORE, replicas=IRELAND)
        told = supported(found := lab.features(wait_s=30))
        assert not told.pop("the table is in the other Region by itself")
        assert all(told.values()), found
        assert {"both Regions keep the same of two conflicting writes", "replication lag"} <= told.keys()
        tables = [lab.client(region).list_tables()["TableNames"] for region in lab.regions]
        assert tables == [[], []]


def test_the_command(urls):
    given = [part for region, url in urls.items() for part in ("--endpoint", f"{region}={url}")]
    ran = CliRunner().invoke(main, ["features", *given, "--wait-s", "0.2"])
    assert ran.exit_code == 0, ran.output
    assert "yes  conditional writes (us-east-1)" in ran.output
    assert re.search(r"no   items are replicated \(eu-west-1\): an item from us-east-1 did not arrive", ran.output)


def test_the_command_prints_json(asked, monkeypatch):
    monkeypatch.setattr(gtlab.Lab, "features", lambda lab, wait_s: asked)
    ran = CliRunner().invoke(main, ["features", "--json", "--endpoint", "us-east-1=http://127.0.0.1:1",
                                    "--endpoint", "eu-west-1=http://127.0.0.1:2"])
    assert {row["feature"] for row in json.loads(ran.output)} >= {"PutItem", "replication lag"}


@pytest.mark.parametrize(("given", "why"), [
    (["--endpoint", "us-east-1=http://127.0.0.1:1"], "at least twice"),
    (["--endpoint", "us-east-1=http://127.0.0.1:1", "--endpoint", "us-east-1=http://127.0.0.1:2"], "Two endpoints"),
    (["--endpoint", "us-east-1=nowhere", "--endpoint", "eu-west-1=http://127.0.0.1:2"], "is not an endpoint"),
    (["--endpoint", "us-east-1=http://127.0.0.1:1", "--endpoint", "eu-west-1=http://127.0.0.1:1"],
     "The endpoint of us-east-1 did not answer as DynamoDB does"),
])
def test_the_command_refuses_what_it_cannot_ask(given, why):
    ran = CliRunner().invoke(main, ["features", *given])
    assert ran.exit_code == 1 and why in ran.output and "Traceback" not in ran.output


def test_a_map_without_the_chosen_regions_is_the_labs_choice():
    urls = {"us-west-2": "http://127.0.0.1:1", "eu-north-1": "http://127.0.0.1:2", "sa-east-1": "http://127.0.0.1:3"}
    lab = gtlab.connect(urls)
    assert (lab.home, lab.replicas) == ("us-west-2", ("eu-north-1", "sa-east-1"))
    assert gtlab.connect(urls, home="sa-east-1", replicas="us-west-2").regions == ("sa-east-1", "us-west-2")
    with pytest.raises(ValueError, match="The endpoint of us-west-2 is 'localhost:8000'; it must be a URL"):
        gtlab.connect({"us-west-2": "localhost:8000"})


def test_aws_is_not_asked():
    with pytest.raises(ValueError, match="What AWS supports is in its documentation"):
        Lab(Access("aws"), Choice()).features()
