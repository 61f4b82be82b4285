"""What the course makes on AWS, where, and what that costs at most.

The units are upper bounds for one run of all twelve notebooks, about twice what the rehearsal counts
(tests/test_rehearsal.py compares them).
"""

from __future__ import annotations

from dataclasses import dataclass

from gtlab import prices
from gtlab.contract import STRONG_REGIONS
from gtlab.lab.choice import DEFAULT_HOME, DEFAULT_REPLICAS, Choice

# The names of the course's tables, which gtlab.course.stages creates.
TABLES = ("Music", "MusicToday", "MusicStrong", "MusicWitness", "MusicDraft", "Baskets")
WRITE_UNITS_MOST = 20_000  # replicated writes, in all Regions together
READ_UNITS_MOST = 400_000


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


def dollars_most(choice: Choice) -> float:
    """What one run of all twelve notebooks costs at most, at the prices of the dearest Region of the course."""
    found = [prices.of(region) for region in regions_of(choice)]
    return WRITE_UNITS_MOST * max(each.write for each in found) + READ_UNITS_MOST * max(each.read for each in found)


def course(choice: Choice) -> Purpose:
    """The course, in these Regions."""
    return Purpose(
        makes=("at most six tables and their replicas, on demand, with the tag gtlab:run:", ", ".join(TABLES)),
        costs=(f"at most {dollars_most(choice):.2f} dollars for one run of all twelve notebooks: {WRITE_UNITS_MOST:,} "
               f"write units and {READ_UNITS_MOST:,} read units ({prices.words(regions_of(choice))}).",
               "Nothing by the hour; storage below 25 GB is free for most accounts."),
        delete="gtlab clean --backend aws")


CLEAN_UP = Purpose(
    makes=("nothing: it looks for tables that gtlab made, in every Region that your account has enabled",),
    costs=("nothing, apart from reads of the tables that it is to delete",), where="everywhere")


def measurement(table: str) -> Purpose:
    """Measuring the lag of a table that exists."""
    return Purpose(makes=(f"items in table {table}, which are deleted afterwards",), costs=("see below",), where="lab")
