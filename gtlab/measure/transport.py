"""Requests of one Region that boto3 makes and signs once, and that are then sent, as often as needed, on their own.

A call of boto3's takes milliseconds of this machine's time, most of it for making the request. Polling every few
milliseconds leaves no room for that, and the clock has to be read right before the sending and right after the answer.
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
    """``sent`` and ``answered`` are seconds of the monotonic clock. ``body`` is the answer's; ``error`` the service's
    error code, or the name of what happened to the connection, None where all is well."""

    sent: float
    answered: float
    body: dict
    error: str | None

    @property
    def passing(self) -> bool:
        """An error that may be gone at the next try: throttling, a 5xx, a connection that failed."""
        return self.error in THROTTLED or self.body.get("gtlab_passing", False)

    def raised(self, operation: str) -> Exception:
        """The error as boto3 would have raised it."""
        from botocore.exceptions import ClientError

        message = self.body.get("message") or self.body.get("Message") or ""
        return ClientError({"Error": {"Code": self.error, "Message": message}}, operation)


class Wire:
    """Signed requests to one Region, and their sending. Safe to use from several threads."""

    def __init__(self, lab: Lab, region: str, connections: int = 64):
        self.region = region
        self._client = lab.new_client(region, parameter_validation=False)
        # After the lab's own handlers: they complete the request.
        self._client.meta.events.register_last("before-send.*.*", self._catch)
        self._session = _http_session(lab, self._client.meta.endpoint_url, connections)
        self._caught = threading.local()

    def signed(self, operation: str, **parameters: Any) -> AWSPreparedRequest:
        """The request of a boto3 call, such as ``signed("get_item", TableName=…, Key=…)``; it is not sent. It can be
        sent for five minutes."""
        getattr(self._client, operation)(**parameters)
        return self._caught.request

    def send(self, request: AWSPreparedRequest) -> Reply:
        from botocore.exceptions import BotoCoreError

        sent = time.perf_counter()
        try:
            response = self._session.send(request)
        except BotoCoreError as error:
            return Reply(sent, time.perf_counter(), {"message": str(error), "gtlab_passing": True},
                         type(error).__name__)
        answered = time.perf_counter()
        try:
            body = json.loads(response.content)
        except ValueError:
            body = {}
        if response.status_code == 200:
            return Reply(sent, answered, body, None)
        code = str(body.get("__type", f"HTTP {response.status_code}")).rpartition("#")[2]
        return Reply(sent, answered, body | {"gtlab_passing": response.status_code >= 500}, code)

    def close(self) -> None:
        self._session.close()

    def _catch(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """botocore takes what this returns for the response: the request is not sent."""
        import urllib3
        from botocore.awsrequest import AWSResponse

        self._caught.request = request
        return AWSResponse(request.url, 200, {}, urllib3.HTTPResponse(io.BytesIO(b"{}"), preload_content=False))


def _http_session(lab: Lab, url: str, connections: int) -> Any:
    """HTTP as botocore does it, with the proxies and certificates that it would use."""
    import botocore.session
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    verify = True
    if lab.backend == "aws":
        verify = botocore.session.get_session().get_config_variable("ca_bundle") or True
    proxies = {} if lab.backend == "local" else get_environ_proxies(url)
    return URLLib3Session(verify=verify, proxies=proxies, max_pool_connections=connections,
                          timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                          # As botocore's own clients: a request is not held back for an acknowledgement.
                          socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
