"""The door of the local cloud: outages as an SDK sees them, what a connection may do, who may come in, and that
nothing that a client sends brings it down."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import gc
import inspect
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sample_requests import VALID, VALUES, places
from support import IRELAND, ON_DEMAND, SINGAPORE, SOAK, VIRGINIA, refusal, wait_until

import gtlab
from gtlab.course.stages import MUSIC
from gtlab.localcloud import process
from gtlab.localcloud.server.requests import model, operations

pytestmark = [pytest.mark.server,
              pytest.mark.skipif(sys.platform == "win32", reason="ports and signals as POSIX has them")]
KEY = {"Artist": {"S": "a"}}
SIGNED = "AWS4-HMAC-SHA256 Credential=gtlab/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=0"


START = ("-m", "gtlab.localcloud")
START_WITHOUT_UVLOOP = ("-c", "import runpy, sys; sys.modules['uvloop'] = None; runpy.run_module('gtlab.localcloud')")


@contextlib.contextmanager
def served(home: Path, *arguments: str, start: tuple[str, str] = START):
    """A cloud as a process of this test's, with options that ``gtlab up`` has not. Gives its port, and its process."""
    process = subprocess.Popen([sys.executable, *start, "--home", str(home), "--network", "instant", "--in-memory",
                                *arguments], stderr=open(home / "cloud.log", "ab"))
    try:
        state = home / "cloud.json"
        wait_until(state.exists, "the cloud to start")
        yield json.loads(state.read_text())["port"], process
    finally:
        process.terminate()
        process.wait(60)
    assert "Traceback" not in (home / "cloud.log").read_text()


