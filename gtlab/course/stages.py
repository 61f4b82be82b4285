"""The stages of the course: create the tables that a notebook needs, so that you can start with any notebook.

Each function creates only what is missing, prints what it creates, and can be called again. On the local cloud, tables
and replicas take a thirtieth of their usual time here: what a notebook is about, its cells create themselves.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from gtlab.contract import RUN_TAG, STRONG_REGIONS
from gtlab.course import basket
from gtlab.lab import DEFAULT_HOME, DEFAULT_REPLICAS, Lab, describe, display, watch
from gtlab.localcloud.process import CloudError
from gtlab.regions import label

TABLE = "Music"
TODAY, STRONG, WITNESS = "MusicToday", "MusicStrong", "MusicWitness"  # tables of today's version (2019.11.21)
DRAFT = "MusicDraft"  # a table that 05_build_it_today makes, tries out and deletes
TABLES = (TABLE, TODAY, STRONG, WITNESS, DRAFT, basket.TABLE)  # the names of the course's tables
_GOING = (describe.ABSENT, "DELETING")
_STEP_S = 0.5  # between two steps in the background

# The article's table: its key, its capacity, its stream.
MUSIC: dict[str, Any] = {
    "TableName": TABLE,
    "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"},
                             {"AttributeName": "SongTitle", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"},
                  {"AttributeName": "SongTitle", "KeyType": "RANGE"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}

_HURRY = 30  # how many times as fast: nobody learns anything from waiting for a preparation
# Today's tables: who makes them in the course, and the parameters of their CreateTable.
_MAKES = {**dict.fromkeys((TODAY, STRONG, WITNESS), "as 05_build_it_today does"), basket.TABLE: "for the application"}
_ON_DEMAND: dict[str, dict[str, Any]] = {
    name: {"TableName": name, "BillingMode": "PAY_PER_REQUEST",
           "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
           "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}]}
    for name, key in ((TODAY, "Artist"), (STRONG, "Artist"), (WITNESS, "Artist"), (basket.TABLE, "Customer"))}
_ON_DEMAND[basket.TABLE]["StreamSpecification"] = MUSIC["StreamSpecification"]


def ensure_tables(lab: Lab, regions: Iterable[str] = ()) -> None:
    """Create the article's table in each Region where it is missing (default: home and the first replica), and wait
    until it is ACTIVE in all of them."""
    where = tuple(regions) or lab.regions[:2]
    statuses = describe.statuses(lab, TABLE, where)
    missing = [region for region in where if statuses[region] in _GOING]
    if missing:
        if "DELETING" in statuses.values():  # a table can be created only after the old one is gone
            watch.tables(lab, TABLE, describe.ABSENT, missing)
        _announce(f"table {TABLE} in {_names(missing)}", "as 01_create_the_tables does")
        with lab.hurry(_HURRY):
            for region in missing:
                lab.client(region).create_table(**(
                    MUSIC if lab.legacy_api or not lab.current_api else _music_on_demand()))
    if any(status != "ACTIVE" for status in statuses.values()):
        watch.tables(lab, TABLE, "ACTIVE", where)


def ensure_global_table(lab: Lab) -> None:
    """Make the article's table a global table in all the lab's Regions, and wait until every replica is ACTIVE.

    Raises RuntimeError if the existing tables cannot be joined; the message says what to do.
    """
    with lab.hurry(_HURRY):
        _ensure_global_table(lab)


def _ensure_global_table(lab: Lab) -> None:
    if not lab.legacy_api and lab.current_api:
        _ensure_current(lab)
        return
    ensure_tables(lab, lab.regions)
    if not lab.legacy_api:
        return  # this backend has its own way of joining Regions
    client = lab.client(lab.home)
    members = members_of(lab)
    missing = [region for region in lab.regions if region not in members]
    if not missing:
        return
    others = [region for region in members if region not in lab.regions]
    if others:
        print(f"Global table {TABLE} has members that are not in your choice: {_names(others)}. They stay. To start "
              "over, run 11_clean_up.")
    _announce(f"global table {TABLE} with {_names(missing)}", "as 02_create_the_global_table does")
    group = [{"RegionName": region} for region in missing]
    try:
        if members:
            client.update_global_table(GlobalTableName=TABLE, ReplicaUpdates=[{"Create": each} for each in group])
        else:
            client.create_global_table(GlobalTableName=TABLE, ReplicationGroup=group)
    except client.exceptions.ClientError as error:
        raise RuntimeError(f"The existing tables cannot be joined: {error.response['Error']['Message']}\n"
                           f"To delete the course's tables and start over: {lab.clean_command}") from None
    watch.global_table(lab, TABLE)


def _ensure_current(lab: Lab) -> None:
    """The same where only the current version is available: an on-demand table, and its replicas one after another."""
    client = lab.client(lab.home)
    status = describe.status(lab, TABLE, lab.home)
    if status in _GOING:
        if status == "DELETING":
            watch.tables(lab, TABLE, describe.ABSENT, [lab.home])
        _announce(f"table {TABLE} in {_names([lab.home])}", "on demand")
        client.create_table(**_music_on_demand())
    watch.tables(lab, TABLE, "ACTIVE", [lab.home])
    described = client.describe_table(TableName=TABLE)["Table"]
    listed = [entry["RegionName"] for entry in described.get("Replicas", [])]
    for region in lab.replicas:
        if region not in listed:
            _add_replica(lab, region)
            watch.tables(lab, TABLE, "ACTIVE", [lab.home, region])


def _music_on_demand() -> dict[str, Any]:
    """The article's table for the current version, whose replicas need on-demand capacity."""
    return {name: value for name, value in MUSIC.items() if name != "ProvisionedThroughput"} | {
        "BillingMode": "PAY_PER_REQUEST"}


