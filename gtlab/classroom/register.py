"""The class's register: who has joined, what they have done, what the instructor has asked for. Kept in SQLite.

Everything is on disk before a method returns, so that what was acknowledged survives the end of the process, however
it ends. The register is also held in memory, where the board reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gtlab.classroom.wire import Record, Refused

MOST_LEARNERS = 300
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # no letter or digit that looks like another
_CODE_LENGTH = 8
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS learners (id INTEGER PRIMARY KEY, name TEXT NOT NULL, token TEXT NOT NULL UNIQUE,
                                     joined REAL NOT NULL, removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS records (learner INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
                                    value TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (learner, kind, id));
CREATE TABLE IF NOT EXISTS asked (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, at REAL NOT NULL);
"""
OPEN = {"notebooks": "11", "solutions": "11"}  # the pace at first: everything is open


class RegisterError(ValueError):
    """The register's file cannot be used. The text says why and what to do."""


@dataclass
class Learner:
    """``records`` are those of a kind by ID. ``name`` is as shown: a second Ana is "Ana (2)"."""

    id: int
    name: str
    joined: float
    records: dict[str, dict[str, Record]] = field(default_factory=dict)

    def values(self, kind: str) -> dict[str, Any]:
        return {id: each.value for id, each in self.records.get(kind, {}).items()}

    def value(self, kind: str, id: str) -> Any:
        """One record's value; None if there is none."""
        found = self.records.get(kind, {}).get(id)
        return None if found is None else found.value


@dataclass(frozen=True)
class Asked:
    """Something that the instructor asked for: ``kind`` is "note", "event" or "stage"; ``n`` counts all of them."""

    n: int
    kind: str
    body: Mapping[str, Any]
    at: float


