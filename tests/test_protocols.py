"""Calls in AWS's other protocols, by boto3 and by hand, at the real server."""

from __future__ import annotations

import time
from urllib.parse import urlencode
from xml.etree import ElementTree

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from hypothesis import given
from hypothesis import strategies as st
from support import ON_DEMAND, VIRGINIA

from gtlab.localcloud.server import cbor


@pytest.fixture
def other(cloud, account):
    """``other(service)``: a boto3 client of any service."""
    def make(service: str, **more):
        return boto3.client(service, region_name=VIRGINIA, endpoint_url=cloud.url, aws_access_key_id=account,
                            aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}, **more))
    return make


def test_sts_says_who_is_asking(other, account):
    found = other("sts").get_caller_identity()
    assert found["Account"] == account and found["Arn"] == f"arn:aws:iam::{account}:user/gtlab" and found["UserId"]


def test_the_rest_of_sts_is_refused(other):
    with pytest.raises(ClientError, match=r"AssumeRole is an operation of sts that gtlab's local cloud does not have"):
        other("sts").assume_role(RoleArn="arn:aws:iam::111111111111:role/x", RoleSessionName="xx")


@pytest.mark.parametrize(("service", "ask", "name"), [
    ("iam", lambda there: there.list_users(), "IAM"),                                      # query
    ("sns", lambda there: there.list_topics(), "SNS"),
    ("ec2", lambda there: there.describe_instances(), "EC2"),                              # EC2's
    ("s3", lambda there: there.list_buckets(), "S3"),                                      # REST with XML
    ("s3", lambda there: there.put_object(Bucket="b", Key="k", Body=b"x"), "S3"),
    ("route53", lambda there: there.list_hosted_zones(), "Route 53"),
    ("lambda", lambda there: there.list_functions(), "Lambda"),                            # REST with JSON
    ("lambda", lambda there: there.invoke(FunctionName="f", Payload=b"{}"), "Lambda"),
    ("kms", lambda there: there.list_keys(), "KMS"),                                       # JSON
    ("sqs", lambda there: there.list_queues(), "SQS"),
    ("logs", lambda there: there.describe_log_groups(), "CloudWatch Logs"),
    ("arc-region-switch", lambda there: there.list_plans(), "arc-region-switch"),          # CBOR or JSON
])
def test_a_service_that_is_not_there_says_so_in_its_own_protocol(other, service, ask, name):
    with pytest.raises(ClientError) as refused:
        ask(other(service))
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    assert f"gtlab's local cloud has no {name}: it has DynamoDB" in refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_javas_clients_of_kinesis_can_read_that_it_is_not_there(cloud):
    """They write the JSON protocol in CBOR."""
    content = "application/x-amz-cbor-1.1"
    answer = urllib3.request("POST", cloud.url, body=cbor.encode({}), headers={
        "Content-Type": content, "X-Amz-Target": "Kinesis_20131202.ListStreams",
        "Authorization": "AWS4-HMAC-SHA256 Credential=1/20270101/us-east-1/kinesis/aws4_request"})
    assert (answer.status, answer.headers["Content-Type"]) == (400, content)
    assert answer.headers["x-amzn-errortype"] == "UnknownOperationException"
    assert "gtlab's local cloud has no Kinesis: it has DynamoDB" in cbor.decode(answer.data)["message"]


@pytest.mark.parametrize(("service", "ask", "text"), [
    ("sts", lambda there: there.assume_role_with_web_identity(RoleArn="arn:aws:iam::111111111111:role/x",
                                                              RoleSessionName="me", WebIdentityToken="token"),
     "no service that is called without a signature"),                                     # query
    ("sdb", lambda there: there.list_domains(), "no service that is called without a signature of version 4"),
    ("cognito-idp", lambda there: there.initiate_auth(AuthFlow="USER_AUTH", ClientId="x"),
     "no AWSCognitoIdentityProviderService"),                                              # JSON
    ("sso", lambda there: there.list_accounts(accessToken="x"), "nothing at /assignment/accounts"),  # REST with JSON
])
def test_a_call_without_a_signature_says_that_there_is_nothing(other, service, ask, text):
    with pytest.raises(ClientError) as refused:
        ask(other(service))
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    assert f"gtlab's local cloud has {text}" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_cloudwatch_answers_in_each_of_its_protocols(other, monkeypatch, protocol):
    monkeypatch.setattr(ServiceModel, "resolved_protocol", protocol)
    there, now = other("cloudwatch"), time.time()
    assert there.list_metrics(Namespace="AWS/DynamoDB")["Metrics"] == []
    dimensions = [{"Name": "TableName", "Value": "Music"}, {"Name": "ReceivingRegion", "Value": "eu-west-1"}]
    metric = {"Namespace": "AWS/DynamoDB", "MetricName": "ReplicationLatency"}
    found = there.get_metric_statistics(**metric, Dimensions=dimensions, StartTime=now - 3600, EndTime=now, Period=60,
                                        Statistics=["Average"])
    assert (found["Label"], found["Datapoints"]) == ("ReplicationLatency", [])
    found = there.get_metric_data(StartTime=now - 3600, EndTime=now, MetricDataQueries=[{
        "Id": "m1", "MetricStat": {"Metric": metric | {"Dimensions": dimensions}, "Period": 60, "Stat": "Average"}}])
    assert [(each["Id"], each["Values"]) for each in found["MetricDataResults"]] == [("m1", [])]
    with pytest.raises(ClientError) as refused:
        there.get_metric_statistics(**metric, Dimensions=dimensions, StartTime=now, EndTime=now, Period=60,
                                    Statistics=["Average"])
    assert "StartTime" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
