"""What the course makes on AWS, where, how long one waits for it, and what that costs at most.

The units of a notebook are an upper bound: the most that gtlab.measure.plan states for the measurements of notebooks 03
and 04, and for the rest at least twice what a rehearsal consumes (tests/test_rehearsal.py compares them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gtlab import prices
from gtlab.contract import STRONG_REGIONS
from gtlab.lab.choice import DEFAULT_HOME, DEFAULT_REPLICAS, Choice

# The names of the course's tables, which gtlab.course.stages creates.
TABLES = ("Music", "MusicToday", "MusicStrong", "MusicWitness", "MusicDraft", "Baskets")

# The longest seconds that steps of AWS's control plane were observed to take (docs/local-cloud.md has the sources).
LONGEST_S = {"create table": 12.0, "update table": 8.0, "delete table": 8.0, "replica": 49.0, "strong replica": 17.0,
             "witnessed replica": 86.0, "propagate settings": 39.0, "replica gone": 244.0, "replica table gone": 35.0}


class Use(NamedTuple):
    """What one notebook uses at most: write units in all Regions together, read units, and the ``waits`` (keys of
    LONGEST_S) in a run of the whole course, in which each notebook finds what the ones before it made. Steps that the
    service takes at the same time count once."""

    write: int
    read: int
    waits: tuple[str, ...] = ()

    @property
    def wait_s(self) -> float:
        return sum(LONGEST_S[step] for step in self.waits)


NOTEBOOKS = {
    "00": Use(0, 0),
    "01": Use(20, 20, ("create table",)),
    "02": Use(200, 20, ("delete table", "replica", "replica")),
    "03": Use(100, 25_000),
    "04": Use(1_600, 370_000),
    "05": Use(500, 300, ("create table", "replica", "strong replica", "witnessed replica", "update table",
                         "delete table")),
    "06": Use(300, 400),
    "07": Use(500, 1_000, ("create table", "replica", "replica")),
    "08": Use(500, 2_000, ("propagate settings",)),
    "09": Use(2_500, 4_000),
    "10": Use(500, 100),
    "11": Use(100, 200, ("replica gone", "replica table gone", "delete table") * 2),
}
COURSE = Use(sum(each.write for each in NOTEBOOKS.values()), sum(each.read for each in NOTEBOOKS.values()),
             tuple(step for each in NOTEBOOKS.values() for step in each.waits))


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


def dollars_most(choice: Choice, use: Use = COURSE) -> float:
    """What a notebook, or one run of all twelve, costs at most, at the prices of the dearest Region of the course."""
    found = [prices.of(region) for region in regions_of(choice)]
    return use.write * max(each.write for each in found) + use.read * max(each.read for each in found)


def course(choice: Choice) -> Purpose:
    """The course, in these Regions."""
    return Purpose(
        makes=("at most six tables and their replicas, on demand, with the tag gtlab:run:", ", ".join(TABLES),
               "and, only if you give notebook 06 a role for it, an experiment template of FIS"),
        costs=(f"at most {dollars_most(choice):.2f} dollars for one run of all twelve notebooks: {COURSE.write:,} "
               f"write units and {COURSE.read:,} read units ({prices.words(regions_of(choice))}).",
               "Nothing by the hour; storage below 25 GB is free for most accounts; FIS charges by the minute of an "
               "experiment."),
        delete="gtlab clean --backend aws")


CLEAN_UP = Purpose(
    makes=("nothing: it looks for tables that gtlab made, in every Region that your account has enabled",),
    costs=("nothing, apart from reads of the tables that it is to delete",), where="everywhere")


def measurement(table: str) -> Purpose:
    """Measuring the lag of a table that exists."""
    return Purpose(makes=(f"items in table {table}, which are deleted afterwards",), costs=("see below",), where="lab")
