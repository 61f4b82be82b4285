"""A local cloud that many people share: everybody has an account with a cloud of its own in this process.

Whoever has the owner's token uses the cloud as if it were not shared. Everybody else shows the join code and a secret,
``CODE.SECRET``, as the token. The first request for an account binds it to the secret. Signatures are not verified: the
secret takes their place. What one account breaks, writes or reads concerns no other.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gtlab.contract import ACCOUNT, ACCOUNT_HEADER, DEFAULT_ACCOUNT
from gtlab.localcloud.disk.keeper import Keeper
from gtlab.localcloud.disk.version import Newer
from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server import requests
from gtlab.localcloud.server.access import Guard, headers_of, shown_token
from gtlab.localcloud.server.answers import refused, send_answer
from gtlab.localcloud.server.app import App
from gtlab.localcloud.server.control import Process
from gtlab.localcloud.server.exchange import Exchange, Receive, Send

Application = Callable[[dict, Receive, Send], Awaitable[None]]
MOST_ACCOUNTS = 200
_LEAST_SECRET = 16  # characters


@dataclass
class Accounts:
    """The accounts and the hashes of their secrets, kept in ``file``; None: in memory only. Raises OSError if the file
    cannot be read."""

    file: Path | None
    hashes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file is None or not self.file.exists():
            return
        try:
            self.hashes = msgspec.json.decode(self.file.read_bytes(), type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Without it, the next to come would get somebody's account.
            raise OSError(errno.EACCES, "it is damaged. Delete it to let the first to come have each account again",
                          str(self.file)) from None

    def admit(self, account: str, secret: str) -> None:
        """Let the owner of an account in, or bind the account if it is new. Raises Refusal, and OSError if that cannot
        be written."""
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        known = self.hashes.get(account)
        if known is not None:
            if not secrets.compare_digest(known, hashed):
                raise _unknown(f"account {account} belongs to somebody else: its secret is another one. Choose another "
                               "account, or use the machine on which you began.")
            return
        if len(secret) < _LEAST_SECRET:
            raise _unknown(f"the token is CODE.SECRET, with a secret of at least {_LEAST_SECRET} characters.")
        if len(self.hashes) >= MOST_ACCOUNTS:
            raise Refusal("LimitExceededException", f"This local cloud has {MOST_ACCOUNTS} accounts, the most "
                          "that it takes.")
        bound = self.hashes | {account: hashed}
        if self.file is not None:
            draft = self.file.with_suffix(".tmp")
            draft.write_bytes(msgspec.json.encode(bound))
            draft.replace(self.file)
        self.hashes = bound


class Shared:
    """An ASGI application: the owner's, and one for each account. ``open_cloud`` returns an account's keeper."""

    def __init__(self, owner: Application, code: str, accounts: Accounts,
                 open_cloud: Callable[[str], Awaitable[Keeper]]):
        self._owner, self._code, self._accounts, self._open_cloud = owner, code.encode(), accounts, open_cloud
        self._open: dict[str, asyncio.Task[App]] = {}

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        app = self._owner
        if scope["type"] == "http":
            try:
                headers = headers_of(scope["headers"])
                code, _, secret = shown_token(headers).partition(".")
                if secrets.compare_digest(code.encode(), self._code):
                    app = await self._of(_account(headers), secret)
            except Refusal as refusal:
                connection = scope.get("extensions", {}).get("gtlab") or Exchange(send)
                await send_answer(connection, refused(refusal))
                return
        await app(scope, receive, send)

    async def _of(self, account: str, secret: str) -> App:
        """The application of an account, which the first request opens. Raises Refusal."""
        try:
            self._accounts.admit(account, secret)
            if account not in self._open:
                self._open[account] = asyncio.create_task(self._opened(account))
            return await asyncio.shield(self._open[account])  # others wait for it too
        except (OSError, sqlite3.Error, Newer) as error:
            raise Refusal("ServiceUnavailable", f"The cloud of account {account} cannot be opened: {error}",
                          503) from None
        finally:
            task = self._open.get(account)
            if task and task.done() and (task.cancelled() or task.exception()):  # the next request tries again
                del self._open[account]

    async def _opened(self, account: str) -> App:
        app = App(await self._open_cloud(account), Process(f"account {account}", {}, None), Guard(admitted=True))
        app.turned()
        return app

    def close(self) -> None:
        """Write what is left of the accounts' clouds to disk."""
        for task in self._open.values():
            if task.done() and not task.exception():
                task.result().close()


def _account(headers: dict[str, str]) -> str:
    """The account that a request is for. Raises Refusal for a request that names none."""
    signed = headers.get("authorization", "")
    account = requests.identity(signed)[0] if signed.startswith("AWS4-") else headers.get(ACCOUNT_HEADER, "")
    if not ACCOUNT.fullmatch(account) or account == DEFAULT_ACCOUNT:
        raise _unknown("each of its users names an account of 12 digits, as the access key ID or in the header "
                       f"{ACCOUNT_HEADER}. In Python: gtlab.connect(URL, account=NAME, token=CODE).")
    return account


def _unknown(why: str) -> Refusal:
    return Refusal("UnrecognizedClientException", f"The security token included in the request is invalid: this local "
                   f"cloud is shared, and {why}")