def _add_replica(lab: Lab, region: str) -> None:
    """Add a replica of the article's table with UpdateTable. What 01_create_the_tables left in the way is changed: a
    provisioned table becomes an on-demand one, and an empty table in the new Region is deleted."""
    client, cures = lab.client(lab.home), {"already existed as tables": _delete_empty, "Pay-Per-Request": _to_on_demand}
    while True:
        try:
            client.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        except client.exceptions.ClientError as error:
            text = error.response["Error"]["Message"]
            if "2017.11.29" in text and describe.status(lab, TABLE, region) == "ACTIVE":
                print(f"Table {TABLE} is a global table of version 2017.11.29 already, and is used as it is.")
                return
            reason = next((part for part in cures if part in text), "")
            if reason and cures.pop(reason)(lab, region):
                continue
            raise RuntimeError(f"The replica cannot be created: {text}\n"
                               f"To delete the course's tables and start over: {lab.clean_command}") from None
        _announce(f"a replica in {_names([region])}", "with one UpdateTable call")
        return


def _delete_empty(lab: Lab, region: str) -> bool:
    """Delete the article's table in a Region if it is empty, and gtlab's own. Returns whether it was deleted."""
    client = lab.client(region)
    watch.tables(lab, TABLE, "ACTIVE", [region])
    arn = client.describe_table(TableName=TABLE)["Table"]["TableArn"]
    tags = [tag["Key"] for tag in client.list_tags_of_resource(ResourceArn=arn).get("Tags", [])]
    if client.scan(TableName=TABLE, Limit=1)["Count"] or not (lab.simulated or RUN_TAG in tags):
        return False
    print(f"UpdateTable creates the table of a replica itself: gtlab deletes the empty table {TABLE} in "
          f"{_names([region])}.")
    client.delete_table(TableName=TABLE)
    watch.tables(lab, TABLE, describe.ABSENT, [region])
    return True


def _to_on_demand(lab: Lab, region: str) -> bool:
    print(f"Only an on-demand table, or one that scales automatically, can have replicas: gtlab changes table {TABLE} "
          f"in {_names([lab.home])}.")
    lab.client(lab.home).update_table(TableName=TABLE, BillingMode="PAY_PER_REQUEST")
    watch.tables(lab, TABLE, "ACTIVE", [lab.home])
    return True


def ensure_today(lab: Lab, *, wait: bool = True) -> None:
    """Create table MusicToday, a global table of today's version, in the home and the first replica Region.

    With ``wait=False`` it starts the first step and returns immediately. The other steps follow in the background while
    this kernel runs. Write nothing until a call that waits has returned, because a replica of a table with items takes
    minutes. Raises RuntimeError if existing tables prevent this.
    """
    _ensure(lab, TODAY, lab.regions[:2], {}, wait)


def ensure_strong(lab: Lab, *, wait: bool = True) -> tuple[str, ...]:
    """Create table MusicStrong, strongly consistent across three Regions, and return the Regions. ``wait`` and errors
    are those of :func:`ensure_today`.

    The Regions are the lab's, or the article's if AWS does not offer strong consistency in three of the lab's.
    """
    trio = strong_regions(lab)
    _ensure(lab, STRONG, trio, {"MultiRegionConsistency": "STRONG"}, wait)
    return trio


