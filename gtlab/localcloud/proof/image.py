"""Everything that a crash must not change, and whether a crash has changed it."""

from __future__ import annotations

import msgspec

from gtlab.localcloud.cloud import Cloud
from gtlab.localcloud.proof.oracle import Violation


def image_of(cloud: Cloud, now: float) -> dict:
    """What must come back from disk, by its name in words."""
    replication, database = cloud.replication, cloud.database
    tables = list(database.tables)
    return {
        "tables": {table: database.incarnation(table) for table in tables},
        "items": {table: dict(database.items(table)) for table in tables},
        "descriptions": {table: cloud.tables.describe(table, now) for table in tables},
        "versions": {copy: {key: replication.entry(*copy, key) for key in replication.keys_of(*copy)}
                     for copy in replication.copies()},
        "deliveries": sorted(replication.links.on_their_way(), key=lambda delivery: delivery.n),
        "members": {group.id: (group.version, list(group.members)) for group in cloud.groups},
        "replicas": msgspec.json.encode(cloud.current.saved(), enc_hook=list),
        "knobs": sorted(cloud.world.turned(), key=str),
        "sequence": cloud.streams.sequence,
    }


def compare(before: dict, after: dict, *, sent_again: bool) -> None:
    """Raise Violation if the images before and after a crash differ. ``sent_again``: what writes lead to was done again
    after it; how long a delivery takes is then left to chance, and numbers that were never on disk come again."""
    if sent_again:
        for each in (before, after):
            each["deliveries"] = sorted((delivery[:-2] for delivery in each["deliveries"]), key=str)
    for name, was in before.items():
        if after[name] != was:
            raise Violation(f"after a crash the {name} are not as they were saved: {after[name]} is not {was}")
