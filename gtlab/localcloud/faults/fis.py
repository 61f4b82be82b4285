"""AWS's fault injection service (FIS), as much of it as pauses the replication of global tables.

Templates say what is to be done; an experiment does it once. What an experiment does next waits for its time, as told
from outside; its durations are real time, whatever the network.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gtlab.localcloud import engine
from gtlab.localcloud.faults.templates import (
    ACTIONS,
    PAUSE,
    RESOURCE_TYPES,
    check_tags,
    checked,
    how_many,
    refused,
    seconds,
    table_of,
    unknown,
)
from gtlab.localcloud.globaltables.membership import CURRENT, Groups
from gtlab.localcloud.globaltables.pauses import Pauses
from gtlab.localcloud.globaltables.pauses import Saved as SavedPauses
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import Refusal, TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

INITIATING_S, RUNNING_S = 0.5, 1.0  # after its start, an experiment finds its targets, and begins
STOPPING_S = 0.5
_MOST_TEMPLATES, _MOST_EXPERIMENTS = 500, 1000  # of an account in a Region; older experiments are forgotten
_OVER = ("completed", "stopped", "failed", "cancelled")
_LETTERS = string.ascii_letters + string.digits
_NOTHING_FOUND = ("Target resolution returned empty set: {names}. A target is the table of a replica of a global table "
                  "of version 2019.11.21, in the Region of this call.")


@dataclass
class Template:
    account: str
    region: str
    id: str
    token: str
    asked: dict          # CreateExperimentTemplate's input
    described: dict      # as in the API, but for id, arn, times and tags
    created: float
    updated: float
    tags: dict[str, str]


@dataclass
class Action:
    """One action of an experiment. Times are epoch seconds; ``due``: when it is over, while it runs."""

    id: str
    duration_s: float
    start_after: list[str]
    target: str | None = None
    status: str = "pending"
    reason: str = "Initial state"
    started: float | None = None
    ended: float | None = None
    due: float | None = None


@dataclass
class Experiment:
    """``due``: when its own status changes next, but for what its actions bring about."""

    account: str
    region: str
    id: str
    token: str
    asked: dict          # StartExperiment's input
    template: str
    described: dict      # the template's parts, as it was then
    tags: dict[str, str]
    created: float
    due: float | None
    actions: dict[str, Action]
    status: str = "pending"
    reason: str = "Experiment is pending."
    started: float | None = None
    ended: float | None = None
    found: dict[str, list[TableId]] = field(default_factory=dict)  # by target

    def next_due(self) -> float | None:
        return min((due for due in (self.due, *(action.due for action in self.actions.values())) if due is not None),
                   default=None)


@dataclass
class Saved:
    templates: list[Template]
    experiments: list[Experiment]
    pauses: SavedPauses


class Fis:
    """Every account's templates and experiments, and the pauses they have brought about."""

    def __init__(self, world: World, tables: Tables, groups: Groups, replicas: Replicas, journal: Journal):
        self._world, self._groups = world, groups
        self.pauses = Pauses(groups, replicas, tables, journal)
        self._templates: dict[str, Template] = {}
        self._experiments: dict[str, Experiment] = {}
        self._active: dict[str, Experiment] = {}

    # Time

    def next_due(self) -> float | None:
        if not self._active:
            return None
        return min((due for each in self._active.values() if (due := each.next_due()) is not None), default=None)

    def tick(self, now: float) -> bool:
        """Let happen what was due by now; whether there was any."""
        happened = False
        while (due := self.next_due()) is not None and due <= now:
            for experiment in [each for each in self._active.values() if each.next_due() == due]:
                self._step(experiment, due)
            happened = True
        return happened

    def stop_all(self, now: float) -> bool:
        """End every experiment at once; whether there was any."""
        active = list(self._active.values())
        for experiment in active:
            self._finish(experiment, "stopped", "Everything was put right.", now)
        return bool(active)

    # What is kept

    def saved(self) -> Saved:
        return Saved(list(self._templates.values()), list(self._experiments.values()), self.pauses.saved())

    def restore(self, kept: Saved) -> None:
        self._templates = {each.id: each for each in kept.templates}
        self._experiments = {each.id: each for each in kept.experiments}
        self._active = {each.id: each for each in kept.experiments if each.status not in _OVER}
        self.pauses.restore(kept.pauses)

    # The API's operations: (account, region, input, now) → output

    def create_template(self, account: str, region: str, data: dict, now: float) -> dict:
        _check_token(data["clientToken"])
        mine = self._of(self._templates, account, region)
        if same := _by_token(mine, data):
            return {"experimentTemplate": _template(same)}
        check_tags(data.get("tags", {}))
        described = checked(account, region, data)
        if len(mine) >= _MOST_TEMPLATES:
            raise refused(f"There are {_MOST_TEMPLATES} experiment templates already. Delete some.",
                          "ServiceQuotaExceededException", 402)
        made = Template(account, region, _id("EXT"), data["clientToken"], data, described, now, now,
                        dict(data.get("tags", {})))
        self._templates[made.id] = made
        return {"experimentTemplate": _template(made)}

    def get_template(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"experimentTemplate": _template(self._template(account, region, data["id"]))}

    def list_templates(self, account: str, region: str, data: dict, now: float) -> dict:
        found = [_template(each, summary=True) for each in self._of(self._templates, account, region)]
        return _page("experimentTemplates", found, data)

    def update_template(self, account: str, region: str, data: dict, now: float) -> dict:
        template = self._template(account, region, data["id"])
        changes = {name: value for name, value in data.items() if name != "id"}
        if "experimentOptions" in changes:
            changes["experimentOptions"] = template.described["experimentOptions"] | changes["experimentOptions"]
        template.described = checked(account, region, template.described | changes)
        template.updated = now
        return {"experimentTemplate": _template(template)}

    def delete_template(self, account: str, region: str, data: dict, now: float) -> dict:
        template = self._template(account, region, data["id"])
        del self._templates[template.id]
        return {"experimentTemplate": _template(template)}

    def start(self, account: str, region: str, data: dict, now: float) -> dict:
        _check_token(data["clientToken"])
        mine = self._of(self._experiments, account, region)
        if same := _by_token(mine, data):
            return {"experiment": _experiment(same)}
        template = self._template(account, region, data["experimentTemplateId"])
        mode = data.get("experimentOptions", {}).get("actionsMode", "run-all")
        if mode not in ("run-all", "skip-all"):
            raise refused(f"actionsMode is run-all or skip-all, not {mode!r}.")
        check_tags(data.get("tags", {}))
        described = template.described | {"experimentOptions": template.described["experimentOptions"] | {
            "actionsMode": mode}}
        made = Experiment(account, region, _id("EXP"), data["clientToken"], data, template.id, described,
                          dict(data.get("tags", {})), now, now + INITIATING_S, {
                              name: Action(action["actionId"], seconds(action["parameters"]["duration"]),
                                           action.get("startAfter", []), next(iter(action.get("targets", {}).values()),
                                                                              None))
                              for name, action in described["actions"].items()})
        self._experiments[made.id] = self._active[made.id] = made
        for old in [each for each in mine if each.status in _OVER][:max(0, len(mine) + 1 - _MOST_EXPERIMENTS)]:
            del self._experiments[old.id]
        return {"experiment": _experiment(made)}

    def get_experiment(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"experiment": _experiment(self._experiment(account, region, data["id"]))}

    def list_experiments(self, account: str, region: str, data: dict, now: float) -> dict:
        wanted = data.get("experimentTemplateId")
        found = [_experiment(each, summary=True) for each in self._of(self._experiments, account, region)
                 if wanted in (None, each.template)]
        return _page("experiments", found, data)

    def stop(self, account: str, region: str, data: dict, now: float) -> dict:
        experiment = self._experiment(account, region, data["id"])
        if experiment.status in _OVER:
            raise refused(f"Experiment {experiment.id} cannot be stopped: it is {experiment.status}.")
        if experiment.status != "stopping":
            experiment.status, experiment.reason = "stopping", "Experiment is stopping."
            experiment.due = now + STOPPING_S
            for action in experiment.actions.values():
                if action.status == "running":
                    action.status, action.reason, action.due = "stopping", "Action is stopping.", None
        return {"experiment": _experiment(experiment)}

    def resolved_targets(self, account: str, region: str, data: dict, now: float) -> dict:
        experiment = self._experiment(account, region, data["experimentId"])
        found = [{"resourceType": experiment.described["targets"][name]["resourceType"], "targetName": name,
                  "targetInformation": {"arn": table.arn}} for name, tables in experiment.found.items()
                 if data.get("targetName") in (None, name) for table in tables]
        return _page("resolvedTargets", found, data)

    def list_actions(self, account: str, region: str, data: dict, now: float) -> dict:
        return _page("actions", [_action_type(account, region, name, summary=True) for name in ACTIONS], data)

    def get_action(self, account: str, region: str, data: dict, now: float) -> dict:
        if data["id"] not in ACTIONS:
            raise unknown("Action", data["id"])
        return {"action": _action_type(account, region, data["id"])}

    def list_resource_types(self, account: str, region: str, data: dict, now: float) -> dict:
        return _page("targetResourceTypes", [{"resourceType": name, "description": text}
                                             for name, text in RESOURCE_TYPES.items()], data)

    def get_resource_type(self, account: str, region: str, data: dict, now: float) -> dict:
        name = data["resourceType"]
        if name not in RESOURCE_TYPES:
            raise unknown("Target resource type", name)
        return {"targetResourceType": {"resourceType": name, "description": RESOURCE_TYPES[name], "parameters": {}}}

    def tags(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"tags": self._tagged(account, region, data["resourceArn"]).tags}

    def tag(self, account: str, region: str, data: dict, now: float) -> dict:
        tagged = self._tagged(account, region, data["resourceArn"])
        check_tags(tagged.tags | data["tags"])
        tagged.tags |= data["tags"]
        return {}

    def untag(self, account: str, region: str, data: dict, now: float) -> dict:
        tagged = self._tagged(account, region, data["resourceArn"])
        for key in data.get("tagKeys", ()):
            tagged.tags.pop(key, None)
        return {}

    @staticmethod
    def _of(known: dict, account: str, region: str) -> list:
        return [each for each in known.values() if (each.account, each.region) == (account, region)]

    def _template(self, account: str, region: str, template_id: str) -> Template:
        found = self._templates.get(template_id)
        if found is None or (found.account, found.region) != (account, region):
            raise unknown("Experiment template", template_id)
        return found

    def _experiment(self, account: str, region: str, experiment_id: str) -> Experiment:
        found = self._experiments.get(experiment_id)
        if found is None or (found.account, found.region) != (account, region):
            raise unknown("Experiment", experiment_id)
        return found

    def _tagged(self, account: str, region: str, arn: str) -> Template | Experiment:
        for each in (*self._of(self._templates, account, region), *self._of(self._experiments, account, region)):
            if arn == _arn(each):
                return each
        raise unknown("Resource", arn)

    # What an experiment does

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
        """Find the targets, and go on to begin."""
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
        """The tables that a target means: replicas of global tables that are there now."""
        here = experiment.account, experiment.region
        replicas = [group.table(experiment.region) for group in self._groups
                    if group.version == CURRENT and (group.account, experiment.region) == here
                    and experiment.region in group.members]
        if "resourceArns" in target:
            named = {TableId(*table_of(arn)) for arn in target["resourceArns"]}
            found = [table for table in replicas if table in named]
        else:
            wanted = target["resourceTags"].items()
            found = [table for table in replicas if wanted <= _tags(table).items()]
        # Which ones is chance: seeded, as all chance is here.
        chance = random.Random(f"{self._world.seed}:{len(self._experiments)}")
        return chance.sample(found, how_many(target["selectionMode"], len(found)))

    def _start_actions(self, experiment: Experiment, now: float) -> None:
        """Begin the actions whose turn it is; when all are over, so is the experiment."""
        while ready := list(_ready(experiment)):
            for name, action in ready:
                found = experiment.found.get(action.target, ())
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
                self.pauses.begin(table, experiment.id, action.due, now)

    def _end_action(self, experiment: Experiment, name: str, status: str, reason: str, now: float) -> None:
        action = experiment.actions[name]
        action.status, action.reason, action.ended, action.due = status, reason, now, None
        if action.id == PAUSE:
            for table in experiment.found.get(action.target, ()):
                self.pauses.end(table, experiment.id, now)

    def _finish(self, experiment: Experiment, status: str, reason: str, now: float) -> None:
        for name, action in experiment.actions.items():
            if action.status in ("running", "stopping"):
                self._end_action(experiment, name, "stopped", "Action was stopped.", now)
            elif action.status == "pending":
                action.status, action.reason = "cancelled", "Action did not begin."
        experiment.status, experiment.reason, experiment.ended, experiment.due = status, reason[:512], now, None
        del self._active[experiment.id]


