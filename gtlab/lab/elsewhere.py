"""A local cloud that is not this machine's, or that others share: its URL, an account there, and the token."""

from __future__ import annotations

import hashlib
import os
import secrets
from urllib.parse import urlsplit

from gtlab.contract import (
    ACCOUNT,
    ACCOUNT_VARIABLE,
    CLOUD_VARIABLE,
    CODE_VARIABLE,
    SECRETS_FILE,
)
from gtlab.lab import json_files
from gtlab.localcloud import process


def named() -> tuple[str, str, str]:
    """The URL, the account and the token in the environment (GTLAB_CLOUD, GTLAB_ACCOUNT, GTLAB_CODE); empty if not set.
    """
    return (os.environ.get(CLOUD_VARIABLE, ""), os.environ.get(ACCOUNT_VARIABLE, ""),
            os.environ.get(CODE_VARIABLE, ""))


def joined(url: str, account: str, token: str) -> process.Running:
    """The local cloud at a URL. ``account`` is a name or 12 digits, for a shared cloud; the token is then the join
    code, and a secret of this home's is sent with it, which nobody else has.

    Raises ValueError for what is no URL and if the cloud does not let us in, CloudError if none answers.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{url!r} is not the URL of a local cloud; such a URL is http://192.0.2.7:8000")
    url = f"{parts.scheme}://{parts.netloc}"
    number = number_of(account) if account else None
    if number and token and "." not in token:
        token = f"{token}.{_secret(url, number)}"
    return process.join(process.Elsewhere(url, token or None, number))


def number_of(name: str) -> str:
    """The account that a name stands for: 12 digits, always the same ones."""
    if ACCOUNT.fullmatch(name):
        return name
    return f"{int.from_bytes(hashlib.sha256(name.strip().casefold().encode()).digest(), 'big') % 10**12:012d}"


def _secret(url: str, account: str) -> str:
    """This home's secret for an account of a shared cloud, made when it is first needed."""
    with json_files.changing(SECRETS_FILE) as known:
        return known.setdefault(f"{url} {account}", secrets.token_urlsafe(24))
