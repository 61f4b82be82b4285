"""The engine: one Region's DynamoDB. A call goes in; an answer and a list of changes come out. No I/O and no clock.

May import: :mod:`gtlab.localcloud.model`.
"""

from __future__ import annotations

from gtlab.localcloud.engine.adapter import *  # noqa: F403
