"""Is this machine fit for the course? Each check says what it found and, if something is wrong, what to do.

The learner's local cloud is not asked and not changed: the trial runs in a temporary one that nobody else finds.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gtlab.contract import LOOPBACK, Checkup
from gtlab.localcloud import process

OK, WARNING, PROBLEM = "ok", "warning", "problem"
# What an open notebook, its browser tab and the local cloud take together, about; and with room to spare.
_MEMORY_MB, _MEMORY_ROOM_MB = 500, 1500
SERVER_MB = 520  # of a server, for each of the learners who work on it with three open notebooks: docs/hub/README.md
_DISK_MB, _DISK_ROOM_MB = 100, 1000  # the state, the working copy and executed notebooks
_TRIAL_S = 10.0  # what the trial takes at most on a machine that is fast enough
_JUPYTER_PORT = 8888
_MISSING = "is not installed"
_MB = 1024 * 1024


class Checked(NamedTuple):
    """``status`` is one of OK, WARNING and PROBLEM; ``advice`` is what to do (empty if nothing). ``figure`` is what was
    measured, if that is a number: MB of disk and memory, seconds of the trial."""

    name: str
    status: str
    found: str
    advice: str = ""
    figure: float | None = None


def checks() -> Iterator[Checked]:
    """All the checks, one after another; the trial comes last and takes some seconds."""
    named: list[tuple[str, Callable[[], Checked]]] = [
        ("Python", python), ("Packages", packages), ("State folder", state_folder), ("Disk", disk), ("Memory", memory),
        ("Ports", ports), ("Trial", trial)]
    for name, check in named:
        try:
            yield check()
        except Exception as error:  # a check that fails is a finding, and the others are still of interest
            yield Checked(name, PROBLEM, f"the check failed: {type(error).__name__}: {error}",
                          "Please report this, with what gtlab doctor prints.")


def outcome(found: Iterable[Checked]) -> Checkup:
    """The exit code: a warning is none."""
    return Checkup.PROBLEM if any(each.status == PROBLEM for each in found) else Checkup.FIT


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Checked:
    """Whether this Python is one that gtlab supports."""
    what = f"{'.'.join(map(str, version))}, {platform.python_implementation()}, {sys.executable}"
    if version < (3, 11):
        return Checked("Python", PROBLEM, what, "gtlab needs Python 3.11 or newer. Install one, and gtlab in it.")
    if sys.maxsize < 2**32:
        return Checked("Python", WARNING, f"{what} (32 bits)", "Use a 64-bit Python: some packages have no others.")
    return Checked("Python", OK, what)


def packages(requirements: Iterable[str] | None = None) -> Checked:
    """Whether the packages are installed in the versions that gtlab needs. ``requirements``: default gtlab's own."""
    try:
        wanted = list(importlib.metadata.requires("gtlab") or () if requirements is None else requirements)
    except importlib.metadata.PackageNotFoundError:
        return Checked("Packages", WARNING, "gtlab is not installed in this Python, so its packages are not known",
                       'Install it: python -m pip install "gtlab[course]"')
    wrong: dict[str, list[str]] = {"": [], "course": []}
    for line in wanted:
        extra = "".join(re.findall(r"extra == ['\"](\w+)['\"]", line))
        match = re.match(r"([\w.-]+)\s*\(?([^;)]*)", line)
        if match and extra in wrong and (fault := _fault(match[1], match[2])):
            wrong[extra].append(fault)
    if wrong[""]:
        return Checked("Packages", PROBLEM, "; ".join(wrong[""]),
                       'Install again: python -m pip install "gtlab[course]"')
    if wrong["course"]:
        missing = any(fault.endswith(_MISSING) for fault in wrong["course"])  # another version may work
        return Checked("Packages", PROBLEM if missing else WARNING, f"for the notebooks: {'; '.join(wrong['course'])}",
                       'The local cloud works, the notebooks do not: python -m pip install "gtlab[course]"')
    return Checked("Packages", OK, "the local cloud's and the course's packages are installed, in versions that fit")


def state_folder() -> Checked:
    """Whether the state folder exists and can be written."""
    try:
        folder = process.state_folder()
        with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
            file.write(b"gtlab")
            file.flush()
    except (process.CloudError, OSError) as error:
        return Checked("State folder", PROBLEM, str(error),
                       "Set the environment variable GTLAB_HOME to a folder that you can write to.")
    return Checked("State folder", OK, f"{folder} can be written")


def disk(free_mb: float | None = None) -> Checked:
    """Whether there is room for the state and for executed notebooks."""
    if free_mb is None:
        places = (process.state_folder(), Path(tempfile.gettempdir()), Path.cwd())
        free_mb = min(shutil.disk_usage(place).free for place in places) / _MB
    return _enough("Disk", free_mb, "free for the state folder, temporary files and this folder",
                   (_DISK_MB, _DISK_ROOM_MB), "Free some space, or set GTLAB_HOME to a folder on another disk.")


