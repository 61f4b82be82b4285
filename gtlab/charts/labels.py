"""Places for labels, as rectangles in pixels, so that labels cover neither each other nor what they name.

A chart is as wide as the page allows, and nothing moves its labels when the page becomes wider. A label is therefore a
distance in pixels from its point, and it must be free at each of several widths of the plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]     # in pixels, from the upper left corner of the plot
Anchor = Sequence[Point]        # where a point of the data is: one place for each size of the plot
Boxes = tuple["Box", ...]       # where a label is: one place for each size of the plot


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


def boxes(anchor: Anchor, shift: Point, width: float, height: float) -> Boxes:
    """A label of this size, whose centre is ``shift`` from the anchor."""
    return tuple(Box(x + shift[0], y + shift[1], width, height) for x, y in anchor)


@dataclass
class Labels:
    """Finds places for labels in a plot that may have each of these sizes (width and height in pixels), where they
    cover as little as possible."""

    sizes: Sequence[tuple[float, float]]
    taken: list[Boxes] = field(default_factory=list)
    soft: list[tuple[str, Boxes]] = field(default_factory=list)

    def block(self, there: Boxes) -> None:
        """Keep labels off this place."""
        self.taken.append(there)

    def avoid(self, points: Iterable[Anchor], owner: str) -> None:
        """Keep labels off these points of a line if possible. Only the label of ``owner`` may cover them."""
        self.soft += [(owner, boxes(point, (0, 0), 6, 6)) for point in points]

    def cost(self, there: Boxes, owner: str = "") -> float:
        """How bad a place is: worst outside the plot, then over a dot or a label, then over a line."""
        total = 0.0
        for number, (box, (width, height)) in enumerate(zip(there, self.sizes, strict=True)):
            outside = (max(0.0, box.width / 2 - box.x) + max(0.0, box.x + box.width / 2 - width)
                       + max(0.0, box.height / 2 - box.y) + max(0.0, box.y + box.height / 2 - height))
            total += 1000 * outside + 10 * sum(box.overlap(other[number]) for other in self.taken)
            total += sum(box.overlap(point[number]) for line, point in self.soft if line != owner)
        return total

    def place(self, candidates: Iterable[Boxes], owner: str = "") -> Boxes:
        """Take the best candidate; the earlier one if two are equal."""
        best = self._best(candidates, owner)
        self.block(best)
        return best

    def place_if_free(self, candidates: Iterable[Boxes], owner: str = "") -> Boxes | None:
        """Take the best candidate, or none if it covers a label or leaves the plot at any size."""
        best = self._best(candidates, owner)
        if self.covers(best) or self.leaves(best):
            return None
        self.block(best)
        return best

    def covers(self, there: Boxes) -> bool:
        return any(box.overlap(other) for taken in self.taken for box, other in zip(there, taken, strict=True))

    def leaves(self, there: Boxes) -> bool:
        return any(box.x - box.width / 2 < 0 or box.x + box.width / 2 > width or box.y - box.height / 2 < 0
                   or box.y + box.height / 2 > height for box, (width, height) in zip(there, self.sizes, strict=True))

    def _best(self, candidates: Iterable[Boxes], owner: str) -> Boxes:
        scored = [(self.cost(there, owner) + 3 * rank, there) for rank, there in enumerate(candidates)]
        return min(scored, key=lambda pair: pair[0])[1]
