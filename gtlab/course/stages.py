"""The stages of the course: bring the world to one of them, so that every notebook can be started first.

Each function says what it does, does only what is missing, and can be run again.
"""

from __future__ import annotations

from collections.abc import Iterable

from gtlab import regions as catalogue
from gtlab.contract import STRONG_REGIONS
from gtlab.lab import DEFAULT_HOME, DEFAULT_REPLICAS, Lab, watch

TABLE = "Music"
TODAY, STRONG = "MusicToday", "MusicStrong"  # tables of today's version (2019.11.21)
_GOING = (watch.ABSENT, "DELETING")

# The article's table: its key, its capacity, its stream.
MUSIC = {
    "TableName": TABLE,
    "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"},
                             {"AttributeName": "SongTitle", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"},
                  {"AttributeName": "SongTitle", "KeyType": "RANGE"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


def ensure_tables(lab: Lab, regions: Iterable[str] = ()) -> None:
    """Have the article's table, ACTIVE, in each Region (default: home and the first replica)."""
    where = tuple(regions) or lab.regions[:2]
    statuses = watch.table_statuses(lab, TABLE, where)
    missing = [region for region in where if statuses[region] in _GOING]
    if missing:
        if "DELETING" in statuses.values():  # it has to be gone before there can be another
            watch.tables(lab, TABLE, watch.ABSENT, missing)
        print(f"Brought here by gtlab, as 01_create_the_tables does: table {TABLE} in {_names(missing)}.")
        for region in missing:
            lab.client(region).create_table(**MUSIC)
    if any(status != "ACTIVE" for status in statuses.values()):
        watch.tables(lab, TABLE, "ACTIVE", where)


def ensure_global_table(lab: Lab) -> None:
    """Have a global table of the article's table in all the lab's Regions, every replica ACTIVE.

    Raises RuntimeError where the tables that exist cannot become one; the text says what to do.
    """
    if not lab.legacy_api and lab.current_api:
        _ensure_current(lab)
        return
    ensure_tables(lab, lab.regions)
    if not lab.legacy_api:
        return  # how these Regions are joined is this backend's own affair
    client = lab.client(lab.home)
    members = members_of(lab)
    missing = [region for region in lab.regions if region not in members]
    if not missing:
        return
    print(f"Brought here by gtlab, as 02_create_the_global_table does: global table {TABLE} with {_names(missing)}.")
    group = [{"RegionName": region} for region in missing]
    try:
        if members:
            client.update_global_table(GlobalTableName=TABLE, ReplicaUpdates=[{"Create": each} for each in group])
        else:
            client.create_global_table(GlobalTableName=TABLE, ReplicationGroup=group)
    except client.exceptions.ClientError as error:
        raise RuntimeError(f"The tables that are there cannot be joined: {error.response['Error']['Message']}\n"
                           "Run 09_clean_up to begin anew; it deletes them.") from None
    watch.global_table(lab, TABLE)


def _ensure_current(lab: Lab) -> None:
    """The same where only the current version is to be had: an on-demand table, and its replicas one by one."""
    client = lab.client(lab.home)
    if watch.table_status(lab, TABLE, lab.home) in _GOING:
        watch.tables(lab, TABLE, watch.ABSENT, [lab.home])
        print(f"Brought here by gtlab: table {TABLE} in {_names([lab.home])}.")
        asked = {name: value for name, value in MUSIC.items() if name != "ProvisionedThroughput"}
        client.create_table(**asked, BillingMode="PAY_PER_REQUEST")
    watch.tables(lab, TABLE, "ACTIVE", [lab.home])
    described = client.describe_table(TableName=TABLE)["Table"]
    for region in lab.replicas:
        if region in [entry["RegionName"] for entry in described.get("Replicas", [])]:
            continue
        print(f"Brought here by gtlab, with one UpdateTable: a replica in {_names([region])}.")
        try:
            client.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        except client.exceptions.ClientError as error:
            raise RuntimeError(f"The replica cannot be made: {error.response['Error']['Message']}\n"
                               "Run 09_clean_up to begin anew; it deletes the tables.") from None
        watch.tables(lab, TABLE, "ACTIVE", [lab.home, region])


def ensure_today(lab: Lab, *, wait: bool = True) -> None:
    """Have table MusicToday, a global table of today's version, at home and in the first replica Region.

    ``wait=False`` takes the next step only, if there is one to take, and comes back at once: so a notebook can have
    made meanwhile what it needs at its end. Raises RuntimeError where the tables that exist are in the way.
    """
    _ensure_members(lab, TODAY, lab.regions[:2], {}, wait)


def ensure_strong(lab: Lab, *, wait: bool = True) -> tuple[str, ...]:
    """Have table MusicStrong, strongly consistent across three Regions, and say which; see :func:`ensure_today`.

    They are the lab's, or the article's where the lab's do not make three of those in which AWS offers it.
    """
    found = tuple(region for region in lab.regions if region in STRONG_REGIONS)[:3]
    trio = found if len(found) == 3 else (DEFAULT_HOME, *DEFAULT_REPLICAS)
    _ensure_members(lab, STRONG, trio, {"MultiRegionConsistency": "STRONG"}, wait)
    return trio


def _ensure_members(lab: Lab, table: str, where: tuple[str, ...], kind: dict[str, str], wait: bool) -> None:
    client, status = lab.client(where[0]), watch.table_status(lab, table, where[0])
    if status in _GOING:
        watch.tables(lab, table, watch.ABSENT, where[:1])
        print(f"Brought here by gtlab, as in 05_build_it_today: table {table} in {_names(where)}.")
        client.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=MUSIC["KeySchema"][:1],
                            AttributeDefinitions=MUSIC["AttributeDefinitions"][:1])
        status = "CREATING"
    if wait:
        watch.tables(lab, table, "ACTIVE", where[:1])
    elif status != "ACTIVE":
        return
    listed = [entry["RegionName"] for entry in client.describe_table(TableName=table)["Table"].get("Replicas", [])]
    missing = [{"Create": {"RegionName": region}} for region in where[1:] if region not in listed]
    if missing:
        try:
            client.update_table(TableName=table, ReplicaUpdates=missing, **kind)
        except client.exceptions.ClientError as error:
            raise RuntimeError(f"The replicas cannot be made: {error.response['Error']['Message']}\n"
                               "Run 09_clean_up to begin anew; it deletes the tables.") from None
    if wait:
        watch.tables(lab, table, "ACTIVE", where)


def remove_todays(lab: Lab) -> None:
    """Delete the tables that :func:`ensure_today` and :func:`ensure_strong` made, leaf first."""
    last: dict[str, str] = {}
    for table in (STRONG, TODAY):
        where = regions_with_table(lab, table)
        if not where:
            continue
        watch.tables(lab, table, "ACTIVE", where)
        made_by = (*lab.regions, DEFAULT_HOME, *where)
        last[table] = next(region for region in made_by if region in where)  # the Region that made the others goes last
        leaves = [region for region in where if region != last[table]]
        print(f"Deleting table {table} in {_names([*leaves, last[table]])}.")
        if leaves and table == STRONG:  # one alone cannot go
            lab.client(last[table]).update_table(TableName=table, ReplicaUpdates=[
                {"Delete": {"RegionName": region}} for region in leaves])
        for region in leaves if table != STRONG else ():
            lab.client(region).delete_table(TableName=table)
    for table in reversed(last):  # the strongly consistent one takes longest
        where = regions_with_table(lab, table)
        watch.tables(lab, table, watch.ABSENT, [region for region in where if region != last[table]])
        watch.tables(lab, table, "ACTIVE", [last[table]])
        lab.client(last[table]).delete_table(TableName=table)
        watch.tables(lab, table, watch.ABSENT, [last[table]])


def members_of(lab: Lab, table: str = TABLE, region: str = "") -> list[str]:
    """The Regions of a global table (version 2017.11.29; the article's), as ``region`` (default: home) knows it; empty
    where there is none."""
    client = lab.client(region or lab.home)
    try:
        described = client.describe_global_table(GlobalTableName=table)["GlobalTableDescription"]
    except client.exceptions.GlobalTableNotFoundException:
        return []
    return [member["RegionName"] for member in described["ReplicationGroup"]]


def regions_with_table(lab: Lab, table: str = TABLE) -> list[str]:
    """Where a table (the article's) is: on the local cloud in any Region, elsewhere in the lab's, in its members' and
    in the article's."""
    near = [*lab.regions, *members_of(lab), DEFAULT_HOME, *DEFAULT_REPLICAS]
    candidates = list(catalogue.REGIONS) if lab.simulated else list(dict.fromkeys(near))
    statuses = watch.table_statuses(lab, table, candidates)
    return [region for region, status in statuses.items() if status not in _GOING]


def _names(codes: Iterable[str]) -> str:
    return ", ".join(catalogue.label(code) for code in codes)
