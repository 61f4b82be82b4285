"""Application Auto Scaling of a global table of version 2019.11.21: the settings of writes are those of all replicas.

The service replicates minimum, maximum and target of write capacity (developer guide, "Throughput capacity planning for
DynamoDB global tables"). Those of reads are each replica's own.
"""

from __future__ import annotations

from gtlab.localcloud.globaltables.replicas import Replicas
from gtlab.localcloud.model import TableId
from gtlab.localcloud.tables.autoscaling import WRITES, AutoScaling, Operation
from gtlab.localcloud.tables.tables import Tables

_CHANGES = ("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy")


class SharedScaling:
    """``operations``: those of Application Auto Scaling by name."""

    def __init__(self, tables: Tables, replicas: Replicas, scaling: AutoScaling):
        self._tables, self._replicas, self._scaling = tables, replicas, scaling
        self.operations = scaling.operations | {name: self._shared(scaling.operations[name]) for name in _CHANGES}

    def _shared(self, change: Operation) -> Operation:
        """A change in one replica that becomes one in all of them, at once."""
        def carry_out(account: str, region: str, data: dict, now: float) -> dict:
            answer = change(account, region, data, now)
            if data["ScalableDimension"] in WRITES:
                source = TableId(account, region, data["ResourceId"].split("/")[1])
                state = self._replicas.state_of(source)
                for there in state.replicas if state else ():
                    if there != region and self._tables.exists(source._replace(region=there)):
                        self._scaling.copy_capacity(source, there, data)
            return answer
        return carry_out
