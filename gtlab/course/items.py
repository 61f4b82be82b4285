"""Is an item one that the course writes? Asked before a table is deleted on AWS, where others may have used it.

The course's items are known by their keys: those of the notebooks, of the measurements, and of the application.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_MOST = 1000  # items that are looked at
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+]+"
_KEYS = (
    r"item_[0-9]+", r"last song [0-9]+", r"new at [0-9.]+", _TIME, "early bird", "The Cut", "The Queue", "The Outage",
    "nobody", r"gtlab-.*", "timed in .*",                                # songs, and the items of measurements
    r"(Ann|Ben|Cem|Dora|Eva|Eve|Ida|Max|Tom|expired|gift|card|any Region|one Region|your Region)( .*)?",  # baskets
)
_COURSE = re.compile("|".join(f"(?:{each})" for each in _KEYS))


def strange(client: Any, table: str) -> str:
    """The key of an item of a table that the course does not write, as text; empty if the first 1,000 are all the
    course's. A table whose items cannot be read counts as one with such items."""
    try:
        described = client.describe_table(TableName=table)["Table"]
        key = next(each["AttributeName"] for each in described["KeySchema"] if each["KeyType"] == "HASH")
        seen = 0
        for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                if not is_course(item, key):
                    return f"{key} = {text(item.get(key, {}))!r}"
            seen += len(page["Items"])
            if seen >= _MOST:
                break
    except client.exceptions.ResourceNotFoundException:
        return ""
    except (BotoCoreError, ClientError):
        return "one that could not be read"
    return ""


def is_course(item: Mapping[str, Any], key: str) -> bool:
    """Whether an item, as DynamoDB's API writes it, has a partition key of the course's."""
    return _COURSE.fullmatch(text(item.get(key, {}))) is not None


def text(value: Mapping[str, Any]) -> str:
    """An attribute's value as text."""
    return str(next(iter(value.values()), ""))
