"""One local cloud for each process that runs tests, in a folder of its own; a test that asks for ``account`` is alone
in it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import loopback.sitecustomize  # noqa: F401  (from here on, other machines cannot be reached)
import pytest
from botocore.config import Config
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, Pretend, new_account, wait_active

from gtlab.course.stages import MUSIC
from gtlab.localcloud import process

gc.disable()  # until all tests are collected: what is loaded stays, so collections find no garbage
pytest_plugins = ["browser"]  # for its fixtures, and so that its asserts tell what was compared
# A shell that runs the tests in the background has SIGINT ignored, and so have all processes that they start: tests of
# Ctrl-C would wait forever.
signal.signal(signal.SIGINT, signal.default_int_handler)
OWN_PROCESS = ("server", "notebooks", "browser")  # markers of tests that start one
_running: list[pytest.Item] = []  # the test that is being run or set up


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Where several processes collect all tests, let each begin with other modules. pytest rewrites the asserts of each
    module and keeps the result on disk: in a new checkout, every process would otherwise do so for every module."""
    tests, worker = Path(__file__).parent, os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker or [Path(name).resolve() for name in session.config.args] != [tests]:
        return
    names = sorted(path.stem for path in tests.glob("test_*.py"))
    first = len(names) * int(worker.removeprefix("gw")) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in names[first:] + names[:first]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # it is reported when the module is collected
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for the run's cloud is a test with a server, whether or not it says so."""
    for item in items:
        if "cloud" in getattr(item, "fixturenames", ()):
            item.add_marker("server")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = _long_first(items, workers)


def _long_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Reorder the tests so that each worker begins with its share of the long ones (marker ``long``).

    ``--dist worksteal`` gives each worker an equal part of the list, in order. A worker that has finished its part
    takes tests from the end of another's, but never the last two: long tests there run one after the other while the
    other workers are idle. Long browser tests of one file stay with one worker, because they share a page in which
    JupyterLab is open; and a third of the workers have them all, because each of these starts a JupyterLab server and
    a browser, and loads JupyterLab.
    """
    seconds = {item: mark.args[0] for item in items if (mark := item.get_closest_marker("long"))}
    together: dict[object, list[pytest.Item]] = {}
    for item in seconds:
        together.setdefault(item.path if item.get_closest_marker("browser") else item, []).append(item)
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for group in sorted(together.values(), key=lambda group: -sum(map(seconds.__getitem__, group))):
        among = parts[:max(2, workers // 3)] if group[0].get_closest_marker("browser") else parts
        min(among, key=lambda part: sum(map(seconds.__getitem__, part))).extend(group)
    rest = iter([item for item in items if item not in seconds])
    for number, part in enumerate(parts):  # fill up to the part that the worker will get
        size = len(items) // workers + (number >= workers - len(items) % workers)
        part += itertools.islice(rest, max(0, size - len(part)))
    return [item for part in parts for item in part] + list(rest)


def pytest_collection_finish() -> None:
    """Spare garbage collection the modules and the tests, which stay until the end: 200,000 objects and more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)  # collect more rarely, as the local cloud does
    gc.enable()


def pytest_sessionfinish() -> None:
    """Spare the end of pytest, which collects garbage five times, all that the tests have left."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    _running[:] = [item]
    try:
        return (yield)
    finally:
        _running.clear()


def _no_process_in_a_quick_test(event: str, arguments: tuple) -> None:
    """Fail a test that starts a server or a kernel but is not marked so: `make quick` would run it."""
    if event != "subprocess.Popen" or not _running or any(map(_running[0].get_closest_marker, OWN_PROCESS)):
        return
    words = [str(word) for word in arguments[1]] if isinstance(arguments[1], (list, tuple)) else [str(arguments[1])]
    if Path(words[0]).name == "gtlab" or words[1:3] in (
            ["-m", "gtlab"], ["-m", "gtlab.localcloud"], ["-m", "ipykernel_launcher"]):
        raise AssertionError(f"a test that starts {arguments[1]} needs one of the markers {', '.join(OWN_PROCESS)}")


sys.addaudithook(_no_process_in_a_quick_test)


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
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # a kernel needs no threads of numpy's, and they take time to start
        guarded = [str(Path(__file__).parent / "loopback"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, guarded)))
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


@pytest.fixture
def pretend() -> Iterator[Pretend]:
    """A local cloud under a pretend clock. The test fails if gtlab itself had an error, which the cloud outlives."""
    made = Pretend()
    yield made
    assert made.cloud.errors.summary()["newest"] == []


@pytest.fixture
def ohio(pretend):
    """Ohio's client under the pretend clock, with an ACTIVE on-demand table Music."""
    client = pretend.client("us-east-2")
    client.create_table(**ON_DEMAND)
    pretend.wait(15)
    return client
