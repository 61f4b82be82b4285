"""Validation of experiment templates of AWS FIS. No I/O and no state.

A template is stored in the API's form. Features of AWS that the local cloud does not have are refused with a message
that names them.
"""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from gtlab import regions
from gtlab.localcloud.model import Refusal, TableId

PAUSE, WAIT = "aws:dynamodb:global-table-pause-replication", "aws:fis:wait"
GLOBAL_TABLE = "aws:dynamodb:global-table"
_DURATION = {"duration": {"description": "ISO 8601, from PT1M to PT12H; PT1M is a minute.", "required": True}}
ACTIONS: dict[str, dict] = {
    PAUSE: {"description": "Pause the replication of DynamoDB global tables to and from the replicas that are named.",
            "targets": {"Tables": {"resourceType": GLOBAL_TABLE}}, "parameters": _DURATION},
    WAIT: {"description": "Wait.", "targets": {}, "parameters": _DURATION},
}
RESOURCE_TYPES = {GLOBAL_TABLE: "A replica of a DynamoDB global table, by its table's ARN"}
_SHORTEST_S, _LONGEST_S = 60, 12 * 3600
_MOST_ARNS, _MOST_TAGS, _MOST_NAMED = 5, 50, 20
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/\S+")
_TABLE = re.compile(r"arn:aws:dynamodb:([a-z0-9-]+):(\d{12}):table/([a-zA-Z0-9_.-]{3,255})")
_CHOICE = re.compile(r"ALL|COUNT\(([1-9]\d{0,4})\)|PERCENT\(([1-9]\d?|100)\)")
_NAME = re.compile(r"\S{1,64}")
_ELSEWHERE = {"logConfiguration": "neither CloudWatch Logs nor S3", "experimentReportConfiguration": "no reports"}


def refused(message: str, code: str = "ValidationException", status: int = 400) -> Refusal:
    """A refusal as FIS sends it."""
    return Refusal(f"com.amazonaws.fis#{code}", message, status)


def unknown(what: str, name: str) -> Refusal:
    return refused(f"{what} {name} was not found.", "ResourceNotFoundException", 404)


def checked(account: str, region: str, asked: dict) -> dict:
    """The stored parts of the template in a request. Raises Refusal for an invalid template."""
    for name, lacking in _ELSEWHERE.items():
        if name in asked:
            raise refused(f"{name}: gtlab's local cloud has {lacking}. Leave it out. Nothing was changed.")
    if not _ROLE.fullmatch(asked["roleArn"]):
        raise refused(f"roleArn is the ARN of a role, such as arn:aws:iam::{account}:role/fis, not "
                      f"{asked['roleArn']!r}. (The local cloud does not check whether the role exists.)")
    if not 1 <= len(asked["description"]) <= 512:
        raise refused("description must have 1 to 512 characters.")
    _check_stop_conditions(asked["stopConditions"])
    targets, actions = asked.get("targets", {}), asked["actions"]
    if not actions or len(actions) > _MOST_NAMED or len(targets) > _MOST_NAMED:
        raise refused(f"A template must have 1 to {_MOST_NAMED} actions and at most {_MOST_NAMED} targets.")
    for name, target in targets.items():
        _check_target(name, target, account, region)
    for name, action in actions.items():
        _check_action(name, action, actions, targets)
    _check_order(actions)
    return {"description": asked["description"], "targets": targets, "actions": actions,
            "stopConditions": asked["stopConditions"], "roleArn": asked["roleArn"],
            "experimentOptions": _options(asked.get("experimentOptions", {}))}


def check_tags(tags: dict[str, str]) -> None:
    if len(tags) > _MOST_TAGS or any(not 1 <= len(key) <= 128 or len(value) > 256 for key, value in tags.items()):
        raise refused(f"At most {_MOST_TAGS} tags are allowed; a key has 1 to 128 characters, a value at most 256.")


def seconds(duration: str) -> float:
    """The seconds of an ISO 8601 duration. Raises Refusal for a duration that FIS does not accept."""
    try:
        found = msgspec.convert(duration, timedelta).total_seconds() if duration.startswith("P") else 0.0
    except msgspec.ValidationError:
        found = 0.0
    if not _SHORTEST_S <= found <= _LONGEST_S:
        raise refused(f"duration is an ISO 8601 duration from PT1M to PT12H, such as PT5M for five minutes, not "
                      f"{duration!r}.")
    return found


def table_of(arn: str) -> TableId | None:
    """The table with this ARN; None if it is not the ARN of a table."""
    found = _TABLE.fullmatch(arn)
    return TableId(found[2], found[1], found[3]) if found and found[1] in regions.REGIONS else None


