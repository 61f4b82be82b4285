// Everyday use of dynamoose, as the documentation shows it. How to run it: README.md in this folder.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { unique, gone } from "./common.mjs";

describe("dynamoose", () => {
  test("tables, models, queries, scans, batches, transactions", async () => {
    const dynamoose = (await import("dynamoose")).default;
    dynamoose.aws.ddb.set(new dynamoose.aws.ddb.DynamoDB({ maxAttempts: 1 }));
    const name = unique("dynamoose");
    const schema = new dynamoose.Schema(
      {
        id: { type: String, hashKey: true },
        rank: { type: Number, rangeKey: true },
        owner: { type: String, index: { name: "byOwner", type: "global", rangeKey: "rank" } },
        born: Date,
        tags: { type: Set, schema: [String] },
        nested: { type: Object, schema: { deep: { type: Array, schema: [Number] } } },
        data: Buffer,
      },
      { timestamps: true },
    );
    const Cat = dynamoose.model(name, schema);
    const table = new dynamoose.Table(name, [Cat], {
      initialize: false,
      create: true,
      update: true,
      throughput: "ON_DEMAND",
      waitForActive: { enabled: true, check: { timeout: 60000, frequency: 500 } },
      expires: { ttl: 86400000, attribute: "ttl" },
      tags: { a: "b" },
    });
    await table.initialize();
    try {
      const born = new Date(1600000000000);
      await Cat.create({
        id: "1",
        rank: 1,
        owner: "bob",
        born,
        tags: new Set(["a"]),
        nested: { deep: [1, 2] },
        data: Buffer.from("x"),
      });
      await assert.rejects(Cat.create({ id: "1", rank: 1 }), { name: "ConditionalCheckFailedException" });
      const found = await Cat.get({ id: "1", rank: 1 });
      assert.deepEqual(
        [found.born, found.nested.deep, found.tags.has("a"), found.data.toString()],
        [born, [1, 2], true, "x"],
      );
      assert.ok(found.ttl);
      const changed = await Cat.update(
        { id: "1", rank: 1 },
        { $SET: { owner: "eve" }, $ADD: { tags: ["b"] }, $REMOVE: ["data"] },
      );
      assert.deepEqual([changed.owner, [...changed.tags].sort(), changed.data], ["eve", ["a", "b"], undefined]);
      await Cat.batchPut(Array.from({ length: 20 }, (_, n) => ({ id: "2", rank: n, owner: "bob" })));
      assert.equal((await Cat.query("id").eq("2").where("rank").between(5, 9).exec()).length, 5);
      assert.equal(
        (await Cat.query("owner").eq("bob").using("byOwner").sort("descending").limit(3).exec())[0].rank,
        19,
      );
      const page = await Cat.query("id").eq("2").limit(15).exec();
      assert.equal((await Cat.query("id").eq("2").startAt(page.lastKey).exec()).length, 5);
      assert.equal((await Cat.query("id").eq("2").count().exec()).count, 20);
      assert.equal((await Cat.scan("owner").beginsWith("e").exec()).length, 1);
      assert.equal((await Cat.scan().parallel(4).all().exec()).length, 21);
      assert.equal(
        (
          await Cat.scan(
            new dynamoose.Condition("rank")
              .gt(10)
              .and()
              .parenthesis((c) => c.where("owner").eq("bob").or().where("owner").not().exists()),
          ).exec()
        ).length,
        9,
      );
      assert.equal(
        (
          await Cat.batchGet([
            { id: "2", rank: 0 },
            { id: "2", rank: 99 },
          ])
        ).length,
        1,
      );
      await dynamoose.transaction([
        Cat.transaction.create({ id: "3", rank: 1 }),
        Cat.transaction.delete({ id: "2", rank: 0 }),
        Cat.transaction.update({ id: "2", rank: 1 }, { owner: "zoe" }),
        Cat.transaction.condition({ id: "2", rank: 2 }, new dynamoose.Condition("owner").eq("bob")),
      ]);
      await assert.rejects(dynamoose.transaction([Cat.transaction.create({ id: "3", rank: 1 })]), {
        name: "TransactionCanceledException",
      });
      await Cat.batchDelete([
        { id: "2", rank: 1 },
        { id: "2", rank: 2 },
      ]);
      await (await Cat.get({ id: "3", rank: 1 })).delete();
      assert.equal((await Cat.scan().count().exec()).count, 18);
    } finally {
      await gone(name);
    }
  });
});
