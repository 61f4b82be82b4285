"""Delete every table that the course made (:mod:`gtlab.course.owned`), in any Region, and nothing else.

The order: replicas first and the table that they were made from last, because for 24 hours DynamoDB refuses to delete a
table that was the source of a replica which still exists. The members of a group with strong consistency, a witness
included, leave with one call. Nothing is remembered between two runs: after an interruption, run it again. On the local
cloud, the steps take a fiftieth of their usual time: nobody learns anything from waiting for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from gtlab.contract import RUN_TAG
from gtlab.course import items
from gtlab.course.owned import (
    DEFAULTS,
    PATIENCE,
    Found,
    Group,
    Left,
    Looker,
    Options,
    Place,
    Survey,
    at_once,
    grouped,
    other_runs,
)
from gtlab.lab import Lab, ownership, watch
from gtlab.lab.aws import errors
from gtlab.lab.display import Lines
from gtlab.regions import label

__all__ = ["Left", "Options", "Survey", "clean", "other_runs", "survey"]

_RULE = timedelta(hours=24)
_HURRY = 50  # replicas need two to four minutes to leave
_LATER = ("ResourceInUseException", "LimitExceededException", "ThrottlingException")  # the same call works later
_PROTECTED = ("it has deletion protection. To delete it too: {} --unprotect, or "
              "update_table(DeletionProtectionEnabled=False) and clean up again")

_STRANGE = ("it has items that the course does not write, such as {}. If they are yours and may go: "
            "{} --items")


def survey(lab: Lab, options: Options = DEFAULTS) -> Survey:
    """Look for the course's tables in every Region. Nothing is changed."""
    return Looker(lab, options).survey()


def clean(lab: Lab, options: Options = DEFAULTS, *, timeout_s: float = 1800.0) -> list[Left]:
    """Delete the course's tables wherever they are, print each step, and show the progress.

    Ends with "0 left", or with a list of what is left and why. Returns that list, with other people's tables
    that have a name of the course's (``foreign``), which are left alone. After ``timeout_s``
    seconds, what is not gone yet is listed.
    """
    looker, lines = Looker(lab, options), Lines()
    found = looker.survey()
    ours = [each.place for group in found.groups for each in group.tables]
    left = list(found.left)
    if ours:
        lines.say("The course's tables:")
        for table in sorted({place.table for place in ours}):
            where = sorted(label(place.region) for place in ours if place.table == table)
            lines.say(f"  {table} in {', '.join(where)}")
        left += _Deletion(looker, ours, lines.say).run(timeout_s)
    _experiments(looker, {place.region for place in ours}, lines.say)
    still = [Place(each.table, each.region) for each in left]
    for place in ours:
        if place not in still:
            ownership.forget(lab.scope, place.region, place.table)
    others = other_runs(lab, left)
    if lacking := [each for each in left if not each.foreign]:
        print(f"Deleted: {sum(place not in still for place in ours)} of the course's {len(ours)} tables. Left:")
    else:
        print("0 left." if ours else "0 left: this run of gtlab has no tables here." if others else
              "0 left: the course has no tables here.")
    for each in lacking:
        print(f"  {each}")
    for each in left:
        if each.foreign:
            print(f"Left alone: {each}")
    if others:
        print(others)
    if found.unsearched:
        print(found.unsearched)
    return left


def strange_item(lab: Lab, group: Group, options: Options = DEFAULTS) -> str:
    """On AWS, an item of a group that the course does not write, as text: such a group is not deleted. Empty if there
    is none, if ``options.items`` is set, and on the local cloud, which is the learner's own."""
    place = next((each.place for each in reversed(group.tables) if each.status == "ACTIVE"), None)
    if lab.backend != "aws" or options.items or place is None:
        return ""
    return items.strange(lab.bare_client(place.region), place.table)


