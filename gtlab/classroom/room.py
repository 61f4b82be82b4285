"""The machines of a room before a class: a list of names, the reports that came from them, and what is to be done."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gtlab import __version__
from gtlab.classroom.link import BoardError, Link
from gtlab.contract import Checkup
from gtlab.course import checkup
from gtlab.course.checkup import MOST_BYTES, Report
from gtlab.course.doctor import OK, PROBLEM, SERVER_MB, WARNING, Checked, size

_LIST_BYTES, _MOST_MACHINES, _MOST_LEARNERS = 4 * 1024 * 1024, 1000, 1000
_OLD_DAYS = 7
_NONE = "–"


class Machine(NamedTuple):
    """A machine on the list, or one that sent a report without being on it. ``found`` is what is to be done."""

    name: str
    learners: int
    report: Report | None
    found: tuple[Checked, ...]

    @property
    def status(self) -> str:
        """The worst of what was found."""
        statuses = {each.status for each in self.found}
        return PROBLEM if PROBLEM in statuses else WARNING if WARNING in statuses else OK


class Room(NamedTuple):
    """``unreadable`` has where a report should be, and why it is none."""

    machines: tuple[Machine, ...]
    unreadable: tuple[tuple[str, str], ...]

    @property
    def outcome(self) -> Checkup:
        """The exit code: a warning is none, and an unreadable report is a problem."""
        wrong = self.unreadable or any(each.status == PROBLEM for each in self.machines)
        return Checkup.PROBLEM if wrong else Checkup.FIT


class _Given(NamedTuple):
    report: Report
    stem: str  # the name of its file, without the ending; empty if it stands in the list


def read(path: Path, url: str | None = None) -> Room:
    """A room from a list or from a folder of reports.

    A list has a line for each machine: its name, or its name and how many learners work on it (``server, 30``). Reports
    are looked for in the folder that has the list's name without its ending, and a line of the list can also be a
    report. ``url`` is the board's address, if every machine should have tried to reach it. Raises ValueError for a
    list that cannot be used.
    """
    listed: dict[str, tuple[str, int]] = {}
    given: list[_Given] = []
    unreadable: list[tuple[str, str]] = []
    if path.is_dir():
        folder: Path | None = path
    else:
        lines = _text(path, _LIST_BYTES).splitlines()
        folder = path.with_suffix("") if path.suffix else None
        for number, line in enumerate(map(str.strip, lines), 1):
            if line.startswith("{"):
                try:
                    given.append(_Given(checkup.from_text(line), ""))
                except ValueError as error:
                    unreadable.append((f"{path.name}, line {number}", str(error)))
            elif line and not line.startswith("#"):
                name, learners = _line(line, f"{path}, line {number}")
                if name.casefold() in listed:
                    raise ValueError(f"{path}, line {number}: {name!r} is there twice. Give each machine its own name.")
                listed[name.casefold()] = name, learners
    if folder is not None and folder.is_dir():
        _collect(folder, given, unreadable)
    if len(listed) + len(given) > _MOST_MACHINES:
        raise ValueError(f"{path} has more than {_MOST_MACHINES} machines.")
    if not listed and not given and not unreadable:
        raise ValueError(f"{path} has no machines. " + (
            "Reports are files that end in .json; gtlab doctor --report FOLDER writes one." if path.is_dir() else
            "Write one name in each line, or name a folder of reports."))
    how = (folder or path.parent, url)
    return Room(tuple(_machines(listed, given, how)), tuple(unreadable))


def board(url: str, certificate: Path | None = None) -> Checked:
    """Whether this machine reaches the board of the class at ``url``. ``certificate`` is a PEM file to trust. Raises
    ValueError for an invalid address, and OSError for a certificate that cannot be used."""
    link = Link(url, certificate=certificate)
    began = time.monotonic()
    try:
        answer = link.ask("class")
    except BoardError as error:
        return Checked("Board", PROBLEM, str(error), "Open the board's address in this machine's browser. If nothing "
                       "comes, allow Python in the firewall of the board's machine.")
    if not isinstance(answer.get("notice"), str):
        return Checked("Board", PROBLEM, f"{link.url} is not a board of gtlab.", "Check the address.")
    took_ms = 1000 * (time.monotonic() - began)
    return Checked("Board", OK, f"{link.url} answers in {took_ms:.0f} ms", figure=took_ms)


def lines(room: Room) -> Iterator[str]:
    """The room as a table, what is to be done, and a summary: the lines that the command prints."""
    rows = [_row(each) for each in room.machines]
    head = ("", "Machine", "System", "Python", "Cores", "Memory", "Disk", "Ports", "Board", "Trial", "gtlab")
    shown = [at for at in range(len(head)) if at < 2 or any(row[at] != _NONE for row in rows)]
    widths = {at: max(len(row[at]) for row in (head, *rows)) for at in shown}
    for row in (head, *rows):
        yield "  ".join(row[at].ljust(widths[at]) for at in shown).rstrip()
    wrong = [each for each in room.machines if each.found]
    if wrong or room.unreadable:
        yield ""
    for machine in wrong:
        for each in machine.found:
            yield f"{machine.name}: {each.status.upper()} {each.name}: {each.found}"
            if each.advice:
                yield f"    → {each.advice}"
    for where, why in room.unreadable:
        yield f"PROBLEM {where}: {why}."
    yield ""
    yield _summary(room)


def to_json(room: Room) -> str:
    """The room for scripts."""
    machines = [{
        "name": each.name, "learners": each.learners, "status": each.status,
        "report": json.loads(checkup.to_text(each.report)) if each.report else None,
        "found": [{"name": one.name, "status": one.status, "found": one.found, "advice": one.advice}
                  for one in each.found]} for each in room.machines]
    return json.dumps({"fit": room.outcome == Checkup.FIT, "machines": machines, "unreadable": [
        {"where": where, "why": why} for where, why in room.unreadable]}, ensure_ascii=False)


def _text(path: Path, most: int) -> str:
    """A file's text. Windows PowerShell writes UTF-16 when it redirects output. Raises ValueError."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(data) > most:
        raise ValueError(f"{path} is larger than {most // 1024} KiB. It should be a list of machines, or a report.")
    try:
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8.") from None


