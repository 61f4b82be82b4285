"""The boto3 clients of a lab: one per Region and service, with this backend's endpoints, credentials and headers."""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gtlab import redaction, regions
from gtlab.contract import CALLER_HEADER, LOOPBACK
from gtlab.lab import ownership
from gtlab.lab.aws import guard
from gtlab.localcloud import process

_REMEMBERED_CALLS = 100
_STATUS_S = 5.0  # how long the local cloud may take to say that it is there
_STOPPED = ("The local cloud has stopped, so no Region answers. Run lab = gtlab.connect() again: it starts the local "
            "cloud, which still has your tables. (In a terminal: gtlab up)")
_THIS_MACHINE = (LOOPBACK, "localhost", "::1")
_making = threading.RLock()  # a botocore session creates one client at a time safely, and labs share a session


class Call(NamedTuple):
    """A boto3 call; ``operation`` and ``parameters`` are named as in the API."""

    service: str
    operation: str
    parameters: dict[str, Any]
    region: str


@dataclass(frozen=True)
class Access:
    """How to reach a backend: ``endpoints`` by Region (None: AWS's own), the name of an AWS ``profile``, the ``token``
    of a local cloud that asks for one, ``where`` its control API is, and one's ``account`` on a shared cloud.

    ``rehearsal`` is the URL of a local cloud that takes AWS's place. ``scope`` names the backend in gtlab's records of
    what it made (AWS's accounts are apart). ``tables``: on AWS, tables of others that may be changed."""

    backend: str
    endpoints: Mapping[str, str] | None = None
    profile: str | None = None
    token: str | None = field(default=None, repr=False)
    where: process.Where = 0
    account: str | None = None
    rehearsal: str = ""
    scope: str = ""
    tables: tuple[str, ...] = ()


