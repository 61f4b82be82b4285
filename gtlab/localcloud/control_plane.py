"""The operations on tables and global tables: each goes from a call, its input and the time to its output."""

from __future__ import annotations

from collections.abc import Callable

from gtlab.localcloud import engine
from gtlab.localcloud.engine import insights, policies
from gtlab.localcloud.globaltables.checks import REPLICA_PARAMETERS
from gtlab.localcloud.globaltables.membership import CURRENT, Groups
from gtlab.localcloud.globaltables.pauses import Pauses
from gtlab.localcloud.globaltables.v2017 import Legacy
from gtlab.localcloud.globaltables.v2017_settings import LegacySettings
from gtlab.localcloud.globaltables.v2019 import Current
from gtlab.localcloud.model import Call, Refusal, TableId, invalid
from gtlab.localcloud.tables.tables import Tables


class ControlPlane:
    """``operations``: by name, from (call, input, now) to the output. The input names the table by its name."""

    def __init__(self, tables: Tables, groups: Groups, current: Current, pauses: Pauses, legacy: Legacy,
                 legacy_settings: LegacySettings):
        self._tables, self._groups, self._current, self._pauses = tables, groups, current, pauses
        self.operations: dict[str, Callable[[Call, dict, float], dict]] = {
            "CreateTable": self._create_table,
            "DescribeTable": self._describe_table,
            "DeleteTable": self._delete_table,
            "UpdateTable": self._update_table,
            "ListTables": lambda call, data, now: tables.list_tables(call.account, call.region, data, now),
            "PutResourcePolicy": self._policy,
            "GetResourcePolicy": self._policy,
            "DeleteResourcePolicy": self._policy,
            "UpdateContributorInsights": self._update_insights,
            "DescribeTimeToLive": lambda call, data, now: tables.describe_ttl(_table(call, data), now),
            "UpdateTimeToLive": self._update_ttl,
            "CreateGlobalTable": lambda call, data, now: legacy.create(call.account, call.region, data, now),
            "UpdateGlobalTable": lambda call, data, now: legacy.update(call.account, call.region, data, now),
            "DescribeGlobalTable": lambda call, data, now: legacy.describe(call.account, data, now),
            "ListGlobalTables": lambda call, data, now: legacy.list_tables(call.account, data, now),
            "DescribeGlobalTableSettings": lambda call, data, now: legacy_settings.describe(call.account, data, now),
            "UpdateGlobalTableSettings": lambda call, data, now: legacy_settings.update(call.account, data, now),
        }

    def _create_table(self, call: Call, data: dict, now: float) -> dict:
        self._current.check.create_table(_table(call, data))
        table = self._tables.create(call.account, call.region, data, now)
        return {"TableDescription": self._described(table, now)}

    def _described(self, table: TableId, now: float) -> dict:
        return self._tables.describe(table, now) | self._current.describe(table, now)

    def _describe_table(self, call: Call, data: dict, now: float) -> dict:
        return {"Table": self._described(_table(call, data), now)}

    def _delete_table(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        self._current.check.delete_table(table, now)

        def leave(gone: float) -> None:
            group = self._groups.of(table)  # the others go on without it
            if group and group.version == CURRENT:
                self._current.deleted(table, group, now, gone)
            elif group:
                self._groups.leave(group, table.region, now)

        description = self._tables.delete(table, now, leave)
        self._pauses.forget_deleted(now)
        return {"TableDescription": description}

    def _update_table(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        engine.check_changes(data)
        self._tables.find(table)
        self._pauses.check_settings(table)
        if REPLICA_PARAMETERS & set(data):
            before = self._tables.status(table, now)
            self._current.update_replicas(table, data, now)
            removal = any("Delete" in update for update in data.get("ReplicaUpdates", ()))
            # A removal's answer still shows the status from before, as observed.
            return {"TableDescription": self._described(table, now) | ({"TableStatus": before} if removal else {})}
        self._current.check.stream(table, data)
        specification = data.get("StreamSpecification")
        group = self._groups.of(table)
        if group and group.version != CURRENT and specification and not specification["StreamEnabled"]:
            raise invalid("One or more parameter values were invalid: Disabling Stream is not allowed for a "
                          "Global Table replica.")
        if set(data) == {"TableName", "DisassociationProtectionEnabled"}:
            self._current.protect(table, data["DisassociationProtectionEnabled"])
        else:
            self._tables.update(table, data, now)
            self._current.updated(table, data, now)
        return {"TableDescription": self._described(table, now)}

    def _policy(self, call: Call, data: dict, now: float) -> dict:
        """The operations on resource policies. A policy belongs to a table, or to one of its streams."""
        place = policies.resource(call.account, call.region, data["ResourceArn"])
        if place.stream and self._tables.exists(place.table) and not self._tables.has_stream(data["ResourceArn"]):
            raise Refusal("ResourceNotFoundException", f"Requested resource not found: Stream: {place.stream} not "
                          f"found for Table: {place.table.name}")
        return engine.control(self._tables.database, call._replace(input=data), now)

    def _update_insights(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        if self._tables.is_creating(table, now):
            raise invalid("Table or Index is not in a valid state to update Key Access Insights: TableStatus must be "
                          "ACTIVE to enable ContributorInsights.")
        settled = now + self._tables.world.control_plane_s("contributor insights", table.region)
        return insights.update(self._tables.database, table, data, now, settled)

    def _update_ttl(self, call: Call, data: dict, now: float) -> dict:
        table = _table(call, data)
        self._current.check.time_to_live(table)
        self._pauses.check_settings(table)
        answer = self._tables.update_ttl(table, data)
        self._current.ttl_updated(table, now)
        return answer


def _table(call: Call, data: dict) -> TableId:
    return TableId(call.account, call.region, data["TableName"])
