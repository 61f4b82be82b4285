"""Failing over: the helper, under a pretend clock."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from gtlab.failover import Failover, NoRegionAnswered

URL = "https://dynamodb.example"
NEVER_SENT = [EndpointConnectionError(endpoint_url=URL, error="refused"), ConnectTimeoutError(endpoint_url=URL)]
NO_ANSWER = [ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL)]


def refusal(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "…"}, "ResponseMetadata": {"HTTPStatusCode": status}},
                       "PutItem")


SERVER_ERRORS = [refusal(500, "InternalServerError"), refusal(503, "ServiceUnavailable")]
kinds = pytest.mark.parametrize("error", [*NEVER_SENT, *NO_ANSWER, *SERVER_ERRORS], ids=repr)


class Endpoint:
    """A client that answers, or fails with ``error``; ``called`` counts."""

    def __init__(self):
        self.error, self.called = None, 0

    def put_item(self, **parameters):
        self.called += 1
        if self.error:
            raise self.error
        return {"Attributes": parameters}

    get_item = put_item


class World:
    def __init__(self):
        self.now = 1000.0
        self.home, self.near, self.far = Endpoint(), Endpoint(), Endpoint()
        self.failover = Failover({"home": self.home, "near": self.near, "far": self.far}, cooldown_s=10,
                                 clock=lambda: self.now)

    def put(self, **parameters) -> str:
        return self.failover.call("put_item", idempotent=True, **parameters).region


@pytest.fixture
def world():
    return World()


# --- the helper ---

def test_a_call_goes_to_the_preferred_region_and_says_so(world):
    answer = world.failover.call("put_item", TableName="Music")
    assert (answer.region, answer.failures, answer.response) == ("home", (), {"Attributes": {"TableName": "Music"}})
    assert world.near.called == world.far.called == 0 and world.failover.resting() == {}


@kinds
def test_a_region_that_fails_hands_over_to_the_next_and_is_left_alone(world, error):
    world.home.error = error
    answer = world.failover.call("put_item", idempotent=True)
    assert answer.region == "near" and answer.failures == (("home", error),)
    assert world.failover.resting() == {"home": 10.0}
    world.now += 9.9
    assert world.put() == "near" and world.home.called == 1


@pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "ProvisionedThroughputExceededException",
                                  "ValidationException", "ReplicatedWriteConflictException"])
def test_a_refusal_is_an_answer(world, code):
    world.home.error = refusal(400, code)
    with pytest.raises(ClientError, match=code):
        world.put()
    assert world.near.called == 0 and world.failover.resting() == {}


def test_a_mistake_in_the_call_is_nobodys_outage(world):
    world.home.error = ParamValidationError(report="no TableName")
    with pytest.raises(ParamValidationError):
        world.put()
    assert world.failover.resting() == {} and world.near.called == 0


@pytest.mark.parametrize("error", [*NO_ANSWER, *SERVER_ERRORS], ids=repr)
def test_what_may_have_taken_effect_is_sent_again_only_if_it_may_be(world, error):
    world.home.error = error
    with pytest.raises(type(error)):
        world.failover.call("put_item")
    assert world.near.called == 0 and list(world.failover.resting()) == ["home"]
    assert world.failover.call("put_item").region == "near"  # the next one goes where somebody answers


@pytest.mark.parametrize("error", NEVER_SENT, ids=repr)
def test_what_was_never_sent_is_sent_elsewhere_whatever_it_is(world, error):
    world.home.error = error
    assert world.failover.call("put_item").region == "near"


@kinds
def test_a_read_is_always_asked_again(world, error):
    world.home.error = error
    assert world.failover.call("get_item").region == "near"


def test_after_the_cooldown_one_call_tries_again_and_a_failure_begins_it_anew(world):
    world.home.error = NO_ANSWER[0]
    world.put()
    world.now += 10
    assert world.put() == "near" and world.home.called == 2
    assert world.put() == "near" and world.home.called == 2
    world.now += 10
    assert world.put() == "near" and world.home.called == 3


def test_while_one_call_tries_the_others_go_elsewhere(world):
    world.home.error = NO_ANSWER[0]
    world.put()
    world.now += 10
    asked, answer = threading.Event(), threading.Event()

    def slow(**_):
        asked.set()
        answer.wait(10)
        return {}

    world.home.put_item = slow
    found = []
    trying = threading.Thread(target=lambda: found.append(world.put()))
    trying.start()
    assert asked.wait(10)
    assert world.put() == "near"
    answer.set()
    trying.join()
    assert found == ["home"]


def test_when_it_answers_again_everybody_goes_back(world):
    world.home.error = NO_ANSWER[0]
    world.put()
    world.home.error = None
    world.now += 10
    assert [world.put(), world.put()] == ["home", "home"] and world.failover.resting() == {}


def test_a_refusal_ends_the_rest_too(world):
    world.home.error = NO_ANSWER[0]
    world.put()
    world.now, world.home.error = world.now + 10, refusal(400, "ConditionalCheckFailedException")
    with pytest.raises(ClientError):
        world.put()
    assert world.failover.resting() == {}


def test_when_nobody_answers_each_failure_is_told(world):
    world.home.error, world.near.error, world.far.error = NEVER_SENT[0], NO_ANSWER[0], SERVER_ERRORS[0]
    with pytest.raises(NoRegionAnswered, match=r"home: .*near: .*far: .*InternalServerError") as told:
        world.put()
    assert [region for region, _ in told.value.failures] == ["home", "near", "far"]


def test_regions_that_rest_are_asked_when_nobody_else_answers(world):
    world.home.error = NO_ANSWER[0]
    world.put()
    world.home.error, world.near.error, world.far.error = None, NO_ANSWER[0], NO_ANSWER[0]
    assert world.put() == "home"


def test_no_client_is_no_failover():
    with pytest.raises(ValueError, match="at least one client"):
        Failover({})
