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

import pytest
from conftest import wait_until

from gtlab import background, regions

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, with no cloud yet; whatever was started in it is ended."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    yield tmp_path
    with contextlib.suppress(background.CloudError):
        background.down()


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
        os.waitpid(pid, os.WNOHANG)  # it is this process's child: reap it, or it is there for ever
    return True


def gone(pid: int) -> None:
    wait_until(lambda: not lives(pid), f"process {pid} to end")


def test_up_find_down(home):
    assert background.find() is None and background.down() is False
    running, started = background.up(network="fast")
    assert started and running.network == "fast" and background.find() == running
    assert background.up() == (running, False)
    assert background.status(running)["tables"] == []
    assert background.down() is True
    assert background.find() is None
    gone(running.pid)
    with pytest.raises(background.CloudError, match="gtlab up"):
        background.status(running)


def test_the_port_is_taken_again_if_it_is_free(home):
    port = background.up(network="fast")[0].port
    background.down()
    assert background.up(network="fast")[0].port == port
    background.down()
    with socket.create_server(("127.0.0.1", port)):
        assert background.up(network="fast")[0].port != port


def test_two_homes_are_two_clouds(home, tmp_path_factory, monkeypatch):
    first = background.up(network="fast")[0]
    with background.throwaway("instant") as second:
        assert second.port != first.port and second.folder != first.folder
        assert background.find() == second
    assert background.find() == first


def test_a_port_in_use_is_told(home):
    with other_server() as port, pytest.raises(background.CloudError, match=f"Port {port} is in use"):
        background.up(port=port)
    assert background.find() is None


def test_another_port_or_network_than_the_running_ones_is_told(home):
    running = background.up(network="fast")[0]
    with pytest.raises(background.CloudError, match=r"network fast, not realistic.*gtlab down"):
        background.up(network="realistic")
    with pytest.raises(background.CloudError, match=rf"port {running.port}, not 1.*gtlab down"):
        background.up(port=1)
    assert background.up(port=running.port, network="fast") == (running, False)


def test_a_cloud_in_memory_is_told_from_one_that_keeps_its_state(home):
    running = background.up(network="instant", in_memory=True)[0]
    assert running.in_memory and background.status(running)["in_memory"]
    assert background.up() == background.up(in_memory=True) == (running, False)
    with pytest.raises(background.CloudError, match=r"in memory only.*tables go with it.*gtlab down"):
        background.up(in_memory=False)
    background.down()
    assert not (home / "cloud.sqlite3").exists()
    assert not background.up()[0].in_memory and background.up(in_memory=False)
    with pytest.raises(background.CloudError, match=r"on disk.*keeps its tables.*gtlab down"):
        background.up(in_memory=True)


def test_every_region_has_an_address_of_its_own(home):
    running = background.up(network="instant")[0]
    assert set(running.endpoints) == set(regions.REGIONS)
    assert len({running.url, *running.endpoints.values()}) == 1 + len(regions.REGIONS)


def test_what_the_control_api_refuses_is_told_in_its_words(home):
    running = background.up(network="instant")[0]
    with pytest.raises(ValueError, match="lag: it takes a number of seconds from 0 to 3600, not -1"):
        background.control(running.port, "world/lag", "PUT", {"value": -1})
    with pytest.raises(ValueError, match="no GET /_gtlab/v1/nothing"):
        background.control(running.port, "nothing")
    background.down()
    with pytest.raises(background.CloudError, match="gtlab up"):
        background.control(running.port, "world")


def test_a_reset_empties_a_cloud_that_runs_and_one_that_does_not(home):
    damaged = home / "cloud-damaged-20260101-000000.sqlite3"
    damaged.write_text("not a database")
    running = background.up(network="instant")[0]
    background.control(running.port, "world/isolate/eu-west-1", "PUT")
    assert background.reset() == [damaged]
    assert background.find() == running and background.control(running.port, "world")["knobs"] == []
    background.control(running.port, "world/isolate/eu-west-1", "PUT")
    os.kill(running.pid, signal.SIGKILL)  # its log is still beside the file
    gone(running.pid)
    assert (home / "cloud.sqlite3-wal").exists()
    assert background.reset() == [damaged] and background.find() is None
    assert [path.name for path in home.glob("*.sqlite3*")] == [damaged.name]
    assert background.control(background.up()[0].port, "world")["knobs"] == []
    assert damaged.read_text() == "not a database"


def test_a_hung_cloud_is_not_reset_behind_its_back(home):
    hung = background.up(network="instant")[0]
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(background.CloudError, match=r"does not answer.*gtlab down"):
        background.reset()
    assert (home / "cloud.sqlite3").exists()


@pytest.mark.parametrize("left", [b"", b"garbage", b"[1]", b'"text"', b"\xff\xfe", b"{}", b'{"port": "x"}',
                                  b'{"instance": "a", "port": 1, "pid": 999999999}',
                                  b'{"instance": "a", "port": 99999999, "pid": 999999999}',
                                  b'{"instance": "a", "port": -5, "pid": "x"}'])
def test_a_stale_state_file_is_no_hindrance(home, left):
    (home / "cloud.json").write_bytes(left)
    assert background.find() is None and background.down() is False
    running, started = background.up(network="fast")
    assert started and background.find() == running


def test_a_stale_state_file_with_somebody_elses_server_on_its_port(home):
    with other_server() as port:
        left = {"instance": "a", "port": port, "pid": os.getpid()}  # the number of a dead cloud, given out again
        (home / "cloud.json").write_text(json.dumps(left))
        assert background.find() is None and background.down() is False
        running, started = background.up(network="fast")
        assert started and running.port != port


def test_a_cloud_that_was_killed_is_noticed_and_a_new_one_starts(home):
    dead = background.up(network="fast")[0]
    os.kill(dead.pid, signal.SIGKILL)
    gone(dead.pid)
    assert background.find() is None
    running, started = background.up(network="fast")
    assert started and running.instance != dead.instance and background.find() == running


def test_a_hung_cloud_is_told_and_down_ends_it(home):
    hung = background.up(network="fast")[0]
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(background.CloudError, match=r"does not answer.*gtlab down"):
        background.up()
    assert background.down() is True
    gone(hung.pid)
    assert background.up(network="fast")[1]


def test_many_at_once_start_one_cloud(home):
    script = "from gtlab import background; found, new = background.up(network='fast'); print(found.instance, new)"
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(10)]
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert {instance for instance, _ in said} == {background.find().instance}
    assert [new for _, new in said].count("True") == 1


def test_it_survives_whoever_started_it(home):
    """Also the end of that process's whole group: Ctrl-C, a kernel's restart, a closed terminal."""
    script = "import os, signal; from gtlab import background; background.up(network='fast'); " \
             "os.killpg(0, signal.SIGKILL)"
    starter = subprocess.run([sys.executable, "-c", script], start_new_session=True, timeout=60)
    assert starter.returncode == -signal.SIGKILL
    assert background.find() and background.status(background.find())


def test_it_listens_on_the_loopback_address_only(home):
    port = background.up(network="fast")[0].port
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    for address in ("127.0.0.2", *{found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)}):
        if address != "127.0.0.1":
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=2)


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file" / "home"))
    for function in (background.up, background.find, background.down):
        with pytest.raises(background.CloudError, match=r"file/home cannot be made: .*GTLAB_HOME"):
            function()
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file"))
    with pytest.raises(background.CloudError, match="cannot be made"):
        background.up()
