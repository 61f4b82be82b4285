"""`gtlab up`, `down`, `status`, `reset` and `env`: the local cloud itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gtlab.cli import extra, policy
from gtlab.cli.shells import SHELLS, settings
from gtlab.contract import BUILT_IN, FACES, HISTORIC, LOG_FILE, LOOPBACK, NETWORKS, STATE_FILE
from gtlab.localcloud import process

# What `gtlab env` sets. The credentials are placeholders: the local cloud verifies no signatures.
_ENV = {
    "AWS_ACCESS_KEY_ID": "gtlab", "AWS_SECRET_ACCESS_KEY": "gtlab", "AWS_PAGER": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}
# What would send the `aws` command elsewhere, or make it fail.
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB",
          "AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


def internal_errors_in_words(errors: dict, log: Path) -> str:
    """``internal_errors`` of the status, in a sentence or two."""
    newest = errors["newest"][-1]
    kept = f" Acknowledged writes that are retried at the next start: {errors['kept']}." if errors["kept"] else ""
    if errors["refuses_writes"]:
        kept += " There are so many that new writes are refused. To retry them: gtlab down, then gtlab up."
    return (f"Internal errors of gtlab: {errors['count']}. The newest: {newest['what']} ({newest['error']}).{kept} "
            f"Please report them with the log, {log}.")


def running() -> process.Running:
    """The running local cloud. Raises CloudError where none runs."""
    cloud = process.find()
    if cloud is None:
        raise process.CloudError("No local cloud is running. Start one: gtlab up")
    return cloud


def broken_in_words(cloud: process.Running) -> list[str]:
    """What is broken in the simulated world, a line each."""
    from gtlab.lab import knobs

    return [knobs.meaning(each) for each in knobs.broken(process.control(cloud.port, "world"))]


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1. Default: the last one, or any.")
@click.option("--network", type=click.Choice(NETWORKS),
              help="realistic; fast: a tenth of every delay; instant: no delay. Default: as before, or realistic.")
@click.option("--seed", type=int, help="Start the random delays from this seed, so that another run repeats them.")
@click.option("--legacy-api", type=click.Choice(FACES),
              help="The 2017.11.29 calls: working (historic) or refused (2026). Default: as before, or historic.")
@click.option("--in-memory/--on-disk", default=None, help="Keep state in memory only. Default: on disk.")
@click.option("--listen", metavar="ADDRESS", help="Accept remote connections on this address (0.0.0.0: all "
                                                  "interfaces). Every request then needs a token.")
@click.option("--token", help="The token, with --listen. Default: the last one, or a random one.")
@click.option("--shared", is_flag=True, default=None, help="Give everybody who has the join code a cloud of their own.")
@click.option("--lag-model", "lag_files", multiple=True, metavar="FILE",
              help="Draw replication lags as in this measurement (gtlab measure --export). Can be given several times. "
                   "built-in: gtlab's own model. Default: as before.")
@click.option("--policy", "policy_file", metavar="FILE",
              help="Allow calls only as this IAM policy does, until the local cloud stops; none: remove the policy.")
def up(port: int | None, network: str | None, seed: int | None, legacy_api: str | None,
       in_memory: bool | None, listen: str | None, token: str | None, shared: bool | None, lag_files: tuple[str, ...],
       policy_file: str | None) -> None:
    """Start the local cloud in the background, unless it is running already. Its tables are as you left them."""
    document = policy.read(policy_file) if policy_file else None
    model = _lag_model(lag_files) if lag_files else None
    cloud, started = process.up(port=port, network=network, seed=seed, legacy_api=legacy_api, in_memory=in_memory,
                                listen=listen, token=token, shared=shared, lag_model=model)
    click.echo(f"The local cloud {'is up' if started else 'was up already'}: {cloud.url}, {cloud.network} network"
               + (", in memory only: nothing is kept." if cloud.in_memory else "."))
    if policy_file:
        policy.give(cloud.port, document)
        click.echo(f"Calls are allowed as {policy_file} says, until the local cloud stops." if document is not None
                   else "It has no policy now: everything is allowed.")
    if started:
        click.echo('To point the aws command or any SDK at it: eval "$(gtlab env)"')
    found = process.status(cloud)
    if found["note"]:
        click.echo(found["note"], err=True)
    broken = broken_in_words(cloud)
    if broken:
        click.echo("These faults are still set from before:\n" + "\n".join(f"  {each}" for each in broken)
                   + "\nTo clear them: gtlab world reset")
    machine = LOOPBACK if cloud.address == LOOPBACK else "THIS-MACHINE"
    if cloud.code:
        click.echo("It is shared. Each learner gets a cloud of their own by\n"
                   f'  lab = gtlab.connect("http://{machine}:{cloud.port}", account="NAME", token="{cloud.code}")\n'
                   "Keep your own token, which leads to your cloud and can stop the process, to yourself.")
    if cloud.token:
        click.echo(f"It listens on {cloud.address}, and every request{' of yours' if cloud.code else ''} needs this "
                   f"token: {cloud.token}\n"
                   f"On another machine, with any SDK: AWS_ENDPOINT_URL=http://{machine}:{cloud.port} "
                   f"AWS_SESSION_TOKEN={cloud.token}, and any access key ID.\n"
                   "For the lab's own API, send the header Authorization: Bearer TOKEN. There is no "
                   "encryption: use it on networks that you trust.")


def _lag_model(files: tuple[str, ...]) -> dict[str, Any]:
    """The model that measurements in files give, or the built-in one by its name. Raises ValueError and OSError."""
    if files == (BUILT_IN,):
        return {"name": BUILT_IN}
    extra.need(extra.MEASURING, "up --lag-model")
    from gtlab.measure import lag_model

    return lag_model.from_files(files)


@click.command()
def down() -> None:
    """Stop the local cloud and keep its tables; gtlab reset deletes them."""
    click.echo("The local cloud is stopped." if process.down() else "No local cloud was running.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show whether the local cloud is running and which tables it has. Exits with 1 if it is not running."""
    loading = process.loading()
    if loading:
        click.echo(json.dumps({"running": True, "loading": loading}) if as_json else
                   f"The local cloud is loading its state: {process.loading_in_words(loading)}. Calls wait until then.")
        return
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
    if cloud.code:
        used = len(found["shared"]["accounts"])
        click.echo(f"It is shared, and {used} account{' is' if used == 1 else 's are'} in use. To join: the code "
                   f"{cloud.code}.")
    if cloud.token:
        click.echo(f"It listens on {cloud.address}, and every request needs a token. To see it: gtlab up")
    click.echo(f"Replication lags are drawn by the {found['lag_model']} lag model." if found["lag_model"] == BUILT_IN
               else f"Replication lags are drawn by the lag model {found['lag_model']}.")
    click.echo(f"Global tables of version 2017.11.29: {found['legacy_api']}"
               + (", as they worked." if found["legacy_api"] == HISTORIC else ", refused as AWS refuses them today."))
    click.echo(f"State folder: {cloud.folder}, " + ("but the state is in memory only."
                                                    if found["in_memory"] else f"kept in {STATE_FILE}."))
    if found["disk_error"]:
        click.echo(f"The state cannot be written to disk: {found['disk_error']}. All requests are refused until there "
                   "is room.")
    if found["internal_errors"]["count"]:
        click.echo(internal_errors_in_words(found["internal_errors"], cloud.folder / LOG_FILE))
    if found["policies"]:
        click.echo(f"Calls are checked against a policy; accounts: {', '.join(found['policies'])}. To remove it: "
                   "gtlab up --policy none")
    if found["deliveries_waiting"]:
        click.echo(f"Deliveries on their way between Regions: {found['deliveries_waiting']}")
    for each in broken_in_words(cloud):
        click.echo(f"Broken: {each}")
    tables = sorted(found["tables"] or [], key=lambda table: (table["name"], table["region"]))
    widest = max((len(table["name"]) for table in tables), default=0)
    for table in tables:
        click.echo(f"  {table['name']:<{widest}}  {table['region']:<15} {table['status']}")
    if not found["tables"]:
        click.echo("  no tables")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(yes: bool) -> None:
    """Delete every table of every Region, and repair everything that is broken."""
    if not yes:
        if newer := process.newer_release():
            click.echo(newer)
        click.confirm("This deletes every table and item of the local cloud. Go on?", abort=True)
    aside = process.reset()
    click.echo("The local cloud is empty.")
    cloud = process.find()
    if cloud is None:
        click.echo("It was not running: the next gtlab up starts with the default settings, on the realistic network.")
    if cloud and cloud.in_memory and (cloud.folder / STATE_FILE).exists():
        click.echo(f"It runs in memory: {cloud.folder / STATE_FILE} is unchanged.")
    for path in aside:
        click.echo(f"A damaged state file that was set aside is still there: {path}")


@click.command()
@click.option("--shell", type=click.Choice(list(SHELLS)), default="posix", show_default=True)
def env(shell: str) -> None:
    """Print the settings that make any aws command or SDK use the local cloud: eval "$(gtlab env)"."""
    from gtlab.lab import chosen

    cloud = running()
    proxied_never = [*os.environ.get("NO_PROXY", "").split(","), urlsplit(cloud.url).hostname or ""]
    direct = ",".join(dict.fromkeys(filter(None, proxied_never)))
    values = {"AWS_ENDPOINT_URL": cloud.url, "AWS_DEFAULT_REGION": chosen().home, "NO_PROXY": direct, **_ENV}
    if cloud.token:
        values["AWS_SESSION_TOKEN"] = cloud.token
    for line in settings(shell, _UNSET, values):
        click.echo(line)
