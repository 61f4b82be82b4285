"""What a learner has done so far: predictions made, exercises solved, hints seen. Kept in the state folder.

One JSON file, ``{"version": 1, "records": {kind: {id: {"value": …, "at": …}}}}``. Several kernels may write to it at
the same time. A damaged file is set aside by the next write, and counts as empty until then: progress is worth keeping,
but never worth stopping a notebook for.
"""

from __future__ import annotations

import json
import time
from typing import Any

from gtlab import redaction
from gtlab.contract import PROGRESS_FILE
from gtlab.lab import json_files

_VERSION = 1


def record(kind: str, id: str, value: Any = True) -> None:
    """Remember ``value`` for ``id``, in place of an earlier value of the same kind and id.

    ``kind`` is what was done, such as ``"predicted"`` or ``"solved"``; ``id`` begins with the notebook's number, as in
    ``"06-lost-writes"``; ``value`` is anything that JSON can hold, and is kept without credentials and account ids
    (:mod:`gtlab.redaction`), because a class's board receives some of the records. A local cloud of
    :func:`process.throwaway` has a state folder of its own: call this outside of its ``with`` block.

    Raises ValueError for an empty or non-string ``kind`` or ``id`` and for a value that JSON cannot hold, and OSError
    if the state folder cannot be written.
    """
    for what, given in (("kind", kind), ("id", id)):
        if not isinstance(given, str) or not given:
            raise ValueError(f"The {what} of a record is {given!r}; give a string that is not empty.")
    try:
        entry = json.loads(json.dumps({"value": redaction.hide_in(value), "at": round(time.time(), 3)},
                                      allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} cannot be kept as progress, because JSON cannot hold it: {error}.") from None
    with json_files.changing(PROGRESS_FILE) as content:
        records = _records(content)
        of_kind = records.setdefault(kind, {})
        of_kind.pop(id, None)  # so that the newest record is the last
        of_kind[id] = entry
        content.clear()
        content.update(version=_VERSION, records=records)


def recorded(kind: str) -> dict[str, Any]:
    """The values that were recorded for a kind, by id; the newest record is the last. Empty if there is none, or if
    the file cannot be read."""
    return {id: entry["value"] for id, entry in _records(json_files.read(PROGRESS_FILE)).get(kind, {}).items()}


def entries() -> dict[str, dict[str, dict[str, Any]]]:
    """Everything that was recorded: for each kind and ID the ``value``, and ``at``, when it was recorded (epoch
    seconds)."""
    return _records(json_files.read(PROGRESS_FILE))


def reset() -> int:
    """Forget everything. Returns how many records there were. Raises OSError if the state folder cannot be written."""
    with json_files.changing(PROGRESS_FILE) as content:
        count = sum(map(len, _records(content).values()))
        content.clear()
        return count


def _records(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The records by kind and id. What is damaged is left out."""
    found = content.get("records")
    return {kind: {id: entry for id, entry in of_kind.items() if isinstance(entry, dict) and "value" in entry}
            for kind, of_kind in (found if isinstance(found, dict) else {}).items() if isinstance(of_kind, dict)}
