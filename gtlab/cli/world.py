"""`gtlab world` and `gtlab events`: break the simulated world, repair it, and follow what happens in it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

import click

from gtlab.cli.cloud import running
from gtlab.cli.groups import Group
from gtlab.contract import OUTAGES, UNITS
from gtlab.localcloud import process

_AGAIN_S = 0.5  # between two checks whether the local cloud runs again


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def world(context: click.Context, as_json: bool) -> None:
    """Break the simulated world and repair it. Without a command: show what is broken."""
    if context.invoked_subcommand is None:
        _show_world(as_json)


def _show_world(as_json: bool = False) -> None:
    from gtlab.lab import knobs

    state = process.control(running().port, "world")
    if as_json:
        click.echo(json.dumps(state))
        return
    found = knobs.broken(state)
    if not found:
        click.echo("Nothing is broken. To break something: gtlab world --help")
        return
    rows = [("KNOB", "PLACE", "VALUE"),
            *((each["knob"], " ".join(each["place"]) or "everywhere", _value(each["knob"], each["value"]))
              for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo("To repair one: the same command with --off. To repair everything: gtlab world reset")
    if any(each["knob"] == "pause" for each in found):
        click.echo("A pause belongs to the experiment of AWS's fault injection service in VALUE; stop the experiment.")


def _value(knob: str, value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{json.dumps(value)} {UNITS.get(knob, '')}".rstrip()


_off = click.option("--off", is_flag=True, help="Repair it.")


def _turn(knob: str, place: tuple[str, ...], value: object, off: bool) -> None:
    what = "/".join(["world", knob, *(quote(part, safe="") for part in place)])
    if off:
        process.control(running().port, what, "DELETE")
    else:
        process.control(running().port, what, "PUT", {} if value is None else {"value": value})
    _show_world()


class _WithNumber(click.Command):
    """A command with a number among its arguments, for which click takes -3 to be an option. Which numbers are allowed
    is checked in localcloud/world.py."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(map(_is_negative, args)):
            flags = [each for each in args if each.startswith("-") and not _is_negative(each)]
            args = [*flags, "--", *(each for each in args if each not in flags)]
        return super().parse_args(ctx, args)


def _is_negative(text: str) -> bool:
    return bool(re.match(r"-[.\d]", text))


def _needed(value: object, name: str, off: bool) -> object:
    if value is None and not off:
        raise click.UsageError(f"Missing {name}. (With --off it is not needed.)")
    return value


@world.command()
@click.argument("a", metavar="REGION")
@click.argument("b", metavar="REGION")
@_off
def partition(a: str, b: str, off: bool) -> None:
    """Cut the link between two Regions."""
    _turn("partition", (a, b), None, off)


@world.command()
@click.argument("region")
@_off
def isolate(region: str, off: bool) -> None:
    """Cut a Region off from all others. Callers still reach it."""
    _turn("isolate", (region,), None, off)


@world.command()
@click.argument("region")
@click.option("--how", type=click.Choice(OUTAGES), default="timeout", show_default=True)
@_off
def outage(region: str, how: str, off: bool) -> None:
    """Take a Region down: its endpoint fails, and it exchanges nothing with other Regions."""
    _turn("outage", (region,), how, off)


@world.command(cls=_WithNumber)
@click.argument("a", metavar="REGION")
@click.argument("b", metavar="REGION")
@click.argument("added_ms", metavar="MS", type=float, required=False)
@_off
def slow(a: str, b: str, added_ms: float | None, off: bool) -> None:
    """Add MS milliseconds to the round trip between two Regions."""
    _turn("slow", (a, b), _needed(added_ms, "MS", off), off)


@world.command(cls=_WithNumber)
@click.argument("arguments", metavar="[SECONDS] [SOURCE TARGET]", nargs=-1)
@_off
def lag(arguments: tuple[str, ...], off: bool) -> None:
    """Set the replication lag to SECONDS, everywhere or from SOURCE to TARGET."""
    place = arguments[len(arguments) % 2:]
    if len(place) not in (0, 2) or not (off or len(arguments) % 2):
        raise click.UsageError("Give SECONDS, or SECONDS SOURCE TARGET; with --off nothing, or SOURCE TARGET.")
    _turn("lag", place, None if off else _number(arguments[0]), off)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is not a number.") from None


@world.command()
@click.argument("table")
@click.option("--region", help="Default: the home Region that was chosen last.")
@click.option("--read-units", type=float, help="Per second. Default: the table's own.")
@click.option("--write-units", type=float, help="Per second. Default: the table's own.")
@click.option("--burst-s", type=float, help="Seconds of unused capacity that can be used later. Default: 300.")
@click.option("--account", help="A 12-digit account. Default: the account of all access keys that are not 12 digits.")
@_off
def throttle(table: str, region: str | None, read_units: float | None, write_units: float | None,
             burst_s: float | None, account: str | None, off: bool) -> None:
    """Throttle a table beyond its capacity and its burst credit."""
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
    """Place every caller in this Region."""
    _turn("caller", (), _needed(region, "REGION", off), off)


@world.command("reset")
def world_reset() -> None:
    """Repair everything."""
    process.control(running().port, "world", "DELETE")
    click.echo("Nothing is broken.")


@click.command()
@click.option("--follow", is_flag=True, help="Keep printing new events until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events with a higher number.")
@click.option("--reads", is_flag=True, help="With --follow: also reads that are not stale.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def events(follow: bool, after: int, reads: bool, as_json: bool) -> None:
    """Show what happened: writes, deliveries, conflicts, stale reads, faults."""
    from gtlab.lab.events import in_words

    if reads and not follow:
        raise click.UsageError("--reads needs --follow: the journal has reads that are not stale only while a client "
                               "follows it and asks for them.")
    try:
        for event in _happened(after, follow, reads):
            click.echo(json.dumps(event) if as_json else
                       f"{event['n']:>6}  {datetime.fromtimestamp(event['at']):%H:%M:%S.%f}  {in_words(event)}")
    except KeyboardInterrupt:
        pass


def _happened(after: int, follow: bool, all_reads: bool) -> Iterator[dict]:
    """The journal's events after this number; with ``follow``, also those to come, over stops of the local cloud, with
    ``all_reads`` among them."""
    from gtlab.lab import events

    cloud = running()
    for event in events.pages(lambda what: process.control(cloud.port, what), after):
        after = event["n"]
        yield event
    while follow:
        for event in events.follow(cloud.port, after, all_reads=all_reads):
            after = event["n"]
            yield event
        before, cloud = cloud, _come_back()
        if cloud.instance != before.instance:
            after = 0  # a new instance numbers its events from 1


def _come_back() -> process.Running:
    """Wait until the local cloud runs again."""
    told = False
    while True:
        time.sleep(_AGAIN_S)
        with contextlib.suppress(process.NotAnswering):
            cloud = process.find()
            if cloud:
                return cloud
        if not told:
            click.echo("The local cloud has stopped. Waiting for it to start again; Ctrl-C ends this.", err=True)
            told = True
