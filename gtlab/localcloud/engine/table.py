"""A table as requests see it: its key, its indexes, its items; and the checks of keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gtlab.localcloud.engine.items import IndexedItems, Items, KeySchema, Place
from gtlab.localcloud.engine.terms import Parts
from gtlab.localcloud.engine.values import Item, StoredItem, Value, check, kind, size
from gtlab.localcloud.model import Key, Refusal, TableId, invalid, invalid_values

LONGEST_PARTITION_KEY, LONGEST_SORT_KEY = 2048, 1024  # bytes
_SHORT_KEY = LONGEST_SORT_KEY // 4  # characters, which are never too many bytes for a key
_SHORT_NAME = 16_383  # characters, which are never too many bytes for an attribute's name
NO_SUCH_TABLE = "Requested resource not found"
CHANGING = "Changing"  # in an index's description: times of a change of its status, which others keep there
_UPDATED = "The update expression attempted to update the secondary index key "
SCHEMA_MISMATCH = "The provided key element does not match the schema"


class Index(NamedTuple):
    """A secondary index. ``projected`` holds the attributes that it has; None for all of them."""

    name: str
    schema: KeySchema
    is_global: bool
    projected: frozenset[str] | None


@dataclass(slots=True)
class Table:
    """One table in one Region. ``described`` has the members of TableDescription that do not change over time."""

    id: TableId
    described: dict[str, Any]
    items: Items
    _known: dict[str, tuple[dict[str, Any], Index]] = field(default_factory=dict)  # indexes, with their descriptions

    @property
    def key(self) -> KeySchema:
        return self.items.schema

    @property
    def key_names(self) -> tuple[str, ...]:
        return self.items.schema.names

    def has_indexes(self) -> bool:
        return bool(self.described.get("GlobalSecondaryIndexes") or self.described.get("LocalSecondaryIndexes"))

    def indexes(self) -> list[Index]:
        found = []
        for member, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
            for each in self.described.get(member) or ():
                found.append(self._index(each, is_global))
        return found

    def index(self, name: str) -> Index:
        """An index to be read. Raises Refusal if the table does not have it, or if it is being built."""
        for member, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
            for each in self.described.get(member) or ():
                if each["IndexName"] == name and each.get("IndexStatus") != "DELETING":
                    if each.get("IndexStatus") == "CREATING":
                        raise invalid(f"Cannot read from backfilling global secondary index: {name}")
                    return self._index(each, is_global)
        raise invalid(f"The table does not have the specified index: {name}")

    def built(self, name: str) -> IndexedItems:
        """What there is of an index of this table, also while it is being built. Raises StopIteration for another."""
        index = next(each for each in self.indexes() if each.name == name)
        return self.items.add_index(index.name, index.schema, index.projected)

    def _index(self, described: dict, is_global: bool) -> Index:
        known = self._known.get(described["IndexName"])
        if known and known[0] is described:  # of an index, neither the key nor the projection ever changes
            return known[1]
        schema = key_schema(described["KeySchema"], self.described["AttributeDefinitions"])
        projection = described.get("Projection", {})
        projected = None if projection.get("ProjectionType", "ALL") == "ALL" else frozenset(
            (*self.key_names, *schema.names, *projection.get("NonKeyAttributes", ())))
        index = Index(described["IndexName"], schema, is_global, projected)
        self._known[index.name] = (described, index)
        return index

    def ordered(self, index: Index | None) -> Items | IndexedItems:
        """The items in the order of an index, or in that of the table."""
        return self.items if index is None else self.items.index(index.name, index.schema, index.projected)

    # Keys

    def key_of(self, item: Item) -> Key:
        """The key of an item whose key attributes have been checked."""
        return self.items.key_of(item)

    def checked_key(self, given: dict[str, Any]) -> Key:
        """The key that a request names. Raises Refusal if it does not fit the table."""
        schema = self.items.schema
        if given.keys() != schema.types.keys():
            for value in given.values():  # a value that is none comes first
                check(value)
            raise invalid(SCHEMA_MISMATCH)
        for name in schema.names:
            value = given[name]
            if schema.types[name] == "S" and len(value) == 1 and 0 < len(value.get("S", "")) <= _SHORT_KEY:
                continue  # most keys
            value = check(value)
            if kind(value) != schema.types[name]:
                raise invalid(SCHEMA_MISMATCH)
            self._check_key_value(name, value)
        return self.items.key_of(given)

    def check_item(self, item: Item) -> None:
        """Refuse an item, whose attributes have been checked, that cannot be stored in this table."""
        schema = self.items.schema
        for name in schema.names:
            value = item.get(name)
            if value is None:
                raise invalid_values(f"Missing the key {name} in the item")
            if schema.types[name] == "S" and 0 < len(value.get("S", "")) <= _SHORT_KEY:
                continue  # most keys
            if kind(value) != schema.types[name]:
                raise invalid_values(f"Type mismatch for key {name} expected: {schema.types[name]} actual: "
                                     f"{kind(value)}")
            self._check_key_value(name, value)
        self.check_index_keys(item)

    def _check_key_value(self, name: str, value: Value) -> None:
        content = next(iter(value.values()))
        if content and len(content) <= _SHORT_KEY:  # most keys
            return
        if not content:
            what = "string" if "S" in value else "binary"
            raise invalid(f"One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
                          f"contain an empty {what} value. Key: {name}")
        is_partition = name == self.items.schema.partition[0]
        most = LONGEST_PARTITION_KEY if is_partition else LONGEST_SORT_KEY
        if len(content) * 4 > most and size(value) > most:
            raise invalid_values("Size of hashkey has exceeded the maximum size limit of2048 bytes" if is_partition else
                                 "Aggregated size of all range keys has exceeded the size limit of 1024 bytes")

    def check_scalars(self, paths: Iterable[Parts]) -> None:
        """Refuse paths that lead into the attribute of a key. ``paths`` have more than one part each."""
        heads = {path[0] for path in paths}
        if not heads:
            return
        indexed = (("IndexKey", name) for index in self.indexes() for name in index.schema.names)
        for what, name in (*(("Key", name) for name in self.key_names), *indexed):
            if name in heads:
                raise invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not "
                              f"allowed: {what}: {name}")

    def check_index_types(self, kinds: dict[str, str]) -> None:
        """Refuse to give an attribute that is the key of an index a value of another type. ``kinds``: by attribute."""
        for index in self.indexes():
            for name in index.schema.names:
                if name in kinds and kinds[name] != index.schema.types[name]:
                    raise _mismatch(index, name, kinds[name])

    def check_index_keys(self, item: Item, computed: Collection[str] = (), *, is_update: bool = False) -> None:
        """Refuse an attribute that is the key of an index and has another type, or is empty or too long. The texts
        differ for an update, and for the attributes whose new values it computes."""
        if not self.has_indexes():
            return
        for index in self.indexes():
            for name in index.schema.names:
                value = item.get(name)
                if value is None or name in self.key_names:
                    continue
                if kind(value) != index.schema.types[name]:
                    if name in computed:
                        raise invalid(_UPDATED + "to unsupported type")
                    raise _mismatch(index, name, kind(value))
                if not next(iter(value.values())):
                    what = "string" if "S" in value else "binary"
                    why = ("The update expression attempted to update a secondary index key to a value that is not "
                           "supported" if is_update else "A value specified for a secondary index key is not supported")
                    raise invalid(f"One or more parameter values are not valid. {why}. The AttributeValue for a key "
                                  f"attribute cannot contain an empty {what} value. IndexName: {index.name}, IndexKey: "
                                  f"{name}")
                is_partition = name in index.schema.partition
                if size(value) > (LONGEST_PARTITION_KEY if is_partition else LONGEST_SORT_KEY):
                    if is_update:
                        raise invalid(_UPDATED + "beyond allowed size limits")
                    raise invalid_values(
                        "Size of hashkey has exceeded the maximum size limit of2048 bytes" if is_partition else
                        "Aggregated size of all range keys has exceeded the size limit of 1024 bytes")

    def start_key(self, given: dict[str, Any], index: Index | None, why: str) -> Place:
        """The place that an ExclusiveStartKey names. ``why`` is the text of the refusal if it does not fit."""
        names = {*self.key_names, *(index.schema.names if index else ())}
        types = dict(self.key.types) | (dict(index.schema.types) if index else {})
        if set(given) != names or any(kind(check(given[name])) != types[name] for name in names):
            raise invalid(why)
        key = self.checked_key({name: given[name] for name in self.key_names})
        ordered = self.ordered(index)
        return ordered.place(key) if isinstance(ordered, Items) else ordered.place(key, given)

    def last_key(self, item: Item, index: Index | None) -> Item:
        """LastEvaluatedKey of a page that ended with this item."""
        return {name: item[name] for name in dict.fromkeys((*self.key_names, *(index.schema.names if index else ())))}


def _mismatch(index: Index, name: str, actual: str) -> Refusal:
    return invalid_values(f"Type mismatch for Index Key {name} Expected: {index.schema.types[name]} Actual: {actual} "
                          f"IndexName: {index.name}")


def check_attributes(item: dict[str, Any]) -> StoredItem:
    """The attributes of an item with their numbers in canonical form. Raises Refusal."""
    if type(item) is StoredItem:  # they have been checked
        return item
    if "" in item or max(map(len, item), default=0) > _SHORT_NAME:
        check_names(item)
    return StoredItem({name: value if "S" in value and len(value) == 1 else check(value)  # most values are strings
                       for name, value in item.items()})


def check_names(names: Iterable[str]) -> None:
    """Refuse names that no attribute can have."""
    for name in names:
        if not name:
            raise invalid("Empty attribute name")
        if len(name) > _SHORT_NAME and len(name.encode()) > 65_535:
            raise invalid_values("Attribute name is too large, must be less than 65536 bytes")


def key_schema(elements: list[dict], definitions: list[dict]) -> KeySchema:
    """A KeySchema of the API as :class:`KeySchema`."""
    types = {each["AttributeName"]: each["AttributeType"] for each in definitions}
    partition = tuple(each["AttributeName"] for each in elements if each["KeyType"] == "HASH")
    sort = tuple(each["AttributeName"] for each in elements if each["KeyType"] == "RANGE")
    names = (*partition, *sort)
    return KeySchema(partition, sort, {name: types[name] for name in names}, names)


def not_found() -> Refusal:
    return Refusal("ResourceNotFoundException", NO_SUCH_TABLE)
