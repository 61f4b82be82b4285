"""Experiment templates and experiments of AWS FIS: what is kept of each, and how the API shows it.

All times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gtlab.localcloud.model import TableId

OVER = ("completed", "stopped", "failed", "cancelled")  # the statuses of an experiment that has ended


@dataclass
class Template:
    account: str
    region: str
    id: str
    token: str           # the request's clientToken
    asked: dict          # CreateExperimentTemplate's input
    described: dict      # the API's members, without id, arn, times and tags
    created: float
    updated: float
    tags: dict[str, str]

    @property
    def arn(self) -> str:
        return f"arn:aws:fis:{self.region}:{self.account}:experiment-template/{self.id}"

    def shown(self) -> dict:
        """The API's ExperimentTemplate."""
        return self._head() | self.described | {"targetAccountConfigurationsCount": 0}

    def summary(self) -> dict:
        """The API's ExperimentTemplateSummary."""
        return self._head() | {"description": self.described["description"]}

    def _head(self) -> dict:
        return {"id": self.id, "arn": self.arn, "creationTime": self.created, "lastUpdateTime": self.updated,
                "tags": self.tags}


@dataclass
class Action:
    """One action of an experiment."""

    id: str                     # the kind of action, such as aws:fis:wait
    duration_s: float
    start_after: list[str]      # the names of the actions that must be over first
    target: str | None = None   # the name of its target
    status: str = "pending"
    reason: str = "Initial state"
    started: float | None = None
    ended: float | None = None
    due: float | None = None    # when it is over, while it runs


@dataclass
class Experiment:
    account: str
    region: str
    id: str
    token: str           # the request's clientToken
    asked: dict          # StartExperiment's input
    template: str        # the template's ID
    described: dict      # the template's members as they were at the start
    tags: dict[str, str]
    created: float
    due: float | None    # when its own status changes next; its actions may change it earlier
    actions: dict[str, Action]
    status: str = "pending"
    reason: str = "Experiment is pending."
    started: float | None = None
    ended: float | None = None
    found: dict[str, list[TableId]] = field(default_factory=dict)  # the tables that each target resolved to

    @property
    def arn(self) -> str:
        return f"arn:aws:fis:{self.region}:{self.account}:experiment/{self.id}"

    def next_due(self) -> float | None:
        return min((due for due in (self.due, *(action.due for action in self.actions.values())) if due is not None),
                   default=None)

    def ready_actions(self) -> list[tuple[str, Action]]:
        """The pending actions that have no other action to wait for, by name."""
        over = {name for name, action in self.actions.items() if action.status in ("completed", "skipped")}
        return [(name, action) for name, action in self.actions.items()
                if action.status == "pending" and over.issuperset(action.start_after)]

    def shown(self) -> dict:
        """The API's Experiment."""
        parts = {name: self.described[name] for name in ("targets", "stopConditions", "roleArn")}
        actions = {name: self.described["actions"][name] | {"state": _state(action)} | _times(action)
                   for name, action in self.actions.items()}
        return self.summary() | parts | _times(self) | {"actions": actions, "targetAccountConfigurationsCount": 0}

    def summary(self) -> dict:
        """The API's ExperimentSummary."""
        return {"id": self.id, "arn": self.arn, "experimentTemplateId": self.template, "state": _state(self),
                "creationTime": self.created, "tags": self.tags,
                "experimentOptions": self.described["experimentOptions"]}


def _state(what: Experiment | Action) -> dict:
    return {"status": what.status, "reason": what.reason}


def _times(what: Experiment | Action) -> dict:
    return {name: at for name, at in (("startTime", what.started), ("endTime", what.ended)) if at is not None}
