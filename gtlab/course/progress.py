"""What a learner has done so far: predictions made, exercises solved, hints seen. Kept in the state folder.

One JSON file, ``{"version": 1, "records": {kind: {id: {"value": …, "at": …}}}}``. Several kernels may write to it at
the same time. A damaged file is set aside by the next write, and counts as empty until then: progress is worth keeping,
but never worth stopping a notebook for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from gtlab.contract import PROGRESS_FILE
from gtlab.localcloud import process

_VERSION = 1
_LOCK_S = 10.0  # the longest time to wait for another kernel's write


def record(kind: str, id: str, value: Any = True) -> None:
    """Remember ``value`` for ``id``, in place of an earlier value of the same kind and id.

    ``kind`` is what was done, such as ``"predicted"`` or ``"solved"``; ``id`` begins with the notebook's number, as in
    ``"06-lost-writes"``; ``value`` is anything that JSON can hold. A local cloud of :func:`process.throwaway` has a
    state folder of its own: call this outside of its ``with`` block.

    Raises ValueError for an empty or non-string ``kind`` or ``id`` and for a value that JSON cannot hold, and OSError
    if the state folder cannot be written.
    """
    for what, given in (("kind", kind), ("id", id)):
        if not isinstance(given, str) or not given:
            raise ValueError(f"The {what} of a record is {given!r}; give a string that is not empty.")
    try:
        entry = json.loads(json.dumps({"value": value, "at": round(time.time(), 3)}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} cannot be kept as progress, because JSON cannot hold it: {error}.") from None
    with _writing() as path:
        records = _read(path)
        if records is None:
            _set_aside(path)
            records = {}
        of_kind = records.setdefault(kind, {})
        of_kind.pop(id, None)  # so that the newest record is the last
        of_kind[id] = entry
        _write(path, records)


def recorded(kind: str) -> dict[str, Any]:
    """The values that were recorded for a kind, by id; the newest record is the last. Empty if there is none, or if
    the file cannot be read."""
    return {id: entry["value"] for id, entry in (_read(_path()) or {}).get(kind, {}).items()}


def reset() -> int:
    """Forget everything. Returns how many records there were. Raises OSError if the file cannot be deleted."""
    with _writing() as path:
        count = sum(map(len, (_read(path) or {}).values()))
        path.unlink(missing_ok=True)
        return count


def _path() -> Path:
    return process.state_folder() / PROGRESS_FILE


@contextmanager
def _writing() -> Iterator[Path]:
    """Hold the lock that keeps two kernels from overwriting each other's records."""
    path = _path()
    with FileLock(path.with_suffix(".lock")).acquire(timeout=_LOCK_S):
        yield path


def _read(path: Path) -> dict[str, dict[str, Any]] | None:
    """The records by kind and id; None where the file is damaged. An entry that is damaged is left out."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["records"]
        return {kind: {id: entry for id, entry in of_kind.items() if isinstance(entry, dict) and "value" in entry}
                for kind, of_kind in kept.items() if isinstance(of_kind, dict)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, records: dict[str, dict[str, Any]]) -> None:
    """Replace the file in one step: an interruption leaves the old one or the new one."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps({"version": _VERSION, "records": records}, indent=1), encoding="utf-8")
    draft.replace(path)


def _set_aside(path: Path) -> None:
    path.replace(path.with_name(f"{path.stem}-damaged-{time.time():.0f}{path.suffix}"))
