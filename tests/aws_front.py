"""AWS's own refusals, in front of a local cloud: a proxy that answers some calls as AWS does and passes the others on.

It stands in for what a local cloud does not have: Regions that are not enabled, expired credentials, throttling,
service control policies, and a Region that fails half-way. It keeps a list of the calls that it has passed on, each
with the capacity that it consumed.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_SCOPE = re.compile(r"Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/aws4_request")
_DROPPED = ("connection", "transfer-encoding", "content-length", "host")
_METERED = ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchWriteItem", "BatchGetItem",
            "TransactWriteItems", "TransactGetItems", "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")


class Passed(NamedTuple):
    """A call that was passed on, ``at`` in epoch seconds. ``units``: the capacity that it consumed, as the local cloud
    says, without what the copies of a write consume in other Regions."""

    region: str
    operation: str
    status: int
    asked: dict
    at: float = 0.0
    units: float = 0.0


@dataclass
class Rule:
    """Refuse calls with an error. ``region`` and ``operation`` are regular expressions; the first ``after`` calls that
    match pass, then ``times`` are refused. ``code`` "" closes the connection without an answer."""

    code: str
    message: str = "AWS's text"
    status: int = 400
    region: str = ".*"
    operation: str = ".*"
    after: int = 0
    times: float = float("inf")

    def refuses(self, region: str, operation: str) -> bool:
        if not (re.fullmatch(self.region, region) and re.fullmatch(self.operation, operation)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


@dataclass
class Front:
    """``url`` takes the place of AWS's endpoints; ``rules`` may be changed at any time, the first that fits counts."""

    url: str = ""
    rules: list[Rule] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def changes(self) -> list[str]:
        """The operations that may have changed something, of those that were passed on and accepted."""
        looks = ("Describe", "List", "Get", "Query", "Scan", "BatchGet", "TransactGet")
        return [each.operation for each in self.passed if each.status == 200 and not each.operation.startswith(looks)]


def _units(consumed: dict | list) -> float:
    """The sum of an answer's ConsumedCapacity: one table's, or a list."""
    return sum(each["CapacityUnits"] for each in ([consumed] if isinstance(consumed, dict) else consumed))


@contextmanager
def front(target: str, *rules: Rule) -> Iterator[Front]:
    """A front of the local cloud at the URL ``target``, for a block of code."""
    made = Front(rules=list(rules))
    host = urlsplit(target).netloc
    kept = threading.local()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            scope = _SCOPE.search(self.headers.get("authorization", ""))
            region, service = scope.groups() if scope else ("", "")
            target = self.headers.get("x-amz-target", "")
            form = parse_qs(body.decode("latin-1")) if not target else {}
            operation = target.rpartition(".")[2] or form.get("Action", [self.path])[0]
            with made.lock:
                rule = next((rule for rule in made.rules if rule.refuses(region, operation)), None)
            if rule is None:
                self.pass_on(body, region, operation)
            elif rule.code:
                self.refuse(rule, service)
            else:
                self.close_connection = True

        do_GET = do_POST = do_DELETE = do_PATCH = handle_any

        def pass_on(self, body: bytes, region: str, operation: str) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
            try:
                asked = json.loads(body)
            except ValueError:
                asked = {}
            metered = operation in _METERED and isinstance(asked, dict)
            if metered:
                body = json.dumps({"ReturnConsumedCapacity": "TOTAL"} | asked).encode()
            for last in (False, True):
                connection = getattr(kept, "connection", None) or http.client.HTTPConnection(host)
                kept.connection = connection
                try:
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    told = answer.read()
                    break
                except (http.client.HTTPException, OSError):
                    kept.connection = None
                    if last:
                        raise
            units, received = 0.0, dict(answer.getheaders())
            if metered and answer.status == 200:
                content = json.loads(told)
                units = _units(content.get("ConsumedCapacity", ()))
                if "ReturnConsumedCapacity" not in asked:
                    content.pop("ConsumedCapacity", None)
                told = json.dumps(content).encode()
                received = {name: value for name, value in received.items() if name.lower() != "x-amz-crc32"}
            with made.lock:
                made.passed.append(Passed(region, operation, answer.status, asked, time.time(), units))
            self.reply(answer.status, told, received)

        def refuse(self, rule: Rule, service: str) -> None:
            if service == "sts":
                told = (f"<ErrorResponse><Error><Type>Sender</Type><Code>{rule.code}</Code><Message>{rule.message}"
                        "</Message></Error><RequestId>r</RequestId></ErrorResponse>").encode()
                self.reply(rule.status, told, {"content-type": "text/xml"})
            else:
                told = json.dumps({"__type": f"com.amazon.coral.service#{rule.code}", "message": rule.message}).encode()
                self.reply(rule.status, told, {"content-type": "application/x-amz-json-1.0",
                                               "x-amzn-errortype": rule.code})

        def reply(self, status: int, told: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in (*_DROPPED, "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)
            except OSError:  # the client has gone
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
