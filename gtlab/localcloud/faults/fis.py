"""AWS Fault Injection Service (FIS): its API, as far as it pauses the replication of global tables.

A template says what is to be done (:mod:`templates`). An experiment does it once (:mod:`runner`).
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from gtlab.localcloud.faults.experiments import OVER, Action, Experiment, Template
from gtlab.localcloud.faults.runner import INITIATING_S, Runner
from gtlab.localcloud.faults.templates import ACTIONS, RESOURCE_TYPES, check_tags, checked, refused, seconds, unknown
from gtlab.localcloud.globaltables.membership import Groups
from gtlab.localcloud.globaltables.pauses import Pauses
from gtlab.localcloud.globaltables.pauses import Saved as SavedPauses
from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.tables.tables import Tables
from gtlab.localcloud.world import World

_MOST_TEMPLATES, _MOST_EXPERIMENTS = 500, 1000  # of an account in a Region; the oldest experiments are forgotten
_LETTERS = string.ascii_letters + string.digits
_Made = TypeVar("_Made", Template, Experiment)


@dataclass
class Saved:
    templates: list[Template]
    experiments: list[Experiment]
    pauses: SavedPauses


class Fis:
    """Every account's templates and experiments. ``pauses``: the replicas whose replication is paused now.
    ``runner`` carries the experiments out."""

    def __init__(self, world: World, tables: Tables, groups: Groups, replicas: Replicas, journal: Journal):
        self.pauses = Pauses(groups, replicas, tables, journal)
        self._templates: dict[str, Template] = {}
        self.runner = Runner(tables.database, world, groups, self.pauses)

    # Time

    def tick(self, now: float) -> bool:
        """Carry out all that is due; returns whether there was anything."""
        return self.runner.tick(now)

    def abandon(self, now: float) -> None:
        """End the experiments whose next step is due and cannot be carried out."""
        self.runner.abandon(now)

    def stop_all(self, now: float) -> bool:
        """End every experiment at once; returns whether there was any."""
        return self.runner.stop_all(now)

    def has_experiments(self, account: str) -> bool:
        return any(each.account == account for each in self.runner.experiments.values())

    # What is kept

    def saved(self) -> Saved:
        return Saved(list(self._templates.values()), list(self.runner.experiments.values()), self.pauses.saved())

    def restore(self, kept: Saved) -> None:
        self._templates = {each.id: each for each in kept.templates}
        for experiment in kept.experiments:
            self.runner.add(experiment)
        self.pauses.restore(kept.pauses)

    # The API's operations: (account, region, input, now) → output

    def create_template(self, account: str, region: str, data: dict, now: float) -> dict:
        _check_token(data["clientToken"])
        mine = _of(self._templates.values(), account, region)
        if same := _by_token(mine, data):
            return {"experimentTemplate": same.shown()}
        check_tags(data.get("tags", {}))
        described = checked(account, region, data)
        if len(mine) >= _MOST_TEMPLATES:
            raise refused(f"There are {_MOST_TEMPLATES} experiment templates already. Delete some.",
                          "ServiceQuotaExceededException", 402)
        made = Template(account, region, _id("EXT"), data["clientToken"], data, described, now, now,
                        dict(data.get("tags", {})))
        self._templates[made.id] = made
        return {"experimentTemplate": made.shown()}

    def get_template(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"experimentTemplate": self._template(account, region, data["id"]).shown()}

    def list_templates(self, account: str, region: str, data: dict, now: float) -> dict:
        found = [each.summary() for each in _of(self._templates.values(), account, region)]
        return _page("experimentTemplates", found, data)

    def update_template(self, account: str, region: str, data: dict, now: float) -> dict:
        template = self._template(account, region, data["id"])
        changes = {name: value for name, value in data.items() if name != "id"}
        if "experimentOptions" in changes:
            changes["experimentOptions"] = template.described["experimentOptions"] | changes["experimentOptions"]
        template.described = checked(account, region, template.described | changes)
        template.updated = now
        return {"experimentTemplate": template.shown()}

    def delete_template(self, account: str, region: str, data: dict, now: float) -> dict:
        template = self._template(account, region, data["id"])
        del self._templates[template.id]
        return {"experimentTemplate": template.shown()}

    def start(self, account: str, region: str, data: dict, now: float) -> dict:
        _check_token(data["clientToken"])
        mine = _of(self.runner.experiments.values(), account, region)
        if same := _by_token(mine, data):
            return {"experiment": same.shown()}
        template = self._template(account, region, data["experimentTemplateId"])
        mode = data.get("experimentOptions", {}).get("actionsMode", "run-all")
        if mode not in ("run-all", "skip-all"):
            raise refused(f"actionsMode is run-all or skip-all, not {mode!r}.")
        check_tags(data.get("tags", {}))
        described = template.described | {"experimentOptions": template.described["experimentOptions"] | {
            "actionsMode": mode}}
        actions = {name: _action(action) for name, action in described["actions"].items()}
        made = Experiment(account, region, _id("EXP"), data["clientToken"], data, template.id, described,
                          dict(data.get("tags", {})), now, now + INITIATING_S, actions)
        self.runner.add(made)
        for old in [each for each in mine if each.status in OVER][:max(0, len(mine) + 1 - _MOST_EXPERIMENTS)]:
            self.runner.forget(old)
        return {"experiment": made.shown()}

    def get_experiment(self, account: str, region: str, data: dict, now: float) -> dict:
        return {"experiment": self._experiment(account, region, data["id"]).shown()}

    def list_experiments(self, account: str, region: str, data: dict, now: float) -> dict:
        wanted = data.get("experimentTemplateId")
        found = [each.summary() for each in _of(self.runner.experiments.values(), account, region)
                 if wanted in (None, each.template)]
        return _page("experiments", found, data)

    def stop(self, account: str, region: str, data: dict, now: float) -> dict:
        experiment = self._experiment(account, region, data["id"])
        if experiment.status in OVER:
            raise refused(f"Experiment {experiment.id} cannot be stopped: it is {experiment.status}.")
        self.runner.stop(experiment, now)
        return {"experiment": experiment.shown()}

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

    def _template(self, account: str, region: str, template_id: str) -> Template:
        found = self._templates.get(template_id)
        if found is None or (found.account, found.region) != (account, region):
            raise unknown("Experiment template", template_id)
        return found

    def _experiment(self, account: str, region: str, experiment_id: str) -> Experiment:
        found = self.runner.experiments.get(experiment_id)
        if found is None or (found.account, found.region) != (account, region):
            raise unknown("Experiment", experiment_id)
        return found

    def _tagged(self, account: str, region: str, arn: str) -> Template | Experiment:
        known: list[Template | Experiment] = [*self._templates.values(), *self.runner.experiments.values()]
        for each in known:
            if arn == each.arn and (each.account, each.region) == (account, region):
                return each
        raise unknown("Resource", arn)


def _of(known: Iterable[_Made], account: str, region: str) -> list[_Made]:
    return [each for each in known if (each.account, each.region) == (account, region)]


def _by_token(known: list[_Made], data: dict) -> _Made | None:
    """What an earlier request with the same clientToken made. Raises Refusal if that request was a different one."""
    same = next((each for each in known if each.token == data["clientToken"]), None)
    if same and same.asked != data:
        raise refused("This clientToken was used for another request.", "ConflictException", 409)
    return same


def _action(described: dict) -> Action:
    """An action that has not started, from a template's description of it."""
    target = next(iter(described.get("targets", {}).values()), None)
    return Action(described["actionId"], seconds(described["parameters"]["duration"]),
                  described.get("startAfter", []), target)


def _check_token(token: str) -> None:
    if not 1 <= len(token) <= 1024:
        raise refused("clientToken has 1 to 1024 characters.")


def _id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(15))


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
        raise refused("nextToken is not a token from an earlier answer.")
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
