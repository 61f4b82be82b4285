"""Global tables of version 2017.11.29: the API that the article uses.

AWS has refused CreateGlobalTable since 2026. The local cloud has two modes: in ``historic`` the call works as it used
to; in ``2026`` it is refused as AWS refuses it now. In ``2026``, existing groups continue to replicate, but no call
shows them. A table that is still being created is accepted as a member, and the global table becomes ACTIVE after
that table is ready, because the article never waits. Error texts that are not known from the service are ours, in its
style; docs/local-cloud.md lists them. For the attributes that this version adds to items, see :mod:`v2017_items`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gtlab import regions
from gtlab.contract import HISTORIC
from gtlab.localcloud.engine.constraints import check, every, length, pattern, structure
from gtlab.localcloud.globaltables.membership import CURRENT, LEGACY, Group, Groups
from gtlab.localcloud.model import Refusal, TableId, invalid, invalid_values
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

# The only Regions that ever supported this version, in the order of the service's error message.
_EVER = ("eu-west-2", "eu-west-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-2", "eu-central-1",
         "ap-northeast-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2")
_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_LIST = structure({"ExclusiveStartGlobalTableName": every(pattern("[a-zA-Z0-9_.-]+"), length(3, 255))})


class Legacy:
    """The operations of the legacy API: (account, input, now) → output. ``face`` is one of FACES."""

    def __init__(self, world: World, tables: Tables, groups: Groups, face: str = HISTORIC):
        self._world, self._tables, self._groups, self.face = world, tables, groups, face

    def status(self, group: Group, now: float) -> str:
        if now < group.settled:
            return "UPDATING" if group.complete else "CREATING"
        group.complete = True
        return "ACTIVE"

    def create(self, account: str, here: str, data: dict, now: float) -> dict:
        name = checked_name(data)
        asked = [replica.get("RegionName") for replica in data["ReplicationGroup"]]
        if not asked:
            raise invalid_values("Global table must have atleast one replica")
        _check_regions(asked)
        self._check_open(here)
        _check_once(asked)
        if self._groups.find(account, name):
            raise Refusal("GlobalTableAlreadyExistsException",
                          f"Global table already exists: Global table with name: '{name}' already exists.")
        self._check_members(account, name, asked, [], now)
        group = self._groups.new(account, name, LEGACY, now)
        for region in reversed(asked):  # members are kept newest first; new members appear in the order of the request
            self._add(group, region, now)
        return {"GlobalTableDescription": self._describe(group, now)}

    def update(self, account: str, here: str, data: dict, now: float) -> dict:
        name, updates = checked_name(data), data["ReplicaUpdates"]
        if not updates:
            raise Refusal("ValidationException", "One or more parameter values were invalid")
        if any("Create" in update and "Delete" in update for update in updates):
            raise invalid("A ReplicaUpdate structure cannot contain both a create replica action and a "
                          "delete replica action")
        if any(not ({"Create", "Delete"} & set(update)) for update in updates):
            raise invalid("One or more parameter values were invalid")
        adds = [update["Create"]["RegionName"] for update in updates if "Create" in update]
        removals = [update["Delete"]["RegionName"] for update in updates if "Delete" in update]
        _check_regions(adds + removals)
        if adds:
            self._check_open(here)
        _check_once(adds + removals)
        group = self.find(account, name)
        for region in adds:
            if region in group.members:
                raise Refusal("ReplicaAlreadyExistsException",
                              f"Global table: '{name}' already has a replica in Region: '{region}'.")
        for region in removals:
            if region not in group.members:
                raise Refusal("ReplicaNotFoundException",
                              f"Global table: '{name}' has no replica in Region: '{region}'.")
        remaining = [region for region in group.members if region not in removals]
        self._check_members(account, name, adds, remaining, now)
        was = self.status(group, now)
        for region in adds:
            self._add(group, region, now)
        for region in removals:
            self._groups.leave(group, region, now)  # removed from the group: the table and its data stay
        # The answer shows the requested members with the previous status.
        return {"GlobalTableDescription": self._describe(group, now) | {"GlobalTableStatus": was}}

    def describe(self, account: str, data: dict, now: float) -> dict:
        return {"GlobalTableDescription": self._describe(self.find(account, checked_name(data)), now)}

    def list_tables(self, account: str, data: dict, now: float) -> dict:
        region, limit = data.get("RegionName"), data.get("Limit", 100)
        check(data, _LIST)
        if region is not None:
            _check_regions([region])
        if limit < 1:
            raise invalid(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                          "Member must have value greater than or equal to 1")
        found = sorted((group for group in self._groups
                        if self._shows(group) and group.account == account and region in (None, *group.members)
                        and group.name > data.get("ExclusiveStartGlobalTableName", "")), key=lambda group: group.name)
        answer = {"GlobalTables": [{"GlobalTableName": group.name, "ReplicationGroup": _members(group.members)}
                                   for group in found[:limit]]}
        if len(found) > limit:
            answer["LastEvaluatedGlobalTableName"] = found[limit - 1].name
        return answer

    def find(self, account: str, name: str, opening: str = "Global table not found: ") -> Group:
        group = self._groups.find(account, name)
        if group is None or not self._shows(group):
            raise Refusal("GlobalTableNotFoundException",
                          f"{opening}Global table with name: '{name}' does not exist.")
        return group

    def _shows(self, group: Group) -> bool:
        """Whether the legacy calls show a group: never one of the current version, and none at all in ``2026``."""
        return group.version == LEGACY and self.face == HISTORIC

    def _check_open(self, here: str) -> None:
        """In ``2026``, refuse to create or extend a global table. The message depends on the called Region."""
        if self.face == HISTORIC:
            return
        if here not in _EVER:
            raise invalid_values(f"DynamoDB global tables version {LEGACY} is not supported in this region "
                                 f"'{here}', supported regions are : [{', '.join(_EVER)}]")
        raise invalid_values(f"DynamoDB global tables version {LEGACY} is not supported. We recommend using DynamoDB "
                             f"global tables version {CURRENT}, instead of version {LEGACY} (Legacy).")

    def _describe(self, group: Group, now: float) -> dict:
        return {"ReplicationGroup": _members(group.members), "GlobalTableArn": group.arn,
                "CreationDateTime": group.created, "GlobalTableStatus": self.status(group, now),
                "GlobalTableName": group.name}

    def _add(self, group: Group, region: str, now: float) -> None:
        ready = max(now, self._tables.ready_at(group.table(region)))
        self._groups.join(group, region, now)
        takes = self._world.control_plane_s("legacy global table", region)
        group.settled = max(group.settled, ready + takes)

    def _check_members(self, account: str, name: str, adds: list[str], members: list[str], now: float) -> None:
        """The preconditions of this version: identical, empty tables of that name with streams in every Region."""
        for region in adds:
            table = TableId(account, region, name)
            if not self._tables.exists(table):
                raise Refusal("TableNotFoundException",
                              f"Table not found: Table with name: '{name}' does not exist in Region: '{region}'.")
            if self._tables.stream_view(table) != "NEW_AND_OLD_IMAGES":
                raise invalid_values(f"Table: '{name}' in Region: '{region}' must have a stream enabled with "
                                     "StreamViewType NEW_AND_OLD_IMAGES")
            if not self._tables.database.is_empty(table):
                raise invalid_values(f"Table: '{name}' in Region: '{region}' contains data. A table must be empty "
                                     "to become a replica of a global table")
        for what, look in _ALIKE.items():
            self._check_alike(account, name, [*members, *adds], what, look)

    def _check_alike(self, account: str, name: str, among: list[str], what: str, look: Callable) -> None:
        schema = self._tables.database.schema
        for region in among[1:]:
            if look(schema(TableId(account, region, name))) != look(schema(TableId(account, among[0], name))):
                raise invalid_values(f"Table: '{name}' in Region: '{region}' does not have the same {what} as in "
                                     f"Region: '{among[0]}'")


def _key_schema(schema: dict) -> list:
    types = {each["AttributeName"]: each["AttributeType"] for each in schema["AttributeDefinitions"]}
    return [(each["KeyType"], each["AttributeName"], types[each["AttributeName"]]) for each in schema["KeySchema"]]


def _indexes(kind: str) -> Callable[[dict], dict]:
    def look(schema: dict) -> dict:
        return {index["IndexName"]: _key_schema(index | {"AttributeDefinitions": schema["AttributeDefinitions"]})
                for index in schema[kind]}
    return look


def _write_capacity(schema: dict) -> tuple:
    return (schema["BillingModeSummary"]["BillingMode"], schema["ProvisionedThroughput"]["WriteCapacityUnits"])


# The properties that must be identical in all members' tables.
_ALIKE = {
    "key schema": _key_schema,
    "global secondary indexes": _indexes("GlobalSecondaryIndexes"),
    "local secondary indexes": _indexes("LocalSecondaryIndexes"),
    "write capacity settings": _write_capacity,
}


def _members(found) -> list[dict]:
    return [{"RegionName": region} for region in found]


def checked_name(data: dict) -> str:
    name = data["GlobalTableName"]
    if not 3 <= len(name) <= 255:
        raise invalid("TableName must be at least 3 characters long and at most 255 characters long")
    if not _NAME.fullmatch(name):
        raise invalid(f"1 validation error detected: Value '{name}' at 'globalTableName' failed to satisfy constraint: "
                      f"Member must satisfy regular expression pattern: {_NAME.pattern}")
    return name


def _check_regions(asked: list[str | None]) -> None:
    for region in asked:
        if region not in regions.REGIONS:
            raise invalid(f"Invalid AWS Region: {region or 'null'}")


def _check_once(asked: list[str]) -> None:
    twice = next((region for region in asked if asked.count(region) > 1), None)
    if twice:
        raise invalid_values(f"Region: '{twice}' is named more than once")
