"""10: five briefs, and for each the kind of global table that meets every requirement."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gtlab import regions
from gtlab.contract import STRONG_REGIONS
from gtlab.course.exercises import Exercise, Setting, Wrong, described

if TYPE_CHECKING:
    import pandas as pd

LETTERS = ("A", "B", "C", "D", "E")
CHOICES = {"mrec": "eventual consistency", "mrsc": "strong consistency, three replicas",
           "witness": "strong consistency, two replicas and a witness"}
_WANTS = 'a dict of brief to "mrec", "mrsc" or "witness", such as {"A": "mrsc", …}'
_NAMES = {"mrec": "MREC", "mrsc": "MRSC", "witness": "MRSC with a witness"}


@dataclass(frozen=True)
class Brief:
    """What an application needs. ``serves``: the Regions in which it reads and writes. ``write_ms``: the longest time
    of a write for the caller. ``loses``: whether acknowledged writes may be missing after a Region has failed, and
    conditions may hold in one Region only; ``harm`` says this in the words of the application. ``copies``: how many
    copies are paid for."""

    about: str
    serves: tuple[str, ...]
    write_ms: float
    loses: bool
    harm: str
    copies: int
    ttl: bool = False

    def text(self) -> str:
        where = ", ".join(f"{regions.get(code).place} ({code})" for code in self.serves)
        needs = [f"It reads and writes in {where}.",
                 f"A write in any of them may take {self.write_ms:.0f} ms.",
                 self.harm,
                 f"There is money for {self.copies} copies of the items."]
        if self.ttl:
            needs.append("Items expire by time to live (TTL).")
        return f"{self.about} {' '.join(needs)}"


def violations(choice: str, brief: Brief) -> list[tuple[str, str, str]]:
    """The requirements that a choice violates: tag, why, evidence."""
    found = []
    if choice == "mrec":
        if not brief.loses:
            found.append(("loss", "With eventual consistency an acknowledged write is missing elsewhere until it has "
                                  "been replicated, and a condition is checked against one Region's copy only.",
                          f"the brief says: {brief.harm}"))
        return found
    wanted = 3 if choice == "mrsc" else 2
    number = len(brief.serves)
    if number > wanted:
        what = "two of the three members can be read and written" if choice == "witness" else "there are three replicas"
        found.append(("number", f"With {_NAMES[choice]} {what}, never more: a witness has no table." if
                      choice == "witness" else f"With {_NAMES[choice]} {what}, never more.",
                      f"the application serves {number} Regions"))
    if number < wanted and brief.copies < wanted:
        found.append(("copies", "A third full replica is paid for like any other. A witness costs neither write "
                                "units nor storage.", f"there is money for {brief.copies} copies"))
    if outside := [code for code in brief.serves if code not in STRONG_REGIONS]:
        found.append(("region", "Strong consistency is offered in some Regions only.",
                      f"{', '.join(outside)} is not one of them"))
    if number <= wanted and brief.ttl:
        found.append(("ttl", "A strongly consistent global table has no time to live.", "the brief asks for TTL"))
    slowest = max(_write_ms(code, brief.serves) for code in brief.serves)
    if number <= wanted and slowest > brief.write_ms:
        code = max(brief.serves, key=lambda each: _write_ms(each, brief.serves))
        found.append(("latency", "A strongly consistent write waits for a second Region: a round trip to the nearest "
                                 "other member, for every write.",
                      f"from {code} to its nearest member: {slowest:.0f} ms, allowed: {brief.write_ms:.0f} ms"))
    return found


def _write_ms(code: str, members: tuple[str, ...]) -> float:
    return min(regions.rtt_ms(code, other) for other in members if other != code)


def briefs(seed: int) -> dict[str, Brief]:
    """Five briefs by letter."""
    chance = random.Random(f"briefs {seed}")
    far = tuple(chance.sample(["ap-southeast-1", "us-east-1", "eu-west-1"], 3))
    american = tuple(chance.sample(["us-east-1", "us-east-2", "us-west-2", "ca-central-1"], 3))
    european = tuple(chance.sample(["eu-west-1", "eu-west-2", "eu-central-1", "eu-west-3"], 2))
    nearby = tuple(chance.sample(["us-east-1", "us-east-2", "ca-central-1"], 2))
    five = tuple(chance.sample(["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1",
                                "ap-southeast-1", "sa-east-1", "ap-south-1"], 5))
    made = [Brief("Likes under photos.", far, chance.choice([15, 20, 30]), True,
                  "A like that is missing after an outage does no harm.", 3),
            Brief("A ledger of payments.", american, chance.choice([150, 200, 250]), False,
                  "After an outage, no payment that was acknowledged may be missing.", 3),
            Brief("Balances of gift cards.", european, chance.choice([100, 150]), False,
                  "A condition must prevent that a card is spent twice, in whichever Regions.", 2),
            Brief("Sessions of signed-in users.", nearby, chance.choice([100, 150]), True,
                  "A user whose last session is missing signs in again.", 2, ttl=True),
            Brief("A product catalogue.", five, 250.0, True,
                  "One team changes it, and a change may arrive a minute later.", 5)]
    chance.shuffle(made)
    return dict(zip(LETTERS, made, strict=True))


def material(seed: int = 0) -> pd.DataFrame:
    """The five briefs: a data frame with the columns ``brief`` (a letter) and ``text``."""
    import pandas as pd

    return pd.DataFrame([{"brief": letter, "text": brief.text()} for letter, brief in briefs(seed).items()])


def _judge(answer: Any, setting: Setting) -> str:
    given, asked = _given(answer), briefs(setting.seed)
    right = sum(_fits(given[letter], brief) for letter, brief in asked.items())
    for letter, brief in asked.items():
        broken = violations(given[letter], brief)
        if broken:
            tag, why, evidence = broken[0]
            raise Wrong(tag, f"{right} of 5 choices meet every requirement. Brief {letter}, {_NAMES[given[letter]]}: "
                             f"{why}",
                        evidence)
        if not _fits(given[letter], brief):
            raise Wrong("overdone", f"{right} of 5 choices fit. Brief {letter}: {_NAMES[given[letter]]} meets every "
                                    "requirement, but a weaker and cheaper choice does, too. Every strongly consistent "
                                    "write waits for a second Region, and such a table has no transactions and no TTL.",
                        f"the brief does not ask for more: {brief.text()}")
    return "Each choice meets every requirement of its brief."


def _fits(choice: str, brief: Brief) -> bool:
    """Whether a choice meets the brief, and no weaker one does."""
    return choice == next((each for each in ("mrec", "witness", "mrsc") if not violations(each, brief)), None)


def _given(answer: Any) -> dict[str, str]:
    """The answer as letter → choice. Raises Wrong."""
    if hasattr(answer, "to_dict") and hasattr(answer, "index"):
        answer = answer.to_dict()
    if not isinstance(answer, Mapping):
        raise Wrong("no-dict", f"That is {described(answer)}. Wanted: {_WANTS}.")
    given = {str(key).strip().upper(): value for key, value in answer.items()}
    if set(given) != set(LETTERS):
        raise Wrong("briefs", f"Give one choice for each of the briefs {', '.join(LETTERS)}. You gave: "
                              f"{', '.join(sorted(given)) or 'none'}.")
    for letter, choice in given.items():
        if not isinstance(choice, str) or choice.strip().lower() not in CHOICES:
            raise Wrong("choice", f"For brief {letter} you chose {described(choice)}. Choose one of: "
                                  f"{', '.join(CHOICES)}.")
    return {letter: choice.strip().lower() for letter, choice in given.items()}


EXERCISE = Exercise(
    "10-five-briefs", "Choose for five briefs", _WANTS,
    hints=(
        "Read each brief as a list of requirements. Which of them rules a choice out, whatever else it offers?",
        "No acknowledged write may be missing after an outage, or a condition must hold in all Regions: not MREC. More "
        "than three Regions, TTL, or writes faster than the distance to the nearest other member: not MRSC. "
        "Money for two copies only, and not MREC: a witness.",
        "The catalogue needs five Regions, and the sessions TTL. For the likes, compare what a write may take with "
        "regions.rtt_ms to the nearest other Region. For the other two, count the Regions and the copies."),
    judge=_judge, material=material, place="random briefs")
