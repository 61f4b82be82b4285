"""Where each notebook starts, and what it leaves: bring the tables to the start of any notebook.

The numbers are those of the twelve notebooks. ``workingcopy.RENAMED`` has the notebooks that had another number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gtlab.course import basket, cleanup, stages, workingcopy
from gtlab.course.owned import Place
from gtlab.lab import Lab, describe
from gtlab.regions import label

Piece = Place | str  # a table in a Region, or the name of an item


@dataclass(frozen=True)
class Part:
    """Something that a notebook needs or leaves. ``there`` returns its pieces, and whether each exists; ``make``
    creates what is missing."""

    what: str
    there: Callable[[Lab], Mapping[Piece, bool]]
    make: Callable[[Lab], object]


@dataclass(frozen=True)
class Notebook:
    """A notebook's number and title, the parts that exist when it starts, and the parts that it leaves."""

    number: str
    title: str
    needs: tuple[Part, ...] = ()
    leaves: tuple[Part, ...] = ()


class Brought(NamedTuple):
    """What became of a part: the pieces that were made, and the pieces that were there already."""

    what: str
    made: tuple[Piece, ...]
    there: tuple[Piece, ...]


def bring(lab: Lab, notebook: Notebook, *, solve: bool = False) -> list[Brought]:
    """Create what a notebook starts with, and with ``solve`` also what the notebooks before it leave. What exists
    already is not changed, so this can be repeated.

    Raises RuntimeError if an existing table is in the way; the message says what to do.
    """
    earlier = [part for before in NOTEBOOKS if before.number < notebook.number for part in before.leaves] * solve
    brought = []
    for part in dict.fromkeys((*earlier, *notebook.needs)):
        before = part.there(lab)
        if not all(before.values()):
            part.make(lab)
        brought.append(Brought(part.what, tuple(piece for piece, there in before.items() if not there),
                               tuple(piece for piece, there in before.items() if there)))
    return brought


def beyond(lab: Lab, notebook: Notebook, *, solve: bool = False) -> list[Place]:
    """The course's tables that exist although the notebook starts without them."""
    parts = [*notebook.needs, *(part for before in NOTEBOOKS if before.number < notebook.number
                                for part in before.leaves if solve)]
    wanted = {piece for part in parts for piece in part.there(lab)}
    return [each.place for group in cleanup.survey(lab).groups for each in group.tables if each.place not in wanted]


def listed(pieces: Collection[Piece]) -> str:
    """Pieces in words; each table is named once, with its Regions."""
    regions: dict[str, list[str]] = {}
    for place in pieces:
        if isinstance(place, Place):
            regions.setdefault(place.table, []).append(label(place.region))
    items = ", ".join(piece for piece in pieces if isinstance(piece, str))
    return "; ".join([*([items] if items else []),
                      *(f"{table} in {', '.join(where)}" for table, where in regions.items())])


def find(name: str) -> Notebook:
    """The notebook of a number ("06", "6") or name ("06_break_it", also an old one). Raises ValueError for another.

    A number means the notebook that has this number in the installed course.
    """
    stem = Path(name).name.removesuffix(".ipynb")
    number = stem.split("_")[0].zfill(2) if stem else ""
    shipped = {path.stem for path in workingcopy.course_folder().glob(f"{number}_*.ipynb")}
    for old in (stem, *(shipped if stem.isdigit() else ())):
        number = workingcopy.RENAMED.get(f"{old}.ipynb", number)
    try:
        return next(each for each in NOTEBOOKS if each.number == number)
    except StopIteration:
        raise ValueError(f"There is no notebook {name!r}. Give a number from {NOTEBOOKS[0].number} to "
                         f"{NOTEBOOKS[-1].number}, or a name such as 06_break_it.") from None


# --- the parts ---

def _tables(table: str, regions: Callable[[Lab], Sequence[str]]) -> Callable[[Lab], Mapping[Piece, bool]]:
    """A part that consists of a table in some Regions."""
    def there(lab: Lab) -> Mapping[Piece, bool]:
        found = describe.statuses(lab, table, regions(lab))
        return {Place(table, region): status not in (describe.ABSENT, "DELETING") for region, status in found.items()}
    return there


