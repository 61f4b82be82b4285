"""`gtlab measure`: the command and its options. What it does is in :mod:`gtlab.cli.report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gtlab.cli import extra


@click.command()
@click.option("--source", required=True, metavar="REGION", help="Write the probe items here.")
@click.option("--targets", required=True, metavar="REGION,REGION", help="Read them here.")
@click.option("--samples", type=click.IntRange(1, 999_999), default=100, show_default=True, help="Number of items.")
@click.option("--rate", type=float, default=10.0, show_default=True, help="Items per second.")
@click.option("--every-ms", type=float, metavar="MS",
              help="Time between two polls of a target. Default: 3 for each target.")
@click.option("--table", metavar="NAME", default="",
              help="A global table. Default, on the local cloud: the course's, Music.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write every probe (.csv or .parquet), or a report with charts (.html).")
@click.option("--backend", type=click.Choice(["local", "aws"]), default="local", show_default=True,
              help="aws: AWS itself, at your cost, after asking.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="REGION=URL",
              help="Another DynamoDB-compatible engine; once per Region.")
@click.option("--profile", help="The AWS profile to use, with --backend aws.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def measure(**options: Any) -> None:
    """Measure the replication lag from one Region to others. Ctrl-C keeps what was measured."""
    # The options are named as the fields of report.Request.
    extra.need(extra.MEASURING, "measure")
    from gtlab.cli import report

    try:
        report.run(report.Request(**options), say=click.echo, ask=click.confirm)
    except click.Abort:  # a RuntimeError, too
        raise
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
