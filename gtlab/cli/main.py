"""The ``gtlab`` command: the local cloud up and down, the course opened, the course run headless."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from gtlab import __version__
from gtlab.contract import FACES, NETWORKS, OUTAGES, STATE_FILE
from gtlab.localcloud import process

# What `gtlab env` sets. The credentials are harmless: the local cloud checks none.
_ENV = {
    "AWS_ACCESS_KEY_ID": "gtlab", "AWS_SECRET_ACCESS_KEY": "gtlab", "AWS_PAGER": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}
# What would send the `aws` command elsewhere, or make it stumble.
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB",
          "AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
_AGAIN_S = 0.5  # between two looks at whether the local cloud is there again


class _Group(click.Group):
    """Errors that are the user's, or the machine's, come as a line and exit code 1; never as a traceback."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (process.CloudError, ValueError, OSError) as error:
            if os.environ.get("GTLAB_DEBUG") or isinstance(error, BrokenPipeError):  # which click knows how to take
                raise
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gtlab")
def main() -> None:
    """A laboratory for DynamoDB global tables, on your own machine."""


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1. Default: the last one, or any free.")
@click.option("--network", type=click.Choice(NETWORKS),
              help="realistic (at first); fast: a tenth of every delay; instant: none. Default: as it was.")
@click.option("--seed", type=int, help="Make the simulated delays the same again in another run.")
@click.option("--legacy-api", type=click.Choice(FACES),
              help="CreateGlobalTable and its kin as they were (historic, at first), or refused as AWS does in 2026.")
@click.option("--in-memory/--on-disk", default=None, help="A throwaway: nothing is taken up from disk, nothing kept. "
                                                          "Default: on disk.")
@click.option("--listen", metavar="ADDRESS", help="Let others in, by this address of the machine's (0.0.0.0: by all of "
                                                  "them). Everybody is asked for a token then.")
@click.option("--token", help="The token, with --listen. Default: the last one, at first one that is made up.")
def up(port: int | None, network: str | None, seed: int | None, legacy_api: str | None,
       in_memory: bool | None, listen: str | None, token: str | None) -> None:
    """Start the local cloud in the background, if none runs. It comes back with all that was in it."""
    cloud, started = process.up(port or 0, network, seed, legacy_api, in_memory, listen, token)
    click.echo(f"The local cloud {'is up' if started else 'was up already'}: {cloud.url}, {cloud.network} network"
               + (", in memory only: nothing is kept." if cloud.in_memory else "."))
    if started:
        click.echo('To point the aws command or any SDK at it: eval "$(gtlab env)"')
    found = process.status(cloud)
    if found["note"]:
        click.echo(found["note"], err=True)
    broken = _broken(cloud)
    if broken:
        click.echo("The world is broken as it was left:\n" + "\n".join(f"  {each}" for each in broken)
                   + "\nTo mend it: gtlab world reset")
    if cloud.token:
        click.echo(f"It listens on {cloud.address}, and asks everybody for a token: {cloud.token}\n"
                   f"From elsewhere, any SDK: AWS_ENDPOINT_URL=http://THIS-MACHINE:{cloud.port} "
                   f"AWS_SESSION_TOKEN={cloud.token}, and any access key.\n"
                   "The lab's own API: the header Authorization: Bearer TOKEN. There is no encryption: use it on "
                   "networks that you trust.")


