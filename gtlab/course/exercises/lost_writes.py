"""06: find the lost writes in the stream of the Region that lost them."""

from __future__ import annotations

from typing import Any

from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function
from gtlab.course.trial import Trial, trial

_WANTS = "a function lost_writes(records, region) that returns the lost values as a list of strings"


class _Written:
    """The writes of a trial: versioned items, as an application would write them. ``lost`` and the other sets hold
    values of attribute Value, as they were written in the Region that is looked at."""

    def __init__(self, made: Trial):
        self.here, self.there = made.regions(2)
        self.table = made.table((self.here, self.there))
        self._made = made
        self.seen_by_other: set[str] = set()  # overwritten by a writer who had seen them
        self.own: set[str] = set()            # overwritten by their own Region
        self.winners: set[str] = set()
        self.deleted: set[str] = set()

    def put(self, region: str, key: str) -> str:
        """Read the item, and write the next version of it: it counts the writes of each Region that it has seen."""
        value, client = self._made.word("value"), self._made.client(region)
        old = client.get_item(TableName=self.table, Key={"id": {"S": key}}, ConsistentRead=True).get("Item", {})
        seen = {name: int(count["N"]) for name, count in old.get("Seen", {"M": {}})["M"].items()}
        seen[region] = seen.get(region, 0) + 1
        client.put_item(TableName=self.table, Item={
            "id": {"S": key}, "Value": {"S": value}, "WrittenIn": {"S": region},
            "Version": {"N": str(int(old.get("Version", {"N": "0"})["N"]) + 1)},
            "Seen": {"M": {name: {"N": str(count)} for name, count in seen.items()}}})
        return value

    def delete(self, key: str) -> None:
        self._made.client(self.here).delete_item(TableName=self.table, Key={"id": {"S": key}})

    def together(self) -> None:
        """Writes that see each other: each is in both Regions before the next."""
        for _ in range(self._made.random.randint(2, 4)):
            key = self._made.word("key")
            self.seen_by_other.add(self.put(self.here, key))
            self._made.settled()
            self.put(self.there, key)
            self._made.settled()
        key = self._made.word("key")
        self.own.add(self.put(self.here, key))
        self.put(self.here, key)
        key = self._made.word("key")
        self.deleted.add(self.put(self.here, key))
        self.delete(key)
        self._made.settled()

    def apart(self) -> None:
        """Conflicts through a cut, won by either side. Some of the items existed before, and in some conflicts the
        winner had written before the loser: its version is greater, although it has not seen the loser's write."""
        chance = self._made.random
        before = [0, 1, 0, *(chance.choice((0, 0, 1, 2)) for _ in range(chance.randint(1, 3)))]  # writes of the winner
        keys = {self._made.word("key"): (self.there, many) for many in before}
        keys |= {self._made.word("key"): (self.here, chance.choice((0, 1))) for _ in range(chance.randint(1, 2))}
        existing = list(keys)[2::2]
        for key in existing:
            self.own.add(self.put(self.here, key))
        self._made.settled()
        with self._made.cut(self.here, self.there):
            for key in chance.sample(list(keys), len(keys)):
                winner, many = keys[key]
                loser = self.here if winner == self.there else self.there
                values = [(region, self.put(region, key)) for region in (*[winner] * many, loser, winner)]
                self.own |= {value for region, value in values[:many] if region == self.here}
                if winner == self.there:
                    self.winners.add(values[-1][1])
        self._made.settled()


def _judge(answer: Any, setting: Setting) -> str:
    find = function(answer, _WANTS, "records", "region")
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        written = _Written(made)
        written.together()
        written.apart()
        lost = _by_journal(made, written)
        records = made.records(written.table, written.here)
        outcome = made.run(find, records, written.here)
        check_outcome(outcome, made.limit_s, "lost_writes")
        _compare(outcome.value, lost, written, records)
        return (f"All {len(lost)} lost writes, among {len(records)} records: the same as in the journal, which AWS "
                "does not have.")


def _by_journal(made: Trial, written: _Written) -> set[str]:
    """The values that were written here and lost, by the journal: their deliveries were discarded in a conflict."""
    events = made.lab.events(table=written.table)
    gone = events[events["kind"].eq("discarded") & events["conflict"].eq(True) & events["source"].eq(written.here)]
    keys = set(gone["key"])
    own: dict[str, str] = {}
    left_in: dict[str, str] = {}  # where the item that is left was written
    for record in made.records(written.table, written.here):
        image = record["dynamodb"].get("NewImage", {})
        if not image:
            continue
        left_in[image["id"]["S"]] = image["WrittenIn"]["S"]
        if image["WrittenIn"]["S"] == written.here:
            own[image["id"]["S"]] = image["Value"]["S"]  # the last one of this Region
    # Where this Region has won, it replaced by itself what the other Region discarded.
    return {own[key] for key in keys if left_in[key] != written.here}


