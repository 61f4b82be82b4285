"""What may travel between a learner and the board: names, records, notes, and what the instructor asks for.

Both sides check with these functions. Everything that a learner sends is known to the course (questions, options,
exercises, notebooks, Regions) or a number within bounds, except the name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from gtlab import regions
from gtlab.classroom import catalogue
from gtlab.contract import BUILT_IN, NETWORKS, OUTAGES

NOTICE = ("What your machine sends to the board: your name as you give it here (on a hub: as the hub has it), where "
          "you are in the notebooks, your predictions, which exercises you have tried and solved and which hints "
          "you used, your Regions, and the replication lags that you measured or that writes had during an event of "
          "the class. Nothing else: no code, no items, no files. Your instructor sees it with your name; other "
          "learners see only totals of the class.")

NAME_LENGTH, NOTE_LENGTH = 40, 500  # characters
BODY_BYTES = 128 * 1024             # of any request
RECORDS = 400                       # in one report
PROBES, ARRIVALS = 120, 400         # in one record
MOST_EVENT_S, COUNTDOWN_S = 600, (3, 60)
MOST_LAG_S = 60
_OWN_MODEL = "another lag model"
# The labels of labs (gtlab.lab.connection.Lab.label), and what the board shows for them.
BACKENDS = {**{f"simulated: local cloud, {network} network, {model}": f"simulated, {network} network{shown}"
               for network in NETWORKS for model, shown in ((f"{BUILT_IN} lag model", ""),
                                                            (_OWN_MODEL, f", {_OWN_MODEL}"))},
            "simulated: a rehearsal of AWS on the local cloud": "simulated, rehearsal of AWS",
            "AWS": "AWS", "other endpoints": "other endpoints"}
# What an event does, by its name, and its places: roles, because each learner has chosen their own Regions.
EVENTS = {"cut": ("home-first",), "isolate": ("home", "first"), "lose": ("home", "first"), "lag": ("everywhere",)}
EVENT_STATES = ("applied", "mended", "opted out", "no local cloud", "failed")
STAGED = ("running", "done", "failed")


class Refused(Exception):
    """Input that is not accepted. ``status`` is the HTTP status of the answer; the text says what is allowed."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


class Record(NamedTuple):
    """One thing that a learner did. ``at`` is in epoch seconds by the board's clock. A newer record takes the place of
    an older one of the same kind and ID."""

    kind: str
    id: str
    value: Any
    at: float


def name(given: object) -> str:
    """A learner's name: 1 to 40 printable characters. Spaces are collapsed. Raises Refused."""
    if not isinstance(given, str) or len(given) > 4 * NAME_LENGTH:
        raise Refused(f"A name is a text of 1 to {NAME_LENGTH} characters.")
    text = " ".join(unicodedata.normalize("NFC", given).split())
    if not 1 <= len(text) <= NAME_LENGTH or not any(map(str.isalnum, text)):
        raise Refused(f"A name has 1 to {NAME_LENGTH} characters, and a letter or a digit among them.")
    # Characters of no width, of control and of direction could hide a name, or turn the line that it stands in.
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for each in text):
        raise Refused("A name has no control characters and no invisible ones.")
    if _marks(text) > 2:
        raise Refused("A name has at most two accents on one letter.")
    return text


def note(given: object) -> str:
    """An instructor's note: 1 to 500 characters; lines are kept. Raises Refused."""
    text = given.strip() if isinstance(given, str) else ""
    if not 1 <= len(text) <= NOTE_LENGTH:
        raise Refused(f"A note has 1 to {NOTE_LENGTH} characters.")
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs") and each != "\n" for each in text):
        raise Refused("A note has no control characters and no invisible ones.")
    return text


def backend(label: str) -> str:
    """A lab's label as it travels. The name of a lag model is the name of a learner's file, and stays at home."""
    return re.sub(r", lag model .*", f", {_OWN_MODEL}", label, flags=re.DOTALL)