def how_many(mode: str, among: int) -> int:
    """The number of resources that a selection mode selects out of ``among``; fractions are rounded down."""
    choice = _CHOICE.fullmatch(mode)
    if choice is None:
        raise ValueError(f"{mode!r} is not a selection mode")
    count, percent = choice.groups()
    return min(among, int(count)) if count else among * int(percent) // 100 if percent else among


def _check_stop_conditions(conditions: list[dict]) -> None:
    if not conditions:
        raise refused('stopConditions must have an element; [{"source": "none"}] stands for no condition.')
    for condition in conditions:
        if condition["source"] != "none" or "value" in condition:
            raise refused('gtlab\'s local cloud has no alarms to stop an experiment by: stopConditions is '
                          '[{"source": "none"}] here.')


def _check_target(name: str, target: dict, account: str, region: str) -> None:
    _check_name("target", name)
    if target["resourceType"] not in RESOURCE_TYPES:
        raise refused(f"Target {name}: gtlab's local cloud has targets of {', '.join(RESOURCE_TYPES)} only, not of "
                      f"{target['resourceType']}.")
    if target.get("filters") or target.get("parameters"):
        raise refused(f"Target {name}: {target['resourceType']} takes neither filters nor parameters.")
    if not _CHOICE.fullmatch(target["selectionMode"]):
        raise refused(f"Target {name}: selectionMode is ALL, COUNT(n) or PERCENT(n), not "
                      f"{target['selectionMode']!r}.")
    arns, tags = target.get("resourceArns"), target.get("resourceTags")
    if bool(arns) == bool(tags):
        raise refused(f"Target {name}: specify either resourceArns or resourceTags.")
    if arns and len(arns) > _MOST_ARNS:
        raise refused(f"Target {name}: resourceArns has {_MOST_ARNS} elements at most.")
    check_tags(tags or {})
    for arn in arns or ():
        table = table_of(arn)
        if table is None:
            raise refused(f"Target {name}: {arn} is not the ARN of a table, such as "
                          f"arn:aws:dynamodb:{region}:{account}:table/Music.")
        if table[:2] != (account, region):
            raise refused(f"Target {name}: {arn} is not a table of this account ({account}) and Region ({region}). "
                          "The Region of a target is that of the replica to cut off: call FIS in that Region.")


def _check_action(name: str, action: dict, actions: dict, targets: dict) -> None:
    _check_name("action", name)
    known = ACTIONS.get(action.get("actionId", ""))
    if known is None:
        raise refused(f"Action {name}: gtlab's local cloud has no action {action.get('actionId')}. It has: "
                      f"{', '.join(ACTIONS)}.")
    parameters, named = action.get("parameters", {}), action.get("targets", {})
    if set(parameters) != set(known["parameters"]):
        raise refused(f"Action {name}: {action['actionId']} takes the parameters {', '.join(known['parameters'])}, not "
                      f"{', '.join(parameters) or 'none'}.")
    try:
        seconds(parameters["duration"])
    except Refusal as refusal:
        raise refused(f"Action {name}: {refusal.message}") from None
    if set(named) != set(known["targets"]):
        raise refused(f"Action {name}: the target key of {action['actionId']} is "
                      f"{', '.join(known['targets']) or 'none'}, not {', '.join(named) or 'none'}.")
    for key, target in named.items():
        if target not in targets:
            raise refused(f"Action {name}: there is no target {target}.")
        if targets[target]["resourceType"] != known["targets"][key]["resourceType"]:
            raise refused(f"Action {name}: {key} are of type {known['targets'][key]['resourceType']}.")
    strangers = [other for other in action.get("startAfter", ()) if other not in actions]
    if strangers:
        raise refused(f"Action {name}: startAfter names {', '.join(strangers)}, which is no action of this template.")


def _check_order(actions: dict) -> None:
    done: set[str] = set()
    while ready := [name for name, action in actions.items()
                    if name not in done and done.issuperset(action.get("startAfter", ()))]:
        done.update(ready)
    if len(done) < len(actions):
        raise refused(f"The actions {', '.join(sorted(set(actions) - done))} wait for one another: startAfter must not "
                      "form a cycle.")


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise refused(f"The name of a {what} has 1 to 64 characters without white space, not {name!r}.")


def _options(asked: dict) -> dict:
    if asked.get("accountTargeting", "single-account") != "single-account":
        raise refused("gtlab's local cloud has experiments on a single account only.")
    empty = asked.get("emptyTargetResolutionMode", "fail")
    if empty not in ("fail", "skip"):
        raise refused(f"emptyTargetResolutionMode is fail or skip, not {empty!r}.")
    return {"accountTargeting": "single-account", "emptyTargetResolutionMode": empty}
