"""`gtlab measure` and `gtlab features`: the commands and their options. What measuring does is in
:mod:`gtlab.cli.report`."""

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
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the measurement to a file that you can share: without account, table, keys and endpoints.")
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


@click.command()
@click.option("--endpoint", "endpoints", multiple=True, required=True, metavar="REGION=URL",
              help="An endpoint of the engine; once per Region, at least two. The first is the home Region.")
@click.option("--wait-s", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
              help="How many seconds to wait for an item in another Region.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def features(endpoints: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Find out what a DynamoDB-compatible engine supports, and whether its Regions replicate. It creates a table and
    deletes it again."""
    extra.need(extra.MEASURING, "features")
    from botocore.exceptions import BotoCoreError, ClientError

    from gtlab.cli import report
    from gtlab.lab import connect

    urls = report.urls_of(endpoints)
    home, *others = urls
    if not others:
        raise click.ClickException("Give --endpoint at least twice: one Region alone has nothing to replicate to.")
    try:
        found = connect(urls, home=home, replicas=others).features(wait_s)
    except (ClientError, BotoCoreError) as error:
        raise click.ClickException(f"The endpoint of {home} did not answer as DynamoDB does: {error}") from None
    if as_json:
        click.echo(found.to_json(orient="records", indent=2))
        return
    for area, rows in found.groupby("area", sort=False):
        click.echo(f"{area}:")
        for row in rows.to_dict("records"):
            click.echo(f"  {'yes' if row['supported'] else 'no ':<4} {row['feature']} ({row['region']})"
                       + (f": {row['detail']}" if row["detail"] else ""))
