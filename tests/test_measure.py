"""Measured lags against the truth: the local cloud's journal knows when each write was committed, and arrived."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, wait_until

import gtlab
from gtlab import measure, stages
from gtlab.cli import main
from gtlab.contract import CALLER_HEADER
from gtlab.lab import Lab
from gtlab.localcloud import process
from gtlab.measure import planning, probes, transport

pytestmark = pytest.mark.server

TARGETS = [VIRGINIA, IRELAND]


@pytest.fixture(scope="module")
def lab():
    """A lab in a cloud of its own, where tests may break the world."""
    with process.throwaway("fast", seed=4):
        lab = gtlab.connect(home=SINGAPORE, replicas=TARGETS)
        stages.ensure_global_table(lab)
        yield lab


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, str, float]]:
    """Every request that a measurement sends: Region, operation, and how many items it reads."""
    found, send = [], transport.Sender.send

    def noted(self, request):
        asked = json.loads(request.body)
        items = sum(len(each["Keys"]) for each in asked.get("RequestItems", {}).values())
        found.append((self.region, request.headers["X-Amz-Target"].decode().rpartition(".")[2], items))
        assert request.headers[CALLER_HEADER] == SINGAPORE
        return send(self, request)

    monkeypatch.setattr(transport.Sender, "send", noted)
    return found


def true_times(lab: Lab, lags: pd.DataFrame) -> pd.DataFrame:
    """The lags with ``committed_ms`` and ``visible_ms``, since each put's sending, by the journal."""
    events = lab.events(kinds=["write", "delivery"], table="Music")
    events = events[events["key"].str.contains("gtlab-probe") & ~events["deleted"].fillna(False)]
    events["probe"] = events["key"].str.extract(r"-(\d+) /", expand=False).astype(int)
    events["at"] = events["time"].astype("int64").astype(float)
    events["at"] *= {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[events["time"].dt.unit]
    newest = events.drop_duplicates(["probe", "kind", "region"], keep="last")  # of this measurement
    at = newest.set_index(["kind", "probe", "region"])["at"]
    return lags.assign(
        committed_ms=[(at["write", row.probe, row.source] - row.sent_at) * 1000 for row in lags.itertuples()],
        visible_ms=[(at["delivery", row.probe, row.target] - row.sent_at) * 1000 for row in lags.itertuples()])


def share_within(found: pd.DataFrame, low: str, true: pd.Series, high: str) -> float:
    return float(((found[low] <= true) & (true <= found[high])).mean())


def probes_in(lab: Lab, region: str) -> int:
    return sum("probe" in item["Artist"]["S"] for item in lab.client(region).scan(TableName="Music")["Items"])


def assert_no_probes(lab: Lab) -> None:
    wait_until(lambda: not any(probes_in(lab, region) for region in lab.regions), "the probes to be gone")


@contextmanager
def once_begun(lab: Lab, then: Callable[[], None], region: str = SINGAPORE, probes: int = 1) -> Iterator[None]:
    """Do something beside the block, as soon as so many probes of its measurement are in a Region, and not after it."""
    assert_no_probes(lab)  # those of a measurement before may still be on their way
    left = threading.Event()

    def wait_for_them() -> None:
        while probes_in(lab, region) < probes:
            if left.wait(0.02):
                return
        then()

    waiting = threading.Thread(target=wait_for_them)
    waiting.start()
    try:
        yield
    finally:
        left.set()
        waiting.join()


def for_a_while(broken: Callable[[], AbstractContextManager], seconds: float) -> Callable[[], None]:
    """What breaks the world and mends it after some time."""
    def break_it() -> None:
        with broken():
            time.sleep(seconds)

    return break_it


def press_ctrl_c() -> None:
    """After the measurement it would end the tests."""
    signal.raise_signal(signal.SIGINT)


# --- the truth ---

def test_every_interval_holds_the_truth(lab):
    found = true_times(lab, measure.replication_lag(lab, "Music", samples=30, every_ms=10))
    lag = found["visible_ms"] - found["committed_ms"]
    assert len(found) == 60
    assert share_within(found, "missed_ms", found["visible_ms"], "seen_ms") == 1
    assert share_within(found, "hard_min_ms", lag, "hard_max_ms") == 1
    # The refined ones assume that paths are symmetric, and a busy machine holds some messages up one way only. What
    # they hold then is in test_reads.py; how often on a quiet machine, benchmarks/probe_accuracy.py measures.
    assert (found["committed_max_ms"] <= found["put_ms"]).all() and (found["missed_again"] == 0).all()


@pytest.mark.long(25)
def test_on_realistic_distances_the_refined_interval_is_a_fraction_of_the_round_trip():
    with process.throwaway("realistic", seed=6):
        lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA])
        stages.ensure_global_table(lab)
        found = true_times(lab, measure.replication_lag(lab, "Music", samples=30))
    lag = found["visible_ms"] - found["committed_ms"]
    assert share_within(found, "hard_min_ms", lag, "hard_max_ms") == 1
    widths = measure.widths(found).iloc[0]
    assert widths["hard_width_ms"] > widths["rtt_ms"] > 170  # 219 ms is the median
    # 23 ms on a quiet machine, whatever the distance: benchmarks/probe_accuracy.py.
    assert widths["refined_width_ms"] < widths["hard_width_ms"]
    assert found["symmetric"].all()
    # Distance is told apart: the lag does not hold the reader's way.
    assert (found["rtt_ms"] > 170).all() and (found["source_rtt_ms"] < found["rtt_ms"]).all()


