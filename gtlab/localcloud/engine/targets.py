"""The tables and items that a request names, and those that it may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gtlab.localcloud.engine import partiql, partiql_calls
from gtlab.localcloud.engine.database import Database, table_id
from gtlab.localcloud.engine.reads import MOST_BATCH_KEYS
from gtlab.localcloud.engine.writes import MOST_BATCH_ITEMS, MOST_TRANSACT_ITEMS
from gtlab.localcloud.model import Call, Key, Refusal, TableId

PARTIQL = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")


def named(database: Database, call: Call) -> list[tuple[TableId, Key]]:
    """The items that a request names by their keys, for reading or writing; empty if it names only tables."""
    data = call.input
    if call.operation == "GetItem":
        return _known(database, call, [(data["TableName"], data["Key"])])
    if call.operation == "BatchGetItem":
        return _known(database, call, [(name, key) for name, asked in data["RequestItems"].items()
                                       for key in asked["Keys"]])
    if call.operation in ("TransactGetItems", "TransactWriteItems"):
        parts = [part for action in data["TransactItems"] for part in action.values()]
        return _known(database, call, [(part["TableName"], _with_key(part)) for part in parts])
    if call.operation in PARTIQL:
        found = [_named_by(database, call, statement) for statement in _parsed(data)]
        return [named for each in found for named in each] if all(found) else []
    return touched(database, call)


def touched(database: Database, call: Call) -> list[tuple[TableId, Key]]:
    """The items that a request may change. Malformed keys are left out: the engine refuses them."""
    operation, data = call.operation, call.input
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        return _known(database, call, [(data["TableName"], data["Item" if operation == "PutItem" else "Key"])])
    if operation in PARTIQL:
        return [named for statement in _parsed(data) if not isinstance(statement, partiql.Select | partiql.Exists)
                for named in _named_by(database, call, statement)]
    if operation == "BatchWriteItem":
        written = _batch(data)
    elif operation == "TransactWriteItems":
        written = _transaction(data)
    else:
        return []
    return list(dict.fromkeys(_known(database, call, written)))


def looked_at(database: Database, call: Call) -> list[tuple[TableId, Key]]:
    """The items that a call looks at by their keys: those that it may change, whose conditions it checks, or that it
    reads in a transaction or with PartiQL. None of a request that is refused because it names too many."""
    operation, data = call.operation, call.input
    if operation in PARTIQL:
        return [named for statement in _parsed(data)
                if operation != "ExecuteStatement" or not isinstance(statement, partiql.Select)  # which reads a page
                for named in _named_by(database, call, statement)]
    if operation == "BatchWriteItem" and sum(map(len, data["RequestItems"].values())) > MOST_BATCH_ITEMS:
        return []
    if operation in ("TransactWriteItems", "TransactGetItems"):
        actions = data["TransactItems"]
        parts = [part for action in actions for part in action.values()] if len(actions) <= MOST_TRANSACT_ITEMS else []
        return _known(database, call, [(part["TableName"], _with_key(part)) for part in parts])
    return touched(database, call)


def _with_key(part: dict) -> dict:
    """The attributes that hold the key, in an action of a transaction."""
    return part["Item"] if "Item" in part else part["Key"]


def _batch(data: dict) -> Iterator[tuple[str, dict]]:
    """Table names and the attributes that hold the keys."""
    for name, requests in data["RequestItems"].items():
        for request in requests:
            if "PutRequest" in request:
                yield name, request["PutRequest"]["Item"]
            elif "DeleteRequest" in request:
                yield name, request["DeleteRequest"]["Key"]


def _transaction(data: dict) -> Iterator[tuple[str, dict]]:
    """Table names and the attributes that hold the keys."""
    for action in data["TransactItems"]:
        for kind in ("Put", "Update", "Delete"):
            if kind in action:
                yield action[kind]["TableName"], action[kind]["Item" if kind == "Put" else "Key"]


def _known(database: Database, call: Call, found: Iterable[tuple[str, dict]]) -> list[tuple[TableId, Key]]:
    """Table names and attributes that hold keys, as tables and keys."""
    tables = ((table_id(call.account, call.region, name), attributes) for name, attributes in found)
    keys = ((table, database.key_of(table, attributes)) for table, attributes in tables)
    return [(table, key) for table, key in keys if key is not None]


def named_tables(call: Call) -> list[TableId]:
    """The tables that a request of the data plane names; none of a request that is refused because it names too many.
    Its TableName must not be an ARN."""
    if call.operation in PARTIQL:
        return partiql_tables(call)
    if "TableName" in call.input:
        return [TableId(call.account, call.region, call.input["TableName"])]
    found = (table_id(call.account, call.region, name) for name in _table_names(call.operation, call.input))
    return list(dict.fromkeys(found))


def _table_names(operation: str, data: dict) -> Iterator[str]:
    if operation.startswith("Batch") and len(data.get("RequestItems", ())) <= MOST_BATCH_KEYS:
        yield from data.get("RequestItems", ())
    actions = data.get("TransactItems", ())
    for action in actions if len(actions) <= MOST_TRANSACT_ITEMS else ():
        yield from (part["TableName"] for part in action.values() if "TableName" in part)


def partiql_tables(call: Call) -> list[TableId]:
    """The tables that PartiQL statements name."""
    return list(dict.fromkeys(table_id(call.account, call.region, partiql.table_of(statement))
                              for statement in _parsed(call.input)))


def partiql_kinds(call: Call) -> list[tuple[str, str, str | None]]:
    """Of each PartiQL statement: SELECT, INSERT, UPDATE or DELETE; its table, and the index that it reads. EXISTS reads
    as SELECT does."""
    names = {partiql.Insert: "INSERT", partiql.Update: "UPDATE", partiql.Delete: "DELETE"}
    return [(names.get(type(statement), "SELECT"), partiql.table_of(statement),
             statement.index_name if isinstance(statement, partiql.Select) else None)
            for statement in _parsed(call.input)]


def partiql_writes(data: dict) -> bool:
    """Whether a PartiQL request has a statement that writes or checks."""
    return any(not isinstance(statement, partiql.Select) for statement in _parsed(data))


def _named_by(database: Database, call: Call, statement: partiql.Statement) -> list[tuple[TableId, Key]]:
    """The item that a statement names by its whole key; empty if it does not."""
    try:
        table = database.find(call.account, call.region, partiql.table_of(statement))
        key = partiql_calls.key_named(table, statement)
    except Refusal:
        return []
    return [(table.id, key)]


def _parsed(data: dict) -> list[partiql.Statement]:
    """The statements of a request. In a batch, those that cannot be parsed are left out: each of them is refused by
    itself. Otherwise there are none then: the request will be refused."""
    found = list[partiql.Statement]()
    for part in partiql_calls.statements(data):
        try:
            found.append(partiql.known(part).statement)
        except Refusal:
            if "Statements" not in data:
                return []
    return found
