"""Settings that the replicas of a group of version 2019.11.21 share: a change to one reaches the others later."""

from __future__ import annotations

from gtlab.localcloud.globaltables import overrides
from gtlab.localcloud.globaltables.membership import Groups
from gtlab.localcloud.globaltables.replica_status import State
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.globaltables.schedule import PROPAGATE_SETTINGS, PROPAGATE_TTL, Event, Schedule
from gtlab.localcloud.model import TableId
from gtlab.localcloud.tables import replica_tables
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

# Parameters of UpdateTable that all replicas share. Read capacity, table class and the on-demand read limit are
# shared where a replica does not override them. The rest (deletion protection) is each replica's own.
SHARED = ("AttributeDefinitions", "BillingMode", "ProvisionedThroughput", "GlobalSecondaryIndexUpdates",
          "SSESpecification", "TableClass", "OnDemandThroughput", "WarmThroughput", "StreamSpecification")


class SharedSettings:
    def __init__(self, world: World, tables: Tables, groups: Groups, replicas: Replicas, schedule: Schedule):
        self._world, self._tables, self._groups = world, tables, groups
        self._replicas, self._schedule = replicas, schedule

    def table_updated(self, table: TableId, data: dict, now: float) -> None:
        """UpdateTable with ``data`` has changed a table: its group's members are UPDATING until the change has reached
        them. Does nothing for a regional table or a setting that is not shared."""
        shared = {name: data[name] for name in SHARED if name in data}
        state = self._replicas.state_of(table)
        if state is None or not shared:
            return
        own = state.replicas[table.region]
        own.overrides = overrides.after_update(own.overrides, data)
        deleted = [update["Delete"]["IndexName"] for update in data.get("GlobalSecondaryIndexUpdates", ())
                   if "Delete" in update]
        for replica in state.replicas.values() if deleted else ():
            replica.overrides = overrides.without_indexes(replica.overrides, deleted)
        if state.strong:
            shared.pop("StreamSpecification", None)
        self._schedule.add(Event(self._busy(table, state, now), PROPAGATE_SETTINGS, self._groups.must_have(table).id,
                                 table.region, settings=shared))

    def ttl_updated(self, table: TableId, now: float) -> None:
        """UpdateTimeToLive has changed a table: as above. Does nothing for a regional table."""
        state = self._replicas.state_of(table)
        if state is not None:
            self._schedule.add(Event(self._busy(table, state, now), PROPAGATE_TTL, self._groups.must_have(table).id,
                                     table.region))

    def _busy(self, table: TableId, state: State, now: float) -> float:
        """Make a group's members UPDATING until a change of one has reached all; returns until when."""
        until = now + self._world.control_plane_s("propagate settings", table.region)
        for region in state.replicas:
            self._tables.busy(table._replace(region=region), until)
        return until

    def propagate(self, event: Event, now: float) -> None:
        group, state = self._groups.by_id(event.group), self._replicas.state(event.group)
        if group is None or state is None or event.settings is None:
            return
        for region, replica in state.replicas.items():
            if region != event.region and self._tables.exists(group.table(region)):
                replica_tables.take_settings(self._tables, group.table(region), event.settings, replica.overrides,
                                             now)

    def propagate_ttl(self, event: Event, now: float) -> None:
        group, state = self._groups.by_id(event.group), self._replicas.state(event.group)
        if group is None or state is None or not self._tables.exists(group.table(event.region)):
            return
        attribute = self._tables.find(group.table(event.region)).ttl_attribute
        for table in map(group.table, state.replicas):
            if self._tables.exists(table):
                self._tables.find(table).ttl_attribute = attribute
