"""What experiments of AWS FIS do as time passes: find their targets, start and end actions, finish.

The durations of actions are real time, whatever the network. All times are epoch seconds.
"""

from __future__ import annotations

import random

from gtlab.localcloud import engine
from gtlab.localcloud.engine import Database
from gtlab.localcloud.faults.experiments import OVER, Action, Experiment
from gtlab.localcloud.faults.templates import PAUSE, how_many, table_of
from gtlab.localcloud.globaltables.membership import CURRENT, Groups
from gtlab.localcloud.globaltables.pauses import Pauses
from gtlab.localcloud.model import Refusal, TableId
from gtlab.localcloud.world import World

INITIATING_S, RUNNING_S = 0.5, 1.0  # seconds after its start until an experiment is initiating, and running
STOPPING_S = 0.5                    # how long an experiment is stopping
_NOTHING_FOUND = ("Target resolution returned empty set: {names}. A target is the table of a replica of a global table "
                  "of version 2019.11.21, in the Region of this call.")


class Runner:
    """Every experiment, by ID, and the pauses of replication that experiments have brought about."""

    def __init__(self, database: Database, world: World, groups: Groups, pauses: Pauses):
        self._database, self._world, self._groups, self._pauses = database, world, groups, pauses
        self.experiments: dict[str, Experiment] = {}
        self._active: dict[str, Experiment] = {}

    def add(self, experiment: Experiment) -> None:
        self.experiments[experiment.id] = experiment
        if experiment.status not in OVER:
            self._active[experiment.id] = experiment

    def forget(self, experiment: Experiment) -> None:
        """Forget an experiment that is over."""
        del self.experiments[experiment.id]

    def next_due(self) -> float | None:
        if not self._active:
            return None
        return min((due for each in self._active.values() if (due := each.next_due()) is not None), default=None)

    def tick(self, now: float) -> bool:
        """Carry out all that is due; returns whether there was anything."""
        happened = False
        while (due := self.next_due()) is not None and due <= now:
            for experiment in [each for each in self._active.values() if each.next_due() == due]:
                self._step(experiment, due)
            happened = True
        return happened

    def abandon(self, now: float) -> None:
        """End the experiments whose next step is due and cannot be carried out, and their pauses, so that they hold
        nothing up."""
        for experiment in list(self._active.values()):
            due = experiment.next_due()
            if due is None or due > now:
                continue
            for pause in [pause for pause in self._pauses if pause.experiment == experiment.id]:
                self._pauses.end(pause.table, pause.experiment, now)
            experiment.status, experiment.ended, experiment.due = "failed", now, None
            experiment.reason = "An internal error in gtlab's local cloud: see gtlab status."
            for action in experiment.actions.values():
                if action.status in ("running", "stopping", "pending"):
                    action.status, action.reason, action.due = "failed", experiment.reason, None
            del self._active[experiment.id]

    def stop(self, experiment: Experiment, now: float) -> None:
        """Begin to stop an active experiment. Does nothing if it is stopping already."""
        if experiment.status == "stopping":
            return
        experiment.status, experiment.reason = "stopping", "Experiment is stopping."
        experiment.due = now + STOPPING_S
        for action in experiment.actions.values():
            if action.status == "running":
                action.status, action.reason, action.due = "stopping", "Action is stopping.", None

    def stop_all(self, now: float) -> bool:
        """End every experiment at once; returns whether there was any."""
        active = list(self._active.values())
        for experiment in active:
            self._finish(experiment, "stopped", "Everything was repaired, which stops all experiments.", now)
        return bool(active)

    def _step(self, experiment: Experiment, now: float) -> None:
        if experiment.status == "pending":
            self._initiate(experiment, now)
        elif experiment.status == "initiating":
            experiment.status, experiment.reason, experiment.due = "running", "Experiment is running.", None
            self._start_actions(experiment, now)
        elif experiment.status == "stopping":
            self._finish(experiment, "stopped", "Experiment was stopped by StopExperiment.", now)
        else:
            for name, action in experiment.actions.items():
                if action.due is not None and action.due <= now:
                    self._end_action(experiment, name, "completed", "Action was completed.", now)
            self._start_actions(experiment, now)

    def _initiate(self, experiment: Experiment, now: float) -> None:
        """Resolve the targets."""
        experiment.started = now
        experiment.found = {name: self._resolve(experiment, target)
                            for name, target in experiment.described["targets"].items()}
        empty = [name for name, found in experiment.found.items() if not found]
        if empty and experiment.described["experimentOptions"]["emptyTargetResolutionMode"] == "fail":
            self._finish(experiment, "failed", _NOTHING_FOUND.format(names=", ".join(empty)), now)
            return
        experiment.status, experiment.reason = "initiating", "Experiment is initiating."
        experiment.due = now + RUNNING_S - INITIATING_S

    def _resolve(self, experiment: Experiment, target: dict) -> list[TableId]:
        """The tables that a target means: those of the named replicas of global tables that exist now."""
        replicas = [group.table(experiment.region) for group in self._groups
                    if group.version == CURRENT and group.account == experiment.account
                    and experiment.region in group.members]
        if "resourceArns" in target:
            named = [table_of(arn) for arn in target["resourceArns"]]
            found = [table for table in replicas if table in named]
        else:
            wanted = target["resourceTags"].items()
            found = [table for table in replicas if wanted <= self._tags(table).items()]
        # Which of them are taken is random, and seeded like everything that is random in the local cloud.
        chance = random.Random(f"{self._world.seed}:{len(self.experiments)}")
        return chance.sample(found, how_many(target["selectionMode"], len(found)))

    def _tags(self, table: TableId) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in engine.tags(self._database, table)}

    def _start_actions(self, experiment: Experiment, now: float) -> None:
        """Start the actions that have nothing left to wait for. When all actions are over, so is the experiment."""
        while ready := experiment.ready_actions():
            for name, action in ready:
                found = experiment.found.get(action.target, []) if action.target else []
                if experiment.described["experimentOptions"]["actionsMode"] == "skip-all":
                    action.status, action.reason = "skipped", "Actions are skipped (actionsMode skip-all)."
                elif action.target and not found:
                    action.status, action.reason = "skipped", "Target resolution returned empty set."
                else:
                    try:
                        self._start_action(experiment, action, found, now)
                    except Refusal as refusal:
                        self._end_action(experiment, name, "failed", refusal.message, now)
                        self._finish(experiment, "failed", f"Action {name} failed: {refusal.message}", now)
                        return
        if all(action.status in ("completed", "skipped") for action in experiment.actions.values()):
            self._finish(experiment, "completed", "Experiment completed.", now)

    def _start_action(self, experiment: Experiment, action: Action, found: list[TableId], now: float) -> None:
        action.status, action.reason = "running", "Action is running."
        action.started, action.due = now, now + action.duration_s
        if action.id == PAUSE:
            for table in found:
                self._pauses.begin(table, experiment.id, action.due, now)

    def _end_action(self, experiment: Experiment, name: str, status: str, reason: str, now: float) -> None:
        action = experiment.actions[name]
        action.status, action.reason, action.ended, action.due = status, reason, now, None
        if action.id == PAUSE and action.target:
            for table in experiment.found.get(action.target, ()):
                self._pauses.end(table, experiment.id, now)

    def _finish(self, experiment: Experiment, status: str, reason: str, now: float) -> None:
        for name, action in experiment.actions.items():
            if action.status in ("running", "stopping"):
                self._end_action(experiment, name, "stopped", "Action was stopped.", now)
            elif action.status == "pending":
                action.status, action.reason = "cancelled", "Action was cancelled before it started."
        experiment.status, experiment.reason, experiment.ended, experiment.due = status, reason[:512], now, None
        del self._active[experiment.id]
