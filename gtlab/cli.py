"""The ``gtlab`` command: the local cloud up and down, the course opened, the course run headless."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import click

from gtlab import __version__, background

# What `gtlab env` sets. The credentials are harmless: the local cloud checks none.
_ENV = {
    "AWS_ACCESS_KEY_ID": "gtlab", "AWS_SECRET_ACCESS_KEY": "gtlab", "AWS_PAGER": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}
# What would send the `aws` command elsewhere, or make it stumble.
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB",
          "AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


class _Group(click.Group):
    """Errors that are the user's, or the machine's, come as a line and exit code 1; never as a traceback."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (background.CloudError, ValueError, OSError) as error:
            if os.environ.get("GTLAB_DEBUG"):
                raise
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gtlab")
def main() -> None:
    """A laboratory for DynamoDB global tables, on your own machine."""


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1. Default: the last one, or any free.")
@click.option("--network", type=click.Choice(background.NETWORKS),
              help="realistic (at first); fast: a tenth of every delay; instant: none. Default: as it was.")
@click.option("--seed", type=int, help="Make the simulated delays the same again in another run.")
@click.option("--legacy-api", type=click.Choice(background.LEGACY_APIS),
              help="CreateGlobalTable and its kin as they were (historic, at first), or refused as AWS does in 2026.")
@click.option("--in-memory", is_flag=True, help="A throwaway: nothing is taken up from disk, nothing kept.")
def up(port: int | None, network: str | None, seed: int | None, legacy_api: str | None, in_memory: bool) -> None:
    """Start the local cloud in the background, if none runs. It comes back with all that was in it."""
    cloud, started = background.up(port or 0, network, seed, legacy_api, in_memory)
    click.echo(f"The local cloud {'is up' if started else 'was up already'}: {cloud.url}, {cloud.network} network.")
    if started:
        click.echo('To point the aws command or any SDK at it: eval "$(gtlab env)"')


@main.command()
def down() -> None:
    """Stop the local cloud. What is in it is kept; gtlab reset empties it."""
    click.echo("The local cloud is stopped." if background.down() else "No local cloud was running.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Show whether the local cloud runs, and what is in it. Exits with 1 if it does not run."""
    cloud = background.find()
    if cloud is None:
        click.echo(json.dumps({"running": False}) if as_json else "No local cloud is running. Start one: gtlab up")
        sys.exit(1)
    found = background.status(cloud)
    if as_json:
        click.echo(json.dumps({"running": True, "url": cloud.url, "port": cloud.port,
                               "folder": str(cloud.folder), **found}))
        return
    click.echo(f"Running at {cloud.url} (process {cloud.pid}), {cloud.network} network, seed {found['seed']}.")
    click.echo(f"Global tables of version 2017.11.29: {found['legacy_api']}"
               + (", as they worked." if found["legacy_api"] == "historic" else ", refused as AWS refuses them today."))
    click.echo(f"State folder: {cloud.folder}")
    for table in found["tables"] or []:
        click.echo(f"  {table['region']:<15} {table['name']}  {table['status']}")
    if not found["tables"]:
        click.echo("  no tables")


@main.command()
@click.option("--shell", type=click.Choice(["posix", "fish", "powershell"]), default="posix", show_default=True)
def env(shell: str) -> None:
    """Print the settings that make any aws command or SDK talk to the local cloud: eval "$(gtlab env)"."""
    cloud = background.find()
    if cloud is None:
        raise background.CloudError("No local cloud is running. Start one: gtlab up")
    from gtlab.lab import chosen

    direct = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")), "127.0.0.1"]))
    values = {"AWS_ENDPOINT_URL": cloud.url, "AWS_DEFAULT_REGION": chosen().home, "NO_PROXY": direct, **_ENV}
    for name in _UNSET:
        click.echo({"posix": f"unset {name}", "fish": f"set -e {name}",
                    "powershell": f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"}[shell])
    for name, value in values.items():
        quoted = shlex.quote(value)
        click.echo({"posix": f"export {name}={quoted}", "fish": f"set -gx {name} {quoted}",
                    "powershell": f"$Env:{name} = '{value}'"}[shell])


@main.command()
@click.argument("notebook", default="00")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--port", type=click.IntRange(1, 65535), help="JupyterLab's port. Default: 8888, or the next free one.")
def lab(notebook: str, no_browser: bool, port: int | None) -> None:
    """Start the local cloud and open JupyterLab on the first notebook (or the one named)."""
    from gtlab import tour

    path = _found(tour.find_notebooks, [notebook])[0]
    _commands_at_hand()
    cloud, _ = background.up()
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


@main.command()
@click.argument("notebooks", nargs=-1)
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Give notebooks a parameter; may be repeated.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True,
              help="Where the executed notebooks go.")
@click.option("--network", type=click.Choice(background.NETWORKS), default="realistic", show_default=True)
def tour(notebooks: tuple[str, ...], parameters: tuple[tuple[str, str], ...], out: Path, network: str) -> None:
    """Run the course headless: every notebook, or those named. Exits with 1 if any fails.

    It runs in a local cloud of its own, which is gone afterwards: your tables are left alone.
    """
    from gtlab import tour as runner

    chosen = _found(runner.find_notebooks, notebooks)
    values = _found(runner.check_parameters, chosen, dict(parameters))
    _commands_at_hand()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the cloud is stopped then too
    with background.throwaway(network):
        results = runner.run(chosen, values, out)
    click.echo(runner.table(results))
    sys.exit(0 if results and all(result.ok for result in results) else 1)


def _commands_at_hand() -> None:
    """Have `gtlab` and `aws` of this environment found in notebooks and JupyterLab's terminals, activated or not."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _found(function, *arguments):
    from gtlab.tour import TourError

    try:
        return function(*arguments)
    except TourError as error:
        raise click.ClickException(str(error)) from None


def _has_browser() -> bool:
    """Whether a browser can be shown; without a screen Jupyter would open one that draws in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