def ensure_witness(lab: Lab, *, wait: bool = True) -> tuple[str, ...]:
    """Create table MusicWitness, strongly consistent with replicas in two Regions and a witness in a third one, and
    return the three Regions, the witness's last. They are those of :func:`ensure_strong`; so are ``wait`` and errors.
    """
    trio = strong_regions(lab)
    _ensure(lab, WITNESS, trio[:2], {"MultiRegionConsistency": "STRONG", "GlobalTableWitnessUpdates": [
        {"Create": {"RegionName": trio[2]}}]}, wait)
    return trio


def strong_regions(lab: Lab) -> tuple[str, ...]:
    """The Regions of table MusicStrong: see :func:`ensure_strong`."""
    found = tuple(region for region in lab.regions if region in STRONG_REGIONS)[:3]
    return found if len(found) == 3 else (DEFAULT_HOME, *DEFAULT_REPLICAS)


def ensure_baskets(lab: Lab, *, wait: bool = True) -> None:
    """Create table Baskets of the basket application (:mod:`gtlab.course.basket`), a global table of today's version
    in all the lab's Regions. ``wait`` and errors are those of :func:`ensure_today`."""
    _ensure(lab, basket.TABLE, lab.regions, {}, wait)


class _Background:
    """Repeats a step in a thread until it returns True. One at a time."""

    def __init__(self) -> None:
        self._stop, self._thread = threading.Event(), threading.Thread()

    def begin(self, step: Callable[[], bool]) -> None:
        self.end()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(step, self._stop), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @staticmethod
    def _run(step: Callable[[], bool], stop: threading.Event) -> None:
        while not stop.wait(_STEP_S):
            try:
                if step():
                    return
            except (BotoCoreError, ClientError, CloudError):  # a notebook takes Regions down: try again
                continue
            except RuntimeError:  # the call that waits fails in the same way, where it can be seen
                return


_backgrounds: dict[str, _Background] = defaultdict(_Background)  # by table


def _ensure(lab: Lab, table: str, where: tuple[str, ...], kind: dict[str, Any], wait: bool) -> None:
    """:func:`_ensure_members`, with the steps that are left without ``wait`` in the background."""
    background = _backgrounds[table]
    background.end()

    def step() -> bool:
        with lab.hurry(_HURRY):
            return _ensure_members(lab, table, where, kind, wait)
    if not step() and not wait:
        background.begin(step)


def _ensure_members(lab: Lab, table: str, where: tuple[str, ...], kind: dict[str, Any], wait: bool) -> bool:
    """Create the table in the first Region and its replicas in the others. ``kind`` are further parameters of the
    UpdateTable call: with strong consistency one call creates all replicas, otherwise each needs a call. Returns
    whether all replicas are listed; without ``wait`` only the next step is started."""
    client, status = lab.client(where[0]), describe.status(lab, table, where[0])
    if status in _GOING:
        if status == "DELETING":
            watch.tables(lab, table, describe.ABSENT, where[:1])
        _announce(f"table {table} in {_names(where)}", _MAKES[table])
        client.create_table(**_ON_DEMAND[table])
        status = "CREATING"
    while wait or status == "ACTIVE":
        if wait:
            _until_active(lab, table, where[:1])
        listed = [entry["RegionName"] for entry in client.describe_table(TableName=table)["Table"].get("Replicas", [])]
        missing = [region for region in where[1:] if region not in listed]
        if not missing:
            break
        next_ones = missing if kind else missing[:1]
        try:
            client.update_table(TableName=table, **kind, ReplicaUpdates=[
                {"Create": {"RegionName": region}} for region in next_ones])
        except client.exceptions.ClientError as error:
            if not wait and error.response["Error"]["Code"] == "ResourceInUseException":
                return False  # the step before is not over
            raise RuntimeError(f"The replicas cannot be created: {error.response['Error']['Message']}\n"
                               f"To delete the course's tables and start over: {lab.clean_command}") from None
        if not wait:
            return False
        _until_active(lab, table, [where[0], *listed, *next_ones])
    if wait:
        _until_active(lab, table, where)
    return status == "ACTIVE"


def _until_active(lab: Lab, table: str, where: Sequence[str]) -> None:
    """Wait for a table, and show it only if there is something to wait for."""
    if set(watch.table_statuses(lab, table, where).values()) != {"ACTIVE"}:
        watch.tables(lab, table, "ACTIVE", where)


def members_of(lab: Lab, table: str = TABLE, region: str = "") -> list[str]:
    """The Regions of a global table of version 2017.11.29 (default: the article's), as ``region`` (default: home) knows
    them; empty if there is none."""
    return describe.legacy_members(lab, table, region or lab.home)


def _announce(what: str, how: str) -> None:
    display.Lines().say(f"gtlab creates what is missing, {how}: {what}.")


def _names(codes: Iterable[str]) -> str:
    return ", ".join(label(code) for code in codes)
