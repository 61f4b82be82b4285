"""The part of CloudWatch that reports how long replication takes.

``ReplicationLatency``, by table and receiving Region, is published in the Region of the write: as one statistic set per
minute, so there are no percentiles. A minute can be read as soon as a delivery has arrived in it. Memory is bounded:
the newest MOST_MINUTES are kept.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gtlab.localcloud.model import Refusal, TableId

NAMESPACE, METRIC, UNIT = "AWS/DynamoDB", "ReplicationLatency", "Milliseconds"
MOST_MINUTES = 50_000      # of all tables together: six pairs of Regions for more than five days
_MINUTE_S = 60
_MOST_POINTS = 1440        # that GetMetricStatistics gives in one answer
_MOST_QUERIES = 500        # in one GetMetricData
_MOST_READ = 50_000        # minutes that are read for one answer of GetMetricData: some 70 ms
_PAGE = 500                # metrics in one answer of ListMetrics
_RECENT, _RECENT_S = "PT3H", 3 * 3600  # the only value of RecentlyActive, and its seconds
_STATISTICS: dict[str, Callable[[_Set], float]] = {
    "SampleCount": lambda of: float(of.samples), "Sum": lambda of: of.sum, "Average": lambda of: of.sum / of.samples,
    "Minimum": lambda of: of.least, "Maximum": lambda of: of.most,
}
_EXTENDED = re.compile(r"(?:p|tm|tc|ts|wm)[0-9]{1,2}(?:\.[0-9]+)?|p100|IQM|(?:PR|TM|TC|TS|WM)\([0-9.%]*:[0-9.%]*\)")
_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")


@dataclass(slots=True)
class _Set:
    """A statistic set: a summary of some values."""

    samples: int
    sum: float
    least: float
    most: float

    def add(self, value: float) -> None:
        self.samples += 1
        self.sum += value
        if value < self.least:
            self.least = value
        if value > self.most:
            self.most = value

    def with_(self, other: _Set) -> _Set:
        return _Set(self.samples + other.samples, self.sum + other.sum, min(self.least, other.least),
                    max(self.most, other.most))


class _Series(NamedTuple):
    """A metric: from the table that was written to a receiving Region."""

    table: TableId
    receiving: str

    def described(self) -> dict[str, Any]:
        return {"Namespace": NAMESPACE, "MetricName": METRIC, "Dimensions": [
            {"Name": "TableName", "Value": self.table.name}, {"Name": "ReceivingRegion", "Value": self.receiving}]}


class Metrics:
    """The published metrics of every account and Region. Times are epoch seconds."""

    def __init__(self, most_minutes: int = MOST_MINUTES) -> None:
        self._series: dict[_Series, dict[int, _Set]] = {}  # by the minute's first second
        self._known: deque[tuple[_Series, int]] = deque()  # every minute of all series, the oldest first
        self._most = most_minutes

    def replicated(self, table: TableId, receiving: str, lag_ms: float, at: float) -> None:
        """A write to a table took effect in another Region."""
        series, minute = _Series(table, receiving), int(at // _MINUTE_S) * _MINUTE_S
        minutes = self._series.setdefault(series, {})
        known = minutes.get(minute)
        if known is not None:
            known.add(lag_ms)
        else:
            minutes[minute] = _Set(1, lag_ms, lag_ms, lag_ms)
            self._known.append((series, minute))
            if len(self._known) > self._most:
                self._forget(*self._known.popleft())

    def _forget(self, series: _Series, minute: int) -> None:
        del self._series[series][minute]
        if not self._series[series]:
            del self._series[series]

    # The API: (account, Region, input, now) → output

    def get_statistics(self, account: str, region: str, data: dict[str, Any], now: float) -> dict[str, Any]:
        asked = data.get("Statistics", [])
        extended = data.get("ExtendedStatistics", [])
        if not asked and not extended:
            raise _refused("InvalidParameterCombination",
                           "At least one of the parameters Statistics and ExtendedStatistics must be specified.")
        for name in asked:
            if name not in _STATISTICS:
                raise _refused("InvalidParameterValue", f"The parameter Statistics has no value {name}; it has: "
                               f"{', '.join(_STATISTICS)}.")
        for name in extended:
            _check_extended(name, "ExtendedStatistics")
        start, end = _span(data, "InvalidParameterValue")
        period = _period(data["Period"])
        points = -(-(end - start) // period)
        if points > _MOST_POINTS:
            raise _refused("InvalidParameterCombination",
                           f"You have requested up to {points:,} datapoints, which exceeds the limit of "
                           f"{_MOST_POINTS:,}. You may reduce the datapoints requested by increasing Period, or "
                           "decreasing the time range.")
        found = (self._points(_asked_for(account, region, data, data.get("Unit")), period, start, end) if asked
                 else ())
        return {"Label": data["MetricName"], "Datapoints": [
            {"Timestamp": at, "Unit": UNIT} | {name: _STATISTICS[name](of) for name in asked} for at, of in found]}

    def get_data(self, account: str, region: str, data: dict[str, Any], now: float) -> dict[str, Any]:
        queries = data["MetricDataQueries"]
        start, end = _span(data, "ValidationError")
        if not 1 <= len(queries) <= _MOST_QUERIES:
            raise _refused("ValidationError", f"MetricDataQueries has 1 to {_MOST_QUERIES} members.")
        ids = [query["Id"] for query in queries]
        if len(set(ids)) < len(ids):
            raise _refused("ValidationError", "The values for parameter Id in MetricDataQueries are not unique.")
        newest_first = data.get("ScanBy", "TimestampDescending")
        if newest_first not in ("TimestampDescending", "TimestampAscending"):
            raise _refused("ValidationError", "ScanBy is TimestampDescending or TimestampAscending.")
        asked = [self._asked(account, region, query) for query in queries]
        first = _place(data, "InvalidNextToken")
        last, read = first, 0
        while last < len(queries) and (read == 0 or read + self._minutes(asked[last]) <= _MOST_READ):
            read += self._minutes(asked[last])
            last += 1
        results = [self._result(query, series, start, end)
                   for query, series in zip(queries[first:last], asked[first:last], strict=True)
                   if query.get("ReturnData", True)]
        if newest_first == "TimestampDescending":
            for result in results:
                result["Timestamps"].reverse()
                result["Values"].reverse()
        more = {"NextToken": str(last)} if last < len(queries) else {}
        return {"Messages": [], "MetricDataResults": results} | more

    def _minutes(self, series: _Series | None) -> int:
        return len(self._series.get(series, ())) if series else 0

    def _asked(self, account: str, region: str, query: dict[str, Any]) -> _Series | None:
        """The metric of a query, if it has data for it. Raises Refusal for a query that is not valid."""
        if not _ID.fullmatch(query["Id"]):
            raise _refused("ValidationError", f"The value {query['Id']} for parameter Id is not one: it begins with a "
                           "small letter and has letters, digits and _.")
        if "Expression" in query or "MetricStat" not in query:
            raise _refused("ValidationError", f"Query {query['Id']} has no MetricStat: gtlab's local cloud computes no "
                           "expressions.")
        asked = query["MetricStat"]
        if asked["Stat"] not in _STATISTICS:
            _check_extended(asked["Stat"], "Stat")
        _period(asked["Period"], "ValidationError")
        series = _asked_for(account, region, asked["Metric"], asked.get("Unit"))
        return series if asked["Stat"] in _STATISTICS else None

    def _result(self, query: dict[str, Any], series: _Series | None, start: int, end: int) -> dict[str, Any]:
        asked = query["MetricStat"]
        found = list(self._points(series, asked["Period"], start, end))
        return {"Id": query["Id"], "Label": query.get("Label", asked["Metric"].get("MetricName", "")),
                "StatusCode": "Complete", "Timestamps": [at for at, _ in found],
                "Values": [_STATISTICS[asked["Stat"]](of) for _, of in found]}

    def list(self, account: str, region: str, data: dict[str, Any], now: float) -> dict[str, Any]:
        recent = data.get("RecentlyActive")
        if recent not in (None, _RECENT):
            raise _refused("InvalidParameterValue", f"The parameter RecentlyActive has no value {recent}; it has: "
                           f"{_RECENT}.")
        since = now - _RECENT_S if recent else 0.0
        wanted = {each["Name"]: each.get("Value") for each in data.get("Dimensions", ())}
        found = [series.described() for series, minutes in self._series.items()
                 if (series.table.account, series.table.region) == (account, region) and max(minutes) >= since]
        found = [metric for metric in found if all(
            data.get(name, metric[name]) == metric[name] for name in ("Namespace", "MetricName")) and _has(
                metric["Dimensions"], wanted)]
        first = _place(data, "InvalidParameterValue")
        more = {"NextToken": str(first + _PAGE)} if len(found) > first + _PAGE else {}
        return {"Metrics": found[first:first + _PAGE]} | more

    def _points(self, series: _Series | None, period: int, start: int, end: int) -> Iterator[tuple[int, _Set]]:
        """The time and the statistic set of each of a metric's periods; the first period begins at ``start``."""
        periods: dict[int, _Set] = {}
        for minute, of in self._series[series].items() if series in self._series else ():
            if start <= minute < end:
                at = start + (minute - start) // period * period
                periods[at] = periods[at].with_(of) if at in periods else of
        yield from sorted(periods.items())


