"""Requests that a member of a global table of version 2019.11.21 refuses, above all UpdateTable's, and the service's
texts for them.

Nothing here changes anything: a whole request is checked before any part of it is carried out (:mod:`lifecycle`).
Texts that are not the service's are listed in docs/local-cloud.md, "Where gtlab guesses".
"""

from __future__ import annotations

from typing import NamedTuple

from gtlab import regions
from gtlab.contract import STRONG_REGIONS
from gtlab.localcloud.engine.update_table import witness_updates
from gtlab.localcloud.globaltables import overrides
from gtlab.localcloud.globaltables.membership import CURRENT, Groups
from gtlab.localcloud.globaltables.replica_status import State
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import Refusal, TableId, in_use, invalid, invalid_values
from gtlab.localcloud.tables.autoscaling import AutoScaling
from gtlab.localcloud.tables.tables import Tables

REPLICA_PARAMETERS = frozenset({"ReplicaUpdates", "GlobalTableWitnessUpdates", "MultiRegionConsistency"})
SOURCE_RULE_S = 24 * 3600  # a source of new replicas cannot be deleted for this long; not scaled by the network
_KINDS = ("Create", "Update", "Delete", "Disassociate")
_NO_TTL = "Time to Live is not supported for global tables with MultiRegionConsistency set to STRONG."
_NOT_ONE_ALONE = ("Deletion of only one table replica is not supported for global tables with MultiRegionConsistency "
                  "set to STRONG.")


class ReplicaUpdate(NamedTuple):
    """A request that has passed all checks."""

    table: TableId
    kind: str               # Create, Update, Delete or Disassociate
    actions: list[dict]     # that kind's part of each element of ReplicaUpdates, one a Region
    witnesses: list[dict]   # GlobalTableWitnessUpdates
    strong: bool            # the group is strongly consistent, or is to be

    @property
    def named(self) -> list[str]:
        """The Regions of the replicas that are to be created, changed or deleted."""
        return [action["RegionName"] for action in self.actions]

    @property
    def new_witness(self) -> str | None:
        """The Region of the witness that is to be created, if there is one."""
        return next(iter(_new_witnesses(self.witnesses)), None)