class Clients:
    """Makes boto3 clients and remembers the last 100 calls of the shared ones in ``calls``. Safe to use from several
    threads."""

    def __init__(self, access: Access, caller: str, noted: bool = True):
        """``noted``: tag and note the tables that are created, so that the clean-up finds them; on AWS, also refuse to
        change the tables of others."""
        self._access, self._caller, self._noted = access, caller, noted
        self._guard: guard.Guard | None = None
        if noted and access.backend == "aws":
            self._guard = guard.Guard(access.scope or access.backend, self.shared_quietly, access.tables)
        redaction.remember([access.token])
        self._shared: dict[tuple[str, str], Any] = {}
        self._quiet: dict[tuple[str, str], Any] = {}
        self._bare: dict[tuple[str, str, str], Any] = {}
        self._session: Any = None
        self.calls: deque[Call] = deque(maxlen=_REMEMBERED_CALLS)

    def shared(self, region: str, service: str) -> Any:
        """The client of a Region and service, made on first use. Raises ValueError as :meth:`new` does."""
        code = regions.get(region).code
        with _making:
            if (code, service) not in self._shared:
                client = self._make(code, service)
                # On AWS after gtlab's tag was added: a pasted create-table command has to make a table with the tag.
                event = "before-parameter-build" if self._access.backend == "aws" else "provide-client-params"
                client.meta.events.register(f"{event}.*.*", self._remember(service, code))
                self._shared[code, service] = client
            return self._shared[code, service]

    def bare(self, region: str, service: str = "dynamodb", **config: Any) -> Any:
        """A client without the guard, tags and notes, made on first use: for the clean-up, which decides by itself what
        is gtlab's, and asks every Region several times. ``config`` and errors are those of :meth:`new`."""
        code = regions.get(region).code
        with _making:
            known = code, service, repr(sorted(config.items()))
            if known not in self._bare:
                self._bare[known] = self._make(code, service, bare=True, **config)
            return self._bare[known]

    def shared_quietly(self, region: str, service: str = "dynamodb") -> Any:
        """A client like :meth:`shared`, whose calls are not remembered, noted or guarded."""
        with _making:
            if (region, service) not in self._quiet:
                self._quiet[region, service] = self._make(region, service, bare=True)
            return self._quiet[region, service]

    def new(self, region: str, service: str, caller: str = "", **config: Any) -> Any:
        """A new client, whose calls are not remembered; ``config`` are further settings of botocore's Config. On the
        local cloud it is in the Region ``caller`` (default: that of all clients).

        Raises ValueError for an unknown Region, for one without an endpoint, and if AWS is asked for but boto3 is
        configured to call this machine.
        """
        code = regions.get(region).code
        with _making:
            return self._make(code, service, caller, **config)

    def _make(self, region: str, service: str, caller: str = "", bare: bool = False, **config: Any) -> Any:
        from botocore.config import Config

        endpoints, local = self._access.endpoints, self._access.backend == "local"
        merged = Config(max_pool_connections=64, retries={"mode": "standard"})
        if local or self._access.rehearsal:
            merged = merged.merge(Config(proxies={}))  # no proxy leads to this machine
        options: dict[str, Any] = {"config": merged.merge(Config(**config))}
        if endpoints is not None:
            if region not in endpoints:
                raise ValueError(f"No endpoint was given for Region {region}; there are: {', '.join(endpoints)}")
            # Never send somebody's real keys to an endpoint that is not AWS.
            options |= {"endpoint_url": endpoints[region], "aws_access_key_id": self._access.account or "gtlab",
                        "aws_secret_access_key": "gtlab", "aws_session_token": self._access.token}
        elif self._access.rehearsal:
            options["endpoint_url"] = self._access.rehearsal
        if self._session is None:
            aws = self._access.backend == "aws"
            self._session = _session(self._access.profile) if aws else _plain_session()
        client = self._session.client(service, region_name=region, **options)
        url = client.meta.endpoint_url
        if endpoints is None and not self._access.rehearsal and urlsplit(url).hostname in _THIS_MACHINE:
            raise ValueError(f"You asked for AWS, but AWS_ENDPOINT_URL or your AWS configuration makes boto3 call "
                             f"{url}. Perhaps `gtlab env` set it in this shell: use another shell.")
        noted = self._noted and not bare
        if service == "dynamodb" and noted:
            if self._guard:
                self._guard.watch(client, region)
            ownership.watch(client, self._access.scope or self._access.backend, region)
        if service == "fis" and noted:
            ownership.tag_experiments(client)
        if self._access.backend == "aws":
            client.meta.events.register("before-send.*.*", self._remember_credentials)
        if local:
            client.meta.events.register("before-send.*.*", _add_caller(caller or self._caller))
            client.meta.events.register_first("needs-retry", self._check_cloud)
        return client

    def _remember(self, service: str, region: str) -> Callable[..., None]:
        def remember(params: dict[str, Any], model: Any, **_: Any) -> None:
            # A copy, because the caller may change its parameters afterwards.
            self.calls.append(Call(service, model.name, copy.deepcopy(params), region))
        return remember

    def _remember_credentials(self, **_: Any) -> None:
        """Before a request that was signed with them: never show these credentials."""
        if (used := self._session.get_credentials()) is not None:
            redaction.remember(used.get_frozen_credentials())

    def _check_cloud(self, caught_exception: Exception | None = None, **_: Any) -> None:
        """After each attempt at a call, and before botocore tries again: say so if the whole local cloud is gone. A
        Region that is down refuses connections too, but then the control API answers."""
        from botocore import exceptions

        if not isinstance(caught_exception, exceptions.HTTPClientError | exceptions.ConnectionError):
            return
        try:
            process.control(self._access.where, "status", timeout_s=_STATUS_S)
        except process.CloudError as error:
            raise _gone(str(error) if isinstance(self._access.where, process.Elsewhere) else _STOPPED) from None


def _add_caller(caller: str) -> Callable[..., None]:
    def add(request: Any, **_: Any) -> None:
        request.headers[CALLER_HEADER] = caller
    return add


def _gone(why: str) -> Exception:
    """The error of a call when the local cloud has stopped: one of botocore's, for programs that expect those."""
    from botocore.exceptions import EndpointConnectionError

    class CloudStopped(EndpointConnectionError):
        fmt = why.replace("{", "{{").replace("}", "}}")

    return CloudStopped(endpoint_url="")


@functools.cache
def _plain_session() -> Any:
    """A boto3 session that ignores AWS_PROFILE and the configuration file. An endpoint that is not AWS does not need
    them, and a profile that does not exist would raise an error."""
    import boto3
    import botocore.session

    return boto3.Session(botocore_session=botocore.session.Session(session_vars={
        "profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}))


def _session(profile: str | None) -> Any:
    """A boto3 session with the user's credentials as they are now."""
    import boto3
    import botocore.session

    below = botocore.session.Session(profile=profile)
    made = boto3.Session(botocore_session=below)
    below.register_component("data_loader", _models(below.get_config_variable("data_path")))
    return made


@functools.cache
def _models(data_path: str | None) -> Any:
    """botocore's loader of the services' models. It keeps what it has read: reading takes longer than all else that a
    client needs."""
    import botocore.loaders

    return botocore.loaders.create_loader(data_path)
