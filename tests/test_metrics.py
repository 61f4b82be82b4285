"""CloudWatch's ReplicationLatency on the local cloud, by boto3; and the service's figure beside the measured one."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from support import IRELAND, OHIO, OREGON, SINGAPORE, STRONG, VIRGINIA, add, create, replicas, song

import gtlab
from gtlab import measure, stages
from gtlab.localcloud import process
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe import metrics
from gtlab.localcloud.observe.metrics import Metrics

METRIC = {"Namespace": "AWS/DynamoDB", "MetricName": "ReplicationLatency"}


def dimensions(receiving: str, table: str = "Music") -> list[dict]:
    return [{"Name": "TableName", "Value": table}, {"Name": "ReceivingRegion", "Value": receiving}]


def item(name: str = "a", **texts: str) -> dict:
    return {"Artist": {"S": name}} | {attribute: {"S": text} for attribute, text in texts.items()}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def latencies(pretend, region: str, receiving: str, **changes) -> list[dict]:
    asked = METRIC | {"Dimensions": dimensions(receiving), "StartTime": moment(pretend.now - 3600),
                      "EndTime": moment(pretend.now + 60), "Period": 60,
                      "Statistics": ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]}
    found = pretend.client(region, "cloudwatch").get_metric_statistics(**asked | changes)
    assert found["Label"] == "ReplicationLatency"
    return found["Datapoints"]


@pytest.fixture
def member(pretend, ohio):
    """Ohio's table, with a replica in Virginia, at a whole minute."""
    add(ohio, VIRGINIA)
    pretend.wait(40)
    pretend.wait(-pretend.now % 60)
    return ohio


def test_each_minute_has_the_latencies_of_what_arrived_in_it(pretend, member):
    written = {}
    for minute, count in ((0, 3), (1, 2)):
        for each in range(count):
            member.put_item(TableName="Music", Item=item(f"{minute}/{each}"))
            written[f"{minute}/{each}"] = pretend.now
            pretend.wait(5)
        pretend.wait(-pretend.now % 60)
    true = {event.key["Artist"]["S"]: event.detail["lag_ms"] for event in pretend.cloud.journal.since(0)
            if event.kind == "delivery"}
    assert true.keys() == written.keys()
    first, second = sorted(latencies(pretend, OHIO, VIRGINIA), key=lambda point: point["Timestamp"])
    for point, minute, count in ((first, 0, 3), (second, 1, 2)):
        of = [lag for key, lag in true.items() if key.startswith(f"{minute}/")]
        assert point["SampleCount"] == count == len(of) and point["Unit"] == "Milliseconds"
        assert point["Sum"] == pytest.approx(sum(of)) and point["Average"] == pytest.approx(sum(of) / count)
        assert (point["Minimum"], point["Maximum"]) == pytest.approx((min(of), max(of)))
        assert point["Timestamp"].second == 0
    assert second["Timestamp"] - first["Timestamp"] == timedelta(minutes=1)


def test_it_is_published_in_the_source_region_by_receiving_region(pretend, member):
    add(member, IRELAND)
    pretend.wait(60)
    pretend.client(IRELAND).put_item(TableName="Music", Item=item("irish"))
    pretend.wait(10)
    assert [point["SampleCount"] for point in latencies(pretend, IRELAND, OHIO)] == [1]
    assert [point["SampleCount"] for point in latencies(pretend, IRELAND, VIRGINIA)] == [1]
    assert latencies(pretend, OHIO, IRELAND) == latencies(pretend, VIRGINIA, IRELAND) == []
    listed = pretend.client(IRELAND, "cloudwatch").list_metrics(Namespace="AWS/DynamoDB")["Metrics"]
    assert {tuple(each["Value"] for each in metric["Dimensions"]) for metric in listed} == {
        ("Music", OHIO), ("Music", VIRGINIA)}
    assert all(metric | METRIC == metric for metric in listed)
    assert pretend.client(OHIO, "cloudwatch").list_metrics()["Metrics"] == []


def test_list_metrics_filters_by_name_and_dimension(pretend, member):
    member.put_item(TableName="Music", Item=item())
    pretend.wait(10)
    cloudwatch = pretend.client(OHIO, "cloudwatch")
    for found, asked in ((1, {"Dimensions": [{"Name": "ReceivingRegion"}]}), (1, {"Dimensions": dimensions(VIRGINIA)}),
                         (0, {"Dimensions": dimensions(IRELAND)}), (0, {"MetricName": "ThrottledRequests"}),
                         (0, {"Dimensions": [{"Name": "Operation"}]}), (1, {"MetricName": "ReplicationLatency"})):
        assert len(cloudwatch.list_metrics(**asked)["Metrics"]) == found, asked


