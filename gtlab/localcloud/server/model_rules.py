"""Constraints that botocore's model of a service states: choices, and bounds on lengths and numbers.

DynamoDB's own operations check theirs in the engine, in the service's order. Here are the services whose model says all
that is to be checked.
"""

from __future__ import annotations

import functools

from botocore.model import ServiceModel, Shape

from gtlab.localcloud.engine import constraints
from gtlab.localcloud.engine.constraints import Rule

SERVICES = ("application-autoscaling",)


def check(model: ServiceModel, operation: str, data: dict) -> None:
    """Raise Refusal if the input of an operation violates a constraint of the model."""
    constraints.check(data, _of_operation(model, operation))


@functools.cache
def _of_operation(model: ServiceModel, operation: str) -> Rule:
    return _rule(model.operation_model(operation).input_shape)


def _rule(shape: Shape) -> Rule:
    """The constraints on a value of this shape, which must not contain itself."""
    kind, bounds = shape.type_name, shape.metadata
    rules = []
    if kind == "string" and shape.enum:
        rules.append(constraints.choice(*shape.enum))
    elif kind in ("string", "list", "map"):
        rules.append(constraints.length(bounds.get("min", 0), bounds.get("max")))
    elif kind in ("integer", "long", "float", "double"):
        rules += [constraints.at_least(bounds["min"])] if "min" in bounds else []
        rules += [constraints.at_most(bounds["max"])] if "max" in bounds else []
    if kind == "structure":
        rules.append(constraints.structure({name: _rule(member) for name, member in shape.members.items()}))
    elif kind == "list":
        rules.append(constraints.members_of(_rule(shape.member)))
    return constraints.every(*rules)
