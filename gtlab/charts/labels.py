"""Places for labels, as rectangles in pixels, so that labels cover neither each other nor what they name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; ``x`` and ``y`` are its centre."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The shared area in square pixels."""
        across = (self.width + other.width) / 2 - abs(self.x - other.x)
        down = (self.height + other.height) / 2 - abs(self.y - other.y)
        return across * down if across > 0 and down > 0 else 0.0


@dataclass
class Labels:
    """Finds places for labels in a plot of this size in pixels, where they cover as little as possible."""

    width: float
    height: float
    taken: list[Box] = field(default_factory=list)
    soft: list[tuple[str, Box]] = field(default_factory=list)

    def block(self, box: Box) -> None:
        """Keep labels off this box."""
        self.taken.append(box)

    def avoid(self, points: Iterable[tuple[float, float]], owner: str) -> None:
        """Keep labels off these points of a line if possible. Only the label of ``owner`` may cover them."""
        self.soft += [(owner, Box(x, y, 6, 6)) for x, y in points]

    def cost(self, box: Box, owner: str = "") -> float:
        """How bad a place is: worst outside the plot, then over a dot or a label, then over a line."""
        outside = (
            max(0.0, box.width / 2 - box.x)
            + max(0.0, box.x + box.width / 2 - self.width)
            + max(0.0, box.height / 2 - box.y)
            + max(0.0, box.y + box.height / 2 - self.height)
        )
        hard = sum(box.overlap(other) for other in self.taken)
        return (
            1000 * outside + 10 * hard + sum(box.overlap(point) for line, point in self.soft if line != owner)
        )

    def place(self, candidates: Iterable[Box], owner: str = "") -> Box:
        """Take the best candidate; the earlier one if two are equal."""
        best = self._best(candidates, owner)
        self.block(best)
        return best

    def place_if_free(self, candidates: Iterable[Box], owner: str = "") -> Box | None:
        """Take the best candidate, or none if it covers a label."""
        best = self._best(candidates, owner)
        if any(best.overlap(other) for other in self.taken):
            return None
        self.block(best)
        return best

    def _best(self, candidates: Iterable[Box], owner: str) -> Box:
        scored = [(self.cost(box, owner) + 3 * rank, box) for rank, box in enumerate(candidates)]
        return min(scored, key=lambda pair: pair[0])[1]
