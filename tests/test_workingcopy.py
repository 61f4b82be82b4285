"""A working copy of the course, on small notebooks made here: what is copied, what is kept, what is set aside."""

import json
import os

import pytest

from gtlab.course.workingcopy import (
    MANIFEST,
    RENAMED,
    WorkingCopyError,
    follow,
    is_working_copy,
    refresh,
    sources_hash,
)


def notebook(*sources: str, outputs: tuple = (), lines: bool = False) -> bytes:
    """A notebook's content. ``lines``: each source as a list of lines, as Jupyter saves it."""
    cells = [{"cell_type": "code", "source": source.splitlines(keepends=True) if lines else source,
              "outputs": list(outputs), "metadata": {}} for source in sources]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


RUN = ({"output_type": "stream", "name": "stdout", "text": "1\n"},)


@pytest.fixture
def ship(tmp_path):
    """``ship(release, first=("cell", …), …)``: the files of a release's course."""
    def make(release: str, **sources: tuple[str, ...]):
        folder = tmp_path / release
        folder.mkdir()
        for name, cells in sources.items():
            (folder / f"{name}.ipynb").write_bytes(notebook(*cells))
        return sorted(folder.iterdir())
    return make


@pytest.fixture
def one(ship):
    return ship("one", first=("a", "b"), second=("c",))


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "course"


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_copy_is_made_and_then_left_alone(one, mine):
    made = refresh(one, mine)
    assert made.added == ["first.ipynb", "second.ipynb"] and is_working_copy(mine)
    assert [(mine / path.name).read_bytes() for path in one] == [path.read_bytes() for path in one]
    assert names(mine) == {".gtlab", "first.ipynb", "second.ipynb"}
    before = {path: path.stat().st_mtime_ns for path in [mine / MANIFEST, *mine.glob("*.ipynb")]}
    again = refresh(one, mine)
    assert not (again.added or again.updated or again.kept or again.aside)
    assert before == {path: path.stat().st_mtime_ns for path in before}  # nothing is written where nothing changes


@pytest.mark.parametrize("mine_now", [notebook("a", "MY EDIT"), notebook("a"), notebook("a", "b", "c"), b"half a"],
                         ids=["a cell", "one less", "one more", "no notebook"])
def test_an_edited_notebook_is_never_overwritten(one, ship, mine, mine_now):
    refresh(one, mine)
    (mine / "first.ipynb").write_bytes(mine_now)
    assert refresh(one, mine).kept == []  # there is nothing newer to tell of
    for release in ("two", "three"):  # not by the next release, nor by the one after it
        changes = refresh(ship(release, first=("a", f"b of {release}"), second=("c",)), mine)
        assert changes.kept == ["first.ipynb"] and not changes.updated
        assert (mine / "first.ipynb").read_bytes() == mine_now


def test_running_is_no_edit(one, ship, mine):
    refresh(one, mine)
    ran = notebook("a", "b", outputs=RUN, lines=True)
    (mine / "first.ipynb").write_bytes(ran)
    changes = refresh(ship("same", first=("a", "b"), second=("c2",)), mine)
    assert changes.updated == ["second.ipynb"] and (mine / "first.ipynb").read_bytes() == ran  # with its outputs
    two = ship("two", first=("a2", "b"), second=("c2",))
    changes = refresh(two, mine)
    assert changes.updated == ["first.ipynb"] and not changes.kept
    assert (mine / "first.ipynb").read_bytes() == two[0].read_bytes()


def test_a_newer_release_adds_notebooks_and_leaves_other_files(one, ship, mine):
    refresh(one, mine)
    (mine / "notes.txt").write_text("mine")
    (mine / "own.ipynb").write_bytes(notebook("mine"))
    changes = refresh(ship("two", first=("a", "b"), second=("c",), third=("d",)), mine)
    assert changes.added == ["third.ipynb"] and not (changes.updated or changes.kept or changes.aside)
    assert names(mine) == {".gtlab", "first.ipynb", "second.ipynb", "third.ipynb", "notes.txt", "own.ipynb"}


def test_an_edit_that_is_taken_back_follows_the_releases_again(one, ship, mine):
    refresh(one, mine)
    (mine / "first.ipynb").write_bytes(notebook("MY EDIT"))
    two = ship("two", first=("a2",), second=("c",))
    assert refresh(two, mine).kept == ["first.ipynb"]
    (mine / "first.ipynb").write_bytes(two[0].read_bytes())
    assert not refresh(two, mine).kept
    assert refresh(ship("three", first=("a3",), second=("c",)), mine).updated == ["first.ipynb"]


@pytest.mark.parametrize("manifest", [None, "no json", "[]", '{"notebooks": []}', "{}"])
def test_without_a_manifest_what_differs_counts_as_edited(one, ship, mine, manifest):
    refresh(one, mine)
    if manifest is None:
        (mine / MANIFEST).unlink()
    else:
        (mine / MANIFEST).write_text(manifest)
    changes = refresh(ship("two", first=("a2",), second=("c",)), mine)
    assert changes.kept == ["first.ipynb"] and (mine / "first.ipynb").read_bytes() == one[0].read_bytes()
    assert refresh(ship("three", first=("a3",), second=("c3",)), mine).updated == ["second.ipynb"]


