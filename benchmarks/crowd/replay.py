"""Recorded learners, the instructor and two open pages: what they send, and when the answers are there."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crowd.recorder import READ_HEADERS

NOTE_EVERY_S = 3.0
STARTING_S = 15.0    # in which the learners open the notebook


class Line:
    """A connection to a server, which is opened again when it is needed."""

    def __init__(self, port: int):
        self._port, self._reader, self._writer = port, None, None

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError or EOFError if the connection ends before the answer does."""
        for again in (self._writer is not None, False):
            try:
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
                self._writer.write(raw)
                return await self._answer()
            except (OSError, EOFError):
                self.close()
                if not again:  # a kept connection that the server has closed meanwhile
                    raise
        raise OSError

    async def _answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        headers = {name.lower(): value.lower() for name, value in READ_HEADERS.findall(head)}
        if b"content-length" in headers:
            body = await self._reader.readexactly(int(headers[b"content-length"]))
        else:
            body = b""
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                body += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Crowd:
    """The recorded learners and the instructor. ``given`` is what the parent process has written for it."""

    def __init__(self, given: dict[str, Any]):
        self._given, self._board = given, given["board"]
        self.acted: list[float] = []   # when the instructor sent each note
        self.found: dict[str, list] = {name: [] for name in (
            "report", "clock", "act", "stream", "page", "page_bytes", "cloud", "opened")}
        self.failed: dict[str, int] = {"refused": 0, "cloud": 0}
        self.answers: list[tuple[str, str, str, float]] = []  # name, question, option, when it was acknowledged

    async def play(self) -> None:
        for each in self._given["learners"]:
            each["token"] = json.loads(await self._ask("join", {"code": self._board["code"], "name": each["name"]})
                                       )["token"]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        always = [asyncio.ensure_future(each) for each in (
            self._instruct(), self._page("yes", self._board["token"]), self._page("no", self._board["projector"]))]
        await asyncio.gather(*(self._learn(each) for each in self._given["learners"]))
        for each in always:
            each.cancel()

    async def _learn(self, learner: dict[str, Any]) -> None:
        chance = random.Random(learner["name"])
        began = time.time() + chance.uniform(0, STARTING_S)
        thinks = [self._given["think_s"] * chance.uniform(0.5, 1.5) for _ in self._given["marks"]]
        far = [0.0]
        for each in thinks:
            far.append(far[-1] + each)
        reporting = Reporting(self, learner)
        listening = asyncio.ensure_future(reporting.listen())
        sending = asyncio.ensure_future(reporting.send())
        lines: dict[int, list[tuple[float, str, bytes]]] = {}
        for at, line, to, raw in self._given["sent"]:
            due = began + at - self._given["began"] + far[bisect.bisect_right(self._given["marks"], at)]
            raw = raw.replace("RECORDED_ACCOUNT", learner["account"]).replace("RECORDED_TOKEN", learner["secret"])
            lines.setdefault(line, []).append((due, to, raw.encode("latin-1")))
        await asyncio.gather(*(self._send(reporting, line) for line in lines.values()))
        await reporting.empty()
        listening.cancel()
        sending.cancel()
        for each in reporting.have:
            if each[0] == "predicted":
                self.answers.append((learner["name"], each[1], each[2], reporting.acknowledged[each[1]]))

    async def _send(self, reporting: Reporting, requests: list[tuple[float, str, bytes]]) -> None:
        line = Line(self._given["cloud_port"])
        for due, to, raw in requests:
            await asyncio.sleep(due - time.time())
            if to == "board":
                await reporting.take(raw)
                continue
            began = time.monotonic()
            try:
                status, _ = await line.ask(raw)
            except (OSError, EOFError):
                self.failed["cloud"] += 1
                continue
            took = 1000 * (time.monotonic() - began)
            self.failed["cloud"] += status >= 500 or status in (401, 403)
            self.found["cloud"].append(took)
        line.close()

    async def _instruct(self) -> None:
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            self.acted.append(time.time())
            with contextlib.suppress(OSError, EOFError):
                await self.timed("act", {"do": "note", "text": f"{len(self.acted)} of them"}, self._board["token"])

    async def _page(self, names: str, token: str) -> None:
        async for line in self.stream(f"view?names={names}", token):
            if line.startswith(b"data: "):
                drawn = float(line[len(b'data: {"now": '):line.index(b",")])
                self.found["page"].append(1000 * (time.time() - drawn))
                self.found["page_bytes"].append(len(line))

    async def _ask(self, what: str, body: Any = None, token: str = "") -> bytes:
        line = Line(self._board["port"])
        status, told = await line.ask(_request(what, body, token))
        line.close()
        if status != 200:
            self.failed["refused"] += 1
            raise OSError(told.decode())
        return told

    async def timed(self, kind: str, body: Any = None, token: str = "") -> bytes:
        """An answer of the board, whose time is kept. Raises OSError or EOFError."""
        began = time.monotonic()
        told = await self._ask(kind, body, token)
        self.found[kind].append(1000 * (time.monotonic() - began))
        return told

    async def stream(self, what: str, token: str, connected: Callable[[bool], None] = lambda is_open: None):
        """The lines of a stream that is opened again and again, as a learner's process opens it. ``connected`` is
        called with True when it is open and False when it has ended."""
        wait = 1.0
        while True:
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._board["port"], limit=1 << 22)
                try:
                    writer.write(_request(what, None, token))
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b" 200 " not in head[:20]:
                        raise OSError(head.decode())
                    connected(True)
                    while size := int(await reader.readuntil(b"\r\n"), 16):
                        wait = 1.0
                        yield (await reader.readexactly(size + 2)).strip()
                finally:
                    connected(False)
                    writer.close()
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))
            wait = min(15.0, wait * 2)


