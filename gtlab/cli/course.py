"""`gtlab lab` and `gtlab tour`: the course opened in JupyterLab, the course run without a screen."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click

from gtlab.contract import NETWORKS
from gtlab.localcloud import process


@click.command()
@click.argument("notebook", default="00")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--port", type=click.IntRange(1, 65535), help="JupyterLab's port. Default: 8888, or the next free one.")
def lab(notebook: str, no_browser: bool, port: int | None) -> None:
    """Start the local cloud and open JupyterLab on the first notebook (or the one named)."""
    from gtlab.course import tour

    path = _found(tour.find_notebooks, [notebook])[0]
    _commands_at_hand()
    cloud, _ = process.up()
    click.echo(f"The local cloud is up: {cloud.url}, {cloud.network} network. It stays up when JupyterLab ends;\n"
               "stop it with: gtlab down")
    command = [sys.executable, "-m", "jupyter", "lab", "--ServerApp.root_dir", str(path.parent),
               "--LabApp.default_url", f"/lab/tree/{path.name}"]
    if no_browser or not _has_browser():
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container: Jupyter would refuse to start
    if port:
        command += ["--port", str(port)]
    os.execv(sys.executable, command)


@click.command()
@click.argument("notebooks", nargs=-1)
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Give notebooks a parameter; may be repeated.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True,
              help="Where the executed notebooks go.")
@click.option("--network", type=click.Choice(NETWORKS), default="realistic", show_default=True)
def tour(notebooks: tuple[str, ...], parameters: tuple[tuple[str, str], ...], out: Path, network: str) -> None:
    """Run the course headless: every notebook, or those named. Exits with 1 if any fails.

    It runs in a local cloud of its own, which is gone afterwards: your tables are left alone.
    """
    from gtlab.course import tour as runner

    chosen = _found(runner.find_notebooks, notebooks)
    values = _found(runner.check_parameters, chosen, dict(parameters))
    _commands_at_hand()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the cloud is stopped then too
    with process.throwaway(network):
        results = runner.run(chosen, values, out)
    click.echo(runner.table(results))
    sys.exit(0 if results and all(result.ok for result in results) else 1)


def _commands_at_hand() -> None:
    """Have `gtlab` and `aws` of this environment found in notebooks and JupyterLab's terminals, activated or not."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _found(function, *arguments):
    from gtlab.course.tour import TourError

    try:
        return function(*arguments)
    except TourError as error:
        raise click.ClickException(str(error)) from None


def _has_browser() -> bool:
    """Whether a browser can be shown; without a screen Jupyter would open one that draws in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
