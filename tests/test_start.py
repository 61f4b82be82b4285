"""`gtlab stage`: where each notebook starts and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from gtlab import connect
from gtlab.cli.main import main
from gtlab.course import cleanup, stages, start, workingcopy
from gtlab.lab import Choice, describe, remember
from gtlab.localcloud import process

PARIS, TOKYO, CANADA = "eu-west-3", "ap-northeast-1", "ca-central-1"


@pytest.fixture
def running() -> Iterator[process.Running]:
    with process.throwaway("instant") as cloud:
        yield cloud


def tables(running: process.Running) -> set[tuple[str, str]]:
    return {(table["name"], table["region"]) for table in process.status(running)["tables"]}


def stage(*arguments: str) -> str:
    ran = CliRunner().invoke(main, ["stage", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


@pytest.mark.parametrize(("given", "number"), [
    ("06", "06"), ("6", "06"), ("06_break_it", "06"), ("notebooks/06_break_it.ipynb", "06"), ("00", "00"), ("11", "11"),
    ("07_fail_over", "09"), ("09_clean_up", "11"), ("10", "10")])
def test_a_notebook_is_found_by_number_and_by_name_old_names_included(given, number):
    assert start.find(given).number == number


def test_a_number_means_the_notebook_that_has_it_in_the_installed_course(monkeypatch, tmp_path):
    monkeypatch.setattr(workingcopy, "course_folder", lambda: tmp_path)
    assert start.find("07").title == "Write so that nothing is lost"
    (tmp_path / "07_fail_over.ipynb").touch()
    assert start.find("07").title == "Fail over and come back"
    assert start.find("09").title == "Fail over and come back"


@pytest.mark.parametrize("name", ["12", "break_it", "", "six"])
def test_another_name_is_refused_with_the_names_that_there_are(name):
    with pytest.raises(ValueError, match="Give a number from 00 to 11"):
        start.find(name)
    refused = CliRunner().invoke(main, ["stage", name])
    assert refused.exit_code == 1 and "Traceback" not in refused.output and "00 to 11" in refused.output


def test_every_shipped_notebook_has_a_start():
    for path in workingcopy.course_folder().glob("[0-9][0-9]_*.ipynb"):
        assert start.find(path.stem)


@pytest.mark.server
def test_it_makes_what_is_missing_in_the_chosen_regions_and_says_what_was_there(running):
    remember(Choice(PARIS, (TOKYO, CANADA)))
    first = stage("02")
    assert tables(running) == {("Music", PARIS), ("Music", TOKYO)}
    assert "Made: the tables: Music in Paris (eu-west-3), Tokyo (ap-northeast-1)" in first
    assert "There already" not in first
    second = stage("06")
    assert tables(running) == {*(("Music", region) for region in (PARIS, TOKYO, CANADA)),
                               ("MusicToday", PARIS), ("MusicToday", TOKYO)}
    assert set(describe.members(connect(), "Music", PARIS)) == {PARIS, TOKYO, CANADA}
    assert "Made: the global table" in second and "Made: today's global table" in second
    again = stage("06")
    assert "Made" not in again and again.count("There already") == 2
    assert "Also there" not in again
    last = stage("01")
    assert "It starts with nothing.\nAlso there, and left as it is: " in last
    assert last.count("Music in ") == last.count("MusicToday in ") == 1, "each table is named once"


@pytest.mark.server
def test_with_solve_it_makes_what_earlier_notebooks_leave_also_after_an_interruption(running):
    remember(Choice(PARIS, (TOKYO,)))
    lab = connect()
    client = lab.client(PARIS)
    stages.ensure_global_table(lab)
    mine = {"Artist": {"S": "item_1"}, "SongTitle": {"S": "Song Value 1"}, "Mine": {"BOOL": True}}
    client.put_item(TableName="Music", Item=mine)
    printed = stage("06", "--solve")
    assert "Made: items of table Music: item_2 / Song Value 2, " in printed
    assert "There already: items of table Music: item_1 / Song Value 1\n" in printed
    assert client.scan(TableName="Music")["Count"] == 10
    kept = client.get_item(TableName="Music", Key={name: mine[name] for name in ("Artist", "SongTitle")})["Item"]
    assert kept["Mine"] == {"BOOL": True}
    assert {name for name, _ in tables(running)} == {"Music", "MusicToday", "MusicStrong", "MusicWitness"}
    assert "Made" not in stage("06", "--solve")
    assert cleanup.clean(lab) == []


@pytest.mark.server
@pytest.mark.parametrize("number", ["07", "08", "09", "10", "11"])
def test_every_notebook_can_be_staged_where_the_legacy_calls_are_refused(number, running):
    process.legacy_face(running.port, "2026")
    remember(Choice(PARIS, (TOKYO,)))
    lab, notebook = connect(), start.NOTEBOOKS[int(number)]
    start.bring(lab, notebook)
    assert all(not part.made for part in start.bring(lab, notebook))


@pytest.mark.server
def test_a_table_in_the_way_is_reported_with_what_to_do(running):
    remember(Choice(PARIS, (TOKYO,)))
    lab = connect()
    stages.ensure_tables(lab)
    for region in (PARIS, TOKYO):
        lab.client(region).put_item(TableName="Music", Item={"Artist": {"S": "a"}, "SongTitle": {"S": region}})
    refused = CliRunner().invoke(main, ["stage", "03"])
    assert refused.exit_code == 1 and "cannot be joined" in refused.output and "gtlab clean" in refused.output
