// A small typical program with ioredis: node ioredis.cjs HOST PORT [PROTOCOL].
// Every check asserts; a failure ends the program with status 1.
const assert = require("node:assert");
const Redis = require("ioredis");
const [host, port, protocol] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

const options = { host, port, protocol, maxRetriesPerRequest: 2, retryStrategy: () => null };
process.on("unhandledRejection", (error) => {
  console.error(error);
  process.exit(1);
});

async function main() {
  const r = new Redis(options);
  await r.flushall();
  assert.equal(await r.ping(), "PONG");

  assert.equal(await r.set("s", "v", "EX", 100, "NX"), "OK");
  assert.equal(await r.set("s", "w", "NX"), null);
  assert.equal(await r.get("s"), "v");
  assert.deepEqual(await r.mget("s", "none"), ["v", null]);
  assert.equal(await r.incrby("n", 5), 5);

  await r.hset("h", { f: "1", g: "2" });
  assert.deepEqual({ ...(await r.hgetall("h")) }, { f: "1", g: "2" });
  await r.rpush("l", "a", "b", "c");
  assert.deepEqual(await r.lrange("l", 0, -1), ["a", "b", "c"]);
  await r.sadd("set", "x", "y");
  assert.deepEqual([...(await r.smembers("set"))].sort(), ["x", "y"]);
  await r.zadd("z", 1, "one", 2.5, "two");
  assert.deepEqual((await r.zrange("z", 0, -1)), ["one", "two"]);
  assert.equal(Number(await r.zscore("z", "two")), 2.5);

  const pipeline = r.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.set("p" + i, i);
  const replies = await pipeline.exec();
  assert.equal(replies.length, 1000);
  assert(replies.every(([error, reply]) => error === null && reply === "OK"));

  const transaction = await r.multi().incr("m").incr("m").get("m").exec();
  assert.deepEqual(transaction.map(([, reply]) => String(reply)), ["1", "2", "2"]);

  const second = new Redis(options);
  await second.watch("m");
  await r.set("m", "other");
  assert.equal(await second.multi().set("m", "mine").exec(), null);

  let count = 0;
  for await (const keys of r.scanStream({ match: "p*", count: 50 })) count += keys.length;
  assert(count >= 1000, String(count));

  await assert.rejects(r.lpush("s", "x"), /WRONGTYPE/);
  await assert.rejects(r.call("NOSUCH"), /unknown command/);

  const subscriber = new Redis(options);
  const messages = [];
  const enough = new Promise((resolve) => {
    const note = (...words) => {
      messages.push(words);
      if (messages.length === 2) resolve();
    };
    subscriber.on("message", (channel, text) => note("message", channel, text));
    subscriber.on("pmessage", (pattern, channel, text) => note("pmessage", pattern, channel, text));
  });
  await subscriber.subscribe("c");
  await subscriber.psubscribe("p*");
  assert.equal(await r.publish("c", "hello"), 1);
  assert.equal(await r.publish("px", "pattern"), 1);
  await enough;
  assert.deepEqual(messages, [["message", "c", "hello"], ["pmessage", "p*", "px", "pattern"]]);

  const popped = second.blpop("q", 5);
  await r.rpush("q", "job");
  assert.deepEqual(await popped, ["q", "job"]);
  assert.equal(await second.blpop("q", 0.1), null);

  r.defineCommand("take", {
    numberOfKeys: 1,
    lua: "local left = tonumber(redis.call('GET', KEYS[1]) or 0) - ARGV[1] "
      + "if left < 0 then return redis.error_reply('SOLD out') end "
      + "redis.call('SET', KEYS[1], left) return cjson.encode({left = left})",
  });
  await r.script("FLUSH");
  await r.set("stock", 5);
  assert.equal(await r.take("stock", 3), '{"left":2}');
  await assert.rejects(r.take("stock", 3), /SOLD out/);
  assert.equal(await r.get("stock"), "2");

  const text = "ü€" + "x".repeat(100000);
  await r.set("big", text);
  assert.equal(await r.get("big"), text);
  for (const client of [r, second, subscriber]) client.disconnect();
  console.log("ok", require("ioredis/package.json").version);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