def test_a_metric_is_recently_active_for_three_hours(pretend, member):
    cloudwatch = pretend.client(OHIO, "cloudwatch")
    member.put_item(TableName="Music", Item=item())
    pretend.wait(3 * 3600 - 120)
    assert len(cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"]) == 1
    pretend.wait(240)
    assert cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"] == []
    assert len(cloudwatch.list_metrics()["Metrics"]) == 1
    with pytest.raises(ClientError, match="The parameter RecentlyActive has no value PT1H"):
        cloudwatch.list_metrics(RecentlyActive="PT1H")


def test_what_waited_for_a_partition_has_waited_so_long(pretend, member):
    pretend.cloud.turn("partition", (OHIO, VIRGINIA), None, pretend.now)
    member.put_item(TableName="Music", Item=item())
    pretend.wait(200)
    assert latencies(pretend, OHIO, VIRGINIA) == []
    pretend.cloud.turn_back("partition", (OHIO, VIRGINIA), pretend.now)
    pretend.wait(5)
    (point,) = latencies(pretend, OHIO, VIRGINIA)
    assert 200_000 <= point["Maximum"] <= 206_000


def test_what_a_new_replica_is_filled_with_was_not_replicated_late(pretend, ohio):
    ohio.put_item(TableName="Music", Item=item("before"))
    pretend.wait(600)
    add(ohio, VIRGINIA)
    pretend.wait(900)
    assert pretend.client(VIRGINIA).get_item(TableName="Music", Key=item("before"))["Item"]
    assert latencies(pretend, OHIO, VIRGINIA) == []


def test_what_lost_a_conflict_never_appeared(pretend, member):
    virginia = pretend.client(VIRGINIA)
    member.put_item(TableName="Music", Item=item(v="older"))
    pretend.wait(0.01)
    virginia.put_item(TableName="Music", Item=item(v="newer"))
    pretend.wait(10)
    assert latencies(pretend, OHIO, VIRGINIA) == []
    assert [point["SampleCount"] for point in latencies(pretend, VIRGINIA, OHIO)] == [1]


def test_strongly_consistent_global_tables_have_no_such_metric(pretend, ohio):
    replicas(ohio, *create(VIRGINIA, OREGON), **STRONG)
    pretend.wait(60)
    ohio.put_item(TableName="Music", Item=item())
    pretend.wait(30)
    assert pretend.client(VIRGINIA).get_item(TableName="Music", Key=item())["Item"]
    assert latencies(pretend, OHIO, VIRGINIA) == []
    assert pretend.client(OHIO, "cloudwatch").list_metrics()["Metrics"] == []


def test_legacy_global_tables_have_it(pretend):
    clients = [pretend.client(region) for region in (SINGAPORE, VIRGINIA)]
    for each in clients:
        each.create_table(**stages.MUSIC)
    pretend.wait(15)
    clients[0].create_global_table(GlobalTableName="Music", ReplicationGroup=[
        {"RegionName": region} for region in (SINGAPORE, VIRGINIA)])
    pretend.wait(30)
    clients[0].put_item(TableName="Music", Item=song())
    pretend.wait(10)
    assert [point["SampleCount"] for point in latencies(pretend, SINGAPORE, VIRGINIA)] == [1]


def test_longer_periods_begin_with_the_start_and_hold_all_of_it(pretend, member):
    began = pretend.now
    for _ in range(6):
        member.put_item(TableName="Music", Item=item(v=str(pretend.now)))
        pretend.wait(60)
    points = latencies(pretend, OHIO, VIRGINIA, StartTime=moment(began + 59), EndTime=moment(began + 360), Period=180)
    by_time = {point["Timestamp"].timestamp() - began: point["SampleCount"] for point in points}
    assert by_time == {0: 3, 180: 3}
    assert sum(point["SampleCount"] for point in latencies(
        pretend, OHIO, VIRGINIA, StartTime=moment(began + 60), EndTime=moment(began + 120))) == 1


def query(receiving: str, stat: str = "Average", name: str = "q", **more) -> dict:
    return {"Id": name, "MetricStat": {"Metric": METRIC | {"Dimensions": dimensions(receiving)}, "Period": 60,
                                       "Stat": stat}} | more


def test_get_metric_data_gives_the_same_figures_also_in_pages(pretend, member, monkeypatch):
    for _ in range(3):
        member.put_item(TableName="Music", Item=item(v=str(pretend.now)))
        pretend.wait(60)
    span = {"StartTime": moment(pretend.now - 600), "EndTime": moment(pretend.now + 60)}
    cloudwatch = pretend.client(OHIO, "cloudwatch")
    queries = [query(VIRGINIA), query(VIRGINIA, "Maximum", "most", Label="slowest"),
               query(VIRGINIA, "p99", "percentile"), query(IRELAND, name="nobody"),
               query(VIRGINIA, name="silent", ReturnData=False)]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert [result["Id"] for result in found] == ["q", "most", "percentile", "nobody"]
    average, most, percentile, nobody = found
    points = sorted(latencies(pretend, OHIO, VIRGINIA), key=lambda point: point["Timestamp"], reverse=True)
    assert average["Timestamps"] == [point["Timestamp"] for point in points] and len(points) == 3
    assert average["Values"] == [point["Average"] for point in points]
    assert (average["Label"], most["Label"]) == ("ReplicationLatency", "slowest")
    # Statistic sets have no percentiles, on the service as here.
    assert percentile["Values"] == nobody["Values"] == []
    monkeypatch.setattr(metrics, "_MOST_READ", 4)  # minutes: those of one query
    pages = list(cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **span))
    assert [result for page in pages for result in page["MetricDataResults"]] == found
    assert [[result["Id"] for result in page["MetricDataResults"]] for page in pages] == [
        ["q"], ["most", "percentile", "nobody"], []]
    oldest_first = cloudwatch.get_metric_data(MetricDataQueries=[query(VIRGINIA)], ScanBy="TimestampAscending", **span)
    assert oldest_first["MetricDataResults"][0]["Timestamps"] == average["Timestamps"][::-1]