def test_a_lag_is_no_latency_a_link_that_is_slow_for_readers_only_changes_nothing(lab):
    """With the lag fixed, a slower way to the target widens the hard interval, and moves neither."""
    with lab.world.lag(0.2), lab.world.slow(SINGAPORE, VIRGINIA, 1500):
        found = true_times(lab, measure.replication_lag(lab, "Music", targets=VIRGINIA, samples=10))
    lag = found["visible_ms"] - found["committed_ms"]
    assert (lag >= 199).all() and share_within(found, "hard_min_ms", lag, "hard_max_ms") == 1
    # Half the way would be 750 ms more.
    assert found["lag_max_ms"].median() >= 199 and found["lag_min_ms"].median() < 200 + 750
    assert found["rtt_ms"].iloc[0] > 1500 and ((found["hard_max_ms"] - found["hard_min_ms"]) > 750).all()


# --- cost, and what is sent ---

def test_a_plan_equals_what_is_sent(lab, sent):
    with lab.world.lag(1.0):  # what a plan expects
        planned = measure.plan(lab, "Music", targets=VIRGINIA, samples=30, every_ms=20)
        assert sent == []
        found = measure.replication_lag(lab, "Music", targets=VIRGINIA, samples=30, every_ms=20)
    told = {(row["region"], row["what"]): row for row in found.attrs["sent"]}
    counted = {(SINGAPORE, "put"): [each for each in sent if each[1] == "PutItem"],
               (SINGAPORE, "read at home"): [each for each in sent if each[:2] == (SINGAPORE, "BatchGetItem")],
               (VIRGINIA, "read"): [each for each in sent if each[0] == VIRGINIA]}
    for place, requests in counted.items():
        assert told[place]["requests"] == len(requests), place
        assert told[place]["failed"] == 0
    assert told[VIRGINIA, "read"]["units"] == sum(items for *_, items in counted[VIRGINIA, "read"]) / 2
    assert set(zip(planned["region"], planned["what"], strict=True)) == {*counted, (SINGAPORE, "delete")}
    # Three seconds of puts, and a poll every 20 ms; a busy machine polls less often than was planned.
    assert planned.set_index("what").loc["read", "requests"] >= 3 / 0.02
    for row in planned.itertuples():
        real = told[row.region, row.what]
        assert real["requests"] <= row.requests_most and real["units"] <= row.units_most
        assert real["requests"] > 0 and row.requests <= row.requests_most
        if row.unit == "write":
            assert (real["requests"], real["units"]) == (row.requests, row.units)
    assert 30 / 10 <= found.attrs["seconds"] and 30 / 10 <= planned.attrs["seconds"]  # thirty puts, ten per second


