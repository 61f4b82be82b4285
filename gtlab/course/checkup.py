"""What `gtlab doctor` found on one machine, as a report for the instructor: one line of JSON.

It holds a name for the machine, what kind of machine it is, and what the checks found. It holds no user name, no path
and no address: what an instructor does not need is not in it, and the texts of checks that failed are cleaned. It can
be made on a machine where packages are missing.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gtlab import __version__
from gtlab.contract import HOME_VARIABLE
from gtlab.course.doctor import OK, PROBLEM, WARNING, Checked
from gtlab.localcloud import process

HOLDS = ("It holds the machine's name, its system, the versions of Python and gtlab, cores, free memory and disk, and "
         "what the checks found. No user name, no path and no address.")
MOST_BYTES = 64 * 1024  # of a report
_MARK, _VERSION = "gtlab_doctor", 1
_TEXT = 400             # characters of a text
_NAME, _SYSTEM = 40, 30
_CHECKS = 20
# A path that stands in quotes may have spaces in it.
_PATHS = re.compile(r"""(?<=')[^'\n]*[/\\][^'\n]*(?=')|(?<=")[^"\n]*[/\\][^"\n]*(?=")"""
                    r"""|(?:\b[A-Za-z]:|~)?[/\\][^\s'",;]+""")
# But not 127.0.0.1, which every machine has.
_ADDRESSES = re.compile(r"https?://[^\s,;)]+|\b(?!127\.)\d{1,3}(?:\.\d{1,3}){3}\b")


@dataclass(frozen=True)
class Report:
    """A machine, as its own `gtlab doctor` described it. ``at`` is in epoch seconds; figures are None if they are not
    known. ``board_ms`` is how long the board took to answer, None if it did not answer or was not asked. ``checks``
    have a text only where something is to be done."""

    name: str
    at: float
    gtlab: str
    system: str
    python: str
    cores: int | None
    memory_mb: float | None
    disk_mb: float | None
    trial_s: float | None
    board_ms: float | None
    checks: tuple[Checked, ...]

    @property
    def file(self) -> str:
        """The name of the report's file."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip(".-") + ".json"

    def status(self, check: str) -> str | None:
        """A check's status; None if it was not made."""
        return next((each.status for each in self.checks if each.name == check), None)


def report(checks: Iterable[Checked], name: str | None = None) -> Report:
    """This machine's report. ``name`` is the machine's; without one, the name that it has in its network. Raises
    ValueError for a name that is not accepted."""
    given = tuple(checks)
    figures = {each.name: each.figure for each in given}
    return Report(
        name=_own_name() if name is None else checked_name(name), at=time.time(), gtlab=__version__, system=_system(),
        python=platform.python_version(), cores=_cores(), memory_mb=figures.get("Memory"),
        disk_mb=figures.get("Disk"), trial_s=figures.get("Trial"), board_ms=figures.get("Board"),
        checks=tuple(Checked(each.name, each.status, "") if each.status == OK else
                     Checked(each.name, each.status, without_places(each.found), each.advice) for each in given))


def to_text(found: Report) -> str:
    """A report as one line."""
    fields = asdict(found) | {"at": round(found.at), "checks": [
        {key: value for key, value in each._asdict().items() if key != "figure" and value} for each in found.checks]}
    for key in ("memory_mb", "disk_mb", "trial_s", "board_ms"):
        if fields[key] is not None:
            fields[key] = round(fields[key], 1)
    return json.dumps({_MARK: _VERSION, **fields}, ensure_ascii=False)


def from_text(text: str) -> Report:
    """Read a report. It comes from another machine: texts are cut and cleaned, so that they cannot move the cursor of
    the terminal that shows them. Raises ValueError, with a text that says what is wrong."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or _MARK not in given:
        raise ValueError("this is not a report of gtlab doctor. To make one: gtlab doctor --report FOLDER")
    if given[_MARK] != _VERSION:
        raise ValueError(f"the report's format is {_line(given[_MARK], 20)!r}, but gtlab {__version__} reads only "
                         f"{_VERSION}. Install the same version of gtlab everywhere")
    checks = given.get("checks")
    if not isinstance(checks, list) or not 1 <= len(checks) <= _CHECKS:
        raise ValueError("the report is damaged: it has no checks")
    cores = _number(given, "cores")
    return Report(
        name=checked_name(given.get("name")), at=_number(given, "at") or 0.0, gtlab=_line(given.get("gtlab"), 20),
        system=_line(given.get("system"), _SYSTEM), python=_line(given.get("python"), 20),
        cores=None if cores is None else int(cores), memory_mb=_number(given, "memory_mb"),
        disk_mb=_number(given, "disk_mb"), trial_s=_number(given, "trial_s"), board_ms=_number(given, "board_ms"),
        checks=tuple(map(_check, checks)))


def checked_name(given: object) -> str:
    """The name of a machine, or of the learner who uses it: 1 to 40 printable characters. Raises ValueError."""
    text = " ".join(given.split()) if isinstance(given, str) else ""
    if not 1 <= len(text) <= _NAME or not text.isprintable() or not any(map(str.isalnum, text)):
        raise ValueError(f"{_line(given, 60)!r} is not a name of a machine: it has 1 to {_NAME} printable characters, "
                         "and a letter or a digit among them")
    return text


def without_places(text: str) -> str:
    """A text without paths, addresses of other machines, and the name of the user."""
    folders: list[Path | str] = [Path.home(), Path.cwd()]
    try:
        folders.append(process.state_folder())
    except (process.CloudError, OSError):
        folders.append(os.environ.get(HOME_VARIABLE, ""))
    for folder in sorted(map(str, folders), key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder, "/…")
    text = _PATHS.sub("…", _ADDRESSES.sub("…", text))
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        return text
    return re.sub(rf"\b{re.escape(user)}\b", "…", text) if user not in ("", "root") else text


def _check(given: object) -> Checked:
    if not isinstance(given, Mapping) or given.get("status") not in (OK, WARNING, PROBLEM):
        raise ValueError(f"the report is damaged: a check's status is {OK}, {WARNING} or {PROBLEM}")
    return Checked(_line(given.get("name"), _SYSTEM), given["status"], _line(given.get("found", ""), _TEXT),
                   _line(given.get("advice", ""), _TEXT))


def _line(given: object, length: int) -> str:
    """A text as one line of printable characters."""
    text = given if isinstance(given, str) else "" if given is None else str(given)
    return "".join(" " if each.isspace() else each for each in text[:length]
                   if each.isspace() or unicodedata.category(each)[0] != "C")


def _number(given: Mapping[str, Any], field: str) -> float | None:
    value = given.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"the report is damaged: {field} is {_line(value, 20)!r} and not a number")
    return value


def _own_name() -> str:
    try:
        return checked_name(platform.node().split(".")[0][:_NAME])
    except ValueError:
        return "machine"


def _system() -> str:
    name = f"{platform.system()} {platform.release()}"
    if platform.system() == "Darwin":
        name = f"macOS {platform.mac_ver()[0]}"
    elif platform.system() == "Linux":
        try:
            named = platform.freedesktop_os_release()
            short = named["NAME"].removesuffix(" GNU/Linux").removesuffix(" Linux")
            name = f"{short} {named.get('VERSION_ID', '')}".strip()
        except (OSError, KeyError):
            name = "Linux"
    return f"{name} {platform.machine()}"[:_SYSTEM]


def _cores() -> int | None:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
