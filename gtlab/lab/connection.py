"""The lab: one boto3 client per Region, and what its backend can do."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gtlab import regions
from gtlab.contract import BUILT_IN, HISTORIC, LOOPBACK, REHEARSAL_VARIABLE
from gtlab.lab import classmate, commands, display, elsewhere, leftovers
from gtlab.lab.aws import footprint, preflight
from gtlab.lab.aws.preflight import Asked
from gtlab.lab.choice import Choice, checked_choice, chosen
from gtlab.lab.clients import Access, Clients
from gtlab.lab.hurrying import hurrying
from gtlab.lab.knobs import Knobs
from gtlab.localcloud import process

if TYPE_CHECKING:
    import pandas as pd

_UNLIKE_AWS = {"fast": "distances, lags and waiting times are a tenth of those that texts give for AWS",
               "instant": "there are no distances, lags or waiting times"}


def connect(backend: str | Mapping[str, str] = "local", *, home: str = "", replicas: str | list[str] = "",
            profile: str | None = None, yes: bool = False, tables: Sequence[str] = (), account: str = "",
            token: str = "") -> Lab:
    """Open the lab.

    ``backend``: ``"local"`` is the local cloud, which is started if none runs; ``"aws"`` is AWS with your credentials
    (``profile`` names an AWS profile) and is never used unless you name it; a map of Region to endpoint URL is another
    engine that speaks DynamoDB; a URL is a local cloud on another machine, or one that others share, with its ``token``
    and your ``account`` there (docs/local-cloud.md). If GTLAB_CLOUD has a URL, that cloud is ``"local"``.

    ``home`` and ``replicas`` choose the Regions of this lab (codes; a string may hold several, separated by commas). If
    they are empty, the lab has the Regions that you chose last; on a map that lacks one of these, it has the Regions of
    the map, the first of them as home.

    On AWS, gtlab first shows the account, the identity, the Regions, what will be made and what it costs at most, and
    asks whether to go on; ``yes`` agrees in advance. Afterwards the lab's clients refuse to change tables that gtlab
    did not make, except those whose names are in ``tables``.

    Raises ValueError for Regions that do not exist or cannot be combined and for a cloud that does not let you in,
    CloudError if the local cloud cannot start or does not answer, and NotReady, a ValueError, if AWS cannot be used as
    things are or you do not agree: nothing has been made then. In a class whose instructor has not opened this notebook
    yet it raises :class:`gtlab.lab.classmate.NotOpen`.
    """
    display.keep_codes_whole()
    display.hide_secrets()
    classmate.follow()
    if isinstance(backend, Mapping):
        backend = _checked_endpoints(backend)
        if not home and not replicas and len(backend) > 1 and not set(chosen().regions) <= backend.keys():
            home, *replicas = backend
    remembered = not home and not replicas
    choice = _choice(home, replicas)
    if isinstance(backend, Mapping):
        return Lab(Access("endpoints", backend), choice, remembered=remembered)
    if backend == "aws":
        asked = Asked(choice, footprint.course(choice), tuple(tables), profile, yes)
        return Lab(_on_aws(asked), choice, remembered=remembered)
    if backend == "local":
        url, account, token = elsewhere.named()
    elif "://" in backend:
        url = backend
    else:
        raise ValueError(f"There is no backend {backend!r}. Choose 'local', 'aws', the URL of a local cloud, or a map "
                         "of Region to endpoint URL.")
    running = elsewhere.joined(url, account, token) if url else process.up()[0]
    access = Access("local", running.endpoints, token=running.token, where=running.where,
                    account=running.elsewhere.account if running.elsewhere else None)
    return Lab(access, choice, running, remembered=remembered)


def _checked_endpoints(endpoints: Mapping[str, str]) -> dict[str, str]:
    """The URLs by Region code. Raises ValueError for an unknown Region and for what is no URL."""
    for region, url in endpoints.items():
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ValueError(f"The endpoint of {region} is {url!r}; it must be a URL, such as http://127.0.0.1:8000")
    return {regions.get(region).code: url for region, url in endpoints.items()}


def _choice(home: str, replicas: str | list[str]) -> Choice:
    before = chosen()
    if home and not replicas and home in before.replicas:
        # The new home was a replica until now: the old home takes its place.
        replicas = [before.home if region == home else region for region in before.replicas]
    return checked_choice(home or before.home, replicas or list(before.replicas))


def open_aws(asked: Asked) -> Lab:
    """A lab on AWS, for a purpose other than the course. Raises NotReady, a ValueError, as :func:`connect` does."""
    return Lab(_on_aws(asked), asked.choice)


def _on_aws(asked: Asked) -> Access:
    """The access to AWS, after everything that :mod:`gtlab.lab.aws.preflight` checks. Raises NotReady."""
    access = Access("aws", profile=asked.profile, tables=asked.tables, rehearsal=_rehearsal())
    asked = replace(asked, rehearsal=bool(access.rehearsal))
    identity = preflight.ready(Clients(access, asked.choice.home, noted=False).shared_quietly, asked)
    return replace(access, scope=preflight.scope(identity))


def _profile(given: str | None) -> str:
    """The AWS profile that boto3 uses: keys in the environment come before the profile that the environment names."""
    return given or ("" if "AWS_ACCESS_KEY_ID" in os.environ else os.environ.get("AWS_PROFILE", ""))


def _rehearsal() -> str:
    """The URL of the local cloud that takes AWS's place, from the environment; empty if none does."""
    url = os.environ.get(REHEARSAL_VARIABLE, "")
    if url and urlsplit(url).hostname not in (LOOPBACK, "localhost", "::1"):
        raise ValueError(f"{REHEARSAL_VARIABLE} is {url}: only a local cloud on this machine can take AWS's place.")
    return url