class Checks:
    """Refuses what a member of a global table cannot do. Each method raises Refusal and changes nothing."""

    def __init__(self, tables: Tables, groups: Groups, replicas: Replicas, scaling: AutoScaling):
        self._tables, self._groups, self._replicas, self._scaling = tables, groups, replicas, scaling

    # UpdateTable with ReplicaUpdates or GlobalTableWitnessUpdates

    def replica_update(self, table: TableId, data: dict, now: float) -> ReplicaUpdate:
        """Check a whole request, and return what it asks for."""
        updates, witnesses = data.get("ReplicaUpdates", []), witness_updates(data)
        if set(data) - {"TableName"} - REPLICA_PARAMETERS:
            raise invalid_values("Replica modification must be the only operation in the request")
        overrides.check_shapes(data)
        kind, actions = _one_kind(updates, witnesses)
        self._tables.find(table)
        state = self._replicas.state_of(table)
        strong = data.get("MultiRegionConsistency") == "STRONG" or bool(state and state.strong)
        _check_consistency(data, kind, state)
        if any("RegionName" not in action for action in actions):
            raise invalid("One or more parameter values were invalid")  # as captured by others in October 2026
        named = [action["RegionName"] for action in actions]
        if len(set(named)) > 1 and not strong:
            raise invalid("Update table operation with more than one create or delete replica actions not allowed")
        _check_regions(table, kind, [*named, *(action["RegionName"] for each in witnesses for action in each.values())])
        self._check_idle(table, state, now)
        self._check_not_legacy(table)
        once = list({action["RegionName"]: action for action in actions}.values())
        update = ReplicaUpdate(table, kind, once, witnesses, strong)
        {"Create": self._create, "Update": self._update, "Delete": self._delete,
         "Disassociate": self._disassociate}[kind](update, state, now)
        return update

    def _check_idle(self, table: TableId, state: State | None, now: float) -> None:
        for replica in state.replicas.values() if state else ():
            if replica.status(now) == "CREATING":
                raise invalid("Create/Update/Delete of replica is not allowed while the replica is being added to "
                              f"table with name: ‘{table.name}’ in region: ‘{replica.region}’.")
        if self._tables.status(table, now) != "ACTIVE" or (state and state.replicas[table.region].deleting is not None):
            raise in_use()

    def _check_not_legacy(self, table: TableId) -> None:
        group = self._groups.of(table)
        if group is not None and group.version != CURRENT:
            raise invalid_values(f"Table: '{table.name}' is a replica of a global table of version 2017.11.29. "
                                 "Remove it from that global table first")

    def _create(self, update: ReplicaUpdate, state: State | None, now: float) -> None:
        table = update.table
        if state and state.strong:
            raise invalid("Cannot add replicas to a global table with strong MultiRegionConsistency")
        other = self._groups.find(table.account, table.name)
        if other and other.members and state is None:  # one without members is what a call that failed has left
            raise invalid(f"gtlab's local cloud has one global table of a name: '{table.name}' is one already, in "
                          f"{', '.join(other.members)}, and the table in {table.region} is no part of it. Delete "
                          "this table and add the Region from one of those, or take that global table apart first.")
        if update.strong:
            self._check_strong_group(update)
        for action in update.actions:
            there = table._replace(region=action["RegionName"])
            if (state and there.region in state.replicas) or self._tables.occupied(there, now):
                raise invalid(f"Failed to create a the new replica of table with name: ‘{table.name}’ because one or "
                              "more replicas already existed as tables.")
            self._check_override(table, action)
        if not self._scaling.scales_writes(table):
            raise invalid("Table write capacity should either be Pay-Per-Request or AutoScaled.")
        if not self._scaling.scales_index_writes(table):
            raise invalid("GSI write capacity should either be Pay-Per-Request or AutoScaled.")

    def _check_strong_group(self, update: ReplicaUpdate) -> None:
        table = update.table
        _check_strong_regions(table, update.named, _new_witnesses(update.witnesses))
        if not self._tables.database.is_empty(table):
            raise invalid_values(f"Table: '{table.name}' must be empty to become a global table with "
                                 "MultiRegionConsistency set to STRONG")
        if self._tables.database.schema(table)["LocalSecondaryIndexes"]:
            raise invalid("Local secondary indexes are not supported for global tables with MultiRegionConsistency "
                          "set to STRONG.")
        if self._tables.find(table).ttl_attribute:
            raise invalid(_NO_TTL)

    def _update(self, update: ReplicaUpdate, state: State | None, now: float) -> None:
        _members(update, state)
        for action in update.actions:
            self._check_override(update.table, action)

    def _delete(self, update: ReplicaUpdate, state: State | None, now: float) -> None:
        state = _members(update, state)
        if state.strong:
            if state.witness and not any("Delete" in each for each in update.witnesses):
                raise invalid("Update table delete operation does not include all witnesses.")
            if {update.table.region, *update.named} != set(state.replicas):
                raise invalid(_NOT_ONE_ALONE)
        for region in update.named:
            self._check_deletable(update.table._replace(region=region), state, now, besides=update.named)

    def _check_deletable(self, table: TableId, state: State, now: float, besides: list[str] | None = None) -> None:
        """Refuse to delete a replica that is protected, or was the source of another replica in the last 24 hours.
        Replicas in ``besides`` are deleted together with it and do not count."""
        if self._tables.protected(table):
            raise invalid(f"Cannot delete table {table.name} in region {table.region} because it has deletion "
                          "protection enabled. Disable deletion protection first.")
        if any(replica.source == table.region and now - replica.asked < SOURCE_RULE_S and replica.deleting is None
               and replica.region not in (besides or ()) for replica in state.replicas.values()):
            raise invalid("Replica cannot be deleted because it has acted as a source region for new replica(s) being "
                          "added to the table in the last 24 hours.")

    def _disassociate(self, update: ReplicaUpdate, state: State | None, now: float) -> None:
        table = update.table
        if state is None:
            raise _not_members([table.region])
        if state.strong:
            raise invalid("Disassociate is not supported for global tables with MultiRegionConsistency set to STRONG.")
        if state.protects(table.region):
            raise invalid(f"Cannot disassociate table {table.name} in region {table.region} because it has "
                          "disassociation protection enabled. Disable disassociation protection first.")

    def _check_override(self, table: TableId, action: dict) -> None:
        overrides.check_action(self._tables.database.schema(table), action, on_demand=self._tables.is_on_demand(table))

    # Other calls

    def protection(self, table: TableId) -> State:
        """UpdateTable with DisassociationProtectionEnabled; returns the group's state."""
        state = self._replicas.state_of(table)
        if state is None or state.strong:
            raise invalid_values("DisassociationProtectionEnabled can only be specified for a replica of a global "
                                 "table with MultiRegionConsistency set to EVENTUAL")
        return state

    def stream(self, table: TableId, data: dict) -> None:
        """UpdateTable with StreamSpecification."""
        specification = data.get("StreamSpecification")
        state = self._replicas.state_of(table)
        if state and not state.strong and specification and not specification["StreamEnabled"]:
            raise invalid_values("Disabling Stream is not allowed for a Global Table replica.")

    def time_to_live(self, table: TableId) -> None:
        """UpdateTimeToLive."""
        state = self._replicas.state_of(table)
        if state and state.strong:
            raise invalid(_NO_TTL)

    def create_table(self, table: TableId) -> None:
        """CreateTable, where a replica's table is about to appear."""
        state = self._replicas.state_of(table)
        if state and state.replicas[table.region].deleting is None and not self._tables.exists(table):
            raise in_use(f"Table already exists: {table.name}")

    def delete_table(self, table: TableId, now: float) -> None:
        """DeleteTable."""
        state = self._replicas.state_of(table)
        if state is None:
            return
        if state.strong:
            raise invalid(_NOT_ONE_ALONE)
        self._check_deletable(table, state, now)


