"""The local cloud as a background process: started once, found again, told apart, and ended whatever state it is in."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner
from support import wait_active, wait_until

from gtlab import connect, regions
from gtlab.cli.main import main
from gtlab.localcloud import liveness, process

pytestmark = [pytest.mark.server, pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, with no cloud yet; whatever was started in it is ended."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    with contextlib.suppress(process.CloudError):
        process.down()


@contextlib.contextmanager
def other_server():
    """A program of somebody else's, on a port of its own."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"instance": "somebody else"}')

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # it is this process's child: reap it, or it is there forever
    return True


def gone(pid: int) -> None:
    wait_until(lambda: not lives(pid), f"process {pid} to end")


def test_up_find_down(home):
    assert process.find() is None and process.down() is False
    running, started = process.up(network="fast")
    assert started and running.network == "fast" and process.find() == running
    assert process.up() == (running, False)
    assert process.status(running)["tables"] == []
    assert process.down() is True
    assert process.find() is None
    gone(running.pid)
    with pytest.raises(process.CloudError, match="gtlab up"):
        process.status(running)


def test_the_port_is_taken_again_if_it_is_free(home):
    port = process.up(network="fast")[0].port
    process.down()
    assert process.up(network="fast")[0].port == port
    process.down()
    with socket.create_server(("127.0.0.1", port)):
        assert process.up(network="fast")[0].port != port


def test_two_homes_are_two_clouds(home, tmp_path_factory, monkeypatch):
    first = process.up(network="fast")[0]
    with process.throwaway("instant") as second:
        assert second.port != first.port and second.folder != first.folder
        assert process.find() == second
    assert process.find() == first


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_server_keeps_memory_for_its_answers_unless_its_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    with process.private() as running:
        environment = Path(f"/proc/{running.pid}/environ").read_text().split("\0")
    assert {"MALLOC_TRIM_THRESHOLD_=1000000", "MALLOC_MMAP_THRESHOLD_=4194304"} <= set(environment)


def test_a_port_in_use_is_told(home):
    with other_server() as port, pytest.raises(process.CloudError, match=f"Port {port} is in use"):
        process.up(port=port)
    assert process.find() is None


def test_another_port_or_network_than_the_running_ones_is_told(home):
    running = process.up(network="fast")[0]
    with pytest.raises(process.CloudError, match=r"network fast, not realistic.*gtlab down"):
        process.up(network="realistic")
    with pytest.raises(process.CloudError, match=rf"port {running.port}, not 1.*gtlab down"):
        process.up(port=1)
    assert process.up(port=running.port, network="fast") == (running, False)


def test_a_cloud_in_memory_is_told_from_one_that_keeps_its_state(home):
    running = process.up(network="instant", in_memory=True)[0]
    assert running.in_memory and process.status(running)["in_memory"]
    assert process.up() == process.up(in_memory=True) == (running, False)
    with pytest.raises(process.CloudError, match=r"in memory only.*its tables are lost.*gtlab down"):
        process.up(in_memory=False)
    process.down()
    assert not (home / "cloud.sqlite3").exists()
    assert not process.up()[0].in_memory and process.up(in_memory=False)
    with pytest.raises(process.CloudError, match=r"on disk.*keeps its tables.*gtlab down"):
        process.up(in_memory=True)


def test_every_region_has_an_address_of_its_own(home):
    running = process.up(network="instant")[0]
    assert set(running.endpoints) == set(regions.REGIONS)
    assert len({running.url, *running.endpoints.values()}) == 1 + len(regions.REGIONS)


def test_what_the_control_api_refuses_is_told_in_its_words(home):
    running = process.up(network="instant")[0]
    with pytest.raises(ValueError, match="lag: the value must be a number of seconds from 0 to 3600, not -1"):
        process.control(running.port, "world/lag", "PUT", {"value": -1})
    with pytest.raises(ValueError, match="no GET /_gtlab/v1/nothing"):
        process.control(running.port, "nothing")
    process.down()
    with pytest.raises(process.CloudError, match="gtlab up"):
        process.control(running.port, "world")


def test_a_reset_empties_a_cloud_that_runs_and_one_that_does_not(home):
    damaged = home / "cloud-damaged-20260101-000000.sqlite3"
    damaged.write_text("not a database")
    running = process.up(network="instant")[0]
    process.control(running.port, "world/isolate/eu-west-1", "PUT")
    assert process.reset() == [damaged]
    assert process.find() == running and process.control(running.port, "world")["knobs"] == []
    process.control(running.port, "world/isolate/eu-west-1", "PUT")
    os.kill(running.pid, signal.SIGKILL)  # its log is still beside the file
    gone(running.pid)
    assert (home / "cloud.sqlite3-wal").exists()
    assert process.reset() == [damaged] and process.find() is None
    assert [path.name for path in home.glob("*.sqlite3*")] == [damaged.name]
    assert process.control(process.up()[0].port, "world")["knobs"] == []
    assert damaged.read_text() == "not a database"