def test_a_plan_counts_units_and_dollars(lab):
    planned = measure.plan(lab, "Music", samples=100).set_index(["region", "what"])
    put = planned.loc[(SINGAPORE, "put")]
    assert (put["requests"], put["units"], put["unit"]) == (100, 300, "write")  # each write in all three Regions
    # At the price of each Region; Singapore's is not known, so it is the upper bound.
    assert put["dollars"] == pytest.approx(100 * (2 * 0.625 + 0.625 + 0.705) * 1e-6)
    read_there = planned.loc[(VIRGINIA, "read")]
    assert read_there["dollars"] == pytest.approx(read_there["units"] * 0.125e-6)
    assert planned["dollars_most"].sum() == pytest.approx(planned.attrs["dollars_most"])
    assert 0 < planned.attrs["dollars"] < planned.attrs["dollars_most"] < 0.2
    assert planned.attrs["prices"] == (
        "on-demand list prices of us-east-1 of 2024-11-01, eu-west-1 of 2026-09-11; for ap-southeast-1 an upper bound, "
        "2 times us-east-1; data transfer is not included")
    strong = measure.plan(lab, "Music", samples=100, consistent=True).set_index(["region", "what"])
    assert strong.loc[(VIRGINIA, "read"), "units"] == pytest.approx(2 * read_there["units"])
    assert "dollars" in planning.words(measure.plan(lab, "Music"))


def test_a_part_of_a_probe_is_refused(lab):
    for measured in (measure.plan, measure.replication_lag, measure.latency):
        with pytest.raises(ValueError, match=r"samples is 2\.5; it must be a whole number"):
            measured(lab, "Music", samples=2.5)


def test_more_targets_send_no_more_requests_a_second(lab):
    both = measure.plan(lab, "Music").attrs["requests_per_s"]
    assert both == measure.plan(lab, "Music", targets=VIRGINIA).attrs["requests_per_s"] < 400


@pytest.mark.parametrize("measured", [measure.plan, measure.replication_lag])
def test_a_table_whose_capacity_does_not_bear_the_polls_is_refused_on_aws(lab, monkeypatch, measured):
    monkeypatch.setattr(lab, "backend", "aws")
    with pytest.raises(ValueError, match=r"Music has 1 read units per second provisioned in us-east-1.*on-demand"):
        measured(lab, "Music", samples=1)


def test_a_target_that_is_no_replica_is_refused_at_once(lab):
    """Of a table that is nowhere else, and of one that is somewhere else."""
    for region in lab.regions:
        lab.client(region).create_table(**ON_DEMAND | {"TableName": "Apart"})
    gtlab.watch.tables(lab, "Apart", "ACTIVE", lab.regions)
    refused = r"Table Apart in eu-west-1 is not a replica of the table in ap-southeast-1.*Replicas of the table: {}\."
    with pytest.raises(ValueError, match=refused.format("none")):
        measure.replication_lag(lab, "Apart", targets=IRELAND, samples=1)
    lab.client(VIRGINIA).delete_table(TableName="Apart")
    gtlab.watch.tables(lab, "Apart", gtlab.watch.ABSENT, [VIRGINIA])
    lab.client(SINGAPORE).update_table(TableName="Apart", ReplicaUpdates=[{"Create": {"RegionName": VIRGINIA}}])
    gtlab.watch.tables(lab, "Apart", "ACTIVE", [SINGAPORE, VIRGINIA])
    with pytest.raises(ValueError, match=refused.format("us-east-1")):
        measure.replication_lag(lab, "Apart", samples=1)
    assert len(measure.replication_lag(lab, "Apart", targets=VIRGINIA, samples=1)) == 1


