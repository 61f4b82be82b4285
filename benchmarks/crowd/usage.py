"""The memory and processor time of learners' processes. Linux only: NaN and nothing elsewhere."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gtlab.contract import HOME_VARIABLE


def private_mb(pid: int) -> float:
    """The memory that no other process has, in MB; NaN if it cannot be known."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return math.nan
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def cpu_s(pid: int) -> float:
    """The processor time of a process and of those that it has started and that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


KINDS = {"ipykernel_launcher": "kernel", "gtlab.classroom.agent": "the board's agent", "gtlab.localcloud":
         "local cloud of their own", "jupyter": "JupyterLab", "gtlab lab": "JupyterLab"}


def processes(homes: Sequence[Path]) -> Iterator[tuple[Path, str, int]]:
    """State folder, kind and process ID of what runs with one of these state folders."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            settings = (folder / "environ").read_bytes().split(b"\0")
            for home in homes:
                if f"{HOME_VARIABLE}={home}".encode() in settings:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    kind = next((kind for part, kind in KINDS.items() if part in command), None)
                    if kind:
                        yield home, kind, int(folder.name)


class Used(NamedTuple):
    """``mb`` is the most private memory of one process of this kind, ``cpu_s`` the processor time of all."""

    mb: float
    cpu_s: float


class Watch:
    """Looks at the processes of some state folders every second. :meth:`end` returns what was used since the
    beginning, by state folder and kind."""

    def __init__(self, homes: Sequence[Path]):
        self._homes, self._ends = homes, threading.Event()
        self._first: dict[tuple[Path, str, int], float] = {}
        self._last: dict[tuple[Path, str, int], Used] = {}
        self._look(new=False)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.wait(1.0):
            self._look()

    def _look(self, new: bool = True) -> None:
        for each in processes(self._homes):
            used, mb = cpu_s(each[-1]), private_mb(each[-1])
            if used == used and mb == mb:
                self._first.setdefault(each, 0.0 if new else used)
                self._last[each] = Used(max(mb, self._last.get(each, Used(0.0, 0.0)).mb), used)

    def end(self) -> dict[tuple[Path, str], Used]:
        self._look()
        self._ends.set()
        self._thread.join()
        total: dict[tuple[Path, str], Used] = {}
        for (home, kind, pid), used in self._last.items():
            before = total.get((home, kind), Used(0.0, 0.0))
            total[home, kind] = Used(max(before.mb, used.mb), before.cpu_s + used.cpu_s - self._first[home, kind, pid])
        return total
