"""The Regions of the course: those chosen in the first notebook, saved in the state folder."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gtlab import regions
from gtlab.contract import CHOICE_FILE
from gtlab.localcloud import process

DEFAULT_HOME = "ap-southeast-1"  # the article's Regions: Singapore, Virginia, Ireland
DEFAULT_REPLICAS = ("us-east-1", "eu-west-1")


@dataclass(frozen=True)
class Choice:
    """The home Region and the Regions of the replicas; ``replicas`` does not contain ``home``."""

    home: str = DEFAULT_HOME
    replicas: tuple[str, ...] = DEFAULT_REPLICAS

    @property
    def regions(self) -> tuple[str, ...]:
        return (self.home, *self.replicas)


def chosen() -> Choice:
    """The choice that was saved last, or the article's Regions."""
    try:
        saved = json.loads((process.state_folder() / CHOICE_FILE).read_text())
        return checked_choice(saved["home"], saved["replicas"])
    except (OSError, ValueError, KeyError, TypeError):
        return Choice()


def remember(choice: Choice) -> Choice:
    """Save a choice for the next notebooks."""
    path = process.state_folder() / CHOICE_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"home": choice.home, "replicas": list(choice.replicas)}))
    draft.replace(path)
    return choice


def checked_choice(home: str, replicas: str | list[str] | tuple[str, ...]) -> Choice:
    """A choice of Regions that can form a global table. Raises ValueError, with the reason, if these cannot."""
    home_code = regions.get(home).code
    codes = regions.parse(replicas)
    if not codes:
        raise ValueError("A global table needs at least one replica Region beside the home Region.")
    if home_code in codes:
        raise ValueError(f"{home_code} is the home Region already; a global table has one replica per Region.")
    return Choice(home_code, tuple(codes))