def _place(data: dict[str, Any], code: str) -> int:
    """Where an answer begins: NextToken is the number of its first member."""
    token = data.get("NextToken", "0")
    if not token.isascii() or not token.isdigit() or len(token) > 9:
        raise _refused(code, "The parameter NextToken is not one of an earlier answer.")
    return int(token)


def _asked_for(account: str, region: str, metric: dict[str, Any], unit: str | None) -> _Series | None:
    """The metric that a request names; None for one that is never published."""
    names = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    if ((metric.get("Namespace"), metric.get("MetricName")) != (NAMESPACE, METRIC)
            or set(names) != {"TableName", "ReceivingRegion"} or unit not in (None, UNIT)):
        return None
    return _Series(TableId(account, region, names["TableName"]), names["ReceivingRegion"])


def _has(dimensions: list[dict[str, Any]], wanted: dict[str, str | None]) -> bool:
    """Whether a metric has all requested dimensions; None stands for any value."""
    values = {each["Name"]: each["Value"] for each in dimensions}
    return all(name in values and value in (None, values[name]) for name, value in wanted.items())


def _span(data: dict[str, Any], code: str) -> tuple[int, int]:
    """The start of the requested time, rounded down to a minute, and its end."""
    start, end = data["StartTime"], data["EndTime"]
    if not all(0 <= time < 1e11 for time in (start, end)):
        raise _refused(code, "The parameters StartTime and EndTime are seconds since 1970.")
    if start == end:
        raise _refused(code, "The parameter StartTime must not equal parameter EndTime.")
    if start > end:
        raise _refused(code, "The parameter StartTime must be less than parameter EndTime.")
    return int(start // _MINUTE_S) * _MINUTE_S, int(-(-end // 1))


def _period(seconds: int, code: str = "InvalidParameterValue") -> int:
    if seconds < _MINUTE_S or seconds % _MINUTE_S or seconds > 1e9:
        raise _refused(code, f"The parameter Period must be a multiple of {_MINUTE_S}.")
    return seconds


def _check_extended(name: str, parameter: str) -> None:
    """Refuse an unknown extended statistic. Known ones need every single value and have no data here."""
    if not _EXTENDED.fullmatch(name):
        code = "ValidationError" if parameter == "Stat" else "InvalidParameterValue"
        raise _refused(code, f"The value {name} for parameter {parameter} is not supported.")


def _refused(code: str, message: str) -> Refusal:
    return Refusal(f"com.amazonaws.cloudwatch#{code}", message)
