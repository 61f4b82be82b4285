"""Global tables of version 2019.11.21: UpdateTable with ReplicaUpdates.

The service makes and deletes the replicas' tables itself. What happens when is in CONTROL_PLANE_S of
:mod:`world`: an entry in Replicas appears, a table appears behind it, both become ACTIVE. What has to happen
at a moment waits in a queue; statuses are worked out from times when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gtlab import regions
from gtlab.contract import STRONG_REGIONS
from gtlab.localcloud import engine
from gtlab.localcloud.globaltables.membership import CURRENT, Group, Groups
from gtlab.localcloud.globaltables.schedule import (
    CREATE_REPLICA,
    DELETE_REPLICA,
    DISASSOCIATE_REPLICA,
    PROPAGATE_SETTINGS,
    PROPAGATE_TTL,
    REMOVE_ENTRY,
    Event,
    Schedule,
)
from gtlab.localcloud.model import TableId, in_use, invalid, invalid_values
from gtlab.localcloud.replication import Replication
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

SOURCE_RULE_S = 24 * 3600  # a source of new replicas cannot be deleted for that long; not scaled by the network
_MODE = "ENABLED_WITH_OVERRIDES"  # what groups of one account always show
_ACTIONS = ("Create", "Update", "Delete", "Disassociate")
# Settings of UpdateTable that all replicas share. Read capacity, table class and the on-demand read limit are
# shared where a replica does not override them. The rest (deletion protection) is each replica's own.
_SHARED = ("AttributeDefinitions", "BillingMode", "ProvisionedThroughput", "GlobalSecondaryIndexUpdates",
           "SSESpecification", "TableClass", "OnDemandThroughput", "WarmThroughput", "StreamSpecification")


@dataclass
class Replica:
    """One Region's part in a group. Times are seconds; the group's first table has them all in the past."""

    region: str
    source: str = ""              # the Region whose UpdateTable asked for it
    asked: float = 0.0
    shown: float = 0.0            # its entry appears in the others' Replicas
    ready: float = 0.0            # ACTIVE
    busy_until: float = 0.0       # UPDATING until then
    deleting: float | None = None  # its entry shows DELETING from then on
    overrides: dict = field(default_factory=dict)  # as in ReplicaUpdates

    def status(self, now: float) -> str:
        if self.deleting is not None and now >= self.deleting:
            return "DELETING"
        return "CREATING" if now < self.ready else "UPDATING" if now < self.busy_until else "ACTIVE"


@dataclass
class _State:
    replicas: dict[str, Replica]                     # in order of creation
    strong: bool = False
    witness: str | None = None
    witness_ready: float = 0.0
    witness_deleting: bool = False
    protected: dict[str, bool] = field(default_factory=dict)  # DisassociationProtectionEnabled by Region


@dataclass
class Saved:
    states: dict[str, _State]
    events: list[Event]


class Current:
    """The groups of the current version, and what is to happen to them."""

    def __init__(self, world: World, tables: Tables, groups: Groups, replication: Replication, scaling: AutoScaling):
        self._world, self._tables, self._groups = world, tables, groups
        self._replication, self._scaling = replication, scaling
        self._states: dict[str, _State] = {}
        self._schedule = Schedule()

    # Time

    def next_due(self) -> float | None:
        return self._schedule.next_due()

    def tick(self, now: float) -> bool:
        """Carry out all events that are due; returns whether there were any."""
        happened = False
        while event := self._schedule.take(now):
            _CARRIED_OUT_BY[event.name](self, event, now)
            happened = True
        return happened

    # What is kept

    def saved(self) -> Saved:
        return Saved(dict(self._states), self._schedule.saved())

    def restore(self, kept: Saved) -> None:
        """Take over what was kept. Raises ValueError for an event that this version does not know."""
        self._states = kept.states
        self._schedule.restore(kept.events)

    # Looking

    def state(self, table: TableId) -> _State | None:
        """The state of the group that a table is in, or whose replica it is about to be."""
        group = self._groups.find(table.account, table.name)
        state = self._states.get(group.id) if group else None
        return state if state and table.region in state.replicas else None

    def any_strong(self) -> bool:
        """Whether there is any strongly consistent group."""
        for state in self._states.values():  # asked at every call: any() of a generator takes twice as long
            if state.strong:
                return True
        return False

    def is_strong(self, group_id: str) -> bool:
        state = self._states.get(group_id)
        return bool(state and state.strong)

    def strong_members(self, table: TableId) -> list[str] | None:
        """The Regions that share a strongly consistent group with a table, witness included; None if it is in none."""
        state = self.state(table)
        if state is None or not state.strong:
            return None
        return [*(region for region in state.replicas if region != table.region), *filter(None, [state.witness])]

    def describe(self, table: TableId, now: float) -> dict:
        """The group's keys of a TableDescription; none for a regional table."""
        state = self.state(table)
        if state is None:
            return {}
        others = [replica for region, replica in state.replicas.items()
                  if region != table.region and now >= replica.shown]
        found: dict = {"GlobalTableVersion": CURRENT, "GlobalTableSettingsReplicationMode": _MODE,
                       "Replicas": [self._entry(table, replica, now) for replica in others]}
        if state.strong:
            found["MultiRegionConsistency"] = "STRONG"
        if state.witness:
            status = ("DELETING" if state.witness_deleting
                      else "CREATING" if now < state.witness_ready else "ACTIVE")
            found["GlobalTableWitnesses"] = [{"RegionName": state.witness, "WitnessStatus": status}]
        if not state.strong:
            found["DisassociationProtectionEnabled"] = state.protected.get(table.region, True)
        return found

    def _entry(self, table: TableId, replica: Replica, now: float) -> dict:
        status = replica.status(now)
        entry: dict = {"RegionName": replica.region, "ReplicaStatus": status}
        if status == "CREATING":
            return entry
        entry["GlobalTableSettingsReplicationMode"] = _MODE
        there = TableId(table.account, replica.region, table.name)
        if self._tables.exists(there):
            warm = self._tables.describe(there, now).get("WarmThroughput")
            if warm:
                entry["WarmThroughput"] = warm
        for asked in ("ProvisionedThroughputOverride", "OnDemandThroughputOverride", "KMSMasterKeyId",
                      "GlobalSecondaryIndexes"):
            if asked in replica.overrides:
                entry[asked] = replica.overrides[asked]
        if "TableClassOverride" in replica.overrides:
            entry["ReplicaTableClassSummary"] = {"TableClass": replica.overrides["TableClassOverride"]}
        return entry

    # UpdateTable with ReplicaUpdates or GlobalTableWitnessUpdates

    def update_replicas(self, table: TableId, data: dict, now: float) -> None:
        """Check a whole request first, and only then begin what it asks for."""
        updates, witnesses = data.get("ReplicaUpdates", []), data.get("GlobalTableWitnessUpdates", [])
        if set(data) - {"TableName", "ReplicaUpdates", "GlobalTableWitnessUpdates", "MultiRegionConsistency"}:
            raise invalid_values("Replica modification must be the only operation in the request")
        kind, actions = _one_kind(updates, witnesses)
        self._tables.find(table)
        state = self.state(table)
        strong = data.get("MultiRegionConsistency") == "STRONG" or bool(state and state.strong)
        if "MultiRegionConsistency" in data:
            if kind != "Create":
                raise invalid("Only Replica Create actions are supported when MultiRegionConsistency parameter is "
                              "provided.")
            if state and data["MultiRegionConsistency"] == "STRONG":
                raise invalid("MultiRegionConsistency parameter is unsupported on existing global table")
        elif any("Create" in each for each in witnesses) and not (state and state.strong):
            raise invalid("MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is "
                          "present.")
        named = [action["RegionName"] for action in actions]
        if len(set(named)) > 1 and not strong:
            raise invalid("Update table operation with more than one create or delete replica actions not allowed")
        self._check_regions(table, kind, [*named, *(action["RegionName"] for each in witnesses
                                                    for action in each.values())])
        self._check_idle(table, state, now)
        if self._is_legacy(table):
            raise invalid_values(f"Table: '{table.name}' is a replica of a global table of version 2017.11.29. "
                                 "Remove it from that global table first")
        {"Create": self._create, "Update": self._update, "Delete": self._delete,
         "Disassociate": self._disassociate}[kind](
            table, list({action["RegionName"]: action for action in actions}.values()), witnesses, strong, now)

    def _is_legacy(self, table: TableId) -> bool:
        group = self._groups.of(table)
        return group is not None and group.version != CURRENT

    def _check_regions(self, table: TableId, kind: str, named: list[str]) -> None:
        for region in named:
            if region not in regions.REGIONS:
                raise invalid(f"Region {region} is not supported. The latest version of global tables are only "
                              f"supported in the following regions: [{', '.join(sorted(regions.REGIONS))}]")
        if kind == "Disassociate":
            if named != [table.region]:
                raise invalid("A Disassociate action must name the local region, and be the only action.")
        elif table.region in named:
            raise invalid("Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, "
                          "DeleteTable, or UpdateTable as required.")

    def _check_idle(self, table: TableId, state: _State | None, now: float) -> None:
        for replica in state.replicas.values() if state else ():
            if replica.status(now) == "CREATING":
                raise invalid("Create/Update/Delete of replica is not allowed while the replica is being added to "
                              f"table with name: ‘{table.name}’ in region: ‘{replica.region}’.")
        if self._tables.status(table, now) != "ACTIVE" or (state and state.replicas[table.region].deleting is not None):
            raise in_use()

    def _create(self, table: TableId, actions: list[dict], witnesses: list[dict], strong: bool, now: float) -> None:
        state = self.state(table)
        if state and state.strong:
            raise invalid("Cannot add replicas to a global table with strong MultiRegionConsistency")
        other = self._groups.find(table.account, table.name)
        if other and state is None:
            raise invalid(f"gtlab's local cloud has one global table of a name: '{table.name}' is one already, in "
                          f"{', '.join(other.members)}, and the table in {table.region} is no part of it. Delete "
                          "this table and add the Region from one of those, or take that global table apart first.")
        if strong:
            _check_strong(table, [action["RegionName"] for action in actions],
                          [each["Create"]["RegionName"] for each in witnesses if "Create" in each])
            if not engine.is_empty(table):
                raise invalid_values(f"Table: '{table.name}' must be empty to become a global table with "
                                     "MultiRegionConsistency set to STRONG")
            self._check_strong_table(table)
        for action in actions:
            there = TableId(table.account, action["RegionName"], table.name)
            if (state and there.region in state.replicas) or self._tables.occupied(there, now):
                raise invalid(f"Failed to create a the new replica of table with name: ‘{table.name}’ because one or "
                              "more replicas already existed as tables.")
            self._check_override(table, action)
        if not self._scaling.scales_writes(table):
            raise invalid("Table write capacity should either be Pay-Per-Request or AutoScaled.")
        if not self._scaling.scales_index_writes(table):
            raise invalid("GSI write capacity should either be Pay-Per-Request or AutoScaled.")
        self._begin_create(table, actions, witnesses, strong, now)

    def _check_strong_table(self, table: TableId) -> None:
        if engine.schema(table)["LocalSecondaryIndexes"]:
            raise invalid("Local secondary indexes are not supported for global tables with MultiRegionConsistency "
                          "set to STRONG.")
        if self._tables.find(table).ttl_attribute:
            raise invalid("Time to Live is not supported for global tables with MultiRegionConsistency set to STRONG.")

    def _check_override(self, table: TableId, action: dict) -> None:
        on_demand = engine.schema(table)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        if on_demand and "ProvisionedThroughputOverride" in action:
            raise invalid("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                          "PAY_PER_REQUEST")

    def _begin_create(self, table: TableId, actions: list[dict], witnesses: list[dict], strong: bool,
                      now: float) -> None:
        group = self._groups.of(table)
        if group is None:
            group = self._groups.new(table.account, table.name, CURRENT, now)
            self._states[group.id] = _State({table.region: Replica(table.region)}, strong=strong)
            self._groups.join(group, table.region, now)
        state = self._states[group.id]
        if not strong:
            self._tables.need_stream(table, now)
        witness = next((each["Create"]["RegionName"] for each in witnesses), None)
        step = ("witnessed replica" if witness else "strong replica" if strong
                else "replica" if engine.is_empty(table) else "replica with data")
        settled = now
        for action in actions:
            region = action["RegionName"]
            ready = now + self._world.control_plane_s(step, region)
            made = now + (ready - now) * 0.4   # of 25 s, the table is there after about 10 and its entry after 6
            replica = Replica(region, table.region, asked=now, shown=now + (ready - now) * 0.25, ready=ready,
                              overrides={name: value for name, value in action.items() if name != "RegionName"})
            state.replicas[region] = replica
            self._schedule.add(Event(made, CREATE_REPLICA, group.id, region))
            settled = max(settled, ready)
        if witness:
            state.witness, state.witness_ready = witness, settled
        self._tables.busy(table, settled)

    def _create_replica(self, event: Event, now: float) -> None:
        """A replica's table appears; it takes part from here on, and gets what the source has."""
        group_id, region = event.group, event.region
        group, state = self._groups.by_id(group_id), self._states.get(group_id)
        replica = state.replicas.get(region) if state else None
        if replica is None:
            return
        source, there = group.table(replica.source), group.table(region)
        self._tables.create_replica(source, there, replica.overrides, ready=replica.ready, now=now,
                                    with_stream=not state.strong)
        self._scaling.copy(source, there)
        self._groups.join(group, region, now)
        self._replication.backfill(group.id, replica.source, region,
                                   lambda at, key: engine.item(group.table(at), key), now)

    def _update(self, table: TableId, actions: list[dict], witnesses: list[dict], strong: bool, now: float) -> None:
        state = self._must_have(table, actions)
        action, = actions
        self._check_override(table, action)
        replica, there = state.replicas[action["RegionName"]], table._replace(region=action["RegionName"])
        replica.overrides |= {name: value for name, value in action.items() if name != "RegionName"}
        until = now + self._world.control_plane_s("propagate settings", table.region)
        replica.busy_until = until
        for each in (table, there):
            self._tables.busy(each, until)
        self._tables.override(there, replica.overrides)

    def _delete(self, table: TableId, actions: list[dict], witnesses: list[dict], strong: bool, now: float) -> None:
        state = self._must_have(table, actions)
        named = [action["RegionName"] for action in actions]
        if state.strong:
            if state.witness and not any("Delete" in each for each in witnesses):
                raise invalid("Update table delete operation does not include all witnesses.")
            if {table.region, *named} != set(state.replicas):
                raise invalid("Deletion of only one table replica is not supported for global tables with "
                              "MultiRegionConsistency set to STRONG.")
        for region in named:
            self._check_deletable(TableId(table.account, region, table.name), state, now, but=named)
        step = "delete strong replicas" if state.strong else "replica update"
        settled = now + self._world.control_plane_s(step, table.region)
        group = self._groups.of(table)
        self._tables.busy(table, settled)
        state.witness_deleting = bool(witnesses)
        for region in named:
            gone = settled if state.strong else now + self._world.control_plane_s("replica gone", region)
            gone = max(gone, settled)
            state.replicas[region].deleting = settled if not state.strong else now
            self._schedule.add(Event(state.replicas[region].deleting, DELETE_REPLICA, group.id, region,
                                     entry_removed=gone))
            self._schedule.add(Event(gone, REMOVE_ENTRY, group.id, region))

    def _must_have(self, table: TableId, actions: list[dict]) -> _State:
        state = self.state(table)
        strangers = [action["RegionName"] for action in actions
                     if state is None or action["RegionName"] not in state.replicas
                     or state.replicas[action["RegionName"]].deleting is not None]
        if strangers:
            raise invalid("Update global table operation failed because one or more replicas were not part of the "
                          f"global table. Please retry the request without these replicas: [{', '.join(strangers)}].")
        return state

    def _check_deletable(self, table: TableId, state: _State, now: float, but: list[str] = ()) -> None:
        """Refuse to delete what is protected, or was a source of a replica that is still there (24-hour rule)."""
        if self._tables.protected(table):
            raise invalid(f"Cannot delete table {table.name} in region {table.region} because it has deletion "
                          "protection enabled. Disable deletion protection first.")
        if any(replica.source == table.region and now - replica.asked < SOURCE_RULE_S and replica.deleting is None
               and replica.region not in but for replica in state.replicas.values()):
            raise invalid("Replica cannot be deleted because it has acted as a source region for new replica(s) being "
                          "added to the table in the last 24 hours.")

    def _delete_replica(self, event: Event, now: float) -> None:
        """A replica stops replicating and its table goes; its Region answers a while longer that it is deleting."""
        group_id, region = event.group, event.region
        group = self._groups.by_id(group_id)
        if group is None or not self._is_leaving(group_id, region):
            return
        if region in group.members:
            self._groups.leave(group, region, now)
        self._states[group_id].replicas[region].deleting = 0.0  # from now on, even if the clock is set back
        until = event.entry_removed + self._world.control_plane_s("replica table gone", region)
        self._tables.drop(group.table(region), now, until)

    def _remove_entry(self, event: Event, now: float) -> None:
        """A replica's entry goes; a group of one is none. Of a strong group nothing is lost: it ends once all that its
        members wrote has arrived."""
        group_id, region = event.group, event.region
        state, group = self._states.get(group_id), self._groups.by_id(group_id)
        if state is None or not self._is_leaving(group_id, region):
            return
        if state.strong and group and any(self._replication.waiting(group_id, each) for each in group.members):
            self._schedule.add(replace(event, due=now + 1.0))
            return
        del state.replicas[region]
        if len(state.replicas) <= 1 or group is None:
            del self._states[group_id]
            for last in list(group.members) if group else ():
                self._groups.leave(group, last, now)

    def _is_leaving(self, group_id: str, region: str) -> bool:
        """Whether a Region's replica is still the one that is to go: it may be gone, and another have come."""
        state = self._states.get(group_id)
        replica = state.replicas.get(region) if state else None
        return replica is not None and replica.deleting is not None

    def _disassociate(self, table: TableId, actions: list[dict], witnesses: list[dict], strong: bool,
                      now: float) -> None:
        state = self.state(table)
        if state is None:
            raise invalid("Update global table operation failed because one or more replicas were not part of the "
                          f"global table. Please retry the request without these replicas: [{table.region}].")
        if state.strong:
            raise invalid("Disassociate is not supported for global tables with MultiRegionConsistency set to STRONG.")
        if state.protected.get(table.region, True):
            raise invalid(f"Cannot disassociate table {table.name} in region {table.region} because it has "
                          "disassociation protection enabled. Disable disassociation protection first.")
        settled = now + self._world.control_plane_s("replica update", table.region)
        self._tables.busy(table, settled)
        self._schedule.add(Event(settled, DISASSOCIATE_REPLICA, self._groups.of(table).id, table.region))

    def _disassociate_replica(self, event: Event, now: float) -> None:
        """A replica leaves with its table and data, once nothing is on its way to or from it."""
        group_id, region = event.group, event.region
        group = self._groups.by_id(group_id)
        if group is None or region not in group.members:
            return
        replicas = self._states[group_id].replicas
        if (self._replication.waiting(group_id, region)
                or any(replica.status(now) == "CREATING" for replica in replicas.values())):
            self._schedule.add(replace(event, due=now + 0.2))
            return
        self._groups.leave(group, region, now)
        replicas[region].deleting = now
        self._remove_entry(Event(now, REMOVE_ENTRY, group_id, region), now)

    # Other calls on members

    def protect(self, table: TableId, enabled: bool) -> None:
        """UpdateTable with DisassociationProtectionEnabled."""
        state = self.state(table)
        if state is None or state.strong:
            raise invalid_values("DisassociationProtectionEnabled can only be specified for a replica of a global "
                                 "table with MultiRegionConsistency set to EVENTUAL")
        state.protected[table.region] = enabled

    def check_update(self, table: TableId, data: dict) -> None:
        """Refuse what a replica's UpdateTable may not say."""
        specification = data.get("StreamSpecification")
        state = self.state(table)
        if state and not state.strong and specification and not specification["StreamEnabled"]:
            raise invalid_values("Disabling Stream is not allowed for a Global Table replica.")

    def updated(self, table: TableId, data: dict, now: float) -> None:
        """A member's settings were changed: the others get those that are shared, a while later."""
        shared = {name: data[name] for name in _SHARED if name in data}
        state = self.state(table)
        if state is None or not shared:
            return
        if state.strong:
            shared.pop("StreamSpecification", None)
        until = now + self._world.control_plane_s("propagate settings", table.region)
        for region in state.replicas:
            self._tables.busy(TableId(table.account, region, table.name), until)
        self._schedule.add(Event(until, PROPAGATE_SETTINGS, self._groups.of(table).id, table.region, settings=shared))

    def _propagate(self, event: Event, now: float) -> None:
        group_id, source = event.group, event.region
        group, state = self._groups.by_id(group_id), self._states.get(group_id)
        for region in list(state.replicas) if group and state else ():
            if region != source and self._tables.exists(group.table(region)):
                self._tables.take_settings(group.table(region), event.settings, state.replicas[region].overrides, now)

    def ttl_updated(self, table: TableId, now: float) -> None:
        state = self.state(table)
        if state is not None:
            until = now + self._world.control_plane_s("propagate settings", table.region)
            self._schedule.add(Event(until, PROPAGATE_TTL, self._groups.of(table).id, table.region))

    def check_ttl(self, table: TableId) -> None:
        state = self.state(table)
        if state and state.strong:
            raise invalid("Time to Live is not supported for global tables with MultiRegionConsistency set to STRONG.")

    def _propagate_ttl(self, event: Event, now: float) -> None:
        group_id, source = event.group, event.region
        group, state = self._groups.by_id(group_id), self._states.get(group_id)
        if group is None or state is None or not self._tables.exists(group.table(source)):
            return
        for region in state.replicas:
            if self._tables.exists(group.table(region)):
                self._tables.find(group.table(region)).ttl_attribute = self._tables.find(
                    group.table(source)).ttl_attribute

    def check_create_table(self, table: TableId) -> None:
        """Refuse a CreateTable where a replica is about to be made."""
        state = self.state(table)
        if state and state.replicas[table.region].deleting is None and not engine.exists(table):
            raise in_use(f"Table already exists: {table.name}")

    def check_delete(self, table: TableId, now: float) -> None:
        """Refuse a DeleteTable that a group forbids."""
        state = self.state(table)
        if state is None:
            return
        if state.strong:
            raise invalid("Deletion of only one table replica is not supported for global tables with "
                          "MultiRegionConsistency set to STRONG.")
        self._check_deletable(table, state, now)

    def deleted(self, table: TableId, group: Group, now: float, gone: float) -> None:
        """A member's table was deleted by DeleteTable: it leaves the group too."""
        state = self._states[group.id]
        state.replicas[table.region].deleting = 0.0  # from now on, even if the clock is set back
        self._groups.leave(group, table.region, now)
        self._schedule.add(Event(gone, REMOVE_ENTRY, group.id, table.region))


_CARRIED_OUT_BY: dict[str, Callable[[Current, Event, float], None]] = {
    CREATE_REPLICA: Current._create_replica,
    DELETE_REPLICA: Current._delete_replica,
    REMOVE_ENTRY: Current._remove_entry,
    DISASSOCIATE_REPLICA: Current._disassociate_replica,
    PROPAGATE_SETTINGS: Current._propagate,
    PROPAGATE_TTL: Current._propagate_ttl,
}


def _one_kind(updates: list[dict], witnesses: list[dict]) -> tuple[str, list[dict]]:
    """The one kind of action that a request has, and its actions."""
    if any(not set(each) & set(_ACTIONS) for each in updates) or not (updates or witnesses):
        raise invalid("There are no actions specified in the Replica Update Action of the request.")
    kinds = {kind for each in updates for kind in each if kind in _ACTIONS}
    if len(kinds) > 1:
        raise invalid("Update table operation with more than one type of replica actions not allowed.")
    if not kinds:  # witnesses alone
        kinds = {kind for each in witnesses for kind in each}
        if kinds == {"Delete"}:
            raise invalid("Deletion of only one table replica is not supported for global tables with "
                          "MultiRegionConsistency set to STRONG.")
    kind = next(iter(kinds), "Create")
    return kind, [each[kind] for each in updates if kind in each]


def _check_strong(table: TableId, replicas: list[str], witnesses: list[str]) -> None:
    everywhere = [table.region, *replicas, *witnesses]
    if set(witnesses) & {table.region, *replicas}:
        raise invalid("Cannot add a witness in the same region as an existing replica when creating a global table "
                      "with MultiRegionConsistency set to STRONG.")
    if len(everywhere) != 3 or not replicas:
        raise invalid("Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.")
    wrong = [region for region in everywhere if region not in STRONG_REGIONS]
    if wrong:
        raise invalid("Unsupported Region(s) specified for global tables with MultiRegionConsistency set to STRONG: "
                      f"[{', '.join(wrong)}].")