class Reporting:
    """A recorded learner's connection to the board: what gtlab/classroom/agent.py does, without its files."""

    def __init__(self, crowd: Crowd, learner: dict[str, Any]):
        self._crowd, self._token = crowd, learner["token"]
        self.have: list[list] = []      # all records
        self.acknowledged: dict[str, float] = {}  # question → when the board had first accepted the answer
        self._unsent = 0                # of them, from this one on
        self._connected, self._more = asyncio.Event(), asyncio.Event()

    async def listen(self) -> None:
        opened, newest = 0.0, 0

        def connected(is_open: bool) -> None:
            nonlocal opened
            if not is_open:
                self._connected.clear()
                return
            opened, self._unsent = time.time(), 0
            self._crowd.found["opened"].append(opened)
            self._connected.set()
            self._more.set()
        async for line in self._crowd.stream("stream", self._token, connected):
            if line.startswith(b"data: "):
                notes, now = json.loads(line[6:])["notes"], time.time()
                number = int(notes[-1]["text"].split()[0]) if notes else 0
                if number > newest and self._crowd.acted[number - 1] > opened:
                    self._crowd.found["stream"].append(1000 * (now - self._crowd.acted[number - 1]))
                newest = max(newest, number)

    async def take(self, raw: bytes) -> None:
        """Something that the recorded process sent."""
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"/api/report" in head.splitlines()[0]:
            now = time.time()
            self.have += [[kind, id, value, now] for kind, id, value, _ in json.loads(body)["records"]]
            self._more.set()
        elif b"/api/clock" in head.splitlines()[0]:
            with contextlib.suppress(OSError, EOFError):
                await self._crowd.timed("clock", None, self._token)

    async def send(self) -> None:
        while True:
            await self._more.wait()
            await self._connected.wait()
            part = self.have[self._unsent:self._unsent + 100]
            if not part:
                self._more.clear()
                continue
            before = self._unsent
            try:
                await self._crowd.timed("report", {"records": part}, self._token)
                self.acknowledged.update({each[1]: time.time() for each in part if each[0] == "predicted"}
                                         | self.acknowledged)  # the first time counts
                if self._unsent == before:  # and no stream was opened meanwhile
                    self._unsent += len(part)
            except (OSError, EOFError):
                await asyncio.sleep(2.0)

    async def empty(self) -> None:
        """Wait until everything has been acknowledged."""
        while self._unsent < len(self.have):
            await asyncio.sleep(0.1)


def _request(what: str, body: Any, token: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return (f"{'GET' if body is None else 'POST'} /api/{what} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data


def play(file: str) -> None:
    playing = Crowd(json.loads(Path(file).read_text()))
    asyncio.run(playing.play())
    Path(file).with_suffix(".found").write_text(json.dumps({
        "found": playing.found, "failed": playing.failed, "answers": playing.answers}))
