"""Shard iterators: a place in a shard, as a string that the client sends back. Pure."""

from __future__ import annotations

import base64
import binascii
import json

from gtlab.localcloud.model import Refusal, invalid

ITERATOR_LIFE_S = 15 * 60


def encode(arn: str, shard: str, after: str, issued: float) -> str:
    token = base64.urlsafe_b64encode(json.dumps([arn, shard, after, issued]).encode()).decode()
    return f"{arn}|1|{token}"


def decode(iterator: str) -> tuple[str, str, str, float]:
    try:
        arn, shard, after, issued = json.loads(base64.urlsafe_b64decode(iterator.rpartition("|")[2].encode()))
        if not (isinstance(arn, str) and isinstance(shard, str) and isinstance(after, str)):
            raise ValueError
        return arn, shard, after, float(issued)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise invalid("Invalid ShardIterator") from None


def check_age(issued: float, now: float) -> None:
    """Raise Refusal if an iterator that was issued then has expired."""
    if now - issued > ITERATOR_LIFE_S:
        raise Refusal("ExpiredIteratorException", "Iterator expired. The iterator was created more than "
                                                  f"{ITERATOR_LIFE_S // 60} minutes ago.")
