"""The helpers that stand around plain calls: waiting, timing, and bringing the world to a stage."""

from __future__ import annotations

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from support import IRELAND, SINGAPORE, VIRGINIA, regions_with_table, song, wait_until

import gtlab
from gtlab import measure, stages, watch
from gtlab.course.stages import MUSIC
from gtlab.intervals import percentile
from gtlab.localcloud import process

pytestmark = pytest.mark.server

TRIO = (SINGAPORE, VIRGINIA, IRELAND)
LABEL = "simulated: local cloud, fast network, built-in lag model"
# A table of numbers and bytes: keys of every type can be probed.
ODD = MUSIC | {"TableName": "Odd",
               "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"},
                                        {"AttributeName": "part", "AttributeType": "B"}],
               "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}]}


@pytest.fixture(scope="module")
def lab():
    """A lab in a cloud of its own, with the global tables Music and Odd in the article's Regions."""
    with process.throwaway("fast", seed=2):
        lab = gtlab.connect()
        for region in TRIO:
            lab.client(region).create_table(**ODD)
        lab.client(SINGAPORE).create_global_table(GlobalTableName="Odd", ReplicationGroup=[
            {"RegionName": region} for region in TRIO])
        stages.ensure_global_table(lab)
        watch.global_table(lab, "Odd")
        yield lab


@pytest.fixture(scope="module")
def lags(lab) -> pd.DataFrame:
    return measure.replication_lag(lab, "Music", samples=6)


def assert_periods(frame: pd.DataFrame, regions: set[str], ends_in: str) -> None:
    assert list(frame.columns) == ["region", "status", "start_s", "end_s"]
    assert set(frame["region"]) == regions and list(frame["start_s"]) == sorted(frame["start_s"])
    for _, periods in frame.groupby("region"):
        assert periods["start_s"].iloc[0] == 0 and periods["status"].iloc[-1] == ends_in
        assert list(periods["end_s"].iloc[:-1]) == list(periods["start_s"].iloc[1:])  # no gap, no overlap
        assert (periods["start_s"] <= periods["end_s"]).all()


# --- watch ---

def test_watching_a_table_come_and_go(lab):
    for region in TRIO:
        lab.client(region).create_table(**MUSIC | {"TableName": "Watched"})
    frame = watch.tables(lab, "Watched")
    assert_periods(frame, set(TRIO), ends_in="ACTIVE")
    assert set(frame[frame["start_s"] == 0]["status"]) == {"CREATING"}
    for region in (SINGAPORE, VIRGINIA):
        lab.client(region).delete_table(TableName="Watched")
    frame = watch.tables(lab, "Watched", watch.ABSENT, [SINGAPORE, VIRGINIA])
    assert_periods(frame, {SINGAPORE, VIRGINIA}, ends_in="absent")
    assert watch.table_status(lab, "Watched", SINGAPORE) == "absent"
    assert watch.table_status(lab, "Watched", IRELAND) == "ACTIVE"


def test_watching_a_global_table(lab):
    assert_periods(watch.global_table(lab, "Music"), {*TRIO, "global table"}, ends_in="ACTIVE")
    with pytest.raises(ClientError, match="GlobalTableNotFoundException"):
        watch.global_table(lab, "Nothing")


def test_watching_an_item_arrive(lab, monkeypatch):
    look, held = watch.look, lab.world.isolate(SINGAPORE)

    def look_once_in_vain(*asked, **named):
        seen = look(*asked, **named)
        held.mend()
        return seen

    monkeypatch.setattr(watch, "look", look_once_in_vain)
    lab.client(SINGAPORE).put_item(TableName="Music", Item=song("watched"))
    frame = watch.item(lab, "Music", song("watched"))
    assert_periods(frame, set(TRIO), ends_in="there")
    assert "not there" in set(frame["status"])


def test_waiting_in_vain_says_for_what_and_what_was_seen(lab):
    with pytest.raises(TimeoutError, match=r"for table Music to be absent.*us-east-1 ACTIVE.*Run the cell"):
        watch.tables(lab, "Music", "absent", timeout_s=0.1)
    with pytest.raises(TimeoutError, match=r"for the item to arrive.*not there"):
        watch.item(lab, "Music", song("never"), timeout_s=0.1)


# --- measure ---

