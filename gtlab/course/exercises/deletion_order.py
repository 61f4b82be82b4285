"""11: delete three global tables, in an order that the service accepts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gtlab.course.exercises import Exercise, Setting, Wrong, described
from gtlab.course.trial import Trial, trial

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = "abcdefgh"
_DETACH = 0  # the number of the step that takes the legacy global table apart
_NOT_DETACHED = (" (You deleted the members of Music without removing them from the global table first. The local "
                 "cloud accepts that. AWS's documentation of the legacy version describes only the removal, so "
                 "remove them first.)")
_WANTS = 'the letters of the steps in order, as a string such as "cab…" or a list'
_WHY = {
    "source region": ("source-first", "This table was the source of replicas, so for 24 hours it cannot be deleted "
                                      "while they exist: the replicas first, then their source."),
    "only one table replica": ("one-of-strong", "A strongly consistent global table never has two replicas: both go "
                                                "in one call, or none does."),
    "GlobalTableNotFound": ("detach-late", "There is nothing left to remove from the global table: detach first, "
                                           "delete second."),
    "ReplicaNotFound": ("detach-late", "There is nothing left to remove from the global table: detach first, delete "
                                       "second."),
    "ResourceNotFound": ("twice", "This table is gone already."),
}


class _Tables:
    """The three tables, and the steps that delete them; the last step is never accepted."""

    def __init__(self, made: Trial | None):
        self._made = made
        self.where = made.regions(3) if made else ("", "", "")
        self.names = {kind: made.word(kind) if made else kind for kind in ("Music", "MusicToday", "MusicStrong")}
        near, far = 1, 2
        self.steps: list[tuple[str, Callable[[], object]]] = [
            ("Music: remove both Regions from the global table, with update_global_table", self._detach),
            ("Music: delete the table in both Regions", lambda: self._delete("Music", near, 0)),
            ("MusicToday: delete the table in the first replica Region", lambda: self._delete("MusicToday", near)),
            ("MusicToday: delete the table in the second replica Region", lambda: self._delete("MusicToday", far)),
            ("MusicToday: delete the table at home, the source of the replicas", lambda: self._delete("MusicToday", 0)),
            ("MusicStrong: remove both replicas with one update_table", self._remove_both),
            ("MusicStrong: delete the table at home", lambda: self._delete("MusicStrong", 0)),
            ("MusicStrong: delete the table in one replica Region", lambda: self._delete("MusicStrong", near))]

    def create(self) -> None:
        """Create the tables as the course's notebooks leave them: of the legacy version, of today's, and strong."""
        assert self._made
        home, near, far = self.where
        for region in (home, near):
            self._made.table((region,), name=self.names["Music"])
        self._client(0).create_global_table(GlobalTableName=self.names["Music"], ReplicationGroup=[
            {"RegionName": region} for region in (home, near)])
        self._made.table(self.where, name=self.names["MusicToday"])
        strong = self._made.table((home,), name=self.names["MusicStrong"], stream=False)
        self._client(0).update_table(TableName=strong, MultiRegionConsistency="STRONG", ReplicaUpdates=[
            {"Create": {"RegionName": region}} for region in (near, far)])
        for region in self.where:
            self._wait(strong, region)

    def left(self) -> list[str]:
        """The tables that still exist, as "table in Region"."""
        return [f"{kind} in {region}" for kind, name in self.names.items() for at, region in enumerate(self.where)
                if self._exists(name, at)]

    def _client(self, at: int) -> Any:
        assert self._made
        return self._made.client(self.where[at])

    def _wait(self, table: str, region: str) -> None:
        assert self._made
        made = self._made
        made.until(lambda: made.active(table, region), f"table {table}")

    def _exists(self, name: str, at: int) -> bool:
        client = self._client(at)
        try:
            client.describe_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            return False
        return True

    def _detach(self) -> None:
        for region in self.where[:2]:
            self._client(0).update_global_table(GlobalTableName=self.names["Music"], ReplicaUpdates=[
                {"Delete": {"RegionName": region}}])

    def _delete(self, kind: str, *where: int) -> None:
        for at in where:
            self._client(at).delete_table(TableName=self.names[kind])

    def _remove_both(self) -> None:
        self._client(0).update_table(TableName=self.names["MusicStrong"], ReplicaUpdates=[
            {"Delete": {"RegionName": region}} for region in self.where[1:]])


def _shuffled(seed: int) -> dict[str, int]:
    """Letter → number of the step."""
    numbers = list(range(len(_LETTERS)))
    random.Random(f"deletion {seed}").shuffle(numbers)
    return dict(zip(_LETTERS, numbers, strict=True))


def material(seed: int = 0) -> pd.DataFrame:
    """The steps, in no order: a data frame with the columns ``letter`` and ``step``."""
    import pandas as pd

    steps = _Tables(None).steps
    return pd.DataFrame([{"letter": letter, "step": steps[number][0]} for letter, number in _shuffled(seed).items()])


def _judge(answer: Any, setting: Setting) -> str:
    from botocore.exceptions import ClientError

    order, numbers = _given(answer), _shuffled(setting.seed)
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        tables = _Tables(made)
        tables.create()
        for at, letter in enumerate(order, 1):
            text, do = tables.steps[numbers[letter]]
            try:
                do()
            except ClientError as error:
                refusal = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
                tag, why = next((found for part, found in _WHY.items() if part in refusal), ("refused", ""))
                raise Wrong(tag, f"Step {at} ({letter}) is refused. {text}. {why}".rstrip(), refusal) from None
        left = tables.left()
    if left:
        raise Wrong("left", f"Every step was accepted, but {len(left)} tables are left. On AWS they would go on "
                            "costing money.", "\n".join(left))
    return f"{len(order)} steps, none refused, and nothing is left." + (
        "" if _DETACH in map(numbers.__getitem__, order) else _NOT_DETACHED)


def _given(answer: Any) -> str:
    """The answer as letters. Raises Wrong."""
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if not isinstance(answer, str | list | tuple) or not all(isinstance(each, str) for each in answer):
        raise Wrong("no-order", f"That is {described(answer)}. Wanted: {_WANTS}.")
    order = "".join(answer).replace(" ", "").replace(",", "").lower()
    if strange := sorted(set(order) - set(_LETTERS)):
        raise Wrong("letters", f"There is no step {', '.join(strange)}. Wanted: {_WANTS}.")
    if twice := sorted({each for each in order if order.count(each) > 1}):
        raise Wrong("repeated", f"Step {', '.join(twice)} is there more than once.")
    return order


EXERCISE = Exercise(
    "11-deletion-order", "Delete three global tables", _WANTS,
    hints=(
        "Which table is a replica, and which one is the source that the replicas came from? And how many replicas may "
        "a strongly consistent table have?",
        "The replicas of MusicToday first, then its source. Detach before you delete: Music. MusicStrong never "
        "has two replicas, so one of the steps is never accepted: leave it out.",
        "Music: remove, then delete. MusicToday: both replicas, then home. MusicStrong: remove both replicas with one "
        "call, then home. The order of the three tables does not matter."),
    judge=_judge, material=material)