def test_a_hung_cloud_is_not_reset_behind_its_back(home):
    hung = process.up(network="instant")[0]
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(process.CloudError, match=r"does not answer.*gtlab down"):
        process.reset()
    assert (home / "cloud.sqlite3").exists()


@pytest.mark.parametrize("left", [b"", b"garbage", b"[1]", b'"text"', b"\xff\xfe", b"{}", b'{"port": "x"}',
                                  b'{"instance": "a", "port": 1, "pid": 999999999}',
                                  b'{"instance": "a", "port": 99999999, "pid": 999999999}',
                                  b'{"instance": "a", "port": -5, "pid": "x"}'])
def test_a_stale_state_file_is_no_hindrance(home, left):
    (home / "cloud.json").write_bytes(left)
    assert process.find() is None and process.down() is False
    running, started = process.up(network="fast")
    assert started and process.find() == running


def test_a_stale_state_file_with_somebody_elses_server_on_its_port(home):
    with other_server() as port:
        left = {"instance": "a", "port": port, "pid": os.getpid()}  # the number of a dead cloud, given out again
        (home / "cloud.json").write_text(json.dumps(left))
        assert process.find() is None and process.down() is False
        running, started = process.up(network="fast")
        assert started and running.port != port


def test_a_cloud_that_was_killed_is_noticed_and_a_new_one_starts(home):
    dead = process.up(network="fast")[0]
    os.kill(dead.pid, signal.SIGKILL)
    gone(dead.pid)
    assert process.find() is None
    running, started = process.up(network="fast")
    assert started and running.instance != dead.instance and process.find() == running


def test_a_hung_cloud_is_told_and_down_ends_it(home):
    hung = process.up(network="fast")[0]
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(process.CloudError, match=r"does not answer.*gtlab down"):
        process.up()
    assert process.down() is True
    gone(hung.pid)
    assert process.up(network="fast")[1]


def test_the_state_is_readable_by_its_owner_only(home, monkeypatch):
    folder = home / "new"
    monkeypatch.setenv("GTLAB_HOME", str(folder))
    process.up(network="instant")
    process.down()
    kept = folder / "cloud.sqlite3"
    kept.chmod(0o644)  # as earlier releases left it
    running = process.up(network="instant")[0]
    process.control(running.port, "world/outage/us-east-1", "PUT", {"value": "error"})
    try:
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in [folder, *folder.iterdir()]}
        assert modes.pop("new") == "0o700"
        assert "cloud.sqlite3-log0" in modes and set(modes.values()) == {"0o600"}, modes
    finally:
        process.down()


@pytest.fixture
def stopped(home, monkeypatch):
    """A cloud whose process is stopped; whoever waits for it gives up soon."""
    monkeypatch.setattr(liveness, "STALLED_S", 1.0)
    monkeypatch.setattr(process, "_ASK_S", 0.3)
    monkeypatch.setattr(process, "_ANSWER_S", 0.3)
    running = process.up(network="fast")[0]
    os.kill(running.pid, signal.SIGSTOP)
    yield running
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGCONT)


@pytest.mark.parametrize("arguments", [["status"], ["up"], ["env"], ["world"], ["world", "reset"], ["events"],
                                       ["reset", "--yes"]])
def test_a_command_tells_a_cloud_that_does_not_answer_from_none(stopped, arguments):
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 1 and "No local cloud" not in said.output
    assert f"(process {stopped.pid}) is running but does not answer" in said.output and "gtlab down" in said.output


def test_connect_tells_a_cloud_that_does_not_answer(stopped):
    with pytest.raises(process.NotAnswering, match=f"kill -CONT {stopped.pid}"):
        connect()


def test_down_ends_a_cloud_that_does_not_answer(stopped):
    said = CliRunner().invoke(main, ["down"])
    assert said.exit_code == 0 and "is stopped" in said.output
    gone(stopped.pid)


@pytest.mark.parametrize("ask", [lambda running: process.find().instance, lambda running: process.up()[0].instance,
                                 lambda running: process.control(running.port, "status")["instance"]])
