"""What a notebook's kernel does for a learner who has joined a class: it notes which cell runs and what was measured,
for the background process that sends it to the board, and shows what came from there.

All of it goes through small files in the state folder. A kernel makes no connection to the board. Without a class
there is one look for a file per cell, and nothing else.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from gtlab.lab import json_files
from gtlab.lab.display import kernel_shell
from gtlab.localcloud import process

if TYPE_CHECKING:
    import pandas as pd

MEMBER_FILE = "class.json"        # the learner's membership: it exists as long as they are in a class
NEWS_FILE = "class-news.json"     # what came from the board: the pace, notes
PLACE_FILE = "class-place.json"   # which cell runs
LAGS_FILE = "class-lags.json"     # what was measured
AGENT_FILE = "class-agent.lock"   # held by the background process as long as it lives
PROBES = 120                      # the most probes that are kept of one target
_NEW_S = 120.0                    # a note is shown in a notebook that is opened this long after it came
_LOOK_S = 1.0                     # between two looks for news
_NOTEBOOK = re.compile(r"([0-9]{2})_\w+\.ipynb")


class NotOpen(ValueError):
    """The instructor has not opened this yet. The text says what to do."""


def member() -> dict[str, Any] | None:
    """The membership: ``url``, ``name``, ``token`` and more. None if this learner is not in a class."""
    return json_files.read(MEMBER_FILE) or None


def news() -> dict[str, Any]:
    """What came from the board last: ``class``, ``pace``, ``notes``; empty without a class."""
    return json_files.read(NEWS_FILE) if member() else {}


def check_open(what: str, number: str) -> None:
    """Raise NotOpen if ``number`` ("06") of the ``what`` ("notebooks" or "solutions") is not open in the class."""
    found = news()
    pace = found.get("pace")
    last = pace.get(what) if isinstance(pace, dict) else None
    if isinstance(last, str) and number > last:
        named = "Notebook" if what == "notebooks" else "The solution of"
        is_open = f"Open are those up to {last}." if last else "None is open yet."
        raise NotOpen(f"{named} {number} is not open yet in the class “{found.get('class')}”. {is_open} Your "
                      "instructor opens the next one. To go on without the class: gtlab class leave")


def notebook() -> str | None:
    """The number of the course's notebook that this kernel runs, by its file name; None elsewhere."""
    found = _NOTEBOOK.fullmatch(os.path.basename(os.environ.get("JPY_SESSION_NAME", "")))
    return found[1] if found else None


def follow() -> None:
    """Take part in the class, if there is one, as long as this kernel runs. Raises NotOpen if this notebook is not
    open. Call it as often as you like."""
    if member():
        ensure_process()
        number = notebook()
        if number is not None:
            check_open("notebooks", number)
    shell = kernel_shell()
    if shell is not None and not _follower.shell:
        _follower.start(shell)


def keep_lags(lags: pd.DataFrame, backend: str) -> None:
    """Keep what :func:`gtlab.measure.replication_lag` measured, for the class. Without a class nothing is kept."""
    if not member() or lags.empty:
        return
    measured = {}
    for (source, target), rows in lags.groupby(["source", "target"], sort=False):
        kept = rows.head(PROBES)
        columns = (kept["lag_min_ms"], kept["lag_max_ms"], kept["visible_min_ms"] - kept["put_ms"],
                   kept["visible_max_ms"] - kept["put_ms"])
        found = [[None if value != value else round(float(value), 1) for value in row]
                 for row in zip(*columns, strict=True)]
        usable = [row for row in found if row[0] is not None and row[2] is not None]
        if usable:
            measured[f"{source}>{target}"] = {"backend": backend, "rows": usable}
    with contextlib.suppress(OSError, process.CloudError), json_files.changing(LAGS_FILE) as content:
        for pair, value in measured.items():
            content[pair] = {"value": value, "at": time.time()}


def _apart() -> dict[str, Any]:
    """Options of Popen with which Ctrl-C in the terminal does not reach the process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def ensure_process() -> None:
    """Start the background process unless it runs, as after a restart of the machine."""
    folder = process.state_folder()
    try:
        with FileLock(folder / AGENT_FILE, mode=0o600).acquire(timeout=0):
            pass
    except Timeout:
        return
    with open(os.open(folder / "class.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "ab") as log:
        started = subprocess.Popen([sys.executable, "-m", "gtlab.classroom.agent"], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, **_apart())
    started.returncode = 0  # it is meant to outlive this process: silence Popen's ResourceWarning


class _Follower:
    """Notes which cell runs, and shows notes below it: also later, while the learner reads."""

    def __init__(self) -> None:
        self.shell: Any = None
        self._parent: Any = None
        self._watching = False
        self._seen = 0  # the newest note that was shown

    def start(self, shell: Any) -> None:
        self.shell = shell
        shell.events.register("pre_run_cell", self._before)

    def _before(self, info: Any) -> None:
        """A cell begins. Whatever happens here must not stop it."""
        with contextlib.suppress(Exception):
            self._parent = self.shell.parent_header
            if not member():
                return
            number = notebook()
            if number is not None:
                _note_place(number, getattr(info, "cell_id", None) or "")
            if not self._watching:
                self._watching = True
                # A notebook that is opened later does not repeat what others have shown.
                self._seen = max((note["n"] for note in news().get("notes", ())
                                  if note["got"] < time.time() - _NEW_S), default=0)
                threading.Thread(target=self._watch, name="gtlab-class", daemon=True).start()

    def _watch(self) -> None:
        while True:
            with contextlib.suppress(Exception):
                for note in news().get("notes", ()):
                    if note["n"] > self._seen:
                        self._show(note["text"])
                        self._seen = note["n"]
            time.sleep(_LOOK_S)

    def _show(self, text: str) -> None:
        """Show a note below the cell that ran last. It is sent as that cell's output, because output of another thread
        would belong to no cell."""
        lines = html.escape(text).replace("\n", "<br>")
        content = {"data": {"text/plain": f"From your instructor: {text}", "text/html": _BOX.format(lines)},
                   "metadata": {}, "transient": {}}
        publisher = self.shell.display_pub
        publisher.session.send(publisher.pub_socket, "display_data", content, parent=self._parent,
                               ident=publisher.topic)


_BOX = ('<div role="status" style="max-width:46em;margin:4px 2px;padding:8px 14px;border:1px solid #B07F00;'
        'border-left-width:6px;border-radius:4px"><b>From your instructor</b><br>{}</div>')
_follower = _Follower()


def _note_place(number: str, cell: str) -> None:
    with json_files.changing(PLACE_FILE) as content:
        if (content.get("notebook"), content.get("cell")) != (number, cell):
            content.update(notebook=number, cell=cell, at=time.time())


