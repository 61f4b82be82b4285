"""dynalite, an implementation of DynamoDB that was tested against the service: a third voice, from npm, in `make soak`.

It has no transactions, PartiQL or streams. Its texts of refusals are the service's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from httptools import HttpParserError, HttpResponseParser

from gtlab.localcloud.model import Refusal

OPERATIONS = ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem",
              "CreateTable", "DescribeTable", "DeleteTable")
_SERVER = """
const server = require('dynalite')({createTableMs: 0, deleteTableMs: 0, updateTableMs: 0});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
"""
_HEAD = b"".join(line + b"\r\n" for line in (
    b"POST / HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/x-amz-json-1.0",
    b"X-Amz-Date: 20270101T000000Z",
    b"Authorization: AWS4-HMAC-SHA256 Credential=a/20270101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, "
    b"Signature=0", b"X-Amz-Target: DynamoDB_20120810.%s", b"Content-Length: %d", b""))


def missing(folder: Path) -> str | None:
    """Why it cannot run from a folder, into which make installs it; None if it can."""
    if shutil.which("node") is None:
        return "node is not installed, in which dynalite runs"
    if not (folder / "node_modules" / "dynalite").exists():
        return f"dynalite is not in {folder.parent.name}/{folder.name}; make soak installs it where npm is"
    return None


class _Answer:
    """What httptools reads of an answer."""

    def __init__(self) -> None:
        self.body, self.is_whole = b"", False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_whole = True


class Dynalite:
    """One server with its tables in memory. It ends with this process, however that ends."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(["node", "-e", _SERVER], cwd=self._folder, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                         env={**os.environ, "NODE_PATH": str(self._folder / "node_modules")})
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        self._socket = socket.create_connection(("127.0.0.1", int(port)), timeout=60)

    def __call__(self, operation: str, **data) -> dict:
        return self.answer(operation, json.dumps(data).encode())

    def answer(self, operation: str, body: bytes) -> dict:
        """Its answer. Raises Refusal; also, with the code Stumbled, where it ended: then its tables are gone."""
        try:
            self._socket.sendall(_HEAD % (operation.encode(), len(body)) + body)
            status, answered = self._received()
        except (OSError, EOFError, HttpParserError, ValueError):  # it ended before the end of its answer
            self.close()
            self._start()
            raise Refusal("Stumbled", "dynalite ended") from None
        if status >= 400:
            raise Refusal(answered["__type"].rpartition("#")[2], answered.get("message", answered.get("Message", "")))
        return answered

    def _received(self) -> tuple[int, dict]:
        """A status and an answer. (http.client took half of the time of a call.)"""
        answer = _Answer()
        parser = HttpResponseParser(answer)
        while not answer.is_whole:
            part = self._socket.recv(1 << 16)
            if not part:
                raise EOFError
            parser.feed_data(part)
        return parser.get_status_code(), json.loads(answer.body)

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Dynalite]:
    made = Dynalite(folder)
    try:
        yield made
    finally:
        made.close()
