"""The words that the rooms of the local cloud share: tables, keys, changes, calls and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

VALIDATION = "com.amazon.coral.validate#"
SERVICE = "com.amazon.coral.service#"
DYNAMODB = "com.amazonaws.dynamodb.v20120810#"

_NAMESPACES = {
    "ValidationException": VALIDATION,
    "SerializationException": SERVICE,
    "UnknownOperationException": SERVICE,
    "MissingAuthenticationTokenException": SERVICE,
    "IncompleteSignatureException": SERVICE,
    "InvalidSignatureException": SERVICE,
    "AccessDeniedException": SERVICE,
}


class TableId(NamedTuple):
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.name}"


NO_SORT_KEY = "__no_sort__"  # in place of a sort key; kept state has this string


class Key(NamedTuple):
    """The primary key of an item: the values of its partition key and sort key, as strings. In a table without a sort
    key, ``sort`` is :data:`NO_SORT_KEY`."""

    partition: str
    sort: str


class Change(NamedTuple):
    """What a write did to one item: the item before and after, ``None`` where there was or is no item."""

    table: TableId
    key: Key
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class Call(NamedTuple):
    """One API call. ``caller`` is the Region the caller says it is in, or None for nowhere. ``trial``: what came out
    when a write was tried on copies of its items (an :class:`engine.trials.Trial`), if that was done."""

    account: str
    region: str
    service: str
    operation: str
    input: dict[str, Any]
    caller: str | None = None
    trial: Any = None


def wire_type(code: str) -> str:
    """``__type`` of an error as it is on the wire; SDKs read what follows the ``#``."""
    return code if "#" in code else _NAMESPACES.get(code, DYNAMODB) + code


class Refusal(Exception):
    """A request that is answered with an error; raising it changes nothing.

    ``code`` is the exception's name in the DynamoDB API, ``status`` the HTTP status, ``details`` the further
    members that some exceptions have (CancellationReasons, Item).
    """

    def __init__(self, code: str, message: str, status: int = 400, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.code, self.message, self.status, self.details = code, message, status, details or {}

    def body(self) -> dict[str, Any]:
        return {"__type": wire_type(self.code), "message": self.message, **self.details}


def invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def invalid_values(message: str) -> Refusal:
    """The service's usual opening for parameters that do not fit together."""
    return invalid(f"One or more parameter values were invalid: {message}")


def invalid_request(message: str) -> Refusal:
    """The service's usual opening for requests of backups, restores and exports."""
    return invalid(f"Invalid Request: {message}")


def no_such_table(name: str) -> Refusal:
    return Refusal("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")


def in_use(message: str = "The resource which you are attempting to change is in use.") -> Refusal:
    return Refusal("ResourceInUseException", message)


class Batch(Generic[T]):
    """What a slice of long work has taken and not finished yet. Work that failed half-way gets the same again."""

    def __init__(self) -> None:
        self._taken: T | None = None

    def take(self, take: Callable[[], T]) -> T:
        """What was taken and is not done; otherwise what ``take`` returns. If ``take`` fails, it is called again in the
        next attempt, so it must not lose anything then; a generator would."""
        if self._taken is None:
            self._taken = take()
        return self._taken

    def done(self) -> None:
        """The work on what was taken is finished."""
        self._taken = None
