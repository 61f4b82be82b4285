"""Progress: what is kept; what survives damage and several kernels; the table of what is done and what comes next."""

from __future__ import annotations

import json
import threading

import pytest
from click.testing import CliRunner

from gtlab.cli.main import main
from gtlab.course import check, exercises, overview, predictions, progress, start, workingcopy


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    return tmp_path


def test_what_is_recorded_is_kept_by_kind_and_the_newest_record_of_an_id_counts():
    assert progress.recorded("solved") == {}
    progress.record("solved", "00-farthest")
    progress.record("predicted", "03-stale", {"option": 2, "right": False})
    progress.record("solved", "06-lost", 3)
    progress.record("solved", "00-farthest", "again")
    assert progress.recorded("solved") == {"06-lost": 3, "00-farthest": "again"}
    assert list(progress.recorded("solved")) == ["06-lost", "00-farthest"]
    assert progress.recorded("predicted") == {"03-stale": {"option": 2, "right": False}}
    assert progress.reset() == 3 and progress.recorded("solved") == {} and progress.reset() == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"records": 3}', '{"records": {"solved": {"a": 1}}}', "\0\0"])
def test_a_damaged_file_stops_nothing(folder, text):
    (folder / "progress.json").write_text(text)
    assert progress.recorded("solved") == {}
    progress.record("solved", "01")
    assert progress.recorded("solved") == {"01": True}
    readable = text.startswith('{"records"')  # only a part of it is damaged
    assert [path.read_text() for path in folder.glob("progress-damaged-*.json")] == ([] if readable else [text])


@pytest.mark.parametrize(("kind", "id", "value", "why"), [
    ("", "01", 1, "kind of a record is ''"), ("solved", 6, 1, "id of a record is 6"),
    ("solved", "01", {1, 2}, "JSON cannot hold it"), ("solved", "01", float("nan"), "JSON cannot hold it"),
])
def test_what_cannot_be_kept_is_refused_and_changes_nothing(folder, kind, id, value, why):
    with pytest.raises(ValueError, match=why):
        progress.record(kind, id, value)
    assert not (folder / "progress.json").exists()


def test_several_kernels_lose_nothing(folder):
    threads = [threading.Thread(target=lambda of=of: [progress.record("solved", f"{of}-{n}") for n in range(10)])
               for of in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(progress.recorded("solved")) == 60
    assert set(json.loads((folder / "progress.json").read_text())) == {"version", "records"}


def test_the_overview_counts_what_is_done_and_names_what_comes_next():
    before = overview.overview()
    assert before.next and before.next.number == "00" and before.rows[0].predicted == ()
    first, *others = predictions.questions("00")
    progress.record("predicted", first.id, "near")
    progress.record("predicted", "00-no-longer-asked", "near")
    for id in exercises.MODULES:
        if id.startswith("00"):
            progress.record("solved", id, 1)
    row = overview.overview().rows[0]
    assert row.predicted == (first.id,) and row.solved == row.exercises != ()
    assert row.open == tuple(f"predict {each.id}" for each in others)
    for each in others:
        progress.record("predicted", each.id, "far")
    after = overview.overview()
    assert after.next and after.next.number > "00" and after.advice.startswith(f"Next: {after.next.number} ")
    for each in after.rows:
        for id in each.questions:
            progress.record("predicted", id, "x")
        for id in each.exercises:
            progress.record("solved", id, 1)
    assert overview.overview().next is None and overview.overview().advice == "Everything is predicted and solved."


def test_every_question_and_exercise_of_the_course_is_in_the_overview():
    rows = overview.overview().rows
    assert {id for row in rows for id in row.exercises} == {
        id for id in exercises.MODULES if any(row.number == id[:2] for row in rows)}
    shipped = {path.name for path in workingcopy.course_folder().glob("[0-9][0-9]_*.ipynb")}
    assert {row.file for row in rows} == shipped and [row.number for row in rows] == sorted(row.number for row in rows)
    assert {row.title for row in rows} <= {notebook.title for notebook in start.NOTEBOOKS}


def test_in_a_notebook_it_is_a_table_that_needs_no_kernel():
    shown = check.progress()
    table = shown._repr_html_()
    assert table.count("<tr") == len(shown.rows) + 1 and "<script" not in table
    assert 'href="00_start_here.ipynb"' in table and table.count("aria-current") == 1
    assert repr(shown).count("← next") == 1


def test_the_command_shows_it_and_forgets_it_when_asked():
    run = CliRunner().invoke
    progress.record("solved", next(iter(exercises.MODULES)), 1)
    shown = run(main, ["progress"]).output
    assert "00 Start here" in shown and "1 of 1" in shown and "To open it: gtlab lab --notebook 00" in shown
    assert run(main, ["progress", "--reset"], input="n\n").exit_code == 1 and progress.recorded("solved")
    assert "forgotten (entries: 1)" in run(main, ["progress", "--reset", "--yes"]).output
    assert not progress.recorded("solved")
