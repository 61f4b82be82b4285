"""Replicas whose replication AWS FIS has paused, and the statements that FIS adds to their resource policies.

Deliveries to and from a paused replica wait and are applied after the pause ends. The statements are those that AWS
documents. The local cloud evaluates no resource-based policies: the statements show the pause but do not cause it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.globaltables.membership import Groups
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import Call, Refusal, TableId, in_use, invalid
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication import Delivery
from gtlab.localcloud.tables.tables import Tables

SID = "DoNotModifyFisDynamoDbPauseReplication"  # a statement's Sid begins with this; the experiment's ID follows
STRONG_MOST_S = 5040 * 60                       # the longest total pause of a strongly consistent table
STRONG_WINDOW_S = 7 * 24 * 3600                 # within this window
_ROLE = "arn:aws:iam::{account}:role/aws-service-role/{service}"
_REPLICATION = "replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"
_SCALING = "dynamodb.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"


class _Denial(NamedTuple):
    """What a statement denies to which service; ``ending`` comes last in its Sid."""

    actions: tuple[str, ...]
    service: str = _REPLICATION
    ending: str = ""


# The statements in the policy of a table, of its stream, and of a strongly consistent table.
_DENIED = (_Denial(("GetItem", "PutItem", "UpdateItem", "DeleteItem", "DescribeTable", "UpdateTable", "Scan",
                    "DescribeTimeToLive", "UpdateTimeToLive")),)
_DENIED_STREAM = (_Denial(("GetRecords", "DescribeStream", "GetShardIterator")),)
_DENIED_STRONG = (_Denial(("UpdateTable",)),
                  _Denial(("DescribeTable", "UpdateTable"), _SCALING, "ForApplicationAutoScaling"))


@dataclass
class Pause:
    """The pause of one replica by one experiment. Times are epoch seconds. ``policies``: the ARNs of the resources
    whose policies contain its statements."""

    table: TableId
    experiment: str
    begun: float
    until: float
    strong: bool
    policies: list[str]

    def as_dict(self) -> dict:
        """For the control API: ``place`` (account, Region, table), ``experiment``, and ``until`` (epoch seconds)."""
        return {"place": list(self.table), "experiment": self.experiment, "until": self.until}


@dataclass
class Saved:
    pauses: list[Pause]
    impaired: list[tuple[TableId, float, float]]  # past pauses of strongly consistent tables: begin and end


class Pauses:
    """All pauses. Falsy while nothing is paused."""

    def __init__(self, groups: Groups, replicas: Replicas, tables: Tables, journal: Journal):
        self._groups, self._replicas, self._tables, self._journal = groups, replicas, tables, journal
        self._pauses: defaultdict[TableId, dict[str, Pause]] = defaultdict(dict)  # by table and experiment
        self._impaired: list[tuple[TableId, float, float]] = []

    def __bool__(self) -> bool:
        return bool(self._pauses)

    def __iter__(self) -> Iterator[Pause]:
        for pauses in self._pauses.values():
            yield from pauses.values()

    # Persistence

    def saved(self) -> Saved:
        return Saved(list(self), self._impaired)

    def restore(self, kept: Saved) -> None:
        for pause in kept.pauses:
            self._pauses[pause.table][pause.experiment] = pause
        self._impaired = kept.impaired

    # Queries

    def paused(self, table: TableId) -> bool:
        return table in self._pauses

    def stops(self, delivery: Delivery) -> bool:
        """Whether a delivery comes from or goes to a paused replica."""
        group = self._groups.by_id(delivery.group)
        return group is not None and any(self.paused(group.table(region))
                                         for region in (delivery.source, delivery.target))

    def check_settings(self, table: TableId) -> None:
        """Raise ResourceInUseException for a change of settings while a replica of a strongly consistent group is
        paused."""
        members = self._replicas.strong_members(table) if self else None
        if members and any(self.paused(table._replace(region=region)) for region in (table.region, *members)):
            raise in_use()

    # Pausing

    def begin(self, table: TableId, experiment: str, until: float, now: float) -> None:
        """Pause a replica until ``until``. Raises Refusal if it cannot be paused; then nothing has changed."""
        if experiment in self._pauses.get(table, ()):
            raise invalid(f"{table.arn} is already paused by another action of this experiment.")
        strong = self._replicas.strong_members(table) is not None
        if strong:
            self._check_quota(table, until, now)
        stream = None if strong else self._tables.stream(table)
        denials = {table.arn: _DENIED_STRONG if strong else _DENIED}
        if stream:
            denials[stream] = _DENIED_STREAM
        written: list[str] = []
        policies = _Policies(self._tables.database, table, now)
        try:
            for arn, denied in denials.items():
                policies.insert(arn, [_statement(table, arn, denial, experiment, until) for denial in denied])
                written.append(arn)
        except Refusal:
            policies.remove(experiment, written)
            raise
        self._pauses[table][experiment] = Pause(table, experiment, now, until, strong, written)
        self._journal.world("broken", "pause", tuple(table), {"experiment": experiment}, now)

    def end(self, table: TableId, experiment: str, now: float) -> None:
        """End an experiment's pause of a replica, if the pause has not ended already."""
        pause = self._pauses.get(table, {}).pop(experiment, None)
        if pause is None:
            return
        if not self._pauses[table]:
            del self._pauses[table]
        if pause.strong:
            self._impaired.append((table, pause.begun, now))
        _Policies(self._tables.database, table, now).remove(experiment, pause.policies)
        self._journal.world("mended", "pause", tuple(table), {"experiment": experiment}, now)

    def forget_deleted(self, now: float) -> None:
        """End the pauses of tables that have been deleted."""
        for pause in [pause for pause in self if not self._tables.exists(pause.table)]:
            self.end(pause.table, pause.experiment, now)

    def _check_quota(self, table: TableId, until: float, now: float) -> None:
        since = now - STRONG_WINDOW_S
        self._impaired = [each for each in self._impaired if each[2] > since]
        used = sum(end - max(begin, since) for paused, begin, end in self._impaired if paused == table)
        if used + until - now > STRONG_MOST_S:
            raise invalid(f"{table.arn} can be paused for at most {STRONG_MOST_S // 60} minutes in seven days. It has "
                          f"already been paused for {used / 60:.0f} minutes.")


