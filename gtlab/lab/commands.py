"""A boto3 call as the equivalent ``aws`` command, built from the parameters of the call.

The command can be pasted into a shell after ``eval "$(gtlab env)"``. Binary values are encoded in base64, as version 2
of the ``aws`` command expects.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from typing import Any

from botocore import xform_name

_BINARY_NOTE = "# Needs version 2 of the aws command: version 1 encodes the binary values again.\n"


class Command(str):
    """The text of a command. A notebook displays it as a block of shell code."""

    def _repr_markdown_(self) -> str:
        return f"```bash\n{self}\n```"

    def __repr__(self) -> str:
        return str(self)


def as_command(service: str, operation: str, parameters: dict[str, Any], region: str, profile: str = "") -> Command:
    """The ``aws`` command of one call, one option per line, after a comment if a value is binary.

    ``operation`` and ``parameters`` are named as in the API (``PutItem``, ``{"TableName": ...}``). ``profile`` is the
    AWS profile whose credentials the call has.
    """
    lines = [f"aws {service} {xform_name(operation, '-')}"]
    for name, value in parameters.items():
        option = "--" + xform_name(name, "-")
        if isinstance(value, bool):
            lines.append(option if value else option.replace("--", "--no-", 1))
        else:
            lines.append(f"{option} {shlex.quote(_text(value))}")
    lines.append(f"--region {region}")
    if profile:
        lines.append(f"--profile {shlex.quote(profile)}")
    note = _BINARY_NOTE if any(isinstance(value, bytes | bytearray) for value in _leaves(parameters)) else ""
    return Command(note + " \\\n    ".join(lines))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple | set | frozenset):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


def _text(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
