"""`gtlab clean`: delete the course's tables."""

from __future__ import annotations

import sys

import click

from gtlab.cli import extra

_NEEDS = ("pandas", "tqdm")  # to wait with a progress bar


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted, in the order of deletion.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--also", multiple=True, metavar="NAME",
              help="Also delete the tables of this name that the course did not make; may be repeated.")
@click.option("--unprotect", is_flag=True, help="Switch off deletion protection where it is on.")
def clean(dry_run: bool, yes: bool, also: tuple[str, ...], unprotect: bool) -> None:
    """Delete every table of the course from the local cloud, in whichever Regions they are.

    Tables that the course did not make are left alone, and so is everything else: gtlab reset empties the local cloud.
    Exits with 1 if a table of the course is left.
    """
    extra.need(_NEEDS, "clean")
    from gtlab.course import cleanup
    from gtlab.lab import connect

    lab, options = connect(), cleanup.Options(also=also, unprotect=unprotect)
    if dry_run or not yes:
        found = cleanup.survey(lab, options)
        for group in found.groups:
            for each in group.tables:
                click.echo(f"To be deleted: {each.place}" + (", which has deletion protection" * each.protected))
        for left in found.left:
            click.echo(f"Left alone: {left}")
        if not found.groups:
            click.echo("The course has no tables here.")
        if dry_run or not found.groups:
            sys.exit(any(not left.foreign for left in found.left))
        click.confirm("Delete these tables and their items?", abort=True)
    sys.exit(any(not left.foreign for left in cleanup.clean(lab, options)))