def _experiments(looker: Looker, regions: Collection[str], say: Callable[[str], None]) -> None:
    """Stop the experiments of AWS's fault injection service that gtlab started, and delete their templates, in the
    lab's Regions and others."""
    def step(region: str) -> list[str]:
        said = []
        try:
            fis = looker.lab.bare_client(region, "fis", **PATIENCE)
            for each in fis.list_experiment_templates().get("experimentTemplates", ()):
                if looker.is_ours(each.get("tags", {}).get(RUN_TAG)):
                    for running in fis.list_experiments(experimentTemplateId=each["id"])["experiments"]:
                        if running["state"]["status"] in ("pending", "initiating", "running"):
                            fis.stop_experiment(id=running["id"])
                    fis.delete_experiment_template(id=each["id"])
                    said.append(f"Delete the FIS experiment template {each['id']} in {label(region)}.")
        except (BotoCoreError, ClientError):
            pass  # a Region without FIS, or an identity that may not use it and so has made no template
        return said

    where = {*looker.lab.regions, *regions}
    for lines in at_once(step, where) if looker.lab.backend == "aws" else ():
        for line in lines:
            say(line)


class _Silent(NamedTuple):
    """A table whose Region does not answer."""

    place: Place
    why: str


class _Deletion:
    """Deletes tables: each look at them takes the steps that are possible at this moment."""

    def __init__(self, looker: Looker, places: Collection[Place], tell: Callable[[str], None]):
        self._looker, self._places, self._unprotects = looker, places, looker.options.unprotect
        self._tell = tell
        self._refused: dict[Place, tuple[frozenset[str], str]] = {}  # which members were present then, and the reason
        self._said: set[str] = set()
        self._given_up: dict[Place, str] = {}
        self._statuses: dict[str, str] = {}
        self._items: dict[Place, str] = {}  # an item of others, by a table of its group

    def run(self, timeout_s: float) -> list[Left]:
        """Returns what is left."""
        lab = self._looker.lab
        try:
            with lab.hurry(_HURRY):
                watch.until(self._look, watch.ABSENT, what="the tables to be deleted", timeout_s=timeout_s,
                            every_s=0.1 if lab.simulated or lab.rehearsal else 5.0)
        except TimeoutError:
            late = {place: self._statuses.get(str(place), watch.ABSENT) for place in self._places}
            self._given_up |= {place: f"after {timeout_s:.0f} s it is still {status}. Clean up again later."
                               for place, status in late.items() if status != watch.ABSENT}
        return [Left(*place, why) for place, why in self._given_up.items()]

    def _look(self) -> dict[str, str]:
        """Take the next steps; the status by table of those that are being deleted."""
        seen = at_once(self._describe, self._places)
        there = [each for each in seen if isinstance(each, Found)]
        groups = grouped(there)
        for group in groups:
            self._step(group)
        self._given_up = {each.place: each.why for each in seen if isinstance(each, _Silent)} | {
            each.place: why for group in groups for each in group.tables if (why := self._stuck(each, group))}
        now = {each.place: each.status for each in there}
        self._statuses = {str(place): now.get(place, watch.ABSENT) for place in self._places
                          if place not in self._given_up}
        return dict(self._statuses)

    def _describe(self, place: Place) -> Found | _Silent | None:
        try:
            return self._looker.describe(place)
        except (BotoCoreError, ClientError) as error:
            return _Silent(place, f"the Region does not answer: {error}")

    def _stuck(self, each: Found, group: Group) -> str:
        """Why a table cannot be deleted as things are. While a member is changing, nothing is final."""
        if not all(other.settled for other in group.tables):
            return ""
        if each.protected and not self._unprotects:
            return _PROTECTED.format(self._looker.lab.clean_command)
        if strange := self._strange(group):
            return _STRANGE.format(strange, self._looker.lab.clean_command)
        if not self._unprotects and group.strong and any(other.protected for other in group.tables):
            return "its group has strong consistency and leaves as a whole, but one of its members is protected"
        acts = group.tables[-1] if group.strong else each
        members, why = self._refused.get(acts.place, (frozenset(), ""))
        return why if members == group.present else ""

    def _strange(self, group: Group) -> str:
        """:func:`strange_item`; a group is looked at once."""
        known = next((self._items[each.place] for each in group.tables if each.place in self._items), None)
        if known is None and all(each.status != "ACTIVE" for each in group.tables):
            return ""
        if known is None:
            known = strange_item(self._looker.lab, group, self._looker.options)
        self._items |= dict.fromkeys((each.place for each in group.tables), known)
        return known

    def _step(self, group: Group) -> None:
        """Make the calls that a group's deletion can take now."""
        if self._strange(group):
            return
        *leaves, source = group.tables
        if self._unprotects and (protected := [each for each in group.tables if each.protected]):
            self._unprotect(protected, group)
        elif group.strong:
            if all(each.settled and not each.protected for each in group.tables):
                says = f"Remove the other members of {source.place}{_witness(source)}."
                self._call(source, group, says, lambda client: _take_apart(client, source))
        elif not leaves:
            self._delete(source, group, "Delete")
        else:
            for each in leaves:
                self._delete(each, group, "Delete the replica")
            if all(self._stuck(each, group) for each in leaves):
                self._delete(source, group, "Delete")  # perhaps another member was the source

    def _unprotect(self, protected: list[Found], group: Group) -> None:
        for each in protected:
            self._call(each, group, f"Switch off deletion protection of {each.place}.", lambda client: (
                client.update_table(TableName=protected[0].place.table, DeletionProtectionEnabled=False)))

    def _delete(self, each: Found, group: Group, says: str) -> None:
        if each.status != "ACTIVE" or each.protected:
            return
        if len(each.members) == 1 and self._looker.lab.legacy_api:
            self._leave(each)
        self._call(each, group, f"{says} {each.place}.", lambda client: client.delete_table(TableName=each.place.table))

    def _leave(self, each: Found) -> None:
        """Take a table out of its global table of version 2017.11.29, if it is in one."""
        client = self._looker.clients[each.place.region]
        try:
            client.update_global_table(GlobalTableName=each.place.table, ReplicaUpdates=[
                {"Delete": {"RegionName": each.place.region}}])
            self._say(f"Take {each.place} out of its global table of version 2017.11.29.")
        except (BotoCoreError, ClientError):
            return  # it is in none; if it cannot leave, DeleteTable says so

    def _call(self, each: Found, group: Group, says: str, call: Callable[[Any], object]) -> None:
        """Make a call, unless it was refused and no member has gone since."""
        if self._refused.get(each.place, (frozenset(), ""))[0] == group.present:
            return
        try:
            call(self._looker.clients[each.place.region])
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code not in (*_LATER, "ResourceNotFoundException"):
                self._refused[each.place] = group.present, _explained(error, group)
        else:
            self._say(says)

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._tell(text)


def _take_apart(client: Any, source: Found) -> None:
    """Remove all other members, and the witness, of a group with strong consistency: they can only leave together."""
    witness = {"GlobalTableWitnessUpdates": [{"Delete": {"RegionName": source.witness}}]} if source.witness else {}
    client.update_table(TableName=source.place.table, **witness, ReplicaUpdates=[
        {"Delete": {"RegionName": region}} for region in sorted(source.members - {source.place.region})])


def _witness(source: Found) -> str:
    return f", and its witness in {label(source.witness)}" if source.witness else ""


def _explained(error: Exception, group: Group) -> str:
    text = errors.redacted(error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error))
    if "last 24 hours" in text:
        # The newest table of the group is at least as new as any replica that this table was the source of.
        then = max(each.created for each in group.tables).astimezone(UTC) + _RULE
        text += (" This is DynamoDB's 24-hour rule: the source of a replica can be deleted after the replica is gone, "
                 "or 24 hours after it was created. Clean up again then, or after "
                 f"{then:%Y-%m-%d %H:%M} UTC.")
    elif errors.is_denied(error):
        text = errors.denied(error, errors.Where("dynamodb:DeleteTable", group.tables[-1].place.region))
    return f"the service refuses to delete it: {text}"
