"""The part of the world that a map shows, and the position of a place on it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """The part of the world on the map (degrees) and its size in pixels. Longitudes may exceed 180."""

    west: float
    east: float
    south: float
    north: float
    width: float
    height: float

    @classmethod
    def around(cls, longitudes: list[float], latitudes: list[float], width: float, height: float) -> View:
        """A view of `width` x `height` pixels that shows these points (degrees), with room for their labels."""
        west, east = _shortest_span(longitudes)
        south, north = min(latitudes), max(latitudes)
        middle_lon, middle_lat = (west + east) / 2, (south + north) / 2
        # Away from the equator a degree of longitude is shorter than one of latitude. Without this, Europe looks squat.
        stretch = min(1.5, 1 / math.cos(math.radians(middle_lat)))
        # The outline is too coarse for a view of less than 44 degrees; 1.5 leaves room for labels beside dots.
        wide, tall = max(44.0, (east - west) * 1.5), max(14.0, (north - south) * 1.6)
        scale = min(width / wide, height / (tall * stretch))
        if width / scale > 360:
            scale = width / 360
            stretch = height / scale / max(132.0, (north - south) * 1.2)
        half_lon, half_lat = width / scale / 2, height / scale / stretch / 2
        if half_lon > 150:
            # Nearly the whole world: show all of it as usual on maps, unless that would cut a line.
            middle_lon = 10.0 if abs(middle_lon - 10) < half_lon - (east - west) / 2 - 20 else middle_lon
        middle_lat = max(-62 + half_lat, min(84 - half_lat, middle_lat))
        return cls(
            middle_lon - half_lon,
            middle_lon + half_lon,
            middle_lat - half_lat,
            middle_lat + half_lat,
            width,
            height,
        )

    def shift(self, longitude: float) -> float:
        """The same meridian as a longitude within this view."""
        return self.west + (longitude - self.west) % 360

    def pixel(self, longitude: float, latitude: float) -> tuple[float, float]:
        """The distance in pixels from the left edge and from the upper edge."""
        x = (self.shift(longitude) - self.west) / (self.east - self.west) * self.width
        return x, (self.north - latitude) / (self.north - self.south) * self.height

    def longitude(self, x: float) -> float:
        return self.west + x / self.width * (self.east - self.west)

    def latitude(self, y: float) -> float:
        return self.north - y / self.height * (self.north - self.south)


def _shortest_span(longitudes: list[float]) -> tuple[float, float]:
    """West and east end of the shortest span that contains all longitudes; east may exceed 180."""
    ordered = sorted({longitude % 360 for longitude in longitudes})
    following = [*ordered[1:], ordered[0] + 360]
    # The map is cut in the widest gap between neighbours.
    _, last, first = max(
        (after - before, before, after) for before, after in zip(ordered, following, strict=True)
    )
    west, east = first % 360, last if last >= first % 360 else last + 360
    return (west - 360, east - 360) if (west + east) / 2 > 180 else (west, east)
