"""Probe items: their keys and their deletion; and checks of a measurement's arguments."""

from __future__ import annotations

import math
import operator
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gtlab import regions
from gtlab.lab import Lab

ProbeKey = dict[str, dict[str, str | bytes]]  # as boto3 has it: {"Artist": {"S": "…"}}
_MOST_DELETES = 25  # per BatchWriteItem call
_DELETING_S = 30.0  # how long a throttled batch is retried


def checked(lab: Lab, source: str, targets: str | Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The source and the targets; by default the lab's home Region and its other Regions. Raises ValueError for unknown
    Regions, for a source among the targets, and if there is no target."""
    source = regions.get(source or lab.home).code
    found = tuple(regions.parse(targets)) or tuple(region for region in lab.regions if region != source)
    if source in found:
        raise ValueError(f"{source} is the source; a target must be another Region.")
    if not found:
        raise ValueError("There is no target to measure: the lab has only one Region.")
    return source, found


def at_least(least: float, **settings: float) -> None:
    """Raise ValueError, with the name of the setting, if one is below ``least`` or not finite."""
    for name, value in settings.items():
        if not least <= value < math.inf:
            raise ValueError(f"{name} is {value}; it must be a number of at least {least:g}.")


def whole(**settings: int) -> None:
    """Raise ValueError, with the name of the setting, if one is not an integer."""
    for name, value in settings.items():
        try:
            operator.index(value)
        except TypeError:
            raise ValueError(f"{name} is {value!r}; it must be a whole number.") from None


class Keys:
    """Unique keys for the items of one run, in a table with any key schema.

    ``described`` is the Table of DescribeTable. Strings and binary keys begin with ``prefix``, which contains ``kind``.
    """

    def __init__(self, described: Mapping[str, Any], kind: str = "probe"):
        types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
        self._schema = {each["AttributeName"]: types[each["AttributeName"]] for each in described["KeySchema"]}
        self._run = uuid.uuid4().hex[:8]
        self.prefix = f"gtlab-{kind}-{self._run}-"

    def key(self, probe: int) -> ProbeKey:
        """The key of the probe or item with this number, from 0 to 999,999."""
        return {name: {kind: self._value(kind, probe)} for name, kind in self._schema.items()}

    def number(self, item: Mapping[str, Any]) -> int:
        """The number of the probe that an item of a JSON response is."""
        name, kind = next(iter(self._schema.items()))
        text: str = item[name][kind]
        if kind == "N":
            return int(text) % 1_000_000
        if kind == "B":
            import base64

            text = base64.b64decode(text).decode()
        return int(text.rpartition("-")[2])

    def _value(self, kind: str, probe: int) -> str | bytes:
        if kind == "N":
            return str(int(self._run, 16) * 1_000_000 + probe)
        text = f"{self.prefix}{probe}"
        return text.encode() if kind == "B" else text


def delete(lab: Lab, table: str, region: str, keys: list[ProbeKey]) -> None:
    """Delete items. If that fails, print a message instead of raising an error, which would lose the measurement."""
    from botocore.exceptions import BotoCoreError, ClientError

    # Shorter timeouts than those of boto3, so that a Region that does not answer delays the end only a little.
    client = lab.new_client(region, connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        for at in range(0, len(keys), _MOST_DELETES):
            _delete_all(client.batch_write_item, table, keys[at:at + _MOST_DELETES])
    except (BotoCoreError, ClientError, TimeoutError) as error:
        print(f"Some probe items could not be deleted from table {table} in {region}: {error}")


def _delete_all(write: Callable[..., dict[str, Any]], table: str, keys: list[ProbeKey]) -> None:
    requests: dict[str, Any] = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}
    pause_s = 0.05
    deadline = time.monotonic() + _DELETING_S
    while requests:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the table was throttled for {_DELETING_S:g} s")
        requests = write(RequestItems=requests).get("UnprocessedItems") or {}
        if requests:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)
