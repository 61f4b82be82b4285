"""`gtlab doctor`: what it finds wrong, and that it leaves the learner's local cloud alone."""

from __future__ import annotations

import json
import os
import platform
import sys

import pytest
from click.testing import CliRunner

from gtlab import __version__, connect
from gtlab.cli.main import main
from gtlab.contract import Checkup
from gtlab.course import checkup, doctor
from gtlab.course.doctor import OK, PROBLEM, WARNING, Checked
from gtlab.localcloud import process


@pytest.mark.parametrize(("check", "status", "says"), [
    (lambda: doctor.python((3, 14, 0)), OK, "3.14.0"),
    (lambda: doctor.python((3, 10, 9)), PROBLEM, "3.10.9"),
    (lambda: doctor.disk(50), PROBLEM, "50 MB free"),
    (lambda: doctor.disk(500), WARNING, "500 MB free"),
    (lambda: doctor.disk(20_480), OK, "20.0 GB free"),
    (lambda: doctor.memory(300), PROBLEM, "300 MB available"),
    (lambda: doctor.memory(1200), WARNING, "1.2 GB available"),
    (lambda: doctor.memory(8000), OK, "7.8 GB available"),
    (doctor.packages, OK, "in versions that fit"),
    (lambda: doctor.packages(["boto3>=1"]), OK, "in versions that fit"),
    (lambda: doctor.packages(["boto3<1"]), PROBLEM, "but gtlab needs <1"),
    (lambda: doctor.packages(["no-such-package"]), PROBLEM, "no-such-package is not installed"),
    (lambda: doctor.packages(["pandas>=99,<100; extra == 'course'"]), WARNING, "but gtlab needs >=99,<100"),
    (lambda: doctor.packages(["no-such-package>=1; extra == 'course'"]), PROBLEM, "for the notebooks: no-such"),
    (lambda: doctor.packages(["no-such-package>=1; extra == 'test'"]), OK, ""),
    (doctor.ports, OK, "127.0.0.1 can be reached"),
    (doctor.state_folder, OK, "can be written"),
])
def test_each_check_says_what_it_found_and_what_to_do(check, status, says):
    found = check()
    assert found.status == status and says in found.found
    assert bool(found.advice) == (status != OK)


def test_this_machines_own_figures_are_found():
    assert doctor.disk().status in (OK, WARNING, PROBLEM) and "free" in doctor.disk().found
    assert "GB available" in doctor.memory().found or "MB available" in doctor.memory().found


def test_a_state_folder_that_cannot_be_written_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file" / "below"))
    found = doctor.state_folder()
    assert found.status == PROBLEM and "GTLAB_HOME" in found.advice
    assert not list(tmp_path.glob("doctor-*"))


def test_the_exit_code_counts_problems_not_warnings():
    assert doctor.outcome([Checked("a", OK, ""), Checked("b", WARNING, "")]) == Checkup.FIT == 0
    assert doctor.outcome([Checked("a", PROBLEM, ""), Checked("b", WARNING, "")]) == Checkup.PROBLEM == 1


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(monkeypatch):
    def fails() -> Checked:
        raise RuntimeError("broken")
    monkeypatch.setattr(doctor, "memory", fails)
    monkeypatch.setattr(doctor, "trial", lambda: Checked("Trial", OK, ""))
    found = {each.name: each for each in doctor.checks()}
    assert found["Memory"].status == PROBLEM and "RuntimeError: broken" in found["Memory"].found
    assert list(found) == ["Python", "Packages", "State folder", "Disk", "Memory", "Ports", "Trial"]


@pytest.mark.server
def test_the_trial_leaves_the_learners_cloud_and_state_folder_as_they_are():
    with process.throwaway("instant") as running:  # it stands for the learner's
        connect().client("eu-west-1").create_table(
            TableName="Mine", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}])
        folder, before = running.folder, process.status(running)
        files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        environment = dict(os.environ)
        found = doctor.trial()
        assert found.status != PROBLEM and "a chart" in found.found
        after = process.status(running)
        assert (after["instance"], after["tables"]) == (before["instance"], before["tables"])
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == files
        assert dict(os.environ) == environment


@pytest.mark.server
def test_without_the_courses_packages_the_trial_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    found = doctor.trial()
    assert found.status == WARNING and "pandas" in found.found and "gtlab[course]" in found.advice


@pytest.mark.server
def test_a_trial_that_fails_says_at_which_step(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.path.exists("/bin/false") else "/usr/bin/false")
    found = doctor.trial()
    assert found.status == PROBLEM and found.found.startswith("could not start a temporary local cloud: ")


@pytest.mark.server
def test_the_command_prints_a_line_each_and_json_when_asked(monkeypatch, tmp_path):
    ran = CliRunner().invoke(main, ["doctor", "--report", str(tmp_path / "room"), "--as", "Ana/Bo"])
    assert ran.exit_code == 0 and "fit for the course" in ran.output and "No user name" in ran.output
    report = checkup.from_text((tmp_path / "room" / "Ana-Bo.json").read_text(encoding="utf-8"))
    assert (report.name, report.gtlab, report.python) == ("Ana/Bo", __version__, platform.python_version())
    assert report.cores and report.disk_mb and report.trial_s and report.status("Trial") != PROBLEM
    for name in ("Python", "Packages", "State folder", "Disk", "Memory", "Ports", "Trial"):
        assert any(line[9:].startswith(name) for line in ran.output.splitlines())
    (tmp_path / "file").touch()
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "file" / "below"))
    refused = CliRunner().invoke(main, ["doctor", "--json"])
    told = json.loads(refused.output)
    printed = CliRunner().invoke(main, ["doctor", "--report", "-"])
    assert checkup.from_text(printed.output).status("State folder") == PROBLEM and printed.exit_code == 1
    assert str(tmp_path) not in printed.output
    assert refused.exit_code == 1 and told["fit"] is False
    assert {"name", "status", "found", "advice"} == set(told["checks"][0])
    assert told["checks"][-1]["found"].startswith("not tried")
    assert "Traceback" not in refused.output
