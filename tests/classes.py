"""A class for tests: a board as a process of its own, requests to it, and learners with a state folder each."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import wait_until

from gtlab.classroom.register import Register


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"GTLAB_HOME": str(home)}


def gtlab(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A gtlab command with this state folder."""
    done = subprocess.run([sys.executable, "-m", "gtlab", *arguments], capture_output=True, text=True, timeout=300,
                          env=environment(home))
    assert "Traceback" not in done.stdout + done.stderr
    return done


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Board:
    """A board in a process. Its port is the same after a restart: it is one of those that no client is given."""

    home: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: Any = None
    code: str = ""
    token: str = ""
    projector: str = ""
    url: str = field(default="", init=False)

    def start(self) -> Board:
        ports = [self.port] if self.port else random.sample(range(20_000, 32_000), 20)
        for port in ports:
            log = self.home / f"start-{time.monotonic_ns()}.log"
            with log.open("w") as out:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "gtlab", "class", "start", "--port", str(port), *self.options],
                    env=environment(self.home), stdout=out, stderr=subprocess.STDOUT)
            said = wait_until(lambda log=log: "Ctrl-C ends" in log.read_text() or self.process.poll() is not None,
                              "the board to start", 120)
            if self.process.poll() is None and said:
                break
            assert "cannot listen" in log.read_text() and not self.port, log.read_text()
        self.port, text = port, log.read_text()
        self.url = text.split("gtlab class join ")[1].split()[0]
        self.code = text.split(self.url)[-1].split()[0]
        self.token, self.projector = (text.split(f"/{page}#")[1].split()[0] for page in ("board", "projector"))
        return self

    def kill(self) -> None:
        """As with kill -9."""
        self.process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.process.wait(60)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            finally:
                self.process.kill()
                self.process.wait()

    def ask(self, path: str, body: Any = None, token: str = "", **headers: str) -> Answer:
        """A request; ``body`` is sent as JSON, or as it is if it is bytes."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent |= {"Authorization": f"Bearer {token}"} if token else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST" if body is not None else "GET", path, data,
                               sent | {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), {
                name.lower(): value for name, value in answer.getheaders()})

    def view(self, token: str = "", names: str = "yes") -> dict[str, Any]:
        """The state that a page gets first."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/view?names={names}", headers={
                "Authorization": f"Bearer {token or self.token}"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.loads(answer.readline().decode().removeprefix("data: "))["state"]

    def act(self, **what: Any) -> Answer:
        return self.ask("/api/act", what, self.token)

    def join(self, name: str) -> str:
        """A learner without a process; gives the token."""
        answer = self.ask("/api/join", {"code": self.code, "name": name})
        assert answer.status == 200, answer.text
        return answer.json["token"]

    def report(self, token: str, *records: list[Any]) -> dict[str, Any]:
        answer = self.ask("/api/report", {"records": list(records)}, token)
        assert answer.status == 200, answer.text
        return answer.json

    def learner(self, name: str) -> dict[str, Any] | None:
        return next((each for each in self.view()["learners"] if each["name"] == name), None)

    def answered(self, id: str) -> dict[str, int]:
        question = next(each for each in self.view()["questions"] if each["id"] == id)
        return {each["key"]: each["count"] for each in question["options"] if each["count"]}

    def on_disk(self) -> Register:
        """The register as it is in the file, after the board has ended."""
        return Register(self.home / "board.sqlite3")


@contextlib.contextmanager
def running_board(home: Path, *options: str) -> Iterator[Board]:
    home.mkdir(parents=True, exist_ok=True)
    board = Board(home, options).start()
    try:
        yield board
    finally:
        board.stop()


@dataclass
class Learner:
    """A learner on a machine of their own: a state folder, and the process that connects it."""

    home: Path
    name: str

    def join(self, board: Board, *more: str) -> Learner:
        self.home.mkdir(parents=True, exist_ok=True)
        done = gtlab(self.home, "class", "join", board.url, board.code, "--as", self.name, "--yes", *more)
        assert done.returncode == 0, done.stderr
        return self

    def run(self, code: str) -> str:
        """Run Python as one of their notebooks would."""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
                              env=environment(self.home))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.home / name).read_text())
        except (OSError, ValueError):
            return {}

    def broken(self) -> dict[str, Any]:
        """What is broken in the learner's local cloud: the value of each knob."""
        address = f"http://127.0.0.1:{self.read('cloud.json')['port']}/_gtlab/v1/world"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return {each["knob"]: each["value"] or each["place"] for each in json.load(answer)["knobs"]}

    def leave(self) -> None:
        gtlab(self.home, "class", "leave")
        lock = self.home / "class-agent.lock"
        from filelock import FileLock

        if lock.exists():
            with FileLock(lock).acquire(timeout=120):
                pass
