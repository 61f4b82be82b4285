"""The lab: :func:`connect` and its backends, boto3 clients by Region, the knobs of the simulated world and the journal
as a client sees them, waiting with progress, and a boto3 call as an ``aws`` command.

May import: :mod:`gtlab.contract`, :mod:`gtlab.regions`, and :mod:`gtlab.localcloud.process` to start and find the local
cloud.
"""

from __future__ import annotations

from gtlab.lab.choice import DEFAULT_HOME, DEFAULT_REPLICAS, Choice, checked_choice, chosen, remember
from gtlab.lab.connection import Lab, connect
from gtlab.lab.display import short_errors

__all__ = ["DEFAULT_HOME", "DEFAULT_REPLICAS", "Choice", "Lab", "checked_choice", "chosen", "connect", "remember",
           "short_errors"]
