"""The models of services as the local cloud reads them, beside botocore's reading of the same files."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import generated
import pytest

from gtlab.localcloud.server import models


@pytest.mark.parametrize("service", [*generated.SERVICES, "resourcegroupstaggingapi"])
def test_a_model_says_what_botocores_says(service):
    ours, theirs = models.model(service), generated.model(service)
    assert ours.operation_names == list(theirs.operation_names) and ours.metadata == theirs.metadata
    compared: set[tuple] = set()
    for name in ours.operation_names:
        operation, expected = ours.operation_model(name), theirs.operation_model(name)
        assert (operation.name, operation.http) == (expected.name, expected.http)
        compare(operation.input_shape, expected.input_shape, compared)
        compare(operation.output_shape, expected.output_shape, compared)
    assert len(compared) > 20


def compare(ours: models.Shape | None, theirs: Any, compared: set[tuple]) -> None:
    if ours is None or theirs is None:
        assert ours is theirs
        return
    found = (ours.name, ours.type_name, tuple(ours.required_members), tuple(ours.enum), ours.least, ours.most,
             ours.location, ours.location_name)
    assert found == (theirs.name, theirs.type_name, tuple(theirs.required_members),
                     tuple(theirs.metadata.get("enum", ())), theirs.metadata.get("min"), theirs.metadata.get("max"),
                     theirs.serialization.get("location"), theirs.serialization.get("name"))
    if found in compared:
        return
    compared.add(found)
    if ours.type_name == "structure":
        assert list(ours.members) == list(theirs.members)
        for name, member in ours.members.items():
            compare(member, theirs.members[name], compared)
    elif ours.type_name == "list":
        compare(ours.member, theirs.member, compared)
    elif ours.type_name == "map":
        compare(ours.value, theirs.value, compared)


def test_the_server_starts_without_botocore():
    """And so without its HTTP client: they would take a quarter of the start."""
    code = "import sys, gtlab.localcloud.server.main; print(sorted({'botocore', 'urllib3'} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