def test_more_probes_than_a_batch_holds_are_all_asked_for(lab):
    with lab.world.lag(2.5):
        found = true_times(lab, measure.replication_lag(lab, "Music", targets=VIRGINIA, samples=150, rate=100,
                                                        every_ms=20))
    assert found["seen_ms"].notna().all() and (found["hard_max_ms"] >= 2500).all()
    assert share_within(found, "hard_min_ms", found["visible_ms"] - found["committed_ms"], "hard_max_ms") == 1


# --- slow and broken ones ---

def test_a_slow_target_delays_nothing(lab):
    with lab.world.slow(SINGAPORE, IRELAND, 1500):
        found = measure.replication_lag(lab, "Music", samples=20)
    by_target = dict(list(found.groupby("target")))
    assert by_target[IRELAND]["rtt_ms"].iloc[0] > 1500
    # The puts went out on time all the same, and the other target is known as finely as ever.
    gaps = by_target[VIRGINIA]["sent_ms"].diff().dropna()
    assert gaps.median() < 750 and found["sent_ms"].max() < 20 * 1500  # one after the other, it would be more
    widths = measure.widths(found).set_index("target")
    assert widths.loc[VIRGINIA, "hard_width_ms"] < 1500 < widths.loc[IRELAND, "hard_width_ms"]
    polls = {row["region"]: row["requests"] for row in found.attrs["sent"] if row["what"] == "read"}
    assert polls[VIRGINIA] > 20  # one at a time, Ireland's answers would leave room for two or three


def test_a_target_that_is_down_for_a_while_is_waited_for(lab):
    with once_begun(lab, for_a_while(lambda: lab.world.outage(VIRGINIA, "error"), 1.0)):
        found = measure.replication_lag(lab, "Music", samples=15, every_ms=20)
    there = found[found["target"] == VIRGINIA]
    assert there["seen_ms"].notna().all() and (there["hard_max_ms"] > 500).any()
    failed = {row["region"]: row["failed"] for row in found.attrs["sent"] if row["what"] == "read"}
    assert failed[VIRGINIA] > 0 and failed[IRELAND] == 0


def test_what_is_never_seen_is_kept_as_later_than_the_last_miss(lab):
    with lab.world.lag(60, SINGAPORE, IRELAND):
        with pytest.raises(TimeoutError, match="No probe was seen in eu-west-1 within 1 s"):
            measure.replication_lag(lab, "Music", targets=IRELAND, samples=2, timeout_s=1)
        # What the other one saw is kept.
        found = measure.replication_lag(lab, "Music", samples=3, timeout_s=5).set_index("target")["seen_ms"]
        assert found[VIRGINIA].notna().all() and found[IRELAND].isna().all()
    # One in the middle is late, the others come.
    with once_begun(lab, for_a_while(lambda: lab.world.lag(60, SINGAPORE, IRELAND), 0.5)):
        found = measure.replication_lag(lab, "Music", samples=20, timeout_s=5)
    there = found[found["target"] == IRELAND]
    unseen = there[there["seen_ms"].isna()]
    assert 0 < len(unseen) < 20
    assert unseen["lag_max_ms"].isna().all() and (unseen["lag_min_ms"] > 1000).all()
    assert measure.summary(found).set_index("target").loc[IRELAND, "not_seen"] == len(unseen)


def test_ctrl_c_keeps_what_was_measured_and_cleans_up(lab, capsys):
    with once_begun(lab, press_ctrl_c, VIRGINIA, 5):
        found = measure.replication_lag(lab, "Music", samples=2000)
    probes_put = found["probe"].nunique()
    assert 5 <= probes_put < 2000 and found["seen_ms"].notna().any()
    assert f"Stopped after {probes_put} of 2000 probes" in capsys.readouterr().out
    assert_no_probes(lab)
    assert len(measure.replication_lag(lab, "Music", samples=1)) == 2  # nothing is left behind that would disturb


