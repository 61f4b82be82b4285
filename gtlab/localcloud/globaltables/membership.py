"""The global tables, their versions and their members; joining and leaving.

The calls that create and change global tables are in :mod:`v2017` and :mod:`v2019`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gtlab.localcloud.engine import Database
from gtlab.localcloud.model import Batch, Key, TableId
from gtlab.localcloud.observe.journal import Journal
from gtlab.localcloud.replication import Replication
from gtlab.localcloud.tables.slices import SLICE, Job, Slices

LEGACY, CURRENT = "2017.11.29", "2019.11.21"


@dataclass
class Group:
    """A global table: tables of one name in several Regions of an account. Times are epoch seconds.

    ``members`` are the Regions that replicate, the most recently added first.
    """

    id: str
    account: str
    name: str
    version: str
    created: float
    members: list[str] = field(default_factory=list)
    joined: dict[str, float] = field(default_factory=dict)  # by Region, when it became a member
    settled: float = 0.0        # legacy: until then the status is CREATING, or UPDATING if ``complete``
    complete: bool = False      # legacy: the global table has been ACTIVE before
    _tables: dict[str, TableId] = field(default_factory=dict, repr=False, compare=False)  # by Region

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb::{self.account}:global-table/{self.name}"

    def table(self, region: str) -> TableId:
        found = self._tables.get(region)
        if found is None:
            found = self._tables[region] = TableId(self.account, region, self.name)
        return found


@dataclass
class Saved:
    made: int                   # the number of groups that were ever created
    groups: list[Group]


class Groups:
    """Every global table of every account, by account and name."""

    def __init__(self, database: Database, replication: Replication, journal: Journal, slices: Slices):
        self._database, self._replication, self._journal, self._slices = database, replication, journal, slices
        self._groups: dict[tuple[str, str], Group] = {}
        self._by_id: dict[str, Group] = {}
        self._made = 0

    def __iter__(self) -> Iterator[Group]:
        return iter(list(self._groups.values()))

    def find(self, account: str, name: str) -> Group | None:
        return self._groups.get((account, name))

    def by_id(self, group_id: str) -> Group | None:
        return self._by_id.get(group_id)

    def of(self, table: TableId) -> Group | None:
        """The global table that a table is a member of, or None."""
        group = self._groups.get((table.account, table.name))
        return group if group and table.region in group.members else None

    def must_have(self, table: TableId) -> Group:
        """The global table that a table is a member of. Raises LookupError if the table is not a member of any."""
        group = self.of(table)
        if group is None:
            raise LookupError(f"{table} is not a member of a global table")
        return group

    def saved(self) -> Saved:
        return Saved(self._made, list(self._groups.values()))

    def restore(self, kept: Saved) -> None:
        self._made = kept.made
        self._groups = {(group.account, group.name): group for group in kept.groups}
        self._by_id = {group.id: group for group in kept.groups}

    def new(self, account: str, name: str, version: str, now: float) -> Group:
        self._made += 1
        group = Group(f"{account}/{name}#{self._made}", account, name, version, round(now, 3))
        self._groups[account, name] = self._by_id[group.id] = group
        return group

    def join(self, group: Group, region: str, now: float) -> None:
        """Make a Region's table a member. If it has items, :meth:`adoption` is to follow. After an error, this can be
        repeated."""
        self._replication.join(group.id, region)
        if region not in group.members:
            group.joined[region] = now
            group.members.insert(0, region)
            self._journal.member(group.table(region), joined=True, at=now)

    def adoption(self, group: Group, region: str) -> Job:
        """The work of giving the items that a member had before it joined that moment as the time of their version."""
        table, joined = self._database.table(group.table(region)), group.joined[region]
        keys, replication, batch = table.items.present(), self._replication, Batch[list[Key]]()
        replication.adopting(group.id, region, joined)

        def adopt(now: float) -> bool:
            if self.by_id(group.id) is not group or region not in group.members:
                return False
            taken = batch.take(lambda: keys.take(SLICE))
            for key in taken:
                if table.items.item(key) is not None:
                    replication.adopt(group.id, region, key, joined)
            batch.done()
            if len(taken) < SLICE:
                replication.adopting(group.id, region, None)
            return len(taken) == SLICE
        return adopt

    def backfill(self, group: Group, source: str, target: str) -> Job:
        """The work of sending the existing items to a new member."""
        def item_of(region: str, key: Key) -> dict | None:
            return self._database.item(group.table(region), key)

        backfill, links = self._replication.backfill(group.id, source, target, item_of), self._replication.links

        def send(now: float) -> bool:
            if self.by_id(group.id) is not group or target not in group.members:
                return False
            if links.is_late(now):  # more would only wait, and take memory
                return True
            return backfill.step(SLICE // 2, now)  # each is sent and arrives, which takes longer than a look
        return send

    def waiting(self, group: Group, region: str) -> int:
        """The number of deliveries on their way to or from a member."""
        return self._replication.links.waiting(group.id, region)

    def leave(self, group: Group, region: str, now: float) -> None:
        """Stop the replication of a Region's table; the table itself stays. The group ends when its last member
        leaves. Until it is no longer a member, this can be repeated after an error."""
        let_go = self._replication.leave(group.id, region)
        self._slices.later(lambda now: let_go(SLICE))
        self._journal.member(group.table(region), joined=False, at=now)
        group.joined.pop(region, None)
        group.members.remove(region)
        if not group.members:
            del self._groups[group.account, group.name], self._by_id[group.id]
