"""The knobs of the simulated world, each seen from outside with boto3; in Python, on the command line, over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request

import boto3
import ipywidgets
import numpy
import pandas as pd
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, wait_until

import gtlab
from gtlab import widgets
from gtlab.cli import main
from gtlab.lab import Choice, Lab
from gtlab.lab.clients import Access
from gtlab.lab.events import COLUMNS
from gtlab.localcloud import process
from gtlab.localcloud.world import CONTROL_PLANE_S, World

pytestmark = pytest.mark.server

FRANKFURT = "eu-central-1"
REGIONS = (SINGAPORE, VIRGINIA, IRELAND)
SOON, LATER = 0.0, 1.0  # a lag that nobody waits for, and one that can be told from it


@pytest.fixture(scope="module")
def place():
    """A cloud of these tests' own, without delays, with a global table of three Regions."""
    with process.throwaway("instant", seed=5) as running:
        lab = gtlab.connect(home=SINGAPORE, replicas=f"{VIRGINIA}, {IRELAND}")
        home = lab.client(SINGAPORE)
        home.create_table(**ON_DEMAND)
        for region in REGIONS[1:]:
            home.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": region}}])
        yield running, lab


@pytest.fixture
def lab(place) -> Lab:
    yield place[1]
    place[1].world.reset()


@pytest.fixture
def port(place) -> int:
    return place[0].port


def put(lab: Lab, region: str, artist: str, text: str = "") -> None:
    lab.client(region).put_item(TableName="Music", Item={"Artist": {"S": artist}, "text": {"S": text}})


def get(lab: Lab, region: str, artist: str) -> str | None:
    item = lab.client(region).get_item(TableName="Music", Key={"Artist": {"S": artist}}).get("Item")
    return item and item["text"]["S"]


def waits(lab: Lab, region: str, artist: str) -> bool:
    """Whether an item is still not there although another one, of a Region that is reached, has long come and gone."""
    return get(lab, region, artist) is None and process.status(process.find())["deliveries_waiting"] > 0


def arrives(lab: Lab, region: str, artist: str, text: str = "") -> None:
    wait_until(lambda: get(lab, region, artist) == text, f"{artist} in {region}")


def impatient(url: str, region: str, seconds: float = 0.5):
    """A client that tries once, and gives up after some seconds."""
    return boto3.client("dynamodb", region_name=region, endpoint_url=url, aws_access_key_id="gtlab",
                        aws_secret_access_key="gtlab", config=Config(
                            retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=seconds, proxies={}))


# What each knob does


def test_a_partition_holds_replication_up_and_nothing_else(lab):
    with lab.world.partition(SINGAPORE, IRELAND) as handle:
        put(lab, SINGAPORE, "parted", "s")
        put(lab, IRELAND, "other side", "i")
        arrives(lab, VIRGINIA, "parted", "s")
        arrives(lab, VIRGINIA, "other side", "i")
        assert waits(lab, IRELAND, "parted") and waits(lab, SINGAPORE, "other side")
        assert get(lab, SINGAPORE, "parted") == "s"  # local traffic goes on
        assert "Singapore (ap-southeast-1) ✕ Ireland (eu-west-1)" in repr(handle)
    arrives(lab, IRELAND, "parted", "s")
    arrives(lab, SINGAPORE, "other side", "i")


def test_an_isolated_region_hears_nobody_and_is_reached_by_callers(lab):
    with lab.world.isolate(VIRGINIA):
        put(lab, VIRGINIA, "alone", "v")
        put(lab, IRELAND, "without Virginia", "i")
        arrives(lab, SINGAPORE, "without Virginia", "i")
        assert waits(lab, SINGAPORE, "alone") and waits(lab, VIRGINIA, "without Virginia")
    arrives(lab, IRELAND, "alone", "v")
    arrives(lab, VIRGINIA, "without Virginia", "i")


@pytest.mark.parametrize(("how", "fault", "at_the_common_port"), [
    ("timeout", ReadTimeoutError, ReadTimeoutError), ("refused", EndpointConnectionError, ConnectionClosedError),
    ("error", ClientError, ClientError)])