def test_a_second_ctrl_c_keeps_what_was_measured_too(lab, capsys, monkeypatch):
    monkeypatch.setattr("gtlab.measure.lag.delete", lambda *_: signal.raise_signal(signal.SIGINT))
    with once_begun(lab, press_ctrl_c, VIRGINIA, 5):
        found = measure.replication_lag(lab, "Music", samples=2000)
    assert found["seen_ms"].notna().any()
    told = capsys.readouterr().out
    assert "may be left in table Music" in told and "what was measured is kept" in told
    prefix = re.search(r"begin with (gtlab-probe-[0-9a-f]+-)", told).group(1)
    left = lab.client(SINGAPORE).scan(TableName="Music")["Items"]
    keys = [{name: item[name] for name in ("Artist", "SongTitle")} for item in left
            if item["Artist"]["S"].startswith(prefix)]
    assert len(keys) == found["probe"].nunique()
    probes.delete(lab, "Music", SINGAPORE, keys)
    assert_no_probes(lab)


def test_refusals_of_the_service_are_raised(lab):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        measure.replication_lag(lab, "Nowhere", samples=1)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        measure.latency(lab, "Nowhere", samples=1)


def test_a_clean_up_that_fails_is_told_and_costs_nothing(lab, capsys):
    probes.delete(lab, "Nowhere", SINGAPORE, [{"Artist": {"S": "x"}}])
    assert "could not be deleted from table Nowhere" in capsys.readouterr().out


def test_a_clean_up_that_is_throttled_ends(lab, capsys, monkeypatch):
    monkeypatch.setattr(probes, "_DELETING_S", 0.5)
    with lab.world.throttle("Music", SINGAPORE, write_units=0, burst_s=0):
        probes.delete(lab, "Music", SINGAPORE, [{"Artist": {"S": "x"}, "SongTitle": {"S": "x"}}])
    assert "could not be deleted from table Music" in capsys.readouterr().out


# --- latency ---

def test_latency_counts_the_waiting_of_calls_that_came_while_the_service_was_slow(lab):
    """A loop would send one call in the slow second. Sent on a schedule, all that came then are counted."""
    with once_begun(lab, for_a_while(lambda: lab.world.slow(SINGAPORE, VIRGINIA, 1000), 1.0)):
        found = measure.latency(lab, "Music", [VIRGINIA], samples=40, rate=20)
    assert (found["ms"] > 900).sum() >= 3
    table = measure.percentiles(found, by=["region"])
    assert table["max_ms"].item() > 900 and table["calls"].item() == 80  # puts and gets


