"""The journal: what it keeps, and the data frame that is made of it."""

from __future__ import annotations

from support import IRELAND, SINGAPORE

from gtlab import events
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.journal import MOST_EVENTS, Journal
from gtlab.localcloud.replication import Delivery, Version


def test_the_same_version_twice_is_a_duplicate_and_no_loss():
    journal, table, version = Journal(), TableId("1", IRELAND, "Music"), Version(5_000_000, SINGAPORE)
    delivery = Delivery("g", SINGAPORE, IRELAND, ("a",), {}, version, 6.0)
    journal.discarded(table, {"Artist": {"S": "a"}}, delivery, version, 6.0)
    journal.discarded(table, {"Artist": {"S": "a"}}, delivery, Version(5_250_000, IRELAND), 6.0)
    told = [event.as_dict() for event in journal.since(0)]
    found = events.frame(lambda what: {"events": told if what.endswith("=0") else [], "last": 2})
    assert found["kind"].tolist() == ["duplicate", "discarded"] and found["lag_ms"].tolist() == [1000.0, 1000.0]
    assert found["by_ms"].tolist()[1] == 250.0 and found["conflict"].isna().tolist() == [True, False]


def test_a_long_journal_comes_page_by_page_and_ends_where_it_ended_when_asked():
    asked = []

    def ask(what: str) -> dict:
        asked.append(what)
        after = int(what.partition("=")[2])
        newest = 2500 + 10 * len(asked)  # it goes on meanwhile
        return {"last": newest, "events": [{"n": n, "at": 0.0, "kind": "reset", "table": None} for n in
                                           range(after + 1, min(after + 1000, newest) + 1)]}

    found = events.frame(ask)
    assert asked == ["events?after=0", "events?after=1000", "events?after=2000"]
    assert found["n"].tolist() == list(range(1, len(found) + 1)) and len(found) >= 2510


def test_the_journal_is_bounded():
    journal, table = Journal(), TableId("a", "r", "t")
    for number in range(MOST_EVENTS + 50):
        journal.member(table, joined=True, at=float(number))
    kept = journal.since(0)
    assert len(kept) == MOST_EVENTS and kept[0].n == 51 and journal.last == MOST_EVENTS + 50
    assert [event.n for event in journal.since(journal.last - 2)] == [journal.last - 1, journal.last]
    assert [event.n for event in journal.since(0, most=2)] == [51, 52] and journal.since(journal.last) == []
