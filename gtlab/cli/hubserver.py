"""`gtlab lab --hub`: a learner's server on a JupyterHub, and what ends with it. The recipe is docs/hub/README.md."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from gtlab.cli import extra
from gtlab.contract import GUARD_VARIABLE, SERVER_FILE, SERVER_VARIABLE
from gtlab.localcloud import process

_BEFORE_S = 60.0  # how long to wait for the end of what belongs to the learner's server before
# A shell, because it waits in a hundredth of the memory that Python needs. `read` returns when nobody holds the other
# end of the pipe any more.
_WATCH = 'read -r nothing; exec "$0" -m gtlab down'


def check() -> None:
    """Raise ClickException where this process was not started by JupyterHub."""
    extra.need(extra.HUB, "lab --hub")
    if sys.platform == "win32" or "JUPYTERHUB_API_TOKEN" not in os.environ:
        raise click.ClickException("gtlab lab --hub is a command for JupyterHub, which starts it for each learner. On "
                                   "your own machine: gtlab lab")


def end_with_this_process() -> None:
    """Have the local cloud end when this process does, however that ends: also by ``kill -9``. Whatever this process
    becomes by ``exec`` counts as this process. The local cloud that is started next requires its token of the other
    users of this machine."""
    import fcntl

    lock = os.open(process.state_folder() / SERVER_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _BEFORE_S
    while True:  # the watcher of the server before may not have finished
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise click.ClickException("Another server of this user is already running, or its local cloud does "
                                           "not stop. Stop it on the hub's page first.") from None
            time.sleep(0.1)
    os.environ[GUARD_VARIABLE] = "1"
    os.environ[SERVER_VARIABLE] = str(os.getpid())
    process.down()  # one that was left over, as after a power cut
    watched, held = os.pipe()
    os.set_inheritable(held, True)  # beyond exec; the server's own children do not get it
    watcher = subprocess.Popen(["/bin/sh", "-c", _WATCH, sys.executable], stdin=watched, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, pass_fds=[lock], start_new_session=True)
    watcher.returncode = 0  # it outlives this process: silence Popen's ResourceWarning
    os.close(watched)
    os.close(lock)  # the watcher holds it


def command(folder: Path, notebook: str) -> list[str]:
    """The command that serves a folder to its learner, who begins with one of its notebooks. The hub's settings are in
    the environment."""
    root = ["--allow-root"] if os.geteuid() == 0 else []  # a container: Jupyter would refuse to start
    return [sys.executable, "-m", "jupyterhub.singleuser", f"--ServerApp.root_dir={folder.resolve()}",
            f"--ServerApp.default_url=/lab/tree/{notebook}", *root]
