"""AWS's models of its services: their operations, and the shapes of inputs and outputs. botocore comes with the files.

The names are those of :mod:`botocore.model`. That module is not imported, because it takes a quarter of the processor
time of the server's start, most of it for an HTTP client. ``tests/test_models.py`` compares the two.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

_FILES = ("service-2.json.gz", "service-2.json")


class Shape:
    """A type of the model: ``type_name`` is "structure", "list", "map", "string", "blob", "boolean", "timestamp", or
    the kind of a number."""

    def __init__(self, name: str, described: Mapping[str, Any], shapes: Mapping[str, Any]):
        self.name, self._described, self._shapes = name, described, shapes
        self.type_name: str = described["type"]

    @functools.cached_property
    def members(self) -> dict[str, Shape]:
        """Of a structure."""
        return {name: shape(member, self._shapes) for name, member in self._described.get("members", {}).items()}

    @functools.cached_property
    def member(self) -> Shape:
        """Of a list."""
        return shape(self._described["member"], self._shapes)

    @functools.cached_property
    def value(self) -> Shape:
        """Of a map."""
        return shape(self._described["value"], self._shapes)

    @property
    def required_members(self) -> list[str]:
        return self._described.get("required", [])

    @property
    def enum(self) -> list[str]:
        """The choices for a string; empty if there are none."""
        return self._described.get("enum", [])

    @property
    def least(self) -> int | None:
        """The smallest number, or the smallest length."""
        return self._described.get("min")

    @property
    def most(self) -> int | None:
        """The largest number, or the largest length."""
        return self._described.get("max")

    @property
    def location(self) -> str | None:
        """The part of a request that has this member: "uri" or "querystring"; None for the body."""
        return self._described.get("location")

    @property
    def location_name(self) -> str | None:
        """The name of this member there, if it is another one."""
        return self._described.get("locationName")


def shape(reference: Mapping[str, Any], shapes: Mapping[str, Any]) -> Shape:
    """The shape that a reference names. What else the reference says takes precedence over what the shape says."""
    name = reference["shape"]
    return Shape(name, {**shapes[name], **{key: value for key, value in reference.items() if key != "shape"}}, shapes)


class OperationModel:
    """An operation; ``http`` has its ``method`` and its ``requestUri``."""

    def __init__(self, name: str, service: ServiceModel, described: Mapping[str, Any], shapes: Mapping[str, Any]):
        self.name, self.service_model = name, service
        self.http: dict[str, str] = described["http"]
        self.input_shape, self.output_shape = (
            shape(described[which], shapes) if which in described else None for which in ("input", "output"))


class ServiceModel:
    """A service; ``metadata`` has its ``xmlNamespace``, for example."""

    def __init__(self, described: Mapping[str, Any]):
        self.metadata: dict[str, Any] = described["metadata"]
        self.operation_names: list[str] = list(described["operations"])
        self._described = described

    @functools.cache  # noqa: B019  (models are never deleted)
    def operation_model(self, name: str) -> OperationModel:
        return OperationModel(name, self, self._described["operations"][name], self._described["shapes"])


@functools.cache
def model(service: str) -> ServiceModel:
    """The newest model of a service, by botocore's name of it."""
    path = max(path for file in _FILES for path in (_data() / service).glob(f"*/{file}"))
    content = path.read_bytes()
    return ServiceModel(msgspec.json.decode(gzip.decompress(content) if path.suffix == ".gz" else content))


@functools.cache
def _data() -> Path:
    found = importlib.util.find_spec("botocore")  # without importing it
    if found is None or found.origin is None:
        raise ImportError("botocore is not installed: gtlab needs its models. Install gtlab again, with pip.")
    return Path(found.origin).parent / "data"
