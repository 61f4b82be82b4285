"""``gtlab.connect()``: what is chosen, where calls go, what they say, and how far they travel."""

from __future__ import annotations

import re
import time

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from support import IRELAND, SINGAPORE, VIRGINIA, wait_until

import gtlab
from gtlab import lab, regions
from gtlab.lab import Choice, display
from gtlab.lab.clients import Access
from gtlab.localcloud import process

NOWHERE = dict.fromkeys(regions.REGIONS, "http://127.0.0.1:1")  # endpoints that nothing answers at


class Sent(Exception):
    """A request that was about to leave."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def real_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real-token")


def about_to_send(client, operation="list_tables"):
    """The HTTP request that a call would send; it is not sent."""
    def stop(request, **_):
        raise Sent(request)

    client.meta.events.register_last("before-send.*.*", stop)
    with pytest.raises(Sent) as caught:
        getattr(client, operation)()
    return caught.value.args[0]


def test_the_choice_is_the_articles_until_another_is_remembered(home):
    assert gtlab.connect(NOWHERE).regions == (SINGAPORE, VIRGINIA, IRELAND)
    lab.remember(Choice("eu-north-1", ("sa-east-1",)))
    opened = gtlab.connect(NOWHERE)
    assert (opened.home, opened.replicas, opened.regions) == ("eu-north-1", ("sa-east-1",), ("eu-north-1", "sa-east-1"))
    assert gtlab.connect(NOWHERE, home=SINGAPORE, replicas="us-east-1, eu-west-1").regions == (
        SINGAPORE, VIRGINIA, IRELAND)
    assert lab.chosen().home == "eu-north-1"  # chosen for one lab is not remembered


@pytest.mark.parametrize("left", ["", "garbage", "[]", '{"home": "mars-north-1", "replicas": ["us-east-1"]}',
                                  '{"home": "us-east-1", "replicas": ["us-east-1"]}', '{"home": 1, "replicas": 2}'])
def test_a_remembered_choice_that_makes_no_sense_is_forgotten(home, left):
    (home / "choice.json").write_text(left)
    assert lab.chosen() == Choice()


def test_a_home_that_was_a_replica_changes_places_with_the_old_home(home):
    assert gtlab.connect(NOWHERE, home=IRELAND).regions == (IRELAND, VIRGINIA, SINGAPORE)


@pytest.mark.parametrize(("chosen", "text"), [
    ({"home": "eu-wst-1"}, "'eu-wst-1' is not a Region that gtlab knows. Did you mean eu-west-1"),
    ({"replicas": "us-east-1, mars"}, "'mars' is not a Region"),
    ({"replicas": "us-east-1 us-east-1"}, "us-east-1 is given twice"),
    ({"home": SINGAPORE, "replicas": SINGAPORE}, "ap-southeast-1 is the home Region already"),
    ({"replicas": " , "}, "needs at least one replica"),
])
def test_choices_that_do_not_fit_are_explained(home, chosen, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        gtlab.connect(NOWHERE, **chosen)
    assert process.find() is None


def test_backends_and_regions_that_do_not_exist(home):
    with pytest.raises(ValueError, match=r"no backend 'azure'\. Choose 'local', 'aws'"):
        gtlab.connect("azure")
    with pytest.raises(ValueError, match="'mars' is not a Region"):
        gtlab.connect({"mars": "http://127.0.0.1:1"})
    opened = gtlab.connect({SINGAPORE: "http://127.0.0.1:1"})
    with pytest.raises(ValueError, match=r"No endpoint was given for Region us-east-1; there are: ap-southeast-1"):
        opened.client(VIRGINIA)
    with pytest.raises(ValueError, match="'mars' is not a Region"):
        opened.client("mars")


def test_other_endpoints_get_neither_real_credentials_nor_the_callers_region(cloud, real_credentials):
    opened = gtlab.connect(dict.fromkeys(regions.REGIONS, cloud.url))
    assert opened.client(IRELAND).list_tables()["TableNames"] is not None  # any engine that speaks DynamoDB
    assert (opened.simulated, opened.legacy_api, opened.label) == (False, False, "other endpoints")
    headers = {name.lower(): str(value) for name, value in about_to_send(opened.client(IRELAND)).headers.items()}
    assert "x-gtlab-caller" not in headers and "x-amz-security-token" not in headers
    assert "Credential=gtlab/" in headers["authorization"] and "REAL" not in str(headers)


@pytest.mark.parametrize("service", ["dynamodb", "dynamodbstreams"])
def test_aws_is_never_contacted_unasked(cloud, real_credentials, monkeypatch, service):
    monkeypatch.setenv("AWS_PROFILE", "absent")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://dynamodb.us-east-1.amazonaws.com")
    opened = gtlab.connect()
    assert opened.simulated and opened.legacy_api
    assert opened.label == "simulated: local cloud, fast network, built-in lag model"
    endpoints = {region: opened.client(region, service).meta.endpoint_url for region in regions.REGIONS}
    assert endpoints == cloud.endpoints and all(url.startswith("http://127.0.0.1:") for url in endpoints.values())
    operation = "list_tables" if service == "dynamodb" else "list_streams"
    getattr(opened.client(IRELAND, service), operation)()
    request = about_to_send(opened.client(VIRGINIA, service), operation)
    assert request.url.startswith(cloud.endpoints[VIRGINIA]) and request.headers["x-gtlab-caller"] == SINGAPORE
    assert "REAL" not in str(request.headers)


def test_aws_is_not_what_a_shell_for_the_local_cloud_reaches(cloud, real_credentials, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)  # as gtlab env has it
    with pytest.raises(ValueError, match=f"You asked for AWS, but .* makes boto3 call {cloud.url}"):
        gtlab.connect("aws")


def test_aws_asked_for_by_name(home, real_credentials):
    opened = lab.Lab(Access("aws"), Choice())  # as gtlab.connect("aws") does after its checks: see test_aws.py
    request = about_to_send(opened.client(VIRGINIA))
    assert request.url.startswith("https://dynamodb.us-east-1.amazonaws.com")
    assert "x-gtlab-caller" not in request.headers and b"Credential=AKIAREAL/" in request.headers["Authorization"]
    assert (opened.simulated, opened.legacy_api, opened.label) == (False, False, "AWS")
    assert process.find() is None


def test_a_notebook_shows_a_lab_as_text_with_the_style_of_its_tables(cloud):
    lab = gtlab.connect()
    said = lab._repr_mimebundle_()
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", "", said["text/html"], flags=re.S)
    assert said["text/plain"] == repr(lab) == shown
    assert 'nowrap">ap-southeast-1</span>' in said["text/html"]  # no code is broken at the end of a line
    assert "table.dataframe" in said["text/html"]


def test_a_table_is_broken_between_words_but_not_in_region_codes():
    table = display.frame(pd.DataFrame({"at": ["ap-southeast-1"], "in": ["Ireland (us-east-1)"], "is_no": ["a-b-1x"]}))
    whole = '<span style="white-space:nowrap">{}</span>'
    assert whole.format("ap-southeast-1") in table and f"({whole.format('us-east-1')})" in table
    assert table.count("<span") == 2 and "<th>is_<wbr>no</th>" in table


def test_a_client_is_made_once(cloud):
    opened = gtlab.connect()
    assert opened.client(VIRGINIA) is opened.client(VIRGINIA) is not opened.client(IRELAND)


@pytest.mark.server
def test_connect_starts_a_cloud_where_none_runs():
    with process.throwaway("fast") as running:
        process.down()
        opened = gtlab.connect()
        assert opened.client(SINGAPORE).list_tables()["TableNames"] == []
        assert process.find().folder == running.folder and opened.network == "realistic"


@pytest.mark.server
def test_a_callers_distance_is_felt_and_who_says_nothing_is_nowhere():
    with process.throwaway("realistic", seed=1) as cloud:
        def took_ms(opened, region):
            client = opened.client(region)
            client.list_tables()  # opens the connection
            began = time.perf_counter()
            client.list_tables()
            return (time.perf_counter() - began) * 1000

        here, nowhere = gtlab.connect(), gtlab.connect(dict.fromkeys(regions.REGIONS, cloud.url))
        assert here.home == SINGAPORE
        added_ms = 2000  # more than a busy machine adds to a call
        with here.world.slow(SINGAPORE, VIRGINIA, added_ms):
            assert took_ms(here, VIRGINIA) > added_ms + 150  # the median of the round trip is 219 ms
            wait_until(lambda: took_ms(here, SINGAPORE) < added_ms, "a call at home that is not held")
            wait_until(lambda: took_ms(nowhere, VIRGINIA) < added_ms, "a call from nowhere that is not held")


def test_expect_shows_the_services_words_and_goes_on(cloud, capsys):
    opened = gtlab.connect()
    with opened.expect("ResourceNotFoundException", because="there is none yet"):
        opened.client(VIRGINIA).describe_table(TableName="Nothing")
    shown = capsys.readouterr().out
    assert shown.startswith("ResourceNotFoundException: Requested resource not found") and "→ there is none" in shown
    with opened.expect("ResourceNotFoundException"):
        opened.client(VIRGINIA).list_tables()
    assert capsys.readouterr().out == ""
    with pytest.raises(ClientError, match="ResourceNotFoundException"), opened.expect("ValidationException"):
        opened.client(VIRGINIA).describe_table(TableName="Nothing")


def test_a_lab_says_what_it_is(cloud):
    shown = repr(gtlab.connect())
    assert "fast network" in shown and "Singapore (ap-southeast-1)" in shown and "Ireland (eu-west-1)" in shown


def test_a_very_long_word_may_be_broken_between_its_parts_in_plain_and_styled_tables():
    made = pd.DataFrame({"answer": ["ReplicatedWriteConflictException", "accepted", "eu-west-1",
                                    "arn:aws:dynamodb:eu-west-2:000000000000:table/Music",
                                    "01234567-89ab-cdef-0123-456789abcdef"]})
    for shown in (display.frame(made), display.styled(made.style)):
        assert "Replicated<wbr>Write<wbr>Conflict<wbr>Exception" in shown and "accepted" in shown
        assert 'nowrap">eu-west-1</span>' in shown and 'nowrap">eu-west-2</span>:<wbr>000000000000:<wbr>table/' in shown
        assert "01234567-<wbr>89ab-<wbr>cdef" in shown
        assert 'class="dataframe"' in shown