def test_replication_lag_is_an_interval(lags):
    assert set(zip(lags["probe"], lags["target"], strict=True)) == {
        (probe, target) for probe in range(1, 7) for target in (VIRGINIA, IRELAND)}
    assert set(lags["source"]) == {SINGAPORE} and set(lags["backend"]) == {LABEL}
    assert (lags["missed_ms"] <= lags["seen_ms"]).all() and (lags["lag_min_ms"] <= lags["lag_max_ms"]).all()
    assert (lags["hard_max_ms"] == lags["seen_ms"]).all() and (lags["hard_min_ms"] >= 0).all()
    # The refined interval lies within the one that assumes nothing.
    assert (lags["hard_min_ms"] <= lags["lag_min_ms"]).all() and (lags["lag_max_ms"] <= lags["hard_max_ms"]).all()
    assert (lags["put_ms"] > 0).all() and (lags["get_ms"] > 0).all() and (lags["polls"] >= 1).all()
    # Simulated on the fast network: half a round trip (about 10 ms) and processing of 45 ms in the median.
    assert (lags["lag_max_ms"] > 15).all() and lags["lag_max_ms"].median() > 30


def test_probes_are_deleted_everywhere(lab, lags):
    def probes(region: str) -> int:
        items = lab.client(region).scan(TableName="Music")["Items"]
        return sum("probe" in item["Artist"]["S"] for item in items)

    wait_until(lambda: not any(probes(region) for region in TRIO), "the probes to be gone")


def test_source_and_targets_are_as_asked(lab):
    found = measure.replication_lag(lab, "Music", source=IRELAND, targets="ap-southeast-1", samples=1)
    assert list(found[["source", "target"]].iloc[0]) == [IRELAND, SINGAPORE] and len(found) == 1


def test_tables_of_any_key_schema_can_be_probed(lab):
    assert len(measure.replication_lag(lab, "Odd", samples=2)) == 4
    assert len(measure.latency(lab, "Odd", regions=[VIRGINIA], samples=1)) == 2


@pytest.mark.parametrize(("asked", "text"), [
    ({"targets": [SINGAPORE, VIRGINIA]}, "ap-southeast-1 is the source"),
    ({"source": "mars"}, "'mars' is not a Region"),
    ({"targets": "mars"}, "'mars' is not a Region"),
    ({"targets": [VIRGINIA, VIRGINIA]}, "given twice"),
    ({"samples": 0}, "samples is 0"),
    ({"rate": 0}, "rate is 0"),
    ({"every_ms": 0.5}, "every_ms is 0.5"),
    ({"timeout_s": -1}, "timeout_s is -1"),
])
def test_measurements_that_make_no_sense_are_explained(lab, asked, text):
    with pytest.raises(ValueError, match=text):
        measure.replication_lag(lab, "Music", **asked)


def test_an_item_that_does_not_arrive_is_told(lab):
    """By another engine, which nobody can ask how its Regions are joined."""
    client = lab.client("eu-west-2")
    client.create_table(**MUSIC | {"TableName": "Odd"} | {name: ODD[name] for name in (
        "KeySchema", "AttributeDefinitions")})
    watch.tables(lab, "Odd", regions=["eu-west-2"])
    urls = {region: lab.client(region).meta.endpoint_url for region in (lab.home, "eu-west-2")}
    other = gtlab.connect(urls, home=lab.home, replicas=["eu-west-2"])
    with pytest.raises(TimeoutError, match=r"No probe was seen in eu-west-2 within 1 s. Check that table Odd in eu-"):
        measure.replication_lag(other, "Odd", samples=1, timeout_s=1)


def test_latency_of_puts_and_gets(lab, lags):
    found = measure.latency(lab, "Music", samples=3)
    assert list(found.columns) == ["operation", "region", "ms", "late_ms", "error", "backend"]
    assert found["error"].isna().all()
    assert found.groupby(["operation", "region"]).size().to_dict() == {
        (operation, region): 3 for operation in ("put", "get") for region in TRIO}
    # From Singapore, a tenth of the round trip: about 20 ms to Virginia.
    assert (found[found["region"] == VIRGINIA]["ms"] > 10).all()

    beside = measure.beside_lag(found, lags)
    assert list(beside.columns) == ["operation", "region", "median_min_ms", "median_ms", "p90_min_ms", "p90_ms",
                                    "backend"]
    assert set(beside["operation"]) == {"put", "get", "replication lag"} and set(beside["backend"]) == {LABEL}
    assert (beside["median_ms"] <= beside["p90_ms"]).all() and (beside["median_min_ms"] <= beside["median_ms"]).all()
    assert (beside["p90_min_ms"] <= beside["p90_ms"]).all()
    lag = beside[(beside["operation"] == "replication lag") & (beside["region"] == IRELAND)]
    found = lags[lags["target"] == IRELAND]
    assert lag["median_ms"].item() == percentile(found["lag_min_ms"], found["lag_max_ms"], 0.5).high