def test_a_busy_cloud_is_waited_for_and_the_wait_is_explained(home, monkeypatch, capsys, ask):
    """It answers late, but makes progress: here, because it is stopped for a while."""
    running = process.up(network="fast")[0]
    monkeypatch.setattr(process, "_ASK_S", 0.3)
    monkeypatch.setattr(process, "_ANSWER_S", 0.3)
    monkeypatch.setattr(process, "_SAY_S", 0.5)
    monkeypatch.setattr(liveness, "STALLED_S", 600.0)
    os.kill(running.pid, signal.SIGSTOP)
    found = []
    asking = threading.Thread(target=lambda: found.append(ask(running)), daemon=True)
    asking.start()
    said = []
    try:
        wait_until(lambda: said.append(capsys.readouterr().err) or "waiting for" in "".join(said),
                   "an explanation of the wait")
        assert not found and asking.is_alive()
    finally:
        os.kill(running.pid, signal.SIGCONT)
    asking.join(300)
    assert found == [running.instance] and str(running.pid) in "".join(said)


def test_progress_is_processor_time():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        began = liveness.processor_s(busy.pid)
        wait_until(lambda: liveness.processor_s(busy.pid) > began, "processor time")
    finally:
        busy.kill()
        busy.wait()


def test_many_at_once_start_one_cloud(home):
    script = "from gtlab.localcloud import process; found, new = process.up(network='fast'); print(found.instance, new)"
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(10)]
    said = [process.communicate(timeout=300)[0].split() for process in running]
    assert {instance for instance, _ in said} == {process.find().instance}
    assert [new for _, new in said].count("True") == 1


def test_it_survives_whoever_started_it(home):
    """Also the end of that process's whole group: Ctrl-C, a kernel's restart, a closed terminal."""
    script = "import os, signal; from gtlab.localcloud import process; process.up(network='fast'); " \
             "os.killpg(0, signal.SIGKILL)"
    starter = subprocess.run([sys.executable, "-c", script], start_new_session=True, timeout=300)
    assert starter.returncode == -signal.SIGKILL
    assert process.find() and process.status(process.find())


def test_it_listens_on_the_loopback_address_only(home):
    port = process.up(network="fast")[0].port
    socket.create_connection(("127.0.0.1", port), timeout=60).close()
    for address in ("127.0.0.2", *{found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)}):
        if address != "127.0.0.1":
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=2)


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file" / "home"))
    for function in (process.up, process.find, process.down):
        with pytest.raises(process.CloudError, match=r"file/home cannot be created: .*GTLAB_HOME"):
            function()
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file"))
    with pytest.raises(process.CloudError, match="cannot be created"):
        process.up()


# ------------------------------------------------------------------------------------------- disks that refuse

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process, and /sys, are Linux's")


def gtlab(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@needs_linux
def test_a_full_disk_is_told_everywhere_and_nothing_is_done_until_there_is_room(home):
    import resource

    running = process.up(network="instant")[0]
    client = boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=running.url, aws_access_key_id="1" * 12,
                          aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}))
    client.create_table(TableName="Music", KeySchema=[{"AttributeName": "n", "KeyType": "HASH"}], AttributeDefinitions=[
        {"AttributeName": "n", "AttributeType": "N"}], BillingMode="PAY_PER_REQUEST")
    wait_active(client)

    def put(number: int):
        return client.put_item(TableName="Music", Item={"n": {"N": str(number)}, "text": {"S": "x" * 20_000}})

    put(0)
    full = max(path.stat().st_size for path in home.iterdir()) + 10_000
    unlimited = resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    cannot = "cannot write its state to disk: .* "
    may_have_been_done = r"(This request may have taken effect|Nothing was done)\."
    with pytest.raises(ClientError, match=cannot + may_have_been_done) as refusal:
        for number in range(1, 1000):
            put(number)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    with pytest.raises(ClientError, match=cannot + r"Nothing was done\."):
        put(5000)
    told = gtlab("status")
    assert told.exit_code == 0 and "The state cannot be written to disk: " in told.output, told.output
    assert gtlab("world").exit_code == 0 and "write" in gtlab("events").output
    turned = gtlab("world", "lag", "2")
    assert turned.exit_code == 1 and "Nothing was done." in turned.output, turned.output
    assert process.control(running.port, "world")["knobs"] == []
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, unlimited)
    assert process.status(running)["disk_error"] is None
    kept = client.scan(TableName="Music", ProjectionExpression="n")["Items"]
    numbers = {int(each["n"]["N"]) for each in kept}
    assert {*range(number)} <= numbers <= {*range(number + 1)}, "what was acknowledged is there, nothing refused later"


@needs_linux
@pytest.mark.parametrize("more", [(), ("--in-memory",)])
def test_a_folder_that_cannot_be_written_is_told_in_words(monkeypatch, more):
    monkeypatch.setenv("GTLAB_HOME", "/sys/kernel")
    assert gtlab("status").output.startswith("No local cloud is running.")
    told = gtlab("up", *more)
    assert told.exit_code == 1 and told.output.startswith("Error: The state folder /sys/kernel cannot be written: ")
    assert "GTLAB_HOME" in told.output