def test_one_table_says_what_strong_consistency_costs(lab):
    home = lab.client(SINGAPORE)
    home.create_table(TableName="Strong", BillingMode="PAY_PER_REQUEST",
                      AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                      KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    gtlab.watch.tables(lab, "Strong", "ACTIVE", [SINGAPORE])
    home.update_table(TableName="Strong", MultiRegionConsistency="STRONG",
                      ReplicaUpdates=[{"Create": {"RegionName": region}} for region in TARGETS])
    gtlab.watch.tables(lab, "Strong", "ACTIVE", lab.regions)
    # Far enough that what a busy machine adds does not count.
    with lab.world.slow(SINGAPORE, VIRGINIA, 400), lab.world.slow(SINGAPORE, IRELAND, 400):
        found = measure.compare(lab, ["Music", "Strong"], samples=15)
    assert set(zip(found["table"], found["consistency"], strict=True)) == {("Music", "eventual"), ("Strong", "strong")}
    assert len(found) == 2 * 3 * 3 and (found["calls"] == 15).all() and (found["failed"] == 0).all()
    p50 = found.set_index(["table", "operation", "region"])["p50_ms"]
    # The nearest other member is over 400 ms away: a strong put and a strong get wait for it.
    for operation in ("put", "strong get"):
        assert p50["Strong", operation, SINGAPORE] > p50["Music", operation, SINGAPORE] + 200
    assert p50["Strong", "get", SINGAPORE] < p50["Strong", "put", SINGAPORE] - 200
    assert set(found.loc[found["where"] == "home", "region"]) == {SINGAPORE}
    with pytest.raises(ValueError, match="no table Nowhere in"):
        measure.compare(lab, ["Music", "Nowhere"])
    with pytest.raises(ValueError, match="at least one table"):
        measure.compare(lab, [])
    with once_begun(lab, press_ctrl_c):
        stopped = measure.compare(lab, ["Music", "Strong"], samples=300)
    assert set(stopped["table"]) == {"Music"} and stopped["calls"].sum() < 2000


# --- the command ---

class Tags(HTMLParser):
    """Counts a page's tags, and notes whatever they fetch; what is in scripts is no tag."""

    def __init__(self):
        super().__init__()
        self.counts, self.strays = Counter(), []

    def handle_starttag(self, tag, attributes):
        self.counts[tag] += 1
        self.strays += [value for name, value in attributes if name in ("src", "href")]


def run(*arguments: str):
    return CliRunner().invoke(main, ["measure", *arguments])


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".html"])
def test_the_command_measures_and_writes(lab, tmp_path, kind):
    out = tmp_path / f"lags{kind}"
    ran = run("--source", SINGAPORE, "--targets", f"{VIRGINIA},{IRELAND}", "--samples", "8", "--out", str(out))
    assert ran.exit_code == 0, ran.output
    for told in ("percentile", IRELAND, "simulated", "Written:"):
        assert told in ran.output
    assert "ReplicationLatency" in ran.output and "average_ms" in ran.output
    if kind != ".html":
        import fastparquet  # which warns of pandas when it is imported first

        found = pd.read_csv(out) if kind == ".csv" else fastparquet.ParquetFile(out).to_pandas()
        assert len(found) == 16 and found["target"].tolist() == TARGETS * 8
        assert (found["lag_min_ms"] < found["lag_max_ms"]).all() and found["symmetric"].dtype == bool
        return
    text = out.read_text(encoding="utf-8")
    assert "simulated: local cloud, fast network" in text and "t-visibility" in text
    page = Tags()
    page.feed(text)
    assert page.counts["table"] == 4 and page.counts["script"] >= 4  # plotly itself, and three charts
    assert page.strays == []


def test_the_command_measures_other_endpoints(lab):
    urls = [f"{region}={lab.client(region).meta.endpoint_url}" for region in (SINGAPORE, VIRGINIA)]
    ran = run("--source", SINGAPORE, "--targets", VIRGINIA, "--samples", "2", "--table", "Music",
              "--endpoint", urls[0], "--endpoint", urls[1])
    assert ran.exit_code == 0, ran.output
    assert "other endpoints" in ran.output and "ReplicationLatency" not in ran.output


def test_a_rate_that_cannot_be_measured_is_refused_before_anything_is_made(monkeypatch):
    from gtlab.cli import report

    monkeypatch.setattr(report, "open_lab", lambda asked: pytest.fail("a lab was opened"))
    ran = run("--source", SINGAPORE, "--targets", VIRGINIA, "--rate", "0")
    assert ran.exit_code == 1 and "rate is 0.0" in ran.output