def _ready(experiment: Experiment) -> Iterator[tuple[str, Action]]:
    over = {name for name, action in experiment.actions.items() if action.status in ("completed", "skipped")}
    return ((name, action) for name, action in experiment.actions.items()
            if action.status == "pending" and over.issuperset(action.start_after))


def _by_token(known: list, data: dict) -> Template | Experiment | None:
    """What a request that had the same clientToken made."""
    same = next((each for each in known if each.token == data["clientToken"]), None)
    if same and same.asked != data:
        raise refused("This clientToken was used for another request.", "ConflictException", 409)
    return same


def _check_token(token: str) -> None:
    if not 1 <= len(token) <= 1024:
        raise refused("clientToken has 1 to 1024 characters.")


def _tags(table: TableId) -> dict[str, str]:
    answer = json.loads(engine.call(table.account, table.region, "ListTagsOfResource", {"ResourceArn": table.arn}))
    return {tag["Key"]: tag["Value"] for tag in answer["Tags"]}


def _id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(15))


def _arn(what: Template | Experiment) -> str:
    kind = "experiment-template" if isinstance(what, Template) else "experiment"
    return f"arn:aws:fis:{what.region}:{what.account}:{kind}/{what.id}"


def _template(template: Template, *, summary: bool = False) -> dict:
    described = {"id": template.id, "arn": _arn(template), "creationTime": template.created,
                 "lastUpdateTime": template.updated, "tags": template.tags}
    if summary:
        return described | {"description": template.described["description"]}
    return described | template.described | {"targetAccountConfigurationsCount": 0}