def memory(free_mb: float | None = None) -> Checked:
    """Whether there is memory for JupyterLab, a kernel and the local cloud."""
    free_mb = _available_mb() if free_mb is None else free_mb
    if free_mb is None:
        return Checked("Memory", OK, "not known on this system; the course needs about 1 GB")
    return _enough("Memory", free_mb, "available", (_MEMORY_MB, _MEMORY_ROOM_MB),
                   "Close other programs: a notebook, its browser tab and the local cloud need about 1 GB together.")


def ports() -> Checked:
    """Whether a program can listen on this machine's loopback address, and another can reach it."""
    try:
        with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(
                server.getsockname(), timeout=5) as client, server.accept()[0] as answering:
            answering.sendall(b"x")
            client.recv(1)
    except OSError as error:
        return Checked("Ports", PROBLEM, f"no connection to {LOOPBACK}: {error}",
                       "Allow programs on this machine to connect to each other: look at its firewall or sandbox.")
    try:
        with socket.create_server((LOOPBACK, _JUPYTER_PORT)):
            return Checked("Ports", OK, f"{LOOPBACK} can be reached; JupyterLab's port {_JUPYTER_PORT} is free")
    except OSError:
        return Checked("Ports", OK, f"{LOOPBACK} can be reached; port {_JUPYTER_PORT} is in use, so JupyterLab takes "
                                    "the next free one")


def trial() -> Checked:
    """Start a temporary local cloud, create a global table, write in one Region, read in another, and draw a chart."""
    began = time.monotonic()
    if state_folder().status != OK:  # the clients of every local cloud look into it
        return Checked("Trial", WARNING, "not tried, because the state folder cannot be used",
                       "Fix the state folder, then run gtlab doctor again.")
    try:
        from gtlab import charts
        from gtlab.course import stages
        from gtlab.lab import Choice, Lab, watch
        from gtlab.lab.clients import Access
    except ImportError as error:
        return _without_course(error)
    from botocore.exceptions import BotoCoreError, ClientError

    step = "start a temporary local cloud"
    try:
        with (process.private() as running, open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere),
              contextlib.redirect_stdout(nowhere)):  # what the helpers say to learners
            lab = Lab(Access("local", running.endpoints, token=running.token), Choice(), running)
            step = "create a global table"
            stages.ensure_today(lab)
            step = "write in one Region and read in another"
            key = {"Artist": {"S": "gtlab doctor"}}
            lab.client(lab.home).put_item(TableName=stages.TODAY, Item=key)
            seen = watch.item(lab, stages.TODAY, key, lab.regions[:2], timeout_s=60)
            step = "draw a chart"
            charts.replica_states(seen.assign(backend=lab.label)).to_html()
    except ImportError as error:  # pandas and plotly are loaded when they are needed
        return _without_course(error)
    except (process.CloudError, BotoCoreError, ClientError, OSError, ValueError, RuntimeError) as error:
        return Checked("Trial", PROBLEM, f"could not {step}: {error}",
                       "Try it by hand: gtlab up --in-memory. This message and the checks above say what to mend.")
    took_s = time.monotonic() - began
    what = f"a global table, a write, a read in another Region and a chart: {took_s:.1f} s"
    if took_s > _TRIAL_S:
        return Checked("Trial", WARNING, what,
                       "This machine is slow or busy. Close other programs, and allow more time.", took_s)
    return Checked("Trial", OK, what, figure=took_s)


def _without_course(error: ImportError) -> Checked:
    return Checked("Trial", WARNING, f"not possible without the course's packages: {error}",
                   'Install them: python -m pip install "gtlab[course]"')


def _fault(name: str, wanted: str) -> str:
    """What is wrong with an installed package; empty if nothing. ``wanted``: a range such as ">=1.44,<2"."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} {_MISSING}"
    for part in filter(None, wanted.replace(" ", "").split(",")):
        comparison, bound = re.match(r"([<>=!~]+)(.*)", part).groups()  # type: ignore[union-attr]  # ours match
        has, limit = _numbers(version), _numbers(bound)
        if not {">=": has >= limit, "<": has < limit, "==": has == limit}.get(comparison, True):
            return f"{name} is {version}, but gtlab needs {wanted.strip()}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _enough(name: str, free_mb: float, what: str, bounds: tuple[int, int], advice: str) -> Checked:
    """``bounds``: below the first is a problem, below the second a warning (MB)."""
    least, room = bounds
    status = PROBLEM if free_mb < least else WARNING if free_mb < room else OK
    return Checked(name, status, f"{size(free_mb)} {what}", "" if status == OK else advice, free_mb)


def size(mb: float) -> str:
    """An amount of memory or disk in words."""
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb:.0f} MB"


def _available_mb() -> float | None:
    """Memory that programs can take now, in MB: the machine's, or the container's if that is less. None if unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
        found.append(int(re.search(r"MemAvailable:\s+(\d+) kB", meminfo)[1]) / 1024)  # type: ignore[index]
    with contextlib.suppress(OSError, ValueError):  # "max": the container has no limit
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append((limit - used) / _MB)
    if not found:
        with contextlib.suppress(ImportError):  # comes with ipykernel
            found.append(importlib.import_module("psutil").virtual_memory().available / _MB)
    return min(found, default=None)
