"""What the tests share: names, waiting for conditions, items of the article's table, calls on global tables, a call of
an ASGI application, and a local cloud under a pretend clock. Fixtures are in conftest.py."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3
from asgi import answered
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner

from gtlab import regions
from gtlab.lab import Lab, describe
from gtlab.lab.watch import own
from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests
from gtlab.localcloud.world import World

SINGAPORE, VIRGINIA, IRELAND, OHIO, OREGON = "ap-southeast-1", "us-east-1", "eu-west-1", "us-east-2", "us-west-2"
ON_DEMAND = {
    "TableName": "Music", "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
}
KEY = {"Artist": {"S": "a"}}  # of an item of ON_DEMAND
STRONG = {"MultiRegionConsistency": "STRONG"}
SOAK = bool(os.environ.get("GTLAB_SOAK"))  # `make soak`: seeds are random, and there is more of everything
PROGRESS_S, MOST_SOAK_S = 30.0, 900.0  # between two lines of a long test, and its longest time
_accounts = itertools.count(100_000_000_001)


def new_account() -> str:
    """An account that nobody has used. A fixture of a module is set up again where tests of others came in between."""
    return str(next(_accounts))


def regions_with_table(lab: Lab, table: str = "Music") -> set[str]:
    """All Regions in which a table exists and is not being deleted."""
    found = describe.statuses(lab, table, regions.REGIONS)
    return {region for region, status in found.items() if status not in (describe.ABSENT, "DELETING")}


def seed(fixed: int) -> int:
    """The seed of a random test: always the same, but random in `make soak`. It is shown if the test fails, and
    GTLAB_SEED repeats it."""
    drawn = int(os.environ.get("GTLAB_SEED") or (random.SystemRandom().randrange(2**31) if SOAK else fixed))
    print(f"seed {drawn}")
    return drawn


class Progress:
    """Says every half a minute of `make soak` how far a long test is, past pytest's capture, and ends it after a
    quarter of an hour, so that `make soak` ends on a slow machine too."""

    def __init__(self, request: pytest.FixtureRequest, what: str, total: int):
        self._capture = request.config.pluginmanager.getplugin("capturemanager")
        self._what, self._total, self._began = what, total, time.monotonic()
        self._next = self._began + PROGRESS_S

    def __call__(self, done: int) -> bool:
        """Whether the test may go on."""
        now = time.monotonic()
        if SOAK and now >= self._began + MOST_SOAK_S:
            self.say(f"stopped after {done:,} of {self._total:,}, because {MOST_SOAK_S / 60:.0f} minutes are over")
            return False
        if now >= self._next:
            self._next = now + PROGRESS_S
            self.say(f"{done:,} of {self._total:,} after {now - self._began:.0f} s")
        return True

    def say(self, text: str) -> None:
        if SOAK:
            with self._capture.global_and_fixture_disabled():
                print(f"{self._what}: {text}", file=sys.stderr, flush=True)


def accept(core, delivery) -> bool:
    """Record a delivery in a :class:`Replication` as the cloud does, if it is newer than what its target has."""
    newer = core.is_newer(delivery)
    if newer:
        core.applied(delivery)
    return newer


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> object:
    """The condition's first true value; fails the test where none comes in time."""
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(max(0.02, min(0.1, waited / 20)))
    return value


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


def refused(code: str, text: str = ""):
    return pytest.raises(ClientError, match=rf"(?s)\({code}\).*{text}")


def invalid(text: str):
    return refused("ValidationException", text)


def refusal(home: Path, *arguments: str) -> str:
    """What a gtlab command says that ends with 1, in this process: to start another takes longer than the command."""
    from gtlab.cli import main

    done = CliRunner().invoke(main, arguments, env={"GTLAB_HOME": str(home)})
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.output
    return done.stderr


def gone():
    return refused("ResourceNotFoundException", "not found")


# --- global tables of version 2019.11.21: table Music with ON_DEMAND's key ---

def replicas(client, *updates: dict, **more) -> dict:
    return client.update_table(TableName="Music", ReplicaUpdates=list(updates), **more)["TableDescription"]


def add(client, region: str, **more) -> dict:
    return replicas(client, {"Create": {"RegionName": region, **more}})


def remove(client, region: str) -> dict:
    return replicas(client, {"Delete": {"RegionName": region}})


def table(client) -> dict:
    return client.describe_table(TableName="Music")["Table"]


def entries(client) -> dict[str, str]:
    return {entry["RegionName"]: entry["ReplicaStatus"] for entry in table(client).get("Replicas", ())}


def item(client, key=KEY, **more):
    return client.get_item(TableName="Music", Key=key, **more).get("Item")


def create(*named: str) -> list[dict]:
    return [{"Create": {"RegionName": region}} for region in named]


async def asked(app, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """The status and the body that an ASGI application answers to a request."""
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
             "query_string": b"", "headers": [(name.lower().encode(), value.encode()) for name, value in
                                              {"host": "localhost", **headers}.items()]}
    return await answered(app, scope, body)


@functools.cache
def _client(region: str, service: str):
    """boto3 needs longer to make a client than most tests do with it, so they get copies of the same one. Each of its
    requests has the same signature, which nobody verifies, and a short user agent: boto3 needs a tenth of a call to
    make them."""
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, signature_version=UNSIGNED,
                    user_agent="tests")
    made = boto3.client(service, region_name=region, endpoint_url="http://127.0.0.1:1", aws_access_key_id="x",
                        aws_secret_access_key="x", config=config)
    signed = (f"AWS4-HMAC-SHA256 Credential={'1' * 12}/20270101/{region}/{made.meta.service_model.signing_name}/"
              "aws4_request, SignedHeaders=host, Signature=0")
    made.meta.events.register("request-created",
                              lambda request, **_: request.headers.add_header("Authorization", signed))
    return made


class Pretend:
    """A local cloud in this process under a pretend clock, called by real boto3 clients: no HTTP, no waiting."""

    def __init__(self, network: str = "realistic"):
        self.now = 1_800_000_000.0
        self.cloud = Cloud(World(network, seed=1))

    def client(self, region: str, service: str = "dynamodb"):
        """A boto3 client. Its ``meta`` is shared with other tests, so it takes no event handlers."""
        shared = _client(region, service)
        made = object.__new__(type(shared))
        vars(made).update(vars(shared))
        made._endpoint = copy.copy(shared._endpoint)
        made._endpoint.http_session = self
        return made

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.cloud.tick(self.now)

    def send(self, request):
        """Take the place of botocore's HTTP session: the request never leaves the process."""
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
