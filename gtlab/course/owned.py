"""Which tables are the course's? Asked of the tables themselves, in every Region, whatever Regions are chosen now.

A table is the course's if it carries the tag ``gtlab:run``, if it is a replica of such a table, or if gtlab noted that
it was about to create it (:mod:`gtlab.lab.ownership`). A table of the same name without any of these is somebody
else's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from gtlab import regions
from gtlab.contract import RUN_TAG
from gtlab.course.stages import TABLES
from gtlab.lab import Lab, ownership
from gtlab.lab.aws import errors

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = 16  # questions that are asked at the same time
PATIENCE: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 10,
                             "retries": {"mode": "standard", "total_max_attempts": 2}}


class Place(NamedTuple):
    """A table in a Region."""

    table: str
    region: str

    def __str__(self) -> str:
        return f"{self.table} in {regions.label(self.region)}"


class Left(NamedTuple):
    """A table that is not deleted, and why; ``table`` is empty if a whole Region could not be asked. ``foreign``:
    a table that is not deleted because another ``run`` of gtlab made it, or somebody else's table, which has the name
    of one of the course's."""

    table: str
    region: str
    why: str
    foreign: bool = False
    run: str = ""

    def __str__(self) -> str:
        return f"{Place(self.table, self.region) if self.table else regions.label(self.region)}: {self.why}"


@dataclass(frozen=True)
class Found:
    """What DescribeTable and the tags say of a table: ``members`` are the Regions of its global table of version
    2019.11.21 (only its own if it has none), ``settled`` says that neither the table nor a member of its group is
    changing, ``run`` is the value of the tag, or None."""

    place: Place
    status: str
    settled: bool
    created: datetime
    members: frozenset[str]
    strong: bool
    witness: str
    protected: bool
    run: str | None
    meant: bool


@dataclass(frozen=True)
class Group:
    """Tables that are deleted together: a global table of version 2019.11.21, or a single table. ``tables`` are in the
    order of deletion."""

    tables: tuple[Found, ...]

    @property
    def strong(self) -> bool:
        """Whether its members can only leave together."""
        return self.tables[-1].strong and len(self.present) > 1

    @property
    def present(self) -> frozenset[str]:
        """The Regions of all its members, a witness aside."""
        return frozenset().union(*(each.members for each in self.tables))


@dataclass
class Survey:
    """The course's tables, and what is left alone: other people's tables that have a name of the course's, and Regions
    that did not answer. ``closed`` are Regions of AWS in which the identity may not list tables, and in which gtlab has
    noted none."""

    groups: list[Group] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @property
    def unsearched(self) -> str:
        """A sentence if there are Regions that the identity may not search, which is usual where an organization or a
        policy allows some Regions only. Empty if there are none."""
        if not self.closed:
            return ""
        return ("Not searched, because your identity may not list tables there, and gtlab has no record of a table: "
                f"{', '.join(self.closed)}.")

    def regions(self, table: str) -> list[str]:
        """The Regions of the course's tables of a name, in the order of deletion."""
        return [each.place.region for group in self.groups for each in group.tables if each.place.table == table]

    def group(self, table: str) -> list[str]:
        """The Regions of one global table of a name, the largest if there are several, in the order of deletion: its
        replicas, and last the table that they were made from. Tables that are being deleted do not count."""
        groups = [[each.place.region for each in group.tables if each.status != "DELETING"] for group in self.groups
                  if group.tables[0].place.table == table]
        return max(groups, key=len, default=[])

    def frame(self) -> pd.DataFrame:
        """A row per table of the course in the order of deletion: ``table``, ``region``, ``status``, ``created``,
        ``protected``, ``of`` (how many tables its group has)."""
        import pandas as pd

        return pd.DataFrame([(*each.place, each.status, each.created, each.protected, len(group.tables))
                             for group in self.groups for each in group.tables],
                            columns=["table", "region", "status", "created", "protected", "of"])


