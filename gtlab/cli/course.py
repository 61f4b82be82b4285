"""`gtlab lab` and `gtlab tour`: the course opened in JupyterLab, the course run without a screen."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from gtlab import __version__
from gtlab.cli import aws, extra
from gtlab.contract import NETWORKS
from gtlab.course import workingcopy
from gtlab.course.workingcopy import Changes
from gtlab.localcloud import process

# Settings of JupyterLab for the servers that `gtlab lab` starts.
JUPYTER_CONFIG = Path(__file__).parents[1] / "data" / "jupyter"


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--notebook", default="00", metavar="NAME", help="Open this notebook, such as 04. Default: the first.")
@click.option("--fresh", is_flag=True, help="Start over: set aside the notebooks that were edited or run.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--port", type=click.IntRange(1, 65535), help="JupyterLab's port. Default: 8888, or the next free one.")
@click.option("--hub", is_flag=True, help="Run as a learner's server. JupyterHub starts this command; the local cloud "
                                          "ends with the server.")
def lab(folder: Path | None, notebook: str, fresh: bool, no_browser: bool, port: int | None, hub: bool) -> None:
    """Open JupyterLab on a working copy of the course, and start the local cloud.

    FOLDER is where the working copy is, or where it is made. Default: gtlab-course in this folder. Notebooks that you
    have edited are never overwritten; the others follow the release of gtlab.
    """
    extra.need(extra.COURSE, "lab")
    from gtlab.cli import hubserver
    from gtlab.course import tour

    if hub:
        hubserver.check()
    course = tour.find_notebooks()
    first = tour.find_notebooks([notebook])[0]
    if first not in course:
        raise click.ClickException(f"{first} is not one of the course's notebooks, which --notebook opens.")
    folder = folder or _default_folder()
    if not folder.exists() and any(path.name.startswith((f"{folder.name}_", f"{folder.name}.")) for path in course):
        raise click.ClickException(f"To open a notebook: gtlab lab --notebook {folder.name}")
    made = not workingcopy.is_working_copy(folder)
    changes = workingcopy.refresh(course, folder, fresh=fresh)
    if made:
        click.echo(f"Your working copy of the course: {folder.resolve()}\ngtlab never overwrites what you edit there.")
    for line in told(changes, made):
        click.echo(line)
    stop = _stop_command()  # for the user's terminal, whose PATH has no additions
    _commands_at_hand()
    _no_prompts()
    if hub:
        hubserver.end_with_this_process()
        process.up()
        become(hubserver.command(folder, first.name))
    cloud, _ = process.up()
    click.echo(f"The local cloud is up: {cloud.url}, {cloud.network} network. Ctrl-C ends JupyterLab, but not the\n"
               f"local cloud. To stop that: {stop}")
    become(jupyter(folder, first.name, no_browser, port))


def _default_folder() -> Path:
    """The current folder where it is a working copy itself, else gtlab-course in it."""
    return Path() if workingcopy.is_working_copy(Path()) else Path(workingcopy.DEFAULT_FOLDER)


def told(changes: Changes, made: bool) -> list[str]:
    """What was done to a working copy, as lines. ``made``: it was made now, so that its notebooks are no news."""
    lines = []
    if changes.added and not made:
        lines.append(f"New in gtlab {__version__}: {_stems(changes.added)}")
    if changes.updated:
        lines.append(f"Updated to gtlab {__version__}: {_stems(changes.updated)}")
    if changes.kept:
        lines.append(f"Kept, because you edited them: {_stems(changes.kept)}. gtlab {__version__} has newer versions. "
                     "To get these and set yours aside: gtlab lab --fresh")
    for old, path in changes.aside.items():
        now = changes.renamed.get(old)
        lines.append(f"Set aside: {path}" + (f" (now called {_stems([now])})" if now else ""))
    return lines


def _stems(names: Iterable[str]) -> str:
    return ", ".join(name.removesuffix(".ipynb") for name in names)


def jupyter(folder: Path, notebook: str, no_browser: bool, port: int | None) -> list[str]:
    """The command that opens JupyterLab in a folder, on one of its notebooks."""
    command = [sys.executable, "-m", "jupyter", "lab", "--ServerApp.root_dir", str(folder.resolve()),
               "--LabApp.default_url", f"/lab/tree/{notebook}"]
    if no_browser or not _has_browser():
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container: Jupyter would refuse to start
    if port:
        command += ["--port", str(port)]
    return command


def become(command: list[str]) -> NoReturn:
    """Run a command in this one's place; the exit code is the command's.

    Windows has no exec: its emulation returns to the shell at once and does not quote arguments with spaces.
    """
    if sys.platform != "win32":
        os.execv(command[0], command)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches both; the command is the one that handles it
        sys.exit(subprocess.call(command))
    sys.exit(130)


@click.command()
@click.argument("notebooks", nargs=-1)
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Give notebooks a parameter. Can be given several times.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True,
              help="Where the executed notebooks go.")
@click.option("--html", type=click.Path(path_type=Path), metavar="DIR",
              help="Also write an HTML page for each executed notebook and an index.html. The pages work offline.")
@click.option("--network", type=click.Choice(NETWORKS), default="realistic", show_default=True)
@click.option("--solve", is_flag=True, help="Run the exercises with their solutions, and fail if a solution is wrong.")
@click.option("--predict", "predicted", multiple=True, metavar="ID=OPTION",
              help="Answer a prediction. Can be given several times. Default: predictions stay open.")
@aws.options
@click.option("--yes", is_flag=True, help="Do not ask for confirmation, with --backend aws.")
@click.option("--rehearse", is_flag=True, help="With --backend aws: a temporary local cloud takes AWS's place.")
def tour(notebooks: tuple[str, ...], parameters: tuple[tuple[str, str], ...], out: Path, html: Path | None,
         network: str, solve: bool, predicted: tuple[str, ...], **backend: Any) -> None:
    """Run the notebooks without a browser: all of them, or those that you name. Exits with 1 if one fails.

    It uses a temporary local cloud, so your tables are not touched. With --backend aws it runs on AWS, at your cost,
    after it has shown what it will create and has asked.
    """
    extra.need(extra.COURSE, "tour")
    from gtlab.course import pages, predictions
    from gtlab.course.tour import Kernels, check_parameters, find_notebooks, run, table

    where = aws.Tour(network=network, **backend)
    chosen = find_notebooks(notebooks)
    values = check_parameters(chosen, dict(parameters) | where.parameters)
    kernels = Kernels({predictions.ANSWERS_VARIABLE: ",".join(map(_prediction, predicted))}, where.cell_s)
    if html:
        pages.prepare(html)
    _commands_at_hand()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the cloud is stopped then too
    with where.open(values):
        results = run(chosen, values, out, kernels=kernels, solve=solve)
        click.echo(table(results))
    if html:
        click.echo(f"Pages: {pages.write(results, out, html)}")
    sys.exit(0 if results and all(result.ok for result in results) else 1)


def _prediction(text: str) -> str:
    """An answer to a prediction, checked: ID=OPTION."""
    from gtlab.course import predictions

    id, _, option = text.partition("=")
    try:
        return f"{id}={predictions.checked(predictions.find(id), option)}"
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--predict") from None


@click.command()
@click.argument("exercise")
def solution(exercise: str) -> None:
    """Print the solution of an exercise, given by its ID or its notebook's number, such as 06."""
    from gtlab.course import exercises, solutions
    from gtlab.lab import classmate

    try:
        found = exercises.find(exercise)
        classmate.check_open("solutions", found.id[:2])
        click.echo(solutions.shown(found.id))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _stop_command() -> str:
    """The command that stops the local cloud, as it can be entered here: this environment may not be activated."""
    own = Path(sys.executable).with_name("gtlab")
    if shutil.which("gtlab") or not own.is_relative_to(Path.cwd()):
        return "gtlab down"
    return f"{own.relative_to(Path.cwd())} down"


def _commands_at_hand() -> None:
    """Have `gtlab` and `aws` of this environment found in notebooks and JupyterLab's terminals, activated or not."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _no_prompts() -> None:
    """Have this JupyterLab not ask whether it may fetch news, by another default of its setting ``fetchNews``, and not
    look for extensions that must be built, for which each page starts Node.js.

    The defaults come from gtlab's own folder of Jupyter configuration, which is read in addition to the user's. A value
    that the user has chosen in JupyterLab's settings still wins, and none of the user's files is written.
    """
    folders = os.environ.get("JUPYTER_CONFIG_PATH")  # the first of them wins, so the user's own stay first
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join([*([folders] if folders else []), str(JUPYTER_CONFIG)])


def _has_browser() -> bool:
    """Whether a browser can be shown; without a screen Jupyter would open one that draws in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