def _members(table: str, regions: Callable[[Lab], Sequence[str]]) -> Callable[[Lab], Mapping[Piece, bool]]:
    """A part that consists of a global table: a Region counts once it is a member."""
    def there(lab: Lab) -> Mapping[Piece, bool]:
        where, members = regions(lab), set()
        for region in where:
            if describe.status(lab, table, region) not in (describe.ABSENT, "DELETING"):
                members.update(describe.members(lab, table, region))
        return {Place(table, region): region in members for region in where}
    return there


def _songs(table: str, songs: Iterable[dict[str, Any]]) -> Part:
    """Items that a notebook put, in the home Region."""
    keys: dict[Piece, dict[str, Any]] = {" / ".join(value["S"] for value in song.values()): song for song in songs}

    def there(lab: Lab) -> dict[Piece, bool]:
        client = lab.client(lab.home)
        if describe.status(lab, table, lab.home) != "ACTIVE":
            return dict.fromkeys(keys, False)
        return {name: "Item" in client.get_item(TableName=table, Key=key, ConsistentRead=True)
                for name, key in keys.items()}

    def make(lab: Lab) -> None:
        for name, exists in there(lab).items():
            if not exists:
                lab.client(lab.home).put_item(TableName=table, Item=keys[name])
    return Part(f"items of table {table}", there, make)


_TWO = Part("the tables", _tables(stages.TABLE, lambda lab: lab.regions[:2]), stages.ensure_tables)
_GLOBAL = Part("the global table", _members(stages.TABLE, lambda lab: lab.regions), stages.ensure_global_table)
_TODAY = Part("today's global table", _members(stages.TODAY, lambda lab: lab.regions[:2]), stages.ensure_today)
_STRONG = Part("the table with strong consistency", _members(stages.STRONG, stages.strong_regions),
               stages.ensure_strong)
_WITNESS = Part("the table with a witness", _members(stages.WITNESS, lambda lab: stages.strong_regions(lab)[:2]),
                stages.ensure_witness)
_BASKETS = Part("the application's table", _members(basket.TABLE, lambda lab: lab.regions), stages.ensure_baskets)
_SONGS = _songs(stages.TABLE, ({"Artist": {"S": f"item_{n}"}, "SongTitle": {"S": f"Song Value {n}"}}
                               for n in range(1, 11)))
_EARLY_BIRD = _songs(stages.TODAY, [{"Artist": {"S": "early bird"}}])

NOTEBOOKS = (
    Notebook("00", "Start here"),
    Notebook("01", "Create the tables", leaves=(_TWO,)),
    Notebook("02", "Create the global table", needs=(_TWO,), leaves=(_GLOBAL,)),
    Notebook("03", "Verify replication", needs=(_GLOBAL,), leaves=(_GLOBAL, _SONGS)),
    Notebook("04", "Time it", needs=(_GLOBAL,), leaves=(_GLOBAL, _SONGS)),
    Notebook("05", "Build it today", leaves=(_TODAY, _EARLY_BIRD, _STRONG, _WITNESS)),
    Notebook("06", "Break it", needs=(_GLOBAL, _TODAY), leaves=(_GLOBAL, _TODAY)),
    Notebook("07", "Write so that nothing is lost", needs=(_BASKETS,), leaves=(_BASKETS,)),
    Notebook("08", "React once", needs=(_BASKETS,), leaves=(_BASKETS,)),
    Notebook("09", "Fail over and come back", needs=(_GLOBAL, _BASKETS, _STRONG),
             leaves=(_GLOBAL, _BASKETS, _STRONG)),
    Notebook("10", "Choose", needs=(_TODAY, _STRONG, _WITNESS), leaves=(_TODAY, _STRONG, _WITNESS)),
    Notebook("11", "Clean up", needs=(_TODAY,)),
)
