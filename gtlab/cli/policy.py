"""`gtlab policy`: the IAM policy of the course; and giving the local cloud a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gtlab import permissions, regions
from gtlab.contract import ACCOUNT
from gtlab.localcloud import process

NONE = "none"  # as the file of --policy: remove the policy


@click.command()
@click.option("--account", default="*", show_default=True, help="Your AWS account, 12 digits; *: any account.")
@click.option("--regions", "only", metavar="REGION,REGION", default="", help="Only in these Regions. Default: in all.")
@click.option("--fis-role", default="gtlab-fis", show_default=True,
              help="The name of the role that notebook 06 passes to FIS.")
def policy(account: str, only: str, fis_role: str) -> None:
    """Print the least-privilege IAM policy for the course on AWS (docs/aws.md)."""
    from gtlab.course.stages import TABLES

    if account != "*" and not ACCOUNT.fullmatch(account):
        raise click.ClickException(f"An account is a number of 12 digits, not {account!r}.")
    made = permissions.course_policy(account, TABLES, regions.parse(only), fis_role)
    click.echo(json.dumps(made, indent=2))


def read(name: str) -> Any:
    """The document in a file; None for "none". Raises ValueError."""
    if name == NONE:
        return None
    try:
        return json.loads(Path(name).read_text(encoding="utf-8"))
    except ValueError:  # also of bytes that are no UTF-8
        raise ValueError(f"{name} is not JSON.") from None


def give(port: int, document: Any) -> None:
    """Give the local cloud's default account a policy; None removes it. Raises ValueError for what is no policy."""
    if document is None:
        process.control(port, "policy", "DELETE")
    else:
        process.control(port, "policy", "PUT", document)