def control(url: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    """Status and answer of the control API."""
    sent = ({} if body is None else {"Content-Type": "application/json"}) | {
        name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{url}/_gtlab/v1/{path}", method=method, headers=sent,
                                     data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def client_at(url: str, region: str = VIRGINIA, service: str = "dynamodb", attempts: int = 1,
              patience_s: float = 60.0, **options):
    return boto3.client(service, region_name=region, endpoint_url=url, aws_access_key_id="gtlab",
                        aws_secret_access_key="x", **options, config=Config(
                            retries={"total_max_attempts": attempts, "mode": "standard"}, connect_timeout=60,
                            read_timeout=patience_s, proxies={}))


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, port: int, seconds: float = 60.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.kept = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            self.socket.sendall(data)

    def more(self) -> bool:
        """Read on. False at the end, however it comes; TimeoutError where neither comes."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.kept += data
        return bool(data)

    def answer(self) -> tuple[int, dict[str, str], bytes] | None:
        """The next answer's status, headers and body; None where the connection ends first."""
        while b"\r\n\r\n" not in self.kept:
            if not self.more():
                return None
        head, _, self.kept = self.kept.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        size = int(headers.get("content-length", 0))
        while len(self.kept) < size:
            if not self.more():
                return None
        body, self.kept = self.kept[:size], self.kept[size:]
        return int(first.split()[1]), headers, body

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        while self.more():
            pass
        return self.kept


def post(body: bytes = b"{}", target: str = "DynamoDB_20120810.ListTables", region: str = VIRGINIA, **headers) -> bytes:
    """A request of the DynamoDB API, as bytes. A header that is None is left out."""
    sent = {"Host": "127.0.0.1", "X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0",
            "Authorization": SIGNED.format(region, "dynamodb"), "Content-Length": len(body)} | {
        name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in sent.items() if value is not None]
    return b"POST / HTTP/1.1\r\n" + "".join(lines).encode() + b"\r\n" + body


# --- Answers ---

def test_an_answer_comes_in_one_piece(own):
    with Raw(own.port) as caller:
        for _ in range(5):
            caller.say(post())
            assert caller.more()
            head, _, body = caller.kept.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ") and f"content-length: {len(body)}\r\n".encode() in head
            caller.kept = b""


def test_requests_come_in_pieces_together_and_with_a_question_before_the_body(own):
    whole = post(b'{"Limit": 1}')
    with Raw(own.port) as caller:
        for cut in (1, len(whole) // 2, len(whole) - 12, len(whole) - 1):
            caller.say(whole[:cut])
            time.sleep(0.01)  # so that it is on its way by itself
            caller.say(whole[cut:])
            assert caller.answer()[0] == 200, cut
        caller.say(whole * 3 + post(b"{") + whole)
        assert [caller.answer()[0] for _ in range(5)] == [200, 200, 200, 400, 200]
        caller.say(post(b'{"Limit": 1}', Expect="100-continue")[:-12])
        while b"\r\n\r\n" not in caller.kept:
            assert caller.more()
        assert caller.kept == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.kept = b""
        caller.say(b'{"Limit": 1}')
        assert caller.answer()[0] == 200


def test_a_call_that_takes_time_and_those_behind_it_are_answered_in_order(own, world):
    far = post(X_Gtlab_Caller=IRELAND)
    world("slow/us-east-1/eu-west-1", 300)
    with Raw(own.port) as caller:
        began = time.monotonic()
        caller.say(far + post(b'{"Limit": 1}', region="nowhere-1") + far)
        assert [caller.answer()[0] for _ in range(3)] == [200, 400, 200]
        assert time.monotonic() - began > 0.55
    world("slow/us-east-1/eu-west-1")


def test_who_does_not_keep_the_connection_is_answered_and_it_closes(own):
    for request in (post(Connection="close"), post().replace(b"HTTP/1.1", b"HTTP/1.0", 1)):
        with Raw(own.port) as caller:
            caller.say(request)
            status, headers, _ = caller.answer()
            assert status == 200 and headers["connection"] == "close" and caller.rest() == b""


def test_one_who_does_not_read_makes_others_wait_for_nothing(own):
    put(client_at(own.url), "x" * 20_000)
    read = json.dumps({"TableName": "Music", "Key": KEY}).encode()
    with Raw(own.port) as deaf:
        deaf.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):  # answers that nobody reads fill what lies between
            for _ in range(3000):
                deaf.say(post(read, "DynamoDB_20120810.GetItem"))
        assert client_at(own.url).get_item(TableName="Music", Key=KEY)["Item"]
        deaf.socket.settimeout(60)
        assert deaf.answer()[0] == 200


# --- Outages ---

@pytest.fixture(scope="module")
def own():
    """A cloud of these tests' own, with a table in Virginia and in Ireland."""
    with process.throwaway("instant") as running:
        for region in (VIRGINIA, IRELAND):
            client_at(running.url, region).create_table(**ON_DEMAND)
        yield running
        assert "Traceback" not in (running.folder / "cloud.log").read_text()


@pytest.fixture
def world(own):
    """``world("outage/us-east-1", "timeout")`` breaks it, ``world("outage/us-east-1")`` mends it; mended in the end."""
    def turn(what: str, value: object = None) -> None:
        body = None if value is None else {"value": value}
        assert control(own.url, "DELETE" if value is None else "PUT", f"world/{what}", body)[0] == 200
    yield turn
    assert control(own.url, "DELETE", "world")[0] == 200


@pytest.fixture
def endpoints(own):
    return control(own.url, "GET", "status")[1]["endpoints"]


def put(client, value: str = "x"):
    return client.put_item(TableName="Music", Item=KEY | {"v": {"S": value}})


def test_every_region_has_an_endpoint_of_its_own(own, endpoints):
    assert len(endpoints) == 33 and len(set(endpoints.values())) == 33 and own.url not in endpoints.values()
    put(client_at(endpoints[VIRGINIA]), "own port")
    assert client_at(own.url).get_item(TableName="Music", Key=KEY)["Item"]["v"] == {"S": "own port"}
    with urllib.request.urlopen(endpoints[VIRGINIA], timeout=60) as answer:
        assert answer.read() == b"healthy: gtlab local cloud, us-east-1\n"


def test_an_endpoint_takes_its_own_regions_calls_only(endpoints):
    with pytest.raises(ClientError, match=r"scoped to a valid Region, not 'eu-west-1'.*us-east-1") as refused:
        put(client_at(endpoints[VIRGINIA], IRELAND))
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_a_region_that_refuses_connections(own, endpoints, world):
    there, other = client_at(endpoints[VIRGINIA]), client_at(endpoints[IRELAND], IRELAND)
    put(there)
    with Raw(int(endpoints[VIRGINIA].rpartition(":")[2])) as kept_open:
        world("outage/us-east-1", "refused")
        assert kept_open.rest() == b""
    for _ in range(2):
        with pytest.raises(EndpointConnectionError):
            put(there)
    with pytest.raises(ConnectionClosedError):  # all Regions share this address
        put(client_at(own.url))
    put(other)
    put(client_at(own.url, IRELAND))
    world("outage/us-east-1")
    put(there)
    put(client_at(own.url))


def test_a_region_that_never_answers(own, endpoints, world):
    put(client_at(own.url), "before")
    for url in (own.url, endpoints[VIRGINIA]):
        there = client_at(url)
        with Raw(int(url.rpartition(":")[2])) as waits:
            world("outage/us-east-1", "timeout")
            with pytest.raises(ReadTimeoutError):
                put(client_at(url, patience_s=0.5), "never")
            put(client_at(own.url, IRELAND))
            waits.say(post())
            waits.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waits.more()
            world("outage/us-east-1")
            waits.socket.settimeout(60)
            assert waits.rest() == b""
        assert there.get_item(TableName="Music", Key=KEY)["Item"]["v"] == {"S": "before"}
        put(there, "before")


def test_a_region_that_answers_with_errors(own, endpoints, world):
    put(client_at(own.url), "before")
    world("outage/us-east-1", "error")
    for url in (own.url, endpoints[VIRGINIA]):
        with pytest.raises(ClientError) as failed:
            put(client_at(url, attempts=3), "never")
        told = failed.value.response
        assert told["Error"]["Code"] == "ServiceUnavailable" and "us-east-1" in told["Error"]["Message"]
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert told["ResponseMetadata"]["RetryAttempts"] == 2
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(endpoints[VIRGINIA], timeout=60)
    put(client_at(endpoints[IRELAND], IRELAND))
    world("outage/us-east-1")
    assert client_at(own.url).get_item(TableName="Music", Key=KEY)["Item"]["v"] == {"S": "before"}


def test_outages_change_into_each_other_and_end_with_a_reset(own, endpoints, world):
    sydney, there = "ap-southeast-2", client_at(endpoints["ap-southeast-2"], "ap-southeast-2")
    for _ in range(5):
        world(f"outage/{sydney}", "refused")
        with pytest.raises(EndpointConnectionError):
            there.list_tables()
        world(f"outage/{sydney}", "error")
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            there.list_tables()
    with Raw(own.port) as waits:
        world(f"outage/{sydney}", "timeout")
        waits.say(post(region=sydney))
        world(f"outage/{sydney}", "refused")
        assert waits.rest() == b""
    world(f"outage/{sydney}")
    assert there.list_tables()["TableNames"] == []


def memory_mib(pid: int) -> float:
    try:
        import psutil
    except ImportError:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return psutil.Process(pid).memory_info().rss / 2**20


def test_many_requests_that_are_never_answered_cost_their_connections_only(own, world):
    put_much = json.dumps({"RequestItems": {"Music": [{"PutRequest": {"Item": {"Artist": {"S": "x" * 1000}}}}] * 500}})
    request = post(put_much.encode(), "DynamoDB_20120810.BatchWriteItem")
    world("outage/us-east-1", "timeout")

    waiting = []

    def wait(times: int) -> None:
        """Ten at a time: while a body is coming, it does take memory."""
        for _ in range(times):
            for _ in range(10):
                waiting.append(Raw(own.port))
                waiting[-1].say(request)
                waiting[-1].say(post() * 3)  # and goes on asking
            for _ in range(3):
                put(client_at(own.url, IRELAND))

    wait(5)
    before = memory_mib(own.pid)
    wait(20)  # 100 MiB of bodies, several times that as objects
    assert memory_mib(own.pid) - before < 30
    world("outage/us-east-1")
    assert all(each.rest() == b"" for each in waiting)
    for each in waiting:
        each.socket.close()


@pytest.mark.parametrize("start", [START, START_WITHOUT_UVLOOP], ids=["uvloop", "asyncio"])
def test_the_cloud_ends_at_once_whoever_waits(tmp_path, start):
    """With each of the event loops that there are: there is no uvloop for Windows."""
    with served(tmp_path, start=start) as (port, process):
        url = f"http://127.0.0.1:{port}"
        control(url, "PUT", "world/outage/us-east-1", {"value": "refused"})
        with Raw(port) as refused:
            refused.say(post())
            assert refused.rest() == b""
        control(url, "PUT", "world/outage/us-east-1", {"value": "timeout"})
        control(url, "PUT", "world/slow/us-east-1/eu-west-1", {"value": 60_000})
        with Raw(port) as unanswered, Raw(port) as far, Raw(port) as listening:
            unanswered.say(post())
            far.say(post(region=IRELAND, X_Gtlab_Caller=VIRGINIA))
            listening.say(b"GET /_gtlab/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            assert listening.answer()[0] == 200
            control(url, "POST", "stop")
            for each in (unanswered, listening):
                assert b"HTTP/1.1" not in each.rest()
            assert far.rest() == b""
            assert process.wait(60) == 0


def test_the_end_does_not_wait_for_the_rest_of_a_request(tmp_path):
    whole = post()
    with served(tmp_path) as (port, process), Raw(port) as in_head, Raw(port) as in_body, Raw(port) as in_large_body:
        in_head.say(whole[:20])
        in_body.say(whole[:-1])
        in_large_body.say(post(Content_Length=1 << 20))
        control(f"http://127.0.0.1:{port}", "GET", "status")  # what came before has been read
        control(f"http://127.0.0.1:{port}", "POST", "stop")
        for each in (in_head, in_body, in_large_body):
            assert each.rest() == b""
        assert process.wait(60) == 0
    assert "shutdown" not in (tmp_path / "cloud.log").read_text()  # uvicorn says there whom it waited for in vain


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
@pytest.mark.parametrize("start", [START, START_WITHOUT_UVLOOP], ids=["uvloop", "asyncio"])
def test_ctrl_c_ends_a_cloud_in_the_foreground_without_a_traceback(tmp_path, start):
    with served(tmp_path, start=start) as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def is_free(url: str) -> bool:
    """Whether nobody has the port of a Region: a cloud of another test may have taken it meanwhile."""
    with contextlib.closing(socket.socket()) as made:
        return made.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


def test_ports_are_taken_again_and_outages_outlive_a_restart(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    try:
        first = process.up(network="instant")[0]
        endpoints = control(first.url, "GET", "status")[1]["endpoints"]
        control(first.url, "PUT", "world/outage/us-east-1", {"value": "refused"})
        process.down()
        taken = socket.create_server(("127.0.0.1", int(endpoints[IRELAND].rpartition(":")[2])))
        again = process.up()[0]
        now = control(again.url, "GET", "status")[1]["endpoints"]
        moved = {region for region in now if now[region] != endpoints[region]}
        assert IRELAND in moved and not any(map(is_free, (endpoints[region] for region in moved)))
        with pytest.raises(EndpointConnectionError):
            client_at(now[VIRGINIA]).list_tables()
        control(again.url, "DELETE", "world")
        assert client_at(now[VIRGINIA]).list_tables()["TableNames"] == []
        assert client_at(now[IRELAND], IRELAND).list_tables()["TableNames"] == []
        taken.close()
    finally:
        process.down()


# --- What a connection may do ---

LOW = {"linger_s": 0.4, "connections": 40, "body_bytes": 1 << 18}
# A busy machine may take as long to send a whole request: for clients that are meant to be too slow only.
HURRIED = LOW | {"head_s": 0.4, "body_s": 1.0, "idle_s": 0.8}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a cloud whose limits are low."""
    with served(tmp_path_factory.mktemp("low"), "--limits", json.dumps(LOW)) as (port, _):
        yield port


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """The port of a cloud that does not wait long either."""
    with served(tmp_path_factory.mktemp("hurried"), "--limits", json.dumps(HURRIED)) as (port, _):
        yield port


@pytest.fixture
def unharmed(port):
    """The port; the cloud answers afterwards as before."""
    yield port
    with Raw(port) as raw:
        raw.say(post())
        assert raw.answer()[0] == 200


@pytest.mark.parametrize(("data", "status"), [
    (b"G", 408), (b"POST / HTTP/1.1\r\nHost: localhost\r\nX", 408), (post(b"{", Content_Length=2), 408),
    (post(b"2\r\n{}\r\n", Content_Length=None, Transfer_Encoding="chunked"), 408), (b"", None), (b"\r\n", None),
])
def test_who_does_not_go_on_is_told_and_closed(hurried, data, status):
    with Raw(hurried) as raw:
        raw.say(data)
        said = raw.rest()
        assert said.startswith(f"HTTP/1.1 {status} ".encode()) if status else said == b""


@pytest.mark.parametrize(("begin", "piece"), [
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x"), (b"POST / HTTP/1.1\r\n", b"X: y\r\n"),
    (post(b"", Content_Length=1000), b" "), (b"\r\n", b"\r\n"),
])
def test_who_goes_on_a_little_at_a_time_is_closed(hurried, begin, piece):
    with Raw(hurried) as raw:
        raw.say(begin)
        deadline = time.monotonic() + 60
        raw.socket.settimeout(0.05)
        while time.monotonic() < deadline:
            raw.say(piece)
            with contextlib.suppress(TimeoutError):
                if not raw.more():
                    break
        else:
            pytest.fail("it was never closed")


def test_a_kept_open_connection_is_closed_when_it_idles(hurried):
    with Raw(hurried) as raw:
        raw.say(post())
        assert raw.answer()[0] == 200
        assert raw.rest() == b""


@pytest.mark.parametrize("data", [
    b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    post(X_Long="x" * 40_000), post(**{f"X{number}": "" for number in range(101)}),
    b"POST / HTTP/1.1\r\nX: " + b"x" * 40_000, b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
    b"POST / HTTP/1.1\r\n" + b"x" * 400_000,
], ids=["target", "header", "headers", "unfinished header", "unfinished headers", "unfinished name"])
def test_too_much_of_a_head_is_refused(unharmed, data):
    with Raw(unharmed) as raw:
        raw.say(data[:30_000])
        raw.say(data[30_000:])
        status, headers, body = raw.answer()
        assert status == 431 and headers["connection"] == "close" and json.loads(body)["message"]
        assert raw.rest() == b""


def test_a_large_body_is_refused_before_it_comes(unharmed, own):
    with Raw(unharmed) as raw:
        raw.say(post(b"", Content_Length=LOW["body_bytes"] + 1))
        status, headers, body = raw.answer()  # the body never comes
        assert status == 413 and headers["connection"] == "close" and str(LOW["body_bytes"]) in body.decode()
    with Raw(own.port) as raw:  # as botocore does: all of it is sent before an answer is read
        raw.socket.sendall(post(b" " * (17 << 20)))
        assert raw.answer()[0] == 413
    with Raw(unharmed) as raw:
        raw.say(post(b" " * (LOW["body_bytes"] - 2) + b"{}"))
        assert raw.answer()[0] == 200


@pytest.mark.parametrize("chunk", [b"10000\r\n" + b" " * 65536 + b"\r\n", b"1;" + b"x" * 65536 + b"\r\n \r\n",
                                   b"1\r\n \r\n" * 10_000], ids=["chunks", "extensions", "small chunks"])
def test_chunks_without_end_are_refused(unharmed, chunk):
    with Raw(unharmed) as raw:
        raw.say(post(b"", Content_Length=None, Transfer_Encoding="chunked"))
        for _ in range(60):
            raw.say(chunk)
        assert raw.answer()[0] == 413


def test_connections_beyond_the_limit_are_closed_and_make_room_again(unharmed):
    held = [Raw(unharmed) for _ in range(LOW["connections"])]
    try:
        with Raw(unharmed) as raw:
            raw.say(post())
            assert raw.answer() is None
    finally:
        for each in held:
            each.socket.close()

    def answered() -> bool:
        with Raw(unharmed) as raw:
            raw.say(post())
            return raw.answer() is not None
    wait_until(answered, "room for another connection")


def head(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: localhost", *headers, b"", b""])


@pytest.mark.parametrize(("data", "status"), [
    (head(b"PUT / HTTP/1.1"), 405), (head(b"OPTIONS / HTTP/1.1"), 405), (head(b"DELETE / HTTP/1.1"), 405),
    (head(b"TRACE /x HTTP/1.1"), 405), (head(b"FLY / HTTP/1.1"), 400), (head(b"post / HTTP/1.1"), 400),
    (head(b"CONNECT localhost:80 HTTP/1.1"), 400), (head(b"CONNECT / HTTP/1.1"), 400),
    (head(b"OPTIONS * HTTP/1.1"), 400),
    (head(b"GET http://localhost/ HTTP/1.1"), 400), (head(b"GET // HTTP/1.1"), 400), (head(b"GET /%zz HTTP/1.1"), 400),
    (head(b"GET /%00 HTTP/1.1"), 400), (head(b"GET /\x00 HTTP/1.1"), 400), (head(b"GET /%ff HTTP/1.1"), 400),
    (head("GET /é HTTP/1.1".encode()), 400), (head(b"GET / HTTP/2.0"), 400), (head(b"GET / HTTP/0.9"), 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400), (head(b"GET / HTTP/1.1", b"Host: localhost"), 400),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (head(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
          b"Sec-WebSocket-Key: eA=="), 400),
    (head(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c"), 200),  # java.net.http offers it always
    (head(b"GET /nothing HTTP/1.1"), 400), (head(b"GET /_gtlab/v1/nothing HTTP/1.1"), 404),
    (head(b"POST /_gtlab/v1/status HTTP/1.1"), 405), (post(Content_Length="x"), 400), (post(Content_Length=-1), 400),
    (post(Content_Length="2\r\nContent-Length: 2"), 400), (post(Transfer_Encoding="chunked"), 400),
    (post(Content_Length=None, Transfer_Encoding="gzip"), 400),
    (post(b"x\r\n", Content_Length=None, Transfer_Encoding="chunked"), 400),
    (post(b"ffffffffffffffff\r\n{}", Content_Length=None, Transfer_Encoding="chunked"), 413),
    (post(b"1\r\n{\r\nfffffff;x=1\r\n}", Content_Length=None, Transfer_Encoding="chunked"), 413),
    (post(b"1;x=\"ffffffff\"\r\n{\r\n1\r\n}\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked"), 200),
    (post(Connection="close, Upgrade", Upgrade="h2c"), 200), (post(Connection="Upgrade, close", Upgrade="h2c"), 200),
    (post(Authorization="AWS4-HMAC-SHA256 x\r\nAuthorization: y"), 400),
    (post(X_Amz_Target="DynamoDB_20120810.ListTables\r\nX-Amz-Target: y"), 400),
    (post().replace(b"POST /", b"POST /x"), 404), (post().replace(b"POST", b"GET"), 405),
    (post(b"{"), 400), (post(b""), 200),
    (post(Content_Type="text/plain"), 415), (post(Content_Type=""), 415), (post(Content_Type=None), 415),
    (post(Content_Type="application/x-www-form-urlencoded"), 415), (post(b"", Content_Type="text/plain"), 415),
    (post(b"", Content_Type=None), 200), (post(Content_Type="application/json; charset=utf-8"), 200),
    (post(Content_Type="application/x-amz-json-1.1"), 200),
], ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else str(value))
def test_what_is_answered_how(unharmed, data, status):
    with Raw(unharmed) as raw:
        raw.say(data)
        said, headers, body = raw.answer()
        assert said == status, body
        if status == 405:
            assert headers["allow"]
        if status >= 400 and b"/_gtlab/" not in data:
            said = json.loads(body)
            assert said["message"] or said["__type"].endswith("UnknownOperationException")


def test_a_part_of_a_request_is_not_carried_out(own):
    """Not even where the part would be a request by itself."""
    body = json.dumps({"TableName": "Music", "Item": {"Artist": {"S": "in part"}}}).encode()
    for sent in (post(body, "DynamoDB_20120810.PutItem", Content_Length=len(body) + 1),
                 post(b"%x\r\n%s\r\n" % (len(body), body), "DynamoDB_20120810.PutItem", Content_Length=None,
                      Transfer_Encoding="chunked")):
        with Raw(own.port) as raw:
            raw.say(sent)
            raw.socket.shutdown(socket.SHUT_WR)
            assert raw.rest() == b""
    assert "Item" not in client_at(own.url).get_item(TableName="Music", Key={"Artist": {"S": "in part"}})


def test_requests_on_one_connection_are_answered_in_order(own):
    with Raw(own.port) as raw:
        raw.say(post() + post(b"{") + head(b"GET / HTTP/1.1") + post(b"", Content_Type=None))
        assert [raw.answer()[0] for _ in range(4)] == [200, 400, 200, 200]


def test_an_offer_to_speak_http2_does_not_hurt_what_follows(own):
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: "
    with Raw(own.port) as raw:
        body = json.dumps({"TableName": "Music", "Key": KEY}).encode()
        get = post(body, "DynamoDB_20120810.GetItem", Content_Length="LENGTH")
        raw.say(get.replace(b"Content-Length: LENGTH", offer + b"%d" % len(body)) + post())
        assert [raw.answer()[0] for _ in range(2)] == [200, 200]
        raw.say(post())
        assert raw.answer()[0] == 200


# --- Who may come in ---

@pytest.mark.parametrize("headers", [
    {"Origin": "http://example.com"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": ""},
    {"Origin": "https://127.0.0.1"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Host": "example.com"}, {"Host": "127.0.0.1.example.com:80"}, {"Host": "0.0.0.0"},
])
def test_a_web_page_cannot_drive_it(own, headers):
    sent = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": "2"} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    for target in ("/", "/_gtlab/v1/reset", "/_gtlab/v1/status", "/_gtlab/v1/world/outage/us-east-1"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            with Raw(own.port) as raw:
                raw.say(f"{method} {target} HTTP/1.1\r\n{lines}\r\n{{}}".encode())
                status, told, body = raw.answer()
                assert status == 403 and json.loads(body)["message"]
                assert not [name for name in told if name.startswith("access-control-")]
    assert client_at(own.url).list_tables()["TableNames"] == ["Music"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_the_control_api_takes_json_only(own, kind):
    """The others are what a form of any web page can send."""
    for method, path in (("PUT", "world/outage/us-east-1"), ("PUT", "legacy-api"), ("POST", "reset")):
        status, answer = control(own.url, method, path, {"value": "error"}, Content_Type=kind)
        assert status == 415 and "application/json" in answer["message"]
    assert client_at(own.url).list_tables()["TableNames"] == ["Music"]


def test_its_own_pages_may_ask(own):
    status, _ = control(own.url, "GET", "status", Origin=own.url, Sec_Fetch_Site="same-origin")
    assert status == 200


@pytest.fixture
def gtlab_home(tmp_path, monkeypatch):
    """A home of its own; the gtlab command in it."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        done = subprocess.run([Path(sys.executable).with_name("gtlab"), *arguments], capture_output=True, text=True,
                              timeout=300)
        assert "Traceback" not in done.stderr
        return done
    yield run
    process.down()


def test_who_comes_from_elsewhere_shows_a_token(gtlab_home, tmp_path):
    up = gtlab_home("up", "--network", "instant", "--listen", "0.0.0.0")
    running = process.find()
    assert up.returncode == 0 and running.token in up.stdout and "AWS_SESSION_TOKEN" in up.stdout
    assert (tmp_path / "cloud.json").stat().st_mode & 0o777 == 0o600
    elsewhere = f"http://127.0.0.2:{running.port}" if sys.platform == "linux" else running.url
    for token in (None, "wrong", running.token[:-1], "é" * 20):
        with pytest.raises(ClientError) as refused:
            client_at(elsewhere, aws_session_token=token).list_tables()
        assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert client_at(elsewhere, aws_session_token=running.token).list_tables()["TableNames"] == []
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": running.token},
                    {"X-Amz-Security-Token": "wrong"}):
        status, answer = control(elsewhere, "GET", "status", **headers)
        assert status == 401 and "Bearer" in answer["message"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(elsewhere, timeout=60)
    for headers in ({"Authorization": f"Bearer {running.token}"}, {"X-Amz-Security-Token": running.token}):
        status, told = control(elsewhere, "GET", "status", **headers)
        assert status == 200
    assert client_at(told["endpoints"][VIRGINIA], aws_session_token=running.token).list_tables()["TableNames"] == []
    assert control(elsewhere, "POST", "reset", Authorization=f"Bearer {running.token}", Origin="http://a.b")[0] == 403

    told = gtlab_home("status").stdout
    assert "It listens on 0.0.0.0" in told and running.token not in told
    exported = gtlab_home("env").stdout.splitlines()
    assert f"export AWS_SESSION_TOKEN={running.token}" in exported
    assert exported.index("unset AWS_SESSION_TOKEN") < exported.index(f"export AWS_SESSION_TOKEN={running.token}")
    lab = gtlab.connect()
    assert lab.client(VIRGINIA).list_tables()["TableNames"] == []
    with lab.legacy_face("2026"):
        pass
    assert gtlab_home("up", "--token", "other-than-before", "--listen", "0.0.0.0").returncode == 1

    assert gtlab_home("down").returncode == 0
    assert gtlab_home("up", "--listen", "127.0.0.1").returncode == 0
    assert process.find().token == running.token  # what was told to others holds still
    process.down()
    gtlab_home("up")
    assert process.find().token is None and client_at(process.find().url).list_tables()["TableNames"] == []
    refused = gtlab_home("up", "--listen", "0.0.0.0")
    assert refused.returncode == 1 and "address 127.0.0.1, not 0.0.0.0" in refused.stderr


def test_a_token_can_be_chosen(gtlab_home):
    token = "Chosen~by+me/=="
    assert gtlab_home("up", "--network", "instant", "--listen", "127.0.0.1", "--token", token).returncode == 0
    assert process.find().token == token
    assert client_at(process.find().url, aws_session_token=token).list_tables()["TableNames"] == []


@pytest.mark.parametrize(("arguments", "text"), [
    (["--listen", "nowhere"], "not an IP address"), (["--listen", "192.0.2.1"], "not an address of this machine"),
    (["--token", "long-enough"], "--listen"), (["--listen", "127.0.0.1", "--token", "short"], "8 to 256"),
    (["--listen", "127.0.0.1", "--token", "with a space in it"], "8 to 256"),
])
def test_an_address_or_token_that_cannot_be_is_told(gtlab_home, tmp_path, arguments, text):
    said = refusal(tmp_path, "up", *arguments)
    assert text in said and said.count("\n") == 1
    assert process.find() is None


# --- Whatever is sent ---

@pytest.mark.parametrize(("operation", "body"), [
    ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"n": {"Action": "PUT", "Value": {"N": ""}}}}),
    ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"n": {"Action": "ADD", "Value": {"N": "many"}}}}),
    ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET v = :one + :x",
                    "ExpressionAttributeValues": {":one": {"N": "1"}, ":x": {"N": "NaN"}}}),
    ("PutItem", {"Item": KEY | {"b": {"B": "\ud800"}}}),
    ("PutItem", {"Item": KEY | {"b": {"Unknown": {"\ud800": [[]]}}}}),
    ("BatchGetItem", {"RequestItems": {"Music": {"Keys": [KEY], "ProjectionExpression": "SET"}}}),
])
def test_what_the_engine_once_stumbled_over(own, operation, body):
    put(client_at(own.url), "before")
    with Raw(own.port) as raw:
        raw.say(post(json.dumps({"TableName": "Music"} | body).encode(), f"DynamoDB_20120810.{operation}"))
        status, _, answer = raw.answer()
    assert status == 400 and "cannot carry out" not in json.loads(answer)["message"]
    assert client_at(own.url).get_item(TableName="Music", Key=KEY)["Item"] == KEY | {"v": {"S": "before"}}


