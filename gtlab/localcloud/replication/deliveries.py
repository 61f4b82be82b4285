"""Versions, and the changes that carry them from one Region's copy to another's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gtlab.localcloud.model import Key


class Version(NamedTuple):
    """When and where an item was last written. The newer wins; of two at the same microsecond, the Region
    later in the alphabet (the service documents no rule for ties: this one is ours)."""

    time_us: int
    region: str


NEVER = Version(-1, "")  # older than every other


class Write(NamedTuple):
    """One change as a copy has it, which is to be sent to other copies. ``item`` is None for a delete."""

    group: str
    source: str
    key: Key
    item: dict[str, Any] | None
    version: Version


class Delivery(NamedTuple):
    """One change on its way from one Region's copy to another's. ``item`` is None for a delete. ``n`` numbers the
    deliveries in the order in which they were sent."""

    group: str
    source: str
    target: str
    key: Key
    item: dict[str, Any] | None
    version: Version
    due: float  # seconds, on the caller's clock
    n: int = 0


@dataclass
class Unsaved:
    """Which parts of the state have changed since this was last cleared, and must be written to disk."""

    copies: set[tuple[str, str]] = field(default_factory=set)         # group and Region: removed, or created again
    # By group, Region and key: the version and whether it is a tombstone; None for one that was forgotten.
    versions: dict[tuple[str, str, Key], tuple[Version, bool] | None] = field(default_factory=dict)
    sent: dict[int, Delivery] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)                       # deliveries that are no longer on their way

    def clear(self) -> None:
        self.copies.clear()
        self.versions.clear()
        self.sent.clear()
        self.done.clear()