@main.command()
def down() -> None:
    """Stop the local cloud. What is in it is kept; gtlab reset empties it."""
    click.echo("The local cloud is stopped." if process.down() else "No local cloud was running.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Show whether the local cloud runs, and what is in it. Exits with 1 if it does not run."""
    cloud = process.find()
    if cloud is None:
        click.echo(json.dumps({"running": False}) if as_json else "No local cloud is running. Start one: gtlab up")
        sys.exit(1)
    found = process.status(cloud)
    if as_json:
        click.echo(json.dumps({"running": True, "url": cloud.url, "port": cloud.port,
                               "folder": str(cloud.folder), **found}))
        return
    click.echo(f"Running at {cloud.url} (process {cloud.pid}), {cloud.network} network, seed {found['seed']}.")
    if cloud.token:
        click.echo(f"It listens on {cloud.address}, and asks everybody for a token. To see it: gtlab up")
    click.echo(f"Global tables of version 2017.11.29: {found['legacy_api']}"
               + (", as they worked." if found["legacy_api"] == "historic" else ", refused as AWS refuses them today."))
    click.echo(f"State folder: {cloud.folder}, " + ("but all of it is in memory only."
                                                    if found["in_memory"] else f"kept in {STATE_FILE}."))
    if found["deliveries_waiting"]:
        click.echo(f"On their way between Regions: {found['deliveries_waiting']}")
    for each in _broken(cloud):
        click.echo(f"Broken: {each}")
    for table in found["tables"] or []:
        click.echo(f"  {table['region']:<15} {table['name']}  {table['status']}")
    if not found["tables"]:
        click.echo("  no tables")


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Empty the local cloud: every table of every Region, and all that is broken is mended."""
    if not yes:
        click.confirm("This deletes every table and item of the local cloud. Go on?", abort=True)
    aside = process.reset()
    click.echo("The local cloud is empty.")
    cloud = process.find()
    if cloud is None:
        click.echo("It was stopped: the next gtlab up begins as the first one did, on the realistic network.")
    if cloud and cloud.in_memory and (cloud.folder / STATE_FILE).exists():
        click.echo(f"It runs in memory: what {cloud.folder / STATE_FILE} keeps is untouched.")
    for path in aside:
        click.echo(f"A damaged state file that was set aside is still there: {path}")


@main.command()
@click.option("--shell", type=click.Choice(["posix", "fish", "powershell"]), default="posix", show_default=True)
def env(shell: str) -> None:
    """Print the settings that make any aws command or SDK talk to the local cloud: eval "$(gtlab env)"."""
    cloud = process.find()
    if cloud is None:
        raise process.CloudError("No local cloud is running. Start one: gtlab up")
    from gtlab.lab import chosen

    direct = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")),
                                     urlsplit(cloud.url).hostname]))
    values = {"AWS_ENDPOINT_URL": cloud.url, "AWS_DEFAULT_REGION": chosen().home, "NO_PROXY": direct, **_ENV}
    if cloud.token:
        values["AWS_SESSION_TOKEN"] = cloud.token
    for name in _UNSET:
        click.echo({"posix": f"unset {name}", "fish": f"set -e {name}",
                    "powershell": f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"}[shell])
    for name, value in values.items():
        quoted = shlex.quote(value)
        click.echo({"posix": f"export {name}={quoted}", "fish": f"set -gx {name} {quoted}",
                    "powershell": f"$Env:{name} = '{value}'"}[shell])


def _running() -> process.Running:
    cloud = process.find()
    if cloud is None:
        raise process.CloudError("No local cloud is running. Start one: gtlab up")
    return cloud


def _broken(cloud: process.Running) -> list[str]:
    """What is broken, in words."""
    from gtlab.lab import knobs as knobs

    return [knobs.meaning(each) for each in knobs.broken(process.control(cloud.port, "world"))]


@main.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def world(context: click.Context, as_json: bool) -> None:
    """Break the simulated world and mend it. Alone: show what is broken."""
    if context.invoked_subcommand is None:
        _show_world(as_json)


def _show_world(as_json: bool = False) -> None:
    from gtlab.lab import knobs as knobs

    state = process.control(_running().port, "world")
    if as_json:
        click.echo(json.dumps(state))
        return
    found = knobs.broken(state)
    if not found:
        click.echo("Nothing is broken. To break something: gtlab world --help")
        return
    rows = [("KNOB", "PLACE", "VALUE")]
    for each in found:
        value = each["value"] if isinstance(each["value"], str) else json.dumps(each["value"])
        rows.append((each["knob"], " ".join(each["place"]) or "everywhere", "" if each["value"] is None else value))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo("To mend one: the same command with --off. To mend everything: gtlab world reset")
    if any(each["knob"] == "pause" for each in found):
        click.echo("A pause is an experiment's (the VALUE), of AWS's fault injection service: stop it there.")


_off = click.option("--off", is_flag=True, help="Mend it.")


def _turn(knob: str, place: tuple[str, ...], value: object, off: bool) -> None:
    what = "/".join(["world", knob, *(quote(part, safe="") for part in place)])
    if off:
        process.control(_running().port, what, "DELETE")
    else:
        process.control(_running().port, what, "PUT", {} if value is None else {"value": value})
    _show_world()


def _needed(value: object, name: str, off: bool) -> object:
    if value is None and not off:
        raise click.UsageError(f"Missing {name}. (With --off it is not needed.)")
    return value


@world.command()
@click.argument("a", metavar="REGION")
@click.argument("b", metavar="REGION")
@_off
def partition(a: str, b: str, off: bool) -> None:
    """Nothing passes between two Regions."""
    _turn("partition", (a, b), None, off)


@world.command()
@click.argument("region")
@_off
def isolate(region: str, off: bool) -> None:
    """Nothing passes between a Region and any other; callers reach it."""
    _turn("isolate", (region,), None, off)


@world.command()
@click.argument("region")
@click.option("--how", type=click.Choice(OUTAGES), default="timeout", show_default=True)
@_off
def outage(region: str, how: str, off: bool) -> None:
    """A Region is down: its endpoint fails, and nothing passes to or from it."""
    _turn("outage", (region,), how, off)


@world.command()
@click.argument("a", metavar="REGION")
@click.argument("b", metavar="REGION")
@click.argument("added_ms", metavar="MS", type=float, required=False)
@_off
def slow(a: str, b: str, added_ms: float | None, off: bool) -> None:
    """A round trip between two Regions takes MS milliseconds longer."""
    _turn("slow", (a, b), _needed(added_ms, "MS", off), off)


@world.command()
@click.argument("arguments", metavar="[SECONDS] [SOURCE TARGET]", nargs=-1)
@_off
def lag(arguments: tuple[str, ...], off: bool) -> None:
    """Replication takes SECONDS, everywhere or from SOURCE to TARGET."""
    place = arguments[len(arguments) % 2:]
    if len(place) not in (0, 2) or not (off or len(arguments) % 2):
        raise click.UsageError("Give SECONDS, or SECONDS SOURCE TARGET; with --off nothing, or SOURCE TARGET.")
    _turn("lag", place, None if off else _number(arguments[0]), off)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no number.") from None


@world.command()
@click.argument("table")
@click.option("--region", help="Default: the home Region that was chosen last.")
@click.option("--read-units", type=float, help="A second, in place of the table's own.")
@click.option("--write-units", type=float, help="A second, in place of the table's own.")
@click.option("--burst-s", type=float, help="Seconds of unused capacity that are kept. Default: 300.")
@click.option("--account", help="A 12-digit account. Default: that of every access key which is no number.")
@_off
def throttle(table: str, region: str | None, read_units: float | None, write_units: float | None,
             burst_s: float | None, account: str | None, off: bool) -> None:
    """Hold a table to its capacity and its burst credit."""
    from gtlab.lab import chosen
    from gtlab.lab.knobs import checked_table

    value = {"read_units": read_units, "write_units": write_units, "burst_s": burst_s}
    place = (region or chosen().home, checked_table(table))
    _turn("throttle", place if account is None else (account, *place),
          {name: given for name, given in value.items() if given is not None}, off)


@world.command()
@click.argument("region", required=False)
@_off
def caller(region: str | None, off: bool) -> None:
    """Every caller is in this Region."""
    _turn("caller", (), _needed(region, "REGION", off), off)


@world.command("reset")
def world_reset() -> None:
    """Put everything right."""
    process.control(_running().port, "world", "DELETE")
    click.echo("Nothing is broken.")


@main.command()
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events with a higher number.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def events(follow: bool, after: int, as_json: bool) -> None:
    """Show what happened: writes, deliveries, conflicts, what was broken."""
    from gtlab.lab import events as journal

    def show(event: dict) -> None:
        click.echo(json.dumps(event) if as_json else
                   f"{event['n']:>6}  {datetime.fromtimestamp(event['at']):%H:%M:%S.%f}  {journal.in_words(event)}")

    cloud = _running()
    try:
        for event in journal.pages(lambda what: process.control(cloud.port, what), after):
            after = event["n"]
            show(event)
        while follow:
            for event in journal.follow(cloud.port, after):
                after = event["n"]
                show(event)
            before, cloud = cloud, _come_back()
            if cloud.instance != before.instance:
                after = 0  # its journal begins anew
    except KeyboardInterrupt:
        pass


def _come_back() -> process.Running:
    """The local cloud, as soon as it runs again."""
    told = False
    while True:
        time.sleep(_AGAIN_S)
        cloud = process.find()
        if cloud:
            return cloud
        if not told:
            click.echo("The local cloud has ended. Waiting for it to come back; Ctrl-C ends this.", err=True)
            told = True


@main.command()
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


@main.command()
@click.option("--source", required=True, metavar="REGION", help="Where probe items are put.")
@click.option("--targets", required=True, metavar="REGION,REGION", help="Where they are looked for.")
@click.option("--samples", type=click.IntRange(1, 999_999), default=100, show_default=True, help="How many items.")
@click.option("--rate", type=float, default=10.0, show_default=True, help="Items a second.")
@click.option("--every-ms", type=float, metavar="MS", help="Between two polls of a target. Default: 3 for each target.")
@click.option("--table", metavar="NAME", help="A global table. Default, on the local cloud: the course's, Music.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it: .csv or .parquet, every probe; .html, a report with charts.")
@click.option("--backend", type=click.Choice(["local", "aws"]), default="local", show_default=True,
              help="aws: AWS itself, at your cost, after asking.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="REGION=URL",
              help="Another engine that speaks DynamoDB; once for each Region.")
@click.option("--profile", help="Which of your AWS profiles, with --backend aws.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def measure(source: str, targets: str, samples: int, rate: float, every_ms: float | None, table: str | None,
            out: Path | None, backend: str, endpoints: tuple[str, ...], profile: str | None, yes: bool) -> None:
    """Measure the replication lag from one Region to others. Ctrl-C keeps what was measured."""
    from gtlab.cli import report

    try:
        report.run(source, targets, samples, rate=rate, every_ms=every_ms, out=out, backend=backend,
                   endpoints=endpoints, table=table or "", profile=profile, yes=yes, say=click.echo, ask=click.confirm)
    except click.Abort:  # a RuntimeError, too
        raise
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None


@main.command()
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
