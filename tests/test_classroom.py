"""What the board shows, and what a learner's kernel does in a class: without a server."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from gtlab import check, statistics
from gtlab.classroom import acts, agent, catalogue, door, happening, link, sources, views, wire
from gtlab.classroom.register import Register, RegisterError
from gtlab.classroom.wire import Record, Refused
from gtlab.contract import BUILT_IN, NETWORKS
from gtlab.course import progress
from gtlab.lab import Choice, Lab, classmate, json_files
from gtlab.lab.clients import Access
from gtlab.localcloud import process

SIMULATED = "simulated: local cloud, fast network, built-in lag model"


@pytest.fixture
def register(tmp_path):
    made = Register(tmp_path / "board.sqlite3")
    yield made
    made.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A learner's state folder; they are in a class that opens notebooks up to 03 and no solutions."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    monkeypatch.setattr(classmate, "ensure_process", lambda: None)  # no process: its door is tested in test_class_board
    with json_files.changing(classmate.MEMBER_FILE) as content:
        content.update(url="http://127.0.0.1:9", token="x", name="Ana", events=True, joined=1.0)
    with json_files.changing(classmate.NEWS_FILE) as content:
        content.update({"class": "Tuesday", "pace": {"notebooks": "03", "solutions": ""}, "notes": []})
    return tmp_path


def view(register, *, connected=(), now=1000.0, names=True):
    return views.board(register, views.Settings(set(connected), now, names))


def test_the_spread_counts_answers_and_names_the_most_frequent(register):
    options = list(catalogue.options("03-stale"))
    for number in range(5):
        learner, _ = register.join(f"L{number}")
        register.report(learner, [Record("predicted", "03-stale", options[number > 2], 10.0 + number)])
        register.report(learner, [Record("revealed", "03-stale", {"measured": options[0], "right": number <= 2}, 20.0)])
    question = next(each for each in view(register)["questions"] if each["id"] == "03-stale")
    assert [each["count"] for each in question["options"]][:2] == [3, 2] and question["answered"] == 5
    assert question["finding"] == f"3 of 5 expected: {catalogue.options('03-stale')[options[0]]}"
    assert (question["right"], question["revealed"], question["options"][0]["measured"]) == (3, 5, 5)
    assert view(register)["shown"] == "03-stale", "the question that was answered last"


@pytest.mark.parametrize(("minutes", "hints", "connected", "why"), [
    (3, 0, True, []), (9, 0, True, ["9 min on one cell"]), (9, 0, False, []), (200, 0, True, []),
    (1, 2, True, ["2 hints for 03"])])
def test_who_is_stuck(register, minutes, hints, connected, why):
    learner, _ = register.join("Ana")
    cell = next(iter(catalogue.cells()["03"]))
    register.report(learner, [Record("place", "now", {"notebook": "03", "cell": cell}, 100_000 - 60 * minutes),
                              *([Record("hinted", "03-replica-write", hints, 1.0)] * bool(hints))])
    (shown,) = view(register, connected=[learner.id] * connected, now=100_000.0)["learners"]
    assert shown["why"] == why and (shown["notebook"], shown["cell"]) == ("03", 1)
    register.report(learner, [Record("solved", "03-replica-write", 1, 2.0)])
    assert "hints" not in str(view(register, now=100_000.0)["learners"][0]["why"])


def probes(pairs):
    return {"backend": SIMULATED, "rows": [[low, high, low, high] for low, high in pairs]}


def test_the_curve_of_the_class_is_that_of_the_statistics(register):
    first = [(10.0 * n, 10.0 * n + 7) for n in range(1, 30)]
    second = [(5.0 * n, None if n == 9 else 5.0 * n + 20) for n in range(1, 30)]
    for name, rows in (("Ana", first), ("Bo", second)):
        register.report(register.join(name)[0], [Record("lags", "us-east-1>eu-west-1", probes(rows), 1.0)])
    found = views.curve(list(register.learners.values()))
    frame = pd.DataFrame([{
        "source": "us-east-1", "target": "eu-west-1", "visible_min_ms": low, "visible_max_ms": high, "put_ms": 0.0,
        "rtt_ms": 0.0, "backend": SIMULATED} for low, high in [*first, *second]]).astype({"visible_max_ms": float})
    own = statistics.t_visibility(frame, found["t_ms"])
    assert found["certain"] == pytest.approx(list(own["certain"])) and found["probes"] == 58
    assert found["possible"] == pytest.approx(list(own["possible"]))
    assert found["learners"] == 2 and found["backend"] == "simulated, fast network" and found["by_99_ms"] is None


def test_lags_of_other_backends_are_left_out(register):
    for name, backend in (("Ana", SIMULATED), ("Bo", SIMULATED), ("Cy", "AWS")):
        value = probes([(10, 20)] * 3) | {"backend": backend}
        register.report(register.join(name)[0], [Record("lags", "us-east-1>eu-west-1", value, 1.0)])
    shown = view(register)
    assert (shown["curve"]["learners"], shown["curve"]["left_out"]) == (2, 1)
    assert shown["places"]["links"] == [
        {"source": "us-east-1", "target": "eu-west-1", "learners": 2, "low_ms": 10, "high_ms": 20}]


def test_a_register_is_the_same_after_it_was_closed(tmp_path):
    register = Register(tmp_path / "board.sqlite3")
    learner, token = register.join("Ana")
    gone, gone_token = register.join("Bo")
    register.report(learner, [Record("predicted", "03-stale", "home", 2.0)])
    assert register.report(learner, [Record("predicted", "03-stale", "all", 1.0)]) == 0, "an older answer"
    register.remove(gone.id)
    register.ask("note", {"text": "hello"})
    before = (register.get("code"), register.get("token"), register.asked)
    register.close()
    again = Register(tmp_path / "board.sqlite3")
    assert (again.get("code"), again.get("token"), again.asked) == before
    assert again.learner_of(token).values("predicted") == {"03-stale": "home"} and len(again.learners) == 1
    assert again.was_removed(gone_token) and again.learner_of(gone_token) is None
    again.set("version", 99)
    again.close()
    with pytest.raises(RegisterError, match="newer gtlab"):
        Register(tmp_path / "board.sqlite3")
    assert (tmp_path / "board.sqlite3").stat().st_mode & 0o077 == 0, "it holds the instructor's token"


def test_rates_allow_a_burst_and_then_so_many_per_second():
    now = [0.0]
    rates = door.Rates(2.0, 3.0, clock=lambda: now[0])
    assert [rates.allows("a") for _ in range(4)] == [True, True, True, False] and rates.allows("b")
    now[0] = 0.5
    assert [rates.allows("a") for _ in range(2)] == [True, False]


# --- events ---

CUT = {"what": "cut", "place": "home-first", "value": None, "seconds": 60, "countdown_s": 10}


def test_an_event_is_one_at_a_time_and_ends_when_it_is_mended(register):
    acts.act(register, {"do": "event", **CUT})
    told = acts.for_learners(register)["event"]
    assert told["ends"] - told["starts"] == 60 and told["words"].startswith("cut the cable")
    with pytest.raises(Refused, match="still running"):
        acts.act(register, {"do": "event", **CUT})
    acts.act(register, {"do": "mend"})
    told = acts.for_learners(register)["event"]
    assert told["ends"] == told["starts"] <= time.time(), "it was called off before it began"
    with pytest.raises(Refused, match="No event"):
        acts.act(register, {"do": "mend"})


@pytest.mark.parametrize(("change", "words"), [
    ({}, "cut the cable between"), ({"what": "isolate", "place": "first"}, "cut every cable of the first replica's"),
    ({"what": "lose", "place": "home", "value": "error"}, "lose the home Region (error)"),
    ({"what": "lag", "place": "everywhere", "value": 2.5}, "lag to 2.5 s everywhere")])
def test_every_event_is_put_in_words(register, change, words):
    acts.act(register, {"do": "event", **CUT, **change})
    assert words in acts.for_learners(register)["event"]["words"] and words in view(register)["event"]["words"]


@pytest.mark.parametrize("change", [{"what": "reset"}, {"place": "mars"}, {"value": 5}, {"ends": 1e9}, {"n": "1"},
                                    {"starts": None}])
def test_a_learners_machine_carries_out_only_the_events_it_knows(home, change):
    event = {"n": 1, "what": "cut", "place": "home-first", "value": None, "starts": 100.0, "ends": 160.0}
    told = []
    carried = happening.Happening(lambda: 120.0, lambda *what: told.append(what))
    assert not carried.heard(event | change)
    carried.tick(True)
    assert told == []
    assert carried.heard(event) and not carried.heard(event)


# --- in a kernel ---

def test_the_pace_keeps_solutions_and_notebooks_closed(home, monkeypatch, capsys):
    with pytest.raises(classmate.NotOpen, match=r"The solution of 03 is not open yet in the class “Tuesday”"):
        check.solution("03")
    for name, opens in (("03_verify_replication.ipynb", True), ("04_time_it.ipynb", False), ("mine.ipynb", True)):
        monkeypatch.setenv("JPY_SESSION_NAME", f"/home/ana/gtlab-course/{name}")
        if opens:
            classmate.follow()
        else:
            with pytest.raises(classmate.NotOpen, match=r"Notebook 04 is not open yet.*up to 03.*gtlab class leave"):
                classmate.follow()
    (home / classmate.MEMBER_FILE).unlink()
    classmate.follow()
    check.solution("03")
    assert "def write_and_prove" in capsys.readouterr().out


class Shell:
    """The parts of a kernel's shell that a class needs."""

    def __init__(self):
        self.hooks, self.sent, self.parent_header = [], [], {"header": {"msg_id": "1"}}
        self.events = SimpleNamespace(register=lambda when, hook: self.hooks.append((when, hook)))
        session = SimpleNamespace(send=lambda *what, **more: self.sent.append((what, more)))
        self.display_pub = SimpleNamespace(session=session, pub_socket=None, topic=b"display_data")


