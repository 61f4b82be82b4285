"""02: which of four pairs of tables can be joined into a global table of version 2017.11.29, and why not the others?"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gtlab.course.exercises import Exercise, Setting, Wrong, described
from gtlab.course.trial import Trial, trial

if TYPE_CHECKING:
    import pandas as pd

LETTERS = ("A", "B", "C", "D")
JOINS = "joins"
# What prevents joining → what the service's refusal has in it.
REASONS = {"keys": "does not have the same", "stream": "must have a stream", "data": "contains data"}
_WANTS = ('a dict that says of each pair "joins", or what prevents it: "keys", "stream" or "data". For example '
          '{"A": "keys", "B": "joins", …}')
_SEE = "Compare the two tables of the pair column by column."


def material(seed: int = 0) -> pd.DataFrame:
    """Four pairs of tables: a data frame with a row for each table (``pair``, ``region``, ``key``, ``stream``,
    ``items``, ``read units``)."""
    import pandas as pd

    return pd.DataFrame([{"pair": letter, **table} for letter, pair in _pairs(seed).items() for table in pair])


def _pairs(seed: int) -> dict[str, list[dict[str, Any]]]:
    chance = random.Random(f"pairs {seed}")
    kinds = [JOINS, *REASONS]
    chance.shuffle(kinds)
    pairs = {}
    for letter, kind in zip(LETTERS, kinds, strict=True):
        where = chance.sample(["us-east-1", "eu-west-1", "ap-southeast-1", "sa-east-1", "eu-central-1"], 2)
        pair = [{"region": region, "key": "Artist, SongTitle", "stream": "NEW_AND_OLD_IMAGES", "items": 0,
                 "read units": chance.choice([1, 5, 10])} for region in where]
        odd = pair[chance.randrange(2)]
        if kind == "keys":
            odd["key"] = chance.choice(["Artist", "Artist, Album"])
        elif kind == "stream":
            odd["stream"] = chance.choice(["none", "KEYS_ONLY", "NEW_IMAGE"])
        elif kind == "data":
            odd["items"] = chance.randint(1, 3)
        pairs[letter] = pair
    return pairs


def _judge(answer: Any, setting: Setting) -> str:
    given = _given(answer)
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        answers = {letter: _try(made, pair) for letter, pair in _pairs(setting.seed).items()}
    truth = {letter: _reason(text) for letter, text in answers.items()}
    if set(given.values()) == {JOINS}:
        letter = next(each for each in LETTERS if truth[each] != JOINS)
        raise Wrong("all-join", "Not every pair can be joined. The tables must be alike where it matters, empty, and "
                                "have a stream with both images.", f"pair {letter}: {answers[letter]}")
    for letter in LETTERS:
        said, is_so = given[letter], truth[letter]
        if said == is_so:
            continue
        evidence = f"pair {letter}, create_global_table: {answers[letter]}"
        if said == JOINS:
            raise Wrong(f"refused-{is_so}", f"Pair {letter} cannot be joined. {_SEE}", evidence)
        if is_so == JOINS:
            raise Wrong("joined", f"Pair {letter} can be joined. Tables may differ in their read capacity: replication "
                                  "needs equal keys, empty tables, and streams with both images.", evidence)
        raise Wrong("other-reason", f"Pair {letter} cannot be joined, but not because of its {said}. {_SEE}", evidence)
    return "One pair joins, and each of the others is refused for the reason that you gave."


def _given(answer: Any) -> dict[str, str]:
    """The answer as letter → word. Raises Wrong."""
    if hasattr(answer, "to_dict") and hasattr(answer, "index"):  # a Series is as good as a dict
        answer = answer.to_dict()
    if not isinstance(answer, Mapping):
        raise Wrong("no-dict", f"That is {described(answer)}. Wanted: {_WANTS}.")
    given = {str(key).strip().upper(): value for key, value in answer.items()}
    if set(given) != set(LETTERS):
        lacking, extra = sorted(set(LETTERS) - set(given)), sorted(set(given) - set(LETTERS))
        raise Wrong("pairs", f"Missing: {', '.join(lacking) or 'none'}. No pair: {', '.join(extra) or 'none'}. "
                             f"Wanted: {_WANTS}.")
    for letter, word in given.items():
        if not isinstance(word, str) or word.strip().lower() not in (JOINS, *REASONS):
            raise Wrong("word", f"Of pair {letter} you say {described(word)}. Choose one of: "
                                f"{', '.join((JOINS, *REASONS))}.")
    return {letter: word.strip().lower() for letter, word in given.items()}


def _try(made: Trial, pair: list[dict[str, Any]]) -> str:
    """Create the two tables, and join them: what the service says."""
    name = made.word("Pair")
    for each in pair:
        _create(made, name, each)
    client = made.client(pair[0]["region"])
    try:
        client.create_global_table(GlobalTableName=name, ReplicationGroup=[
            {"RegionName": each["region"]} for each in pair])
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Message"]
    return JOINS


def _create(made: Trial, name: str, each: dict[str, Any]) -> None:
    client, keys = made.client(each["region"]), each["key"].split(", ")
    view = each["stream"]
    client.create_table(
        TableName=name, ProvisionedThroughput={"ReadCapacityUnits": each["read units"], "WriteCapacityUnits": 1},
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        StreamSpecification={"StreamEnabled": False} if view == "none" else {
            "StreamEnabled": True, "StreamViewType": view})
    made.until(lambda: made.active(name, each["region"]), f"table {name}")
    for number in range(each["items"]):
        client.put_item(TableName=name, Item={key: {"S": f"{key} {number}"} for key in keys})


def _reason(text: str) -> str:
    return next((reason for reason, part in REASONS.items() if part in text), JOINS if text == JOINS else text)


EXERCISE = Exercise(
    "02-joinable-pairs", "Which pairs can be joined?", _WANTS,
    hints=(
        "What must replication have to copy an item: what does it read, where does it put it, and what could be in its "
        "way?",
        "Replication reads the stream of each table, and needs the item before and after each change. It finds the "
        "item in the other table by its key. And it does not merge items that are there already. Read capacity may "
        "differ.",
        'A difference in the column key is "keys"; a stream other than NEW_AND_OLD_IMAGES is "stream"; '
        'a table with items is "data". The pair without any of these "joins".'),
    judge=_judge, material=material)