def test_fresh_sets_aside_what_was_edited_or_run(ship, mine):
    shipped = ship("one", edited=("a",), ran=("b",), saved=("c",), untouched=("d",))
    refresh(shipped, mine)
    edits = {"edited.ipynb": notebook("MY EDIT"), "ran.ipynb": notebook("b", outputs=RUN)}
    for name, content in edits.items():
        (mine / name).write_bytes(content)
    (mine / "saved.ipynb").write_bytes(notebook("c", lines=True))
    changes = refresh(shipped, mine, fresh=True)
    assert {path.parent for path in changes.aside.values()} == set(mine.glob("set-aside-*"))
    assert {name: path.read_bytes() for name, path in changes.aside.items()} == edits
    assert sources_hash((mine / "edited.ipynb").read_bytes()) == sources_hash(shipped[0].read_bytes())
    assert (mine / "ran.ipynb").read_bytes() == notebook("b") and not (changes.added or changes.updated or changes.kept)
    again = refresh(shipped, mine, fresh=True)
    assert not again.aside and len(list(mine.glob("set-aside-*"))) == 1


def test_two_fresh_copies_within_a_second_lose_nothing(one, mine):
    refresh(one, mine)
    for edit in ("MY FIRST", "MY SECOND", "MY THIRD"):
        (mine / "first.ipynb").write_bytes(notebook(edit))
        refresh(one, mine, fresh=True)
    assert {path.read_bytes() for path in mine.glob("set-aside-*/first.ipynb")} == {
        notebook("MY FIRST"), notebook("MY SECOND"), notebook("MY THIRD")}


def test_the_pages_are_beside_the_notebooks_and_follow_the_release(one, mine):
    one[0].with_name("glossary.md").write_text("old")
    refresh(one, mine)
    one[0].with_name("glossary.md").write_text("new")
    one[0].with_name("further-reading.md").write_text("books")
    assert (mine / "glossary.md").read_text() == "old" and not refresh(one, mine).updated
    assert (mine / "glossary.md").read_text() == "new" and (mine / "further-reading.md").read_text() == "books"


@pytest.mark.parametrize("edit", [False, True])
def test_a_renamed_notebook_is_set_aside_under_its_old_name(one, ship, mine, edit):
    refresh(one, mine)
    if edit:
        (mine / "second.ipynb").write_bytes(notebook("MY EDIT"))
    was = (mine / "second.ipynb").read_bytes()
    two = ship("two", first=("a", "b"), third=("c",))
    changes = refresh(two, mine, renamed={"second.ipynb": "third.ipynb", "never.ipynb": "first.ipynb"})
    assert changes.renamed == {"second.ipynb": "third.ipynb"} and changes.added == ["third.ipynb"]
    assert changes.aside["second.ipynb"].read_bytes() == was and not (mine / "second.ipynb").exists()
    assert list(json.loads((mine / MANIFEST).read_text())["notebooks"]) == ["first.ipynb", "third.ipynb"]


@pytest.mark.parametrize(("shipped", "followed"), [
    (["07_write.ipynb", "09_fail_over_and_come_back.ipynb", "11_clean_up.ipynb"],
     {"07_fail_over.ipynb": "09_fail_over_and_come_back.ipynb", "09_clean_up.ipynb": "11_clean_up.ipynb"}),
    (["07_fail_over.ipynb", "09_clean_up.ipynb"], {}),  # the course still has the old ones
    (["07_fail_over.ipynb", "09_fail_over_and_come_back.ipynb"], {}),
    (["07_write.ipynb", "09_clean_up.ipynb"], {}),  # this 09 is the clean-up
    (["07_write.ipynb"], {}),
])
def test_the_table_of_names_leads_to_the_notebook_that_has_the_number_now(shipped, followed):
    assert follow(RENAMED, shipped) == followed


def test_folders_that_cannot_be_used(one, mine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkingCopyError, match="is a file"):
        refresh(one, tmp_path / "file")
    with pytest.raises(WorkingCopyError, match="cannot be copied"):
        refresh(one, tmp_path / "file" / "below")
    for inside in (one[0].parent, one[0].parent / "below", mine.parent / ".." / "one"):
        with pytest.raises(WorkingCopyError, match="own notebooks"):
            refresh(one, inside)
    assert (tmp_path / "file").read_text() == "mine" and names(one[0].parent) == {"first.ipynb", "second.ipynb"}

    refresh(one, mine)
    (mine / "first.ipynb").write_bytes(notebook("MY EDIT"))
    (mine / "second.ipynb").unlink()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WorkingCopyError, match="No space left on device") as error:
        refresh(one, mine)
    assert str(mine) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(WorkingCopyError):
        refresh(one, mine, fresh=True)
    assert [path.read_bytes() for path in mine.glob("set-aside-*/first.ipynb")] == [notebook("MY EDIT")]


def test_jupyter_and_git_may_write_sources_differently():
    assert sources_hash(notebook("a\nb", "c")) == sources_hash(notebook("a\nb", "c", lines=True, outputs=RUN))
    assert sources_hash(notebook("a\nb")) != sources_hash(notebook("a", "b"))
    assert sources_hash(b"{}") is None is sources_hash(b"\xff")