def _compare(value: Any, lost: set[str], written: _Written, records: list[dict]) -> None:
    if value is None:
        raise Wrong("returns-none", "Your function returned nothing. Does it end with return?")
    if isinstance(value, str | bytes | int | float) or isinstance(value, dict):
        raise Wrong("wrong-type", f"Your function returned {described(value)}. Wanted: {_WANTS}.")
    found = list(value)
    if found and not all(isinstance(each, str) for each in found):
        raise Wrong("wrong-type", f"Your function returned a list with {described(found[0])} in it. Each of its "
                                  'elements is a string, such as the S in {"Value": {"S": "…"}}.')
    names = set(found)
    keys = {record["dynamodb"]["Keys"]["id"]["S"] for record in records}
    if names & keys:
        raise Wrong("keys", "Your function returned keys. A key says where something was lost; wanted is what was "
                            "lost: the Value of the old image.", f"{min(names & keys)} is a key")
    for tag, among, text in (
            ("winners", written.winners, "This value won: it is in the table now. What was lost is the value that it "
                                         "replaced, in the old image."),
            ("own", written.own, "This value was replaced by a newer write of the same Region, which had seen it. "
                                 "That is an update, not a loss."),
            ("seen", written.seen_by_other, "This value was replaced by a write of the other Region that had seen "
                                            "it: its Seen counts it. Not every replicated overwrite is a loss."),
            ("deleted", written.deleted, "This item was deleted by its own Region. A REMOVE record is no conflict "
                                         "here.")):
        if names & among:
            shown = min(names & among)
            raise Wrong(tag, text, _record(records, shown))
    if names - lost:
        raise Wrong("unknown", "Your function returned a value that was never lost.", f"{min(names - lost)}")
    if lost - names:
        unnumbered = [each for each in sorted(lost - names) if _numbered_higher(records, each)]
        if names and len(unnumbered) == len(lost - names):
            raise Wrong("version", "Your function missed a lost write whose successor has a greater Version. That "
                                   "number is greater because the other Region had written more often, not because it "
                                   "had seen this write. What a writer has seen is in Seen.",
                        _record(records, unnumbered[0]))
        shown = min(lost - names)
        raise Wrong("missed" if names else "none",
                    f"Your function missed {len(lost - names)} of {len(lost)} lost writes. "
                    "Look at the record in which a replicated write replaces this Region's own value, although it "
                    "has not seen it.", _record(records, shown))
    if len(found) != len(names):
        raise Wrong("twice", f"Your function returned {len(found)} values, {len(found) - len(names)} of them twice.")


def _counts(image: dict) -> dict[str, int]:
    return {region: int(count["N"]) for region, count in image["Seen"]["M"].items()}


def _numbered_higher(records: list[dict], value: str) -> bool:
    """Whether a value was replaced by one with a greater version."""
    return any(int(each["NewImage"]["Version"]["N"]) > int(each["OldImage"]["Version"]["N"])
               for each in (record["dynamodb"] for record in records)
               if "NewImage" in each and each.get("OldImage", {}).get("Value", {}).get("S") == value)


def _record(records: list[dict], value: str) -> str:
    """The last record that has a value, as evidence."""
    def image(each: dict | None) -> str:
        return "nothing" if not each else (f"{each['Value']['S']} (WrittenIn {each['WrittenIn']['S']}, "
                                           f"Version {each['Version']['N']}, Seen {_counts(each)})")
    for record in reversed(records):
        change = record["dynamodb"]
        images = change.get("OldImage"), change.get("NewImage")
        if any(each and each["Value"]["S"] == value for each in images):
            return f"{record['eventName']}: {image(images[0])} became {image(images[1])}"
    return value


EXERCISE = Exercise(
    "06-lost-writes", "Find the lost writes", _WANTS,
    hints=(
        "A stream record has the item before and after a change. How does the record of a lost write differ from the "
        "record of an ordinary update?",
        "Look at MODIFY records whose OldImage was written in this Region (WrittenIn) and whose NewImage was written "
        "in another one. Some of these writers had seen the old value. Their Seen tells.",
        "A writer that has seen the old value counts it: its Seen has at least as many writes of this Region. So a "
        'value is lost if the NewImage is from another Region and new["Seen"]["M"].get(region, {"N": "0"}) has a '
        'smaller number than old["Seen"]["M"][region]. Compare them with int(...["N"]), and return old["Value"]["S"].'),
    judge=_judge)