def test_the_endpoint_of_a_region_that_is_down_fails(lab, place, how, fault, at_the_common_port):
    own, common = place[0].endpoints[IRELAND], place[0].url
    lab.client(IRELAND).list_tables()  # a connection that stays open
    with lab.world.outage(IRELAND, how):
        for url, kind in ((own, fault), (common, at_the_common_port)):
            with pytest.raises(kind) as told:
                impatient(url, IRELAND).get_item(TableName="Music", Key={"Artist": {"S": "x"}})
            if kind is ClientError:
                assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
        put(lab, SINGAPORE, f"down {how}", "s")
        arrives(lab, VIRGINIA, f"down {how}", "s")  # the others go on
        assert process.status(place[0])["deliveries_waiting"] > 0
    arrives(lab, IRELAND, f"down {how}", "s")
    impatient(own, IRELAND, 60).list_tables()


def test_a_slow_link_is_slow_for_callers_and_for_replication(lab):
    with lab.world.slow(SINGAPORE, IRELAND, 600):
        began = time.monotonic()
        get(lab, IRELAND, "x")
        there = time.monotonic() - began
        last = int(lab.events()["n"].max())
        put(lab, SINGAPORE, "slow", "s")
        arrives(lab, IRELAND, "slow", "s")
        arrived = lab.events(after=last, kinds="delivery").set_index("region")["lag_ms"].round()
    assert there >= 0.6 and arrived[IRELAND] >= 300 > arrived[VIRGINIA]


def test_the_lag_can_be_set_for_a_link_and_for_all(lab):
    last = int(lab.events()["n"].max())
    with lab.world.lag(0.2), lab.world.lag(0.9, SINGAPORE, IRELAND):
        put(lab, SINGAPORE, "lagging", "s")
        arrives(lab, IRELAND, "lagging", "s")
    lags = lab.events(after=last, kinds="delivery").set_index("region")["lag_ms"].round()
    assert lags.to_dict() == {VIRGINIA: 200.0, IRELAND: 900.0}


def test_the_caller_can_be_moved(lab, place):
    nowhere = impatient(place[0].url, IRELAND, 60)

    def took_s() -> float:
        began = time.monotonic()
        nowhere.list_tables()
        return time.monotonic() - began

    with lab.world.slow(FRANKFURT, IRELAND, 400), lab.world.caller(FRANKFURT):
        assert min(took_s() for _ in range(3)) >= 0.4
    wait_until(lambda: took_s() < 0.4, "a call that is not held")


def test_a_table_is_held_to_its_capacity(lab):
    strict = lab.new_client(VIRGINIA, retries={"total_max_attempts": 1})
    with lab.world.throttle("Music", VIRGINIA, write_units=1, burst_s=1):
        with pytest.raises(strict.exceptions.ProvisionedThroughputExceededException):
            for _ in range(50):
                strict.put_item(TableName="Music", Item={"Artist": {"S": "often"}})
        assert lab.world.state()["meaning"].tolist() == [
            "throttle: Music in N. Virginia (us-east-1) is limited to 1 write units per second, burst credit for 1 s"]
    for _ in range(5):
        strict.put_item(TableName="Music", Item={"Artist": {"S": "often"}})


# Setting and mending


def test_what_was_broken_is_put_back_as_it_was_before_whatever_happens(lab):
    lab.world.lag(0.3)
    lab.world.partition(VIRGINIA, SINGAPORE)
    with pytest.raises(ZeroDivisionError), lab.world.lag(9), lab.world.partition(SINGAPORE, VIRGINIA), \
            lab.world.isolate(IRELAND):
        assert len(lab.world.state()) == 3 and "9" in repr(lab.world)
        1 / 0  # noqa: B018
    state = lab.world.state()
    assert list(state.columns) == ["knob", "place", "value", "meaning"]
    assert sorted(zip(state["knob"], state["place"], strict=True)) == [
        ("lag", ""), ("partition", f"{SINGAPORE}, {VIRGINIA}")]
    assert state.set_index("knob").loc["lag", "value"] == 0.3
    lab.world.reset()
    assert lab.world.state().empty and repr(lab.world) == "Nothing is broken."


