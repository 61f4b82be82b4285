"""Stale reads in the journal: which reads are noted, and what is said of them. Under a pretend clock."""

from __future__ import annotations

import pytest
from support import IRELAND, ON_DEMAND, SINGAPORE, Pretend, wait_until

from gtlab import connect, events
from gtlab.cli.main import main
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.journal import MOST_READS, Journal, ReadDetail
from gtlab.localcloud.replication import Version

LAG_S = 5.0


@pytest.fixture
def pair(pretend: Pretend):
    """Clients of Singapore and Ireland with a global table in which replication takes LAG_S."""
    here, there = pretend.client(SINGAPORE), pretend.client(IRELAND)
    here.create_table(**ON_DEMAND)
    pretend.wait(60)
    here.update_table(TableName="Music", ReplicaUpdates=[{"Create": {"RegionName": IRELAND}}])
    pretend.wait(600)
    pretend.cloud.turn("lag", (), LAG_S, pretend.now)
    return here, there


def put(client, artist: str, text: str = "new") -> None:
    client.put_item(TableName="Music", Item={"Artist": {"S": artist}, "text": {"S": text}})


def get(client, artist: str, **more) -> None:
    client.get_item(TableName="Music", Key={"Artist": {"S": artist}}, **more)


def reads(pretend: Pretend) -> list[dict]:
    return [event.as_dict() for event in pretend.cloud.journal.since(0) if event.kind == "read"]


def test_a_read_is_stale_from_the_write_to_its_arrival_and_only_elsewhere(pretend, pair):
    here, there = pair
    get(there, "a")
    put(here, "a", "old")
    pretend.wait(LAG_S + 1)
    wrote = pretend.now
    put(here, "a", "new")
    pretend.wait(2)
    for client in (here, there):
        get(client, "a")
    get(there, "other")
    (stale,) = reads(pretend)
    assert (stale["region"], stale["key"], stale["operation"], stale["stale"]) == (
        IRELAND, {"Artist": {"S": "a"}}, "GetItem", True)
    assert (stale["source"], stale["newer_in"]) == (SINGAPORE, SINGAPORE)
    assert stale["newer_written_at"] == pytest.approx(wrote) and stale["behind_ms"] == pytest.approx(2000)
    assert stale["written_at"] == pytest.approx(wrote - LAG_S - 1)
    pretend.wait(LAG_S)
    get(there, "a")
    assert len(reads(pretend)) == 1


def test_a_strongly_consistent_read_of_an_item_that_has_not_arrived_is_stale_as_well(pretend, pair):
    here, there = pair
    put(here, "a")
    get(there, "a", ConsistentRead=True)
    (stale,) = reads(pretend)
    assert stale["consistent"] is True and stale["written_at"] is stale["source"] is None


def test_a_delete_is_missed_only_by_who_still_sees_the_item(pretend, pair):
    here, there = pair
    put(here, "a")
    here.delete_item(TableName="Music", Key={"Artist": {"S": "a"}})
    get(there, "a")  # it is in neither Region
    assert reads(pretend) == []
    put(here, "b")
    pretend.wait(LAG_S + 1)
    here.delete_item(TableName="Music", Key={"Artist": {"S": "b"}})
    get(there, "b")
    (stale,) = reads(pretend)
    assert stale["key"] == {"Artist": {"S": "b"}}
    pretend.wait(LAG_S + 1)  # the delete is there: an item that comes and goes elsewhere makes no difference
    put(here, "b")
    here.delete_item(TableName="Music", Key={"Artist": {"S": "b"}})
    get(there, "b")
    assert len(reads(pretend)) == 1


def test_a_partition_keeps_reads_stale_until_it_is_mended(pretend, pair):
    here, there = pair
    pretend.cloud.turn("partition", (SINGAPORE, IRELAND), None, pretend.now)
    put(here, "a")
    pretend.wait(600)
    get(there, "a")
    assert [event["behind_ms"] for event in reads(pretend)] == [pytest.approx(600_000)]
    pretend.cloud.mend_all(pretend.now)
    pretend.wait(LAG_S + 1)
    get(there, "a")
    assert len(reads(pretend)) == 1


def test_each_stale_item_of_a_batch_and_of_a_transaction_is_noted(pretend, pair):
    here, there = pair
    for artist in "ab":
        put(here, artist)
    keys = [{"Artist": {"S": artist}} for artist in "abc"]
    there.batch_get_item(RequestItems={"Music": {"Keys": keys}})
    there.transact_get_items(TransactItems=[{"Get": {"TableName": "Music", "Key": key}} for key in keys])
    assert [(event["operation"], event["key"]["Artist"]["S"]) for event in reads(pretend)] == [
        ("BatchGetItem", "a"), ("BatchGetItem", "b"), ("TransactGetItems", "a"), ("TransactGetItems", "b")]


@pytest.mark.parametrize(("asked", "items", "stale_items"), [
    ({}, 2, 2),                                                   # one is older here, one is not there yet
    ({"FilterExpression": "#t = :t", "ExpressionAttributeNames": {"#t": "text"},
      "ExpressionAttributeValues": {":t": {"S": "old"}}}, 2, 1),  # the one that is not there might not pass the filter
], ids=["whole", "filter"])
def test_a_scan_is_one_event_with_the_number_of_stale_items(pretend, pair, asked, items, stale_items):
    here, there = pair
    for artist in "ab":
        put(here, artist, "old")
    pretend.wait(LAG_S + 1)
    put(here, "a", "newer")
    put(here, "c")
    there.scan(TableName="Music", **asked)
    (stale,) = reads(pretend)
    assert (stale["operation"], stale["key"]) == ("Scan", None)
    assert (stale["items"], stale["stale_items"]) == (items, stale_items)
    assert stale["newer_in"] == SINGAPORE and stale["behind_ms"] == pytest.approx(0, abs=1)


