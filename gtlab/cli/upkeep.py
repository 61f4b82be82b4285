"""`gtlab progress`, `stage` and `clean`: how far you are, create what a notebook starts with, delete what the course
made."""

from __future__ import annotations

import sys

import click

from gtlab.cli import aws, extra

_NEEDS = ("pandas", "tqdm")  # to wait with a progress bar


@click.command()
@click.option("--reset", is_flag=True, help="Forget what was predicted and solved.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation, with --reset.")
def progress(reset: bool, yes: bool) -> None:
    """Show what you have predicted and solved in each notebook, and what comes next."""
    from gtlab.course import overview
    from gtlab.course import progress as records

    if not reset:
        shown = overview.overview()
        click.echo(shown)
        if shown.next:
            click.echo(f"To open it: gtlab lab --notebook {shown.next.file.split('_')[0]}")
        return
    if not yes:
        click.confirm("This forgets what you have predicted and solved. Go on?", abort=True)
    click.echo(f"Your progress is forgotten (entries: {records.reset()}).")


@click.command()
@click.argument("notebook")
@click.option("--solve", is_flag=True, help="Also create what the notebooks before it leave behind.")
def stage(notebook: str, solve: bool) -> None:
    """Create what a notebook, such as 06, starts with, in the Regions that you chose.

    It creates what is missing, changes nothing that exists, and can be repeated.
    """
    extra.need(_NEEDS, "stage")
    from gtlab import regions
    from gtlab.course import start
    from gtlab.lab import connect

    found, lab = start.find(notebook), connect()
    click.echo(f"{found.number} {found.title}, in {', '.join(map(regions.label, lab.regions))}.")
    try:
        brought = start.bring(lab, found, solve=solve)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    for part in brought:
        for says, pieces in (("Made", part.made), ("There already", part.there)):
            if pieces:
                click.echo(f"{says}: {part.what}: {start.listed(pieces)}")
    if not brought:
        click.echo("It starts with nothing.")
    if more := start.beyond(lab, found, solve=solve):
        click.echo(f"Also there, and left as it is: {start.listed(more)}\nTo start over: gtlab clean")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted, in the order of deletion. "
              "Starts nothing: the local cloud must be running.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--also", multiple=True, metavar="NAME",
              help="Also delete the tables of this name that the course did not make; can be given several times.")
@click.option("--unprotect", is_flag=True, help="Switch off deletion protection where it is on.")
@aws.options
@click.option("--all-runs", is_flag=True, help="On AWS: also delete what gtlab made elsewhere, from other machines or "
              "by other people who use this account.")
@click.option("--items", is_flag=True, help="On AWS: also delete tables with items that the course does not write.")
def clean(dry_run: bool, yes: bool, also: tuple[str, ...], unprotect: bool, backend: str, profile: str | None,
          all_runs: bool, items: bool) -> None:
    """Delete every table of the course, in whichever Regions they are: from the local cloud, or from AWS.

    It leaves all other tables and everything else alone. To empty the local cloud, use gtlab reset. If the local cloud
    is not running, it is started. Exits with 1 if a table of the course is left, or if a dry run finds no local cloud.
    """
    extra.need(_NEEDS, "clean")
    from gtlab.course import cleanup

    lab = aws.cleaner(backend, profile, starts=not dry_run)
    options = cleanup.Options(also=also, unprotect=unprotect, all_runs=all_runs, items=items)
    if dry_run or not yes:
        found = cleanup.survey(lab, options)
        for group in found.groups:
            strange = cleanup.strange_item(lab, group, options)
            for each in group.tables:
                kept = "" if unprotect else "but not without --unprotect, because "
                click.echo(f"To be deleted: {each.place}"
                           + (f", {kept}it has deletion protection" if each.protected else "")
                           + (f", but not without --items, because it has an item with {strange}" if strange else ""))
        for left in found.left:
            click.echo(f"Left alone: {left}")
        others = cleanup.other_runs(lab, found.left)
        for sentence in filter(None, (others, found.unsearched)):
            click.echo(sentence)
        if not found.groups:
            click.echo("0 left: this run of gtlab has no tables here." if others else
                       "0 left: the course has no tables here.")
        if dry_run or not found.groups:
            sys.exit(any(not left.foreign for left in found.left))
        click.confirm("Delete these tables and their items?", abort=True)
    sys.exit(any(not left.foreign for left in cleanup.clean(lab, options)))