def test_a_kernel_notes_its_cell_and_shows_notes_below_it(home, monkeypatch):
    from support import wait_until

    monkeypatch.setenv("JPY_SESSION_NAME", "course/03_verify_replication.ipynb")
    monkeypatch.setattr(classmate, "_LOOK_S", 0.02)
    shell, follower = Shell(), classmate._Follower()
    follower.start(shell)
    ((when, before),) = shell.hooks
    assert when == "pre_run_cell"
    cell = next(iter(catalogue.cells()["03"]))
    before(SimpleNamespace(cell_id=cell))
    (own,) = [own for own in sources.gather() if own.kind == "place"]
    assert own.value == {"notebook": "03", "cell": cell}
    before(SimpleNamespace(cell_id=cell))
    assert [each.at for each in sources.gather() if each.kind == "place"] == [own.at], "the same cell since then"
    before(SimpleNamespace(cell_id="a-cell-of-the-learners-own"))
    assert [each.value["cell"] for each in sources.gather() if each.kind == "place"] == [""]
    with json_files.changing(classmate.NEWS_FILE) as content:
        content["notes"] = [{"n": 1, "text": "Break <i>now</i>", "got": time.time()}]
    wait_until(lambda: shell.sent, "the note")
    (what, more), = shell.sent
    assert what[1] == "display_data" and more["parent"] == {"header": {"msg_id": "1"}}
    assert "Break &lt;i&gt;now&lt;/i&gt;" in what[2]["data"]["text/html"]
    (home / classmate.MEMBER_FILE).unlink()  # ends the thread's reading


