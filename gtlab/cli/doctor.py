"""`gtlab doctor`: check this machine, write a report of it, or look at the reports of a room."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gtlab.course.doctor import Checked


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--report", metavar="FOLDER", help="Also write a report for your instructor into this folder; - prints "
              "it and nothing else. It holds no user name, path or address.")
@click.option("--as", "name", metavar="NAME", help="With --report: the name of this machine, or yours. Default: the "
              "machine's name in its network.")
@click.option("--board", metavar="URL", help="Also check whether the board of the class can be reached.")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="With --board: a certificate (PEM) to trust, if your instructor gives you one.")
@click.option("--room", metavar="FILE", type=click.Path(exists=True, path_type=Path),
              help="Do not check this machine. Read a list of machines, or a folder of reports, and show which "
              "machines are fit.")
def doctor(as_json: bool, report: str | None, name: str | None, board: str | None,
           certificate: Path | None, room: Path | None) -> None:
    """Check whether this machine is fit for the course, and try it out in a temporary local cloud.

    Your local cloud is neither asked nor changed. Exits with 1 if there is a problem; warnings do not count. With
    --room, a machine without a report is a problem, and so is one with another version of gtlab.

    For a room: run `gtlab doctor --report FOLDER` on each machine, and then `gtlab doctor --room FILE` on yours. FILE
    has one machine name per line. The reports are in the folder of the same name without the ending: room for room.txt.
    """
    if room is not None:
        if report is not None or name is not None or certificate is not None:
            raise click.UsageError("--room reads reports. Leave out --report, --as and --certificate: they are for the "
                                   "check of one machine.")
        _room(room, board, as_json)
    if name is not None and report is None:
        raise click.UsageError("--as goes with --report FOLDER.")
    if certificate is not None and board is None:
        raise click.UsageError("--certificate goes with --board URL.")
    _machine(as_json, report, name, None if board is None else lambda: _reach(board, certificate))


def _room(path: Path, board: str | None, as_json: bool) -> None:
    from gtlab.classroom import room as rooms
    from gtlab.classroom.link import checked_url

    try:
        found = rooms.read(path, None if board is None else checked_url(board))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--room") from None
    click.echo(rooms.to_json(found) if as_json else "\n".join(rooms.lines(found)))
    sys.exit(found.outcome)


def _machine(as_json: bool, report: str | None, name: str | None, reach: Callable[[], Checked] | None) -> None:
    from gtlab.course import checkup
    from gtlab.course import doctor as doctors

    # What is wrong with the options is said before the checks, which take a while.
    if name is not None:
        checkup.checked_name(name)
    folder = None if report in (None, "-") else _folder(Path(report or ""))
    checks: Iterable[Checked] = doctors.checks()
    if reach is not None:
        checks = itertools.chain([reach()], checks)
    found = []
    quiet = as_json or report == "-"
    for check in checks:
        found.append(check)
        if not quiet:
            click.echo(f"{check.status.upper():<8} {check.name:<13} {check.found}")
            if check.advice:
                click.echo(f"{'':<22} → {check.advice}")
    code = doctors.outcome(found)
    if as_json:
        click.echo(json.dumps({"fit": code == 0, "checks": [
            {"name": each.name, "status": each.status, "found": each.found, "advice": each.advice} for each in found]},
            ensure_ascii=False))
    elif not quiet:
        problems, warnings = (sum(check.status == status for check in found) for status in (
            doctors.PROBLEM, doctors.WARNING))
        click.echo(f"This machine is {'not ' if problems else ''}fit for the course. Problems: {problems}, "
                   f"warnings: {warnings}.")
    if report == "-":
        click.echo(checkup.to_text(checkup.report(found, name)))
    elif folder is not None:
        written = checkup.report(found, name)
        path = folder / written.file
        path.write_text(checkup.to_text(written) + "\n", encoding="utf-8")
        if not quiet:
            click.echo(f"Written for your instructor: {path}\n{checkup.HOLDS}")
    sys.exit(code)


def _reach(board: str, certificate: Path | None) -> Checked:
    """Whether the board can be reached. Raises ValueError for an invalid address, BadParameter for a certificate."""
    try:
        from gtlab.classroom import room
    except ImportError as error:
        from gtlab.course.doctor import WARNING, Checked

        return Checked("Board", WARNING, f"not tried, because packages are missing: {error}",
                       'Install them: python -m pip install "gtlab[course]"')
    try:
        return room.board(board, certificate)
    except OSError as error:
        raise click.BadParameter(f"{certificate} cannot be used: {error.strerror or error}.",
                                 param_hint="--certificate") from None


def _folder(folder: Path) -> Path:
    """A folder that can take a report. Raises BadParameter."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{folder} is not a folder and cannot be created: {error.strerror}.",
                                 param_hint="--report") from None
    return folder
