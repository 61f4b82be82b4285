"""The operations of the services beside DynamoDB, and which room carries out each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.localcloud import engine
from gtlab.localcloud.faults.fis import OPERATIONS, Fis
from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.observe.metrics import Metrics
from gtlab.localcloud.tables.autoscaling import Operation
from gtlab.localcloud.tables.streams import Streams

CHANGE_SETTINGS = ("application-autoscaling", "fis")  # the services whose operations change what is kept as settings


class OtherServices:
    """Application Auto Scaling, CloudWatch, DynamoDB Streams, FIS, STS and the Resource Groups Tagging API."""

    def __init__(self, database: engine.Database, streams: Streams, scaling: Mapping[str, Operation], fis: Fis,
                 metrics: Metrics):
        """``scaling``: the operations of Application Auto Scaling."""
        self._database = database
        self._services: dict[str, Mapping[str, Operation]] = {
            "application-autoscaling": scaling,
            "cloudwatch": {"GetMetricStatistics": metrics.get_statistics, "GetMetricData": metrics.get_data,
                           "ListMetrics": metrics.list},
            "dynamodbstreams": {"ListStreams": streams.list_streams, "DescribeStream": streams.describe_stream,
                                "GetShardIterator": streams.get_shard_iterator, "GetRecords": streams.get_records},
            "fis": {name: operation.__get__(fis) for name, operation in OPERATIONS.items()},
            "sts": {"GetCallerIdentity": _identity},
            "resourcegroupstaggingapi": {},  # its operation takes the whole call
        }

    def __contains__(self, service: str) -> bool:
        return service in self._services

    def answer(self, call: Call, now: float) -> dict[str, Any]:
        """Carry out a call of one of these services. Raises Refusal."""
        if (call.service, call.operation) == ("resourcegroupstaggingapi", "GetResources"):
            return engine.tagged_resources(self._database, call)
        operation = self._services[call.service].get(call.operation)
        if operation is None:
            raise Refusal("UnknownOperationException", f"{call.operation} is an operation of {call.service} that "
                                                       "gtlab's local cloud does not have. Nothing was done.")
        return operation(call.account, call.region, call.input, now)


def _identity(account: str, region: str, asked: dict, now: float) -> dict[str, Any]:
    return {"UserId": "AIDAGTLABLOCALCLOUD00", "Account": account, "Arn": f"arn:aws:iam::{account}:user/gtlab"}

