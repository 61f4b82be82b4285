"""How replicas come and go in the simulation, in global tables of version 2019.11.21 and of version 2017.11.29."""

from __future__ import annotations

from gtlab.localcloud.model import TableId
from gtlab.localcloud.proof.audit import ALBUMS, MUSIC
from gtlab.localcloud.proof.schedule import HOUR, MINUTE, REGIONS, SPARE, Process, Schedule
from gtlab.localcloud.proof.simulated import ACCOUNT, Answer


class Membership:
    """Processes that change which Regions are members. Changes are asked for in any Region, and some are refused."""

    def __init__(self, schedule: Schedule):
        self._schedule, self._cloud, self._chance = schedule, schedule.cloud, schedule.chance

    def membership_changes(self) -> Process:
        """Change replicas while something is broken."""
        here = [table.region for table in self._cloud.database.tables if table.name == MUSIC]
        for _ in range(self._chance.choice((1, 2, 3)) if here else 0):
            self._change_music(here, self._cloud.judge.members(MUSIC))
        yield from ()

    def mrec(self) -> Process:
        """Version 2019.11.21: add and remove replicas, calling any Region."""
        while True:
            here = [table.region for table in self._cloud.database.tables if table.name == MUSIC]
            members = self._cloud.judge.members(MUSIC)
            if not here:
                self._schedule.create_table(self._chance.choice(REGIONS), MUSIC)
                yield 15.0
                continue
            for _ in range(self._chance.choice((1, 1, 1, 2))):
                self._change_music(here, members)
            yield self._schedule.about(2 * HOUR if len(members) > 2 else 8 * MINUTE)

    def _change_music(self, here: list[str], members: list[str]) -> None:
        chance, music = self._chance, {"TableName": MUSIC}
        asked, other = chance.choice(members or here), chance.choice((*REGIONS, SPARE))
        update: dict = {"ReplicaUpdates": [{"Delete": {"RegionName": other}}]}
        if len(members) < 3 and chance.random() < 0.8:
            other = chance.choice([region for region in REGIONS if region not in members])
            if other in here:  # what was left behind by a removal
                self._cloud.call(other, "DeleteTable", music)
            update = {"ReplicaUpdates": [{"Create": {"RegionName": other}}]}
        else:
            kind = chance.choice(("remove", "remove", "delete", "free", "add", "create", "ttl", "setting"))
            if kind == "delete":
                self._cloud.call(other, "DeleteTable", music)
                return
            if kind == "create":
                self._schedule.create_table(other, MUSIC)
                return
            if kind == "ttl":
                self._cloud.call(asked, "UpdateTimeToLive", music | {"TimeToLiveSpecification": {
                    "Enabled": chance.random() < 0.7, "AttributeName": "until"}})
                return
            if kind == "free":
                self._cloud.call(asked, "UpdateTable", music | {"DisassociationProtectionEnabled": False})
                update = {"ReplicaUpdates": [{"Disassociate": {"RegionName": asked}}]}
            elif kind == "add":
                update = {"ReplicaUpdates": [{"Create": {"RegionName": other}}]}
            elif kind == "setting":
                update = {"OnDemandThroughput": {"MaxReadRequestUnits": chance.randint(1, 99)}}
        self._cloud.call(asked, "UpdateTable", music | update)

    def legacy(self) -> Process:
        """Version 2017.11.29: members are removed, or deleted, and come back as new tables."""
        for region in REGIONS:
            while self._schedule.create_table(region, ALBUMS).code:
                yield 30.0
        while self._cloud.call(REGIONS[0], "CreateGlobalTable", {"GlobalTableName": ALBUMS, "ReplicationGroup": [
                {"RegionName": region} for region in REGIONS]}).code:
            yield 30.0
        while True:
            yield self._schedule.about(6 * HOUR)
            region = self._chance.choice(REGIONS)
            asked = self._chance.choice([other for other in REGIONS if other != region])
            if self._chance.random() < 0.7:
                yield from self._schedule.until_done(lambda: self._change_albums(asked, "Delete", region))  # noqa: B023
                yield self._schedule.about(10 * MINUTE)  # it is written to, and takes no part
            yield from self._schedule.until_done(lambda: self._cloud.call(region, "DeleteTable", {"TableName": ALBUMS}))  # noqa: B023
            yield from self._schedule.until_done(lambda: self._schedule.create_table(region, ALBUMS))  # noqa: B023
            yield from self._schedule.until_done(lambda: self._change_albums(asked, "Create", region))  # noqa: B023

    def _change_albums(self, asked: str, kind: str, region: str) -> Answer:
        if kind == "Create":
            there = TableId(ACCOUNT, region, ALBUMS)
            for _, item in list(self._cloud.database.items(there)):  # a member must be empty at first
                self._cloud.call(region, "DeleteItem", {
                    "TableName": ALBUMS, "Key": {name: item[name] for name in "ps"}})
        return self._cloud.call(asked, "UpdateGlobalTable", {"GlobalTableName": ALBUMS, "ReplicaUpdates": [
            {kind: {"RegionName": region}}]})