def _one_kind(updates: list[dict], witnesses: list[dict]) -> tuple[str, list[dict]]:
    """The one kind of action that a request has, and its actions."""
    if any(not set(each) & set(_KINDS) for each in updates) or not (updates or witnesses):
        raise invalid("There are no actions specified in the Replica Update Action of the request.")
    if any(len(each) != 1 for each in witnesses):
        raise invalid("Each element of GlobalTableWitnessUpdates must have one action: Create or Delete.")
    kinds = {kind for each in updates for kind in each if kind in _KINDS}
    if len(kinds) > 1:
        raise invalid("Update table operation with more than one type of replica actions not allowed.")
    if not kinds:  # only witnesses
        kinds = {kind for each in witnesses for kind in each}
        if kinds == {"Delete"}:
            raise invalid(_NOT_ONE_ALONE)
    kind = min(kinds, default="Create")
    return kind, [each[kind] for each in updates if kind in each]


def _check_consistency(data: dict, kind: str, state: State | None) -> None:
    if "MultiRegionConsistency" in data:
        if kind != "Create":
            raise invalid("Only Replica Create actions are supported when MultiRegionConsistency parameter is "
                          "provided.")
        if state and data["MultiRegionConsistency"] == "STRONG":
            raise invalid("MultiRegionConsistency parameter is unsupported on existing global table")
    elif _new_witnesses(witness_updates(data)) and not (state and state.strong):
        raise invalid("MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is "
                      "present.")


def _check_regions(table: TableId, kind: str, named: list[str]) -> None:
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


def _check_strong_regions(table: TableId, replicas: list[str], witnesses: list[str]) -> None:
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


def _members(update: ReplicaUpdate, state: State | None) -> State:
    """The group's state. Raises Refusal if one of the named Regions has no replica, or one that is being removed."""
    if state is None:
        raise _not_members(update.named)
    strangers = [region for region in update.named
                 if region not in state.replicas or state.replicas[region].deleting is not None]
    if strangers:
        raise _not_members(strangers)
    return state


def _not_members(named: list[str]) -> Refusal:
    return invalid("Update global table operation failed because one or more replicas were not part of the global "
                   f"table. Please retry the request without these replicas: [{', '.join(named)}].")


def _new_witnesses(witnesses: list[dict]) -> list[str]:
    return [each["Create"]["RegionName"] for each in witnesses if "Create" in each]
