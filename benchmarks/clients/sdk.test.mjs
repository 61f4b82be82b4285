// Everyday use of the SDK for JavaScript v3 and its document client, as the documentation shows it. How to run it: README.md in this folder.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  BatchExecuteStatementCommand,
  ConditionalCheckFailedException,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  ExecuteStatementCommand,
  ExecuteTransactionCommand,
  paginateListTables,
  ResourceInUseException,
  ResourceNotFoundException,
  TagResourceCommand,
  ListTagsOfResourceCommand,
  TransactionCanceledException,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from "@aws-sdk/client-dynamodb-streams";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  NumberValue,
  paginateQuery,
  paginateScan,
  PutCommand,
  QueryCommand,
  ScanCommand,
  TransactGetCommand,
  TransactWriteCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";

import { client, documents, unique, single, gone } from "./common.mjs";

describe("SDK for JavaScript v3", () => {
  const TableName = unique("sdk");
  before(() => single(TableName));
  after(() => gone(TableName));

  test("errors are the classes of the model", async () => {
    await assert.rejects(
      client.send(new DescribeTableCommand({ TableName: "no-such-table" })),
      ResourceNotFoundException,
    );
    await assert.rejects(single(TableName), ResourceInUseException);
    await assert.rejects(
      documents.send(new UpdateCommand({ TableName, Key: { pk: "a", sk: "b" }, UpdateExpression: "SET" })),
      { name: "ValidationException" },
    );
  });

  test("every type goes there and back", async () => {
    const Item = {
      pk: "types",
      sk: "1",
      text: "ü€😀",
      empty: "",
      number: 1.5,
      big: NumberValue.from("12345678901234567890.12345678"),
      yes: true,
      no: false,
      nothing: null,
      bytes: new Uint8Array([0, 255]),
      list: [1, "two", [3]],
      map: { a: { b: [] } },
      texts: new Set(["x", "y"]),
      numbers: new Set([1, 2]),
      binaries: new Set([new Uint8Array([1])]),
      missing: undefined,
    };
    await documents.send(new PutCommand({ TableName, Item }));
    const exact = DynamoDBDocumentClient.from(new DynamoDBClient({}), { unmarshallOptions: { wrapNumbers: true } });
    const { Item: raw } = await exact.send(new GetCommand({ TableName, Key: { pk: "types", sk: "1" } }));
    assert.equal(raw.big.value, "12345678901234567890.12345678");
    await documents.send(
      new UpdateCommand({ TableName, Key: { pk: "types", sk: "1" }, UpdateExpression: "REMOVE big" }),
    );
    const found = (await documents.send(new GetCommand({ TableName, Key: { pk: "types", sk: "1" } }))).Item;
    const { big, missing, ...expected } = Item;
    assert.deepEqual(found, expected);
  });

  test("updates and conditions", async () => {
    const Key = { pk: "update", sk: "1" };
    const put = {
      TableName,
      Item: { ...Key, n: 1, tags: new Set(["a"]), list: [1] },
      ConditionExpression: "attribute_not_exists(pk)",
    };
    await documents.send(new PutCommand(put));
    const error = await documents
      .send(new PutCommand({ ...put, ReturnValuesOnConditionCheckFailure: "ALL_OLD" }))
      .catch((e) => e);
    assert.ok(error instanceof ConditionalCheckFailedException);
    assert.deepEqual(error.Item.n, { N: "1" });
    const { Attributes } = await documents.send(
      new UpdateCommand({
        TableName,
        Key,
        ReturnValues: "ALL_NEW",
        ConditionExpression: "#n BETWEEN :one AND :two AND contains(tags, :a)",
        UpdateExpression:
          "SET #n = #n + :one, #l = list_append(#l, :more), made = if_not_exists(made, :one) ADD tags :b",
        ExpressionAttributeNames: { "#n": "n", "#l": "list" },
        ExpressionAttributeValues: { ":one": 1, ":two": 2, ":a": "a", ":more": [2], ":b": new Set(["b"]) },
      }),
    );
    assert.deepEqual(Attributes, { ...Key, n: 2, tags: new Set(["a", "b"]), list: [1, 2], made: 1 });
    const old = await documents.send(
      new DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD", ReturnConsumedCapacity: "TOTAL" }),
    );
    assert.equal(old.Attributes.n, 2);
    assert.equal(old.ConsumedCapacity.CapacityUnits, 1);
  });

  test("pages of queries and scans", async () => {
    const all = Array.from({ length: 60 }, (_, n) => ({
      pk: "page",
      sk: String(n).padStart(3, "0"),
      gsi1pk: "all",
      gsi1sk: String(n % 7),
    }));
    for (let from = 0; from < all.length; from += 25) {
      const { UnprocessedItems } = await documents.send(
        new BatchWriteCommand({
          RequestItems: { [TableName]: all.slice(from, from + 25).map((Item) => ({ PutRequest: { Item } })) },
        }),
      );
      assert.deepEqual(UnprocessedItems, {});
    }
    const pages = [];
    for await (const page of paginateQuery(
      { client: documents, pageSize: 25 },
      {
        TableName,
        KeyConditionExpression: "pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues: { ":p": "page", ":s": "0" },
      },
    ))
      pages.push(page.Items.length);
    assert.deepEqual(pages, [25, 25, 10]);
    let seen = 0;
    for (const Segment of [0, 1, 2]) {
      for await (const page of paginateScan(
        { client: documents, pageSize: 11 },
        {
          TableName,
          Segment,
          TotalSegments: 3,
          FilterExpression: "pk = :p",
          ExpressionAttributeValues: { ":p": "page" },
        },
      ))
        seen += page.Count;
    }
    assert.equal(seen, 60);
    const index = await documents.send(
      new QueryCommand({
        TableName,
        IndexName: "gsi1",
        KeyConditionExpression: "gsi1pk = :a AND gsi1sk > :five",
        ScanIndexForward: false,
        ExpressionAttributeValues: { ":a": "all", ":five": "5" },
        Select: "COUNT",
      }),
    );
    assert.equal(index.Count, 8);
    const { Responses } = await documents.send(
      new BatchGetCommand({
        RequestItems: {
          [TableName]: { Keys: all.slice(0, 10).map(({ pk, sk }) => ({ pk, sk })), ProjectionExpression: "sk" },
        },
      }),
    );
    assert.equal(Responses[TableName].length, 10);
    const { Items } = await documents.send(new ScanCommand({ TableName, IndexName: "gsi1", Limit: 3 }));
    assert.equal(Items.length, 3);
  });

  test("transactions", async () => {
    const Key = { pk: "transaction", sk: "1" };
    await documents.send(
      new TransactWriteCommand({
        ClientRequestToken: randomUUID(),
        TransactItems: [
          { Put: { TableName, Item: { ...Key, n: 1 } } },
          { Put: { TableName, Item: { ...Key, sk: "2" } } },
        ],
      }),
    );
    const error = await documents
      .send(
        new TransactWriteCommand({
          TransactItems: [
            { Update: { TableName, Key, UpdateExpression: "SET n = :n", ExpressionAttributeValues: { ":n": 2 } } },
            { ConditionCheck: { TableName, Key: { ...Key, sk: "3" }, ConditionExpression: "attribute_exists(pk)" } },
          ],
        }),
      )
      .catch((e) => e);
    assert.ok(error instanceof TransactionCanceledException);
    assert.deepEqual(
      error.CancellationReasons.map((reason) => reason.Code),
      ["None", "ConditionalCheckFailed"],
    );
    const { Responses } = await documents.send(
      new TransactGetCommand({
        TransactItems: [{ Get: { TableName, Key } }, { Get: { TableName, Key: { ...Key, sk: "9" } } }],
      }),
    );
    assert.deepEqual(
      Responses.map((response) => response.Item?.n),
      [1, undefined],
    );
  });

  test("PartiQL", async () => {
    const run = (Statement, Parameters) => client.send(new ExecuteStatementCommand({ Statement, Parameters }));
    await run(`INSERT INTO "${TableName}" VALUE {'pk': 'partiql', 'sk': ?, 'm': {'a': 1}}`, [{ S: "1" }]);
    await run(`UPDATE "${TableName}" SET m.a = m.a + 1 SET l = [1, 2] WHERE pk = 'partiql' AND sk = '1'`);
    const { Items } = await run(`SELECT m.a, l FROM "${TableName}" WHERE pk = ? AND sk IN ['1', '2']`, [
      { S: "partiql" },
    ]);
    assert.deepEqual(Items, [{ a: { N: "2" }, l: { L: [{ N: "1" }, { N: "2" }] } }]);
    const batch = await client.send(
      new BatchExecuteStatementCommand({
        Statements: [
          { Statement: `SELECT * FROM "${TableName}" WHERE pk='partiql' AND sk='1'` },
          { Statement: `SELECT * FROM "absent" WHERE pk='a'` },
        ],
      }),
    );
    assert.deepEqual(
      batch.Responses.map((response) => response.Error?.Code),
      [undefined, "ResourceNotFound"],
    );
    await client.send(
      new ExecuteTransactionCommand({
        TransactStatements: [{ Statement: `DELETE FROM "${TableName}" WHERE pk='partiql' AND sk='1'` }],
      }),
    );
  });

  test("time to live, tags, streams, lists", async () => {
    await client.send(
      new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { AttributeName: "ttl", Enabled: true } }),
    );
    const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
    assert.equal(TimeToLiveDescription.AttributeName, "ttl");
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    assert.ok(Table.CreationDateTime instanceof Date);
    await client.send(new TagResourceCommand({ ResourceArn: Table.TableArn, Tags: [{ Key: "k", Value: "v" }] }));
    const { Tags } = await client.send(new ListTagsOfResourceCommand({ ResourceArn: Table.TableArn }));
    assert.deepEqual(Tags, [{ Key: "k", Value: "v" }]);
    const names = [];
    for await (const page of paginateListTables({ client, pageSize: 1 }, {})) names.push(...page.TableNames);
    assert.ok(names.includes(TableName));
    const streams = new DynamoDBStreamsClient({});
    const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: Table.LatestStreamArn }));
    let records = 0;
    for (const { ShardId } of StreamDescription.Shards) {
      let { ShardIterator } = await streams.send(
        new GetShardIteratorCommand({ StreamArn: Table.LatestStreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
      );
      for (;;) {
        const { Records, NextShardIterator } = await streams.send(new GetRecordsCommand({ ShardIterator }));
        records += Records.length;
        if (!Records.length || !NextShardIterator) break;
        ShardIterator = NextShardIterator;
      }
    }
    assert.ok(records >= 60, `${records} records`);
  });

  test("a replica in another Region", async () => {
    const update = (change) => client.send(new UpdateTableCommand({ TableName, ReplicaUpdates: [change] }));
    const settled = async () => {
      for (;;) {
        const { Table } = await client.send(new DescribeTableCommand({ TableName }));
        if (Table.TableStatus === "ACTIVE" && (Table.Replicas ?? []).every((entry) => entry.ReplicaStatus === "ACTIVE"))
          return Table;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    await update({ Create: { RegionName: "eu-west-1" } });
    assert.deepEqual(
      (await settled()).Replicas.map((entry) => entry.RegionName),
      ["eu-west-1"],
    );
    await documents.send(new PutCommand({ TableName, Item: { pk: "replica", sk: "1" } }));
    const away = DynamoDBDocumentClient.from(new DynamoDBClient({ region: "eu-west-1" }));
    for (let tries = 0; ; tries += 1) {
      const { Item } = await away.send(new GetCommand({ TableName, Key: { pk: "replica", sk: "1" } }));
      if (Item) break;
      assert.ok(tries < 300, "the item never arrives");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await update({ Delete: { RegionName: "eu-west-1" } });
    assert.equal((await settled()).Replicas?.length ?? 0, 0);
  });
});