def test_summary_and_arrivals(lags):
    summary = measure.summary(lags)
    assert list(summary["target"]) == [VIRGINIA, IRELAND] and list(summary["place"]) == ["N. Virginia", "Ireland"]
    assert list(summary["probes"]) == [6, 6]
    assert (summary["median_min_ms"] <= summary["median_max_ms"]).all()
    assert (summary["p90_max_ms"] <= summary["slowest_max_ms"]).all()

    arrivals = measure.arrivals(lags, writes=2)
    assert list(arrivals.columns) == ["write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms", "backend"]
    assert list(arrivals["region"]) == [SINGAPORE, VIRGINIA, IRELAND] * 2
    assert list(arrivals["role"]) == ["source", "target", "target"] * 2
    assert arrivals["sent_ms"].min() == 0
    assert (arrivals["sent_ms"] <= arrivals["seen_min_ms"]).all()
    assert (arrivals["seen_min_ms"] <= arrivals["seen_max_ms"]).all()


# --- stages ---

def test_a_stage_that_is_reached_is_left_alone(lab, capsys):
    before = lab.client(SINGAPORE).describe_table(TableName="Music")["Table"]["CreationDateTime"]
    stages.ensure_tables(lab)
    stages.ensure_global_table(lab)
    assert capsys.readouterr().out == ""
    assert lab.client(SINGAPORE).describe_table(TableName="Music")["Table"]["CreationDateTime"] == before
    assert set(stages.members_of(lab)) == regions_with_table(lab) == set(TRIO)


def test_a_stage_brings_only_what_is_missing_and_says_so(lab, capsys):
    wider = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND, "sa-east-1"])
    stages.ensure_global_table(wider)
    shown = capsys.readouterr().out
    assert "table Music in São Paulo (sa-east-1)" in shown and "global table Music with São Paulo" in shown
    assert "Singapore" not in shown
    assert set(stages.members_of(wider)) == {*TRIO, "sa-east-1"}
    wider.client(SINGAPORE).update_global_table(GlobalTableName="Music", ReplicaUpdates=[
        {"Delete": {"RegionName": "sa-east-1"}}])  # as the other tests have it


def test_tables_that_cannot_be_joined_are_explained(lab, capsys):
    other = gtlab.connect(home="eu-west-3", replicas="eu-central-1")
    assert regions_with_table(other) and stages.members_of(other)  # the trio's is there already
    stages.ensure_tables(other)
    assert "Paris (eu-west-3), Frankfurt (eu-central-1)" in capsys.readouterr().out
    other.client("eu-central-1").put_item(TableName="Music", Item=song())
    with pytest.raises(RuntimeError, match=r"(?s)cannot be joined: .*contains data.*gtlab clean"):
        stages.ensure_global_table(other)
    assert set(stages.members_of(other)) == set(TRIO)


def test_where_the_old_call_is_refused_todays_call_joins_the_same_tables(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    with process.throwaway("instant", legacy_api="2026"):
        lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
        with lab.legacy_face("historic"):
            stages.ensure_tables(lab)  # provisioned tables in two Regions, as 01 leaves them
        lab.client(VIRGINIA).put_item(TableName="Music", Item=song())
        with pytest.raises(RuntimeError, match=r"already existed as tables.*\n.*gtlab clean"):
            stages.ensure_global_table(lab)
        lab.client(VIRGINIA).delete_item(TableName="Music", Key=song())
        stages.ensure_global_table(lab)
        shown = capsys.readouterr().out
        assert "deletes the empty table Music in N. Virginia" in shown and "changes table Music in Singapore" in shown
        described = lab.client(SINGAPORE).describe_table(TableName="Music")["Table"]
        assert [entry["RegionName"] for entry in described["Replicas"]] == [VIRGINIA, IRELAND]
        lab.client(IRELAND).put_item(TableName="Music", Item=song())
        watch.item(lab, "Music", song())
        stages.ensure_global_table(lab)
        assert capsys.readouterr().out == "", "there is nothing left to do"


def test_a_global_table_of_the_old_version_is_kept_where_the_old_calls_are_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    with process.throwaway("instant"):
        lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA])
        stages.ensure_global_table(lab)
        with lab.legacy_face("2026"):
            stages.ensure_global_table(lab)
        assert "is used as it is" in capsys.readouterr().out
        assert set(stages.members_of(lab)) == {SINGAPORE, VIRGINIA}
