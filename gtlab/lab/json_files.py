"""Small JSON files in the state folder that several kernels may write at the same time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from gtlab.localcloud import process

_LOCK_S = 10.0  # the longest time to wait for another kernel's write


def read(name: str) -> dict[str, Any]:
    """The content of a file of the state folder. Empty if there is none, or if it is damaged."""
    return _read(process.state_folder() / name) or {}


@contextmanager
def changing(name: str) -> Iterator[dict[str, Any]]:
    """The content of a file, to be changed in the ``with`` block and written at its end in one step: an interruption
    leaves the old file or the new one. A damaged file is set aside and counts as empty.

    Raises OSError if the state folder cannot be written.
    """
    path = process.state_folder() / name
    with FileLock(path.with_suffix(".lock")).acquire(timeout=_LOCK_S):
        content = _read(path)
        if content is None:
            path.replace(path.with_name(f"{path.stem}-damaged-{time.time():.0f}{path.suffix}"))
            content = {}
        yield content
        draft = path.with_suffix(".part")
        draft.touch(mode=0o600)  # only the owner may read it, as the other state files
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    """None where the file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