def test_what_is_sent_is_what_the_notice_says(home):
    progress.record("predicted", "03-stale", "home")
    progress.record("revealed", "03-stale", {"predicted": "home", "measured": "home", "right": True})
    progress.record("shown", "03-replica-write", True)
    progress.record("something-private", "03", "secret")
    lags = pd.DataFrame({"source": "us-east-1", "target": ["eu-west-1"] * 200, "lag_min_ms": 10.0,
                         "lag_max_ms": float("nan"), "visible_min_ms": 12.0, "visible_max_ms": float("nan"),
                         "put_ms": 2.0})
    classmate.keep_lags(lags, SIMULATED)
    found = sources.gather()
    assert {own.kind for own in found} == {"predicted", "revealed", "shown", "regions", "lags"}
    assert "secret" not in str(found)
    for own in found:  # and the board accepts it
        assert wire.record(json.loads(json.dumps([own.kind, own.id, own.value, own.at])), 1e10).value is not None
    (kept,) = [own.value for own in found if own.kind == "lags"]
    assert kept["rows"] == [[10.0, None, 10.0, None]] * classmate.PROBES and classmate.PROBES <= wire.PROBES


def test_the_board_knows_the_label_of_every_lab(home):
    """What learners measure is refused otherwise. The name of a lag model is the name of a learner's own file."""
    running = process.Running(home, 1, 1, "", "", "historic")
    for network in NETWORKS:
        for model, shown in ((BUILT_IN, ""), ("my lags, 2.json (3f2a)", ", another lag model")):
            lab = Lab(Access("local"), Choice(), replace(running, network=network, lag_model=model))
            assert wire.BACKENDS[wire.backend(lab.label)] == f"simulated, {network} network{shown}"
    for access in (Access("aws"), Access("endpoints"), Access("aws", rehearsal="http://127.0.0.1:1")):
        assert wire.BACKENDS[wire.backend(Lab(access, Choice()).label)]
    with json_files.changing(classmate.LAGS_FILE) as content:
        label = "simulated: local cloud, fast network, lag model mine.json (3f2a)"
        content["us-east-1>eu-west-1"] = {"value": {"backend": label, "rows": [[1.0, 2.0, 1.0, 2.0]]}, "at": 1.0}
    assert "mine" not in str(sources.gather())


def test_without_a_class_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    classmate.keep_lags(pd.DataFrame({"source": ["a"]}), SIMULATED)
    classmate.follow()
    assert list(tmp_path.iterdir()) == []


def test_the_clock_is_taken_from_the_fastest_answer():
    # Before and after each of six requests, when they are done, and at the end.
    steps = iter([0.0, 0.4, 1.0, 1.02, 2.0, 2.6, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 5.5, 7.0])
    answers = iter([5000.9, 5001.01, *[5999.0] * 4])
    clock = agent.Clock(lambda: next(steps))
    clock.ask(SimpleNamespace(ask=lambda what: {"now": next(answers)}))
    assert clock.error_ms == pytest.approx(10.0) and clock.now() == pytest.approx(5007.0)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8820", "file:///etc/passwd", "http://", "http://a b", "http://x:99999", "http://x/?y",
                                 "http://x/\nHost: y"])
def test_such_an_address_is_no_board(url):
    with pytest.raises(ValueError, match="not the address of a board"):
        link.Link(url)


