"""05: put the steps of four plans in an order that the service accepts."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gtlab.course.exercises import Exercise, Setting, Wrong, described
from gtlab.course.trial import Trial, trial
from gtlab.lab import describe

if TYPE_CHECKING:
    import pandas as pd

_WANTS = 'a dict of plan to the letters of its steps in order, such as {"replicas": "bca", …}'
_LETTERS = "abcde"
_WHY = {
    "being added": ("two-at-once", "While a replica is being added, DynamoDB accepts no other change of the "
                                   "replicas. Wait in between."),
    "more than one": ("two-at-once", "One call adds one replica (but for a table with strong consistency)."),
    "Pay-Per-Request": ("provisioned", "A table with provisioned write capacity cannot get a replica, unless its "
                                       "capacity scales automatically. Make it an on-demand table first."),
    "must be empty": ("data-first", "A table with an item in it cannot become strongly consistent. The first item "
                                    "comes after the replicas."),
    "contains data": ("data-first", "Version 2017.11.29 joins empty tables only. The first item comes after the join."),
    "deletion": ("source-first", "A table cannot be deleted while it is the source of a replica: delete the replica "
                                 "first."),
    "source region": ("source-first", "For 24 hours a table that was the source of a replica cannot be deleted while "
                                      "the replica exists. Delete the replica first."),
    "ResourceInUseException": ("not-waited", "The table was not ACTIVE yet: it was still changing from the step "
                                             "before. Wait in between."),
    "NotFound": ("not-there", "The table did not exist yet, or was not ready yet. What creates it, and what waits "
                              "for it?"),
}


class _Plan:
    """The steps of a plan, in the order that works; each is a text and what it does."""

    def __init__(self, made: Trial | None, name: str):
        self.made, self.name, self.added = made, name, set[str]()
        self.table = made.word("Plan") if made else "Plan"
        self.where = made.regions(3) if made else ("home", "a replica", "another replica")
        self.steps: list[tuple[str, Callable[[], object]]] = getattr(self, f"_{name}")()

    def _replicas(self):
        home, near, far = self.where
        return [("create the table, on demand", self._create),
                ("wait until the table is ACTIVE", lambda: self._ready(home)),
                ("add the first replica", lambda: self._add(near)),
                ("wait until the first replica is ACTIVE", lambda: self._ready(near, home)),
                ("add the second replica", lambda: self._add(far))]

    def _provisioned(self):
        home, near, _ = self.where
        return [("create the table, with provisioned capacity", lambda: self._create(provisioned=True)),
                ("wait until the new table is ACTIVE", lambda: self._ready(home)),
                ("change the table to on demand", self._on_demand),
                ("wait until the changed table is ACTIVE", lambda: self._ready(home)),
                ("add a replica", lambda: self._add(near))]

    def _strong(self):
        home, near, far = self.where
        return [("create the table, on demand", self._create),
                ("wait until the table is ACTIVE", lambda: self._ready(home)),
                ("add two replicas, with MultiRegionConsistency=STRONG", lambda: self._add(near, far)),
                ("wait until all three are ACTIVE", lambda: self._ready(near, far, home)),
                ("put the first item", lambda: self._put(home))]

    def _legacy(self):
        home, near, _ = self.where
        return [("create the table at home, with a stream", lambda: self._create(stream=True)),
                ("create the same table in the other Region", lambda: self._create(near, stream=True)),
                ("wait until both tables are ACTIVE", lambda: self._ready(home, near)),
                ("call create_global_table for both", self._join),
                ("put the first item", lambda: self._put(home))]

    def _client(self, region: str) -> Any:
        assert self.made
        return self.made.client(region)

    def _create(self, region: str = "", *, provisioned: bool = False, stream: bool = False) -> None:
        billing: dict[str, Any] = {"BillingMode": "PAY_PER_REQUEST"}
        if provisioned:
            billing = {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
        if stream:
            billing["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        self._client(region or self.where[0]).create_table(
            TableName=self.table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], **billing)

    def _ready(self, *regions: str) -> None:
        assert self.made
        for region in regions:
            if region not in self.added:  # a replica may be on its way for a while before anybody lists it
                self._client(region).describe_table(TableName=self.table)
        self.made.until(lambda: all(self._active(region) for region in regions), f"plan {self.name}")

    def _active(self, region: str) -> bool:
        return bool(self.made and self.made.active(self.table, region))

    def _add(self, *regions: str) -> None:
        strong = {"MultiRegionConsistency": "STRONG"} if len(regions) > 1 else {}
        self._client(self.where[0]).update_table(
            TableName=self.table, ReplicaUpdates=[{"Create": {"RegionName": region}} for region in regions], **strong)
        self.added.update(regions)

    def _on_demand(self) -> None:
        self._client(self.where[0]).update_table(TableName=self.table, BillingMode="PAY_PER_REQUEST")

    def _join(self) -> None:
        if self.made and any(describe.status(self.made.lab, self.table, region) == "CREATING"
                             for region in self.where[:2]):
            raise Wrong("not-waited", "A table was still CREATING. The local cloud joins it all the same, because the "
                                      "article never waits; nobody knows whether AWS did. Wait until both are ACTIVE.")
        self._client(self.where[0]).create_global_table(
            GlobalTableName=self.table, ReplicationGroup=[{"RegionName": region} for region in self.where[:2]])

    def _put(self, region: str) -> None:
        self._client(region).put_item(TableName=self.table, Item={"id": {"S": "first"}})


PLANS = ("replicas", "provisioned", "strong", "legacy")


def _shuffled(plan: str, seed: int) -> dict[str, int]:
    """Letter → number of the step in the order that works."""
    numbers = list(range(len(_LETTERS)))
    random.Random(f"{plan} {seed}").shuffle(numbers)
    return dict(zip(_LETTERS, numbers, strict=True))


def material(seed: int = 0) -> pd.DataFrame:
    """The steps of the four plans, in no order: a data frame with the columns ``plan``, ``letter`` and ``step``."""
    import pandas as pd

    return pd.DataFrame([{"plan": plan, "letter": letter, "step": _Plan(None, plan).steps[number][0]}
                         for plan in PLANS for letter, number in _shuffled(plan, seed).items()])


def _judge(answer: Any, setting: Setting) -> str:
    given = _given(answer)
    with trial(setting.seed, network="fast", limit_s=setting.limit_s) as made:
        plans = {name: _Plan(made, name) for name in PLANS}
        with ThreadPoolExecutor(len(PLANS)) as pool:
            found = list(pool.map(lambda name: _carry_out(plans[name], given[name], setting.seed), PLANS))
    for wrong in filter(None, found):
        works = sum(each is None for each in found)
        wrong.text = f"{works} of the {len(PLANS)} plans work. {wrong.text}"
        raise wrong
    return "The service accepted every step of all four plans, in your order."


def _carry_out(plan: _Plan, order: str, seed: int) -> Wrong | None:
    from botocore.exceptions import ClientError

    numbers = _shuffled(plan.name, seed)
    for at, letter in enumerate(order, 1):
        text, do = plan.steps[numbers[letter]]
        try:
            do()
        except Wrong as wrong:
            return Wrong(wrong.tag, f"Plan {plan.name}, step {at} ({letter}: {text}). {wrong.text}", wrong.evidence)
        except ClientError as error:
            refusal = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
            tag, why = next((found for part, found in _WHY.items() if part in refusal),
                            ("refused", "The service refused a step."))
            return Wrong(tag, f"Plan {plan.name}, step {at} ({letter}: {text}). {why}", refusal)
    return None


def _given(answer: Any) -> dict[str, str]:
    """The answer as plan → letters. Raises Wrong."""
    if hasattr(answer, "to_dict") and hasattr(answer, "index"):
        answer = answer.to_dict()
    if not isinstance(answer, Mapping):
        raise Wrong("no-dict", f"That is {described(answer)}. Wanted: {_WANTS}.")
    given = {}
    for name in PLANS:
        order = answer.get(name)
        if order is None or (isinstance(order, str | list | tuple) and not order):
            raise Wrong("plans", f"The plan {name} is missing. The plans are: {', '.join(PLANS)}.")
        if not isinstance(order, str | list | tuple) or not all(isinstance(each, str) for each in order):
            raise Wrong("letters", f"The order of plan {name} is {described(order)}. Wanted: {_WANTS}.")
        letters = "".join(order).replace(" ", "").replace(",", "").lower()
        if sorted(letters) != sorted(_LETTERS):
            lacking = [each for each in _LETTERS if each not in letters]
            raise Wrong("steps", f"Plan {name} has the steps {', '.join(_LETTERS)}, each once. "
                                 f"Missing: {', '.join(lacking) or 'none'}. You gave: {letters}.")
        given[name] = letters
    return given


EXERCISE = Exercise(
    "05-four-plans", "Put four plans in order", _WANTS,
    hints=(
        "Which steps return before their work is done? What must be finished before the next step is accepted?",
        "Create first, and wait after each step that creates, changes or adds something. Only an on-demand table (or "
        "one that scales automatically) gets a replica. Only an empty table becomes strongly consistent, or joins.",
        "replicas: create, wait, add, wait, add. provisioned: create, wait, change, wait, add. strong: create, wait, "
        "add both, wait, put. legacy: create, create, wait, join, put."),
    judge=_judge, material=material)