def code(given: object) -> str:
    """A join code without spaces and hyphens, in capital letters."""
    return re.sub(r"[\s-]", "", given).upper() if isinstance(given, str) and len(given) <= 40 else ""


def fields(given: object, *names: str, optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """A JSON object with exactly these fields. Raises Refused."""
    if not isinstance(given, dict):
        raise Refused("The body must be a JSON object.")
    missing, more = set(names) - set(given), set(given) - set(names) - set(optional)
    if missing or more:
        raise Refused(f"The fields must be: {', '.join(names)}" + (f" (and perhaps {', '.join(optional)})"
                                                                   if optional else "") + ".")
    return given


def record(given: object, now: float) -> Record:
    """A learner's record, as it is kept. Raises Refused for what no learner of this course can have done.

    A time in the future is set to ``now``: a newer record could not take its place otherwise.
    """
    if not isinstance(given, list) or len(given) != 4:
        raise Refused("A record is a list of kind, ID, value and time.")
    kind, id, value, at = given
    check = _RECORDS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise Refused("There is no such kind of record.")
    if not isinstance(id, str) or len(id) > 80:
        raise Refused("The ID of a record is a text of at most 80 characters.")
    when = _number(at, "time", 0, 1e11)
    return Record(kind, id, check(id, value), min(when, now))


def pace(given: object) -> dict[str, Any]:
    """Which notebooks and solutions are open: up to this number, or all ("11"); none is "". Raises Refused."""
    found = fields(given, "notebooks", "solutions")
    for what in ("notebooks", "solutions"):
        if found[what] not in (*catalogue.numbers(), *([""] if what == "solutions" else [])):
            raise Refused(f"The last open number of the {what} is one of {', '.join(catalogue.numbers())}.")
    return {"notebooks": found["notebooks"], "solutions": found["solutions"]}


def event(given: object) -> dict[str, Any]:
    """What an event of the class does: ``what``, ``place`` (a role), ``value`` (seconds of lag, or how an outage
    fails), ``seconds`` (until it ends by itself) and ``countdown_s``. Raises Refused."""
    found = fields(given, "what", "place", "value", "seconds", "countdown_s")
    what = found["what"]
    if not isinstance(what, str) or what not in EVENTS or found["place"] not in EVENTS[what]:
        raise Refused(f"There is no such event. Events: {', '.join(EVENTS)}.")
    value = found["value"]
    if what == "lag":
        value = _number(value, "lag", 0, MOST_LAG_S)
    elif what == "lose":
        if value not in OUTAGES:
            raise Refused(f"A lost Region fails with one of {', '.join(OUTAGES)}.")
    elif value is not None:
        raise Refused("This event has no value.")
    return {"what": what, "place": found["place"], "value": value,
            "seconds": _number(found["seconds"], "duration", 5, MOST_EVENT_S),
            "countdown_s": _number(found["countdown_s"], "countdown", *COUNTDOWN_S)}


def event_in_words(given: Mapping[str, Any]) -> str:
    """What an event does, as the page and a learner's notebook say it."""
    place = {"home": "the home Region", "first": "the first replica's Region"}.get(given["place"], "")
    if given["what"] == "cut":
        return "cut the cable between the home Region and the first replica"
    if given["what"] == "lag":
        return f"set the replication lag to {given['value']:g} s everywhere"
    return f"cut every cable of {place}" if given["what"] == "isolate" else f"lose {place} ({given['value']})"


# --- the kinds of records ---

def _predicted(id: str, value: object) -> str:
    return _option(id, value)


def _revealed(id: str, value: object) -> dict[str, Any]:
    found = fields(value, "measured", "right")
    if not isinstance(found["right"], bool):
        raise Refused("Whether a prediction was right is true or false.")
    return {"measured": _option(id, found["measured"]), "right": found["right"]}


def _option(id: str, value: object) -> str:
    options = catalogue.options(id)
    if options is None:
        raise Refused("There is no such question.")
    if not isinstance(value, str) or value not in options:
        raise Refused("The question has no such option.")
    return value


def _tried(id: str, value: object) -> int:
    if id not in catalogue.exercises():
        raise Refused("There is no such exercise.")
    return int(_number(value, "count", 0, 100_000))


def _place(id: str, value: object) -> dict[str, str]:
    found = fields(value, "notebook", "cell")
    notebook, cell = found["notebook"], found["cell"]
    if id != "now" or not isinstance(notebook, str) or not isinstance(cell, str) or (
            catalogue.position(notebook, cell) is None and not (notebook in catalogue.numbers() and cell == "")):
        raise Refused("There is no such place in the notebooks.")
    return {"notebook": notebook, "cell": cell}


def _chosen(id: str, value: object) -> list[str]:
    if id != "now" or not isinstance(value, list) or not 1 <= len(value) <= len(regions.REGIONS) or (
            not all(isinstance(each, str) and each in regions.REGIONS for each in value)) or (
            len(set(value)) < len(value)):
        raise Refused("Regions are a list of codes.")
    return value


def _lags(id: str, value: object) -> dict[str, Any]:
    found = fields(value, "backend", "rows")
    pair = id.split(">")
    if len(pair) != 2 or not all(each in regions.REGIONS for each in pair):
        raise Refused("A lag is from one Region to another.")
    if not isinstance(found["backend"], str) or found["backend"] not in BACKENDS:
        raise Refused("There is no such backend.")
    return {"backend": found["backend"], "rows": _rows(found["rows"], PROBES, 4)}


def _arrivals(id: str, value: object) -> list[list[float | None]]:
    _event_id(id)
    return _rows(value, ARRIVALS, 2)


def _event_state(id: str, value: object) -> str:
    _event_id(id)
    return _one_of(value, EVENT_STATES)


def _staged(id: str, value: object) -> str:
    if id not in catalogue.numbers():
        raise Refused("There is no such notebook.")
    return _one_of(value, STAGED)


def _takes_part(id: str, value: object) -> bool:
    if id != "events" or not isinstance(value, bool):
        raise Refused("Whether a learner takes part in events is true or false.")
    return value


def _clock(id: str, value: object) -> float:
    if id != "now":
        raise Refused("A clock's error has the ID now.")
    return _number(value, "error of the clock", 0, 1e6)


_RECORDS = {"predicted": _predicted, "revealed": _revealed, "solved": _tried, "tried": _tried, "hinted": _tried,
            "shown": _tried, "place": _place, "regions": _chosen, "lags": _lags, "event": _event_state,
            "arrivals": _arrivals, "staged": _staged, "takes_part": _takes_part, "clock": _clock}


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise Refused(f"The value is one of {', '.join(allowed)}.")
    return value


def _event_id(id: str) -> None:
    if not re.fullmatch(r"[0-9]{1,6}", id, re.ASCII):
        raise Refused("The ID of an event is a number.")


def _rows(value: object, most: int, width: int) -> list[list[float | None]]:
    """Rows of this many numbers; the upper ends of intervals may be null (not seen)."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise Refused(f"Measurements are 1 to {most} rows.")
    rows: list[list[float | None]] = []
    for row in value:
        if not isinstance(row, list) or len(row) != width:
            raise Refused(f"Each row has {width} numbers.")
        rows.append([None if each is None and width == 4 and at % 2 else round(_number(each, "time", -1e7, 1e7), 1)
                     for at, each in enumerate(row)])
    return rows


def _number(value: object, what: str, least: float, most: float) -> float:
    # NaN is not between any two numbers.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(f"The {what} must be a number from {least:g} to {most:g}.")
    return value


def _marks(text: str) -> int:
    """The longest run of combining marks: many of them would be drawn over the lines above."""
    longest = run = 0
    for each in text:
        run = run + 1 if unicodedata.category(each) in ("Mn", "Me") else 0
        longest = max(longest, run)
    return longest