def test_a_page_is_an_event_if_it_has_a_stale_item(pretend, pair):
    here, there = pair
    for artist in "ab":
        put(here, artist, "old")
    pretend.wait(LAG_S + 1)
    put(here, "a", "newer")
    page = there.scan(TableName="Music", Limit=1)
    while "LastEvaluatedKey" in page:  # which item comes first depends on the order of hashes
        page = there.scan(TableName="Music", Limit=1, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [(event["items"], event["stale_items"]) for event in reads(pretend)] == [(1, 1)]


def test_a_query_knows_what_has_not_arrived_in_its_partition(pretend, pair):
    here, there = pair
    put(here, "a")
    for artist in "ab":
        there.query(TableName="Music", KeyConditionExpression="Artist = :a",
                    ExpressionAttributeValues={":a": {"S": artist}})
    (stale,) = reads(pretend)
    assert (stale["operation"], stale["items"], stale["stale_items"]) == ("Query", 0, 1)


def test_reads_that_are_not_stale_are_noted_while_somebody_asks_for_them(pretend, pair):
    here, _ = pair
    put(here, "a")
    stop = pretend.cloud.journal.listen(lambda: None, reads=True)
    get(here, "a")
    here.scan(TableName="Music")
    stop()
    get(here, "a")
    item, page = reads(pretend)
    assert (item["stale"], item["source"], item["newer_in"], item["behind_ms"]) == (False, SINGAPORE, None, None)
    assert (page["stale"], page["items"], page["stale_items"]) == (False, 1, 0)


def test_reads_do_not_push_other_events_out_and_stay_in_order():
    journal, table = Journal(), TableId("1", IRELAND, "Music")
    journal.member(table, joined=True, at=0.0)
    for number in range(MOST_READS + 10):
        journal.read(table, {}, ReadDetail("GetItem", False, None, Version(number, SINGAPORE)), float(number))
    journal.member(table, joined=False, at=9e9)
    kept = [event.n for event in journal.since(0)]
    assert len(kept) == MOST_READS + 2 and kept == sorted(kept) and kept[0] == 1
    assert [event.n for event in journal.since(kept[-3])] == kept[-2:]
    assert [event.n for event in journal.since(0, most=2)] == kept[:2]


def test_after_a_restart_reads_are_still_stale(pretend, pair):
    """What is on its way comes from disk; the journal does not."""
    here, there = pair
    put(here, "a")
    replication = pretend.cloud.replication
    replication.links._coming.clear()
    (group,) = pretend.cloud.groups
    assert not replication.links.is_behind(group.id, IRELAND)
    entries = [(of, region, key, *replication.entry(of, region, key)) for of, region in replication.copies()
               for key in replication.keys_of(of, region)]
    waiting = list(replication.links.on_their_way())
    replication.links._queue.clear()
    replication.restore(replication.copies(), entries, waiting)
    assert replication.links.is_behind(group.id, IRELAND) and not replication.links.is_behind(group.id, SINGAPORE)
    get(there, "a")
    assert len(reads(pretend)) == 1
    pretend.wait(LAG_S + 1)
    assert not replication.links.is_behind(group.id, IRELAND)


@pytest.fixture
def lab(cloud):
    from gtlab.course import stages

    made = connect(home=SINGAPORE, replicas=IRELAND)
    stages.ensure_global_table(made)
    yield made
    made.world.reset()


def test_a_learner_sees_stale_reads_in_the_frame_and_asks_for_all_of_them(lab):
    def read(region: str) -> None:
        lab.client(region).get_item(TableName="Music", Key={"Artist": {"S": "seen"}, "SongTitle": {"S": "x"}})

    start = int(lab.events()["n"].max())
    with lab.world.partition(SINGAPORE, IRELAND), lab.all_reads():
        lab.client(SINGAPORE).put_item(TableName="Music", Item={"Artist": {"S": "seen"}, "SongTitle": {"S": "x"}})
        read(SINGAPORE)
        read(IRELAND)

    def stopped() -> bool:  # the server notices the end of the connection a moment later
        before = int(lab.events()["n"].max())
        read(SINGAPORE)
        return not len(lab.events(before, kinds="read"))

    found = lab.events(start, kinds="read").head(2)
    assert found["region"].tolist() == [SINGAPORE, IRELAND] and found["stale"].tolist() == [False, True]
    assert found["key"].tolist() == ["seen / x"] * 2 and found["newer_in"].tolist() == [None, SINGAPORE]
    fresh, stale = map(events.in_words, _as_told(lab, start)[:2])
    assert fresh.split() == [SINGAPORE, "read", "Music", "seen", "/", "x"]
    assert stale.startswith(f"{IRELAND}       stale read Music seen / x: {SINGAPORE} wrote ")
    wait_until(stopped, "the journal to leave fresh reads out again")


def _as_told(lab, start: int) -> list[dict]:
    return [event for event in events.pages(lab._control, start) if event["kind"] == "read"]


def test_which_reads_are_asked_for_is_checked(lab):
    for asked, text in (("reads=none", "reads is one of: stale, all"), ("reads=all", "text/event-stream")):
        with pytest.raises(Exception, match=text):
            lab._control(f"events?{asked}")


def test_the_command_says_that_all_reads_need_to_be_followed(capsys):
    with pytest.raises(SystemExit):
        main(["events", "--reads"])
    assert "--reads needs --follow" in capsys.readouterr().err