def _experiment(experiment: Experiment, *, summary: bool = False) -> dict:
    described = {"id": experiment.id, "arn": _arn(experiment), "experimentTemplateId": experiment.template,
                 "state": _state(experiment), "creationTime": experiment.created, "tags": experiment.tags,
                 "experimentOptions": experiment.described["experimentOptions"]}
    if summary:
        return described
    parts = {name: experiment.described[name] for name in ("targets", "stopConditions", "roleArn")}
    actions = {name: experiment.described["actions"][name] | {"state": _state(action)} | _times(action)
               for name, action in experiment.actions.items()}
    return described | parts | _times(experiment) | {"actions": actions, "targetAccountConfigurationsCount": 0}


def _state(what: Experiment | Action) -> dict:
    return {"status": what.status, "reason": what.reason}


def _times(what: Experiment | Action) -> dict:
    return {name: at for name, at in (("startTime", what.started), ("endTime", what.ended)) if at is not None}


def _action_type(account: str, region: str, name: str, *, summary: bool = False) -> dict:
    known = ACTIONS[name]
    described = {"id": name, "arn": f"arn:aws:fis:{region}:{account}:action/{name}",
                 "description": known["description"], "targets": known["targets"], "tags": {}}
    return described if summary else described | {"parameters": known["parameters"]}