HOUR = {"StartTime": moment(1_700_000_000), "EndTime": moment(1_700_003_600)}
ASKED = METRIC | HOUR | {"Period": 60, "Statistics": ["Average"]}


@pytest.mark.parametrize(("operation", "asked", "code", "text"), [
    ("get_metric_statistics", ASKED | {"EndTime": HOUR["StartTime"]}, "InvalidParameterValue", "must not equal"),
    ("get_metric_statistics", ASKED | {"EndTime": moment(0)}, "InvalidParameterValue", "must be less than"),
    ("get_metric_statistics", ASKED | {"Period": 61}, "InvalidParameterValue", "multiple of 60"),
    ("get_metric_statistics", ASKED | {"Period": 0}, "InvalidParameterValue", "multiple of 60"),
    ("get_metric_statistics", ASKED | {"Period": -60}, "InvalidParameterValue", "multiple of 60"),
    ("get_metric_statistics", ASKED | {"Statistics": ["Mean"]}, "InvalidParameterValue", "SampleCount, Sum, Average"),
    ("get_metric_statistics", ASKED | {"Statistics": []}, "InvalidParameterCombination", "At least one"),
    ("get_metric_statistics", ASKED | {"ExtendedStatistics": ["pp"]}, "InvalidParameterValue", "pp"),
    ("get_metric_statistics", ASKED | {"StartTime": moment(0)}, "InvalidParameterCombination", "limit of 1,440"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [query(VIRGINIA)], "NextToken": "/"}, "InvalidNextToken",
     "earlier"),
    ("get_metric_data", HOUR | {"MetricDataQueries": []}, "ValidationError", "1 to 500"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [query(VIRGINIA)] * 2}, "ValidationError", "not unique"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [query(VIRGINIA, name="Q")]}, "ValidationError", "small letter"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [query(VIRGINIA, "median")]}, "ValidationError", "median"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [{"Id": "e", "Expression": "1+1"}]}, "ValidationError",
     "no expressions"),
    ("get_metric_data", HOUR | {"MetricDataQueries": [query(VIRGINIA)], "ScanBy": "Time"}, "ValidationError", "ScanBy"),
    ("list_metrics", {"NextToken": "more"}, "InvalidParameterValue", "NextToken"),
    ("put_metric_data", {"Namespace": "Mine", "MetricData": []}, "UnknownOperationException", "does not have"),
    ("describe_alarms", {}, "UnknownOperationException", "does not have"),
])
def test_what_makes_no_sense_is_refused(pretend, operation, asked, code, text):
    with pytest.raises(ClientError, match=text) as refused:
        getattr(pretend.client(OHIO, "cloudwatch"), operation)(**asked)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_memory_is_bounded_and_the_oldest_minute_is_forgotten_first():
    metrics, table = Metrics(most_minutes=3), TableId("1" * 12, OHIO, "Music")
    for minute in range(4):
        for receiving in (VIRGINIA, IRELAND):
            metrics.replicated(table, receiving, 100.0, 60.0 * minute)
            metrics.replicated(table, receiving, 300.0, 60.0 * minute + 59)
    asked = METRIC | {"StartTime": 0, "EndTime": 600, "Period": 60, "Statistics": ["Average"]}

    def times(receiving: str) -> list[int]:
        found = metrics.get_statistics("1" * 12, OHIO, asked | {"Dimensions": dimensions(receiving)}, 0.0)["Datapoints"]
        assert all(point["Average"] == 200.0 for point in found)
        return [point["Timestamp"] for point in found]

    assert (times(VIRGINIA), times(IRELAND)) == ([180], [120, 180])