def test_the_tagging_api_answers_in_each_of_its_protocols(other, monkeypatch, protocol):
    monkeypatch.setattr(ServiceModel, "resolved_protocol", "json")
    there = other("dynamodb")
    arns = []
    for name, tags in (("Music", [{"Key": "team", "Value": "music"}]), ("Books", [{"Key": "team", "Value": "books"}]),
                       ("Films", [])):
        made = there.create_table(**ON_DEMAND | {"TableName": name}, Tags=tags)
        arns.append(made["TableDescription"]["TableArn"])
    music, books, _ = arns
    there.tag_resource(ResourceArn=books, Tags=[{"Key": "year", "Value": "2026"}])
    monkeypatch.setattr(ServiceModel, "resolved_protocol", protocol)
    tagging = other("resourcegroupstaggingapi")

    def found(**asked) -> list[str]:
        pages = tagging.get_paginator("get_resources").paginate(**asked)
        return [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]

    assert found() == found(ResourcesPerPage=1) == [books, music]
    assert found(ResourceARNList=[music, music[:-1]]) == [music]
    assert found(TagFilters=[{"Key": "team", "Values": ["music"]}]) == [music]
    assert found(TagFilters=[{"Key": "year"}], ResourceTypeFilters=["dynamodb:table"]) == [books]
    assert found(ResourceTypeFilters=["ec2"]) == []
    for asked in ({"ResourceARNList": [music], "TagFilters": [{"Key": "team"}]}, {"IncludeComplianceDetails": True},
                  {"ResourcesPerPage": 101}):
        with pytest.raises(ClientError, match="InvalidParameterException"):
            tagging.get_resources(**asked)
    with pytest.raises(ClientError, match="GetTagKeys is an operation of resourcegroupstaggingapi that"):
        tagging.get_tag_keys()
    monkeypatch.setattr(ServiceModel, "resolved_protocol", "json")
    there.untag_resource(ResourceArn=books, TagKeys=["team", "year"])
    there.untag_resource(ResourceArn=arns[2], TagKeys=["team"])
    monkeypatch.setattr(ServiceModel, "resolved_protocol", protocol)
    assert found() == [books, music]  # also tables that had tags once
    assert found(TagFilters=[{"Key": "team"}]) == [music]


def test_an_error_in_xml_can_be_read_whatever_it_repeats(cloud):
    names = "".join(map(chr, [*range(32), 0xfffe, 0xffff]))
    answer = urllib3.request("POST", cloud.url, body=urlencode({"Action": f"a{names}<b>&"}), headers={
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": "AWS4-HMAC-SHA256 Credential=1/20270101/us-east-1/monitoring/aws4_request"})
    found = ElementTree.fromstring(answer.data).findtext("*/Message")
    assert found and found.startswith("Could not find operation a")


def test_the_endpoint_that_is_described_is_this_clouds(other, cloud):
    there = other("dynamodb").describe_endpoints()["Endpoints"]
    assert [f"http://{each['Address']}" for each in there] == [cloud.url]


# CBOR

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2**63, 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20)


@pytest.mark.slow
@given(_VALUES)
def test_cbor_reads_what_it_writes(value):
    assert cbor.decode(cbor.encode(value)) == value


@given(st.binary(max_size=200))
def test_cbor_takes_any_bytes_or_refuses_them(data):
    try:
        cbor.decode(data)
    except ValueError:
        pass


@pytest.mark.parametrize(("data", "value"), [
    ("9f0102ff", [1, 2]), ("bf6161f5ff", {"a": True}), ("7f61616162ff", "ab"), ("f93c00", 1.0),
    ("c11a514b67b0", 1363896240), ("3903e7", -1000),
])
def test_cbor_reads_the_examples_of_its_standard(data, value):
    assert cbor.decode(bytes.fromhex(data)) == value
