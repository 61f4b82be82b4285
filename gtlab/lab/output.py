"""What leaves a notebook's kernel: printed text, displayed objects, tracebacks and widgets, without credentials and
account ids.

A notebook file keeps what its cells show, and people share it. :mod:`gtlab.redaction` says what is hidden.
"""

from __future__ import annotations

from typing import Any

from gtlab import redaction
from gtlab.lab import display

_SHOWS = ("stream", "display_data", "update_display_data", "execute_result", "error", "execute_reply", "comm_open",
          "comm_msg")
_MARK = "_gtlab_hides"


def _shown(kind: str, content: Any) -> Any:
    content = redaction.hide_in(content)
    if kind == "error":
        content = content | {"traceback": [display.bold_codes(line) for line in content.get("traceback", ())]}
    return content


def watch(session: Any) -> None:
    """Hide from now on in every message that a kernel's session (jupyter_client's) sends. Calling it again changes
    nothing."""
    if getattr(session, _MARK, False):
        return
    setattr(session, _MARK, True)
    send = session.send

    def hiding(stream: Any, message: Any, content: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(message, dict):
            kind = message.get("msg_type", message.get("header", {}).get("msg_type"))
            if kind in _SHOWS:
                message = message | {"content": _shown(kind, message["content"])}
        elif message in _SHOWS:
            content = _shown(message, content)
        return send(stream, message, content, *args, **kwargs)

    session.send = hiding
