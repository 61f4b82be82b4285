"""What the course makes on AWS, where, and what that costs at most.

The units are upper bounds for one run of all twelve notebooks, about twice what the rehearsal counts
(tests/test_rehearsal.py compares them).
"""

from __future__ import annotations

from dataclasses import dataclass

from gtlab.contract import STRONG_REGIONS
from gtlab.lab.choice import DEFAULT_HOME, DEFAULT_REPLICAS, Choice

# The names of the course's tables, which gtlab.course.stages creates.
TABLES = ("Music", "MusicToday", "MusicStrong", "MusicWitness", "MusicDraft", "Baskets")
# A table of this name never exists: the checks before the first call ask about it.
PROBE = "gtlab-preflight"
WRITE_UNITS_MOST = 20_000  # replicated writes, in all Regions together
READ_UNITS_MOST = 400_000
_WRITE, _READ = 0.625e-6, 0.125e-6  # US dollars per unit, on demand, in us-east-1 since 2024-11-01
_DEARER = 2.0  # no known Region costs more than twice as much


@dataclass(frozen=True)
class Purpose:
    """What AWS is used for: ``makes`` and ``costs`` are lines of the screen that is shown first, and ``delete`` the
    command that deletes what was made. ``where``: "course" needs all the Regions of the course and its permissions,
    "lab" the Regions of the lab, and "everywhere" none in particular."""

    makes: tuple[str, ...]
    costs: tuple[str, ...]
    delete: str = ""
    where: str = "course"


def strong_regions(choice: Choice) -> tuple[str, ...]:
    """The Regions of the tables with strong consistency: the first three of the choice that AWS offers it in, or the
    article's."""
    found = tuple(region for region in choice.regions if region in STRONG_REGIONS)[:3]
    return found if len(found) == 3 else (DEFAULT_HOME, *DEFAULT_REPLICAS)


def regions_of(choice: Choice) -> tuple[str, ...]:
    """Every Region in which the course makes tables for a choice."""
    return tuple(dict.fromkeys((*choice.regions, *strong_regions(choice))))


def course_costs() -> tuple[str, ...]:
    """What one run of all twelve notebooks costs at most, as lines."""
    dollars = _DEARER * (WRITE_UNITS_MOST * _WRITE + READ_UNITS_MOST * _READ)
    return (f"at most {dollars:.2f} dollars for one run of all twelve notebooks: {WRITE_UNITS_MOST:,} write units and",
            f"{READ_UNITS_MOST:,} read units, at twice the on-demand prices of us-east-1 of 2024-11-01, as an upper",
            "bound for every Region. Nothing by the hour; storage below 25 GB is free.")


COURSE = Purpose(
    makes=("at most six tables and their replicas, on demand, with the tag gtlab:run:", ", ".join(TABLES)),
    costs=course_costs(), delete="gtlab clean --backend aws")

CLEAN_UP = Purpose(
    makes=("nothing: it looks for tables that gtlab made, in every Region that your account has enabled",),
    costs=("nothing, apart from reads of the tables that it is to delete",), where="everywhere")


def measurement(table: str) -> Purpose:
    """Measuring the lag of a table that exists."""
    return Purpose(makes=(f"items in table {table}, which are deleted afterwards",), costs=("see below",), where="lab")
