"""`gtlab doctor --report` and `--room`: what a report holds, and what an instructor sees of a room."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gtlab import __version__
from gtlab.cli.main import main
from gtlab.course import checkup, doctor
from gtlab.course.doctor import OK, PROBLEM, WARNING, Checked

FIT = [Checked("Python", OK, "3.11.7, CPython, /home/ana/bin/python"), Checked("Ports", OK, "127.0.0.1 can be reached"),
       Checked("Disk", OK, "120 GB free", "", 122_880.0), Checked("Memory", OK, "5.0 GB available", "", 5120.0),
       Checked("Trial", OK, "3.2 s", "", 3.21)]


def put(folder: Path, name: str, *changes: Checked, file: str | None = None, **fields: object) -> Path:
    """A report of a machine that is fit except for these checks."""
    folder.mkdir(exist_ok=True)
    changed = {each.name: each for each in (*FIT, *changes)}
    found = checkup.report(changed.values(), name)
    path = folder / (file or found.file)
    path.write_text(json.dumps(json.loads(checkup.to_text(found)) | fields), encoding="utf-8")
    return path


def show(path: Path, *options: str) -> Result:
    ran = CliRunner().invoke(main, ["doctor", "--room", str(path), *options])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def line(shown: Result, name: str) -> str:
    """A machine's line of the table."""
    return next(each for each in shown.output.splitlines() if each.split("  ")[-1] and name in each[:24])


@pytest.fixture
def room(tmp_path) -> Path:
    """A list of three machines with a report of each; the reports are where the command looks for them."""
    for name in ("laptop-1", "laptop-2", "Ana Silva"):
        put(tmp_path / "room", name)
    path = tmp_path / "room.txt"
    path.write_text("# Tuesday\nlaptop-1\n\nlaptop-2\nAna Silva\n")
    return path


def test_a_room_that_is_fit_is_a_table(room):
    shown = show(room)
    assert shown.exit_code == 0
    for name in ("laptop-1", "laptop-2", "Ana Silva"):
        assert line(shown, name).startswith("OK ")
        assert all(each in line(shown, name) for each in ("5.0 GB", "120.0 GB", "ok", "3.2 s", __version__))
    assert "Machines: 3. Fit: 3. With a problem: 0." in shown.output
    assert show(room.parent / "room").exit_code == 0, "the folder will do without a list"


def test_what_is_missing_is_listed_with_what_to_do(room):
    folder = room.parent / "room"
    put(folder, "laptop-1", Checked("Memory", PROBLEM, "300 MB available", "Close other programs.", 300.0))
    put(folder, "laptop-2", gtlab="0.1.0")
    (folder / "Ana-Silva.json").unlink()
    put(folder, "anas-laptop", Checked("Trial", WARNING, "14 s", "Allow more time.", 14.0))
    shown = show(room, "--board", "http://10.1.2.3:8820")
    assert shown.exit_code == 1
    assert line(shown, "laptop-1").startswith("PROBLEM") and "300 MB" in line(shown, "laptop-1")
    assert line(shown, "anas-laptop").startswith("WARNING")
    assert "laptop-1: PROBLEM Memory: 300 MB available\n    → Close other programs." in shown.output
    assert f"laptop-2: PROBLEM gtlab: version 0.1.0, and this machine has {__version__}" in shown.output
    assert f'--report {folder} --as "Ana Silva" --board http://10.1.2.3:8820' in shown.output
    assert "anas-laptop: WARNING List: not on the list" in shown.output
    assert "laptop-1: WARNING Board: not tried" in shown.output
    assert ("Machines: 4. Fit: 1 (with warnings: 1). With a problem: 3 (without a report: 1). "
            f"Versions of gtlab: {__version__} (2), 0.1.0 (1).") in shown.output
    told = json.loads(show(room, "--json").output)
    assert told["fit"] is False and [each["status"] for each in told["machines"]] == [PROBLEM] * 3 + [WARNING]
    assert told["machines"][2]["report"] is None and told["machines"][0]["report"]["memory_mb"] == 300


def test_a_report_may_be_a_line_of_the_list_and_the_newest_counts(room):
    pasted = json.loads(put(room.parent, "laptop-2", gtlab="0.1.0").read_text())
    (room.parent / "laptop-2.json").unlink()
    room.write_text(f"laptop-2\n{json.dumps(pasted | {'at': time.time() - 60})}\n")
    assert show(room).exit_code == 0, "the one in the folder is newer"
    room.write_text(f"laptop-2\n{json.dumps(pasted | {'at': time.time() + 60})}\n")
    assert "version 0.1.0" in show(room).output
    room.write_text(json.dumps(pasted | {"gtlab": __version__, "at": time.time() - 20 * 86_400}))
    only = room.rename(room.with_name("other.txt"))
    assert "laptop-2: WARNING Report: 20 days old" in show(only).output


def test_a_report_belongs_to_the_machine_that_its_file_is_named_for(tmp_path):
    """As of a loop over machines by ssh; and a list may have the full names of the network."""
    put(tmp_path / "room", "vm", file="laptop-1.json")
    put(tmp_path / "room", "laptop-2")
    (tmp_path / "room.txt").write_text("LAPTOP-1\nlaptop-2.school.example\n")
    assert "Machines: 2. Fit: 2." in show(tmp_path / "room.txt").output