def _page(name: str, found: list[dict], data: dict) -> dict:
    """A part of a list: from where the last one ended."""
    most = data.get("maxResults", 100)
    if not 1 <= most <= 100:
        raise refused(f"maxResults is a number from 1 to 100, not {most}.")
    try:
        begin = int(base64.b64decode(data["nextToken"], validate=True)) if "nextToken" in data else 0
    except ValueError:
        begin = -1
    if not 0 <= begin <= len(found):
        raise refused("nextToken is none that an earlier answer gave.")
    answer: dict = {name: found[begin:begin + most]}
    if begin + most < len(found):
        answer["nextToken"] = base64.b64encode(str(begin + most).encode()).decode()
    return answer


OPERATIONS: dict[str, Callable[[Fis, str, str, dict, float], dict]] = {
    "CreateExperimentTemplate": Fis.create_template,
    "GetExperimentTemplate": Fis.get_template,
    "ListExperimentTemplates": Fis.list_templates,
    "UpdateExperimentTemplate": Fis.update_template,
    "DeleteExperimentTemplate": Fis.delete_template,
    "StartExperiment": Fis.start,
    "GetExperiment": Fis.get_experiment,
    "ListExperiments": Fis.list_experiments,
    "StopExperiment": Fis.stop,
    "ListExperimentResolvedTargets": Fis.resolved_targets,
    "ListActions": Fis.list_actions,
    "GetAction": Fis.get_action,
    "ListTargetResourceTypes": Fis.list_resource_types,
    "GetTargetResourceType": Fis.get_resource_type,
    "ListTagsForResource": Fis.tags,
    "TagResource": Fis.tag,
    "UntagResource": Fis.untag,
}