def test_a_handle_mends_by_hand(lab):
    handle = lab.world.throttle("Music", write_units=3)
    assert "3 write units" in repr(handle) and ".mend()" in repr(handle)
    handle.mend()
    assert lab.world.state().empty and repr(handle).endswith("(mended)")
    lab.world.isolate(IRELAND)
    handle.mend()  # again: nothing more is done
    lab.world.isolate(IRELAND).mend()  # set twice, as by a cell that is run again
    assert lab.world.state().empty


def test_what_was_mended_in_a_block_is_not_broken_again_at_its_end(lab):
    lab.world.lag(3)
    with lab.world.lag(5):
        lab.world.reset()
    assert lab.world.state().empty
    with lab.world.isolate(IRELAND), lab.world.isolate(IRELAND):
        pass
    assert lab.world.state().empty


def test_throttles_of_other_accounts_are_left_alone(lab, port):
    theirs = f"world/throttle/123456789012/{SINGAPORE}/Music"
    process.control(port, theirs, "PUT", {"value": {"write_units": 9}})
    with lab.world.throttle("Music", read_units=numpy.int64(4)) as handle:
        assert "4 read units" in repr(handle)
    assert lab.world.state()["meaning"].tolist() == [
        "throttle: Music of account 123456789012 in Singapore (ap-southeast-1) is limited to 9 write units per second"]


@pytest.mark.parametrize(("turn", "told"), [
    (lambda world: world.partition("us-east-9", IRELAND), "Did you mean"),
    (lambda world: world.partition(IRELAND, IRELAND), "two different Regions"),
    (lambda world: world.outage(IRELAND, "gone"), "timeout, refused, error"),
    (lambda world: world.slow(IRELAND, VIRGINIA, -1), "from 0 to 60000"),
    (lambda world: world.slow(IRELAND, VIRGINIA, "fast"), "number of milliseconds"),
    (lambda world: world.lag(10_000), "from 0 to 3600"),
    (lambda world: world.lag(1, IRELAND), "both a source and a target"),
    (lambda world: world.throttle("Music", write_units=-1), "write_units must be a number"),
    (lambda world: world.throttle("a/b"), "3 to 255 letters"),
    (lambda world: world.lag(float("nan")), "from 0 to 3600"),
    (lambda world: world.lag(object()), "number of seconds"),
    (lambda world: world.caller("Frankfurt"), "not a Region"),
])
def test_nonsense_is_refused_with_what_is_allowed(lab, turn, told):
    with pytest.raises(ValueError, match=told):
        turn(lab.world)
    assert lab.world.state().empty


@pytest.mark.parametrize("backend", ["aws", "endpoints"])
def test_other_backends_have_no_knobs_and_no_journal(backend):
    elsewhere = Lab(Access(backend, {"us-east-1": "http://127.0.0.1:1"}), Choice())
    with pytest.raises(ValueError, match="local cloud can be broken") as told:
        elsewhere.world.isolate("us-east-1")
    assert ("aws:dynamodb:global-table-pause-replication" in str(told.value)) == (backend == "aws")
    with pytest.raises(ValueError, match="local cloud"):
        elsewhere.events()


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_the_command_line_turns_every_knob(lab):
    assert run("world").startswith("Nothing is broken.")
    run("world", "partition", VIRGINIA, SINGAPORE)
    run("world", "isolate", IRELAND)
    run("world", "outage", IRELAND, "--how", "error")
    run("world", "slow", IRELAND, VIRGINIA, "120")
    run("world", "lag", "2")
    run("world", "lag", "3", SINGAPORE, IRELAND)
    run("world", "throttle", "Music", "--region", IRELAND, "--write-units", "5")
    shown = run("world", "caller", FRANKFURT)
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == [
        "partition", "isolate", "outage", "slow", "lag", "lag", "throttle", "caller"]
    assert re.search(r"slow       eu-west-1 us-east-1 +120\.0 ms\n", shown) and "To repair one" in shown
    assert json.loads(run("world", "--json"))["knobs"][2] == {
        "knob": "outage", "place": [IRELAND], "value": "error"}
    assert "Broken: outage: Ireland (eu-west-1) is down (error)" in run("status")
    run("world", "slow", VIRGINIA, IRELAND, "--off")
    run("world", "lag", "--off")
    run("world", "lag", SINGAPORE, IRELAND, "--off")
    run("world", "caller", "--off")
    run("world", "throttle", "Music", "--region", IRELAND, "--off")
    assert lab.world.state()["knob"].tolist() == ["partition", "isolate", "outage"]
    assert run("world", "reset") == "Nothing is broken.\n" and lab.world.state().empty


