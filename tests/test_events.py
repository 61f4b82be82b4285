"""The journal as a learner has it: a data frame, lines that follow what happens, a chart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, wait_until

import gtlab
from gtlab import charts
from gtlab.lab import Lab
from gtlab.localcloud import process

pytestmark = pytest.mark.server

GTLAB = Path(sys.executable).with_name("gtlab")


@pytest.fixture(scope="module")
def place():
    """A cloud of these tests' own, without delays, with a global table of three Regions."""
    with process.throwaway("instant", seed=5) as running:
        lab = gtlab.connect(home=SINGAPORE, replicas=f"{VIRGINIA}, {IRELAND}")
        home = lab.client(SINGAPORE)
        home.create_table(**ON_DEMAND)
        for region in (VIRGINIA, IRELAND):
            home.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": region}}])
        yield running, lab


@pytest.fixture
def lab(place) -> Lab:
    yield place[1]
    place[1].world.reset()


@pytest.fixture
def last(lab) -> int:
    """The number of the newest event before the test."""
    return int(lab.events()["n"].max())


def put(lab: Lab, region: str, artist: str, text: str = "") -> None:
    lab.client(region).put_item(TableName="Music", Item={"Artist": {"S": artist}, "text": {"S": text}})


def arrives(lab: Lab, region: str, artist: str, text: str = "") -> None:
    def read() -> bool:
        item = lab.client(region).get_item(TableName="Music", Key={"Artist": {"S": artist}}).get("Item")
        return bool(item) and item["text"]["S"] == text
    wait_until(read, f"{artist} in {region}")


def test_a_write_that_was_overtaken_is_no_conflict(lab, last):
    with lab.world.lag(0.8, SINGAPORE, IRELAND):
        put(lab, SINGAPORE, "overtaken", "first")
        arrives(lab, VIRGINIA, "overtaken", "first")
        put(lab, VIRGINIA, "overtaken", "second")  # by one who had seen the first
        arrives(lab, IRELAND, "overtaken", "second")
        wait_until(lambda: len(lab.events(last, kinds="discarded")), "the first to come to Ireland too late")
    (lost,) = lab.events(last, kinds="discarded").itertuples()
    assert (lost.region, lost.source, lost.lost_to, bool(lost.conflict)) == (IRELAND, SINGAPORE, VIRGINIA, False)
    assert 0 < lost.by_ms < lost.lag_ms and round(lost.lag_ms) >= 800


def test_the_frame_has_the_same_types_full_or_empty_and_its_marks_can_be_asked_for(lab, last):
    with lab.world.partition(VIRGINIA, SINGAPORE):
        for region in (SINGAPORE, VIRGINIA):
            put(lab, region, "typed", region)
    wait_until(lambda: {"discarded", "delivery"} <= set(lab.events(last)["kind"]), "the conflict and a delivery")
    found, none = lab.events(last), lab.events(10**9)
    assert (found[found["kind"] == "delivery"]["late_ms"] >= 0).all()
    for name in ("n", "lag_ms", "late_ms", "by_ms", "conflict", "deleted"):
        assert found[name].dtype == none[name].dtype
    lost = found[found["conflict"]]
    assert lost["source"].tolist() == [SINGAPORE] and lost["key"].tolist() == ["typed"]
    assert found["time"].is_monotonic_increasing and (found["n"].diff().dropna() == 1).all()
    assert found["value"].isna().all()


def test_a_pair_has_one_name_whichever_way_round_it_was_given(lab, last):
    lab.world.partition(VIRGINIA, IRELAND)
    process.control(process.find().port, f"world/partition/{IRELAND}/{VIRGINIA}", "DELETE")
    found = lab.events(last)
    assert found["kind"].tolist() == ["broken", "mended"] and found["place"].nunique() == 1


def test_the_journal_is_drawn(lab, last):
    with lab.world.partition(SINGAPORE, IRELAND):
        put(lab, SINGAPORE, "drawn", "s")
        put(lab, IRELAND, "drawn", "i")
    wait_until(lambda: len(lab.events(last, kinds="discarded")), "the conflict")
    figure = charts.journal(lab.events(last).assign(backend=lab.label))
    assert {"write", "delivery", "loses", "wins"} <= {trace.name for trace in figure.data}
    assert len(figure.layout.shapes) == 1


def test_kinds_that_there_are_not_are_told(lab):
    with pytest.raises(ValueError, match="no events of kind 'conflict'; there are: write, delete"):
        lab.events(kinds=["write", "conflict"])


class Following:
    """``gtlab events --follow`` in a process of its own, and what it has said."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen([GTLAB, "events", "--follow", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines, self.errors = [], []
        for pipe, kept in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=lambda pipe=pipe, kept=kept: kept.extend(iter(pipe.readline, "")),
                             daemon=True).start()

    def says(self, text: str) -> None:
        def found() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"it ended: {self.lines} {self.errors}")
            return any(text in line for line in self.lines + self.errors)
        wait_until(found, text)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_the_command_follows_what_happens_over_a_crash_and_ends_quietly(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    following = None
    try:
        running, _ = process.up(network="instant")
        lab = gtlab.connect()
        lab.world.isolate(IRELAND)
        following = Following("--json")
        following.says('"isolate"')  # what there was
        lab.world.lag(1.5)
        following.says('"lag"')      # what happens now
        os.kill(running.pid, signal.SIGKILL)
        following.says("Waiting for it to start again")
        process.up()
        gtlab.connect().world.caller(IRELAND)
        following.says('"caller"')   # its number is lower than the last one that was seen
        following.process.send_signal(signal.SIGINT)
        assert following.process.wait(120) == 0
        wait_until(lambda: len(following.lines) >= 3, "its last words")
        assert [json.loads(line)["n"] for line in following.lines] == [1, 2, 1]
        assert "Traceback" not in "".join(following.errors)
    finally:
        if following:
            following.process.kill()
        process.down()


def test_a_stream_that_is_taken_up_again_after_a_restart_begins_anew(lab, place, last):
    request = urllib.request.Request(f"{place[0].url}/_gtlab/v1/events", headers={
        "Accept": "text/event-stream", "Last-Event-ID": str(last + 1000)})  # of a journal that is no more
    with urllib.request.urlopen(request, timeout=120) as stream:
        first = next(json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
    assert first["n"] == 1


def test_whoever_stops_reading_is_no_error(lab):
    with subprocess.Popen([GTLAB, "events", "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        lab.world.lag(1)  # the next event finds nobody there

        def ended() -> bool:
            lab.world.lag(2).mend()
            return process.poll() is not None

        wait_until(ended, "it to end")
        assert "rror" not in process.stderr.read()