def _statement(table: TableId, arn: str, denial: _Denial, experiment: str, until: float) -> dict:
    ends = datetime.fromtimestamp(until, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"Sid": f"{SID}{experiment}{denial.ending}", "Effect": "Deny", "Principal": {"AWS": "*"},
            "Action": [f"dynamodb:{action}" for action in denial.actions], "Resource": arn,
            "Condition": {"DateLessThan": {"aws:CurrentTime": ends}, "ArnEquals": {
                "aws:PrincipalArn": _ROLE.format(account=table.account, service=denial.service)}}}


class _Policies:
    """The resource policies of a table and its stream, at a time."""

    def __init__(self, database: Database, table: TableId, now: float):
        self._database, self._table, self._now = database, table, now

    def insert(self, arn: str, statements: list[dict]) -> None:
        policy = self._of(arn) or {"Version": "2012-10-17", "Statement": []}
        self._ask("PutResourcePolicy", arn, Policy=json.dumps(policy | {
            "Statement": [*_statements(policy), *statements]}))

    def remove(self, experiment: str, arns: list[str]) -> None:
        """Remove an experiment's statements. A policy that has no other statements is deleted."""
        for arn in arns if self._database.exists(self._table) else ():
            try:
                policy = self._of(arn)
            except Refusal:  # the policy was replaced with something that is not a policy document
                continue
            rest = [each for each in _statements(policy or {})
                    if not (isinstance(each, dict) and str(each.get("Sid")).startswith(f"{SID}{experiment}"))]
            if policy and rest:
                self._ask("PutResourcePolicy", arn, Policy=json.dumps(policy | {"Statement": rest}))
            elif policy:
                self._ask("DeleteResourcePolicy", arn)

    def _of(self, arn: str) -> dict | None:
        """A resource's policy, or None."""
        try:
            policy = json.loads(self._ask("GetResourcePolicy", arn)["Policy"])
        except Refusal as refusal:
            if refusal.code == "PolicyNotFoundException":
                return None
            raise
        except (ValueError, RecursionError):
            policy = None
        if not isinstance(policy, dict):
            raise invalid(f"The resource policy of {arn} is not a policy document, so no statement can be added to it.")
        return policy

    def _ask(self, operation: str, arn: str, **more: str) -> dict:
        call = Call(self._table.account, self._table.region, "dynamodb", operation, {"ResourceArn": arn, **more})
        return engine.control(self._database, call, self._now)


def _statements(policy: dict) -> list:
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]
