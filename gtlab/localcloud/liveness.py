"""Whether another process makes progress, that is, uses processor time. So a busy process differs from a hung one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

STALLED_S = 20.0        # without any processor time, after which a process counts as hung
LONGEST_WAIT_S = 600.0  # the longest time to wait for a process that makes progress


class Liveness:
    """Follows a process while somebody waits for it. ``waited_s``: how long that has been."""

    def __init__(self, pid: int):
        self.pid = pid
        self._began = self._moved = time.monotonic()
        self._used_s = processor_s(pid)

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._began

    def goes_on(self) -> bool:
        """Whether to wait longer. Where processor time is not known (Windows), waits for STALLED_S."""
        used_s = processor_s(self.pid)
        if used_s != self._used_s:
            self._used_s, self._moved = used_s, time.monotonic()
        return time.monotonic() - self._moved < STALLED_S and self.waited_s < LONGEST_WAIT_S


def processor_s(pid: int) -> float | None:
    """The processor time that a process has used, in seconds; None if that is not known."""
    with contextlib.suppress(OSError, ValueError, IndexError, subprocess.SubprocessError):
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in the process, and in the kernel
        if sys.platform != "win32":
            shown = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, timeout=10)
            seconds = 0.0
            for part in shown.stdout.strip().replace("-", ":").split(":"):  # days, hours, minutes, seconds
                seconds = seconds * 60 + float(part)
            return seconds
    return None
