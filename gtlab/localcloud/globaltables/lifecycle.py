"""How replicas of version 2019.11.21 come and go: what a request begins at once, and what its events do later.

How long each step takes is in CONTROL_PLANE_S of :mod:`gtlab.localcloud.world`.
"""

from __future__ import annotations

from dataclasses import replace

from gtlab.localcloud.globaltables import overrides
from gtlab.localcloud.globaltables.checks import ReplicaUpdate
from gtlab.localcloud.globaltables.membership import CURRENT, Group, Groups
from gtlab.localcloud.globaltables.replica_status import Replica, State
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.globaltables.schedule import (
    BACKFILL_REPLICA,
    CREATE_REPLICA,
    DELETE_REPLICA,
    DISASSOCIATE_REPLICA,
    REMOVE_ENTRY,
    Event,
    Schedule,
)
from gtlab.localcloud.model import TableId
from gtlab.localcloud.tables import replica_tables
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.slices import Job
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

# Parts of the time until a new replica is ACTIVE: of 25 s, its entry appears after about 6 and its table after 10.
_ENTRY_SHOWN, _TABLE_THERE = 0.25, 0.4
_DRAINED_AGAIN_S, _DISASSOCIATE_AGAIN_S = 1.0, 0.2  # between two looks at whether all deliveries have arrived
_SENT_AGAIN_S, _NOT_READY_S = 0.5, 2.0  # between two looks at a backfill; how long its replica is not ready after each


