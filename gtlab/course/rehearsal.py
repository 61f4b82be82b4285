"""A rehearsal of the course on AWS: a temporary local cloud takes AWS's place.

It answers as AWS does today (the legacy calls are refused) at an endpoint, without any of gtlab's own markers: the
clients, the checks before the first call, the tags and the clean-up are those that AWS sees.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from gtlab.contract import REFUSED, REHEARSAL_VARIABLE
from gtlab.localcloud import process

ACCOUNT = "123456789012"  # the account that AWS's own examples have
_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "rehearsal", "AWS_SESSION_TOKEN": None,
                "AWS_PROFILE": None, "AWS_DEFAULT_PROFILE": None, "AWS_ENDPOINT_URL": None}


@contextlib.contextmanager
def rehearsal(network: str = "fast") -> Iterator[process.Running]:
    """For a block of code, this process and those that it starts find a local cloud where they ask for AWS, and no
    credentials of the user's. The cloud and all its data are removed at the end of the block."""
    with process.throwaway(network, legacy_api=REFUSED) as cloud, environment(
            _ENVIRONMENT | {REHEARSAL_VARIABLE: cloud.url}):
        yield cloud


@contextlib.contextmanager
def environment(values: dict[str, str | None]) -> Iterator[None]:
    """Set environment variables for a block of code; None unsets one."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