def test_many_metrics_come_in_pages():
    metrics = Metrics()
    for number in range(501):
        metrics.replicated(TableId("1" * 12, OHIO, f"Table{number}"), VIRGINIA, 1.0, 0.0)
    first = metrics.list("1" * 12, OHIO, {}, 0.0)
    second = metrics.list("1" * 12, OHIO, {"NextToken": first["NextToken"]}, 0.0)
    assert (len(first["Metrics"]), len(second["Metrics"])) == (500, 1) and "NextToken" not in second


# --- the learner's half, and the commands ---

@pytest.fixture(scope="module")
def lab():
    """A lab in a cloud of its own, where nobody else writes."""
    with process.throwaway("fast", seed=5):
        lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
        stages.ensure_global_table(lab)
        yield lab


@pytest.mark.server
def test_the_services_figure_stands_beside_the_measured_one(lab):
    lags = measure.replication_lag(lab, "Music", SINGAPORE, samples=15)
    service = measure.published(lab, "Music")
    assert set(service["target"]) == {VIRGINIA, IRELAND} and (service["source"] == SINGAPORE).all()
    assert str(service["minute"].dt.tz) == "UTC" and service["backend"].str.startswith("simulated").all()
    beside = measure.beside_published(lags, service).set_index("target")
    for target in (VIRGINIA, IRELAND):
        row = beside.loc[target]
        assert row["probes"] == 15 and row["writes"] >= 15
        assert row["min_ms"] <= row["average_ms"] <= row["max_ms"]
        mine = lags[lags["target"] == target]
        # The slowest of all writes is at least as slow as the slowest probe certainly was.
        assert row["max_ms"] >= mine["lag_min_ms"].max() - 1e-3
        assert row["min_ms"] <= mine["lag_max_ms"].min() + 1e-3


def test_figures_of_before_the_probes_are_left_out_and_nothing_published_is_missing():
    lags = pd.DataFrame({"source": SINGAPORE, "target": VIRGINIA, "sent_at": [1_700_000_130.0, 1_700_000_190.0],
                         "lag_min_ms": [400.0, 500.0], "lag_max_ms": [420.0, math.nan], "backend": "AWS"})
    columns = ["source", "target", "minute", "writes", "average_ms", "min_ms", "max_ms", "backend"]
    service = pd.DataFrame([
        (SINGAPORE, VIRGINIA, pd.Timestamp(at, unit="s", tz="UTC"), writes, average, average - 10, average + 10, "AWS")
        for at, writes, average in ((1_699_999_980, 9, 9000.0), (1_700_000_100, 1, 100.0), (1_700_000_160, 3, 500.0))
    ], columns=columns)
    row = measure.beside_published(lags, service).iloc[0]
    assert (row["probes"], row["mean_min_ms"], row["mean_max_ms"]) == (1, 400.0, 420.0)
    assert (row["writes"], row["average_ms"], row["min_ms"], row["max_ms"]) == (4, 400.0, 90.0, 510.0)
    nothing = measure.beside_published(lags, service.iloc[:0]).iloc[0]
    assert nothing["writes"] == 0 and math.isnan(nothing["average_ms"])


@pytest.mark.server
def test_other_endpoints_have_no_cloudwatch(lab):
    elsewhere = gtlab.connect({region: lab.client(region).meta.endpoint_url for region in (SINGAPORE, VIRGINIA)},
                              home=SINGAPORE, replicas=[VIRGINIA])
    with pytest.raises(ValueError, match="Only AWS and the local cloud"):
        measure.published(elsewhere, "Music")
    for wrong in ({"minutes": 0}, {"minutes": 1440}, {"source": "mars"}, {"targets": [SINGAPORE]}):
        with pytest.raises(ValueError):
            measure.published(lab, "Music", **wrong)
