"""`gtlab class`: an instructor's board, and a learner who joins it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gtlab.cli import extra
from gtlab.cli.groups import Group
from gtlab.contract import LOOPBACK


@click.group("class", cls=Group)
def class_() -> None:
    """A class: start an instructor's board, or join one as a learner."""


_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@class_.command()
@click.option("--listen", metavar="ADDRESS", default=LOOPBACK, show_default=True,
              help="Accept learners on this address of this machine (0.0.0.0: all interfaces).")
@click.option("--name", help="The name of the class. Default: as the last time.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: as the last time, at first 8820.")
@click.option("--url", help="The address to give to learners, if a proxy is in front of the board.")
@click.option("--certificate", type=_file, help="A certificate (PEM): the board then speaks HTTPS.")
@click.option("--key", type=_file, help="The certificate's private key (PEM).")
def start(listen: str, name: str | None, port: int | None, url: str | None, certificate: Path | None,
          key: Path | None) -> None:
    """Serve the board of your class until Ctrl-C. The next start continues the same class."""
    from gtlab.classroom import server

    server.serve(server.Settings(listen, port, name, url, certificate, key), lambda served: _started(served, listen))


def _started(served, listen: str) -> None:
    board, projector = served.links
    code = f"{served.code[:4]}-{served.code[4:]}"
    lines = [f"Your board:     {board}",
             f"Projector view: {projector}",
             f"Learners join with: gtlab class join {served.url} {code} --as NAME"]
    if listen == LOOPBACK:
        lines.append("Only this machine can reach the board. To let a class in: gtlab class start --listen 0.0.0.0")
    elif served.url.startswith("http://"):
        lines.append("There is no encryption: use it in a network that you trust, or give --certificate and --key.")
    lines.append("Keep the two addresses to yourself: whoever has the first one can instruct the class. Ctrl-C ends "
                 "the board; what it has is kept.")
    click.echo("\n".join(lines))
    sys.stdout.flush()


@class_.command()
@click.option("--name", help="The name of the class. Default: as the last time.")
def hub(name: str | None) -> None:
    """Serve the board as a service of JupyterHub, which starts this command: its users join without a code, and its
    admins instruct."""
    extra.need(extra.HUB, "class hub")
    from gtlab.classroom import server

    server.serve(server.on_hub(name), lambda served: click.echo(f"The board is ready at {served.url}"))


@class_.command()
@click.argument("url")
@click.argument("code", default="")
@click.option("--as", "name", default="", metavar="NAME", help="Your name, as your instructor will see it.")
@click.option("--certificate", type=_file, help="A certificate (PEM) to trust, if your instructor gives you one.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def join(url: str, code: str, name: str, certificate: Path | None, yes: bool) -> None:
    """Join the class of the board at URL. It first shows what your machine will send.

    On a JupyterHub, URL is the word hub; then neither CODE nor --as is needed.
    """
    from gtlab.classroom import membership, wire

    if not membership.is_hub(url) and not (code and name):
        raise click.UsageError("Give the code of the class and your name: gtlab class join URL CODE --as NAME")
    click.echo(wire.NOTICE)
    if not yes:
        click.confirm("Join?", abort=True)
    joined = membership.enter(url, code, name, certificate)
    click.echo(f"You are in the class “{joined['class']}” as {joined['name']}. To leave: gtlab class leave")


@class_.command()
def leave() -> None:
    """Leave the class. Nothing more is sent."""
    from gtlab.classroom import membership

    click.echo("You have left the class. To be deleted from the board, ask your instructor." if membership.leave()
               else "You were not in a class.")


@class_.command()
def status() -> None:
    """Show which class you are in, and whether its board is connected."""
    from gtlab.classroom import membership

    click.echo(membership.status())


@class_.command()
@click.argument("take_part", metavar="on|off", type=click.Choice(["on", "off"]))
def events(take_part: str) -> None:
    """Take part in the class's events (on), or keep your local cloud out of them (off)."""
    from gtlab.classroom import membership

    membership.events(take_part == "on")


@class_.command()
@click.argument("what", type=click.Choice(["progress", "answers", "lags", "events"]))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file. Default: print the table.")
def export(what: str, out: Path | None) -> None:
    """Print a table of your class as CSV. Stop the board first; while it is running, export from its page."""
    from gtlab.classroom import export as exports
    from gtlab.classroom import server

    if not server.register_path().exists():
        raise click.ClickException("There is no class in this state folder. To start one: gtlab class start")
    with server.opened() as register:
        text = exports.csv_of(register, what)
    if out is None:
        click.echo(text.lstrip("\ufeff"), nl=False)
    else:
        out.write_text(text, encoding="utf-8", newline="")
        click.echo(f"Written: {out}")