@pytest.mark.parametrize(("arguments", "code", "told"), [
    (("isolate", "us-east-9"), 1, "Did you mean"), (("slow", IRELAND, VIRGINIA), 2, "MS"),
    (("slow", IRELAND, VIRGINIA, "x"), 2, "float"), (("lag",), 2, "SECONDS"), (("lag", "x"), 2, "not a number"),
    (("lag", "-3"), 1, "from 0 to 3600, not -3.0"), (("lag", "-.5", IRELAND, VIRGINIA), 1, "from 0 to 3600, not -0.5"),
    (("slow", IRELAND, VIRGINIA, "-20"), 1, "from 0 to 60000, not -20.0"), (("lag", "-3x"), 2, "not a number"),
    (("lag", "-3", "--of"), 2, "No such option"), (("lag", "1", IRELAND), 2, "SOURCE TARGET"),
    (("outage", IRELAND, "--how", "x"), 2, "timeout"),
    (("slow", IRELAND, VIRGINIA, "99999999"), 1, "60000"), (("throttle", "a/b"), 1, "3 to 255"),
    (("throttle", "Music", "--account", "me"), 1, "12 digits"), (("isolate", ""), 1, "'' is not a Region"),
    (("isolate", f"{IRELAND}/{VIRGINIA}"), 1, f"'{IRELAND}/{VIRGINIA}' is not a Region")])
def test_the_command_line_refuses_nonsense_in_a_line(lab, arguments, code, told):
    output = run("world", *arguments, code=code)
    assert told in output and "Traceback" not in output
    assert lab.world.state().empty


def http(port: int, method: str, what: str, body: object = None) -> tuple[int, dict]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/_gtlab/v1/{what}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_control_api_turns_every_knob(lab, port):
    for what, value in (
            (f"partition/{IRELAND}/{VIRGINIA}", None), (f"isolate/{IRELAND}", None), (f"outage/{IRELAND}", "timeout"),
            (f"slow/{IRELAND}/{VIRGINIA}", 5), ("lag", 0.5), (f"lag/{IRELAND}/{VIRGINIA}", 1),
            (f"throttle/{IRELAND}/Music", {"write_units": 1}), ("caller", FRANKFURT)):
        code, world = http(port, "PUT", f"world/{what}", None if value is None else {"value": value})
        assert code == 200 and (what.partition("/")[0], value) in [
            (each["knob"], each["value"]) for each in world["knobs"]], what
    assert len(http(port, "GET", "world")[1]["knobs"]) == 8
    assert http(port, "DELETE", f"world/slow/{VIRGINIA}/{IRELAND}")[0] == 200
    assert len(http(port, "GET", "world")[1]["knobs"]) == 7
    assert http(port, "DELETE", "world")[1]["knobs"] == []


