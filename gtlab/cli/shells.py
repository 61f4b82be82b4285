"""How each shell sets and unsets an environment variable: what `gtlab env --shell` prints."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping


def _posix(name: str, value: str | None) -> str:
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str | None) -> str:
    if value is None:
        return f"set -e {name}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    quoted = value.replace("'", "''")
    return f"$Env:{name} = '{quoted}'"


def _cmd(name: str, value: str | None) -> str:
    quoted = (value or "").replace("%", "%%")  # in a batch file
    return f'@set "{name}={quoted}"'


SHELLS: Mapping[str, Callable[[str, str | None], str]] = {
    "posix": _posix, "fish": _fish, "powershell": _powershell, "cmd": _cmd}


def settings(shell: str, unset: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """The lines that unset and set environment variables in one of SHELLS; those of cmd are a batch file."""
    line = SHELLS[shell]
    return [line(name, None) for name in unset] + [line(name, value) for name, value in values.items()]
