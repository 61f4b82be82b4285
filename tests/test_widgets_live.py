"""The live view without a browser: what the journal's events are turned into, and when its thread runs."""

from __future__ import annotations

import itertools
import json
from unittest.mock import ANY

import pytest
from support import IRELAND, SINGAPORE, VIRGINIA, wait_until

from gtlab import connect, widgets
from gtlab.contract import DEFAULT_ACCOUNT
from gtlab.course import stages
from gtlab.lab import Choice
from gtlab.widgets.traffic import MOST_FLIGHTS, WORDS, Traffic, broken_places

MEMBERS = (SINGAPORE, VIRGINIA, IRELAND)


class Journal:
    """Events as the control API writes them."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def event(self, kind: str, region: str | None, at: float = 1000.0, *, item: str = "a", **detail) -> dict:
        return {"n": next(self.numbers), "at": at, "kind": kind, "region": region, "account": DEFAULT_ACCOUNT,
                "table": "Music", "key": {"Artist": {"S": item}}} | detail

    def write(self, region: str, at: float = 1000.0, item: str = "a", kind: str = "write") -> dict:
        return self.event(kind, region, at, item=item, by="customer", written_at=at)

    def delivery(self, source: str, target: str, written_at: float, lag_ms: float, kind: str = "delivery",
                 **detail) -> dict:
        return self.event(kind, target, written_at + lag_ms / 1e3, source=source, written_at=written_at,
                          lag_ms=lag_ms, deleted=False, **detail)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def traffic(journal) -> Traffic:
    made = Traffic(MEMBERS)
    for region in MEMBERS:
        made.see(journal.event("join", region))
    made.batch()
    return made


def test_a_write_is_on_its_way_to_every_other_member_until_it_is_delivered(journal, traffic):
    traffic.see(journal.write(SINGAPORE))
    told = traffic.batch()
    assert [flight[1:] for flight in told["flights"]] == [[SINGAPORE, IRELAND, None], [SINGAPORE, VIRGINIA, None]]
    assert told["items"] == {SINGAPORE: 1, VIRGINIA: 0, IRELAND: 0}
    assert told["waiting"] == {SINGAPORE: 0, VIRGINIA: 1, IRELAND: 1}
    traffic.see(journal.delivery(SINGAPORE, VIRGINIA, 1000.0, 210.0))
    landed = traffic.batch()
    assert landed["landed"] == [[told["flights"][1][0], 210.0, "arrived"]] and landed["flights"] == []
    assert landed["items"][VIRGINIA] == 1 and landed["waiting"] == {SINGAPORE: 0, VIRGINIA: 0, IRELAND: 1}
    assert traffic.batch() is None


def test_the_lag_of_a_link_is_the_median_of_its_last_deliveries_and_the_next_write_is_expected_so(journal, traffic):
    for at, lag_ms in enumerate((100.0, 900.0, 120.0)):
        traffic.see(journal.write(SINGAPORE, at))
        traffic.see(journal.delivery(SINGAPORE, IRELAND, at, lag_ms))
    traffic.batch()
    traffic.see(journal.write(SINGAPORE, 9.0))
    assert [SINGAPORE, IRELAND, 120.0] in [flight[1:] for flight in traffic.batch()["flights"]]
    assert traffic.lag_ms((SINGAPORE, IRELAND)) == 120.0 and traffic.lag_ms((IRELAND, SINGAPORE)) is None


@pytest.mark.parametrize(("conflict", "outcome"), [(True, "conflict"), (False, "older")])
def test_a_write_that_loses_is_marked_and_said(journal, traffic, conflict, outcome):
    traffic.see(journal.write(SINGAPORE, 1000.0))
    traffic.see(journal.write(IRELAND, 1000.1))
    traffic.batch()
    traffic.see(journal.delivery(SINGAPORE, IRELAND, 1000.0, 200.0, "discarded", lost_to=IRELAND,
                                 winner_written_at=1000.1, by_ms=100.0, conflict=conflict))
    told = traffic.batch()
    assert [each[1:] for each in told["landed"]] == [[200.0, outcome]]
    (words,) = told["words"]
    assert words["conflict"] is conflict and "Ireland wrote 100 ms later" in words["text"]
    assert [SINGAPORE, IRELAND, 0, 200.0, 1, 1] in told["links"]


@pytest.mark.parametrize(("kind", "event", "words"), [
    ("broken", {"knob": "outage", "place": [IRELAND], "value": "timeout"}, "Outage begins: Ireland (timeout)"),
    ("mended", {"knob": "partition", "place": [SINGAPORE, IRELAND]}, "Partition ends: Singapore, Ireland"),
    ("broken", {"knob": "lag", "place": [], "value": 2.0}, "Fixed lag begins: everywhere (2 s)"),
    ("broken", {"knob": "isolate", "place": [IRELAND]}, "Isolation begins: Ireland"),
    ("broken", {"knob": "slow", "place": [IRELAND, SINGAPORE], "value": 200.0},
     "Slow connection begins: Ireland, Singapore (200 ms more)"),
    ("broken", {"knob": "caller", "place": [], "value": IRELAND}, "Everybody calls from Ireland"),
    ("mended", {"knob": "caller", "place": []}, "Callers are where they were before"),
    ("join", {}, "Ireland joins the global table Music"),
])
def test_faults_and_members_are_said_in_words(journal, traffic, kind, event, words):
    traffic.see(journal.event(kind, IRELAND, **event))
    assert [each["text"] for each in traffic.batch()["words"]] == [words]


def test_a_later_delivery_of_an_item_ends_what_was_on_its_way_before(journal, traffic):
    traffic.see(journal.write(SINGAPORE, 1.0))
    traffic.see(journal.write(SINGAPORE, 2.0))
    traffic.see(journal.delivery(SINGAPORE, IRELAND, 2.0, 50.0))
    assert traffic.batch()["waiting"] == {SINGAPORE: 0, VIRGINIA: 2, IRELAND: 0}


def test_stale_reads_are_counted_where_they_were_answered(journal, traffic):
    for stale in (True, True, False):
        traffic.see(journal.event("read", IRELAND, stale=stale))
    traffic.see(journal.event("read", SINGAPORE, stale=False))
    told = traffic.batch()
    assert told["missed"] == [[IRELAND, 2]] and told["stale"] == {SINGAPORE: 0, VIRGINIA: 0, IRELAND: 2}
    assert told["words"] == []
    traffic.see(journal.event("read", IRELAND, stale=False))
    assert traffic.batch() is None
    traffic.see(journal.event("read", VIRGINIA, stale=True))
    told = traffic.batch()
    assert told["missed"] == [[VIRGINIA, 1]] and told["stale"][IRELAND] == 2


def test_deletes_take_items_away(journal, traffic):
    traffic.see(journal.write(SINGAPORE, 1.0))
    traffic.see(journal.write(SINGAPORE, 2.0, kind="delete"))
    traffic.see(journal.delivery(SINGAPORE, IRELAND, 1.0, 50.0))
    traffic.see(journal.delivery(SINGAPORE, IRELAND, 2.0, 50.0) | {"deleted": True})
    assert traffic.batch()["items"] == {SINGAPORE: 0, VIRGINIA: 0, IRELAND: 0}


def test_many_writes_are_drawn_together_and_none_is_lost(journal, traffic):
    for number in range(50):
        traffic.see(journal.write(SINGAPORE, 1000 + number, item=f"item {number}"))
    told = traffic.batch()
    assert told["flights"] == [] and 100 > MOST_FLIGHTS
    assert told["streams"] == [[SINGAPORE, IRELAND, 50, None], [SINGAPORE, VIRGINIA, 50, None]]
    assert told["waiting"][IRELAND] == 50 and told["items"][SINGAPORE] == 50


def test_a_message_does_not_grow_with_the_rate_of_writes(journal, traffic):
    """500 writes per second are 50 per message; of these, some lose and some reads are stale."""
    sizes = []
    for rate in (50, 500):
        for number in range(rate):
            at = 1000 + number / 1000
            traffic.see(journal.write(SINGAPORE, at, item=f"item {number % 30}"))
            traffic.see(journal.event("read", IRELAND, at, stale=True))
            traffic.see(journal.delivery(SINGAPORE, VIRGINIA, at, 200.0, "discarded", item=f"item {number % 30}",
                                         lost_to=VIRGINIA, winner_written_at=at + 1, by_ms=1000.0, conflict=True))
        told = traffic.batch()
        assert told["flights"] == told["landed"] == [] and len(told["words"]) == WORDS
        assert told["streams"] == [[SINGAPORE, IRELAND, rate, None], [SINGAPORE, VIRGINIA, rate, ANY]]
        assert told["missed"] == [[IRELAND, rate]]
        sizes.append(len(json.dumps(told)))
    assert sizes[1] < sizes[0] + 100
    assert [SINGAPORE, VIRGINIA, 0, 200.0, 550, 550] in told["links"] and told["items"][SINGAPORE] == 30


def test_history_is_counted_and_not_drawn(journal, traffic):
    traffic.see(journal.write(SINGAPORE, 1000.0))
    traffic.see(journal.event("read", SINGAPORE, stale=True))
    told = traffic.batch(after=1005.0)
    assert told["missed"] == [] and told["stale"][SINGAPORE] == 1
    assert told["flights"] == told["streams"] == [] and told["items"][SINGAPORE] == 1


def test_a_table_outside_global_tables_sends_nothing(journal):
    traffic = Traffic(MEMBERS)
    traffic.see(journal.event("write", SINGAPORE, by="customer", written_at=None))
    told = traffic.batch()
    assert told["flights"] == [] and told["items"][SINGAPORE] == 1


def test_other_tables_are_left_out_where_one_is_named(journal):
    traffic = Traffic(MEMBERS, "Other")
    traffic.see(journal.write(SINGAPORE))
    assert traffic.batch() is None


def test_a_member_beyond_the_choice_is_shown_and_a_reset_forgets_everything(journal, traffic):
    traffic.see(journal.event("join", "eu-west-3"))
    assert traffic.members == (*MEMBERS, "eu-west-3")
    traffic.see(journal.event("reset", None) | {"account": None, "table": None, "key": None})
    told = traffic.batch()
    assert traffic.members == MEMBERS and told["items"][SINGAPORE] == 0
    assert told["restarted"], "the browser has to forget what was on its way"
    traffic.see(journal.write(SINGAPORE))
    assert not traffic.batch()["restarted"]


def test_what_is_broken_is_drawn_where_it_is():
    knobs = [{"knob": "partition", "place": [IRELAND, VIRGINIA], "value": None},
             {"knob": "outage", "place": [SINGAPORE], "value": "error"},
             {"knob": "isolate", "place": ["eu-west-3"], "value": None}, {"knob": "lag", "place": [], "value": 5}]
    assert broken_places(knobs, MEMBERS) == {
        "down": {SINGAPORE: "error"}, "alone": [],
        "cut": [[SINGAPORE, IRELAND], [SINGAPORE, VIRGINIA], [IRELAND, VIRGINIA]]}


@pytest.fixture
def lab(cloud):
    made = connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
    stages.ensure_global_table(made)
    yield made
    made.world.reset()


def test_it_follows_the_journal_only_while_it_is_seen(lab, monkeypatch):
    view, told = widgets.live(lab, "Music"), []
    monkeypatch.setattr(view, "send", told.append)
    assert not view._follower.running  # a run without a browser costs nothing
    view._handle_custom_msg({"do": "here", "view": "1"}, [])
    assert view._follower.running
    wait_until(lambda: told, "the first batch")
    lab.client(SINGAPORE).put_item(TableName="Music", Item={"Artist": {"S": "seen"}, "SongTitle": {"S": "live"}})
    wait_until(lambda: {outcome for each in told for *_, outcome in each["landed"]} >= {"arrived"}, "an arrival")
    with lab.world.partition(SINGAPORE, IRELAND):
        wait_until(lambda: view.places["cut"] == [[SINGAPORE, IRELAND]], "the cut to be drawn")
    wait_until(lambda: view.places["cut"] == [], "the link to be whole")
    view._handle_custom_msg({"do": "here", "view": "2"}, [])
    view._handle_custom_msg({"do": "gone", "view": "1"}, [])
    assert view._follower.running
    view._handle_custom_msg({"do": "gone", "view": "2"}, [])
    wait_until(lambda: not view._follower.running, "the thread to end")
    view.close()


def test_it_says_why_nothing_is_seen(lab, monkeypatch):
    view = widgets.live(lab)
    monkeypatch.setattr(lab, "_where", 1)
    view._handle_custom_msg({"do": "here", "view": "1"}, [])
    wait_until(lambda: "gtlab up" in view.problem, "the problem")
    view.close()


def test_other_backends_have_no_live_view(cloud):
    with pytest.raises(ValueError, match="this lab is on other endpoints"):
        widgets.live(connect({SINGAPORE: cloud.url}, home=SINGAPORE, replicas=IRELAND))


def test_an_executed_notebook_keeps_a_picture_of_it(lab):
    view = widgets.live(lab)
    still = view._repr_mimebundle_()[0]["text/html"]
    assert "Singapore (home):" in still and "simulated" in still
    assert Choice(SINGAPORE, (VIRGINIA, IRELAND)).regions == tuple(each["code"] for each in view.members)