@dataclass(frozen=True)
class Options:
    """``also``: names of tables that are treated as the course's wherever they are. ``unprotect``: switch off deletion
    protection. On AWS: ``all_runs`` takes the tables of other state folders too, and ``items`` those with items that
    the course does not write."""

    also: tuple[str, ...] = ()
    unprotect: bool = False
    all_runs: bool = False
    items: bool = False


DEFAULTS = Options()


class _Listed(NamedTuple):
    """The names of a Region's tables. ``why`` says why they are not known; ``closed``: the identity may not ask."""

    names: list[str]
    why: str = ""
    closed: bool = False


class Looker:
    """Looks for the course's tables with clients of its own, which give up sooner than usual."""

    def __init__(self, lab: Lab, options: Options = DEFAULTS):
        self.lab, self.options, self._run = lab, options, ownership.run_id()
        self.clients: dict[str, Any] = {}
        for code in regions.REGIONS:
            try:
                self.clients[code] = lab.bare_client(code, **PATIENCE)
            except ValueError:
                continue  # another engine, which has no endpoint for this Region

    def survey(self) -> Survey:
        """Every table of the course. Nothing is changed."""
        found, asked = Survey(), list(self.clients)
        listed: dict[str, list[str]] = {}
        for region, answer in zip(asked, at_once(self._names, asked), strict=True):
            if answer.why:
                found.left.append(Left("", region, answer.why))
            elif answer.closed:
                found.closed.append(region)
            else:
                listed[region] = answer.names
        wanted = self._wanted([region for region, names in listed.items() if names])
        places = [Place(name, region) for region, names in listed.items() for name in names
                  if wanted is None or name in wanted]
        tables: list[Found] = []
        for place, seen in zip(places, at_once(self._look, places), strict=True):
            if isinstance(seen, str):
                found.left.append(Left(*place, seen))
            elif seen is not None:
                tables.append(seen)
        for group in grouped(tables):
            if self._ours(group):
                found.groups.append(group)
            else:
                run = next((each.run for each in group.tables if each.run), "")
                found.left += [Left(*each.place, self._why_foreign(each, run), True, run) for each in group.tables
                               if each.place.table in TABLES or run]
        return found

    def _names(self, region: str) -> _Listed:
        """The names of all tables of a Region."""
        client = self.clients[region]
        try:
            return _Listed([name for page in client.get_paginator("list_tables").paginate()
                            for name in page["TableNames"]])
        except (BotoCoreError, ClientError) as error:
            if self.lab.backend == "aws" and errors.is_unknown_here(error):
                return _Listed([])  # the account has not enabled the Region, so it has no tables there
            if errors.is_denied(error) and region not in {
                    each for _, each in ownership.noted(self.lab.scope)}:
                return _Listed([], closed=True)
            return _Listed([], f"it was not searched, because it did not answer as it should: "
                               f"{errors.redacted(str(error))}")

    def _wanted(self, asked: Collection[str]) -> set[str] | None:
        """The names that a table of gtlab's can have, so that not every table of an account of AWS must be described.
        None: it can have any name."""
        if self.lab.backend != "aws":
            return None
        answers = at_once(self._tagged, asked)
        if any(answer is None for answer in answers):
            return None
        found: set[str] = set().union(*(answer or () for answer in answers))
        return found | set(TABLES) | set(self.options.also) | {table for table, _ in ownership.noted(self.lab.scope)}

    def _tagged(self, region: str) -> set[str] | None:
        """The names of a Region's tables with the tag, by AWS's tagging API; None if it cannot be asked."""
        try:
            client = self.lab.bare_client(region, "resourcegroupstaggingapi", **PATIENCE)
            pages = client.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": RUN_TAG}], ResourceTypeFilters=["dynamodb:table"])
            return {each["ResourceARN"].rpartition("/")[2] for page in pages for each in page["ResourceTagMappingList"]}
        except (BotoCoreError, ClientError):
            return None

    def _look(self, place: Place) -> Found | str | None:
        """A table as it is now, None if it is gone, or why it is not known."""
        try:
            return self.describe(place)
        except (BotoCoreError, ClientError) as error:
            return f"it was not looked at, because its Region did not answer: {errors.redacted(str(error))}"

    def describe(self, place: Place) -> Found | None:
        """A table as it is now; None if it is gone. Raises botocore's errors."""
        client = self.clients[place.region]
        try:
            table = client.describe_table(TableName=place.table)["Table"]
            tags = self._tags(client, table) if table["TableStatus"] != "DELETING" else {}
        except client.exceptions.ResourceNotFoundException:
            return None
        replicas, witnesses = table.get("Replicas", ()), table.get("GlobalTableWitnesses", ())
        statuses = [table["TableStatus"], *(each["ReplicaStatus"] for each in replicas),
                    *(each["WitnessStatus"] for each in witnesses)]
        # A table that is being deleted has no creation time any more. It counts as the newest.
        created = table.get("CreationDateTime") or datetime.now(UTC)
        return Found(place, table["TableStatus"], set(statuses) == {"ACTIVE"}, created,
                     frozenset([place.region, *(each["RegionName"] for each in replicas)]),
                     table.get("MultiRegionConsistency") == "STRONG",
                     next((each["RegionName"] for each in witnesses), ""),
                     table.get("DeletionProtectionEnabled", False), tags.get(RUN_TAG),
                     ownership.meant(self.lab.scope, place.region, table))

    def _tags(self, client: Any, table: Mapping[str, Any]) -> dict[str, str]:
        try:
            pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=table["TableArn"])
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        except ClientError:
            now = client.describe_table(TableName=table["TableName"])["Table"]["TableStatus"]
            if self.lab.backend == "endpoints" or now == "DELETING":
                return {}  # an engine without tags, or a table that is being deleted, which has none any more
            raise

    def is_ours(self, run: str | None) -> bool:
        """Whether what carries the tag with this value is to be deleted; None: it has no tag."""
        # A local cloud belongs to one state folder, an account of AWS may be shared by many learners.
        return run is not None and (self.lab.simulated or self.options.all_runs or run == self._run)

    def _ours(self, group: Group) -> bool:
        return (any(self.is_ours(each.run) or each.place.table in self.options.also for each in group.tables)
                or all(each.meant or (each.status == "DELETING" and each.place.table in TABLES)
                       for each in group.tables))

    def _why_foreign(self, each: Found, run: str) -> str:
        """Why a table is left alone; ``run`` is the tag's value at any member of its global table."""
        if run:
            return f"another run of gtlab made it (tag {RUN_TAG}: {run})"
        if len(each.members) > 1:
            return f"no table of its global table has the tag {RUN_TAG}, so the course did not make it"
        return (f"it has no tag {RUN_TAG}, so the course did not make it. To delete it too: "
                f"{self.lab.clean_command} --also {each.place.table}")


def other_runs(lab: Lab, left: Iterable[Left]) -> str:
    """A sentence if tables of other runs of gtlab are left alone; empty if there are none."""
    number = sum(bool(each.run) for each in left)
    return (f"Other runs of gtlab (another machine, or somebody else) made {number} of these. To delete them too: "
            f"{lab.clean_command} --all-runs" if number else "")


def grouped(tables: Iterable[Found]) -> list[Group]:
    """Tables by their global table of version 2019.11.21, the newest table of each first: replicas are created after
    the table that they are made from."""
    groups: list[list[Found]] = []
    for each in sorted(tables, key=lambda found: found.created, reverse=True):
        group = next((group for group in groups if any(
            other.place.table == each.place.table and (other.place.region in each.members or
                                                       each.place.region in other.members) for other in group)), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    return [Group(tuple(group)) for group in groups]


def at_once(ask: Callable[[T], R], about: Collection[T]) -> list[R]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, about))
