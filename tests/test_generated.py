"""Whatever botocore's models allow to ask: every operation is answered, and no answer is an error of gtlab's."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from random import Random

import pytest
from generated import REGIONS, TABLES, Generator, Request, described
from over_http import faults, protocol_of, sent
from support import SOAK, STRONG, Progress, seed, wait_until

from gtlab.localcloud import process
from gtlab.localcloud.server.requests import model

ASKED = 30_000 if SOAK else 800
PATIENCE_S = 120  # a request that is not answered by then hangs, also on a busy machine
# The one answer above 499: strong consistency without a quorum, because replication is paused.
NO_QUORUM = (b"cannot reach another member", b"fault injection has paused the replication")


class Wire:
    """A kept-open connection to a cloud."""

    def __init__(self, port: int):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(self, request: Request, protocol: str = "json") -> tuple[int, bytes]:
        method, target, headers, body = sent(request, protocol)
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def may(self, region: str, operation: str, **data) -> dict:
        """The answer; empty if the call is refused, as it may be after what the requests have changed."""
        status, body = self.ask(Request("dynamodb", operation, region, data))
        assert status < 500, (operation, data, body)
        return json.loads(body) if status == 200 else {}

    def make_tables(self) -> None:
        """The tables of :data:`TABLES`, in every Region, if the requests have deleted them."""
        here, others = REGIONS[0], [{"RegionName": region} for region in REGIONS[1:]]
        there = {region: self.may(region, "ListTables")["TableNames"] for region in REGIONS}
        for name in TABLES:
            alone = name in ("Counted", "Raw")
            for region in REGIONS if alone or name == "Former" else (here,):
                if name not in there[region]:
                    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
                    self.may(region, "CreateTable", **described(name, on_demand=name != "Counted"),
                              **({} if alone else stream))
                    self._wait(region, name)
        if "Music" not in there[here]:
            for other in others:
                self.may(here, "UpdateTable", TableName="Music", ReplicaUpdates=[{"Create": other}])
                self._wait(here, "Music")
        if "Agreed" not in there[here]:
            self.may(here, "UpdateTable", TableName="Agreed", ReplicaUpdates=[{"Create": each} for each in others],
                      **STRONG)
            self._wait(here, "Agreed")
        if "Former" not in there[here]:
            self.may(here, "CreateGlobalTable", GlobalTableName="Former", ReplicationGroup=[
                {"RegionName": region} for region in REGIONS])

    def _wait(self, region: str, table: str) -> None:
        def active() -> bool:
            found = self.may(region, "DescribeTable", TableName=table).get("Table")
            return found is None or (found["TableStatus"] == "ACTIVE" and all(
                each["ReplicaStatus"] == "ACTIVE" for each in found.get("Replicas", ())))
        wait_until(active, f"{table} to be ACTIVE", 120)


@pytest.fixture
def cloud_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield process.up(network="fast" if SOAK else "instant", seed=1)[0]
    process.down()


@pytest.mark.soak
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_request_that_a_model_allows_is_an_error_of_ours(cloud_on_disk, request):
    """Every answer is below 500 and has the form that its model describes; nothing is logged or counted as an internal
    error, also after a restart; most requests to what the local cloud has succeed."""
    wire, generator = Wire(cloud_on_disk.port), Generator(Random(seed(30)))
    progress, asked, done = Progress(request, "generated requests", ASKED), Counter[str](), Counter[str]()
    log = cloud_on_disk.folder / "cloud.log"
    for number in range(ASKED):
        if number % 500 == 0:
            wire.make_tables()
        drawn = generator.next()
        protocol = protocol_of(drawn, generator.random)
        status, body = wire.ask(drawn, protocol)
        told = f"request {number}: {drawn} in {protocol}\nwas answered {status} {body[:2000]!r}"
        assert status < 500 or any(text in body for text in NO_QUORUM), told
        assert log.stat().st_size == 0, f"{told}\nThe log:\n{log.read_text()}"
        if b"gtlab's local cloud" not in body:  # it refuses what it does not have in these words
            asked[drawn.operation] += 1
            done[drawn.operation] += status == 200
        if status == 200 and protocol.endswith("json"):
            answer = json.loads(body or b"{}")
            wrong = faults(answer, model(drawn.service).operation_model(drawn.operation).output_shape)
            assert not wrong, f"{told}\n{wrong}"
            generator.learn(drawn, answer)
        if not progress(number):
            break
    assert process.status(cloud_on_disk)["internal_errors"]["count"] == 0
    process.down()
    again = process.up()[0]
    assert process.status(again)["internal_errors"]["count"] == 0 and log.read_text() == ""
    told = f"{done.total()} of {asked.total()}: {({name: (done[name], asked[name]) for name in sorted(asked)})}"
    print(told)
    assert done.total() > asked.total() / 2, told