@pytest.mark.parametrize(("arguments", "text"), [
    (["--targets", "mars"], "'mars' is not a Region"),
    (["--targets", SINGAPORE], "is the source"),
    (["--targets", VIRGINIA, "--out", "lags.txt"], "ends in none of"),
    (["--targets", VIRGINIA, "--out", "no/such/folder/lags.csv"], "There is no folder"),
    (["--targets", VIRGINIA, "--out", "/proc/lags.csv"], "/proc/lags.csv cannot be written"),
    (["--targets", VIRGINIA, "--table", "Nowhere"],
     "(ResourceNotFoundException) when calling the DescribeTable operation: Requested resource not found: Table: "
     f"Nowhere not found (table Nowhere in {SINGAPORE})"),
    (["--targets", VIRGINIA, "--backend", "aws"], "--table NAME"),
    (["--targets", VIRGINIA, "--rate", "0"], "rate is 0.0; it must be a number of at least 0.1"),
    (["--targets", VIRGINIA, "--every-ms", "inf"], "every_ms is inf; it must be a number"),
    (["--targets", VIRGINIA, "--profile", "mine"], "--profile with --backend aws only"),
    (["--targets", VIRGINIA, "--backend", "aws", "--endpoint", f"{VIRGINIA}=http://127.0.0.1:1",
      "--endpoint", f"{SINGAPORE}=http://127.0.0.1:1"], "Give --endpoint or --backend aws, not both"),
    (["--targets", VIRGINIA, "--endpoint", f"{VIRGINIA}=http://127.0.0.1:1",
      "--endpoint", f"{VIRGINIA}=http://127.0.0.1:2"], "Two endpoints were given for one Region"),
    (["--targets", VIRGINIA, "--endpoint", "somewhere"], "is not an endpoint"),
    (["--targets", VIRGINIA, "--endpoint", f"{VIRGINIA}=http://127.0.0.1:1"], f"No endpoint was given for {SINGAPORE}"),
    (["--targets", VIRGINIA, "--table", "Music", "--endpoint", f"{VIRGINIA}=http://127.0.0.1:1",
      "--endpoint", f"{SINGAPORE}=http://127.0.0.1:1"], "other endpoints: Could not connect"),
])
def test_the_users_mistakes_are_told_in_a_line(lab, arguments, text):
    ran = run("--source", SINGAPORE, "--samples", "1", *arguments)
    assert ran.exit_code == 1 and isinstance(ran.exception, SystemExit)
    assert text in ran.output and "Traceback" not in ran.output
    assert ran.output.strip().splitlines()[-1].startswith("Error: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_what_cannot_be_written_is_written_elsewhere(lab, tmp_path):
    (tmp_path / "lags.csv").symlink_to("/dev/full")
    ran = run("--source", SINGAPORE, "--targets", VIRGINIA, "--samples", "3", "--out", str(tmp_path / "lags.csv"))
    assert ran.exit_code == 1 and "lags.csv could not be written: No space left" in ran.output
    kept = Path(re.search(r"Every probe is in (\S+)", ran.output).group(1))
    assert len(pd.read_csv(kept)) == 3
    kept.unlink()


def test_the_file_is_there_before_anything_else_can_go_wrong(lab, tmp_path, monkeypatch):
    from gtlab.cli import report

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "published", interrupted)
    ran = run("--source", SINGAPORE, "--targets", VIRGINIA, "--samples", "3", "--out", str(tmp_path / "lags.html"))
    assert ran.exit_code == 1 and "t-visibility" in (tmp_path / "lags.html").read_text()


def test_aws_is_asked_only_after_its_cost_was_told(lab, monkeypatch):
    """A lab that says it is AWS: the cost is told, the question asked, and nothing sent where the answer is no."""
    from gtlab.cli import report

    here = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA])
    stages.ensure_today(here)
    monkeypatch.setattr(here, "backend", "aws")
    monkeypatch.setattr(report, "open_lab", lambda *_: here)
    monkeypatch.setattr(report, "replication_lag", lambda *_, **__: pytest.fail("it went on"))
    ran = run("--source", SINGAPORE, "--targets", VIRGINIA, "--table", stages.TODAY, "--backend", "aws")
    assert "dollars" in ran.output and "at your cost" in ran.output
    assert ran.output.index("dollars") < ran.output.index("at your cost")
    assert "Aborted!" in ran.output and "Error:" not in ran.output  # nobody there to answer
