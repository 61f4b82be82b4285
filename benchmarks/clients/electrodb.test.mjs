// Everyday use of electrodb, as the documentation shows it. How to run it: README.md in this folder.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CreateTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";

import { client, unique, single, gone } from "./common.mjs";

describe("electrodb", () => {
  const table = unique("electro");
  before(() => single(table));
  after(() => gone(table));

  test("entities, queries, batches, transactions, collections", async () => {
    const { Entity, Service } = await import("electrodb");
    const indexes = {
      byId: { pk: { field: "pk", composite: ["team"] }, sk: { field: "sk", composite: ["id"] }, collection: "all" },
      byState: {
        index: "gsi1",
        pk: { field: "gsi1pk", composite: ["state"] },
        sk: { field: "gsi1sk", composite: ["team", "id"] },
      },
    };
    const attributes = {
      team: { type: "string", required: true },
      id: { type: "string", required: true },
      state: { type: ["open", "closed"], required: true, default: "open" },
      points: { type: "number", default: 0 },
      tags: { type: "set", items: "string" },
      meta: { type: "map", properties: { depth: { type: "number" } } },
      notes: { type: "list", items: { type: "string" } },
    };
    const task = new Entity(
      { model: { entity: "task", version: "1", service: "work" }, attributes, indexes },
      { client, table },
    );
    const note = new Entity(
      {
        model: { entity: "note", version: "1", service: "work" },
        attributes: { team: attributes.team, id: attributes.id, text: { type: "string" } },
        indexes: { byId: indexes.byId },
      },
      { client, table },
    );
    const service = new Service({ task, note }, { client, table });
    await task.create({ team: "blue", id: "1", tags: ["a"], meta: { depth: 1 }, notes: ["first"] }).go();
    await assert.rejects(task.create({ team: "blue", id: "1" }).go(), /conditional request failed/i);
    await task.put(Array.from({ length: 30 }, (_, n) => ({ team: "blue", id: String(n + 10), points: n }))).go();
    const updated = await task
      .patch({ team: "blue", id: "1" })
      .add({ points: 5 })
      .append({ notes: ["second"] })
      .set({ meta: { depth: 2 } })
      .data((a, o) => o.add(a.tags, ["b"]))
      .where((a, o) => o.eq(a.points, 0))
      .go({ response: "all_new" });
    assert.deepEqual(
      [updated.data.points, updated.data.notes, updated.data.meta, updated.data.tags.sort()],
      [5, ["first", "second"], { depth: 2 }, ["a", "b"]],
    );
    await assert.rejects(
      task.patch({ team: "blue", id: "none" }).set({ points: 1 }).go(),
      /conditional request failed/i,
    );
    const upserted = await task.upsert({ team: "red", id: "1", points: 3 }).go({ response: "all_new" });
    assert.equal(upserted.data.state, "open");
    assert.equal((await task.query.byId({ team: "blue" }).begins({ id: "1" }).go()).data.length, 11);
    assert.equal((await task.query.byId({ team: "blue" }).between({ id: "10" }, { id: "19" }).go()).data.length, 10);
    assert.equal(
      (
        await task.query
          .byState({ state: "open", team: "blue" })
          .where(({ points }, { gte }) => gte(points, 20))
          .go({ pages: "all" })
      ).data.length,
      10,
    );
    const page = await task.query.byId({ team: "blue" }).go({ limit: 7 });
    assert.equal(page.data.length, 7);
    const rest = await task.query.byId({ team: "blue" }).go({ cursor: page.cursor, pages: "all" });
    assert.equal(rest.data.length, 24);
    assert.equal(
      (
        await task
          .get([
            { team: "blue", id: "10" },
            { team: "blue", id: "nothing" },
          ])
          .go()
      ).data.length,
      1,
    );
    assert.equal(
      (await task.scan.where(({ tags }, { contains }) => contains(tags, "b")).go({ pages: "all" })).data.length,
      1,
    );
    await note.put({ team: "blue", id: "1", text: "hi" }).go();
    const all = await service.collections.all({ team: "blue" }).go({ pages: "all" });
    assert.deepEqual([all.data.task.length, all.data.note.length], [31, 1]);
    const cancelled = await service.transaction
      .write(({ task, note }) => [
        task.create({ team: "blue", id: "1" }).commit({ response: "all_old" }),
        note.delete({ team: "blue", id: "1" }).commit(),
      ])
      .go();
    assert.equal(cancelled.canceled, true);
    assert.deepEqual(
      cancelled.data.map((reason) => reason.code),
      ["ConditionalCheckFailed", "None"],
    );
    assert.equal(cancelled.data[0].item.points, 5);
    const read = await service.transaction
      .get(({ task, note }) => [
        task.get({ team: "blue", id: "1" }).commit(),
        note.get({ team: "blue", id: "1" }).commit(),
      ])
      .go();
    assert.deepEqual(
      read.data.map((answer) => answer.item.id),
      ["1", "1"],
    );
    assert.equal((await task.remove({ team: "blue", id: "1" }).go({ response: "all_old" })).data.points, 5);
    await task.delete(Array.from({ length: 30 }, (_, n) => ({ team: "blue", id: String(n + 10) }))).go();
    assert.equal((await task.query.byId({ team: "blue" }).go()).data.length, 0);
  });
});

