"""Progress: what is kept; what survives damage and several kernels; the table of what is done and what comes next."""

from __future__ import annotations

import json
import threading

import pytest

from gtlab.course import progress


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