class Register:
    """The register in a file, which is created if it is absent. Raises RegisterError for a file that cannot be used."""

    def __init__(self, path: Path):
        try:
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            # One thread at a time uses it: the board's event loop.
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.executescript(_TABLES)
            self._load(path)
        except RegisterError:
            raise
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            raise RegisterError(f"The class's register {path} cannot be used: {error}. To start a new class, move the "
                                "file away.") from None

    def _load(self, path: Path) -> None:
        self._settings = {name: json.loads(value) for name, value in self._file.execute("SELECT * FROM settings")}
        if self._settings.setdefault("version", _VERSION) != _VERSION:
            raise RegisterError(f"{path} was written by a newer gtlab. Update gtlab, or move the file away.")
        for name, made in (("version", _VERSION), ("code", _new_code()), ("token", secrets.token_urlsafe(24)),
                           ("projector", secrets.token_urlsafe(24)), ("pace", OPEN), ("name", "A class")):
            if name not in self._settings or name == "version":
                self.set(name, self._settings.get(name, made))
        self.learners: dict[int, Learner] = {}
        self._by_token: dict[str, int] = {}
        self._removed: set[str] = set()
        for id, name, token, joined, removed in self._file.execute("SELECT * FROM learners ORDER BY id"):
            if removed:
                self._removed.add(token)
            else:
                self.learners[id] = Learner(id, name, joined)
                self._by_token[token] = id
        for learner, *row in self._file.execute("SELECT learner, kind, id, value, at FROM records ORDER BY at"):
            if learner in self.learners:
                kind, id, value, at = row
                self.learners[learner].records.setdefault(kind, {})[id] = Record(kind, id, json.loads(value), at)
        self.asked = [Asked(n, kind, json.loads(body), at) for n, kind, body, at in
                      self._file.execute("SELECT * FROM asked ORDER BY n")]

    def get(self, name: str, default: Any = None) -> Any:
        return self._settings.get(name, default)

    def set(self, name: str, value: Any) -> None:
        self._file.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))
        self._settings[name] = value

    def join(self, name: str) -> tuple[Learner, str]:
        """A new learner, and their token, of which only a hash is kept. Raises Refused if the class is full."""
        if len(self.learners) >= MOST_LEARNERS:
            raise Refused(f"The class is full: it has {MOST_LEARNERS} learners.", 409)
        shown, taken, number = name, {each.name.casefold() for each in self.learners.values()}, 2
        while shown.casefold() in taken:
            shown, number = f"{name} ({number})", number + 1
        token, now = secrets.token_urlsafe(24), time.time()
        made = self._file.execute("INSERT INTO learners (name, token, joined) VALUES (?, ?, ?)",
                                  (shown, _hash(token), now))
        learner = Learner(int(made.lastrowid or 0), shown, now)
        self.learners[learner.id] = learner
        self._by_token[_hash(token)] = learner.id
        return learner, token

    def join_as(self, user: str) -> tuple[Learner, str]:
        """The learner who is this user of a hub, and a new token, which replaces the one before: a user who joins again
        is the same learner. Raises Refused if the class is full."""
        users = self.get("users", {})
        learner = self.learners.get(users.get(user, 0))
        if learner is None:
            learner, token = self.join(user)
            self.set("users", users | {user: learner.id})
            return learner, token
        token = secrets.token_urlsafe(24)
        self._file.execute("UPDATE learners SET token = ? WHERE id = ?", (_hash(token), learner.id))
        self._by_token = {each: id for each, id in self._by_token.items() if id != learner.id}
        self._by_token[_hash(token)] = learner.id
        return learner, token

    def learner_of(self, token: str) -> Learner | None:
        """The learner with this token. It is looked up by its hash, whose bytes a caller cannot choose, so that the
        time of the search tells nothing."""
        return self.learners.get(self._by_token.get(_hash(token), 0))

    def remove(self, id: int) -> None:
        """Remove a learner: the token is refused from now on, and the name and the records are deleted."""
        with self._file:
            self._file.execute("BEGIN")
            self._file.execute("DELETE FROM records WHERE learner = ?", (id,))
            self._file.execute("UPDATE learners SET removed = 1, name = '' WHERE id = ?", (id,))
        self.learners.pop(id, None)
        self._removed |= {token for token, each in self._by_token.items() if each == id}
        self._by_token = {token: each for token, each in self._by_token.items() if each != id}

    def was_removed(self, token: str) -> bool:
        """Whether this is the token of a learner whom the instructor has removed."""
        return _hash(token) in self._removed

    def report(self, learner: Learner, records: Iterable[Record]) -> int:
        """Keep records in one transaction. Older ones than those that are kept are left out. Returns how many were new.
        """
        new = [each for each in records
               if (kept := learner.records.get(each.kind, {}).get(each.id)) is None
               or (kept.at, json.dumps(kept.value)) < (each.at, json.dumps(each.value))]
        if not new:
            return 0
        with self._file:
            self._file.execute("BEGIN")
            self._file.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", [
                (learner.id, each.kind, each.id, json.dumps(each.value), each.at) for each in new])
        for each in new:
            of_kind = learner.records.setdefault(each.kind, {})
            of_kind.pop(each.id, None)  # so that the newest is the last
            of_kind[each.id] = each
        return len(new)

    def ask(self, kind: str, body: Mapping[str, Any]) -> Asked:
        """Keep something that the instructor asks of the class."""
        now = time.time()
        made = self._file.execute("INSERT INTO asked (kind, body, at) VALUES (?, ?, ?)", (kind, json.dumps(body), now))
        asked = Asked(int(made.lastrowid or 0), kind, dict(body), now)
        self.asked.append(asked)
        return asked

    def change(self, asked: Asked, body: Mapping[str, Any]) -> Asked:
        """Replace the body of something that was asked, such as the end of an event."""
        self._file.execute("UPDATE asked SET body = ? WHERE n = ?", (json.dumps(body), asked.n))
        changed = Asked(asked.n, asked.kind, dict(body), asked.at)
        self.asked = [changed if each.n == asked.n else each for each in self.asked]
        return changed

    def last(self, kind: str) -> Asked | None:
        return next((each for each in reversed(self.asked) if each.kind == kind), None)

    def new_code(self) -> str:
        """Replace the join code. Those who have joined stay."""
        self.set("code", _new_code())
        return self.get("code")

    def close(self) -> None:
        self._file.close()


def _new_code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
