"""Requests that boto3 builds and signs once, and that are then sent many times without boto3.

A boto3 call needs milliseconds of CPU time, most of it to build the request. A poll every few milliseconds leaves no
time for that, and the clock must be read immediately before a request is sent and immediately after its response.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from gtlab.lab import Lab

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")


class Reply(NamedTuple):
    """The response to a request. ``sent`` and ``answered`` are seconds of the monotonic clock; ``body`` is the decoded
    JSON; ``error`` is the service's error code, or the name of botocore's exception if the connection failed, or None.
    ``unavailable``: the error was a 5xx or a failed connection."""

    sent: float
    answered: float
    body: dict[str, Any]
    error: str | None
    unavailable: bool = False

    @property
    def transient(self) -> bool:
        """Whether the next attempt may succeed: throttling, a 5xx, a failed connection."""
        return self.unavailable or self.error in THROTTLED

    def raised(self, operation: str) -> Exception:
        """The error as boto3 would raise it."""
        from botocore.exceptions import ClientError

        message = self.body.get("message") or self.body.get("Message") or ""
        error: Exception = ClientError({"Error": {"Code": self.error, "Message": message}}, operation)
        return error


class Sender:
    """Signs requests to one Region and sends them. Safe to use from several threads."""

    def __init__(self, lab: Lab, region: str, connections: int = 64):
        self.region = region
        self._client = lab.new_client(region, parameter_validation=False)
        # After the lab's handlers, which complete the request.
        self._client.meta.events.register_last("before-send.*.*", self._catch)
        self._session = _http_session(lab, self._client.meta.endpoint_url, connections)
        self._caught = threading.local()

    def signed(self, operation: str, **parameters: Any) -> AWSPreparedRequest:
        """The request of a boto3 call, such as ``signed("get_item", TableName=…, Key=…)``. It is not sent. The
        signature is valid for five minutes."""
        getattr(self._client, operation)(**parameters)
        request: AWSPreparedRequest = self._caught.request
        return request

    def send(self, request: AWSPreparedRequest) -> Reply:
        """Send a signed request and wait for the response. Errors are in the reply; nothing is raised."""
        from botocore.exceptions import BotoCoreError

        sent = time.perf_counter()
        try:
            response = self._session.send(request)
        except BotoCoreError as error:
            return Reply(sent, time.perf_counter(), {"message": str(error)}, type(error).__name__, unavailable=True)
        answered = time.perf_counter()
        try:
            body = json.loads(response.content)
        except ValueError:
            body = {}
        if response.status_code == 200:
            return Reply(sent, answered, body, None)
        code = str(body.get("__type", f"HTTP {response.status_code}")).rpartition("#")[2]
        return Reply(sent, answered, body, code, unavailable=response.status_code >= 500)

    def close(self) -> None:
        self._session.close()

    def _catch(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """Keep the request. botocore uses the return value as the response and does not send the request."""
        import urllib3
        from botocore.awsrequest import AWSResponse

        self._caught.request = request
        return AWSResponse(request.url, 200, {}, urllib3.HTTPResponse(io.BytesIO(b"{}"), preload_content=False))


def _http_session(lab: Lab, url: str, connections: int) -> Any:
    """An HTTP session like botocore's, with the same proxies and certificates."""
    import botocore.session
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    verify = True
    if lab.backend == "aws":
        verify = botocore.session.get_session().get_config_variable("ca_bundle") or True
    proxies = {} if lab.backend == "local" else get_environ_proxies(url)
    return URLLib3Session(verify=verify, proxies=proxies, max_pool_connections=connections,
                          timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                          # As in botocore's clients: Nagle's algorithm would delay requests.
                          socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
