"""Global tables of version 2019.11.21 as the rest of the cloud uses them: one method a call, and the time.

The service creates and deletes the replicas' tables itself, some time after UpdateTable was called:

- :mod:`checks` checks requests, with the service's texts,
- :mod:`lifecycle` carries them out, at once and later,
- :mod:`shared_settings` carries settings to the other replicas,
- :mod:`schedule` is what is still to happen,
- :mod:`replicas` and :mod:`replica_status` are what there is, and how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gtlab.localcloud.globaltables import overrides
from gtlab.localcloud.globaltables.checks import Checks
from gtlab.localcloud.globaltables.lifecycle import Lifecycle
from gtlab.localcloud.globaltables.membership import CURRENT, Group, Groups
from gtlab.localcloud.globaltables.replica_status import REPLICATION_MODE, Replica, State, replica_entry
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.globaltables.schedule import (
    BACKFILL_REPLICA,
    CREATE_REPLICA,
    DELETE_REPLICA,
    DISASSOCIATE_REPLICA,
    PROPAGATE_SETTINGS,
    PROPAGATE_TTL,
    REMOVE_ENTRY,
    Event,
    Schedule,
)
from gtlab.localcloud.globaltables.shared_settings import SharedSettings
from gtlab.localcloud.model import TableId
from gtlab.localcloud.observe.internal_errors import RETRY_S, InternalErrors
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World


@dataclass
class Saved:
    states: dict[str, State]     # by group
    events: list[Event]


class Current:
    """The groups of the current version. ``schedule``: what is still to happen to them."""

    def __init__(self, world: World, tables: Tables, groups: Groups, scaling: AutoScaling, errors: InternalErrors):
        self._tables, self._errors = tables, errors
        self.schedule = Schedule()
        self.replicas = Replicas(groups)
        self.check = Checks(tables, groups, self.replicas, scaling)
        self._lifecycle = Lifecycle(world, tables, groups, self.replicas, scaling, self.schedule)
        self._settings = SharedSettings(world, tables, groups, self.replicas, self.schedule)
        self.handlers: dict[str, Callable[[Event, float], None]] = {
            CREATE_REPLICA: self._lifecycle.create_replica,
            BACKFILL_REPLICA: self._lifecycle.backfill_replica,
            DELETE_REPLICA: self._lifecycle.delete_replica,
            REMOVE_ENTRY: self._lifecycle.remove_entry,
            DISASSOCIATE_REPLICA: self._lifecycle.disassociate_replica,
            PROPAGATE_SETTINGS: self._settings.propagate,
            PROPAGATE_TTL: self._settings.propagate_ttl,
        }

    # Time

    def tick(self, now: float) -> bool:
        """Carry out all events that are due; returns whether there were any. An event that fails twice is tried again
        after RETRY_S."""
        happened = False
        while event := self.schedule.take(now):
            if not self._errors.attempt(_about, self.handlers[event.name], event, now):
                self.schedule.add(replace(event, due=now + RETRY_S))
            happened = True
        return happened

    # What is kept

    def saved(self) -> Saved:
        return Saved(self.replicas.saved(), self.schedule.saved())

    def restore(self, kept: Saved) -> None:
        """Take over what was kept. Raises ValueError for an event that this version does not know."""
        self.replicas.restore(kept.states)
        self.schedule.restore(kept.events)

    # Calls. Those that can be refused are to be checked first, by ``check``.

    def describe(self, table: TableId, now: float) -> dict:
        """The group's keys of a TableDescription; none for a regional table."""
        state = self.replicas.state_of(table)
        if state is None:
            return {}
        others = [replica for region, replica in state.replicas.items()
                  if region != table.region and now >= replica.shown]
        found: dict = {"GlobalTableVersion": CURRENT, "GlobalTableSettingsReplicationMode": REPLICATION_MODE,
                       "Replicas": [replica_entry(replica, self._overrides(table, replica),
                                                  self._warm(table, replica.region, now), now) for replica in others]}
        if state.strong:
            found["MultiRegionConsistency"] = "STRONG"
        if state.witness:
            found["GlobalTableWitnesses"] = [{"RegionName": state.witness, "WitnessStatus": state.witness_status(now)}]
        if not state.strong:
            found["DisassociationProtectionEnabled"] = state.protects(table.region)
        return found

    def _overrides(self, table: TableId, replica: Replica) -> dict:
        return overrides.applying(replica.overrides, self._tables.database.schema(table),
                                  on_demand=self._tables.is_on_demand(table))

    def _warm(self, table: TableId, region: str, now: float) -> dict | None:
        there = table._replace(region=region)
        return self._tables.describe(there, now).get("WarmThroughput") if self._tables.exists(there) else None

    def update_replicas(self, table: TableId, data: dict, now: float) -> None:
        """UpdateTable with ReplicaUpdates or GlobalTableWitnessUpdates."""
        self._lifecycle.begin(self.check.replica_update(table, data, now), now)

    def protect(self, table: TableId, enabled: bool) -> None:
        """UpdateTable with DisassociationProtectionEnabled."""
        self.check.protection(table).protected[table.region] = enabled

    def updated(self, table: TableId, data: dict, now: float) -> None:
        """UpdateTable with any other settings: those that are shared reach the other replicas a while later."""
        self._settings.table_updated(table, data, now)

    def ttl_updated(self, table: TableId, now: float) -> None:
        """UpdateTimeToLive: the other replicas get the setting a while later."""
        self._settings.ttl_updated(table, now)

    def deleted(self, table: TableId, group: Group, now: float, gone: float) -> None:
        """DeleteTable: the table leaves its group too. ``gone``: when the table is gone, epoch seconds."""
        self._lifecycle.deleted(table, group, now, gone)


def _about(event: Event, now: float) -> str:
    return f"The event {event.name} of {event.group} in {event.region}"
