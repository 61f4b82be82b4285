"""Questions about a table: its description, its status in each Region, the members of its global table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtlab.lab.connection import Lab

ABSENT = "absent"  # the status of a table that a Region does not have


def table(lab: Lab, name: str, region: str) -> Mapping[str, Any]:
    """The ``Table`` of DescribeTable's response. Raises ValueError if the endpoint is not DynamoDB, and the service's
    error, with a note that names the table and the Region."""
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = lab.client(region).describe_table(TableName=name)
    except ClientError as error:
        error.add_note(f"(table {name} in {region})")
        raise
    if "Table" not in answer:
        raise ValueError(f"The endpoint of {region} did not describe a table: it is not DynamoDB.")
    described: Mapping[str, Any] = answer["Table"]
    return described


def status(lab: Lab, name: str, region: str) -> str:
    """The TableStatus of a table in a Region, or "absent"."""
    client = lab.client(region)
    try:
        return str(client.describe_table(TableName=name)["Table"]["TableStatus"])
    except client.exceptions.ResourceNotFoundException:
        return ABSENT


def statuses(lab: Lab, name: str, regions: Iterable[str]) -> dict[str, str]:
    """The TableStatus of a table, or "absent", by Region; all Regions are asked at the same time."""
    return in_each(tuple(regions), lambda region: status(lab, name, region))


def members(lab: Lab, name: str, region: str) -> list[str]:
    """The Regions of a global table of either version, as ``region`` knows them; empty if the table is in one Region.

    Raises the service's error where there is no such table or where the question is refused.
    """
    listed = [entry["RegionName"] for entry in table(lab, name, region).get("Replicas", ())]
    return [region, *listed] if listed else legacy_members(lab, name, region)


def legacy_members(lab: Lab, name: str, region: str) -> list[str]:
    """The Regions of a global table of version 2017.11.29, as ``region`` knows them; empty if there is none.

    Raises the service's error where the question is refused.
    """
    client = lab.client(region)
    try:
        described = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]
    except client.exceptions.GlobalTableNotFoundException:
        return []
    return [member["RegionName"] for member in described["ReplicationGroup"]]


def in_each(regions: Sequence[str], ask: Callable[[str], str]) -> dict[str, str]:
    """The answer by Region. Each Region has a thread, because distant Regions answer slowly."""
    with ThreadPoolExecutor(len(regions) or 1) as pool:
        return dict(zip(regions, pool.map(ask, regions), strict=True))
