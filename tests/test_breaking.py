"""What notebooks break and read: the same cells run where nothing can be broken, and the streams show a lost write."""

from __future__ import annotations

import pytest
from support import IRELAND, SINGAPORE, VIRGINIA, wait_until

from gtlab import connect
from gtlab.course import breaking, stages
from gtlab.lab import Lab, streams

pytestmark = pytest.mark.server
WRITERS = ["Said", "WrittenIn"]


@pytest.fixture(scope="module")
def lab(cloud) -> Lab:
    made = connect(home=SINGAPORE, replicas=[VIRGINIA])
    stages.ensure_global_table(made)
    return made


def put(lab: Lab, region: str, title: str) -> None:
    lab.client(region).put_item(TableName="Music", Item={
        "Artist": {"S": "Streams"}, "SongTitle": {"S": title},
        "Said": {"S": f"in {region}"}, "WrittenIn": {"S": region}})


def test_the_losing_regions_stream_shows_what_replaced_its_value(lab):
    put(lab, SINGAPORE, "too early")
    readers = [streams.Reader(lab, "Music", region) for region in lab.regions]
    with breaking.world(lab).partition(*lab.regions):
        put(lab, SINGAPORE, "a")
        put(lab, VIRGINIA, "a")
    records: list = []

    def seen() -> list:
        for reader in readers:
            records.extend(each for each in reader.read() if each["dynamodb"]["Keys"]["SongTitle"]["S"] == "a")
        return [each for each in streams.frame(records, WRITERS).to_numpy().tolist() if each[1] == "MODIFY"]
    assert wait_until(seen, "the write that won") == [
        [SINGAPORE, "MODIFY", f"in {SINGAPORE}", SINGAPORE, f"in {VIRGINIA}", VIRGINIA]]
    first = streams.frame(records, WRITERS)
    # Two own writes, and the one that replaced one of them: the service's second write of each changes none of these.
    assert sorted(zip(first["event"], first["old Said"], strict=True)) == [
        ("INSERT", ""), ("INSERT", ""), ("MODIFY", f"in {SINGAPORE}")]
    assert not [each for reader in readers for each in reader.read()]


def test_elsewhere_the_knobs_break_nothing_and_say_so(capsys):
    elsewhere = connect({SINGAPORE: "http://127.0.0.1:9", IRELAND: "http://127.0.0.1:9"}, home=SINGAPORE,
                        replicas=[IRELAND])
    assert breaking.last_event(elsewhere) == 0
    world = breaking.world(elsewhere)
    with world.partition(SINGAPORE, IRELAND), world.outage(SINGAPORE, how="error"):
        assert "Not possible on other endpoints: partition. Nothing is broken" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="no knob 'smash'"):
        world.smash(SINGAPORE)


def test_on_the_local_cloud_they_are_its_knobs(lab):
    before = breaking.last_event(lab)
    with breaking.world(lab).isolate(SINGAPORE):
        assert lab.world.state()["knob"].tolist() == ["isolate"]
    assert breaking.last_event(lab) == before + 2