def _line(line: str, where: str) -> tuple[str, int]:
    """The name and the number of learners of a line of the list. Raises ValueError."""
    name, comma, learners = line.rpartition(",")
    if not comma:
        name, learners = line, "1"
    if not learners.strip().isdecimal() or not 1 <= int(learners) <= _MOST_LEARNERS:
        raise ValueError(f"{where}: {line[:60]!r} is not a machine. Write its name, or its name, a comma and how many "
                         "learners work on it, such as: server, 30")
    try:
        return checkup.checked_name(name), int(learners)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _collect(folder: Path, given: list[_Given], unreadable: list[tuple[str, str]]) -> None:
    for path in sorted(folder.glob("*.json"))[:_MOST_MACHINES + 1]:
        try:
            given.append(_Given(checkup.from_text(_text(path, MOST_BYTES)), path.stem))
        except ValueError as error:
            unreadable.append((path.name, str(error).removeprefix(f"{path} ").rstrip(".")))


def _machines(listed: Mapping[str, tuple[str, int]], given: Iterable[_Given],
              how: tuple[Path, str | None]) -> Iterator[Machine]:
    """The listed machines in the order of the list, then the others. Of several reports the newest counts."""
    reports: dict[str, Report] = {}
    for each in sorted(given, key=lambda one: one.report.at):
        own = each.report.name.casefold()
        names = (own, each.stem.casefold(), *(name for name in listed if name.split(".")[0] == own))
        reports[next((name for name in names if name in listed), own)] = each.report
    for key, (name, learners) in listed.items():
        yield Machine(name, learners, reports.get(key), tuple(_found(name, learners, reports.get(key), how)))
    for key, report in sorted(reports.items()):
        if key not in listed:
            found = tuple(_found(report.name, 1, report, how))
            yield Machine(report.name, 1, report, (*found, Checked(
                "List", WARNING, "not on the list", "If it is a machine of the list with another name, correct the "
                "list, or run the check again with --as NAME.")) if listed else found)


def _found(name: str, learners: int, report: Report | None, how: tuple[Path, str | None]) -> Iterator[Checked]:
    """What is to be done about a machine."""
    folder, url = how
    again = f"gtlab doctor --report {folder} --as {json.dumps(name, ensure_ascii=False) if ' ' in name else name}" + (
        f" --board {url}" if url else "")
    if report is None:
        yield Checked("Report", PROBLEM, "there is none", f"Run on this machine: {again}")
        return
    for each in report.checks:
        if each.status != OK and (learners == 1 or each.name != "Memory"):
            yield each
    if learners > 1 and report.memory_mb is not None and report.memory_mb < learners * SERVER_MB:
        yield Checked("Memory", PROBLEM, f"{size(report.memory_mb)} available, and {learners} learners need about "
                      f"{size(learners * SERVER_MB)}",
                      "Give it more memory, or fewer learners. docs/hub/README.md has sizes.")
    if report.gtlab != __version__:
        yield Checked("gtlab", PROBLEM, f"version {report.gtlab}, and this machine has {__version__}",
                      "Install the same version on all machines: the notebooks and the board belong together.")
    if url and report.status("Board") is None:
        yield Checked("Board", WARNING, "not tried", f"With the board running: {again}")
    days = (time.time() - report.at) / 86_400
    if days > _OLD_DAYS:
        yield Checked("Report", WARNING, f"{days:.0f} days old", f"Check again: {again}")


def _row(machine: Machine) -> Sequence[str]:
    status, report = machine.status.upper(), machine.report
    name = machine.name + (f" ({machine.learners} learners)" if machine.learners > 1 else "")
    if report is None:
        return status, name, *[_NONE] * 9
    reached = report.status("Board")
    return (status, name, report.system, report.python, _figure(report.cores, "{:.0f}"), _size(report.memory_mb),
            _size(report.disk_mb), report.status("Ports") or _NONE,
            _NONE if reached is None else _figure(report.board_ms, "{:.0f} ms") if reached == OK else "no",
            _figure(report.trial_s, "{:.1f} s"), report.gtlab)


def _figure(value: float | None, form: str) -> str:
    return _NONE if value is None else form.format(value)


def _size(mb: float | None) -> str:
    return _NONE if mb is None else size(mb)


def _summary(room: Room) -> str:
    statuses = Counter(each.status for each in room.machines)
    missing = sum(each.report is None for each in room.machines)
    versions = Counter(each.report.gtlab for each in room.machines if each.report)
    return " ".join([
        f"Machines: {len(room.machines)}. Fit: {statuses[OK] + statuses[WARNING]}"
        + (f" (with warnings: {statuses[WARNING]})" if statuses[WARNING] else "") + ".",
        f"With a problem: {statuses[PROBLEM]}" + (f" (without a report: {missing})" if missing else "") + ".",
        *([f"Versions of gtlab: {', '.join(f'{name} ({number})' for name, number in versions.most_common())}."]
          if len(versions) > 1 else []),
        *([f"Reports that cannot be read: {len(room.unreadable)}."] if room.unreadable else [])])
