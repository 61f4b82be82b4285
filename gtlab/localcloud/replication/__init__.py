"""Replication as a pure state machine: changes and the time go in, due deliveries come out.

No I/O, and no clock of its own. ``replication`` has the copies of each global table, with the versions of their items;
``links`` has the deliveries that are on their way between them; ``deliveries`` has the words of both.

May import: the model.
"""

from __future__ import annotations

from gtlab.localcloud.replication.deliveries import Delivery, Version
from gtlab.localcloud.replication.links import LOOK_AGAIN_S
from gtlab.localcloud.replication.replication import Replication

__all__ = ["LOOK_AGAIN_S", "Delivery", "Replication", "Version"]