class Lifecycle:
    """Requests must have been checked by :mod:`checks`."""

    def __init__(self, world: World, tables: Tables, groups: Groups, replicas: Replicas, scaling: AutoScaling,
                 schedule: Schedule):
        self._world, self._tables, self._groups, self._replicas = world, tables, groups, replicas
        self._scaling, self._schedule = scaling, schedule
        # Work of this process, by group and Region, and whether it is done: giving the items of a group's first member
        # their versions, and sending the existing items to a new replica.
        self._adopted: dict[tuple[str, str], bool] = {}
        self._backfilled: dict[tuple[str, str], bool] = {}

    # What a request begins

    def begin(self, update: ReplicaUpdate, now: float) -> None:
        {"Create": self._begin_create, "Update": self._update, "Delete": self._begin_delete,
         "Disassociate": self._begin_disassociate}[update.kind](update, now)

    def _begin_create(self, update: ReplicaUpdate, now: float) -> None:
        table = update.table
        group, state = self._group_for(update, now)
        if not update.strong:
            replica_tables.need_stream(self._tables, table, now)
        step = ("witnessed replica" if update.new_witness else "strong replica" if update.strong
                else "replica" if self._tables.database.is_empty(table) else "replica with data")
        settled = now
        for action in update.actions:
            region = action["RegionName"]
            ready = now + self._world.control_plane_s(step, region)
            replica = Replica(region, table.region, asked=now, shown=now + (ready - now) * _ENTRY_SHOWN, ready=ready,
                              overrides=overrides.merged({}, action))
            # The event comes first: an entry without one would be CREATING for ever.
            self._schedule.add(Event(now + (ready - now) * _TABLE_THERE, CREATE_REPLICA, group.id, region))
            state.replicas[region] = replica
            settled = max(settled, ready)
        if update.new_witness:
            state.witness, state.witness_ready = update.new_witness, settled
        self._tables.busy(table, settled)

    def _group_for(self, update: ReplicaUpdate, now: float) -> tuple[Group, State]:
        """The group of a table, a new one if it is in none, and the group's state."""
        table = update.table
        group = self._groups.of(table)
        if group is None:
            group = self._groups.new(table.account, table.name, CURRENT, now)
            self._replicas.add(group.id, State({table.region: Replica(table.region)}, strong=update.strong))
            self._groups.join(group, table.region, now)
            self._work(self._adopted, (group.id, table.region), self._groups.adoption(group, table.region), now)
        return group, self._replicas.of_group(group)

    def _update(self, update: ReplicaUpdate, now: float) -> None:
        state = self._replicas.of_group(self._groups.must_have(update.table))
        for action in update.actions:
            replica, there = state.replicas[action["RegionName"]], update.table._replace(region=action["RegionName"])
            replica.overrides = overrides.merged(replica.overrides, action)
            until = now + self._world.control_plane_s("propagate settings", update.table.region)
            replica.busy_until = until
            for table in (update.table, there):
                self._tables.busy(table, until)
            replica_tables.override(self._tables, there, replica.overrides, now)

    def _begin_delete(self, update: ReplicaUpdate, now: float) -> None:
        group = self._groups.must_have(update.table)
        state = self._replicas.of_group(group)
        step = "delete strong replicas" if state.strong else "replica update"
        settled = now + self._world.control_plane_s(step, update.table.region)
        self._tables.busy(update.table, settled)
        state.witness_deleting = bool(update.witnesses)
        for region in update.named:
            removed = settled
            if not state.strong:
                removed = max(settled, now + self._world.control_plane_s("replica gone", region))
            deleting = now if state.strong else settled
            self._schedule.add(Event(deleting, DELETE_REPLICA, group.id, region, entry_removed=removed))
            self._schedule.add(Event(removed, REMOVE_ENTRY, group.id, region))
            state.replicas[region].deleting = deleting

    def _begin_disassociate(self, update: ReplicaUpdate, now: float) -> None:
        table = update.table
        settled = now + self._world.control_plane_s("replica update", table.region)
        self._tables.busy(table, settled)
        self._schedule.add(Event(settled, DISASSOCIATE_REPLICA, self._groups.must_have(table).id, table.region))

    def deleted(self, table: TableId, group: Group, now: float, gone: float) -> None:
        """A member's table was deleted by DeleteTable: it leaves the group too. ``gone`` is when the table is gone."""
        self._schedule.add(Event(gone, REMOVE_ENTRY, group.id, table.region))
        self._replicas.of_group(group).replicas[table.region].deleting = 0.0  # forever, even if the clock is set back
        self._groups.leave(group, table.region, now)

    # What its events do

    def create_replica(self, event: Event, now: float) -> None:
        """A replica's table appears; it takes part from now on, and gets what the source has."""
        group, state = self._groups.by_id(event.group), self._replicas.state(event.group)
        replica = state.replicas.get(event.region) if state else None
        if group is None or state is None or replica is None:
            return
        if len(group.members) == 1 and not self._is_adopted(group, now):
            self._schedule.add(replace(event, due=now + _SENT_AGAIN_S))
            return
        source, there = group.table(replica.source), group.table(event.region)
        replica_tables.create(self._tables, source, there, ready=replica.ready, now=now, with_stream=not state.strong)
        replica_tables.override(self._tables, there, replica.overrides, now)
        self._scaling.copy(source, there)
        self._groups.join(group, event.region, now)
        self._backfill(group, replica, now)

    def backfill_replica(self, event: Event, now: float) -> None:
        """A backfill takes longer than its replica's creation, or was cut short by a restart: the replica is not ready
        until it is over."""
        group, state = self._groups.by_id(event.group), self._replicas.state(event.group)
        replica = state.replicas.get(event.region) if state else None
        if group is None or replica is None or event.region not in group.members:
            return
        done = self._backfilled.get((group.id, event.region))
        if done is None:
            self._backfill(group, replica, now)
        if done is not False:
            return
        replica.ready = max(replica.ready, now + _NOT_READY_S)
        self._tables.put_off(group.table(event.region), replica.ready)
        self._tables.busy(group.table(replica.source), replica.ready)
        self._schedule.add(replace(event, due=now + _SENT_AGAIN_S))

    def _backfill(self, group: Group, replica: Replica, now: float) -> None:
        where = (group.id, replica.region)
        self._work(self._backfilled, where, self._groups.backfill(group, replica.source, replica.region), now)
        if not self._backfilled[where]:
            self._schedule.add(Event(now + _SENT_AGAIN_S, BACKFILL_REPLICA, *where))

    def _is_adopted(self, group: Group, now: float) -> bool:
        """Whether all items of a group's first member have versions. A restart may have cut that short."""
        first, = group.members
        if (group.id, first) not in self._adopted:
            self._work(self._adopted, (group.id, first), self._groups.adoption(group, first), now)
        return self._adopted[group.id, first]

    def _work(self, done: dict[tuple[str, str], bool], where: tuple[str, str], job: Job, now: float) -> None:
        """Do a job in slices."""
        def work(now: float) -> bool:
            more = job(now)
            done[where] = not more
            return more
        done.pop(where, None)
        self._tables.slices.begin(work, now)
        done.setdefault(where, False)  # its first slice failed, or is still to come

    def delete_replica(self, event: Event, now: float) -> None:
        """A replica stops replicating and its table goes; its Region shows it as DELETING a while longer."""
        group, region = self._groups.by_id(event.group), event.region
        if group is None or event.entry_removed is None or not self._replicas.is_leaving(event.group, region):
            return
        if region in group.members:
            self._groups.leave(group, region, now)
        self._replicas.of_group(group).replicas[region].deleting = 0.0  # forever, even if the clock is set back
        until = event.entry_removed + self._world.control_plane_s("replica table gone", region)
        replica_tables.drop(self._tables, group.table(region), now, until)

    def remove_entry(self, event: Event, now: float) -> None:
        """A replica's entry goes; the group ends when only one replica is left. A strong group loses nothing: it
        ends only when all that its members wrote has arrived."""
        state, group = self._replicas.state(event.group), self._groups.by_id(event.group)
        if state is None or not self._replicas.is_leaving(event.group, event.region):
            return
        if group and ((state.strong and any(self._groups.waiting(group, each) for each in group.members))
                      or self._is_to_be_deleted(group, event.region)):
            self._schedule.add(replace(event, due=now + _DRAINED_AGAIN_S))
            return
        if len(state.replicas) > 2 and group is not None:
            del state.replicas[event.region]
            return
        if group is not None:
            for last in list(group.members):
                self._groups.leave(group, last, now)
        self._replicas.remove(event.group)  # last, so that an attempt that failed half-way can be repeated

    def _is_to_be_deleted(self, group: Group, region: str) -> bool:
        """Whether a replica's table is still to go, because an error put that off."""
        return self._tables.exists(group.table(region)) and self._schedule.has(DELETE_REPLICA, group.id, region)

    def disassociate_replica(self, event: Event, now: float) -> None:
        """A replica leaves with its table and data, as soon as nothing is on its way to or from it."""
        group, region = self._groups.by_id(event.group), event.region
        if group is None:
            return
        replicas = self._replicas.of_group(group).replicas
        if region not in replicas or (region not in group.members and self._replicas.is_leaving(group.id, region)):
            return
        if (self._groups.waiting(group, region)
                or any(replica.status(now) == "CREATING" for replica in replicas.values())):
            self._schedule.add(replace(event, due=now + _DISASSOCIATE_AGAIN_S))
            return
        if region in group.members:  # an earlier attempt may have failed behind this
            self._groups.leave(group, region, now)
        self._schedule.add(Event(now, REMOVE_ENTRY, group.id, region))
        replicas[region].deleting = now