@pytest.mark.parametrize(("method", "what", "body", "told"), [
    ("PUT", "world/gravity", None, "there are: partition"),
    ("PUT", f"world/isolate/{IRELAND}/{VIRGINIA}", None, "a Region"),
    ("PUT", f"world/isolate/{IRELAND}", {"value": 3}, "takes no value"), ("PUT", "world/lag", {"seconds": 3}, "value"),
    ("PUT", "world/lag", {"value": "3"}, "seconds"), ("PUT", "world/lag", {"value": True}, "seconds"),
    ("PUT", "world/lag", [1], "value"), ("DELETE", "world/isolate/nowhere", None, "not a Region"),
    ("PUT", f"world/throttle/me/{IRELAND}/Music", None, "12 digits"),
    ("PUT", f"world/throttle/{IRELAND}/M", None, "3 to 255"),
    ("PUT", f"world/throttle/{IRELAND}/a%2Fb", None, "'a/b' is not valid"),
    ("PUT", f"world/throttle/{IRELAND}/Music?acount=123456789012", {"write_units": 1}, "no query parameter 'acount'"),
    ("PUT", "world/lag?seconds=3", {"value": 1}, "has none"), ("GET", "events?since=3", None, "has only after"),
    ("GET", "events?after=x", None, "number of an event")])
def test_the_control_api_refuses_nonsense(lab, port, method, what, body, told):
    code, answer = http(port, method, what, body)
    assert code == 400 and told in answer["message"]
    assert lab.world.state().empty


@pytest.mark.parametrize(("method", "what", "code"), [("GET", "nothing", 404), ("POST", "world", 405)])
def test_the_control_api_says_in_json_what_is_not_there(lab, port, method, what, code):
    told, answer = http(port, method, what)
    assert told == code and f"no {method} /_gtlab/v1/{what}" in answer["message"]


def test_the_journal_tells_whose_table_is_throttled(lab):
    with lab.world.throttle("Music", IRELAND, write_units=9):
        pass
    told = lab.events(table="Music", kinds=["broken", "mended"]).tail(2)
    assert told["kind"].tolist() == ["broken", "mended"] and set(told["region"]) == {IRELAND}


def test_the_widget_shows_what_is_broken_and_mends_it(lab):
    lab.world.isolate(IRELAND)
    box = widgets.world(lab)
    shown, buttons, _ = box.children
    assert isinstance(box, ipywidgets.VBox) and "Ireland" in shown.value
    buttons.children[0].click()
    assert "Nothing is broken" in shown.value and lab.world.state().empty
    lab.world.partition(IRELAND, VIRGINIA)
    buttons.children[1].click()
    assert "✕" in shown.value and box.still() == shown.value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "_where", 1)
        buttons.children[1].click()  # an error is shown: nobody sees one that is raised in there
    assert "gtlab up" in shown.value


# The journal


def test_a_conflict_tells_who_lost_to_whom_and_by_how_much(lab):
    last = int(lab.events()["n"].max())
    with lab.world.partition(SINGAPORE, IRELAND):
        put(lab, SINGAPORE, "contested", "first")
        put(lab, IRELAND, "contested", "second")
    arrives(lab, SINGAPORE, "contested", "second")
    wait_until(lambda: (lab.events(last, kinds=["discarded"])["region"] == IRELAND).any(), "the discarded delivery")
    found = lab.events(last, table="Music")
    writes = found[found["kind"] == "write"].set_index("region")["written_at"]
    lost = found[(found["kind"] == "discarded") & (found["region"] == IRELAND)].iloc[0]
    assert (lost["source"], lost["lost_to"], lost["key"], bool(lost["conflict"])) == (
        SINGAPORE, IRELAND, "contested", True)
    apart_ms = (writes[IRELAND] - writes[SINGAPORE]) / pd.Timedelta(milliseconds=1)
    assert lost["by_ms"] == pytest.approx(apart_ms, abs=0.01) and apart_ms > 0
    assert list(found["n"]) == sorted(found["n"]) and found["time"].dt.tz is not None
    knobs = lab.events(last, kinds=("broken", "mended"))
    assert list(zip(knobs["kind"], knobs["knob"], strict=True)) == [("broken", "partition"), ("mended", "partition")]
    assert get(lab, SINGAPORE, "contested") == get(lab, IRELAND, "contested") == "second"