class Lab:
    """The lab that :func:`connect` returns. As text it also says what is broken on the local cloud now, and which
    tables are there.

    ``home``, ``replicas`` and ``regions`` (home first) are Region codes. ``label`` says where figures come from and
    whether they are simulated; measurements have it in their column ``backend``. ``simulated`` is true on the local
    cloud, ``shared`` on one where each learner has an account. ``scope`` names the backend, and the account of AWS, in
    gtlab's records; ``rehearsal`` says that a local cloud takes AWS's place. ``profile`` is the AWS profile whose
    credentials are used, if one is named. ``legacy_api`` says whether CreateGlobalTable (version 2017.11.29) works
    here, ``current_api`` whether UpdateTable accepts ReplicaUpdates (version 2019.11.21).
    """

    def __init__(self, access: Access, choice: Choice, running: process.Running | None = None, *,
                 remembered: bool = False):
        self.backend, self.choice, self._running = access.backend, choice, running
        self.scope, self.rehearsal = access.scope or access.backend, bool(access.rehearsal)
        self.profile = _profile(access.profile) if self.backend == "aws" else ""
        self._where: process.Where = running.where if running else 0
        self.simulated = self.backend == "local"
        self.shared = access.account is not None
        self.legacy_api = running is not None and running.legacy_api == HISTORIC
        self.current_api = self.backend in ("local", "aws")
        self._remembered, self._warned = remembered, False  # whether the choice is the saved one
        # Tables of a cloud that is not this state folder's, such as a temporary one, are nobody's to clean up.
        noted = running is None or running.folder == process.state_folder()
        self._clients = Clients(access, caller=choice.home, noted=noted)

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
        """A sentence if other Regions have been chosen since this lab was opened; otherwise empty. A lab whose Regions
        were given to :func:`connect` does not follow the choice."""
        if not self._remembered or chosen() == self.choice:
            return ""
        return f"This lab was made with an older choice ({', '.join(self.regions)}): run gtlab.connect() again."

    @property
    def clean_command(self) -> str:
        """The command that deletes the course's tables where this lab is."""
        return "gtlab clean" + (" --backend aws" if self.backend == "aws" else "") + (
            f" --profile {self.profile}" if self.profile else "")

    @property
    def network(self) -> str | None:
        """The network of the local cloud, such as "realistic"; None on other backends."""
        return self._running.network if self._running else None

    @property
    def label(self) -> str:
        if self.backend == "local":
            model = self._running.lag_model if self._running else BUILT_IN
            named = f"{model} lag model" if model == BUILT_IN else f"lag model {model}"
            return f"simulated: local cloud, {self.network} network, {named}"
        if self.rehearsal:
            return "simulated: a rehearsal of AWS on the local cloud"
        return "AWS" if self.backend == "aws" else "other endpoints"

    def client(self, region: str, service: str = "dynamodb") -> Any:
        """The boto3 client of a Region, created on first use. The local cloud treats it as a client in the home Region.

        Raises ValueError for an unknown Region and for one without an endpoint. Warns once if other Regions have been
        chosen since this lab was opened.
        """
        regions.get(region)
        if not self._warned and (older := self.older_choice):
            self._warned = True
            warnings.warn(older, stacklevel=2)
        return self._clients.shared(region, service)

    def new_client(self, region: str, service: str = "dynamodb", **config: Any) -> Any:
        """A new boto3 client with further settings of botocore's Config. :meth:`last_command` does not show its calls.

        Raises ValueError as :meth:`client` does.
        """
        return self._clients.new(region, service, **config)

    def local_client(self, region: str, service: str = "dynamodb", **config: Any) -> Any:
        """A new boto3 client as a program uses it that runs in this Region: on the local cloud its calls have no
        distance. On AWS it is :meth:`new_client`, since the distance is that of this machine.

        Raises ValueError as :meth:`client` does.
        """
        return self._clients.new(region, service, regions.get(region).code, **config)

    def bare_client(self, region: str, service: str = "dynamodb", **config: Any) -> Any:
        """The client for the clean-up, which decides by itself which tables are gtlab's: on AWS, this client does not
        refuse to change tables of others. It is created on first use; ``config`` is as for :meth:`new_client`.

        Raises ValueError as :meth:`client` does.
        """
        return self._clients.bare(region, service, **config)

    def last_command(self) -> commands.Command:
        """The last boto3 call of this lab as the equivalent ``aws`` command. Raises ValueError before the first call.
        """
        if not self._clients.calls:
            raise ValueError("This lab has made no call yet.")
        return commands.as_command(*self._clients.calls[-1], self.profile)

    @contextlib.contextmanager
    def expect(self, *codes: str, because: str = "") -> Iterator[None]:
        """Continue if a call is refused with one of these error codes, and print the service's message.

        ``because`` is printed below it as an explanation. Any other error is raised as usual.
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
        """For a block of code, make the local cloud answer the calls of version 2017.11.29 as they worked
        (``"historic"``) or as AWS refuses them today (``"2026"``). Afterwards the previous behaviour is restored.

        The change affects everybody who uses this local cloud. Raises ValueError for another face, and on other
        backends, where the behaviour cannot be changed.
        """
        if self.backend != "local":
            raise ValueError(f"legacy_face() works on the local cloud only; this lab is on {self.label}, where the "
                             "behaviour of these calls cannot be changed.")
        before = process.legacy_face(self._where)
        self.legacy_api = process.legacy_face(self._where, face) == HISTORIC
        try:
            yield
        finally:
            self.legacy_api = process.legacy_face(self._where, before) == HISTORIC

    def features(self, wait_s: float = 10.0) -> pd.DataFrame:
        """What the engine behind this lab supports, found out by asking it: see :func:`gtlab.lab.features.features`."""
        from gtlab.lab import features

        return features.features(self, wait_s)

    def hurry(self, times: float = 10) -> contextlib.AbstractContextManager[None]:
        """For a block of code, the local cloud's control plane is this many times as fast as usual (1 to 1000): steps
        that begin in the block, such as creating a replica, take that part of their time.

        The change affects everybody who uses this local cloud. On other backends nothing changes.
        """
        return hurrying(self._where, times) if self.simulated else contextlib.nullcontext()

    @property
    def world(self) -> Knobs:
        """The knobs of the simulated world: see :class:`gtlab.lab.knobs.Knobs`."""
        return Knobs(self._control, self.home)

    def events(self, after: int = 0, *, kinds: Iterable[str] | None = None, table: str | None = None) -> pd.DataFrame:
        """What happened on the local cloud, in order: its journal, which keeps the newest 20,000 events.

        ``after`` is an event number: only later events are returned; ``kinds`` and ``table`` restrict the events
        further. A data frame with the columns :data:`gtlab.lab.events.COLUMNS`. Raises ValueError on other backends:
        AWS has no such journal.
        """
        from gtlab.lab import events

        return events.frame(self._control, after, kinds, table)

    @contextlib.contextmanager
    def all_reads(self) -> Iterator[None]:
        """For a block of code, the journal has every read of a global table's items, not only the stale ones. Of reads
        the newest 5,000 are kept. Raises ValueError on other backends: AWS has no such journal.
        """
        from gtlab.lab import events

        last = self._control("events?after=999999999999")["last"]
        with events.all_reads(self._where, last):
            yield

    def _control(self, what: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.backend != "local":
            instead = (" On AWS, the fault injection service can pause replication: client(region, 'fis'), action "
                       "aws:dynamodb:global-table-pause-replication." if self.backend == "aws" else "")
            raise ValueError("Only the local cloud can be broken, and only it has a journal; this lab is on "
                             f"{self.label}.{instead}")
        return process.control(self._where, what, method, body)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return display.lab(repr(self))

    def __repr__(self) -> str:
        rows = {"home": [regions.label(self.home)], "replicas": [regions.label(region) for region in self.replicas]}
        if isinstance(self._where, process.Elsewhere):
            rows["cloud"] = [self._where.url + (f", account {self._where.account}" if self._where.account else "")]
        below = [self.older_choice] if self.older_choice else []
        if self.network in _UNLIKE_AWS:
            rows["network"] = [f"{self.network}: {_UNLIKE_AWS[self.network]}"]
        if self.backend == "local":
            try:
                rows |= leftovers.lines(self._control("world"), self._control("status"), self.regions)
            except process.CloudError as error:
                below.append(str(error) if isinstance(self._where, process.Elsewhere) else
                             "The local cloud has stopped. Run gtlab.connect() again: it starts the local cloud.")
        return "\n".join([f"Lab ({self.label})", *(
            f"  {heading if number == 0 else '':<10}{line}" for heading, lines in rows.items()
            for number, line in enumerate(lines)), *below])
