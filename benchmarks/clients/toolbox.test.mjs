// Everyday use of dynamodb-toolbox, as the documentation shows it. How to run it: README.md in this folder.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ConditionalCheckFailedException, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { BatchGetCommand, BatchWriteCommand, QueryCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";

import { documents, unique, single, gone } from "./common.mjs";

describe("dynamodb-toolbox", () => {
  const name = unique("toolbox");
  before(() => single(name));
  after(() => gone(name));

  test("entities, updates, queries, batches, transactions", async () => {
    const t = await import("dynamodb-toolbox");
    const table = new t.Table({
      name,
      documentClient: documents,
      partitionKey: { name: "pk", type: "string" },
      sortKey: { name: "sk", type: "string" },
      indexes: {
        gsi1: {
          type: "global",
          partitionKey: { name: "gsi1pk", type: "string" },
          sortKey: { name: "gsi1sk", type: "string" },
        },
      },
    });
    const pokemon = new t.Entity({
      name: "POKEMON",
      table,
      schema: t.item({
        pk: t.string().key().default("pokemon"),
        sk: t.string().key(),
        level: t.number().default(1),
        gsi1pk: t.string().optional(),
        gsi1sk: t.string().optional(),
        types: t.set(t.string()).optional(),
        moves: t.list(t.string()).optional(),
        stats: t.map({ hp: t.number().optional(), speed: t.number().optional() }).optional(),
        bag: t.record(t.string(), t.number()).optional(),
        bytes: t.binary().optional(),
      }),
    });
    await pokemon
      .build(t.PutItemCommand)
      .item({ sk: "1", types: new Set(["fire"]), moves: ["a"], stats: { hp: 1 }, bytes: new Uint8Array([7]) })
      .send();
    await assert.rejects(
      pokemon
        .build(t.PutItemCommand)
        .item({ sk: "1" })
        .options({ condition: { attr: "sk", exists: false } })
        .send(),
      ConditionalCheckFailedException,
    );
    const change = {
      sk: "1",
      level: t.$add(2),
      moves: t.$append(["b"]),
      types: t.$add(new Set(["water"])),
      stats: { speed: 9 },
      gsi1pk: "g",
      gsi1sk: "1",
    };
    const update = (bag) =>
      pokemon
        .build(t.UpdateItemCommand)
        .item({ ...change, bag })
        .options({ returnValues: "ALL_NEW" })
        .send();
    await assert.rejects(update({ potion: 3 }), { name: "ValidationException" }); // a path into a map that is not there
    const { Attributes } = await update(t.$set({ potion: 3 }));
    assert.deepEqual(
      [Attributes.level, Attributes.moves, Attributes.stats, [...Attributes.types].sort(), Attributes.bag],
      [3, ["a", "b"], { hp: 1, speed: 9 }, ["fire", "water"], { potion: 3 }],
    );
    const { Item } = await pokemon
      .build(t.GetItemCommand)
      .key({ sk: "1" })
      .options({ consistent: true, attributes: ["level", "stats.hp", "moves[0]"] })
      .send();
    assert.deepEqual([Item.level, Item.stats, Item.moves], [3, { hp: 1 }, ["a"]]);
    await t.executeBatchWrite(
      table
        .build(t.BatchWriteCommand)
        .requests(
          ...Array.from({ length: 20 }, (_, n) =>
            pokemon.build(t.BatchPutRequest).item({ sk: String(100 + n), level: n }),
          ),
        ),
    );
    const query = await table
      .build(t.QueryCommand)
      .entities(pokemon)
      .query({ partition: "pokemon", range: { beginsWith: "1" } })
      .options({ filters: { POKEMON: { attr: "level", gte: 10 } }, maxPages: Infinity, limit: 4, reverse: true })
      .send();
    assert.equal(query.Items.length, 10);
    const index = await table.build(t.QueryCommand).entities(pokemon).query({ index: "gsi1", partition: "g" }).send();
    assert.equal(index.Items.length, 1);
    const scan = await table
      .build(t.ScanCommand)
      .entities(pokemon)
      .options({ maxPages: Infinity, segment: 0, totalSegments: 1 })
      .send();
    assert.equal(scan.Items.length, 21);
    const batch = await t.executeBatchGet(
      table
        .build(t.BatchGetCommand)
        .requests(
          pokemon.build(t.BatchGetRequest).key({ sk: "100" }),
          pokemon.build(t.BatchGetRequest).key({ sk: "none" }),
        ),
    );
    assert.deepEqual(
      batch.Responses[0].map((found) => found?.sk),
      ["100", undefined],
    );
    await t.executeTransactWrite(
      pokemon.build(t.PutTransaction).item({ sk: "200" }),
      pokemon.build(t.UpdateTransaction).item({ sk: "100", level: t.$add(1) }),
      pokemon.build(t.DeleteTransaction).key({ sk: "101" }),
      pokemon.build(t.ConditionCheck).key({ sk: "102" }).condition({ attr: "level", eq: 2 }),
    );
    await assert.rejects(
      t.executeTransactWrite(
        pokemon
          .build(t.PutTransaction)
          .item({ sk: "200" })
          .options({ condition: { attr: "sk", exists: false } }),
      ),
      TransactionCanceledException,
    );
    const got = await t.executeTransactGet(
      pokemon.build(t.GetTransaction).key({ sk: "200" }),
      pokemon.build(t.GetTransaction).key({ sk: "101" }),
    );
    assert.deepEqual(
      got.Responses.map((answer) => answer.Item?.sk),
      ["200", undefined],
    );
    const deleted = await pokemon
      .build(t.DeleteItemCommand)
      .key({ sk: "100" })
      .options({ returnValues: "ALL_OLD" })
      .send();
    assert.equal(deleted.Attributes.level, 1);
  });
});
