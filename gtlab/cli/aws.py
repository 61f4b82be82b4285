"""The options of commands that can use AWS, and the lab that they open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gtlab.contract import CONSENT_VARIABLE
from gtlab.localcloud import process

if TYPE_CHECKING:
    from gtlab.lab import Lab


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --backend and --profile to a command."""
    profile = click.option("--profile", help="The AWS profile to use, with --backend aws.")
    backend = click.option("--backend", type=click.Choice(["local", "aws"]), default="local", show_default=True,
                           help="aws: AWS itself, at your cost. gtlab uses it only if it is named here.")
    return backend(profile(command))


def check_profile(backend: str, profile: str | None) -> None:
    """Raises ValueError for a profile without AWS."""
    if profile and backend != "aws":
        raise ValueError("--profile names an AWS profile. Give --profile with --backend aws only.")


def cleaner(backend: str, profile: str | None, *, starts: bool) -> Lab:
    """The lab in which the clean-up looks for tables. On AWS, it says first whose account that is. A local cloud that
    is not running is started with a word about it, or, without ``starts``, is an error. Raises ValueError.
    """
    from gtlab.lab import chosen, connect, elsewhere
    from gtlab.lab.aws import footprint
    from gtlab.lab.aws.preflight import Asked
    from gtlab.lab.connection import open_aws

    check_profile(backend, profile)
    if backend != "aws":
        if not elsewhere.named()[0] and process.find() is None:
            if not starts:
                raise click.ClickException(
                    "The local cloud is not running, and a dry run does not start it. It keeps its tables while it is "
                    "stopped. To look at them: gtlab up, then gtlab clean --dry-run")
            click.echo("The local cloud is not running. gtlab starts it to look for the course's tables.")
        return connect()
    # The question comes later, with the list of what would be deleted.
    return open_aws(Asked(chosen(), footprint.CLEAN_UP, profile=profile, yes=True))


@dataclass(frozen=True)
class Tour:
    """Where a tour runs: in a temporary local cloud, on AWS, or on a temporary local cloud in AWS's place."""

    network: str
    backend: str
    profile: str | None
    yes: bool
    rehearse: bool

    @property
    def parameters(self) -> dict[str, str]:
        """The notebooks' parameters that choose the backend. Raises ValueError for options that do not go together."""
        check_profile(self.backend, self.profile)
        for option, given in (("--yes", self.yes), ("--rehearse", self.rehearse)):
            if given and self.backend != "aws":
                raise ValueError(f"Give {option} with --backend aws only: the local cloud costs nothing.")
        return {"backend": self.backend} if self.backend == "aws" else {}

    @property
    def cell_s(self) -> float:
        """How long a cell may take, in seconds: on AWS, creating a replica of a table with items takes minutes."""
        return 3600.0 if self.backend == "aws" else 600.0

    @contextlib.contextmanager
    def open(self, values: Mapping[str, Any]) -> Iterator[None]:
        """For a block of code, the notebooks find their backend. ``values``: their parameters. On AWS, the checks are
        made and the question is asked first, and at the end it says what is left there. Raises ValueError."""
        if self.backend != "aws":
            with process.throwaway(self.network):
                yield
            return
        from gtlab.course.rehearsal import environment, rehearsal

        with rehearsal(self.network) if self.rehearse else contextlib.nullcontext():
            from gtlab.course import cleanup
            from gtlab.lab import connect
            from gtlab.lab.aws import preflight

            lab = connect("aws", home=values.get("home", ""), replicas=values.get("replicas", ""),
                          profile=self.profile, yes=self.yes or self.rehearse)
            inherited: dict[str, str | None] = {CONSENT_VARIABLE: preflight.agreed()}
            if self.profile:  # keys in the environment would come before the profile
                inherited |= {"AWS_PROFILE": self.profile, "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
                              "AWS_SESSION_TOKEN": None}
            with environment(inherited):
                yield
            left = [each.place for group in cleanup.survey(lab).groups for each in group.tables]
            if left:
                click.echo(f"{len(left)} left: {', '.join(map(str, left))}\nTo delete them: {lab.clean_command}")
            else:
                click.echo("0 left: the course has no tables on AWS.")
