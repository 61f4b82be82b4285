"""The lab: one boto3 client per Region, and what its backend can do."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gtlab import regions
from gtlab.contract import CALLER_HEADER, HISTORIC, LOOPBACK
from gtlab.lab import commands
from gtlab.lab.choice import Choice, checked_choice, chosen
from gtlab.lab.knobs import Knobs
from gtlab.localcloud import process

if TYPE_CHECKING:
    import pandas as pd

_REMEMBERED_CALLS = 100
_THIS_MACHINE = (LOOPBACK, "localhost", "::1")


def connect(backend: str | Mapping[str, str] = "local", *, home: str = "", replicas: str | list[str] = "",
            profile: str | None = None) -> Lab:
    """Open the lab.

    ``backend``: ``"local"``, the local cloud, started if none runs; ``"aws"``, AWS itself with your credentials
    (``profile`` names which), never without being asked; or a map of Region to endpoint URL for another
    engine that speaks DynamoDB. ``home`` and ``replicas`` (codes; text may hold several, with commas) choose
    Regions for this lab; left empty, they are what you chose last.
    Raises ValueError for Regions that do not exist or do not fit, CloudError where the local cloud cannot start.
    """
    before = chosen()
    if home and not replicas and home in before.replicas:
        # Your new home was a replica: the old home takes its place.
        replicas = [before.home if region == home else region for region in before.replicas]
    choice = checked_choice(home or before.home, replicas or list(before.replicas))
    remembered = not home and not replicas
    if isinstance(backend, Mapping):
        return Lab("endpoints", choice, {regions.get(region).code: url for region, url in backend.items()},
                   remembered=remembered)
    if backend == "aws":
        return Lab("aws", choice, profile=profile, remembered=remembered)
    if backend == "local":
        running, _ = process.up()
        return Lab("local", choice, running.endpoints, network=running.network,
                   legacy_api=running.legacy_api, token=running.token, port=running.port, remembered=remembered)
    raise ValueError(f"There is no backend {backend!r}. Choose 'local', 'aws', or a map of Region to endpoint URL.")


class Lab:
    """What :func:`connect` gives.

    ``home``, ``replicas`` and ``regions`` (home first) are Region codes. ``label`` says where figures come from,
    and whether they are simulated; measurements carry it in their column ``backend``. ``simulated`` is true on the
    local cloud. ``legacy_api`` says whether CreateGlobalTable (version 2017.11.29) can be called here,
    ``current_api`` whether UpdateTable takes ReplicaUpdates (version 2019.11.21).
    """

    def __init__(self, backend: str, choice: Choice, endpoints: Mapping[str, str] | None = None,
                 network: str | None = None, profile: str | None = None, legacy_api: str = HISTORIC,
                 token: str | None = None, port: int = 0, remembered: bool = False):
        self.backend, self.choice, self.network = backend, choice, network
        self.simulated = backend == "local"
        self.legacy_api = self.simulated and legacy_api == HISTORIC
        self.current_api = backend in ("local", "aws")
        self._endpoints, self._profile, self._token, self._port = endpoints, profile, token, port
        self._remembered, self._warned = remembered, False  # the choice is the one that was remembered last
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()
        self._session = None
        self._calls: deque[tuple[str, str, dict, str]] = deque(maxlen=_REMEMBERED_CALLS)

    @property
    def home(self) -> str:
        return self.choice.home

    @property
    def replicas(self) -> tuple[str, ...]:
        return self.choice.replicas

    @property
    def regions(self) -> tuple[str, ...]:
        return self.choice.regions

    @property
    def older_choice(self) -> str:
        """A sentence if other Regions have been chosen since this lab was made; else empty. A lab whose Regions were
        given to :func:`connect` does not follow the choice."""
        if not self._remembered or chosen() == self.choice:
            return ""
        return f"This lab was made with an older choice ({', '.join(self.regions)}): run gtlab.connect() again."

    @property
    def label(self) -> str:
        if self.backend == "local":
            return f"simulated: local cloud, {self.network} network"
        return "AWS" if self.backend == "aws" else "other endpoints"

    def client(self, region: str, service: str = "dynamodb") -> Any:
        """The boto3 client of a Region, made once. On the local cloud it says that its caller is in the home
        Region. Raises ValueError for an unknown Region, or one without an endpoint. Warns once if other Regions have
        been chosen since this lab was made."""
        code = regions.get(region).code
        if not self._warned and (older := self.older_choice):
            self._warned = True
            warnings.warn(older, stacklevel=2)
        with self._making:
            if (code, service) not in self._clients:
                self._clients[code, service] = self._make_client(code, service)
            return self._clients[code, service]

    def new_client(self, region: str, service: str = "dynamodb", **settings: Any) -> Any:
        """A boto3 client of your own, with settings of botocore's Config beside the lab's. :meth:`last_command` does
        not know of its calls. Raises as :meth:`client` does."""
        return self._make_client(regions.get(region).code, service, noted=False, **settings)

    def _make_client(self, region: str, service: str, *, noted: bool = True, **settings: Any) -> Any:
        import boto3
        from botocore.config import Config

        options: dict[str, Any] = {"config": Config(max_pool_connections=64, retries={"mode": "standard"})}
        if self._endpoints is not None:
            if region not in self._endpoints:
                raise ValueError(f"No endpoint was given for Region {region}; there are: "
                                 f"{', '.join(self._endpoints)}")
            # Never somebody's real keys to an endpoint that is not AWS.
            options |= {"endpoint_url": self._endpoints[region], "aws_access_key_id": "gtlab",
                        "aws_secret_access_key": "gtlab", "aws_session_token": self._token}
        if self.backend == "local":
            options["config"] = options["config"].merge(Config(proxies={}))  # this machine is not reached by proxy
        options["config"] = options["config"].merge(Config(**settings))
        if self._session is None:
            self._session = boto3.Session(profile_name=self._profile) if self.backend == "aws" else _plain_session()
        client = self._session.client(service, region_name=region, **options)
        if self.backend == "aws" and self._endpoints is None and urlsplit(
                client.meta.endpoint_url).hostname in _THIS_MACHINE:
            raise ValueError(f"AWS itself was asked for, but boto3 is told to call {client.meta.endpoint_url}, by "
                             "AWS_ENDPOINT_URL or your configuration: gtlab env did so, perhaps. Use another shell.")
        if noted:
            client.meta.events.register("provide-client-params.*.*", self._note_call(service, region))
        if self.backend == "local":
            client.meta.events.register("before-send.*.*", self._say_where)
        return client

    def _note_call(self, service: str, region: str):
        def note(params: dict, model: Any, **_: Any) -> None:
            # A copy: the caller may go on to change what it passed.
            self._calls.append((service, model.name, copy.deepcopy(params), region))
        return note

    def _say_where(self, request: Any, **_: Any) -> None:
        request.headers[CALLER_HEADER] = self.home

    def last_command(self) -> commands.Command:
        """The last boto3 call of this lab as the ``aws`` command that does the same."""
        if not self._calls:
            raise ValueError("This lab has made no call yet.")
        return commands.as_command(*self._calls[-1])

    @contextlib.contextmanager
    def expect(self, *codes: str, because: str = "") -> Iterator[None]:
        """Go on where a call is refused with one of these error codes, and show the service's words.

        ``because`` is added to them: what it means here. Any other error is raised as usual.
        """
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in codes:
                raise
            print(f"{code}: {error.response['Error']['Message']}" + (f"\n→ {because}" if because else ""))

    @contextlib.contextmanager
    def legacy_face(self, face: str) -> Iterator[None]:
        """For a block of code, have the local cloud answer the calls of version 2017.11.29 as they worked
        (``"historic"``) or as AWS refuses them today (``"2026"``); afterwards it is as before.

        It holds for everybody who uses this cloud meanwhile. Raises ValueError for another face, and on other
        backends: they answer as they answer.
        """
        if self.backend != "local":
            raise ValueError(f"legacy_face() is a knob of the local cloud; this lab is on {self.label}, which answers "
                             "these calls as it does.")
        before = process.legacy_face(self._port)
        self.legacy_api = process.legacy_face(self._port, face) == HISTORIC
        try:
            yield
        finally:
            self.legacy_api = process.legacy_face(self._port, before) == HISTORIC

    @property
    def world(self) -> Knobs:
        """The simulated world's knobs: see :class:`gtlab.lab.knobs.Knobs`."""
        return Knobs(self._control, self.home)

    def events(self, after: int = 0, *, kinds: Iterable[str] | None = None, table: str | None = None) -> pd.DataFrame:
        """What happened on the local cloud, in order: its journal, of which it keeps the newest 20,000 events.

        ``after``: only events with a higher number; ``kinds``, ``table``: only these. A data frame with the columns of
        :data:`gtlab.lab.events.COLUMNS`. Raises ValueError on other backends: AWS tells of none of this.
        """
        from gtlab.lab import events

        return events.frame(self._control, after, kinds, table)

    def _control(self, what: str, method: str = "GET", body: dict | None = None) -> dict:
        if self.backend != "local":
            instead = (" On AWS, the fault injection service pauses replication: client(region, 'fis'), action "
                       "aws:dynamodb:global-table-pause-replication." if self.backend == "aws" else "")
            raise ValueError(f"The local cloud can be broken, and tells what happened; this lab is on {self.label}."
                             + instead)
        return process.control(self._port, what, method, body)

    def __repr__(self) -> str:
        older = f"\n{self.older_choice}" if self.older_choice else ""
        return (f"Lab on {self.label}\n  home      {regions.label(self.home)}\n  replicas  "
                + "\n            ".join(regions.label(region) for region in self.replicas) + older)


def _plain_session() -> Any:
    """A boto3 session that reads neither AWS_PROFILE nor the configuration file: what they hold, a profile that
    does not exist for one, is no matter of an endpoint that is not AWS."""
    import boto3
    import botocore.session

    return boto3.Session(botocore_session=botocore.session.Session(session_vars={
        "profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}))
