"""One local cloud for each process that runs tests, in a folder of its own; a test that asks for ``account`` is alone
in it."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from gtlab.course.stages import MUSIC
from gtlab.lab.watch import own
from gtlab.localcloud import process
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests

SINGAPORE, VIRGINIA, IRELAND = "ap-southeast-1", "us-east-1", "eu-west-1"
ON_DEMAND = {
    "TableName": "Music", "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
}
_accounts = itertools.count(100_000_000_001)


def new_account() -> str:
    """An account that nobody has used. A fixture of a module is set up again where tests of others came in between."""
    return str(next(_accounts))


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> object:
    """The condition's first true value; fails the test where none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory):
    """No test touches the home of whoever runs it, nor AWS: what would lead there is unset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GTLAB_HOME", str(tmp_path_factory.mktemp("gtlab-home")))
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "absent"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
        process.down()


@pytest.fixture(scope="session")
def cloud(_own_home) -> process.Running:
    """The local cloud of this run, on the fast network: a tenth of every delay."""
    return process.up(network="fast", seed=1)[0]


@pytest.fixture
def account() -> str:
    return new_account()


@pytest.fixture
def client(cloud, account):
    """``client(region, service="dynamodb", account=...)``: a boto3 client of an account of the test's own."""
    def make(region: str, service: str = "dynamodb", account: str = account):
        return boto3.client(service, region_name=region, endpoint_url=cloud.url, aws_access_key_id=account,
                            aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}))
    return make


@pytest.fixture
def create(client):
    """``create(region, **changes)``: the article's table, ACTIVE; gives the client of that Region."""
    def make(region: str, **changes):
        there = client(region)
        asked = {name: value for name, value in (MUSIC | changes).items() if value is not None}
        there.create_table(**asked)
        wait_active(there, asked["TableName"])
        return there
    return make


@pytest.fixture
def trio(create):
    """The article's global table: clients of Singapore, Virginia and Ireland, every replica ACTIVE."""
    clients = [create(region) for region in (SINGAPORE, VIRGINIA, IRELAND)]
    clients[0].create_global_table(GlobalTableName="Music", ReplicationGroup=[
        {"RegionName": region} for region in (SINGAPORE, VIRGINIA, IRELAND)])
    return clients


def wait_active(there, table: str = "Music") -> None:
    wait_until(lambda: there.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE",
               f"table {table} to be ACTIVE")


def song(number: int | str = 1, **attributes: str) -> dict:
    """An item of the article's table; attributes are texts."""
    return {"Artist": {"S": f"item_{number}"}, "SongTitle": {"S": f"Song Value {number}"}} | {
        name: {"S": value} for name, value in attributes.items()}


def read(there, key: dict, table: str = "Music") -> dict | None:
    """An item by its key (other attributes of ``key`` are left out), without the legacy version's aws:rep ones."""
    found = read_all(there, key, table)
    return None if found is None else own(found)


def read_all(there, key: dict, table: str = "Music") -> dict | None:
    """An item by its key, with all that is in it."""
    return there.get_item(TableName=table, Key={name: key[name] for name in ("Artist", "SongTitle")}).get("Item")


def records(streams, arn: str) -> list[dict]:
    """All the records of a stream, from its beginning, shard after shard."""
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"],
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            found += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return sorted(found, key=lambda record: record["dynamodb"]["SequenceNumber"])


class Pretend:
    """A local cloud in this process under a pretend clock, called by real boto3 clients: no HTTP, no waiting."""

    def __init__(self, network: str = "realistic"):
        from gtlab.localcloud.cloud import Cloud
        from gtlab.localcloud.world import World

        self.now = 1_800_000_000.0
        self.cloud = Cloud(World(network, seed=1))

    def client(self, region: str, service: str = "dynamodb"):
        made = boto3.client(service, region_name=region, endpoint_url="http://127.0.0.1:1", aws_access_key_id="1" * 12,
                            aws_secret_access_key="x", config=Config(
                                retries={"total_max_attempts": 1}, parameter_validation=False))
        made.meta.events.register("before-send.*.*", self._answer)
        return made

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.cloud.tick(self.now)

    def _answer(self, request, **_: object):
        """botocore takes what this returns for the response: the request never leaves the process."""
        headers = {name.lower(): value.decode() if isinstance(value, bytes) else str(value)
                   for name, value in request.headers.items()}
        url = urlsplit(request.url)
        try:
            call = requests.parse(headers, request.body or b"", request.method, f"{url.path}?{url.query}")
            hold = self.cloud.begin(call)
            self.now += hold.seconds
            try:
                status, body = 200, self.cloud.call(call, self.now)
            finally:
                self.cloud.end(hold)
        except Refusal as refusal:
            status, body = refusal.status, json.dumps(refusal.body()).encode()
        raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, raw)


@pytest.fixture
def pretend() -> Pretend:
    return Pretend()


@pytest.fixture
def ohio(pretend):
    """Ohio's client under the pretend clock, with an ACTIVE on-demand table Music."""
    client = pretend.client("us-east-2")
    client.create_table(**ON_DEMAND)
    pretend.wait(15)
    return client
