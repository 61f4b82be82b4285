"""Labels that keep off each other and off what they name: rectangles in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, by its centre."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Shared area, in square pixels."""
        across = (self.width + other.width) / 2 - abs(self.x - other.x)
        down = (self.height + other.height) / 2 - abs(self.y - other.y)
        return across * down if across > 0 and down > 0 else 0.0


@dataclass
class Labels:
    """Puts labels where they cover nothing, as far as that can be done."""

    width: float
    height: float
    taken: list[Box] = field(default_factory=list)
    soft: list[tuple[str, Box]] = field(default_factory=list)

    def block(self, box: Box) -> None:
        """Nothing may cover this."""
        self.taken.append(box)

    def avoid(self, points: Iterable[tuple[float, float]], owner: str) -> None:
        """Better not cover these points of a line; only its owner's own label may sit on it."""
        self.soft += [(owner, Box(x, y, 6, 6)) for x, y in points]

    def cost(self, box: Box, owner: str = "") -> float:
        """How bad a place is: outside the plot is worst, then over a dot or a label, then over a line."""
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

    def place(self, candidates: Iterable[Box], *, always: bool, owner: str = "") -> Box | None:
        """The best candidate, earlier ones preferred. None if it covers a label, unless `always`."""
        scored = [(self.cost(box, owner) + 3 * rank, box) for rank, box in enumerate(candidates)]
        best = min(scored, key=lambda pair: pair[0])[1]
        if not always and any(best.overlap(other) for other in self.taken):
            return None
        self.block(best)
        return best
