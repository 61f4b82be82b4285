"""A JupyterHub with the configuration of docs/hub/jupyterhub_config.py, but with the simple spawner, everything in one
folder, and on the loopback address. For tests, and for docs/hub/sizes.py."""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock
from support import wait_until

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "docs" / "hub"
# Where make installs JupyterHub's proxy.
PROXY = ROOT / "out/hub-proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
PASSWORD, ADMIN_PASSWORD = "of-the-learners", "of-the-instructor-and-of-nobody-else"
# For an answer of a hub that is starting: a program that has taken one of its ports may accept requests and never
# answer, and the hub's log is read again only afterwards.
_PROBE_S = 10
_CONFIG = """
load_subconfig({recipe!r})
c = get_config()
home, ports, command = {home!r}, {ports!r}, {command!r}
c.JupyterHub.bind_url = "http://127.0.0.1:%d" % ports["proxy"]
c.JupyterHub.hub_port = ports["hub"]
c.JupyterHub.db_url = "sqlite:///" + home + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = home + "/cookie-secret"
c.JupyterHub.log_level = "WARN"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:%d" % ports["api"]
c.ConfigurableHTTPProxy.command = command
c.ConfigurableHTTPProxy.pid_file = home + "/proxy.pid"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = home + "/users/{{username}}"
c.Spawner.environment["GTLAB_CLASS"] = c.JupyterHub.bind_url + "/services/class"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {password!r}
c.SharedPasswordAuthenticator.admin_password = {admin_password!r}
c.Authenticator.allowed_users |= set({learners!r})
board = c.JupyterHub.services[0]
del board["user"]
board["url"] = "http://127.0.0.1:%d" % ports["board"]
board["environment"]["GTLAB_HOME"] = home + "/class"
c.JupyterHub.services.append({{"name": "test", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{"name": "test", "services": ["test"], "scopes": [
    "admin:users", "admin:servers", "admin:server_state", "access:servers"]}})
"""


def missing() -> str | None:
    """Why there can be no hub here; None if there can."""
    if sys.platform != "linux":
        return "the hub is tested on Linux only"
    if importlib.util.find_spec("jupyterhub") is None:
        return "jupyterhub is not installed: pip install -e '.[hub]'"
    if shutil.which("node") is None:
        return "node is not installed, in which JupyterHub's proxy runs"
    if not PROXY.exists():
        return "there is no proxy in out/hub-proxy; make test installs it where npm is"
    return None


@dataclass
class Hub:
    home: Path
    process: subprocess.Popen[bytes] = field(repr=False)
    port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.home / "hub.log").read_text()

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 120) -> Any:
        """A request to the hub's API, or to a server's, with the rights of a service of the hub. Raises HTTPError."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or "null")

    def server(self, user: str) -> dict[str, Any] | None:
        """The user's server, if it is ready. It is started if it is not, also again if its port was taken."""
        found = self.ask("GET", f"hub/api/users/{user}")["servers"].get("")
        if found is None:
            with contextlib.suppress(urllib.error.HTTPError):
                self.ask("POST", f"hub/api/users/{user}/server", {})
        return found if found and found["ready"] else None

    def start(self, *users: str) -> dict[str, int]:
        """Start the users' servers, all at once. Returns their processes' IDs."""
        ready: dict[str, dict[str, Any]] = {}

        def all_ready() -> bool:
            for user in set(users) - set(ready):
                if found := self.server(user):
                    ready[user] = found
            return len(ready) == len(users)
        wait_until(all_ready, "the servers of the learners", 240)
        return {user: ready[user]["state"]["pid"] for user in users}

    def stop(self, user: str) -> None:
        with contextlib.suppress(urllib.error.HTTPError):
            self.ask("DELETE", f"hub/api/users/{user}/server")
        wait_until(lambda: not self.ask("GET", f"hub/api/users/{user}")["servers"].get(""),
                   f"the end of {user}'s server", 120)

    def state(self, user: str) -> Path:
        """The user's state folder."""
        return self.home / "users" / user / ".local" / "state" / "gtlab"

    def run(self, pid: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A gtlab command in the environment of a server's process, as in a terminal of it."""
        environment = dict(each.split("=", 1) for each in Path(f"/proc/{pid}/environ").read_text().split("\0") if each)
        environment["GTLAB_SERVER_PID"] = str(pid)
        return subprocess.run([sys.executable, "-m", "gtlab", *arguments], env=environment, capture_output=True,
                              text=True, timeout=300, cwd=f"/proc/{pid}/cwd")


class Visitor:
    """Somebody with a browser that keeps cookies and follows redirects."""

    def __init__(self, hub: Hub):
        self._hub, self._cookies = hub, http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def visit(self, path: str, **form: str) -> tuple[int, str, str]:
        """Open a path, or send a form to it. Returns the status, the address at the end and the page."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            answer = self._opener.open(f"{self._hub.url}/{path}", data, timeout=120)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.url, answer.read().decode()

    def log_in(self, name: str, password: str) -> int:
        page = self.visit("hub/login")[2]
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert xsrf, page
        return self.visit("hub/login", username=name, password=password, _xsrf=xsrf[1])[0]


@contextlib.contextmanager
def running_hub(home: Path, learners: tuple[str, ...] = ()) -> Iterator[Hub]:
    """A hub. ``learners`` are let in besides the recipe's."""
    token = "a-token-of-a-test-0123456789"
    for attempt in range(3):  # a port may be taken
        ports = dict(zip(("proxy", "hub", "api", "board"), random.sample(range(20_000, 32_000), 4), strict=True))
        (home / "class").mkdir(parents=True, exist_ok=True)
        config = home / "config.py"
        config.write_text(_CONFIG.format(
            recipe=str(RECIPE / "jupyterhub_config.py"), home=str(home), ports=ports, learners=learners, token=token,
            command=["node", str(PROXY)], password=PASSWORD, admin_password=ADMIN_PASSWORD))
        with (home / "hub.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "jupyterhub", "--config", str(config)], cwd=home,
                                       stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                       env=os.environ | {"PWD": str(home)})
        hub, started = Hub(home, process, ports["proxy"], token), False
        try:
            wait_until(lambda process=process, hub=hub: _has_failed(hub, process) or _ready(hub), "the hub to start",
                       240)
            if _has_failed(hub, process):
                assert attempt < 2, hub.log
                continue
            started = True
            yield hub
            return
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)  # it ends the servers, the board and the proxy
                try:
                    process.wait(120)
                finally:
                    process.kill()
                    process.wait()
            if not started:
                _end_all(home)
            for lock in home.glob("users/*/.local/state/gtlab/server.lock"):
                with FileLock(lock, timeout=120):  # until the learner's local cloud has ended
                    pass


def _end_all(home: Path) -> None:
    """End the board and the proxy of a hub that had not started: until then a hub does not handle SIGTERM, and leaves
    them behind. The board would keep its lock from the next hub's."""
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(home) in value for value in process.environ().values()) and process.pid != os.getpid():
                process.terminate()
                left.append(process)
    for process in psutil.wait_procs(left, timeout=30)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _has_failed(hub: Hub, process: subprocess.Popen) -> bool:
    """Whether a hub that is starting has ended, or its proxy got no port: then the proxy goes on and answers nobody."""
    return process.poll() is not None or "EADDRINUSE" in hub.log


def _ready(hub: Hub) -> bool:
    try:
        hub.ask("GET", "hub/api/", timeout=_PROBE_S)
        with urllib.request.urlopen(f"{hub.url}/services/class/api/class", timeout=_PROBE_S):
            return True
    except (OSError, ValueError, http.client.HTTPException):
        return False
