"""The ``gtlab`` command: the group of all commands, and how errors are shown."""

from __future__ import annotations

import os

import click

from gtlab import __version__
from gtlab.cli import classes, cloud, course, doctor, measure, policy, upkeep, world
from gtlab.cli.groups import Group
from gtlab.localcloud import process


class _Group(Group):
    """Errors that are the user's, or the machine's, come as a line and exit code 1; never as a traceback."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (process.CloudError, ValueError, OSError) as error:
            if os.environ.get("GTLAB_DEBUG") or isinstance(error, BrokenPipeError):  # which click knows how to take
                raise
            raise click.ClickException(_said(error)) from None


def _said(error: Exception) -> str:
    """What an error says, without its number in the operating system."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gtlab")
def main() -> None:
    """A laboratory for DynamoDB global tables, on your own machine."""


for _command in (cloud.up, cloud.down, cloud.status, cloud.reset, cloud.env, world.world, world.events,
                 course.lab, course.tour, course.solution, upkeep.progress, upkeep.stage, upkeep.clean,
                 doctor.doctor, measure.measure, measure.features, policy.policy,
                 classes.class_):
    main.add_command(_command)