@pytest.mark.parametrize("body", [b'{"face": ' + b"1" * 5000 + b"}", b'{"face": "\\ud800"}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_setting_is_told(own, body):
    with Raw(own.port) as raw:
        raw.say(b"PUT /_gtlab/v1/legacy-api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert raw.answer()[0] == 400


EXAMPLES, REQUESTS = 200 if SOAK else 12, 100
HERE = (SINGAPORE, VIRGINIA)                  # called
THERE = ("eu-north-1", "sa-east-1", "ca-central-1")  # broken: a call there may be left unanswered on purpose
TARGETS = {"dynamodb": "DynamoDB_20120810", "dynamodbstreams": "DynamoDBStreams_20120810",
           "application-autoscaling": "AnyScaleFrontendService"}
OPERATIONS = [(service, name) for service in TARGETS for name in sorted(operations(service))]
TEXTS = ["Music", "Plain", "Spare", "Absent", "a", "t", "Artist", "SongTitle", "n", "by_genre", SINGAPORE, VIRGINIA, "",
         "table/Music", "dynamodb", "dynamodb:table:ReadCapacityUnits", "SET n = :n", "n = :n", "#n", ":n",
         f"arn:aws:dynamodb:{SINGAPORE}:000000000000:table/Music", "SELECT * FROM Music", "1", "\ud800", "é\0",
         "x" * 300]


def plausible(shape, dice: random.Random, depth: int = 0):
    """An input as the model of the API has it, of values that mean something here."""
    kind = shape.type_name
    if kind == "structure":
        optional = 0.5 if depth < 3 else 0.1
        return {name: plausible(member, dice, depth + 1) for name, member in shape.members.items()
                if name in shape.required_members or (depth < 8 and dice.random() < optional)}
    if kind == "list":
        return [plausible(shape.member, dice, depth + 1) for _ in range(dice.choice((0, 1, 1, 2)) if depth < 8 else 0)]
    if kind == "map":
        return {dice.choice(TEXTS): plausible(shape.value, dice, depth + 1)
                for _ in range(dice.choice((0, 1, 1, 2)) if depth < 8 else 0)}
    if kind == "string":
        return dice.choice(shape.enum) if shape.enum and dice.random() < 0.9 else dice.choice(TEXTS)
    if kind == "blob":
        return base64.b64encode(dice.randbytes(3)).decode()
    if kind == "boolean":
        return dice.random() < 0.5
    return dice.choice((0, 1, 2, 5, -1, 10**12)) if kind in ("integer", "long") else dice.choice((0, 1.5, 1e9))


class Fuzz:
    """Requests that are wrong in some way, out of what hypothesis drew: a seed, bytes, texts and JSON values."""

    def __init__(self, seed: int, junk: list[bytes], values: list):
        self.dice, self.junk, self.values = random.Random(seed), junk, values

    def request(self) -> tuple[bytes, bool]:
        """A request, and whether it is whole: one that is not leaves the server waiting for more."""
        kind = self.dice.random()
        if kind < 0.5:
            return self.call(), True
        if kind < 0.7:
            return self.control(), True
        return (self.odd_head() if kind < 0.85 else self.odd_frame()), False

    def call(self) -> bytes:
        dice = self.dice
        if dice.random() < 0.5:
            operation, body = copy.deepcopy(dice.choice(VALID))
            service = next(service for service in TARGETS if operation in operations(service))
        else:
            service, operation = dice.choice(OPERATIONS)
            body = plausible(model(service).operation_model(operation).input_shape, dice)
        for _ in range(dice.choice((0, 1, 1, 2))):
            self.mutate(body)
        return self.post(json.dumps(body).encode("utf-8", "surrogatepass"), f"{TARGETS[service]}.{operation}", service)

    def mutate(self, body: object) -> None:
        dice, paths = self.dice, list(places(body))
        if not paths:
            return
        *way, last = dice.choice(paths)
        for name in way:
            body = body[name]
        change = dice.choice(("drop", "replace", "replace", "wrap", "twice"))
        if change == "drop":
            del body[last]
        elif change == "wrap":
            body[last] = dice.choice(([body[last]], {"M": body[last]}, {"x": body[last]}))
        elif change == "twice" and isinstance(body, list):
            body.extend(copy.deepcopy(body))
        else:
            body[last] = copy.deepcopy(dice.choice(self.values))

    def post(self, body: bytes, target: str, service: str = "dynamodb") -> bytes:
        return post(body, target, Authorization=SIGNED.format(self.dice.choice(HERE), service))

    def control(self) -> bytes:
        dice = self.dice
        body = dice.choice((
            lambda: b"", lambda: json.dumps({"value": dice.choice(self.values)}).encode("utf-8", "surrogatepass"),
            lambda: json.dumps({"face": dice.choice(self.values)}).encode("utf-8", "surrogatepass"),
            lambda: json.dumps({"value": dice.choice(("error", "refused", "timeout", 1, 0.5, *THERE))}).encode(),
            lambda: json.dumps(dice.choice(self.values)).encode("utf-8", "surrogatepass"),
            lambda: dice.choice(self.junk), lambda: b'{"value": ' + b"1" * 5000 + b"}", lambda: b"[" * 5000,
            lambda: b'{"value": NaN}', lambda: b'{"value": 1e999}', lambda: b'{"value": {"read_units": 1e999}}'))()
        knob = dice.choice(("partition", "isolate", "outage", "slow", "lag", "throttle", "caller", "fly", ""))
        place = [self.part() if dice.random() < 0.1 else dice.choice(THERE) for _ in range(dice.randrange(5))]
        path = dice.choice((
            "/_gtlab/v1/status", "/_gtlab/v1/events", "/_gtlab/v1/legacy-api", "/_gtlab/v1/reset", "/_gtlab/v1/",
            f"/_gtlab/v1/events?after={self.part()}", "/_gtlab/", f"/_gtlab/{self.part()}", "/_gtlab/v1/world",
            *["/".join(["/_gtlab/v1/world", knob, *place]) + dice.choice(("", f"?account={self.part()}", "/"))] * 8))
        method = dice.choice(("GET", "PUT", "PUT", "PUT", "POST", "DELETE", "PATCH", "HEAD"))
        if method == "HEAD":
            method = "GET"  # its answer has no body, which the reader of this test does not know
        kind = dice.choice(("application/json",) * 5 + ("text/plain",))
        return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def part(self) -> str:
        """A part of a path, of whatever bytes, as it may be written."""
        return "".join(f"%{byte:02x}" for byte in self.dice.choice(self.junk) if byte) or "x"

    def odd_head(self) -> bytes:
        dice, junk = self.dice, self.dice.choice(self.junk)
        lines = post(b"{}", "DynamoDB_20120810.ListTables").partition(b"\r\n\r\n")[0].split(b"\r\n")
        for _ in range(dice.choice((1, 1, 2))):
            at, junk = dice.randrange(len(lines)), dice.choice(self.junk)
            name, _, value = lines[at].partition(b": ")
            lines[at:at + 1] = dice.choice((
                [], [lines[at]] * 2, [name + b": " + junk], [junk + b": " + value], [junk], [lines[at], junk],
                [lines[at] + junk], [name + b":" + value + b"\n "], [lines[at][:dice.randrange(len(lines[at]) + 1)]],
                [dice.choice((b"GET", b"PUT", b"PATCH", b"DELETE", b"CONNECT", b"FLY", junk)) + b" "
                 + dice.choice((b"/", b"*", b"//", b"/%", b"http://a/b", b"/_gtlab/v1/status", b"/experiments", junk))
                 + b" HTTP/" + dice.choice((b"1.1", b"1.0", b"2.0", b"0.9", junk))],
                [lines[at], b"Upgrade: websocket", b"Connection: Upgrade"], [lines[at], b"Expect: 100-continue"],
                [lines[at], b"X-Gtlab-Caller: " + junk], [lines[at], b"Origin: " + junk],
                [lines[at], b"Sec-Fetch-Site: cross-site"], [lines[at], b"X-Amz-Security-Token: " + junk]))
            if not lines:
                break
        return b"\r\n".join(lines) + b"\r\n\r\n{}"

    def odd_frame(self) -> bytes:
        dice, junk = self.dice, self.dice.choice(self.junk)
        whole = self.call()
        first, _, body = whole.partition(b"\r\n\r\n")
        chunked = first.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked") + b"\r\n\r\n"
        return dice.choice((
            lambda: whole[:dice.randrange(len(whole))],
            lambda: first.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (
                len(body) + dice.choice((-1, 1, 10, 10**9, 10**30)))) + b"\r\n\r\n" + body,
            lambda: first.replace(b"Content-Length: ", b"Content-Length: " + junk) + b"\r\n\r\n" + body,
            lambda: first + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
            lambda: chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
            lambda: chunked + b"%x\r\n%s\r\n" % (len(body) + dice.choice((-1, 1, 2**40)), body),
            lambda: chunked + b"%x;%s\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), junk, body, junk),
            lambda: chunked + junk, lambda: junk, lambda: junk * 500, lambda: whole + junk,
            lambda: whole + whole[:dice.randrange(len(whole))], lambda: chunked + b"-1\r\n", lambda: whole * 3))()


def statuses(said: bytes) -> list[int]:
    """Of all the answers in what a connection said."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.long(10)
def test_random_malformed_requests(tmp_path):
    """Each is answered below 500 or its connection closed, in time; nothing is logged; memory stays."""
    log, sent, answered, memory = tmp_path / "cloud.log", 0, 0, []
    with served(tmp_path, "--seed", "1") as (port, process):
        kept = Raw(port)

        def ask(data: bytes) -> tuple[int, bytes] | None:
            """The answer on the kept-open connection, or None where it was closed."""
            nonlocal kept
            kept.say(data)
            answer = kept.answer()
            if answer is None or answer[1].get("connection") == "close" or kept.kept:
                kept.socket.close()
                kept = Raw(port)
            return answer and (answer[0], answer[2])

        def ready() -> None:
            """The tables are there, the world is whole."""
            for path, method in (("world", "DELETE"), ("legacy-api", "PUT")):
                assert control(f"http://127.0.0.1:{port}", method, path,
                               {"face": "historic"} if method == "PUT" else None)[0] == 200
            for region in HERE:
                for name in ("Music", "Plain", "Spare"):
                    table = json.dumps(MUSIC | {"TableName": name}).encode()
                    ask(post(table, "DynamoDB_20120810.CreateTable", region))

        @settings(max_examples=EXAMPLES, derandomize=not SOAK, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(seed=st.integers(0, 2**32), junk=st.lists(st.binary(max_size=30), min_size=4, max_size=4),
               values=st.lists(st.one_of(VALUES, st.text(max_size=8), st.integers(), st.floats()), min_size=8,
                               max_size=8))
        def run(seed, junk, values):
            nonlocal sent, answered
            ready()
            fuzz = Fuzz(seed, junk, values)
            for _ in range(REQUESTS):
                data, whole = fuzz.request()
                sent += 1
                if whole:
                    answer = ask(data)
                    assert answer and answer[0] < 500, (data, answer)
                else:
                    with Raw(port) as once:
                        once.say(data)
                        with contextlib.suppress(OSError):  # closed already
                            once.socket.shutdown(socket.SHUT_WR)
                        said = statuses(once.rest())
                        assert all(status < 500 for status in said), (data, once.kept)
                        answered += len(said)
                assert log.stat().st_size == 0, (data, log.read_text())
            memory.append(memory_mib(process.pid))

        run()
        ready()
        assert ask(post()) is not None and process.poll() is None
        kept.socket.close()
    assert sent >= EXAMPLES * REQUESTS and answered >= sent // 20
    assert memory[-1] - memory[len(memory) // 10] < 100


def test_a_request_that_waits_goes_on_as_a_coroutine():
    """asyncio makes no task of a generator from Python 3.12 on: every held request failed there."""
    from gtlab.localcloud.server import eager

    async def request():
        await asyncio.sleep(0.001)
        return "answered"

    async def main():
        rest = eager.begin(request())
        assert inspect.iscoroutine(rest)
        return await asyncio.get_running_loop().create_task(rest)

    assert asyncio.run(main()) == "answered"


def test_a_request_that_waits_again_lets_go_of_what_it_waited_for_first():
    """A held request would keep all that was read of it."""
    from gtlab.localcloud.server import eager

    class Result:
        pass

    async def request(first: asyncio.Future, second: asyncio.Future) -> None:
        await first
        del first
        await second

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second, result = loop.create_future(), loop.create_future(), Result()
        task = loop.create_task(eager.begin(request(first, second)))
        gone = weakref.ref(result)
        first.set_result(result)
        del first, result
        while gone() is not None:
            await asyncio.sleep(0)
            gc.collect()
        second.set_result(None)
        await task

    asyncio.run(asyncio.wait_for(main(), 60))