describe("electrodb, an index with several attributes in its key", () => {
  const table = unique("multi");
  after(() => gone(table));

  test("queries by parts of the key", async () => {
    const { Entity } = await import("electrodb");
    const key = (names, KeyType) => names.map((AttributeName) => ({ AttributeName, KeyType }));
    const [hashes, ranges] = [
      ["tournament", "region"],
      ["round", "bracket", "match"],
    ];
    await client.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: "PAY_PER_REQUEST",
        KeySchema: [...key(["pk"], "HASH"), ...key(["sk"], "RANGE")],
        AttributeDefinitions: ["pk", "sk", ...hashes, ...ranges].map((AttributeName) => ({
          AttributeName,
          AttributeType: AttributeName === "match" ? "N" : "S",
        })),
        GlobalSecondaryIndexes: [
          {
            IndexName: "gsi1",
            Projection: { ProjectionType: "ALL" },
            KeySchema: [...key(hashes, "HASH"), ...key(ranges, "RANGE")],
          },
        ],
      }),
    );
    await waitUntilTableExists({ client, maxWaitTime: 120, minDelay: 1, maxDelay: 2 }, { TableName: table });
    const match = new Entity(
      {
        model: { entity: "match", version: "1", service: "sport" },
        attributes: {
          id: { type: "string", required: true },
          tournament: { type: "string" },
          region: { type: "string" },
          round: { type: "string" },
          bracket: { type: "string" },
          match: { type: "number" },
          score: { type: "number", default: 0 },
        },
        indexes: {
          byId: { pk: { field: "pk", composite: ["id"] }, sk: { field: "sk", composite: [] } },
          byRound: { index: "gsi1", type: "composite", pk: { composite: hashes }, sk: { composite: ranges } },
        },
      },
      { client, table },
    );
    const all = Array.from({ length: 24 }, (_, n) => ({
      id: `m${n}`,
      tournament: "cup",
      region: n % 2 ? "eu" : "us",
      round: `r${n % 3}`,
      bracket: n % 4 < 2 ? "lower" : "upper",
      match: n,
    }));
    await match.put(all).go();
    const of = { tournament: "cup", region: "eu" };
    assert.equal((await match.query.byRound(of).go()).data.length, 12);
    assert.equal((await match.query.byRound({ ...of, round: "r1" }).go()).data.length, 4);
    assert.deepEqual(
      (
        await match.query
          .byRound({ ...of, round: "r1", bracket: "upper" })
          .gte({ match: 7 })
          .go()
      ).data.map((m) => m.match),
      [7, 19],
    );
    assert.equal((await match.query.byRound(of).begins({ round: "r" }).go()).data.length, 12);
    assert.equal(
      (
        await match.query
          .byRound({ ...of })
          .between({ round: "r1" }, { round: "r2" })
          .go()
      ).data.length,
      8,
    );
    const page = await match.query.byRound(of).go({ limit: 5 });
    const rest = await match.query.byRound(of).go({ cursor: page.cursor, pages: "all" });
    const order = [...page.data, ...rest.data].map((m) => [m.round, m.bracket, m.match].join());
    assert.equal(rest.data.length, 7);
    assert.deepEqual(
      order,
      all
        .filter((m) => m.region === "eu")
        .sort((a, b) => a.round.localeCompare(b.round) || a.bracket.localeCompare(b.bracket) || a.match - b.match)
        .map((m) => [m.round, m.bracket, m.match].join()),
    );
    await match.patch({ id: "m1" }).set({ region: "us" }).go();
    assert.equal((await match.query.byRound(of).go()).data.length, 11);
  });
});