def test_a_server_needs_memory_for_all_of_its_learners(tmp_path):
    put(tmp_path / "room", "server", Checked("Memory", WARNING, "1.2 GB available", "Close", 5120.0))
    path = tmp_path / "room.txt"
    path.write_text("server, 5")
    assert show(path).exit_code == 0 and "server (5 learners)" in show(path).output
    path.write_text("server, 30")
    wanted = f"5.0 GB available, and 30 learners need about {doctor.size(30 * doctor.SERVER_MB)}"
    assert show(path).exit_code == 1 and wanted in show(path).output


def test_reports_of_windows_powershell_are_read(room):
    path = room.parent / "room" / "laptop-1.json"
    path.write_bytes(path.read_text().encode("utf-16"))
    room.write_bytes(room.read_text().encode("utf-16"))
    assert show(room).exit_code == 0


@pytest.mark.parametrize(("content", "says"), [
    (b"", "has no machines"), (b"# nobody\n", "has no machines"), (b"\x80\xff\x00", "not a text file"),
    (b"laptop-1\nLaptop-1\n", "line 2: 'Laptop-1' is there twice"), (b"server, many", "such as: server, 30"),
    (b"server, 0", "such as: server, 30"), (b"laptop\x1b[2J\n", "is not a name of a machine"), (b"x" * 41, "1 to 40"),
    (b"a\n" * 3_000_000, "is larger than 4096 KiB"), (b"".join(b"m%d\n" % n for n in range(1001)), "more than 1000"),
])
def test_a_list_that_cannot_be_used_is_explained(tmp_path, content, says):
    (tmp_path / "room.txt").write_bytes(content)
    refused = show(tmp_path / "room.txt")
    assert refused.exit_code == 2 and says in refused.output and "Traceback" not in refused.output


@pytest.mark.parametrize(("options", "says"), [
    (["--room", "no-such-file"], "does not exist"), (["--room", ".", "--report", "."], "Leave out --report"),
    (["--as", "Ana"], "--as goes with --report"), (["--certificate", __file__], "--certificate goes with --board"),
    (["--report", "no/such"], "cannot be created"), (["--report", __file__], "cannot be created"),
    (["--room", ".", "--board", "10.1.2.3"], "is not the address of a board"),
    (["--report", ".", "--as", "\x1b[2J"], "is not a name of a machine"), (["--board", "10.1.2.3"], "not the address"),
    (["--board", "https://127.0.0.1:9", "--certificate", __file__], "cannot be used"),
])
def test_options_that_cannot_work_are_refused_before_the_checks(tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(main, ["doctor", *options])
    assert refused.exit_code != 0 and says in " ".join(refused.output.split()) and "Trial" not in refused.output
    assert "Traceback" not in refused.output and isinstance(refused.exception, SystemExit)


@pytest.mark.parametrize(("content", "says"), [
    ("", "is not a report of gtlab doctor"), ("[" * 100_000, "is larger than 64 KiB"), ("[1]", "is not a report"),
    ('{"fit": true, "checks": []}', "is not a report"), ('{"gtlab_doctor": 2}', "Install the same version"),
    ('{"gtlab_doctor": 1, "name": "x"}', "has no checks"),
    ('{"gtlab_doctor": 1, "name": "x", "checks": [{"status": "fine"}]}', "a check's status is"),
    ('{"gtlab_doctor": 1, "checks": [{"status": "ok"}]}', "is not a name of a machine"),
    ('{"gtlab_doctor": 1, "name": "x", "cores": "many", "checks": [{"status": "ok"}]}', "cores is 'many'"),
    ('{"gtlab_doctor": 1, "name": "x", "disk_mb": NaN, "checks": [{"status": "ok"}]}', "disk_mb is 'nan'"),
])
def test_a_report_that_cannot_be_read_is_a_problem_and_the_others_are_shown(room, content, says):
    (room.parent / "room" / "other.json").write_text(content)
    shown = show(room)
    assert shown.exit_code == 1 and "PROBLEM other.json: " in shown.output and says in shown.output
    assert "Fit: 3." in shown.output and "Reports that cannot be read: 1." in shown.output


def test_a_report_cannot_move_the_terminals_cursor(room):
    put(room.parent / "room", "laptop-1", system="\x1b[2Jx\ny\u202e", python="9" * 5000,
        checks=[{"name": "Disk\r", "status": "problem", "found": "\x1b]0;me\x07", "advice": "a\n\nb"}])
    shown = show(room)
    assert not set("\x1b\r\x07\u202e") & set(shown.output) and max(map(len, shown.output.splitlines())) < 400
    assert "laptop-1: PROBLEM Disk : ]0;me" in shown.output


def test_a_report_holds_no_places_and_no_user(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/Ana Silva"))
    texts = ["[Errno 13] Permission denied: '/var/lib/Ana x/gtlab'", "C:\\Users\\ana\\x", "at /home/Ana Silva/x, ok",
             "The board at http://10.1.2.3:8820 does not answer", "user ana may not", "host 10.1.2.3 and 127.0.0.1"]
    wrong = [Checked(f"c{at}", PROBLEM, text, "Do.") for at, text in enumerate(texts)]
    found = checkup.report([*FIT, *wrong], "laptop")
    text = checkup.to_text(found)
    assert not any(each in text.casefold() for each in ("ana", "silva", "10.1.2.3", "home", "var", "users"))
    assert "127.0.0.1" in text and "Permission denied" in text and "does not answer" in text
    assert checkup.from_text(text).checks[-1] == Checked("c5", PROBLEM, "host … and 127.0.0.1", "Do.")
