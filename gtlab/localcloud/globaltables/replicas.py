"""The replicas of every group of version 2019.11.21, and which groups are strongly consistent."""

from __future__ import annotations

from gtlab.localcloud.globaltables.membership import Group, Groups
from gtlab.localcloud.globaltables.replica_status import State
from gtlab.localcloud.model import TableId


class Replicas:
    """The state of each group, by the group's ID."""

    def __init__(self, groups: Groups):
        self._groups = groups
        self._states: dict[str, State] = {}

    def add(self, group_id: str, state: State) -> None:
        self._states[group_id] = state

    def remove(self, group_id: str) -> None:
        del self._states[group_id]

    def state(self, group_id: str) -> State | None:
        return self._states.get(group_id)

    def of_group(self, group: Group) -> State:
        """The state of a group of version 2019.11.21. Raises KeyError for any other group."""
        return self._states[group.id]

    def state_of(self, table: TableId) -> State | None:
        """The state of the group that a table is in or is about to be a replica of; None if there is no such group."""
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
        """The other Regions of the strongly consistent group that a table is in, the witness included; None if the
        table is in no such group."""
        state = self.state_of(table)
        if state is None or not state.strong:
            return None
        return [*(region for region in state.replicas if region != table.region), *filter(None, [state.witness])]

    def is_leaving(self, group_id: str, region: str) -> bool:
        """Whether a Region's replica is being removed. It may be gone already and another one added since."""
        state = self._states.get(group_id)
        replica = state.replicas.get(region) if state else None
        return replica is not None and replica.deleting is not None

    def saved(self) -> dict[str, State]:
        return dict(self._states)

    def restore(self, kept: dict[str, State]) -> None:
        self._states = dict(kept)
