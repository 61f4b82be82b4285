"""Probe items: which, where they are put and looked for, and their removal."""

from __future__ import annotations

import math
import operator
import time
import uuid
from collections.abc import Callable, Iterable, Mapping

from gtlab import regions as catalogue
from gtlab.lab import Lab

_MOST_DELETES = 25  # that one batch may hold
_DELETING_S = 30.0  # for how long a batch that is throttled is tried


def checked(lab: Lab, source: str, targets: str | Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Source and targets, the lab's where none are given. Raises ValueError for what makes no sense."""
    source = catalogue.get(source or lab.home).code
    found = tuple(catalogue.parse(targets)) or tuple(region for region in lab.regions if region != source)
    if source in found:
        raise ValueError(f"{source} is the source; a target is another Region.")
    if not found:
        raise ValueError("There is no target to measure: the lab has one Region.")
    return source, found


def description(lab: Lab, region: str, table: str) -> Mapping:
    """DescribeTable's Table. Raises ValueError where what answers is no DynamoDB, and the service's error, with a note
    that names the table and the Region."""
    from botocore.exceptions import ClientError

    try:
        answer = lab.client(region).describe_table(TableName=table)
    except ClientError as error:
        error.add_note(f"(table {table} in {region})")
        raise
    if "Table" not in answer:
        raise ValueError(f"What answers for {region} describes no table: it does not speak DynamoDB.")
    return answer["Table"]


def at_least(least: float, **settings: float) -> None:
    """Raises ValueError for a setting below ``least``, or infinite, and names it."""
    for name, value in settings.items():
        if not least <= value < math.inf:
            raise ValueError(f"{name} is {value}; a number is needed, {least:g} at least.")


def whole(**settings: int) -> None:
    """Raises ValueError for a setting that is no whole number, and names it."""
    for name, value in settings.items():
        try:
            operator.index(value)
        except TypeError:
            raise ValueError(f"{name} is {value!r}; a whole number is needed.") from None


class Keys:
    """Keys of probe items that nobody else uses, in a table of any key schema. ``described`` is DescribeTable's
    Table."""

    def __init__(self, described: Mapping):
        types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
        self._schema = {each["AttributeName"]: types[each["AttributeName"]] for each in described["KeySchema"]}
        self._run = uuid.uuid4().hex[:8]
        self.prefix = f"gtlab-probe-{self._run}-"

    def key(self, probe: int) -> dict:
        return {name: {kind: self._value(kind, probe)} for name, kind in self._schema.items()}

    def number(self, item: Mapping) -> int:
        """Which probe an item is, as it comes in JSON from the service."""
        name, kind = next(iter(self._schema.items()))
        text = item[name][kind]
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


def delete(lab: Lab, table: str, region: str, keys: list[dict]) -> None:
    """Delete items. Where that fails it is said, and no error is raised: what was measured is worth more."""
    from botocore.exceptions import BotoCoreError, ClientError

    # A Region that does not answer is not waited for as long as boto3 would.
    client = lab.new_client(region, connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        for at in range(0, len(keys), _MOST_DELETES):
            _delete_all(client.batch_write_item, table, keys[at:at + _MOST_DELETES])
    except (BotoCoreError, ClientError, TimeoutError) as error:
        print(f"Probe items are left in table {table}, {region}, because they could not be deleted: {error}")


def _delete_all(write: Callable[..., dict], table: str, keys: list[dict]) -> None:
    requests, pause_s = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}, 0.05
    deadline = time.monotonic() + _DELETING_S
    while requests:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the table was throttled for {_DELETING_S:g} s")
        requests = write(RequestItems=requests).get("UnprocessedItems")
        if requests:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)
