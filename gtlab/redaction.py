"""Hide what must not be kept in notebooks, pages and logs: credentials, session tokens, and AWS account ids.

Credentials are recognized by their values (those of the environment, and those that :func:`remember` was given) and by
their form. Account ids are recognized in ARNs and beside the word Account, and hidden everywhere from then on, as the
account of a lab on AWS is. The placeholder account of the local cloud stays, and so do all accounts if the environment
variable GTLAB_SHOW_ACCOUNT is 1. It imports nothing of gtlab but names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from gtlab.contract import DEFAULT_ACCOUNT, SHOW_ACCOUNT_VARIABLE, TOKEN_VARIABLE

HIDDEN, ACCOUNT = "(hidden)", "ACCOUNT"
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", TOKEN_VARIABLE)
_LEAST = 12  # characters of a value that is hidden wherever it stands: shorter ones are placeholders, such as "gtlab"
# Access keys, and the ids of users and roles, which begin like them. A word that is longer is something else.
_KEY = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{12,28}(?![A-Za-z0-9])")
_TOKEN = re.compile(r"(?i)(x-amz-security-token[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9%+/=_.-]{12,}")
# In HTML, there may be tags around every part of an ARN (gtlab.lab.display).
_TAGS = "(?:<[^<>]{1,80}>)*"
_ARN = re.compile(f":{_TAGS}".join(["arn", f"aws[a-z-]*{_TAGS}", f"[a-z0-9-]*{_TAGS}", f"[a-z0-9-]*{_TAGS}",
                                    f"([0-9]{{12}}){_TAGS}:"]))
_NAMED = re.compile(r"(?i)\baccount(?:_?id)?\b[\"'\\]*\s*[:=]\s*[\"'\\]*([0-9]{12})(?![0-9])")
_known: set[str] = set()
_accounts: set[str] = set()


def remember(values: Iterable[str | None]) -> None:
    """Hide these values, too: the credentials of a session, or a token."""
    _known.update(value for value in values if value and _is_secret(value))


def remember_account(account: str) -> None:
    """Hide this AWS account id wherever it stands, unless account ids are asked for."""
    if account != DEFAULT_ACCOUNT:
        _accounts.add(account)


def hide(text: str) -> str:
    """The text without credentials, and without account ids unless these are asked for."""
    for value in _values():
        if value in text:
            text = text.replace(value, HIDDEN)
    if "AKIA" in text or "ASIA" in text or "AROA" in text or "AIDA" in text:
        text = _KEY.sub(_key, text)
    if "ecurity-" in text:
        text = _TOKEN.sub(rf"\g<1>{HIDDEN}", text)
    if os.environ.get(SHOW_ACCOUNT_VARIABLE) == "1":
        return text
    if ":" in text or "=" in text:
        _accounts.update({*_ARN.findall(text), *_NAMED.findall(text)} - {DEFAULT_ACCOUNT})
    for account in tuple(_accounts):
        if account in text:
            text = re.sub(rf"(?<![0-9]){account}(?![0-9])", ACCOUNT, text)
    return text


def hide_in(value: Any) -> Any:
    """A value as JSON has it, with :func:`hide` for all of its strings."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {hide(name) if isinstance(name, str) else name: hide_in(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in(each) for each in value]
    return value


def _values() -> list[str]:
    """The longest first: a value may contain another."""
    named = (os.environ.get(name, "") for name in _SECRETS)
    return sorted({*_known, *filter(_is_secret, named)}, key=len, reverse=True)


def _is_secret(value: str) -> bool:
    """Whether a value is hidden wherever it stands. On the local cloud, an account id may be the access key."""
    return len(value) >= _LEAST and not value.isdecimal()


def _key(found: re.Match[str]) -> str:
    """The local cloud's own id of its user stays; it is no secret and the same everywhere."""
    return found.group() if "GTLAB" in found.group() else HIDDEN
