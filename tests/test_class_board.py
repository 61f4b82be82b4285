"""The board of a class, from outside: learners join and report, the instructor sees it; hostile input is refused; a
board that is killed loses nothing."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from classes import Learner, gtlab, running_board
from support import refusal, wait_until

from gtlab.classroom import room, wire
from gtlab.course.doctor import OK, PROBLEM

pytestmark = pytest.mark.server

REFUSED = (401, 403, 429)  # 429 after some wrong tokens from one address
STALE = ["predicted", "03-stale", "home", 1000.0]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with running_board(tmp_path_factory.mktemp("board"), "--name", "Tuesday") as board:
        yield board


@pytest.fixture
def own_board(tmp_path):
    with running_board(tmp_path / "board") as board:
        yield board


# --- joining and reporting ---

def test_a_learner_joins_and_what_they_do_is_on_the_board(board, tmp_path):
    ana = Learner(tmp_path / "ana", "Ana").join(board)
    try:
        ana.run("from gtlab import check; check.predict('03-stale', 'home'); check.hint('03'); check.hint('03')")
        seen = wait_until(lambda: (found := board.learner("Ana")) and found["hints"] == 2 and found, "Ana's hints")
        assert seen["connected"] and seen["predicted"] == 1 and seen["why"] == ["2 hints for 03"]
        assert board.answered("03-stale") == {"home": 1}
        assert "as Ana" in (said := gtlab(ana.home, "class", "status").stdout) and "is connected" in said
        assert board.act(do="note", text="Five minutes <b>left</b>").status == 200
        notes = wait_until(lambda: ana.read("class-news.json").get("notes"), "the note")
        assert notes[-1]["text"] == "Five minutes <b>left</b>"
        again = gtlab(ana.home, "class", "join", board.url, board.code, "--as", "Ana", "--yes")
        assert "as Ana." in again.stdout, "joining twice is joining once"
    finally:
        ana.leave()
    wait_until(lambda: not board.learner("Ana")["connected"], "Ana's process to end")
    assert "not in a class" in gtlab(ana.home, "class", "status").stdout


def test_what_travels_is_said_before_joining(board, tmp_path):
    assert board.ask("/api/class").json == {"name": "Tuesday", "notice": wire.NOTICE}
    refused = gtlab(tmp_path, "class", "join", board.url, board.code, "--as", "Ana")  # nobody confirms
    assert refused.returncode == 1 and wire.NOTICE in refused.stdout
    assert not (tmp_path / "class.json").exists()


@pytest.mark.parametrize(("arguments", "says"), [
    (("URL", "WRONG", "--as", "Ana"), "not the code"),
    (("ftp://127.0.0.1", "CODE", "--as", "Ana"), "not the address of a board"),
    (("URL", "CODE", "--as", "  "), "not accepted as a name"),
    (("http://127.0.0.1:9", "CODE", "--as", "Ana"), "does not answer"),
])
def test_a_mistake_in_joining_is_explained(board, tmp_path, arguments, says):
    words = {"URL": board.url, "CODE": board.code}
    assert says in refusal(tmp_path, "class", "join", *(words.get(each, each) for each in arguments), "--yes")
    assert not (tmp_path / "class.json").exists()


def test_two_learners_of_one_name_are_two(board):
    board.join("Kim")
    board.join("kim")
    assert {"Kim", "kim (2)"} <= {each["name"] for each in board.view()["learners"]}


def test_a_removed_learner_is_deleted_and_stays_out(board, tmp_path):
    bo = Learner(tmp_path / "bo", "Bo").join(board)
    id = board.learner("Bo")["id"]
    assert board.act(do="remove", learner=id).status == 200
    wait_until(lambda: not (bo.home / "class.json").exists(), "Bo's machine to leave")
    assert board.learner("Bo") is None


# --- what nobody may see or do ---

def test_each_token_opens_only_its_own_door(board):
    token = board.join("Dora")
    event = {"do": "event", "what": "cut", "place": "home-first", "value": None, "seconds": 5, "countdown_s": 3}
    for path, body, allowed in [("/api/view", None, {"token"}), ("/api/view?names=no", None, {"token", "projector"}),
                                ("/api/export?what=answers", None, {"token"}), ("/api/act", event, {"token"}),
                                ("/api/clock", None, {"learner"}),
                                ("/api/report", {"records": []}, {"learner"})]:
        for who, given in [("token", board.token), ("projector", board.projector), ("learner", token),
                           ("code", board.code), ("nobody", "")]:
            if who not in allowed:
                assert board.ask(path, body, given).status in REFUSED, (path, who)
    assert board.view()["event"] is None


def test_a_learner_is_told_nothing_of_another(board):
    first, second = board.join("Secret Sam"), board.join("Tia")
    board.report(first, STALE)
    with socket.create_connection(("127.0.0.1", board.port), timeout=60) as connection:
        connection.sendall(f"GET /api/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {second}\r\n\r\n".encode())
        said = b""
        while b"data: " not in said or not said.endswith(b"\n\n\r\n"):
            said += connection.recv(65536)
    state = json.loads(said.partition(b"data: ")[2].partition(b"\n\n")[0])
    assert state["you"] == "Tia" and "Secret Sam" not in said.decode() and "predicted" not in said.decode()
    assert set(state) == {"class", "pace", "notes", "event", "stage", "now", "you"}


def test_the_projector_shows_no_names(board):
    board.report(board.join("Ursula Unique"), STALE)
    assert "Ursula Unique" in json.dumps(board.view())
    shown = board.view(board.projector, names="no")
    assert "Ursula" not in json.dumps(shown) and board.token not in json.dumps(shown) and "learners" not in shown
    assert board.ask("/api/view?names=yes", token=board.projector).status in REFUSED


# --- hostile input ---

NAMES = ["", " ", "\t\n", "a" * 41, "a" * 100_000, "Ann\u0000", "A\u202egnirts", "Zoë\u200b", "A" + "\u0301" * 30,
         "\ud800", "!!!", "--", 7, None, ["Ann"], {"a": 1}, True, "\x1b[31mRed", "\ue000private"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_such_a_name_is_refused(board, name):
    before = board.view()["joined"]
    answer = board.ask("/api/join", {"code": board.code, "name": name})
    assert answer.status == 400 and answer.json["message"]
    assert board.view()["joined"] == before


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"><img src=x>", "=cmd|' /C calc'!A0",
                                  "'; DROP TABLE x;--", "Zoë Ångström", "王小明", "عمر", "{{7*7}}"])
def test_any_other_name_is_only_text(board, name):
    board.report(board.join(name), STALE)
    assert board.learner(name)["name"] == name
    rows = board.ask("/api/export?what=answers", token=board.token).text.splitlines()
    assert len(rows) > 1 and not [row for row in rows if row.lstrip('"').startswith(("=", "+", "-", "@"))]
    # The policy lets the page run and load its own files only, whatever stands in a name.
    assert "default-src 'none'; script-src 'self'" in board.ask("/board").headers["content-security-policy"]


RECORDS = [
    ["predicted", "03-stale", "<img src=x onerror=alert(1)>", 1], ["predicted", "99-none", "home", 1],
    ["predicted", "03-stale", ["home"], 1], ["solved", "03-replica-write", "1; DROP TABLE learners", 1],
    ["solved", "03-replica-write", 1e300, 1], ["solved", "03-replica-write", True, 1],
    ["tried", "../../etc/passwd", 1, 1],
    ["revealed", "03-stale", {"measured": "home", "right": "yes"}, 1],
    ["place", "now", {"notebook": "03", "cell": "x" * 500}, 1],
    ["place", "now", {"notebook": "77", "cell": ""}, 1], ["regions", "now", ["atlantis-1"], 1],
    ["regions", "now", ["us-east-1"] * 2, 1], ["lags", "us-east-1>mars", {"backend": "AWS", "rows": [[1, 2, 1, 2]]}, 1],
    ["lags", "us-east-1>eu-west-1", {"backend": "<b>", "rows": [[1, 2, 1, 2]]}, 1],
    ["lags", "us-east-1>eu-west-1", {"backend": "AWS", "rows": [[1, 2, 1, 2]] * 121}, 1],
    ["lags", "us-east-1>eu-west-1", {"backend": "AWS", "rows": [[None, 2, 1, 2]]}, 1],
    ["arrivals", "1", [[0, 1]] * 401, 1], ["arrivals", "x", [[0, 1]], 1], ["event", "1", "owned", 1],
    ["name", "now", "Eve", 1], [["predicted"], "03-stale", "home", 1], ["predicted", "03-stale", "home", "soon"],
    ["predicted", "03-stale", "home", -1], "predicted", None, [], {"kind": "predicted"}, ["predicted", 3, "home", 1]]


def test_records_that_no_learner_can_have_are_refused_and_the_others_kept(board):
    token = board.join("Mallory")
    answer = board.report(token, *RECORDS, STALE)
    assert [at for at, _ in answer["refused"]] == list(range(len(RECORDS))) and answer["kept"] == 1
    seen = board.learner("Mallory")
    assert (seen["predicted"], seen["solved"], seen["tried"]) == (1, [], [])


BODIES = [b"", b"{", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"records": ' + b"9" * 5000 + b"}",
          b'{"records": [[' + b'"predicted", "03-stale", "home", ' + b"9" * 400 + b"]]}",
          b'{"records": {}}', b'{"records": [], "learner": 1}', b'{"records": [' + b"1," * 500 + b"1]}",
          b'{"records": NaN}', b'{"records": [["predicted", "03-stale", "home", Infinity]]}']


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body[:24]))
def test_such_a_body_is_refused(board, body):
    token = board.join("Body")
    answer = board.ask("/api/report", body, token)
    assert answer.status in (200, 400) and (answer.status == 400 or answer.json["refused"]), answer.text
    assert board.learner("Body")["predicted"] == 0
    id = board.learner("Body")["id"]
    board.act(do="remove", learner=id)


def test_a_body_that_is_too_large_or_no_json_is_refused(board):
    token = board.join("Large")
    assert board.ask("/api/report", b"x" * (wire.BODY_BYTES + 1), token).status == 413
    form = board.ask("/api/report", b"records=1", token, Content_Type="application/x-www-form-urlencoded")
    assert form.status == 415, "a form of another web page needs no permission"


@pytest.mark.parametrize("given", [
    {"Authorization": "Bearer "}, {"Authorization": "Basic TOKEN"}, {"Authorization": "Bearer " + "x" * 3000},
    {"Authorization": "Bearer \xe9"}, {"X-Token": "TOKEN"}, {"Cookie": "token=TOKEN"}], ids=str)
def test_a_token_is_a_bearer_token(board, given):
    headers = {name.replace("-", "_"): value.replace("TOKEN", board.token) for name, value in given.items()}
    assert board.ask("/api/view", **headers).status in REFUSED
    assert board.ask(f"/api/view?token={board.token}").status in REFUSED


@pytest.mark.parametrize("what", [
    {"do": "note", "text": ""}, {"do": "note", "text": "x" * 501}, {"do": "note", "text": "\u202e"}, {"do": "note"},
    {"do": "pace", "notebooks": "99", "solutions": "11"}, {"do": "stage", "notebook": "06; rm -rf /"},
    {"do": "stage", "notebook": 6},
    {"do": "event", "what": "reset", "place": "everywhere", "value": None, "seconds": 60, "countdown_s": 10},
    {"do": "event", "what": "lag", "place": "everywhere", "value": 3600, "seconds": 60, "countdown_s": 10},
    {"do": "event", "what": "lose", "place": "first", "value": "explode", "seconds": 60, "countdown_s": 10},
    {"do": "event", "what": "cut", "place": "home-first", "value": None, "seconds": 1e9, "countdown_s": 10},
    {"do": "remove", "learner": "1"}, {"do": "remove", "learner": True}, {"do": "show", "question": "x"},
    {"do": "quit"}, {"do": ["note"]}, [], None])
def test_such_an_act_is_refused(board, what):
    answer = board.ask("/api/act", what if what is not None else b"null", board.token)
    assert answer.status in (400, 404) and answer.json["message"]


@pytest.mark.parametrize("path", ["/../register.py", "/board.py", "/%2e%2e/board.sqlite3", "/api", "/api/none",
                                  "/page/board.js", "/board.sqlite3", "//api/view"])
def test_nothing_else_is_served(board, path):
    assert board.ask(path).status == 404


def test_wrong_codes_are_slowed_down_and_the_right_one_still_joins(own_board):
    statuses = [own_board.ask("/api/join", {"code": f"WRONG{n:03}", "name": "Eve"}).status for n in range(40)]
    assert set(statuses) == {403, 429} and statuses[0] == 403 and statuses[-1] == 429
    own_board.join("Ana")


def test_a_learner_who_floods_the_board_is_refused_and_others_are_not(own_board):
    eve, ana = own_board.join("Eve"), own_board.join("Ana")
    statuses: list[int] = []
    until = time.monotonic() + 120  # on a slow machine, more requests than are allowed take a while

    def flood() -> None:
        while 429 not in statuses and time.monotonic() < until:
            statuses.append(own_board.ask("/api/report", {"records": [STALE]}, eve).status)
    threads = [threading.Thread(target=flood) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(300)
    assert set(statuses) == {200, 429}
    assert own_board.report(ana, STALE)["kept"] == 1


def test_a_connection_that_sends_nothing_is_closed(board):
    with socket.create_connection(("127.0.0.1", board.port), timeout=120) as slow, socket.create_connection(
            ("127.0.0.1", board.port), timeout=120) as silent:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert slow.recv(1000) == b"" and silent.recv(1000) == b""


# --- nothing is lost ---

@pytest.mark.long(20)
def test_a_board_that_is_killed_loses_no_answer_and_learners_go_on(own_board, tmp_path):
    ana = Learner(tmp_path / "Ana", "Ana").join(own_board)
    other = own_board.join("Cy")
    try:
        ana.run("from gtlab import check; check.predict('03-stale', 'home')")
        wait_until(lambda: own_board.answered("03-stale") == {"home": 1}, "Ana's answer")
        assert own_board.report(other, ["predicted", "03-stale", "all", 5.0])["kept"] == 1
        own_board.kill()  # right after the acknowledgement
        ana.run("from gtlab import check; check.predict('03-strong', 'no')")
        wait_until(lambda: ana.read("class-news.json").get("connected") is False, "Ana's process to notice")
        own_board.start()
        wait_until(lambda: own_board.answered("03-stale") == {"home": 1, "all": 1}
                   and own_board.answered("03-strong") == {"no": 1}, "everything to be there again", 120)
        assert own_board.learner("Ana")["connected"]
    finally:
        ana.leave()


@pytest.mark.long(20)
def test_a_class_whose_register_is_lost_is_joined_again_by_itself(own_board, tmp_path):
    ana = Learner(tmp_path / "ana", "Ana").join(own_board)
    try:
        ana.run("from gtlab import check; check.predict('03-stale', 'home')")
        wait_until(lambda: own_board.answered("03-stale") == {"home": 1}, "Ana's answer")
        own_board.kill()
        code = own_board.code.replace("-", "")
        for path in own_board.home.glob("board.sqlite3*"):
            path.unlink()
        register = own_board.on_disk()  # a new one; the instructor gives it the code that the class has
        register.set("code", code)
        register.close()
        own_board.start()
        wait_until(lambda: own_board.answered("03-stale") == {"home": 1}, "Ana's answer in the new register", 120)
    finally:
        ana.leave()


def test_the_class_can_be_exported_afterwards(own_board):
    own_board.report(own_board.join("Ana"), STALE, ["solved", "03-replica-write", 2, 6.0],
                     ["lags", "us-east-1>eu-west-1", {"backend": "AWS", "rows": [[10, 20, 11, None]]}, 7.0])
    own_board.act(do="event", what="lag", place="everywhere", value=5, seconds=60, countdown_s=3)
    n = str(own_board.view()["event"]["n"])
    own_board.report(own_board.join("Bo"), ["event", n, "mended", 8.0], ["arrivals", n, [[1.5, 5000.0], [2, 6]], 8.0])
    own_board.report(own_board.join("Cy"), ["event", n, "opted out", 8.0])
    assert "is already running" in gtlab(own_board.home, "class", "export", "answers").stderr
    own_board.stop()
    printed = gtlab(own_board.home, "class", "export", "answers").stdout
    assert "Ana,03,03-stale,home,Only home," in printed
    events = gtlab(own_board.home, "class", "export", "events").stdout.splitlines()
    assert [re.sub("[^,]+Z|[^,]+00:00", "T", each) for each in events[1:]] == [
        f"Bo,{n},set the replication lag to 5 s everywhere,T,mended,1.5,5000.0",
        f"Bo,{n},set the replication lag to 5 s everywhere,T,mended,2,6",
        f"Cy,{n},set the replication lag to 5 s everywhere,T,opted out,,"]
    out = own_board.home / "lags.csv"
    assert gtlab(own_board.home, "class", "export", "lags", "--out", str(out)).returncode == 0
    assert "Ana,us-east-1,eu-west-1,10,20,11,,AWS," in out.read_text(encoding="utf-8-sig")


# --- the door on a network ---

@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_board_with_a_certificate_speaks_https(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with running_board(tmp_path / "board", "--certificate", str(certificate), "--key", str(key)) as board:
        assert board.url.startswith("https://")
        ana = Learner(tmp_path / "ana", "Ana")
        ana.home.mkdir()
        distrusted = gtlab(ana.home, "class", "join", board.url, board.code, "--as", "Ana", "--yes")
        assert distrusted.returncode == 1 and "certificate" in distrusted.stderr.lower()
        ana.join(board, "--certificate", str(certificate))
        try:
            wait_until(lambda: ana.read("class-news.json").get("connected"), "the stream")
        finally:
            ana.leave()
        assert "certificate" in room.board(board.url).found.lower()
        assert room.board(board.url, certificate).status == OK


def test_a_machine_tries_whether_it_reaches_the_board_beforehand(board):
    found = room.board(board.url)
    assert found.status == OK and found.figure > 0 and f"{board.url} answers in" in found.found
    for url in (f"{board.url}/elsewhere", "http://127.0.0.1:1"):
        found = room.board(url)
        assert found.status == PROBLEM and found.advice and found.figure is None


def test_a_second_board_of_the_same_folder_is_refused(board):
    assert "is already running" in refusal(board.home, "class", "start", "--port", "8820")


@pytest.mark.parametrize(("options", "says"), [
    (("--listen", "nowhere"), "not an IP address"), (("--url", "class.example"), "begins with http"),
    (("--certificate", __file__), "--certificate and --key"),
    (("--certificate", __file__, "--key", __file__), "cannot be used")])
def test_options_that_cannot_work_are_refused(tmp_path, options, says):
    assert says in refusal(tmp_path, "class", "start", *options)


def test_a_register_that_cannot_be_read_is_explained(tmp_path):
    (tmp_path / "board.sqlite3").write_bytes(b"no database" * 100)
    assert "To start a new class, move the file away" in refusal(tmp_path, "class", "start")


def test_the_time_of_a_record_cannot_be_in_the_future(board):
    token = board.join("Future")
    board.report(token, ["predicted", "03-stale", "all", 9e10])
    board.report(token, ["predicted", "03-stale", "home", time.time() + 5])
    assert board.learner("Future")["answers"] == {"03-stale": "home"}