def test_an_empty_journal_has_the_same_columns(lab):
    found = lab.events(after=10**9)
    assert found.empty and tuple(found.columns) == COLUMNS


def test_events_are_streamed_as_they_happen_and_taken_up_again(lab, port):
    last = int(lab.events()["n"].max())

    def listen(after: int):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/_gtlab/v1/events", headers={
            "Accept": "text/event-stream", "Last-Event-ID": str(after)})
        return urllib.request.urlopen(request, timeout=120)

    def first(stream, count: int) -> list[dict]:
        found = []
        for line in stream:
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    return found
        raise AssertionError("the stream ended")

    with listen(last) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        put(lab, SINGAPORE, "streamed", "s")
        events = first(stream, 3)
    assert [event["kind"] for event in events] == ["write", "delivery", "delivery"]
    assert {event["region"] for event in events} == set(REGIONS)
    with listen(events[0]["n"]) as stream:
        assert first(stream, 2) == events[1:]


def test_the_command_line_shows_the_journal(lab):
    last = int(lab.events()["n"].max())
    put(lab, SINGAPORE, "shown", "s")
    arrives(lab, IRELAND, "shown", "s")
    arrives(lab, VIRGINIA, "shown", "s")
    lines = run("events", "--after", str(last)).splitlines()
    assert len(lines) == 3 and "write" in lines[0] and "Music shown from ap-southeast-1" in lines[-1]
    assert [json.loads(line)["kind"] for line in run("events", "--json", "--after", str(last)).splitlines()] == [
        "write", "delivery", "delivery"]


# Restarts


def test_what_is_broken_stays_broken_over_a_crash_and_a_reset_clears_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    try:
        running, _ = process.up(network="instant")
        run("world", "isolate", IRELAND)
        gtlab.connect().client(IRELAND).create_table(**ON_DEMAND)
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: process.find() is None, "the cloud to be gone")
        assert "isolate: Ireland (eu-west-1)" in run("up") and "Music" in run("status")
        assert "Aborted" in run("reset", code=1) and "Music" in run("status")
        run("reset", "--yes")
        assert "no tables" in run("status") and run("world").startswith("Nothing is broken.")
        run("world", "isolate", IRELAND)
        process.down()
        run("reset", "--yes")  # of one that does not run
        assert not (tmp_path / "cloud.sqlite3").exists()
        assert "broken" not in run("up")
        assert "No local cloud is running" in run("down") + run("world", code=1)
    finally:
        process.down()


# The control plane


def test_the_control_plane_hurries(lab, port):
    usual, quick = World("realistic", seed=4), World("realistic", seed=4)
    quick.times_faster = 10
    for step in CONTROL_PLANE_S:
        assert quick.control_plane_s(step, IRELAND) == pytest.approx(usual.control_plane_s(step, IRELAND) / 10)
    with lab.hurry():
        assert http(port, "GET", "hurry") == (200, {"times": 10})
        with gtlab.connect().hurry(5):  # blocks that overlap: as usual only when the last one ends
            assert http(port, "GET", "hurry") == (200, {"times": 5})
        assert http(port, "GET", "hurry") == (200, {"times": 5})
        assert lab.world.state().empty  # nothing is broken
    assert http(port, "GET", "hurry") == (200, {"times": 1})
    with pytest.raises(ZeroDivisionError), lab.hurry():
        _ = 1 / 0
    assert http(port, "GET", "hurry") == (200, {"times": 1})


def test_the_control_plane_hurries_only_as_far_as_it_can(lab, port):
    for times in (0, 0.5, 1001, float("nan"), True, "10", None):
        assert http(port, "PUT", "hurry", {"times": times})[0] == 400
    assert http(port, "PUT", "hurry", [1])[0] == 400
    with pytest.raises(ValueError, match="from 1 to 1000"), lab.hurry(0):
        pass
    assert http(port, "GET", "hurry") == (200, {"times": 1})
    with gtlab.connect(dict.fromkeys(lab.regions, "http://127.0.0.1:1")).hurry():
        pass  # nothing to do on other backends
