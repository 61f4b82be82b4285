"""A working copy of the course: the folder whose notebooks a learner opens, edits and keeps from release to release.

A notebook is *edited* when the source of a cell differs from what was copied; running it is no edit. Edited notebooks
are never overwritten. The hidden folder ``.gtlab`` holds the manifest: for each notebook, a hash of its sources as they
were copied.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gtlab import __version__

DEFAULT_FOLDER = "gtlab-course"
MANIFEST = Path(".gtlab") / "manifest.json"
PAGES = ("glossary.md", "further-reading.md")  # beside the notebooks, which link to them
# File name in an earlier release → file name today, or its number. A working copy's notebook of the old name is set
# aside, as soon as the course has the new one.
RENAMED: Mapping[str, str] = {"07_fail_over.ipynb": "09", "09_clean_up.ipynb": "11"}


def course_folder() -> Path:
    """Where the notebooks are: in the package as the wheel has it; in a checkout, the folder ``notebooks``."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "notebooks"
    return shipped if shipped.is_dir() else package.parent / "notebooks"


class WorkingCopyError(ValueError):
    """The working copy cannot be created or updated; the text says why and what to do."""


class Action(enum.Enum):
    """What happens to one notebook of a working copy."""

    ADD = enum.auto()        # it is missing
    LEAVE = enum.auto()      # it has nothing to gain: its sources are the shipped ones, or there are no newer ones
    UPDATE = enum.auto()     # it was not edited, and this release has other sources
    KEEP = enum.auto()       # it was edited, and this release has other sources
    SET_ASIDE = enum.auto()  # a fresh one is asked for; this one was edited or run


@dataclass
class Changes:
    """What :func:`refresh` did: file names of notebooks. ``aside`` says where the set-aside ones are now, and
    ``renamed`` maps the old names among them to the new ones."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    aside: dict[str, Path] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def is_working_copy(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def refresh(shipped: Sequence[Path], folder: Path, *, fresh: bool = False,
            renamed: Mapping[str, str] = RENAMED) -> Changes:
    """Make ``folder`` a working copy of the ``shipped`` notebooks, or bring one up to date.

    Missing notebooks are added. One that was not edited becomes the shipped one where their sources differ (its outputs
    are lost then); otherwise it stays as it is. An edited one stays as it is. With ``fresh``, all become the shipped
    ones, and those that were edited or run are first moved to a new folder ``set-aside-DATE``. So are those that have
    an old name in ``renamed``, with or without ``fresh``. The pages beside the shipped notebooks are copied
    each time. Other files are left alone.

    Raises WorkingCopyError where the folder cannot be used; no edited notebook is lost then.
    """
    _check(folder, shipped)
    changes = Changes()
    aside = _unused(folder / f"set-aside-{datetime.now():%Y-%m-%d-%H%M%S}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copied = _read_manifest(folder)
        followed = follow(renamed, [path.name for path in shipped])
        known = {name: sources for name, sources in copied.items() if name not in followed}
        for old, new in followed.items():
            if (folder / old).exists():
                changes.aside[old] = _move(folder / old, aside)
                changes.renamed[old] = new
        for path in shipped:
            action = _bring(path, folder / path.name, copied.get(path.name), fresh, aside, changes)
            if action is not Action.KEEP:
                known[path.name] = str(sources_hash(path.read_bytes()))
        for page in pages_beside(shipped):
            _write(folder / page.name, page.read_bytes())
        if known != copied:
            _write(folder / MANIFEST, json.dumps({"gtlab": __version__, "notebooks": known}, indent=1).encode())
    except OSError as error:
        raise WorkingCopyError(f"The course cannot be copied to {folder}: {error.strerror or error}. "
                               "Name another folder: gtlab lab FOLDER") from error
    return changes


def pages_beside(notebooks: Iterable[Path]) -> list[Path]:
    """The glossary and the further reading in the folders of these notebooks, where they exist."""
    folders = dict.fromkeys(path.parent for path in notebooks)
    return [folder / name for folder in folders for name in PAGES if (folder / name).is_file()]


def follow(renamed: Mapping[str, str], shipped: Sequence[str]) -> dict[str, str]:
    """Old file name → new file name, of the notebooks that have a new name among the ``shipped`` ones and no longer
    the old one."""
    today = [name for name in shipped if name not in renamed]
    found = {old: next((name for name in today if name == new or name.startswith(f"{new}_")), "")
             for old, new in renamed.items() if old not in shipped}
    return {old: new for old, new in found.items() if new}


def decide(mine: bytes | None, shipped: bytes, copied: str | None, fresh: bool) -> Action:
    """What happens to a notebook. ``mine`` and ``shipped`` are the contents of the two files (None: it is missing),
    ``copied`` is the hash of the sources when they were copied (None: nobody knows; what differs is edited then)."""
    if mine is None:
        return Action.ADD
    found, new = sources_hash(mine), sources_hash(shipped)
    edited = found is None or found not in (new, copied)
    if fresh and (edited or _was_run(mine)):
        return Action.SET_ASIDE
    if found == new or (edited and new == copied):
        return Action.LEAVE
    return Action.KEEP if edited else Action.UPDATE


def sources_hash(notebook: bytes) -> str | None:
    """A hash of the types and sources of a notebook's cells; None where the content is no notebook."""
    try:
        cells = [[cell["cell_type"], "".join(cell["source"])] for cell in json.loads(notebook)["cells"]]
    except (ValueError, KeyError, TypeError):
        return None
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _was_run(notebook: bytes) -> bool:
    return any(cell.get("outputs") for cell in json.loads(notebook)["cells"])


def _check(folder: Path, shipped: Sequence[Path]) -> None:
    place = folder.resolve()
    if {path.parent.resolve() for path in shipped} & {place, *place.parents}:
        raise WorkingCopyError(f"{folder} holds the course's own notebooks, which a working copy must not replace. "
                               "Name another folder: gtlab lab FOLDER")
    if folder.exists() and not folder.is_dir():
        raise WorkingCopyError(f"{folder} is a file. Name a folder: gtlab lab FOLDER")


def _bring(shipped: Path, mine: Path, copied: str | None, fresh: bool, aside: Path, changes: Changes) -> Action:
    """Do to one notebook what was decided, and note it in ``changes``."""
    content = shipped.read_bytes()
    action = decide(mine.read_bytes() if mine.exists() else None, content, copied, fresh)
    if action is Action.SET_ASIDE:
        changes.aside[mine.name] = _move(mine, aside)
    if action in (Action.ADD, Action.UPDATE, Action.SET_ASIDE):
        _write(mine, content)
    for noted, names in ((Action.ADD, changes.added), (Action.UPDATE, changes.updated), (Action.KEEP, changes.kept)):
        if action is noted:
            names.append(mine.name)
    return action


def _unused(folder: Path) -> Path:
    """A folder that does not exist yet, of this name or with a number after it."""
    names = itertools.chain([folder], (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2)))
    return next(path for path in names if not path.exists())


def _move(path: Path, aside: Path) -> Path:
    aside.mkdir(exist_ok=True)
    return path.rename(aside / path.name)


def _read_manifest(folder: Path) -> dict[str, str]:
    """File name → hash of the sources as they were copied. Empty where there is no manifest that can be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["notebooks"]
        return {str(name): str(sources) for name, sources in found.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step: an interruption leaves the old one or the new one."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
